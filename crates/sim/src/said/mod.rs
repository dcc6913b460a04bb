//! What a statement that was answered with OK has said must be what its own session shows, and what its node shows after
//! the COMMIT.
//!
//! A model of a single server, of this crate's own and as simple as that: rows of text before and after, and what a statement
//! says of them ([`statement`]). An inserted row is there with the values that were given, an updated one is there with the
//! assigned ones, a deleted one is not; no other row comes, goes or changes, but by what foreign keys do, and, when a transaction
//! ends, rows that waited in `p2pdb.conflicts` and find what they waited for. A statement that failed has changed nothing. What
//! a session showed before its COMMIT is there after it.
//!
//! [`Witness`] collects what is shown: inside a transaction by its own session after each statement, as the transaction holds the
//! writer from its first mark on; of what is committed by a session beside, around each turn of the writer. Where other blocks came
//! in between, or several statements shared a block, nothing is said.

mod shown;
pub(crate) mod statement;

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use p2pdb_engine::{Engine, Session};

use crate::client::run;
use crate::node::{DATABASE, session};
use shown::{Gtids, Kind, Reference, Row, Shown};
use statement::{Expr, Statement, Verb, Which};

pub(crate) use shown::View;

/// Turns of the writer that are remembered: more than may wait for their sync.
const TURNS_MAX: usize = 80;

/// What the writer did in one turn.
struct Turn {
    before: Rc<View>,
    after: Rc<View>,
    /// What was committed before, and after.
    gtids: (Gtids, Gtids),
    /// One statement alone was waiting for it.
    alone: bool,
}

/// Looks at a node from beside.
#[derive(Default)]
pub struct Witness {
    session: Option<Session>,
    last: Option<(String, Rc<View>)>,
    turns: VecDeque<Turn>,
}

impl Witness {
    /// Before a turn of the writer.
    pub fn before(&mut self, engine: &Engine) {
        let digest = engine.status().gtid_executed;
        if self.last.as_ref().is_none_or(|(of, _)| *of != digest) {
            self.last = self.take(engine).map(|view| (digest, Rc::new(view)));
        }
    }

    /// After it; `alone`: at most one statement waited.
    pub fn after(&mut self, engine: &Engine, alone: bool) {
        let digest = engine.status().gtid_executed;
        let Some((of, before)) = self.last.take() else { return };
        if of == digest {
            self.last = Some((of, before));
            return;
        }
        let Some(view) = self.take(engine) else { return };
        let after = Rc::new(view);
        let gtids = (Gtids::read(&of), Gtids::read(&digest));
        self.turns.push_back(Turn { before, after: after.clone(), gtids, alone });
        if self.turns.len() > TURNS_MAX {
            self.turns.pop_front();
        }
        self.last = Some((digest, after));
    }

    /// Its disk fails, or something else goes on that is not to be looked at.
    pub fn forget(&mut self) {
        *self = Witness::default();
    }

    fn take(&mut self, engine: &Engine) -> Option<View> {
        if self.session.is_none() {
            self.session = session(engine, u64::MAX - 5, Some(DATABASE)).ok();
        }
        let session = self.session.as_mut()?;
        View::take(|sql| run(engine, session, sql).ok())
    }

    fn turn(&self, gtid: &str) -> Option<&Turn> {
        self.turns.iter().find(|t| t.gtids.1.is_one_more(&t.gtids.0, gtid))
    }

    /// A statement without a transaction was answered with OK; true if it could be judged.
    ///
    /// # Errors
    /// What is not as it said.
    pub fn autocommitted(&self, text: &str, affected: u64, gtid: Option<&str>) -> Result<bool, String> {
        let statement = Statement::read(text);
        let Some(gtid) = gtid else {
            let writes = matches!(&statement, Statement::Delete { .. })
                || matches!(&statement, Statement::Insert { verb: Verb::Insert, .. });
            return match writes && affected > 0 {
                true => Err(format!("{text}: {affected} rows, and nothing was logged")),
                false => Ok(false),
            };
        };
        match self.turn(gtid).filter(|t| t.alone) {
            None => Ok(false),
            Some(turn) => judge(&statement, affected, &turn.before, &turn.after, true)
                .map(|()| statement != Statement::Other)
                .map_err(|what| format!("{text}: {what}")),
        }
    }

