//! `patterns::Broker`: the reach, order, and waits of a publish, and that nothing is left.

use std::hash::{Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::drops::{Census, Counted};
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error, RecvError};
use greenthread::patterns::{Broker, OverflowPolicy, Subscription};
use greenthread::{JoinHandle, select, spawn, yield_now};

const POLICIES: [OverflowPolicy; 3] = [OverflowPolicy::Block, OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];

fn background() -> Context {
    Context::background()
}

/// Publishes `value` under "t" in a goroutine, which must wait for a slow subscriber.
fn publish_blocked<T: Clone + Send + 'static>(
    broker: &Broker<T>,
    ctx: &Context,
    value: T,
) -> JoinHandle<Result<usize, Error>> {
    let (waiting, broker, ctx) = (parked("select"), broker.clone(), ctx.clone());
    let publishing = spawn(move || broker.publish(&ctx, "t", value));
    until(|| parked("select") == waiting + 1);
    publishing
}

/// Takes the values in the buffer.
fn buffered<T>(subscription: &Subscription<T>) -> Vec<T> {
    subscription.receiver().try_iter().collect()
}

fn no_topics<T>(broker: &Broker<T>) -> bool {
    format!("{broker:?}").contains("topics: 0")
}

/// A value that counts its clones, and panics instead of the clone with this number.
struct Cloned {
    clones: Arc<AtomicUsize>,
    panics_at: usize,
    _counted: Counted,
    census: Census,
}

impl Cloned {
    fn new(census: &Census, panics_at: usize) -> Self {
        Self { clones: Arc::default(), panics_at, _counted: census.value(), census: census.clone() }
    }
}

impl Clone for Cloned {
    fn clone(&self) -> Self {
        assert!(self.clones.fetch_add(1, Ordering::Relaxed) != self.panics_at, "expected");
        Self {
            clones: Arc::clone(&self.clones),
            panics_at: self.panics_at,
            _counted: self.census.value(),
            census: self.census.clone(),
        }
    }
}

#[test]
fn every_subscriber_gets_every_value_in_order() {
    check(|| {
        for capacity in [0, 1, 5] {
            let broker = Broker::new();
            let subscribers: Vec<_> = (0..4)
                .map(|_| {
                    let subscription = broker.subscribe("t", capacity, OverflowPolicy::Block);
                    spawn(move || {
                        let got: Vec<(u32, u32)> = subscription.iter().collect();
                        assert_eq!(subscription.missed(), 0);
                        got
                    })
                })
                .collect();
            let publishers: Vec<_> = (0..3)
                .map(|p| {
                    let broker = broker.clone();
                    spawn(move || (0..100).for_each(|n| assert_eq!(broker.publish(&background(), "t", (p, n)), Ok(4))))
                })
                .collect();
            drop(broker);
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            for subscriber in subscribers {
                let mut got = subscriber.join().unwrap();
                for p in 0..3 {
                    assert!(got.iter().filter(|value| value.0 == p).is_sorted(), "a publisher's values, in order");
                }
                got.sort_unstable();
                assert!(got.into_iter().eq((0..3).flat_map(|p| (0..100).map(move |n| (p, n)))));
            }
        }
    });
}

#[test]
fn values_reach_only_current_subscribers() {
    check(|| {
        let broker = Broker::new();
        assert_eq!(broker.publish(&background(), "t", 0), Ok(0));
        let (t, u) =
            (broker.subscribe("t", 9, OverflowPolicy::Block), broker.subscribe("u", 9, OverflowPolicy::DropNewest));
        assert_eq!(broker.publish(&background(), "t", 1), Ok(1));
        assert_eq!(broker.publish(&background(), "u", 2), Ok(1));
        let late = broker.subscribe("t", 9, OverflowPolicy::DropOldest);
        assert_eq!(broker.publish(&background(), "t", 3), Ok(2));
        assert_eq!((buffered(&t), buffered(&u), buffered(&late)), (vec![1, 3], vec![2], vec![3]));
        assert_eq!((t.missed(), u.missed(), late.missed()), (0, 0, 0));
    });
}

