//! When an M may sleep, and when another M must be woken.
//!
//! # Vocabulary
//! A P is *idle* when no M runs it. An M *searches* (Go: spins) when it has a P and no goroutine,
//! and looks into the other queues for one. To *publish* is to push a runnable goroutine where
//! others can find it.
//!
//! # Requirements
//! * W1, work conservation: if a published goroutine waits and a P is idle, some M searches or will
//!   look again. (A push that is left unpublished must have its own rule that bounds its wait:
//!   all of these rules are in `sched::wake_policy`.)
//! * W2, no storm: a push wakes at most one M, and none while one searches. Waking costs the waker
//!   7 us and takes 21 us.
//! * W3: idle costs nothing. No M polls.
//!
//! # The race
//! The submitter pushes, then checks whether a P is idle. The last searcher finds nothing, makes
//! its P idle, and sleeps. If the submitter's check comes before the searcher's "idle", and the
//! searcher's last look came before the push, the goroutine is stranded beside an idle P. Both
//! sides therefore *publish, fence, look*: of two such sides at least one sees the other.
//!
//! # The word
//! Idle Ps and searching Ms are counted in one atomic word, so that "an idle P and no searcher" is
//! one load, and the transitions of both have one total order.
//!
//! # The three recipes
//! * **Submit** ([`IdleWord::wake_one`]): push; fence; if the word says "idle P, no searcher",
//!   *claim the search* (exchange searchers 0 -> 1) and start an M on an idle P as the searcher. If
//!   the idle P is gone by then, *abandon* the search and look at the word again: while our claim
//!   stood, another submitter may have relied on it, and another P may have become idle.
//! * **Find** ([`IdleWord::found`]): a searcher that has found work stops searching. If it was the
//!   last one, it must look at all queues once more and submit again for what it sees, since
//!   submitters relied on it. Wake-ups thus cascade one by one, as long as there is work.
//! * **Go idle** ([`IdleWord::go_idle`]): make the P idle, stop searching, fence, look at all
//!   queues once more; if there is work, claim the search like a submitter and take an idle P back.
//!   *Every* M that gives up a P looks again, not only searchers: that is what makes Go's
//!   `needspinning` flag, and the lock behind it, unnecessary.
//!
//! # Why it is right
//! Take a published goroutine x that no M looks for, while a P is idle and nothing moves. Let I be
//! the last operation that made a P idle, and S the look of x's submitter at the word, both with
//! fences after their publications. If x was pushed before I's look at the queues, I's owner saw x
//! and claimed the search, or saw a searcher. If not, S comes after I in the order of the word, so
//! S saw the idle P and claimed the search, or saw a searcher. A searcher leaves the count by
//! *found* (then the last one looks again), by *go idle* (a later I, against the choice of I), or
//! by *abandon* (which looks at the word again after its decrement: an idle P seen there makes it
//! claim again; if it sees none, then I comes after the abandoning, and so does I's look). In each
//! case some M looks after x was pushed.
//!
//! # Rejected
//! * A lock around the idle list for every push (Go takes `sched.lock` on each wake-up when no M
//!   spins): 20 ns and a shared cache line.
//! * Handing the goroutine to the woken M: this loses locality, and costs 21 us of latency even if
//!   the current P is free at once.
//! * Counting runnext as published: a push that the current P is about to run itself would wake
//!   another core each time. That slot has its own rule, in `sched::wake_policy`.
//!
//! # Orderings
//! * P1: all changes of the word are SeqCst, and both sides have a SeqCst fence between their
//!   publication and their look.

use crate::primitive::{AtomicU64, Ordering, fence};

const IDLE: u64 = 1;
const SEARCH: u64 = 1 << 32;

/// The counts of idle Ps (low half) and searching Ms (high half).
#[derive(Debug)]
pub struct IdleWord(AtomicU64);

/// What the protocol requires of the scheduler around it.
pub trait Scheduler {
    /// Returns `true` if any published goroutine waits in any queue.
    fn work_waits(&self) -> bool;

