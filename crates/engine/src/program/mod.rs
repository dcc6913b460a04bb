//! Running stored programs.
//!
//! A [`Machine`] steps through the operations of a [`p2pdb_sql::routine::Program`] and of those that it calls. It runs no
//! statement itself: it hands each to whoever drives it, and is given back what came of it. So a procedure can wait for
//! the writer like any session ([`session`]), while a trigger or function runs inside of a statement ([`inside`]).
//!
//! The variables of the program that runs are the session's [`Locals`]; those of its callers wait in their frames.

use std::sync::Arc;

use p2pdb_model::{Catalog, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::coerce;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::plan::{
    Locking, Note, NoteLevel, OutTarget, Plan, PlanKind, ProgramCall, Query, Scalar, SessionCommand,
};
use p2pdb_sql::routine::{self, Condition, Locals, Op, Variable};
use p2pdb_sql::session::SqlMode;

use crate::api::Outcome;
use crate::core::Core;
use crate::engine::{Inner, interrupted};
use crate::run;
use crate::statement::{Bound, Statement};
use rows::Cursor;

mod diagnostics;
pub(crate) mod functions;
pub(crate) mod inside;
mod loaded;
mod rows;
mod session;
pub(crate) mod triggers;

pub(crate) use loaded::{Loaded, Programs};
pub(crate) use rows::{Budget, Kept};
pub(crate) use session::{Flow, Running};

/// Programs of a session that call each other, in whatever way.
const FRAMES_MAX: usize = 128;

/// Errors that no handler handles: the statement is to end.
const FATAL: [u16; 3] = [1053, 1317, 3024];

/// What a machine needs of whoever drives it.
pub(crate) trait Host {
    fn inner(&self) -> Arc<Inner>;
    fn core(&mut self) -> &mut Core;
    fn catalog(&mut self) -> Arc<Catalog>;
    /// A value with its type.
    fn scalar(&mut self, scalar: &Scalar) -> Result<(Value, FieldType)>;
    /// The query must lock what it reads, for which only a statement can wait.
    fn must_lock(&self, _query: &Query) -> bool {
        false
    }
}

/// What to do next.
pub(crate) enum Step {
    /// Run this, and say what came of it; where a cursor is being opened ([`Machine::opens`]) with its rows.
    Run(Bound),
    /// Nothing: it is over. A function's value with its type, or what the last statement changed.
    Done(Box<Result<End>>),
}

/// How a program ended well.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) value: Option<(Value, FieldType)>,
    /// OUT parameters that are parameters of the statement: place, variable, value.
    pub(crate) out: Vec<(usize, Variable, Value)>,
}

/// A handler that is running.
struct Handling {
    /// Where to go on.
    resume: usize,
    /// Handlers that count again when it is over; none: EXIT.
    counted: Option<Vec<Counted>>,
    /// Handlers and cursors outside of its block, and handlers that were running when that began.
    outside: (usize, usize, usize),
    error: SqlError,
    /// The notes of the statement that failed.
    notes: Vec<Note>,
}

/// A handler that counts.
#[derive(Clone, Copy)]
struct Counted {
    /// Which of the program's.
    number: usize,
    /// Handlers that were running when its block began.
    running: usize,
}

/// A program that is running.
struct Frame {
    loaded: Arc<Loaded>,
    pc: usize,
    /// Handlers that count, those of inner blocks behind.
    handlers: Vec<Counted>,
    handling: Vec<Handling>,
    cursors: Vec<Cursor>,
    /// What RETURN gave.
    returned: Option<(Value, FieldType)>,
    /// Variables whose values go to the caller.
    outs: Vec<(usize, OutTarget)>,
    caller: Caller,
}

