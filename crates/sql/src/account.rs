//! What account statements say (MySQL 8.0 manual, section 15.7.1), in names: who and on what is looked up when they run.

use p2pdb_model::Privileges;
use p2pdb_model::ids::{NodeId, ObjectKind, PublicKey};

/// `'user'@'host'`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    /// User name.
    pub user: String,
    /// Host pattern.
    pub host: String,
}

impl AccountName {
    /// As some messages and CURRENT_ROLE() have it, in backticks.
    pub fn ticked(&self) -> String {
        format!("`{}`@`{}`", self.user, self.host)
    }

    /// This is what an account is called.
    pub fn is(&self, user: &str, host: &str) -> bool {
        self.user == user && self.host.eq_ignore_ascii_case(host)
    }
}

impl std::fmt::Display for AccountName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}'@'{}'", self.user, self.host)
    }
}

/// The name that means whoever owns the row at hand.
pub const ROW_OWNER: &str = "p2pdb_owner";

/// Whom a statement means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// CURRENT_USER, or nobody named.
    Current,
    /// By name.
    Named(AccountName),
}

/// How an account proves itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Identified {
    /// Not said.
    Not,
    /// By a password here; its key is made here.
    By {
        /// The password.
        password: String,
        /// REPLACE: the present one.
        replace: Option<String>,
    },
    /// `IDENTIFIED WITH p2pdb_key AS 'did:key:…'`, `ADD KEY 'did:key:…'`: by a key that lives elsewhere.
    Key(PublicKey),
}

impl std::fmt::Debug for Identified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Identified::Not => "Not",
            Identified::By { .. } => "By(hidden)",
            Identified::Key(_) => "Key",
        })
    }
}

/// Where privileges are granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// `*.*`.
    Realm,
    /// `db.*`.
    Database(String),
    /// `db.table`.
    Table(String, String),
    /// A procedure or function.
    Routine(ObjectKind, String, String),
}

/// Privileges as written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Asked {
    /// ALL \[PRIVILEGES\].
    pub all: bool,
    /// Without columns.
    pub whole: Privileges,
    /// With columns.
    pub columns: Vec<(Privileges, Vec<String>)>,
}

/// Which roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roles {
    /// DEFAULT.
    Default,
    /// NONE.
    None,
    /// ALL, except these.
    All(Vec<AccountName>),
    /// These.
    These(Vec<AccountName>),
}

/// A statement about accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStatement {
    /// CREATE USER.
    CreateUsers {
        /// IF NOT EXISTS.
        quiet: bool,
        /// Who, and how they prove themselves.
        users: Vec<(AccountName, Identified)>,
        /// DEFAULT ROLE.
        roles: Vec<AccountName>,
    },
    /// ALTER USER, SET PASSWORD.
    AlterUsers {
        /// IF EXISTS.
        quiet: bool,
        /// Who, and how they prove themselves from here on.
        users: Vec<(Who, Identified)>,
    },
    /// ALTER USER … WITHDRAW NODE: the node acts for the account no more.
    Withdraw {
        /// IF EXISTS.
        quiet: bool,
        /// Whose delegation.
        user: Who,
        /// The node, as `p2pdb.members` shows it.
        node: NodeId,
        /// KEEP THROUGH.
        keep: Option<String>,
    },
    /// ALTER USER … DROP KEY: the key is the account's no more, and what it alone has signed ends.
    DropKey {
        /// IF EXISTS.
        quiet: bool,
        /// Whose.
        user: Who,
        /// Which.
        key: PublicKey,
        /// KEEP THROUGH.
        keep: Option<String>,
    },
    /// CREATE ROLE.
    CreateRoles {
        /// IF NOT EXISTS.
        quiet: bool,
        /// Which.
        roles: Vec<AccountName>,
    },
    /// DROP USER, DROP ROLE.
    Drop {
        /// IF EXISTS.
        quiet: bool,
        /// DROP ROLE.
        roles: bool,
        /// Who.
        names: Vec<AccountName>,
        /// KEEP THROUGH.
        keep: Option<String>,
    },
    /// RENAME USER.
    Rename(Vec<(AccountName, AccountName)>),
    /// GRANT of privileges.
    Grant {
        /// What.
        what: Asked,
        /// On what.
        on: On,
        /// To whom.
        to: Vec<AccountName>,
        /// Not WITHOUT HISTORY: what was sealed before can be read, too.
        history: bool,
        /// UNTIL, in the session's time zone.
        until: Option<String>,
    },
    /// REVOKE of privileges.
    Revoke {
        /// IF EXISTS, IGNORE UNKNOWN USER.
        quiet: bool,
        /// What; `None`: everything everywhere (`ALL PRIVILEGES, GRANT OPTION`).
        what: Option<(Asked, On)>,
        /// From whom.
        from: Vec<AccountName>,
        /// KEEP THROUGH.
        keep: Option<String>,
    },
    /// GRANT of roles.
    GrantRoles {
        /// Which.
        roles: Vec<AccountName>,
        /// To whom.
        to: Vec<AccountName>,
        /// WITH ADMIN OPTION.
        admin: bool,
        /// UNTIL.
        until: Option<String>,
    },
    /// REVOKE of roles.
    RevokeRoles {
        /// IF EXISTS, IGNORE UNKNOWN USER.
        quiet: bool,
        /// Which.
        roles: Vec<AccountName>,
        /// From whom.
        from: Vec<AccountName>,
        /// KEEP THROUGH.
        keep: Option<String>,
    },
    /// SET DEFAULT ROLE.
    SetDefaultRoles {
        /// Which.
        roles: Roles,
        /// Whose.
        to: Vec<AccountName>,
    },
}

