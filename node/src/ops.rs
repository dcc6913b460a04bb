//! What an operator can ask of an engine, whether the node serves it or a command has opened it by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use libp2p::Multiaddr;
use p2pdb_access::AccountView;
use p2pdb_engine::{ActsFor, Engine, Invitation};
use p2pdb_model::change::Role;
use p2pdb_model::ids::{PublicKey, unhex};
use p2pdb_model::{AccountId, NodeId, RealmId};
use p2pdb_sql::account::AccountName;

use crate::admin::{
    AccountReport, AccountRequest, BlockReport, DelegateRequest, ImportReport, InviteFor, InviteReport,
    InviteRequest, KeyRequest, MemberReport, TransactionReport, VerifyReport, WrittenReport,
};
use crate::clock::SystemClock;
use crate::config::{Config, TlsMode};
use crate::datadir::{DataDir, DataDirError, RESTORING};
use crate::door::{Logins, login_named};
use crate::explain::explain;
use crate::keystore::Keystore;
use crate::ticket::Ticket;

/// Told how far a long step has come: what, done, of how many (0: not known).
pub type OnProgress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Files of a backup beside the store. They are written from the last to the first: with the node's key a directory counts as a
/// node's, and as a whole backup.
const BACKUP_SECRETS: [&str; 7] = [
    "node.key",
    "accounts.json",
    crate::keystore::FILE,
    "logins.json",
    "client.cnf",
    "node.name",
    "admission.json",
];

/// The members.
pub fn members(engine: &Engine) -> Vec<MemberReport> {
    let own = engine.node();
    let report = |m: p2pdb_engine::MemberInfo| MemberReport {
        node: m.node.to_hex(),
        name: m.name,
        role: if m.removed { "none" } else { m.role.name() }.to_owned(),
        removed: m.removed,
        seq: m.seq,
        last_seen_ms: m.last_seen.map(|s| s.millis()),
        local: m.node == own,
    };
    engine.members().into_iter().map(report).collect()
}

/// The newest blocks, newest first.
///
/// # Errors
/// When the log cannot be read.
pub fn log(engine: &Engine, limit: usize) -> anyhow::Result<Vec<BlockReport>> {
    let report = |b: p2pdb_engine::LogEntry| BlockReport {
        cid: b.cid.to_string(),
        parents: b.parents.iter().map(ToString::to_string).collect(),
        author: b.author.to_hex(),
        author_name: b.author_name,
        seq: b.seq,
        time_ms: b.stamp.millis(),
        head: b.head,
        kept: b.kept,
        transactions: b
            .transactions
            .into_iter()
            .map(|t| TransactionReport { account: t.account.to_hex(), void: t.void, summary: t.summary })
            .collect(),
    };
    Ok(engine.log(limit)?.into_iter().map(report).collect())
}

