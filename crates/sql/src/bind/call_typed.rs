//! Functions whose result type follows from the types of their arguments: numbers, texts, conditions.
//!
//! Dates are in [`super::call_temporal`], JSON in [`super::call_json`].

use super::call::wrong_count;
use super::{Binder, Bound, Repr, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::plan::{Coerce, RandomKind, Slot, Source};
use crate::types::Class;

/// What UNCOMPRESS may give, as its type says it.
const UNCOMPRESSED_BYTES: u32 = 16_777_216;
/// What LOAD_FILE may give, as its type says it.
const LOADED_BYTES: u32 = 16_777_216;

/// The greatest length in bytes of a value as text.
fn byte_length(b: &Bound) -> u32 {
    let width = if matches!(b.class(), Class::Text | Class::Json | Class::Enum | Class::Set) { 4 } else { 1 };
    b.ty.text_length().saturating_mul(width)
}

impl Binder<'_> {
    /// Functions whose result type follows from the arguments' types.
    pub(super) fn generic(&mut self, name: &str, args: &[Bound]) -> Result<Option<Bound>, SqlError> {
        let count = |n: usize| if args.len() == n { Ok(()) } else { Err(wrong_count(name)) };
        Ok(Some(match name {
            "IF" => {
                count(3)?;
                let c = self.truth_of_number(&args[0]);
                self.choice(&[c], &args[1..], true)?
            }
            "IFNULL" | "COALESCE" => {
                if name == "IFNULL" {
                    count(2)?;
                }
                let Some(first) = args.first() else { return Err(wrong_count(name)) };
                let ty = self.type_of_one(args)?;
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
                b.truth = false;
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
                    truth: false,
                    field: None,
                    ty: args[0].ty.clone().of_expression().without_zerofill(),
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
                if ty.class() == Class::Text && args.iter().any(|a| a.class().has_date()) {
                    return Ok(Some(self.extreme_date(name == "GREATEST", args, ty)));
                }
                let f = if name == "GREATEST" { "max" } else { "min" };
                let mut sqls = Vec::new();
                for a in args {
                    let a = self.to(a, &ty);
                    sqls.push(self.sql(&a));
                }
                // Of equal ones GREATEST gives the last and LEAST the first; SQLite the other way round. The collation of its first
                // argument is the function's.
                sqls.reverse();
                sqls[0] += &super::query::collate_clause(&ty);
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
                let length = match a.class() {
                    _ if number => 16,
                    Class::Bytes => a.ty.text_length().saturating_mul(2),
                    _ => a.ty.text_length().saturating_mul(8),
                };
                Bound::new(sql, FieldType::text(length, self.session.collation))
                    .not_null(a.not_null && !self.mode().strict())
            }
            "CHAR" => {
                let mut sqls = Vec::new();
                for a in args {
                    let unsigned = matches!(a.class(), Class::UInt | Class::Bit);
                    let a = if unsigned { a.clone() } else { self.to(a, &FieldType::int()) };
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
                let d = self.to(&args[1], &FieldType::int());
                // A double is rounded as ROUND does it.
                let x = match x.class() {
                    Class::Real | Class::Float => {
                        let rounded = format!("p_rround({},{})", self.sql(&x), self.sql(&d));
                        Bound::new(rounded, FieldType::double())
                    }
                    _ => x,
                };
                let x = self.to(&x, &FieldType::decimal(65, 30));
                let locale = match args.get(2) {
                    Some(l) => {
                        let l = self.text_of(l);
                        self.sql(&l)
                    }
                    None => "'en_US'".to_owned(),
                };
                let sql = format!("p_format({},{},{locale})", self.sql(&x), self.sql(&d));
                // Separators, sign and digits of a number of unknown scale, as MySQL counts them.
                let chars = args[0].ty.text_length();
                Bound::new(sql, FieldType::text(chars + chars / 3 + 32, self.session.collation))
            }
            "FIELD" => {
                if args.len() < 2 {
                    return Err(wrong_count(name));
                }
                // Dates are texts here, and texts beside numbers are numbers.
                let texts = args.iter().all(|a| !a.class().is_number());
                let numbers = args.iter().all(|a| a.class().is_number() || a.class() == Class::Null);
                let args: Vec<Bound> = args
                    .iter()
                    .map(|a| match a.class() {
                        c if texts && c.is_temporal() => self.text_of(a),
                        _ if texts || numbers => a.clone(),
                        _ => self.to(a, &FieldType::double()),
                    })
                    .collect();
                let mut sql = String::from("(CASE");
                for (i, a) in args[1..].iter().enumerate() {
                    let c = self.compare(args[0].clone(), &sqlparser::ast::BinaryOperator::Eq, a.clone())?;
                    sql += &format!(" WHEN {} THEN {}", self.sql(&c), i + 1);
                }
                sql += " ELSE 0 END)";
                let mut b = Bound::new(sql, FieldType { length: 11, ..FieldType::int() }).not_null(true);
                b.bits = 16;
                b
            }
            "AES_ENCRYPT" | "AES_DECRYPT" => {
                if !(2..=6).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                if args.len() > 3 {
                    return Err(SqlError::unsupported(format!("{name} with a key derivation function")));
                }
                let variable =
                    Source::SystemVariable { name: "block_encryption_mode".to_owned(), global: false };
                let mode = self.session_slot(variable, FieldType::text(32, self.session.collation));
                let mut sqls = vec![self.sql(&mode)];
                for a in args {
                    let a = self.argument(a, b'b', name);
                    sqls.push(self.sql(&a));
                }
                let length = match name {
                    "AES_ENCRYPT" => (byte_length(&args[0]) / 16).saturating_add(1).saturating_mul(16),
                    _ => args[0].ty.text_length(),
                };
                Bound::new(format!("p_{}({})", name.to_lowercase(), sqls.join(",")), FieldType::bytes(length))
            }
            "COMPRESS" | "UNCOMPRESS" | "UNCOMPRESSED_LENGTH" => {
                count(1)?;
                let x = self.argument(&args[0], b'b', name);
                let sql = format!("p_{}({})", name.to_lowercase(), self.sql(&x));
                let bytes = byte_length(&args[0]);
                let ty = match name {
                    // zlib's own bound, and the length before it.
                    "COMPRESS" => {
                        let more = (bytes >> 12) + (bytes >> 14) + (bytes >> 25) + 18;
                        FieldType::bytes(bytes.saturating_add(more))
                    }
                    "UNCOMPRESS" => FieldType::bytes(UNCOMPRESSED_BYTES),
                    _ => FieldType { length: 11, ..FieldType::int() },
                };
                Bound::new(sql, ty).not_null(name == "UNCOMPRESSED_LENGTH" && args[0].not_null)
            }
            "RANDOM_BYTES" => {
                count(1)?;
                let seed = Slot { source: Source::Random(RandomKind::Bytes), coerce: Coerce::None };
                let seed = Bound::slot(seed, FieldType::bytes(16));
                let n = self.to(&args[0], &FieldType::int());
                let sql = format!("p_random_bytes({},{})", self.sql(&seed), self.sql(&n));
                Bound::new(sql, FieldType::bytes(1024))
            }
            "LOAD_FILE" => {
                count(1)?;
                // As with secure_file_priv = NULL: there is no file that a client may read.
                let x = self.text_of(&args[0]);
                let sql = format!("nullif({0},{0})", self.sql(&x));
                Bound::new(sql, FieldType::bytes(LOADED_BYTES))
            }
            "MASTER_POS_WAIT" | "SOURCE_POS_WAIT" => {
                if !(2..=5).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                // There is no replica's applier to wait for.
                Bound::new("NULL".to_owned(), FieldType::int())
            }
            "VALIDATE_PASSWORD_STRENGTH" => {
                count(1)?;
                // As without the component that would judge.
                let sql = self.sql(&args[0]);
                Bound::new(
                    format!("(CASE WHEN {sql} IS NULL THEN NULL ELSE 0 END)"),
                    FieldType { length: 10, ..FieldType::int() },
                )
            }
            "BIN" | "OCT"
                if args.len() == 1
                    && matches!(
                        args[0].class(),
                        Class::Text | Class::Decimal | Class::Real | Class::Float
                    ) =>
            {
                let base = self.small(if name == "BIN" { 2 } else { 8 });
                return self.call("CONV", vec![args[0].clone(), self.small(10), base]).map(Some);
            }
            "JSON_VALID"
                if args.len() == 1
                    && !matches!(args[0].class(), Class::Text | Class::Bytes | Class::Json | Class::Null) =>
            {
                let sql = self.sql(&args[0]);
                Bound::new(
                    format!("(CASE WHEN {sql} IS NULL THEN NULL ELSE 0 END)"),
                    FieldType { length: 21, ..FieldType::int() },
                )
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
            "EXTRACTVALUE" | "UPDATEXML" if args.get(1).is_some_and(|path| !path.free.is_empty()) => {
                return Err(SqlError::new(1105, "HY000", "Only constant XPATH queries are supported"));
            }
            "BENCHMARK" => {
                count(2)?;
                let sql = self.benchmark(&args[0], &args[1]);
                Bound::new(sql, FieldType { length: 1, ..FieldType::int() })
            }
            "WEIGHT_STRING" => self.weight_string(args)?,
            _ => return self.temporal_call(name, args),
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
            let ty = if what == "abs" { FieldType { length: a.ty.length, ..ty } } else { ty };
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
            let ty = FieldType::decimal(
                whole + u32::from(new_scale) + u32::from(!matches!(what, "abs" | "truncate")),
                new_scale,
            );
            let b = Bound::new(format!("p_d{what}({sql}{extra})"), ty);
            if matches!(what, "ceil" | "floor") && whole < 18 { self.to(&b, &FieldType::int()) } else { b }
        } else {
            let x = self.to(a, &FieldType::double());
            let sql = self.sql(&x);
            let ty = match what {
                "abs" => FieldType::double_of(a.ty.fixed_decimals()),
                _ => FieldType::double(),
            };
            Bound::new(format!("p_r{what}({sql}{extra})"), ty)
        };
        Ok(Bound { not_null: a.not_null && d.is_none_or(|d| d.not_null), ..out })
    }
}
