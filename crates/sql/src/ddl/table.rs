//! CREATE TABLE, and the parts of it that ALTER TABLE shares.

use p2pdb_model::Privileges;
use p2pdb_model::catalog::{HIDDEN_PREFIX, Table, is_hidden};
use p2pdb_model::ids::ColumnTag;
use p2pdb_model::schema::*;
use p2pdb_model::types::{Collation, SqlType};
use sqlparser::tokenizer::Token;

use super::column::{self, CheckSpec, ColumnSpec, Under};
use super::draft::{Draft, KeyPart};
use super::keys::{self, ForeignKeySpec, IndexSpec};
use super::types;
use crate::error::SqlError;
use crate::plan::{Ddl, Note, NoteLevel, Then};
use crate::schema_text::quote;
use crate::statement::{Context, Cursor, compile_query, note};
use crate::virtuals;

/// One element between the parentheses of CREATE TABLE.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Element {
    /// A column.
    Column(String, Box<ColumnSpec>),
    /// An index.
    Index(IndexSpec),
    /// A foreign key.
    ForeignKey(ForeignKeySpec),
    /// A CHECK.
    Check(CheckSpec),
}

/// Reads an element that is not a column, if one stands here.
pub fn key_element(c: &mut Cursor<'_, '_>) -> Result<Option<Element>, SqlError> {
    if c.is("spatial") {
        return Err(SqlError::unsupported("SPATIAL indexes"));
    }
    if c.eat("fulltext") {
        c.eat_one(&["index", "key"]);
        return Ok(Some(Element::Index(keys::fulltext(c)?)));
    }
    if c.eat_one(&["index", "key"]).is_some() {
        return Ok(Some(Element::Index(keys::index(c, false, false)?)));
    }
    let mut name = None;
    let constraint = c.eat("constraint");
    if constraint && !["primary", "unique", "foreign", "check"].iter().any(|w| c.is(w)) {
        name = Some(c.name()?);
    }
    if c.eat("primary key") {
        return Ok(Some(Element::Index(keys::index(c, true, true)?)));
    }
    if c.eat("unique") {
        c.eat_one(&["index", "key"]);
        let mut spec = keys::index(c, true, false)?;
        spec.name = spec.name.or(name);
        return Ok(Some(Element::Index(spec)));
    }
    if c.eat("foreign key") {
        return Ok(Some(Element::ForeignKey(keys::foreign_key(c, name)?)));
    }
    if c.eat("check") {
        return Ok(Some(Element::Check(column::check(c, name)?)));
    }
    if constraint { Err(c.error()) } else { Ok(None) }
}

