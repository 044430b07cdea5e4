//! `sync::singleflight` from the outside.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use common::{check, storm, text, until};
use greenthread::channel;
use greenthread::sync::singleflight::Group;
use greenthread::{spawn, yield_now};

#[test]
fn a_call_without_others_is_a_call() {
    check(|| {
        let group = Group::new();
        for n in 0..3 {
            let outcome = group.work("key", || n);
            assert_eq!((outcome.value, outcome.shared), (n, false));
        }
    });
}

/// Ten ask while one works: the work is done once, and all have its result.
#[test]
fn those_who_ask_meanwhile_share() {
    check(|| {
        let (group, calls, asked) = (Arc::new(Group::new()), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (go_on, gate) = channel::bounded::<()>(0);
        let ask = |from_thread: bool| {
            let (group, calls, asked, gate) = (group.clone(), calls.clone(), asked.clone(), gate.clone());
            let work = move || {
                asked.fetch_add(1, Ordering::Relaxed);
                group.work("key", || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    assert!(gate.recv().is_err());
                    7
                })
            };
            let (result, results) = channel::bounded(1);
            let work = move || result.send(work()).unwrap();
            if from_thread {
                thread::spawn(work);
            } else {
                spawn(work);
            }
            results
        };
        let results: Vec<_> = (0..10).map(|n| ask(n % 3 == 2)).collect();
        until(|| asked.load(Ordering::Relaxed) == 10);
        // All have asked, and are about to wait, or wait.
        for _ in 0..100 {
            yield_now();
        }
        thread::sleep(std::time::Duration::from_millis(5));
        drop(go_on);
        let outcomes: Vec<_> = results.into_iter().map(|result| result.recv().unwrap()).collect();
        assert!(outcomes.iter().all(|outcome| outcome.value == 7));
        let calls = calls.load(Ordering::Relaxed) as usize;
        assert!(calls < 10 && outcomes.iter().filter(|outcome| outcome.shared).count() > 10 - calls);
    });
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    check(|| {
        let group = Group::new();
        assert_eq!(group.work(1, || group.work(2, || 20).value + 1).value, 21);
    });
}

#[test]
fn a_forgotten_call_is_begun_anew() {
    check(|| {
        let group = Group::new();
        let outer = group.work("key", || {
            group.forget(&"key");
            group.work("key", || 1).value + 1
        });
        assert_eq!(outer.value, 2);
    });
}

#[test]
fn a_panic_reaches_all_who_wait() {
    check(|| {
        let group = Arc::new(Group::<&str, u32>::new());
        let (go_on, gate) = channel::bounded::<()>(0);
        let (begun, begins) = channel::bounded(1);
        let worker = {
            let group = Arc::clone(&group);
            spawn(move || {
                group.work("key", || {
                    begun.send(()).unwrap();
                    assert!(gate.recv().is_err());
                    panic!("expected");
                })
            })
        };
        begins.recv().unwrap();
        let waiter = {
            let group = Arc::clone(&group);
            spawn(move || group.work("key", || 5).value)
        };
        for _ in 0..100 {
            yield_now();
        }
        drop(go_on);
        assert_eq!(text(&*worker.join().unwrap_err()), "expected");
        match waiter.join() {
            // It asked when the other had ended.
            Ok(value) => assert_eq!(value, 5),
            Err(payload) => assert_eq!(text(&*payload), "singleflight: the call has panicked: expected"),
        }
        assert_eq!(group.work("key", || 6).value, 6, "the group goes on");
    });
}

#[test]
fn a_result_through_a_channel() {
    check(|| {
        let group = Arc::new(Group::new());
        assert_eq!(group.work_in_goroutine("key", || 3).recv().unwrap().value, 3);
        let panics = group.work_in_goroutine("key", || panic!("expected"));
        assert!(panics.recv().is_err());
    });
}

/// Once anybody has a result, nobody who asks after that gets the same one.
#[test]
fn nobody_gets_a_result_that_was_there_before() {
    storm(|rng| {
        let (group, calls, returned) =
            (Arc::new(Group::new()), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (group, calls, returned) = (group.clone(), calls.clone(), returned.clone());
                let rounds = 1 + rng.below(20);
                spawn(move || {
                    for _ in 0..rounds {
                        let before = returned.load(Ordering::SeqCst);
                        let call = group.work((), || {
                            yield_now();
                            calls.fetch_add(1, Ordering::SeqCst) + 1
                        });
                        assert!(call.value > before);
                        returned.fetch_max(call.value, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
}
