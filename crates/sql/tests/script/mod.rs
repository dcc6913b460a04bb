//! Golden scripts: statements after `> ` (a statement ends with `;`, on as many lines as it needs), and below each what
//! becomes of it. `UPDATE_GOLDEN=1` writes what is, to be read before it is kept.

use std::fs;
use std::path::Path;

/// Runs `tests/<path>` and compares: `run` takes one or more statements as written and gives the lines below them.
pub fn golden(path: &str, mut run: impl FnMut(&str) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    let before = fs::read_to_string(&file).expect("a script");
    let mut after = String::new();
    let mut statement = String::new();
    for line in before.lines() {
        if let Some(text) = line.strip_prefix("> ") {
            if !statement.is_empty() {
                statement.push('\n');
            }
            statement.push_str(text);
            after.push_str(&format!("{line}\n"));
            if text.ends_with(';') {
                after.push_str(&run(&std::mem::take(&mut statement)));
            }
        } else if line.starts_with('#') || line.is_empty() {
            after.push_str(&format!("{line}\n"));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &after).expect("the script is writable");
        return;
    }
    for (n, (want, got)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(got, want, "{path}:{}", n + 1);
    }
    assert_eq!(after.lines().count(), before.lines().count(), "{path}");
}
