//! Column types in all of MySQL's spellings.

use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};
use sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::plan::{Note, NoteLevel};
use crate::statement::Cursor;
use crate::variables;

/// Greatest length of a VARCHAR in characters of utf8mb4.
pub const VARCHAR_CHARS_MAX: u64 = 16_383;
/// Greatest length of a VARBINARY in bytes.
pub const VARBINARY_BYTES_MAX: u64 = 65_535;
/// Greatest length of CHAR and BINARY.
const CHAR_LENGTH_MAX: u64 = 255;
/// Greatest number of digits of a DECIMAL, and after its point.
const DECIMAL_DIGITS_MAX: u64 = 65;
const DECIMAL_SCALE_MAX: u64 = 30;
/// Greatest number of fractional second digits.
const FSP_MAX: u64 = 6;
/// Greatest number of members of a SET and of an ENUM.
const SET_MEMBERS_MAX: usize = 64;
const ENUM_MEMBERS_MAX: usize = 65_535;
/// Greatest width of BIT in bits.
const BITS_MAX: u64 = 64;
/// Greatest display width.
const WIDTH_MAX: u64 = 255;

/// A type as it was written.
#[derive(Debug)]
pub struct Parsed {
    /// The type, under the default collation where none was given.
    pub ty: SqlType,
    /// Character set or collation stood on the column.
    pub collation_given: bool,
    /// SERIAL: BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE.
    pub serial: bool,
}

struct Reader<'r, 'c, 'p> {
    c: &'r mut Cursor<'c, 'p>,
    column: &'r str,
    notes: &'r mut Vec<Note>,
}

/// Reads the type of `column`; text takes `default` as its collation if it says nothing.
///
/// # Errors
/// 1064; 1074, 1425, 1426, 1427, 1439, 1291, 1097, 1063; 1235 for types that are not served.
pub fn read(
    c: &mut Cursor<'_, '_>,
    column: &str,
    default: Collation,
    notes: &mut Vec<Note>,
) -> Result<Parsed, SqlError> {
    Reader { c, column, notes }.read(default)
}

