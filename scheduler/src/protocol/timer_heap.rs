//! A heap of deadlines: the earliest is immediately available, and any of them can be removed.
//!
//! # Layout
//! A 4-ary min-heap in one vector: the children of entry `i` are `4i + 1 ..= 4i + 4`. An entry is a
//! deadline and a pointer to its node, 16 bytes. The deadline is copied into the entry, so choosing
//! among four children reads one or two cache lines and no node. The node keeps the entry's index,
//! so a stopped timer is removed immediately, in O(log n). Its memory can then be freed or reused,
//! because no dead entry stays behind in the heap.
//!
//! A timer that is never stopped, such as a sleep's timer, needs no index. The lowest bit of the
//! pointer marks its entry as one that *stays* until it is due. Moving the entry in the heap then
//! does not touch its node. With many sleepers, touching a node means a cache miss: with a million
//! sleepers, removing from the heap was 26 % of the profile with indices, and is 12 % of a shorter
//! run without them.
//!
//! The heap has no clock and no lock. Its owner locks it and passes the time.
//!
//! Timers with equal deadlines come out in any order (as in Go). Keeping their insertion order
//! would need eight more bytes in each entry, and only half as many entries would fit in a cache
//! line.
//!
//! # Rejected
//! Prototypes, ns with 1k, 100k, and 1M timers pending:
//! * A binary heap whose canceled entries stay until they are due: a timer that is stopped early,
//!   as nearly every I/O deadline is, would keep its entry until the deadline, and popping costs
//!   169, 196, 315 against 45, 92, 206.
//! * A balanced tree: 61, 158, 393 to insert and cancel, against 8, 8, 5.
//! * A hierarchical wheel: 3, 3, 3 for the same, but it rounds deadlines, needs a search to find
//!   the next one, and costs a fixed table per P. It is the way to go if timers ever show up in a
//!   profile.
//!
//! For current figures, run `cargo bench -p greenthread-benches --bench timer_heap`.
//!
//! # Invariants
//! * I1: the heap and the indices in its nodes are touched only under the lock of the heap's owner.
//! * I2: a node in a heap stays in place until it is popped or removed.
//! * I3: a node is in at most one heap, and only once. Its index is `ABSENT` when it is in no heap.
//! * I4: for every entry `i` that does not stay, the index in its node is `i`. The nodes of entries
//!   that stay have no index.
//! * I5: no entry is due before its parent.

use std::fmt;
use std::ptr::NonNull;

use crate::primitive::UnsafeCell;

/// The index of a node in no heap.
const ABSENT: usize = usize::MAX;
/// The number of children of an entry.
///
/// Four make the tree half as deep as two, and their deadlines fill one cache line.
const ARITY: usize = 4;
/// A vector of this size or less is never shrunk.
const SMALL: usize = 64;

/// A place in a [`TimerHeap`], with the value that its owner needs when the timer is due.
#[derive(Debug)]
pub struct TimerNode<T> {
    // Under the lock of the heap's owner (I1).
    index: UnsafeCell<usize>,
    /// What the owner keeps about the timer.
    pub value: T,
}

impl<T> TimerNode<T> {
    /// Creates a node that is in no heap.
    pub fn new(value: T) -> Self {
        Self { index: UnsafeCell::new(ABSENT), value }
    }

    /// Returns `true` if the node is in a heap.
    ///
    /// # Safety
    /// The caller holds the lock of the heap that the node may be in.
    pub unsafe fn is_pending(&self) -> bool {
        // SAFETY: I1: the caller holds the lock of the heap.
        self.index.with(|index| unsafe { *index }) != ABSENT
    }
}

struct Entry<T> {
    when: u64,
    /// The node's address, with or without the mark [`STAYS`].
    marked: NonNull<TimerNode<T>>,
}

/// Marks an entry that is never removed before it is due.
///
/// A node's alignment is greater than 1, so this bit of its address is free.
const STAYS: usize = 1;

impl<T> Entry<T> {
    #[inline]
    fn stays(self) -> bool {
        self.marked.addr().get() & STAYS != 0
    }

    #[inline]
    fn node(self) -> NonNull<TimerNode<T>> {
        // SAFETY: without the mark, this is the address of a node, which is not null.
        unsafe { NonNull::new_unchecked(self.marked.as_ptr().map_addr(|addr| addr & !STAYS)) }
    }

