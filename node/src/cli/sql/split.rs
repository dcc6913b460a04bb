//! Cuts what is typed into statements, outside of quotes and comments: at `;` or what `DELIMITER` has set, at `\g` and `\G`; `USE` and
//! `DELIMITER` end with their line, as in the mysql client. So do the others of its words that are known here: `\c` throws away what
//! is typed of a statement, `\q` does, too, and leaves; `quit` and `exit` leave where they stand alone on a line and no statement is open.

/// A statement, without what ended it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// It ended with `\G`: a line for each column.
    pub(super) vertical: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Run a statement.
    Run(Statement),
    /// Leave; what was typed behind is not looked at.
    Leave,
}

/// Collects text until a statement is whole.
#[derive(Debug)]
pub(super) struct Splitter {
    pending: String,
    delimiter: String,
    /// What is pending begins behind something else on its line.
    within_line: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter { pending: String::new(), delimiter: ";".to_owned(), within_line: false }
    }
}

/// Where a statement ends.
struct End {
    at: usize,
    /// Bytes of what ends it.
    bytes: usize,
    how: How,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Run,
    RunVertical,
    ThrowAway,
    Leave,
}

/// Words that leave.
const LEAVE: [&str; 2] = ["quit", "exit"];

impl Splitter {
    /// Adds text; gives the statements that are now whole.
    pub(super) fn add(&mut self, text: &str) -> Vec<Step> {
        self.pending.push_str(text);
        let mut steps = Vec::new();
        loop {
            if self.leaves() {
                steps.push(Step::Leave);
                return steps;
            }
            if let Some(line) = self.own_line("delimiter") {
                if let Some(delimiter) = line.split_whitespace().nth(1) {
                    self.delimiter = delimiter.to_owned();
                }
                continue;
            }
            let end = match self.own_line_end("use") {
                // With its delimiter, or without.
                Some(line) => {
                    let within = end_of_statement(&self.pending[..line], &self.delimiter);
                    Some(within.unwrap_or(End { at: line, bytes: 0, how: How::Run }))
                }
                None => end_of_statement(&self.pending, &self.delimiter),
            };
            let Some(end) = end else { return steps };
            let rest = self.pending.split_off(end.at + end.bytes);
            self.pending.truncate(end.at);
            let statement = std::mem::replace(&mut self.pending, rest);
            self.within_line = end.bytes > 0;
            match end.how {
                How::ThrowAway => {}
                How::Leave => {
                    steps.push(Step::Leave);
                    return steps;
                }
                _ if statement.trim().is_empty() => {}
                how => {
                    let (sql, vertical) = (statement.trim().to_owned(), how == How::RunVertical);
                    steps.push(Step::Run(Statement { sql, vertical }));
                }
            }
        }
    }

    /// The line that is pending is a word that leaves, alone, and no statement is open.
    fn leaves(&self) -> bool {
        let bare = self.pending.trim_start();
        let before = &self.pending[..self.pending.len() - bare.len()];
        if self.within_line && !before.contains('\n') {
            return false;
        }
        let Some((line, _)) = bare.split_once('\n') else { return false };
        let line = line.trim();
        let word = line.strip_suffix(&self.delimiter).unwrap_or(line).trim_end();
        LEAVE.iter().any(|w| word.eq_ignore_ascii_case(w))
    }

    /// What is left, as a last statement.
    pub(super) fn rest(&mut self) -> Option<Statement> {
        let rest = std::mem::take(&mut self.pending);
        let bare = rest.trim();
        let comment = bare
            .lines()
            .all(|l| l.trim().is_empty() || l.trim().starts_with("--") || l.trim().starts_with('#'));
        (!comment).then(|| Statement { sql: bare.to_owned(), vertical: false })
    }

    /// Nothing typed since the last statement.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.trim().is_empty()
    }

    /// The end of the line, if what is pending begins with this word and its line is whole.
    fn own_line_end(&self, word: &str) -> Option<usize> {
        let bare = self.pending.trim_start();
        let begins = bare.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
        let goes_on = bare.get(word.len()..).is_some_and(|r| r.starts_with([' ', '\t']));
        let from = self.pending.len() - bare.len();
        let end = bare.find('\n').filter(|_| begins && goes_on)?;
        Some(from + end)
    }

    /// Takes that line out.
    fn own_line(&mut self, word: &str) -> Option<String> {
        let end = self.own_line_end(word)?;
        let rest = self.pending.split_off(end + 1);
        self.within_line = false;
        Some(std::mem::replace(&mut self.pending, rest))
    }
}

