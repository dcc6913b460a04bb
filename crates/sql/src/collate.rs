//! Collations: how texts compare (rules 1).
//!
//! The Unicode collations are those of `icu_collator` at the root locale: `utf8mb4_0900_ai_ci` by primary strength,
//! `utf8mb4_0900_as_cs` by tertiary. `unicode_ci` and `unicode_520_ci` are the same with PAD SPACE. `general_ci` compares
//! letter by letter, upper-cased and without accents, as MySQL's table does for the Latin, Greek and Cyrillic scripts.
//! Two texts of ASCII, the usual case, are compared by a table made from the same collator.
//!
//! PAD SPACE: the shorter text counts as if it were filled with spaces.

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::options::{CollatorOptions, Strength};
use icu_collator::{Collator, CollatorBorrowed};
use icu_normalizer::DecomposingNormalizerBorrowed;
use p2pdb_model::types::Collation;

/// Compares two texts.
pub type Compare = fn(&str, &str) -> Ordering;

/// Every collation by the name that generated SQL uses for it. (`binary` is SQLite's own.)
pub fn all() -> [(&'static str, Compare); 7] {
    [
        (Collation::Utf8mb4_0900AiCi.name(), function(Collation::Utf8mb4_0900AiCi)),
        (Collation::Utf8mb4GeneralCi.name(), function(Collation::Utf8mb4GeneralCi)),
        (Collation::Utf8mb4UnicodeCi.name(), function(Collation::Utf8mb4UnicodeCi)),
        (Collation::Utf8mb4Unicode520Ci.name(), function(Collation::Utf8mb4Unicode520Ci)),
        (Collation::Utf8mb4Bin.name(), function(Collation::Utf8mb4Bin)),
        (Collation::Utf8mb4_0900Bin.name(), function(Collation::Utf8mb4_0900Bin)),
        (Collation::Utf8mb4_0900AsCs.name(), function(Collation::Utf8mb4_0900AsCs)),
    ]
}

/// The comparison of a collation.
pub fn function(collation: Collation) -> Compare {
    match collation {
        Collation::Utf8mb4_0900AiCi => unicode_ai_ci,
        Collation::Utf8mb4GeneralCi => general_ci,
        Collation::Utf8mb4UnicodeCi | Collation::Utf8mb4Unicode520Ci => unicode_ai_ci_pad,
        Collation::Utf8mb4Bin => bin_pad,
        Collation::Utf8mb4_0900Bin | Collation::Binary => |a, b| a.cmp(b),
        Collation::Utf8mb4_0900AsCs => unicode_as_cs,
    }
}

/// The collation with this MySQL id; the default where there is none.
pub fn by_id(id: i64) -> Collation {
    Collation::ALL.into_iter().find(|c| i64::from(c.id()) == id).unwrap_or(Collation::Utf8mb4_0900AiCi)
}

/// Bytes that are the same for words which are equal; those of the beginning of a word are the beginning of its own. Words of
/// letters and digits: what is ignored in texts does not stand in them. Without regard to case also under `as_cs`, as full-text
/// search is.
pub(crate) fn word_key(word: &str, collation: Collation) -> Vec<u8> {
    match collation {
        Collation::Utf8mb4_0900AiCi | Collation::Utf8mb4UnicodeCi | Collation::Utf8mb4Unicode520Ci => {
            let mut key = Vec::with_capacity(word.len() * 2);
            // Writing to a vector does not fail.
            let _ = PRIMARY.write_sort_key_to(word, &mut key);
            key
        }
        Collation::Utf8mb4GeneralCi => {
            word.chars().flat_map(|c| general_weight(c).to_be_bytes().into_iter().skip(1)).collect()
        }
        Collation::Utf8mb4_0900AsCs => word.to_lowercase().into_bytes(),
        Collation::Utf8mb4Bin | Collation::Utf8mb4_0900Bin | Collation::Binary => word.as_bytes().to_vec(),
    }
}

/// Bytes that order texts as the collation does.
pub(crate) fn weights(text: &str, collation: Collation) -> Vec<u8> {
    match collation {
        Collation::Utf8mb4_0900AiCi
        | Collation::Utf8mb4_0900AsCs
        | Collation::Utf8mb4UnicodeCi
        | Collation::Utf8mb4Unicode520Ci => {
            let collator = if collation == Collation::Utf8mb4_0900AsCs { &TERTIARY } else { &PRIMARY };
            let mut key = Vec::with_capacity(text.len() * 2);
            // Writing to a vector does not fail.
            let _ = collator.write_sort_key_to(text, &mut key);
            key
        }
        Collation::Utf8mb4GeneralCi => {
            text.chars().flat_map(|c| general_weight(c).to_be_bytes().into_iter().skip(2)).collect()
        }
        Collation::Utf8mb4Bin => {
            text.chars().flat_map(|c| u32::from(c).to_be_bytes().into_iter().skip(1)).collect()
        }
        Collation::Utf8mb4_0900Bin | Collation::Binary => text.as_bytes().to_vec(),
    }
}

/// Bytes that are the same for texts which are equal, and mostly others for others.
pub(crate) fn equal_key(text: &str, collation: Collation) -> Vec<u8> {
    let sort_key = |collator: &CollatorBorrowed<'static>, text: &str| {
        let mut key = Vec::with_capacity(text.len() * 2);
        // Writing to a vector does not fail.
        let _ = collator.write_sort_key_to(text, &mut key);
        key
    };
    // Where spaces at the end do not count, none does here.
    let unspaced = || text.chars().filter(|c| !c.is_whitespace());
    match collation {
        Collation::Utf8mb4_0900AiCi => sort_key(&PRIMARY, text),
        Collation::Utf8mb4_0900AsCs => sort_key(&TERTIARY, text),
        Collation::Utf8mb4UnicodeCi | Collation::Utf8mb4Unicode520Ci => {
            sort_key(&PRIMARY, &unspaced().collect::<String>())
        }
        Collation::Utf8mb4GeneralCi => {
            unspaced().flat_map(|c| general_weight(c).to_be_bytes().into_iter().skip(1)).collect()
        }
        Collation::Utf8mb4Bin => text.trim_end_matches(' ').as_bytes().to_vec(),
        Collation::Utf8mb4_0900Bin | Collation::Binary => text.as_bytes().to_vec(),
    }
}

