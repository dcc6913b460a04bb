//! CREATE, ALTER and DROP of stored procedures, functions and triggers.
//!
//! A body is kept as it was written, with the sql_mode that it is read under. It is read as a whole when it is created,
//! so that syntax, labels, variables and what is not allowed in it are right; names of tables and columns are looked up
//! only when it runs, as in MySQL.

use p2pdb_model::catalog::{Database, Table, Trigger, same_name};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::schema::{BodyScope, Definition, RoutineDef, TriggerDef, TriggerEvent};
use p2pdb_model::types::Collation;
use sqlparser::tokenizer::Token;

use super::{table, types, view};
use crate::error::SqlError;
use crate::front::Source;
use crate::plan::{Ddl, Note};
use crate::routine::{self, Kind, Locals, Parameter, Program};
use crate::schema_text;
use crate::session::SessionState;
use crate::statement::{Context, Cursor, note};

/// Distance between the places of triggers that follow each other.
const PLACE: u64 = 1 << 32;

/// `[DEFINER = x] {PROCEDURE | FUNCTION | TRIGGER} …`, as it is written.
struct Head {
    definer: Option<String>,
    what: ObjectKind,
    if_not_exists: bool,
    name: (Option<String>, String),
}

fn head(c: &mut Cursor<'_, '_>) -> Result<Option<Head>, SqlError> {
    let mark = c.mark();
    let definer = if c.eat("definer") {
        c.expect_token(&Token::Eq)?;
        if c.eat("current_user") {
            if c.eat_token(&Token::LParen) {
                c.expect_token(&Token::RParen)?;
            }
            None
        } else {
            Some(view::account(c)?)
        }
    } else {
        None
    };
    let what = match c.eat_one(&["procedure", "function", "trigger"]) {
        Some("procedure") => ObjectKind::Procedure,
        Some("function") => ObjectKind::Function,
        Some(_) => ObjectKind::Trigger,
        None => {
            c.back(mark);
            return Ok(None);
        }
    };
    let if_not_exists = c.eat("if not exists");
    let name = c.table_name()?;
    Ok(Some(Head { definer, what, if_not_exists, name }))
}

/// What is written behind the parameters.
#[derive(Clone, Default)]
struct Characteristics {
    deterministic: Option<bool>,
    data_access: Option<&'static str>,
    invoker: Option<bool>,
    comment: Option<String>,
}

fn characteristics(c: &mut Cursor<'_, '_>) -> Result<Characteristics, SqlError> {
    let mut all = Characteristics::default();
    loop {
        if c.eat("comment") {
            all.comment = Some(c.string()?);
        } else if c.eat("language sql") {
        } else if c.eat("language") {
            return Err(SqlError::unsupported(format!("LANGUAGE {}", c.word_or_string()?.to_uppercase())));
        } else if c.eat("not deterministic") {
            all.deterministic = Some(false);
        } else if c.eat("deterministic") {
            all.deterministic = Some(true);
        } else if c.eat("contains sql") {
            all.data_access = Some("CONTAINS SQL");
        } else if c.eat("no sql") {
            all.data_access = Some("NO SQL");
        } else if c.eat("reads sql data") {
            all.data_access = Some("READS SQL DATA");
        } else if c.eat("modifies sql data") {
            all.data_access = Some("MODIFIES SQL DATA");
        } else if c.eat("sql security") {
            let who = c.eat_one(&["definer", "invoker"]).ok_or_else(|| c.error())?;
            all.invoker = Some(who == "invoker");
        } else {
            return Ok(all);
        }
    }
}

/// A procedure or function behind its name: parameters as text, and the rest.
struct Read {
    parameters: String,
    returns: Option<String>,
    characteristics: Characteristics,
    body: String,
    program: Program,
}

