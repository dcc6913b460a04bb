//! Calls of functions: those of the table in [`super::signature`], and those with rules of their own.

use std::rc::Rc;

use p2pdb_model::Value;
use p2pdb_model::schema::DefaultValue;
use p2pdb_model::types::Collation;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, OrderByExpr, TrimWhereField,
};

use super::signature::{self, Ret};
use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::plan::{Coerce, NowKind, RandomKind, SessionInfo, Slot, Source};
use crate::types::Class;

/// The parts of a call.
pub(crate) struct Call<'e> {
    pub(crate) name: String,
    /// As it was written.
    pub(crate) written: String,
    pub(crate) args: Vec<&'e Expr>,
    /// `*` was the argument.
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) order: &'e [OrderByExpr],
    pub(crate) separator: Option<&'e sqlparser::ast::ValueWithSpan>,
}

impl<'e> Call<'e> {
    fn of(f: &'e Function) -> Result<Self, SqlError> {
        let odd = f.filter.is_some()
            || f.null_treatment.is_some()
            || !f.within_group.is_empty()
            || !matches!(f.parameters, FunctionArguments::None);
        if odd {
            return Err(SqlError::syntax(&f.to_string(), 1));
        }
        let written = f.name.to_string().replace('`', "");
        let name = written.to_uppercase();
        let mut call = Call {
            name,
            written,
            args: Vec::new(),
            star: false,
            distinct: false,
            order: &[],
            separator: None,
        };
        let list = match &f.args {
            FunctionArguments::None => return Ok(call),
            FunctionArguments::List(l) => l,
            FunctionArguments::Subquery(_) => {
                return Err(SqlError::unsupported("a bare subquery as an argument"));
            }
        };
        let FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        call.distinct = matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct));
        for a in args {
            match a {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => call.args.push(e),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => call.star = true,
                other => return Err(SqlError::syntax(&other.to_string(), 1)),
            }
        }
        for c in clauses {
            match c {
                FunctionArgumentClause::OrderBy(o) => call.order = o,
                FunctionArgumentClause::Separator(v) => call.separator = Some(v),
                other => return Err(SqlError::syntax(&other.to_string(), 1)),
            }
        }
        Ok(call)
    }
}

/// 1582.
fn wrong_count(name: &str) -> SqlError {
    SqlError::new(1582, "42000", format!("Incorrect parameter count in the call to native function '{name}'"))
}

