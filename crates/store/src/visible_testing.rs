//! Which rows a store shows, held against the specification's function of all live rows (`p2pdb_merge::visible`).
//!
//! The store decides the rows that changed and those that depend on them; here all live rows of all tables are decided at
//! once. What a row holds, where it lies and whether it fits its table is read from the store.

use std::collections::BTreeMap;

use p2pdb_merge::visible::{Key, Live, Outcome, visible};
use p2pdb_model::Value;
use p2pdb_model::ids::{ColumnTag, ObjectId};

use crate::apply_testing::Node;
use crate::displaced::{Image, Place, Reason, Run};
use crate::index_ident::Ident;
use crate::log::TxNo;

/// A unique key, or a table's columns that are referred to.
type KeyName = (ObjectId, Vec<ColumnTag>);

/// The node shows those rows that the specification says, and displaces the others for its reasons.
pub(crate) fn assert_visible_as_specified(node: &mut Node) {
    let mut tables: Vec<ObjectId> = node.merger.catalog().tables().map(|t| t.id).collect();
    tables.sort();
    let (rows, found) = node.merging(|m, w, a| {
        let mut run = Run::new(w, a, &mut m.cache);
        let mut rows: BTreeMap<(ObjectId, Ident), Live<KeyName>> = BTreeMap::new();
        let mut found: BTreeMap<(ObjectId, Ident), Outcome> = BTreeMap::new();
        for table in tables {
            let plan = run.plans.plan(w, table)?.expect("a live table");
            run.each_row(&plan, &mut |run, stored| {
                let outcome = match stored.place {
                    Place::Visible => Outcome::Visible,
                    // Step 1 has decided those behind another row of their key.
                    Place::Displaced { unit, .. } if unit != TxNo(0) => return Ok(()),
                    Place::Displaced { reason, .. } => match reason {
                        Reason::Unique => Outcome::Unique,
                        Reason::Reference => Outcome::Reference,
                        Reason::Type | Reason::Null | Reason::Check => Outcome::Misfit,
                        Reason::Pending | Reason::Generated | Reason::Superseded => {
                            panic!("a row left as {reason:?}")
                        }
                    },
                };
                let name = (table, stored.image.ident.clone());
                let fits = run.misfit(&plan, &stored)?.is_none();
                let image = run.generate(&plan, &stored.image)?;
                let tags = |columns: &[usize]| columns.iter().map(|c| plan.columns[*c].tag).collect();
                let key = |of, columns: &[usize]| key(of, columns, &image);
                let live = Live {
                    fits,
                    priority: run.priority(&plan, &image)?,
                    claims: plan.uniques.iter().map(|u| key((u.id, Vec::new()), &u.columns)).collect(),
                    offers: plan
                        .dependents
                        .iter()
                        .map(|d| key((table, tags(&d.columns)), &d.columns))
                        .collect(),
                    references: plan
                        .references
                        .iter()
                        .map(|r| key((r.parent, r.parent_columns.clone()), &r.columns))
                        .collect(),
                };
                assert!(found.insert(name.clone(), outcome).is_none(), "a row in two places");
                rows.insert(name, live);
                Ok(())
            })?;
        }
        Ok((rows, found))
    });
    let wanted = visible(rows);
    let differ = wanted.iter().filter(|(name, outcome)| found[name] != **outcome);
    let differ: Vec<_> = differ.map(|(name, wanted)| (name, wanted, found[name])).collect();
    assert!(differ.is_empty(), "rows that the specification decides otherwise: {differ:?}");
}

fn key(of: KeyName, columns: &[usize], image: &Image) -> Key<KeyName> {
    let bytes = |v: &Value| match v {
        Value::Null => None,
        Value::Int(n) => Some([&[1], &n.to_be_bytes()[..]].concat()),
        // All texts in keys have one collation, which folds ASCII case.
        Value::Text(t) => Some([b"t", t.to_ascii_lowercase().as_bytes()].concat()),
        v => panic!("{v:?} in a key"),
    };
    Key { of, values: columns.iter().map(|c| bytes(&image.values[*c])).collect() }
}
