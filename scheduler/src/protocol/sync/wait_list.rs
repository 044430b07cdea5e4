//! A FIFO list whose nodes are on the waiters' stacks.
//!
//! Waiting allocates nothing. A goroutine's stack never moves, so its wait node can be in its own
//! frame, and a peer can write directly into that frame. (Go needs heap records for this, because
//! its stacks move.)
//!
//! # Invariants
//! * I1: a list and the links of every node in it are touched only under the lock of the list's
//!   owner.
//! * I2: a node in a list outlives its membership: its owner does not leave the frame before the
//!   node is popped or removed.
//! * I3: a node is in at most one list at a time.

use std::iter;
use std::ptr::NonNull;

use super::env::Wake;
use crate::primitive::UnsafeCell;

/// A place in a wait list, with the data about the waiter that a peer needs.
#[derive(Debug)]
pub struct WaitNode<T> {
    links: UnsafeCell<Links<T>>,
    /// The data that the owner of the list keeps about the waiter.
    pub value: T,
}

#[derive(Debug)]
struct Links<T> {
    prev: Option<NonNull<WaitNode<T>>>,
    next: Option<NonNull<WaitNode<T>>>,
    linked: bool,
}

impl<T> WaitNode<T> {
    /// Creates a node that is in no list.
    pub fn new(value: T) -> Self {
        Self { links: UnsafeCell::new(Links { prev: None, next: None, linked: false }), value }
    }

    /// Returns `true` if the node is in a list.
    ///
    /// # Safety
    /// The caller holds the lock of the list that the node may be in.
    pub unsafe fn is_linked(&self) -> bool {
        // SAFETY: I1: the caller holds the lock of the list.
        self.links.with(|links| unsafe { (*links).linked })
    }
}

/// A FIFO list of [`WaitNode`]s, to be kept under a lock.
#[derive(Debug)]
pub struct WaitList<T> {
    head: Option<NonNull<WaitNode<T>>>,
    tail: Option<NonNull<WaitNode<T>>>,
}

// SAFETY: the list is a pair of pointers to nodes that I1 and I2 keep valid; the nodes' contents
// cross threads, hence the bound.
unsafe impl<T: Send> Send for WaitList<T> {}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> WaitList<T> {
    /// Creates an empty list.
    pub const fn new() -> Self {
        Self { head: None, tail: None }
    }

    /// Returns `true` if there is no waiter.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Returns the node that has waited longest, without removing it.
    #[inline]
    pub fn front(&self) -> Option<NonNull<WaitNode<T>>> {
        self.head
    }

    /// Returns the node that follows `node`.
    ///
    /// # Safety
    /// `node` is in this list.
    pub unsafe fn next(&self, node: NonNull<WaitNode<T>>) -> Option<NonNull<WaitNode<T>>> {
        // SAFETY: the node is in this list, so I1 and I2 hold for it.
        unsafe { node.as_ref() }.links.with(|links| unsafe { (*links).next })
    }

    /// Appends a node.
    ///
    /// # Safety
    /// `node` is in no list (I3), and its owner keeps it in place until it is popped or removed
    /// (I2).
    pub unsafe fn push_back(&mut self, node: NonNull<WaitNode<T>>) {
        let links = Links { prev: self.tail, next: None, linked: true };
        // SAFETY: the node is alive (I2) and in no list, so no other thread reads its links.
        unsafe { node.as_ref() }.links.with_mut(|l| unsafe { *l = links });
        match self.tail {
            // SAFETY: the tail is in this list, and `&mut self` is the lock (I1).
            Some(tail) => unsafe { tail.as_ref() }.links.with_mut(|l| unsafe { (*l).next = Some(node) }),
            None => self.head = Some(node),
        }
        self.tail = Some(node);
    }

    /// Prepends a node, which is then served next.
    ///
    /// # Safety
    /// `node` is in no list (I3), and its owner keeps it in place until it is popped or removed
    /// (I2).
    pub unsafe fn push_front(&mut self, node: NonNull<WaitNode<T>>) {
        let links = Links { prev: None, next: self.head, linked: true };
        // SAFETY: the node is alive (I2) and in no list, so no other thread reads its links.
        unsafe { node.as_ref() }.links.with_mut(|l| unsafe { *l = links });
        match self.head {
            // SAFETY: the head is in this list, and `&mut self` is the lock (I1).
            Some(head) => unsafe { head.as_ref() }.links.with_mut(|l| unsafe { (*l).prev = Some(node) }),
            None => self.tail = Some(node),
        }
        self.head = Some(node);
    }

    /// Removes and returns the node that has waited longest.
    #[inline]
    pub fn pop_front(&mut self) -> Option<NonNull<WaitNode<T>>> {
        let head = self.head?;
        // SAFETY: the head is in this list.
        unsafe { self.remove(head) };
        Some(head)
    }

