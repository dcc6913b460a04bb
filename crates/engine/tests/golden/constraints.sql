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

IGNORE skips the rows that violate something, each with its warning, and writes the others.

> INSERT IGNORE INTO child VALUES (20, 30, 1), (21, 99, 1), (22, 30, -1), (1, 30, 5), (23, 77, 2)
ok, 2 changed, 3 warnings (Records: 5  Duplicates: 3  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))
Warning | 3819 | Check constraint 'child_chk_1' is violated.
Warning | 1062 | Duplicate entry '1' for key 'child.PRIMARY'

> SELECT * FROM child WHERE id >= 20 ORDER BY id
id | parent_id | n
20 | 30 | 1
23 | 77 | 2

> UPDATE IGNORE child SET parent_id = 88 WHERE id IN (20, 23)
ok, 0 changed, 2 warnings (Rows matched: 2  Changed: 0  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> UPDATE IGNORE child SET n = n - 1 WHERE id IN (20, 23)
ok, 1 changed, 1 warnings (Rows matched: 2  Changed: 1  Warnings: 1)

> SHOW WARNINGS
Level | Code | Message
Warning | 3819 | Check constraint 'child_chk_1' is violated.

> UPDATE IGNORE child SET id = id + 2 WHERE id IN (20, 21, 23) ORDER BY id DESC
ok, 2 changed (Rows matched: 2  Changed: 2  Warnings: 0)

> UPDATE IGNORE child SET id = 1 WHERE id >= 20
ok, 0 changed, 2 warnings (Rows matched: 2  Changed: 0  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1062 | Duplicate entry '1' for key 'child.PRIMARY'
Warning | 1062 | Duplicate entry '1' for key 'child.PRIMARY'

> SELECT * FROM child WHERE id >= 20 ORDER BY id
id | parent_id | n
22 | 30 | 1
25 | 77 | 1

> INSERT INTO parent VALUES (50, 'x50')
ok, 1 changed

> DELETE IGNORE FROM parent
ok, 1 changed, 3 warnings

> SHOW WARNINGS
Level | Code | Message
Warning | 1451 | Cannot delete or update a parent row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))
Warning | 1451 | Cannot delete or update a parent row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))
Warning | 1451 | Cannot delete or update a parent row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> SELECT id FROM parent ORDER BY id
id
1
30
77

> UPDATE IGNORE parent SET id = id + 100
ok, 0 changed, 3 warnings (Rows matched: 3  Changed: 0  Warnings: 3)

> SELECT id FROM parent ORDER BY id
id
1
30
77

> INSERT IGNORE INTO child SELECT id + 200, id + 200, 1 FROM child WHERE id >= 20
ok, 0 changed, 2 warnings (Records: 2  Duplicates: 2  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

> UPDATE IGNORE child JOIN parent ON child.parent_id = parent.id SET child.n = -5, parent.code = 'new' WHERE child.id = 1
ok, 1 changed, 1 warnings (Rows matched: 2  Changed: 1  Warnings: 1)

> SHOW WARNINGS
Level | Code | Message
Warning | 3819 | Check constraint 'child_chk_1' is violated.

> DELETE IGNORE parent FROM parent JOIN child ON child.parent_id = parent.id
ok, 0 changed, 3 warnings

> INSERT IGNORE INTO child VALUES (1, 30, 1) ON DUPLICATE KEY UPDATE parent_id = 99
ok, 0 changed, 1 warnings

> SHOW WARNINGS
Level | Code | Message
Warning | 1452 | Cannot add or update a child row: a foreign key constraint fails (`test`.`child`, CONSTRAINT `fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`))

Error 1062 names the value, whichever statement writes it.

> CREATE TABLE keyed (id INT PRIMARY KEY, a VARCHAR(10), b INT, c DATE UNIQUE, UNIQUE k (a, b))
ok, 0 changed

