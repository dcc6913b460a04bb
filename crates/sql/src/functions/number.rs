//! Arithmetic and mathematical functions.

use p2pdb_model::decimal::Decimal;
use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, any_null, int_of, real_of};
use crate::error::SqlError;
use crate::execute::{context, convert};
use crate::session::SqlMode;

macro_rules! int2 {
    ($kind:literal, $op:literal, $f:expr) => {
        |a| integers(a, $kind, $op, $f)
    };
}

macro_rules! real1 {
    ($f:expr) => {
        |a| match a {
            [ValueRef::Null] => Ok(Value::Null),
            [x] => real($f(real_of(x)), "DOUBLE"),
            _ => Ok(Value::Null),
        }
    };
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_iadd", 2, int2!(false, "+", |a, b| a.checked_add(b))),
    ("p_isub", 2, int2!(false, "-", |a, b| a.checked_sub(b))),
    ("p_imul", 2, int2!(false, "*", |a, b| a.checked_mul(b))),
    ("p_uadd", 2, int2!(true, "+", |a, b| a.checked_add(b))),
    ("p_usub", 2, int2!(true, "-", |a, b| a.checked_sub(b))),
    ("p_umul", 2, int2!(true, "*", |a, b| a.checked_mul(b))),
    ("p_ineg", 1, |a| match wide(&a[0]) {
        None => Ok(Value::Null),
        Some(n) => {
            i64::try_from(-n).map(Value::Int).map_err(|_| convert::out_of_range("BIGINT", &format!("-({n})")))
        }
    }),
    ("p_imod", 2, |a| match (wide(&a[0]), wide(&a[1])) {
        (Some(_), Some(0)) => by_zero(),
        (Some(x), Some(y)) => Ok(from_wide(x % y)),
        _ => Ok(Value::Null),
    }),
    ("p_idiv", 3, |a| match (wide(&a[0]), wide(&a[1])) {
        (Some(_), Some(0)) => by_zero(),
        (Some(x), Some(y)) => fit(x / y, int_of(&a[2]) == 1, || format!("({x} DIV {y})")),
        _ => Ok(Value::Null),
    }),
    ("p_didiv", 3, |a| {
        let (Some(x), Some(y)) = (dec(&a[0]), dec(&a[1])) else { return Ok(Value::Null) };
        match x.div(&y, 0) {
            None => by_zero(),
            Some(q) => {
                let shown = || format!("({x} DIV {y})");
                match q.to_i128() {
                    Some(n) => fit(n, int_of(&a[2]) == 1, shown),
                    None => Err(convert::out_of_range("BIGINT", &shown())),
                }
            }
        }
    }),
    ("p_iabs", 1, |a| match wide(&a[0]) {
        None => Ok(Value::Null),
        Some(n) if n.abs() > i128::from(i64::MAX) && n < 0 => {
            Err(convert::out_of_range("BIGINT", &format!("abs({n})")))
        }
        Some(n) => Ok(from_wide(n.abs())),
    }),
    ("p_iround", 2, |a| integer_round(a, true)),
    ("p_itruncate", 2, |a| integer_round(a, false)),
    ("p_dadd", 2, |a| decimals(a, "+", |x, y| x.add(y))),
    ("p_dsub", 2, |a| decimals(a, "-", |x, y| x.sub(y))),
    ("p_dmul", 2, |a| decimals(a, "*", |x, y| x.mul(y))),
    ("p_ddiv", 5, divide),
    ("p_dmod", 2, |a| {
        let (Some(x), Some(y)) = (dec(&a[0]), dec(&a[1])) else { return Ok(Value::Null) };
        match x.rem(&y) {
            None => by_zero(),
            Some(r) => store(r, String::new),
        }
    }),
    ("p_dneg", 1, |a| Ok(dec(&a[0]).map_or(Value::Null, |d| Value::Blob(d.negated().encode())))),
    ("p_dabs", 1, |a| Ok(dec(&a[0]).map_or(Value::Null, |d| Value::Blob(d.abs().encode())))),
    ("p_dceil", 1, |a| Ok(dec(&a[0]).map_or(Value::Null, |d| Value::Blob(d.ceil().encode())))),
    ("p_dfloor", 1, |a| Ok(dec(&a[0]).map_or(Value::Null, |d| Value::Blob(d.floor().encode())))),
    ("p_dround", 2, |a| decimal_round(a, true)),
    ("p_dtruncate", 2, |a| decimal_round(a, false)),
    ("p_dfit", 3, |a| {
        let Some(d) = dec(&a[0]) else { return Ok(Value::Null) };
        let (precision, scale) = (int_of(&a[1]) as u32, int_of(&a[2]) as u32);
        let r = d.rounded(scale as i32);
        if r.whole_digits() > precision - scale {
            let max = Decimal::greatest(precision, scale);
            let max = if d.signum() < 0 { max.negated() } else { max };
            context::warn(1264, "Out of range value for column '' at row 1");
            return Ok(Value::Blob(max.encode()));
        }
        Ok(Value::Blob(r.encode()))
    }),
    ("p_avg", 3, |a| {
        // The state of an average: count and sum, as the aggregate left them.
        let ValueRef::Blob(b) = a[0] else { return Ok(Value::Null) };
        let (Some(count), Some(sum)) = (b.get(..8), b.get(8..)) else { return Ok(Value::Null) };
        let mut n = [0; 8];
        n.copy_from_slice(count);
        let n = Decimal::from(u64::from_be_bytes(n));
        let sum = Decimal::decode(sum).unwrap_or(Decimal::ZERO);
        Ok(quotient(&sum, &n, int_of(&a[1]) as u32, 0, int_of(&a[2]) as u32)
            .map_or(Value::Null, |d| Value::Blob(d.encode())))
    }),
    ("p_radd", 2, |a| reals(a, "+", |x, y| x + y)),
    ("p_rsub", 2, |a| reals(a, "-", |x, y| x - y)),
    ("p_rmul", 2, |a| reals(a, "*", |x, y| x * y)),
    ("p_rdiv", 2, |a| match a {
        [ValueRef::Null, _] | [_, ValueRef::Null] => Ok(Value::Null),
        [_, y] if real_of(y) == 0.0 => by_zero(),
        _ => reals(a, "/", |x, y| x / y),
    }),
    ("p_rmod", 2, |a| match a {
        [ValueRef::Null, _] | [_, ValueRef::Null] => Ok(Value::Null),
        [_, y] if real_of(y) == 0.0 => by_zero(),
        _ => reals(a, "%", |x, y| x % y),
    }),
    ("p_finite", 1, real1!(|x: f64| x)),
    ("p_rneg", 1, |a| match a {
        [ValueRef::Null] => Ok(Value::Null),
        // Also of zero, as MySQL shows it.
        [x] => Ok(Value::Real(-real_of(x))),
        _ => Ok(Value::Null),
    }),
    ("p_rabs", 1, real1!(f64::abs)),
    ("p_rceil", 1, real1!(f64::ceil)),
    ("p_rfloor", 1, real1!(f64::floor)),
    ("p_rround", 2, |a| real_round(a, true)),
    ("p_rtruncate", 2, |a| real_round(a, false)),
    ("p_single", 1, |a| match a[0] {
        ValueRef::Real(r) => Ok(Value::Real(f64::from(r as f32))),
        _ => Ok(Value::Null),
    }),
    ("p_sin", 1, real1!(f64::sin)),
    ("p_cos", 1, real1!(f64::cos)),
    ("p_tan", 1, real1!(f64::tan)),
    ("p_cot", 1, real1!(|x: f64| 1.0 / x.tan())),
    ("p_asin", 1, |a| domain(a, |x| (-1.0..=1.0).contains(&x), f64::asin)),
    ("p_acos", 1, |a| domain(a, |x| (-1.0..=1.0).contains(&x), f64::acos)),
    ("p_atan", -1, |a| match a {
        _ if any_null(a) => Ok(Value::Null),
        [x] => real(real_of(x).atan(), "DOUBLE"),
        [y, x] => real(real_of(y).atan2(real_of(x)), "DOUBLE"),
        _ => Ok(Value::Null),
    }),
    ("p_radians", 1, real1!(f64::to_radians)),
    ("p_degrees", 1, real1!(f64::to_degrees)),
    ("p_sqrt", 1, |a| domain(a, |x| x >= 0.0, f64::sqrt)),
    ("p_exp", 1, real1!(f64::exp)),
    ("p_ln", 1, |a| logarithm(a, f64::ln)),
    ("p_log2", 1, |a| logarithm(a, f64::log2)),
    ("p_log10", 1, |a| logarithm(a, f64::log10)),
    ("p_log", -1, |a| match a {
        [_] => logarithm(a, f64::ln),
        [b, x] if !any_null(a) => {
            if real_of(b) <= 0.0 || real_of(b) == 1.0 || real_of(x) <= 0.0 {
                return bad_logarithm();
            }
            real(real_of(x).ln() / real_of(b).ln(), "DOUBLE")
        }
        _ => Ok(Value::Null),
    }),
    ("p_pow", 2, |a| reals(a, "pow", f64::powf)),
    ("p_pi", 0, |_| Ok(Value::Real(std::f64::consts::PI))),
    ("p_sign", 1, |a| match a[0] {
        ValueRef::Null => Ok(Value::Null),
        _ => {
            let r = real_of(&a[0]);
            Ok(Value::Int(i64::from(r > 0.0) - i64::from(r < 0.0)))
        }
    }),
    ("p_band", 2, |a| words(a, |x, y| x & y)),
    ("p_bor", 2, |a| words(a, |x, y| x | y)),
    ("p_bxor", 2, |a| words(a, |x, y| x ^ y)),
    ("p_bshl", 2, |a| words(a, |x, y| if y < 64 { x << y } else { 0 })),
    ("p_bshr", 2, |a| words(a, |x, y| if y < 64 { x >> y } else { 0 })),
    ("p_bnot", 1, |a| Ok(word(&a[0]).map_or(Value::Null, |n| Value::from_u64(!n)))),
    ("p_bit_count", 1, |a| Ok(word(&a[0]).map_or(Value::Null, |n| Value::Int(i64::from(n.count_ones()))))),
];

