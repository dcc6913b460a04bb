What each type stores and refuses.

> CREATE TABLE n (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT, e BIGINT, f BIGINT UNSIGNED, g DECIMAL(10,3), h FLOAT, i DOUBLE, j BIT(9), k BOOL)

> INSERT INTO n VALUES (-128, 65535, 8388607, -2147483648, 9223372036854775807, 18446744073709551615, 1234567.8915, 1.5, 0.1, b'101', TRUE)

> SELECT a, b, c, d, e, f, g, h, i, j + 0, k FROM n

> INSERT INTO n (a) VALUES (128)

> INSERT INTO n (b) VALUES (-1)

> INSERT INTO n (f) VALUES (18446744073709551616)

> INSERT INTO n (d) VALUES ('12abc')

> INSERT INTO n (g) VALUES (99999999)

> SELECT f FROM n WHERE f > 9223372036854775807

> CREATE TABLE s (a CHAR(5), b VARCHAR(5), c BINARY(4), d VARBINARY(4), e TEXT, f BLOB, g ENUM('red', 'green'), h SET('x', 'y', 'z'), i JSON)

> INSERT INTO s VALUES ('ab  ', 'cd  ', 'ef', 'gh', 'text', x'00ff', 'green', 'z,x', '{"b": 1, "a": [1, 2]}')

> SELECT CONCAT('[', a, ']'), CONCAT('[', b, ']'), HEX(c), HEX(d), e, HEX(f), g, g + 0, h, h + 0, i FROM s

> INSERT INTO s (a) VALUES ('toolong')

> INSERT INTO s (g) VALUES ('blue')

> INSERT INTO s (h) VALUES ('w')

> INSERT INTO s (i) VALUES ('{bad')

> SELECT i->'$.a[1]', i->>'$.b' FROM s

> CREATE TABLE d (a DATE, b DATETIME, c DATETIME(3), e TIME, f YEAR, g TIMESTAMP NULL)

> INSERT INTO d VALUES ('2026-02-28', '2026-02-28 12:34:56.7', '2026-02-28 12:34:56.78951', '-838:59:59', 2026, '2026-01-01 00:00:00')

> SELECT * FROM d

> INSERT INTO d (a) VALUES ('2026-02-30')

> INSERT INTO d (a) VALUES ('0000-00-00')

> INSERT INTO d (e) VALUES ('839:00:00')

> SELECT a + INTERVAL 1 DAY, DATE_ADD(b, INTERVAL -1 MONTH), DATEDIFF('2026-03-01', a), YEAR(b), DATE_FORMAT(b, '%d.%m.%Y %H:%i') FROM d

> SELECT COUNT(*) FROM d WHERE a = '2026-02-28' AND b > '2026-02-28' AND b < '2026-03-01'

> CREATE TABLE refused (g GEOMETRY)
