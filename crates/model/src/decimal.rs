//! Exact decimals of up to 65 digits, and their order-preserving stored form.
//!
//! A [`Decimal`] is an integer and a power of ten. Most fit in 128 bits; the rest take big integers.
//!
//! Stored form (rules 1), one blob per value whatever its scale, so that `1.5` and `1.50` are one value and
//! `memcmp` is numeric order:
//!
//! * zero: `80`;
//! * positive `0.d1d2… × 10^e` with `d1 ≠ 0`: the byte `81 + (e + 30)`, then the digits in pairs, each pair plus one,
//!   without trailing zero pairs;
//! * negative: the bytes of the magnitude, each complemented, then `ff`.
//!
//! Not here: precision and scale of types, which the schema and the binder know.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};

/// Greatest number of digits of a DECIMAL.
pub const DIGITS_MAX: u32 = 65;
/// Greatest number of digits after the point.
pub const SCALE_MAX: u32 = 30;

const BIAS: i32 = 30;
const EXPONENT_MAX: i32 = 95;

/// An exact decimal number.
#[derive(Clone, Debug)]
pub struct Decimal {
    int: Int,
    scale: u32,
}

#[derive(Clone, Debug)]
enum Int {
    Small(i128),
    Big(BigInt),
}

impl Int {
    fn big(&self) -> BigInt {
        match self {
            Int::Small(n) => BigInt::from(*n),
            Int::Big(n) => n.clone(),
        }
    }

    fn from_big(n: BigInt) -> Int {
        match i128::try_from(&n) {
            Ok(n) => Int::Small(n),
            Err(_) => Int::Big(n),
        }
    }

    fn sign(&self) -> Ordering {
        match self {
            Int::Small(n) => n.cmp(&0),
            Int::Big(n) => match n.sign() {
                Sign::Minus => Ordering::Less,
                Sign::NoSign => Ordering::Equal,
                Sign::Plus => Ordering::Greater,
            },
        }
    }

    /// Times ten to the power of `n`.
    fn scaled_up(&self, n: u32) -> Int {
        if n == 0 {
            return self.clone();
        }
        if let Int::Small(i) = self
            && let Some(r) = 10i128.checked_pow(n).and_then(|p| i.checked_mul(p))
        {
            return Int::Small(r);
        }
        Int::from_big(self.big() * BigInt::from(10).pow(n))
    }

    /// Digits of the magnitude, without sign.
    fn digits(&self) -> String {
        match self {
            Int::Small(n) => n.unsigned_abs().to_string(),
            Int::Big(n) => n.magnitude().to_string(),
        }
    }
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { int: Int::Small(0), scale: 0 };

    /// `int × 10^-scale`.
    pub fn new(int: i128, scale: u32) -> Self {
        Decimal { int: Int::Small(int), scale }
    }