impl Reader<'_, '_, '_> {
    fn error(&self, code: u16, message: String) -> SqlError {
        SqlError::new(code, "42000", message)
    }

    fn deprecated(&mut self, message: &str) {
        self.notes.push(Note { level: NoteLevel::Warning, code: 1681, message: message.to_owned() });
    }

    fn read(mut self, default: Collation) -> Result<Parsed, SqlError> {
        let int = |size| SqlType::Int { size, unsigned: false, width: None, zerofill: false };
        let plain = |ty| Parsed { ty, collation_given: false, serial: false };
        if self.c.eat("serial") {
            let ty = SqlType::Int { size: IntSize::Big, unsigned: true, width: None, zerofill: false };
            return Ok(Parsed { ty, collation_given: false, serial: true });
        }
        for (words, size) in [
            ("tinyint int1", IntSize::Tiny),
            ("smallint int2", IntSize::Small),
            ("mediumint middleint int3", IntSize::Medium),
            ("int integer int4", IntSize::Int),
            ("bigint int8", IntSize::Big),
        ] {
            if words.split(' ').any(|w| self.c.eat(w)) {
                return Ok(plain(self.integer(size)?));
            }
        }
        if self.c.eat("bool") || self.c.eat("boolean") {
            let ty = SqlType::Int { size: IntSize::Tiny, unsigned: false, width: Some(1), zerofill: false };
            return Ok(plain(ty));
        }
        if self.c.eat_one(&["decimal", "dec", "numeric", "fixed"]).is_some() {
            return Ok(plain(self.decimal()?));
        }
        if self.c.eat("double") {
            self.c.eat("precision");
            return Ok(plain(self.double()?));
        }
        if self.c.eat("float8") || self.c.eat("real") {
            return Ok(plain(self.double()?));
        }
        if self.c.eat("float") || self.c.eat("float4") {
            return Ok(plain(self.float()?));
        }
        if self.c.eat("bit") {
            let bits = self.length()?.unwrap_or(1);
            if bits > BITS_MAX {
                return Err(self.error(
                    1439,
                    format!("Display width out of range for column '{}' (max = 64)", self.column),
                ));
            }
            if bits == 0 {
                return Err(self.error(3013, format!("Invalid size for column '{}'.", self.column)));
            }
            return Ok(plain(SqlType::Bit { bits: bits as u8 }));
        }
        if self.c.eat("date") {
            return Ok(plain(SqlType::Date));
        }
        if self.c.eat("time") {
            return Ok(plain(SqlType::Time { fsp: self.fsp()? }));
        }
        if self.c.eat("datetime") {
            return Ok(plain(SqlType::DateTime { fsp: self.fsp()? }));
        }
        if self.c.eat("timestamp") {
            return Ok(plain(SqlType::Timestamp { fsp: self.fsp()? }));
        }
        if self.c.eat("year") {
            match self.length()? {
                None => {}
                Some(4) => self.deprecated(
                    "YEAR(4) is deprecated and will be removed in a future release. Use YEAR instead",
                ),
                Some(_) => {
                    return Err(SqlError::new(1818, "HY000", "Invalid display width. Use YEAR instead."));
                }
            }
            return Ok(plain(SqlType::Year));
        }
        if self.c.eat("json") {
            return Ok(plain(SqlType::Json));
        }
        if self.c.eat("binary") {
            let bytes = self.bounded(CHAR_LENGTH_MAX, Some(1))?;
            return Ok(plain(SqlType::Binary { bytes }));
        }
        if self.c.eat("varbinary") || self.c.eat("char byte") {
            let bytes = self.bounded(VARBINARY_BYTES_MAX, None)?;
            return Ok(plain(SqlType::VarBinary { bytes }));
        }
        for (words, size) in [
            ("tinyblob", LobSize::Tiny),
            ("mediumblob", LobSize::Medium),
            ("longblob", LobSize::Long),
            ("long varbinary", LobSize::Medium),
        ] {
            if self.c.eat(words) {
                return Ok(plain(SqlType::Blob { size }));
            }
        }
        if self.c.eat("blob") {
            let size = self.lob_size(1)?;
            return Ok(plain(SqlType::Blob { size }));
        }
        const SPATIAL: [&str; 9] = [
            "geometrycollection",
            "geomcollection",
            "geometry",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "point",
            "linestring",
            "polygon",
        ];
        if let Some(name) = self.c.eat_one(&SPATIAL) {
            return Err(SqlError::unsupported(format!("{} columns", name.to_uppercase())));
        }
        let _ = int;
        self.character(default)
    }

    fn length(&mut self) -> Result<Option<u64>, SqlError> {
        if !self.c.eat_token(&Token::LParen) {
            return Ok(None);
        }
        let n = self.c.number()?;
        self.c.expect_token(&Token::RParen)?;
        Ok(Some(n))
    }

    /// `(n)` or `(n, m)`.
    fn pair(&mut self) -> Result<Option<(u64, Option<u64>)>, SqlError> {
        if !self.c.eat_token(&Token::LParen) {
            return Ok(None);
        }
        let n = self.c.number()?;
        let m = if self.c.eat_token(&Token::Comma) { Some(self.c.number()?) } else { None };
        self.c.expect_token(&Token::RParen)?;
        Ok(Some((n, m)))
    }

    /// A length up to `max`; without one `absent`, or 1064.
    fn bounded(&mut self, max: u64, absent: Option<u64>) -> Result<u32, SqlError> {
        let n = match (self.length()?, absent) {
            (Some(n), _) | (None, Some(n)) => n,
            (None, None) => return Err(self.c.error()),
        };
        if n > max {
            let message = format!(
                "Column length too big for column '{}' (max = {max}); use BLOB or TEXT instead",
                self.column
            );
            return Err(self.error(1074, message));
        }
        Ok(n as u32)
    }

    fn fsp(&mut self) -> Result<u8, SqlError> {
        let n = self.length()?.unwrap_or(0);
        if n > FSP_MAX {
            let message = format!("Too-big precision {n} specified for '{}'. Maximum is 6.", self.column);
            return Err(self.error(1426, message));
        }
        Ok(n as u8)
    }

    /// UNSIGNED, SIGNED, ZEROFILL in any order.
    fn signs(&mut self) -> (bool, bool) {
        let (mut unsigned, mut zerofill) = (false, false);
        while let Some(word) = self.c.eat_one(&["unsigned", "signed", "zerofill"]) {
            unsigned |= word != "signed";
            zerofill |= word == "zerofill";
        }
        (unsigned, zerofill)
    }

    fn integer(&mut self, size: IntSize) -> Result<SqlType, SqlError> {
        let width = self.length()?;
        if width.is_some_and(|w| w > WIDTH_MAX) {
            let message = format!("Display width out of range for column '{}' (max = 255)", self.column);
            return Err(self.error(1439, message));
        }
        let (unsigned, zerofill) = self.signs();
        let boolean = size == IntSize::Tiny && width == Some(1) && !unsigned;
        if width.is_some() && !boolean {
            self.deprecated("Integer display width is deprecated and will be removed in a future release.");
        }
        if zerofill {
            self.deprecated(
                "The ZEROFILL attribute is deprecated and will be removed in a future release. Use the LPAD function \
                 to zero-pad numbers, or store the formatted numbers in a CHAR column.",
            );
        }
        let width = width.filter(|_| boolean || zerofill).map(|w| w as u8);
        Ok(SqlType::Int { size, unsigned, width, zerofill })
    }

    fn decimal(&mut self) -> Result<SqlType, SqlError> {
        let (mut precision, scale) = match self.pair()? {
            Some((p, s)) => (p, s.unwrap_or(0)),
            None => (10, 0),
        };
        self.check_digits(precision, scale)?;
        if precision == 0 {
            precision = 10;
        }
        if precision > DECIMAL_DIGITS_MAX {
            let message =
                format!("Too-big precision {precision} specified for '{}'. Maximum is 65.", self.column);
            return Err(self.error(1426, message));
        }
        let (unsigned, zerofill) = self.signs();
        if zerofill {
            return Err(SqlError::unsupported("ZEROFILL on DECIMAL"));
        }
        Ok(SqlType::Decimal { precision: precision as u8, scale: scale as u8, unsigned })
    }

    fn check_digits(&self, precision: u64, scale: u64) -> Result<(), SqlError> {
        if scale > DECIMAL_SCALE_MAX {
            let message =
                format!("Too big scale {scale} specified for column '{}'. Maximum is 30.", self.column);
            return Err(self.error(1425, message));
        }
        if scale > precision && precision != 0 {
            let message = format!(
                "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column '{}').",
                self.column
            );
            return Err(self.error(1427, message));
        }
        Ok(())
    }

    fn digits(&mut self, p: u64, s: u64) -> Result<Option<(u8, u8)>, SqlError> {
        self.check_digits(p, s)?;
        if p > WIDTH_MAX {
            let message = format!("Display width out of range for column '{}' (max = 255)", self.column);
            return Err(self.error(1439, message));
        }
        self.deprecated(
            "Specifying number of digits for floating point data types is deprecated and will be removed in a future \
             release.",
        );
        Ok(Some((p as u8, s as u8)))
    }

    fn unsigned_real(&mut self) -> Result<bool, SqlError> {
        let (unsigned, zerofill) = self.signs();
        if zerofill { Err(SqlError::unsupported("ZEROFILL on floating point columns")) } else { Ok(unsigned) }
    }

    fn double(&mut self) -> Result<SqlType, SqlError> {
        let digits = match self.pair()? {
            None => None,
            Some((p, Some(s))) => self.digits(p, s)?,
            Some((_, None)) => return Err(self.c.error()),
        };
        Ok(SqlType::Double { digits, unsigned: self.unsigned_real()? })
    }

    fn float(&mut self) -> Result<SqlType, SqlError> {
        let pair = self.pair()?;
        if let Some((p, None)) = pair {
            if p > 53 {
                let message = format!("Incorrect column specifier for column '{}'", self.column);
                return Err(self.error(1063, message));
            }
            let unsigned = self.unsigned_real()?;
            return Ok(if p > 24 {
                SqlType::Double { digits: None, unsigned }
            } else {
                SqlType::Float { digits: None, unsigned }
            });
        }
        let digits = match pair {
            Some((p, Some(s))) => self.digits(p, s)?,
            _ => None,
        };
        Ok(SqlType::Float { digits, unsigned: self.unsigned_real()? })
    }

    fn lob_size(&mut self, width: u64) -> Result<LobSize, SqlError> {
        let Some(n) = self.length()? else {
            return Ok(LobSize::Normal);
        };
        let bytes = n.saturating_mul(width);
        let sizes = [LobSize::Tiny, LobSize::Normal, LobSize::Medium, LobSize::Long];
        sizes.into_iter().find(|s| bytes <= s.bytes_max()).ok_or_else(|| {
            let message =
                format!("Display width out of range for column '{}' (max = 4294967295)", self.column);
            self.error(1439, message)
        })
    }

    fn character(&mut self, default: Collation) -> Result<Parsed, SqlError> {
        enum Kind {
            Char(u32),
            VarChar(u32),
            Text(LobSize),
            Enum(Vec<String>),
            Set(Vec<String>),
        }
        let national = self.c.eat_one(&["nchar", "nvarchar", "national"]);
        let kind = if national == Some("nvarchar")
            || self.c.eat_one(&["varchar", "varcharacter", "char varying", "character varying"]).is_some()
            || (national == Some("nchar") && (self.c.eat("varchar") || self.c.eat("varying")))
        {
            Kind::VarChar(self.bounded(VARCHAR_CHARS_MAX, None)?)
        } else if national == Some("nchar") || self.c.eat("char") || self.c.eat("character") {
            Kind::Char(self.bounded(CHAR_LENGTH_MAX, Some(1))?)
        } else if self.c.eat("tinytext") {
            Kind::Text(LobSize::Tiny)
        } else if self.c.eat("mediumtext") || self.c.eat("long varchar") || self.c.eat("long") {
            Kind::Text(LobSize::Medium)
        } else if self.c.eat("longtext") {
            Kind::Text(LobSize::Long)
        } else if self.c.eat("text") {
            Kind::Text(self.lob_size(4)?)
        } else if self.c.eat("enum") {
            Kind::Enum(self.members("ENUM", ENUM_MEMBERS_MAX)?)
        } else if self.c.eat("set") {
            Kind::Set(self.members("SET", SET_MEMBERS_MAX)?)
        } else {
            return Err(self.c.error());
        };
        let (collation, given) = collation_clause(self.c)?;
        let collation = collation.unwrap_or(default);
        let binary = collation == Collation::Binary;
        let ty = match kind {
            // CHARACTER SET binary makes the binary sisters of character types.
            Kind::Char(n) if binary => SqlType::Binary { bytes: n },
            Kind::VarChar(n) if binary => SqlType::VarBinary { bytes: n },
            Kind::Text(size) if binary => SqlType::Blob { size },
            Kind::Char(chars) => SqlType::Char { chars, collation },
            Kind::VarChar(chars) => SqlType::VarChar { chars, collation },
            Kind::Text(size) => SqlType::Text { size, collation },
            Kind::Enum(values) => SqlType::Enum { values, collation },
            Kind::Set(values) => SqlType::Set { values, collation },
        };
        Ok(Parsed { ty, collation_given: given, serial: false })
    }

    fn members(&mut self, kind: &str, max: usize) -> Result<Vec<String>, SqlError> {
        let all = self.c.parenthesized(|c| c.string())?;
        // Trailing blanks do not count, as in CHAR.
        let all: Vec<String> = all.into_iter().map(|m| m.trim_end_matches(' ').to_owned()).collect();
        for (n, m) in all.iter().enumerate() {
            if all[n + 1..].iter().any(|other| other.to_lowercase() == m.to_lowercase()) {
                let message = format!("Column '{}' has duplicated value '{m}' in {kind}", self.column);
                return Err(SqlError::new(1291, "HY000", message));
            }
            if kind == "SET" && m.contains(',') {
                let message = format!("Illegal set '{m}' value found during parsing");
                return Err(SqlError::new(1367, "22007", message));
            }
        }
        if all.len() > max {
            let message = format!("Too many strings for column {} and {kind}", self.column);
            return Err(SqlError::new(1097, "HY000", message));
        }
        Ok(all)
    }
}