/// What the session was before a program began.
struct Caller {
    locals: Option<Box<Locals>>,
    database: Option<String>,
    sql_mode: SqlMode,
    collation: p2pdb_model::types::Collation,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Machine {
    frames: Vec<Frame>,
    last: Outcome,
    /// What a client that tracks its session is told at the end.
    tracked: Outcome,
    /// ROW_COUNT() before what leaves it as it is: opening a cursor, and taking a lock.
    row_count: i64,
    /// The statement that was handed out takes the lock for the expression that comes.
    locks: bool,
    /// It has.
    has_locked: bool,
    end: End,
}

type Result<T> = std::result::Result<T, SqlError>;

fn lost() -> SqlError {
    SqlError::new(1105, "HY000", "a stored program lost its place")
}

/// `max_execution_time` is over.
fn is_late(host: &mut dyn Host) -> bool {
    let deadline_us = host.core().deadline_us;
    deadline_us > 0 && host.inner().clock.now_us() > deadline_us
}

/// A value as an assignment to a variable of this type makes it.
pub(crate) fn assigned(
    core: &mut Core,
    inner: &Inner,
    to: &Variable,
    value: Value,
    from: &FieldType,
) -> Result<Value> {
    let now_us = inner.clock.now_us();
    let writes = |c: &mut p2pdb_sql::execute::Context| c.writes = true;
    run::in_context(core, now_us, writes, |_| coerce::apply(&to.coerce(), value, from))
}

impl Machine {
    /// A machine that runs this, with these values for its first variables.
    pub(crate) fn start(
        host: &mut dyn Host,
        loaded: Arc<Loaded>,
        args: Vec<(Value, FieldType)>,
        outs: Vec<(usize, OutTarget)>,
    ) -> Result<Self> {
        let mut machine = Machine::default();
        machine.push(host, loaded, args, outs)?;
        Ok(machine)
    }

    /// The machine of a CALL.
    pub(crate) fn call(host: &mut dyn Host, call: &ProgramCall) -> Result<Self> {
        let mut machine = Machine::default();
        match call {
            ProgramCall::Procedure { .. } => machine.push_call(host, call)?,
            ProgramCall::Alone(program) => {
                let loaded = Loaded::of(program.clone());
                machine.push(host, Arc::new(loaded), Vec::new(), Vec::new())?;
            }
        }
        Ok(machine)
    }

    fn push_call(&mut self, host: &mut dyn Host, call: &ProgramCall) -> Result<()> {
        let ProgramCall::Procedure { routine, args, targets } = call else { return Err(lost()) };
        let catalog = host.catalog();
        let loaded = host.core().programs.routine(&catalog, *routine)?;
        let same = host.core().running.iter().filter(|id| **id == loaded.id).count() as i64;
        let depth = host.core().state.system_variable("max_sp_recursion_depth", false)?;
        let depth = depth.as_u64().unwrap_or(0) as i64;
        if same > depth {
            let message = format!(
                "Recursive limit {depth} (as set by the max_sp_recursion_depth variable) was exceeded for routine {}",
                loaded.name
            );
            return Err(SqlError::new(1456, "HY000", message));
        }
        let args = args.iter().map(|a| host.scalar(a)).collect::<Result<Vec<_>>>()?;
        let outs = targets.iter().enumerate().filter_map(|(i, t)| Some((i, t.clone()?))).collect();
        self.push(host, loaded, args, outs)
    }

    fn push(
        &mut self,
        host: &mut dyn Host,
        loaded: Arc<Loaded>,
        args: Vec<(Value, FieldType)>,
        outs: Vec<(usize, OutTarget)>,
    ) -> Result<()> {
        let inner = host.inner();
        let core = host.core();
        if core.running.len() >= FRAMES_MAX {
            return Err(p2pdb_sql::front::too_deep());
        }
        let variables = &loaded.program.variables;
        let mut values = vec![Value::Null; variables.len()];
        for ((to, slot), (value, from)) in variables.iter().zip(&mut values).zip(args) {
            // OLD and NEW are as they are in their row.
            *slot = match loaded.as_they_are {
                true => value,
                false => assigned(core, &inner, to, value, &from)?,
            };
        }
        let types = variables.iter().map(|v| v.ty.clone()).collect();
        let locals = Locals { types, values, targets: loaded.targets.clone(), ..Locals::default() };
        let state = &mut core.state;
        let caller = Caller {
            locals: state.locals.replace(Box::new(locals)),
            database: state.database.clone(),
            sql_mode: state.sql_mode,
            collation: state.collation,
        };
        if let Some(database) = &loaded.database {
            state.database = Some(database.clone());
        }
        if let Some(scope) = &loaded.scope {
            state.sql_mode = scope.0;
            state.collation = scope.1;
        }
        core.running.push(loaded.id);
        self.frames.push(Frame {
            loaded,
            pc: 0,
            handlers: Vec::new(),
            handling: Vec::new(),
            cursors: Vec::new(),
            returned: None,
            outs,
            caller,
        });
        Ok(())
    }