/// Table options as they were written.
#[derive(Debug, Default)]
pub struct Options {
    /// DEFAULT CHARACTER SET and COLLATE.
    pub collation: Option<Collation>,
    /// COMMENT.
    pub comment: Option<String>,
    /// AUTO_INCREMENT.
    pub auto_increment: Option<u64>,
    /// Options that are shown again, by name.
    pub kept: Vec<(&'static str, String)>,
    /// CONVERT TO (ALTER only).
    pub convert: bool,
}

impl Options {
    /// Puts them into the definition.
    pub fn apply(self, def: &mut TableDef) {
        if let Some(c) = self.collation {
            def.collation = c;
        }
        if let Some(c) = self.comment {
            def.comment = c;
        }
        if self.auto_increment.is_some() {
            def.auto_increment = self.auto_increment;
        }
        for (name, value) in self.kept {
            let prefix = format!("{name}=");
            def.options.retain(|o| !o.starts_with(&prefix));
            if value != "DEFAULT" {
                def.options.push(format!("{prefix}{value}"));
            }
        }
        let order = |o: &String| KEPT.iter().position(|k| o.starts_with(&format!("{k}=")));
        def.options.sort_by_key(order);
    }
}

/// Options that SHOW CREATE TABLE repeats, in its order.
const KEPT: [&str; 11] = [
    "MIN_ROWS",
    "MAX_ROWS",
    "AVG_ROW_LENGTH",
    "PACK_KEYS",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "CHECKSUM",
    "DELAY_KEY_WRITE",
    "ROW_FORMAT",
    "KEY_BLOCK_SIZE",
];
/// Options without an effect here.
const IGNORED: [&str; 6] = [
    "insert_method",
    "password",
    "autoextend_size",
    "engine_attribute",
    "secondary_engine_attribute",
    "compression",
];

/// Reads one table option, if one stands here.
pub fn option(
    c: &mut Cursor<'_, '_>,
    table: &str,
    out: &mut Options,
    notes: &mut Vec<Note>,
) -> Result<bool, SqlError> {
    let equals = |c: &mut Cursor<'_, '_>| c.eat_token(&Token::Eq);
    if c.eat("engine") {
        equals(c);
        engine(&c.word_or_string()?, table, notes)?;
        return Ok(true);
    }
    let mark = c.mark();
    c.eat("default");
    if c.eat("character set") || c.eat("charset") || c.eat("char set") {
        equals(c);
        let set = types::column_charset(&c.word_or_string()?)?;
        out.collation = Some(crate::variables::collation_of_definition(set));
        return Ok(true);
    }
    if c.eat("collate") {
        equals(c);
        out.collation = Some(crate::variables::collation(&c.word_or_string()?)?);
        return Ok(true);
    }
    c.back(mark);
    if c.eat("comment") {
        equals(c);
        out.comment = Some(c.string()?);
        return Ok(true);
    }
    if c.eat("auto_increment") {
        equals(c);
        out.auto_increment = Some(c.number()?).filter(|n| *n > 0);
        return Ok(true);
    }
    if let Some(name) = KEPT.into_iter().find(|k| c.eat(k)) {
        equals(c);
        let value = match c.eat_number() {
            Some(n) => n.to_string(),
            None => c.word_or_string()?.to_uppercase(),
        };
        out.kept.retain(|(n, _)| *n != name);
        out.kept.push((name, value));
        return Ok(true);
    }
    if c.eat_one(&IGNORED).is_some() {
        equals(c);
        c.word_or_string()?;
        return Ok(true);
    }
    if c.eat("encryption") {
        equals(c);
        if !c.string()?.eq_ignore_ascii_case("n") {
            return Err(SqlError::unsupported("ENCRYPTION"));
        }
        return Ok(true);
    }
    const REFUSED: [&str; 6] =
        ["data directory", "index directory", "connection", "tablespace", "union", "start transaction"];
    match c.eat_one(&REFUSED) {
        Some(what) => Err(SqlError::unsupported(what.to_uppercase())),
        None => Ok(false),
    }
}

fn engine(name: &str, table: &str, notes: &mut Vec<Note>) -> Result<(), SqlError> {
    const STAND_IN: [&str; 9] =
        ["myisam", "memory", "heap", "aria", "archive", "mrg_myisam", "merge", "rocksdb", "ndb"];
    let lower = name.to_lowercase();
    if lower == "innodb" {
        return Ok(());
    }
    if STAND_IN.contains(&lower.as_str()) {
        let message = format!("Using storage engine InnoDB for table '{table}'");
        notes.push(Note { level: NoteLevel::Warning, code: 1266, message });
        return Ok(());
    }
    if ["csv", "blackhole", "federated"].contains(&lower.as_str()) {
        return Err(SqlError::unsupported(format!("ENGINE={name}")));
    }
    Err(SqlError::new(1286, "42000", format!("Unknown storage engine '{name}'")))
}

/// The database to define things in.
///
/// # Errors
/// 1044 for virtual databases, 1049.
pub fn database<'c>(cx: &Context<'c>, name: &str) -> Result<&'c p2pdb_model::catalog::Database, SqlError> {
    if let Some(name) = virtuals::database_name(name) {
        return Err(SqlError::database_denied(&cx.session.account, name));
    }
    cx.catalog.database(name).map(|d| d.as_ref()).ok_or_else(|| SqlError::unknown_database(name))
}

/// A name for a new table.
///
/// # Errors
/// 1103.
pub fn table_name_ok(name: &str) -> Result<(), SqlError> {
    if name.is_empty() || name.ends_with(' ') || name.contains('\0') {
        return Err(SqlError::new(1103, "42000", format!("Incorrect table name '{name}'")));
    }
    Ok(())
}