> INSERT INTO keyed VALUES (1, 'a', 1, '2020-01-01'), (2, 'b', 2, '2020-01-02'), (3, 'c', 2, NULL)
ok, 3 changed (Records: 3  Duplicates: 0  Warnings: 0)

> UPDATE keyed SET a = 'b' WHERE id = 3
ERROR 1062 (23000): Duplicate entry 'b-2' for key 'keyed.k'

> UPDATE keyed SET b = 2, a = UPPER('b') WHERE id = 1
ERROR 1062 (23000): Duplicate entry 'B-2' for key 'keyed.k'

> UPDATE keyed SET id = id + 1 ORDER BY id
ERROR 1062 (23000): Duplicate entry '2' for key 'keyed.PRIMARY'

> UPDATE keyed SET id = 7
ERROR 1062 (23000): Duplicate entry '7' for key 'keyed.PRIMARY'

> UPDATE keyed SET c = '2020-01-02' WHERE id = 3
ERROR 1062 (23000): Duplicate entry '2020-01-02' for key 'keyed.c'

> UPDATE keyed x JOIN keyed y ON x.id = 3 AND y.id = 2 SET x.a = y.a
ERROR 1062 (23000): Duplicate entry 'b-2' for key 'keyed.k'

> INSERT INTO keyed VALUES (1, 'z', 9, NULL) ON DUPLICATE KEY UPDATE a = 'b', b = VALUES(b) - 7
ERROR 1062 (23000): Duplicate entry 'b-2' for key 'keyed.k'

> INSERT INTO keyed VALUES (9, 'a', 1, NULL) ON DUPLICATE KEY UPDATE id = 3
ERROR 1062 (23000): Duplicate entry '3' for key 'keyed.PRIMARY'

> UPDATE IGNORE keyed SET a = 'b', b = 2
ok, 0 changed, 2 warnings (Rows matched: 3  Changed: 0  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1062 | Duplicate entry 'b-2' for key 'keyed.k'
Warning | 1062 | Duplicate entry 'b-2' for key 'keyed.k'

CREATE TABLE … AS SELECT is all or nothing.

> CREATE TABLE copied (id INT PRIMARY KEY) AS SELECT b AS id FROM keyed
ERROR 1062 (23000): Duplicate entry '2' for key 'copied.PRIMARY'

> SELECT * FROM copied
ERROR 1146 (42S02): Table 'test.copied' doesn't exist

> CREATE TABLE copied (id INT PRIMARY KEY) AS SELECT DISTINCT b AS id FROM keyed
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> SELECT * FROM copied ORDER BY id
id
1
2

TRUNCATE takes along the rows that wait for a parent: they do not come back with the next one, and no id is spared for them.

> CREATE TABLE author (id INT AUTO_INCREMENT PRIMARY KEY, name TEXT)
ok, 0 changed

> CREATE TABLE book (id INT AUTO_INCREMENT PRIMARY KEY, author_id INT, FOREIGN KEY (author_id) REFERENCES author (id))
ok, 0 changed

> CREATE TABLE note (author_id INT, FOREIGN KEY (author_id) REFERENCES author (id))
ok, 0 changed

> INSERT INTO author (name) VALUES ('a')
ok, 1 changed, id 1

> INSERT INTO book (author_id) VALUES (1), (1), (1)
ok, 3 changed, id 1 (Records: 3  Duplicates: 0  Warnings: 0)

> INSERT INTO note VALUES (1), (1)
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> SET foreign_key_checks = 0
ok, 0 changed

> TRUNCATE author
ok, 0 changed

> TRUNCATE book
ok, 0 changed

> TRUNCATE note
ok, 0 changed

> SET foreign_key_checks = 1
ok, 0 changed

> SELECT COUNT(*) FROM p2pdb.conflicts
COUNT(*)
0

> INSERT INTO author (name) VALUES ('b')
ok, 1 changed, id 1

> INSERT INTO book (author_id) VALUES (1)
ok, 1 changed, id 1

> SELECT * FROM book
id | author_id
1 | 1

> SELECT * FROM note
author_id
