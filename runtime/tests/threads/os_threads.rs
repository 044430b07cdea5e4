//! The life of OS threads: which goroutines they run, how many there are, and when they end.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::mem;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::{check, until};
use greenthread::channel::{bounded, never};
use greenthread::{Builder, JoinHandle, blocking, debug, lock_os_thread, set_gomaxprocs, spawn, time};
use greenthread_hazards::{nice, set_nice, thread as thread_number};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    threads_stay_alive_and_are_reused,
    the_thread_that_parked_last_is_used_first,
    pinned_goroutines_have_threads_of_their_own,
    a_thousand_pinned_goroutines_leave_no_thread,
    a_thread_that_stays_locked_runs_no_other_goroutine,
    a_goroutine_tied_to_a_locked_thread_runs_there,
    new_threads_inherit_from_no_goroutine,
    few_threads_are_enough_for_pinned_goroutines,
    all_threads_are_locked,
    no_thread_for_a_pinned_goroutine,
    pinned_goroutines_that_wait_for_each_other,
    an_m_sleeps_on_when_its_watched_p_is_taken,
];

const PROGRAMS: &[child::Main] =
    named![starts_threads_beside_a_changed_one, pins_many, locks_all, pins_one, pins_a_crowd, takes_watched_ps,];

/// The number of goroutines in a crowd.
const CROWD: usize = 20;

/// Runs `f` in goroutines that block their threads, mostly at the same time, and returns the
/// results.
///
/// They do not wait for each other: one may have to wait for a thread that another blocks.
fn crowd<T: Send + 'static>(f: fn() -> T) -> Vec<T> {
    let block = move || {
        blocking(|| {
            thread::sleep(Duration::from_millis(20));
            f()
        })
    };
    let crowd: Vec<_> = (0..CROWD).map(|_| spawn(block)).collect();
    crowd.into_iter().map(|member| member.join().unwrap()).collect()
}

fn pinned<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().pinned(true).spawn(f).unwrap()
}

fn is_alive(thread: i32) -> bool {
    fs::exists(format!("/proc/self/task/{thread}")).unwrap()
}

/// Checks that idle threads do not end: a goroutine may have lent a reference to its thread's
/// variables to another goroutine.
fn threads_stay_alive_and_are_reused() {
    check(|| {
        let first: HashSet<i32> = crowd(thread_number).into_iter().collect();
        let used: HashSet<i32> = (0..5).flat_map(|_| crowd(thread_number)).chain(first.iter().copied()).collect();
        assert!(used.len() <= 2 * CROWD, "{} threads for {CROWD} goroutines", used.len());
        let stats = debug::stats();
        assert!(stats.threads <= stats.peak_threads, "{stats:?}");
        assert!(first.into_iter().all(is_alive));
    });
}

fn the_thread_that_parked_last_is_used_first() {
    check(|| {
        crowd(thread_number);
        let used: HashSet<i32> = (0..200).map(|_| spawn(|| blocking(thread_number)).join().unwrap()).collect();
        assert!(used.len() <= CROWD / 2, "{} threads for one goroutine at a time", used.len());
    });
}

thread_local! {
    /// A mark that the goroutines of a thread have left there.
    static LEFT: Cell<&'static str> = const { Cell::new("") };
}

