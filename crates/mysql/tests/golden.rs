//! Byte vectors of what the server sends. Those marked "manual" are the examples of the MySQL protocol
//! documentation; the others were put together by hand from its tables.

mod pair;

use p2pdb_mysql::{
    Cell, ColumnDef, ColumnFlags, ColumnType, Command, Connection, Event, OkPacket, ServerError,
    SessionChange, StatusFlags,
};
use pair::{OK, bytes, config, frame, frames, server_with};

/// PROTOCOL_41 and SECURE_CONNECTION, with EOF packets.
const PLAIN: u32 = 0x8200;
const SESSION_TRACK: u32 = 1 << 23;
const DEPRECATE_EOF: u32 = 1 << 24;

#[test]
fn the_greeting() {
    let mut server = Connection::new(config());
    let expected = "0A '8.0.42-p2pdb' 00 07 00 00 00 'abcdefgh' 00 5F F7 FF 02 00 FF 09 15 \
                    00 00 00 00 00 00 00 00 00 00 'ijklmnopqrst' 00 'caching_sha2_password' 00";
    assert_eq!(server.output(), frame(0, &bytes(expected)));
    let mut with_tls = config();
    with_tls.tls_available = true;
    server = Connection::new(with_tls);
    let low = server.output()[4 + 1 + 13 + 4 + 9 + 1];
    assert_eq!(low, 0xFF, "bit 11 (TLS) is added to F7");
}

#[test]
fn a_refusal_before_the_greeting() {
    let error = ServerError::new(1040, "08004", "Too many connections");
    let expected = frame(0, &bytes("FF 10 04 '#08004Too many connections'"));
    assert_eq!(Connection::refusal(&error), expected);
}

/// A query is under way; what `answer` makes of it.
fn answer_to_query(capabilities: u32, answer: impl FnOnce(&mut Connection)) -> Vec<u8> {
    let mut server = server_with(capabilities, config());
    server.receive(&frame(0, b"\x03select 1")).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Command(Command::Query(_))))));
    answer(&mut server);
    assert!(!server.is_answering());
    server.output().to_vec()
}

#[test]
fn ok_packets() {
    let updated =
        OkPacket { affected_rows: 300, last_insert_id: 70_000, warnings: 2, info: "Rows matched: 1", ..OK };
    let tracked = |changes| OkPacket { changes, ..OK };
    for (capabilities, ok, expected) in [
        // manual
        (PLAIN, OK, "00 00 00 02 00 00 00"),
        (PLAIN, updated, "00 FC 2C 01 FD 70 11 01 02 00 02 00 0F 'Rows matched: 1'"),
        (PLAIN | SESSION_TRACK, updated, "00 FC 2C 01 FD 70 11 01 02 00 02 00 0F 'Rows matched: 1'"),
        (PLAIN, tracked(&[SessionChange::Schema("test")]), "00 00 00 02 00 00 00"),
        // The changes are the manual's.
        (
            PLAIN | SESSION_TRACK,
            tracked(&[SessionChange::Schema("test")]),
            "00 00 00 02 40 00 00 00 07 01 05 04 'test'",
        ),
        (
            PLAIN | SESSION_TRACK,
            tracked(&[SessionChange::SystemVariable { name: "autocommit", value: "OFF" }]),
            "00 00 00 02 40 00 00 00 11 00 0F 0A 'autocommit' 03 'OFF'",
        ),
        (
            PLAIN | SESSION_TRACK,
            tracked(&[
                SessionChange::StateChanged,
                SessionChange::Gtids("u:1-3"),
                SessionChange::TransactionCharacteristics(""),
                SessionChange::TransactionState("T_______"),
            ]),
            "00 00 00 02 40 00 00 00 1A 02 01 '1' 03 07 00 05 'u:1-3' 04 01 00 05 09 08 'T_______'",
        ),
    ] {
        let found = answer_to_query(capabilities, |server| server.ok(&ok));
        assert_eq!(found, frame(1, &bytes(expected)), "{ok:?}");
    }
}