/// Letters that differ only in case (and accent) are equal.
pub fn ignores_case(collation: Collation) -> bool {
    !matches!(
        collation,
        Collation::Utf8mb4Bin | Collation::Utf8mb4_0900Bin | Collation::Utf8mb4_0900AsCs | Collation::Binary
    )
}

fn collator(strength: Strength) -> CollatorBorrowed<'static> {
    let mut options = CollatorOptions::default();
    options.strength = Some(strength);
    Collator::try_new(Default::default(), options)
        .expect("invariant: the collation data of the root locale are compiled in")
}

static PRIMARY: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| collator(Strength::Primary));
static TERTIARY: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| collator(Strength::Tertiary));

/// The primary weights of ASCII, as ranks; 0 for characters that are ignored.
static ASCII: LazyLock<[u8; 128]> = LazyLock::new(|| {
    let mut order: Vec<u8> = (0..128).collect();
    let mut buffers = ([0; 4], [0; 4]);
    let mut cmp = |a: u8, b: u8| {
        let (x, y) = &mut buffers;
        PRIMARY.compare(char::from(a).encode_utf8(x), char::from(b).encode_utf8(y))
    };
    order.sort_by(|a, b| cmp(*a, *b));
    let mut ranks = [0; 128];
    let mut rank = 0;
    let mut last: Option<u8> = None;
    for c in order {
        if PRIMARY.compare(char::from(c).encode_utf8(&mut [0; 4]), "").is_eq() {
            continue;
        }
        if last.is_none_or(|l| cmp(l, c).is_ne()) {
            rank += 1;
        }
        last = Some(c);
        ranks[usize::from(c)] = rank;
    }
    ranks
});

/// Compares by rank as long as both are ASCII; `None` at the first byte that is not.
fn ascii(a: &str, b: &str, pad: bool) -> Option<Ordering> {
    if !a.is_ascii() || !b.is_ascii() {
        return None;
    }
    let ranks = &*ASCII;
    let weights =
        |s: &'_ str| s.bytes().map(|c| ranks[usize::from(c & 127)]).filter(|w| *w > 0).collect::<Vec<_>>();
    // The usual case needs no vector.
    let (x, y) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < x.len() && i < y.len() {
        let (p, q) = (ranks[usize::from(x[i])], ranks[usize::from(y[i])]);
        if p == 0 || q == 0 {
            let space = if pad { Some(ranks[usize::from(b' ')]) } else { None };
            return Some(slow(&weights(a), &weights(b), space));
        }
        if p != q {
            return Some(p.cmp(&q));
        }
        i += 1;
    }
    let space = ranks[usize::from(b' ')];
    let rest =
        |s: &[u8]| s[i..].iter().map(|c| ranks[usize::from(*c)]).find(|w| *w > 0 && (!pad || *w != space));
    Some(match (rest(x), rest(y)) {
        (None, None) => Ordering::Equal,
        (Some(w), None) => {
            if pad {
                w.cmp(&space)
            } else {
                Ordering::Greater
            }
        }
        (None, Some(w)) => {
            if pad {
                space.cmp(&w)
            } else {
                Ordering::Less
            }
        }
        (Some(_), Some(_)) => Ordering::Equal,
    })
}

