//! The properties that Go's own tests demand of channels, written independently (Go:
//! `runtime/chan_test.go`, `test/chan/`).

use crate::common::{everywhere, moment, spawn, until, yield_now};
use greenthread_channels::{Receiver, RecvError, Sender, TryRecvError, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Go's TestChan, for capacities from zero to many.
#[test]
fn chan() {
    everywhere(|| {
        for cap in 0..50 {
            an_empty_channel_blocks_a_receive(cap);
            a_full_channel_blocks_a_send(cap);
            a_closed_channel_gives_its_values_and_then_its_end(cap);
            a_close_unblocks_a_receive(cap);
            values_arrive_in_order(cap);
        }
    });
}

fn an_empty_channel_blocks_a_receive(cap: usize) {
    let (tx, rx) = bounded(cap);
    let received = Arc::new(AtomicBool::new(false));
    let task = spawn({
        let (rx, received) = (rx.clone(), Arc::clone(&received));
        move || {
            let value = rx.recv();
            received.store(true, Ordering::Relaxed);
            value
        }
    });
    if cap.is_multiple_of(10) {
        moment();
    }
    assert!(!received.load(Ordering::Relaxed));
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    tx.send(0).unwrap();
    assert_eq!(task.join(), Ok(0));
}

fn a_full_channel_blocks_a_send(cap: usize) {
    let (tx, rx) = bounded(cap);
    for n in 0..cap {
        tx.try_send(n).unwrap();
    }
    let sent = Arc::new(AtomicBool::new(false));
    let task = spawn({
        let (tx, sent) = (tx.clone(), Arc::clone(&sent));
        move || {
            tx.send(cap).unwrap();
            sent.store(true, Ordering::Relaxed);
        }
    });
    if cap.is_multiple_of(10) {
        moment();
    }
    assert!(!sent.load(Ordering::Relaxed));
    if cap > 0 {
        assert!(tx.try_send(777).is_err());
    }
    for n in 0..=cap {
        assert_eq!(rx.recv(), Ok(n));
    }
    task.join();
}

fn a_closed_channel_gives_its_values_and_then_its_end(cap: usize) {
    let (tx, rx) = bounded(cap);
    for n in 0..cap {
        tx.send(n).unwrap();
    }
    tx.close();
    for n in 0..cap {
        assert_eq!(rx.recv(), Ok(n));
    }
    for _ in 0..3 {
        assert_eq!(rx.recv(), Err(RecvError));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    }
}

fn a_close_unblocks_a_receive(cap: usize) {
    let (tx, rx) = bounded::<i32>(cap);
    let task = spawn(move || rx.recv());
    yield_now();
    tx.close();
    assert_eq!(task.join(), Err(RecvError));
}

fn values_arrive_in_order(cap: usize) {
    let (tx, rx) = bounded(cap);
    let task = spawn(move || (0..100).try_for_each(|n| tx.send(n)));
    assert!(rx.iter().eq(0..100));
    task.join().unwrap();

    // Four senders and four receivers: no value is lost or received twice.
    let (tx, rx) = bounded(cap);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let tx = tx.clone();
            spawn(move || (0..100).try_for_each(|n| tx.send(n)))
        })
        .collect();
    let counts: Arc<[AtomicUsize; 100]> = Arc::new([const { AtomicUsize::new(0) }; 100]);
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let (rx, counts) = (rx.clone(), Arc::clone(&counts));
            spawn(move || {
                for _ in 0..100 {
                    counts[rx.recv().unwrap()].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    receivers.into_iter().for_each(crate::common::Task::join);
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 4));
}

/// Go's TestNonblockRecvRace: a value is buffered, and then the channel is closed and drained while
/// a non-blocking receive runs.
///
/// That receive must find the value or the end, because the channel was never *empty and open*.
#[test]
fn nonblock_recv_race() {
    everywhere(|| {
        for _ in 0..3000 {
            let (tx, rx) = bounded(1);
            tx.send(1).unwrap();
            let task = spawn({
                let rx = rx.clone();
                move || rx.try_recv() != Err(TryRecvError::Empty)
            });
            tx.close();
            let mine = rx.recv();
            assert!(task.join(), "the channel was not ready; mine = {mine:?}");
        }
    });
}

