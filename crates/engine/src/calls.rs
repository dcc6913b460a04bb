//! What a session waits for besides the writer: locks by name (GET_LOCK), blocks (WAIT_FOR_EXECUTED_GTID_SET) and SLEEP.
//!
//! Locks are this node's alone: never in the log, unknown to other nodes, and gone with their session. A session may
//! take several, and each more than once. Who waits stands in the lock's queue, first come, first served, until it gets
//! the lock, its time is over ([`Calls::ring`]), or it is interrupted. Nobody holds a thread meanwhile.

use std::collections::{HashMap, VecDeque};

use p2pdb_model::{GtidSet, Value};
use p2pdb_sql::error::SqlError;
use parking_lot::Mutex;

use crate::engine::interrupted;
use crate::wait::{Giver, Taker, handoff};

/// Longest name of a lock, characters.
const NAME_CHARS_MAX: usize = 64;
/// Locks that all sessions together may hold.
const LOCKS_MAX: usize = 65_536;

/// What a call gives.
pub(crate) type Answer = Result<Value, SqlError>;

/// A lock that somebody holds.
struct Lock {
    owner: u64,
    times: u64,
    queue: VecDeque<u64>,
}

/// What a session waits for, unless its time is over before.
enum For {
    /// SLEEP: nothing but the time.
    Time,
    Lock(String),
    /// Blocks that are to be in the tables of this node.
    Gtids(GtidSet),
}

struct Waits {
    giver: Giver<Answer>,
    what: For,
    until_us: u64,
}

impl Waits {
    fn lock(&self) -> Option<&String> {
        match &self.what {
            For::Lock(name) => Some(name),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    locks: HashMap<String, Lock>,
    waits: HashMap<u64, Waits>,
}

/// Answers to give once the state is not locked any more.
type Answers = Vec<(Giver<Answer>, Answer)>;

/// See the module. Sessions go by their connection ids.
#[derive(Default)]
pub(crate) struct Calls {
    state: Mutex<State>,
}

/// A lock's name as it is compared.
pub(crate) fn lock_name(given: Option<String>) -> Result<String, SqlError> {
    let wrong =
        |name: &str| SqlError::new(3057, "42000", format!("Incorrect user-level lock name '{name}'."));
    let name = given.ok_or_else(|| wrong("NULL"))?;
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(wrong(&name));
    }
    Ok(name.to_lowercase())
}

fn give(answers: Answers) {
    for (giver, answer) in answers {
        giver.give(answer);
    }
}

impl Calls {
    /// GET_LOCK: 1 at once, or a wait until then.
    pub(crate) fn lock(
        &self,
        session: u64,
        name: String,
        now_us: u64,
        until_us: u64,
    ) -> Result<Result<Value, Taker<Answer>>, SqlError> {
        let mut s = self.state.lock();
        let Some(lock) = s.locks.get_mut(&name) else {
            if s.locks.len() >= LOCKS_MAX {
                let message = format!("Too many locks by name are held (at most {LOCKS_MAX})");
                return Err(SqlError::new(1105, "HY000", message));
            }
            s.locks.insert(name, Lock { owner: session, times: 1, queue: VecDeque::new() });
            return Ok(Ok(Value::Int(1)));
        };
        if lock.owner == session {
            lock.times += 1;
            return Ok(Ok(Value::Int(1)));
        }
        if until_us <= now_us {
            return Ok(Ok(Value::Int(0)));
        }
        let mut at = lock.owner;
        while let Some(next) = s.waits.get(&at).and_then(|w| s.locks.get(w.lock()?)) {
            at = next.owner;
            if at == session {
                return Err(SqlError::new(
                    3058,
                    "HY000",
                    "Deadlock found when trying to get user-level lock; try rolling back transaction/releasing \
                     locks and restarting lock acquisition.",
                ));
            }
        }
        if let Some(lock) = s.locks.get_mut(&name) {
            lock.queue.push_back(session);
        }
        let (giver, taker) = handoff();
        s.waits.insert(session, Waits { giver, what: For::Lock(name), until_us });
        Ok(Err(taker))
    }

    /// SLEEP.
    pub(crate) fn sleep(&self, session: u64, until_us: u64) -> Taker<Answer> {
        let (giver, taker) = handoff();
        self.state.lock().waits.insert(session, Waits { giver, what: For::Time, until_us });
        taker
    }

