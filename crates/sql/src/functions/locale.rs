//! How numbers are written in the locales that MySQL knows (FORMAT with three arguments).

use p2pdb_model::decimal::Decimal;

use crate::execute::context;

/// The separators of a locale.
struct Style {
    point: char,
    thousands: &'static str,
    /// After the last three digits come groups of two.
    pairs: bool,
}

const ENGLISH: Style = style('.', ",");

const fn style(point: char, thousands: &'static str) -> Style {
    Style { point, thousands, pairs: false }
}

/// The styles other than that of en_US, with the locales that have them.
const STYLES: &[(&str, Style)] = &[
    ("ar_SA sr_RS", style('.', "")),
    (
        "be_BY da_DK de_BE de_DE de_LU es_AR es_BO es_CL es_EC es_ES es_PY es_UY es_VE fo_FO hu_HU id_ID is_IS lt_LT mn_MN \
         nb_NO no_NO ro_RO ru_UA sq_AL tr_TR uk_UA vi_VN",
        style(',', "."),
    ),
    (
        "ca_ES de_AT el_GR eu_ES fr_BE fr_CA fr_CH fr_FR fr_LU gl_ES hr_HR it_IT nl_BE nl_NL pl_PL pt_BR pt_PT sl_SI",
        style(',', ""),
    ),
    ("bg_BG cs_CZ es_CR et_EE fi_FI lv_LV mk_MK ru_RU sk_SK sv_FI sv_SE", style(',', " ")),
    ("de_CH", style('.', "'")),
    ("it_CH rm_CH", style(',', "'")),
    ("en_IN ta_IN te_IN", Style { point: '.', thousands: ",", pairs: true }),
];

/// The locales that write numbers as en_US does.
const LIKE_ENGLISH: &str = "ar_AE ar_BH ar_DZ ar_EG ar_IN ar_IQ ar_JO ar_KW ar_LB ar_LY ar_MA ar_OM ar_QA ar_SD ar_SY ar_TN \
    ar_YE en_AU en_CA en_GB en_NZ en_PH en_US en_ZA en_ZW es_DO es_GT es_HN es_MX es_NI es_PA es_PE es_PR es_SV es_US gu_IN \
    he_IL hi_IN ja_JP ko_KR ms_MY th_TH ur_PK zh_CN zh_HK zh_TW";

fn of(name: &str) -> &'static Style {
    let among = |names: &str| names.split_whitespace().any(|n| n.eq_ignore_ascii_case(name));
    if let Some((_, style)) = STYLES.iter().find(|(names, _)| among(names)) {
        return style;
    }
    if !name.is_empty() && !among(LIKE_ENGLISH) {
        context::warn(1649, format!("Unknown locale: '{name}'"));
    }
    &ENGLISH
}

/// A number with this many digits after the point, its thousands apart; an unknown locale is en_US, with a warning.
pub(super) fn grouped(d: &Decimal, scale: u8, locale: &str) -> String {
    let style = of(locale);
    let t = d.to_text(scale);
    let (sign, t) = match t.strip_prefix('-') {
        Some(r) => ("-", r),
        None => ("", t.as_str()),
    };
    let (whole, fraction) = t.split_once('.').unwrap_or((t, ""));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        let left = whole.len() - i;
        let boundary = if style.pairs && left > 3 { (left - 3) % 2 == 0 } else { left % 3 == 0 };
        if i > 0 && boundary {
            out.push_str(style.thousands);
        }
        out.push(c);
    }
    if !fraction.is_empty() {
        out.push(style.point);
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_locale_does() {
        for (n, locale, want) in [
            ("12345678.891", "en_US", "12,345,678.89"),
            ("12345678.891", "de_DE", "12.345.678,89"),
            ("12345678.891", "en_IN", "1,23,45,678.89"),
            ("-12345678.891", "fr_FR", "-12345678,89"),
            ("12345678.891", "de_CH", "12'345'678.89"),
            ("123.5", "cs_CZ", "123,50"),
            ("1234.5", "xx_YY", "1,234.50"),
        ] {
            let d = Decimal::parse(n).expect("a number");
            assert_eq!(grouped(&d, 2, locale), want, "{n} {locale}");
        }
    }
}
