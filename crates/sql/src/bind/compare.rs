//! Comparisons: which side is converted to what, and under which collation texts compare (MySQL 8.0 manual, "Type
//! Conversion in Expression Evaluation").
//!
//! A side that is the same for every row (a [`super::Repr::Slot`]) is converted rather than a column, wherever that
//! gives the same answer, so that SQLite can use its indexes.

use std::rc::Rc;

use p2pdb_model::types::Collation;
use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query};

use super::expr::{balanced, operand_columns};
use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::execute::{looks, sealed};
use crate::field::FieldType;
use crate::plan::{Coerce, Slot};
use crate::session::SqlMode;
use crate::types::{Class, DECIMALS_NOT_FIXED};

/// Two operands made comparable for SQLite.
struct Aligned {
    left: String,
    right: String,
    collation: Option<Collation>,
}

impl Aligned {
    fn sql(&self, op: &str) -> String {
        match self.collation {
            Some(c) => format!("({} {op} {} COLLATE {})", self.left, self.right, c.name()),
            None => format!("({} {op} {})", self.left, self.right),
        }
    }

    fn turned(&self) -> Self {
        Aligned { left: self.right.clone(), right: self.left.clone(), collation: self.collation }
    }

    fn collated_left(&self) -> String {
        match self.collation {
            Some(c) => format!("({} COLLATE {})", self.left, c.name()),
            None => self.left.clone(),
        }
    }
}

/// The collation with which SQLite keeps this, where it is a column of a table and nothing else.
fn stored_collation(b: &Bound) -> Option<Collation> {
    let (_, column) =
        b.as_sql()?.split_once(".c_").filter(|_| b.field.is_some() && b.class() == Class::Text)?;
    column.bytes().all(|c| c.is_ascii_hexdigit()).then_some(b.ty.collation)
}

fn operator(op: &BinaryOperator) -> &'static str {
    match op {
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::Spaceship => "IS",
        _ => "=",
    }
}

/// Integers of at most so many bits are doubles as they are.
const DOUBLE_BITS: u8 = 53;
/// Rows in a list behind IN: SQLite's time to read them grows with their square.
const ROWS_IN_LIST_MAX: usize = 20_000;

