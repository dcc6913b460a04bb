//! What becomes of a column's values when its type changes (ALTER TABLE … MODIFY, CHANGE, CONVERT TO).
//!
//! Rows are not logged again: every node converts the values of the log by [`convert`] when it merges them, so what is
//! here belongs to the rules. It must not hang on a session: the time zone is UTC, sql_mode is empty or only strict. The
//! statement itself looks at the present rows with its session's sql_mode first ([`super::alter`]).

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::DateTime;
use p2pdb_model::types::{IntSize, SqlType};
use p2pdb_model::{Value, ValueRef};

use crate::error::SqlError;
use crate::execute::assign as execute;
use crate::execute::context::{self, Context};
use crate::execute::convert;
use crate::field::{FieldKind, FieldType};
use crate::functions::json;
use crate::plan::{ColumnTarget, NoteLevel};
use crate::session::SqlMode;
use crate::types::{Class, TypeCode};

/// Every value of `from` is the same in `to`.
pub fn keeps(from: &SqlType, to: &SqlType) -> bool {
    use SqlType::*;
    match (from, to) {
        (Int { size: a, unsigned: u, .. }, Int { size: b, unsigned: v, .. }) => {
            let ((low, high), (least, most)) = (a.range(*u), b.range(*v));
            // What is beyond 63 bits is stored in another form.
            let form = |size: &IntSize, unsigned: &bool| *size == IntSize::Big && *unsigned;
            least <= low && high <= most && (!form(a, u) || form(b, v))
        }
        (Bit { bits: a }, Bit { bits: b }) => a <= b,
        (
            Decimal { precision: p, scale: s, unsigned: u },
            Decimal { precision: q, scale: r, unsigned: v },
        ) => r >= s && q >= p && q - r >= p - s && (*u || !*v),
        (
            Float { unsigned: u, digits: a },
            Float { unsigned: v, digits: b } | Double { unsigned: v, digits: b },
        )
        | (Double { unsigned: u, digits: a }, Double { unsigned: v, digits: b }) => {
            (b.is_none() || a == b) && (*u || !*v)
        }
        (Char { chars: a, .. }, Char { chars: b, .. })
        | (Char { chars: a, .. } | VarChar { chars: a, .. }, VarChar { chars: b, .. }) => a <= b,
        (Char { chars: n, .. } | VarChar { chars: n, .. }, Text { size, .. }) => {
            u64::from(*n) * 4 <= size.bytes_max()
        }
        (Text { size: a, .. }, Text { size: b, .. }) | (Blob { size: a }, Blob { size: b }) => a <= b,
        (Binary { bytes: a }, Binary { bytes: b }) => a == b,
        (Binary { bytes: a } | VarBinary { bytes: a }, VarBinary { bytes: b }) => a <= b,
        (Binary { bytes: n } | VarBinary { bytes: n }, Blob { size }) => u64::from(*n) <= size.bytes_max(),
        (DateTime { fsp: a }, DateTime { fsp: b })
        | (Timestamp { fsp: a }, Timestamp { fsp: b })
        | (Time { fsp: a }, Time { fsp: b }) => a <= b,
        (Date, Date | DateTime { .. }) | (Year, Year) | (Json, Json) => true,
        (Enum { values: a, .. }, Enum { values: b, .. }) | (Set { values: a, .. }, Set { values: b, .. }) => {
            b.starts_with(a)
        }
        _ => false,
    }
}

/// A value in the stored form of `from` in that of `to`, and whether strict mode would have refused it. What becomes a date is
/// refused as MySQL's default sql_mode does (2000-03-00), what is one keeps its zeros.
pub fn convert(from: &SqlType, to: &SqlType, value: &Value) -> (Value, bool) {
    if value.is_null() {
        return (Value::Null, false);
    }
    let target = ColumnTarget { lenient_null: true, ..ColumnTarget::plain("", to.clone()) };
    let assigned = |sql_mode: SqlMode| {
        let outer = context::leave();
        context::enter(Context { sql_mode, ..Context::default() });
        let out = assign(from, &target, value.clone());
        context::leave();
        context::enter(outer);
        out
    };
    let zeros = match FieldType::of_column(from).class().has_date() {
        true => 0,
        false => SqlMode::NO_ZERO_DATE.0 | SqlMode::NO_ZERO_IN_DATE.0,
    };
    match assigned(SqlMode(SqlMode::STRICT_TRANS_TABLES.0 | zeros)) {
        Ok(v) => (v, false),
        Err(_) => (assigned(SqlMode(0)).unwrap_or(Value::Null), true),
    }
}

