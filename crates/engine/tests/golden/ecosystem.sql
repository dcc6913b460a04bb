What the suites of others found.

> CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, k VARCHAR(10) UNIQUE, n INT)
ok, 0 changed

> INSERT INTO t (id, k) VALUES (5, 'a')
ok, 1 changed, id 5

> INSERT INTO t (id, k) VALUES (7, 'b'), (6, 'c')
ok, 2 changed, id 6 (Records: 2  Duplicates: 0  Warnings: 0)

> INSERT INTO t (id, k, n) VALUES (30, 'a', 1) ON DUPLICATE KEY UPDATE n = VALUES(n)
ok, 2 changed, id 5

> REPLACE INTO t (id, k) VALUES (5, 'a')
ok, 2 changed, id 5

> SELECT LAST_INSERT_ID()
LAST_INSERT_ID()
0

> SELECT CASE JSON_EXTRACT('{"a":null}', '$.a') WHEN 'null' THEN 'text' ELSE 'other' END AS a, CASE JSON_EXTRACT('{"a":"b"}', '$.a') WHEN 'b' THEN 1 WHEN '"b"' THEN 2 END AS b
a | b
text | 2

> SELECT 1 FOR UPDATE
1
1

> SELECT t.id FROM t, t AS u, t AS v WHERE t.id = u.id AND u.id = v.id AND t.id = 5 FOR UPDATE OF t, `u`, v SKIP LOCKED
id
5

> ALTER TABLE t ADD COLUMN txt LONGTEXT NOT NULL DEFAULT (''), ADD COLUMN bin BLOB DEFAULT (_binary 'abc'), ADD COLUMN j JSON DEFAULT ('[1]'), ADD COLUMN m INT DEFAULT (-12), ADD COLUMN at DATETIME DEFAULT CURRENT_TIMESTAMP
ok, 0 changed (Records: 0  Duplicates: 0  Warnings: 0)

> SELECT id, txt, bin, j, m, at IS NOT NULL AS filled FROM t WHERE id = 5
id | txt | bin | j | m | filled
5 |  | abc | [1] | -12 | 1

> SELECT 17;
  SELECT 2
ERROR 1064 (42000): You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'SELECT 2' at line 2

> SELECT ';', 1 -- one; statement
  ; ;
; | 1
; | 1
