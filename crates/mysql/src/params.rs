//! Parameters as they arrive: the block of NULL bitmap, types, names and values in COM_STMT_EXECUTE and
//! COM_QUERY.
//!
//! Lenient where MySQL is: a DATE may have the length of a DATETIME, dates and times may leave out their last
//! fields, and types that only servers use (YEAR, BIT, ENUM, INT24, JSON, NEWDATE …) are read.

use std::collections::BTreeMap;

use crate::constants::ColumnType;
use crate::error::ProtocolError;
use crate::value::{Attribute, Param};
use crate::wire::Reader;

/// Parameters and attributes of one statement, together.
pub const PARAMS_MAX: usize = 65_535;

/// The type that a client gave a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParamType {
    pub column_type: ColumnType,
    pub unsigned: bool,
}

/// A block of parameters: which are NULL, and their types. Values follow in the reader.
struct Block<'a> {
    nulls: &'a [u8],
    named: Vec<(ParamType, &'a [u8])>,
}

fn parse_block<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    remembered: &[ParamType],
    with_names: bool,
) -> Result<Block<'a>, ProtocolError> {
    let nulls = reader.take(count.div_ceil(8))?;
    let new_types = reader.u8()? != 0;
    let mut named = Vec::new();
    if new_types {
        for _ in 0..count {
            let column_type = ColumnType::from_wire(reader.u8()?).ok_or(ProtocolError::Malformed)?;
            let unsigned = reader.u8()? & 0x80 != 0;
            let name = if with_names { reader.lenenc_bytes()? } else { &[] };
            named.push((ParamType { column_type, unsigned }, name));
        }
    } else if remembered.len() >= count {
        named.extend(remembered[..count].iter().map(|&param| (param, &[][..])));
    } else {
        return Err(ProtocolError::Malformed);
    }
    Ok(Block { nulls, named })
}

impl Block<'_> {
    fn is_null(&self, index: usize) -> bool {
        self.nulls[index / 8] & (1 << (index % 8)) != 0
    }
}

/// Reads the attributes in front of the text of a COM_QUERY.
pub(crate) fn parse_query_attributes(reader: &mut Reader<'_>) -> Result<Vec<Attribute>, ProtocolError> {
    let count = count(reader.lenenc()?)?;
    let sets = reader.lenenc()?;
    if sets != 1 {
        return Err(ProtocolError::Malformed);
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let block = parse_block(reader, count, &[], true)?;
    let mut attributes = Vec::new();
    for index in 0..count {
        attributes.push(parse_attribute(reader, &block, index)?);
    }
    Ok(attributes)
}

/// What an execute brings.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub params: Vec<Param>,
    pub attributes: Vec<Attribute>,
}

/// Reads the parameters of an execute. `types` are those of the execute before and become those of this one;
/// `long_data` was sent ahead and takes the place of values; `total` counts parameters and attributes.
pub(crate) fn parse_execute_params(
    reader: &mut Reader<'_>,
    param_count: usize,
    total: Option<u64>,
    types: &mut Vec<ParamType>,
    long_data: &mut BTreeMap<u16, Vec<u8>>,
) -> Result<Bound, ProtocolError> {
    let with_names = total.is_some();
    let total = count(total.unwrap_or(param_count as u64))?;
    if total < param_count {
        return Err(ProtocolError::Malformed);
    }
    let mut bound = Bound::default();
    if total == 0 {
        return Ok(bound);
    }
    let block = parse_block(reader, total, types, with_names)?;
    types.clear();
    types.extend(block.named[..param_count].iter().map(|&(param, _)| param));
    bound.params.reserve_exact(param_count);
    for (index, &param_type) in types.iter().enumerate() {
        let param = match long_data.remove(&(index as u16)) {
            Some(bytes) => string_param(param_type.column_type, bytes),
            None if block.is_null(index) => Param::Null,
            None => parse_value(reader, param_type)?,
        };
        let name = block.named[index].1;
        if !name.is_empty() {
            bound
                .attributes
                .push(Attribute { name: String::from_utf8_lossy(name).into_owned(), value: param.clone() });
        }
        bound.params.push(param);
    }
    for index in param_count..total {
        bound.attributes.push(parse_attribute(reader, &block, index)?);
    }
    Ok(bound)
}

fn parse_attribute(
    reader: &mut Reader<'_>,
    block: &Block<'_>,
    index: usize,
) -> Result<Attribute, ProtocolError> {
    let (param_type, name) = block.named[index];
    let value = if block.is_null(index) { Param::Null } else { parse_value(reader, param_type)? };
    Ok(Attribute { name: String::from_utf8_lossy(name).into_owned(), value })
}