    /// Ends the program that runs; the session is again what it was, but for what the program may change. Gives the
    /// program's variables.
    fn pop(&mut self, core: &mut Core) -> Option<(Frame, Box<Locals>)> {
        let mut frame = self.frames.pop()?;
        core.running.pop();
        let state = &mut core.state;
        let locals = std::mem::replace(&mut state.locals, frame.caller.locals.take()).unwrap_or_default();
        if frame.loaded.database.is_some() {
            state.database = frame.caller.database.take();
        }
        if frame.loaded.scope.is_some() {
            state.sql_mode = frame.caller.sql_mode;
            state.collation = frame.caller.collation;
        }
        Some((frame, locals))
    }

    /// Ends everything that runs, as it is.
    pub(crate) fn abandon(&mut self, core: &mut Core) {
        while self.pop(core).is_some() {}
    }

    /// The value of a variable of the program that has just ended, or runs.
    pub(crate) fn first_values(core: &Core, n: usize) -> Vec<Value> {
        core.state.locals.as_ref().map_or(Vec::new(), |l| l.values[..n.min(l.values.len())].to_vec())
    }

    /// Goes on, with what came of the statement that was to be run.
    pub(crate) fn step(
        &mut self,
        host: &mut dyn Host,
        event: Option<std::result::Result<Outcome, SqlError>>,
    ) -> Step {
        let mut result = match event {
            None => Ok(None),
            Some(event) => self.came_of(host, event).map(|()| None),
        };
        loop {
            let error = match result {
                Ok(Some(bound)) => return Step::Run(bound),
                Ok(None) if self.frames.is_empty() => {
                    let mut end = std::mem::take(&mut self.end);
                    let Outcome { gtid, schema_changed, state_changed, variables_changed, .. } =
                        std::mem::take(&mut self.tracked);
                    let last = std::mem::take(&mut self.last);
                    end.outcome = Outcome { gtid, schema_changed, state_changed, variables_changed, ..last };
                    return Step::Done(Box::new(Ok(end)));
                }
                Ok(None) if host.core().handle.is_killed() => {
                    host.core().handle.take_kill();
                    Some(interrupted())
                }
                Ok(None) if is_late(host) => {
                    let message =
                        "Query execution was interrupted, maximum statement execution time exceeded";
                    Some(SqlError::new(3024, "HY000", message))
                }
                Ok(None) => None,
                Err(e) => Some(e),
            };
            result = match error {
                None => self.operation(host),
                Some(e) => match self.raise(host.core(), e) {
                    Ok(()) => Ok(None),
                    Err(e) => return Step::Done(Box::new(Err(e))),
                },
            };
        }
    }

    /// The statement that was handed out opens a cursor.
    pub(crate) fn opens(&self) -> bool {
        self.opening().is_some()
    }

    fn opening(&self) -> Option<usize> {
        let frame = self.frames.last()?;
        match frame.loaded.program.ops.get(frame.pc) {
            Some(Op::Open(cursor)) => Some(*cursor),
            _ => None,
        }
    }

    /// Keeps what session tracking is to say of a statement.
    fn track(&mut self, of: &mut Outcome) {
        let all = &mut self.tracked;
        all.gtid = of.gtid.take().or_else(|| all.gtid.take());
        all.schema_changed = of.schema_changed.take().or_else(|| all.schema_changed.take());
        all.state_changed |= of.state_changed;
        for changed in std::mem::take(&mut of.variables_changed) {
            all.variables_changed.retain(|(name, _)| *name != changed.0);
            all.variables_changed.push(changed);
        }
    }

    fn came_of(&mut self, host: &mut dyn Host, event: Result<Outcome>) -> Result<()> {
        let locks = std::mem::take(&mut self.locks);
        let mut outcome = event?;
        if locks {
            host.core().state.row_count = self.row_count;
            self.has_locked = true;
            return Ok(());
        }
        self.track(&mut outcome);
        let opening = self.opening();
        let core = host.core();
        let into = std::mem::take(&mut core.state.assigned);
        if let Some(locals) = &mut core.state.locals {
            for (at, value) in into {
                if let Some(slot) = locals.values.get_mut(at) {
                    *slot = value;
                }
            }
        }
        let frame = self.frames.last_mut().ok_or_else(lost)?;
        frame.pc += 1;
        match opening {
            Some(cursor) => {
                core.state.row_count = self.row_count;
                frame.cursors.push(Cursor::new(cursor, outcome.kept.ok_or_else(lost)?));
            }
            None => self.last = Outcome { has_rows: false, ..outcome },
        }
        self.warned(core, None);
        Ok(())
    }

