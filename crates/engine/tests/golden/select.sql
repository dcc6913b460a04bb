Joins, subqueries, set operations, CTEs, windows, groups.

> CREATE TABLE dept (id INT PRIMARY KEY, name VARCHAR(20))
ok, 0 changed

> CREATE TABLE emp (id INT PRIMARY KEY, name VARCHAR(20), dept INT, pay INT, boss INT)
ok, 0 changed

> INSERT INTO dept VALUES (1, 'tools'), (2, 'toys'), (3, 'empty')
ok, 3 changed (Records: 3  Duplicates: 0  Warnings: 0)

> INSERT INTO emp VALUES (1, 'Ann', 1, 100, NULL), (2, 'Bob', 1, 80, 1), (3, 'Cid', 2, 90, 1), (4, 'Dee', 2, 90, 3), (5, 'eve', NULL, 10, 4)
ok, 5 changed (Records: 5  Duplicates: 0  Warnings: 0)

> SELECT e.name, d.name FROM emp e JOIN dept d ON d.id = e.dept ORDER BY e.id
name | name
Ann | tools
Bob | tools
Cid | toys
Dee | toys

> SELECT d.name, e.name FROM dept d LEFT JOIN emp e ON e.dept = d.id ORDER BY d.id, e.id
name | name
tools | Ann
tools | Bob
toys | Cid
toys | Dee
empty | NULL

> SELECT d.name, COUNT(e.id) AS n, AVG(e.pay) FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.id ORDER BY n DESC, d.id
name | n | AVG(e.pay)
tools | 2 | 90.0000
toys | 2 | 90.0000
empty | 0 | NULL

> SELECT dept, SUM(pay) FROM emp GROUP BY dept HAVING SUM(pay) > 100 ORDER BY dept
dept | SUM(pay)
1 | 180
2 | 180

> SELECT name FROM emp WHERE pay = (SELECT MAX(pay) FROM emp)
name
Ann

> SELECT name FROM emp e WHERE EXISTS (SELECT 1 FROM emp b WHERE b.boss = e.id) ORDER BY name
name
Ann
Cid
Dee

> SELECT name FROM emp WHERE dept NOT IN (SELECT id FROM dept WHERE name = 'toys') ORDER BY id
name
Ann
Bob

> SELECT name FROM emp WHERE pay > ALL (SELECT pay FROM emp WHERE dept = 2)
name
Ann

> SELECT name FROM dept UNION SELECT name FROM emp WHERE id < 3 ORDER BY name
name
Ann
Bob
empty
tools
toys

> SELECT 1 UNION ALL SELECT 1
1
1
1

> WITH RECURSIVE chain AS (SELECT id, name, 0 AS depth FROM emp WHERE boss IS NULL UNION ALL SELECT e.id, e.name, c.depth + 1 FROM emp e JOIN chain c ON e.boss = c.id) SELECT name, depth FROM chain ORDER BY depth, name
name | depth
Ann | 0
Bob | 1
Cid | 1
Dee | 2
eve | 3

> SELECT name, pay, RANK() OVER (ORDER BY pay DESC) AS r, ROW_NUMBER() OVER (PARTITION BY dept ORDER BY pay, id) AS n FROM emp ORDER BY r, name
name | pay | r | n
Ann | 100 | 1 | 2
Cid | 90 | 2 | 1
Dee | 90 | 2 | 2
Bob | 80 | 4 | 1
eve | 10 | 5 | 1

> SELECT name, SUM(pay) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS two FROM emp ORDER BY id
name | two
Ann | 100
Bob | 180
Cid | 170
Dee | 180
eve | 100

> SELECT DISTINCT pay FROM emp ORDER BY 1 DESC LIMIT 2 OFFSET 1
pay
90
80

> SELECT name FROM emp WHERE name LIKE 'E%'
name
eve

> SELECT name FROM emp WHERE name IN ('ANN', 'dee') ORDER BY id
name
Ann
Dee

