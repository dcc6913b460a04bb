//! The table of MySQL's built-in functions and operators: `docs/functions.md` says what the code says, what works is
//! proven by a topic with results of a real server, what does not is refused by name.
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p p2pdb-sql --test functions     writes the page anew
//! ```

mod schema_world;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use p2pdb_sql::bind::built_in::{CHAPTERS, REJECTED};
use p2pdb_sql::bind::signature::SIGNATURES;
use schema_world::World;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n &'n str>) -> String {
    let code = |n: &&str| format!("`{}`", n.replace('|', "\\|"));
    names.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

/// The page.
fn page() -> String {
    let works: usize = CHAPTERS.iter().map(|c| c.works.len()).sum();
    let refused: usize = CHAPTERS.iter().flat_map(|c| c.refused).map(|(names, _)| names.len()).sum();
    let mut out = format!(
        "# Functions and operators\n\n\
         Every built-in function and operator of MySQL 8, and what becomes of it here. A function that works gives MySQL's values \
         and types;\nwhere something is known to differ, [limits.md](limits.md) says so. One that does not is error 1235 with its \
         name, before\nanything changes; a name that MySQL does not know is 1305.\n\n\
         {works} functions work, {refused} are refused.\n\n\
         *Made from `crates/sql/src/bind/built_in.rs` by `UPDATE_GOLDEN=1 cargo test -p p2pdb-sql --test functions`. The same test \
         holds that each\nfunction that works is in a topic of `node/tests/sqllogic`, with the result of a real server.*\n"
    );
    for c in CHAPTERS {
        write!(out, "\n## {}\n\n| | |\n| --- | --- |\n", c.title).expect("a text");
        if !c.operators.is_empty() {
            writeln!(out, "| {} | work |", quoted(c.operators)).expect("a text");
        }
        if !c.works.is_empty() {
            writeln!(out, "| {} | work |", quoted(c.works)).expect("a text");
        }
        for (names, reason) in c.refused {
            writeln!(out, "| {} | refused: {reason} |", quoted(*names)).expect("a text");
        }
    }
    write!(
        out,
        "\n## For the server itself\n\n| | |\n| --- | --- |\n| {} | error 3566, as in MySQL: its views alone may call them |\n",
        quoted(REJECTED)
    )
    .expect("a text");
    out
}

#[test]
fn the_page_says_what_the_code_says() {
    let path = root().join("docs/functions.md");
    let made = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "docs/functions.md is older than the code: UPDATE_GOLDEN=1 writes it anew");
}

/// The statements of every topic that succeed on a node, in capitals, one space between words.
fn proven() -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(root().join("node/tests/sqllogic")).expect("topics") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a topic");
        for record in text.split("\n\n") {
            let mut lines = record.lines().filter(|l| !l.starts_with('#') && *l != "skipif mysql");
            let Some(head) = lines.next() else { continue };
            let succeeds = head == "statement ok" || head.starts_with("query ") && head != "query error";
            if succeeds {
                let sql: Vec<&str> =
                    lines.take_while(|l| *l != "----").flat_map(str::split_whitespace).collect();
                out.push(format!(" {} ", sql.join(" ").to_uppercase()));
            }
        }
    }
    assert!(out.len() > 500, "the topics are not where they were");
    out
}

/// A call of this function stands in the statement.
fn calls(sql: &str, name: &str) -> bool {
    sql.match_indices(name).any(|(at, _)| {
        let before = sql[..at].chars().next_back().unwrap_or(' ');
        let behind = sql[at + name.len()..].trim_start();
        !(before.is_alphanumeric() || "_.`'\"@".contains(before)) && behind.starts_with('(')
    })
}

/// How an operator of the table is written.
fn written(operator: &str) -> String {
    match operator {
        "- (unary)" => "SELECT -".to_owned(),
        "= (in SET)" => " SET @".to_owned(),
        "_utf8mb4 (introducer)" => "_UTF8MB4'".to_owned(),
        "!" | "~" => format!(" {operator}"),
        "->" | "->>" | "COUNT(DISTINCT)" => operator.trim_end_matches(')').to_owned(),
        "IN" | "NOT IN" | "EXISTS" | "NOT EXISTS" | "OVER" | "MEMBER OF" => format!(" {operator} ("),
        _ => format!(" {operator} "),
    }
}

#[test]
fn what_works_is_proven_by_a_topic() {
    let proven = proven();
    let mut missing: Vec<&str> = Vec::new();
    for c in CHAPTERS {
        missing.extend(c.works.iter().filter(|f| !proven.iter().any(|sql| calls(sql, f))));
        missing.extend(c.operators.iter().filter(|o| !proven.iter().any(|sql| sql.contains(&written(o)))));
    }
    assert!(missing.is_empty(), "no topic calls {missing:?}");
}

#[test]
fn what_is_refused_is_refused_by_name() {
    let mut world = World::new();
    for (name, _) in
        CHAPTERS.iter().flat_map(|c| c.refused).flat_map(|(names, why)| names.iter().map(move |n| (n, why)))
    {
        let sql = if *name == "MATCH" {
            "SELECT MATCH (a) AGAINST ('x') FROM (SELECT 'x' AS a) t".into()
        } else {
            format!("SELECT {name}('a', 'b')")
        };
        let error = world.run(&sql).expect_err(name);
        assert_eq!(error.code, 1235, "{name}: {}", error.message);
        assert!(error.message.contains(name), "{name}: {}", error.message);
    }
    for name in REJECTED {
        assert_eq!(world.run(&format!("SELECT {name}('a')")).expect_err(name).code, 3566, "{name}");
    }
    assert_eq!(world.run("SELECT no_such_function('a')").expect_err("unknown").code, 1305);
}

#[test]
fn every_function_of_the_code_is_in_the_table_and_none_is_there_twice() {
    let mut all = BTreeSet::new();
    for c in CHAPTERS {
        let refused = c.refused.iter().flat_map(|(names, _)| *names);
        for name in c.works.iter().chain(refused) {
            assert!(all.insert(*name), "{name} is there twice");
        }
    }
    for name in SIGNATURES.iter().flat_map(|s| s.names) {
        assert!(CHAPTERS.iter().any(|c| c.works.contains(name)), "{name} works");
    }
}
