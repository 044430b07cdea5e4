//! The counterpart of `channels/src/primitive.rs` for loom.

pub(crate) use crate::reason::WaitReason;
pub(crate) use greenthread_models::primitive::{AtomicBool, AtomicU8, AtomicUsize, Ordering, UnsafeCell};
pub(crate) use greenthread_models::protocol::claim::{Case, Claim};
pub(crate) use greenthread_models::protocol::sync::wait_list::{WaitList, WaitNode};

use greenthread_models::protocol::claim::TakenFrom;
use greenthread_models::protocol::lock;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::ptr::NonNull;
use std::time::Instant;

/// Does nothing, because loom ignores hints.
pub(crate) fn prefetch_frames<T>(_node: NonNull<T>) {}

/// Does nothing, because loom ignores hints.
pub(crate) fn prefetch_value<T>(_place: NonNull<T>) {}

/// The real lock, except that a thread that does not get it sleeps.
///
/// With three threads, two that spin can keep yielding the CPU to each other, and loom does not
/// know that the third one will unlock. (The models of the lock itself let it spin.)
pub(crate) struct RawLock {
    real: lock::RawLock,
    queue: Mutex<()>,
    released: Condvar,
}

impl RawLock {
    pub(crate) fn new() -> Self {
        Self { real: lock::RawLock::new(), queue: Mutex::new(()), released: Condvar::new() }
    }

    pub(crate) fn lock(&self) {
        if self.real.try_lock() {
            return;
        }
        let mut queue = self.queue.lock().unwrap();
        while !self.real.try_lock() {
            queue = self.released.wait(queue).unwrap();
        }
    }

    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: by the contract of this function, the caller holds the lock.
        unsafe { self.real.unlock() };
        // Unlike the real lock, this touches the lock after releasing it. In these models the
        // unlocking thread always holds a handle.
        drop(self.queue.lock().unwrap());
        self.released.notify_all();
    }
}

/// A token that a thread waits for.
///
/// A surplus wake panics. A missing wake is a deadlock, which loom reports.
#[derive(Default)]
struct Token {
    left: Mutex<bool>,
    changed: Condvar,
}

impl Token {
    fn leave(&self) {
        let mut left = self.left.lock().unwrap();
        assert!(!*left, "woken twice");
        *left = true;
        self.changed.notify_one();
    }

    fn take(&self) {
        let mut left = self.left.lock().unwrap();
        while !*left {
            left = self.changed.wait(left).unwrap();
        }
        *left = false;
    }
}

/// The token is leaked, because a wake may still use it after the waiter is gone.
#[derive(Clone, Copy)]
pub(crate) struct Waker(&'static Token);

impl Waker {
    pub(crate) unsafe fn wake(self) {
        self.0.leave();
    }
}

/// The real batch with room for two, so that the models include a close that needs several batches.
pub(crate) struct WakeBatch(Vec<Waker>);

impl WakeBatch {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() == 2
    }

    pub(crate) fn push(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    pub(crate) unsafe fn wake_all(self) {
        for waker in self.0 {
            // SAFETY: by the contract of this function, each wake is owed once.
            unsafe { waker.wake() };
        }
    }
}

pub(crate) struct Blocker(&'static Token);

impl Blocker {
    pub(crate) fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(self.0)
    }

    pub(crate) unsafe fn block(&self, _: WaitReason, commit: impl FnOnce()) {
        commit();
        self.0.take();
    }

    pub(crate) unsafe fn block_until(
        &self,
        reason: WaitReason,
        deadline: Instant,
        claim: &Claim,
        index: usize,
        commit: impl FnOnce(),
    ) {
        // SAFETY: by the contract of this function, the claim is new and shut, and the commit step
        // meets the requirements of `Timed::block`.
        unsafe { self.with_deadline(deadline, claim, index, |timed| timed.block(reason, commit)) };
    }

    /// Runs `wait` while a clock also runs: a thread that may fire at any time, whatever `deadline`
    /// says.
    pub(crate) unsafe fn with_deadline<R>(
        &self,
        _deadline: Instant,
        claim: &Claim,
        index: usize,
        wait: impl FnOnce(Timed<'_>) -> R,
    ) -> R {
        let (token, shared) = (self.0, Shared(std::ptr::from_ref(claim)));
        let clock = thread::spawn(move || {
            // SAFETY: this thread is joined below, before the claim is dropped.
            if unsafe { shared.claim() }.take_early(index) == Some(TakenFrom::Open) {
                token.leave();
            }
        });
        let result = wait(Timed { blocker: self, claim });
        clock.join().unwrap();
        result
    }
}

struct Shared(*const Claim);

// SAFETY: a claim may be shared between threads.
unsafe impl Send for Shared {}

impl Shared {
    /// # Safety
    /// The claim is alive.
    unsafe fn claim(&self) -> &Claim {
        // SAFETY: by the contract of this function, the claim is alive.
        unsafe { &*self.0 }
    }
}

pub(crate) struct Timed<'a> {
    blocker: &'a Blocker,
    claim: &'a Claim,
}

impl Timed<'_> {
    pub(crate) unsafe fn block(self, _: WaitReason, commit: impl FnOnce()) {
        let opened = self.claim.open();
        commit();
        if opened {
            self.blocker.0.take();
        }
    }
}

/// Returns the same numbers in every run.
///
/// Models with more than one interleaving use biased selects, so that loom can repeat them.
pub(crate) fn random() -> u64 {
    static STATE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let state = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
