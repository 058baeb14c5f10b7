//! Drives a connection over a pipe.
