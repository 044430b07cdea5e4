//! The ends of programs: main returns, panics, overflows, or calls `exit`. All tests run child
//! processes.
//!
//! They do without the usual harness: the programs need a `main` of their own (see
//! `common::child`).

use std::cell::RefCell;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, default_stack, named, program};
use crate::common::drops::OnDrop;
use greenthread::__private::Mechanism;
use greenthread::{Builder, OsThreadGuard, channel, go, scope, spawn, stack, time, yield_now};
use greenthread_hazards::thread as thread_number;

/// The limit for a process that should end at once.
///
/// The children's hogs would run forever.
const AT_ONCE: Duration = Duration::from_secs(20);

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    main_returns_while_others_run,
    a_plain_main_returns_while_others_run,
    main_panics,
    main_returns_an_error,
    main_returns_a_code,
    main_exits_its_goroutine,
    main_has_a_large_stack,
    a_goroutine_exits_the_process,
    the_runtime_is_used_after_main,
    a_detached_panic_is_reported,
    an_overflow_is_reported,
    an_overflow_of_a_chosen_size,
    an_overflow_of_a_scoped_goroutine,
    an_overflow_of_a_pinned_goroutine,
    an_overflow_of_a_grown_stack,
    an_overflow_beside_many,
    an_overflow_of_a_thread,
    a_panic_in_a_destructor_while_unwinding,
    exit_while_unwinding,
    an_os_thread_guard_is_dropped_by_another_goroutine,
    sleepers_that_never_wake,
    children_start_under_load,
    started_by_many_threads_at_once,
];

const PROGRAMS: &[child::Main] = named![
    programs::returns::main,
    programs::returns_plainly,
    programs::panics::main,
    programs::returns_err::main,
    programs::returns_code::main,
    programs::exits_goroutine::main,
    programs::digs::main,
    programs::exits_from_goroutine::main,
    programs::used_after_main,
    programs::detached_panic::main,
    programs::overflows::main,
    programs::overflows_chosen::main,
    programs::overflows_scoped::main,
    programs::overflows_pinned::main,
    programs::overflows_grown::main,
    programs::overflows_beside_many::main,
    programs::overflows_thread::main,
    programs::panics_twice::main,
    programs::exits_while_unwinding::main,
    programs::sleeps_forever::main,
    programs::starts_children::main,
    programs::starts_at_once,
    programs::drops_anothers_guard,
];

/// The programs.
///
/// Those whose `main` has the attribute are modules, as the attribute requires that name.
mod programs {
    use super::*;

    /// Starts goroutines of each kind that never end.
    fn endless() {
        static STOP: AtomicBool = AtomicBool::new(false);
        for _ in 0..3 {
            go!(|| while !STOP.load(Ordering::Relaxed) {
                std::hint::spin_loop()
            });
            go!(|| thread::sleep(Duration::from_secs(1000)));
            go!(|| time::sleep(Duration::from_secs(1000)));
            go!(|| channel::never::<()>().recv());
            go!(|| loop {
                yield_now();
            });
            go!(|| greenthread::blocking(|| thread::sleep(Duration::from_secs(1000))));
            let pinned = Builder::new().pinned(true).spawn(|| time::sleep(Duration::from_secs(1000)));
            drop(pinned.unwrap());
        }
        time::sleep(Duration::from_millis(40));
    }

    /// Recurses forever.
    #[expect(unconditional_recursion, reason = "that is the point")]
    fn overflow(n: u64) -> u64 {
        let frame = black_box([n; 20]);
        overflow(n + 1) + black_box(frame)[3]
    }

    pub(super) mod returns {
        #[greenthread::main]
        pub(crate) fn main() {
            super::endless();
        }
    }

    pub(super) fn returns_plainly() -> ExitCode {
        endless();
        ExitCode::SUCCESS
    }

    pub(super) mod panics {
        #[greenthread::main]
        pub(crate) fn main() {
            super::endless();
            panic!("main has had enough");
        }
    }

    pub(super) mod returns_err {
        #[greenthread::main]
        pub(crate) fn main() -> Result<(), String> {
            super::endless();
            Err("main has an error".into())
        }
    }

