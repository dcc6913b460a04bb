//! Schema objects as MySQL 8 writes them: column types, defaults, SHOW CREATE TABLE and its kin.
//!
//! ORMs parse this text, so the layout is MySQL's to the blank. Held by the golden files under `tests/golden`.

use p2pdb_model::Catalog;
use p2pdb_model::catalog::{Column, Database, ForeignKey, Index, Table, View};
use p2pdb_model::schema::{DefaultValue, ForeignKeyDef, IndexDef, ReferentialAction};
use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};

/// A name in backquotes.
pub fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal, escaped as SHOW CREATE does.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for ch in text.chars() {
        match ch {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\x1a' => out.push_str("\\Z"),
            _ => out.push(ch),
        }
    }
    out.push('\'');
    out
}

/// The type's bare name (`DATA_TYPE`).
pub fn data_type(ty: &SqlType) -> &'static str {
    match ty {
        SqlType::Int { size, .. } => match size {
            IntSize::Tiny => "tinyint",
            IntSize::Small => "smallint",
            IntSize::Medium => "mediumint",
            IntSize::Int => "int",
            IntSize::Big => "bigint",
        },
        SqlType::Decimal { .. } => "decimal",
        SqlType::Float { .. } => "float",
        SqlType::Double { .. } => "double",
        SqlType::Bit { .. } => "bit",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::DateTime { .. } => "datetime",
        SqlType::Timestamp { .. } => "timestamp",
        SqlType::Year => "year",
        SqlType::Char { .. } => "char",
        SqlType::VarChar { .. } => "varchar",
        SqlType::Text { size, .. } => match size {
            LobSize::Tiny => "tinytext",
            LobSize::Normal => "text",
            LobSize::Medium => "mediumtext",
            LobSize::Long => "longtext",
        },
        SqlType::Binary { .. } => "binary",
        SqlType::VarBinary { .. } => "varbinary",
        SqlType::Blob { size } => match size {
            LobSize::Tiny => "tinyblob",
            LobSize::Normal => "blob",
            LobSize::Medium => "mediumblob",
            LobSize::Long => "longblob",
        },
        SqlType::Enum { .. } => "enum",
        SqlType::Set { .. } => "set",
        SqlType::Json => "json",
    }
}

/// The type as written (`COLUMN_TYPE`), without character set.
pub fn column_type(ty: &SqlType) -> String {
    let name = data_type(ty);
    let unsigned = |on: &bool| if *on { " unsigned" } else { "" };
    let fsp = |n: &u8| if *n > 0 { format!("{name}({n})") } else { name.to_owned() };
    let members = |values: &[String]| {
        let quoted: Vec<_> = values.iter().map(|v| format!("'{}'", v.replace('\'', "''"))).collect();
        format!("{name}({})", quoted.join(","))
    };
    match ty {
        SqlType::Int { size, zerofill: true, width, .. } => {
            let digits = width.unwrap_or(match size {
                IntSize::Tiny => 3,
                IntSize::Small => 5,
                IntSize::Medium => 8,
                IntSize::Int => 10,
                IntSize::Big => 20,
            });
            format!("{name}({digits}) unsigned zerofill")
        }
        SqlType::Int { width: Some(w), unsigned: u, .. } => format!("{name}({w}){}", unsigned(u)),
        SqlType::Int { unsigned: u, .. } => format!("{name}{}", unsigned(u)),
        SqlType::Decimal { precision, scale, unsigned: u } => {
            format!("{name}({precision},{scale}){}", unsigned(u))
        }
        SqlType::Float { unsigned: u, digits } | SqlType::Double { unsigned: u, digits } => match digits {
            Some((m, d)) => format!("{name}({m},{d}){}", unsigned(u)),
            None => format!("{name}{}", unsigned(u)),
        },
        SqlType::Bit { bits } => format!("{name}({bits})"),
        SqlType::Time { fsp: n } | SqlType::DateTime { fsp: n } | SqlType::Timestamp { fsp: n } => fsp(n),
        SqlType::Char { chars, .. } | SqlType::VarChar { chars, .. } => format!("{name}({chars})"),
        SqlType::Binary { bytes } | SqlType::VarBinary { bytes } => format!("{name}({bytes})"),
        SqlType::Enum { values, .. } | SqlType::Set { values, .. } => members(values),
        SqlType::Date | SqlType::Year | SqlType::Text { .. } | SqlType::Blob { .. } | SqlType::Json => {
            name.to_owned()
        }
    }
}

