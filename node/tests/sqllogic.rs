//! MySQL's values, types and errors, topic by topic: `tests/sqllogic/<topic>.test`, run over the wire.
//!
//! The expected results come from a real server. To check the scripts against one, or to write their results anew:
//!
//! ```text
//! P2PDB_REFERENCE=mysql://root@127.0.0.1:3306 [UPDATE_GOLDEN=1] cargo test -p p2pdb-node --test sqllogic
//! ```
//!
//! Without `P2PDB_REFERENCE` they run against a node. `SQLLOGIC_TOPIC=name` picks one script. Where the reference is not
//! what we follow (it may be newer than MySQL 8.0), a record has `skipif mysql` and its reason above it.
//!
//! Rows are one line each, values joined by ` | `; NULL is `NULL`, an empty string `(empty)`, a blank at either end `·`,
//! bytes that are no text `0x…`. Errors are compared with number, SQLSTATE and text; 1064 without its text, 1690 without
//! the expression. `skipif p2pdb` marks what still differs.
//! The letters after `query` are the wire's column types: `t` TINYINT, `s` SMALLINT, `m` MEDIUMINT, `i` INT, `I` BIGINT,
//! `U` BIGINT UNSIGNED, `N` DECIMAL, `F` FLOAT, `R` DOUBLE, `V` BIT, `Y` YEAR, `D` DATE, `H` TIME, `W` DATETIME,
//! `S` TIMESTAMP, `C` CHAR, `T` VARCHAR, `L` TEXT, `c` BINARY, `B` VARBINARY, `K` BLOB, `E` ENUM, `X` SET, `J` JSON, `Z` NULL.
//! A query that begins with `/* types */` gives a line per column instead of its rows: type, length, decimals, flags,
//! character set.

mod common;

use std::fmt;
use std::path::{Path, PathBuf};

use common::{Node, run_ok};
use mysql_async::consts::{ColumnFlags, ColumnType as Wire};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Opts, OptsBuilder, Value};
use sqllogictest::{
    AsyncDB, ColumnType, DBOutput, MakeConnection, Normalizer, Record, Runner, strict_column_validator,
    update_record_with_output,
};

const SEPARATOR: &str = " | ";
/// The collation "binary" on the wire.
const BINARY: u16 = 63;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Letter(char);

impl ColumnType for Letter {
    fn from_char(value: char) -> Option<Self> {
        Some(Letter(value))
    }
    fn to_char(&self) -> char {
        self.0
    }
}

impl Letter {
    fn of(c: &Column) -> Self {
        use Wire::*;
        let flags = c.flags();
        let binary = c.character_set() == BINARY;
        let text = |text, bytes| if binary { bytes } else { text };
        Letter(match c.column_type() {
            _ if flags.contains(ColumnFlags::ENUM_FLAG) => 'E',
            _ if flags.contains(ColumnFlags::SET_FLAG) => 'X',
            MYSQL_TYPE_TINY => 't',
            MYSQL_TYPE_SHORT => 's',
            MYSQL_TYPE_INT24 => 'm',
            MYSQL_TYPE_LONG => 'i',
            MYSQL_TYPE_LONGLONG if flags.contains(ColumnFlags::UNSIGNED_FLAG) => 'U',
            MYSQL_TYPE_LONGLONG => 'I',
            MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => 'N',
            MYSQL_TYPE_FLOAT => 'F',
            MYSQL_TYPE_DOUBLE => 'R',
            MYSQL_TYPE_BIT => 'V',
            MYSQL_TYPE_YEAR => 'Y',
            MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => 'D',
            MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2 => 'H',
            MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2 => 'W',
            MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2 => 'S',
            MYSQL_TYPE_STRING => text('C', 'c'),
            MYSQL_TYPE_VAR_STRING | MYSQL_TYPE_VARCHAR => text('T', 'B'),
            MYSQL_TYPE_TINY_BLOB | MYSQL_TYPE_MEDIUM_BLOB | MYSQL_TYPE_LONG_BLOB | MYSQL_TYPE_BLOB => {
                text('L', 'K')
            }
            MYSQL_TYPE_JSON => 'J',
            MYSQL_TYPE_NULL => 'Z',
            _ => '?',
        })
    }
}

