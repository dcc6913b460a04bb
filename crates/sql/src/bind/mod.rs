//! The binder: names, types and MySQL's meaning, lowered to SQLite SQL.
//!
//! A [`Binder`] is made for one statement. It turns `sqlparser` trees into SQL text with numbered parameters, each backed
//! by a [`Slot`]. Every expression becomes a [`Bound`]: its SQL (or the slot that it is), its MySQL type, and what
//! the surrounding query must know of it.
//!
//! Entry points for statements: [`Binder::table`] and [`Scope::of`] for the rows of one table, [`Binder::from`] for joins,
//! [`Binder::expr`] / [`Binder::condition`] inside a scope, [`Binder::query`] for whole queries, [`Binder::assign`] and
//! [`Binder::assign_slot`] for what goes into a column, [`Binder::order_by`] and [`Binder::limit`] for UPDATE and DELETE.
//! [`Binder::finish`] gives slots, read set and notes.
//!
//! SQLite decides nothing here: where its own operators mean the same as MySQL's they are used, elsewhere a function of
//! [`crate::functions`] is called.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::catalog::{Catalog, Table, View};
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::types::Collation;
use p2pdb_model::{CellKind, ColumnTag, ObjectId, Value};
use sqlparser::ast::{Expr, ObjectName, ObjectNamePart};

pub mod aggregate;
pub mod arithmetic;
pub mod built_in;
pub mod call;
mod call_json;
mod call_server;
mod call_session;
mod call_temporal;
mod call_typed;
pub mod cast;
pub mod compare;
pub mod expr;
pub mod from;
pub mod generated;
pub mod interval;
mod json_table;
pub mod literal;
pub mod query;
mod rollup;
pub mod scope;
pub mod search;
pub mod select;
pub mod signature;
pub mod statement;
pub(crate) mod updatable;
pub mod window;

pub use query::BoundQuery;
pub use scope::{RelColumn, Relation, Scope};

use crate::error::SqlError;
use crate::field::{Field, FieldKind, FieldType};
use crate::front::Source as Text;
use crate::needs::Recorder;
use crate::plan::{Coerce, ColumnTarget, EarlierWarnings, Note, ReadSet, Slot, Source};
use crate::session::{SessionState, SqlMode};
use crate::types::{Class, TypeCode, magnitude_bits};

/// Views inside views.
const VIEW_DEPTH_MAX: usize = 32;

/// How strongly an expression's collation counts (MySQL 8.0 manual, "Collation Coercibility in Expressions").
pub mod coercibility {
    /// COLLATE was written.
    pub const EXPLICIT: u8 = 0;
    /// Two columns of different collations were joined: none.
    pub const NONE: u8 = 1;
    /// A column.
    pub const COLUMN: u8 = 2;
    /// USER(), VERSION(), …
    pub const SYSTEM: u8 = 3;
    /// A literal.
    pub const LITERAL: u8 = 4;
    /// A number or date.
    pub const NUMERIC: u8 = 5;
    /// NULL.
    pub const NULL: u8 = 6;
}

/// What a bound expression is made of.
#[derive(Clone, Debug)]
pub enum Repr {
    /// SQL text.
    Sql(String),
    /// One slot, not yet a parameter: it can still take a conversion.
    Slot(Slot),
}

/// A column that an expression uses outside of aggregates, and that its GROUP BY does not determine.
#[derive(Clone, Debug, PartialEq)]
pub struct Free {
    /// Scope that it was found in.
    pub scope: usize,
    /// Its SQL.
    pub sql: String,
    /// Its name for messages, `database.table.column`.
    pub name: String,
}

