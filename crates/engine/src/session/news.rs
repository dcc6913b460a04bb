//! What a client hears of its transaction, if it has set `session_track_transaction_info` (MySQL 8.4 manual, section 7.1.18, "Server
//! Tracking of Client Session State"): what was done in it so far, and how another one would be begun like it.
//!
//! By it a proxy knows whether it may move a session to another server, and when. Nothing is decided by what stands here,
//! but for what SET TRANSACTION has set for one transaction ([`Once`]).

use std::fmt;

use p2pdb_model::Value;
use p2pdb_sql::plan::Touches;
use p2pdb_sql::session::{Isolation, SessionState};

/// News of the transaction; nothing where it is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionNews {
    /// Eight characters: `T` for BEGIN or `I` for autocommit = 0, `R` reads, `W` writes, `s` an unsafe statement, `S` a
    /// result was sent, `L` LOCK TABLES. Tables without transactions, the second and fourth, there are none.
    pub state: Option<String>,
    /// The statements that begin one like it; empty where plain defaults hold.
    pub characteristics: Option<String>,
}

/// What SET TRANSACTION, or BEGIN, has set for one transaction and those that are chained to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Once {
    pub(super) isolation: Option<Isolation>,
    pub(super) read_only: Option<bool>,
}

/// How a transaction was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begun {
    /// None is open that anybody hears of.
    #[default]
    Not,
    /// BEGIN.
    Said,
    /// autocommit = 0, and something was done.
    Implied,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    begun: Begun,
    touched: Touches,
    has_sent_rows: bool,
    snapshot: bool,
    is_locked: bool,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.begun {
            Begun::Not => '_',
            Begun::Said => 'T',
            Begun::Implied => 'I',
        };
        let letter = |is: bool, letter: char| if is { letter } else { '_' };
        let reads = letter(self.touched.reads || self.snapshot, 'R');
        let writes = letter(self.touched.writes, 'W');
        let is_unsafe = letter(self.touched.is_unsafe, 's');
        let rows = letter(self.has_sent_rows, 'S');
        let locked = letter(self.is_locked, 'L');
        write!(f, "{kind}_{reads}_{writes}{is_unsafe}{rows}{locked}")
    }
}

/// What the client wants to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Nothing,
    State,
    Characteristics,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct News {
    wanted: Wanted,
    now: State,
    /// What was said last; `None`: nothing yet.
    told: Option<State>,
    once: Once,
    /// The characteristics are to be told.
    is_other: bool,
}

impl News {
    /// Those of a session that begins.
    pub(super) fn new(state: &SessionState) -> Self {
        let mut news = News::default();
        if let Ok(Value::Text(wanted)) = state.system_variable("session_track_transaction_info", false) {
            news.listen(&wanted);
        }
        news
    }

    /// `session_track_transaction_info` is this now.
    pub(super) fn listen(&mut self, wanted: &str) {
        let before = self.wanted;
        self.wanted = match wanted {
            "STATE" => Wanted::State,
            "CHARACTERISTICS" => Wanted::Characteristics,
            _ => Wanted::Nothing,
        };
        if before == Wanted::Nothing {
            // What was done before is not known to who listens from now on.
            (self.now, self.told) = (State::default(), None);
        }
        self.is_other = self.wanted == Wanted::Characteristics;
    }

    /// What was not heard yet.
    pub(super) fn take(&mut self) -> TransactionNews {
        let is_other = std::mem::take(&mut self.is_other);
        if self.wanted == Wanted::Nothing {
            return TransactionNews::default();
        }
        let told = self.told.replace(self.now);
        TransactionNews {
            state: (told != Some(self.now)).then(|| self.now.to_string()),
            characteristics: (is_other && self.wanted == Wanted::Characteristics)
                .then(|| self.characteristics()),
        }
    }

    pub(super) fn once(&self) -> Once {
        self.once
    }

    /// Something is set for one transaction.
    pub(super) fn holds_once(&self) -> bool {
        self.once != Once::default()
    }

    /// What is given holds for one transaction.
    pub(super) fn set_once(&mut self, isolation: Option<Isolation>, read_only: Option<bool>) {
        let once = Once {
            isolation: isolation.or(self.once.isolation),
            read_only: read_only.or(self.once.read_only),
        };
        self.hold(once);
    }

    /// The session's defaults hold again.
    pub(super) fn forget_once(&mut self) {
        self.hold(Once::default());
    }

    pub(super) fn forget_isolation(&mut self) {
        self.hold(Once { isolation: None, ..self.once });
    }

    pub(super) fn forget_read_only(&mut self) {
        self.hold(Once { read_only: None, ..self.once });
    }

    fn hold(&mut self, once: Once) {
        self.is_other |= once != self.once;
        self.once = once;
    }

    /// BEGIN.
    pub(super) fn begin(&mut self, snapshot: bool) {
        self.now = State { begun: Begun::Said, snapshot, ..State::default() };
        self.is_other = true;
    }

    /// The transaction is over, if one was open.
    pub(super) fn end(&mut self) {
        self.is_other |= self.now.begun == Begun::Said;
        self.now = State { is_locked: self.now.is_locked, ..State::default() };
    }

    /// A statement has done this. One that is a transaction of its own, nobody hears of.
    pub(super) fn touch(&mut self, touched: Touches, autocommit: bool) {
        if self.now.begun == Begun::Not && !autocommit && (touched.reads || touched.writes) {
            self.now.begun = Begun::Implied;
        }
        if self.now.begun != Begun::Not {
            self.now.touched |= touched;
        }
    }

    /// A result was sent.
    pub(super) fn send_rows(&mut self) {
        self.now.has_sent_rows |= self.now.begun != Begun::Not;
    }

    /// LOCK TABLES and UNLOCK TABLES.
    pub(super) fn lock(&mut self, is_locked: bool) {
        self.now.is_locked = is_locked;
    }

    fn characteristics(&self) -> String {
        let Once { isolation, read_only } = self.once;
        let access = read_only.map(|only| if only { "READ ONLY" } else { "READ WRITE" });
        let level = |l: Isolation| format!("SET TRANSACTION ISOLATION LEVEL {};", l.name().replace('-', " "));
        let mut statements: Vec<String> = isolation.map(level).into_iter().collect();
        if self.now.begun == Begun::Said {
            let snapshot = self.now.snapshot.then_some("WITH CONSISTENT SNAPSHOT");
            let options: Vec<&str> = [snapshot, access].into_iter().flatten().collect();
            let blank = if options.is_empty() { "" } else { " " };
            statements.push(format!("START TRANSACTION{blank}{};", options.join(", ")));
        } else if let Some(access) = access {
            statements.push(format!("SET TRANSACTION {access};"));
        }
        statements.join(" ")
    }
}
