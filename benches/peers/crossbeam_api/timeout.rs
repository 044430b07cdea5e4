//! Receives with a timeout of an hour.

use std::time::Duration;

use crate::channel::{after, select};
use crate::ping_pong::ping_pong;

/// Sends `rounds` values to and fro through two unbuffered channels, with a timeout on each way
/// back.
pub(crate) fn ping_pong_with_timeout(rounds: u64) -> Duration {
    ping_pong(rounds, |pongs| {
        select! {
            recv(pongs) -> ball => ball,
            recv(after(Duration::from_secs(3600))) -> _ => unreachable!("an hour has not passed"),
        }
    })
}
