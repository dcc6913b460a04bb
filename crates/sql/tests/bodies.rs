//! Bodies of stored programs, changed at random: whatever the text, it is read or refused, and its end is found, without
//! a panic and without growing. The numbers are drawn from a fixed seed.

use std::sync::Arc;

use p2pdb_model::Catalog;
use p2pdb_sql::front::{Front, split_statements};
use p2pdb_sql::session::{SessionState, SqlMode};
use p2pdb_sql::variables::Globals;

const SEEDS: &[&str] = &[
    "CREATE PROCEDURE p(IN a INT, OUT b VARCHAR(10), INOUT c DECIMAL(5,2)) COMMENT 'x' READS SQL DATA BEGIN SELECT a; END",
    "CREATE PROCEDURE p(n INT) l1: BEGIN DECLARE i INT DEFAULT 0; w: WHILE i < n DO SET i = i + 1; IF i = 3 THEN ITERATE w; \
     ELSEIF i = 8 THEN LEAVE l1; ELSE SET @s = i; END IF; END WHILE w; END l1",
    "CREATE PROCEDURE p() BEGIN DECLARE d INT; DECLARE c CURSOR FOR SELECT 1; DECLARE CONTINUE HANDLER FOR NOT FOUND SET d = 1; \
     OPEN c; r: LOOP FETCH c INTO d; IF d THEN LEAVE r; END IF; END LOOP; CLOSE c; END",
    "CREATE FUNCTION f(a INT) RETURNS VARCHAR(20) DETERMINISTIC BEGIN CASE a WHEN 1 THEN RETURN 'x'; ELSE BEGIN END; END CASE; \
     RETURN CASE WHEN a THEN 'y' END; END",
    "CREATE DEFINER=`u`@`%` TRIGGER t BEFORE INSERT ON x FOR EACH ROW FOLLOWS z BEGIN SET NEW.a = OLD.b, @q = 1; REPEAT SET @q = 2; \
     UNTIL @q END REPEAT; END",
    "CREATE PROCEDURE p() BEGIN DECLARE m CONDITION FOR SQLSTATE '45000'; DECLARE EXIT HANDLER FOR m, 1062 BEGIN GET STACKED DIAGNOSTICS \
     CONDITION 1 @e = MYSQL_ERRNO; RESIGNAL SET MESSAGE_TEXT = 'a'; END; SIGNAL m SET MYSQL_ERRNO = 5; END",
];

const WORDS: &[&str] = &[
    "BEGIN",
    "END",
    "IF",
    "THEN",
    "END IF",
    ";",
    "LOOP",
    "x:",
    "DECLARE",
    "HANDLER FOR",
    "CASE",
    "WHEN",
    "(",
    ")",
    "RETURN",
    "SET",
    "'",
    "`",
    "/*",
    "*/",
    "--",
    "NEW.a",
    "CURSOR FOR",
    "SQLSTATE",
    "\0",
    "é",
    "UNTIL",
    "DO",
    "WHILE",
    "ELSE",
    ",",
    "=",
    "@a",
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

fn changed(dice: &mut Dice) -> String {
    let mut text = SEEDS[dice.below(SEEDS.len())].to_owned();
    let place = |dice: &mut Dice, text: &str| {
        let at = dice.below(text.len() + 1);
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    for _ in 0..dice.below(5) {
        let (a, b) = (place(dice, &text), place(dice, &text));
        let (a, b) = (a.min(b), a.max(b));
        match dice.below(5) {
            0 => drop(text.drain(a..b)),
            1 => {
                let again = text[a..b].to_owned();
                text.insert_str(a, &again);
            }
            2 => {
                let many = ["BEGIN ", "IF 1 THEN ", "(", "x: LOOP ", "CASE "][dice.below(5)]
                    .repeat(1 << dice.below(12));
                text.insert_str(a, &many);
            }
            _ => text.insert_str(a, &format!(" {} ", WORDS[dice.below(WORDS.len())])),
        }
    }
    text
}

#[test]
fn any_body_is_read_or_refused() {
    let mut session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
    session.database = Some("d".to_owned());
    let (catalog, mut front, mut dice) = (Catalog::default(), Front::default(), Dice(1));
    let mut whole = 0;
    for n in 0..1_500usize {
        let text = SEEDS.get(n).map_or_else(|| changed(&mut dice), |seed| (*seed).to_owned());
        let parts = split_statements(&text, SqlMode::DEFAULT);
        assert!(parts.iter().map(|p| p.len()).sum::<usize>() <= text.len(), "{text}");
        whole += usize::from(parts == [text.trim()]);
        // There is no database: what is read ends with 1049.
        let error = front.compile(&text, &session, &catalog).map(|_| ()).expect_err("no database");
        assert!(n >= SEEDS.len() || error.code == 1049, "{text}\n{error}");
    }
    assert!(whole > 750, "{whole} texts are one statement");
}
