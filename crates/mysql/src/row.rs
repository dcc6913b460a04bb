//! Rows straight into the output buffer: [`RowWriter`], text or binary, without an allocation per cell.
//!
//! Invariants: a row that is not ended, or fails, leaves no byte behind; a cell either keeps its value in the
//! column's type or fails the row ([`EncodeError::Mismatch`]). Fraction digits of times beyond the column's
//! `decimals` are cut.

use crate::constants::{ColumnFlags, ColumnType};
use crate::error::EncodeError;
use crate::frame::{begin_packet, end_packet};
use crate::number::{put_double, put_fixed, put_float};
use crate::temporal::{Moment, Span, cut_micros, parse_date_time, parse_time};
use crate::value::{Cell, ColumnDef};
use crate::wire::{NULL_CELL, put_lenenc_bytes};

/// How the rows of a result are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Everything as text: answers to COM_QUERY.
    Text,
    /// By column type: answers to COM_STMT_EXECUTE.
    Binary,
}

/// What the encoder keeps of a [`ColumnDef`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnCode {
    column_type: ColumnType,
    unsigned: bool,
    decimals: u8,
    /// Digits that integers are padded to in text.
    zerofill: u8,
    /// Bytes of a BIT column's values.
    bit_bytes: u8,
}

impl ColumnCode {
    pub(crate) fn of(column: &ColumnDef<'_>) -> ColumnCode {
        let zerofill = column.flags.contains(ColumnFlags::ZEROFILL);
        ColumnCode {
            column_type: column.column_type,
            unsigned: column.flags.contains(ColumnFlags::UNSIGNED),
            decimals: column.decimals,
            zerofill: if zerofill { column.length.min(255) as u8 } else { 0 },
            bit_bytes: column.length.clamp(1, 64).div_ceil(8) as u8,
        }
    }

    /// Fraction digits for times in text: the column's, or as many as the value needs.
    fn time_digits(&self, micros: u32) -> u8 {
        match self.decimals {
            digits @ 0..=6 if self.is_temporal() => digits,
            _ if micros != 0 => 6,
            _ => 0,
        }
    }

    fn cut(&self, micros: u32) -> u32 {
        cut_micros(micros, self.time_digits(micros))
    }

    fn is_temporal(&self) -> bool {
        use ColumnType::*;
        matches!(
            self.column_type,
            Date | NewDate | DateTime | DateTime2 | Timestamp | Timestamp2 | Time | Time2
        )
    }

    fn is_real(&self) -> bool {
        matches!(self.column_type, ColumnType::Float | ColumnType::Double)
    }

    fn is_decimal(&self) -> bool {
        matches!(self.column_type, ColumnType::Decimal | ColumnType::NewDecimal)
    }

    fn is_date(&self) -> bool {
        matches!(self.column_type, ColumnType::Date | ColumnType::NewDate)
    }
}

/// The cell does not fit; the caller knows where it stands.
struct Misfit;

impl Misfit {
    fn of(self, index: usize, column: &ColumnCode, cell: Cell<'_>) -> EncodeError {
        EncodeError::Mismatch {
            column: index,
            cell: cell.kind(),
            column_type: format!("{:?}", column.column_type),
        }
    }
}

/// The default value behind a column's definition in the answer to COM_FIELD_LIST, as text; NULL on an error.
pub(crate) fn put_default(
    out: &mut Vec<u8>,
    column: &ColumnDef<'_>,
    cell: Cell<'_>,
) -> Result<(), EncodeError> {
    let code = ColumnCode::of(column);
    let start = out.len();
    put_text_cell(out, &code, cell).map_err(|misfit| {
        out.truncate(start);
        out.push(NULL_CELL);
        misfit.of(0, &code, cell)
    })
}

