//! MySQL 8's built-in functions and operators, all of them, with the state of each here.
//!
//! The names are those of the table in the manual's chapter "Built-In Function and Operator Reference". What stands here
//! as refused is refused by this table ([`super::call`]); what stands here as working is proven by
//! `tests/functions.rs`, which also writes `docs/functions.md` from it.

/// What becomes of a function or operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does what it does in MySQL.
    Works,
    /// 3566, as in MySQL: it is for the server's own views.
    Rejected,
    /// 1235, for this reason.
    Refused(&'static str),
}

/// Functions and operators of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// The kind, as a heading.
    pub title: &'static str,
    /// Operators, which all work.
    pub operators: &'static [&'static str],
    /// Functions that work, in capitals.
    pub works: &'static [&'static str],
    /// Functions that do not, in capitals, and why.
    pub refused: &'static [(&'static [&'static str], &'static str)],
}

/// The table.
#[rustfmt::skip]
pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Comparison and flow",
        operators: &[
            "=", "<=>", "<>", "!=", "<", "<=", ">", ">=", "BETWEEN", "NOT BETWEEN", "IN", "NOT IN", "IS", "IS NOT", "IS NULL",
            "IS NOT NULL", "LIKE", "NOT LIKE", "EXISTS", "NOT EXISTS", "CASE",
        ],
        works: &["COALESCE", "GREATEST", "IF", "IFNULL", "INTERVAL", "ISNULL", "LEAST", "NULLIF", "STRCMP"],
        refused: &[],
    },
    Chapter {
        title: "Logic and assignment",
        operators: &["AND", "&&", "OR", "||", "NOT", "!", "XOR", ":=", "= (in SET)"],
        works: &[],
        refused: &[],
    },
    Chapter {
        title: "Numbers",
        operators: &["+", "-", "- (unary)", "*", "/", "DIV", "%", "MOD"],
        works: &[
            "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "CEIL", "CEILING", "CONV", "COS", "COT", "CRC32", "DEGREES", "EXP", "FLOOR",
            "LN", "LOG", "LOG10", "LOG2", "MOD", "PI", "POW", "POWER", "RADIANS", "RAND", "ROUND", "SIGN", "SIN", "SQRT", "TAN",
            "TRUNCATE",
        ],
        refused: &[],
    },
    Chapter {
        title: "Bits",
        operators: &["&", "|", "^", "~", "<<", ">>"],
        works: &["BIT_COUNT"],
        refused: &[],
    },
    Chapter {
        title: "Dates and times",
        operators: &["+ INTERVAL", "- INTERVAL"],
        works: &[
            "ADDDATE", "ADDTIME", "CONVERT_TZ", "CURDATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURTIME",
            "DATE", "DATEDIFF", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DAY", "DAYNAME", "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR",
            "EXTRACT", "FROM_DAYS", "FROM_UNIXTIME", "GET_FORMAT", "HOUR", "LAST_DAY", "LOCALTIME", "LOCALTIMESTAMP",
            "MAKEDATE", "MAKETIME", "MICROSECOND", "MINUTE", "MONTH", "MONTHNAME", "NOW", "PERIOD_ADD", "PERIOD_DIFF",
            "QUARTER", "SECOND", "SEC_TO_TIME", "STR_TO_DATE", "SUBDATE", "SUBTIME", "SYSDATE", "TIME", "TIMEDIFF",
            "TIMESTAMP", "TIMESTAMPADD", "TIMESTAMPDIFF", "TIME_FORMAT", "TIME_TO_SEC", "TO_DAYS", "TO_SECONDS",
            "UNIX_TIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "WEEK", "WEEKDAY", "WEEKOFYEAR", "YEAR", "YEARWEEK",
        ],
        refused: &[],
    },
    Chapter {
        title: "Texts",
        operators: &["REGEXP", "NOT REGEXP", "RLIKE", "SOUNDS LIKE", "COLLATE"],
        works: &[
            "ASCII", "BIN", "BIT_LENGTH", "CHAR", "CHARACTER_LENGTH", "CHAR_LENGTH", "CONCAT", "CONCAT_WS", "ELT", "EXPORT_SET",
            "FIELD", "FIND_IN_SET", "FORMAT", "FROM_BASE64", "HEX", "INSERT", "INSTR", "LCASE", "LEFT", "LENGTH", "LOAD_FILE",
            "LOCATE", "LOWER", "LPAD", "LTRIM", "MAKE_SET", "MATCH", "MID", "OCT", "OCTET_LENGTH", "ORD", "POSITION", "QUOTE",
            "REGEXP_INSTR", "REGEXP_LIKE", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REPEAT", "REPLACE", "REVERSE", "RIGHT", "RPAD",
            "RTRIM", "SOUNDEX", "SPACE", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "TO_BASE64", "TRIM", "UCASE", "UNHEX",
            "UPPER", "WEIGHT_STRING",
        ],
        refused: &[],
    },
    Chapter {
        title: "Conversion",
        operators: &["BINARY", "_utf8mb4 (introducer)"],
        works: &["CAST", "CONVERT", "CHARSET", "COERCIBILITY", "COLLATION"],
        refused: &[],
    },
    Chapter {
        title: "Aggregates",
        operators: &["COUNT(DISTINCT)"],
        works: &[
            "ANY_VALUE", "AVG", "BIT_AND", "BIT_OR", "BIT_XOR", "COUNT", "GROUPING", "GROUP_CONCAT", "JSON_ARRAYAGG",
            "JSON_OBJECTAGG", "MAX", "MIN", "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "SUM", "VARIANCE", "VAR_POP",
            "VAR_SAMP",
        ],
        refused: &[],
    },
    Chapter {
        title: "Windows",
        operators: &["OVER"],
        works: &[
            "CUME_DIST", "DENSE_RANK", "FIRST_VALUE", "LAG", "LAST_VALUE", "LEAD", "NTH_VALUE", "NTILE", "PERCENT_RANK",
            "RANK", "ROW_NUMBER",
        ],
        refused: &[],
    },
    Chapter {
        title: "JSON",
        operators: &["->", "->>", "MEMBER OF"],
        works: &[
            "JSON_ARRAY", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT", "JSON_CONTAINS", "JSON_CONTAINS_PATH", "JSON_DEPTH",
            "JSON_EXTRACT", "JSON_INSERT", "JSON_KEYS", "JSON_LENGTH", "JSON_MERGE", "JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE",
            "JSON_OBJECT", "JSON_OVERLAPS", "JSON_PRETTY", "JSON_QUOTE", "JSON_REMOVE", "JSON_REPLACE", "JSON_SCHEMA_VALID", "JSON_SCHEMA_VALIDATION_REPORT", "JSON_SEARCH",
            "JSON_SET", "JSON_STORAGE_FREE", "JSON_STORAGE_SIZE", "JSON_TABLE", "JSON_TYPE", "JSON_UNQUOTE", "JSON_VALID", "JSON_VALUE",
        ],
        refused: &[],
    },
    Chapter {
        title: "XML",
        operators: &[],
        works: &["EXTRACTVALUE", "UPDATEXML"],
        refused: &[],
    },
    Chapter {
        title: "Encryption, hashes, compression",
        operators: &[],
        works: &[
            "AES_DECRYPT", "AES_ENCRYPT", "COMPRESS", "MD5", "RANDOM_BYTES", "SHA", "SHA1", "SHA2", "UNCOMPRESS",
            "STATEMENT_DIGEST", "STATEMENT_DIGEST_TEXT", "UNCOMPRESSED_LENGTH", "VALIDATE_PASSWORD_STRENGTH",
        ],
        refused: &[],
    },
    Chapter {
        title: "Addresses, UUIDs and other things",
        operators: &[],
        works: &[
            "BIN_TO_UUID", "DEFAULT", "INET6_ATON", "INET6_NTOA", "INET_ATON", "INET_NTOA", "IS_IPV4", "IS_IPV4_COMPAT",
            "IS_IPV4_MAPPED", "IS_IPV6", "IS_UUID", "NAME_CONST", "SLEEP", "UUID", "UUID_SHORT", "UUID_TO_BIN", "VALUES",
        ],
        refused: &[],
    },
    Chapter {
        title: "Locks by name",
        operators: &[],
        works: &["GET_LOCK", "IS_FREE_LOCK", "IS_USED_LOCK", "RELEASE_ALL_LOCKS", "RELEASE_LOCK"],
        refused: &[],
    },
    Chapter {
        title: "Information",
        operators: &[],
        works: &[
            "BENCHMARK", "CONNECTION_ID", "CURRENT_ROLE", "CURRENT_USER", "DATABASE", "FOUND_ROWS", "LAST_INSERT_ID", "ROW_COUNT", "SCHEMA",
            "SESSION_USER", "SYSTEM_USER", "USER", "VERSION",
        ],
        refused: &[
            (&["ICU_VERSION"], "the library for regular expressions is another"),
            (&["ROLES_GRAPHML"], "there are no roles yet"),
        ],
    },
    Chapter {
        title: "Performance schema",
        operators: &[],
        works: &["FORMAT_BYTES", "FORMAT_PICO_TIME"],
        refused: &[(&["PS_CURRENT_THREAD_ID", "PS_THREAD_ID"], "sessions are no threads here")],
    },
    Chapter {
        title: "Replication",
        operators: &[],
        works: &[
            "GTID_SUBSET", "GTID_SUBTRACT", "MASTER_POS_WAIT", "SOURCE_POS_WAIT", "WAIT_FOR_EXECUTED_GTID_SET",
        ],
        refused: &[
            (&["WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS"], "there is no thread that applies a source's log"),
            (
                &[
                    "ASYNCHRONOUS_CONNECTION_FAILOVER_ADD_MANAGED", "ASYNCHRONOUS_CONNECTION_FAILOVER_ADD_SOURCE",
                    "ASYNCHRONOUS_CONNECTION_FAILOVER_DELETE_MANAGED", "ASYNCHRONOUS_CONNECTION_FAILOVER_DELETE_SOURCE",
                    "ASYNCHRONOUS_CONNECTION_FAILOVER_RESET",
                ],
                "there are no sources and replicas: all nodes are alike",
            ),
            (
                &[
                    "GROUP_REPLICATION_DISABLE_MEMBER_ACTION", "GROUP_REPLICATION_ENABLE_MEMBER_ACTION",
                    "GROUP_REPLICATION_GET_COMMUNICATION_PROTOCOL", "GROUP_REPLICATION_GET_WRITE_CONCURRENCY",
                    "GROUP_REPLICATION_RESET_MEMBER_ACTIONS", "GROUP_REPLICATION_SET_AS_PRIMARY",
                    "GROUP_REPLICATION_SET_COMMUNICATION_PROTOCOL", "GROUP_REPLICATION_SET_WRITE_CONCURRENCY",
                    "GROUP_REPLICATION_SWITCH_TO_MULTI_PRIMARY_MODE", "GROUP_REPLICATION_SWITCH_TO_SINGLE_PRIMARY_MODE",
                ],
                "there is no group replication: all nodes are alike",
            ),
        ],
    },
    Chapter {
        title: "Geometry",
        operators: &[],
        works: &[],
        refused: &[(
            &[
                "GEOMCOLLECTION", "GEOMETRYCOLLECTION", "LINESTRING", "MBRCONTAINS", "MBRCOVEREDBY", "MBRCOVERS",
                "MBRDISJOINT", "MBREQUALS", "MBRINTERSECTS", "MBROVERLAPS", "MBRTOUCHES", "MBRWITHIN", "MULTILINESTRING",
                "MULTIPOINT", "MULTIPOLYGON", "POINT", "POLYGON",
                "ST_AREA", "ST_ASBINARY", "ST_ASGEOJSON", "ST_ASTEXT", "ST_ASWKB", "ST_ASWKT", "ST_BUFFER",
                "ST_BUFFER_STRATEGY", "ST_CENTROID", "ST_COLLECT", "ST_CONTAINS", "ST_CONVEXHULL", "ST_CROSSES",
                "ST_DIFFERENCE", "ST_DIMENSION", "ST_DISJOINT", "ST_DISTANCE", "ST_DISTANCE_SPHERE", "ST_ENDPOINT",
                "ST_ENVELOPE", "ST_EQUALS", "ST_EXTERIORRING", "ST_FRECHETDISTANCE", "ST_GEOHASH", "ST_GEOMCOLLFROMTEXT",
                "ST_GEOMCOLLFROMTXT", "ST_GEOMCOLLFROMWKB", "ST_GEOMETRYCOLLECTIONFROMTEXT", "ST_GEOMETRYCOLLECTIONFROMWKB",
                "ST_GEOMETRYFROMTEXT", "ST_GEOMETRYFROMWKB", "ST_GEOMETRYN", "ST_GEOMETRYTYPE", "ST_GEOMFROMGEOJSON",
                "ST_GEOMFROMTEXT", "ST_GEOMFROMWKB", "ST_HAUSDORFFDISTANCE", "ST_INTERIORRINGN", "ST_INTERSECTION",
                "ST_INTERSECTS", "ST_ISCLOSED", "ST_ISEMPTY", "ST_ISSIMPLE", "ST_ISVALID", "ST_LATFROMGEOHASH", "ST_LATITUDE",
                "ST_LENGTH", "ST_LINEFROMTEXT", "ST_LINEFROMWKB", "ST_LINEINTERPOLATEPOINT", "ST_LINEINTERPOLATEPOINTS",
                "ST_LINESTRINGFROMTEXT", "ST_LINESTRINGFROMWKB", "ST_LONGFROMGEOHASH", "ST_LONGITUDE", "ST_MAKEENVELOPE",
                "ST_MLINEFROMTEXT", "ST_MLINEFROMWKB", "ST_MPOINTFROMTEXT", "ST_MPOINTFROMWKB", "ST_MPOLYFROMTEXT",
                "ST_MPOLYFROMWKB", "ST_MULTILINESTRINGFROMTEXT", "ST_MULTILINESTRINGFROMWKB", "ST_MULTIPOINTFROMTEXT",
                "ST_MULTIPOINTFROMWKB", "ST_MULTIPOLYGONFROMTEXT", "ST_MULTIPOLYGONFROMWKB", "ST_NUMGEOMETRIES",
                "ST_NUMINTERIORRING", "ST_NUMINTERIORRINGS", "ST_NUMPOINTS", "ST_OVERLAPS", "ST_POINTATDISTANCE",
                "ST_POINTFROMGEOHASH", "ST_POINTFROMTEXT", "ST_POINTFROMWKB", "ST_POINTN", "ST_POLYFROMTEXT",
                "ST_POLYFROMWKB", "ST_POLYGONFROMTEXT", "ST_POLYGONFROMWKB", "ST_SIMPLIFY", "ST_SRID", "ST_STARTPOINT",
                "ST_SWAPXY", "ST_SYMDIFFERENCE", "ST_TOUCHES", "ST_TRANSFORM", "ST_UNION", "ST_VALIDATE", "ST_WITHIN", "ST_X",
                "ST_Y",
            ],
            "there are no spatial types",
        )],
    },
];

