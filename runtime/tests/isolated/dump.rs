//! Dumps by SIGQUIT, `debug::dump` and `debug::goroutines`, of every kind of wait and under load.
//!
//! The tests run child processes, which signal themselves with the system's `kill`.

use std::hint::black_box;
use std::io::Read;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::child::{self, named, program};
use crate::common::{LIMIT, Rng, check, check_from_thread, patiently, seed, until};
use greenthread::__private::Mechanism;
use greenthread::channel::{self, Receiver, Sender};
use greenthread::debug::{self, GoroutineInfo, GoroutineState, WaitReason};
use greenthread::signal::{self, Signal};
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{Builder, go, net, select, set_gomaxprocs, spawn, stack, time};

const TESTS: &[child::Test] = named![
    sigquit_shows_every_wait,
    sigquit_names_hogs,
    waits_in_std_are_named,
    sigquit_works_while_a_thread_holds_stderr,
    the_programs_handlers_stay_installed,
    a_subscriber_gets_sigquit,
    sigquit_dumps_again_without_a_subscriber,
    sigurg_for_the_program_arrives,
    running_goroutines_have_no_backtrace_without_the_signal,
    goroutines_have_no_backtrace_without_unwinding,
    goroutines_with_equal_stacks_share_one_entry,
    names_are_shown,
    goroutine_info_is_right,
    backtraces_are_complete_under_load,
    backtraces_are_torn_if_goroutines_run_on,
    backtraces_follow_a_grown_stack,
    deep_backtraces_are_elided,
];

const PROGRAMS: &[child::Main] = named![
    programs::every_wait,
    programs::hogs,
    programs::std_parks,
    programs::stderr_is_held,
    programs::own_handler,
    programs::later_handler,
    programs::subscriber,
    programs::former_subscriber,
    programs::sigurg,
    programs::not_asked,
    programs::not_unwound,
    programs::crowd,
    programs::torn,
];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

/// Sends a signal to this process.
///
/// `kill` has sent it when this returns.
fn raise(signal: &str) {
    let kill = ["-c", "kill -s $0 $1", signal, &process::id().to_string()].map(String::from);
    assert!(Command::new("sh").args(kill).stdin(Stdio::null()).status().unwrap().success());
}

/// Waits until a signal ends the process.
fn quit() -> ExitCode {
    raise("QUIT");
    thread::sleep(patiently(LIMIT));
    ExitCode::FAILURE
}

fn until_parked(n: usize) {
    let waits = |goroutine: &&GoroutineInfo| matches!(goroutine.state, GoroutineState::Waiting(_));
    until(|| debug::goroutines().iter().filter(waits).count() >= n);
}

#[inline(never)]
fn receives(rx: Receiver<()>) {
    let _ = rx.recv();
    black_box(());
}

#[inline(never)]
fn sends(tx: Sender<u64>) {
    let _ = tx.send(1);
    black_box(());
}

#[inline(never)]
fn locks(mutex: &Mutex<()>) {
    drop(mutex.lock());
    black_box(());
}

#[inline(never)]
fn selects(one: Receiver<()>, two: Receiver<()>) {
    select! {
        recv(one) -> _ => {}
        recv(two) -> _ => {}
    }
    black_box(());
}

#[inline(never)]
fn waits_for_std_scope(rx: Receiver<()>) {
    thread::scope(|scope| drop(scope.spawn(move || rx.recv())));
    black_box(());
}

#[inline(never)]
fn parks_in_std() {
    thread::park();
    black_box(());
}

#[inline(never)]
fn sleeps() {
    time::sleep(Duration::from_secs(100));
    black_box(());
}

#[inline(never)]
fn reads(mut stream: net::UnixStream) {
    let _ = stream.read(&mut [0]);
    black_box(());
}

#[inline(never)]
fn waits_for_group(group: WaitGroup) {
    group.wait();
    black_box(());
}

