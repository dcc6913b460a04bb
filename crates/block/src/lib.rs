//! p2pdb-block.
