//! The queue in front of the writer: who writes next, who waits, and for how long.
//!
//! A plain state machine under one lock. It decides; [`crate::Engine`] carries out. Rules: first come, first served;
//! neighbours that need no turn of their own share a group; a transaction that holds the writer (a *lease*) keeps
//! everything else waiting, therefore its idleness has a limit. See `docs/transactions.md`.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::job::{EndLease, Job};

/// Jobs that may wait; more are refused with 1040-like back-pressure by the caller.
pub(crate) const JOBS_MAX: usize = 65_536;

/// Names one turn of a transaction at the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseId(pub(crate) u64);

#[derive(Debug)]
struct Lease {
    id: LeaseId,
    /// When its session last used it, microseconds.
    used_us: u64,
    /// Its session runs a statement right now.
    busy: bool,
    end: Option<EndLease>,
}

/// What the writer should do.
pub(crate) enum Todo {
    /// Nothing until then (microseconds), or until somebody comes.
    Wait(Option<u64>),
    /// This job waited too long: answer 1205.
    TimedOut(Job),
    /// Begin a transaction for this job; the lease is in force.
    Grant(Job, LeaseId),
    /// Begin a group with this job.
    Group(Job),
    /// The holder said how it ends.
    End(EndLease),
    /// The holder was idle for too long.
    Expire,
    /// No more work: the engine stops.
    Stop,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    lease: Option<Lease>,
    leases: u64,
    stopping: bool,
    /// Somebody has to be woken earlier than the sleeper was told.
    nudged: bool,
}

impl State {
    fn push(&mut self, job: Job) -> Result<(), Job> {
        if self.stopping || self.jobs.len() >= JOBS_MAX {
            return Err(job);
        }
        self.jobs.push_back(job);
        Ok(())
    }
}

/// See the module.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    idle_us: u64,
}

impl Queue {
    pub(crate) fn new(idle_us: u64) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), idle_us }
    }

    /// Puts a job at the end; gives it back when the queue is full or the engine stops.
    pub(crate) fn push(&self, job: Job) -> Result<(), Job> {
        self.state.lock().push(job)?;
        self.wake.notify_one();
        Ok(())
    }

    /// Puts a job at the end, unless a transaction holds the writer or is to have it before; true when it is in.
    pub(crate) fn push_unless_held(&self, job: Job) -> Result<bool, Job> {
        let mut s = self.state.lock();
        let held = s.lease.as_ref().is_some_and(|l| l.end.is_none());
        if held || s.jobs.iter().any(Job::is_lease) {
            return Ok(false);
        }
        s.push(job)?;
        drop(s);
        self.wake.notify_one();
        Ok(true)
    }

    /// Somebody waits for the writer.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.state.lock().jobs.is_empty()
    }

    /// Takes out what this session waits with, if it does and nobody has begun with it.
    pub(crate) fn withdraw(&self, session: u64) -> Option<Job> {
        let mut s = self.state.lock();
        let i = s.jobs.iter().position(|j| j.is_of(session))?;
        s.jobs.remove(i)
    }

    /// What to do now.
    pub(crate) fn next(&self, now_us: u64) -> Todo {
        let mut s = self.state.lock();
        if let Some(i) = s.jobs.iter().position(|j| j.deadline_us() <= now_us)
            && let Some(job) = s.jobs.remove(i)
        {
            return Todo::TimedOut(job);
        }
        if let Some(lease) = &mut s.lease {
            if let Some(end) = lease.end.take() {
                s.lease = None;
                return Todo::End(end);
            }
            let idle_until = lease.used_us.saturating_add(self.idle_us);
            // Nobody waits: the holder may keep it.
            let busy = lease.busy;
            if !busy && idle_until <= now_us && !s.jobs.is_empty() {
                s.lease = None;
                return Todo::Expire;
            }
            let until = (!busy && !s.jobs.is_empty()).then_some(idle_until.max(now_us + 1));
            let first = s.jobs.iter().map(Job::deadline_us).min();
            return Todo::Wait(match (until, first) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            });
        }
        match s.jobs.pop_front() {
            Some(job) if job.is_lease() => {
                s.leases += 1;
                let id = LeaseId(s.leases);
                s.lease = Some(Lease { id, used_us: now_us, busy: false, end: None });
                Todo::Grant(job, id)
            }
            Some(job) => Todo::Group(job),
            None if s.stopping => Todo::Stop,
            None => Todo::Wait(None),
        }
    }

    /// The next job, if it may join the open group.
    pub(crate) fn next_of_group(&self, now_us: u64) -> Option<Job> {
        let mut s = self.state.lock();
        let front = s.jobs.front()?;
        if front.is_lease() || front.is_alone() || front.deadline_us() <= now_us {
            return None;
        }
        s.jobs.pop_front()
    }

    /// Blocks until there may be something to do; `until_us` is on the embedder's clock, `now_us` its reading.
    pub(crate) fn sleep(&self, now_us: u64, until_us: Option<u64>) {
        let mut s = self.state.lock();
        if std::mem::take(&mut s.nudged) {
            return;
        }
        let ready = |s: &State| match &s.lease {
            Some(l) => l.end.is_some(),
            None => !s.jobs.is_empty() || s.stopping,
        };
        if ready(&s) {
            return;
        }
        match until_us {
            None => self.wake.wait(&mut s),
            Some(t) => {
                let wait = std::time::Duration::from_micros(t.saturating_sub(now_us).max(1));
                self.wake.wait_for(&mut s, wait);
            }
        }
    }

    /// Ends the sleep, or the next one: there is an earlier time to wake at.
    pub(crate) fn nudge(&self) {
        self.state.lock().nudged = true;
        self.wake.notify_one();
    }

    /// The session is about to use its lease: true when it still holds it.
    pub(crate) fn use_lease(&self, id: LeaseId) -> bool {
        let mut s = self.state.lock();
        match &mut s.lease {
            Some(l) if l.id == id && l.end.is_none() => {
                l.busy = true;
                true
            }
            _ => false,
        }
    }

    /// The session's statement is done.
    pub(crate) fn unuse_lease(&self, id: LeaseId, now_us: u64) {
        let mut s = self.state.lock();
        if let Some(l) = &mut s.lease
            && l.id == id
        {
            l.busy = false;
            l.used_us = now_us;
        }
        drop(s);
        // Somebody may have begun to wait for its idleness meanwhile.
        self.wake.notify_one();
    }

    /// The holder ends its transaction; gives `end` back when it does not hold the writer any more.
    pub(crate) fn end_lease(&self, id: LeaseId, end: EndLease) -> Result<(), EndLease> {
        let mut s = self.state.lock();
        match &mut s.lease {
            Some(l) if l.id == id && l.end.is_none() => {
                l.busy = false;
                l.end = Some(end);
                drop(s);
                self.wake.notify_one();
                Ok(())
            }
            _ => Err(end),
        }
    }

    /// No new jobs; those that wait are still done.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.wake.notify_all();
    }
}
