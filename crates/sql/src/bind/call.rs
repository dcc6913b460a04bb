//! Calls of functions: those of the table in [`super::signature`], and those with rules of their own.

use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::catalog::Routine;
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::schema::DefaultValue;
use p2pdb_model::types::Collation;
use sqlparser::ast::{
    DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, OrderByExpr, TrimWhereField,
};

use super::built_in::{self, State};
use super::signature::{self, Ret};
use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::plan::{Coerce, Slot, Source};
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
    /// RETURNING of JSON_VALUE.
    pub(crate) returning: Option<&'e DataType>,
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
            returning: None,
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
                FunctionArgumentClause::JsonReturningClause(r) if call.name == "JSON_VALUE" => {
                    call.returning = Some(&r.data_type);
                }
                other => return Err(SqlError::syntax(&other.to_string(), 1)),
            }
        }
        Ok(call)
    }
}

/// Functions that MySQL's grammar spells out: a wrong number of arguments is a syntax error.
const GRAMMAR: [&str; 36] = [
    "ADDDATE",
    "ASCII",
    "CHAR",
    "CHARSET",
    "COALESCE",
    "COLLATION",
    "DATE",
    "DAY",
    "FORMAT",
    "HOUR",
    "IF",
    "INSERT",
    "INTERVAL",
    "LEFT",
    "MICROSECOND",
    "MID",
    "MINUTE",
    "MOD",
    "MONTH",
    "POSITION",
    "QUARTER",
    "REPEAT",
    "REPLACE",
    "REVERSE",
    "RIGHT",
    "SECOND",
    "SUBDATE",
    "SUBSTR",
    "SUBSTRING",
    "TIME",
    "TIMESTAMP",
    "TRUNCATE",
    "WEEK",
    "YEAR",
    "WEIGHT_STRING",
    "ROW_COUNT",
];

/// Functions that give another value on another server (MySQL 8.4 manual, sections 7.4.4.3 and 19.5.1.14); those that the session answers are in
/// [`crate::plan::CallFunction`].
const UNSAFE: &[&str] = &[
    "CURRENT_USER",
    "FOUND_ROWS",
    "LOAD_FILE",
    "MASTER_POS_WAIT",
    "RAND",
    "ROW_COUNT",
    "SESSION_USER",
    "SOURCE_POS_WAIT",
    "SYSDATE",
    "SYSTEM_USER",
    "USER",
    "UUID",
    "UUID_SHORT",
    "VERSION",
];

/// 1582; 1064 where the grammar knows the function.
pub(super) fn wrong_count(name: &str) -> SqlError {
    if GRAMMAR.contains(&name) {
        return SqlError::syntax(")", 1);
    }
    SqlError::new(1582, "42000", format!("Incorrect parameter count in the call to native function '{name}'"))
}

