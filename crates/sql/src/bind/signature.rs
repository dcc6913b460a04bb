//! The functions whose arguments are simply converted to what they expect: a table.
//!
//! Functions with rules of their own are in [`super::call`]; the code that runs is in [`crate::functions`].

/// What an argument is converted to.
///
/// `t` text, `s` text or bytes as they are, `b` bytes, `i` integer, `u` unsigned integer, `r` double, `d` DATETIME, `z` DATETIME whose month and day may be zero,
/// `D` DATE, `T` TIME, `j` JSON, `n` DECIMAL. The last letter stands for all further arguments.
pub type Letters = &'static str;

/// The type of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// BIGINT of this display length.
    Int(u32),
    /// BIGINT UNSIGNED.
    UInt,
    /// 0 or 1.
    Bool,
    /// DOUBLE.
    Real,
    /// Text of this length in the connection's collation.
    Text(u32),
    /// Text like the first argument, of at most so many times its length.
    Like(u32),
    /// Text as long as all arguments together.
    Sum,
    /// VARBINARY of this length.
    Bytes(u32),
    /// DATE.
    Date,
    /// DATETIME with the digits of the first argument.
    DateTime,
    /// TIME with the digits of the first argument.
    Time,
    /// JSON.
    Json,
}

/// A function of the table.
#[derive(Debug)]
pub struct Signature {
    /// Names in upper case.
    pub names: &'static [&'static str],
    /// The function that generated SQL calls.
    pub sql: &'static str,
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// See [`Letters`].
    pub args: Letters,
    /// Result.
    pub ret: Ret,
    /// Takes the collation's id as a last argument.
    pub collated: bool,
    /// Never NULL when no argument is.
    pub total: bool,
}

const MANY: usize = 120;

macro_rules! table {
    ($([$($name:literal)|+] $sql:literal $min:tt..$max:tt $args:literal $ret:expr $(, $flag:ident)*;)*) => {
        &[$(Signature {
            names: &[$($name),+],
            sql: $sql,
            min: $min,
            max: $max,
            args: $args,
            ret: $ret,
            collated: table!(@has collated $($flag)*),
            total: table!(@has total $($flag)*),
        }),*]
    };
    (@has collated collated $($rest:ident)*) => { true };
    (@has total total $($rest:ident)*) => { true };
    (@has $want:ident $other:ident $($rest:ident)*) => { table!(@has $want $($rest)*) };
    (@has $want:ident) => { false };
}

use Ret::*;