/// A bound expression.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its SQL or slot.
    pub repr: Repr,
    /// Its type.
    pub ty: FieldType,
    /// Never NULL.
    pub not_null: bool,
    /// See [`coercibility`].
    pub coercibility: u8,
    /// Bits of magnitude of an integer; 64 when unknown.
    pub bits: u8,
    /// `x'…'` and the like: bytes that are a number in number context.
    pub hex: bool,
    /// It is true or false, and JSON says it so.
    pub truth: bool,
    /// The column that it is, for the result's description.
    pub field: Option<Box<Field>>,
    /// Columns outside of aggregates.
    pub free: Vec<Free>,
    /// Contains an aggregate of its own query.
    pub aggregate: bool,
    /// Contains a window function.
    pub window: bool,
    /// A condition by which its rows are found; see [`Bound::found_by`].
    pub(crate) found_by: Option<Rc<FoundBy>>,
}

/// Of a condition, another one that is true wherever it is, and finds rows that it does not find by itself.
#[derive(Debug)]
pub(crate) struct FoundBy {
    /// The condition.
    of: String,
    by: String,
}

impl Bound {
    /// An expression of this SQL and type.
    pub fn new(sql: impl Into<String>, ty: FieldType) -> Self {
        let bits = magnitude_bits(&ty);
        let truth = ty == FieldType::boolean();
        Bound {
            truth,
            repr: Repr::Sql(sql.into()),
            ty,
            not_null: false,
            coercibility: coercibility::NUMERIC,
            bits,
            hex: false,
            field: None,
            free: Vec::new(),
            aggregate: false,
            window: false,
            found_by: None,
        }
    }

    /// A value known at execution.
    pub fn slot(slot: Slot, ty: FieldType) -> Self {
        Bound { repr: Repr::Slot(slot), ..Bound::new("", ty) }
    }

    /// Its SQL, if it is not a slot.
    pub fn as_sql(&self) -> Option<&str> {
        match &self.repr {
            Repr::Sql(sql) => Some(sql),
            Repr::Slot(_) => None,
        }
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.ty.class()
    }

    /// Takes over what the surrounding query must know of a part.
    pub fn with_parts<'b>(mut self, parts: impl IntoIterator<Item = &'b Bound>) -> Self {
        for p in parts {
            for f in &p.free {
                if !self.free.contains(f) {
                    self.free.push(f.clone());
                }
            }
            self.aggregate |= p.aggregate;
            self.window |= p.window;
        }
        self
    }

    /// The condition that is true wherever this one is, by which SQLite finds rows.
    pub(crate) fn found_by(&self) -> Option<&str> {
        // What was made of a condition is another one.
        self.found_by.as_deref().filter(|f| self.as_sql() == Some(&f.of)).map(|f| f.by.as_str())
    }

    /// Rows are found by that, if it says anything.
    pub(crate) fn with_found_by(mut self, by: Option<String>) -> Self {
        let found_by = by.zip(self.as_sql()).map(|(by, of)| FoundBy { of: of.to_owned(), by });
        self.found_by = found_by.map(Rc::new);
        self
    }

    /// Marks it as never NULL.
    pub fn not_null(mut self, yes: bool) -> Self {
        self.not_null = yes;
        self
    }

    /// The value is the same for every row of the statement.
    pub fn is_slot(&self) -> bool {
        matches!(self.repr, Repr::Slot(_))
    }
}

/// A table expression of WITH that is in sight.
#[derive(Clone, Debug)]
pub(crate) struct Cte {
    name: String,
    sql: String,
    columns: Vec<Field>,
    /// See [`coercibility`]; that of a column where there is none.
    coercibility: Vec<u8>,
}

