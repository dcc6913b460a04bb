//! Regular expressions. MySQL uses ICU's; these are those of the crate `regex`, which lacks look-around and
//! back-references: a pattern that needs them is refused with error 3692, never matched otherwise.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use lru::LruCache;
use p2pdb_model::{Value, ValueRef};
use regex::Regex;

use super::{Row, any_null, int_of, str_of, text, truth};
use crate::collate;
use crate::error::SqlError;

/// Compiled patterns that a thread remembers.
const PATTERNS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_regexp_like", -1, |a| {
        let Some((collation, a)) = split(a) else { return Ok(Value::Null) };
        let re = compile(str_of(&a[1]), a.get(2).map(str_of), collation)?;
        truth(re.is_match(str_of(&a[0])))
    }),
    ("p_regexp_instr", -1, |a| {
        let Some((collation, a)) = split(a) else { return Ok(Value::Null) };
        let re = compile(str_of(&a[1]), a.get(5).map(str_of), collation)?;
        let t = str_of(&a[0]);
        let Some(from) = position(t, a.get(2))? else { return Ok(Value::Int(0)) };
        let n = occurrence(a.get(3));
        let end = a.get(4).map_or(0, int_of) == 1;
        Ok(Value::Int(match re.find_iter(&t[from..]).nth(n.max(1) - 1) {
            Some(m) => {
                let at = from + if end { m.end() } else { m.start() };
                t[..at].chars().count() as i64 + 1
            }
            None => 0,
        }))
    }),
    ("p_regexp_substr", -1, |a| {
        let Some((collation, a)) = split(a) else { return Ok(Value::Null) };
        let re = compile(str_of(&a[1]), a.get(4).map(str_of), collation)?;
        let t = str_of(&a[0]);
        let Some(from) = position(t, a.get(2))? else { return Ok(Value::Null) };
        let n = occurrence(a.get(3));
        Ok(re
            .find_iter(&t[from..])
            .nth(n.max(1) - 1)
            .map_or(Value::Null, |m| Value::Text(m.as_str().to_owned())))
    }),
    ("p_regexp_replace", -1, |a| {
        let Some((collation, a)) = split(a) else { return Ok(Value::Null) };
        let re = compile(str_of(&a[1]), a.get(5).map(str_of), collation)?;
        let (t, with) = (str_of(&a[0]), replacement(str_of(&a[2])));
        let Some(from) = position(t, a.get(3))? else { return text(t) };
        let n = occurrence(a.get(4));
        let (head, rest) = t.split_at(from);
        if n == 0 {
            return text(head.to_owned() + &re.replace_all(rest, with.as_str()));
        }
        let Some(m) = re.captures_iter(rest).nth(n - 1) else { return text(t) };
        let mut new = String::new();
        m.expand(&with, &mut new);
        let whole = m.get(0).map_or(0..0, |m| m.range());
        text(format!("{head}{}{new}{}", &rest[..whole.start], &rest[whole.end..]))
    }),
];

fn split<'s, 'a>(a: &'s [ValueRef<'a>]) -> Option<(i64, &'s [ValueRef<'a>])> {
    let (last, rest) = a.split_last()?;
    (!any_null(rest) && rest.len() >= 2).then(|| (int_of(last), rest))
}

/// Byte offset of a 1-based character position.
fn position(t: &str, p: Option<&ValueRef<'_>>) -> Result<Option<usize>, SqlError> {
    let p = p.map_or(1, int_of);
    let outside = || SqlError::new(3686, "HY000", "Index out of bounds in regular expression search.");
    let skip = usize::try_from(p - 1).map_err(|_| outside())?;
    if skip > t.chars().count() {
        return Err(outside());
    }
    Ok(Some(t.char_indices().nth(skip).map_or(t.len(), |(i, _)| i)))
}

fn occurrence(v: Option<&ValueRef<'_>>) -> usize {
    usize::try_from(v.map_or(0, int_of)).unwrap_or(0)
}

/// `$1` and `\$` as ICU writes them, in the notation of the crate.
fn replacement(t: &str) -> String {
    let mut out = String::new();
    let mut chars = t.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(c) => out.push(c),
                None => {}
            },
            '$' => {
                let mut digits = String::new();
                while let Some(d) = chars.next_if(char::is_ascii_digit) {
                    digits.push(d);
                }
                if digits.is_empty() { out.push_str("$$") } else { out.push_str(&format!("${{{digits}}}")) }
            }
            c => out.push(c),
        }
    }
    out
}

thread_local! {
    static CACHE: RefCell<LruCache<(String, String, bool), Regex>> = RefCell::new(LruCache::new(PATTERNS_MAX));
}

fn compile(pattern: &str, flags: Option<&str>, collation: i64) -> Result<Regex, SqlError> {
    if pattern.is_empty() {
        return Err(SqlError::new(3685, "HY000", "Illegal argument to a regular expression."));
    }
    let mut insensitive = collate::ignores_case(collate::by_id(collation));
    let mut rest = String::new();
    for f in flags.unwrap_or("").chars() {
        match f {
            'c' => insensitive = false,
            'i' => insensitive = true,
            'm' => rest.push('m'),
            'n' => rest.push('s'),
            'u' => {}
            _ => return Err(SqlError::new(1210, "HY000", "Incorrect arguments to regexp_like")),
        }
    }
    let key = (pattern.to_owned(), rest, insensitive);
    if let Some(re) = CACHE.with(|c| c.borrow_mut().get(&key).cloned()) {
        return Ok(re);
    }
    let re = regex::RegexBuilder::new(pattern)
        .case_insensitive(insensitive)
        .multi_line(key.1.contains('m'))
        .dot_matches_new_line(key.1.contains('s'))
        .size_limit(1 << 20)
        .build()
        .map_err(|e| syntax(pattern, &e))?;
    CACHE.with(|c| c.borrow_mut().put(key, re.clone()));
    Ok(re)
}

fn syntax(pattern: &str, e: &regex::Error) -> SqlError {
    let why = e.to_string();
    if why.contains("look-around") || why.contains("backreferences") {
        return SqlError::new(
            3692,
            "HY000",
            "Use of a regular expression feature that this server does not have: look-around or back-reference.",
        );
    }
    let (code, message) = if why.contains("bracket")
        || pattern.contains('[') && why.contains("unclosed character class")
    {
        (3696, "The regular expression contains an unclosed bracket expression.")
    } else if why.contains("parenthes") || why.contains("unclosed group") || why.contains("unopened group") {
        (3691, "Mismatched parenthesis in regular expression.")
    } else {
        (3688, "Syntax error in regular expression on line 1, character 1.")
    };
    SqlError::new(code, "HY000", message)
}
