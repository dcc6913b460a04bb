//! Stored programs: from the text of a body to a [`Program`], a flat list of operations.
//!
//! The grammar of compound statements (BEGIN, IF, loops, DECLARE, SIGNAL …) is read here; every statement and expression
//! inside stays a piece of text with the local variables that it sees ([`Piece`]), and is compiled like any other
//! statement when it first runs: the binder finds local variables in [`crate::session::SessionState::locals`]. Blocks and
//! loops become jumps, so that whoever runs a program (the engine) needs no stack of Rust calls, and can stop at any
//! operation.
//!
//! Not here: running. Rules for users are in `docs/routines.md`.

use std::sync::Arc;

use p2pdb_model::catalog::same_name;
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, Value};

pub mod conditions;
mod conditions_parse;
mod parse;
mod restrict;

pub use conditions::{Condition, Diagnostics, Item, Signal};
pub use parse::{Kind, body, load_routine, load_trigger, parameters, parameters_of, returns_of, writes};
pub(crate) use parse::{head, no_row, returned, rows};

use crate::error::SqlError;
use crate::field::FieldType;
use crate::front::Compiled;
use crate::needs::Need;
use crate::plan::{Coerce, ColumnTarget, Scalar, Touches};
use crate::session::SessionState;

/// Blocks, loops and branches inside of each other.
pub const DEPTH_MAX: usize = 100;
/// Bytes of a body.
pub const BODY_BYTES_MAX: usize = 512 * 1024;
/// Variables of one program, hidden ones too.
pub const VARIABLES_MAX: usize = 4096;

/// A name that a program declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// As it was written.
    pub name: String,
    /// The variable.
    pub variable: usize,
    /// The name that was in sight before it: names are chained, so that every piece knows its own by a number.
    pub before: Option<usize>,
}

/// The names in sight from the one with this number on, those that were declared later first.
fn in_sight(all: &[Name], mut last: Option<usize>) -> impl Iterator<Item = (usize, &Name)> {
    std::iter::from_fn(move || {
        let at = last?;
        let name = all.get(at)?;
        last = name.before;
        Some((at, name))
    })
}

/// The local variables that a piece of a program sees.
#[derive(Clone, Debug, Default)]
pub struct Names {
    all: Arc<[Name]>,
    last: Option<usize>,
    /// For a trigger what it waits for.
    pub event: Option<TriggerEvent>,
}

impl Names {
    /// The variable of this name that was declared last.
    pub fn find(&self, name: &str) -> Option<usize> {
        let found = in_sight(&self.all, self.last).find(|(_, n)| same_name(&n.name, name));
        found.map(|(_, n)| n.variable)
    }
}

/// The variables of the program that is running, as compiled statements see them.
#[derive(Clone, Debug, Default)]
pub struct Locals {
    /// Which names are in sight.
    pub names: Names,
    /// Their types.
    pub types: Vec<FieldType>,
    /// Their values.
    pub values: Vec<Value>,
    /// What SELECT … INTO may assign to.
    pub targets: Arc<[Arc<ColumnTarget>]>,
    /// A statement from a text (EXECUTE) is running, which sees none of them.
    pub hidden: bool,
}

/// A local variable, parameter, or column of NEW or OLD.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name; of NEW and OLD with `new.` or `old.` in front.
    pub name: String,
    /// Its type as an expression.
    pub ty: FieldType,
    /// What is assigned to it becomes this.
    pub target: Arc<ColumnTarget>,
    /// Holds the operand of a CASE: its type is that of the operand.
    pub hidden: bool,
}

impl Variable {
    pub(crate) fn new(name: &str, ty: &SqlType) -> Self {
        let target = Arc::new(ColumnTarget::plain(name, ty.clone()));
        Variable { name: name.to_owned(), ty: FieldType::of_column(ty), target, hidden: false }
    }

    /// The coercion of an assignment.
    pub fn coerce(&self) -> Coerce {
        Coerce::Column(self.target.clone())
    }
}

/// Which way a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// IN.
    In,
    /// OUT.
    Out,
    /// INOUT.
    InOut,
}

impl Mode {
    /// MySQL's word.
    pub fn name(self) -> &'static str {
        match self {
            Mode::In => "IN",
            Mode::Out => "OUT",
            Mode::InOut => "INOUT",
        }
    }
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Its type.
    pub ty: SqlType,
}

/// A statement or expression of a program.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The text.
    pub text: Arc<str>,
    /// The last of the names in sight.
    pub last: Option<usize>,
}

