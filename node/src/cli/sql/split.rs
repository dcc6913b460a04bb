//! Cuts what is typed into statements, outside of quotes and comments: at `;` or what `DELIMITER` has set, at `\g` and `\G`; `USE` and
//! `DELIMITER` end with their line, as in the mysql client. So do the others of its words that are known here: `\c` throws away what
//! is typed of a statement, `\q` does, too, and leaves; `quit` and `exit` leave where they stand alone on a line and no statement is open.

/// A statement, without what ended it. Bytes: a dump holds BLOBs as they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: Vec<u8>,
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
    pending: Vec<u8>,
    /// Up to here no end was found in it, outside of quotes and comments.
    looked_at: usize,
    delimiter: Vec<u8>,
    /// What is pending begins behind something else on its line.
    within_line: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter { pending: Vec::new(), looked_at: 0, delimiter: b";".to_vec(), within_line: false }
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
const LEAVE: [&[u8]; 2] = [b"quit", b"exit"];

impl Splitter {
    /// Adds whole lines; gives the statements that are now whole.
    pub(super) fn add(&mut self, lines: &[u8]) -> Vec<Step> {
        self.pending.extend_from_slice(lines);
        let all = std::mem::take(&mut self.pending);
        let (mut rest, mut steps) = (&all[..], Vec::new());
        let mut from = std::mem::take(&mut self.looked_at);
        loop {
            if self.leaves(rest) {
                steps.push(Step::Leave);
                break;
            }
            if let Some(end) = own_line_end(rest, b"delimiter") {
                let line = behind_comments(&rest[..=end]);
                let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
                if let Some(delimiter) = words.nth(1) {
                    self.delimiter = delimiter.to_vec();
                }
                (rest, self.within_line, from) = (&rest[end + 1..], false, 0);
                continue;
            }
            let end = match own_line_end(rest, b"use") {
                // With its delimiter, or without.
                Some(line) => {
                    let within = end_of_statement(&rest[..line], 0, &self.delimiter);
                    Ok(within.unwrap_or(End { at: line, bytes: 0, how: How::Run }))
                }
                None => end_of_statement(rest, from, &self.delimiter),
            };
            let end = match end {
                Ok(end) => end,
                Err(looked_at) => {
                    self.looked_at = looked_at;
                    break;
                }
            };
            let sql = rest[..end.at].trim_ascii();
            (rest, self.within_line, from) = (&rest[end.at + end.bytes..], end.bytes > 0, 0);
            match end.how {
                How::ThrowAway => {}
                How::Leave => {
                    steps.push(Step::Leave);
                    break;
                }
                _ if sql.is_empty() => {}
                how => {
                    let vertical = how == How::RunVertical;
                    steps.push(Step::Run(Statement { sql: sql.to_vec(), vertical }));
                }
            }
        }
        let rest = all.len() - rest.len();
        self.pending = if rest == 0 { all } else { all[rest..].to_vec() };
        steps
    }

    /// The line that is pending is a word that leaves, alone, and no statement is open.
    fn leaves(&self, rest: &[u8]) -> bool {
        let bare = behind_comments(rest);
        let before = &rest[..rest.len() - bare.len()];
        if self.within_line && !before.contains(&b'\n') {
            return false;
        }
        let Some(end) = bare.iter().position(|b| *b == b'\n') else { return false };
        let line = bare[..end].trim_ascii();
        let word = line.strip_suffix(&self.delimiter[..]).unwrap_or(line).trim_ascii_end();
        LEAVE.iter().any(|w| word.eq_ignore_ascii_case(w))
    }

    /// What is left, as a last statement.
    pub(super) fn rest(&mut self) -> Option<Statement> {
        let mut rest = std::mem::take(&mut self.pending);
        // The last line is whole now.
        rest.push(b'\n');
        let is_said = !behind_comments(&rest).is_empty();
        is_said.then(|| Statement { sql: rest.trim_ascii().to_vec(), vertical: false })
    }

    /// Throws away what is there of a statement.
    pub(super) fn throw_away(&mut self) {
        self.pending.clear();
        (self.looked_at, self.within_line) = (0, false);
    }

    /// Nothing typed since the last statement.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.trim_ascii().is_empty()
    }
}

/// Behind blank lines and those that are comments.
fn behind_comments(text: &[u8]) -> &[u8] {
    let mut bare = text.trim_ascii_start();
    while is_comment_line(bare) && bare.contains(&b'\n') {
        bare = bare[line_end(bare, 0)..].trim_ascii_start();
    }
    bare
}

fn is_comment_line(line: &[u8]) -> bool {
    [&b"-- "[..], b"--\n", b"--\r", b"#"].iter().any(|begin| line.starts_with(begin))
}

