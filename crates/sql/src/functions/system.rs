//! Functions that the binder puts in by itself: conversions, assignments, checks.

use std::cell::RefCell;
use std::sync::Arc;

use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};
use p2pdb_model::{CellKind, Value, ValueRef};

use super::{Answer, Row, any_null, bytes_of, int_of, members, str_of};
use crate::error::SqlError;
use crate::execute::{assign, context, convert};
use crate::field::{FieldKind, FieldType};
use crate::plan::ColumnTarget;
use crate::types::{Class, TypeCode};

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_cv", 3, |a| convert::convert(a[0], TypeCode::unpack(int_of(&a[1])), TypeCode::unpack(int_of(&a[2])))),
    // The same without a word: a TEXT or BLOB column as a number.
    ("p_cv_quietly", 3, |a| {
        let before = context::read(|c| c.warning_count);
        let (from, to) = (TypeCode::unpack(int_of(&a[1])), TypeCode::unpack(int_of(&a[2])));
        let converted = context::ignoring(|| convert::convert(a[0], from, to));
        context::drop_warnings_since(before);
        converted
    }),
    ("p_assign", 3, assign_column),
    // How often BENCHMARK evaluates its expression.
    ("p_rounds", 1, |a| match a[0] {
        ValueRef::Int(n) if n < 0 => {
            context::warn(1411, format!("Incorrect count value: '{n}' for function benchmark"));
            Ok(Value::Null)
        }
        n => Ok(n.to_value()),
    }),
    ("p_convert", 3, convert_column),
    // A value on its way into a unique key, and (place of a column, value) of what else belongs to the key.
    ("p_seen", -1, |a| {
        for pair in a.chunks_exact(2) {
            context::seen(int_of(&pair[0]) as usize, pair[1].to_value());
        }
        Ok(a[1].to_value())
    }),
    ("p_enum", 2, |a| {
        Ok(match a[0] {
            ValueRef::Int(i) => {
                let n = usize::try_from(i - 1).ok();
                Value::Text(n.and_then(|n| members(str_of(&a[1])).nth(n)).unwrap_or("").to_owned())
            }
            _ => Value::Null,
        })
    }),
    ("p_set", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let all: Vec<String> = members(str_of(&a[1])).map(str::to_owned).collect();
        Ok(Value::Text(convert::set_text(&all, a[0])))
    }),
    ("p_hexnum", 1, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let b = bytes_of(&a[0]);
        let b = &b[b.len().saturating_sub(8)..];
        Ok(Value::from_u64(b.iter().fold(0, |n, b| n << 8 | u64::from(*b))))
    }),
    ("p_cast_int", 4, cast_int),
    ("p_depth", 1, |a| {
        let depth = int_of(&a[0]) + 1;
        let max = context::read(|c| c.cte_depth_max);
        if depth as u64 > max {
            return Err(SqlError::new(
                3636,
                "HY000",
                format!(
                    "Recursive query aborted after {} iterations. Try increasing @@cte_max_recursion_depth to a larger \
                     value.",
                    max + 1
                ),
            ));
        }
        Ok(Value::Int(depth))
    }),
    // A cell of a row of `p_rows`.
    ("p_cell", 2, |a| Ok(super::rows::cell(str_of(&a[0]), int_of(&a[1])))),
    ("p_rand", 1, |a| {
        Ok(Value::Real((random_bits(int_of(&a[0]) as u64) >> 11) as f64 / (1u64 << 53) as f64))
    }),
    ("p_rand_of", 3, |a| Ok(Value::Real(rand_of(int_of(&a[0]), int_of(&a[1]), int_of(&a[2]) == 1)))),
    // (name, type, value before the statement)
    ("p_variable", 3, |a| {
        let to = TypeCode::unpack(int_of(&a[1]));
        match context::variable(str_of(&a[0])) {
            Some((v, from)) => convert::convert(ValueRef::from(&v), from, to),
            None => Ok(a[2].to_value()),
        }
    }),
    // (name, value, type)
    ("p_set_variable", 3, |a| {
        context::set_variable(str_of(&a[0]), a[1].to_value(), TypeCode::unpack(int_of(&a[2])));
        Ok(a[1].to_value())
    }),
    ("p_last_insert_id", 1, |a| {
        let id = if any_null(a) { 0 } else { int_of(&a[0]) as u64 };
        context::set_last_insert_id(id);
        Ok(if any_null(a) { Value::Null } else { Value::from_u64(id) })
    }),
    // An integer, or the first double past which each bound is.
    ("p_interval", -1, |a| {
        let at = |v: &ValueRef<'_>| match v {
            ValueRef::Int(i) => Some(*i as f64),
            ValueRef::Real(r) => Some(*r),
            _ => None,
        };
        let below = |x: &ValueRef<'_>, bound: &ValueRef<'_>| match (x, bound) {
            (ValueRef::Int(x), ValueRef::Int(b)) => x < b,
            _ => at(x).zip(at(bound)).is_some_and(|(x, b)| x < b),
        };
        let Some((x, bounds)) = a.split_first() else { return Ok(Value::Null) };
        if matches!(x, ValueRef::Null) {
            return Ok(Value::Int(-1));
        }
        let found = bounds.iter().position(|b| below(x, b)).unwrap_or(bounds.len());
        Ok(Value::Int(found as i64))
    }),
    ("p_row", 1, |a| {
        context::set_row(int_of(&a[0]) as u64);
        Ok(Value::Int(1))
    }),
    ("p_uuid", 1, |a| {
        let seed = hash_text(str_of(&a[0]));
        let n = (random_bits(seed), random_bits(seed));
        let mut b = [0; 16];
        b[..8].copy_from_slice(&n.0.to_be_bytes());
        b[8..].copy_from_slice(&n.1.to_be_bytes());
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let h = p2pdb_model::ids::hex(&b);
        super::text(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
    }),
];

