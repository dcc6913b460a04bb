//! XPath as MySQL has it, evaluated on a document. A set of nodes read as a text is the texts right inside of them, with a
//! space between.

use std::cell::Cell;

use crate::collate;
use crate::error::SqlError;
use crate::execute::convert;

use super::path::{Axis, Expr, Function, Operator, Path, Set, error};
use super::{Document, Kind};

/// Nodes that are looked at while a path is evaluated.
const LOOKED_AT_MAX: usize = 20_000_000;

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
    use super::super::path::{DEPTH_MAX, PARTS_MAX, Path};
    use super::super::{Document, Reader};
    use super::evaluate;

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
