//! Commands and answers, client against server: results, prepared statements, long data, limits.

mod pair;

use p2pdb_mysql::client::ClientEvent;
use p2pdb_mysql::{
    Capabilities, Cell, ColumnDef, ColumnFlags, ColumnType, Command, EncodeError, Event, OkPacket, Param,
    ServerError, StatusFlags,
};
use pair::{
    OK, Pair, bytes, config, execute, frame, frames, long_data, prepare, prepared_server, raw_execute_on,
    server_with,
};
use quickcheck::quickcheck;

fn text_rows(events: &[ClientEvent]) -> Vec<Vec<Option<String>>> {
    let text = |cell: &Option<Vec<u8>>| cell.as_ref().map(|c| String::from_utf8_lossy(c).into_owned());
    events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Row(row) => Some(row.iter().map(text).collect()),
            _ => None,
        })
        .collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

const MORE: OkPacket<'static> =
    OkPacket { status: StatusFlags::AUTOCOMMIT.union(StatusFlags::MORE_RESULTS_EXISTS), ..OK };

#[test]
fn several_results_arrive_in_order_in_chunks_of_any_size() {
    for (eof, chunk_bytes) in [(false, 1), (true, 1), (false, 3), (true, 1 << 20)] {
        let mut pair =
            Pair::logged_in_with(|client| client.capabilities.set(Capabilities::DEPRECATE_EOF, !eof), |_| {});
        pair.chunk_bytes = chunk_bytes;
        pair.client.query(b"select 1; update t set a = 1; select 2, null; fail");
        let events = pair.run(|server, event| {
            let Event::Command(Command::Query(query)) = event else {
                panic!("{event:?}");
            };
            assert_eq!(query.sql(), b"select 1; update t set a = 1; select 2, null; fail");
            server.begin_rows([ColumnDef::new("1", ColumnType::LongLong)]);
            for value in 0..3 {
                server.rows().row([Cell::Int(value)]).unwrap();
            }
            server.end_rows(&MORE);
            server.ok(&OkPacket { affected_rows: 5, info: "Rows matched: 5", ..MORE });
            server.begin_rows(["a", "b"].map(|name| ColumnDef::new(name, ColumnType::VarString)));
            server.rows().row([Cell::UInt(2), Cell::Null]).unwrap();
            server.end_rows(&OkPacket { warnings: 3, ..MORE });
            server.error(&ServerError::new(1064, "42000", "no"));
        });
        let rows = text_rows(&events);
        assert_eq!(rows[..3], [some(&["0"]), some(&["1"]), some(&["2"])]);
        assert_eq!(rows[3], [Some("2".into()), None]);
        let shape: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Columns(columns) => Some(format!("{} columns", columns.len())),
                ClientEvent::Done(done) => Some(format!("{} {}", done.affected_rows, done.warnings)),
                ClientEvent::Error(error) => Some(error.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(shape, ["1 columns", "0 0", "5 0", "2 columns", "0 3", "ERROR 1064 (42000): no"]);
        assert!(pair.client.is_idle());
    }
}

#[test]
fn out_parameters_are_known_behind_their_columns_and_nothing_after_them_is() {
    let mut server = server_with(0x8200, config());
    server.receive(&frame(0, b"\x03x")).unwrap();
    server.poll().unwrap();
    let out = MORE.status | StatusFlags::PS_OUT_PARAMS;
    server.begin_flagged_rows([ColumnDef::new("b", ColumnType::Long)], out);
    server.rows().row([Cell::Int(8)]).unwrap();
    server.end_rows(&OkPacket { status: out, ..OK });
    server.begin_rows([ColumnDef::new("c", ColumnType::Long)]);
    server.end_rows(&OK);
    let ends = frames(server.output()).into_iter().filter(|(_, payload)| payload[0] == 0xfe);
    let statuses: Vec<u16> = ends.map(|(_, p)| u16::from_le_bytes([p[3], p[4]])).collect();
    let (out, plain) = (out.bits(), StatusFlags::AUTOCOMMIT.bits());
    assert_eq!(statuses, [out, out, plain, plain]);
}

#[test]
fn cells_as_text() {
    let column = |column_type, decimals| ColumnDef { decimals, ..ColumnDef::new("c", column_type) };
    let filled = |length| ColumnDef {
        flags: ColumnFlags::ZEROFILL | ColumnFlags::UNSIGNED,
        length,
        ..ColumnDef::new("c", ColumnType::Long)
    };
    let moment = Cell::DateTime { year: 2024, month: 2, day: 9, hour: 1, minute: 2, second: 3, micros: 45 };
    let span = Cell::Time { negative: true, days: 34, hours: 22, minutes: 59, seconds: 59, micros: 0 };
    for (column, cell, text) in [
        (column(ColumnType::LongLong, 0), Cell::Int(i64::MIN), "-9223372036854775808"),
        (column(ColumnType::LongLong, 0), Cell::UInt(u64::MAX), "18446744073709551615"),
        (filled(5), Cell::UInt(42), "00042"),
        (filled(1), Cell::UInt(42), "42"),
        (column(ColumnType::Year, 0), Cell::UInt(0), "0000"),
        (column(ColumnType::Double, 31), Cell::Double(1e20), "1e20"),
        (column(ColumnType::Double, 2), Cell::Double(1.5), "1.50"),
        (column(ColumnType::Float, 31), Cell::Float(16_777_216.0), "16777200"),
        (column(ColumnType::VarString, 31), Cell::Double(0.1), "0.1"),
        (column(ColumnType::Double, 2), Cell::Int(2), "2.00"),
        (column(ColumnType::Double, 31), Cell::Int(1_000_000_000_000_000), "1e15"),
        (column(ColumnType::NewDecimal, 2), Cell::Int(-2), "-2.00"),
        (column(ColumnType::NewDecimal, 0), Cell::UInt(2), "2"),
        (bits(1), Cell::UInt(1), "\u{1}"),
        (bits(12), Cell::Int(0x0141), "\u{1}A"),
        (bits(64), Cell::UInt(0x4142_4344_4546_4748), "ABCDEFGH"),
        (column(ColumnType::Date, 0), moment_at_midnight(), "2024-02-09"),
        (column(ColumnType::DateTime, 0), moment_at_midnight(), "2024-02-09 00:00:00"),
        (column(ColumnType::DateTime, 6), moment, "2024-02-09 01:02:03.000045"),
        (column(ColumnType::DateTime, 4), moment, "2024-02-09 01:02:03.0000"),
        (column(ColumnType::Time, 0), span, "-838:59:59"),
        (column(ColumnType::Time, 2), span, "-838:59:59.00"),
        (column(ColumnType::VarString, 31), moment, "2024-02-09 01:02:03.000045"),
    ] {
        let mut pair = Pair::logged_in();
        pair.client.query(b"x");
        let events = pair.run(|server, _| {
            server.begin_rows([column]);
            server.rows().row([cell]).unwrap();
            server.end_rows(&OK);
        });
        assert_eq!(text_rows(&events), [some(&[text])], "{cell:?}");
    }
}

fn bits(length: u32) -> ColumnDef<'static> {
    ColumnDef { length, ..ColumnDef::new("c", ColumnType::Bit) }
}

