//! A mutex that blocks goroutines and threads: Go's algorithm, with the queue inside the lock.
//!
//! # Vocabulary
//! A *newcomer* has called `lock` and has not waited yet. A *waiter* is in the queue. A *woken*
//! waiter was removed from the queue and competes for the lock again. A waiter *starves* when it
//! has waited for 1 ms and then loses once more.
//!
//! # Protocol
//! The word has four bits:
//!
//! * `LOCKED`: the mutex has an owner. Set by the new owner, or by the unlocker that hands over;
//!   cleared by the owner.
//! * `QUEUED`: the queue is not empty. Set by a waiter that links itself; cleared by the thread
//!   that removes the last waiter.
//! * `WOKEN`: one thread competes on behalf of the queue. Set by the unlocker that wakes a waiter,
//!   or by a newcomer that spins; cleared by the thread that competes.
//! * `STARVING`: the lock is handed over, and no thread may take it. Set by a starving waiter;
//!   cleared by a waiter that gets the lock early, or by the thread that removes the last waiter.
//!
//! In *normal mode* unlock clears `LOCKED` and, if there is a queue and no thread is awake for it,
//! wakes the oldest waiter. That waiter competes with newcomers, which are already running and
//! usually win. This makes the lock fast, since the owner changes without a switch. A loser goes
//! back to the *front* of the queue.
//!
//! In *starvation mode* unlock gives the mutex directly to the oldest waiter, and newcomers queue
//! at the end. A waiter that has waited for 1 ms and lost begins this mode. The mode ends with the
//! first waiter that had to wait for a shorter time, or with the last waiter.
//!
//! A waiter whose wait is *ended* by its limit (a deadline, a context) leaves the queue. An
//! unlocker that has removed such a waiter's node continues with the next one; if there is none, it
//! takes back what it was about to give.
//!
//! # The races
//! * *Wait against unlock.* The waiter sets `QUEUED` under the queue's lock, by an exchange that
//!   sees `LOCKED`. So the unlock comes later in the order of the word, sees `QUEUED`, and takes
//!   the queue's lock. It gets the lock only when the waiter is linked and asleep.
//! * *Unlock against unlock.* Between its two steps, an unlocker can be overtaken by a whole lock
//!   and unlock of another thread. Both then check the word under the queue's lock. The first acts;
//!   the second sees `WOKEN` or `LOCKED` and leaves. A wake-up may be skipped only in favor of a
//!   thread that is awake and will check again: the owner does so when it unlocks, and the holder
//!   of `WOKEN` when it gets the lock or queues again.
//! * *End against unlock.* The claim decides, under the queue's lock. A waiter that has lost its
//!   claim may still be on its way out when an unlocker sees `QUEUED` in the word and a queue that
//!   holds only such waiters. The unlocker holds the queue's lock, so no thread can queue up in the
//!   meantime, and a thread that wants to queue up will check the word once more.
//!
//! # Rejected
//! * Always handing over fairly: each hand-over costs a switch, and throughput falls by a factor of
//!   ten under contention.
//! * No `WOKEN`: an owner that locks and unlocks in a loop would wake one more waiter each time,
//!   and all of them would lose.
//! * Go's global table of queues: this keeps `sync.Mutex` at 8 bytes, but a queue in the lock needs
//!   no hashing.
//! * Clearing `LOCKED` under the queue's lock, as `parking_lot` does: this is easier to prove
//!   correct, but then every contended unlock takes that lock, even when a waiter is already awake.
//!
//! # Invariants
//! * I1: `queue` is touched only under `queue_lock`, and `QUEUED` changes only under it.
//! * I2: `WOKEN` has at most one holder. The holder clears the bit in the exchange that takes the
//!   lock or queues again.
//! * I3: `STARVING` implies `QUEUED`, and excludes `WOKEN`: the waiter that sets `STARVING` holds
//!   `WOKEN` and clears it. `STARVING` is set only while `LOCKED` is, so an unlock follows.
//! * I4: a waiter stays in its frame until its only wake-up, by the unlocker that reserved it, or
//!   until it has withdrawn.
//! * I5: after the first store no unlock frees or reuses anything: the caller borrows the mutex
//!   until the end of the call.
//!
//! # Orderings
//! * P1: the release in `unlock` -> the acquire of the exchange in `lock`, `try_lock`, and
//!   `compete`: what was done under the mutex is visible to the next owner. Changes in between are
//!   read-modify-writes, so they continue the release sequence.
//! * P2: the release in `unlock` -> the acquire exchange in `unlock_contended`, when the lock is
//!   handed over: the unlocker that hands over need not be the one that released the mutex. The
//!   wake-up passes this visibility on to the new owner.
//!
//! # See also
//! `internal/sync/mutex.go` in Go; the models in `scheduler/models/tests/mutex.rs`.

