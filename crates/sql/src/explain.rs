//! EXPLAIN: SQLite's plan of a statement in the words and columns of MySQL.
//!
//! Everything shown is read from SQLite's own EXPLAIN QUERY PLAN: which tables are read in which order, by which index,
//! and what is sorted or gathered in between. What SQLite does not say (`rows`, `filtered`, `key_len`, `ref`, costs) is NULL,
//! or left out: a made-up number would be a lie.

use p2pdb_model::Value;
use p2pdb_model::catalog::{Catalog, Table, physical_column, physical_index, physical_look, physical_table};
use p2pdb_model::ids::ObjectId;
use serde_json::{Map, Value as Json, json};

use crate::field::{Field, FieldType};
use crate::types::DECIMALS_NOT_FIXED;

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row for each table.
    Traditional,
    /// One text, indented.
    Tree,
    /// One JSON document, as of version 1 of MySQL's.
    Json,
}

/// A table under its name in the SQLite text.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name in the text.
    pub sql: String,
    /// The name in the statement.
    pub shown: String,
    /// The table, if it is one.
    pub table: Option<ObjectId>,
}

/// One line of SQLite's plan: `id`, `parent`, `detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: i64,
    /// The number of the step it belongs to, or 0.
    pub parent: i64,
    /// What is done.
    pub detail: String,
}

