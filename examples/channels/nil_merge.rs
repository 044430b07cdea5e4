//! Nil channels, which switch off arms of a `select!`.
//!
//! An arm on a nil channel is never chosen. In `merge`, an input that has closed is replaced with
//! `never()`, like Go's `a = nil`. Otherwise, its arm would be chosen again and again, because a
//! receive from a closed channel always returns at once. In `buffer`, the arm that sends is off
//! while there is nothing to send.
//!
//! Prints:
//!
//! ```text
//! from a: [1]
//! from b: [2, 4, 6, 8, 10, 12]
//! from the buffer: [0, 1, 2, 3, 4], then [5, 6, 7]
//! ```

use std::collections::VecDeque;

use greenthread::channel::{self, Receiver};
use greenthread::{go, select};

#[greenthread::main]
fn main() {
    // The inputs may interleave in any way, but the values of each input keep their order.
    let merged = merge(source(vec![1]), source(vec![2, 4, 6, 8, 10, 12]));
    let (a, b): (Vec<_>, Vec<_>) = merged.iter().partition(|n| n % 2 == 1);
    println!("from a: {a:?}\nfrom b: {b:?}");

    let (tx, rx) = channel::bounded(0);
    let buffered = buffer(rx);
    (0..5).for_each(|n| tx.send(n).unwrap()); // although no goroutine receives yet
    let early: Vec<_> = buffered.iter().take(5).collect();
    go!(move || (5..8).for_each(|n| tx.send(n).unwrap()));
    println!("from the buffer: {early:?}, then {:?}", buffered.iter().collect::<Vec<_>>());
}

fn source(numbers: Vec<u32>) -> Receiver<u32> {
    let (tx, rx) = channel::bounded(0);
    go!(move || numbers.into_iter().for_each(|n| tx.send(n).unwrap()));
    rx
}

/// Forwards the values of both inputs, and ends when both have ended.
fn merge(mut a: Receiver<u32>, mut b: Receiver<u32>) -> Receiver<u32> {
    let (tx, rx) = channel::bounded(0);
    go!(move || {
        let mut open = 2;
        while open > 0 {
            let received = select! {
                recv(a) -> n => n.inspect_err(|_| a = channel::never()),
                recv(b) -> n => n.inspect_err(|_| b = channel::never()),
            };
            match received {
                Ok(n) if tx.send(n).is_err() => return,
                Ok(_) => {}
                Err(_) => open -= 1,
            }
        }
    });
    rx
}

/// Receives values as fast as they arrive, and forwards them as fast as the reader takes them.
fn buffer(mut input: Receiver<u32>) -> Receiver<u32> {
    let (tx, rx) = channel::bounded(0);
    let (off, _) = channel::nil();
    go!(move || {
        let (mut queue, mut open) = (VecDeque::new(), true);
        while open || !queue.is_empty() {
            let output = if queue.is_empty() { &off } else { &tx };
            select! {
                recv(input) -> n => match n {
                    Ok(n) => queue.push_back(n),
                    Err(_) => (open, input) = (false, channel::never()),
                },
                send(output, queue[0]) -> sent => match sent {
                    Ok(()) => drop(queue.pop_front()),
                    Err(_) => return,
                },
            }
        }
    });
    rx
}
