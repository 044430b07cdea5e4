//! The M that polls the netpoller leaves while no other M is awake: another M must start to poll.
//!
//! Each test runs in a process of its own, where few Ms are left over that poll for a while for
//! other reasons.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::child;
use crate::common::stream::Stream;
use crate::common::{check_on, parked, spin, until};
use greenthread::{blocking, debug, go, spawn, yield_now};

/// A pause after which all Ms sleep, and sysmon too, which stays awake for a second after
/// goroutines have parked.
const QUIET: Duration = Duration::from_millis(2500);

/// The limit for an event to arrive.
///
/// Without an M that polls, it never arrives.
const SOON: Duration = Duration::from_secs(4);

fn another_m_polls_during_a_blocking_call() {
    check_on(1, || {
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        let caller = spawn(move || {
            until(|| parked("IO wait") == 1);
            let (mut socket, mut bytes) = (&a.socket, [0]);
            blocking(|| {
                thread::sleep(QUIET);
                let begin = Instant::now();
                socket.write_all(&[3]).unwrap();
                // This thread polls the socket itself: nothing in the runtime resumes it.
                while socket.read(&mut bytes).is_err() {
                    thread::sleep(Duration::from_micros(100));
                }
                assert!(begin.elapsed() < SOON, "no M polled");
            });
            assert_eq!(bytes, [3]);
        });
        caller.join().unwrap();
        echo.join().unwrap();
    });
}

/// Blocks the thread of a goroutine in a destructor that waits during unwinding, after sysmon has
/// retaken the P.
fn another_m_polls_while_a_destructor_waits() {
    struct Reads(Stream);
    impl Drop for Reads {
        fn drop(&mut self) {
            spin(QUIET);
            assert_eq!(self.0.get(), Ok(4));
        }
    }
    check_on(1, || {
        let (a, b) = Stream::pair();
        let unwinding = spawn(move || {
            let _reads = Reads(b);
            go!(yield_now());
            panic!("the destructor is to run while this unwinds");
        });
        until(|| debug::stats().io_waiters == 1);
        thread::sleep(QUIET);
        let begin = Instant::now();
        a.put(4);
        assert!(unwinding.join().is_err());
        assert!(begin.elapsed() < SOON, "no M polled");
    });
}

const TESTS: &[child::Test] =
    child::named![another_m_polls_during_a_blocking_call, another_m_polls_while_a_destructor_waits];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, &[]);
