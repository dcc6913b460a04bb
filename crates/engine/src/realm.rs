//! Beginnings: a realm of its own, an empty store that waits for a realm's genesis, and opening what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use p2pdb_access::{GenesisSpec, genesis_changes};
use p2pdb_block::{BodyBuilder, Draft, SigningKey, node_id, seal};
use p2pdb_model::change::{AccessChange, Role};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{Change, Cid, RULES, RealmId, Stamp};
use p2pdb_store::{self as store};

use crate::api::{Clock, EngineConfig, Entropy};
use crate::arrive::ApplyError;
use crate::engine::{Engine, Parts};
use crate::error::EngineError;
use crate::functions;
use crate::sealing::Committed;
use crate::writer::Writer;

/// The realm's file in a data directory.
pub const FILE: &str = "realm.db";
/// First account of a realm.
pub const ROOT: &str = "root";

/// What a new realm begins with.
pub struct NewRealm<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// The name of the node that begins it, for people.
    pub node_name: &'a str,
    /// The data directory; it exists.
    pub directory: &'a Path,
    /// The key of the node that begins it.
    pub node_key: &'a SigningKey,
    /// The key of its first account, `root`.
    pub account_key: &'a SigningKey,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// How the engine opens the store in a directory: with MySQL's functions and collations.
pub fn options(directory: &Path) -> store::Options {
    let mut options = store::Options::new(directory.join(FILE));
    options.functions = functions::all();
    options
}

/// True when there is a realm in this directory.
pub fn exists(directory: &Path) -> bool {
    options(directory).exists()
}

/// What is there of a store in this directory: its file, or the log of one whose file is gone.
pub fn part_of_store(directory: &Path) -> Option<PathBuf> {
    options(directory).found()
}

/// False only where nothing would be lost with the store in this directory: there is none, or it is readable and holds no block.
pub fn may_hold_blocks(directory: &Path) -> bool {
    let options = options(directory);
    // SQLite writes the beginning of the file before it writes to a log.
    if !options.exists() {
        return store::unmoved(&options.path).is_some();
    }
    match store::Writer::open(&options) {
        Err(store::StoreError::Missing(_) | store::StoreError::Empty(_)) => false,
        Err(_) => true,
        Ok(db) => !matches!(db.last_block(), Ok(store::BlockNo(0))),
    }
}

/// Begins a realm: its genesis block, and a store that holds it.
///
/// # Errors
/// When there is one already, or the directory cannot be written.
pub fn create_realm(new: NewRealm<'_>) -> Result<RealmId, EngineError> {
    let mut nonce = [0; 16];
    new.entropy.fill(&mut nonce);
    let node = node_id(new.node_key);
    let spec = GenesisSpec { name: new.name, nonce, user: ROOT, host: "%", node };
    let (account, changes) = genesis_changes(spec, new.account_key);
    let mut body = BodyBuilder::new();
    body.push(account, &[], changes)?;
    // The genesis change names the realm; the founder's own name comes with an admission, like everybody's.
    let founder = AccessChange::Admit {
        node,
        role: Role::Owner,
        ticket: None,
        ids: None,
        dealer_ids: None,
        name: new.node_name.to_owned(),
    };
    body.push(account, &[], vec![Change::Access(founder)])?;
    let stamp = Stamp::next(Stamp(0), new.clock.now_ms());
    let draft = Draft { rules: RULES, seq: 1, prev: None, parents: Vec::new(), stamp };
    let genesis = seal(draft, body.finish(), new.node_key, None)?;
    let realm = RealmId(genesis.cid());
    let db = store::Writer::create(&options(new.directory))?;
    let key = new.node_key.clone();
    let mut writer = Writer::load(db, realm, key, RULES, new.clock, new.entropy)?;
    writer.begin()?;
    let applied = writer.apply_block(&genesis).map_err(|e| match e {
        ApplyError::Fault(e) => e,
        ApplyError::Refused(why) => EngineError::State(format!("the genesis block is refused: {why}")),
    });
    applied.and_then(|()| writer.begin_chain(genesis.cid())).and_then(|()| {
        writer.db.put_meta(store::meta::REALM, &realm.0.to_bytes())?;
        writer.db.put_meta(store::meta::CLEAN, store::meta::SET)?;
        writer.commit()
    })?;
    Ok(realm)
}

/// Makes an empty store that waits for this realm's genesis block.
///
/// # Errors
/// When there is a store already, or the directory cannot be written.
pub fn create_joiner(directory: &Path, realm: RealmId) -> Result<(), EngineError> {
    let mut db = store::Writer::create(&options(directory))?;
    db.begin()?;
    db.put_meta(store::meta::REALM, &realm.0.to_bytes())?;
    db.put_meta(store::meta::CLEAN, store::meta::SET)?;
    db.commit()?;
    Ok(())
}