#[test]
fn error_packets() {
    // manual
    let error = ServerError::new(1096, "HY000", "No tables used");
    let found = answer_to_query(PLAIN, |server| server.error(&error));
    assert_eq!(found, frame(1, &bytes("FF 48 04 '#HY000No tables used'")));
    // The text is cut at a character.
    let error = ServerError::new(1096, "HY000", "ä".repeat(400));
    let found = answer_to_query(PLAIN, |server| server.error(&error));
    let text = &found[4 + 9..];
    assert_eq!(text.len(), 510);
    assert!(std::str::from_utf8(text).is_ok());
}

#[test]
fn a_text_result() {
    let result = |server: &mut Connection| {
        server.begin_rows([ColumnDef {
            charset: 8,
            length: 28,
            decimals: 31,
            ..ColumnDef::new("@@version_comment", ColumnType::VarString)
        }]);
        server.rows().row([Cell::Bytes(b"MySQL Community Server (GPL)")]).unwrap();
        server.end_rows(&OK);
    };
    // manual
    let expected = "01 00 00 01 01 \
        27 00 00 02 03 'def' 00 00 00 11 '@@version_comment' 00 0C 08 00 1C 00 00 00 FD 00 00 1F 00 00 \
        05 00 00 03 FE 00 00 02 00 \
        1D 00 00 04 1C 'MySQL Community Server (GPL)' \
        05 00 00 05 FE 00 00 02 00";
    assert_eq!(answer_to_query(PLAIN, result), bytes(expected));
    let expected = "01 00 00 01 01 \
        27 00 00 02 03 'def' 00 00 00 11 '@@version_comment' 00 0C 08 00 1C 00 00 00 FD 00 00 1F 00 00 \
        1D 00 00 03 1C 'MySQL Community Server (GPL)' \
        07 00 00 04 FE 00 00 02 00 00 00";
    assert_eq!(answer_to_query(PLAIN | DEPRECATE_EOF, result), bytes(expected));
}

#[test]
fn a_column_definition_with_all_its_names() {
    let found = answer_to_query(PLAIN | DEPRECATE_EOF, |server| {
        server.begin_rows([ColumnDef {
            schema: "music",
            table: "a",
            org_table: "albums",
            name: "i",
            org_name: "id",
            flags: ColumnFlags::NOT_NULL | ColumnFlags::PRIMARY_KEY | ColumnFlags::AUTO_INCREMENT,
            ..ColumnDef::new("i", ColumnType::Long)
        }]);
        server.end_rows(&OK);
    });
    let expected = "03 'def' 05 'music' 01 'a' 06 'albums' 01 'i' 02 'id' \
                    0C 3F 00 0B 00 00 00 03 03 02 00 00 00";
    assert_eq!(frames(&found)[1], (2, bytes(expected)));
}

#[test]
fn an_answer_to_prepare() {
    let mut server = server_with(PLAIN, config());
    server.receive(&frame(0, b"\x16SELECT CONCAT(?, ?) AS col1")).unwrap();
    let Ok(Some(Event::Command(Command::Prepare(query)))) = server.poll() else {
        panic!("a prepare is due");
    };
    assert_eq!(query.sql(), b"SELECT CONCAT(?, ?) AS col1");
    let column = ColumnDef { name: "col1", decimals: 31, ..ColumnDef::parameter() };
    let id = server.prepared([ColumnDef::parameter(); 2], [column], 0);
    assert_eq!(id, Some(1));
    // manual
    let expected = "0C 00 00 01 00 01 00 00 00 01 00 02 00 00 00 00 \
        17 00 00 02 03 'def' 00 00 00 01 '?' 00 0C 3F 00 00 00 00 00 FD 80 00 00 00 00 \
        17 00 00 03 03 'def' 00 00 00 01 '?' 00 0C 3F 00 00 00 00 00 FD 80 00 00 00 00 \
        05 00 00 04 FE 00 00 02 00 \
        1A 00 00 05 03 'def' 00 00 00 04 'col1' 00 0C 3F 00 00 00 00 00 FD 80 00 1F 00 00 \
        05 00 00 06 FE 00 00 02 00";
    assert_eq!(server.output(), bytes(expected));
}

