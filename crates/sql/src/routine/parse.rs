//! The grammar of compound statements: BEGIN, IF, CASE, loops, DECLARE, cursors, SET, RETURN.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use p2pdb_model::Catalog;
use p2pdb_model::catalog::{Routine, Table, Trigger, same_name};
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::types::Collation;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::conditions::Condition;
use super::{
    BODY_BYTES_MAX, Cursor as Declared, DEPTH_MAX, Handler, Mode, Name, Op, Parameter, Piece, Program,
    VARIABLES_MAX, Variable, in_sight, restrict,
};
use crate::ddl::types;
use crate::error::SqlError;
use crate::front::dialect::P2pdbDialect;
use crate::front::{Source, tokens};
use crate::plan::ColumnTarget;
use crate::session::SqlMode;
use crate::statement::Cursor;

/// What a body belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A procedure.
    Procedure,
    /// A function.
    Function,
    /// A trigger: BEFORE, event.
    Trigger(bool, TriggerEvent),
}

impl Kind {
    /// MySQL's word for it in messages.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Procedure => "procedure",
            Kind::Function => "function",
            Kind::Trigger(..) => "trigger",
        }
    }
}

/// A label in sight.
struct Label {
    name: String,
    /// Where ITERATE goes; none: a block, which cannot be iterated.
    begin: Option<usize>,
    /// Jumps to its end.
    leaves: Vec<usize>,
    handlers: usize,
    cursors: usize,
}

/// Reads a body.
pub(super) struct Reader<'r, 'c, 'p> {
    pub(super) c: &'r mut Cursor<'c, 'p>,
    source: &'r Source<'r>,
    text: &'r str,
    pub(super) kind: Kind,
    collation: Collation,
    pub(super) program: Program,
    names: Vec<Name>,
    /// The last of the names in sight.
    last: Option<usize>,
    pub(super) conditions: Vec<(String, Condition)>,
    cursors: Vec<(String, usize)>,
    labels: Vec<Label>,
    handlers: usize,
    depth: usize,
    returns: bool,
    /// Without the table of a trigger.
    skims: bool,
}

/// Reads the parameters between parentheses; the cursor stands behind the opening one, and then behind the closing one.
///
/// # Errors
/// 1064, 1330 and those of types.
pub fn parameters(
    c: &mut Cursor<'_, '_>,
    function: bool,
    collation: Collation,
) -> Result<Vec<Parameter>, SqlError> {
    let mut all: Vec<Parameter> = Vec::new();
    if c.eat_token(&Token::RParen) {
        return Ok(all);
    }
    loop {
        if function && ["inout", "in", "out"].iter().any(|w| c.is(w)) {
            return Err(c.error());
        }
        let mode = match c.eat_one(&["inout", "in", "out"]) {
            Some("out") => Mode::Out,
            Some("inout") => Mode::InOut,
            _ => Mode::In,
        };
        let name = c.name()?;
        if all.iter().any(|p| same_name(&p.name, &name)) {
            return Err(SqlError::new(1330, "42000", format!("Duplicate parameter: {name}")));
        }
        let ty = types::read(c, &name, collation, &mut Vec::new())?.ty;
        all.push(Parameter { name, mode, ty });
        if c.eat_token(&Token::RParen) {
            return Ok(all);
        }
        c.expect_token(&Token::Comma)?;
    }
}

