//! What a statement becomes: the contract between this crate and the engine that runs it.
//!
//! A [`Plan`] is immutable and shared by every session that sends a statement of the same shape. What differs
//! from one execution to the next (lifted literals, `?` parameters, the clock, session state) reaches SQLite only
//! through numbered parameters `?1, ?2, …`, one [`Slot`] each. The engine turns slots into values with
//! [`crate::execute::bind_slot`] and never looks inside.

use std::fmt;
use std::ops::{BitOrAssign, RangeInclusive};
use std::sync::Arc;

use p2pdb_model::change::SchemaChange;
use p2pdb_model::{ColumnTag, ObjectId, Privileges, Value};

use crate::account::{AccountStatement, Roles};
use crate::error::SqlError;
use crate::field::Field;
use crate::needs::Need;

/// A compiled statement.
#[derive(Debug)]
pub struct Plan {
    /// What to do.
    pub kind: PlanKind,
    /// How many `?` the text has.
    pub params: usize,
    /// Columns of the result set; empty when there is none.
    pub fields: Arc<[Field]>,
    /// Warnings and notes found while compiling (level, code, message), to be raised at each execution.
    pub notes: Vec<Note>,
    /// To be answered by the session, in this order, before the statement runs.
    pub calls: Vec<Call>,
    /// What becomes of the warnings of the statement before.
    pub earlier_warnings: EarlierWarnings,
    /// SQLite calls stored functions while it runs.
    pub functions: bool,
    /// What the session's account needs to be granted for it.
    pub needs: Vec<Need>,
    /// It commits what is open before it answers rows (ANALYZE TABLE and its like).
    pub commits: bool,
    /// What it does to its transaction.
    pub touches: Touches,
}

/// What a statement does to its transaction, as clients hear of it (`session_track_transaction_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// It reads tables.
    pub reads: bool,
    /// It writes tables, or locks rows to be written.
    pub writes: bool,
    /// Another server may do something else by it, such as by UUID() or LIMIT (MySQL 8.4 manual, section 7.4.4.3, "Mixed
    /// Binary Logging Format", on unsafe statements).
    pub is_unsafe: bool,
}

impl Touches {
    pub(crate) fn of_query(q: &Query) -> Self {
        let some = !q.reads.is_empty();
        let writes = some && q.locking.is_some_and(|how| !how.share);
        Touches { reads: some && !writes, writes, is_unsafe: false }
    }
}

impl BitOrAssign for Touches {
    fn bitor_assign(&mut self, other: Self) {
        self.reads |= other.reads;
        self.writes |= other.writes;
        self.is_unsafe |= other.is_unsafe;
    }
}

/// What a statement does with the warnings of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlierWarnings {
    /// It forgets them.
    #[default]
    Cleared,
    /// It reads how many there are (`@@warning_count`), then forgets them.
    Counted,
    /// It reads them and leaves them (SHOW WARNINGS, GET DIAGNOSTICS).
    Kept,
}

impl Plan {
    /// A plan without parameters, result columns or notes.
    pub fn new(kind: PlanKind) -> Self {
        Plan {
            kind,
            params: 0,
            fields: Arc::from([]),
            notes: Vec::new(),
            calls: Vec::new(),
            earlier_warnings: EarlierWarnings::default(),
            functions: false,
            needs: Vec::new(),
            commits: false,
            touches: Touches::default(),
        }
    }
}

/// A call of a function that may wait, or that asks for locks by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which.
    pub function: CallFunction,
    /// Its arguments.
    pub args: Vec<Scalar>,
}

/// Functions that the session answers itself (MySQL 8.0 manual, sections 14.14, "Locking Functions", 14.18.2, "Functions Used
/// with Global Transaction Identifiers", and SLEEP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFunction {
    /// SLEEP(seconds): 0, or 1 when it was interrupted.
    Sleep,
    /// GET_LOCK(name, seconds): 1, or 0 after so long.
    GetLock,
    /// RELEASE_LOCK(name): 1, 0 when it is another session's, NULL when nobody has it.
    ReleaseLock,
    /// RELEASE_ALL_LOCKS(): how many.
    ReleaseAllLocks,
    /// IS_FREE_LOCK(name).
    IsFreeLock,
    /// IS_USED_LOCK(name): the connection that has it, or NULL.
    IsUsedLock,
    /// WAIT_FOR_EXECUTED_GTID_SET(set[, seconds]): 0, or 1 after so long.
    WaitForGtids,
    /// A stored function that writes; not by this name.
    Routine(ObjectId),
}

