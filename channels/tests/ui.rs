//! What the compiler says about a wrong `select!`: one program and its messages each in `ui/`.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p greenthread-channels --test ui`, and read the difference.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
