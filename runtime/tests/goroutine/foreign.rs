//! Threads that the runtime did not start use all of it, beside goroutines.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::OnDrop;
use crate::common::{check_from_thread, storm, until};
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{channel, go, scope, select, spawn, time, yield_now};

#[test]
fn many_threads_spawn_at_once() {
    check_from_thread(|| {
        let count = Arc::new(AtomicUsize::new(0));
        thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| {
                    for _ in 0..500 {
                        let count = Arc::clone(&count);
                        go!(move || count.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
        });
        until(|| count.load(Ordering::Relaxed) == 4000);
    });
}

#[test]
fn channels_both_ways() {
    check_from_thread(|| {
        for capacity in [0, 1, 16] {
            let (requests, requested) = channel::bounded::<u64>(capacity);
            let (replies, replied) = channel::bounded::<u64>(capacity);
            for _ in 0..4 {
                let (requested, replies) = (requested.clone(), replies.clone());
                go!(move || requested.iter().for_each(|n| replies.send(n * 2).unwrap()));
            }
            drop((requested, replies));
            let asking = thread::spawn(move || (0..500).for_each(|n| requests.send(n).unwrap()));
            assert_eq!(replied.iter().sum::<u64>(), 499 * 500);
            asking.join().unwrap();
        }
    });
}

#[test]
fn a_lock_between_threads_and_goroutines() {
    check_from_thread(|| {
        let sum = Arc::new(Mutex::new(0_u64));
        let add = |sum: Arc<Mutex<u64>>| {
            move || {
                for n in 0..500 {
                    let mut sum = sum.lock();
                    if n % 50 == 0 {
                        yield_now();
                    }
                    *sum += 1;
                }
            }
        };
        let threads: Vec<_> = (0..3).map(|_| thread::spawn(add(Arc::clone(&sum)))).collect();
        let goroutines: Vec<_> = (0..3).map(|_| spawn(add(Arc::clone(&sum)))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
        assert_eq!(*sum.lock(), 3000);
    });
}

#[test]
fn a_wait_group_between_threads_and_goroutines() {
    check_from_thread(|| {
        for _ in 0..20 {
            let wg = WaitGroup::new();
            wg.add(20);
            for n in 0..20 {
                let wg = wg.clone();
                let body = move || {
                    time::sleep(Duration::from_micros(10 * n));
                    wg.done();
                };
                if n % 4 == 0 {
                    thread::spawn(body);
                } else {
                    go!(body);
                }
            }
            let waiters: Vec<_> = (0..2).map(|_| wg.clone()).map(|wg| spawn(move || wg.wait())).collect();
            wg.wait();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        }
    });
}

#[test]
fn scopes_of_threads_and_goroutines_nest() {
    check_from_thread(|| {
        let numbers: Vec<u64> = (0..100).collect();
        let sum: u64 = thread::scope(|threads| {
            let halves = numbers.chunks(50).map(|half| {
                threads.spawn(move || {
                    scope(|s| {
                        let parts: Vec<_> = half.chunks(10).map(|part| s.spawn(|| part.iter().sum::<u64>())).collect();
                        parts.into_iter().map(|part| part.join().unwrap()).sum::<u64>()
                    })
                })
            });
            halves.collect::<Vec<_>>().into_iter().map(|half| half.join().unwrap()).sum()
        });
        assert_eq!(sum, 4950);
    });
}

#[test]
fn a_handle_crosses_to_a_thread_and_back() {
    check_from_thread(|| {
        let handle = thread::spawn(|| spawn(|| thread::current().id())).join().unwrap();
        assert_ne!(handle.join().unwrap(), thread::current().id());
        let by_a_goroutine = spawn(|| spawn(|| 7)).join().unwrap();
        assert_eq!(thread::spawn(move || by_a_goroutine.join().unwrap()).join().unwrap(), 7);
    });
}

// The destructor runs when the thread's locals are destroyed, perhaps after those of the runtime.
#[test]
fn the_destructor_of_a_thread_local_may_use_the_runtime() {
    type Work = Box<dyn FnOnce()>;
    thread_local! {
        static AT_END: RefCell<Vec<OnDrop<Work>>> = const { RefCell::new(Vec::new()) };
    }
    check_from_thread(|| {
        for used_before in [false, true] {
            let count = Arc::new(AtomicUsize::new(0));
            let end = Arc::clone(&count);
            let thread = thread::spawn(move || {
                let work = move || {
                    let (tx, rx) = channel::bounded(0);
                    go!(move || tx.send(20).unwrap());
                    end.fetch_add(rx.recv().unwrap(), Ordering::Relaxed);
                    end.fetch_add(spawn(|| 1).join().unwrap(), Ordering::Relaxed);
                    drop(spawn(|| 1));
                };
                AT_END.with_borrow_mut(|list| list.push(OnDrop::new(Box::new(work) as Work)));
                if used_before {
                    spawn(|| ()).join().unwrap();
                }
            });
            thread.join().unwrap();
            assert_eq!(count.load(Ordering::Relaxed), 21);
        }
    });
}

// A goroutine's thread is an ordinary thread too: it may start others and wait for them.
#[test]
fn goroutines_start_threads() {
    check_from_thread(|| {
        let handles: Vec<_> = (0..10)
            .map(|n| spawn(move || thread::spawn(move || spawn(move || n).join().unwrap()).join().unwrap()))
            .collect();
        assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>(), 45);
    });
}

/// Goroutines that a thread has spawned go on after its end, and its thread-locals are dropped with
/// it.
#[test]
fn goroutines_outlive_the_thread_that_spawned_them() {
    check_from_thread(|| {
        let (tx, rx) = channel::bounded::<u32>(0);
        let (echo_tx, echo_rx) = channel::bounded::<u32>(0);
        let thread = thread::spawn(move || {
            let (held, orphaned) = channel::bounded::<u32>(0);
            let waits = spawn(move || orphaned.recv());
            go!(move || rx.iter().for_each(|n| echo_tx.send(n + 1).unwrap()));
            // Dropped at the end of the thread, while the goroutine waits at the other end.
            thread_local! {
                static HELD: RefCell<Option<channel::Sender<u32>>> = const { RefCell::new(None) };
            }
            HELD.set(Some(held));
            yield_now();
            waits
        });
        let waits = thread.join().unwrap();
        assert!(waits.join().unwrap().is_err());
        (0..10).for_each(|n| {
            tx.send(n).unwrap();
            assert_eq!(echo_rx.recv(), Ok(n + 1));
        });
    });
}

// The thread's select has chosen to send, but the thread panics before it has made the message. The
// receiver must not go on waiting for this message.
#[test]
fn a_panic_in_a_chosen_send_strands_no_receiver() {
    fn message() -> u32 {
        panic!("expected");
    }
    check_from_thread(|| {
        for capacity in [0, 1] {
            let (tx, rx) = channel::bounded::<u32>(capacity);
            let receiver = spawn(move || rx.iter().sum::<u32>());
            let dying = tx.clone();
            let thread = thread::spawn(move || {
                select! {
                    send(dying, message()) -> _ => {}
                    recv(channel::never::<u32>()) -> _ => {}
                }
            });
            assert!(thread.join().is_err());
            tx.send(7).unwrap();
            drop(tx);
            assert_eq!(receiver.join().unwrap(), 7);
        }
    });
}

// The wait of a thread lives on its stack, which the system takes back when the thread ends. Here
// the thread ends right after a wait that timed out or was canceled, while others are about to wake
// it.
#[test]
fn a_thread_may_end_right_after_its_wait() {
    storm(|random| {
        let (tx, rx) = channel::bounded::<u32>(random.index(2));
        let (other_tx, other) = channel::bounded::<u32>(0);
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (rx, other, patience) = (rx.clone(), other.clone(), Duration::from_micros(random.below(300)));
                thread::spawn(move || {
                    if n == 0 {
                        return rx.recv_timeout(patience).unwrap_or(0);
                    }
                    select! {
                        recv(rx) -> got => got.unwrap_or(0),
                        recv(other) -> got => got.unwrap_or(0),
                        default(patience) => 0,
                    }
                })
            })
            .collect();
        let sent: u32 = [tx, other_tx]
            .map(|tx| {
                let pause = Duration::from_micros(random.below(300));
                spawn(move || {
                    time::sleep(pause);
                    let sent = [1, 10].map(|n| tx.send_timeout(n, Duration::from_micros(200)).map_or(0, |()| n));
                    sent.into_iter().sum::<u32>()
                })
            })
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        let received: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(received + rx.try_iter().sum::<u32>(), sent);
    });
}