fn end_of_statement(text: &str, delimiter: &str) -> Option<End> {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i..].starts_with(delimiter.as_bytes()) {
            return Some(End { at: i, bytes: delimiter.len(), how: How::Run });
        }
        let how = match bytes[i..] {
            [b'\\', b'g', ..] => Some(How::Run),
            [b'\\', b'G', ..] => Some(How::RunVertical),
            [b'\\', b'c', ..] => Some(How::ThrowAway),
            [b'\\', b'q', ..] => Some(How::Leave),
            _ => None,
        };
        if let Some(how) = how {
            return Some(End { at: i, bytes: 2, how });
        }
        match bytes[i] {
            quote @ (b'\'' | b'"' | b'`') => {
                i += 1;
                loop {
                    match bytes.get(i) {
                        None => return None,
                        Some(b'\\') if quote != b'`' => i += 2,
                        Some(b) if *b == quote => break,
                        Some(_) => i += 1,
                    }
                }
                i += 1;
            }
            b'#' => i = line_end(bytes, i),
            b'-' if bytes[i..].starts_with(b"-- ") || bytes[i..].starts_with(b"--\n") => {
                i = line_end(bytes, i)
            }
            b'/' if bytes[i..].starts_with(b"/*") => {
                i += 2 + bytes[i + 2..].windows(2).position(|w| w == b"*/")? + 2;
            }
            _ => i += 1,
        }
    }
    None
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| from + n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        for (text, statements, rest) in [
            ("select 1; select 2", &["select 1"][..], Some("select 2")),
            ("select ';', \"a;\\\"b\", `c;`;", &["select ';', \"a;\\\"b\", `c;`"], None),
            ("a -- x; y\n;", &["a -- x; y"], None),
            ("a # x; y\n; b;", &["a # x; y", "b"], None),
            ("/* ; */ a;", &["/* ; */ a"], None),
            (";;  ;", &[], None),
            ("select 'it''s;';", &["select 'it''s;'"], None),
            ("-- only a comment", &[], None),
            ("select 'open;", &[], Some("select 'open;")),
        ] {
            let mut splitter = Splitter::default();
            assert_eq!(sql(splitter.add(text)), statements, "{text}");
            assert_eq!(splitter.rest().map(|s| s.sql).as_deref(), rest, "{text}");
        }
    }

    fn sql(steps: Vec<Step>) -> Vec<String> {
        let text = |s| match s {
            Step::Run(s) => s.sql,
            Step::Leave => "(leave)".to_owned(),
        };
        steps.into_iter().map(text).collect()
    }

    #[test]
    fn a_statement_is_thrown_away_and_the_client_left_as_in_the_mysql_client() {
        for (lines, steps, open) in [
            (&["\\q"][..], &["(leave)"][..], false),
            (&["exit"], &["(leave)"], false),
            (&["  QUIT ; "], &["(leave)"], false),
            (&["select 1", "\\q"], &["(leave)"], false),
            (&["select 1; select 2 \\q"], &["select 1", "(leave)"], false),
            (&["select 1", "exit", ";"], &["select 1\nexit"], false),
            (&["select 1;", "exit"], &["select 1", "(leave)"], false),
            (&["select 1; exit"], &["select 1"], true),
            (&["exit now"], &[], true),
            (&["select '", "\\q", "\\c", "exit", "';"], &["select '\n\\q\n\\c\nexit\n'"], false),
            (&["select 1 -- \\q", ";"], &["select 1 -- \\q"], false),
            (&["select \\c select 2;", "\\c"], &["select 2"], false),
            (&["select 1", "\\c", "exit"], &["(leave)"], false),
            (&["use d", "exit"], &["use d", "(leave)"], false),
            (&["delimiter //", "quit//"], &["(leave)"], false),
        ] {
            let mut splitter = Splitter::default();
            let mut got = Vec::new();
            for line in lines {
                got.extend(sql(splitter.add(&format!("{line}\n"))));
                if got.last().is_some_and(|s| s == "(leave)") {
                    break;
                }
            }
            assert_eq!(got, steps, "{lines:?}");
            let left = got.last().is_some_and(|s| s == "(leave)");
            assert_eq!(!left && !splitter.is_empty(), open, "{lines:?}");
        }
    }

    #[test]
    fn what_the_mysql_client_knows_ends_statements_too() {
        let mut splitter = Splitter::default();
        let got = splitter.add("use d\nselect 1\\G select '\\\\G' \\g\nUSE e; use f;\n");
        let vertical: Vec<bool> = got.iter().map(|s| matches!(s, Step::Run(s) if s.vertical)).collect();
        assert_eq!(vertical, [false, true, false, false, false]);
        assert_eq!(sql(got), ["use d", "select 1", "select '\\\\G'", "USE e", "use f"]);
        let body = "create procedure p() begin select 1; select 2; end";
        let got = splitter.add(&format!("DELIMITER //\n{body} //\ndelimiter ;\ncall p();"));
        assert_eq!(sql(got), [body, "call p()"]);
        assert!(splitter.is_empty());
        assert_eq!(sql(splitter.add("update t set used = 1;")), ["update t set used = 1"]);
    }
}
