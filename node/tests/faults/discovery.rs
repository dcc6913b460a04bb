//! Two nodes on one network that know no address of each other find each other by multicast DNS.
//!
//! The network is two network namespaces joined by a pair of virtual cards, made inside a namespace of the test's own.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::common::*;
use crate::namespace::{self, ok};

#[test]
fn nodes_that_know_no_address_find_each_other() {
    namespace::run(&["--mount", "--net"], "discovery::nodes_that_know_no_address_find_each_other", inside);
}

/// The program inside one of the two network namespaces.
fn at(namespace: &str, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]);
    let node = program();
    command.arg(node.get_program()).args(args).arg("--data-dir").arg(dir);
    for (name, _) in node.get_envs() {
        command.env_remove(name);
    }
    command
}

fn output(namespace: &str, dir: &Path, args: &[&str]) -> Output {
    at(namespace, dir, args).output().expect("the program starts")
}

/// A process that is ended when it is dropped.
struct Running(Child, std::path::PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.1.display(), std::fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

fn start(namespace: &str, dir: &Path, verb: &[&str]) -> Running {
    let quiet = [
        "--mysql-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--peer-listen",
        "/ip4/0.0.0.0/tcp/0",
        "--mdns",
        "true",
        "--node-name",
        namespace,
    ];
    let path = dir.with_extension("log");
    let log = std::fs::File::create(&path).expect("a log file");
    let mut command = at(namespace, dir, &[verb, &quiet[..]].concat());
    let errors = log.try_clone().expect("a log file");
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    Running(child.expect("the program starts"), path)
}

fn status(namespace: &str, dir: &Path) -> Option<serde_json::Value> {
    let output = output(namespace, dir, &["status", "--json"]);
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn inside() {
    // `ip netns` keeps its names below /run: ours, not the machine's.
    ok("mount -t tmpfs tmpfs /run");
    ok("ip netns add left");
    ok("ip netns add right");
    ok("ip link add v-left netns left type veth peer name v-right netns right");
    for (name, address) in [("left", "10.77.0.1/24"), ("right", "10.77.0.2/24")] {
        ok(&format!("ip -n {name} address add {address} dev v-{name}"));
        ok(&format!("ip -n {name} link set v-{name} up"));
        ok(&format!("ip -n {name} link set lo up"));
        ok(&format!("ip -n {name} route add 224.0.0.0/4 dev v-{name}"));
    }
    let temp = tempfile::tempdir().expect("a directory");
    let (left, right) = (temp.path().join("left"), temp.path().join("right"));
    let _a = start("left", &left, &["run"]);
    eventually("the first node is ready", || status("left", &left)?["ready"].as_bool()?.then_some(()));
    // The ticket leads nowhere: nobody is at this address.
    let invited = output("left", &left, &["invite", "--address", "/ip4/10.77.0.99/tcp/9", "--json"]);
    assert!(invited.status.success(), "{}", text(&invited.stderr));
    let invited: serde_json::Value = serde_json::from_slice(&invited.stdout).expect("JSON");
    let ticket = invited["ticket"].as_str().expect("a ticket");
    let _b = start("right", &right, &["join", ticket]);
    eventually("the second node has joined", || status("right", &right)?["ready"].as_bool()?.then_some(()));
    eventually("both hold the same", || {
        let (a, b) = (status("left", &left)?, status("right", &right)?);
        let met = a["peers"].as_array()?.len() == 1 && b["peers"].as_array()?.len() == 1;
        (met && a["fingerprint"] == b["fingerprint"] && a["frontier"] == b["frontier"]).then_some(())
    });
}
