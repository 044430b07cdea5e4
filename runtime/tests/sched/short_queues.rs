//! A P whose short queue is left to it, because it is quick; until it is not.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::check;
use greenthread::channel;
use greenthread::spawn;

const HELPERS: usize = 4;

/// After so many rounds the P is known for quick.
const ROUNDS: usize = 50_000;

/// One who has just readied several computes until all of them have run: another M has to come for them, however quick they were before.
#[test]
fn who_waits_behind_a_sudden_computation_is_fetched() {
    check(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (done, dones) = channel::bounded(HELPERS);
        let helper = |_| {
            let (gate, opened) = channel::bounded::<()>(1);
            let (ran, done) = (Arc::clone(&ran), done.clone());
            let goroutine = spawn(move || {
                while opened.recv().is_ok() {
                    ran.fetch_add(1, Ordering::Relaxed);
                    done.send(()).unwrap();
                }
            });
            (gate, goroutine)
        };
        let (gates, helpers): (Vec<_>, Vec<_>) = (0..HELPERS).map(helper).unzip();
        let open = || gates.iter().for_each(|gate| gate.send(()).unwrap());
        for _ in 0..ROUNDS {
            open();
            (0..HELPERS).for_each(|_| dones.recv().unwrap());
        }
        open();
        while ran.load(Ordering::Relaxed) < (ROUNDS + 1) * HELPERS {
            hint::spin_loop();
        }
        drop(gates);
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}
