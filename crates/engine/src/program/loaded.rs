//! Programs of a session, with what its statements and expressions were last compiled to.

use std::collections::HashMap;
use std::sync::Arc;

use p2pdb_model::catalog::{Table, Trigger};
use p2pdb_model::types::Collation;
use p2pdb_model::{Catalog, ObjectId, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::front::{Scope, variables_key};
use p2pdb_sql::plan::{ColumnTarget, Locking};
use p2pdb_sql::routine::{self, Expression, Program};
use p2pdb_sql::session::SqlMode;
use parking_lot::Mutex;

use super::{Host, Result};
use crate::session::fails_committed;
use crate::statement::Statement;

/// Programs that a session keeps; then it begins anew.
const PROGRAMS_MAX: usize = 128;

/// The programs that a session has run, under the catalog's epoch that they were read in.
#[derive(Default)]
pub(crate) struct Programs {
    epoch: u64,
    by_id: HashMap<ObjectId, Arc<Loaded>>,
}

/// A program, ready to run in one session.
pub(crate) struct Loaded {
    pub(crate) id: Option<ObjectId>,
    /// Its name, with its database.
    pub(crate) name: String,
    pub(crate) program: Arc<Program>,
    pub(crate) targets: Arc<[Arc<ColumnTarget>]>,
    /// The database that it runs in; none: the session's.
    pub(crate) database: Option<String>,
    /// What it is compiled under; none: what the session has.
    pub(crate) scope: Option<(SqlMode, Collation)>,
    /// A trigger: its variables are a row, and take its values as they are.
    pub(crate) as_they_are: bool,
    pieces: Vec<Mutex<Option<Kept>>>,
    /// Per piece: it has the words of a locking read.
    says_lock: Vec<bool>,
}

/// What a piece was compiled to, and what that depends on.
struct Kept {
    scope: Scope<'static>,
    variables: Vec<u8>,
    hidden: Vec<FieldType>,
    compiled: Compiled,
}

#[derive(Clone)]
enum Compiled {
    Statement(Statement),
    Scalar(Arc<Expression>),
}

impl Programs {
    fn at(&mut self, catalog: &Catalog) -> &mut HashMap<ObjectId, Arc<Loaded>> {
        if self.epoch != catalog.epoch || self.by_id.len() >= PROGRAMS_MAX {
            self.epoch = catalog.epoch;
            self.by_id.clear();
        }
        &mut self.by_id
    }

    /// A stored procedure or function.
    pub(crate) fn routine(&mut self, catalog: &Catalog, id: ObjectId) -> Result<Arc<Loaded>> {
        let all = self.at(catalog);
        if let Some(found) = all.get(&id) {
            return Ok(found.clone());
        }
        let gone = || SqlError::new(1305, "42000", "the stored routine does not exist any more");
        let routine = catalog.routine_by_id(id).ok_or_else(gone)?;
        let program = Arc::new(routine::load_routine(routine)?);
        let mode = SqlMode::parse(&routine.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
        let loaded = Arc::new(Loaded {
            id: Some(id),
            name: routine.name.clone(),
            database: Some(routine.database.clone()),
            scope: Some((mode, routine.def.scope.collation_connection)),
            as_they_are: false,
            ..Loaded::of(program)
        });
        all.insert(id, loaded.clone());
        Ok(loaded)
    }

    /// A trigger.
    pub(crate) fn trigger(
        &mut self,
        catalog: &Catalog,
        table: &Table,
        trigger: &Trigger,
    ) -> Result<Arc<Loaded>> {
        let all = self.at(catalog);
        if let Some(found) = all.get(&trigger.id) {
            return Ok(found.clone());
        }
        let program = Arc::new(routine::load_trigger(table, trigger)?);
        let mode = SqlMode::parse(&trigger.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
        let loaded = Arc::new(Loaded {
            id: Some(trigger.id),
            name: trigger.name.clone(),
            database: Some(table.database.clone()),
            scope: Some((mode, trigger.def.scope.collation_connection)),
            as_they_are: true,
            ..Loaded::of(program)
        });
        all.insert(trigger.id, loaded.clone());
        Ok(loaded)
    }
}

impl Loaded {
    /// A program that stands by itself.
    pub(super) fn of(program: Arc<Program>) -> Self {
        Loaded {
            id: None,
            name: String::new(),
            targets: program.targets(),
            database: None,
            scope: None,
            as_they_are: false,
            pieces: program.pieces.iter().map(|_| Mutex::default()).collect(),
            says_lock: program.pieces.iter().map(|p| says_lock(&p.text)).collect(),
            program,
        }
    }

    /// What a piece is compiled to in this session now.
    fn compiled(&self, host: &mut dyn Host, piece: usize, expression: bool) -> Result<Compiled> {
        let catalog = host.catalog();
        let core = host.core();
        let text = &self.program.pieces[piece].text;
        let variables = &self.program.variables;
        let mut hidden = Vec::new();
        if let Some(locals) = &mut core.state.locals {
            locals.names = self.program.names_of(&self.program.pieces[piece]);
            let all = variables.iter().zip(&locals.types).filter(|(v, _)| v.hidden);
            hidden.extend(all.map(|(_, ty)| ty.clone()));
        }
        let scope = Scope::of(&core.state, &catalog);
        let key = variables_key(text, &core.state);
        let mut kept = self.pieces[piece].lock();
        if let Some(k) = &*kept
            && k.scope == scope
            && k.variables == key
            && k.hidden == hidden
        {
            return Ok(k.compiled.clone());
        }
        let compiled = if expression {
            Compiled::Scalar(Arc::new(routine::compile_expression(text, &core.state, &catalog)?))
        } else {
            let compiled = routine::compile_statement(text, &core.state, &catalog)?;
            Compiled::Statement(Statement::new(text.clone(), compiled, catalog.epoch))
        };
        *kept = Some(Kept { scope: scope.into_owned(), variables: key, hidden, compiled: compiled.clone() });
        Ok(compiled)
    }

    /// The assignment of an expression to a variable as a statement.
    pub(super) fn assignment(&self, host: &mut dyn Host, piece: usize, variable: usize) -> Result<Statement> {
        let catalog = host.catalog();
        let text: Arc<str> = routine::assignment(&self.program.pieces[piece].text, variable).into();
        let state = &host.core().state;
        let compiled = routine::compile_statement(&text, state, &catalog)?;
        Ok(Statement::new(text, compiled, catalog.epoch))
    }

    /// A statement.
    pub(super) fn statement(&self, host: &mut dyn Host, piece: usize) -> Result<Statement> {
        let text = &self.program.pieces[piece].text;
        match self.compiled(host, piece, false) {
            Ok(Compiled::Statement(s)) => Ok(s),
            Ok(Compiled::Scalar(_)) => Err(super::lost()),
            Err(e) if fails_committed(&e, text) => {
                let catalog = host.catalog();
                let commit = host.inner().compile("COMMIT".into(), &host.core().state, &catalog, None)?;
                Ok(commit.failing(e, text))
            }
            Err(e) => Err(e),
        }
    }

    /// How an expression locks what it reads, where the session has to wait for that first.
    pub(super) fn locks(&self, host: &mut dyn Host, piece: usize) -> Result<Option<Locking>> {
        if !self.says_lock[piece] {
            return Ok(None);
        }
        // What is wrong with it is said where it is computed.
        let Ok(Compiled::Scalar(s)) = self.compiled(host, piece, true) else { return Ok(None) };
        match s.scalar.query().filter(|q| host.must_lock(q)) {
            Some(q) => host.core().may(&s.needs).map(|()| q.locking),
            None => Ok(None),
        }
    }

    /// The value of an expression.
    pub(super) fn value(&self, host: &mut dyn Host, piece: usize) -> Result<(Value, FieldType)> {
        match self.compiled(host, piece, true)? {
            Compiled::Scalar(s) => {
                let core = host.core();
                core.may(&s.needs)?;
                core.touched |= s.touches;
                host.scalar(&s.scalar)
            }
            Compiled::Statement(_) => Err(super::lost()),
        }
    }
}

/// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE, or something that looks like it.
fn says_lock(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["update", "share"].iter().any(|word| text.contains(word))
}
