Rows in and out, and what the client is told about them.

> CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL, price DECIMAL(8,2) DEFAULT '1.50', UNIQUE KEY by_name (name))
ok, 0 changed

> INSERT INTO item (name) VALUES ('apple')
ok, 1 changed, id 1

> INSERT INTO item (name, price) VALUES ('pear', 2), ('plum', 2.345)
ok, 2 changed, id 2, 1 warnings (Records: 2  Duplicates: 0  Warnings: 1)

> SELECT * FROM item ORDER BY id
id | name | price
1 | apple | 1.50
2 | pear | 2.00
3 | plum | 2.35

> INSERT INTO item (name) VALUES ('apple')
ERROR 1062 (23000): Duplicate entry 'apple' for key 'item.by_name'

> INSERT IGNORE INTO item (name) VALUES ('apple'), ('fig')
ok, 1 changed, id 5, 1 warnings (Records: 2  Duplicates: 1  Warnings: 1)

> SHOW WARNINGS
Level | Code | Message
Warning | 1062 | Duplicate entry 'apple' for key 'item.by_name'

> INSERT INTO item (name, price) VALUES ('fig', 9) ON DUPLICATE KEY UPDATE price = VALUES(price)
ok, 2 changed, id 5

> INSERT INTO item (name, price) VALUES ('fig', 9) AS new ON DUPLICATE KEY UPDATE price = new.price + 1
ok, 2 changed, id 5

> REPLACE INTO item (id, name, price) VALUES (1, 'apple', 7)
ok, 2 changed, id 1

> UPDATE item SET price = price * 2 WHERE id <= 2
ok, 2 changed (Rows matched: 2  Changed: 2  Warnings: 0)

> UPDATE item SET price = price WHERE id <= 2
ok, 0 changed (Rows matched: 2  Changed: 0  Warnings: 0)

> UPDATE item SET name = 'apple' WHERE name = 'pear'
ERROR 1062 (23000): Duplicate entry 'apple' for key 'item.by_name'

> UPDATE item SET price = 0 ORDER BY id DESC LIMIT 1
ok, 1 changed (Rows matched: 1  Changed: 1  Warnings: 0)

> DELETE FROM item WHERE price = 0
ok, 1 changed

> DELETE FROM item ORDER BY id LIMIT 1
ok, 1 changed

> SELECT id, name, price FROM item ORDER BY id
id | name | price
2 | pear | 4.00
3 | plum | 2.35

> TRUNCATE TABLE item
ok, 0 changed

> INSERT INTO item (name) VALUES ('again')
ok, 1 changed, id 1

> SELECT LAST_INSERT_ID(), COUNT(*) FROM item
LAST_INSERT_ID() | COUNT(*)
1 | 1

> INSERT INTO item (name) VALUES (NULL)
ERROR 1048 (23000): Column 'name' cannot be null

> INSERT INTO item (price) VALUES (1)
ERROR 1364 (HY000): Field 'name' doesn't have a default value

> INSERT INTO item (name) VALUES ('a name that is much too long for it')
ERROR 1406 (22001): Data too long for column 'name' at row 1

> INSERT INTO item (name, price) VALUES ('big', 12345678)
ERROR 1264 (22003): Out of range value for column 'price' at row 1

> INSERT INTO item (nosuch) VALUES (1)
ERROR 1054 (42S22): Unknown column 'nosuch' in 'field list'

> INSERT INTO nosuch VALUES (1)
ERROR 1146 (42S02): Table 'test.nosuch' doesn't exist

> INSERT INTO item (name, price) SELECT CONCAT(name, '2'), price + 1 FROM item
ok, 1 changed, id 2 (Records: 1  Duplicates: 0  Warnings: 0)

> SELECT name, price FROM item ORDER BY name
name | price
again | 1.50
again2 | 2.50
