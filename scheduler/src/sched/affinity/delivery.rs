//! How a goroutine that is bound to one M gets there.
//!
//! # Vocabulary
//! A goroutine is *bound* to an M if no other may resume it: while it is locked to the M
//! (`lock_os_thread`, a pinned spawn), while it blocks the M in place (`park`), or for one resume,
//! if the migration guard says so ([`crate::sched::affinity::guard`]). It is always bound to the M
//! that ran it last. It is queued like any other, since its waker does not know about this. The M
//! that takes it from a queue, the *finder*, sees that it is bound to another, the *owner* of an
//! inbox, and delivers it.
//!
//! # The problem
//! The owner may be anywhere: running another goroutine, with or without a P; searching; asleep
//! with an idle P that it watches, or in the poll; spare, without a P; or asleep outside of all
//! lists because its own goroutine is away. It must not be missed while it changes from one to the
//! other; it needs a P; and if it runs something that does not come back soon, the finder must not
//! wait for it.
//!
//! # The recipe
//! The finder puts the goroutine into the owner's inbox ([`crate::gmp::Inbox`]) and looks what the
//! owner does, **under the lock of the lists**:
//! * It sleeps for its inbox, outside of the lists: it gets the finder's own P, and the finder
//!   sleeps or gets another one.
//! * It stands beside an idle P: it gets that one. The finder goes on.
//! * It is spare: it gets any idle P, else the finder's.
//! * None of these: it is awake. It looks into its inbox when it has a P and is between two
//!   goroutines, in turn with its other work, so that neither starves the other.
//!
//! An awake owner that goes to sleep puts itself into a list under the same lock, and looks into
//! its inbox **after that** (`in_list` in the worker). So if the finder has not found it in a list,
//! it finds the goroutine. It takes an idle P then. If there is none it returns the goroutine to
//! the global queue, where it competes for Ps like any other: the M that takes it finds the owner
//! asleep, and hands its own P over. So a goroutine in an inbox is either next for an M with a P,
//! or the owner runs something else.
//!
//! # Why none is lost
//! If the finder sees the owner in no list, and the owner does not sleep for its inbox, the finder
//! relies on the owner to look. It may:
//!
//! * *The owner is alive.* Its thread has the address that the goroutine still holds, or is the one
//!   that the goroutine is locked to, and ends in neither case. Both rest on what the goroutine
//!   itself says: the words at and above its saved stack pointer, which hold on every CPU
//!   (`stack_pointer` in `machine::sys`: where the switch does not tell, some more words are
//!   searched, never fewer); and its count of locks, which only the goroutine itself changes, since
//!   an `OsThreadGuard` is not dropped by another goroutine ([`crate::api::os_thread`]).
//! * *It looks after the goroutine is there.* It goes to sleep in two ways. By the lists: its entry
//!   and the finder's look are two critical sections of one lock. If the entry is first, the finder
//!   sees it. If the finder is first, the owner's look at its inbox, after the entry, comes after
//!   the goroutine was delivered: the lock orders them, whatever the CPU's memory model, so
//!   `Inbox::is_empty` may be relaxed. Or outside of the lists, locked to its own goroutine: it
//!   says so in the inbox and takes what is there in one critical section of the inbox's lock, in
//!   which the finder delivers the goroutine.
//! * *Until then it comes by.* Between two goroutines it looks each time, and what runs on it looks
//!   at its entries. This look takes no lock, and may miss what was delivered a moment ago; the
//!   next one, or the one on the way to sleep, does not.
//!
//! What the owner runs may be a loop or a blocking call. The goroutine then waits until that comes
//! back to the scheduler, whatever other Ps and Ms do. Entries that do not switch if no other
//! goroutine waits (`yield_now`, [`crate::wait::park::reacquire_p`]) look into the inbox too.
//!
//! # Locked owners
//! An owner that is locked to a goroutine sleeps for its inbox while that one is parked, and runs
//! whatever is delivered: its own goroutine, mostly. But the migration guard may send it another,
//! that ran on this thread before it was locked. That one is run as well: if it were to wait until
//! the lock goes, which may be never, the two could wait for each other.
//!
//! An owner whose goroutine blocks it in place, because it unwinds, cannot run another: the frames
//! on its thread and `std`'s count of panics are that goroutine's. Others wait in the inbox until
//! it goes on, as if it had not parked at all.
//!
//! # Rejected
//! * To hand the owner a P at once, whatever it does (as was done when only locked goroutines were
//!   bound): a busy M has one, and none has room for two.
//! * To let the finder wait for the owner: one stale address would stop two Ms.
//! * To give up after a while and to resume elsewhere: right for an address that is only a
//!   leftover, wrong for one in use, and nothing tells them apart.
//! * An inbox that thieves look into: they are the ones that delivered the goroutine.

use crate::gmp::scheduler::sched;
use crate::gmp::{GRef, Inside, M};
use crate::sched::entry;
use crate::sched::handoff;

/// Delivers `g`, which the calling M has taken from a queue, to `owner`, to which it is bound.
///
/// The calling M may give its P away for that.
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
        // It is awake, and will look.
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

/// Returns what was delivered to the calling M to the global queue: the M stands in a list, and
/// there is no P for it.
///
/// This happens under the lock of the lists, so that a thread that looks for runnable goroutines
/// with that lock finds each of them in one of the two places.
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
