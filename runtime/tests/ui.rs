//! What the compiler says when the macros are used wrongly: one program and its messages each in `ui/`.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p greenthread --test ui`, and read the difference.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
