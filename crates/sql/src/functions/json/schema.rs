//! JSON_SCHEMA_VALID and JSON_SCHEMA_VALIDATION_REPORT: JSON Schema, draft 4 (MySQL 8.0 manual, "JSON Schema Validation
//! Functions"). The first requirement that fails is reported, in the order of a reader who goes through the document
//! once. References to other documents are refused, as in MySQL; those within the schema are followed.

use std::cell::Cell;

use regex::Regex;
use serde_json::{Map, Value as Json, json};

use super::form::sorted;
use super::{bad_text, compare, write};
use crate::error::SqlError;
use crate::functions::{Answer, str_of, text, truth};
use p2pdb_model::ValueRef;

/// References that are followed one behind the other.
const REFERENCES_MAX: usize = 64;
/// Schemas inside of each other, references included.
const DEPTH_MAX: usize = 100;
/// Schemas that one document is held against.
const CHECKS_MAX: usize = 1_000_000;

/// The requirement that fails: its keyword, where it stands in the schema, and the place in the document.
#[derive(Debug, PartialEq)]
struct Failure {
    keyword: &'static str,
    schema: String,
    document: String,
}

type Checked = Result<(), Failure>;

/// A value and where it is.
#[derive(Clone)]
struct At<'j> {
    value: &'j Json,
    pointer: String,
}

