//! The MySQL door: statements, limits, and clients that misbehave.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::*;
use p2pdb_mysql::client::{Client, ClientConfig, ClientEvent};
use p2pdb_mysql::{Capabilities, Param, StatusFlags};
use p2pdb_node::mysql_client::MysqlClient;

fn start(extra: &[&str]) -> (tempfile::TempDir, Node) {
    let temp = tempfile::tempdir().expect("a directory");
    let node = Node::start(&temp.path().join("node"), extra);
    (temp, node)
}

#[test]
fn statements_prepared_statements_and_several_results() {
    let (_temp, node) = start(&[]);
    let mut c = node.client(None);
    query(&mut c, "CREATE DATABASE shop").expect("a database");
    query(&mut c, "USE shop").expect("used");
    query(&mut c, "CREATE TABLE till (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL, amount DECIMAL(10,2))")
        .expect("a table");
    query(&mut c, "INSERT INTO till (name, amount) VALUES ('one', 1.50), ('zwei', NULL)").expect("rows");
    let rows = query(&mut c, "SELECT id, name, amount FROM till ORDER BY id").expect("rows");
    assert_eq!(rows, [["1", "one", "1.50"], ["2", "zwei", "NULL"]]);
    assert_eq!(query(&mut c, "INSERT INTO till (id, name) VALUES (1, 'x')").expect_err("taken").code, 1062);
    assert_eq!(query(&mut c, "SELECT * FROM nowhere").expect_err("no table").code, 1146);
    assert_eq!(query(&mut c, "SELEKT 1").expect_err("no SQL").code, 1064);
    let rows =
        query(&mut c, "SELECT 1; SELECT 2; INSERT INTO till (name) VALUES (';')").expect("three results");
    assert_eq!(rows, [["1"], ["2"]]);

    c.protocol().prepare(b"SELECT name, amount FROM till WHERE id = ?");
    let ClientEvent::Prepared { statement_id, params, columns } = c.event().expect("an event") else {
        panic!("not prepared");
    };
    assert_eq!((params, columns.len()), (1, 2));
    for (id, name) in [(1, "one"), (2, "zwei"), (3, ";")] {
        c.protocol().execute(statement_id, &[Param::Int(id)]);
        assert!(matches!(c.event().expect("an event"), ClientEvent::Columns(_)));
        let ClientEvent::BinaryRow(row) = c.event().expect("an event") else { panic!("no row for {id}") };
        assert!(matches!(&row[0], Param::Text(t) | Param::Bytes(t) if t == name.as_bytes()), "{row:?}");
        assert!(matches!(c.event().expect("an event"), ClientEvent::Done(_)));
    }
}

/// A connection by hand, of which the capabilities are known.
struct Raw {
    client: Client,
    socket: TcpStream,
}

impl Raw {
    fn open(node: &Node, capabilities: impl FnOnce(&mut Capabilities)) -> Raw {
        let file = node.client_file();
        let mut config = ClientConfig::new(file.user.clone(), file.password.clone());
        capabilities(&mut config.capabilities);
        let socket = TcpStream::connect((file.host.as_str(), file.port)).expect("connected");
        let mut raw = Raw { client: Client::new(config), socket };
        assert!(matches!(raw.event(), ClientEvent::Ready(_)));
        raw
    }

    fn event(&mut self) -> ClientEvent {
        let mut buffer = [0; 4096];
        loop {
            let event = self.client.poll().expect("the protocol holds");
            let mut output = Vec::new();
            self.client.take_output(&mut output);
            self.socket.write_all(&output).expect("sent");
            if let Some(event) = event {
                return event;
            }
            let n = self.socket.read(&mut buffer).expect("read");
            assert!(n > 0, "the node closed the connection");
            self.client.receive(&buffer[..n]).expect("the protocol holds");
        }
    }

    /// What each result of a statement says of the transaction: characteristics in brackets, state.
    fn news(&mut self, sql: &str) -> Vec<String> {
        self.client.query(sql.as_bytes());
        self.ends()
    }

    fn ends(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let done = match self.event() {
                ClientEvent::Done(done) => done,
                ClientEvent::Error(e) => panic!("{e}"),
                _ => continue,
            };
            let texts = done.changes.iter().filter_map(|(kind, data)| {
                let text = String::from_utf8_lossy(&data[1..]);
                match kind {
                    4 => Some(format!("[{text}]")),
                    5 => Some(text.into_owned()),
                    _ => None,
                }
            });
            all.push(texts.collect::<Vec<_>>().join(" "));
            if !done.status.contains(StatusFlags::MORE_RESULTS_EXISTS) {
                return all;
            }
        }
    }
}

