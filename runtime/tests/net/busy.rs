//! A goroutine that never waits for its socket, beside goroutines that need its thread.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::check;
use greenthread::net::UdpSocket;
use greenthread::{spawn, yield_now};

thread_local! {
    static PLACE: Cell<u32> = const { Cell::new(0) };
}

// The spawning goroutine has the address of a thread-local on its stack while it yields. It must
// therefore go back to its thread, on which the sender runs by then.
#[test]
fn a_busy_sender_does_not_starve_goroutines_tied_to_its_thread() {
    check(|| {
        // The sink is never read, and the system drops what does not fit, so a send never waits.
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let source = UdpSocket::bind("127.0.0.1:0").unwrap();
        source.connect(sink.local_addr().unwrap()).unwrap();
        let (begun, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let sender = {
            let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
            move || {
                while !end.load(Ordering::Relaxed) {
                    source.send(&[0; 10]).unwrap();
                    begun.store(true, Ordering::Relaxed);
                }
            }
        };
        let sender = PLACE.with(|place| {
            place.set(1);
            let sender = spawn(sender);
            while !begun.load(Ordering::Relaxed) {
                yield_now();
            }
            (0..100).for_each(|_| yield_now());
            assert_eq!(place.get(), 1);
            place.set(0);
            sender
        });
        end.store(true, Ordering::Relaxed);
        sender.join().unwrap();
    });
}
