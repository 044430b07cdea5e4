//! The end of the process while goroutines run, children that it starts, too few threads, too
//! little memory.
//!
//! The tests do without the usual harness: all of them run child processes (see `common::child`).
//! `crash.rs` has the usual ways to end.

use std::fs;
use std::io::{Read, Write};
use std::panic::{self};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::drops::OnDrop;
use crate::common::{spin, text, until};
use greenthread::ctx::Context;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::{
    Builder, blocking, channel, debug, go, process, scope, set_gomaxprocs, spawn, stack, time, yield_now,
};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    main_returns_while_others_wait,
    goroutines_exit_at_once,
    exit_runs_registered_functions,
    exit_functions_may_use_goroutines,
    children_with_pipes_under_load,
    children_inherit_nothing,
    children_without_descriptors,
    ten_thousand_goroutines_block,
    the_system_refuses_more_threads,
    the_system_refuses_every_thread,
    the_system_refuses_a_thread_for_a_pinned_goroutine,
    a_stack_that_cannot_grow,
    no_memory_for_a_closure,
];

const PROGRAMS: &[child::Main] = named![
    programs::returns::main,
    programs::exits_many_times::main,
    exits_with_handlers,
    exits_with_goroutines,
    programs::talks_to_children::main,
    starts_a_child_among_descriptors,
    waits_without_descriptors,
    wants_threads,
    gets_no_more_threads,
    gets_no_thread,
    gets_no_thread_for_pinned,
    cannot_grow,
    spawns_until_memory_ends,
];

/// Returns a connected pair of sockets.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (stream, listener.accept().unwrap().0)
}

/// Starts one goroutine for each kind of wait, each with a destructor that prints when it runs, and
/// hogs.
///
/// It returns when all of them have begun. A goroutine that must return to its thread, like the
/// caller of `exit` from a function that runs at exit, would wait forever if one of the hogs, or
/// the one that blocks while it unwinds, began on that thread in between.
fn keep_busy() {
    let begun = Arc::new(AtomicUsize::new(0));
    let beginning = || {
        let begun = Arc::clone(&begun);
        move || {
            begun.fetch_add(1, Ordering::Relaxed);
            OnDrop::new(|| println!("a destructor ran"))
        }
    };
    let (stream, peer) = connected();
    let begins = beginning();
    go!(move || {
        let (_says, mut stream, _peer) = (begins(), stream, peer);
        stream.read_exact(&mut [0]).unwrap();
    });
    let begins = beginning();
    go!(move || {
        let _says = begins();
        TcpListener::bind("127.0.0.1:0").unwrap().accept().unwrap();
    });
    let begins = beginning();
    go!(move || {
        let _says = begins();
        let _ = channel::never::<()>().recv();
    });
    let begins = beginning();
    go!(move || {
        let _says = begins();
        time::sleep(Duration::from_secs(1000));
    });
    let begins = beginning();
    go!(move || {
        let _says = begins();
        loop {
            yield_now();
        }
    });
    let begins = beginning();
    go!(move || {
        let _says = begins();
        loop {
            std::hint::spin_loop();
        }
    });
    let unwinding = Arc::clone(&begun);
    go!(move || {
        let _unwinds = OnDrop::new(move || {
            unwinding.fetch_add(1, Ordering::Relaxed);
            _ = channel::never::<()>().recv();
        });
        panic::resume_unwind(Box::new(()));
    });
    until(|| begun.load(Ordering::Relaxed) == 7);
    time::sleep(Duration::from_millis(40));
}

mod programs {
    use super::*;

    pub(super) mod returns {
        #[greenthread::main]
        pub(crate) fn main() -> std::process::ExitCode {
            super::keep_busy();
            println!("over");
            std::process::ExitCode::from(3)
        }
    }

    pub(super) mod exits_many_times {
        use super::*;

        #[greenthread::main]
        pub(crate) fn main() {
            keep_busy();
            for n in 0..50 {
                go!(move || {
                    time::sleep(Duration::from_micros(n % 7));
                    std::process::exit(7);
                });
            }
            time::sleep(Duration::from_secs(1000));
        }
    }

