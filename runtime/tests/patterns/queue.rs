//! `patterns::Queue`: order, what each policy does with a full queue, and that every value ends up
//! in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::{Census, Counted};
use crate::common::{Rng, check, check_from_thread, parked, seed, storm, until};
use greenthread::channel::TrySendError;
use greenthread::ctx::{Context, Error, RecvError};
use greenthread::patterns::{OverflowPolicy, PushError, Pushed, Queue};
use greenthread::{exit_goroutine, select, spawn, yield_now};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

const POLICIES: [OverflowPolicy; 5] = [
    OverflowPolicy::Block,
    OverflowPolicy::BlockTimeout(LONG),
    OverflowPolicy::BlockTimeout(Duration::ZERO),
    OverflowPolicy::DropNewest,
    OverflowPolicy::DropOldest,
];

fn background() -> Context {
    Context::background()
}

/// Waits until `n` goroutines wait in a push or a pop.
fn until_waiting(n: usize) {
    until(|| parked("select") == n);
}

#[test]
fn values_leave_in_the_order_of_their_pushes() {
    check(|| {
        for policy in
            [OverflowPolicy::Block, OverflowPolicy::BlockTimeout(LONG), OverflowPolicy::BlockTimeout(Duration::MAX)]
        {
            for capacity in [0, 1, 7] {
                let queue = Queue::new(capacity, policy);
                let producer = queue.clone();
                let producing = spawn(move || {
                    (0..1000).for_each(|n| assert_eq!(producer.push(&background(), n), Ok(Pushed::Queued)));
                    producer.close();
                });
                let mut expected = 0;
                for value in &queue {
                    assert_eq!(value, expected);
                    assert!(queue.len() <= capacity, "the consumers' pace is the producers'");
                    expected += 1;
                }
                producing.join().unwrap();
                assert_eq!((expected, queue.dropped()), (1000, 0));
            }
        }
    });
}

#[test]
fn each_value_goes_to_one_consumer() {
    check(|| {
        let queue = Queue::new(3, OverflowPolicy::Block);
        let consumers: Vec<_> = (0..3)
            .map(|n| {
                let queue = queue.clone();
                spawn(move || {
                    let mut got = Vec::new();
                    loop {
                        let value = match n {
                            0 => queue.pop(&background()).ok(),
                            1 => queue.iter().next(),
                            _ => select! { recv(queue.receiver()) -> value => value.ok() },
                        };
                        let Some(value) = value else { return got };
                        got.push(value);
                    }
                })
            })
            .collect();
        let producers: Vec<_> = (0..3)
            .map(|p| {
                let queue = queue.clone();
                spawn(move || (0..500).for_each(|n| assert!(queue.push(&background(), (p, n)).is_ok())))
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        queue.close();
        let got: Vec<Vec<_>> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        for of_one in &got {
            for p in 0..3 {
                assert!(of_one.iter().filter(|value| value.0 == p).is_sorted(), "a producer's values, in order");
            }
        }
        let mut all = got.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..3).flat_map(|p| (0..500).map(move |n| (p, n)))));
    });
}

#[test]
fn empty_and_very_large_queues() {
    check(|| {
        for policy in POLICIES {
            let empty = Queue::<u8>::new(4, policy);
            empty.close();
            assert_eq!(empty.iter().next(), None);
            assert_eq!(empty.pop(&background()), Err(RecvError::Disconnected));

            let queue = Queue::new(100_000, policy);
            (0..100_000).for_each(|n| assert_eq!(queue.try_push(n), Ok(Pushed::Queued)));
            assert_eq!((queue.len(), queue.capacity(), queue.dropped()), (100_000, 100_000, 0));
            queue.close();
            assert!(queue.iter().eq(0..100_000));

            // Any number of zero-sized values has room.
            let queue = Queue::<()>::new(usize::MAX, policy);
            assert_eq!(queue.try_push(()), Ok(Pushed::Queued));
            assert_eq!(queue.push(&background(), ()), Ok(Pushed::Queued));
            assert_eq!((queue.len(), queue.capacity(), queue.dropped()), (2, usize::MAX, 0));
            queue.close();
            assert_eq!(queue.iter().count(), 2);
        }
    });
}

#[test]
fn newest_value_is_rejected() {
    check(|| {
        let queue = Queue::new(2, OverflowPolicy::DropNewest);
        let pushed: Vec<_> = (0..4).map(|n| queue.push(&background(), n).unwrap()).collect();
        assert_eq!(pushed, [Pushed::Queued, Pushed::Queued, Pushed::Rejected(2), Pushed::Rejected(3)]);
        assert_eq!((queue.pop(&background()), queue.dropped()), (Ok(0), 2));
        assert_eq!(queue.push(&background(), 4), Ok(Pushed::Queued));
        queue.close();
        assert_eq!(queue.iter().collect::<Vec<_>>(), [1, 4]);
    });
}

