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
//! # The races
//! * *Wait against unlock.* A waiter sets `QUEUED` by an exchange that sees an owner, under the lock of the queues. The
//!   owner's unlock comes later in the order of the word, so it sees `QUEUED` and takes the lock of the queues, which
//!   it gets when the waiter is linked and asleep.
//! * *Unlock against newcomers.* Between the unlock that meets `QUEUED` and the hand-over the lock has no owner who
//!   works, but `QUEUED` keeps all others out, or `WRITER` does. So one party alone is to hand over, and it finds the
//!   word as it left it: a plain store does.
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
//! * I4: while `QUEUED` is set and no reader owns the lock, only the one who is to hand over changes the word, under
//!   `queue_lock`: the owning writer, or the reader that left last.
//! * I5: a waiter stays in its frame until the one wake-up by whoever took its node out.
//! * I6: whoever unlocks borrows the lock to the end of the call.
//!
//! # Orderings
//! * P1: the release in `unlock_write`, or in `hand_over` by a writer -> the acquire of the exchange in `take` and
//!   `take_or_queue`: what a writer did is visible to the next owners. Changes by readers in between are read-modify-writes, so
//!   they keep the release.
//! * P2: the release in `unlock_read` -> the same exchange by a writer, or the acquire load in `hand_over`: all that
//!   the readers did comes before what the writer does. The load reads what the last reader wrote, which continues the
//!   releases of the others. The wake-up carries it on to the writer.
//!
//! # See also
//! `sync/rwmutex.go` in Go; the models in `scheduler/models/tests/rwlock.rs`.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ptr::NonNull;

use super::lock::RawLock;
use super::wait::Wait;
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU64, Ordering, UnsafeCell, const_fn};

const WRITER: u64 = 1;
const QUEUED: u64 = 1 << 1;
/// One reader. The 62 bits of the count do not overflow, not even by guards that are leaked as fast as possible.
const READER: u64 = 1 << 2;

struct Queues<K> {
    readers: WaitList<K>,
    /// The length of `readers`.
    waiting_readers: u64,
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
                    waiting_readers: 0,
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
            self.read_contended();
        }
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
            self.write_contended();
        }
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
    fn read_contended(&self) {
        self.enter_contended::<R>(one_more_reader, |queues, node| {
            queues.waiting_readers += 1;
            // SAFETY: the caller's contract is that of `push_back`.
            unsafe { queues.readers.push_back(node) };
        });
    }

    #[cold]
    fn write_contended(&self) {
        self.enter_contended::<W>(a_writer, |queues, node| {
            // SAFETY: the caller's contract is that of `push_back`.
            unsafe { queues.writers.push_back(node) };
        });
    }

    /// Enters as `new` says, waiting by `K` for it. `link` puts the caller's node into its queue.
    fn enter_contended<K: Wait<Waker = W::Waker>>(
        &self,
        new: impl Fn(u64) -> Option<u64>,
        link: impl FnOnce(&mut Queues<W::Waker>, NonNull<WaitNode<W::Waker>>),
    ) {
        let mut round = 0;
        // Once somebody queues, the lock is handed over, and looking does not help.
        while self.state.load(Ordering::Relaxed) & QUEUED == 0 && K::spin(round) {
            if self.take(&new) {
                return;
            }
            round += 1;
        }
        let wait = K::new();
        let node = WaitNode::new(wait.waker());
        self.queue_lock.lock();
        if self.take_or_queue(new) {
            // SAFETY: locked above.
            return unsafe { self.queue_lock.unlock() };
        }
        // SAFETY: the queues are ours under their lock (I1); the node is new, and stays until `block` returns (I5).
        self.queues.with_mut(|queues| link(unsafe { &mut *queues }, NonNull::from(&node)));
        // SAFETY: locked above; the node in the queue is the way by which this wait ends.
        wait.block(|| unsafe { self.queue_lock.unlock() });
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
        debug_assert_eq!(state, if leaving == Leaving::Writer { WRITER | QUEUED } else { QUEUED }, "raw_rwlock: I4");
        let (mut owners, new) = self.queues.with_mut(|queues| {
            // SAFETY: the queues are ours under their lock (I1).
            let queues = unsafe { &mut *queues };
            let (owners, held) = queues.next_owners(leaving);
            (owners, held | if queues.are_empty() { 0 } else { QUEUED })
        });
        // ORDERING P1: release; readers that come later see what the writer did, who has no other store to tell them.
        self.state.store(new, Ordering::Release);
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        while let Some(node) = owners.pop_front() {
            // SAFETY: the waiter stays in its frame until its wake-up (I5), and so do those that are still in the list.
            let waker = unsafe { node.as_ref() }.value.clone();
            // SAFETY: the node was found under the lock that its owner's `commit` released, and nobody else has it now.
            unsafe { W::wake(waker) };
        }
    }
}

impl<K> Queues<K> {
    /// Whether nobody waits.
    fn are_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }

    /// Takes those out who are to own the lock after the one who leaves, with the word that says so.
    fn next_owners(&mut self, leaving: Leaving) -> (WaitList<K>, u64) {
        if leaving == Leaving::Writer && self.waiting_readers > 0 {
            return (mem::take(&mut self.readers), mem::take(&mut self.waiting_readers) * READER);
        }
        let writer = self.writers.pop_front().expect("raw_rwlock: the word says QUEUED, and no writer is");
        let mut owners = WaitList::new();
        // SAFETY: the node is in no list now, and its owner stays until the wake-up (I5).
        unsafe { owners.push_back(writer) };
        (owners, WRITER)
    }
}
