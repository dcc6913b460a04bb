//! A test that runs itself once more in Linux namespaces of its own (`unshare`, of util-linux): what it mounts and which
//! networks it makes is seen by nobody else, and is gone with it. That needs root, or user namespaces for everybody; where
//! neither is to be had the test fails and says so.

use std::process::Command;

use crate::common::text;

/// Set for the inner run.
const INSIDE: &str = "P2PDB_TEST_INSIDE_NAMESPACE";

/// Runs `inside` in new namespaces: `kinds` are options of `unshare`, `name` is the test's full name.
pub fn run(kinds: &[&str], name: &str, inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let root = text(&Command::new("id").arg("-u").output().expect("id runs").stdout).trim() == "0";
    let mut unshare = Command::new("unshare");
    unshare.args(kinds);
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    let this = std::env::current_exe().expect("this program");
    let output = unshare.arg("--").arg(this).args([name, "--exact", "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("unshare (of util-linux) starts");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "in namespaces of its own (needs root, or user namespaces for everybody):\n{out}\n{err}"
    );
}

/// Runs a command of the system that must succeed.
pub fn ok(command: &str) {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().expect("a program"));
    let output = program.args(words).output().unwrap_or_else(|e| panic!("{command}: {e}: run scripts/test"));
    assert!(output.status.success(), "{command} (needs root): {}", text(&output.stderr));
}
