//! Waits that a deadline may end: one side wins, and the loser leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::queue::{Introduction, Queue, never, wait_until, wait_until_after};
use crate::common::{Rng, check, check_from_thread, check_on, seed, spin, storm, until};
use greenthread::{blocking, go, spawn, time};
use greenthread_scheduler::protocol::claim::TakenFrom;

/// Runs `body` on goroutines and on threads.
fn check_both(body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    check_from_thread(&*body);
    check(move || body());
}

fn soon() -> Instant {
    Instant::now() + Duration::from_micros(300)
}

#[test]
fn the_deadline_wins_without_a_peer() {
    check_both(|| {
        let queues = [Queue::default(), Queue::default(), Queue::default()];
        for _ in 0..20 {
            assert_eq!(wait_until([&queues[0]], soon()), None);
            assert_eq!(wait_until(queues.each_ref(), soon()), None);
        }
        assert!(queues.iter().all(|queue| !queue.deliver(1)), "a waiter is left");
    });
}

#[test]
fn a_passed_deadline_ends_the_wait_at_once() {
    check_both(|| {
        let queue = Queue::default();
        for _ in 0..100 {
            assert_eq!(wait_until([&queue], Instant::now()), None);
            let long_ago = Instant::now().checked_sub(Duration::from_secs(1));
            assert_eq!(wait_until([&queue], long_ago.unwrap_or_else(Instant::now)), None);
        }
        assert!(!queue.deliver(1));
    });
}

#[test]
fn a_peer_wins_if_it_comes_in_time() {
    check_both(|| {
        let queues = Arc::new([Queue::default(), Queue::default()]);
        for n in 0..50 {
            let (to, at) = (Arc::clone(&queues), n as usize % 2);
            let deliver = move || until(|| to[at].deliver(n));
            let deadline = if n % 3 == 0 { Instant::now() + Duration::from_secs(3600) } else { never() };
            if n % 4 < 2 {
                go!(deliver);
                assert_eq!(wait_until(queues.each_ref(), deadline), Some((at, n)));
            } else {
                let thread = thread::spawn(deliver);
                assert_eq!(wait_until(queues.each_ref(), deadline), Some((at, n)));
                blocking(|| thread.join()).unwrap();
            }
        }
    });
}

#[test]
fn waiters_past_their_deadline_are_skipped() {
    check(|| {
        let queue = Arc::new(Queue::default());
        let late = Arc::clone(&queue);
        let patient = spawn(move || wait_until([&late], never()));
        for _ in 0..20 {
            let hasty = Arc::clone(&queue);
            assert_eq!(spawn(move || wait_until([&hasty], soon())).join().unwrap(), None);
        }
        until(|| queue.deliver(5));
        assert_eq!(patient.join().unwrap(), Some((0, 5)));
    });
}

#[test]
fn a_timer_may_fire_before_the_goroutine_parks() {
    check(|| {
        let queue = Queue::default();
        for _ in 0..20 {
            let came = wait_until_after([&queue], Instant::now(), |claim| {
                // Parks inside: the claim is shut, so nothing else wakes this goroutine.
                until(|| {
                    time::sleep(Duration::from_micros(100));
                    claim.winner().is_some()
                });
            });
            assert_eq!(came, None);
        }
        assert!(!queue.deliver(1));
        time::sleep(Duration::from_millis(1));
    });
}

