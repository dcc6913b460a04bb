//! Compiled statements as sessions hold them.
//!
//! A statement with parameters is typed anew by what it is executed with; what came of the last execution is kept with
//! it, and serves the next one when nothing that the plan depends on is another.

use std::sync::Arc;

use p2pdb_sql::command::Command;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sql::front::{Compiled, Literal, LiteralKind, Scope};
use p2pdb_sql::plan::Plan;
use parking_lot::Mutex;

/// The epoch of no catalog.
const NEVER: u64 = u64::MAX;

/// A statement that a session has compiled; cheap to clone.
#[derive(Clone)]
pub struct Statement(Arc<Inner>);

struct Inner {
    text: Arc<str>,
    compiled: Compiled,
    /// What it is counted as.
    command: Option<Command>,
    epoch: u64,
    /// A schema statement that is wrong: it commits what is open, as MySQL's does, and then fails so.
    fails: Option<SqlError>,
    /// The database that it was prepared in, to be run there; none: where it is run.
    home: Option<Option<String>>,
    /// What it was typed for by its last execution with parameters.
    last: Mutex<Option<Typed>>,
}

/// A statement typed for parameters.
struct Typed {
    scope: Scope<'static>,
    kinds: Box<[LiteralKind]>,
    statement: Statement,
}

impl Statement {
    pub(crate) fn new(text: Arc<str>, compiled: Compiled, epoch: u64) -> Self {
        let command = Command::of(&text);
        Statement::of(text, compiled, command, epoch)
    }

    fn of(text: Arc<str>, compiled: Compiled, command: Option<Command>, epoch: u64) -> Self {
        let (fails, home, last) = (None, None, Mutex::default());
        Statement(Arc::new(Inner { text, compiled, command, epoch, fails, home, last }))
    }

    /// One that no client has said: it has no text, and counts as nothing.
    pub(crate) fn unsaid(plan: Plan, epoch: u64) -> Self {
        let compiled = Compiled { plan: Arc::new(plan), literals: Vec::new() };
        Statement::of("".into(), compiled, None, epoch)
    }

    fn is_unsaid(&self) -> bool {
        self.0.text.is_empty()
    }

    /// The same statement as it was last typed, if that was in this scope for parameters of these kinds.
    pub(crate) fn typed(&self, scope: &Scope<'_>, params: &[Literal]) -> Option<Statement> {
        let last = self.0.last.lock();
        let typed = last.as_ref()?;
        let fits = typed.scope == *scope && typed.kinds.iter().copied().eq(params.iter().map(|p| p.kind));
        fits.then(|| typed.statement.clone())
    }

    /// Keeps what this statement was typed for. Not when user variables have a say in it, whose types may change.
    pub(crate) fn keep_typed(&self, scope: Scope<'_>, kinds: Vec<LiteralKind>, statement: &Statement) {
        if !self.0.text.contains('@') {
            let typed =
                Typed { scope: scope.into_owned(), kinds: kinds.into(), statement: statement.clone() };
            *self.0.last.lock() = Some(typed);
        }
    }

    /// This statement (a COMMIT), as what is left of another one that fails after it.
    pub(crate) fn failing(&self, fails: SqlError, failed: &str) -> Self {
        self.with(Command::of(failed), Some(fails), None)
    }

    fn with(&self, command: Option<Command>, fails: Option<SqlError>, home: Option<Option<String>>) -> Self {
        let Inner { text, compiled, epoch, .. } = &*self.0;
        let (text, compiled, epoch, last) = (text.clone(), compiled.clone(), *epoch, Mutex::default());
        Statement(Arc::new(Inner { text, compiled, command, epoch, fails, home, last }))
    }

    /// This statement, which is to be run in this database.
    pub(crate) fn at_home_in(&self, database: Option<String>) -> Self {
        self.with(self.0.command, self.0.fails.clone(), Some(database))
    }

    /// The database that it is to be run in, if that is not the one where it is run.
    pub(crate) fn home(&self) -> Option<&Option<String>> {
        self.0.home.as_ref()
    }

    /// This statement (a COMMIT), as what stands for one that cannot be compiled now, until it is run.
    pub(crate) fn put_off(&self, text: &str) -> Self {
        Statement::new(text.into(), self.0.compiled.clone(), NEVER)
    }

    pub(crate) fn fails(&self) -> Option<&SqlError> {
        self.0.fails.as_ref()
    }

    /// What it is counted as.
    pub(crate) fn command(&self) -> Option<Command> {
        self.0.command
    }

    /// Its text.
    pub fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// How many parameters it takes.
    pub fn params(&self) -> usize {
        self.0.compiled.plan.params
    }

    /// Columns of its result set; empty when it has none.
    pub fn fields(&self) -> &[Field] {
        &self.0.compiled.plan.fields
    }

    /// The plan that its next execution will probably use: as last typed for parameters, if it was.
    pub(crate) fn likely_plan(&self) -> Arc<Plan> {
        match &*self.0.last.lock() {
            Some(typed) => typed.statement.0.compiled.plan.clone(),
            None => self.0.compiled.plan.clone(),
        }
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.0.compiled
    }

    /// The catalog's epoch that it was compiled against.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch
    }
}

/// A statement with the values of its parameters.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) statement: Statement,
    pub(crate) params: Arc<[Literal]>,
}

impl Bound {
    /// Of this statement, without parameters.
    pub(crate) fn of(statement: Statement) -> Self {
        Bound { statement, params: Arc::default() }
    }

    /// Of a statement that does nothing.
    pub(crate) fn nothing() -> Self {
        static NOTHING: std::sync::OnceLock<Statement> = std::sync::OnceLock::new();
        let statement = NOTHING.get_or_init(|| {
            Statement::unsaid(Plan::new(p2pdb_sql::plan::PlanKind::Session(Vec::new())), NEVER)
        });
        Bound { statement: statement.clone(), params: Arc::default() }
    }

    /// It is of a statement without text, which is never compiled.
    pub(crate) fn is_unsaid(&self) -> bool {
        self.statement.is_unsaid()
    }

    /// The kinds of its parameters; `None` when it has none.
    pub(crate) fn kinds(&self) -> Option<Vec<LiteralKind>> {
        (!self.params.is_empty()).then(|| self.params.iter().map(|p| p.kind).collect())
    }
}
