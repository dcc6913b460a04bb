Locks by name, SLEEP and DO.

> SELECT GET_LOCK('a', 0), IS_FREE_LOCK('A') AS free, IS_USED_LOCK('a') = CONNECTION_ID()
GET_LOCK('a', 0) | free | IS_USED_LOCK('a') = CONNECTION_ID()
1 | 0 | 1

> SELECT GET_LOCK('a', 10) AS again, GET_LOCK('b', -1) = 1 AS b, COALESCE(GET_LOCK('c', NULL), 0) AS c
again | b | c
1 | 1 | 1

> SELECT RELEASE_LOCK('a') AS once, RELEASE_LOCK('a') AS twice, RELEASE_LOCK('a') AS gone, IS_USED_LOCK('a')
once | twice | gone | IS_USED_LOCK('a')
1 | 1 | NULL | NULL

> SELECT RELEASE_ALL_LOCKS(), RELEASE_ALL_LOCKS()
RELEASE_ALL_LOCKS() | RELEASE_ALL_LOCKS()
2 | 0

> SELECT GET_LOCK('', 1)
ERROR 3057 (42000): Incorrect user-level lock name ''.

> SELECT GET_LOCK(NULL, 1)
ERROR 3057 (42000): Incorrect user-level lock name 'NULL'.

> SELECT GET_LOCK('0123456789012345678901234567890123456789012345678901234567890123x', 1)
ERROR 3057 (42000): Incorrect user-level lock name '0123456789012345678901234567890123456789012345678901234567890123x'.

> SELECT GET_LOCK('a')
ERROR 1582 (42000): Incorrect parameter count in the call to native function 'GET_LOCK'

> SELECT SLEEP(0), SLEEP(0.0) + 5
SLEEP(0) | SLEEP(0.0) + 5
0 | 5

> SELECT SLEEP(-1)
ERROR 1210 (HY000): Incorrect arguments to sleep.

> DO 1, GET_LOCK('d', 5), SLEEP(0)
ok, 0 changed

> SELECT IS_FREE_LOCK('d')
IS_FREE_LOCK('d')
0

> DO RELEASE_LOCK(CONCAT('', 'd')), 1 + 1
ok, 0 changed

> SELECT IS_FREE_LOCK(@unset)
ERROR 3057 (42000): Incorrect user-level lock name 'NULL'.

> SET @name = 'e'
ok, 0 changed

> SELECT GET_LOCK(@name, 1)
GET_LOCK(@name, 1)
1

> SELECT IF(1, SLEEP(1), 0)
ERROR 1235 (42000): This version of MySQL doesn't yet support 'SLEEP'

> SELECT 0 AND SLEEP(1)
ERROR 1235 (42000): This version of MySQL doesn't yet support 'SLEEP'

> SELECT SLEEP(1) FROM information_schema.TABLES
ERROR 1235 (42000): This version of MySQL doesn't yet support 'SLEEP'

> CREATE TABLE slept (id INT PRIMARY KEY)
ok, 0 changed

> INSERT INTO slept VALUES (SLEEP(1))
ERROR 1235 (42000): This version of MySQL doesn't yet support 'SLEEP'