/// A column as `/* types */` shows it.
fn described(c: &Column) -> Vec<String> {
    let flags: Vec<&str> = [
        (ColumnFlags::NOT_NULL_FLAG, "not_null"),
        (ColumnFlags::UNSIGNED_FLAG, "unsigned"),
        (ColumnFlags::ZEROFILL_FLAG, "zerofill"),
        (ColumnFlags::PRI_KEY_FLAG, "primary"),
        (ColumnFlags::UNIQUE_KEY_FLAG, "unique"),
        (ColumnFlags::MULTIPLE_KEY_FLAG, "multiple"),
        (ColumnFlags::AUTO_INCREMENT_FLAG, "auto_increment"),
    ]
    .into_iter()
    .filter(|(f, _)| c.flags().contains(*f))
    .map(|(_, n)| n)
    .collect();
    let kind = format!("{:?}", c.column_type()).replace("MYSQL_TYPE_", "").to_lowercase();
    vec![
        c.name_str().into_owned(),
        kind,
        format!("length {}", c.column_length()),
        format!("decimals {}", c.decimals()),
        format!("charset {}", c.character_set()),
        flags.join(" "),
    ]
}

fn shown(v: &Value) -> String {
    let bytes = match v {
        Value::NULL => return "NULL".to_owned(),
        Value::Bytes(b) => b,
        other => return other.as_sql(true),
    };
    if bytes.is_empty() {
        return "(empty)".to_owned();
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bytes.iter().fold("0x".to_owned(), |s, b| s + &format!("{b:02X}"));
    };
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
    let inner = out.trim_matches(' ');
    let before = out.len() - out.trim_start_matches(' ').len();
    let after = if inner.is_empty() { 0 } else { out.len() - out.trim_end_matches(' ').len() };
    format!("{}{inner}{}", "·".repeat(before), "·".repeat(after))
}

#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<mysql_async::Error> for Failure {
    fn from(e: mysql_async::Error) -> Self {
        Failure(match e {
            mysql_async::Error::Server(e) if e.code == 1064 => "ERROR 1064 (42000)".to_owned(),
            // The expression is printed as the optimizer left it.
            mysql_async::Error::Server(e) if e.code == 1690 => {
                let kind = e.message.split(" in '").next().unwrap_or_default();
                format!("ERROR 1690 ({}): {kind}", e.state)
            }
            mysql_async::Error::Server(e) => {
                let message = e.message.split_whitespace().collect::<Vec<_>>().join(" ");
                format!("ERROR {} ({}): {message}", e.code, e.state)
            }
            e => format!("connection: {e}"),
        })
    }
}

/// A connection; `engine` is what `skipif` and `onlyif` compare with.
struct Client {
    conn: Option<Conn>,
    engine: &'static str,
}

#[async_trait::async_trait]
impl AsyncDB for Client {
    type Error = Failure;
    type ColumnType = Letter;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Letter>, Failure> {
        let conn = self.conn.as_mut().expect("an open connection");
        let mut result = conn.query_iter(sql).await?;
        let columns = result.columns_ref().to_vec();
        let affected = result.affected_rows();
        let rows: Vec<mysql_async::Row> = result.collect().await?;
        drop(result);
        if columns.is_empty() {
            return Ok(DBOutput::StatementComplete(affected));
        }
        if sql.starts_with("/* types */") {
            let rows: Vec<_> = columns.iter().map(described).collect();
            return Ok(DBOutput::Rows { types: vec![Letter('T')], rows });
        }
        let types = columns.iter().map(Letter::of).collect();
        let rows = rows.into_iter().map(|r| r.unwrap().iter().map(shown).collect()).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {
        if let Some(conn) = self.conn.take() {
            let _ = conn.disconnect().await;
        }
    }

    fn engine_name(&self) -> &str {
        self.engine
    }
}

/// Rows are compared as they are printed.
fn same_rows(_: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|(a, e)| a.join(SEPARATOR).trim_end() == e.trim_end())
}

#[expect(clippy::ptr_arg, reason = "the runner's function type asks for it")]
fn as_it_is(s: &String) -> String {
    s.trim_end().to_owned()
}

