//! Tables about things that do not exist here. They are there because clients join them.

use std::sync::Arc;

use p2pdb_model::Value::Null;
use p2pdb_model::catalog::Table;

use super::Ty::{Count, Enum, Int, Long, Set, Stamp, Text, UInt, When};
use super::objects::{sorted, table_status};
use crate::virtuals::programs::SQL_MODES;
use crate::virtuals::{Col, Cx, Row, text};

const INTERVALS: &[&str] = &[
    "YEAR",
    "QUARTER",
    "MONTH",
    "DAY",
    "HOUR",
    "MINUTE",
    "WEEK",
    "SECOND",
    "MICROSECOND",
    "YEAR_MONTH",
    "DAY_HOUR",
    "DAY_MINUTE",
    "DAY_SECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MINUTE_SECOND",
    "DAY_MICROSECOND",
    "HOUR_MICROSECOND",
    "MINUTE_MICROSECOND",
    "SECOND_MICROSECOND",
];

pub(super) const EVENTS: &[Col] = &[
    ("EVENT_CATALOG", Text(64), true),
    ("EVENT_SCHEMA", Text(64), true),
    ("EVENT_NAME", Text(64), true),
    ("DEFINER", Text(288), true),
    ("TIME_ZONE", Text(64), true),
    ("EVENT_BODY", Text(3), true),
    ("EVENT_DEFINITION", Long, true),
    ("EVENT_TYPE", Text(9), true),
    ("EXECUTE_AT", When, false),
    ("INTERVAL_VALUE", Text(256), false),
    ("INTERVAL_FIELD", Enum(INTERVALS), false),
    ("SQL_MODE", Set(SQL_MODES), true),
    ("STARTS", When, false),
    ("ENDS", When, false),
    ("STATUS", Text(21), true),
    ("ON_COMPLETION", Text(12), true),
    ("CREATED", Stamp, true),
    ("LAST_ALTERED", Stamp, true),
    ("LAST_EXECUTED", When, false),
    ("EVENT_COMMENT", Text(2048), true),
    ("ORIGINATOR", Count, true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

pub(super) const PARTITIONS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("PARTITION_NAME", Text(64), false),
    ("SUBPARTITION_NAME", Text(64), false),
    ("PARTITION_ORDINAL_POSITION", UInt, false),
    ("SUBPARTITION_ORDINAL_POSITION", UInt, false),
    ("PARTITION_METHOD", Text(13), false),
    ("SUBPARTITION_METHOD", Text(13), false),
    ("PARTITION_EXPRESSION", Text(2048), false),
    ("SUBPARTITION_EXPRESSION", Text(2048), false),
    ("PARTITION_DESCRIPTION", Long, false),
    ("TABLE_ROWS", UInt, false),
    ("AVG_ROW_LENGTH", UInt, false),
    ("DATA_LENGTH", UInt, false),
    ("MAX_DATA_LENGTH", UInt, false),
    ("INDEX_LENGTH", UInt, false),
    ("DATA_FREE", UInt, false),
    ("CREATE_TIME", Stamp, false),
    ("UPDATE_TIME", When, false),
    ("CHECK_TIME", When, false),
    ("CHECKSUM", Int, false),
    ("PARTITION_COMMENT", Long, true),
    ("NODEGROUP", Text(256), false),
    ("TABLESPACE_NAME", Text(268), false),
];

pub(super) fn partitions(cx: &Cx<'_>) -> Vec<Row> {
    let row = |t: &Arc<Table>| {
        let status = table_status(cx, t);
        let mut row = vec![text("def"), text(&t.database), text(&t.name)];
        row.resize(12, Null);
        row.extend(status[3..9].iter().cloned());
        row.extend([Null, Null, Null, Null, text(""), Null, Null]);
        row
    };
    sorted(cx).into_iter().map(row).collect()
}

pub(super) const FILES: &[Col] = &[
    ("FILE_ID", Int, false),
    ("FILE_NAME", Long, false),
    ("FILE_TYPE", Text(256), false),
    ("TABLESPACE_NAME", Text(268), true),
    ("TABLE_CATALOG", Text(1), true),
    ("TABLE_SCHEMA", Text(64), false),
    ("TABLE_NAME", Text(64), false),
    ("LOGFILE_GROUP_NAME", Text(256), false),
    ("LOGFILE_GROUP_NUMBER", Int, false),
    ("ENGINE", Text(64), true),
    ("FREE_EXTENTS", Int, false),
    ("TOTAL_EXTENTS", Int, false),
    ("EXTENT_SIZE", Int, false),
    ("INITIAL_SIZE", Int, false),
    ("MAXIMUM_SIZE", Int, false),
    ("AUTOEXTEND_SIZE", Int, false),
    ("STATUS", Text(256), false),
    ("EXTRA", Text(256), false),
];

/// Histograms: nobody makes any.
pub(super) const COLUMN_STATISTICS: &[Col] = &[
    ("SCHEMA_NAME", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), true),
    ("HISTOGRAM", Long, true),
];
