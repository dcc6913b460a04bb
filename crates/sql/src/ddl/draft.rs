//! A table while it is being defined: the definitions of its columns and keys under edit, checked as a whole, and at
//! the end the schema changes that lead from the old definitions to the new.
//!
//! CREATE TABLE edits an empty draft, ALTER TABLE one made of the table; so both meet the same checks.

use std::collections::HashSet;

use p2pdb_model::catalog::{COLUMNS_MAX, Table, is_hidden, same_name};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::fit::{KEY_BYTES_MAX, key_bytes};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::*;
use p2pdb_model::sealed;
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, CellKind};
use sqlparser::ast::Expr;

use crate::error::SqlError;
use crate::schema_text::is_lob;

/// Distance between the places of neighbouring columns, so that others fit between them.
const POSITION_STEP: u64 = 1 << 20;
/// Greatest number of indexes of a table, and of parts of an index.
const INDEXES_MAX: usize = 64;
const KEY_PARTS_MAX: usize = 16;
/// Greatest length of a row in bytes, BLOB and TEXT not counted.
const ROW_BYTES_MAX: u64 = 65_535;
/// Greatest length of a comment of a table, column or index in characters.
const TABLE_COMMENT_CHARS_MAX: usize = 2048;
const COMMENT_CHARS_MAX: usize = 1024;
/// Tags in a column's comment whose meaning comes later.
const TAGS: [&str; 1] = ["[resolver"];

/// A named part of the table.
#[derive(Clone, Debug)]
pub struct Part<D> {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: D,
    /// A column's place.
    pub position: u64,
}

/// A part of an index before names are resolved.
#[derive(Clone, Debug)]
pub struct KeyPart {
    /// The column's name.
    pub column: String,
    /// An expression in the place of a column.
    pub expression: Option<Expr>,
    /// Prefix length.
    pub prefix: Option<u64>,
    /// DESC.
    pub descending: bool,
}

impl KeyPart {
    /// A whole column.
    pub fn of(column: &str) -> Self {
        KeyPart { column: column.to_owned(), expression: None, prefix: None, descending: false }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub(super) catalog: &'a Catalog,
    /// The table as it stands, for ALTER.
    pub old: Option<&'a Table>,
    /// It is one session's own.
    pub temporary: bool,
    /// The table's id.
    pub id: ObjectId,
    /// Its database's id and name.
    pub database: (ObjectId, String),
    /// Its name.
    pub name: String,
    /// Its options.
    pub def: TableDef,
    /// Its columns, in order.
    pub columns: Vec<Part<ColumnDef>>,
    /// Its indexes.
    pub indexes: Vec<Part<IndexDef>>,
    /// Its foreign keys.
    pub foreign_keys: Vec<Part<ForeignKeyDef>>,
    /// Its checks.
    pub checks: Vec<Part<CheckDef>>,
    /// A dump of a table may say that a foreign key sets to NULL what takes none (see [`Draft::set_null_can`]).
    pub from_dump: bool,
    /// Columns whose present values are converted, with the SQL of the new ones.
    pub converted: Vec<(ColumnTag, String)>,
}

/// 1063 for a column that cannot be sealed.
pub(super) fn sealed_but(column: &str, why: &str) -> SqlError {
    let message =
        format!("Incorrect column specifier for column '{column}': {}, but the column {why}", sealed::TAG);
    SqlError::new(1063, "42000", message)
}

fn part<D: Clone>(id: ObjectId, name: &str, def: &D, position: u64) -> Part<D> {
    Part { id, name: name.to_owned(), def: def.clone(), position }
}

impl<'a> Draft<'a> {
    /// An empty table.
    pub fn new(catalog: &'a Catalog, database: (ObjectId, String), name: &str, def: TableDef) -> Self {
        Draft {
            catalog,
            old: None,
            temporary: false,
            id: catalog.new_id(ObjectKind::Table, database.0, name),
            database,
            name: name.to_owned(),
            def,
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            from_dump: false,
            converted: Vec::new(),
        }
    }