/// `[CHARACTER SET x | CHARSET x | ASCII | UNICODE] [BINARY] [COLLATE y]`: the collation if one was said.
///
/// # Errors
/// 1115, 1273, 1253.
pub fn collation_clause(c: &mut Cursor<'_, '_>) -> Result<(Option<Collation>, bool), SqlError> {
    let mut set: Option<String> = None;
    let mut binary = false;
    let mut collate: Option<String> = None;
    loop {
        if c.eat("character set") || c.eat("char set") || c.eat("charset") {
            set = Some(c.word_or_string()?);
        } else if c.eat("ascii") {
            set = Some("ascii".to_owned());
        } else if c.eat("unicode") {
            return Err(SqlError::unknown_charset("ucs2"));
        } else if set.is_none() && c.eat("byte") {
            set = Some("binary".to_owned());
        } else if c.eat("binary") {
            binary = true;
        } else if collate.is_none() && c.eat("collate") {
            collate = Some(c.word_or_string()?);
        } else {
            break;
        }
    }
    let set = set.as_deref().map(column_charset).transpose()?;
    let collation = match (&collate, set) {
        (Some(name), Some(set)) => Some(variables::collation_of_charset(name, set)?),
        (Some(name), None) => Some(variables::collation(name)?),
        (None, Some(set)) if binary && set != "binary" => Some(Collation::Utf8mb4Bin),
        (None, Some(set)) => Some(variables::collation_of_definition(set)),
        (None, None) => binary.then_some(Collation::Utf8mb4Bin),
    };
    Ok((collation, collation.is_some()))
}

/// The character sets that a column may name. `latin1` and `ascii` are read as utf8mb4, which holds them.
///
/// # Errors
/// 1115.
pub fn column_charset(name: &str) -> Result<&'static str, SqlError> {
    if name.eq_ignore_ascii_case("default") { Ok("utf8mb4") } else { variables::charset(name) }
}
