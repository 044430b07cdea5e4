//! Spawning and joining goroutines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::drops::Census;
use crate::common::{check, check_from_thread, text, until};
use greenthread::{Builder, channel, go, spawn, yield_now};

#[test]
fn results_come_through_join() {
    check(|| {
        assert_eq!(spawn(|| 6 * 7).join().unwrap(), 42);
        assert_eq!(spawn(|| "text".to_string()).join().unwrap(), "text");
        spawn(|| ()).join().unwrap();
        let handles: Vec<_> = (0..1000_u64).map(|n| spawn(move || n * n)).collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, (0..1000).map(|n| n * n).sum());
    });
}

#[test]
fn payloads_of_panics_come_through_join() {
    #[derive(PartialEq, Debug)]
    struct Payload(Vec<u32>);
    check(|| {
        let handle = spawn(|| {
            if true {
                panic!("number {}", 7)
            }
        });
        assert_eq!(text(&*handle.join().unwrap_err()), "number 7");
        let handle = spawn(|| std::panic::resume_unwind(Box::new(Payload(vec![1, 2]))));
        let payload = handle.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Payload(vec![1, 2])));
    });
}

/// Layouts that the allocation of a goroutine must handle: an alignment above its own, sizes above
/// its size classes, and a size of zero.
#[test]
fn closures_and_results_of_any_layout() {
    #[repr(align(256))]
    #[derive(Clone, Copy)]
    struct Aligned(u8);
    #[derive(Clone, Copy)]
    struct Empty;
    check(|| {
        let aligned = Aligned(7);
        let handle = spawn(move || {
            assert_eq!((&raw const aligned).addr() % 256, 0);
            aligned
        });
        assert_eq!(handle.join().unwrap().0, 7);
        let small = spawn(move || aligned.0).join().unwrap();
        assert_eq!(small, 7);
        let large = [3_u8; 4_000];
        let handle = spawn(move || large);
        assert!(handle.join().unwrap().iter().all(|&byte| byte == 3));
        let handle = spawn(move || large.len());
        assert_eq!(handle.join().unwrap(), 4_000);
        let Empty = spawn(|| Empty).join().unwrap();
        let handle = spawn(|| [9_u64; 100]);
        until(|| handle.is_finished());
        drop(handle);
    });
}

#[test]
fn a_dropped_handle_detaches_and_the_result_is_dropped_once() {
    check(|| {
        let census = Census::default();
        for round in 0..300 {
            let (let_it_end, may_end) = channel::bounded::<()>(0);
            let value = census.value();
            let handle = spawn(move || {
                let _ = may_end.recv();
                value
            });
            match round % 3 {
                // The handle goes first, the goroutine goes first, or both go at once.
                0 => {
                    drop(handle);
                    drop(let_it_end);
                }
                1 => {
                    drop(let_it_end);
                    until(|| handle.is_finished());
                    drop(handle);
                }
                _ => {
                    drop(let_it_end);
                    yield_now();
                    drop(handle);
                }
            }
        }
        until(|| census.alive() == 0);
        assert_eq!(census.dropped(), 300);
    });
}

#[test]
fn closures_are_dropped_once_however_they_end() {
    check(|| {
        let census = Census::default();
        let (kept, moved, panicked) = (census.value(), census.value(), census.value());
        spawn(move || drop(kept)).join().unwrap();
        let moved = spawn(move || moved).join().unwrap();
        assert_eq!(census.alive(), 2);
        drop(moved);
        let handle = spawn(move || {
            let _panicked = panicked;
            panic!("expected");
        });
        handle.join().unwrap_err();
        assert_eq!(census.alive(), 0);
        for _ in 0..100 {
            let value = census.value();
            go!(move || value);
        }
        until(|| census.alive() == 0);
        assert_eq!(census.dropped(), 103);
    });
}

