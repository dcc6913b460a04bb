//! p2pdb-sync.
