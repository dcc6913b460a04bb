//! Arithmetic and bit operators: exact for integers and DECIMAL, with MySQL's result types and errors.
//!
//! Integers of known small size use SQLite's own operators, since they cannot overflow 64 bits; all others go through
//! functions that give error 1690.

use sqlparser::ast::BinaryOperator;

use super::{Binder, Bound, Repr};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::session::SqlMode;
use crate::types::{Class, DECIMAL_SCALE_MAX};

/// Integers of at most this many bits of magnitude are computed by SQLite.
const SAFE_BITS: u8 = 62;

/// What arithmetic an operand takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Int,
    Decimal,
    Real,
}

fn kind(b: &Bound) -> Kind {
    match b.class() {
        c if c.is_integer() => Kind::Int,
        Class::Null => Kind::Int,
        Class::Decimal => Kind::Decimal,
        Class::Date => Kind::Int,
        Class::DateTime | Class::Timestamp | Class::Time => {
            if b.ty.decimals == 0 {
                Kind::Int
            } else {
                Kind::Decimal
            }
        }
        Class::Bytes if b.hex => Kind::Int,
        _ => Kind::Real,
    }
}

/// Bit operations take it as a string of bits of its own length; `x'…'` alone is a number.
pub(super) fn is_binary(b: &Bound) -> bool {
    b.class() == Class::Bytes && !b.hex
}

