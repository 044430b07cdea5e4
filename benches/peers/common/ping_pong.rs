//! A value that goes to and fro.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::channel::Receiver;
use crate::{spawn, unbuffered};

/// Sends `rounds` values to and fro through two unbuffered channels.
///
/// The goroutine that counts the rounds receives by `receive`.
pub(crate) fn ping_pong<E: PartialEq + Debug>(
    rounds: u64,
    receive: impl Fn(&Receiver<u64>) -> Result<u64, E>,
) -> Duration {
    let (ping, pings) = unbuffered();
    let (pong, pongs) = unbuffered();
    let other = spawn(move || {
        for n in pings {
            if pong.send(n).is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    for n in 0..rounds {
        ping.send(n).expect("the partner receives");
        assert_eq!(receive(&pongs), Ok(n));
    }
    let elapsed = start.elapsed();
    drop(ping);
    other.join().expect("the partner does not panic");
    elapsed
}
