//! The netpoller's descriptors, on which sockets are built, through the scheduler's interface.

#[path = "../../src/io_wait.rs"]
mod io_wait;

use std::convert::Infallible;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::stream::{LONG, SHORT, Stream};
use crate::common::{check, parked, storm, text, until};
use greenthread::channel::{self, Receiver};
use greenthread::{debug, scope, spawn, time, yield_now};
use greenthread_channels::closing::Closing;
use greenthread_scheduler::{Descriptor, Direction, Ended, WaitReason};

#[test]
fn data_may_come_before_or_after_the_wait_begins() {
    check(|| {
        let (a, b) = Stream::pair();
        a.put(1);
        assert_eq!(b.get(), Ok(1));
        let reader = spawn(move || b.get());
        until(|| parked("IO wait") == 1);
        assert_eq!(debug::stats().io_waiters, 1);
        assert_eq!(debug::stats().io_descriptors, 2);
        a.put(2);
        assert_eq!(reader.join().unwrap(), Ok(2));
        // This event is reported, but no goroutine takes it. The next wait must not end at once
        // forever.
        let (a, b) = Stream::pair();
        a.put(3);
        time::sleep(SHORT);
        assert_eq!(b.get(), Ok(3));
        b.deadline(SHORT);
        assert_eq!(b.get(), Err(Ended::Deadline));
    });
}

#[test]
fn round_trips() {
    check(|| {
        let (a, b) = Stream::pair();
        let echo = spawn(move || b.echo());
        (0..5000).for_each(|n| a.round_trip(n as u8));
        drop(a);
        echo.join().unwrap();
    });
}

#[test]
fn a_reader_and_a_writer_of_one_socket() {
    check(|| {
        const BYTES: usize = 4 << 20;
        let (a, b) = Stream::pair();
        let (a, b) = (&a, &b);
        let send = |stream: &Stream| {
            let (chunk, mut left) = ([7; 30_000], BYTES);
            while left > 0 {
                left -= stream.write(&chunk[..left.min(chunk.len())]).unwrap();
            }
        };
        let receive = |stream: &Stream| {
            let (mut chunk, mut left) = ([0; 20_000], BYTES);
            while left > 0 {
                let n = stream.read(&mut chunk).unwrap();
                assert!(n > 0 && chunk[..n].iter().all(|byte| *byte == 7));
                left -= n;
            }
        };
        scope(|s| {
            s.spawn(move || send(a));
            s.spawn(move || receive(a));
            s.spawn(move || send(b));
            s.spawn(move || receive(b));
        });
    });
}

#[test]
fn a_deadline_that_has_passed_beats_data() {
    check(|| {
        let (a, b) = Stream::pair();
        a.put(1);
        b.io.set_deadline(Direction::Read, Some(Instant::now())).unwrap();
        assert_eq!(b.get(), Err(Ended::Deadline));
        b.put(2);
        b.io.set_deadline(Direction::Read, Some(Instant::now() + LONG)).unwrap();
        assert_eq!(b.get(), Ok(1));
        b.io.set_deadline(Direction::Read, Some(Instant::now())).unwrap();
        b.io.set_deadline(Direction::Read, None).unwrap();
        a.put(3);
        assert_eq!(b.get(), Ok(3));
        // The timer is armed when the descriptor is dropped; the leak check would find it.
        b.deadline(LONG);
    });
}

#[test]
fn deadlines_end_waits_but_not_early() {
    check(|| {
        let (a, b) = Stream::pair();
        for _ in 0..20 {
            let begin = Instant::now();
            b.deadline(SHORT);
            assert_eq!(b.get(), Err(Ended::Deadline));
            assert!(begin.elapsed() >= SHORT);
        }
        b.io.set_deadline(Direction::Read, None).unwrap();
        // The other direction has a deadline of its own.
        b.io.set_deadline(Direction::Write, Some(Instant::now())).unwrap();
        assert_eq!(b.write(&[1]), Err(Ended::Deadline));
        a.put(1);
        assert_eq!(b.get(), Ok(1));
    });
}

