//! What virtual tables and SHOW ask of the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_access::Verdict;
use p2pdb_dag::ChainFrontier;
use p2pdb_model::catalog::{Column, Table};
use p2pdb_model::change::RowChange;
use p2pdb_model::temporal::DateTime;
use p2pdb_model::{AccountId, Catalog, CellEdit, ObjectId, Privileges, SqlType, Stamp, Value};
use p2pdb_sql::account::{AccountName, Granted, ROW_OWNER};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Sealer};
use p2pdb_sql::plan::NoteLevel;
use p2pdb_sql::session::SessionState;
use p2pdb_sql::virtuals::{self, Process};
use p2pdb_store::{Conflict, Connection, Merger, NEXT, RowCell, STOP, Side, Version};

use crate::engine::Inner;
use crate::error::store_to_sql;
use crate::logged::{self, Ancestry};
use crate::sealing::Committed;
use crate::temporary::Temporary;
use crate::words;

/// Rows that a listing of conflicts, void transactions or versions gives at most; a warning says when there are more.
const LISTED_MAX: usize = 1_000_000;

/// The newest blocks that are listed.
const BLOCKS_LISTED_MAX: usize = 10_000;

/// See the module.
pub(crate) struct Environment<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) connection: &'a Connection,
    pub(crate) catalog: &'a Catalog,
    pub(crate) temporary: &'a Temporary,
    /// Who asks.
    pub(crate) account: AccountId,
    pub(crate) state: &'a SessionState,
}

/// The state of a key or delegation that has not ended.
const HOLDS: &str = "holds";

/// What stands for a sealed value before who may not read it.
const SEALED: &str = "(sealed)";

fn text(t: impl ToString) -> Value {
    Value::Text(t.to_string())
}

