//! Packets of the client's side: what it sends, and the parts of answers that need no state.

use super::Column;
use crate::constants::{Capabilities, ColumnFlags, ColumnType, charset};
use crate::error::{ProtocolError, ServerError};
use crate::params::ParamType;
use crate::temporal::{Moment, Span};
use crate::value::Param;
use crate::wire::{Reader, put_lenenc_bytes, text};

pub(super) fn put_login_head(out: &mut Vec<u8>, capabilities: Capabilities) {
    out.extend_from_slice(&capabilities.bits().to_le_bytes());
    out.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    out.push(charset::UTF8MB4_0900_AI_CI as u8);
    out.extend_from_slice(&[0; 23]);
}

pub(super) fn param_type(column: &Column) -> ParamType {
    ParamType { column_type: column.column_type, unsigned: column.flags.contains(ColumnFlags::UNSIGNED) }
}

pub(super) fn parse_column(reader: &mut Reader<'_>) -> Result<Column, ProtocolError> {
    reader.lenenc_bytes()?;
    let mut name = || text(reader.lenenc_bytes()?);
    let (schema, table, org_table) = (name()?, name()?, name()?);
    let (name, org_name) = (name()?, name()?);
    reader.u8()?;
    Ok(Column {
        schema,
        table,
        org_table,
        name,
        org_name,
        charset: reader.u16()?,
        length: reader.u32()?,
        column_type: ColumnType::from_wire(reader.u8()?).ok_or(ProtocolError::Malformed)?,
        flags: ColumnFlags::from_bits_retain(reader.u16()?),
        decimals: reader.u8()?,
    })
}

pub(super) fn parse_error(packet: &[u8]) -> Result<ServerError, ProtocolError> {
    let mut reader = Reader::new(packet);
    reader.u8()?;
    let code = reader.u16()?;
    let mut sqlstate = "HY000".to_owned();
    if reader.peek() == Some(b'#') {
        reader.u8()?;
        sqlstate = String::from_utf8_lossy(reader.take(5)?).into_owned();
    }
    let message = String::from_utf8_lossy(reader.rest()).into_owned();
    Ok(ServerError { code, sqlstate, message })
}

pub(super) fn execute_payload(statement_id: u32, params: &[Param]) -> Vec<u8> {
    let mut out = statement_id.to_le_bytes().to_vec();
    out.push(0); // no cursor
    out.extend_from_slice(&1_u32.to_le_bytes());
    if params.is_empty() {
        return out;
    }
    let bitmap = out.len();
    out.resize(bitmap + params.len().div_ceil(8), 0);
    out.push(1); // types follow
    let mut values = Vec::new();
    for (index, param) in params.iter().enumerate() {
        let (column_type, unsigned) = put_param(&mut values, param);
        if column_type == ColumnType::Null {
            out[bitmap + index / 8] |= 1 << (index % 8);
        }
        out.extend_from_slice(&[column_type as u8, if unsigned { 0x80 } else { 0 }]);
    }
    out.append(&mut values);
    out
}

fn put_param(out: &mut Vec<u8>, param: &Param) -> (ColumnType, bool) {
    match param {
        Param::Null => (ColumnType::Null, false),
        Param::Int(value) => {
            out.extend_from_slice(&value.to_le_bytes());
            (ColumnType::LongLong, false)
        }
        Param::UInt(value) => {
            out.extend_from_slice(&value.to_le_bytes());
            (ColumnType::LongLong, true)
        }
        Param::Float(value) => {
            out.extend_from_slice(&value.to_le_bytes());
            (ColumnType::Float, false)
        }
        Param::Double(value) => {
            out.extend_from_slice(&value.to_le_bytes());
            (ColumnType::Double, false)
        }
        Param::Decimal(text) => {
            put_lenenc_bytes(out, text);
            (ColumnType::NewDecimal, false)
        }
        Param::Text(text) => {
            put_lenenc_bytes(out, text);
            (ColumnType::VarString, false)
        }
        Param::Bytes(bytes) => {
            put_lenenc_bytes(out, bytes);
            (ColumnType::Blob, false)
        }
        &Param::Date { year, month, day } => {
            Moment { year, month, day, ..Moment::default() }.put_binary(out);
            (ColumnType::Date, false)
        }
        &Param::DateTime { year, month, day, hour, minute, second, micros } => {
            Moment { year, month, day, hour, minute, second, micros }.put_binary(out);
            (ColumnType::DateTime, false)
        }
        &Param::Time { negative, days, hours, minutes, seconds, micros } => {
            Span { negative, days, hours, minutes, seconds, micros }.put_binary(out);
            (ColumnType::Time, false)
        }
    }
}