/// True for types that never take a literal default (1101); all but JSON show no `DEFAULT NULL` either.
pub fn is_lob(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Text { .. } | SqlType::Blob { .. } | SqlType::Json)
}

fn now(fsp: u8) -> String {
    if fsp == 0 { "CURRENT_TIMESTAMP".to_owned() } else { format!("CURRENT_TIMESTAMP({fsp})") }
}

fn fsp_of(ty: &SqlType) -> u8 {
    match ty {
        SqlType::Time { fsp } | SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => *fsp,
        _ => 0,
    }
}

/// An expression as information_schema shows it.
pub fn escaped(expression: &str) -> String {
    expression.replace('\\', "\\\\").replace('\'', "\\'")
}

/// The bytes of a literal default of BINARY or VARBINARY.
fn bytes_default(ty: &SqlType, default: &DefaultValue) -> Option<Vec<u8>> {
    if !matches!(ty, SqlType::Binary { .. } | SqlType::VarBinary { .. }) {
        return None;
    }
    match default {
        DefaultValue::Literal(t) => Some(t.clone().into_bytes()),
        DefaultValue::Bits(t) => crate::front::tokens::bits(t),
        _ => None,
    }
}

/// `COLUMN_DEFAULT` of information_schema and the Default of SHOW COLUMNS.
pub fn default_raw(c: &Column) -> Option<String> {
    default_text(&c.def.ty, c.def.default.as_ref()?)
}

/// A default of this type, as [`default_raw`] shows it.
pub fn default_text(ty: &SqlType, default: &DefaultValue) -> Option<String> {
    match default {
        DefaultValue::Null | DefaultValue::Nothing => None,
        // In hexadecimal digits, up to the first zero byte.
        d if bytes_default(ty, d).is_some_and(|b| !b.is_empty()) => {
            let bytes = bytes_default(ty, d)?;
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            Some(format!("0x{}", p2pdb_model::ids::hex(&bytes[..end]).to_uppercase()))
        }
        DefaultValue::Literal(t) | DefaultValue::Bits(t) => Some(t.clone()),
        DefaultValue::Now(fsp) => Some(now(*fsp)),
        DefaultValue::Expression(e) => Some(escaped(e)),
    }
}

/// `EXTRA` of information_schema and SHOW COLUMNS.
pub fn extra(c: &Column) -> String {
    let mut words = Vec::new();
    if c.def.auto_increment {
        words.push("auto_increment".to_owned());
    }
    if matches!(c.def.default, Some(DefaultValue::Now(_) | DefaultValue::Expression(_))) {
        words.push("DEFAULT_GENERATED".to_owned());
    }
    if c.def.on_update_now {
        words.push(format!("on update {}", now(fsp_of(&c.def.ty))));
    }
    if let Some(g) = &c.def.generated {
        words.push(if g.stored { "STORED GENERATED" } else { "VIRTUAL GENERATED" }.to_owned());
    }
    if c.def.invisible {
        words.push("INVISIBLE".to_owned());
    }
    words.join(" ")
}

/// `COLUMN_KEY`: PRI, UNI or MUL.
pub fn column_key(table: &Table, c: &Column) -> &'static str {
    if table.primary().is_some_and(|p| p.def.parts.iter().any(|part| part.column == c.tag)) {
        return "PRI";
    }
    let first = |i: &&Index| i.def.parts.first().is_some_and(|p| p.column == c.tag);
    let mut leading = table.indexes.iter().filter(first);
    let mut key = "";
    let no_primary = table.primary().is_none();
    let not_null_unique = table.indexes.iter().find(|i| is_not_null_unique(table, i));
    leading.try_for_each(|i| {
        if i.def.unique && i.def.parts.len() == 1 {
            // Without a primary key the first unique key without NULLs is shown as one.
            let promoted = no_primary && not_null_unique.is_some_and(|n| n.id == i.id);
            key = if promoted { "PRI" } else { "UNI" };
            return None;
        }
        key = "MUL";
        Some(())
    });
    if no_primary
        && key != "PRI"
        && let Some(i) = not_null_unique
        && i.def.parts.iter().any(|p| p.column == c.tag)
    {
        return "PRI";
    }
    key
}

