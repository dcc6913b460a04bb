"""The database that is dumped and read back: every type, awkward names and values, keys, views."""

SQL = r"""
CREATE TABLE `kinds` (`id` bigint unsigned NOT NULL AUTO_INCREMENT, `d` decimal(30,10) DEFAULT '-0.5000000000', `f` float, `g` double,
  `s` smallint(5) unsigned zerofill, `ch` char(5) COLLATE utf8mb4_bin, `vc` varchar(100) DEFAULT 'it''s \\ "q"', `bin` binary(4),
  `vb` varbinary(20), `bl` longblob, `tx` mediumtext, `j` json, `e` enum('a','it''s','ü'), `st` set('x','y','z'), `bits` bit(12),
  `da` date, `ti` time(3), `dt` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), `ts` timestamp NULL DEFAULT NULL,
  `y` year, `in visible` int INVISIBLE, `new col``umn` int DEFAULT (1 + 2) COMMENT 'says ''hi''', PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`vc`,`e`), KEY `by prefix` (`tx`(20)), KEY `k` (`d` DESC), CONSTRAINT `positive` CHECK (`s` >= 0)) COMMENT='all of them';
INSERT INTO kinds (d, f, g, s, ch, vc, bin, vb, bl, tx, j, e, st, bits, da, ti, dt, ts, y) VALUES
  (12345678901234567890.0123456789, 1.5, 1e300, 7, 'a', 'né😀', X'00FF2700', X'5C0A0D1A', X'00010203', 'line\nline\ttab\0nul', '{"b":[1,2.50,null],"a":"\\"q\\""}',
   'it''s', 'x,z', b'101', '2024-02-29', '-838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', 2155),
  (NULL, NULL, NULL, NULL, NULL, '', NULL, '', '', '', 'null', NULL, '', NULL, NULL, NULL, '2024-01-01 00:00:00', NULL, NULL),
  (-1, -0.0, 0.1, 65535, '', 'A', 'ab', NULL, NULL, 'x', '"text"', 'ü', 'y', b'111111111111', '1000-01-01', '12:34:56.789', '1000-01-01 00:00:00', '1970-01-01 00:00:01', 1901);
CREATE TABLE `par``ent` (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE child (id int PRIMARY KEY, a int, b int, CONSTRAINT `fk c` FOREIGN KEY (a, b) REFERENCES `par``ent` (a, b) ON DELETE CASCADE ON UPDATE SET NULL);
CREATE TABLE `A first` (id int PRIMARY KEY, c int, CONSTRAINT fk_late FOREIGN KEY (c) REFERENCES child (id));
CREATE TABLE no_key (n int, t text);
INSERT INTO `par``ent` VALUES (1, 2), (3, 4);
INSERT INTO child VALUES (1, 1, 2), (2, NULL, NULL);
INSERT INTO `A first` VALUES (1, 2), (2, NULL);
INSERT INTO no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
CREATE VIEW v1 AS SELECT c.id, p.b AS `the b` FROM child c LEFT JOIN `par``ent` p ON p.a = c.a AND p.b = c.b WHERE c.id > 0;
CREATE VIEW a_view AS SELECT COUNT(*) AS n FROM v1;
"""
