Transactions, savepoints, and statements that commit by themselves.

> CREATE TABLE t (id INT PRIMARY KEY, v INT)
ok, 0 changed

> BEGIN
ok, 0 changed

> INSERT INTO t VALUES (1, 1)
ok, 1 changed

> SELECT * FROM t
id | v
1 | 1

> ROLLBACK
ok, 0 changed

> SELECT * FROM t
id | v

> START TRANSACTION
ok, 0 changed

> INSERT INTO t VALUES (1, 1)
ok, 1 changed

> SAVEPOINT a
ok, 0 changed

> INSERT INTO t VALUES (2, 2)
ok, 1 changed

> SAVEPOINT b
ok, 0 changed

> INSERT INTO t VALUES (3, 3)
ok, 1 changed

> ROLLBACK TO SAVEPOINT b
ok, 0 changed

> INSERT INTO t VALUES (1, 9)
ERROR 1062 (23000): Duplicate entry '1' for key 't.PRIMARY'

> ROLLBACK TO a
ok, 0 changed

> ROLLBACK TO b
ERROR 1305 (42000): SAVEPOINT b does not exist

> RELEASE SAVEPOINT a
ok, 0 changed

> COMMIT
ok, 0 changed

> SELECT * FROM t
id | v
1 | 1

> SET autocommit = 0
ok, 0 changed

> UPDATE t SET v = 5
ok, 1 changed (Rows matched: 1  Changed: 1  Warnings: 0)

> ROLLBACK
ok, 0 changed

> SELECT * FROM t
id | v
1 | 1

> UPDATE t SET v = 6
ok, 1 changed (Rows matched: 1  Changed: 1  Warnings: 0)

> CREATE TABLE u (id INT PRIMARY KEY)
ok, 0 changed

> ROLLBACK
ok, 0 changed

> SELECT * FROM t
id | v
1 | 6

> INSERT INTO t VALUES (4, 4)
ok, 1 changed

> CREATE TABLE u (id INT PRIMARY KEY)
ERROR 1050 (42S01): Table 'u' already exists

> ROLLBACK
ok, 0 changed

> SELECT * FROM t
id | v
1 | 6
4 | 4

> SET autocommit = 1
ok, 0 changed

> START TRANSACTION READ ONLY
ok, 0 changed

> INSERT INTO t VALUES (9, 9)
ERROR 1792 (25006): Cannot execute statement in a READ ONLY transaction.

> COMMIT
ok, 0 changed
