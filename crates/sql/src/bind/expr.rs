//! Expressions: dispatch, conversion between types, conditions, CASE.

use std::rc::Rc;

use p2pdb_model::Value;
use p2pdb_model::types::Collation;
use sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator};

use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::front::Literal;
use crate::functions::members_spec;
use crate::plan::{Coerce, EarlierWarnings, SessionInfo, Slot, Source};
use crate::session::{SqlMode, UserVariable};
use crate::types::{self, Class, TypeCode};

/// Stack that must be left for one more level of an expression, bytes.
const STACK_LEFT_BYTES: usize = 128 * 1024;
/// Stack that is added when it is not, bytes.
const STACK_MORE_BYTES: usize = 4 * 1024 * 1024;

/// Character sets of MySQL whose collations cannot be given to text in utf8mb4.
const OTHER_CHARSETS: [&str; 38] = [
    "armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932",
    "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2",
    "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620",
    "ucs2", "ujis", "utf16", "utf16le", "utf32",
];

/// Length of a user variable that was never set, bytes.
const MISSING_VARIABLE_BYTES: u32 = 65_532;

/// Functions that need no parentheses, which the parser takes for names (MySQL manual, 14.7 and 14.15).
const CALLED_BARE: [&str; 4] = ["current_user", "utc_date", "utc_time", "utc_timestamp"];

/// System variables of a session that have the same value where its statements are run again (MySQL 8.4 manual, section 7.4.4.3).
const REPLICATED: [&str; 18] = [
    "auto_increment_increment",
    "auto_increment_offset",
    "character_set_client",
    "character_set_connection",
    "character_set_database",
    "character_set_server",
    "collation_connection",
    "collation_database",
    "collation_server",
    "foreign_key_checks",
    "identity",
    "last_insert_id",
    "lc_time_names",
    "pseudo_thread_id",
    "sql_auto_is_null",
    "time_zone",
    "timestamp",
    "unique_checks",
];

