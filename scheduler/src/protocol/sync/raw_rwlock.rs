//! A lock for many readers or one writer, in which one reader may become the writer: Go's fairness,
//! by direct hand-off.
//!
//! # Vocabulary
//! *Readers* share the lock, a *writer* has it alone. One of the readers may be *upgradable*: it
//! shares the lock with the plain readers, and may *upgrade*, that is, become the writer without
//! releasing the lock in between. A *newcomer* has not waited yet; a *waiter* is in a queue. A
//! waiter that is *handed* the lock owns it before it wakes, and does not check again.
//!
//! # Protocol
//! The word has five bits and a count:
//!
//! * `WRITER`: a writer owns the lock. Set by the writer, or by the thread that hands over to it.
//! * `QUEUED`: a reader, a writer, or an upgrade waits. All newcomers then queue up, including
//!   readers.
//! * `WRITTEN`: the lock must be handed over, and the last owner was a writer.
//! * `UPGRADABLE`: the upgradable reader owns the lock. It is not in the count.
//! * `UPGRADABLE_QUEUED`: a waiter wants to be the upgradable reader. It does not stop plain
//!   readers.
//! * the number of readers, in steps of `READER`. It includes both the readers that own the lock
//!   and *guests*.
//!
//! As long as there are no waiters, a reader locks with one addition and unlocks with one
//! subtraction, no matter how many other readers there are. A reader that finds `WRITER` or
//! `QUEUED` set was only a guest, and subtracts itself again. A writer locks with one exchange and
//! unlocks with another, and becoming the upgradable reader also takes one exchange. A newcomer
//! that cannot have the lock spins for a moment, then takes the lock of the queues, checks again,
//! sets the bit of its queue, links itself, and blocks.
//!
//! The lock is *orphaned* if it has neither a writer nor readers of any kind, and `QUEUED` is set.
//! The thread that orphans it, by the last subtraction or as a writer that leaves, hands it over
//! under the lock of the queues:
//!
//! * After readers an upgrade comes first, and then the oldest writer.
//! * After a writer all waiting readers get the lock together, along with the oldest waiter for the
//!   upgradable place. If there are none, the oldest writer gets it.
//!
//! So a waiting writer stops new readers, and no stream of readers starves it. Readers that wait
//! while a writer writes go before the next writer, so no stream of writers starves them. Readers
//! and writers thus alternate, as in Go's `sync.RWMutex`. Writers are served in the order in which
//! they queued, and so are waiters for the upgradable place.
//!
//! An upgradable reader may turn out to be a writer, and so may its successor. So while a writer
//! waits, only one upgradable reader is admitted before it (`Queues::upgradable_was_last`): the two
//! kinds alternate.
//!
//! A waiter whose wait is *ended* by its limit (a deadline, a context) removes its node. If it was
//! the last waiter that kept readers out, and no writer has the lock, it admits the waiting
//! readers.
//!
//! # Upgrade and downgrade
//! An upgradable reader that is alone exchanges `UPGRADABLE` for `WRITER`. If there are other
//! readers, it exchanges it for `QUEUED` and waits in a queue of its own: from here on it does not
//! own the lock, like other waiters, but it is the first to get it after the readers. So no writer
//! comes in between, and what it has read stays true. If its wait is ended, it becomes the
//! upgradable reader again, whether it removes its node itself or a hand-over finds the node and
//! cannot reserve the waiter.
//!
//! A writer that downgrades leaves the word with a reader in place of `WRITER`, in one step. If
//! there are waiters, it does so under the lock of the queues, and the waiting readers are admitted
//! along with it, as after any writer.
//!
//! # The races
//! * *Wait against unlock.* A waiter sets the bit of its queue under the lock of the queues, by an
//!   exchange that sees an owner or a guest. That owner or guest leaves later in the order of the
//!   word, so it sees the bit and takes the lock of the queues. It gets that lock only when the
//!   waiter is linked and asleep.
//! * *Several threads orphan the lock.* A guest may come and go while another thread is on the way
//!   to hand over, and then the guest also starts a hand-over. A waiter that stops waiting may also
//!   have admitted readers. Under the lock of the queues each thread checks the word once more
//!   (`hand_over_locked`). If there is nothing to hand over, either another thread has done it, or
//!   a thread that is still in the count will: the last one to leave.
//! * *Hand-over against guests.* Guests add and subtract while another thread hands over. So that
//!   thread also adds and subtracts, and never stores. No newcomer becomes an owner during the
//!   hand-over: `QUEUED` keeps readers out, and a writer's exchange expects the word to be 0. If
//!   only `UPGRADABLE_QUEUED` is set, readers may enter. This is harmless, because only the place
//!   of the upgradable reader is handed over in that case.
//! * *Hand-over against upgrade.* A hand-over that finds an upgradable reader may admit plain
//!   readers along with it. So while `QUEUED` is set, an upgrade is done under the lock of the
//!   queues.
//! * *Hand-over against the upgradable reader's leaving.* The upgradable reader may leave between a
//!   hand-over's check of the word and the change that clears `QUEUED`. So it begins a hand-over
//!   whenever `UPGRADABLE_QUEUED` is set, even if a writer seems to be next.
//! * *End against hand-over.* The claim decides, under the lock of the queues; a node whose wait
//!   has ended is dropped.
//!
//! # Try-operations
//! They are linearizable: they fail only if, at some instant during the call, another thread owned
//! the lock, or had begun to wait for it and had not returned. So `try_read` must not be a guest,
//! because a guest would look like an owner to a `try_write` and then leave as if it had never been
//! there. Instead, `try_read` enters by an exchange, which leaves no trace if it fails. (In `read`,
//! a guest is about to wait.) For the same reason a `try_upgrade` that finds `QUEUED` set checks
//! again under the lock of the queues, where it may enter.
//!
//! # Rejected
//! * An exchange for `read` to enter, which needs no guests and is easier to prove correct. When
//!   several CPUs read, the cache line moves back and forth at each failed attempt: 70 to 110 ns
//!   with 1 % writes on two CPUs, against 28 to 90 with the addition.
//! * Go's counter, from which a writer subtracts 2^30: waiting readers are counted like active
//!   ones, so a wake-up goes to a semaphore on which its readers may not be waiting yet. This
//!   design also needs a mutex for the writers and two semaphores.
//! * Waking waiters to compete again, as the mutex does: a woken writer loses to every reader, so
//!   it would have to keep newcomers out until it runs anyway. During that time the lock would be
//!   free and have no owner, so a hand-over wastes no more time.
//! * One queue for both: readers between two writers would be admitted one group at a time, and
//!   would wait longer than in Go.
//! * A separate mutex for the upgradable readers: if a thread takes the mutex and then the lock, a
//!   try-operation that gets the first but not the second makes others fail for no reason.
//! * `QUEUED` for waiters that want to be upgradable: each of them would stop all plain readers,
//!   although it will share the lock with them.
//!
//! # Invariants
//! * I1: `queues` is touched only under `queue_lock`; `QUEUED` and `UPGRADABLE_QUEUED` change only
//!   under it, and say that the corresponding queues are not empty.
//! * I2: while `WRITER` or `QUEUED` is set, only a hand-over makes a new owner; while `WRITER` is
//!   set, all readers in the count are guests, and `UPGRADABLE` is not set.
//! * I3: `WRITTEN` is set only by a writer that leaves the lock while there are waiters, and is
//!   cleared when the lock is handed over or there are no more waiters.
//! * I4: while the lock is orphaned, a thread is on the way to hand it over. The same holds while
//!   `UPGRADABLE_QUEUED` is set but none of `UPGRADABLE`, `QUEUED`, and `WRITER` is.
//! * I5: a waiter stays in its frame until its only wake-up, by the thread that reserved it, or
//!   until it has withdrawn.
//! * I6: an unlocker borrows the lock until the end of the call.
//! * I7: while an upgrade waits, only it becomes the writer or the upgradable reader.
//!
//! # Orderings
//! All changes are read-modify-writes, so each continues the release sequences before it.
//! * P1: the release in `unlock_write` and `downgrade` -> the acquire by which the next owner
//!   enters (in `enter_as_reader`, `change_until`, or `take_or_queue`), or by which another thread
//!   hands over to it (in `hand_over_locked`). In the latter case the wake-up passes this
//!   visibility on to the owner.
//! * P2: the release in `unlock_read`, `unlock_upgradable`, and `downgrade_upgradable` -> the same
//!   acquire, by or for a writer or an upgradable reader: everything that the readers did comes
//!   before what the writer does.
//!
//! # See also
//! `sync/rwmutex.go` in Go; the models in `scheduler/models/tests/rwlock.rs`.