impl Binder<'_> {
    /// The collation under which these texts meet.
    ///
    /// # Errors
    /// 1267.
    pub(crate) fn common_collation(&self, all: &[&Bound], operation: &str) -> Result<Collation, SqlError> {
        // Of a character set that is a part of utf8mb4, what comes from the connection gives way.
        let narrow = self.session.narrow_charset();
        let yields = |b: &Bound, c| narrow && c == self.session.collation && stored_collation(b).is_none();
        let mut best: Option<(u8, Collation)> = None;
        let mut gives_way = false;
        for b in all {
            let (c, level) = match b.class() {
                c if c.is_text() => (b.ty.collation, b.coercibility),
                Class::Json => (Collation::Utf8mb4Bin, b.coercibility),
                Class::Null => continue,
                _ => (self.session.collation, coercibility::NUMERIC),
            };
            let (was_yielding, is_yielding) = (gives_way, yields(b, c));
            gives_way = is_yielding && (was_yielding || best.is_none());
            best = Some(match best {
                None => (level, c),
                Some((l, x)) if l < level || x == c => (l.min(level), if l <= level { x } else { c }),
                Some((l, _)) if l > level => (level, c),
                // Of two collations on one level, a binary one wins.
                Some((l, x)) if is_bin(x) && l != coercibility::EXPLICIT => (l, x),
                Some((l, _)) if is_bin(c) && l != coercibility::EXPLICIT => (l, c),
                Some((l, _)) if l == coercibility::COLUMN && was_yielding => (l, c),
                Some((l, x)) if l == coercibility::COLUMN && is_yielding => (l, x),
                Some((l, x)) if l == coercibility::EXPLICIT || l == coercibility::COLUMN => {
                    return Err(SqlError::new(
                        1267,
                        "HY000",
                        format!(
                            "Illegal mix of collations ({},{}) and ({},{}) for operation '{operation}'",
                            x.name(),
                            level_name(l),
                            c.name(),
                            level_name(level)
                        ),
                    ));
                }
                Some(old) => old,
            });
        }
        Ok(best.map_or(self.session.collation, |(_, c)| c))
    }

    /// Bytes among texts that count more become text of their character set, as a literal `x'4A'` does beside a column; where no text
    /// counts more, all are bytes (MySQL 8.0 manual, "Collation Coercibility in Expressions").
    pub(crate) fn beside_texts(&mut self, parts: &mut [Bound]) {
        let texts = parts.iter().filter(|p| p.class().is_text());
        let Some(strongest) = texts.map(|p| p.coercibility).min() else { return };
        for part in parts.iter_mut().filter(|p| p.class() == Class::Bytes && p.coercibility > strongest) {
            *part = self.text_of(part);
        }
    }

    fn compare_slot(&mut self, slot: &Slot, with: &FieldType) -> String {
        if slot.coerce == Coerce::None {
            let coerce = match self.beside && with.class().is_temporal() {
                true => Coerce::Beside(with.clone()),
                false => Coerce::Compare(with.clone()),
            };
            return self.parameter(Slot { source: slot.source.clone(), coerce });
        }
        self.parameter(slot.clone())
    }

    fn aligned_to(&mut self, a: &Bound, b: &Bound, ty: &FieldType) -> Aligned {
        let (a, b) = (self.to(a, ty), self.to(b, ty));
        Aligned { left: self.sql(&a), right: self.sql(&b), collation: None }
    }

    fn as_they_are(&mut self, a: &Bound, b: &Bound) -> Aligned {
        Aligned { left: self.sql(a), right: self.sql(b), collation: None }
    }

    /// Makes two operands comparable. `equality`: only equality is asked for.
    fn align(&mut self, a: &Bound, b: &Bound, equality: bool, name: &str) -> Result<Aligned, SqlError> {
        let (ca, cb) = (a.class(), b.class());
        if ca == Class::Null || cb == Class::Null {
            return Ok(self.as_they_are(a, b));
        }
        // One side is known at execution: it takes the form of the other.
        for (value, other, left) in [(b, a, false), (a, b, true)] {
            let Repr::Slot(slot) = &value.repr else { continue };
            if other.is_slot() || slot.coerce != Coerce::None || value.hex {
                continue;
            }
            let (cv, co) = (value.class(), other.class());
            let members = matches!(co, Class::Enum | Class::Set);
            let fits = match co {
                Class::Int | Class::UInt | Class::Year | Class::Bit | Class::Decimal => {
                    (cv.is_number() || cv == Class::Text)
                        && !matches!((co, cv), (Class::Decimal, Class::Real))
                }
                Class::Real | Class::Float => cv.is_number() || cv == Class::Text,
                c if c.is_temporal() => true,
                _ if members => equality && cv == Class::Text || cv.is_integer(),
                Class::Bytes => matches!(cv, Class::Text | Class::Bytes),
                _ => false,
            };
            if fits {
                // A FLOAT is compared as the double that it is, not the other side as a FLOAT, but where both have a
                // fixed number of digits.
                let fixed = |ty: &FieldType| ty.fixed_decimals() < DECIMALS_NOT_FIXED;
                let as_double = co == Class::Float && !(fixed(&other.ty) && fixed(&value.ty));
                let ty = if as_double { FieldType::double() } else { other.ty.clone() };
                let sql = self.compare_slot(&slot.clone(), &ty);
                let other = self.sql(other);
                let (l, r) = if left { (sql, other) } else { (other, sql) };
                return Ok(Aligned { left: l, right: r, collation: None });
            }
        }
        let number = |c: Class| c.is_number();
        if a.hex && number(cb) || b.hex && number(ca) {
            let ty = FieldType::uint();
            let (x, y) = (
                if a.hex { self.to(a, &ty) } else { a.clone() },
                if b.hex { self.to(b, &ty) } else { b.clone() },
            );
            return self.align(&x, &y, equality, name);
        }
        Ok(match (ca, cb) {
            (x, y) if x.is_integer() && y.is_integer() => self.as_they_are(a, b),
            (Class::Enum | Class::Set, y) if y.is_integer() => self.as_they_are(a, b),
            (x, Class::Enum | Class::Set) if x.is_integer() => self.as_they_are(a, b),
            (Class::Bytes, y) if y.is_text() && b.coercibility < a.coercibility => {
                let a = self.text_of(a);
                return self.align(&a, b, equality, name);
            }
            (x, Class::Bytes) if x.is_text() && a.coercibility < b.coercibility => {
                let b = self.text_of(b);
                return self.align(a, &b, equality, name);
            }
            (Class::Bytes, y) if y.is_text() || y == Class::Bytes => {
                self.aligned_to(a, b, &FieldType::bytes(65_535))
            }
            (x, Class::Bytes) if x.is_text() => self.aligned_to(a, b, &FieldType::bytes(65_535)),
            (x, y) if x.is_text() && y.is_text() => {
                let collation = self.common_collation(&[a, b], name)?;
                // Beside a value a stored column brings its collation by itself. SQLite looks up the parts of an OR
                // by their indexes only where none is written.
                let by_itself = |column: &Bound, value: &Bound| {
                    value.is_slot() && stored_collation(column) == Some(collation)
                };
                let by_itself = by_itself(a, b) || by_itself(b, a);
                let (a, b) = (self.text_of(a), self.text_of(b));
                if collation == Collation::Binary || by_itself {
                    return Ok(self.as_they_are(&a, &b));
                }
                Aligned { left: self.sql(&a), right: self.sql(&b), collation: Some(collation) }
            }
            (Class::Decimal, Class::Decimal) => self.as_they_are(a, b),
            (Class::Decimal, y) if y.is_integer() => self.aligned_to(a, b, &FieldType::decimal(65, 30)),
            (x, Class::Decimal) if x.is_integer() => self.aligned_to(a, b, &FieldType::decimal(65, 30)),
            // What fits a double compares as it is.
            (Class::Int | Class::Year, Class::Real | Class::Float) if a.bits <= DOUBLE_BITS => {
                self.as_they_are(a, b)
            }
            (Class::Real | Class::Float, Class::Int | Class::Year) if b.bits <= DOUBLE_BITS => {
                self.as_they_are(a, b)
            }
            (x, y) if x.is_temporal() && y.is_temporal() => match (x, y) {
                (Class::Time, Class::Time) => self.as_they_are(a, b),
                (Class::Timestamp, Class::Timestamp) => self.as_they_are(a, b),
                _ => self.aligned_to(a, b, &FieldType::datetime(6)),
            },
            (x, y) if x.is_temporal() && (y.is_text() || y == Class::Bytes) => {
                self.date_and_text(a, b, equality, name)?
            }
            (x, y) if y.is_temporal() && (x.is_text() || x == Class::Bytes) => {
                self.date_and_text(b, a, equality, name)?.turned()
            }
            (x, y) if x.is_temporal() && (y.is_integer() || y == Class::Decimal) => {
                self.aligned_to(a, b, &FieldType::decimal(65, 6))
            }
            (x, y) if y.is_temporal() && (x.is_integer() || x == Class::Decimal) => {
                self.aligned_to(a, b, &FieldType::decimal(65, 6))
            }
            _ => self.aligned_to(a, b, &FieldType::double()),
        })
    }

    /// A date or time beside a text: a text that is no date is the zero date, beside DATE one with a time is its
    /// date, and beside TIME texts compare as texts, where they are not the same for all rows.
    fn date_and_text(
        &mut self,
        date: &Bound,
        text: &Bound,
        equality: bool,
        name: &str,
    ) -> Result<Aligned, SqlError> {
        let varies = !text.free.is_empty();
        if date.class() == Class::Time {
            if varies {
                let time = self.text_of(date);
                return self.align(&time, text, equality, name);
            }
            return Ok(self.aligned_to(date, text, &FieldType::time(6)));
        }
        let as_date = varies && date.class() == Class::Date && name != "between";
        let (d, t) = (self.to(date, &FieldType::datetime(6)), self.text_of_bytes(text));
        let right = format!("p_date_beside({},{})", self.sql(&t), u8::from(as_date));
        Ok(Aligned { left: self.sql(&d), right, collation: None })
    }

    /// A text, or bytes as they are.
    fn text_of_bytes(&mut self, b: &Bound) -> Bound {
        if b.class() == Class::Bytes { b.clone() } else { self.text_of(b) }
    }

    /// `a op b` of bound operands.
    pub fn compare(&mut self, a: Bound, op: &BinaryOperator, b: Bound) -> Result<Bound, SqlError> {
        let name = if *op == BinaryOperator::Spaceship { "<=>" } else { operator(op) };
        let json = |x: &Bound| x.class() == Class::Json;
        let null = |x: &Bound| x.class() == Class::Null;
        let mut found_by = None;
        let sql = if (json(&a) || json(&b)) && !null(&a) && !null(&b) {
            let (x, y) = (self.json_of(&a), self.json_of(&b));
            if *op == BinaryOperator::Spaceship {
                format!(
                    "(CASE WHEN {x} IS NULL OR {y} IS NULL THEN {x} IS {y} ELSE p_json_cmp({x},{y})=0 END)"
                )
            } else {
                format!("(p_json_cmp({x},{y}){}0)", operator(op))
            }
        } else {
            let equality =
                matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::Spaceship);
            let aligned = self.align(&a, &b, equality, name)?;
            if *op == BinaryOperator::Eq {
                found_by = self.found_by(&[&aligned]).or_else(|| self.found_by(&[&aligned.turned()]));
            }
            aligned.sql(operator(op))
        };
        let mut out = Bound::new(sql, FieldType::boolean()).with_found_by(found_by);
        out.bits = 1;
        out.not_null =
            *op == BinaryOperator::Spaceship || (a.not_null && b.not_null && no_text_to_date(&a, &b));
        Ok(out.with_parts([&a, &b]))
    }

    /// By what rows are found whose sealed column, on the left, is equal to one of what is on the right.
    fn found_by(&self, all: &[&Aligned]) -> Option<String> {
        let (alias, table, tag) = sealed::cell_of(&all.first()?.left)?;
        let table = self.catalog.table_by_id(table)?;
        let own = table.column_by_tag(tag)?.def.ty.collation();
        // Equal under another collation need not be equal under the column's.
        let as_own = |a: &&&Aligned| a.collation.is_none_or(|c| own == Some(c));
        if all.iter().any(|a| !as_own(&a)) {
            return None;
        }
        let values: Vec<&str> = all.iter().map(|a| a.right.as_str()).collect();
        looks::among(table, alias, tag, &values)
    }

    /// The SQL of a value as JSON.
    pub(crate) fn json_of(&mut self, b: &Bound) -> String {
        let sql = self.sql(b);
        if b.class() == Class::Json {
            return sql;
        }
        let text = self.text_of_members(&sql, &b.ty);
        let code = if matches!(b.class(), Class::Enum | Class::Set) {
            crate::types::TypeCode::of(Class::Text)
        } else {
            b.ty.code()
        };
        let form = b.ty.json_bytes_type().map_or(i64::from(b.truth && b.class() == Class::Int), i64::from);
        format!("p_to_json({text},{},{form})", code.pack())
    }

    pub(crate) fn comparison(
        &mut self,
        l: &Expr,
        op: &BinaryOperator,
        r: &Expr,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let (rows, l, r) = ((row_call(l), row_call(r)), l, r);
        if rows.0.is_some() || rows.1.is_some() {
            let (l, r) = (rows.0.unwrap_or_else(|| l.clone()), rows.1.unwrap_or_else(|| r.clone()));
            return self.comparison(&l, op, &r, s);
        }
        match (strip(l), strip(r)) {
            (Expr::Tuple(a), Expr::Tuple(b)) => self.compare_rows(a, op, b, s),
            (Expr::Tuple(a), Expr::Subquery(q)) if matches!(op, BinaryOperator::Eq) => {
                self.in_query_rows(a, q, false, s)
            }
            (Expr::Tuple(_), _) | (_, Expr::Tuple(_)) => Err(operand_columns(1)),
            (l, r) => {
                let (a, b) = (self.expr(l, s)?, self.expr(r, s)?);
                self.compare(a, op, b)
            }
        }
    }

    fn compare_rows(
        &mut self,
        a: &[Expr],
        op: &BinaryOperator,
        b: &[Expr],
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        if a.len() != b.len() {
            return Err(operand_columns(a.len()));
        }
        let mut parts = Vec::new();
        let (first, last) = match op {
            BinaryOperator::Eq => (BinaryOperator::Eq, BinaryOperator::Eq),
            BinaryOperator::NotEq => (BinaryOperator::NotEq, BinaryOperator::NotEq),
            BinaryOperator::Spaceship => (BinaryOperator::Spaceship, BinaryOperator::Spaceship),
            BinaryOperator::Lt => (BinaryOperator::Lt, BinaryOperator::Lt),
            BinaryOperator::LtEq => (BinaryOperator::Lt, BinaryOperator::LtEq),
            BinaryOperator::Gt => (BinaryOperator::Gt, BinaryOperator::Gt),
            _ => (BinaryOperator::Gt, BinaryOperator::GtEq),
        };
        let n = a.len();
        let mut sql = String::new();
        let lexical = !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::Spaceship);
        if lexical {
            // a1 < b1 OR (a1 = b1 AND (a2 < b2 OR …))
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                let (x, y) = (self.expr(x, s)?, self.expr(y, s)?);
                if i + 1 == n {
                    let c = self.compare(x, &last, y)?;
                    sql += &self.sql(&c);
                    parts.push(c);
                } else {
                    let less = self.compare(x.clone(), &first, y.clone())?;
                    let equal = self.compare(x, &BinaryOperator::Eq, y)?;
                    sql += &format!("({} OR ({} AND ", self.sql(&less), self.sql(&equal));
                    parts.extend([less, equal]);
                }
            }
            sql += &"))".repeat(n - 1);
        } else {
            let mut each = Vec::new();
            for (x, y) in a.iter().zip(b) {
                let (x, y) = (self.expr(x, s)?, self.expr(y, s)?);
                let c = self.compare(x, &first, y)?;
                each.push(self.sql(&c));
                parts.push(c);
            }
            let word = if *op == BinaryOperator::NotEq { " OR " } else { " AND " };
            sql = format!("({})", each.join(word));
        }
        let mut out = Bound::new(sql, FieldType::boolean()).with_parts(&parts);
        if *op == BinaryOperator::Eq {
            let found_by: Vec<&str> = parts.iter().filter_map(Bound::found_by).collect();
            let found_by = (!found_by.is_empty()).then(|| found_by.join(" AND "));
            out = out.with_found_by(found_by);
        }
        out.bits = 1;
        Ok(out)
    }

    fn truth_value(&self, sql: String, parts: &[Bound], not_null: bool) -> Bound {
        let mut out = Bound::new(sql, FieldType::boolean()).with_parts(parts);
        out.bits = 1;
        out.not_null = not_null;
        out
    }

    pub(crate) fn between(
        &mut self,
        e: &Expr,
        low: &Expr,
        high: &Expr,
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let mut parts = [self.expr(e, s)?, self.expr(low, s)?, self.expr(high, s)?];
        self.all_as_dates(&mut parts);
        let [x, lo, hi] = &parts;
        let not = if negated { "NOT " } else { "" };
        let not_null = parts.iter().all(|p| p.not_null);
        let is_text = |p: &Bound| p.class().is_text() || p.class() == Class::Bytes;
        let numbers = [lo, hi].into_iter().filter(|p| p.class().is_number()).count();
        if is_text(x) && numbers == 1 && [lo, hi].into_iter().any(is_text) {
            // All three are numbers then, as their common type is (MySQL 8.0 Reference Manual, BETWEEN).
            let [x, lo, hi] = parts.each_ref().map(|p| {
                let number = self.to(p, &FieldType::double());
                self.sql(&number)
            });
            let sql = format!("({x} {not}BETWEEN {lo} AND {hi})");
            return Ok(self.truth_value(sql, &parts, not_null));
        }
        let sql = self.among(true, |b| b.between_sql(&parts, not))?;
        Ok(self.truth_value(sql, &parts, not_null))
    }

    /// A text that several values are compared with, of which one is a date, is compared as a date, and so are the others
    /// (MySQL 8.0 Reference Manual, "Type Conversion in Expression Evaluation").
    fn all_as_dates(&mut self, parts: &mut [Bound]) {
        let is_text = |p: &Bound| p.class() == Class::Text || p.class() == Class::Bytes;
        if !is_text(&parts[0]) || !parts.iter().any(|p| p.class().has_date()) {
            return;
        }
        for p in parts {
            *p = match p.class() {
                c if c.has_date() => self.to(p, &FieldType::datetime(6)),
                Class::Text | Class::Bytes => {
                    let text = self.text_of_bytes(p);
                    let sql = format!("p_date_beside({},0)", self.sql(&text));
                    Bound { repr: Repr::Sql(sql), ty: FieldType::datetime(6), field: None, ..p.clone() }
                }
                _ => continue,
            };
        }
    }

    /// Compares, of `several` values, one after the other.
    pub(crate) fn among<T>(&mut self, several: bool, compare: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.beside, several);
        let compared = compare(self);
        self.beside = before;
        compared
    }

    fn between_sql(&mut self, parts: &[Bound; 3], not: &str) -> Result<String, SqlError> {
        let [x, lo, hi] = parts;
        let json = parts.iter().any(|p| p.class() == Class::Json);
        let pair = match json {
            true => None,
            false => Some((self.align(x, lo, false, "between")?, self.align(x, hi, false, "between")?)),
        };
        Ok(match pair {
            Some((a, b)) if a.left == b.left && a.collation == b.collation => {
                format!("({} {not}BETWEEN {} AND {})", a.collated_left(), a.right, b.right)
            }
            Some((a, b)) if parts.iter().all(|p| p.class().is_text()) && a.collation != b.collation => {
                let collation = self.common_collation(&[x, lo, hi], "between")?.name();
                let [x, lo, hi] = parts.each_ref().map(|p| {
                    let text = self.text_of(p);
                    self.sql(&text)
                });
                format!("({x} COLLATE {collation} {not}BETWEEN {lo} AND {hi})")
            }
            _ => {
                let from = self.compare(x.clone(), &BinaryOperator::GtEq, lo.clone())?;
                let to = self.compare(x.clone(), &BinaryOperator::LtEq, hi.clone())?;
                format!("({not}({} AND {}))", self.sql(&from), self.sql(&to))
            }
        })
    }

    pub(crate) fn in_list(
        &mut self,
        e: &Expr,
        list: &[Expr],
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let not = if negated { "NOT " } else { "" };
        if let Expr::Tuple(row) = strip(e) {
            if list.len() > ROWS_IN_LIST_MAX {
                return Err(crate::front::too_deep());
            }
            let mut each = Vec::new();
            let mut parts = Vec::new();
            for item in list {
                let Expr::Tuple(other) = strip(item) else { return Err(operand_columns(row.len())) };
                let c = self.compare_rows(row, &BinaryOperator::Eq, other, s)?;
                each.push(self.sql(&c));
                parts.push(c);
            }
            let sql = format!("({not}{})", balanced(&each, " OR "));
            return Ok(self.truth_value(sql, &parts, false));
        }
        let mut parts = vec![self.expr(e, s)?];
        for item in list {
            parts.push(self.expr(item, s)?);
        }
        let texts = parts.iter().filter(|p| p.class().is_text()).map(|p| p.coercibility).min();
        let bytes = parts.iter().filter(|p| p.class() == Class::Bytes).map(|p| p.coercibility).min();
        if let (Some(texts), Some(bytes)) = (texts, bytes)
            && bytes <= texts
            && parts.iter().all(|p| p.class().is_text() || matches!(p.class(), Class::Bytes | Class::Null))
        {
            // All of them are compared in one way.
            parts = parts.iter().map(|p| self.to(p, &FieldType::bytes(p.ty.text_length()))).collect();
        }
        if list.len() > 1 {
            self.all_as_dates(&mut parts);
        }
        let x = parts[0].clone();
        let mut aligned = Vec::new();
        let json = parts.iter().any(|p| p.class() == Class::Json);
        for item in &parts[1..] {
            aligned.push(self.among(list.len() > 1, |b| b.align(&x, item, true, " IN "))?);
        }
        let found_by = match negated || json {
            true => None,
            false => self.found_by(&aligned.iter().collect::<Vec<_>>()),
        };
        let same = aligned.windows(2).all(|w| w[0].left == w[1].left && w[0].collation == w[1].collation);
        let sql = match aligned.first() {
            // IN compares by the collation of its left side, `=` by that of either: `'j' IN (name)`.
            Some(first)
                if same && !json && !(x.is_slot() && (x.class().is_text() || x.class() == Class::Bytes)) =>
            {
                let items: Vec<&str> = aligned.iter().map(|a| a.right.as_str()).collect();
                format!("({} {not}IN ({}))", first.collated_left(), items.join(","))
            }
            _ => {
                let mut each = Vec::new();
                for item in &parts[1..] {
                    let (x, item) = (x.clone(), item.clone());
                    let c = self.among(list.len() > 1, |b| b.compare(x, &BinaryOperator::Eq, item))?;
                    each.push(self.sql(&c));
                }
                format!("({not}{})", balanced(&each, " OR "))
            }
        };
        let not_null = parts.iter().all(|p| p.not_null);
        Ok(self.truth_value(sql, &parts, not_null).with_found_by(found_by))
    }

    pub(crate) fn in_subquery(
        &mut self,
        e: &Expr,
        q: &Query,
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        match strip(e) {
            Expr::Tuple(row) => self.in_query_rows(row, q, negated, s),
            e => self.in_query_rows(std::slice::from_ref(e), q, negated, s),
        }
    }

    fn in_query_rows(
        &mut self,
        row: &[Expr],
        q: &Query,
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        if q.limit_clause.is_some() {
            return Err(SqlError::unsupported("LIMIT & IN/ALL/ANY/SOME subquery"));
        }
        let mut parts = row.iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        let sub = self.query(q, Some(s))?;
        if sub.columns.len() != parts.len() {
            return Err(operand_columns(parts.len()));
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (i, p) in parts.clone().iter().enumerate() {
            let column = sub.column(i, &format!("c{i}"));
            let a = self.align(p, &column, true, " IN ")?;
            left.push(a.collated_left());
            right.push(a.right);
        }
        let not = if negated { "NOT " } else { "" };
        let plain = right.iter().enumerate().all(|(i, r)| *r == format!("c{i}"));
        let inner =
            if plain { sub.sql.clone() } else { format!("SELECT {} FROM ({})", right.join(","), sub.sql) };
        let left = if left.len() == 1 { left.remove(0) } else { format!("({})", left.join(",")) };
        let sql = format!("({left} {not}IN ({inner}))");
        let mut carrier = Bound::new("", FieldType::null());
        carrier.free = sub.free.clone();
        parts.push(carrier);
        Ok(self.truth_value(sql, &parts, false))
    }

    pub(crate) fn exists(&mut self, q: &Query, negated: bool, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let sub = self.query(q, Some(s))?;
        let not = if negated { "NOT " } else { "" };
        let mut out = self.truth_value(format!("({not}EXISTS ({}))", sub.sql), &[], true);
        out.free = sub.free;
        Ok(out)
    }

    pub(crate) fn scalar_subquery(&mut self, q: &Query, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let sub = self.query(q, Some(s))?;
        if sub.columns.len() != 1 {
            return Err(operand_columns(1));
        }
        let sql = if sub.single_row {
            format!("({})", sub.sql)
        } else {
            format!("(SELECT p_one(c0) FROM ({}))", sub.sql)
        };
        let mut out = sub.column(0, &sql);
        out.ty = out.ty.of_expression();
        out.not_null = false;
        out.field = None;
        out.free = sub.free;
        Ok(out)
    }

    /// `x op ANY (…)`, `x op ALL (…)`.
    pub(crate) fn quantified(
        &mut self,
        l: &Expr,
        op: &BinaryOperator,
        r: &Expr,
        all: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let q = match strip(r) {
            Expr::Subquery(q) => q,
            _ => return Err(SqlError::syntax(&r.to_string(), 1)),
        };
        match (op, all) {
            (BinaryOperator::Eq, false) => return self.in_subquery(l, q, false, s),
            (BinaryOperator::NotEq, true) => return self.in_subquery(l, q, true, s),
            _ => {}
        }
        if q.limit_clause.is_some() {
            return Err(SqlError::unsupported("LIMIT & IN/ALL/ANY/SOME subquery"));
        }
        let x = self.expr(l, s)?;
        let sub = self.query(q, Some(s))?;
        if sub.columns.len() != 1 {
            return Err(operand_columns(1));
        }
        let c = self.compare(x.clone(), op, sub.column(0, "c0"))?;
        let c = self.sql(&c);
        // ANY: true if one is true, else NULL if one is NULL, else false. ALL: the same of the negation.
        let (hit, miss) = if all { (0, 1) } else { (1, 0) };
        let sql = format!(
            "(SELECT CASE WHEN max(b={hit}) THEN {hit} WHEN count(*)>count(b) THEN NULL ELSE {miss} END \
             FROM (SELECT {c} AS b FROM ({})))",
            sub.sql
        );
        let mut out = self.truth_value(sql, std::slice::from_ref(&x), false);
        out.free.extend(sub.free);
        Ok(out)
    }

    pub(crate) fn like(
        &mut self,
        e: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let mut parts = [self.expr(e, s)?, self.expr(pattern, s)?];
        self.beside_texts(&mut parts);
        let collation = if parts.iter().any(|p| p.class() == Class::Bytes) {
            Collation::Binary
        } else {
            self.common_collation(&[&parts[0], &parts[1]], "like")?
        };
        let bytewise = parts.iter().any(|p| p.class() == Class::Bytes);
        let [x, p] = parts.each_ref().map(|part| {
            let text = if bytewise { self.bytes_as_text(part) } else { self.text_of(part) };
            self.sql(&text)
        });
        let escape = match escape {
            Some(Expr::Value(v)) => {
                let l = self.literal_value(v)?;
                match l.value {
                    p2pdb_model::Value::Text(t) if t.chars().count() <= 1 => t,
                    p2pdb_model::Value::Null => "\\".to_owned(),
                    _ => return Err(SqlError::new(1210, "HY000", "Incorrect arguments to ESCAPE")),
                }
            }
            Some(_) => return Err(SqlError::new(1210, "HY000", "Incorrect arguments to ESCAPE")),
            None if self.mode().has(SqlMode::NO_BACKSLASH_ESCAPES) => String::new(),
            None => "\\".to_owned(),
        };
        let escape = escape.chars().next().map_or(-1, |c| i64::from(u32::from(c)));
        let sql = format!("p_like({x},{p},{escape},{})", collation.id());
        let sql = if negated { format!("(NOT {sql})") } else { sql };
        let not_null = parts.iter().all(|p| p.not_null);
        Ok(self.truth_value(sql, &parts, not_null))
    }

    pub(crate) fn regexp(
        &mut self,
        e: &Expr,
        pattern: &Expr,
        negated: bool,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let args = vec![self.expr(e, s)?, self.expr(pattern, s)?];
        let b = self.call("REGEXP_LIKE", args)?;
        if !negated {
            return Ok(b);
        }
        let sql = self.sql(&b);
        Ok(Bound { repr: Repr::Sql(format!("(NOT {sql})")), ..b })
    }
}

