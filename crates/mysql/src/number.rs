//! Numbers as text, the way MySQL prints them.
//!
//! DOUBLE: the shortest digits that read back as the same number, without exponent for decimal points from
//! 14 zeros behind the point to 15 digits before it (`0.00000000015`, `100000000000000`), else with one
//! (`1e15`, `1.5e-16`). FLOAT: the same of at most 6 significant digits. Columns with fixed decimals
//! (`DOUBLE(10,2)`) print exactly these. This is the behaviour of MySQL's `my_gcvt` and `my_fcvt`.

use std::io::Write;

/// Significant digits of a FLOAT (`FLT_DIG`).
const FLOAT_DIGITS: usize = 6;
/// The decimal point may be this far from the first digit without an exponent (`DBL_DIG`).
const POINT_MAX: i32 = 15;
/// Longest `{:e}` form of a double: sign, 17 digits, point, `e-308`.
const SCIENTIFIC_BYTES: usize = 32;

/// Appends a DOUBLE. The number must be finite.
pub(crate) fn put_double(out: &mut Vec<u8>, value: f64) {
    let mut buffer = [0; SCIENTIFIC_BYTES];
    put_scientific(out, scientific(&mut buffer, format_args!("{value:e}")));
}

/// Appends a FLOAT. The number must be finite.
pub(crate) fn put_float(out: &mut Vec<u8>, value: f32) {
    let mut buffer = [0; SCIENTIFIC_BYTES];
    let value = f64::from(value);
    put_scientific(out, scientific(&mut buffer, format_args!("{value:.0$e}", FLOAT_DIGITS - 1)));
}

/// Appends a number with exactly `decimals` digits behind the point.
pub(crate) fn put_fixed(out: &mut Vec<u8>, value: f64, decimals: u8) {
    const INFALLIBLE: &str = "invariant: writing to a Vec cannot fail";
    let decimals = usize::from(decimals);
    let begin = out.len();
    write!(out, "{value}").expect(INFALLIBLE);
    // Behind the digits that tell the value from its neighbours come zeros.
    let point = out[begin..].iter().position(|&byte| byte == b'.');
    let digits = point.map_or(0, |point| out.len() - begin - point - 1);
    if digits > decimals {
        out.truncate(begin);
        write!(out, "{value:.decimals$}").expect(INFALLIBLE);
        return;
    }
    if point.is_none() && decimals > 0 {
        out.push(b'.');
    }
    out.extend(std::iter::repeat_n(b'0', decimals - digits));
}

fn scientific<'b>(buffer: &'b mut [u8; SCIENTIFIC_BYTES], number: std::fmt::Arguments<'_>) -> &'b [u8] {
    let mut rest = &mut buffer[..];
    rest.write_fmt(number).expect("invariant: the scientific form of a double has at most 24 bytes");
    let unused = rest.len();
    &buffer[..SCIENTIFIC_BYTES - unused]
}

/// Lays out `[-]d[.ddd]e[-]x` as MySQL does.
fn put_scientific(out: &mut Vec<u8>, text: &[u8]) {
    let (text, negative) = match text.strip_prefix(b"-") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let e =
        text.iter().position(|&byte| byte == b'e').expect("invariant: the scientific form has an exponent");
    let exponent = std::str::from_utf8(&text[e + 1..])
        .ok()
        .and_then(|digits| digits.parse::<i32>().ok())
        .expect("invariant: the exponent is a number");
    let mut digits = [0; SCIENTIFIC_BYTES];
    let mut count = 0;
    for &byte in text[..e].iter().filter(|byte| byte.is_ascii_digit()) {
        digits[count] = byte;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    // Where the decimal point stands, counted from the first digit.
    let point = exponent + 1;
    if negative {
        out.push(b'-');
    }
    let whole = point >= count as i32;
    if point > -POINT_MAX && (point <= POINT_MAX || !whole) {
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        } else if whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + (point as usize - count), b'0');
        } else {
            let (before, behind) = digits.split_at(point as usize);
            out.extend_from_slice(before);
            out.push(b'.');
            out.extend_from_slice(behind);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn double(value: f64) -> String {
        let mut out = Vec::new();
        put_double(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn float(value: f32) -> String {
        let mut out = Vec::new();
        put_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_print_as_in_mysql() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (2.0 / 3.0, "0.6666666666666666"),
            (100.0, "100"),
            (123_456.789, "123456.789"),
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (1e20, "1e20"),
            (1.25e20, "1.25e20"),
            (123_456_789_012_345.0, "123456789012345"),
            (1_234_567_890_123_456.0, "1.234567890123456e15"),
            (1_234_567_890_123_456.5, "1234567890123456.5"),
            (1.5e-10, "0.00000000015"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (1.5e-16, "1.5e-16"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn floats_have_six_digits_as_in_mysql() {
        for (value, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (7.14, "7.14"),
            (16_777_216.0, "16777200"),
            (1_234_567.0, "1234570"),
            (0.1, "0.1"),
            (1e10, "10000000000"),
            (f32::MAX, "3.40282e38"),
            (f32::MIN_POSITIVE, "1.17549e-38"),
            (-0.000_012_345_678, "-0.0000123457"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn fixed_decimals_are_exact() {
        for (value, decimals, text) in
            [(1.5, 3, "1.500"), (-2.675, 2, "-2.67"), (1e20, 0, "100000000000000000000")]
        {
            let mut out = Vec::new();
            put_fixed(&mut out, value, decimals);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    quickcheck! {
        fn every_double_reads_back(bits: u64) -> bool {
            let value = f64::from_bits(bits);
            !value.is_finite() || double(value).parse::<f64>().unwrap() == value
        }
    }
}
