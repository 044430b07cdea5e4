//! Chaos mode: it exposes races that otherwise stay hidden, follows its seed, and is off by
//! default.
//!
//! All other tests show that correct programs stay correct under it, when they run with
//! `GREENTHREAD_CHAOS` set.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::child::{self, Ended, named, program};
use greenthread::config::Config;
use greenthread::{channel, debug, go, gomaxprocs, scope, select, set_gomaxprocs};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    a_race_hides_on_one_p,
    chaos_shows_the_race,
    chaos_by_code_shows_the_race,
    choices_follow_the_seed,
    a_bad_seed_is_named,
];

const PROGRAMS: &[child::Main] = named![races, races_by_code, chooses];

const VARIABLE: &str = "GREENTHREAD_CHAOS";

/// Counts in two goroutines on one P without an atomic addition, and spawns another goroutine
/// between load and store.
///
/// It prints whether counts were lost, and how often sysmon has retaken the P.
fn races() -> ExitCode {
    const ROUNDS: usize = 1000;
    set_gomaxprocs(1);
    let count = Arc::new(AtomicUsize::new(0));
    scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..ROUNDS {
                    let before = count.load(Ordering::Relaxed);
                    go!(|| ());
                    count.store(before + 1, Ordering::Relaxed);
                }
            });
        }
    });
    let lost = count.load(Ordering::Relaxed) < 2 * ROUNDS;
    println!("lost {lost}, retakes {}", debug::stats().retakes);
    ExitCode::SUCCESS
}

fn races_by_code() -> ExitCode {
    Config::default().chaos(Some(5)).install().unwrap();
    races()
}

/// Prints the choices of 100 `select!`s with two ready arms, on a foreign thread, so that no
/// schedule has an effect on them.
fn chooses() -> ExitCode {
    gomaxprocs();
    let arms = [(); 2].map(|()| {
        let (sender, receiver) = channel::bounded(100);
        (0..100).for_each(|n| sender.send(n).unwrap());
        (sender, receiver)
    });
    for _ in 0..100 {
        let arm = select! {
            recv(arms[0].1) -> _ => 'a',
            recv(arms[1].1) -> _ => 'b',
        };
        print!("{arm}");
    }
    ExitCode::SUCCESS
}

fn with(name: &str, seed: &str) -> Ended {
    program(name).env(VARIABLE, seed).run().exits_with(0)
}

fn a_race_hides_on_one_p() {
    // On a busy machine, sysmon may retake the P from a goroutine whose thread the kernel does not
    // run.
    for seed in ["0", ""] {
        let ended = with("races", seed).says_nothing();
        assert!(ended.stdout == "lost false, retakes 0\n" || !ended.stdout.contains("retakes 0"), "{ended:?}");
    }
}

fn chaos_shows_the_race() {
    for seed in ["1", "2", "18446744073709551615"] {
        let ended = with("races", seed).says_nothing();
        assert!(ended.stdout.starts_with("lost true"), "seed {seed}: {ended:?}");
    }
}

fn chaos_by_code_shows_the_race() {
    let ended = with("races_by_code", "0").says_nothing();
    assert!(ended.stdout.starts_with("lost true"), "{ended:?}");
}

fn choices_follow_the_seed() {
    let choices = |seed| with("chooses", seed).stdout;
    let first = choices("1");
    assert!(first.contains('a') && first.contains('b'), "{first}");
    assert_eq!(first, choices("1"));
    assert_ne!(first, choices("2"));
    // 100 choices agree by chance once in 2^100 runs.
    assert_ne!(choices("0"), choices("0"));
}

fn a_bad_seed_is_named() {
    for value in ["yes", "-1", "0x10"] {
        let ended = with("races", value);
        let text = format!("greenthread: GREENTHREAD_CHAOS={value:?}: not a whole number; using 0, which is off");
        ended.says(&text);
    }
}
