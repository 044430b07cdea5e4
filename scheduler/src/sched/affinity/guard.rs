//! The migration guard: a goroutine whose stack has an address of its thread's own memory resumes
//! on that thread.
//!
//! # Vocabulary
//! A thread's *own memory* is the block that holds its static thread-locals (`errno` too) and its
//! control block ([`crate::machine::sys::tls`]). The *live words* of a parked goroutine are those
//! of its stacks from the saved stack pointer to the base. A resume on an M other than the last one
//! is a *migration*.
//!
//! # The hazard
//! A goroutine may park on one thread and resume on another, and a Rust function cannot know that.
//! It may then use memory of the thread that it left, in two ways. The open way:
//! `LocalKey::with(|value| { rx.recv(); value.set(1) })`, where `value` is a reference that is
//! valid while the closure runs, on that thread. The hidden way: LLVM assumes that a function stays
//! on one thread, and computes the address of a thread-local once for two uses with a call in
//! between. So even two `with`s that are closed, one before a park and one after it, may share an
//! address. This happens in release builds only, in loops that look innocent:
//!
//! ```text
//!     // On threads 1, 2, 3: 1 101 201, not 1 2 3.
//!     for n in 0..3 { seen[n] = ID.with(|id| bump(id)); yield_now() }
//! ```
//!
//! Two threads then write one `Cell`, or one `RefCell`'s borrow flag: undefined behavior, from
//! code without `unsafe`.
//!
//! # The guard
//! The address is kept in a register or in memory. The switch saves on the stack all registers that
//! the compiler has in use across it. So when an M is about to
//! resume a goroutine that another M ran last, it looks at each live word ([`must_return`]). If one
//! is an address in that other M's thread's own memory, the goroutine is bound to it for this
//! resume, and is sent back ([`crate::sched::affinity::delivery`]).
//!
//! *What this fixes.* The hidden way. The compiler keeps an address that it has computed
//! itself in a register or on the stack, so it is found; or it computes the address again, or uses
//! the variable by its distance from the thread pointer, and then has that of the thread where it
//! runs, which for a `with` that begins there is the right one.
//!
//! *What it mostly fixes.* The open way, as long as the reference is on the stack. It need not be:
//! see below. So the rule for users is not to park inside a `with`, and the guard does not excuse
//! from it.
//!
//! *Why it is enough to look at the last M's memory.* An address of an M's thread gets onto a stack
//! while that M runs the goroutine; and as long as it is there, the goroutine does not
//! migrate.
//!
//! *Why the thread is still there.* A thread that has run a goroutine which may leave it never ends
//! ([`crate::sched::threads`]).
//!
//! *Why it is cheap.* A resume on the same M, the most frequent by far, compares two pointers. A
//! migration, which costs some hundred nanoseconds of cache misses anyway, reads 500 to 1500 bytes
//! of a stack that is about to be used (`benches/benches/migration.rs`).
//!
//! *False alarms.* A word may be a leftover in a slot that is not read any more, or a number by
//! chance. The goroutine is then sent back without need, which costs it one more queue.
//! [`Stats::guarded_resumes`](crate::Stats::guarded_resumes) counts all. Debug builds keep more
//! leftovers.
//!
//! # What it cannot see
//! * An address that only the heap holds, behind a word that leads there. It takes no `unsafe` to
//!   put one there, in an open `with`:
//!   `ID.with(|id| { let ids = vec![id]; rx.recv(); ids[0].get() })` reads the `Cell` of another
//!   thread (36 to 54 of 320 000 times, by goroutines that yield on four Ps). Handles that are not
//!   addresses of the block, such as `rand`'s `ThreadRng`, an `Rc`, are like it, and what a
//!   thread-local *owns*: a reference into its `Vec`.
//! * A reference that has no address. Where one function has all uses of a program's own
//!   thread-local, an optimized build accesses it by its distance from the thread pointer, before
//!   the park and after it, and has two variables for one reference:
//!   `ID.with(|id| { id.set(1); rx.recv(); id.get() })`. With a `RefCell` the borrow is taken on
//!   one thread and given back on another: flags are wrong from then on, and two goroutines get a
//!   `&mut` to one value (measured: 2 to 15 000 of 320 000 borrows). Undefined behavior, from code
//!   without `unsafe`.
//! * Thread-locals of libraries that `dlopen` loaded after the start.
//! * State of a thread that has no address: the owner of a re-entrant lock (`std`'s `StdoutLock`),
//!   a signal mask, a working directory of its own.
//! * Addresses packed with other bits, or not aligned. No compiler does this to its own.
//! * Anything, on a system that does not say where a thread's block is: all but Linux.
//!
//! # Rejected
//! * To look when a goroutine parks, and remember: most resume on the same M, and would pay
//!   without need.
//! * To forbid migration while a `LocalKey::with` is open: neither `std` nor the compiler says when
//!   one is, and the hidden way has none open.
//! * To follow words into the heap: nothing says where an object there ends or whether it is still
//!   one, and it may be as deep as the program likes.
//! * To warn in debug builds when a goroutine parks or migrates inside a `with`. `std` has no hook
//!   there. Its frames can be found by unwinding, where it was not inlined, but each park would pay
//!   for that with microseconds, and only the builds in which the address is on the stack anyway
//!   would be watched. What can be checked cheaply is the source: the guide has the lints.
//! * To make the compiler keep all addresses (`-mno-tls-direct-seg-refs` of clang): `rustc` has no
//!   such flag, and an address in the heap is not found either.
//! * To pin each goroutine to the first M that it runs on: the load would not be balanced.
//! * To exchange the thread pointer with the goroutine's: the C library's own state, its locks'
//!   owners and the kernel's view depend on the thread.

use std::sync::atomic::Ordering;

use crate::diag::stats::COUNTERS;
use crate::gmp::{GRef, M};
use crate::sched::affinity::ties;
use crate::task::coroutine::StackHead;
use crate::testing::mechanism::Mechanism;

/// Returns the M that must resume `g`, which is suspended and the caller's, if that is a certain
/// one.
///
/// `last` is the M that ran it last, and not the calling one.
#[cold]
pub(crate) fn must_return(g: GRef, last: &'static M) -> Option<&'static M> {
    if let Some(bound) = g.bound_m() {
        return Some(bound);
    }
    if !Mechanism::MigrationGuard.is_on() {
        return None;
    }
    // SAFETY: the goroutine is the caller's, and is suspended: it has run on `last`, and is not
    // blocked in place there.
    let held = unsafe { StackHead::points_into(g.stack.get(), &last.thread_memory()) };
    if held {
        COUNTERS.guarded_resumes.fetch_add(1, Ordering::Relaxed);
        ties::note_tied(g, last);
    }
    held.then_some(last)
}