impl Binder<'_> {
    pub(crate) fn function(&mut self, f: &Function, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let call = Call::of(f)?;
        if UNSAFE.contains(&&*call.name) {
            self.note_unsafe();
        }
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
        if crate::front::forms::is_match(f) {
            return self.search_for(&call.args, s);
        }
        if let Some(b) = self.special(&call, s)? {
            return Ok(b);
        }
        let args = call.args.iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        if let Some(ty) = call.returning {
            return self.json_value_as(&args, ty);
        }
        let stored = self.stored_function(&f.name).cloned();
        let given = stored.is_some().then(|| args.clone());
        match (self.call(&call.name, args), stored, given) {
            (Err(e), Some(routine), Some(args)) if e.code == 1305 => self.call_stored(&routine, &args),
            (Err(e), ..) if e.code == 1305 => {
                Err(SqlError { message: e.message.replace(&call.name, &call.written), ..e })
            }
            (result, ..) => result,
        }
    }

    /// The stored function of this name.
    fn stored_function(&self, name: &sqlparser::ast::ObjectName) -> Option<&'_ Arc<Routine>> {
        if !self.catalog.has_routines() {
            return None;
        }
        let parts: Vec<&str> = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect();
        let (database, name) = match parts.as_slice() {
            [name] => {
                let own = self.default_database.as_deref();
                (own.or(self.session.database.as_deref())?, *name)
            }
            [database, name] => (*database, *name),
            _ => return None,
        };
        self.catalog.routine(ObjectKind::Function, database, name)
    }

    /// A stored function that only reads: SQLite calls it, row by row.
    fn call_stored(&mut self, routine: &Routine, args: &[Bound]) -> Result<Bound, SqlError> {
        if let Some(needs) = self.needs {
            needs.calls(routine.id, &routine.database, &routine.name);
        }
        let parameters = crate::routine::parameters_of(routine)?;
        if parameters.len() != args.len() {
            let message = format!(
                "Incorrect number of arguments for FUNCTION {}.{}; expected {}, got {}",
                routine.database,
                routine.name,
                parameters.len(),
                args.len()
            );
            return Err(SqlError::new(1318, "42000", message));
        }
        if crate::routine::writes(self.catalog, routine) {
            return Err(crate::routine::writes_here());
        }
        let id = self.constant(Value::Text(routine.id.to_hex()));
        let mut list = vec![id];
        for (p, a) in parameters.iter().zip(args) {
            let to = crate::routine::Variable::new(&p.name, &p.ty);
            list.push(self.assign_checked(a, &to.target));
        }
        let Some(ty) = crate::routine::returns_of(routine)? else {
            return Err(SqlError::new(1305, "42000", "no such function"));
        };
        let ty = FieldType::of_column(&ty);
        let mut b = Bound::new(format!("p_routine({})", list.join(",")), ty).with_parts(args);
        b.field = None;
        if b.class().is_text() {
            b.coercibility = coercibility::COLUMN;
        }
        Ok(b)
    }

    /// DEFAULT(column).
    pub(super) fn default_of(&mut self, column: &Expr, s: &Rc<Scope>) -> Result<Bound, SqlError> {
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
            Some(DefaultValue::Nothing) => return Err(SqlError::no_default(&column.name)),
            Some(DefaultValue::Null) => constant(Source::Const(Value::Null), Coerce::None),
            None if column.def.nullable => constant(Source::Const(Value::Null), Coerce::None),
            None => return Err(SqlError::no_default(&column.name)),
            Some(literal @ (DefaultValue::Literal(text) | DefaultValue::Bits(text))) => {
                match crate::ddl::defaults::constant(&column.def) {
                    Some(v) => constant(Source::Const(v), Coerce::None),
                    None if matches!(literal, DefaultValue::Literal(_)) => {
                        let target = super::column_target("", &column);
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
        // Here a BIT is its number, where text is made of it elsewhere.
        let numbers = matches!(name, "HEX" | "CONV" | "OCT" | "BIN");
        let args: Vec<Bound> = match numbers && args.iter().any(|a| a.class() == Class::Bit) {
            true => args
                .iter()
                .map(|a| if a.class() == Class::Bit { self.to(a, &FieldType::uint()) } else { a.clone() })
                .collect(),
            false => args,
        };
        if matches!(name, "CONV" | "OCT" | "BIN") && args.first().is_some_and(|a| a.class() == Class::Bytes) {
            return self.converted_bytes(name, args);
        }
        if let Some(b) = self.generic(name, &args)? {
            return Ok(b.with_parts(&args));
        }
        let Some(sig) = signature::find(name) else {
            match built_in::state(name) {
                Some(State::Rejected) => {
                    let message = format!("Access to native function '{}' is rejected.", name.to_lowercase());
                    return Err(SqlError::new(3566, "HY000", message));
                }
                Some(_) => return Err(SqlError::unsupported(name)),
                None => {}
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
        self.one_kind_of_text(name, &args)?;
        let letters = sig.args.as_bytes();
        let letter = |i: usize| letters[i.min(letters.len() - 1)];
        let is_text = |i: usize| matches!(letter(i), b't' | b's' | b'w');
        let places: Vec<usize> = (0..args.len()).filter(|i| is_text(*i)).collect();
        let mut texts: Vec<Bound> = places.iter().map(|i| args[*i].clone()).collect();
        self.beside_texts(&mut texts);
        let mut args = args;
        for (i, text) in places.iter().zip(texts) {
            args[*i] = text;
        }
        let bytewise = places.iter().any(|i| letter(*i) == b'w' && args[*i].class() == Class::Bytes);
        let mut sqls = Vec::new();
        let mut bytes = bytewise;
        for (i, a) in args.iter().enumerate() {
            let letter = letter(i);
            let converted = match (bytewise, letter) {
                (true, b'w') => self.bytes_as_text(a),
                _ => self.argument(a, letter, name),
            };
            bytes |= letter == b's' && converted.class() == Class::Bytes;
            sqls.push(self.sql(&converted));
        }
        // What is searched, and what is put into, says how.
        let says = match name {
            "INSERT" | "INSTR" => Some(0),
            "LOCATE" => Some(1),
            _ => None,
        };
        let texts: Vec<&Bound> =
            places.iter().filter(|i| says.is_none_or(|n| n == **i)).map(|i| &args[*i]).collect();
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
        // What is made of NULL alone has no character set.
        let null = |a: &Bound| a.class() == Class::Null;
        let unknown = match sig.ret {
            Ret::Like(_) => !matches!(name, "JSON_UNQUOTE" | "QUOTE") && args.first().is_some_and(null),
            Ret::Sum if name == "INSERT" => args.first().is_some_and(null),
            Ret::Sum => args.iter().all(null),
            Ret::Text(_) => {
                matches!(name, "REPLACE" | "REPEAT" | "LPAD" | "RPAD") && args.first().is_some_and(null)
            }
            _ => false,
        };
        let text = |length: u32| match bytes || unknown {
            true => FieldType::bytes(length),
            false => FieldType::text(length, collation),
        };
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
                let count = if name == "SPACE" { count.map(|n| n.max(0)) } else { count };
                let length = count.and_then(|n| u32::try_from(n).ok());
                let rest = if unknown { 0 } else { 65_535 };
                text(length.map_or(rest, |n| n.saturating_mul(each)))
            }
            Ret::Like(_) if matches!(name, "LEFT" | "RIGHT") => {
                let count = self.constant_int(&args[1]).and_then(|n| u32::try_from(n.max(0)).ok());
                text(count.map_or(first, |n| n.min(first)))
            }
            Ret::Like(_) if matches!(name, "SUBSTRING" | "SUBSTR" | "MID") => {
                let from = self.constant_int(&args[1]).and_then(|n| u32::try_from(n).ok());
                let rest = first.saturating_sub(from.map_or(0, |n| n.saturating_sub(1)));
                let count = args.get(2).and_then(|n| self.constant_int(n));
                let count = count.and_then(|n| u32::try_from(n.max(0)).ok());
                text(count.map_or(rest, |n| n.min(rest)))
            }
            Ret::Like(_) if name == "JSON_UNQUOTE" => {
                let ty = text(first);
                FieldType { collation: Collation::Utf8mb4Bin, ..ty }
            }
            Ret::Text(n) if matches!(name, "JSON_TYPE" | "JSON_PRETTY") => {
                FieldType::text(n, Collation::Utf8mb4Bin)
            }
            Ret::Text(_) if name == "JSON_QUOTE" => {
                FieldType::text(first.saturating_mul(6).saturating_add(2), Collation::Utf8mb4Bin)
            }
            Ret::Text(_) if name == "TO_BASE64" => {
                let bytes =
                    u64::from(args[0].ty.text_length()) * if args[0].class() == Class::Bytes { 1 } else { 4 };
                let chars = bytes.div_ceil(3) * 4;
                text(u32::try_from(chars + chars.saturating_sub(1) / 76).unwrap_or(u32::MAX))
            }
            Ret::Text(_) if name == "SHA2" => {
                let bits = self.constant_int(&args[1]);
                text(match bits {
                    Some(0 | 256) => 64,
                    Some(224) => 56,
                    Some(384) => 96,
                    _ => 128,
                })
            }
            Ret::Text(_) if matches!(name, "DATE_FORMAT" | "TIME_FORMAT") => {
                let format = self.constant_text(&args[1]);
                text(format.map_or(255, |f| crate::functions::temporal::format_length(&f)))
            }
            Ret::Bytes(_) if name == "UNHEX" => {
                let width = if args[0].class() == Class::Bytes { 1 } else { 4 };
                FieldType::bytes(first.saturating_mul(width).div_ceil(2))
            }
            Ret::Bytes(_) if name == "FROM_BASE64" => {
                FieldType::bytes(first.saturating_mul(4).div_ceil(4).saturating_mul(3))
            }
            Ret::UInt if name == "CRC32" => FieldType { length: 10, ..FieldType::uint() },
            Ret::Bool if name == "JSON_VALID" => FieldType { length: 21, ..FieldType::int() },
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
        let mut sql = format!("{}({})", sig.sql, sqls.join(","));
        if bytewise && ty.class() == Class::Bytes {
            sql = format!("p_text_as_bytes({sql})");
        }
        let mut b = Bound::new(sql, ty);
        b.not_null = sig.total && args.iter().all(|a| a.not_null);
        // A text can become longer than a packet, which makes it NULL; in strict mode MySQL says so of all of them.
        let texts_vary = matches!(b.class(), Class::Text | Class::Bytes | Class::Json);
        b.not_null &= !(texts_vary && self.mode().strict());
        b.truth = matches!(sig.ret, Ret::Bool);
        b.bits = match sig.ret {
            Ret::Bool => 1,
            Ret::Int(n) if n <= 11 => 36,
            _ => b.bits,
        };
        if matches!(b.class(), Class::Text | Class::Bytes) {
            let made_of = if matches!(sig.ret, Ret::Bytes(_)) { &[] } else { texts.as_slice() };
            b.coercibility = made_of
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

    /// CONV, OCT and BIN of bytes: literals such as `x'ff'` are numbers whatever base is named, others are digits.
    fn converted_bytes(&mut self, name: &str, mut args: Vec<Bound>) -> Result<Bound, SqlError> {
        let number = args[0].hex;
        args[0] = match number {
            true => self.to(&args[0], &FieldType::uint()),
            false => {
                let digits = self.bytes_as_text(&args[0]);
                let ty = FieldType::text(digits.ty.length, self.session.collation);
                Bound { ty, ..digits }
            }
        };
        if number && name == "CONV" && args.len() == 3 {
            let digits = vec![args[0].clone(), self.small(10), args[1].clone()];
            args[0] = self.call(name, digits)?;
        }
        self.call(name, args)
    }

    /// An argument converted as a letter of the table says.
    pub(crate) fn argument(&mut self, a: &Bound, letter: u8, name: &str) -> Bound {
        match letter {
            // Bytes are no JSON, nor a part of it.
            b't' if name == "JSON_VALID" && a.class() == Class::Bytes => {
                let sql = self.sql(a);
                Bound::new(
                    format!("(CASE WHEN {sql} IS NOT NULL THEN '' END)"),
                    FieldType::text(0, Collation::Binary),
                )
            }
            b't' if name.starts_with("JSON_") => self.text_in_json(a),
            b't' | b'w' => self.text_of(a),
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

    /// The bytes of a value as a text of as many characters, for functions that work by characters.
    pub(crate) fn bytes_as_text(&mut self, a: &Bound) -> Bound {
        let bytes = self.to(a, &FieldType::bytes(a.ty.text_length()));
        let sql = format!("p_bytes_as_text({})", self.sql(&bytes));
        let ty = FieldType::text(a.ty.text_length(), Collation::Binary);
        Bound { repr: Repr::Sql(sql), ty, hex: false, field: None, ..a.clone() }
    }

    /// A text of which JSON is made: bytes are none (3144).
    pub(crate) fn text_in_json(&mut self, a: &Bound) -> Bound {
        if a.class() != Class::Bytes {
            return self.text_of(a);
        }
        let sql = self.sql(a);
        let ty = FieldType::text(a.ty.text_length(), self.session.collation);
        Bound { repr: Repr::Sql(format!("p_no_json({sql})")), ty, hex: false, field: None, ..a.clone() }
    }

    /// A text argument where JSON is meant is parsed.
    pub(crate) fn json_argument(&mut self, a: &Bound, name: &str) -> Bound {
        if a.class() == Class::Json {
            return a.clone();
        }
        let t = self.text_in_json(a);
        let sql = self.sql(&t);
        Bound {
            repr: Repr::Sql(format!("p_json_parse({sql},'{}')", name.to_lowercase())),
            ty: FieldType::json(),
            field: None,
            ..a.clone()
        }
    }

    /// Fractional digits of a date or time; those of a literal are counted, which makes it part of the plan.
    pub(super) fn fsp_of(&mut self, b: &Bound) -> u8 {
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

    /// Functions that compare take texts or bytes, not both (3995).
    fn one_kind_of_text(&self, name: &str, args: &[Bound]) -> Result<(), SqlError> {
        if !name.starts_with("REGEXP_") {
            return Ok(());
        }
        let of = |class: Class| args.iter().position(|a| a.class() == class);
        let (Some(text), Some(bytes)) = (of(Class::Text), of(Class::Bytes)) else { return Ok(()) };
        // Beside a binary column a literal is as good as its bytes.
        if args[bytes].field.is_some() && args[text].coercibility > args[bytes].coercibility {
            return Ok(());
        }
        let charset = args[text].ty.collation.name();
        let (first, second) = if text < bytes { (charset, "binary") } else { ("binary", charset) };
        let message = format!(
            "Character set '{first}' cannot be used in conjunction with '{second}' in call to {}.",
            name.to_lowercase()
        );
        Err(SqlError::new(3995, "HY000", message))
    }

    /// The value of a text literal, which becomes part of the plan.
    pub(super) fn constant_text(&mut self, b: &Bound) -> Option<String> {
        let value = match &b.repr {
            Repr::Slot(Slot { source: Source::Literal(n), .. }) => {
                let text = self.text?;
                text.pin(*n);
                &text.literal(*n)?.value
            }
            Repr::Slot(Slot { source: Source::Const(v), .. }) => v,
            _ => return None,
        };
        match value {
            Value::Text(t) => Some(t.clone()),
            _ => None,
        }
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
        let mut parts = vec![self.expr(e, s)?];
        if let Some(w) = what {
            parts.push(self.expr(w, s)?);
        }
        self.beside_texts(&mut parts);
        let bytewise = parts.iter().any(|p| p.class() == Class::Bytes);
        let texts: Vec<Bound> = match bytewise {
            true => parts.iter().map(|p| self.bytes_as_text(p)).collect(),
            false => parts.iter().map(|p| self.text_of(p)).collect(),
        };
        let (x, text) = (parts[0].clone(), texts[0].clone());
        let sql = self.sql(&text);
        let what = parts.get(1).cloned();
        let pattern = texts.get(1).map_or("' '".to_owned(), |w| self.sql(w));
        let place = match place {
            Some(TrimWhereField::Leading) => 1,
            Some(TrimWhereField::Trailing) => 2,
            _ => 3,
        };
        let ty = match x.class() {
            Class::Null => FieldType::bytes(0),
            _ if bytewise => FieldType::bytes(text.ty.text_length()),
            _ => FieldType::text(text.ty.text_length(), text.ty.collation),
        };
        let sql = format!("p_trim({sql},{pattern},{place})");
        let mut b = Bound::new(if bytewise { format!("p_text_as_bytes({sql})") } else { sql }, ty);
        b.coercibility = text.coercibility;
        b.not_null = x.not_null && what.as_ref().is_none_or(|w| w.not_null) && !self.mode().strict();
        Ok(b.with_parts([&x]).with_parts(&what))
    }
}
