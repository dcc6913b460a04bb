//! XPath as MySQL has it, read: location paths with predicates, the arithmetic, comparisons and the dozen functions that its
//! manual lists. What they give is [`super::evaluate`].

use crate::error::SqlError;
use crate::execute::convert;

/// Steps, operators and values of a path.
pub(super) const PARTS_MAX: usize = 200;
/// Parentheses and predicates inside of each other.
pub(super) const DEPTH_MAX: usize = 20;
/// How much of a path an error shows, bytes.
const SHOWN_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Itself,
    Parent,
    Ancestor { or_self: bool },
    Descendant { or_self: bool },
    Attribute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Boolean,
    Ceiling,
    Concat,
    Contains,
    Count,
    False,
    Floor,
    Last,
    Not,
    Number,
    Position,
    Round,
    StringLength,
    Substring,
    Sum,
    True,
}

/// Name, function, fewest and most arguments.
const FUNCTIONS: [(&str, Function, usize, usize); 16] = [
    ("boolean", Function::Boolean, 1, 1),
    ("ceiling", Function::Ceiling, 1, 1),
    ("concat", Function::Concat, 2, 255),
    ("contains", Function::Contains, 2, 2),
    ("count", Function::Count, 1, 1),
    ("false", Function::False, 0, 0),
    ("floor", Function::Floor, 1, 1),
    ("last", Function::Last, 0, 0),
    ("not", Function::Not, 1, 1),
    ("number", Function::Number, 0, 1),
    ("position", Function::Position, 0, 0),
    ("round", Function::Round, 1, 1),
    ("string-length", Function::StringLength, 0, 1),
    ("substring", Function::Substring, 2, 3),
    ("sum", Function::Sum, 1, 1),
    ("true", Function::True, 0, 0),
];

/// Axes that MySQL's grammar knows; those that it does not follow are read as `child`, as there.
const AXES: [(&str, Axis); 12] = [
    ("ancestor", Axis::Ancestor { or_self: false }),
    ("ancestor-or-self", Axis::Ancestor { or_self: true }),
    ("attribute", Axis::Attribute),
    ("child", Axis::Child),
    ("descendant", Axis::Descendant { or_self: false }),
    ("descendant-or-self", Axis::Descendant { or_self: true }),
    ("following", Axis::Child),
    ("following-sibling", Axis::Child),
    ("parent", Axis::Parent),
    ("preceding", Axis::Child),
    ("preceding-sibling", Axis::Child),
    ("self", Axis::Itself),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Times,
    Div,
    Mod,
}

/// What stands in a path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    End,
    Bad,
    Name,
    Function(usize),
    Axis(Axis),
    NodeType,
    Digits,
    Text,
    Operator(Operator),
    Mark(u8),
}

#[derive(Debug)]
pub(super) enum Set {
    Root,
    /// The node that a predicate is about.
    Context,
    Step {
        of: Box<Set>,
        axis: Axis,
        name: Option<String>,
    },
    Where {
        of: Box<Set>,
        condition: Box<Expr>,
    },
    Union(Box<Set>, Box<Set>),
}

