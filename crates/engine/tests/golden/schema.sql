What schema statements keep and copy.

> CREATE TABLE src (id INT PRIMARY KEY, k INT NOT NULL DEFAULT 7, name VARCHAR(10) DEFAULT 'x', d DECIMAL(5,2) DEFAULT 1.5, e ENUM('a','b') DEFAULT 'b', n INT, m INT NOT NULL, ts TIMESTAMP DEFAULT CURRENT_TIMESTAMP)
ok, 0 changed

> INSERT INTO src (id, k, name, m) VALUES (1, 1, 'one', 1), (2, 1, 'two', 2), (3, 2, 'three', 3)
ok, 3 changed (Records: 3  Duplicates: 0  Warnings: 0)

> CREATE TABLE first_wins (k INT PRIMARY KEY) IGNORE AS SELECT k, name FROM src ORDER BY id
ok, 2 changed, 1 warnings (Records: 3  Duplicates: 1  Warnings: 1)

> SELECT k, name FROM first_wins ORDER BY k
k | name
1 | one
2 | three

> CREATE TABLE last_wins (k INT PRIMARY KEY) REPLACE SELECT k, name FROM src ORDER BY id
ok, 4 changed (Records: 3  Duplicates: 1  Warnings: 0)

> SELECT k, name FROM last_wins ORDER BY k
k | name
1 | two
2 | three

> CREATE TABLE plain (k INT PRIMARY KEY) IGNORE
ERROR 1064 (42000): You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near '' at line 1

> SELECT DEFAULT(k), DEFAULT(name), DEFAULT(d), DEFAULT(e), DEFAULT(n) FROM src WHERE id = 1
DEFAULT(k) | DEFAULT(name) | DEFAULT(d) | DEFAULT(e) | DEFAULT(n)
7 | x | 1.50 | b | NULL

> SELECT DEFAULT(m) FROM src
ERROR 1364 (HY000): Field 'm' doesn't have a default value

> SELECT DEFAULT(ts) FROM src
ERROR 1235 (42000): This version of MySQL doesn't yet support 'DEFAULT() of a default that is an expression'

> SELECT DEFAULT(k + 1) FROM src
ERROR 1235 (42000): This version of MySQL doesn't yet support 'DEFAULT of what is no column'

> UPDATE src SET k = DEFAULT(k) + id, name = DEFAULT(name) WHERE id > 1
ok, 2 changed (Rows matched: 2  Changed: 2  Warnings: 0)

> SELECT id, k, name, k = DEFAULT(k) AS is_default FROM src ORDER BY id
id | k | name | is_default
1 | 1 | one | 0
2 | 9 | x | 0
3 | 10 | x | 0

> SET sql_mode = 'PIPES_AS_CONCAT'
ok, 0 changed

> CREATE VIEW joined AS SELECT id, name || '-' || k AS label FROM src WHERE name || 'y' = 'xy'
ok, 0 changed

> CREATE TABLE labelled (id INT PRIMARY KEY, label VARCHAR(20) DEFAULT ('a' || 'b'), CHECK (label || '!' <> 'no!'))
ok, 0 changed

> SELECT * FROM joined ORDER BY id
id | label
2 | x-9
3 | x-10

> SET sql_mode = ''
ok, 0 changed

> SELECT * FROM joined ORDER BY id
id | label
2 | x-9
3 | x-10

> INSERT INTO labelled (id) VALUES (1)
ok, 1 changed

> INSERT INTO labelled VALUES (2, 'no')
ERROR 3819 (HY000): Check constraint 'labelled_chk_1' is violated.

> SELECT * FROM labelled
id | label
1 | ab

> CREATE DATABASE gone
ok, 1 changed

> USE gone
ok, 0 changed

> DROP DATABASE gone
ok, 0 changed

> SELECT DATABASE(), CURRENT_USER, UTC_DATE = UTC_DATE(), UTC_TIMESTAMP >= UTC_DATE, UTC_TIME IS NULL
DATABASE() | CURRENT_USER | UTC_DATE = UTC_DATE() | UTC_TIMESTAMP >= UTC_DATE | UTC_TIME IS NULL
NULL | root@% | 1 | 1 | 0

> SELECT * FROM nowhere
ERROR 1046 (3D000): No database selected
