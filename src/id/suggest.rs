//! "Did you mean", and lists that stay short.

/// Two words closer than this are probably meant to be one. Between an exchange of letters (0.9) and an unrelated
/// word of the same domain (0.5).
const ALIKE: f64 = 0.75;

/// The longest list that is shown whole: the keys of a process are 13.
const MAX_LISTED: usize = 16;

/// Nobody's finger slips in a longer word, and comparing takes the product of the lengths.
const MAX_COMPARED_BYTES: usize = 128;

/// The candidate that was probably meant.
pub(crate) fn closest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let likeness = |candidate: &str| {
        let (written, candidate) = (written.to_lowercase(), candidate.to_lowercase());
        strsim::jaro_winkler(&written, &candidate)
            .max(strsim::normalized_damerau_levenshtein(&written, &candidate))
    };
    if written.len() > MAX_COMPARED_BYTES {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_COMPARED_BYTES)
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, or, where nothing is close, which `what` there are.
pub(crate) fn did_you_mean<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
    what: &str,
) -> String {
    match closest(written, candidates.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("{what}: {}", listed(candidates)),
    }
}

/// `` `a`, `b` and 3 more``.
pub(crate) fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 if names.is_empty() => "none".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised_and_other_words_are_not() {
        let keys = ["replicas", "program", "restart", "shutdown"];
        assert_eq!(closest("replica", keys), Some("replicas"));
        assert_eq!(closest("Restrat", keys), Some("restart"));
        assert_eq!(closest("colour", keys), None);
        assert_eq!(did_you_mean("colour", ["a", "b"], "there are"), "there are: `a`, `b`");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..18).map(|n| n.to_string()).collect();
        assert!(listed(names.iter().map(String::as_str)).ends_with("`15` and 2 more"));
        assert_eq!(listed([]), "none");
    }
}