#[test]
fn oldest_value_is_displaced() {
    check(|| {
        let queue = Queue::new(2, OverflowPolicy::DropOldest);
        let pushed: Vec<_> = (0..4).map(|n| queue.push(&background(), n).unwrap()).collect();
        assert_eq!(pushed, [Pushed::Queued, Pushed::Queued, Pushed::Displaced(0), Pushed::Displaced(1)]);
        assert_eq!((queue.pop(&background()), queue.dropped()), (Ok(2), 2));
        assert_eq!(queue.push(&background(), 4), Ok(Pushed::Queued));
        queue.close();
        assert_eq!(queue.iter().collect::<Vec<_>>(), [3, 4]);
    });
}

#[test]
fn without_capacity_a_consumer_must_wait() {
    check(|| {
        for policy in [OverflowPolicy::DropOldest, OverflowPolicy::DropNewest] {
            let queue = Queue::new(0, policy);
            assert_eq!(queue.push(&background(), 1), Ok(Pushed::Rejected(1)));
            let consumer = queue.clone();
            let consuming = spawn(move || consumer.pop(&background()));
            until_waiting(1);
            assert_eq!(queue.push(&background(), 2), Ok(Pushed::Queued));
            assert_eq!(consuming.join().unwrap(), Ok(2));
            assert_eq!(queue.dropped(), 1);
        }
        let queue = Queue::new(0, OverflowPolicy::Block);
        assert_eq!(queue.try_push(1), Err(TrySendError::Full(1)));
    });
}

#[test]
fn block_timeout_limits_the_wait() {
    check(|| {
        for timeout in [Duration::ZERO, SHORT] {
            let queue = Queue::new(1, OverflowPolicy::BlockTimeout(timeout));
            assert_eq!(queue.push(&background(), 1), Ok(Pushed::Queued));
            assert_eq!(queue.push(&background(), 2), Err(PushError::Timeout(2)));
            assert_eq!(queue.try_push(3), Err(TrySendError::Full(3)));
            assert_eq!(queue.dropped(), 1, "`try_push` does not wait, so it does not count");
            assert_eq!(queue.pop(&background()), Ok(1));
        }
        let queue = Queue::new(1, OverflowPolicy::BlockTimeout(LONG));
        queue.try_push(1).unwrap();
        let producer = queue.clone();
        let producing = spawn(move || producer.push(&background(), 2));
        until_waiting(1);
        assert_eq!(queue.pop(&background()), Ok(1));
        assert_eq!(producing.join().unwrap(), Ok(Pushed::Queued), "the consumer came in time");
    });
}

