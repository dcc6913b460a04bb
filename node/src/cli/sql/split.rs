//! Cuts what is typed into statements at `;`, outside of quotes and comments.

/// Collects text until a statement is whole.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    pending: String,
}

impl Splitter {
    /// Adds text; gives the statements that are now whole, without their `;`.
    pub(super) fn add(&mut self, text: &str) -> Vec<String> {
        self.pending.push_str(text);
        let mut statements = Vec::new();
        while let Some(end) = end_of_statement(&self.pending) {
            let rest = self.pending.split_off(end + 1);
            self.pending.pop();
            let statement = std::mem::replace(&mut self.pending, rest);
            if !statement.trim().is_empty() {
                statements.push(statement.trim().to_owned());
            }
        }
        statements
    }

    /// What is left, as a last statement.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        let bare = rest.trim();
        let comment = bare
            .lines()
            .all(|l| l.trim().is_empty() || l.trim().starts_with("--") || l.trim().starts_with('#'));
        (!comment).then(|| bare.to_owned())
    }

    /// Nothing typed since the last statement.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.trim().is_empty()
    }
}

fn end_of_statement(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b';' => return Some(i),
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
            assert_eq!(splitter.add(text), statements, "{text}");
            assert_eq!(splitter.rest().as_deref(), rest, "{text}");
        }
    }
}
