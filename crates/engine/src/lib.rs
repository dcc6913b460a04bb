//! p2pdb-engine.
