//! Settings that the runtime reads from the environment, each in a child process of its own.
//!
//! The tests do without the usual harness, so that only the child prints (see `common::child`).

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, named, program};
use crate::common::until;
use greenthread::config::{Config, DEFAULT_STACK_SIZE};
use greenthread::{Builder, go, gomaxprocs, num_cpu, spawn, stack, time};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    nothing_set_prints_nothing,
    gomaxprocs_is_read,
    bad_gomaxprocs_are_named,
    the_stack_size_is_read,
    bad_stack_sizes_are_named,
    code_wins_over_the_environment,
    the_thread_limit_holds,
    at_the_thread_limit_every_goroutine_runs,
    a_bad_thread_limit_is_named,
    schedtrace_prints_gos_lines,
    scheddetail_prints_gos_lines,
    a_bad_godebug_is_named,
    little_memory_is_charged_in_advance,
];

const PROGRAMS: &[child::Main] = named![
    prints_procs,
    prints_stack,
    prints_config,
    blocks_many_threads,
    leaves_runnext_and_timers,
    works_for_a_while,
    prints_writable_memory,
];

fn prints_procs() -> ExitCode {
    println!("{} {}", gomaxprocs(), spawn(gomaxprocs).join().unwrap());
    ExitCode::SUCCESS
}

fn prints_stack() -> ExitCode {
    let left = spawn(stack::remaining).join().unwrap().unwrap();
    println!("{}", left.next_multiple_of(32 << 10) >> 10);
    ExitCode::SUCCESS
}

fn prints_config() -> ExitCode {
    Config::default().procs(3).stack_size(1 << 20).install().unwrap();
    prints_procs();
    prints_stack();
    assert!(Config::default().install().is_err());
    ExitCode::SUCCESS
}

fn prints_writable_memory() -> ExitCode {
    let handles: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
    handles.into_iter().for_each(|handle| _ = handle.join().unwrap());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("VmData:")?.strip_suffix("kB"));
    println!("{}", field.map_or("0", str::trim));
    ExitCode::SUCCESS
}

