//! A short run of what `cargo fuzz` does for hours (see docs/testing.md): all statements that the tests hold, changed at
//! random, as text and as prepared statements. The numbers are drawn from a fixed seed, so a failure comes again; it
//! prints the input.

#[path = "fuzz/mod.rs"]
mod body;
mod support;

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use body::World;

/// Changed inputs of each kind; `P2PDB_FUZZ_INPUTS` says another number.
const INPUTS: usize = 10_000;
/// An input that takes this long hangs.
const HANGS: Duration = Duration::from_secs(60);

/// What is put in between.
const WORDS: &[&str] = &[
    "NULL",
    "''",
    "(",
    ")",
    ",",
    "'",
    "\"",
    "`",
    "/*",
    "*/",
    "--",
    ";",
    "?",
    "@a",
    "@@sql_mode",
    "0x",
    "x'0'",
    "1e400",
    "-",
    "18446744073709551616",
    "-9223372036854775808",
    "99999999999999999999999999999999999.9999999999",
    "'2024-02-30'",
    "'-838:59:59'",
    "DISTINCT",
    "ALL",
    "ANY",
    "EXISTS",
    "IN",
    "LIKE",
    "REGEXP",
    "BETWEEN",
    "INTERVAL 1 DAY",
    "COLLATE utf8mb4_bin",
    "_binary",
    "CAST(",
    "AS JSON)",
    "OVER ()",
    "GROUP BY 1",
    "WITH ROLLUP",
    "ORDER BY 2 DESC",
    "LIMIT 0",
    "HAVING 1",
    "UNION",
    "t",
    "u",
    "v",
    "id",
    "b",
    "*",
    "t.*",
    ":=",
    "->>'$.k'",
    "\0",
    "é",
    "💥",
    "SELECT",
    "FROM",
    "WHERE",
    "VALUES",
    "SET",
    "DEFAULT",
    "ON DUPLICATE KEY UPDATE",
    "INSERT",
    "FOR UPDATE",
    "DIV",
    "<=>",
    "||",
    "GROUP_CONCAT(",
    "COUNT(*)",
    "BEGIN",
    "END",
    "IF",
    "THEN",
    "LOOP",
    "DECLARE",
    "HANDLER FOR SQLEXCEPTION",
    "CALL p(1, @o)",
    "f(a)",
    "NEW.",
    "RETURN",
];

fn number() -> usize {
    let said = std::env::var("P2PDB_FUZZ_INPUTS").ok();
    said.map_or(INPUTS, |n| n.parse().expect("P2PDB_FUZZ_INPUTS is a number"))
}

