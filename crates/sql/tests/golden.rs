//! Golden scripts: statements and what becomes of them. `UPDATE_GOLDEN=1` writes what is, to be read before it is kept.

use std::fs;
use std::path::Path;

mod schema_world;
use schema_world::World;

fn transcript(script: &str) -> String {
    let mut world = World::new();
    let mut out = String::new();
    let mut statement = String::new();
    for line in script.lines() {
        if let Some(text) = line.strip_prefix("> ") {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(text);
            out.push_str(&format!("{line}\n"));
            if !text.ends_with(';') {
                continue;
            }
            let sql = std::mem::take(&mut statement);
            match world.run(sql.trim_end_matches(';')) {
                Ok(text) => out.push_str(&text),
                Err(e) => out.push_str(&format!("{e}\n")),
            }
        } else if line.starts_with('#') || line.is_empty() {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

fn golden(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let before = fs::read_to_string(&path).expect("golden file");
    let after = transcript(&before);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &after).expect("golden file is writable");
        return;
    }
    for (n, (want, got)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(got, want, "{name}:{}", n + 1);
    }
    assert_eq!(after.lines().count(), before.lines().count(), "{name}");
}

#[test]
fn tables_are_created_and_shown_as_mysql_does() {
    golden("create.txt");
}

#[test]
fn tables_are_altered() {
    golden("alter.txt");
}

#[test]
fn errors_of_definitions_have_mysqls_numbers() {
    golden("errors.txt");
}

#[test]
fn sessions_are_set_up_as_clients_do() {
    golden("session.txt");
}

#[test]
fn show_answers() {
    golden("show.txt");
}

#[test]
fn writes_become_sqlite_statements() {
    golden("dml.txt");
}

#[test]
fn views_are_kept_as_canonical_text() {
    golden("views.txt");
}

#[test]
fn a_dump_compiles_statement_by_statement() {
    golden("dump.txt");
}