/// Reads a body at the cursor's place, to its end: the program, and where in the text it stands. `program` holds what is
/// declared around it.
///
/// # Errors
/// 1064 and those of declarations.
pub fn body(
    c: &mut Cursor<'_, '_>,
    source: &Source<'_>,
    kind: Kind,
    collation: Collation,
    program: Program,
) -> Result<(Program, Range<usize>), SqlError> {
    let from = c.mark();
    let skims = matches!(kind, Kind::Trigger(..)) && program.variables.is_empty();
    let mut r = Reader {
        text: source.text,
        c,
        source,
        kind,
        collation,
        program,
        names: Vec::new(),
        last: None,
        conditions: Vec::new(),
        cursors: Vec::new(),
        labels: Vec::new(),
        handlers: 0,
        depth: 0,
        returns: false,
        skims,
    };
    let around: Vec<String> = r.program.variables.iter().map(|v| v.name.clone()).collect();
    around.into_iter().enumerate().for_each(|(variable, name)| r.name_variable(name, variable));
    r.statement()?;
    let event = match kind {
        Kind::Trigger(_, event) => Some(event),
        _ => None,
    };
    let (returns, program) = (r.returns, Program { names: r.names.into(), event, ..r.program });
    let at = source.range(from, c.mark());
    if kind == Kind::Function && !returns {
        return Err(SqlError::new(1320, "42000", "No RETURN found in FUNCTION "));
    }
    if at.len() > BODY_BYTES_MAX {
        return Err(SqlError::new(1437, "42000", "Routine body for '' is too long"));
    }
    Ok((program, at))
}

/// The program of a text that was read before, from its parameters and body.
fn load(
    mode: SqlMode,
    text: &str,
    kind: Kind,
    collation: Collation,
    program: Program,
) -> Result<Program, SqlError> {
    crate::front::read_program(text, mode, |c, source| {
        body(c, source, kind, collation, program).map(|(p, _)| p)
    })
}

/// What a program knows of its parameters and of what it returns.
pub(crate) fn head(parameters: Vec<Parameter>, returns: Option<Variable>) -> Program {
    let variables = parameters.iter().map(|p| Variable::new(&p.name, &p.ty)).collect();
    Program { variables, parameters, returns, ..Program::default() }
}

/// The type that a function returns.
pub(crate) fn returned(
    text: &str,
    mode: SqlMode,
    collation: Collation,
) -> Result<p2pdb_model::types::SqlType, SqlError> {
    let tokens = tokens::tokenize(text, mode, false)?;
    let mut parser = Parser::new(&P2pdbDialect).with_tokens_with_locations(tokens.tokens);
    let mut c = Cursor::new(&mut parser, text, mode.has(SqlMode::ANSI_QUOTES));
    Ok(types::read(&mut c, "RETURN", collation, &mut Vec::new())?.ty)
}