impl CallFunction {
    /// By its name in capitals, with how many arguments it takes.
    pub fn named(name: &str) -> Option<(Self, RangeInclusive<usize>)> {
        Some(match name {
            "SLEEP" => (CallFunction::Sleep, 1..=1),
            "GET_LOCK" => (CallFunction::GetLock, 2..=2),
            "RELEASE_LOCK" => (CallFunction::ReleaseLock, 1..=1),
            "RELEASE_ALL_LOCKS" => (CallFunction::ReleaseAllLocks, 0..=0),
            "IS_FREE_LOCK" => (CallFunction::IsFreeLock, 1..=1),
            "IS_USED_LOCK" => (CallFunction::IsUsedLock, 1..=1),
            "WAIT_FOR_EXECUTED_GTID_SET" => (CallFunction::WaitForGtids, 1..=2),
            _ => return None,
        })
    }
}

/// A warning or note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `Note`, `Warning` or `Error`.
    pub level: NoteLevel,
    /// MySQL error number.
    pub code: u16,
    /// MySQL's wording.
    pub message: String,
}

/// Levels of SHOW WARNINGS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteLevel {
    /// Note.
    Note,
    /// Warning.
    Warning,
    /// Error.
    Error,
}

/// Kinds of statements, by how they are run.
#[derive(Debug)]
pub enum PlanKind {
    /// Returns rows; changes nothing.
    Query(Query),
    /// INSERT, REPLACE.
    Insert(Insert),
    /// UPDATE, DELETE.
    Modify(Modify),
    /// Changes the schema; commits before and after itself, also when it fails (but see [`Ddl::quiet`]).
    Ddl(Ddl),
    /// Changes the session or the transaction, touches no table.
    Session(Vec<SessionCommand>),
    /// Runs a stored procedure, or one statement of a stored program by itself.
    Program(ProgramCall),
}

/// What runs, with what.
#[derive(Debug)]
pub enum ProgramCall {
    /// CALL.
    Procedure {
        /// Which.
        routine: ObjectId,
        /// The arguments; of an OUT parameter the value before.
        args: Vec<Scalar>,
        /// What the OUT and INOUT parameters go to, by place.
        targets: Vec<Option<OutTarget>>,
    },
    /// SIGNAL, RESIGNAL, GET DIAGNOSTICS outside of any.
    Alone(Arc<crate::routine::Program>),
}

/// Where an OUT parameter goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutTarget {
    /// `@name`.
    User(String),
    /// A local variable of the calling program.
    Local(usize),
    /// The n-th `?`.
    Param(usize),
}

impl Plan {
    /// Notes whether SQLite calls stored functions while the statement runs.
    pub(crate) fn note_functions(&mut self) {
        let own = match &self.kind {
            PlanKind::Query(q) => q.functions,
            PlanKind::Insert(i) => {
                let rows = matches!(&i.rows, InsertRows::Select { query, .. } if query.functions);
                rows || calls_functions(&i.sql) || i.row_checks.iter().any(|c| calls_functions(&c.sql))
            }
            PlanKind::Modify(m) => {
                let steps = m.steps.iter().any(|s| {
                    calls_functions(&s.sql) || s.collect.as_ref().is_some_and(|(sql, _)| calls_functions(sql))
                });
                steps || m.row_checks.iter().any(|c| calls_functions(&c.sql))
            }
            PlanKind::Ddl(_) | PlanKind::Session(_) | PlanKind::Program(_) => false,
        };
        self.functions = own || self.scalars().iter().any(|s| s.query().is_some_and(|q| q.functions));
    }