/// Writes down which chain this node extends; inside a transaction.
pub(crate) fn put_chain(db: &store::Writer, chain: Option<&Cid>) -> Result<(), EngineError> {
    match chain {
        Some(cid) => db.put_meta(store::meta::CHAIN, &cid.to_bytes())?,
        None => db.remove_meta(store::meta::CHAIN)?,
    }
    Ok(())
}

pub(crate) fn meta_cid(db: &store::Connection, name: &str) -> Result<Option<Cid>, EngineError> {
    match db.meta(name)? {
        None => Ok(None),
        Some(bytes) => Cid::try_from(bytes.as_slice())
            .map(Some)
            .map_err(|e| EngineError::State(format!("the store's note of its {name} is damaged: {e}"))),
    }
}

/// How this node came to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It was stopped properly, and nobody touched it since: nobody can know more of its chain than itself.
    Clean,
    /// It was killed, or its machine was.
    Hard,
    /// It was restored from a backup.
    Restored,
    /// The file is another one than that of the last stop: it was copied or moved, perhaps an older copy was put back.
    Moved,
}

/// Opens a store and reads its state.
pub(crate) fn load(
    options: &store::Options,
    opener: &functions::Opener,
    key: SigningKey,
    rules: u32,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<(Writer, Start), EngineError> {
    let mut db = store::Writer::open(options)?;
    db.check_rules()?;
    let realm = meta_cid(&db, store::meta::REALM)?
        .ok_or_else(|| EngineError::State("the store does not say which realm it holds".to_owned()))?;
    let restored = db.meta(store::meta::RESTORED)?;
    let draws_on = restored.as_deref() == Some(store::meta::RESTORED_WITH_IDS);
    let restored = restored.is_some();
    let start = match db.meta(store::meta::CLEAN)? {
        _ if restored => Start::Restored,
        None => Start::Hard,
        Some(place) if place == store::meta::SET || options.place().is_none_or(|p| p == place) => {
            Start::Clean
        }
        Some(_) => Start::Moved,
    };
    if options.reads_only {
        return Ok((Writer::load(db, RealmId(realm), key, rules, clock, entropy)?, start));
    }
    db.begin()?;
    db.remove_meta(store::meta::CLEAN)?;
    if restored {
        if !fault::on(Fault::RestoreContinues) {
            db.remove_meta(store::meta::CHAIN)?;
        }
        db.remove_meta(store::meta::RESTORED)?;
    }
    db.commit()?;
    let mut writer = Writer::load(db, RealmId(realm), key, rules, clock, entropy)?;
    let keyring = &writer.keyring;
    let _ = opener.set((keyring.clone(), Arc::new(Committed(keyring.clone()))));
    writer.looks_are_own()?;
    if restored && !draws_on {
        writer.db.begin()?;
        writer.lose_count()?;
        writer.db.commit()?;
    }
    let mut progress = |done| tracing::info!(blocks = done, "blocks under newer rules are taken in");
    writer.retake(&mut progress)?;
    Ok((writer, start))
}

impl Engine {
    /// Opens the store in a data directory.
    ///
    /// # Errors
    /// When there is none, it is in use, damaged, or of a newer format.
    pub fn open(config: EngineConfig) -> Result<Engine, EngineError> {
        Engine::open_with(config, false)
    }

    /// [`Engine::open`] where nothing can be written: it can be asked and not told, and its writer is not run.
    ///
    /// # Errors
    /// As there; also for a store that this version would have to change first.
    pub fn open_reading(config: EngineConfig) -> Result<Engine, EngineError> {
        Engine::open_with(config, true)
    }

    fn open_with(config: EngineConfig, reads_only: bool) -> Result<Engine, EngineError> {
        let mut options = options(&config.directory);
        options.reads_only = reads_only;
        options.disk = config.disk;
        let opener = functions::Opener::default();
        options.functions = functions::opening(&opener);
        let clock = config.clock.clone();
        let (writer, start) = load(
            &options,
            &opener,
            config.node_key.clone(),
            config.rules,
            config.clock.clone(),
            config.entropy.clone(),
        )?;
        let engine = Engine::from_parts(Parts {
            directory: config.directory,
            clock,
            entropy: config.entropy,
            account_keys: config.account_keys,
            writer,
            readers: options,
            idle_transaction_ms: config.idle_transaction_ms,
            lock_wait_ms: config.lock_wait_ms,
            variables: config.variables,
            start,
        });
        Ok(engine)
    }

    /// How this node came to its store: unless it was stopped properly, it should ask its peers for its own tips before it
    /// writes.
    pub fn start(&self) -> Start {
        self.inner.start
    }

    /// After [`Engine::stop`] and the writer's end: notes that nothing was lost.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn close(&self) -> Result<(), EngineError> {
        let mut writer = self.inner.writer.lock();
        writer.db.begin()?;
        let place = self.inner.place.clone();
        writer.db.put_meta(store::meta::CLEAN, place.as_deref().unwrap_or(store::meta::SET))?;
        writer.db.commit()?;
        Ok(())
    }
}

/// Where the store of a directory is.
pub fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}
