//! What happens while a statement runs: slots become values, functions find their session, errors find their way out.
//!
//! SQLite calls our functions back in the thread that runs the statement. What they need of the session, and the
//! warnings they raise, live in a thread-local [`Context`] that the engine enters before a statement and leaves after
//! it. A function that fails leaves its [`SqlError`] there, since SQLite's own error channel carries only text.
//!
//! Not here: SQLite itself. The engine owns the connection and calls [`bind_slot`] for each parameter.

pub mod assign;
pub mod coerce;
pub mod context;
pub mod convert;
pub mod fit;
pub mod json_cast;
pub mod looks;
pub mod sealed;

use std::cell::Cell;

use p2pdb_model::Value;
use p2pdb_model::temporal::{self, DateTime};
use sha2::{Digest, Sha256};

pub use assign::assign;
pub use context::{Context, enter, leave, take_error};
pub use sealed::Sealer;

use crate::charset;
use crate::error::SqlError;
use crate::field::FieldType;
use crate::front::{Literal, LiteralKind};
use crate::plan::{Coerce, NowKind, RandomKind, SessionInfo, Slot, Source};
use crate::session::SessionState;
use crate::types::Class;

/// Gives the rows of a virtual table (name, constraints) as JSON text, an array of arrays.
pub type VirtualRows<'a> = dyn Fn(&str, &[Option<String>]) -> Result<String, SqlError> + 'a;

/// What the values of a statement's slots are made of.
pub struct Args<'a> {
    /// The literals that were lifted out of the text.
    pub literals: &'a [Literal],
    /// The parameters of EXECUTE.
    pub params: &'a [Literal],
    /// The session.
    pub session: &'a SessionState,
    /// The statement's clock: microseconds since the Unix epoch, UTC.
    pub now_us: i64,
    /// Randomness for RAND() and UUID(), fresh for each execution.
    pub random: [u8; 16],
    /// How often it was drawn from: every call of UUID() is another.
    pub drawn: Cell<u64>,
    /// Virtual tables.
    pub virtuals: &'a VirtualRows<'a>,
}

/// The value of one SQLite parameter.
///
/// # Errors
/// Those of the conversion (a strict assignment, a date in a comparison) and of unknown system variables.
pub fn bind_slot(slot: &Slot, args: &Args<'_>) -> Result<Value, SqlError> {
    match (&slot.source, &slot.coerce) {
        (Source::Literal(i), Coerce::None) => Ok(literal(args.literals, *i)?.value.clone()),
        (Source::Param(i), Coerce::None) => Ok(literal(args.params, *i)?.value.clone()),
        (source, how) => {
            let (value, from) = source_value(source, args)?;
            match (source, value) {
                (Source::Literal(_) | Source::Param(_) | Source::Const(_), Value::Text(text))
                    if args.session.charset_connection == "latin1" && coerce::makes_bytes(how) =>
                {
                    let bytes = charset::latin1_bytes(&text);
                    coerce::apply(how, Value::Blob(bytes), &FieldType::bytes(from.text_length()))
                }
                (_, value) => coerce::apply(how, value, &from),
            }
        }
    }
}

/// The value of a slot with its type: for SET.
///
/// # Errors
/// Those of [`bind_slot`].
pub fn bind_typed(slot: &Slot, args: &Args<'_>) -> Result<(Value, FieldType), SqlError> {
    let (value, from) = source_value(&slot.source, args)?;
    let to = match &slot.coerce {
        Coerce::Expression(to) | Coerce::Compare(to) | Coerce::Beside(to) => to.clone(),
        Coerce::RowCount { .. } => FieldType::int(),
        Coerce::None | Coerce::Column(_) | Coerce::Through(..) => from.clone(),
    };
    Ok((coerce::apply(&slot.coerce, value, &from)?, to))
}