/// See the module.
pub struct Binder<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// The session.
    pub session: &'a SessionState,
    /// The statement's text; `None` inside of views.
    pub(crate) text: Option<&'a Text<'a>>,
    /// Takes down what has to be granted; `None` inside of views with definer rights.
    pub(crate) needs: Option<&'a Recorder>,
    /// The statement is one that MySQL calls unsafe, inside of views, too.
    is_unsafe: Option<&'a Cell<bool>>,
    /// Slots so far; `?n` is `slots[n - 1]`.
    pub slots: Vec<Slot>,
    /// Where the slots of parameters (true) and literals are.
    places: HashMap<(bool, usize), Vec<usize>>,
    /// Notes to raise at each execution.
    pub notes: Vec<Note>,
    /// What is read so far.
    pub reads: ReadSet,
    pub(crate) ctes: Vec<Cte>,
    pub(crate) aliases: usize,
    pub(crate) scopes: usize,
    pub(crate) views: usize,
    /// FOR UPDATE or FOR SHARE, wherever it stands.
    pub(crate) locking: Option<crate::plan::Locking>,
    /// Literals become part of the plan instead of slots.
    pub(crate) pin_literals: bool,
    /// The SELECT that comes next has no ORDER BY of its own, so that a search in it orders its rows.
    pub(crate) relevance: bool,
    /// Names in a view's text refer to this database.
    pub(crate) default_database: Option<String>,
    pub(crate) in_aggregate: bool,
    pub(crate) recursion: Option<query::Recursion>,
    /// What the statement does with the warnings of the one before it.
    pub earlier_warnings: EarlierWarnings,
    /// The statement assigns to user variables (`:=`), so that they change from row to row.
    pub(crate) assigns: bool,
    /// The types of the variables that it assigns to: wide enough for all that is assigned.
    pub(crate) assigned: HashMap<String, FieldType>,
    /// One was found to be too narrow after it had been read: the statement is to be bound again with these types.
    pub(crate) widened: bool,
    /// The table whose columns DEFAULT(column) names in the VALUES of an INSERT.
    pub(crate) insert_into: Option<Arc<Table>>,
    /// What stands to the left in FROM, for LATERAL.
    pub(crate) left: Option<Scope>,
    /// What is bound is evaluated for many rows, though no table is in sight.
    pub(crate) per_row: bool,
    /// What is assigned is made fit for its column only where a row takes it.
    pub(crate) late: bool,
    /// What is compared is one of several values that a date is compared with.
    pub(crate) beside: bool,
    /// The statement may write to the views in FROM: what SQLite calls those that it may, with the views.
    pub(crate) written: Option<Vec<(String, Arc<View>)>>,
}

/// What a finished binder leaves.
#[derive(Debug, Default)]
pub struct Finished {
    /// Values of the parameters.
    pub slots: Vec<Slot>,
    /// What is read.
    pub reads: ReadSet,
    /// Notes.
    pub notes: Vec<Note>,
}

impl<'a> Binder<'a> {
    /// A binder for one statement of this text.
    pub fn new(catalog: &'a Catalog, session: &'a SessionState, text: &'a Text<'a>) -> Self {
        let assigns = text.text.contains(":=");
        Binder {
            text: Some(text),
            needs: Some(&text.needs),
            is_unsafe: Some(&text.is_unsafe),
            assigns,
            ..Binder::without_text(catalog, session)
        }
    }

    /// A binder for expressions that stand in the schema (defaults, checks, generated columns), whose literals are part of
    /// the plan.
    pub fn without_text(catalog: &'a Catalog, session: &'a SessionState) -> Self {
        Binder {
            catalog,
            session,
            text: None,
            needs: None,
            is_unsafe: None,
            slots: Vec::new(),
            places: HashMap::new(),
            insert_into: None,
            left: None,
            per_row: false,
            late: false,
            beside: false,
            written: None,
            notes: Vec::new(),
            reads: ReadSet::default(),
            ctes: Vec::new(),
            aliases: 0,
            scopes: 0,
            views: 0,
            locking: None,
            pin_literals: false,
            relevance: false,
            default_database: None,
            in_aggregate: false,
            recursion: None,
            earlier_warnings: EarlierWarnings::Cleared,
            assigns: false,
            assigned: HashMap::new(),
            widened: false,
        }
    }

    /// Something in the statement may have another effect on another server.
    pub(crate) fn note_unsafe(&self) {
        if let Some(mark) = self.is_unsafe {
            mark.set(true);
        }
    }

