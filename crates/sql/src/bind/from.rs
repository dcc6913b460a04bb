//! FROM: tables, views, derived tables, table expressions and joins.

use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::catalog::{View, same_name};
use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor,
    TableWithJoins,
};

use super::query::BoundQuery;
use super::{Binder, RelColumn, Relation, Scope, coercibility};
use crate::error::SqlError;
use crate::plan::{Coerce, Slot, Source};
use crate::virtuals;

/// Tables of the database `p2pdb` that show the values of any table's rows.
const VALUES_OF_ROWS: [&str; 1] = ["conflicts"];

/// Tables in one FROM (SQLite joins at most 64).
const RELATIONS_MAX: usize = 61;

/// The rows of a query in a statement that assigns to variables, made once and in their order: SQLite would evaluate what is named twice
/// twice, what nobody names never, and forget an ORDER BY.
pub(super) fn made_once(sql: &str) -> String {
    format!("MATERIALIZED (SELECT * FROM ({sql}) LIMIT -1)")
}

impl Binder<'_> {
    /// Binds FROM. Gives its SQL (without the word) and the scope of its columns, for the clauses that follow.
    ///
    /// # Errors
    /// 1046, 1049, 1052, 1054, 1066, 1146, 1248.
    pub fn from(
        &mut self,
        from: &[TableWithJoins],
        outer: Option<&Rc<Scope>>,
    ) -> Result<(String, Rc<Scope>), SqlError> {
        self.scopes += 1;
        let mut all = Scope { outer: outer.cloned(), ..Scope::empty(self.scopes) };
        let id = all.id;
        let mut sql = Vec::new();
        for item in from {
            let mut s = Scope { outer: outer.cloned(), ..Scope::empty(id) };
            let before = self.left.replace(all.clone());
            let text = self.joined(item, &mut s);
            self.left = before;
            let text = text?;
            let right = item
                .joins
                .iter()
                .any(|j| matches!(j.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_)));
            sql.push(if right && from.len() > 1 { format!("({text})") } else { text });
            let base = all.relations.len();
            all.relations.extend(s.relations);
            all.merged.extend(s.merged.into_iter().map(|(r, c)| (r + base, c)));
            all.first.extend(s.first.into_iter().map(|(r, c)| (r + base, c)));
        }
        for (i, a) in all.relations.iter().enumerate() {
            for b in &all.relations[..i] {
                if a.alias == b.alias
                    && (a.database == b.database || a.database.is_none() || b.database.is_none())
                {
                    let message = format!("Not unique table/alias: '{}'", a.alias);
                    return Err(SqlError::new(1066, "42000", message));
                }
            }
        }
        if all.relations.len() > RELATIONS_MAX {
            let message = format!("Too many tables; MySQL can only use {RELATIONS_MAX} tables in a join");
            return Err(SqlError::new(1116, "HY000", message));
        }
        Ok((sql.join(","), Rc::new(all)))
    }

    fn joined(&mut self, item: &TableWithJoins, s: &mut Scope) -> Result<String, SqlError> {
        let mut sql = self.factor(&item.relation, s)?;
        for join in &item.joins {
            sql = self.join(sql, join, s)?;
        }
        Ok(sql)
    }

    fn join(&mut self, left_sql: String, join: &Join, s: &mut Scope) -> Result<String, SqlError> {
        use JoinOperator as J;
        let (word, constraint) = match &join.join_operator {
            J::Join(c) | J::Inner(c) | J::CrossJoin(c) => ("JOIN", c),
            J::Left(c) | J::LeftOuter(c) => ("LEFT JOIN", c),
            J::Right(c) | J::RightOuter(c) => ("RIGHT JOIN", c),
            J::StraightJoin(c) => ("CROSS JOIN", c),
            J::FullOuter(_) => return Err(SqlError::syntax("FULL OUTER JOIN", 1)),
            _ => return Err(SqlError::unsupported("this kind of join")),
        };
        let mut right = Scope { outer: s.outer.clone(), ..Scope::empty(s.id) };
        let before = self.left.clone();
        let left = self.left.get_or_insert_with(|| Scope { outer: s.outer.clone(), ..Scope::empty(s.id) });
        let base = left.relations.len();
        left.relations.extend(s.relations.iter().cloned());
        left.merged.extend(s.merged.iter().map(|(r, c)| (r + base, *c)));
        let right_sql = match &join.relation {
            TableFactor::Derived { lateral: true, alias: Some(alias), .. } if word == "RIGHT JOIN" => {
                // All of its rows come, so it can see nothing to its left.
                let mut own = Scope { outer: s.outer.clone(), ..Scope::empty(s.id) };
                let bound = self.factor(&not_lateral(&join.relation), &mut own);
                match bound {
                    Err(e) if e.code == 1054 && self.factor(&join.relation, &mut right).is_ok() => {
                        let name = &alias.name.value;
                        let message = format!(
                            "INNER or LEFT JOIN must be used for LATERAL references made by '{name}'"
                        );
                        Err(SqlError::new(3668, "HY000", message))
                    }
                    bound => {
                        right = own;
                        bound
                    }
                }
            }
            relation @ TableFactor::JsonTable { .. } if word == "RIGHT JOIN" => {
                // All of its rows come, so it can see nothing to its left.
                self.left = None;
                self.factor(relation, &mut right)
            }
            relation => self.factor(relation, &mut right),
        };
        self.left = before;
        let right_sql = right_sql?;
        let right_sql = if matches!(join.relation, TableFactor::NestedJoin { .. }) {
            format!("({right_sql})")
        } else {
            right_sql
        };
        let base = s.relations.len();
        let columns: Vec<String> = match constraint {
            JoinConstraint::Using(names) => names.iter().map(plain_name).collect::<Result<_, _>>()?,
            JoinConstraint::Natural => {
                let names = |s: &Scope| {
                    s.star().iter().map(|(r, c)| s.relations[*r].columns[*c].name.clone()).collect::<Vec<_>>()
                };
                let theirs = names(&right);
                names(s).into_iter().filter(|n| theirs.iter().any(|t| same_name(t, n))).collect()
            }
            _ => Vec::new(),
        };
        let mut conditions = Vec::new();
        let outer_right = word == "RIGHT JOIN";
        let left_scope = s.in_clause("from clause");
        let mut right_scope = right.clone();
        right_scope.clause = "from clause";
        s.relations.extend(right.relations);
        s.merged.extend(right.merged.into_iter().map(|(r, c)| (r + base, c)));
        s.first.extend(right.first.into_iter().map(|(r, c)| (r + base, c)));
        let mut first = Vec::new();
        for name in &columns {
            let a = left_scope.resolve_here(name)?;
            let b = right_scope.resolve_here(name)?;
            let (x, y) = (left_scope.column(a.0, a.1), right_scope.column(b.0, b.1));
            let c = self.compare(x, &sqlparser::ast::BinaryOperator::Eq, y)?;
            conditions.push(self.sql(&c));
            let b = (b.0 + base, b.1);
            let (shown, hidden) = if outer_right { (b, a) } else { (a, b) };
            s.merged.insert(hidden);
            s.first.retain(|f| *f != hidden);
            first.push(shown);
        }
        for f in s.first.drain(..).collect::<Vec<_>>() {
            if !first.contains(&f) {
                first.push(f);
            }
        }
        s.first = first;
        if let JoinConstraint::On(e) = constraint {
            let on = s.in_clause("on clause");
            conditions.push(self.condition(e, &on)?);
        }
        let on = match conditions.as_slice() {
            [] if word == "LEFT JOIN" || word == "RIGHT JOIN" => {
                if columns.is_empty() && !matches!(constraint, JoinConstraint::Natural) {
                    return Err(SqlError::syntax("", 1));
                }
                " ON 1".to_owned()
            }
            [] => String::new(),
            all => format!(" ON {}", all.join(" AND ")),
        };
        Ok(format!("{left_sql} {word} {right_sql}{on}"))
    }

    fn factor(&mut self, f: &TableFactor, s: &mut Scope) -> Result<String, SqlError> {
        match f {
            TableFactor::Table { name, alias, args, partitions, version, sample, .. } => {
                if args.is_some() || !partitions.is_empty() || version.is_some() || sample.is_some() {
                    return Err(SqlError::unsupported("table functions and partitions"));
                }
                self.named(name, alias.as_ref(), s)
            }
            TableFactor::Derived { subquery, alias, lateral, .. } => {
                let Some(alias) = alias else {
                    let message = "Every derived table must have its own alias";
                    return Err(SqlError::new(1248, "42000", message));
                };
                let names: Vec<String> = alias.columns.iter().map(|c| c.name.value.clone()).collect();
                if *lateral {
                    // It sees its neighbours to the left as well.
                    let left = self.left.take();
                    let outer = left.clone().map(Rc::new).or_else(|| s.outer.clone());
                    let q = self.query(subquery, outer.as_ref());
                    self.left = left;
                    return self.lateral(q?, &alias.name.value, &names, s);
                }
                // A derived table sees the queries around its own, not its neighbours.
                let (outer, left) = (s.outer.clone(), self.left.take());
                let q = self.query(subquery, outer.as_ref());
                self.left = left;
                let mut q = q?;
                if self.assigns {
                    let once = self.alias('m');
                    q.sql = format!("WITH {once} AS {} SELECT * FROM {once}", made_once(&q.sql));
                }
                self.derived(q, &alias.name.value, None, &names, s)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                let sql = self.joined(table_with_joins, s)?;
                Ok(if table_with_joins.joins.is_empty() { sql } else { format!("({sql})") })
            }
            TableFactor::JsonTable { json_expr, json_path, columns, alias } => {
                self.json_table(json_expr, json_path, columns, alias.as_ref(), s)
            }
            _ => Err(SqlError::unsupported("this kind of table")),
        }
    }

    fn named(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        s: &mut Scope,
    ) -> Result<String, SqlError> {
        let shown = alias.map(|a| a.name.value.clone());
        if let [ObjectNamePart::Identifier(i)] = name.0.as_slice() {
            if let Some(cte) = self.ctes.iter().rev().find(|c| same_name(&c.name, &i.value)).cloned() {
                let sql_alias = self.alias('a');
                if let Some(r) = self.recursion.as_mut().filter(|r| r.cte == cte.sql) {
                    if r.alias.is_some() {
                        return Err(SqlError::new(
                            3577,
                            "HY000",
                            format!(
                                "In recursive query block of Recursive Common Table Expression '{}', the recursive table \
                                 must be referenced only once, and not in any subquery",
                                cte.name
                            ),
                        ));
                    }
                    r.alias = Some(sql_alias.clone());
                }
                let shown = shown.unwrap_or_else(|| cte.name.clone());
                let columns = cte.columns.iter().enumerate().map(|(n, f)| RelColumn {
                    name: f.name.clone(),
                    sql: format!("{sql_alias}.c{n}"),
                    field: crate::field::Field { table: shown.clone(), ..f.clone() },
                    tag: None,
                    invisible: false,
                    coercibility: cte.coercibility.get(n).copied().unwrap_or(coercibility::COLUMN),
                });
                let columns = columns.collect();
                self.note_alias(&sql_alias, &shown, None);
                s.relations.push(Rc::new(Relation::derived(&shown, None, &sql_alias, columns)));
                return Ok(format!("{} AS {sql_alias}", cte.sql));
            }
            if i.value.eq_ignore_ascii_case("dual") && i.quote_style.is_none() {
                return Ok(format!("(SELECT 1) AS {}", self.alias('a')));
            }
        }
        let (database, table) = self.split_name(name)?;
        // SHOW … WHERE reads its rows like a table.
        let behind_show = (database == virtuals::SHOW).then_some(virtuals::SHOW);
        if let Some(database) = behind_show.or_else(|| virtuals::database_name(&database)) {
            let Some(v) = virtuals::describe(database, &table) else {
                if database == "information_schema" {
                    let message = format!("Unknown table '{}' in information_schema", table.to_uppercase());
                    return Err(SqlError::new(1109, "42S02", message));
                }
                return Err(SqlError::no_table(database, &table));
            };
            if let Some(needs) =
                self.needs.filter(|_| database == "p2pdb" && VALUES_OF_ROWS.contains(&&*v.name))
            {
                needs.reads_everything(database, &v.name);
            }
            let sql_alias = self.alias('a');
            let shown = shown.unwrap_or_else(|| v.name.to_string());
            self.note_alias(&sql_alias, &shown, None);
            let slot = Slot { source: Source::Virtual(v.source_name(), Vec::new()), coerce: Coerce::None };
            let parameter = self.parameter(slot);
            let mut outputs = Vec::new();
            let mut columns = Vec::new();
            for (n, mut field) in v.fields().into_iter().enumerate() {
                outputs.push(format!("json_extract(value,'$[{n}]') AS c{n}"));
                field.table = shown.clone();
                columns.push(RelColumn {
                    name: field.name.clone(),
                    sql: format!("{sql_alias}.c{n}"),
                    field,
                    tag: None,
                    invisible: false,
                    coercibility: coercibility::COLUMN,
                });
            }
            s.relations.push(Rc::new(Relation::derived(&shown, Some(database), &sql_alias, columns)));
            return Ok(format!("(SELECT {} FROM json_each({parameter})) AS {sql_alias}", outputs.join(",")));
        }
        if self.catalog.database(&database).is_none() {
            return Err(SqlError::unknown_database(&database));
        }
        if let Some(view) = self.view(&database, &table) {
            if let Some(needs) = self.needs {
                needs.reads_view(&view);
            }
            if let Some(written) = self.written.take() {
                let shown = shown.clone().unwrap_or_else(|| view.name.clone());
                let sql = self.merged_view(&view, &shown, written, s)?;
                if let Some(sql) = sql {
                    return Ok(sql);
                }
            }
            let q = self.view_query(&view)?;
            let shown = shown.unwrap_or_else(|| view.name.clone());
            return self.derived(q, &shown, Some(&view.database), &view.def.columns, s);
        }
        let found = self.table(name)?;
        self.read_table(found.id);
        let sql_alias = self.alias('a');
        let shown = shown.unwrap_or_else(|| found.name.clone());
        self.note_alias(&sql_alias, &shown, Some(found.id));
        s.relations.push(Rc::new(self.relation(&found, &shown, &sql_alias)));
        Ok(format!("{} AS {sql_alias}", found.physical()))
    }

    /// A view that the statement may write to, as a relation of its table. `None` where it can only be read.
    fn merged_view(
        &mut self,
        view: &Arc<View>,
        shown: &str,
        mut written: Vec<(String, Arc<View>)>,
        s: &mut Scope,
    ) -> Result<Option<String>, SqlError> {
        let (sql_alias, inner) = (self.alias('a'), self.alias('a'));
        // Its condition looks at the table inside; the statement, at what comes out.
        let condition = match self.writable(view, shown, &inner) {
            Ok(found) => found.map(|w| w.condition),
            Err(e) if e.code == 1235 => None,
            Err(e) => return Err(e),
        };
        let found = match condition {
            Some(condition) => self.writable(view, shown, &sql_alias)?.map(|w| (w, condition)),
            None => None,
        };
        let sql = found.map(|(writable, condition)| {
            written.push((sql_alias.clone(), view.clone()));
            let table = Some(writable.table.id);
            self.note_alias(&sql_alias, shown, table);
            self.note_alias(&inner, shown, table);
            s.relations.push(Rc::new(writable.relation));
            let condition = condition.map(|c| format!(" WHERE {c}")).unwrap_or_default();
            let physical = writable.table.physical();
            format!(
                "(SELECT {inner}.rowid AS rowid,{inner}.* FROM {physical} {inner}{condition}) AS {sql_alias}"
            )
        });
        self.written = Some(written);
        Ok(sql)
    }

    /// The query of a view, bound in its own database and sql_mode.
    ///
    /// # Errors
    /// 1356 when it does not bind any more.
    pub fn view_query(&mut self, view: &p2pdb_model::catalog::View) -> Result<BoundQuery, SqlError> {
        self.in_view(view, |b, query| b.query(query, None))
    }

    /// SQLite joins no subquery that sees its neighbours, but table functions whose arguments do: the rows come as one
    /// value, which json_each takes apart again.
    fn lateral(
        &mut self,
        q: BoundQuery,
        alias: &str,
        names: &[String],
        s: &mut Scope,
    ) -> Result<String, SqlError> {
        let list: Vec<String> = (0..q.columns.len()).map(|n| format!("c{n}")).collect();
        let rows = format!("SELECT p_rows({}) FROM ({})", list.join(","), q.sql);
        self.derived(q, alias, None, names, s)?;
        let Some(mut relation) = s.relations.pop().map(|r| Relation::clone(&r)) else {
            return Err(SqlError::unsupported("LATERAL"));
        };
        for (n, c) in relation.columns.iter_mut().enumerate() {
            c.sql = format!("p_cell({}.value,{n})", relation.sql);
        }
        let sql_alias = relation.sql.clone();
        s.relations.push(Rc::new(relation));
        Ok(format!("json_each(({rows})) AS {sql_alias}"))
    }

    fn derived(
        &mut self,
        q: BoundQuery,
        alias: &str,
        database: Option<&str>,
        names: &[String],
        s: &mut Scope,
    ) -> Result<String, SqlError> {
        if !names.is_empty() && names.len() != q.columns.len() {
            return Err(SqlError::new(
                1353,
                "HY000",
                "In definition of view, derived table or common table expression, SELECT list and column names list have \
                 different column counts",
            ));
        }
        let sql_alias = self.alias('a');
        let mut columns: Vec<RelColumn> = Vec::new();
        for (n, f) in q.columns.iter().enumerate() {
            let name = names.get(n).unwrap_or(&f.name).clone();
            if columns.iter().any(|c| same_name(&c.name, &name)) {
                let message = format!("Duplicate column name '{name}'");
                return Err(SqlError::new(1060, "42S21", message));
            }
            let mut field = f.clone();
            field.name = name.clone();
            field.table = alias.to_owned();
            if let Some(d) = database {
                field.database = d.to_owned();
            }
            columns.push(RelColumn {
                name,
                sql: format!("{sql_alias}.c{n}"),
                field,
                tag: None,
                invisible: false,
                coercibility: q.coercibility.get(n).copied().unwrap_or(coercibility::COLUMN),
            });
        }
        s.relations.push(Rc::new(Relation::derived(alias, database, &sql_alias, columns)));
        Ok(format!("({}) AS {sql_alias}", q.sql))
    }
}

