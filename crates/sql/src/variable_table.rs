//! The table of system variables: data only; what is done with it stands in [`crate::variables`].

use p2pdb_model::Value;

use crate::variables::{VERSION, VERSION_COMMENT};

/// Where a variable may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only SET GLOBAL.
    Global,
    /// Only SET SESSION.
    Session,
    /// Either.
    Both,
}

/// Types of variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// 0 or 1, shown as OFF and ON.
    Bool,
    /// A whole number, clamped with a warning.
    Int {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A number.
    Real {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Any text.
    Text,
    /// One of these words, or its number.
    Enum(&'static [&'static str]),
    /// A list of SQL modes, or their bits.
    SqlMode,
    /// A character set of a connection.
    Charset,
    /// A collation, or its number.
    Collation,
    /// A time zone.
    TimeZone,
}

/// Values before anybody sets one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Initial {
    Int(u64),
    Real(f64),
    Text(&'static str),
}
use Initial::{Int, Real, Text};

/// A system variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Lower-case name.
    pub name: &'static str,
    /// Where it may be set.
    pub scope: Scope,
    /// SET gives 1238.
    pub read_only: bool,
    /// SET takes the value that it has, since clients say it, and no other (1235).
    pub fixed: bool,
    /// Its type.
    pub kind: Kind,
    /// NULL may be assigned.
    pub nullable: bool,
    /// The text of warning 1287 when it is set.
    pub deprecated: Option<&'static str>,
    default: Initial,
}

impl Variable {
    /// The value it has when nobody set it.
    pub fn default_value(&self) -> Value {
        match self.default {
            Int(n) => Value::from_u64(n),
            Real(r) => Value::Real(r),
            Text(t) => Value::Text(t.to_owned()),
        }
    }

    /// A session takes it over when it begins, and cannot change it (error 1621).
    pub fn session_read_only(&self) -> bool {
        matches!(self.name, "max_allowed_packet" | "max_user_connections" | "net_buffer_length")
    }

    /// `SET name = DEFAULT` is error 1230.
    pub fn no_default(&self) -> bool {
        matches!(self.name, "identity" | "last_insert_id" | "rand_seed1" | "rand_seed2" | "pseudo_thread_id")
    }
}

const fn v(name: &'static str, scope: Scope, read_only: bool, kind: Kind, default: Initial) -> Variable {
    Variable { name, scope, read_only, fixed: false, kind, nullable: false, deprecated: None, default }
}

const fn fixed(name: &'static str, scope: Scope, kind: Kind, default: Initial) -> Variable {
    Variable { fixed: true, ..v(name, scope, false, kind, default) }
}

impl Variable {
    const fn nullable(self) -> Self {
        Variable { nullable: true, ..self }
    }
}

use Kind::{Bool, Charset, Collation, SqlMode, TimeZone};
use Scope::{Both, Global, Session};