#[inline(never)]
fn crunches(stop: &AtomicBool) {
    let mut n = 0u64;
    while !stop.load(Ordering::Relaxed) {
        n = black_box(n.wrapping_mul(3));
    }
}

#[inline(never)]
fn sits_in_a_system_call() {
    thread::sleep(Duration::from_secs(100));
    black_box(());
}

/// Returns `true` if the dump shows a call of `function`.
///
/// Line tables have names without paths.
fn calls(dump: &str, function: &str) -> bool {
    dump.contains(&format!("::{function}(...)\n")) || dump.contains(&format!("\n{function}(...)\n"))
}

/// Returns the section of a dump about the goroutine whose stack contains `function`.
#[track_caller]
fn section<'a>(dump: &'a str, function: &str) -> &'a str {
    let mut sections = dump.split("\n\n").filter(|section| calls(section, function));
    let first = sections.next().unwrap_or_else(|| panic!("no {function} in:\n{dump}"));
    assert!(sections.next().is_none(), "{function} twice in:\n{dump}");
    first
}

#[track_caller]
fn check_section(dump: &str, function: &str, what: &str) {
    let section = section(dump, function);
    let (header, rest) = section.split_once('\n').expect(section);
    assert!(header.starts_with("goroutine ") && header.contains(what), "{section}");
    assert!(rest.contains("\t") && rest.contains("dump.rs:") && rest.contains(" +0x"), "{section}");
    assert!(rest.contains("\ncreated by spawn at "), "{section}");
    assert!(!rest.contains("elided") && !rest.contains("coroutine.rs") && !rest.contains("worker.rs"), "{section}");
}

mod programs {
    use super::*;

    pub(super) fn every_wait() -> ExitCode {
        let (tx, rx) = channel::bounded::<()>(0);
        let (full, _unread) = channel::bounded(0);
        let mutex = Arc::new(Mutex::new(()));
        let _held = mutex.lock();
        let (stream, _peer) = net::UnixStream::pair().unwrap();
        let group = WaitGroup::new();
        group.add(1);
        go!(receives(rx.clone()));
        go!(sends(full));
        let one = Arc::clone(&mutex);
        go!(move || locks(&one));
        go!(selects(rx.clone(), rx));
        go!(sleeps());
        go!(reads(stream));
        let other = group.clone();
        go!(waits_for_group(other));
        until_parked(7);
        let code = quit();
        drop((tx, group));
        code
    }

    pub(super) fn hogs() -> ExitCode {
        set_gomaxprocs(1);
        static STOP: AtomicBool = AtomicBool::new(false);
        let hogs = [spawn(|| crunches(&STOP)).id(), spawn(sits_in_a_system_call).id()];
        // Both hogs have lost their Ps when this goroutine runs. The dump may make this goroutine a
        // hog, too.
        let is_hog = move |g: &&GoroutineInfo| hogs.contains(&g.id) && g.busy_for.is_some();
        let both_are_busy = move || debug::goroutines().iter().filter(is_hog).count() == 2;
        until(|| spawn(both_are_busy).join().unwrap());
        quit()
    }

    pub(super) fn stderr_is_held() -> ExitCode {
        go!(sleeps());
        until_parked(1);
        let _held = std::io::stderr().lock();
        quit()
    }

    pub(super) fn own_handler() -> ExitCode {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(Signal::SIGQUIT.as_raw(), Arc::clone(&came)).unwrap();
        spawn(|| ()).join().unwrap();
        raise("QUIT");
        until(|| came.load(Ordering::Relaxed));
        thread::sleep(Duration::from_millis(100));
        ExitCode::from(7)
    }

    pub(super) fn later_handler() -> ExitCode {
        spawn(|| ()).join().unwrap();
        own_handler()
    }

    pub(super) fn subscriber() -> ExitCode {
        let signals = signal::notify(&[Signal::SIGQUIT]);
        raise("QUIT");
        assert_eq!(signals.recv(), Ok(Signal::SIGQUIT));
        thread::sleep(Duration::from_millis(100));
        ExitCode::from(7)
    }

