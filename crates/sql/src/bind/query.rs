//! Queries: WITH, set operations, VALUES, ORDER BY and LIMIT around them.

use std::rc::Rc;

use p2pdb_model::types::Collation;
use sqlparser::ast::{
    Expr, LimitClause, LockType, NonBlock, OrderBy, OrderByExpr, OrderByKind, OrderBySort, Query, SetExpr,
    SetOperator, SetQuantifier, Value as Ast, Values, With,
};

use super::scope::Aliases;
use super::{Binder, Bound, Cte, Free, RelColumn, Relation, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::field::{Field, FieldType};
use crate::plan::{Coerce, Locking, Slot};
use crate::types::{self, Class};

/// A bound query. Its result columns are called `c0`, `c1`, … in SQL.
#[derive(Clone, Debug)]
pub struct BoundQuery {
    /// The SQL.
    pub sql: String,
    /// Its columns.
    pub columns: Vec<Field>,
    /// Their coercibilities.
    pub coercibility: Vec<u8>,
    /// At most one row.
    pub single_row: bool,
    /// Columns of queries around it that it uses.
    pub free: Vec<Free>,
    /// FOR UPDATE, FOR SHARE.
    pub locking: Option<Locking>,
    /// SQL_CALC_FOUND_ROWS: `SELECT count(*)` of it without LIMIT.
    pub found_rows: Option<String>,
    /// Reads rows by their primary key only.
    pub by_key: bool,
}

impl BoundQuery {
    /// A column as an expression called `sql`.
    pub fn column(&self, i: usize, sql: &str) -> Bound {
        let f = &self.columns[i];
        let mut b = Bound::new(sql, f.ty.clone());
        b.not_null = f.not_null;
        b.coercibility = self.coercibility.get(i).copied().unwrap_or(coercibility::COLUMN);
        b.field = Some(Box::new(f.clone()));
        b
    }
}

/// The recursive table of the WITH that is being bound.
#[derive(Clone, Debug)]
pub(crate) struct Recursion {
    pub(crate) cte: String,
    pub(crate) types: Vec<FieldType>,
    pub(crate) depth: bool,
    /// What the recursive part calls it.
    pub(crate) alias: Option<String>,
}

impl Binder<'_> {
    /// A whole query; `outer` is the scope around it, if it is a subquery.
    ///
    /// # Errors
    /// Everything that names, types and unsupported features can give.
    pub fn query(&mut self, q: &Query, outer: Option<&Rc<Scope>>) -> Result<BoundQuery, SqlError> {
        if q.fetch.is_some() || q.for_clause.is_some() || q.settings.is_some() || !q.pipe_operators.is_empty()
        {
            return Err(SqlError::unsupported("this clause of SELECT"));
        }
        let visible = self.ctes.len();
        let with = match &q.with {
            Some(w) => self.with(w, outer)?,
            None => String::new(),
        };
        let mut out = match &*q.body {
            SetExpr::Select(select) => {
                self.relevance = q.order_by.is_none();
                self.select(select, q.order_by.as_ref(), q.limit_clause.as_ref(), outer)?
            }
            body => {
                let inner = self.set_expr(body, outer)?;
                self.ordered(inner, q.order_by.as_ref(), q.limit_clause.as_ref(), outer)?
            }
        };
        self.ctes.truncate(visible);
        if !with.is_empty() {
            out.sql = format!("{with}{}", out.sql);
            out.found_rows = out.found_rows.map(|f| format!("{with}{f}"));
        }
        for lock in &q.locks {
            out.locking = Some(Locking {
                share: matches!(lock.lock_type, LockType::Share),
                nowait: matches!(lock.nonblock, Some(NonBlock::Nowait)),
                skip_locked: matches!(lock.nonblock, Some(NonBlock::SkipLocked)),
            });
            self.locking = self.locking.or(out.locking);
        }
        Ok(out)
    }

    /// WITH: brings its tables in sight (the caller takes them out again) and gives its SQL with a blank at the end.
    pub(crate) fn with(&mut self, w: &With, outer: Option<&Rc<Scope>>) -> Result<String, SqlError> {
        let mut parts = Vec::new();
        for cte in &w.cte_tables {
            let name = cte.alias.name.value.clone();
            if w.cte_tables.iter().filter(|c| c.alias.name.value.eq_ignore_ascii_case(&name)).count() > 1 {
                return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{name}'")));
            }
            let names: Vec<String> = cte.alias.columns.iter().map(|c| c.name.value.clone()).collect();
            let sql_name = self.alias('w');
            let recursive = w.recursive && mentions(&cte.query, &name);
            let mut coercibility = Vec::new();
            let (sql, columns, depth) = if recursive {
                self.recursive(&name, &sql_name, &cte.query, &names, outer)?
            } else {
                let q = self.query(&cte.query, outer)?;
                coercibility = q.coercibility;
                (q.sql, named(q.columns, &names)?, false)
            };
            let mut heads: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
            if depth {
                heads.push("d".to_owned());
            }
            let made = match self.assigns && !recursive {
                true => super::from::made_once(&sql),
                false => format!("({sql})"),
            };
            parts.push(format!("{sql_name}({}) AS {made}", heads.join(",")));
            self.ctes.push(Cte { name, sql: sql_name, columns, coercibility });
        }
        let word = if w.recursive { "WITH RECURSIVE" } else { "WITH" };
        Ok(format!("{word} {} ", parts.join(",")))
    }

    fn recursive(
        &mut self,
        name: &str,
        sql_name: &str,
        q: &Query,
        names: &[String],
        outer: Option<&Rc<Scope>>,
    ) -> Result<(String, Vec<Field>, bool), SqlError> {
        let no_union = || {
            SqlError::new(
                3573,
                "HY000",
                format!("Recursive Common Table Expression '{name}' should contain a UNION"),
            )
        };
        let SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } = &*q.body else {
            return Err(no_union());
        };
        if q.order_by.is_some() || q.limit_clause.is_some() || q.with.is_some() {
            return Err(SqlError::unsupported("ORDER BY / LIMIT / WITH in a recursive table expression"));
        }
        if set_mentions(left, name) {
            let message = format!(
                "Recursive Common Table Expression '{name}' should have one or more non-recursive query blocks \
                 followed by one or more recursive ones"
            );
            return Err(SqlError::new(3574, "HY000", message));
        }
        let SetExpr::Select(step) = &**right else {
            return Err(SqlError::unsupported("several recursive parts"));
        };
        let all = matches!(set_quantifier, SetQuantifier::All);
        let anchor = self.set_expr(left, outer)?;
        let mut columns = named(anchor.columns, names)?;
        for f in &mut columns {
            f.not_null = false;
            f.org_name.clear();
        }
        let types: Vec<FieldType> = columns.iter().map(|c| c.ty.clone()).collect();
        self.ctes.push(Cte {
            name: name.to_owned(),
            sql: sql_name.to_owned(),
            columns: columns.clone(),
            coercibility: Vec::new(),
        });
        let before =
            self.recursion.replace(Recursion { cte: sql_name.to_owned(), types, depth: all, alias: None });
        let step = self.select(step, None, None, outer);
        let used = std::mem::replace(&mut self.recursion, before);
        self.ctes.pop();
        let step = step?;
        if used.is_some_and(|r| r.alias.is_none()) {
            return Err(SqlError::unsupported("a recursive table inside of a subquery"));
        }
        let list: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
        let list = list.join(",");
        let (start, word) = if all { (format!("{list},0"), "UNION ALL") } else { (list, "UNION") };
        Ok((format!("SELECT {start} FROM ({}) {word} {}", anchor.sql, step.sql), columns, all))
    }

    fn set_expr(&mut self, body: &SetExpr, outer: Option<&Rc<Scope>>) -> Result<BoundQuery, SqlError> {
        match body {
            SetExpr::Select(s) => self.select(s, None, None, outer),
            SetExpr::Query(q) => self.query(q, outer),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, op, set_quantifier, right, outer)
            }
            SetExpr::Values(v) => self.values(v, outer),
            SetExpr::Table(t) => {
                let name = match (&t.schema_name, &t.table_name) {
                    (Some(s), Some(t)) => format!("`{}`.`{}`", s.replace('`', "``"), t.replace('`', "``")),
                    (None, Some(t)) => format!("`{}`", t.replace('`', "``")),
                    _ => return Err(SqlError::syntax("TABLE", 1)),
                };
                let text = format!("SELECT * FROM {name}");
                let tokens = crate::front::tokens::tokenize(&text, crate::session::SqlMode(0), false)?;
                let mut parser = sqlparser::parser::Parser::new(&crate::front::dialect::P2pdbDialect)
                    .with_tokens_with_locations(tokens.tokens);
                let q = parser.parse_query().map_err(|_| SqlError::syntax(&name, 1))?;
                let text = self.text.take();
                let out = self.query(&q, outer);
                self.text = text;
                out
            }
            _ => Err(SqlError::syntax(&body.to_string(), 1)),
        }
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: &SetOperator,
        quantifier: &SetQuantifier,
        right: &SetExpr,
        outer: Option<&Rc<Scope>>,
    ) -> Result<BoundQuery, SqlError> {
        // A chain of unions to the left is followed without recursion.
        let mut chain = vec![(op, quantifier, right)];
        let mut first = left;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            chain.push((op, set_quantifier, right));
            first = left;
        }
        chain.reverse();
        let mut out = self.set_expr(first, outer)?;
        let mut operands = Vec::new();
        for (op, quantifier, right) in chain {
            operands.push((op, quantifier, self.set_expr(right, outer)?));
        }
        if operands.len() > 1 && operands.iter().all(|o| o.2.columns.len() == out.columns.len()) {
            // The type of a column follows from all of them at once.
            for i in 0..out.columns.len() {
                let mut all = vec![out.column(i, "")];
                all.extend(operands.iter().map(|o| o.2.column(i, "")));
                let ty = self.common_type(&all)?;
                self.retype(&mut out, i, &ty);
                operands.iter_mut().for_each(|o| self.retype(&mut o.2, i, &ty));
            }
        }
        for (op, quantifier, right) in operands {
            out = self.combine(out, op, quantifier, right)?;
        }
        Ok(out)
    }

    /// Converts a column of a query, where the type is of another class.
    fn retype(&mut self, q: &mut BoundQuery, column: usize, ty: &FieldType) {
        if q.columns[column].ty.class() == ty.class() {
            return;
        }
        let mut list: Vec<String> = (0..q.columns.len()).map(|i| format!("c{i}")).collect();
        let b = q.column(column, &list[column]);
        let b = self.to(&b, ty);
        list[column] = format!("{} AS c{column}", self.sql(&b));
        q.sql = format!("SELECT {} FROM ({})", list.join(","), q.sql);
        q.columns[column].ty = b.ty;
    }

    fn combine(
        &mut self,
        a: BoundQuery,
        op: &SetOperator,
        quantifier: &SetQuantifier,
        b: BoundQuery,
    ) -> Result<BoundQuery, SqlError> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            _ => return Err(SqlError::unsupported("UNION BY NAME")),
        };
        let word = match (op, all) {
            (SetOperator::Union, true) => "UNION ALL",
            (SetOperator::Union, false) => "UNION",
            (SetOperator::Except, false) => "EXCEPT",
            (SetOperator::Intersect, false) => "INTERSECT",
            // Rows that are numbered among their equals are all different.
            (SetOperator::Except, true) => "EXCEPT",
            (SetOperator::Intersect, true) => "INTERSECT",
            (SetOperator::Minus, _) => return Err(SqlError::syntax("MINUS", 1)),
        };
        if a.columns.len() != b.columns.len() {
            return Err(SqlError::new(
                1222,
                "21000",
                "The used SELECT statements have a different number of columns",
            ));
        }
        let mut columns = Vec::new();
        let mut levels = Vec::new();
        // Of equal rows UNION gives the first; SQLite's own UNION gives the last.
        let first_wins = word == "UNION";
        let word = if first_wins { "UNION ALL" } else { word };
        let mut outer = Vec::new();
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for i in 0..a.columns.len() {
            let name = format!("c{i}");
            let mut both = [a.column(i, &name), b.column(i, &name)];
            self.beside_texts(&mut both);
            let [l, r] = both;
            let mut ty = types::unify(&l.ty, &r.ty).without_zerofill();
            if ty.class() == Class::Text {
                ty.collation = self.common_collation(&[&l, &r], "UNION").map_err(|e| match e.code {
                    1267 => SqlError::new(1271, "HY000", "Illegal mix of collations for operation 'UNION'"),
                    _ => e,
                })?;
                // As of a column.
                ty.decimals = 0;
            }
            let collate = if word == "UNION ALL" { String::new() } else { collate_clause(&ty) };
            outer.push(format!("c{i}{} AS c{i}", collate_clause(&ty)));
            let (p, q) = (self.to(&l, &ty), self.to(&r, &ty));
            x.push(format!("{}{collate} AS c{i}", self.sql(&p)));
            y.push(format!("{}{collate} AS c{i}", self.sql(&q)));
            levels.push(l.coercibility.min(r.coercibility));
            columns.push(Field {
                ty,
                not_null: l.not_null && r.not_null,
                ..expression_field(&a.columns[i].name, &l)
            });
        }
        let sql = if all && word != "UNION ALL" {
            let numbered = |list: &[String], sql: &str| {
                let n = columns
                    .iter()
                    .enumerate()
                    .map(|(i, f): (usize, &Field)| format!("c{i}{}", collate_clause(&f.ty)));
                let n: Vec<String> = n.collect();
                format!(
                    "SELECT *,row_number() OVER (PARTITION BY {}) AS n FROM (SELECT {} FROM ({sql}))",
                    n.join(","),
                    list.join(",")
                )
            };
            format!("{} {word} {}", numbered(&x, &a.sql), numbered(&y, &b.sql))
        } else {
            format!("SELECT {} FROM ({}) {word} SELECT {} FROM ({})", x.join(","), a.sql, y.join(","), b.sql)
        };
        let list: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
        let mut free = a.free;
        free.extend(b.free);
        Ok(BoundQuery {
            sql: if first_wins {
                format!("SELECT DISTINCT {} FROM ({sql})", outer.join(","))
            } else {
                format!("SELECT {} FROM ({sql})", list.join(","))
            },
            columns,
            coercibility: levels,
            single_row: false,
            free,
            locking: None,
            found_rows: None,
            by_key: false,
        })
    }

    /// `VALUES ROW(…), ROW(…)`.
    fn values(&mut self, v: &Values, outer: Option<&Rc<Scope>>) -> Result<BoundQuery, SqlError> {
        self.scopes += 1;
        let s = Rc::new(Scope { outer: outer.cloned(), ..Scope::empty(self.scopes) });
        let mut rows = Vec::new();
        for row in &v.rows {
            rows.push(row.content.iter().map(|e| self.expr(e, &s)).collect::<Result<Vec<_>, _>>()?);
        }
        let width = rows.first().map_or(0, Vec::len);
        if let Some(n) = rows.iter().position(|r| r.len() != width || width == 0) {
            return Err(SqlError::value_count(n + 1));
        }
        let mut columns = Vec::new();
        let mut levels = Vec::new();
        for i in 0..width {
            let cells: Vec<Bound> = rows.iter().map(|r| r[i].clone()).collect();
            let ty = self.common_type(&cells)?;
            levels.push(cells.iter().map(|c| c.coercibility).min().unwrap_or(coercibility::NULL));
            let mut f = expression_field(&format!("column_{i}"), &Bound::new("", ty));
            f.not_null = cells.iter().all(|c| c.not_null);
            columns.push(f);
        }
        let mut texts = Vec::new();
        for r in &rows {
            let mut cells = Vec::new();
            for (b, f) in r.iter().zip(&columns) {
                let b = self.to(b, &f.ty);
                cells.push(self.sql(&b));
            }
            texts.push(format!("({})", cells.join(",")));
        }
        let list: Vec<String> = (0..width).map(|i| format!("column{} AS c{i}", i + 1)).collect();
        Ok(BoundQuery {
            sql: format!("SELECT {} FROM (VALUES {})", list.join(","), texts.join(",")),
            columns,
            coercibility: levels,
            single_row: rows.len() == 1,
            free: rows.iter().flatten().flat_map(|b| b.free.clone()).collect(),
            locking: None,
            found_rows: None,
            by_key: false,
        })
    }

    /// ORDER BY and LIMIT around a query that is no single SELECT.
    fn ordered(
        &mut self,
        q: BoundQuery,
        order: Option<&OrderBy>,
        limit: Option<&LimitClause>,
        outer: Option<&Rc<Scope>>,
    ) -> Result<BoundQuery, SqlError> {
        if order.is_none() && limit.is_none() {
            return Ok(q);
        }
        self.scopes += 1;
        let columns = q.columns.iter().enumerate().map(|(i, f)| RelColumn {
            name: f.name.clone(),
            sql: format!("c{i}"),
            field: f.clone(),
            tag: None,
            invisible: false,
            coercibility: q.coercibility[i],
        });
        let relation = Relation::derived("", None, "", columns.collect());
        let s = Rc::new(Scope {
            outer: outer.cloned(),
            relations: vec![Rc::new(relation)],
            clause: "order clause",
            ..Scope::empty(self.scopes)
        });
        let bound: Vec<Bound> = (0..q.columns.len()).map(|i| q.column(i, &format!("c{i}"))).collect();
        let mut keys = Vec::new();
        for o in order_expressions(order)? {
            let key = match self.position(&o.expr, bound.len(), "order clause")? {
                Some(n) => bound[n].clone(),
                None => self.expr(&o.expr, &s)?,
            };
            keys.push(self.order_key(&key, o)?);
        }
        let list: Vec<String> = (0..q.columns.len()).map(|i| format!("c{i}")).collect();
        let mut sql = format!("SELECT {} FROM ({})", list.join(","), q.sql);
        if !keys.is_empty() {
            sql += &format!(" ORDER BY {}", keys.join(","));
        }
        sql += &self.limit(limit)?;
        Ok(BoundQuery { sql, ..q })
    }

    /// The SQL of one ORDER BY item.
    pub(crate) fn order_key(&mut self, b: &Bound, o: &OrderByExpr) -> Result<String, SqlError> {
        if o.with_fill.is_some() || o.options.nulls_first.is_some() {
            return Err(SqlError::syntax(&o.to_string(), 1));
        }
        let sql = self.sql(b);
        let desc = match &o.options.sort {
            None | Some(OrderBySort::Asc) => "",
            Some(OrderBySort::Desc) => " DESC",
            Some(_) => return Err(SqlError::syntax(&o.to_string(), 1)),
        };
        // A parameter would be taken for a position by nobody, but a bare number in text would.
        let sql =
            if b.is_slot() || sql.bytes().all(|c| c.is_ascii_digit()) { format!("({sql}+0)") } else { sql };
        let sql = sort_sql(&sql, &b.ty);
        Ok(format!("{sql}{}{desc}", collate_clause(&b.ty)))
    }

    /// ORDER BY of UPDATE and DELETE, with its words and a blank before; empty when there is none.
    pub fn order_by(&mut self, order: &[OrderByExpr], s: &Rc<Scope>) -> Result<String, SqlError> {
        let s = s.in_clause("order clause");
        let mut keys = Vec::new();
        for o in order {
            let b = self.expr(&o.expr, &s)?;
            keys.push(self.order_key(&b, o)?);
        }
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(",")) })
    }

    /// The column that an integer in ORDER BY or GROUP BY names, from 0.
    pub(crate) fn position(
        &mut self,
        e: &Expr,
        columns: usize,
        clause: &str,
    ) -> Result<Option<usize>, SqlError> {
        let Expr::Value(v) = e else { return Ok(None) };
        if !matches!(&v.value, Ast::Number(n, _) if n.bytes().all(|c| c.is_ascii_digit())) {
            return Ok(None);
        }
        let n = match self.literal_value(v)?.value {
            p2pdb_model::Value::Int(n) => usize::try_from(n).unwrap_or(0),
            _ => 0,
        };
        if n == 0 || n > columns {
            return Err(SqlError::unknown_column(n, clause));
        }
        Ok(Some(n - 1))
    }

    /// LIMIT, with its words and a blank before; empty when there is none.
    ///
    /// # Errors
    /// 1064 for anything but integers and parameters.
    pub fn limit(&mut self, limit: Option<&LimitClause>) -> Result<String, SqlError> {
        let (limit, offset) = match limit {
            None => return Ok(String::new()),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|o| &o.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            Some(other) => return Err(SqlError::syntax(&other.to_string(), 1)),
        };
        let Some(limit) = limit else { return Err(SqlError::syntax("OFFSET", 1)) };
        self.note_unsafe();
        let mut sql = format!(" LIMIT {}", self.row_count(limit)?);
        if let Some(o) = offset {
            sql += &format!(" OFFSET {}", self.row_count(o)?);
        }
        Ok(sql)
    }

    fn row_count(&mut self, e: &Expr) -> Result<String, SqlError> {
        let wrong = || SqlError::syntax(&e.to_string(), 1);
        let variable = matches!(e, Expr::Identifier(_)) && self.session.locals_in_sight().is_some();
        if variable {
            let b = self.expr(e, &Rc::new(super::Scope::empty(0)))?;
            let Repr::Slot(Slot { source, .. }) = b.repr else { return Err(wrong()) };
            let p = self.parameter(Slot { source, coerce: Coerce::Expression(FieldType::int()) });
            return Ok(format!("max({p},0)"));
        }
        let Expr::Value(v) = e else { return Err(wrong()) };
        if !matches!(&v.value, Ast::Placeholder(_))
            && !matches!(&v.value, Ast::Number(n, _) if n.bytes().all(|c| c.is_ascii_digit()))
        {
            return Err(wrong());
        }
        let b = self.literal(v)?;
        match b.repr {
            Repr::Slot(slot) => {
                let literal = !matches!(slot.source, crate::plan::Source::Param(_));
                let slot = Slot { coerce: Coerce::RowCount { literal }, ..slot };
                Ok(self.parameter(slot))
            }
            Repr::Sql(sql) => {
                Ok(format!("p_cv({sql},{},{})", b.ty.code().pack(), FieldType::int().code().pack()))
            }
        }
    }
}