#[test]
fn an_untaken_payload_is_dropped_once() {
    check(|| {
        let census = Census::default();
        for _ in 0..50 {
            let value = census.value();
            drop(spawn(move || std::panic::resume_unwind(Box::new(value))));
        }
        until(|| census.alive() == 0);
        assert_eq!(census.dropped(), 50);
    });
}

#[test]
fn names_and_ids() {
    check_from_thread(|| {
        assert!(greenthread::current().is_none());
        let plain = spawn(|| greenthread::current().unwrap());
        assert_eq!(plain.name(), None);
        let id = plain.id();
        let seen = plain.join().unwrap();
        assert_eq!((seen.id(), seen.name()), (id, None));
        let named = Builder::new().name("worker").spawn(|| greenthread::current().unwrap()).unwrap();
        assert_eq!(named.name(), Some("worker"));
        assert!(format!("{named:?}").contains("worker"));
        let (id, seen) = (named.id(), named.join().unwrap());
        assert_eq!((seen.id(), seen.name()), (id, Some("worker")));
    });
}

#[test]
fn ids_are_unique() {
    check_from_thread(|| {
        let inner = || (0..200).map(|_| spawn(|| ()).id()).collect::<Vec<_>>();
        let handles: Vec<_> = (0..8).map(|_| spawn(inner)).collect();
        let mut ids: Vec<u64> = handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect();
        ids.extend(inner());
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(!ids.contains(&0));
    });
}

#[test]
fn done_closes_at_the_end() {
    check(|| {
        let (let_it_end, may_end) = channel::bounded::<()>(0);
        let handle = spawn(move || {
            let _ = may_end.recv();
            5
        });
        let done = handle.done().clone();
        assert!(done.try_recv().unwrap_err().is_empty());
        let waiters: Vec<_> = (0..10)
            .map(|_| {
                let done = done.clone();
                spawn(move || done.recv().is_err())
            })
            .collect();
        drop(let_it_end);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        assert!(handle.is_finished());
        assert!(handle.done().recv().is_err());
        assert_eq!(handle.join().unwrap(), 5);
        assert!(done.recv().is_err(), "the channel outlives the handle");
        let ended = spawn(|| ());
        until(|| ended.is_finished());
        assert!(ended.done().recv().is_err(), "the goroutine ended before the call of `done`");
    });
}

#[test]
fn done_of_a_goroutine_whose_handle_is_dropped() {
    check(|| {
        let (let_it_end, may_end) = channel::bounded::<()>(0);
        let handle = spawn(move || may_end.recv().is_err());
        let done = handle.done().clone();
        drop(handle);
        assert!(done.try_recv().unwrap_err().is_empty());
        drop(let_it_end);
        assert!(done.recv().is_err());
    });
}

struct Counter(AtomicUsize);

impl Counter {
    fn add(&self, n: usize, twice: bool) {
        self.0.fetch_add(if twice { 2 * n } else { n }, Ordering::Relaxed);
    }

    fn bump(&self) {
        self.add(1, false);
    }
}

mod deep {
    pub(crate) mod path {
        pub(crate) fn send(to: greenthread::channel::Sender<u32>, n: u32) -> u32 {
            to.send(n).unwrap();
            n
        }
    }
}

#[test]
fn all_forms_of_go() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let to = tx.clone();
        go!(move || to.send(1).unwrap());
        assert_eq!(rx.recv(), Ok(1));
        go!(deep::path::send(tx.clone(), 2));
        assert_eq!(rx.recv(), Ok(2));
        let to = tx.clone();
        let closure = move || to.send(3).unwrap();
        go!(closure);
        assert_eq!(rx.recv(), Ok(3));
        go!({
            let to = tx.clone();
            move || to.send(4).unwrap()
        });
        assert_eq!(rx.recv(), Ok(4));
        let receiver = Arc::clone(&counter);
        go!(receiver.add(20, true));
        let receiver = Arc::clone(&counter);
        go!(receiver.bump());
        until(|| counter.0.load(Ordering::Relaxed) == 41);
        go!(|| ());
        go!(yield_now());
    });
}