    pub(super) fn std_parks() -> ExitCode {
        let (tx, rx) = channel::bounded::<()>(0);
        go!(waits_for_std_scope(rx));
        go!(parks_in_std);
        until(|| ["waits_for_std_scope", "parks_in_std"].iter().all(|name| calls(&debug::dump(), name)));
        let parked = || debug::dump().matches("blocked in std's thread parking").count() == 2;
        until(parked);
        print!("{}", debug::dump());
        drop(tx);
        ExitCode::SUCCESS
    }

    pub(super) fn former_subscriber() -> ExitCode {
        spawn(|| ()).join().unwrap();
        drop(signal::notify(&[Signal::SIGQUIT]));
        until(|| debug::stats().goroutines == 0);
        quit()
    }

    pub(super) fn sigurg() -> ExitCode {
        let came = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(libc::SIGURG, Arc::clone(&came)).unwrap();
        static STOP: AtomicBool = AtomicBool::new(false);
        go!(crunches(&STOP));
        until(|| calls(&debug::dump(), "crunches"));
        let asked = came.swap(false, Ordering::Relaxed);
        raise("URG");
        until(|| came.load(Ordering::Relaxed));
        ExitCode::from(u8::from(asked))
    }

    pub(super) fn not_asked() -> ExitCode {
        child::without(Mechanism::AskThreads);
        hogs()
    }

    pub(super) fn not_unwound() -> ExitCode {
        child::without(Mechanism::Unwind);
        every_wait()
    }

    pub(super) fn crowd() -> ExitCode {
        // As many have stacks on every kernel.
        const MANY: usize = 50_000;
        let (tx, rx) = channel::bounded::<()>(0);
        for _ in 0..MANY {
            go!(receives(rx.clone()));
        }
        until(|| debug::stats().stacks_in_use >= MANY as u64 && debug::stats().idle_procs == debug::stats().procs);
        let begin = Instant::now();
        let dump = debug::dump();
        println!("{:?}", begin.elapsed());
        eprint!("{dump}");
        drop(tx);
        ExitCode::SUCCESS
    }

    pub(super) fn torn() -> ExitCode {
        child::without(Mechanism::StillStacks);
        for _ in 0..50 {
            if load(seed(), Duration::from_millis(500)) > 0 {
                return ExitCode::SUCCESS;
            }
        }
        ExitCode::FAILURE
    }
}

fn sigquit_shows_every_wait() {
    let ended = program("programs::every_wait").run().exits_with(2).says("SIGQUIT: quit\n\ngoroutine ");
    let dump = &ended.stderr;
    check_section(dump, "receives", "[chan receive]:");
    check_section(dump, "sends", "[chan send]:");
    check_section(dump, "locks", "[sync.Mutex.Lock]:");
    check_section(dump, "selects", "[select]:");
    check_section(dump, "sleeps", "[sleep]:");
    check_section(dump, "reads", "[IO wait]:");
    check_section(dump, "waits_for_group", "[sync.WaitGroup.Wait]:");
}

fn waits_in_std_are_named() {
    let dump = program("programs::std_parks").run().exits_with(0).stdout;
    for name in ["waits_for_std_scope", "parks_in_std"] {
        let section = section(&dump, name);
        assert!(section.contains("blocked in std's thread parking") && section.contains("lock_os_thread"), "{section}");
    }
}

fn sigquit_names_hogs() {
    let ended = program("programs::hogs").run().exits_with(2);
    let hog = section(&ended.stderr, "crunches");
    assert!(hog.contains("[running, for ") && hog.contains(" s]:"), "{hog}");
    assert!(section(&ended.stderr, "sits_in_a_system_call").contains("[running, for "), "{ended:#?}");
}

fn running_goroutines_have_no_backtrace_without_the_signal() {
    let ended =
        program("programs::not_asked").run().exits_with(2).says("; backtrace unavailable\ncreated by spawn at ");
    assert!(ended.stderr.contains("\trunning on M") && !ended.stderr.contains("crunches"), "{ended:#?}");
}

