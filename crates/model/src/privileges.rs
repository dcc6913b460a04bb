//! Privileges by MySQL's names, as sets (MySQL manual, section 8.2.2).
//!
//! The number of a privilege is its bit in the log and stays. A privilege has the levels at which it can be granted; which
//! change of the log needs which privilege is decided in `crates/access`.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// Where a grant stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Level {
    /// `*.*`: the realm.
    Realm,
    /// `db.*`.
    Database,
    /// A table or view.
    Table,
    /// A stored procedure or function.
    Routine,
    /// A column.
    Column,
}

/// A set of privileges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Privileges(pub u64);

macro_rules! privileges {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal, $levels:expr;)+) => {
        impl Privileges {
            $($(#[$doc])* pub const $name: Privileges = Privileges(1 << $bit);)+

            /// Every one, with its name as SQL writes it and the levels at which it can be granted, in MySQL's order.
            pub const NAMED: &'static [(Privileges, &'static str, &'static [Level])] =
                &[$((Privileges::$name, $text, $levels)),+];
        }
    };
}

use Level::{Column, Database, Realm, Routine, Table};

privileges! {
    /// Read.
    SELECT = 0, "SELECT", &[Realm, Database, Table, Column];
    /// Add rows.
    INSERT = 1, "INSERT", &[Realm, Database, Table, Column];
    /// Change rows.
    UPDATE = 2, "UPDATE", &[Realm, Database, Table, Column];
    /// Take rows away.
    DELETE = 3, "DELETE", &[Realm, Database, Table];
    /// Create databases and tables.
    CREATE = 4, "CREATE", &[Realm, Database, Table];
    /// Drop databases, tables and views.
    DROP = 5, "DROP", &[Realm, Database, Table];
    /// FLUSH.
    RELOAD = 6, "RELOAD", &[Realm];
    /// Stop the server.
    SHUTDOWN = 7, "SHUTDOWN", &[Realm];
    /// See everybody's sessions.
    PROCESS = 8, "PROCESS", &[Realm];
    /// Read and write files of the server.
    FILE = 9, "FILE", &[Realm];
    /// Refer to a table from a foreign key.
    REFERENCES = 10, "REFERENCES", &[Realm, Database, Table, Column];
    /// Create and drop indexes.
    INDEX = 11, "INDEX", &[Realm, Database, Table];
    /// Alter tables.
    ALTER = 12, "ALTER", &[Realm, Database, Table];
    /// See all databases' names.
    SHOW_DATABASES = 13, "SHOW DATABASES", &[Realm];
    /// Settings of the server, others' sessions.
    SUPER = 14, "SUPER", &[Realm];
    /// CREATE TEMPORARY TABLE.
    CREATE_TEMPORARY_TABLES = 15, "CREATE TEMPORARY TABLES", &[Realm, Database];
    /// LOCK TABLES.
    LOCK_TABLES = 16, "LOCK TABLES", &[Realm, Database];
    /// Call procedures and functions.
    EXECUTE = 17, "EXECUTE", &[Realm, Database, Routine];
    /// Be a replica.
    REPLICATION_SLAVE = 18, "REPLICATION SLAVE", &[Realm];
    /// Ask about replicas.
    REPLICATION_CLIENT = 19, "REPLICATION CLIENT", &[Realm];
    /// Create views.
    CREATE_VIEW = 20, "CREATE VIEW", &[Realm, Database, Table];
    /// SHOW CREATE VIEW.
    SHOW_VIEW = 21, "SHOW VIEW", &[Realm, Database, Table];
    /// Create procedures and functions.
    CREATE_ROUTINE = 22, "CREATE ROUTINE", &[Realm, Database];
    /// Alter and drop procedures and functions.
    ALTER_ROUTINE = 23, "ALTER ROUTINE", &[Realm, Database, Routine];
    /// Create, alter, drop and rename accounts.
    CREATE_USER = 24, "CREATE USER", &[Realm];
    /// Events.
    EVENT = 25, "EVENT", &[Realm, Database];
    /// Create and drop triggers.
    TRIGGER = 26, "TRIGGER", &[Realm, Database, Table];
    /// Tablespaces.
    CREATE_TABLESPACE = 27, "CREATE TABLESPACE", &[Realm];
    /// Create roles.
    CREATE_ROLE = 28, "CREATE ROLE", &[Realm];
    /// Drop roles.
    DROP_ROLE = 29, "DROP ROLE", &[Realm];
    /// Give away what one has at this level and below.
    GRANT_OPTION = 30, "GRANT OPTION", &[Realm, Database, Table, Routine];
}

impl Privileges {
    /// None.
    pub const NONE: Privileges = Privileges(0);
    /// Every one, with GRANT OPTION.
    pub const EVERY: Privileges = Privileges((1 << 31) - 1);
    /// ALL PRIVILEGES on the realm: every one but GRANT OPTION.
    pub const ALL: Privileges = Privileges(Self::EVERY.0 & !Self::GRANT_OPTION.0);

    /// ALL PRIVILEGES at this level.
    pub fn all_at(level: Level) -> Privileges {
        Self::grantable_at(level) & Self::ALL
    }

    /// What can be granted at this level, GRANT OPTION included.
    pub fn grantable_at(level: Level) -> Privileges {
        let named = Self::NAMED.iter().filter(|(_, _, levels)| levels.contains(&level));
        named.fold(Self::NONE, |all, (p, _, _)| all | *p)
    }

    /// No privilege.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Has all of `other`.
    pub fn contains(self, other: Privileges) -> bool {
        self & other == other
    }

    /// Has any of `other`.
    pub fn intersects(self, other: Privileges) -> bool {
        !(self & other).is_empty()
    }

    /// One by one, in MySQL's order.
    pub fn iter(self) -> impl Iterator<Item = Privileges> {
        Self::NAMED.iter().map(|(p, _, _)| *p).filter(move |p| self.contains(*p))
    }

    /// The names, in MySQL's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().filter(move |(p, _, _)| self.contains(*p)).map(|(_, name, _)| *name)
    }

    /// The privilege of this name.
    pub fn from_name(name: &str) -> Option<Privileges> {
        Self::NAMED.iter().find(|(_, n, _)| n.eq_ignore_ascii_case(name)).map(|(p, _, _)| *p)
    }
}

