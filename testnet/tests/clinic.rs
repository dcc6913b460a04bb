//! `docs/clinic.md` is true: its commands are run on a testnet one after the other, and print what stands there.
//!
//! Needs the `mariadb` client, bash, and the program p2pdb-node beside p2pdb-testnet, where `cargo test --workspace` puts it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for nodes to become equal.
const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: &str = include_str!("../../docs/clinic.md");

/// A command, and what it prints.
#[derive(Debug, Default)]
struct Step {
    command: String,
    prints: String,
}

/// The commands of the page's code blocks: what follows `$ `, with lines that begin with `> ` behind it.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step { command: command.to_owned(), prints: String::new() });
        } else if let (true, Some(last)) = (inside, steps.last_mut()) {
            match line.strip_prefix("> ") {
                Some(more) if last.prints.is_empty() => last.command += &format!("\n{more}"),
                _ => last.prints += &format!("{line}\n"),
            }
        }
    }
    steps
}

/// A directory with a testnet, which is ended with it.
struct Place {
    dir: tempfile::TempDir,
    prelude: String,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        let testnet = env!("CARGO_BIN_EXE_p2pdb-testnet");
        let node = Path::new(testnet).with_file_name("p2pdb-node");
        assert!(node.exists(), "there is no {}: cargo build -p p2pdb-node makes it", node.display());
        Place { dir, prelude: format!("testnet() {{ '{testnet}' \"$@\"; }}\n") }
    }

    /// What the command prints, without the statements that the client repeats before an error.
    fn run(&self, command: &str) -> String {
        let script = format!("exec 2>&1\n{}{command}", self.prelude);
        let output = Command::new("bash").arg("-c").arg(script).current_dir(self.dir.path()).output();
        let printed = String::from_utf8_lossy(&output.expect("bash runs").stdout).into_owned();
        let mut out = String::new();
        let mut repeated = false;
        for line in printed.lines() {
            if line == "--------------" {
                repeated = !repeated;
            } else if !repeated && !line.is_empty() {
                out += &format!("{line}\n");
            }
        }
        out
    }

    fn wait_equal(&self, nodes: &[usize]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows: Value = serde_json::from_str(&self.run("testnet status --json")).expect("JSON");
            let state = |n: &usize| {
                let s = &rows[n - 1]["status"];
                (s["frontier_digest"].clone(), s["fingerprint"].clone())
            };
            let states: Vec<_> = nodes.iter().map(state).collect();
            if states[0].0.is_string() && states.windows(2).all(|w| w[0] == w[1]) {
                return;
            }
            assert!(Instant::now() < deadline, "{nodes:?} do not become equal: {rows}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        println!("{}", self.run("testnet down"));
    }
}

#[test]
fn the_page_about_the_clinic_says_what_happens() {
    let steps = steps();
    assert!(steps.len() > 20, "{steps:#?}");
    let mut place = Place::new();
    let up = place.run("testnet up 3");
    assert!(up.contains("connect to node 3:"), "{up}");
    let mut together: &[usize] = &[1, 2, 3];
    for Step { command, prints } in steps {
        if command.contains("() {") {
            place.prelude += &format!("{command}\n");
            continue;
        }
        if command.starts_with("testnet partition") {
            place.wait_equal(together);
            together = &[2, 3];
        } else if command.starts_with("testnet heal") {
            together = &[1, 2, 3];
        }
        assert_eq!(place.run(&command), prints, "{command}");
        place.wait_equal(together);
    }
}