#[test]
fn go_evaluates_arguments_now() {
    check(|| {
        let (tx, rx) = channel::unbounded();
        let mut n = 0;
        let mut next = || {
            n += 1;
            n
        };
        for _ in 0..10 {
            go!(deep::path::send(tx.clone(), next()));
        }
        assert_eq!(next(), 11, "the arguments were evaluated by the caller");
        drop(tx);
        let mut seen: Vec<u32> = rx.iter().collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    });
}

fn tree(depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let (left, right) = (spawn(move || tree(depth - 1)), spawn(move || tree(depth - 1)));
    left.join().unwrap() + right.join().unwrap()
}

#[test]
fn spawns_nest() {
    check(|| assert_eq!(tree(10), 1024));
}

#[test]
fn a_hundred_thousand_goroutines() {
    check(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (let_all_end, may_end) = channel::bounded::<()>(0);
        for n in 0..100_000 {
            let count = Arc::clone(&count);
            // A tenth of the goroutines are parked at the same time.
            let gate = (n % 10 == 0).then(|| may_end.clone());
            go!(move || {
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(gate) = gate {
                    let _ = gate.recv();
                }
            });
        }
        until(|| count.load(Ordering::Relaxed) == 100_000);
        assert!(greenthread::num_goroutine() >= 10_000);
        drop(let_all_end);
    });
}

#[test]
fn joins_from_threads_and_goroutines() {
    check_from_thread(|| {
        let threads: Vec<_> = (0..4)
            .map(|t| {
                thread::spawn(move || {
                    let handles: Vec<_> = (0..100).map(|n| spawn(move || n + t)).collect();
                    handles.into_iter().map(|handle| handle.join().unwrap()).sum::<usize>()
                })
            })
            .collect();
        for (t, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), 4950 + 100 * t);
        }
        let made_by_thread = spawn(|| 1);
        assert_eq!(spawn(move || made_by_thread.join().unwrap() + 1).join().unwrap(), 2);
    });
}

#[test]
fn joins_chain() {
    check(|| {
        let mut last = spawn(|| 0_u32);
        for _ in 0..1000 {
            last = spawn(move || last.join().unwrap() + 1);
        }
        assert_eq!(last.join().unwrap(), 1000);
    });
}

#[test]
fn goroutines_are_counted() {
    check_from_thread(|| {
        let (let_all_end, may_end) = channel::bounded::<()>(0);
        for _ in 0..10 {
            let may_end = may_end.clone();
            go!(move || may_end.recv());
        }
        until(|| greenthread::num_goroutine() == 10);
        drop(let_all_end);
        until(|| greenthread::num_goroutine() == 0);
    });
}

#[test]
fn exit_goroutine_runs_destructors_and_is_no_panic() {
    check(|| {
        let census = Census::default();
        let value = census.value();
        let handle = spawn(move || {
            let _value = value;
            fn deep(n: u32) {
                if n == 0 {
                    greenthread::exit_goroutine();
                }
                deep(n - 1);
            }
            deep(20);
        });
        assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
        assert_eq!(census.alive(), 0);
        // A `catch_unwind` on the way stops the unwinding, as documented, and the payload can be
        // raised again.
        let handle = spawn(|| {
            let caught = std::panic::catch_unwind(|| greenthread::exit_goroutine());
            assert!(!thread::panicking());
            let payload = caught.unwrap_err();
            assert!(payload.is::<greenthread::Exited>());
            yield_now();
            std::panic::resume_unwind(payload);
        });
        assert!(handle.join().unwrap_err().is::<greenthread::Exited>());
    });
}

#[test]
fn exit_goroutine_needs_a_goroutine() {
    let payload = std::panic::catch_unwind(|| greenthread::exit_goroutine()).unwrap_err();
    assert_eq!(text(&*payload), "exit_goroutine: the caller is not a goroutine; return from the thread instead");
}