#[test]
fn clients_hear_of_their_transaction_with_each_result_that_can_say_it() {
    let (_temp, node) = start(&[]);
    let mut c = Raw::open(&node, |_| {});
    c.news("CREATE DATABASE d; USE d; CREATE TABLE t (i INT); CREATE PROCEDURE p() BEGIN SELECT i FROM t; INSERT INTO t VALUES (1); END");
    assert_eq!(c.news("SET session_track_transaction_info = CHARACTERISTICS"), ["[] ________"]);
    assert_eq!(c.news("BEGIN; SELECT 1; DO 1"), ["[START TRANSACTION;] T_______", "T_____S_", ""]);
    assert_eq!(
        c.news("COMMIT AND CHAIN; CALL p()"),
        ["[START TRANSACTION;] T_______", "T_R___S_", "T_R_W_S_"]
    );
    assert_eq!(c.news("COMMIT"), ["[] ________"]);
    // What an error could not say, the next OK does, that of COM_PING, too.
    c.news("BEGIN");
    c.client.query(b"CREATE TABLE t (i INT)");
    assert!(matches!(c.event(), ClientEvent::Error(e) if e.code == 1050));
    c.client.command(0x0E, &[]);
    assert_eq!(c.ends(), ["[] ________"]);
    // COM_RESET_CONNECTION.
    c.news("BEGIN");
    c.client.command(0x1F, &[]);
    assert_eq!(c.ends(), [""]);
    assert_eq!(c.news("BEGIN"), [""]);

    // An EOF packet says nothing: it waits for the next OK.
    let mut older = Raw::open(&node, |c| c.remove(Capabilities::DEPRECATE_EOF));
    older.news("USE d; SET session_track_transaction_info = STATE");
    assert_eq!(older.news("BEGIN"), ["T_______"]);
    assert_eq!(older.news("CALL p()"), ["", "T_R_W_S_"]);
    assert_eq!(older.news("COMMIT AND CHAIN"), ["T_______"]);
    assert_eq!(older.news("SELECT 1"), [""]);
    assert_eq!(older.news("DO 1"), ["T_____S_"]);

    let mut deaf = Raw::open(&node, |c| c.remove(Capabilities::SESSION_TRACK));
    assert_eq!(deaf.news("SET session_track_transaction_info = STATE; BEGIN"), ["", ""]);
}

