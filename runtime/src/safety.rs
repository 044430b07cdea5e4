//! What differs between goroutines and threads, and what is promised there: a page to read before relying on it.
//!
//! | what about | see |
//! | --- | --- |
//! | variables of a thread, locks that know their owner | [Thread-locals](#thread-locals) |
//! | a goroutine that panics | [Panics](#panics) |
//! | a stack that overflows, and the program's own signal handlers | [Faults](#faults) |
//! | `main` returns, `exit`, child processes, `fork` | [The end of the process](#the-end-of-the-process) |
//! | no more threads, stacks, memory | [What can run out](#what-can-run-out) |
//! | nobody can go on | [`debug`](crate::debug#deadlocks) |
//!
//! # Thread-locals
//! A goroutine may go on running on another thread after anything that parks. **Use a thread-local before a park or after
//! it, never across it:** the closure of [`LocalKey::with`](std::thread::LocalKey::with) must not park.
//!
//! ```
//! use std::cell::Cell;
//! thread_local! { static CALLS: Cell<u32> = const { Cell::new(0) } }
//!
//! let (tx, rx) = greenthread::channel::bounded(0);
//! greenthread::go!(move || tx.send(1).unwrap());
//! let n = rx.recv().unwrap();
//! CALLS.with(|calls| calls.set(calls.get() + n)); // and not with `rx.recv()` in it
//! ```
//!
//! This is right although the compiler takes it that a function stays on one thread, and may keep the address of a
//! thread-local from one use to the next: before a goroutine resumes on another thread its stack is searched for such
//! addresses, and if there is one it goes back to its thread instead (on Linux).
//!
//! A closure that does park is often right by the same search, but not always, and then it is undefined behavior without
//! any `unsafe`: the reference may be in the heap alone (`with(|calls| { let all = vec![calls]; rx.recv(); all[0].get() })`),
//! or nowhere, since an optimized build may use the variable by its distance from the thread pointer, which is that of
//! another thread after the park. Nothing can notice this at run time; the guide has a `clippy.toml` that finds the calls.
//! [`get`](std::thread::LocalKey::get), [`set`](std::thread::LocalKey::set), [`take`](std::thread::LocalKey::take) and
//! [`replace`](std::thread::LocalKey::replace) are right, if no destructor of the value parks.
//!
//! The thread may run another goroutine by then, for as long as that does not park: the one that must come back waits for it,
//! even if it computes for ever or blocks the thread. So the two must not wait for each other in that way.
//! [`Stats::guarded_resumes`](crate::debug::Stats::guarded_resumes) counts how often goroutines go back.
//!
//! In release builds the compiler keeps such addresses over loops in which each `with` is closed before
//! the park. The scheduler keeps goroutines that are known to stay away, and those it knows nothing of,
//! off threads that others are tied to, and reports on stderr if one waits for its thread for a second.
//! A function of its own with `#[inline(never)]` for the use of the thread-local makes no such tie.
//!
//! [`std::thread::scope`] and [`std::thread::park`] wake a thread, not a goroutine: a goroutine that parks
//! between their beginning and their end needs a [`lock_os_thread`](crate::lock_os_thread) guard around
//! both. What blocks within one call (`std`'s locks, `mpsc`, `JoinHandle::join`) needs nothing.
//!
//! Nothing finds what the stack has no address for. A goroutine must not keep across a park either:
//! * a handle that leads to its thread through the heap, such as `rand`'s `ThreadRng`, or an `Rc` that was cloned out of a
//!   thread-local;
//! * the lock of `std::io::stdout()` or `stderr()`, which is its thread's, or a guard of `std::sync` that another goroutine
//!   may want meanwhile;
//! * a thread-local of a library that was loaded after the start of the program (`dlopen`);
//! * on systems other than Linux, any address of a thread-local, even one that the compiler keeps.
//!
//! [`Builder::pinned`](crate::Builder::pinned) and [`lock_os_thread`](crate::lock_os_thread) are the way out where a library
//! insists on its thread. What belongs to a request rather than to a thread goes along in a
//! [`Context`](crate::ctx::Context::with_value).
//!
//! # Panics
//! A panic ends one goroutine; [`JoinHandle::join`](crate::JoinHandle::join) has its payload. (In Go it ends the program.)
//!
//! A destructor that runs while a panic unwinds may block like any other code: its goroutine then keeps its OS thread, and other
//! goroutines run elsewhere, since `std` counts panics by thread. So [`panicking`](std::thread::panicking), the poisoning of
//! `std`'s locks and [`catch_unwind`](std::panic::catch_unwind) are right on whatever thread a goroutine runs. A panic in such a
//! destructor aborts the process, as on a thread. (In Go a deferred call may panic again.)
//!
//! With `panic = "abort"` a panic of any goroutine names it, and ends the process;
//! [`exit_goroutine`](crate::exit_goroutine), which unwinds, panics too.
//!
//! # Faults
//! A goroutine whose stack overflows is named on stderr, with where it was spawned and what its stack reserves, and the process
//! aborts: recovering would leave locks locked. The area below a stack in which any access counts as an overflow has 16 KiB (one
//! page if the stack reserves less than 64 KiB). Rust code cannot get past it. C code that was compiled without stack probes
//! and has a frame larger than that may, as it may on a thread, where the area usually has 4 KiB: give it a
//! [larger stack](crate::Builder::stack_size), or [`stack::grow`](crate::stack::grow).
//!
//! For this the runtime installs handlers for `SIGSEGV` and `SIGBUS` when it starts. Faults that are no overflow of a goroutine
//! go to the handler that was there before: `std`'s, which reports the overflows of threads, or the program's own. A handler that
//! the program installs later replaces the runtime's; it keeps the report if it calls the one that it replaced, and has
//! `SA_ONSTACK`.
//!
//! # The end of the process
//! The process ends when a `main` with [`#[greenthread::main]`](macro@crate::main) returns, as with any other `main`, whatever
//! other goroutines do; their destructors do not run. [`std::process::exit`] may be called from any goroutine, and what is
//! registered to run at exit runs on that goroutine's stack, while others go on.
//!
//! Child processes are started as ever, with [`std::process::Command`], and inherit nothing of the runtime. After a `fork`
//! without `exec` the child must not use goroutines, as only the thread that called it is there. A thread that the runtime did
//! not start may end at any time outside of an operation; it must not be ended *in* one by `pthread_exit` or
//! `pthread_cancel`, as its wait lives on its stack.
//!
//! # What can run out
//!
//! | what | then |
//! | --- | --- |
//! | threads (`GREENTHREAD_MAXTHREADS`, 10 000), or the system gives no more | a warning, once; goroutines wait until a thread comes free |
//! | threads, and none can come free: all are locked, or a pinned goroutine needs one | the process ends with status 2 and `thread exhaustion` |
//! | the very first thread | the process ends with status 2, as in Go |
//! | stacks | a warning; the goroutine ends before it has begun, and `join` gives the text; without a thread to drop its closure on, the process ends with status 2 |
//! | memory for the closure of a spawn | the process aborts, as with any allocation |
//! | descriptors | the operation that needs one says so: an error in [`net`](crate::net), a panic in [`signal::notify`](crate::signal::notify) |
