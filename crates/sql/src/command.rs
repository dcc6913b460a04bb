//! Which of MySQL's statement counters (`Com_…` of SHOW STATUS) a statement belongs to, told by its words alone: also a
//! statement that cannot be compiled is counted, as long as its syntax is right (that is for the caller to know).

use crate::front::lexer::VERSION_NUMBER;

/// The counters' names behind `Com_`, in order.
#[rustfmt::skip]
const NAMES: [&str; COMMANDS] = [
    "alter_db", "alter_event", "alter_function", "alter_procedure", "alter_table", "alter_user", "analyze",
    "begin", "binlog", "call_procedure", "change_db", "change_replication_source", "check", "checksum",
    "commit", "create_db", "create_event", "create_function", "create_index", "create_procedure",
    "create_role", "create_server", "create_table", "create_trigger", "create_user", "create_view",
    "dealloc_sql", "delete", "delete_multi", "do", "drop_db", "drop_event", "drop_function", "drop_index",
    "drop_procedure", "drop_role", "drop_server", "drop_table", "drop_trigger", "drop_user", "drop_view",
    "empty_query", "execute_sql", "explain_other", "flush", "get_diagnostics", "grant", "ha_open", "help",
    "insert", "insert_select", "install_plugin", "kill", "load", "lock_tables", "optimize", "prepare_sql",
    "purge", "release_savepoint", "rename_table", "rename_user", "repair", "replace", "replace_select",
    "replica_start", "replica_stop", "reset", "resignal", "revoke", "rollback", "rollback_to_savepoint",
    "savepoint", "select", "set_option", "set_password", "set_role", "show_binlog_events", "show_binlogs",
    "show_charsets", "show_collations", "show_create_db", "show_create_event", "show_create_func",
    "show_create_proc", "show_create_table", "show_create_trigger", "show_create_user", "show_databases",
    "show_engine_status", "show_errors", "show_events", "show_fields", "show_function_status", "show_grants",
    "show_keys", "show_open_tables", "show_plugins", "show_privileges", "show_procedure_status",
    "show_processlist", "show_profile", "show_profiles", "show_replica_status", "show_replicas",
    "show_status", "show_storage_engines", "show_table_status", "show_tables", "show_triggers",
    "show_variables", "show_warnings", "shutdown", "signal", "stmt_close", "stmt_execute", "stmt_prepare",
     "truncate", "uninstall_plugin", "unlock_tables", "update",
    "update_multi", "xa_commit", "xa_end", "xa_prepare", "xa_recover", "xa_rollback", "xa_start",
];

/// How many kinds of statements there are.
pub const COMMANDS: usize = 127;

/// A kind of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command(u8);

