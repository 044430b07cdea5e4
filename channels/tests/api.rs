//! Checks that the public interface is crossbeam-channel's, so that switching changes only one
//! `use` line.
//!
//! `api/surface.rs` states all of crossbeam-channel's interface, for a crate that it calls
//! `channels`. It is compiled twice, once for each crate. If an item is missing, has another
//! signature or lacks an implementation, `ours` does not compile. If a statement is wrong, `theirs`
//! does not compile. A statement cannot express that something is *not* implemented. That is
//! therefore computed for both crates and compared, also by the compiler. Texts and conversions
//! must run, and run for both crates.
//!
//! This crate may have additional items (`close`, `is_closed`, `nil`) and the traits in
//! [`ADDITIONAL`].
//!
//! `api/programs.rs` and `api/select.rs` are small programs that use the crate as existing code
//! does. They are also compiled twice, and cover properties that no signature states: which
//! lifetimes and moves the borrow checker accepts, what type inference finds, what macros expand
//! to. They run with both crates, and with ours also on goroutines. Behavior is not covered here:
//! `ci/crossbeam.sh` runs crossbeam-channel's own tests.

// Compiling one file twice is the purpose of this test.
#![allow(clippy::duplicate_mod)]

mod common;

#[path = "api"]
mod ours {
    use greenthread_channels as channels;

    pub(crate) mod programs;
    pub(crate) mod select;
    pub(crate) mod surface;
}

#[path = "api"]
mod theirs {
    use crossbeam_channel as channels;

    pub(crate) mod programs;
    pub(crate) mod select;
    pub(crate) mod surface;
}

const _: () = compare(ours::surface::TRAITS, theirs::surface::TRAITS);

/// The traits that types of this crate implement and crossbeam-channel's types do not.
const ADDITIONAL: [&str; 6] = [
    "TryReadyError: Display",
    "TryReadyError: Error",
    "ReadyTimeoutError: Display",
    "ReadyTimeoutError: Error",
    "Select<'static>: UnwindSafe",
    "Select<'static>: RefUnwindSafe",
];

/// Fails to compile, with the name of the first type and trait on which the crates disagree.
const fn compare(ours: &[(&str, bool)], theirs: &[(&str, bool)]) {
    assert!(ours.len() == theirs.len());
    let mut n = 0;
    let mut additional = 0;
    while n < ours.len() {
        if is_additional(ours[n].0) {
            assert!(ours[n].1 && !theirs[n].1);
            additional += 1;
        } else if ours[n].1 != theirs[n].1 {
            panic!("{}", ours[n].0);
        }
        n += 1;
    }
    assert!(additional == ADDITIONAL.len());
}

const fn is_additional(name: &str) -> bool {
    let mut n = 0;
    while n < ADDITIONAL.len() {
        if are_equal(ADDITIONAL[n].as_bytes(), name.as_bytes()) {
            return true;
        }
        n += 1;
    }
    false
}

/// Compares texts, because `==` does not work in a `const fn`.
const fn are_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut n = 0;
    while n < a.len() {
        if a[n] != b[n] {
            return false;
        }
        n += 1;
    }
    true
}

/// Checks that the computation can detect a difference.
#[test]
fn differing_traits_are_noticed() {
    let implemented = |name| {
        let found = theirs::surface::TRAITS.iter().find(|entry| entry.0 == name);
        found.unwrap_or_else(|| panic!("no entry {name:?}")).1
    };
    for name in [
        "Sender<u8>: Send",
        "Sender<Bare>: Clone",
        "SendError<u8>: Copy",
        "SendError<Bare>: Error",
        "Iter<'static, u8>: FusedIterator",
        "Select<'static>: Send",
    ] {
        assert!(implemented(name), "{name}");
    }
    for name in [
        "Sender<Rc<u8>>: Send",
        "Sender<u8>: PartialEq",
        "SendError<Bare>: Copy",
        "SendError<Rc<u8>>: Error",
        "TryIter<'static, u8>: FusedIterator",
        "SelectedOperation<'static>: Send",
        "TryReadyError: Display",
    ] {
        assert!(!implemented(name), "{name}");
    }
}

#[test]
fn texts_are_the_same() {
    let (ours, theirs) = (ours::surface::texts(), theirs::surface::texts());
    assert_eq!(ours.len(), theirs.len());
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(differ.is_empty(), "ours, theirs: {differ:#?}");
}

#[test]
fn conversions_are_the_same() {
    ours::surface::conversions();
    theirs::surface::conversions();
}

#[test]
fn macros_accept_the_same() {
    ours::surface::macros();
    theirs::surface::macros();
}

/// A small program and its name.
type Program = (&'static str, fn());

/// Runs programs one after the other.
///
/// The name shows which one has failed.
fn run(programs: [&[Program]; 2]) {
    for (name, program) in programs.concat() {
        println!("{name}");
        program();
    }
}

#[test]
fn programs_run_with_theirs() {
    run([theirs::programs::PROGRAMS, theirs::select::PROGRAMS]);
}

#[test]
fn programs_run_with_ours() {
    common::everywhere(|| run([ours::programs::PROGRAMS, ours::select::PROGRAMS]));
}
