//! p2pdb-dag.
