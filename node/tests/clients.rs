//! Clients that people use, against a real node: the `mariadb` program, PyMySQL, node's mysql2, Rust's mysql_async.
//!
//! `scripts/test` installs the first three and says where they are; without it they are looked for where a developer
//! would have them. A client that is missing fails its test.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Node, run_err_with, run_ok, run_ok_with, text, wait_equal};
use mysql_async::prelude::Queryable;
use p2pdb_node::client_file::ClientFile;

fn node() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(&dir.path().join("node"), &[]);
    (dir, node)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn run_client(program: &mut Command, client: &ClientFile) {
    let output = program
        .args([&client.host, &client.port.to_string(), &client.user, &client.password])
        .output()
        .unwrap_or_else(|e| panic!("{program:?} does not start ({e}): run scripts/test, which installs it"));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.trim() == "fine", "{out}\n{err}");
}

#[test]
fn the_mariadb_program_loads_a_script_and_shows_tables() {
    let (_dir, node) = node();
    let defaults = format!("--defaults-file={}", node.dir.root().join("client.cnf").display());
    let run = |args: &[&str], input: &str| {
        use std::io::Write;
        let mut child = Command::new("mariadb")
            .arg(&defaults)
            .args(args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the mariadb client is there: scripts/test installs it");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let script = "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop; USE shop;\n\
                  /*!40101 SET NAMES utf8 */;\n\
                  CREATE TABLE till (id INT AUTO_INCREMENT PRIMARY KEY, name NVARCHAR(20)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n\
                  INSERT INTO till (name) VALUES (N'apple'), (N'b\\'c');\n";
    run(&[], script);
    assert_eq!(run(&["-N", "shop"], "SELECT * FROM till ORDER BY id"), "1\tapple\n2\tb'c\n");
    assert!(run(&["-t", "shop"], "SHOW TABLES").contains("| till           |"));
    assert!(run(&["shop"], "STATUS").contains("8.0."));
    let tls = "SHOW STATUS LIKE 'Ssl_cipher'; SHOW STATUS LIKE 'Ssl_version'";
    let with = run(&["-N", "--ssl", "--ssl-verify-server-cert=0"], tls);
    assert!(with.starts_with("Ssl_cipher\tTLS_") && with.ends_with("Ssl_version\tTLSv1.3\n"), "{with}");
    assert_eq!(run(&["-N", "--skip-ssl"], tls), "Ssl_cipher\t\nSsl_version\t\n");
}

/// An account that came from a MySQL server with the hash of its password: over TLS the password itself is asked for, once; then
/// its own method serves without TLS, too.
#[test]
fn a_password_known_by_its_older_hash_is_asked_for_in_full_over_tls() {
    let (_dir, node) = node();
    node.query("CREATE USER ann IDENTIFIED BY 'first'").expect("made");
    let hash = p2pdb_mysql::Verifiers::of_password(b"geheim").native_hash().expect("a hash");
    let said = run_ok_with(node.dir.root(), &["password", "ann", "--hash"], &format!("{hash}\n"));
    assert_eq!(said, "  account  ann, password set\n");
    let client = node.client_file();
    let login = |password: &str, more: &[&str]| {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-N", "-h", &client.host, "-P", &client.port.to_string(), "-u", "ann"])
            .arg(format!("-p{password}"))
            .args(more)
            .args(["-e", "SELECT CURRENT_USER()"])
            .output()
            .expect("the mariadb client is there: scripts/test installs it");
        if output.status.success() { text(&output.stdout) } else { text(&output.stderr) }
    };
    let sha2 = "--default-auth=caching_sha2_password";
    let tls = [sha2, "--ssl", "--ssl-verify-server-cert=0"];
    let knows =
        || std::fs::read_to_string(node.dir.path("logins.json")).expect("readable").matches("sha2").count();
    // Without TLS the client is asked for the method whose hash is there.
    assert_eq!(login("geheim", &[sha2, "--skip-ssl"]), "ann@%\n");
    assert_eq!(knows(), 1, "root's");
    for wrong in ["first", "Geheim"] {
        assert!(login(wrong, &tls).contains("ERROR 1045"), "{wrong}");
    }
    assert_eq!(login("geheim", &tls), "ann@%\n");
    assert_eq!(knows(), 2, "learned");
    assert_eq!(login("geheim", &[sha2, "--skip-ssl"]), "ann@%\n");
    assert!(
        run_err_with(node.dir.root(), &["password", "ann", "--hash"], "*12\n")
            .contains("40 hexadecimal digits")
    );
    // Its name with the host that it has.
    run_ok_with(node.dir.root(), &["password", "ann@%", "--stdin"], "neu\n");
    assert_eq!(login("neu", &["--skip-ssl"]), "ann@%\n");
    assert!(run_err_with(node.dir.root(), &["password", "root@%", "--hash"], &hash).contains("client.cnf"));
    let empty = p2pdb_mysql::Verifiers::of_password(b"").native_hash().expect("a hash");
    assert!(run_err_with(node.dir.root(), &["password", "ann", "--hash"], &empty).contains("everybody"));
    assert!(run_err_with(node.dir.root(), &["password", "--hash"], &hash).contains("client.cnf"));
}

#[test]
fn a_dump_made_by_mariadb_dump_loads_again() {
    let (_dir, node) = node();
    let defaults = format!("--defaults-file={}", node.dir.root().join("client.cnf").display());
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.till (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), price DECIMAL(5,2), raw BLOB)",
        "INSERT INTO shop.till (name, price, raw) VALUES ('apple', 1.50, x'fffe275c000aff'), ('b\\'c', NULL, 'ä')",
        "CREATE VIEW shop.dear AS SELECT id, name FROM shop.till WHERE price > 1",
        "CREATE TABLE shop.people (name VARCHAR(40), n INT, low VARCHAR(40) AS (LOWER(name)) STORED, PRIMARY KEY (name(3)),
         UNIQUE KEY by_low (low), KEY ((n + 1) DESC, (CONCAT(name, '-', n))), UNIQUE KEY twice ((n * 2)))",
        "INSERT INTO shop.people (name, n) VALUES ('Ann', 1), ('Bob', NULL)",
        "CREATE TABLE shop.hits (page VARCHAR(9) PRIMARY KEY, n INT COMMENT '[counter]', tags JSON COMMENT 'of it [set]',
         names JSON COMMENT '[map]', best INT COMMENT '[max]')",
        "INSERT INTO shop.hits VALUES ('/', 3, '[\"a\", \"b\"]', '{\"de\": \"Ball\"}', 9)",
    ] {
        node.query(sql).expect(sql);
    }
    let definition = || {
        let shown = ["people", "hits"].map(|t| node.query(&format!("SHOW CREATE TABLE shop.{t}")));
        shown.map(|rows| rows.expect("a definition"))
    };
    let defined = definition();
    for options in [&[][..], &["--single-transaction", "--routines", "--triggers", "--events"]] {
        let dump = Command::new("mariadb-dump")
            .arg(&defaults)
            .args(options)
            .args(["--databases", "shop"])
            .output()
            .expect("mariadb-dump is there: scripts/test installs it");
        assert!(dump.status.success(), "{options:?}: {}", text(&dump.stderr));
        node.query("DROP DATABASE shop").expect("dropped");
        let mut load = Command::new("mariadb")
            .arg(&defaults)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("the mariadb client is there: scripts/test installs it");
        std::io::Write::write_all(&mut load.stdin.take().expect("piped"), &dump.stdout).expect("written");
        assert!(load.wait().expect("it ends").success(), "{}", text(&dump.stdout));
        let rows = node.query("SELECT id, name, price, HEX(raw) FROM shop.till ORDER BY id").expect("rows");
        assert_eq!(rows, [["1", "apple", "1.50", "FFFE275C000AFF"], ["2", "b'c", "NULL", "C3A4"]]);
        assert_eq!(node.query("SELECT * FROM shop.dear").expect("rows"), [["1", "apple"]]);
        let rows = node.query("SELECT * FROM shop.people ORDER BY name").expect("rows");
        assert_eq!(rows, [["Ann", "1", "ann"], ["Bob", "NULL", "bob"]]);
        assert_eq!(definition(), defined);
        // Tags say how cells merge: they are there again, with what the cells hold.
        assert!(format!("{defined:?}").contains("COMMENT 'of it [set]'"), "{defined:?}");
        let rows = node.query("SELECT * FROM shop.hits").expect("rows");
        assert_eq!(rows, [["/", "3", "[\"a\", \"b\"]", "{\"de\": \"Ball\"}", "9"]]);
        for row in ["('ANNA', 2)", "('Dan', 1)"] {
            let refused = node.query(&format!("INSERT INTO shop.people (name, n) VALUES {row}"));
            assert!(refused.is_err_and(|e| e.to_string().contains("1062")), "{row}");
        }
    }
}

