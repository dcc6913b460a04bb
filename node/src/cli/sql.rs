//! `sql`: a small client for people without another one at hand. Speaks MySQL's protocol like any client.

mod interrupt;
mod split;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use p2pdb_mysql::client::{ClientEvent, Column, Done};
use p2pdb_mysql::{ColumnType, ServerError, StatusFlags};
use rustyline::error::ReadlineError;
use rustyline::{Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, KeyEvent, RepeatCount};

use self::interrupt::Interrupt;
use self::split::{Splitter, Step};
use super::{Context_, print_out};
use crate::client_file::ClientFile;
use crate::door::tls;
use crate::mysql_client::MysqlClient;
use crate::table::Table;
use crate::units::counted;

/// Rows held to align a table; a longer result is shown in pieces.
const TABLE_ROWS_MAX: usize = 10_000;
/// What is read of statements from a pipe or file at once, bytes.
const READ_BYTES: usize = 1 << 20;
/// What some editors of other systems write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const HISTORY_FILE: &str = "sql_history";

/// `sql`.
#[derive(Debug, Args)]
pub(super) struct Sql {
    /// Run these statements and leave (may be repeated)
    #[arg(short = 'e', long = "execute", value_name = "SQL", allow_hyphen_values = true)]
    execute: Vec<String>,
    /// Database to use
    #[arg(short = 'D', long)]
    database: Option<String>,
    /// Option file with address, user and password; default: client.cnf in the data directory
    #[arg(long, value_name = "FILE")]
    defaults_file: Option<PathBuf>,
    /// Print JSON: one line for each result
    #[arg(long)]
    json: bool,
}

pub(super) fn run(c: &Context_, args: &Sql) -> anyhow::Result<()> {
    let file = match &args.defaults_file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            ClientFile::parse(&text)
        }
        None => {
            let file = ClientFile::read(&c.dir)?.with_context(|| {
                format!("there is no client.cnf in {}\n  hint: --data-dir names the node's directory, --defaults-file another option file", c.dir.root().display())
            })?;
            // At the address in the file another node may listen: the one that this directory is a copy of.
            if !c.dir.is_held() {
                bail!(
                    "no node runs in {}\n  hint: `p2pdb-node run --data-dir {0}` starts it; --defaults-file takes an option file for another one",
                    c.dir.root().display()
                );
            }
            file
        }
    };
    let certificate = if args.defaults_file.is_none() { tls::certificate(&c.dir)? } else { None };
    let tls = Some(tls::for_client(certificate.as_deref()).context("tls/cert.pem cannot be used")?);
    let mut client = MysqlClient::open_with(&file, args.database.clone(), "p2pdb-node sql", &tls)?;
    let interacts = args.execute.is_empty() && std::io::stdin().is_terminal();
    let interrupt = Interrupt::of(client.protocol().connection_id(), file, tls, !interacts)?;
    let mut connection = Connection { client, interrupt };
    let mut out = Output { json: args.json, framed: true, vertical: false };
    if !args.execute.is_empty() {
        out.framed = std::io::stdout().is_terminal();
        for text in &args.execute {
            run_all(&mut connection, &out, text.as_bytes())?;
        }
        return Ok(());
    }
    if !interacts {
        out.framed = std::io::stdout().is_terminal();
        return run_all(&mut connection, &out, std::io::stdin().lock());
    }
    interact(c, &mut connection, &out)
}

