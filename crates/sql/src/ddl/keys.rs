//! Indexes, foreign keys and CHECKs: reading them, naming them, tying them to tables.

use p2pdb_model::catalog::{Table, physical_column, physical_table, same_name, sqlite_collation};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::*;
use p2pdb_model::types::SqlType;
use sqlparser::tokenizer::Token;

use super::canonical::{self, Unfit};
use super::column::CheckSpec;
use super::draft::{Draft, KeyPart, Part};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::schema_text::quote;
use crate::statement::{Context, Cursor};
use crate::types::{Class, TypeCode};

/// An index as it was written.
#[derive(Clone, Debug, Default)]
pub struct IndexSpec {
    /// Its name.
    pub name: Option<String>,
    /// UNIQUE or PRIMARY.
    pub unique: bool,
    /// PRIMARY KEY.
    pub primary: bool,
    /// Its parts.
    pub parts: Vec<KeyPart>,
    /// COMMENT.
    pub comment: String,
    /// INVISIBLE.
    pub invisible: bool,
    /// FULLTEXT.
    pub fulltext: bool,
}

/// A foreign key as it was written.
#[derive(Clone, Debug)]
pub struct ForeignKeySpec {
    /// CONSTRAINT name.
    pub name: Option<String>,
    /// Name for the index that is made when there is none.
    pub index: Option<String>,
    /// The child's columns.
    pub columns: Vec<String>,
    /// What they refer to.
    pub references: References,
}

/// `REFERENCES …`.
#[derive(Clone, Debug)]
pub struct References {
    /// The parent.
    pub table: (Option<String>, String),
    /// Its columns; empty when none were named.
    pub columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
}

/// `(part, …)`.
pub fn parts(c: &mut Cursor<'_, '_>) -> Result<Vec<KeyPart>, SqlError> {
    c.parenthesized(|c| {
        let (mut column, mut expression, mut prefix) = (String::new(), None, None);
        if c.eat_token(&Token::LParen) {
            expression = Some(c.expr()?);
            c.expect_token(&Token::RParen)?;
        } else {
            column = c.name()?;
            if c.eat_token(&Token::LParen) {
                prefix = Some(c.number()?);
                c.expect_token(&Token::RParen)?;
            }
        }
        let descending = c.eat("desc");
        if !descending {
            c.eat("asc");
        }
        Ok(KeyPart { column, expression, prefix, descending })
    })
}

/// `[name] [USING x] (parts) options`; the keyword was read.
pub fn index(c: &mut Cursor<'_, '_>, unique: bool, primary: bool) -> Result<IndexSpec, SqlError> {
    let mut spec = IndexSpec { unique, primary, ..IndexSpec::default() };
    if c.token(0) != &Token::LParen && !c.is("using") && !c.is("type") {
        let name = c.name()?;
        spec.name = Some(name).filter(|_| !primary);
    }
    index_type(c)?;
    spec.parts = parts(c)?;
    index_options(c, &mut spec)?;
    Ok(spec)
}

/// `[name] (columns) options`; FULLTEXT and INDEX or KEY were read.
pub fn fulltext(c: &mut Cursor<'_, '_>) -> Result<IndexSpec, SqlError> {
    let mut spec = IndexSpec { fulltext: true, ..IndexSpec::default() };
    if c.token(0) != &Token::LParen {
        spec.name = Some(c.name()?);
    }
    spec.parts = parts(c)?;
    index_options(c, &mut spec)?;
    Ok(spec)
}

/// `USING BTREE`; HASH is read and means BTREE, as in InnoDB.
pub fn index_type(c: &mut Cursor<'_, '_>) -> Result<bool, SqlError> {
    if !c.eat("using") && !c.eat("type") {
        return Ok(false);
    }
    match c.eat_one(&["btree", "hash", "rtree"]) {
        Some("rtree") => Err(SqlError::unsupported("RTREE indexes")),
        Some(_) => Ok(true),
        None => Err(c.error()),
    }
}

