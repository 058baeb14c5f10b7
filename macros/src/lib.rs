//! Derives of Procession.
