//! What a generated statement promises, read from its text.
//!
//! Only the forms that `generate` makes, and by a reader of this crate's own, not the engine's. Whatever it does not know
//! becomes `Other`, of which nothing is expected.

/// A statement, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    /// INSERT, with its kin.
    Insert {
        verb: Verb,
        table: String,
        /// Empty: all of the table's, in order.
        columns: Vec<String>,
        rows: Vec<Vec<Expr>>,
        /// ON DUPLICATE KEY UPDATE.
        otherwise: Vec<(String, Expr)>,
    },
    /// UPDATE of one table.
    Update { table: String, sets: Vec<(String, Expr)>, which: Which },
    /// DELETE of one table.
    Delete { table: String, which: Which },
    /// Changes nothing.
    Reads,
    /// A change of the schema, a call, anything else.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Ignore,
    Replace,
}

/// A value, or how it is made of the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Null,
    Number(String),
    Text(String),
    Column(String),
    /// Of the row that could not be inserted.
    Given(String),
    Sum(Box<Expr>, Box<Expr>, bool),
    Concat(Vec<Expr>),
    Other,
}

/// The rows that are meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Which {
    All,
    Is(String, Expr),
    Between(String, Expr, Expr),
    Other,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut all = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        if c.is_whitespace() {
            rest.next();
        } else if c == '\'' {
            rest.next();
            let mut value = String::new();
            loop {
                match rest.next()? {
                    '\'' if rest.peek() == Some(&'\'') => value.extend(rest.next()),
                    '\'' => break,
                    '\\' => return None,
                    c => value.push(c),
                }
            }
            all.push(Token::Text(value));
        } else if c.is_ascii_digit() {
            let mut value = String::new();
            while let Some(&c) = rest.peek().filter(|c| c.is_ascii_alphanumeric() || **c == '.') {
                value.push(c);
                rest.next();
            }
            all.push(Token::Number(value));
        } else if c.is_alphabetic() || c == '_' {
            let mut value = String::new();
            while let Some(&c) = rest.peek().filter(|c| c.is_alphanumeric() || **c == '_') {
                value.push(c);
                rest.next();
            }
            all.push(Token::Word(value));
        } else {
            all.push(Token::Sign(c));
            rest.next();
        }
    }
    Some(all)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, sign: char) -> bool {
        let is = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn name(&mut self) -> Option<String> {
        if let Token::Word(name) = self.next()? { Some(name) } else { None }
    }

    fn ended(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// `(a, b, …)`.
    fn list<T>(&mut self, one: impl Fn(&mut Reader) -> Option<T>) -> Option<Vec<T>> {
        if !self.sign('(') {
            return None;
        }
        let mut all = vec![one(self)?];
        while self.sign(',') {
            all.push(one(self)?);
        }
        self.sign(')').then_some(all)
    }

    fn expr(&mut self) -> Option<Expr> {
        let mut left = self.simple()?;
        loop {
            let minus = match self.peek() {
                Some(Token::Sign('+')) => false,
                Some(Token::Sign('-')) => true,
                _ => return Some(left),
            };
            self.at += 1;
            left = Expr::Sum(Box::new(left), Box::new(self.simple()?), minus);
        }
    }

    fn simple(&mut self) -> Option<Expr> {
        Some(match self.next()? {
            Token::Text(text) => Expr::Text(text),
            Token::Number(number) => match number.parse::<f64>() {
                Ok(_) => Expr::Number(number),
                Err(_) => Expr::Other,
            },
            Token::Sign('-') => match self.next()? {
                Token::Number(number) => Expr::Number(format!("-{number}")),
                _ => return None,
            },
            // X'…' and the like.
            Token::Word(_) if matches!(self.peek(), Some(Token::Text(_))) => {
                self.at += 1;
                Expr::Other
            }
            Token::Word(word) if word == "NULL" => Expr::Null,
            Token::Word(word) if self.peek() == Some(&Token::Sign('(')) => {
                let arguments = match self.tokens.get(self.at + 1) {
                    Some(Token::Sign(')')) => {
                        self.at += 2;
                        Vec::new()
                    }
                    _ => self.list(Reader::expr)?,
                };
                match (word.as_str(), arguments.as_slice()) {
                    ("CONCAT", _) => Expr::Concat(arguments),
                    ("VALUES", [Expr::Column(name)]) => Expr::Given(name.clone()),
                    _ => Expr::Other,
                }
            }
            Token::Word(word) => Expr::Column(word),
            Token::Sign(_) => return None,
        })
    }

    fn assignment(&mut self) -> Option<(String, Expr)> {
        let name = self.name()?;
        if !self.sign('=') {
            return None;
        }
        Some((name, self.expr()?))
    }

    fn assignments(&mut self) -> Option<Vec<(String, Expr)>> {
        let mut all = vec![self.assignment()?];
        while self.sign(',') {
            all.push(self.assignment()?);
        }
        Some(all)
    }

    /// What follows, up to the end.
    fn which(&mut self) -> Option<Which> {
        if self.ended() {
            return Some(Which::All);
        }
        if !self.takes("WHERE") {
            return None;
        }
        let known = self.condition().filter(|_| self.ended());
        Some(known.unwrap_or(Which::Other))
    }

    fn condition(&mut self) -> Option<Which> {
        let name = self.name()?;
        if self.takes("IS") {
            return self.takes("NULL").then_some(Which::Is(name, Expr::Null));
        }
        if self.takes("BETWEEN") {
            let low = self.simple()?;
            return if self.takes("AND") { Some(Which::Between(name, low, self.simple()?)) } else { None };
        }
        if self.sign('=') { Some(Which::Is(name, self.simple()?)) } else { None }
    }

    fn insert(&mut self, replaces: bool) -> Option<Statement> {
        let ignores = !replaces && self.takes("IGNORE");
        self.takes("INTO");
        let table = self.name()?;
        let columns =
            if self.peek() == Some(&Token::Sign('(')) { self.list(Reader::name)? } else { Vec::new() };
        if !self.takes("VALUES") {
            return None;
        }
        let row = |r: &mut Reader| r.list(Reader::expr);
        let mut rows = vec![row(self)?];
        while self.sign(',') {
            rows.push(row(self)?);
        }
        let mut otherwise = Vec::new();
        if self.takes("ON") {
            for word in ["DUPLICATE", "KEY", "UPDATE"] {
                if !self.takes(word) {
                    return None;
                }
            }
            otherwise = self.assignments()?;
        }
        let verb = match (replaces, ignores) {
            (true, _) => Verb::Replace,
            (_, true) => Verb::Ignore,
            _ => Verb::Insert,
        };
        self.ended().then_some(Statement::Insert { verb, table, columns, rows, otherwise })
    }
}

impl Statement {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Statement {
        let Some(tokens) = tokens(text) else { return Statement::Other };
        let mut r = Reader { tokens, at: 0 };
        let read = match r.name().unwrap_or_default().as_str() {
            "SELECT" => Some(Statement::Reads),
            "INSERT" => r.insert(false),
            "REPLACE" => r.insert(true),
            "UPDATE" => (|| {
                let table = r.name()?;
                if !r.takes("SET") {
                    return None;
                }
                let sets = r.assignments()?;
                Some(Statement::Update { table, sets, which: r.which()? })
            })(),
            "DELETE" => (|| {
                if !r.takes("FROM") {
                    return None;
                }
                let table = r.name()?;
                Some(Statement::Delete { table, which: r.which()? })
            })(),
            _ => None,
        };
        read.unwrap_or(Statement::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_forms_are_known() {
        let insert = Statement::read(
            "INSERT IGNORE INTO t0 (id, c0, note) VALUES (5, NULL, 'n1e'), (6, 'it''s', 'n2e')",
        );
        let row = |id: &str, c0: Expr, note: &str| {
            vec![Expr::Number(id.to_owned()), c0, Expr::Text(note.to_owned())]
        };
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            insert,
            Statement::Insert {
                verb: Verb::Ignore,
                table: "t0".to_owned(),
                columns: names(&["id", "c0", "note"]),
                rows: vec![row("5", Expr::Null, "n1e"), row("6", Expr::Text("it's".to_owned()), "n2e")],
                otherwise: Vec::new(),
            }
        );
        let update =
            Statement::read("UPDATE t0 SET n = n + 3, note = CONCAT('n5e', id) WHERE id BETWEEN 2 AND 4");
        let column = |name: &str| Expr::Column(name.to_owned());
        let number = |n: &str| Expr::Number(n.to_owned());
        let sum = Expr::Sum(Box::new(column("n")), Box::new(number("3")), false);
        let concat = Expr::Concat(vec![Expr::Text("n5e".to_owned()), column("id")]);
        assert_eq!(
            update,
            Statement::Update {
                table: "t0".to_owned(),
                sets: vec![("n".to_owned(), sum), ("note".to_owned(), concat)],
                which: Which::Between("id".to_owned(), number("2"), number("4")),
            }
        );
        assert_eq!(
            Statement::read("DELETE FROM t0 WHERE c0 IS NULL"),
            Statement::Delete { table: "t0".to_owned(), which: Which::Is("c0".to_owned(), Expr::Null) }
        );
        for other in ["DROP TABLE t0", "CALL bump(1, 2)", "UPDATE t0 SET", "INSERT INTO t0 SELECT * FROM t1"]
        {
            assert_eq!(Statement::read(other), Statement::Other, "{other}");
        }
    }
}
