//! Aggregate functions.

use std::rc::Rc;

use p2pdb_model::Value;

use super::call::Call;
use super::query::collate_clause;
use super::{Binder, Bound, Scope, coercibility};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::types::Class;

/// As MySQL declares the length of GROUP_CONCAT.
const GROUP_CONCAT_CHARS_PER_BYTE: u32 = 16;

/// Names of aggregate functions.
const NAMES: [&str; 20] = [
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "GROUP_CONCAT",
    "BIT_AND",
    "BIT_OR",
    "BIT_XOR",
    "STD",
    "STDDEV",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "VARIANCE",
    "VAR_POP",
    "VAR_SAMP",
    "JSON_ARRAYAGG",
    "JSON_OBJECTAGG",
    "ST_COLLECT",
    "GROUPING",
];

pub(crate) fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Binder<'_> {
    /// An aggregate without OVER.
    pub(crate) fn aggregate(&mut self, call: &Call<'_>, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        if call.name == "GROUPING" && !self.in_aggregate {
            return self.grouping(call, s);
        }
        if !s.aggregates || self.in_aggregate {
            return Err(SqlError::new(1111, "HY000", "Invalid use of group function"));
        }
        self.in_aggregate = true;
        let inner = Rc::new(Scope { group: None, having: None, ..(**s).clone() });
        let out = self.aggregate_of(call, &inner, "");
        self.in_aggregate = false;
        let mut b = out?;
        b.free.retain(|f| f.scope != s.id);
        b.aggregate = true;
        Ok(b)
    }

    /// The aggregate's SQL with `over` after each of its calls.
    pub(crate) fn aggregate_of(
        &mut self,
        call: &Call<'_>,
        s: &Rc<Scope>,
        over: &str,
    ) -> Result<Bound, SqlError> {
        let name = call.name.as_str();
        let wrong = || SqlError::syntax(&format!("{name}()"), 1);
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        if call.star {
            if name != "COUNT" || call.distinct {
                return Err(wrong());
            }
            let b = Bound::new(format!("count(*){over}"), FieldType::int()).not_null(true);
            return Ok(b);
        }
        let args = call.args.iter().map(|e| self.expr(e, s)).collect::<Result<Vec<_>, _>>()?;
        if name != "GROUP_CONCAT" && (!call.order.is_empty() || call.separator.is_some()) {
            return Err(wrong());
        }
        let one = |n: usize| if args.len() == n { Ok(()) } else { Err(wrong()) };
        let Some(x) = args.first().cloned() else { return Err(wrong()) };
        let out = match name {
            "COUNT" => {
                let sql = match args.len() {
                    1 if call.distinct => {
                        format!("count(DISTINCT {}{})", self.sql(&x), collate_clause(&x.ty))
                    }
                    1 => format!("count({})", self.sql(&x)),
                    _ if call.distinct => {
                        let ids: Vec<String> = args
                            .iter()
                            .map(|a| match a.class() {
                                Class::Text => a.ty.collation.id().to_string(),
                                _ => "63".to_owned(),
                            })
                            .collect();
                        let sqls: Vec<String> = args.iter().map(|a| self.sql(a)).collect();
                        format!("p_count_rows('{}',{})", ids.join(" "), sqls.join(","))
                    }
                    _ => return Err(wrong()),
                };
                Bound::new(format!("{sql}{over}"), FieldType::int()).not_null(true)
            }
            "SUM" | "AVG" => {
                one(1)?;
                self.sum(name, &x, distinct, over)
            }
            "MIN" | "MAX" => {
                one(1)?;
                let x = if matches!(x.class(), Class::Enum | Class::Set) {
                    let text = self.text_of(&x);
                    Bound { ty: FieldType { kind: crate::field::FieldKind::Char, ..text.ty.clone() }, ..text }
                } else {
                    x
                };
                let sql = self.sql(&x);
                let json = if x.class() == Class::Json { "p_json_" } else { "" };
                let f = format!("{json}{}", name.to_lowercase());
                let collation = if json.is_empty() { collate_clause(&x.ty) } else { String::new() };
                let mut b = Bound::new(format!("{f}({sql}{collation}){over}"), x.ty.clone().of_expression());
                b.coercibility = x.coercibility;
                b
            }
            "GROUP_CONCAT" => self.group_concat(call, &args, distinct, s, over)?,
            "BIT_AND" | "BIT_OR" | "BIT_XOR" => {
                one(1)?;
                if super::arithmetic::is_binary(&x) {
                    if !over.is_empty() {
                        return Err(SqlError::unsupported("bit operations on binary strings over a window"));
                    }
                    let sql = self.sql(&x);
                    let length = x.ty.text_length();
                    let none = if name == "BIT_AND" { 0xff } else { 0 };
                    let none = self.constant(Value::Blob(vec![none; length.min(511) as usize]));
                    let sql = format!("coalesce(p_bytes_{}({sql}),{none})", name.to_lowercase());
                    return Ok(Bound::new(sql, FieldType::bytes(length)).not_null(true));
                }
                let x = self.to(&x, &FieldType::uint());
                let sql = self.sql(&x);
                Bound::new(
                    format!("p_{}({sql}){over}", name.to_lowercase()),
                    FieldType { length: 21, ..FieldType::uint() },
                )
                .not_null(true)
            }
            "STD" | "STDDEV" | "STDDEV_POP" | "STDDEV_SAMP" | "VARIANCE" | "VAR_POP" | "VAR_SAMP" => {
                one(1)?;
                if call.distinct {
                    return Err(wrong());
                }
                let f = match name {
                    "STDDEV_SAMP" => "p_stddev_samp",
                    "VAR_SAMP" => "p_var_samp",
                    "VARIANCE" | "VAR_POP" => "p_var_pop",
                    _ => "p_stddev_pop",
                };
                let x = self.to(&x, &FieldType::double());
                let sql = self.sql(&x);
                Bound::new(format!("{f}({sql}){over}"), FieldType::double())
            }
            "JSON_ARRAYAGG" => {
                one(1)?;
                let sql = self.json_of(&x);
                Bound::new(format!("p_json_arrayagg({sql}){over}"), FieldType::json())
            }
            "JSON_OBJECTAGG" => {
                one(2)?;
                let key = self.text_in_json(&x);
                let (key, value) = (self.sql(&key), self.json_of(&args[1]));
                Bound::new(format!("p_json_objectagg({key},{value}){over}"), FieldType::json())
            }
            other => return Err(SqlError::unsupported(other)),
        };
        let not_null = out.not_null;
        Ok(out.with_parts(&args).not_null(not_null))
    }

    fn sum(&mut self, name: &str, x: &Bound, distinct: &str, over: &str) -> Bound {
        let more = self.session.div_precision_increment;
        match x.class() {
            Class::Real
            | Class::Float
            | Class::Text
            | Class::Bytes
            | Class::Json
            | Class::Enum
            | Class::Set => {
                let mut decimals = x.ty.fixed_decimals();
                if name == "AVG" {
                    decimals = decimals.saturating_add(more);
                }
                let x = self.to(x, &FieldType::double());
                let sql = self.sql(&x);
                let sum = format!("{}({distinct}{sql}){over}", name.to_lowercase());
                Bound::new(format!("p_finite({sum})"), FieldType::double_of(decimals))
            }
            Class::Decimal => self.sum_decimal(name, x, distinct, over, more),
            c if c.is_temporal() => {
                let ty = FieldType::decimal(x.ty.precision(), x.ty.scale());
                let x = self.to(x, &ty);
                self.sum_decimal(name, &x, distinct, over, more)
            }
            _ => {
                let sql = self.sql(x);
                let precision = x.ty.precision();
                if name == "SUM" {
                    Bound::new(
                        format!("p_sum_int({distinct}{sql}){over}"),
                        FieldType::decimal(precision + 22, 0),
                    )
                } else {
                    let ty = FieldType::decimal(precision + u32::from(more), more);
                    let sql = format!("p_avg_int({distinct}{sql}){over}");
                    Bound::new(format!("p_avg({sql},0,{more})"), ty)
                }
            }
        }
    }

    fn sum_decimal(&mut self, name: &str, x: &Bound, distinct: &str, over: &str, more: u8) -> Bound {
        let sql = self.sql(x);
        let (precision, scale) = (x.ty.precision(), x.ty.scale());
        if name == "SUM" {
            return Bound::new(
                format!("p_sum_dec({distinct}{sql}){over}"),
                FieldType::decimal(precision + 22, scale),
            );
        }
        let ty = FieldType::decimal(precision + u32::from(more), scale + more);
        let sql = format!("p_avg_dec({distinct}{sql}){over}");
        Bound::new(format!("p_avg({sql},{scale},{more})"), ty)
    }

    /// The greatest number of characters of GROUP_CONCAT.
    fn group_concat_length(&self) -> u32 {
        let bytes = match self.session.system_variable("group_concat_max_len", false) {
            Ok(Value::Int(n)) => u32::try_from(n).unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        bytes.saturating_mul(GROUP_CONCAT_CHARS_PER_BYTE)
    }

    fn group_concat(
        &mut self,
        call: &Call<'_>,
        args: &[Bound],
        distinct: &str,
        s: &Rc<Scope>,
        over: &str,
    ) -> Result<Bound, SqlError> {
        if !over.is_empty() {
            return Err(SqlError::unsupported("GROUP_CONCAT as a window function"));
        }
        let all = if args.len() == 1 { args[0].clone() } else { self.call("CONCAT", args.to_vec())? };
        let text = self.argument(&all, b's', "group_concat");
        let sql = self.sql(&text);
        let mut order = Vec::new();
        for o in call.order {
            let b = match self.position(&o.expr, args.len(), "order clause")? {
                Some(n) => args[n].clone(),
                None => self.expr(&o.expr, s)?,
            };
            order.push(self.order_key(&b, o)?);
        }
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(",")) };
        let separator = match call.separator {
            Some(v) => self.literal_text(v)?,
            None => ",".to_owned(),
        };
        let separator = self.constant(Value::Text(separator));
        let collate = if distinct.is_empty() { String::new() } else { collate_clause(&text.ty) };
        let sql = format!("p_gcjoin(p_gc({distinct}{sql}{collate}{order}),{separator})");
        let length = self.group_concat_length();
        let ty = if matches!(all.class(), Class::Bytes | Class::Null) {
            FieldType::bytes(length.saturating_mul(4))
        } else {
            FieldType::text(length, text.ty.collation)
        };
        let mut b = Bound::new(sql, ty);
        b.coercibility = text.coercibility.max(coercibility::COLUMN);
        Ok(b)
    }
}
