//! Blocks whoever calls: a goroutine parks, a foreign thread sleeps.
//!
//! Everything that waits (channels, locks, joins) is written once, on [`Blocker`] and [`Waker`], and so works from
//! goroutines and from threads that the runtime did not start, in any mix.
//!
//! # Protocol
//! 1. The waiter makes a `Blocker`, takes the lock of what it waits for, and finds that it must wait.
//! 2. It links a node with `blocker.waker()` in it where the peer will find it, still under the lock.
//! 3. `blocker.block(reason, commit)`: `commit` releases the lock. For a goroutine it runs on the scheduler's stack,
//!    when the registers are saved; so no waker can find a goroutine that still runs, and there is no
//!    "woken before it slept" state to handle.
//!    A wait that is to end by a deadline blocks as [`crate::time::deadline`] says.
//! 4. The peer takes the lock, unlinks the node, **copies the waker out**, does the waiter's work for it (moves the
//!    value, grants the lock), releases the lock, and calls `Waker::wake` exactly once. From the wake on the node may be gone.

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

/// Marks a waker's address as a thread's parker. All targets are aligned to more than these two bits.
const THREAD_TAG: usize = 1;
/// Marks it as a poll word, whose waiter is meant, whoever that is by then.
const POLL_WORD_TAG: usize = 2;
const TAG_MASK: usize = THREAD_TAG | POLL_WORD_TAG;

/// Wakes one blocked goroutine or thread, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waker(NonNull<()>);

// SAFETY: a waker is only a name for the waiter; what `wake` does with it is made for other threads to call.
unsafe impl Send for Waker {}
// SAFETY: as above; a shared waker can only be copied.
unsafe impl Sync for Waker {}

impl Waker {
    /// Makes the waiter runnable. Never blocks; may make other goroutines run first on this thread.
    ///
    /// # Safety
    /// The waiter has been handed to [`Blocker::block`] and its `commit` has begun to release the lock under which this
    /// waker was found; this is the one wake of that `block`; the caller holds no
    /// [`RawLock`](crate::protocol::lock::RawLock). A waker that
    /// [`Descriptor::wait_watched`](crate::Descriptor::wait_watched) has handed out may be used at any time and any
    /// number of times; only the last condition holds for it.
    #[inline]
    pub unsafe fn wake(self) {
        match self.goroutine() {
            Some(g) => ready::ready(g),
            // SAFETY: the caller's contract.
            None => unsafe { self.wake_other() },
        }
    }

    /// # Safety
    /// As [`wake`](Self::wake); the target is no goroutine.
    #[inline]
    unsafe fn wake_other(self) {
        let target = self.0.as_ptr().map_addr(|addr| addr & !TAG_MASK);
        if self.0.addr().get() & THREAD_TAG != 0 {
            // SAFETY: the parker is in the frame of a thread that stays in `block` until this call lets it go.
            unsafe { (*target.cast::<Parker>()).unpark() };
        // SAFETY: poll words are never freed (`of_poll_word`).
        } else if let Some(waiter) = unsafe { (*target.cast::<PollWord>()).take_waiter() } {
            // SAFETY: it was taken once, so this is its one wake.
            unsafe { Waker(waiter).wake() };
        }
    }

    /// The goroutine that is to be woken, if it is one.
    #[inline]
    pub(crate) fn goroutine(self) -> Option<GRef> {
        (self.0.addr().get() & TAG_MASK == 0).then(|| GRef::new(self.0.cast::<G>()))
    }

    /// As [`wake`](Self::wake), for an M that is inside: a goroutine becomes runnable on its P.
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn wake_on(self, p: &Inside<'_>) {
        match self.goroutine() {
            Some(g) => ready::ready_on(p, g),
            // SAFETY: the caller's contract.
            None => unsafe { self.wake_other() },
        }
    }

    /// A waker that ends whatever wait there is in `word` when it is used. It may be used at any time and any number of times.
    pub(crate) fn of_poll_word(word: &'static PollWord) -> Self {
        Self(NonNull::from(word).cast().map_addr(|addr| addr | POLL_WORD_TAG))
    }

    /// The waker as one word, for a poll word.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        self.0
    }

    /// What [`into_raw`](Self::into_raw) gave.
    #[inline]
    pub(crate) fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw)
    }
}

impl Waker {
    /// As [`wake`](Self::wake), but a goroutine becomes the last of its queue instead of the next to run.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn wake_last(self) {
        match self.goroutine() {
            Some(g) => ready::ready_last(g),
            // SAFETY: the caller's contract.
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
        // Nothing else ends such a wait.
        true
    }

    #[inline]
    unsafe fn wake(self) {
        // SAFETY: the contract of this function is that of the one called.
        unsafe { Waker::wake(self) };
    }
}

/// Wakers of several, to be woken together.
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

    /// An empty batch.
    pub fn new() -> Self {
        Self { wakers: [None; Self::SIZE], len: 0 }
    }

    /// How many are to be woken.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody is to be woken.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is no more room.
    pub fn is_full(&self) -> bool {
        self.len == Self::SIZE
    }

    /// Adds a waker. There must be room.
    pub fn push(&mut self, waker: Waker) {
        waker.prefetch();
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Wakes all, the first that was added first.
    ///
    /// # Safety
    /// As [`Waker::wake`], for each of them.
    pub unsafe fn wake_all(self) {
        for waker in self.wakers.into_iter().take(self.len).flatten() {
            // SAFETY: the caller's contract.
            unsafe { waker.wake() };
        }
    }
}

/// One wait of the calling goroutine or thread. Lives in the caller's frame.
///
/// It is not `Send`, but that alone does not keep it with its goroutine: a thread-local can hand it to another one that
/// runs on the same thread. So blocking is unsafe, and says on whom it is.
#[derive(Debug)]
pub struct Blocker {
    pub(crate) g: Option<GRef>,
    pub(crate) parker: Parker,
    // The parker's address is handed out, and a goroutine is captured: neither may go to another thread.
    _here: PhantomData<*mut ()>,
}

impl Default for Blocker {
    fn default() -> Self {
        Self::new()
    }
}

impl Blocker {
    /// Captures the caller: the current goroutine, else the current thread.
    #[inline]
    pub fn new() -> Self {
        Self { g: current::g(), parker: Parker::new(), _here: PhantomData }
    }

    /// The waker for this wait. Valid as long as the `Blocker` is not moved.
    #[inline]
    pub fn waker(&self) -> Waker {
        match self.g {
            Some(g) => Waker(g.as_non_null().cast()),
            None => Waker(NonNull::from(&self.parker).cast().map_addr(|addr| addr | THREAD_TAG)),
        }
    }

    /// Whether the caller is a goroutine whose last wait, too, was for `reason`.
    pub(crate) fn waits_again_for(&self, reason: WaitReason) -> bool {
        self.g.is_some_and(|g| g.reason() == reason)
    }

    /// As [`block`](Self::block), unless `commit` returns false: then no waker will come, and the caller goes on.
    ///
    /// A thread for which the runtime has not been started, and which nobody wakes, is not noticed.
    ///
    /// # Safety
    /// As [`block`](Self::block).
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