impl BitOr for Privileges {
    type Output = Privileges;
    fn bitor(self, other: Privileges) -> Privileges {
        Privileges(self.0 | other.0)
    }
}

impl BitOrAssign for Privileges {
    fn bitor_assign(&mut self, other: Privileges) {
        self.0 |= other.0;
    }
}

impl BitAnd for Privileges {
    type Output = Privileges;
    fn bitand(self, other: Privileges) -> Privileges {
        Privileges(self.0 & other.0)
    }
}

impl Not for Privileges {
    type Output = Privileges;
    fn not(self) -> Privileges {
        Privileges(!self.0 & Self::EVERY.0)
    }
}

impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_privilege_has_a_bit_of_its_own_and_they_fill_the_set() {
        let all = Privileges::NAMED.iter().fold(0u64, |all, (p, name, _)| {
            assert_eq!(p.0.count_ones(), 1, "{name}");
            assert_eq!(all & p.0, 0, "{name}");
            assert_eq!(Privileges::from_name(&name.to_lowercase()), Some(*p));
            all | p.0
        });
        assert_eq!(Privileges(all), Privileges::EVERY);
    }

    #[test]
    fn columns_take_what_mysql_lets_them_take() {
        let at = |level| Privileges::all_at(level).to_string();
        assert_eq!(at(Level::Column), "SELECT, INSERT, UPDATE, REFERENCES");
        assert_eq!(at(Level::Routine), "EXECUTE, ALTER ROUTINE");
        assert!(Privileges::grantable_at(Level::Table).contains(Privileges::GRANT_OPTION));
        assert!(!Privileges::grantable_at(Level::Column).contains(Privileges::GRANT_OPTION));
    }
}
