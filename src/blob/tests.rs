use super::*;

use std::os::fd::AsRawFd;

use crate::codec::{self, Encoded};

const LARGE: usize = 1 << 20;

fn large() -> Blob {
    let bytes: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
    Blob::copy_from(&bytes).expect("a blob")
}

fn encode(blob: &Blob) -> Encoded<'static> {
    let mut bytes = Vec::new();
    let descriptors = codec::encode_with_descriptors(blob, &mut bytes, 1 << 20, 253).expect("encoded");
    Encoded { bytes: bytes.into(), descriptors }
}

/// What a blob of this length that is this descriptor would look like.
fn forged(descriptor: OwnedFd, length: u64) -> Result<Blob, codec::DecodeError> {
    let bytes = codec::encode(&Travelling::Sealed { place: 0, length }, 100).expect("encoded");
    Encoded { bytes: bytes.into(), descriptors: vec![descriptor.into()] }.decode()
}

#[test]
fn small_and_empty_ones_travel_as_bytes() {
    for bytes in [&b""[..], b"some", &[3; INLINE_BYTES]] {
        let blob = Blob::copy_from(bytes).expect("a blob");
        let encoded = encode(&blob);
        assert!(encoded.descriptors.is_empty());
        let back: Blob = encoded.decode().expect("decoded");
        assert_eq!((&*back, back.len()), (bytes, bytes.len()));
    }
    assert!(Blob::default().is_empty());
}

#[test]
fn large_ones_travel_as_the_same_memory_and_few_bytes() {
    let blob = large();
    let encoded = encode(&blob);
    assert!(encoded.bytes.len() < 32, "{} bytes", encoded.bytes.len());
    let back: Blob = encoded.decode().expect("decoded");
    assert_eq!(back, blob);
    let Content::Sealed(sealed) = &back.0 else { panic!("it is large") };
    let once_more = codec::round_trip(&back).expect("passed on");
    let Content::Sealed(again) = &once_more.0 else { panic!("it is large") };
    let inode = |memory: &OwnedFd| nix::sys::stat::fstat(memory).expect("fstat").st_ino;
    assert_eq!(inode(&sealed.memory), inode(&again.memory));
    assert_eq!(once_more[LARGE - 1], blob[LARGE - 1]);
}

#[test]
fn what_only_passes_is_never_mapped() {
    let passed: Blob = encode(&large()).decode().expect("decoded");
    let _gone = encode(&passed);
    let Content::Sealed(sealed) = &passed.0 else { panic!("it is large") };
    assert!(sealed.seen.get().is_none());
    assert_eq!(passed[1], 1);
    assert!(sealed.seen.get().is_some());
}

#[test]
fn it_can_be_read_without_a_mapping() {
    let blob = large();
    let Content::Sealed(sealed) = &blob.0 else { panic!("it is large") };
    let copied = sealed.copy().expect("copied");
    assert_eq!(copied, *blob);
}

#[test]
fn one_that_is_filled_in_place_is_like_any_other() {
    for length in [0, 10, LARGE] {
        let mut builder = Blob::builder(length).expect("a builder");
        builder.fill(5);
        let blob = builder.seal().expect("sealed");
        assert_eq!(blob, Blob::copy_from(&vec![5; length]).expect("a blob"));
        assert_eq!(blob.to_bytes(), vec![5; length]);
    }
    assert_eq!(Blob::builder(usize::MAX).expect_err("too large").kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn clones_are_one_descriptor() {
    let blob = large();
    let clones = vec![blob.clone(); 100];
    let Content::Sealed(sealed) = &blob.0 else { panic!("it is large") };
    let numbers = clones.iter().map(|clone| match &clone.0 {
        Content::Sealed(clone) => clone.memory.as_raw_fd(),
        Content::Inline(_) => -1,
    });
    assert!(numbers.into_iter().all(|number| number == sealed.memory.as_raw_fd()));
}

#[test]
fn text_is_refused_with_the_reason() {
    for blob in [large(), Blob::default()] {
        let error = serde_json::to_string(&blob).expect_err("text");
        assert!(error.to_string().contains("a blob can only be sent through a pipe"), "{error}");
        assert!(codec::encode(&blob, 100).is_err());
    }
    let error = serde_json::from_str::<Blob>(r#"{"Sealed":{"place":0,"length":5}}"#).expect_err("text");
    assert!(error.to_string().contains("through a pipe"), "{error}");
}

#[test]
fn x1_what_is_no_blob_is_an_error_and_is_closed() {
    let (reading, writing) = std::io::pipe().expect("pipe");
    assert!(forged(writing.into(), 4096).is_err());
    // End-of-file: the other end was closed.
    assert_eq!(io::read_to_string(reading).expect("read"), "");

    let file = tempfile::tempfile().expect("file");
    file.set_len(4096).expect("length");
    assert!(forged(file.into(), 4096).is_err());

    let memory = || memfd::copy(&[1; 4096]).expect("memory");
    assert!(forged(memory(), 4096).is_ok());
    for wrong in [0, 1, 4095, 4097, u64::MAX] {
        let error = forged(memory(), wrong).expect_err("another length").to_string();
        assert!(error.contains("has 4096"), "{error}");
    }
    assert!(forged(memfd::copy(&[]).expect("memory"), 0).is_err());

    let missing = Encoded { descriptors: Vec::new(), ..encode(&large()) };
    assert!(missing.decode::<Blob>().is_err());
}

#[test]
fn t3_the_shape_of_a_blob_is_seen_though_no_sample_is_one() {
    use crate::codec::shape::wire;

    let text = format!("{:?}", wire::<(Blob, u8, Vec<Blob>)>().shapes);
    assert!(text.contains("\"Inline\"") && text.contains("\"Sealed\""), "{text}");
    assert!(!text.contains("Unseen") && !text.contains("Opaque"), "{text}");
}
