//! MySQL errors: number, SQLSTATE and wording (MySQL 8.0 Error Message Reference).

/// An error as a MySQL client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({state}): {message}")]
pub struct SqlError {
    /// MySQL error number.
    pub code: u16,
    /// Five characters of SQLSTATE.
    pub state: &'static str,
    /// MySQL's wording.
    pub message: String,
}

impl SqlError {
    /// An error with this number, state and message.
    pub fn new(code: u16, state: &'static str, message: impl Into<String>) -> Self {
        Self { code, state, message: message.into() }
    }

    /// 1235: a feature that is not there yet, by its name.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(1235, "42000", format!("This version of MySQL doesn't yet support '{what}'"))
    }
}