use std::cell::OnceCell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::env::{Limit, Unlimited, Wait, WaitOutcome};
use super::wait_list::{WaitList, WaitNode};
use crate::primitive::{AtomicU64, Ordering, UnsafeCell, const_fn};
use crate::protocol::lock::RawLock;

mod queues;

use queues::{
    QUEUED, Queues, READER, Reader, Role, UPGRADABLE, UPGRADABLE_QUEUED, Upgradable, Upgrade, WRITER, WRITTEN, Writer,
    is_orphaned,
};

/// A lock without data.
///
/// All readers, upgradable or not, block by `R`; writers and upgrades block by `W`.
pub struct RawRwLock<R: Wait, W: Wait<Waker = R::Waker>> {
    state: AtomicU64,
    queue_lock: RawLock,
    queues: UnsafeCell<Queues<W::Waker>>,
    _readers: PhantomData<fn() -> R>,
}

// SAFETY: `queues` is the only part that is not an atomic, and is touched only under `queue_lock`
// (I1); the wakers in it cross threads, hence the bound.
unsafe impl<R: Wait<Waker: Send>, W: Wait<Waker = R::Waker>> Send for RawRwLock<R, W> {}
// SAFETY: `queues` is touched only under `queue_lock` (I1), as for `Send`.
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