/// What statements begin with, and what they are; the longest that fits counts.
#[rustfmt::skip]
const BEGINNINGS: &[(&str, &str)] = &[
    ("alter database", "alter_db"), ("alter event", "alter_event"), ("alter function", "alter_function"),
    ("alter procedure", "alter_procedure"), ("alter schema", "alter_db"), ("alter table", "alter_table"),
    ("alter user", "alter_user"), ("alter view", "create_view"),
    ("analyze", "analyze"), ("begin", "begin"), ("binlog", "binlog"), ("call", "call_procedure"),
    ("change", "change_replication_source"), ("check", "check"), ("checksum", "checksum"), ("commit", "commit"),
    ("create database", "create_db"), ("create event", "create_event"), ("create function", "create_function"),
    ("create index", "create_index"), ("create fulltext", "create_index"), ("create procedure", "create_procedure"),
    ("create role", "create_role"), ("create schema", "create_db"), ("create server", "create_server"),
    ("create spatial", "create_index"), ("create table", "create_table"), ("create temporary", "create_table"),
    ("create trigger", "create_trigger"), ("create unique", "create_index"), ("create user", "create_user"),
    ("create view", "create_view"),
    ("deallocate", "dealloc_sql"), ("do", "do"),
    ("drop database", "drop_db"), ("drop event", "drop_event"), ("drop function", "drop_function"),
    ("drop index", "drop_index"), ("drop prepare", "dealloc_sql"), ("drop procedure", "drop_procedure"),
    ("drop role", "drop_role"), ("drop schema", "drop_db"), ("drop server", "drop_server"),
    ("drop table", "drop_table"), ("drop tables", "drop_table"), ("drop temporary", "drop_table"),
    ("drop trigger", "drop_trigger"), ("drop user", "drop_user"), ("drop view", "drop_view"),
    ("execute", "execute_sql"), ("flush", "flush"), ("get", "get_diagnostics"), ("grant", "grant"),
    ("handler", "ha_open"), ("help", "help"), ("install", "install_plugin"), ("kill", "kill"), ("load", "load"),
    ("lock", "lock_tables"), ("optimize", "optimize"), ("prepare", "prepare_sql"), ("purge", "purge"),
    ("release", "release_savepoint"), ("rename table", "rename_table"), ("rename tables", "rename_table"),
    ("rename user", "rename_user"), ("repair", "repair"), ("reset", "reset"), ("resignal", "resignal"),
    ("revoke", "revoke"), ("rollback", "rollback"), ("rollback to", "rollback_to_savepoint"),
    ("rollback work to", "rollback_to_savepoint"), ("savepoint", "savepoint"), ("select", "select"),
    ("set", "set_option"), ("set password", "set_password"), ("set role", "set_role"),
    ("show binary logs", "show_binlogs"), ("show binlog", "show_binlog_events"), ("show character", "show_charsets"),
    ("show charset", "show_charsets"), ("show collation", "show_collations"), ("show columns", "show_fields"),
    ("show count", "select"),
    ("show create database", "show_create_db"), ("show create event", "show_create_event"),
    ("show create function", "show_create_func"), ("show create procedure", "show_create_proc"),
    ("show create schema", "show_create_db"), ("show create table", "show_create_table"),
    ("show create trigger", "show_create_trigger"), ("show create user", "show_create_user"),
    ("show create view", "show_create_table"),
    ("show databases", "show_databases"), ("show engine", "show_engine_status"),
    ("show engines", "show_storage_engines"), ("show errors", "show_errors"), ("show events", "show_events"),
    ("show fields", "show_fields"), ("show function", "show_function_status"), ("show grants", "show_grants"),
    ("show index", "show_keys"), ("show indexes", "show_keys"), ("show keys", "show_keys"),
    ("show open", "show_open_tables"), ("show plugins", "show_plugins"), ("show privileges", "show_privileges"),
    ("show procedure", "show_procedure_status"), ("show processlist", "show_processlist"),
    ("show profile", "show_profile"), ("show profiles", "show_profiles"), ("show replica", "show_replica_status"),
    ("show replicas", "show_replicas"), ("show schemas", "show_databases"), ("show slave", "show_replica_status"),
    ("show status", "show_status"), ("show storage", "show_storage_engines"),
    ("show table", "show_table_status"), ("show tables", "show_tables"), ("show triggers", "show_triggers"),
    ("show variables", "show_variables"), ("show warnings", "show_warnings"),
    ("shutdown", "shutdown"), ("signal", "signal"), ("start replica", "replica_start"),
    ("start slave", "replica_start"), ("start transaction", "begin"), ("stop replica", "replica_stop"),
    ("stop slave", "replica_stop"), ("table", "select"), ("truncate", "truncate"),
    ("uninstall", "uninstall_plugin"), ("unlock", "unlock_tables"), ("use", "change_db"), ("values", "select"),
    ("xa begin", "xa_start"), ("xa commit", "xa_commit"), ("xa end", "xa_end"), ("xa prepare", "xa_prepare"),
    ("xa recover", "xa_recover"), ("xa rollback", "xa_rollback"), ("xa start", "xa_start"),
];
/// Words between SHOW and what is shown.
const SHOW_HOW: [&str; 5] = ["full", "extended", "global", "session", "local"];
/// What CREATE [OR REPLACE] [ALGORITHM …] [DEFINER …] [SQL SECURITY …] may make.
const DEFINED: [&str; 5] = ["view", "procedure", "function", "trigger", "event"];
/// Words that are looked at for a beginning.
const BEGINNING_WORDS_MAX: usize = 3;

impl Command {
    /// Preparing a statement, by the protocol or in SQL.
    pub const STMT_PREPARE: Command = Command::named("stmt_prepare");
    /// Executing one.
    pub const STMT_EXECUTE: Command = Command::named("stmt_execute");
    /// Closing one.
    pub const STMT_CLOSE: Command = Command::named("stmt_close");

    /// DROP DATABASE.
    pub const DROP_DB: Command = Command::named("drop_db");
    /// LOCK TABLES.
    pub const LOCK_TABLES: Command = Command::named("lock_tables");

    const fn named(name: &str) -> Command {
        let mut at = 0;
        while at < NAMES.len() {
            if same(NAMES[at].as_bytes(), name.as_bytes()) {
                return Command(at as u8);
            }
            at += 1;
        }
        panic!("no such command")
    }

    /// Its place among [`COMMANDS`].
    pub fn place(self) -> usize {
        self.0 as usize
    }

    /// The names of all, in the order of their places.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }

    /// What this statement is; `None` for one that MySQL does not know.
    pub fn of(text: &str) -> Option<Command> {
        let name = name_of(Tokens(text.trim_end()))?;
        NAMES.binary_search(&name).ok().map(|at| Command(at as u8))
    }
}

