//! Golden SQL scripts: `tests/golden/<topic>.sql` holds statements and, behind each, what comes of it.
//!
//! A statement begins with `> ` (go on with two blanks); its outcome follows, up to an empty line: column names and
//! rows joined by ` | `, or `ok` with the counts, or the error as the `mysql` client shows it. To write outcomes anew:
//! `UPDATE_GOLDEN=1 cargo test -p p2pdb-engine --test golden`, then read the difference.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use support::{Node, TestSession};

fn outcome(s: &mut TestSession, sql: &str) -> String {
    let mut out = String::new();
    match s.try_run(sql) {
        Err(e) => writeln!(out, "{e}").expect("a string"),
        Ok((outcome, rows)) if outcome.has_rows => {
            writeln!(out, "{}", rows.columns.join(" | ")).expect("a string");
            for row in rows.rows {
                writeln!(out, "{}", row.join(" | ").replace('\n', "\n  ")).expect("a string");
            }
        }
        Ok((o, _)) => {
            write!(out, "ok, {} changed", o.affected).expect("a string");
            if o.last_insert_id != 0 {
                write!(out, ", id {}", o.last_insert_id).expect("a string");
            }
            if o.warnings != 0 {
                write!(out, ", {} warnings", o.warnings).expect("a string");
            }
            if !o.info.is_empty() {
                write!(out, " ({})", o.info).expect("a string");
            }
            out.push('\n');
        }
    }
    out
}

fn run(path: &Path) -> (String, String) {
    let expected = fs::read_to_string(path).expect("a script");
    let node = Node::begin(1);
    let mut session = node.session();
    session.run("CREATE DATABASE test");
    session.run("USE test");
    let mut actual = String::new();
    let mut lines = expected.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("> ") else {
            actual.push_str(line);
            actual.push('\n');
            continue;
        };
        let mut sql = first.to_owned();
        writeln!(actual, "{line}").expect("a string");
        while let Some(more) = lines.next_if(|l| l.starts_with("  ")) {
            writeln!(actual, "{more}").expect("a string");
            sql.push('\n');
            sql.push_str(more.trim_start());
        }
        while lines.next_if(|l| !l.is_empty() && !l.starts_with("> ")).is_some() {}
        actual.push_str(&outcome(&mut session, &sql));
    }
    drop(session);
    let report = node.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.is_clean(), "{}: {:#?}", path.display(), report.findings);
    (expected, actual)
}

#[test]
fn golden_scripts_give_what_they_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(dir).expect("scripts").map(|e| e.expect("an entry").path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 5, "scripts are missing");
    let mut wrong = Vec::new();
    for path in scripts {
        let (expected, actual) = run(&path);
        if expected == actual {
            continue;
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &actual).expect("a writable script");
            continue;
        }
        let differs = expected.lines().zip(actual.lines()).position(|(e, a)| e != a);
        let at = differs.unwrap_or(expected.lines().count().min(actual.lines().count()));
        let around = |t: &str| t.lines().skip(at.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
        wrong.push(format!(
            "{} differs at line {}\n--- expected\n{}\n--- actual\n{}",
            path.display(),
            at + 1,
            around(&expected),
            around(&actual)
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
