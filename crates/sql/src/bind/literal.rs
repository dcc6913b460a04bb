//! Literals, parameters and variables.

use p2pdb_model::Value;
use p2pdb_model::ids::unhex;
use sqlparser::ast::{Value as Ast, ValueWithSpan};

use super::{Binder, Bound, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::front::tokens::Lifted;
use crate::front::{Literal, LiteralKind};
use crate::plan::{Coerce, Slot, Source};
use crate::types::Class;

impl Binder<'_> {
    /// A literal or parameter.
    pub(crate) fn literal(&mut self, v: &ValueWithSpan) -> Result<Bound, SqlError> {
        match &v.value {
            Ast::Null => {
                let slot = Slot { source: Source::Const(Value::Null), coerce: Coerce::None };
                let mut b = Bound::slot(slot, FieldType::null());
                b.coercibility = coercibility::NULL;
                return Ok(b);
            }
            Ast::Boolean(yes) => {
                let mut b = Bound::new(if *yes { "1" } else { "0" }, FieldType::boolean());
                b.not_null = true;
                b.bits = 1;
                return Ok(b);
            }
            _ => {}
        }
        if let Some(lifted) = self.text.and_then(|t| t.lifted(v.span)) {
            return match lifted {
                Lifted::Param(n) => Ok(self.param(n)),
                Lifted::Literal(n) => self.lifted_literal(n),
            };
        }
        let l = self.literal_value(v)?;
        Ok(self.constant_literal(&l))
    }

    fn param(&mut self, n: usize) -> Bound {
        let kind = self.text.map_or(LiteralKind::Unknown, |t| t.param(n));
        let slot = Slot { source: Source::Param(n), coerce: Coerce::None };
        // It may be NULL the next time.
        self.of_kind(Bound::slot(slot, kind.field_type(self.session.collation)), kind).not_null(false)
    }

    fn lifted_literal(&mut self, n: usize) -> Result<Bound, SqlError> {
        let text = self.text;
        let (Some(text), Some(l)) = (text, text.and_then(|t| t.literal(n))) else {
            return Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE"));
        };
        if self.pin_literals {
            text.pin(n);
            return Ok(self.constant_literal(l));
        }
        text.free(n);
        let slot = Slot { source: Source::Literal(n), coerce: Coerce::None };
        Ok(self.of_kind(Bound::slot(slot, l.kind.field_type(self.session.collation)), l.kind))
    }

    /// A literal whose value is part of the plan.
    pub(crate) fn constant_literal(&mut self, l: &Literal) -> Bound {
        let mut ty = l.kind.field_type(self.session.collation);
        match (&l.value, l.kind) {
            (Value::Text(t), _) => ty.length = t.chars().count() as u32,
            (Value::Blob(b), LiteralKind::Hex | LiteralKind::Bytes) => ty.length = b.len() as u32,
            (Value::Int(i), LiteralKind::Int | LiteralKind::SmallInt) => {
                ty.length = i.to_string().len() as u32 + u32::from(*i >= 0);
            }
            _ => {}
        }
        let slot = Slot { source: Source::Const(l.value.clone()), coerce: Coerce::None };
        let (Value::Blob(_), LiteralKind::Decimal(..) | LiteralKind::UInt) = (&l.value, l.kind) else {
            let mut b = self.of_kind(Bound::slot(slot, ty), l.kind);
            if let Value::Int(i) = l.value {
                b.bits = (64 - i.unsigned_abs().leading_zeros()) as u8;
            }
            return b;
        };
        // A constant's type follows from its storage class at execution: these two would be taken for bytes.
        let sql = self.parameter(slot);
        self.of_kind(Bound::new(sql, ty), l.kind)
    }

    fn of_kind(&self, mut b: Bound, kind: LiteralKind) -> Bound {
        b.not_null = !matches!(kind, LiteralKind::Null | LiteralKind::Unknown);
        b.coercibility = match b.class() {
            Class::Null => coercibility::NULL,
            Class::Text | Class::Bytes => coercibility::LITERAL,
            _ => coercibility::NUMERIC,
        };
        b.hex = kind == LiteralKind::Hex;
        b.bits = match kind {
            LiteralKind::SmallInt => 31,
            _ => b.bits,
        };
        b
    }

    /// The value of a literal, which becomes part of the plan.
    ///
    /// # Errors
    /// 1235 for what is none.
    pub fn literal_value(&mut self, v: &ValueWithSpan) -> Result<Literal, SqlError> {
        if let Some(text) = self.text
            && let Some(Lifted::Literal(n)) = text.lifted(v.span)
            && let Some(l) = text.literal(n)
        {
            text.pin(n);
            return Ok(l.clone());
        }
        match &v.value {
            Ast::Number(s, _) => {
                let (digits, negative) = match s.strip_prefix('-') {
                    Some(d) => (d, true),
                    None => (s.as_str(), false),
                };
                let l = number(digits);
                Ok(if negative { crate::front::tokens::negated(l, digits) } else { l })
            }
            Ast::SingleQuotedString(s) | Ast::DoubleQuotedString(s) | Ast::NationalStringLiteral(s) => {
                Ok(Literal::text(s.clone()))
            }
            Ast::HexStringLiteral(s) => {
                let bytes = unhex(s).ok_or_else(|| SqlError::syntax(s, 1))?;
                Ok(Literal { kind: LiteralKind::Hex, value: Value::Blob(bytes) })
            }
            Ast::Null => Ok(Literal::null()),
            Ast::Boolean(b) => Ok(Literal::int(i64::from(*b))),
            other => Err(SqlError::unsupported(other)),
        }
    }

    /// The text of a string literal that is part of the syntax.
    pub(crate) fn literal_text(&mut self, v: &ValueWithSpan) -> Result<String, SqlError> {
        match self.literal_value(v)?.value {
            Value::Text(t) => Ok(t),
            _ => Err(SqlError::syntax(&v.to_string(), 1)),
        }
    }
}

/// A number as the lexer would read it.
fn number(digits: &str) -> Literal {
    use crate::front::lexer::{Lexer, Quoting};
    let quoting = Quoting { ansi_quotes: false, backslash: true };
    Lexer::new(digits, quoting)
        .next()
        .and_then(|t| crate::front::tokens::literal(&t, digits, quoting))
        .unwrap_or_else(|| Literal::double(0.0))
}
