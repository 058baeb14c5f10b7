//! Values to try where a type takes not every one: the first that it takes is used.

use super::form::Shape;

/// Numbers: many types refuse nothing but zero.
pub(super) const NUMBERS: [u8; 4] = [0, 1, 2, 10];

/// The same, for those with a sign.
pub(super) const SIGNED: [i8; 4] = [0, 1, 2, 10];

/// Texts of the kinds that types are often made of.
pub(super) const TEXTS: [&str; 18] = [
    "",
    "a",
    "0",
    "1",
    "/",
    "127.0.0.1",
    "127.0.0.1:80",
    "::1",
    "[::1]:80",
    "1970-01-01",
    "1970-01-01T00:00:00",
    "1970-01-01T00:00:00Z",
    "00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "1.0.0",
    "1s",
    "http://localhost/",
    "a@b.cd",
];

/// Lengths of bytes: hashes and keys have some of these.
pub(super) const LENGTHS: [usize; 7] = [0, 16, 32, 64, 8, 4, 6];

/// The longest of them.
pub(super) const ZEROES: [u8; 64] = [0; 64];

pub(super) const CHARS: [char; 3] = ['a', '0', 'A'];

/// For those who take anything: nothing, a text, no keys, no values, a truth, a number.
pub(super) const ANYTHING: usize = 6;

/// How many there are to try.
pub(super) fn count(shape: &Shape) -> usize {
    match shape {
        Shape::Unit => 1,
        Shape::Bool => 2,
        Shape::Char => CHARS.len(),
        Shape::Text => TEXTS.len(),
        Shape::Bytes => LENGTHS.len(),
        Shape::Anything(_) => ANYTHING,
        _ => NUMBERS.len(),
    }
}
