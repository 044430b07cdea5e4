//! A lock for many readers or one writer: Go's fairness, by direct hand-off.
//!
//! # Vocabulary
//! *Readers* share the lock, a *writer* has it alone. A *newcomer* has not waited yet; a *waiter* is in one of the two
//! queues. Who is *handed* the lock owns it before it wakes, and does not look again.
//!
//! # Protocol
//! The word has three bits and a count:
//!
//! * `WRITER`: a writer owns the lock. Set by the writer, or by whoever hands over to it.
//! * `QUEUED`: a queue is not empty. Newcomers then queue up themselves, readers too.
//! * `WRITTEN`: the lock is to be handed over, and the last owner was a writer.
//! * the number of readers, in steps of `READER`: of those that own the lock, and of *guests*.
//!
//! As long as nobody queues, reading is one addition to lock and one subtraction to unlock, however many read at the
//! same time. A reader that meets `WRITER` or `QUEUED` was only a guest: it subtracts itself again. Writing is one
//! exchange each. Whoever cannot have the lock spins for a moment, then takes the lock of the queues, looks again, sets
//! `QUEUED`, links itself and blocks.
//!
//! The lock is *orphaned* if it has neither a writer nor readers, and `QUEUED` is set. Whoever makes it so, by the last
//! subtraction or as a writer that leaves, hands it over, under the lock of the queues:
//!
//! * After readers the oldest writer gets it.
//! * After a writer all readers that wait get it, together; if none waits, the oldest writer.
//!
//! So a waiting writer stops new readers, and no stream of readers starves it. And readers that wait while a writer
//! writes go before the next writer, so no stream of writers starves them: both alternate, as in Go's `sync.RWMutex`.
//! Writers are served in the order in which they queued.
//!
//! A waiter whose wait is *ended* by its limit (a deadline, a context) takes its node out. If it was the last writer in
//! the queue, and no writer has the lock, nothing stops readers any more: it lets those in that wait.
//!
//! # The races
//! * *Wait against unlock.* A waiter sets `QUEUED` by an exchange that sees an owner or a guest, under the lock of the
//!   queues. Their leaving comes later in the order of the word, so it sees `QUEUED` and takes the lock of the queues,
//!   which it gets when the waiter is linked and asleep.
//! * *Several make it an orphan.* A guest may come and go while somebody is on the way to hand over, and then comes to
//!   do so as well; and who gives up its wait may have let readers in. Under the lock of the queues each looks whether
//!   the lock is still orphaned. If it is not, another has done it, or somebody is in the count who will come: the last
//!   one of them.
//! * *Hand-over against guests.* They add and subtract while somebody hands over. So it adds and subtracts too, and never stores.
//!   No newcomer becomes an owner meanwhile: `QUEUED` keeps readers out, and a writer's exchange expects the word to be 0.
//! * *End against hand-over.* The claim decides, under the lock of the queues; a node whose wait has ended is dropped.
//!
//! # Rejected
//! * An exchange to enter, which needs no guests and is easier to argue. Where several CPUs read, the line goes back
//!   and forth for each attempt that fails: 70 to 110 ns for 1 % writes on two CPUs, against 28 to 90 with the
//!   addition.
//! * Go's counter, from which a writer subtracts 2^30: readers that wait are counted like those that read, so a wake-up
//!   goes to a semaphore that may be ahead of its readers. It needs a mutex for the writers and two semaphores besides.
//! * Waking waiters to compete again, as the mutex does: a woken writer loses to every reader, so it must keep newcomers
//!   out anyway until it runs. The lock is free then and nobody has it: the hand-over wastes nothing more.
//! * One queue for both: readers between two writers would be let in one group at a time, and wait longer than in Go.
//!
//! # Invariants
//! * I1: `queues` is touched only under `queue_lock`; `QUEUED` changes only under it, and says that a queue is not empty.
//! * I2: while `WRITER` or `QUEUED` is set nobody becomes an owner but by a hand-over; while `WRITER` is set all
//!   readers in the count are guests.
//! * I3: `WRITTEN` is set only by a writer that leaves the lock with `QUEUED`, and goes with the next change of who is queued.
//! * I4: while the lock is orphaned, somebody is on the way to hand it over.
//! * I5: a waiter stays in its frame until the one wake-up by whoever reserved it, or until it has withdrawn.
//! * I6: whoever unlocks borrows the lock to the end of the call.
//!
//! # Orderings
//! All changes are read-modify-writes, so each continues the releases before it.
//! * P1: the release in `unlock_write` -> the acquire by which the next owner enters, in `enter_as_reader`, `take` or
//!   `take_or_queue`, or by which somebody hands over to it, in `hand_over` or `after_withdrawal`: then the wake-up
//!   carries it on.
//! * P2: the release in `unlock_read` -> the same, by or for a writer: all that the readers did comes before what the
//!   writer does.
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
const WRITTEN: u64 = 1 << 2;
/// One reader. The 61 bits of the count do not overflow, not even by guards that are leaked as fast as possible.
const READER: u64 = 1 << 3;