/// The end of the first line, if it begins with this word and is whole.
fn own_line_end(text: &[u8], word: &[u8]) -> Option<usize> {
    let bare = behind_comments(text);
    let begins = bare.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let goes_on = matches!(bare.get(word.len()), Some(b' ' | b'\t'));
    if !(begins && goes_on) {
        return None;
    }
    let end = bare.iter().position(|b| *b == b'\n')?;
    Some(text.len() - bare.len() + end)
}

/// Looks from `i` on, which is outside of quotes and comments; the error is from where to look on when there is more.
fn end_of_statement(bytes: &[u8], mut i: usize, delimiter: &[u8]) -> Result<End, usize> {
    while i < bytes.len() {
        if bytes[i..].starts_with(delimiter) {
            return Ok(End { at: i, bytes: delimiter.len(), how: How::Run });
        }
        let how = match bytes[i..] {
            [b'\\', b'g', ..] => Some(How::Run),
            [b'\\', b'G', ..] => Some(How::RunVertical),
            [b'\\', b'c', ..] => Some(How::ThrowAway),
            [b'\\', b'q', ..] => Some(How::Leave),
            _ => None,
        };
        if let Some(how) = how {
            return Ok(End { at: i, bytes: 2, how });
        }
        match bytes[i] {
            quote @ (b'\'' | b'"' | b'`') => {
                let begins = i;
                i += 1;
                loop {
                    match bytes.get(i) {
                        None => return Err(begins),
                        Some(b'\\') if quote != b'`' => i += 2,
                        Some(b) if *b == quote => break,
                        Some(_) => i += 1,
                    }
                }
                i += 1;
            }
            b'#' => i = line_end(bytes, i),
            b'-' if is_comment_line(&bytes[i..]) => i = line_end(bytes, i),
            b'/' if bytes[i..].starts_with(b"/*") => {
                i += 2 + bytes[i + 2..].windows(2).position(|w| w == b"*/").ok_or(i)? + 2;
            }
            _ => i += 1,
        }
    }
    Err(i)
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
            assert_eq!(sql(splitter.add(text.as_bytes())), statements, "{text}");
            let left = splitter.rest().map(|s| s.sql);
            assert_eq!(left.as_deref(), rest.map(str::as_bytes), "{text}");
        }
    }

    fn sql(steps: Vec<Step>) -> Vec<String> {
        let text = |s| match s {
            Step::Run(s) => String::from_utf8(s.sql).expect("text"),
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
            (&["select 1;", "-- c", "# d", "", "quit"], &["select 1", "(leave)"], false),
            (&["-- c", "delimiter //", "a; b//"], &["a; b"], false),
        ] {
            let mut splitter = Splitter::default();
            let mut got = Vec::new();
            for line in lines {
                got.extend(sql(splitter.add(format!("{line}\n").as_bytes())));
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
        let got = splitter.add(b"use d\nselect 1\\G select '\\\\G' \\g\nUSE e; use f;\n");
        let vertical: Vec<bool> = got.iter().map(|s| matches!(s, Step::Run(s) if s.vertical)).collect();
        assert_eq!(vertical, [false, true, false, false, false]);
        assert_eq!(sql(got), ["use d", "select 1", "select '\\\\G'", "USE e", "use f"]);
        let body = "create procedure p() begin select 1; select 2; end";
        let got = splitter.add(format!("DELIMITER //\n{body} //\ndelimiter ;\ncall p();").as_bytes());
        assert_eq!(sql(got), [body, "call p()"]);
        assert!(splitter.is_empty());
        assert_eq!(sql(splitter.add(b"update t set used = 1;")), ["update t set used = 1"]);
    }

    #[test]
    fn what_comes_line_by_line_is_cut_as_what_comes_at_once() {
        let text =
            "use d\nselect 'a;\n;b' , 1 -- ;'\n+ 2; /* ;\n; */ a\n;\ndelimiter //\nb;\nc // d\n-- ;\n//\ne;";
        let at_once = sql(Splitter::default().add(text.as_bytes()));
        let (mut splitter, mut by_line) = (Splitter::default(), Vec::new());
        for line in text.split_inclusive('\n') {
            by_line.extend(sql(splitter.add(line.as_bytes())));
        }
        assert_eq!(by_line, at_once);
        assert_eq!(at_once.len(), 5, "{at_once:?}");
        splitter.throw_away();
        assert!(splitter.is_empty());
        assert_eq!(sql(splitter.add(b"f; g//\n")), ["f; g"], "the delimiter stays");
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        let mut splitter = Splitter::default();
        let steps = splitter.add(b"insert into t values (_binary '\xff;\x00\\''); select 1;\n");
        let Some(Step::Run(first)) = steps.first() else { panic!("{steps:?}") };
        assert_eq!(first.sql, b"insert into t values (_binary '\xff;\x00\\'')");
        assert_eq!((steps.len(), splitter.is_empty()), (2, true));
    }
}