    /// Slots, read set and notes, once everything is bound. Parameters that stand before `?1` of this binder (rows of
    /// INSERT) are reserved with [`Binder::reserve`].
    pub fn finish(self) -> Finished {
        Finished { slots: self.slots, reads: self.reads, notes: self.notes }
    }

    /// The mode of the session.
    pub fn mode(&self) -> SqlMode {
        self.session.sql_mode
    }

    /// Notes what a table is called in the SQLite text.
    pub(crate) fn note_alias(&self, sql: &str, shown: &str, table: Option<p2pdb_model::ObjectId>) {
        if let Some(text) = self.text {
            text.alias(sql, shown, table);
        }
    }

    /// A fresh SQLite alias with this first letter.
    pub fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    /// The parameter of a slot; equal slots share one.
    pub fn parameter(&mut self, slot: Slot) -> String {
        // Of literals and parameters there may be hundreds of thousands.
        let mut place = match slot.source {
            Source::Literal(n) => Some(self.places.entry((false, n)).or_default()),
            Source::Param(n) => Some(self.places.entry((true, n)).or_default()),
            _ => None,
        };
        let found = match &place {
            // Every call is another.
            None if matches!(slot.source, Source::Random(_)) => None,
            Some(at) => at.iter().copied().find(|n| self.slots.get(*n) == Some(&slot)),
            None => self.slots.iter().position(|s| *s == slot),
        };
        let n = found.unwrap_or_else(|| {
            if let Some(at) = &mut place {
                at.push(self.slots.len());
            }
            self.slots.push(slot);
            self.slots.len() - 1
        });
        format!("?{}", n + 1)
    }

    /// Takes the next `n` parameters for the caller's own use and gives the first one's number. Their slots are
    /// `Const(Null)` until the caller removes or replaces them.
    pub fn reserve(&mut self, n: usize) -> usize {
        let first = self.slots.len() + 1;
        for i in 0..n {
            // Distinct values keep them from being shared.
            let source = Source::Const(Value::Text(format!("\0reserved {}", first + i)));
            self.slots.push(Slot { source, coerce: Coerce::None });
        }
        first
    }

    /// The SQL of an expression.
    pub fn sql(&mut self, b: &Bound) -> String {
        match &b.repr {
            Repr::Sql(s) => s.clone(),
            Repr::Slot(s) => self.parameter(s.clone()),
        }
    }

    /// Names may be local variables of the running stored program: not in the texts of views and of the schema.
    pub(crate) fn sees_locals(&self) -> bool {
        self.text.is_some_and(|t| !t.text.is_empty())
    }

    /// The base table of a name.
    ///
    /// # Errors
    /// 1046, 1049, 1146; 1347 for a view.
    pub fn table(&mut self, name: &ObjectName) -> Result<Arc<Table>, SqlError> {
        let (database, table) = self.split_name(name)?;
        if self.catalog.database(&database).is_none() {
            return Err(SqlError::unknown_database(&database));
        }
        if self.view(&database, &table).is_some() {
            let message = format!("'{database}.{table}' is not BASE TABLE");
            return Err(SqlError::new(1347, "HY000", message));
        }
        let found = match self.views {
            0 => self.catalog.table(&database, &table).cloned(),
            // Views know nothing of a session's temporary tables.
            _ => self.catalog.database(&database).and_then(|d| d.permanent_table(&table)).cloned(),
        };
        found.ok_or_else(|| SqlError::no_table(&database, &table))
    }

    /// The view that a name means.
    pub(crate) fn view(&self, database: &str, name: &str) -> Option<Arc<p2pdb_model::catalog::View>> {
        let db = self.catalog.database(database)?;
        if self.views == 0 { db.view(name).cloned() } else { db.permanent_view(name).cloned() }
    }

