//! Stacks: their sizes, deep recursion, and memory that is given back.

use std::fs;
use std::hint::black_box;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{check, check_from_thread, check_on, until};
use greenthread::{Builder, channel, go, scope, select, spawn, stack, time, yield_now};

/// Recurses `n` levels deep, with frames of at least 200 bytes.
fn deep(n: u32) -> u32 {
    let frame = black_box([n; 50]);
    if n == 0 { 0 } else { 1 + deep(n - 1) + u32::from(frame[7] != n) }
}

/// Recurses `n` levels deep, and grows the stack where needed.
fn grown(n: u32) -> u32 {
    stack::grow(32 << 10, 128 << 10, || {
        let frame = black_box([n; 50]);
        if n == 0 { 0 } else { 1 + grown(n - 1) + u32::from(frame[7] != n) }
    })
}

#[test]
fn impossible_sizes_are_refused() {
    check_from_thread(|| {
        for size in [0, 1, 4096, (64 << 30) + 1, usize::MAX / 2, usize::MAX] {
            let refused = Builder::new().stack_size(size).spawn(|| ());
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{size}");
        }
        for size in [16 << 10, (16 << 10) + 1, 100_000, 1 << 20] {
            let handle = Builder::new().stack_size(size).spawn(stack::remaining).unwrap();
            assert!(handle.join().unwrap().unwrap() <= size.next_power_of_two(), "{size}");
        }
    });
}

/// Uses as much of the default stack as the deepest program of the guide's chapter on stacks.
#[test]
fn the_default_stack_holds_what_parsers_use() {
    /// Returns the number of bytes between `top` and the innermost frame, which is at least `need`.
    fn dig(top: usize, need: usize) -> usize {
        let frame = black_box([0_u8; 2048]);
        let used = top - (&raw const frame).addr();
        if used < need { dig(top, need).max(black_box(frame)[0].into()) } else { used }
    }
    check(|| {
        let mut need = 296 << 10;
        debug_assert!({
            need = 1530 << 10;
            true
        });
        let body = move || {
            let top = 0_u8;
            dig((&raw const top).addr(), need)
        };
        assert!(spawn(body).join().unwrap() >= need);
    });
}

#[test]
fn a_large_stack_takes_deep_recursion() {
    check(|| {
        let handle = Builder::new().stack_size(256 << 20).spawn(|| deep(200_000)).unwrap();
        assert_eq!(handle.join().unwrap(), 200_000);
    });
}

#[test]
fn remaining_shrinks_on_the_way_down() {
    fn dig(levels: u32, above: usize) {
        let _frame = black_box([0_u8; 1000]);
        let here = stack::remaining().unwrap();
        assert!(here + 1000 <= above);
        if levels > 0 {
            dig(levels - 1, here);
        }
    }
    check(|| spawn(|| dig(20, stack::remaining().unwrap())).join().unwrap());
    check_from_thread(|| assert_eq!(stack::remaining(), None, "on a plain thread"));
}

#[test]
fn grow_takes_deep_recursion() {
    check(|| {
        let handles: Vec<_> = (0..4).map(|_| spawn(|| grown(10_000))).collect();
        assert!(handles.into_iter().all(|handle| handle.join().unwrap() == 10_000));
    });
    check_from_thread(|| assert_eq!(grown(2_000), 2_000));
}

