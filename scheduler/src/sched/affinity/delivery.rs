//! How a goroutine that is bound to one M gets there.
//!
//! # Vocabulary
//! A goroutine is *bound* to an M if no other M may resume it. This is so while it is locked to the
//! M (`lock_os_thread`, a pinned spawn), while it blocks the M in place (`park`), or for one resume
//! if the migration guard requires it ([`crate::sched::affinity::guard`]). It is always bound to
//! the M that ran it last. It is queued like any other goroutine, since its waker does not know
//! about the binding. The M that takes it from a queue, the *finder*, sees that it is bound to
//! another M, the *owner* of an inbox, and delivers it there.
//!
//! # The problem
//! The owner may be in any of these situations: running another goroutine, with or without a P;
//! searching; asleep with an idle P that it watches, or in the poll; spare, without a P; or asleep
//! outside of all lists because its own goroutine is away. The finder must not miss the owner while
//! the owner changes from one situation to another. The owner needs a P. And if the owner runs
//! something that does not return soon, the finder must not wait for it.
//!
//! # The recipe
//! The finder puts the goroutine into the owner's inbox ([`crate::gmp::Inbox`]) and checks what the
//! owner is doing, **under the lock of the lists**:
//! * The owner sleeps for its inbox, outside of the lists: it gets the finder's own P, and the
//!   finder sleeps or gets another P.
//! * The owner stands next to an idle P: it gets that P. The finder continues.
//! * The owner is spare: it gets any idle P, or else the finder's.
//! * None of these: the owner is awake. Whenever it has a P and is between two goroutines, it
//!   checks its inbox, alternately with its other work, so that neither starves the other.
//!
//! An awake owner that goes to sleep puts itself into a list under the same lock, and checks its
//! inbox **after that** (`in_list` in the worker). So if the finder has not found the owner in a
//! list, the owner finds the goroutine. The owner then takes an idle P. If there is none, it
//! returns the goroutine to the global queue, where the goroutine competes for Ps like any other.
//! The M that takes it from there finds the owner asleep and hands its own P over. So either a
//! goroutine in an inbox is next for an M with a P, or the owner runs something else.
//!
//! # Why none is lost
//! If the finder sees the owner in no list, and the owner does not sleep for its inbox, the finder
//! relies on the owner to check the inbox. It may rely on this for three reasons:
//!
//! * *The owner is alive.* The goroutine still holds an address of the owner's thread, or is locked
//!   to that thread, and the thread ends in neither case. Both facts rest on what the goroutine
//!   itself contains. One is the words at and above its saved stack pointer, which are valid on
//!   every CPU (`stack_pointer` in `machine::sys`: where the switch does not report the exact
//!   value, some more words are searched, never fewer). The other is its count of locks, which only
//!   the goroutine itself changes, since an `OsThreadGuard` is not dropped by another goroutine
//!   ([`crate::api::os_thread`]).
//! * *It checks after the goroutine is there.* The owner goes to sleep in one of two ways. The
//!   first is through the lists: the owner's entry and the finder's check are two critical sections
//!   of one lock. If the entry is first, the finder sees it. If the finder is first, the owner's
//!   check of its inbox, after the entry, follows the delivery of the goroutine. The lock orders
//!   them, whatever the CPU's memory model, so `Inbox::is_empty` may be relaxed. The second is
//!   outside of the lists, locked to its own goroutine: the owner records this in the inbox and
//!   takes what is there in one critical section of the inbox's lock, under which the finder also
//!   delivers the goroutine.
//! * *Until then it passes by regularly.* The owner checks its inbox each time it is between two
//!   goroutines, and what runs on it checks at its entries. This check takes no lock, and may miss
//!   what was delivered a moment ago. The next check, or the one on the way to sleep, does not.
//!
//! What the owner runs may be a loop or a blocking call. The goroutine then waits until that
//! returns to the scheduler, whatever other Ps and Ms do. Entries that do not switch if no other
//! goroutine waits (`yield_now`, [`crate::wait::park::reacquire_p`]) check the inbox too.
//!
//! # Locked owners
//! An owner that is locked to a goroutine sleeps for its inbox while that goroutine is parked, and
//! runs whatever is delivered: usually its own goroutine. But the migration guard may send it
//! another goroutine that ran on this thread before it was locked. The owner runs that goroutine as
//! well. If that goroutine had to wait until the lock is released, which may never happen, the two
//! could wait for each other.
//!
//! An owner whose goroutine blocks it in place, because the goroutine unwinds, cannot run another:
//! the frames on its thread and `std`'s count of panics belong to that goroutine. Others wait in
//! the inbox until that goroutine continues, as if it had not parked at all.
//!
//! # Rejected
//! * Handing the owner a P at once, whatever it does (as was done when only locked goroutines were
//!   bound): a busy M already has a P, and no M has room for two.
//! * Letting the finder wait for the owner: one stale address would stop two Ms.
//! * Abandoning the delivery after a while and resuming the goroutine elsewhere: this is right for
//!   an address that is only a leftover and wrong for one in use, and nothing distinguishes them.
//! * Letting thieves take from the inbox: they are the Ms that delivered the goroutine.

use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, M};
use crate::sched::entry;
use crate::sched::handoff;

/// Delivers `g`, which the calling M has taken from a queue, to `owner`, the M to which it is
/// bound.
///
/// To do so, the calling M may have to give its P away.
#[cold]
pub(crate) fn deliver(m: &'static M, p: Inside<'_>, g: GRef, owner: &'static M) {
    let sched = sched();
    let mut lists = sched.lists();
    let wakes = owner.inbox.deliver(g);
    let watched = lists.idle.iter().position(|idle| idle.watcher.is_some_and(|watcher| watcher.id == owner.id));
    let spare = lists.spare.iter().position(|spare| spare.id == owner.id);
    let idle = match (watched, spare) {
        (Some(at), _) => {
            sched.idle.p_taken();
            Some(lists.idle.remove(at).p)
        }
        (None, Some(at)) => {
            lists.spare.remove(at);
            handoff::pop_idle(&mut lists)
        }
        (None, None) if wakes => None,
        // The owner is awake, and will check its inbox.
        (None, None) => return,
    };
    drop(lists);
    match idle {
        Some(idle) => {
            sched.wake_sysmon();
            owner.hand_p(idle, false);
        }
        None => owner.hand_p(entry::give_up(m, p), false),
    }
}

/// Returns what was delivered to the calling M to the global queue, because the M stands in a list
/// and there is no P for it.
///
/// This happens under the lock of the lists. So a thread that searches for runnable goroutines
/// under that lock finds each of them in one of the two places.
pub(crate) fn return_undelivered(m: &'static M) {
    let sched = sched();
    let lists = sched.lists();
    let left = m.inbox.take_all();
    let any = !left.is_empty();
    left.into_iter().for_each(|g| sched.global.push(g));
    drop(lists);
    if any {
        sched.idle.wake_one(&sched);
    }
}