fn is_not_null_unique(table: &Table, i: &Index) -> bool {
    let not_null = |t| table.column_by_tag(t).is_some_and(|c| !c.def.nullable);
    i.def.unique && i.def.parts.iter().all(|p| p.prefix.is_none() && not_null(p.column))
}

/// The indexes in MySQL's order: primary, unique without NULL, unique, the rest, full-text; among equals those over
/// columns that are computed when read come last, and of unique ones those over prefixes after them.
pub fn sorted_indexes(table: &Table) -> Vec<&Index> {
    let mut all: Vec<&Index> = table.indexes.iter().collect();
    let virtual_column =
        |t| table.column_by_tag(t).and_then(|c| c.def.generated.as_ref()).is_some_and(|g| !g.stored);
    let not_null = |t| table.column_by_tag(t).is_some_and(|c| !c.def.nullable);
    all.sort_by_key(|i| {
        let prefix = i.def.unique && i.def.parts.iter().any(|p| p.prefix.is_some());
        let rank = match () {
            () if i.name == "PRIMARY" => 0,
            () if i.def.unique && i.def.parts.iter().all(|p| not_null(p.column)) => 1,
            () if i.def.unique => 2,
            () if i.def.fulltext => 4,
            () => 3,
        };
        (rank, i.def.parts.iter().any(|p| virtual_column(p.column)), prefix)
    });
    all
}

/// One column as SHOW CREATE TABLE writes it.
fn column(table: &Table, c: &Column) -> String {
    let def = &c.def;
    let mut out = format!("{} {}", quote(&c.name), column_type(&def.ty));
    if let Some(collation) = def.ty.collation() {
        let given = def.collation_given || collation != table.def.collation;
        if given {
            out.push_str(&format!(" CHARACTER SET {}", collation.charset()));
        }
        if (given || collation != Collation::Utf8mb4_0900AiCi) && collation != Collation::Binary {
            out.push_str(&format!(" COLLATE {}", collation.name()));
        }
    }
    if let Some(g) = &def.generated {
        let kind = if g.stored { "STORED" } else { "VIRTUAL" };
        out.push_str(&format!(" GENERATED ALWAYS AS ({}) {kind}", g.expression));
    }
    if !def.nullable {
        out.push_str(" NOT NULL");
    } else if matches!(def.ty, SqlType::Timestamp { .. }) {
        out.push_str(" NULL");
    }
    match &def.default {
        Some(DefaultValue::Null) | None => {
            let silent = is_lob(&def.ty) && def.ty != SqlType::Json;
            let implied = def.nullable && def.generated.is_none() && !silent;
            out.push_str(if implied { " DEFAULT NULL" } else { "" });
        }
        Some(DefaultValue::Nothing) => {}
        Some(DefaultValue::Literal(t)) => out.push_str(&format!(" DEFAULT {}", literal(t))),
        Some(d @ DefaultValue::Bits(t)) => match bytes_default(&def.ty, d).map(String::from_utf8) {
            Some(Ok(text)) => out.push_str(&format!(" DEFAULT {}", literal(&text))),
            _ => out.push_str(&format!(" DEFAULT {t}")),
        },
        Some(DefaultValue::Now(fsp)) => out.push_str(&format!(" DEFAULT {}", now(*fsp))),
        Some(DefaultValue::Expression(e)) => out.push_str(&format!(" DEFAULT ({e})")),
    }
    if def.on_update_now {
        out.push_str(&format!(" ON UPDATE {}", now(fsp_of(&def.ty))));
    }
    if def.auto_increment {
        out.push_str(" AUTO_INCREMENT");
    }
    if def.invisible {
        out.push_str(" /*!80023 INVISIBLE */");
    }
    if !def.comment.is_empty() {
        out.push_str(&format!(" COMMENT {}", literal(&def.comment)));
    }
    out
}

