//! The chapters of the guide as documentation, so that `cargo test --doc` compiles and runs their code.
//!
//! The book itself is built by `ci/guide.sh`. That each chapter of `SUMMARY.md` stands here is tested.

/// A module for each chapter, with its text.
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
    scheduler
    from_go
    from_async
    safety
}