    /// A transaction that showed this before its COMMIT was answered with OK; true if it could be judged.
    ///
    /// # Errors
    /// What is not as it was.
    pub fn committed(&self, showed: &View, gtid: Option<&str>) -> Result<bool, String> {
        let Some(turn) = gtid.and_then(|gtid| self.turn(gtid)) else { return Ok(false) };
        kept(showed, &turn.before, &turn.after).map(|()| true).map_err(|what| format!("COMMIT: {what}"))
    }
}

/// What a table lost and got.
struct Change<'a> {
    gone: Vec<&'a Row>,
    come: Vec<&'a Row>,
}

fn change<'a>(before: &'a Shown, after: &'a Shown) -> Change<'a> {
    let mut come: Vec<&Row> = after.rows.iter().collect();
    let mut gone = Vec::new();
    for row in &before.rows {
        match come.iter().position(|r| *r == row) {
            Some(at) => drop(come.swap_remove(at)),
            None => gone.push(row),
        }
    }
    Change { gone, come }
}

/// They differ in what references hold, if at all.
fn is_but_for(references: &[Reference], a: &Row, b: &Row) -> bool {
    let refers = |i: usize| references.iter().any(|r| r.columns.contains(&i));
    a.iter().zip(b).enumerate().all(|(i, (a, b))| a == b || refers(i))
}

impl Change<'_> {
    /// What foreign keys did, as their parents went or changed their keys.
    fn without_effects(&mut self, shown: &Shown, before: &View, after: &View) {
        for reference in &shown.references {
            let there = after.values(&reference.parent, &reference.target);
            let lost: BTreeSet<Vec<String>> = before
                .values(&reference.parent, &reference.target)
                .into_iter()
                .filter(|v| !there.contains(v))
                .collect();
            let refers = |row: &Row| {
                let values: Option<Vec<String>> =
                    reference.columns.iter().map(|c| row[*c].as_deref().map(str::to_lowercase)).collect();
                values.is_some_and(|v| lost.contains(&v))
            };
            let (hit, rest): (Vec<&Row>, Vec<&Row>) = self.gone.iter().partition(|r| refers(r));
            self.gone = rest;
            for row in hit {
                if let Some(at) = self.come.iter().position(|r| is_but_for(&shown.references, row, r)) {
                    self.come.swap_remove(at);
                }
            }
        }
    }

    /// Rows that had waited, and references that read NULL until now, or followed a parent of whose former key there is another now.
    fn without_returned(&mut self, shown: &Shown, waiting: usize, before: &View, after: &View) {
        let made = |reference: &Reference| -> BTreeSet<Vec<String>> {
            let of = |view: &View| view.values(&reference.parent, &reference.target);
            of(after).difference(&of(before)).cloned().collect()
        };
        let made: Vec<_> = shown.references.iter().map(|r| (&r.columns, made(r))).collect();
        let refers = |row: &Row, columns: &[usize], made: &BTreeSet<Vec<String>>| {
            let key: Option<Vec<String>> =
                columns.iter().map(|c| row[*c].as_deref().map(str::to_lowercase)).collect();
            key.is_some_and(|key| made.contains(&key))
        };
        let is_back = |was: &Row, row: &Row| {
            is_but_for(&shown.references, was, row)
                && (waiting > 0 || made.iter().any(|(c, made)| refers(row, c, made)))
        };
        self.gone.retain(|row| match self.come.iter().position(|r| is_back(row, r)) {
            Some(at) => {
                self.come.swap_remove(at);
                false
            }
            None => true,
        });
        let back = self.come.len().min(waiting);
        self.come.drain(..back);
    }

    fn is_nothing(&self, table: &str) -> Result<(), String> {
        match (self.gone.first(), self.come.first()) {
            (None, None) => Ok(()),
            (Some(row), None) => Err(format!("row {row:?} of {table} is gone, of which it said nothing")),
            (None, Some(row)) => Err(format!("row {row:?} of {table} has come, of which it said nothing")),
            (Some(gone), Some(come)) => {
                Err(format!("rows {gone:?} of {table} has become {come:?}, of which it said nothing"))
            }
        }
    }
}