fn slow(a: &[u8], b: &[u8], pad: Option<u8>) -> Ordering {
    let n = a.len().max(b.len());
    for i in 0..n {
        let (p, q) = match (a.get(i), b.get(i), pad) {
            (Some(p), Some(q), _) => (*p, *q),
            (Some(p), None, Some(s)) => (*p, s),
            (None, Some(q), Some(s)) => (s, *q),
            (Some(_), None, None) => return Ordering::Greater,
            (None, Some(_), None) => return Ordering::Less,
            (None, None, _) => break,
        };
        if p != q {
            return p.cmp(&q);
        }
    }
    Ordering::Equal
}

fn unicode_ai_ci(a: &str, b: &str) -> Ordering {
    ascii(a, b, false).unwrap_or_else(|| PRIMARY.compare(a, b))
}

fn unicode_as_cs(a: &str, b: &str) -> Ordering {
    TERTIARY.compare(a, b)
}

/// Texts that may have contractions and expansions: both are filled far enough that the shorter one's spaces stand
/// against the longer one's letters.
fn padded(a: &str, b: &str, cmp: impl Fn(&str, &str) -> Ordering) -> Ordering {
    let bare = |s: &'_ str| {
        s.trim_end_matches(|c: char| c == ' ' || c.is_control() && !c.is_whitespace()).to_owned()
    };
    let (mut x, mut y) = (bare(a), bare(b));
    if cmp(&x, &y).is_eq() {
        return Ordering::Equal;
    }
    // No character has more than this many weights.
    const WEIGHTS_MAX: usize = 18;
    let fill = " ".repeat((x.chars().count().max(y.chars().count()) + 1) * WEIGHTS_MAX);
    x.push_str(&fill);
    y.push_str(&fill);
    cmp(&x, &y)
}

fn unicode_ai_ci_pad(a: &str, b: &str) -> Ordering {
    ascii(a, b, true).unwrap_or_else(|| padded(a, b, |a, b| PRIMARY.compare(a, b)))
}

fn bin_pad(a: &str, b: &str) -> Ordering {
    compare_chars(a.chars().map(u32::from), b.chars().map(u32::from))
}

fn general_ci(a: &str, b: &str) -> Ordering {
    compare_chars(a.chars().map(general_weight), b.chars().map(general_weight))
}

fn compare_chars(mut a: impl Iterator<Item = u32>, mut b: impl Iterator<Item = u32>) -> Ordering {
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        let (x, y) = (x.unwrap_or(u32::from(' ')), y.unwrap_or(u32::from(' ')));
        if x != y {
            return x.cmp(&y);
        }
    }
}

/// A character's weight in `utf8mb4_general_ci`: its base letter in upper case; U+FFFD beyond the basic plane.
fn general_weight(c: char) -> u32 {
    if c.is_ascii() {
        return u32::from(c.to_ascii_uppercase());
    }
    if u32::from(c) > 0xffff {
        return 0xfffd;
    }
    static NFD: LazyLock<DecomposingNormalizerBorrowed<'static>> =
        LazyLock::new(DecomposingNormalizerBorrowed::new_nfd);
    if c == 'ß' {
        return u32::from('S');
    }
    let base = if ('\u{ac00}'..='\u{d7a3}').contains(&c) {
        c
    } else {
        NFD.normalize_iter(std::iter::once(c)).next().unwrap_or(c)
    };
    let mut upper = base.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(u), None) => u32::from(u),
        _ => u32::from(base),
    }
}

/// LIKE (MySQL 8.0 manual, "String Comparison Functions"): `%` any characters, `_` one; character by character under the
/// collation, so that `'ä' LIKE 'a'` holds where they are equal but no contraction does.
pub fn like(text: &str, pattern: &str, escape: Option<char>, collation: Collation) -> bool {
    if text.is_ascii() && pattern.is_ascii() {
        let fold: fn(u8) -> u8 = if ignores_case(collation) { |c| c.to_ascii_uppercase() } else { |c| c };
        let escape = escape.map_or(0xff, |c| if c.is_ascii() { c as u8 } else { 0xff });
        return wildcard(
            text.as_bytes(),
            pattern.as_bytes(),
            |c| *c == b'%',
            |c| *c == b'_',
            |c| *c == escape,
            |a, b| fold(*a) == fold(*b),
        );
    }
    let cmp = function(collation);
    let (t, p): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let equal = |a: &char, b: &char| {
        a == b
            || (ignores_case(collation)
                && cmp(a.encode_utf8(&mut [0; 4]), b.encode_utf8(&mut [0; 4])).is_eq())
    };
    wildcard(&t, &p, |c| *c == '%', |c| *c == '_', |c| Some(*c) == escape, equal)
}

