//! The compiler's messages for a wrong `select!`: each file in `ui/` is a program with its expected
//! messages.
//!
//! After changing a message, run `TRYBUILD=overwrite cargo test -p greenthread-channels --test ui`
//! and read the difference.

#[test]
fn refusals_name_the_fix() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
