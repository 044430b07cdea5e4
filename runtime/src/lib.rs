//! Go's concurrency for Rust: write plain blocking code, start a million pieces of it with [`go!`],
//! and let a few OS threads run them.
//!
//! greenthread is for programs that wait for many things at once and whose authors prefer
//! `rx.recv()` to coloring functions `async`: servers, crawlers, pipelines, simulations.
//!
//! ```
//! use greenthread::{channel, go};
//!
//! #[greenthread::main]
//! fn main() {
//!     let (tx, rx) = channel::bounded(0);
//!     for name in ["Ann", "Bob", "Cid"] {
//!         let tx = tx.clone();
//!         go!(move || tx.send(format!("hello from {name}")).unwrap());
//!     }
//!     drop(tx); // the channel closes with its last sender
//!     for greeting in rx {
//!         println!("{greeting}");
//!     }
//! }
//! ```
//!
//! If you know Go, or `std::thread` and crossbeam-channel, you already know most of greenthread.
//! Six things are enough to begin with. All of them also work from a plain thread: the first use
//! starts the runtime.
//!
//! # Start
//! [`go!`] starts a goroutine, which owns the values it uses. A goroutine in a [`scope()`] may
//! borrow.
//!
//! ```
//! use greenthread::{go, scope};
//!
//! go!(|| println!("on its own"));
//! let words = ["borrowed", "from", "here"];
//! scope(|s| {
//!     for word in &words {
//!         s.spawn(move || println!("{word}"));
//!     }
//! }); // returns when all of them have ended
//! ```
//!
//! # Wait for the result
//! [`spawn`] returns a [`JoinHandle`], like [`std::thread::spawn`]. If the goroutine panics,
//! [`join`](JoinHandle::join) returns an `Err`. A [`WaitGroup`](sync::WaitGroup) waits for any
//! number of goroutines that return nothing, and an [`errgroup`](sync::errgroup) for goroutines
//! that may fail.
//!
//! ```
//! let answer = greenthread::spawn(|| 6 * 7);
//! assert_eq!(answer.join().unwrap(), 42);
//!
//! let failed = greenthread::spawn(|| [1, 2, 3].iter().position(|&n| n == 4).unwrap());
//! assert!(failed.join().is_err());
//! ```
//!
//! # Talk
//! A [`channel`] carries values from any number of senders to any number of receivers, in first-in,
//! first-out order. A receive waits for a value, and a send waits for room.
//!
//! ```
//! use greenthread::{channel, go};
//!
//! let (tx, rx) = channel::bounded(10); // bounded(0): a send and a receive meet
//! go!(move || (1..=3).for_each(|n| tx.send(n * n).unwrap()));
//! assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 4, 9]);
//! ```
//!
//! # Choose
//! [`select!`] waits for several operations and performs one of them as soon as one is possible.
//!
//! ```
//! use greenthread::{channel, go, select, time};
//! use std::time::Duration;
//!
//! let (tx, lines) = channel::bounded(0);
//! go!(move || tx.send("ready").unwrap());
//! select! {
//!     recv(lines) -> line => assert_eq!(line, Ok("ready")),
//!     recv(time::after(Duration::from_secs(10))) -> _ => panic!("too slow"),
//! }
//! ```
//!
//! # Stop
//! Nothing can end a goroutine from outside. Instead, the goroutine receives a
//! [`Context`](ctx::Context) and checks it wherever it waits.
//!
//! ```
//! use greenthread::{ctx::Context, spawn};
//! use std::time::Duration;
//!
//! let (ctx, cancel) = Context::background().with_cancel();
//! let heart = spawn(move || while ctx.sleep(Duration::from_millis(1)).is_ok() { /* beat */ });
//! cancel.cancel();
//! heart.join().unwrap();
//! ```
//!
//! # Share state
//! Goroutines share memory as threads do, with `Arc` and locks. The locks in [`sync`] park the
//! goroutine that waits instead of blocking its thread.
//!
//! ```
//! use greenthread::sync::{Mutex, WaitGroup};
//! use std::collections::BTreeMap;
//!
//! static COUNTS: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());
//!
//! let wg = WaitGroup::new();
//! for word in ["go", "rust", "go"] {
//!     wg.go(move || *COUNTS.lock().entry(word).or_default() += 1);
//! }
//! wg.wait();
//! assert_eq!(COUNTS.lock()["go"], 2);
//! ```
//!
//! # Where to find things
//!
//! | to | use |
//! | --- | --- |
//! | import what nearly every program uses | [`prelude`] |
//! | start a goroutine | [`go!`], [`spawn`], [`Builder`], [`scope()`] |
//! | wait for its result | [`JoinHandle`] |
//! | send and receive values | [`channel`] |
//! | wait for one of several operations | [`select!`] |
//! | lock, count, wait for many goroutines | [`sync`] |
//! | sleep, limit a wait, tick, call later | [`time`] |
//! | tell goroutines to stop | [`ctx`] |
//! | talk to other programs | [`net`] |
//! | run other programs | [`process`] |
//! | receive signals | [`signal`] |
//! | run worker pools, pipelines, brokers | [`patterns`] |
//! | let other goroutines run, or end early | [`yield_now`], [`exit_goroutine`] |
//! | make a call that blocks the thread | [`blocking`]; a plain call works too |
//! | wait for a future | [`block_on`] |
//! | stay on one thread | [`lock_os_thread`], [`Builder::pinned`] |
//! | recurse deeply | [`Builder::stack_size`], [`stack::grow`] |
//! | see what hangs | [`debug`], `kill -QUIT` |
//! | set the number of Ps | [`set_gomaxprocs`], `GOMAXPROCS`, [`config::Config`] |
//!
//! The guide's chapter [From Go] lists everything under the name it has in Go.
//!
//! [From Go]: https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/from_go.md
//!
//! # The runtime
//! Each process has one runtime. With [`#[greenthread::main]`](macro@main), `main` is a goroutine
//! too. A plain `main` runs on a thread like any other: where a goroutine would park, the thread
//! blocks. With [`#[greenthread::test]`](macro@test), a test runs as a goroutine, on any number of
//! Ps. All settings come from the environment or from [`config`].
//!
//! # What blocks
//! On all of these pages, "blocks" means one of two things. A goroutine that blocks is parked, and
//! its OS thread runs other goroutines. Any other thread blocks as usual. An operation that is not
//! documented to block does not wait for others. Every operation may *yield* at its end if the
//! goroutine has run for so long that its P was given to others. The goroutine may then continue on
//! another OS thread.
//!
//! # What a goroutine costs
//! A goroutine that has not run yet takes one block of memory, 128 to 192 bytes for a small
//! closure. If its calls were not deep, a parked goroutine takes one page of stack and its share of
//! the page tables, about 5.1 KB. Its stack reserves 384 KiB of address space (2 MiB in
//! builds with debug assertions), a size that
//! [`Builder::stack_size`] and `GREENTHREAD_STACK` can change. Pages of the stack are committed as
//! they are used, and the stack never moves. A stack overflow ends the process with a report; for
//! deep recursion, use [`stack::grow`].
//!
//! # Blocking calls and endless loops
//! A goroutine in a system call, in foreign code, or in a loop keeps its OS thread. The runtime
//! notices this by itself and gives the goroutine's P to another thread. It does so after about 10
//! ms, after 2 to 4 ms if the thread sleeps in the kernel, and after about 0.1 ms if many
//! goroutines block at once. So files and `std::process` can be used as they are. For many child
//! processes, or for waits that a context ends, there is [`process`]. Wrap a call that often blocks
//! in [`blocking`], which hands off the P at once.
//!
//! # Features
//! All features are on by default, and each only adds to the API. Without them, `greenthread` has
//! goroutines, channels, `select!`, [`ctx`], [`sync`], and [`time`], and the fewest dependencies.
//!
//! | feature | adds |
//! | --- | --- |
//! | `net` | [`net`] |
//! | `signal` | [`signal`] |
//! | `net` and `signal` | [`process`] |
//! | `patterns` | [`patterns`] |
//! | `map` | [`sync::Map`] |
//!
//! # Before you rely on it
//! A goroutine is not a thread. [`safety`] summarizes where that matters: thread-locals and
//! `stdout().lock()` across a wait, panics, stack overflows, the end of the process, and what
//! happens when a resource runs out.

