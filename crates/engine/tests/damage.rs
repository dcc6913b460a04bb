//! Damage to a store with every kind of thing in it is found and named, wherever it is.
//!
//! Two ways to damage it: values are changed row by row and column by column, in every table; and bits are flipped in
//! every page of the file. What is looked at is what `verify` looks at: the file, the log, and the tables against
//! those that a replay of the log makes. The replay is the same in every trial, so it is made once: the whole store,
//! which a full `verify` has found to be what its log says, stands for it.

mod support;

use std::path::{Path, PathBuf};

use p2pdb_model::{Value, ValueRef};
use p2pdb_store::verify::{Compare, Part, Report, compare, verify_file, verify_log};
use p2pdb_store::{Connection, NEXT, Options, Reader, Writer};
use support::{Node, TestDir, converge};

/// Page size of the store, bytes.
const PAGE: usize = 4096;
/// Rows of each table whose columns are changed.
const ROWS: usize = 4;
/// Bits flipped in each page.
const FLIPS: usize = 8;

/// A closed store that holds tables of many types, secondary and unique indexes, deleted and displaced rows, conflicts,
/// overflow pages, schema changes, members, a void transaction's author and a forked chain.
fn a_store_of_everything() -> (TestDir, p2pdb_model::RealmId) {
    let mut a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE d; CREATE TABLE d.parent (id INT PRIMARY KEY, name VARCHAR(30) NOT NULL, UNIQUE KEY by_name (name));
         CREATE TABLE d.t (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, n INT, d DECIMAL(20,6), f DOUBLE, s VARCHAR(50) COLLATE utf8mb4_bin,
            x TEXT, b BLOB, dt DATETIME(6), da DATE, ti TIME, j JSON, e ENUM('p','q'), p INT,
            KEY by_n (n), KEY by_s_d (s, d DESC), UNIQUE KEY by_dt (dt, n), FOREIGN KEY (p) REFERENCES d.parent (id));
         CREATE TABLE d.bare (a INT, b VARCHAR(10)); CREATE VIEW d.v AS SELECT id, n FROM d.t",
    );
    let b = a.join(2);
    let c = a.join(3);
    let mut s = a.session();
    s.run("USE d");
    for n in 1..=12 {
        s.run(&format!("INSERT INTO parent VALUES ({n}, 'parent {n}')"));
        s.run(&format!(
            "INSERT INTO t (n, d, f, s, x, b, dt, da, ti, j, e, p) VALUES ({n} * 7, -{n}.000001, {n} / 3, 'Straße {n}', REPEAT('text ', {n}), \
             x'00ff{n:02}', '2024-02-29 12:00:{n:02}.123456', '2024-02-{n:02}', '-12:34:{n:02}', '{{\"k\": [{n}, null]}}', 'q', {n})"
        ));
        s.run(&format!("INSERT INTO bare VALUES ({n}, NULL), ({n}, 'b')"));
    }
    s.run("UPDATE t SET x = REPEAT('overflow ', 2000), b = CAST(REPEAT('z', 9000) AS BINARY) WHERE id = 5");
    s.run("DELETE FROM t WHERE id = 11");
    s.run("ALTER TABLE t ADD COLUMN late VARCHAR(20) DEFAULT 'late', DROP COLUMN f; CREATE INDEX by_late ON t (late, n)");
    s.run("CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1); DROP TABLE gone; RENAME TABLE bare TO barer");
    s.run("CREATE USER adder IDENTIFIED BY 'x'; GRANT INSERT ON d.barer TO adder");
    drop(s);
    a.session_as("adder").expect("a session").run("INSERT INTO d.barer VALUES (60, 'weak')");
    converge(&[&a, &b, &c]);
    // Apart: a cell that both write, a row deleted here and edited there, a unique clash, a child without its parent,
    // the same migration on both sides.
    let apart = |n: &Node, k: u32| {
        n.session().run(&format!(
            "UPDATE d.t SET n = {k}, s = 'side {k}' WHERE id = 3; INSERT INTO d.parent VALUES (10{k}, 'twice');
             ALTER TABLE d.t ADD COLUMN both_sides INT"
        ));
        n.clock.advance_ms(1_000);
    };
    a.session().run("INSERT INTO d.parent VALUES (50, 'lonely'); DELETE FROM d.t WHERE id = 4");
    b.fetch(&a);
    a.session().run("DELETE FROM d.parent WHERE id = 50; DELETE FROM d.t WHERE id = 6");
    apart(&a, 1);
    b.clock.advance_ms(2_000);
    b.session().run("INSERT INTO d.t (id, n, p) VALUES (900, 900, 50); UPDATE d.t SET n = 66 WHERE id = 6");
    apart(&b, 2);
    let backup = a.path().join("backup.db");
    c.engine.backup(&backup).expect("a backup");
    c.session().run("INSERT INTO d.barer VALUES (77, 'once')");
    converge(&[&a, &b, &c]);
    let c = c.restored_from(&backup);
    c.session().run("INSERT INTO d.barer VALUES (78, 'fork')");
    converge(&[&a, &b, &c]);
    // A member is removed, and wrote on without knowing.
    a.engine.remove_member(c.engine.node()).expect("removed");
    c.session().run("INSERT INTO d.barer VALUES (79, 'void')");
    converge(&[&a, &b, &c]);
    let mut s = a.session();
    let rules = s.rows("SELECT DISTINCT rule FROM p2pdb.conflicts ORDER BY 1");
    assert!(rules.len() >= 3, "{rules:?}");
    assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.voided"), ["1"]);
    drop(s);
    let report = a.engine.verify(&mut |_| NEXT).expect("a report");
    assert!(report.is_clean(), "{report:?}");
    let realm = a.engine.realm();
    let dir = std::mem::replace(&mut a.dir, TestDir::new());
    drop(a);
    std::fs::remove_file(dir.0.join("backup.db")).expect("removed");
    let mut w = Writer::open(&options(&file(&dir))).expect("the store");
    w.checkpoint().expect("a checkpoint");
    drop(w);
    (dir, realm)
}

