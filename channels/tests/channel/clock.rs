//! Channels that the clock feeds: one message, no stale ones, and nothing left of those that nobody received.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use crate::common::{everywhere, panic_text, spawn, yield_now};
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
        assert_eq!(waiters.into_iter().map(crate::common::Task::join).filter(|&got| got).count(), 1);
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

/// What Go's documentation says of `Stop` and `Reset`, for a timer in each of its states.
#[test]
fn a_timer_says_what_it_found() {
    everywhere(|| {
        for active in [NEVER, Duration::ZERO, Duration::MAX] {
            assert!(Timer::new(active).stop());
            let timer = Timer::new(active);
            assert!(timer.reset(NEVER));
            assert!(is_empty(timer.channel()) && timer.stop());
        }
        let expired: [fn() -> Timer; 2] = [received_timer, stopped_timer];
        for timer in expired {
            assert!(!timer().stop());
            for duration in [Duration::ZERO, SOON] {
                let timer = timer();
                assert!(!timer.reset(duration));
                timer.channel().recv().unwrap();
                assert!(is_empty(timer.channel()) && !timer.stop());
            }
            let timer = timer();
            assert!(!timer.reset(Duration::MAX));
            assert!(is_empty(timer.channel()) && timer.stop(), "it would not come, but it was set");
        }
    });
}

fn received_timer() -> Timer {
    let timer = Timer::new(Duration::ZERO);
    timer.channel().recv().unwrap();
    timer
}

fn stopped_timer() -> Timer {
    let timer = Timer::new(NEVER);
    timer.stop();
    timer
}

/// Zero is due at once, again and again where it may be; the past is no different.
#[test]
fn what_is_due_at_once() {
    everywhere(|| {
        let now = Instant::now();
        for past in [now, now.checked_sub(NEVER).unwrap_or(now)] {
            let channel = at(past);
            assert_eq!(channel.recv(), Ok(past));
            assert!(is_empty(&channel), "once");
        }
        let ticks = tick(Duration::ZERO);
        assert!((0..100).all(|_| ticks.try_recv().is_ok()), "crossbeam's tick(0), unlike Go's");
        assert!(ticks.iter().take(100).is_sorted());
        let ticker = Ticker::new(Duration::from_nanos(1));
        assert!((0..100).all(|_| ticker.channel().recv().unwrap() <= Instant::now()));
    });
}

/// Who waits for what is too far away for the clock, or only very far, is woken by what comes instead.
#[test]
fn far_away() {
    everywhere(|| {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        for far in [Duration::MAX, Duration::MAX / 2, 10 * century, century] {
            let (timer, ticker) = (Timer::new(far), Ticker::new(far));
            let ready =
                [timer.channel().clone(), ticker.channel().clone()].map(|channel| spawn(move || channel.recv()));
            pass();
            assert!(timer.reset(Duration::ZERO));
            ticker.reset(SOON);
            assert!(ready.into_iter().all(|ready| ready.join().is_ok()));
            for channel in [after(far), tick(far)] {
                assert_eq!(channel.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
            }
        }
        if let Some(far) = Instant::now().checked_add(10 * century) {
            assert_eq!(at(far).recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
        }
        assert_eq!(after(SOON).recv_timeout(Duration::MAX).map(drop), Ok(()));
    });
}

/// Timers are in a heap only while somebody waits.
#[test]
fn what_nobody_waits_for_is_no_timer() {
    everywhere(|| {
        let pending = || greenthread_scheduler::stats().timers;
        let before = pending();
        let all: Vec<_> = (0..1000).flat_map(|_| [after(NEVER), tick(NEVER), at(Instant::now() + NEVER)]).collect();
        let (timer, ticker) = (Timer::new(NEVER), Ticker::new(NEVER));
        assert_eq!(pending(), before);
        for channel in [&all[0], &all[1], &all[2], timer.channel(), ticker.channel()] {
            assert_eq!(channel.recv_timeout(Duration::from_micros(50)), Err(RecvTimeoutError::Timeout));
        }
        assert_eq!(pending(), before, "nor after a wait");
    });
}

#[test]
fn a_ticker_needs_a_period() {
    const TEXT: &str = "non-positive interval for Ticker: pass a period longer than zero";

    assert_eq!(panic_text(|| drop(Ticker::new(Duration::ZERO))), TEXT);
    let ticker = Ticker::new(SOON);
    assert_eq!(panic_text(AssertUnwindSafe(|| ticker.reset(Duration::ZERO))), TEXT);
    assert!(ticker.channel().recv().is_ok(), "it goes on as before");
}

/// A new period takes the place of the old one, for a ticker that runs as for one that was stopped.
#[test]
fn a_ticker_takes_a_new_period() {
    everywhere(|| {
        let ticker = Ticker::new(NEVER);
        for stops in [false, true] {
            if stops {
                ticker.stop();
            }
            let begin = Instant::now();
            ticker.reset(2 * SOON);
            let first = ticker.channel().recv().unwrap();
            assert!(first >= begin + 2 * SOON);
            let second = ticker.channel().recv().unwrap();
            assert!((second - first).as_nanos().is_multiple_of((2 * SOON).as_nanos()) && second > first);
        }
    });
}