/// A value in the stored form of `from` for a column of another type, with the errors and warnings of the context.
///
/// # Errors
/// Those of assignments in strict mode; 3140 in any.
pub fn assign(from: &SqlType, target: &ColumnTarget, value: Value) -> Result<Value, SqlError> {
    let ty = FieldType::of_column(from);
    // A block may say anything.
    let ty = if has_form(&value, ty.class()) { ty } else { FieldType::of_plain(&value) };
    if value.is_null() {
        return Ok(value);
    }
    let row = context::read(|c| c.row);
    let wrong = |code, state, message: String| {
        if context::read(|c| c.sql_mode.strict() && !c.ignore) {
            return Err(SqlError::new(code, state, message));
        }
        context::warn(code, message);
        Ok(())
    };
    let out_of = |what: &str| format!("{what} for column '{}' at row {row}", target.name);
    match (ty.class(), &target.ty) {
        // Any value is JSON; text must be.
        (class, SqlType::Json) if class != Class::Text && class != Class::Json => {
            let (value, code) = match &ty.kind {
                FieldKind::Enum(m) => {
                    (as_text(convert::enum_text(m, int(&value))), TypeCode::of(Class::Text))
                }
                FieldKind::Set(m) => {
                    (as_text(&convert::set_text(m, ValueRef::from(&value))), TypeCode::of(Class::Text))
                }
                _ => (value, ty.code()),
            };
            Ok(Value::Text(json::from_sql(ValueRef::from(&value), code)?))
        }
        (Class::Bit, SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. }) => {
            execute::assign(value, &FieldType::uint(), target)
        }
        (Class::DateTime | Class::Timestamp, SqlType::Date | SqlType::Int { .. }) => {
            // The fraction counts.
            let rounded = DateTime::unpack(int(&value)).rounded(0).map_or(value, |t| Value::Int(t.pack()));
            execute::assign(rounded, &FieldType { decimals: 0, ..ty }, target)
        }
        (class, SqlType::Year) if class.has_date() => {
            wrong(1264, "22003", out_of("Out of range value"))?;
            Ok(Value::Int(0))
        }
        (Class::Text, SqlType::VarChar { chars, .. }) if matches!(from, SqlType::VarChar { .. }) => {
            let Value::Text(t) = value else { return Ok(value) };
            let Some((end, _)) = t.char_indices().nth(*chars as usize) else { return Ok(Value::Text(t)) };
            wrong(1265, "01000", out_of("Data truncated"))?;
            Ok(Value::Text(t[..end].to_owned()))
        }
        (Class::Bytes, SqlType::VarBinary { bytes }) if matches!(from, SqlType::VarBinary { .. }) => {
            let Value::Blob(mut b) = value else { return Ok(value) };
            if b.len() > *bytes as usize {
                wrong(1265, "01000", out_of("Data truncated"))?;
                b.truncate(*bytes as usize);
            }
            Ok(Value::Blob(b))
        }
        (
            Class::Json,
            SqlType::Int { .. } | SqlType::Decimal { .. } | SqlType::Bit { .. } | SqlType::Year,
        ) if matches!(&value, Value::Text(t) if t.starts_with(['{', '['])) => {
            let Value::Text(t) = &value else { return Ok(value) };
            wrong(1366, "HY000", out_of(&format!("Incorrect integer value: '{t}'")))?;
            Ok(execute::implicit_default(&target.ty))
        }
        (Class::Text, SqlType::Bit { .. }) => {
            let Value::Text(t) = &value else { return Ok(value) };
            let number = t.trim().parse::<u64>();
            if number.is_err() {
                wrong(1292, "22007", format!("Truncated incorrect INTEGER value: '{t}'"))?;
            }
            let number = Value::from_u64(number.unwrap_or(0));
            execute::assign(number, &FieldType::uint(), target)
        }
        (Class::Real | Class::Float, SqlType::Decimal { .. }) => {
            // Unlike an assignment this tells what it rounds.
            let before = context::read(|c| c.warning_count);
            let new = execute::assign(value.clone(), &ty, target)?;
            if let (Value::Real(r), Value::Blob(b)) = (&value, &new)
                && context::read(|c| c.warning_count) == before
                && Decimal::decode(b).is_some_and(|d| d.to_f64() != *r)
            {
                context::note(NoteLevel::Note, 1265, out_of("Data truncated"));
            }
            Ok(new)
        }
        _ => execute::assign(value, &ty, target),
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        _ => 0,
    }
}

