//! Channels that the clock feeds: one message, no stale ones, and nothing left of those that nobody received.

mod common;

use std::time::{Duration, Instant};

use common::{everywhere, spawn, yield_now};
use greenthread_channels::timer::{Ticker, Timer};
use greenthread_channels::{Receiver, RecvTimeoutError, TryRecvError, after, at, bounded, select, tick};

const SOON: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(3600);

/// Lets time pass until a message that is due after `SOON` is due.
fn pass() {
    let end = Instant::now() + 2 * SOON;
    while Instant::now() < end {
        yield_now();
    }
}

fn is_empty(channel: &Receiver<Instant>) -> bool {
    channel.try_recv() == Err(TryRecvError::Empty)
}

#[test]
fn after_receives_once() {
    everywhere(|| {
        let begin = Instant::now();
        let channel = after(SOON);
        let due = channel.recv().unwrap();
        assert!(due >= begin + SOON && due <= Instant::now());
        assert!(is_empty(&channel));
        assert_eq!(channel.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    });
}

/// Of those who wait for one message one gets it, and the others wait on.
#[test]
fn one_message_for_many_who_wait() {
    everywhere(|| {
        let channel = after(SOON);
        let (stop, stopped) = bounded::<()>(0);
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let (channel, stopped) = (channel.clone(), stopped.clone());
                spawn(move || {
                    select! {
                        recv(channel) -> due => { due.unwrap(); true }
                        recv(stopped) -> _ => false,
                    }
                })
            })
            .collect();
        pass();
        while channel.len() == 1 {
            yield_now();
        }
        drop(stop);
        assert_eq!(waiters.into_iter().map(common::Task::join).filter(|&got| got).count(), 1);
    });
}

#[test]
fn a_time_that_has_passed_is_due_and_one_too_far_never_is() {
    let begin = Instant::now();
    assert_eq!(at(begin).recv(), Ok(begin));
    assert!(after(Duration::ZERO).try_recv().is_ok());
    for channel in [after(Duration::MAX), tick(Duration::MAX)] {
        assert!(is_empty(&channel));
        assert_eq!(channel.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    }
}

#[test]
fn ticks_that_were_missed_are_left_out() {
    everywhere(|| {
        let begin = Instant::now();
        let (ticks, ticker) = (tick(SOON), Ticker::new(SOON));
        for channel in [&ticks, ticker.channel()] {
            let first = channel.recv().unwrap();
            assert!(first >= begin + SOON);
            pass();
            pass();
            assert_eq!(channel.len(), 1, "however many were missed");
            let taken = Instant::now();
            let second = channel.try_recv().unwrap();
            assert!(second > first && second <= taken);
            let third = channel.recv().unwrap();
            assert!(third >= taken, "no other one that was missed");
        }
    });
}

#[test]
fn a_ticker_keeps_its_grid() {
    let ticker = Ticker::new(SOON);
    let first = ticker.channel().recv().unwrap();
    for _ in 0..5 {
        pass();
        let due = ticker.channel().recv().unwrap();
        assert_eq!((due - first).as_nanos() % SOON.as_nanos(), 0);
    }
}

/// Go's rule since 1.23: after `stop` and `reset` nobody receives what was due before.
#[test]
fn nothing_stale_after_stop_and_reset() {
    everywhere(|| {
        let timer = Timer::new(SOON);
        pass();
        assert_eq!(timer.channel().len(), 1, "it is due");
        assert!(timer.stop(), "but nobody has received it");
        assert!(is_empty(timer.channel()));
        assert!(!timer.stop());
        assert!(!timer.reset(SOON), "it was stopped");
        pass();
        assert!(timer.reset(NEVER), "it was due, and nobody has received it");
        assert!(is_empty(timer.channel()));
        timer.reset(Duration::ZERO);
        timer.channel().recv().unwrap();
        assert!(!timer.reset(NEVER), "it was received");

        let ticker = Ticker::new(SOON);
        pass();
        ticker.stop();
        assert!(is_empty(ticker.channel()));
        ticker.reset(NEVER);
        pass();
        assert!(is_empty(ticker.channel()));
        ticker.reset(SOON);
        ticker.channel().recv().unwrap();
    });
}

/// Who waits already waits for the new time, be it earlier or later.
#[test]
fn a_reset_reaches_those_who_wait() {
    everywhere(|| {
        let timer = Timer::new(NEVER);
        let channel = timer.channel().clone();
        let waiter = spawn(move || channel.recv().unwrap());
        pass();
        assert!(timer.reset(SOON));
        waiter.join();

        let timer = Timer::new(4 * SOON);
        let channel = timer.channel().clone();
        let waiter = spawn(move || channel.recv_timeout(20 * SOON));
        // Unless this comes too late, nothing comes for who waits.
        if timer.reset(NEVER) {
            assert_eq!(waiter.join(), Err(RecvTimeoutError::Timeout));
        } else {
            waiter.join().unwrap();
        }
    });
}

/// `stop` says true exactly if nobody receives the message.
#[test]
fn stop_against_a_receiver() {
    everywhere(|| {
        for _ in 0..200 {
            let timer = Timer::new(Duration::from_micros(20));
            let channel = timer.channel().clone();
            let (stopped, stop) = bounded::<()>(0);
            let receiver = spawn(move || {
                select! {
                    recv(channel) -> due => due.is_ok(),
                    recv(stop) -> _ => false,
                }
            });
            let end = Instant::now() + Duration::from_micros(20);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            let stopped_it = timer.stop();
            drop(stopped);
            assert_ne!(receiver.join(), stopped_it);
        }
    });
}

/// An `after` that another arm has beaten leaves nothing: the leak check counts the timers.
#[test]
fn an_after_in_a_loop_leaves_nothing() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let sender = spawn(move || (0..500).for_each(|n| tx.send(n).unwrap()));
        let mut received = 0;
        loop {
            select! {
                recv(rx) -> value => match value { Ok(_) => received += 1, Err(_) => break },
                recv(after(NEVER)) -> _ => unreachable!(),
            }
        }
        assert_eq!(received, 500);
        sender.join();
    });
}

#[test]
#[should_panic(expected = "non-positive interval for Ticker")]
fn a_ticker_needs_a_period() {
    Ticker::new(Duration::ZERO);
}