    /// The queries that a command takes values of: `SET @a = (SELECT … FOR UPDATE)`.
    pub fn value_queries(&self) -> Vec<&Query> {
        let touches = self.touches.reads || self.touches.writes;
        match self.kind {
            PlanKind::Session(_) | PlanKind::Program(_) if touches => {
                self.scalars().into_iter().filter_map(Scalar::query).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Notes what it does to its transaction.
    pub(crate) fn note_touches(&mut self, is_unsafe: bool) {
        let mut all = Touches { is_unsafe, ..Touches::default() };
        match &self.kind {
            PlanKind::Query(q) => all |= Touches::of_query(q),
            PlanKind::Insert(i) => {
                all |= Touches { reads: !i.reads.is_empty(), writes: true, is_unsafe: false };
            }
            PlanKind::Modify(m) => {
                let others = |table: &ObjectId| m.steps.iter().all(|s| s.table != *table);
                all |= Touches { reads: m.reads.all().iter().any(others), writes: true, is_unsafe: false };
            }
            PlanKind::Session(commands) => {
                for command in commands {
                    if let SessionCommand::LockTables { reads, writes, .. } = command {
                        all |= Touches { reads: *reads, writes: *writes, is_unsafe: false };
                    }
                }
            }
            PlanKind::Ddl(_) | PlanKind::Program(_) => {}
        }
        for q in self.scalars().iter().filter_map(|s| s.query()) {
            all |= Touches::of_query(q);
        }
        self.touches = all;
    }

    /// The single values that it asks for before it runs.
    pub fn scalars(&self) -> Vec<&Scalar> {
        fn of(command: &SessionCommand) -> Option<&Scalar> {
            match command {
                SessionCommand::SetVariable { value, .. } => value.as_ref(),
                SessionCommand::SetUser { value, .. } | SessionCommand::Prepare { text: value, .. } => {
                    Some(value)
                }
                _ => None,
            }
        }
        let mut all: Vec<&Scalar> = self.calls.iter().flat_map(|c| &c.args).collect();
        match &self.kind {
            PlanKind::Session(commands) => all.extend(commands.iter().filter_map(of)),
            PlanKind::Program(ProgramCall::Procedure { args, .. }) => all.extend(args),
            _ => {}
        }
        all
    }
}

/// The SQLite text calls stored functions.
pub(crate) fn calls_functions(sql: &str) -> bool {
    sql.contains("p_routine(")
}

/// A SELECT, or a SHOW that was turned into one.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// One SQLite statement.
    pub sql: String,
    /// Values of its parameters.
    pub slots: Vec<Slot>,
    /// What it reads, for the check of a transaction's snapshot.
    pub reads: ReadSet,
    /// FOR UPDATE / FOR SHARE.
    pub locking: Option<Locking>,
    /// Reads at most a handful of rows by key: may run on the reactor.
    pub short: bool,
    /// SQL_CALC_FOUND_ROWS: the same statement without LIMIT, as `SELECT count(*)`, with its slots.
    pub found_rows: Option<(String, Vec<Slot>)>,
    /// SELECT … INTO: the variables that take the one row, with the types of its columns.
    pub into: Vec<(OutTarget, crate::field::FieldType)>,
    /// SQLite calls stored functions while it runs.
    pub functions: bool,
    /// Its rows are SQLite's plan of a statement, to be shown like this.
    pub explain: Option<Arc<crate::explain::Explain>>,
}

impl Query {
    /// It reads tables of `p2pdb`, which tell of the same state as the others.
    pub fn reads_realm(&self) -> bool {
        self.slots.iter().any(|s| matches!(&s.source, Source::Virtual(name, _) if name.starts_with("p2pdb.")))
    }
}

/// What a statement reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadSet {
    /// Rows found by their whole primary key (table; the key's slots in key order). Only for lookups by equality.
    pub keys: Vec<(ObjectId, Vec<Slot>)>,
    /// Rows that the only condition of a query on one table selects.
    pub conditions: Vec<ConditionRead>,
    /// Tables read in any other way.
    pub tables: Vec<ObjectId>,
}

impl ReadSet {
    /// Nothing is read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.conditions.is_empty() && self.tables.is_empty()
    }

    /// Every table that is read in any way.
    pub fn all(&self) -> Vec<ObjectId> {
        let keys = self.keys.iter().map(|(t, _)| *t);
        keys.chain(self.conditions.iter().map(|c| c.table)).chain(self.tables.iter().copied()).collect()
    }
}