impl<'j> At<'j> {
    fn down(&self, key: &str, value: &'j Json) -> At<'j> {
        At { value, pointer: format!("{}/{}", self.pointer, escaped(key)) }
    }
}

/// A key in a pointer that is part of a URI.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for b in key.bytes() {
        match b {
            b'~' => out.push_str("~0"),
            b'/' => out.push_str("~1"),
            b if b.is_ascii_alphanumeric() || b"-._".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// (schema, document): 1 or 0.
pub(super) fn valid(a: &[ValueRef<'_>]) -> Answer {
    truth(judge(a, "json_schema_valid")?.is_ok())
}

/// (schema, document): what fails, as JSON.
pub(super) fn report(a: &[ValueRef<'_>]) -> Answer {
    let report = match judge(a, "json_schema_validation_report")? {
        Ok(()) => return text("{\"valid\": true}"),
        Err(f) => f,
    };
    let reason = format!(
        "The JSON document location '{}' failed requirement '{}' at JSON Schema location '{}'",
        report.document, report.keyword, report.schema
    );
    text(write(&json!({
        "valid": false,
        "reason": reason,
        "schema-location": report.schema,
        "document-location": report.document,
        "schema-failed-keyword": report.keyword,
    })))
}

fn judge(a: &[ValueRef<'_>], function: &str) -> Result<Checked, SqlError> {
    let parse = |v: &ValueRef<'_>| serde_json::from_str(str_of(v)).map_err(|_| bad_text(function, str_of(v)));
    let (schema, document): (Json, Json) = (parse(&a[0])?, parse(&a[1])?);
    if !schema.is_object() {
        let message =
            format!("Invalid JSON type in argument 1 to function {function}; an object is required.");
        return Err(SqlError::new(3853, "22032", message));
    }
    if refers_elsewhere(&schema) {
        return Err(SqlError::unsupported("references in JSON Schema"));
    }
    let root = At { value: &schema, pointer: "#".to_owned() };
    let whole = At { value: &document, pointer: "#".to_owned() };
    let judge = Judge { root: &schema, depth: Cell::new(0), checks: Cell::new(0) };
    let checked = judge.check(&root, &whole);
    if judge.checks.get() > CHECKS_MAX {
        return Err(SqlError::new(3157, "22032", "The JSON document exceeds the maximum depth."));
    }
    Ok(checked)
}

fn refers_elsewhere(schema: &Json) -> bool {
    match schema {
        Json::Object(o) => {
            o.get("$ref").and_then(Json::as_str).is_some_and(|r| !r.starts_with('#'))
                || o.values().any(refers_elsewhere)
        }
        Json::Array(l) => l.iter().any(refers_elsewhere),
        _ => false,
    }
}

struct Judge<'j> {
    root: &'j Json,
    depth: Cell<usize>,
    /// Beyond [`CHECKS_MAX`] nothing is looked at any more.
    checks: Cell<usize>,
}

impl<'j> Judge<'j> {
    /// The schema that this one refers to, as far as it does.
    fn resolved(&self, schema: &At<'j>) -> At<'j> {
        let mut here = schema.clone();
        for _ in 0..REFERENCES_MAX {
            let Some(to) = here.value.get("$ref").and_then(Json::as_str) else { break };
            let found = to.strip_prefix('#').and_then(|p| self.root.pointer(p));
            let Some(value) = found else { break };
            here = At { value, pointer: to.to_owned() };
        }
        here
    }

    fn check(&self, schema: &At<'j>, document: &At<'_>) -> Checked {
        self.checks.set(self.checks.get() + 1);
        if self.depth.get() >= DEPTH_MAX {
            self.checks.set(CHECKS_MAX + 1);
        }
        if self.checks.get() > CHECKS_MAX {
            return Ok(());
        }
        self.depth.set(self.depth.get() + 1);
        let checked = self.held_against(schema, document);
        self.depth.set(self.depth.get() - 1);
        checked
    }

    fn held_against(&self, schema: &At<'j>, document: &At<'_>) -> Checked {
        let schema = self.resolved(schema);
        let Json::Object(rules) = schema.value else { return Ok(()) };
        let fail = |keyword| {
            Err(Failure { keyword, schema: schema.pointer.clone(), document: document.pointer.clone() })
        };
        if let Some(kind) = rules.get("type")
            && !of_type(kind, document.value)
        {
            return fail("type");
        }
        match document.value {
            Json::Number(_) => {
                if let Some(keyword) = number(rules, document.value.as_f64().unwrap_or(0.0)) {
                    return fail(keyword);
                }
            }
            Json::String(s) => {
                let chars = s.chars().count() as u64;
                if rules.get("minLength").and_then(Json::as_u64).is_some_and(|n| chars < n) {
                    return fail("minLength");
                }
                if rules.get("maxLength").and_then(Json::as_u64).is_some_and(|n| chars > n) {
                    return fail("maxLength");
                }
                if rules.get("pattern").is_some_and(|p| !matches(p.as_str().unwrap_or(""), s)) {
                    return fail("pattern");
                }
            }
            Json::Object(members) => self.object(&schema, rules, members, document)?,
            Json::Array(items) => self.array(&schema, rules, items, document)?,
            _ => {}
        }
        if let Some(Json::Array(all)) = rules.get("enum")
            && !all.iter().any(|j| compare(j, document.value).is_eq())
        {
            return fail("enum");
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(Json::Array(all)) = rules.get(keyword) else { continue };
            let under = schema.down(keyword, schema.value);
            let holds =
                |(n, s): (usize, &'j Json)| self.check(&under.down(&n.to_string(), s), document).is_ok();
            let count = all.iter().enumerate().filter(|e| holds(*e)).count();
            match keyword {
                "allOf" if count < all.len() => return fail("allOf"),
                "anyOf" if count == 0 => return fail("anyOf"),
                "oneOf" if count != 1 => return fail("oneOf"),
                _ => {}
            }
        }
        if let Some(not) = rules.get("not")
            && self.check(&schema.down("not", not), document).is_ok()
        {
            return fail("not");
        }
        Ok(())
    }

    fn object(
        &self,
        schema: &At<'j>,
        rules: &'j Map<String, Json>,
        members: &Map<String, Json>,
        document: &At<'_>,
    ) -> Checked {
        let fail = |keyword, document: &At<'_>| {
            Err(Failure { keyword, schema: schema.pointer.clone(), document: document.pointer.clone() })
        };
        for (name, value) in sorted(members) {
            let here = document.down(name, value);
            let own = rules.get("properties").and_then(|p| p.get(name));
            let patterns = rules.get("patternProperties").and_then(Json::as_object);
            let mut fitting = patterns.into_iter().flatten().filter(|(p, _)| matches(p, name)).peekable();
            let known = own.is_some() || fitting.peek().is_some();
            if let Some(own) = own {
                self.check(&schema.down("properties", schema.value).down(name, own), &here)?;
            }
            for (pattern, rule) in fitting {
                let under = schema.down("patternProperties", schema.value).down(pattern, rule);
                if self.check(&under, &here).is_err() {
                    return fail("patternProperties", &here);
                }
            }
            match rules.get("additionalProperties") {
                Some(Json::Bool(false)) if !known => return fail("additionalProperties", &here),
                Some(rule @ Json::Object(_)) if !known => {
                    self.check(&schema.down("additionalProperties", rule), &here)?;
                }
                _ => {}
            }
        }
        if let Some(Json::Array(required)) = rules.get("required")
            && required.iter().filter_map(Json::as_str).any(|r| !members.contains_key(r))
        {
            return fail("required", document);
        }
        let count = members.len() as u64;
        if rules.get("minProperties").and_then(Json::as_u64).is_some_and(|n| count < n) {
            return fail("minProperties", document);
        }
        if rules.get("maxProperties").and_then(Json::as_u64).is_some_and(|n| count > n) {
            return fail("maxProperties", document);
        }
        for (name, needs) in rules.get("dependencies").and_then(Json::as_object).into_iter().flatten() {
            if !members.contains_key(name) {
                continue;
            }
            let holds = match needs {
                Json::Array(names) => names.iter().filter_map(Json::as_str).all(|n| members.contains_key(n)),
                rule => {
                    let under = schema.down("dependencies", schema.value).down(name, rule);
                    self.check(&under, document).is_ok()
                }
            };
            if !holds {
                return fail("dependencies", document);
            }
        }
        Ok(())
    }

    fn array(
        &self,
        schema: &At<'j>,
        rules: &'j Map<String, Json>,
        items: &[Json],
        document: &At<'_>,
    ) -> Checked {
        let fail = |keyword, document: &At<'_>| {
            Err(Failure { keyword, schema: schema.pointer.clone(), document: document.pointer.clone() })
        };
        let unique = rules.get("uniqueItems").and_then(Json::as_bool) == Some(true);
        for (n, item) in items.iter().enumerate() {
            let here = document.down(&n.to_string(), item);
            match rules.get("items") {
                Some(Json::Array(tuple)) => match (tuple.get(n), rules.get("additionalItems")) {
                    (Some(rule), _) => {
                        let under = schema.down("items", schema.value).down(&n.to_string(), rule);
                        self.check(&under, &here)?;
                    }
                    (None, Some(Json::Bool(false))) => return fail("additionalItems", &here),
                    (None, Some(rule @ Json::Object(_))) => {
                        self.check(&schema.down("additionalItems", rule), &here)?;
                    }
                    _ => {}
                },
                Some(rule) => self.check(&schema.down("items", rule), &here)?,
                None => {}
            }
            if unique && items[..n].iter().any(|other| compare(other, item).is_eq()) {
                return fail("uniqueItems", &here);
            }
        }
        let count = items.len() as u64;
        if rules.get("minItems").and_then(Json::as_u64).is_some_and(|n| count < n) {
            return fail("minItems", document);
        }
        if rules.get("maxItems").and_then(Json::as_u64).is_some_and(|n| count > n) {
            return fail("maxItems", document);
        }
        Ok(())
    }
}

fn of_type(kind: &Json, value: &Json) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match kind {
        Json::String(kind) => is(kind),
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).any(is),
        _ => true,
    }
}

fn number(rules: &Map<String, Json>, n: f64) -> Option<&'static str> {
    let bound = |name| rules.get(name).and_then(Json::as_f64);
    let strict = |name| rules.get(name).and_then(Json::as_bool) == Some(true);
    if let Some(min) = bound("minimum")
        && (n < min || strict("exclusiveMinimum") && n == min)
    {
        return Some("minimum");
    }
    if let Some(max) = bound("maximum")
        && (n > max || strict("exclusiveMaximum") && n == max)
    {
        return Some("maximum");
    }
    let step = bound("multipleOf").filter(|s| *s > 0.0)?;
    (n % step != 0.0).then_some("multipleOf")
}

/// A pattern that cannot be read asks nothing.
fn matches(pattern: &str, s: &str) -> bool {
    Regex::new(pattern).map_or(true, |r| r.is_match(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        for schema in [
            r##"{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}"##,
            r##"{"$ref": "#"}"##,
            r##"{"not": {"$ref": "#"}}"##,
        ] {
            let judged = judge(&[ValueRef::Text(schema), ValueRef::Text("1")], "f");
            assert!(judged.is_ok() || judged.is_err_and(|e| e.code == 3157), "{schema}");
        }
    }
}
