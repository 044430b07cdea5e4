//! A bounded queue, and what happens when it is full.
//!
//! Waiting creates back-pressure: producers become no faster than consumers, as with any channel.
//! If a producer cannot wait, like a sensor, a value has to be dropped: the new value or the oldest
//! one. A push returns the value that was lost. In Go, this is a `select` with a `default` around
//! each send.
//!
//! Prints:
//!
//! ```text
//! DropNewest: received [1, 2, 3], lost [4, 5]
//! DropOldest: received [3, 4, 5], lost [1, 2]
//! BlockTimeout(5ms): received [1, 2, 3], lost [4, 5]
//! Block: received [1, 2, 3, 4, 5], lost []
//! ```

use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::patterns::{OverflowPolicy, Queue};
use greenthread::spawn;

#[greenthread::main]
fn main() {
    // The consumer is so slow that it starts after the last push.
    for policy in
        [OverflowPolicy::DropNewest, OverflowPolicy::DropOldest, OverflowPolicy::BlockTimeout(Duration::from_millis(5))]
    {
        let queue = Queue::new(3, policy);
        let lost = produce(&queue);
        println!("{policy:?}: received {:?}, lost {lost:?}", queue.iter().collect::<Vec<_>>());
    }

    // Without a concurrent consumer, the producer would wait forever here.
    let queue = Queue::new(3, OverflowPolicy::Block);
    let to_fill = queue.clone();
    let producer = spawn(move || produce(&to_fill));
    let received: Vec<_> = queue.iter().collect();
    println!("Block: received {received:?}, lost {:?}", producer.join().unwrap());
}

/// Pushes five values, and returns the values that were lost.
fn produce(queue: &Queue<u32>) -> Vec<u32> {
    let ctx = Context::background();
    let mut lost = Vec::new();
    for n in 1..=5 {
        match queue.push(&ctx, n) {
            Ok(pushed) => lost.extend(pushed.lost()),
            Err(error) => lost.push(error.into_inner()),
        }
    }
    queue.close();
    lost
}