#[test]
fn a_deadline_may_move_during_a_wait() {
    check(|| {
        let (_a, b) = Stream::pair();
        let b = &b;
        for (first, second) in [(Some(LONG), SHORT), (None, SHORT), (Some(LONG), Duration::ZERO), (Some(SHORT), LONG)] {
            b.io.set_deadline(Direction::Read, first.map(|first| Instant::now() + first)).unwrap();
            scope(|s| {
                let reader = s.spawn(move || b.get());
                if first != Some(SHORT) {
                    until(|| parked("IO wait") == 1);
                }
                b.deadline(second);
                if second == LONG {
                    // The wait may have ended by the first deadline; if not, this one ends it.
                    time::sleep(2 * SHORT);
                    b.deadline(Duration::ZERO);
                }
                assert_eq!(reader.join().unwrap(), Err(Ended::Deadline));
            });
        }
    });
}

#[test]
fn a_removed_deadline_has_no_effect() {
    check(|| {
        let (a, b) = Stream::pair();
        for n in 0..50 {
            b.deadline(Duration::from_micros(200));
            b.io.set_deadline(Direction::Read, None).unwrap();
            if n % 10 == 0 {
                time::sleep(Duration::from_millis(1));
            }
            a.put(n);
            assert_eq!(b.get(), Ok(n));
        }
    });
}

#[test]
fn evict_ends_all_waits_for_good() {
    check(|| {
        let (_a, b) = Stream::pair();
        while (&b.socket).write(&[0; 4096]).is_ok() {}
        let b = &b;
        scope(|s| {
            let reader = s.spawn(move || b.get());
            let writer = s.spawn(move || b.write(&[1]));
            until(|| parked("IO wait") == 2);
            b.deadline(LONG);
            b.io.evict();
            assert_eq!(reader.join().unwrap(), Err(Ended::Closed));
            assert_eq!(writer.join().unwrap(), Err(Ended::Closed));
        });
        assert_eq!(b.get(), Err(Ended::Closed));
        assert_eq!(b.io.wait(Direction::Read, WaitReason::IoWait), Err(Ended::Closed));
        assert_eq!(b.io.set_deadline(Direction::Read, Some(Instant::now() + LONG)), Err(Ended::Closed));
        b.io.evict();
    });
}