#[test]
fn deadlines_work_for_goroutines_without_a_p() {
    check(|| {
        let handles: Vec<_> = (0..6)
            .map(|n| {
                spawn(move || {
                    let queue = Arc::new(Queue::default());
                    for _ in 0..3 {
                        spin(Duration::from_millis(11 + n));
                        assert_eq!(wait_until([&queue], soon()), None);
                        let peer = Arc::clone(&queue);
                        go!(move || until(|| peer.deliver(n)));
                        let came = wait_until_after([&queue], never(), |_| thread::sleep(Duration::from_millis(5)));
                        assert_eq!(came, Some((0, n)));
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// Arms a timer that goes to an idle P, whose M sleeps until it is woken.
#[test]
fn a_deadline_works_for_a_lone_goroutine_without_a_p() {
    check(|| {
        let queue = Queue::default();
        for _ in 0..5 {
            go!(|| ());
            spin(Duration::from_millis(25));
            assert_eq!(wait_until([&queue], soon()), None);
        }
    });
}

#[test]
fn a_peer_that_was_introduced_may_take_the_claim() {
    check_both(|| {
        let place = Arc::new(Introduction::default());
        assert_eq!(place.visit(1), None);
        for n in 0..50 {
            assert_eq!(place.wait_until(soon(), || ()), None);
            assert_eq!(place.wait_until(never(), || assert_eq!(place.visit(n), Some(TakenFrom::Shut))), Some(n));
            assert_eq!(place.wait_until(Instant::now(), || assert_eq!(place.visit(n), Some(TakenFrom::Shut))), Some(n));
            let peer = Arc::clone(&place);
            go!(move || until(|| peer.visit(n).is_some()));
            assert_eq!(place.wait_until(never(), || ()), Some(n));
        }
        assert_eq!(place.visit(1), None);
    });
}

/// Waiters and peers that meet around the deadlines; half of each are threads if `threads`. A
/// delivered value must arrive, once.
fn clash(random: &mut Rng, threads: bool) {
    const WAITS: usize = 30;
    let queues = Arc::new([Queue::default(), Queue::default()]);
    let place = Arc::new(Introduction::default());
    let (sent, received, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let sums = Arc::new((sent, received, over));
    let run = |n: usize, f: Box<dyn FnOnce() + Send>| -> Box<dyn FnOnce()> {
        if threads && n.is_multiple_of(2) {
            let thread = thread::spawn(f);
            Box::new(|| blocking(|| thread.join()).unwrap())
        } else {
            let handle = spawn(f);
            Box::new(|| handle.join().unwrap())
        }
    };
    let waiters: Vec<_> = (0..4)
        .map(|n| {
            let (queues, place, sums, mut random) =
                (Arc::clone(&queues), Arc::clone(&place), Arc::clone(&sums), random.fork());
            let wait = move || {
                for _ in 0..WAITS {
                    let deadline = Instant::now() + Duration::from_micros(random.below(60));
                    let delay = Duration::from_micros(random.below(4) * random.below(20));
                    let came = match (n, random.below(3)) {
                        // The place has room for one.
                        (0, 0) => place.wait_until(deadline, || spin(delay)),
                        (_, 1) => wait_until_after([&queues[1]], deadline, |_| spin(delay)).map(|(_, value)| value),
                        _ => wait_until_after(queues.each_ref(), deadline, |_| spin(delay)).map(|(_, value)| value),
                    };
                    sums.1.fetch_add(came.unwrap_or(0), Ordering::Relaxed);
                }
            };
            run(n, Box::new(wait))
        })
        .collect();
    let peers: Vec<_> = (0..3)
        .map(|n| {
            let (queues, place, sums, mut random) =
                (Arc::clone(&queues), Arc::clone(&place), Arc::clone(&sums), random.fork());
            let deliver = move || {
                until(|| {
                    let value = 1 + random.below(1000);
                    let taken = match random.below(3) {
                        2 => place.visit(value).is_some(),
                        at => queues[at as usize].deliver(value),
                    };
                    sums.0.fetch_add(if taken { value } else { 0 }, Ordering::Relaxed);
                    spin(Duration::from_micros(random.below(20)));
                    sums.2.load(Ordering::Relaxed)
                });
            };
            run(n, Box::new(deliver))
        })
        .collect();
    waiters.into_iter().for_each(|join| join());
    sums.2.store(true, Ordering::Relaxed);
    peers.into_iter().for_each(|join| join());
    assert_eq!(sums.0.load(Ordering::Relaxed), sums.1.load(Ordering::Relaxed), "sent and received differ");
    assert!(queues.iter().all(|queue| !queue.deliver(1)), "a waiter is left");
}

#[test]
fn stress_deadlines_against_peers() {
    storm(|random| clash(random, false));
}

#[test]
fn stress_deadlines_against_peers_on_threads() {
    storm(|random| clash(random, true));
}

#[test]
fn stress_deadlines_while_ps_are_removed() {
    check_on(4, || {
        let seed = seed();
        let mut random = Rng::new(seed);
        let queue = Arc::new(Queue::default());
        let handles: Vec<_> = (0..400)
            .map(|_| {
                let (queue, wait) = (Arc::clone(&queue), Duration::from_millis(random.below(80)));
                spawn(move || wait_until([&queue], Instant::now() + wait).is_some())
            })
            .collect();
        let mut delivered = 0;
        for procs in [1, 3, 1, 4, 2] {
            greenthread::set_gomaxprocs(procs);
            delivered += (0..20).filter(|&n| queue.deliver(n)).count();
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).filter(|came| *came).count(), delivered);
    });
}
