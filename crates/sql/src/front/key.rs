//! The cache key: a statement's shape, with the literals lifted out.

use p2pdb_model::Value;

use super::lexer::{Lexer, Quoting, Raw, unquote};
use super::literal::{Literal, LiteralKind};
use super::tokens::{ends_operand, literal, negated, variable_name};
use crate::session::SessionState;

/// Appends the shape of a text to `key` and its literals to `out`. Tokens are kept byte by byte, literals by kind. The
/// text must be one statement; what follows a `;` is not read. Returns the number of `?`.
///
/// What the plan assumes of the session's user
/// variables is part of the shape. The order of the literals is that of [`super::tokens::tokenize`].
pub fn shape(text: &str, session: &SessionState, key: &mut Vec<u8>, out: &mut Vec<Literal>) -> usize {
    let quoting = Quoting::from(session.sql_mode);
    let mut params = 0;
    let mut lexer = Lexer::new(text, quoting).take_while(|t| t.kind != Raw::Semicolon).peekable();
    let mut operand = false;
    let mut minus = false;
    while let Some(t) = lexer.next() {
        let was_operand = std::mem::replace(&mut operand, ends_operand(&t, text));
        if t.kind == Raw::Op && !was_operand && text.as_bytes()[t.start] == b'-' && t.end == t.start + 1 {
            let number = |k: Raw| matches!(k, Raw::Integer | Raw::Decimal | Raw::Float);
            if lexer.peek().is_some_and(|n| number(n.kind)) {
                minus = true;
                continue;
            }
        }
        let Some(mut lit) = literal(&t, text, quoting) else {
            params += usize::from(t.kind == Raw::Param);
            key.push(b' ');
            key.extend_from_slice(&text.as_bytes()[t.start..t.end]);
            if t.kind == Raw::Variable && !text[t.start..].starts_with("@@") {
                // A plan assumes the types of user variables.
                let name = variable_name(&text[t.start + 1..t.end], quoting.backslash).to_lowercase();
                let ty = session.user_variables.get(&name).map(|v| &v.ty);
                let (class, decimals) = ty.map_or((0, 0), |t| (t.class() as u8, t.decimals));
                key.extend_from_slice(&[0, 99, class, decimals]);
            }
            continue;
        };
        if std::mem::take(&mut minus) {
            lit = negated(lit, &text[t.start..t.end]);
        }
        if matches!(t.kind, Raw::Text | Raw::National) {
            while let Some(next) = lexer.next_if(|n| n.kind == Raw::Text) {
                if let Value::Text(s) = &mut lit.value {
                    s.push_str(&unquote(&text[next.start..next.end], quoting.backslash));
                    lit.kind = LiteralKind::text(s);
                }
            }
        }
        push_kind(key, lit.kind);
        out.push(lit);
    }
    params
}

/// Appends a kind, in a form that no token has.
pub fn push_kind(key: &mut Vec<u8>, kind: LiteralKind) {
    let (a, b, c) = match kind {
        LiteralKind::Unknown => (1, 0, 0),
        LiteralKind::Null => (2, 0, 0),
        LiteralKind::SmallInt => (3, 0, 0),
        LiteralKind::Int => (4, 0, 0),
        LiteralKind::UInt => (5, 0, 0),
        LiteralKind::Decimal(p, s) => (6, p, s),
        LiteralKind::Double => (7, 0, 0),
        LiteralKind::Text(bits) => (8, bits, 0),
        LiteralKind::Hex => (9, 0, 0),
        LiteralKind::Bytes => (10, 0, 0),
        LiteralKind::Date => (11, 0, 0),
        LiteralKind::Time => (12, 0, 0),
        LiteralKind::DateTime => (13, 0, 0),
    };
    key.extend_from_slice(&[0, a, b, c]);
}