/// Rows of one table that a condition selects: they are the same rows as before when this query gives the same result.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionRead {
    /// The table.
    pub table: ObjectId,
    /// SQLite SQL: rowid and hidden columns of the rows, with the parameters of the query it belongs to.
    pub sql: Arc<str>,
    /// How many of the query's parameters it takes: the first ones.
    pub params: usize,
}

/// A locking read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locking {
    /// FOR SHARE rather than FOR UPDATE.
    pub share: bool,
    /// NOWAIT.
    pub nowait: bool,
    /// SKIP LOCKED.
    pub skip_locked: bool,
}

/// INSERT or REPLACE: rows are coerced to the columns' types in Rust, then written one by one with one SQLite
/// statement.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: ObjectId,
    /// Which columns are given (in the order of the values): every column of the table that is stored, defaults
    /// filled in.
    pub columns: Vec<ColumnTag>,
    /// `sql` up to VALUES.
    pub into: String,
    /// `INSERT [OR IGNORE|OR REPLACE] INTO t (columns…, _v[, _k]) VALUES (?1, …, ?n, ?n+1[, ?n+2]) [ON CONFLICT …]`: one
    /// parameter per column, then the version, then (only when `needs_key`) the hidden row key, then what the query gives
    /// besides `columns` (for ON DUPLICATE KEY UPDATE); then `extra`.
    pub sql: String,
    /// Slots after those: used by ON DUPLICATE KEY UPDATE.
    pub extra: Vec<Slot>,
    /// The table has no primary key: the engine binds 16 random bytes as a row key.
    pub needs_key: bool,
    /// The rows.
    pub rows: InsertRows,
    /// Plain, IGNORE or REPLACE.
    pub mode: InsertMode,
    /// Has ON DUPLICATE KEY UPDATE.
    pub upsert: bool,
    /// The counters that ON DUPLICATE KEY UPDATE adds to.
    pub adds: Arc<[ColumnTag]>,
    /// The columns that ON DUPLICATE KEY UPDATE assigns to without looking at what they hold.
    pub blind: Arc<[ColumnTag]>,
    /// ON DUPLICATE KEY UPDATE assigns to the AUTO_INCREMENT column.
    pub sets_id: bool,
    /// The sealed columns that ON DUPLICATE KEY UPDATE assigns to.
    pub seals: Arc<[ColumnTag]>,
    /// Index in `columns` of the AUTO_INCREMENT column. NULL or 0 there draws a value (0 only without
    /// NO_AUTO_VALUE_ON_ZERO).
    pub auto_increment: Option<usize>,
    /// What the statement reads besides the table itself.
    pub reads: ReadSet,
    /// What the view that it writes through asks of its rows.
    pub row_checks: Vec<RowCheck>,
}

/// What CHECK OPTION of a view asks of each row that is written through it (1369).
#[derive(Clone, Debug)]
pub struct RowCheck {
    /// The table that is written.
    pub table: ObjectId,
    /// The view, with its database.
    pub view: String,
    /// A query that gives a row where the row `?1` of the table is not in the view.
    pub sql: String,
    /// Values of its parameters after `?1`.
    pub slots: Vec<Slot>,
}

/// The rows of an INSERT.
#[derive(Clone, Debug)]
pub enum InsertRows {
    /// VALUES: one slot per column and row, already carrying the coercion to the column.
    Values(Vec<Vec<Slot>>),
    /// A SELECT (also VALUES with expressions that only SQLite can evaluate): one result column per column, each to
    /// be coerced with the given coercion.
    Select {
        /// Produces the rows.
        query: Box<Query>,
        /// Types of its result columns (the coercions start from them).
        types: Vec<crate::field::FieldType>,
        /// One per column.
        coerce: Vec<Coerce>,
        /// The statement says VALUES.
        values: bool,
    },
}

/// What to do about a duplicate key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertMode {
    /// Error 1062.
    Plain,
    /// Skip, with a warning.
    Ignore,
    /// Delete the old row first.
    Replace,
}

/// UPDATE or DELETE: one or several SQLite statements, in order (several for multi-table forms).
#[derive(Clone, Debug)]
pub struct Modify {
    /// The statements.
    pub steps: Vec<ModifyStep>,
    /// UPDATE rather than DELETE (decides the info text).
    pub update: bool,
    /// IGNORE.
    pub ignore: bool,
    /// TRUNCATE: commits before and after itself, resets AUTO_INCREMENT, reports 0 rows.
    pub truncate: bool,
    /// What is read.
    pub reads: ReadSet,
    /// What the views that it writes through ask of their rows.
    pub row_checks: Vec<RowCheck>,
}

