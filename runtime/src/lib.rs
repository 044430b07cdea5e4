//! Go's concurrency for Rust: write plain blocking code, start a million pieces of it with [`go!`], and let a few OS threads
//! run them. For programs that wait for many things at once, whose authors would rather write `rx.recv()` than colour
//! functions `async`: servers, crawlers, pipelines, simulations.
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
//! If you know Go, you know it already; if you know `std::thread` and crossbeam-channel, too. Six things are enough to begin
//! with, and everything in them works from a plain thread as well: the runtime starts with the first use.
//!
//! # Start
//! [`go!`] starts a goroutine, which owns what it uses. In a [`scope()`] it may borrow.
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
//! [`spawn`] returns a [`JoinHandle`], as [`std::thread::spawn`] does; a panic is an `Err` there.
//! [`WaitGroup`](sync::WaitGroup) waits for any number that return nothing, an [`errgroup`](sync::errgroup) for some that may
//! fail.
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
//! A [`channel`] carries values from any number of senders to any number of receivers, first come, first served. A receive
//! waits for a value, a send for room.
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
//! [`select!`] waits for several operations, and does one as soon as one is possible.
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
//! Nothing ends a goroutine from outside. It gets a [`Context`](ctx::Context), and looks at it where it waits.
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
//! Memory is shared as between threads, by `Arc` and locks. Those of [`sync`] park the goroutine that waits, and not its thread.
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
//! # What is here
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | start a goroutine | [`go!`], [`spawn`], [`Builder`], [`scope()`] | `go f()` |
//! | wait for its result | [`JoinHandle`] | a channel, or a `WaitGroup` |
//! | talk | [`channel`] | `chan` |
//! | wait for one of several | [`select!`] | `select` |
//! | wait for many, exclude others | [`sync`] | `sync` |
//! | sleep, time out, tick, call later | [`time`] | `time` |
//! | talk to other programs | [`net`] | `net` |
//! | tell others to stop | [`ctx`] | `context` |
//! | run other programs | [`process`] | `os/exec` |
//! | receive signals | [`signal`] | `os/signal` |
//! | run worker pools, pipelines, brokers | [`patterns`] | by hand |
//! | let others run, end early | [`yield_now`], [`exit_goroutine`] | `runtime.Gosched`, `runtime.Goexit` |
//! | call what blocks the thread | [`blocking`]; nothing at all also works | nothing |
//! | wait for a future | [`block_on`] | nothing |
//! | stay on one thread | [`lock_os_thread`], [`Builder::pinned`] | `runtime.LockOSThread` |
//! | recurse deeply | [`Builder::stack_size`], [`stack::grow`] | nothing |
//! | see what hangs | [`debug`], `kill -QUIT` | `kill -QUIT` |
//! | set the number of Ps | [`set_gomaxprocs`], `GOMAXPROCS`, [`config::Config`] | `runtime.GOMAXPROCS` |
//!
//! # The runtime
//! There is one in each process. In a `main` with [`#[greenthread::main]`](macro@main) the main function is a goroutine too; a
//! plain `main` is a thread like any other, which blocks where a goroutine parks. Tests may run as goroutines, on any number
//! of Ps, with [`#[greenthread::test]`](macro@test). The environment and [`config`] set what can be set.
//!
//! # What blocks
//! "Blocks" means, on all of these pages: parks the calling goroutine, and its OS thread runs others; or blocks the calling
//! thread, if that is no goroutine. What is not said to block does not wait for others. Any operation may *yield* at its end,
//! if the goroutine has kept its turn for so long that others were given it; it may go on on another OS thread then.
//!
//! # What a goroutine costs
//! Spawned and not yet run: one block of memory, 128 to 192 bytes for a small closure. Parked: one page of stack and
//! its share of the page tables, about 4.7 KB, if it did not go deep. Its stack reserves 256 KiB of address space
//! ([`Builder::stack_size`], `GREENTHREAD_STACK`), which is committed page by page as it is used, and never moves.
//! Going beyond it ends the process with a report; [`stack::grow`] is for deep recursion.
//!
//! # Blocking calls and endless loops
//! A goroutine that sits in a system call, in foreign code, or in a loop keeps its OS thread, and the runtime gives its turn
//! (its P) to another thread after some 10 ms, unannounced; after 0.1 ms or so if many block at once. So files,
//! `std::process` and the like need no special form; for many children, or with a context, there is [`process`].
//! Announce what blocks often with [`blocking`], which hands the turn over at once.
//!
//! # Before you rely on it
//! [`safety`] says where goroutines differ from threads: thread-locals and `stdout().lock()` across a wait, panics, stack
//! overflows, the end of the process, and what happens when something runs out.

#![cfg_attr(docsrs, feature(doc_cfg))]

// What is in `tests/common` names the crate as its users do.
#[cfg(test)]
extern crate self as greenthread;

mod block_on;
mod builder;
mod go;
#[cfg(any(feature = "net", feature = "signal"))]
mod io_wait;
#[cfg_attr(not(feature = "patterns"), expect(dead_code))]
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
/// Runs `fn main` as the main goroutine. Any other `main` is a thread, which may use all of this crate as well.
///
/// When it returns, the process ends, whatever the other goroutines do (Go's rule). It may return whatever a `main` may return.
/// The main goroutine has the name "main", and a stack that reserves 8 MiB, as a main thread has.
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
/// A panic in it ends the process, as in any `main`; [`exit_goroutine`] lets the others go on. The runtime has started when
/// the function begins: [`config::Config`] is for a plain `main`.
pub use greenthread_macros::main;
/// Makes a function a test that runs as a goroutine.
///
/// `#[ignore]`, `#[should_panic]` and results work as with `#[test]`. The tests of one process that have this attribute run one
/// after the other, since the number of Ps is the process's.
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
/// `procs = [..]` runs it once for each of these numbers of Ps (`GOMAXPROCS`), in this order. Without it the test runs once,
/// with as many as there are.
pub use greenthread_macros::test;
pub use greenthread_scheduler::config;
pub use greenthread_scheduler::{Exited, Goroutine, OsThreadGuard};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use task::{
    JoinHandle, blocking, current, exit_goroutine, gomaxprocs, lock_os_thread, num_cpu, num_goroutine, set_gomaxprocs,
    spawn, yield_now,
};