#[test]
fn procedures_give_several_results_and_their_out_parameters() {
    let (_temp, node) = start(&[]);
    let mut c = node.client(None);
    let set_up = "CREATE DATABASE shop; USE shop; CREATE PROCEDURE p(IN a INT, OUT b INT, INOUT c VARCHAR(9)) BEGIN \
                  SELECT a; SELECT a + 1, 'x'; SET b = a * 2; SET c = CONCAT(c, '!'); END; SELECT 'made'";
    assert_eq!(query(&mut c, set_up).expect("a body is one statement"), [["made"]]);
    query(&mut c, "SET @c = 'hey'").expect("set");
    let rows = query(&mut c, "CALL p(4, @b, @c)").expect("called");
    assert_eq!(rows, vec![vec!["4"], vec!["5", "x"]]);
    assert_eq!(query(&mut c, "SELECT @b, @c").expect("rows"), [["8", "hey!"]]);

    c.protocol().prepare(b"CALL p(?, ?, ?)");
    let ClientEvent::Prepared { statement_id, params, .. } = c.event().expect("an event") else {
        panic!("not prepared");
    };
    assert_eq!(params, 3);
    c.protocol().execute(statement_id, &[Param::Int(5), Param::Null, Param::Text("you".into())]);
    let mut found = Vec::new();
    let mut out = false;
    loop {
        match c.event().expect("an event") {
            ClientEvent::Columns(_) => {}
            ClientEvent::BinaryRow(row) => found.push(row),
            ClientEvent::Done(done) => {
                out |= done.status.contains(StatusFlags::PS_OUT_PARAMS);
                if !done.status.contains(StatusFlags::MORE_RESULTS_EXISTS) {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(out, "no OUT parameters");
    assert_eq!(found.len(), 3);
    assert_eq!(found[2][0], Param::Int(10));
    assert!(matches!(&found[2][1], Param::Text(t) | Param::Bytes(t) if t == b"you!"), "{found:?}");
}

#[test]
fn a_wrong_password_is_1045_and_too_many_clients_1040() {
    let (_temp, node) = start(&["--max-connections", "2"]);
    let mut file = node.client_file();
    file.password.push('x');
    let error = MysqlClient::open(&file, None, "test").err().expect("denied").to_string();
    assert!(error.contains("1045") && error.contains("Access denied for user 'root'@'localhost'"), "{error}");
    // The client that was denied may still be on its way out.
    let open = || MysqlClient::open(&node.client_file(), None, "test");
    let a = eventually("a place is free", || open().ok());
    let _b = eventually("another place is free", || open().ok());
    let error = open().err().expect("refused").to_string();
    assert!(error.contains("1040"), "{error}");
    drop(a);
    eventually("a place is free again", || open().ok());
}

#[test]
fn a_client_that_does_not_log_in_or_idles_is_cut() {
    let (_temp, node) = start(&["--connect-timeout", "1s", "--wait-timeout", "1s"]);
    let file = node.client_file();
    let mut silent = TcpStream::connect((file.host.as_str(), file.port)).expect("connect");
    let mut idle = node.client(None);
    let begun = Instant::now();
    let mut all = Vec::new();
    silent.set_read_timeout(Some(PATIENCE)).expect("a limit");
    silent.read_to_end(&mut all).expect("closed");
    assert!(begun.elapsed() < Duration::from_secs(10));
    std::thread::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed()) + Duration::from_secs(1));
    let error = idle.run("SELECT 1");
    match error {
        Ok(Err(e)) => assert_eq!(e.code, 4031),
        Ok(Ok(_)) => panic!("the idle client was not cut"),
        Err(_) => {}
    }
}

#[test]
fn a_session_says_how_long_it_may_idle() {
    let others = ["--max-prepared-statements", "7", "--connect-timeout", "13s", "--write-timeout", "21s"];
    let (_temp, node) = start(&[&["--wait-timeout", "20m"], &others[..]].concat());
    let mut short = node.client(None);
    let settings = "SELECT @@max_prepared_stmt_count, @@connect_timeout, @@net_write_timeout, @@global.net_write_timeout";
    assert_eq!(query(&mut short, settings).expect("settings"), [["7", "13", "21", "21"]]);
    let mut long = node.client(None);
    assert_eq!(
        query(&mut short, "SELECT @@wait_timeout, @@global.wait_timeout").expect("limits"),
        [["1200", "1200"]]
    );
    query(&mut short, "SET SESSION wait_timeout = 1").expect("set");
    query(&mut long, "SET SESSION interactive_timeout = 1").expect("set");
    eventually("the short session is cut", || {
        let rows = query(&mut long, "SELECT COUNT(*) FROM information_schema.PROCESSLIST").expect("rows");
        (rows == [["1"]]).then_some(())
    });
    assert!(!matches!(short.run("SELECT 1"), Ok(Ok(_))));
}

#[test]
fn a_client_that_leaves_while_it_waits_writes_nothing() {
    let (_temp, node) = start(&[]);
    let mut holder = node.client(None);
    for sql in
        ["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "BEGIN", "INSERT INTO d.t VALUES (1)"]
    {
        query(&mut holder, sql).expect("done");
    }
    let mut waiting = program();
    waiting.args(["sql", "-e", "INSERT INTO d.t VALUES (2)", "--data-dir"]).arg(node.dir.root());
    let mut waiting = waiting.spawn().expect("a client");
    let running = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'INSERT%'";
    eventually("it waits", || (node.query(running).expect("rows") == [["1"]]).then_some(()));
    waiting.kill().expect("killed");
    waiting.wait().expect("gone");
    eventually("it is gone", || (node.query(running).expect("rows") == [["0"]]).then_some(()));
    query(&mut holder, "COMMIT").expect("committed");
    assert_eq!(node.query("SELECT id FROM d.t").expect("rows"), [["1"]]);
}

#[test]
fn a_client_that_sends_garbage_is_cut_and_others_go_on() {
    let (_temp, node) = start(&[]);
    let file = node.client_file();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &[0, 0, 0, 0], &[3, 0, 0, 1, 0, 0, 0]] {
        let mut socket = TcpStream::connect((file.host.as_str(), file.port)).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        socket.write_all(garbage).expect("send");
        socket.shutdown(std::net::Shutdown::Write).expect("half closed");
        let mut all = Vec::new();
        // A reset is as good as an end.
        let _ = socket.read_to_end(&mut all);
    }
    assert_eq!(node.query("SELECT 1").expect("undisturbed"), [["1"]]);
}

/// Runs a statement of any bytes: how many rows it gives, or its error's number.
fn outcome(c: &mut MysqlClient, sql: &[u8]) -> Result<usize, u16> {
    c.protocol().query(sql);
    let mut rows = 0;
    loop {
        match c.event().expect("the connection holds") {
            ClientEvent::Row(_) => rows += 1,
            ClientEvent::Done(_) => return Ok(rows),
            ClientEvent::Error(e) => return Err(e.code),
            _ => {}
        }
    }
}

#[test]
fn bad_input_is_an_error_of_mysqls_and_the_session_goes_on() {
    let (_temp, node) = start(&[]);
    let mut c = node.client(None);
    query(&mut c, "CREATE DATABASE d").expect("a database");
    query(&mut c, "CREATE TABLE d.t (id INT PRIMARY KEY, j JSON)").expect("a table");
    query(&mut c, "INSERT INTO d.t VALUES (1, '{}'), (2, NULL)").expect("rows");
    let nested = |head: &str, open: &str, inside: &str, close: &str, n: usize| {
        format!("{head}{}{inside}{}", open.repeat(n), close.repeat(n)).into_bytes()
    };
    let list = |item: &str, n: usize| vec![item; n].join(",");
    let cases: Vec<(&str, Vec<u8>, Result<usize, u16>)> = vec![
        ("parentheses", nested("SELECT ", "(", "1", ")", 10_000), Err(1436)),
        ("subqueries", nested("SELECT ", "(SELECT ", "1", ")", 200), Err(1436)),
        ("derived tables", nested("", "SELECT * FROM (", "SELECT 1", ") AS x", 200), Err(1436)),
        ("queries in parentheses", nested("SELECT ", "((SELECT ", "1", ") UNION SELECT 1)", 60), Ok(1)),
        ("signs", nested("SELECT ", "NOT ", "1", "", 20_000), Err(1436)),
        ("cases", nested("SELECT ", "CASE WHEN 1 THEN ", "1", " END", 2_000), Err(1436)),
        (
            "JSON",
            nested("SELECT JSON_DEPTH('", "[", "", "]", 200).into_iter().chain(*b"')").collect(),
            Err(3157),
        ),
        ("a list of keys", format!("SELECT id FROM d.t WHERE id IN ({})", list("1", 100_000)).into(), Ok(1)),
        (
            "a list behind a literal",
            format!("SELECT CONCAT('a', id) FROM d.t WHERE 7 IN ({},7)", list("1", 100_000)).into(),
            Ok(2),
        ),
        (
            "a list of rows",
            format!("SELECT 1 FROM d.t WHERE (id, 1) IN ({})", list("(1,1)", 1_000)).into(),
            Ok(1),
        ),
        (
            "a longer one",
            format!("SELECT 1 FROM d.t WHERE (id, 1) IN ({})", list("(1,1)", 20_001)).into(),
            Err(1436),
        ),
        ("bytes that are no UTF-8 in a name", b"SELECT \xff FROM d.t".to_vec(), Err(1300)),
        ("the same in a text", b"INSERT INTO d.t VALUES (3, '\xff')".to_vec(), Err(3144)),
        ("a cut character", b"SELECT id FROM d.t WHERE id = '\xe2\x82'".to_vec(), Ok(0)),
        ("NUL in a text", b"SELECT 1 FROM d.t WHERE 'a\0b' = CONCAT('a', CHAR(0), 'b')".to_vec(), Ok(2)),
        ("NUL between words", b"SELECT \0 1".to_vec(), Err(1064)),
        ("nothing", Vec::new(), Err(1065)),
        ("a number for ever", b"SELECT 1e999999999".to_vec(), Err(1367)),
        ("columns", format!("SELECT {}", list("1", 5_000)).into(), Err(1117)),
        (
            "a text too long to make",
            b"SELECT 1 FROM d.t WHERE REPEAT('x', 4000000000) IS NULL".to_vec(),
            Ok(2),
        ),
        (
            "recursion without end",
            b"WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT * FROM c".to_vec(),
            Err(3636),
        ),
    ];
    for (name, sql, wanted) in cases {
        assert_eq!(outcome(&mut c, &sql), wanted, "{name}");
        assert_eq!(query(&mut c, "SELECT 1").expect("an answer"), [["1"]], "after {name}");
    }

    c.protocol().prepare(b"SELECT id FROM d.t WHERE id = ? AND ? = ?");
    let ClientEvent::Prepared { statement_id, params: 3, .. } = c.event().expect("an event") else {
        panic!("it has three parameters");
    };
    let mut execute = |params: &[Param]| {
        c.protocol().execute(statement_id, params);
        loop {
            match c.event().expect("the connection holds") {
                ClientEvent::Done(_) => return Ok(()),
                ClientEvent::Error(e) => return Err(e.code),
                _ => {}
            }
        }
    };
    let text = |t: &[u8]| Param::Text(t.to_vec());
    assert_eq!(execute(&[text(b"x"), text(b"\xff\0"), Param::Null]), Ok(()), "of other types");
    assert_eq!(execute(&[Param::Double(f64::MAX), Param::UInt(u64::MAX), text(&[b'9'; 1000])]), Ok(()));
    assert_eq!(query(&mut c, "SELECT COUNT(*) FROM d.t").expect("an answer"), [["2"]], "nothing was written");
    query(&mut c, "PREPARE s FROM 'SELECT ?, ?'").expect("prepared");
    for using in ["", " USING @a", " USING @a, @a, @a"] {
        assert_eq!(query(&mut c, &format!("EXECUTE s{using}")).expect_err("too few or many").code, 1210);
    }
}

#[test]
fn a_client_that_does_not_read_a_long_result_holds_up_nobody_and_is_cut() {
    let (_temp, node) = start(&["--write-timeout", "1s", "--worker-threads", "2"]);
    let mut c = node.client(None);
    query(&mut c, "CREATE DATABASE big").expect("a database");
    query(&mut c, "CREATE TABLE big.t (id INT PRIMARY KEY, x LONGTEXT)").expect("a table");
    for id in 0..8 {
        query(&mut c, &format!("INSERT INTO big.t VALUES ({id}, REPEAT('x', 1000000))")).expect("a row");
    }
    let sql = b"SELECT a.id, b.x FROM big.t a JOIN big.t b";
    let mut stuck: Vec<MysqlClient> = (0..4).map(|_| node.client(None)).collect();
    for client in &mut stuck {
        client.protocol().query(sql);
        assert!(matches!(client.event().expect("an event"), ClientEvent::Columns(_)));
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(query(&mut c, "SELECT 1").expect("an answer"), [["1"]]);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "others waited {:?}", begun.elapsed());
    eventually("the stuck clients are cut", || (node.status().clients <= 2).then_some(()));
    assert_eq!(query(&mut c, "SELECT COUNT(*) FROM big.t").expect("an answer"), [["8"]]);
}

#[test]
fn long_results_and_long_statements_pass_the_packet_limit_of_16_mib() {
    let (_temp, node) = start(&["--max-allowed-packet", "64MiB"]);
    let mut c = node.client(None);
    query(&mut c, "CREATE DATABASE big").expect("a database");
    query(&mut c, "CREATE TABLE big.t (id INT PRIMARY KEY, x LONGTEXT)").expect("a table");
    let long = "y".repeat(20 << 20);
    query(&mut c, &format!("INSERT INTO big.t VALUES (1, '{long}')")).expect("a long row");
    let rows = query(&mut c, "SELECT x FROM big.t").expect("a long row");
    assert!(rows[0][0] == long, "the value came back changed");
}

/// Status variables as numbers.
fn numbers(c: &mut MysqlClient, scope: &str, names: &[&str]) -> Vec<u64> {
    let rows = query(c, &format!("SHOW {scope} STATUS")).expect("rows");
    let number = |name: &&str| {
        let row = rows.iter().find(|r| r[0] == *name).unwrap_or_else(|| panic!("{name} is not shown"));
        row[1].parse().unwrap_or_else(|_| panic!("{row:?}"))
    };
    names.iter().map(number).collect()
}

#[test]
fn status_and_variables_tell_what_this_node_is_and_what_it_counts() {
    let (temp, node) = start(&["--max-connections", "3"]);
    let port = node.status().mysql.rsplit_once(':').expect("a port").1.to_owned();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().to_owned();
    let mut a = node.client(None);
    let said = "SELECT @@port, @@hostname, @@bind_address, @@have_compress, @@have_ssl, @@require_secure_transport, @@datadir";
    let data = format!("{}/", node.dir.root().display());
    let want = [&port, &hostname, "127.0.0.1", "NO", "YES", "0", &data].map(str::to_owned);
    assert_eq!(query(&mut a, said).expect("a row"), [want]);
    let uuid = query(&mut a, "SELECT @@server_uuid").expect("a row")[0][0].clone();
    assert!(uuid.len() == 36 && uuid.as_bytes()[14] == b'8' && !uuid.starts_with("00000000-0000"), "{uuid}");
    assert_eq!(query(&mut a, "SET SESSION max_allowed_packet = 4096").expect_err("read only").code, 1621);

    let own = "SELECT ATTR_NAME, ATTR_VALUE, ORDINAL_POSITION FROM performance_schema.session_account_connect_attrs \
               WHERE PROCESSLIST_ID = CONNECTION_ID()";
    assert_eq!(query(&mut a, own).expect("a row"), [["program_name", "test", "0"]]);

    let names = ["Connections", "Threads_connected", "Threads_running", "Max_used_connections"];
    let first = numbers(&mut a, "GLOBAL", &names);
    assert_eq!(first[1..], [1, 1, 1]);
    let (b, mut c) = (node.client(None), node.client(None));
    assert!(TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).is_ok());
    eventually("the fourth is refused", || {
        let refused = numbers(&mut a, "GLOBAL", &["Connection_errors_max_connections"]);
        (refused == [1]).then_some(())
    });
    assert_eq!(numbers(&mut a, "GLOBAL", &names), [first[0] + 3, 3, 1, 3]);
    // A client that leaves without a word, and one that does not log in.
    b.socket().shutdown(std::net::Shutdown::Both).expect("shut");
    eventually("it is gone", || (numbers(&mut a, "GLOBAL", &["Threads_connected"]) == [2]).then_some(()));
    assert_eq!(numbers(&mut a, "GLOBAL", &["Aborted_clients", "Aborted_connects"]), [1, 0]);
    drop(TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).expect("connected"));
    eventually("it is noticed", || {
        (numbers(&mut a, "GLOBAL", &["Aborted_clients", "Aborted_connects"]) == [1, 1]).then_some(())
    });

    // Of the session, and of all.
    let traffic = ["Bytes_received", "Bytes_sent", "Questions", "Slow_queries", "Com_select"];
    let (of_a, of_c) = (numbers(&mut a, "SESSION", &traffic), numbers(&mut c, "SESSION", &traffic));
    query(&mut c, "SET long_query_time = 0").expect("set");
    query(&mut c, &format!("SELECT '{}'", "x".repeat(5000))).expect("a row");
    let (now_a, now_c) = (numbers(&mut a, "SESSION", &traffic), numbers(&mut c, "SESSION", &traffic));
    assert!(now_a[0] < of_a[0] + 100 && now_c[0] > of_c[0] + 5000, "{now_a:?} {now_c:?}");
    assert!(now_c[1] > of_c[1] + 5000, "{now_c:?}");
    assert_eq!((now_a[2] - of_a[2], now_c[2] - of_c[2]), (1, 3));
    // SET took effect at its own end.
    assert_eq!((now_a[3], now_c[3]), (0, 1));
    assert_eq!((now_a[4] - of_a[4], now_c[4] - of_c[4]), (0, 1));
    let global = numbers(&mut a, "GLOBAL", &traffic);
    assert!(global[0] >= now_a[0] + now_c[0] && global[2] >= now_a[2] + now_c[2], "{global:?}");
    assert_eq!((global[3], global[4]), (2, now_a[4] + now_c[4]), "the SHOW STATUS of c was slow as well");
    assert!(query(&mut a, "SHOW STATUS LIKE 'Ssl_cipher'").expect("a row") == [["Ssl_cipher", ""]]);

    c.protocol().prepare(b"SELECT ?");
    let ClientEvent::Prepared { statement_id, .. } = c.event().expect("an event") else {
        panic!("not prepared")
    };
    c.protocol().execute(statement_id, &[Param::Int(1)]);
    while !matches!(c.event().expect("an event"), ClientEvent::Done(_)) {}
    let counted =
        ["Com_stmt_prepare", "Com_stmt_execute", "Com_stmt_close", "Prepared_stmt_count", "Com_select"];
    assert_eq!(numbers(&mut c, "SESSION", &counted), [1, 1, 0, 1, now_c[4] + 1]);
    drop((a, c));
    assert!(node.stop());
    let node = Node::start(&temp.path().join("node"), &["--mysql-tls", "off"]);
    let row = node.query("SELECT @@server_uuid, @@have_ssl").expect("a row");
    assert_eq!(row, [[uuid, "DISABLED".to_owned()]], "the same after a restart");
}