/// Writes the rows of the result at hand. Made by [`crate::Connection::rows`]; drop it and make another at
/// will, for example to send what is buffered in between.
pub struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    sequence: &'a mut u8,
    columns: &'a [ColumnCode],
    format: RowFormat,
    /// Where the row at hand begins, if one has begun.
    start: Option<usize>,
    cells: usize,
    error: Option<EncodeError>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        sequence: &'a mut u8,
        columns: &'a [ColumnCode],
        format: RowFormat,
    ) -> RowWriter<'a> {
        RowWriter { out, sequence, columns, format, start: None, cells: 0, error: None }
    }

    /// Bytes waiting in the output buffer, earlier answers included: send them when there are many.
    pub fn buffered_bytes(&self) -> usize {
        self.out.len()
    }

    /// Appends the next cell of the row; the first cell begins it. Failures are reported by [`Self::end`].
    pub fn cell(&mut self, cell: Cell<'_>) {
        if self.start.is_none() {
            self.begin();
        }
        let index = self.cells;
        self.cells += 1;
        let Some(column) = self.columns.get(index) else {
            return;
        };
        let written = match self.format {
            RowFormat::Text => put_text_cell(self.out, column, cell),
            RowFormat::Binary => {
                if matches!(cell, Cell::Null) {
                    let start = self.start.unwrap_or_default();
                    // Bits of the NULL bitmap begin at 2; it stands behind header and 0x00.
                    self.out[start + 5 + (index + 2) / 8] |= 1 << ((index + 2) % 8);
                    Ok(())
                } else {
                    put_binary_cell(self.out, column, cell)
                }
            }
        };
        if let Err(misfit) = written
            && self.error.is_none()
        {
            self.error = Some(misfit.of(index, column, cell));
        }
    }

    /// Ends the row. On an error nothing of the row remains.
    pub fn end(&mut self) -> Result<(), EncodeError> {
        if self.start.is_none() {
            self.begin();
        }
        let cells = std::mem::take(&mut self.cells);
        let columns = self.columns.len();
        let error = self.error.take();
        let start = self.start.take().unwrap_or_default();
        let failed = error.or((cells != columns).then_some(EncodeError::CellCount { cells, columns }));
        if let Some(error) = failed {
            self.out.truncate(start);
            return Err(error);
        }
        end_packet(self.out, start, self.sequence);
        Ok(())
    }

    /// Writes one row.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = Cell<'c>>) -> Result<(), EncodeError> {
        for cell in cells {
            self.cell(cell);
        }
        self.end()
    }

    fn begin(&mut self) {
        let start = begin_packet(self.out);
        if self.format == RowFormat::Binary {
            let bitmap_bytes = (self.columns.len() + 2).div_ceil(8);
            self.out.resize(self.out.len() + 1 + bitmap_bytes, 0);
        }
        self.start = Some(start);
        self.cells = 0;
        self.error = None;
    }
}

impl Drop for RowWriter<'_> {
    fn drop(&mut self) {
        if let Some(start) = self.start {
            self.out.truncate(start);
        }
    }
}

/// Appends what `put` writes with its length (below 251) in front.
fn put_short(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    put(out);
    let length = out.len() - at - 1;
    if length <= 250 {
        out[at] = length as u8;
    } else {
        // Only numbers with hundreds of fixed digits come here.
        let text = out.split_off(at + 1);
        out.truncate(at);
        put_lenenc_bytes(out, &text);
    }
}

fn put_text_cell(out: &mut Vec<u8>, column: &ColumnCode, cell: Cell<'_>) -> Result<(), Misfit> {
    match cell {
        Cell::Null => out.push(NULL_CELL),
        Cell::Bytes(bytes) => put_lenenc_bytes(out, bytes),
        Cell::Int(_) | Cell::UInt(_) if column.is_real() => {
            let value = real(cell).ok_or(Misfit)?;
            put_short(out, |out| put_real_text(out, column, value, false));
        }
        Cell::Int(_) | Cell::UInt(_) if column.column_type == ColumnType::Bit => {
            return put_bits(out, column, cell);
        }
        Cell::Int(value) => put_digits(out, column, itoa::Buffer::new().format(value)),
        Cell::UInt(value) => put_digits(out, column, itoa::Buffer::new().format(value)),
        // A DECIMAL is exact; what went through a float is not.
        Cell::Float(_) | Cell::Double(_) if column.is_decimal() => return Err(Misfit),
        Cell::Float(value) if value.is_finite() => {
            put_short(out, |out| put_real_text(out, column, f64::from(value), true));
        }
        Cell::Double(value) if value.is_finite() => {
            put_short(out, |out| put_real_text(out, column, value, false));
        }
        Cell::Float(_) | Cell::Double(_) => return Err(Misfit),
        Cell::Date { .. } | Cell::DateTime { .. } => {
            let moment = moment(cell).ok_or(Misfit)?;
            if column.is_date() && !moment.is_midnight() {
                return Err(Misfit);
            }
            let only_date = column.is_date() || (!column.is_temporal() && matches!(cell, Cell::Date { .. }));
            put_short(out, |out| {
                if only_date {
                    moment.put_date_text(out);
                } else {
                    moment.put_text(out, column.time_digits(moment.micros));
                }
            });
        }
        Cell::Time { .. } => {
            let span = span(cell).ok_or(Misfit)?;
            put_short(out, |out| span.put_text(out, column.time_digits(span.micros)));
        }
    }
    Ok(())
}

fn put_digits(out: &mut Vec<u8>, column: &ColumnCode, digits: &str) {
    let zeros = usize::from(column.zerofill.min(200)).saturating_sub(digits.len());
    // An integer in a DECIMAL column gets the column's fraction digits.
    let fraction = match column.decimals {
        decimals @ 1..=30 if column.is_decimal() => usize::from(decimals) + 1,
        _ => 0,
    };
    out.push((zeros + digits.len() + fraction) as u8);
    out.resize(out.len() + zeros, b'0');
    out.extend_from_slice(digits.as_bytes());
    if fraction > 0 {
        out.push(b'.');
        out.resize(out.len() + fraction - 1, b'0');
    }
}