    /// A table as it stands.
    pub fn of(catalog: &'a Catalog, database: ObjectId, t: &'a Table) -> Self {
        Draft {
            catalog,
            old: Some(t),
            temporary: catalog.is_temporary(t.id),
            id: t.id,
            database: (database, t.database.clone()),
            name: t.name.clone(),
            def: t.def.clone(),
            columns: t.columns.iter().map(|c| part(c.id, &c.name, &c.def, c.position)).collect(),
            indexes: t.indexes.iter().map(|i| part(i.id, &i.name, &i.def, 0)).collect(),
            foreign_keys: t.foreign_keys.iter().map(|k| part(k.id, &k.name, &k.def, 0)).collect(),
            checks: t.checks.iter().map(|k| part(k.id, &k.name, &k.def, 0)).collect(),
            from_dump: false,
            converted: Vec::new(),
        }
    }

    /// An id for a new part. One that a part of the table has (after a rename or a drop in the same statement) is
    /// hashed on, and so is a column's whose tag is taken.
    pub fn new_id(&self, name: &str, made: &Definition) -> ObjectId {
        let kind = made.kind();
        let mut id = self.catalog.new_id_of(kind, self.id, name, Some(made));
        let mut used: HashSet<ObjectId> = self.columns.iter().map(|c| c.id).collect();
        used.extend(self.indexes.iter().map(|i| i.id));
        used.extend(self.foreign_keys.iter().map(|k| k.id));
        used.extend(self.checks.iter().map(|k| k.id));
        if let Some(old) = self.old {
            used.extend(old.columns.iter().map(|c| c.id));
            used.extend(old.foreign_keys.iter().map(|k| k.id));
            used.extend(old.checks.iter().map(|k| k.id));
        }
        let tags: HashSet<ColumnTag> = self.columns.iter().map(|c| c.id.tag()).collect();
        while used.contains(&id) || (kind == ObjectKind::Column && tags.contains(&id.tag())) {
            id = ObjectId::derive(kind, self.id, name, Some(&id.0));
        }
        id
    }

    /// The column of this name; not one that stands for an expression in an index.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| same_name(&c.name, name) && !is_hidden(&c.name))
    }

    /// The column with this tag.
    pub fn by_tag(&self, tag: ColumnTag) -> Option<&Part<ColumnDef>> {
        self.columns.iter().find(|c| c.id.tag() == tag)
    }