    /// Records in the node where its entry is (I4).
    #[inline]
    fn set_index(self, index: usize) {
        if !self.stays() {
            // SAFETY: the node is in place (I2), and the callers' `&mut TimerHeap` is the lock
            // (I1).
            unsafe { self.node().as_ref() }.index.with_mut(|i| unsafe { *i = index });
        }
    }
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<T> {}

/// A heap of deadlines, to be kept under a lock.
pub struct TimerHeap<T> {
    entries: Vec<Entry<T>>,
}

// SAFETY: the heap points to nodes that I2 keeps in place, and accesses them only under the lock
// (I1); the nodes' contents cross threads, hence the bound.
unsafe impl<T: Send> Send for TimerHeap<T> {}

impl<T> fmt::Debug for TimerHeap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHeap").field("len", &self.len()).field("next_when", &self.next_when()).finish()
    }
}

impl<T> Default for TimerHeap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TimerHeap<T> {
    /// Creates an empty heap.
    ///
    /// Allocates nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Returns the number of pending timers.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if no timer is pending.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the earliest deadline, or `u64::MAX` if there is none.
    #[inline]
    pub fn next_when(&self) -> u64 {
        self.entries.first().map_or(u64::MAX, |first| first.when)
    }

    /// Returns the earliest timer, without removing it.
    #[inline]
    pub fn first(&self) -> Option<NonNull<TimerNode<T>>> {
        self.entries.first().map(|first| first.node())
    }

    /// Inserts `node`, due at `when`.
    ///
    /// May allocate.
    ///
    /// # Safety
    /// `node` is in no heap (I3), and its owner keeps it in place until it is popped or removed
    /// (I2).
    #[inline]
    pub unsafe fn insert(&mut self, when: u64, node: NonNull<TimerNode<T>>) {
        self.insert_entry(Entry { when, marked: node });
    }

    /// Inserts, like [`insert`](Self::insert), a timer that is never removed before it is due.
    ///
    /// # Safety
    /// `node` is in no heap (I3), its owner keeps it in place until it is popped (I2), and
    /// [`remove`](Self::remove) is not called for it.
    #[inline]
    pub unsafe fn insert_to_stay(&mut self, when: u64, node: NonNull<TimerNode<T>>) {
        self.insert_entry(Entry { when, marked: node.map_addr(|addr| addr | STAYS) });
    }