#[test]
fn a_statement_beyond_max_allowed_packet_is_refused() {
    let (_temp, node) = start(&["--max-allowed-packet", "1MiB"]);
    for mib in [1, 2, 20] {
        let mut c = node.client(None);
        let long = format!("SELECT '{}'", "x".repeat(mib << 20));
        // All of it is taken from the socket, so that the client hears why.
        let error = c.run(&long).expect("an answer").expect_err("too long");
        assert_eq!((error.code, error.sqlstate.as_str()), (1153, "08S01"), "{mib} MiB");
        assert!(c.run("SELECT 1").is_err(), "the connection is closed");
    }
    assert_eq!(node.query("SELECT 1").expect("undisturbed"), [["1"]]);
}

/// A statement that goes on until somebody ends it.
const ENDLESS: &str = "SELECT COUNT(*) FROM d.n a, d.n b, d.n c, d.n e WHERE a.id + b.id + c.id + e.id < 0";

fn endless_table(c: &mut MysqlClient) {
    query(c, "CREATE DATABASE d").expect("a database");
    query(c, "CREATE TABLE d.n (id INT PRIMARY KEY)").expect("a table");
    let rows: Vec<String> = (0..1000).map(|n| format!("({n})")).collect();
    query(c, &format!("INSERT INTO d.n VALUES {}", rows.join(","))).expect("rows");
}

