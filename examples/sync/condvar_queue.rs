//! A bounded queue built from a mutex and two condition variables.
//!
//! The counterpart of Go's `sync.Cond`. A waiter releases the lock and parks, and holds the lock
//! again when it continues. Other goroutines may have held the lock in between, so the waiter
//! checks the condition in a loop, as `wait_while` does. A channel does all this already: condition
//! variables are for conditions other than "there is a value", and this example shows how they
//! work.
//!
//! Prints:
//!
//! ```text
//! 300 items through a queue of 4
//! the sum is 44850
//! the queue was never longer than 4: true
//! ```

use std::collections::VecDeque;

use greenthread::scope;
use greenthread::sync::{Condvar, Mutex};

struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    not_empty: Condvar,
    not_full: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    longest: usize,
}

impl<T> Queue<T> {
    fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false, longest: 0 };
        Self { state: Mutex::new(state), capacity, not_empty: Condvar::new(), not_full: Condvar::new() }
    }

    fn push(&self, item: T) {
        let mut state = self.state.lock();
        self.not_full.wait_while(&mut state, |state| state.items.len() == self.capacity);
        state.items.push_back(item);
        state.longest = state.longest.max(state.items.len());
        self.not_empty.notify_one();
    }

    /// Removes and returns the oldest value, or returns `None` when the queue is closed and empty.
    fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        self.not_empty.wait_while(&mut state, |state| state.items.is_empty() && !state.closed);
        let item = state.items.pop_front();
        self.not_full.notify_one();
        item
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.not_empty.notify_all();
    }
}

#[greenthread::main]
fn main() {
    let queue = Queue::new(4);
    let received: Vec<u64> = scope(|s| {
        let consume = || std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>();
        let consumers = [s.spawn(consume), s.spawn(consume)];
        scope(|producers| {
            for part in 0..3 {
                let queue = &queue;
                producers.spawn(move || (part * 100..(part + 1) * 100).for_each(|n| queue.push(n)));
            }
        });
        queue.close();
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect()
    });
    println!("{} items through a queue of {}", received.len(), queue.capacity);
    println!("the sum is {}", received.iter().sum::<u64>());
    println!("the queue was never longer than {}: {}", queue.capacity, queue.state.lock().longest <= queue.capacity);
}