/// What one account or role has, for SHOW GRANTS and the privilege tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Granted {
    /// Whose.
    pub name: Option<AccountName>,
    /// It is a role.
    pub is_role: bool,
    /// By object.
    pub on: std::collections::BTreeMap<Option<p2pdb_model::ObjectId>, p2pdb_model::change::Rights>,
    /// That of it which has no end.
    pub for_good: std::collections::BTreeMap<Option<p2pdb_model::ObjectId>, p2pdb_model::change::Rights>,
    /// That of it which was granted WITHOUT HISTORY.
    pub from_now_on: std::collections::BTreeMap<Option<p2pdb_model::ObjectId>, p2pdb_model::change::Rights>,
    /// The rest, with its end, milliseconds since the Unix epoch, and whether with the history of sealed columns.
    pub until: Vec<(Option<p2pdb_model::ObjectId>, u64, bool, p2pdb_model::change::Rights)>,
    /// Its roles, and whether WITH ADMIN OPTION.
    pub roles: Vec<(AccountName, bool)>,
    /// When those of them end that are not for good, milliseconds since the Unix epoch.
    pub role_ends: Vec<(AccountName, u64)>,
    /// The roles that its sessions begin with.
    pub default_roles: Vec<AccountName>,
}

/// The client's host is one that the pattern means: `%`, a name, an address, `192.168.1.%`, `localhost` for loopback addresses.
pub fn host_matches(pattern: &str, host: &str) -> bool {
    let local = |h: &str| h == "localhost" || h == "::1" || h.starts_with("127.");
    if pattern.eq_ignore_ascii_case("localhost") {
        return local(host);
    }
    like(&pattern.to_lowercase().into_bytes(), &host.to_lowercase().into_bytes())
}

/// `%` and `_` as in LIKE. After a failure only the last `%` takes one byte more: earlier ones need not.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'_' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut back {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'%')
}

/// Of two patterns that match the more exact counts (MySQL 8.0 manual, section 8.2.6): one without wildcards, then the one
/// whose first wildcard comes later.
pub fn host_rank(pattern: &str) -> usize {
    pattern.find(['%', '_']).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_patterns_and_the_more_exact_counts() {
        for (pattern, host, matches) in [
            ("%", "10.0.0.1", true),
            ("localhost", "127.0.0.1", true),
            ("localhost", "10.0.0.1", false),
            ("10.0.%", "10.0.7.1", true),
            ("10.0.%", "10.1.7.1", false),
            ("10.0.0._", "10.0.0.7", true),
            ("Till.Example", "till.example", true),
            ("", "x", false),
        ] {
            assert_eq!(host_matches(pattern, host), matches, "{pattern} {host}");
        }
        assert!(host_rank("localhost") > host_rank("10.0.%"));
        assert!(host_rank("10.0.%") > host_rank("10.%"));
        assert!(host_rank("10.%") > host_rank("%"));
    }
}
