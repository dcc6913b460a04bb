//! A table put together of what several sides said, made one that a single CREATE TABLE could say.
//!
//! Each side's statements were checked against the table that it knew. Where a key of one side and a column of the other do not
//! go together, the column is as it was said to be, and the key gives way as little as it can (`docs/merge.md`, section 4):
//! it takes less of the column, or is not there until it fits again.

use crate::catalog::{Column, Index, Table};
use crate::schema::{DefaultValue, IndexPart};
use crate::types::SqlType;

/// Bytes of an index entry (MySQL 8.0 Reference Manual, InnoDB Limits).
pub const KEY_BYTES_MAX: u64 = 3072;

/// Bytes of a character, at most.
pub const CHAR_BYTES_MAX: u64 = 4;

/// Bytes of a value of a type that is of no bounded length.
const VALUE_BYTES: u64 = 8;

/// Bytes that a column takes in an index entry, whole or with this much of it. Of TEXT, BLOB and JSON an index takes no whole.
pub fn key_bytes(ty: &SqlType, prefix: Option<u32>) -> u64 {
    let n = |n: u32| u64::from(n);
    match (ty, prefix) {
        (SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. }, Some(p)) => {
            n(p) * CHAR_BYTES_MAX
        }
        (_, Some(p)) => n(p),
        (SqlType::Char { chars, .. } | SqlType::VarChar { chars, .. }, None) => n(*chars) * CHAR_BYTES_MAX,
        (SqlType::Binary { bytes } | SqlType::VarBinary { bytes }, None) => n(*bytes),
        (SqlType::Text { .. } | SqlType::Blob { .. } | SqlType::Json, None) => u64::MAX / 1024,
        (SqlType::Decimal { precision, .. }, None) => n(u32::from(*precision)) / 2 + 1,
        (SqlType::Enum { .. }, None) => 2,
        _ => VALUE_BYTES,
    }
}

/// The length of a type of which an index may take a prefix, in its units, and the bytes of one.
fn length(ty: &SqlType) -> Option<(u64, u64)> {
    match ty {
        SqlType::Char { chars, .. } | SqlType::VarChar { chars, .. } => {
            Some((u64::from(*chars), CHAR_BYTES_MAX))
        }
        SqlType::Text { size, .. } => Some((size.bytes_max(), CHAR_BYTES_MAX)),
        SqlType::Binary { bytes } | SqlType::VarBinary { bytes } => Some((u64::from(*bytes), 1)),
        SqlType::Blob { size } => Some((size.bytes_max(), 1)),
        _ => None,
    }
}

impl Table {
    /// See the module. The parts of the indexes are columns of the table.
    pub(crate) fn fit(&mut self) {
        let columns = &self.columns;
        self.indexes.retain_mut(|i| fits(columns, i));
        let primary: Vec<_> = self.primary().iter().flat_map(|i| &i.def.parts).map(|p| p.column).collect();
        for c in self.columns.iter_mut().filter(|c| primary.contains(&c.tag)) {
            c.def.nullable = false;
            let _ = c.def.default.take_if(|d| *d == DefaultValue::Null);
        }
        // One column draws numbers at most, and leads a key.
        let leads =
            |c: &Column| self.indexes.iter().any(|i| i.def.parts.first().is_some_and(|p| p.column == c.tag));
        let draws = self.columns.iter().filter(|c| c.def.auto_increment).find(|c| leads(c)).map(|c| c.tag);
        for c in self.columns.iter_mut().filter(|c| c.def.auto_increment) {
            c.def.auto_increment = draws == Some(c.tag);
        }
    }
}

/// Makes an index one that can be on these columns; false where there is none.
fn fits(columns: &[Column], index: &mut Index) -> bool {
    let of = |part: &IndexPart| columns.iter().find(|c| c.tag == part.column).map(|c| &c.def);
    if index.def.fulltext {
        let is_text = |ty: &SqlType| {
            matches!(ty, SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. })
        };
        let first = index.def.parts.first().and_then(|p| of(p)?.ty.collation());
        return index
            .def
            .parts
            .iter()
            .filter_map(of)
            .all(|c| is_text(&c.ty) && c.ty.collation() == first && c.generated.is_none() && !c.is_sealed());
    }
    let sealed = |part: &IndexPart| of(part).is_some_and(|c| c.is_sealed());
    if index.def.parts.iter().any(sealed) {
        // Equal values are found in it, and nothing else.
        return !index.def.unique && index.def.parts.len() == 1;
    }
    let mut bytes = Vec::with_capacity(index.def.parts.len());
    for part in &mut index.def.parts {
        let Some(ty) = of(part).map(|c| &c.ty) else { return false };
        if *ty == SqlType::Json {
            return false;
        }
        let whole = length(ty).map(|l| l.0);
        let bounded = !matches!(ty, SqlType::Text { .. } | SqlType::Blob { .. });
        part.prefix = match (part.prefix, whole) {
            (_, None) => None,
            (Some(n), Some(whole)) if u64::from(n) >= whole && bounded => None,
            (Some(n), Some(whole)) => Some(n.min(u32::try_from(whole).unwrap_or(u32::MAX))),
            (None, _) => None,
        };
        bytes.push((key_bytes(ty, part.prefix), length(ty)));
    }
    // The longest gives way.
    for _ in 0..bytes.len() {
        let all: u64 = bytes.iter().map(|b| b.0).sum();
        let Some(over) = all.checked_sub(KEY_BYTES_MAX).filter(|over| *over > 0) else { return true };
        let longest = (0..bytes.len()).rev().filter(|n| bytes[*n].1.is_some()).max_by_key(|n| bytes[*n].0);
        let Some((n, (length, unit))) = longest.and_then(|n| Some((n, bytes[n].1?))) else { return false };
        let fits = (bytes[n].0.saturating_sub(over) / unit).clamp(1, length);
        index.def.parts[n].prefix = u32::try_from(fits).ok();
        bytes[n].0 = fits * unit;
    }
    bytes.iter().map(|b| b.0).sum::<u64>() <= KEY_BYTES_MAX
}
