//! Blocks the caller, whatever it is: a goroutine parks, a foreign thread sleeps.
//!
//! Everything that waits (channels, locks, joins) is written once, on top of [`Blocker`] and
//! [`Waker`]. It therefore works for goroutines and for threads that the runtime did not start, in
//! any mix.
//!
//! # Protocol
//! 1. The waiter makes a `Blocker`, takes the lock that protects the state it waits for, and finds
//!    that it must wait.
//! 2. Still under the lock, it links a node with `blocker.waker()` where the peer will find it.
//! 3. It calls `blocker.block(reason, commit)`, and `commit` releases the lock. For a goroutine,
//!    `commit` runs on the system stack after the registers are saved. So no waker can find a
//!    goroutine that is still running, and "woken before it slept" is not a state to handle. A wait
//!    with a deadline blocks as described in [`crate::time::deadline`].
//! 4. The peer takes the lock, unlinks the node, **copies the waker out**, and completes the
//!    waiter's operation for it (moves the value, grants the lock). Then it releases the lock and
//!    calls `Waker::wake` exactly once. From that call on, the node may no longer exist.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::gmp::reason::WaitReason;
use crate::gmp::{G, GRef, Inside};
use crate::machine::sys::parker::Parker;
use crate::machine::sys::prefetch::prefetch;
use crate::protocol::poll_word::PollWord;
use crate::protocol::sync::env::Wake;
use crate::sched::current;
use crate::wait::foreign;
use crate::wait::park;
use crate::wait::ready;

/// Tags the address of a thread's parker.
///
/// The alignment of every target leaves at least these two bits free.
const THREAD_TAG: usize = 1;
/// Tags a poll word: the wake reaches whichever waiter is in the word when the wake occurs.
const POLL_WORD_TAG: usize = 2;
const TAG_MASK: usize = THREAD_TAG | POLL_WORD_TAG;

/// A handle that wakes one blocked goroutine or thread, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waker(NonNull<()>);

// SAFETY: a waker only names the waiter, and `wake` may be called from other threads.
unsafe impl Send for Waker {}
// SAFETY: a shared waker can only be copied, and the copies are `Send`.
unsafe impl Sync for Waker {}

impl Waker {
    /// Makes the waiter runnable.
    ///
    /// It never blocks. Other goroutines may run on this thread before it returns.
    ///
    /// # Safety
    /// * The waiter was passed to [`Blocker::block`], and its `commit` has begun to release the
    ///   lock under which this waker was found.
    /// * The wait receives no other wake.
    /// * The caller holds no [`RawLock`](crate::protocol::lock::RawLock).
    ///
    /// A waker from [`Descriptor::wait_watched`](crate::Descriptor::wait_watched) may be used at
    /// any time and any number of times; only the last condition applies to it.
    #[inline]
    pub unsafe fn wake(self) {
        match self.goroutine() {
            Some(g) => ready::ready(g),
            // SAFETY: the caller upholds the contract of `wake`, and the target is not a goroutine.
            None => unsafe { self.wake_other() },
        }
    }

    /// Wakes a thread, or the waiter of a poll word.
    ///
    /// # Safety
    /// The contract of [`wake`](Self::wake), and the target is not a goroutine.
    #[inline]
    unsafe fn wake_other(self) {
        let target = self.0.as_ptr().map_addr(|addr| addr & !TAG_MASK);
        if self.0.addr().get() & THREAD_TAG != 0 {
            // SAFETY: the parker is in the frame of a thread that stays in `block` until this call
            // releases it.
            unsafe { (*target.cast::<Parker>()).unpark() };
        // SAFETY: poll words are never freed (`of_poll_word` takes a `'static` one).
        } else if let Some(waiter) = unsafe { (*target.cast::<PollWord>()).take_waiter() } {
            // SAFETY: `take_waiter` returns each waiter once, so this is its only wake.
            unsafe { Waker(waiter).wake() };
        }
    }

    /// Returns the goroutine that this waker wakes, if it is one.
    #[inline]
    pub(crate) fn goroutine(self) -> Option<GRef> {
        (self.0.addr().get() & TAG_MASK == 0).then(|| GRef::new(self.0.cast::<G>()))
    }

    /// Wakes like [`wake`](Self::wake), but makes a goroutine runnable on the P of the calling M.
    ///
    /// # Safety
    /// The contract of [`wake`](Self::wake).
    pub(crate) unsafe fn wake_on(self, p: &Inside<'_>) {
        match self.goroutine() {
            Some(g) => ready::ready_on(p, g),
            // SAFETY: the caller upholds the contract of `wake`, and the target is not a goroutine.
            None => unsafe { self.wake_other() },
        }
    }

