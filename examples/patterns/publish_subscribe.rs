//! Publish-subscribe: publishers do not know their subscribers.
//!
//! Each subscription has a buffer, and a policy for when it is full: the publisher waits, or the
//! oldest or the newest value is dropped. So a slow subscriber that does not block harms only
//! itself. In Go you build this from a map of slices of channels, and a mutex.
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
    // A ledger needs all values, so the publisher waits for it. A display shows only the latest
    // values.
    let ledger = broker.subscribe("prices", 1, OverflowPolicy::Block);
    let display = broker.subscribe("prices", 2, OverflowPolicy::DropOldest);

    let ledger = spawn(move || ledger.iter().collect::<Vec<_>>());
    for price in 101..105 {
        broker.publish(&ctx, "prices", price).unwrap();
    }
    let prices = broker.publish(&ctx, "prices", 105).unwrap();
    let weather = broker.publish(&ctx, "weather", 20).unwrap();
    println!("the price reached {prices} subscribers, the weather {weather}");

    // All subscriptions end with the broker, after the values in their buffers.
    drop(broker);
    println!("ledger: {:?}", ledger.join().unwrap());
    println!("display: {:?}, missed {}", display.iter().collect::<Vec<_>>(), display.missed());
}
