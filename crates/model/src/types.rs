//! MySQL column types as the schema knows them (MySQL 8.0 manual, chapter 11, "Data Types").

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::json;
use crate::temporal::{DateRules, DateTime, Time};
use crate::value::Value;

/// A column's declared type. How each is stored: see [`crate::value`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// TINYINT, SMALLINT, MEDIUMINT, INT, BIGINT (BOOL is `TINYINT(1)`).
    Int {
        /// Which of the five.
        size: IntSize,
        /// UNSIGNED.
        unsigned: bool,
        /// The display width, kept only for `TINYINT(1)`, which drivers read as a boolean.
        width: Option<u8>,
        /// ZEROFILL (implies UNSIGNED).
        zerofill: bool,
    },
    /// DECIMAL(precision, scale): 1..=65 digits, scale 0..=30.
    Decimal {
        /// Total digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
        /// UNSIGNED.
        unsigned: bool,
    },
    /// FLOAT.
    Float {
        /// UNSIGNED.
        unsigned: bool,
        /// `FLOAT(M,D)`.
        digits: Option<(u8, u8)>,
    },
    /// DOUBLE.
    Double {
        /// UNSIGNED.
        unsigned: bool,
        /// `DOUBLE(M,D)`.
        digits: Option<(u8, u8)>,
    },
    /// BIT(bits), 1..=64.
    Bit {
        /// Width in bits.
        bits: u8,
    },
    /// DATE.
    Date,
    /// TIME(fsp).
    Time {
        /// Fractional second digits, 0..=6.
        fsp: u8,
    },
    /// DATETIME(fsp).
    DateTime {
        /// Fractional second digits, 0..=6.
        fsp: u8,
    },
    /// TIMESTAMP(fsp).
    Timestamp {
        /// Fractional second digits, 0..=6.
        fsp: u8,
    },
    /// YEAR.
    Year,
    /// CHAR(chars).
    Char {
        /// Length in characters, 0..=255.
        chars: u32,
        /// Collation.
        collation: Collation,
    },
    /// VARCHAR(chars).
    VarChar {
        /// Length in characters.
        chars: u32,
        /// Collation.
        collation: Collation,
    },
    /// TINYTEXT, TEXT, MEDIUMTEXT, LONGTEXT.
    Text {
        /// Which of the four.
        size: LobSize,
        /// Collation.
        collation: Collation,
    },
    /// BINARY(bytes).
    Binary {
        /// Length in bytes.
        bytes: u32,
    },
    /// VARBINARY(bytes).
    VarBinary {
        /// Length in bytes.
        bytes: u32,
    },
    /// TINYBLOB, BLOB, MEDIUMBLOB, LONGBLOB.
    Blob {
        /// Which of the four.
        size: LobSize,
    },
    /// ENUM.
    Enum {
        /// The members, in order; stored as their 1-based index.
        values: Vec<String>,
        /// Collation.
        collation: Collation,
    },
    /// SET.
    Set {
        /// The members, in order; stored as a bit mask.
        values: Vec<String>,
        /// Collation.
        collation: Collation,
    },
    /// JSON.
    Json,
}

/// Sizes of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum IntSize {
    /// 8 bits.
    Tiny,
    /// 16 bits.
    Small,
    /// 24 bits.
    Medium,
    /// 32 bits.
    Int,
    /// 64 bits.
    Big,
}

impl IntSize {
    /// Width in bits.
    pub fn bits(self) -> u32 {
        match self {
            IntSize::Tiny => 8,
            IntSize::Small => 16,
            IntSize::Medium => 24,
            IntSize::Int => 32,
            IntSize::Big => 64,
        }
    }

    /// The inclusive range of the type.
    pub fn range(self, unsigned: bool) -> (i128, i128) {
        let bits = self.bits();
        if unsigned { (0, (1i128 << bits) - 1) } else { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) }
    }
}

/// Sizes of TEXT and BLOB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LobSize {
    /// 255 bytes.
    Tiny,
    /// 65,535 bytes.
    Normal,
    /// 16,777,215 bytes.
    Medium,
    /// 4,294,967,295 bytes.
    Long,
}