    /// The index of this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.indexes.iter().position(|i| same_name(&i.name, name))
    }

    /// Puts a column at the end, or at an index.
    ///
    /// # Errors
    /// 1060.
    pub fn add_column(&mut self, name: &str, def: ColumnDef, at: Option<usize>) -> Result<(), SqlError> {
        if self.column(name).is_some() {
            return Err(SqlError::duplicate_column(name));
        }
        let id = self.new_id(name, &Definition::Column(def.clone()));
        let at = at.unwrap_or(self.columns.len()).min(self.columns.len());
        self.columns.insert(at, Part { id, name: name.to_owned(), def, position: 0 });
        self.place(at);
        Ok(())
    }

    /// Gives the column at this index a place between its neighbours; without room all get new places.
    pub fn place(&mut self, at: usize) {
        let before = at.checked_sub(1).map_or(0, |i| self.columns[i].position);
        let after = self.columns.get(at + 1).map(|c| c.position);
        self.columns[at].position = match after {
            None => before + POSITION_STEP,
            Some(after) if after > before + 1 => before + (after - before) / 2,
            Some(_) => {
                for (i, c) in self.columns.iter_mut().enumerate() {
                    c.position = (i as u64 + 1) * POSITION_STEP;
                }
                return;
            }
        };
    }

    /// Takes a column away, with its part in indexes.
    ///
    /// # Errors
    /// 1091, 1828, 1829, 3755, 3959.
    pub fn drop_column(&mut self, name: &str) -> Result<(), SqlError> {
        if self.columns.iter().any(|c| is_hidden(&c.name) && same_name(&c.name, name)) {
            let message = format!(
                "Cannot drop column '{name}' because it is used by a functional index. In order to drop the column, you \
                 must remove the functional index."
            );
            return Err(SqlError::new(3755, "HY000", message));
        }
        let at = self.column(name).ok_or_else(|| SqlError::cannot_drop(name))?;
        let tag = self.columns[at].id.tag();
        let name = self.columns[at].name.clone();
        if let Some(k) = self.foreign_keys.iter().find(|k| k.def.columns.contains(&tag)) {
            let message =
                format!("Cannot drop column '{name}': needed in a foreign key constraint '{}'", k.name);
            return Err(SqlError::new(1828, "HY000", message));
        }
        self.not_referenced(tag, &name)?;
        // With its only column a CHECK goes too.
        self.checks.retain(|k| {
            let names = super::check_columns(&k.def.expression);
            names.is_empty() || names.iter().any(|n| !same_name(n, &name))
        });
        self.not_checked(&name)?;
        self.not_generating(&name)?;
        self.columns.remove(at);
        for i in &mut self.indexes {
            i.def.parts.retain(|p| p.column != tag);
        }
        self.indexes.retain(|i| !i.def.parts.is_empty());
        Ok(())
    }

    /// The columns that foreign keys of other tables refer to.
    pub fn parents_of_others(&self) -> impl Iterator<Item = Vec<ColumnTag>> + '_ {
        let children = self.catalog.referenced_by(self.id).iter().filter(|(child, _)| *child != self.id);
        children.filter_map(|(child, n)| {
            let k = self.catalog.table_by_id(*child)?.foreign_keys.get(*n)?;
            k.parent.as_ref().map(|(_, tags)| tags.clone())
        })
    }

    fn not_referenced(&self, tag: ColumnTag, name: &str) -> Result<(), SqlError> {
        for (child, n) in self.catalog.referenced_by(self.id) {
            let Some(child) = self.catalog.table_by_id(*child).filter(|c| c.id != self.id) else { continue };
            let k = &child.foreign_keys[*n];
            if k.parent.as_ref().is_some_and(|(_, tags)| tags.contains(&tag)) {
                let message = format!(
                    "Cannot drop column '{name}': needed in a foreign key constraint '{}' of table '{}'",
                    k.name, child.name
                );
                return Err(SqlError::new(1829, "HY000", message));
            }
        }
        Ok(())
    }

    /// No CHECK names the column.
    ///
    /// # Errors
    /// 3959.
    pub fn not_checked(&self, name: &str) -> Result<(), SqlError> {
        for k in &self.checks {
            let columns = super::check_columns(&k.def.expression);
            if columns.iter().any(|c| same_name(c, name)) {
                let message = format!(
                    "Check constraint '{}' uses column '{name}', hence column cannot be dropped or renamed.",
                    k.name
                );
                return Err(SqlError::new(3959, "HY000", message));
            }
        }
        Ok(())
    }

    /// Adds an index; without a name it takes its first column's.
    ///
    /// # Errors
    /// 1061, 1068, 1072, 1060, 1070, 1089, 1170, 1171, 1280, 3106, 3152; 1235 for STORED columns in the primary key.
    pub fn add_index(
        &mut self,
        name: Option<String>,
        unique: bool,
        primary: bool,
        parts: &[KeyPart],
        comment: String,
        invisible: bool,
    ) -> Result<(), SqlError> {
        if primary && self.index("PRIMARY").is_some() {
            return Err(SqlError::new(1068, "42000", "Multiple primary key defined"));
        }
        if parts.len() > KEY_PARTS_MAX {
            let message = format!("Too many key parts specified; max {KEY_PARTS_MAX} parts allowed");
            return Err(SqlError::new(1070, "42000", message));
        }
        let mut resolved: Vec<IndexPart> = Vec::new();
        let named = name.clone().filter(|_| !primary);
        let own_name = match (named, &parts[0].expression) {
            (Some(name), _) => name,
            (None, Some(_)) => self.free_index_name("functional_index"),
            (None, None) => self.free_index_name(&parts[0].column),
        };
        for (n, p) in parts.iter().enumerate() {
            if let Some(expr) = &p.expression {
                let column = self.add_hidden(&own_name, n, expr, primary)?;
                resolved.push(IndexPart { column, prefix: None, descending: p.descending });
                continue;
            }
            let at = self.column(&p.column).ok_or_else(|| SqlError::no_key_column(&p.column))?;
            let c = &self.columns[at];
            if resolved.iter().any(|r| r.column == c.id.tag()) {
                return Err(SqlError::duplicate_column(&c.name));
            }
            if let Some(g) = c.def.generated.as_ref().filter(|_| primary) {
                return Err(match g.stored {
                    true => SqlError::unsupported("a PRIMARY KEY over a generated column"),
                    false => {
                        super::generated::not_supported("Defining a virtual generated column as primary key")
                    }
                });
            }
            if c.def.generated.is_some() && unique && self.temporary {
                return Err(SqlError::unsupported(
                    "a UNIQUE key over a generated column of a temporary table",
                ));
            }
            let prefix = key_prefix(c, p.prefix)?;
            resolved.push(IndexPart { column: c.id.tag(), prefix, descending: p.descending });
        }
        if invisible && primary {
            return Err(SqlError::new(3522, "HY000", "A primary key index cannot be invisible"));
        }
        let def = IndexDef { unique, parts: resolved, comment, invisible, fulltext: false, implied: false };
        // What foreign keys made for themselves goes when another one serves them, and its name is free, as in MySQL.
        let whole = || def.parts.iter().take_while(|p| p.prefix.is_none()).map(|p| p.column);
        self.indexes.retain(|i| !i.def.is_spare_beside(whole()));
        let own_name = match &parts[0].expression {
            Some(_) => own_name,
            None => self.free_index_name(&parts[0].column),
        };
        self.put_index(if primary { Some("PRIMARY".to_owned()) } else { name }, primary, own_name, def)
    }

    /// Adds a FULLTEXT index.
    ///
    /// # Errors
    /// 1060, 1061, 1070, 1072, 1221, 1280, 1283, 1796, 3106, 3152, 3759; 1235 for STORED columns.
    pub fn add_fulltext(
        &mut self,
        name: Option<String>,
        parts: &[KeyPart],
        comment: String,
        invisible: bool,
    ) -> Result<(), SqlError> {
        if parts.len() > KEY_PARTS_MAX {
            let message = format!("Too many key parts specified; max {KEY_PARTS_MAX} parts allowed");
            return Err(SqlError::new(1070, "42000", message));
        }
        let mut resolved: Vec<IndexPart> = Vec::new();
        for p in parts {
            if p.expression.is_some() {
                return Err(SqlError::new(3759, "HY000", "Fulltext functional index is not supported."));
            }
            if p.descending {
                let message = "Incorrect usage of spatial/fulltext/hash index and explicit index order";
                return Err(SqlError::new(1221, "HY000", message));
            }
            let at = self.column(&p.column).ok_or_else(|| SqlError::no_key_column(&p.column))?;
            let column = self.columns[at].id.tag();
            if resolved.iter().any(|r| r.column == column) {
                return Err(SqlError::duplicate_column(&self.columns[at].name));
            }
            // Whole columns are indexed, whatever prefix is written.
            resolved.push(IndexPart { column, prefix: None, descending: false });
        }
        let own_name = self.free_index_name(&parts[0].column);
        let def =
            IndexDef { unique: false, parts: resolved, comment, invisible, fulltext: true, implied: false };
        self.fulltext_fits(&def)?;
        self.put_index(name, false, own_name, def)
    }

    /// What FULLTEXT indexes ask of their columns.
    fn fulltext_fits(&self, def: &IndexDef) -> Result<(), SqlError> {
        if self.temporary {
            return Err(temporary_fulltext());
        }
        let mut collation = None;
        for c in def.parts.iter().filter_map(|p| self.by_tag(p.column)) {
            if c.def.ty == SqlType::Json {
                key_prefix(c, None)?;
            }
            let own = c.def.ty.collation().filter(|own| collation.is_none_or(|all| all == *own));
            collation = own;
            if own.is_none() || matches!(c.def.ty, SqlType::Enum { .. } | SqlType::Set { .. }) {
                let message = format!("Column '{}' cannot be part of FULLTEXT index", c.name);
                return Err(SqlError::new(1283, "HY000", message));
            }
            match &c.def.generated {
                Some(g) if g.stored => {
                    return Err(SqlError::unsupported("a FULLTEXT index over a generated column"));
                }
                Some(_) => {
                    return Err(super::generated::not_supported(
                        "Fulltext index on virtual generated column",
                    ));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn put_index(
        &mut self,
        name: Option<String>,
        primary: bool,
        own_name: String,
        def: IndexDef,
    ) -> Result<(), SqlError> {
        let name = match name {
            Some(name) if primary => name,
            Some(name) if same_name(&name, "PRIMARY") => {
                return Err(SqlError::new(1280, "42000", format!("Incorrect index name '{name}'")));
            }
            Some(name) => {
                if self.index(&name).is_some() {
                    return Err(SqlError::duplicate_key_name(name));
                }
                name
            }
            None => own_name,
        };
        comment_fits(&def.comment, COMMENT_CHARS_MAX, 1688, || format!("index '{name}'"))?;
        // A dropped index of this name comes back as the same object with another definition.
        let old = self.old.and_then(|t| t.index(&name)).map(|i| i.id);
        let taken = old.is_some_and(|id| self.indexes.iter().any(|i| i.id == id));
        let id =
            old.filter(|_| !taken).unwrap_or_else(|| self.new_id(&name, &Definition::Index(def.clone())));
        self.indexes.push(Part { id, name, def, position: 0 });
        Ok(())
    }

    fn free_index_name(&self, column: &str) -> String {
        let taken = |n: &str| self.index(n).is_some() || same_name(n, "PRIMARY");
        let column = self.column(column).map_or(column, |i| self.columns[i].name.as_str());
        if !taken(column) {
            return column.to_owned();
        }
        (2u32..).map(|n| format!("{column}_{n}")).find(|n| !taken(n)).unwrap_or_default()
    }

    /// Takes away the columns of expressions that no index has any more.
    pub fn drop_unused_hidden(&mut self) {
        let used: HashSet<ColumnTag> =
            self.indexes.iter().flat_map(|i| &i.def.parts).map(|p| p.column).collect();
        self.columns.retain(|c| !is_hidden(&c.name) || used.contains(&c.id.tag()));
    }

    /// True when an index begins with these columns in this order.
    pub fn has_index_for(&self, columns: &[ColumnTag]) -> bool {
        self.indexes.iter().any(|i| i.def.leads(columns))
    }

    /// Checks the table as a whole.
    ///
    /// # Errors
    /// 1068, 1069, 1071, 1075, 1113, 1117, 1118, 1171, 1629, 1830 and others of definitions.
    pub fn validate(&mut self) -> Result<(), SqlError> {
        self.drop_unused_hidden();
        if self.columns.is_empty() {
            return Err(match self.old {
                None => SqlError::new(1113, "42000", "A table must have at least 1 column"),
                Some(_) => SqlError::new(
                    1090,
                    "42000",
                    "You can't delete all columns with ALTER TABLE; use DROP TABLE instead",
                ),
            });
        }
        if self.columns.iter().all(|c| c.def.invisible) {
            return Err(SqlError::new(4028, "HY000", "A table must have at least one visible column."));
        }
        if self.columns.len() > COLUMNS_MAX {
            return Err(SqlError::new(1117, "HY000", "Too many columns"));
        }
        if self.indexes.len() > INDEXES_MAX {
            let message = format!("Too many keys specified; max {INDEXES_MAX} keys allowed");
            return Err(SqlError::new(1069, "42000", message));
        }
        comment_fits(&self.def.comment, TABLE_COMMENT_CHARS_MAX, 1628, || format!("table '{}'", self.name))?;
        let mut row_bytes = 0;
        for c in &self.columns {
            comment_fits(&c.def.comment, COMMENT_CHARS_MAX, 1629, || format!("field '{}'", c.name))?;
            if let Some(tag) = TAGS.iter().find(|t| c.def.comment.to_lowercase().contains(*t)) {
                return Err(SqlError::unsupported(format!("{tag} in the comment of column '{}'", c.name)));
            }
            self.tag_fits(c)?;
            row_bytes += match &c.def.ty {
                _ if is_hidden(&c.name) => 0,
                ty if is_lob(ty) => 10,
                ty => key_bytes(ty, None),
            };
        }
        if row_bytes > ROW_BYTES_MAX {
            return Err(SqlError::new(
                1118,
                "42000",
                "Row size too large. The maximum row size for the used table type, not counting BLOBs, is 65535. This \
                 includes storage overhead, check the manual. You have to change some columns to TEXT or BLOBs",
            ));
        }
        self.primary_is_not_null()?;
        self.set_null_can()?;
        self.generated_columns()?;
        for i in self.indexes.iter().filter(|i| i.def.fulltext) {
            self.fulltext_fits(&i.def)?;
        }
        for i in self.indexes.iter().filter(|i| !i.def.fulltext) {
            let bytes: u64 = i
                .def
                .parts
                .iter()
                .filter_map(|p| Some(key_bytes(&self.by_tag(p.column)?.def.ty, p.prefix)))
                .fold(0, |all, n| if n > KEY_BYTES_MAX { u64::MAX / 4 } else { all + n });
            if bytes > KEY_BYTES_MAX {
                let message = format!("Specified key was too long; max key length is {KEY_BYTES_MAX} bytes");
                return Err(SqlError::new(1071, "42000", message));
            }
        }
        let auto: Vec<_> = self.columns.iter().filter(|c| c.def.auto_increment).collect();
        let wrong_auto = || {
            SqlError::new(
                1075,
                "42000",
                "Incorrect table definition; there can be only one auto column and it must be defined as a key",
            )
        };
        match auto.as_slice() {
            [] => {}
            [c] => {
                if !self.has_index_for(&[c.id.tag()]) {
                    return Err(wrong_auto());
                }
                match c.def.ty {
                    SqlType::Int { .. } => {}
                    SqlType::Float { .. } | SqlType::Double { .. } => {
                        return Err(SqlError::unsupported("AUTO_INCREMENT on a floating point column"));
                    }
                    _ => {
                        let message = format!("Incorrect column specifier for column '{}'", c.name);
                        return Err(SqlError::new(1063, "42000", message));
                    }
                }
                if c.def.default.is_some() {
                    return Err(SqlError::invalid_default(&c.name));
                }
            }
            _ => return Err(wrong_auto()),
        }
        Ok(())
    }

    fn has_other_owner(&self, c: &Part<ColumnDef>) -> bool {
        let owns = |o: &&Part<ColumnDef>| CellKind::of(&o.def.ty, &o.def.comment) == CellKind::Owner;
        self.columns.iter().filter(owns).any(|o| o.id != c.id)
    }

    /// The tag of a column's comment says how its cells merge: one at most, for a type and a column that can.
    fn tag_fits(&self, c: &Part<ColumnDef>) -> Result<(), SqlError> {
        let mut kinds = CellKind::tags_in(&c.def.comment);
        if sealed::is_in(&c.def.comment) {
            return self.sealed_fits(c);
        }
        let Some(kind) = kinds.next() else { return Ok(()) };
        let tag = kind.tag().unwrap_or_default();
        let is_key = |parts: &[IndexPart]| parts.iter().any(|p| p.column == c.id.tag());
        // One side gave the tag while the other made the key: such a table can still be altered.
        let before = self.old.filter(|t| {
            let of_old = t.column_by_tag(c.id.tag()).map(|o| o.def.comment.as_str()).unwrap_or_default();
            CellKind::tags_in(of_old).next() == Some(kind)
        });
        let was_key =
            |id| before.is_some_and(|t| t.indexes.iter().any(|o| o.id == id && is_key(&o.def.parts)));
        let refers = |k: &ForeignKeyDef| k.columns.contains(&c.id.tag());
        let referred =
            |id| before.is_some_and(|t| t.foreign_keys.iter().any(|o| o.id == id && refers(&o.def)));
        let in_key = self.indexes.iter().any(|i| i.def.unique && is_key(&i.def.parts) && !was_key(i.id))
            || self.foreign_keys.iter().any(|k| refers(&k.def) && !referred(k.id));
        let why = if kinds.next().is_some() {
            "has two tags"
        } else if !kind.allows(&c.def.ty) {
            "is of another type than the tag is for"
        } else if c.def.generated.is_some() {
            "is generated"
        } else if kind == CellKind::Owner && self.has_other_owner(c) {
            "is not the only one with it"
        } else if kind == CellKind::Owner && !matches!(c.def.default, None | Some(DefaultValue::Null)) {
            "has a default"
        } else if in_key {
            "is part of a unique or foreign key"
        } else {
            return Ok(());
        };
        let message =
            format!("Incorrect column specifier for column '{}': {tag}, but the column {why}", c.name);
        Err(SqlError::new(1063, "42000", message))
    }

    /// What a sealed column must not be or have: nobody but its readers knows what is in it.
    fn sealed_fits(&self, c: &Part<ColumnDef>) -> Result<(), SqlError> {
        let tag = c.id.tag();
        let names = |text: &str| super::check_columns(text).iter().any(|n| same_name(n, &c.name));
        let of_generated =
            |o: &Part<ColumnDef>| o.def.generated.as_ref().is_some_and(|g| names(&g.expression));
        let is_key = |i: &Part<IndexDef>| {
            let looked_up = !i.def.unique && !i.def.fulltext && i.def.parts.len() == 1;
            !looked_up && i.def.parts.iter().any(|p| p.column == tag)
        };
        let why = if self.temporary {
            "belongs to a temporary table"
        } else if CellKind::tags_in(&c.def.comment).next().is_some() {
            "has two tags"
        } else if c.def.generated.is_some() {
            "is generated"
        } else if c.def.auto_increment {
            "is AUTO_INCREMENT"
        } else if !matches!(c.def.default, None | Some(DefaultValue::Null)) {
            "has a default"
        } else if c.def.on_update_now {
            "has ON UPDATE CURRENT_TIMESTAMP"
        } else if self.indexes.iter().any(is_key) {
            "is part of a key that is UNIQUE, FULLTEXT, or of several columns"
        } else if self.foreign_keys.iter().any(|k| k.def.columns.contains(&tag))
            || self.parents_of_others().any(|tags| tags.contains(&tag))
        {
            "is part of a foreign key"
        } else if self.checks.iter().any(|k| names(&k.def.expression)) {
            "is part of a CHECK"
        } else if self.columns.iter().any(of_generated) {
            "is part of a generated column"
        } else if self.old.is_some_and(|t| !t.triggers.is_empty()) {
            "belongs to a table with triggers"
        } else {
            return Ok(());
        };
        Err(sealed_but(&c.name, why))
    }

    fn primary_is_not_null(&mut self) -> Result<(), SqlError> {
        let Some(at) = self.index("PRIMARY") else { return Ok(()) };
        let tags: Vec<_> = self.indexes[at].def.parts.iter().map(|p| p.column).collect();
        for c in self.columns.iter_mut().filter(|c| tags.contains(&c.id.tag())) {
            c.def.nullable = false;
            if c.def.default == Some(DefaultValue::Null) {
                return Err(SqlError::invalid_default(&c.name));
            }
        }
        Ok(())
    }

    /// The changes from the table as it stood (none for a new table) to the draft.
    pub fn changes(&self) -> Vec<SchemaChange> {
        let mut out = Vec::new();
        let old = self.old;
        // Drops first: a name that a dropped part had is free for what comes after.
        if let Some(t) = old {
            let mut kept: HashSet<ObjectId> = self.columns.iter().map(|c| c.id).collect();
            kept.extend(self.indexes.iter().map(|i| i.id));
            kept.extend(self.foreign_keys.iter().map(|k| k.id));
            kept.extend(self.checks.iter().map(|k| k.id));
            let keys = t.foreign_keys.iter().map(|k| k.id).chain(t.checks.iter().map(|k| k.id));
            let all = keys.chain(t.indexes.iter().map(|i| i.id)).chain(t.columns.iter().map(|c| c.id));
            let drops = all.filter(|id| !kept.contains(id));
            out.extend(drops.map(|id| SchemaChange::Drop { id }));
        }
        let before = old.map(|t| (t.name.as_str(), &t.def, t.database.as_str()));
        let moved = before.is_some_and(|(_, _, db)| db != self.database.1);
        put(
            &mut out,
            self.id,
            self.database.0,
            before.filter(|_| !moved).map(|b| b.0),
            &self.name,
            before.map(|b| Definition::Table(b.1.clone())),
            Definition::Table(self.def.clone()),
            None,
        );
        for c in &self.columns {
            let was = old.and_then(|t| t.columns.iter().find(|o| o.id == c.id));
            let position = (was.map(|w| w.position) != Some(c.position)).then_some(c.position);
            put(
                &mut out,
                c.id,
                self.id,
                was.map(|w| w.name.as_str()),
                &c.name,
                was.map(|w| Definition::Column(w.def.clone())),
                Definition::Column(c.def.clone()),
                position,
            );
        }
        for i in &self.indexes {
            let was = old.and_then(|t| t.indexes.iter().find(|o| o.id == i.id));
            let def = |d: &IndexDef| Definition::Index(d.clone());
            let was_name = was.map(|w| w.name.as_str());
            put(&mut out, i.id, self.id, was_name, &i.name, was.map(|w| def(&w.def)), def(&i.def), None);
        }
        for k in &self.foreign_keys {
            let was = old.and_then(|t| t.foreign_keys.iter().find(|o| o.id == k.id));
            let def = |d: &ForeignKeyDef| Definition::ForeignKey(d.clone());
            let was_name = was.map(|w| w.name.as_str());
            put(&mut out, k.id, self.id, was_name, &k.name, was.map(|w| def(&w.def)), def(&k.def), None);
        }
        for k in &self.checks {
            let was = old.and_then(|t| t.checks.iter().find(|o| o.id == k.id));
            let def = |d: &CheckDef| Definition::Check(d.clone());
            let was_name = was.map(|w| w.name.as_str());
            put(&mut out, k.id, self.id, was_name, &k.name, was.map(|w| def(&w.def)), def(&k.def), None);
        }
        out
    }
}

#[allow(clippy::too_many_arguments)]
fn put(
    out: &mut Vec<SchemaChange>,
    id: ObjectId,
    parent: ObjectId,
    old_name: Option<&str>,
    name: &str,
    old: Option<Definition>,
    new: Definition,
    position: Option<u64>,
) {
    let kind = new.kind();
    let name = (old_name != Some(name)).then(|| name.to_owned());
    let definition = (old.as_ref() != Some(&new)).then(|| Box::new(new));
    if name.is_some() || definition.is_some() || position.is_some() {
        out.push(SchemaChange::Put { id, kind, parent, name, definition, position, after: None });
    }
}

/// 1796.
pub(super) fn temporary_fulltext() -> SqlError {
    SqlError::new(1796, "HY000", "Cannot create FULLTEXT index on temporary InnoDB table")
}

fn comment_fits(comment: &str, max: usize, code: u16, what: impl FnOnce() -> String) -> Result<(), SqlError> {
    if comment.chars().count() <= max {
        return Ok(());
    }
    Err(SqlError::new(code, "HY000", format!("Comment for {} is too long (max = {max})", what())))
}

/// The prefix to keep for a key part, if any.
fn key_prefix(c: &Part<ColumnDef>, prefix: Option<u64>) -> Result<Option<u32>, SqlError> {
    let wrong = || {
        SqlError::new(
            1089,
            "HY000",
            "Incorrect prefix key; the used key part isn't a string, the used length is longer than the key part, or \
             the storage engine doesn't support unique prefix keys",
        )
    };
    let length = match &c.def.ty {
        SqlType::Json => {
            let message = format!(
                "JSON column '{}' supports indexing only via generated columns on a specified JSON path.",
                c.name
            );
            return Err(SqlError::new(3152, "42000", message));
        }
        SqlType::Char { chars: n, .. }
        | SqlType::VarChar { chars: n, .. }
        | SqlType::Binary { bytes: n }
        | SqlType::VarBinary { bytes: n } => u64::from(*n),
        SqlType::Text { size, .. } | SqlType::Blob { size } => match prefix {
            None => {
                let message =
                    format!("BLOB/TEXT column '{}' used in key specification without a key length", c.name);
                return Err(SqlError::new(1170, "42000", message));
            }
            Some(_) => size.bytes_max() + 1,
        },
        _ if prefix.is_some() => return Err(wrong()),
        _ => return Ok(None),
    };
    match prefix {
        None => Ok(None),
        Some(0) => Err(SqlError::new(1391, "HY000", format!("Key part '{}' length cannot be 0", c.name))),
        Some(n) if n > length => Err(wrong()),
        Some(n) if n == length => Ok(None),
        Some(n) => Ok(Some(n as u32)),
    }
}
