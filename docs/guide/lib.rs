//! The chapters of the guide as documentation, so that `cargo test --doc` compiles and runs their
//! code.
//!
//! `ci/guide.sh` builds the book itself. A test checks that each chapter of `SUMMARY.md` is listed
//! here.

/// Declares a module for each chapter, with the chapter's text.
macro_rules! chapters {
    ($($chapter:ident)*) => { $(
        #[doc = include_str!(concat!("src/", stringify!($chapter), ".md"))]
        mod $chapter {}
    )* };
}

chapters! {
    start
    goroutines
    channels
    select
    context
    sync
    patterns
    by_hand
    time
    network
    tuning
    stacks
    scheduler
    from_go
    from_async
    safety
}
