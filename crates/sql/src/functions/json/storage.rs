//! JSON_STORAGE_SIZE: the bytes that MySQL's binary form of a document would take (its source, `json_binary.h`, describes
//! the form). Nothing is stored so here.

use serde_json::Value as Json;

/// Above this a container has offsets of four bytes instead of two.
const SMALL_BYTES_MAX: usize = 65_535;

/// The whole document: one byte says what it is.
pub(super) fn bytes(j: &Json) -> usize {
    1 + value(j)
}

fn value(j: &Json) -> usize {
    match j {
        Json::Null | Json::Bool(_) => 1,
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) if i16::try_from(n).is_ok() => 2,
            (Some(n), _) if i32::try_from(n).is_ok() => 4,
            _ => 8,
        },
        Json::String(s) => text(s.len()),
        Json::Array(items) => container(items.iter(), std::iter::empty(), items.len()),
        Json::Object(members) => container(members.values(), members.keys(), members.len()),
    }
}

/// Seven bits of the length a byte, then the text.
fn text(length: usize) -> usize {
    let mut head = 1;
    let mut rest = length >> 7;
    while rest > 0 {
        head += 1;
        rest >>= 7;
    }
    head + length
}

fn container<'j>(
    values: impl Iterator<Item = &'j Json> + Clone,
    keys: impl Iterator<Item = &'j String> + Clone,
    count: usize,
) -> usize {
    let of = |width: usize| {
        let keys: usize = keys.clone().map(|k| width + 2 + k.len()).sum();
        let outside = |j: &'j Json| match value(j) {
            // What fits stands in the place of its offset.
            n if n <= width && !matches!(j, Json::String(_) | Json::Array(_) | Json::Object(_)) => 0,
            n => n,
        };
        2 * width + count * (1 + width) + keys + values.clone().map(outside).sum::<usize>()
    };
    let small = of(2);
    if small <= SMALL_BYTES_MAX { small } else { of(4) }
}