fn count(count: u64) -> Result<usize, ProtocolError> {
    usize::try_from(count).ok().filter(|&count| count <= PARAMS_MAX).ok_or(ProtocolError::Malformed)
}

/// Bytes as the parameter their type makes them.
fn string_param(column_type: ColumnType, bytes: Vec<u8>) -> Param {
    use ColumnType::*;
    match column_type {
        Decimal | NewDecimal => Param::Decimal(bytes),
        VarChar | VarString | String | Enum | Set | Json => Param::Text(bytes),
        _ => Param::Bytes(bytes),
    }
}

pub(crate) fn parse_value(reader: &mut Reader<'_>, param: ParamType) -> Result<Param, ProtocolError> {
    use ColumnType::*;
    Ok(match (param.column_type, param.unsigned) {
        (Tiny, true) => Param::UInt(u64::from(reader.u8()?)),
        (Tiny, false) => Param::Int(i64::from(reader.u8()? as i8)),
        (Year, _) | (Short, true) => Param::UInt(u64::from(reader.u16()?)),
        (Short, false) => Param::Int(i64::from(reader.u16()? as i16)),
        (Long | Int24, true) => Param::UInt(u64::from(reader.u32()?)),
        (Long | Int24, false) => Param::Int(i64::from(reader.u32()? as i32)),
        (LongLong, true) => Param::UInt(reader.u64()?),
        (LongLong, false) => Param::Int(reader.u64()? as i64),
        (Float, _) => Param::Float(f32::from_bits(reader.u32()?)),
        (Double, _) => Param::Double(f64::from_bits(reader.u64()?)),
        (Null, _) => Param::Null,
        (Date | NewDate, _) => {
            let moment = parse_moment(reader)?;
            Param::Date { year: moment.0, month: moment.1, day: moment.2 }
        }
        (DateTime | DateTime2 | Timestamp | Timestamp2, _) => {
            let (year, month, day, [hour, minute, second], micros) = parse_moment(reader)?;
            Param::DateTime { year, month, day, hour, minute, second, micros }
        }
        (Time | Time2, _) => parse_span(reader)?,
        (
            Decimal | NewDecimal | VarChar | VarString | String | Enum | Set | Json | Bit | TinyBlob
            | MediumBlob | LongBlob | Blob | Geometry,
            _,
        ) => string_param(param.column_type, reader.lenenc_bytes()?.to_vec()),
    })
}

type MomentFields = (u16, u8, u8, [u8; 3], u32);

/// A date with its length in front: nothing, then date, hour, minute, second, microseconds, each optional.
fn parse_moment(reader: &mut Reader<'_>) -> Result<MomentFields, ProtocolError> {
    let length = reader.u8()?;
    let mut fields = Reader::new(reader.take(usize::from(length))?);
    if !matches!(length, 0 | 4..=7 | 11) {
        return Err(ProtocolError::Malformed);
    }
    if length == 0 {
        return Ok(MomentFields::default());
    }
    let (year, month, day) = (fields.u16()?, fields.u8()?, fields.u8()?);
    let clock = parse_clock(&mut fields)?;
    let micros = if fields.is_empty() { 0 } else { fields.u32()? };
    Ok((year, month, day, clock, micros))
}

/// A time with its length in front: nothing, then sign and days, hours, minutes, seconds, microseconds.
fn parse_span(reader: &mut Reader<'_>) -> Result<Param, ProtocolError> {
    let length = reader.u8()?;
    let mut fields = Reader::new(reader.take(usize::from(length))?);
    if !matches!(length, 0 | 5..=8 | 12) {
        return Err(ProtocolError::Malformed);
    }
    let (negative, days) = if length == 0 { (false, 0) } else { (fields.u8()? != 0, fields.u32()?) };
    let [hours, minutes, seconds] = parse_clock(&mut fields)?;
    let micros = if fields.is_empty() { 0 } else { fields.u32()? };
    Ok(Param::Time { negative, days, hours, minutes, seconds, micros })
}

/// Up to three bytes of a clock; what is left out is zero.
fn parse_clock(fields: &mut Reader<'_>) -> Result<[u8; 3], ProtocolError> {
    let mut clock = [0; 3];
    for field in &mut clock {
        if fields.is_empty() {
            break;
        }
        *field = fields.u8()?;
    }
    Ok(clock)
}
