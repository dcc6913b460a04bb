//! Laws of [`crate::cell`] over random histories that honest nodes could have written: what a node writes is what it
//! sees, and nothing that nobody overruled is lost.

use std::convert::Infallible;

use p2pdb_model::types::IntSize;
use p2pdb_model::{CellEdit, CellKind, SqlType, Value};
use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

const BIG: SqlType = SqlType::Int { size: IntSize::Big, unsigned: false, width: None, zerofill: false };
const TINY: SqlType = SqlType::Int { size: IntSize::Tiny, unsigned: false, width: None, zerofill: false };

#[derive(Clone, Debug)]
enum Done {
    Assign(Value),
    Edit(CellEdit),
}

impl Done {
    fn as_write(&self) -> Write<'_> {
        match self {
            Done::Assign(v) => Write::Assign(v),
            Done::Edit(e) => Write::Edit(e),
        }
    }
}

/// Writes of one cell by three nodes with, per write, what its author had seen.
#[derive(Clone, Debug)]
struct World {
    kind: CellKind,
    unwritten: Value,
    writes: Vec<Done>,
    past: Vec<Vec<usize>>,
    views: [Vec<usize>; 3],
}

impl World {
    fn new(kind: CellKind) -> Self {
        World {
            kind,
            unwritten: Value::Null,
            writes: Vec::new(),
            past: Vec::new(),
            views: Default::default(),
        }
    }

    fn merge_of(&self, set: &[usize]) -> Option<MergedCell> {
        if set.is_empty() {
            return None;
        }
        let writes: Vec<Write<'_>> = set.iter().map(|i| self.writes[*i].as_write()).collect();
        let mut saw = |a: usize, b: usize| Ok::<_, Infallible>(self.past[set[a]].contains(&set[b]));
        let ty = if matches!(self.kind, CellKind::Set | CellKind::Map) { &SqlType::Json } else { &BIG };
        let rule = CellRule { kind: self.kind, ty, unwritten: &self.unwritten };
        Some(merge_cell(rule, &writes, &mut saw).unwrap())
    }

    /// Of these writes, those that no assignment among them overrules: all that a node needs to keep of a cell.
    fn kept(&self, set: &[usize]) -> Vec<usize> {
        let writes: Vec<Write<'_>> = set.iter().map(|i| self.writes[*i].as_write()).collect();
        let mut saw = |a: usize, b: usize| Ok::<_, Infallible>(self.past[set[a]].contains(&set[b]));
        let standing = standing_writes(&writes, &mut saw).unwrap();
        let mut kept: Vec<usize> =
            standing.assigned.iter().chain(&standing.edited).map(|w| set[*w]).collect();
        kept.sort_unstable();
        kept
    }

    /// What two nodes hold after they met that held these.
    fn join(&self, one: &[usize], other: &[usize]) -> Vec<usize> {
        let mut all = [one, other].concat();
        all.sort_unstable();
        all.dedup();
        self.kept(&all)
    }

    fn value_at(&self, node: usize) -> Value {
        self.merge_of(&self.views[node]).map_or(self.unwritten.clone(), |m| m.value)
    }

    /// The node writes, knowing its view.
    fn write(&mut self, node: usize, done: Done) {
        self.past.push(self.views[node].clone());
        self.writes.push(done);
        self.views[node].push(self.writes.len() - 1);
    }

    /// The node makes its cell hold this, as a statement does.
    fn make(&mut self, node: usize, new: Value, edits: bool) {
        let old = self.value_at(node);
        if old == new {
            return;
        }
        let as_edit = match (self.kind, &old, &new) {
            (CellKind::Counter, Value::Int(a), Value::Int(b)) => Some(CellEdit::Add(Value::Int(b - a))),
            _ => edit(self.kind, &old, &new),
        };
        match as_edit.filter(|_| edits) {
            Some(e) => self.write(node, Done::Edit(e)),
            None => self.write(node, Done::Assign(new)),
        }
    }

    fn learn(&mut self, node: usize, from: usize) {
        let other = self.views[from].clone();
        self.views[node].extend(other);
        self.views[node].sort_unstable();
        self.views[node].dedup();
    }

    fn all(&self) -> Vec<usize> {
        (0..self.writes.len()).collect()
    }
}

fn value(kind: CellKind, g: &mut Gen) -> Value {
    let mut n = |max: usize| usize::arbitrary(g) % max;
    if n(8) == 0 {
        return Value::Null;
    }
    match kind {
        CellKind::Set => {
            let all: Vec<String> =
                (0..n(4)).map(|_| ["1", "10", "\"a\"", "\"bc\"", "null"][n(5)].to_owned()).collect();
            normal_set(&Value::Text(format!("[{}]", all.join(", "))))
        }
        CellKind::Map => {
            let all: BTreeMap<&str, usize> = (0..n(4)).map(|_| (["a", "b", "cc"][n(3)], n(3))).collect();
            Value::Text(object(all.into_iter().map(|(k, v)| (k.to_owned(), v.to_string()))))
        }
        _ => Value::Int(n(20) as i64 - 10),
    }
}