impl Scope {
    /// The only column of this name among these relations.
    fn resolve_here(&self, name: &str) -> Result<(usize, usize), SqlError> {
        let mut found = None;
        for (r, rel) in self.relations.iter().enumerate() {
            for (c, column) in rel.columns.iter().enumerate() {
                if same_name(&column.name, name) && !self.merged.contains(&(r, c)) {
                    if found.is_some() {
                        let message = format!("Column '{name}' in {} is ambiguous", self.clause);
                        return Err(SqlError::new(1052, "23000", message));
                    }
                    found = Some((r, c));
                }
            }
        }
        found.ok_or_else(|| SqlError::unknown_column(name, self.clause))
    }
}

fn not_lateral(f: &TableFactor) -> TableFactor {
    let mut f = f.clone();
    if let TableFactor::Derived { lateral, .. } = &mut f {
        *lateral = false;
    }
    f
}

fn plain_name(name: &ObjectName) -> Result<String, SqlError> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(i)] => Ok(i.value.clone()),
        _ => Err(SqlError::syntax(&name.to_string(), 1)),
    }
}

/// The equality conditions of a tree of ANDs.
pub(crate) fn conjuncts(e: &Expr) -> Vec<&Expr> {
    let mut out = Vec::new();
    let mut todo = vec![e];
    while let Some(e) = todo.pop() {
        match super::compare::strip(e) {
            Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::And, right } => {
                todo.push(right);
                todo.push(left);
            }
            e => out.push(e),
        }
    }
    out
}