/// Every variable, in order of name.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    v("activate_all_roles_on_login", Global, false, Bool, Int(0)),
    v("admin_address", Global, true, Kind::Text, Text("")),
    // The realm deals the values.
    v("auto_increment_increment", Both, false, Kind::Int { min: 1, max: 1 }, Int(1)),
    // The realm deals the values.
    v("auto_increment_offset", Both, false, Kind::Int { min: 1, max: 1 }, Int(1)),
    v("autocommit", Both, false, Bool, Int(1)),
    v("back_log", Global, true, Kind::Int { min: 1, max: 65535 }, Int(151)),
    v("basedir", Global, true, Kind::Text, Text("/usr/")),
    v("big_tables", Both, false, Bool, Int(0)),
    v("bind_address", Global, true, Kind::Text, Text("*")),
    v("binlog_cache_size", Global, false, Kind::Int { min: 4096, max: u64::MAX }, Int(32768)),
    v("binlog_expire_logs_seconds", Global, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(2592000)),
    fixed("binlog_format", Both, Kind::Enum(&["MIXED", "STATEMENT", "ROW"]), Text("ROW")),
    fixed("binlog_row_image", Both, Kind::Enum(&["MINIMAL", "NOBLOB", "FULL"]), Text("FULL")),
    v("block_encryption_mode", Both, false, Kind::Enum(crate::functions::cipher::MODES), Text("aes-128-ecb")),
    v("bulk_insert_buffer_size", Both, false, Kind::Int { min: 0, max: u64::MAX }, Int(8388608)),
    v("character_set_client", Both, false, Charset, Text("utf8mb4")),
    v("character_set_connection", Both, false, Charset, Text("utf8mb4")),
    v("character_set_database", Both, false, Charset, Text("utf8mb4")),
    v("character_set_filesystem", Both, false, Charset, Text("binary")),
    v("character_set_results", Both, false, Charset, Text("utf8mb4")).nullable(),
    v("character_set_server", Both, false, Charset, Text("utf8mb4")),
    v("character_set_system", Global, true, Kind::Text, Text("utf8mb3")),
    v("character_sets_dir", Global, true, Kind::Text, Text("")),
    v("collation_connection", Both, false, Collation, Text("utf8mb4_0900_ai_ci")),
    v("collation_database", Both, false, Collation, Text("utf8mb4_0900_ai_ci")),
    v("collation_server", Both, false, Collation, Text("utf8mb4_0900_ai_ci")),
    fixed("completion_type", Both, Kind::Enum(&["NO_CHAIN", "CHAIN", "RELEASE"]), Text("NO_CHAIN")),
    v("concurrent_insert", Global, true, Kind::Enum(&["NEVER", "AUTO", "ALWAYS"]), Text("AUTO")),
    v("connect_timeout", Global, false, Kind::Int { min: 2, max: 31536000 }, Int(10)),
    v("cte_max_recursion_depth", Both, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(1000)),
    v("datadir", Global, true, Kind::Text, Text("")),
    v("default_authentication_plugin", Global, true, Kind::Enum(&["caching_sha2_password"]), Text("caching_sha2_password")),
    v("default_collation_for_utf8mb4", Both, false, Collation, Text("utf8mb4_0900_ai_ci")),
    v("default_password_lifetime", Global, false, Kind::Int { min: 0, max: 65535 }, Int(0)),
    v("default_storage_engine", Both, false, Kind::Enum(&["InnoDB"]), Text("InnoDB")),
    fixed("default_table_encryption", Both, Bool, Int(0)),
    v("default_tmp_storage_engine", Both, false, Kind::Enum(&["InnoDB"]), Text("InnoDB")),
    v("default_week_format", Both, false, Kind::Int { min: 0, max: 7 }, Int(0)),
    v("disabled_storage_engines", Global, true, Kind::Text, Text("")),
    v("div_precision_increment", Both, false, Kind::Int { min: 0, max: 30 }, Int(4)),
    v("end_markers_in_json", Both, false, Bool, Int(0)),
    v("enforce_gtid_consistency", Global, true, Bool, Int(0)),
    v("eq_range_index_dive_limit", Both, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(200)),
    v("error_count", Session, true, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("event_scheduler", Global, true, Bool, Int(0)),
    v("explicit_defaults_for_timestamp", Both, false, Bool, Int(1)),
    v("external_user", Session, true, Kind::Text, Text("")),
    v("flush", Global, true, Bool, Int(0)),
    v("foreign_key_checks", Both, false, Bool, Int(1)),
    v("ft_boolean_syntax", Global, true, Kind::Text, Text("+ -><()~*:\"\"&|")),
    v("ft_max_word_len", Global, true, Kind::Int { min: 10, max: 84 }, Int(84)),
    v("ft_min_word_len", Global, true, Kind::Int { min: 1, max: 82 }, Int(4)),
    v("ft_query_expansion_limit", Global, true, Kind::Int { min: 0, max: 1000 }, Int(20)),
    v("ft_stopword_file", Global, true, Kind::Text, Text("(built-in)")),
    v("general_log", Global, true, Bool, Int(0)),
    v("generated_random_password_length", Both, false, Kind::Int { min: 5, max: 255 }, Int(20)),
    v("group_concat_max_len", Both, false, Kind::Int { min: 4, max: u64::MAX }, Int(1024)),
    v("gtid_executed", Global, true, Kind::Text, Text("")),
    v("gtid_mode", Global, true, Kind::Enum(&["OFF"]), Text("OFF")),
    v("gtid_next", Session, false, Kind::Enum(&["AUTOMATIC"]), Text("AUTOMATIC")),
    v("gtid_owned", Both, true, Kind::Text, Text("")),
    v("gtid_purged", Global, false, Kind::Text, Text("")),
    v("have_compress", Global, true, Kind::Enum(&["YES", "NO"]), Text("NO")),
    v("have_dynamic_loading", Global, true, Kind::Enum(&["YES", "NO"]), Text("NO")),
    v("have_geometry", Global, true, Kind::Enum(&["YES", "NO"]), Text("NO")),
    v("have_openssl", Global, true, Kind::Enum(&["YES", "NO", "DISABLED"]), Text("DISABLED")),
    v("have_profiling", Global, true, Kind::Enum(&["YES", "NO"]), Text("NO")),
    v("have_query_cache", Global, true, Kind::Enum(&["YES", "NO"]), Text("NO")),
    v("have_ssl", Global, true, Kind::Enum(&["YES", "NO", "DISABLED"]), Text("DISABLED")),
    v("have_symlink", Global, true, Kind::Enum(&["YES", "NO", "DISABLED"]), Text("DISABLED")),
    v("histogram_generation_max_mem_size", Both, false, Kind::Int { min: 1000000, max: u64::MAX }, Int(20000000)),
    v("hostname", Global, true, Kind::Text, Text("")),
    v("identity", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("information_schema_stats_expiry", Both, false, Kind::Int { min: 0, max: 31536000 }, Int(86400)),
    v("init_connect", Global, true, Kind::Text, Text("")),
    v("innodb_adaptive_hash_index", Global, true, Bool, Int(0)),
    v("innodb_autoinc_lock_mode", Global, true, Kind::Int { min: 0, max: 2 }, Int(2)),
    v("innodb_buffer_pool_size", Global, false, Kind::Int { min: 5242880, max: u64::MAX }, Int(134217728)),
    v("innodb_default_row_format", Global, true, Kind::Enum(&["redundant", "compact", "dynamic"]), Text("dynamic")),
    v("innodb_file_per_table", Global, true, Bool, Int(1)),
    v("innodb_flush_log_at_trx_commit", Global, true, Kind::Int { min: 0, max: 2 }, Int(1)),
    v("innodb_ft_enable_stopword", Both, true, Bool, Int(1)),
    v("innodb_ft_max_token_size", Global, true, Kind::Int { min: 10, max: 84 }, Int(84)),
    v("innodb_ft_min_token_size", Global, true, Kind::Int { min: 0, max: 16 }, Int(3)),
    v("innodb_io_capacity", Global, false, Kind::Int { min: 100, max: u64::MAX }, Int(200)),
    v("innodb_lock_wait_timeout", Both, false, Kind::Int { min: 1, max: 1073741824 }, Int(50)),
    v("innodb_log_file_size", Global, true, Kind::Int { min: 4194304, max: u64::MAX }, Int(50331648)),
    v("innodb_page_size", Global, true, Kind::Int { min: 4096, max: 65536 }, Int(16384)),
    v("innodb_read_only", Global, true, Bool, Int(0)),
    v("innodb_rollback_on_timeout", Global, true, Bool, Int(0)),
    v("innodb_stats_on_metadata", Global, false, Bool, Int(0)),
    v("innodb_strict_mode", Both, false, Bool, Int(1)),
    v("innodb_table_locks", Both, false, Bool, Int(1)),
    v("innodb_version", Global, true, Kind::Text, Text("8.0.40")),
    v("insert_id", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("interactive_timeout", Both, false, Kind::Int { min: 1, max: 31536000 }, Int(28800)),
    fixed("internal_tmp_mem_storage_engine", Both, Kind::Enum(&["MEMORY", "TempTable"]), Text("TempTable")),
    v("join_buffer_size", Both, false, Kind::Int { min: 128, max: u64::MAX }, Int(262144)),
    v("keep_files_on_create", Both, false, Bool, Int(0)),
    v("key_buffer_size", Global, false, Kind::Int { min: 0, max: u64::MAX }, Int(8388608)),
    v("large_files_support", Global, true, Bool, Int(1)),
    v("last_insert_id", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("lc_messages", Both, false, Kind::Enum(&["en_US"]), Text("en_US")),
    v("lc_time_names", Both, false, Kind::Enum(&["en_US"]), Text("en_US")),
    v("license", Global, true, Kind::Text, Text("Apache-2.0")),
    v("local_infile", Global, true, Bool, Int(0)),
    v("lock_wait_timeout", Both, false, Kind::Int { min: 1, max: 31536000 }, Int(31536000)),
    v("log_bin", Global, true, Bool, Int(0)),
    v("log_bin_trust_function_creators", Global, false, Bool, Int(0)),
    v("log_error", Global, true, Kind::Text, Text("stderr")),
    v("log_error_verbosity", Global, false, Kind::Int { min: 1, max: 3 }, Int(2)),
    v("log_output", Global, true, Kind::Enum(&["FILE", "TABLE", "NONE"]), Text("NONE")),
    v("log_queries_not_using_indexes", Global, false, Bool, Int(0)),
    v("log_replica_updates", Global, true, Bool, Int(1)),
    v("log_slave_updates", Global, true, Bool, Int(1)),
    v("long_query_time", Both, false, Kind::Real { min: 0.0, max: 31536000.0 }, Real(10.0)),
    v("low_priority_updates", Both, false, Bool, Int(0)),
    v("lower_case_file_system", Global, true, Bool, Int(0)),
    v("lower_case_table_names", Global, true, Kind::Int { min: 0, max: 2 }, Int(0)),
    v("max_allowed_packet", Both, false, Kind::Int { min: 1024, max: 1073741824 }, Int(67108864)),
    v("max_connect_errors", Global, false, Kind::Int { min: 1, max: u64::MAX }, Int(100)),
    v("max_connections", Global, false, Kind::Int { min: 1, max: 100000 }, Int(151)),
    v("max_error_count", Both, false, Kind::Int { min: 0, max: 65535 }, Int(1024)),
    v("max_execution_time", Both, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(0)),
    v("max_heap_table_size", Both, false, Kind::Int { min: 16384, max: u64::MAX }, Int(16777216)),
    v("max_join_size", Both, false, Kind::Int { min: 1, max: u64::MAX }, Int(u64::MAX)),
    v("max_length_for_sort_data", Both, false, Kind::Int { min: 4, max: 8388608 }, Int(4096)),
    v("max_points_in_geometry", Both, false, Kind::Int { min: 3, max: 1_048_576 }, Int(65536)),
    v("max_prepared_stmt_count", Global, false, Kind::Int { min: 0, max: 4194304 }, Int(16382)),
    v("max_seeks_for_key", Both, false, Kind::Int { min: 1, max: u64::MAX }, Int(u64::MAX)),
    v("max_sort_length", Both, false, Kind::Int { min: 4, max: 8388608 }, Int(1024)),
    v("max_sp_recursion_depth", Both, false, Kind::Int { min: 0, max: 255 }, Int(0)),
    v("max_user_connections", Both, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(0)),
    v("max_write_lock_count", Global, false, Kind::Int { min: 1, max: u64::MAX }, Int(u64::MAX)),
    v("min_examined_row_limit", Both, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("myisam_sort_buffer_size", Both, false, Kind::Int { min: 4096, max: u64::MAX }, Int(8_388_608)),
    v("myisam_use_mmap", Global, true, Bool, Int(0)),
    v("net_buffer_length", Both, false, Kind::Int { min: 1024, max: 1048576 }, Int(16384)),
    v("net_read_timeout", Both, false, Kind::Int { min: 1, max: 31536000 }, Int(30)),
    v("net_retry_count", Both, false, Kind::Int { min: 1, max: u64::MAX }, Int(10)),
    v("net_write_timeout", Both, false, Kind::Int { min: 1, max: 31536000 }, Int(60)),
    v("new", Both, false, Bool, Int(0)),
    v("ngram_token_size", Global, true, Kind::Int { min: 1, max: 10 }, Int(2)),
    v("offline_mode", Global, true, Bool, Int(0)),
    v("old", Global, true, Bool, Int(0)),
    v("old_alter_table", Both, false, Bool, Int(0)),
    v("open_files_limit", Global, true, Kind::Int { min: 0, max: u64::MAX }, Int(1048576)),
    v("optimizer_prune_level", Both, false, Kind::Int { min: 0, max: 1 }, Int(1)),
    v("optimizer_search_depth", Both, false, Kind::Int { min: 0, max: 62 }, Int(62)),
    v("optimizer_switch", Both, false, Kind::Text, Text("index_merge=on,index_condition_pushdown=on,materialization=on,semijoin=on,derived_merge=on")),
    fixed("optimizer_trace", Both, Kind::Text, Text("enabled=off,one_line=off")),
    v("password_history", Global, false, Kind::Int { min: 0, max: 4_294_967_295 }, Int(0)),
    v("performance_schema", Global, true, Bool, Int(0)),
    v("pid_file", Global, true, Kind::Text, Text("")),
    v("plugin_dir", Global, true, Kind::Text, Text("")),
    v("port", Global, true, Kind::Int { min: 0, max: 65535 }, Int(3306)),
    v("preload_buffer_size", Both, false, Kind::Int { min: 1024, max: 1073741824 }, Int(32768)),
    v("print_identified_with_as_hex", Both, false, Bool, Int(0)),
    fixed("profiling", Both, Bool, Int(0)),
    v("profiling_history_size", Both, false, Kind::Int { min: 0, max: 100 }, Int(15)),
    v("protocol_version", Global, true, Kind::Int { min: 0, max: 255 }, Int(10)),
    v("proxy_user", Session, true, Kind::Text, Text("")),
    v("pseudo_thread_id", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("query_alloc_block_size", Both, false, Kind::Int { min: 1024, max: 4_294_967_295 }, Int(8192)),
    v("query_cache_limit", Global, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("query_cache_min_res_unit", Global, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("query_cache_size", Global, false, Kind::Int { min: 0, max: 0 }, Int(0)),
    v("query_cache_type", Both, false, Kind::Enum(&["OFF"]), Text("OFF")),
    v("query_prealloc_size", Both, false, Kind::Int { min: 8192, max: u64::MAX }, Int(8192)),
    v("rand_seed1", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("rand_seed2", Session, false, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("range_alloc_block_size", Both, false, Kind::Int { min: 4096, max: u64::MAX }, Int(4096)),
    v("range_optimizer_max_mem_size", Both, false, Kind::Int { min: 0, max: u64::MAX }, Int(8388608)),
    v("read_buffer_size", Both, false, Kind::Int { min: 8192, max: u64::MAX }, Int(131072)),
    v("read_only", Global, true, Bool, Int(0)),
    v("read_rnd_buffer_size", Both, false, Kind::Int { min: 1, max: u64::MAX }, Int(262144)),
    v("report_host", Global, true, Kind::Text, Text("")),
    fixed("require_row_format", Session, Bool, Int(0)),
    v("require_secure_transport", Global, true, Bool, Int(0)),
    fixed("resultset_metadata", Session, Kind::Enum(&["NONE", "FULL"]), Text("FULL")),
    v("secure_file_priv", Global, true, Kind::Text, Text("NULL")),
    v("server_id", Global, true, Kind::Int { min: 0, max: 4_294_967_295 }, Int(1)),
    v("server_id_bits", Global, true, Kind::Int { min: 7, max: 32 }, Int(32)),
    v("server_uuid", Global, true, Kind::Text, Text("00000000-0000-0000-0000-000000000000")),
    v("session_track_gtids", Both, false, Kind::Enum(&["OFF", "OWN_GTID", "ALL_GTIDS"]), Text("OFF")),
    v("session_track_schema", Both, false, Bool, Int(1)),
    v("session_track_state_change", Both, false, Bool, Int(0)),
    v("session_track_system_variables", Both, false, Kind::Text, Text("time_zone,autocommit,character_set_client,character_set_results,character_set_connection")),
    v("session_track_transaction_info", Both, false, Kind::Enum(&["OFF", "STATE", "CHARACTERISTICS"]), Text("OFF")),
    v("show_create_table_skip_secondary_engine", Both, false, Bool, Int(0)),
    v("show_create_table_verbosity", Both, false, Bool, Int(0)),
    v("show_gipk_in_create_table_and_information_schema", Both, false, Bool, Int(1)),
    v("show_old_temporals", Both, false, Bool, Int(0)),
    v("skip_external_locking", Global, true, Bool, Int(1)),
    v("skip_name_resolve", Global, true, Bool, Int(1)),
    v("skip_networking", Global, true, Bool, Int(0)),
    v("skip_show_database", Global, true, Bool, Int(0)),
    v("slow_query_log", Global, false, Bool, Int(0)),
    v("socket", Global, true, Kind::Text, Text("")),
    v("sort_buffer_size", Both, false, Kind::Int { min: 32768, max: u64::MAX }, Int(262144)),
    fixed("sql_auto_is_null", Both, Bool, Int(0)),
    v("sql_big_selects", Both, false, Bool, Int(1)),
    v("sql_buffer_result", Both, false, Bool, Int(0)),
    fixed("sql_generate_invisible_primary_key", Both, Bool, Int(0)),
    v("sql_log_bin", Session, false, Bool, Int(1)),
    v("sql_log_off", Both, false, Bool, Int(0)),
    v("sql_mode", Both, false, SqlMode, Text("ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION")),
    v("sql_notes", Both, false, Bool, Int(1)),
    v("sql_quote_show_create", Both, false, Bool, Int(1)),
    fixed("sql_require_primary_key", Both, Bool, Int(0)),
    v("sql_safe_updates", Both, false, Bool, Int(0)),
    v("sql_select_limit", Both, false, Kind::Int { min: 0, max: u64::MAX }, Int(u64::MAX)),
    v("sql_warnings", Both, false, Bool, Int(0)),
    v("ssl_ca", Global, true, Kind::Text, Text("")),
    v("ssl_cert", Global, true, Kind::Text, Text("")),
    v("ssl_cipher", Global, true, Kind::Text, Text("")),
    v("ssl_key", Global, true, Kind::Text, Text("")),
    v("stored_program_cache", Global, false, Kind::Int { min: 16, max: 524288 }, Int(256)),
    v("super_read_only", Global, true, Bool, Int(0)),
    v("sync_binlog", Global, true, Kind::Int { min: 0, max: 4_294_967_295 }, Int(1)),
    v("system_time_zone", Global, true, Kind::Text, Text("UTC")),
    v("table_definition_cache", Global, false, Kind::Int { min: 400, max: 524288 }, Int(2000)),
    v("table_open_cache", Global, false, Kind::Int { min: 1, max: 524288 }, Int(4000)),
    v("thread_cache_size", Global, false, Kind::Int { min: 0, max: 16384 }, Int(9)),
    v("thread_stack", Global, true, Kind::Int { min: 131072, max: u64::MAX }, Int(1048576)),
    v("time_zone", Both, false, TimeZone, Text("SYSTEM")),
    v("timestamp", Session, false, Kind::Real { min: 0.0, max: 32536771199.0 }, Real(0.0)),
    v("tls_version", Global, true, Kind::Text, Text("TLSv1.2,TLSv1.3")),
    v("tmp_table_size", Both, false, Kind::Int { min: 1024, max: u64::MAX }, Int(16777216)),
    v("tmpdir", Global, true, Kind::Text, Text("/tmp")),
    v("transaction_alloc_block_size", Both, false, Kind::Int { min: 1024, max: 131072 }, Int(8192)),
    v("transaction_allow_batching", Session, false, Bool, Int(0)),
    v("transaction_isolation", Both, false, Kind::Enum(&["READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"]), Text("REPEATABLE-READ")),
    v("transaction_prealloc_size", Both, false, Kind::Int { min: 1024, max: 131072 }, Int(4096)),
    v("transaction_read_only", Both, false, Bool, Int(0)),
    v("tx_isolation", Both, false, Kind::Enum(&["READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ", "SERIALIZABLE"]), Text("REPEATABLE-READ")),
    v("tx_read_only", Both, false, Bool, Int(0)),
    v("unique_checks", Both, false, Bool, Int(1)),
    v("updatable_views_with_limit", Both, false, Bool, Int(1)),
    v("use_secondary_engine", Session, false, Bool, Int(1)),
    v("version", Global, true, Kind::Text, Text(VERSION)),
    v("version_comment", Global, true, Kind::Text, Text(VERSION_COMMENT)),
    v("version_compile_machine", Global, true, Kind::Text, Text(std::env::consts::ARCH)),
    v("version_compile_os", Global, true, Kind::Text, Text(std::env::consts::OS)),
    v("version_compile_zlib", Global, true, Kind::Text, Text("1.3.1")),
    v("wait_timeout", Both, false, Kind::Int { min: 1, max: 31536000 }, Int(28800)),
    v("warning_count", Session, true, Kind::Int { min: 0, max: u64::MAX }, Int(0)),
    v("windowing_use_high_precision", Both, false, Bool, Int(1)),
    v("xa_detach_on_prepare", Both, false, Bool, Int(1)),
];
