//! What SHOW CREATE TABLE says of the merged tables makes the same tables in an empty database.

use p2pdb_engine::Engine;

use super::{Failure, ask, cell};
use crate::client::run;
use crate::node::{DATABASE, session};

/// A database that no world has.
const AGAIN: &str = "again";

/// Asks an engine that nobody looks at any more.
///
/// # Errors
/// A definition that cannot be loaded, or says something else then.
pub fn loads(engine: &Engine) -> Result<(), Failure> {
    let fails = |what: String| Failure::new("loads", what);
    let mut s = session(engine, u64::MAX - 5, Some(DATABASE)).map_err(|e| fails(e.to_string()))?;
    let mut texts = Vec::new();
    for row in ask(engine, &mut s, "SHOW TABLES")? {
        let shown = ask(engine, &mut s, &format!("SHOW CREATE TABLE `{}`", cell(&row, 0)))?;
        texts.extend(shown.first().map(|r| (cell(r, 0), without_next(&cell(r, 1)))));
    }
    let made = run(engine, &mut s, &format!("CREATE DATABASE {AGAIN}"));
    match made {
        // Founders who have lost their rights make nothing.
        Err(e) if [1044, 1142, 1227, 1290].contains(&e.code) => return Ok(()),
        made => made.map_err(|e| fails(e.to_string()))?,
    };
    for text in [format!("USE {AGAIN}"), "SET foreign_key_checks = 0".to_owned()] {
        run(engine, &mut s, &text).map_err(|e| fails(format!("{text}: {e}")))?;
    }
    for (_, text) in &texts {
        run(engine, &mut s, text).map_err(|e| fails(format!("{text}: {e}")))?;
    }
    for (name, text) in &texts {
        let shown = ask(engine, &mut s, &format!("SHOW CREATE TABLE `{name}`"))?;
        let again = shown.first().map(|r| without_next(&cell(r, 1))).unwrap_or_default();
        if again != *text {
            return Err(fails(format!("{text}\nis made again as\n{again}")));
        }
    }
    Ok(())
}

/// Without the number that AUTO_INCREMENT gives out next.
fn without_next(text: &str) -> String {
    match text.split_once(" AUTO_INCREMENT=") {
        Some((before, rest)) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            format!("{before}{}", &rest[end..])
        }
        None => text.to_owned(),
    }
}
