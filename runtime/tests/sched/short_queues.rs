//! A P whose short queue other Ms leave to it, because it is quick, until it is not.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::check;
use greenthread::channel;
use greenthread::spawn;

const HELPERS: usize = 4;

/// After this many rounds the scheduler takes the P for quick.
const ROUNDS: usize = 50_000;

// A goroutine readies several others, and then computes until all of them have run. Another M has
// to steal them, however quick this P was before.
#[test]
fn goroutines_behind_a_sudden_computation_are_stolen() {
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