/// Runs statements as they come; stops at the first error.
fn run_all(connection: &mut Connection, out: &Output, mut input: impl Read) -> anyhow::Result<()> {
    let (mut splitter, mut buffer, mut lines) = (Splitter::default(), vec![0; READ_BYTES], Vec::new());
    let mut is_first = true;
    loop {
        let n = input.read(&mut buffer).context("cannot read the statements")?;
        if n == 0 {
            lines.push(b'\n');
            let mut steps = splitter.add(&lines);
            if steps.last() != Some(&Step::Leave) {
                steps.extend(splitter.rest().map(Step::Run));
            }
            return run_each(connection, out, steps).map(drop);
        }
        let begin =
            if is_first && buffer[..n].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        is_first = false;
        let end = buffer[..n].iter().rposition(|b| *b == b'\n').map_or(begin, |at| at + 1);
        lines.extend_from_slice(&buffer[begin..end]);
        if end > begin {
            if !run_each(connection, out, splitter.add(&lines))? {
                return Ok(());
            }
            lines.clear();
        }
        lines.extend_from_slice(&buffer[end..n]);
    }
}

/// False where it is to leave.
fn run_each(connection: &mut Connection, out: &Output, steps: Vec<Step>) -> anyhow::Result<bool> {
    for step in steps {
        let Step::Run(statement) = step else { return Ok(false) };
        let (ended, interrupted) =
            connection.query(&statement.sql, &Output { vertical: statement.vertical, ..*out })?;
        ended?;
        if interrupted {
            bail!("interrupted");
        }
    }
    Ok(true)
}

fn interact(c: &Context_, connection: &mut Connection, out: &Output) -> anyhow::Result<()> {
    let mut editor = Editor::of(c)?;
    println!(
        "{} · end statements with ; or \\G · throw one away with \\c · leave with \\q or Ctrl-D",
        connection.client.protocol().server_version()
    );
    let mut splitter = Splitter::default();
    'typing: loop {
        let prompt = if splitter.is_empty() { "p2pdb> " } else { "    -> " };
        match editor.lines.readline(prompt) {
            // What was typed of a statement is thrown away, and what is typed behind is not.
            Ok(_) if editor.is_interrupted() => splitter.throw_away(),
            Ok(line) => {
                for step in splitter.add(format!("{line}\n").as_bytes()) {
                    let Step::Run(statement) = step else { break 'typing };
                    let sql = String::from_utf8_lossy(&statement.sql);
                    if is_remembered(&sql) {
                        // Only the words, so that a statement comes back as one line.
                        let ends = if statement.vertical { "\\G" } else { ";" };
                        editor.remember(format!("{}{ends}", sql.replace('\n', " ")));
                    }
                    let out = Output { vertical: statement.vertical, ..*out };
                    let (ended, interrupted) = connection.query(&statement.sql, &out)?;
                    if let Err(e) = ended {
                        eprintln!("{e}");
                    }
                    // The others of this line were not meant to run, either.
                    if interrupted {
                        break;
                    }
                }
            }
            Err(ReadlineError::Eof) => break,
            // A signal that was not the key.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Io(e)) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(ReadlineError::Errno(e))
                if std::io::Error::from(e).kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e).context("cannot read from this terminal"),
        }
    }
    Ok(())
}

/// Lines from the terminal, with the history of the statements.
struct Editor {
    lines: rustyline::DefaultEditor,
    /// Ctrl-C has ended the line.
    interrupted: Arc<AtomicBool>,
    /// Where it is kept, as long as it can be.
    history: Option<PathBuf>,
}

/// Ctrl-C as a key that ends the line: where the editor itself gives it up, it forgets what is typed behind.
struct CtrlC(Arc<AtomicBool>);

impl ConditionalEventHandler for CtrlC {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

impl Editor {
    fn of(c: &Context_) -> anyhow::Result<Self> {
        let mut lines = rustyline::DefaultEditor::new().context("cannot read from this terminal")?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let ends = EventHandler::Conditional(Box::new(CtrlC(interrupted.clone())));
        lines.bind_sequence(KeyEvent::ctrl('C'), ends);
        let history = c.dir.path(HISTORY_FILE);
        // No history yet is no error.
        let _ = lines.load_history(&history);
        // It may hold passwords, so the file is there with its permissions before it is written.
        let made = if history.exists() { Ok(()) } else { c.dir.write_secret(HISTORY_FILE, b"") };
        if let Err(e) = &made {
            eprintln!("the history is not kept: {e}");
        }
        Ok(Editor { lines, interrupted, history: made.is_ok().then_some(history) })
    }

