//! A lock for many readers or one writer: Go's fairness, by direct hand-off.
//!
//! # Vocabulary
//! *Readers* share the lock, a *writer* has it alone. A *newcomer* has not waited yet; a *waiter* is in one of the two
//! queues. Who is *handed* the lock owns it before it wakes, and does not look again.
//!
//! # Protocol
//! The word has two bits and a count:
//!
//! * `WRITER`: a writer owns the lock. Set by the writer, or by whoever hands over to it.
//! * `QUEUED`: a queue is not empty. Newcomers then queue up themselves, readers too.
//! * the number of readers that own the lock, in steps of `READER`.
//!
//! As long as nobody queues, reading is one exchange to lock and one subtraction to unlock, and so is writing. Whoever
//! cannot have the lock spins for a moment, then takes the lock of the queues, looks again, sets `QUEUED`, links itself
//! and blocks. Unlock meets `QUEUED` in two ways, and hands the lock over in both:
//!
//! * The *last reader* leaves. A writer waits (I3); the oldest gets the lock.
//! * The *writer* leaves. All readers that wait get the lock, together; if none waits, the oldest writer.
//!
//! So a waiting writer stops new readers, and no stream of readers starves it. And readers that wait while a writer
//! writes go before the next writer, so no stream of writers starves them: both alternate, as in Go's `sync.RWMutex`.
//! Writers are served in the order in which they queued.
//!
//! A waiter whose wait is *ended* by its limit (a deadline, a context) takes its node out. If it was the last writer in the queue, and
//! readers have the lock, nothing stops other readers any more: it lets those in that wait.
//!
//! # The races
//! * *Wait against unlock.* A waiter sets `QUEUED` by an exchange that sees an owner, under the lock of the queues. The
//!   owner's unlock comes later in the order of the word, so it sees `QUEUED` and takes the lock of the queues, which
//!   it gets when the waiter is linked and asleep.
//! * *Unlock against newcomers.* Between the unlock that meets `QUEUED` and the hand-over the lock has no owner who
//!   works, but `QUEUED` keeps all others out, or `WRITER` does. So one party alone is to hand over, and it finds the
//!   word as it left it: a plain store does.
//! * *End against hand-over.* The claim decides, under the lock of the queues; a node whose wait has ended is dropped. Who
//!   lets readers in when the last writer gives up may do so before the last reader of the old ones gets to its
//!   hand-over. So a reader that comes to hand over and finds the lock owned, or nobody queued, leaves it at that: either somebody has done it
//!   in its place, or the last of those that were let in will.
//!
//! # Rejected
//! * Go's counter, from which a writer subtracts 2^30: readers that wait are counted like those that read, so a wake-up
//!   goes to a semaphore that may be ahead of its readers. It saves the retry of a failed exchange, and needs a mutex
//!   for the writers and two semaphores besides.
//! * Adding a reader before looking, and taking it back if a writer is there: one read-modify-write even among many
//!   readers. But then a writer may find readers that are none, and several parties may think that they are the last.
//! * Waking waiters to compete again, as the mutex does: a woken writer loses to every reader, so it must keep newcomers
//!   out anyway until it runs. The lock is free then and nobody has it: the hand-over wastes nothing more.
//! * One queue for both: readers between two writers would be let in one group at a time, and wait longer than in Go.
//!
//! # Invariants
//! * I1: `queues` is touched only under `queue_lock`; `QUEUED` changes only under it, and says that a queue is not empty.
//! * I2: `WRITER` excludes readers in the count.
//! * I3: `QUEUED` without `WRITER` implies that a writer is queued. It is set like this by a writer, or by the writer that lets
//!   readers go while another writer waits.
//! * I4: while `QUEUED` is set and no reader owns the lock, the word changes only under `queue_lock`, and somebody is on
//!   the way to hand over: the owning writer, or the reader that left last.
//! * I5: a waiter stays in its frame until the one wake-up by whoever reserved it, or until it has withdrawn.
//! * I6: whoever unlocks borrows the lock to the end of the call.
//!
//! # Orderings
//! * P1: the release in `unlock_write`, or in `hand_over` by a writer -> the acquire of the exchange in `take` and
//!   `take_or_queue`: what a writer did is visible to the next owners. Changes by readers in between are read-modify-writes, so
//!   they keep the release.
//! * P2: the release in `unlock_read` -> the same exchange by a writer, or the acquire load in `hand_over`: all that
//!   the readers did comes before what the writer does. The load reads what the last reader wrote, which continues the
//!   releases of the others. The wake-up carries it on to the writer.
//! * P3: the releases of P1 -> the acquire in `after_withdrawal`: what the last writer did is visible to the readers, by their wake-up.
//!
//! # See also
//! `sync/rwmutex.go` in Go; the models in `scheduler/models/tests/rwlock.rs`.

