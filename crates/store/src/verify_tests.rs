//! One flipped bit anywhere is found and named.

use std::path::Path;

use p2pdb_model::{RealmId, Value};

use crate::log_testing::*;
use crate::open_testing::*;
use crate::verify::*;
use crate::*;

fn log_report(options: &Options, realm: &RealmId) -> Report {
    let r = Reader::open(options).unwrap();
    verify_log(&r, realm, &mut |_| NEXT).unwrap()
}

/// A connection past all our care, as damage is.
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

#[test]
fn a_whole_log_has_no_findings() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    assert_eq!(log_report(w.options(), &world.realm), Report::default());
    let mut steps = 0;
    let report = verify_log(&w, &world.realm, &mut |p| {
        steps += 1;
        assert_eq!((p.step, p.done, p.total), ("log", 0, 7));
        STOP
    });
    assert!(report.unwrap().stopped && steps == 1);
    assert!(verify_file(&w, &mut |_| NEXT).unwrap().is_clean());
}

/// Ways to flip one bit of a value: all places of short ones, a sample of long ones.
fn flips(v: &Value) -> Vec<Value> {
    let mut all = match v {
        Value::Null => vec![Value::Int(1)],
        Value::Int(n) => [0, 1, 5, 40, 62, 63].iter().map(|b| Value::Int(n ^ (1 << b))).collect(),
        Value::Blob(b) => {
            let flip = |i: usize| {
                let mut b = b.clone();
                b[i] ^= 1 << (i % 8);
                Value::Blob(b)
            };
            (0..b.len()).step_by((b.len() / 40).max(1)).map(flip).collect()
        }
        Value::Real(_) | Value::Text(_) => unreachable!("not in the log"),
    };
    // A bit of a row's header makes another class of the value.
    all.extend([Value::Text("x".to_owned()), Value::Real(0.5), Value::Blob(vec![1])]);
    all
}

