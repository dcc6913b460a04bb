//! Assignment of values to columns: what INSERT and UPDATE store, with MySQL's errors, or warnings where sql_mode is not
//! strict (MySQL 8.0 manual, "Server SQL Modes", "Out-of-Range and Overflow Handling").
//!
//! A value that does not fit is never stored as it is: it is refused, or cut with a warning.

use std::borrow::Cow;

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{DateTime, TIME_US_MAX, Time};
use p2pdb_model::types::{IntSize, SqlType};
use p2pdb_model::{CellKind, Value, ValueRef};

use super::json_cast::{self, Misfit, Target};
use super::{coerce, context, convert, fit};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::functions::json;
use crate::plan::{ColumnTarget, NoteLevel};
use crate::session::SqlMode;
use crate::types::Class;

/// Converts a value in the stored form of `from` to the stored form of the column's type.
///
/// # Errors
/// 1048, 1264, 1265, 1292, 1366, 1406, 3140 in strict mode; otherwise they are warnings.
pub fn assign(value: Value, from: &FieldType, to: &ColumnTarget) -> Result<Value, SqlError> {
    Assign::new(to).run(value, from)
}

/// The value that a NOT NULL column takes when none can be stored.
pub fn implicit_default(ty: &SqlType) -> Value {
    match ty {
        SqlType::Decimal { .. } => Value::Blob(Decimal::ZERO.encode()),
        SqlType::Float { .. } | SqlType::Double { .. } => Value::Real(0.0),
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. } => Value::Text(String::new()),
        SqlType::Binary { bytes } => Value::Blob(vec![0; *bytes as usize]),
        SqlType::VarBinary { .. } | SqlType::Blob { .. } => Value::Blob(Vec::new()),
        SqlType::Json => Value::Text("null".to_owned()),
        SqlType::Enum { .. } => Value::Int(1),
        _ => Value::Int(0),
    }
}

const FIELD_OVERFLOW: &str = "Datetime function: datetime field overflow";

struct Assign<'a> {
    to: &'a ColumnTarget,
    strict: bool,
    mode: SqlMode,
    row: u64,
}

impl<'a> Assign<'a> {
    fn new(to: &'a ColumnTarget) -> Self {
        let (strict, mode, row) = context::read(|c| (c.sql_mode.strict() && !c.ignore, c.sql_mode, c.row));
        Assign { to, strict: strict && !to.quiet, mode, row }
    }

    /// An error in strict mode, else a warning.
    fn complain(&self, code: u16, state: &'static str, message: String) -> Result<(), SqlError> {
        if self.strict {
            return Err(SqlError::new(code, state, message));
        }
        if !self.to.quiet {
            context::warn(code, message);
        }
        Ok(())
    }

    fn place(&self) -> String {
        format!("for column '{}' at row {}", self.to.name, self.row)
    }

    /// `table.column`, as the errors of JSON say it.
    fn column(&self) -> String {
        match self.to.table.as_str() {
            "" => self.to.name.clone(),
            table => format!("{table}.{}", self.to.name),
        }
    }

    fn out_of_range(&self) -> Result<(), SqlError> {
        self.complain(1264, "22003", format!("Out of range value {}", self.place()))
    }

    /// 1406 in strict mode; a value that is cut with a warning is 1265.
    fn too_long(&self) -> Result<(), SqlError> {
        if !self.strict {
            return self.truncated();
        }
        self.complain(1406, "22001", format!("Data too long {}", self.place()))
    }

    fn truncated(&self) -> Result<(), SqlError> {
        self.complain(1265, "01000", format!("Data truncated {}", self.place()))
    }

    fn misfit(&self, misfit: Option<Misfit>) -> Result<(), SqlError> {
        let Some((code, state, message)) = misfit.map(Misfit::complaint) else { return Ok(()) };
        self.complain(code, state, message)
    }