    /// Digits after the point that it carries.
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        self.int.sign() as i32
    }

    /// True for zero.
    pub fn is_zero(&self) -> bool {
        self.int.sign() == Ordering::Equal
    }

    /// Digits before the point.
    pub fn whole_digits(&self) -> u32 {
        if let Int::Small(n) = self.int {
            return match n.unsigned_abs() {
                0 => 0,
                m => (m.ilog10() + 1).saturating_sub(self.scale),
            };
        }
        (self.int.digits().len() as u32).saturating_sub(self.scale)
    }

    /// It has at most 65 digits before the point and 30 after it, and at most 65 in all once rounded.
    pub fn fits(&self) -> bool {
        self.whole_digits() <= DIGITS_MAX
    }

    /// Parses `[+-]digits[.digits][e[+-]digits]` at the beginning of a text; the second value is the number of bytes that
    /// were read, 0 when there is no number. Digits beyond the 30th after the point are rounded away; a number too
    /// great is the greatest DECIMAL.
    pub fn parse_prefix(text: &str) -> (Self, usize) {
        let b = text.as_bytes();
        let mut at = usize::from(matches!(b.first(), Some(b'+' | b'-')));
        let negative = b.first() == Some(&b'-');
        let start = at;
        while b.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        let whole = &text[start..at];
        let mut fraction = "";
        if b.get(at) == Some(&b'.') {
            let from = at + 1;
            let mut to = from;
            while b.get(to).is_some_and(u8::is_ascii_digit) {
                to += 1;
            }
            if to > from || !whole.is_empty() {
                fraction = &text[from..to];
                at = to;
            }
        }
        if whole.is_empty() && fraction.is_empty() {
            return (Decimal::ZERO, 0);
        }
        let mut exponent = 0i64;
        if matches!(b.get(at), Some(b'e' | b'E')) {
            let mut to = at + 1;
            let minus = b.get(to) == Some(&b'-');
            to += usize::from(matches!(b.get(to), Some(b'+' | b'-')));
            let from = to;
            while b.get(to).is_some_and(u8::is_ascii_digit) {
                exponent = (exponent * 10 + i64::from(b[to] - b'0')).min(100_000);
                to += 1;
            }
            if to > from {
                at = to;
                exponent = if minus { -exponent } else { exponent };
            } else {
                exponent = 0;
            }
        }
        let value = Self::from_digits(negative, whole, fraction, exponent);
        (value, at)
    }

    fn from_digits(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Self {
        // value = 0.D × 10^point
        let mut digits: String = whole.to_owned() + fraction;
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        let point = whole.len() as i64 - zeros as i64 + exponent;
        digits.drain(..zeros);
        if digits.is_empty() {
            return Decimal { int: Int::Small(0), scale: (fraction.len() as u32).min(SCALE_MAX) };
        }
        if point > i64::from(DIGITS_MAX) {
            let m = Decimal::greatest(DIGITS_MAX, 0);
            return if negative { m.negated() } else { m };
        }
        if point < -i64::from(SCALE_MAX) {
            return Decimal { int: Int::Small(0), scale: SCALE_MAX };
        }
        let mut scale = digits.len() as i64 - point;
        if scale < 0 {
            digits.extend(std::iter::repeat_n('0', (-scale) as usize));
            scale = 0;
        }
        let mut round = false;
        if scale > i64::from(SCALE_MAX) {
            let cut = (scale - i64::from(SCALE_MAX)) as usize;
            let keep = digits.len().saturating_sub(cut);
            round = digits.len() >= cut && digits.as_bytes().get(keep).is_some_and(|d| *d >= b'5');
            digits.truncate(keep);
            scale = i64::from(SCALE_MAX);
        }
        let mut int = match digits.parse::<i128>() {
            Ok(n) => Int::Small(n),
            Err(_) if digits.is_empty() => Int::Small(0),
            Err(_) => Int::from_big(BigInt::parse_bytes(digits.as_bytes(), 10).unwrap_or_default()),
        };
        if round {
            int = Int::from_big(int.big() + 1);
        }
        let d = Decimal { int, scale: scale as u32 };
        if negative { d.negated() } else { d }
    }

    /// Parses a whole text.
    pub fn parse(text: &str) -> Option<Self> {
        let (d, n) = Self::parse_prefix(text);
        (n == text.len() && n > 0).then_some(d)
    }

    /// The nearest decimal to the shortest text of a float.
    pub fn from_f64(n: f64) -> Option<Self> {
        n.is_finite().then(|| Self::parse_prefix(&format!("{n:e}")).0)
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        match (&self.int, self.scale) {
            (Int::Small(n), 0) => *n as f64,
            // Both exact: the quotient is correctly rounded.
            (Int::Small(n), s) if n.unsigned_abs() < 1 << 53 && s <= 22 => *n as f64 / 10f64.powi(s as i32),
            _ => self.to_string().parse().unwrap_or(0.0),
        }
    }

    /// The integer, when it fits in 128 bits, rounded half away from zero.
    pub fn to_i128(&self) -> Option<i128> {
        match self.rounded(0).int {
            Int::Small(n) => Some(n),
            Int::Big(_) => None,
        }
    }

    /// True when there is nothing after the point.
    pub fn is_whole(&self) -> bool {
        self.truncated(0).cmp(self) == Ordering::Equal
    }

    /// The greatest value of `precision` digits, `scale` of them after the point.
    pub fn greatest(precision: u32, scale: u32) -> Self {
        Decimal { int: Int::from_big(BigInt::from(10).pow(precision) - 1), scale }
    }

    /// Minus the number.
    pub fn negated(self) -> Self {
        let int = match self.int {
            Int::Small(n) => match n.checked_neg() {
                Some(n) => Int::Small(n),
                None => Int::Big(-BigInt::from(n)),
            },
            Int::Big(n) => Int::from_big(-n),
        };
        Decimal { int, scale: self.scale }
    }

    /// The magnitude.
    pub fn abs(self) -> Self {
        if self.signum() < 0 { self.negated() } else { self }
    }

    fn aligned(&self, other: &Self) -> (Int, Int, u32) {
        let scale = self.scale.max(other.scale);
        (self.int.scaled_up(scale - self.scale), other.int.scaled_up(scale - other.scale), scale)
    }

    /// Sum.
    pub fn add(&self, other: &Self) -> Self {
        let (a, b, scale) = self.aligned(other);
        let int = match (&a, &b) {
            (Int::Small(x), Int::Small(y)) => x.checked_add(*y).map(Int::Small),
            _ => None,
        };
        Decimal { int: int.unwrap_or_else(|| Int::from_big(a.big() + b.big())), scale }
    }

    /// Difference.
    pub fn sub(&self, other: &Self) -> Self {
        self.add(&other.clone().negated())
    }

    /// Product, rounded to 30 digits after the point.
    pub fn mul(&self, other: &Self) -> Self {
        let int = match (&self.int, &other.int) {
            (Int::Small(x), Int::Small(y)) => x.checked_mul(*y).map(Int::Small),
            _ => None,
        };
        let int = int.unwrap_or_else(|| Int::from_big(self.int.big() * other.int.big()));
        Decimal { int, scale: self.scale + other.scale }.capped()
    }

    /// Quotient cut to `scale` digits after the point; `None` for division by zero.
    pub fn div(&self, other: &Self, scale: u32) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        // self / 10^s1 / (other / 10^s2) = self × 10^(scale - s1 + s2) / other × 10^-scale
        let up = i64::from(scale) + i64::from(other.scale) - i64::from(self.scale);
        let (a, b) = if up >= 0 {
            (self.int.scaled_up(up as u32), other.int.clone())
        } else {
            (self.int.clone(), other.int.scaled_up((-up) as u32))
        };
        let int = match (&a, &b) {
            (Int::Small(x), Int::Small(y)) => x.checked_div(*y).map(Int::Small),
            _ => None,
        };
        Some(Decimal { int: int.unwrap_or_else(|| Int::from_big(a.big() / b.big())), scale })
    }

    /// Remainder with the sign of the dividend; `None` for division by zero.
    pub fn rem(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let (a, b, scale) = self.aligned(other);
        let int = match (&a, &b) {
            (Int::Small(x), Int::Small(y)) => x.checked_rem(*y).map(Int::Small),
            _ => None,
        };
        Some(Decimal { int: int.unwrap_or_else(|| Int::from_big(a.big() % b.big())), scale })
    }

    fn capped(self) -> Self {
        if self.scale > SCALE_MAX { self.rounded(SCALE_MAX as i32) } else { self }
    }

    /// Divides the integer by `10^n`, rounding half away from zero or cutting.
    fn shifted_down(&self, n: u32, round: bool) -> Int {
        if let Int::Small(i) = self.int {
            match 10i128.checked_pow(n) {
                Some(p) => {
                    let (q, r) = (i / p, i % p);
                    let up = round && r.unsigned_abs() >= (p.unsigned_abs()).div_ceil(2);
                    return Int::Small(q + if up { i.signum() } else { 0 });
                }
                None => return Int::Small(0),
            }
        }
        let p = BigInt::from(10).pow(n);
        let i = self.int.big();
        let (q, r) = (&i / &p, &i % &p);
        let up = round && BigInt::from(r.magnitude().clone()) * 2 >= p;
        let one = if i.sign() == Sign::Minus { -1 } else { 1 };
        Int::from_big(if up { q + one } else { q })
    }

    /// Rounded half away from zero to `scale` digits after the point; below zero, to tens, hundreds, …
    pub fn rounded(&self, scale: i32) -> Self {
        self.at_scale(scale, true)
    }

    /// Cut to `scale` digits after the point; below zero, to tens, hundreds, …
    pub fn truncated(&self, scale: i32) -> Self {
        self.at_scale(scale, false)
    }

    fn at_scale(&self, scale: i32, round: bool) -> Self {
        let down = self.scale as i64 - i64::from(scale);
        if down <= 0 {
            return self.clone();
        }
        let int = self.shifted_down(down.min(1000) as u32, round);
        if scale >= 0 {
            Decimal { int, scale: scale as u32 }
        } else {
            Decimal { int: int.scaled_up(scale.unsigned_abs().min(200)), scale: 0 }
        }
    }

    /// The greatest integer that is not greater.
    pub fn floor(&self) -> Self {
        let t = self.truncated(0);
        if self.signum() < 0 && t.cmp(self) != Ordering::Equal { t.sub(&Decimal::new(1, 0)) } else { t }
    }

    /// The least integer that is not less.
    pub fn ceil(&self) -> Self {
        self.clone().negated().floor().negated()
    }

    /// The stored form. Rounded to 30 digits after the point; the magnitude must fit (see [`Decimal::fits`]): a greater
    /// one is stored as the greatest.
    pub fn encode(&self) -> Vec<u8> {
        if self.scale > SCALE_MAX {
            return self.rounded(SCALE_MAX as i32).encode();
        }
        let sign = self.int.sign();
        if sign == Ordering::Equal {
            return vec![0x80];
        }
        let digits = self.int.digits();
        let exponent = digits.len() as i32 - self.scale as i32;
        if exponent > EXPONENT_MAX {
            let m = Decimal::greatest(DIGITS_MAX, 0);
            return if sign == Ordering::Less { m.negated().encode() } else { m.encode() };
        }
        let digits = digits.trim_end_matches('0').as_bytes();
        let mut out = Vec::with_capacity(2 + digits.len() / 2 + 1);
        out.push((0x81 + BIAS + exponent) as u8);
        for pair in digits.chunks(2) {
            let low = pair.get(1).map_or(0, |d| d - b'0');
            out.push((pair[0] - b'0') * 10 + low + 1);
        }
        if sign == Ordering::Less {
            for b in &mut out {
                *b = !*b;
            }
            out.push(0xff);
        }
        out
    }

    /// Reads the stored form; `None` for anything that [`Decimal::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        if first == 0x80 {
            return rest.is_empty().then_some(Decimal::ZERO);
        }
        let negative = first < 0x80;
        let (flip, rest) = if negative {
            let (&last, rest) = rest.split_last()?;
            if last != 0xff {
                return None;
            }
            (0xff, rest)
        } else {
            (0, rest)
        };
        let exponent = i32::from(first ^ flip) - 0x81 - BIAS;
        if rest.is_empty() || exponent > EXPONENT_MAX {
            return None;
        }
        let mut small = 0i128;
        let mut big: Option<BigInt> = None;
        for &b in rest {
            let pair = (b ^ flip).checked_sub(1).filter(|p| *p < 100)?;
            match &mut big {
                Some(n) => *n = &*n * 100 + pair,
                None => match small.checked_mul(100).and_then(|n| n.checked_add(i128::from(pair))) {
                    Some(n) => small = n,
                    None => big = Some(BigInt::from(small) * 100 + pair),
                },
            }
        }
        let last = rest.last()? ^ flip;
        let leading = rest.first()? ^ flip;
        if last == 1 || leading <= 10 {
            return None;
        }
        let mut int = big.map_or(Int::Small(small), Int::from_big);
        let mut scale = rest.len() as i32 * 2 - exponent;
        if (last - 1) % 10 == 0 {
            int = Decimal { int, scale: 1 }.shifted_down(1, false);
            scale -= 1;
        }
        if scale > SCALE_MAX as i32 {
            return None;
        }
        if scale < 0 {
            int = int.scaled_up(scale.unsigned_abs());
        }
        let d = Decimal { int, scale: scale.max(0) as u32 };
        Some(if negative { d.negated() } else { d })
    }

    /// Text with exactly `scale` digits after the point, rounded.
    pub fn to_text(&self, scale: u8) -> String {
        let d = self.rounded(i32::from(scale));
        let mut digits = d.int.digits();
        let have = d.scale as usize;
        if digits.len() <= have {
            digits.insert_str(0, &"0".repeat(have + 1 - digits.len()));
        }
        let point = digits.len() - have;
        let want = usize::from(scale);
        if want > 0 {
            digits.insert(point, '.');
            digits.extend(std::iter::repeat_n('0', want - have.min(want)));
        }
        if d.signum() < 0 {
            digits.insert(0, '-');
        }
        digits
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Decimal::new(i128::from(n), 0)
    }
}