    /// Returns a waker that, when it is used, ends whichever wait is in `word`.
    ///
    /// It may be used at any time and any number of times.
    pub(crate) fn of_poll_word(word: &'static PollWord) -> Self {
        Self(NonNull::from(word).cast().map_addr(|addr| addr | POLL_WORD_TAG))
    }

    /// Returns the waker as one word, to be stored in a poll word.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        self.0
    }

    /// Restores a waker from the result of [`into_raw`](Self::into_raw).
    #[inline]
    pub(crate) fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw)
    }

    /// Wakes like [`wake`](Self::wake), but puts a goroutine at the end of its queue instead of
    /// making it the next to run.
    ///
    /// # Safety
    /// The contract of [`wake`](Self::wake).
    pub unsafe fn wake_last(self) {
        match self.goroutine() {
            Some(g) => ready::ready_last(g),
            // SAFETY: the caller upholds the contract of `wake`, and the target is not a goroutine.
            None => unsafe { self.wake_other() },
        }
    }
}

impl Wake for Waker {
    #[inline]
    fn prefetch(&self) {
        prefetch(self.0.addr().get());
    }

    #[inline]
    unsafe fn reserve(&self) -> bool {
        // Such a wait ends only through its one waker.
        true
    }

    #[inline]
    unsafe fn wake(self) {
        // SAFETY: this function has the same contract as `Waker::wake`.
        unsafe { Waker::wake(self) };
    }
}

/// Several wakers that are woken together.
#[derive(Debug)]
pub struct WakeBatch {
    wakers: [Option<Waker>; WakeBatch::SIZE],
    len: usize,
}

impl Default for WakeBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl WakeBatch {
    const SIZE: usize = 32;

    /// Creates an empty batch.
    pub fn new() -> Self {
        Self { wakers: [None; Self::SIZE], len: 0 }
    }

    /// Returns the number of wakers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if there is no waker.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns `true` if there is no room for another waker.
    pub fn is_full(&self) -> bool {
        self.len == Self::SIZE
    }

    /// Adds a waker to a batch that is not full.
    pub fn push(&mut self, waker: Waker) {
        waker.prefetch();
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Wakes all waiters in the order in which they were added.
    ///
    /// # Safety
    /// Each waker must meet the contract of [`Waker::wake`].
    pub unsafe fn wake_all(self) {
        for waker in self.wakers.into_iter().take(self.len).flatten() {
            // SAFETY: the caller upholds the contract of `Waker::wake` for each waker.
            unsafe { waker.wake() };
        }
    }
}

/// A single wait of the calling goroutine or thread, stored in the caller's frame.
///
/// It is not `Send`, but that alone does not tie it to its goroutine: a thread-local can pass it to
/// another goroutine on the same thread. Blocking is therefore unsafe, and its contract says which
/// goroutine may call it.
#[derive(Debug)]
pub struct Blocker {
    pub(crate) g: Option<GRef>,
    pub(crate) parker: Parker,
    // The parker's address is handed out, and a goroutine is captured, so neither may move to
    // another thread.
    _here: PhantomData<*mut ()>,
}

impl Default for Blocker {
    fn default() -> Self {
        Self::new()
    }
}

impl Blocker {
    /// Captures the caller, which is the current goroutine, or the current thread if there is no
    /// goroutine.
    #[inline]
    pub fn new() -> Self {
        Self { g: current::g(), parker: Parker::new(), _here: PhantomData }
    }

    /// Returns the waker of this wait, valid as long as the `Blocker` is not moved.
    #[inline]
    pub fn waker(&self) -> Waker {
        match self.g {
            Some(g) => Waker(g.as_non_null().cast()),
            None => Waker(NonNull::from(&self.parker).cast().map_addr(|addr| addr | THREAD_TAG)),
        }
    }

    /// Returns `true` if the caller is a goroutine and its previous wait was also for `reason`.
    pub(crate) fn waits_again_for(&self, reason: WaitReason) -> bool {
        self.g.is_some_and(|g| g.reason() == reason)
    }

    /// Blocks like [`block`](Self::block), but returns immediately if `commit` returns `false`.
    ///
    /// In that case no waker will arrive. For a foreign thread, the runtime is not started. If it
    /// was never started, the deadlock report does not see that the thread waits.
    ///
    /// # Safety
    /// The contract of [`block`](Self::block), except that its one wake is required only if
    /// `commit` returns `true`.
    #[inline]
    pub unsafe fn block_if(&self, reason: WaitReason, commit: impl FnOnce() -> bool) {
        match self.g {
            Some(g) => park::park(g, reason, commit),
            None => {
                if commit() {
                    foreign::park(&self.parker, reason);
                }
            }
        }
    }
}
