//! The program that `ci/abort.sh` builds with `panic = "abort"`; the argument chooses what it does.

use std::time::Duration;

use greenthread::{Builder, channel, select, spawn, sync::Mutex, sync::WaitGroup, time, yield_now};

#[greenthread::main]
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("works") => works(),
        Some("panics") => ends(|| panic!("thirteen")),
        Some("panics_with_a_destructor") => ends(|| {
            let _says = SaysGoodbye;
            yield_now();
            panic!("thirteen");
        }),
        Some("panics_in_catch_unwind") => ends(|| drop(std::panic::catch_unwind(|| panic!("thirteen")))),
        Some("exits_goroutine") => ends(|| greenthread::exit_goroutine()),
        other => unreachable!("no such program: {other:?}"),
    }
}

struct SaysGoodbye;

impl Drop for SaysGoodbye {
    fn drop(&mut self) {
        println!("goodbye");
    }
}

/// Uses most of the crate without a panic.
fn works() {
    let (sum, wg) = (Mutex::new(0), WaitGroup::new());
    let (tx, rx) = channel::bounded(0);
    greenthread::scope(|s| {
        for n in 0..100 {
            let (sum, wg, tx) = (&sum, wg.clone(), tx.clone());
            wg.add(1);
            s.spawn(move || {
                time::sleep(Duration::from_micros(n));
                *sum.lock() += n;
                tx.send(n).unwrap();
                wg.done();
            });
        }
        drop(tx);
        let mut received = 0;
        loop {
            select! {
                recv(rx) -> n => match n {
                    Ok(n) => received += n,
                    Err(_) => break,
                },
            }
        }
        println!("{received} {}", spawn(|| greenthread::stack::grow(3 << 20, 4 << 20, || 7)).join().unwrap());
    });
    wg.wait();
    println!("{}", sum.lock());
}

/// Ends the process from one of several goroutines.
fn ends(by: impl FnOnce() + Send + 'static) {
    for _ in 0..10 {
        spawn(|| time::sleep(Duration::from_secs(1000)));
    }
    let _ = Builder::new().name("unlucky").spawn(by).unwrap().join();
    println!("it went on");
}
