//! The rows of JSON_TABLE (MySQL 8.0 manual, "JSON Table Functions").
//!
//! `p_json_table(document, description)` gives them as `p_rows` does: an array of texts that `p_cell` takes apart. The
//! description is made by the binder ([`Columns::describe`]) and read here once per statement.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::types::{IntSize, SqlType};
use p2pdb_model::{Value, ValueRef};
use serde_json::{Value as Json, json};

use super::path::Path;
use super::write;
use crate::error::SqlError;
use crate::execute::{assign, context};
use crate::field::FieldType;
use crate::functions::aggregate::Accumulator;
use crate::functions::rows::Rows;
use crate::functions::system::{decode_target, encode_target};
use crate::functions::{Answer, str_of};
use crate::plan::ColumnTarget;

/// What a column gives where there is nothing, or nothing that fits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Otherwise {
    /// NULL.
    Null,
    /// ERROR.
    Error,
    /// DEFAULT: a JSON text.
    Default(String),
}

/// What a column shows.
#[derive(Clone, Debug)]
pub(crate) enum Shows {
    /// FOR ORDINALITY.
    Ordinality,
    /// EXISTS PATH.
    Exists(String, Arc<ColumnTarget>),
    /// PATH.
    Path { path: String, target: Arc<ColumnTarget>, on_empty: Otherwise, on_error: Otherwise },
}

/// The columns of one path, each at its place among all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) path: String,
    pub(crate) own: Vec<(usize, Shows)>,
    pub(crate) nested: Vec<Columns>,
}

impl Columns {
    /// As text.
    pub(crate) fn describe(&self) -> String {
        self.to_json().to_string()
    }

    fn to_json(&self) -> Json {
        let otherwise = |o: &Otherwise| match o {
            Otherwise::Null => json!(0),
            Otherwise::Error => json!(1),
            Otherwise::Default(text) => json!(text),
        };
        let own = self.own.iter().map(|(place, shows)| match shows {
            Shows::Ordinality => json!([place]),
            Shows::Exists(path, target) => json!([place, path, encode_target(target)]),
            Shows::Path { path, target, on_empty, on_error } => {
                json!([place, path, encode_target(target), otherwise(on_empty), otherwise(on_error)])
            }
        });
        let (own, nested): (Vec<Json>, Vec<Json>) =
            (own.collect(), self.nested.iter().map(Columns::to_json).collect());
        json!([self.path, own, nested])
    }
}

// ---- reading it

enum Fallback {
    Null,
    Error,
    Is(Json),
}

enum Kind {
    Ordinality,
    Exists(Path, ColumnTarget),
    Path(Path, ColumnTarget, Fallback, Fallback),
}

/// A description as it was read.
struct Level {
    path: Path,
    own: Vec<(usize, Kind)>,
    nested: Vec<Level>,
    /// Columns, with those of nested paths.
    count: usize,
}

fn read(j: &Json) -> Option<Level> {
    let path = |j: &Json| Path::parse(j.as_str()?).ok();
    let target = |j: &Json| decode_target(j.as_str()?);
    let otherwise = |j: &Json| match j {
        Json::String(text) => serde_json::from_str(text).map(Fallback::Is).ok(),
        Json::Number(n) if n.as_u64() == Some(1) => Some(Fallback::Error),
        _ => Some(Fallback::Null),
    };
    let [at, own, nested] = j.as_array()?.as_slice() else { return None };
    let own = own.as_array()?.iter().map(|c| {
        let c = c.as_array()?;
        let place = c.first()?.as_u64()? as usize;
        let kind = match c.as_slice() {
            [_] => Kind::Ordinality,
            [_, p, t] => Kind::Exists(path(p)?, target(t)?),
            [_, p, t, empty, error] => Kind::Path(path(p)?, target(t)?, otherwise(empty)?, otherwise(error)?),
            _ => return None,
        };
        Some((place, kind))
    });
    let own: Vec<(usize, Kind)> = own.collect::<Option<_>>()?;
    let nested: Vec<Level> = nested.as_array()?.iter().map(read).collect::<Option<_>>()?;
    let count = own.len() + nested.iter().map(|l| l.count).sum::<usize>();
    Some(Level { path: path(at)?, own, nested, count })
}