    /// An operation ended well, with warnings: a handler may want to know; true when it does. If it says CONTINUE, it goes on
    /// at `resume`, otherwise behind the operation.
    fn warned(&mut self, core: &Core, resume: Option<usize>) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        if frame.handlers.is_empty() {
            return false;
        }
        let raised = core.state.warnings.iter().rev().filter(|n| n.level != NoteLevel::Error);
        for note in raised {
            let error = diagnostics::of_note(&core.state, note);
            if let Some(handler) = frame.handler_of(&error, note.level == NoteLevel::Warning, false) {
                let resume = resume.unwrap_or(frame.pc);
                frame.handle(handler, resume, error, core.state.warnings.clone());
                return true;
            }
        }
        false
    }

    /// Gives an error to the handler that wants it, in the innermost program that has one.
    fn raise(&mut self, core: &mut Core, error: SqlError) -> Result<()> {
        let noted =
            core.state.warnings.last().is_some_and(|n| n.code == error.code && n.message == error.message);
        if !noted {
            core.state.warn(Note {
                level: NoteLevel::Error,
                code: error.code,
                message: error.message.clone(),
            });
        }
        core.state.row_count = -1;
        core.state.assigned.clear();
        loop {
            let Some(frame) = self.frames.last_mut() else { return Err(error) };
            let handler = match FATAL.contains(&error.code) {
                true => None,
                false => frame.handler_of(&error, false, true),
            };
            if let Some(handler) = handler {
                let resume = match frame.loaded.program.ops.get(frame.pc) {
                    Some(Op::JumpUnless { cont, .. } | Op::Set { cont: Some(cont), .. }) => *cont,
                    _ => frame.pc + 1,
                };
                frame.handle(handler, resume, error, core.state.warnings.clone());
                return Ok(());
            }
            self.pop(core);
        }
    }

    /// What waits for the lock that the operation at hand needs first; it leaves ROW_COUNT() as it is.
    fn lock(&mut self, host: &mut dyn Host, how: Locking) -> Bound {
        self.locks = true;
        self.row_count = host.core().state.row_count;
        let plan = Plan::new(PlanKind::Session(vec![SessionCommand::Lock(how)]));
        Bound::of(Statement::unsaid(plan, host.catalog().epoch))
    }