/// Statements on the tables of the small database: about as many inputs come from these as from all others.
const OWN: &[&str] = &[
    "SELECT * FROM t JOIN u ON t.id = u.t_id WHERE a > 5 ORDER BY b DESC, n LIMIT 2",
    "SELECT a, COUNT(*), SUM(c), AVG(g), GROUP_CONCAT(b ORDER BY id SEPARATOR '-') FROM t GROUP BY a WITH ROLLUP HAVING COUNT(*) > 0",
    "SELECT id, ROW_NUMBER() OVER (PARTITION BY e ORDER BY c DESC), LAG(a, 1, 0) OVER w FROM t WINDOW w AS (ORDER BY id)",
    "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT n, n * 1.5 FROM r WHERE n IN (SELECT id FROM t)",
    "SELECT f->'$.k', f->>'$.k[0]', JSON_EXTRACT(f, '$.k[1]'), JSON_SET(f, '$.x', a), 1 MEMBER OF (f->'$.k') FROM t WHERE id = 1",
    "SELECT d + INTERVAL 3 MONTH, DATE_FORMAT(d, '%Y-%m-%d %H:%i:%s.%f'), TIMESTAMPDIFF(DAY, d, '2025-01-01'), YEAR(d) FROM t",
    "SELECT CAST(c AS SIGNED), CAST(b AS DECIMAL(20,5)), CAST('12:34' AS TIME), CONVERT(a USING utf8mb4), HEX(h), b + 0 FROM t",
    "SELECT CASE WHEN a IS NULL THEN 'none' WHEN a < 15 THEN b ELSE e END, IF(a > 1, c, g), COALESCE(b, d, a), a <=> NULL FROM t",
    "SELECT CONCAT_WS(',', a, b, c), SUBSTRING(b, 2, 3), LPAD(b, 10, 'x'), REGEXP_REPLACE(b, '[a-z]', '_'), b LIKE 'o%' FROM t",
    "SELECT (SELECT MAX(n) FROM u WHERE u.t_id = t.id) AS m, EXISTS (SELECT 1 FROM u WHERE n > 5), a DIV 3, a % 3, a / 7 FROM t",
    "SELECT id FROM t UNION ALL SELECT n FROM u UNION SELECT y FROM u ORDER BY 1 LIMIT 3 OFFSET 1",
    "SELECT x.id, v.b FROM (SELECT id, a FROM t WHERE a BETWEEN 1 AND 30) x LEFT JOIN v USING (id) WHERE (x.a, v.b) <> (1, 'q')",
    "SELECT s & 3, FIND_IN_SET('q', s), z | 8, ~n, n << 2, m, SEC_TO_TIME(3601), MAKETIME(1, 2, 3.5), y + 1 FROM u",
    "INSERT INTO t (a, b, c, d, e, f) VALUES (30, 'three', 3.14159, NOW(3), 'y', '[1, 2, 3]'), (40, 'four', 4, '2024-01-01', 2, NULL)",
    "INSERT INTO t (id, b) VALUES (1, 'one') AS new ON DUPLICATE KEY UPDATE a = a + 1, b = CONCAT(new.b, '!')",
    "INSERT IGNORE INTO u SELECT id + 10, id, a, '', 2000, '01:02:03', b'101' FROM t WHERE a IS NOT NULL",
    "REPLACE INTO t (id, a, b) VALUES (2, 22, 'two')",
    "UPDATE t SET a = a + 1, c = c * 2, d = DATE_ADD(d, INTERVAL 1 DAY), b = UPPER(b) WHERE id IN (1, 2) ORDER BY id LIMIT 1",
    "UPDATE t JOIN u ON t.id = u.t_id SET t.a = u.n, u.n = 5 WHERE u.y > 1990",
    "DELETE t, u FROM t JOIN u ON t.id = u.t_id WHERE t.id = 2",
    "DELETE FROM t WHERE b = 'one' OR c < 0 ORDER BY id DESC LIMIT 1",
    "ALTER TABLE t ADD COLUMN k INT NOT NULL DEFAULT 7 AFTER a, DROP KEY a, MODIFY b VARCHAR(40), RENAME COLUMN g TO gg",
    "CREATE TABLE w (id INT PRIMARY KEY, p DECIMAL(65,30), q CHAR(3) COLLATE utf8mb4_bin, r INT AS (id * 2) STORED, KEY (q))",
    "CREATE OR REPLACE VIEW v AS SELECT a, COUNT(*) AS n FROM t GROUP BY a",
    "SET @x = (SELECT MAX(a) FROM t), @y = 'q', sql_mode = 'ANSI_QUOTES', time_zone = '+05:30'",
    "SHOW COLUMNS FROM t WHERE Field LIKE 'a%'",
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'test' ORDER BY 1, 2",
    "PREPARE s FROM 'SELECT a FROM t WHERE id = ? AND b LIKE ?'; SET @i = 1; EXECUTE s USING @i, @y; DEALLOCATE PREPARE s",
    "START TRANSACTION; SAVEPOINT q; UPDATE t SET a = 0; ROLLBACK TO q; COMMIT",
    "EXPLAIN SELECT * FROM t WHERE a = 1",
    "CREATE PROCEDURE q(IN x INT, OUT y INT, INOUT z VARCHAR(9)) BEGIN DECLARE i INT DEFAULT 0; DECLARE done BOOL DEFAULT FALSE; \
     DECLARE c CURSOR FOR SELECT a FROM t WHERE id > x FOR UPDATE; DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE; OPEN c; \
     l: LOOP FETCH c INTO i; IF done THEN LEAVE l; ELSEIF i > 15 THEN ITERATE l; END IF; SET y = IFNULL(y, 0) + i; END LOOP; CLOSE c; \
     CASE y WHEN 1 THEN SELECT 'one'; ELSE BEGIN END; END CASE; SET z = CONCAT(z, '!'); SELECT y, z; END; \
     SET @z = 'a'; CALL q(0, @y, @z)",
    "CREATE PROCEDURE q(n INT) BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLWARNING BEGIN GET STACKED DIAGNOSTICS CONDITION 1 \
     @m = MESSAGE_TEXT, @e = MYSQL_ERRNO; RESIGNAL SET MESSAGE_TEXT = 'again'; END; WHILE n > 0 DO SET n = n - 1; \
     INSERT INTO t (id, b) VALUES (n, REPEAT('b', n)); END WHILE; REPEAT SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 5; UNTIL 1 END REPEAT; \
     END; CALL q(3)",
    "CREATE FUNCTION f2(x INT, s VARCHAR(20)) RETURNS VARCHAR(40) DETERMINISTIC READS SQL DATA BEGIN DECLARE r TEXT DEFAULT ''; \
     SELECT GROUP_CONCAT(b) INTO r FROM t WHERE a < x; IF r IS NULL THEN RETURN s; END IF; RETURN CONCAT(r, s); END; \
     SELECT id, f2(a, b), f(id) FROM t WHERE f(a) > 3 ORDER BY f2(id, e)",
    "CREATE FUNCTION w() RETURNS INT MODIFIES SQL DATA BEGIN UPDATE u SET n = n + 1; INSERT INTO t (a) VALUES (f(2)); RETURN \
     LAST_INSERT_ID(); END; SELECT w() + 1; SET @x = w(); INSERT INTO t (a, c) VALUES (w(), 2), (3, w()); DO w()",
    "CREATE TRIGGER bu BEFORE UPDATE ON t FOR EACH ROW BEGIN SET NEW.b = LOWER(OLD.b), NEW.a = f(NEW.a); IF NEW.a > 90 THEN SIGNAL \
     SQLSTATE '45000'; END IF; END; CREATE TRIGGER ad AFTER DELETE ON t FOR EACH ROW DELETE FROM u WHERE t_id = OLD.id; \
     UPDATE t SET a = a + 1; REPLACE INTO t (id, b) VALUES (1, 'one'); DELETE FROM t LIMIT 2",
    "CALL p(2, @o); SELECT @o, f(3); CALL p(-1, @o)",
    "PREPARE s FROM 'CALL p(?, ?)'; SET @i = 2; EXECUTE s USING @i, @o; CREATE OR REPLACE VIEW v AS SELECT id, f(a) AS n FROM t",
    "ALTER PROCEDURE p COMMENT 'c' SQL SECURITY INVOKER; SHOW CREATE PROCEDURE p; DROP TRIGGER bi; DROP FUNCTION IF EXISTS f",
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'm', MYSQL_ERRNO = 1234; GET DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT; SHOW WARNINGS",
];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// Every statement in the golden scripts of this crate and of p2pdb-sql.
fn seeds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for dir in [root.join("tests/golden"), root.join("../sql/tests/golden"), root.join("../sql/tests/query")]
    {
        let Ok(files) = std::fs::read_dir(&dir) else { continue };
        let mut files: Vec<_> = files.map(|f| f.expect("a file").path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a script");
            let statements = text.lines().filter_map(|l| l.strip_prefix("> ")).map(str::to_owned);
            seeds.extend(statements);
        }
    }
    assert!(seeds.len() > 500, "{} seeds", seeds.len());
    seeds
}

