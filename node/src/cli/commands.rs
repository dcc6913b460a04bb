//! `verify`, `export`, `import`, `backup`, `restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::access::Access;
use super::{Context_, json, print_json, print_out, print_to_reader};
use crate::admin::{ImportReport, PathRequest, VerifyReport, WrittenReport};
use crate::datadir::JOINING_KEY;
use crate::ops;
use crate::progress::Progress;
use crate::units::{counted, show_bytes};

/// `export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The CAR file to write; must not exist
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The CAR file to read
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The directory to write; must not exist. It holds the node's keys: keep it like a password
    directory: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The directory that `backup` wrote
    directory: PathBuf,
    /// Draw AUTO_INCREMENT values on behind those in the backup, instead of waiting for another member to deal new ones.
    /// Right when no other member holds anything that this node wrote since, or none can deal because all were restored
    #[arg(long)]
    keep_ids: bool,
}

/// The node resolves paths in its own working directory, so it is told absolute ones.
fn request(path: &Path) -> anyhow::Result<PathRequest> {
    let path = std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
    Ok(PathRequest { path: path.to_str().context("the path is not UTF-8")?.to_owned() })
}

/// What is found in the files of a node that does not open; `None` where that is nothing, or no node is there.
fn unopened(c: &Context_, progress: &mut Progress) -> Option<VerifyReport> {
    let unfinished = || c.dir.path(JOINING_KEY).exists() || !p2pdb_engine::realm::exists(c.dir.root());
    if !c.dir.is_initialised() && unfinished() {
        return None;
    }
    let _lock = c.dir.lock().or_else(|_| c.dir.lock_reading()).ok()?;
    let mut show = |step: &str, done, total| progress.show(step, done, total);
    let found = ops::verify_unopened(c.dir.root(), &mut show).ok().filter(|report| !report.clean);
    // What keeps the store from being opened may be in the files beside it.
    let is_bad = || ops::bad_files(&c.dir, &c.config).is_ok_and(|bad| !bad.is_empty());
    found.or_else(|| is_bad().then(VerifyReport::default))
}

/// What `verify` has found.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Found(String);

/// Nothing is known of the node's data: neither that it is sound nor that it is not.
#[derive(Debug, thiserror::Error)]
#[error("nothing was verified")]
pub(super) struct Unverified;

/// Has the node's store verified, by the node itself if it runs.
fn verified(c: &Context_, progress: &mut Progress) -> anyhow::Result<VerifyReport> {
    match Access::open_reading(&c.dir, &c.config) {
        Ok(Access::Running(client)) => {
            progress.waiting("the running node verifies itself", || client.post("verify", &()))
        }
        Ok(Access::Stopped(node)) => {
            ops::verify(&node.engine, &c.dir, &mut |step, done, total| progress.show(step, done, total))
        }
        // What is damaged may be what it takes to open it.
        Err(e) => unopened(c, progress).ok_or(e),
    }
}

pub(super) fn verify(c: &Context_, as_json: bool) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let mut report = verified(c, &mut progress)?;
    match ops::bad_files(&c.dir, &c.config) {
        Ok(bad) => report.findings.extend(bad),
        // What is known says enough.
        Err(_) if !report.findings.is_empty() => {}
        Err(e) => return Err(e),
    }
    report.warnings.extend(c.dir.lost());
    let damage = report.findings.len() as u64 + report.more;
    report.clean = damage == 0 && report.warnings.is_empty();
    progress.finish();
    let said = if as_json {
        json(&report)?
    } else {
        let warnings = report.warnings.iter().map(|w| format!("WARNING  {w}\n"));
        let sound = format!(
            "verified in {:.1} s: every hash, signature, verdict and row is as the log says\n",
            report.seconds
        );
        let findings = report.findings.iter().map(|f| format!("FOUND  {f}\n"));
        warnings.chain(findings).chain((damage == 0).then_some(sound)).collect()
    };
    print_to_reader(&said)?;
    if damage > 0 {
        let hint = "keep a copy of the data directory; then restore a backup, or join the realm anew from a healthy member";
        let findings = counted(damage, "finding");
        bail!(Found(format!("{findings}: this node's data is damaged\n  hint: {hint}")));
    }
    if !report.clean {
        let found =
            "what is here is sound, but commits that were acknowledged may be missing (see the warning)";
        bail!(Found(found.to_owned()));
    }
    Ok(())
}

