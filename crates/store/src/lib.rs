//! p2pdb-store.
