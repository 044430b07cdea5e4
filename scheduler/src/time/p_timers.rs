//! The timers of one P: a heap under a lock.
//!
//! # Which M checks the clock
//! * The M that holds the P checks at each dispatch, if the heap is not empty.
//! * The *watcher* of an idle P is the M that released it last. It sleeps until the P's first
//!   deadline. A timer that is added from elsewhere wakes it.
//! * Searchers check the heaps of other Ps for overdue timers.
//! * Sysmon checks for overdue timers on a P whose M does not return. It retakes the P, or wakes a
//!   searcher.
//!
//! # Firing under the lock
//! A timer fires while its heap is locked. So when [`Timer::disarm`] returns, the timer was either
//! removed or has finished firing, and its memory belongs to the caller again. The price: `fire`
//! may ready a goroutine or claim a wait, but must not arm or disarm a timer.
//!
//! # Invariants
//! * I1: `home` names the heap that contains the node, and changes only under the locks of both
//!   heaps.
//! * I2: an armed timer stays in place until it has fired or was disarmed.
//!
//! # Orderings
//! * P1: the release store of `next` under the lock -> the acquire load in `next_when`. The value
//!   is only a hint: an M that acts on it takes the lock.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::prefetch::prefetch;
use crate::protocol::timer_heap::{TimerHeap, TimerNode};

/// The function that is called when a timer is due.
///
/// It is called under the lock of the heap, with the timer's argument and the context of `run_due`.
pub(crate) type Fire = unsafe fn(*const (), *mut ());

/// The part of a timer that a heap keeps.
struct Entry {
    fire: Fire,
    arg: *const (),
    home: AtomicPtr<PTimers>,
}

// SAFETY: `arg` is only passed to `fire`, which may be called on any M.
unsafe impl Send for Entry {}

/// The timers of one P.
pub(crate) struct PTimers {
    heap: Mutex<TimerHeap<Entry>>,
    /// The first deadline, or `u64::MAX` if there is none.
    next: AtomicU64,
}

/// A timer, stored in its owner's memory.
pub(crate) struct Timer(TimerNode<Entry>);

impl PTimers {
    pub(crate) fn new() -> Self {
        Self { heap: Mutex::default(), next: AtomicU64::new(u64::MAX) }
    }

    fn lock(&self) -> MutexGuard<'_, TimerHeap<Entry>> {
        self.heap.lock()
    }

    fn publish_next(&self, heap: &TimerHeap<Entry>) {
        // ORDERING P1: release, under the lock.
        self.next.store(heap.next_when(), Ordering::Release);
    }

    /// Returns the first deadline, or `u64::MAX` if there is none.
    #[inline]
    pub(crate) fn next_when(&self) -> u64 {
        // ORDERING P1: acquire.
        self.next.load(Ordering::Acquire)
    }

    /// Returns `true` if any timer is pending.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.next_when() != u64::MAX
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Fires the timers that are due at `now`, and returns `true` if there were any.
    ///
    /// # Safety
    /// `context` is the value that the timers' functions expect: a token for the P on which they
    /// make goroutines runnable.
    pub(crate) unsafe fn run_due(&self, now: u64, context: *mut ()) -> bool {
        if self.next_when() > now {
            return false;
        }
        let mut heap = self.lock();
        let mut fired = false;
        while let Some((_, node)) = heap.pop_due(now) {
            fired = true;
            // SAFETY: I2: the node stays in place until `fire` has let its owner continue; it is
            // read before that.
            let (fire, arg) = unsafe { (node.as_ref().value.fire, node.as_ref().value.arg) };
            // SAFETY: the caller passes the context that `fire` expects, and the heap is locked.
            unsafe { fire(arg, context) };
        }
        // Among many sleepers, the next one has probably left the cache long ago.
        if let Some(next) = heap.first() {
            prefetch(next.addr().get());
        }
        self.publish_next(&heap);
        fired
    }

    /// Moves all timers to `other`, another P's heap, and returns `true` if there were any.
    pub(crate) fn move_to(&self, other: &Self) -> bool {
        if ptr::eq(self, other) {
            return false;
        }
        let mut from = self.lock();
        let mut to = other.lock();
        let any = !from.is_empty();
        // I1: both heaps are locked.
        from.move_to(&mut to, |entry| entry.home.store(ptr::from_ref(other).cast_mut(), Ordering::Relaxed));
        self.publish_next(&from);
        other.publish_next(&to);
        any
    }
}