/// The text begins as a statement that commits what is open before it looks for what it names, and so also where that is not
/// there (MySQL 8.4 manual, section 15.3.3): those of the schema, but for temporary tables, and of accounts, and LOCK TABLES.
pub fn commits_first(text: &str) -> bool {
    let mut words = Tokens(text).words().map(str::to_ascii_lowercase);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first.as_str() {
        "create" | "alter" | "drop" | "rename" | "truncate" => second != "temporary",
        "grant" | "revoke" => true,
        "lock" => matches!(second.as_str(), "table" | "tables"),
        _ => false,
    }
}

/// The text asks for the values of parameters.
pub fn has_parameters(text: &str) -> bool {
    Tokens(text).any(|t| t == Token::Mark('?'))
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

fn name_of(mut tokens: Tokens<'_>) -> Option<&'static str> {
    let mut rest = tokens.clone();
    let first = loop {
        match tokens.next() {
            None => return Some("empty_query"),
            Some(Token::Word(w)) => break w,
            // Of a SELECT in parentheses.
            Some(Token::Mark('(')) => rest = tokens.clone(),
            Some(_) => return None,
        }
    };
    let is = |w: &str| first.eq_ignore_ascii_case(w);
    // What is run most is not looked for among all the others.
    if is("select") {
        return Some("select");
    } else if is("commit") {
        return Some("commit");
    } else if is("with") {
        return with(tokens);
    } else if is("insert") {
        return Some(if selects(tokens) { "insert_select" } else { "insert" });
    } else if is("replace") {
        return Some(if selects(tokens) { "replace_select" } else { "replace" });
    } else if is("update") {
        return Some(if updates_several(tokens) { "update_multi" } else { "update" });
    } else if is("delete") {
        return Some(if deletes_several(tokens) { "delete_multi" } else { "delete" });
    } else if is("explain") || is("describe") || is("desc") {
        return explain(tokens);
    } else if is("create") && !is_plain_create(tokens.clone()) {
        let made = tokens.find_map(|t| DEFINED.into_iter().find(|d| t.is(d)))?;
        return beginning(&["create", made]);
    } else if is("show") {
        let mut words = vec!["show"];
        words.extend(tokens.words().filter(|w| !SHOW_HOW.iter().any(|h| w.eq_ignore_ascii_case(h))).take(2));
        return beginning(&words);
    }
    let words: Vec<&str> = rest.words().take(BEGINNING_WORDS_MAX).collect();
    beginning(&words)
}

/// The longest beginning that these words have.
fn beginning(words: &[&str]) -> Option<&'static str> {
    let fits = |beginning: &str| {
        let mut words = words.iter();
        beginning.split(' ').all(|b| words.next().is_some_and(|w| w.eq_ignore_ascii_case(b)))
    };
    let found = BEGINNINGS.iter().filter(|(b, _)| fits(b));
    found.max_by_key(|(b, _)| b.len()).map(|(_, name)| *name)
}

/// CREATE names its object at once.
fn is_plain_create(mut tokens: Tokens<'_>) -> bool {
    let next = tokens.next();
    !next.is_some_and(|t| ["or", "algorithm", "definer", "sql", "aggregate"].iter().any(|w| t.is(w)))
}

/// The statement behind WITH: its first word outside of parentheses that begins one.
fn with(tokens: Tokens<'_>) -> Option<&'static str> {
    for (token, rest) in outside(tokens) {
        let Token::Word(w) = token else { continue };
        if ["select", "table", "values"].iter().any(|s| w.eq_ignore_ascii_case(s)) {
            return Some("select");
        } else if w.eq_ignore_ascii_case("update") {
            return Some(if updates_several(rest) { "update_multi" } else { "update" });
        } else if w.eq_ignore_ascii_case("delete") {
            return Some(if deletes_several(rest) { "delete_multi" } else { "delete" });
        }
    }
    Some("select")
}

/// INSERT and REPLACE take their rows from a query.
fn selects(mut tokens: Tokens<'_>) -> bool {
    let is_query = |t: &Token<'_>| ["select", "table", "with"].iter().any(|w| t.is(w));
    let mut depth = 0;
    let mut opened = false;
    for token in &mut tokens {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth -= 1,
            _ if depth == 0 && (token.is("values") || token.is("set")) => return false,
            _ if (depth == 0 || opened) && is_query(&token) => return true,
            _ => {}
        }
        opened = matches!(token, Token::Mark('('));
    }
    false
}

/// UPDATE names several tables before SET.
fn updates_several(tokens: Tokens<'_>) -> bool {
    let tables = outside(tokens).map(|(t, _)| t).take_while(|t| !t.is("set"));
    tables.into_iter().any(|t| t.is("join") || t.is("straight_join") || matches!(t, Token::Mark(',')))
}

/// DELETE t FROM …, and DELETE FROM t USING ….
fn deletes_several(tokens: Tokens<'_>) -> bool {
    let modifiers = ["low_priority", "quick", "ignore"];
    let mut all = outside(tokens).map(|(t, _)| t).skip_while(|t| modifiers.iter().any(|m| t.is(m)));
    match all.next() {
        Some(t) if t.is("from") => all.take_while(|t| !t.is("where")).any(|t| t.is("using")),
        _ => true,
    }
}

/// EXPLAIN counts as what it explains, and as SHOW COLUMNS with a table.
fn explain(mut tokens: Tokens<'_>) -> Option<&'static str> {
    loop {
        let rest = tokens.clone();
        let token = tokens.next()?;
        if token.is("for") {
            return Some("explain_other");
        } else if token.is("format") {
            // `= name`
            tokens.nth(1);
        } else if ["analyze", "extended", "partitions"].iter().any(|w| token.is(w)) {
        } else if matches!(token, Token::Mark('('))
            || ["select", "with", "table", "values", "insert", "replace", "update", "delete"]
                .iter()
                .any(|w| token.is(w))
        {
            return name_of(rest);
        } else {
            return Some("show_fields");
        }
    }
}

/// The tokens outside of all parentheses, each with what follows it.
fn outside(mut tokens: Tokens<'_>) -> impl Iterator<Item = (Token<'_>, Tokens<'_>)> {
    let mut depth = 0usize;
    std::iter::from_fn(move || {
        loop {
            match tokens.next()? {
                Token::Mark('(') => depth += 1,
                Token::Mark(')') => depth = depth.saturating_sub(1),
                token if depth == 0 => return Some((token, tokens.clone())),
                _ => {}
            }
        }
    })
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A word that is not quoted.
    Word(&'t str),
    /// A quoted name or text.
    Quoted,
    /// Any other character.
    Mark(char),
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(w) if w.eq_ignore_ascii_case(word))
    }
}

/// The tokens of a text, without comments; what stands in `/*! … */` counts, as the lexer of statements has it.
#[derive(Clone)]
struct Tokens<'t>(&'t str);

