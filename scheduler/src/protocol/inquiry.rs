//! One thread asks another for what only that one can tell, and waits for so long and no longer.
//!
//! # Protocol
//! The *asker* wants the registers of a thread that runs, and gets that thread to call [`Inquiry::answer`], from a
//! signal handler. The thread may be late: it may have blocked the signal, have ended, or not have been given a CPU. So
//! the asker gives up at some point; but an answer that has begun is waited for, since it is being written.
//!
//! ```text
//!     asker                                  whoever is interrupted, as thread t
//!     IDLE -> t ASKED                        t ASKED -> t ANSWERING, by compare-and-swap
//!     ... waits ...                          writes the answer
//!     t ANSWERED?     reads it, -> IDLE      -> t ANSWERED
//!     too late?       t ASKED -> IDLE, by compare-and-swap: gave up
//!                     if that fails: waits on
//! ```
//!
//! The name of the thread is part of the word. A thread that comes late, when another one is asked, would else see a
//! question, take it for its own and answer for the wrong thread.
//!
//! The side that answers allocates nothing, takes no lock and never waits: it may have interrupted anything.
//!
//! Rejected:
//! * a sequence number for each question: the thread would have to learn it, through a signal that carries nothing;
//! * a place for the answer in the asker's frame: one who comes late would write into a frame that is gone.
//!
//! # Invariants
//! * I1: one asks at a time, under the lock `turn`.
//! * I2: the answer is touched by the thread that made ANSWERING until it makes ANSWERED, and by the asker from then until IDLE.
//!
//! # Orderings
//! * P1: ASKED, released by the asker -> the acquire in `answer`: the asker has finished with the answer before.
//! * P2: ANSWERED, released by `answer` -> the acquire load of the asker: the answer is written.

use std::sync::PoisonError;

use crate::primitive::{AtomicU64, Mutex, Ordering, UnsafeCell, const_fn, yield_thread};

const IDLE: u64 = 0;
const ASKED: u64 = 1;
const ANSWERING: u64 = 2;
const ANSWERED: u64 = 3;

fn word(thread: u32, state: u64) -> u64 {
    u64::from(thread) << 2 | state
}

/// A question at a time, and the place for its answer.
pub struct Inquiry<T> {
    turn: Mutex<()>,
    word: AtomicU64,
    answer: UnsafeCell<T>,
}

// SAFETY: I2 says who touches the answer.
unsafe impl<T: Send> Sync for Inquiry<T> {}

impl<T> Inquiry<T> {
    const_fn! {
        /// An inquiry with room for an answer. Nobody is asked yet.
        pub fn new(answer: T) -> Self {
            Self { turn: Mutex::new(()), word: AtomicU64::new(IDLE), answer: UnsafeCell::new(answer) }
        }
    }

    /// Asks `thread`: `interrupt` gets it to call [`answer`](Self::answer), or says that it cannot be reached; `wait`
    /// passes some time and says whether to wait on; `read` gets the answer, if it comes. Blocks the thread as long as
    /// `wait` says, and for the rest of an answer that has begun.
    pub fn ask<R>(
        &self,
        thread: u32,
        interrupt: impl FnOnce() -> bool,
        mut wait: impl FnMut() -> bool,
        read: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
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
        // SAFETY: I2, it is answered.
        let result = self.answer.with_mut(|answer| read(unsafe { &mut *answer }));
        self.word.store(IDLE, Ordering::Relaxed);
        Some(result)
    }

    fn give_up(&self, thread: u32) -> bool {
        self.word.compare_exchange(word(thread, ASKED), IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Has `write` answer, if it is `thread`, the caller, that is asked; says whether it was. Async-signal-safe if `write` is.
    pub fn answer(&self, thread: u32, write: impl FnOnce(&mut T)) -> bool {
        let (asked, answering) = (word(thread, ASKED), word(thread, ANSWERING));
        // ORDERING P1: acquire pairs with the first store in `ask`.
        if self.word.compare_exchange(asked, answering, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        // SAFETY: I2, this thread made ANSWERING.
        self.answer.with_mut(|answer| write(unsafe { &mut *answer }));
        // ORDERING P2: release pairs with the load in `ask`.
        self.word.store(word(thread, ANSWERED), Ordering::Release);
        true
    }
}