impl Timer {
    /// Creates a timer that is not armed, and will call `fire(arg)`.
    pub(crate) fn new(fire: Fire, arg: *const ()) -> Self {
        Self(TimerNode::new(Entry { fire, arg, home: AtomicPtr::new(ptr::null_mut()) }))
    }

    /// Arms the timer in `timers`.
    ///
    /// The caller wakes the M that sleeps until the first deadline there.
    ///
    /// # Safety
    /// The timer is not armed, and stays in place until it has fired or was disarmed (I2).
    pub(crate) unsafe fn arm(&self, timers: &PTimers, when: u64) {
        let mut heap = timers.lock();
        self.0.value.home.store(ptr::from_ref(timers).cast_mut(), Ordering::Relaxed);
        // SAFETY: the caller promises that the timer is not armed and stays in place.
        unsafe { heap.insert(when, NonNull::from(&self.0)) };
        timers.publish_next(&heap);
    }

    /// Arms a timer that will never be disarmed, otherwise like [`arm`](Self::arm).
    ///
    /// # Safety
    /// The contract of [`arm`](Self::arm), and [`disarm`](Self::disarm) is not called.
    pub(crate) unsafe fn arm_to_stay(&self, timers: &PTimers, when: u64) {
        let mut heap = timers.lock();
        // SAFETY: the caller promises that the timer is not armed and stays in place; `home` is
        // read only by `disarm`, which is not called.
        unsafe { heap.insert_to_stay(when, NonNull::from(&self.0)) };
        timers.publish_next(&heap);
    }

    /// Stops the timer, and returns `true` if it had not fired.
    ///
    /// When this returns, the timer's memory belongs to the caller again.
    pub(crate) fn disarm(&self) -> bool {
        loop {
            // SAFETY: I1; heaps belong to Ps, which are never freed.
            let Some(home) = (unsafe { self.0.value.home.load(Ordering::Relaxed).as_ref() }) else { return false };
            let mut heap = home.lock();
            // I1: with the lock held, `home` can no longer change; it may have changed before.
            if ptr::eq(self.0.value.home.load(Ordering::Relaxed), home) {
                // SAFETY: the node is alive, and is in this heap or in none.
                let removed = unsafe { heap.remove(NonNull::from(&self.0)) };
                home.publish_next(&heap);
                return removed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    unsafe fn count(arg: *const (), context: *mut ()) {
        assert!(context.is_null());
        // SAFETY: the tests pass counters that outlive their timers.
        unsafe { &*arg.cast::<AtomicU32>() }.fetch_add(1, Ordering::Relaxed);
    }

    fn fire(timers: &PTimers, now: u64) -> bool {
        // SAFETY: `count` expects a null context.
        unsafe { timers.run_due(now, ptr::null_mut()) }
    }

    #[test]
    fn timer_fires_once_or_is_disarmed() {
        let (timers, fired) = (PTimers::new(), AtomicU32::new(0));
        let new = || Timer::new(count, (&raw const fired).cast());
        let (early, late, never) = (new(), new(), new());
        assert!(!never.disarm(), "it was never armed");
        // SAFETY: the timers stay in place to the end of the test.
        unsafe {
            late.arm(&timers, 20);
            early.arm(&timers, 10);
        }
        assert_eq!(timers.next_when(), 10);
        assert!(!fire(&timers, 9));
        assert!(fire(&timers, 10));
        assert!(!early.disarm(), "it has fired");
        assert!(late.disarm());
        assert!(!late.disarm(), "it is stopped");
        assert!(!fire(&timers, 100));
        assert_eq!((fired.into_inner(), timers.any()), (1, false));
    }

    #[test]
    fn moved_timer_is_disarmed_in_its_new_heap() {
        let (old, new, fired) = (PTimers::new(), PTimers::new(), AtomicU32::new(0));
        let timer = Timer::new(count, (&raw const fired).cast());
        // SAFETY: the timer stays in place to the end of the test.
        unsafe { timer.arm(&old, 5) };
        assert!(old.move_to(&new));
        assert!(!old.move_to(&new), "nothing is left");
        assert_eq!((old.next_when(), new.next_when()), (u64::MAX, 5));
        assert!(timer.disarm());
        assert!(!new.any());
        assert_eq!(fired.into_inner(), 0);
    }
}