/// The row that `cells` make in columns of these types: NULL bitmap and values.
fn binary_row(columns: &[ColumnDef<'_>], cells: &[Cell<'_>]) -> Vec<u8> {
    let mut server = server_with(PLAIN | DEPRECATE_EOF, config());
    server.receive(&frame(0, b"\x16x")).unwrap();
    server.poll().unwrap();
    server.prepared([], [], 0);
    server.receive(&frame(0, &bytes("17 01 00 00 00 00 01 00 00 00"))).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Command(Command::Execute(_))))));
    server.begin_rows(columns.iter().copied());
    server.clear_output();
    server.rows().row(cells.iter().copied()).unwrap();
    let mut row = frames(server.output());
    let (_, row) = row.remove(0);
    assert_eq!(row[0], 0);
    row[1..].to_vec()
}

#[test]
fn binary_values() {
    let unsigned =
        |column_type| ColumnDef { flags: ColumnFlags::UNSIGNED, ..ColumnDef::new("c", column_type) };
    let signed = |column_type| ColumnDef::new("c", column_type);
    let fraction = |column_type, decimals| ColumnDef { decimals, ..ColumnDef::new("c", column_type) };
    let moment = |hour, minute, second, micros| Cell::DateTime {
        year: 2010,
        month: 10,
        day: 17,
        hour,
        minute,
        second,
        micros,
    };
    let day = Cell::Date { year: 2010, month: 10, day: 17 };
    let zero_day = Cell::Date { year: 0, month: 0, day: 0 };
    let span =
        |days, micros| Cell::Time { negative: true, days, hours: 19, minutes: 27, seconds: 30, micros };
    let midnight = Cell::Time { negative: false, days: 0, hours: 0, minutes: 0, seconds: 0, micros: 0 };
    for (column, cell, expected) in [
        // The first ten are the manual's.
        (signed(ColumnType::VarString), Cell::Bytes(b"foo"), "03 'foo'"),
        (signed(ColumnType::LongLong), Cell::Int(1), "01 00 00 00 00 00 00 00"),
        (signed(ColumnType::Long), Cell::Int(1), "01 00 00 00"),
        (signed(ColumnType::Short), Cell::Int(1), "01 00"),
        (signed(ColumnType::Tiny), Cell::Int(1), "01"),
        (signed(ColumnType::Double), Cell::Double(10.2), "66 66 66 66 66 66 24 40"),
        (signed(ColumnType::Float), Cell::Float(10.2), "33 33 23 41"),
        (signed(ColumnType::Date), day, "04 DA 07 0A 11"),
        (fraction(ColumnType::DateTime, 6), moment(19, 27, 30, 1), "0B DA 07 0A 11 13 1B 1E 01 00 00 00"),
        (fraction(ColumnType::Time, 6), span(120, 1), "0C 01 78 00 00 00 13 1B 1E 01 00 00 00"),
        (signed(ColumnType::Time), span(120, 0), "08 01 78 00 00 00 13 1B 1E"),
        (signed(ColumnType::Time), midnight, "00"),
        (signed(ColumnType::DateTime), moment(19, 27, 30, 0), "07 DA 07 0A 11 13 1B 1E"),
        (signed(ColumnType::DateTime), moment(0, 0, 0, 0), "04 DA 07 0A 11"),
        (signed(ColumnType::Timestamp), day, "04 DA 07 0A 11"),
        (signed(ColumnType::Date), zero_day, "00"),
        (signed(ColumnType::DateTime), Cell::Bytes(b"2010-10-17 19:27:30"), "07 DA 07 0A 11 13 1B 1E"),
        (signed(ColumnType::Time), Cell::Bytes(b"-25:27:30"), "08 01 01 00 00 00 01 1B 1E"),
        // Fraction digits beyond the column's are cut.
        (fraction(ColumnType::DateTime, 3), moment(0, 0, 0, 1999), "0B DA 07 0A 11 00 00 00 E8 03 00 00"),
        (signed(ColumnType::Tiny), Cell::Int(-1), "FF"),
        (unsigned(ColumnType::Tiny), Cell::UInt(255), "FF"),
        (signed(ColumnType::Int24), Cell::Int(-8_388_608), "00 00 80 FF"),
        (unsigned(ColumnType::LongLong), Cell::UInt(u64::MAX), "FF FF FF FF FF FF FF FF"),
        (signed(ColumnType::LongLong), Cell::Int(i64::MIN), "00 00 00 00 00 00 00 80"),
        (signed(ColumnType::Year), Cell::UInt(2024), "E8 07"),
        (signed(ColumnType::NewDecimal), Cell::Bytes(b"-1.50"), "05 '-1.50'"),
        (signed(ColumnType::NewDecimal), Cell::Int(12), "02 '12'"),
        (signed(ColumnType::Bit), Cell::Bytes(&[1, 2]), "02 01 02"),
        (signed(ColumnType::Json), Cell::Bytes(b"{}"), "02 '{}'"),
        (signed(ColumnType::Double), Cell::Int(2), "00 00 00 00 00 00 00 40"),
    ] {
        let found = binary_row(&[column], &[cell]);
        assert_eq!(found, [vec![0], bytes(expected)].concat(), "{cell:?}");
    }
}

