//! Post-quantum links between nodes.
#![forbid(unsafe_code)]
