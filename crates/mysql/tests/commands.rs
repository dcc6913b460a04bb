//! Commands and answers, client against server: results, prepared statements, long data, limits.

mod pair;

use p2pdb_mysql::client::ClientEvent;
use p2pdb_mysql::{
    Attribute, Capabilities, Cell, ColumnDef, ColumnFlags, ColumnType, Command, Connection, EncodeError,
    Event, OkPacket, Param, ServerError, StatusFlags,
};
use pair::{OK, Pair, bytes, config, frame, frames, server_with};
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

fn moment_at_midnight() -> Cell<'static> {
    Cell::Date { year: 2024, month: 2, day: 9 }
}

/// Prepares a statement with `params` parameters; says its id.
fn prepare(pair: &mut Pair, params: usize) -> u32 {
    pair.client.prepare(b"select ?");
    let events = pair.run(|server, _| {
        server.prepared(vec![ColumnDef::parameter(); params], [ColumnDef::new("c", ColumnType::Json)], 0);
    });
    let [ClientEvent::Prepared { statement_id, params: found, columns }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((usize::from(*found), columns.len()), (params, 1));
    *statement_id
}

/// Executes and returns what the server got.
fn execute(pair: &mut Pair, id: u32, params: &[Param]) -> Vec<Param> {
    pair.client.execute(id, params);
    let mut got = None;
    pair.run(|server, event| {
        let Event::Command(Command::Execute(execute)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(execute.statement_id, id);
        got = Some(execute.params);
        server.ok(&OK);
    });
    got.expect("the execute arrives")
}

fn all_params() -> Vec<Param> {
    vec![
        Param::Null,
        Param::Int(i64::MIN),
        Param::UInt(u64::MAX),
        Param::Float(1.5),
        Param::Double(-0.1),
        Param::Decimal(b"12.50".to_vec()),
        Param::Text("Grüße".into()),
        Param::Bytes(vec![0, 255]),
        Param::Text(vec![b'x'; 70_000]),
        Param::Date { year: 2024, month: 2, day: 29 },
        Param::Date { year: 0, month: 0, day: 0 },
        Param::DateTime { year: 2024, month: 2, day: 29, hour: 0, minute: 0, second: 0, micros: 0 },
        Param::DateTime { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 58, micros: 999_999 },
        Param::Time { negative: true, days: 34, hours: 22, minutes: 59, seconds: 59, micros: 0 },
        Param::Time { negative: false, days: 0, hours: 0, minutes: 0, seconds: 0, micros: 1 },
        Param::Null,
    ]
}

#[test]
fn parameters_of_every_kind_arrive_and_statements_are_reused() {
    for eof in [false, true] {
        let mut pair =
            Pair::logged_in_with(|client| client.capabilities.set(Capabilities::DEPRECATE_EOF, !eof), |_| {});
        let params = all_params();
        let id = prepare(&mut pair, params.len());
        assert_eq!(execute(&mut pair, id, &params), params);
        let reversed: Vec<_> = params.into_iter().rev().collect();
        assert_eq!(execute(&mut pair, id, &reversed), reversed, "types may change");
        let empty = prepare(&mut pair, 0);
        assert_ne!(empty, id);
        assert_eq!(execute(&mut pair, empty, &[]), []);
    }
}

#[test]
fn binary_rows_read_back() {
    let mut pair = Pair::logged_in();
    let id = prepare(&mut pair, 0);
    pair.client.execute(id, &[]);
    let events = pair.run(|server, _| {
        server.begin_rows([
            ColumnDef { flags: ColumnFlags::UNSIGNED, ..ColumnDef::new("a", ColumnType::Short) },
            ColumnDef::new("b", ColumnType::VarString),
            ColumnDef { decimals: 6, ..ColumnDef::new("c", ColumnType::Time) },
        ]);
        let mut rows = server.rows();
        rows.row([Cell::UInt(65_535), Cell::Null, Cell::Bytes(b"01:02:03.5")]).unwrap();
        rows.row([Cell::Null, Cell::Bytes(b"x"), Cell::Null]).unwrap();
        drop(rows);
        server.end_rows(&OK);
    });
    let time = Param::Time { negative: false, days: 0, hours: 1, minutes: 2, seconds: 3, micros: 500_000 };
    assert_eq!(events[1], ClientEvent::BinaryRow(vec![Param::UInt(65_535), Param::Null, time]));
    let row = vec![Param::Null, Param::Text(b"x".to_vec()), Param::Null];
    assert_eq!(events[2], ClientEvent::BinaryRow(row));
}

/// A server with one statement of `params` parameters, and the execute packet that `block` makes.
fn raw_execute(params: usize, block: &str) -> Result<Option<Event>, p2pdb_mysql::ProtocolError> {
    let mut server = prepared_server(0x8200, params);
    raw_execute_on(&mut server, block)
}

fn prepared_server(capabilities: u32, params: usize) -> Connection {
    let mut server = server_with(capabilities, config());
    server.receive(&frame(0, b"\x16x")).unwrap();
    server.poll().unwrap();
    assert_eq!(server.prepared(vec![ColumnDef::parameter(); params], [], 0), Some(1));
    server.clear_output();
    server
}

fn raw_execute_on(server: &mut Connection, block: &str) -> Result<Option<Event>, p2pdb_mysql::ProtocolError> {
    let packet = bytes(&format!("17 01 00 00 00 00 01 00 00 00 {block}"));
    server.receive(&frame(0, &packet))?;
    server.poll()
}

fn params_of(event: Option<Event>) -> Vec<Param> {
    match event {
        Some(Event::Command(Command::Execute(execute))) => execute.params,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_are_read_as_leniently_as_in_mysql() {
    let date = Param::Date { year: 2010, month: 10, day: 17 };
    let moment = |hour, minute, second, micros| Param::DateTime {
        year: 2010,
        month: 10,
        day: 17,
        hour,
        minute,
        second,
        micros,
    };
    let span = |days, hours, minutes, seconds| Param::Time {
        negative: true,
        days,
        hours,
        minutes,
        seconds,
        micros: 0,
    };
    for (block, expected) in [
        // manual: a VARCHAR
        ("00 01 0F 00 03 'foo'", Param::Text(b"foo".to_vec())),
        ("00 01 01 00 FF", Param::Int(-1)),
        ("00 01 01 80 FF", Param::UInt(255)),
        ("00 01 02 00 FF FF", Param::Int(-1)),
        ("00 01 02 80 FF FF", Param::UInt(65_535)),
        ("00 01 03 80 FF FF FF FF", Param::UInt(4_294_967_295)),
        ("00 01 09 00 FF FF FF FF", Param::Int(-1)),
        ("00 01 0D 00 E8 07", Param::UInt(2024)),
        ("00 01 06 00", Param::Null),
        ("01 01 FD 00", Param::Null),
        ("00 01 0A 00 00", Param::Date { year: 0, month: 0, day: 0 }),
        ("00 01 0A 00 04 DA 07 0A 11", date.clone()),
        ("00 01 0A 00 07 DA 07 0A 11 00 00 00", date.clone()),
        ("00 01 0A 00 0B DA 07 0A 11 00 00 00 00 00 00 00", date.clone()),
        ("00 01 0E 00 04 DA 07 0A 11", date),
        ("00 01 0C 00 04 DA 07 0A 11", moment(0, 0, 0, 0)),
        ("00 01 0C 00 05 DA 07 0A 11 13", moment(19, 0, 0, 0)),
        ("00 01 07 00 07 DA 07 0A 11 13 1B 1E", moment(19, 27, 30, 0)),
        ("00 01 12 00 0B DA 07 0A 11 13 1B 1E 01 00 00 00", moment(19, 27, 30, 1)),
        ("00 01 0B 00 05 01 78 00 00 00", span(120, 0, 0, 0)),
        ("00 01 0B 00 08 01 78 00 00 00 13 1B 1E", span(120, 19, 27, 30)),
        ("00 01 10 00 02 01 02", Param::Bytes(vec![1, 2])),
        ("00 01 F7 00 01 'a'", Param::Text(b"a".to_vec())),
        ("00 01 F8 00 01 'a'", Param::Text(b"a".to_vec())),
        ("00 01 F5 00 02 '{}'", Param::Text(b"{}".to_vec())),
        ("00 01 F6 00 03 '1.5'", Param::Decimal(b"1.5".to_vec())),
        ("00 01 00 00 03 '1.5'", Param::Decimal(b"1.5".to_vec())),
        ("00 01 FA 00 01 00", Param::Bytes(vec![0])),
        ("00 01 FF 00 01 00", Param::Bytes(vec![0])),
    ] {
        assert_eq!(params_of(raw_execute(1, block).unwrap()), [expected], "{block}");
    }
    for block in [
        "",
        "00",
        "00 00",
        "00 01",
        "00 01 14 00 00",
        "00 01 0A 00 03 00 00 00",
        "00 01 0B 00 09 00 00 00 00 00 00 00 00 00",
        "00 01 FD 00 FB",
        "00 01 FD 00 FE FF FF FF FF FF FF FF FF",
    ] {
        assert!(raw_execute(1, block).is_err(), "{block}");
    }
}

#[test]
fn types_are_remembered_until_new_ones_come() {
    let mut server = prepared_server(0x8200, 1);
    for (block, expected) in [
        ("00 01 01 80 FF", Param::UInt(255)),
        ("00 00 FE", Param::UInt(254)),
        ("01 00", Param::Null),
        ("00 01 FD 00 01 'x'", Param::Text(b"x".to_vec())),
        ("00 00 01 'y'", Param::Text(b"y".to_vec())),
    ] {
        let event = raw_execute_on(&mut server, block).unwrap();
        assert_eq!(params_of(event), [expected], "{block}");
        server.ok(&OK);
    }
}

#[test]
fn an_execute_cut_anywhere_is_malformed_and_closes() {
    let mut pair = Pair::logged_in();
    let mut params = all_params();
    params[8] = Param::Text(vec![b'x'; 300]);
    let id = prepare(&mut pair, params.len());
    pair.client.execute(id, &params);
    let mut packet = Vec::new();
    pair.client.take_output(&mut packet);
    let payload = &packet[4..];
    for cut in 1..payload.len() {
        let mut server = prepared_server(0x8200, params.len());
        server.receive(&frame(0, &payload[..cut])).unwrap();
        let error = server.poll().unwrap_err();
        assert_eq!(error, p2pdb_mysql::ProtocolError::Malformed, "{cut}");
        assert!(server.is_closed());
        assert_eq!(server.output()[5..7], 1835_u16.to_le_bytes());
    }
}

fn long_data(id: u32, param: u16, data: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &param.to_le_bytes(), data].concat()
}

#[test]
fn long_data_takes_the_place_of_values_once() {
    let mut pair = Pair::logged_in();
    let id = prepare(&mut pair, 3);
    let params = [Param::Bytes(vec![]), Param::Int(5), Param::Null];
    let mut server = prepared_server(0x8200, 3);
    for (param, data) in [(0, &b"one "[..]), (0, b"two"), (2, b""), (2, b"three")] {
        server.receive(&frame(0, &[&[0x18], &long_data(1, param, data)[..]].concat())).unwrap();
    }
    // The value of a parameter that was sent ahead is left out, its NULL bit means nothing.
    let event = raw_execute_on(&mut server, "04 01 FC 00 08 00 FD 00 05 00 00 00 00 00 00 00").unwrap();
    let expected = [Param::Bytes(b"one two".to_vec()), Param::Int(5), Param::Text(b"three".to_vec())];
    assert_eq!(params_of(event), expected);
    server.ok(&OK);
    assert!(server.output().len() < 50, "long data has no answer");
    assert_eq!(execute(&mut pair, id, &params), params);
    // Reset forgets.
    pair.client.silent_command(0x18, &long_data(id, 0, b"gone"));
    pair.client.command(0x1A, &id.to_le_bytes());
    let events = pair.run(|_, event| panic!("{event:?}"));
    assert!(matches!(events[..], [ClientEvent::Done(_)]));
    assert_eq!(execute(&mut pair, id, &params), params);
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
fn query_attributes_come_beside_the_statement() {
    let attributes = Capabilities::QUERY_ATTRIBUTES.bits() | 0x8200;
    let mut server = server_with(attributes, config());
    // manual
    let packet = "03 01 01 00 01 FE 00 01 'a' 01 '1' 'select @@version_comment limit 1'";
    server.receive(&frame(0, &bytes(packet))).unwrap();
    let Ok(Some(Event::Command(Command::Query(query)))) = server.poll() else {
        panic!("a query is due");
    };
    assert_eq!(query.sql(), b"select @@version_comment limit 1");
    let expected = Attribute { name: "a".into(), value: Param::Text(b"1".to_vec()) };
    assert_eq!(query.attributes, std::slice::from_ref(&expected));
    let mut server = server_with(attributes, config());
    server.receive(&frame(0, b"\x03\0\x01select 1")).unwrap();
    assert!(
        matches!(server.poll(), Ok(Some(Event::Command(Command::Query(query)))) if query.sql() == b"select 1")
    );

    // An execute with one parameter and one attribute; with the count although there is none of either; without.
    let mut server = prepared_server(attributes, 1);
    let packet = "17 01 00 00 00 08 01 00 00 00 02 00 01 01 00 00 FE 00 01 'a' 07 01 '1'";
    server.receive(&frame(0, &bytes(packet))).unwrap();
    let Ok(Some(Event::Command(Command::Execute(execute)))) = server.poll() else {
        panic!("an execute is due");
    };
    assert_eq!(execute.params, [Param::Int(7)]);
    assert_eq!(execute.attributes, [expected]);
    assert!(!execute.cursor_requested);
    for packet in ["17 01 00 00 00 08 01 00 00 00 00", "17 01 00 00 00 01 01 00 00 00"] {
        let mut server = prepared_server(attributes, 0);
        server.receive(&frame(0, &bytes(packet))).unwrap();
        assert!(matches!(server.poll(), Ok(Some(Event::Command(Command::Execute(_))))), "{packet}");
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
    let error = ServerError::new(4031, "HY000", "inactivity");
    pair.server.close_with(&error);
    let events = pair.run(|_, event| panic!("{event:?}"));
    assert_eq!(events, [ClientEvent::Error(error.clone())]);
    assert!(pair.client.is_closed() && pair.server.is_closed());
    pair.server.close_with(&error);
    assert!(pair.server.output().is_empty(), "once");
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
