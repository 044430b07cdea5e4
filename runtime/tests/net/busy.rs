//! One that never waits for its socket, and those who need its thread.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::check;
use greenthread::net::UdpSocket;
use greenthread::{spawn, yield_now};

thread_local! {
    static PLACE: Cell<u32> = const { Cell::new(0) };
}

/// The address of a thread-local lies on its stack while it yields, so it must come back to the thread that the sender has by then.
#[test]
fn a_busy_sender_lets_those_run_who_must_run_on_its_thread() {
    check(|| {
        // Nobody reads there, and what does not fit is thrown away: a send never waits.
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