    /// Takes an idle P, uncounts it with [`IdleWord::p_taken`], and starts an M on it that
    /// searches.
    ///
    /// Returns `false` if no P is idle (or no M can be started: then the P stays idle and the
    /// failure has been reported).
    fn start_searcher(&self) -> bool;
}

impl Default for IdleWord {
    fn default() -> Self {
        Self::new()
    }
}

impl IdleWord {
    /// Creates a word with no idle P and no searcher.
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn idle(word: u64) -> u32 {
        word as u32
    }

    fn searching(word: u64) -> u32 {
        (word >> 32) as u32
    }

    /// Returns the number of idle Ps and of searching Ms at some moment.
    pub fn counts(&self) -> (u32, u32) {
        let word = self.0.load(Ordering::Relaxed);
        (Self::idle(word), Self::searching(word))
    }

    /// Counts a P that was put among the idle ones (under the lock of the idle list).
    pub fn p_idle(&self) {
        self.0.fetch_add(IDLE, Ordering::SeqCst);
    }

    /// Uncounts a P that was taken from the idle ones (under the lock of the idle list).
    pub fn p_taken(&self) {
        let before = self.0.fetch_sub(IDLE, Ordering::SeqCst);
        debug_assert!(Self::idle(before) > 0, "idle: took a P that was not idle");
    }

    /// Wakes one searcher if a P is idle and no M searches; called after a push that others may
    /// have to run.
    #[inline]
    pub fn wake_one(&self, scheduler: &impl Scheduler) {
        fence(Ordering::SeqCst);
        let word = self.0.load(Ordering::Relaxed);
        if Self::idle(word) > 0 && Self::searching(word) == 0 {
            self.wake_one_slow(scheduler);
        }
    }

    #[cold]
    fn wake_one_slow(&self, scheduler: &impl Scheduler) {
        while self.claim_search() {
            if scheduler.start_searcher() || !self.abandon_search() {
                return;
            }
        }
    }

    /// Changes the number of searchers from 0 to 1 if a P is idle.
    ///
    /// Returns `true` on success.
    pub fn claim_search(&self) -> bool {
        let mut word = self.0.load(Ordering::SeqCst);
        while Self::idle(word) > 0 && Self::searching(word) == 0 {
            match self.0.compare_exchange_weak(word, word + SEARCH, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives up a claimed search.
    ///
    /// Returns `true` if a P is idle, so that the caller must claim again.
    pub fn abandon_search(&self) -> bool {
        Self::idle(self.0.fetch_sub(SEARCH, Ordering::SeqCst)) > 0
    }

    /// Starts searching, for an M with a P and without work.
    ///
    /// Returns `false` if half of the busy Ms search already: the caller then goes idle at once.
    pub fn join_search(&self, procs: u32) -> bool {
        let mut word = self.0.load(Ordering::SeqCst);
        loop {
            let busy = procs.saturating_sub(Self::idle(word));
            if 2 * Self::searching(word) >= busy.max(1) {
                return false;
            }
            match self.0.compare_exchange_weak(word, word + SEARCH, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Stops searching, for a searcher that found work, and passes the search on if there is more.
    pub fn found(&self, scheduler: &impl Scheduler) {
        let before = self.0.fetch_sub(SEARCH, Ordering::SeqCst);
        debug_assert!(Self::searching(before) > 0, "idle: no M was searching");
        if Self::searching(before) == 1 && Self::idle(before) > 0 {
            fence(Ordering::SeqCst);
            if scheduler.work_waits() {
                self.wake_one(scheduler);
            }
        }
    }

    /// Stops searching, for a caller that has just put its P among the idle ones and counted it.
    ///
    /// Returns `true` if the caller must search after all: it is then counted as searching, and
    /// must take an idle P, or call [`abandon_search`](Self::abandon_search) and ask again while
    /// that returns `true`.
    pub fn go_idle(&self, searching: bool, scheduler: &impl Scheduler) -> bool {
        if searching {
            self.0.fetch_sub(SEARCH, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        scheduler.work_waits() && self.claim_search()
    }
}