/// A 64-bit integer, signed or unsigned.
pub(crate) fn wide(v: &ValueRef<'_>) -> Option<i128> {
    match v {
        ValueRef::Int(i) => Some(i128::from(*i)),
        ValueRef::Blob(b) => Some(i128::from(u64::from_be_bytes((*b).try_into().ok()?))),
        ValueRef::Real(r) => Some(*r as i128),
        _ => None,
    }
}

fn word(v: &ValueRef<'_>) -> Option<u64> {
    wide(v).map(|n| n as u64)
}

fn from_wide(n: i128) -> Value {
    match i64::try_from(n) {
        Ok(i) => Value::Int(i),
        Err(_) => Value::from_u64(n as u64),
    }
}

fn fit(n: i128, unsigned: bool, shown: impl Fn() -> String) -> Answer {
    let ok = if unsigned { u64::try_from(n).is_ok() } else { i64::try_from(n).is_ok() };
    if ok {
        return Ok(from_wide(n));
    }
    Err(convert::out_of_range(if unsigned { "BIGINT UNSIGNED" } else { "BIGINT" }, &shown()))
}

fn integers(a: &[ValueRef<'_>], unsigned: bool, op: &str, f: fn(i128, i128) -> Option<i128>) -> Answer {
    let (Some(x), Some(y)) = (wide(&a[0]), wide(&a[1])) else { return Ok(Value::Null) };
    let shown = || format!("({x} {op} {y})");
    match f(x, y) {
        Some(n) => fit(n, unsigned, shown),
        None => Err(convert::out_of_range("BIGINT", &shown())),
    }
}

fn words(a: &[ValueRef<'_>], f: fn(u64, u64) -> u64) -> Answer {
    let (Some(x), Some(y)) = (word(&a[0]), word(&a[1])) else { return Ok(Value::Null) };
    Ok(Value::from_u64(f(x, y)))
}

/// A stored DECIMAL (or an integer beside one).
pub(crate) fn dec(v: &ValueRef<'_>) -> Option<Decimal> {
    match v {
        ValueRef::Blob(b) => Decimal::decode(b),
        ValueRef::Int(i) => Some(Decimal::from(*i)),
        ValueRef::Real(r) => Decimal::from_f64(*r),
        _ => None,
    }
}

fn store(d: Decimal, shown: impl Fn() -> String) -> Answer {
    if d.fits() { Ok(Value::Blob(d.encode())) } else { Err(convert::out_of_range("DECIMAL", &shown())) }
}

fn decimals(a: &[ValueRef<'_>], op: &str, f: fn(&Decimal, &Decimal) -> Decimal) -> Answer {
    let (Some(x), Some(y)) = (dec(&a[0]), dec(&a[1])) else { return Ok(Value::Null) };
    store(f(&x, &y), || format!("({x} {op} {y})"))
}

/// NULL, with warning 1365, or the error where a strict statement writes.
fn by_zero() -> Answer {
    let (mode, writes) = context::read(|c| (c.sql_mode, c.writes && !c.ignore));
    if mode.has(SqlMode::ERROR_FOR_DIVISION_BY_ZERO) {
        if writes && mode.strict() {
            return Err(SqlError::new(1365, "22012", "Division by 0"));
        }
        context::warn(1365, "Division by 0");
    }
    Ok(Value::Null)
}

/// MySQL's quotient (strings/decimal.c, do_div): digits are kept in groups of nine.
fn quotient(x: &Decimal, y: &Decimal, s1: u32, s2: u32, more: u32) -> Option<Decimal> {
    let up = |n: u32| n.div_ceil(9) * 9;
    let (f1, f2) = (up(s1), up(s2));
    let more = more.saturating_sub((f1 - s1) + (f2 - s2));
    x.div(y, up(f1 + f2 + more).min(60))
}

fn divide(a: &[ValueRef<'_>]) -> Answer {
    let (Some(x), Some(y)) = (dec(&a[0]), dec(&a[1])) else { return Ok(Value::Null) };
    let n = |i: usize| int_of(&a[i]) as u32;
    match quotient(&x, &y, n(2), n(3), n(4)) {
        None => by_zero(),
        Some(q) => store(q, || format!("({x} / {y})")),
    }
}

fn digits(v: &ValueRef<'_>) -> i32 {
    int_of(v).clamp(-80, 80) as i32
}

fn decimal_round(a: &[ValueRef<'_>], round: bool) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let Some(d) = dec(&a[0]) else { return Ok(Value::Null) };
    let n = digits(&a[1]).min(30);
    let r = if round { d.rounded(n) } else { d.truncated(n) };
    store(r, || format!("round({d})"))
}

fn integer_round(a: &[ValueRef<'_>], round: bool) -> Answer {
    let (Some(n), false) = (wide(&a[0]), any_null(a)) else { return Ok(Value::Null) };
    let places = digits(&a[1]);
    if places >= 0 {
        return Ok(from_wide(n));
    }
    let d = Decimal::new(n, 0);
    let r = if round { d.rounded(places) } else { d.truncated(places) };
    let unsigned = matches!(a[0], ValueRef::Blob(_));
    fit(r.to_i128().unwrap_or(i128::MAX), unsigned, || format!("round({n},{places})"))
}

fn real(r: f64, kind: &str) -> Answer {
    if r.is_nan() {
        return Ok(Value::Null);
    }
    if r.is_infinite() {
        return Err(convert::out_of_range(kind, "expression"));
    }
    Ok(Value::Real(r + 0.0))
}

fn reals(a: &[ValueRef<'_>], op: &str, f: fn(f64, f64) -> f64) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let (x, y) = (real_of(&a[0]), real_of(&a[1]));
    let r = f(x, y);
    if r.is_infinite() || r.is_nan() {
        let (x, y) = (convert::real_text(x), convert::real_text(y));
        let shown = if op == "pow" { format!("pow({x},{y})") } else { format!("({x} {op} {y})") };
        return Err(convert::out_of_range("DOUBLE", &shown));
    }
    real(r, "DOUBLE")
}

fn real_round(a: &[ValueRef<'_>], round: bool) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let (x, n) = (real_of(&a[0]), int_of(&a[1]).clamp(-400, 400) as i32);
    let unit = 10f64.powi(n.abs());
    let scaled = if n < 0 { x / unit } else { x * unit };
    if !scaled.is_finite() || !unit.is_finite() {
        return Ok(Value::Real(if n < 0 { 0.0 } else { x }));
    }
    // Halves go to the even neighbour, as with MySQL's rint().
    let whole = if round { scaled.round_ties_even() } else { scaled.trunc() };
    real(if n < 0 { whole * unit } else { whole / unit }, "DOUBLE")
}

fn domain(a: &[ValueRef<'_>], ok: fn(f64) -> bool, f: fn(f64) -> f64) -> Answer {
    match a[0] {
        ValueRef::Null => Ok(Value::Null),
        _ if !ok(real_of(&a[0])) => Ok(Value::Null),
        _ => real(f(real_of(&a[0])), "DOUBLE"),
    }
}

fn bad_logarithm() -> Answer {
    context::warn(3020, "Invalid argument for logarithm");
    Ok(Value::Null)
}

fn logarithm(a: &[ValueRef<'_>], f: fn(f64) -> f64) -> Answer {
    match a[0] {
        ValueRef::Null => Ok(Value::Null),
        _ if real_of(&a[0]) <= 0.0 => bad_logarithm(),
        _ => real(f(real_of(&a[0])), "DOUBLE"),
    }
}
