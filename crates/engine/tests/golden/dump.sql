What mysqldump and mariadb-dump send.

> CREATE DATABASE shop
ok, 1 changed

> CREATE TABLE shop.till (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))
ok, 0 changed

> INSERT INTO shop.till (name) VALUES ('a'), ('b')
ok, 2 changed, id 1 (Records: 2  Duplicates: 0  Warnings: 0)

> /*!40100 SET @@SQL_MODE='' */
ok, 0 changed

> /*!40103 SET TIME_ZONE='+00:00' */
ok, 0 changed

> /*!80000 SET SESSION information_schema_stats_expiry=0 */
ok, 0 changed

> SET SESSION NET_READ_TIMEOUT= 86400, SESSION NET_WRITE_TIMEOUT= 86400
ok, 0 changed

> FLUSH /*!40101 LOCAL */ TABLES
ok, 0 changed

> SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
ok, 0 changed

> START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */
ok, 0 changed

> SHOW VARIABLES LIKE 'gtid\_mode'
Variable_name | Value
gtid_mode | OFF

> UNLOCK TABLES
ok, 0 changed

> SELECT LOGFILE_GROUP_NAME, FILE_NAME, TOTAL_EXTENTS, INITIAL_SIZE, ENGINE, EXTRA FROM INFORMATION_SCHEMA.FILES WHERE ENGINE = 'ndbcluster' AND FILE_TYPE = 'UNDO LOG' AND FILE_NAME IS NOT NULL AND LOGFILE_GROUP_NAME IS NOT NULL AND LOGFILE_GROUP_NAME IN (SELECT DISTINCT LOGFILE_GROUP_NAME FROM INFORMATION_SCHEMA.FILES WHERE ENGINE = 'ndbcluster' AND FILE_TYPE = 'DATAFILE' AND TABLESPACE_NAME IN (SELECT DISTINCT TABLESPACE_NAME FROM INFORMATION_SCHEMA.PARTITIONS WHERE TABLE_SCHEMA IN ('shop'))) GROUP BY LOGFILE_GROUP_NAME, FILE_NAME, ENGINE, TOTAL_EXTENTS, INITIAL_SIZE ORDER BY LOGFILE_GROUP_NAME
LOGFILE_GROUP_NAME | FILE_NAME | TOTAL_EXTENTS | INITIAL_SIZE | ENGINE | EXTRA

> SELECT DISTINCT TABLESPACE_NAME, FILE_NAME, LOGFILE_GROUP_NAME, EXTENT_SIZE, INITIAL_SIZE, ENGINE FROM INFORMATION_SCHEMA.FILES WHERE FILE_TYPE = 'DATAFILE' AND TABLESPACE_NAME IN (SELECT DISTINCT TABLESPACE_NAME FROM INFORMATION_SCHEMA.PARTITIONS WHERE TABLE_SCHEMA IN ('shop')) ORDER BY TABLESPACE_NAME, LOGFILE_GROUP_NAME
TABLESPACE_NAME | FILE_NAME | LOGFILE_GROUP_NAME | EXTENT_SIZE | INITIAL_SIZE | ENGINE

> SHOW VARIABLES LIKE 'ndbinfo\_version'
Variable_name | Value

> SHOW CREATE DATABASE IF NOT EXISTS `shop`
Database | Create Database
shop | CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */

> USE shop
ok, 0 changed

> SAVEPOINT sp
ok, 0 changed

> show tables
Tables_in_shop
till

> SET SQL_QUOTE_SHOW_CREATE=1
ok, 0 changed

> SET SESSION character_set_results = 'binary'
ok, 0 changed

> show create table `till`
Table | Create Table
till | CREATE TABLE `till` (
    `id` int NOT NULL AUTO_INCREMENT,
    `name` varchar(20) DEFAULT NULL,
    PRIMARY KEY (`id`)
  ) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci

> SET SESSION character_set_results = 'utf8mb4'
ok, 0 changed

> show fields from `till`
Field | Type | Null | Key | Default | Extra
id | int | NO | PRI | NULL | auto_increment
name | varchar(20) | YES |  | NULL | 

> SELECT /*!40001 SQL_NO_CACHE */ * FROM `till`
id | name
1 | a
2 | b

> select @@collation_database
@@collation_database
utf8mb4_0900_ai_ci

> SHOW TRIGGERS LIKE 'till'
Trigger | Event | Table | Statement | Timing | Created | sql_mode | Definer | character_set_client | collation_connection | Database Collation

> SELECT COLUMN_NAME, JSON_EXTRACT(HISTOGRAM, '$."number-of-buckets-specified"') FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = 'shop' AND TABLE_NAME = 'till'
COLUMN_NAME | JSON_EXTRACT(HISTOGRAM, '$."number-of-buckets-specified"')

> ROLLBACK TO SAVEPOINT sp
ok, 0 changed

> RELEASE SAVEPOINT sp
ok, 0 changed

> show events
Db | Name | Definer | Time zone | Type | Execute at | Interval value | Interval field | Starts | Ends | Status | Originator | character_set_client | collation_connection | Database Collation

> SHOW FUNCTION STATUS WHERE Db = 'shop'
Db | Name | Type | Definer | Modified | Created | Security_type | Comment | character_set_client | collation_connection | Database Collation

> SHOW PROCEDURE STATUS WHERE Db = 'shop'
Db | Name | Type | Definer | Modified | Created | Security_type | Comment | character_set_client | collation_connection | Database Collation

> LOCK TABLES `till` READ /*!32311 LOCAL */
ok, 0 changed

> UNLOCK TABLES
ok, 0 changed

> FLUSH TABLES WITH READ LOCK
ok, 0 changed

> SET SQL_QUOTE_SHOW_CREATE=0
ERROR 1235 (42000): This version of MySQL doesn't yet support 'sql_quote_show_create = 0'

> SHOW VARIABLES WHERE Variable_name IN ('autocommit', 'sql_quote_show_create')
Variable_name | Value
autocommit | ON
sql_quote_show_create | ON

UNLOCK TABLES ends only what LOCK TABLES began.

> LOCK TABLES till WRITE
ok, 0 changed

> INSERT INTO till (name) VALUES ('c')
ok, 1 changed, id 3

> BEGIN
ok, 0 changed

> INSERT INTO till (name) VALUES ('d')
ok, 1 changed, id 4

> UNLOCK TABLES
ok, 0 changed

> ROLLBACK
ok, 0 changed

> SELECT COUNT(*) FROM till
COUNT(*)
3