    /// Part of a date and time has no place in the column.
    fn note_cut(&self, kind: &str, shown: &str) {
        if !self.strict {
            return self.note_truncated();
        }
        let shown: String = shown.chars().take(128).collect();
        context::note(NoteLevel::Note, 1292, format!("Incorrect {kind} value: '{shown}' {}", self.place()));
    }

    fn note_truncated(&self) {
        context::note(NoteLevel::Note, 1265, format!("Data truncated {}", self.place()));
    }

    fn incorrect(&self, kind: &str, shown: &str) -> Result<(), SqlError> {
        let shown: String = shown.chars().take(128).collect();
        self.complain(1366, "HY000", format!("Incorrect {kind} value: '{shown}' {}", self.place()))
    }

    fn bad_time(&self, kind: &str, shown: &str) -> Result<(), SqlError> {
        let shown: String = shown.chars().take(128).collect();
        self.complain(1292, "22007", format!("Incorrect {kind} value: '{shown}' {}", self.place()))
    }

    fn run(&self, value: Value, from: &FieldType) -> Result<Value, SqlError> {
        if value.is_null() {
            if self.to.nullable || self.to.auto_increment {
                return Ok(Value::Null);
            }
            let message = format!("Column '{}' cannot be null", self.to.name);
            let refused = !self.to.lenient_null || self.mode.strict();
            if refused && context::read(|c| !c.ignore) {
                return Err(SqlError::new(1048, "23000", message));
            }
            context::warn(1048, message);
            if matches!(self.to.ty, SqlType::Enum { .. }) {
                // The empty member, not the first.
                return Ok(Value::Int(0));
            }
            return Ok(implicit_default(&self.to.ty));
        }
        // ENUM and SET are text to everything but numbers.
        let number = matches!(
            self.to.ty,
            SqlType::Int { .. }
                | SqlType::Decimal { .. }
                | SqlType::Float { .. }
                | SqlType::Double { .. }
                | SqlType::Bit { .. }
                | SqlType::Year
        );
        let members;
        let (value, from) = match &from.kind {
            FieldKind::Enum(m) if !number => {
                let Value::Int(i) = value else { return Ok(value) };
                members = FieldType::text(255, from.collation);
                (Value::Text(convert::enum_text(m, i).to_owned()), &members)
            }
            FieldKind::Set(m) if !number => {
                members = FieldType::text(255, from.collation);
                (Value::Text(convert::set_text(m, ValueRef::from(&value))), &members)
            }
            _ => (value, from),
        };
        match &self.to.ty {
            SqlType::Int { size, unsigned, .. } => self.integer(value, from, *size, *unsigned),
            SqlType::Decimal { precision, scale, unsigned } => {
                self.decimal(&value, from, *precision, *scale, *unsigned)
            }
            SqlType::Float { unsigned, digits } => self.real(&value, from, *unsigned, *digits, true),
            SqlType::Double { unsigned, digits } => self.real(&value, from, *unsigned, *digits, false),
            SqlType::Bit { bits } => self.bit(&value, from, *bits),
            SqlType::Year => self.year(&value, from),
            SqlType::Date => self.datetime(&value, from, "date", 0),
            SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => {
                self.datetime(&value, from, "datetime", *fsp)
            }
            SqlType::Time { fsp } => self.time(&value, from, *fsp),
            SqlType::Char { chars, .. } => self.text(value, from, u64::from(*chars), true),
            SqlType::VarChar { chars, .. } => self.text(value, from, u64::from(*chars), false),
            SqlType::Text { size, .. } => self.text(value, from, u64::MAX, false).and_then(|v| match v {
                Value::Text(t) if t.len() as u64 > size.bytes_max() => {
                    self.too_long()?;
                    Ok(Value::Text(cut_bytes(&t, size.bytes_max() as usize).to_owned()))
                }
                v => Ok(v),
            }),
            SqlType::Binary { bytes } => self.bytes(&value, from, u64::from(*bytes)).map(|mut b| {
                b.resize(*bytes as usize, 0);
                Value::Blob(b)
            }),
            SqlType::VarBinary { bytes } => self.bytes(&value, from, u64::from(*bytes)).map(Value::Blob),
            SqlType::Blob { size } => self.bytes(&value, from, size.bytes_max()).map(Value::Blob),
            SqlType::Enum { values, .. } => self.enumeration(&value, from, values),
            SqlType::Set { values, .. } => self.set(&value, from, values),
            SqlType::Json => self.json(&value, from).and_then(|v| self.json_cell(v)),
        }
    }