/// Enrols a ticket and writes it down.
///
/// # Errors
/// When the role does not exist, or this node may not invite.
pub fn invite(
    engine: &Engine,
    dir: &DataDir,
    request: &InviteRequest,
    listening: &[Multiaddr],
) -> anyhow::Result<InviteReport> {
    let role = Role::from_name(&request.role).with_context(|| {
        format!("there is no role '{}'; roles are owner, writer, reader and relay", request.role)
    })?;
    if request.uses == 0 {
        bail!("a ticket that admits nobody is of no use: --uses must be at least 1");
    }
    let node = request.node.as_deref().map(|text| {
        let bytes = unhex(text.trim()).and_then(|b| b.try_into().ok());
        bytes.map(NodeId).filter(crate::net::can_be_held).with_context(|| {
            format!("--node: '{text}' is not a node's key: 64 hexadecimal digits, as `p2pdb-node join --show-key` prints them")
        })
    });
    let node = node.transpose()?;
    if node.is_some() && request.uses != 1 {
        bail!("a ticket for one node admits one: leave --uses away");
    }
    if let Some(m) = node.and_then(|node| engine.members().into_iter().find(|m| m.node == node)) {
        match m.removed {
            true => bail!(
                "--node: {} was removed from the realm, and its key does not come back\n  hint: let it join as a new node, in a new directory",
                m.name
            ),
            false => bail!("--node: this is {}, a member already", m.name),
        }
    }
    let (acts_for, accounts) = acts_for(engine, dir, request, role)?;
    let mut addresses = Vec::new();
    for text in &request.addresses {
        let address: Multiaddr = text
            .parse()
            .with_context(|| format!("'{text}' is not a peer address, such as /ip4/192.0.2.7/tcp/7306"))?;
        addresses.push(with_peer(address, &engine.node()));
    }
    if addresses.is_empty() {
        addresses.extend(listening.iter().map(|a| with_peer(a.clone(), &engine.node())));
    }
    let expires_ms = request.expires_s.map(|s| SystemClock.wall_ms().saturating_add(s.saturating_mul(1000)));
    let key = SigningKey::from_bytes(&rand::random());
    let public = PublicKey(key.verifying_key().to_bytes());
    engine.invite(Invitation { ticket: public, role, expires_ms, uses: request.uses, node, acts_for })?;
    let ticket = Ticket { realm: engine.realm(), role, key, addresses };
    Ok(InviteReport {
        ticket: ticket.encode(),
        role: role.name().to_owned(),
        expires_ms,
        uses: request.uses,
        node: node.map(|n| n.to_hex()),
        acts_for: accounts,
        addresses: ticket.addresses.iter().map(ToString::to_string).collect(),
    })
}

/// What an account is called where one logs in as it.
pub(crate) fn login_of(account: &AccountView) -> String {
    login_named(&format!("{}@{}", account.name, account.host))
}

/// For which accounts the bearer may write, and what they are called. Only an account's key can delegate.
fn acts_for(
    engine: &Engine,
    dir: &DataDir,
    request: &InviteRequest,
    role: Role,
) -> anyhow::Result<(ActsFor, Vec<String>)> {
    match &request.acts_for {
        _ if !role.writes() && request.acts_for.is_some() => {
            bail!("--as and --no-account are for owners and writers: a {} writes for nobody", role.name())
        }
        Some(InviteFor::Nobody) => Ok((ActsFor::Nobody, Vec::new())),
        Some(InviteFor::Account { user, password }) => {
            let account = account_of(engine, user)?;
            let name = login_of(&account);
            let Some(key) = Keystore::at(dir).open(&name, password)? else { bail!("{}", no_key(user)) };
            let key = SigningKey::from_bytes(&key);
            let public = PublicKey(key.verifying_key().to_bytes());
            if account.key != Some(public) && !account.further_keys.contains(&public) {
                bail!("the key of '{user}' in this node's keystore is the account's no more (DROP KEY)");
            }
            if role == Role::Owner && !account.owner {
                bail!(
                    "an owner's node needs an account with all privileges, which '{user}' has not; invite it as a writer"
                );
            }
            Ok((ActsFor::Account(account.id, Box::new(key)), vec![name]))
        }
        None if !role.writes() || engine.role() != Some(Role::Owner) => Ok((ActsFor::Held, Vec::new())),
        None => {
            let held = engine.held_accounts();
            // Without a word to the contrary it would be a writer that may write for nobody.
            if held.is_empty() {
                bail!(
                    "this node holds no account's key in clear, so a node that it invites as {} could write for nobody\n  hint: say for whom (--as ACCOUNT, whose key is in this node's keystore), or --no-account; or invite on the node that made the realm, or on another that has the key in its accounts.json; if that file was lost here, put it back from a backup. Readers and relays need no key",
                    role.name()
                );
            }
            let names = held.iter().map(login_of).collect();
            Ok((ActsFor::Held, names))
        }
    }
}

/// What to say where the keystore opens no key.
pub(crate) fn no_key(user: &str) -> String {
    format!(
        "there is no key of '{user}' in this node's keystore, or the password is another one\n  hint: it is on the node where the account was made; that of root is in accounts.json"
    )
}

/// The address with `/p2p/<id>` of this node behind it.
fn with_peer(address: Multiaddr, node: &NodeId) -> Multiaddr {
    match crate::net::peer_of(node) {
        Some(peer) => address.clone().with_p2p(peer).unwrap_or(address),
        None => address,
    }
}

