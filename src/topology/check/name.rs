//! What is told of a name that is none, and one that would do.

use crate::id::{MAX_NAME_BYTES, NameError};
use crate::topology::diagnostic::{Diagnostic, ValuePath};

/// The finding about `name`, which was meant for `what` ("a process").
pub(super) fn refused(what: &str, name: &str, error: &NameError, path: ValuePath) -> Diagnostic {
    let help = match error {
        NameError::TooLong(_) => "a shorter one; replicas add their number to it".to_owned(),
        NameError::Empty => "such as `counter`".to_owned(),
        NameError::NoNamespace => format!("such as `{name}/all`, with `[namespace.{name}]`"),
        NameError::Character(_) => match mended(name) {
            Some(mended) => format!("`{mended}` would do"),
            None => "such as `counter`".to_owned(),
        },
    };
    Diagnostic::error(path, format!("{name:?} is no name for {what}: {error}")).help(help)
}

/// The closest name that is one.
fn mended(name: &str) -> Option<String> {
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).trim_end();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mended: String =
        name.chars().map(|c| if allowed(c) { c } else { '-' }).take(MAX_NAME_BYTES).collect();
    Some(mended).filter(|mended| !mended.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_mended_if_anything_is_left_of_it() {
        assert_eq!(mended("my demo").as_deref(), Some("my-demo"));
        assert_eq!(mended("-left ").as_deref(), Some("left"));
        assert_eq!(mended("é"), None);
    }
}