fn goroutines_have_no_backtrace_without_unwinding() {
    let ended = program("programs::not_unwound").run().exits_with(2).says("[chan receive]:\n\tbacktrace unavailable\n");
    assert!(!ended.stderr.contains("receives"), "{ended:#?}");
}

fn sigquit_works_while_a_thread_holds_stderr() {
    let ended = program("programs::stderr_is_held").run().exits_with(2);
    check_section(&ended.stderr, "sleeps", "[sleep]:");
}

fn the_programs_handlers_stay_installed() {
    program("programs::own_handler").run().exits_with(7).says_nothing();
    program("programs::later_handler").run().exits_with(7).says_nothing();
}

fn a_subscriber_gets_sigquit() {
    program("programs::subscriber").run().exits_with(7).says_nothing();
}

fn sigquit_dumps_again_without_a_subscriber() {
    program("programs::former_subscriber").run().exits_with(2).says("SIGQUIT: quit\n\n");
}

fn sigurg_for_the_program_arrives() {
    program("programs::sigurg").run().exits_with(0);
}

fn goroutines_with_equal_stacks_share_one_entry() {
    let ended = program("programs::crowd").run().exits_with(0).says("50000 goroutines with this stack: ");
    println!("50000 goroutines were dumped in {}", ended.stdout.trim());
    check_section(&ended.stderr, "receives", "[chan receive]:");
    assert!(ended.stderr.len() < 20_000, "{}", ended.stderr.len());
}

fn names_are_shown() {
    // A goroutine might have to return to the thread that the running one keeps (SAFETY.md), so a
    // foreign thread checks.
    check_from_thread(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let (stop, clone) = (Arc::new(AtomicBool::new(false)), rx.clone());
        let parked = Builder::new().name("parked").spawn(move || receives(rx)).unwrap();
        let locked = Builder::new().name("locked").pinned(true).spawn(move || receives(clone)).unwrap();
        let other = Arc::clone(&stop);
        let running = Builder::new().name("running").spawn(move || crunches(&other)).unwrap();
        until_parked(2);
        until(|| debug::goroutines().iter().any(|g| g.id == running.id() && g.name.is_some()));
        let dump = debug::dump();
        stop.store(true, Ordering::Relaxed);
        drop(tx);
        assert!(dump.contains(&format!("\ngoroutine {} [chan receive] {{name: parked}}:\n", parked.id())), "{dump}");
        let header = format!("\ngoroutine {} [chan receive, locked to thread] {{name: locked}}:\n", locked.id());
        assert!(dump.contains(&header), "{dump}");
        assert!(dump.contains("] {name: running}:\n"), "{dump}");
        [parked, locked, running].into_iter().for_each(|handle| handle.join().unwrap());
    });
}

fn goroutine_info_is_right() {
    check(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let (handle, line) = (spawn(move || receives(rx)), line!());
        let find = || debug::goroutines().into_iter().find(|g| g.id == handle.id());
        let waiting = GoroutineState::Waiting(WaitReason::ChanReceive);
        until(|| find().is_some_and(|g| g.state == waiting));
        let info = find().unwrap();
        assert_eq!((info.spawned_at.line(), info.thread, info.locked, info.name.clone()), (line, None, false, None));
        assert!(info.spawned_at.file().ends_with("dump.rs") && info.is_complete());
        let frames = info.backtrace();
        let at = |name: &str| frames.iter().position(|f| f.function.as_ref().is_some_and(|f| f.contains(name)));
        let own = at("receives").expect("its own call is there");
        assert!(at("park").unwrap() < own && own < at("on_stack").unwrap(), "{frames:#?}");
        assert!(frames[own].file.as_ref().unwrap().ends_with("dump.rs") && frames[own].offset > Some(0), "{frames:#?}");
        drop(tx);
        let me = greenthread::current().unwrap().id();
        let own = debug::goroutines().into_iter().find(|g| g.id == me).unwrap();
        assert!(own.state == GoroutineState::Running && own.thread.is_some(), "{own:#?}");
        assert!(format!("{:?}", own.backtrace()).contains("dump.rs"), "{own:#?}");
        handle.join().unwrap();
    });
}

