//! Checks that the sanitizers work on goroutines: they find deliberate mistakes at the place of the
//! mistake.
//!
//! The tests need a program that is built with the sanitizer that `GREENTHREAD_SANITIZER` names,
//! `thread` or `address`, as `ci/sanitizers.sh` does. Without the variable they check nothing.

mod common;

use std::cell::UnsafeCell;
use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::child::{self, Ended, named, program};
use greenthread::{scope, set_gomaxprocs, spawn, yield_now};

fn main() -> ExitCode {
    child::main(&[child::suite!(TESTS, PROGRAMS)])
}

const TESTS: &[child::Test] = named![a_race_is_found, a_use_after_free_is_found, an_overrun_on_the_stack_is_found];

const PROGRAMS: &[child::Main] = named![races, uses_after_free, overruns];

/// A value that two goroutines write at the same time.
#[derive(Default)]
struct Racy(UnsafeCell<u64>);

// SAFETY: none: the sanitizer must find this race.
unsafe impl Sync for Racy {}

#[inline(never)]
fn write(racy: &Racy) {
    // SAFETY: none: the other goroutine writes at the same time.
    unsafe { *racy.0.get() += 1 };
}

fn races() -> ExitCode {
    set_gomaxprocs(2);
    let (racy, begun) = (Racy::default(), AtomicUsize::new(0));
    scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                // After a switch or two, the sanitizer must still tell the goroutines apart.
                yield_now();
                // A relaxed access orders no other access.
                begun.fetch_add(1, Ordering::Relaxed);
                while begun.load(Ordering::Relaxed) < 2 {
                    std::hint::spin_loop();
                }
                // The sanitizer may miss two writes at exactly the same moment.
                (0..1000).for_each(|_| write(&racy));
            });
        }
    });
    ExitCode::SUCCESS
}

#[inline(never)]
fn read_freed(place: *const u64) -> u64 {
    // SAFETY: none: the memory was freed.
    unsafe { place.read_volatile() }
}

fn uses_after_free() -> ExitCode {
    spawn(|| {
        let boxed = black_box(Box::new(1u64));
        let place = std::ptr::from_ref(&*boxed);
        yield_now();
        drop(boxed);
        read_freed(place)
    })
    .join()
    .unwrap();
    ExitCode::SUCCESS
}

#[inline(never)]
fn read_beyond(array: &[u64; 4], at: usize) -> u64 {
    // SAFETY: none: `at` is beyond the end of the array.
    unsafe { array.as_ptr().add(at).read_volatile() }
}

fn overruns() -> ExitCode {
    spawn(|| {
        let array = black_box([0; 4]);
        yield_now();
        read_beyond(&array, black_box(4))
    })
    .join()
    .unwrap();
    ExitCode::SUCCESS
}

/// Runs the program `name` if this program is built with the sanitizer, and returns its end.
fn under(sanitizer: &str, name: &str) -> Option<Ended> {
    let built_with = env::var("GREENTHREAD_SANITIZER").unwrap_or_default();
    (built_with == sanitizer).then(|| program(name).run())
}

fn a_race_is_found() {
    if let Some(ended) = under("thread", "races") {
        assert!(!ended.status.success(), "{ended:?}");
        ended.says("ThreadSanitizer: data race").says("sanitizers::write");
    }
}

fn a_use_after_free_is_found() {
    if let Some(ended) = under("address", "uses_after_free") {
        assert!(!ended.status.success(), "{ended:?}");
        ended.says("AddressSanitizer: heap-use-after-free").says("sanitizers::read_freed");
    }
}

fn an_overrun_on_the_stack_is_found() {
    if let Some(ended) = under("address", "overruns") {
        assert!(!ended.status.success(), "{ended:?}");
        ended.says("AddressSanitizer: stack-buffer-overflow").says("sanitizers::read_beyond");
    }
}
