//! Cuts MySQL text into tokens, without allocating.
//!
//! Comments and blanks are skipped; the content of `/*!40101 … */` is read as if the comment were not there, that of
//! `/*M! … */` (MariaDB's) and of versions above ours is not. What a quote or a backslash means depends on sql_mode.
//!
//! Not here: what tokens mean together. See [`super::key`] and [`super::tokens`].

use crate::session::SqlMode;

/// The version that `/*!NNNNN … */` is compared with.
pub const VERSION_NUMBER: u32 = 80_099;

/// A token's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A word without quotes.
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string literal (without introducer).
    Text,
    /// `n'…'`.
    National,
    /// Digits only.
    Integer,
    /// With a point, without exponent.
    Decimal,
    /// With an exponent.
    Float,
    /// `0x…` or `x'…'`.
    Hex,
    /// `0b…` or `b'…'`.
    Bits,
    /// `?`.
    Param,
    /// `@name` in any quoting, or `@@name`.
    Variable,
    /// One operator or punctuation mark.
    Op,
    /// `;`.
    Semicolon,
    /// Something that begins no token, or a quote that is not closed.
    Bad,
}

/// A token: kind and byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawToken {
    /// Kind.
    pub kind: Raw,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// How quotes and backslashes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoting {
    /// `"` quotes identifiers.
    pub ansi_quotes: bool,
    /// Backslash escapes in strings.
    pub backslash: bool,
}

impl From<SqlMode> for Quoting {
    fn from(mode: SqlMode) -> Self {
        Quoting {
            ansi_quotes: mode.has(SqlMode::ANSI_QUOTES),
            backslash: !mode.has(SqlMode::NO_BACKSLASH_ESCAPES),
        }
    }
}

/// Reads tokens one by one.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    quoting: Quoting,
    in_version: bool,
    after_name: bool,
}

fn is_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80
}

impl<'a> Lexer<'a> {
    /// A lexer at the beginning of a text.
    pub fn new(text: &'a str, quoting: Quoting) -> Self {
        Lexer { text, at: 0, quoting, in_version: false, after_name: false }
    }

    fn byte(&self, n: usize) -> u8 {
        self.text.as_bytes().get(self.at + n).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        let b = self.text.as_bytes();
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'#' => self.skip_line(),
                b'-' if self.byte(1) == b'-' && (self.at + 2 >= b.len() || self.byte(2) <= b' ') => {
                    self.skip_line();
                }
                b'/' if self.byte(1) == b'*' => self.comment(),
                b'*' if self.in_version && self.byte(1) == b'/' => {
                    self.in_version = false;
                    self.at += 2;
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|c| *c == b'\n').unwrap_or(rest.len());
    }

    fn comment(&mut self) {
        if self.byte(2) == b'!' && !self.in_version {
            let digits = (0..6).take_while(|n| self.byte(3 + n).is_ascii_digit()).count();
            let version: u32 = self.text[self.at + 3..self.at + 3 + digits].parse().unwrap_or(0);
            if digits < 5 || version <= VERSION_NUMBER {
                self.at += 3 + if digits >= 5 { digits } else { 0 };
                self.in_version = true;
                return;
            }
        }
        match self.text[self.at + 2..].find("*/") {
            Some(n) => self.at += 2 + n + 2,
            None => self.at = self.text.len(),
        }
    }

    /// Skips a quoted piece whose quote stands at `at`; false when it is not closed.
    fn quoted(&mut self, backslash: bool) -> bool {
        let b = self.text.as_bytes();
        let quote = b[self.at];
        let mut i = self.at + 1;
        while let Some(&c) = b.get(i) {
            if c == quote {
                if b.get(i + 1) == Some(&quote) {
                    i += 2;
                    continue;
                }
                self.at = i + 1;
                return true;
            }
            i += if c == b'\\' && backslash { 2 } else { 1 };
        }
        self.at = b.len();
        false
    }

    fn words(&mut self) {
        while is_word(self.byte(0)) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Raw {
        let start = self.at;
        if self.byte(0) == b'0' && matches!(self.byte(1), b'x' | b'b') {
            let hex = self.byte(1) == b'x';
            let ok = |c: u8| if hex { c.is_ascii_hexdigit() } else { c == b'0' || c == b'1' };
            self.at += 2;
            while ok(self.byte(0)) {
                self.at += 1;
            }
            if self.at > start + 2 && !is_word(self.byte(0)) {
                return if hex { Raw::Hex } else { Raw::Bits };
            }
            self.words();
            return Raw::Word;
        }
        let mut kind = Raw::Integer;
        while self.byte(0).is_ascii_digit() {
            self.at += 1;
        }
        if self.byte(0) == b'.' {
            kind = Raw::Decimal;
            self.at += 1;
            while self.byte(0).is_ascii_digit() {
                self.at += 1;
            }
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                while self.byte(0).is_ascii_digit() {
                    self.at += 1;
                }
                return Raw::Float;
            }
        }
        if kind == Raw::Integer && is_word(self.byte(0)) {
            self.words();
            return Raw::Word;
        }
        kind
    }

    fn op(&mut self) {
        let three = self.text.as_bytes().get(self.at..self.at + 3);
        if matches!(three, Some(b"<=>" | b"->>")) {
            self.at += 3;
            return;
        }
        let two = self.text.as_bytes().get(self.at..self.at + 2);
        let two = matches!(
            two,
            Some(b"<=" | b">=" | b"<>" | b"!=" | b"<<" | b">>" | b"||" | b"&&" | b":=" | b"->")
        );
        self.at += if two { 2 } else { 1 };
    }
}