/// One SQLite statement of a [`Modify`].
#[derive(Clone, Debug)]
pub struct ModifyStep {
    /// The table that it changes.
    pub table: ObjectId,
    /// The statement. For multi-table forms the rows are collected first (see `collect`).
    pub sql: String,
    /// Values of its parameters.
    pub slots: Vec<Slot>,
    /// For multi-table forms: a query to run before any step, whose result rows are then bound, row by row, as the
    /// leading parameters `?1…?k` of `sql` (its own slots follow).
    pub collect: Option<(String, Vec<Slot>)>,
    /// The counters that it adds to, rather than assigning to them.
    pub adds: Arc<[ColumnTag]>,
    /// The columns that it assigns to without looking at what they hold, in the assignment or in WHERE.
    pub blind: Arc<[ColumnTag]>,
    /// It assigns to the AUTO_INCREMENT column.
    pub sets_id: bool,
    /// The sealed columns that it assigns to.
    pub seals: Arc<[ColumnTag]>,
}

/// A schema statement.
#[derive(Clone, Debug, Default)]
pub struct Ddl {
    /// The changes for the log, in order; empty for a statement that found nothing to do (IF EXISTS).
    pub changes: Vec<SchemaChange>,
    /// Queries that must return no row on the present data, each with the error to give if one does. `{0}`, `{1}` in
    /// the message stand for the row's columns.
    pub checks: Vec<(String, SqlError)>,
    /// What to do after the changes.
    pub then: Vec<Then>,
    /// ALTER TABLE: no row of this table may have to leave it. Whether one does is seen when the changes are made: the value of a column
    /// that comes with its constraint is nowhere before. `false`: but for a parent that is not there (`foreign_key_checks`).
    pub whole: Option<(ObjectId, bool)>,
    /// Changes of the session's temporary tables: not for the log.
    pub temporary: Vec<SchemaChange>,
    /// CREATE TEMPORARY TABLE and DROP TEMPORARY TABLE: nothing is committed.
    pub quiet: bool,
    /// The answer counts records, as that of ALTER TABLE does.
    pub counts: bool,
    /// The query that counts the rows of a table that MySQL would write anew; the answer says how many.
    pub copied: Option<String>,
    /// Affected rows: a database that was made, the tables that were dropped with one.
    pub affected: u64,
    /// CALL p2pdb.resolve: a decision about a conflict, in place of all above.
    pub resolve: Option<Resolve>,
    /// CALL p2pdb.keep_ids: this node lost nothing of what it drew, in place of all above.
    pub keep_ids: bool,
    /// A statement about accounts, in place of all above.
    pub account: Option<Box<AccountStatement>>,
}

/// A step behind the changes of a schema statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// A statement, compiled by its text against the catalog that is then: the INSERT of CREATE TABLE … AS SELECT; what moves
    /// the values of a column that ALTER TABLE seals.
    Statement(String),
    /// Rows that are there get numbers.
    Number(Numbering),
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Then::Statement(text) => f.write_str(text),
            Then::Number(n) => write!(f, "number {:?} from {}, by {:?}", n.column, n.first, n.order),
        }
    }
}

/// The numbers of a new AUTO_INCREMENT column, for the rows that are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbering {
    /// The table.
    pub table: ObjectId,
    /// The column.
    pub column: ColumnTag,
    /// In which order the rows are numbered; where these are equal, or none, as they came.
    pub order: Vec<ColumnTag>,
    /// The number of the first row.
    pub first: u64,
    /// The greatest that the column holds.
    pub greatest: u64,
}

impl Ddl {
    /// What it does is taken back as a whole where it fails at its end.
    pub fn is_alone(&self) -> bool {
        let sets = |r: &Resolve| matches!(r.decision, Decide::Set(_));
        !self.then.is_empty() || self.whole.is_some() || self.resolve.as_ref().is_some_and(sets)
    }
}