fn index(table: &Table, i: &Index) -> String {
    let parts: Vec<_> = i
        .def
        .parts
        .iter()
        .filter_map(|p| Some((table.column_by_tag(p.column)?, p)))
        .map(|(c, p)| {
            let prefix = p.prefix.map(|n| format!("({n})")).unwrap_or_default();
            let what = match &c.def.generated {
                Some(g) if c.is_hidden() => format!("({})", g.expression),
                _ => quote(&c.name),
            };
            format!("{what}{prefix}{}", if p.descending { " DESC" } else { "" })
        })
        .collect();
    let parts = parts.join(",");
    let mut out = match i.name.as_str() {
        "PRIMARY" => format!("PRIMARY KEY ({parts})"),
        name => {
            let kind = match i.def {
                IndexDef { unique: true, .. } => "UNIQUE ",
                IndexDef { fulltext: true, .. } => "FULLTEXT ",
                _ => "",
            };
            format!("{kind}KEY {} ({parts})", quote(name))
        }
    };
    if !i.def.comment.is_empty() {
        out.push_str(&format!(" COMMENT {}", literal(&i.def.comment)));
    }
    if i.def.invisible {
        out.push_str(" /*!80000 INVISIBLE */");
    }
    out
}

/// `RESTRICT`, `CASCADE`, … as information_schema names it.
pub fn action(a: ReferentialAction) -> &'static str {
    match a {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
    }
}

/// The parent of a foreign key by its names: database, table, columns.
pub fn parent_names(catalog: &Catalog, k: &ForeignKey) -> Option<(String, String, Vec<String>)> {
    if let Some((id, tags)) = &k.parent {
        let parent = catalog.table_by_id(*id)?;
        let names: Option<Vec<_>> =
            tags.iter().map(|t| parent.column_by_tag(*t).map(|c| c.name.clone())).collect();
        return Some((parent.database.clone(), parent.name.clone(), names?));
    }
    k.def.parent_names.clone()
}

fn foreign_key(catalog: &Catalog, table: &Table, k: &ForeignKey) -> Option<String> {
    let parent = parent_names(catalog, k)?;
    let own: Option<Vec<_>> =
        k.def.columns.iter().map(|t| table.column_by_tag(*t).map(|c| c.name.as_str())).collect();
    Some(reference(&table.database, (&k.name, &own?), parent, &k.def))
}

/// A foreign key by the names of its columns and of its parent (database, table, columns), as a table of `database` has it.
pub(crate) fn reference(
    database: &str,
    (name, own): (&str, &[&str]),
    (db, parent, columns): (String, String, Vec<String>),
    def: &ForeignKeyDef,
) -> String {
    let list = |names: &mut dyn Iterator<Item = &str>| names.map(quote).collect::<Vec<_>>().join(", ");
    let parent = if db == database { quote(&parent) } else { format!("{}.{}", quote(&db), quote(&parent)) };
    let mut out = format!(
        "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {parent} ({})",
        quote(name),
        list(&mut own.iter().copied()),
        list(&mut columns.iter().map(String::as_str))
    );
    for (what, a) in [("DELETE", def.on_delete), ("UPDATE", def.on_update)] {
        if a != ReferentialAction::NoAction {
            out.push_str(&format!(" ON {what} {}", action(a)));
        }
    }
    out
}

/// The text of SHOW CREATE TABLE. `next` is the next AUTO_INCREMENT value, shown above 1.
pub fn create_table(catalog: &Catalog, table: &Table, next: u64) -> String {
    let mut lines: Vec<String> =
        table.columns.iter().filter(|c| !c.is_hidden()).map(|c| column(table, c)).collect();
    lines.extend(sorted_indexes(table).into_iter().map(|i| index(table, i)));
    let mut keys: Vec<_> = table.foreign_keys.iter().collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    lines.extend(keys.into_iter().filter_map(|k| foreign_key(catalog, table, k)));
    let mut checks: Vec<_> = table.checks.iter().collect();
    checks.sort_by_cached_key(|k| k.name.to_lowercase());
    lines.extend(checks.into_iter().map(|k| {
        let off = if k.def.enforced { "" } else { " /*!80016 NOT ENFORCED */" };
        format!("CONSTRAINT {} CHECK ({}){off}", quote(&k.name), k.def.expression)
    }));
    let temporary = if catalog.is_temporary(table.id) { "TEMPORARY " } else { "" };
    let mut out = format!(
        "CREATE {temporary}TABLE {} (\n  {}\n) ENGINE=InnoDB",
        quote(&table.name),
        lines.join(",\n  ")
    );
    if table.auto_increment().is_some() && next > 1 {
        out.push_str(&format!(" AUTO_INCREMENT={next}"));
    }
    out.push_str(&format!(" DEFAULT CHARSET={}", table.def.collation.charset()));
    if table.def.collation != Collation::Binary {
        out.push_str(&format!(" COLLATE={}", table.def.collation.name()));
    }
    for option in &table.def.options {
        out.push_str(&format!(" {option}"));
    }
    if !table.def.comment.is_empty() {
        out.push_str(&format!(" COMMENT={}", literal(&table.def.comment)));
    }
    out
}