    /// Removes all nodes, the longest-waiting first, and wakes each through the waker that `of`
    /// finds in it.
    ///
    /// # Safety
    /// The list has been detached from the one that other threads can reach, and that list's lock
    /// is released. Each waker fulfills the contract of [`Wake::wake`].
    pub unsafe fn wake_all<K: Wake>(mut self, of: impl Fn(&T) -> &K) {
        while let Some(node) = self.pop_front() {
            // SAFETY: I2: the owner stays in its frame until its wake-up below, and so do the
            // owners of the nodes that are still in the list.
            let waker = of(&unsafe { node.as_ref() }.value).clone();
            // SAFETY: the lock is released and the waiters were removed under it, as the contract
            // of this function demands for each waker.
            unsafe { waker.wake() };
        }
    }

    /// Removes the longest-waiting node whose wait has not ended, and reserves the waker that `of`
    /// finds in it.
    ///
    /// Drops the nodes before it: their owners will withdraw.
    ///
    /// # Safety
    /// The caller holds the lock of the list, as [`Wake::reserve`] demands.
    pub unsafe fn reserve_front<K: Wake>(&mut self, of: impl Fn(&T) -> &K) -> Option<NonNull<WaitNode<T>>> {
        // SAFETY: I2: the node was removed here, and its owner has yet to be woken or to pass
        // through the lock to withdraw.
        iter::from_fn(|| self.pop_front()).find(|node| unsafe { of(&node.as_ref().value).reserve() })
    }

    /// Removes all nodes whose wait has not ended, and reserves them like
    /// [`reserve_front`](Self::reserve_front).
    ///
    /// # Safety
    /// The caller holds the lock of the list, as [`Wake::reserve`] demands.
    pub unsafe fn reserve_all<K: Wake>(&mut self, of: impl Fn(&T) -> &K) -> Self {
        let mut reserved = Self::new();
        // SAFETY: the caller holds the lock of the list.
        while let Some(node) = unsafe { self.reserve_front(&of) } {
            // SAFETY: the node is in no list now, and its owner stays until the wake-up (I2).
            unsafe { reserved.push_back(node) };
        }
        reserved
    }

    /// Removes `node` if it is still in the list.
    ///
    /// Returns `true` if it was.
    ///
    /// # Safety
    /// `node` is alive, and is in this list or in none.
    pub unsafe fn remove(&mut self, node: NonNull<WaitNode<T>>) -> bool {
        // SAFETY: the node is alive, and `&mut self` is the lock (I1).
        let links = unsafe { node.as_ref() }
            .links
            .with_mut(|l| unsafe { std::mem::replace(&mut *l, Links { prev: None, next: None, linked: false }) });
        if !links.linked {
            return false;
        }
        match links.prev {
            // SAFETY: a neighbor of a linked node is linked (I1, I2).
            Some(prev) => unsafe { prev.as_ref() }.links.with_mut(|l| unsafe { (*l).next = links.next }),
            None => self.head = links.next,
        }
        match links.next {
            // SAFETY: a neighbor of a linked node is linked (I1, I2).
            Some(next) => unsafe { next.as_ref() }.links.with_mut(|l| unsafe { (*l).prev = links.prev }),
            None => self.tail = links.prev,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &mut WaitList<u32>) -> Vec<u32> {
        // SAFETY: the nodes outlive the list in these tests.
        iter::from_fn(|| list.pop_front()).map(|n| unsafe { n.as_ref() }.value).collect()
    }

    #[test]
    fn fifo_with_removal_anywhere() {
        let nodes: Vec<_> = (0..5).map(WaitNode::new).collect();
        for gone in 0..5usize {
            let mut list = WaitList::new();
            for node in &nodes {
                // SAFETY: the nodes live to the end of the test and are in no list.
                unsafe { list.push_back(NonNull::from(node)) };
            }
            // SAFETY: the node is in this list for the first call, and in none afterwards.
            unsafe {
                assert!(list.remove(NonNull::from(&nodes[gone])));
                assert!(!list.remove(NonNull::from(&nodes[gone])));
            }
            let expected: Vec<u32> = (0..5).filter(|&n| n as usize != gone).collect();
            assert_eq!(values(&mut list), expected);
            assert!(list.is_empty());
        }
    }

    #[test]
    fn push_front_is_served_first() {
        let (a, b) = (WaitNode::new(1), WaitNode::new(2));
        let mut list = WaitList::new();
        // SAFETY: the nodes live to the end of the test and are in no list.
        unsafe {
            list.push_back(NonNull::from(&a));
            list.push_front(NonNull::from(&b));
        }
        assert_eq!(values(&mut list), [2, 1]);
    }
}
