//! EXTRACTVALUE and UPDATEXML (MySQL 8.0 manual, "XML Functions").
//!
//! MySQL reads XML in a manner of its own: entities stay as they are written, so that nothing expands; texts need no element
//! around them; of an end tag only the length counts; and UPDATEXML replaces bytes of the source. No parser of real XML does
//! that, which is why there is one here. It knows elements, attributes and texts, in the order of the source.

mod evaluate;
mod path;

use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, any_null, int_of, str_of, text};
use crate::execute::context;

/// Elements inside of each other; beyond it is not XML, as in MySQL.
const LEVEL_MAX: usize = 254;

/// `p_extract_value(xml, path, collation)` and `p_update_xml(xml, path, new, collation)`.
pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_extract_value", 3, |a| -> Answer {
        let Some((document, path)) = read(a, 2)? else { return Ok(Value::Null) };
        match evaluate::evaluate(&document, &path, int_of(&a[2]))? {
            Some(found) => text(found),
            None => Ok(Value::Null),
        }
    }),
    ("p_update_xml", 4, |a| -> Answer {
        let Some((document, path)) = read(a, 3)? else { return Ok(Value::Null) };
        let Some(nodes) = evaluate::nodes(&document, &path, int_of(&a[3]))? else { return Ok(Value::Null) };
        let (source, new) = (document.source, str_of(&a[2]));
        let [only] = nodes.as_slice() else { return text(source) };
        if *only == 0 {
            return text(new);
        }
        let node = &document.nodes[*only];
        let begin = node.begin - usize::from(node.kind == Kind::Element);
        text(format!("{}{new}{}", &source[..begin], source.get(node.behind..).unwrap_or("")))
    }),
];

/// The document and the path; `None` where one of so many arguments is NULL, or where there is no document.
fn read<'a>(
    args: &[ValueRef<'a>],
    values: usize,
) -> Result<Option<(Document<'a>, path::Path)>, crate::error::SqlError> {
    if any_null(&args[1..2]) {
        return Ok(None);
    }
    let path = path::Path::read(str_of(&args[1]))?;
    if any_null(&args[..values]) {
        return Ok(None);
    }
    let source = str_of(&args[0]);
    match Reader::new(source).read() {
        Ok(nodes) => Ok(Some((Document { source, nodes }, path))),
        Err(Unread { at, why }) => {
            let before = &source.as_bytes()[..at];
            let line = before.iter().filter(|c| **c == b'\n').count() + 1;
            let begin = before.iter().rposition(|c| *c == b'\n').unwrap_or(0);
            let pos = at - begin + 1;
            context::warn(
                1525,
                format!("Incorrect XML value: 'parse error at line {line} pos {pos}: {why}'"),
            );
            Ok(None)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Element,
    Attribute,
    Text,
}

/// A node; its name, or the text, stands from `begin` to `end` in the source.
#[derive(Debug)]
struct Node {
    kind: Kind,
    level: usize,
    parent: usize,
    begin: usize,
    end: usize,
    /// Where the source goes on behind an element or attribute.
    behind: usize,
}

/// The nodes in the order of the source; the first is the document itself.
#[derive(Debug)]
struct Document<'a> {
    source: &'a str,
    nodes: Vec<Node>,
}

impl<'a> Document<'a> {
    fn name(&self, node: usize) -> &'a str {
        let n = &self.nodes[node];
        self.source.get(n.begin..n.end).unwrap_or("")
    }

    /// The nodes inside of one.
    fn inside(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let level = self.nodes[node].level;
        let rest = self.nodes[node + 1..].iter().take_while(move |n| n.level > level);
        (node + 1..).zip(rest).map(|(n, _)| n)
    }
}

#[derive(Debug)]
struct Unread {
    at: usize,
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Text,
    Name,
    Data,
    Comment,
    Mark(u8),
    Unknown,
}

impl Token {
    fn shown(self) -> String {
        match self {
            Token::End => "END-OF-INPUT".to_owned(),
            Token::Text => "STRING".to_owned(),
            Token::Name => "IDENT".to_owned(),
            Token::Data => "CDATA".to_owned(),
            Token::Comment => "COMMENT".to_owned(),
            Token::Mark(c) => format!("'{}'", char::from(c)),
            Token::Unknown => "unknown token".to_owned(),
        }
    }
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    nodes: Vec<Node>,
    open: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Self {
        let whole = Node { kind: Kind::Element, level: 0, parent: 0, begin: 0, end: 0, behind: source.len() };
        Reader { source, at: 0, nodes: vec![whole], open: vec![0] }
    }

    fn fail<T>(&self, why: impl Into<String>) -> Result<T, Unread> {
        Err(Unread { at: self.at, why: why.into() })
    }

    fn enter(&mut self, kind: Kind, begin: usize, end: usize) -> Result<(), Unread> {
        if self.open.len() > LEVEL_MAX {
            return self.fail("");
        }
        let parent = *self.open.last().expect("invariant: the document stays open");
        self.nodes.push(Node { kind, level: self.open.len(), parent, begin, end, behind: end });
        self.open.push(self.nodes.len() - 1);
        Ok(())
    }

    fn value(&mut self, begin: usize, end: usize) {
        let parent = *self.open.last().expect("invariant: the document stays open");
        self.nodes.push(Node { kind: Kind::Text, level: self.open.len(), parent, begin, end, behind: end });
    }