fn file(dir: &TestDir) -> PathBuf {
    p2pdb_engine::realm::file(&dir.0)
}

fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), ..p2pdb_engine::realm::options(Path::new("")) }
}

fn rows(c: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    c.query(sql, (), |r| {
        all.push(r.to_values()?);
        Ok(NEXT)
    })
    .unwrap_or_else(|e| panic!("{sql}: {e}"));
    all
}

fn names(c: &Connection, sql: &str) -> Vec<String> {
    let name = |r: Vec<Value>| match r.into_iter().next() {
        Some(Value::Text(name)) => name,
        other => panic!("{other:?} is no name"),
    };
    rows(c, sql).into_iter().map(name).collect()
}

fn log_of(c: &Connection, realm: &p2pdb_model::RealmId) -> Report {
    verify_log(c, realm, &mut |_| NEXT).expect("a report")
}

fn differences(c: &Connection, whole: &Connection) -> Report {
    compare(c, whole, Compare::default(), &mut |_| NEXT).expect("a report")
}

/// Other values: one bit of them, or their kind.
fn others(v: &Value) -> Vec<Value> {
    match v {
        Value::Null => vec![Value::Int(1), Value::Blob(vec![0])],
        Value::Int(n) => vec![Value::Int(n ^ 1), Value::Int(n ^ (1 << 40)), Value::Null],
        Value::Real(r) => vec![Value::Real(f64::from_bits(r.to_bits() ^ 1))],
        Value::Text(t) => {
            let mut bytes = t.clone().into_bytes();
            match bytes.iter().rposition(u8::is_ascii) {
                Some(at) => bytes[at] ^= 1,
                None => bytes.push(b'x'),
            }
            // The other case too: what an index with MySQL's collation calls equal is still another value.
            let case = if t.to_uppercase() == *t { t.to_lowercase() } else { t.to_uppercase() };
            let mut all = vec![Value::Text(String::from_utf8(bytes).expect("ASCII was changed"))];
            all.extend((case != *t).then_some(Value::Text(case)));
            all.push(Value::Blob(t.clone().into_bytes()));
            all
        }
        Value::Blob(b) => {
            let at = [0, b.len() / 2, b.len().saturating_sub(1)];
            let flip = |i: &usize| {
                let mut b = b.clone();
                match b.get_mut(*i) {
                    Some(byte) => *byte ^= 1 << (i % 8),
                    None => b.push(0),
                }
                Value::Blob(b)
            };
            at.iter().map(flip).collect()
        }
    }
}