/// `CALL p2pdb.resolve('db.table', 'keep' | 'discard' | 'set', key …)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolve {
    /// The table's database.
    pub database: String,
    /// The table, there or gone.
    pub table: String,
    /// What is to become of it.
    pub decision: Decide,
    /// The row's primary key as text, column by column.
    pub key: Vec<String>,
}

/// What a person decides about a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Decide {
    /// What is shown is right.
    Keep,
    /// The displaced row goes.
    Discard,
    /// The displaced row gets these values.
    Set(Vec<(ColumnTag, Slot)>),
}

/// Commands on the session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionCommand {
    /// USE, COM_INIT_DB.
    Use(String),
    /// SET of a system variable; the value is a slot or a query with one row and one column.
    SetVariable {
        /// GLOBAL / PERSIST rather than SESSION.
        global: bool,
        /// Lower-case name.
        name: String,
        /// The value; `None` is DEFAULT.
        value: Option<Scalar>,
    },
    /// SET @name.
    SetUser {
        /// Lower-case name.
        name: String,
        /// The value.
        value: Scalar,
    },
    /// SET NAMES / CHARACTER SET (charset, collation).
    SetNames(String, Option<String>),
    /// BEGIN, START TRANSACTION.
    Begin {
        /// READ ONLY.
        read_only: Option<bool>,
        /// WITH CONSISTENT SNAPSHOT.
        snapshot: bool,
    },
    /// SET TRANSACTION for the next transaction only.
    NextTransaction {
        /// Isolation level in MySQL's spelling with dashes.
        isolation: Option<String>,
        /// READ ONLY / READ WRITE.
        read_only: Option<bool>,
    },
    /// COMMIT.
    Commit {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE.
        release: bool,
    },
    /// ROLLBACK.
    Rollback {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE.
        release: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// ROLLBACK TO.
    RollbackTo(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// SET ROLE.
    SetRole(Roles),
    /// KILL: the connection, or only its query.
    Kill {
        /// Its id, a whole number.
        id: Scalar,
        /// Only the running statement.
        query_only: bool,
    },
    /// PREPARE name FROM text.
    Prepare {
        /// Its name.
        name: String,
        /// The text, or the variable that holds it.
        text: Scalar,
    },
    /// EXECUTE name USING @a, @b.
    Execute {
        /// Its name.
        name: String,
        /// User variables.
        using: Vec<String>,
    },
    /// DEALLOCATE PREPARE.
    Deallocate(String),
    /// LOCK TABLES: commits; the tables' writers exclude each other anyway (one writer a realm).
    LockTables {
        /// Any of them READ.
        reads: bool,
        /// Any of them WRITE.
        writes: bool,
        /// Those READ under their own names.
        read: Vec<(ObjectId, String)>,
    },
    /// Takes the lock that a locking read wants which stands in an expression of a stored procedure.
    Lock(Locking),
    /// FLUSH TABLES WITH READ LOCK: one snapshot to read from until UNLOCK TABLES.
    ReadLock,
    /// UNLOCK TABLES.
    UnlockTables,
    /// Goes on where the account has this privilege on everything; else 1227, with these words for it.
    Holds(Privileges, &'static str),
    /// FLUSH STATUS: the session counts its statements anew.
    FlushStatus,
    /// FLUSH, and other statements that have nothing to do here.
    Nothing,
    /// Raised when run: a statement that is recognised but refused (1235) or refused by privilege.
    Fail(SqlError),
}

/// A single value computed at execution.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// From a slot.
    Slot(Slot),
    /// From a SQLite query with one column and at most one row.
    Query(Box<ScalarQuery>),
}

impl Scalar {
    /// The query that it is, if it is one.
    pub fn query(&self) -> Option<&Query> {
        match self {
            Scalar::Query(q) => Some(&q.query),
            Scalar::Slot(_) => None,
        }
    }
}

/// See [`Scalar::Query`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarQuery {
    /// The query.
    pub query: Query,
    /// Its column: type and presentation.
    pub field: Field,
}