async fn connect(opts: Opts, engine: &'static str, database: String) -> Result<Client, Failure> {
    let mut conn = Conn::new(opts).await?;
    for sql in [
        "SET NAMES utf8mb4".to_owned(),
        "SET time_zone = '+00:00'".to_owned(),
        format!("CREATE DATABASE IF NOT EXISTS {database}"),
        format!("USE {database}"),
    ] {
        conn.query_drop(sql).await?;
    }
    Ok(Client { conn: Some(conn), engine })
}

/// Runs every record of a script, also behind a wrong one; gives what was wrong.
async fn check<M: MakeConnection<Conn = Client>>(runner: &mut Runner<Client, M>, path: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for record in sqllogictest::parse_file::<Letter>(path).expect("a script") {
        let output = runner.apply_record(record.clone()).await;
        // What would be written instead of the record, if anything.
        let actual = update_record_with_output(
            &record,
            &output,
            SEPARATOR,
            same_rows,
            as_it_is,
            strict_column_validator,
        );
        let (expected, actual) = (record.to_string(), actual.unwrap_or(record.clone()).to_string());
        if expected != actual {
            let line = match &record {
                Record::Statement { loc, .. } | Record::Query { loc, .. } => loc.line(),
                _ => 0,
            };
            wrong.push(format!("{}:{line}\n{}", path.display(), difference(&expected, &actual)));
        }
    }
    wrong
}

/// The lines of a record, those that differ marked with `-` (expected) and `+` (actual).
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let mut out = String::new();
    for i in 0..expected.len().max(actual.len()) {
        match (expected.get(i), actual.get(i)) {
            (Some(e), Some(a)) if e == a => out.push_str(&format!("  {e}\n")),
            (e, a) => {
                out.extend(e.map(|e| format!("- {e}\n")));
                out.extend(a.map(|a| format!("+ {a}\n")));
            }
        }
    }
    out
}

#[test]
fn topics_give_mysqls_values_types_and_errors() {
    let reference = std::env::var("P2PDB_REFERENCE").ok();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    assert!(!update || reference.is_some(), "expected results come from a reference server, not from a node");
    let topic = std::env::var("SQLLOGIC_TOPIC").ok();

    let temp = tempfile::tempdir().expect("a directory");
    let node = reference.is_none().then(|| Node::start(&temp.path().join("node"), &[]));
    let opts = match (&reference, &node) {
        (Some(url), _) => Opts::from_url(url).expect("P2PDB_REFERENCE is a URL"),
        (None, Some(node)) => {
            let file = node.client_file();
            let login = OptsBuilder::default().ip_or_hostname(file.host).tcp_port(file.port);
            login.user(Some(file.user)).pass(Some(file.password)).into()
        }
        (None, None) => unreachable!("one of both is there"),
    };
    let engine = if reference.is_some() { "mysql" } else { "p2pdb" };

    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sqllogic");
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(dir).expect("scripts").map(|e| e.expect("an entry").path()).collect();
    scripts.sort();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut wrong = Vec::new();
    let mut ran = 0;
    for path in &scripts {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if topic.as_ref().is_some_and(|t| *t != name) {
            continue;
        }
        ran += 1;
        let database = format!("topic_{name}");
        runtime.block_on(async {
            let make = || connect(opts.clone(), engine, database.clone());
            let mut runner = Runner::new(make);
            runner.with_validator(same_rows);
            runner.with_normalizer(as_it_is);
            runner.with_column_validator(strict_column_validator);
            if update {
                runner
                    .update_test_file(path, SEPARATOR, same_rows, as_it_is, strict_column_validator)
                    .await
                    .expect("a script that can be written");
            } else {
                wrong.extend(check(&mut runner, path).await);
            }
            runner.shutdown_async().await;
            // A node keeps them for the end.
            if reference.is_some() {
                let mut last = make().await.expect("a connection");
                last.run(&format!("DROP DATABASE {database}")).await.expect("dropped");
                last.shutdown().await;
            }
        });
    }
    // What statements left in the tables is what every peer makes of their blocks.
    if let Some(node) = node {
        assert!(node.stop(), "a clean end");
        assert!(run_ok(&temp.path().join("node"), &["verify"]).contains("as the log says"));
    }
    assert!(ran > 0, "no script was run");
    assert!(wrong.is_empty(), "{} of the records differ:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
