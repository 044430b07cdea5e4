//! Goroutines that a thread-local ties to a thread, beside goroutines that keep their threads.

use std::io::Read;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, Program, named, program};
use crate::common::drops::OnDrop;
use crate::common::{until, watchdog};
use greenthread::__private::Mechanism;
use greenthread::channel::{self, Sender};
use greenthread::{blocking, debug, go, spawn, time};
use greenthread_hazards::{closed_while, thread as thread_number};

const TIED: usize = 8;

/// A pause that is longer than the time for which goroutines that start together stay together.
const A_WHILE: Duration = Duration::from_millis(50);

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    a_blocked_read_keeps_only_its_own_thread,
    a_goroutine_that_keeps_threads_avoids_tied_threads,
    blocking_leaves_a_tied_thread,
    a_long_wait_for_a_thread_is_reported_once,
    a_destructor_that_waits_for_a_tied_goroutine_ends,
    a_deadlock_by_a_tie_is_reported,
];

const PROGRAMS: &[child::Main] = named![read, keeps, blocks, waits, logger, stuck_logger];

/// Returns the program without chaos.
///
/// Chaos sends goroutines to random threads, and these tests check the choice of the thread.
fn on(procs: usize, name: &str) -> Program {
    program(name).env("GOMAXPROCS", &procs.to_string()).env("GREENTHREAD_CHAOS", "0")
}

fn on_many_ps(name: &str) -> impl Iterator<Item = Ended> {
    [1, 2, 4].into_iter().map(move |procs| on(procs, name).run())
}

/// The turns that each tied goroutine has had, and the threads to which they are tied.
struct Tied {
    turns: Arc<[AtomicU64; TIED]>,
    threads: Arc<[AtomicI32; TIED]>,
    stop: Arc<AtomicBool>,
}

impl Tied {
    /// Starts goroutines that use a thread-local in a loop.
    fn start() -> Self {
        let this = Self {
            turns: Arc::new([const { AtomicU64::new(0) }; TIED]),
            threads: Arc::new([const { AtomicI32::new(0) }; TIED]),
            stop: Arc::default(),
        };
        for n in 0..TIED {
            let (turns, threads, stop) = (Arc::clone(&this.turns), Arc::clone(&this.threads), Arc::clone(&this.stop));
            go!(move || {
                let more = || {
                    threads[n].store(thread_number(), Ordering::Relaxed);
                    turns[n].fetch_add(1, Ordering::Relaxed);
                    !stop.load(Ordering::Relaxed)
                };
                closed_while(&more, &|| time::sleep(Duration::from_micros(200)));
            });
        }
        this
    }

    fn turns(&self) -> [u64; TIED] {
        std::array::from_fn(|n| self.turns[n].load(Ordering::Relaxed))
    }

    /// Waits until each goroutine has had two more turns.
    fn until_all_had_a_turn(&self) {
        let before = self.turns();
        until(|| self.turns().iter().zip(before).all(|(now, before)| *now >= before + 2));
    }