/// Least digits of a key that name a member: fewer are a slip of the finger, and a removal is not taken back.
const KEY_DIGITS_MIN: usize = 8;

/// Removes another member, as [`find_member`] finds it.
///
/// # Errors
/// When it is this node, or the engine refuses.
pub fn remove_member(engine: &Engine, text: &str) -> anyhow::Result<()> {
    let found = find_member(engine, text)?;
    if found == engine.node() {
        bail!("this is the node itself; remove it from another owner's node");
    }
    Ok(engine.remove_member(found)?)
}

/// The member that a text names: its name, or the beginning of its key, at least [`KEY_DIGITS_MIN`] digits of it.
///
/// # Errors
/// When none or several fit.
pub fn find_member(engine: &Engine, text: &str) -> anyhow::Result<NodeId> {
    let members: Vec<_> = engine.members().into_iter().filter(|m| !m.removed).collect();
    let named: Vec<_> = members.iter().filter(|m| m.name == text).collect();
    let found = if named.is_empty() {
        if text.len() < KEY_DIGITS_MIN {
            bail!(
                "no member is called '{text}'; of a key write at least {KEY_DIGITS_MIN} digits; `p2pdb-node members` lists them"
            )
        }
        let text = text.to_ascii_lowercase();
        members.iter().filter(|m| m.node.to_hex().starts_with(&text)).collect()
    } else {
        named
    };
    match found.as_slice() {
        [one] => Ok(one.node),
        [] => {
            bail!("no member is called '{text}' or has a key that begins so; `p2pdb-node members` lists them")
        }
        _ => bail!("'{text}' fits {} members; write more of the key", found.len()),
    }
}

/// Recomputes every hash, signature and verdict, replays the log and compares.
///
/// # Errors
/// When the store cannot be read.
pub fn verify(engine: &Engine, dir: &DataDir, progress: OnProgress<'_>) -> anyhow::Result<VerifyReport> {
    let begun = Instant::now();
    let report = engine.verify(&mut |p| {
        progress(p.step, p.done, p.total);
        ControlFlow::Continue(())
    })?;
    let mut report = report_of(&report, begun, |finding| engine.with_names(&finding));
    // Who has shown its ticket to nobody yet is not known.
    let known = engine.members().iter().any(|m| m.node == engine.node());
    if !known && engine.status().blocks > 0 && dir.read_text(crate::node::TICKET_FILE)?.is_none() {
        report.clean = false;
        report.findings.push(format!(
            "{}: the log knows no node with this key, so it is not the one that this store was written with",
            dir.node_key_path().display()
        ));
    }
    Ok(report)
}

/// What is wrong with the files of a node, a line for each, but for what is in its store: what keeps the node from starting, and
/// what is damaged in the others that have a checksum.
///
/// # Errors
/// When this user may not look at one of them.
pub fn bad_files(dir: &DataDir, config: &Config) -> anyhow::Result<Vec<String>> {
    let mut bad = Vec::new();
    for (damage, what) in dir.unread_files() {
        bad.push(found(damage.into())? + what);
    }
    match (dir.is_initialised(), p2pdb_engine::realm::exists(dir.root())) {
        (true, true) => bad.extend(dir.read_node_key().err().map(|e| found(e.into())).transpose()?),
        (true, false) => {
            let file = p2pdb_engine::realm::file(dir.root());
            let how = if file.exists() { "is empty" } else { "is missing" };
            bad.push(format!("{} {how}", file.display()));
        }
        (false, _) => bad.push(format!("{} is missing", dir.node_key_path().display())),
    }
    // One whose checksum is wrong is among them already.
    let logins = Logins::load(dir).err().map(|e| found(e.into())).transpose()?;
    bad.extend(logins.filter(|e| !bad.contains(e)));
    bad.extend(crate::node::own_admin_token(dir).err().map(found).transpose()?);
    if config.mysql_tls != TlsMode::Off {
        bad.extend(crate::door::tls::there(dir).err().map(found).transpose()?);
    }
    Ok(bad.iter().map(|b| b.lines().next().unwrap_or_default().to_owned()).collect())
}