impl LobSize {
    /// The greatest length in bytes.
    pub fn bytes_max(self) -> u64 {
        match self {
            LobSize::Tiny => 0xff,
            LobSize::Normal => 0xffff,
            LobSize::Medium => 0xff_ffff,
            LobSize::Long => 0xffff_ffff,
        }
    }
}

/// Collations (all of character set utf8mb4, but `binary`). Order and equality are pinned under the rules number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Collation {
    /// The default of MySQL 8: Unicode 9 root collation, accent and case insensitive, NO PAD.
    Utf8mb4_0900AiCi,
    /// Case-insensitive by simple folding, PAD SPACE.
    Utf8mb4GeneralCi,
    /// Unicode 4.0 collation, PAD SPACE.
    Utf8mb4UnicodeCi,
    /// Unicode 5.2 collation, PAD SPACE.
    Utf8mb4Unicode520Ci,
    /// By code point, PAD SPACE.
    Utf8mb4Bin,
    /// By code point, NO PAD.
    Utf8mb4_0900Bin,
    /// Unicode 9, accent and case sensitive, NO PAD.
    Utf8mb4_0900AsCs,
    /// Bytes.
    Binary,
}

impl Collation {
    /// Every collation we know.
    pub const ALL: [Collation; 8] = [
        Collation::Utf8mb4_0900AiCi,
        Collation::Utf8mb4GeneralCi,
        Collation::Utf8mb4UnicodeCi,
        Collation::Utf8mb4Unicode520Ci,
        Collation::Utf8mb4Bin,
        Collation::Utf8mb4_0900Bin,
        Collation::Utf8mb4_0900AsCs,
        Collation::Binary,
    ];

    /// MySQL's name, which is also the name it is registered under with SQLite.
    pub fn name(self) -> &'static str {
        match self {
            Collation::Utf8mb4_0900AiCi => "utf8mb4_0900_ai_ci",
            Collation::Utf8mb4GeneralCi => "utf8mb4_general_ci",
            Collation::Utf8mb4UnicodeCi => "utf8mb4_unicode_ci",
            Collation::Utf8mb4Unicode520Ci => "utf8mb4_unicode_520_ci",
            Collation::Utf8mb4Bin => "utf8mb4_bin",
            Collation::Utf8mb4_0900Bin => "utf8mb4_0900_bin",
            Collation::Utf8mb4_0900AsCs => "utf8mb4_0900_as_cs",
            Collation::Binary => "binary",
        }
    }

    /// MySQL's collation id (`information_schema.COLLATIONS.ID`).
    pub fn id(self) -> u16 {
        match self {
            Collation::Utf8mb4_0900AiCi => 255,
            Collation::Utf8mb4GeneralCi => 45,
            Collation::Utf8mb4UnicodeCi => 224,
            Collation::Utf8mb4Unicode520Ci => 246,
            Collation::Utf8mb4Bin => 46,
            Collation::Utf8mb4_0900Bin => 309,
            Collation::Utf8mb4_0900AsCs => 278,
            Collation::Binary => 63,
        }
    }

    /// The character set's name.
    pub fn charset(self) -> &'static str {
        if self == Collation::Binary { "binary" } else { "utf8mb4" }
    }

    /// True where trailing spaces do not count (`PAD SPACE`).
    pub fn pads(self) -> bool {
        matches!(
            self,
            Collation::Utf8mb4GeneralCi
                | Collation::Utf8mb4UnicodeCi
                | Collation::Utf8mb4Unicode520Ci
                | Collation::Utf8mb4Bin
        )
    }

    /// The collation of this name, any case; `utf8_…` and `utf8mb3_…` name their utf8mb4 sisters.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = match name.strip_prefix("utf8mb3_").or_else(|| name.strip_prefix("utf8_")) {
            Some(rest) => format!("utf8mb4_{rest}"),
            None => name,
        };
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// A date and time that some sql_mode lets in.
fn is_date(packed: i64) -> bool {
    let t = DateTime::unpack(packed);
    t.pack() == packed && t.is_valid(DateRules { allow_invalid: true, ..DateRules::LENIENT })
}

