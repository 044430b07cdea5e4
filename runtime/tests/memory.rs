//! Checks that patterns leave no memory behind, and so no channel, context, or value, however they
//! end, nor do large closures and results of goroutines.
//!
//! The tests count live bytes while each pattern runs again and again under one context, which
//! would keep what is not removed from it. The first rounds warm up what the runtime keeps for
//! later: goroutines for reuse, capacity in its lists, threads. Such growth still happens now and
//! then, for example when more goroutines exist at once than ever before, but not all the time; a
//! leak grows in each round.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{check_within, text, until, until_alone};
use greenthread::channel::{self, Receiver};
use greenthread::ctx::{Context, Error};
use greenthread::patterns::{
    Backoff, Broker, OverflowPolicy, Pipeline, Queue, RateLimiter, bridge, dynamic_worker_pool, fan_in, fan_out,
    heartbeat, or, parallel_map, parallel_map_unordered, retry, tee, until_done, worker_pool,
};
use greenthread::spawn;
use greenthread::time::after_func;

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system allocator, which upholds the contract of `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller of `alloc` passes a layout with a size above zero, as `System`
        // requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller of `dealloc` passes memory that `alloc`, and so `System`, returned for
        // this layout.
        unsafe { System.dealloc(memory, layout) };
    }
}

const LONG: Duration = Duration::from_secs(3600);

const WARM_UP: usize = 50;
const ROUNDS: usize = 60;

/// Less than the smallest allocation in each round.
const SMALL: isize = 2 * ROUNDS as isize;

/// How many times the rounds are repeated until they leave nothing.
const TRIES: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Normal,
    Canceled,
    Dropped,
    Panic,
}

const ENDS: [End; 4] = [End::Normal, End::Canceled, End::Dropped, End::Panic];

/// Returns the live bytes once the count is stable: a goroutine that has ended may still be about
/// to free something.
fn live() -> isize {
    until_alone();
    loop {
        let before = LIVE.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
        if LIVE.load(Ordering::Relaxed) == before {
            return before;
        }
    }
}

/// Runs `round` with each end, again and again, and checks that no memory is lost.
fn leaves_nothing(what: &'static str, round: fn(&Context, End)) {
    check_within(Duration::from_secs(120), move || {
        for end in ENDS {
            let (root, _cancel) = Context::background().with_cancel();
            let run = |rounds| {
                (0..rounds).for_each(|_| {
                    round(&root, end);
                    until_alone();
                });
            };
            run(WARM_UP);
            let growth: Vec<isize> = (0..TRIES)
                .map(|_| {
                    let before = live();
                    run(ROUNDS);
                    live() - before
                })
                .take_while(|&growth| growth > SMALL)
                .collect();
            assert!(growth.len() < TRIES, "{what}, {end:?}: {growth:?} bytes in {ROUNDS} rounds each");
        }
    });
}

/// Returns a pipeline of values on the heap, which with [`End::Panic`] panics at the fourth.
fn source(ctx: &Context, end: End) -> Pipeline<Box<usize>> {
    let last = if end == End::Normal { 6 } else { usize::MAX };
    Pipeline::new(ctx, 0..last).map(move |n| {
        if end == End::Panic && n == 3 {
            fail();
        }
        Box::new(n)
    })
}

/// Panics without printing a message.
fn fail() -> ! {
    panic::resume_unwind(Box::new("expected"))
}

fn assert_fails<T>(f: impl FnOnce() -> T) {
    let payload = panic::catch_unwind(AssertUnwindSafe(f)).err().expect("it panics");
    assert_eq!(text(&*payload), "expected");
}

/// Runs a pipeline to one of the ends.
fn play<T: Send + 'static>(root: &Context, end: End, make: impl FnOnce(&Context) -> Pipeline<T>) {
    let (ctx, cancel) = root.with_cancel();
    match end {
        End::Normal => {
            // The root itself is the context here, and nothing cancels it.
            let values = make(root);
            assert!(values.iter().count() >= 1);
            values.wait().unwrap();
        }
        End::Canceled => {
            let values = make(&ctx);
            values.recv().unwrap();
            cancel.cancel();
            assert_eq!(values.wait().unwrap_err().to_string(), "context canceled");
        }
        End::Dropped => {
            let values = make(root);
            values.recv().unwrap();
        }
        End::Panic => assert_fails(|| make(root).wait()),
    }
}

/// Checks that memory that many goroutines held at the same time is freed: by closures that ran, by
/// closures that were stopped, by results that were taken or not.
#[test]
fn large_closures_and_results() {
    const MANY: usize = 400;
    type Large = [u8; 4 << 10];
    fn burst(one: impl Fn(Large) -> Box<dyn FnOnce()>) {
        let all: Vec<_> = (0..MANY).map(|n| one([n as u8; 4 << 10])).collect();
        all.into_iter().for_each(|end| end());
    }
    check_within(Duration::from_secs(120), || {
        let before = live();
        burst(|large| {
            let call = after_func(LONG, move || _ = black_box(large));
            Box::new(move || assert!(call.stop()))
        });
        burst(|large| {
            let (go_on, gate) = channel::bounded::<()>(0);
            let task = spawn(move || {
                let _ = gate.recv();
                black_box(large)
            });
            Box::new(move || {
                drop(go_on);
                task.join().unwrap();
            })
        });
        burst(|large| {
            let task = spawn(move || large);
            until(|| task.is_finished());
            Box::new(move || drop(task))
        });
        let kept = live() - before;
        assert!(kept < (MANY / 4 * size_of::<Large>()) as isize, "{kept} bytes are kept");
    });
}

/// Checks every stage that has one goroutine.
#[test]
fn stages() {
    leaves_nothing("stages", |root, end| {
        play(root, end, |ctx| {
            let batches = source(ctx, end).capacity(1).filter(|_| true).filter_map(Some).batch(2, LONG);
            Pipeline::from_input(ctx, batches.flat_map(|batch| batch).try_map(Ok::<_, String>)).take(5)
        });
    });
}

fn fails_soon(n: Box<usize>) -> Result<Box<usize>, String> {
    if *n < 2 { Ok(n) } else { Err("expected".to_owned()) }
}

fn gives_up(end: End, values: Pipeline<Box<usize>>) {
    let values = values.map(|n| n);
    // The source may reach its panic first.
    match panic::catch_unwind(AssertUnwindSafe(|| values.wait())) {
        Ok(end) => assert_eq!(end.unwrap_err().to_string(), "expected"),
        Err(payload) => assert_eq!((end, text(&*payload)), (End::Panic, "expected")),
    }
}

#[test]
fn a_stage_that_gives_up() {
    leaves_nothing("try_map", |root, end| gives_up(end, source(root, end).try_map(fails_soon)));
    leaves_nothing("try_map_parallel", |root, end| gives_up(end, source(root, end).try_map_parallel(3, fails_soon)));
    leaves_nothing("try_map_ordered", |root, end| gives_up(end, source(root, end).try_map_ordered(3, fails_soon)));
}

#[test]
fn pools() {
    leaves_nothing("pools", |root, end| {
        play(root, end, |ctx| {
            let pool = worker_pool(ctx, 3, source(ctx, end), |_, n| n);
            let pool = pool.map_ordered(2, |n| n).map_parallel(2, |n| n);
            dynamic_worker_pool(ctx, 1..=3, Duration::from_micros(50), pool, |_, n| n)
        });
    });
}

#[test]
fn fans() {
    leaves_nothing("fan_out and fan_in", |root, end| {
        play(root, end, |ctx| fan_in(ctx, fan_out(ctx, 3, source(ctx, end), |n| n)));
    });
}

#[test]
fn tees() {
    leaves_nothing("tee", |root, end| {
        play(root, end, |ctx| {
            let (left, right) = tee(ctx, source(ctx, end));
            fan_in(ctx, [left, right])
        });
        play(root, end, |ctx| {
            let (left, right) = tee(ctx, source(ctx, end));
            drop(left);
            right
        });
    });
}

#[test]
fn bridges() {
    leaves_nothing("bridge", |root, end| {
        play(root, end, |ctx| {
            let inner = ctx.clone();
            bridge(ctx, Pipeline::new(ctx, 0..3).capacity(2).map(move |_| source(&inner, end)))
        });
    });
}

#[test]
fn until_done_and_or() {
    leaves_nothing("until_done", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let mut values = until_done(&ctx, source(root, end));
        match end {
            End::Normal => assert_eq!(values.count(), 6),
            End::Canceled => {
                values.next().unwrap();
                cancel.cancel();
                assert!(values.next().is_none());
            }
            End::Dropped => drop(values.next()),
            End::Panic => assert_fails(|| values.count()),
        }
    });
    leaves_nothing("or", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| channel::bounded::<Box<usize>>(1)).unzip();
        let first = or(&ctx, receivers);
        match end {
            End::Normal => senders[1].send(Box::new(1)).unwrap(),
            End::Canceled => cancel.cancel(),
            End::Dropped => return drop(first),
            End::Panic => {
                let panics = (0..9).map(|n| if n == 3 { fail() } else { channel::bounded::<Box<usize>>(1).1 });
                assert_fails(|| or(root, panics));
                drop(senders);
            }
        }
        assert!(first.recv().is_err());
    });
}

#[test]
fn parallel_maps() {
    leaves_nothing("parallel_map", |root, end| {
        for ordered in [true, false] {
            let (ctx, cancel) = root.with_cancel();
            let f = |_: &Context, n: usize| {
                match end {
                    End::Panic if n == 3 => fail(),
                    End::Canceled if n == 3 => cancel.cancel(),
                    End::Dropped if n == 3 => return Err(Error::DeadlineExceeded),
                    _ => {}
                }
                Ok(Box::new(n))
            };
            let map = || match ordered {
                true => parallel_map(&ctx, 3, 0..8, f),
                false => parallel_map_unordered(&ctx, 3, 0..8, f),
            };
            match end {
                End::Normal => assert_eq!(map().unwrap().len(), 8),
                End::Canceled => assert_eq!(map(), Err(Error::Canceled)),
                End::Dropped => assert_eq!(map(), Err(Error::DeadlineExceeded)),
                End::Panic => assert_fails(map),
            }
        }
    });
}

#[test]
fn heartbeats() {
    leaves_nothing("heartbeat", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let (tx, rx): (_, Receiver<Box<usize>>) = channel::bounded(1);
        let beating = heartbeat(&ctx, LONG, move |pulse| {
            let value = pulse.recv(&rx);
            if end == End::Panic {
                fail();
            }
            value
        });
        beating.beats().recv().unwrap();
        if end != End::Canceled {
            tx.send(Box::new(1)).unwrap();
        }
        match end {
            End::Normal => assert!(beating.join().unwrap().is_ok()),
            End::Canceled => {
                cancel.cancel();
                assert!(beating.join().unwrap().is_err());
            }
            End::Dropped => drop(beating),
            End::Panic => assert!(beating.join().is_err()),
        }
    });
}

#[test]
fn rate_limiter_and_retry() {
    leaves_nothing("RateLimiter", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let period = if end == End::Canceled { LONG } else { Duration::from_micros(10) };
        let limiter = Arc::new(RateLimiter::steady(period));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let (limiter, ctx) = (Arc::clone(&limiter), ctx.clone());
                spawn(move || limiter.wait(&ctx))
            })
            .collect();
        if end == End::Canceled {
            cancel.cancel();
        }
        for one in waiting {
            let served = one.join().unwrap().is_ok();
            assert!(served || end == End::Canceled, "a waiter got no token");
        }
    });
    leaves_nothing("retry", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let pause = if end == End::Canceled { LONG } else { Duration::from_micros(1) };
        let attempts = |attempt: u32| match (end, attempt) {
            (End::Panic, 2) => fail(),
            (End::Normal, 3) => Ok(()),
            (End::Canceled, 1) => {
                cancel.cancel();
                Err(Box::new(attempt))
            }
            _ => Err(Box::new(attempt)),
        };
        let outcome = || retry(&ctx, Backoff::exponential(pause).max_attempts(3), attempts);
        match end {
            End::Panic => assert_fails(outcome),
            _ => assert_eq!(outcome().is_ok(), end == End::Normal),
        }
    });
}

#[test]
fn queues() {
    leaves_nothing("Queue", |root, end| {
        for full in [
            OverflowPolicy::Block,
            OverflowPolicy::BlockTimeout(LONG),
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
        ] {
            let (ctx, cancel) = root.with_cancel();
            let queue = Queue::new(2, full);
            let (producer, pushing) = (queue.clone(), ctx.clone());
            let producer = spawn(move || (0..6).try_for_each(|n| producer.push(&pushing, Box::new(n)).map(drop)));
            assert!(queue.pop(&ctx).is_ok());
            match end {
                End::Normal => drop((queue.pop(&ctx), queue.close())),
                End::Canceled => cancel.cancel(),
                End::Dropped => queue.close(),
                End::Panic => {
                    let consumer = queue.clone();
                    let failing = spawn(move || {
                        let _value = consumer.receiver().try_recv();
                        let _last_handle = consumer;
                        fail()
                    });
                    assert!(failing.join().is_err());
                    queue.close();
                }
            }
            drop(producer.join().unwrap());
        }
    });
}

#[test]
fn brokers() {
    leaves_nothing("Broker", |root, end| {
        let (ctx, cancel) = root.with_cancel();
        let broker = Broker::<Box<usize>>::new();
        let policies = [OverflowPolicy::Block, OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];
        let subscriptions = policies.map(|slow| broker.subscribe_all(["a", "b"], 1, slow));
        let (publisher, publishing) = (broker.clone(), ctx.clone());
        let publisher = spawn(move || {
            (0..6).try_for_each(|n| publisher.publish(&publishing, ["a", "b", "c"][n % 3], Box::new(n)).map(drop))
        });
        let [blocking, oldest, newest] = subscriptions;
        assert!(blocking.recv(&ctx).is_ok());
        match end {
            End::Normal => {
                (0..3).for_each(|_| assert!(blocking.recv(&ctx).is_ok()));
                publisher.join().unwrap().unwrap();
            }
            End::Canceled => {
                cancel.cancel();
                let _ = publisher.join().unwrap();
            }
            End::Dropped => {
                drop(blocking);
                publisher.join().unwrap().unwrap();
            }
            End::Panic => {
                let failing = spawn(move || {
                    let _subscription = blocking;
                    fail()
                });
                assert!(failing.join().is_err());
                publisher.join().unwrap().unwrap();
            }
        }
        until(|| oldest.receiver().try_recv().is_ok());
        drop(newest);
    });
}