/// Options behind the parts.
pub fn index_options(c: &mut Cursor<'_, '_>, spec: &mut IndexSpec) -> Result<(), SqlError> {
    loop {
        if index_type(c)? {
        } else if c.eat("comment") {
            spec.comment = c.string()?;
        } else if c.eat("key_block_size") {
            c.eat_token(&Token::Eq);
            c.number()?;
        } else if c.eat("visible") {
            spec.invisible = false;
        } else if c.eat("invisible") {
            spec.invisible = true;
        } else if c.is("with parser") {
            return Err(SqlError::unsupported("WITH PARSER"));
        } else {
            return Ok(());
        }
    }
}

/// `[index] (columns) REFERENCES …`; FOREIGN KEY was read.
pub fn foreign_key(c: &mut Cursor<'_, '_>, name: Option<String>) -> Result<ForeignKeySpec, SqlError> {
    let index = if c.token(0) == &Token::LParen { None } else { Some(c.name()?) };
    let columns = c.parenthesized(|c| c.name())?;
    c.expect("references")?;
    let references = references(c)?;
    Ok(ForeignKeySpec { name, index, columns, references })
}

/// `table [(columns)] [MATCH x] [ON DELETE x] [ON UPDATE x]`; REFERENCES was read.
pub fn references(c: &mut Cursor<'_, '_>) -> Result<References, SqlError> {
    let table = c.table_name()?;
    let columns = if c.token(0) == &Token::LParen { c.parenthesized(|c| c.name())? } else { Vec::new() };
    if c.eat("match") && c.eat_one(&["full", "partial", "simple"]).is_none() {
        return Err(c.error());
    }
    let mut spec = References {
        table,
        columns,
        on_delete: ReferentialAction::NoAction,
        on_update: ReferentialAction::NoAction,
    };
    loop {
        if c.eat("on delete") {
            spec.on_delete = action(c)?;
        } else if c.is("on update") && !c.is_at(2, "current_timestamp") {
            c.eat("on update");
            spec.on_update = action(c)?;
        } else {
            return Ok(spec);
        }
    }
}

fn action(c: &mut Cursor<'_, '_>) -> Result<ReferentialAction, SqlError> {
    match c.eat_one(&["restrict", "cascade", "set null", "no action", "set default"]) {
        Some("restrict") => Ok(ReferentialAction::Restrict),
        Some("cascade") => Ok(ReferentialAction::Cascade),
        Some("set null") => Ok(ReferentialAction::SetNull),
        Some("no action") => Ok(ReferentialAction::NoAction),
        Some(_) => Err(SqlError::new(1215, "HY000", "Cannot add foreign key constraint")),
        None => Err(c.error()),
    }
}

fn virtual_column(key: &str, column: &str) -> String {
    format!("Foreign key '{key}' uses virtual column '{column}' which is not supported.")
}

/// The next free generated name: `table_ibfk_3`.
fn generated_name<'n>(table: &str, kind: &str, taken: impl Iterator<Item = &'n str>) -> String {
    let prefix = format!("{table}_{kind}_");
    let number = |n: &str| n.strip_prefix(&prefix)?.parse::<u64>().ok();
    let last = taken.filter_map(number).max().unwrap_or(0);
    format!("{prefix}{}", last + 1)
}