impl From<u64> for Decimal {
    fn from(n: u64) -> Self {
        Decimal::new(i128::from(n), 0)
    }
}

/// With the digits after the point that it carries.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(self.scale.min(255) as u8))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numeric order: 1.5 equals 1.50.
impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b, _) = self.aligned(other);
        match (&a, &b) {
            (Int::Small(x), Int::Small(y)) => x.cmp(y),
            _ => a.big().cmp(&b.big()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::{Arbitrary, Gen, quickcheck};

    impl Arbitrary for Decimal {
        fn arbitrary(g: &mut Gen) -> Self {
            let mut digits = String::new();
            for _ in 0..u8::arbitrary(g) % 66 {
                digits.push(char::from(b'0' + u8::arbitrary(g) % 10));
            }
            let scale = usize::from(u8::arbitrary(g) % 31).min(digits.len());
            digits.insert(digits.len() - scale, '.');
            let d = Decimal::parse_prefix(&digits).0;
            if bool::arbitrary(g) { d.negated() } else { d }
        }
    }

    fn d(s: &str) -> Decimal {
        Decimal::parse(s).unwrap()
    }

    quickcheck! {
        fn the_stored_form_round_trips_and_keeps_order(a: Decimal, b: Decimal) -> bool {
            Decimal::decode(&a.encode()).as_ref() == Some(&a)
                && a.encode().cmp(&b.encode()) == a.cmp(&b)
        }

        fn neighbours_keep_their_order(n: i64, s: u8) -> bool {
            let s = u32::from(s % 20);
            let (a, b) = (Decimal::new(n.into(), s), Decimal::new(i128::from(n) + 1, s));
            a.encode() < b.encode()
        }

        fn decoding_never_panics_and_only_accepts_what_encoding_writes(bytes: Vec<u8>) -> bool {
            Decimal::decode(&bytes).is_none_or(|d| d.encode() == bytes)
        }

        fn addition_and_subtraction_are_exact(a: Decimal, b: Decimal) -> bool {
            a.add(&b).sub(&b) == a && a.add(&b) == b.add(&a)
        }

        fn quotient_and_remainder_make_the_dividend(a: Decimal, b: Decimal) -> bool {
            match a.div(&b, 0) {
                None => b.is_zero() && a.rem(&b).is_none(),
                Some(q) => {
                    let whole = Decimal { int: Int::from_big(q.int.big() * b.int.big()), scale: b.scale };
                    whole.add(&a.rem(&b).unwrap()) == a
                }
            }
        }

        fn parsing_never_panics(s: String) -> bool {
            let _ = Decimal::parse_prefix(&s);
            true
        }

        fn text_round_trips(a: Decimal) -> bool {
            Decimal::parse(&a.to_string()).as_ref() == Some(&a)
        }

        fn floats_go_there_and_back(x: f64) -> bool {
            let x = x % 1e15;
            !x.is_finite() || x.abs() < 1e-10 || Decimal::from_f64(x).map(|d| d.to_f64()) == Some(x)
        }
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        for (x, scale, rounded, cut) in [
            ("1.25", 1, "1.3", "1.2"),
            ("-1.25", 1, "-1.3", "-1.2"),
            ("0.5", 0, "1", "0"),
            ("-0.49", 0, "0", "0"),
            ("155", -1, "160", "150"),
            ("1.5", 5, "1.5", "1.5"),
            ("55", -3, "0", "0"),
        ] {
            assert_eq!(d(x).rounded(scale), d(rounded), "{x}");
            assert_eq!(d(x).truncated(scale), d(cut), "{x}");
        }
        assert_eq!((d("-1.5").floor(), d("-1.5").ceil()), (d("-2"), d("-1")));
    }

    #[test]
    fn texts_have_their_scale() {
        for (x, scale, want) in
            [("1.5", 2, "1.50"), ("-0.005", 2, "-0.01"), ("7", 0, "7"), ("0", 3, "0.000"), (".5", 1, "0.5")]
        {
            assert_eq!(d(x).to_text(scale), want);
        }
        assert_eq!(d("1e3").to_string(), "1000");
        assert_eq!(d("12.5e-2").to_string(), "0.125");
        assert_eq!(d("1e100"), Decimal::greatest(65, 0));
        assert_eq!(d("1e-40"), Decimal::ZERO);
    }

    #[test]
    fn vectors_of_the_stored_form() {
        for (x, want) in [
            ("0", "80"),
            ("1", "a00b"),
            ("-1", "5ff4ff"),
            ("1.50", "a010"),
            ("0.01", "9e0b"),
            ("123.45", "a20d2333"),
            ("-123.45", "5df2dcccff"),
        ] {
            assert_eq!(crate::ids::hex(&d(x).encode()), want, "{x}");
        }
    }
}