impl Iterator for Lexer<'_> {
    type Item = RawToken;

    fn next(&mut self) -> Option<RawToken> {
        self.skip_blanks();
        let start = self.at;
        if start >= self.text.len() {
            return None;
        }
        let after_name = std::mem::take(&mut self.after_name);
        let mut closed = true;
        let kind = match self.byte(0) {
            b'\'' => {
                closed = self.quoted(self.quoting.backslash);
                Raw::Text
            }
            b'"' if self.quoting.ansi_quotes => {
                closed = self.quoted(false);
                Raw::Quoted
            }
            b'"' => {
                closed = self.quoted(self.quoting.backslash);
                Raw::Text
            }
            b'`' => {
                closed = self.quoted(false);
                Raw::Quoted
            }
            b'x' | b'X' | b'b' | b'B' | b'n' | b'N' if self.byte(1) == b'\'' => {
                let kind = match self.byte(0) {
                    b'x' | b'X' => Raw::Hex,
                    b'b' | b'B' => Raw::Bits,
                    _ => Raw::National,
                };
                self.at += 1;
                closed = self.quoted(kind == Raw::National && self.quoting.backslash);
                kind
            }
            b'0'..=b'9' if !(after_name && start > 0 && self.text.as_bytes()[start - 1] == b'.') => {
                self.number()
            }
            b'.' if !after_name && self.byte(1).is_ascii_digit() => self.number(),
            b'@' => {
                self.at += 1 + usize::from(self.byte(1) == b'@');
                match self.byte(0) {
                    b'\'' | b'"' => closed = self.quoted(self.quoting.backslash),
                    b'`' => closed = self.quoted(false),
                    _ => {
                        let user = self.at == start + 1;
                        while is_word(self.byte(0)) || (user && self.byte(0) == b'.') {
                            self.at += 1;
                        }
                    }
                }
                Raw::Variable
            }
            b'?' => {
                self.at += 1;
                Raw::Param
            }
            b';' => {
                self.at += 1;
                Raw::Semicolon
            }
            c if is_word(c) => {
                self.words();
                Raw::Word
            }
            0..=b' ' | 0x7f | b'\\' => {
                self.at += 1;
                Raw::Bad
            }
            _ => {
                self.op();
                Raw::Op
            }
        };
        let kind = if closed { kind } else { Raw::Bad };
        // A digit or point right after `name` or `name.` continues a qualified name.
        self.after_name = match kind {
            Raw::Word | Raw::Quoted => true,
            Raw::Op => after_name && self.text.as_bytes()[start] == b'.',
            _ => false,
        } && matches!(self.byte(0), b'.' | b'0'..=b'9');
        Some(RawToken { kind, start, end: self.at })
    }
}

/// The text that a quoted token stands for.
pub fn unquote(token: &str, backslash: bool) -> String {
    let mut chars = token.chars();
    let Some(quote) = chars.next() else { return String::new() };
    let inner = chars.as_str();
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    if !(inner.contains(quote) || backslash && inner.contains('\\')) {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            chars.next();
            out.push(quote);
        } else if c == '\\' && backslash {
            match chars.next() {
                Some('0') => out.push('\0'),
                Some('b') => out.push('\u{8}'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('Z') => out.push('\u{1a}'),
                Some(c @ ('%' | '_')) => {
                    out.push('\\');
                    out.push(c);
                }
                Some(c) => out.push(c),
                None => {}
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(Raw, &str)> {
        Lexer::new(text, SqlMode::DEFAULT.into()).map(|t| (t.kind, &text[t.start..t.end])).collect()
    }

    #[test]
    fn tokens_are_those_of_mysql() {
        use Raw::*;
        for (text, want) in [
            ("a.1b", vec![(Word, "a"), (Op, "."), (Word, "1b")]),
            ("a .5", vec![(Word, "a"), (Decimal, ".5")]),
            ("1e5 1e 1.5", vec![(Float, "1e5"), (Word, "1e"), (Decimal, "1.5")]),
            ("0x1f 0b01 0xg", vec![(Hex, "0x1f"), (Bits, "0b01"), (Word, "0xg")]),
            ("'a''b\\'c' \"d\"", vec![(Text, "'a''b\\'c'"), (Text, "\"d\"")]),
            ("a--b", vec![(Word, "a"), (Op, "-"), (Op, "-"), (Word, "b")]),
            ("a -- b", vec![(Word, "a")]),
            ("a # b\nc", vec![(Word, "a"), (Word, "c")]),
            ("/*!40101 SET */ x /*!99999 y */ /*M! z */", vec![(Word, "SET"), (Word, "x")]),
            (
                "@a.b @@x.y @`q`",
                vec![(Variable, "@a.b"), (Variable, "@@x"), (Op, "."), (Word, "y"), (Variable, "@`q`")],
            ),
            ("a<=>b->>'$'", vec![(Word, "a"), (Op, "<=>"), (Word, "b"), (Op, "->>"), (Text, "'$'")]),
            ("'abc", vec![(Bad, "'abc")]),
        ] {
            assert_eq!(words(text), want, "{text}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unquote(r"'a\nb''c\%\q'", true), "a\nb'c\\%q");
        assert_eq!(unquote(r"'a\nb'", false), r"a\nb");
    }
}
