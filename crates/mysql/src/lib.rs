//! p2pdb-mysql.