use std::cell::OnceCell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::lock::RawLock;
use super::wait::{Limit, Unlimited, Wait, Wake, Woken};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU64, Ordering, UnsafeCell, const_fn};

const WRITER: u64 = 1;
const QUEUED: u64 = 1 << 1;
/// One reader. The 62 bits of the count do not overflow, not even by guards that are leaked as fast as possible.
const READER: u64 = 1 << 2;

struct Queues<K> {
    readers: WaitList<K>,
    writers: WaitList<K>,
}

/// Who leaves the lock and hands it over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    LastReader,
    Writer,
}

/// A lock without the data. Readers block by `R`, writers by `W`.
pub struct RawRwLock<R: Wait, W: Wait<Waker = R::Waker>> {
    state: AtomicU64,
    queue_lock: RawLock,
    queues: UnsafeCell<Queues<W::Waker>>,
    _readers: PhantomData<fn() -> R>,
}

// SAFETY: `queues` is the one part that is not an atomic, and is touched only under `queue_lock` (I1); the wakers in it
// cross threads, hence the bound.
unsafe impl<R: Wait<Waker: Send>, W: Wait<Waker = R::Waker>> Send for RawRwLock<R, W> {}
// SAFETY: as above.
unsafe impl<R: Wait<Waker: Send>, W: Wait<Waker = R::Waker>> Sync for RawRwLock<R, W> {}

impl<R: Wait, W: Wait<Waker = R::Waker>> fmt::Debug for RawRwLock<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRwLock").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<R: Wait, W: Wait<Waker = R::Waker>> Default for RawRwLock<R, W> {
    fn default() -> Self {
        Self::new()
    }
}

/// The word after one more reader, if it may enter.
#[inline]
fn one_more_reader(state: u64) -> Option<u64> {
    (state & (WRITER | QUEUED) == 0).then_some(state + READER)
}

/// The word with a writer, if it may enter.
#[inline]
fn a_writer(state: u64) -> Option<u64> {
    (state == 0).then_some(WRITER)
}

impl<R: Wait, W: Wait<Waker = R::Waker>> RawRwLock<R, W> {
    const_fn! {
        /// An unlocked lock.
        pub fn new() -> Self {
            Self {
                state: AtomicU64::new(0),
                queue_lock: RawLock::new(),
                queues: UnsafeCell::new(Queues {
                    readers: WaitList::new(),
                    writers: WaitList::new(),
                }),
                _readers: PhantomData,
            }
        }
    }

    /// Takes the lock together with other readers; blocks while a writer has it or waits for it.
    #[inline]
    pub fn read(&self) {
        if !self.take(one_more_reader) {
            self.read_contended(&Unlimited::<R>::new());
        }
    }

