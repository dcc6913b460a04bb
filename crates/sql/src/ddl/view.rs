//! CREATE, ALTER and DROP VIEW.
//!
//! The SELECT is kept as text with every table under its database and `*` written out, so that a view means the same
//! in every session and after its tables get new columns.

use p2pdb_model::catalog::View;
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::schema::{Definition, ViewDef};
use sqlparser::ast::{
    Expr, Ident, ObjectNamePart, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
};
use sqlparser::tokenizer::Token;

use super::{canonical, table};
use crate::bind::Binder;
use crate::error::SqlError;
use crate::field::Field;
use crate::plan::{Ddl, Note, Source};
use crate::statement::{Context, Cursor, compile_query, note};

/// `[OR REPLACE] … VIEW …`; CREATE was read. `None` when it is no view.
pub fn create(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Ddl>, SqlError> {
    let replace = c.eat("or replace");
    let Some(head) = head(c, cx)? else {
        return Ok(None);
    };
    let (db, name) = c.table_name()?;
    let db = table::database(cx, &cx.database(db)?)?;
    table::table_name_ok(&name)?;
    if db.permanent_table(&name).is_some() {
        return Err(match replace {
            true => SqlError::new(1347, "HY000", format!("'{}.{name}' is not VIEW", db.name)),
            false => SqlError::table_exists(&name),
        });
    }
    let old = db.permanent_view(&name).map(|v| v.as_ref());
    if old.is_some() && !replace {
        return Err(SqlError::table_exists(&name));
    }
    put(c, cx, db.id, &name, old, head, &db.name).map(Some)
}

/// `… VIEW …`; ALTER was read.
pub fn alter(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Ddl>, SqlError> {
    let Some(head) = head(c, cx)? else {
        return Ok(None);
    };
    let (db, name) = c.table_name()?;
    let db = table::database(cx, &cx.database(db)?)?;
    if db.permanent_table(&name).is_some() {
        return Err(SqlError::new(1347, "HY000", format!("'{}.{name}' is not VIEW", db.name)));
    }
    let old = db.permanent_view(&name).ok_or_else(|| SqlError::no_table(&db.name, &name))?;
    put(c, cx, db.id, &name, Some(old), head, &db.name).map(Some)
}

/// What stands before VIEW.
struct Head {
    definer: String,
    invoker: bool,
    /// ALGORITHM = TEMPTABLE, which is not kept.
    temptable: bool,
}

/// `[ALGORITHM = x] [DEFINER = y] [SQL SECURITY z] VIEW`; `None` when no VIEW follows.
fn head(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Head>, SqlError> {
    let mut definer = cx.session.account.clone();
    let (mut invoker, mut temptable) = (false, false);
    if c.eat("algorithm") {
        c.expect_token(&Token::Eq)?;
        let word = c.eat_one(&["undefined", "merge", "temptable"]).ok_or_else(|| c.error())?;
        temptable = word == "temptable";
    }
    if c.eat("definer") {
        c.expect_token(&Token::Eq)?;
        if c.eat("current_user") {
            if c.eat_token(&Token::LParen) {
                c.expect_token(&Token::RParen)?;
            }
        } else {
            definer = account(c)?;
        }
    }
    if c.eat("sql security") {
        invoker = c.eat_one(&["definer", "invoker"]).ok_or_else(|| c.error())? == "invoker";
    }
    Ok(c.eat("view").then_some(Head { definer, invoker, temptable }))
}

/// `user[@host]` in any quotes, as the catalog has it.
pub(super) fn account(c: &mut Cursor<'_, '_>) -> Result<String, SqlError> {
    let (user, host) = account_parts(c)?;
    Ok(format!("{user}@{host}"))
}

/// `user[@host]` in any quotes, however it was cut into tokens.
pub(super) fn account_parts(c: &mut Cursor<'_, '_>) -> Result<(String, String), SqlError> {
    let quoted = matches!(c.token(0), Token::SingleQuotedString(_) | Token::DoubleQuotedString(_));
    let user = c.word_or_string()?;
    let host = match c.token(0) {
        Token::Word(w) if w.value.starts_with('@') => {
            let rest = w.value[1..].to_owned();
            c.skip();
            if rest.is_empty() { c.word_or_string()? } else { rest }
        }
        Token::AtSign => {
            c.skip();
            c.word_or_string()?
        }
        _ => match user.rsplit_once('@').filter(|_| !quoted) {
            Some((user, host)) => return Ok((user.to_owned(), host.to_owned())),
            None => "%".to_owned(),
        },
    };
    Ok((user, host))
}

fn put(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    parent: p2pdb_model::ObjectId,
    name: &str,
    old: Option<&View>,
    head: Head,
    database: &str,
) -> Result<Ddl, SqlError> {
    let columns = if c.token(0) == &Token::LParen { c.parenthesized(|c| c.name())? } else { Vec::new() };
    c.expect("as")?;
    let mut query = c.query()?;
    let check_option = if c.eat("with local check option") {
        "LOCAL"
    } else if c.eat("with cascaded check option") || c.eat("with check option") {
        "CASCADED"
    } else {
        "NONE"
    };
    let own_database = cx.database(None).ok();
    let unqualified = canonical::relations(&query).iter().any(|(db, _)| db.is_none());
    match &own_database {
        Some(db) => canonical::qualify(&mut query, db),
        None if unqualified => {
            // Only names of common table expressions may do without a database.
            canonical::qualify(&mut query, "");
            if canonical::relations(&query).iter().any(|(db, _)| db.as_deref() == Some("")) {
                return Err(SqlError::no_database());
            }
        }
        None => {}
    }
    canonical::without_pipes(&mut query)?;
    if canonical::searches_for_expression(&query) {
        return Err(SqlError::unsupported("MATCH … AGAINST an expression in a view"));
    }
    let (compiled, fields) = compile_query(&query, cx)?;
    if compiled.slots.iter().any(|s| matches!(s.source, Source::UserVariable(_) | Source::Param(_))) {
        return Err(SqlError::new(1351, "HY000", "View's SELECT contains a variable or parameter"));
    }
    let reads = compiled.reads.all();
    if let Some(t) = reads.into_iter().find(|t| cx.catalog.is_temporary(*t)) {
        let name = cx.catalog.table_by_id(t).map_or("", |t| t.name.as_str());
        let message = format!("View's SELECT refers to a temporary table '{name}'");
        return Err(SqlError::new(1352, "HY000", message));
    }
    if !columns.is_empty() && columns.len() != fields.len() {
        return Err(SqlError::new(
            1353,
            "HY000",
            "In definition of view, derived table or common table expression, SELECT list and column names list have \
             different column counts",
        ));
    }
    let mut names: Vec<String> = if columns.is_empty() {
        fields.iter().map(|f| f.name.to_lowercase()).collect()
    } else {
        columns.clone()
    };
    names.iter_mut().for_each(|n| *n = n.to_lowercase());
    names.sort();
    if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(SqlError::duplicate_column(&twice[0]));
    }
    let reads_itself =
        canonical::relations(&query).iter().any(|(db, t)| db.as_deref() == Some(database) && t == name);
    if reads_itself {
        return Err(SqlError::no_table(database, name));
    }
    expand(&mut query, &fields);
    let definition = ViewDef {
        select: canonical::query(&query),
        columns,
        definer: head.definer,
        invoker: head.invoker,
        check_option: check_option.to_owned(),
    };
    let id = old.map_or_else(|| cx.catalog.new_id(ObjectKind::View, parent, name), |v| v.id);
    if check_option != "NONE" {
        let view = View {
            id,
            name: name.to_owned(),
            database: database.to_owned(),
            def: definition.clone(),
            created_ms: 0,
        };
        let mut b = Binder::without_text(cx.catalog, cx.session);
        if head.temptable || b.writable(&view, name, name)?.is_none() {
            let message = format!("CHECK OPTION on non-updatable view '{database}.{name}'");
            return Err(SqlError::new(1368, "HY000", message));
        }
    }
    let change = SchemaChange::Put {
        id,
        kind: ObjectKind::View,
        parent,
        name: old.is_none().then(|| name.to_owned()),
        definition: Some(Box::new(Definition::View(definition))),
        position: None,
        after: None,
    };
    Ok(Ddl { changes: vec![change], ..Ddl::default() })
}

/// Writes `*` and `t.*` of the outermost SELECT out as columns.
fn expand(query: &mut Query, fields: &[Field]) {
    let mut body = query.body.as_mut();
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    let SetExpr::Select(select) = body else { return };
    let stars = select.projection.iter().filter(|p| is_star(p)).count();
    let bare = select.projection.iter().filter(|p| matches!(p, SelectItem::Wildcard(_))).count();
    // The fields of a bare star among other stars cannot be told apart; such a SELECT stays as it is.
    if stars == 0 || (bare > 0 && stars > 1) {
        return;
    }
    let others = select.projection.len() - stars;
    let mut rest = fields.iter();
    let mut out = Vec::new();
    for item in std::mem::take(&mut select.projection) {
        let count = match &item {
            SelectItem::Wildcard(_) => fields.len() - others,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let table = name.0.last().and_then(ObjectNamePart::as_ident).map(|i| i.value.clone());
                let own = |f: &&Field| table.as_ref().is_some_and(|t| f.table.eq_ignore_ascii_case(t));
                rest.clone().take_while(own).count()
            }
            _ => {
                rest.next();
                out.push(item);
                continue;
            }
        };
        out.extend(rest.by_ref().take(count).map(column));
    }
    select.projection = out;
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn column(f: &Field) -> SelectItem {
    let quoted = |n: &str| Ident::with_quote('`', n);
    let expr = if f.table.is_empty() {
        Expr::Identifier(quoted(&f.name))
    } else {
        Expr::CompoundIdentifier(vec![quoted(&f.table), quoted(&f.name)])
    };
    SelectItem::ExprWithAlias { expr, alias: quoted(&f.name) }
}

/// `[IF EXISTS] view, …`; DROP VIEW was read.
pub fn drop(c: &mut Cursor<'_, '_>, cx: &Context<'_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let if_exists = c.eat("if exists");
    let names = c.list(|c| {
        let (db, name) = c.table_name()?;
        Ok((cx.database(db)?, name))
    })?;
    c.eat_one(&["restrict", "cascade"]);
    let mut changes = Vec::new();
    let mut missing = Vec::new();
    for (db, name) in names {
        let home = cx.catalog.database(&db);
        if home.is_some_and(|d| d.permanent_table(&name).is_some()) {
            return Err(SqlError::new(1347, "HY000", format!("'{db}.{name}' is not VIEW")));
        }
        match home.and_then(|d| d.permanent_view(&name)) {
            Some(v) => changes.push(SchemaChange::Drop { id: v.id }),
            None => missing.push(format!("{db}.{name}")),
        }
    }
    if !missing.is_empty() && !if_exists {
        return Err(SqlError::unknown_table(missing.join(",")));
    }
    notes.extend(missing.into_iter().map(|m| note(SqlError::unknown_table(m))));
    Ok(Ddl { changes, ..Ddl::default() })
}