pub(super) fn export(c: &Context_, args: &Export) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let report: WrittenReport = match Access::open_reading(&c.dir, &c.config)? {
        Access::Running(client) => client.post("export", &request(&args.file)?)?,
        Access::Stopped(node) => {
            ops::export(&node.engine, &args.file, &mut |s, done, total| progress.show(s, done, total))?
        }
    };
    progress.finish();
    if args.json {
        return print_json(&report);
    }
    let blocks = report.blocks.unwrap_or_default();
    print_out(&format!(
        "wrote {} ({}) to {}\n",
        counted(blocks, "block"),
        show_bytes(report.bytes),
        report.path
    ))
}

pub(super) fn import(c: &Context_, args: &Import) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let report: ImportReport = match Access::open(&c.dir, &c.config)? {
        Access::Running(client) => client.post("import", &request(&args.file)?)?,
        Access::Stopped(node) => {
            ops::import(&node.engine, &args.file, &mut |s, done, total| progress.show(s, done, total))?
        }
    };
    progress.finish();
    if args.json {
        print_json(&report)?;
    } else {
        print_out(&format!(
            "{}: {} new, {} held already, {} waiting for missing ones\n",
            counted(report.applied + report.known + report.waiting, "block"),
            report.applied,
            report.known,
            report.waiting
        ))?;
        for refused in report.refused.iter().take(20) {
            print_out(&format!("REFUSED  {refused}\n"))?;
        }
    }
    if !report.refused.is_empty() {
        let n = counted(report.refused.len() as u64, "block");
        bail!("{}: {n} refused, and every node refuses what is refused here", args.file.display());
    }
    Ok(())
}

pub(super) fn backup(c: &Context_, args: &Backup) -> anyhow::Result<()> {
    let report: WrittenReport = match Access::open_reading(&c.dir, &c.config)? {
        Access::Running(client) => {
            let request = request(&args.directory)?;
            Progress::new().waiting("the running node writes a backup", || client.post("backup", &request))?
        }
        Access::Stopped(node) => {
            let write = || ops::backup(&node.engine, &c.dir, &args.directory);
            Progress::new().waiting("writing a backup", write)?
        }
    };
    if args.json {
        return print_json(&report);
    }
    print_out(&format!(
        "wrote a backup ({}) to {}; it holds the node's keys, keep it like a password\n",
        show_bytes(report.bytes),
        report.path
    ))
}

pub(super) fn restore(c: &Context_, args: &Restore) -> anyhow::Result<()> {
    // Before the lock, which makes the directory.
    ops::check_backup(&args.directory)?;
    let _lock = c.dir.lock()?;
    let ids = if args.keep_ids { p2pdb_store::Ids::DrawOn } else { p2pdb_store::Ids::MayBeLost };
    ops::restore(&args.directory, &c.dir, ids)?;
    let ids = match args.keep_ids {
        true => "AUTO_INCREMENT goes on behind the values in the backup",
        false => {
            "AUTO_INCREMENT gives no values (error 1467) before another node that writes has dealt it new ones, which they do by themselves when they meet; if nobody has what this node wrote since the backup, CALL p2pdb.keep_ids()"
        }
    };
    let root = c.dir.root().display();
    print_out(&format!(
        "restored the node in {root}; it begins a new chain, so nothing that it wrote since the backup is lost when it meets a peer that has it; {ids}\n  next  p2pdb-node verify --data-dir {root}  (compares every row with the log; a restore looks at the log alone)\n        p2pdb-node run --data-dir {root}\n"
    ))
}