    pub(super) mod returns_code {
        #[greenthread::main]
        pub(crate) fn main() -> std::process::ExitCode {
            super::endless();
            std::process::ExitCode::from(42)
        }
    }

    pub(super) mod exits_goroutine {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            let _says = OnDrop::new(|| println!("destructor"));
            go!(|| {
                time::sleep(Duration::from_millis(50));
                println!("timer");
                go!(|| {
                    thread::sleep(Duration::from_millis(50));
                    println!("hog");
                });
            });
            greenthread::exit_goroutine();
        }
    }

    pub(super) mod digs {
        #[greenthread::main]
        pub(crate) fn main() {
            let left = greenthread::stack::remaining().expect("main is a goroutine");
            assert!(left > 7 << 20, "{left}");
            assert_eq!(greenthread::current().expect("main is a goroutine").name(), Some("main"));
        }
    }

    pub(super) mod exits_from_goroutine {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            endless();
            go!(|| {
                print!("no newline");
                std::process::exit(7);
            });
            loop {
                time::sleep(Duration::from_secs(1));
            }
        }
    }

    pub(super) fn used_after_main() -> ExitCode {
        type Work = Box<dyn FnOnce()>;
        thread_local! {
            static AT_END: RefCell<Vec<OnDrop<Work>>> = const { RefCell::new(Vec::new()) };
        }
        let work = || {
            let (tx, rx) = channel::bounded(0);
            go!(move || tx.send(1).unwrap());
            let handle = spawn(|| 2);
            println!("{} {}", rx.recv().unwrap(), handle.join().unwrap());
            go!(|| thread::sleep(Duration::from_secs(1000)));
        };
        AT_END.with_borrow_mut(|list| list.push(OnDrop::new(Box::new(work) as Work)));
        returns::main()
    }

    pub(super) mod detached_panic {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            let handle = Builder::new()
                .name("unlucky")
                .spawn(|| {
                    if true {
                        panic!("thirteen")
                    }
                })
                .unwrap();
            println!("id {}", handle.id());
            let done = handle.done().clone();
            drop(handle);
            assert!(done.recv().is_err());
            println!("others go on: {}", spawn(|| 1).join().unwrap());
        }
    }

    pub(super) mod overflows {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            println!("{}", Builder::new().name("digger").spawn(|| overflow(0)).unwrap().join().unwrap());
        }
    }

    pub(super) mod overflows_chosen {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            println!("{}", Builder::new().stack_size(1 << 20).spawn(|| overflow(0)).unwrap().join().unwrap());
        }
    }

    pub(super) mod overflows_scoped {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            let start = 0;
            println!("{}", scope(|s| s.spawn(|| overflow(start)).join().unwrap()));
        }
    }

    pub(super) mod overflows_pinned {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            println!("{}", Builder::new().name("pin").pinned(true).spawn(|| overflow(0)).unwrap().join().unwrap());
        }
    }

    pub(super) mod overflows_grown {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            let body = || stack::grow(3 << 20, 4 << 20, || overflow(0));
            println!("{}", Builder::new().name("grower").spawn(body).unwrap().join().unwrap());
        }
    }

    pub(super) mod overflows_beside_many {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            endless();
            for _ in 0..1000 {
                go!(|| time::sleep(Duration::from_secs(1000)));
            }
            // A goroutine that ended before leaves its stack to the next one.
            (0..100).for_each(|_| spawn(yield_now).join().unwrap());
            println!("{}", Builder::new().name("one of many").spawn(|| overflow(0)).unwrap().join().unwrap());
        }
    }

    pub(super) mod overflows_thread {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            println!("{}", thread::Builder::new().name("worker".into()).spawn(|| overflow(0)).unwrap().join().unwrap());
        }
    }

    pub(super) mod panics_twice {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            let handle = spawn(|| {
                let _panics = OnDrop::new(|| panic!("the second"));
                panic!("the first");
            });
            let _: Result<(), _> = handle.join();
        }
    }

    pub(super) mod exits_while_unwinding {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            endless();
            go!(|| {
                let _exits = OnDrop::new(|| {
                    yield_now();
                    std::process::exit(9)
                });
                panic!("expected");
            });
            loop {
                time::sleep(Duration::from_secs(1));
            }
        }
    }

    pub(super) mod sleeps_forever {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            for duration in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 34)] {
                let sleeper = spawn(move || time::sleep(duration));
                time::sleep(Duration::from_millis(30));
                assert!(!sleeper.is_finished(), "{duration:?}");
            }
            // Goroutines that sleep forever neither delay long sleeps nor keep any thread awake.
            (0..10).for_each(|_| time::sleep(Duration::from_millis(1)));
            assert_eq!(greenthread::set_gomaxprocs(1), greenthread::num_cpu());
            time::sleep(Duration::from_millis(30));
            assert_eq!(greenthread::debug::stats().timers, 3);
        }
    }

    pub(super) mod starts_children {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            for _ in 0..4 {
                go!(|| loop {
                    yield_now();
                    time::sleep(Duration::from_micros(20));
                    drop(vec![0_u8; 100]);
                });
            }
            let echo = |n: u32| Command::new("echo").arg(n.to_string()).output().expect("there is an echo").stdout;
            let handles: Vec<_> = (0..20).map(|n| spawn(move || echo(n))).collect();
            for (n, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.join().unwrap(), format!("{n}\n").into_bytes());
            }
        }
    }

    /// Drops the guard of one goroutine in another, which finds it in a thread-local.
    ///
    /// An address on its stack ties the second goroutine, the thief, to its thread. Each owner
    /// locks itself to the thread on which it starts and keeps it, so one of them starts on the
    /// thief's thread at last.
    pub(super) fn drops_anothers_guard() -> ExitCode {
        thread_local! {
            static GUARD: RefCell<Option<OsThreadGuard>> = const { RefCell::new(None) };
        }
        // Goroutines that keep their threads would start on threads to which no goroutine is tied.
        child::without(Mechanism::KeepApart);
        greenthread::set_gomaxprocs(1);
        let ((go_on, wait), (here, place)) = (channel::bounded::<()>(0), channel::bounded(1));
        let thief = spawn(move || {
            GUARD.with(|guard| {
                let guard = black_box(guard);
                here.send(thread_number()).unwrap();
                wait.recv().unwrap();
                let guard = guard.take().expect("an owner has left it on this thread");
                println!("dropping");
                drop(guard);
                println!("dropped");
            });
        });
        let thread = place.recv().unwrap();
        let (found, is_there) = channel::bounded(1);
        loop {
            let found = found.clone();
            go!(move || {
                let guard = greenthread::lock_os_thread();
                GUARD.set(Some(guard));
                found.send(thread_number() == thread).unwrap();
                channel::never::<()>().recv()
            });
            if is_there.recv().unwrap() {
                break;
            }
        }
        go_on.send(()).unwrap();
        thief.join().unwrap();
        ExitCode::SUCCESS
    }

    pub(super) fn starts_at_once() -> ExitCode {
        let ready = std::sync::Barrier::new(8);
        thread::scope(|s| {
            for n in 0..8 {
                let ready = &ready;
                s.spawn(move || {
                    ready.wait();
                    match n % 4 {
                        0 => assert_ne!(greenthread::gomaxprocs(), 0, "asked while it started"),
                        1 => assert_eq!(spawn(move || n).join().unwrap(), n),
                        2 => drop(greenthread::debug::stats()),
                        _ => assert_ne!(greenthread::set_gomaxprocs(3), 0, "resized while it started"),
                    }
                });
            }
        });
        // Two of the threads set three Ps, whichever thread started the runtime.
        assert_eq!(greenthread::gomaxprocs(), 3);
        ExitCode::SUCCESS
    }
}

