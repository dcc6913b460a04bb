//! Date arithmetic: INTERVAL, DATE_ADD, TIMESTAMPADD, TIMESTAMPDIFF, EXTRACT.

use std::rc::Rc;

use sqlparser::ast::{Expr, Interval};

use super::{Binder, Bound, Scope};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::front::tokens::COMPOUND_UNITS;
use crate::functions::temporal::Unit;
use crate::types::Class;

impl Binder<'_> {
    /// `e + INTERVAL …`, `e - INTERVAL …`.
    pub(crate) fn plus_interval(
        &mut self,
        e: &Expr,
        interval: &Expr,
        minus: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let Expr::Interval(Interval { value, leading_field: Some(field), last_field: None, .. }) = interval
        else {
            return Err(SqlError::syntax(&interval.to_string(), 1));
        };
        let unit = unit(&field.to_string())?;
        let (x, n) = (self.expr(e, s)?, self.expr(value, s)?);
        self.add_interval(&x, &n, unit, minus)
    }

    fn add_interval(&mut self, x: &Bound, n: &Bound, unit: Unit, minus: bool) -> Result<Bound, SqlError> {
        // The amount keeps its digits: text for compound units, a decimal for the rest.
        let whole = n.class() == Class::Text && unit != Unit::Second;
        let whole = if whole && !unit.is_compound() { self.to(n, &FieldType::int()) } else { n.clone() };
        let amount =
            if unit.is_compound() { self.text_of(n) } else { self.to(&whole, &FieldType::decimal(65, 30)) };
        let amount = self.sql(&amount);
        let fsp = if unit.has_micros() || unit == Unit::Second && n.ty.scale() > 0 { 6 } else { 0 };
        let fsp = x.ty.fsp().max(if unit == Unit::Second { n.ty.fsp().min(n.ty.scale()) } else { fsp });
        let sign = if minus { -1 } else { 1 };
        let code = unit as i64;
        let out = match x.class() {
            Class::Date if !unit.has_time() => {
                Bound::new(format!("p_date_add({},{amount},{code},{sign})", self.sql(x)), FieldType::date())
            }
            Class::Time if !unit.has_date() => Bound::new(
                format!("p_time_add({},{amount},{code},{sign})", self.sql(x)),
                FieldType::time(fsp),
            ),
            c if c.is_number() || matches!(c, Class::Text | Class::Null | Class::Bytes) => {
                let t = self.text_of(x);
                let sql = format!("p_text_add({},{amount},{code},{sign})", self.sql(&t));
                let ty = FieldType::text(29, self.session.collation);
                Bound::new(sql, FieldType { kind: FieldKind::Char, ..ty })
            }
            _ => {
                let t = self.to(x, &FieldType::datetime(6));
                let sql = format!("p_date_add({},{amount},{code},{sign})", self.sql(&t));
                Bound::new(sql, FieldType::datetime(fsp))
            }
        };
        Ok(out.with_parts([x, n]))
    }

    pub(crate) fn date_add(&mut self, name: &str, args: &[&Expr], s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let minus = matches!(name, "DATE_SUB" | "SUBDATE");
        match args {
            [e, i @ Expr::Interval(_)] => self.plus_interval(e, i, minus, s),
            [e, n] if matches!(name, "ADDDATE" | "SUBDATE") => {
                let (x, n) = (self.expr(e, s)?, self.expr(n, s)?);
                self.add_interval(&x, &n, Unit::Day, minus)
            }
            _ => Err(SqlError::syntax(&format!("{name}("), 1)),
        }
    }

    pub(crate) fn timestamp_add(&mut self, args: &[&Expr], s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let [u, n, e] = args else { return Err(SqlError::syntax("TIMESTAMPADD(", 1)) };
        let unit = unit(&u.to_string())?;
        let (x, n) = (self.expr(e, s)?, self.expr(n, s)?);
        self.add_interval(&x, &n, unit, false)
    }

    pub(crate) fn timestamp_diff(&mut self, args: &[&Expr], s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let [u, a, b] = args else { return Err(SqlError::syntax("TIMESTAMPDIFF(", 1)) };
        let unit = unit(&u.to_string())?;
        let (a, b) = (self.expr(a, s)?, self.expr(b, s)?);
        let (x, y) = (self.to(&a, &FieldType::datetime(6)), self.to(&b, &FieldType::datetime(6)));
        let sql = format!("p_timestampdiff({},{},{})", unit as i64, self.sql(&x), self.sql(&y));
        Ok(Bound::new(sql, FieldType::int()).with_parts([&a, &b]))
    }

    pub(crate) fn extract(&mut self, field: &str, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let asked = unit(field)?;
        let b = self.expr(e, s)?;
        // A TIME has no days, only hours.
        let unit = match (b.class(), asked) {
            (Class::Time, Unit::DayHour) => Unit::Hour,
            (Class::Time, Unit::DayMinute) => Unit::HourMinute,
            (Class::Time, Unit::DaySecond) => Unit::HourSecond,
            (Class::Time, Unit::DayMicrosecond) => Unit::HourMicrosecond,
            (_, unit) => unit,
        };
        let (f, x) = if unit.has_date() || b.class().has_date() {
            ("p_extract", self.to(&b, &FieldType::datetime(6)))
        } else {
            ("p_extract_time", self.to(&b, &FieldType::time(6)))
        };
        let sql = format!("{f}({},{})", unit as i64, self.sql(&x));
        Ok(Bound::new(sql, FieldType { length: extract_length(asked), ..FieldType::int() }).with_parts([&b]))
    }
}

/// Digits that EXTRACT can give, and a sign.
fn extract_length(unit: Unit) -> u32 {
    match unit {
        Unit::Quarter => 2,
        Unit::Month | Unit::Week | Unit::Day | Unit::Minute | Unit::Second => 3,
        Unit::Hour => 4,
        Unit::Year | Unit::MinuteSecond => 5,
        Unit::HourMinute => 6,
        Unit::YearMonth | Unit::Microsecond => 7,
        Unit::HourSecond => 8,
        Unit::DayHour | Unit::SecondMicrosecond => 9,
        Unit::DayMinute | Unit::MinuteMicrosecond => 11,
        Unit::DaySecond => 13,
        Unit::HourMicrosecond => 14,
        Unit::DayMicrosecond => 20,
    }
}

pub(super) fn unit(word: &str) -> Result<Unit, SqlError> {
    let word = word.trim_matches('`').to_uppercase();
    let stands_for = COMPOUND_UNITS.iter().find(|(_, k)| format!("{k:?}") == word);
    let word = stands_for.map_or(word, |(name, _)| (*name).to_owned());
    let word = word.strip_prefix("SQL_TSI_").unwrap_or(&word);
    Unit::from_name(word).ok_or_else(|| SqlError::syntax(word, 1))
}