    pub(super) mod talks_to_children {
        use super::*;

        /// Writes to a filter and reads from it at the same time, as a filter requires.
        fn filter(n: usize) {
            let sent: Vec<u8> = (0..100_000).map(|i| (i * n) as u8).collect();
            let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let copy = sent.clone();
            let writer = spawn(move || stdin.write_all(&copy).unwrap());
            let mut received = Vec::new();
            stdout.read_to_end(&mut received).unwrap();
            writer.join().unwrap();
            assert!(child.wait().unwrap().success() && received == sent, "{n}");
        }

        #[greenthread::main]
        pub(crate) fn main() {
            for _ in 0..3 {
                go!(|| loop {
                    yield_now();
                    drop(vec![0_u8; 100]);
                    spin(Duration::from_micros(50));
                });
            }
            let filters: Vec<_> = (0..30).map(|n| spawn(move || filter(n))).collect();
            let codes: Vec<_> = (0..30)
                .map(|n| spawn(move || Command::new("sh").args(["-c", &format!("exit {n}")]).status().unwrap().code()))
                .collect();
            let missing = spawn(|| Command::new("/no/such/program").spawn().map(|_| ()).unwrap_err().kind());
            filters.into_iter().for_each(|filter| filter.join().unwrap());
            for (n, code) in codes.into_iter().enumerate() {
                assert_eq!(code.join().unwrap(), Some(n as i32));
            }
            assert_eq!(missing.join().unwrap(), std::io::ErrorKind::NotFound);
            // SAFETY: the null pointer asks `waitpid` to write no status.
            let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
            assert_eq!(left, -1, "a child was not waited for");
        }
    }
}

fn main_returns_while_others_wait() {
    for procs in ["1", "2", "4"] {
        let ended = program("programs::returns::main").env("GOMAXPROCS", procs).run();
        ended.exits_with(3).prints("over\n").says_nothing();
    }
}

fn goroutines_exit_at_once() {
    for procs in ["1", "2", "4"] {
        let ended = program("programs::exits_many_times::main").env("GOMAXPROCS", procs).run();
        ended.exits_with(7).prints("").says_nothing();
    }
}

fn at_exit(f: extern "C" fn()) {
    // SAFETY: `f` is a function of this program, so it lives as long as the process.
    assert_eq!(unsafe { libc::atexit(f) }, 0);
}

fn exits_with_handlers() -> ExitCode {
    extern "C" fn first() {
        println!("registered first");
    }
    extern "C" fn second() {
        println!("registered last");
    }
    at_exit(first);
    spawn(|| ()).join().unwrap();
    at_exit(second);
    go!(|| std::process::exit(5));
    thread::sleep(Duration::from_secs(1000));
    ExitCode::SUCCESS
}

fn exit_runs_registered_functions() {
    program("exits_with_handlers").run().exits_with(5).prints("registered last\nregistered first\n").says_nothing();
}

fn exits_with_goroutines() -> ExitCode {
    extern "C" fn joins() {
        let (tx, rx) = channel::bounded(0);
        go!(move || tx.send(7).unwrap());
        time::sleep(Duration::from_millis(1));
        println!("{}", rx.recv().unwrap() + spawn(|| 1).join().unwrap());
    }
    at_exit(joins);
    go!(|| {
        keep_busy();
        std::process::exit(6)
    });
    thread::sleep(Duration::from_secs(1000));
    ExitCode::SUCCESS
}

fn exit_functions_may_use_goroutines() {
    for procs in ["1", "2", "4"] {
        let ended = program("exits_with_goroutines").env("GOMAXPROCS", procs).run();
        ended.exits_with(6).prints("8\n").says_nothing();
    }
}

fn children_with_pipes_under_load() {
    for procs in ["1", "4"] {
        program("programs::talks_to_children::main").env("GOMAXPROCS", procs).run().exits_with(0).says_nothing();
    }
}

