//! CAST, CONVERT, BINARY and typed literals.

use std::rc::Rc;

use p2pdb_model::types::Collation;
use sqlparser::ast::{
    BinaryLength, CharacterLength, DataType, ExactNumberInfo, Expr, TimezoneInfo, TypedString,
};

use super::{Binder, Bound, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::session::SqlMode;
use crate::types::Class;

/// What becomes of a double beyond the range of BIGINT when it is cast to an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    Cut,
    Warned,
    Refused,
}

impl Binder<'_> {
    pub(crate) fn cast(&mut self, e: &Expr, ty: &DataType, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let b = self.expr(e, s)?;
        self.cast_bound(&b, ty)
    }

    fn cast_bound(&mut self, b: &Bound, ty: &DataType) -> Result<Bound, SqlError> {
        let number = |info: &ExactNumberInfo| -> Result<(u32, u8), SqlError> {
            Ok(match info {
                ExactNumberInfo::None => (10, 0),
                ExactNumberInfo::Precision(p) => (*p as u32, 0),
                ExactNumberInfo::PrecisionAndScale(p, s) => {
                    if *s > 30 || *s < 0 {
                        let message = format!("Too big scale {s} specified for column ''. Maximum is 30.");
                        return Err(SqlError::new(1425, "42000", message));
                    }
                    (*p as u32, *s as u8)
                }
            })
        };
        let fsp = |p: &Option<u64>| -> Result<u8, SqlError> {
            match p {
                None => Ok(0),
                Some(n @ 0..=6) => Ok(*n as u8),
                Some(n) => Err(SqlError::new(
                    1426,
                    "42000",
                    format!("Too-big precision {n} specified for 'CAST'. Maximum is 6."),
                )),
            }
        };
        let out = match ty {
            DataType::Signed
            | DataType::SignedInteger
            | DataType::BigInt(None)
            | DataType::Integer(None)
            | DataType::Int(None) => self.cast_integer(b, FieldType::int()),
            DataType::Unsigned | DataType::UnsignedInteger => self.cast_integer(b, FieldType::uint()),
            DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => {
                let (precision, scale) = number(info)?;
                let precision = if precision == 0 { 10 } else { precision };
                if precision > 65 {
                    let message =
                        format!("Too-big precision {precision} specified for 'CAST'. Maximum is 65.");
                    return Err(SqlError::new(1426, "42000", message));
                }
                if u32::from(scale) > precision {
                    let message = "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column '').";
                    return Err(SqlError::new(1427, "42000", message));
                }
                let ty = FieldType::decimal(precision, scale);
                let d = self.to(b, &FieldType::decimal(65, 30));
                let sql = format!("p_dfit({},{precision},{scale})", self.sql(&d));
                Bound::new(sql, ty)
            }
            DataType::Double(_) | DataType::DoublePrecision | DataType::Real => {
                self.plain(b, FieldType::double())
            }
            DataType::Float(_) => {
                let float = FieldType { kind: FieldKind::Float, ..FieldType::double() };
                let d = self.to(b, &FieldType::double());
                let sql = format!("p_single({})", self.sql(&d));
                Bound::new(sql, float)
            }
            DataType::Char(n) | DataType::Character(n) | DataType::Varchar(n) => {
                let text = self.decoded(b, false);
                let length = match n {
                    Some(CharacterLength::IntegerLength { length, .. }) => Some(*length as u32),
                    _ => None,
                };
                self.cut(text, length)
            }
            DataType::Nvarchar(_) => {
                let text = self.decoded(b, false);
                self.cut(text, None)
            }
            DataType::Binary(n) => {
                let bytes = FieldType::bytes(n.map_or(b.ty.text_length().saturating_mul(4), |n| n as u32));
                let x = self.to(b, &bytes);
                match n {
                    Some(n) => {
                        let sql = format!("p_binary({},{n})", self.sql(&x));
                        Bound::new(sql, bytes)
                    }
                    None => x,
                }
            }
            DataType::Varbinary(Some(BinaryLength::IntegerLength { .. }) | None) => {
                let bytes = FieldType::bytes(b.ty.text_length().saturating_mul(4));
                self.to(b, &bytes)
            }
            DataType::Date => self.plain(b, FieldType::date()),
            DataType::Datetime(p) | DataType::Timestamp(p, TimezoneInfo::None) => {
                let fsp = fsp(p)?;
                self.rounded(b, FieldType::datetime(fsp))
            }
            DataType::Time(p, TimezoneInfo::None) => {
                let fsp = fsp(p)?;
                self.rounded(b, FieldType::time(fsp))
            }
            DataType::JSON => {
                if b.class() == Class::Text {
                    self.json_argument(b, "cast_as_json")
                } else {
                    let sql = self.json_of(b);
                    Bound::new(sql, FieldType::json())
                }
            }
            DataType::Custom(name, words) => match name.to_string().to_uppercase().as_str() {
                "YEAR" => {
                    let sql = if b.class().has_date() {
                        let d = self.to(b, &FieldType::datetime(6));
                        format!("p_year({})", self.sql(&d))
                    } else {
                        let text = b.class() == Class::Text;
                        let i = if text { b.clone() } else { self.to(b, &FieldType::int()) };
                        format!("p_year_of({},{})", self.sql(&i), u8::from(text))
                    };
                    Bound::new(sql, FieldType::of_column(&p2pdb_model::SqlType::Year))
                }
                "SIGNED" => self.cast_integer(b, FieldType::int()),
                "UNSIGNED" => self.cast_integer(b, FieldType::uint()),
                "NCHAR" => {
                    let text = self.decoded(b, false);
                    let n = words.first().and_then(|w| w.parse().ok());
                    self.cut(text, n)
                }
                _ => return Err(SqlError::syntax(&ty.to_string(), 1)),
            },
            other => return Err(SqlError::syntax(&other.to_string(), 1)),
        };
        let mut out = out.with_parts([b]);
        out.field = None;
        out.hex = false;
        let may_be_cut = matches!(out.class(), Class::Text | Class::Bytes | Class::Json);
        out.not_null = b.not_null
            && !out.class().is_temporal()
            && out.class() != Class::Year
            && !(may_be_cut && self.mode().strict());
        out.ty = out.ty.of_expression();
        if matches!(out.class(), Class::Text | Class::Bytes) {
            // A cast's text is in the connection's collation, as strong as a column's.
            out.coercibility = coercibility::COLUMN;
            if !b.class().is_text() && out.class() == Class::Text {
                out.ty.collation = self.session.collation;
            }
        }
        Ok(out)
    }

    /// The value as text; bytes are read as UTF-8, and where they are none it is an error or a warning and NULL (1300).
    pub(crate) fn decoded(&mut self, b: &Bound, is_error: bool) -> Bound {
        let ty = FieldType::text(b.ty.text_length(), self.session.collation);
        if b.class() != Class::Bytes {
            return self.text_of(b);
        }
        let sql = format!("p_utf8({},{})", self.sql(b), u8::from(is_error));
        Bound { repr: Repr::Sql(sql), ty, hex: false, not_null: false, field: None, ..b.clone() }
    }

    fn plain(&mut self, b: &Bound, ty: FieldType) -> Bound {
        self.to(b, &ty)
    }

    fn cast_integer(&mut self, b: &Bound, ty: FieldType) -> Bound {
        let signed = !ty.unsigned;
        if b.class() == Class::Int && signed {
            return Bound { ty, field: None, ..b.clone() };
        }
        let x = if b.hex { self.to(b, &FieldType::uint()) } else { b.clone() };
        // A number beyond 64 bits is cut to them where a column or a literal says it, and 1690 where it was computed.
        let beyond = match (x.is_slot(), &x.field) {
            (true, _) => Beyond::Cut,
            (false, Some(_)) => Beyond::Warned,
            (false, None) => Beyond::Refused,
        };
        let sql = self.sql(&x);
        let code = x.ty.code().pack();
        let sql = format!("p_cast_int({sql},{code},{},{})", u8::from(!signed), beyond as u8);
        Bound::new(sql, ty)
    }

    fn cut(&mut self, b: Bound, length: Option<u32>) -> Bound {
        let Some(n) = length else { return b };
        let sql = format!("p_cut({},{n})", self.sql(&b));
        Bound { repr: Repr::Sql(sql), ty: FieldType::text(n, b.ty.collation), ..b }
    }

    /// A date or time rounded to its type's digits.
    fn rounded(&mut self, b: &Bound, ty: FieldType) -> Bound {
        let (class, fsp) = (ty.class(), ty.decimals);
        let x = self.to(b, &FieldType { decimals: 6, ..ty.clone() });
        if b.class() == class && b.ty.decimals <= fsp {
            return Bound { ty, ..x };
        }
        let f = if class == Class::Time { "p_round_time" } else { "p_round_datetime" };
        let sql = format!("{f}({},{fsp})", self.sql(&x));
        Bound::new(sql, ty)
    }

    /// `CONVERT(x USING charset)`.
    pub(crate) fn convert_using(
        &mut self,
        e: &Expr,
        charset: &str,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let b = self.expr(e, s)?;
        match charset.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" => {
                let ty = FieldType::text(b.ty.text_length(), Collation::Utf8mb4_0900AiCi);
                let mut out = self.decoded(&b, false);
                out.ty = ty;
                out.field = None;
                out.coercibility = coercibility::COLUMN;
                Ok(out)
            }
            "binary" => {
                let ty = FieldType::bytes(b.ty.text_length().saturating_mul(4));
                Ok(self.to(&b, &ty))
            }
            "latin1" | "ascii" => Err(SqlError::unsupported(format!("CONVERT ... USING {charset}"))),
            other => Err(SqlError::unknown_charset(other)),
        }
    }

    /// `DATE '2024-01-31'`, `TIME '…'`, `TIMESTAMP '…'`.
    pub(crate) fn typed_string(&mut self, t: &TypedString, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let _ = s;
        let text = self.literal_text(&t.value)?;
        let (ty, kind) = match &t.data_type {
            DataType::Date => (FieldType::date(), "DATE"),
            DataType::Time(..) => (FieldType::time(fraction(&text)), "TIME"),
            DataType::Timestamp(..) | DataType::Datetime(_) => {
                (FieldType::datetime(fraction(&text)), "DATETIME")
            }
            other => return Err(SqlError::syntax(&other.to_string(), 1)),
        };
        let from = crate::types::TypeCode::of(Class::Text);
        let value = crate::execute::convert::convert(p2pdb_model::ValueRef::Text(&text), from, ty.code())?;
        // What is only nearly one is none, without a warning of its own.
        let nearly = crate::execute::context::drop_warnings_since(0) || {
            let parsed = p2pdb_model::temporal::DateTime::parse(&text);
            match ty.class() {
                Class::Date => parsed.is_some_and(|p| !p.date_only || p.truncated),
                Class::Time => crate::execute::convert::datetime_in_time(&text).is_some(),
                _ => parsed.is_some_and(|p| p.date_only || p.truncated),
            }
        };
        let zero = ty.class().has_date() && value == p2pdb_model::Value::Int(0);
        if value.is_null() || nearly || zero && self.mode().has(SqlMode::NO_ZERO_DATE) {
            return Err(SqlError::new(1525, "HY000", format!("Incorrect {kind} value: '{text}'")));
        }
        let p = self.constant(value);
        Ok(Bound::new(p, ty).not_null(true))
    }
}

pub(crate) fn fraction(text: &str) -> u8 {
    text.rsplit_once('.').map_or(0, |(_, f)| f.bytes().take_while(u8::is_ascii_digit).count().min(6) as u8)
}
