//! The OS edge: sockets, descriptors, spawning, pidfds, signals. The only floor with unsafe code.