/// Go's TestPseudoRandomSend without its select: two senders, each sending one kind of value, share
/// the channel evenly enough that neither is starved.
#[test]
fn two_senders_share_a_channel() {
    everywhere(|| {
        for cap in [0, 100] {
            let (tx, rx) = bounded(cap);
            let tasks: Vec<_> = (0..2usize)
                .map(|kind| {
                    let tx = tx.clone();
                    spawn(move || while tx.send(kind).is_ok() {})
                })
                .collect();
            let mut counts = [0; 2];
            until(|| {
                counts[rx.recv().unwrap()] += 1;
                counts.iter().all(|&count| count > 300)
            });
            tx.close();
            tasks.into_iter().for_each(crate::common::Task::join);
        }
    });
}

/// Go's TestMultiConsumer: several workers receive from one channel and send to another.
#[test]
fn multi_consumer() {
    everywhere(|| {
        const WORKERS: usize = 6;
        const ITEMS: usize = 6000;
        let numbers = [2, 3, 7, 11, 31];
        let (jobs, queue) = bounded(WORKERS);
        let (results, done) = bounded(WORKERS);
        for id in 0..WORKERS {
            let (queue, results) = (queue.clone(), results.clone());
            spawn(move || {
                for n in &queue {
                    if (id + n) % 7 == 0 {
                        yield_now();
                    }
                    results.send(n).unwrap();
                }
            });
        }
        drop(results);
        let feeder = spawn(move || {
            let mut expected = 0;
            for n in (0..ITEMS).map(|i| numbers[i % numbers.len()]) {
                expected += n;
                jobs.send(n).unwrap();
            }
            jobs.close();
            expected
        });
        let (count, sum) = done.iter().fold((0, 0), |(count, sum), n| (count + 1, sum + n));
        assert_eq!((count, sum), (ITEMS, feeder.join()));
    });
}

/// Go's TestSelfSelect is about select.
///
/// This is its other half: a goroutine's own send and receive on one unbuffered channel never meet.
#[test]
fn task_never_meets_itself() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        assert!(tx.try_send(1).is_err());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

/// Go's TestChanSendInterface and similar ones: a value of any type arrives unchanged.
#[test]
fn any_type_arrives_unchanged() {
    everywhere(|| {
        fn through<T: Send + PartialEq + std::fmt::Debug + Clone + 'static>(value: T) {
            for (tx, rx) in [bounded(0), bounded(1), unbounded()] {
                let sent = value.clone();
                let task = spawn(move || tx.send(sent));
                assert_eq!(rx.recv().as_ref(), Ok(&value));
                task.join().unwrap();
            }
        }
        through(());
        through(7u8);
        through(Some(Box::new(5)));
        through(None::<std::num::NonZeroU64>);
        through("text".to_string());
        through([1u64; 100]);
        through(Some(Some(())));
    });
}

/// Go's `test/chan/sieve1.go`: a chain of channels, one per prime.
#[test]
fn prime_sieve() {
    everywhere(|| {
        fn filter(rx: Receiver<u32>, prime: u32) -> Receiver<u32> {
            let (tx, next) = bounded(0);
            spawn(move || rx.iter().filter(|n| n % prime != 0).try_for_each(|n| tx.send(n)));
            next
        }
        let (tx, mut rx): (Sender<u32>, _) = bounded(0);
        let source = spawn(move || (2..).try_for_each(|n| tx.send(n)));
        let mut primes = Vec::new();
        for _ in 0..25 {
            let prime = rx.recv().unwrap();
            primes.push(prime);
            rx = filter(rx, prime);
        }
        assert_eq!(primes.iter().sum::<u32>(), 1060, "{primes:?}");
        drop(rx);
        assert!(source.join().is_err(), "the end runs up the chain");
    });
}
