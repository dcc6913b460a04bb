//! The numbers of the protocol: capabilities, status flags, column flags, column types, character sets.
//!
//! Names and values are those of the MySQL 8.0 source documentation ("Group of status flags",
//! "Capabilities Flags", "enum_field_types"). Commands are not here: `command` parses them into an enum.

use bitflags::bitflags;

bitflags! {
    /// What client and server can do. Both sides send theirs in the handshake; the intersection holds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Capabilities: u32 {
        /// Set by every MySQL; a server that leaves it out is taken for MariaDB with extended capabilities.
        const LONG_PASSWORD = 1;
        /// Affected rows of UPDATE count the rows found, not the rows changed.
        const FOUND_ROWS = 1 << 1;
        /// Column flags have two bytes.
        const LONG_FLAG = 1 << 2;
        /// The handshake response names a database.
        const CONNECT_WITH_DB = 1 << 3;
        /// `db.table.column` is refused (obsolete).
        const NO_SCHEMA = 1 << 4;
        /// zlib compression; never advertised.
        const COMPRESS = 1 << 5;
        /// ODBC behaviour (no meaning since 3.22).
        const ODBC = 1 << 6;
        /// LOAD DATA LOCAL INFILE; never advertised.
        const LOCAL_FILES = 1 << 7;
        /// Spaces before `(` are ignored.
        const IGNORE_SPACE = 1 << 8;
        /// The 4.1 protocol; required.
        const PROTOCOL_41 = 1 << 9;
        /// `interactive_timeout` applies instead of `wait_timeout`.
        const INTERACTIVE = 1 << 10;
        /// TLS can be started by an SSLRequest.
        const SSL = 1 << 11;
        /// The client ignores SIGPIPE (client-side only).
        const IGNORE_SIGPIPE = 1 << 12;
        /// OK and EOF packets carry status flags.
        const TRANSACTIONS = 1 << 13;
        /// Reserved; sent by old clients.
        const RESERVED = 1 << 14;
        /// The 4.1 authentication ("SECURE_CONNECTION", later "RESERVED2"); required.
        const SECURE_CONNECTION = 1 << 15;
        /// COM_QUERY may hold several statements. COM_SET_OPTION changes it later.
        const MULTI_STATEMENTS = 1 << 16;
        /// COM_QUERY may answer several results.
        const MULTI_RESULTS = 1 << 17;
        /// COM_STMT_EXECUTE may answer several results.
        const PS_MULTI_RESULTS = 1 << 18;
        /// Authentication plugins are named.
        const PLUGIN_AUTH = 1 << 19;
        /// The handshake response carries connection attributes.
        const CONNECT_ATTRS = 1 << 20;
        /// The authentication response has a length-encoded length.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// The client can handle expired passwords.
        const CAN_HANDLE_EXPIRED_PASSWORDS = 1 << 22;
        /// OK packets carry session state changes.
        const SESSION_TRACK = 1 << 23;
        /// EOF packets are gone; result sets end with an OK packet with header 0xFE.
        const DEPRECATE_EOF = 1 << 24;
        /// Result set metadata can be left out; never advertised.
        const OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// zstd compression; never advertised.
        const ZSTD = 1 << 26;
        /// COM_QUERY and COM_STMT_EXECUTE carry query attributes.
        const QUERY_ATTRIBUTES = 1 << 27;
        /// Multi-factor authentication; never advertised.
        const MULTI_FACTOR_AUTH = 1 << 28;
        /// Extension bit of client programs (no meaning on the wire).
        const CAPABILITY_EXTENSION = 1 << 29;
        /// The client verifies the server's certificate (client-side only).
        const SSL_VERIFY_SERVER_CERT = 1 << 30;
        /// The client keeps its options after a failed connect (client-side only).
        const REMEMBER_OPTIONS = 1 << 31;
    }
}