fn blocks_many_threads() -> ExitCode {
    let ended = Arc::new(AtomicUsize::new(0));
    for n in 0..10 {
        let count = Arc::clone(&ended);
        go!(move || {
            thread::sleep(Duration::from_millis(60));
            time::sleep(Duration::from_millis(n));
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
    for n in 0..50 {
        let count = Arc::clone(&ended);
        go!(move || {
            time::sleep(Duration::from_millis(n));
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
    until(|| {
        thread::sleep(Duration::from_millis(1));
        ended.load(Ordering::Relaxed) == 60
    });
    println!("threads {}", greenthread::debug::stats().threads);
    ExitCode::SUCCESS
}

/// Takes the P from a goroutine when no thread is left to run the P.
///
/// The goroutines on the P must run when that goroutine is done.
fn leaves_runnext_and_timers() -> ExitCode {
    for _ in 0..3 {
        let sleeper = spawn(|| time::sleep(Duration::from_millis(30)));
        let hog = spawn(|| {
            let next = spawn(|| 7);
            thread::sleep(Duration::from_millis(80));
            next
        });
        until(|| hog.is_finished());
        assert_eq!(hog.join().unwrap().join().unwrap(), 7);
        sleeper.join().unwrap();
        let sleeper = spawn(|| time::sleep(Duration::from_millis(30)));
        spawn(|| thread::sleep(Duration::from_millis(80))).join().unwrap();
        sleeper.join().unwrap();
    }
    ExitCode::SUCCESS
}

fn works_for_a_while() -> ExitCode {
    let handles: Vec<_> = (0..10)
        .map(|n| {
            let body = move || (0..30).for_each(|_| time::sleep(Duration::from_millis(5 + n % 3)));
            Builder::new().name(format!("worker {n}")).spawn(body).unwrap()
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    ExitCode::SUCCESS
}

fn with(name: &str, variable: &str, value: &str) -> Ended {
    program(name).env(variable, value).run().exits_with(0)
}

fn nothing_set_prints_nothing() {
    let ended = program("prints_procs").run().exits_with(0).says_nothing();
    ended.prints(&format!("{0} {0}\n", num_cpu()));
    program("works_for_a_while").run().exits_with(0).says_nothing().prints("");
}

fn gomaxprocs_is_read() {
    for procs in ["1", "2", "7", "1024"] {
        with("prints_procs", "GOMAXPROCS", procs).says_nothing().prints(&format!("{procs} {procs}\n"));
    }
    let ended = with("prints_procs", "GOMAXPROCS", "").says_nothing();
    ended.prints(&format!("{0} {0}\n", num_cpu()));
}

fn bad_gomaxprocs_are_named() {
    let cpus = num_cpu();
    for value in ["0", "-3", "abc", "2x", "2.5", " 2"] {
        let ended = with("prints_procs", "GOMAXPROCS", value).prints(&format!("{cpus} {cpus}\n"));
        ended.says(&format!("GOMAXPROCS={value:?}")).says(&format!("using {cpus}"));
    }
    let ended = with("prints_procs", "GOMAXPROCS", "1000000").prints("1024 1024\n");
    ended.says("GOMAXPROCS=\"1000000\"").says("using 1024");
}

fn the_stack_size_is_read() {
    let default = (DEFAULT_STACK_SIZE >> 10).to_string();
    let sizes = [
        ("", &*default),
        ("64k", "64"),
        ("65536", "64"),
        ("1m", "1024"),
        ("2M", "2048"),
        ("300k", "384"),
        ("400k", "512"),
    ];
    for (value, kib) in sizes {
        with("prints_stack", "GREENTHREAD_STACK", value).says_nothing().prints(&format!("{kib}\n"));
    }
}

fn bad_stack_sizes_are_named() {
    for value in ["abc", "-1", "1.5m", "1t"] {
        let ended = with("prints_stack", "GREENTHREAD_STACK", value).prints(&format!("{}\n", DEFAULT_STACK_SIZE >> 10));
        ended.says(&format!("GREENTHREAD_STACK={value:?}")).says("using the default");
    }
    let ended = program("prints_procs").env("GREENTHREAD_STACK", "1").env("GOMAXPROCS", "2").run();
    ended.exits_with(0).says("GREENTHREAD_STACK=\"1\"").says("using 16k").prints("2 2\n");
    let ended = program("prints_procs").env("GREENTHREAD_STACK", "1000g").env("GOMAXPROCS", "2").run();
    ended.exits_with(0).says("GREENTHREAD_STACK=\"1000g\"").says("using 64g").prints("2 2\n");
}

fn code_wins_over_the_environment() {
    let ended = program("prints_config").env("GOMAXPROCS", "abc").env("GREENTHREAD_STACK", "64k").run();
    ended.exits_with(0).says_nothing().prints("3 3\n1024\n");
}

fn the_thread_limit_holds() {
    for procs in ["1", "2", "4"] {
        let ended = program("blocks_many_threads").env("GREENTHREAD_MAXTHREADS", "3").env("GOMAXPROCS", procs).run();
        let ended = ended.exits_with(0).prints("threads 3\n");
        let ended = ended.says("greenthread: the limit of 3 threads is reached (GREENTHREAD_MAXTHREADS)");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    }
}

fn at_the_thread_limit_every_goroutine_runs() {
    for procs in ["1", "2"] {
        let limited = program("leaves_runnext_and_timers").env("GREENTHREAD_MAXTHREADS", "1").env("GOMAXPROCS", procs);
        limited.run().exits_with(0);
    }
}

fn a_bad_thread_limit_is_named() {
    for value in ["0", "-1", "many"] {
        let ended = with("prints_procs", "GREENTHREAD_MAXTHREADS", value);
        ended.says(&format!("GREENTHREAD_MAXTHREADS={value:?}")).says("using 10000");
    }
}

/// Returns the value of `key=` in a line, up to the next space.
fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, rest) = line.split_once(&format!(" {key}=")).unwrap_or_else(|| panic!("no {key} in {line:?}"));
    rest.split(' ').next().unwrap_or_default()
}

/// Checks that each summary line has the fields that Go prints, and that the numbers make sense.
fn check_summary(line: &str, procs: usize) {
    let (ms, rest) = line.strip_prefix("SCHED ").and_then(|rest| rest.split_once("ms: ")).expect(line);
    ms.parse::<u64>().expect(line);
    let rest = format!(" {rest}");
    let number = |key: &str| field(&rest, key).parse::<usize>().unwrap_or_else(|_| panic!("{key} in {line:?}"));
    assert_eq!(number("gomaxprocs"), procs, "{line}");
    assert!(number("idleprocs") <= procs, "{line}");
    assert!(number("idlethreads") <= number("threads"), "{line}");
    for key in ["spinningthreads", "needspinning", "runqueue"] {
        number(key);
    }
}

fn schedtrace_prints_gos_lines() {
    let ended = program("works_for_a_while").env("GODEBUG", "schedtrace=10").env("GOMAXPROCS", "2").run().exits_with(0);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(lines.len() >= 3, "{ended:#?}");
    for line in lines {
        check_summary(line, 2);
        let (_, queues) = line.split_once(" runqueue=").and_then(|(_, rest)| rest.split_once(" [ ")).expect(line);
        let (queues, _) = queues.split_once(" ]").expect(line);
        let lengths: Vec<u32> = queues.split_ascii_whitespace().map(|n| n.parse().expect(line)).collect();
        assert_eq!(lengths.len(), 2, "{line}");
    }
}

fn scheddetail_prints_gos_lines() {
    let settings = "schedtrace=10,scheddetail=1";
    let ended = program("works_for_a_while").env("GODEBUG", settings).env("GOMAXPROCS", "2").run().exits_with(0);
    let mut kinds = [0; 4];
    for line in ended.stderr.lines() {
        match line.trim_start().as_bytes()[0] {
            b'S' => {
                check_summary(line, 2);
                kinds[0] += 1;
            }
            b'P' => kinds[1] += usize::from(field(line, "status").parse::<u32>().is_ok()),
            b'M' => kinds[2] += usize::from(!field(line, "curg").is_empty()),
            b'G' => kinds[3] += usize::from(!field(line, "status").is_empty()),
            _ => panic!("{line:?}"),
        }
    }
    assert!(kinds[0] >= 3 && kinds[1] == 2 * kinds[0] && kinds[2] > 0 && kinds[3] > 0, "{kinds:?} {ended:#?}");
    assert!(ended.stderr.contains(": status=4(sleep) m=nil lockedm=nil\n"), "{ended:#?}");
}

fn a_bad_godebug_is_named() {
    with("prints_procs", "GODEBUG", "schedtrace=often").says("schedtrace=often");
    with("prints_procs", "GODEBUG", "scheddetail=7").says("scheddetail=7");
    with("prints_procs", "GODEBUG", "gctrace=1,madvdontneed=1,,x").says_nothing();
}

/// Where memory is charged before it is touched (`vm.overcommit_memory=2`, `ulimit -d`), a small
/// program must not pay for what only a large one will use.
fn little_memory_is_charged_in_advance() {
    let ended = program("prints_writable_memory").env("GOMAXPROCS", "2").run().exits_with(0);
    let kb: u64 = ended.stdout.trim().parse().unwrap();
    assert!(kb < 200 << 10, "{kb} KiB of writable memory");
}