    fn insert_entry(&mut self, entry: Entry<T>) {
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry);
    }

    /// Removes `node`.
    ///
    /// Returns `false` if the node was not in the heap because it has fired or was never inserted.
    ///
    /// # Safety
    /// `node` is alive, and is in this heap or in none.
    pub unsafe fn remove(&mut self, node: NonNull<TimerNode<T>>) -> bool {
        // SAFETY: the node is alive, and `&mut self` is the lock (I1).
        let index = unsafe { node.as_ref() }.index.with(|index| unsafe { *index });
        if index == ABSENT {
            return false;
        }
        debug_assert!(self.entries[index].marked == node, "timer_heap: node of another heap; index = {index}");
        self.remove_at(index);
        true
    }

    /// Removes the earliest timer if it is due at `now`, and returns it with its deadline.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, NonNull<TimerNode<T>>)> {
        let first = *self.entries.first().filter(|first| first.when <= now)?;
        self.remove_at(0);
        Some((first.when, first.node()))
    }

    /// Moves all timers to `other` when a P retires, and calls `each` for every one of them.
    pub fn move_to(&mut self, other: &mut Self, mut each: impl FnMut(&T)) {
        for entry in std::mem::take(&mut self.entries) {
            // SAFETY: the node is in place (I2).
            each(&unsafe { entry.node().as_ref() }.value);
            other.insert_entry(entry);
        }
    }

    fn remove_at(&mut self, index: usize) {
        let gone = self.entries[index];
        let last = self.entries.pop().expect("timer_heap: an entry to remove");
        if index < self.entries.len() {
            // The last entry fills the hole. From there it may have to move in either direction,
            // unless the hole was the root.
            if index > 0 && last.when < self.entries[(index - 1) / ARITY].when {
                self.sift_up(index, last);
            } else {
                self.sift_down(index, last);
            }
        }
        gone.set_index(ABSENT);
        self.shrink();
    }

    /// Moves the hole at `hole` toward the root until `entry` fits (I5).
    #[inline]
    fn sift_up(&mut self, mut hole: usize, entry: Entry<T>) {
        while hole > 0 {
            let parent = (hole - 1) / ARITY;
            if self.entries[parent].when <= entry.when {
                break;
            }
            self.put(hole, self.entries[parent]);
            hole = parent;
        }
        self.put(hole, entry);
    }

    /// Moves the hole at `hole` toward the leaves until `entry` fits (I5).
    #[inline]
    fn sift_down(&mut self, mut hole: usize, entry: Entry<T>) {
        loop {
            let first = hole * ARITY + 1;
            let Some(earliest) = self.earliest_from(first) else { break };
            let child = self.entries[earliest];
            if entry.when <= child.when {
                break;
            }
            self.put(hole, child);
            hole = earliest;
        }
        self.put(hole, entry);
    }

    /// Returns the earliest of the siblings that begin at `first`.
    #[inline]
    fn earliest_from(&self, first: usize) -> Option<usize> {
        if let Some([a, b, c, d]) = self.entries.get(first..first + ARITY) {
            // Two independent comparisons and a final one leave the branch predictor nothing to
            // mispredict.
            let (low, low_when) = if b.when < a.when { (1, b.when) } else { (0, a.when) };
            let (high, high_when) = if d.when < c.when { (3, d.when) } else { (2, c.when) };
            return Some(first + if high_when < low_when { high } else { low });
        }
        (first..self.entries.len()).min_by_key(|&i| self.entries[i].when)
    }

    /// Moves an entry together with its node's index (I4).
    #[inline]
    fn put(&mut self, index: usize, entry: Entry<T>) {
        self.entries[index] = entry;
        entry.set_index(index);
    }

    /// Shrinks the vector when less than an eighth of it is in use, and leaves room for as many
    /// entries again.
    #[inline]
    fn shrink(&mut self) {
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        if capacity > SMALL && len < capacity / 8 {
            self.entries.shrink_to((len * 2).max(SMALL));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{BuildHasher, RandomState};

    type Node = TimerNode<usize>;

    /// A xorshift generator: its seed reproduces a run.
    struct Random(u64);

    impl Random {
        fn new(seed: u64) -> Self {
            println!("seed {seed:#x}");
            Self(seed | 1)
        }

        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    fn nodes(n: usize) -> Vec<Node> {
        (0..n).map(Node::new).collect()
    }

    fn value(node: NonNull<Node>) -> usize {
        // SAFETY: the nodes of these tests outlive their heaps.
        unsafe { node.as_ref() }.value
    }

    fn assert_ordered(heap: &TimerHeap<usize>) {
        for (i, entry) in heap.entries.iter().enumerate() {
            // SAFETY: the nodes of these tests outlive their heaps, and there is one thread.
            let index = unsafe { entry.node().as_ref() }.index.with(|index| unsafe { *index });
            assert_eq!(index, if entry.stays() { ABSENT } else { i }, "I4");
            assert!(i == 0 || heap.entries[(i - 1) / ARITY].when <= entry.when, "I5 at {i}");
        }
    }

    /// A heap, the nodes it may hold, and a model of its contents.
    struct Checked<'a> {
        heap: TimerHeap<usize>,
        nodes: &'a [Node],
        pending: BTreeMap<usize, u64>,
        order: BTreeSet<(u64, usize)>,
    }

    impl<'a> Checked<'a> {
        fn new(nodes: &'a [Node]) -> Self {
            Self { heap: TimerHeap::new(), nodes, pending: BTreeMap::new(), order: BTreeSet::new() }
        }

        fn insert(&mut self, id: usize, when: u64) {
            if self.pending.insert(id, when).is_some_and(|old| self.order.remove(&(old, id))) {
                // SAFETY: the node outlives the heap and is in it.
                assert!(unsafe { self.heap.remove(NonNull::from(&self.nodes[id])) });
            }
            self.order.insert((when, id));
            // SAFETY: the node outlives the heap and is in none, by the lines above.
            unsafe { self.heap.insert(when, NonNull::from(&self.nodes[id])) };
        }

        fn remove(&mut self, id: usize) {
            let expected = self.pending.remove(&id).is_some_and(|when| self.order.remove(&(when, id)));
            // SAFETY: the node outlives the heap and is in it or in none.
            assert_eq!(unsafe { self.heap.remove(NonNull::from(&self.nodes[id])) }, expected);
        }

        fn pop_due(&mut self, now: u64) -> bool {
            let popped = self.heap.pop_due(now);
            let expected = self.order.first().map(|&(when, _)| when).filter(|&when| when <= now);
            assert_eq!(popped.map(|(when, _)| when), expected);
            popped.is_some_and(|(when, node)| {
                assert_eq!(self.pending.remove(&value(node)), Some(when));
                assert!(self.order.remove(&(when, value(node))));
                true
            })
        }

        fn check(&self) {
            assert_eq!(self.heap.len(), self.order.len());
            assert_eq!(self.heap.next_when(), self.order.first().map_or(u64::MAX, |&(when, _)| when));
            for (id, node) in self.nodes.iter().enumerate() {
                // SAFETY: there is one thread.
                assert_eq!(unsafe { node.is_pending() }, self.pending.contains_key(&id));
            }
            assert_ordered(&self.heap);
        }
    }

    #[test]
    fn behaves_like_a_sorted_map() {
        let mut random = Random::new(RandomState::new().hash_one(0));
        for round in 0..60 {
            let nodes = nodes(1 + random.below(200) as usize);
            // A small span produces equal deadlines.
            let span = if round % 2 == 0 { 10 } else { u64::MAX };
            let mut checked = Checked::new(&nodes);
            for _ in 0..500 {
                let id = random.below(nodes.len() as u64) as usize;
                match random.below(8) {
                    0..4 => checked.insert(id, random.below(span)),
                    4..6 => checked.remove(id),
                    _ => _ = checked.pop_due(random.below(span)),
                }
                checked.check();
            }
            while checked.pop_due(u64::MAX) {
                checked.check();
            }
            assert!(checked.heap.is_empty());
        }
    }

    #[test]
    fn nothing_is_due_early() {
        let node = Node::new(7);
        let mut heap = TimerHeap::new();
        assert_eq!(heap.next_when(), u64::MAX);
        assert!(heap.pop_due(u64::MAX).is_none());
        // SAFETY: the node outlives the heap and is in none.
        unsafe { heap.insert(100, NonNull::from(&node)) };
        assert!(heap.pop_due(99).is_none());
        assert_eq!(heap.pop_due(100).map(|(when, node)| (when, value(node))), Some((100, 7)));
    }

    #[test]
    fn all_timers_move() {
        let nodes = nodes(300);
        let (mut heap, mut other) = (TimerHeap::new(), TimerHeap::new());
        for node in &nodes {
            // SAFETY: the node outlives the heaps and is in none. Only the first ten are removed.
            unsafe {
                if node.value < 10 {
                    heap.insert(1 + node.value as u64, NonNull::from(node));
                } else {
                    heap.insert_to_stay(node.value as u64 % 50, NonNull::from(node));
                }
            }
        }
        let mut told = BTreeSet::new();
        heap.move_to(&mut other, |value| assert!(told.insert(*value)));
        assert!(heap.is_empty() && told.len() == nodes.len());
        assert_ordered(&other);
        for node in &nodes[..10] {
            // SAFETY: the node is in this heap.
            unsafe {
                assert!(other.remove(NonNull::from(node)));
                assert!(!node.is_pending());
            }
        }
        let mut popped: Vec<_> = std::iter::from_fn(|| other.pop_due(u64::MAX)).collect();
        assert!(popped.is_sorted_by_key(|(when, _)| *when));
        assert!(popped.iter().all(|(when, node)| value(*node) as u64 % 50 == *when));
        popped.dedup_by_key(|(_, node)| value(*node));
        assert_eq!(popped.len(), nodes.len() - 10);
    }

    #[test]
    fn memory_follows_the_number_of_timers() {
        let nodes = nodes(100_000);
        let mut heap = TimerHeap::new();
        for node in &nodes {
            // SAFETY: the node outlives the heap and is in none.
            unsafe { heap.insert(node.value as u64, NonNull::from(node)) };
        }
        assert!(heap.entries.capacity() >= nodes.len());
        while heap.len() > 10 {
            heap.pop_due(u64::MAX);
        }
        assert!(heap.entries.capacity() <= SMALL * 8, "capacity {}", heap.entries.capacity());
        assert_ordered(&heap);
    }
}
