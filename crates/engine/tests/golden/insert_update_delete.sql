Rows in and out, and what the client is told about them.

> CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL, price DECIMAL(8,2) DEFAULT '1.50', UNIQUE KEY by_name (name))

> INSERT INTO item (name) VALUES ('apple')

> INSERT INTO item (name, price) VALUES ('pear', 2), ('plum', 2.345)

> SELECT * FROM item ORDER BY id

> INSERT INTO item (name) VALUES ('apple')

> INSERT IGNORE INTO item (name) VALUES ('apple'), ('fig')

> SHOW WARNINGS

> INSERT INTO item (name, price) VALUES ('fig', 9) ON DUPLICATE KEY UPDATE price = VALUES(price)

> INSERT INTO item (name, price) VALUES ('fig', 9) AS new ON DUPLICATE KEY UPDATE price = new.price + 1

> REPLACE INTO item (id, name, price) VALUES (1, 'apple', 7)

> UPDATE item SET price = price * 2 WHERE id <= 2

> UPDATE item SET price = price WHERE id <= 2

> UPDATE item SET name = 'apple' WHERE name = 'pear'

> UPDATE item SET price = 0 ORDER BY id DESC LIMIT 1

> DELETE FROM item WHERE price = 0

> DELETE FROM item ORDER BY id LIMIT 1

> SELECT id, name, price FROM item ORDER BY id

> TRUNCATE TABLE item

> INSERT INTO item (name) VALUES ('again')

> SELECT LAST_INSERT_ID(), COUNT(*) FROM item

> INSERT INTO item (name) VALUES (NULL)

> INSERT INTO item (price) VALUES (1)

> INSERT INTO item (name) VALUES ('a name that is much too long for it')

> INSERT INTO item (name, price) VALUES ('big', 12345678)

> INSERT INTO item (nosuch) VALUES (1)

> INSERT INTO nosuch VALUES (1)

> INSERT INTO item (name, price) SELECT CONCAT(name, '2'), price + 1 FROM item

> SELECT name, price FROM item ORDER BY name
