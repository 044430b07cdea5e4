//! The effect of the optimizer on a small program: it inlines an operation of the runtime that has
//! a single call site into the goroutine itself, whose frame may then have any size.
//!
//! This is a program of its own without the usual harness, since each operation must have a single
//! call site: otherwise it stays a function with a small frame. In debug builds it shows nothing;
//! `ci/optimized.sh` builds it in the ways that matter. It failed there as long as the runtime took
//! the address of a local variable for the stack pointer.

#[path = "common/watchdog.rs"]
mod watchdog;

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use greenthread::{spawn, stack, time, yield_now};
use greenthread_hazards as hazards;

/// A pause that is longer than a stack must be idle before its unused pages are dropped.
const UNTIL_SWEPT: Duration = Duration::from_millis(2500);

/// Sleeps with a large array in use, in a frame that has room for another one that is not in use.
///
/// It returns how many bytes were lost.
fn sleeper(seed: u8) -> usize {
    #[inline(always)]
    fn fill(bytes: &mut [u8], seed: u8) {
        bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = i as u8 ^ seed | 1);
    }
    let mut live = [0; 48 << 10];
    fill(black_box(&mut live), seed);
    {
        let mut dead = [0; 16 << 10];
        fill(black_box(&mut dead), seed);
        black_box(&dead);
    }
    time::sleep(UNTIL_SWEPT);
    black_box(&live).iter().enumerate().filter(|(i, byte)| **byte != *i as u8 ^ seed | 1).count()
}

/// Keeps a reference to a thread-local in a large frame, continues on another stack, and parks
/// there.
///
/// It returns how often the reference was to another thread's variable.
#[inline(never)]
fn grower(rounds: u32) -> u32 {
    #[repr(C)]
    struct Work<'a> {
        thread: &'a Cell<i32>,
        buffer: [u8; 4096],
    }
    thread_local! {
        static THREAD: Cell<i32> = const { Cell::new(0) };
    }
    THREAD.with(|thread| {
        let mut wrong = 0;
        let mut work = Work { thread, buffer: [0; 4096] };
        black_box(&mut work);
        for _ in 0..rounds {
            if work.thread.get() == 0 {
                work.thread.set(hazards::thread());
            }
            stack::grow(usize::MAX, 64 << 10, || (0..3).for_each(|_| yield_now()));
            wrong += u32::from(work.thread.get() != hazards::thread());
        }
        black_box(&work.buffer);
        wrong
    })
}

fn main() {
    let _watchdog = watchdog::watchdog("optimized");
    greenthread::set_gomaxprocs(4);
    let sleepers: Vec<_> = (0..8).map(|seed| spawn(move || sleeper(seed))).collect();
    let growers: Vec<_> = (0..16).map(|_| spawn(|| grower(2000))).collect();
    let wrong: u32 = growers.into_iter().map(|grower| grower.join().unwrap()).sum();
    let lost: Vec<usize> = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).collect();
    assert_eq!(
        (wrong, lost),
        (0, vec![0; 8]),
        "another thread's thread-locals, bytes of arrays in use that were dropped"
    );
}
