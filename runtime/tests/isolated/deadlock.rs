//! The report that all goroutines are asleep: programs that must be reported, and programs that
//! must not.
//!
//! All programs run in child processes.

use std::convert::Infallible;
use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::drops::OnDrop;
use crate::common::{Rng, seed};
use greenthread::__private::Mechanism;
use greenthread::channel::{self, Receiver, Sender, bounded};
use greenthread::net::TcpListener;
use greenthread::signal::{self, Signal};
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{Builder, blocking, config, go, lock_os_thread, select, spawn, time, yield_now};

const REPORT: &str = "fatal error: all goroutines are asleep - deadlock!";

/// A pause that is longer than sysmon waits before it checks.
const A_WHILE: Duration = Duration::from_millis(200);

/// A pause that is much longer than that.
const LONG: Duration = Duration::from_millis(500);

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    deadlocks_are_reported,
    deadlocks_of_a_plain_main_are_reported,
    deadlocks_before_any_goroutine_are_reported,
    late_deadlocks_are_reported,
    waiting_goroutines_are_listed,
    patient_programs_are_not_reported,
    programs_resumed_late_are_not_reported,
    the_report_can_be_switched_off,
    relays_of_threads,
    storms_of_sleep,
];

macro_rules! programs {
    ($(fn $name:ident() $body:block)*) => {
        mod goroutine { $(pub(super) mod $name {
            use super::super::*;
            #[greenthread::main]
            pub(in super::super) fn main() -> ExitCode {
                on_many_ps();
                super::super::$name();
                ExitCode::SUCCESS
            }
        })* }
        $(fn $name() $body)*
        const PROGRAMS: &[child::Main] = &[
            ("switched_off_by_code", switched_off_by_code),
            $((stringify!($name), goroutine::$name::main),)*
            $((concat!("plain::", stringify!($name)), || { on_many_ps(); $name(); ExitCode::SUCCESS }),)*
            $((concat!("early::", stringify!($name)), || { $name(); ExitCode::SUCCESS }),)*
        ];
    };
}

/// Runs several goroutines once, so that Ms exist.
fn on_many_ps() {
    let all: Vec<_> = (0..8).map(|_| spawn(yield_now)).collect();
    all.into_iter().for_each(|one| one.join().unwrap());
}

fn sleep_forever() {
    let (_tx, rx) = bounded::<()>(0);
    let _ = rx.recv();
}

fn ends_after(duration: Duration) -> thread::JoinHandle<()> {
    thread::spawn(move || thread::sleep(duration))
}