> SELECT CASE WHEN pay >= 90 THEN 'high' ELSE 'low' END AS level, COUNT(*) FROM emp GROUP BY level ORDER BY level
level | COUNT(*)
high | 3
low | 2

> SELECT name, dept FROM emp GROUP BY dept
ERROR 1055 (42000): Expression #1 of SELECT list is not in GROUP BY clause and contains nonaggregated column 'test.emp.name' which is not functionally dependent on columns in GROUP BY clause; this is incompatible with sql_mode=only_full_group_by

> SELECT nosuch FROM emp
ERROR 1054 (42S22): Unknown column 'nosuch' in 'field list'

> SELECT id FROM emp JOIN dept
ERROR 1052 (23000): Column 'id' in field list is ambiguous

> SELECT * FROM nosuch
ERROR 1146 (42S02): Table 'test.nosuch' doesn't exist

> SELECT GROUP_CONCAT(name ORDER BY id SEPARATOR '+') FROM emp
GROUP_CONCAT(name ORDER BY id SEPARATOR '+')
Ann+Bob+Cid+Dee+eve

> SELECT IFNULL(dept, 'none'), COALESCE(NULL, 2), NULLIF(1, 1), IF(1 > 2, 'a', 'b') FROM emp WHERE id = 5
IFNULL(dept, 'none') | COALESCE(NULL, 2) | NULLIF(1, 1) | IF(1 > 2, 'a', 'b')
none | 2 | NULL | b

> SELECT 7 / 2, 7 DIV 2, 7 % 3, -7 % 3, 1 / 0, 0.1 + 0.2, 1e0 / 3
7 / 2 | 7 DIV 2 | 7 % 3 | -7 % 3 | 1 / 0 | 0.1 + 0.2 | 1e0 / 3
3.5000 | 3 | 1 | -1 | NULL | 0.3 | 0.3333333333333333

> SELECT '1' + 1, 'abc' = 'ABC', 'a' = 'a ', NULL <=> NULL, 1 BETWEEN 0 AND 2
'1' + 1 | 'abc' = 'ABC' | 'a' = 'a ' | NULL <=> NULL | 1 BETWEEN 0 AND 2
2 | 1 | 0 | 1 | 1

> SELECT 18446744073709551615, 9223372036854775807 + 1
ERROR 1690 (22003): BIGINT value is out of range in '(9223372036854775807 + 1)'

> CREATE VIEW well_paid AS SELECT name, pay FROM emp WHERE pay >= 90
ok, 0 changed

> SELECT * FROM well_paid ORDER BY name
name | pay
Ann | 100
Cid | 90
Dee | 90

> SELECT SQL_CALC_FOUND_ROWS name FROM emp WHERE pay >= 90 ORDER BY name LIMIT 1
name
Ann

> SELECT FOUND_ROWS()
FOUND_ROWS()
3

> SELECT SQL_CALC_FOUND_ROWS name, 'x' FROM emp ORDER BY pay + 1, name LIMIT 1 OFFSET 1
name | x
Bob | x

> SELECT FOUND_ROWS()
FOUND_ROWS()
5

> SELECT 1e400
ERROR 1367 (22007): Illegal double '1e400' value found during parsing

> SELECT 1 WHERE -1e400 < 0
ERROR 1367 (22007): Illegal double '1e400' value found during parsing

> CREATE TABLE too_much (a DOUBLE DEFAULT 1e400)
ERROR 1367 (22007): Illegal double '1e400' value found during parsing

> SELECT _latin1'abc', _utf8mb4'é', HEX(_binary'é')
abc | é | HEX(_binary'é')
abc | é | C3A9

> SELECT _latin1'é'
ERROR 1235 (42000): This version of MySQL doesn't yet support 'the introducer _latin1 before what is not ASCII'

> SELECT _latin1'abd', _ascii x'e9'
ERROR 1235 (42000): This version of MySQL doesn't yet support 'the introducer _ascii before what is not ASCII'