    /// Database and name of a table as written.
    ///
    /// # Errors
    /// 1046.
    pub fn split_name(&self, name: &ObjectName) -> Result<(String, String), SqlError> {
        let mut parts = Vec::new();
        for p in &name.0 {
            match p {
                ObjectNamePart::Identifier(i) => parts.push(i.value.clone()),
                ObjectNamePart::Function(_) => return Err(SqlError::unsupported("table functions")),
            }
        }
        match <[String; 2]>::try_from(parts) {
            Ok([d, t]) => Ok((d, t)),
            Err(parts) => match <[String; 1]>::try_from(parts) {
                Ok([t]) => match &self.default_database {
                    Some(d) => Ok((d.clone(), t)),
                    None => Ok((self.session.database_or_err()?.to_owned(), t)),
                },
                Err(_) => Err(SqlError::syntax(&name.to_string(), 1)),
            },
        }
    }

    /// The relation of a base table under an alias; `sql_alias` is what generated SQL calls it.
    pub fn relation(&self, table: &Arc<Table>, alias: &str, sql_alias: &str) -> Relation {
        let used = self.needs.map(|n| n.reads(table));
        Relation { used, ..Relation::of_table(table, alias, sql_alias).opened() }
    }

    /// The same of a table that is written: it is read only where a column of it is looked at.
    pub fn written_relation(&self, table: &Arc<Table>, alias: &str, sql_alias: &str) -> Relation {
        let used = self.needs.map(|n| n.may_read(table));
        Relation { used, ..Relation::of_table(table, alias, sql_alias).opened() }
    }

    /// Notes that a table is read.
    pub fn read_table(&mut self, id: ObjectId) {
        if !self.reads.tables.contains(&id) {
            self.reads.tables.push(id);
        }
    }

    /// The SQL of a value that is assigned to a column: text for SQLite, with MySQL's strict errors at execution.
    pub fn assign(&mut self, b: &Bound, target: &Arc<ColumnTarget>) -> String {
        if b.hex && is_number_type(&target.ty) {
            let number = self.to(b, &FieldType::uint());
            return self.assign(&number, target);
        }
        // What is no JSON is an error even under IGNORE, but only of a row that takes it.
        let at_the_row = self.late || target.ty == p2pdb_model::SqlType::Json;
        if let Repr::Slot(slot) = &b.repr
            && slot.coerce == Coerce::None
            && !at_the_row
        {
            let coerce = Coerce::Column(target.clone());
            return self.parameter(Slot { source: slot.source.clone(), coerce });
        }
        if fits_without_check(&b.ty, b, target) && !self.is_latin1(b) {
            return self.sql(b);
        }
        self.assign_checked(b, target)
    }

    /// A text whose bytes are those of latin1: it is made of literals of such a connection.
    pub(crate) fn is_latin1(&self, b: &Bound) -> bool {
        self.session.charset_connection == "latin1"
            && b.class() == Class::Text
            && b.coercibility >= coercibility::LITERAL
    }

    /// The same, always with the check at execution.
    pub(crate) fn assign_checked(&mut self, b: &Bound, target: &Arc<ColumnTarget>) -> String {
        let b = &match b {
            b if b.hex && is_number_type(&target.ty) => self.to(b, &FieldType::uint()),
            b if is_bytes_type(&target.ty) && self.is_latin1(b) => {
                self.to(b, &FieldType::bytes(b.ty.text_length()))
            }
            b => b.clone(),
        };
        let sql = self.sql(b);
        let sql = self.members_text(&sql, &b.ty, &target.ty);
        let spec = crate::functions::assign_spec(target);
        let spec = self.constant(Value::Text(spec));
        let from = match &b.ty.kind {
            FieldKind::Enum(_) | FieldKind::Set(_) if !is_number_type(&target.ty) => {
                TypeCode::of(Class::Text).pack()
            }
            _ => b.ty.code().pack(),
        };
        format!("p_assign({sql},{from},{spec})")
    }

    /// ENUM and SET as text, where the target does not take their number.
    fn members_text(&mut self, sql: &str, ty: &FieldType, target: &p2pdb_model::SqlType) -> String {
        if is_number_type(target) { sql.to_owned() } else { self.text_of_members(sql, ty) }
    }

