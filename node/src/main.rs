//! The binary p2pdb-node.

/// For our own allocations and, as it replaces `malloc`, SQLite's, which are many and small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    match p2pdb_node::cli::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("p2pdb-node: {}", p2pdb_node::explain::explain(&e));
            p2pdb_node::cli::exit_code(&e)
        }
    }
}