/// Waits until this connection runs a statement with these words.
fn wait_running(by: &mut MysqlClient, id: &str, words: &str) {
    eventually("it runs", || {
        let all = query(by, "SHOW PROCESSLIST").expect("a list");
        all.iter().any(|p| p[0] == id && p[7].contains(words)).then_some(())
    });
}

#[test]
fn kill_ends_another_connection_and_kill_query_only_its_statement() {
    let (_temp, node) = start(&[]);
    let (mut a, mut b) = (node.client(None), node.client(None));
    let id = query(&mut a, "SELECT CONNECTION_ID()").expect("an id")[0][0].clone();
    query(&mut b, &format!("KILL QUERY {id}")).expect("killed");
    assert_eq!(query(&mut a, "SELECT 1").expect("still there"), [["1"]]);
    query(&mut b, &format!("KILL {id}")).expect("killed");
    assert!(a.run("SELECT 1").is_err(), "the connection is closed without a word");
    assert_eq!(query(&mut b, "KILL 999999").expect_err("nobody").code, 1094);
    let own = query(&mut b, "SELECT CONNECTION_ID()").expect("an id")[0][0].clone();
    let error = b.run(&format!("KILL {own}")).expect("an answer").expect_err("killed");
    assert_eq!(error.code, 1317);
    assert!(b.run("SELECT 1").is_err(), "told once, and the connection is closed");
}