#[derive(Debug)]
pub(super) enum Expr {
    Nodes(Set),
    Int(i64),
    Real(f64),
    Text(String),
    Negative(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
}

impl Expr {
    /// A predicate of it is a condition; others are positions.
    pub(super) fn is_condition(&self) -> bool {
        match self {
            Expr::Nodes(_) => true,
            Expr::Binary(op, ..) => !matches!(
                op,
                Operator::Plus | Operator::Minus | Operator::Times | Operator::Div | Operator::Mod
            ),
            Expr::Call(f, _) => matches!(
                f,
                Function::Boolean | Function::Contains | Function::False | Function::Not | Function::True
            ),
            _ => false,
        }
    }
}

/// A path that was read.
#[derive(Debug)]
pub(super) struct Path(pub(super) Expr);

impl Path {
    /// Reads it.
    ///
    /// # Errors
    /// 1105, as MySQL.
    pub(super) fn read(text: &str) -> Result<Self, SqlError> {
        let mut parser =
            Parser { text, tokens: tokens(text), at: 0, parts: 0, depth: 0, in_predicate: false };
        let expr = parser.binary(0)?;
        match parser.token() {
            Token::End => Ok(Path(expr)),
            _ => parser.fail(),
        }
    }
}

fn shown(text: &str) -> &str {
    let end = (0..=SHOWN_BYTES.min(text.len())).rev().find(|n| text.is_char_boundary(*n));
    &text[..end.unwrap_or(0)]
}

pub(super) fn error(message: String) -> SqlError {
    SqlError::new(1105, "HY000", message)
}

fn tokens(text: &str) -> Vec<(Token, usize, usize)> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        while bytes.get(at).is_some_and(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n')) {
            at += 1;
        }
        let Some(c) = bytes.get(at).copied() else {
            out.push((Token::End, text.len(), text.len()));
            return out;
        };
        let next = bytes.get(at + 1).copied();
        let op = |o| Token::Operator(o);
        let (token, end) = match (c, next) {
            (b'!', Some(b'=')) => (op(Operator::Unequal), at + 2),
            (b'<', Some(b'=')) => (op(Operator::LessOrEqual), at + 2),
            (b'>', Some(b'=')) => (op(Operator::GreaterOrEqual), at + 2),
            (b'=', _) => (op(Operator::Equal), at + 1),
            (b'<', _) => (op(Operator::Less), at + 1),
            (b'>', _) => (op(Operator::Greater), at + 1),
            (b'+', _) => (op(Operator::Plus), at + 1),
            (b'-', _) => (op(Operator::Minus), at + 1),
            (b'"' | b'\'', _) => match text[at + 1..].find(char::from(c)) {
                Some(n) => (Token::Text, at + n + 2),
                None => (Token::Bad, text.len()),
            },
            (b'0'..=b'9', _) => {
                let digits = bytes[at..].iter().take_while(|c| c.is_ascii_digit()).count();
                (Token::Digits, at + digits)
            }
            (b'(' | b')' | b'[' | b']' | b'|' | b'/' | b'*' | b'@' | b'.' | b',' | b':' | b'$', _) => {
                (Token::Mark(c), at + 1)
            }
            _ => word(text, at),
        };
        out.push((token, at, end));
        if token == Token::Bad {
            return out;
        }
        at = end;
    }
}

/// A name, or what has a meaning of its own where this stands behind it.
fn word(text: &str, at: usize) -> (Token, usize) {
    let begins = |c: char| c.is_alphabetic() || c == '_';
    let rest = &text[at..];
    if !rest.starts_with(begins) {
        return (Token::Bad, text.len());
    }
    let goes_on = |c: char| begins(c) || c.is_numeric() || matches!(c, '-' | '.');
    let length = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(length);
    let token = if behind.starts_with('(') {
        let function = FUNCTIONS.iter().position(|f| f.0 == name);
        let node_type = matches!(name, "comment" | "node" | "processing-instruction" | "text");
        function.map(Token::Function).unwrap_or(if node_type { Token::NodeType } else { Token::Name })
    } else if behind.starts_with("::") {
        AXES.iter().find(|a| a.0 == name).map_or(Token::Name, |a| Token::Axis(a.1))
    } else {
        match name {
            "and" => Token::Operator(Operator::And),
            "or" => Token::Operator(Operator::Or),
            "div" => Token::Operator(Operator::Div),
            "mod" => Token::Operator(Operator::Mod),
            _ => Token::Name,
        }
    };
    (token, at + length)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize, usize)>,
    at: usize,
    parts: usize,
    depth: usize,
    in_predicate: bool,
}

impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.tokens[self.at].0
    }

    fn written(&self) -> &'a str {
        let (_, begin, end) = self.tokens[self.at];
        &self.text[begin..end]
    }

    fn fail<T>(&self) -> Result<T, SqlError> {
        let rest = shown(&self.text[self.tokens[self.at].1..]);
        Err(error(format!("XPATH syntax error: '{rest}'")))
    }

    fn eat(&mut self, token: Token) -> bool {
        let found = self.token() == token;
        // The last one, an end or an error, stays.
        self.at += usize::from(found && self.at + 1 < self.tokens.len());
        found
    }

    fn mark(&mut self, mark: u8) -> bool {
        self.eat(Token::Mark(mark))
    }

    fn expect(&mut self, mark: u8) -> Result<(), SqlError> {
        if self.mark(mark) { Ok(()) } else { self.fail() }
    }

    fn part(&mut self) -> Result<(), SqlError> {
        self.parts += 1;
        if self.parts > PARTS_MAX { self.fail() } else { Ok(()) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, SqlError>) -> Result<T, SqlError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail();
        }
        let found = read(self);
        self.depth -= 1;
        found
    }

    /// Operators that bind as tightly as this or more.
    fn binary(&mut self, level: usize) -> Result<Expr, SqlError> {
        const LEVELS: [&[Operator]; 6] = [
            &[Operator::Or],
            &[Operator::And],
            &[Operator::Equal, Operator::Unequal],
            &[Operator::Less, Operator::LessOrEqual, Operator::Greater, Operator::GreaterOrEqual],
            &[Operator::Plus, Operator::Minus],
            &[Operator::Times, Operator::Div, Operator::Mod],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let op = match self.token() {
                Token::Operator(op) if operators.contains(&op) => op,
                Token::Mark(b'*') if level == 5 => Operator::Times,
                _ => return Ok(left),
            };
            let begin = self.tokens[self.at].1;
            self.at += 1;
            self.part()?;
            let right = self.binary(level + 1)?;
            let compares = level == 2 || level == 3;
            if let (true, Expr::Nodes(_), Expr::Nodes(_)) = (compares, &left, &right) {
                let rest = shown(&self.text[begin..]);
                return Err(error(format!(
                    "XPATH error: comparison of two nodesets is not supported: '{rest}'"
                )));
            }
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Result<Expr, SqlError> {
        if !self.eat(Token::Operator(Operator::Minus)) {
            return self.union();
        }
        self.part()?;
        self.deeper(|p| Ok(Expr::Negative(Box::new(p.unary()?))))
    }

    fn union(&mut self) -> Result<Expr, SqlError> {
        let mut left = self.path()?;
        while self.mark(b'|') {
            self.part()?;
            let (Expr::Nodes(a), Expr::Nodes(b)) = (left, self.path()?) else { return self.fail() };
            left = Expr::Nodes(Set::Union(Box::new(a), Box::new(b)));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, SqlError> {
        if self.mark(b'/') {
            let set = if self.mark(b'/') {
                self.steps(below(Set::Root))?
            } else if self.begins_step() {
                self.steps(Set::Root)?
            } else {
                Set::Root
            };
            return Ok(Expr::Nodes(set));
        }
        if self.begins_step() {
            let from = if self.in_predicate { Set::Context } else { Set::Root };
            return self.steps(from).map(Expr::Nodes);
        }
        let first = self.primary()?;
        if !self.mark(b'/') {
            return Ok(first);
        }
        let Expr::Nodes(set) = first else {
            self.at -= 1;
            return self.fail();
        };
        let from = if self.mark(b'/') { below(set) } else { set };
        self.steps(from).map(Expr::Nodes)
    }

    fn begins_step(&self) -> bool {
        matches!(
            self.token(),
            Token::Name | Token::Axis(_) | Token::NodeType | Token::Mark(b'*' | b'@' | b'.')
        )
    }

    fn steps(&mut self, from: Set) -> Result<Set, SqlError> {
        let mut set = self.step(from)?;
        while self.mark(b'/') {
            let from = if self.mark(b'/') { below(set) } else { set };
            set = self.step(from)?;
        }
        Ok(set)
    }

    fn step(&mut self, of: Set) -> Result<Set, SqlError> {
        self.part()?;
        if self.mark(b'.') {
            let parent = |of| Set::Step { of: Box::new(of), axis: Axis::Parent, name: None };
            return Ok(if self.mark(b'.') { parent(of) } else { of });
        }
        let axis = match self.token() {
            Token::Axis(axis) => {
                self.at += 1;
                self.expect(b':')?;
                self.expect(b':')?;
                axis
            }
            _ if self.mark(b'@') => Axis::Attribute,
            _ => Axis::Child,
        };
        let of = Box::new(of);
        let mut set = if self.mark(b'*') {
            Set::Step { of, axis, name: None }
        } else if self.eat(Token::NodeType) {
            // As MySQL: the texts are those of the set, whatever is asked for.
            self.expect(b'(')?;
            self.expect(b')')?;
            *of
        } else if self.token() == Token::Name {
            let mut name = self.written().to_owned();
            self.at += 1;
            if self.mark(b':') {
                if self.token() != Token::Name {
                    return self.fail();
                }
                name = format!("{name}:{}", self.written());
                self.at += 1;
            }
            Set::Step { of, axis, name: Some(name) }
        } else {
            return self.fail();
        };
        while self.mark(b'[') {
            let outside = std::mem::replace(&mut self.in_predicate, true);
            let condition = self.deeper(|p| p.binary(0))?;
            self.in_predicate = outside;
            self.expect(b']')?;
            set = Set::Where { of: Box::new(set), condition: Box::new(condition) };
        }
        Ok(set)
    }

    fn primary(&mut self) -> Result<Expr, SqlError> {
        self.part()?;
        match self.token() {
            Token::Mark(b'$') => {
                let rest = shown(&self.text[self.tokens[self.at].1..]);
                Err(error(format!("Unknown XPATH variable at: '{rest}'")))
            }
            Token::Mark(b'(') => {
                self.at += 1;
                let inner = self.deeper(|p| p.binary(0))?;
                self.expect(b')')?;
                Ok(inner)
            }
            Token::Text => {
                let text = self.written();
                self.at += 1;
                Ok(Expr::Text(text[1..text.len() - 1].to_owned()))
            }
            Token::Digits => {
                let mut digits = self.written().to_owned();
                self.at += 1;
                if !self.mark(b'.') {
                    let real = || convert::text_to_real(&digits);
                    return Ok(digits.parse().map_or_else(|_| Expr::Real(real()), Expr::Int));
                }
                if self.token() == Token::Digits {
                    digits = format!("{digits}.{}", self.written());
                    self.at += 1;
                }
                Ok(Expr::Real(convert::text_to_real(&digits)))
            }
            Token::Function(n) => {
                self.at += 1;
                self.expect(b'(')?;
                self.call(n)
            }
            _ => self.fail(),
        }
    }

    fn call(&mut self, n: usize) -> Result<Expr, SqlError> {
        let (_, function, fewest, most) = FUNCTIONS[n];
        let mut args = Vec::new();
        while args.len() < most {
            if args.len() >= fewest && self.token() == Token::Mark(b')') {
                break;
            }
            args.push(self.deeper(|p| p.binary(0))?);
            if !self.mark(b',') {
                break;
            }
        }
        self.expect(b')')?;
        let of_nodes = matches!(args.as_slice(), [Expr::Nodes(_)]);
        let fits = match function {
            Function::Count | Function::Sum => of_nodes,
            Function::Last | Function::Position => self.in_predicate,
            Function::Number | Function::StringLength if args.is_empty() => {
                args.push(Expr::Nodes(Set::Context));
                self.in_predicate
            }
            _ => args.len() >= fewest,
        };
        if fits { Ok(Expr::Call(function, args)) } else { self.fail() }
    }
}

/// `//`.
fn below(set: Set) -> Set {
    Set::Step { of: Box::new(set), axis: Axis::Descendant { or_self: true }, name: None }
}