#[test]
fn context_ends_a_wait() {
    check(|| {
        let census = Census::default();
        for policy in [OverflowPolicy::Block, OverflowPolicy::BlockTimeout(LONG)] {
            let (ctx, cancel) = background().with_cancel();
            let (filled, empty) = (Queue::new(1, policy), Queue::<Counted>::new(1, policy));
            filled.try_push(census.value()).unwrap();
            let producers: Vec<_> = (0..3)
                .map(|_| {
                    let (queue, ctx, value) = (filled.clone(), ctx.clone(), census.value());
                    spawn(move || queue.push(&ctx, value).err())
                })
                .collect();
            let (consumer, consumer_ctx) = (empty.clone(), ctx.clone());
            let consuming = spawn(move || consumer.pop(&consumer_ctx).err());
            until_waiting(4);
            cancel.cancel();
            for producer in producers {
                assert!(matches!(producer.join().unwrap(), Some(PushError::Ended(Error::Canceled, _))));
            }
            assert_eq!(consuming.join().unwrap(), Some(RecvError::Ended(Error::Canceled)));
            assert_eq!(filled.dropped(), 0, "the context is not the policy");
        }
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn ended_context_takes_precedence() {
    check(|| {
        let (ctx, cancel) = background().with_cancel();
        cancel.cancel();
        for policy in POLICIES {
            let queue = Queue::new(1, policy);
            assert_eq!(queue.push(&ctx, 1), Err(PushError::Ended(Error::Canceled, 1)));
            queue.try_push(2).unwrap();
            assert_eq!(queue.pop(&ctx), Err(RecvError::Ended(Error::Canceled)));
            assert_eq!((queue.len(), queue.dropped()), (1, 0));
        }
    });
}

#[test]
fn close_returns_values_to_producers_and_drains() {
    check(|| {
        for policy in [OverflowPolicy::Block, OverflowPolicy::BlockTimeout(LONG)] {
            let queue = Queue::new(2, policy);
            (0..2).for_each(|n| assert!(queue.try_push(n).is_ok()));
            let producers: Vec<_> = (2..5)
                .map(|n| {
                    let queue = queue.clone();
                    spawn(move || queue.push(&background(), n))
                })
                .collect();
            until_waiting(3);
            let closers: Vec<_> = (0..4)
                .map(|_| {
                    spawn({
                        let queue = queue.clone();
                        move || queue.close()
                    })
                })
                .collect();
            closers.into_iter().for_each(|closer| closer.join().unwrap());
            for (producer, n) in producers.into_iter().zip(2..) {
                assert_eq!(producer.join().unwrap(), Err(PushError::Closed(n)));
            }
            assert_eq!(queue.iter().collect::<Vec<_>>(), [0, 1]);
        }
        for policy in POLICIES {
            let queue = Queue::new(0, policy);
            queue.close();
            queue.close();
            assert!(queue.is_closed());
            assert_eq!(queue.push(&background(), 1), Err(PushError::Closed(1)));
            assert_eq!(queue.try_push(1), Err(TrySendError::Disconnected(1)));
        }
        let full = Queue::new(1, OverflowPolicy::DropOldest);
        full.try_push(1).unwrap();
        full.close();
        assert_eq!(full.push(&background(), 2), Err(PushError::Closed(2)));
        assert_eq!(full.iter().collect::<Vec<_>>(), [1], "nothing is displaced for a value that is not taken");
    });
}

#[test]
fn last_handle_closes_the_queue() {
    check(|| {
        let (census, queue) = (Census::default(), Queue::new(4, OverflowPolicy::DropOldest));
        let receiver = queue.receiver().clone();
        let other = queue.clone();
        drop(queue);
        (0..6).for_each(|_| drop(other.try_push(census.value())));
        drop(other);
        assert_eq!(receiver.iter().count(), 4);
        assert_eq!(census.alive(), 0);

        let queue = Queue::new(4, OverflowPolicy::Block);
        (0..3).for_each(|_| assert!(queue.try_push(census.value()).is_ok()));
        assert_eq!(census.alive(), 3);
        drop(queue);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn queue_survives_a_panicking_consumer() {
    check(|| {
        let queue = Queue::new(1, OverflowPolicy::Block);
        for panics in [true, false] {
            let (consumer, producer) = (queue.clone(), queue.clone());
            let consuming = spawn(move || {
                for value in &consumer {
                    assert!(value != 1 || !panics, "expected");
                    if value == 1 {
                        exit_goroutine();
                    }
                }
            });
            let producing = spawn(move || (0..3).for_each(|n| assert!(producer.push(&background(), n).is_ok())));
            assert!(consuming.join().is_err());
            assert_eq!(queue.pop(&background()), Ok(2));
            producing.join().unwrap();
        }
    });
}

#[test]
fn send_and_sync_follow_the_values() {
    assert_eq!((asked!(Queue<std::cell::Cell<u8>>), asked!(Queue<*const u8>)), ((true, true), (false, false)));
}

#[test]
fn threads_and_goroutines_mix() {
    check_from_thread(|| {
        let queue = Queue::new(2, OverflowPolicy::BlockTimeout(LONG));
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || (0..200).for_each(|n| assert!(queue.push(&background(), n).is_ok())))
            })
            .collect();
        let goroutine = queue.clone();
        let consuming = spawn(move || (0..200).map(|_| goroutine.pop(&background()).unwrap()).sum::<u64>());
        let sum: u64 = (0..200).map(|_| queue.pop(&background()).unwrap()).sum();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!(sum + consuming.join().unwrap(), 2 * 19_900);
    });
}

/// Displaces values while several goroutines push and several receive: each value goes to one
/// place, and those of a producer stay in order.
#[test]
fn several_producers_displace_each_value_once() {
    check(move || {
        let seed = seed();
        let mut rng = Rng::new(seed);
        (0..40).for_each(|_| displace_by_several(&mut rng));
    });
}

fn displace_by_several(rng: &mut Rng) {
    let (capacity, each) = (1 + rng.below(3) as usize, 200);
    let queue = Queue::new(capacity, OverflowPolicy::DropOldest);
    let consumers: Vec<_> = (0..1 + rng.below(3))
        .map(|n| {
            let (queue, mut rng) = (queue.clone(), rng.fork());
            spawn(move || {
                let mut got = Vec::new();
                loop {
                    let next = if n == 0 { queue.receiver().recv().ok() } else { queue.pop(&background()).ok() };
                    let Some(value) = next else { return got };
                    got.push(value);
                    if rng.one_in(3) {
                        yield_now();
                    }
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..2)
        .map(|p| {
            let (queue, mut rng) = (queue.clone(), rng.fork());
            spawn(move || {
                let mut displaced = Vec::new();
                for n in 0..each {
                    displaced.extend(queue.push(&background(), (p, n)).unwrap().lost());
                    if rng.one_in(5) {
                        yield_now();
                    }
                }
                displaced
            })
        })
        .collect();
    let displaced: Vec<_> = producers.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
    assert_eq!(queue.dropped(), displaced.len() as u64);
    assert!(queue.len() <= capacity);
    queue.close();
    let mut all = displaced;
    for consumer in consumers {
        let got = consumer.join().unwrap();
        for p in 0..2 {
            assert!(got.iter().filter(|value| value.0 == p).is_sorted());
        }
        all.extend(got);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq((0..2).flat_map(|p| (0..each).map(move |n| (p, n)))));
}

/// Checks that a push displaces only the oldest value of a full queue: there are as many values
/// before the new one as the queue holds. If a consumer is faster, there is room, and nothing is
/// displaced.
#[test]
fn nothing_is_displaced_unless_the_queue_is_full() {
    check(move || {
        let seed = seed();
        let mut rng = Rng::new(seed);
        for capacity in [2, 3] {
            let queue = Queue::new(capacity, OverflowPolicy::DropOldest);
            let stop = Arc::new(AtomicBool::new(false));
            // One of the consumers is a thread, so that it runs on a CPU of its own even with one
            // P.
            let consumer = thread::spawn({
                let (queue, stop) = (queue.clone(), Arc::clone(&stop));
                move || {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = queue.receiver().try_recv();
                    }
                }
            });
            for n in 0..5000 {
                if let Pushed::Displaced(oldest) = queue.push(&background(), n).unwrap() {
                    assert_eq!(oldest, n - capacity, "it had room");
                }
                (0..rng.below(30)).for_each(|_| std::hint::spin_loop());
            }
            stop.store(true, Ordering::Relaxed);
            consumer.join().unwrap();
        }
    });
}

/// Uses any policy, with a close and the end of a context at some time: what was pushed is received
/// or comes back, once.
#[test]
fn every_value_ends_up_in_one_place() {
    storm(|rng| {
        let policies = [
            OverflowPolicy::Block,
            OverflowPolicy::BlockTimeout(Duration::from_micros(50)),
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
        ];
        let policy = policies[rng.index(policies.len())];
        let waits = matches!(policy, OverflowPolicy::Block | OverflowPolicy::BlockTimeout(_));
        let queue = Queue::new(rng.index(3), policy);
        let (census, (ctx, cancel)) = (Census::default(), background().with_cancel());
        let (lost, went_in) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let closed = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let (queue, census, ctx, mut rng) = (queue.clone(), census.clone(), ctx.clone(), rng.fork());
                let (lost, went_in, closed) = (Arc::clone(&lost), Arc::clone(&went_in), Arc::clone(&closed));
                spawn(move || {
                    for _ in 0..60 {
                        match queue.push(&ctx, census.value()) {
                            Ok(pushed @ (Pushed::Queued | Pushed::Displaced(_))) => {
                                went_in.fetch_add(1, Ordering::Relaxed);
                                lost.fetch_add(u64::from(pushed.lost().is_some()), Ordering::Relaxed);
                            }
                            Err(PushError::Closed(_)) => assert!(closed.load(Ordering::Acquire)),
                            Err(PushError::Ended(..)) => assert!(ctx.err().is_some()),
                            Err(PushError::Timeout(_)) => assert!(waits && policy != OverflowPolicy::Block),
                            Ok(Pushed::Rejected(_)) => assert!(!waits, "a producer that waits is not refused"),
                            Ok(_) => panic!("unknown outcome"),
                            Err(error) => panic!("unknown error: {error}"),
                        }
                        if rng.one_in(4) {
                            yield_now();
                        }
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                spawn(move || queue.iter().count() as u64)
            })
            .collect();
        (0..rng.index(100)).for_each(|_| yield_now());
        let cancels = rng.one_in(2);
        if cancels {
            cancel.cancel();
        }
        if rng.one_in(2) {
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            closed.store(true, Ordering::Release);
            queue.close();
        } else {
            closed.store(true, Ordering::Release);
            queue.close();
            producers.into_iter().for_each(|producer| producer.join().unwrap());
        }
        let received: u64 = consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum();
        assert_eq!(received + lost.load(Ordering::Relaxed), went_in.load(Ordering::Relaxed));
        assert_eq!(census.alive(), 0);
    });
}