#[test]
fn every_flipped_bit_in_every_column_of_the_log_is_found() {
    let (_dir, mut w) = new_store();
    // Small, because every trial reads it all; a damaged chunk is among the cases below.
    let world = fill_sized(&mut w, 1000);
    let mut tried = 0;
    for (table, key, part) in [
        ("block", "no", Part::Block),
        ("body", "no", Part::Body),
        ("tx", "no", Part::Transaction),
        ("account", "no", Part::Transaction),
        ("branch", "no", Part::Branch),
        ("head", "cid", Part::Head),
        ("access", "block", Part::Access),
    ] {
        for column in rows(&w, &format!("SELECT name FROM pragma_table_info('{table}')")).concat() {
            let Value::Text(column) = column else { panic!("a name") };
            // Verdicts are recomputed by replay, not here.
            if (table, column.as_str()) == ("tx", "verdict") {
                continue;
            }
            for row in rows(&w, &format!("SELECT {key}, {column} FROM {table}")) {
                for flipped in flips(&row[1]) {
                    w.begin().unwrap();
                    let sql = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1");
                    // A value that a unique index does not take is damage that `verify_file` finds.
                    if w.execute(&sql, [row[0].clone(), flipped.clone()]).is_ok() {
                        let report = verify_log(&w, &world.realm, &mut |_| NEXT).unwrap();
                        let named = report.findings.iter().any(|f| f.part == part);
                        assert!(named, "{table}.{column} of {row:?} -> {flipped:?}: {report:?}");
                        tried += 1;
                    }
                    w.rollback().unwrap();
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    assert!(log_report(w.options(), &world.realm).is_clean());
}

#[test]
fn missing_and_surplus_rows_of_the_log_are_found() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let options = w.options().clone();
    drop(w);
    let db = raw(&options.path);
    let cases = [
        ("DELETE FROM block WHERE no = 4", Part::Block),
        ("DELETE FROM body WHERE no = 2 * 128", Part::Body),
        ("DELETE FROM body WHERE no = 3 * 128 + 1", Part::Body),
        ("UPDATE body SET bytes = CAST(replace(bytes, 'xxy', '') || 'x' AS BLOB) WHERE no = 385", Part::Body),
        ("DELETE FROM tx WHERE no = 3", Part::Transaction),
        ("DELETE FROM tx WHERE no = 7", Part::Transaction),
        ("DELETE FROM account WHERE no = 1", Part::Transaction),
        ("DELETE FROM branch WHERE no = 1", Part::Branch),
        ("DELETE FROM head WHERE block = 5", Part::Head),
        ("DELETE FROM access", Part::Access),
        ("INSERT INTO body VALUES (5, x'00')", Part::Body),
        ("INSERT INTO body VALUES (5 * 128, x'00')", Part::Body),
        ("INSERT INTO body VALUES (9 * 128, x'00')", Part::Body),
        ("INSERT INTO tx VALUES (8, 7, 1, 1, 0)", Part::Transaction),
        ("INSERT INTO tx VALUES (0, 7, 1, 1, 0)", Part::Transaction),
        ("INSERT INTO account VALUES (9, zeroblob(16))", Part::Account),
        ("INSERT INTO branch VALUES (3, zeroblob(32), zeroblob(32), NULL, 1)", Part::Branch),
        ("INSERT INTO head VALUES (zeroblob(32), 3)", Part::Head),
        ("INSERT INTO access VALUES (2, 0, 0)", Part::Access),
        ("INSERT INTO access VALUES (9, 0, 0)", Part::Access),
        ("UPDATE tx SET verdict = 70000 WHERE no = 2", Part::Transaction),
    ];
    let copy = options.path.with_extension("copy");
    db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    for (sql, part) in cases {
        let mut damaged = options.clone();
        damaged.path = options.path.with_extension("damaged");
        std::fs::copy(&copy, &damaged.path).unwrap();
        raw(&damaged.path).execute_batch(sql).unwrap();
        let report = log_report(&damaged, &world.realm);
        assert!(report.findings.iter().any(|f| f.part == part), "{sql}: {:?}", report.findings);
    }
}

#[test]
fn a_log_of_another_realm_and_an_unvouched_block_are_found() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let other = RealmId(world.blocks[1].cid());
    assert!(!log_report(w.options(), &other).is_clean());
    // Block 7 has no successor: taking its own check away leaves nobody to vouch for it.
    w.begin().unwrap();
    let record =
        rows(&w, "SELECT no, cid, branch, seq, stamp, arrived, 0, first_tx, unseen FROM block WHERE no = 7");
    let values: Vec<p2pdb_model::ValueRef<'_>> = record[0].iter().map(Into::into).collect();
    let sum = crate::log::sum(&values);
    w.execute(&format!("UPDATE block SET checked = 0, sum = {sum} WHERE no = 7"), ()).unwrap();
    w.commit().unwrap();
    let report = log_report(w.options(), &world.realm);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].to_string().starts_with("block 7: neither"));
    w.begin().unwrap();
    w.set_checked(BlockNo(7)).unwrap();
    w.commit().unwrap();
    assert!(log_report(w.options(), &world.realm).is_clean());
}

#[test]
fn findings_beyond_the_limit_are_counted() {
    let report = |from: usize| {
        let mut report = Report::default();
        (from..from + FINDINGS_MAX + 5).for_each(|n| report.add(Part::Table, n, "x"));
        report
    };
    let mut all = Report::default();
    all.extend(report(0));
    all.extend(report(FINDINGS_MAX + 5));
    assert_eq!((all.findings.len(), all.more), (FINDINGS_MAX, FINDINGS_MAX as u64 + 10));
    // What is known already is one finding; what was only counted cannot be told from another one.
    all.extend(report(0));
    assert_eq!((all.findings.len(), all.more), (FINDINGS_MAX, FINDINGS_MAX as u64 + 15));
}