#[test]
fn kill_ends_a_statement_that_runs() {
    let (_temp, node) = start(&[]);
    let mut b = node.client(None);
    endless_table(&mut b);
    let benchmark = "SELECT BENCHMARK(100000000000, SHA2('a', 512))";
    for (kill, survives, endless, words) in [
        ("KILL QUERY", true, ENDLESS, "FROM d.n a"),
        ("KILL", false, ENDLESS, "FROM d.n a"),
        ("KILL QUERY 0 +", true, benchmark, "BENCHMARK"),
        ("KILL (SELECT 0) +", false, benchmark, "BENCHMARK"),
    ] {
        let mut a = node.client(None);
        let id = query(&mut a, "SELECT CONNECTION_ID()").expect("an id")[0][0].clone();
        let runs = std::thread::spawn(move || {
            let ended = a.run(endless);
            (a, ended)
        });
        wait_running(&mut b, &id, words);
        query(&mut b, &format!("{kill} {id}")).expect("killed");
        let (mut a, ended) = runs.join().expect("no panic");
        assert_eq!(ended.expect("an answer").expect_err("interrupted").code, 1317, "{kill}");
        match survives {
            true => assert_eq!(query(&mut a, "SELECT 1").expect("still there"), [["1"]]),
            false => assert!(a.run("SELECT 1").is_err(), "it was told already, and the connection is closed"),
        }
    }
}

