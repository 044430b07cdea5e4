//! `tee`: the same values for two readers, like the shell's `tee`.
//!
//! Both readers get all values, at the pace of the slower one. So they have to be two goroutines: a
//! single goroutine that first reads one side and then the other would wait for itself.
//!
//! Prints:
//!
//! ```text
//! 3 payments, 60 in all
//! log: ada 10; grace 20; barbara 30
//! ```

use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, tee};
use greenthread::spawn;

#[greenthread::main]
fn main() {
    let ctx = Context::background();
    let payments = Pipeline::new(&ctx, [("ada", 10), ("grace", 20), ("barbara", 30)]);
    let (accounts, log) = tee(&ctx, payments);

    let log = spawn(move || log.map(|(name, amount)| format!("{name} {amount}")).collect::<Vec<_>>().unwrap());
    let amounts: Vec<u32> = accounts.map(|(_, amount)| amount).collect().unwrap();
    println!("{} payments, {} in all", amounts.len(), amounts.iter().sum::<u32>());
    println!("log: {}", log.join().unwrap().join("; "));
}