/// CREATE TABLE; `CREATE [TEMPORARY] TABLE` was read.
pub fn create(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    notes: &mut Vec<Note>,
    temporary: bool,
) -> Result<Ddl, SqlError> {
    let made = |changes, then| match temporary {
        true => Ddl { temporary: changes, then, quiet: true, ..Ddl::default() },
        false => Ddl { changes, then, ..Ddl::default() },
    };
    let if_not_exists = c.eat("if not exists");
    let (db, name) = c.table_name()?;
    let db = database(cx, &cx.database(db)?)?;
    table_name_ok(&name)?;
    if temporary {
        cx.source.needs.in_database(db, Privileges::CREATE_TEMPORARY_TABLES);
    }
    let exists = super::is_taken(db, &name, temporary);
    if exists && if_not_exists {
        while !c.at_end() {
            c.skip();
        }
        notes.push(note(SqlError::table_exists(&name)));
        return Ok(made(Vec::new(), Vec::new()));
    }
    if exists {
        return Err(SqlError::table_exists(&name));
    }
    let like = if c.eat("like") {
        Some(c.table_name()?)
    } else if c.token(0) == &Token::LParen && c.is_at(1, "like") {
        c.skip();
        c.skip();
        let from = c.table_name()?;
        c.expect_token(&Token::RParen)?;
        Some(from)
    } else {
        None
    };
    if let Some((from_db, from)) = like {
        let from_db = cx.database(from_db)?;
        let source = cx.catalog.table(&from_db, &from).ok_or_else(|| SqlError::no_table(&from_db, &from))?;
        if temporary && from_db == db.name && from == name {
            return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{name}'")));
        }
        if temporary && source.indexes.iter().any(|i| i.def.fulltext) {
            return Err(super::draft::temporary_fulltext());
        }
        let draft = copy(empty(cx, db, &name, source.def.clone(), temporary), source);
        return Ok(made(draft.changes(), Vec::new()));
    }
    let def = TableDef {
        collation: db.def.collation,
        comment: String::new(),
        auto_increment: None,
        options: Vec::new(),
    };
    // Options stand behind the columns, but columns take the table's collation.
    let mark = c.mark();
    let parenthesized = c.token(0) == &Token::LParen && !c.is_at(1, "select") && !c.is_at(1, "with");
    if parenthesized {
        skip_parentheses(c);
    }
    let mut options = Options::default();
    while option(c, &name, &mut options, notes)? {
        c.eat_token(&Token::Comma);
    }
    if c.is("partition") {
        if temporary {
            return Err(SqlError::new(1562, "HY000", "Cannot create temporary table with partitions"));
        }
        return Err(SqlError::unsupported("partitions"));
    }
    let behind = c.mark();
    c.back(mark);
    let mut draft = empty(cx, db, &name, def, temporary);
    options.apply(&mut draft.def);
    let mut keys = Keys::default();
    if parenthesized {
        let under = Under { collation: draft.def.collation, mode: cx.session.sql_mode };
        let elements = c.parenthesized(|c| element(c, under, notes))?;
        keys = columns(&mut draft, elements)?;
    }
    while c.mark() < behind {
        c.skip();
    }
    let verb = match c.eat_one(&["ignore", "replace"]) {
        Some("ignore") => "INSERT IGNORE",
        Some(_) => "REPLACE",
        None => "INSERT",
    };
    let as_select =
        verb != "INSERT" || c.eat("as") || c.is("select") || c.is("with") || c.token(0) == &Token::LParen;
    if as_select && verb != "INSERT" {
        c.eat("as");
    }
    if !parenthesized && !as_select && !c.at_end() {
        return Err(c.error());
    }
    let then = if as_select { vec![Then::Statement(select(c, cx, &mut draft, verb)?)] } else { Vec::new() };
    keys.add(&mut draft, cx)?;
    draft.from_dump = !cx.session.foreign_key_checks;
    draft.validate()?;
    Ok(made(draft.changes(), then))
}