/// Functions that MySQL keeps for the views of its information schema.
#[rustfmt::skip]
pub const REJECTED: &[&str] = &[
    "CAN_ACCESS_COLUMN", "CAN_ACCESS_DATABASE", "CAN_ACCESS_TABLE", "CAN_ACCESS_USER", "CAN_ACCESS_VIEW",
    "GET_DD_COLUMN_PRIVILEGES", "GET_DD_CREATE_OPTIONS", "GET_DD_INDEX_SUB_PART_LENGTH", "INTERNAL_AUTO_INCREMENT",
    "INTERNAL_AVG_ROW_LENGTH", "INTERNAL_CHECK_TIME", "INTERNAL_CHECKSUM", "INTERNAL_DATA_FREE", "INTERNAL_DATA_LENGTH",
    "INTERNAL_DD_CHAR_LENGTH", "INTERNAL_GET_COMMENT_OR_ERROR", "INTERNAL_GET_ENABLED_ROLE_JSON", "INTERNAL_GET_HOSTNAME",
    "INTERNAL_GET_USERNAME", "INTERNAL_GET_VIEW_WARNING_OR_ERROR", "INTERNAL_INDEX_COLUMN_CARDINALITY",
    "INTERNAL_INDEX_LENGTH", "INTERNAL_IS_ENABLED_ROLE", "INTERNAL_IS_MANDATORY_ROLE", "INTERNAL_KEYS_DISABLED",
    "INTERNAL_MAX_DATA_LENGTH", "INTERNAL_TABLE_ROWS", "INTERNAL_UPDATE_TIME",
];

/// The state of the function of this name (upper case), if MySQL has one.
pub fn state(name: &str) -> Option<State> {
    if REJECTED.contains(&name) {
        return Some(State::Rejected);
    }
    for chapter in CHAPTERS {
        if chapter.works.contains(&name) {
            return Some(State::Works);
        }
        if let Some((_, reason)) = chapter.refused.iter().find(|(names, _)| names.contains(&name)) {
            return Some(State::Refused(reason));
        }
    }
    None
}