#[test]
fn a_benchmark_ends_in_time_and_hinders_nobody() {
    let (_temp, node) = start(&[]);
    let mut a = node.client(None);
    query(&mut a, "SET max_execution_time = 2000").expect("set");
    let runs = std::thread::spawn(move || {
        let ended = a.run("SELECT BENCHMARK(100000000000, 1 + 1)").expect("an answer");
        (a, ended)
    });
    let mut b = node.client(None);
    query(&mut b, "CREATE DATABASE e").expect("others write");
    assert_eq!(query(&mut b, "SELECT BENCHMARK(1000, 1 + 1)").expect("and read"), [["0"]]);
    let (mut a, ended) = runs.join().expect("no panic");
    assert_eq!(ended.expect_err("out of time").code, 3024);
    assert_eq!(query(&mut a, "SELECT BENCHMARK(10, 1)").expect("still there"), [["0"]]);
}

#[test]
fn a_table_has_the_checksum_of_its_rows_whatever_their_order() {
    let (_temp, node) = start(&[]);
    let mut c = node.client(None);
    let mut sum = |rows: &str| {
        query(&mut c, "DROP DATABASE IF EXISTS s").expect("dropped");
        query(&mut c, "CREATE DATABASE s").expect("a database");
        query(&mut c, "CREATE TABLE s.t (a INT, b VARCHAR(9), c JSON, d DECIMAL(5,2))").expect("a table");
        query(&mut c, &format!("INSERT INTO s.t VALUES {rows}")).expect("rows");
        let sums = query(&mut c, "CHECKSUM TABLE s.t, s.t EXTENDED").expect("a sum");
        assert_eq!(sums[0], sums[1]);
        assert_eq!(sums[0][0], "s.t");
        sums[0][1].parse::<u32>().expect("a number")
    };
    let one = sum("(1, 'x', '{}', 1.5), (NULL, '', NULL, 0)");
    assert_eq!(one, sum("(NULL, '', NULL, 0), (1, 'x', '{}', 1.5)"));
    for other in [
        "(1, 'x', '{}', 1.5)",
        "(1, 'x', '{}', 1.5), (NULL, NULL, NULL, 0)",
        "(1, 'x', '{}', 1.5), (NULL, '', '0', 0)",
    ] {
        assert_ne!(one, sum(other), "{other}");
    }
}

