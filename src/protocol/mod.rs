//! The connection with one peer, without I/O.
