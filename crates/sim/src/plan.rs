//! Everything that will be done to a world, written down before it begins.
//!
//! A plan is made from a seed (`generate`), and the world that runs it draws its own dice (the network's, the disks')
//! from the same seed: so a plan decides everything. It is plain data: a failing one is made smaller by leaving
//! parts of it out, and is committed as a file.

use serde::{Deserialize, Serialize};

use crate::disk::DiskError;

/// A table as the workload made it; what later DDL does to it is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Columns of the primary key; `None` has no such key.
    pub key: Vec<String>,
    /// The key is AUTO_INCREMENT.
    pub generated: bool,
    /// Columns beside the key and `note`.
    pub columns: Vec<Column>,
    /// Sets and maps: in no key, and NULL at first.
    #[serde(default)]
    pub cells: Vec<Column>,
    /// UNIQUE keys, as columns.
    pub uniques: Vec<Vec<String>>,
    /// Foreign keys of one column.
    pub references: Vec<Reference>,
    /// A CHECK, as SQL over the columns.
    pub check: Option<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// NULL is allowed.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// INT.
    Int,
    /// VARCHAR, told apart by case.
    Binary,
    /// VARCHAR, not told apart by case.
    Caseless,
    /// JSON, a `[set]`.
    Set,
    /// JSON, a `[map]`.
    Map,
}

impl Kind {
    /// Its type in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Kind::Int => "INT",
            Kind::Binary => "VARCHAR(20) COLLATE utf8mb4_bin",
            Kind::Caseless => "VARCHAR(20) COLLATE utf8mb4_0900_ai_ci",
            Kind::Set => "JSON COMMENT '[set]'",
            Kind::Map => "JSON COMMENT '[map]'",
        }
    }
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The column here.
    pub column: String,
    /// The table there; its primary key is one column.
    pub table: String,
    /// Its key column.
    pub target: String,
    /// ON DELETE.
    pub on_delete: String,
    /// ON UPDATE.
    pub on_update: String,
}

/// Statements of one client that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Names it in the witness tables; 0 for one statement without a transaction.
    pub id: u64,
    /// In order.
    pub statements: Vec<String>,
    /// Ends with ROLLBACK.
    pub rollback: bool,
    /// As whom; root if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

impl Transaction {
    /// Statements that are each a transaction of its own, by root.
    pub fn lone(statements: Vec<String>) -> Transaction {
        Transaction { id: 0, statements, rollback: false, account: None }
    }
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A client gets something to do, behind what it has.
    Work {
        /// Where.
        node: usize,
        /// Which of its clients.
        client: usize,
        /// What.
        transaction: Transaction,
    },
    /// Nothing goes from one to the other any more.
    Cut {
        /// From.
        from: usize,
        /// To.
        to: usize,
    },
    /// It does again.
    Heal {
        /// From.
        from: usize,
        /// To.
        to: usize,
    },
    /// All links work again.
    HealAll,
    /// The process is killed; the machine goes on.
    Kill {
        /// Where.
        node: usize,
    },
    /// The power goes after so many operations of the disk.
    PowerCut {
        /// Where.
        node: usize,
        /// Writes and syncs until then; 0: at the next sync.
        operations: u64,
    },
    /// The node is stopped properly and is down.
    Stop {
        /// Where.
        node: usize,
    },
    /// It starts again, if it is down.
    Start {
        /// Where.
        node: usize,
    },
    /// A backup is made, in place of an older one.
    Backup {
        /// Where.
        node: usize,
    },
    /// The node is stopped, and its directory replaced by the backup, if there is one.
    Restore {
        /// Where.
        node: usize,
        /// As `p2pdb-node restore` does it; otherwise the files are copied back and nobody says so.
        properly: bool,
    },
    /// The clock jumps.
    Clock {
        /// Where.
        node: usize,
        /// Milliseconds.
        by_ms: i64,
    },
    /// The next operation of the disk that can fails so.
    Disk {
        /// Where.
        node: usize,
        /// How.
        error: DiskError,
    },
    /// Frames from and to this node take longer.
    Slow {
        /// Where.
        node: usize,
        /// Milliseconds more; 0 as before.
        by_ms: u64,
    },
    /// The node is possessed: it sends a block of its own with another clock under the old signature. Who gets it cuts it off.
    Forge {
        /// Who.
        node: usize,
        /// To whom.
        to: usize,
    },
    /// An owner removes the node: what it writes beyond what the owner has seen of it is void.
    Remove {
        /// Who goes.
        node: usize,
        /// Who says so.
        #[serde(default)]
        by: usize,
    },
    /// A node's delegation for an account is withdrawn.
    Withdraw {
        /// Who says so.
        by: usize,
        /// The account.
        account: String,
        /// The node that may not act for it any more.
        node: usize,
    },
    /// A key of an account is dropped.
    DropKey {
        /// Where.
        by: usize,
        /// By whom; none: root.
        #[serde(default)]
        acting: Option<String>,
        /// Whose.
        account: String,
        /// Which of those that it has there.
        nth: usize,
        /// KEEP THROUGH '': what it has signed never held.
        from_the_beginning: bool,
    },
    /// The founder switches the newer rules on.
    Rules,
    /// The node is stopped, and started again with a program that knows the newer rules.
    Upgrade {
        /// Where.
        node: usize,
    },
    /// Somebody reads, and the oracles look at it.
    Observe {
        /// Where.
        node: usize,
    },
}

