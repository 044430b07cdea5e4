//! `sync::singleflight` from the outside.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crate::common::{check, storm, text, until};
use greenthread::debug::{self, GoroutineInfo};
use greenthread::sync::singleflight::Group;
use greenthread::{channel, spawn, yield_now};

#[test]
fn a_single_call_just_calls() {
    check(|| {
        let group = Group::new();
        for n in 0..3 {
            let outcome = group.work("key", || n);
            assert_eq!((outcome.value, outcome.shared), (n, false));
        }
    });
}

/// Ten callers ask while one works: the work is done once, and all get its result.
#[test]
fn concurrent_callers_share_one_call() {
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
        // All callers have asked, and wait or are about to.
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
fn after_forget_a_new_call_begins() {
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
fn a_panic_reaches_every_waiter() {
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
            // This caller asked after the other call had ended.
            Ok(value) => assert_eq!(value, 5),
            Err(payload) => assert_eq!(text(&*payload), "singleflight: the call panicked: expected"),
        }
        assert_eq!(group.work("key", || 6).value, 6, "the group still works");
    });
}

/// A value that counts its clones, and whose `n`th clone panics.
struct Fragile {
    clones: Arc<AtomicU32>,
    panics_at: u32,
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        let n = self.clones.fetch_add(1, Ordering::Relaxed) + 1;
        yield_now();
        assert!(n != self.panics_at, "this panic is part of the test");
        Self { clones: Arc::clone(&self.clones), panics_at: self.panics_at }
    }
}

#[test]
fn a_value_is_cloned_for_others_only() {
    check(|| {
        let (group, clones) = (Group::new(), Arc::new(AtomicU32::new(0)));
        group.work("key", || Fragile { clones: Arc::clone(&clones), panics_at: 1 });
        assert_eq!(clones.load(Ordering::Relaxed), 0);
    });
}

/// Whichever caller's clone panics, the key is free afterwards, and the others have their results.
#[test]
fn a_clone_that_panics_ends_one_caller() {
    check(|| {
        for panics_at in 1..=3 {
            let (group, clones) = (Arc::new(Group::new()), Arc::new(AtomicU32::new(0)));
            let (go_on, gate) = channel::bounded::<()>(0);
            let begun = Arc::new(AtomicU32::new(0));
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let (group, clones, gate, begun) = (group.clone(), clones.clone(), gate.clone(), begun.clone());
                    spawn(move || {
                        begun.fetch_add(1, Ordering::Relaxed);
                        group.work("key", || {
                            assert!(gate.recv().is_err());
                            Fragile { clones, panics_at }
                        });
                    })
                })
                .collect();
            until(|| begun.load(Ordering::Relaxed) == 4);
            (0..100).for_each(|_| yield_now());
            drop(go_on);
            let failed = callers.into_iter().map(|caller| caller.join()).filter(Result::is_err).count();
            // A late caller has made a call of its own and has cloned nothing.
            assert_eq!(failed, usize::from(clones.load(Ordering::Relaxed) >= panics_at));
            let again = group.work("key", || Fragile { clones: Arc::clone(&clones), panics_at: 0 });
            assert!(!again.shared);
        }
    });
}

/// A key whose `Hash` panics once the flag is set, and whose `Hash` and `Eq` let others run.
#[derive(Clone)]
struct BrittleKey(Arc<AtomicBool>);

impl PartialEq for BrittleKey {
    fn eq(&self, _: &Self) -> bool {
        yield_now();
        true
    }
}

impl Eq for BrittleKey {}

impl Hash for BrittleKey {
    fn hash<H: Hasher>(&self, _: &mut H) {
        yield_now();
        assert!(!self.0.load(Ordering::Relaxed), "this panic is part of the test");
    }
}

#[test]
fn a_hash_that_panics_releases_the_waiters() {
    check(|| {
        let (group, broken) = (Arc::new(Group::new()), Arc::new(AtomicBool::new(false)));
        let key = BrittleKey(Arc::clone(&broken));
        let (go_on, gate) = channel::bounded::<()>(0);
        let (begun, begins) = channel::bounded(1);
        let worker = {
            let (group, key) = (Arc::clone(&group), key.clone());
            spawn(move || {
                group.work(key, || {
                    begun.send(()).unwrap();
                    assert!(gate.recv().is_err());
                    1
                })
            })
        };
        begins.recv().unwrap();
        let waiter = {
            let (group, key) = (Arc::clone(&group), key.clone());
            spawn(move || group.work(key, || 2).value)
        };
        let waits = |g: &GoroutineInfo| g.id == waiter.id() && g.state.to_string() == "sync.WaitGroup.Wait";
        until(|| debug::goroutines().iter().any(waits));
        broken.store(true, Ordering::Relaxed);
        drop(go_on);
        assert!(worker.join().is_err());
        assert_eq!(waiter.join().unwrap(), 1);
        broken.store(false, Ordering::Relaxed);
        assert_eq!(group.work(key, || 3).value, 3, "what was left behind is replaced");
    });
}

#[test]
fn the_result_comes_through_a_channel() {
    check(|| {
        let group = Arc::new(Group::new());
        assert_eq!(group.work_in_goroutine("key", || 3).recv().unwrap().value, 3);
        let panics = group.work_in_goroutine("key", || panic!("expected"));
        assert!(panics.recv().is_err());
    });
}

/// Checks that a caller that asks after another has its result never gets that same result.
#[test]
fn a_result_is_never_older_than_the_request() {
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
