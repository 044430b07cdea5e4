//! When an M may sleep, and when another M must be woken.
//!
//! # Vocabulary
//! A P is *idle* when no M runs it. An M *searches* (Go: spins) when it has a P but no goroutine,
//! and looks for one in the other queues. To *publish* is to push a runnable goroutine where others
//! can find it.
//!
//! # Requirements
//! * W1, work conservation: if a published goroutine waits and a P is idle, some M searches or will
//!   check again. (A push that is left unpublished needs its own rule to bound the wait. All of
//!   these rules are in `sched::wake_policy`.)
//! * W2, no storm: a push wakes at most one M, and none while an M searches. Waking costs the waker
//!   7 us and takes 21 us.
//! * W3: idle costs nothing. No M polls.
//!
//! # The race
//! The submitter pushes, then checks whether a P is idle. The last searcher finds nothing, makes
//! its P idle, and sleeps. If the submitter checks before the searcher makes its P idle, and the
//! searcher's last look at the queues came before the push, the goroutine is stranded while a P is
//! idle. Both sides therefore *publish, fence, look*: at least one of the two sees what the other
//! published.
//!
//! # The word
//! Idle Ps and searching Ms are counted in one atomic word, so testing for "an idle P and no
//! searcher" takes one load, and the changes of both counts have one total order.
//!
//! # The three recipes
//! * **Submit** ([`IdleWord::wake_one`]): push; fence; if the word says "idle P, no searcher",
//!   *claim the search* (exchange searchers 0 -> 1) and start an M on an idle P as the searcher. If
//!   the P is no longer idle, *abandon* the search and check the word again: while our claim stood,
//!   another submitter may have relied on it, and another P may have become idle.
//! * **Find** ([`IdleWord::found`]): a searcher that has found work stops searching. If it was the
//!   last searcher, it must check all queues once more and, if it sees work, submit again, since
//!   submitters relied on it. Wake-ups thus cascade one by one as long as there is work.
//! * **Go idle** ([`IdleWord::go_idle`]): make the P idle, stop searching, fence, and check all
//!   queues once more. If there is work, claim the search like a submitter and take an idle P back.
//!   *Every* M that releases a P checks again, not only searchers, so Go's `needspinning` flag and
//!   the lock behind it are unnecessary.
//!
//! # Why it is right
//! Take a published goroutine x that no M looks for, while a P is idle and nothing moves. Let I be
//! the last operation that made a P idle, and S the submitter's check of the word after pushing x.
//! Both sides execute a fence after publishing. If x was pushed before the check of the queues that
//! follows I, the M that executed I saw x, and either claimed the search or saw a searcher. If not,
//! S comes after I in the order of the word, so S saw the idle P, and either claimed the search or
//! saw a searcher. A searcher leaves the count in one of three ways. By *found*: the last searcher
//! checks again. By *go idle*: this would be a later I, which contradicts the choice of I. By
//! *abandon*: it checks the word again after its decrement, and claims again if it sees an idle P;
//! if it sees none, then I comes after the abandonment, and so does the check of the queues. In
//! each case some M checks the queues after x was pushed.
//!
//! # Rejected
//! * A lock around the idle list for every push (Go takes `sched.lock` on each wake-up when no M
//!   spins): 20 ns and a shared cache line.
//! * Handing the goroutine to the woken M: this loses locality, and costs 21 us of latency even if
//!   the current P becomes free immediately.
//! * Counting runnext as published: each push of a goroutine that the current P is about to run
//!   itself would wake another core. The slot has its own rule, in `sched::wake_policy`.
//!
//! # Orderings
//! * P1: all changes to the word are SeqCst, and both sides execute a SeqCst fence between
//!   publishing and looking.

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

    /// Takes an idle P, uncounts it with [`IdleWord::p_taken`], and starts a searching M on it.
    ///
    /// Returns `false` if no P is idle, or if no M can be started. In the latter case the P stays
    /// idle and the failure has been reported.
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

    /// Returns the number of idle Ps and the number of searching Ms at some moment.
    pub fn counts(&self) -> (u32, u32) {
        let word = self.0.load(Ordering::Relaxed);
        (Self::idle(word), Self::searching(word))
    }

    /// Counts a P that was put on the idle list (under the list's lock).
    pub fn p_idle(&self) {
        self.0.fetch_add(IDLE, Ordering::SeqCst);
    }

    /// Uncounts a P that was taken from the idle list (under the list's lock).
    pub fn p_taken(&self) {
        let before = self.0.fetch_sub(IDLE, Ordering::SeqCst);
        debug_assert!(Self::idle(before) > 0, "idle: took a P that was not idle");
    }

    /// Wakes one searcher if a P is idle and no M searches; called after a push of a goroutine that
    /// another M may have to run.
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

    /// Abandons a claimed search.
    ///
    /// Returns `true` if a P is idle, so that the caller must claim again.
    pub fn abandon_search(&self) -> bool {
        Self::idle(self.0.fetch_sub(SEARCH, Ordering::SeqCst)) > 0
    }

    /// Starts searching, for an M with a P but no work.
    ///
    /// Returns `false` if half of the busy Ms are already searching. The caller then goes idle
    /// immediately.
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

    /// Stops searching, for a searcher that found work, and passes the search on if there is more
    /// work.
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

    /// Stops searching, for a caller that has just put its P on the idle list and counted it.
    ///
    /// Returns `true` if the caller must search after all. It is then counted as searching, and
    /// must either take an idle P or call [`abandon_search`](Self::abandon_search), and try again
    /// as long as that returns `true`.
    pub fn go_idle(&self, searching: bool, scheduler: &impl Scheduler) -> bool {
        if searching {
            self.0.fetch_sub(SEARCH, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        scheduler.work_waits() && self.claim_search()
    }
}
