//! Holds the house in order: who may use whom, what stands at the top level, that every room says what it is for,
//! and that the docs name only files that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom (DESIGN, "Rooms"). A crate may use fewer than it may.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("block", &["model"]),
    ("dag", &["model", "block"]),
    ("access", &["model", "block", "dag"]),
    ("merge", &["model"]),
    ("sql", &["model"]),
    ("mysql", &[]),
    ("store", &["model", "block", "merge"]),
    ("sync", &["model", "block", "dag"]),
    ("engine", &["model", "block", "dag", "access", "merge", "sql", "store", "sync"]),
    ("sim", &["model", "block", "dag", "access", "merge", "sql", "store", "sync", "engine"]),
    ("node", &["model", "block", "dag", "access", "merge", "sql", "mysql", "store", "sync", "engine"]),
    ("testnet", &["mysql", "node"]),
];

/// What only some rooms may know: (dependency, rooms).
const OWNED: &[(&str, &[&str])] = &[
    ("tokio", &["node", "testnet"]),
    ("libp2p", &["node"]),
    // `sim` only stands between SQLite and the file system.
    ("rusqlite", &["store", "sim"]),
    ("sqlparser", &["sql"]),
    ("axum", &["node"]),
    ("rand", &["node"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn room_dirs() -> BTreeMap<String, PathBuf> {
    let mut rooms: BTreeMap<_, _> =
        ["node", "testnet"].iter().map(|n| (n.to_string(), root().join(n))).collect();
    for entry in fs::read_dir(root().join("crates")).expect("crates/ is there") {
        let path = entry.expect("readable entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        rooms.insert(name, path);
    }
    rooms
}

/// The keys of `[dependencies]` (what the room is built from; dev-dependencies may reach further).
fn dependencies(dir: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(dir.join("Cargo.toml")).expect("a room has a Cargo.toml");
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
            if let Some(name) = section.strip_prefix("dependencies.") {
                found.insert(name.to_owned());
            }
        } else if section == "dependencies" && !line.starts_with('#') {
            let name: String =
                line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            if !name.is_empty() {
                found.insert(name);
            }
        }
    }
    found
}

fn files_below(dir: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable directory") {
        let path = entry.expect("readable entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                files_below(&path, extension, out);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
}

#[test]
fn every_crate_uses_only_whom_it_may_use() {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, dir) in room_dirs() {
        let Some(may) = table.get(room.as_str()) else {
            wrong.push(format!("{room} is not in the table of rooms"));
            continue;
        };
        for dependency in dependencies(&dir) {
            if let Some(used) = dependency.strip_prefix("p2pdb-")
                && !may.contains(&used)
            {
                wrong.push(format!("{room} may not use {used}"));
            }
            for (owned, rooms) in OWNED {
                if dependency == *owned && !rooms.contains(&room.as_str()) {
                    wrong.push(format!("{room} must not know {owned}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_level_is_what_it_should_be() {
    let expected: BTreeSet<_> =
        ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "crates", "docs", "node", "scripts", "testnet"]
            .into_iter()
            .map(str::to_owned)
            .collect();
    let found: BTreeSet<_> = fs::read_dir(root())
        .expect("the top level is readable")
        .map(|e| e.expect("readable entry").file_name().to_string_lossy().into_owned())
        .filter(|n| !n.starts_with('.') && n != "target")
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_source_file_opens_with_its_job() {
    let mut files = Vec::new();
    for dir in room_dirs().values() {
        files_below(dir, "rs", &mut files);
    }
    assert!(files.len() > 50, "only {} source files were found", files.len());
    let wrong: Vec<_> = files
        .iter()
        .filter(|f| {
            let text = fs::read_to_string(f).expect("readable source");
            !text.lines().find(|l| !l.starts_with("#!")).is_some_and(|l| l.starts_with("//!"))
        })
        .collect();
    assert!(wrong.is_empty(), "these files do not say what they are for: {wrong:#?}");
}

#[test]
fn docs_name_only_paths_that_exist() {
    let mut files = Vec::new();
    files_below(&root().join("docs"), "md", &mut files);
    files.push(root().join("README.md"));
    let mut dead = Vec::new();
    let mut checked = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("readable page");
        // `path/in/backticks` that begins with one of our top-level folders, and [links](to files).
        for word in text.split('`').skip(1).step_by(2) {
            let ours = ["crates/", "node/", "docs/", "scripts/", "testnet/"];
            let is_path = ours.iter().any(|p| word.starts_with(p))
                && word.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
            if is_path {
                checked += 1;
                if !root().join(word).exists() {
                    dead.push(format!("{}: {word}", file.display()));
                }
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            checked += 1;
            if !file.parent().expect("a page is in a folder").join(target).exists() {
                dead.push(format!("{}: ({link})", file.display()));
            }
        }
    }
    assert!(checked > 0, "no path was checked");
    assert!(dead.is_empty(), "dead paths:\n{}", dead.join("\n"));
}