/// What is known of a statement beside SQLite's plan of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// ANALYZE: the statement itself, which is run and measured.
    pub analyzed: Option<String>,
    format: Format,
    /// What it does to which tables, if it writes.
    writes: Option<(&'static str, Vec<String>)>,
    /// The tables written to are not read first (INSERT).
    apart: bool,
    aliases: Vec<Alias>,
    indexes: Vec<IndexName>,
    /// Names in the text that stand for others: columns.
    columns: Vec<(String, String)>,
    /// Per physical table its name and the column that is its rowid.
    tables: Vec<(String, String, Option<String>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct IndexName {
    physical: String,
    name: String,
    parts: usize,
    unique: bool,
    /// The sealed column that it is on.
    sealed: Option<String>,
}

/// One table that is read.
#[derive(Debug, Default)]
struct Access {
    table: String,
    kind: &'static str,
    key: Option<String>,
    covering: bool,
    terms: String,
}

/// One SELECT of the statement, as SQLite runs it.
#[derive(Debug)]
struct Block {
    id: u64,
    kind: &'static str,
    accesses: Vec<Access>,
    filesort: bool,
    temporary: bool,
    inner: Vec<Block>,
}

impl Block {
    fn new(id: u64, kind: &'static str) -> Self {
        Block { id, kind, accesses: Vec::new(), filesort: false, temporary: false, inner: Vec::new() }
    }
}

impl Explain {
    /// Of a statement that reads, or writes to the tables named.
    pub fn new(
        format: Format,
        catalog: &Catalog,
        aliases: Vec<Alias>,
        writes: Option<(&'static str, Vec<ObjectId>)>,
        apart: bool,
    ) -> Self {
        let written = writes.iter().flat_map(|(_, tables)| tables);
        let mut ids: Vec<ObjectId> = aliases.iter().filter_map(|a| a.table).chain(written.copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        let found: Vec<&Table> = ids.iter().filter_map(|id| catalog.table_by_id(*id)).map(|t| &**t).collect();
        let indexes = found.iter().flat_map(|t| t.indexes.iter().map(move |i| (*t, i))).map(|(t, i)| {
            let sealed = t.looked_up(i).map(|c| c.name.clone());
            let physical = if sealed.is_some() { physical_look(i.id) } else { physical_index(i.id) };
            let (parts, unique) = (i.def.parts.len(), i.def.unique);
            IndexName { physical, name: i.name.clone(), parts, unique, sealed }
        });
        let columns = found.iter().flat_map(|t| &t.columns).map(|c| {
            let shown = c.def.generated.as_ref().filter(|_| c.is_hidden()).map(|g| g.expression.clone());
            (physical_column(c.tag), shown.unwrap_or_else(|| c.name.clone()))
        });
        let rowid = |t: &Table| match t.primary()?.def.parts.as_slice() {
            [part] => t.column_by_tag(part.column).map(|c| c.name.clone()),
            _ => None,
        };
        let shown = |id: &ObjectId| {
            let named = aliases.iter().find(|a| a.table == Some(*id)).map(|a| a.shown.clone());
            named.or_else(|| catalog.table_by_id(*id).map(|t| t.name.clone())).unwrap_or_default()
        };
        Explain {
            analyzed: None,
            format,
            writes: writes.map(|(verb, tables)| (verb, tables.iter().map(shown).collect())),
            apart,
            indexes: indexes.collect(),
            columns: columns.collect(),
            tables: found.iter().map(|t| (physical_table(t.id), t.name.clone(), rowid(t))).collect(),
            aliases,
        }
    }

    /// The result columns.
    pub fn fields(format: Format) -> Vec<Field> {
        let text = |name: &str, chars: u32| {
            Field::expression(name, FieldType::text(chars, p2pdb_model::types::Collation::Utf8mb4_0900AiCi))
        };
        if format != Format::Traditional {
            return vec![Field { not_null: true, ..text("EXPLAIN", 65_535) }];
        }
        let int = |name: &str| Field::expression(name, FieldType { unsigned: true, ..FieldType::int() });
        let filtered = FieldType { length: 4, decimals: 2, ..FieldType::double() };
        debug_assert!(filtered.decimals < DECIMALS_NOT_FIXED);
        vec![
            Field { not_null: true, ..int("id") },
            Field { not_null: true, ..text("select_type", 19) },
            text("table", 64),
            text("partitions", 1024),
            text("type", 10),
            text("possible_keys", 4096),
            text("key", 64),
            text("key_len", 4096),
            text("ref", 1024),
            int("rows"),
            Field::expression("filtered", filtered),
            text("Extra", 255),
        ]
    }

    /// The result rows. `measured`: how long the statement took, in microseconds, and how many rows it gave.
    pub fn rows(&self, steps: &[Step], measured: Option<(u64, u64)>) -> Vec<Vec<Value>> {
        let mut root = Block::new(1, "SIMPLE");
        let mut reading = Reading { explain: self, steps, blocks: 1, derived: Vec::new() };
        reading.children(0, &mut root);
        if !root.inner.is_empty() {
            root.kind = "PRIMARY";
        }
        match self.format {
            Format::Traditional => self.traditional(&root),
            Format::Tree => {
                let mut out = String::new();
                let depth = usize::from(measured.is_some());
                if let Some((us, rows)) = measured {
                    let ms = us as f64 / 1000.0;
                    out += &format!("-> Result  (actual time={ms}..{ms} rows={rows} loops=1)\n");
                }
                match &self.writes {
                    Some((verb, tables)) => {
                        let verb = match *verb {
                            "INSERT" => "Insert into",
                            "REPLACE" => "Replace into",
                            "DELETE" => "Delete from",
                            _ => "Update",
                        };
                        out += &format!("-> {verb} {}\n", tables.join(", "));
                        tree(&root, 1, &mut out);
                    }
                    None => tree(&root, depth, &mut out),
                }
                vec![vec![Value::Text(out)]]
            }
            Format::Json => {
                let mut block = json_block(&root);
                if let (Some((verb, tables)), Json::Object(block)) = (&self.writes, &mut block) {
                    let written = json!({ "operation": verb.to_lowercase(), "tables": tables });
                    block.insert("writes".to_owned(), written);
                }
                let text = serde_json::to_string_pretty(&json!({ "query_block": block })).unwrap_or_default();
                vec![vec![Value::Text(text)]]
            }
        }
    }

    fn traditional(&self, root: &Block) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        if let (Some((verb, tables)), true) = (&self.writes, self.apart) {
            for table in tables {
                let access = Access { table: table.clone(), kind: "ALL", ..Access::default() };
                rows.push(row(1, verb, &access, None));
            }
            if root.accesses.is_empty() && root.inner.is_empty() {
                return rows;
            }
        }
        let written = self.writes.as_ref().filter(|_| !self.apart);
        self.block_rows(root, written, &mut rows);
        rows
    }

    fn block_rows(
        &self,
        block: &Block,
        written: Option<&(&'static str, Vec<String>)>,
        rows: &mut Vec<Vec<Value>>,
    ) {
        if block.accesses.is_empty() {
            let verb = written.map_or(block.kind, |(verb, _)| verb);
            let mut none = row(block.id, verb, &Access::default(), Some("No tables used".to_owned()));
            none[2] = Value::Null;
            none[4] = Value::Null;
            rows.push(none);
        }
        for (n, access) in block.accesses.iter().enumerate() {
            let mut extra = Vec::new();
            if access.covering {
                extra.push("Using index");
            }
            if n == 0 && block.temporary {
                extra.push("Using temporary");
            }
            if n == 0 && block.filesort {
                extra.push("Using filesort");
            }
            let kind = match written {
                Some((verb, tables)) if tables.contains(&access.table) => verb,
                _ => block.kind,
            };
            rows.push(row(block.id, kind, access, (!extra.is_empty()).then(|| extra.join("; "))));
        }
        for inner in &block.inner {
            self.block_rows(inner, None, rows);
        }
    }

    /// The name in the statement of what SQLite calls so.
    fn table(&self, sql: &str) -> String {
        let alias = self.aliases.iter().find(|a| a.sql == sql).map(|a| a.shown.clone());
        let table = || self.tables.iter().find(|(physical, ..)| physical == sql).map(|t| t.1.clone());
        alias.or_else(table).unwrap_or_else(|| sql.to_owned())
    }

    fn rowid(&self, sql: &str) -> Option<String> {
        let id = self.aliases.iter().find(|a| a.sql == sql).and_then(|a| a.table);
        let physical = id.map_or_else(|| sql.to_owned(), physical_table);
        self.tables.iter().find(|t| t.0 == physical).and_then(|t| t.2.clone())
    }

    /// `SCAN a1 …` or `SEARCH a1 …` behind the first word.
    fn access(&self, scan: bool, rest: &str) -> Access {
        let (table, how) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut access = Access { table: self.table(table), kind: "ALL", ..Access::default() };
        let (how, terms) = match how.rfind(" (") {
            Some(at) if how.contains(')') => (&how[..at], how[at + 2..].split(')').next().unwrap_or("")),
            _ => (how, ""),
        };
        access.terms = terms.to_owned();
        for (physical, name) in &self.columns {
            access.terms = access.terms.replace(physical.as_str(), name);
        }
        access.covering = how.contains("COVERING INDEX");
        let equal = terms.split(" AND ").filter(|t| t.ends_with("=?")).count();
        if how.contains("PRIMARY KEY") {
            access.key = Some("PRIMARY".to_owned());
            access.kind = if terms.ends_with("=?") { "eq_ref" } else { "range" };
            if let Some(column) = self.rowid(table) {
                access.terms = access.terms.replace("rowid", &column);
            }
        } else if how.contains("AUTOMATIC") {
            (access.key, access.kind) = (Some("<auto_key0>".to_owned()), "ref");
        } else if let Some((_, name)) = how.split_once("INDEX ").filter(|_| !how.contains("VIRTUAL TABLE")) {
            let physical = name.split(' ').next().unwrap_or(name);
            let index = self.indexes.iter().find(|i| i.physical == physical);
            access.key = Some(index.map_or_else(|| physical.to_owned(), |i| i.name.clone()));
            access.kind = match index {
                _ if scan || terms.is_empty() => "index",
                Some(i) if i.unique && equal == i.parts => "eq_ref",
                _ if equal > 0 && equal == terms.split(" AND ").count() => "ref",
                _ => "range",
            };
        }
        access
    }
}

/// Walks SQLite's plan.
struct Reading<'a> {
    explain: &'a Explain,
    steps: &'a [Step],
    blocks: u64,
    /// What SQLite calls the rows of which block.
    derived: Vec<(String, u64)>,
}

impl Reading<'_> {
    fn children(&mut self, of: i64, block: &mut Block) {
        let steps = self.steps;
        for step in steps.iter().filter(|s| s.parent == of) {
            self.step(step, block);
        }
    }

    fn inner(&mut self, step: &Step, kind: &'static str, block: &mut Block) -> u64 {
        self.blocks += 1;
        let mut inner = Block::new(self.blocks, kind);
        self.children(step.id, &mut inner);
        let id = inner.id;
        block.inner.push(inner);
        id
    }

    /// The index on a sealed column that is read beneath a step, and the column.
    fn looks(&self, of: i64) -> Option<(String, String)> {
        self.steps.iter().filter(|s| s.parent == of).find_map(|s| {
            let table = s.detail.split(' ').nth(1).unwrap_or_default();
            let index = self.explain.indexes.iter().find(|i| i.sealed.is_some() && i.physical == table);
            let found = index.and_then(|i| Some((i.name.clone(), i.sealed.clone()?)));
            found.or_else(|| self.looks(s.id))
        })
    }

    fn step(&mut self, step: &Step, block: &mut Block) {
        let detail = step.detail.as_str();
        let correlated = detail.starts_with("CORRELATED");
        if detail.ends_with("CONSTANT ROW") || detail.ends_with("CONSTANT ROWS") {
            return;
        }
        if let Some(rest) = detail.strip_prefix("SCAN ").or_else(|| detail.strip_prefix("SEARCH ")) {
            let mut access = self.explain.access(detail.starts_with("SCAN"), rest);
            let name = rest.split(' ').next().unwrap_or(rest);
            if let Some((_, id)) = self.derived.iter().find(|(n, _)| n == name) {
                access.table = format!("<derived{id}>");
            }
            block.accesses.push(access);
            return;
        }
        if let Some(name) = detail.strip_prefix("CO-ROUTINE ").or_else(|| detail.strip_prefix("MATERIALIZE "))
        {
            self.derived.push((name.to_owned(), self.blocks + 1));
            self.inner(step, "DERIVED", block);
        } else if detail.contains("SCALAR SUBQUERY") || detail.contains("LIST SUBQUERY") {
            if let Some((name, column)) = self.looks(step.id) {
                // By what this finds, SQLite reads the rows of the table before.
                if let Some(access) = block.accesses.last_mut().filter(|a| a.kind == "eq_ref") {
                    access.key = Some(name);
                    access.kind = "ref";
                    access.terms = format!("{column}=?");
                }
            } else if !detail.starts_with("REUSE") {
                self.inner(step, if correlated { "DEPENDENT SUBQUERY" } else { "SUBQUERY" }, block);
            }
        } else if ["UNION", "INTERSECT", "EXCEPT", "RECURSIVE STEP"].iter().any(|w| detail.starts_with(w)) {
            let kind = match () {
                () if detail.starts_with("INTERSECT") => "INTERSECT",
                () if detail.starts_with("EXCEPT") => "EXCEPT",
                () => "UNION",
            };
            block.temporary |= detail.contains("TEMP B-TREE");
            self.inner(step, kind, block);
        } else if detail == "MULTI-INDEX OR" {
            self.index_merge(step, block);
        } else {
            block.filesort |= detail.contains("ORDER BY") && detail.contains("TEMP B-TREE");
            block.temporary |= ["GROUP BY", "DISTINCT"].iter().any(|w| detail.ends_with(w));
            self.children(step.id, block);
        }
    }

    /// One table by several indexes.
    fn index_merge(&mut self, step: &Step, block: &mut Block) {
        let mut parts = Block::new(0, "");
        self.children(step.id, &mut parts);
        let mut merged = parts.accesses.into_iter();
        let Some(first) = merged.next() else { return };
        let mut keys: Vec<String> = first.key.clone().into_iter().collect();
        let mut terms = vec![first.terms.clone()];
        for more in merged {
            keys.extend(more.key);
            terms.push(more.terms);
        }
        let key = Some(keys.join(","));
        block.accesses.push(Access { kind: "index_merge", key, terms: terms.join(" OR "), ..first });
        block.inner.append(&mut parts.inner);
    }
}

fn row(id: u64, kind: &str, access: &Access, extra: Option<String>) -> Vec<Value> {
    let text = |t: &str| Value::Text(t.to_owned());
    let key = || access.key.as_deref().map_or(Value::Null, text);
    let mut row = vec![Value::from_u64(id), text(kind), text(&access.table), Value::Null, text(access.kind)];
    row.extend([key(), key(), Value::Null, Value::Null, Value::Null, Value::Null]);
    row.push(extra.map_or(Value::Null, Value::Text));
    row
}

impl Access {
    fn sentence(&self) -> String {
        let covering = if self.covering { "Covering index" } else { "Index" };
        let what = match (self.kind, &self.key) {
            ("ALL", _) | (_, None) => format!("Table scan on {}", self.table),
            ("index", Some(key)) => format!("{covering} scan on {} using {key}", self.table),
            ("eq_ref", Some(key)) => format!("Single-row index lookup on {} using {key}", self.table),
            ("ref", Some(key)) => format!("{covering} lookup on {} using {key}", self.table),
            ("index_merge", Some(key)) => format!("Rows of {} by the indexes {key}", self.table),
            (_, Some(key)) => format!("{covering} range scan on {} using {key}", self.table),
        };
        if self.terms.is_empty() { what } else { format!("{what} ({})", self.terms) }
    }
}

fn tree(block: &Block, mut depth: usize, out: &mut String) {
    let top = depth;
    let mut line = |depth: usize, text: &str| {
        out.push_str(&"    ".repeat(depth));
        out.push_str("-> ");
        out.push_str(text);
        out.push('\n');
    };
    for (there, text) in [(block.filesort, "Sort"), (block.temporary, "Aggregate using temporary table")] {
        if there {
            line(depth, text);
            depth += 1;
        }
    }
    if block.accesses.is_empty() {
        line(depth, "Rows fetched before execution");
    }
    if block.accesses.len() > 1 {
        line(depth, "Nested loop join");
        depth += 1;
    }
    for access in &block.accesses {
        line(depth, &access.sentence());
    }
    for inner in &block.inner {
        out.push_str(&"    ".repeat(top));
        out.push_str(&format!("-> Select #{} ({})\n", inner.id, inner.kind.to_lowercase()));
        tree(inner, top + 1, out);
    }
}

fn json_block(block: &Block) -> Json {
    let table = |a: &Access| {
        let mut table = Map::new();
        table.insert("table_name".to_owned(), json!(a.table));
        table.insert("access_type".to_owned(), json!(a.kind));
        if let Some(key) = &a.key {
            table.insert("possible_keys".to_owned(), json!(key.split(',').collect::<Vec<_>>()));
            table.insert("key".to_owned(), json!(key));
        }
        if a.covering {
            table.insert("using_index".to_owned(), json!(true));
        }
        if !a.terms.is_empty() {
            table.insert("lookup_condition".to_owned(), json!(a.terms));
        }
        json!({ "table": table })
    };
    let mut reads = match block.accesses.as_slice() {
        [] => json!({ "message": "No tables used" }),
        [one] => table(one),
        several => json!({ "nested_loop": several.iter().map(table).collect::<Vec<_>>() }),
    };
    for (there, name, how) in [
        (block.temporary, "grouping_operation", "using_temporary_table"),
        (block.filesort, "ordering_operation", "using_filesort"),
    ] {
        if let (true, Json::Object(inner)) = (there, &mut reads) {
            inner.insert(how.to_owned(), json!(true));
            reads = json!({ name: reads });
        }
    }
    let mut out = Map::new();
    out.insert("select_id".to_owned(), json!(block.id));
    if let Json::Object(reads) = reads {
        out.extend(reads);
    }
    if !block.inner.is_empty() {
        let one = |b: &Block| {
            let dependent = b.kind == "DEPENDENT SUBQUERY";
            json!({ "select_type": b.kind, "dependent": dependent, "query_block": json_block(b) })
        };
        out.insert("query_specifications".to_owned(), json!(block.inner.iter().map(one).collect::<Vec<_>>()));
    }
    Json::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(lines: &[(i64, i64, &str)]) -> Vec<Step> {
        lines
            .iter()
            .map(|(id, parent, d)| Step { id: *id, parent: *parent, detail: (*d).to_owned() })
            .collect()
    }

    fn explain(format: Format) -> Explain {
        let index = |physical: &str, name: &str, parts, unique| IndexName {
            physical: physical.to_owned(),
            name: name.to_owned(),
            parts,
            unique,
            sealed: None,
        };
        Explain {
            analyzed: None,
            format,
            writes: None,
            apart: false,
            aliases: ["p", "q"]
                .iter()
                .zip(["a1", "a2"])
                .map(|(shown, sql)| Alias { sql: sql.to_owned(), shown: (*shown).to_owned(), table: None })
                .collect(),
            indexes: vec![index("i_1", "k", 2, true), index("i_2", "l", 1, false)],
            columns: vec![("c_1".to_owned(), "a".to_owned()), ("c_2".to_owned(), "b".to_owned())],
            tables: Vec::new(),
        }
    }

    fn shown(lines: &[(i64, i64, &str)]) -> Vec<String> {
        let shown = |v: &Value| match v {
            Value::Text(t) => t.clone(),
            Value::Int(n) => n.to_string(),
            _ => "-".to_owned(),
        };
        let rows = explain(Format::Traditional).rows(&steps(lines), None);
        rows.iter().map(|r| [0, 1, 2, 4, 6, 11].map(|n| shown(&r[n])).join("|")).collect()
    }

    #[test]
    fn each_table_that_is_read_has_a_row() {
        for (lines, want) in [
            (&[(3, 0, "SCAN a1")][..], &["1|SIMPLE|p|ALL|-|-"][..]),
            (&[(1, 0, "SCAN CONSTANT ROW")], &["1|SIMPLE|-|-|-|No tables used"]),
            (&[(3, 0, "SCAN a1 USING COVERING INDEX i_2")], &["1|SIMPLE|p|index|l|Using index"]),
            (&[(3, 0, "SEARCH a1 USING INDEX i_1 (c_1=? AND c_2=?)")], &["1|SIMPLE|p|eq_ref|k|-"]),
            (&[(3, 0, "SEARCH a1 USING INDEX i_1 (c_1=?)")], &["1|SIMPLE|p|ref|k|-"]),
            (&[(3, 0, "SEARCH a1 USING INDEX i_1 (c_1=? AND c_2>?)")], &["1|SIMPLE|p|range|k|-"]),
            (&[(3, 0, "SEARCH a1 USING INTEGER PRIMARY KEY (rowid=?)")], &["1|SIMPLE|p|eq_ref|PRIMARY|-"]),
            (&[(3, 0, "SEARCH a1 USING INTEGER PRIMARY KEY (rowid>?)")], &["1|SIMPLE|p|range|PRIMARY|-"]),
            (
                &[
                    (5, 0, "SCAN a1"),
                    (9, 0, "SEARCH a2 USING INDEX i_2 (c_1=?) LEFT-JOIN"),
                    (20, 0, "USE TEMP B-TREE FOR ORDER BY"),
                ],
                &["1|SIMPLE|p|ALL|-|Using filesort", "1|SIMPLE|q|ref|l|-"],
            ),
            (
                &[
                    (2, 0, "CO-ROUTINE a2"),
                    (8, 2, "SCAN a1"),
                    (9, 2, "USE TEMP B-TREE FOR GROUP BY"),
                    (37, 0, "SCAN a2"),
                ],
                &["1|PRIMARY|<derived2>|ALL|-|-", "2|DERIVED|p|ALL|-|Using temporary"],
            ),
            (
                &[(2, 0, "SCAN a1"), (5, 0, "CORRELATED SCALAR SUBQUERY 1"), (11, 5, "SCAN a2")],
                &["1|PRIMARY|p|ALL|-|-", "2|DEPENDENT SUBQUERY|q|ALL|-|-"],
            ),
            (
                &[
                    (1, 0, "COMPOUND QUERY"),
                    (2, 1, "LEFT-MOST SUBQUERY"),
                    (4, 2, "SCAN a1"),
                    (21, 1, "UNION ALL"),
                    (23, 21, "SCAN a2"),
                ],
                &["1|PRIMARY|p|ALL|-|-", "2|UNION|q|ALL|-|-"],
            ),
            (
                &[
                    (4, 0, "MULTI-INDEX OR"),
                    (5, 4, "INDEX 1"),
                    (6, 5, "SEARCH a1 USING INDEX i_1 (c_1=?)"),
                    (9, 4, "INDEX 2"),
                    (10, 9, "SEARCH a1 USING INDEX i_2 (c_2=?)"),
                ],
                &["1|SIMPLE|p|index_merge|k,l|-"],
            ),
        ] {
            assert_eq!(shown(lines), want, "{lines:?}");
        }
    }

    #[test]
    fn a_tree_is_indented_and_json_is_json() {
        let lines = steps(&[
            (5, 0, "SEARCH a1 USING INDEX i_1 (c_1=?)"),
            (9, 0, "SCAN a2"),
            (20, 0, "USE TEMP B-TREE FOR ORDER BY"),
        ]);
        let text = |format, measured| match &explain(format).rows(&lines, measured)[0][0] {
            Value::Text(t) => t.clone(),
            other => panic!("{other:?}"),
        };
        let tree = "-> Sort\n    -> Nested loop join\n        -> Index lookup on p using k (a=?)\n        -> Table scan on q\n";
        assert_eq!(text(Format::Tree, None), tree);
        let measured = text(Format::Tree, Some((1500, 7)));
        assert!(
            measured.starts_with("-> Result  (actual time=1.5..1.5 rows=7 loops=1)\n    -> Sort\n"),
            "{measured}"
        );
        let json: Json = serde_json::from_str(&text(Format::Json, None)).expect("JSON");
        let joined = &json["query_block"]["ordering_operation"]["nested_loop"];
        assert_eq!(joined[0]["table"]["key"], "k");
        assert_eq!(joined[1]["table"]["access_type"], "ALL");
    }
}
