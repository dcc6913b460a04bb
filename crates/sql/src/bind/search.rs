//! MATCH … AGAINST: the FULLTEXT index that serves it, and its SQL.
//!
//! A MATCH becomes one subquery that depends on no row, so that SQLite evaluates it once in a statement: the rows that hold
//! the words of the query go into `p_ft_result`, which gives the found rows with their ranks as one value. `p_ft_rank` looks a
//! row up in it. Where only the truth is asked for, the row's number is looked for among those found, so that the search
//! finds the rows ([`found`]). What a query means is `functions/search`; how the index is kept, `store::search`.

use std::rc::Rc;

use p2pdb_model::ColumnTag;
use p2pdb_model::catalog::{Index, Table, physical_column, physical_search};
use p2pdb_model::types::{Collation, SqlType};
use sqlparser::ast::{BinaryOperator, Expr, Ident, SearchModifier};

use super::scope::Relation;
use super::{Binder, Bound, Scope};
use crate::error::SqlError;
use crate::field::FieldType;

/// The call that gives a row its rank.
const RANK: &str = "p_ft_rank(";

/// The words of an index's columns as SQLite text; see `store::Meaning::words`.
pub fn words(table: &Table, index: &Index) -> Option<Vec<String>> {
    let collation = collation(table, index)?;
    let of_column = |tag| format!("g_ft_words({},{})", physical_column(tag), collation.id());
    Some(index.def.parts.iter().map(|p| of_column(p.column)).collect())
}

/// The collation by which an index compares words. `None` for an index in which nothing can be found: since its columns
/// changed elsewhere, one may be no text any more, or have another collation than the others.
fn collation(table: &Table, index: &Index) -> Option<Collation> {
    if !index.def.fulltext {
        return None;
    }
    let mut all = None;
    for part in &index.def.parts {
        let def = &table.column_by_tag(part.column)?.def;
        let text = matches!(def.ty, SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. });
        let own = def.ty.collation().filter(|_| text && def.generated.is_none())?;
        if all.is_some_and(|all| all != own) {
            return None;
        }
        all = Some(own);
    }
    all
}

/// The condition that a row is found, of the SQL of its rank; `None` for other SQL.
pub(super) fn found(sql: &str) -> Option<String> {
    let (rowid, result) = sql.strip_prefix(RANK)?.strip_suffix(')')?.split_once(',')?;
    Some(format!("({rowid} IN (SELECT value FROM json_each(p_ft_rows({result}))))"))
}

fn wrong(of: &str) -> SqlError {
    SqlError::new(1210, "HY000", format!("Incorrect arguments to {of}"))
}