/// Every function of the table.
pub const SIGNATURES: &[Signature] = table! {
    ["CONCAT"] "p_concat" 1..MANY "s" Sum, total;
    ["CONCAT_WS"] "p_concat_ws" 2..MANY "s" Sum;
    ["LENGTH" | "OCTET_LENGTH"] "p_length" 1..1 "s" Int(11), total;
    ["CHAR_LENGTH" | "CHARACTER_LENGTH"] "p_char_length" 1..1 "s" Int(11), total;
    ["BIT_LENGTH"] "p_bit_length" 1..1 "s" Int(11), total;
    ["LOWER" | "LCASE"] "p_lower" 1..1 "s" Like(1), total;
    ["UPPER" | "UCASE"] "p_upper" 1..1 "s" Like(1), total;
    ["SUBSTRING" | "SUBSTR" | "MID"] "p_substring" 2..3 "sii" Like(1), total;
    ["SUBSTRING_INDEX"] "p_substring_index" 3..3 "wwi" Like(1), total;
    ["LEFT"] "p_left" 2..2 "si" Like(1), total;
    ["RIGHT"] "p_right" 2..2 "si" Like(1), total;
    ["LTRIM"] "p_ltrim" 1..1 "w" Like(1), total;
    ["RTRIM"] "p_rtrim" 1..1 "w" Like(1), total;
    ["REPLACE"] "p_replace" 3..3 "www" Text(65_535), total;
    ["REPEAT"] "p_repeat" 2..2 "si" Text(65_535);
    ["REVERSE"] "p_reverse" 1..1 "s" Like(1), total;
    ["LPAD"] "p_lpad" 3..3 "wiw" Text(65_535);
    ["RPAD"] "p_rpad" 3..3 "wiw" Text(65_535);
    ["INSERT"] "p_insert" 4..4 "wiiw" Sum, total;
    ["INSTR"] "p_instr" 2..2 "ww" Int(11), collated, total;
    ["LOCATE"] "p_locate" 2..3 "wwi" Int(11), collated, total;
    ["STATEMENT_DIGEST"] "p_statement_digest" 1..1 "t" Text(64);
    ["STATEMENT_DIGEST_TEXT"] "p_statement_digest_text" 1..1 "t" Text(67_108_864);
    ["EXTRACTVALUE"] "p_extract_value" 2..2 "tt" Text(67_108_864), collated;
    ["UPDATEXML"] "p_update_xml" 3..3 "ttt" Text(67_108_864), collated;
    ["ASCII"] "p_ascii" 1..1 "s" Int(4), total;
    ["ORD"] "p_ord" 1..1 "s" Int(21), total;
    ["UNHEX"] "p_unhex" 1..1 "t" Bytes(65_535);
    ["BIN"] "p_bin" 1..1 "u" Text(65);
    ["OCT"] "p_oct" 1..1 "u" Text(65);
    ["CONV"] "p_conv" 3..3 "tii" Text(65);
    ["SPACE"] "p_space" 1..1 "i" Text(65_535);
    ["STRCMP"] "p_strcmp" 2..2 "ww" Int(2), collated, total;
    ["ELT"] "p_elt" 2..MANY "iw" Text(65_535);
    ["FIND_IN_SET"] "p_find_in_set" 2..2 "ww" Int(11), collated, total;
    ["QUOTE"] "p_quote" 1..1 "t" Like(2);
    ["SOUNDEX"] "p_soundex" 1..1 "t" Text(255), total;
    ["TO_BASE64"] "p_to_base64" 1..1 "b" Text(65_535), total;
    ["FROM_BASE64"] "p_from_base64" 1..1 "t" Bytes(65_535);
    ["MD5"] "p_md5" 1..1 "b" Text(32), total;
    ["SHA1" | "SHA"] "p_sha1" 1..1 "b" Text(40), total;
    ["SHA2"] "p_sha2" 2..2 "bi" Text(128);
    ["CRC32"] "p_crc32" 1..1 "b" UInt, total;
    ["INET_ATON"] "p_inet_aton" 1..1 "t" UInt;
    ["INET_NTOA"] "p_inet_ntoa" 1..1 "u" Text(31);
    ["INET6_ATON"] "p_inet6_aton" 1..1 "t" Bytes(16);
    ["INET6_NTOA"] "p_inet6_ntoa" 1..1 "b" Text(39);
    ["GTID_SUBSET"] "p_gtid_subset" 2..2 "t" Int(21), total;
    ["GTID_SUBTRACT"] "p_gtid_subtract" 2..2 "t" Like(1);
    ["IS_IPV4"] "p_is_ipv4" 1..1 "t" Bool, total;
    ["IS_IPV6"] "p_is_ipv6" 1..1 "t" Bool, total;
    ["IS_IPV4_COMPAT"] "p_is_ipv4_compat" 1..1 "b" Bool, total;
    ["IS_IPV4_MAPPED"] "p_is_ipv4_mapped" 1..1 "b" Bool, total;
    ["MAKE_SET"] "p_make_set" 2..MANY "ut" Sum;
    ["EXPORT_SET"] "p_export_set" 3..5 "utttu" Text(4096);
    ["FORMAT_BYTES"] "p_format_bytes" 1..1 "r" Text(11);
    ["FORMAT_PICO_TIME"] "p_format_pico_time" 1..1 "r" Text(11);
    ["UUID_TO_BIN"] "p_uuid_to_bin" 1..2 "ti" Bytes(16);
    ["BIN_TO_UUID"] "p_bin_to_uuid" 1..2 "bi" Text(36);
    ["IS_UUID"] "p_is_uuid" 1..1 "t" Bool;
    ["REGEXP_LIKE"] "p_regexp_like" 2..3 "wwt" Bool, collated;
    ["REGEXP_REPLACE"] "p_regexp_replace" 3..6 "wwwiit" Text(65_535), collated;
    ["REGEXP_SUBSTR"] "p_regexp_substr" 2..5 "wwiit" Like(1), collated;
    ["REGEXP_INSTR"] "p_regexp_instr" 2..6 "wwiiit" Int(21), collated;
    ["SIN"] "p_sin" 1..1 "r" Real;
    ["COS"] "p_cos" 1..1 "r" Real;
    ["TAN"] "p_tan" 1..1 "r" Real;
    ["COT"] "p_cot" 1..1 "r" Real;
    ["ASIN"] "p_asin" 1..1 "r" Real;
    ["ACOS"] "p_acos" 1..1 "r" Real;
    ["ATAN" | "ATAN2"] "p_atan" 1..2 "r" Real;
    ["RADIANS"] "p_radians" 1..1 "r" Real;
    ["DEGREES"] "p_degrees" 1..1 "r" Real;
    ["SQRT"] "p_sqrt" 1..1 "r" Real;
    ["EXP"] "p_exp" 1..1 "r" Real;
    ["LN"] "p_ln" 1..1 "r" Real;
    ["LOG"] "p_log" 1..2 "r" Real;
    ["LOG2"] "p_log2" 1..1 "r" Real;
    ["LOG10"] "p_log10" 1..1 "r" Real;
    ["POW" | "POWER"] "p_pow" 2..2 "r" Real;
    ["PI"] "p_pi" 0..0 "r" Real, total;
    ["SIGN"] "p_sign" 1..1 "r" Int(21), total;
    ["BIT_COUNT"] "p_bit_count" 1..1 "u" Int(21), total;
    ["DATE"] "p_date" 1..1 "d" Date;
    ["YEAR"] "p_year" 1..1 "z" Int(4);
    ["MONTH"] "p_month" 1..1 "z" Int(3);
    ["DAY" | "DAYOFMONTH"] "p_day" 1..1 "z" Int(2);
    ["HOUR"] "p_hour" 1..1 "T" Int(4);
    ["MINUTE"] "p_minute" 1..1 "T" Int(3);
    ["SECOND"] "p_second" 1..1 "T" Int(3);
    ["MICROSECOND"] "p_microsecond" 1..1 "T" Int(21);
    ["QUARTER"] "p_quarter" 1..1 "z" Int(1);
    ["WEEK"] "p_week" 1..2 "di" Int(3);
    ["WEEKOFYEAR"] "p_weekofyear" 1..1 "d" Int(2);
    ["YEARWEEK"] "p_yearweek" 1..2 "di" Int(6);
    ["WEEKDAY"] "p_weekday" 1..1 "d" Int(1);
    ["DAYOFWEEK"] "p_dayofweek" 1..1 "d" Int(1);
    ["DAYOFYEAR"] "p_dayofyear" 1..1 "d" Int(3);
    ["DAYNAME"] "p_dayname" 1..1 "d" Text(9);
    ["MONTHNAME"] "p_monthname" 1..1 "d" Text(9);
    ["LAST_DAY"] "p_last_day" 1..1 "d" Date;
    ["TO_DAYS"] "p_to_days" 1..1 "d" Int(8);
    ["FROM_DAYS"] "p_from_days" 1..1 "i" Date;
    ["TO_SECONDS"] "p_to_seconds" 1..1 "d" Int(21);
    ["DATEDIFF"] "p_datediff" 2..2 "d" Int(9);
    ["DATE_FORMAT"] "p_date_format" 2..2 "zt" Text(255);
    ["TIME_FORMAT"] "p_time_format" 2..2 "Tt" Text(255);
    ["MAKEDATE"] "p_makedate" 2..2 "i" Date;
    ["SEC_TO_TIME"] "p_sec_to_time" 1..1 "n" Time;
    ["TIME_TO_SEC"] "p_time_to_sec" 1..1 "T" Int(10);
    ["PERIOD_ADD"] "p_period_add" 2..2 "i" Int(6);
    ["PERIOD_DIFF"] "p_period_diff" 2..2 "i" Int(6);
    ["CONVERT_TZ"] "p_convert_tz" 3..3 "dtt" DateTime;
    ["JSON_EXTRACT"] "p_json_extract" 2..MANY "jt" Json;
    ["JSON_UNQUOTE"] "p_json_unquote" 1..1 "t" Like(1);
    ["JSON_QUOTE"] "p_json_quote" 1..1 "t" Text(65_535), total;
    ["JSON_VALID"] "p_json_valid" 1..1 "t" Bool;
    ["JSON_TYPE"] "p_json_type" 1..1 "j" Text(17);
    ["JSON_LENGTH"] "p_json_length" 1..2 "jt" Int(21);
    ["JSON_DEPTH"] "p_json_depth" 1..1 "j" Int(21);
    ["JSON_KEYS"] "p_json_keys" 1..2 "jt" Json;
    ["JSON_REMOVE"] "p_json_remove" 2..MANY "jt" Json;
    ["JSON_STORAGE_SIZE"] "p_json_storage_size" 1..1 "j" Int(21);
    ["JSON_STORAGE_FREE"] "p_json_storage_free" 1..1 "j" Int(21);
    ["JSON_SCHEMA_VALID"] "p_json_schema_valid" 2..2 "j" Bool, total;
    ["JSON_SCHEMA_VALIDATION_REPORT"] "p_json_schema_validation_report" 2..2 "j" Json;
    ["JSON_PRETTY"] "p_json_pretty" 1..1 "j" Text(65_535);
    ["JSON_MERGE_PATCH"] "p_json_merge_patch" 2..MANY "j" Json;
    ["JSON_MERGE_PRESERVE" | "JSON_MERGE"] "p_json_merge_preserve" 2..MANY "j" Json;
};

/// The function of this name (upper case).
pub fn find(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|s| s.names.contains(&name))
}