/// Leaves `mark` on this thread, and returns the previous mark.
#[inline(never)]
fn leave(mark: &'static str) -> &'static str {
    LEFT.replace(mark)
}

fn pinned_goroutines_have_threads_of_their_own() {
    check(|| {
        let alone: Vec<_> = (0..30)
            .map(|_| {
                pinned(|| {
                    let before = leave("pinned");
                    time::sleep(Duration::from_micros(300));
                    assert_eq!((before, leave("pinned")), ("", "pinned"));
                    thread_number()
                })
            })
            .collect();
        let others: Vec<_> = (0..300).map(|_| spawn(|| leave("shared"))).collect();
        let alone: HashSet<i32> = alone.into_iter().map(|one| one.join().unwrap()).collect();
        for other in others {
            assert_ne!(other.join().unwrap(), "pinned");
        }
        until(|| !alone.iter().copied().any(is_alive));
        assert_eq!(debug::stats().pinned_threads, 0);
    });
}

fn a_thousand_pinned_goroutines_leave_no_thread() {
    check(|| {
        let before = debug::stats().threads;
        for n in 0..1000 {
            assert_eq!(pinned(move || n).join().unwrap(), n);
        }
        until(|| debug::stats().pinned_threads == 0);
        let now = debug::stats().threads;
        assert!(now <= before + 20, "{before} threads, then {now}");
    });
}

/// Locks the goroutine to its thread and forgets the guard.
fn stay_locked() {
    mem::forget(lock_os_thread());
}

fn a_thread_that_stays_locked_runs_no_other_goroutine() {
    check(|| {
        let before = debug::stats().unusable_threads;
        for n in 1..=3 {
            let changed = spawn(|| {
                stay_locked();
                leave("changed");
                thread_number()
            });
            let thread = changed.join().unwrap();
            let others: Vec<_> = (0..100)
                .map(|n| {
                    spawn(move || {
                        if n % 10 == 0 {
                            thread::sleep(Duration::from_millis(1));
                        }
                        leave("shared")
                    })
                })
                .collect();
            for other in others {
                assert_ne!(other.join().unwrap(), "changed");
            }
            until(|| debug::stats().unusable_threads == before + n);
            assert!(is_alive(thread));
        }
    });
}

thread_local! {
    static HELD: Cell<i32> = const { Cell::new(0) };
}

/// Checks that a goroutine with an address in the thread's own memory still runs on that thread.
fn a_goroutine_tied_to_a_locked_thread_runs_there() {
    check(|| {
        let ((here, places), (go_on, wait)) = (bounded(1), bounded::<()>(0));
        let holder = spawn(move || {
            blocking(|| {
                HELD.with(|held| {
                    held.set(thread_number());
                    here.send(thread_number()).unwrap();
                    wait.recv().unwrap();
                    (held.get(), thread_number())
                })
            })
        });
        let home = places.recv().unwrap();
        // The thread may sleep below many others, and an idle thread is woken only if the ones
        // above it are taken. So there are goroutines for all threads.
        until(|| {
            let locks = move || {
                let is_there = thread_number() == home;
                if is_there {
                    stay_locked();
                } else {
                    blocking(|| thread::sleep(Duration::from_millis(20)));
                }
                is_there
            };
            let all: Vec<_> = (0..debug::stats().threads).map(|_| spawn(locks)).collect();
            all.into_iter().any(|one| one.join().unwrap())
        });
        go_on.send(()).unwrap();
        assert_eq!(holder.join().unwrap(), (home, home));
    });
}

fn starts_threads_beside_a_changed_one() -> ExitCode {
    let seen = pinned(|| {
        set_nice(nice() + 5);
        let seen = crowd(nice);
        (nice(), seen)
    });
    let (changed, seen) = seen.join().unwrap();
    let stays = spawn(|| {
        stay_locked();
        set_nice(nice() + 3);
        blocking(|| thread::sleep(Duration::from_millis(20)));
        crowd(nice)
    });
    let seen: HashSet<i32> = seen.into_iter().chain(stays.join().unwrap()).chain(crowd(nice)).collect();
    println!("{:?}", seen == HashSet::from([changed - 5]));
    ExitCode::SUCCESS
}

fn new_threads_inherit_from_no_goroutine() {
    for procs in ["1", "2", "4"] {
        let ended = program("starts_threads_beside_a_changed_one").env("GOMAXPROCS", procs).run();
        ended.exits_with(0).prints("true\n").says_nothing();
    }
}

fn limited(name: &str, procs: &str, most: &str) -> child::Ended {
    program(name).env("GOMAXPROCS", procs).env("GREENTHREAD_MAXTHREADS", most).run()
}

/// The line of the fatal error.
const EXHAUSTED: &str = "fatal error: thread exhaustion: ";

fn pins_many() -> ExitCode {
    let many: Vec<_> = (0..50).map(|_| pinned(|| time::sleep(Duration::from_millis(1)))).collect();
    many.into_iter().for_each(|one| one.join().unwrap());
    ExitCode::SUCCESS
}

fn few_threads_are_enough_for_pinned_goroutines() {
    for (procs, most) in [("1", "2"), ("1", "5"), ("2", "5"), ("4", "8")] {
        let ended = limited("pins_many", procs, most).exits_with(0);
        ended.says(&format!("the limit of {most} threads is reached (GREENTHREAD_MAXTHREADS)"));
    }
}

/// Makes each goroutine wait for a time, with no thread left that would see that time come.
fn locks_all() -> ExitCode {
    let lock = || {
        let _here = lock_os_thread();
        (0..1000).for_each(|_| time::sleep(Duration::from_millis(1)));
    };
    (0..10).map(|_| spawn(lock)).collect::<Vec<_>>().into_iter().for_each(|one| one.join().unwrap());
    ExitCode::SUCCESS
}

fn all_threads_are_locked() {
    for procs in ["1", "2", "4"] {
        for most in ["1", "3"] {
            let ended = limited("locks_all", procs, most).exits_with(2);
            let ended = ended.says(EXHAUSTED).says(&format!("each of the {most} threads is locked"));
            ended.says("[sleep").says("the limit of ");
        }
    }
}

fn pins_one() -> ExitCode {
    // Sleeping goroutines remain, so that the runtime reports no deadlock.
    drop(spawn(|| time::sleep(Duration::from_secs(1000))));
    pinned(|| ()).join().unwrap();
    ExitCode::SUCCESS
}

fn no_thread_for_a_pinned_goroutine() {
    let ended = limited("pins_one", "1", "1").exits_with(2);
    ended.says(EXHAUSTED).says("pinned goroutines that wait for a thread: 1;");
}

fn pins_a_crowd() -> ExitCode {
    (0..10).map(|_| pinned(|| never::<()>().recv())).collect::<Vec<_>>().into_iter().for_each(|one| {
        let _ = one.join();
    });
    ExitCode::SUCCESS
}

fn pinned_goroutines_that_wait_for_each_other() {
    let ended = limited("pins_a_crowd", "1", "4").exits_with(2);
    ended
        .says("all goroutines are asleep - deadlock!")
        .says("pinned goroutines that wait for a thread: ")
        .says("; the limit of 4 is");
}

/// Returns how often Ms have gone to sleep.
fn sleeps() -> u64 {
    let of_thread = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).map(str::trim);
        let ours = field("Name:")?.starts_with("greenthread-m");
        ours.then(|| field("voluntary_ctxt_switches:")?.parse::<u64>().ok())?
    };
    fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of_thread).sum()
}

/// Makes an M sleep until a timer of a P that it watches, takes that P for another M, and stops the
/// timer.
fn takes_watched_ps() -> ExitCode {
    set_gomaxprocs(1);
    let displace = || {
        let timer = time::after_func(Duration::from_millis(800), || ());
        blocking(|| thread::sleep(Duration::from_millis(20)));
        timer.stop();
    };
    spawn(displace).join().unwrap();
    thread::sleep(Duration::from_millis(400));
    let before = sleeps();
    thread::sleep(Duration::from_millis(700));
    println!("{}", sleeps() - before);
    ExitCode::SUCCESS
}

fn an_m_sleeps_on_when_its_watched_p_is_taken() {
    program("takes_watched_ps").run().exits_with(0).prints("0\n");
}
