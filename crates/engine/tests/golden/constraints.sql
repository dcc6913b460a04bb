Foreign keys and CHECK on local statements.

> CREATE TABLE parent (id INT PRIMARY KEY, code CHAR(3) UNIQUE)

> CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, n INT CHECK (n > 0), CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id))

> CREATE TABLE cascaded (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)

> CREATE TABLE nulled (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE SET NULL)

> INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, 'thr')

> INSERT INTO child VALUES (1, 1, 1), (2, NULL, NULL)

> INSERT INTO child VALUES (3, 9, 1)

> INSERT INTO child VALUES (3, 1, 0)

> UPDATE child SET n = -1 WHERE id = 1

> UPDATE child SET parent_id = 8 WHERE id = 1

> DELETE FROM parent WHERE id = 1

> INSERT INTO cascaded VALUES (1, 2), (2, 2)

> INSERT INTO nulled VALUES (1, 2)

> DELETE FROM parent WHERE id = 2

> SELECT COUNT(*) FROM cascaded

> SELECT * FROM nulled

> INSERT INTO cascaded VALUES (5, 3)

> UPDATE parent SET id = 30 WHERE id = 3

> SELECT * FROM cascaded

> DROP TABLE parent

> SET foreign_key_checks = 0

> INSERT INTO child VALUES (7, 77, 1)

> SET foreign_key_checks = 1

> INSERT INTO parent VALUES (77, '77')

> SELECT * FROM child ORDER BY id
