//! What must not compile, and what the compiler says about it: each error names the mend.
//!
//! The texts stand beside the sources; `TRYBUILD=overwrite cargo test --test ui` writes them anew.

#[test]
fn mistakes_do_not_compile_and_the_errors_say_the_mend() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