impl Binder<'_> {
    pub(crate) fn function(&mut self, f: &Function, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let call = Call::of(f)?;
        if let Some(over) = &f.over {
            return self.window(&call, over, s);
        }
        if super::aggregate::is_aggregate(&call.name) {
            return self.aggregate(&call, s);
        }
        if super::window::is_window_only(&call.name) {
            let message = format!("Window function is missing its OVER clause: '{}'", call.name);
            return Err(SqlError::syntax(&message, 1));
        }
        if call.star || call.distinct || !call.order.is_empty() || call.separator.is_some() {
            return Err(SqlError::syntax(&f.to_string(), 1));
        }
        if let Some(b) = self.special(&call, s)? {
            return Ok(b);
        }
        let args = call.args.iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        self.call(&call.name, args).map_err(|e| {
            if e.code != 1305 {
                return e;
            }
            SqlError { message: e.message.replace(&call.name, &call.written), ..e }
        })
    }

    /// DEFAULT(column).
    fn default_of(&mut self, column: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let own = match column {
            Expr::Identifier(i) if s.relations.is_empty() => {
                self.insert_into.as_ref().and_then(|t| t.column(&i.value)).cloned()
            }
            _ => None,
        };
        let found = match own {
            Some(c) => Some((c, coercibility::COLUMN)),
            None => {
                let bound = self.expr(column, s)?;
                let column = bound.field.as_ref().and_then(|f| {
                    let table = self.catalog.table(&f.database, &f.org_table)?;
                    table.column(&f.org_name).cloned()
                });
                column.map(|c| (c, bound.coercibility))
            }
        };
        let Some((column, level)) = found else {
            return Err(SqlError::unsupported("DEFAULT of what is no column"));
        };
        let constant = |source, coerce| Slot { source, coerce };
        let slot = match &column.def.default {
            _ if column.def.generated.is_some() => return Err(SqlError::no_default(&column.name)),
            Some(DefaultValue::Null) => constant(Source::Const(Value::Null), Coerce::None),
            None if column.def.nullable => constant(Source::Const(Value::Null), Coerce::None),
            None => return Err(SqlError::no_default(&column.name)),
            Some(literal @ (DefaultValue::Literal(text) | DefaultValue::Bits(text))) => {
                match crate::ddl::defaults::constant(&column.def) {
                    Some(v) => constant(Source::Const(v), Coerce::None),
                    None if matches!(literal, DefaultValue::Literal(_)) => {
                        let target = super::column_target(&column);
                        constant(Source::Const(Value::Text(text.clone())), Coerce::Column(target))
                    }
                    None => return Err(SqlError::invalid_default(&column.name)),
                }
            }
            Some(DefaultValue::Now(_) | DefaultValue::Expression(_)) => {
                return Err(SqlError::unsupported("DEFAULT() of a default that is an expression"));
            }
        };
        let mut b = Bound::slot(slot, FieldType::of_column(&column.def.ty));
        b.coercibility = level;
        Ok(b)
    }

    /// A function of bound arguments.
    ///
    /// # Errors
    /// 1305 unknown, 1235 known but not built, 1582 number of arguments.
    pub(crate) fn call(&mut self, name: &str, args: Vec<Bound>) -> Result<Bound, SqlError> {
        if let Some(b) = self.generic(name, &args)? {
            return Ok(b.with_parts(&args));
        }
        let Some(sig) = signature::find(name) else {
            if signature::KNOWN.contains(&name) || name.starts_with("ST_") || name.starts_with("MBR") {
                return Err(SqlError::unsupported(name));
            }
            let shown = match self.session.database.as_deref() {
                Some(d) if !name.contains('.') => format!("{d}.{name}"),
                _ => name.to_owned(),
            };
            return Err(SqlError::new(1305, "42000", format!("FUNCTION {shown} does not exist")));
        };
        if args.len() < sig.min || args.len() > sig.max {
            return Err(wrong_count(name));
        }
        let letters = sig.args.as_bytes();
        let mut sqls = Vec::new();
        let mut bytes = false;
        for (i, a) in args.iter().enumerate() {
            let letter = letters[i.min(letters.len() - 1)];
            let converted = self.argument(a, letter, name);
            bytes |= letter == b's' && converted.class() == Class::Bytes;
            sqls.push(self.sql(&converted));
        }
        let texts: Vec<&Bound> = args
            .iter()
            .enumerate()
            .filter(|(i, _)| matches!(letters[(*i).min(letters.len() - 1)], b't' | b's'))
            .map(|(_, a)| a)
            .collect();
        let mut mixed = false;
        let collation = if sig.collated || matches!(sig.ret, Ret::Like(_) | Ret::Sum | Ret::Text(_)) {
            match self.common_collation(&texts, &name.to_lowercase()) {
                // Where nothing is compared, the text of columns of several collations has none of its own.
                Err(e) if e.code == 1267 && !sig.collated && e.message.matches("IMPLICIT").count() == 2 => {
                    mixed = true;
                    Collation::Utf8mb4Bin
                }
                other => other?,
            }
        } else {
            self.session.collation
        };
        if sig.collated {
            let id =
                if args.iter().any(|a| a.class() == Class::Bytes) { Collation::Binary } else { collation }
                    .id();
            sqls.push(id.to_string());
        }
        let fsp = match (sig.ret, args.first()) {
            (Ret::Time, Some(a)) if name == "SEC_TO_TIME" => a.ty.fsp(),
            (Ret::DateTime | Ret::Time, Some(a)) => self.fsp_of(a),
            _ => 0,
        };
        let text =
            |length: u32| if bytes { FieldType::bytes(length) } else { FieldType::text(length, collation) };
        let first = args.first().map_or(0, |a| a.ty.text_length());
        let ty = match sig.ret {
            Ret::Int(n) => FieldType { length: n.max(2), ..FieldType::int() },
            Ret::Text(_) if name == "ELT" => {
                text(args[1..].iter().map(|a| a.ty.text_length()).max().unwrap_or(0))
            }
            Ret::Text(_) if name == "REPLACE" => {
                let (from, to) = (args[1].ty.text_length(), args[2].ty.text_length());
                text(first.saturating_mul(to.max(from.max(1)).div_ceil(from.max(1))))
            }
            Ret::Text(_) if matches!(name, "REPEAT" | "LPAD" | "RPAD" | "SPACE") => {
                let count = args.get(usize::from(name != "SPACE")).and_then(|n| self.constant_int(n));
                let each = if name == "REPEAT" { first } else { 1 };
                let length = count.and_then(|n| u32::try_from(n.max(0)).ok());
                text(length.map_or(65_535, |n| n.saturating_mul(each)))
            }
            Ret::UInt => FieldType::uint(),
            Ret::Bool => FieldType::boolean(),
            Ret::Real if name == "PI" => FieldType { length: 8, decimals: 6, ..FieldType::double() },
            Ret::Real => FieldType::double(),
            Ret::Text(n) => text(n),
            Ret::Like(n) => text(first.saturating_mul(n)),
            Ret::Sum => text(args.iter().map(|a| a.ty.text_length()).fold(0, u32::saturating_add)),
            Ret::Bytes(n) => FieldType::bytes(n),
            Ret::Date => FieldType::date(),
            Ret::DateTime => FieldType::datetime(fsp),
            Ret::Time => FieldType::time(fsp),
            Ret::Json => FieldType::json(),
        };
        let mut b = Bound::new(format!("{}({})", sig.sql, sqls.join(",")), ty);
        b.not_null = sig.total && args.iter().all(|a| a.not_null);
        b.bits = match sig.ret {
            Ret::Bool => 1,
            Ret::Int(n) if n <= 11 => 36,
            _ => b.bits,
        };
        if b.class() == Class::Text {
            b.coercibility = texts
                .iter()
                .map(|t| t.coercibility)
                .min()
                .unwrap_or(coercibility::LITERAL)
                .min(coercibility::LITERAL);
            if mixed {
                b.coercibility = coercibility::NONE;
            }
        }
        Ok(b.with_parts(&args))
    }

    /// An argument converted as a letter of the table says.
    pub(crate) fn argument(&mut self, a: &Bound, letter: u8, name: &str) -> Bound {
        match letter {
            b't' => self.text_of(a),
            b's' if a.class() == Class::Bytes || a.class() == Class::Bit => {
                let ty = FieldType::bytes(a.ty.text_length());
                self.to(a, &ty)
            }
            b's' => self.text_of(a),
            b'b' => {
                let ty = FieldType::bytes(a.ty.text_length());
                self.to(a, &ty)
            }
            b'i' => self.to(a, &FieldType::int()),
            b'u' => self.to(a, &FieldType::uint()),
            b'r' => self.to(a, &FieldType::double()),
            b'd' => self.to(a, &FieldType::datetime(6)),
            // A date whose month or day may be zero.
            b'z' if a.class() == Class::Text => {
                let sql = self.sql(a);
                let ty = FieldType::datetime(6);
                Bound {
                    repr: Repr::Sql(format!("p_partial_date({sql})")),
                    ty,
                    not_null: false,
                    field: None,
                    ..a.clone()
                }
            }
            b'z' => self.to(a, &FieldType::datetime(6)),
            b'D' => self.to(a, &FieldType::date()),
            b'T' => self.to(a, &FieldType::time(6)),
            b'n' => self.to(a, &FieldType::decimal(65, 30)),
            b'j' => self.json_argument(a, name),
            _ => a.clone(),
        }
    }

    /// A text argument where JSON is meant is parsed.
    pub(crate) fn json_argument(&mut self, a: &Bound, name: &str) -> Bound {
        if a.class() == Class::Json {
            return a.clone();
        }
        let t = self.text_of(a);
        let sql = self.sql(&t);
        Bound {
            repr: Repr::Sql(format!("p_json_parse({sql},'{}')", name.to_lowercase())),
            ty: FieldType::json(),
            field: None,
            ..a.clone()
        }
    }

    /// Functions that read syntax, the session or the clock.
    fn special(&mut self, call: &Call<'_>, s: &Rc<Scope>) -> Result<Option<Bound>, SqlError> {
        let args = &call.args;
        let name = call.name.as_str();
        let none = |what: Result<Bound, SqlError>| {
            if args.is_empty() { what.map(Some) } else { Err(wrong_count(name)) }
        };
        let slot = |source: Source, ty: FieldType| {
            let mut b = Bound::slot(Slot { source, coerce: Coerce::None }, ty);
            b.not_null = true;
            b
        };
        if let Some(n) = name.strip_prefix(crate::statement::calls::CALL).and_then(|n| n.parse().ok()) {
            let b = Bound::slot(Slot { source: Source::Call(n), coerce: Coerce::None }, FieldType::int());
            return Ok(Some(b));
        }
        if name == "DEFAULT" {
            let [column] = args.as_slice() else { return Err(wrong_count(name)) };
            return self.default_of(column, s).map(Some);
        }
        Ok(match name {
            "NOW" | "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" | "SYSDATE" => {
                let fsp = self.fsp(args)?;
                Some(slot(Source::Now(NowKind::DateTime(fsp)), FieldType::datetime(fsp)))
            }
            "UTC_TIMESTAMP" => {
                let fsp = self.fsp(args)?;
                Some(slot(Source::Now(NowKind::Utc(fsp)), FieldType::datetime(fsp)))
            }
            "CURTIME" | "CURRENT_TIME" => {
                let fsp = self.fsp(args).map_err(|e| e.renamed("'now'", "'curtime'"))?;
                let ty = FieldType {
                    length: 8 + if fsp > 0 { u32::from(fsp) + 1 } else { 0 },
                    ..FieldType::time(fsp)
                };
                Some(slot(Source::Now(NowKind::Time(fsp)), ty))
            }
            "UTC_TIME" => {
                let fsp = self.fsp(args)?;
                Some(slot(Source::Now(NowKind::UtcTime(fsp)), FieldType::time(fsp)))
            }
            "CURDATE" | "CURRENT_DATE" => none(Ok(slot(Source::Now(NowKind::Date), FieldType::date())))?,
            "UTC_DATE" => none(Ok(slot(Source::Now(NowKind::UtcDate), FieldType::date())))?,
            "UNIX_TIMESTAMP" if args.is_empty() => Some(slot(Source::Now(NowKind::Unix), FieldType::int())),
            "DATABASE" | "SCHEMA" => {
                let ty = FieldType::text(64, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::Database), ty)))?
            }
            "USER" | "SESSION_USER" | "SYSTEM_USER" => {
                let ty = FieldType::text(288, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::User), ty)))?
            }
            "CURRENT_USER" => {
                let ty = FieldType::text(288, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::CurrentUser), ty)))?
            }
            "CURRENT_ROLE" => {
                let ty = FieldType::text(288, Collation::Utf8mb4GeneralCi);
                none(Ok(self.session_slot(Source::SessionInfo(SessionInfo::CurrentRole), ty)))?
            }
            "VERSION" => {
                let source = Source::SystemVariable { name: "version".to_owned(), global: false };
                none(Ok(self.session_slot(source, FieldType::text(60, Collation::Utf8mb4GeneralCi))))?
            }
            "CONNECTION_ID" => none(Ok(self.session_slot(Source::ConnectionId, FieldType::uint())))?,
            "LAST_INSERT_ID" if args.is_empty() => {
                Some(self.session_slot(Source::LastInsertId, FieldType::uint()))
            }
            "LAST_INSERT_ID" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.expr(e, s)?;
                let id = self.to(&b, &FieldType::int());
                let sql = format!("p_last_insert_id({})", self.sql(&id));
                // Each row evaluates it.
                Some(Bound::new(sql, FieldType::uint()).not_null(b.not_null).with_parts([&b]))
            }
            "ROW_COUNT" => none(Ok(self.session_slot(Source::RowCount, FieldType::int())))?,
            "FOUND_ROWS" => none(Ok(self.session_slot(Source::FoundRows, FieldType::uint())))?,
            "UUID" => {
                let mut b =
                    slot(Source::Random(RandomKind::Uuid), FieldType::text(36, Collation::Utf8mb4GeneralCi));
                if self.per_row || !s.relations.is_empty() {
                    // One per row.
                    let seed = self.sql(&b);
                    b.repr = Repr::Sql(format!("p_uuid({seed})"));
                }
                none(Ok(b))?
            }
            "UUID_SHORT" => none(Ok(slot(Source::Random(RandomKind::UuidShort), FieldType::uint())))?,
            "RAND" => {
                let call = match args.as_slice() {
                    [] => {
                        let seed = slot(Source::Random(RandomKind::Seed), FieldType::int());
                        format!("p_rand({})", self.sql(&seed))
                    }
                    [e] => {
                        let b = self.expr(e, s)?;
                        let constant = u8::from(b.is_slot());
                        let seed = self.to(&b, &FieldType::int());
                        self.aliases += 1;
                        let n = self.aliases;
                        format!("p_rand_of({n},coalesce({},0),{constant})", self.sql(&seed))
                    }
                    _ => return Err(wrong_count(name)),
                };
                Some(Bound::new(call, FieldType::double()).not_null(true))
            }
            "DATE_ADD" | "DATE_SUB" | "ADDDATE" | "SUBDATE" => Some(self.date_add(name, args, s)?),
            "TIMESTAMPADD" => Some(self.timestamp_add(args, s)?),
            "TIMESTAMPDIFF" => Some(self.timestamp_diff(args, s)?),
            "CHARSET" | "COLLATION" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.type_only(e, s)?;
                let c = match b.class() {
                    c if c.is_text() => b.ty.collation,
                    _ => Collation::Binary,
                };
                let text = if name == "CHARSET" { c.charset() } else { c.name() };
                let p = self.constant(Value::Text(text.to_owned()));
                Some(Bound::new(p, FieldType::text(64, Collation::Utf8mb4GeneralCi)).not_null(true))
            }
            "COERCIBILITY" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let b = self.type_only(e, s)?;
                Some(self.small(i64::from(b.coercibility)))
            }
            "VALUES" => {
                let [Expr::Identifier(i)] = args.as_slice() else { return Err(wrong_count(name)) };
                Some(s.resolve(&["values()", &i.value]).map_err(|e| {
                    if e.code == 1054 { SqlError::unknown_column(&i.value, s.clause) } else { e }
                })?)
            }
            "GET_FORMAT" => {
                let [Expr::Identifier(kind), style] = args.as_slice() else { return Err(wrong_count(name)) };
                let kind = match kind.value.to_ascii_uppercase().as_str() {
                    "TIMESTAMP" => "DATETIME".to_owned(),
                    kind @ ("DATE" | "TIME" | "DATETIME") => kind.to_owned(),
                    other => return Err(SqlError::syntax(other, 1)),
                };
                let b = self.expr(style, s)?;
                let style = self.text_of(&b);
                let sql = format!("p_get_format('{kind}',{})", self.sql(&style));
                let mut out = Bound::new(sql, FieldType::text(17, self.session.collation)).with_parts([&b]);
                out.coercibility = coercibility::LITERAL;
                Some(out)
            }
            "ANY_VALUE" => {
                let [e] = args.as_slice() else { return Err(wrong_count(name)) };
                let mut b = self.expr(e, s)?;
                b.free.retain(|f| f.scope != s.id);
                b.field = None;
                Some(b)
            }
            "ROW" => return Err(super::expr::operand_columns(1)),
            _ => None,
        })
    }

    /// An expression of which only the type is asked for: its parameters are not kept.
    fn type_only(&mut self, e: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let kept = self.slots.len();
        let b = self.expr(e, s)?;
        self.slots.truncate(kept);
        Ok(b)
    }

    /// The digits of `NOW(3)`.
    fn fsp(&mut self, args: &[&Expr]) -> Result<u8, SqlError> {
        match args {
            [] => Ok(0),
            [Expr::Value(v)] => match self.literal_value(v)?.value {
                Value::Int(n @ 0..=6) => Ok(n as u8),
                Value::Int(n) => Err(SqlError::new(
                    1426,
                    "42000",
                    format!("Too-big precision {n} specified for 'now'. Maximum is 6."),
                )),
                _ => Err(SqlError::syntax("", 1)),
            },
            _ => Err(SqlError::syntax("", 1)),
        }
    }

    /// Fractional digits of a date or time; those of a literal are counted, which makes it part of the plan.
    fn fsp_of(&mut self, b: &Bound) -> u8 {
        let digits = |v: &Value| match v {
            Value::Text(t) => super::cast::fraction(t),
            _ => 6,
        };
        match &b.repr {
            Repr::Slot(Slot { source: Source::Literal(n), .. }) if b.class() == Class::Text => {
                let found = self.text.and_then(|t| {
                    t.pin(*n);
                    t.literal(*n)
                });
                found.map_or(6, |l| digits(&l.value))
            }
            Repr::Slot(Slot { source: Source::Const(v), .. }) if b.class() == Class::Text => digits(v),
            _ => b.ty.fsp(),
        }
    }

    /// Functions whose result type follows from the arguments' types.
    fn generic(&mut self, name: &str, args: &[Bound]) -> Result<Option<Bound>, SqlError> {
        let count = |n: usize| if args.len() == n { Ok(()) } else { Err(wrong_count(name)) };
        Ok(Some(match name {
            "IF" => {
                count(3)?;
                let c = self.truth(&args[0]);
                self.choice(&[c], &args[1..], true)?
            }
            "IFNULL" | "COALESCE" => {
                if name == "IFNULL" {
                    count(2)?;
                }
                let Some(first) = args.first() else { return Err(wrong_count(name)) };
                let ty = self.common_type(args)?;
                let mut sqls = Vec::new();
                for a in args {
                    let a = self.to(a, &ty);
                    sqls.push(self.sql(&a));
                }
                let sql =
                    if sqls.len() == 1 { sqls.remove(0) } else { format!("coalesce({})", sqls.join(",")) };
                let mut b = Bound::new(sql, ty);
                b.not_null = args.iter().any(|a| a.not_null);
                b.coercibility = args.iter().map(|a| a.coercibility).min().unwrap_or(first.coercibility);
                b.bits = args.iter().map(|a| a.bits).max().unwrap_or(64);
                b
            }
            "NULLIF" => {
                count(2)?;
                let eq =
                    self.compare(args[0].clone(), &sqlparser::ast::BinaryOperator::Eq, args[1].clone())?;
                let (c, x) = (self.sql(&eq), self.sql(&args[0]));
                Bound {
                    repr: Repr::Sql(format!("(CASE WHEN {c} THEN NULL ELSE {x} END)")),
                    not_null: false,
                    field: None,
                    ..args[0].clone()
                }
            }
            "ISNULL" => {
                count(1)?;
                let x = self.sql(&args[0]);
                let mut b = Bound::new(format!("({x} IS NULL)"), FieldType::boolean()).not_null(true);
                b.bits = 1;
                b
            }
            "GREATEST" | "LEAST" => {
                if args.len() < 2 {
                    return Err(wrong_count(name));
                }
                let ty = self.common_type(args)?;
                let f = if name == "GREATEST" { "max" } else { "min" };
                let mut sqls = Vec::new();
                for a in args {
                    let a = self.to(a, &ty);
                    sqls.push(self.sql(&a));
                }
                // The first argument's collation is the function's.
                let collate = super::query::collate_clause(&ty);
                sqls[0] += &collate;
                let mut b = Bound::new(format!("{f}({})", sqls.join(",")), ty);
                b.not_null = args.iter().all(|a| a.not_null);
                b.coercibility = args.iter().map(|a| a.coercibility).min().unwrap_or(coercibility::NUMERIC);
                b
            }
            "ABS" => {
                count(1)?;
                self.same_number("abs", &args[0], None)?
            }
            "CEILING" | "CEIL" | "FLOOR" => {
                count(1)?;
                let what = if name == "FLOOR" { "floor" } else { "ceil" };
                self.same_number(what, &args[0], None)?
            }
            "ROUND" | "TRUNCATE" => {
                let digits = match args {
                    [_] if name == "ROUND" => None,
                    [_, d] => Some(d),
                    _ => return Err(wrong_count(name)),
                };
                self.same_number(if name == "ROUND" { "round" } else { "truncate" }, &args[0], Some(digits))?
            }
            "MOD" => {
                count(2)?;
                self.arithmetic(&sqlparser::ast::BinaryOperator::Modulo, args[0].clone(), args[1].clone())?
            }
            "BIT_COUNT" if args.len() == 1 && super::arithmetic::is_binary(&args[0]) => {
                let sql = format!("p_bytes_count({})", self.sql(&args[0]));
                Bound::new(sql, FieldType::int())
            }
            "HEX" => {
                count(1)?;
                let a = &args[0];
                let number = a.class().is_number() && a.class() != Class::Bit;
                let x = if number { self.to(a, &FieldType::uint()) } else { self.argument(a, b'b', name) };
                let sql = format!("p_hex({})", self.sql(&x));
                Bound::new(
                    sql,
                    FieldType::text(a.ty.text_length().saturating_mul(8).max(16), self.session.collation),
                )
                .not_null(a.not_null)
            }
            "CHAR" => {
                let mut sqls = Vec::new();
                for a in args {
                    let a = self.to(a, &FieldType::int());
                    sqls.push(self.sql(&a));
                }
                Bound::new(format!("p_char({})", sqls.join(",")), FieldType::bytes(4 * args.len() as u32))
                    .not_null(true)
            }
            "FORMAT" => {
                if !(2..=3).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let x = if matches!(args[0].class(), Class::Real | Class::Float | Class::Text) {
                    self.to(&args[0], &FieldType::double())
                } else {
                    args[0].clone()
                };
                let x = self.to(&x, &FieldType::decimal(65, 30));
                let d = self.to(&args[1], &FieldType::int());
                let locale = match args.get(2) {
                    Some(l) => {
                        let l = self.text_of(l);
                        self.sql(&l)
                    }
                    None => "'en_US'".to_owned(),
                };
                let sql = format!("p_format({},{},{locale})", self.sql(&x), self.sql(&d));
                Bound::new(sql, FieldType::text(100, self.session.collation))
            }
            "FIELD" => {
                if args.len() < 2 {
                    return Err(wrong_count(name));
                }
                let mut sql = String::from("(CASE");
                for (i, a) in args[1..].iter().enumerate() {
                    let c = self.compare(args[0].clone(), &sqlparser::ast::BinaryOperator::Eq, a.clone())?;
                    sql += &format!(" WHEN {} THEN {}", self.sql(&c), i + 1);
                }
                sql += " ELSE 0 END)";
                let mut b = Bound::new(sql, FieldType { length: 3, ..FieldType::int() }).not_null(true);
                b.bits = 16;
                b
            }
            "INTERVAL" => {
                let Some((x, bounds)) = args.split_first() else { return Err(wrong_count(name)) };
                let real = args.iter().any(|a| !a.class().is_integer());
                let ty = if real { FieldType::double() } else { FieldType::int() };
                let x = self.to(x, &ty);
                let mut sqls = vec![self.sql(&x)];
                for b in bounds {
                    let b = self.to(b, &ty);
                    sqls.push(self.sql(&b));
                }
                Bound::new(format!("p_interval({})", sqls.join(",")), FieldType::int()).not_null(true)
            }
            "TIME" => {
                count(1)?;
                let fsp = self.fsp_of(&args[0]);
                self.to(&args[0], &FieldType::time(fsp))
            }
            "TIMESTAMP" if args.len() == 1 => {
                let fsp = self.fsp_of(&args[0]);
                self.to(&args[0], &FieldType::datetime(fsp))
            }
            "ADDTIME" | "SUBTIME" | "TIMESTAMP" => {
                count(2)?;
                let sign = if name == "SUBTIME" { -1 } else { 1 };
                let t = self.to(&args[1], &FieldType::time(6));
                let fsp = self.fsp_of(&args[0]).max(self.fsp_of(&args[1]));
                let time = args[0].class() == Class::Time && name != "TIMESTAMP";
                if args[0].class() == Class::Text && name != "TIMESTAMP" {
                    let (x, t) = (self.sql(&args[0]), self.sql(&t));
                    let sql = format!("p_addtime_text({x},{t},{sign})");
                    let ty = FieldType::text(29, self.session.collation);
                    Bound::new(sql, FieldType { kind: crate::field::FieldKind::Char, ..ty })
                } else if time {
                    let (x, t) = (self.sql(&args[0]), self.sql(&t));
                    Bound::new(format!("p_addtime({x},{t},{sign})"), FieldType::time(fsp))
                } else {
                    let x = self.to(&args[0], &FieldType::datetime(6));
                    let (x, t) = (self.sql(&x), self.sql(&t));
                    Bound::new(format!("p_adddatetime({x},{t},{sign})"), FieldType::datetime(fsp))
                }
            }
            "TIMEDIFF" => {
                count(2)?;
                let fsp = self.fsp_of(&args[0]).max(self.fsp_of(&args[1]));
                if args.iter().all(|a| a.class().has_date()) {
                    let (x, y) = (self.argument(&args[0], b'd', name), self.argument(&args[1], b'd', name));
                    let sql = format!("p_timediff_dt({},{})", self.sql(&x), self.sql(&y));
                    Bound::new(sql, FieldType::time(fsp))
                } else if args.iter().all(|a| a.class() == Class::Text) {
                    let sql = format!("p_timediff_text({},{})", self.sql(&args[0]), self.sql(&args[1]));
                    Bound::new(sql, FieldType::time(fsp))
                } else {
                    let (x, y) = (self.argument(&args[0], b'T', name), self.argument(&args[1], b'T', name));
                    let sql = format!("p_timediff({},{})", self.sql(&x), self.sql(&y));
                    Bound::new(sql, FieldType::time(fsp))
                }
            }
            "MAKETIME" => {
                count(3)?;
                let (h, m) = (self.argument(&args[0], b'i', name), self.argument(&args[1], b'i', name));
                let s = self.argument(&args[2], b'n', name);
                let fsp = self.fsp_of(&args[2]);
                let sql = format!("p_maketime({},{},{})", self.sql(&h), self.sql(&m), self.sql(&s));
                Bound::new(sql, FieldType::time(fsp))
            }
            "UNIX_TIMESTAMP" => {
                count(1)?;
                let fsp = self.fsp_of(&args[0]);
                let x = self.to(
                    &args[0],
                    &FieldType { kind: crate::field::FieldKind::Timestamp, ..FieldType::datetime(6) },
                );
                let sql = self.sql(&x);
                if fsp == 0 {
                    Bound::new(format!("p_unix({sql})"), FieldType::int())
                } else {
                    Bound::new(format!("p_unix_dec({sql})"), FieldType::decimal(18, fsp))
                }
            }
            "FROM_UNIXTIME" => {
                if !(1..=2).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let fsp = args[0].ty.fsp();
                let x = self.to(&args[0], &FieldType::decimal(65, 6));
                let t = Bound::new(format!("p_from_unixtime({})", self.sql(&x)), FieldType::datetime(fsp));
                match args.get(1) {
                    Some(f) => self.call("DATE_FORMAT", vec![t, f.clone()])?,
                    None => t,
                }
            }
            "STR_TO_DATE" => {
                count(2)?;
                let (x, f) = (self.argument(&args[0], b't', name), self.argument(&args[1], b't', name));
                let kind = match &args[1].repr {
                    Repr::Slot(Slot { source: Source::Literal(n), .. }) => {
                        let text = self.text.and_then(|t| {
                            t.pin(*n);
                            t.literal(*n)
                        });
                        match text.map(|l| &l.value) {
                            Some(Value::Text(t)) => crate::functions::temporal::format_kind(t),
                            _ => FieldType::datetime(6),
                        }
                    }
                    Repr::Slot(Slot { source: Source::Const(Value::Text(t)), .. }) => {
                        crate::functions::temporal::format_kind(t)
                    }
                    _ => FieldType::datetime(6),
                };
                let code = kind.code().pack();
                Bound::new(format!("p_str_to_date({},{},{code})", self.sql(&x), self.sql(&f)), kind)
            }
            "JSON_ARRAY" => {
                let sqls: Vec<String> = args.iter().map(|a| self.json_of(a)).collect();
                Bound::new(format!("p_json_array({})", sqls.join(",")), FieldType::json()).not_null(true)
            }
            "JSON_OBJECT" => {
                if args.len() % 2 == 1 {
                    return Err(wrong_count("JSON_OBJECT"));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    sqls.push(if i % 2 == 0 {
                        let t = self.text_of(a);
                        self.sql(&t)
                    } else {
                        self.json_of(a)
                    });
                }
                Bound::new(format!("p_json_object({})", sqls.join(",")), FieldType::json()).not_null(true)
            }
            "JSON_SET" | "JSON_INSERT" | "JSON_REPLACE" | "JSON_ARRAY_APPEND" | "JSON_ARRAY_INSERT" => {
                if args.len() < 3 || args.len().is_multiple_of(2) {
                    return Err(wrong_count(name));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    sqls.push(match i {
                        0 => {
                            let j = self.json_argument(a, name);
                            self.sql(&j)
                        }
                        i if i % 2 == 1 => {
                            let t = self.text_of(a);
                            self.sql(&t)
                        }
                        _ => self.json_of(a),
                    });
                }
                Bound::new(format!("p_{}({})", name.to_lowercase(), sqls.join(",")), FieldType::json())
            }
            "JSON_CONTAINS_PATH" | "JSON_SEARCH" | "JSON_VALUE" | "JSON_OVERLAPS" => {
                let (min, max) = match name {
                    "JSON_CONTAINS_PATH" | "JSON_SEARCH" => (3, usize::MAX),
                    _ => (2, 2),
                };
                if !(min..=max).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    let json = i == 0 || name == "JSON_OVERLAPS";
                    let a = if json { self.json_argument(a, name) } else { self.text_of(a) };
                    sqls.push(self.sql(&a));
                }
                let ty = match name {
                    "JSON_SEARCH" => FieldType::json(),
                    "JSON_VALUE" => FieldType::text(512, Collation::Utf8mb4_0900AiCi),
                    _ => FieldType::boolean(),
                };
                let mut b = Bound::new(format!("p_{}({})", name.to_lowercase(), sqls.join(",")), ty);
                b.coercibility = coercibility::LITERAL;
                b
            }
            "JSON_CONTAINS" | "MEMBER OF" => {
                if !(2..=3).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let sql = if name == "MEMBER OF" {
                    let (v, a) = (self.json_of(&args[0]), self.json_argument(&args[1], name));
                    format!("p_json_member({v},{})", self.sql(&a))
                } else {
                    let (a, b) = (self.json_argument(&args[0], name), self.json_argument(&args[1], name));
                    let (a, b) = (self.sql(&a), self.sql(&b));
                    match args.get(2) {
                        Some(p) => {
                            let p = self.text_of(p);
                            format!("p_json_contains(p_json_extract({a},{}),{b})", self.sql(&p))
                        }
                        None => format!("p_json_contains({a},{b})"),
                    }
                };
                let mut b = Bound::new(sql, FieldType::boolean());
                b.bits = 1;
                b
            }
            _ => return Ok(None),
        }))
    }

    /// ABS, CEIL, FLOOR, ROUND and TRUNCATE: the result has the argument's kind of number.
    fn same_number(
        &mut self,
        what: &str,
        a: &Bound,
        digits: Option<Option<&Bound>>,
    ) -> Result<Bound, SqlError> {
        let d = match digits {
            Some(Some(d)) => Some(d.clone()),
            _ => None,
        };
        let constant = d.as_ref().and_then(|d| self.constant_int(d));
        let integer = a.class().is_integer();
        let extra = match (&d, digits) {
            (Some(d), _) => {
                let d = self.to(d, &FieldType::int());
                format!(",{}", self.sql(&d))
            }
            (None, Some(_)) => ",0".to_owned(),
            (None, None) => String::new(),
        };
        let out = if integer {
            let ty = if a.ty.unsigned { FieldType::uint() } else { FieldType::int() };
            let sql = self.sql(a);
            let inline = matches!(what, "ceil" | "floor") || (extra == ",0");
            if inline { Bound::new(sql, ty) } else { Bound::new(format!("p_i{what}({sql}{extra})"), ty) }
        } else if matches!(a.class(), Class::Decimal) || a.class().is_temporal() {
            let x = if a.class() == Class::Decimal {
                a.clone()
            } else {
                let ty = FieldType::decimal(a.ty.precision(), a.ty.scale());
                self.to(a, &ty)
            };
            let sql = self.sql(&x);
            let (precision, scale) = (x.ty.precision(), x.ty.scale());
            let new_scale = match (what, digits) {
                ("abs", _) => scale,
                ("ceil" | "floor", _) => 0,
                (_, Some(None)) => 0,
                _ => constant.map_or(scale, |n| n.clamp(0, i64::from(scale)) as u8),
            };
            let whole = precision - u32::from(scale);
            let ty = FieldType::decimal(whole + u32::from(new_scale) + u32::from(what != "abs"), new_scale);
            let b = Bound::new(format!("p_d{what}({sql}{extra})"), ty);
            if matches!(what, "ceil" | "floor") && whole < 18 { self.to(&b, &FieldType::int()) } else { b }
        } else {
            let x = self.to(a, &FieldType::double());
            let sql = self.sql(&x);
            Bound::new(format!("p_r{what}({sql}{extra})"), FieldType::double())
        };
        Ok(Bound { not_null: a.not_null && d.is_none_or(|d| d.not_null), ..out })
    }

    /// The value of an integer literal, which becomes part of the plan.
    pub(crate) fn constant_int(&mut self, b: &Bound) -> Option<i64> {
        match &b.repr {
            Repr::Slot(Slot { source: Source::Literal(n), .. }) => {
                let text = self.text?;
                text.pin(*n);
                match text.literal(*n)?.value {
                    Value::Int(i) => Some(i),
                    _ => None,
                }
            }
            Repr::Slot(Slot { source: Source::Const(Value::Int(i)), .. }) => Some(*i),
            _ => None,
        }
    }

    pub(crate) fn trim(
        &mut self,
        place: Option<&TrimWhereField>,
        what: Option<&Expr>,
        e: &Expr,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let x = self.expr(e, s)?;
        let text = self.text_of(&x);
        let what = what.map(|w| self.expr(w, s)).transpose()?;
        let sql = self.sql(&text);
        let pattern = match &what {
            Some(w) => {
                let w = self.text_of(w);
                self.sql(&w)
            }
            None => "' '".to_owned(),
        };
        let place = match place {
            Some(TrimWhereField::Leading) => 1,
            Some(TrimWhereField::Trailing) => 2,
            _ => 3,
        };
        let mut b = Bound::new(format!("p_trim({sql},{pattern},{place})"), text.ty.clone());
        b.coercibility = text.coercibility;
        b.not_null = x.not_null && what.as_ref().is_none_or(|w| w.not_null);
        Ok(b.with_parts([&x]).with_parts(&what))
    }
}