impl Arbitrary for World {
    fn arbitrary(g: &mut Gen) -> Self {
        let kinds = [
            CellKind::Register,
            CellKind::Counter,
            CellKind::Set,
            CellKind::Map,
            CellKind::Max,
            CellKind::Min,
        ];
        let mut world = World::new(*g.choose(&kinds).unwrap());
        if bool::arbitrary(g) {
            world.unwritten = value(world.kind, g);
        }
        for _ in 0..usize::arbitrary(g) % 12 {
            let node = usize::arbitrary(g) % 3;
            if u8::arbitrary(g) % 3 == 0 {
                let from = usize::arbitrary(g) % 3;
                world.learn(node, from);
            }
            let new = value(world.kind, g);
            world.make(node, new, u8::arbitrary(g) % 4 != 0);
        }
        world
    }
}

/// Worlds per law.
const WORLDS: u64 = 2_000;

fn law<A: quickcheck::Testable>(law: A) {
    QuickCheck::new().tests(WORLDS).quickcheck(law);
}

#[test]
fn what_is_written_is_what_is_seen() {
    law(what_is_written_is_what_is_seen_in as fn(World, u8) -> bool);
}

#[test]
fn increments_add_up() {
    law(increments_add_up_in as fn(World) -> bool);
}

#[test]
fn nothing_is_lost() {
    law(nothing_is_lost_in as fn(World) -> bool);
}

#[test]
fn merging_is_commutative_associative_and_idempotent() {
    law(a_semilattice as fn(World) -> bool);
}

/// Nodes that keep nothing but what counts, and meet in any order, however often, hold the same, and show what all writes together
/// make.
fn a_semilattice(world: World) -> bool {
    let [a, b, c] = [0, 1, 2].map(|n| world.kept(&world.views[n]));
    let ab_c = world.join(&world.join(&a, &b), &c);
    assert_eq!(world.join(&a, &b), world.join(&b, &a), "commutative: {world:?}");
    assert_eq!(ab_c, world.join(&a, &world.join(&b, &c)), "associative: {world:?}");
    assert_eq!(world.join(&a, &a), a, "idempotent: {world:?}");
    assert_eq!(world.join(&ab_c, &b), ab_c, "idempotent: {world:?}");
    let all = [0, 1, 2].into_iter().fold(Vec::new(), |all, n| {
        let mut all = [all, world.views[n].clone()].concat();
        all.sort_unstable();
        all.dedup();
        all
    });
    let value = |set: &[usize]| world.merge_of(set).map(|m| m.value);
    assert_eq!(value(&ab_c), value(&all), "what is overruled changes nothing: {world:?}");
    true
}

/// Whatever was merged before: who sees it all and writes a value sees that value, as an edit and as an assignment.
fn what_is_written_is_what_is_seen_in(world: World, seed: u8) -> bool {
    let mut g = Gen::from_size_and_seed(8, u64::from(seed));
    let new = value(world.kind, &mut g);
    [true, false].into_iter().all(|edits| {
        let mut world = world.clone();
        world.learn(0, 1);
        world.learn(0, 2);
        world.make(0, new.clone(), edits);
        let held = world.value_at(0);
        assert!(held == new, "{new:?} was written, {held:?} is held, {edits}: {world:?}");
        true
    })
}

/// Increments that no assignment had seen all count, on top of the last assignment.
fn increments_add_up_in(world: World) -> bool {
    if world.kind != CellKind::Counter || world.writes.is_empty() {
        return true;
    }
    let mut sum = 0;
    for (w, done) in world.writes.iter().enumerate() {
        let reset = |l: usize| matches!(world.writes[l], Done::Assign(_)) && world.past[l].contains(&w);
        if let Done::Edit(CellEdit::Add(Value::Int(by))) = done
            && !(w + 1..world.writes.len()).any(reset)
        {
            sum += by;
        }
    }
    let last = world.writes.iter().rev().find_map(|d| match d {
        Done::Assign(v) => Some(v),
        _ => None,
    });
    match (world.merge_of(&world.all()).unwrap().value, last.unwrap_or(&world.unwritten)) {
        (Value::Int(n), Value::Int(base)) => n == base + sum,
        (Value::Int(n), _) => n == sum,
        (value, _) => value.is_null() && sum == 0,
    }
}