programs! {
    fn on_a_channel() {
        sleep_forever();
    }

    fn on_a_full_channel() {
        let (tx, _rx) = bounded(1);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
    }

    fn on_two_mutexes() {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        let (first, second) = (Arc::clone(&locks), Arc::clone(&locks));
        let (a, b) = bounded(0);
        let one = spawn(move || {
            let _guard = first.0.lock();
            a.send(()).unwrap();
            let _other = first.1.lock();
        });
        let two = spawn(move || {
            let _guard = second.1.lock();
            b.recv().unwrap();
            let _other = second.0.lock();
        });
        one.join().unwrap();
        two.join().unwrap();
    }

    fn on_a_mutex_twice() {
        let lock = Mutex::new(());
        let _once = lock.lock();
        let _twice = lock.lock();
    }

    fn on_a_wait_group() {
        let group = WaitGroup::new();
        group.add(2);
        let one = group.clone();
        go!(move || one.done());
        group.wait();
    }

    fn on_a_select() {
        let (_tx, rx) = bounded::<()>(0);
        let (tx, _rx) = bounded(0);
        select! {
            recv(rx) -> _ => {}
            send(tx, 1) -> _ => {}
        }
    }

    fn on_nil_in_a_select() {
        select! {
            recv(channel::nil::<()>().1) -> _ => {}
        }
    }

    fn on_nil() {
        let _ = channel::nil::<()>().1.recv();
    }

    fn on_never() {
        let _ = channel::never::<Infallible>().recv();
    }

    fn on_a_join() {
        spawn(|| go_on(&bounded(0))).join().unwrap();
    }

    fn while_unwinding() {
        let handle = spawn(|| {
            let _block = OnDrop::new(sleep_forever);
            std::panic::resume_unwind(Box::new(()));
        });
        let _ = handle.join();
    }

    fn while_pinned() {
        let pinned = Builder::new().pinned(true).spawn(sleep_forever).unwrap();
        go!(|| {
            let _locked = lock_os_thread();
            sleep_forever();
        });
        pinned.join().unwrap();
    }

    fn of_many() {
        for _ in 0..1000 {
            go!(sleep_forever);
        }
        sleep_forever();
    }

    fn with_stderr_locked() {
        let _stderr = std::io::stderr().lock();
        sleep_forever();
    }

    fn with_threads_asleep() {
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock();
        for _ in 0..5 {
            let lock = Arc::clone(&lock);
            thread::spawn(move || drop(lock.lock()));
        }
        sleep_forever();
        drop(guard);
    }

    fn after_main_exited() {
        go!(sleep_forever);
        greenthread::exit_goroutine();
    }

    fn after_a_timer() {
        let (_tx, rx) = bounded::<()>(0);
        let _ = rx.recv_timeout(A_WHILE);
        println!("late");
        let _ = rx.recv();
    }

    fn after_a_thread() {
        // This thread does not use the runtime.
        drop(ends_after(A_WHILE));
        sleep_forever();
    }

    fn after_a_thread_that_sent() {
        let (tx, rx) = bounded(0);
        let sender = tx.clone();
        thread::spawn(move || {
            thread::sleep(A_WHILE);
            sender.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
        rx.recv().unwrap();
        drop(tx);
    }

    fn after_a_thread_that_fell_asleep() {
        thread::spawn(|| {
            thread::sleep(A_WHILE);
            sleep_forever();
        });
        sleep_forever();
    }

    fn after_a_blocking_call() {
        go!(|| {
            blocking(|| thread::sleep(A_WHILE));
            sleep_forever();
        });
        sleep_forever();
    }

    fn after_a_hog() {
        // There are more of them than Ps, so some return without a P.
        for _ in 0..8 {
            go!(|| {
                thread::sleep(A_WHILE);
                sleep_forever();
            });
        }
        sleep_forever();
    }

    fn after_signals() {
        let signals = signal::notify(&[Signal::SIGUSR1]);
        go!(move || {
            time::sleep(A_WHILE);
            drop(signals);
        });
        sleep_forever();
    }

    fn resumed_by_a_late_after() {
        let (_tx, rx) = bounded::<()>(0);
        select! {
            recv(rx) -> _ => unreachable!(),
            recv(time::after(A_WHILE)) -> _ => println!("late"),
        }
    }

    fn resumed_by_a_sleeper() {
        let (tx, rx) = bounded(0);
        go!(move || {
            time::sleep(A_WHILE);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_an_after_func() {
        let (tx, rx) = bounded(0);
        drop(time::after_func(A_WHILE, move || tx.send(()).unwrap()));
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_a_thread_that_sleeps() {
        let (tx, rx) = bounded(0);
        go!(move || {
            thread::sleep(A_WHILE);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_a_blocking_call() {
        let (tx, rx) = bounded(0);
        go!(move || {
            blocking(|| thread::sleep(A_WHILE));
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_a_hog() {
        let (tx, rx) = bounded(0);
        go!(move || {
            crate::common::spin(A_WHILE);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_a_thread() {
        let (tx, rx) = bounded(0);
        thread::spawn(move || {
            thread::sleep(A_WHILE);
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        println!("late");
    }

    fn resumed_by_a_thread_with_a_timeout() {
        let (tx, rx) = bounded::<()>(0);
        let (done, finished) = bounded(0);
        thread::spawn(move || {
            let _ = rx.recv_timeout(A_WHILE);
            done.send(()).unwrap();
        });
        finished.recv().unwrap();
        println!("late");
        drop(tx);
    }

    fn resumed_by_a_sleep_while_unwinding() {
        let handle = spawn(|| {
            let _block = OnDrop::new(|| time::sleep(A_WHILE));
            std::panic::resume_unwind(Box::new(()));
        });
        let _ = handle.join();
        println!("late");
    }

    fn waits_for_a_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.accept().unwrap();
    }

    fn waits_for_signals() {
        let signals = signal::notify(&[Signal::SIGUSR1]);
        let _ = signals.recv();
    }

    fn reads_a_pipe() {
        let path = std::env::temp_dir().join(format!("greenthread-deadlock-{}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let remove = path.clone();
        // Opening the pipe blocks until there is a writer, and none ever opens it.
        go!(move || fs::read(path));
        time::sleep(Duration::from_millis(100));
        fs::remove_file(remove).unwrap();
        sleep_forever();
    }

    fn has_an_idle_thread() {
        drop(ends_after(Duration::from_secs(1000)));
        sleep_forever();
    }

    fn without_the_report() {
        child::without(Mechanism::DeadlockReport);
        sleep_forever();
    }

    fn relay() {
        child::without(Mechanism::Linger);
        // Exactly one thread is awake, and a different one each time.
        fn run(left: u32, tx: Sender<u32>, random: Rng) {
            if left > 0 {
                let mut random = random;
                match random.below(4) {
                    0 => tx.send(left).unwrap(),
                    1 => thread::sleep(Duration::from_micros(random.below(300))),
                    2 => drop(spawn(sleeps_a_moment)),
                    _ => {}
                }
                thread::spawn(move || run(left - 1, tx, random));
            }
        }
        let (tx, rx) = bounded(0);
        let random = Rng::new(seed());
        thread::spawn(move || run(1000, tx, random));
        for _ in rx {}
        println!("late");
    }

    fn storm() {
        child::without(Mechanism::Linger);
        let random = Rng::new(seed());
        let end = std::time::Instant::now() + Duration::from_millis(800);
        let (go_on, wait) = (bounded(0), bounded(0));
        let (pings, pongs): (Receiver<()>, Sender<()>) = (go_on.1, wait.0);
        go!(move || for () in pings {
            pongs.send(()).unwrap();
        });
        let waker = thread::spawn(move || wakes(&go_on.0, &wait.1, random, end));
        blocking(|| waker.join()).unwrap();
        println!("late");
    }
}

fn switched_off_by_code() -> ExitCode {
    config::Config::default().deadlock(false).install().unwrap();
    sleep_forever();
    ExitCode::SUCCESS
}

fn sleeps_a_moment() {
    time::sleep(Duration::from_micros(100));
}

fn go_on((_tx, rx): &(Sender<()>, Receiver<()>)) {
    let _ = rx.recv();
}

/// Wakes a goroutine again and again, and waits for it; in between, both are asleep or nearly so.
fn wakes(pings: &Sender<()>, pongs: &Receiver<()>, mut random: Rng, end: std::time::Instant) {
    while std::time::Instant::now() < end {
        match random.below(6) {
            0 => thread::sleep(Duration::from_micros(random.below(400))),
            1 => thread::spawn(thread::yield_now).join().unwrap(),
            2 => spawn(sleeps_a_moment).join().unwrap(),
            3 => spawn(|| blocking(|| thread::sleep(Duration::from_micros(50)))).join().unwrap(),
            4 => {
                let mut hogs = (0..3).map(|_| spawn(|| thread::sleep(Duration::from_millis(3))));
                hogs.try_for_each(|hog| hog.join()).unwrap();
            }
            _ => {}
        }
        pings.send(()).unwrap();
        pongs.recv().unwrap();
    }
}

/// Runs the children at the same time, each with a different number of Ps.
fn all_at_once(programs: &[impl AsRef<str>], check: impl Fn(child::Program) + Sync) {
    thread::scope(|scope| {
        for (n, name) in programs.iter().enumerate() {
            let (check, name) = (&check, name.as_ref());
            let procs = ["1", "2", "4"][n % 3];
            let check = move || check(program(name).env("GOMAXPROCS", procs));
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, check).unwrap();
        }
    });
}

const ASLEEP: &[&str] = &[
    "on_a_channel",
    "on_a_full_channel",
    "on_two_mutexes",
    "on_a_mutex_twice",
    "on_a_wait_group",
    "on_a_select",
    "on_nil_in_a_select",
    "on_nil",
    "on_never",
    "on_a_join",
    "while_unwinding",
    "while_pinned",
    "of_many",
    "with_stderr_locked",
    "with_threads_asleep",
];

/// Programs that have only the main goroutine.
const WITHOUT_GOROUTINES: &[&str] = &[
    "on_a_channel",
    "on_a_full_channel",
    "on_a_mutex_twice",
    "on_a_select",
    "on_nil_in_a_select",
    "on_nil",
    "on_never",
    "with_threads_asleep",
    "after_a_timer",
    "after_a_thread",
    "after_a_thread_that_fell_asleep",
];

const LATE: &[&str] = &[
    "after_a_timer",
    "after_a_thread",
    "after_a_thread_that_sent",
    "after_a_thread_that_fell_asleep",
    "after_a_blocking_call",
    "after_a_hog",
    "after_signals",
];

const RESUMED_LATE: &[&str] = &[
    "resumed_by_a_late_after",
    "resumed_by_a_sleeper",
    "resumed_by_an_after_func",
    "resumed_by_a_thread_that_sleeps",
    "resumed_by_a_blocking_call",
    "resumed_by_a_hog",
    "resumed_by_a_thread",
    "resumed_by_a_thread_with_a_timeout",
    "resumed_by_a_sleep_while_unwinding",
];

const PATIENT: &[&str] = &["waits_for_a_connection", "waits_for_signals", "reads_a_pipe", "has_an_idle_thread"];

/// Returns the same programs with a main thread that is a foreign thread.
fn plain(programs: &[&str]) -> Vec<String> {
    programs.iter().map(|name| format!("plain::{name}")).collect()
}

/// Returns the same programs as [`plain`], in a process in which no runtime has started yet.
fn early(programs: &[&str]) -> Vec<String> {
    programs.iter().map(|name| format!("early::{name}")).collect()
}

fn is_reported(program: child::Program) {
    let ended = program.run().exits_with(2).says(REPORT);
    assert_eq!(ended.stderr.matches("fatal error").count(), 1, "{}", ended.stderr);
}

fn deadlocks_are_reported() {
    all_at_once(ASLEEP, is_reported);
    all_at_once(&["after_main_exited"], is_reported);
}

fn deadlocks_of_a_plain_main_are_reported() {
    all_at_once(&plain(ASLEEP), is_reported);
}

/// Checks programs that never spawn a goroutine: the first thread that blocks starts the runtime,
/// so that sysmon can see it.
fn deadlocks_before_any_goroutine_are_reported() {
    all_at_once(&early(WITHOUT_GOROUTINES), is_reported);
}

fn late_deadlocks_are_reported() {
    all_at_once(LATE, is_reported);
    all_at_once(&plain(LATE), is_reported);
}

fn waiting_goroutines_are_listed() {
    let ended = program("on_two_mutexes").run();
    let dump = ended.says(REPORT).says("[join]: not a goroutine").says("goroutine 1 [join]");
    assert_eq!(dump.stderr.matches("[sync.Mutex.Lock]:\n").count(), 2, "{}", dump.stderr);
    // The goroutine that unwinds occupies its thread, and is listed like the others.
    // On a slow machine, its state also says for how long it has.
    let dump = program("while_unwinding").run().says("[chan receive").says("goroutine 1 [join]");
    dump.says(", locked to thread]:");
    program("plain::on_nil").run().says("[chan receive (nil chan)]: not a goroutine");
}

fn patient_programs_are_not_reported() {
    let wait = |program: child::Program| program.lives_for(LONG);
    all_at_once(PATIENT, wait);
    all_at_once(&plain(PATIENT), wait);
}

fn programs_resumed_late_are_not_reported() {
    let ends_late = |program: child::Program| drop(program.run().exits_with(0).prints("late\n").says_nothing());
    all_at_once(RESUMED_LATE, ends_late);
    all_at_once(&plain(RESUMED_LATE), ends_late);
    all_at_once(&early(RESUMED_LATE), ends_late);
}

fn the_report_can_be_switched_off() {
    // Without the report, such a process prints nothing and never ends.
    all_at_once(&["without_the_report", "switched_off_by_code"], |program| program.lives_for(LONG));
    all_at_once(&["on_a_channel"], |program| program.env("GODEBUG", "deadlock=0").lives_for(LONG));
    all_at_once(&["on_a_channel"], |program| is_reported(program.env("GODEBUG", "deadlock=1")));
}

/// Runs `name` with a sysmon that checks whenever all Ps are idle, not only when they have been
/// idle for a while.
fn check_with_an_eager_sysmon(name: &str) {
    let seed = seed();
    all_at_once(&[name; 3], |program| {
        let ended = program.env("GREENTHREAD_SEED", &seed.to_string()).run().exits_with(0);
        assert!(ended.stdout.ends_with("late\n"), "{ended:#?}");
    });
}

fn relays_of_threads() {
    check_with_an_eager_sysmon("relay");
    check_with_an_eager_sysmon("plain::relay");
}

fn storms_of_sleep() {
    check_with_an_eager_sysmon("storm");
    check_with_an_eager_sysmon("plain::storm");
}