    /// As [`read`](Self::read), unless `limit` comes before the caller's turn; says whether the lock was taken.
    #[inline]
    pub fn read_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_read() || !limit.has_come() && self.read_contended(limit)
    }

    /// Takes the lock together with other readers, if no writer has it or waits for it.
    #[inline]
    pub fn try_read(&self) -> bool {
        self.take(one_more_reader)
    }

    /// Gives the lock of one reader back; the last one may wake a writer.
    ///
    /// # Safety
    /// The lock is locked for reading, and the caller has the right to unlock it once (on whatever thread).
    #[inline]
    pub unsafe fn unlock_read(&self) {
        // ORDERING P2: release: what was read is done with.
        if self.state.fetch_sub(READER, Ordering::Release) == READER | QUEUED {
            self.hand_over(Leaving::LastReader);
        }
    }

    /// Takes the lock alone; blocks while others have it.
    #[inline]
    pub fn write(&self) {
        if !self.take(a_writer) {
            self.write_contended(&Unlimited::<W>::new());
        }
    }

    /// As [`write`](Self::write), unless `limit` comes before the caller's turn; says whether the lock was taken.
    #[inline]
    pub fn write_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_write() || !limit.has_come() && self.write_contended(limit)
    }

    /// Takes the lock alone, if nobody has it or waits for it.
    #[inline]
    pub fn try_write(&self) -> bool {
        self.take(a_writer)
    }

    /// Gives the lock of a writer back; may wake the readers that wait, or one writer.
    ///
    /// # Safety
    /// The lock is locked for writing, and the caller has the right to unlock it (on whatever thread).
    #[inline]
    pub unsafe fn unlock_write(&self) {
        // ORDERING P1: release publishes what was done under the lock.
        if self.state.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.hand_over(Leaving::Writer);
        }
    }

    /// Enters as `new` says; false if that says no.
    #[inline]
    fn take(&self, new: impl Fn(u64) -> Option<u64>) -> bool {
        // A free lock is the best guess: if it is wrong, the exchange has fetched the cache line for the next one.
        let mut state = 0;
        while let Some(new) = new(state) {
            // ORDERING P1, P2: acquire pairs with the releases in the unlocks.
            match self.state.compare_exchange_weak(state, new, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn read_contended(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.enter_contended::<R>(limit, one_more_reader, |queues| &mut queues.readers)
    }

    #[cold]
    fn write_contended(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.enter_contended::<W>(limit, a_writer, |queues| &mut queues.writers)
    }

    /// Enters as `new` says, spinning as `K` and waiting in `queue` for it; false if `limit` comes before.
    fn enter_contended<K: Wait>(
        &self,
        limit: &impl Limit<Waker = W::Waker>,
        new: impl Fn(u64) -> Option<u64>,
        queue: impl Fn(&mut Queues<W::Waker>) -> &mut WaitList<W::Waker>,
    ) -> bool {
        let mut round = 0;
        // Once somebody queues, the lock is handed over, and looking does not help.
        while self.state.load(Ordering::Relaxed) & QUEUED == 0 && K::spin(round) {
            if self.take(&new) {
                return true;
            }
            round += 1;
        }
        while !self.queue_up(limit, &new, &queue) {
            if limit.has_come() {
                return false;
            }
        }
        true
    }

    /// Enters as `new` says, waiting in `queue` if need be; false if the wait was ended.
    fn queue_up(
        &self,
        limit: &impl Limit<Waker = W::Waker>,
        new: impl Fn(u64) -> Option<u64>,
        queue: impl Fn(&mut Queues<W::Waker>) -> &mut WaitList<W::Waker>,
    ) -> bool {
        let node = OnceCell::new();
        let enter = |waker| {
            let node = NonNull::from(node.get_or_init(|| WaitNode::new(waker)));
            self.queue_lock.lock();
            if self.take_or_queue(&new) {
                // SAFETY: locked above.
                unsafe { self.queue_lock.unlock() };
                return None;
            }
            // SAFETY: the queues are ours under their lock (I1); the node is new, and stays (I5).
            self.queues.with_mut(|queues| unsafe { queue(&mut *queues).push_back(node) });
            // SAFETY: locked above; the node in the queue is the way by which this wait ends.
            Some(|| unsafe { self.queue_lock.unlock() })
        };
        let withdraw = || node.get().into_iter().for_each(|node| self.withdraw(node, &queue));
        // SAFETY: who hands over reserves whom it wakes; the commit step is one unlock.
        unsafe { limit.wait(enter, withdraw) != Woken::Ended }
    }

    /// Takes the node of a wait that was ended out of its queue, if nobody has who handed over.
    fn withdraw(&self, node: &WaitNode<W::Waker>, queue: impl Fn(&mut Queues<W::Waker>) -> &mut WaitList<W::Waker>) {
        self.queue_lock.lock();
        let mut let_in = WaitList::new();
        self.queues.with_mut(|queues| {
            // SAFETY: the queues are ours under their lock (I1).
            let queues = unsafe { &mut *queues };
            // SAFETY: the node is in this queue or in none.
            if unsafe { queue(queues).remove(NonNull::from(node)) } {
                let_in = self.after_withdrawal(queues);
            }
        });
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        // SAFETY: reserved under the lock that their owners' commit steps released, by this call alone.
        unsafe { let_in.wake_all(|waker| waker) };
    }

    /// Makes the word true again after somebody has left the queues, and takes out who is to own the lock now. Under their lock.
    fn after_withdrawal(&self, queues: &mut Queues<W::Waker>) -> WaitList<W::Waker> {
        let state = self.state.load(Ordering::Relaxed);
        if state & WRITER != 0 {
            if queues.are_empty() {
                self.state.fetch_and(!QUEUED, Ordering::Relaxed);
            }
        } else if queues.writers.is_empty() {
            let (readers, n) = reserve_all(&mut queues.readers);
            // ORDERING P3: acquire gathers what the last writer released. With `QUEUED` set there is something to subtract.
            self.state.fetch_add((n * READER).wrapping_sub(QUEUED), Ordering::Acquire);
            return readers;
        }
        WaitList::new()
    }

    /// Enters as `new` says (true), or makes sure that an unlock will look into the queues (false). Under their lock.
    fn take_or_queue(&self, new: impl Fn(u64) -> Option<u64>) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let taken = new(state);
            let after = taken.unwrap_or(state | QUEUED);
            // ORDERING P1, P2: acquire pairs with the releases in the unlocks.
            match self.state.compare_exchange_weak(state, after, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return taken.is_some(),
                Err(now) => state = now,
            }
        }
    }

    /// Makes others the owners, and wakes them. The caller has left the lock, and is the one to do this (I4).
    #[cold]
    fn hand_over(&self, leaving: Leaving) {
        self.queue_lock.lock();
        // ORDERING P2: acquire gathers the releases of the readers.
        let state = self.state.load(Ordering::Acquire);
        if leaving == Leaving::LastReader && state != QUEUED {
            // SAFETY: locked above.
            return unsafe { self.queue_lock.unlock() };
        }
        debug_assert_eq!(state & !QUEUED, if leaving == Leaving::Writer { WRITER } else { 0 }, "raw_rwlock: I4");
        let (owners, new) = self.queues.with_mut(|queues| {
            // SAFETY: the queues are ours under their lock (I1).
            let queues = unsafe { &mut *queues };
            let (owners, held) = queues.next_owners(leaving);
            (owners, held | if queues.are_empty() { 0 } else { QUEUED })
        });
        // ORDERING P1: release; readers that come later see what the writer did, who has no other store to tell them.
        self.state.store(new, Ordering::Release);
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        // SAFETY: as in `withdraw`.
        unsafe { owners.wake_all(|waker| waker) };
    }
}