    /// WAIT_FOR_EXECUTED_GTID_SET.
    pub(crate) fn await_gtids(&self, session: u64, set: GtidSet, until_us: u64) -> Taker<Answer> {
        let (giver, taker) = handoff();
        self.state.lock().waits.insert(session, Waits { giver, what: For::Gtids(set), until_us });
        taker
    }

    /// Ends the waits for blocks that are there.
    pub(crate) fn executed(&self, gtids: impl FnOnce() -> GtidSet) {
        let mut s = self.state.lock();
        let waiting = |w: &Waits| matches!(w.what, For::Gtids(_));
        if !s.waits.values().any(waiting) {
            return;
        }
        let executed = gtids();
        let there = |w: &Waits| matches!(&w.what, For::Gtids(set) if set.is_subset(&executed));
        let sessions: Vec<u64> = s.waits.iter().filter(|(_, w)| there(w)).map(|(id, _)| *id).collect();
        let over: Vec<Waits> = sessions.into_iter().filter_map(|session| s.leave(session)).collect();
        drop(s);
        give(over.into_iter().map(|w| (w.giver, Ok(Value::Int(0)))).collect());
    }

    /// RELEASE_LOCK.
    pub(crate) fn unlock(&self, session: u64, name: &str) -> Value {
        let mut answers = Answers::new();
        let mut s = self.state.lock();
        let given = match s.locks.get_mut(name) {
            None => Value::Null,
            Some(lock) if lock.owner != session => Value::Int(0),
            Some(lock) => {
                lock.times -= 1;
                if lock.times == 0 {
                    s.pass_on(name, &mut answers);
                }
                Value::Int(1)
            }
        };
        drop(s);
        give(answers);
        given
    }

    /// RELEASE_ALL_LOCKS: how many they were, each as often as it was taken.
    pub(crate) fn unlock_all(&self, session: u64) -> u64 {
        let mut answers = Answers::new();
        let mut s = self.state.lock();
        let held: Vec<(String, u64)> = s
            .locks
            .iter()
            .filter(|(_, l)| l.owner == session)
            .map(|(name, l)| (name.clone(), l.times))
            .collect();
        for (name, _) in &held {
            s.pass_on(name, &mut answers);
        }
        drop(s);
        give(answers);
        held.iter().map(|(_, times)| times).sum()
    }

    /// Who has the lock.
    pub(crate) fn owner(&self, name: &str) -> Option<u64> {
        self.state.lock().locks.get(name).map(|l| l.owner)
    }

    /// The session goes: it waits no longer and has no locks.
    pub(crate) fn forget(&self, session: u64) {
        self.state.lock().leave(session);
        self.unlock_all(session);
    }

    /// KILL: a SLEEP gives 1, other waits fail.
    pub(crate) fn interrupt(&self, session: u64) {
        let left = self.state.lock().leave(session);
        if let Some(w) = left {
            w.giver.give(match w.what {
                For::Time => Ok(Value::Int(1)),
                For::Lock(_) | For::Gtids(_) => Err(interrupted()),
            });
        }
    }

    /// Ends the waits whose time is over; says when the next one's is.
    pub(crate) fn ring(&self, now_us: u64) -> Option<u64> {
        let mut s = self.state.lock();
        if s.waits.is_empty() {
            return None;
        }
        let due: Vec<u64> =
            s.waits.iter().filter(|(_, w)| w.until_us <= now_us).map(|(session, _)| *session).collect();
        let over: Vec<Waits> = due.into_iter().filter_map(|session| s.leave(session)).collect();
        let next = s.waits.values().map(|w| w.until_us).min();
        drop(s);
        let late = |w: &Waits| Value::Int(i64::from(matches!(w.what, For::Gtids(_))));
        give(over.into_iter().map(|w| (late(&w), w.giver)).map(|(v, giver)| (giver, Ok(v))).collect());
        next
    }
}

impl State {
    /// The session stops waiting.
    fn leave(&mut self, session: u64) -> Option<Waits> {
        let waits = self.waits.remove(&session)?;
        if let Some(lock) = waits.lock().and_then(|name| self.locks.get_mut(name)) {
            lock.queue.retain(|s| *s != session);
        }
        Some(waits)
    }

    /// The lock is free: the first who waits for it has it.
    fn pass_on(&mut self, name: &str, answers: &mut Answers) {
        let Some(lock) = self.locks.get_mut(name) else { return };
        let Some(next) = lock.queue.pop_front() else {
            self.locks.remove(name);
            return;
        };
        (lock.owner, lock.times) = (next, 1);
        if let Some(w) = self.waits.remove(&next) {
            answers.push((w.giver, Ok(Value::Int(1))));
        }
    }
}
