//! Inbox: goroutines that must run on one certain M, left there by the Ms that found them.
//!
//! Who leaves one there, and who then wakes the owner, is told in `homeward`.
//!
//! # Invariants
//! * I1: whoever makes the owner's sleep end by a goroutine that it leaves (true from [`Inbox::deliver`]) hands the owner
//!   a P. Nobody else does so while it sleeps like this.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::GRef;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::time::clock;

/// What the owner sleeps for without a P, outside of the scheduler's lists.
enum Sleep {
    /// Nothing: it is awake, or stands in a list.
    No,
    /// Any goroutine.
    Any,
    /// The one whose frames are on its thread.
    One(GRef),
}

struct Inner {
    /// With the time at which each was left.
    queue: VecDeque<(GRef, u64)>,
    sleep: Sleep,
}

/// One M's inbox.
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    len: AtomicUsize,
    /// Whether the owner has taken from here last, of its two sources. Its own.
    served: Cell<bool>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let inner = Inner { queue: VecDeque::new(), sleep: Sleep::No };
        Self { inner: Mutex::new(inner), len: AtomicUsize::new(0), served: Cell::new(false) }
    }

    /// A look, certain only for who holds a lock under which goroutines are left.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Leaves `g`. True if the owner slept for that: the caller hands it a P, and nobody else will (I1).
    #[must_use = "the owner waits for a P"]
    pub(crate) fn deliver(&self, g: GRef) -> bool {
        let mut inner = self.lock();
        let (wakes, queued) = match inner.sleep {
            Sleep::No => (false, true),
            Sleep::Any => (true, true),
            // It comes back where it left, not from a queue.
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

    /// Takes the oldest.
    pub(crate) fn take(&self) -> Option<GRef> {
        let mut inner = self.lock();
        let first = inner.queue.pop_front();
        self.len.store(inner.queue.len(), Ordering::Relaxed);
        first.map(|(g, _)| g)
    }

    /// Takes all.
    pub(crate) fn take_all(&self) -> Vec<GRef> {
        self.empty(&mut self.lock())
    }

    /// The owner, without a P, is about to sleep until any goroutine is left. What is there already cannot wake it any
    /// more, and is handed back.
    pub(crate) fn sleep_for_any(&self) -> Vec<GRef> {
        let mut inner = self.lock();
        inner.sleep = Sleep::Any;
        self.empty(&mut inner)
    }

    /// Those that are left here at the moment.
    pub(crate) fn waiting(&self) -> Vec<GRef> {
        self.lock().queue.iter().map(|(g, _)| *g).collect()
    }

    /// Returns the goroutine that was left first, and when, in ns.
    pub(crate) fn oldest(&self) -> Option<(GRef, u64)> {
        self.lock().queue.front().copied()
    }

    /// Returns whether the owner will run what is here without being woken by a certain goroutine
    /// first: it is not blocked in place by one.
    pub(crate) fn has_runnable(&self) -> bool {
        let inner = self.lock();
        !inner.queue.is_empty() && !matches!(inner.sleep, Sleep::One(_))
    }

    fn empty(&self, inner: &mut Inner) -> Vec<GRef> {
        self.len.store(0, Ordering::Relaxed);
        inner.queue.drain(..).map(|(g, _)| g).collect()
    }

    /// The owner is about to sleep until `g`, whose frames are on its thread, is to run again. Others wait meanwhile.
    pub(crate) fn sleep_for(&self, g: GRef) {
        self.lock().sleep = Sleep::One(g);
    }

    /// The owner need not sleep after all.
    pub(crate) fn cancel_sleep(&self) {
        self.lock().sleep = Sleep::No;
    }

    /// Owner: whether it is the inbox's turn, or that of the owner's other work. They take turns while both have something.
    pub(crate) fn is_its_turn(&self) -> bool {
        !self.served.replace(!self.served.get())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}
