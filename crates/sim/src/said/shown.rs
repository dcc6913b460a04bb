//! What a node shows of its tables at one moment, and what their definitions say, read from SHOW CREATE TABLE.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Rows;

/// What a column's values are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    /// Text that is not told apart by case.
    Caseless,
    /// Dates and the like: as they are written.
    Plain,
    /// JSON and bytes: what is assigned is not compared.
    Opaque,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// Computed, or drawn: not what a statement says.
    pub made: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub columns: Vec<usize>,
    pub parent: String,
    pub target: Vec<String>,
}

pub type Row = Vec<Option<String>>;

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// PRIMARY KEY and UNIQUE keys; of one over expressions nothing is known.
    pub uniques: Vec<Option<Vec<usize>>>,
    pub references: Vec<Reference>,
}

impl Shown {
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == column)
    }

    /// Without its rows.
    fn definition(&self) -> Shown {
        let (columns, uniques, references) =
            (self.columns.clone(), self.uniques.clone(), self.references.clone());
        Shown { columns, rows: Vec::new(), uniques, references }
    }

    fn of(create: &str, rows: Vec<Row>) -> Shown {
        let mut shown = Shown { rows, ..Shown::default() };
        let lines = || create.lines().map(|l| l.trim().trim_end_matches(','));
        for line in lines().filter(|l| l.starts_with('`')) {
            let Some((name, rest)) = line[1..].split_once('`') else { continue };
            let ty = rest.trim_start();
            let is = |names: &[&str]| names.iter().any(|n| ty.starts_with(n));
            let kind = match () {
                () if is(&["int", "bigint", "smallint", "tinyint", "mediumint", "decimal", "double"]) => {
                    Kind::Number
                }
                () if is(&["varchar", "char", "text"]) && ty.contains("utf8mb4_bin") => Kind::Text,
                () if is(&["varchar", "char", "text"]) => Kind::Caseless,
                () if is(&["date", "time", "year"]) => Kind::Plain,
                () => Kind::Opaque,
            };
            let made = ty.contains("GENERATED ALWAYS") || ty.contains("AUTO_INCREMENT");
            shown.columns.push(Column { name: name.to_owned(), kind, made });
        }
        for line in lines() {
            let places = |list: &str| -> Option<Vec<usize>> {
                names(list).iter().map(|n| shown.place(n)).collect::<Option<Vec<_>>>()
            };
            if let Some((_, rest)) = line.split_once("FOREIGN KEY (") {
                let Some((own, rest)) = rest.split_once(") REFERENCES `") else { continue };
                let Some((parent, rest)) = rest.split_once("` (") else { continue };
                let Some((target, _)) = rest.split_once(')') else { continue };
                let Some(columns) = places(own) else { continue };
                let (parent, target) = (parent.to_owned(), names(target));
                shown.references.push(Reference { columns, parent, target });
            } else if line.starts_with("PRIMARY KEY") || line.starts_with("UNIQUE KEY") {
                let list = line.split_once(" (").map_or("", |(_, rest)| rest.trim_end_matches(')'));
                shown.uniques.push(if list.contains('(') { None } else { places(list) });
            }
        }
        shown
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|n| n.trim().trim_matches('`').to_owned()).collect()
}

/// All tables of a node, or of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub tables: BTreeMap<String, Shown>,
    /// Rows of each table that are in `p2pdb.conflicts`.
    pub waiting: BTreeMap<String, usize>,
}

impl View {
    /// Takes it; `None`: something cannot be read.
    pub fn take(mut ask: impl FnMut(&str) -> Option<Rows>) -> Option<View> {
        let mut view = View::default();
        let first = |row: &Row| row.first().cloned().flatten();
        for name in ask("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")?.iter().filter_map(first) {
            // Those of the clients themselves are judged by other oracles.
            if ["w_a", "w_b"].contains(&name.as_str()) {
                continue;
            }
            let create = ask(&format!("SHOW CREATE TABLE `{name}`"))?;
            let create = create.first()?.get(1).cloned().flatten()?;
            let rows = ask(&format!("SELECT * FROM `{name}`"))?;
            view.tables.insert(name, Shown::of(&create, rows));
        }
        let conflicts = ask("SELECT DISTINCT `table`, row_key FROM p2pdb.conflicts")?;
        for table in conflicts.iter().filter_map(first) {
            *view.waiting.entry(table).or_default() += 1;
        }
        Some(view)
    }

