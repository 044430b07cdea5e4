//! The timer heap alone: no lock, no clock, no goroutine.
//!
//! Timed: insert and cancel at once (an I/O deadline that never fires); cancel a random timer and
//! insert another (many connections, each with a deadline); pop the earliest and insert a late one
//! (timers that fire). Each with 1k, 100k and 1M timers pending. Not timed: building the heap, and
//! what the firing of a timer makes runnable.
//!
//! The rival's equivalent is `time.NewTimer` and `Stop` in Go, without the clock and the lock. With
//! 1M timers pending, cache misses on the nodes dominate: the figures depend on the size of the
//! last-level cache.

use std::hint::black_box;
use std::ptr::NonNull;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use greenthread_scheduler::protocol::timer_heap::{TimerHeap, TimerNode};

/// All deadlines are within one simulated second.
const SPAN: u64 = 1_000_000_000;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A heap full of timers, and one node that is in no heap.
struct Full {
    heap: TimerHeap<()>,
    nodes: Vec<TimerNode<()>>,
    spare: TimerNode<()>,
    random: Random,
}

impl Full {
    fn new(pending: usize) -> Self {
        let mut full = Self {
            heap: TimerHeap::new(),
            nodes: (0..pending).map(|_| TimerNode::new(())).collect(),
            spare: TimerNode::new(()),
            random: Random(0x9e37_79b9_7f4a_7c15),
        };
        for node in &full.nodes {
            // SAFETY: the nodes live as long as the heap, in a vector that no longer grows, and
            // each is inserted once.
            unsafe { full.heap.insert(full.random.below(SPAN), NonNull::from(node)) };
        }
        full
    }

    fn insert_and_cancel(&mut self) {
        let when = SPAN / 2 + self.random.below(SPAN);
        let spare = NonNull::from(&self.spare);
        // SAFETY: the spare node is in the heap between these two lines only.
        unsafe {
            self.heap.insert(when, spare);
            self.heap.remove(spare);
        }
    }

    fn replace(&mut self) {
        let node = NonNull::from(&self.nodes[self.random.below(self.nodes.len() as u64) as usize]);
        // SAFETY: the node is in the heap before and after.
        unsafe {
            self.heap.remove(node);
            self.heap.insert(self.random.below(SPAN), node);
        }
    }

    fn fire(&mut self) {
        let (when, node) = self.heap.pop_due(u64::MAX).expect("a full heap");
        // SAFETY: the node was just popped, so it is in no heap.
        unsafe { self.heap.insert(when + self.random.below(SPAN), node) };
    }
}

fn timer_heap(c: &mut Criterion) {
    for (name, operation) in [
        ("insert_and_cancel", Full::insert_and_cancel as fn(&mut Full)),
        ("replace_random", Full::replace),
        ("pop_and_insert", Full::fire),
    ] {
        let mut group = c.benchmark_group(format!("timer_heap/{name}"));
        for pending in [1_000, 100_000, 1_000_000] {
            let mut full = Full::new(pending);
            group.bench_function(BenchmarkId::from_parameter(pending), |b| b.iter(|| operation(black_box(&mut full))));
        }
    }
}

criterion_group!(benches, timer_heap);
criterion_main!(benches);
