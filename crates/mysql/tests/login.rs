//! Logins: both methods, right and wrong, with switch, full exchange and TLS; COM_CHANGE_USER.

mod pair;

use p2pdb_mysql::client::{ClientConfig, ClientEvent, UseTls};
use p2pdb_mysql::{
    AuthPlugin, Capabilities, Command, Connection, Event, LOGIN_PACKET_BYTES_MAX, ProtocolError, scramble,
};
use pair::{OK, Pair, SALT, account, bytes, config, frame, frames};

/// What a login leads to, in short.
fn login(user: &str, password: &str, plugin: Option<AuthPlugin>, tls: bool) -> String {
    let mut client = ClientConfig::new(user, password);
    client.plugin = plugin;
    client.tls = if tls { UseTls::Always } else { UseTls::Never };
    let mut server = config();
    server.tls_available = tls;
    let mut pair = Pair::new(client, server);
    let events = pair.run(|_, event| panic!("{event:?}"));
    let end = match &events[..] {
        [ClientEvent::Ready(_)] => "ready".into(),
        [ClientEvent::Error(error)] => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pair.server.is_tls(), tls);
    assert_eq!(pair.server.is_closed(), end != "ready" && !end.contains("2061"));
    format!("{}: {end}", pair.log.join(", "))
}

#[test]
fn every_way_in_is_as_open_as_the_account() {
    let native = Some(AuthPlugin::Native);
    let sha2 = Some(AuthPlugin::CachingSha2);
    let yes = "denied: ERROR 1045 (28000): Access denied for user 'U'@'localhost' (using password: YES)";
    let no = "denied: ERROR 1045 (28000): Access denied for user 'U'@'localhost' (using password: NO)";
    for (user, password, plugin, tls, end) in [
        ("both", "geheim", None, false, "proven: ready"),
        ("both", "geheim", native, false, "proven: ready"),
        ("both", "geheim", sha2, true, "proven: ready"),
        ("both", "falsch", sha2, false, yes),
        ("both", "falsch", native, false, yes),
        ("both", "", sha2, false, no),
        ("both", "", native, false, no),
        ("native", "geheim", sha2, false, "proven: ready"),
        ("native", "geheim", native, false, "proven: ready"),
        ("native", "falsch", sha2, false, yes),
        ("sha2", "geheim", native, false, "proven: ready"),
        ("sha2", "geheim", sha2, false, "proven: ready"),
        ("sha2", "falsch", native, false, yes),
        ("cold", "geheim", sha2, true, "check, proven: ready"),
        ("cold", "geheim", native, true, "check, proven: ready"),
        (
            "cold",
            "falsch",
            sha2,
            true,
            "check, denied: ERROR 1045 (28000): Access denied for user 'U'@'localhost' (using password: YES)",
        ),
        ("cold", "geheim", sha2, false, yes),
        ("open", "", sha2, false, "proven: ready"),
        ("open", "", native, false, "proven: ready"),
        ("open", "geheim", sha2, false, yes),
        ("open", "geheim", native, false, yes),
        ("nobody", "geheim", sha2, false, yes),
        ("nobody", "geheim", native, false, yes),
        ("nobody", "", sha2, false, no),
    ] {
        let expected = format!("login {user}, {}", end.replace("'U'", &format!("'{user}'")));
        let found = login(user, password, plugin, tls);
        assert_eq!(found, expected, "{user} {password} {plugin:?} tls {tls}");
    }
}

#[test]
fn the_login_carries_database_attributes_and_charset() {
    let mut client = ClientConfig::new("both", "geheim");
    client.database = Some("music".into());
    client.attributes = vec![("_client_name".into(), "test".into()), ("pid".into(), "1".into())];
    let mut pair = Pair::new(client, config());
    pair.chunk_bytes = 1;
    let mut out = Vec::new();
    pair.server.take_output(&mut out);
    pair.client.receive(&out).unwrap();
    assert_eq!(pair.client.poll(), Ok(None));
    out.clear();
    pair.client.take_output(&mut out);
    pair.server.receive(&out).unwrap();
    let Ok(Some(Event::Login(login))) = pair.server.poll() else {
        panic!("a login is due");
    };
    assert_eq!(login.database.as_deref(), Some("music"));
    assert_eq!(login.attributes[0], ("_client_name".into(), "test".into()));
    assert_eq!(login.attributes.len(), 2);
    assert_eq!((login.charset, login.tls, login.change_user), (255, false, false));
    assert!(login.capabilities.contains(Capabilities::MULTI_STATEMENTS));
    assert!(!login.capabilities.contains(Capabilities::LOCAL_FILES));
    assert_eq!(pair.client.connection_id(), 7);
    assert_eq!(pair.client.server_version(), "8.0.42-p2pdb");
}