impl SqlType {
    /// True when a column of this type can hold the value, in its stored form (see [`crate::value`]). NULL it can.
    ///
    /// Every assignment of a statement gives such a value; what is merged may come from another definition of the column.
    pub fn holds(&self, value: &Value) -> bool {
        use Value::{Blob, Int, Null, Real, Text};
        let bits = |n: u32| value.as_u64().is_some_and(|v| n >= 64 || v < 1 << n);
        match (self, value) {
            (_, Null) => true,
            (SqlType::Int { size, unsigned, .. }, Int(n)) => {
                let (least, greatest) = size.range(*unsigned);
                (least..=greatest).contains(&i128::from(*n))
            }
            (SqlType::Int { size: IntSize::Big, unsigned: true, .. }, Blob(_)) => value.as_u64().is_some(),
            (SqlType::Decimal { precision, scale, unsigned }, Blob(b)) => {
                Decimal::decode(b).is_some_and(|d| {
                    d.whole_digits() + u32::from(*scale) <= u32::from(*precision)
                        && d.rounded(i32::from(*scale)) == d
                        && !(*unsigned && d.signum() < 0)
                })
            }
            (SqlType::Float { unsigned, .. } | SqlType::Double { unsigned, .. }, Real(r)) => {
                r.is_finite() && !(*unsigned && *r < 0.0)
            }
            (SqlType::Bit { bits: n }, _) => bits(u32::from(*n)),
            (SqlType::Date, Int(n)) => is_date(*n) && DateTime::unpack(*n).time_us() == 0,
            (SqlType::DateTime { .. } | SqlType::Timestamp { .. }, Int(n)) => is_date(*n),
            (SqlType::Time { .. }, Int(n)) => Time(*n).clamped() == Time(*n),
            (SqlType::Year, Int(n)) => matches!(n, 0 | 1901..=2155),
            (SqlType::Char { chars, .. } | SqlType::VarChar { chars, .. }, Text(t)) => {
                let max = *chars as usize;
                t.len() <= max || t.chars().count() <= max
            }
            (SqlType::Text { size, .. }, Text(t)) => t.len() as u64 <= size.bytes_max(),
            (SqlType::Binary { bytes } | SqlType::VarBinary { bytes }, Blob(b)) => b.len() <= *bytes as usize,
            (SqlType::Blob { size }, Blob(b)) => b.len() as u64 <= size.bytes_max(),
            (SqlType::Enum { values, .. }, Int(n)) => usize::try_from(*n).is_ok_and(|n| n <= values.len()),
            (SqlType::Set { values, .. }, _) => bits(values.len() as u32),
            (SqlType::Json, Text(t)) => json::is_normal(t),
            _ => false,
        }
    }

    /// The collation, for character types.
    pub fn collation(&self) -> Option<Collation> {
        match self {
            SqlType::Char { collation, .. }
            | SqlType::VarChar { collation, .. }
            | SqlType::Text { collation, .. }
            | SqlType::Enum { collation, .. }
            | SqlType::Set { collation, .. } => Some(*collation),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn collation_mut(&mut self) -> Option<&mut Collation> {
        match self {
            SqlType::Char { collation, .. }
            | SqlType::VarChar { collation, .. }
            | SqlType::Text { collation, .. }
            | SqlType::Enum { collation, .. }
            | SqlType::Set { collation, .. } => Some(collation),
            _ => None,
        }
    }

    /// True where the stored form is always a 64-bit signed integer, so that a single-column primary key
    /// of this type can be SQLite's rowid.
    pub fn is_rowid(&self) -> bool {
        match self {
            SqlType::Int { size, unsigned, .. } => !(*unsigned && *size == IntSize::Big),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_collation_is_found_by_its_name_and_ids_differ() {
        for c in Collation::ALL {
            assert_eq!(Collation::from_name(&c.name().to_uppercase()), Some(c));
        }
        let mut ids: Vec<_> = Collation::ALL.map(Collation::id).to_vec();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Collation::ALL.len());
        assert_eq!(Collation::from_name("utf8_general_ci"), Some(Collation::Utf8mb4GeneralCi));
        assert_eq!(Collation::from_name("latin1_swedish_ci"), None);
    }

    #[test]
    fn integer_ranges_are_those_of_the_manual() {
        assert_eq!(IntSize::Tiny.range(false), (-128, 127));
        assert_eq!(IntSize::Medium.range(true), (0, 16_777_215));
        assert_eq!(IntSize::Big.range(true), (0, u64::MAX as i128));
    }
}
