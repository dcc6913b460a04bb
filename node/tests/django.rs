//! Django's migrations on two nodes that are cut off from each other, and what people then find on both.
//!
//! The project is in `clients/django_site`. `scripts/test` installs Django and PyMySQL and says where they are.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Node, eventually, text, wait_equal};
use p2pdb_node::admin::{NodesRequest, StatusReport};

/// What the tests of partitions need.
const TESTNET: [&str; 2] = ["--testnet", "true"];

/// Runs the project's `manage.py` against a node; gives what it printed.
fn manage(node: &Node, arguments: &[&str]) -> String {
    let python = std::env::var_os("P2PDB_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/django_site/manage.py");
    let client = node.client_file();
    let output = Command::new(python)
        .arg(script)
        .args([&client.host, &client.port.to_string(), &client.user, &client.password])
        .args(arguments)
        .output()
        .expect("Python with Django is there: scripts/test installs it");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}\n{out}\n{err}");
    out
}

fn partition(one: &Node, other: &Node) {
    for (node, peer) in [(one, other), (other, one)] {
        let nodes = vec![peer.status().node];
        let _: StatusReport = node.admin().post("partition", &NodesRequest { nodes }).expect("cut off");
    }
    eventually("the link is cut", || one.status().peers.is_empty().then_some(()));
}

fn heal(nodes: &[&Node]) {
    for node in nodes {
        let _: StatusReport = node.admin().post("heal", &NodesRequest::default()).expect("healed");
    }
    wait_equal(nodes);
}

#[test]
fn migrations_of_two_cut_off_nodes_merge_into_one_working_schema() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &TESTNET);
    let b = Node::join(&temp.path().join("b"), &a.ticket("writer", 1), &TESTNET);
    a.query("CREATE DATABASE site").expect("a database");
    wait_equal(&[&a, &b]);
    partition(&a, &b);
    // Each is first with some of it.
    manage(&a, &["migrate", "auth", "--verbosity=0"]);
    manage(&b, &["migrate", "--verbosity=0"]);
    manage(&a, &["migrate", "--verbosity=0"]);
    for (node, name) in [(&b, "early"), (&a, "late")] {
        manage(node, &["use", name]);
    }
    heal(&[&a, &b]);
    let rows = |sql: &str| {
        let rows = a.query(sql).expect(sql);
        assert_eq!(rows, b.query(sql).expect(sql), "{sql}");
        rows
    };
    // One content type for each model, with its permissions; what the other side had of them waits, and so does what refers to those.
    let waiting = "SELECT `table`, rule, COUNT(*) FROM p2pdb.conflicts GROUP BY 1, 2 ORDER BY 1, 2";
    let expected = [
        ["auth_permission", "reference", "48"],
        ["auth_user_user_permissions", "reference", "1"],
        ["django_admin_log", "reference", "4"],
        ["django_content_type", "unique", "12"],
    ];
    assert_eq!(rows(waiting), expected);
    assert_eq!(
        rows("SELECT COUNT(*), COUNT(DISTINCT app_label, model) FROM site.django_content_type"),
        [["12", "12"]]
    );
    assert_eq!(rows("SELECT COUNT(*), COUNT(DISTINCT codename) FROM site.auth_permission"), [["48", "48"]]);
    // Both sides have noted each migration.
    assert_eq!(
        rows("SELECT COUNT(*), COUNT(DISTINCT app, name) FROM site.django_migrations"),
        [["50", "25"]]
    );
    assert_eq!(
        rows("SELECT username FROM site.auth_user ORDER BY 1"),
        [["clerk-early"], ["clerk-late"], ["early"], ["late"]]
    );
    for (node, name) in [(&a, "ann"), (&b, "bob")] {
        manage(node, &["migrate", "--check"]);
        manage(node, &["makemigrations", "--check"]);
        manage(node, &["use", name]);
    }
    wait_equal(&[&a, &b]);
    assert_eq!(rows(waiting), expected, "nothing new");
    // Nobody needs what waits: it can go.
    for row in rows("SELECT `table`, row_key FROM p2pdb.conflicts ORDER BY 1, 2") {
        let discard = format!("CALL p2pdb.resolve('site.{}', 'discard', {})", row[0], row[1]);
        a.query(&discard).expect("discarded");
    }
    wait_equal(&[&a, &b]);
    assert_eq!(rows("SELECT COUNT(*) FROM p2pdb.conflicts"), [["0"]]);
    manage(&b, &["use", "carl"]);
}