fn literal(all: &[Literal], i: usize) -> Result<&Literal, SqlError> {
    all.get(i).ok_or_else(|| SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE"))
}

/// The value of a source with its type.
fn source_value(source: &Source, args: &Args<'_>) -> Result<(Value, FieldType), SqlError> {
    let session = args.session;
    let text = |s: String| (Value::Text(s), FieldType::text(255, session.collation));
    Ok(match source {
        Source::Const(v) => (v.clone(), type_of_value(v, session)),
        Source::Literal(i) => {
            let l = literal(args.literals, *i)?;
            (l.value.clone(), l.kind.field_type(session.collation))
        }
        Source::Param(i) => {
            let l = literal(args.params, *i)?;
            let ty = l.kind.field_type(session.collation);
            // Without microseconds it shows none.
            let whole = match l.value {
                Value::Int(packed) if ty.class() == Class::DateTime => DateTime::unpack(packed).micros == 0,
                Value::Int(micros) if ty.class() == Class::Time => micros % 1_000_000 == 0,
                _ => false,
            };
            (l.value.clone(), if whole { FieldType { decimals: 0, ..ty } } else { ty })
        }
        Source::Now(kind) => now(*kind, args),
        Source::UserVariable(name) => match session.user_variables.get(name) {
            Some(v) => (v.value.clone(), v.ty.clone()),
            None => (Value::Null, FieldType::null()),
        },
        Source::Local(n) => {
            let locals = session.locals.as_deref();
            let found = locals.and_then(|l| Some((l.values.get(*n)?.clone(), l.types.get(*n)?.clone())));
            found.ok_or_else(|| SqlError::new(1105, "HY000", "no such local variable"))?
        }
        Source::SystemVariable { name, global } => {
            let v = session.system_variable(name, *global)?;
            let ty = type_of_value(&v, session);
            (v, ty)
        }
        Source::LastInsertId => (Value::from_u64(session.last_insert_id), FieldType::uint()),
        Source::RowCount => (Value::Int(session.row_count), FieldType::int()),
        Source::FoundRows => (Value::from_u64(session.found_rows), FieldType::uint()),
        Source::ConnectionId => (Value::from_u64(session.connection_id), FieldType::uint()),
        Source::SessionInfo(SessionInfo::User) => text(session.user_at_host()),
        Source::SessionInfo(SessionInfo::CurrentUser) => text(session.account.clone()),
        Source::SessionInfo(SessionInfo::Database) => match &session.database {
            Some(d) => text(d.clone()),
            None => (Value::Null, FieldType::null()),
        },
        Source::SessionInfo(SessionInfo::CurrentRole) => text(match session.roles.is_empty() {
            true => "NONE".to_owned(),
            false => session.roles.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(","),
        }),
        Source::Call(n) => session.calls.get(*n).cloned().unwrap_or((Value::Null, FieldType::null())),
        Source::Random(kind) => random(*kind, args),
        Source::Virtual(name, constraints) => text((args.virtuals)(name, constraints)?),
    })
}

fn type_of_value(v: &Value, session: &SessionState) -> FieldType {
    match v {
        Value::Null => FieldType::null(),
        Value::Int(_) => FieldType::int(),
        Value::Real(_) => FieldType::double(),
        Value::Text(t) => LiteralKind::text(t).field_type(session.collation),
        Value::Blob(_) => FieldType::bytes(255),
    }
}

fn now(kind: NowKind, args: &Args<'_>) -> (Value, FieldType) {
    let utc_us = args.session.timestamp_us.unwrap_or(args.now_us);
    let local_us = args.session.time_zone.zone.local_us(utc_us);
    let datetime = |us: i64, fsp| {
        (Value::Int(temporal::DateTime::from_unix_us(us).truncated(fsp).pack()), FieldType::datetime(fsp))
    };
    let date = |us: i64| (Value::Int(temporal::DateTime::from_unix_us(us).date().pack()), FieldType::date());
    let time = |us: i64, fsp: u8| {
        let unit = 10i64.pow(6 - u32::from(fsp.min(6)));
        (Value::Int(us.rem_euclid(86_400_000_000) / unit * unit), FieldType::time(fsp))
    };
    match kind {
        NowKind::DateTime(fsp) => datetime(local_us, fsp),
        NowKind::Date => date(local_us),
        NowKind::Time(fsp) => time(local_us, fsp),
        NowKind::Utc(fsp) => datetime(utc_us, fsp),
        NowKind::UtcDate => date(utc_us),
        NowKind::UtcTime(fsp) => time(utc_us, fsp),
        NowKind::Unix => (Value::Int(utc_us.div_euclid(1_000_000)), FieldType::int()),
    }
}

/// The n-th 16 bytes that follow from a random seed; the first are the seed itself.
pub fn nth_random(seed: [u8; 16], n: u64) -> [u8; 16] {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn mixed(x: u64) -> u64 {
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    if n == 0 {
        return seed;
    }
    let all = u128::from_be_bytes(seed);
    let step = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (high, low) = ((all >> 64) as u64, all as u64);
    let (high, low) = (mixed(high.wrapping_add(step)), mixed(low.wrapping_add(step)));
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// What clients see of a statement's randomness: nobody gets from one value to the others.
fn hidden_random(seed: [u8; 16], n: u64) -> [u8; 16] {
    let hash = Sha256::new().chain_update(seed).chain_update(n.to_be_bytes()).finalize();
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out
}

fn random(kind: RandomKind, args: &Args<'_>) -> (Value, FieldType) {
    let n = args.drawn.get();
    args.drawn.set(n + 1);
    let mut b = hidden_random(args.random, n);
    match kind {
        RandomKind::Uuid => {
            // RFC 9562, version 4.
            b[6] = b[6] & 0x0f | 0x40;
            b[8] = b[8] & 0x3f | 0x80;
            let h = p2pdb_model::ids::hex(&b);
            let text = format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]);
            (Value::Text(text), FieldType::text(36, args.session.collation))
        }
        RandomKind::Bytes => (Value::Blob(b.to_vec()), FieldType::bytes(16)),
        RandomKind::UuidShort | RandomKind::Seed => {
            let mut n = [0; 8];
            n.copy_from_slice(&b[..8]);
            (Value::Int((u64::from_be_bytes(n) >> 1) as i64), FieldType::uint())
        }
    }
}
