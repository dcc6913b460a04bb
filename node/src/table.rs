//! Tables for eyes: aligned columns with a heading.

use std::fmt::{self, Write};

/// A table; columns whose cells are all numbers are set to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, cells beyond the headings are dropped.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(|c| one_line(c.into())).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        (0..self.head.len()).map(|i| lines().map(|l| width(&l[i])).max().unwrap_or(0)).collect()
    }

    fn is_numeric(&self, column: usize) -> bool {
        let number = |t: &str| t == "NULL" || t.parse::<f64>().is_ok();
        !self.rows.is_empty() && self.rows.iter().all(|r| number(&r[column]))
    }

    fn numeric(&self) -> Vec<bool> {
        (0..self.head.len()).map(|column| self.is_numeric(column)).collect()
    }

    /// The table framed in the manner of the `mysql` client.
    pub fn framed(&self) -> String {
        let (widths, numeric) = (self.widths(), self.numeric());
        let mut out = String::new();
        let rule = |out: &mut String| {
            for w in &widths {
                out.push('+');
                out.extend(std::iter::repeat_n('-', w + 2));
            }
            out.push_str("+\n");
        };
        rule(&mut out);
        for (n, line) in std::iter::once(&self.head).chain(&self.rows).enumerate() {
            for (i, cell) in line.iter().enumerate() {
                let pad = widths[i] - width(cell);
                let (left, right) = if n > 0 && numeric[i] { (pad, 0) } else { (0, pad) };
                let _ = write!(out, "| {:left$}{cell}{:right$} ", "", "");
            }
            out.push_str("|\n");
            if n == 0 {
                rule(&mut out);
            }
        }
        rule(&mut out);
        out
    }
}

impl fmt::Display for Table {
    /// Columns two blanks apart, no frame, no trailing blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (widths, numeric) = (self.widths(), self.numeric());
        for line in std::iter::once(&self.head).chain(&self.rows) {
            let mut text = String::new();
            for (i, cell) in line.iter().enumerate() {
                let pad = widths[i] - width(cell);
                let (left, right) = if numeric[i] { (pad, 0) } else { (0, pad) };
                write!(text, "{:left$}{cell}{:right$}  ", "", "")?;
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// Characters on a terminal, near enough: wide scripts count two.
fn width(text: &str) -> usize {
    let wide = |c: char| matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff);
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

fn one_line(text: String) -> String {
    if !text.contains(['\n', '\r', '\t']) {
        return text;
    }
    text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut t = Table::new(["name", "seq"]);
        t.row(["alpha", "7"]);
        t.row(["b", "1024"]);
        assert_eq!(t.to_string(), "name    seq\nalpha     7\nb      1024\n");
        assert_eq!(
            t.framed(),
            "+-------+------+\n| name  | seq  |\n+-------+------+\n| alpha |    7 |\n| b     | 1024 |\n+-------+------+\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_heading_and_wide_letters_keep_the_columns() {
        assert_eq!(Table::new(["a", "b"]).to_string(), "a  b\n");
        let mut t = Table::new(["x", "y"]);
        t.row(["日本", "t\nu"]);
        assert_eq!(t.to_string(), "x     y\n日本  t\\nu\n");
    }
}