/// One step. Numbers of pieces, variables, cursors and handlers are places in the program's lists; other numbers are
/// places of operations.
#[derive(Clone, Debug)]
pub enum Op {
    /// Runs a statement.
    Statement(usize),
    /// Assigns an expression; its type, too, when the variable is hidden.
    Set {
        /// The variable.
        variable: usize,
        /// The expression; none: NULL.
        value: Option<usize>,
        /// Where to go on when it fails and a handler says CONTINUE.
        cont: Option<usize>,
    },
    /// Goes on there.
    Jump(usize),
    /// Goes on there unless the condition is true.
    JumpUnless {
        /// The condition: an expression that is 1, 0 or NULL.
        condition: usize,
        /// Where.
        to: usize,
        /// Where to go on when it fails and a handler says CONTINUE.
        cont: usize,
    },
    /// RETURN.
    Return(usize),
    /// OPEN.
    Open(usize),
    /// FETCH.
    Fetch {
        /// The cursor.
        cursor: usize,
        /// The variables.
        into: Vec<usize>,
    },
    /// CLOSE.
    Close(usize),
    /// From here on this handler counts.
    Handler(usize),
    /// Ends blocks: so many handlers and cursors stay.
    Unwind {
        /// Handlers that count outside.
        handlers: usize,
        /// Cursors that are declared outside.
        cursors: usize,
    },
    /// A handler's end.
    EndHandler,
    /// SIGNAL, RESIGNAL.
    Signal(Box<Signal>),
    /// GET DIAGNOSTICS.
    Diagnostics(Box<Diagnostics>),
    /// No WHEN fits: 1339.
    CaseNotFound,
}

/// A cursor.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Its name.
    pub name: String,
    /// Its query.
    pub query: usize,
    /// How many others are in sight where it is declared.
    pub outside: usize,
}

/// A handler.
#[derive(Clone, Debug)]
pub struct Handler {
    /// What it handles.
    pub conditions: Vec<Condition>,
    /// EXIT: where the block ends; none: CONTINUE.
    pub exit: Option<usize>,
    /// Its first operation.
    pub begin: usize,
    /// Handlers that count outside of its block.
    pub handlers: usize,
    /// Cursors that are declared outside of its block.
    pub cursors: usize,
}

/// A body, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Its variables: parameters, then NEW and OLD, then what is declared, hidden ones among them.
    pub variables: Vec<Variable>,
    /// Its parameters; they are the first variables.
    pub parameters: Vec<Parameter>,
    /// Every name that it declares.
    pub names: Arc<[Name]>,
    /// What a trigger waits for.
    pub event: Option<TriggerEvent>,
    /// What a function returns.
    pub returns: Option<Variable>,
    /// The operations.
    pub ops: Vec<Op>,
    /// Statements and expressions.
    pub pieces: Vec<Piece>,
    /// Cursors.
    pub cursors: Vec<Cursor>,
    /// Handlers.
    pub handlers: Vec<Handler>,
    /// Holds a statement that writes, or one that may (CALL).
    pub writes: bool,
}

/// 1235: a function that writes stands where it may be called more than once, or not at all.
pub(crate) fn writes_here() -> SqlError {
    SqlError::unsupported(WRITES_HERE)
}

/// See [`writes_here`].
const WRITES_HERE: &str = "a stored function that writes, where it may be called more than once";

/// The error is [`writes_here`].
pub fn is_writes_here(e: &SqlError) -> bool {
    e.code == 1235 && e.message.contains(WRITES_HERE)
}

/// The statement that assigns an expression to the variable with this number, for expressions that call functions that
/// write.
pub fn assignment(expression: &str, variable: usize) -> String {
    format!("SELECT {expression} INTO `{}{variable}`", crate::bind::statement::INTO_LOCAL)
}

impl Program {
    /// What assignments to its variables become.
    pub fn targets(&self) -> Arc<[Arc<ColumnTarget>]> {
        self.variables.iter().map(|v| v.target.clone()).collect()
    }

    /// The names that this piece sees.
    pub fn names_of(&self, piece: &Piece) -> Names {
        Names { all: self.names.clone(), last: piece.last, event: self.event }
    }
}

/// Compiles a statement of a program; local variables are those of the session.
///
/// # Errors
/// As of any statement.
pub fn compile_statement(
    text: &str,
    session: &SessionState,
    catalog: &Catalog,
) -> Result<Compiled, SqlError> {
    crate::front::compile_alone(text, session, catalog)
}

/// An expression of a program.
#[derive(Debug)]
pub struct Expression {
    /// Its value.
    pub scalar: Scalar,
    /// What it needs to be granted.
    pub needs: Vec<Need>,
    /// What it does to its transaction.
    pub touches: Touches,
}

/// Compiles an expression of a program; local variables are those of the session.
///
/// # Errors
/// As of any expression; 1241 for a row.
pub fn compile_expression(
    text: &str,
    session: &SessionState,
    catalog: &Catalog,
) -> Result<Expression, SqlError> {
    crate::front::compile_expression(text, session, catalog)
}