impl Binder<'_> {
    /// MATCH … AGAINST an expression, as `front::forms` reads it.
    pub(super) fn search_for(&mut self, args: &[&Expr], s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let [Expr::Identifier(mode), what, columns @ ..] = args else { return Err(wrong("MATCH")) };
        let all = [SearchModifier::InBooleanMode, SearchModifier::WithQueryExpansion];
        let mode = all.iter().find(|m| m.to_string() == mode.value);
        let of_column = |c: &&Expr| match c {
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let columns: Vec<Vec<Ident>> = columns.iter().map(of_column).collect();
        self.search(&columns, what, mode, s)
    }

    /// `MATCH (columns) AGAINST (what mode)`.
    ///
    /// # Errors
    /// 1054, 1191, 1210; 1235 for views and derived tables.
    pub(super) fn search(
        &mut self,
        columns: &[Vec<Ident>],
        what: &Expr,
        mode: Option<&SearchModifier>,
        s: &Rc<Scope>,
    ) -> Result<Bound, SqlError> {
        let boolean = matches!(mode, Some(SearchModifier::InBooleanMode));
        let expands = !boolean && !matches!(mode, None | Some(SearchModifier::InNaturalLanguageMode));
        let mode = u8::from(boolean);
        let mut bound = Vec::new();
        let mut at: Option<Rc<Relation>> = None;
        let mut tags: Vec<ColumnTag> = Vec::new();
        for column in columns {
            let parts: Vec<&str> = column.iter().map(|i| i.value.as_str()).collect();
            let b = s.resolve(&parts)?;
            let sql = b.as_sql().unwrap_or_default().to_owned();
            let own = s.relations.iter().find_map(|r| Some((r, r.columns.iter().find(|c| c.sql == sql)?)));
            let Some((relation, column)) = own else { return Err(wrong("MATCH")) };
            if at.as_ref().is_some_and(|at| !Rc::ptr_eq(at, relation)) {
                return Err(wrong("MATCH"));
            }
            at = Some(relation.clone());
            if relation.table.is_none() {
                return Err(SqlError::unsupported("MATCH over a view or derived table"));
            }
            tags.extend(column.tag);
            bound.push(b);
        }
        let Some((relation, table)) = at.as_ref().and_then(|r| Some((r, r.table.as_ref()?))) else {
            return Err(wrong("MATCH"));
        };
        let serves = |i: &&Index| {
            let parts = &i.def.parts;
            !i.def.invisible
                && parts.len() == tags.len()
                && parts.iter().all(|p| tags.contains(&p.column))
                && tags.iter().all(|t| parts.iter().any(|p| p.column == *t))
        };
        let index = table.indexes.iter().filter(serves).find_map(|i| Some((i, collation(table, i)?)));
        let Some((index, collation)) = index else {
            return Err(SqlError::new(1191, "HY000", "Can't find FULLTEXT index matching the column list"));
        };
        let what = self.expr(what, s)?;
        if !what.free.is_empty() || what.aggregate || what.window {
            return Err(wrong("AGAINST"));
        }
        let what = self.text_of(&what);
        let what = self.sql(&what);
        let (m, t) = (physical_search(index.id), table.physical());
        let search = |what: &str| {
            let query = format!("{what},{mode},{}", collation.id());
            format!(
                "SELECT p_ft_result({query},(SELECT count(*) FROM {t}),n,doc,term,times) FROM \
                 (SELECT l.value->>0 AS n,v.doc AS doc,v.term AS term,count(*) AS times \
                 FROM json_each(p_ft_terms({query})) AS l CROSS JOIN {m}_words AS v \
                 WHERE v.term>=l.value->>1 AND v.term<=l.value->>2 GROUP BY 1,2,3 \
                 UNION ALL SELECT l.value->>0,{m}.rowid,'',0 \
                 FROM json_each(p_ft_phrases({query})) AS l CROSS JOIN {m} WHERE {m} MATCH l.value->>1)"
            )
        };
        let mut result = format!("({})", search(&what));
        if expands {
            // The words of all that is found are searched for as well.
            let columns =
                index.def.parts.iter().map(|p| format!("coalesce({},'')", physical_column(p.column)));
            let text = columns.collect::<Vec<_>>().join("||' '||");
            let more = self.alias('x');
            result = format!(
                "(WITH {more}(w) AS MATERIALIZED (SELECT p_ft_expanded({what},{},(SELECT group_concat({text},' ') \
                 FROM {t} WHERE rowid IN (SELECT value FROM json_each(p_ft_rows({result})))))) {})",
                collation.id(),
                search(&format!("(SELECT w FROM {more})"))
            );
        }
        let rowid =
            if relation.sql.is_empty() { "rowid".to_owned() } else { format!("{}.rowid", relation.sql) };
        let parts: Vec<&Bound> = bound.iter().collect();
        Ok(Bound::new(format!("{RANK}{rowid},{result})"), FieldType::double()).with_parts(parts))
    }

    /// What a query without ORDER BY is ordered by: the rank, where a search finds its rows.
    pub(super) fn by_relevance(
        &mut self,
        condition: &Expr,
        s: &Rc<Scope>,
    ) -> Result<Option<String>, SqlError> {
        let mut todo = vec![condition];
        let [relation] = s.relations.as_slice() else { return Ok(None) };
        while let Some(e) = todo.pop() {
            match e {
                Expr::Nested(e) => todo.push(e),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => todo.extend([&**right, &**left]),
                Expr::Function(f) if !crate::front::forms::is_match(f) => {}
                Expr::Function(_) | Expr::MatchAgainst { .. } => {
                    let rank = self.expr(e, s)?;
                    let rank = self.sql(&rank);
                    return Ok(Some(format!("{rank} DESC,{}.rowid", relation.sql)));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
