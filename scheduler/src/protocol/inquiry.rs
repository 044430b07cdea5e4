//! One thread asks another for data that only that thread can read, and waits for a bounded time.
//!
//! # Protocol
//! The *asker* wants the registers of a running thread, and makes that thread call
//! [`Inquiry::answer`] from a signal handler. The thread may not answer in time: it may block the
//! signal, have ended, or have no CPU. So the asker stops waiting at some point. But once the
//! thread has begun to write its answer, the asker waits for the rest.
//!
//! ```text
//!     asker                                  the interrupted code, as thread t
//!     IDLE -> t ASKED                        t ASKED -> t ANSWERING, by compare-and-swap
//!     ... waits ...                          writes the answer
//!     t ANSWERED?     reads it, -> IDLE      -> t ANSWERED
//!     too late?       t ASKED -> IDLE, by compare-and-swap: gave up
//!                     if that fails: waits on
//! ```
//!
//! The thread's id is part of the word. Otherwise a late thread might see a question that was meant
//! for another thread, take it for its own, and answer for the wrong thread.
//!
//! The answering side allocates nothing, takes no lock, and never waits: it may have interrupted
//! anything.
//!
//! # Rejected
//! * A sequence number for each question: the thread would have to learn it, through a signal that
//!   carries nothing.
//! * A place for the answer on the asker's stack: a late thread would write into a frame that no
//!   longer exists.
//!
//! # Invariants
//! * I1: one thread asks at a time, under the lock `turn`.
//! * I2: the answer is touched by the thread that set ANSWERING until it sets ANSWERED, and by the
//!   asker from then until IDLE.
//!
//! # Orderings
//! * P1: ASKED, released by the asker -> the acquire in `answer`: the asker has finished with the
//!   previous answer.
//! * P2: ANSWERED, released by `answer` -> the asker's acquire load: the answer is complete.

use crate::primitive::{AtomicU64, Mutex, Ordering, UnsafeCell, const_fn, yield_thread};

const IDLE: u64 = 0;
const ASKED: u64 = 1;
const ANSWERING: u64 = 2;
const ANSWERED: u64 = 3;

fn word(thread: u32, state: u64) -> u64 {
    u64::from(thread) << 2 | state
}

/// One question at a time, and the place for its answer.
pub struct Inquiry<T> {
    turn: Mutex<()>,
    word: AtomicU64,
    answer: UnsafeCell<T>,
}

// SAFETY: I2 says which thread touches the answer.
unsafe impl<T: Send> Sync for Inquiry<T> {}

impl<T> Inquiry<T> {
    const_fn! {
        /// Creates an inquiry with room for an answer.
        ///
        /// No thread is asked yet.
        pub fn new(answer: T) -> Self {
            Self { turn: Mutex::new(()), word: AtomicU64::new(IDLE), answer: UnsafeCell::new(answer) }
        }
    }

    /// Asks `thread`.
    ///
    /// `interrupt` makes the thread call [`answer`](Self::answer), or returns `false` if it cannot
    /// be reached. `wait` lets some time pass and returns `true` to keep waiting. `read` gets the
    /// answer if one arrives. The caller blocks for as long as `wait` says, and until an answer
    /// that has begun is complete.
    pub fn ask<R>(
        &self,
        thread: u32,
        interrupt: impl FnOnce() -> bool,
        mut wait: impl FnMut() -> bool,
        read: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let _turn = self.turn.lock();
        // ORDERING P1: release pairs with the exchange in `answer`.
        self.word.store(word(thread, ASKED), Ordering::Release);
        let mut patient = interrupt();
        // ORDERING P2: acquire pairs with the last store in `answer`.
        while self.word.load(Ordering::Acquire) != word(thread, ANSWERED) {
            if patient {
                patient = wait();
            } else if self.give_up(thread) {
                return None;
            } else {
                yield_thread();
            }
        }
        // SAFETY: I2: the word is ANSWERED, so the answer is the asker's.
        let result = self.answer.with_mut(|answer| read(unsafe { &mut *answer }));
        self.word.store(IDLE, Ordering::Relaxed);
        Some(result)
    }

    fn give_up(&self, thread: u32) -> bool {
        self.word.compare_exchange(word(thread, ASKED), IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Writes the answer if `thread`, the caller, is the thread being asked.
    ///
    /// Returns `true` if it was. Async-signal-safe if `write` is.
    pub fn answer(&self, thread: u32, write: impl FnOnce(&mut T)) -> bool {
        let (asked, answering) = (word(thread, ASKED), word(thread, ANSWERING));
        // ORDERING P1: acquire pairs with the first store in `ask`.
        if self.word.compare_exchange(asked, answering, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        // SAFETY: I2: this thread set ANSWERING.
        self.answer.with_mut(|answer| write(unsafe { &mut *answer }));
        // ORDERING P2: release pairs with the load in `ask`.
        self.word.store(word(thread, ANSWERED), Ordering::Release);
        true
    }
}
