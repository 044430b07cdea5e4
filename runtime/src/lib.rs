//! Go's concurrency for Rust: write plain blocking code, spawn a million of it, and let a few OS threads run it.
//!
//! ```
//! use greenthread::{channel, go, sync::WaitGroup};
//!
//! let (jobs_tx, jobs) = channel::bounded::<u32>(100);
//! let (results, results_rx) = channel::bounded(100);
//! let wg = WaitGroup::new();
//! for id in 0..4 {
//!     wg.add(1);
//!     let (jobs, results, wg) = (jobs.clone(), results.clone(), wg.clone());
//!     go!(move || {
//!         for job in jobs {
//!             results.send((id, job * job)).unwrap();
//!         }
//!         wg.done();
//!     });
//! }
//! drop(results);
//! for n in 0..100 {
//!     jobs_tx.send(n).unwrap();
//! }
//! jobs_tx.close();
//! wg.wait();
//! assert_eq!(results_rx.iter().map(|(_, square)| square).sum::<u32>(), 328_350);
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
//! | receive signals | [`signal`] | `os/signal` |
//! | run worker pools, pipelines, brokers | [`patterns`] | by hand |
//! | let others run, end early | [`yield_now`], [`exit_goroutine`] | `runtime.Gosched`, `runtime.Goexit` |
//! | call what blocks the thread | [`blocking`]; nothing at all also works | nothing |
//! | wait for a future | [`block_on`] | nothing |
//! | stay on one thread | [`lock_os_thread`], [`Builder::pinned`] | `runtime.LockOSThread` |
//! | set the number of Ps | [`gomaxprocs`], `GOMAXPROCS`, [`config::Config`] | `runtime.GOMAXPROCS` |
//!
//! The runtime starts with the first use, from any thread, and there is one in each process. In a `main` with
//! [`#[greenthread::main]`](main) the main function is a goroutine too; a plain `main` is a thread like any other,
//! from which all of this works as well.
//!
//! # What a goroutine costs
//! Spawned and not yet run: one block of memory, 128 bytes for a small closure. Parked: one page of stack and its share of the page tables,
//! about 4.7 KB, if it did not go deep. Its stack reserves 256 KiB of address space ([`Builder::stack_size`],
//! `GREENTHREAD_STACK`), which is committed page by page as it is used, and never moves. Going beyond it ends the process with
//! a report; [`stack::grow`] is for deep recursion.
//!
//! # Blocking calls and endless loops
//! A goroutine that sits in a system call, in foreign code, or in a loop keeps its OS thread, and the runtime gives its turn (its P) to another
//! thread after at most 10 ms, unannounced. So files, `std::process` and the like need no special form. Announce what blocks often
//! with [`blocking`], which hands the turn over at once.
//!
//! # Thread-locals
//! A goroutine may go on running on another thread after anything that parks. If it has the address of a thread-local of its old thread on its stack, be it that
//! it parks inside of [`LocalKey::with`](std::thread::LocalKey::with) or that the compiler kept the address for later, it goes back to that thread instead (on Linux). So
//! a reference stays what it was, and the variable is that of the thread it was taken on:
//!
//! ```
//! use std::cell::Cell;
//! thread_local! { static CALLS: Cell<u32> = const { Cell::new(0) } }
//!
//! let (tx, rx) = greenthread::channel::bounded(0);
//! greenthread::go!(move || tx.send(1).unwrap());
//! CALLS.with(|calls| {
//!     let before = calls.get();
//!     calls.set(before + rx.recv().unwrap());
//! });
//! ```
//!
//! The thread may run another goroutine by then, for as long as that does not park: the one that must come back waits for it, even if it computes for ever or
//! blocks the thread. So the two must not wait for each other in that way. [`debug::Stats::guarded_resumes`] counts how often goroutines go back.
//!
//! Nothing finds what the stack has no address for. A goroutine must not keep across a park:
//! * a handle that leads to its thread through the heap, such as `rand`'s `ThreadRng`, or an `Rc` that was cloned out of a thread-local;
//! * the lock of `std::io::stdout()` or `stderr()`, which is its thread's, or a guard of `std::sync` that another goroutine may want meanwhile;
//! * a thread-local of a library that was loaded after the start of the program (`dlopen`);
//! * on systems other than Linux, any reference into a thread-local.
//!
//! [`Builder::pinned`] and [`lock_os_thread`] are the way out where a library insists on its thread.

