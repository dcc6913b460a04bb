//! Functions that make or read JSON out of arguments of any type.

use p2pdb_model::types::Collation;

use super::call::wrong_count;
use super::{Binder, Bound, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;

impl Binder<'_> {
    pub(super) fn json_call(&mut self, name: &str, args: &[Bound]) -> Result<Option<Bound>, SqlError> {
        Ok(Some(match name {
            "JSON_ARRAY" => {
                let sqls: Vec<String> = args.iter().map(|a| self.json_of(a)).collect();
                Bound::new(format!("p_json_array({})", sqls.join(",")), FieldType::json())
            }
            "JSON_OBJECT" => {
                if args.len() % 2 == 1 {
                    return Err(wrong_count("JSON_OBJECT"));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    sqls.push(if i % 2 == 0 {
                        let t = self.text_in_json(a);
                        self.sql(&t)
                    } else {
                        self.json_of(a)
                    });
                }
                Bound::new(format!("p_json_object({})", sqls.join(",")), FieldType::json())
            }
            "JSON_SET" | "JSON_INSERT" | "JSON_REPLACE" | "JSON_ARRAY_APPEND" | "JSON_ARRAY_INSERT" => {
                if args.len() < 3 || args.len().is_multiple_of(2) {
                    return Err(wrong_count(name));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    sqls.push(match i {
                        0 => {
                            let j = self.json_argument(a, name);
                            self.sql(&j)
                        }
                        i if i % 2 == 1 => {
                            let t = self.text_in_json(a);
                            self.sql(&t)
                        }
                        _ => self.json_of(a),
                    });
                }
                Bound::new(format!("p_{}({})", name.to_lowercase(), sqls.join(",")), FieldType::json())
            }
            "JSON_CONTAINS_PATH" | "JSON_SEARCH" | "JSON_VALUE" | "JSON_OVERLAPS" => {
                let (min, max) = match name {
                    "JSON_CONTAINS_PATH" | "JSON_SEARCH" => (3, usize::MAX),
                    _ => (2, 2),
                };
                if !(min..=max).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let mut sqls = Vec::new();
                for (i, a) in args.iter().enumerate() {
                    let json = i == 0 || name == "JSON_OVERLAPS";
                    let a = match (json, name) {
                        (true, _) => self.json_argument(a, name),
                        (false, "JSON_SEARCH") => self.text_of(a),
                        (false, _) => self.text_in_json(a),
                    };
                    sqls.push(self.sql(&a));
                }
                let ty = match name {
                    "JSON_SEARCH" => FieldType::json(),
                    "JSON_VALUE" => FieldType::text(512, Collation::Utf8mb4_0900AiCi),
                    _ => FieldType::boolean(),
                };
                let mut b = Bound::new(format!("p_{}({})", name.to_lowercase(), sqls.join(",")), ty);
                b.coercibility = coercibility::LITERAL;
                b
            }
            "JSON_CONTAINS" | "MEMBER OF" => {
                if !(2..=3).contains(&args.len()) {
                    return Err(wrong_count(name));
                }
                let sql = if name == "MEMBER OF" {
                    let (v, a) = (self.json_of(&args[0]), self.json_argument(&args[1], name));
                    format!("p_json_member({v},{})", self.sql(&a))
                } else {
                    let (a, b) = (self.json_argument(&args[0], name), self.json_argument(&args[1], name));
                    let (a, b) = (self.sql(&a), self.sql(&b));
                    match args.get(2) {
                        Some(p) => {
                            let p = self.text_in_json(p);
                            format!("p_json_contains(p_json_extract({a},{}),{b})", self.sql(&p))
                        }
                        None => format!("p_json_contains({a},{b})"),
                    }
                };
                let mut b = Bound::new(sql, FieldType::int());
                b.bits = 1;
                b.truth = true;
                b
            }
            _ => return Ok(None),
        }))
    }
}