fn uint(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Milliseconds since the Unix epoch, as a TIMESTAMP of whole seconds.
fn when(ms: u64) -> Value {
    Value::Int(DateTime::from_unix_us(ms.saturating_mul(1_000) as i64).truncated(0).pack())
}

impl virtuals::Environment for Environment<'_> {
    fn processes(&self) -> Vec<Process> {
        let now_us = self.inner.clock.now_us();
        let process = |h: &Arc<crate::core::Handle>| {
            let (doing, database) = h.doing.lock().clone();
            Process {
                id: h.id,
                user: h.user.clone(),
                host: h.host.clone(),
                database,
                command: if doing.is_some() { "Query" } else { "Sleep" }.to_owned(),
                time_s: now_us.saturating_sub(h.since_us.load(Ordering::Relaxed)) / 1_000_000,
                state: if doing.is_some() { "executing" } else { "" }.to_owned(),
                info: doing.map(|t| if names_password(&t) { HIDDEN.to_owned() } else { t.to_string() }),
                attributes: h.attributes.clone(),
            }
        };
        let all = self.inner.holds(self.account, self.state, Privileges::PROCESS);
        let shown = |h: &&Arc<crate::core::Handle>| all || h.account == self.account;
        self.inner.handles().iter().filter(shown).map(process).collect()
    }

    fn status(&self, session: u64, global: bool) -> Vec<(String, String)> {
        let c = &self.inner.counters;
        let count = |name: &str, n: u64| (name.to_owned(), n.to_string());
        let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
        let published = self.inner.published.load();
        let handles = self.inner.handles();
        let running = handles.iter().filter(|h| h.doing.lock().0.is_some()).count();
        let mut all = vec![
            count("Threads_connected", handles.len() as u64),
            count("Threads_running", running as u64),
            count("Uptime", self.inner.clock.now_us().saturating_sub(self.inner.started_us) / 1_000_000),
            count("P2pdb_blocks", published.blocks),
            count("P2pdb_blocks_applied", load(&c.blocks_applied)),
            count("P2pdb_blocks_made", load(&c.blocks_made)),
            count("P2pdb_blocks_pending", published.pending),
            count("P2pdb_blocks_refused", load(&c.blocks_refused)),
            count("P2pdb_groups", load(&c.groups)),
            count("P2pdb_groups_failed", load(&c.groups_failed)),
            count("P2pdb_transactions", load(&c.transactions)),
        ];
        let tally = self.inner.tally((!global).then_some(session));
        all.extend(tally.named().into_iter().map(|(name, n)| (name, n.to_string())));
        if let Some(served) = self.inner.served.get() {
            all.extend(served(session, global).into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        all
    }

    fn accounts(&self) -> Vec<(String, String)> {
        self.inner.published.load().access.accounts().into_iter().map(|a| (a.name, a.host)).collect()
    }

    fn granted(&self) -> Vec<Granted> {
        let published = self.inner.published.load();
        let now = p2pdb_model::Stamp::from_millis(self.inner.clock.now_ms());
        granted(&published.access, now)
    }

    fn p2pdb(&self, table: &str) -> Result<Vec<Vec<Value>>, SqlError> {
        let rows = self.connection.one_state().and_then(|_held| match table {
            "conflicts" => self.conflicts(),
            "members" => Ok(self.members()),
            "frontier" => Ok(self.frontier()),
            "blocks" => self.blocks(),
            "forks" => self.forks(),
            "voided" => self.voided(),
            "tickets" => Ok(self.tickets()),
            "account_keys" => Ok(self.account_keys()),
            "delegations" => Ok(self.delegations()),
            _ => Ok(Vec::new()),
        });
        rows.map_err(|e| {
            tracing::error!(error = %e, "p2pdb.{table} cannot be read");
            store_to_sql(&e)
        })
    }

    fn history(&self, database: &str, table: &str, key: &[String]) -> Result<Vec<Vec<Value>>, SqlError> {
        let failed = |e: p2pdb_store::StoreError| {
            tracing::error!(error = %e, "the history of a row cannot be read");
            store_to_sql(&e)
        };
        let _held = self.connection.one_state().map_err(failed)?;
        let published = self.inner.published.load_full();
        let ancestry = Ancestry::new(published.dag(), self.connection);
        let ask = |a, b| ancestry.ask(a, b);
        let loaded = Merger::load(self.connection, &ask, crate::functions::meaning());
        let mut merger = loaded.map_err(failed)?;
        // Those that are gone first: what they hold is older.
        let mut tables = merger.dropped_named(&ask, database, table).map_err(failed)?;
        tables.extend(self.catalog.table(database, table).cloned());
        let (mut rows, mut wrong, mut known) = (Vec::new(), None, false);
        for t in &tables {
            match words::key(t, key) {
                Ok(key) => {
                    known = true;
                    self.versions(&mut merger, &ask, t, &key, &mut rows).map_err(failed)?;
                }
                Err(e) => wrong = wrong.or(Some(e)),
            }
        }
        match wrong {
            _ if tables.is_empty() => Err(SqlError::no_table(database, table)),
            Some(e) if !known => Err(e),
            _ => Ok(rows),
        }
    }

    fn table_size(&self, table: ObjectId) -> (u64, u64) {
        let Some(table) = self.catalog.table_by_id(table) else { return (0, 0) };
        let sql = format!("SELECT count(*) FROM {}", table.physical());
        let rows = self.connection.query_one(&sql, (), |r| r.int(0)).ok().flatten().unwrap_or(0) as u64;
        // An estimate, as in MySQL: 64 bytes a row, in pages of 16 KiB.
        (rows, (rows * 64).div_ceil(16_384).max(1) * 16_384)
    }

    fn auto_increment(&self, table: ObjectId) -> u64 {
        let Some(table) = self.catalog.table_by_id(table) else { return 1 };
        if let Some(next) = self.temporary.next_id(self.connection, table.id) {
            return next;
        }
        let own = self.inner.published.load().access.ids(self.inner.node).own;
        let share = own.and_then(|class| class.interval(logged::id_max(table)));
        let (low, high) = share.unwrap_or((0, u64::MAX));
        logged::greatest_id(self.connection, table, &logged::rows_of(table), low, high)
            .unwrap_or(low)
            .saturating_add(1)
    }
}

fn warn_of_more(what: &str) {
    let message = format!("{what} holds more than {LISTED_MAX} rows: the first ones are shown");
    execute::context::note(NoteLevel::Warning, 1105, message);
}

/// What is shown in place of a statement that may hold a password.
const HIDDEN: &str = "<a statement about accounts>";

fn names_password(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.contains("identified") || lower.contains("password")
}

/// What everybody was granted.
fn granted(access: &p2pdb_access::Access, now: p2pdb_model::Stamp) -> Vec<Granted> {
    let accounts = access.accounts();
    let names: HashMap<AccountId, AccountName> = accounts
        .iter()
        .map(|a| (a.id, AccountName { user: a.name.clone(), host: a.host.clone() }))
        .chain([(AccountId::ROW_OWNER, AccountName { user: ROW_OWNER.to_owned(), host: "%".to_owned() })])
        .collect();
    let of = |id: AccountId, is_role: bool| {
        let view = access.grants(id, now);
        let roles = view.roles.iter().filter_map(|r| Some((names.get(&r.role)?.clone(), r.admin)));
        let roles: Vec<(AccountName, bool)> = roles.collect();
        let ends = view.roles.iter().filter_map(|r| Some((names.get(&r.role)?.clone(), r.until_ms?)));
        let role_ends = ends.collect();
        let default_roles = match &view.default_roles {
            Some(ids) => ids.iter().filter_map(|id| names.get(id).cloned()).collect(),
            None => roles.iter().map(|(name, _)| name.clone()).collect(),
        };
        let name = names.get(&id).cloned();
        let (on, for_good, from_now_on) = (view.on, view.for_good, view.from_now_on);
        let until = view.until.into_iter().map(|e| (e.on, e.until_ms, e.history, e.rights)).collect();
        Granted { name, is_role, on, for_good, from_now_on, until, roles, role_ends, default_roles }
    };
    let everybody = accounts.iter().map(|a| of(a.id, a.is_role));
    let owner = of(AccountId::ROW_OWNER, true);
    everybody.chain((!owner.on.is_empty()).then_some(owner)).collect()
}

/// What a version does, and the values or edits that it gives to columns, as JSON.
fn version(table: &Table, ghost: Option<&Table>, v: &Version) -> (&'static str, Option<String>) {
    let column = |tag: p2pdb_model::ColumnTag| {
        table.column_by_tag(tag).or_else(|| ghost.and_then(|g| g.column_by_tag(tag)))
    };
    let cells = |of: Vec<serde_json::Value>| {
        let mut named = serde_json::Map::new();
        for (tag, value) in v.layout.columns().iter().zip(of) {
            let name = column(*tag).map_or_else(|| tag.to_string(), |c| c.name.clone());
            // Two columns may have had one name.
            let name = if named.contains_key(&name) { format!("{name}#{tag}") } else { name };
            named.insert(name, value);
        }
        Some(serde_json::Value::Object(named).to_string())
    };
    let shown = |values: &[Value]| {
        let columns = v.layout.columns().iter().map(|t| column(*t)).zip(&v.types);
        let one = |(value, (column, known)): (&Value, (Option<&Column>, &Option<SqlType>))| {
            if value.is_null() {
                return serde_json::Value::Null;
            }
            if column.is_some_and(Column::is_sealed) {
                return SEALED.into();
            }
            // In the type that its author knew.
            match known.as_ref().or_else(|| column.map(|c| &c.def.ty)) {
                Some(ty) if ty.holds(value) => words::whole(value, ty).into(),
                _ => words::plain(value).into(),
            }
        };
        values.iter().zip(columns).map(one).collect()
    };
    match &v.change {
        RowChange::Insert { values, .. } => ("insert", cells(shown(values))),
        RowChange::Update { values, .. } if values.is_empty() => ("reference", None),
        RowChange::Update { values, .. } => ("update", cells(shown(values))),
        RowChange::Edit { edits, .. } => ("edit", cells(edits.iter().map(edited).collect())),
        RowChange::Delete { .. } => ("delete", None),
    }
}

/// An edit as JSON: what is added, put in and taken out.
fn edited(edit: &CellEdit) -> serde_json::Value {
    match edit {
        CellEdit::Add(by) => serde_json::json!({ "add": words::plain(by) }),
        CellEdit::Set { added, removed } => serde_json::json!({ "put": added, "taken": removed }),
        CellEdit::Map { put, removed } => serde_json::json!({ "put": put, "taken": removed }),
    }
}

/// Where the names of tables and columns are that conflicts tell of.
struct Names<'a> {
    catalog: &'a Catalog,
    /// With tables whose CREATE is void.
    void: Option<&'a Catalog>,
    /// Tables that are gone, or have lost columns.
    gone: &'a HashMap<ObjectId, Arc<Table>>,
}

impl Names<'_> {
    fn all(&self, table: ObjectId) -> impl Iterator<Item = &Table> {
        let of = [Some(self.catalog), self.void].map(|c| c.and_then(|c| c.table_by_id(table)));
        of.into_iter().chain([self.gone.get(&table)]).flatten().map(|t| &**t)
    }

    fn table(&self, table: ObjectId) -> Option<&Table> {
        self.all(table).next()
    }

    fn column(&self, table: ObjectId, tag: p2pdb_model::ColumnTag) -> Option<&Column> {
        self.all(table).find_map(|t| t.column_by_tag(tag))
    }
}

