//! What MySQL calls latin1: Windows-1252. Every other text is UTF-8.

/// Windows-1252 from 0x80 on; the five codes that it leaves open are the C1 controls, as in MySQL.
const CP1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The character of a byte.
pub fn latin1_char(byte: u8) -> char {
    match byte {
        0x80..=0x9f => CP1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// A text's bytes; what the character set lacks becomes `?`, as in MySQL.
pub fn latin1_bytes(text: &str) -> Vec<u8> {
    let byte = |c: char| match u32::from(c) {
        n @ (0..=0x7f | 0xa0..=0xff) => n as u8,
        _ => CP1252.iter().position(|x| *x == c).map_or(b'?', |i| 0x80 + i as u8),
    };
    text.chars().map(byte).collect()
}
