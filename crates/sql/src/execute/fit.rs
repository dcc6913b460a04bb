//! Doubles in few characters.
/// Places before or behind the point that are written without an exponent.
const PLACES_MAX: i32 = 15;

/// A double in at most so many characters, rounded where it must be, and whether it fits (`my_gcvt` of MySQL's `dtoa.cc`).
pub fn real_in(r: f64, chars: usize) -> (String, bool) {
    if !r.is_finite() {
        return ("0".to_owned(), false);
    }
    let sign = if r.is_sign_negative() && r != 0.0 { "-" } else { "" };
    let all = chars;
    let mut width = i32::try_from(chars).unwrap_or(i32::MAX) - sign.len() as i32;
    let r = r.abs();
    let mut fits = width > 0;
    let (mut digits, mut point) = significant(r, usize::try_from(width).unwrap_or(0).max(1));
    let mut len = digits.len() as i32;
    let exponent = 1 + i32::from(point >= 101 || point <= -99) + i32::from(point >= 11 || point <= -9);
    let plain = match point {
        p if p <= 0 => len - p + 2,
        p if p < len => len + 1,
        p => p,
    };
    let space = plain <= width;
    let exponent_says_more = point < 0 && width <= 2 - point && width >= 3 + exponent;
    let plain_says_enough =
        point <= width && (point >= -1 || point == -2 && (len > 1 || !exponent_says_more));
    let mut out = sign.to_owned();
    if (space || plain_says_enough && !exponent_says_more)
        && (!space || point > -PLACES_MAX && (point <= PLACES_MAX || len > point))
    {
        width -= i32::from(point < len) + if point <= 0 { 1 - point } else { 0 };
        if width < len {
            if width < point {
                fits = false;
                width = point;
            }
            (digits, point) = rounded(r, usize::try_from(width - point).unwrap_or(0));
            len = digits.len() as i32;
        }
        if len == 0 {
            return ("0".to_owned(), fits);
        }
        if point <= 0 {
            out += "0.";
            out += &"0".repeat(usize::try_from(-point).unwrap_or(0));
            out += &digits;
        } else {
            let whole = usize::try_from(point).unwrap_or(0);
            match digits.split_at_checked(whole) {
                Some((whole, "")) => out += whole,
                Some((whole, rest)) => out += &format!("{whole}.{rest}"),
                None => out += &(digits.clone() + &"0".repeat(whole - digits.len())),
            }
        }
    } else {
        point -= 1;
        if point < 0 {
            width -= 1;
        }
        width -= 1 + exponent + i32::from(len > 1);
        if width <= 0 {
            fits = false;
            width = 0;
        }
        if width < len {
            (digits, point) = significant(r, usize::try_from(width).unwrap_or(0).max(1));
            point -= 1;
        }
        let (first, rest) = digits.split_at(1);
        out += first;
        if !rest.is_empty() {
            out += &format!(".{rest}");
        }
        out += &format!("e{point}");
    }
    fits &= out.len() <= all;
    out.truncate(all);
    (out, fits)
}

/// At most so many significant digits, without zeros at the end, and where the point stands in them. Digits that tell it from
/// its neighbours are enough.
fn significant(r: f64, count: usize) -> (String, i32) {
    let parts = |t: String| {
        let (digits, exponent) =
            t.split_once('e').map(|(d, e)| (d.replace('.', ""), e.parse().unwrap_or(0)))?;
        let kept = digits.trim_end_matches('0');
        Some((if kept.is_empty() { "0".to_owned() } else { kept.to_owned() }, exponent + 1))
    };
    let shortest = parts(format!("{r:e}")).unwrap_or_default();
    if shortest.0.len() <= count {
        return shortest;
    }
    parts(format!("{r:.*e}", count - 1)).unwrap_or_default()
}

/// So many places behind the point, without zeros at the end.
fn rounded(r: f64, places: usize) -> (String, i32) {
    let text = format!("{r:.places$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let all = format!("{}{rest}", if whole == "0" { "" } else { whole });
    let zeros = all.len() - all.trim_start_matches('0').len();
    let point = if whole == "0" { -(zeros as i32) } else { whole.len() as i32 };
    let digits = all[zeros..].trim_end_matches('0').to_owned();
    (digits, point)
}

#[cfg(test)]
mod tests {
    use super::real_in;

    #[test]
    fn doubles_are_rounded_to_fit_as_in_mysql() {
        for (r, chars, want, fits) in [
            (1.234_567_89, 5, "1.235", true),
            (123_456_789.0, 5, "1.2e8", true),
            (1_234_567.89e10, 5, "1e16", true),
            (0.666_666, 3, "0.7", true),
            (-0.666_66, 3, "-1", true),
            (1.0 / 3.0, 3, "0.3", true),
            (99.99, 3, "100", true),
            (999.5, 3, "1e3", true),
            (1e100, 5, "1e100", true),
            (1.23456, 3, "1.2", true),
        ] {
            assert_eq!(real_in(r, chars), (want.to_owned(), fits), "{r} in {chars}");
        }
        for (r, chars) in [(0.6, 1), (12.0, 1), (1.5e100, 5), (1.55e100, 5), (1.0, 0)] {
            assert!(!real_in(r, chars).1, "{r} in {chars}");
        }
    }
}
