Joins, subqueries, set operations, CTEs, windows, groups.

> CREATE TABLE dept (id INT PRIMARY KEY, name VARCHAR(20))

> CREATE TABLE emp (id INT PRIMARY KEY, name VARCHAR(20), dept INT, pay INT, boss INT)

> INSERT INTO dept VALUES (1, 'tools'), (2, 'toys'), (3, 'empty')

> INSERT INTO emp VALUES (1, 'Ann', 1, 100, NULL), (2, 'Bob', 1, 80, 1), (3, 'Cid', 2, 90, 1), (4, 'Dee', 2, 90, 3), (5, 'eve', NULL, 10, 4)

> SELECT e.name, d.name FROM emp e JOIN dept d ON d.id = e.dept ORDER BY e.id

> SELECT d.name, e.name FROM dept d LEFT JOIN emp e ON e.dept = d.id ORDER BY d.id, e.id

> SELECT d.name, COUNT(e.id) AS n, AVG(e.pay) FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.id ORDER BY n DESC, d.id

> SELECT dept, SUM(pay) FROM emp GROUP BY dept HAVING SUM(pay) > 100 ORDER BY dept

> SELECT name FROM emp WHERE pay = (SELECT MAX(pay) FROM emp)

> SELECT name FROM emp e WHERE EXISTS (SELECT 1 FROM emp b WHERE b.boss = e.id) ORDER BY name

> SELECT name FROM emp WHERE dept NOT IN (SELECT id FROM dept WHERE name = 'toys') ORDER BY id

> SELECT name FROM emp WHERE pay > ALL (SELECT pay FROM emp WHERE dept = 2)

> SELECT name FROM dept UNION SELECT name FROM emp WHERE id < 3 ORDER BY name

> SELECT 1 UNION ALL SELECT 1

> WITH RECURSIVE chain AS (SELECT id, name, 0 AS depth FROM emp WHERE boss IS NULL UNION ALL SELECT e.id, e.name, c.depth + 1 FROM emp e JOIN chain c ON e.boss = c.id) SELECT name, depth FROM chain ORDER BY depth, name

> SELECT name, pay, RANK() OVER (ORDER BY pay DESC) AS r, ROW_NUMBER() OVER (PARTITION BY dept ORDER BY pay, id) AS n FROM emp ORDER BY r, name

> SELECT name, SUM(pay) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS two FROM emp ORDER BY id

> SELECT DISTINCT pay FROM emp ORDER BY 1 DESC LIMIT 2 OFFSET 1

> SELECT name FROM emp WHERE name LIKE 'E%'

> SELECT name FROM emp WHERE name IN ('ANN', 'dee') ORDER BY id

> SELECT CASE WHEN pay >= 90 THEN 'high' ELSE 'low' END AS level, COUNT(*) FROM emp GROUP BY level ORDER BY level

> SELECT name, dept FROM emp GROUP BY dept

> SELECT nosuch FROM emp

> SELECT id FROM emp JOIN dept

> SELECT * FROM nosuch

> SELECT GROUP_CONCAT(name ORDER BY id SEPARATOR '+') FROM emp

> SELECT IFNULL(dept, 'none'), COALESCE(NULL, 2), NULLIF(1, 1), IF(1 > 2, 'a', 'b') FROM emp WHERE id = 5

> SELECT 7 / 2, 7 DIV 2, 7 % 3, -7 % 3, 1 / 0, 0.1 + 0.2, 1e0 / 3

> SELECT '1' + 1, 'abc' = 'ABC', 'a' = 'a ', NULL <=> NULL, 1 BETWEEN 0 AND 2

> SELECT 18446744073709551615, 9223372036854775807 + 1

> CREATE VIEW well_paid AS SELECT name, pay FROM emp WHERE pay >= 90

> SELECT * FROM well_paid ORDER BY name