/// What is wrong with a file. That this user may not read it says nothing of what is in it.
fn found(e: anyhow::Error) -> anyhow::Result<String> {
    match e.downcast_ref() {
        Some(DataDirError::File { source, .. }) if source.kind() == ErrorKind::PermissionDenied => Err(e),
        _ => Ok(explain(&e)),
    }
}

/// Looks at the file and the log of a store that cannot be opened.
///
/// # Errors
/// When it cannot be looked at, for another reason than what is in it.
pub fn verify_unopened(directory: &Path, progress: OnProgress<'_>) -> anyhow::Result<VerifyReport> {
    let begun = Instant::now();
    let report = p2pdb_engine::verify_unopened(directory, &mut |p| {
        progress(p.step, p.done, p.total);
        ControlFlow::Continue(())
    });
    match report {
        Err(e) if e.is_damage() => Ok(VerifyReport {
            findings: vec![e.to_string()],
            seconds: begun.elapsed().as_secs_f64(),
            ..VerifyReport::default()
        }),
        report => Ok(report_of(&report?, begun, |finding| finding)),
    }
}

fn report_of(
    report: &p2pdb_engine::Report,
    begun: Instant,
    named: impl Fn(String) -> String,
) -> VerifyReport {
    VerifyReport {
        clean: report.is_clean(),
        findings: report.findings.iter().map(|f| named(f.to_string())).collect(),
        more: report.more,
        warnings: Vec::new(),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// Writes all blocks to a new CAR file.
///
/// # Errors
/// When there is such a file already, or it cannot be written; then nothing is left of it.
pub fn export(engine: &Engine, path: &Path, progress: OnProgress<'_>) -> anyhow::Result<WrittenReport> {
    let part = beside(path, ".part");
    if path.exists() {
        bail!("{} exists already; choose another name", path.display());
    }
    let write = || -> anyhow::Result<u64> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut out = BufWriter::new(file);
        let blocks = engine.export_car(&mut out, |done, total| progress("blocks", done, total))?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&part, path)?;
        Ok(blocks)
    };
    let mut write = write;
    let blocks = write().map_err(|e| {
        let _ = fs::remove_file(&part);
        e.context(format!("cannot write {}", path.display()))
    })?;
    Ok(WrittenReport {
        path: path.display().to_string(),
        bytes: fs::metadata(path)?.len(),
        blocks: Some(blocks),
    })
}

/// Takes in the blocks of a CAR file.
///
/// # Errors
/// When the file cannot be read or is damaged, or the store fails.
pub fn import(engine: &Engine, path: &Path, progress: OnProgress<'_>) -> anyhow::Result<ImportReport> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let arrived = engine
        .import_car(BufReader::new(file), |done| progress("blocks", done, 0))
        .with_context(|| format!("cannot import {}", path.display()))?;
    let refused = |(cid, why): &(Option<p2pdb_model::Cid>, String)| match cid {
        Some(cid) => format!("{cid}: {why}"),
        None => why.clone(),
    };
    Ok(ImportReport {
        applied: arrived.applied.len() as u64,
        known: arrived.known as u64,
        waiting: arrived.waiting as u64,
        refused: arrived.refused.iter().map(refused).collect(),
    })
}

/// Writes a backup: a new directory with a consistent copy of the store, and the node's keys and logins.
///
/// # Errors
/// When it exists already or cannot be written.
pub fn backup(engine: &Engine, dir: &DataDir, target: &Path) -> anyhow::Result<WrittenReport> {
    if target.exists() {
        bail!("{} exists already; choose a directory that does not", target.display());
    }
    let failed = || format!("cannot write the backup {}", target.display());
    fs::DirBuilder::new().mode(0o700).create(target).with_context(failed)?;
    let store = target.join(p2pdb_engine::realm::FILE);
    let written = engine.backup(&store).map_err(anyhow::Error::from).and_then(|()| {
        copy_secrets(dir, &DataDir::at(target))?;
        let above = std::path::absolute(target)?;
        // One that may not be read is somebody else's to look after.
        if let Some(parent) = above.parent().and_then(|parent| File::open(parent).ok()) {
            parent.sync_all()?;
        }
        Ok(fs::metadata(&store)?.len())
    });
    match written {
        Ok(bytes) => Ok(WrittenReport { path: target.display().to_string(), bytes, blocks: None }),
        Err(e) => {
            let _ = fs::remove_dir_all(target);
            Err(e.context(failed()))
        }
    }
}