/// An integer in a BIT column: as many big-endian bytes as the column has.
fn put_bits(out: &mut Vec<u8>, column: &ColumnCode, cell: Cell<'_>) -> Result<(), Misfit> {
    let value = match cell {
        Cell::UInt(value) => value,
        Cell::Int(value) => u64::try_from(value).map_err(|_| Misfit)?,
        _ => return Err(Misfit),
    };
    let bytes = value.to_be_bytes();
    let (unused, used) = bytes.split_at(8 - usize::from(column.bit_bytes));
    if unused.iter().any(|&byte| byte != 0) {
        return Err(Misfit);
    }
    put_lenenc_bytes(out, used);
    Ok(())
}

fn put_real_text(out: &mut Vec<u8>, column: &ColumnCode, value: f64, is_float: bool) {
    match column.column_type {
        ColumnType::Float | ColumnType::Double if column.decimals <= 30 => {
            put_fixed(out, value, column.decimals);
        }
        ColumnType::Float => put_float(out, value as f32),
        ColumnType::Double => put_double(out, value),
        _ if is_float => put_float(out, value as f32),
        _ => put_double(out, value),
    }
}

fn put_binary_cell(out: &mut Vec<u8>, column: &ColumnCode, cell: Cell<'_>) -> Result<(), Misfit> {
    use ColumnType::*;
    match column.column_type {
        Tiny => put_integer(out, column, cell, 1),
        Short | Year => put_integer(out, column, cell, 2),
        Long | Int24 => put_integer(out, column, cell, 4),
        LongLong => put_integer(out, column, cell, 8),
        Float => {
            let value = real(cell).ok_or(Misfit)? as f32;
            if !value.is_finite() {
                return Err(Misfit);
            }
            out.extend_from_slice(&value.to_le_bytes());
            Ok(())
        }
        Double => {
            out.extend_from_slice(&real(cell).ok_or(Misfit)?.to_le_bytes());
            Ok(())
        }
        Date | NewDate | DateTime | DateTime2 | Timestamp | Timestamp2 => {
            let mut moment = moment(cell).ok_or(Misfit)?;
            if column.is_date() && !moment.is_midnight() {
                return Err(Misfit);
            }
            moment.micros = column.cut(moment.micros);
            moment.put_binary(out);
            Ok(())
        }
        Time | Time2 => {
            let mut span = span(cell).ok_or(Misfit)?;
            span.micros = column.cut(span.micros);
            span.put_binary(out);
            Ok(())
        }
        Null => Err(Misfit),
        Decimal | NewDecimal | VarChar | VarString | String | Bit | Json | Enum | Set | TinyBlob
        | MediumBlob | LongBlob | Blob | Geometry => put_text_cell(out, column, cell),
    }
}

fn put_integer(out: &mut Vec<u8>, column: &ColumnCode, cell: Cell<'_>, bytes: u32) -> Result<(), Misfit> {
    let value = match cell {
        Cell::Int(value) => i128::from(value),
        Cell::UInt(value) => i128::from(value),
        Cell::Bytes(text) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Misfit)?
        }
        _ => return Err(Misfit),
    };
    let bits = bytes * 8;
    let range =
        if column.unsigned { 0..1_i128 << bits } else { -(1_i128 << (bits - 1))..1_i128 << (bits - 1) };
    if !range.contains(&value) {
        return Err(Misfit);
    }
    out.extend_from_slice(&value.to_le_bytes()[..bytes as usize]);
    Ok(())
}

fn real(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Float(value) => Some(f64::from(value)),
        Cell::Double(value) => Some(value),
        Cell::Int(value) => Some(value as f64),
        Cell::UInt(value) => Some(value as f64),
        Cell::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
    .filter(|value| value.is_finite())
}

fn moment(cell: Cell<'_>) -> Option<Moment> {
    match cell {
        Cell::Date { year, month, day } => Some(Moment { year, month, day, ..Moment::default() }),
        Cell::DateTime { year, month, day, hour, minute, second, micros } => {
            Some(Moment { year, month, day, hour, minute, second, micros })
        }
        Cell::Bytes(text) => parse_date_time(text),
        _ => None,
    }
}

fn span(cell: Cell<'_>) -> Option<Span> {
    match cell {
        Cell::Time { negative, days, hours, minutes, seconds, micros } => {
            Some(Span { negative, days, hours, minutes, seconds, micros })
        }
        Cell::Bytes(text) => parse_time(text),
        _ => None,
    }
}
