//! A schema without a store: statements are compiled, their schema changes folded into a catalog, and the rows of
//! SHOW are made directly.

use std::collections::HashMap;
use std::sync::Arc;

use p2pdb_model::catalog::ObjectState;
use p2pdb_model::change::{Position, SchemaChange, WriteOrder};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{Catalog, ObjectId, Stamp, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::FieldKind;
use p2pdb_sql::front::Front;
use p2pdb_sql::plan::{
    Coerce, Ddl, InsertRows, Plan, PlanKind, ReadSet, Scalar, SessionCommand, Slot, Source,
};
use p2pdb_sql::session::SessionState;
use p2pdb_sql::variables::Globals;
use p2pdb_sql::virtuals::{self, Environment, Process};

/// See the module.
pub struct World {
    objects: Vec<ObjectState>,
    freed: HashMap<(ObjectId, String), Vec<u8>>,
    writes: u64,
    /// The catalog.
    pub catalog: Catalog,
    /// The session.
    pub session: SessionState,
    front: Front,
}

pub struct Nobody;

impl Environment for Nobody {
    fn processes(&self) -> Vec<Process> {
        let info = Some("SHOW PROCESSLIST".to_owned());
        vec![Process { id: 7, user: "root".into(), host: "localhost:1".into(), info, ..Process::default() }]
    }
    fn status(&self, _: u64, _: bool) -> Vec<(String, String)> {
        vec![("Uptime".into(), "5".into())]
    }
    fn accounts(&self) -> Vec<(String, String)> {
        vec![("root".into(), "%".into())]
    }
    fn granted(&self) -> Vec<p2pdb_sql::account::Granted> {
        let name = p2pdb_sql::account::AccountName { user: "root".into(), host: "%".into() };
        let every = p2pdb_model::change::Rights::whole(p2pdb_model::Privileges::EVERY);
        vec![p2pdb_sql::account::Granted {
            name: Some(name),
            on: [(None, every.clone())].into(),
            for_good: [(None, every)].into(),
            ..Default::default()
        }]
    }
    fn p2pdb(&self, table: &str) -> Result<Vec<Vec<Value>>, SqlError> {
        match table {
            "voided" => Err(SqlError::new(1105, "HY000", "the disk is gone")),
            _ => Ok(Vec::new()),
        }
    }
    fn history(&self, _: &str, _: &str, _: &[String]) -> Result<Vec<Vec<Value>>, SqlError> {
        Ok(Vec::new())
    }
    fn table_size(&self, _: ObjectId) -> (u64, u64) {
        (3, 300)
    }
    fn auto_increment(&self, _: ObjectId) -> u64 {
        4
    }
}

impl World {
    /// An empty realm.
    pub fn new() -> Self {
        let session = SessionState::new(Arc::new(Globals::default()), 7, "root", "localhost", "root@%");
        World {
            objects: Vec::new(),
            freed: HashMap::new(),
            writes: 0,
            catalog: Catalog::default(),
            session,
            front: Front::default(),
        }
    }

    fn order(&mut self) -> WriteOrder {
        self.writes += 1;
        let position = Position { transaction: 0, change: 0 };
        WriteOrder { stamp: Stamp(self.writes), author: NodeId([0; 32]), block: Cid::default(), position }
    }

    fn fold(&mut self, change: &SchemaChange) {
        let order = self.order();
        let mark = self.writes.to_be_bytes().to_vec();
        match change.clone() {
            SchemaChange::Put { id, kind, parent, name, definition, position, .. } => {
                if let Some(o) = self.objects.iter_mut().find(|o| o.id == id) {
                    if let Some(name) = name {
                        self.freed.insert((o.parent, folded(&o.name, kind)), mark);
                        (o.name, o.parent, o.named) = (name, parent, order);
                    }
                    if let Some(d) = definition {
                        o.definition = *d;
                    }
                    o.position = position.unwrap_or(o.position);
                } else {
                    let (name, definition) = (name.expect("new"), *definition.expect("new"));
                    let position = position.unwrap_or(0);
                    self.objects.push(ObjectState {
                        id,
                        kind,
                        parent,
                        name,
                        named: order,
                        definition,
                        position,
                    });
                }
            }
            SchemaChange::Drop { id } => {
                let mut gone = vec![id];
                while let Some(id) = gone.pop() {
                    gone.extend(self.objects.iter().filter(|o| o.parent == id).map(|o| o.id));
                    if let Some(at) = self.objects.iter().position(|o| o.id == id) {
                        let o = self.objects.remove(at);
                        self.freed.insert((o.parent, folded(&o.name, o.kind)), mark.clone());
                    }
                }
            }
        }
    }

    /// Applies the changes of a schema statement.
    pub fn apply(&mut self, ddl: &Ddl) {
        ddl.changes.iter().for_each(|c| self.fold(c));
        self.catalog = Catalog::build(self.writes, self.objects.clone(), self.freed.clone());
    }

    /// Compiles a statement.
    pub fn compile(&mut self, sql: &str) -> Result<Arc<Plan>, SqlError> {
        self.front.compile(sql, &self.session, &self.catalog).map(|c| c.plan)
    }

    /// Compiles a statement and does what it says to schema and session; gives what a reader should see of it.
    pub fn run(&mut self, sql: &str) -> Result<String, SqlError> {
        let plan = self.compile(sql)?;
        let mut out = String::new();
        for n in &plan.notes {
            out.push_str(&format!("{:?} {}: {}\n", n.level, n.code, n.message));
        }
        match &plan.kind {
            PlanKind::Ddl(ddl) => {
                for (sql, e) in &ddl.checks {
                    out.push_str(&format!("check {sql}\n   or {e}\n"));
                }
                out.extend(ddl.then.iter().map(|t| format!("then {t}\n")));
                self.apply(ddl);
            }
            PlanKind::Session(all) => {
                for command in all {
                    self.command(command)?;
                    out.push_str(&format!("{command:?}\n"));
                }
            }
            PlanKind::Program(call) => out.push_str(&format!("{call:?}\n")),
            PlanKind::Query(q) => match q.slots.as_slice() {
                [slot]
                    if matches!(slot.source, Source::Virtual(..))
                        && q.sql.starts_with("SELECT json_extract") =>
                {
                    let Source::Virtual(name, args) = &slot.source else { unreachable!() };
                    let rows = virtuals::rows_json(name, args, &self.catalog, &self.session, &Nobody)?;
                    let names: Vec<_> = plan.fields.iter().map(|f| f.name.as_str()).collect();
                    out.push_str(&format!("[{}]\n", names.join("|")));
                    let rows: Vec<Vec<serde_json::Value>> = serde_json::from_str(&rows).expect("JSON");
                    for row in rows {
                        assert_eq!(row.len(), plan.fields.len(), "{sql}");
                        let cells: Vec<_> = row.iter().map(shown).collect();
                        out.push_str(&format!("{}\n", cells.join("|")));
                    }
                }
                _ => out.push_str(&format!("query {}\n", q.sql)),
            },
            PlanKind::Insert(i) => {
                out.push_str(&format!("{:?} {}\n", i.mode, i.sql));
                match &i.rows {
                    InsertRows::Values(rows) => {
                        rows.iter().for_each(|r| out.push_str(&format!("  row {}\n", slots(r))));
                    }
                    InsertRows::Select { query, coerce, .. } => {
                        let how: Vec<_> = coerce.iter().map(how).collect();
                        let with = slots(&query.slots);
                        out.push_str(&format!(
                            "  rows {}\n    with {with}\n    to {}\n",
                            query.sql,
                            how.join(", ")
                        ));
                    }
                }
                if !i.extra.is_empty() {
                    out.push_str(&format!("  extra {}\n", slots(&i.extra)));
                }
                out.push_str(&self.reads(&i.reads));
            }
            PlanKind::Modify(m) => {
                for s in &m.steps {
                    if let Some((sql, with)) = &s.collect {
                        out.push_str(&format!("  collect {sql}\n    with {}\n", slots(with)));
                    }
                    out.push_str(&format!("  step {}\n    with {}\n", s.sql, slots(&s.slots)));
                }
                out.push_str(&self.reads(&m.reads));
            }
        }
        Ok(out)
    }

    fn reads(&self, r: &ReadSet) -> String {
        let name = |id| self.catalog.table_by_id(id).map(|t| t.name.clone()).unwrap_or_default();
        let keys = r.keys.iter().map(|(t, s)| format!("{}[{}]", name(*t), slots(s)));
        let conditions = r.conditions.iter().map(|c| format!("{} where", name(c.table)));
        let all: Vec<_> = keys.chain(conditions).chain(r.tables.iter().map(|t| name(*t))).collect();
        if all.is_empty() { String::new() } else { format!("  reads {}\n", all.join(", ")) }
    }

    fn command(&mut self, command: &SessionCommand) -> Result<(), SqlError> {
        match command {
            SessionCommand::Use(name) => self.session.use_database(&self.catalog, name),
            SessionCommand::SetNames(set, collation) => self.session.set_names(set, collation.as_deref()),
            SessionCommand::SetVariable { global, name, value } => {
                let value = match value {
                    None => None,
                    Some(Scalar::Slot(slot)) => match &slot.source {
                        Source::Const(v) => Some(v.clone()),
                        Source::SystemVariable { name, global } => {
                            Some(self.session.system_variable(name, *global)?)
                        }
                        Source::UserVariable(name) => Some(
                            self.session.user_variables.get(name).map_or(Value::Null, |v| v.value.clone()),
                        ),
                        _ => return Ok(()),
                    },
                    Some(Scalar::Query(_)) => return Ok(()),
                };
                let kind = |v: &Value| match v {
                    Value::Int(_) | Value::Blob(_) => FieldKind::LongLong,
                    _ => FieldKind::VarChar,
                };
                let value = value.as_ref().map(|v| (v, kind(v)));
                let value = value.as_ref().map(|(v, k)| (*v, k));
                self.session.set_variable(*global, name, value).map(|_| ())
            }
            SessionCommand::SetUser { name, value: Scalar::Slot(slot) } => {
                let value = match &slot.source {
                    Source::Const(v) => v.clone(),
                    Source::SystemVariable { name, global } => self.session.system_variable(name, *global)?,
                    _ => return Ok(()),
                };
                let ty = p2pdb_sql::field::FieldType::of_plain(&value);
                self.session.set_user_variable(name, value, ty)
            }
            _ => Ok(()),
        }
    }
}

fn how(c: &Coerce) -> String {
    match c {
        Coerce::None => "as is".to_owned(),
        Coerce::Column(t) => format!("column {}", t.name),
        Coerce::Expression(_) => "expression".to_owned(),
        Coerce::Compare(_) => "compare".to_owned(),
        Coerce::Beside(_) => "compare with several".to_owned(),
        Coerce::RowCount { .. } => "row count".to_owned(),
        Coerce::Through(_, t) => format!("expression, then column {}", t.name),
    }
}

fn slots(all: &[Slot]) -> String {
    let one = |s: &Slot| match &s.coerce {
        Coerce::None => format!("{:?}", s.source),
        c => format!("{:?} to {}", s.source, how(c)),
    };
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn folded(name: &str, kind: p2pdb_model::ids::ObjectKind) -> String {
    use p2pdb_model::ids::ObjectKind::{Column, Index};
    if matches!(kind, Column | Index) { name.to_lowercase() } else { name.to_owned() }
}

fn shown(v: &serde_json::Value) -> String {
    match v {
        serde_json::Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