#[test]
fn the_first_bytes_of_tls_are_handed_on_and_never_parsed() {
    let mut server_config = config();
    server_config.tls_available = true;
    let mut server = Connection::new(server_config);
    let mut request = (Capabilities::PROTOCOL_41 | Capabilities::SECURE_CONNECTION | Capabilities::SSL)
        .bits()
        .to_le_bytes()
        .to_vec();
    request.resize(32, 0);
    let mut stream = frame(1, &request);
    stream.extend_from_slice(b"\x16\x03\x01 client hello");
    server.receive(&stream).unwrap();
    let Ok(Some(Event::UpgradeTls { early_bytes })) = server.poll() else {
        panic!("TLS is due");
    };
    assert_eq!(early_bytes, b"\x16\x03\x01 client hello");
    assert!(!server.wants_read());
    server.tls_established();
    assert!(server.wants_read());
    assert!(matches!(server.poll(), Ok(None)));
}

#[test]
fn clients_without_plugins_use_the_native_method() {
    let mut server = Connection::new(config());
    let mut login = bytes("00 82 00 00 00 00 00 01 21");
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"native\0\x14");
    login.extend_from_slice(&scramble(AuthPlugin::Native, b"geheim", &SALT));
    server.receive(&frame(1, &login)).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Login(_)))));
    server.credentials(account("native"));
    assert!(matches!(server.poll(), Ok(Some(Event::LoginProven))));
    let mut server = Connection::new(config());
    server.receive(&frame(1, &login)).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Login(_)))));
    server.clear_output();
    server.credentials(account("sha2"));
    assert!(matches!(server.poll(), Ok(Some(Event::LoginDenied))));
    assert_eq!(server.output()[5..7], 1251_u16.to_le_bytes());
}

#[test]
fn clients_older_than_4_1_are_told_so() {
    let mut server = Connection::new(config());
    server.clear_output();
    server.receive(&frame(1, &bytes("05 00 00 00 00 'x' 00"))).unwrap();
    assert_eq!(server.poll().unwrap_err(), ProtocolError::OldClient);
    assert!(server.is_closed());
    assert_eq!(server.output()[5..7], 1251_u16.to_le_bytes());
}

#[test]
fn who_compresses_unasked_is_told_before_it_waits_for_ever() {
    let mut server = Connection::new(config());
    server.clear_output();
    let mut login = bytes("20 82 00 00 00 00 00 01 21");
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"native\0\x14");
    login.extend_from_slice(&scramble(AuthPlugin::Native, b"geheim", &SALT));
    server.receive(&frame(1, &login)).unwrap();
    assert_eq!(server.poll().unwrap_err(), ProtocolError::Compression);
    assert_eq!(server.output()[5..7], 1235_u16.to_le_bytes());
}

#[test]
fn a_login_has_limits() {
    let mut server = Connection::new(config());
    let mut header = (LOGIN_PACKET_BYTES_MAX as u32 + 1).to_le_bytes();
    header[3] = 1;
    assert_eq!(server.receive(&header), Err(ProtocolError::TooLarge));
    for (attributes, fits) in [(512, true), (513, false)] {
        let mut client = ClientConfig::new("both", "geheim");
        client.attributes = vec![(String::new(), String::new()); attributes];
        let mut pair = Pair::new(client, config());
        let mut out = Vec::new();
        pair.server.take_output(&mut out);
        pair.client.receive(&out).unwrap();
        pair.client.poll().unwrap();
        out.clear();
        pair.client.take_output(&mut out);
        pair.server.receive(&out).unwrap();
        assert_eq!(pair.server.poll().is_ok(), fits, "{attributes} attributes");
    }
}

