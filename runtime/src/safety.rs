//! A summary of how goroutines differ from threads; [SAFETY.md] has the full account.
//!
//! Safe Rust stays safe: `Send` and `Sync` mean what they mean for threads. But some code assumes
//! threads. The one difference is this: **after an operation that parks, a goroutine may be on
//! another thread.** Nothing else moves a goroutine to another thread.
//!
//! | hazard | what to do |
//! | --- | --- |
//! | a thread-local used before a park and after it | nothing: it is correct (on Linux) |
//! | a park **inside** [`LocalKey::with`] or `with_borrow` | **never: it is undefined behavior** |
//! | `ThreadRng`, `stdout().lock()`, an entered span across a park | drop it before the park |
//! | a guard of a `std` lock held across a park | use [`sync`] |
//! | `thread::scope` or `thread::park` of `std` around a park | [`scope`], [`lock_os_thread`] |
//! | a library that needs or changes its thread | [`Builder::pinned`], [`lock_os_thread`] |
//! | data of one request | pass it along in a [`Context`] |
//! | a stack overflow | aborts with a report: [`Builder::stack_size`], [`stack::grow`] |
//! | a panic | ends only its goroutine; [`join`] returns its payload |
//! | a deadlock | exits with a report: see [`debug`] |
//! | `main` returns, or [`exit`] is called | the process ends; destructors do not run |
//! | `fork` without `exec` | no goroutines in the child: use [`Command`] |
//! | threads, stacks, memory, descriptors run out | see [What can run out] |
//!
//! ```
//! use std::cell::Cell;
//! thread_local! { static CALLS: Cell<u32> = const { Cell::new(0) } }
//!
//! let (tx, rx) = greenthread::channel::bounded(0);
//! greenthread::go!(move || tx.send(1).unwrap());
//! let n = rx.recv().unwrap(); // outside of `with`
//! CALLS.with(|calls| calls.set(calls.get() + n));
//! ```
//!
//! [SAFETY.md] says for each hazard what is guaranteed, what is not, and which test shows it. The
//! guide's chapter [Safety] has a `clippy.toml` that finds calls to `with`. Such a call can often
//! be replaced by `get`, `set`, `take`, or `replace`.
//!
//! [SAFETY.md]: https://github.com/greenthread-rs/greenthread/blob/main/SAFETY.md
//! [What can run out]: https://github.com/greenthread-rs/greenthread/blob/main/SAFETY.md#what-can-run-out
//! [Safety]: https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/safety.md
//! [`LocalKey::with`]: std::thread::LocalKey::with
//! [`sync`]: crate::sync
//! [`scope`]: fn@crate::scope
//! [`lock_os_thread`]: crate::lock_os_thread
//! [`Builder::pinned`]: crate::Builder::pinned
//! [`Context`]: crate::ctx::Context::with_value
//! [`Builder::stack_size`]: crate::Builder::stack_size
//! [`stack::grow`]: crate::stack::grow
//! [`join`]: crate::JoinHandle::join
//! [`debug`]: crate::debug#deadlocks
//! [`exit`]: std::process::exit
//! [`Command`]: std::process::Command
