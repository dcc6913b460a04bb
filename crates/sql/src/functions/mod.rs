//! The functions that generated SQL calls: registered with SQLite by name, all beginning with `p_`.
//!
//! Arguments arrive in the stored form of the class that the binder converted them to. A function that fails returns its
//! error; whoever registers it leaves the error in the context ([`crate::execute::context::leave_error`]) and tells
//! SQLite. NULL arguments give NULL unless a function says otherwise.

use std::sync::LazyLock;

use p2pdb_model::{Value, ValueRef};

pub mod aggregate;
mod bits;
pub mod cipher;
mod digest;
pub mod hash;
pub mod json;
mod locale;
mod network;
pub mod number;
pub mod pattern;
mod rows;
pub mod search;
pub mod system;
pub mod temporal;
pub mod text;
mod weights;
mod xml;

pub use aggregate::{Accumulator, AggregateFunction, aggregates};

use crate::error::SqlError;
use crate::execute::{context, convert};
use crate::plan::ColumnTarget;

/// What a function returns.
pub type Answer = Result<Value, SqlError>;

/// A function of one row.
#[derive(Clone, Copy)]
pub struct ScalarFunction {
    /// Its name in SQL.
    pub name: &'static str,
    /// Number of arguments; -1 for any.
    pub args: i32,
    /// The same arguments give the same result, within a statement.
    pub deterministic: bool,
    /// It is called outside of the session.
    pub by_rules: bool,
    /// The code.
    pub call: fn(&[ValueRef<'_>]) -> Answer,
}

impl ScalarFunction {
    /// Calls it.
    ///
    /// # Errors
    /// Its own.
    pub fn run(&self, args: &[ValueRef<'_>]) -> Answer {
        if !self.by_rules {
            // Its own error counts more than what was said on the way.
            let (answer, said) = ((self.call)(args), context::take_error());
            return answer.and_then(|value| said.map_or(Ok(value), Err));
        }
        let session = crate::execute::leave();
        let answer = (self.call)(args);
        crate::execute::enter(session);
        answer
    }
}

/// The same SQL, with functions that know no session (`g_` in the place of `p_`): the default sql_mode, UTC, no warnings.
pub fn by_rules(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let (mut quoted, mut before) = (None, ' ');
    let mut rest = sql.char_indices();
    while let Some((at, ch)) = rest.next() {
        match quoted {
            Some(q) if q == ch => quoted = None,
            None if matches!(ch, '\'' | '"' | '`') => quoted = Some(ch),
            None if sql[at..].starts_with("p_") && !before.is_alphanumeric() && before != '_' => {
                out.push_str("g_");
                rest.next();
                before = '_';
                continue;
            }
            _ => {}
        }
        out.push(ch);
        before = ch;
    }
    out
}

/// All of them.
pub fn all() -> &'static [ScalarFunction] {
    static ALL: LazyLock<Vec<ScalarFunction>> = LazyLock::new(|| {
        let mut out = Vec::new();
        for list in [
            number::FUNCTIONS,
            text::FUNCTIONS,
            pattern::FUNCTIONS,
            temporal::FUNCTIONS,
            json::FUNCTIONS,
            hash::FUNCTIONS,
            cipher::FUNCTIONS,
            bits::FUNCTIONS,
            network::FUNCTIONS,
            system::FUNCTIONS,
            search::FUNCTIONS,
            digest::FUNCTIONS,
            weights::FUNCTIONS,
            xml::FUNCTIONS,
            crate::execute::sealed::FUNCTIONS,
        ] {
            for (name, args, call) in list {
                let deterministic = !matches!(
                    *name,
                    "p_rand"
                        | "p_rand_of"
                        | "p_row"
                        | "p_variable"
                        | "p_set_variable"
                        | "p_last_insert_id"
                        | "p_uuid"
                        | "p_random_bytes"
                        | "p_depth"
                        | "p_seen"
                        | "p_open"
                        | "p_seal"
                );
                out.push(ScalarFunction { name, args: *args, deterministic, by_rules: false, call: *call });
                if deterministic {
                    // Once in the life of the program.
                    let name: &'static str = Box::leak(by_rules(name).into_boxed_str());
                    out.push(ScalarFunction {
                        name,
                        args: *args,
                        deterministic,
                        by_rules: true,
                        call: *call,
                    });
                }
            }
        }
        out
    });
    &ALL
}

/// A row of the tables of functions.
pub(crate) type Row = (&'static str, i32, fn(&[ValueRef<'_>]) -> Answer);

/// The members of an ENUM or SET as one text: each with its length in bytes before it.
pub fn members_spec(members: &[String]) -> String {
    members.iter().map(|m| format!("{}:{m}", m.len())).collect()
}

/// Reads what [`members_spec`] wrote.
pub fn members(spec: &str) -> impl Iterator<Item = &str> {
    let mut rest = spec;
    std::iter::from_fn(move || {
        let (n, tail) = rest.split_once(':')?;
        let n: usize = n.parse().ok()?;
        let member = tail.get(..n)?;
        rest = &tail[n..];
        Some(member)
    })
}

/// A column as an argument of `p_assign`.
pub fn assign_spec(target: &ColumnTarget) -> String {
    system::encode_target(target)
}

/// True if an argument is NULL.
pub(crate) fn any_null(args: &[ValueRef<'_>]) -> bool {
    args.iter().any(|a| matches!(a, ValueRef::Null))
}

/// An argument as text; other classes give the empty text.
pub(crate) fn str_of<'a>(v: &ValueRef<'a>) -> &'a str {
    match v {
        ValueRef::Text(t) => t,
        ValueRef::Blob(b) => std::str::from_utf8(b).unwrap_or(""),
        _ => "",
    }
}

/// An argument as bytes.
pub(crate) fn bytes_of<'a>(v: &ValueRef<'a>) -> &'a [u8] {
    match v {
        ValueRef::Text(t) => t.as_bytes(),
        ValueRef::Blob(b) => b,
        _ => &[],
    }
}

/// An argument as an integer.
pub(crate) fn int_of(v: &ValueRef<'_>) -> i64 {
    match v {
        ValueRef::Int(i) => *i,
        ValueRef::Real(r) => *r as i64,
        ValueRef::Blob(_) => i64::MAX,
        _ => 0,
    }
}

/// The 64 bits of an integer argument.
pub(crate) fn bits_of(v: &ValueRef<'_>) -> u64 {
    match v {
        ValueRef::Blob(_) => convert::wide(*v).map_or(u64::MAX, |n| n as u64),
        v => int_of(v) as u64,
    }
}

/// An argument as a double.
pub(crate) fn real_of(v: &ValueRef<'_>) -> f64 {
    match v {
        ValueRef::Int(i) => *i as f64,
        ValueRef::Real(r) => *r,
        _ => 0.0,
    }
}

/// A text.
pub(crate) fn text(t: impl Into<String>) -> Answer {
    Ok(Value::Text(t.into()))
}

/// A truth value.
pub(crate) fn truth(b: bool) -> Answer {
    Ok(Value::Int(i64::from(b)))
}
