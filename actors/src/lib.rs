//! Stock actors on the public API of Procession.