impl Environment<'_> {
    fn conflicts(&self) -> p2pdb_store::Result<Vec<Vec<Value>>> {
        let published = self.inner.published.load_full();
        let ancestry = Ancestry::new(published.dag(), self.connection);
        let ask = |a, b| ancestry.ask(a, b);
        let mut merger = Merger::load(self.connection, &ask, crate::functions::meaning())?;
        let accounts = published.access.account_names();
        let void = merger.catalog_with_void(&ask)?;
        let gone = merger.ghosts(self.connection, &ask)?;
        let names = Names { catalog: self.catalog, void: void.as_deref(), gone: &gone };
        let mut rows = Vec::new();
        crate::functions::by_rules(|| {
            merger.conflicts(self.connection, &ask, None, &mut |c| {
                if rows.len() >= LISTED_MAX {
                    warn_of_more("p2pdb.conflicts");
                    return Ok(STOP);
                }
                rows.push(self.conflict(c, &accounts, &names));
                Ok(NEXT)
            })
        })?;
        Ok(rows)
    }

    /// A value as text; of a sealed column only for who reads it here.
    fn cell(&self, table: ObjectId, column: &Column, value: &Value) -> String {
        let Value::Blob(cell) = value else { return words::whole(value, &column.def.ty) };
        if !column.is_sealed() {
            return words::whole(value, &column.def.ty);
        }
        let now = Stamp::from_millis(self.inner.clock.now_ms());
        let access = &self.inner.published.load().access;
        let reads = access.is_reader(self.account, self.inner.node, table, column.tag, now);
        let keys = Committed(self.inner.keyring.clone());
        let opened = reads.then(|| keys.open(table, column.tag, cell)).flatten();
        opened.map_or_else(|| SEALED.to_owned(), |v| words::whole(&v, &column.def.ty))
    }

    fn conflict(&self, c: &Conflict, accounts: &HashMap<AccountId, String>, names: &Names<'_>) -> Vec<Value> {
        let table = names.table(c.table);
        let column = |tag| names.column(c.table, tag);
        let one = match c.columns.as_slice() {
            [tag] => column(*tag),
            _ => None,
        };
        let cell = |v: &Value, column: &Column| self.cell(c.table, column, v);
        let value = |v: &Value| match one {
            Some(column) => Value::Text(cell(v, column)),
            None => Value::Text(words::plain(v)),
        };
        let told = |v: &Value, s: &Side| match &s.ty {
            Some(ty) => Value::Text(words::whole(v, ty)),
            None => value(v),
        };
        let side = |s: Option<&Side>, whole: Option<String>| match s {
            None => {
                let whole = whole.map_or(Value::Null, Value::Text);
                [whole, Value::Null, Value::Null, Value::Null, Value::Null]
            }
            Some(s) => [
                whole.map_or_else(|| s.value.as_ref().map_or(Value::Null, |v| told(v, s)), Value::Text),
                text(s.author),
                accounts.get(&s.account).map_or_else(|| text(s.account), text),
                uint(s.stamp.0),
                text(s.block),
            ],
        };
        let whole = |cells: &Vec<RowCell>| {
            let named = |RowCell { tag, value: v, ty }: &RowCell| {
                let (name, shown) = match (column(*tag), ty) {
                    (Some(c), Some(ty)) => (c.name.clone(), words::whole(v, ty)),
                    (Some(c), None) => (c.name.clone(), cell(v, c)),
                    (None, _) => (tag.to_string(), words::plain(v)),
                };
                let shown = if v.is_null() { serde_json::Value::Null } else { shown.into() };
                (name, shown)
            };
            serde_json::Value::Object(cells.iter().map(named).collect()).to_string()
        };
        let names: Vec<&str> =
            c.columns.iter().filter_map(|tag| column(*tag).map(|c| c.name.as_str())).collect();
        let mut row = vec![
            table.map_or(Value::Null, |t| text(&t.database)),
            table.map_or(Value::Null, |t| text(&t.name)),
            text(words::row_key(table, &c.now.0)),
            if names.is_empty() { Value::Null } else { text(names.join(",")) },
            text(c.rule.name()),
        ];
        row.extend(side(c.winner.as_ref(), c.kept_row.as_ref().map(whole)));
        row.extend(side(c.loser.as_ref(), c.row.as_ref().map(whole)));
        row
    }

    fn versions(
        &self,
        merger: &mut Merger,
        ask: p2pdb_store::IsAncestor<'_>,
        table: &Table,
        key: &[Value],
        rows: &mut Vec<Vec<Value>>,
    ) -> p2pdb_store::Result<()> {
        let accounts = self.inner.published.load().access.account_names();
        // Versions may name columns that are gone.
        let ghost = merger.ghost(ask, table.id)?;
        for key in merger.identities(self.connection, ask, table.id, key)? {
            let shown = words::row_key(Some(table), &key.0);
            for v in merger.history(self.connection, ask, table.id, &key)? {
                if rows.len() >= LISTED_MAX {
                    warn_of_more("the history");
                    return Ok(());
                }
                let account = accounts.get(&v.by.account);
                let reason = u8::try_from(v.verdict.0).ok().and_then(Verdict::from_code);
                let (change, values) = version(table, ghost.as_deref(), &v);
                rows.push(vec![
                    uint(rows.len() as u64 + 1),
                    text(&shown),
                    text(change),
                    values.map_or(Value::Null, Value::Text),
                    text(v.by.author),
                    account.map_or_else(|| text(v.by.account), text),
                    uint(v.by.stamp.0),
                    uint(v.by.stamp.millis()),
                    text(v.by.block),
                    match v.verdict.is_accepted() {
                        true => text("accepted"),
                        false => reason.map_or_else(|| text("void"), text),
                    },
                ]);
            }
        }
        Ok(())
    }

    fn members(&self) -> Vec<Vec<Value>> {
        let access = self.inner.published.load().access.clone();
        let row = |m: &p2pdb_access::MemberView| {
            vec![
                text(m.node),
                text(&m.name),
                m.role.map_or(Value::Text("none".to_owned()), |r| text(r.name())),
                text(m.since.millis()),
                if m.role.is_none() { text("removed") } else { Value::Null },
                Value::Int(i64::from(m.node == self.inner.node)),
                Value::Int(i64::from(self.inner.is_connected(&m.node))),
            ]
        };
        access.members().iter().map(row).collect()
    }

    fn frontier(&self) -> Vec<Vec<Value>> {
        let published = self.inner.published.load();
        let frontier = published.frontier();
        let rows = |c: &ChainFrontier| {
            let (author, uuid) = (c.chain.author, c.chain.uuid());
            c.tips
                .iter()
                .map(move |t| vec![text(author), text(uuid), uint(t.seq), text(t.cid)])
                .collect::<Vec<_>>()
        };
        frontier.chains().iter().flat_map(rows).collect()
    }

    fn blocks(&self) -> p2pdb_store::Result<Vec<Vec<Value>>> {
        let mut rows = Vec::new();
        let published = self.inner.published.load();
        let last = self.connection.last_block()?.0;
        let from = p2pdb_store::BlockNo(last.saturating_sub(BLOCKS_LISTED_MAX as u64) + 1);
        let mut blocks = Vec::new();
        self.connection.scan_blocks(from, |b| {
            blocks.push((b.record, b.envelope.len()));
            Ok(if blocks.len() >= BLOCKS_LISTED_MAX { STOP } else { NEXT })
        })?;
        for (record, envelope_bytes) in blocks {
            let Some(block) = self.connection.block(record.no)? else { continue };
            let parents: Vec<String> = block.header().all_parents().map(ToString::to_string).collect();
            let transactions = self.connection.transactions_of(record.no)?;
            let mut void = 0;
            for tx in transactions.clone() {
                let verdict = self.connection.verdict(p2pdb_store::TxNo(tx))?;
                void += u64::from(verdict.is_some_and(|v| !v.is_accepted()));
            }
            let branch = published.dag().branch(p2pdb_dag::BranchNo(record.branch.0));
            rows.push(vec![
                text(record.cid),
                text(record.author),
                branch.map_or(Value::Null, |b| text(b.chain.uuid())),
                uint(record.seq),
                uint(record.stamp.0),
                text(parents.join(" ")),
                uint(transactions.end - transactions.start),
                uint(envelope_bytes as u64 + block.header().body_bytes()),
                if void == 0 { text("accepted") } else { text(format!("{void} void")) },
            ]);
        }
        Ok(rows)
    }

    /// Each fork: the two blocks of one number, the same on each node.
    fn forks(&self) -> p2pdb_store::Result<Vec<Vec<Value>>> {
        let mut rows = Vec::new();
        let published = self.inner.published.load();
        for branch in published.dag().branches() {
            let Some(from) = branch.fork else { continue };
            let seq = from.seq + 1;
            let at = |branch: p2pdb_dag::BranchNo| {
                let found = self.connection.block_at(p2pdb_store::BranchNo(branch.0), seq)?;
                Ok::<_, p2pdb_store::StoreError>(found.map_or(Value::Null, |(_, cid)| text(cid)))
            };
            let mut blocks = [at(from.branch)?, at(branch.no)?];
            blocks.sort();
            rows.push(
                [vec![text(branch.chain.author), text(branch.chain.uuid()), uint(seq)], blocks.to_vec()]
                    .concat(),
            );
        }
        Ok(rows)
    }

    fn voided(&self) -> p2pdb_store::Result<Vec<Vec<Value>>> {
        let mut found = Vec::new();
        self.connection.scan_void(p2pdb_store::TxNo(0), |no, verdict| {
            if found.len() >= LISTED_MAX {
                warn_of_more("p2pdb.voided");
                return Ok(STOP);
            }
            found.push((no, verdict));
            Ok(NEXT)
        })?;
        let accounts = self.inner.published.load().access.account_names();
        let mut rows = Vec::new();
        for (no, verdict) in found {
            let Some(tx) = self.connection.tx(no)? else { continue };
            let reason = u8::try_from(verdict.0).ok().and_then(Verdict::from_code);
            rows.push(vec![
                text(tx.cid),
                uint(u64::from(tx.position)),
                text(tx.author),
                accounts.get(&tx.account).map_or_else(|| text(tx.account), text),
                reason.map_or(Value::Null, text),
            ]);
        }
        Ok(rows)
    }

    fn tickets(&self) -> Vec<Vec<Value>> {
        let now_ms = self.inner.clock.now_ms();
        let mut tickets = self.inner.published.load().access.tickets();
        tickets.retain(|t| t.expires_ms.is_none_or(|ms| now_ms <= ms));
        let row = |t: &p2pdb_access::TicketView| {
            vec![
                text(t.key),
                text(t.role.name()),
                t.expires_ms.map_or(Value::Null, when),
                uint(u64::from(t.uses)),
                uint(u64::from(t.used)),
                t.node.map_or(Value::Null, text),
            ]
        };
        tickets.iter().map(row).collect()
    }
    fn account_keys(&self) -> Vec<Vec<Value>> {
        let access = self.inner.published.load().access.clone();
        let names = access.account_names();
        let row = |k: p2pdb_access::KeyView| {
            vec![
                names.get(&k.account).map_or_else(|| text(k.account), text),
                text(k.key.to_did()),
                when(k.since.millis()),
                text(if k.is_dropped { "dropped" } else { HOLDS }),
            ]
        };
        access.account_keys().into_iter().map(row).collect()
    }

    fn delegations(&self) -> Vec<Vec<Value>> {
        let access = self.inner.published.load().access.clone();
        let names = access.account_names();
        let row = |d: p2pdb_access::DelegationView| {
            vec![
                names.get(&d.account).map_or_else(|| text(d.account), text),
                d.node.map_or(Value::Null, text),
                d.ticket.map_or(Value::Null, text),
                text(d.key.to_did()),
                when(d.since.millis()),
                d.until_ms.map_or(Value::Null, when),
                d.ended.map_or_else(|| text(HOLDS), text),
            ]
        };
        let now = Stamp::from_millis(self.inner.clock.now_ms());
        access.delegations(now).into_iter().map(row).collect()
    }
}
