//! Counters, sets, maps, greatest and least values, as SQL writes them and as they merge: `docs/merge.md`, section 2.

mod support;

use support::{Node, both, converge, verified};

const STOCK: &str = "CREATE DATABASE shop; USE shop; CREATE TABLE stock (\
     id INT PRIMARY KEY, \
     pieces INT NOT NULL DEFAULT 0 COMMENT 'in all tills [counter]', \
     worth DECIMAL(10,2) COMMENT '[counter]', \
     seen TINYINT UNSIGNED COMMENT '[counter]', \
     tags JSON COMMENT '[set]', \
     names JSON COMMENT 'by language [map]', \
     best INT COMMENT '[max]', \
     first DATE COMMENT '[min]')";

/// Two nodes with the table and row 1.
fn two() -> (Node, Node) {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run(STOCK);
    s.run(
        "INSERT INTO shop.stock VALUES (1, 100, 10.00, 250, '[\"new\", \"red\"]', '{\"en\": \"ball\"}', 7, '2024-05-01')",
    );
    drop(s);
    let b = a.join(2);
    (a, b)
}

fn conflicts(a: &Node, b: &Node) -> Vec<String> {
    both(a, b, "SELECT row_key, `column`, rule, kept_value, lost_value FROM p2pdb.conflicts ORDER BY 1, 2, 5")
}

#[test]
fn increments_from_every_side_add_up() {
    let (a, b) = two();
    for by in ["pieces = pieces + 5", "pieces = 7 + pieces", "pieces = (pieces - 2)"] {
        a.session().run(&format!("UPDATE shop.stock SET {by} WHERE id = 1"));
    }
    b.session().run("UPDATE shop.stock SET pieces = pieces - 30, worth = worth - 2.55 WHERE id = 1");
    a.session().run("UPDATE shop.stock s SET s.worth = s.worth + 0.05 WHERE s.id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces, worth FROM shop.stock"), ["80|7.50"]);
    assert!(conflicts(&a, &b).is_empty());
}

#[test]
fn counting_from_nothing_adds_to_what_was_inserted_elsewhere() {
    for first in ["a", "b"] {
        let (a, b) = two();
        a.session().run("ALTER TABLE shop.stock ADD fives INT DEFAULT 5 COMMENT '[counter]'");
        converge(&[&a, &b]);
        let insert = "INSERT INTO shop.stock (id, pieces, worth, fives) VALUES (2, 100, 1.00, 100)";
        let count = "INSERT INTO shop.stock (id, pieces, worth, fives) VALUES (2, 1, 0.25, 1) \
                     ON DUPLICATE KEY UPDATE pieces = pieces + 1, worth = worth + 0.25, fives = fives + 1";
        let (early, late) = if first == "a" { (insert, count) } else { (count, insert) };
        a.session().run(early);
        assert_eq!(a.session().rows("SELECT COUNT(*) FROM shop.stock WHERE id = 2"), ["1"]);
        b.clock.advance_ms(1_000);
        b.session().run(late);
        converge(&[&a, &b]);
        let fives = if first == "a" { "1" } else { "101" };
        let all = both(&a, &b, "SELECT pieces, worth, fives FROM shop.stock WHERE id = 2");
        assert_eq!(all, [format!("101|1.25|{fives}")], "{first}");
        // A default that is another number than 0 has to be assigned away.
        let lost =
            if first == "a" { "2|fives|concurrent write|1|100" } else { "2|fives|concurrent write|101|0" };
        assert_eq!(conflicts(&a, &b), [lost], "{first}");
        support::verified(&[&a, &b]);
    }
}

#[test]
fn several_statements_of_a_transaction_are_one_increment() {
    let (a, b) = two();
    let mut s = a.session();
    s.run("BEGIN");
    s.run("UPDATE shop.stock SET pieces = pieces + 1");
    s.run("UPDATE shop.stock SET pieces = pieces + 1, best = 8");
    s.run("COMMIT");
    b.session().run("UPDATE shop.stock SET pieces = pieces * 2");
    converge(&[&a, &b]);
    // Twice is an assignment: what it had not seen is added to it.
    assert_eq!(both(&a, &b, "SELECT pieces, best FROM shop.stock"), ["202|8"]);
}