#[test]
fn a_dump_of_all_databases_holds_each_and_loads_into_a_fresh_node() {
    let (_dir, node) = node();
    let (_other_dir, other) = self::node();
    // Before and behind `mysql` and `p2pdb` in the order in which they are dumped.
    for sql in [
        "CREATE DATABASE before_all",
        "CREATE TABLE before_all.t (id INT PRIMARY KEY, x VARCHAR(20))",
        "INSERT INTO before_all.t VALUES (1, 'a'), (2, NULL)",
        "CREATE DATABASE zoo CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "CREATE TABLE zoo.animal (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin UNIQUE, legs INT CHECK (legs >= 0))",
        "INSERT INTO zoo.animal (name, legs) VALUES ('Ibis', 2), ('ibis', 2)",
        "CREATE VIEW zoo.birds AS SELECT name FROM zoo.animal WHERE legs = 2",
        "CREATE DATABASE nothing_in_it",
    ] {
        node.query(sql).expect(sql);
    }
    let defaults = |of: &Node| format!("--defaults-file={}", of.dir.root().join("client.cnf").display());
    let dump = |of: &Node, options: &[&str]| {
        let mut program = Command::new("mariadb-dump");
        let output =
            program.arg(defaults(of)).args(["--all-databases", "--skip-dump-date"]).args(options).output();
        let output = output.expect("mariadb-dump is there: scripts/test installs it");
        assert!(output.status.success(), "{options:?}: {}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{options:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    for options in [&[][..], &["--single-transaction", "--routines", "--triggers", "--events"]] {
        let all = dump(&node, options);
        let named: std::collections::BTreeSet<&str> = all.lines().filter(|l| l.starts_with("USE ")).collect();
        let want = ["USE `before_all`;", "USE `nothing_in_it`;", "USE `zoo`;"];
        assert_eq!(named, want.into(), "{options:?}");
        let mut load = Command::new("mariadb")
            .arg(defaults(&other))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("the mariadb client is there: scripts/test installs it");
        std::io::Write::write_all(&mut load.stdin.take().expect("piped"), all.as_bytes()).expect("written");
        assert!(load.wait().expect("it ends").success(), "{all}");
        // The header names the host and its version only: the same.
        assert_eq!(dump(&other, options), all);
    }
    assert_eq!(other.query("SELECT name FROM zoo.birds ORDER BY 1").expect("rows"), [["Ibis"], ["ibis"]]);
}

#[test]
fn pymysql_works() {
    let (_dir, node) = node();
    let python = std::env::var_os("P2PDB_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    run_client(Command::new(python).arg(script("pymysql_client.py")), &node.client_file());
}

fn node_program(name: &str) -> Command {
    let mut program = Command::new("node");
    if let Some(path) = std::env::var_os("P2PDB_TEST_NODE_PATH") {
        program.env("NODE_PATH", path);
    }
    program.arg(script(name));
    program
}

#[test]
fn node_mysql2_works() {
    let (_dir, node) = node();
    run_client(&mut node_program("mysql2_client.js"), &node.client_file());
}

#[test]
fn a_client_reads_on_another_node_what_it_has_just_written() {
    let (dir, a) = node();
    a.query("CREATE DATABASE shop").expect("a database");
    a.query("CREATE TABLE shop.till (id INT PRIMARY KEY, v INT)").expect("a table");
    let b = Node::join(&dir.path().join("b"), &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &b]);
    let here = a.client_file();
    let mut program = node_program("mysql2_two_nodes.js");
    program.args([&here.host, &here.port.to_string(), &here.user, &here.password]);
    run_client(&mut program, &b.client_file());
}

#[test]
fn ipfs_libraries_read_an_exported_log() {
    let (dir, node) = node();
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY, x LONGTEXT)").expect("a table");
    node.query("INSERT INTO d.t VALUES (1, 'a row'), (2, NULL)").expect("rows");
    // Larger than a body: it travels in chunks.
    node.query("INSERT INTO d.t VALUES (3, REPEAT('long ', 500000))").expect("a row");
    let car = dir.path().join("log.car");
    run_ok(node.dir.root(), &["export", car.to_str().expect("a path")]);
    let status = node.status();
    // Modules find their libraries beside themselves only, so both are put into one directory.
    let modules = std::env::var_os("P2PDB_TEST_NODE_PATH").unwrap_or_else(|| {
        panic!("P2PDB_TEST_NODE_PATH is not set: run scripts/test, which installs @ipld/car")
    });
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules")).expect("a link");
    let program = dir.path().join("car_reader.mjs");
    std::fs::copy(script("car_reader.mjs"), &program).expect("a copy");
    let output = Command::new("node").arg(&program).arg(&car).arg(status.heads.join(",")).output();
    let output = output.expect("node is there: scripts/test installs it");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(said["headers"], status.blocks, "{out}");
    assert!(said["bodies"].as_u64() >= Some(status.blocks), "{out}");
    assert!(said["genesis"] == status.realm.as_str(), "{out}");
}