/// A COM_CHANGE_USER packet without its command byte.
fn change_user(user: &str, response: &[u8], plugin: &str) -> Vec<u8> {
    let mut packet = format!("{user}\0").into_bytes();
    packet.push(response.len() as u8);
    packet.extend_from_slice(response);
    packet.extend_from_slice(b"music\0\xFF\x00");
    packet.extend_from_slice(format!("{plugin}\0").as_bytes());
    packet
}

#[test]
fn change_user_authenticates_and_forgets_statements() {
    let mut pair = Pair::logged_in();
    pair.client.prepare(b"select 1");
    pair.run(|server, _| {
        server.prepared([], [], 0);
    });
    assert_eq!(pair.server.statement_count(), 1);
    let right = scramble(AuthPlugin::CachingSha2, b"geheim", &SALT);
    pair.log.clear();
    let send = |pair: &mut Pair, payload: &[u8]| {
        pair.server.receive(&frame(0, &[&[0x11], payload].concat())).unwrap();
        let Ok(Some(Event::Login(login))) = pair.server.poll() else {
            panic!("a login is due");
        };
        assert!(login.change_user);
        assert_eq!(login.database.as_deref(), Some("music"));
        pair.server.credentials(account(&login.user));
        pair.server.poll().unwrap()
    };
    let event = send(&mut pair, &change_user("sha2", &right, "caching_sha2_password"));
    assert!(matches!(event, Some(Event::LoginProven)));
    pair.server.ok(&OK);
    assert_eq!(pair.server.statement_count(), 0);
    let out = frames(pair.server.output());
    assert_eq!(out[0], (1, vec![1, 3]), "the plugin says yes");
    assert_eq!(out[1].1[0], 0, "then the server");
    pair.server.clear_output();

    // An empty response to a plugin that was not the greeting's: the client wants to be asked.
    let event = send(&mut pair, &change_user("native", b"", "mysql_native_password"));
    assert!(event.is_none());
    let out = frames(pair.server.output());
    let mut switch = b"\xFEmysql_native_password\0".to_vec();
    switch.extend_from_slice(&SALT);
    switch.push(0);
    assert_eq!(out, [(1, switch)]);
    pair.server.clear_output();
    let response = scramble(AuthPlugin::Native, b"geheim", &SALT);
    pair.server.receive(&frame(2, &response)).unwrap();
    assert!(matches!(pair.server.poll(), Ok(Some(Event::LoginProven))));
    pair.server.ok(&OK);
    pair.server.clear_output();

    let event = send(&mut pair, &change_user("both", &[0; 32], "caching_sha2_password"));
    assert!(matches!(event, Some(Event::LoginDenied)));
    assert!(pair.server.is_closed());
    assert_eq!(pair.server.output()[5..7], 1045_u16.to_le_bytes());
}

#[test]
fn a_login_may_be_refused_after_the_password() {
    let mut pair = Pair::new(ClientConfig::new("open", ""), config());
    let mut bytes = Vec::new();
    pair.server.take_output(&mut bytes);
    pair.client.receive(&bytes).unwrap();
    pair.client.poll().unwrap();
    bytes.clear();
    pair.client.take_output(&mut bytes);
    pair.server.receive(&bytes).unwrap();
    assert!(matches!(pair.server.poll(), Ok(Some(Event::Login(_)))));
    pair.server.credentials(account("open"));
    assert!(matches!(pair.server.poll(), Ok(Some(Event::LoginProven))));
    pair.server.error(&p2pdb_mysql::ServerError::new(1049, "42000", "Unknown database 'x'"));
    assert!(pair.server.is_closed());
    assert_eq!(pair.server.receive(b"x"), Err(ProtocolError::Closed));
}

#[test]
fn quit_closes_without_an_answer() {
    let mut pair = Pair::logged_in();
    pair.client.silent_command(1, b"");
    let mut quit = false;
    let events = pair.run(|_, event| quit = matches!(event, Event::Command(Command::Quit)));
    assert!(quit && events.is_empty() && pair.server.is_closed());
    assert!(pair.server.output().is_empty());
}