/// What a session showed is there after its COMMIT, and with it at most what had waited.
fn kept(showed: &View, before: &View, after: &View) -> Result<(), String> {
    for (name, then) in &showed.tables {
        let Some(now) = after.tables.get(name) else { return Err(format!("table {name} is gone")) };
        let mut change = change(then, now);
        change.without_returned(then, before.waiting.get(name).copied().unwrap_or(0), before, after);
        change.is_nothing(name)?;
    }
    Ok(())
}

/// A statement that failed has changed nothing.
///
/// # Errors
/// What it has.
pub(crate) fn nothing(text: &str, before: &View, after: &View) -> Result<(), String> {
    for (name, then) in &before.tables {
        let Some(now) = after.tables.get(name) else { return Err(format!("{text}: table {name} is gone")) };
        change(then, now).is_nothing(name).map_err(|what| format!("{text} failed, and {what}"))?;
    }
    Ok(())
}

/// What a cell is to hold.
#[derive(Clone, Debug, PartialEq)]
enum Want {
    Any,
    Known(Option<String>),
}

impl Want {
    fn is(&self, shown: Option<&str>, kind: Kind) -> bool {
        match self {
            Want::Any => true,
            Want::Known(None) => shown.is_none(),
            Want::Known(Some(want)) => shown.is_some_and(|shown| {
                let day = |text: &str| text.get(..10).map(str::to_owned);
                want == shown
                    || match kind {
                        Kind::Number => is_rounded(want, shown),
                        // A date may have become one with a time, and the other way round.
                        Kind::Plain => day(want).is_some() && day(want) == day(shown),
                        _ => false,
                    }
            }),
        }
    }
}

/// The same number; with digits behind the point also what it is rounded to.
fn is_rounded(want: &str, shown: &str) -> bool {
    let (Ok(a), Ok(b)) = (want.parse::<f64>(), shown.parse::<f64>()) else { return false };
    a == b || (want.contains('.') && (a - b).abs() <= 0.5)
}

type Pattern = Vec<Want>;

fn fits(pattern: &Pattern, row: &Row, shown: &Shown) -> bool {
    pattern.iter().zip(row).zip(&shown.columns).all(|((w, v), c)| w.is(v.as_deref(), c.kind))
}

/// Value of an expression over a row.
fn value(expr: &Expr, row: &Pattern, given: Option<&Pattern>, shown: &Shown) -> Want {
    let of = |row: &Pattern, name: &str| shown.place(name).map_or(Want::Any, |i| row[i].clone());
    match expr {
        Expr::Null => Want::Known(None),
        Expr::Number(v) | Expr::Text(v) => Want::Known(Some(v.clone())),
        Expr::Column(name) => of(row, name),
        Expr::Given(name) => given.map_or(Want::Any, |given| of(given, name)),
        Expr::Concat(parts) => {
            let mut text = String::new();
            for part in parts {
                match value(part, row, given, shown) {
                    Want::Any => return Want::Any,
                    Want::Known(None) => return Want::Known(None),
                    Want::Known(Some(v)) => text += &v,
                }
            }
            Want::Known(Some(text))
        }
        Expr::Sum(a, b, minus) => {
            match (value(a, row, given, shown), value(b, row, given, shown)) {
                (Want::Known(Some(a)), Want::Known(Some(b))) => {
                    let sum = |a: i64, b: i64| if *minus { a.checked_sub(b) } else { a.checked_add(b) };
                    match (a.parse(), b.parse()) {
                        (Ok(a), Ok(b)) => sum(a, b).map_or(Want::Any, |n| Want::Known(Some(n.to_string()))),
                        _ => Want::Any,
                    }
                }
                // Of a counter NULL counts from 0.
                _ => Want::Any,
            }
        }
        Expr::Other => Want::Any,
    }
}

