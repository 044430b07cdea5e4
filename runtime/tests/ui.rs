//! The compiler's messages for wrong uses of the macros; `ui/` has programs and their messages.
//!
//! After a change of a message, run `TRYBUILD=overwrite cargo test -p greenthread --test ui`, and
//! review the diff.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
