//! Window functions: SQLite has the same ones with the same frames; arguments and types are ours.

use std::rc::Rc;

use p2pdb_model::Value;
use p2pdb_model::catalog::same_name;
use sqlparser::ast::{
    Expr, Interval, NamedWindowExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::call::Call;
use super::query::collate_clause;
use super::{Binder, Bound, Repr, Scope};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::functions::temporal::{Unit, distance_us};
use crate::types::Class;

const ONLY: [&str; 11] = [
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "CUME_DIST",
    "PERCENT_RANK",
    "NTILE",
    "LAG",
    "LEAD",
    "FIRST_VALUE",
    "LAST_VALUE",
    "NTH_VALUE",
];

pub(crate) fn is_window_only(name: &str) -> bool {
    ONLY.contains(&name)
}

impl Binder<'_> {
    pub(crate) fn window(
        &mut self,
        call: &Call<'_>,
        over: &WindowType,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        if !s.aggregates {
            let message = format!(
                "You cannot use the window function '{}' in this context.'",
                call.name.to_lowercase()
            );
            return Err(SqlError::new(3593, "HY000", message));
        }
        let mut parts = Vec::new();
        let over = match over {
            WindowType::WindowSpec(spec) => self.window_spec(spec, s, &mut parts, 0)?,
            WindowType::NamedWindow(name) => self.named_window(&name.value, s, &mut parts, 0)?,
        };
        let over = format!(" OVER ({over})");
        let name = call.name.as_str();
        if super::aggregate::is_aggregate(name) {
            if call.distinct {
                return Err(SqlError::unsupported("<window function>(DISTINCT ..)"));
            }
            let mut b = self.aggregate_of(call, s, &over)?.with_parts(&parts);
            if b.class() == Class::Int {
                b.ty = FieldType { kind: crate::field::FieldKind::LongLong, ..b.ty };
            }
            b.window = true;
            return Ok(b);
        }
        if !is_window_only(name) {
            return Err(SqlError::syntax(&format!("{name}() OVER"), 1));
        }
        let args = call.args.iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        let wrong = || SqlError::syntax(&format!("{name}()"), 1);
        let f = name.to_lowercase();
        let mut b = match (name, args.as_slice()) {
            ("ROW_NUMBER" | "RANK" | "DENSE_RANK", []) => {
                Bound::new(format!("{f}(){over}"), FieldType::uint()).not_null(true)
            }
            ("CUME_DIST" | "PERCENT_RANK", []) => {
                Bound::new(format!("{f}(){over}"), FieldType::double()).not_null(true)
            }
            ("NTILE", [n]) if matches!(self.constant_int(n), Some(i) if i < 1) => {
                return Err(SqlError::new(1210, "HY000", "Incorrect arguments to ntile"));
            }
            ("NTILE", [n]) => {
                let n = self.sql(n);
                Bound::new(format!("ntile({n}){over}"), FieldType::uint()).not_null(true)
            }
            ("FIRST_VALUE" | "LAST_VALUE", [x]) => {
                let sql = self.sql(x);
                Bound {
                    repr: Repr::Sql(format!("{f}({sql}){over}")),
                    not_null: false,
                    field: None,
                    ..x.clone()
                }
            }
            ("NTH_VALUE", [x, n]) => {
                let (sql, n) = (self.sql(x), self.sql(n));
                Bound {
                    repr: Repr::Sql(format!("nth_value({sql},{n}){over}")),
                    not_null: false,
                    field: None,
                    ..x.clone()
                }
            }
            ("LAG" | "LEAD", [x]) => {
                let sql = self.sql(x);
                Bound {
                    repr: Repr::Sql(format!("{f}({sql}){over}")),
                    not_null: false,
                    field: None,
                    ..x.clone()
                }
            }
            ("LAG" | "LEAD", [_, n, ..]) if matches!(self.constant_int(n), Some(i) if i < 0) => {
                return Err(SqlError::syntax(&call.args[1].to_string(), 1));
            }
            ("LAG" | "LEAD", [x, n]) => {
                let (sql, n) = (self.sql(x), self.sql(n));
                Bound {
                    repr: Repr::Sql(format!("{f}({sql},{n}){over}")),
                    not_null: false,
                    field: None,
                    ..x.clone()
                }
            }
            ("LAG" | "LEAD", [x, n, d]) => {
                let ty = self.common_type(&[x.clone(), d.clone()])?;
                let (x2, d2) = (self.to(x, &ty), self.to(d, &ty));
                let sql = format!("{f}({},{},{}){over}", self.sql(&x2), self.sql(n), self.sql(&d2));
                Bound { repr: Repr::Sql(sql), ty, not_null: false, field: None, ..x.clone() }
            }
            _ => return Err(wrong()),
        };
        if b.class() == Class::Int {
            b.ty = FieldType { kind: crate::field::FieldKind::LongLong, ..b.ty };
        }
        b = b.with_parts(&args).with_parts(&parts);
        b.window = true;
        Ok(b)
    }

    fn named_window(
        &mut self,
        name: &str,
        s: &Rc<Scope>,
        parts: &mut Vec<Bound>,
        depth: usize,
    ) -> Result<String, SqlError> {
        let windows = s.windows.clone();
        let found = windows.iter().find(|w| same_name(&w.0.value, name));
        let missing = || SqlError::new(3579, "HY000", format!("Window name '{name}' is not defined."));
        if depth > windows.len() {
            return Err(SqlError::new(
                3580,
                "HY000",
                "There is a circularity in the window dependency graph.",
            ));
        }
        match &found.ok_or_else(missing)?.1 {
            NamedWindowExpr::NamedWindow(other) => self.named_window(&other.value, s, parts, depth + 1),
            NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec, s, parts, depth + 1),
        }
    }

    fn window_spec(
        &mut self,
        w: &WindowSpec,
        s: &Rc<Scope>,
        parts: &mut Vec<Bound>,
        depth: usize,
    ) -> Result<String, SqlError> {
        let mut out = Vec::new();
        if let Some(name) = &w.window_name {
            out.push(self.named_window(&name.value, s, parts, depth)?);
        }
        if !w.partition_by.is_empty() {
            let mut list = Vec::new();
            for e in &w.partition_by {
                let b = self.expr(e, s)?;
                list.push(format!("{}{}", self.sql(&b), collate_clause(&b.ty)));
                parts.push(b);
            }
            out.push(format!("PARTITION BY {}", list.join(",")));
        }
        let (mut numeric, mut text, mut instants) = (true, w.order_by.len() != 1, false);
        let by_instants = w.window_frame.as_ref().is_some_and(is_by_intervals);
        if !w.order_by.is_empty() {
            let mut list = Vec::new();
            for o in &w.order_by {
                let b = self.expr(&o.expr, s)?;
                if by_instants && w.order_by.len() == 1 && b.class().is_temporal() {
                    let instant = self.instant(&b);
                    list.push(self.order_key(&instant, o)?);
                    (numeric, instants) = (false, true);
                    parts.push(b);
                    continue;
                }
                numeric &= matches!(b.class(), Class::Int | Class::Real | Class::Float | Class::Year);
                text |= !(b.class().is_number() || b.class().is_temporal());
                list.push(self.order_key(&b, o)?);
                parts.push(b);
            }
            out.push(format!("ORDER BY {}", list.join(",")));
        }
        if let Some(f) = &w.window_frame {
            out.push(self.frame(f, (numeric, text, instants), s)?);
        }
        Ok(out.join(" "))
    }

    /// A date or time as a number that grows by one with each microsecond.
    fn instant(&mut self, b: &Bound) -> Bound {
        let instant = if b.class() == Class::Time {
            let time = self.to(b, &FieldType::time(6));
            self.sql(&time)
        } else {
            let t = self.to(b, &FieldType::datetime(6));
            format!("p_instant({})", self.sql(&t))
        };
        Bound { repr: Repr::Sql(instant), ty: FieldType::int(), field: None, ..b.clone() }
    }

    /// How many microseconds a frame reaches: SQLite takes one number for all rows.
    fn distance_us(&mut self, i: &Interval, s: &Rc<Scope>) -> Result<i64, SqlError> {
        let Interval { value, leading_field: Some(field), last_field: None, .. } = i else {
            return Err(SqlError::syntax(&i.to_string(), 1));
        };
        let unit = super::interval::unit(&field.to_string())?;
        if matches!(unit, Unit::Month | Unit::Quarter | Unit::Year | Unit::YearMonth) {
            return Err(SqlError::unsupported("RANGE frames of months and years"));
        }
        let n = self.expr(value, s)?;
        let value = match self.constant_int(&n) {
            Some(n) => Some(Value::Int(n)),
            None => self.constant_text(&n).map(Value::Text),
        };
        let value =
            value.ok_or_else(|| SqlError::unsupported("RANGE frames of intervals that are no literals"))?;
        distance_us(&value, unit).ok_or_else(|| {
            let message =
                "Window '<unnamed window>': frame start or end is negative, NULL or of non-integral type";
            SqlError::new(3586, "HY000", message)
        })
    }

    fn frame(
        &mut self,
        f: &WindowFrame,
        (numeric, text, instants): (bool, bool, bool),
        s: &Rc<Scope>,
    ) -> Result<String, SqlError> {
        let units = match f.units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => return Err(SqlError::unsupported("GROUPS")),
        };
        let range = matches!(f.units, WindowFrameUnits::Range);
        let mut bound = |b: &WindowFrameBound| -> Result<String, SqlError> {
            let (e, word) = match b {
                WindowFrameBound::CurrentRow => return Ok("CURRENT ROW".to_owned()),
                WindowFrameBound::Preceding(e) => (e, "PRECEDING"),
                WindowFrameBound::Following(e) => (e, "FOLLOWING"),
            };
            let Some(e) = e else { return Ok(format!("UNBOUNDED {word}")) };
            if range && text {
                let message = "Window '<unnamed window>' with RANGE N PRECEDING/FOLLOWING frame requires exactly one \
                               deterministic ORDER BY expression, of numeric or temporal type";
                return Err(SqlError::new(3587, "HY000", message));
            }
            let is_interval = matches!(**e, Expr::Interval(_));
            if range && is_interval && numeric {
                let message = "Window '<unnamed window>' with RANGE frame has ORDER BY expression of numeric type, INTERVAL \
                               bound value not allowed.";
                return Err(SqlError::new(3589, "HY000", message));
            }
            if range && instants {
                let Expr::Interval(interval) = &**e else {
                    let message = "Window '<unnamed window>' with RANGE frame has ORDER BY expression of datetime type. Only \
                                   INTERVAL bound value allowed.";
                    return Err(SqlError::new(3588, "HY000", message));
                };
                return Ok(format!("{} {word}", self.distance_us(interval, s)?));
            }
            if is_interval || (range && !numeric) {
                return Err(SqlError::unsupported("RANGE frames over anything but integers and doubles"));
            }
            let b = self.expr(e, s)?;
            Ok(format!("{} {word}", self.sql(&b)))
        };
        if matches!(f.start_bound, WindowFrameBound::Following(None))
            || matches!(f.end_bound, Some(WindowFrameBound::Preceding(None)))
        {
            return Err(SqlError::syntax("UNBOUNDED", 1));
        }
        let start = bound(&f.start_bound)?;
        let end = f.end_bound.as_ref().unwrap_or(&WindowFrameBound::CurrentRow);
        let backwards = match (&f.start_bound, end) {
            (WindowFrameBound::Following(_), end) => !matches!(end, WindowFrameBound::Following(_)),
            (WindowFrameBound::CurrentRow, end) => matches!(end, WindowFrameBound::Preceding(_)),
            _ => false,
        };
        if backwards {
            let message =
                "Window '<unnamed window>': frame start or end is negative, NULL or of non-integral type";
            return Err(SqlError::new(3586, "HY000", message));
        }
        Ok(match &f.end_bound {
            Some(end) => format!("{units} BETWEEN {start} AND {}", bound(end)?),
            None => format!("{units} {start}"),
        })
    }
}

/// RANGE between dates or times.
fn is_by_intervals(f: &WindowFrame) -> bool {
    let bounded = |b: &WindowFrameBound| {
        matches!(b, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)))
    };
    matches!(f.units, WindowFrameUnits::Range)
        && (bounded(&f.start_bound) || f.end_bound.as_ref().is_some_and(bounded))
}
