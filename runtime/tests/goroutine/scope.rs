//! Scoped goroutines, which may borrow.

use std::convert::Infallible;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::drops::Census;
use crate::common::{check, check_from_thread, text};
use greenthread::debug::{self, GoroutineState, WaitReason};
use greenthread::{Builder, Exited, channel, scope, spawn, yield_now};

#[test]
fn goroutines_borrow_from_the_frame() {
    check_from_thread(|| {
        let text = String::from("borrowed");
        let mut numbers = vec![0; 100];
        let length = scope(|s| {
            for (n, slot) in numbers.iter_mut().enumerate() {
                s.spawn(move || {
                    yield_now();
                    *slot = n;
                });
            }
            s.spawn(|| text.len()).join().unwrap()
        });
        assert_eq!((length, numbers), (8, (0..100).collect::<Vec<_>>()));
    });
}

#[test]
fn scope_waits_for_all_even_without_handles() {
    check(|| {
        for _ in 0..50 {
            let ended = AtomicUsize::new(0);
            scope(|s| {
                for n in 0..20 {
                    let ended = &ended;
                    s.spawn(move || {
                        (0..n).for_each(|_| yield_now());
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(ended.into_inner(), 20);
        }
    });
}

#[test]
fn the_wait_reason_names_the_scope() {
    check(|| {
        let (open, closed) = channel::bounded::<Infallible>(0);
        let waiting = spawn(move || scope(|s| drop(s.spawn(move || closed.recv()))));
        let at_the_end = GoroutineState::Waiting(WaitReason::Scope);
        while !debug::goroutines().iter().any(|one| one.id == waiting.id() && one.state == at_the_end) {
            yield_now();
        }
        drop(open);
        waiting.join().unwrap();
    });
}

#[test]
fn scoped_goroutines_spawn_more() {
    fn fan_out<'scope>(s: &'scope greenthread::Scope<'scope, '_>, depth: u32, count: &'scope AtomicUsize) {
        count.fetch_add(1, Ordering::Relaxed);
        if depth > 0 {
            s.spawn(move || fan_out(s, depth - 1, count));
            s.spawn(move || fan_out(s, depth - 1, count));
        }
    }
    check(|| {
        let count = AtomicUsize::new(0);
        scope(|s| fan_out(s, 7, &count));
        assert_eq!(count.into_inner(), 255);
    });
}

#[test]
fn scopes_nest() {
    check(|| {
        let mut sums = [0_u64; 8];
        scope(|outer| {
            for (n, sum) in sums.iter_mut().enumerate() {
                outer.spawn(move || {
                    let parts: Vec<u64> = (0..=n as u64).collect();
                    *sum = scope(|inner| {
                        let handles: Vec<_> = parts.iter().map(|part| inner.spawn(move || *part)).collect();
                        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
                    });
                });
            }
        });
        assert_eq!(sums, [0, 1, 3, 6, 10, 15, 21, 28]);
    });
}

#[test]
fn an_unjoined_panic_panics_the_scope() {
    check(|| {
        let ended = AtomicUsize::new(0);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(|| panic!("expected"));
                s.spawn(|| {
                    (0..10).for_each(|_| yield_now());
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            });
        }));
        assert_eq!(text(&*result.unwrap_err()), "a scoped goroutine panicked");
        assert_eq!(ended.into_inner(), 1);
    });
}

#[test]
fn a_joined_panic_is_returned_to_the_joiner() {
    check(|| {
        let payload = scope(|s| {
            s.spawn(|| {
                if true {
                    panic!("expected")
                }
            })
            .join()
            .unwrap_err()
        });
        assert_eq!(text(&*payload), "expected");
    });
}

#[test]
fn a_panic_of_the_body_waits_for_all() {
    check_from_thread(|| {
        let ended = AtomicUsize::new(0);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| {
                        (0..10).for_each(|_| yield_now());
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
                panic!("the body's own");
            });
        }));
        assert_eq!(text(&*result.unwrap_err()), "the body's own");
        assert_eq!(ended.into_inner(), 10);
    });
}

#[test]
fn exit_goroutine_in_a_scoped_goroutine() {
    check(|| {
        let census = Census::default();
        scope(|s| {
            let value = census.value();
            let handle = s.spawn(move || {
                let _value = value;
                greenthread::exit_goroutine();
            });
            assert!(handle.join().unwrap_err().is::<Exited>());
            // Without a handle, this does not count as a panic either.
            s.spawn(|| greenthread::exit_goroutine());
        });
        assert_eq!((census.made(), census.alive()), (1, 0));
    });
}

#[test]
fn exit_goroutine_in_the_body_waits_for_all() {
    check(|| {
        let ended = std::sync::Arc::new(AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&ended);
        let handle = spawn(move || {
            scope(|s| {
                s.spawn(|| {
                    (0..10).for_each(|_| yield_now());
                    count.fetch_add(1, Ordering::Relaxed);
                });
                greenthread::exit_goroutine();
            });
        });
        assert!(handle.join().unwrap_err().is::<Exited>());
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn results_that_borrow_are_dropped_before_the_end() {
    struct Borrows<'a>(&'a AtomicUsize);
    impl Drop for Borrows<'_> {
        fn drop(&mut self) {
            yield_now();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    check(|| {
        for _ in 0..50 {
            let dropped = AtomicUsize::new(0);
            scope(|s| {
                for _ in 0..4 {
                    // Some handles are dropped before the goroutine ends, and some results are
                    // taken.
                    drop(s.spawn(|| Borrows(&dropped)));
                    let taken = s.spawn(|| Borrows(&dropped)).join();
                    assert!(taken.is_ok());
                }
            });
            assert_eq!(dropped.into_inner(), 8);
        }
    });
}

#[test]
fn a_refused_spawn_is_not_waited_for() {
    check(|| {
        let census = Census::default();
        let value = census.value();
        scope(|s| {
            let refused = Builder::new().stack_size(0).spawn_scoped(s, || drop(value));
            assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        });
        assert_eq!((census.made(), census.alive()), (1, 0));
    });
}

#[test]
fn scoped_goroutines_wait_for_each_other() {
    check(|| {
        let (tx, rx) = channel::bounded(0);
        let sum = scope(|s| {
            for n in 0..10 {
                let tx = tx.clone();
                s.spawn(move || tx.send(n).unwrap());
            }
            drop(tx);
            s.spawn(|| rx.iter().sum::<u32>()).join().unwrap()
        });
        assert_eq!(sum, 45);
    });
}