/// ` COLLATE x` for text, nothing for the rest.
pub(crate) fn collate_clause(ty: &FieldType) -> String {
    if ty.class() == Class::Text && ty.collation != Collation::Binary {
        format!(" COLLATE {}", ty.collation.name())
    } else {
        String::new()
    }
}

/// What a value sorts by.
pub(crate) fn sort_sql(sql: &str, ty: &FieldType) -> String {
    if ty.class() == Class::Json { format!("p_json_key({sql})") } else { sql.to_owned() }
}

/// The description of a result column that is an expression.
pub(crate) fn expression_field(name: &str, b: &Bound) -> Field {
    Field { not_null: b.not_null, ..Field::expression(name, b.ty.clone()) }
}

/// The items of ORDER BY.
pub(crate) fn order_expressions(order: Option<&OrderBy>) -> Result<&[OrderByExpr], SqlError> {
    match order {
        None => Ok(&[]),
        Some(OrderBy { kind: OrderByKind::Expressions(all), interpolate: None }) => Ok(all),
        Some(o) => Err(SqlError::syntax(&o.to_string(), 1)),
    }
}

fn named(mut columns: Vec<Field>, names: &[String]) -> Result<Vec<Field>, SqlError> {
    if !names.is_empty() && names.len() != columns.len() {
        return Err(SqlError::new(
            1353,
            "HY000",
            "In definition of view, derived table or common table expression, SELECT list and column names list have \
             different column counts",
        ));
    }
    for (c, n) in columns.iter_mut().zip(names) {
        c.name = n.clone();
    }
    Ok(columns)
}