impl Binder<'_> {
    /// An expression in a scope.
    ///
    /// # Errors
    /// Everything that names, types and unsupported features can give.
    pub fn expr(&mut self, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let mut b = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_MORE_BYTES, || self.expr_inner(e, s))?;
        if let (Some(group), Repr::Sql(sql)) = (&s.group, &b.repr)
            && (!b.free.is_empty() || group.rolled.is_some())
            && let Some(at) = group.expressions.iter().position(|g| g == sql)
        {
            b.free.retain(|f| f.scope != s.id);
            if group.rolled.is_some_and(|r| at >= r) {
                b.repr = Repr::Sql("NULL".to_owned());
                b.not_null = false;
            }
        }
        Ok(b)
    }

    fn expr_inner(&mut self, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        if s.clause == "where clause"
            && matches!(e, Expr::Function(_) | Expr::BinaryOp { .. } | Expr::Cast { .. })
            && let Some(b) = s.hidden(e)
        {
            return Ok(b);
        }
        match e {
            Expr::Identifier(i) if i.quote_style.is_none() && i.value.starts_with('@') => {
                self.variable(&[i.value.as_str()])
            }
            // Reserved words that are functions also without parentheses.
            Expr::Identifier(i)
                if i.quote_style.is_none()
                    && CALLED_BARE.iter().any(|name| i.value.eq_ignore_ascii_case(name)) =>
            {
                let call = format!("{}()", i.value);
                let parsed = sqlparser::parser::Parser::new(&crate::front::dialect::P2pdbDialect)
                    .try_with_sql(&call)
                    .and_then(|mut p| p.parse_expr());
                self.expr(&parsed.map_err(|_| SqlError::syntax(&i.value, 1))?, s)
            }
            Expr::Identifier(i) => match self.local(&i.value) {
                Some(b) => Ok(b),
                None => s.resolve(&[&i.value]),
            },
            Expr::CompoundIdentifier(parts) => {
                let parts: Vec<&str> = parts.iter().map(|i| i.value.as_str()).collect();
                if parts[0].starts_with("@@") {
                    return self.variable(&parts);
                }
                match self.row_of_trigger(&parts)? {
                    Some(b) => Ok(b),
                    None => s.resolve(&parts),
                }
            }
            Expr::Value(v) => self.literal(v),
            Expr::Nested(e) => self.expr(e, s),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, s),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, s),
            Expr::IsNull(e) => self.is_null(e, false, s),
            Expr::IsNotNull(e) => self.is_null(e, true, s),
            Expr::IsTrue(e) => self.is_truth(e, "IS TRUE", s),
            Expr::IsNotTrue(e) => self.is_truth(e, "IS NOT TRUE", s),
            Expr::IsFalse(e) => self.is_truth(e, "IS FALSE", s),
            Expr::IsNotFalse(e) => self.is_truth(e, "IS NOT FALSE", s),
            Expr::IsUnknown(e) => self.is_null(e, false, s),
            Expr::IsNotUnknown(e) => self.is_null(e, true, s),
            Expr::Between { expr, negated, low, high } => self.between(expr, low, high, *negated, s),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated, s),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated, s),
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated, s),
            Expr::Subquery(q) => self.scalar_subquery(q, s),
            Expr::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, false, s),
            Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, true, s),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated, s)
            }
            Expr::RLike { negated, expr, pattern, .. } => self.regexp(expr, pattern, *negated, s),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), s)
            }
            Expr::Collate { expr, collation } => self.collate(expr, &collation.to_string(), s),
            Expr::Cast { kind: ast::CastKind::Cast, expr, data_type, format: None } => {
                self.cast(expr, data_type, s)
            }
            Expr::Convert { is_try: false, expr, data_type, charset, styles, .. } if styles.is_empty() => {
                match (data_type, charset) {
                    (Some(t), _) => self.cast(expr, t, s),
                    (None, Some(c)) => self.convert_using(expr, &c.to_string(), s),
                    _ => Err(SqlError::unsupported("CONVERT")),
                }
            }
            Expr::Prefixed { prefix, value } => self.introduced(&prefix.value, value, s),
            Expr::TypedString(t) => self.typed_string(t, s),
            Expr::Interval(_) => Err(SqlError::unsupported("INTERVAL outside of date arithmetic")),
            Expr::Extract { field, expr, .. } => self.extract(&field.to_string(), expr, s),
            Expr::Function(f) => self.function(f, s),
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.trim(trim_where.as_ref(), trim_what.as_deref(), expr, s)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.expr(expr, s)?];
                for e in [substring_from, substring_for].into_iter().flatten() {
                    args.push(self.expr(e, s)?);
                }
                self.call("SUBSTRING", args)
            }
            Expr::Position { expr, r#in } => {
                let args = vec![self.expr(expr, s)?, self.expr(r#in, s)?];
                self.call("LOCATE", args)
            }
            Expr::Ceil { expr, .. } => {
                let args = vec![self.expr(expr, s)?];
                self.call("CEILING", args)
            }
            Expr::Floor { expr, .. } => {
                let args = vec![self.expr(expr, s)?];
                self.call("FLOOR", args)
            }
            Expr::MemberOf(m) => {
                let args = vec![self.expr(&m.value, s)?, self.expr(&m.array, s)?];
                self.call("MEMBER OF", args)
            }
            Expr::Tuple(_) => Err(operand_columns(1)),
            Expr::MatchAgainst { columns, match_value, opt_search_modifier } => {
                let columns: Vec<_> = columns.iter().map(crate::front::forms::identifiers).collect();
                self.search(&columns, &Expr::Value(match_value.clone()), opt_search_modifier.as_ref(), s)
            }
            other => Err(SqlError::unsupported(other)),
        }
    }

    /// A local variable of the running stored program.
    fn local(&mut self, name: &str) -> Option<Bound> {
        // The texts of views and of the schema see none.
        let locals = self.session.locals_in_sight().filter(|_| self.sees_locals())?;
        let at = locals.names.find(name)?;
        let ty = locals.types.get(at)?.clone();
        let mut b = Bound::slot(Slot { source: Source::Local(at), coerce: Coerce::None }, ty);
        if b.class().is_text() || matches!(b.class(), Class::Bytes | Class::Json) {
            b.coercibility = coercibility::COLUMN;
        }
        Some(b)
    }

    /// A column of NEW or OLD.
    fn row_of_trigger(&mut self, parts: &[&str]) -> Result<Option<Bound>, SqlError> {
        let [row, column] = parts else { return Ok(None) };
        let is_row = ["new", "old"].iter().any(|w| row.eq_ignore_ascii_case(w));
        let event = self.session.locals_in_sight().filter(|_| is_row && self.sees_locals());
        let Some(event) = event.and_then(|l| l.names.event) else { return Ok(None) };
        match self.local(&format!("{}.{column}", row.to_lowercase())) {
            Some(b) => Ok(Some(b)),
            None => Err(crate::routine::no_row(row, column, event)),
        }
    }

    /// `@user` or `@@system`.
    fn variable(&mut self, parts: &[&str]) -> Result<Bound, SqlError> {
        let first = parts[0];
        let Some(name) = first.strip_prefix("@@") else {
            let name = first.trim_start_matches('@').to_lowercase();
            let ty = match self.session.user_variables.get(&name) {
                Some(v) => v.ty.clone(),
                None => FieldType::null(),
            };
            let missing = !self.session.user_variables.contains_key(&name);
            if self.assigns {
                // One that was not there before is read as a text, whatever is assigned to it.
                let ty = match missing {
                    true => FieldType::text(types::TEXT_LENGTH_UNKNOWN, self.session.collation),
                    false => self.assigned.get(&name).cloned().unwrap_or(ty),
                };
                return Ok(self.changing_variable(&name, ty));
            }
            // The cache knows the classes of the variables that a plan assumes: see `Front`.
            let ty = if missing { FieldType::bytes(MISSING_VARIABLE_BYTES) } else { ty.of_variable() };
            let slot = Slot { source: Source::UserVariable(name), coerce: Coerce::Expression(ty.clone()) };
            let mut b = Bound::slot(slot, ty);
            b.coercibility = coercibility::COLUMN;
            return Ok(b);
        };
        let (global, name) = match (name.to_ascii_lowercase().as_str(), parts.get(1)) {
            ("global" | "persist", Some(n)) => (true, n.to_lowercase()),
            ("session" | "local", Some(n)) => (false, n.to_lowercase()),
            (n, None) => (false, n.to_owned()),
            _ => return Err(SqlError::unknown_variable(name)),
        };
        if global || !REPLICATED.contains(&name.as_str()) {
            self.note_unsafe();
        }
        if matches!(name.as_str(), "warning_count" | "error_count") {
            self.earlier_warnings = EarlierWarnings::Counted;
        }
        let declared = crate::variables::find(&name).map(crate::variables::field_type);
        let by_value = match self.session.system_variable(&name, global)? {
            Value::Int(_) => FieldType::int(),
            Value::Blob(_) => FieldType::uint(),
            Value::Real(_) => FieldType::double(),
            _ => FieldType::text(1024, Collation::Utf8mb4GeneralCi),
        };
        let fits = |ty: &FieldType| match by_value.class() {
            Class::Int | Class::UInt => ty.class().is_integer(),
            class => ty.class() == class,
        };
        let ty = declared.filter(fits).unwrap_or(by_value);
        let slot = Slot { source: Source::SystemVariable { name, global }, coerce: Coerce::None };
        let mut b = Bound::slot(slot, ty);
        b.coercibility = coercibility::SYSTEM;
        Ok(b)
    }

    /// `@x` in a statement that assigns to variables: what it is when the row is made. Its type is that from before, or of what
    /// the statement assigns to it.
    fn changing_variable(&mut self, name: &str, ty: FieldType) -> Bound {
        let ty = ty.of_variable();
        let source = Source::UserVariable(name.to_owned());
        let before = self.parameter(Slot { source, coerce: Coerce::Expression(ty.clone()) });
        let name = self.constant(Value::Text(name.to_owned()));
        let mut b = Bound::new(format!("p_variable({name},{},{before})", ty.code().pack()), ty);
        b.coercibility = coercibility::COLUMN;
        b
    }

    /// `@x := e`.
    fn assign_variable(&mut self, l: &Expr, r: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let name = match l {
            Expr::Identifier(i)
                if i.quote_style.is_none() && i.value.starts_with('@') && !i.value.starts_with("@@") =>
            {
                i.value[1..].trim_matches(['`', '\'', '"']).to_lowercase()
            }
            _ => return Err(SqlError::syntax(&l.to_string(), 1)),
        };
        UserVariable::check_name(&name)?;
        let b = self.expr(r, s)?;
        let ty = b.ty.of_variable();
        if let Some(there) = self.session.user_variables.get(&name) {
            let before = self.assigned.get(&name).unwrap_or(&there.ty).of_variable();
            let wide = types::unify(&before, &ty);
            self.widened |= before.class() != wide.class();
            self.assigned.insert(name.clone(), wide);
        }
        let value = if b.class() == Class::Null { b.clone() } else { self.to(&b, &ty) };
        let (sql, name) = (self.sql(&value), self.constant(Value::Text(name)));
        let out = Bound {
            repr: Repr::Sql(format!("p_set_variable({name},{sql},{})", ty.code().pack())),
            ty,
            field: None,
            hex: false,
            coercibility: coercibility::COLUMN,
            ..b.clone()
        };
        Ok(out)
    }

    /// A slot of the session.
    pub(crate) fn session_slot(&mut self, source: Source, ty: FieldType) -> Bound {
        let mut b = Bound::slot(Slot { source, coerce: Coerce::None }, ty);
        b.coercibility = coercibility::SYSTEM;
        b.not_null =
            !matches!(b.repr, Repr::Slot(Slot { source: Source::SessionInfo(SessionInfo::Database), .. }));
        b
    }

    /// ENUM and SET as text; other types as they are.
    pub(crate) fn text_of_members(&mut self, sql: &str, ty: &FieldType) -> String {
        match &ty.kind {
            FieldKind::Enum(m) => {
                let spec = self.constant(Value::Text(members_spec(m)));
                format!("p_enum({sql},{spec})")
            }
            FieldKind::Set(m) => {
                let spec = self.constant(Value::Text(members_spec(m)));
                format!("p_set({sql},{spec})")
            }
            _ => sql.to_owned(),
        }
    }

    /// The expression as a value of this type (the rules of expressions, not of assignments).
    pub fn to(&mut self, b: &Bound, ty: &FieldType) -> Bound {
        let (from, to) = (b.class(), ty.class());
        let converted = |repr: Repr| Bound {
            repr,
            ty: ty.clone(),
            hex: false,
            bits: types::magnitude_bits(ty),
            field: None,
            ..b.clone()
        };
        if same_form(&b.ty, ty) || from == Class::Null {
            return Bound { ty: ty.clone(), field: None, ..b.clone() };
        }
        if b.hex && to.is_number() {
            let sql = self.sql(b);
            let n = Bound {
                ty: FieldType::uint(),
                hex: false,
                repr: Repr::Sql(format!("p_hexnum({sql})")),
                ..b.clone()
            };
            return self.to(&n, ty);
        }
        if let Repr::Slot(slot) = &b.repr
            && slot.coerce == Coerce::None
        {
            let coerce = Coerce::Expression(ty.clone());
            return converted(Repr::Slot(Slot { source: slot.source.clone(), coerce }));
        }
        let sql = self.sql(b);
        let out = match (from, to) {
            (Class::Int | Class::Year, Class::Real) => format!("CAST({sql} AS REAL)"),
            (Class::Int | Class::Year, Class::Float) => format!("p_single(CAST({sql} AS REAL))"),
            (Class::Text, Class::Bytes) if self.is_latin1(b) => format!("p_latin1({sql})"),
            (Class::Enum | Class::Set, _) if !to.is_number() => {
                let text = self.text_of_members(&sql, &b.ty);
                if to == Class::Text {
                    text
                } else {
                    let code = TypeCode::of(Class::Text).pack();
                    format!("p_cv({text},{code},{})", ty.code().pack())
                }
            }
            _ => {
                let long = matches!(b.ty.kind, FieldKind::Text | FieldKind::Blob) && b.field.is_some();
                let f = if long && to.is_number() { "p_cv_quietly" } else { "p_cv" };
                format!("{f}({sql},{},{})", b.ty.code().pack(), ty.code().pack())
            }
        };
        let mut out = converted(Repr::Sql(out));
        // Text that is no date becomes NULL.
        out.not_null &= !to.is_temporal();
        out
    }

    /// The expression as text under its collation.
    pub(crate) fn text_of(&mut self, b: &Bound) -> Bound {
        if b.class() == Class::Text {
            return b.clone();
        }
        let collation = super::collation_of(&b.ty, self.session);
        let ty = FieldType::text(b.ty.text_length(), collation);
        self.to(b, &ty)
    }

    /// A condition: SQL that is 1, 0 or NULL.
    pub fn condition(&mut self, e: &Expr, s: &Rc<Scope>) -> Result<String, SqlError> {
        let b = self.expr(e, s)?;
        let sql = self.truth(&b);
        Ok(match b.found_by() {
            Some(found_by) => format!("({found_by} AND {sql})"),
            None => sql,
        })
    }

    /// The SQL of a truth value: any value that is not zero.
    pub(crate) fn truth(&mut self, b: &Bound) -> String {
        if let Some(found) = b.as_sql().and_then(super::search::found) {
            return found;
        }
        match b.class() {
            Class::Int | Class::Null | Class::Year if b.bits <= 1 => self.sql(b),
            Class::Int | Class::UInt | Class::Year | Class::Bit | Class::Real | Class::Float => {
                let sql = self.sql(b);
                format!("({sql}<>0)")
            }
            Class::Null => self.sql(b),
            Class::Enum | Class::Set => {
                let sql = self.sql(b);
                format!("({sql}<>0)")
            }
            c if c.is_temporal() => {
                let sql = self.sql(b);
                format!("({sql}<>0)")
            }
            // Everything but the number 0, also `false` and the null of JSON. Only a number begins like this.
            Class::Json => {
                let sql = self.sql(b);
                format!("({sql} NOT GLOB '[-0]*' OR CAST({sql} AS REAL)<>0.0)")
            }
            _ => {
                let r = self.to(b, &FieldType::double());
                let sql = self.sql(&r);
                format!("({sql}<>0.0)")
            }
        }
    }

    /// The same for IF and CASE, which take JSON for a number.
    pub(crate) fn truth_of_number(&mut self, b: &Bound) -> String {
        if b.class() != Class::Json {
            return self.truth(b);
        }
        let number = self.to(b, &FieldType::double());
        self.truth(&number)
    }

    fn boolean(&self, sql: String, parts: &[&Bound]) -> Bound {
        let mut b = Bound::new(sql, FieldType::boolean());
        b.bits = 1;
        b.not_null = parts.iter().all(|p| p.not_null);
        b.with_parts(parts.iter().copied())
    }

    fn is_null(&mut self, e: &Expr, negated: bool, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let b = self.expr(e, s)?;
        let sql = self.sql(&b);
        if b.not_null && matches!(b.class(), Class::Date | Class::DateTime) && b.field.is_some() {
            // The zero date of a NOT NULL column is found by IS NULL (for ODBC).
            let op = if negated { "IS NOT NULL" } else { "=0" };
            return Ok(self.boolean(format!("({sql} {op})"), &[&b]).not_null(true));
        }
        let not = if negated { "NOT NULL" } else { "IS NULL" };
        Ok(self.boolean(format!("({sql} {not})"), &[&b]).not_null(true))
    }

    fn is_truth(&mut self, e: &Expr, what: &str, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let b = self.expr(e, s)?;
        let sql = self.truth(&b);
        Ok(self.boolean(format!("({sql} {what})"), &[&b]).not_null(true))
    }

    fn unary(&mut self, op: UnaryOperator, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        match op {
            UnaryOperator::Plus => self.expr(e, s),
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let b = self.expr(e, s)?;
                let sql = self.truth(&b);
                Ok(self.boolean(format!("(NOT {sql})"), &[&b]))
            }
            UnaryOperator::Minus => {
                if let Expr::Value(v) = e
                    && self.text.is_none_or(|t| t.lifted(v.span).is_none())
                    && let ast::Value::Number(n, _) = &v.value
                {
                    let l = self.literal_value(v)?;
                    let l = crate::front::tokens::negated(l, n);
                    return Ok(self.constant_literal(&l));
                }
                let b = self.expr(e, s)?;
                // -9223372036854775808 is a number, though what follows the sign is greater than every BIGINT.
                if let (Class::UInt, Repr::Slot(Slot { source: Source::Literal(n), coerce: Coerce::None })) =
                    (b.class(), &b.repr)
                    && let Some(l) = self.text.and_then(|t| t.literal(*n))
                    && l.value == Value::from_u64(1 << 63)
                {
                    self.text.inspect(|t| t.pin(*n));
                    return Ok(self.constant_literal(&Literal::int(i64::MIN)));
                }
                self.negate(&b)
            }
            UnaryOperator::BitwiseNot => {
                let b = self.expr(e, s)?;
                self.bit_not(&b)
            }
            _ => Err(SqlError::syntax(&op.to_string(), 1)),
        }
    }

    fn binary(&mut self, l: &Expr, op: &BinaryOperator, r: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        use BinaryOperator::*;
        match op {
            And | Or => self.logic(l, op, r, s),
            Xor => {
                let (a, b) = (self.expr(l, s)?, self.expr(r, s)?);
                let (x, y) = (self.truth(&a), self.truth(&b));
                Ok(self.boolean(format!("({x}<>{y})"), &[&a, &b]))
            }
            Eq | NotEq | Lt | LtEq | Gt | GtEq | Spaceship => self.comparison(l, op, r, s),
            Plus | Minus if is_interval(r) => self.plus_interval(l, r, *op == Minus, s),
            Plus if is_interval(l) => self.plus_interval(r, l, false, s),
            Plus | Minus | Multiply | Divide | Modulo | MyIntegerDivide => {
                let (a, b) = (self.expr(l, s)?, self.expr(r, s)?);
                self.arithmetic(op, a, b)
            }
            BitwiseAnd | BitwiseOr | BitwiseXor | PGBitwiseShiftLeft | PGBitwiseShiftRight => {
                let (a, b) = (self.expr(l, s)?, self.expr(r, s)?);
                self.bits(op, a, b)
            }
            StringConcat if self.mode().has(SqlMode::PIPES_AS_CONCAT) => {
                let args = vec![self.expr(l, s)?, self.expr(r, s)?];
                self.call("CONCAT", args)
            }
            Arrow | LongArrow if !is_column(l) => Err(SqlError::syntax(&op.to_string(), 1)),
            Arrow => {
                let args = vec![self.expr(l, s)?, self.expr(r, s)?];
                self.call("JSON_EXTRACT", args)
            }
            LongArrow => {
                let args = vec![self.expr(l, s)?, self.expr(r, s)?];
                let extracted = self.call("JSON_EXTRACT", args)?;
                self.call("JSON_UNQUOTE", vec![extracted])
            }
            Assignment => self.assign_variable(l, r, s),
            other => Err(SqlError::unsupported(other)),
        }
    }

    /// AND and OR: long chains become balanced trees, since SQLite limits their depth.
    fn logic(&mut self, l: &Expr, op: &BinaryOperator, r: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let mut operands = vec![r];
        let mut left = l;
        loop {
            match left {
                Expr::BinaryOp { left: a, op: o, right: b } if o == op => {
                    operands.push(b);
                    left = a;
                }
                _ => break,
            }
        }
        operands.push(left);
        operands.reverse();
        let word = if *op == BinaryOperator::And { " AND " } else { " OR " };
        let bound = operands.into_iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        let sqls: Vec<String> = bound.iter().map(|b| self.truth(b)).collect();
        let sql = balanced(&sqls, word);
        let parts: Vec<&Bound> = bound.iter().collect();
        let found_by: Vec<&str> = bound.iter().filter_map(Bound::found_by).collect();
        // One side of an OR may be true without any of what the other is found by.
        let says = !found_by.is_empty() && (*op == BinaryOperator::And || found_by.len() == bound.len());
        Ok(self.boolean(sql, &parts).with_found_by(says.then(|| format!("({})", found_by.join(word)))))
    }

    fn collate(&mut self, e: &Expr, name: &str, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let name = name.trim_matches(['`', '"', '\'']);
        let Some(collation) = Collation::from_name(name) else {
            let set = name.split('_').next().unwrap_or_default().to_ascii_lowercase();
            if OTHER_CHARSETS.contains(&set.as_str()) {
                let message = format!("COLLATION '{name}' is not valid for CHARACTER SET 'utf8mb4'");
                return Err(SqlError::new(1253, "42000", message));
            }
            return Err(SqlError::unknown_collation(name));
        };
        let b = self.expr(e, s)?;
        let mut b = self.text_of(&b);
        if collation == Collation::Binary && b.class() != Class::Bytes {
            let ty = FieldType::bytes(b.ty.length.saturating_mul(4));
            b = self.to(&b, &ty);
        }
        b.ty.collation = collation;
        b.coercibility = coercibility::EXPLICIT;
        b.field = None;
        Ok(b)
    }

    /// `_utf8mb4'…'`, `N'…'`, `_binary x'…'`.
    fn introduced(&mut self, charset: &str, value: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let charset = charset.trim_start_matches('_').to_ascii_lowercase();
        let converts = matches!(charset.as_str(), "latin1" | "ascii");
        if converts {
            // The text came in the client's character set; of ASCII the bytes are the same in both.
            let ascii = matches!(super::compare::strip(value), Expr::Value(v)
                if matches!(&v.value, ast::Value::SingleQuotedString(t) if t.is_ascii()));
            if !ascii {
                return Err(SqlError::unsupported(format!(
                    "the introducer _{charset} before what is not ASCII"
                )));
            }
        }
        // Whether it is ASCII is the plan's business.
        let pin = self.pin_literals;
        self.pin_literals |= converts;
        let b = self.expr(value, s);
        self.pin_literals = pin;
        let b = b?;
        match charset.as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" | "latin1" => {
                let ty = FieldType::text(b.ty.text_length(), Collation::Utf8mb4_0900AiCi);
                Ok(Bound { ty, ..self.decoded(&b, true) })
            }
            "binary" => {
                let ty = FieldType::bytes(b.ty.text_length());
                Ok(Bound { hex: false, ..self.to(&b, &ty) })
            }
            other => Err(SqlError::unknown_charset(other)),
        }
    }

    /// The type of one of these, whichever it will be: where they are columns of several collations, of none.
    pub(crate) fn type_of_one(&mut self, all: &[Bound]) -> Result<FieldType, SqlError> {
        match self.common_type(all) {
            Err(e) if e.code == 1267 && e.message.matches("IMPLICIT").count() == 2 => {
                let texts: Vec<Bound> = all
                    .iter()
                    .map(|b| match b.class() {
                        Class::Text => Bound {
                            ty: FieldType { collation: Collation::Utf8mb4Bin, ..b.ty.clone() },
                            ..b.clone()
                        },
                        _ => b.clone(),
                    })
                    .collect();
                self.common_type(&texts)
            }
            other => other,
        }
    }

    /// The type, collation included, that holds all of these.
    pub(crate) fn common_type(&mut self, all: &[Bound]) -> Result<FieldType, SqlError> {
        let mut all = all.to_vec();
        self.beside_texts(&mut all);
        let mut ty = FieldType::null();
        for b in &all {
            ty = types::unify(&ty, &b.ty);
        }
        if ty.class() == Class::Text {
            let texts: Vec<&Bound> = all.iter().collect();
            ty.collation = self.common_collation(&texts, "UNION")?;
        }
        Ok(ty)
    }

    /// CASE, with or without an operand.
    fn case(
        &mut self,
        operand: Option<&Expr>,
        whens: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let operand = operand.map(|e| self.expr(e, s)).transpose()?;
        let mut conditions = Vec::new();
        let mut parts = Vec::new();
        let mut results = Vec::new();
        for w in whens {
            let c = self.expr(&w.condition, s)?;
            let c = match &operand {
                // Beside a text JSON is its text here, and is not compared as JSON.
                Some(o) => match (o.class(), c.class()) {
                    (Class::Json, Class::Text) => {
                        let o = self.text_of(o);
                        self.compare(o, &BinaryOperator::Eq, c)?
                    }
                    // And so are dates.
                    (Class::Text, class) if class == Class::Json || class.is_temporal() => {
                        let c = self.text_of(&c);
                        self.compare(o.clone(), &BinaryOperator::Eq, c)?
                    }
                    _ => self.among(true, |b| b.compare(o.clone(), &BinaryOperator::Eq, c))?,
                },
                None => c,
            };
            conditions.push(self.truth_of_number(&c));
            parts.push(c);
            results.push(self.expr(&w.result, s)?);
        }
        if let Some(e) = otherwise {
            results.push(self.expr(e, s)?);
        }
        let mut out = self.choice(&conditions, &results, otherwise.is_some())?;
        out = out.with_parts(&parts).with_parts(&operand);
        Ok(out)
    }

    /// `CASE WHEN c1 THEN r1 … [ELSE r]` with results of one type.
    pub(crate) fn choice(
        &mut self,
        conditions: &[String],
        results: &[Bound],
        has_else: bool,
    ) -> Result<Bound, SqlError> {
        let ty = self.type_of_one(results)?.without_zerofill();
        let mut sql = String::from("(CASE");
        for (c, r) in conditions.iter().zip(results) {
            let r = self.to(r, &ty);
            sql += &format!(" WHEN {c} THEN {}", self.sql(&r));
        }
        if has_else && let Some(r) = results.last() {
            let r = self.to(r, &ty);
            sql += &format!(" ELSE {}", self.sql(&r));
        }
        sql += " END)";
        let mut b = Bound::new(sql, ty).with_parts(results);
        b.not_null = has_else && results.iter().all(|r| r.not_null);
        b.coercibility = results.iter().map(|r| r.coercibility).min().unwrap_or(coercibility::NULL);
        if results.iter().all(|r| r.bits <= 1) {
            b.bits = 1;
        }
        b.truth = false;
        Ok(b)
    }
}