/// The parameters of a stored routine.
///
/// # Errors
/// None but for what an older program wrote and this one does not read.
pub fn parameters_of(routine: &Routine) -> Result<Vec<Parameter>, SqlError> {
    let mode = SqlMode::parse(&routine.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
    let text = format!("{}\n)", routine.def.parameters);
    let tokens = tokens::tokenize(&text, mode, false)?;
    let mut parser = Parser::new(&P2pdbDialect).with_tokens_with_locations(tokens.tokens);
    let mut c = Cursor::new(&mut parser, &text, mode.has(SqlMode::ANSI_QUOTES));
    parameters(&mut c, routine.kind() == ObjectKind::Function, routine.def.scope.database_collation)
}

/// The type that a stored function returns.
///
/// # Errors
/// As [`parameters_of`].
pub fn returns_of(routine: &Routine) -> Result<Option<p2pdb_model::types::SqlType>, SqlError> {
    let mode = SqlMode::parse(&routine.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
    let text = routine.def.returns.as_deref();
    text.map(|t| returned(t, mode, routine.def.scope.database_collation)).transpose()
}

/// The program of a stored procedure or function.
///
/// # Errors
/// As [`parameters_of`].
pub fn load_routine(routine: &Routine) -> Result<Program, SqlError> {
    let mode = SqlMode::parse(&routine.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
    let returns = returns_of(routine)?.map(|ty| Variable::new("RETURN", &ty));
    let kind = if returns.is_some() { Kind::Function } else { Kind::Procedure };
    let program = head(parameters_of(routine)?, returns);
    load(mode, &routine.def.body, kind, routine.def.scope.database_collation, program)
}

/// The variables NEW and OLD of a trigger's program: per column of the table, in its order, first NEW, then OLD, as far as
/// the event has them.
pub(crate) fn rows(table: &Table, event: TriggerEvent) -> Program {
    let mut variables = Vec::new();
    for (prefix, there) in [("new", event != TriggerEvent::Delete), ("old", event != TriggerEvent::Insert)] {
        for column in table.columns.iter().filter(|_| there) {
            let mut v = Variable::new(&column.name, &column.def.ty);
            // Columns of indexes' expressions have their places too, but nobody names them.
            v.name = if column.is_hidden() { String::new() } else { format!("{prefix}.{}", column.name) };
            let target = crate::bind::column_target(&table.name, column);
            v.target = Arc::new(ColumnTarget { nullable: true, ..(*target).clone() });
            variables.push(v);
        }
    }
    Program { variables, ..Program::default() }
}

/// The program of a trigger.
///
/// # Errors
/// As [`parameters_of`].
pub fn load_trigger(table: &Table, trigger: &Trigger) -> Result<Program, SqlError> {
    let def = &trigger.def;
    let mode = SqlMode::parse(&def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
    let kind = Kind::Trigger(def.before, def.event);
    load(mode, &def.body, kind, def.scope.database_collation, rows(table, def.event))
}

/// The stored functions that a text may call, and the procedures: `name (` of a name in sight.
pub fn calls_in<'a>(
    text: &str,
    mode: SqlMode,
    database: &str,
    catalog: &'a Catalog,
) -> Vec<&'a Arc<Routine>> {
    let Ok(tokens) = tokens::tokenize_program(text, mode) else { return Vec::new() };
    let word = |n: usize| match tokens.tokens.get(n).map(|t| &t.token) {
        Some(Token::Word(w)) => Some(w.value.as_str()),
        _ => None,
    };
    let mut found = Vec::new();
    for n in 0..tokens.tokens.len() {
        let Some(name) = word(n) else { continue };
        let qualified = n >= 2 && tokens.tokens[n - 1].token == Token::Period;
        let database = if qualified { word(n - 2).unwrap_or(database) } else { database };
        let called = tokens.tokens.get(n + 1).is_some_and(|t| t.token == Token::LParen);
        if called {
            found.extend(catalog.routine(ObjectKind::Function, database, name));
        }
        let behind_call = |at: usize| at > 0 && word(at - 1).is_some_and(|w| w.eq_ignore_ascii_case("call"));
        if behind_call(if qualified { n - 2 } else { n }) {
            found.extend(catalog.routine(ObjectKind::Procedure, database, name));
        }
    }
    found
}

/// The function, or one that it calls, writes. A program that cannot be read writes nothing.
pub fn writes(catalog: &Catalog, routine: &Routine) -> bool {
    let mut seen = HashSet::new();
    let mut next = vec![Arc::new(routine.clone())];
    while let Some(routine) = next.pop() {
        if !seen.insert(routine.id) {
            continue;
        }
        if load_routine(&routine).is_ok_and(|p| p.writes) {
            return true;
        }
        let mode = SqlMode::parse(&routine.def.scope.sql_mode).unwrap_or(SqlMode::DEFAULT);
        next.extend(calls_in(&routine.def.body, mode, &routine.database, catalog).into_iter().cloned());
    }
    false
}

impl Reader<'_, '_, '_> {
    // ---- pieces

    fn name_variable(&mut self, name: String, variable: usize) {
        self.names.push(Name { name, variable, before: self.last });
        self.last = Some(self.names.len() - 1);
    }

    pub(super) fn piece(&mut self, text: String) -> usize {
        self.program.pieces.push(Piece { text: text.into(), last: self.last });
        self.program.pieces.len() - 1
    }

    fn between(&self, from: usize) -> String {
        self.text[self.source.range(from, self.c.mark())].to_owned()
    }

    /// An expression as text.
    fn expression_text(&mut self) -> Result<String, SqlError> {
        let from = self.c.mark();
        self.c.expr()?;
        Ok(self.between(from))
    }

    pub(super) fn expression(&mut self) -> Result<usize, SqlError> {
        let text = self.expression_text()?;
        Ok(self.piece(text))
    }

    fn condition(&mut self) -> Result<usize, SqlError> {
        let text = self.expression_text()?;
        Ok(self.piece(format!("({text}) IS TRUE")))
    }

    fn emit(&mut self, op: Op) -> usize {
        self.program.ops.push(op);
        self.program.ops.len() - 1
    }

    fn here(&self) -> usize {
        self.program.ops.len()
    }

    /// Lets the jump at `at` go to the next operation.
    fn land(&mut self, at: usize) {
        let here = self.here();
        match &mut self.program.ops[at] {
            Op::Jump(to) | Op::JumpUnless { to, .. } => *to = here,
            _ => {}
        }
    }

    fn variable(&mut self, v: Variable) -> Result<usize, SqlError> {
        if self.program.variables.len() >= VARIABLES_MAX {
            return Err(SqlError::unsupported(format!("more than {VARIABLES_MAX} variables")));
        }
        self.program.variables.push(v);
        Ok(self.program.variables.len() - 1)
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        in_sight(&self.names, self.last).find(|(_, n)| same_name(&n.name, name)).map(|(_, n)| n.variable)
    }

    /// The local variable of this name, or 1327.
    pub(super) fn declared(&self, name: &str) -> Result<usize, SqlError> {
        self.find(name).ok_or_else(|| SqlError::new(1327, "42000", format!("Undeclared variable: {name}")))
    }

    // ---- statements

    fn statement(&mut self) -> Result<(), SqlError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(crate::front::too_deep());
        }
        self.statement_inside()?;
        self.depth -= 1;
        Ok(())
    }

    fn statement_inside(&mut self) -> Result<(), SqlError> {
        let label = match (self.c.at_name(), self.c.token(1)) {
            (true, Token::Colon) => {
                let name = self.c.name()?;
                self.c.skip();
                if self.labels.iter().any(|l| same_name(&l.name, &name)) {
                    return Err(SqlError::new(1309, "42000", format!("Redefining label {name}")));
                }
                if !["begin", "loop", "while", "repeat"].iter().any(|w| self.c.is(w)) {
                    return Err(self.c.error());
                }
                Some(name)
            }
            _ => None,
        };
        if self.c.eat("begin") {
            return self.block(label);
        }
        if self.c.is("loop")
            || self.c.is("while")
            || (self.c.is("repeat") && self.c.token(1) != &Token::LParen)
        {
            return self.repeated(label);
        }
        if self.c.eat("repeat") {
            // A loop whose first statement begins with a parenthesis.
            return self.repeat(label);
        }
        if self.c.eat("if") {
            return self.if_();
        }
        if self.c.eat("case") {
            return self.case();
        }
        if self.c.is("leave") || self.c.is("iterate") {
            return self.leave();
        }
        if self.c.eat("return") {
            if self.kind != Kind::Function {
                return Err(SqlError::new(1313, "42000", "RETURN is only allowed in a FUNCTION"));
            }
            self.returns = true;
            let value = self.expression()?;
            self.emit(Op::Return(value));
            return Ok(());
        }
        if self.c.eat("open") {
            let cursor = self.cursor()?;
            self.emit(Op::Open(cursor));
            return Ok(());
        }
        if self.c.eat("close") {
            let cursor = self.cursor()?;
            self.emit(Op::Close(cursor));
            return Ok(());
        }
        if self.c.eat("fetch") {
            if self.c.eat("next") {
                self.c.expect("from")?;
            } else {
                self.c.eat("from");
            }
            let cursor = self.cursor()?;
            self.c.expect("into")?;
            let names = self.c.list(Cursor::name)?;
            let into = names.iter().map(|n| self.declared(n)).collect::<Result<_, _>>()?;
            self.emit(Op::Fetch { cursor, into });
            return Ok(());
        }
        if self.c.is("signal") || self.c.is("resignal") {
            let signal = self.signal()?;
            self.emit(Op::Signal(Box::new(signal)));
            return Ok(());
        }
        if self.c.is("get diagnostics") || self.c.is("get current") || self.c.is("get stacked") {
            let diagnostics = self.diagnostics()?;
            self.emit(Op::Diagnostics(Box::new(diagnostics)));
            return Ok(());
        }
        if self.c.is("set") && self.set()? {
            return Ok(());
        }
        self.plain()
    }

    /// A statement that is not of this grammar: everything to the next `;`.
    fn plain(&mut self) -> Result<(), SqlError> {
        let from = self.c.mark();
        if self.c.at_end() {
            return Err(self.c.error());
        }
        let writes = restrict::check(self.c, self.kind)?;
        self.program.writes |= writes;
        while !self.c.at_end() {
            self.c.skip();
        }
        let text = self.between(from);
        let piece = self.piece(text);
        self.emit(Op::Statement(piece));
        Ok(())
    }

    /// Statements up to one of these words.
    fn statements(&mut self, ends: &[&str]) -> Result<(), SqlError> {
        loop {
            self.statement()?;
            self.c.expect_token(&Token::SemiColon)?;
            if ends.iter().any(|w| self.c.is(w)) {
                return Ok(());
            }
        }
    }

    fn end_label(&mut self, label: Option<&str>) -> Result<(), SqlError> {
        if self.c.at_name() && self.c.token(1) != &Token::Colon {
            let name = self.c.name()?;
            if !label.is_some_and(|l| same_name(l, &name)) {
                return Err(SqlError::new(1310, "42000", format!("End-label {name} without match")));
            }
        }
        Ok(())
    }

    fn push_label(&mut self, label: Option<&String>, begin: Option<usize>) {
        // Without a name nobody leaves it.
        let name = label.cloned().unwrap_or_default();
        let (handlers, cursors) = (self.handlers, self.cursors.len());
        self.labels.push(Label { name, begin, leaves: Vec::new(), handlers, cursors });
    }

    fn pop_label(&mut self) {
        for at in self.labels.pop().map(|l| l.leaves).unwrap_or_default() {
            self.land(at);
        }
    }

    fn block(&mut self, label: Option<String>) -> Result<(), SqlError> {
        self.push_label(label.as_ref(), None);
        let (names, conditions) = (self.last, self.conditions.len());
        let (cursors, handlers) = (self.cursors.len(), self.handlers);
        let first_handler = self.program.handlers.len();
        // 0: variables and conditions, 1: cursors, 2: handlers.
        let mut stage = 0;
        let mut exits = Vec::new();
        while self.c.eat("declare") {
            self.declare(&mut stage, (names, conditions, cursors), (handlers, first_handler), &mut exits)?;
            self.c.expect_token(&Token::SemiColon)?;
        }
        if !self.c.is("end") {
            self.statements(&["end"])?;
        }
        self.c.expect("end")?;
        let end = self.here();
        if self.handlers > handlers || self.cursors.len() > cursors {
            self.emit(Op::Unwind { handlers, cursors });
        }
        for handler in exits {
            self.program.handlers[handler].exit = Some(end);
        }
        self.handlers = handlers;
        self.cursors.truncate(cursors);
        self.conditions.truncate(conditions);
        self.last = names;
        self.end_label(label.as_deref())?;
        self.pop_label();
        Ok(())
    }

    fn declare(
        &mut self,
        stage: &mut u8,
        (names, conditions, cursors): (Option<usize>, usize, usize),
        (handlers, first_handler): (usize, usize),
        exits: &mut Vec<usize>,
    ) -> Result<(), SqlError> {
        let handler = ["continue handler", "exit handler", "undo handler"].iter().find(|w| self.c.is(w));
        if let Some(words) = handler {
            *stage = 2;
            self.c.eat(words);
            if words.starts_with("undo") {
                return Err(SqlError::unsupported("UNDO handlers"));
            }
            let at = self.handler((handlers, cursors), first_handler)?;
            if words.starts_with("exit") {
                exits.push(at);
            }
            return Ok(());
        }
        let first = self.c.name()?;
        if self.c.eat("cursor for") {
            if *stage > 1 {
                return Err(SqlError::new(1338, "42000", "Cursor declaration after handler declaration"));
            }
            *stage = 1;
            if self.cursors[cursors..].iter().any(|(n, _)| same_name(n, &first)) {
                return Err(SqlError::new(1333, "42000", format!("Duplicate cursor: {first}")));
            }
            let from = self.c.mark();
            if !["select", "with", "table", "values"].iter().any(|w| self.c.is(w))
                && self.c.token(0) != &Token::LParen
            {
                return Err(self.c.error());
            }
            while !self.c.at_end() {
                if self.c.is("into") {
                    return Err(SqlError::new(1323, "42000", "Cursor SELECT must not have INTO"));
                }
                self.c.skip();
            }
            let text = self.between(from);
            let query = self.piece(text);
            let outside = self.cursors.len();
            self.program.cursors.push(Declared { name: first.clone(), query, outside });
            self.cursors.push((first, self.program.cursors.len() - 1));
            return Ok(());
        }
        if *stage > 0 {
            let message = "Variable or condition declaration after cursor or handler declaration";
            return Err(SqlError::new(1337, "42000", message));
        }
        if self.c.eat("condition for") {
            if self.conditions[conditions..].iter().any(|(n, _)| same_name(n, &first)) {
                return Err(SqlError::new(1332, "42000", format!("Duplicate condition: {first}")));
            }
            let condition = self.condition_value()?;
            self.conditions.push((first, condition));
            return Ok(());
        }
        let mut all = vec![first];
        while self.c.eat_token(&Token::Comma) {
            all.push(self.c.name()?);
        }
        let ty = types::read(self.c, &all[0], self.collation, &mut Vec::new())?.ty;
        let default = if self.c.eat("default") { Some(self.expression()?) } else { None };
        for name in all {
            let own = in_sight(&self.names, self.last).take_while(|(at, _)| Some(*at) != names);
            if own.into_iter().any(|(_, n)| same_name(&n.name, &name)) {
                return Err(SqlError::new(1331, "42000", format!("Duplicate variable: {name}")));
            }
            let variable = self.variable(Variable::new(&name, &ty))?;
            self.emit(Op::Set { variable, value: default, cont: None });
            self.name_variable(name, variable);
        }
        Ok(())
    }

    fn handler(&mut self, (handlers, cursors): (usize, usize), first: usize) -> Result<usize, SqlError> {
        self.c.expect("for")?;
        let mut all: Vec<Condition> = Vec::new();
        loop {
            let condition = self.handled()?;
            let twice = all.contains(&condition)
                || self.program.handlers[first..]
                    .iter()
                    .any(|h| h.handlers == handlers && h.conditions.contains(&condition));
            if twice {
                return Err(SqlError::new(1413, "42000", "Duplicate handler declared in the same block"));
            }
            all.push(condition);
            if !self.c.eat_token(&Token::Comma) {
                break;
            }
        }
        let at = self.program.handlers.len();
        let begin = self.here() + 2;
        self.program.handlers.push(Handler { conditions: all, exit: None, begin, handlers, cursors });
        self.emit(Op::Handler(at));
        let over = self.emit(Op::Jump(0));
        // Inside only the handlers of outer blocks count, and no label around is in sight.
        let labels = std::mem::take(&mut self.labels);
        let counted = std::mem::replace(&mut self.handlers, handlers);
        self.statement()?;
        self.labels = labels;
        self.handlers = counted + 1;
        self.emit(Op::EndHandler);
        self.land(over);
        Ok(at)
    }

    fn repeated(&mut self, label: Option<String>) -> Result<(), SqlError> {
        if self.c.eat("repeat") {
            return self.repeat(label);
        }
        let begin = self.here();
        self.push_label(label.as_ref(), Some(begin));
        if self.c.eat("loop") {
            self.statements(&["end"])?;
            self.c.expect("end")?;
            self.c.expect("loop")?;
            self.emit(Op::Jump(begin));
        } else {
            self.c.expect("while")?;
            let condition = self.condition()?;
            let out = self.emit(Op::JumpUnless { condition, to: 0, cont: 0 });
            self.c.expect("do")?;
            self.statements(&["end"])?;
            self.c.expect("end")?;
            self.c.expect("while")?;
            self.emit(Op::Jump(begin));
            self.land(out);
            self.continue_here(&[out]);
        }
        self.end_label(label.as_deref())?;
        self.pop_label();
        Ok(())
    }

    fn repeat(&mut self, label: Option<String>) -> Result<(), SqlError> {
        let begin = self.here();
        self.push_label(label.as_ref(), Some(begin));
        self.statements(&["until"])?;
        self.c.expect("until")?;
        let condition = self.condition()?;
        let out = self.emit(Op::JumpUnless { condition, to: begin, cont: 0 });
        self.continue_here(&[out]);
        self.c.expect("end")?;
        self.c.expect("repeat")?;
        self.end_label(label.as_deref())?;
        self.pop_label();
        Ok(())
    }

    /// A failure of these conditions, when it is handled with CONTINUE, goes on here.
    fn continue_here(&mut self, ops: &[usize]) {
        let here = self.here();
        for at in ops {
            match &mut self.program.ops[*at] {
                Op::JumpUnless { cont, .. } => *cont = here,
                Op::Set { cont, .. } => *cont = Some(here),
                _ => {}
            }
        }
    }

    fn if_(&mut self) -> Result<(), SqlError> {
        let (mut ends, mut conditions) = (Vec::new(), Vec::new());
        loop {
            let condition = self.condition()?;
            let over = self.emit(Op::JumpUnless { condition, to: 0, cont: 0 });
            conditions.push(over);
            self.c.expect("then")?;
            self.statements(&["elseif", "else", "end"])?;
            if self.c.is("end") {
                self.land(over);
                break;
            }
            ends.push(self.emit(Op::Jump(0)));
            self.land(over);
            if self.c.eat("else") {
                self.statements(&["end"])?;
                break;
            }
            self.c.expect("elseif")?;
        }
        self.c.expect("end")?;
        self.c.expect("if")?;
        ends.into_iter().for_each(|at| self.land(at));
        self.continue_here(&conditions);
        Ok(())
    }

    fn case(&mut self) -> Result<(), SqlError> {
        let names = self.last;
        let mut conditions = Vec::new();
        let operand = if self.c.is("when") {
            None
        } else {
            let value = self.expression()?;
            let name = format!("\u{1}case{}", self.program.variables.len());
            let mut v = Variable::new(&name, &p2pdb_model::types::SqlType::Json);
            v.hidden = true;
            let variable = self.variable(v)?;
            conditions.push(self.emit(Op::Set { variable, value: Some(value), cont: None }));
            self.name_variable(name.clone(), variable);
            Some(name)
        };
        let mut ends = Vec::new();
        let mut over = None;
        while self.c.eat("when") {
            if let Some(at) = over.take() {
                self.land(at);
            }
            let text = self.expression_text()?;
            let condition = match &operand {
                Some(name) => self.piece(format!("(`{name}` = ({text})) IS TRUE")),
                None => self.piece(format!("({text}) IS TRUE")),
            };
            let at = self.emit(Op::JumpUnless { condition, to: 0, cont: 0 });
            conditions.push(at);
            over = Some(at);
            self.c.expect("then")?;
            self.statements(&["when", "else", "end"])?;
            ends.push(self.emit(Op::Jump(0)));
        }
        let Some(over) = over else { return Err(self.c.error()) };
        self.land(over);
        if self.c.eat("else") {
            self.statements(&["end"])?;
        } else {
            self.emit(Op::CaseNotFound);
        }
        self.c.expect("end")?;
        self.c.expect("case")?;
        ends.into_iter().for_each(|at| self.land(at));
        self.continue_here(&conditions);
        self.last = names;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), SqlError> {
        let word = self.c.eat_one(&["leave", "iterate"]).unwrap_or_default();
        let name = self.c.name()?;
        let found = self.labels.iter().rposition(|l| same_name(&l.name, &name));
        let found = found.filter(|i| word == "leave" || self.labels[*i].begin.is_some());
        let Some(i) = found else {
            let message = format!("{} with no matching label: {name}", word.to_uppercase());
            return Err(SqlError::new(1308, "42000", message));
        };
        let (handlers, cursors) = (self.labels[i].handlers, self.labels[i].cursors);
        if self.handlers > handlers || self.cursors.len() > cursors {
            self.emit(Op::Unwind { handlers, cursors });
        }
        match self.labels[i].begin.filter(|_| word == "iterate") {
            Some(begin) => {
                self.emit(Op::Jump(begin));
            }
            None => {
                let at = self.emit(Op::Jump(0));
                self.labels[i].leaves.push(at);
            }
        }
        Ok(())
    }

    fn cursor(&mut self) -> Result<usize, SqlError> {
        let name = self.c.name()?;
        let found = self.cursors.iter().rev().find(|(n, _)| same_name(n, &name)).map(|(_, at)| *at);
        found.ok_or_else(|| SqlError::new(1324, "42000", format!("Undefined CURSOR: {name}")))
    }

    /// SET of local variables, among others; false (with the cursor where it was): it is for the ordinary SET.
    fn set(&mut self) -> Result<bool, SqlError> {
        let whole = ["transaction", "names", "character set", "charset", "password", "role", "default role"];
        let start = self.c.mark();
        self.c.expect("set")?;
        let assigns =
            |r: &Self, n: usize| matches!(r.c.token(n), Token::Eq | Token::Assignment | Token::Colon);
        if whole.iter().any(|w| self.c.is(w)) && !assigns(self, 1) {
            self.c.back(start);
            return Ok(false);
        }
        loop {
            let from = self.c.mark();
            match self.target()? {
                Some(variable) => {
                    if !self.c.eat_assign() {
                        return Err(self.c.error());
                    }
                    let value = Some(self.expression()?);
                    self.emit(Op::Set { variable, value, cont: None });
                }
                None => {
                    if matches!(self.kind, Kind::Function | Kind::Trigger(..))
                        && ["autocommit", "@@autocommit", "session autocommit"].iter().any(|w| self.c.is(w))
                    {
                        return Err(restrict::no_commit());
                    }
                    let mut depth = 0usize;
                    while !(self.c.at_end() || depth == 0 && self.c.token(0) == &Token::Comma) {
                        match self.c.token(0) {
                            Token::LParen => depth += 1,
                            Token::RParen => depth = depth.saturating_sub(1),
                            _ => {}
                        }
                        self.c.skip();
                    }
                    if self.c.mark() == from {
                        return Err(self.c.error());
                    }
                    let text = format!("SET {}", self.between(from));
                    let piece = self.piece(text);
                    self.emit(Op::Statement(piece));
                }
            }
            if !self.c.eat_token(&Token::Comma) {
                return Ok(true);
            }
        }
    }

    /// A local variable or column of NEW that SET names; nothing is taken when it is neither.
    fn target(&mut self) -> Result<Option<usize>, SqlError> {
        if !self.c.at_name() {
            return Ok(None);
        }
        let mark = self.c.mark();
        let name = self.c.name()?;
        if let (Kind::Trigger(before, event), Token::Period) = (self.kind, self.c.token(0))
            && ["new", "old"].iter().any(|w| name.eq_ignore_ascii_case(w))
        {
            self.c.skip();
            let column = self.c.name_after_point()?;
            let row = name.to_uppercase();
            if row == "OLD" || !before && event != TriggerEvent::Delete {
                let when = if row == "OLD" { "" } else { "after " };
                let message = format!("Updating of {row} row is not allowed in {when}trigger");
                return Err(SqlError::new(1362, "HY000", message));
            }
            return match self.find(&format!("{row}.{column}")) {
                Some(at) => Ok(Some(at)),
                // Only the extent of the definition is looked for.
                None if self.skims => Ok(Some(0)),
                None => Err(no_row(&row, &column, event)),
            };
        }
        match self.find(&name) {
            Some(at) if !matches!(self.c.token(0), Token::Period) => Ok(Some(at)),
            _ => {
                self.c.back(mark);
                Ok(None)
            }
        }
    }
}

/// A column of NEW or OLD that is not there: 1363, or 1054.
pub(crate) fn no_row(row: &str, column: &str, event: TriggerEvent) -> SqlError {
    let row = row.to_uppercase();
    let missing = if row == "NEW" { TriggerEvent::Delete } else { TriggerEvent::Insert };
    if event == missing {
        let message = format!("There is no {row} row in on {} trigger", event.name());
        return SqlError::new(1363, "HY000", message);
    }
    SqlError::unknown_column(column, row)
}