#[test]
fn inexact_or_too_long_cells_are_refused_in_text_too() {
    let date = Cell::DateTime { year: 2024, month: 1, day: 1, hour: 1, minute: 0, second: 0, micros: 0 };
    for (column, cell) in [
        (ColumnDef::new("c", ColumnType::NewDecimal), Cell::Double(1.0)),
        (ColumnDef::new("c", ColumnType::Double), Cell::Double(f64::NAN)),
        (ColumnDef::new("c", ColumnType::Float), Cell::Float(f32::INFINITY)),
        (ColumnDef::new("c", ColumnType::Date), date),
        (bits(8), Cell::UInt(256)),
        (bits(8), Cell::Int(-1)),
    ] {
        let mut server = server_with(0x8200, config());
        server.receive(&frame(0, b"\x03x")).unwrap();
        server.poll().unwrap();
        server.begin_rows([column]);
        let before = server.output().len();
        assert!(server.rows().row([cell]).is_err(), "{cell:?}");
        assert_eq!(server.output().len(), before);
    }
}

fn moment_at_midnight() -> Cell<'static> {
    Cell::Date { year: 2024, month: 2, day: 9 }
}

/// The number of the error that a command is answered with.
fn refused(pair: &mut Pair, send: impl FnOnce(&mut Pair)) -> u16 {
    send(pair);
    match &pair.run(|_, event| panic!("{event:?}"))[..] {
        [ClientEvent::Error(error)] => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_refuse_and_the_connection_goes_on() {
    let mut pair = Pair::logged_in_with(
        |_| {},
        |server| {
            server.statements_max = 2;
            server.long_data_bytes_max = 1000;
        },
    );
    let id = prepare(&mut pair, 1);
    let other = prepare(&mut pair, 1);
    assert_eq!(refused(&mut pair, |pair| pair.client.prepare(b"x")), 1461);
    pair.client.silent_command(0x18, &long_data(id, 0, &[0; 900]));
    pair.client.silent_command(0x18, &long_data(other, 0, &[0; 900]));
    assert_eq!(refused(&mut pair, |pair| pair.client.execute(other, &[Param::Null])), 1105);
    assert_eq!(execute(&mut pair, other, &[Param::Null]), [Param::Null], "the error is told once");
    assert_eq!(execute(&mut pair, id, &[Param::Null]), [Param::Bytes(vec![0; 900])]);
    pair.client.silent_command(0x18, &long_data(id, 1, b"x"));
    assert_eq!(refused(&mut pair, |pair| pair.client.execute(id, &[Param::Null])), 1210);
    // Empty pieces count, too.
    let wide = {
        pair.client.silent_command(0x19, &other.to_le_bytes());
        let mut closed = None;
        pair.run(|_, event| {
            if let Event::Command(Command::CloseStatement { statement_id }) = event {
                closed = Some(statement_id);
            }
        });
        assert_eq!(closed, Some(other));
        prepare(&mut pair, 1000)
    };
    for param in 0..20 {
        pair.client.silent_command(0x18, &long_data(wide, param, b""));
    }
    assert_eq!(refused(&mut pair, |pair| pair.client.execute(wide, &[Param::Null])), 1105);
    assert_eq!(refused(&mut pair, |pair| pair.client.execute(99, &[])), 1243);
    assert_eq!(refused(&mut pair, |pair| pair.client.command(0x1A, &[9, 0, 0, 0])), 1243);
    assert_eq!(refused(&mut pair, |pair| pair.client.command(0x1C, &[1, 0, 0, 0, 1, 0, 0, 0])), 1421);
    assert_eq!(refused(&mut pair, |pair| pair.client.command(0x12, &[])), 1047);
    assert_eq!(refused(&mut pair, |pair| pair.client.command(0x02, &[0xFF])), 1300);
    assert_eq!(pair.server.statement_count(), 2);
    pair.client.command(0x1F, b"");
    let events = pair.run(|server, event| {
        assert!(matches!(event, Event::Command(Command::ResetConnection)));
        server.ok(&OK);
    });
    assert!(matches!(events[..], [ClientEvent::Done(_)]));
    assert_eq!(pair.server.statement_count(), 0);
}

#[test]
fn too_many_parameters_or_columns_are_refused() {
    let mut pair = Pair::logged_in();
    pair.client.prepare(b"x");
    let events = pair.run(|server, _| {
        assert_eq!(server.prepared(vec![ColumnDef::parameter(); 65_536], [], 0), None);
    });
    assert!(matches!(&events[..], [ClientEvent::Error(error)] if error.code == 1390));
    assert_eq!(pair.server.statement_count(), 0);
}

#[test]
fn multi_statements_can_be_switched() {
    let mut pair = Pair::logged_in();
    for (option, on) in [(1, false), (0, true)] {
        pair.client.command(0x1B, &[option, 0]);
        let events = pair.run(|_, event| panic!("{event:?}"));
        assert!(matches!(events[..], [ClientEvent::Done(_)]));
        assert_eq!(pair.server.capabilities().contains(Capabilities::MULTI_STATEMENTS), on);
    }
}

#[test]
fn commands_sent_ahead_wait_for_their_turn() {
    let mut server = server_with(0x8200, config());
    let stream: Vec<u8> = (0..3).flat_map(|i| frame(0, format!("\x03query {i}").as_bytes())).collect();
    server.receive(&stream).unwrap();
    for i in 0..3 {
        let Ok(Some(Event::Command(Command::Query(query)))) = server.poll() else {
            panic!("query {i} is due");
        };
        assert_eq!(query.sql(), format!("query {i}").as_bytes());
        assert!(matches!(server.poll(), Ok(None)), "no command before the answer");
        assert!(!server.wants_read());
        server.receive(b"").unwrap();
        server.ok(&OK);
    }
    assert!(server.wants_read());
    assert!(frames(server.output()).iter().all(|(sequence, _)| *sequence == 1));
}

#[test]
fn a_row_that_does_not_fit_leaves_nothing_behind() {
    let columns = [ColumnDef::new("a", ColumnType::Tiny), ColumnDef::new("b", ColumnType::Date)];
    let date = Cell::Date { year: 2024, month: 1, day: 1 };
    let late = Cell::DateTime { year: 2024, month: 1, day: 1, hour: 1, minute: 0, second: 0, micros: 0 };
    let mut server = prepared_server(0x8200, 0);
    raw_execute_on(&mut server, "").unwrap();
    server.begin_rows(columns);
    let before = server.output().len();
    for (cells, column) in [
        (&[Cell::Int(128), date][..], Some(0)),
        (&[Cell::Int(-129), date], Some(0)),
        (&[Cell::UInt(200), date], Some(0)),
        (&[Cell::Double(1.0), date], Some(0)),
        (&[Cell::Bytes(b"x"), date], Some(0)),
        (&[Cell::Int(1), late], Some(1)),
        (&[Cell::Int(1), Cell::Bytes(b"2024")], Some(1)),
        (&[Cell::Int(1)], None),
        (&[Cell::Int(1), date, date], None),
    ] {
        let error = server.rows().row(cells.iter().copied()).unwrap_err();
        match (error, column) {
            (EncodeError::Mismatch { column, .. }, Some(expected)) => assert_eq!(column, expected),
            (EncodeError::CellCount { cells: found, columns: 2 }, None) => assert_eq!(found, cells.len()),
            (other, _) => panic!("{cells:?}: {other}"),
        }
        assert_eq!(server.output().len(), before);
    }
    server.rows().cell(Cell::Int(1));
    assert_eq!(server.output().len(), before, "a row that is not ended is taken back");
    server.rows().row([Cell::Bytes(b"-128"), date]).unwrap();
    server.error(&ServerError::new(1105, "HY000", "a fault in the midst of rows"));
    assert!(!server.is_closed());
}

#[test]
fn packets_over_16_mib_both_ways() {
    let full = (1 << 24) - 1;
    for length in [full - 1, full, full + 1, 33 << 20] {
        let mut pair = Pair::logged_in();
        // With its command byte the packet has `length` bytes; so has the row with its length in front.
        pair.client.query(&vec![b'q'; length - 1]);
        let prefix = if length > full { 9 } else { 4 };
        let row = length - prefix;
        let events = pair.run(|server, event| {
            let Event::Command(Command::Query(query)) = event else {
                panic!("a query is due");
            };
            assert_eq!(query.sql().len(), length - 1);
            server.begin_rows([ColumnDef::new("long", ColumnType::LongBlob)]);
            server.rows().row([Cell::Bytes(&vec![b'r'; row])]).unwrap();
            server.end_rows(&OK);
        });
        let found = events.iter().find_map(|event| match event {
            ClientEvent::Row(cells) => cells[0].as_ref().map(Vec::len),
            _ => None,
        });
        assert_eq!(found, Some(row));
        assert!(pair.client.is_idle());
    }
}

#[test]
fn max_allowed_packet_is_exact_and_can_change() {
    let mut server = server_with(0x8200, config());
    server.set_max_allowed_packet_bytes(1024);
    server.receive(&frame(0, &[3; 1024])).unwrap();
    assert!(matches!(server.poll(), Ok(Some(_))));
    server.ok(&OK);
    server.clear_output();
    assert_eq!(server.receive(&frame(0, &[3; 1025])), Err(p2pdb_mysql::ProtocolError::TooLarge));
    assert!(server.is_closed());
    let expected = bytes("FF 81 04 '#08S01Got a packet bigger than ' 27 'max_allowed_packet' 27 ' bytes'");
    assert_eq!(frames(server.output()), [(1, expected)]);
}

#[test]
fn a_command_out_of_order_is_told_so() {
    let mut server = server_with(0x8200, config());
    let error = server.receive(&frame(1, b"\x0E")).unwrap_err();
    assert_eq!(error, p2pdb_mysql::ProtocolError::OutOfOrder);
    assert_eq!(server.output()[5..7], 1156_u16.to_le_bytes());
}

#[test]
fn the_server_may_end_it_at_any_time() {
    let mut pair = Pair::logged_in();
    let error = ServerError::new(1053, "08S01", "Server shutdown in progress");
    pair.server.close_with(&error);
    let mut last_words = Vec::new();
    pair.server.take_output(&mut last_words);
    // The client has asked something meanwhile, which the server has not read: it takes them for the answer.
    pair.client.query(b"SELECT 1");
    pair.client.receive(&last_words).expect("numbered as an answer");
    assert_eq!(pair.client.poll(), Ok(Some(ClientEvent::Error(error.clone()))));
    assert!(pair.server.is_closed());
    pair.server.close_with(&error);
    assert!(pair.server.output().is_empty(), "once");
}

#[test]
fn who_was_answered_with_the_reason_is_not_told_again_when_it_ends() {
    let killed = ServerError::new(1317, "70100", "Query execution was interrupted");
    for (commands, more) in [(1, false), (2, true)] {
        let mut pair = Pair::logged_in();
        for n in 0..commands {
            pair.client.query(b"KILL 7");
            let events = pair.run(|server, _| if n == 0 { server.error(&killed) } else { server.ok(&OK) });
            assert_eq!(events.len(), 1);
        }
        pair.server.close_with(&killed);
        assert!(pair.server.is_closed());
        assert_eq!(!pair.server.output().is_empty(), more, "an answer of before is no reason to be silent");
    }
}

#[test]
fn who_idled_too_long_is_told_so_beside_the_answers() {
    let mut pair = Pair::logged_in();
    pair.server.close_with(&ServerError::new(4031, "HY000", "inactivity"));
    assert_eq!(pair.server.output()[3], 0, "the number of the packet, as in MySQL");
}

quickcheck! {
    fn rows_of_any_bytes_read_back(rows: Vec<Vec<Option<Vec<u8>>>>, width: u8, binary: bool) -> bool {
        let width = usize::from(width % 20) + 1;
        let rows: Vec<Vec<Option<Vec<u8>>>> = rows
            .into_iter()
            .map(|mut row| { row.resize(width, None); row })
            .collect();
        let mut pair = Pair::logged_in();
        pair.chunk_bytes = 50;
        if binary {
            let id = prepare(&mut pair, 0);
            pair.client.execute(id, &[]);
        } else {
            pair.client.query(b"x");
        }
        let events = pair.run(|server, _| {
            server.begin_rows(vec![ColumnDef::new("c", ColumnType::VarString); width]);
            for row in &rows {
                server
                    .rows()
                    .row(row.iter().map(|cell| cell.as_deref().map_or(Cell::Null, Cell::Bytes)))
                    .unwrap();
            }
            server.end_rows(&OK);
        });
        let found: Vec<Vec<Option<Vec<u8>>>> = events
            .into_iter()
            .filter_map(|event| match event {
                ClientEvent::Row(row) => Some(row),
                ClientEvent::BinaryRow(row) => Some(
                    row.into_iter()
                        .map(|param| match param {
                            Param::Text(text) => Some(text),
                            _ => None,
                        })
                        .collect(),
                ),
                _ => None,
            })
            .collect();
        found == rows
    }
}