    /// The same tables as they are now: nobody has changed the schema since.
    pub fn again(&self, mut ask: impl FnMut(&str) -> Option<Rows>) -> Option<View> {
        let mut view = View::default();
        for (name, shown) in &self.tables {
            let rows = ask(&format!("SELECT * FROM `{name}`"))?;
            view.tables.insert(name.clone(), Shown { rows, ..shown.definition() });
        }
        Some(view)
    }

    /// Values of these columns that a table has.
    pub fn values(&self, table: &str, columns: &[String]) -> BTreeSet<Vec<String>> {
        let Some(shown) = self.tables.get(table) else { return BTreeSet::new() };
        let places: Option<Vec<usize>> = columns.iter().map(|c| shown.place(c)).collect();
        let Some(places) = places else { return BTreeSet::new() };
        let one = |row: &Row| places.iter().map(|p| row[*p].as_deref().map(str::to_lowercase)).collect();
        shown.rows.iter().filter_map(one).collect()
    }
}

/// A set of GTIDs, as `@@gtid_executed` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gtids(BTreeMap<String, BTreeSet<(u64, u64)>>);

impl Gtids {
    pub fn read(text: &str) -> Gtids {
        let mut all = Gtids::default();
        for one in text.split(',') {
            let mut parts = one.trim().split(':');
            let Some(of) = parts.next().filter(|of| !of.is_empty()) else { continue };
            let interval = |text: &str| {
                let (a, b) = text.split_once('-').unwrap_or((text, text));
                Some((a.parse().ok()?, b.parse().ok()?))
            };
            all.0.entry(of.to_owned()).or_default().extend(parts.filter_map(interval));
        }
        all
    }

    /// This is the other and one more: that one.
    pub fn is_one_more(&self, before: &Gtids, gtid: &str) -> bool {
        self.holds(gtid) && !before.holds(gtid) && self.count() == before.count() + 1
    }

    pub fn holds(&self, gtid: &str) -> bool {
        let Some((of, n)) = gtid.split_once(':') else { return false };
        let Ok(n) = n.parse::<u64>() else { return false };
        self.0.get(of).is_some_and(|all| all.iter().any(|(a, b)| (*a..=*b).contains(&n)))
    }

    fn count(&self) -> u64 {
        self.0.values().flatten().map(|(a, b)| b - a + 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_from_its_text() {
        let create = "CREATE TABLE `t1` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `c0` varchar(20) COLLATE utf8mb4_bin DEFAULT NULL,\n  \
            `r0` int DEFAULT NULL,\n  `g` int GENERATED ALWAYS AS ((`r0` + 1)) STORED,\n  PRIMARY KEY (`id`),\n  \
            UNIQUE KEY `u0` (`c0`,`r0`),\n  UNIQUE KEY `u1` ((lower(`c0`))),\n  CONSTRAINT `f` FOREIGN KEY (`r0`, `id`) REFERENCES `t0` (`a`, `b`) ON DELETE CASCADE\n)";
        let shown = Shown::of(create, Vec::new());
        let kinds: Vec<_> = shown.columns.iter().map(|c| (c.name.as_str(), c.kind, c.made)).collect();
        assert_eq!(
            kinds,
            [
                ("id", Kind::Number, true),
                ("c0", Kind::Text, false),
                ("r0", Kind::Number, false),
                ("g", Kind::Number, true)
            ]
        );
        assert_eq!(shown.uniques, [Some(vec![0]), Some(vec![1, 2]), None]);
        let target = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(shown.references, [Reference { columns: vec![2, 0], parent: "t0".to_owned(), target }]);
    }

    #[test]
    fn sets_of_gtids_are_compared() {
        let before = Gtids::read("a:1-3:5,\nb:1");
        let after = Gtids::read("a:1-5,\nb:1");
        assert!(after.is_one_more(&before, "a:4"));
        assert!(!after.is_one_more(&before, "a:5"));
        assert!(!Gtids::read("a:1-5,b:1-2").is_one_more(&before, "a:4"));
    }
}