/// Checks that a child started before the runtime has the same descriptors as one started later.
fn starts_a_child_among_descriptors() -> ExitCode {
    let look = || {
        let look = "ls /proc/self/fd; grep -e SigBlk -e SigIgn /proc/self/status";
        Command::new("sh").args(["-c", look]).stdin(Stdio::null()).output().unwrap().stdout
    };
    let before = look();
    spawn(keep_busy).join().unwrap();
    for _ in 0..10 {
        let now = spawn(look).join().unwrap();
        assert_eq!(String::from_utf8_lossy(&now), String::from_utf8_lossy(&before));
    }
    ExitCode::SUCCESS
}

fn children_inherit_nothing() {
    program("starts_a_child_among_descriptors").run().exits_with(0).says_nothing();
}

/// Makes the system refuse `pidfd_open` with this error, as a container may.
fn deny_pidfd_open(error: i32) {
    let step = |code: u32, jf, k| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_pidfd_open as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | error.cast_unsigned()),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: `prctl` takes numbers and a filter program that outlives the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let (mode, all_threads) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
        assert_eq!(libc::syscall(libc::SYS_seccomp, mode, all_threads, &raw const program), 0);
    }
    let refused = greenthread_scheduler::open_process(std::process::id()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(error));
}

/// Waits for children where the system has no pidfds, or refuses them.
fn waits_without_descriptors() -> ExitCode {
    let error = std::env::var("REFUSED_WITH").unwrap().parse().unwrap();
    deny_pidfd_open(error);
    for procs in [1, 2, 4] {
        set_gomaxprocs(procs);
        let output = process::output(Command::new("sh").args(["-c", "sleep 0.05; echo out; exit 3"])).unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"out\n"[..]));
        let waiters = (0..20).map(|_| spawn(|| process::status(Command::new("sleep").arg("0.1")).unwrap()));
        let waiters: Vec<_> = waiters.collect();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap().success()));
        let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(process::wait_ctx(&ctx, &mut child).is_err() && ctx.err().is_some());
        assert!(!process::terminate(&mut child, Duration::from_secs(60)).unwrap().success());
        let ended = process::status_ctx(&ctx, Command::new("sleep").arg("60")).unwrap_err();
        assert_eq!(ended.to_string(), "context deadline exceeded");
    }
    ExitCode::SUCCESS
}

fn children_without_descriptors() {
    for error in [libc::EPERM, libc::ENOSYS] {
        program("waits_without_descriptors").env("REFUSED_WITH", &error.to_string()).run().exits_with(0).says_nothing();
    }
}

