//! Which executable file this process runs.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::id::BuildId;

/// The file that this process executes, even if its name now leads to another (H30).
pub const SELF: &str = "/proc/self/exe";

/// Identifies the file by where it is and when it was last written: two processes of one machine that run the
/// same file agree, and a file that was replaced differs, without reading it.
pub fn build_id() -> io::Result<BuildId> {
    let file = std::fs::metadata(SELF)?;
    let facts = [
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime().cast_unsigned(),
        file.mtime_nsec().cast_unsigned(),
    ];
    Ok(BuildId(fnv(facts.iter().flat_map(|fact| fact.to_le_bytes()))))
}

/// The path of the file, for messages; ends in ` (deleted)` if it was.
pub fn path() -> PathBuf {
    std::fs::read_link(SELF).unwrap_or_else(|_| PathBuf::from(SELF))
}

/// FNV-1a: a hash that every build computes alike, which the standard library's does not promise.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_one_build() {
        assert_eq!(build_id().expect("build"), build_id().expect("build"));
        assert!(path().is_absolute());
    }

    #[test]
    fn fnv_is_the_published_function() {
        assert_eq!(fnv(b"foobar".iter().copied()), 0x8594_4171_f739_67e8);
    }
}