/// What a row that is given in an INSERT is to be.
fn given(shown: &Shown, columns: &[String], values: &[Expr]) -> Pattern {
    let mut pattern = vec![Want::Any; shown.columns.len()];
    let nothing: Pattern = pattern.clone();
    for (n, expr) in values.iter().enumerate() {
        let place = if columns.is_empty() { Some(n) } else { shown.place(&columns[n]) };
        let Some(place) = place.filter(|p| *p < pattern.len()) else { continue };
        let want = value(expr, &nothing, None, shown);
        let drawn = shown.columns[place].made
            && matches!(&want, Want::Known(v) if v.as_deref().is_none_or(|v| v == "0"));
        if shown.columns[place].kind != Kind::Opaque && !drawn {
            pattern[place] = want;
        }
    }
    pattern
}

/// What a row becomes by these assignments, from left to right.
fn assigned(row: &Row, sets: &[(String, Expr)], given: Option<&Pattern>, shown: &Shown) -> Pattern {
    let mut pattern: Pattern = row.iter().map(|v| Want::Known(v.clone())).collect();
    for (name, expr) in sets {
        let Some(place) = shown.place(name) else { continue };
        let want = value(expr, &pattern, given, shown);
        pattern[place] = if shown.columns[place].kind == Kind::Opaque { Want::Any } else { want };
    }
    for (want, column) in pattern.iter_mut().zip(&shown.columns) {
        if column.made {
            *want = Want::Any;
        }
    }
    pattern
}

/// Whether a row is meant; `None`: nobody knows.
fn is_meant(which: &Which, row: &Row, shown: &Shown) -> Option<bool> {
    let literal = |expr: &Expr| match expr {
        Expr::Null => Some(None),
        Expr::Number(v) => Some(Some((v.clone(), true))),
        Expr::Text(v) => Some(Some((v.clone(), false))),
        _ => None,
    };
    let number = |v: &str| v.parse::<f64>().ok();
    match which {
        Which::All => Some(true),
        Which::Is(name, expr) => {
            let place = shown.place(name)?;
            match (row[place].as_deref(), literal(expr)?) {
                (v, None) => Some(v.is_none()),
                (None, Some(_)) => Some(false),
                (Some(v), Some((want, is_number))) => match (shown.columns[place].kind, is_number) {
                    (Kind::Number, _) => Some(number(v)? == number(&want)?),
                    (Kind::Text | Kind::Plain, false) => Some(v == want),
                    (Kind::Caseless, false) => Some(v.to_lowercase() == want.to_lowercase()),
                    _ => None,
                },
            }
        }
        Which::Between(name, low, high) => {
            let place = shown.place(name)?;
            let (low, high) = (literal(low)??, literal(high)??);
            if shown.columns[place].kind != Kind::Number {
                return None;
            }
            let Some(v) = row[place].as_deref() else { return Some(false) };
            let v = number(v)?;
            Some(number(&low.0)? <= v && v <= number(&high.0)?)
        }
        Which::Other => None,
    }
}

/// Each pattern gets a row of its own; which rows are left. `None`: there are not enough.
fn matched<'a>(patterns: &[Pattern], rows: &[&'a Row], shown: &Shown) -> Option<Vec<&'a Row>> {
    fn place(p: usize, fit: &[Vec<bool>], owner: &mut [Option<usize>], tried: &mut BTreeSet<usize>) -> bool {
        for r in 0..owner.len() {
            if fit[p][r] && tried.insert(r) && owner[r].is_none_or(|other| place(other, fit, owner, tried)) {
                owner[r] = Some(p);
                return true;
            }
        }
        false
    }
    let fit: Vec<Vec<bool>> =
        patterns.iter().map(|p| rows.iter().map(|r| fits(p, r, shown)).collect()).collect();
    let mut owner = vec![None; rows.len()];
    for p in 0..patterns.len() {
        if !place(p, &fit, &mut owner, &mut BTreeSet::new()) {
            return None;
        }
    }
    Some(rows.iter().zip(&owner).filter(|(_, o)| o.is_none()).map(|(r, _)| *r).collect())
}