/// A value that was written is shown, or somebody who had seen it overruled it, or it is among what lost.
fn nothing_is_lost_in(world: World) -> bool {
    let Some(merged) = world.merge_of(&world.all()) else { return true };
    let shown: Vec<String> = match world.kind {
        CellKind::Set => elements(&merged.value),
        CellKind::Map => members(&merged.value).into_iter().map(|(k, v)| format!("{k}={v}")).collect(),
        _ => vec![format!("{:?}", merged.value)],
    };
    world.writes.iter().enumerate().all(|(w, done)| {
        let seen = (w + 1..world.writes.len()).any(|l| world.past[l].contains(&w));
        let put: Vec<String> = match (world.kind, done) {
            (CellKind::Counter, _) => Vec::new(),
            (CellKind::Map, Done::Assign(v)) => {
                members(v).into_iter().map(|(k, v)| format!("{k}={v}")).collect()
            }
            (CellKind::Map, Done::Edit(CellEdit::Map { put, .. })) => {
                put.iter().map(|(k, v)| format!("{k}={v}")).collect()
            }
            (CellKind::Set, Done::Assign(v)) => elements(v),
            (CellKind::Set, Done::Edit(CellEdit::Set { added, .. })) => added.clone(),
            (_, Done::Assign(v)) => vec![format!("{v:?}")],
            _ => Vec::new(),
        };
        let kept = seen || merged.lost.contains(&w) || put.iter().all(|p| shown.contains(p));
        assert!(kept, "write {w} is lost in {merged:?}: {world:?}");
        true
    })
}

fn int(n: i64) -> Done {
    Done::Assign(Value::Int(n))
}

fn add(n: i64) -> Done {
    Done::Edit(CellEdit::Add(Value::Int(n)))
}

fn text(t: &str) -> Value {
    Value::Text(t.to_owned())
}

#[test]
fn an_assignment_of_a_counter_keeps_increments_that_it_had_not_seen() {
    let mut w = World::new(CellKind::Counter);
    w.write(0, int(10));
    w.learn(1, 0);
    w.write(0, add(5));
    w.write(1, add(-3));
    w.write(0, int(100));
    let all = w.merge_of(&w.all()).unwrap();
    assert_eq!((all.value, all.lost.is_empty()), (Value::Int(97), true));
    w.write(1, int(1));
    let all = w.merge_of(&w.all()).unwrap();
    assert_eq!((all.value, all.lost), (Value::Int(1), vec![3]), "the assignment that lost is kept");
}

#[test]
fn a_counter_out_of_range_is_its_digits_and_comes_back() {
    let rule = CellRule { kind: CellKind::Counter, ty: &TINY, unwritten: &Value::Null };
    let (base, a, b, c) = (Value::Int(100), add(20), add(20), add(-40));
    let writes = |done: &[&Done]| {
        let writes: Vec<Write<'_>> = std::iter::once(Write::Assign(&base))
            .chain(done.iter().map(|d| match d {
                Done::Assign(v) => Write::Assign(v),
                Done::Edit(e) => Write::Edit(e),
            }))
            .collect();
        merge_cell(rule, &writes, &mut |_, b| Ok::<_, Infallible>(b == 0)).unwrap()
    };
    let over = writes(&[&a, &b]);
    assert_eq!(over.value, text("140"));
    let back = writes(&[&a, &b, &c]);
    assert_eq!(back.value, Value::Int(100));
}

#[test]
fn sets_and_maps_merge_by_element() {
    let mut w = World::new(CellKind::Set);
    w.make(0, text("[\"a\", \"b\"]"), true);
    w.learn(1, 0);
    w.make(0, text("[\"a\", \"c\"]"), true);
    w.make(1, text("[\"b\", \"d\"]"), true);
    assert_eq!(w.merge_of(&w.all()).unwrap().value, text("[\"c\", \"d\"]"));

    let mut w = World::new(CellKind::Map);
    w.make(0, text("{\"a\": 1, \"b\": 2}"), true);
    w.learn(1, 0);
    w.make(0, text("{\"a\": 1, \"b\": 3}"), true);
    w.make(1, text("{\"b\": 4, \"c\": 5}"), true);
    let merged = w.merge_of(&w.all()).unwrap();
    assert_eq!((merged.value, merged.lost), (text("{\"b\": 4, \"c\": 5}"), vec![1]));
}

#[test]
fn the_greatest_of_what_nobody_overruled_wins() {
    let mut w = World::new(CellKind::Max);
    w.write(0, int(9));
    w.write(1, int(5));
    assert_eq!(w.merge_of(&w.all()).unwrap().value, Value::Int(9));
    // Somebody who saw only the 9 lowers it: the 5 still stands.
    w.learn(2, 0);
    w.write(2, int(3));
    assert_eq!(w.merge_of(&w.all()).unwrap().value, Value::Int(5));
}

#[test]
fn what_is_no_array_or_object_is_not_lost() {
    let mut w = World::new(CellKind::Set);
    w.write(0, Done::Assign(text("\"x\"")));
    w.write(1, Done::Assign(text("[1]")));
    assert_eq!(w.merge_of(&w.all()).unwrap().value, text("[1, \"x\"]"));
    let mut w = World::new(CellKind::Map);
    w.write(0, Done::Assign(text("7")));
    w.write(1, Done::Assign(text("{\"a\": 1}")));
    assert_eq!(w.merge_of(&w.all()).unwrap().value, text("{\"\": 7, \"a\": 1}"));
}
