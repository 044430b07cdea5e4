//! The migration guard: a goroutine whose stack has an address of its thread's own memory resumes
//! on that thread.
//!
//! # Vocabulary
//! A thread's *own memory* is the block that holds its static thread-locals (including `errno`) and
//! its control block ([`crate::machine::sys::tls`]). The *live words* of a parked goroutine are the
//! words of its stacks from the saved stack pointer to the base. A resume on an M other than the
//! last one is a *migration*.
//!
//! # The hazard
//! A goroutine may park on one thread and resume on another, and a Rust function cannot know that.
//! It may then use memory of the thread that it left, in one of two ways. The open way is
//! `LocalKey::with(|value| { rx.recv(); value.set(1) })`: here `value` is a reference that is valid
//! while the closure runs on that thread. In the hidden way, LLVM assumes that a function stays on
//! one thread, and computes the address of a thread-local once for two uses with a call in between.
//! So even two `with`s that are closed, one before a park and one after it, may share an address.
//! This happens in release builds only, in loops that look innocent:
//!
//! ```text
//!     // On threads 1, 2, 3: 1 101 201, not 1 2 3.
//!     for n in 0..3 { seen[n] = ID.with(|id| bump(id)); yield_now() }
//! ```
//!
//! Two threads then write one `Cell`, or the borrow flag of one `RefCell`: undefined behavior, from
//! code without `unsafe`.
//!
//! # The guard
//! The address is kept in a register or in memory. The switch saves on the stack all registers that
//! the compiler uses across it. So when an M is about to resume a goroutine that another M ran
//! last, it checks each live word ([`must_return`]). If a word is an address in that M's own
//! memory, the goroutine is bound to that M for this resume, and is sent back
//! ([`crate::sched::affinity::delivery`]).
//!
//! *What this fixes.* The hidden way. The compiler may keep an address that it has computed itself
//! in a register or on the stack, and then the guard finds it. Otherwise it computes the address
//! again, or uses the variable by its distance from the thread pointer. Both then refer to the
//! thread on which the code runs. That is the right thread for a `with` that begins there.
//!
//! *What this usually fixes.* The open way, as long as the reference is on the stack. It need not
//! be there, as the next section shows. So the rule for users is not to park inside a `with`, and
//! the guard does not relax that rule.
//!
//! *Why it is enough to check the last M's memory.* An address of an M's thread gets onto a stack
//! only while that M runs the goroutine. As long as the address is there, the goroutine does not
//! migrate.
//!
//! *Why the thread still exists.* A thread that has run a goroutine which may leave it never ends
//! ([`crate::sched::threads`]).
//!
//! *Why it is cheap.* A resume on the same M, the most frequent case by far, compares two pointers.
//! A migration, which costs some hundred nanoseconds of cache misses anyway, reads 500 to 1500
//! bytes of a stack that is about to be used (`benches/benches/migration.rs`).
//!
//! *False alarms.* A word may be a leftover in a slot that is no longer read, or a number that
//! looks like an address by chance. The goroutine is then sent back needlessly, at the cost of one
//! more pass through a queue. [`Stats::guarded_resumes`](crate::Stats::guarded_resumes) counts all
//! guarded resumes. Debug builds keep more leftovers.
//!
//! # What it cannot see
//! * An address that is only in the heap, reachable through a word on the stack. No `unsafe` is
//!   needed to put one there, in an open `with`:
//!   `ID.with(|id| { let ids = vec![id]; rx.recv(); ids[0].get() })` reads the `Cell` of another
//!   thread (36 to 54 of 320 000 times, by goroutines that yield on four Ps). The same applies to
//!   handles that are not addresses of the block, such as `rand`'s `ThreadRng`, which is an `Rc`,
//!   and to what a thread-local *owns*, such as a reference into its `Vec`.
//! * A reference that has no address. If one function contains all uses of a program's own
//!   thread-local, an optimized build accesses the thread-local by its distance from the thread
//!   pointer, both before and after the park, and so has two variables for one reference:
//!   `ID.with(|id| { id.set(1); rx.recv(); id.get() })`. With a `RefCell` the borrow is taken on
//!   one thread and released on another. The flags are wrong from then on, and two goroutines get a
//!   `&mut` to one value (measured: 2 to 15 000 of 320 000 borrows). This is undefined behavior,
//!   from code without `unsafe`.
//! * Thread-locals of libraries that `dlopen` loaded after the start.
//! * State of a thread that has no address: the owner of a re-entrant lock (`std`'s `StdoutLock`),
//!   a signal mask, a working directory of its own.
//! * Addresses packed with other bits, or not aligned. No compiler does this to the addresses that
//!   it computes.
//! * Anything, on a system that does not reveal where a thread's block is: every system except
//!   Linux.
//!
//! # Rejected
//! * Checking when a goroutine parks, and remembering the result: most goroutines resume on the
//!   same M, and would pay needlessly.
//! * Forbidding migration while a `LocalKey::with` is open: neither `std` nor the compiler reports
//!   when one is, and the hidden way has none open.
//! * Following words into the heap: nothing indicates where an object there ends or whether it is
//!   still allocated, and the structure may be as deep as the program likes.
//! * Warning in debug builds when a goroutine parks or migrates inside a `with`. `std` has no hook
//!   there. Unwinding can find its frames where it was not inlined, but each park would pay
//!   microseconds for that, and it would cover only the builds in which the address is on the stack
//!   anyway. The source can be checked cheaply: the guide lists the lints.
//! * Making the compiler keep all addresses (`-mno-tls-direct-seg-refs` of clang): `rustc` has no
//!   such flag, and an address in the heap is not found either.
//! * Pinning each goroutine to the first M that it runs on: the load would not be balanced.
//! * Exchanging the thread pointer with the goroutine's: the C library's own state, the owners of
//!   its locks and the kernel's view depend on the thread.

use std::sync::atomic::Ordering;

use crate::diag::stats::COUNTERS;
use crate::gmp::{GRef, M};
use crate::sched::affinity::ties;
use crate::task::coroutine::StackHead;
use crate::testing::mechanism::Mechanism;

/// Returns the M that must resume `g`, if only one M may.
///
/// The caller owns `g`, which is suspended. `last` is the M that ran it last, and not the calling
/// M.
#[cold]
pub(crate) fn must_return(g: GRef, last: &'static M) -> Option<&'static M> {
    if let Some(bound) = g.bound_m() {
        return Some(bound);
    }
    if !Mechanism::MigrationGuard.is_on() {
        return None;
    }
    // SAFETY: the caller owns the goroutine, which is suspended: it has run on `last`, and is not
    // blocked in place there.
    let held = unsafe { StackHead::points_into(g.stack.get(), &last.thread_memory()) };
    if held {
        COUNTERS.guarded_resumes.fetch_add(1, Ordering::Relaxed);
        ties::note_tied(g, last);
    }
    held.then_some(last)
}
