//! A cursor over tokens with MySQL's words: names, strings, numbers, and where a syntax error stands.
//!
//! It borrows `sqlparser`'s parser, whose tokens it reads and whose expression and query grammar it uses. Words are
//! compared by text, because many of MySQL's statement words are no keywords to `sqlparser`.

use sqlparser::ast::{Expr, Query};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::SqlError;
use crate::front::dialect::P2pdbDialect;
use crate::statement::reserved::is_reserved;

/// Bytes of an identifier in characters (1059 beyond).
pub const NAME_CHARS_MAX: usize = 64;

/// See the module.
pub struct Cursor<'c, 'p> {
    parser: &'c mut Parser<'p>,
    text: &'c str,
    ansi_quotes: bool,
}

impl<'c, 'p> Cursor<'c, 'p> {
    /// A cursor at the parser's place; `text` is what the tokens were made of.
    pub fn new(parser: &'c mut Parser<'p>, text: &'c str, ansi_quotes: bool) -> Self {
        Cursor { parser, text, ansi_quotes }
    }

    /// The parser itself.
    pub fn parser(&mut self) -> &mut Parser<'p> {
        self.parser
    }

    /// The `n`th token from here.
    pub fn token(&self, n: usize) -> &Token {
        &self.parser.peek_nth_token_ref(n).token
    }

    /// The place, to come back to.
    pub fn mark(&self) -> usize {
        self.parser.index()
    }

    /// Goes back to a mark.
    pub fn back(&mut self, mark: usize) {
        while self.parser.index() > mark {
            self.parser.prev_token();
        }
    }

    /// Moves on by one token.
    pub fn skip(&mut self) {
        self.parser.advance_token();
    }

    /// The statement ends here.
    pub fn at_end(&self) -> bool {
        matches!(self.token(0), Token::EOF | Token::SemiColon)
    }

    /// The statement must end here.
    pub fn end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.error()) }
    }

    /// 1064 at the next token.
    pub fn error(&self) -> SqlError {
        let token = self.parser.peek_token_ref();
        if token.token == Token::EOF {
            return SqlError::syntax("", self.text.lines().count().max(1) as u64);
        }
        SqlError::syntax(self.rest_from(token), token.span.start.line.max(1))
    }

    /// An error of the expression grammar, as 1064 at the token where it stopped.
    pub fn parser_error(&self, error: &ParserError) -> SqlError {
        match error {
            ParserError::RecursionLimitExceeded => {
                SqlError::new(1436, "HY000", "Thread stack overrun: the statement is nested too deeply")
            }
            _ => self.error(),
        }
    }

    fn rest_from(&self, token: &TokenWithSpan) -> &'c str {
        self.offset(token).and_then(|at| self.text.get(at..)).unwrap_or("")
    }

    fn offset(&self, token: &TokenWithSpan) -> Option<usize> {
        let start = token.span.start;
        let (line, column) = (start.line.checked_sub(1)?, start.column.checked_sub(1)?);
        let mut from = 0;
        for _ in 0..line {
            from += self.text.get(from..)?.find('\n')? + 1;
        }
        let rest = self.text.get(from..)?;
        rest.char_indices().nth(column as usize).map(|(i, _)| from + i)
    }

    /// The text from the next token on.
    pub fn rest(&self) -> &'c str {
        let token = self.parser.peek_token_ref();
        if token.token == Token::EOF { "" } else { self.rest_from(token) }
    }

    /// The `n`th token from here is this word, unquoted.
    pub fn is_at(&self, n: usize, word: &str) -> bool {
        matches!(self.token(n), Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    }

    /// The next tokens are these words (separated by blanks).
    pub fn is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, w)| self.is_at(n, w))
    }

    /// Takes these words, all or none.
    pub fn eat(&mut self, words: &str) -> bool {
        let found = self.is(words);
        if found {
            words.split(' ').for_each(|_| self.skip());
        }
        found
    }

    /// Takes the first of these words that stands here.
    pub fn eat_one<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().copied().find(|w| self.eat(w))
    }

    /// Takes these words or fails.
    pub fn expect(&mut self, words: &str) -> Result<(), SqlError> {
        if self.eat(words) { Ok(()) } else { Err(self.error()) }
    }

    /// Takes this token if it stands here.
    pub fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Takes this token or fails.
    pub fn expect_token(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.eat_token(token) { Ok(()) } else { Err(self.error()) }
    }

    /// Takes `=` or `:=`.
    pub fn eat_assign(&mut self) -> bool {
        self.eat_token(&Token::Eq)
            || self.eat_token(&Token::Assignment)
            || (self.token(0) == &Token::Colon && self.token(1) == &Token::Eq && {
                self.skip();
                self.skip();
                true
            })
    }

    /// The next token is a name (quoted, or a word that is not reserved).
    pub fn at_name(&self) -> bool {
        match self.token(0) {
            Token::Word(w) if w.quote_style.is_some() => true,
            Token::Word(w) => !is_reserved(&w.value) && !w.value.starts_with('@'),
            Token::DoubleQuotedString(_) => self.ansi_quotes,
            _ => false,
        }
    }

    /// A name.
    ///
    /// # Errors
    /// 1064; 1059 when it is too long.
    pub fn name(&mut self) -> Result<String, SqlError> {
        if !self.at_name() {
            return Err(self.error());
        }
        self.name_after_point()
    }

    /// A name after a point, where reserved words are names too.
    pub fn name_after_point(&mut self) -> Result<String, SqlError> {
        let name = match self.token(0) {
            Token::Word(w) => w.value.clone(),
            Token::DoubleQuotedString(s) if self.ansi_quotes => s.clone(),
            _ => return Err(self.error()),
        };
        self.skip();
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(SqlError::new(1059, "42000", format!("Identifier name '{name}' is too long")));
        }
        Ok(name)
    }

    /// `[database.]name`.
    pub fn table_name(&mut self) -> Result<(Option<String>, String), SqlError> {
        let first = if self.eat_token(&Token::Period) { self.name_after_point()? } else { self.name()? };
        if self.eat_token(&Token::Period) {
            return Ok((Some(first), self.name_after_point()?));
        }
        Ok((None, first))
    }

    /// A string literal, if one stands here. Adjacent literals are one.
    pub fn eat_string(&mut self) -> Option<String> {
        let mut all: Option<String> = None;
        loop {
            let part = match self.token(0) {
                Token::SingleQuotedString(s) | Token::NationalStringLiteral(s) => s.clone(),
                Token::DoubleQuotedString(s) if !self.ansi_quotes => s.clone(),
                _ => return all,
            };
            self.skip();
            all.get_or_insert_with(String::new).push_str(&part);
        }
    }

    /// A string literal.
    pub fn string(&mut self) -> Result<String, SqlError> {
        self.eat_string().ok_or_else(|| self.error())
    }

    /// A string literal or a word, as character sets, engines and accounts may be written.
    pub fn word_or_string(&mut self) -> Result<String, SqlError> {
        if let Some(s) = self.eat_string() {
            return Ok(s);
        }
        match self.token(0) {
            Token::Word(w) => {
                let word = w.value.clone();
                self.skip();
                Ok(word)
            }
            _ => Err(self.error()),
        }
    }

    /// An unsigned whole number, if one stands here.
    pub fn eat_number(&mut self) -> Option<u64> {
        let Token::Number(n, _) = self.token(0) else {
            return None;
        };
        let n = n.parse().ok()?;
        self.skip();
        Some(n)
    }

    /// An unsigned whole number.
    pub fn number(&mut self) -> Result<u64, SqlError> {
        self.eat_number().ok_or_else(|| self.error())
    }

    /// An expression.
    pub fn expr(&mut self) -> Result<Expr, SqlError> {
        let result = self.parser.parse_expr();
        result.map_err(|e| self.parser_error(&e))
    }

    /// A query.
    pub fn query(&mut self) -> Result<Query, SqlError> {
        let result = self.parser.parse_query();
        result.map(|q| *q).map_err(|e| self.parser_error(&e))
    }

    /// A query of so many tokens.
    pub fn query_of(&mut self, tokens: usize) -> Result<Query, SqlError> {
        let mut all: Vec<_> = (0..tokens).map(|n| self.parser.peek_nth_token(n)).collect();
        all.push(TokenWithSpan::wrap(Token::EOF));
        let mut parser = Parser::new(&P2pdbDialect).with_tokens_with_locations(all);
        let result = parser.parse_query();
        let query = result.map(|q| *q).map_err(|e| self.parser_error(&e))?;
        (0..tokens).for_each(|_| self.skip());
        Ok(query)
    }

    /// `item, item, …`.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let mut all = vec![item(self)?];
        while self.eat_token(&Token::Comma) {
            all.push(item(self)?);
        }
        Ok(all)
    }

    /// `(item, item, …)`.
    pub fn parenthesized<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        self.expect_token(&Token::LParen)?;
        let all = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(all)
    }
}
