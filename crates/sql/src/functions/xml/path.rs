//! XPath as MySQL has it: location paths with predicates, the arithmetic, comparisons and the dozen functions that its manual
//! lists. A set of nodes read as a text is the texts right inside of them, with a space between.

use std::cell::Cell;

use crate::collate;
use crate::error::SqlError;
use crate::execute::convert;

use super::{Document, Kind};

/// Steps, operators and values of a path.
const PARTS_MAX: usize = 200;
/// Parentheses and predicates inside of each other.
const DEPTH_MAX: usize = 20;
/// Nodes that are looked at while a path is evaluated.
const LOOKED_AT_MAX: usize = 20_000_000;
/// How much of a path an error shows, bytes.
const SHOWN_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Child,
    Itself,
    Parent,
    Ancestor { or_self: bool },
    Descendant { or_self: bool },
    Attribute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
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
enum Operator {
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
enum Set {
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
enum Expr {
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
    fn is_condition(&self) -> bool {
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
pub(super) struct Path(Expr);

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

fn error(message: String) -> SqlError {
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

#[derive(Clone, Debug)]
enum Found {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

impl Found {
    fn real(&self) -> Option<f64> {
        Some(match self {
            Found::Null => return None,
            Found::Int(i) => *i as f64,
            Found::Real(r) => *r,
            Found::Text(t) => convert::text_to_real(t),
        })
    }

    fn text(self) -> Option<String> {
        Some(match self {
            Found::Null => return None,
            Found::Int(i) => i.to_string(),
            Found::Real(r) => convert::real_text(r),
            Found::Text(t) => t,
        })
    }

    fn truth(b: bool) -> Self {
        Found::Int(b.into())
    }
}

/// A node with its place among others.
#[derive(Clone, Copy, Debug)]
struct Item {
    node: usize,
    position: usize,
    count: usize,
}

struct Evaluation<'d> {
    document: &'d Document<'d>,
    collation: i64,
    looked_at: Cell<usize>,
}

/// The value of a path, as a text.
pub(super) fn evaluate(
    document: &Document<'_>,
    path: &Path,
    collation: i64,
) -> Result<Option<String>, SqlError> {
    let evaluation = Evaluation { document, collation, looked_at: Cell::new(0) };
    Ok(evaluation.value(&path.0, None)?.text())
}

/// The nodes that a path names; `None` where it gives another kind of value.
pub(super) fn nodes(
    document: &Document<'_>,
    path: &Path,
    collation: i64,
) -> Result<Option<Vec<usize>>, SqlError> {
    let Expr::Nodes(set) = &path.0 else { return Ok(None) };
    let evaluation = Evaluation { document, collation, looked_at: Cell::new(0) };
    Ok(Some(evaluation.set(set, None)?.into_iter().map(|i| i.node).collect()))
}

impl Evaluation<'_> {
    fn look(&self, nodes: usize) -> Result<(), SqlError> {
        self.looked_at.set(self.looked_at.get().saturating_add(nodes));
        match self.looked_at.get() > LOOKED_AT_MAX {
            true => Err(error("XPATH error: the path looks at too many nodes".to_owned())),
            false => Ok(()),
        }
    }

    fn set(&self, set: &Set, context: Option<Item>) -> Result<Vec<Item>, SqlError> {
        let root = Item { node: 0, position: 0, count: 1 };
        Ok(match set {
            Set::Root => vec![root],
            Set::Context => vec![context.unwrap_or(root)],
            Set::Union(a, b) => {
                let mut all: Vec<usize> = Vec::new();
                for set in [a, b] {
                    all.extend(self.set(set, context)?.iter().map(|i| i.node));
                }
                self.in_order(all)
            }
            Set::Where { of, condition } => {
                let items = self.set(of, context)?;
                let count = items.len();
                let mut kept = Vec::new();
                for item in items {
                    let here = Some(Item { count, ..item });
                    let keeps = if condition.is_condition() {
                        self.truth(condition, here)?
                    } else {
                        let at = self.value(condition, here)?.real().unwrap_or(0.0);
                        at.trunc() == (item.position + 1) as f64
                    };
                    if keeps {
                        kept.push(item.node);
                    }
                }
                numbered(kept)
            }
            Set::Step { of, axis, name } => {
                let items = self.set(of, context)?;
                self.step(&items, *axis, name.as_deref())?
            }
        })
    }

    /// Each once, as they stand in the document.
    fn in_order(&self, mut nodes: Vec<usize>) -> Vec<Item> {
        nodes.sort_unstable();
        nodes.dedup();
        numbered(nodes)
    }

    fn step(&self, items: &[Item], axis: Axis, name: Option<&str>) -> Result<Vec<Item>, SqlError> {
        let document = self.document;
        let named = |n: usize| name.is_none_or(|name| document.name(n) == name);
        let is = |n: usize, kind: Kind| document.nodes[n].kind == kind && named(n);
        let mut out = Vec::new();
        let mut up = Vec::new();
        for item in items {
            let of = item.node;
            let mut own = Vec::new();
            match axis {
                Axis::Child | Axis::Attribute => {
                    let kind = if axis == Axis::Child { Kind::Element } else { Kind::Attribute };
                    for n in document.inside(of) {
                        self.look(1)?;
                        own.extend((document.nodes[n].parent == of && is(n, kind)).then_some(n));
                    }
                }
                Axis::Descendant { or_self } => {
                    own.extend((or_self && named(of)).then_some(of));
                    for n in document.inside(of) {
                        self.look(1)?;
                        own.extend(is(n, Kind::Element).then_some(n));
                    }
                }
                Axis::Itself => own.extend(named(of).then_some(of)),
                Axis::Parent => {
                    let parent = document.nodes[of].parent;
                    up.extend((of != 0 && named(parent)).then_some(parent));
                }
                Axis::Ancestor { or_self } => {
                    up.extend((or_self && named(of)).then_some(of));
                    let mut at = document.nodes[of].parent;
                    while at != 0 {
                        self.look(1)?;
                        up.extend(named(at).then_some(at));
                        at = document.nodes[at].parent;
                    }
                }
            }
            // Places begin anew for each node of the set before.
            out.extend(numbered(own));
        }
        Ok(if matches!(axis, Axis::Parent | Axis::Ancestor { .. }) { self.in_order(up) } else { out })
    }

    /// The texts right inside of the nodes, as they stand in the document.
    fn text(&self, set: &[Item]) -> Result<String, SqlError> {
        let mut nodes: Vec<usize> = set.iter().map(|i| i.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let mut texts = Vec::new();
        for node in nodes {
            texts.extend(self.texts(node)?);
        }
        texts.sort_unstable();
        let mut out = String::new();
        for n in texts {
            if !out.is_empty() {
                out.push(' ');
            }
            out += self.document.name(n);
        }
        Ok(out)
    }

    /// The texts right inside of one node.
    fn texts(&self, node: usize) -> Result<Vec<usize>, SqlError> {
        let mut texts = Vec::new();
        for n in self.document.inside(node) {
            self.look(1)?;
            let inner = &self.document.nodes[n];
            texts.extend((inner.kind == Kind::Text && inner.parent == node).then_some(n));
        }
        Ok(texts)
    }

    fn truth(&self, expr: &Expr, context: Option<Item>) -> Result<bool, SqlError> {
        Ok(match expr {
            Expr::Nodes(set) => !self.set(set, context)?.is_empty(),
            other => self.value(other, context)?.real().is_some_and(|r| r != 0.0),
        })
    }

    fn value(&self, expr: &Expr, context: Option<Item>) -> Result<Found, SqlError> {
        Ok(match expr {
            Expr::Nodes(set) => Found::Text(self.text(&self.set(set, context)?)?),
            Expr::Int(i) => Found::Int(*i),
            Expr::Real(r) => Found::Real(*r),
            Expr::Text(t) => Found::Text(t.clone()),
            Expr::Negative(e) => match self.value(e, context)? {
                Found::Int(i) => i.checked_neg().map_or(Found::Real(-(i as f64)), Found::Int),
                other => other.real().map_or(Found::Null, |r| Found::Real(-r)),
            },
            Expr::Binary(Operator::And, a, b) => {
                Found::truth(self.truth(a, context)? && self.truth(b, context)?)
            }
            Expr::Binary(Operator::Or, a, b) => {
                Found::truth(self.truth(a, context)? || self.truth(b, context)?)
            }
            Expr::Binary(
                op @ (Operator::Plus | Operator::Minus | Operator::Times | Operator::Div | Operator::Mod),
                a,
                b,
            ) => arithmetic(*op, &self.value(a, context)?, &self.value(b, context)?),
            Expr::Binary(op, a, b) => Found::truth(self.compare(*op, a, b, context)?),
            Expr::Call(function, args) => self.call(*function, args, context)?,
        })
    }

    /// A set of nodes compares as one of its texts does.
    fn compare(&self, op: Operator, a: &Expr, b: &Expr, context: Option<Item>) -> Result<bool, SqlError> {
        let values = |e: &Expr| -> Result<Vec<Found>, SqlError> {
            let Expr::Nodes(set) = e else { return Ok(vec![self.value(e, context)?]) };
            let mut out = Vec::new();
            for item in self.set(set, context)? {
                let texts = self.texts(item.node)?;
                out.extend(texts.into_iter().map(|n| Found::Text(self.document.name(n).to_owned())));
            }
            Ok(out)
        };
        let right = values(b)?;
        for left in values(a)? {
            for right in &right {
                let order = match (&left, right) {
                    (Found::Text(x), Found::Text(y)) => {
                        Some(collate::function(collate::by_id(self.collation))(x, y))
                    }
                    (x, y) => x.real().zip(y.real()).and_then(|(x, y)| x.partial_cmp(&y)),
                };
                let holds = order.is_some_and(|o| match op {
                    Operator::Equal => o.is_eq(),
                    Operator::Unequal => o.is_ne(),
                    Operator::Less => o.is_lt(),
                    Operator::LessOrEqual => o.is_le(),
                    Operator::Greater => o.is_gt(),
                    _ => o.is_ge(),
                });
                if holds {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn call(&self, function: Function, args: &[Expr], context: Option<Item>) -> Result<Found, SqlError> {
        let value = |n: usize| self.value(&args[n], context);
        let text = |n: usize| Ok::<_, SqlError>(value(n)?.text().unwrap_or_default());
        let whole = |f: fn(f64) -> f64| {
            Ok::<_, SqlError>(match value(0)? {
                Found::Int(i) => Found::Int(i),
                other => other.real().map_or(Found::Null, |r| Found::Real(f(r))),
            })
        };
        Ok(match function {
            Function::True => Found::truth(true),
            Function::False => Found::truth(false),
            Function::Not => Found::truth(!self.truth(&args[0], context)?),
            Function::Boolean => Found::truth(self.truth(&args[0], context)?),
            Function::Ceiling => whole(f64::ceil)?,
            Function::Floor => whole(f64::floor)?,
            Function::Round => whole(f64::round_ties_even)?,
            Function::Number => value(0)?.real().map_or(Found::Null, Found::Real),
            Function::Last => context.map_or(Found::Null, |c| Found::Int(c.count as i64)),
            Function::Position => context.map_or(Found::Null, |c| Found::Int(c.position as i64 + 1)),
            Function::Count => match &args[0] {
                Expr::Nodes(set) => Found::Int(self.set(set, context)?.len() as i64),
                _ => Found::Null,
            },
            Function::Sum => {
                let Expr::Nodes(set) = &args[0] else { return Ok(Found::Null) };
                let mut sum = 0.0;
                for item in self.set(set, context)? {
                    let number = |n: usize| convert::text_to_real(self.document.name(n));
                    sum += self.texts(item.node)?.into_iter().map(number).sum::<f64>();
                }
                Found::Real(sum)
            }
            // The first two, as in MySQL, however many there are.
            Function::Concat => match (value(0)?.text(), value(1)?.text()) {
                (Some(a), Some(b)) => Found::Text(a + &b),
                _ => Found::Null,
            },
            Function::Contains => {
                let (hay, needle) = (text(0)?, text(1)?);
                Found::truth(super::super::text::locate(&needle, &hay, 1, self.collation) > 0)
            }
            Function::StringLength => Found::Int(text(0)?.chars().count() as i64),
            Function::Substring => {
                let chars: Vec<char> = text(0)?.chars().collect();
                let from = value(1)?.real().unwrap_or(0.0).round_ties_even() as i64;
                let count = match args.len() {
                    3 => value(2)?.real().unwrap_or(0.0).round_ties_even() as i64,
                    _ => i64::MAX,
                };
                let length = chars.len() as i64;
                let begin = if from < 0 { length + from } else { from - 1 };
                let fits = (0..length).contains(&begin) && count > 0;
                let take = usize::try_from(count).unwrap_or(0);
                let begin = usize::try_from(begin).unwrap_or(0);
                Found::Text(if fits { chars[begin..].iter().take(take).collect() } else { String::new() })
            }
        })
    }
}

fn numbered(nodes: Vec<usize>) -> Vec<Item> {
    let count = nodes.len();
    nodes.into_iter().enumerate().map(|(position, node)| Item { node, position, count }).collect()
}

/// Whole numbers stay whole where they can.
fn arithmetic(op: Operator, a: &Found, b: &Found) -> Found {
    if let (Found::Int(a), Found::Int(b)) = (a, b) {
        let whole = match op {
            Operator::Plus => a.checked_add(*b),
            Operator::Minus => a.checked_sub(*b),
            Operator::Times => a.checked_mul(*b),
            Operator::Div if *b != 0 => a.checked_div(*b),
            Operator::Mod if *b != 0 => a.checked_rem(*b),
            _ => return Found::Null,
        };
        if let Some(whole) = whole {
            return Found::Int(whole);
        }
    }
    let (Some(a), Some(b)) = (a.real(), b.real()) else { return Found::Null };
    match op {
        Operator::Plus => Found::Real(a + b),
        Operator::Minus => Found::Real(a - b),
        Operator::Times => Found::Real(a * b),
        Operator::Div | Operator::Mod if b == 0.0 => Found::Null,
        Operator::Div => Found::Int((a / b).trunc() as i64),
        _ => Found::Real(a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Reader};
    use super::{DEPTH_MAX, PARTS_MAX, Path, evaluate};

    fn found(source: &str, path: &str) -> Result<Option<String>, u16> {
        let nodes = Reader::new(source).read().map_err(|_| 1525_u16)?;
        let path = Path::read(path).map_err(|e| e.code)?;
        evaluate(&Document { source, nodes }, &path, 255).map_err(|e| e.code)
    }

    #[test]
    fn large_paths_and_costly_ones_are_errors() {
        let steps = |n: usize| "/a".repeat(n);
        assert_eq!(found("<a>x</a>", &steps(PARTS_MAX)), Ok(Some(String::new())));
        assert_eq!(found("<a>x</a>", &steps(PARTS_MAX + 1)), Err(1105));
        let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(found("", &nested(DEPTH_MAX)), Ok(Some("1".to_owned())));
        assert_eq!(found("", &nested(DEPTH_MAX + 1)), Err(1105));
        assert_eq!(found("", &"-".repeat(100_000)), Err(1105));
        let deep = format!("{}{}", "<a>".repeat(200), "</a>".repeat(200));
        assert_eq!(found(&deep, "count(//*//*//*//*//*//*)"), Err(1105));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let parts = [
            "<",
            "a",
            ">",
            "/",
            "</a>",
            "'",
            "\"",
            "=",
            "!",
            "?",
            "[",
            "]]>",
            "<![CDATA[",
            "<!--",
            "-->",
            "ä",
            " ",
            "::",
            "@",
            "1",
        ];
        let mut seed = 7_usize;
        for _ in 0..20_000 {
            let mut text = || {
                let mut out = String::new();
                for _ in 0..12 {
                    seed =
                        seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    out += parts[(seed >> 33) % parts.len()];
                }
                out
            };
            let (source, path) = (text(), text());
            let _ = found(&source, "//*");
            let _ = found("<a b='1'>x<c/></a>", &path);
            let _ = found(&source, &path);
        }
    }
}
