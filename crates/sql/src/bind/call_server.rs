//! Functions for looking at how the server works: BENCHMARK, NAME_CONST and WEIGHT_STRING.

use sqlparser::ast::{Expr, UnaryOperator, Value as Ast};

use super::compare::strip;
use super::{Binder, Bound};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::types::Class;
use p2pdb_model::Value;
use p2pdb_model::types::Collation;

/// Characters that WEIGHT_STRING fills a text up to, at most.
const FILLED_CHARS_MAX: i64 = 16 * 1024 * 1024;

/// The key of a number, bytes.
const KEY_BYTES: u32 = 8;

impl Binder<'_> {
    /// BENCHMARK(n, x): x is evaluated n times, one after the other, in a loop of SQLite's that a KILL or a time limit ends. A
    /// value that is the same each time would be computed once, so that each literal waits for the number of the round; a
    /// subquery of its own is computed once, as in MySQL.
    pub(super) fn benchmark(&mut self, count: &Bound, x: &Bound) -> String {
        let n = self.to(count, &FieldType::int());
        let (n, x) = (self.sql(&n), self.sql(x));
        self.aliases += 1;
        let round = format!("b{}", self.aliases);
        let x = if x.contains("SELECT") { x } else { each_round(&x, &format!("{round}.i")) };
        format!(
            "(WITH RECURSIVE {round}(i) AS (SELECT p_rounds({n}) UNION ALL SELECT i-1 FROM {round} WHERE i>1) \
             SELECT CASE WHEN min(i) IS NULL THEN NULL ELSE 0*count(CASE WHEN i>0 THEN {x} END) END FROM {round})"
        )
    }

    /// NAME_CONST(name, value): the value, which must be a constant; the name is the column's (see [`given_name`]).
    pub(super) fn name_const(&mut self, name: &Expr, value: &Expr) -> Result<(), SqlError> {
        let wrong = || SqlError::new(1210, "HY000", "Incorrect arguments to NAME_CONST");
        if !is_constant(value) {
            return Err(wrong());
        }
        match strip(name) {
            Expr::Value(v) if v.value == Ast::Null => Err(SqlError::new(
                1382,
                "HY000",
                "The 'NAME_CONST' syntax is reserved for purposes internal to the MySQL server",
            )),
            Expr::Value(v) if !matches!(v.value, Ast::Placeholder(_)) => {
                self.literal_value(v)?;
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    /// WEIGHT_STRING of a value, or of a text that is cut or filled to so many characters.
    pub(super) fn weight_string(&mut self, args: &[Bound]) -> Result<Bound, SqlError> {
        let (a, chars) = match args {
            [a] => (a, None),
            [a, length, chars, flags] => {
                let mut number = |b: &Bound| self.constant_int(b).filter(|n| *n >= 0);
                let (Some(_), Some(n), Some(_)) = (number(length), number(chars), number(flags)) else {
                    return Err(SqlError::syntax(")", 1));
                };
                (a, (n > 0).then_some(n.min(FILLED_CHARS_MAX)))
            }
            _ => return Err(SqlError::syntax(")", 1)),
        };
        let value = match a.class() {
            Class::Json => self.text_of(a),
            Class::Enum => self.to(a, &FieldType::int()),
            Class::Set | Class::Bit => self.to(a, &FieldType::uint()),
            Class::Text | Class::Bytes | Class::Int | Class::UInt | Class::Null => a.clone(),
            class if class.is_temporal() => {
                return Err(SqlError::unsupported("WEIGHT_STRING of a date or time"));
            }
            _ => self.constant_null(),
        };
        let collation = value.ty.collation;
        let length = match (value.class(), collation) {
            (Class::Text, Collation::Binary | Collation::Utf8mb4_0900Bin) => {
                value.ty.text_length().saturating_mul(4)
            }
            (Class::Text, Collation::Utf8mb4GeneralCi) => value.ty.text_length().saturating_mul(8),
            (Class::Text, Collation::Utf8mb4Bin) => value.ty.text_length().saturating_mul(12),
            (Class::Text, _) => value.ty.text_length().saturating_mul(32),
            (Class::Bytes, _) => value.ty.text_length(),
            _ => value.ty.length,
        };
        let unsigned = value.class() == Class::UInt;
        let sql = self.sql(&value);
        let sql = match unsigned {
            true => format!("p_weight_unsigned({sql})"),
            false => format!("p_weight_string({sql},{},{})", chars.unwrap_or(-1), collation.id()),
        };
        Ok(Bound::new(sql, FieldType::bytes(length.max(KEY_BYTES))))
    }

    fn constant_null(&mut self) -> Bound {
        let null = self.constant(Value::Null);
        Bound::new(null, FieldType::null())
    }
}

/// What the column of this expression is called, where the expression says it.
pub(super) fn given_name(e: &Expr) -> Option<String> {
    let Expr::Function(f) = strip(e) else { return None };
    let is = matches!(f.name.0.as_slice(), [only] if only.as_ident().is_some_and(|i| i.value.eq_ignore_ascii_case("name_const")));
    let sqlparser::ast::FunctionArguments::List(list) = &f.args else { return None };
    let first = match list.args.first()? {
        sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(e)) if is => strip(e),
        _ => return None,
    };
    let Expr::Value(v) = first else { return None };
    Some(match &v.value {
        Ast::SingleQuotedString(s) | Ast::DoubleQuotedString(s) | Ast::NationalStringLiteral(s) => s.clone(),
        Ast::Boolean(b) => u8::from(*b).to_string(),
        other => other.to_string(),
    })
}

/// A literal, with a sign or a collation.
fn is_constant(e: &Expr) -> bool {
    match strip(e) {
        Expr::Value(v) => !matches!(v.value, Ast::Placeholder(_) | Ast::Boolean(_)),
        Expr::Prefixed { value, .. } => is_constant(value),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        Expr::Collate { expr, .. } => is_constant(expr),
        _ => false,
    }
}

/// The same SQL, whose parameters depend on this column.
fn each_round(sql: &str, column: &str) -> String {
    let mut out = String::with_capacity(sql.len() * 2);
    let mut quoted = None;
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        match quoted {
            Some(q) if q == c => quoted = None,
            None if matches!(c, '\'' | '"' | '`') => quoted = Some(c),
            None if c == '?' => {
                out += &format!("(CASE WHEN {column} THEN ?");
                while let Some(d) = rest.next_if(char::is_ascii_digit) {
                    out.push(d);
                }
                out += " END)";
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}