fn read(
    c: &mut Cursor<'_, '_>,
    source: &Source<'_>,
    kind: ObjectKind,
    session: Option<&SessionState>,
    collation: Collation,
) -> Result<Read, SqlError> {
    let function = kind == ObjectKind::Function;
    if function && c.is("returns") || c.is("soname") {
        return Err(SqlError::unsupported("loadable functions"));
    }
    c.expect_token(&Token::LParen)?;
    let from = c.mark();
    let parameters: Vec<Parameter> = routine::parameters(c, function, collation)?;
    // Between the parentheses, blanks and all.
    let open = source.range(from - 1, from).end;
    let close = source.range(c.mark() - 1, c.mark()).start;
    let text = source.text[open..close].to_owned();
    let mut returns = None;
    if function {
        c.expect("returns")?;
        let parsed = types::read(c, "RETURN", collation, &mut Vec::new())?;
        returns = Some(returned_text(&parsed.ty));
    }
    let characteristics = characteristics(c)?;
    let kind = if function { Kind::Function } else { Kind::Procedure };
    let returned = match (&returns, session) {
        (Some(text), Some(session)) => {
            let ty = routine::returned(text, session.sql_mode, collation)?;
            Some(routine::Variable::new("RETURN", &ty))
        }
        _ => None,
    };
    let program = routine::head(parameters, returned);
    let (program, at) = routine::body(c, source, kind, collation, program)?;
    Ok(Read { parameters: text, returns, characteristics, body: source.text[at].to_owned(), program })
}

/// A type as SHOW CREATE FUNCTION shows it.
fn returned_text(ty: &p2pdb_model::types::SqlType) -> String {
    let text = schema_text::column_type(ty);
    match ty.collation() {
        Some(Collation::Binary) | None => text,
        Some(c) if crate::variables::default_collation(c.charset()) == c => {
            format!("{text} CHARSET {}", c.charset())
        }
        Some(c) => format!("{text} CHARSET {} COLLATE {}", c.charset(), c.name()),
    }
}

/// A trigger behind its name.
struct ReadTrigger {
    before: bool,
    event: TriggerEvent,
    table: (Option<String>, String),
    /// FOLLOWS (true) or PRECEDES another.
    order: Option<(bool, String)>,
}

fn read_trigger(c: &mut Cursor<'_, '_>) -> Result<ReadTrigger, SqlError> {
    let before = match c.eat_one(&["before", "after"]) {
        Some(word) => word == "before",
        None => return Err(c.error()),
    };
    let event = match c.eat_one(&["insert", "update", "delete"]) {
        Some("insert") => TriggerEvent::Insert,
        Some("update") => TriggerEvent::Update,
        Some(_) => TriggerEvent::Delete,
        None => return Err(c.error()),
    };
    c.expect("on")?;
    let table = c.table_name()?;
    c.expect("for each row")?;
    let order = match c.eat_one(&["follows", "precedes"]) {
        Some(word) => Some((word == "follows", c.name()?)),
        None => None,
    };
    Ok(ReadTrigger { before, event, table, order })
}

/// Reads a definition to its end, whatever it names.
///
/// # Errors
/// 1064 and those of declarations.
pub(crate) fn skim(
    c: &mut Cursor<'_, '_>,
    source: &Source<'_>,
    collation: Collation,
) -> Result<(), SqlError> {
    c.expect("create")?;
    let Some(head) = head(c)? else { return Err(c.error()) };
    if head.what == ObjectKind::Trigger {
        let read = read_trigger(c)?;
        let kind = Kind::Trigger(read.before, read.event);
        return routine::body(c, source, kind, collation, Program::default()).map(|_| ());
    }
    read(c, source, head.what, None, collation).map(|_| ())
}

/// CREATE was read. `None` when none of these is created.
pub(super) fn create(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    notes: &mut Vec<Note>,
) -> Result<Option<Ddl>, SqlError> {
    let Some(head) = head(c)? else { return Ok(None) };
    let database = cx.database(head.name.0.clone())?;
    let db = table::database(cx, &database)?;
    let name = head.name.1.clone();
    table::table_name_ok(&name)?;
    if head.what == ObjectKind::Trigger {
        return trigger(c, cx, head, db, notes).map(Some);
    }
    let word = if head.what == ObjectKind::Function { "FUNCTION" } else { "PROCEDURE" };
    let in_message = |e: SqlError| match e.code {
        1320 => SqlError { message: format!("{}{database}.{name}", e.message), ..e },
        1437 => SqlError { message: e.message.replace("''", &format!("'{name}'")), ..e },
        _ => e,
    };
    let made = read(c, cx.source, head.what, Some(cx.session), db.def.collation).map_err(in_message)?;
    c.end()?;
    if db.routine(head.what, &name).is_some() {
        let error = SqlError::new(1304, "42000", format!("{word} {name} already exists"));
        if head.if_not_exists {
            notes.push(note(error));
            return Ok(Some(Ddl::default()));
        }
        return Err(error);
    }
    check_pieces(cx, &made.program, db)?;
    let definition = RoutineDef {
        parameters: made.parameters,
        returns: made.returns,
        body: made.body,
        deterministic: made.characteristics.deterministic.unwrap_or(false),
        data_access: made.characteristics.data_access.unwrap_or("CONTAINS SQL").to_owned(),
        invoker: made.characteristics.invoker.unwrap_or(false),
        comment: made.characteristics.comment.unwrap_or_default(),
        definer: head.definer.unwrap_or_else(|| cx.session.account.clone()),
        scope: scope(cx.session, db),
    };
    let change = SchemaChange::Put {
        id: cx.catalog.new_id(head.what, db.id, &name),
        kind: head.what,
        parent: db.id,
        name: Some(name),
        definition: Some(Box::new(Definition::Routine(definition))),
        position: None,
        after: None,
    };
    Ok(Some(Ddl { changes: vec![change], ..Ddl::default() }))
}