#[test]
fn an_unfinished_transaction_of_a_client_that_leaves_is_rolled_back() {
    let (_temp, node) = start(&[]);
    let mut a = node.client(None);
    query(&mut a, "CREATE DATABASE d").expect("a database");
    query(&mut a, "CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    query(&mut a, "BEGIN").expect("begun");
    query(&mut a, "INSERT INTO d.t VALUES (1)").expect("a row");
    drop(a);
    let mut b = node.client(None);
    query(&mut b, "INSERT INTO d.t VALUES (1)").expect("the place is free");
    assert_eq!(query(&mut b, "SELECT COUNT(*) FROM d.t").expect("a count"), [["1"]]);
}

#[test]
fn a_stop_answers_every_client_with_1053_and_loses_nothing() {
    const WRITERS: usize = 8;
    let (temp, node) = start(&[]);
    let mut c = node.client(None);
    query(&mut c, "CREATE DATABASE d").expect("a database");
    query(&mut c, "CREATE TABLE d.t (who INT, n INT, PRIMARY KEY (who, n))").expect("a table");
    query(&mut c, "CREATE TABLE d.u (id INT PRIMARY KEY)").expect("a table");
    // One idles, one has a transaction open that it does not end.
    let mut idle = node.client(None);
    let mut open = node.client(None);
    query(&mut open, "BEGIN").expect("begun");
    query(&mut open, "SELECT * FROM d.u").expect("a snapshot");
    let begun = std::sync::Barrier::new(WRITERS + 1);
    let acknowledged: Vec<u64> = std::thread::scope(|s| {
        let write = |who: usize| {
            let (mut c, begun) = (node.client(None), &begun);
            s.spawn(move || {
                for n in 0.. {
                    match c.run(&format!("INSERT INTO d.t VALUES ({who}, {n})")).expect("an answer to each") {
                        Ok(_) if n == 0 => drop(begun.wait()),
                        Ok(_) => {}
                        Err(e) => {
                            assert_eq!((e.code, e.sqlstate.as_str()), (1053, "08S01"), "{e}");
                            return n;
                        }
                    }
                }
                unreachable!()
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(write).collect();
        begun.wait();
        node.signal("TERM");
        writers.into_iter().map(|w| w.join().expect("no panic")).collect()
    });
    assert!(node.wait_end().success());
    for c in [&mut idle, &mut open] {
        let error = c.run("SELECT 1").expect("an answer").expect_err("stopped");
        assert_eq!((error.code, error.sqlstate.as_str()), (1053, "08S01"));
        assert!(c.run("SELECT 1").is_err(), "the connection is closed");
    }
    let node = Node::start(&temp.path().join("node"), &[]);
    for (who, n) in acknowledged.into_iter().enumerate() {
        let rows = node.query(&format!("SELECT COUNT(*) FROM d.t WHERE who = {who}")).expect("a count");
        assert_eq!(rows, [[n.to_string()]], "what was acknowledged, and nothing else");
    }
}

#[test]
fn a_stop_lets_statements_finish_and_ends_those_that_do_not() {
    let (temp, node) = start(&["--shutdown-timeout", "1s"]);
    let (mut holder, mut waiter, mut endless) = (node.client(None), node.client(None), node.client(None));
    let mut watcher = node.client(None);
    endless_table(&mut watcher);
    query(&mut watcher, "CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let id_of = |c: &mut MysqlClient| query(c, "SELECT CONNECTION_ID()").expect("an id")[0][0].clone();
    let (waiter_id, endless_id) = (id_of(&mut waiter), id_of(&mut endless));
    query(&mut holder, "BEGIN").expect("begun");
    query(&mut holder, "INSERT INTO d.t VALUES (1)").expect("it holds the writer");
    std::thread::scope(|s| {
        // It waits for the writer, which is free once the holder is sent away and rolled back.
        let waits = s.spawn(move || {
            query(&mut waiter, "INSERT INTO d.t VALUES (2)").expect("it is done");
            waiter.run("SELECT 1").expect("an answer").expect_err("stopped").code
        });
        let runs = s.spawn(move || endless.run(ENDLESS).expect("an answer").expect_err("stopped").code);
        wait_running(&mut watcher, &waiter_id, "INSERT INTO");
        wait_running(&mut watcher, &endless_id, "FROM d.n a");
        node.signal("TERM");
        assert_eq!(waits.join().expect("no panic"), 1053);
        assert_eq!(runs.join().expect("no panic"), 1053);
    });
    assert!(node.wait_end().success());
    let node = Node::start(&temp.path().join("node"), &[]);
    assert_eq!(node.query("SELECT id FROM d.t").expect("rows"), [["2"]]);
}