    /// Returns `true` if at least one goroutine is tied to `thread`.
    fn are_on(&self, thread: i32) -> bool {
        self.threads.iter().any(|own| own.load(Ordering::Relaxed) == thread)
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs `body` as the main goroutine.
fn run(body: impl FnOnce() + Send + 'static) -> ExitCode {
    let _watchdog = watchdog("ties");
    ExitCode::from(u8::from(spawn(body).join().is_err()))
}

/// Starts a goroutine that blocks in a read until the result is dropped.
fn start_reader() -> std::io::PipeWriter {
    let (mut silent, writer) = std::io::pipe().unwrap();
    go!(move || drop(silent.read(&mut [0])));
    writer
}

fn read() -> ExitCode {
    run(|| {
        let tied = Tied::start();
        tied.until_all_had_a_turn();
        time::sleep(A_WHILE);
        let _writer = start_reader();
        time::sleep(A_WHILE);
        tied.until_all_had_a_turn();
    })
}

fn a_blocked_read_keeps_only_its_own_thread() {
    on_many_ps("read").for_each(|ended| drop(ended.exits_with(0).says_nothing()));
}

fn keeps() -> ExitCode {
    run(|| {
        let tied = Tied::start();
        tied.until_all_had_a_turn();
        let keeper = spawn(|| {
            let threads = (0..20).map(|_| {
                time::sleep(Duration::from_millis(1));
                let number = thread_number();
                thread::sleep(Duration::from_millis(15));
                number
            });
            threads.collect::<Vec<i32>>()
        });
        // The keeper may have kept one of their threads before the scheduler knew that it keeps
        // threads.
        let threads = keeper.join().unwrap().split_off(5);
        let own: Vec<i32> = tied.threads.iter().map(|own| own.load(Ordering::Relaxed)).collect();
        assert!(!threads.iter().any(|thread| own.contains(thread)), "{threads:?}, {own:?}");
        tied.until_all_had_a_turn();
    })
}

fn a_goroutine_that_keeps_threads_avoids_tied_threads() {
    on_many_ps("keeps").for_each(|ended| drop(ended.exits_with(0).says_nothing()));
}

fn blocks() -> ExitCode {
    run(|| {
        let tied = Tied::start();
        tied.until_all_had_a_turn();
        for _ in 0..10 {
            let thread = spawn(|| blocking(thread_number)).join().unwrap();
            assert!(!tied.are_on(thread));
            tied.until_all_had_a_turn();
        }
    })
}

fn blocking_leaves_a_tied_thread() {
    on_many_ps("blocks").for_each(|ended| drop(ended.exits_with(0).says_nothing()));
}

/// Keeps tied goroutines waiting for seconds.
fn waits() -> ExitCode {
    child::without(Mechanism::KeepApart);
    run(|| {
        let tied = Tied::start();
        tied.until_all_had_a_turn();
        let writer = start_reader();
        time::sleep(Duration::from_millis(100));
        let before = tied.turns();
        time::sleep(Duration::from_millis(1500));
        assert_eq!(tied.turns(), before);
        assert!(debug::goroutines().iter().any(|goroutine| goroutine.behind.is_some()));
        drop(writer);
        tied.until_all_had_a_turn();
    })
}

fn a_long_wait_for_a_thread_is_reported_once() {
    let ended = on(1, "waits").run().exits_with(0);
    assert_eq!(ended.stderr.matches("has waited for its thread").count(), 1, "{}", ended.stderr);
    ended.says("ties.rs").says("#[inline(never)]").says("Builder::pinned");
}

/// Runs a logger that uses a thread-local in its loop, and a goroutine that logs in a destructor
/// while it unwinds.
fn log_while_unwinding() {
    let (to, lines) = channel::unbounded::<Sender<()>>();
    go!(move || {
        let answer = || lines.recv().map(|answer| answer.send(()).unwrap()).unwrap_or_default();
        closed_while(&|| true, &answer);
    });
    let log = move || {
        let (answer, done) = channel::bounded(0);
        to.send(answer).unwrap();
        done.recv().unwrap();
    };
    (0..3).for_each(|_| log());
    time::sleep(A_WHILE);
    let guest = spawn(move || {
        let _log = OnDrop::new(log);
        panic!("expected");
    });
    assert!(guest.join().is_err());
    print!("joined");
    std::process::exit(0);
}

fn logger() -> ExitCode {
    run(log_while_unwinding)
}

fn a_destructor_that_waits_for_a_tied_goroutine_ends() {
    on_many_ps("logger").for_each(|ended| drop(ended.exits_with(0).prints("joined")));
}

/// Does what [`logger`] does without the mechanism that keeps the two apart, and without a
/// watchdog, whose thread could wake them.
fn stuck_logger() -> ExitCode {
    child::without(Mechanism::KeepApart);
    let _ = spawn(log_while_unwinding).join();
    ExitCode::FAILURE
}

fn a_deadlock_by_a_tie_is_reported() {
    let ended = on(1, "stuck_logger").run().exits_with(2);
    ended.says("all goroutines are asleep - deadlock!").says("runnable, behind goroutine");
}