    /// Ends what was entered last; an end tag by its name.
    fn leave(&mut self, name: Option<&str>) -> Result<(), Unread> {
        let open = if self.open.len() > 1 { self.open.last().copied() } else { None };
        let wanted = open.map_or("", |n| {
            let n = &self.nodes[n];
            &self.source[n.begin..n.end]
        });
        if let Some(name) = name
            && name.len() != wanted.len()
        {
            return self.fail(match open {
                // MySQL forgets the first letter of the outermost.
                Some(_) if self.open.len() == 2 => {
                    format!("'</{name}>' unexpected ('</{}>' wanted)", wanted.get(1..).unwrap_or(""))
                }
                Some(_) => format!("'</{name}>' unexpected ('</{wanted}>' wanted)"),
                None => format!("'</{name}>' unexpected (END-OF-INPUT wanted)"),
            });
        }
        if let Some(n) = open {
            let node = &mut self.nodes[n];
            // The bracket behind it is an element's.
            node.behind = self.at + usize::from(node.kind == Kind::Element);
            self.open.pop();
        }
        Ok(())
    }

    fn scan(&mut self) -> (Token, usize, usize) {
        let bytes = self.source.as_bytes();
        while bytes.get(self.at).is_some_and(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let begin = self.at;
        let rest = &self.source.as_bytes()[begin..];
        let past = |what: &[u8], from: usize| {
            rest.get(from..)?.windows(what.len()).position(|w| w == what).map(|n| from + n + what.len())
        };
        let first = |c: u8| c.is_ascii_alphabetic() || matches!(c, b'_' | b':') || c >= 0x80;
        let Some(c) = rest.first().copied() else { return (Token::End, begin, begin) };
        let (token, length) = if rest.starts_with(b"<!--") {
            (Token::Comment, past(b"-->", 0).unwrap_or(rest.len()))
        } else if rest.starts_with(b"<![CDATA[") {
            match past(b"]]>", 9) {
                Some(n) => (Token::Data, n),
                None => (Token::End, rest.len()),
            }
        } else if b"?=/<>!".contains(&c) {
            (Token::Mark(c), 1)
        } else if matches!(c, b'"' | b'\'') {
            let end = rest[1..].iter().position(|d| *d == c).map_or(rest.len(), |n| n + 1);
            self.at = begin + (end + 1).min(rest.len());
            return (Token::Text, begin + 1, begin + end);
        } else if first(c) {
            let more = |c: &&u8| first(**c) || c.is_ascii_digit() || matches!(**c, b'-' | b'.');
            (Token::Name, rest.iter().take_while(more).count())
        } else {
            (Token::Unknown, 0)
        };
        self.at = begin + length;
        (token, begin, self.at)
    }

    fn read(mut self) -> Result<Vec<Node>, Unread> {
        while let Some(c) = self.source.as_bytes().get(self.at).copied() {
            if c == b'<' {
                self.tag()?;
            } else {
                let begin = self.at;
                self.at = self.source[begin..].find('<').map_or(self.source.len(), |n| begin + n);
                self.value(begin, self.at);
            }
        }
        match self.open.len() {
            1 => Ok(self.nodes),
            _ => self.fail("unexpected END-OF-INPUT"),
        }
    }

    fn tag(&mut self) -> Result<(), Unread> {
        let (token, begin, end) = self.scan();
        match token {
            Token::Comment => return Ok(()),
            Token::Data => {
                self.value(begin + "<![CDATA[".len(), end - "]]>".len());
                return Ok(());
            }
            Token::End => return Ok(()),
            _ => {}
        }
        let (mut token, mut begin, mut end) = self.scan();
        if token == Token::Mark(b'/') {
            (token, begin, end) = self.scan();
            if token != Token::Name {
                return self.fail(format!("{} unexpected (ident wanted)", token.shown()));
            }
            self.leave(Some(&self.source[begin..end]))?;
            token = self.scan().0;
            return self.bracket(token);
        }
        let (declared, instructs) = (token == Token::Mark(b'!'), token == Token::Mark(b'?'));
        if declared || instructs {
            (token, begin, end) = self.scan();
        }
        if token != Token::Name {
            return self.fail(format!("{} unexpected (ident or '/' wanted)", token.shown()));
        }
        self.enter(Kind::Element, begin, end)?;
        let mut token = self.attributes(declared)?;
        if token == Token::Mark(b'/') {
            self.leave(None)?;
            token = self.scan().0;
        }
        if instructs {
            if token != Token::Mark(b'?') {
                return self.fail(format!("{} unexpected ('?' wanted)", token.shown()));
            }
            self.leave(None)?;
            token = self.scan().0;
        }
        if declared {
            self.leave(None)?;
        }
        self.bracket(token)
    }

    fn bracket(&self, token: Token) -> Result<(), Unread> {
        match token {
            Token::Mark(b'>') => Ok(()),
            other => self.fail(format!("{} unexpected ('>' wanted)", other.shown())),
        }
    }

    /// The attributes of a tag; gives the token behind them.
    fn attributes(&mut self, declared: bool) -> Result<Token, Unread> {
        loop {
            let (token, begin, end) = self.scan();
            if !(token == Token::Name || token == Token::Text && declared) {
                return Ok(token);
            }
            match self.scan().0 {
                Token::Mark(b'=') => {
                    let (token, from, to) = self.scan();
                    if !matches!(token, Token::Name | Token::Text) {
                        return self.fail(format!("{} unexpected (ident or string wanted)", token.shown()));
                    }
                    self.enter(Kind::Attribute, begin, end)?;
                    self.value(from, to);
                    self.leave(None)?;
                }
                Token::Name => {
                    self.enter(Kind::Attribute, begin, end)?;
                    self.leave(None)?;
                }
                Token::Text if declared => {}
                other => return Ok(other),
            }
        }
    }
}
