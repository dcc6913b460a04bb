//! The binary p2pdb-node.

fn main() -> std::process::ExitCode {
    match p2pdb_node::cli::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("p2pdb-node: {e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