    fn integer(
        &self,
        value: Value,
        from: &FieldType,
        size: IntSize,
        unsigned: bool,
    ) -> Result<Value, SqlError> {
        let (min, max) = size.range(unsigned);
        if let Value::Int(i) = value
            && matches!(from.class(), Class::Int | Class::UInt | Class::Year)
            && (min..=max).contains(&i128::from(i))
        {
            return Ok(value);
        }
        let v = ValueRef::from(&value);
        let (n, junk) = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text) => self.whole_text(t)?,
            (ValueRef::Blob(b), Class::Bytes) => self.whole_text(&String::from_utf8_lossy(b))?,
            (ValueRef::Text(t), Class::Json) => {
                let (n, misfit) = json_cast::integer(t);
                self.misfit(misfit)?;
                (Some(n), false)
            }
            (ValueRef::Real(r), _) => (Some(r.round_ties_even() as i128), false),
            _ => (convert::to_wide(v, from.code())?, false),
        };
        let n = n.unwrap_or(if starts_negative(v) { i128::MIN } else { i128::MAX });
        let cut = n.clamp(min, max);
        // Of a DECIMAL MySQL looks at the sign before it rounds.
        let below = unsigned
            && from.class() == Class::Decimal
            && convert::to_decimal(v, from.code())?.is_some_and(|d| d.signum() < 0);
        if cut != n || below {
            self.out_of_range()?;
        } else if junk {
            self.truncated()?;
        }
        Ok(match i64::try_from(cut) {
            Ok(i) => Value::Int(i),
            Err(_) => Value::from_u64(cut as u64),
        })
    }

    /// The whole number in a text, `None` beyond 128 bits, and whether something follows it; 1366 when there is none.
    fn whole_text(&self, text: &str) -> Result<(Option<i128>, bool), SqlError> {
        let t = text.trim();
        let (d, used) = Decimal::parse_prefix(t);
        if used == 0 {
            self.incorrect("integer", text)?;
        }
        Ok((d.to_i128(), used > 0 && used < t.len()))
    }

    /// The number in a text: 1366 when it is none; where sql_mode is not strict, only a note of what follows it.
    fn decimal_text(&self, text: &str) -> Result<Decimal, SqlError> {
        let t = text.trim();
        let (d, used) = Decimal::parse_prefix(t);
        if used == 0 || (self.strict && (used < t.len() || has_vast_exponent(t))) {
            self.incorrect("decimal", text)?;
        } else if used < t.len() {
            self.note_truncated();
        }
        Ok(d)
    }

    fn decimal(
        &self,
        value: &Value,
        from: &FieldType,
        precision: u8,
        scale: u8,
        unsigned: bool,
    ) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let d = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text) => self.decimal_text(t)?,
            (ValueRef::Blob(b), Class::Bytes) => self.decimal_text(&String::from_utf8_lossy(b))?,
            (ValueRef::Text(t), Class::Json) => {
                let (d, misfit) = json_cast::decimal(t, Target::Decimal);
                self.misfit(misfit)?;
                d
            }
            _ => convert::to_decimal(v, from.code())?.unwrap_or(Decimal::ZERO),
        };
        let mut rounded = d.rounded(i32::from(scale));
        if unsigned && d.signum() < 0 {
            self.out_of_range()?;
            rounded = Decimal::ZERO;
        } else if rounded.whole_digits() > u32::from(precision - scale) {
            self.out_of_range()?;
            let max = Decimal::greatest(u32::from(precision), u32::from(scale));
            rounded = if d.signum() < 0 { max.negated() } else { max };
        } else if rounded != d {
            self.note_truncated();
        }
        Ok(Value::Blob(rounded.encode()))
    }

    fn real(
        &self,
        value: &Value,
        from: &FieldType,
        unsigned: bool,
        digits: Option<(u8, u8)>,
        single: bool,
    ) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let mut r = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text) => self.real_text(t)?,
            (ValueRef::Blob(b), Class::Bytes) => self.real_text(&String::from_utf8_lossy(b))?,
            (ValueRef::Text(t), Class::Json) => {
                let (d, misfit) = json_cast::decimal(t, Target::Double);
                self.misfit(misfit)?;
                d.to_f64()
            }
            _ => convert::to_real(v, from.code())?.unwrap_or(0.0),
        };
        let max = if single { f64::from(f32::MAX) } else { f64::MAX };
        if let Some((m, d)) = digits {
            // As InnoDB's fields do it: the part behind the point alone, halves to the even neighbour.
            let unit = 10f64.powi(i32::from(d));
            if r.is_finite() {
                r = r.floor() + ((r - r.floor()) * unit).round_ties_even() / unit;
                // The double that a literal of those digits is.
                r = format!("{r:.*}", usize::from(d)).parse().unwrap_or(r);
            }
            let limit = 10f64.powi(i32::from(m) - i32::from(d)) - 1.0 / unit;
            if r.abs() > limit {
                self.out_of_range()?;
                r = limit.copysign(r);
            }
        }
        if (unsigned && r < 0.0) || !r.is_finite() || r.abs() > max {
            self.out_of_range()?;
            r = if unsigned && r < 0.0 { 0.0 } else { max.copysign(r) };
        }
        let r = if single { f64::from(r as f32) } else { r };
        Ok(Value::Real(r + 0.0))
    }

    fn real_text(&self, text: &str) -> Result<f64, SqlError> {
        let t = text.trim();
        let used = Decimal::parse_prefix(t).1;
        if used < t.len() || used == 0 {
            self.truncated()?;
        }
        Ok(t[..used].parse().unwrap_or(0.0))
    }

    fn bit(&self, value: &Value, from: &FieldType, bits: u8) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let max = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        let n = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text | Class::Json) => bytes_number(t.as_bytes()),
            (ValueRef::Blob(b), Class::Bytes) => bytes_number(b),
            (_, class) if class.is_temporal() => {
                convert::to_text(v, from.code())?.and_then(|t| bytes_number(t.as_bytes()))
            }
            // Of a negative number its 64 bits, but a DECIMAL has none.
            (ValueRef::Real(r), _) => Some(r as i64 as u64),
            (_, Class::Decimal) => {
                let d = convert::to_decimal(v, from.code())?.unwrap_or(Decimal::ZERO);
                let n =
                    d.rounded(0).to_i128().and_then(|n| u64::try_from(n).ok()).filter(|_| d.signum() >= 0);
                if n.is_none() {
                    self.out_of_range()?;
                }
                Some(n.unwrap_or(if d.signum() < 0 { 0 } else { max }))
            }
            _ => convert::to_wide(v, from.code())?.map(|n| n as u64),
        };
        match n.filter(|n| *n <= max) {
            Some(n) => Ok(Value::from_u64(n)),
            None => {
                if self.strict {
                    self.too_long()?
                } else {
                    self.out_of_range()?
                }
                Ok(Value::from_u64(max))
            }
        }
    }

    fn year_text(&self, text: &str) -> Result<Option<i128>, SqlError> {
        let (n, junk) = self.whole_text(text)?;
        if junk {
            self.truncated()?;
        }
        Ok(n)
    }

    fn year(&self, value: &Value, from: &FieldType) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let (n, text) = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text | Class::Json) => {
                let digits = t.trim().bytes().take_while(u8::is_ascii_digit).count();
                (self.year_text(t)?, (1..4).contains(&digits))
            }
            (ValueRef::Blob(b), Class::Bytes) => (self.year_text(&String::from_utf8_lossy(b))?, false),
            (ValueRef::Int(_), Class::Time) => (Some(i128::from(convert::today().year)), false),
            (ValueRef::Int(i), class) if class.has_date() => {
                (Some(i128::from(DateTime::unpack(i).year)), false)
            }
            _ => (convert::to_wide(v, from.code())?, false),
        };
        Ok(Value::Int(match n {
            Some(0) if text => 2000,
            Some(0) => 0,
            Some(n @ 1..=69) => 2000 + n as i64,
            Some(n @ 70..=99) => 1900 + n as i64,
            Some(n @ 1901..=2155) => n as i64,
            _ => {
                self.out_of_range()?;
                0
            }
        }))
    }

    fn datetime(&self, value: &Value, from: &FieldType, kind: &str, fsp: u8) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let code = from.code();
        let rules = convert::rules_of(self.mode);
        let mut junk = false;
        let json = matches!((v, from.class()), (ValueRef::Text(_), Class::Json));
        let found = match (v, from.class()) {
            (ValueRef::Int(i), Class::Date | Class::DateTime) => Some(DateTime::unpack(i)),
            (ValueRef::Int(i), Class::Timestamp) => match self.to.ty {
                SqlType::Timestamp { fsp } => return Ok(self.packed(DateTime::unpack(i).rounded(fsp))),
                _ => Some(convert::local(i)),
            },
            (ValueRef::Int(i), Class::Time) => convert::today().plus_us(i),
            (ValueRef::Text(t), Class::Json) => json_cast::datetime(t),
            (ValueRef::Text(t), Class::Text) => {
                junk = convert::has_junk(t);
                convert::parse_datetime(t)
            }
            (ValueRef::Blob(b), Class::Bytes) => convert::parse_datetime(&String::from_utf8_lossy(b)),
            _ => convert::to_decimal(v, code)?.and_then(|d| {
                junk = convert::is_date_with_fraction(&d);
                convert::number_to_datetime(&d)
            }),
        };
        if json && found.is_none() {
            let target = if kind == "date" { Target::Date } else { Target::DateTime };
            self.misfit(Some(json_cast::no_date(target)))?;
            return Ok(self.no_date());
        }
        let shown = || convert::shown(v, code);
        let Some(t) = found.filter(|t| t.is_valid(rules)) else {
            if self.strict {
                self.bad_time(kind, &shown())?;
            } else if found.is_none() {
                self.truncated()?;
            } else {
                self.out_of_range()?;
            }
            return Ok(Value::Int(0));
        };
        if junk {
            if self.strict {
                self.bad_time(kind, &shown())?;
            }
            self.truncated()?;
        }
        let is_date = matches!(self.to.ty, SqlType::Date);
        // The fraction counts for a DATE too, but where it comes from JSON.
        let kept = match self.mode.has(SqlMode::TIME_TRUNCATE_FRACTIONAL) {
            true => Some(t.truncated(fsp)),
            false if is_date && json => Some(t),
            false => t.rounded(fsp).filter(|t| t.is_valid(rules)),
        };
        let Some(t) = kept else {
            // Rounding leads beyond the year 9999, or to the day after one that is none.
            let beyond = t.month != 0 && t.day != 0;
            if self.strict && !beyond {
                self.bad_time(kind, &shown())?;
            } else if self.strict {
                return Err(SqlError::new(1441, "22008", FIELD_OVERFLOW));
            } else if beyond {
                context::warn(1441, FIELD_OVERFLOW);
            }
            self.out_of_range()?;
            return Ok(self.packed(None));
        };
        if is_date {
            if t.time_us() != 0 && !json {
                self.note_cut(kind, &shown());
            }
            return Ok(Value::Int(t.date().pack()));
        }
        if matches!(self.to.ty, SqlType::Timestamp { .. }) {
            let zone = context::zone();
            let utc = zone.to_utc(t);
            if zone.skips(t) {
                // The clocks skipped this time.
                if self.strict {
                    self.bad_time(kind, &shown())?
                } else {
                    context::warn(
                        1299,
                        format!("Invalid TIMESTAMP value in column '{}' at row {}", self.to.name, self.row),
                    )
                }
            }
            let us = utc.unix_us();
            let range = 1_000_000..(1 << 31) * 1_000_000;
            if !utc.is_zero() && (!range.contains(&us) || utc.month == 0 || utc.day == 0) {
                if self.strict {
                    self.bad_time(kind, &shown())?
                } else {
                    self.out_of_range()?
                }
                return Ok(Value::Int(0));
            }
            return Ok(self.packed(Some(utc)));
        }
        Ok(self.packed(Some(t)))
    }

    /// What stands where a JSON value was no date.
    fn no_date(&self) -> Value {
        if self.to.nullable { Value::Null } else { Value::Int(0) }
    }

    fn packed(&self, t: Option<DateTime>) -> Value {
        Value::Int(t.unwrap_or_default().pack())
    }

    fn time(&self, value: &Value, from: &FieldType, fsp: u8) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let code = from.code();
        // An empty text is midnight here, and so is a number with an exponent; a CAST of them is NULL.
        let midnight = match (v, from.class()) {
            (ValueRef::Text(t), Class::Text) => is_no_time(t.as_bytes()),
            (ValueRef::Blob(b), Class::Bytes) => is_no_time(b),
            _ => false,
        };
        if midnight {
            return Ok(Value::Int(0));
        }
        let before = context::read(|c| c.warning_count);
        let t = context::ignoring(|| convert::to_time(v, code))?;
        let warned = context::drop_warnings_since(before);
        if t.is_none() && from.class() == Class::Json {
            self.misfit(Some(json_cast::no_date(Target::Time)))?;
            return Ok(self.no_date());
        }
        let shown = convert::shown(v, code);
        let time_like = match v {
            ValueRef::Text(t) => t.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-'),
            _ => true,
        };
        if t.is_none() || warned {
            let outside = t.is_none_or(|t| t.0.abs() >= TIME_US_MAX) && time_like;
            if self.strict {
                self.bad_time("time", &shown)?;
            } else if outside {
                self.out_of_range()?;
            } else {
                self.truncated()?;
            }
        }
        let of_number = || {
            context::ignoring(|| convert::to_decimal(v, code))
                .ok()
                .flatten()
                .and_then(|d| convert::number_to_time(&d).err()?)
        };
        let end = if from.class().is_number() { of_number() } else { None };
        let Some(t) = t else { return Ok(Value::Int(end.map_or(0, |t| t.0))) };
        let dated = match v {
            ValueRef::Text(t) => from.class() == Class::Text && convert::datetime_in_time(t).is_some(),
            _ if from.class().is_temporal() => false,
            _ => shown.trim_start_matches('-').split('.').next().is_some_and(|n| n.len() > 10),
        };
        if dated && !warned {
            self.note_cut("time", &shown);
        }
        let cut = self.mode.has(SqlMode::TIME_TRUNCATE_FRACTIONAL);
        let unit = 10i64.pow(6 - u32::from(fsp.min(6)));
        let t = if cut { Time(t.0 / unit * unit) } else { t.rounded(fsp) };
        if t.0.abs() > TIME_US_MAX {
            self.out_of_range()?;
        }
        Ok(Value::Int(t.clamped().0))
    }

    fn text(&self, value: Value, from: &FieldType, chars_max: u64, fixed: bool) -> Result<Value, SqlError> {
        let mut t = match (value, from.class()) {
            (Value::Text(t), _) => t,
            (Value::Blob(b), Class::Bytes) => match String::from_utf8(b) {
                Ok(t) => t,
                Err(e) => {
                    let good = e.utf8_error().valid_up_to();
                    let bytes = e.into_bytes();
                    self.incorrect("string", &convert::bytes_shown(&bytes[good..]))?;
                    String::from_utf8_lossy(&bytes[..good]).into_owned()
                }
            },
            (Value::Real(r), Class::Real | Class::Float) => self.real_in(r, from, chars_max)?,
            (v, _) => match convert::to_text(ValueRef::from(&v), from.code())? {
                Some(t) => t.into_owned(),
                None => return Ok(Value::Null),
            },
        };
        if t.len() as u64 > chars_max && t.chars().count() as u64 > chars_max {
            let end = t.char_indices().nth(chars_max as usize).map_or(t.len(), |(i, _)| i);
            if t[end..].bytes().all(|b| b == b' ') {
                if !fixed {
                    self.note_truncated();
                }
            } else {
                self.too_long()?;
            }
            t.truncate(end);
        }
        if fixed {
            t.truncate(t.trim_end_matches(' ').len());
        }
        Ok(Value::Text(t))
    }

    /// A double as a text, rounded where it is too long as it is.
    fn real_in(&self, r: f64, from: &FieldType, chars_max: u64) -> Result<String, SqlError> {
        let whole = convert::to_text(ValueRef::Real(r), from.code())?.unwrap_or_default();
        if whole.len() as u64 <= chars_max {
            return Ok(whole.into_owned());
        }
        let (rounded, fits) = fit::real_in(r, usize::try_from(chars_max).unwrap_or(usize::MAX));
        if !fits {
            self.too_long()?;
        }
        Ok(rounded)
    }

    fn bytes(&self, value: &Value, from: &FieldType, bytes_max: u64) -> Result<Vec<u8>, SqlError> {
        if let (Value::Real(r), Class::Real | Class::Float) = (value, from.class()) {
            return Ok(self.real_in(*r, from, bytes_max)?.into_bytes());
        }
        let mut b = convert::to_bytes(ValueRef::from(value), from.code())?.unwrap_or_default().into_owned();
        if b.len() as u64 > bytes_max {
            self.too_long()?;
            b.truncate(bytes_max as usize);
        }
        Ok(b)
    }

    fn enumeration(&self, value: &Value, from: &FieldType, values: &[String]) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let ty = FieldType::of_column(&self.to.ty);
        let index = match (v, from.class()) {
            (_, class) if class.is_number() => member_number(v, from)?
                .and_then(|n| i64::try_from(n).ok())
                .filter(|n| (1..=values.len() as i64).contains(n)),
            _ => member_text(v, from)?.and_then(|t| {
                let by_number = || t.parse::<i64>().ok().filter(|n| (1..=values.len() as i64).contains(n));
                coerce::enum_index(values, &t, &ty).or_else(by_number)
            }),
        };
        match index {
            Some(i) => Ok(Value::Int(i)),
            None => {
                self.truncated()?;
                Ok(Value::Int(0))
            }
        }
    }

    fn set(&self, value: &Value, from: &FieldType, values: &[String]) -> Result<Value, SqlError> {
        let v = ValueRef::from(value);
        let ty = FieldType::of_column(&self.to.ty);
        let all = if values.len() >= 64 { u64::MAX } else { (1 << values.len()) - 1 };
        let mask = if from.class().is_number() {
            member_number(v, from)?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n <= all)
        } else {
            let t = member_text(v, from)?.unwrap_or_default();
            coerce::set_mask(values, &t, &ty).or_else(|| t.parse::<u64>().ok().filter(|n| *n <= all))
        };
        match mask {
            Some(m) => Ok(Value::from_u64(m)),
            None if from.class().is_number() => {
                self.truncated()?;
                let n = member_number(v, from)?.unwrap_or(0);
                Ok(Value::from_u64(n.clamp(i64::MIN.into(), u64::MAX.into()) as u64 & all))
            }
            None => {
                self.truncated()?;
                let t = member_text(v, from)?.unwrap_or_default();
                let known = t.split(',').filter_map(|w| coerce::set_mask(values, w, &ty));
                Ok(Value::from_u64(known.fold(0, |a, m| a | m)))
            }
        }
    }

    /// What a column tagged `[set]` or `[map]` takes: an array, which is kept in its normal order; an object.
    fn json_cell(&self, value: Value) -> Result<Value, SqlError> {
        let wants = match self.to.cell {
            CellKind::Set => "[set] takes a JSON array",
            CellKind::Map => "[map] takes a JSON object",
            _ => return Ok(value),
        };
        let Value::Text(t) = &value else { return Ok(value) };
        let normal = match self.to.cell {
            CellKind::Set => json::normal_set(t),
            _ => t.starts_with('{').then(|| t.clone()),
        };
        normal.map(Value::Text).ok_or_else(|| {
            let message = format!("Invalid JSON value for column '{}': a {wants}.", self.to.name);
            SqlError::new(3140, "22032", message)
        })
    }

    fn json(&self, value: &Value, from: &FieldType) -> Result<Value, SqlError> {
        match (value, from.class()) {
            (Value::Text(t), Class::Json) => Ok(Value::Text(t.clone())),
            (Value::Text(t), _) => match json::normalise(t) {
                Ok(t) => Ok(Value::Text(t)),
                Err(wrong) => Err(json::refused(wrong, |what, at| {
                    let message = format!(
                        "Invalid JSON text: \"{what}\" at position {at} in value for column '{}'.",
                        self.column()
                    );
                    SqlError::new(3140, "22032", message)
                })),
            },
            (Value::Blob(_), Class::Bytes) => Err(json::binary()),
            _ => Err(SqlError::new(
                3140,
                "22032",
                format!(
                    "Invalid JSON text: \"not a JSON text, may need CAST\" at position 0 in value for column '{}'.",
                    self.column()
                ),
            )),
        }
    }
}