/// A table with several kinds of indexes.
const TABLE: &str = "
    CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2 TEXT COLLATE NOCASE, c_3, _v INTEGER);
    CREATE INDEX i_2 ON t_a (c_2);
    CREATE UNIQUE INDEX i_3 ON t_a (c_3);
    CREATE INDEX i_x ON t_a (upper(c_2), c_3 DESC);
    CREATE TABLE t_b (c_1 TEXT PRIMARY KEY, c_2, _k BLOB);
    CREATE TABLE x_w (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;";

fn fill_tables(w: &mut Writer) {
    w.begin().unwrap();
    w.execute_batch(TABLE).unwrap();
    for n in 0..20 {
        w.execute(&format!("INSERT INTO t_a VALUES ({n}, 'Text{n:02}', 'u{n:02}', {n})"), ()).unwrap();
        w.execute(&format!("INSERT INTO t_b VALUES ('b{n:02}', {n}, x'0{:x}')", n % 16), ()).unwrap();
        w.execute(&format!("INSERT INTO x_w VALUES ({n}, 'w{n:02}')"), ()).unwrap();
    }
    w.commit().unwrap();
}

#[test]
fn every_flipped_bit_of_an_index_entry_is_found_and_the_index_is_named() {
    let (_dir, mut w) = new_store();
    fill_tables(&mut w);
    let options = w.options().clone();
    drop(w);
    let db = raw(&options.path);
    let page = |name: &str| -> usize {
        db.query_row("SELECT pageno FROM dbstat WHERE name = ?1", [name], |r| r.get::<_, i64>(0)).unwrap()
            as usize
    };
    let pages = ["i_2", "i_3", "i_x", "sqlite_autoindex_t_b_1"].map(|n| (n, page(n)));
    drop(db);
    let whole = std::fs::read(&options.path).unwrap();
    let mut damaged = options.clone();
    damaged.path = options.path.with_extension("damaged");
    let (mut tried, mut unnamed) = (0, 0);
    for (name, page) in pages {
        let start = (page - 1) * 4096;
        // The cells lie at the page's end, from where its header says.
        let content = start + usize::from(u16::from_be_bytes([whole[start + 5], whole[start + 6]]));
        for at in (content..start + 4096).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&damaged.path, &bytes).unwrap();
            let r = Reader::open(&damaged).unwrap();
            let report = verify_file(&r, &mut |_| NEXT).unwrap();
            assert!(!report.is_clean(), "{name}, byte {} of the page", at - start);
            let tree = format!("Tree {page} ");
            let table = if name.starts_with("i_") { "table t_a" } else { "table t_b" };
            let named = |f: &Finding| {
                f.problem.contains(name)
                    || f.problem.contains(&tree)
                    || f.subject.contains(name)
                    || f.subject == table
            };
            assert!(report.findings.iter().any(named), "{name}: {report:?}");
            unnamed += usize::from(!report.findings.iter().any(|f| named(f) && f.subject != table));
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
    // Where SQLite's check gives up and an expression hides which index it was, the table is named at least.
    assert!(unnamed * 10 < tried, "{unnamed} of {tried}");
}

#[test]
fn a_flipped_bit_that_puts_rows_out_of_order_is_found_and_ends() {
    let (_dir, mut w) = new_store();
    let world = fill_sized(&mut w, 1000);
    let options = w.options().clone();
    drop(w);
    let pages: Vec<i64> = {
        let db = raw(&options.path);
        let sql = "SELECT pageno FROM dbstat WHERE name = 'block' AND pagetype = 'leaf'";
        let mut pages = db.prepare(sql).unwrap();
        let pages = pages.query_map((), |r| r.get(0)).unwrap();
        pages.map(Result::unwrap).collect()
    };
    let whole = std::fs::read(&options.path).unwrap();
    let mut damaged = options.clone();
    damaged.path = options.path.with_extension("damaged");
    let mut tried = 0;
    for page in pages {
        let start = (page as usize - 1) * 4096;
        let two = |at: usize| usize::from(u16::from_be_bytes([whole[at], whole[at + 1]]));
        for cell in 0..two(start + 3) {
            // A cell begins with its length, of two bytes here, and its rowid, of one.
            let at = start + two(start + 8 + 2 * cell);
            for bit in 0..24 {
                let mut bytes = whole.clone();
                bytes[at + bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&damaged.path, &bytes).unwrap();
                let found = Reader::open(&damaged).and_then(|r| {
                    let file = verify_file(&r, &mut |_| NEXT)?;
                    let log = verify_log(&r, &world.realm, &mut |_| NEXT)?;
                    Ok(!file.is_clean() || !log.is_clean())
                });
                assert!(found.unwrap_or(true), "bit {bit} of cell {cell} of page {page}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 24, "{tried}");
}

#[test]
fn stores_with_the_same_content_compare_equal_whatever_is_node_local() {
    let (_dir_a, mut a) = new_store();
    let (_dir_b, mut b) = new_store();
    for w in [&mut a, &mut b] {
        fill(w);
        fill_tables(w);
    }
    // Other rowids where they mean nothing, other times of arrival.
    b.begin().unwrap();
    b.execute("UPDATE t_b SET rowid = 1000 - rowid", ()).unwrap();
    b.execute("UPDATE block SET arrived = arrived + 1, sum = sum + 1", ()).unwrap();
    b.put_meta("restored", b"1").unwrap();
    b.commit().unwrap();
    let report = compare(&a, &b, Compare::default(), &mut |_| NEXT).unwrap();
    assert_eq!(report, Report::default());
    let strict = Compare { ignore: &[], ..Compare::default() };
    assert!(!compare(&a, &b, strict, &mut |_| NEXT).unwrap().is_clean());
}

#[test]
fn every_difference_between_two_stores_is_named() {
    let cases: &[(&str, &str, &str)] = &[
        ("UPDATE t_a SET c_2 = 'TEXT03' WHERE c_1 = 3", "t_a (3)", "c_2"),
        ("UPDATE t_a SET _v = 99 WHERE c_1 = 3", "t_a (3)", "_v"),
        ("UPDATE t_a SET c_3 = CAST(c_3 AS BLOB) WHERE c_1 = 4", "t_a (4)", "c_3"),
        ("UPDATE t_a SET c_3 = NULL WHERE c_1 = 4", "t_a (4)", "c_3"),
        ("UPDATE t_a SET _v = 3.0000001 WHERE c_1 = 3", "t_a (3)", "_v"),
        ("DELETE FROM t_a WHERE c_1 = 0", "t_a (0)", "not in"),
        ("INSERT INTO t_a VALUES (-1, '', '', 0)", "t_a (-1)", "not in"),
        ("UPDATE t_b SET _k = x'ff' WHERE c_2 = 5", "t_b", "_k"),
        ("UPDATE t_b SET c_1 = 'z' WHERE c_2 = 5", "t_b", "not in"),
        ("UPDATE x_w SET b = 'W05' WHERE a = 5", "x_w", "not in"),
        ("UPDATE tx SET verdict = 4 WHERE no = 2", "tx (2)", "verdict"),
        ("UPDATE block SET unseen = x'01' WHERE no = 2", "block (2)", "unseen"),
        ("DROP INDEX i_2", "i_2", "not in"),
        ("DROP TABLE x_w", "x_w", "not in"),
        ("CREATE TABLE t_c (a)", "t_c", "not in"),
        ("DROP INDEX i_3; CREATE INDEX i_3 ON t_a (c_3)", "i_3", "defined differently"),
    ];
    for (sql, subject, problem) in cases {
        let (_dir_a, mut a) = new_store();
        let (_dir_b, mut b) = new_store();
        for w in [&mut a, &mut b] {
            fill(w);
            fill_tables(w);
        }
        b.begin().unwrap();
        b.execute_batch(sql).unwrap();
        b.commit().unwrap();
        for (x, y) in [(&a, &b), (&b, &a)] {
            let report = compare(x, y, Compare::default(), &mut |_| NEXT).unwrap();
            let named =
                report.findings.iter().any(|f| f.subject.starts_with(subject) && f.problem.contains(problem));
            assert!(named, "{sql}: {:?}", report.findings);
        }
    }
}
