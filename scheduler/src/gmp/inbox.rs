//! Inbox: goroutines that are bound to one M, delivered there by the Ms that found them.
//!
//! [`crate::sched::affinity::delivery`] says which M delivers, and which thread then wakes the
//! owner.
//!
//! # Invariants
//! * I1: the thread whose [`Inbox::deliver`] ends the owner's sleep (it returned `true`) hands the
//!   owner a P. No other thread does while the owner sleeps for its inbox.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::GRef;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::time::clock;

/// What the owner sleeps for, without a P and outside of the scheduler's lists.
enum Sleep {
    /// Nothing: it is awake, or stands in a list.
    No,
    /// Any goroutine.
    Any,
    /// The goroutine whose frames are on the owner's thread.
    One(GRef),
}

struct Inner {
    /// Each goroutine, with the time of its delivery.
    queue: VecDeque<(GRef, u64)>,
    sleep: Sleep,
}

/// The inbox of one M, its owner.
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    len: AtomicUsize,
    /// Whether the owner's last goroutine came from here.
    ///
    /// Only the owner touches this field.
    served_last: Cell<bool>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let inner = Inner { queue: VecDeque::new(), sleep: Sleep::No };
        Self { inner: Mutex::new(inner), len: AtomicUsize::new(0), served_last: Cell::new(false) }
    }

    /// Returns `true` if the inbox is empty.
    ///
    /// Racy, unless the caller holds a lock under which goroutines are delivered.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Delivers `g`.
    ///
    /// Returns `true` if the owner slept for it: the caller then hands the owner a P, and no other
    /// thread will (I1).
    #[must_use = "the owner waits for a P"]
    pub(crate) fn deliver(&self, g: GRef) -> bool {
        let mut inner = self.lock();
        let (wakes, queued) = match inner.sleep {
            Sleep::No => (false, true),
            Sleep::Any => (true, true),
            // That goroutine continues where it blocks, not from a queue.
            Sleep::One(only) => (only == g, only != g),
        };
        if wakes {
            inner.sleep = Sleep::No;
        }
        if queued {
            inner.queue.push_back((g, clock::now()));
        }
        self.len.store(inner.queue.len(), Ordering::Relaxed);
        wakes
    }

    /// Takes the oldest goroutine.
    pub(crate) fn take(&self) -> Option<GRef> {
        let mut inner = self.lock();
        let first = inner.queue.pop_front();
        self.len.store(inner.queue.len(), Ordering::Relaxed);
        first.map(|(g, _)| g)
    }

    /// Takes all goroutines.
    pub(crate) fn take_all(&self) -> Vec<GRef> {
        self.empty(&mut self.lock())
    }

    /// Notes that the owner, without a P, is about to sleep until any goroutine is delivered.
    ///
    /// Returns the goroutines that are already here, since they can no longer wake the owner.
    pub(crate) fn sleep_for_any(&self) -> Vec<GRef> {
        let mut inner = self.lock();
        inner.sleep = Sleep::Any;
        self.empty(&mut inner)
    }

    /// Notes that the owner is about to sleep until `g`, whose frames are on its thread, is to run
    /// again.
    ///
    /// Other goroutines wait until then.
    pub(crate) fn sleep_for(&self, g: GRef) {
        self.lock().sleep = Sleep::One(g);
    }

    /// Notes that the owner need not sleep after all.
    pub(crate) fn cancel_sleep(&self) {
        self.lock().sleep = Sleep::No;
    }

    /// Returns the goroutines that are currently here.
    pub(crate) fn waiting(&self) -> Vec<GRef> {
        self.lock().queue.iter().map(|(g, _)| *g).collect()
    }

    /// Returns the goroutine that was delivered first, and the time of its delivery in ns.
    pub(crate) fn oldest(&self) -> Option<(GRef, u64)> {
        self.lock().queue.front().copied()
    }

    /// Returns `true` if the owner will run the goroutines here without first being woken by a
    /// certain goroutine: that is, if no goroutine blocks it in place.
    pub(crate) fn has_runnable(&self) -> bool {
        let inner = self.lock();
        !inner.queue.is_empty() && !matches!(inner.sleep, Sleep::One(_))
    }

    /// Returns `true` if the owner takes from its inbox next, and not from its other queues.
    ///
    /// The inbox and the other queues alternate while both contain something.
    pub(crate) fn is_its_turn(&self) -> bool {
        !self.served_last.replace(!self.served_last.get())
    }

    /// Lets the owner take from its inbox next. Called by the owner after another thread has woken
    /// it, perhaps for a goroutine in the inbox: one in another queue could block the thread.
    pub(crate) fn serve_first(&self) {
        self.served_last.set(false);
    }

    fn empty(&self, inner: &mut Inner) -> Vec<GRef> {
        self.len.store(0, Ordering::Relaxed);
        inner.queue.drain(..).map(|(g, _)| g).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}