fn cast_int(a: &[ValueRef<'_>]) -> Answer {
    let from = TypeCode::unpack(int_of(&a[1]));
    let unsigned = int_of(&a[2]) == 1;
    let Some(n) = convert::to_wide(a[0], from)? else { return Ok(Value::Null) };
    if matches!(from.class, Class::Real | Class::Float) {
        return cast_double(n, unsigned, || convert::shown(a[0], from), int_of(&a[3]));
    }
    // Text and integers wrap around; other numbers are cut to the range.
    let wraps = matches!(
        from.class,
        Class::Text | Class::Bytes | Class::Int | Class::UInt | Class::Bit | Class::Null | Class::Json
    );
    let (min, max) =
        if unsigned { (0, i128::from(u64::MAX)) } else { (i128::from(i64::MIN), i128::from(i64::MAX)) };
    if wraps && (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&n) {
        return Ok(if unsigned { Value::from_u64(n as u64) } else { Value::Int(n as u64 as i64) });
    }
    // A negative number wraps around behind the point as well.
    if unsigned && n < 0 && n >= i128::from(i64::MIN) && from.class == Class::Decimal {
        return Ok(Value::from_u64(n as i64 as u64));
    }
    let cut = n.clamp(min, max);
    if cut != n {
        let shown = convert::shown(a[0], from);
        let kind = if from.class == Class::Decimal { "DECIMAL" } else { "INTEGER" };
        context::warn(1292, format!("Truncated incorrect {kind} value: '{shown}'"));
    }
    Ok(if unsigned { Value::from_u64(cut as u64) } else { Value::Int(cut as i64) })
}

/// A rounded double as an integer: also UNSIGNED ones hold the range of signed ones, below zero from the other end.
/// `beyond` says what becomes of others, as `Beyond` in `bind/cast.rs` counts.
fn cast_double(n: i128, unsigned: bool, shown: impl Fn() -> String, beyond: i64) -> Answer {
    let cut = n.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    if i128::from(cut) != n {
        match beyond {
            0 => {}
            1 => context::warn(1292, format!("Truncated incorrect INTEGER value: '{}'", shown())),
            _ => return Err(convert::out_of_range("BIGINT", &shown())),
        }
    }
    Ok(if unsigned { Value::from_u64(cut as u64) } else { Value::Int(cut) })
}

thread_local! {
    /// (seed of the call, state): the sequences of RAND() and UUID(), the newest last.
    static RANDOM: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
    /// The column that `p_assign` met last.
    static TARGET: RefCell<Option<(String, Arc<ColumnTarget>)>> = const { RefCell::new(None) };
    /// The column that `p_convert` met last, as it was.
    static SOURCE: RefCell<Option<(String, Arc<ColumnTarget>)>> = const { RefCell::new(None) };
}

/// Sequences of random numbers that are remembered: calls of RAND() and UUID() in a statement.
const SEQUENCES_MAX: usize = 256;

/// SplitMix64 (Steele, Lea, Flood 2014): the next number of the sequence that began with this seed.
pub(super) fn random_bits(seed: u64) -> u64 {
    RANDOM.with(|r| {
        let mut all = r.borrow_mut();
        let at = all.iter().rposition(|s| s.0 == seed).unwrap_or_else(|| {
            if all.len() >= SEQUENCES_MAX {
                all.remove(0);
            }
            all.push((seed, seed));
            all.len() - 1
        });
        let state = &mut all[at].1;
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    })
}

/// The next number of RAND(seed): MySQL's generator, so that a seed gives MySQL's numbers. Each call of the statement
/// has its own sequence, which begins once where the seed is constant, else with each row.
fn rand_of(call: i64, seed: i64, constant: bool) -> f64 {
    const MAX: u64 = 0x3fff_ffff;
    let begin = || {
        let seed = seed as u32;
        let first = seed.wrapping_mul(0x10001).wrapping_add(55_555_555);
        (u64::from(first) % MAX, u64::from(seed.wrapping_mul(0x1000_0001)) % MAX)
    };
    let old = if constant { context::random_state(call) } else { None };
    let (first, second) = old.unwrap_or_else(begin);
    let first = (first * 3 + second) % MAX;
    let second = (first + second + 33) % MAX;
    context::set_random_state(call, (first, second));
    first as f64 / MAX as f64
}

fn hash_text(t: &str) -> u64 {
    t.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn assign_column(a: &[ValueRef<'_>]) -> Answer {
    let from = TypeCode::unpack(int_of(&a[1]));
    let target = remembered(&TARGET, str_of(&a[2]))?;
    assign::assign(a[0].to_value(), &type_of_code(from), &target)
}

/// A value in another type of its column: (value, the old type, the new one).
fn convert_column(a: &[ValueRef<'_>]) -> Answer {
    let (from, to) = (remembered(&SOURCE, str_of(&a[1]))?, remembered(&TARGET, str_of(&a[2]))?);
    crate::ddl::conversion::assign(&from.ty, &to, a[0].to_value())
}

type Remembered = std::thread::LocalKey<std::cell::RefCell<Option<(String, Arc<ColumnTarget>)>>>;

/// A column from its text; the last one is remembered.
fn remembered(place: &'static Remembered, spec: &str) -> Result<Arc<ColumnTarget>, SqlError> {
    let target = place.with(|t| {
        let mut t = t.borrow_mut();
        match &*t {
            Some((s, target)) if s == spec => Some(target.clone()),
            _ => {
                let target = Arc::new(decode_target(spec)?);
                *t = Some((spec.to_owned(), target.clone()));
                Some(target)
            }
        }
    });
    target.ok_or_else(|| {
        SqlError::new(1815, "HY000", "Internal error: the target of an assignment cannot be read")
    })
}

/// A full type of this code, as far as conversions look at it.
fn type_of_code(code: TypeCode) -> FieldType {
    let mut ty = match code.class {
        Class::Null => FieldType::null(),
        Class::Int => FieldType::int(),
        Class::UInt => FieldType::uint(),
        Class::Real => FieldType::double(),
        Class::Float => FieldType { kind: FieldKind::Float, ..FieldType::double() },
        Class::Decimal => FieldType::decimal(65, 30),
        Class::Text => FieldType::text(65_535, Collation::Utf8mb4_0900AiCi),
        Class::Bytes => FieldType::bytes(65_535),
        Class::Date => FieldType::date(),
        Class::DateTime => FieldType::datetime(6),
        Class::Timestamp => FieldType { kind: FieldKind::Timestamp, ..FieldType::datetime(6) },
        Class::Time => FieldType::time(6),
        Class::Year => FieldType::of_column(&SqlType::Year),
        Class::Bit => FieldType::of_column(&SqlType::Bit { bits: code.width.max(1) }),
        Class::Enum | Class::Set => FieldType::uint(),
        Class::Json => FieldType::json(),
    };
    ty.decimals = code.decimals;
    ty.zerofill = code.zerofill;
    if code.width > 0 {
        ty.length = u32::from(code.width);
    }
    ty
}

/// Writes a column as text: fields separated by NUL, its name last but the members.
pub(crate) fn encode_target(t: &ColumnTarget) -> String {
    let flags = u8::from(t.nullable)
        | u8::from(t.auto_increment) << 1
        | u8::from(t.lenient_null) << 2
        | u8::from(t.quiet) << 3
        | match t.cell {
            CellKind::Set => 16,
            CellKind::Map => 32,
            _ => 0,
        };
    let (kind, a, b, c): (&str, u64, u64, u64) = match &t.ty {
        SqlType::Int { size, unsigned, .. } => ("i", *size as u64, u64::from(*unsigned), 0),
        SqlType::Decimal { precision, scale, unsigned } => {
            ("d", u64::from(*precision), u64::from(*scale), u64::from(*unsigned))
        }
        SqlType::Float { unsigned, digits } | SqlType::Double { unsigned, digits } => {
            let (m, d) = digits.map_or((255, 255), |(m, d)| (u64::from(m), u64::from(d)));
            let kind = if matches!(t.ty, SqlType::Float { .. }) { "f" } else { "r" };
            (kind, m, d, u64::from(*unsigned))
        }
        SqlType::Bit { bits } => ("b", u64::from(*bits), 0, 0),
        SqlType::Date => ("D", 0, 0, 0),
        SqlType::Time { fsp } => ("T", u64::from(*fsp), 0, 0),
        SqlType::DateTime { fsp } => ("t", u64::from(*fsp), 0, 0),
        SqlType::Timestamp { fsp } => ("s", u64::from(*fsp), 0, 0),
        SqlType::Year => ("y", 0, 0, 0),
        SqlType::Char { chars, collation } => ("c", u64::from(*chars), u64::from(collation.id()), 0),
        SqlType::VarChar { chars, collation } => ("v", u64::from(*chars), u64::from(collation.id()), 0),
        SqlType::Text { size, collation } => ("x", *size as u64, u64::from(collation.id()), 0),
        SqlType::Binary { bytes } => ("B", u64::from(*bytes), 0, 0),
        SqlType::VarBinary { bytes } => ("V", u64::from(*bytes), 0, 0),
        SqlType::Blob { size } => ("X", *size as u64, 0, 0),
        SqlType::Enum { collation, .. } => ("e", 0, u64::from(collation.id()), 0),
        SqlType::Set { collation, .. } => ("S", 0, u64::from(collation.id()), 0),
        SqlType::Json => ("j", 0, 0, 0),
    };
    let members = match &t.ty {
        SqlType::Enum { values, .. } | SqlType::Set { values, .. } => super::members_spec(values),
        _ => String::new(),
    };
    let (table, name) = (&t.table, &t.name);
    format!("{flags}\t{kind}\t{a}\t{b}\t{c}\t{}\t{}\t{table}{name}{members}", table.len(), name.len())
}

pub(crate) fn decode_target(spec: &str) -> Option<ColumnTarget> {
    let mut parts = spec.splitn(8, '\t');
    let flags: u8 = parts.next()?.parse().ok()?;
    let kind = parts.next()?;
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (a, b, c) = (number()?, number()?, number()?);
    let (table_bytes, name_bytes) = (number()? as usize, number()? as usize);
    let (table, rest) = parts.next()?.split_at_checked(table_bytes)?;
    let (name, spec) = rest.split_at_checked(name_bytes)?;
    let collation = crate::collate::by_id(b as i64);
    let size =
        |n: u64| [LobSize::Tiny, LobSize::Normal, LobSize::Medium, LobSize::Long].into_iter().nth(n as usize);
    let digits = (a != 255).then_some((a as u8, b as u8));
    let values = || members(spec).map(str::to_owned).collect();
    let ty = match kind {
        "i" => SqlType::Int {
            size: [IntSize::Tiny, IntSize::Small, IntSize::Medium, IntSize::Int, IntSize::Big]
                .into_iter()
                .nth(a as usize)?,
            unsigned: b == 1,
            width: None,
            zerofill: false,
        },
        "d" => SqlType::Decimal { precision: a as u8, scale: b as u8, unsigned: c == 1 },
        "f" => SqlType::Float { unsigned: c == 1, digits },
        "r" => SqlType::Double { unsigned: c == 1, digits },
        "b" => SqlType::Bit { bits: a as u8 },
        "D" => SqlType::Date,
        "T" => SqlType::Time { fsp: a as u8 },
        "t" => SqlType::DateTime { fsp: a as u8 },
        "s" => SqlType::Timestamp { fsp: a as u8 },
        "y" => SqlType::Year,
        "c" => SqlType::Char { chars: a as u32, collation },
        "v" => SqlType::VarChar { chars: a as u32, collation },
        "x" => SqlType::Text { size: size(a)?, collation },
        "B" => SqlType::Binary { bytes: a as u32 },
        "V" => SqlType::VarBinary { bytes: a as u32 },
        "X" => SqlType::Blob { size: size(a)? },
        "e" => SqlType::Enum { values: values(), collation },
        "S" => SqlType::Set { values: values(), collation },
        "j" => SqlType::Json,
        _ => return None,
    };
    Some(ColumnTarget {
        table: table.to_owned(),
        name: name.to_owned(),
        ty,
        nullable: flags & 1 == 1,
        auto_increment: flags & 2 == 2,
        quiet: flags & 8 == 8,
        lenient_null: flags & 4 == 4,
        cell: match flags & 48 {
            16 => CellKind::Set,
            32 => CellKind::Map,
            _ => CellKind::Register,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_round_trip() {
        let collation = Collation::Utf8mb4Bin;
        for ty in [
            SqlType::Int { size: IntSize::Medium, unsigned: true, width: None, zerofill: false },
            SqlType::Decimal { precision: 10, scale: 2, unsigned: false },
            SqlType::Float { unsigned: false, digits: None },
            SqlType::Double { unsigned: true, digits: Some((5, 2)) },
            SqlType::Text { size: LobSize::Medium, collation },
            SqlType::Enum { values: vec!["a\tb".into(), "1:2".into(), String::new()], collation },
            SqlType::Timestamp { fsp: 3 },
            SqlType::Json,
        ] {
            let t = ColumnTarget {
                quiet: false,
                table: "t\t1".into(),
                name: "a\tb".into(),
                ty,
                nullable: true,
                auto_increment: false,
                lenient_null: true,
                cell: CellKind::Map,
            };
            assert_eq!(decode_target(&encode_target(&t)), Some(t));
        }
    }
}