    /// Does the next operation; gives the statement that is to be run.
    fn operation(&mut self, host: &mut dyn Host) -> Result<Option<Bound>> {
        let frame = self.frames.last_mut().ok_or_else(lost)?;
        let loaded = frame.loaded.clone();
        let Some(op) = loaded.program.ops.get(frame.pc) else {
            return self.returned(host).map(|()| None);
        };
        if let Some(locals) = &mut host.core().state.locals {
            locals.hidden = false;
        }
        // Each is a statement of its own, but for DECLARE without DEFAULT: handlers declare what they ask GET DIAGNOSTICS for.
        let is_statement = match op {
            Op::Set { value, .. } => value.is_some(),
            Op::JumpUnless { .. } | Op::Return(_) | Op::Fetch { .. } | Op::Close(_) => true,
            _ => false,
        };
        if is_statement {
            host.core().state.clear_warnings();
        }
        let expression = match op {
            Op::Set { value, .. } => *value,
            // RETURN stands in functions, where nobody can wait.
            Op::JumpUnless { condition: piece, .. } => Some(*piece),
            _ => None,
        };
        // Once: after that the session has the lock, or needs none.
        let has_locked = std::mem::take(&mut self.has_locked);
        if let Some(piece) = expression
            && !has_locked
            && let Some(how) = loaded.locks(host, piece)?
        {
            return Ok(Some(self.lock(host, how)));
        }
        match op {
            Op::Statement(piece) => {
                let statement = loaded.statement(host, *piece)?;
                let plan = &statement.compiled().plan;
                if let PlanKind::Program(call @ ProgramCall::Procedure { args, .. }) = &plan.kind {
                    host.core().state.clear_warnings();
                    host.core().may(&plan.needs)?;
                    let locking = args.iter().filter_map(Scalar::query).find(|q| host.must_lock(q));
                    if let Some(how) = locking.and_then(|q| q.locking)
                        && !has_locked
                    {
                        return Ok(Some(self.lock(host, how)));
                    }
                    self.push_call(host, call)?;
                    return Ok(None);
                }
                return Ok(Some(Bound::of(statement)));
            }
            Op::Set { variable, value, cont } => {
                let to = loaded.program.variables.get(*variable).ok_or_else(lost)?;
                let (value, from) = match value {
                    None => (Value::Null, FieldType::null()),
                    Some(piece) => match loaded.value(host, *piece) {
                        // A function that writes: as a statement of its own.
                        Err(e) if routine::is_writes_here(&e) && !to.hidden => {
                            let statement = loaded.assignment(host, *piece, *variable)?;
                            return Ok(Some(Bound::of(statement)));
                        }
                        value => value?,
                    },
                };
                let inner = host.inner();
                let core = host.core();
                let value = if to.hidden { value } else { assigned(core, &inner, to, value, &from)? };
                if let Some(locals) = &mut core.state.locals {
                    if to.hidden {
                        locals.types[*variable] = from;
                    }
                    locals.values[*variable] = value;
                }
                self.goto_next();
                if is_statement {
                    self.warned(host.core(), *cont);
                }
            }
            Op::Jump(to) => frame.pc = *to,
            Op::JumpUnless { condition, to, cont } => {
                let (value, _) = loaded.value(host, *condition)?;
                let holds = matches!(value, Value::Int(n) if n != 0);
                let frame = self.frames.last_mut().ok_or_else(lost)?;
                frame.pc = if holds { frame.pc + 1 } else { *to };
                self.warned(host.core(), Some(*cont));
            }
            Op::Return(piece) => {
                let (value, from) = loaded.value(host, *piece)?;
                let to = loaded.program.returns.as_ref().ok_or_else(lost)?;
                let inner = host.inner();
                let value = assigned(host.core(), &inner, to, value, &from)?;
                let frame = self.frames.last_mut().ok_or_else(lost)?;
                frame.returned = Some((value, to.ty.clone()));
                frame.pc = loaded.program.ops.len();
                self.warned(host.core(), None);
            }
            Op::Open(cursor) => {
                let declared = loaded.program.cursors.get(*cursor).ok_or_else(lost)?;
                if frame.cursors.iter().any(|c| c.number == *cursor) {
                    return Err(SqlError::new(1325, "24000", "Cursor is already open"));
                }
                self.row_count = host.core().state.row_count;
                let statement = loaded.statement(host, declared.query)?;
                return Ok(Some(Bound::of(statement)));
            }
            Op::Close(cursor) => {
                let at = frame.cursors.iter().position(|c| c.number == *cursor).ok_or_else(rows::not_open)?;
                frame.cursors.remove(at);
                frame.pc += 1;
            }
            Op::Fetch { cursor, into } => {
                let open =
                    frame.cursors.iter_mut().find(|c| c.number == *cursor).ok_or_else(rows::not_open)?;
                let row = open.next(into.len())?;
                let inner = host.inner();
                let core = host.core();
                for (at, (value, from)) in into.iter().zip(row) {
                    let to = loaded.program.variables.get(*at).ok_or_else(lost)?;
                    let value = assigned(core, &inner, to, value, &from)?;
                    if let Some(locals) = &mut core.state.locals {
                        locals.values[*at] = value;
                    }
                }
                self.goto_next();
                self.warned(host.core(), None);
            }
            Op::Handler(n) => {
                frame.handlers.push(Counted { number: *n, running: frame.handling.len() });
                frame.pc += 1;
            }
            Op::Unwind { handlers, cursors } => {
                frame.handlers.truncate(*handlers);
                frame.close_cursors(*cursors);
                frame.pc += 1;
            }
            Op::EndHandler => {
                let Some(h) = frame.handling.pop() else { return Err(lost()) };
                frame.pc = h.resume;
                match h.counted {
                    Some(counted) => frame.handlers = counted,
                    None => {
                        frame.handlers.truncate(h.outside.0);
                        frame.close_cursors(h.outside.1);
                        // The handlers in which the error was raised ended with their blocks.
                        frame.handling.truncate(h.outside.2);
                    }
                }
                host.core().state.clear_warnings();
            }
            Op::Signal(signal) => {
                let error =
                    diagnostics::signal(host, &loaded, signal, frame.handling.last().map(|h| &h.error))?;
                let Some(error) = error else {
                    // A warning.
                    self.goto_next();
                    self.warned(host.core(), None);
                    return Ok(None);
                };
                return Err(error);
            }
            Op::Diagnostics(wanted) => {
                let stacked = frame.handling.last().map(|h| h.notes.clone());
                diagnostics::get(host, &loaded, wanted, stacked)?;
                self.goto_next();
            }
            Op::CaseNotFound => {
                return Err(SqlError::new(1339, "20000", "Case not found for CASE statement"));
            }
        }
        Ok(None)
    }

