//! Warnings about a value that a statement assigns to every row. Such a value is made fit for its column once, where the
//! statement is bound; MySQL does it row by row, so that there is a warning for each row, and none without rows.

use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::context;
use p2pdb_sql::plan::Note;

/// How a message about the first row ends.
const FIRST_ROW: &str = " at row 1";
/// "Column … cannot be null" names no row.
const NOT_NULL: u16 = 1048;
/// "Datetime function: datetime field overflow" neither.
const OVERFLOW: u16 = 1441;

/// See the module.
pub(crate) struct RowNotes(Vec<Note>);

impl RowNotes {
    /// What `bind` makes, and what it said of the values of a row, which is not said yet.
    pub(crate) fn of<T>(bind: impl FnOnce() -> Result<T, SqlError>) -> Result<(T, Self), SqlError> {
        let before = context::read(|c| c.warning_count);
        let made = bind()?;
        let of_row = |n: &Note| n.code == NOT_NULL || n.message.ends_with(FIRST_ROW);
        let (rows, others): (Vec<_>, Vec<_>) =
            context::take_warnings_since(before).into_iter().partition(of_row);
        others.into_iter().for_each(|n| context::note(n.level, n.code, n.message));
        Ok((made, RowNotes(rows)))
    }

    /// The same; where a value does not fit so that this is an error, the values that would be taken otherwise, with the error:
    /// it counts only if there is a row.
    pub(crate) fn or_error<T>(
        mut bind: impl FnMut() -> Result<T, SqlError>,
    ) -> Result<(T, Self, Option<SqlError>), SqlError> {
        match Self::of(&mut bind) {
            Ok((made, notes)) => Ok((made, notes, None)),
            Err(e) if matches!(e.code, NOT_NULL | OVERFLOW) || e.message.ends_with(FIRST_ROW) => {
                let before = context::read(|c| c.warning_count);
                let made = context::ignoring(bind)?;
                context::drop_warnings_since(before);
                Ok((made, RowNotes(Vec::new()), Some(e)))
            }
            Err(e) => Err(e),
        }
    }

    /// Says it of this row, counted from 1.
    pub(crate) fn tell(&self, row: u64) {
        for note in &self.0 {
            let message = match note.message.strip_suffix(FIRST_ROW) {
                Some(text) => format!("{text} at row {row}"),
                None => note.message.clone(),
            };
            context::note(note.level, note.code, message);
        }
    }

    /// Says it of as many rows.
    pub(crate) fn tell_all(&self, rows: u64) {
        if !self.0.is_empty() {
            (1..=rows).for_each(|row| self.tell(row));
        }
    }
}