impl Draft<'_> {
    /// Adds a CHECK.
    ///
    /// # Errors
    /// 3812 to 3822.
    pub fn add_check(&mut self, cx: &Context<'_>, spec: CheckSpec) -> Result<(), SqlError> {
        let name = match spec.name {
            Some(name) => name,
            None => generated_name(&self.name, "chk", self.checks.iter().map(|k| k.name.as_str())),
        };
        let fail = |code, message| Err(SqlError::new(code, "HY000", message));
        let elsewhere = self.siblings(cx).any(|t| t.checks.iter().any(|k| same_name(&k.name, &name)));
        if elsewhere || self.checks.iter().any(|k| same_name(&k.name, &name)) {
            return fail(3822, format!("Duplicate check constraint name '{name}'."));
        }
        let disallowed = |function: String| {
            let message = format!(
                "An expression of a check constraint '{name}' contains disallowed function{function}."
            );
            SqlError::new(if function.is_empty() { 3815 } else { 3814 }, "HY000", message)
        };
        match canonical::unfit(&spec.expr) {
            Some(Unfit::Form("a variable")) => {
                let message = format!(
                    "An expression of a check constraint '{name}' cannot refer to a user or system variable."
                );
                return fail(3816, message);
            }
            Some(Unfit::Form(_)) => return Err(disallowed(String::new())),
            Some(Unfit::Function(f)) => return Err(disallowed(format!(": {f}"))),
            None => {}
        }
        let stored = |f: &String| {
            f.contains('.') || cx.catalog.routine(ObjectKind::Function, &self.database.1, f).is_some()
        };
        if let Some(f) = canonical::functions_of(&spec.expr).into_iter().find(|f| stored(f)) {
            return Err(disallowed(format!(": `{}`", f.rsplit('.').next().unwrap_or_default())));
        }
        for column in canonical::columns_of(&spec.expr) {
            let Some(at) = self.column(&column) else {
                return fail(
                    3820,
                    format!("Check constraint '{name}' refers to non-existing column '{column}'."),
                );
            };
            if self.columns[at].def.auto_increment {
                let message = format!("Check constraint '{name}' cannot refer to an auto-increment column.");
                return fail(3818, message);
            }
            if spec.column.as_ref().is_some_and(|own| !same_name(own, &column)) {
                return fail(3813, format!("Column check constraint '{name}' references other column."));
            }
        }
        let def = CheckDef { expression: canonical::expression(&spec.expr), enforced: spec.enforced };
        let id = self.new_id(&name, &Definition::Check(def.clone()));
        self.checks.push(Part { id, name, def, position: 0 });
        Ok(())
    }

    fn siblings<'c>(&self, cx: &Context<'c>) -> impl Iterator<Item = &'c Table> + use<'c> {
        let id = self.id;
        // Names of constraints of temporary tables are their own affair.
        let db = cx.catalog.database(&self.database.1).filter(|_| !self.temporary);
        db.into_iter().flat_map(|d| d.tables()).map(|t| t.as_ref()).filter(move |t| t.id != id)
    }

    /// Adds a foreign key, and the index that it needs.
    ///
    /// # Errors
    /// 1072, 1239, 1824, 1826, 1822, 3733, 3734, 3780.
    pub fn add_foreign_key(&mut self, cx: &Context<'_>, spec: ForeignKeySpec) -> Result<(), SqlError> {
        if self.temporary {
            return Err(SqlError::new(1215, "HY000", "Cannot add foreign key constraint"));
        }
        let named = spec.name.is_some();
        let name = match spec.name {
            Some(name) => name,
            None => generated_name(&self.name, "ibfk", self.foreign_keys.iter().map(|k| k.name.as_str())),
        };
        let fail = |code: u16, message: String| Err(SqlError::new(code, "HY000", message));
        let elsewhere = self.siblings(cx).any(|t| t.foreign_keys.iter().any(|k| same_name(&k.name, &name)));
        if elsewhere || self.foreign_keys.iter().any(|k| same_name(&k.name, &name)) {
            return fail(1826, format!("Duplicate foreign key constraint name '{name}'"));
        }
        let r = &spec.references;
        if r.columns.len() != spec.columns.len() {
            let message = format!(
                "Incorrect foreign key definition for '{name}': Key reference and table reference don't match"
            );
            return Err(SqlError::new(1239, "42000", message));
        }
        let mut columns: Vec<ColumnTag> = Vec::new();
        for c in &spec.columns {
            let at = self.column(c).ok_or_else(|| SqlError::no_key_column(c))?;
            let c = &self.columns[at];
            match &c.def.generated {
                Some(g) if g.stored => {
                    return Err(SqlError::unsupported("a foreign key over a generated column"));
                }
                Some(_) => return fail(3733, virtual_column(&name, &c.name)),
                None => {}
            }
            if columns.contains(&c.id.tag()) {
                return Err(SqlError::duplicate_column(&c.name));
            }
            columns.push(c.id.tag());
        }
        let db = r.table.0.clone().unwrap_or_else(|| self.database.1.clone());
        let itself = db == self.database.1 && r.table.1 == self.name;
        let parent = cx.catalog.database(&db).filter(|_| !itself).and_then(|d| d.permanent_table(&r.table.1));
        let checked = cx.session.foreign_key_checks;
        if !itself && parent.is_none() && checked {
            return fail(1824, format!("Failed to open the referenced table '{}'", r.table.1));
        }
        let mut def = ForeignKeyDef {
            columns: columns.clone(),
            parent: None,
            parent_columns: Vec::new(),
            parent_names: Some((db, r.table.1.clone(), r.columns.clone())),
            on_delete: r.on_delete,
            on_update: r.on_update,
        };
        let known: Option<(ObjectId, Vec<(ColumnTag, SqlType)>)> = match parent {
            _ if itself => {
                let find = |n: &String| self.column(n).map(|i| &self.columns[i]);
                let all = r.columns.iter().map(|n| {
                    find(n)
                        .map(|c| (c.id.tag(), c.def.ty.clone()))
                        .ok_or_else(|| missing_column(n, &name, &self.name))
                });
                Some((self.id, all.collect::<Result<_, _>>()?))
            }
            Some(p) => {
                let all = r.columns.iter().map(|n| {
                    p.column(n)
                        .map(|c| (c.tag, c.def.ty.clone()))
                        .ok_or_else(|| missing_column(n, &name, &p.name))
                });
                Some((p.id, all.collect::<Result<_, _>>()?))
            }
            None => None,
        };
        let of_parent = |tag: ColumnTag| match parent {
            Some(p) => p.column_by_tag(tag).map(|c| &c.def),
            None => self.by_tag(tag).map(|c| &c.def),
        };
        for (n, (tag, _)) in known.iter().flat_map(|k| k.1.iter().enumerate()) {
            match of_parent(*tag).and_then(|c| c.generated.as_ref()) {
                Some(g) if g.stored => {
                    return Err(SqlError::unsupported("a foreign key that refers to a generated column"));
                }
                Some(_) => return fail(3733, virtual_column(&name, &r.columns[n])),
                None => {}
            }
        }
        if let Some((id, parents)) = known {
            for (n, (child, (_, ty))) in columns.iter().zip(&parents).enumerate() {
                let child = self.by_tag(*child).map(|c| &c.def.ty);
                if !child.is_some_and(|c| comparable(c, ty)) {
                    let message = format!(
                        "Referencing column '{}' and referenced column '{}' in foreign key constraint '{name}' are \
                         incompatible.",
                        spec.columns[n], r.columns[n]
                    );
                    return fail(3780, message);
                }
            }
            let tags: Vec<_> = parents.iter().map(|(t, _)| *t).collect();
            let indexed = match parent {
                Some(p) => p.indexes.iter().any(|i| i.def.leads(&tags)),
                None => self.has_index_for(&tags),
            };
            if !indexed && checked {
                let message = format!(
                    "Failed to add the foreign key constraint. Missing index for constraint '{name}' in the \
                     referenced table '{}'",
                    r.table.1
                );
                return fail(1822, message);
            }
            (def.parent, def.parent_columns, def.parent_names) = (Some(id), tags, None);
        }
        if !self.has_index_for(&columns) {
            let wanted = spec.index.or_else(|| named.then(|| name.clone()));
            // One that another foreign key made, and that goes with this one, does not have its name any more.
            let goes = |at: usize| self.indexes[at].def.is_spare_beside(columns.iter().copied());
            let wanted = wanted.filter(|n| self.index(n).is_none_or(goes));
            let parts: Vec<_> = spec.columns.iter().map(|c| KeyPart::of(c)).collect();
            self.add_index(wanted, false, false, &parts, String::new(), false)?;
            // Afterwards, so that one that another node asks for by the same name is the same index.
            if let Some(made) = self.indexes.last_mut() {
                made.def.implied = true;
            }
        }
        let id = self.new_id(&name, &Definition::ForeignKey(def.clone()));
        self.foreign_keys.push(Part { id, name, def, position: 0 });
        Ok(())
    }

    /// What SET NULL of a foreign key may set holds NULL. A table that has come to be otherwise, as one side made the key
    /// while the other took NULL away, can still be altered, and made again from its dump, with `foreign_key_checks = 0`.
    ///
    /// # Errors
    /// 1830.
    pub(super) fn set_null_can(&self) -> Result<(), SqlError> {
        if self.from_dump {
            return Ok(());
        }
        let was_so = |k: &Part<ForeignKeyDef>, column: ColumnTag| {
            self.old.is_some_and(|t| {
                t.foreign_keys.iter().any(|o| o.id == k.id)
                    && t.column_by_tag(column).is_some_and(|c| !c.def.nullable)
            })
        };
        let sets = |k: &&Part<ForeignKeyDef>| {
            [k.def.on_delete, k.def.on_update].contains(&ReferentialAction::SetNull)
        };
        for k in self.foreign_keys.iter().filter(sets) {
            for c in self.columns.iter().filter(|c| k.def.columns.contains(&c.id.tag())) {
                if !c.def.nullable && !was_so(k, c.id.tag()) {
                    let message = format!(
                        "Column '{}' cannot be NOT NULL: needed in a foreign key constraint '{}' SET NULL",
                        c.name, k.name
                    );
                    return Err(SqlError::new(1830, "HY000", message));
                }
            }
        }
        Ok(())
    }

    /// The query that finds rows without a parent, for a key made on a table that has rows.
    pub fn orphans(&self, cx: &Context<'_>, k: &Part<ForeignKeyDef>) -> Option<(String, SqlError)> {
        let old = self.old?;
        let parent = cx.catalog.table_by_id(k.def.parent?)?;
        let all_old = k.def.columns.iter().all(|t| old.column_by_tag(*t).is_some());
        let all_parents = k.def.parent_columns.iter().all(|t| parent.column_by_tag(*t).is_some());
        if !cx.session.foreign_key_checks || !all_old || !all_parents {
            return None;
        }
        let not_null: Vec<_> =
            k.def.columns.iter().map(|t| format!("c.{} IS NOT NULL", physical_column(*t))).collect();
        let equal: Vec<_> = (k.def.columns.iter().zip(&k.def.parent_columns))
            .map(|(c, p)| format!("p.{}=c.{}", physical_column(*p), physical_column(*c)))
            .collect();
        let sql = format!(
            "SELECT 1 FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {}) LIMIT 1",
            old.physical(),
            not_null.join(" AND "),
            physical_table(parent.id),
            equal.join(" AND ")
        );
        let list = |tags: &[ColumnTag], name: &dyn Fn(ColumnTag) -> String| {
            tags.iter().map(|t| quote(&name(*t))).collect::<Vec<_>>().join(", ")
        };
        let own = |t: ColumnTag| self.by_tag(t).map(|c| c.name.clone()).unwrap_or_default();
        let theirs = |t: ColumnTag| parent.column_by_tag(t).map(|c| c.name.clone()).unwrap_or_default();
        let message = format!(
            "Cannot add or update a child row: a foreign key constraint fails ({}.{}, CONSTRAINT {} FOREIGN KEY ({}) \
             REFERENCES {} ({}))",
            quote(&self.database.1),
            quote(&self.name),
            quote(&k.name),
            list(&k.def.columns, &own),
            quote(&parent.name),
            list(&k.def.parent_columns, &theirs)
        );
        Some((sql, SqlError::new(1452, "23000", message)))
    }

    /// The query that finds two rows with one key, for a unique index made on a table that has rows.
    pub fn duplicates(&self, i: &Part<IndexDef>) -> Option<(String, SqlError)> {
        let old = self.old?;
        let generated = |tag: ColumnTag| self.by_tag(tag).is_some_and(|c| c.def.generated.is_some());
        let made = |tag: ColumnTag| self.by_tag(tag).and_then(|c| self.made_value(c));
        let known = |p: &IndexPart| {
            old.column_by_tag(p.column).is_some() || generated(p.column) || made(p.column).is_some()
        };
        if !i.def.unique || !i.def.parts.iter().all(known) {
            return None;
        }
        let mut values = Vec::new();
        for p in &i.def.parts {
            let computed = generated(p.column).then(|| self.present_value(p.column));
            values.push(match computed {
                Some(value) => Some(value?),
                None => made(p.column),
            });
        }
        // A prefix loses its column's collation, so that is said again.
        let part = |(p, value): (&IndexPart, Option<String>)| {
            let converted = self.converted.iter().rev().find(|(tag, _)| *tag == p.column);
            let converted = || converted.map_or_else(|| physical_column(p.column), |(_, sql)| sql.clone());
            let column = value.unwrap_or_else(converted);
            let collation = self.by_tag(p.column).and_then(|c| sqlite_collation(&c.def.ty));
            let collate = collation.map_or_else(String::new, |c| format!(" COLLATE \"{c}\""));
            match p.prefix {
                Some(n) => format!("substr({column},1,{n}){collate}"),
                None => format!("{column}{collate}"),
            }
        };
        let columns: Vec<_> = i.def.parts.iter().zip(values).map(part).collect();
        let not_null: Vec<_> = columns.iter().map(|c| format!("{c} IS NOT NULL")).collect();
        let list = columns.join(",");
        // As the message shows it.
        let text = |(p, sql): (&IndexPart, &String)| {
            let ty = self.by_tag(p.column).map(|c| &c.def.ty);
            let members = |v: &[String]| crate::functions::members_spec(v).replace('\'', "''");
            match ty {
                Some(SqlType::Enum { values, .. }) => format!("p_enum({sql},'{}')", members(values)),
                Some(SqlType::Set { values, .. }) => format!("p_set({sql},'{}')", members(values)),
                Some(ty) => {
                    let from = FieldType::of_column(ty).code();
                    match from.class {
                        Class::Int | Class::Text | Class::Bytes => sql.clone(),
                        _ => format!("p_cv({sql},{},{})", from.pack(), TypeCode::of(Class::Text).pack()),
                    }
                }
                None => sql.clone(),
            }
        };
        let shown: Vec<String> = i.def.parts.iter().zip(&columns).map(text).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} GROUP BY {list} HAVING count(*)>1 LIMIT 1",
            shown.join(","),
            old.physical(),
            not_null.join(" AND ")
        );
        let places: Vec<_> = (0..columns.len()).map(|n| format!("{{{n}}}")).collect();
        Some((sql, SqlError::duplicate_entry(places.join("-"), format!("{}.{}", self.name, i.name))))
    }
}