use std::cell::OnceCell;
use std::fmt;
use std::ptr::NonNull;

use super::env::{Limit, Unlimited, Wait, WaitOutcome, Wake};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU32, Ordering, UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

const LOCKED: u32 = 1;
const QUEUED: u32 = 1 << 1;
const WOKEN: u32 = 1 << 2;
const STARVING: u32 = 1 << 3;

/// A way to block that can also read the clock, for waiters that may starve.
pub trait TimedWait: Wait {
    /// A reading of the clock.
    type Since: Copy;

    /// Reads the clock.
    fn now() -> Self::Since;

    /// Returns `true` if a wait that began at `since` has lasted long enough for starvation mode.
    fn starved(since: Self::Since) -> bool;
}

struct Waiter<K> {
    waker: K,
    /// `true` if the waiter owns the mutex when it wakes.
    ///
    /// Written before the wake-up and read after it.
    handed_over: UnsafeCell<bool>,
}

/// The outcome of a wait in the queue.
enum QueueOutcome {
    /// The mutex was handed to the waiter.
    HandedOver,
    /// The waiter may compete for the mutex.
    Compete,
    /// There was no need to wait.
    NotNeeded,
    /// The wait was ended.
    Ended,
}

/// A mutex without data.
pub struct RawMutex<W: TimedWait> {
    state: AtomicU32,
    queue_lock: RawLock,
    queue: UnsafeCell<WaitList<Waiter<W::Waker>>>,
}

// SAFETY: `queue` is the only part that is not an atomic, and is touched only under `queue_lock`
// (I1); the wakers in it cross threads, hence the bound.
unsafe impl<W: TimedWait<Waker: Send>> Send for RawMutex<W> {}
// SAFETY: `queue` is touched only under `queue_lock` (I1), as for `Send`.
unsafe impl<W: TimedWait<Waker: Send>> Sync for RawMutex<W> {}

impl<W: TimedWait> fmt::Debug for RawMutex<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<W: TimedWait> Default for RawMutex<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: TimedWait> RawMutex<W> {
    const_fn! {
        /// Creates an unlocked mutex.
        pub fn new() -> Self {
            Self {
                state: AtomicU32::new(0),
                queue_lock: RawLock::new(),
                queue: UnsafeCell::new(WaitList::new()),
            }
        }
    }