fn copy_secrets(from: &DataDir, to: &DataDir) -> Result<(), DataDirError> {
    for name in BACKUP_SECRETS.into_iter().rev() {
        if let Some(text) = from.read_text(name)? {
            to.write_secret(name, text.as_bytes())?;
        }
    }
    Ok(())
}

/// Whether this directory is a backup; changes nothing.
///
/// # Errors
/// When it is none.
pub fn check_backup(backup: &Path) -> anyhow::Result<()> {
    if !backup.exists() {
        bail!("there is no {}\n  hint: name the directory that `p2pdb-node backup` wrote", backup.display());
    }
    if !backup.is_dir() {
        bail!("{} is not a backup, which is a directory", backup.display());
    }
    if !DataDir::at(backup).is_initialised() {
        bail!("{} is not a backup: it holds no node.key", backup.display());
    }
    // What a node wrote last is not in its file yet while it runs, or when it was killed.
    if let Some(wal) = p2pdb_store::unmoved(&p2pdb_engine::realm::file(backup)) {
        bail!(
            "{} is not a backup, but the directory of a node that runs or was killed: a part of it is in {}\n  hint: `p2pdb-node backup` writes a backup; a directory that was copied whole is simply run (--data-dir)",
            backup.display(),
            wal.display()
        );
    }
    Ok(())
}

/// Makes a data directory of a backup.
///
/// # Errors
/// When there is a node already, or the backup is none.
pub fn restore(backup: &Path, dir: &DataDir, ids: p2pdb_store::Ids) -> anyhow::Result<()> {
    check_backup(backup)?;
    let from = DataDir::at(backup);
    if dir.is_initialised() {
        bail!(DataDirError::Occupied(dir.root().to_owned()));
    }
    if let Some(damage) = from.damaged_files().into_iter().next() {
        bail!("cannot restore {}: {damage}", backup.display());
    }
    // Every node has it, and none starts without it.
    if from.read_text(crate::door::LOGINS_FILE)?.is_none() {
        bail!(
            "cannot restore {}: {} is missing, which every backup holds\n  hint: put it back from another copy of the backup",
            backup.display(),
            from.path(crate::door::LOGINS_FILE).display()
        );
    }
    if dir.path(RESTORING).exists() {
        // What an earlier one has left, which is in the backup again.
        p2pdb_store::remove_store(&p2pdb_engine::realm::file(dir.root()))?;
    } else if let Some(there) = p2pdb_engine::realm::part_of_store(dir.root()) {
        // Of a node whose key was lost, perhaps: nothing that a restore may remove.
        bail!(p2pdb_store::StoreError::Exists(there));
    }
    dir.begin_restoring()?;
    // Of a store that was here before: this one holds what the backup does.
    dir.forget_run();
    dir.remove(crate::hard_stop::LOST);
    // With the functions that indexes name.
    let store = p2pdb_engine::realm::options(dir.root());
    let node = p2pdb_model::ids::NodeId(from.read_node_key()?.verifying_key().to_bytes());
    let check = |db: &p2pdb_store::Connection| {
        let report = p2pdb_store::verify::verify_file(db, &mut |_| p2pdb_store::NEXT)?;
        if let Some(finding) = report.findings.first() {
            return Err(p2pdb_store::StoreError::Corrupt(finding.to_string()));
        }
        if !db.knows_node(&node)? {
            let why = format!(
                "its log knows nothing of the node whose key is in {}",
                from.node_key_path().display()
            );
            return Err(p2pdb_store::StoreError::Corrupt(why));
        }
        Ok(())
    };
    p2pdb_store::restore_checked(&p2pdb_engine::realm::file(backup), &store, ids, check)
        .with_context(|| format!("cannot restore {}", backup.display()))?;
    // Of an earlier one, of another backup perhaps.
    BACKUP_SECRETS.into_iter().for_each(|name| dir.remove(name));
    copy_secrets(&from, dir)?;
    dir.remove(RESTORING);
    Ok(())
}