/// What rows that replace may be when a later row of the same statement replaces what they refer to.
fn orphaned_by_later(table: &str, patterns: &[Pattern], shown: &Shown) -> Vec<Pattern> {
    let mut orphaned = Vec::new();
    for reference in shown.references.iter().filter(|r| r.parent == table) {
        let target: Option<Vec<usize>> = reference.target.iter().map(|name| shown.place(name)).collect();
        let Some(target) = target else { continue };
        for (n, pattern) in patterns.iter().enumerate() {
            let is_its_parent = |later: &Pattern| {
                reference.columns.iter().zip(&target).all(|(c, t)| {
                    pattern[*c] == later[*t] || pattern[*c] == Want::Any || later[*t] == Want::Any
                })
            };
            if patterns[n + 1..].iter().any(is_its_parent) {
                let mut without = pattern.clone();
                reference.columns.iter().for_each(|c| without[*c] = Want::Known(None));
                orphaned.push(without);
            }
        }
    }
    orphaned
}

/// They have the same values in a unique key, as far as is known.
fn clash(pattern: &Pattern, row: &Row, shown: &Shown) -> bool {
    let same = |i: &usize| match (&pattern[*i], row[*i].as_deref()) {
        (Want::Any, _) => true,
        (Want::Known(Some(a)), Some(b)) => {
            a.to_lowercase() == b.to_lowercase() || Want::Known(Some(a.clone())).is(Some(b), Kind::Number)
        }
        _ => false,
    };
    shown.uniques.iter().any(|key| key.as_ref().is_none_or(|key| key.iter().all(same)))
}

/// Judges what a statement did to all tables. `committed`: it is committed, so that what waited may have come.
fn judge(
    statement: &Statement,
    affected: u64,
    before: &View,
    after: &View,
    committed: bool,
) -> Result<(), String> {
    let own = match statement {
        Statement::Other => return Ok(()),
        Statement::Reads => "",
        Statement::Insert { table, .. }
        | Statement::Update { table, .. }
        | Statement::Delete { table, .. } => table,
    };
    // What REPLACE replaces goes, and what refers to it knows that, also where the same values come.
    let replaced = match statement {
        Statement::Insert { verb: Verb::Replace, table, columns, rows, .. } => {
            let mut without = after.clone();
            if let Some(shown) = without.tables.get_mut(table) {
                let patterns: Vec<Pattern> = rows.iter().map(|r| given(shown, columns, r)).collect();
                let (all, of) = (std::mem::take(&mut shown.rows), &*shown);
                let left = all.into_iter().filter(|r| !patterns.iter().any(|p| fits(p, r, of))).collect();
                shown.rows = left;
            }
            Some(without)
        }
        _ => None,
    };
    let left = replaced.as_ref().unwrap_or(after);
    for (name, then) in &before.tables {
        let Some(now) = after.tables.get(name) else { return Err(format!("table {name} is gone")) };
        if then.columns != now.columns {
            return Err(format!("table {name} has other columns"));
        }
        let mut change = change(then, now);
        let waiting = if committed { before.waiting.get(name).copied().unwrap_or(0) } else { 0 };
        if name == own {
            own_table(statement, affected, &mut change, (then, now), (before, left))?;
        } else {
            change.without_effects(then, before, left);
        }
        if committed {
            change.without_returned(then, waiting, before, after);
        }
        change.is_nothing(name)?;
    }
    Ok(())
}