#[test]
fn an_assignment_wins_over_what_it_has_seen_and_of_two_the_later() {
    let (a, b) = two();
    a.session().run("UPDATE shop.stock SET pieces = pieces + 1");
    a.session().run("UPDATE shop.stock SET pieces = 50");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stock SET pieces = 60");
    b.session().run("UPDATE shop.stock SET pieces = pieces + 3");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["63"]);
    assert_eq!(conflicts(&a, &b), ["1|pieces|concurrent write|63|50"]);
    // Adding settles nothing, an assignment does.
    a.session().run("UPDATE shop.stock SET pieces = pieces - 1");
    converge(&[&a, &b]);
    assert_eq!(conflicts(&a, &b), ["1|pieces|concurrent write|62|50"]);
    b.session().run("UPDATE shop.stock SET pieces = 5");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["5"]);
    assert!(conflicts(&a, &b).is_empty());
}

#[test]
fn counting_up_what_is_not_there_yet_counts_from_every_side() {
    let (a, b) = two();
    let hit = |n: &Node, by: u32| {
        n.session().run(&format!(
            "INSERT INTO shop.stock (id, pieces) VALUES (2, {by}) ON DUPLICATE KEY UPDATE pieces = pieces + VALUES(pieces)"
        ));
    };
    hit(&a, 1);
    hit(&a, 1);
    hit(&b, 5);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock WHERE id = 2"), ["7"]);
    // A plain INSERT says what is there.
    a.session().run("INSERT INTO shop.stock (id, pieces) VALUES (3, 10)");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.stock (id, pieces) VALUES (3, 20)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock WHERE id = 3"), ["20"]);
}

#[test]
fn a_counter_out_of_range_is_kept_aside_and_comes_back() {
    let (a, b) = two();
    a.session().run("UPDATE shop.stock SET seen = seen + 4");
    b.session().run("UPDATE shop.stock SET seen = seen + 4");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM shop.stock"), ["0"]);
    assert_eq!(both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts"), ["1|type"]);
    // A wider column holds it.
    a.session().run("ALTER TABLE shop.stock MODIFY seen SMALLINT UNSIGNED COMMENT '[counter]'");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT seen FROM shop.stock"), ["258"]);
    assert!(conflicts(&a, &b).is_empty());
}

#[test]
fn elements_of_a_set_come_and_go_one_by_one() {
    let (a, b) = two();
    a.session().run("UPDATE shop.stock SET tags = '[\"red\", \"new\", \"cheap\", \"red\"]'");
    b.session().run("UPDATE shop.stock SET tags = JSON_ARRAY_APPEND(tags, '$', 'big')");
    b.session()
        .run("UPDATE shop.stock SET tags = JSON_REMOVE(tags, JSON_UNQUOTE(JSON_SEARCH(tags, 'one', 'new')))");
    assert_eq!(b.session().rows("SELECT tags FROM shop.stock"), ["[\"big\", \"red\"]"]);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT tags FROM shop.stock"), ["[\"big\", \"red\", \"cheap\"]"]);
    assert!(conflicts(&a, &b).is_empty());
    // Taken out here and put in there at the same time: whoever puts in wins.
    a.session().run("UPDATE shop.stock SET tags = '[]'");
    b.session().run("UPDATE shop.stock SET tags = '[\"cheap\"]'");
    b.session().run("UPDATE shop.stock SET tags = '[\"cheap\", \"big\"]'");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT tags FROM shop.stock"), ["[\"big\"]"]);
}