/// The text of SHOW CREATE DATABASE.
pub fn create_database(db: &Database, if_not_exists: bool) -> String {
    let c = db.def.collation;
    let condition = if if_not_exists { "/*!32312 IF NOT EXISTS*/ " } else { "" };
    let collate = if c == Collation::Binary { String::new() } else { format!(" COLLATE {}", c.name()) };
    format!(
        "CREATE DATABASE {condition}{} /*!40100 DEFAULT CHARACTER SET {}{collate} */ \
         /*!80016 DEFAULT ENCRYPTION='N' */",
        quote(&db.name),
        c.charset()
    )
}

/// The text of SHOW CREATE VIEW.
pub fn create_view(v: &View, current: Option<&str>) -> String {
    let (user, host) = v.def.definer.rsplit_once('@').unwrap_or((&v.def.definer, "%"));
    let columns: Vec<_> = v.def.columns.iter().map(|c| quote(c)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(",")) };
    let check = match v.def.check_option.as_str() {
        "" | "NONE" => String::new(),
        kind => format!(" WITH {kind} CHECK OPTION"),
    };
    format!(
        "CREATE ALGORITHM=UNDEFINED DEFINER={}@{} SQL SECURITY {} VIEW {}{columns} AS {}{check}",
        quote(user),
        quote(host),
        if v.def.invoker { "INVOKER" } else { "DEFINER" },
        quote(&v.name),
        match current == Some(v.database.as_str()) {
            true => without_database(&v.def.select, &v.database),
            false => v.def.select.clone(),
        }
    )
}

/// The text without this database in front of its tables, as MySQL shows a view of the current database: so that a dump
/// can be loaded into another one.
fn without_database(select: &str, database: &str) -> String {
    let qualifier = format!("{}.", quote(database));
    let mut out = String::with_capacity(select.len());
    let mut rest = select;
    while let Some(c) = rest.chars().next() {
        if !out.ends_with('.')
            && let Some(behind) = rest.strip_prefix(&qualifier)
        {
            rest = behind;
            continue;
        }
        let length = match c {
            '\'' | '"' | '`' => quoted_bytes(rest, c),
            c => c.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// Bytes of the quoted text at the beginning, both quotes included; a doubled quote is part of it, and so is what a
/// backslash escapes, but in a name.
fn quoted_bytes(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            c if c == quote => match chars.peek() {
                Some((_, next)) if *next == quote => drop(chars.next()),
                _ => return at + 1,
            },
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::without_database;

    #[test]
    fn a_views_own_database_is_left_out_of_names_and_of_nothing_else() {
        for (with, without) in [
            ("SELECT `d`.`t`.`a` FROM `d`.t JOIN `e`.`d`.x", "SELECT `t`.`a` FROM t JOIN `e`.`d`.x"),
            (
                r"SELECT '`d`.', 'it''s `d`.', 'a\'`d`.' FROM `d`.`t`",
                r"SELECT '`d`.', 'it''s `d`.', 'a\'`d`.' FROM `t`",
            ),
            ("SELECT `a``d`.b, `d` FROM `dd`.t, `d`.é", "SELECT `a``d`.b, `d` FROM `dd`.t, é"),
        ] {
            assert_eq!(without_database(with, "d"), without);
        }
    }
}