/// Blocks more goroutines at the same time than there may be threads.
fn wants_threads() -> ExitCode {
    let (most, now, ended) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    scope(|s| {
        for _ in 0..10_000 {
            s.spawn(|| {
                blocking(|| {
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::Relaxed);
                });
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    let (most, ended) = (most.into_inner(), ended.into_inner());
    println!("{ended} {}", most <= 50 && most > 20 && debug::stats().threads <= 50);
    ExitCode::SUCCESS
}

fn ten_thousand_goroutines_block() {
    for procs in ["1", "2", "4"] {
        let ended = program("wants_threads").env("GREENTHREAD_MAXTHREADS", "50").env("GOMAXPROCS", procs).run();
        let ended = ended.exits_with(0).prints("10000 true\n");
        let ended = ended.says("greenthread: the limit of 50 threads is reached (GREENTHREAD_MAXTHREADS)");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    }
}

/// Limits the address space of the process to `more` bytes more than it uses now.
fn limit_memory(more: usize) {
    // A thread that has just begun uses more memory for a moment than it keeps.
    thread::sleep(Duration::from_millis(50));
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').next().unwrap().parse().unwrap();
    let limit = libc::rlimit { rlim_cur: (pages * 4096 + more) as u64, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a local `rlimit` that lives through the call, which only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// Blocks goroutines when some threads run and the system refuses more: new work waits for a
/// blocked thread.
fn gets_no_more_threads() -> ExitCode {
    set_gomaxprocs(2);
    let count = Arc::new(AtomicUsize::new(0));
    spawn(|| ()).join().unwrap();
    limit_memory(256 << 10);
    for _ in 0..50 {
        let count = Arc::clone(&count);
        go!(move || {
            blocking(|| thread::sleep(Duration::from_millis(2)));
            time::sleep(Duration::from_micros(100));
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
    until(|| count.load(Ordering::Relaxed) == 50);
    println!("{}", debug::stats().threads <= 3);
    ExitCode::SUCCESS
}

fn the_system_refuses_more_threads() {
    let ended = program("gets_no_more_threads").run().exits_with(0).prints("true\n");
    let ended =
        ended.says("greenthread: cannot start another thread (").says("; goroutines wait until a thread becomes free");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
}

/// Spawns a pinned goroutine, which needs a thread of its own; the runtime retries for a while.
fn gets_no_thread_for_pinned() -> ExitCode {
    set_gomaxprocs(1);
    spawn(|| ()).join().unwrap();
    // The fatal error ends with a dump. The allocator may fail to get the memory of a first dump
    // under the limit.
    drop(debug::goroutines());
    limit_memory(256 << 10);
    spawn(|| time::sleep(Duration::from_secs(1000)));
    // A standby thread may serve the first of them, and leave room for another when it ends.
    for _ in 0..10 {
        // These stacks are as large as those of the runtime; the memory left after them is for the
        // allocator.
        let another = || thread::Builder::new().stack_size(512 << 10);
        while another().spawn(|| thread::sleep(Duration::from_secs(1000))).is_ok() {}
        let own_path = || Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap());
        let path = Builder::new().pinned(true).spawn(own_path).unwrap().join().unwrap();
        // The stack of an ended thread can be reused only after the system has removed the thread.
        until(|| !path.exists());
    }
    ExitCode::SUCCESS
}

fn the_system_refuses_a_thread_for_a_pinned_goroutine() {
    let ended = program("gets_no_thread_for_pinned").run().exits_with(2);
    let ended = ended.says("fatal error: thread exhaustion: ");
    let ended = ended.says("pinned goroutines that wait for a thread: 1; none of the ");
    ended.says(" existing threads will end, and the system refuses to start more (");
}

fn gets_no_thread() -> ExitCode {
    limit_memory(300 << 10);
    spawn(|| ()).join().unwrap();
    ExitCode::SUCCESS
}

fn the_system_refuses_every_thread() {
    let ended = program("gets_no_thread").run().exits_with(2).prints("");
    ended.says("fatal error: cannot start a thread to run goroutines on (");
}

fn cannot_grow() -> ExitCode {
    spawn(|| ()).join().unwrap();
    limit_memory(1 << 20);
    let handle = spawn(|| {
        let caught = panic::catch_unwind(|| stack::grow(1 << 30, 2 << 30, || ()));
        println!("{}", text(&*caught.unwrap_err()));
        stack::grow(1 << 10, 2 << 30, || 7)
    });
    println!("{}", handle.join().unwrap());
    ExitCode::SUCCESS
}

fn a_stack_that_cannot_grow() {
    let ended = program("cannot_grow").run().exits_with(0);
    let why = "stack::grow: no address space for another stack of 2 GiB";
    assert!(ended.stdout.starts_with(why) && ended.stdout.ends_with("\n7\n"), "{ended:#?}");
}

/// Spawns goroutines on the only thread, so that none of them begins.
fn spawns_until_memory_ends() -> ExitCode {
    let spawns = || {
        limit_memory(32 << 20);
        loop {
            let large = [1_u8; 8 << 10];
            go!(move || _ = std::hint::black_box(large));
        }
    };
    spawn(spawns).join().unwrap()
}

/// Checks that the process aborts, as at any failed allocation.
fn no_memory_for_a_closure() {
    let ended = program("spawns_until_memory_ends").env("GREENTHREAD_MAXTHREADS", "1").env("GOMAXPROCS", "1").run();
    ended.aborts().says("memory allocation of ").says(" bytes failed");
}