/// The number of a member of an ENUM or SET: of one with a fraction the whole part, as MySQL takes it.
fn member_number(v: ValueRef<'_>, from: &FieldType) -> Result<Option<i128>, SqlError> {
    match v {
        ValueRef::Int(_) if from.class() != Class::Decimal => convert::to_wide(v, from.code()),
        ValueRef::Real(r) => Ok(Some(r.trunc() as i128)),
        _ => Ok(convert::to_decimal(v, from.code())?.and_then(|d| d.truncated(0).to_i128())),
    }
}

/// The name of a member of an ENUM or SET. Bytes that are no UTF-8 name none.
fn member_text<'a>(v: ValueRef<'a>, from: &FieldType) -> Result<Option<Cow<'a, str>>, SqlError> {
    match (v, from.class()) {
        (ValueRef::Blob(b), Class::Bytes) => Ok(Some(String::from_utf8_lossy(b))),
        _ => convert::to_text(v, from.code()),
    }
}

/// Nothing but white space, or digits before an exponent (MySQL's `str_to_time`).
fn is_no_time(text: &[u8]) -> bool {
    let t = text.trim_ascii();
    let digits = t.iter().take_while(|b| b.is_ascii_digit()).count();
    let exponent = || match &t[digits..] {
        [b'e' | b'E', b'+' | b'-', d, ..] | [b'e' | b'E', d, ..] => d.is_ascii_digit(),
        _ => false,
    };
    t.is_empty() || (digits > 0 && exponent())
}

/// An exponent of more digits than MySQL's buffer for decimals has.
fn has_vast_exponent(text: &str) -> bool {
    let exponent = text.split_once(['e', 'E']).map(|(_, e)| e.trim_start_matches(['+', '-']));
    exponent.is_some_and(|e| e.parse::<u32>().map_or(e.len() > 9, |e| e > 81))
}

fn starts_negative(v: ValueRef<'_>) -> bool {
    match v {
        ValueRef::Text(t) => t.trim_start().starts_with('-'),
        ValueRef::Real(r) => r < 0.0,
        ValueRef::Blob(b) => b.first().is_some_and(|b| *b < 0x80),
        _ => false,
    }
}

/// Bytes as a big-endian number, when they fit 64 bits.
fn bytes_number(b: &[u8]) -> Option<u64> {
    let zeros = b.iter().take_while(|b| **b == 0).count();
    let b = &b[zeros..];
    (b.len() <= 8).then(|| b.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn cut_bytes(t: &str, max: usize) -> &str {
    let mut end = max.min(t.len());
    while !t.is_char_boundary(end) {
        end -= 1;
    }
    &t[..end]
}
