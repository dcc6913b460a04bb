//! `sqlparser`'s MySQL dialect with the few differences that we need.

use std::any::TypeId;

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The dialect that statements are parsed with.
#[derive(Debug, Default)]
pub struct P2pdbDialect;

const MYSQL: MySqlDialect = MySqlDialect {};

/// How tightly a sign, `~`, `!` and BINARY bind; see [`P2pdbDialect::prec_value`] for the rest.
const SIGN: u8 = 48;
/// `||` where it joins texts.
const CONCAT: u8 = 46;
/// `<<` and `>>`.
const SHIFT: u8 = 25;

macro_rules! delegate {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { MYSQL.$name() })*
    };
}

impl Dialect for P2pdbDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        MYSQL.identifier_quote_style(identifier)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        super::forms::sounds_like(parser, expr, precedence)
            .or_else(|| super::forms::infix(parser, expr))
            .or_else(|| MYSQL.parse_infix(parser, expr, precedence))
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        super::forms::prefix(parser, SIGN)
    }

    /// MySQL 8.0 Reference Manual, Operator Precedence; its grammar (`expr`, `bool_pri`, `predicate`, `bit_expr`, `simple_expr`)
    /// says that IN, LIKE and their like bind tighter than comparisons.
    fn prec_value(&self, prec: Precedence) -> u8 {
        match prec {
            Precedence::Period => 100,
            Precedence::DoubleColon => 60,
            Precedence::AtTz => 55,
            Precedence::Caret => 45,
            Precedence::MulDivModOp => 40,
            Precedence::PlusMinus => 30,
            Precedence::Ampersand => 23,
            Precedence::Pipe | Precedence::Colon | Precedence::PgOther => 21,
            Precedence::Between | Precedence::Like => 20,
            Precedence::Eq | Precedence::Is => 17,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Xor => 7,
            Precedence::Or => 5,
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let known = match &parser.peek_token_ref().token {
            // `column->path` is one operand (simple_expr), and so is what `@v :=` begins.
            Token::Arrow | Token::LongArrow | Token::Assignment => self.prec_value(Precedence::Period),
            Token::ShiftLeft | Token::ShiftRight => SHIFT,
            Token::StringConcat => CONCAT,
            Token::Overlap => self.prec_value(Precedence::And),
            _ if super::forms::is_sounds_like(parser) => self.prec_value(Precedence::Like),
            _ => return None,
        };
        Some(Ok(known))
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        MYSQL.parse_statement(parser)
    }

    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        !matches!(kw, Keyword::FOR | Keyword::ON) && MYSQL.is_column_alias(kw, parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        MYSQL.is_table_factor_alias(explicit, kw, parser)
    }

    delegate!(
        supports_string_literal_backslash_escape,
        supports_string_literal_concatenation,
        ignores_wildcard_escapes,
        supports_numeric_prefix,
        supports_bitwise_shift_operators,
        supports_multiline_comment_hints,
        require_interval_qualifier,
        supports_limit_comma,
        supports_create_table_select,
        supports_insert_set,
        supports_user_host_grantee,
        supports_table_hints,
        requires_single_line_comment_whitespace,
        supports_match_against,
        supports_select_modifiers,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_update_order_by,
        supports_data_type_signed_suffix,
        supports_cross_join_constraint,
        supports_double_ampersand_operator,
        supports_binary_kw_as_cast,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
    );
}