#[test]
fn members_of_a_map_merge_by_key() {
    let (a, b) = two();
    a.session().run("UPDATE shop.stock SET names = JSON_SET(names, '$.de', 'Ball', '$.fr', 'balle')");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stock SET names = JSON_SET(JSON_REMOVE(names, '$.en'), '$.de', 'Kugel')");
    converge(&[&a, &b]);
    let names = both(&a, &b, "SELECT names FROM shop.stock");
    assert_eq!(names, ["{\"de\": \"Kugel\", \"fr\": \"balle\"}"]);
    let lost = "{\"de\": \"Ball\"}";
    assert_eq!(conflicts(&a, &b), [format!("1|names|concurrent write|{}|{lost}", names[0])]);
    // Who has seen both values settles it by writing that member, and no other.
    a.session().run("UPDATE shop.stock SET names = JSON_SET(names, '$.it', 'palla')");
    converge(&[&a, &b]);
    assert_eq!(conflicts(&a, &b).len(), 1);
    a.session().run("UPDATE shop.stock SET names = JSON_SET(names, '$.de', 'Ball')");
    converge(&[&a, &b]);
    assert!(conflicts(&a, &b).is_empty());
}

#[test]
fn of_concurrent_values_the_greatest_or_the_least_stays() {
    let (a, b) = two();
    a.session().run("UPDATE shop.stock SET best = 12, first = '2024-03-01'");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stock SET best = 9, first = '2024-04-01'");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT best, first FROM shop.stock"), ["12|2024-03-01"]);
    assert!(conflicts(&a, &b).is_empty());
    // Who sees it may lower it.
    b.session().run("UPDATE shop.stock SET best = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT best FROM shop.stock"), ["1"]);
}

#[test]
fn tags_are_shown_dumped_and_changed() {
    let (a, b) = two();
    let shown = a.session().rows("SHOW CREATE TABLE shop.stock").concat();
    assert!(shown.contains("COMMENT 'in all tills [counter]'"), "{shown}");
    // The tag goes: what was counted while it was there still counts.
    a.session().run("UPDATE shop.stock SET pieces = pieces + 1");
    b.session().run("UPDATE shop.stock SET pieces = pieces + 10");
    a.session().run("ALTER TABLE shop.stock MODIFY pieces INT NOT NULL DEFAULT 0");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["111"]);
    a.session().run("UPDATE shop.stock SET pieces = pieces + 1");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stock SET pieces = pieces + 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["113"]);
    assert_eq!(conflicts(&a, &b), ["1|pieces|concurrent write|113|112"]);
    // And back.
    a.session().run("ALTER TABLE shop.stock MODIFY pieces INT NOT NULL DEFAULT 0 COMMENT '[counter]'");
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.stock SET pieces = pieces + 1");
    b.session().run("UPDATE shop.stock SET pieces = pieces + 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["116"]);
}

#[test]
fn a_counter_of_another_type_holds_the_number_that_its_author_saw_and_what_was_added_since() {
    let (a, b) = two();
    let c = a.join(3);
    a.session().run("UPDATE shop.stock SET worth = 100.44");
    b.fetch(&a);
    b.session().run("UPDATE shop.stock SET worth = worth + 5.13");
    a.fetch(&b);
    a.session().run("ALTER TABLE shop.stock MODIFY worth INT COMMENT '[counter]'");
    // The number is rounded, not its parts.
    assert_eq!(a.session().rows("SELECT worth FROM shop.stock"), ["106"]);
    a.session().run("UPDATE shop.stock SET worth = worth + 1");
    c.fetch(&a);
    b.session().run("UPDATE shop.stock SET worth = worth - 30.00");
    c.session().run("UPDATE shop.stock SET worth = worth + 7");
    converge(&[&a, &b, &c]);
    for n in [&a, &b, &c] {
        assert_eq!(n.session().rows("SELECT worth FROM shop.stock"), ["84"]);
    }
    // A text has nothing added to it: all is added before.
    b.session().run("UPDATE shop.stock SET worth = worth + 16");
    a.session().run("ALTER TABLE shop.stock MODIFY worth VARCHAR(20)");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &b, "SELECT worth, CHAR_LENGTH(worth) FROM shop.stock"), ["100|3"]);
    assert!(conflicts(&a, &b).is_empty());
    b.session().run("UPDATE shop.stock SET worth = CONCAT(worth, ' euros')");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &c, "SELECT worth FROM shop.stock"), ["100 euros"]);
    let report = a.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.is_clean(), "{:#?}", report.findings);
}