//! # Panics
//! A panic ends one goroutine; [`JoinHandle::join`] has its payload. A destructor that runs while a panic unwinds may block like any other code: its
//! goroutine then keeps its OS thread, and other goroutines run elsewhere, since `std` counts panics by thread. So
//! [`panicking`](std::thread::panicking), the poisoning of `std`'s locks and [`catch_unwind`](std::panic::catch_unwind) are right on whatever thread a goroutine
//! runs. A panic in such a destructor aborts the process, as on a thread. (In Go a deferred call may panic again.)
//!
//! With `panic = "abort"` a panic of any goroutine names it, and ends the process; [`exit_goroutine`], which unwinds, panics too.
//!
//! # Faults
//! A goroutine whose stack overflows is named on stderr, with where it was spawned and what its stack reserves, and the process aborts:
//! recovering would leave locks locked. The area below a stack in which any access counts as an overflow has 16 KiB (one page if the stack
//! reserves less than 64 KiB). Rust code cannot get past it. C code that was compiled without stack probes and has a frame larger than that may, as it may on a
//! thread, where the area usually has 4 KiB: give it a larger stack, or [`stack::grow`].
//!
//! For this the runtime installs handlers for `SIGSEGV` and `SIGBUS` when it starts. Faults that are no overflow of a goroutine go to the handler that was there
//! before: `std`'s, which reports the overflows of threads, or the program's own. A handler that the program installs later replaces the runtime's;
//! it keeps the report if it calls the one that it replaced, and has `SA_ONSTACK`.
//!
//! # The end of the process
//! The process ends when `main` returns, whatever other goroutines do; their destructors do not run. [`std::process::exit`] may be called from any goroutine, and
//! what is registered to run at exit runs on that goroutine's stack, while others go on.
//!
//! Child processes are started as ever, with [`std::process::Command`], and inherit nothing of the runtime. After a `fork` without `exec` the child must not use
//! goroutines, as only the thread that called it is there. A thread that the runtime did not start may end at any time outside of an operation; it must
//! not be ended *in* one by `pthread_exit` or `pthread_cancel`, as its wait lives on its stack.
//!
//! What can run out:
//!
//! | what | then |
//! | --- | --- |
//! | threads (`GREENTHREAD_MAXTHREADS`, 10 000), or the system gives no more | a warning, once; goroutines wait until a thread comes free |
//! | the very first thread | the process ends with status 2, as in Go |
//! | stacks | a warning; the goroutine ends before it has begun, and `join` gives the text; without a thread to drop its closure on, the process ends with status 2 |
//! | memory for the closure of a spawn | the process aborts, as with any allocation |

// What is in `tests/common` names the crate as its users do.
#[cfg(test)]
extern crate self as greenthread;

mod block_on;
mod builder;
mod go;
mod scope;
mod task;
mod watch;

pub mod channel;
pub mod debug;
pub mod net;
pub mod patterns;
pub mod signal;
pub mod stack;
pub mod sync;
pub mod time;

#[doc(hidden)]
pub mod __private;

pub use block_on::block_on;
pub use builder::Builder;
pub use greenthread_channels::{select, select_biased};
pub use greenthread_ctx as ctx;
pub use greenthread_macros::{main, test};
pub use greenthread_scheduler::config;
pub use greenthread_scheduler::{Exited, Goroutine, OsThreadGuard};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use task::{
    JoinHandle, blocking, current, exit_goroutine, gomaxprocs, lock_os_thread, num_cpu, num_goroutine, spawn, yield_now,
};