fn missing_column(column: &str, key: &str, table: &str) -> SqlError {
    let message = format!(
        "Failed to add the foreign key constraint. Missing column '{column}' for constraint '{key}' in the referenced \
         table '{table}'"
    );
    SqlError::new(3734, "HY000", message)
}

/// Two columns that a foreign key may join: same type; integers of one size and sign, text of one collation.
pub(super) fn comparable(a: &SqlType, b: &SqlType) -> bool {
    match (a, b) {
        (SqlType::Int { size: s, unsigned: u, .. }, SqlType::Int { size: t, unsigned: v, .. }) => {
            s == t && u == v
        }
        (
            SqlType::Decimal { precision: p, scale: s, .. },
            SqlType::Decimal { precision: q, scale: t, .. },
        ) => p == q && s == t,
        (
            SqlType::Char { collation: c, .. } | SqlType::VarChar { collation: c, .. },
            SqlType::Char { collation: d, .. } | SqlType::VarChar { collation: d, .. },
        ) => c == d,
        (
            SqlType::Binary { .. } | SqlType::VarBinary { .. },
            SqlType::Binary { .. } | SqlType::VarBinary { .. },
        ) => true,
        (SqlType::Enum { .. }, SqlType::Enum { .. }) | (SqlType::Set { .. }, SqlType::Set { .. }) => true,
        (SqlType::Float { .. }, SqlType::Float { .. }) | (SqlType::Double { .. }, SqlType::Double { .. }) => {
            true
        }
        (a, b) => a == b,
    }
}