fn changed(dice: &mut Dice, seeds: &[String]) -> Vec<u8> {
    let mut text = match dice.below(2) {
        0 => OWN[dice.below(OWN.len())].as_bytes().to_vec(),
        _ => seeds[dice.below(seeds.len())].clone().into_bytes(),
    };
    for _ in 0..dice.below(4) {
        let (a, b) = (dice.below(text.len() + 1), dice.below(text.len() + 1));
        let (a, b) = (a.min(b), a.max(b));
        match dice.below(6) {
            0 => drop(text.drain(a..b.min(a + 12))),
            1 => {
                let again = text[a..b.min(a + 40)].to_vec();
                drop(text.splice(a..a, again));
            }
            2 => {
                let other = seeds[dice.below(seeds.len())].as_bytes();
                let from = dice.below(other.len());
                drop(text.splice(a..b.min(a + 20), other[from..].iter().take(40).copied()));
            }
            3 => {
                let byte = dice.below(256) as u8;
                if let Some(at) = text.get_mut(a) {
                    *at = byte;
                }
            }
            4 => {
                let n = 1 << dice.below(12);
                drop(text.splice(a..a, std::iter::repeat_n(b"(-!~["[dice.below(5)], n)));
            }
            _ => {
                let word = WORDS[dice.below(WORDS.len())];
                drop(text.splice(a..a, format!(" {word} ").into_bytes()));
            }
        }
    }
    text
}

