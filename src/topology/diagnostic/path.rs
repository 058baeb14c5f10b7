//! Which value of a topology is meant, whether or not it stands in a file.

use std::fmt;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The member of a table.
    Key(String),
    /// The element of a list, from 0.
    Index(usize),
}

/// The way from the topology to one of its values, shown as `process.left.actor.counter.args[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ValuePath(Vec<Segment>);

impl ValuePath {
    /// The topology itself.
    pub fn root() -> ValuePath {
        ValuePath::default()
    }

    /// A member of the table here.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> ValuePath {
        self.with(Segment::Key(key.into()))
    }

    /// An element of the list here.
    #[must_use]
    pub fn index(&self, index: usize) -> ValuePath {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> ValuePath {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        ValuePath(segments)
    }

    /// The value that holds this one; none for the topology itself.
    pub fn parent(&self) -> Option<ValuePath> {
        let (_, parent) = self.0.split_last()?;
        Some(ValuePath(parent.to_vec()))
    }

    /// How a message speaks of this value: `` `replicas` ``, or "this" for the element of a list.
    pub(in crate::topology) fn subject(&self) -> String {
        match self.0.last() {
            Some(Segment::Key(key)) => format!("`{key}`"),
            Some(Segment::Index(_)) => "this".to_owned(),
            None => "the topology".to_owned(),
        }
    }

    /// The steps, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the topology itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` is this value or one inside it.
    pub fn leads_to(&self, other: &ValuePath) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    match is_bare(key) {
                        true => f.write_str(key)?,
                        false => write!(f, "{key:?}")?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a key needs no quotes in TOML.
pub(in crate::topology) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_in_toml() {
        let path = ValuePath::root().key("process").key("my.left").key("args").index(2);
        assert_eq!(path.to_string(), "process.\"my.left\".args[2]");
        assert!(path.parent().is_some_and(|parent| parent.leads_to(&path) && !path.leads_to(&parent)));
        assert_eq!(ValuePath::root().to_string(), "");
    }
}
