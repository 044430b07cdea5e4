//! Channels fed by the clock. They deliver one message and no stale ones, and messages that were
//! never received leave nothing behind.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use crate::common::{everywhere, panic_text, spawn, yield_now};
use greenthread_channels::timer::{Ticker, Timer};
use greenthread_channels::{Receiver, RecvTimeoutError, TryRecvError, after, at, bounded, select, tick};

const SOON: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(3600);

/// Waits until a message with the delay `SOON` is due.
fn wait_past_soon() {
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

/// One of several receivers gets the message, and the others continue to wait.
#[test]
fn one_message_goes_to_one_of_many_receivers() {
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
        wait_past_soon();
        while channel.len() == 1 {
            yield_now();
        }
        drop(stop);
        assert_eq!(waiters.into_iter().map(crate::common::Task::join).filter(|&got| got).count(), 1);
    });
}

#[test]
fn past_time_is_due_and_unreachable_time_never_is() {
    let begin = Instant::now();
    assert_eq!(at(begin).recv(), Ok(begin));
    assert!(after(Duration::ZERO).try_recv().is_ok());
    for channel in [after(Duration::MAX), tick(Duration::MAX)] {
        assert!(is_empty(&channel));
        assert_eq!(channel.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
    }
}

#[test]
fn missed_ticks_are_skipped() {
    everywhere(|| {
        let begin = Instant::now();
        let (ticks, ticker) = (tick(SOON), Ticker::new(SOON));
        for channel in [&ticks, ticker.channel()] {
            let first = channel.recv().unwrap();
            assert!(first >= begin + SOON);
            wait_past_soon();
            wait_past_soon();
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
fn ticker_keeps_its_grid() {
    let ticker = Ticker::new(SOON);
    let first = ticker.channel().recv().unwrap();
    for _ in 0..5 {
        wait_past_soon();
        let due = ticker.channel().recv().unwrap();
        assert_eq!((due - first).as_nanos() % SOON.as_nanos(), 0);
    }
}

/// Go's rule since 1.23: after `stop` and `reset`, no receiver gets a message that was due earlier.
#[test]
fn no_stale_message_after_stop_and_reset() {
    everywhere(|| {
        let timer = Timer::new(SOON);
        wait_past_soon();
        assert_eq!(timer.channel().len(), 1, "it is due");
        assert!(timer.stop(), "but nobody has received it");
        assert!(is_empty(timer.channel()));
        assert!(!timer.stop());
        assert!(!timer.reset(SOON), "it was stopped");
        wait_past_soon();
        assert!(timer.reset(NEVER), "it was due, and nobody has received it");
        assert!(is_empty(timer.channel()));
        timer.reset(Duration::ZERO);
        timer.channel().recv().unwrap();
        assert!(!timer.reset(NEVER), "it was received");

        let ticker = Ticker::new(SOON);
        wait_past_soon();
        ticker.stop();
        assert!(is_empty(ticker.channel()));
        ticker.reset(NEVER);
        wait_past_soon();
        assert!(is_empty(ticker.channel()));
        ticker.reset(SOON);
        ticker.channel().recv().unwrap();
    });
}

/// Checks that a receiver that is already waiting now waits for the new time, earlier or later.
#[test]
fn reset_applies_to_waiting_receivers() {
    everywhere(|| {
        let timer = Timer::new(NEVER);
        let channel = timer.channel().clone();
        let waiter = spawn(move || channel.recv().unwrap());
        wait_past_soon();
        assert!(timer.reset(SOON));
        waiter.join();

        let timer = Timer::new(4 * SOON);
        let channel = timer.channel().clone();
        let waiter = spawn(move || channel.recv_timeout(20 * SOON));
        // If the reset was in time, the waiting receiver gets nothing.
        if timer.reset(NEVER) {
            assert_eq!(waiter.join(), Err(RecvTimeoutError::Timeout));
        } else {
            waiter.join().unwrap();
        }
    });
}

/// `stop` returns `true` exactly if no receiver gets the message.
#[test]
fn stop_races_with_receiver() {
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

/// Checks that an `after` that lost to another arm leaves nothing behind: the leak check counts the
/// timers.
#[test]
fn after_in_a_loop_leaves_nothing_behind() {
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

/// Checks the results of `Stop` and `Reset` against Go's documentation, for a timer in each of its
/// states.
#[test]
fn stop_and_reset_report_the_old_state() {
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

/// Zero and past times are due immediately, and repeatedly if there are several messages.
#[test]
fn zero_and_past_times_are_due_at_once() {
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

/// Checks that a receiver that waits for a time beyond the clock, or just very far away, is woken
/// by whatever arrives instead.
#[test]
fn far_times_do_not_block_other_events() {
    everywhere(|| {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        for far in [Duration::MAX, Duration::MAX / 2, 10 * century, century] {
            let (timer, ticker) = (Timer::new(far), Ticker::new(far));
            let ready =
                [timer.channel().clone(), ticker.channel().clone()].map(|channel| spawn(move || channel.recv()));
            wait_past_soon();
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

/// Checks that a timer is in a heap only while a receiver waits.
#[test]
fn timer_without_receiver_is_in_no_heap() {
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
fn zero_period_panics() {
    const TEXT: &str = "non-positive interval for Ticker: pass a period longer than zero";

    assert_eq!(panic_text(|| drop(Ticker::new(Duration::ZERO))), TEXT);
    let ticker = Ticker::new(SOON);
    assert_eq!(panic_text(AssertUnwindSafe(|| ticker.reset(Duration::ZERO))), TEXT);
    assert!(ticker.channel().recv().is_ok(), "it goes on as before");
}

/// Checks that a new period replaces the old one, for both a running and a stopped ticker.
#[test]
fn reset_changes_the_period() {
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