fn scope(session: &SessionState, db: &Database) -> BodyScope {
    BodyScope {
        sql_mode: session.sql_mode.to_string(),
        charset_client: session.charset_client.to_owned(),
        collation_connection: session.collation,
        database_collation: db.def.collation,
    }
}

/// What MySQL finds wrong with statements and expressions of a body already when it is created: their syntax, variables
/// that are not declared.
fn check_pieces(cx: &Context<'_>, program: &Program, db: &Database) -> Result<(), SqlError> {
    let mut session = cx.session.clone();
    session.database = Some(db.name.clone());
    let mut locals = Box::new(Locals {
        types: program.variables.iter().map(|v| v.ty.clone()).collect(),
        targets: program.targets(),
        ..Locals::default()
    });
    let mut statements = vec![false; program.pieces.len()];
    let queries = program.cursors.iter().map(|c| c.query);
    let others = program.ops.iter().filter_map(|op| match op {
        routine::Op::Statement(n) => Some(*n),
        _ => None,
    });
    queries.chain(others).for_each(|n| statements[n] = true);
    for (piece, statement) in program.pieces.iter().zip(statements) {
        locals.names = program.names_of(piece);
        session.locals = Some(locals);
        let compiled = if statement {
            routine::compile_statement(&piece.text, &session, cx.catalog).map(|_| ())
        } else {
            routine::compile_expression(&piece.text, &session, cx.catalog).map(|_| ())
        };
        locals = session.locals.take().unwrap_or_default();
        if let Err(e) = compiled {
            let of_row = e.code == 1054 && (e.message.ends_with("'NEW'") || e.message.ends_with("'OLD'"));
            if of_row || matches!(e.code, 1064 | 1193 | 1327 | 1363 | 1436) {
                return Err(e);
            }
        }
    }
    Ok(())
}

fn trigger(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    head: Head,
    db: &Database,
    notes: &mut Vec<Note>,
) -> Result<Ddl, SqlError> {
    let name = head.name.1;
    let read = read_trigger(c)?;
    let (table_database, table_name) = (cx.database(read.table.0.clone())?, &read.table.1);
    if head.name.0.is_some() && read.table.0.is_some() && table_database != db.name {
        return Err(SqlError::new(1435, "HY000", "Trigger in wrong schema"));
    }
    // Without a database of its own the trigger stands where its table does.
    let db = if head.name.0.is_none() { table::database(cx, &table_database)? } else { db };
    let found = db.table(table_name);
    let Some(table) = found else {
        if db.view(table_name).is_some() {
            let message = format!("'{}.{table_name}' is not BASE TABLE", db.name);
            return Err(SqlError::new(1347, "HY000", message));
        }
        return Err(SqlError::no_table(&db.name, table_name));
    };
    if table.columns.iter().any(|c| c.is_sealed()) {
        return Err(SqlError::unsupported("triggers on a table with sealed columns"));
    }
    let kind = Kind::Trigger(read.before, read.event);
    let program = routine::rows(table, read.event);
    let (program, at) = routine::body(c, cx.source, kind, db.def.collation, program)?;
    c.end()?;
    if db.trigger(&name).is_some() {
        let error = SqlError::new(1359, "HY000", "Trigger already exists");
        if head.if_not_exists {
            notes.push(note(error));
            return Ok(Ddl::default());
        }
        return Err(error);
    }
    check_pieces(cx, &program, db)?;
    let position = place(table, &read)?;
    let definition = TriggerDef {
        before: read.before,
        event: read.event,
        body: cx.source.text[at].to_owned(),
        definer: head.definer.unwrap_or_else(|| cx.session.account.clone()),
        scope: scope(cx.session, db),
    };
    let change = SchemaChange::Put {
        id: cx.catalog.new_id(ObjectKind::Trigger, table.id, &name),
        kind: ObjectKind::Trigger,
        parent: table.id,
        name: Some(name),
        definition: Some(Box::new(Definition::Trigger(definition))),
        position: Some(position),
        after: None,
    };
    Ok(Ddl { changes: vec![change], ..Ddl::default() })
}