#[track_caller]
fn run(name: &str) -> Ended {
    program(&format!("programs::{name}")).run()
}

fn ends_at_once(ended: Ended) -> Ended {
    assert!(ended.took < AT_ONCE, "{ended:#?}");
    ended
}

fn main_returns_while_others_run() {
    for procs in ["1", "2", "4"] {
        let ended = program("programs::returns::main").env("GOMAXPROCS", procs).run();
        ends_at_once(ended).exits_with(0).says_nothing();
    }
}

fn a_plain_main_returns_while_others_run() {
    ends_at_once(run("returns_plainly")).exits_with(0).says_nothing();
}

fn main_panics() {
    ends_at_once(run("panics::main")).exits_with(101).says("main has had enough").says("goroutine 1 'main'");
}

fn main_returns_an_error() {
    ends_at_once(run("returns_err::main")).exits_with(1).says("Error: \"main has an error\"");
}

fn main_returns_a_code() {
    ends_at_once(run("returns_code::main")).exits_with(42).says_nothing();
}

fn main_exits_its_goroutine() {
    let ended = run("exits_goroutine::main").exits_with(2).prints("destructor\ntimer\nhog\n");
    ended.says("fatal error: no goroutines (main called exit_goroutine) - deadlock!");
}

fn main_has_a_large_stack() {
    run("digs::main").exits_with(0).says_nothing();
}

