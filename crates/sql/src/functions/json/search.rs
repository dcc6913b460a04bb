//! JSON_SEARCH: the paths of the strings that match.

use serde_json::Value as Json;

use super::form::{sorted, write};
use super::path::Path;

/// The paths, in the order of the document, below the values that `within` names (below all where it names none).
pub(super) fn search(d: &Json, within: &[Path], matches: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut roots = Vec::new();
    for p in within {
        p.find(d, &mut roots);
    }
    let mut out = Vec::new();
    walk(d, "$", within.is_empty(), &roots, matches, &mut out);
    out
}

fn walk(
    j: &Json,
    path: &str,
    inside: bool,
    roots: &[&Json],
    matches: &dyn Fn(&str) -> bool,
    out: &mut Vec<String>,
) {
    let inside = inside || roots.iter().any(|r| std::ptr::eq(*r, j));
    match j {
        Json::String(s) if inside && matches(s) => out.push(path.to_owned()),
        Json::Array(l) => {
            for (i, x) in l.iter().enumerate() {
                walk(x, &format!("{path}[{i}]"), inside, roots, matches, out);
            }
        }
        Json::Object(o) => {
            for (k, v) in sorted(o) {
                let plain = k.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
                    && !k.starts_with(|c: char| c.is_ascii_digit())
                    && !k.is_empty();
                let key = if plain { k.clone() } else { write(&Json::String(k.clone())) };
                walk(v, &format!("{path}.{key}"), inside, roots, matches, out);
            }
        }
        _ => {}
    }
}