impl Capabilities {
    /// What this server offers, TLS apart. No LOCAL INFILE, no compression.
    pub const SERVER: Capabilities = Capabilities::LONG_PASSWORD
        .union(Capabilities::FOUND_ROWS)
        .union(Capabilities::LONG_FLAG)
        .union(Capabilities::CONNECT_WITH_DB)
        .union(Capabilities::NO_SCHEMA)
        .union(Capabilities::ODBC)
        .union(Capabilities::IGNORE_SPACE)
        .union(Capabilities::PROTOCOL_41)
        .union(Capabilities::INTERACTIVE)
        .union(Capabilities::IGNORE_SIGPIPE)
        .union(Capabilities::TRANSACTIONS)
        .union(Capabilities::RESERVED)
        .union(Capabilities::SECURE_CONNECTION)
        .union(Capabilities::MULTI_STATEMENTS)
        .union(Capabilities::MULTI_RESULTS)
        .union(Capabilities::PS_MULTI_RESULTS)
        .union(Capabilities::PLUGIN_AUTH)
        .union(Capabilities::CONNECT_ATTRS)
        .union(Capabilities::PLUGIN_AUTH_LENENC)
        .union(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS)
        .union(Capabilities::SESSION_TRACK)
        .union(Capabilities::DEPRECATE_EOF)
        .union(Capabilities::QUERY_ATTRIBUTES);
}

bitflags! {
    /// The state of the session, in every OK and EOF packet.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StatusFlags: u16 {
        /// A transaction is open.
        const IN_TRANS = 1;
        /// `autocommit` is on.
        const AUTOCOMMIT = 1 << 1;
        /// Another result follows this one.
        const MORE_RESULTS_EXISTS = 1 << 3;
        /// No good index was used.
        const NO_GOOD_INDEX_USED = 1 << 4;
        /// No index was used.
        const NO_INDEX_USED = 1 << 5;
        /// A cursor was opened; never set, cursors are not offered.
        const CURSOR_EXISTS = 1 << 6;
        /// The last row of a cursor was sent.
        const LAST_ROW_SENT = 1 << 7;
        /// A database was dropped.
        const DB_DROPPED = 1 << 8;
        /// sql_mode has NO_BACKSLASH_ESCAPES (clients escape strings accordingly).
        const NO_BACKSLASH_ESCAPES = 1 << 9;
        /// The metadata of a prepared statement changed.
        const METADATA_CHANGED = 1 << 10;
        /// The query was slow.
        const QUERY_WAS_SLOW = 1 << 11;
        /// This result holds the OUT parameters of a procedure.
        const PS_OUT_PARAMS = 1 << 12;
        /// The open transaction is read only.
        const IN_TRANS_READONLY = 1 << 13;
        /// Session state changes follow in this OK packet. Set by the encoder, not by the caller.
        const SESSION_STATE_CHANGED = 1 << 14;
    }
}

bitflags! {
    /// Properties of a column in a column definition.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ColumnFlags: u16 {
        /// NOT NULL.
        const NOT_NULL = 1;
        /// Part of the primary key.
        const PRIMARY_KEY = 1 << 1;
        /// Part of a unique key.
        const UNIQUE_KEY = 1 << 2;
        /// Part of a key that is not unique.
        const MULTIPLE_KEY = 1 << 3;
        /// BLOB or TEXT.
        const BLOB = 1 << 4;
        /// UNSIGNED.
        const UNSIGNED = 1 << 5;
        /// ZEROFILL: integers are padded with zeros to `length` in the text protocol.
        const ZEROFILL = 1 << 6;
        /// Binary collation.
        const BINARY = 1 << 7;
        /// ENUM.
        const ENUM = 1 << 8;
        /// AUTO_INCREMENT.
        const AUTO_INCREMENT = 1 << 9;
        /// TIMESTAMP.
        const TIMESTAMP = 1 << 10;
        /// SET.
        const SET = 1 << 11;
        /// NOT NULL without a default.
        const NO_DEFAULT_VALUE = 1 << 12;
        /// Changes with every UPDATE (ON UPDATE CURRENT_TIMESTAMP).
        const ON_UPDATE_NOW = 1 << 13;
        /// A number (set by clients, too).
        const NUM = 1 << 15;
    }
}