impl<R: Wait, W: Wait<Waker = R::Waker>> RawRwLock<R, W> {
    const_fn! {
        /// Creates an unlocked lock.
        pub fn new() -> Self {
            Self {
                state: AtomicU64::new(0),
                queue_lock: RawLock::new(),
                queues: UnsafeCell::new(Queues::new()),
                _readers: PhantomData,
            }
        }
    }

    /// Acquires the lock together with other readers; blocks while a writer has it or waits for it.
    #[inline]
    pub fn read(&self) {
        if !self.enter_as_reader() {
            self.enter_contended::<R, Reader>(&Unlimited::<R>::new());
        }
    }

    /// Acquires like [`read`](Self::read), unless `limit` is reached first.
    ///
    /// Returns `true` if the lock was acquired.
    #[inline]
    pub fn read_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_read() || !limit.has_come() && self.enter_contended::<R, Reader>(limit)
    }

    /// Acquires the lock together with other readers if no writer has it or waits for it.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_read(&self) -> bool {
        // The word is not guessed, because other readers may well have the lock.
        self.change_until(self.state.load(Ordering::Relaxed), Reader::enter).is_ok()
    }

    /// Adds a reader.
    ///
    /// Returns `false` if the reader was only a guest, and has left again.
    #[inline]
    fn enter_as_reader(&self) -> bool {
        // ORDERING P1: acquire pairs with the releases in `unlock_write` and `downgrade`.
        let entered = self.state.fetch_add(READER, Ordering::Acquire) & (WRITER | QUEUED) == 0;
        if !entered {
            // SAFETY: this reader was counted above.
            unsafe { self.unlock_read() };
        }
        entered
    }

    /// Releases the lock of one reader; the last reader may wake a writer.
    ///
    /// # Safety
    /// The lock is locked for reading, and the caller has the right to unlock it once (on any
    /// thread).
    #[inline]
    pub unsafe fn unlock_read(&self) {
        // ORDERING P2: release: the reads are complete.
        if is_orphaned(self.state.fetch_sub(READER, Ordering::Release) - READER) {
            self.hand_over();
        }
    }

    /// Acquires the lock exclusively; blocks while others have it.
    #[inline]
    pub fn write(&self) {
        if self.take::<Writer>().is_err() {
            self.enter_contended::<W, Writer>(&Unlimited::<W>::new());
        }
    }

    /// Acquires like [`write`](Self::write), unless `limit` is reached first.
    ///
    /// Returns `true` if the lock was acquired.
    #[inline]
    pub fn write_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_write() || !limit.has_come() && self.enter_contended::<W, Writer>(limit)
    }

    /// Acquires the lock exclusively if it is free and has no waiters.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_write(&self) -> bool {
        self.take::<Writer>().is_ok()
    }

    /// Releases the lock of a writer; may wake the waiting readers, or one writer.
    ///
    /// # Safety
    /// The lock is locked for writing, and the caller has the right to unlock it (on any thread).
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
            let queued = state & (QUEUED | UPGRADABLE_QUEUED) != 0;
            let new = state - WRITER + if queued { WRITTEN } else { 0 };
            // ORDERING P1: release publishes what was done under the lock.
            match self.state.compare_exchange_weak(state, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if queued => return self.hand_over(),
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    /// Makes the writer a reader, so that no writer comes in between; admits the waiting readers.
    ///
    /// # Safety
    /// The lock is locked for writing by the caller, whose right to unlock becomes a right to
    /// [`unlock_read`](Self::unlock_read).
    #[inline]
    pub unsafe fn downgrade(&self) {
        self.downgrade_to(READER);
    }

    /// Makes the writer the upgradable reader; otherwise like [`downgrade`](Self::downgrade).
    ///
    /// # Safety
    /// The lock is locked for writing by the caller, whose right to unlock becomes a right to
    /// [`unlock_upgradable`](Self::unlock_upgradable).
    #[inline]
    pub unsafe fn downgrade_to_upgradable(&self) {
        self.downgrade_to(UPGRADABLE);
    }

    #[inline]
    fn downgrade_to(&self, reader: u64) {
        // ORDERING P1: release publishes what was done under the lock.
        if self.state.compare_exchange(WRITER, reader, Ordering::Release, Ordering::Relaxed).is_err() {
            self.downgrade_contended(reader);
        }
    }

    #[cold]
    fn downgrade_contended(&self, reader: u64) {
        self.with_queues(|queues| {
            let mut admitted = WaitList::new();
            let held = queues.admit(&mut admitted, reader != UPGRADABLE && queues.upgradable_comes_before_writers());
            let gone = queues.bits_to_clear() & self.state.load(Ordering::Relaxed);
            // ORDERING P1: release publishes what was done under the lock.
            self.state.fetch_add((held + reader).wrapping_sub(WRITER + gone), Ordering::Release);
            admitted
        });
    }

    /// Acquires the lock together with plain readers, as the one reader that may upgrade; blocks
    /// while there is another such reader, or a writer has the lock or waits for it.
    #[inline]
    pub fn upgradable_read(&self) {
        if self.take::<Upgradable>().is_err() {
            self.enter_contended::<R, Upgradable>(&Unlimited::<R>::new());
        }
    }

    /// Acquires like [`upgradable_read`](Self::upgradable_read), unless `limit` is reached first.
    ///
    /// Returns `true` if the lock was acquired.
    #[inline]
    pub fn upgradable_read_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        self.try_upgradable_read() || !limit.has_come() && self.enter_contended::<R, Upgradable>(limit)
    }

    /// Acquires the lock as the one reader that may upgrade, if no other such reader has the lock
    /// or waits for it, and no writer does.
    ///
    /// Returns `true` on success.
    #[inline]
    pub fn try_upgradable_read(&self) -> bool {
        self.take::<Upgradable>().is_ok()
    }

    /// Releases the lock of the upgradable reader; may wake the next upgradable reader or a writer.
    ///
    /// # Safety
    /// The lock was acquired by [`upgradable_read`](Self::upgradable_read), and the caller has the
    /// right to unlock it (on any thread).
    #[inline]
    pub unsafe fn unlock_upgradable(&self) {
        // ORDERING P2: release: the reads are complete.
        let state = self.state.fetch_sub(UPGRADABLE, Ordering::Release) - UPGRADABLE;
        if is_orphaned(state) || state & UPGRADABLE_QUEUED != 0 {
            self.hand_over();
        }
    }

    /// Makes the upgradable reader a plain one, so that another reader can be upgradable.
    ///
    /// # Safety
    /// The caller is the upgradable reader; its right to unlock becomes a right to
    /// [`unlock_read`](Self::unlock_read).
    #[inline]
    pub unsafe fn downgrade_upgradable(&self) {
        // ORDERING P2: release, for the next upgradable reader.
        if self.state.fetch_add(READER - UPGRADABLE, Ordering::Release) & UPGRADABLE_QUEUED != 0 {
            self.hand_over();
        }
    }

    /// Makes the upgradable reader the writer; blocks until the other readers have left.
    ///
    /// No writer comes in between.
    ///
    /// # Safety
    /// The caller is the upgradable reader; its right to unlock becomes a right to
    /// [`unlock_write`](Self::unlock_write).
    #[inline]
    pub unsafe fn upgrade(&self) {
        if self.take::<Upgrade>().is_err() {
            self.enter_contended::<W, Upgrade>(&Unlimited::<W>::new());
        }
    }

    /// Upgrades like [`upgrade`](Self::upgrade), unless `limit` is reached first.
    ///
    /// Returns `true` if the caller is the writer now.
    ///
    /// # Safety
    /// The caller is the upgradable reader. It becomes the writer if this returns `true`, and stays
    /// what it was otherwise.
    #[inline]
    pub unsafe fn upgrade_within(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        // SAFETY: the caller is the upgradable reader.
        unsafe { self.try_upgrade() || !limit.has_come() && self.enter_contended::<W, Upgrade>(limit) }
    }

    /// Makes the upgradable reader the writer, if no other reader has the lock or is about to wait.
    ///
    /// Returns `true` on success.
    ///
    /// # Safety
    /// The caller is the upgradable reader. It becomes the writer if this returns `true`, and stays
    /// what it was otherwise.
    #[inline]
    pub unsafe fn try_upgrade(&self) -> bool {
        match self.take::<Upgrade>() {
            Ok(()) => true,
            Err(seen) => Upgrade::enter_locked(seen).is_some() && self.try_upgrade_past_waiters(),
        }
    }

    #[cold]
    fn try_upgrade_past_waiters(&self) -> bool {
        self.queue_lock.lock();
        let entered = self.change_until(self.state.load(Ordering::Relaxed), Upgrade::enter_locked).is_ok();
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        entered
    }

    /// Enters without waiting, or returns the word in which that was not possible.
    #[inline]
    fn take<O: Role>(&self) -> Result<(), u64> {
        // If the guess is wrong, the exchange has at least fetched the cache line for the next one.
        self.change_until(O::GUESS, O::enter)
    }

    /// Changes the word, which may be `state`, to the word that `new` returns for it; if `new`
    /// returns `None`, returns the word that was passed to it.
    #[inline]
    fn change_until(&self, mut state: u64, new: impl Fn(u64) -> Option<u64>) -> Result<(), u64> {
        while let Some(new) = new(state) {
            // ORDERING P1, P2: acquire pairs with the releases in the unlocks.
            match self.state.compare_exchange_weak(state, new, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
        Err(state)
    }

    /// Enters, spinning as `K` does and waiting if necessary.
    ///
    /// Returns `false` if `limit` is reached first.
    #[cold]
    fn enter_contended<K: Wait, O: Role>(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        let mut round = 0;
        while self.state.load(Ordering::Relaxed) & O::BEHIND == 0 && K::spin(round) {
            if self.take::<O>().is_ok() {
                return true;
            }
            round += 1;
        }
        while !self.queue_up::<O>(limit) {
            if limit.has_come() {
                return false;
            }
        }
        true
    }

    /// Enters, waiting in the queue if necessary.
    ///
    /// Returns `false` if the wait was ended.
    fn queue_up<O: Role>(&self, limit: &impl Limit<Waker = W::Waker>) -> bool {
        let node = OnceCell::new();
        let enter = |waker| {
            let node = NonNull::from(node.get_or_init(|| WaitNode::new(waker)));
            self.queue_lock.lock();
            if self.take_or_queue::<O>() {
                // SAFETY: locked above.
                unsafe { self.queue_lock.unlock() };
                return None;
            }
            // SAFETY: the queues are ours under their lock (I1); the node is new, and stays (I5).
            self.queues.with_mut(|queues| unsafe { O::queue(&mut *queues).push_back(node) });
            // SAFETY: locked above; a waker finds this wait through its node in the queue.
            Some(|| unsafe { self.queue_lock.unlock() })
        };
        let withdraw = || node.get().into_iter().for_each(|node| self.withdraw::<O>(node));
        // SAFETY: a hand-over reserves the waiters that it wakes; the commit step is one unlock.
        unsafe { limit.wait(enter, withdraw) != WaitOutcome::Ended }
    }

    /// Enters and returns `true`, or ensures that an unlock will check the queues and returns
    /// `false`.
    ///
    /// Called under the lock of the queues.
    fn take_or_queue<O: Role>(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let entered = O::enter_locked(state);
            let after = entered.unwrap_or_else(|| O::queue_up(state));
            // ORDERING P1, P2: acquire pairs with the releases in the unlocks.
            match self.state.compare_exchange_weak(state, after, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return entered.is_some(),
                Err(now) => state = now,
            }
        }
    }

    /// Removes from its queue the node of a wait that was ended, if no hand-over has removed it.
    fn withdraw<O: Role>(&self, node: &WaitNode<W::Waker>) {
        self.with_queues(|queues| {
            // SAFETY: the node is in this queue or in none.
            if !unsafe { O::queue(queues).remove(NonNull::from(node)) } {
                return WaitList::new();
            }
            self.state.fetch_add(O::KEEPS, Ordering::Relaxed);
            self.hand_over_locked(queues)
        });
    }

    /// Makes others the owners, and wakes them, if there is something to hand over.
    #[cold]
    fn hand_over(&self) {
        self.with_queues(|queues| self.hand_over_locked(queues));
    }

    /// Calls `f` under the lock of the queues, and then wakes the waiters that it has reserved.
    fn with_queues(&self, f: impl FnOnce(&mut Queues<W::Waker>) -> WaitList<W::Waker>) {
        self.queue_lock.lock();
        // SAFETY: the queues are ours under their lock (I1).
        let owners = self.queues.with_mut(|queues| f(unsafe { &mut *queues }));
        // SAFETY: locked above.
        unsafe { self.queue_lock.unlock() };
        // SAFETY: reserved under the lock that their owners' commit steps released, by this call
        // alone.
        unsafe { owners.wake_all(|waker| waker) };
    }

    /// Hands over whatever can be handed over, and makes the word agree with the queues.
    ///
    /// The caller holds the lock of the queues, and wakes the waiters that this returns.
    fn hand_over_locked(&self, queues: &mut Queues<W::Waker>) -> WaitList<W::Waker> {
        // ORDERING P1, P2: acquire gathers the releases of the previous writer or readers, for the
        // next owners.
        let state = self.state.load(Ordering::Acquire);
        let (owners, held) = queues.next_owners(state);
        let written = if held == 0 { 0 } else { WRITTEN };
        // The bits that are cleared here were seen, and change only under this lock. If a writer
        // leaves in the meantime, and sets `WRITTEN` because of a bit that is cleared here, it will
        // start a hand-over, which clears `WRITTEN`.
        let gone = state & (queues.bits_to_clear() | written);
        self.state.fetch_add(held.wrapping_sub(gone), Ordering::Relaxed);
        owners
    }
}
