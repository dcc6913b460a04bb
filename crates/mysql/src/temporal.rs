//! Dates and times as text and as the binary protocol's structures.
//!
//! A cell may hold a date as fields or as text in MySQL's canonical form (`2024-02-29 12:30:00.5`,
//! `-838:59:59`); the binary protocol needs the fields, so [`parse_date_time`] and [`parse_time`] read that
//! form. They are not a parser for what people type: that is SQL's business.

/// The fields of DATE, DATETIME and TIMESTAMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moment {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// The fields of TIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub negative: bool,
    pub days: u32,
    pub hours: u8,
    pub minutes: u8,
    pub seconds: u8,
    pub micros: u32,
}

impl Moment {
    pub(crate) fn is_midnight(&self) -> bool {
        (self.hour, self.minute, self.second, self.micros) == (0, 0, 0, 0)
    }

    pub(crate) fn put_date_text(&self, out: &mut Vec<u8>) {
        put_two(out, (self.year / 100) as u8);
        put_two(out, (self.year % 100) as u8);
        out.push(b'-');
        put_two(out, self.month);
        out.push(b'-');
        put_two(out, self.day);
    }

    pub(crate) fn put_text(&self, out: &mut Vec<u8>, digits: u8) {
        self.put_date_text(out);
        out.push(b' ');
        put_clock(out, self.hour, self.minute, self.second, self.micros, digits);
    }

    /// The binary form, with its length in front: 0, 4, 7 or 11 bytes.
    pub(crate) fn put_binary(&self, out: &mut Vec<u8>) {
        let [y0, y1] = self.year.to_le_bytes();
        let date = [y0, y1, self.month, self.day];
        let clock = [self.hour, self.minute, self.second];
        if self.micros != 0 {
            out.push(11);
            out.extend_from_slice(&date);
            out.extend_from_slice(&clock);
            out.extend_from_slice(&self.micros.to_le_bytes());
        } else if clock != [0; 3] {
            out.push(7);
            out.extend_from_slice(&date);
            out.extend_from_slice(&clock);
        } else if date != [0; 4] {
            out.push(4);
            out.extend_from_slice(&date);
        } else {
            out.push(0);
        }
    }
}

impl Span {
    pub(crate) fn put_text(&self, out: &mut Vec<u8>, digits: u8) {
        if self.negative {
            out.push(b'-');
        }
        let hours = u64::from(self.days) * 24 + u64::from(self.hours);
        if hours < 100 {
            put_two(out, hours as u8);
        } else {
            out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
        }
        out.push(b':');
        put_two(out, self.minutes);
        out.push(b':');
        put_two(out, self.seconds);
        put_fraction(out, self.micros, digits);
    }

    /// The binary form, with its length in front: 0, 8 or 12 bytes.
    pub(crate) fn put_binary(&self, out: &mut Vec<u8>) {
        let clock = [self.hours, self.minutes, self.seconds];
        if self.micros == 0 && self.days == 0 && clock == [0; 3] {
            out.push(0);
            return;
        }
        out.push(if self.micros == 0 { 8 } else { 12 });
        out.push(u8::from(self.negative));
        out.extend_from_slice(&self.days.to_le_bytes());
        out.extend_from_slice(&clock);
        if self.micros != 0 {
            out.extend_from_slice(&self.micros.to_le_bytes());
        }
    }
}

/// Cuts microseconds to the digits a column has.
pub(crate) fn cut_micros(micros: u32, digits: u8) -> u32 {
    let unit = 10_u32.pow(u32::from(6 - digits.min(6)));
    micros - micros % unit
}

fn put_two(out: &mut Vec<u8>, value: u8) {
    if value < 100 {
        out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
    } else {
        // Not a calendar's number; shown as it is rather than wrongly.
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }
}

fn put_clock(out: &mut Vec<u8>, hour: u8, minute: u8, second: u8, micros: u32, digits: u8) {
    put_two(out, hour);
    out.push(b':');
    put_two(out, minute);
    out.push(b':');
    put_two(out, second);
    put_fraction(out, micros, digits);
}

fn put_fraction(out: &mut Vec<u8>, micros: u32, digits: u8) {
    let digits = usize::from(digits.min(6));
    if digits == 0 {
        return;
    }
    out.push(b'.');
    let mut text = [b'0'; 6];
    let mut rest = micros;
    for byte in text.iter_mut().rev() {
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[..digits]);
}

/// Reads `YYYY-MM-DD[ hh:mm:ss[.ffffff]]`.
pub(crate) fn parse_date_time(text: &[u8]) -> Option<Moment> {
    let (date, clock) = match text.iter().position(|&b| b == b' ' || b == b'T') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mut fields = date.split(|&b| b == b'-');
    let mut moment = Moment {
        year: number(fields.next()?, 4)? as u16,
        month: number(fields.next()?, 2)? as u8,
        day: number(fields.next()?, 2)? as u8,
        ..Moment::default()
    };
    if fields.next().is_some() {
        return None;
    }
    if let Some(clock) = clock {
        let (hours, minute, second, micros) = parse_clock(clock)?;
        moment.hour = u8::try_from(hours).ok().filter(|&hour| hour < 24)?;
        (moment.minute, moment.second, moment.micros) = (minute, second, micros);
    }
    Some(moment)
}

/// Reads `[-]hhh:mm:ss[.ffffff]`.
pub(crate) fn parse_time(text: &[u8]) -> Option<Span> {
    let (clock, negative) = match text.strip_prefix(b"-") {
        Some(clock) => (clock, true),
        None => (text, false),
    };
    let (hours, minutes, seconds, micros) = parse_clock(clock)?;
    Some(Span { negative, days: hours / 24, hours: (hours % 24) as u8, minutes, seconds, micros })
}

fn parse_clock(text: &[u8]) -> Option<(u32, u8, u8, u32)> {
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    let mut fields = whole.split(|&b| b == b':');
    let hours = number(fields.next()?, 3)?;
    let minutes = number(fields.next()?, 2)?;
    let seconds = number(fields.next()?, 2)?;
    if fields.next().is_some() || minutes > 59 || seconds > 59 || fraction.len() > 6 {
        return None;
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        micros = micros * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some((hours, minutes as u8, seconds as u8, micros))
}

fn number(text: &[u8], digits_max: usize) -> Option<u32> {
    if text.is_empty() || text.len() > digits_max {
        return None;
    }
    text.iter().try_fold(0, |sum, &byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts_round_trip() {
        for (text, digits) in [
            ("2024-02-29 23:59:58", 0),
            ("0000-00-00 00:00:00", 0),
            ("9999-12-31 23:59:59.999999", 6),
            ("2024-02-29 01:02:03.040", 3),
        ] {
            let mut out = Vec::new();
            parse_date_time(text.as_bytes()).unwrap().put_text(&mut out, digits);
            assert_eq!(std::str::from_utf8(&out), Ok(text));
        }
        for (text, digits) in [("00:00:00", 0), ("-838:59:59", 0), ("26:00:01.500000", 6)] {
            let mut out = Vec::new();
            parse_time(text.as_bytes()).unwrap().put_text(&mut out, digits);
            assert_eq!(std::str::from_utf8(&out), Ok(text));
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "x",
            "2024",
            "2024-01",
            "2024-01-01-01",
            "2024-01-01 25:00:00",
            "2024-01-01 1:2",
            "2024-01-01 00:00:00.1234567",
        ] {
            assert_eq!(parse_date_time(text.as_bytes()), None, "{text}");
        }
        for text in ["", "-", "1", "1:2", "1:60:00", "1:2:3:4", "1:2:3.x"] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }
}