    /// Acquires the mutex; blocks while another owner has it.
    #[inline]
    pub fn lock(&self) {
        // ORDERING P1: acquire pairs with the release in `unlock`.
        if let Err(seen) = self.state.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed) {
            self.lock_contended(&Unlimited::<W>::new(), seen);
        }
    }

    /// Acquires the mutex like [`lock`](Self::lock), unless `limit` is reached first.
    ///
    /// Returns `true` if the mutex was acquired.
    #[inline]
    pub fn lock_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_lock() || !limit.has_come() && self.lock_contended(limit, self.state.load(Ordering::Relaxed))
    }

    /// Acquires the mutex if it is free and is not about to be handed over.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_lock(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (LOCKED | STARVING) == 0 {
            // ORDERING P1: acquire pairs with the release in `unlock`.
            match self.state.compare_exchange_weak(state, state | LOCKED, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Releases the mutex; may wake one waiter.
    ///
    /// # Safety
    /// The mutex is locked, and the caller has the right to unlock it (on any thread).
    #[inline]
    pub unsafe fn unlock(&self) {
        // ORDERING P1, P2: release publishes what was done under the mutex.
        let before = self.state.fetch_sub(LOCKED, Ordering::Release);
        if before != LOCKED {
            self.unlock_contended(before - LOCKED);
        }
    }

    /// Acquires the mutex and returns `true`, or returns `false` because `limit` was reached.
    ///
    /// The caller has just `seen` the word.
    #[cold]
    fn lock_contended(&self, limit: &impl Limit<Waker = W::Waker>, mut seen: u32) -> bool {
        let mut woken = false;
        let mut since = None;
        while !self.compete(&mut woken, seen) {
            let first = since.is_none();
            let begun = *since.get_or_insert_with(W::now);
            match self.queue_up(limit, &mut woken, first, begun) {
                QueueOutcome::HandedOver => {
                    // The queue moves fast enough again if its oldest waiter has waited for a
                    // shorter time.
                    if !W::starved(begun) {
                        self.state.fetch_and(!STARVING, Ordering::Relaxed);
                    }
                    break;
                }
                QueueOutcome::Compete => {}
                // A thread that has not waited goes to the end of the queue next time, and does not
                // starve.
                QueueOutcome::NotNeeded => since = None,
                QueueOutcome::Ended if limit.has_come() => return false,
                QueueOutcome::Ended => {}
            }
            seen = self.state.load(Ordering::Relaxed);
        }
        true
    }

    /// Acquires the mutex and returns `true`, or returns `false` when it is time to queue.
    ///
    /// `woken` says whether the caller holds `WOKEN`.
    ///
    /// It first acts on `state`, the word as last seen, and does not load the word again before it
    /// has spun. Each load takes the cache line from the owner, and two CPUs that load continuously
    /// would pass the line to and fro for every attempt.
    fn compete(&self, woken: &mut bool, mut state: u32) -> bool {
        let mut round = 0;
        loop {
            if state & (LOCKED | STARVING) == 0 {
                let new = (state | LOCKED) & !flag(*woken, WOKEN);
                // ORDERING P1: acquire pairs with the release in `unlock`.
                match self.state.compare_exchange_weak(state, new, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(now) => state = now,
                }
                continue;
            }
            if state & STARVING != 0 || !W::spin(round) {
                return false;
            }
            round += 1;
            state = self.state.load(Ordering::Relaxed);
            if !*woken && state & (LOCKED | QUEUED | WOKEN | STARVING) == LOCKED | QUEUED {
                // The unlocker need not wake a waiter while this thread is awake anyway.
                let set = self.state.compare_exchange(state, state | WOKEN, Ordering::Relaxed, Ordering::Relaxed);
                *woken = set.is_ok();
                state = self.state.load(Ordering::Relaxed);
            }
        }
    }

    /// Waits in the queue, unless there is no need to.
    fn queue_up(
        &self,
        limit: &impl Limit<Waker = W::Waker>,
        woken: &mut bool,
        first: bool,
        since: W::Since,
    ) -> QueueOutcome {
        // Only the holder of `WOKEN` may begin starvation mode, and it clears that bit in the same
        // exchange. A waiter whose wait ended spuriously may also have waited too long, but another
        // thread may then be awake for the queue. Unlockers would leave the wake-up to that thread,
        // and it would queue up, since no thread may take the lock (I3).
        let starving = *woken && W::starved(since);
        let node = OnceCell::new();
        let enter = |waker| {
            let waiter = Waiter { waker, handed_over: UnsafeCell::new(false) };
            let node = NonNull::from(node.get_or_init(|| WaitNode::new(waiter)));
            self.queue_lock.lock();
            if !self.announce(*woken, starving) {
                // SAFETY: locked above.
                unsafe { self.queue_lock.unlock() };
                return None;
            }
            // SAFETY: the queue is ours under its lock (I1); the node is new, and stays (I4).
            self.queue
                .with_mut(|queue| unsafe { if first { (*queue).push_back(node) } else { (*queue).push_front(node) } });
            // SAFETY: locked above; a waker finds this wait through its node in the queue.
            Some(|| unsafe { self.queue_lock.unlock() })
        };
        let withdraw = || node.get().into_iter().for_each(|node| self.withdraw(node));
        // SAFETY: unlockers reserve the waiters that they wake; the commit step is one unlock.
        match unsafe { limit.wait(enter, withdraw) } {
            WaitOutcome::NotNeeded => return QueueOutcome::NotNeeded,
            WaitOutcome::Ended => {
                *woken = false;
                return QueueOutcome::Ended;
            }
            WaitOutcome::Served => {}
        }
        let waiter = &node.get().expect("raw_mutex: served without a node").value;
        // SAFETY: the waker wrote it before the wake-up and does not touch it afterwards (I4).
        let handed_over = waiter.handed_over.with(|handed_over| unsafe { *handed_over });
        *woken = !handed_over;
        if handed_over { QueueOutcome::HandedOver } else { QueueOutcome::Compete }
    }

    /// Records in the word that the caller queues up, and clears `WOKEN` if the caller holds it.
    ///
    /// Returns `false` if the mutex can be acquired instead. Called under the queue's lock.
    fn announce(&self, woken: bool, starving: bool) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & (LOCKED | STARVING) == 0 {
                return false;
            }
            let new = (state | QUEUED | flag(starving, STARVING)) & !flag(woken, WOKEN);
            match self.state.compare_exchange_weak(state, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// Removes from the queue the node of a wait that was ended, if no unlocker has removed it.
    fn withdraw(&self, node: &WaitNode<Waiter<W::Waker>>) {
        self.queue_lock.lock();
        self.queue.with_mut(|queue| {
            // SAFETY: the queue is ours under its lock (I1); the node is in it or in none.
            let emptied = unsafe { (*queue).remove(NonNull::from(node)) && (*queue).is_empty() };
            if emptied {
                self.state.fetch_and(!(QUEUED | STARVING), Ordering::Relaxed);
            }
        });
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
    }

    /// Wakes a waiter or hands the mutex over, after an unlock that has left the word in `state`.
    #[cold]
    fn unlock_contended(&self, state: u32) {
        if !wants_wake(state) {
            return;
        }
        self.queue_lock.lock();
        let mut state = self.state.load(Ordering::Relaxed);
        let given = loop {
            if !wants_wake(state) {
                // SAFETY: locked above.
                unsafe { self.queue_lock.unlock() };
                return;
            }
            let given = if state & STARVING != 0 { LOCKED } else { WOKEN };
            // ORDERING P2: acquire pairs with the release in `unlock`.
            match self.state.compare_exchange_weak(state, state | given, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break given,
                Err(now) => state = now,
            }
        };
        let waker = self.give(given);
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        if let Some(waker) = waker {
            // SAFETY: reserved under the lock that its owner's commit step released, by this call
            // alone.
            unsafe { waker.wake() };
        }
    }

    /// Gives `LOCKED` or `WOKEN`, which the caller has set, to the oldest waiter, or clears it
    /// again if there is no longer a waiter.
    ///
    /// Called under the queue's lock.
    fn give(&self, given: u32) -> Option<W::Waker> {
        self.queue.with_mut(|queue| {
            // SAFETY: the queue is ours under its lock (I1).
            let queue = unsafe { &mut *queue };
            // SAFETY: the queue is ours under its lock (I1).
            let next = unsafe { queue.reserve_front(|waiter| &waiter.waker) };
            if queue.is_empty() {
                let mode = QUEUED | STARVING;
                self.state.fetch_and(!(mode | flag(next.is_none(), given)), Ordering::Relaxed);
            }
            next.map(|node| {
                // SAFETY: the waiter stays in its frame until the wake-up (I4).
                let waiter = &unsafe { node.as_ref() }.value;
                // SAFETY: the waiter reads it only after the wake-up (I4).
                waiter.handed_over.with_mut(|place| unsafe { *place = given == LOCKED });
                waiter.waker.clone()
            })
        })
    }
}

/// Returns `true` if a waiter must be woken: there is one, and no awake thread will check the word
/// again.
#[inline]
fn wants_wake(state: u32) -> bool {
    state & (LOCKED | QUEUED | WOKEN) == QUEUED
}

/// Returns `bits` if `condition` holds, and otherwise 0.
fn flag(condition: bool, bits: u32) -> u32 {
    if condition { bits } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// A wait that is always too long; its thread does the work of the other threads while it
    /// waits.
    struct Late;

    #[derive(Clone, Default)]
    struct Awake(Rc<Cell<bool>>);

    impl Wake for Awake {
        fn prefetch(&self) {}

        unsafe fn reserve(&self) -> bool {
            true
        }

        unsafe fn wake(self) {
            self.0.set(true);
        }
    }

    // SAFETY: it does not return.
    unsafe impl Wait for Late {
        type Waker = Awake;

        fn new() -> Self {
            Self
        }

        fn waker(&self) -> Awake {
            Awake::default()
        }

        unsafe fn block(&self, _: impl FnOnce()) {
            unreachable!("all waits have a limit here")
        }

        fn spin(_: u32) -> bool {
            false
        }
    }

    impl TimedWait for Late {
        type Since = ();

        fn now() {}

        fn starved((): ()) -> bool {
            true
        }
    }

    /// The events during the waits of a newcomer, while a waiter is awake for the queue and the
    /// owner locks the mutex again and again.
    struct Script<'a> {
        mutex: &'a RawMutex<Late>,
        /// How the first wait ends spuriously.
        first: WaitOutcome,
        waits: Cell<u32>,
    }

    // SAFETY: it calls `withdraw`, or the waker was used.
    unsafe impl Limit for Script<'_> {
        type Waker = Awake;

        fn has_come(&self) -> bool {
            false
        }

        unsafe fn wait<C: FnOnce()>(
            &self,
            enter: impl FnOnce(Awake) -> Option<C>,
            withdraw: impl FnOnce(),
        ) -> WaitOutcome {
            let (mutex, waker) = (self.mutex, Awake::default());
            let unlock = || {
                // SAFETY: the script has locked it.
                unsafe { mutex.unlock() };
            };
            if self.waits.replace(self.waits.get() + 1) == 0 {
                let needless = self.first == WaitOutcome::NotNeeded;
                needless.then(unlock);
                let entered = enter(waker).map(|commit| commit()).is_some();
                assert_eq!(entered, !needless);
                if needless {
                    assert!(mutex.try_lock())
                } else {
                    withdraw()
                }
                return self.first;
            }
            enter(waker.clone()).expect("it is locked")();
            let state = mutex.state.load(Ordering::Relaxed);
            assert_eq!(state, LOCKED | QUEUED | WOKEN, "nobody but who is awake for the queue may end that (I3)");
            // The thread that is awake acquires the lock and releases it.
            unlock();
            assert!(!waker.0.get(), "one at a time");
            mutex.state.store(QUEUED | LOCKED, Ordering::Relaxed);
            unlock();
            assert!(waker.0.get(), "nobody is awake for the queue");
            WaitOutcome::Served
        }
    }

    #[test]
    fn one_that_is_late_does_not_starve_beside_one_that_is_awake() {
        for first in [WaitOutcome::NotNeeded, WaitOutcome::Ended] {
            let mutex = RawMutex::<Late>::new();
            mutex.state.store(LOCKED | WOKEN, Ordering::Relaxed);
            let script = Script { mutex: &mutex, first, waits: Cell::new(0) };
            assert!(mutex.lock_within(&script));
            assert_eq!((script.waits.get(), mutex.state.load(Ordering::Relaxed)), (2, LOCKED));
        }
    }
}