thread_local! {
    /// The description that was read last.
    static READ: RefCell<Option<(String, Rc<Level>)>> = const { RefCell::new(None) };
}

fn level(spec: &str) -> Option<Rc<Level>> {
    READ.with(|r| {
        let mut r = r.borrow_mut();
        match &*r {
            Some((s, level)) if s == spec => Some(level.clone()),
            _ => {
                let level = Rc::new(read(&serde_json::from_str(spec).ok()?)?);
                *r = Some((spec.to_owned(), level.clone()));
                Some(level)
            }
        }
    })
}

// ---- making rows

/// (document, description)
pub(super) fn rows(a: &[ValueRef<'_>]) -> Answer {
    let document = super::doc(&a[0])?;
    let broken = || SqlError::new(1815, "HY000", "Internal error: the columns of JSON_TABLE cannot be read");
    let level = level(str_of(&a[1])).ok_or_else(broken)?;
    let mut rows = Rows::default();
    let mut found = Vec::new();
    level.path.find(&document, &mut found);
    let mut made = 0;
    for (n, node) in found.into_iter().enumerate() {
        level.fill(node, n + 1, &mut vec![Value::Null; level.count], &mut made, &mut rows)?;
    }
    rows.value()
}

impl Level {
    /// The rows of one node: one at least, more where nested paths find several.
    fn fill(
        &self,
        node: &Json,
        ordinal: usize,
        row: &mut [Value],
        made: &mut usize,
        out: &mut Rows,
    ) -> Result<(), SqlError> {
        for (place, kind) in &self.own {
            row[*place] = match kind {
                Kind::Ordinality => Value::Int(ordinal as i64),
                Kind::Exists(path, target) => {
                    let mut found = Vec::new();
                    path.find(node, &mut found);
                    let truth = Json::from(u8::from(!found.is_empty()));
                    store(&truth, target).unwrap_or(Value::Null)
                }
                Kind::Path(path, target, on_empty, on_error) => {
                    let mut found = Vec::new();
                    path.find(node, &mut found);
                    cell(&found, target, on_empty, on_error, *made + 1)?
                }
            };
        }
        let mut any = false;
        for nested in &self.nested {
            let mut found = Vec::new();
            nested.path.find(node, &mut found);
            for (n, node) in found.into_iter().enumerate() {
                any = true;
                nested.fill(node, n + 1, &mut row.to_vec(), made, out)?;
            }
        }
        if !any {
            *made += 1;
            let cells: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
            out.step(&cells)?;
        }
        Ok(())
    }
}

/// Why a value does not fit.
enum Unfit {
    /// An array or object.
    Compound,
    /// Not of this kind.
    Kind(&'static str),
    /// Too large, too long, no date.
    Range,
}

fn cell(
    found: &[&Json],
    target: &ColumnTarget,
    on_empty: &Fallback,
    on_error: &Fallback,
    row: usize,
) -> Answer {
    let stored = match found {
        [] => match on_empty {
            Fallback::Null => return Ok(Value::Null),
            Fallback::Error => {
                let message = format!("Missing value for JSON_TABLE column '{}'", target.name);
                return Err(SqlError::new(3665, "22035", message));
            }
            Fallback::Is(j) => store(j, target),
        },
        [one] => store(one, target),
        // Several are an array, which only a JSON column holds.
        many => store(&Json::Array(many.iter().map(|j| (*j).clone()).collect()), target),
    };
    let unfit = match stored {
        Ok(v) => return Ok(v),
        Err(unfit) => unfit,
    };
    let name = &target.name;
    match on_error {
        Fallback::Null => Ok(Value::Null),
        Fallback::Is(j) => Ok(store(j, target).unwrap_or(Value::Null)),
        Fallback::Error => Err(match unfit {
            Unfit::Compound => SqlError::new(
                3666,
                "2203F",
                format!("Can't store an array or an object in the scalar JSON_TABLE column '{name}'"),
            ),
            Unfit::Kind(kind) => SqlError::new(
                3156,
                "22018",
                format!("Invalid JSON value for CAST to {kind} from column {name} at row {row}"),
            ),
            Unfit::Range => SqlError::new(
                3669,
                "22003",
                format!("Value is out of range for JSON_TABLE's column '{name}'"),
            ),
        }),
    }
}

/// A JSON value as a column of this description keeps it, NULL where it does not.
pub(super) fn stored(j: &Json, column: &str) -> Value {
    decode_target(column).and_then(|target| store(j, &target).ok()).unwrap_or(Value::Null)
}

/// A JSON value as the column keeps it.
fn store(j: &Json, target: &ColumnTarget) -> Result<Value, Unfit> {
    if j.is_null() {
        return Ok(Value::Null);
    }
    if target.ty == SqlType::Json {
        return Ok(Value::Text(write(j)));
    }
    if matches!(j, Json::Array(_) | Json::Object(_)) {
        return Err(Unfit::Compound);
    }
    match &target.ty {
        SqlType::Int { size, unsigned, .. } => integer(j, *size, *unsigned),
        SqlType::Float { .. } | SqlType::Double { .. } => {
            let number = match j {
                Json::String(s) => s.parse().map_err(|_| Unfit::Kind("DOUBLE"))?,
                j => number(j),
            };
            fitted(Value::Real(number), &FieldType::double(), target)
        }
        SqlType::Decimal { .. } => {
            let text = match j {
                Json::String(s) => match s.trim().parse::<f64>() {
                    Ok(_) => s.trim().to_owned(),
                    Err(_) => return Err(Unfit::Kind("DECIMAL")),
                },
                Json::Bool(b) => u8::from(*b).to_string(),
                j => write(j),
            };
            plain_text(text, target)
        }
        SqlType::Year | SqlType::Bit { .. } if !j.is_string() => {
            let Value::Int(n) = integer(j, IntSize::Big, false)? else { return Err(Unfit::Range) };
            fitted(Value::Int(n), &FieldType::int(), target)
        }
        _ => plain_text(
            match j {
                Json::String(s) => s.clone(),
                j => write(j),
            },
            target,
        ),
    }
}

fn number(j: &Json) -> f64 {
    match j {
        Json::Bool(b) => f64::from(u8::from(*b)),
        j => j.as_f64().unwrap_or(0.0),
    }
}

fn integer(j: &Json, size: IntSize, unsigned: bool) -> Result<Value, Unfit> {
    let n: i128 = match j {
        Json::String(s) => s.parse().map_err(|_| Unfit::Kind("INTEGER"))?,
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => n.into(),
            (_, Some(n)) => n.into(),
            _ => number(j).round_ties_even() as i128,
        },
        j => number(j) as i128,
    };
    let bits = match size {
        IntSize::Tiny => 8,
        IntSize::Small => 16,
        IntSize::Medium => 24,
        IntSize::Int => 32,
        IntSize::Big => 64,
    };
    let (min, max) =
        if unsigned { (0, (1i128 << bits) - 1) } else { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) };
    if !(min..=max).contains(&n) {
        return Err(Unfit::Range);
    }
    Ok(if unsigned { Value::from_u64(n as u64) } else { Value::Int(n as i64) })
}

fn plain_text(text: String, target: &ColumnTarget) -> Result<Value, Unfit> {
    let ty = FieldType::text(text.chars().count() as u32, p2pdb_model::types::Collation::Utf8mb4Bin);
    fitted(Value::Text(text), &ty, target)
}

/// What an assignment to such a column makes of it, unless it complains.
fn fitted(value: Value, from: &FieldType, target: &ColumnTarget) -> Result<Value, Unfit> {
    let before = context::read(|c| c.warning_count);
    let stored = context::ignoring(|| assign(value, from, target));
    // A fraction that is rounded is a note.
    let complained = context::read(|c| {
        let new = usize::try_from(c.warning_count.saturating_sub(before)).unwrap_or(usize::MAX);
        c.warnings.iter().rev().take(new).any(|n| n.level != crate::plan::NoteLevel::Note)
    });
    context::drop_warnings_since(before);
    match stored {
        Ok(v) if !complained => Ok(v),
        _ => Err(Unfit::Range),
    }
}