/// An account, no role, by its name as commands take it, `name` or `name@host`.
pub(crate) fn account_of(engine: &Engine, user: &str) -> anyhow::Result<AccountView> {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
    let account = engine.account(name, host).filter(|a| !a.is_role);
    account.with_context(|| format!("there is no account '{user}' in the realm"))
}

/// What it takes to sign a delegation of an account.
///
/// # Errors
/// When there is no such account.
pub fn account(engine: &Engine, request: &AccountRequest) -> anyhow::Result<AccountReport> {
    let account = account_of(engine, &request.user)?;
    let keys = account.key.iter().chain(&account.further_keys);
    Ok(AccountReport {
        realm: engine.realm().to_string(),
        node: engine.node().to_hex(),
        account: account.id.to_hex(),
        keys: keys.map(PublicKey::to_did).collect(),
    })
}

/// Reads what [`AccountReport::realm`] says.
pub fn realm_from_text(text: &str) -> Option<RealmId> {
    text.parse().ok().map(RealmId)
}

/// Puts a delegation that was signed elsewhere into the log.
///
/// # Errors
/// When it is none, the signature is not by a key of the account, or this node may not write it.
pub fn delegate(engine: &Engine, request: &DelegateRequest) -> anyhow::Result<()> {
    let account = AccountId::from_hex(&request.account).context("the account's id is not hexadecimal")?;
    let to = NodeId::from_hex(&request.to).context("the node's key is not 64 hexadecimal digits")?;
    let signature = unhex(&request.signature).context("the signature is not hexadecimal")?;
    Ok(engine.delegate(account, to, request.until_ms, signature)?)
}

/// Keeps an account's key in the keystore; the password that locks it is its login's.
///
/// # Errors
/// When there is no such account, or the files cannot be written.
pub fn import_key(engine: &Engine, logins: &Logins, request: &KeyRequest) -> anyhow::Result<()> {
    let account = account_of(engine, &request.user)?;
    let key: Option<[u8; 32]> = unhex(&request.key).and_then(|k| k.try_into().ok());
    let key = key.context("the key is not 64 hexadecimal digits")?;
    let name = AccountName { user: account.name, host: account.host };
    p2pdb_engine::Logins::put(logins, &name, account.id, &request.password, &key).map_err(anyhow::Error::msg)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// How long ago a moment was, for tables.
pub fn ago(unix_ms: u64) -> String {
    if unix_ms == 0 {
        return "never".to_owned();
    }
    let now = SystemClock.wall_ms();
    if unix_ms > now {
        return "in the future".to_owned();
    }
    format!("{} ago", crate::units::show_duration(Duration::from_millis(now - unix_ms)))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_directory_has_the_nodes_key_when_all_else_of_a_backup_is_there() {
        let temp = tempfile::tempdir().expect("a directory");
        let [from, to] = ["from", "to"].map(|name| DataDir::at(temp.path().join(name)));
        for dir in [&from, &to] {
            fs::create_dir(dir.root()).expect("made");
        }
        from.write_node_key(&SigningKey::from_bytes(&[7; 32])).expect("written");
        from.write_secret("logins.json", b"{}").expect("written");
        // It cannot be read, so the copy breaks off there.
        fs::create_dir(from.path("accounts.json")).expect("made");
        copy_secrets(&from, &to).expect_err("it breaks off");
        assert!(to.path("logins.json").exists() && !to.is_initialised());
        fs::remove_dir(from.path("accounts.json")).expect("removed");
        copy_secrets(&from, &to).expect("copied");
        assert!(to.is_initialised());
    }

    #[test]
    fn what_this_user_may_not_read_is_no_damage() {
        let error = |kind: ErrorKind| DataDirError::File {
            verb: "read",
            path: "node.key".into(),
            source: io::Error::from(kind),
        };
        assert!(found(error(ErrorKind::PermissionDenied).into()).is_err());
        assert!(found(error(ErrorKind::InvalidData).into()).expect("damage").contains("node.key"));
    }
}