#[test]
fn every_changed_value_in_every_table_and_column_is_found_and_named() {
    let (dir, realm) = a_store_of_everything();
    let copy = dir.0.join("whole.db");
    std::fs::copy(file(&dir), &copy).expect("a copy");
    let whole = Reader::open(&options(&copy)).expect("the copy");
    let mut w = Writer::open(&options(&file(&dir))).expect("the store");
    let (mut tried, mut refused) = (0, 0);
    let tables = names(&w, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    assert!(tables.len() > 15, "{tables:?}");
    let mut empty = Vec::new();
    for table in &tables {
        let without = format!("SELECT count(*) FROM pragma_table_list WHERE name = '{table}' AND wr");
        let keys = if rows(&w, &without)[0][0] == Value::Int(1) {
            names(&w, &format!("SELECT name FROM pragma_table_info('{table}') WHERE pk ORDER BY pk"))
        } else {
            vec!["rowid".to_owned()]
        };
        let all = rows(&w, &format!("SELECT {} FROM \"{table}\"", keys.join(", ")));
        if all.is_empty() {
            empty.push(table);
        }
        for column in names(&w, &format!("SELECT name FROM pragma_table_info('{table}')")) {
            for key in all.iter().step_by(all.len().div_ceil(ROWS).max(1)) {
                let place = |first: usize| {
                    let part = |(i, k): (usize, &String)| format!("\"{k}\" = ?{}", i + first);
                    keys.iter().enumerate().map(part).collect::<Vec<_>>().join(" AND ")
                };
                let read = format!("SELECT \"{column}\" FROM \"{table}\" WHERE {}", place(1));
                let params: Vec<ValueRef<'_>> = key.iter().map(Into::into).collect();
                let old = w.query_one(&read, &params[..], |r| Ok(r.get(0)?.to_value())).expect("read");
                for new in others(&old.expect("a row")) {
                    w.begin().expect("begun");
                    let sql = format!("UPDATE \"{table}\" SET \"{column}\" = ?1 WHERE {}", place(2));
                    let params: Vec<ValueRef<'_>> =
                        std::iter::once(ValueRef::from(&new)).chain(key.iter().map(Into::into)).collect();
                    // What a NOT NULL, a rowid or a unique index does not take is damage of the file, not of a value.
                    if matches!(w.execute(&sql, &params[..]), Ok(1)) {
                        let mut report = log_of(&w, &realm);
                        report.extend(differences(&w, &whole));
                        assert!(!report.is_clean(), "{table}.{column} {key:?} -> {new:?}");
                        let named = |part: Part, subject: &str| match part {
                            Part::Table => subject == table || subject.starts_with(&format!("{table} (")),
                            Part::Note => table == "meta",
                            _ => true,
                        };
                        let found = report.findings.iter().any(|f| named(f.part, &f.subject));
                        assert!(found, "{table}.{column} {key:?} -> {new:?}: {:?}", report.findings);
                        tried += 1;
                    } else {
                        refused += 1;
                    }
                    w.rollback().expect("rolled back");
                }
            }
        }
    }
    assert!(tried > 500 && refused * 3 < tried, "{tried} tried, {refused} refused");
    assert!(empty.len() < 5, "nothing was tried on {empty:?}");
}

/// Where the cells of a page lie, from what its head says; all of a page that is no B-tree's.
fn used(page: &[u8], first: bool) -> std::ops::Range<usize> {
    let head = if first { 100 } else { 0 };
    let begins = usize::from(u16::from_be_bytes([page[head + 5], page[head + 6]]));
    match page[head] {
        2 | 5 | 10 | 13 if (head..PAGE).contains(&begins) => begins..PAGE,
        _ => 0..PAGE,
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_found_or_means_nothing() {
    let (dir, realm) = a_store_of_everything();
    let bytes = std::fs::read(file(&dir)).expect("the file");
    let whole = Reader::open(&options(&file(&dir))).expect("the store");
    let damaged = options(&dir.0.join("damaged.db"));
    let (mut found, mut meaningless, mut unnamed) = (0, 0, Vec::new());
    let objects = names(&whole, "SELECT name FROM sqlite_schema");
    // A generator of places; the same in every run.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for page in 0..bytes.len() / PAGE {
        for n in 0..FLIPS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let dice = (random >> 33) as usize;
            // The first one hits a page's head, where its kind, its cells' number and places are.
            let used = used(&bytes[page * PAGE..(page + 1) * PAGE], page == 0);
            let at = page * PAGE + if n == 0 { dice % 16 } else { used.start + dice % used.len() };
            let bit = (random >> 60) as usize % 8;
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            std::fs::write(&damaged.path, &bad).expect("written");
            let place = format!("page {}, byte {}, bit {bit}", page + 1, at % PAGE);
            let reader = match Reader::open(&damaged) {
                Ok(reader) => reader,
                Err(e) => {
                    // Nothing can be read without the schema: whoever opens the store, `verify` too, says so.
                    use p2pdb_store::StoreError::{Corrupt, Foreign, Missing, NewerFormat, Unwritable};
                    let told = matches!(
                        e,
                        Corrupt(_) | Foreign(_) | NewerFormat { .. } | Unwritable(_) | Missing(_)
                    );
                    assert!(told, "{place}: {e:?}");
                    found += 1;
                    continue;
                }
            };
            let mut report = match verify_file(&reader, &mut |_| NEXT) {
                Ok(report) => report,
                Err(e) => panic!("{place}: {e}"),
            };
            if report.is_clean() {
                report.extend(log_of(&reader, &realm));
                report.extend(differences(&reader, &whole));
            }
            if report.is_clean() {
                // Provably: every value of every table, also what differs between nodes, is what it was.
                let strict = Compare { ignore: &[], ..Compare::default() };
                let same = compare(&reader, &whole, strict, &mut |_| NEXT).expect("a report");
                assert!(same.is_clean(), "{place} was not found: {:?}", same.findings);
                meaningless += 1;
            } else {
                found += 1;
                let named = |f: &p2pdb_store::verify::Finding| {
                    let number = f.problem.chars().any(|c| c.is_ascii_digit());
                    f.subject != "file" || number || objects.iter().any(|o| f.problem.contains(o.as_str()))
                };
                if !report.findings.iter().any(named) {
                    unnamed.push(format!("{place}: {:?}", report.findings));
                }
            }
        }
    }
    println!("{found} found, {meaningless} in free space, {} pages", bytes.len() / PAGE);
    assert!(unnamed.is_empty(), "{unnamed:#?}");
    assert!(found > 200 && meaningless < found, "{found} found, {meaningless} meaningless");
}

#[test]
fn a_damaged_schema_change_is_named_by_its_block_though_the_store_does_not_open() {
    let a = Node::begin(1);
    a.session().run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, name VARCHAR(9))");
    let back = a.restart_after(|path| {
        let flip = || {
            let mut w = Writer::open(&options(&path)).expect("the store");
            let word = |b: &Vec<u8>| b.windows(5).position(|w| &w[1..] == b"able" && w[0] & !1 == b'T');
            let all = rows(&w, "SELECT no, bytes FROM body ORDER BY no");
            let found = all.into_iter().find_map(|row| match row.as_slice() {
                [Value::Int(no), Value::Blob(b)] => word(b).map(|at| (*no, b.clone(), at)),
                other => panic!("{other:?}"),
            });
            let (no, mut bytes, at) = found.expect("a table that is made");
            bytes[at] ^= 1;
            w.begin().expect("begun");
            let params = [ValueRef::Blob(&bytes), ValueRef::Int(no)];
            w.execute("UPDATE body SET bytes = ?1 WHERE no = ?2", &params[..]).expect("written");
            w.commit().expect("committed");
            (no / 128, at)
        };
        let (block, at) = flip();
        let directory = path.parent().expect("a directory");
        let report = p2pdb_engine::verify_unopened(directory, &mut |_| NEXT).expect("a report");
        let named = |f: &p2pdb_store::verify::Finding| f.part == Part::Body && f.subject == block.to_string();
        assert!(report.findings.iter().any(named), "{:?}", report.findings);
        let reader = Reader::open(&options(&path)).expect("the store");
        let told =
            reader.body(p2pdb_store::BlockNo(block as u64)).map(drop).expect_err("damaged").to_string();
        assert!(told.contains(&format!("block {block} of the log is damaged")), "{told}");
        let change = reader.change_at(p2pdb_store::BlockNo(block as u64), at as u32);
        let told = change.expect_err("damaged").to_string();
        assert!(told.contains(&format!("block {block} of the log is damaged")), "{told}");
        drop(reader);
        flip();
    });
    assert_eq!(back.session().rows("SELECT COUNT(*) FROM d.t"), ["0"]);
}