impl<'t> Tokens<'t> {
    fn words(self) -> impl Iterator<Item = &'t str> {
        self.map_while(|t| if let Token::Word(w) = t { Some(w) } else { None })
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or_default();
    }
}

/// What stands behind `/*!` and its version, unless that is above ours: then it is a comment.
fn of_our_version(text: &str) -> Option<&str> {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
    let (version, inner) = text.split_at(if digits >= 5 { digits } else { 0 });
    (version.parse().unwrap_or(0) <= VERSION_NUMBER).then_some(inner)
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            self.0 = self.0.trim_start();
            let text = self.0;
            let first = text.chars().next()?;
            let line_end = || text.find('\n').unwrap_or(text.len());
            if let Some(inner) = text.strip_prefix("/*!").and_then(of_our_version) {
                self.0 = inner;
            } else if let Some(comment) = text.strip_prefix("/*") {
                self.0 = comment.split_once("*/").map_or("", |(_, rest)| rest);
            } else if text.starts_with("*/") {
                self.skip(2);
            } else if first == '#'
                || text.starts_with("--") && text[2..].starts_with(|c: char| c.is_whitespace())
            {
                self.skip(line_end());
            } else if text == "--" {
                self.skip(2);
            } else if first.is_alphanumeric() || first == '_' || first == '$' || first == '@' {
                let end = text
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '@')))
                    .unwrap_or(text.len());
                self.skip(end);
                return Some(Token::Word(&text[..end]));
            } else if matches!(first, '`' | '\'' | '"') {
                let end = text[1..].find(first).map_or(text.len(), |at| at + 2);
                self.skip(end);
                return Some(Token::Quoted);
            } else {
                self.skip(first.len_utf8());
                return Some(Token::Mark(first));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_fit_together() {
        assert!(NAMES.is_sorted());
        for (words, name) in BEGINNINGS {
            assert!(NAMES.binary_search(name).is_ok(), "{name}");
            assert!(words.split(' ').count() <= BEGINNING_WORDS_MAX, "{words}");
        }
        for name in DEFINED {
            assert!(beginning(&["create", name]).is_some(), "{name}");
        }
    }

    /// What MySQL 9.7 counts each of these as.
    #[test]
    fn statements_are_counted_as_mysql_counts_them() {
        for line in include_str!("../tests/commands.txt").lines() {
            let (name, text) = line.split_once('\t').expect("a name and a statement");
            let got = Command::of(text).map_or("none", |c| NAMES[c.place()]);
            assert_eq!(got, name, "{text}");
        }
    }
}