/// The place of a new trigger among those of its table.
fn place(table: &Table, read: &ReadTrigger) -> Result<u64, SqlError> {
    let last = table.triggers.last().map_or(0, |t| t.position);
    let Some((follows, other)) = &read.order else { return Ok(last.saturating_add(PLACE)) };
    let same = |t: &Trigger| t.def.before == read.before && t.def.event == read.event;
    let Some(at) = table.triggers.iter().position(|t| same(t) && same_name(&t.name, other)) else {
        let message =
            format!("Referenced trigger '{other}' for the given action time and event type does not exist.");
        return Err(SqlError::new(3011, "HY000", message));
    };
    let position = |n: usize| table.triggers.get(n).map(|t| t.position);
    let (low, high) = if *follows {
        (position(at).unwrap_or(0), position(at + 1).unwrap_or_else(|| last.saturating_add(2 * PLACE)))
    } else {
        (at.checked_sub(1).and_then(position).unwrap_or(0), position(at).unwrap_or(PLACE))
    };
    let middle = low + (high - low) / 2;
    if middle == low {
        return Err(SqlError::unsupported(
            "another trigger between these two; create them anew in their order",
        ));
    }
    Ok(middle)
}

/// `{PROCEDURE | FUNCTION} name characteristics`; ALTER was read.
pub(super) fn alter(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Ddl, SqlError> {
    let (kind, word) = kind_of(c)?;
    let (database, name) = c.table_name()?;
    let database = cx.database(database)?;
    let changed = characteristics(c)?;
    c.end()?;
    let Some(routine) = cx.catalog.routine(kind, &database, &name) else {
        return Err(missing(word, &database, &name));
    };
    let mut def = routine.def.clone();
    if let Some(access) = changed.data_access {
        def.data_access = access.to_owned();
    }
    def.invoker = changed.invoker.unwrap_or(def.invoker);
    def.comment = changed.comment.unwrap_or(def.comment);
    if changed.deterministic.is_some() {
        return Err(c.error());
    }
    let parent = cx.catalog.database(&database).map_or(ObjectId::ROOT, |d| d.id);
    let definition = Some(Box::new(Definition::Routine(def)));
    let change = SchemaChange::Put {
        id: routine.id,
        kind,
        parent,
        name: None,
        definition,
        position: None,
        after: None,
    };
    Ok(Ddl { changes: vec![change], ..Ddl::default() })
}

fn kind_of(c: &mut Cursor<'_, '_>) -> Result<(ObjectKind, &'static str), SqlError> {
    match c.eat_one(&["procedure", "function", "trigger"]) {
        Some("procedure") => Ok((ObjectKind::Procedure, "PROCEDURE")),
        Some("function") => Ok((ObjectKind::Function, "FUNCTION")),
        Some(_) => Ok((ObjectKind::Trigger, "TRIGGER")),
        None => Err(c.error()),
    }
}

fn missing(word: &str, database: &str, name: &str) -> SqlError {
    SqlError::new(1305, "42000", format!("{word} {database}.{name} does not exist"))
}

/// `{PROCEDURE | FUNCTION | TRIGGER} [IF EXISTS] name`; DROP was read.
pub(super) fn drop(c: &mut Cursor<'_, '_>, cx: &Context<'_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let (kind, word) = kind_of(c)?;
    let if_exists = c.eat("if exists");
    let (database, name) = c.table_name()?;
    c.end()?;
    let database = cx.database(database)?;
    let (id, error) = if kind == ObjectKind::Trigger {
        let db = table::database(cx, &database)?;
        let found = db.trigger(&name).map(|(_, t)| t.id);
        (found, SqlError::new(1360, "HY000", "Trigger does not exist"))
    } else {
        let found = cx.catalog.routine(kind, &database, &name).map(|r| r.id);
        (found, missing(word, &database, &name))
    };
    match id {
        Some(id) => Ok(Ddl { changes: vec![SchemaChange::Drop { id }], ..Ddl::default() }),
        None if if_exists => {
            notes.push(note(error));
            Ok(Ddl::default())
        }
        None => Err(error),
    }
}