impl Step {
    /// The nodes that it is about.
    pub fn nodes(&self) -> Vec<usize> {
        match self {
            Step::Cut { from, to } | Step::Heal { from, to } => vec![*from, *to],
            Step::Forge { node, to } => vec![*node, *to],
            Step::Remove { node, by } | Step::Withdraw { by, node, .. } => vec![*by, *node],
            Step::HealAll | Step::Rules => Vec::new(),
            Step::Work { node, .. }
            | Step::Kill { node }
            | Step::PowerCut { node, .. }
            | Step::Stop { node }
            | Step::Start { node }
            | Step::Backup { node }
            | Step::Restore { node, .. }
            | Step::Clock { node, .. }
            | Step::Disk { node, .. }
            | Step::Slow { node, .. }
            | Step::Upgrade { node }
            | Step::DropKey { by: node, .. }
            | Step::Observe { node } => vec![*node],
        }
    }
}

/// A step and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    /// Milliseconds since the world began.
    pub at_ms: u64,
    /// What.
    pub step: Step,
}

/// How the network is, when nobody cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Least and greatest time on the way, milliseconds.
    pub latency_ms: (u64, u64),
    /// Frames lost, of a hundred.
    pub loss_percent: u64,
    /// Frames that arrive twice, of a hundred.
    pub duplicate_percent: u64,
    /// Frames overtake each other.
    pub reorder: bool,
}

/// A node at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// When it comes for the first time, milliseconds; the first one is there from the beginning.
    pub joins_ms: u64,
    /// Its clock is wrong by so much, milliseconds.
    pub wrong_by_ms: i64,
    /// Its program does not know the newer rules.
    #[serde(default)]
    pub older: bool,
    /// It is an owner.
    #[serde(default)]
    pub owner: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed of everything that is not written here.
    pub seed: u64,
    /// The nodes, the founder first.
    pub nodes: Vec<Member>,
    /// Clients of each node.
    pub clients: usize,
    /// The network.
    pub network: Network,
    /// The tables at the beginning.
    pub tables: Vec<Table>,
    /// Statements that make procedures, functions and triggers; one that fails is left out.
    #[serde(default)]
    pub programs: Vec<String>,
    /// A trigger counts the transactions in row 3 of `tally`.
    #[serde(default)]
    pub counted: bool,
    /// Programs know the rules after those that the realm begins with, but for those of `older` nodes.
    #[serde(default)]
    pub newer: bool,
    /// There are accounts beside root, and grants (`generate_access`).
    #[serde(default)]
    pub accounts: bool,
    /// There is a sealed column (`generate_sealed`); there are accounts then.
    #[serde(default)]
    pub sealed: bool,
    /// What clients are told is held against what their sessions and nodes show (`said`).
    #[serde(default)]
    pub watched: bool,
    /// This node's owner has patched it: its sessions are asked for no permission (`generate_access`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<usize>,
    /// Statements that fill them; one that fails is left out.
    pub rows: Vec<String>,
    /// What happens, in order of time.
    pub steps: Vec<Timed>,
}

impl Plan {
    /// The statements that make the tables.
    pub fn schema(&self) -> Vec<String> {
        self.tables.iter().map(Table::create).collect()
    }

    /// Statements in all transactions.
    pub fn statements(&self) -> usize {
        let of = |t: &Timed| match &t.step {
            Step::Work { transaction, .. } => transaction.statements.len(),
            _ => 0,
        };
        self.steps.iter().map(of).sum()
    }
}

impl Table {
    /// CREATE TABLE.
    pub fn create(&self) -> String {
        let mut parts = Vec::new();
        for key in &self.key {
            let auto = if self.generated { " AUTO_INCREMENT" } else { "" };
            parts.push(match key.as_str() {
                "k" => "k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci NOT NULL".to_owned(),
                key => format!("{key} INT NOT NULL{auto}"),
            });
        }
        for c in &self.columns {
            let null = if c.nullable { "" } else { " NOT NULL DEFAULT 0" };
            parts.push(format!("{} {}{null}", c.name, c.kind.sql()));
        }
        parts.extend(self.cells.iter().map(|c| format!("{} {}", c.name, c.kind.sql())));
        parts.push("note VARCHAR(60)".to_owned());
        if !self.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", self.key.join(", ")));
        }
        for (i, unique) in self.uniques.iter().enumerate() {
            parts.push(format!("UNIQUE KEY u{i} ({})", unique.join(", ")));
        }
        parts.extend((0..self.references.len()).map(|i| self.foreign_key(i)));
        if let Some(check) = &self.check {
            parts.push(format!("CONSTRAINT {}_c CHECK ({check})", self.name));
        }
        format!("CREATE TABLE {} ({})", self.name, parts.join(", "))
    }

    /// A foreign key, as in CREATE TABLE.
    pub fn foreign_key(&self, i: usize) -> String {
        let (r, name) = (&self.references[i], &self.name);
        format!(
            "CONSTRAINT {name}_f{i} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            r.column, r.table, r.target, r.on_delete, r.on_update
        )
    }

    /// A column or key column of this name; what it holds.
    pub fn kind(&self, column: &str) -> Option<Kind> {
        if self.key.iter().any(|k| k == column) {
            return Some(if column == "k" { Kind::Caseless } else { Kind::Int });
        }
        self.columns.iter().find(|c| c.name == column).map(|c| c.kind)
    }
}
