Foreign keys and CHECK on local statements.

> CREATE TABLE parent (id INT PRIMARY KEY, code CHAR(3) UNIQUE)
ok, 0 changed

> CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, n INT CHECK (n > 0), CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id))
ok, 0 changed

> CREATE TABLE cascaded (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)
ok, 0 changed

> CREATE TABLE nulled (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL)
ok, 0 changed

> INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'thr')
ok, 3 changed (Records: 3  Duplicates: 0  Warnings: 0)

> INSERT INTO child VALUES (1, 1, 1), (2, NULL, NULL)
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> INSERT INTO child VALUES (3, 9, 1)
ERROR 1452 (23000): Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> INSERT INTO child VALUES (3, 1, 0)
ERROR 3819 (HY000): Check constraint 'child_chk_1' is violated.

> UPDATE child SET n = -1 WHERE id = 1
ERROR 3819 (HY000): Check constraint 'child_chk_1' is violated.

> UPDATE child SET parent_id = 8 WHERE id = 1
ERROR 1452 (23000): Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> DELETE FROM parent WHERE id = 1
ERROR 1451 (23000): Cannot delete or update a parent row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> INSERT INTO cascaded VALUES (1, 2), (2, 2)
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> INSERT INTO nulled VALUES (1, 2)
ok, 1 changed

> DELETE FROM parent WHERE id = 2
ok, 1 changed

> SELECT COUNT(*) FROM cascaded
COUNT(*)
0

> SELECT * FROM nulled
id | parent_id
1 | NULL

> INSERT INTO cascaded VALUES (5, 3)
ok, 1 changed

> UPDATE parent SET id = 30 WHERE id = 3
ok, 1 changed (Rows matched: 1  Changed: 1  Warnings: 0)

> SELECT * FROM cascaded
id | parent_id
5 | 30

> DROP TABLE parent
ERROR 3730 (HY000): Cannot drop table 'parent' referenced by a foreign key constraint 'nulled_ibfk_1' on table 'nulled'.

> SET foreign_key_checks = 0
ok, 0 changed

> INSERT INTO child VALUES (7, 77, 1)
ok, 1 changed

> SET foreign_key_checks = 1
ok, 0 changed

> INSERT INTO parent VALUES (77, '77')
ok, 1 changed

> SELECT * FROM child ORDER BY id
id | parent_id | n
1 | 1 | 1
2 | NULL | NULL
7 | 77 | 1