#[test]
fn a_counter_that_does_not_fit_its_new_type_waits_until_it_does() {
    let (a, b) = two();
    a.session().run("ALTER TABLE shop.stock MODIFY pieces TINYINT NOT NULL COMMENT '[counter]'");
    b.session().run("UPDATE shop.stock SET pieces = pieces + 100");
    converge(&[&a, &b]);
    assert!(both(&a, &b, "SELECT pieces FROM shop.stock").is_empty());
    assert_eq!(both(&a, &b, "SELECT row_key, `column`, rule FROM p2pdb.conflicts"), ["1|pieces|type"]);
    b.session().run("ALTER TABLE shop.stock MODIFY pieces SMALLINT NOT NULL COMMENT '[counter]'");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["200"]);
}

#[test]
fn sets_and_maps_become_text_and_come_back() {
    let (a, b) = two();
    a.session()
        .run("ALTER TABLE shop.stock MODIFY tags VARCHAR(100), MODIFY names TEXT, MODIFY best TINYINT");
    assert_eq!(
        a.session().rows("SELECT tags, names, CHAR_LENGTH(tags) FROM shop.stock"),
        ["[\"new\", \"red\"]|{\"en\": \"ball\"}|14"]
    );
    b.session().run("UPDATE shop.stock SET tags = JSON_ARRAY_APPEND(tags, '$', 'big'), best = 300");
    b.session().run("UPDATE shop.stock SET names = JSON_SET(names, '$.de', 'Ball')");
    converge(&[&a, &b]);
    assert!(both(&a, &b, "SELECT id FROM shop.stock").is_empty());
    a.session().run("ALTER TABLE shop.stock MODIFY best INT COMMENT '[max]'");
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT tags, names, best FROM shop.stock"),
        ["[\"big\", \"new\", \"red\"]|{\"de\": \"Ball\", \"en\": \"ball\"}|300"]
    );
    b.session()
        .run("ALTER TABLE shop.stock MODIFY tags JSON COMMENT '[set]', MODIFY names JSON COMMENT '[map]'");
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.stock SET tags = JSON_ARRAY_APPEND(tags, '$', 'old')");
    b.session().run("UPDATE shop.stock SET tags = JSON_REMOVE(tags, '$[2]')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT tags FROM shop.stock"), ["[\"big\", \"new\", \"old\"]"]);
    assert_eq!(a.session().error("ALTER TABLE shop.stock MODIFY names JSON COMMENT '[set]'"), 3140);
    a.session().run("ALTER TABLE shop.stock ADD plain VARCHAR(20) DEFAULT '1'");
    assert_eq!(a.session().error("ALTER TABLE shop.stock MODIFY plain JSON COMMENT '[set]'"), 3140);
    a.session().run("UPDATE shop.stock SET plain = 'no json'");
    assert_eq!(a.session().error("ALTER TABLE shop.stock MODIFY plain JSON COMMENT '[set]'"), 3140);
    a.session().run("UPDATE shop.stock SET plain = '[1]'");
    a.session().run("ALTER TABLE shop.stock MODIFY plain JSON COMMENT '[set]'");
    assert_eq!(a.session().rows("SELECT plain FROM shop.stock"), ["[1]"]);
}

