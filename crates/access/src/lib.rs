//! p2pdb-access.