/// A new table, without columns yet.
fn empty<'a>(
    cx: &Context<'a>,
    db: &p2pdb_model::catalog::Database,
    name: &str,
    def: TableDef,
    temporary: bool,
) -> Draft<'a> {
    let mut draft = Draft::new(cx.catalog, (db.id, db.name.clone()), name, def);
    if temporary {
        draft.id = cx.catalog.new_temporary_id(db.id, name);
        draft.temporary = true;
    }
    draft
}

fn element(c: &mut Cursor<'_, '_>, under: Under, notes: &mut Vec<Note>) -> Result<Element, SqlError> {
    if let Some(key) = key_element(c)? {
        return Ok(key);
    }
    let name = c.name()?;
    column_name_ok(&name)?;
    let spec = column::read(c, &name, under, notes)?;
    Ok(Element::Column(name, Box::new(spec)))
}

/// A name for a column.
///
/// # Errors
/// 1166, 1235.
pub fn column_name_ok(name: &str) -> Result<(), SqlError> {
    if name.is_empty() || name.ends_with(' ') {
        return Err(SqlError::new(1166, "42000", format!("Incorrect column name '{name}'")));
    }
    if is_hidden(name) {
        return Err(SqlError::unsupported(format!("a column's name that begins with {HIDDEN_PREFIX}")));
    }
    Ok(())
}

/// What comes behind the columns, also behind those of CREATE TABLE … AS SELECT.
#[derive(Default)]
struct Keys {
    indexes: Vec<IndexSpec>,
    foreign_keys: Vec<ForeignKeySpec>,
    checks: Vec<CheckSpec>,
}

/// Puts the columns into an empty draft.
fn columns(draft: &mut Draft<'_>, elements: Vec<Element>) -> Result<Keys, SqlError> {
    let mut keys = Keys::default();
    for e in elements {
        match e {
            Element::Column(name, spec) => {
                add_column(draft, name, *spec, None, &mut keys.indexes, &mut keys.checks)?;
            }
            Element::Index(spec) => keys.indexes.push(spec),
            Element::ForeignKey(spec) => keys.foreign_keys.push(spec),
            Element::Check(spec) => keys.checks.push(spec),
        }
    }
    Ok(keys)
}

impl Keys {
    fn add(self, draft: &mut Draft<'_>, cx: &Context<'_>) -> Result<(), SqlError> {
        // Named keys keep their names; generated ones go around them.
        for spec in self.indexes {
            add_index(draft, spec)?;
        }
        for spec in self.foreign_keys {
            draft.add_foreign_key(cx, spec)?;
        }
        for spec in self.checks {
            draft.add_check(cx, spec)?;
        }
        Ok(())
    }
}

/// Adds a column, and what its definition says of keys to the lists.
pub fn add_column(
    draft: &mut Draft<'_>,
    name: String,
    spec: ColumnSpec,
    at: Option<usize>,
    indexes: &mut Vec<IndexSpec>,
    checks: &mut Vec<CheckSpec>,
) -> Result<(), SqlError> {
    for primary in [true, false] {
        if (primary && spec.primary) || (!primary && spec.unique) {
            let part = KeyPart::of(&name);
            indexes.push(IndexSpec { unique: true, primary, parts: vec![part], ..IndexSpec::default() });
        }
    }
    checks.extend(spec.checks);
    draft.add_column(&name, spec.def, at)
}

/// Adds an index.
pub fn add_index(draft: &mut Draft<'_>, spec: IndexSpec) -> Result<(), SqlError> {
    if spec.fulltext {
        return draft.add_fulltext(spec.name, &spec.parts, spec.comment, spec.invisible);
    }
    draft.add_index(spec.name, spec.unique, spec.primary, &spec.parts, spec.comment, spec.invisible)
}

fn skip_parentheses(c: &mut Cursor<'_, '_>) {
    let mut depth = 0u32;
    loop {
        match c.token(0) {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::EOF => return,
            _ => {}
        }
        c.skip();
        if depth == 0 {
            return;
        }
    }
}

