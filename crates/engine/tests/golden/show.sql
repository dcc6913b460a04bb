What tools ask.

> CREATE TABLE parent (id INT NOT NULL AUTO_INCREMENT, name VARCHAR(50) COLLATE utf8mb4_bin DEFAULT 'x', made TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (id), UNIQUE KEY by_name (name)) COMMENT='a table'
ok, 0 changed

> CREATE TABLE child (id BIGINT UNSIGNED NOT NULL, parent_id INT, note TEXT, amount DECIMAL(10,2) NOT NULL DEFAULT '0.00', PRIMARY KEY (id), KEY idx (amount), CONSTRAINT child_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE, CHECK (amount >= 0))
ok, 0 changed

> SHOW CREATE TABLE parent
Table | Create Table
parent | CREATE TABLE `parent` (
    `id` int NOT NULL AUTO_INCREMENT,
    `name` varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'x',
    `made` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    PRIMARY KEY (`id`),
    UNIQUE KEY `by_name` (`name`)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='a table'

> SHOW CREATE TABLE child
Table | Create Table
child | CREATE TABLE `child` (
    `id` bigint unsigned NOT NULL,
    `parent_id` int DEFAULT NULL,
    `note` text,
    `amount` decimal(10,2) NOT NULL DEFAULT '0.00',
    PRIMARY KEY (`id`),
    KEY `idx` (`amount`),
    KEY `child_parent` (`parent_id`),
    CONSTRAINT `child_parent` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`) ON DELETE CASCADE,
    CONSTRAINT `child_chk_1` CHECK ((`amount` >= 0))
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci

> SHOW TABLES
Tables_in_test
child
parent

> SHOW FULL TABLES
Tables_in_test | Table_type
child | BASE TABLE
parent | BASE TABLE

> DESCRIBE child
Field | Type | Null | Key | Default | Extra
id | bigint unsigned | NO | PRI | NULL | 
parent_id | int | YES | MUL | NULL | 
note | text | YES |  | NULL | 
amount | decimal(10,2) | NO | MUL | 0.00 | 

> SHOW FULL COLUMNS FROM parent
Field | Type | Collation | Null | Key | Default | Extra | Privileges | Comment
id | int | NULL | NO | PRI | NULL | auto_increment | select,insert,update,references | 
name | varchar(50) | utf8mb4_bin | YES | UNI | x |  | select,insert,update,references | 
made | timestamp | NULL | YES |  | CURRENT_TIMESTAMP | DEFAULT_GENERATED on update CURRENT_TIMESTAMP | select,insert,update,references | 

> SHOW INDEX FROM child
Table | Non_unique | Key_name | Seq_in_index | Column_name | Collation | Cardinality | Sub_part | Packed | Null | Index_type | Comment | Index_comment | Visible | Expression
child | 0 | PRIMARY | 1 | id | A | 0 | NULL | NULL |  | BTREE |  |  | YES | NULL
child | 1 | idx | 1 | amount | A | 0 | NULL | NULL |  | BTREE |  |  | YES | NULL
child | 1 | child_parent | 1 | parent_id | A | 0 | NULL | NULL | YES | BTREE |  |  | YES | NULL

> SHOW DATABASES
Database
information_schema
performance_schema
test

> SELECT TABLE_NAME, ENGINE, TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME
TABLE_NAME | ENGINE | TABLE_COLLATION
child | InnoDB | utf8mb4_0900_ai_ci
parent | InnoDB | utf8mb4_0900_ai_ci

> SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.columns WHERE table_schema = 'test' AND table_name = 'parent' ORDER BY ORDINAL_POSITION
COLUMN_NAME | DATA_TYPE | COLUMN_TYPE | IS_NULLABLE | COLUMN_DEFAULT | EXTRA
id | int | int | NO | NULL | auto_increment
name | varchar | varchar(50) | YES | x | 
made | timestamp | timestamp | YES | CURRENT_TIMESTAMP | DEFAULT_GENERATED on update CURRENT_TIMESTAMP

> SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = 'test' ORDER BY TABLE_NAME, CONSTRAINT_NAME
CONSTRAINT_NAME | COLUMN_NAME | REFERENCED_TABLE_NAME | REFERENCED_COLUMN_NAME
child_parent | parent_id | parent | id
PRIMARY | id | NULL | NULL
by_name | name | NULL | NULL
PRIMARY | id | NULL | NULL

> SELECT CONSTRAINT_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS
CONSTRAINT_NAME | DELETE_RULE
child_parent | CASCADE

> SHOW VARIABLES LIKE 'character_set_client'
Variable_name | Value
character_set_client | utf8mb4

> SELECT @@sql_mode, @@autocommit, @@tx_isolation, @@version_comment
@@sql_mode | @@autocommit | @@tx_isolation | @@version_comment
ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION | 1 | REPEATABLE-READ | p2pdb, a decentralised database (Apache-2.0)

> /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */
ok, 0 changed

> SELECT @OLD_SQL_MODE
@OLD_SQL_MODE
ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION

> SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
ok, 0 changed

> SELECT @@collation_connection
@@collation_connection
utf8mb4_unicode_ci

> SHOW GRANTS
Grants for root@%
GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION

> SHOW ENGINES
Engine | Support | Comment | Transactions | XA | Savepoints
InnoDB | DEFAULT | Replicated tables with transactions and foreign keys (the name is kept for clients) | YES | NO | YES

> ALTER TABLE child ADD COLUMN extra INT DEFAULT 3 AFTER id, DROP COLUMN note, RENAME COLUMN amount TO total
ERROR 3959 (HY000): Check constraint 'child_chk_1' uses column 'amount', hence column cannot be dropped or renamed.

> SHOW CREATE TABLE child
Table | Create Table
child | CREATE TABLE `child` (
    `id` bigint unsigned NOT NULL,
    `parent_id` int DEFAULT NULL,
    `note` text,
    `amount` decimal(10,2) NOT NULL DEFAULT '0.00',
    PRIMARY KEY (`id`),
    KEY `idx` (`amount`),
    KEY `child_parent` (`parent_id`),
    CONSTRAINT `child_parent` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`) ON DELETE CASCADE,
    CONSTRAINT `child_chk_1` CHECK ((`amount` >= 0))
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci

> RENAME TABLE child TO kid
ok, 0 changed

> SHOW TABLES LIKE 'k%'
Tables_in_test (k%)
kid

> DROP TABLE kid, parent
ok, 0 changed

> CREATE USER bob
ok, 0 changed