/// Runs inputs on a thread of its own and fails, with the input, when one panics or hangs.
fn survive(inputs: Vec<Vec<u8>>, run: fn(&mut World, &[u8])) {
    let (tell, told) = mpsc::channel::<Vec<u8>>();
    let count = inputs.len() as u32;
    let worker = std::thread::Builder::new().stack_size(8 << 20).spawn(move || {
        let mut world = World::new();
        for input in inputs {
            tell.send(input.clone()).expect("the test listens");
            run(&mut world, &input);
        }
        world.done
    });
    let worker = worker.expect("a thread");
    let mut last = Vec::new();
    loop {
        match told.recv_timeout(HANGS) {
            Ok(input) => last = input,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("this hangs: {}", String::from_utf8_lossy(&last)),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    match worker.join() {
        // Changed statements are mostly wrong, but not so many that only the parser is tested.
        Ok(done) => assert!(done > count / 20, "only {done} of {count} inputs went through"),
        Err(_) => panic!("this panics: {}\n{last:?}", String::from_utf8_lossy(&last)),
    }
}

#[test]
fn any_text_is_answered() {
    let (seeds, mut dice) = (seeds(), Dice(1));
    let mut inputs: Vec<_> = seeds.iter().map(|s| s.clone().into_bytes()).collect();
    inputs.extend((0..number()).map(|_| changed(&mut dice, &seeds)));
    survive(inputs, World::text);
}

#[test]
fn any_parameters_are_answered() {
    let (seeds, mut dice) = (seeds(), Dice(2));
    let input = |dice: &mut Dice| {
        // Literals become parameters.
        let mut text = Vec::new();
        let mut quoted = false;
        for b in changed(dice, &seeds) {
            match b {
                b'\'' => {
                    quoted = !quoted;
                    if !quoted {
                        text.push(b'?');
                    }
                }
                b'0'..=b'9' if !quoted && text.last() == Some(&b'?') => {}
                b'0'..=b'9' if !quoted && text.last().is_none_or(|b| !b.is_ascii_alphanumeric()) => {
                    text.push(b'?')
                }
                b'\n' => text.push(b' '),
                b if !quoted => text.push(b),
                _ => {}
            }
        }
        text.push(b'\n');
        let params = dice.below(60);
        text.extend((0..params).map(|_| dice.below(256) as u8));
        text
    };
    let inputs = (0..number()).map(|_| input(&mut dice)).collect();
    survive(inputs, World::prepared);
}