    /// The slot of a value that is known at execution (a literal, parameter, NOW(), …), made fit for a column; `None` when
    /// the expression needs SQLite to evaluate it.
    pub fn assign_slot(
        &mut self,
        e: &Expr,
        target: &Arc<ColumnTarget>,
        scope: &Rc<Scope>,
    ) -> Result<Option<Slot>, SqlError> {
        let b = self.expr(e, scope)?;
        Ok(match b.repr {
            Repr::Slot(Slot { source, coerce: Coerce::None }) => {
                Some(Slot { source, coerce: Coerce::Column(target.clone()) })
            }
            _ => None,
        })
    }

    /// A parameter that holds this value.
    pub fn constant(&mut self, value: Value) -> String {
        self.parameter(Slot { source: Source::Const(value), coerce: Coerce::None })
    }

    /// A view's definition, once more inside of views.
    pub(crate) fn enter_view(&mut self, view: &View) -> Result<(), SqlError> {
        self.views += 1;
        if self.views > VIEW_DEPTH_MAX {
            let name = format!("{}.{}", view.database, view.name);
            return Err(SqlError::new(1462, "HY000", format!("'{name}' contains view recursion")));
        }
        Ok(())
    }
}

/// A column as the target of an assignment; `table` is its name in messages.
pub fn column_target(table: &str, column: &p2pdb_model::catalog::Column) -> Arc<ColumnTarget> {
    Arc::new(ColumnTarget {
        table: table.to_owned(),
        name: column.name.clone(),
        ty: column.def.ty.clone(),
        nullable: column.def.nullable,
        auto_increment: column.def.auto_increment,
        lenient_null: false,
        quiet: false,
        cell: column.cell_kind(),
    })
}

/// The same where triggers may come between: NULL is looked at behind those BEFORE the event.
pub fn fired_target(
    table: &Table,
    column: &p2pdb_model::catalog::Column,
    event: TriggerEvent,
) -> Arc<ColumnTarget> {
    let target = column_target(&table.name, column);
    if table.triggers.iter().any(|t| t.def.before && t.def.event == event) {
        return Arc::new(ColumnTarget { nullable: true, ..(*target).clone() });
    }
    target
}

/// The target of an UPDATE, or of one row of several.
pub fn lenient(target: Arc<ColumnTarget>) -> Arc<ColumnTarget> {
    Arc::new(ColumnTarget { lenient_null: true, ..(*target).clone() })
}

fn is_number_type(ty: &p2pdb_model::SqlType) -> bool {
    use p2pdb_model::SqlType::*;
    matches!(ty, Int { .. } | Decimal { .. } | Float { .. } | Double { .. } | Bit { .. } | Year)
}

/// A column of binary strings.
pub(crate) fn is_bytes_type(ty: &p2pdb_model::SqlType) -> bool {
    use p2pdb_model::SqlType::*;
    matches!(ty, Binary { .. } | VarBinary { .. } | Blob { .. })
}

/// True where every value of the expression can be stored as it is.
fn fits_without_check(ty: &FieldType, b: &Bound, target: &ColumnTarget) -> bool {
    if !(target.nullable || b.not_null) {
        return false;
    }
    FieldType::of_column(&target.ty) == *ty
        && !matches!(target.cell, CellKind::Set | CellKind::Map)
        && b.field.as_ref().is_some_and(|f| !f.org_name.is_empty())
        && !matches!(ty.class(), Class::Enum | Class::Set | Class::Year)
}

/// The collation of an expression that is no text: what comparisons of its text use.
pub fn collation_of(ty: &FieldType, session: &SessionState) -> Collation {
    if ty.class().is_text() || ty.class() == Class::Json { ty.collation } else { session.collation }
}

/// A column tag and table of a bound column reference.
pub type ColumnId = (ObjectId, ColumnTag);
