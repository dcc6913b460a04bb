//! The other side of the admin interface: how a command talks to a running node on this machine.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{BEARER, ErrorReport, RunInfo};
use crate::datadir::DataDir;
use crate::node::{RUN_FILE, read_admin_token};
use crate::units::show_duration;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For what a node answers whatever else it does: [`AT_ONCE`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for `verify` and `backup` of a large store, and for a write that waits behind other writes.
const WORK_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// What waits for no write and takes no work that grows with the store.
const AT_ONCE: [&str; 6] = [STATUS, "members", "account", "partition", "heal", "clock"];
const STATUS: &str = "status";

type Answer = ureq::http::Response<ureq::Body>;

/// A running node.
#[derive(Clone, Debug)]
pub struct AdminClient {
    agent: ureq::Agent,
    base: String,
    token: String,
    /// What the node wrote about itself.
    pub run: RunInfo,
}

impl AdminClient {
    /// The node that runs in this directory.
    ///
    /// # Errors
    /// When none does, or it has no HTTP interface.
    pub fn of(dir: &DataDir) -> anyhow::Result<Self> {
        // One that was killed leaves the file until the next has opened the store.
        let held_by = dir.holder();
        let run: Option<RunInfo> = dir.read_json(RUN_FILE)?;
        let run = run.filter(|run| held_by.is_none_or(|pid| pid == run.pid)).with_context(|| {
            format!("no node runs in {} (or it has only just begun to start)", dir.root().display())
        })?;
        let http = run.http.clone().with_context(|| {
            format!("the node in {} runs without its HTTP interface (--http-listen off), which this command needs", dir.root().display())
        })?;
        let token = read_admin_token(dir)?.context("the data directory has no admin.token")?;
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self { agent: config.into(), base: format!("http://{http}"), token, run })
    }

    /// GET below `/admin`.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.read(self.asked(path, self.limit(path, false)?)?)
    }

    /// POST below `/admin`.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let limit = self.limit(path, true)?;
        let request = self.agent.post(format!("{}/admin/{path}", self.base));
        let request = request.config().timeout_global(Some(limit)).build();
        let answer = request.header("authorization", format!("{BEARER}{}", self.token)).send_json(body);
        self.read(self.answered(answer, limit)?)
    }

    /// How long to wait for the answer. What takes its time, or changes something, is asked only of a node that answers at all: one
    /// that was stopped would carry it out when it goes on, whatever was said meanwhile.
    fn limit(&self, path: &str, changes: bool) -> anyhow::Result<Duration> {
        let at_once = AT_ONCE.contains(&path);
        if changes || !at_once {
            self.asked(STATUS, ANSWER_TIMEOUT)?;
        }
        Ok(if at_once { ANSWER_TIMEOUT } else { WORK_TIMEOUT })
    }

    fn asked(&self, path: &str, limit: Duration) -> anyhow::Result<Answer> {
        let request = self.agent.get(format!("{}/admin/{path}", self.base));
        let request = request.config().timeout_global(Some(limit)).build();
        self.answered(request.header("authorization", format!("{BEARER}{}", self.token)).call(), limit)
    }

    fn answered(&self, answer: Result<Answer, ureq::Error>, limit: Duration) -> anyhow::Result<Answer> {
        match answer {
            Err(ureq::Error::Timeout(ureq::Timeout::Global)) => bail!(
                "the node at {} (pid {}) has not answered for {}\n  hint: somebody may have stopped the process (`kill -CONT {}` lets it go on), or the machine is overloaded",
                self.base,
                self.run.pid,
                show_duration(limit),
                self.run.pid
            ),
            answer => answer.with_context(|| format!("the node at {} does not answer", self.base)),
        }
    }

    fn read<T: DeserializeOwned>(&self, mut answer: Answer) -> anyhow::Result<T> {
        if answer.status().is_success() {
            return answer
                .body_mut()
                .read_json()
                .context("the node's answer cannot be read (another version?)");
        }
        let status = answer.status();
        match answer.body_mut().read_json::<ErrorReport>() {
            Ok(report) => bail!("{}", report.error),
            Err(_) => bail!("the node answers {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_killed_node_was_is_not_where_the_one_is_that_starts() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::at(temp.path());
        dir.write_secret("admin.token", b"a token").expect("written");
        let of = |pid: u32| {
            let run = RunInfo { pid, mysql: String::new(), http: Some("127.0.0.1:1".into()), boot: None };
            dir.write_json(RUN_FILE, &run).expect("written");
            AdminClient::of(&dir).map(|client| client.run.pid)
        };
        assert_eq!(of(7).expect("nobody says otherwise"), 7);
        let _lock = dir.lock().expect("nobody has it");
        assert!(of(7).expect_err("another's").to_string().contains("only just begun to start"));
        assert_eq!(of(std::process::id()).expect("its own"), std::process::id());
    }
}