/// Walks a pattern once: of several `any` only the last one has to take more.
pub(crate) fn wildcard<T>(
    t: &[T],
    p: &[T],
    any: impl Fn(&T) -> bool,
    one: impl Fn(&T) -> bool,
    escape: impl Fn(&T) -> bool,
    equal: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut i, mut j) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match p.get(j) {
            Some(c) if escape(c) && j + 1 < p.len() => {
                t.get(i).is_some_and(|x| equal(x, &p[j + 1])).then_some(2)
            }
            Some(c) if any(c) => {
                back = Some((i, j + 1));
                j += 1;
                continue;
            }
            Some(c) if one(c) => (i < t.len()).then_some(1),
            Some(c) => t.get(i).is_some_and(|x| equal(x, c)).then_some(1),
            None if i == t.len() => return true,
            None => None,
        };
        match step {
            Some(n) => {
                i += 1;
                j += n;
            }
            None => match back {
                Some((from, to)) if from < t.len() => {
                    back = Some((from + 1, to));
                    i = from + 1;
                    j = to;
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    quickcheck! {
        fn the_ascii_table_agrees_with_the_collator(a: Vec<u8>, b: Vec<u8>) -> bool {
            let text = |v: &[u8]| v.iter().map(|c| char::from(c & 127)).collect::<String>();
            let (a, b) = (text(&a), text(&b));
            ascii(&a, &b, false) == Some(PRIMARY.compare(&a, &b))
                && ascii(&a, &b, true) == Some(padded_by_weights(&a, &b))
        }

        fn every_collation_is_an_order(a: String, b: String, c: String) -> bool {
            all().iter().all(|(_, f)| {
                f(&a, &b) == f(&b, &a).reverse()
                    && (f(&a, &b).is_gt() || f(&b, &c).is_gt() || f(&a, &c).is_le())
            })
        }
    }

    fn padded_by_weights(a: &str, b: &str) -> Ordering {
        let w = |s: &str| s.bytes().map(|c| ASCII[usize::from(c)]).filter(|w| *w > 0).collect::<Vec<_>>();
        slow(&w(a), &w(b), Some(ASCII[usize::from(b' ')]))
    }

    #[test]
    fn equalities_are_those_of_mysql() {
        use Collation::*;
        for (a, b, collation, equal) in [
            ("a", "A", Utf8mb4_0900AiCi, true),
            ("a", "a ", Utf8mb4_0900AiCi, false),
            ("ß", "ss", Utf8mb4_0900AiCi, true),
            ("é", "E", Utf8mb4_0900AiCi, true),
            ("a", "a ", Utf8mb4GeneralCi, true),
            ("ß", "s", Utf8mb4GeneralCi, true),
            ("é", "E", Utf8mb4GeneralCi, true),
            ("ß", "ss", Utf8mb4UnicodeCi, true),
            ("a", "a  ", Utf8mb4UnicodeCi, true),
            ("a", "A", Utf8mb4Bin, false),
            ("a", "a ", Utf8mb4Bin, true),
            ("a", "a ", Utf8mb4_0900Bin, false),
            ("a", "A", Utf8mb4_0900AsCs, false),
            ("a\u{0}", "a", Utf8mb4_0900AiCi, true),
        ] {
            assert_eq!(function(collation)(a, b).is_eq(), equal, "{a:?} {b:?} {collation:?}");
        }
    }

    #[test]
    fn like_matches_as_in_mysql() {
        let c = Collation::Utf8mb4_0900AiCi;
        for (t, p, want) in [
            ("abc", "a%", true),
            ("abc", "A_C", true),
            ("abc", "%b", false),
            ("abcbd", "%b%d", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("Ärger", "ar%", true),
            ("", "%", true),
            ("", "_", false),
            ("a", "a ", false),
        ] {
            assert_eq!(like(t, p, Some('\\'), c), want, "{t} {p}");
        }
        assert!(!like("a", "A", Some('\\'), Collation::Utf8mb4Bin));
    }
}
