//! The word shared by a goroutine and the waiters for its end.
//!
//! # Protocol
//! There is one word per goroutine. Its low two bits are flags. The rest is the head of a list of
//! [`JoinNode`]s, which are pushed by compare-and-swap and taken all at once by the exchange that
//! ends the goroutine.
//!
//! ```text
//! bits   | DONE | DETACHED | list of nodes
//! -------+------+----------+--------------------------------------------------
//! attached, running | 0 | 0 | waiters
//! detached, running | 0 | 1 | waiters without a handle (`done()` clones)
//! done              | 1 | ? | empty
//! ```
//!
//! The block belongs to two parties, the goroutine and its handle, and whichever leaves **last**
//! drops the result and frees the block. `detach` returns whether the goroutine has already ended.
//! The goroutine first checks whether it is detached. If so, it drops its result; this runs user
//! code, so it must come before the end. The goroutine then ends with an exchange, which fails if
//! the handle has left in between. So exactly one side leaves last. This takes one
//! read-modify-write at the end of a goroutine, and none in a `join` that finds the goroutine
//! ended. A reference count next to a state word would take two and one.
//!
//! # Invariants
//! * I1: DONE is set once and never cleared; after it the word does not change, except for
//!   DETACHED, which no longer matters.
//! * I2: a node in the list stays alive until its `wake` is called.
//!
//! # Orderings
//! * P1: the release half of `finish`'s exchange -> the acquire load in `is_done`, `push`, and
//!   `detach`: the result is visible.
//! * P2: the release exchange of `push` -> the acquire half of `finish`'s exchange: the node's
//!   fields are visible.

use crate::primitive::{AtomicUsize, Ordering};

const DONE: usize = 1;
const DETACHED: usize = 2;
const FLAGS: usize = DONE | DETACHED;

/// A waiter for the end of a goroutine.
///
/// It is aligned so that its address leaves the flag bits free.
#[repr(align(8))]
#[derive(Debug)]
pub struct JoinNode {
    next: AtomicUsize,
    /// Called once, with the node, on the stack of the goroutine that is ending.
    ///
    /// The node may be gone when it returns.
    wake: unsafe fn(*const JoinNode),
}

impl JoinNode {
    /// Creates a node that calls `wake`.
    pub fn new(wake: unsafe fn(*const JoinNode)) -> Self {
        Self { next: AtomicUsize::new(0), wake }
    }
}

/// The word of one goroutine, as described in the module's documentation.
#[derive(Debug)]
pub struct JoinWord(AtomicUsize);

/// The waiters that [`JoinWord::finish`] found when it ended the goroutine.
#[must_use]
pub struct Waiters(*const JoinNode);

impl Default for JoinWord {
    fn default() -> Self {
        Self::new()
    }
}

impl JoinWord {
    /// Creates the word of a goroutine that has a handle.
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Creates the word of a goroutine that never had a handle.
    pub fn detached() -> Self {
        Self(AtomicUsize::new(DETACHED))
    }

    /// Returns `true` if the goroutine has ended.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING P1: acquire; the result is visible.
        self.0.load(Ordering::Acquire) & DONE != 0
    }

    /// Returns `true` if the handle was dropped; the goroutine itself then drops the result.
    #[inline]
    pub fn is_detached(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DETACHED != 0
    }

    /// Adds a waiter.
    ///
    /// Returns `false` if the goroutine has already ended.
    ///
    /// # Safety
    /// The node stays in place until its `wake` is called (I2). The caller has a handle, so the
    /// word stays alive.
    pub unsafe fn push(&self, node: *const JoinNode) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word & DONE != 0 {
                return false;
            }
            // SAFETY: the node belongs to the caller until the exchange below publishes it.
            unsafe { &*node }.next.store(word & !FLAGS, Ordering::Relaxed);
            let new = node as usize | (word & FLAGS);
            // ORDERING P2: release publishes the node; P1: acquire on failure, which may have seen
            // DONE.
            match self.0.compare_exchange_weak(word, new, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Ends the goroutine.
    ///
    /// `detached` is `true` if the caller has already dropped the result because no handle is left.
    /// Returns `None` if the handle was dropped since the caller checked. The caller then drops the
    /// result and calls this method again.
    #[inline]
    pub fn finish(&self, detached: bool) -> Option<Waiters> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(word & DONE, 0, "join: finished twice");
            if word & DETACHED != 0 && !detached {
                return None;
            }
            // ORDERING P1: release publishes the result; P2: acquire sees the nodes.
            match self.0.compare_exchange_weak(word, DONE, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Waiters((word & !FLAGS) as *const JoinNode)),
                Err(now) => word = now,
            }
        }
    }

    /// Drops the handle's share.
    ///
    /// Returns `true` if the goroutine has ended, so that the caller must free the block.
    #[inline]
    pub fn detach(&self) -> bool {
        // ORDERING P1: acquire; the caller will drop the result.
        if self.0.load(Ordering::Acquire) & DONE != 0 {
            return true;
        }
        self.0.fetch_or(DETACHED, Ordering::AcqRel) & DONE != 0
    }
}

impl Waiters {
    /// Wakes all waiters, in the order of their arrival.
    #[inline]
    pub fn wake_all(self) {
        if !self.0.is_null() {
            wake_list(self.0);
        }
    }
}

#[cold]
fn wake_list(newest: *const JoinNode) {
    let mut oldest = std::ptr::null();
    let mut node = newest;
    while !node.is_null() {
        // SAFETY: I2: no node in the list has been woken yet.
        let next = unsafe { &*node }.next.load(Ordering::Relaxed) as *const JoinNode;
        // SAFETY: I2: no node in the list has been woken yet.
        unsafe { &*node }.next.store(oldest as usize, Ordering::Relaxed);
        oldest = node;
        node = next;
    }
    while !oldest.is_null() {
        // SAFETY: I2: this node has not been woken yet; it is read before it is woken.
        let (next, wake) = unsafe { ((*oldest).next.load(Ordering::Relaxed) as *const JoinNode, (*oldest).wake) };
        // SAFETY: this is the only call for this node, as the contract of `JoinNode::wake`
        // requires.
        unsafe { wake(oldest) };
        oldest = next;
    }
}