#[test]
fn the_null_bitmap_begins_at_bit_two() {
    let columns = [ColumnDef::new("c", ColumnType::Tiny); 15];
    for null in 0..15 {
        let cells: Vec<_> = (0..15).map(|i| if i == null { Cell::Null } else { Cell::Int(7) }).collect();
        let mut expected = vec![0; 3];
        expected[(null + 2) / 8] = 1 << ((null + 2) % 8);
        expected.extend_from_slice(&[7; 14]);
        assert_eq!(binary_row(&columns, &cells), expected);
    }
}

#[test]
fn answers_to_small_commands() {
    // COM_SET_OPTION and COM_STMT_RESET are answered by the connection itself.
    for (capabilities, command, expected) in [
        (PLAIN, "1B 00 00", "05 00 00 01 FE 00 00 02 00"),
        (PLAIN | DEPRECATE_EOF, "1B 01 00", "07 00 00 01 FE 00 00 02 00 00 00"),
        (PLAIN, "1B 02 00", "18 00 00 01 FF 17 04 '#08S01Unknown command'"),
        (PLAIN, "07 01", "18 00 00 01 FF 17 04 '#08S01Unknown command'"),
        (PLAIN, "EE", "18 00 00 01 FF 17 04 '#08S01Unknown command'"),
    ] {
        let mut server = server_with(capabilities, config());
        server.receive(&frame(0, &bytes(command))).unwrap();
        assert!(matches!(server.poll(), Ok(None)));
        assert_eq!(server.output(), bytes(expected), "{command}");
        assert!(!server.is_closed());
    }
    let mut server = server_with(PLAIN, config());
    server.receive(&frame(0, b"\x09")).unwrap();
    server.poll().unwrap();
    server.statistics("Uptime: 1");
    assert_eq!(server.output(), frame(1, b"Uptime: 1"));
    let mut server = server_with(PLAIN, config());
    server.receive(&frame(0, b"\x04albums\0%")).unwrap();
    let Ok(Some(Event::Command(Command::FieldList { table, wildcard }))) = server.poll() else {
        panic!("a field list is due");
    };
    assert_eq!((table.as_str(), wildcard.as_str()), ("albums", "%"));
    let column = ColumnDef::new("id", ColumnType::Long);
    for default in [Cell::Int(0), Cell::Null, Cell::Bytes(b"7")] {
        server.field(&column, default).unwrap();
    }
    server.field(&column, Cell::Double(f64::NAN)).unwrap_err();
    server.eof(StatusFlags::AUTOCOMMIT, 0);
    let definition = "03 'def' 00 00 00 02 'id' 00 0C 3F 00 0B 00 00 00 03 80 00 00 00 00";
    let found = frames(server.output());
    assert_eq!(found[0], (1, bytes(&format!("{definition} 01 '0'"))));
    assert_eq!(found[1], (2, bytes(&format!("{definition} FB"))));
    assert_eq!(found[2], (3, bytes(&format!("{definition} 01 '7'"))));
    assert_eq!(found[3], (4, bytes(&format!("{definition} FB"))));
    assert_eq!(found[4], (5, bytes("FE 00 00 02 00")));
}
