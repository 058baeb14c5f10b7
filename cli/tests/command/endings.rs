//! x
pub(crate) fn stories() -> Vec<libtest_mimic::Trial> {
    vec![]
}