#[test]
fn several_topics_share_one_buffer() {
    check(|| {
        let broker = Broker::new();
        let all = broker.subscribe_all(["a", "b", "a"], 9, OverflowPolicy::Block);
        let none = broker.subscribe_all::<str>([], 9, OverflowPolicy::Block);
        assert_eq!((broker.subscribers("a"), broker.subscribers("b"), broker.subscribers("c")), (1, 1, 0));
        for (n, topic) in ["a", "b", "c", "a"].into_iter().enumerate() {
            broker.publish(&background(), topic, n).unwrap();
        }
        assert_eq!((buffered(&all), buffered(&none)), (vec![0, 1, 3], vec![]));
        assert_eq!(all.topics(), ["a", "b", "a"]);
        drop(all);
        assert!(no_topics(&broker), "topics without subscribers are gone");
        assert_eq!(none.recv(&background()), Err(RecvError::Disconnected), "nothing can ever come");
    });
}

#[test]
fn last_subscriber_gets_the_value_itself() {
    check(|| {
        let census = Census::default();
        for subscribers in 0..5 {
            // With one that is waited for as well, at any position.
            for slow in 0..=subscribers {
                let broker = Broker::new();
                let all: Vec<_> = (0..subscribers).map(|_| broker.subscribe("t", 1, OverflowPolicy::Block)).collect();
                let value = Cloned::new(&census, usize::MAX);
                let clones = Arc::clone(&value.clones);
                if slow < subscribers {
                    all[slow].receiver().try_recv().err().unwrap();
                    let full = Cloned::new(&census, usize::MAX);
                    broker.publish(&background(), "t", full).unwrap();
                    all.iter().enumerate().filter(|(n, _)| *n != slow).for_each(|(_, one)| drop(buffered(one)));
                    let publishing = publish_blocked(&broker, &background(), value);
                    drop(all[slow].recv(&background()).ok().unwrap());
                    assert_eq!(publishing.join().unwrap(), Ok(subscribers));
                } else {
                    assert_eq!(broker.publish(&background(), "t", value), Ok(subscribers));
                }
                assert_eq!(clones.load(Ordering::Relaxed), subscribers.saturating_sub(1));
                assert!(all.iter().all(|one| buffered(one).len() == 1));
            }
        }
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn slow_subscriber_delays_no_other_subscriber() {
    check(|| {
        let broker = Broker::new();
        let slow = broker.subscribe("t", 1, OverflowPolicy::Block);
        let other = broker.subscribe("t", 1, OverflowPolicy::Block);
        let quick: Vec<_> = POLICIES.into_iter().map(|policy| broker.subscribe("t", 2, policy)).collect();
        assert_eq!(broker.publish(&background(), "t", 1), Ok(5));
        let publishing = publish_blocked(&broker, &background(), 2);
        for one in &quick {
            assert_eq!(buffered(one), [1, 2], "it has the value while the slow ones are waited for");
        }
        // The second slow subscriber gets the value as soon as it has room, whatever the first one
        // does.
        assert_eq!((other.recv(&background()), other.recv(&background())), (Ok(1), Ok(2)));
        assert!(!publishing.is_finished());
        assert_eq!((slow.recv(&background()), slow.recv(&background())), (Ok(1), Ok(2)));
        assert_eq!(publishing.join().unwrap(), Ok(5));
        assert!(quick.iter().chain([&slow, &other]).all(|one| one.missed() == 0));
    });
}

#[test]
fn newest_or_oldest_value_is_dropped() {
    check(|| {
        let broker = Broker::new();
        let oldest = broker.subscribe("t", 3, OverflowPolicy::DropOldest);
        let newest = broker.subscribe("t", 3, OverflowPolicy::DropNewest);
        let got: Vec<_> = (0..10).map(|n| broker.publish(&background(), "t", n).unwrap()).collect();
        assert_eq!(got, [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!((buffered(&oldest), buffered(&newest)), (vec![7, 8, 9], vec![0, 1, 2]));
        assert_eq!((oldest.missed(), newest.missed()), (7, 7));
    });
}

#[test]
fn without_capacity_only_a_waiting_subscriber_gets_the_value() {
    check(|| {
        for policy in [OverflowPolicy::DropOldest, OverflowPolicy::DropNewest] {
            let broker = Broker::new();
            let subscription = Arc::new(broker.subscribe("t", 0, policy));
            assert_eq!(broker.publish(&background(), "t", 1), Ok(0));
            let receiving = spawn({
                let subscription = Arc::clone(&subscription);
                move || subscription.recv(&background())
            });
            until(|| parked("select") == 1);
            assert_eq!(broker.publish(&background(), "t", 2), Ok(1));
            assert_eq!(receiving.join().unwrap(), Ok(2));
            assert_eq!(subscription.missed(), 1);
        }
    });
}

#[test]
fn context_ends_the_wait_for_subscribers() {
    check(|| {
        let (census, broker) = (Census::default(), Broker::new());
        let slow: Vec<_> = (0..3).map(|_| broker.subscribe("t", 1, OverflowPolicy::Block)).collect();
        let quick = broker.subscribe("t", 2, OverflowPolicy::Block);
        let value = || Cloned::new(&census, usize::MAX);
        assert_eq!(broker.publish(&background(), "t", value()), Ok(4));
        let (ctx, cancel) = background().with_cancel();
        let publishing = publish_blocked(&broker, &ctx, value());
        assert!(slow[1].recv(&background()).is_ok());
        until(|| !slow[1].receiver().is_empty());
        cancel.cancel();
        assert_eq!(publishing.join().unwrap(), Err(Error::Canceled));
        assert_eq!(slow.iter().map(Subscription::missed).collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(quick.receiver().len(), 2);

        assert_eq!(broker.publish(&ctx, "t", value()), Err(Error::Canceled));
        assert_eq!(broker.publish(&ctx, "no subscribers", value()), Err(Error::Canceled));
        assert_eq!(
            (quick.receiver().len(), quick.missed()),
            (2, 0),
            "the context had ended: no subscriber gets the value"
        );
        assert!(slow[0].recv(&ctx).is_err_and(|error| error == RecvError::Ended(Error::Canceled)));
        slow.iter().chain([&quick]).for_each(|one| drop(buffered(one)));
        assert_eq!(broker.publish(&background(), "t", value()), Ok(4));
        drop((broker, slow, quick));
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn block_timeout_limits_the_wait_for_a_subscriber() {
    check(|| {
        let (broker, limit) = (Broker::new(), Duration::from_millis(5));
        let [none, short, long, endless] = [Duration::ZERO, limit, Duration::from_secs(3600), Duration::MAX]
            .map(|timeout| broker.subscribe("t", 1, OverflowPolicy::BlockTimeout(timeout)));
        let missed = || [&none, &short, &long, &endless].map(Subscription::missed);
        assert_eq!(broker.publish(&background(), "t", 1), Ok(4), "all of them have room");

        let begin = Instant::now();
        let publishing = publish_blocked(&broker, &background(), 2);
        until(|| missed() == [1, 1, 0, 0]);
        assert!(begin.elapsed() >= limit);
        until(|| parked("select") == 1);
        assert_eq!(long.recv(&background()), Ok(1));
        assert_eq!(endless.recv(&background()), Ok(1));
        assert_eq!(publishing.join().unwrap(), Ok(2));
        assert_eq!((buffered(&none), buffered(&short)), (vec![1], vec![1]), "they keep what they had");
        assert_eq!((buffered(&long), buffered(&endless)), (vec![2], vec![2]));

        drop((long, endless));
        assert_eq!(broker.publish(&background(), "t", 3), Ok(2));
        assert_eq!(broker.publish(&background(), "t", 4), Ok(0), "both timed out");
        let (ctx, cancel) = background().with_cancel();
        cancel.cancel();
        assert_eq!(broker.publish(&ctx, "t", 5), Err(Error::Canceled));
        assert_eq!((none.missed(), short.missed()), (2, 2));
    });
}

#[test]
fn publisher_stops_waiting_for_an_unsubscribed_subscriber() {
    check(|| {
        let (census, broker) = (Census::default(), Broker::new());
        let (gone, stays) =
            (broker.subscribe("t", 0, OverflowPolicy::Block), broker.subscribe("t", 0, OverflowPolicy::Block));
        let kept = gone.receiver().clone();
        let publishing = publish_blocked(&broker, &background(), Cloned::new(&census, usize::MAX));
        drop(gone);
        assert!(kept.recv().is_err(), "a clone of the receiver does not keep it");
        assert_eq!(broker.subscribers("t"), 1);
        assert!(stays.recv(&background()).is_ok());
        assert_eq!(publishing.join().unwrap(), Ok(1));
        let publishing = publish_blocked(&broker, &background(), Cloned::new(&census, usize::MAX));
        drop(stays);
        assert_eq!(publishing.join().unwrap(), Ok(0));
        assert!(no_topics(&broker));
        assert_eq!(census.alive(), 0);

        let left = broker.subscribe("t", 2, OverflowPolicy::Block);
        let kept = left.receiver().clone();
        assert_eq!(broker.publish(&background(), "t", Cloned::new(&census, usize::MAX)), Ok(1));
        drop(left);
        assert_eq!(kept.iter().count(), 1, "what was buffered can still be received");
        let left = broker.subscribe("t", 2, OverflowPolicy::Block);
        assert_eq!(broker.publish(&background(), "t", Cloned::new(&census, usize::MAX)), Ok(1));
        drop(left);
        assert_eq!(census.alive(), 0, "without a receiver it is dropped at once");
    });
}

#[test]
fn panicking_subscriber_unsubscribes() {
    check(|| {
        let broker = Broker::new();
        let (panics, stays) =
            (broker.subscribe("t", 0, OverflowPolicy::Block), broker.subscribe("t", 10, OverflowPolicy::Block));
        let panicking = spawn(move || assert!(panics.iter().all(|n| n < 3), "expected"));
        for n in 0..10 {
            broker.publish(&background(), "t", n).unwrap();
        }
        assert_eq!(text(&*panicking.join().unwrap_err()), "expected");
        assert_eq!((broker.subscribers("t"), stays.missed()), (1, 0));
        assert!(buffered(&stays).into_iter().eq(0..10));
    });
}

#[test]
fn close_ends_subscriptions_after_buffered_values() {
    check(|| {
        let broker = Broker::new();
        let both = broker.subscribe_all(["t", "u"], 1, OverflowPolicy::Block);
        let other = broker.clone();
        assert_eq!(broker.publish(&background(), "u", 1), Ok(1));
        let publishing = publish_blocked(&broker, &background(), 2);
        other.close();
        other.close();
        assert_eq!(publishing.join().unwrap(), Ok(0));
        assert_eq!(broker.publish(&background(), "t", 3), Ok(0));
        assert_eq!(both.iter().collect::<Vec<_>>(), [1]);
        let late = broker.subscribe("t", 1, OverflowPolicy::Block);
        assert_eq!((late.recv(&background()), broker.subscribers("t")), (Err(RecvError::Disconnected), 0));
        assert!(no_topics(&broker));
    });
}

#[test]
fn last_handle_closes_the_broker() {
    check(|| {
        let broker = Broker::new();
        let subscription = broker.subscribe("t", 2, OverflowPolicy::DropOldest);
        let other = broker.clone();
        drop(broker);
        assert_eq!(other.publish(&background(), "t", 1), Ok(1));
        drop(other);
        assert_eq!(subscription.iter().collect::<Vec<_>>(), [1]);
        assert_eq!(subscription.missed(), 0);
    });
}

#[test]
fn panicking_clone_loses_no_delivered_value() {
    check(|| {
        let (census, broker) = (Census::default(), Broker::new());
        let all: Vec<_> = (0..3).map(|_| broker.subscribe("t", 1, OverflowPolicy::Block)).collect();
        let publish = |value| panic::catch_unwind(AssertUnwindSafe(|| broker.publish(&background(), "t", value)));
        let payload = publish(Cloned::new(&census, 1)).unwrap_err();
        assert_eq!(text(&*payload), "expected");
        assert_eq!(all.iter().map(|one| one.receiver().len()).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!(all.iter().map(Subscription::missed).collect::<Vec<_>>(), [0, 1, 1]);
        drop(buffered(&all[0]));
        assert_eq!(publish(Cloned::new(&census, usize::MAX)).unwrap(), Ok(3));

        // During the wait: the first and the second are full, and only then the value is cloned
        // again.
        let waiting = spawn({
            let (broker, value) = (broker.clone(), Cloned::new(&census, 1));
            move || broker.publish(&background(), "t", value)
        });
        until(|| parked("select") == 1);
        assert!(all[0].recv(&background()).is_ok());
        assert_eq!(text(&*waiting.join().unwrap_err()), "expected");
        assert_eq!(all.iter().map(Subscription::missed).collect::<Vec<_>>(), [0, 2, 2]);
        drop((broker, all));
        assert_eq!(census.alive(), 0);
    });
}

/// A key whose code uses the broker wherever it can.
struct Nosy(u32, Arc<Look>);

#[derive(Default)]
struct Look {
    broker: OnceLock<Mutex<Broker<u32, Nosy>>>,
    looks: AtomicUsize,
    /// Makes the next hash of one of the keys panic.
    panics: AtomicBool,
}

impl Nosy {
    fn look(&self) {
        self.1.looks.fetch_add(1, Ordering::Relaxed);
        let broker = self.1.broker.get().map(|broker| broker.lock().unwrap().clone());
        drop(format!("{broker:?}"));
    }
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        self.look();
        Self(self.0, Arc::clone(&self.1))
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.look();
    }
}

impl PartialEq for Nosy {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Nosy {}

impl Hash for Nosy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(self.0 != 1 || !self.1.panics.swap(false, Ordering::Relaxed), "expected");
        self.0.hash(state);
    }
}

#[test]
fn code_of_keys_may_use_the_broker() {
    check(|| {
        let look = Arc::new(Look::default());
        let broker = Broker::new();
        look.broker.set(Mutex::new(broker.clone())).unwrap();
        let keys: Vec<_> = (0..3).map(|n| Nosy(n, Arc::clone(&look))).collect();
        let (one, two) = (
            broker.subscribe_all(&keys, 4, OverflowPolicy::Block),
            broker.subscribe_all(&keys, 4, OverflowPolicy::Block),
        );
        assert_eq!(broker.publish(&background(), &keys[0], 5), Ok(2));
        drop(one);
        drop(broker.subscribe(&Nosy(3, Arc::clone(&look)), 4, OverflowPolicy::Block));

        let panicking = |f: &dyn Fn()| {
            look.panics.store(true, Ordering::Relaxed);
            assert_eq!(text(&*panic::catch_unwind(AssertUnwindSafe(f)).unwrap_err()), "expected");
        };
        panicking(&|| assert!(broker.publish(&background(), &keys[1], 6).is_ok()));
        panicking(&|| drop(broker.subscribe_all(&keys, 4, OverflowPolicy::Block)));
        assert_eq!((broker.subscribers(&keys[0]), broker.publish(&background(), &keys[1], 7)), (1, Ok(1)));

        broker.close();
        assert_eq!(two.iter().collect::<Vec<_>>(), [5, 7]);
        drop((two, keys));
        assert!(look.looks.load(Ordering::Relaxed) > 20);
        // Breaks the cycle: the key holds the broker, which holds the key.
        *look.broker.get().unwrap().lock().unwrap() = Broker::new();
    });
}

/// A value whose clone and destructor use the broker that it goes through.
struct Guest(Broker<Guest>, Census, #[expect(dead_code, reason = "counts")] Counted);

impl Guest {
    fn new(broker: &Broker<Guest>, census: &Census) -> Self {
        Self(broker.clone(), census.clone(), census.value())
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        assert_eq!(self.0.subscribers("t"), 3);
        Self::new(&self.0, &self.1)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        drop(self.0.subscribe("t", 1, OverflowPolicy::DropNewest));
    }
}

#[test]
fn code_of_values_may_use_the_broker() {
    check(|| {
        let (census, broker) = (Census::default(), Broker::new());
        let all: Vec<_> = POLICIES.into_iter().map(|policy| broker.subscribe("t", 1, policy)).collect();
        assert_eq!(broker.publish(&background(), "t", Guest::new(&broker, &census)), Ok(3));
        drop(buffered(&all[0]));
        assert_eq!(broker.publish(&background(), "t", Guest::new(&broker, &census)), Ok(2));
        assert_eq!(all.iter().map(Subscription::missed).collect::<Vec<_>>(), [0, 1, 1]);
        drop(all);
        assert_eq!(census.alive(), 0);
        assert!(no_topics(&broker));
    });
}

#[test]
fn many_subscribers_and_many_values() {
    check(|| {
        let broker = Broker::new();
        let all: Vec<_> = (0..2000).map(|n| broker.subscribe("t", 5, POLICIES[n % 3])).collect();
        (0..5).for_each(|n| assert_eq!(broker.publish(&background(), "t", n), Ok(2000)));
        assert!(all.iter().all(|one| buffered(one) == [0, 1, 2, 3, 4]));
        drop(all);
        assert!(no_topics(&broker));

        let one = broker.subscribe("t", 10, OverflowPolicy::Block);
        let receiving = spawn(move || one.iter().enumerate().map(|(n, value)| assert_eq!(n, value)).count());
        (0..20_000).for_each(|n| assert_eq!(broker.publish(&background(), "t", n), Ok(1)));
        drop(broker);
        assert_eq!(receiving.join().unwrap(), 20_000);
    });
}

#[test]
fn many_slow_subscribers() {
    check(|| {
        let broker = Broker::new();
        let all: Vec<_> = (0..100).map(|_| broker.subscribe("t", 0, OverflowPolicy::Block)).collect();
        let receiving: Vec<_> = all.into_iter().map(|one| spawn(move || one.iter().sum::<u32>())).collect();
        (0..20).for_each(|n| assert_eq!(broker.publish(&background(), "t", n), Ok(100)));
        drop(broker);
        assert!(receiving.into_iter().all(|one| one.join().unwrap() == 190));
    });
}

#[test]
fn send_and_sync_follow_values_and_keys() {
    use std::cell::Cell;
    assert_eq!((asked!(Broker<Cell<u8>>), asked!(Subscription<Cell<u8>>)), ((true, true), (true, true)));
    assert_eq!((asked!(Broker<*const u8>), asked!(Subscription<*const u8>)), ((false, false), (false, false)));
    assert_eq!((asked!(Broker<u8, *const u8>), asked!(Subscription<u8, *const u8>)), ((false, false), (false, false)));
}

#[test]
fn threads_and_goroutines_mix() {
    check_from_thread(|| {
        let broker = Broker::<u32>::new();
        let (one, two) =
            (broker.subscribe("t", 1, OverflowPolicy::Block), broker.subscribe("t", 0, OverflowPolicy::Block));
        let goroutine = spawn(move || one.iter().sum::<u32>());
        let selecting = thread::spawn(move || {
            let (mut sum, ctx) = (0, background());
            loop {
                select! {
                    recv(two.receiver()) -> value => match value {
                        Ok(value) => sum += value,
                        Err(_) => return sum,
                    },
                    recv(ctx.done()) -> _ => unreachable!(),
                }
            }
        });
        (0..200).for_each(|n| assert_eq!(broker.publish(&background(), "t", n), Ok(2)));
        drop(broker);
        assert_eq!((goroutine.join().unwrap(), selecting.join().unwrap()), (19_900, 19_900));
    });
}

#[test]
fn subscribers_come_and_go() {
    storm(|rng| {
        let (broker, census, (ctx, cancel)) = (Broker::new(), Census::default(), background().with_cancel());
        // The latest values, received by several goroutines at once.
        let latest = Arc::new(broker.subscribe("0", 2, OverflowPolicy::DropOldest));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let latest = Arc::clone(&latest);
                spawn(move || latest.iter().count() as u64)
            })
            .collect();
        let subscribers: Vec<_> = (0..4)
            .map(|_| {
                let (broker, ctx, mut rng) = (broker.clone(), ctx.clone(), rng.fork());
                spawn(move || {
                    for _ in 0..rng.below(12) {
                        let topics = ["0", "1"];
                        let subscribed = &topics[rng.index(2)..];
                        let one =
                            broker.subscribe_all(subscribed.iter().copied(), rng.index(3), POLICIES[rng.index(3)]);
                        for _ in 0..rng.below(4) {
                            drop(one.recv(&ctx));
                        }
                    }
                })
            })
            .collect();
        let publishers: Vec<_> = (0..3)
            .map(|_| {
                let (broker, census, ctx) = (broker.clone(), census.clone(), ctx.clone());
                let mut rng = rng.fork();
                spawn(move || {
                    let mut to_latest = 0;
                    for _ in 0..40 {
                        let topic = rng.index(2);
                        let value = Cloned::new(&census, usize::MAX);
                        let result = broker.publish(&ctx, ["0", "1"][topic], value);
                        // The subscription that is always there never blocks a publisher.
                        match result {
                            Ok(got) => {
                                assert!(topic == 1 || got >= 1);
                                to_latest += u64::from(topic == 0);
                            }
                            Err(_) => return None,
                        }
                        yield_now();
                    }
                    Some(to_latest)
                })
            })
            .collect();
        (0..rng.index(200)).for_each(|_| yield_now());
        let mut cancel = Some(cancel);
        if rng.one_in(2) {
            cancel = None;
        }
        // No publisher waits for a subscriber that neither receives nor unsubscribes.
        let published: Vec<_> = publishers.into_iter().map(|one| one.join().unwrap()).collect();
        drop(cancel);
        subscribers.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(broker.subscribers("1"), 0);
        drop(broker);
        let received: u64 = readers.into_iter().map(|one| one.join().unwrap()).sum();
        if let Some(published) = published.into_iter().sum::<Option<u64>>() {
            assert_eq!(received + latest.missed(), published);
        }
        drop(latest);
        assert_eq!(census.alive(), 0);
    });
}