/// Where the value of one SQLite parameter comes from, and how it is made fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Where from.
    pub source: Source,
    /// How it is converted before it is bound.
    pub coerce: Coerce,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Known when the statement was compiled.
    Const(Value),
    /// A literal lifted out of the text.
    Literal(usize),
    /// A `?`.
    Param(usize),
    /// The statement's clock.
    Now(NowKind),
    /// `@name`.
    UserVariable(String),
    /// A local variable of the running stored program.
    Local(usize),
    /// A system variable (`@@name`), lower case; `global` where GLOBAL was said.
    SystemVariable {
        /// Lower-case name.
        name: String,
        /// `@@global.name`.
        global: bool,
    },
    /// LAST_INSERT_ID().
    LastInsertId,
    /// ROW_COUNT().
    RowCount,
    /// FOUND_ROWS().
    FoundRows,
    /// CONNECTION_ID().
    ConnectionId,
    /// USER(), CURRENT_USER(), DATABASE(), VERSION() and others that the session knows.
    SessionInfo(SessionInfo),
    /// A random number or UUID per execution (RAND() without seed, UUID()).
    Random(RandomKind),
    /// What the session answered to this one of [`Plan::calls`].
    Call(usize),
    /// The rows of a virtual table (`information_schema.x`, SHOW …) as JSON text, an array of arrays.
    Virtual(String, Vec<Option<String>>),
}

/// Readings of the statement's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NowKind {
    /// NOW(fsp) in the session's time zone.
    DateTime(u8),
    /// CURDATE().
    Date,
    /// CURTIME(fsp).
    Time(u8),
    /// UTC_TIMESTAMP(fsp), also the stored form for TIMESTAMP columns.
    Utc(u8),
    /// UTC_DATE().
    UtcDate,
    /// UTC_TIME(fsp).
    UtcTime(u8),
    /// UNIX_TIMESTAMP().
    Unix,
}

/// What the session knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionInfo {
    /// USER(): name@client-host.
    User,
    /// CURRENT_USER(): the account.
    CurrentUser,
    /// DATABASE().
    Database,
    /// CURRENT_ROLE().
    CurrentRole,
}

/// Kinds of randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RandomKind {
    /// UUID().
    Uuid,
    /// UUID_SHORT().
    UuidShort,
    /// A seed for RAND().
    Seed,
    /// 16 bytes from which RANDOM_BYTES() makes its own.
    Bytes,
}

/// Conversion of a value before it is bound. Opaque to the engine.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Coerce {
    /// As it is.
    #[default]
    None,
    /// To a column, with the errors and warnings of an assignment (1048, 1264, 1265, 1292, 1366, 1406 …).
    Column(Arc<ColumnTarget>),
    /// To a type of expression, with the rules of a comparison or function argument.
    Expression(crate::field::FieldType),
    /// To a form that compares, in SQLite, with expressions of this type as MySQL compares them: text that is no date is
    /// error 1525, numbers keep their whole value.
    Compare(crate::field::FieldType),
    /// The same, as one of several values that a date is compared with (BETWEEN, IN, CASE): text that is no date is the zero date,
    /// with warning 1292.
    Beside(crate::field::FieldType),
    /// To a number of rows; `literal` stands in the text, else it is a parameter.
    RowCount {
        /// Where it stands, for the error.
        literal: bool,
    },
    /// To a type of expression, then to a column.
    Through(crate::field::FieldType, Arc<ColumnTarget>),
}

/// A column as the target of an assignment.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnTarget {
    /// The name of its table, empty where there is none, for messages.
    pub table: String,
    /// Its name, for messages.
    pub name: String,
    /// Its type.
    pub ty: p2pdb_model::SqlType,
    /// NULL is allowed.
    pub nullable: bool,
    /// It is the AUTO_INCREMENT column: NULL passes.
    pub auto_increment: bool,
    /// One of several rows, or an UPDATE: where sql_mode is not strict, NULL becomes the type's zero.
    pub lenient_null: bool,
    /// What does not fit is made fit without error or warning.
    pub quiet: bool,
    /// A `[set]` takes arrays, in their normal order; a `[map]` takes objects.
    pub cell: p2pdb_model::CellKind,
}

impl ColumnTarget {
    /// A register of this type that takes NULL: a variable, or a column of a table that is not stored.
    pub fn plain(name: &str, ty: p2pdb_model::SqlType) -> Self {
        ColumnTarget {
            table: String::new(),
            name: name.to_owned(),
            ty,
            nullable: true,
            auto_increment: false,
            lenient_null: false,
            quiet: false,
            cell: p2pdb_model::CellKind::Register,
        }
    }
}