/// The text of a query names this table somewhere (a superset of real references).
fn mentions(q: &Query, name: &str) -> bool {
    set_mentions(&q.body, name)
}

fn set_mentions(body: &SetExpr, name: &str) -> bool {
    let text = body.to_string().to_lowercase();
    let name = name.to_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(&name).any(|(i, m)| {
        let before = text[..i].chars().next_back();
        let after = text[i + m.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// The scope of HAVING: the select list, the columns of GROUP BY, and the queries around.
pub(crate) fn having_scope(s: &Scope, names: &Rc<Vec<(String, Bound)>>, groups: &[Bound]) -> Rc<Scope> {
    let columns = names.iter().map(|(_, item)| item).chain(groups).filter(|b| b.field.is_some());
    let seen = columns.filter_map(|b| b.as_sql()).map(str::to_owned).collect();
    let clause = "having clause";
    Rc::new(Scope {
        clause,
        names: names.clone(),
        aliases: Aliases::First,
        having: Some(Rc::new(seen)),
        ..s.clone()
    })
}

/// Marks a scope for a clause in which names of the select list are in sight.
pub(crate) fn with_aliases(
    s: &Scope,
    clause: &'static str,
    names: &Rc<Vec<(String, Bound)>>,
    how: Aliases,
) -> Rc<Scope> {
    Rc::new(Scope { clause, names: names.clone(), aliases: how, ..s.clone() })
}
