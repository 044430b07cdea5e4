//! How long a readied goroutine waits when its waker goes on computing.

use std::time::{Duration, Instant};

use peer_harness::{Figures, Times, hog};

use crate::channel::{Receiver, Sender};
use crate::{sleep, spawn};

const BUSY: Duration = Duration::from_micros(200);

/// Measures wake-ups where the next send follows at once.
///
/// `channel` creates a channel with room for one value, so that no sender waits.
pub(crate) fn hot(channel: impl Fn() -> (Sender<Instant>, Receiver<Instant>)) -> Figures {
    latencies(5000, Duration::ZERO, channel)
}

/// Measures wake-ups where all goroutines sleep before the next send, so long that the CPUs sleep
/// too.
pub(crate) fn idle(channel: impl Fn() -> (Sender<Instant>, Receiver<Instant>)) -> Figures {
    latencies(1000, Duration::from_millis(2), channel)
}

/// Measures the time from just before each send to just after its receive.
fn latencies(count: usize, gap: Duration, channel: impl Fn() -> (Sender<Instant>, Receiver<Instant>)) -> Figures {
    let (tx, rx) = channel();
    let (answer, answers) = channel();
    let receiver = spawn(move || {
        for _ in rx {
            answer.send(Instant::now()).expect("the sender waits");
        }
    });
    let latencies = (0..count).map(|_| {
        let sent = Instant::now();
        tx.send(sent).expect("the receiver is running");
        hog(BUSY);
        let latency = answers.recv().expect("the receiver answers") - sent;
        if !gap.is_zero() {
            sleep(gap);
        }
        latency
    });
    let latencies = Times::new(latencies.collect());
    drop(tx);
    receiver.join().expect("the receiver does not panic");
    latencies.p50_and_p99()
}