/// Operands joined by AND or OR as a tree of little depth.
pub(super) fn balanced(parts: &[String], word: &str) -> String {
    const FLAT_MAX: usize = 16;
    if parts.len() <= FLAT_MAX {
        return format!("({})", parts.join(word));
    }
    let (a, b) = parts.split_at(parts.len() / 2);
    format!("({}{word}{})", balanced(a, word), balanced(b, word))
}

/// A column stands left of `->`, nothing else.
fn is_column(e: &Expr) -> bool {
    matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        || matches!(e, Expr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. })
}

/// INTERVAL n unit.
pub(crate) fn is_interval(e: &Expr) -> bool {
    matches!(e, Expr::Interval(_))
}

/// 1241.
pub(crate) fn operand_columns(n: usize) -> SqlError {
    SqlError::new(1241, "21000", format!("Operand should contain {n} column(s)"))
}

/// Values of both types look the same to SQLite.
pub(crate) fn same_form(from: &FieldType, to: &FieldType) -> bool {
    use Class::*;
    match (from.class(), to.class()) {
        (Enum, Enum) | (Set, Set) => from.kind == to.kind,
        (Bit, Bit) => true,
        (Int | Year, Int | UInt | Year) | (UInt, UInt) | (Bit, UInt) => true,
        (Real, Real) | (Float, Float) | (Float, Real) => true,
        (Decimal, Decimal) | (Text, Text) | (Bytes, Bytes) | (Json, Json) | (Json, Text) => true,
        (Date, Date) | (Date, DateTime) | (DateTime, DateTime) | (Timestamp, Timestamp) | (Time, Time) => {
            true
        }
        _ => false,
    }
}