fn a_goroutine_exits_the_process() {
    ends_at_once(run("exits_from_goroutine::main")).exits_with(7).prints("no newline").says_nothing();
}

fn the_runtime_is_used_after_main() {
    ends_at_once(run("used_after_main")).exits_with(0).prints("1 2\n").says_nothing();
}

fn a_detached_panic_is_reported() {
    let ended = run("detached_panic::main").exits_with(0);
    let id =
        ended.stdout.lines().next().and_then(|line| line.strip_prefix("id ")).expect("it prints the id").to_owned();
    ended.says(&format!("goroutine {id} 'unlucky', spawned at runtime/tests/isolated/crash.rs:")).says("thirteen");
}

fn an_overflow_is_reported() {
    let ended = run("overflows::main").aborts().prints("").says("fatal error: stack overflow");
    let ended = ended.says("goroutine ").says(" 'digger', spawned at runtime/tests/isolated/crash.rs:");
    ended.says(&default_stack()).says("Builder::stack_size").says("GREENTHREAD_STACK");
}

fn an_overflow_of_a_chosen_size() {
    run("overflows_chosen::main").aborts().says("spawned at runtime/tests/isolated/crash.rs:").says("1024 KiB");
}

fn an_overflow_of_a_scoped_goroutine() {
    run("overflows_scoped::main").aborts().says("spawned at runtime/tests/isolated/crash.rs:").says(&default_stack());
}

fn an_overflow_of_a_pinned_goroutine() {
    run("overflows_pinned::main").aborts().says(" 'pin', spawned at runtime/tests/isolated/crash.rs:");
}

fn an_overflow_of_a_grown_stack() {
    run("overflows_grown::main")
        .aborts()
        .says(" 'grower', spawned at runtime/tests/isolated/crash.rs:")
        .says("4096 KiB");
}

fn an_overflow_beside_many() {
    run("overflows_beside_many::main").aborts().says(" 'one of many', spawned at").says(&default_stack());
}

fn an_overflow_of_a_thread() {
    let ended = run("overflows_thread::main").aborts().says("thread 'worker'").says("has overflowed its stack");
    assert!(!ended.stderr.contains("goroutine"), "{ended:#?}");
}

fn a_panic_in_a_destructor_while_unwinding() {
    run("panics_twice::main").aborts().says("the first").says("the second");
}

fn exit_while_unwinding() {
    ends_at_once(run("exits_while_unwinding::main")).exits_with(9).says("expected");
}

fn an_os_thread_guard_is_dropped_by_another_goroutine() {
    let ended =
        run("drops_anothers_guard").aborts().prints("dropping\n").says("fatal error: an OsThreadGuard of goroutine ");
    ended
        .says(", spawned at runtime/tests/isolated/crash.rs:")
        .says("drop it in the goroutine that called lock_os_thread");
}

fn sleepers_that_never_wake() {
    run("sleeps_forever::main").exits_with(0).says_nothing();
}

fn children_start_under_load() {
    for procs in ["1", "4"] {
        program("programs::starts_children::main").env("GOMAXPROCS", procs).run().exits_with(0).says_nothing();
    }
}

fn started_by_many_threads_at_once() {
    (0..20).for_each(|_| drop(run("starts_at_once").exits_with(0).says_nothing()));
}