/// Takes the oldest waiter out whose wait has not ended.
fn reserve_one<K: Wake>(queue: &mut WaitList<K>) -> Option<NonNull<WaitNode<K>>> {
    // SAFETY: taken out here, and the owner stays in its frame until it is woken, or gets the lock to withdraw (I5).
    std::iter::from_fn(|| queue.pop_front()).find(|node| unsafe { node.as_ref().value.reserve() })
}

/// Takes all of them out, and counts them.
fn reserve_all<K: Wake>(queue: &mut WaitList<K>) -> (WaitList<K>, u64) {
    let (mut reserved, mut n) = (WaitList::new(), 0);
    while let Some(node) = reserve_one(queue) {
        // SAFETY: the node is in no list now, and its owner stays until the wake-up (I5).
        unsafe { reserved.push_back(node) };
        n += 1;
    }
    (reserved, n)
}

impl<K: Wake> Queues<K> {
    /// Whether nobody waits.
    fn are_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }

    /// Takes those out who are to own the lock after the one who leaves, with the word that says so.
    fn next_owners(&mut self, leaving: Leaving) -> (WaitList<K>, u64) {
        if leaving == Leaving::Writer {
            let (readers, n) = reserve_all(&mut self.readers);
            if n > 0 {
                return (readers, n * READER);
            }
        }
        if let Some(writer) = reserve_one(&mut self.writers) {
            let mut owners = WaitList::new();
            // SAFETY: the node is in no list now, and its owner stays until the wake-up (I5).
            unsafe { owners.push_back(writer) };
            return (owners, WRITER);
        }
        // Readers may be here because of a writer that has given up.
        let (readers, n) = reserve_all(&mut self.readers);
        (readers, n * READER)
    }
}
