//! p2pdb-merge.