#[test]
fn grow_parks_panics_and_gives_back() {
    check(|| {
        let handles: Vec<_> = (0..50)
            .map(|n| {
                spawn(move || {
                    let outer = stack::remaining().unwrap();
                    let inner = stack::grow(3 << 20, 4 << 20, || {
                        assert!(stack::remaining().unwrap() > 3 << 20);
                        time::sleep(Duration::from_micros(100 * n));
                        yield_now();
                        let deeper = stack::grow(4 << 20, 8 << 20, || {
                            yield_now();
                            stack::remaining().unwrap()
                        });
                        assert!(deeper > 4 << 20);
                        spawn(move || n).join().unwrap()
                    });
                    assert_eq!(inner, n);
                    assert!(stack::remaining().unwrap().abs_diff(outer) < 16 << 10);
                    let caught = std::panic::catch_unwind(|| stack::grow(3 << 20, 4 << 20, || panic!("expected")));
                    assert!(caught.is_err());
                    assert!(stack::remaining().unwrap() < 3 << 20, "the goroutine is back on its own stack");
                    yield_now();
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_goroutine_ends_on_a_grown_stack() {
    check(|| {
        let exits = spawn(|| stack::grow(3 << 20, 4 << 20, || greenthread::exit_goroutine()));
        assert!(exits.join().unwrap_err().is::<greenthread::Exited>());
    });
}

/// Writes over about `kib` KiB of the stack, and returns.
fn dirty_stack(kib: u32) -> u32 {
    let frame = black_box([kib as u8; 1024]);
    if kib == 0 { 0 } else { dirty_stack(kib - 1) + u32::from(frame[100]) }
}

/// Values on a stack survive parks while other goroutines use the stacks that become free.
#[test]
fn values_on_stacks_survive_parks() {
    check(|| {
        let handles: Vec<_> = (0..200_u64)
            .map(|n| {
                spawn(move || {
                    let values: [u64; 256] = std::array::from_fn(|i| n * 1000 + i as u64);
                    let values = black_box(values);
                    for round in 0..5 {
                        black_box(dirty_stack((n % 20) as u32));
                        time::sleep(Duration::from_micros(n * round % 700));
                        assert!(values.iter().enumerate().all(|(i, v)| *v == n * 1000 + i as u64));
                        go!(|| black_box(dirty_stack(10)));
                    }
                })
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// Returns the resident memory of this process in KiB, or `None` on systems that cannot tell.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[test]
fn unused_stack_of_parked_goroutines_is_given_back() {
    const COUNT: usize = 2_000;
    check_on(2, || {
        let (let_all_end, may_end) = channel::bounded::<()>(0);
        let (parked, seen) = channel::bounded(0);
        let start = resident();
        let handles: Vec<_> = (0..COUNT)
            .map(|_| {
                let (may_end, parked) = (may_end.clone(), parked.clone());
                spawn(move || {
                    black_box(dirty_stack(24));
                    parked.send(()).unwrap();
                    may_end.recv().is_err()
                })
            })
            .collect();
        (0..COUNT).for_each(|_| seen.recv().unwrap());
        if let Some(start) = start {
            // On a slow machine, the first stacks have been given back before the last was used.
            let used = 24 * COUNT as u64;
            let begin = Instant::now();
            until(|| {
                thread::sleep(Duration::from_millis(20));
                let now = resident().unwrap();
                assert!(begin.elapsed() < Duration::from_secs(30), "still {now} KiB, from {start}, and {used} used");
                now < start + used / 2
            });
        }
        drop(let_all_end);
        assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
    });
}

// The documentation promises this for values that are passed by value, also in unoptimized builds.
#[test]
fn values_of_4_kib_pass_by_value() {
    type Value = [u8; 4 << 10];

    // Each case is a function of its own: in unoptimized builds, every variable has space of its
    // own in the frame.
    fn captured() {
        let value: Value = black_box([1; size_of::<Value>()]);
        let handle = spawn(move || black_box(value)[0]);
        assert_eq!(handle.join().unwrap(), 1);
    }
    fn captured_and_forgotten() {
        let (tx, rx) = channel::bounded(1);
        let value: Value = black_box([2; size_of::<Value>()]);
        go!(move || tx.send(black_box(&value)[0]).unwrap());
        assert_eq!(rx.recv(), Ok(2));
    }
    fn borrowed() {
        let value: Value = black_box([3; size_of::<Value>()]);
        let first = scope(|s| s.spawn(move || black_box(value)[0]).join().unwrap());
        assert_eq!(first, 3);
    }
    fn returned() {
        let handle = spawn(|| -> Value { black_box([4; size_of::<Value>()]) });
        assert_eq!(handle.join().unwrap()[0], 4);
    }
    fn sent(tx: &channel::Sender<Value>) {
        tx.send(black_box([5; size_of::<Value>()])).unwrap();
    }
    fn tried(tx: &channel::Sender<Value>) {
        assert!(tx.try_send(black_box([6; size_of::<Value>()])).is_ok());
    }
    fn selected(tx: &channel::Sender<Value>) {
        select! { send(tx, black_box([7; size_of::<Value>()])) -> sent => sent.unwrap() }
    }
    fn received(rx: &channel::Receiver<Value>) {
        assert_eq!(rx.recv().unwrap()[0], 5);
    }
    fn received_by_trying(rx: &channel::Receiver<Value>) {
        assert_eq!(rx.try_recv().unwrap()[0], 6);
    }
    fn received_by_select(rx: &channel::Receiver<Value>) {
        select! { recv(rx) -> value => assert_eq!(value.unwrap()[0], 7) }
    }
    check(|| {
        captured();
        captured_and_forgotten();
        borrowed();
        returned();
        for (tx, rx) in [channel::bounded(3), channel::unbounded()] {
            sent(&tx);
            tried(&tx);
            selected(&tx);
            received(&rx);
            received_by_trying(&rx);
            received_by_select(&rx);
        }
    });
}