// The same descriptor is registered again while the evicted registration still exists.
#[test]
fn an_evicted_registration_does_not_affect_its_successor() {
    check(|| {
        let (a, b) = Stream::pair();
        assert_eq!(Descriptor::register(b.socket.as_fd()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        b.io.evict();
        let Stream { io, socket } = b;
        let again = Stream::new(socket);
        io.evict();
        drop(io);
        let reader = spawn(move || again.get());
        until(|| parked("IO wait") == 1);
        a.put(1);
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_second_waiter_in_one_direction_panics() {
    check(|| {
        let (a, b) = Stream::pair();
        let b = &b;
        scope(|s| {
            let first = s.spawn(move || b.get());
            until(|| parked("IO wait") == 1);
            let second = s.spawn(move || {
                let payload = panic::catch_unwind(AssertUnwindSafe(|| b.get())).unwrap_err();
                assert!(text(&*payload).contains("two operations wait for the same direction"));
            });
            second.join().unwrap();
            a.put(9);
            assert_eq!(first.join().unwrap(), Ok(9), "the first waiter goes on waiting");
        });
    });
}

#[test]
fn a_regular_file_cannot_be_registered() {
    check(|| {
        let file = fs::File::open("/proc/self/exe").unwrap();
        assert!(Descriptor::register(file.as_fd()).is_err());
        assert_eq!(debug::stats().io_descriptors, 0);
    });
}

/// Descriptors come and go, so pairs that talk, hang up or time out reuse their numbers and records
/// at once.
#[test]
fn descriptor_numbers_may_be_reused() {
    storm(|random| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let mut random = random.fork();
                spawn(move || {
                    for _ in 0..20 {
                        let (a, b) = Stream::pair();
                        match random.below(4) {
                            0 => {
                                let echo = spawn(move || b.echo());
                                (0..random.below(4)).for_each(|n| a.round_trip(n as u8));
                                drop(a);
                                echo.join().unwrap();
                            }
                            1 => {
                                b.deadline(Duration::from_micros(random.below(300)));
                                let b = &b;
                                scope(|s| {
                                    let reader = s.spawn(move || b.get());
                                    if random.one_in(2) {
                                        yield_now();
                                        a.put(1);
                                    }
                                    let got = reader.join().unwrap();
                                    assert!(matches!(got, Ok(1) | Err(Ended::Deadline)), "{got:?}");
                                });
                            }
                            2 => {
                                let b = &b;
                                scope(|s| {
                                    let reader = s.spawn(move || b.get());
                                    if random.one_in(2) {
                                        yield_now();
                                    }
                                    b.io.evict();
                                    assert_eq!(reader.join().unwrap(), Err(Ended::Closed));
                                });
                            }
                            // An event is on the way when the descriptor is dropped.
                            _ => a.put(1),
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Returns as many pairs as the limit of descriptors allows, up to 1000.
fn pair_count() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok()).unwrap_or(256);
    (limit.saturating_sub(100) / 2).min(1000)
}

/// More events than fit into one poll come all at once.
#[test]
fn many_pairs_at_once() {
    check(|| {
        let many = pair_count();
        let pairs: Vec<_> = (0..many).map(|_| Stream::pair()).collect();
        let count = Arc::new(AtomicUsize::new(0));
        let (ends, readers): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .map(|(a, b)| {
                let count = Arc::clone(&count);
                let reader = spawn(move || {
                    for n in 0..10 {
                        assert_eq!(b.get(), Ok(n));
                        count.fetch_add(1, Ordering::Relaxed);
                        b.put(n);
                    }
                });
                (a, reader)
            })
            .unzip();
        for n in 0..10 {
            until(|| debug::stats().io_waiters == many as u64);
            ends.iter().for_each(|end| end.put(n));
            ends.iter().for_each(|end| assert_eq!(end.get(), Ok(n)));
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(count.load(Ordering::Relaxed), 10 * many);
    });
}

/// Waits for a byte or for the close of a channel, such as a context's `done`.
///
/// `with_ctx` works like this.
fn get_or_done(stream: &Stream, done: &Receiver<Infallible>) -> Option<u8> {
    let closing = Closing::of(done);
    stream.io.prepare(Direction::Read).unwrap();
    let mut byte = [0];
    while !closing.is_closed() {
        match (&stream.socket).read(&mut byte) {
            Ok(n) => {
                assert_eq!(n, 1);
                return Some(byte[0]);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        io_wait::wait_or_close(&stream.io, Direction::Read, WaitReason::IoWait, closing).unwrap();
    }
    None
}

#[test]
fn a_wait_ends_when_a_channel_closes() {
    check(|| {
        let (a, b) = Stream::pair();
        let (tx, done) = channel::bounded::<Infallible>(0);
        let reader = spawn(move || {
            assert_eq!(get_or_done(&b, &done), Some(1));
            assert_eq!(get_or_done(&b, &done), None);
            b
        });
        a.put(1);
        until(|| parked("IO wait") == 1);
        tx.close();
        let b = reader.join().unwrap();
        a.put(2);
        assert_eq!(b.get(), Ok(2), "the socket still works");
    });
}

#[test]
fn data_and_a_close_race() {
    storm(|random| {
        let (a, b) = Stream::pair();
        let (tx, done) = channel::bounded::<Infallible>(0);
        let sent = random.below(5);
        let reader = spawn(move || {
            let mut got = 0;
            while get_or_done(&b, &done).is_some() {
                got += 1;
            }
            // The close has won, but the bytes that were sent are still there.
            (got..sent).for_each(|_| assert_eq!(b.get(), Ok(1)));
            b
        });
        let mut pause = random.fork();
        let writer = spawn(move || {
            (0..sent).for_each(|_| {
                a.put(1);
                (0..pause.below(3)).for_each(|_| yield_now());
            });
            a
        });
        (0..random.below(6)).for_each(|_| yield_now());
        tx.close();
        let (_a, b) = (writer.join().unwrap(), reader.join().unwrap());
        assert!((&b.socket).read(&mut [0]).is_err(), "more bytes have come than were sent");
    });
}