#[test]
fn mysql_async_works() {
    let (_dir, node) = node();
    let client = node.client_file();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let opts = mysql_async::OptsBuilder::default()
            .ip_or_hostname(client.host)
            .tcp_port(client.port)
            .user(Some(client.user))
            .pass(Some(client.password))
            .prefer_socket(Some(false));
        let mut c = mysql_async::Conn::new(opts).await.expect("a connection");
        c.query_drop("CREATE DATABASE rs; ").await.expect("a database");
        c.query_drop("CREATE TABLE rs.t (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(9), d DECIMAL(20,10))")
            .await
            .expect("a table");
        let big = u64::MAX;
        c.exec_drop("INSERT INTO rs.t VALUES (?, ?, ?)", (big, "x", "1234567890.0123456789"))
            .await
            .expect("a row");
        let row: Option<(u64, String, String)> =
            c.exec_first("SELECT id, name, d FROM rs.t WHERE id = ?", (big,)).await.expect("a query");
        assert_eq!(row, Some((big, "x".to_owned(), "1234567890.0123456789".to_owned())));
        let mut tx = c.start_transaction(mysql_async::TxOpts::default()).await.expect("a transaction");
        tx.query_drop("DELETE FROM rs.t").await.expect("a delete");
        assert_eq!(tx.affected_rows(), 1);
        tx.rollback().await.expect("a rollback");
        let n: Option<u64> = c.query_first("SELECT COUNT(*) FROM rs.t").await.expect("a count");
        assert_eq!(n, Some(1));
        c.disconnect().await.expect("the end");
    });
}
