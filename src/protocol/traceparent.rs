//! The context of a trace, as the W3C recommendation "Trace Context" has it, and as it travels with a message.
//!
//! ```text
//!  text:    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//!           version, trace id, span id of the parent, flags
//!  message: after its body, before its numbering: 16 + 8 + 1 bytes, the ids big-endian
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which trace something belongs to, and which span of it is the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// Bytes that it has in a message.
pub const TRACE_BYTES: usize = 25;

/// Flag: somebody records this trace.
pub const SAMPLED: u8 = 1;

/// A text that is no traceparent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceParentError {
    /// It has another form than `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in small letters.
    #[error(
        "a traceparent has the form `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, in small letters"
    )]
    Form,
    /// The version 255 is forbidden.
    #[error("the version ff of a traceparent is forbidden")]
    Version,
    /// An id is zero, which means that there is none.
    #[error("a trace id or span id of zeros means that there is none")]
    Zero,
}

impl TraceParent {
    /// None if an id is zero, which means none.
    pub fn new(trace: u128, span: u64, flags: u8) -> Option<TraceParent> {
        (trace != 0 && span != 0).then_some(TraceParent { trace, span, flags: flags & SAMPLED })
    }

    /// The id of the trace.
    pub fn trace_id(self) -> u128 {
        self.trace
    }

    /// The id of the parent span.
    pub fn span_id(self) -> u64 {
        self.span
    }

    /// Whether somebody records this trace.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace, with another parent.
    pub fn with_span(self, span: u64) -> Option<TraceParent> {
        TraceParent::new(self.trace, span, self.flags)
    }

    /// As it travels with a message.
    pub fn to_bytes(self) -> [u8; TRACE_BYTES] {
        let mut bytes = [0; TRACE_BYTES];
        bytes[..16].copy_from_slice(&self.trace.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_be_bytes());
        bytes[24] = self.flags;
        bytes
    }

    /// What came with a message. None if it makes no sense: it is no reason not to deliver the message.
    pub fn from_bytes(bytes: &[u8; TRACE_BYTES]) -> Option<TraceParent> {
        let (trace, rest) = bytes.split_first_chunk()?;
        let (span, rest) = rest.split_first_chunk()?;
        TraceParent::new(u128::from_be_bytes(*trace), u64::from_be_bytes(*span), *rest.first()?)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// A hexadecimal number of exactly so many small digits.
fn hex(text: &str, digits: usize) -> Result<u128, TraceParentError> {
    let small = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    match small && text.len() == digits {
        true => u128::from_str_radix(text, 16).map_err(|_| TraceParentError::Form),
        false => Err(TraceParentError::Form),
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// What a later version has after the flags is left out, as the recommendation says.
    fn from_str(text: &str) -> Result<TraceParent, TraceParentError> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| hex(parts.next().unwrap_or_default(), digits);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        match version {
            0xff => return Err(TraceParentError::Version),
            0 if parts.next().is_some() => return Err(TraceParentError::Form),
            _ => {}
        }
        let small = |number: u128| u64::try_from(number).map_err(|_| TraceParentError::Form);
        let flags = u8::try_from(flags).map_err(|_| TraceParentError::Form)?;
        TraceParent::new(trace, small(span)?, flags).ok_or(TraceParentError::Zero)
    }
}

impl TryFrom<String> for TraceParent {
    type Error = TraceParentError;

    fn try_from(text: String) -> Result<TraceParent, TraceParentError> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> String {
        parent.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    proptest! {
        #[test]
        fn whatever_there_is_comes_back(trace in 1_u128.., span in 1_u64.., flags in 0_u8..2) {
            let parent = TraceParent::new(trace, span, flags).expect("ids");
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
            prop_assert_eq!(TraceParent::from_bytes(&parent.to_bytes()), Some(parent));
        }

        #[test]
        fn x1_any_text_and_any_bytes_are_one_or_none(text in ".{0,80}", bytes in any::<[u8; TRACE_BYTES]>()) {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(parent.to_string().parse(), Ok(parent));
            }
            if let Some(parent) = TraceParent::from_bytes(&bytes) {
                prop_assert!(parent.trace_id() != 0 && parent.span_id() != 0);
            }
        }
    }

    #[test]
    fn the_example_of_the_recommendation() {
        let parent: TraceParent = TEXT.parse().expect("it is one");
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span_id(), parent.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(parent.to_string(), TEXT);
    }

    #[test]
    fn what_the_recommendation_forbids_is_refused() {
        let later = TEXT.replacen("00", "01", 1) + "-what comes later";
        assert!(later.parse::<TraceParent>().is_ok(), "a later version may have more");
        for (text, error) in [
            (TEXT.replacen("00", "ff", 1), TraceParentError::Version),
            (TEXT.to_uppercase(), TraceParentError::Form),
            (format!("{TEXT}-more"), TraceParentError::Form),
            (format!("{TEXT} "), TraceParentError::Form),
            (TEXT[1..].to_owned(), TraceParentError::Form),
            (String::new(), TraceParentError::Form),
            (format!("00-{:032}-00f067aa0ba902b7-01", 0), TraceParentError::Zero),
            (format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016}-01", 0), TraceParentError::Zero),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(error), "{text}");
        }
    }
}