struct Queues<K> {
    readers: WaitList<K>,
    writers: WaitList<K>,
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

/// Whether somebody is to hand the lock over.
#[inline]
fn is_orphaned(state: u64) -> bool {
    state & !WRITTEN == QUEUED
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
        if !self.enter_as_reader() {
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
        self.enter_as_reader()
    }

    /// Adds a reader; if it is only a guest, it leaves again (false).
    #[inline]
    fn enter_as_reader(&self) -> bool {
        // ORDERING P1: acquire pairs with the release in `unlock_write`.
        let entered = self.state.fetch_add(READER, Ordering::Acquire) & (WRITER | QUEUED) == 0;
        if !entered {
            // SAFETY: counted above.
            unsafe { self.unlock_read() };
        }
        entered
    }

    /// Gives the lock of one reader back; the last one may wake a writer.
    ///
    /// # Safety
    /// The lock is locked for reading, and the caller has the right to unlock it once (on whatever thread).
    #[inline]
    pub unsafe fn unlock_read(&self) {
        // ORDERING P2: release: what was read is done with.
        if is_orphaned(self.state.fetch_sub(READER, Ordering::Release) - READER) {
            self.hand_over();
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
        if let Err(state) = self.state.compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed) {
            self.unlock_write_contended(state);
        }
    }

    #[cold]
    fn unlock_write_contended(&self, mut state: u64) {
        loop {
            let queued = state & QUEUED != 0;
            let new = state - WRITER + if queued { WRITTEN } else { 0 };
            // ORDERING P1: as in `unlock_write`.
            match self.state.compare_exchange_weak(state, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if queued => return self.hand_over(),
                Ok(_) => return,
                Err(now) => state = now,
            }
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
        // ORDERING P1: acquire, for those that are let in. `WRITER` may go meanwhile; its owner hands over if `QUEUED` stays.
        let state = self.state.load(Ordering::Acquire);
        if state & WRITER != 0 {
            if queues.are_empty() {
                self.state.fetch_and(!(QUEUED | WRITTEN), Ordering::Relaxed);
            }
        } else if queues.writers.is_empty() {
            let (readers, n) = reserve_all(&mut queues.readers);
            self.change(state & (QUEUED | WRITTEN), n * READER);
            return readers;
        }
        WaitList::new()
    }

    /// Takes bits away that are set, and adds something. Under the lock of the queues, while no newcomer becomes an owner (I2).
    fn change(&self, without: u64, with: u64) {
        self.state.fetch_add(with.wrapping_sub(without), Ordering::Relaxed);
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

    /// Makes others the owners, and wakes them, if the lock is still orphaned.
    #[cold]
    fn hand_over(&self) {
        self.queue_lock.lock();
        // ORDERING P1, P2: acquire gathers the releases of the writer or the readers before.
        let state = self.state.load(Ordering::Acquire);
        if !is_orphaned(state) {
            // SAFETY: locked above.
            return unsafe { self.queue_lock.unlock() };
        }
        let owners = self.queues.with_mut(|queues| {
            // SAFETY: the queues are ours under their lock (I1).
            let queues = unsafe { &mut *queues };
            let (owners, held) = queues.next_owners(state & WRITTEN != 0);
            self.change(state & WRITTEN | if queues.are_empty() { QUEUED } else { 0 }, held);
            owners
        });
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

    /// Takes those out who are to own the lock, after a writer or after readers, with the part of the word that says so.
    fn next_owners(&mut self, written: bool) -> (WaitList<K>, u64) {
        if written {
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