fn is_bin(c: Collation) -> bool {
    matches!(c, Collation::Utf8mb4Bin | Collation::Utf8mb4_0900Bin)
}

fn level_name(level: u8) -> &'static str {
    match level {
        coercibility::EXPLICIT => "EXPLICIT",
        coercibility::NONE => "NONE",
        coercibility::COLUMN => "IMPLICIT",
        coercibility::SYSTEM => "SYSCONST",
        coercibility::LITERAL => "COERCIBLE",
        coercibility::NUMERIC => "NUMERIC",
        _ => "IGNORABLE",
    }
}

fn no_text_to_date(a: &Bound, b: &Bound) -> bool {
    a.class().is_temporal() == b.class().is_temporal()
}

/// `ROW(a, b)` as `(a, b)`.
fn row_call(e: &Expr) -> Option<Expr> {
    let Expr::Function(f) = strip(e) else { return None };
    if !f.name.to_string().eq_ignore_ascii_case("row") {
        return None;
    }
    let FunctionArguments::List(list) = &f.args else { return None };
    let arg = |a: &FunctionArg| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    };
    let all: Vec<Expr> = list.args.iter().map(arg).collect::<Option<_>>()?;
    (all.len() > 1).then_some(Expr::Tuple(all))
}

/// Without parentheses.
pub(crate) fn strip(e: &Expr) -> &Expr {
    let mut e = e;
    while let Expr::Nested(inner) = e {
        e = inner;
    }
    e
}
