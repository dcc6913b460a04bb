//! Statements that hold bytes which are no text: `_binary'…'`, and strings that go into a BLOB as they are.
//!
//! A client that does not escape sends the bytes of a BLOB between quotes. Everything behind this room works on text, so
//! such literals become `X'…'` first, which means the same bytes. Strings that are text stay as they are.

use std::fmt::Write;

use super::lexer::{Lexer, Quoting, Raw, unquote};
use crate::error::SqlError;
use crate::session::SqlMode;

/// Is `_binary` in this statement?
pub fn names_binary(bytes: &[u8]) -> bool {
    bytes.windows(INTRODUCER.len()).any(|w| w.eq_ignore_ascii_case(INTRODUCER.as_bytes()))
}

const INTRODUCER: &str = "_binary";

/// A statement of raw bytes as text. `decode` makes text of a piece that must be text in the client's character set; a
/// string for which it fails, and one behind `_binary`, is bytes.
///
/// # Errors
/// Those of `decode`, for what is not a string.
pub fn to_text(
    bytes: &[u8],
    mode: SqlMode,
    decode: &dyn Fn(&[u8]) -> Result<String, SqlError>,
) -> Result<String, SqlError> {
    let quoting = Quoting::from(mode);
    // Byte for byte a character, so that the lexer can walk over bytes that are no text.
    let mapped: String = bytes.iter().map(|b| char::from(*b)).collect();
    let bytes_of = |text: &str| text.chars().map(|c| c as u32 as u8).collect::<Vec<u8>>();
    let mut out = String::new();
    let mut done = 0;
    // Where an introducer `_binary` begins in `mapped`, when it was the last token.
    let mut binary = None;
    for t in Lexer::new(&mapped, quoting) {
        let word = &mapped[t.start..t.end];
        if t.kind == Raw::Word && word.eq_ignore_ascii_case(INTRODUCER) {
            binary = Some(t.start);
            continue;
        }
        let introducer = binary.take();
        if t.kind != Raw::Text {
            continue;
        }
        if introducer.is_none() && decode(&bytes_of(word)).is_ok() {
            continue;
        }
        out += &decode(&bytes_of(&mapped[done..introducer.unwrap_or(t.start)]))?;
        // No token before it may grow together with the X.
        out += " X'";
        for byte in bytes_of(&unquote(word, quoting.backslash)) {
            let _ = write!(out, "{byte:02X}");
        }
        out.push('\'');
        done = t.end;
    }
    out += &decode(&bytes_of(&mapped[done..]))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8(bytes: &[u8]) -> Result<String, SqlError> {
        String::from_utf8(bytes.to_vec()).map_err(|_| SqlError::new(1300, "HY000", "bad"))
    }

    #[test]
    fn strings_that_are_no_text_become_hexadecimal() {
        let cases: [(&[u8], Result<&str, u16>); 8] = [
            (b"SELECT '\xff\xfe'", Ok("SELECT  X'FFFE'")),
            (b"SELECT _binary'\xff''\\n\\\\', 'a\xc3\xa4'", Ok("SELECT  X'FF270A5C', 'aä'")),
            (b"SELECT _BINARY 'ab'", Ok("SELECT  X'6162'")),
            (b"SELECT 1 /* \xc3\xa4 '\xff */, 2", Err(1300)),
            (b"SELECT a\xff", Err(1300)),
            (
                b"INSERT INTO t VALUES('\xff', _binary '\x00\xe9')",
                Ok("INSERT INTO t VALUES( X'FF',  X'00E9')"),
            ),
            (b"SELECT '\xff' -- '\n, 'x'", Ok("SELECT  X'FF' -- '\n, 'x'")),
            (b"SELECT _binary_x, '\xfe'", Ok("SELECT _binary_x,  X'FE'")),
        ];
        for (bytes, wanted) in cases {
            let got = to_text(bytes, SqlMode::DEFAULT, &utf8).map_err(|e| e.code);
            assert_eq!(got.as_deref(), wanted.as_ref().map(|t| *t), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn behind_the_introducer_bytes_are_not_converted() {
        let latin1 = |b: &[u8]| Ok(b.iter().map(|b| char::from(*b)).collect());
        let got = to_text(b"SELECT '\xe9', _binary'\xe9'", SqlMode::DEFAULT, &latin1).expect("text");
        assert_eq!(got, "SELECT 'é',  X'E9'");
    }
}
