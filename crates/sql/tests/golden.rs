//! Golden scripts of schema statements, SHOW and the session: what each compiles to.

mod schema_world;
mod script;
use schema_world::World;

fn golden(name: &str) {
    let mut world = World::new();
    script::golden(&format!("golden/{name}"), |sql| match world.run(sql.trim_end_matches(';')) {
        Ok(text) => text,
        Err(e) => format!("{e}\n"),
    });
}

#[test]
fn tables_are_created_and_shown_as_mysql_does() {
    golden("create.txt");
}

#[test]
fn tables_are_altered() {
    golden("alter.txt");
}

#[test]
fn errors_of_definitions_have_mysqls_numbers() {
    golden("errors.txt");
}

#[test]
fn sessions_are_set_up_as_clients_do() {
    golden("session.txt");
}

#[test]
fn show_answers() {
    golden("show.txt");
}

#[test]
fn writes_become_sqlite_statements() {
    golden("dml.txt");
}

#[test]
fn views_are_kept_as_canonical_text() {
    golden("views.txt");
}

#[test]
fn a_dump_compiles_statement_by_statement() {
    golden("dump.txt");
}
