What each type stores and refuses.

> CREATE TABLE n (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT, e BIGINT, f BIGINT UNSIGNED, g DECIMAL(10,3), h FLOAT, i DOUBLE, j BIT(9), k BOOL)
ok, 0 changed

> INSERT INTO n VALUES (-128, 65535, 8388607, -2147483648, 9223372036854775807, 18446744073709551615, 1234567.8915, 1.5, 0.1, b'101', TRUE)
ok, 1 changed, 1 warnings

> SELECT a, b, c, d, e, f, g, h, i, j + 0, k FROM n
a | b | c | d | e | f | g | h | i | j + 0 | k
-128 | 65535 | 8388607 | -2147483648 | 9223372036854775807 | 18446744073709551615 | 1234567.892 | 1.5 | 0.1 | 5 | 1

> INSERT INTO n (a) VALUES (128)
ERROR 1264 (22003): Out of range value for column 'a' at row 1

> INSERT INTO n (b) VALUES (-1)
ERROR 1264 (22003): Out of range value for column 'b' at row 1

> INSERT INTO n (f) VALUES (18446744073709551616)
ERROR 1264 (22003): Out of range value for column 'f' at row 1

> INSERT INTO n (d) VALUES ('12abc')
ERROR 1265 (01000): Data truncated for column 'd' at row 1

> INSERT INTO n (g) VALUES (99999999)
ERROR 1264 (22003): Out of range value for column 'g' at row 1

> SELECT f FROM n WHERE f > 9223372036854775807
f
18446744073709551615

> CREATE TABLE s (a CHAR(5), b VARCHAR(5), c BINARY(4), d VARBINARY(4), e TEXT, f BLOB, g ENUM('red', 'green'), h SET('x', 'y', 'z'), i JSON)
ok, 0 changed

> INSERT INTO s VALUES ('ab  ', 'cd  ', 'ef', 'gh', 'text', x'00ff', 'green', 'z,x', '{"b": 1, "a": [1, 2]}')
ok, 1 changed

> SELECT CONCAT('[', a, ']'), CONCAT('[', b, ']'), HEX(c), HEX(d), e, HEX(f), g, g + 0, h, h + 0, i FROM s
CONCAT('[', a, ']') | CONCAT('[', b, ']') | HEX(c) | HEX(d) | e | HEX(f) | g | g + 0 | h | h + 0 | i
[ab] | [cd  ] | 65660000 | 6768 | text | 00FF | green | 2 | x,z | 5 | {"a": [1, 2], "b": 1}

> INSERT INTO s (a) VALUES ('toolong')
ERROR 1406 (22001): Data too long for column 'a' at row 1

> INSERT INTO s (g) VALUES ('blue')
ERROR 1265 (01000): Data truncated for column 'g' at row 1

> INSERT INTO s (h) VALUES ('w')
ERROR 1265 (01000): Data truncated for column 'h' at row 1

> INSERT INTO s (i) VALUES ('{bad')
ERROR 3140 (22032): Invalid JSON text: "Missing a name for object member." at position 1 in value for column 's.i'.

> SELECT i->'$.a[1]', i->>'$.b' FROM s
i->'$.a[1]' | i->>'$.b'
2 | 1

> CREATE TABLE d (a DATE, b DATETIME, c DATETIME(3), e TIME, f YEAR, g TIMESTAMP NULL)
ok, 0 changed

> INSERT INTO d VALUES ('2026-02-28', '2026-02-28 12:34:56.7', '2026-02-28 12:34:56.78951', '-838:59:59', 2026, '2026-01-01 00:00:00')
ok, 1 changed

> SELECT * FROM d
a | b | c | e | f | g
2026-02-28 | 2026-02-28 12:34:57 | 2026-02-28 12:34:56.790 | -838:59:59 | 2026 | 2026-01-01 00:00:00

> INSERT INTO d (a) VALUES ('2026-02-30')
ERROR 1292 (22007): Incorrect date value: '2026-02-30' for column 'a' at row 1

> INSERT INTO d (a) VALUES ('0000-00-00')
ERROR 1292 (22007): Incorrect date value: '0000-00-00' for column 'a' at row 1

> INSERT INTO d (e) VALUES ('839:00:00')
ERROR 1292 (22007): Incorrect time value: '839:00:00' for column 'e' at row 1

> SELECT a + INTERVAL 1 DAY, DATE_ADD(b, INTERVAL -1 MONTH), DATEDIFF('2026-03-01', a), YEAR(b), DATE_FORMAT(b, '%d.%m.%Y %H:%i') FROM d
a + INTERVAL 1 DAY | DATE_ADD(b, INTERVAL -1 MONTH) | DATEDIFF('2026-03-01', a) | YEAR(b) | DATE_FORMAT(b, '%d.%m.%Y %H:%i')
2026-03-01 | 2026-01-28 12:34:57 | 1 | 2026 | 28.02.2026 12:34

> SELECT COUNT(*) FROM d WHERE a = '2026-02-28' AND b > '2026-02-28' AND b < '2026-03-01'
COUNT(*)
1

> CREATE TABLE refused (g GEOMETRY)
ERROR 1235 (42000): This version of MySQL doesn't yet support 'GEOMETRY columns'

> CREATE TABLE beyond (d DATETIME NULL, t TIMESTAMP NULL, j JSON, e ENUM('a', 'b', 'c'), s SET('a', 'b', 'c'), n DECIMAL(5,2))
ok, 0 changed

> INSERT INTO beyond (d) VALUES ('9999-12-31 23:59:59.6')
ERROR 1441 (22008): Datetime function: datetime field overflow

> INSERT INTO beyond (j) VALUES ('{"b": 1e400}')
ERROR 3140 (22032): Invalid JSON text: "Number too big to be stored in double." at position 6 in value for column 'beyond.j'.

> INSERT INTO beyond (n) VALUES (CAST('x' AS BINARY))
ERROR 1366 (HY000): Incorrect decimal value: 'x' for column 'n' at row 1

> INSERT INTO beyond (e, s) VALUES (1.5, 2.5), (2.9, 6.9)
ok, 2 changed (Records: 2  Duplicates: 0  Warnings: 0)

> SELECT e, s FROM beyond
e | s
a | b
b | b,c
