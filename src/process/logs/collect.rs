//! The fields of one event, as text, within a budget.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

use crate::process::text::CUT_MARK;

/// Collects fields in order. All texts together take at most the budget, and a mark each.
#[derive(Debug)]
pub(super) struct Fields {
    all: Vec<(&'static str, String)>,
    room: usize,
}

impl Fields {
    pub(super) fn new(room: usize) -> Fields {
        Fields { all: Vec::new(), room }
    }

    /// Takes one field out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.all.iter().position(|(key, _)| *key == name)?;
        Some(self.all.remove(index).1)
    }

    /// The others, without what the bridge from the `log` crate adds.
    pub(super) fn rest(self) -> Vec<(String, String)> {
        let ours = self.all.into_iter().filter(|(key, _)| !key.starts_with("log."));
        ours.map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let mut text = Bounded { text: String::new(), room: self.room };
        if text.write_fmt(value).is_err() {
            text.text.push(CUT_MARK);
        }
        self.room = text.room;
        self.all.push((field.name(), text.text));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format_args!("{value:?}"));
    }
}

/// Stops a `Debug` that would go on for ever, or for megabytes, while it runs.
struct Bounded {
    text: String,
    room: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = match piece.len() <= self.room {
            true => piece.len(),
            false => (0..=self.room).rev().find(|index| piece.is_char_boundary(*index)).unwrap_or(0),
        };
        self.text.push_str(&piece[..end]);
        self.room -= end;
        match end == piece.len() {
            true => Ok(()),
            false => {
                self.room = 0;
                Err(fmt::Error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_a_text_stops_at_its_budget() {
        let mut text = Bounded { text: String::new(), room: 5 };
        assert!(write!(text, "{:?}", vec![0_u8; 1 << 20]).is_err());
        assert_eq!(text.text, "[0, 0");
        let mut text = Bounded { text: String::new(), room: 2 };
        assert!(text.write_str("aé").is_err());
        assert_eq!(text.text, "a");
    }
}
