//! Process-spanning addresses: the first floor that knows actix.