#![cfg_attr(docsrs, feature(doc_cfg))]

// The modules in `tests/common` refer to the crate by the name that its users write.
#[cfg(test)]
extern crate self as greenthread;

mod block_on;
mod builder;
mod go;
#[cfg(any(feature = "net", feature = "signal"))]
mod io_wait;
mod scope;
mod task;

pub mod channel;
pub mod debug;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "patterns")]
pub mod patterns;
pub mod prelude;
#[cfg(all(feature = "net", feature = "signal"))]
pub mod process;
pub mod safety;
#[cfg(feature = "signal")]
pub mod signal;
pub mod stack;
pub mod sync;
pub mod time;

#[doc(hidden)]
pub mod __private;

pub use block_on::block_on;
pub use builder::Builder;
pub use greenthread_channels::{select, select_biased};
#[doc(inline)]
pub use greenthread_ctx as ctx;
/// Runs `fn main` as the main goroutine.
///
/// Without this attribute, `main` runs on a plain thread, which may also use all of this crate.
/// When the main goroutine returns, the process ends, whatever the other goroutines do (Go's rule).
/// The function may return anything that a `main` may return. The goroutine's name is "main", and
/// its stack reserves 8 MiB, like a main thread's.
///
/// ```
/// #[greenthread::main]
/// fn main() -> std::io::Result<()> {
///     let (tx, rx) = greenthread::channel::bounded(0);
///     greenthread::go!(move || tx.send("hello").unwrap());
///     println!("{}", rx.recv().unwrap());
///     Ok(())
/// }
/// ```
///
/// A panic in the main goroutine ends the process, as in any `main`. After [`exit_goroutine`], the
/// other goroutines continue. The runtime has already started when the function begins, so only a
/// plain `main` can use [`config::Config`].
pub use greenthread_macros::main;
/// Turns a function into a test that runs as a goroutine.
///
/// `#[ignore]`, `#[should_panic]`, and results work as with `#[test]`. The number of Ps is a
/// setting of the whole process, so the tests with this attribute in one process run one after the
/// other.
///
/// ```
/// #[greenthread::test(procs = [1, 2, 4])]
/// fn ping_pong() {
///     let (tx, rx) = greenthread::channel::bounded(0);
///     greenthread::go!(move || tx.send(1).unwrap());
///     assert_eq!(rx.recv(), Ok(1));
/// }
/// ```
///
/// With `procs = [..]`, the test runs once for each of these numbers of Ps, in this order. Without
/// `procs`, the test runs once, with the current number ([`gomaxprocs`]).
pub use greenthread_macros::test;
pub use greenthread_scheduler::config;
pub use greenthread_scheduler::{Exited, Goroutine, OsThreadGuard};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use task::{
    JoinHandle, blocking, current, exit_goroutine, gomaxprocs, lock_os_thread, num_cpu, num_goroutine, set_gomaxprocs,
    spawn, yield_now,
};
