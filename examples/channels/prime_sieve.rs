//! The prime sieve: a chain of goroutines, one for each prime.
//!
//! The classic of Go's tutorial, after Hoare and McIlroy. A generator sends 2, 3, 4, ... into the
//! chain. The first number that comes out is a prime. It gets its own goroutine at the end of the
//! chain, which drops all multiples of the prime. Go's version never ends. In this version, the
//! last receiver is dropped. Each goroutine then finds that its next send fails, and its end stops
//! the goroutine before it.
//!
//! Prints:
//!
//! ```text
//! 2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71
//! all 21 goroutines have ended
//! ```

use greenthread::channel::{self, Receiver};
use greenthread::sync::WaitGroup;

#[greenthread::main]
fn main() {
    let wg = WaitGroup::new();
    let mut numbers = generate(&wg);
    let mut primes = Vec::new();
    for _ in 0..20 {
        let prime = numbers.recv().unwrap();
        primes.push(prime.to_string());
        numbers = filter(&wg, numbers, prime);
    }
    println!("{}", primes.join(" "));

    drop(numbers);
    wg.wait();
    println!("all {} goroutines have ended", primes.len() + 1);
}

fn generate(wg: &WaitGroup) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(0);
    wg.go(move || {
        for n in 2.. {
            if tx.send(n).is_err() {
                return;
            }
        }
    });
    rx
}

/// Forwards the numbers that `prime` does not divide.
fn filter(wg: &WaitGroup, numbers: Receiver<u64>, prime: u64) -> Receiver<u64> {
    let (tx, rx) = channel::bounded(0);
    wg.go(move || {
        for n in numbers {
            if n % prime != 0 && tx.send(n).is_err() {
                return;
            }
        }
    });
    rx
}