#[inline(never)]
fn receives_deep(depth: u64, rx: &Receiver<()>) -> u64 {
    let deeper = if depth == 0 { rx.recv().map_or(0, |()| 1) } else { receives_deep(depth - 1, rx) };
    black_box(deeper + 1)
}

/// Takes dumps while goroutines receive at many depths, yield and end.
///
/// It returns how many traces of parked goroutines do not lead to the goroutine's first call.
fn load(seed: u64, duration: Duration) -> usize {
    let mut random = Rng::new(seed);
    let stop = Arc::new(AtomicBool::new(false));
    let (tx, rx) = channel::bounded::<()>(0);
    let handles: Vec<_> = (0..20)
        .map(|n| {
            let (tx, rx, stop, mut random) = (tx.clone(), rx.clone(), Arc::clone(&stop), random.fork());
            Builder::new().name(format!("load-{n}")).spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (rx, depth) = (rx.clone(), random.below(60));
                    let name = format!("short-{depth}");
                    let short = Builder::new().name(name).spawn(move || receives_deep(depth, &rx)).unwrap();
                    if random.one_in(2) {
                        greenthread::yield_now();
                    }
                    tx.send(()).unwrap();
                    if random.one_in(2) {
                        short.join().unwrap();
                    }
                }
            })
        })
        .map(Result::unwrap)
        .collect();
    let (mut torn, end) = (0, Instant::now() + duration);
    while Instant::now() < end {
        let all = debug::goroutines();
        assert!(all.is_sorted_by(|one, two| one.id < two.id), "{all:#?}");
        for goroutine in all.iter().filter(|goroutine| goroutine.thread.is_none()) {
            let name = goroutine.name.as_deref().unwrap_or("load-");
            assert!(name.starts_with("load-") || name.starts_with("short-"), "{goroutine:?}");
            // A goroutine that was running at each attempt has no backtrace at all.
            torn += usize::from(!goroutine.is_complete() && !goroutine.backtrace().is_empty());
        }
        if random.one_in(20) {
            assert!(debug::dump().contains("created by spawn at "));
        }
    }
    stop.store(true, Ordering::Relaxed);
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    torn
}

fn backtraces_are_complete_under_load() {
    let seed = seed();
    check(move || assert_eq!(load(seed, Duration::from_millis(700)), 0));
}

fn backtraces_are_torn_if_goroutines_run_on() {
    let ended = program("programs::torn").run();
    // A stack that changes while it is read can do worse than give a wrong trace: numbers, names
    // and memory are wrong as well.
    assert_ne!(ended.status.code(), Some(1), "{ended:#?}");
}

#[inline(never)]
fn receives_on_another_stack(rx: Receiver<()>) {
    stack::grow(3 << 20, 4 << 20, || receives(rx));
    black_box(());
}

fn backtraces_follow_a_grown_stack() {
    check(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let spawn_one = |rx| spawn(move || receives_on_another_stack(rx));
        let handles = [rx.clone(), rx].map(spawn_one);
        until_parked(2);
        let dump = debug::dump();
        drop(tx);
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        let section = section(&dump, "receives_on_another_stack");
        assert!(calls(section, "receives") && section.contains("\n2 goroutines with this stack: "), "{dump}");
        assert!(!section.contains("elided"), "{dump}");
    });
}

fn deep_backtraces_are_elided() {
    check(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let handle = spawn(move || receives_deep(500, &rx));
        until_parked(1);
        let dump = debug::dump();
        drop(tx);
        handle.join().unwrap();
        assert!(dump.contains("...additional frames elided...\n") && calls(&dump, "receives_deep"), "{dump}");
    });
}
