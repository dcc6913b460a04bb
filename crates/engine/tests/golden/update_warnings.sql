Warnings about a value that is assigned to every row: one for each row, as MySQL 9.7 counts them, and none without rows.

> CREATE TABLE t (id INT PRIMARY KEY, a INT, s VARCHAR(3), n INT NOT NULL, d DATE)
ok, 0 changed

> INSERT INTO t VALUES (1, 1, 'a', 1, NULL), (2, 2, 'b', 2, NULL), (3, 3, 'c', 3, NULL)
ok, 3 changed (Records: 3  Duplicates: 0  Warnings: 0)

> UPDATE IGNORE t SET s = 'abcdef'
ok, 3 changed, 3 warnings (Rows matched: 3  Changed: 3  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1265 | Data truncated for column 's' at row 1
Warning | 1265 | Data truncated for column 's' at row 2
Warning | 1265 | Data truncated for column 's' at row 3

> UPDATE IGNORE t SET a = 99999999999
ok, 3 changed, 3 warnings (Rows matched: 3  Changed: 3  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1264 | Out of range value for column 'a' at row 1
Warning | 1264 | Out of range value for column 'a' at row 2
Warning | 1264 | Out of range value for column 'a' at row 3

> UPDATE IGNORE t SET n = NULL
ok, 3 changed, 3 warnings (Rows matched: 3  Changed: 3  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1048 | Column 'n' cannot be null
Warning | 1048 | Column 'n' cannot be null
Warning | 1048 | Column 'n' cannot be null

> UPDATE IGNORE t SET a = 'zzz', s = 'ghijkl' WHERE id > 1 ORDER BY id DESC
ok, 2 changed, 4 warnings (Rows matched: 2  Changed: 2  Warnings: 4)

> SHOW WARNINGS
Level | Code | Message
Warning | 1366 | Incorrect integer value: 'zzz' for column 'a' at row 1
Warning | 1265 | Data truncated for column 's' at row 1
Warning | 1366 | Incorrect integer value: 'zzz' for column 'a' at row 2
Warning | 1265 | Data truncated for column 's' at row 2

> UPDATE IGNORE t SET a = CONCAT('zz', id)
ok, 1 changed, 3 warnings (Rows matched: 3  Changed: 1  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1366 | Incorrect integer value: 'zz1' for column 'a' at row 1
Warning | 1366 | Incorrect integer value: 'zz2' for column 'a' at row 2
Warning | 1366 | Incorrect integer value: 'zz3' for column 'a' at row 3

> UPDATE IGNORE t SET s = 'abcdef' WHERE id > 100
ok, 0 changed (Rows matched: 0  Changed: 0  Warnings: 0)

> SHOW WARNINGS
Level | Code | Message

> UPDATE IGNORE t SET id = 1
ok, 0 changed, 2 warnings (Rows matched: 3  Changed: 0  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1062 | Duplicate entry '1' for key 't.PRIMARY'
Warning | 1062 | Duplicate entry '1' for key 't.PRIMARY'

> CREATE TABLE u (id INT PRIMARY KEY, b VARCHAR(3))
ok, 0 changed

> INSERT INTO u VALUES (2, 'x'), (3, 'y')
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> UPDATE IGNORE t JOIN u USING (id) SET t.s = 'abcdef', u.b = 'ghijkl'
ok, 4 changed, 4 warnings (Rows matched: 4  Changed: 4  Warnings: 4)

> SHOW WARNINGS
Level | Code | Message
Warning | 1265 | Data truncated for column 's' at row 1
Warning | 1265 | Data truncated for column 's' at row 2
Warning | 1265 | Data truncated for column 'b' at row 1
Warning | 1265 | Data truncated for column 'b' at row 2

> SET sql_mode = ''
ok, 0 changed

> UPDATE t SET s = 'ghijkl'
ok, 3 changed, 3 warnings (Rows matched: 3  Changed: 3  Warnings: 3)

> SHOW WARNINGS
Level | Code | Message
Warning | 1265 | Data truncated for column 's' at row 1
Warning | 1265 | Data truncated for column 's' at row 2
Warning | 1265 | Data truncated for column 's' at row 3

> UPDATE t SET s = 'ghijkl' WHERE id > 100
ok, 0 changed (Rows matched: 0  Changed: 0  Warnings: 0)

> SHOW WARNINGS
Level | Code | Message

> UPDATE t SET a = '12x' WHERE id < 3
ok, 2 changed, 2 warnings (Rows matched: 2  Changed: 2  Warnings: 2)

> SHOW WARNINGS
Level | Code | Message
Warning | 1265 | Data truncated for column 'a' at row 1
Warning | 1265 | Data truncated for column 'a' at row 2

> SET sql_mode = DEFAULT
ok, 0 changed

> UPDATE t SET s = 'abcdef' WHERE id > 100
ok, 0 changed (Rows matched: 0  Changed: 0  Warnings: 0)

> UPDATE t SET s = 'abcdef'
ERROR 1406 (22001): Data too long for column 's' at row 1

> UPDATE t SET n = NULL WHERE id > 100 ORDER BY id
ok, 0 changed (Rows matched: 0  Changed: 0  Warnings: 0)

> UPDATE t SET n = NULL ORDER BY id
ERROR 1048 (23000): Column 'n' cannot be null

> UPDATE t JOIN u USING (id) SET s = 'abcdef', b = 'y' WHERE id > 100
ok, 0 changed (Rows matched: 0  Changed: 0  Warnings: 0)

> UPDATE t JOIN u USING (id) SET s = 'abcdef', b = 'y'
ERROR 1406 (22001): Data too long for column 's' at row 1

> SELECT id, s, n FROM t
id | s | n
1 | ghi | 0
2 | ghi | 0
3 | ghi | 0
