//! The normal form of JSON texts, as columns hold them and blocks carry them: is a text in it?
//!
//! Normal form (rules 1): one space behind `,` and `:` and none elsewhere; members in ascending order of their keys, by
//! length in UTF-8 bytes and then by bytes, each key once; only `"`, `\` and control characters escaped, these as
//! shortly as they can be; at most [`DEPTH_MAX`] levels. How a number is written is not part of it. Writing the form is
//! not here (`sql::functions::json`).

use std::cmp::Ordering;

/// Levels of arrays and objects, scalars included (MySQL 8.0 Reference Manual, The JSON Data Type).
pub const DEPTH_MAX: usize = 100;

/// The order of an object's keys, and of a set's elements.
pub fn order(a: &str, b: &str) -> Ordering {
    (a.len(), a).cmp(&(b.len(), b))
}

/// True for a JSON document in normal form.
pub fn is_normal(text: &str) -> bool {
    let mut scan = Scan { rest: text };
    scan.value(1).is_some() && scan.rest.is_empty()
}

/// Reads forward; `None` is anything that is not in normal form.
struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Scan<'t> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn value(&mut self, level: usize) -> Option<()> {
        if level > DEPTH_MAX {
            return None;
        }
        match self.rest.as_bytes().first()? {
            b'[' => self.array(level),
            b'{' => self.object(level),
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            _ => ["null", "true", "false"].into_iter().any(|w| self.eat(w)).then_some(()),
        }
    }

    fn array(&mut self, level: usize) -> Option<()> {
        if self.eat("[]") {
            return Some(());
        }
        self.take(1);
        loop {
            self.value(level + 1)?;
            if !self.eat(", ") {
                return self.eat("]").then_some(());
            }
        }
    }

    fn object(&mut self, level: usize) -> Option<()> {
        if self.eat("{}") {
            return Some(());
        }
        self.take(1);
        let mut last: Option<String> = None;
        loop {
            let key = self.string()?;
            if last.as_deref().is_some_and(|l| order(l, &key) != Ordering::Less) || !self.eat(": ") {
                return None;
            }
            last = Some(key);
            self.value(level + 1)?;
            if !self.eat(", ") {
                return self.eat("}").then_some(());
            }
        }
    }

    /// A string, without its escapes.
    fn string(&mut self) -> Option<String> {
        if !self.eat("\"") {
            return None;
        }
        let mut out = String::new();
        loop {
            let plain = self.rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ')?;
            out.push_str(self.take(plain));
            if self.eat("\"") {
                return Some(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        const SHORT: [(&str, char); 7] = [
            ("\\\"", '"'),
            ("\\\\", '\\'),
            ("\\n", '\n'),
            ("\\r", '\r'),
            ("\\t", '\t'),
            ("\\b", '\u{8}'),
            ("\\f", '\u{c}'),
        ];
        for (token, meant) in SHORT {
            if self.eat(token) {
                return Some(meant);
            }
        }
        if !self.eat("\\u00") || self.rest.len() < 2 || !self.rest.is_char_boundary(2) {
            return None;
        }
        let digits = self.take(2);
        let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let meant = char::from(u8::from_str_radix(digits, 16).ok().filter(|_| lower)?);
        (meant < ' ' && !SHORT.iter().any(|s| s.1 == meant)).then_some(meant)
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Option<()> {
        self.eat("-");
        if !self.eat("0") {
            self.digits()?;
        }
        if self.eat(".") {
            self.digits()?;
        }
        if self.eat("e") || self.eat("E") {
            let _ = self.eat("+") || self.eat("-");
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let many = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        self.take(many);
        (many > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_form_is_normal() {
        for t in [
            "null",
            "-0.5",
            "1e-7",
            "18446744073709551616",
            r#""""#,
            r#""ä\n\u0001\\\" /""#,
            "[]",
            r#"[1, "a", [true, {}]]"#,
            r#"{"": 1, "b": {"a": 2}, "aa": 3}"#,
        ] {
            assert!(is_normal(t), "{t}");
        }
        for t in [
            "",
            " 1",
            "1 ",
            "01",
            "1.",
            ".5",
            "+1",
            "nul",
            "'a'",
            "\"a\nb\"",
            r#""\u000a""#,
            r#""\u001F""#,
            r#""\/""#,
            r#""\u00e4""#,
            r#""\ud83d\ude00""#,
            r#""a"#,
            "[1,2]",
            "[1 , 2]",
            "[1, ]",
            "[1, 2",
            r#"{"a":1}"#,
            r#"{"b": 1, "a": 2}"#,
            r#"{"aa": 1, "b": 2}"#,
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, }"#,
            r#"1, "b": 2"#,
            "}",
        ] {
            assert!(!is_normal(t), "{t}");
        }
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(is_normal(&nested(DEPTH_MAX)) && !is_normal(&nested(DEPTH_MAX + 1)));
        assert!(!is_normal(&nested(1_000_000)));
    }
}