#[test]
fn a_wrong_tag_or_value_is_refused_before_anything_changes() {
    let (a, _) = two();
    let mut s = a.session();
    for (sql, code) in [
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c VARCHAR(9) COMMENT '[counter]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c DOUBLE COMMENT '[counter]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c INT COMMENT '[set]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c JSON COMMENT '[set] [map]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c TEXT COMMENT '[max]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY COMMENT '[counter]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c INT AS (id) COMMENT '[counter]')", 1063),
        ("ALTER TABLE shop.stock ADD UNIQUE (pieces)", 1063),
        ("ALTER TABLE shop.stock MODIFY names JSON COMMENT '[set]'", 3140),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c INT COMMENT 'ours [resolver biggest]')", 1235),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, c INT COMMENT '[Resolver]')", 1235),
        ("ALTER TABLE shop.stock ADD c INT COMMENT '[resolver biggest]'", 1235),
        ("ALTER TABLE shop.stock MODIFY pieces INT COMMENT '[resolver biggest]'", 1235),
        ("INSERT INTO shop.stock (id, tags) VALUES (2, '{\"a\": 1}')", 3140),
        ("UPDATE shop.stock SET tags = '7'", 3140),
        ("UPDATE shop.stock SET names = JSON_ARRAY(1)", 3140),
        ("UPDATE shop.stock SET tags = names", 3140),
        ("UPDATE shop.stock SET seen = seen + 10", 1264),
    ] {
        assert_eq!(s.error(sql), code, "{sql}");
    }
    assert_eq!(s.rows("SELECT COUNT(*), MIN(seen) FROM shop.stock"), ["1|250"]);
}

#[test]
fn what_was_counted_is_what_the_log_says() {
    let (a, b) = two();
    for n in 0..20 {
        let node = if n % 3 == 0 { &b } else { &a };
        node.session().run(&format!("UPDATE shop.stock SET pieces = pieces + {n}, worth = worth - 0.01"));
        if n % 7 == 0 {
            converge(&[&a, &b]);
        }
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces, worth FROM shop.stock"), ["290|9.80"]);
    for n in [&a, &b] {
        let report = n.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

#[test]
fn a_set_that_was_none_where_it_was_written_is_the_same_everywhere() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.note (id INT PRIMARY KEY, doc JSON, m JSON)");
    b.fetch(&a);
    a.session().run("ALTER TABLE shop.note MODIFY doc JSON COMMENT '[set]', MODIFY m JSON COMMENT '[map]'");
    b.session().run("INSERT INTO shop.note VALUES (1, '[\"b\", \"a\", \"b\"]', '7'), (2, '5', '{\"a\": 1}')");
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT doc, m FROM shop.note ORDER BY id"),
        ["[\"a\", \"b\"]|{\"\": 7}", "[5]|{\"a\": 1}"]
    );
}

#[test]
fn a_counter_counts_the_same_one_by_one_and_all_at_once() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.n (id INT PRIMARY KEY, v DECIMAL(10,0) COMMENT '[counter]')");
    a.session().run("INSERT INTO shop.n VALUES (1, 0)");
    b.fetch(&a);
    let c = a.join(3);
    a.session().run("ALTER TABLE shop.n MODIFY v DECIMAL(12,2) COMMENT '[counter]'");
    // Later in write order, and the scale is 0.
    b.clock.advance_ms(5_000);
    b.session().run("ALTER TABLE shop.n MODIFY v DECIMAL(10,0) COMMENT 'still a [counter]'");
    // One node hears of both before it counts, one afterwards.
    c.fetch(&a);
    c.fetch(&b);
    for _ in 0..2 {
        a.session().run("UPDATE shop.n SET v = v + 0.5");
    }
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &b, "SELECT v FROM shop.n"), both(&a, &c, "SELECT v FROM shop.n"));
}

#[test]
fn a_trigger_that_sets_a_counter_assigns_it() {
    let (a, b) = two();
    a.session().run("CREATE TRIGGER shop.five BEFORE UPDATE ON shop.stock FOR EACH ROW SET NEW.pieces = 5");
    a.session().run("UPDATE shop.stock SET pieces = pieces + 1");
    b.session().run("UPDATE shop.stock SET pieces = pieces + 10");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock"), ["15"]);
}

