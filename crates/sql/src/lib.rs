//! p2pdb-sql.
