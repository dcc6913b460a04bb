//! Prepared statements: parameters of every type, data sent ahead, query attributes, binary rows.

mod pair;

use p2pdb_mysql::client::ClientEvent;
use p2pdb_mysql::{Attribute, Capabilities, Cell, ColumnDef, ColumnFlags, ColumnType, Command, Event, Param};
use pair::{
    OK, Pair, bytes, config, execute, frame, long_data, prepare, prepared_server, raw_execute_on, server_with,
};

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

/// The same on a server of its own.
fn raw_execute(params: usize, block: &str) -> Result<Option<Event>, p2pdb_mysql::ProtocolError> {
    let mut server = prepared_server(0x8200, params);
    raw_execute_on(&mut server, block)
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
