//! How the locks' protocols wait here: a goroutine parks, a thread sleeps.

use std::hint;
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use greenthread_scheduler::WaitReason;
use greenthread_scheduler::protocol::raw_mutex::TimedWait;
use greenthread_scheduler::protocol::wait::Wait;
use greenthread_scheduler::wait::{Blocker, Waker};

/// How long a waiter may lose before it gets the lock by hand-over (Go's `starvationThresholdNs`).
const STARVATION: Duration = Duration::from_millis(1);

/// Times that a waiter spins before it sleeps, and the length of each (Go's `active_spin` and `active_spin_cnt`).
const SPIN_ROUNDS: u32 = 4;
const SPINS_A_ROUND: u32 = 30;

/// What the waiters of one kind of lock wait for, as dumps show it.
pub(super) trait Reason {
    const REASON: WaitReason;
}

/// One wait of the caller, goroutine or thread.
pub(super) struct BlockingWait<R>(Blocker, PhantomData<R>);

impl<R: Reason> Wait for BlockingWait<R> {
    type Waker = Waker;

    fn new() -> Self {
        Self(Blocker::new(), PhantomData)
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn block(&self, commit: impl FnOnce()) {
        self.0.block(R::REASON, commit);
    }

    unsafe fn wake(waker: Waker) {
        // SAFETY: the contract of this function is that of `Waker::wake`.
        unsafe { waker.wake() };
    }

    fn spin(round: u32) -> bool {
        /// With one CPU the owner cannot run while somebody spins for it.
        static WORTH_IT: LazyLock<bool> =
            LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|n| n.get() > 1));

        if round >= SPIN_ROUNDS || !*WORTH_IT {
            return false;
        }
        (0..SPINS_A_ROUND).for_each(|_| hint::spin_loop());
        true
    }
}

impl<R: Reason> TimedWait for BlockingWait<R> {
    type Since = Instant;

    fn now() -> Instant {
        Instant::now()
    }

    fn starved(since: Instant) -> bool {
        since.elapsed() > STARVATION
    }
}