/// The type of a column or of a parameter on the wire (`enum_field_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ColumnType {
    /// DECIMAL of MySQL before 5.0; as a parameter it is text.
    Decimal = 0,
    /// TINYINT, one byte.
    Tiny = 1,
    /// SMALLINT, two bytes.
    Short = 2,
    /// INT, four bytes.
    Long = 3,
    /// FLOAT, four bytes.
    Float = 4,
    /// DOUBLE, eight bytes.
    Double = 5,
    /// The type of NULL.
    Null = 6,
    /// TIMESTAMP.
    Timestamp = 7,
    /// BIGINT, eight bytes.
    LongLong = 8,
    /// MEDIUMINT, four bytes on the wire.
    Int24 = 9,
    /// DATE.
    Date = 10,
    /// TIME.
    Time = 11,
    /// DATETIME.
    DateTime = 12,
    /// YEAR, two bytes.
    Year = 13,
    /// DATE in the server's storage; some clients send it.
    NewDate = 14,
    /// VARCHAR in the server's storage; clients send it for strings.
    VarChar = 15,
    /// BIT, big-endian bytes.
    Bit = 16,
    /// TIMESTAMP in the server's storage.
    Timestamp2 = 17,
    /// DATETIME in the server's storage.
    DateTime2 = 18,
    /// TIME in the server's storage.
    Time2 = 19,
    /// JSON.
    Json = 245,
    /// DECIMAL, text on the wire.
    NewDecimal = 246,
    /// ENUM (result columns are sent as `String` with the ENUM flag).
    Enum = 247,
    /// SET (result columns are sent as `String` with the SET flag).
    Set = 248,
    /// TINYBLOB, TINYTEXT.
    TinyBlob = 249,
    /// MEDIUMBLOB, MEDIUMTEXT.
    MediumBlob = 250,
    /// LONGBLOB, LONGTEXT.
    LongBlob = 251,
    /// BLOB, TEXT.
    Blob = 252,
    /// VARCHAR, VARBINARY.
    VarString = 253,
    /// CHAR, BINARY.
    String = 254,
    /// GEOMETRY.
    Geometry = 255,
}

impl ColumnType {
    /// The type with this number on the wire, if there is one.
    pub fn from_wire(byte: u8) -> Option<ColumnType> {
        use ColumnType::*;
        Some(match byte {
            0 => Decimal,
            1 => Tiny,
            2 => Short,
            3 => Long,
            4 => Float,
            5 => Double,
            6 => Null,
            7 => Timestamp,
            8 => LongLong,
            9 => Int24,
            10 => Date,
            11 => Time,
            12 => DateTime,
            13 => Year,
            14 => NewDate,
            15 => VarChar,
            16 => Bit,
            17 => Timestamp2,
            18 => DateTime2,
            19 => Time2,
            245 => Json,
            246 => NewDecimal,
            247 => Enum,
            248 => Set,
            249 => TinyBlob,
            250 => MediumBlob,
            251 => LongBlob,
            252 => Blob,
            253 => VarString,
            254 => String,
            255 => Geometry,
            _ => return None,
        })
    }
}

/// Character set and collation numbers that the protocol itself needs. The whole table of collations belongs to `sql`.
pub mod charset {
    /// `utf8mb3_general_ci`, what old clients name.
    pub const UTF8MB3_GENERAL_CI: u16 = 33;
    /// `utf8mb4_general_ci`.
    pub const UTF8MB4_GENERAL_CI: u16 = 45;
    /// `utf8mb4_bin`.
    pub const UTF8MB4_BIN: u16 = 46;
    /// `binary`: bytes, numbers, dates.
    pub const BINARY: u16 = 63;
    /// `utf8mb4_0900_ai_ci`, the default of MySQL 8 and of this server.
    pub const UTF8MB4_0900_AI_CI: u16 = 255;
}

/// `decimals` of a column whose number of fraction digits is not fixed (FLOAT, DOUBLE, strings).
pub const DECIMALS_NOT_FIXED: u8 = 31;