/// The draft of a copy: columns, indexes and checks under new ids, without foreign keys.
fn copy<'a>(mut draft: Draft<'a>, source: &Table) -> Draft<'a> {
    draft.def.auto_increment = None;
    let mut tags: Vec<(ColumnTag, ColumnTag)> = Vec::new();
    for c in &source.columns {
        // The source's names are unique.
        let _ = draft.add_column(&c.name, c.def.clone(), None);
        if let Some(new) = draft.columns.last() {
            tags.push((c.tag, new.id.tag()));
        }
    }
    let tag = |t: ColumnTag| tags.iter().find(|(old, _)| *old == t).map_or(t, |(_, new)| *new);
    for i in &source.indexes {
        let mut def = i.def.clone();
        def.parts.iter_mut().for_each(|p| p.column = tag(p.column));
        let id = draft.new_id(&i.name, &Definition::Index(def.clone()));
        draft.indexes.push(super::draft::Part { id, name: i.name.clone(), def, position: 0 });
    }
    for (n, k) in source.checks.iter().enumerate() {
        let name = format!("{}_chk_{}", draft.name, n + 1);
        let id = draft.new_id(&name, &Definition::Check(k.def.clone()));
        draft.checks.push(super::draft::Part { id, name, def: k.def.clone(), position: 0 });
    }
    draft
}

/// Which result columns of a query are made by a function or operator, as far as its text says so: the others are
/// literals, aggregates, subqueries, or of several queries.
fn made_by_functions(query: &sqlparser::ast::Query) -> Vec<bool> {
    use sqlparser::ast::{Expr, SelectItem, SetExpr};
    fn is_function(e: &Expr) -> bool {
        match e {
            Expr::Nested(e) => is_function(e),
            Expr::UnaryOp { expr, .. } => !matches!(**expr, Expr::Value(_)),
            Expr::Function(f) => {
                let name = f.name.to_string().to_uppercase();
                f.over.is_none() && !crate::bind::aggregate::is_aggregate(&name) && name != "IFNULL"
            }
            Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => false,
            _ => true,
        }
    }
    let SetExpr::Select(select) = &*query.body else { return Vec::new() };
    let one = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(is_function(e)),
        _ => None,
    };
    // Behind a `*` nobody knows which is which.
    select.projection.iter().map_while(one).collect()
}

/// The SELECT of CREATE TABLE … SELECT: its columns come behind those that were written; the text of the INSERT.
fn select(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    draft: &mut Draft<'_>,
    verb: &str,
) -> Result<String, SqlError> {
    let text = c.rest().trim_end().trim_end_matches(';').to_owned();
    let query = c.query()?;
    let (compiled, fields) = compile_query(&query, cx)?;
    if !draft.temporary && compiled.reads.all().iter().any(|t| cx.catalog.is_temporary(*t)) {
        return Err(SqlError::unsupported("CREATE TABLE … AS SELECT from a temporary table"));
    }
    let mut names = Vec::new();
    let functions = made_by_functions(&query);
    for (at, f) in fields.iter().enumerate() {
        names.push(quote(&f.name));
        if draft.column(&f.name).is_some() {
            continue;
        }
        let ty = virtuals::type_of_result(f, functions.get(at).copied().unwrap_or(false));
        // A zero date is no default here.
        let dated = matches!(ty, SqlType::Date | SqlType::DateTime { .. } | SqlType::Timestamp { .. });
        let default = virtuals::default_of_result(cx.catalog, f, &ty)
            .filter(|d| !(dated && matches!(d, DefaultValue::Literal(t) if t.starts_with("0000-00-00"))));
        let mut def = ColumnDef { default, nullable: !f.not_null, ..ColumnDef::new(ty) };
        if let Some(shown) = cx.catalog.table(&f.database, &f.org_table).and_then(|t| t.column(&f.org_name)) {
            def.on_update_now = shown.def.on_update_now;
            def.comment.clone_from(&shown.def.comment);
        }
        column_name_ok(&f.name)?;
        draft.add_column(&f.name, def, None)?;
    }
    let mut sorted = names.clone();
    sorted.sort();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        return Err(SqlError::duplicate_column(twice[0].trim_matches('`')));
    }
    Ok(format!(
        "{verb} INTO {}.{} ({}) {text}",
        quote(&draft.database.1),
        quote(&draft.name),
        names.join(",")
    ))
}