    /// Whether Ctrl-C has ended the last line.
    fn is_interrupted(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    /// Keeps a statement before it is run, whatever becomes of this program meanwhile.
    fn remember(&mut self, statement: String) {
        let _ = self.lines.add_history_entry(statement);
        if let Some(history) = &self.history
            && let Err(e) = self.lines.append_history(history)
        {
            eprintln!("the history is no longer kept: {e}");
            self.history = None;
        }
    }
}

/// False for what may hold a password: the patterns that the mysql client leaves out of its history (`--histignore`).
fn is_remembered(sql: &str) -> bool {
    let sql = sql.to_ascii_uppercase();
    !["IDENTIFIED", "PASSWORD"].iter().any(|word| sql.contains(word))
}

#[derive(Clone, Copy)]
struct Output {
    json: bool,
    framed: bool,
    /// A line for each column.
    vertical: bool,
}

struct Connection {
    client: MysqlClient,
    interrupt: Interrupt,
}

impl Connection {
    /// Runs a statement and prints its results; the inner error is the statement's. Also says whether Ctrl-C was to stop it.
    fn query(&mut self, sql: &[u8], out: &Output) -> anyhow::Result<(Result<(), ServerError>, bool)> {
        let Self { client, interrupt } = self;
        let (ended, interrupted) = interrupt.during(|| run_one(client, sql, out));
        Ok((ended?, interrupted))
    }
}

fn run_one(client: &mut MysqlClient, sql: &[u8], out: &Output) -> anyhow::Result<Result<(), ServerError>> {
    let begun = Instant::now();
    client.protocol().query(sql);
    let mut result: Option<(Vec<Column>, Vec<Row>, u64)> = None;
    loop {
        match client.event()? {
            ClientEvent::Columns(columns) => result = Some((columns, Vec::new(), 0)),
            ClientEvent::Row(row) => {
                if let Some((columns, rows, total)) = &mut result {
                    rows.push(row);
                    *total += 1;
                    if rows.len() >= TABLE_ROWS_MAX && !out.json {
                        print_rows(columns, std::mem::take(rows), out)?;
                    }
                }
            }
            ClientEvent::Done(done) => {
                let more = done.status.contains(StatusFlags::MORE_RESULTS_EXISTS);
                match result.take() {
                    Some((columns, rows, total)) => {
                        print_rows(&columns, rows, out)?;
                        if out.framed && !out.json {
                            print_out(&format!(
                                "{} in set ({:.2} s)\n\n",
                                counted(total, "row"),
                                begun.elapsed().as_secs_f64()
                            ))?;
                        }
                    }
                    None => print_done(&done, begun.elapsed(), out)?,
                }
                if !more {
                    return Ok(Ok(()));
                }
            }
            ClientEvent::Error(e) => return Ok(Err(e)),
            other => bail!("unexpected answer: {other:?}"),
        }
    }
}

type Row = Vec<Option<Vec<u8>>>;

fn print_done(done: &Done, took: Duration, out: &Output) -> anyhow::Result<()> {
    if out.json {
        let value = serde_json::json!({
            "affected_rows": done.affected_rows,
            "last_insert_id": done.last_insert_id,
            "warnings": done.warnings,
            "info": done.info,
        });
        return print_out(&format!("{value}\n"));
    }
    if !out.framed {
        return Ok(());
    }
    let warnings = if done.warnings == 0 {
        String::new()
    } else {
        format!(", {}", counted(u64::from(done.warnings), "warning"))
    };
    let info = if done.info.is_empty() { String::new() } else { format!("  {}", done.info) };
    print_out(&format!(
        "OK, {} affected{warnings} ({:.2} s){info}\n\n",
        counted(done.affected_rows, "row"),
        took.as_secs_f64()
    ))
}

fn print_rows(columns: &[Column], rows: Vec<Row>, out: &Output) -> anyhow::Result<()> {
    if out.json {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let rows: Vec<Vec<serde_json::Value>> = rows
            .iter()
            .map(|r| columns.iter().zip(r).map(|(c, cell)| json_cell(c, cell.as_deref())).collect())
            .collect();
        return print_out(&format!("{}\n", serde_json::json!({ "columns": names, "rows": rows })));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let text = |cell: Option<Vec<u8>>| match cell {
        None => "NULL".to_owned(),
        Some(bytes) => String::from_utf8(bytes)
            .unwrap_or_else(|e| format!("0x{}", p2pdb_model::ids::hex(e.as_bytes()).to_uppercase())),
    };
    if out.vertical {
        let width = columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        let mut lines = String::new();
        for (n, row) in rows.into_iter().enumerate() {
            let stars = "*".repeat(27);
            lines += &format!("{stars} {}. row {stars}\n", n + 1);
            for (column, cell) in columns.iter().zip(row) {
                lines += &format!("{:>width$}: {}\n", column.name, text(cell));
            }
        }
        return print_out(&lines);
    }
    if out.framed {
        let mut table = Table::new(columns.iter().map(|c| c.name.clone()));
        rows.into_iter().for_each(|r| table.row(r.into_iter().map(text)));
        return print_out(&table.framed());
    }
    // As the mysql client does in a pipe: tabs between cells.
    let mut lines = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join("\t");
    lines.push('\n');
    for row in rows {
        let cells: Vec<String> = row
            .into_iter()
            .map(|c| text(c).replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"))
            .collect();
        lines += &cells.join("\t");
        lines.push('\n');
    }
    print_out(&lines)
}

fn json_cell(column: &Column, cell: Option<&[u8]>) -> serde_json::Value {
    use ColumnType::*;
    let Some(bytes) = cell else {
        return serde_json::Value::Null;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return format!("0x{}", p2pdb_model::ids::hex(bytes).to_uppercase()).into();
    };
    let number: Option<serde_json::Number> = match column.column_type {
        // DECIMAL stays text: JSON readers would make a float of it.
        Tiny | Short | Long | LongLong | Int24 | Year => {
            text.parse::<i64>().map(Into::into).or_else(|_| text.parse::<u64>().map(Into::into)).ok()
        }
        Float | Double => text.parse().ok().and_then(serde_json::Number::from_f64),
        _ => None,
    };
    number.map_or_else(|| text.into(), serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(column_type: ColumnType) -> Column {
        Column {
            schema: String::new(),
            table: String::new(),
            org_table: String::new(),
            name: "c".into(),
            org_name: String::new(),
            charset: 255,
            length: 0,
            column_type,
            flags: p2pdb_mysql::ColumnFlags::empty(),
            decimals: 0,
        }
    }

    #[test]
    fn statements_with_passwords_are_left_out_of_the_history() {
        assert!(is_remembered("SELECT 'a' FROM users"));
        for sql in
            ["create user u identified by 'x'", "SET Password = 'x'", "ALTER USER u\nIDENTIFIED BY 'x'"]
        {
            assert!(!is_remembered(sql), "{sql}");
        }
    }

    #[test]
    fn json_cells_keep_their_value() {
        for (ty, text, json) in [
            (ColumnType::LongLong, "18446744073709551615", "18446744073709551615"),
            (ColumnType::Long, "-5", "-5"),
            (ColumnType::NewDecimal, "1.10", "\"1.10\""),
            (ColumnType::Double, "1.5", "1.5"),
            (ColumnType::VarString, "7", "\"7\""),
        ] {
            assert_eq!(json_cell(&column(ty), Some(text.as_bytes())).to_string(), json);
        }
        assert_eq!(json_cell(&column(ColumnType::Blob), Some(&[0xff])).to_string(), "\"0xFF\"");
        assert!(json_cell(&column(ColumnType::Long), None).is_null());
    }
}