fn as_text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn has_form(value: &Value, class: Class) -> bool {
    use Class::*;
    match ValueRef::from(value) {
        ValueRef::Null => true,
        ValueRef::Int(_) => {
            matches!(class, Int | UInt | Date | DateTime | Timestamp | Time | Year | Bit | Enum | Set)
        }
        ValueRef::Real(_) => matches!(class, Real | Float),
        ValueRef::Text(_) => matches!(class, Text | Json),
        ValueRef::Blob(b) => match class {
            Decimal => p2pdb_model::decimal::Decimal::decode(b).is_some(),
            UInt | Bit | Set => b.len() == 8,
            Bytes => true,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use p2pdb_model::types::{Collation, LobSize};

    use super::*;

    fn types() -> Vec<SqlType> {
        let int = |size, unsigned| SqlType::Int { size, unsigned, width: None, zerofill: false };
        let text = Collation::Utf8mb4_0900AiCi;
        vec![
            int(IntSize::Tiny, false),
            int(IntSize::Int, false),
            int(IntSize::Big, true),
            SqlType::Decimal { precision: 10, scale: 2, unsigned: false },
            SqlType::Double { unsigned: false, digits: None },
            SqlType::Float { unsigned: false, digits: None },
            SqlType::Char { chars: 5, collation: text },
            SqlType::VarChar { chars: 5, collation: text },
            SqlType::Text { size: LobSize::Tiny, collation: text },
            SqlType::Binary { bytes: 4 },
            SqlType::VarBinary { bytes: 4 },
            SqlType::Date,
            SqlType::DateTime { fsp: 3 },
            SqlType::Timestamp { fsp: 0 },
            SqlType::Time { fsp: 6 },
            SqlType::Year,
            SqlType::Bit { bits: 8 },
            SqlType::Enum { values: vec!["a".to_owned(), "b".to_owned()], collation: text },
            SqlType::Set { values: vec!["a".to_owned(), "b".to_owned()], collation: text },
            SqlType::Json,
        ]
    }

    /// Blocks of others may hold values that no column of their type has.
    #[test]
    fn any_value_becomes_one_that_the_new_type_can_hold() {
        let values = [
            Value::Null,
            Value::Int(-1),
            Value::Int(i64::MAX),
            Value::Real(1e300),
            Value::Text("2020-01-31 10:00:00 ü".to_owned()),
            Value::Text(String::new()),
            Value::Blob(vec![0xff; 8]),
            Value::Blob(vec![1, 2, 3]),
            Value::Blob(Vec::new()),
        ];
        for from in types() {
            for to in types() {
                for v in &values {
                    let (new, _) = convert(&from, &to, v);
                    let class = FieldType::of_column(&to).class();
                    assert!(has_form(&new, class), "{v:?} from {from:?} to {to:?} is {new:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_what_conversion_leaves_alone() {
        let samples = |ty: &SqlType| match ty {
            SqlType::Int { .. } => vec![Value::Int(1), Value::Int(127)],
            SqlType::VarChar { .. } | SqlType::Text { .. } => vec![Value::Text("ab ".to_owned())],
            SqlType::Char { .. } => vec![Value::Text("ab".to_owned())],
            SqlType::Year => vec![Value::Int(2020)],
            SqlType::Enum { .. } | SqlType::Bit { .. } => vec![Value::Int(2)],
            SqlType::Double { .. } | SqlType::Float { .. } => vec![Value::Real(1.5)],
            _ => Vec::new(),
        };
        for from in types() {
            for to in types().iter().filter(|to| keeps(&from, to)) {
                for v in samples(&from) {
                    assert_eq!(convert(&from, to, &v), (v.clone(), false), "{from:?} to {to:?}");
                }
            }
        }
    }
}
