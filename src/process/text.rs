//! Texts that must not be too long.

/// Ends a text that was cut.
pub(super) const CUT_MARK: char = '…';

/// Cuts a text to so many bytes, between two characters, and marks that it did.
pub(crate) fn cut(mut text: String, limit_bytes: usize) -> String {
    if text.len() > limit_bytes {
        let end = (0..=limit_bytes).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(end);
        text.push(CUT_MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_marked() {
        assert_eq!(cut("abc".to_owned(), 3), "abc");
        assert_eq!(cut("abcd".to_owned(), 3), "abc…");
        assert_eq!(cut("aéé".to_owned(), 4), "aé…");
    }
}
