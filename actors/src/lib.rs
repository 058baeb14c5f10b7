//! Stock actors of Procession, on its public API alone, one in each file.
//!
//! | actor | does |
//! |---|---|
//! | [`files::Files`] | reads all files below a folder and deals their contents out, in pieces that end at a word |
//! | [`tally::Tally`] | counts keys, and tells the totals and the most frequent |
//!
//! Register the ones that a topology names: `Program::new().actor::<Files>()`.

pub mod files;
pub mod tally;