#[test]
fn a_counter_born_on_two_sides_goes_on_counting() {
    let (a, b) = two();
    let hit = "INSERT INTO shop.stock (id, pieces) VALUES (2, 1) ON DUPLICATE KEY UPDATE pieces = pieces + 1";
    for n in 0..6 {
        a.session().run(hit);
        b.session().run(hit);
        if n % 2 == 0 {
            converge(&[&a, &b]);
        }
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock WHERE id = 2"), ["12"]);
    // A delete and an edit still find the history.
    a.session().run("DELETE FROM shop.stock WHERE id = 2");
    b.session().run(hit);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT pieces FROM shop.stock WHERE id = 2"), ["13"]);
    for n in [&a, &b] {
        let report = n.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

#[test]
fn a_tag_that_looks_mistyped_is_warned_of() {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE shop");
    let made = s.run("CREATE TABLE shop.t (id INT PRIMARY KEY, n INT COMMENT 'pieces [couner]', m INT COMMENT 'width [mm]')");
    assert_eq!(made.warnings, 1);
    let said = "Warning|1105|[couner] in the comment of column 'n' is no tag and has no effect on how it merges; [counter] was perhaps meant";
    assert_eq!(s.rows("SHOW WARNINGS"), [said]);
    assert_eq!(s.run("ALTER TABLE shop.t MODIFY n INT COMMENT 'pieces [counter]'").warnings, 0);
    assert_eq!(s.run("ALTER TABLE shop.t ADD o INT COMMENT '[maps]'").warnings, 1);
}

/// What a row keeps of a column's history goes with the column, whoever wrote the row and whenever.
#[test]
fn a_column_that_was_counted_and_is_gone_leaves_nothing_behind() {
    let gone = "ALTER TABLE s.t ADD b INT; UPDATE s.t SET b = a; ALTER TABLE s.t DROP a";
    let turned = "ALTER TABLE s.t MODIFY a INT, ADD b INT; UPDATE s.t SET b = a; ALTER TABLE s.t DROP a";
    let again = "ALTER TABLE s.t ADD c INT COMMENT '[counter]'; UPDATE s.t SET c = b; ALTER TABLE s.t DROP b";
    for way in [gone, turned] {
        let a = Node::begin(1);
        let mut s = a.session();
        s.run("CREATE DATABASE s; CREATE TABLE s.t (id INT PRIMARY KEY, a INT COMMENT '[counter]')");
        s.run("INSERT INTO s.t VALUES (1, 5), (2, 6), (3, 7); UPDATE s.t SET a = a + 1 WHERE id < 3");
        let b = a.join(2);
        s.run(way);
        s.run("UPDATE s.t SET b = b + 1 WHERE id = 2");
        converge(&[&a, &b]);
        verified(&[&a, &b]);
        s.run(again);
        b.session().run("UPDATE s.t SET b = 0 WHERE id = 1");
        s.run("UPDATE s.t SET c = c + 1");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT id, c FROM s.t"), ["1|7", "2|9", "3|8"], "{way}");
        verified(&[&a, &b]);
    }
}

#[test]
fn text_that_became_a_set_or_a_map_elsewhere_counts_as_the_one_of_itself() {
    let (a, b) = support::two(
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), m VARCHAR(20)); \
                      INSERT INTO t VALUES (1, '[1]', '{}')",
    );
    a.session().run("ALTER TABLE shop.t MODIFY s JSON COMMENT '[set]', MODIFY m JSON COMMENT '[map]'");
    b.session().run(
        "INSERT INTO shop.t VALUES (2, 'text', 'word'), (3, '[2]', '{\"a\": 1}'); \
                     UPDATE shop.t SET s = 'one', m = 'two' WHERE id = 1",
    );
    converge(&[&a, &b]);
    let rows = ["1|[\"one\"]|{\"\": \"two\"}", "2|[\"text\"]|{\"\": \"word\"}", "3|[2]|{\"a\": 1}"];
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t ORDER BY id"), rows);
    assert!(both(&a, &b, "SELECT * FROM p2pdb.conflicts").is_empty());
    verified(&[&a, &b]);
    b.session().run("UPDATE shop.t SET s = JSON_ARRAY_APPEND(s, '$', 'more') WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT s FROM shop.t WHERE id = 2"), ["[\"more\", \"text\"]"]);
    verified(&[&a, &b]);
}