/// Takes out of the change what the statement said of its table.
fn own_table<'a>(
    statement: &Statement,
    affected: u64,
    change: &mut Change<'a>,
    (then, now): (&Shown, &'a Shown),
    (before, after): (&View, &View),
) -> Result<(), String> {
    match statement {
        Statement::Insert { verb: Verb::Insert, columns, rows, otherwise, .. } if otherwise.is_empty() => {
            let patterns: Vec<Pattern> = rows.iter().map(|r| given(then, columns, r)).collect();
            if affected != rows.len() as u64 {
                return Err(format!("{affected} rows of {}", rows.len()));
            }
            change.come = matched(&patterns, &change.come, then)
                .ok_or_else(|| format!("an inserted row is not there: {:?}", now.rows))?;
        }
        Statement::Insert { verb: Verb::Insert, columns, rows, otherwise, .. } => {
            let patterns: Vec<Pattern> = rows.iter().map(|r| given(then, columns, r)).collect();
            if let [pattern] = patterns.as_slice() {
                match (affected, change.gone.as_slice()) {
                    (1, _) => {
                        change.come = matched(&patterns, &change.come, then)
                            .ok_or_else(|| format!("the inserted row is not there: {:?}", now.rows))?;
                    }
                    (2, [row]) => {
                        let wanted = assigned(row, otherwise, Some(pattern), then);
                        change.come = matched(&[wanted], &change.come, then)
                            .ok_or_else(|| format!("row {row:?} is not as assigned: {:?}", now.rows))?;
                        change.gone.clear();
                    }
                    _ => {}
                }
            } else {
                let changed = change.gone.len().min(rows.len());
                change.gone.drain(..changed);
                let come = change.come.len().min(rows.len());
                change.come.drain(..come);
            }
        }
        Statement::Insert { verb: Verb::Ignore, rows, .. } => {
            let come = usize::try_from(affected).unwrap_or(0);
            if come > rows.len() || come > change.come.len() {
                return Err(format!("{affected} rows inserted: {:?}", now.rows));
            }
            change.come.drain(..come);
        }
        Statement::Insert { verb: Verb::Replace, table, columns, rows, .. } => {
            let patterns: Vec<Pattern> = rows.iter().map(|r| given(then, columns, r)).collect();
            let there = |p: &Pattern| now.rows.iter().any(|r| fits(p, r, then));
            if !patterns.last().is_some_and(there) {
                return Err(format!("the row that replaces is not there: {:?}", now.rows));
            }
            change.gone.retain(|row| !patterns.iter().any(|p| clash(p, row, then)));
            let orphaned = orphaned_by_later(table, &patterns, then);
            change.come.retain(|row| !patterns.iter().chain(&orphaned).any(|p| fits(p, row, then)));
            change.without_effects(then, before, after);
        }
        Statement::Update { sets, which, .. } => {
            let meant: Option<Vec<bool>> = then.rows.iter().map(|r| is_meant(which, r, then)).collect();
            let Some(meant) = meant else {
                // As many as before.
                change.without_effects(then, before, after);
                let changed = change.gone.len().min(change.come.len());
                if changed as u64 > affected {
                    return Err(format!("{changed} rows changed, not {affected}"));
                }
                change.gone.drain(..changed);
                change.come.drain(..changed);
                return Ok(());
            };
            let of = |is: bool| then.rows.iter().zip(&meant).filter(move |(_, m)| **m == is).map(|(r, _)| r);
            let patterns: Vec<Pattern> = of(true).map(|r| assigned(r, sets, None, then)).collect();
            let mut left: Vec<&Row> = now.rows.iter().collect();
            let mut missing = Vec::new();
            for row in of(false) {
                match left.iter().position(|r| *r == row) {
                    Some(at) => drop(left.swap_remove(at)),
                    None => missing.push(row),
                }
            }
            let come = matched(&patterns, &left, then)
                .ok_or_else(|| format!("an updated row is not there, or not as assigned: {:?}", now.rows))?;
            change.gone.retain(|row| missing.contains(row));
            change.come.retain(|row| come.contains(row));
            change.without_effects(then, before, after);
        }
        Statement::Delete { which, .. } => {
            let meant: Option<Vec<bool>> = then.rows.iter().map(|r| is_meant(which, r, then)).collect();
            match meant {
                Some(meant) => {
                    let meant: Vec<&Row> =
                        then.rows.iter().zip(&meant).filter(|(_, m)| **m).map(|(r, _)| r).collect();
                    let there = meant.iter().filter(|r| !change.gone.contains(r)).count();
                    if there > 0 {
                        return Err(format!("a deleted row is there: {:?}", now.rows));
                    }
                    change.gone.retain(|row| !meant.contains(row));
                }
                None => {
                    let gone = change.gone.len().min(usize::try_from(affected).unwrap_or(0));
                    change.gone.drain(..gone);
                }
            }
            change.without_effects(then, before, after);
        }
        Statement::Reads | Statement::Other => {}
    }
    Ok(())
}

/// What a statement inside a transaction did, as its session shows it.
///
/// # Errors
/// What is not as it said.
pub(crate) fn in_session(text: &str, affected: u64, before: &View, after: &View) -> Result<bool, String> {
    let statement = Statement::read(text);
    judge(&statement, affected, before, after, false)
        .map(|()| statement != Statement::Other)
        .map_err(|what| format!("{text}: {what}"))
}