    fn goto_next(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.pc += 1;
        }
    }

    /// The program that runs is over.
    fn returned(&mut self, host: &mut dyn Host) -> Result<()> {
        let inner = host.inner();
        let core = host.core();
        let value = self.frames.last_mut().and_then(|f| f.returned.take());
        let function = self.frames.last().is_some_and(|f| f.loaded.program.returns.is_some());
        if function && value.is_none() {
            let name = self.frames.last().map(|f| f.loaded.name.clone()).unwrap_or_default();
            return Err(SqlError::new(1321, "2F005", format!("FUNCTION {name} ended without RETURN")));
        }
        if self.frames.last().is_some_and(|f| f.loaded.as_they_are) {
            // What NEW has become.
            self.end.out = Vec::new();
            core.row = Machine::first_values(core, usize::MAX);
        }
        let Some((frame, locals)) = self.pop(core) else { return Err(lost()) };
        self.end.value = value;
        for (at, target) in &frame.outs {
            let (Some(value), Some(variable)) =
                (locals.values.get(*at), frame.loaded.program.variables.get(*at))
            else {
                continue;
            };
            let (value, ty) = (value.clone(), &variable.ty);
            match target {
                OutTarget::User(name) => {
                    let to = ty.of_variable();
                    let value = p2pdb_sql::execute::convert::convert_typed(value, ty, &to)?;
                    core.state.set_user_variable(name, value, to)?;
                }
                OutTarget::Local(n) => {
                    let to = self.frames.last().and_then(|f| f.loaded.program.variables.get(*n)).cloned();
                    let Some(to) = to else { continue };
                    let value = assigned(core, &inner, &to, value, ty)?;
                    if let Some(locals) = &mut core.state.locals {
                        locals.values[*n] = value;
                    }
                }
                OutTarget::Param(n) => self.end.out.push((*n, variable.clone(), value)),
            }
        }
        if !self.frames.is_empty() {
            // Behind the CALL.
            self.goto_next();
        }
        Ok(())
    }
}

impl Frame {
    /// The handler for this error: of the innermost block that has one, the one that names it most closely.
    fn handler_of(&self, error: &SqlError, warning: bool, is_error: bool) -> Option<usize> {
        let all = &self.loaded.program.handlers;
        let fit = |n: usize| {
            let fits = |c: &Condition| match c {
                Condition::Exception if !is_error => None,
                Condition::Warning if warning => Some(1),
                c => c.fits(error),
            };
            all[n].conditions.iter().filter_map(fits).max()
        };
        let mut end = self.handlers.len();
        while let Some(last) = end.checked_sub(1).and_then(|i| self.handlers.get(i)) {
            let begin = all[last.number].handlers.min(end - 1);
            let block = &self.handlers[begin..end];
            let best =
                block.iter().filter_map(|c| Some((fit(c.number)?, c.number))).max_by_key(|(fit, _)| *fit);
            if let Some((_, n)) = best {
                return Some(n);
            }
            end = begin;
        }
        None
    }

    fn handle(&mut self, n: usize, resume: usize, error: SqlError, notes: Vec<Note>) {
        let handler = &self.loaded.program.handlers[n];
        let counted = std::mem::take(&mut self.handlers);
        self.handlers = counted[..handler.handlers.min(counted.len())].to_vec();
        let running = counted.iter().find(|c| c.number == n).map_or(0, |c| c.running);
        let outside = (handler.handlers, handler.cursors, running);
        let (resume, counted) = match handler.exit {
            Some(end) => (end, None),
            None => (resume, Some(counted)),
        };
        self.pc = handler.begin;
        self.handling.push(Handling { resume, counted, outside, error, notes });
    }

    /// Closes the cursors that are declared further inside than `keep` others.
    fn close_cursors(&mut self, keep: usize) {
        let declared = &self.loaded.program.cursors;
        self.cursors.retain(|c| declared[c.number].outside < keep);
    }
}
