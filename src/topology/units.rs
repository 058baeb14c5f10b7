//! Durations and sizes in words: `30s`, `8MiB`. What is written reads back as the same value.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

/// A year: longer than any restart or request takes, and short enough to be added to any clock reading.
pub const MAX_DURATION: Duration = Duration::from_secs(31_557_600);

/// The units of [`bytes_text`], largest first.
const SIZES: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// Reads a duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// Writes a duration.
pub(super) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Reads a size in bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    // Its own message tells of its types, which nobody asked for.
    ByteSize::from_str(text).map(|size| size.as_u64()).map_err(|_| "no such size".to_owned())
}

/// Writes a size in the largest unit that divides it.
pub(super) fn bytes_text(bytes: u64) -> String {
    match SIZES.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_durations_read_as_people_write_them() {
        assert_eq!(bytes("8MiB"), Ok(8 << 20));
        assert_eq!(bytes("8 MB"), Ok(8_000_000));
        assert_eq!(bytes("17"), Ok(17));
        assert!(bytes("eight").is_err());
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("30").is_err());
        assert!(duration("-1s").is_err());
    }

    proptest! {
        #[test]
        fn a_size_reads_back(size: u64) {
            prop_assert_eq!(bytes(&bytes_text(size)), Ok(size));
        }

        #[test]
        fn a_duration_reads_back(seconds in 0..MAX_DURATION.as_secs(), nanoseconds in 0..1_000_000_000_u32) {
            let written = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(duration(&duration_text(written)), Ok(written));
        }
    }
}
