//! Publish-subscribe: who publishes does not know who listens.
//!
//! Each subscription has a buffer, and says what is to happen when it is full: the publisher waits, or the oldest or
//! the newest value is dropped. So one that is slow harms itself at most. In Go one builds it of a map of slices of
//! channels, and a mutex.
//!
//! Prints:
//!
//! ```text
//! the price reached 2 subscribers, the weather 0
//! ledger: [101, 102, 103, 104, 105]
//! display: [104, 105], missed 3
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::{Broker, OverflowPolicy};
use greenthread::spawn;

#[greenthread::main]
fn main() {
    let (ctx, broker) = (Context::background(), Broker::<u32>::new());
    // A ledger needs all, and is waited for. A display shows the latest.
    let ledger = broker.subscribe("prices", 1, OverflowPolicy::Block);
    let display = broker.subscribe("prices", 2, OverflowPolicy::DropOldest);

    let ledger = spawn(move || ledger.iter().collect::<Vec<_>>());
    for price in 101..105 {
        broker.publish(&ctx, "prices", price).unwrap();
    }
    let prices = broker.publish(&ctx, "prices", 105).unwrap();
    let weather = broker.publish(&ctx, "weather", 20).unwrap();
    println!("the price reached {prices} subscribers, the weather {weather}");

    // With the broker all subscriptions end, after what is in their buffers.
    drop(broker);
    println!("ledger: {:?}", ledger.join().unwrap());
    println!("display: {:?}, missed {}", display.iter().collect::<Vec<_>>(), display.missed());
}