impl Binder<'_> {
    fn int_operand(&mut self, b: &Bound) -> Bound {
        match b.class() {
            Class::Null => b.clone(),
            c if c.is_integer() => b.clone(),
            Class::Bytes => self.to(b, &FieldType::uint()),
            _ => self.to(b, &FieldType::int()),
        }
    }

    /// `a op b`.
    pub fn arithmetic(&mut self, op: &BinaryOperator, a: Bound, b: Bound) -> Result<Bound, SqlError> {
        use BinaryOperator::*;
        if a.class() == Class::Null || b.class() == Class::Null {
            // Only the type matters; the value is NULL.
            let ty = match op {
                MyIntegerDivide => FieldType::int(),
                _ => FieldType::double(),
            };
            let (x, y) = (self.sql(&a), self.sql(&b));
            let out = Bound::new(format!("(CASE WHEN {x} IS NULL OR {y} IS NULL THEN NULL END)"), ty);
            return Ok(out.with_parts([&a, &b]));
        }
        let mut kind = kind(&a).max(kind(&b));
        if *op == Divide && kind == Kind::Int {
            kind = Kind::Decimal;
        }
        let not_null = a.not_null && b.not_null;
        let mut out = match (kind, op) {
            (_, MyIntegerDivide) => self.integer_division(kind, &a, &b),
            (Kind::Int, _) => self.int_arithmetic(op, &a, &b),
            (Kind::Decimal, _) => self.decimal_arithmetic(op, &a, &b),
            (Kind::Real, _) => {
                let name = match op {
                    Plus => "p_radd",
                    Minus => "p_rsub",
                    Multiply => "p_rmul",
                    Divide => "p_rdiv",
                    _ => "p_rmod",
                };
                let (x, y) = (self.to(&a, &FieldType::double()), self.to(&b, &FieldType::double()));
                let sql = format!("{name}({},{})", self.sql(&x), self.sql(&y));
                let mut decimals = a.ty.fixed_decimals().max(b.ty.fixed_decimals());
                if *op == Divide {
                    decimals = decimals.saturating_add(self.session.div_precision_increment);
                }
                Bound::new(sql, FieldType::double_of(decimals))
            }
        };
        out.not_null = not_null && matches!(op, Plus | Minus | Multiply);
        Ok(out.with_parts([&a, &b]))
    }

    fn int_arithmetic(&mut self, op: &BinaryOperator, a: &Bound, b: &Bound) -> Bound {
        use BinaryOperator::*;
        let (x, y) = (self.int_operand(a), self.int_operand(b));
        let unsigned = x.ty.unsigned || y.ty.unsigned;
        let free_minus = *op == Minus && self.mode().has(SqlMode::NO_UNSIGNED_SUBTRACTION);
        let (p, q) = (self.sql(&x), self.sql(&y));
        let digits = x.ty.precision().max(y.ty.precision());
        let bits = match op {
            Multiply => x.bits.saturating_add(y.bits),
            _ => x.bits.max(y.bits).saturating_add(1),
        };
        let result_unsigned = match op {
            Modulo => x.ty.unsigned,
            _ => unsigned && !free_minus,
        };
        let length = match op {
            Multiply => x.ty.precision() + y.ty.precision(),
            Modulo => digits,
            _ => digits + 1,
        };
        let ty = if result_unsigned { FieldType::uint() } else { FieldType::int() };
        let ty = FieldType { length: length + u32::from(!result_unsigned), ..ty };
        if *op == Modulo {
            let mut out = Bound::new(format!("p_imod({p},{q})"), ty);
            out.bits = y.bits;
            return out;
        }
        let inline = match op {
            Plus => Some("+"),
            Multiply => Some("*"),
            Minus if !result_unsigned => Some("-"),
            _ => None,
        };
        if let (Some(op), true) = (inline, bits <= SAFE_BITS && (!unsigned || *op == Plus || *op == Multiply))
        {
            let signed_mix = result_unsigned && !(x.ty.unsigned && y.ty.unsigned);
            if !signed_mix {
                let mut out = Bound::new(format!("({p}{op}{q})"), ty);
                out.bits = bits;
                return out;
            }
        }
        let name = match (op, result_unsigned) {
            (Plus, false) => "p_iadd",
            (Plus, true) => "p_uadd",
            (Minus, false) => "p_isub",
            (Minus, true) => "p_usub",
            (_, false) => "p_imul",
            (_, true) => "p_umul",
        };
        let mut out = Bound::new(format!("{name}({p},{q})"), ty);
        out.bits = bits.min(64);
        out
    }

    /// The operand as DECIMAL with its type's precision and scale.
    fn decimal_operand(&mut self, b: &Bound) -> Bound {
        if b.class() == Class::Decimal {
            return b.clone();
        }
        let b = if b.hex { self.to(b, &FieldType::uint()) } else { b.clone() };
        let ty = FieldType::decimal(b.ty.precision(), b.ty.scale());
        self.to(&b, &ty)
    }

    fn decimal_arithmetic(&mut self, op: &BinaryOperator, a: &Bound, b: &Bound) -> Bound {
        use BinaryOperator::*;
        let (x, y) = (self.decimal_operand(a), self.decimal_operand(b));
        let (s1, s2) = (x.ty.scale(), y.ty.scale());
        let (p1, p2) = (x.ty.precision(), y.ty.precision());
        let (p, q) = (self.sql(&x), self.sql(&y));
        match op {
            Divide => {
                let more = self.session.div_precision_increment;
                let scale = (s1 + more).min(DECIMAL_SCALE_MAX);
                let precision = p1 + u32::from(s2) + u32::from(more);
                Bound::new(format!("p_ddiv({p},{q},{s1},{s2},{more})"), FieldType::decimal(precision, scale))
            }
            Modulo => {
                let scale = s1.max(s2);
                Bound::new(format!("p_dmod({p},{q})"), FieldType::decimal(p1.max(p2), scale))
            }
            Multiply => {
                let scale = (s1 + s2).min(DECIMAL_SCALE_MAX);
                Bound::new(format!("p_dmul({p},{q})"), FieldType::decimal(p1 + p2, scale))
            }
            _ => {
                let scale = s1.max(s2);
                let whole = (p1 - u32::from(s1)).max(p2 - u32::from(s2)) + 1;
                let name = if *op == Plus { "p_dadd" } else { "p_dsub" };
                Bound::new(format!("{name}({p},{q})"), FieldType::decimal(whole + u32::from(scale), scale))
            }
        }
    }

    fn integer_division(&mut self, kind: Kind, a: &Bound, b: &Bound) -> Bound {
        let unsigned = a.ty.unsigned || b.ty.unsigned;
        let ty = if unsigned { FieldType::uint() } else { FieldType::int() };
        let ty = match kind {
            Kind::Int => FieldType { length: a.ty.length, ..ty },
            Kind::Decimal => {
                let whole = a.ty.precision().saturating_sub(u32::from(a.ty.scale()));
                FieldType { length: whole + 1, ..ty }
            }
            Kind::Real => ty,
        };
        if kind == Kind::Int {
            let (x, y) = (self.int_operand(a), self.int_operand(b));
            let sql = format!("p_idiv({},{},{})", self.sql(&x), self.sql(&y), u8::from(unsigned));
            let mut out = Bound::new(sql, ty);
            out.bits = x.bits;
            return out;
        }
        let any = FieldType::decimal(65, 30);
        let (x, y) = (self.to(a, &any), self.to(b, &any));
        let sql = format!("p_didiv({},{},{})", self.sql(&x), self.sql(&y), u8::from(unsigned));
        Bound::new(sql, ty)
    }

    /// `-a`.
    pub(crate) fn negate(&mut self, a: &Bound) -> Result<Bound, SqlError> {
        let mut out = match kind(a) {
            Kind::Int if a.class() == Class::Null => a.clone(),
            Kind::Int => {
                let x = self.int_operand(a);
                let sql = self.sql(&x);
                let inline = x.bits <= SAFE_BITS;
                let sql = if inline { format!("(-{sql})") } else { format!("p_ineg({sql})") };
                let mut out = Bound::new(sql, FieldType { length: x.ty.precision() + 1, ..FieldType::int() });
                out.bits = x.bits;
                out
            }
            Kind::Decimal => {
                let x = self.decimal_operand(a);
                let ty = FieldType { unsigned: false, ..x.ty.clone() };
                Bound::new(format!("p_dneg({})", self.sql(&x)), ty)
            }
            Kind::Real => {
                let x = self.to(a, &FieldType::double());
                let ty = FieldType::double_of(a.ty.fixed_decimals());
                Bound::new(format!("p_rneg({})", self.sql(&x)), ty)
            }
        };
        out.not_null = a.not_null;
        Ok(out.with_parts([a]))
    }

    fn bits_operand(&mut self, b: &Bound) -> Bound {
        match b.class() {
            Class::UInt | Class::Int | Class::Year | Class::Bit | Class::Null => b.clone(),
            _ => self.to(b, &FieldType::uint()),
        }
    }

    /// `&`, `|`, `^`, `<<`, `>>`: on 64 unsigned bits.
    pub(crate) fn bits(&mut self, op: &BinaryOperator, a: Bound, b: Bound) -> Result<Bound, SqlError> {
        let shift = matches!(op, BinaryOperator::PGBitwiseShiftLeft | BinaryOperator::PGBitwiseShiftRight);
        let bytes = |x: &Bound| x.class() == Class::Bytes;
        let both = shift || bytes(&a) && bytes(&b);
        if both && (is_binary(&a) || !shift && is_binary(&b)) {
            let (x, y) = (self.sql(&a), if shift { self.to(&b, &FieldType::int()) } else { b.clone() });
            let y = self.sql(&y);
            let sql = match op {
                BinaryOperator::BitwiseAnd => format!("p_bytes_and({x},{y})"),
                BinaryOperator::BitwiseOr => format!("p_bytes_or({x},{y})"),
                BinaryOperator::BitwiseXor => format!("p_bytes_xor({x},{y})"),
                BinaryOperator::PGBitwiseShiftLeft => format!("p_bytes_shift({x},{y},1)"),
                _ => format!("p_bytes_shift({x},{y},0)"),
            };
            return Ok(Bound::new(sql, FieldType::bytes(a.ty.text_length())).with_parts([&a, &b]));
        }
        let name = match op {
            BinaryOperator::BitwiseAnd => "p_band",
            BinaryOperator::BitwiseOr => "p_bor",
            BinaryOperator::BitwiseXor => "p_bxor",
            BinaryOperator::PGBitwiseShiftLeft => "p_bshl",
            _ => "p_bshr",
        };
        let (x, y) = (self.bits_operand(&a), self.bits_operand(&b));
        let sql = format!("{name}({},{})", self.sql(&x), self.sql(&y));
        let mut out = Bound::new(sql, FieldType::uint());
        out.not_null = a.not_null && b.not_null;
        Ok(out.with_parts([&a, &b]))
    }

    pub(crate) fn bit_not(&mut self, a: &Bound) -> Result<Bound, SqlError> {
        if is_binary(a) {
            let sql = format!("p_bytes_not({})", self.sql(a));
            return Ok(Bound::new(sql, FieldType::bytes(a.ty.text_length())).with_parts([a]));
        }
        let x = self.bits_operand(a);
        let mut out = Bound::new(format!("p_bnot({})", self.sql(&x)), FieldType::uint());
        out.not_null = a.not_null;
        Ok(out.with_parts([a]))
    }

    /// A constant of a small integer in SQL.
    pub(crate) fn small(&self, n: i64) -> Bound {
        let mut b = Bound::new(n.to_string(), FieldType::int());
        b.repr = Repr::Sql(n.to_string());
        b.not_null = true;
        b.bits = (64 - n.unsigned_abs().leading_zeros()) as u8;
        b
    }
}
