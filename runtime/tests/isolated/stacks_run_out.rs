//! More goroutines than stacks: those without one wait, in order. All tests run child processes, in
//! which guards may take few mappings, or which have little address space.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, named, program};
use crate::common::until;
use greenthread::__private::limit_guard_mappings;
use greenthread::ctx::Context;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::patterns::{Pipeline, parallel_map};
use greenthread::sync::{WaitGroup, errgroup};
use greenthread::{Builder, channel, debug, go, scope, spawn, time};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    all_run_in_order,
    a_hundred_thousand_run_on_few_stacks,
    everything_that_waits_for_goroutines_succeeds,
    pinned_ones_and_large_ones_wait_too,
    a_deadline_needs_no_free_stack,
    a_stack_can_be_reserved,
    a_raised_limit_is_noticed,
    address_space_that_is_freed_is_noticed,
    if_nothing_can_end_it_is_a_deadlock,
    without_any_stack_it_is_a_deadlock,
];

const PROGRAMS: &[child::Main] = named![
    starts_in_order,
    starts_a_hundred_thousand,
    waits_for_goroutines,
    starts_pinned_and_large_ones,
    waits_for_a_deadline,
    reserves,
    raises_the_limit,
    frees_address_space,
    parks_all,
    has_no_stack,
];

/// The number of stacks.
const STACKS: usize = 256;

/// How many of them only timers may use.
const SPARED: u64 = 16;

/// Limits the number of stacks, before the first goroutine.
fn limit_stacks(count: usize) {
    limit_guard_mappings(count);
}

/// Limits the address space, before the first goroutine.
fn limit_address_space(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a local `rlimit` that lives through the call, which only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// Runs a program with each number of Ps. Each of its guards takes one mapping.
#[track_caller]
fn with_each_number_of_ps(name: &'static str, check: impl Fn(Ended)) {
    for procs in ["1", "2", "4"] {
        check(program(name).env("GREENTHREAD_GUARDS", "holes").env("GOMAXPROCS", procs).run());
    }
}

/// Checks that a program has succeeded, and that stderr has one line about the shortage.
#[track_caller]
fn warns_once(ended: Ended) -> Ended {
    let ended = ended.exits_with(0).says("greenthread: goroutines wait for a stack until others end: ");
    let ended = ended.says("raise ");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    ended
}

/// Lets goroutines wait for a stack one after the other, and frees the stacks one after the other.
fn starts_in_order() -> ExitCode {
    const WAITERS: usize = 30;
    limit_stacks(STACKS);
    let (end_one, ends) = channel::bounded::<()>(0);
    let started = Arc::new(Mutex::new(Vec::new()));
    let wg = WaitGroup::new();
    // The last of these wait already.
    let parked = Arc::new(AtomicUsize::new(0));
    for _ in 0..STACKS {
        let (ends, parked) = (ends.clone(), Arc::clone(&parked));
        wg.go(move || {
            parked.fetch_add(1, Ordering::Relaxed);
            let _ = ends.recv();
        });
    }
    let before = SPARED;
    until(|| parked.load(Ordering::Relaxed) == STACKS - SPARED as usize && debug::stats().stack_waiters == before);
    for n in 0..WAITERS {
        let (started, ends) = (Arc::clone(&started), ends.clone());
        wg.go(move || {
            started.lock().unwrap().push(n);
            let _ = ends.recv();
        });
        until(|| debug::stats().stack_waiters == before + n as u64 + 1);
    }
    for waiters in (0..before + WAITERS as u64).rev() {
        end_one.send(()).unwrap();
        until(|| debug::stats().stack_waiters == waiters);
        until(|| started.lock().unwrap().len() == WAITERS.saturating_sub(waiters as usize));
    }
    drop(end_one);
    wg.wait();
    println!("in order: {}", started.lock().unwrap().iter().copied().eq(0..WAITERS));
    ExitCode::SUCCESS
}

fn all_run_in_order() {
    with_each_number_of_ps("starts_in_order", |ended| {
        warns_once(ended).prints("in order: true\n");
    });
}

fn starts_a_hundred_thousand() -> ExitCode {
    limit_stacks(STACKS);
    let ran = Arc::new(AtomicUsize::new(0));
    let wg = WaitGroup::new();
    for _ in 0..100_000 {
        let ran = Arc::clone(&ran);
        wg.go(move || {
            time::sleep(Duration::from_millis(1));
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
    wg.wait();
    println!("{} ran on at most {STACKS} stacks", ran.load(Ordering::Relaxed));
    println!("{}", debug::stats().stacks_reserved <= STACKS as u64);
    ExitCode::SUCCESS
}

fn a_hundred_thousand_run_on_few_stacks() {
    with_each_number_of_ps("starts_a_hundred_thousand", |ended| {
        warns_once(ended).prints("100000 ran on at most 256 stacks\ntrue\n");
    });
}

/// Waits in all ways for more goroutines than there are stacks.
fn waits_for_goroutines() -> ExitCode {
    limit_address_space(8 << 30);
    let ctx = Context::background();
    let pause = || time::sleep(Duration::from_millis(5));
    let group = errgroup::Group::<String>::new();
    (0..50).for_each(|_| {
        group.go(move || {
            pause();
            Ok(())
        });
    });
    println!("errgroup: {:?}", group.wait());
    let scoped = AtomicUsize::new(0);
    scope(|s| {
        (0..50).for_each(|_| {
            s.spawn(|| {
                pause();
                scoped.fetch_add(1, Ordering::Relaxed)
            });
        });
    });
    println!("scope: {}", scoped.into_inner());
    println!("parallel_map: {:?}", parallel_map(&ctx, 8, 0..4, |_, n| Ok::<_, io::Error>(n)).unwrap());
    println!("pipeline: {:?}", Pipeline::new(&ctx, 0..3).wait());
    let joined: Vec<_> = (0..20).map(|n| spawn(move || n)).collect();
    println!("join: {}", joined.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>());
    let (ctx, cancel) = ctx.with_cancel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        listener.serve(&ctx, Duration::from_secs(10), |_, mut stream: TcpStream| {
            let _ = stream.write_all(b"served");
        })
    });
    let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let served = clients.into_iter().filter_map(|mut client| {
        let mut text = String::new();
        client.read_to_string(&mut text).ok().filter(|_| text == "served")
    });
    println!("served: {}", served.count());
    cancel.cancel();
    println!("server: {:?}", server.join().unwrap());
    ExitCode::SUCCESS
}

fn everything_that_waits_for_goroutines_succeeds() {
    for procs in ["1", "2", "4"] {
        let ended = program("waits_for_goroutines").env("GREENTHREAD_STACK", "1g").env("GOMAXPROCS", procs).run();
        warns_once(ended).prints(
            "errgroup: Ok(())\nscope: 50\nparallel_map: [0, 1, 2, 3]\npipeline: Ok(())\njoin: 190\nserved: 20\n\
             server: Ok(())\n",
        );
    }
}

fn starts_pinned_and_large_ones() -> ExitCode {
    limit_stacks(STACKS);
    let (end, ended) = channel::bounded::<()>(0);
    let parked: Vec<_> = (0..STACKS)
        .map(|_| {
            let ended = ended.clone();
            spawn(move || _ = ended.recv())
        })
        .collect();
    let pinned = Builder::new().pinned(true).spawn(|| {
        let before = thread::current().id();
        time::sleep(Duration::from_millis(1));
        before == thread::current().id()
    });
    let large = Builder::new().stack_size(16 << 20).spawn(|| 7);
    let small = spawn(|| 8);
    until(|| debug::stats().stack_waiters >= 2);
    drop(end);
    parked.into_iter().for_each(|handle| handle.join().unwrap());
    println!("pinned: {:?}", pinned.unwrap().join().ok());
    println!("small: {:?}", small.join().ok());
    // The mappings are used up by small stacks, which are never returned.
    limit_stacks(2 * STACKS);
    println!("large: {:?}", large.unwrap().join().ok());
    ExitCode::SUCCESS
}

fn pinned_ones_and_large_ones_wait_too() {
    with_each_number_of_ps("starts_pinned_and_large_ones", |ended| {
        warns_once(ended).prints("pinned: Some(true)\nsmall: Some(8)\nlarge: Some(7)\n");
    });
}

fn waits_for_a_deadline() -> ExitCode {
    limit_stacks(STACKS);
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(200));
    let ran = Arc::new(AtomicUsize::new(0));
    let wg = WaitGroup::new();
    for _ in 0..2 * STACKS {
        let (ctx, ran) = (ctx.clone(), Arc::clone(&ran));
        wg.go(move || {
            let _ = ctx.done().recv();
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
    wg.wait();
    println!("{}", ran.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}

fn a_deadline_needs_no_free_stack() {
    with_each_number_of_ps("waits_for_a_deadline", |ended| {
        warns_once(ended).prints("512\n");
    });
}

fn reserves() -> ExitCode {
    limit_stacks(STACKS);
    let builder = || Builder::new().reserve_stack(true);
    println!("{:?}", builder().spawn(|| 7).unwrap().join().ok());
    let (end, ended) = channel::bounded::<()>(0);
    let mut parked = Vec::new();
    let error = loop {
        let ended = ended.clone();
        match builder().spawn(move || _ = ended.recv()) {
            Ok(handle) => parked.push(handle),
            Err(error) => break error,
        }
    };
    println!("{} {:?} {}", parked.len() >= STACKS - 64, error.kind(), error.to_string().contains("max_map_count"));
    drop(end);
    parked.into_iter().for_each(|handle| handle.join().unwrap());
    println!("{:?} {}", builder().pinned(true).spawn(|| 8).unwrap().join().ok(), debug::stats().stack_waiters);
    ExitCode::SUCCESS
}

fn a_stack_can_be_reserved() {
    with_each_number_of_ps("reserves", |ended| {
        ended.exits_with(0).says_nothing().prints("Some(7)\ntrue OutOfMemory true\nSome(8) 0\n");
    });
}

fn raises_the_limit() -> ExitCode {
    limit_stacks(STACKS);
    let ran = Arc::new(AtomicUsize::new(0));
    let (end, ended) = channel::bounded::<()>(0);
    for _ in 0..STACKS + 20 {
        let (ran, ended) = (Arc::clone(&ran), ended.clone());
        go!(move || {
            ran.fetch_add(1, Ordering::Relaxed);
            let _ = ended.recv();
        });
    }
    until(|| debug::stats().stack_waiters >= 20);
    limit_stacks(2 * STACKS);
    until(|| ran.load(Ordering::Relaxed) == STACKS + 20);
    println!("{}", debug::stats().stack_waiters);
    drop(end);
    ExitCode::SUCCESS
}

fn a_raised_limit_is_noticed() {
    with_each_number_of_ps("raises_the_limit", |ended| {
        warns_once(ended).prints("0\n");
    });
}

/// Needs a stack while something else has taken the address space.
fn frees_address_space() -> ExitCode {
    limit_address_space(2 << 30);
    let taken = Vec::<u8>::with_capacity(1600 << 20);
    let waiter = spawn(|| 7);
    until(|| debug::stats().stack_waiters == 1);
    drop(taken);
    println!("{:?}", waiter.join().ok());
    ExitCode::SUCCESS
}

fn address_space_that_is_freed_is_noticed() {
    for guards in ["auto", "holes"] {
        let program = program("frees_address_space").env("GREENTHREAD_STACK", "512m");
        warns_once(program.env("GREENTHREAD_GUARDS", guards).run()).prints("Some(7)\n");
    }
}

fn parks_all() -> ExitCode {
    limit_stacks(STACKS);
    let wg = WaitGroup::new();
    let (_end, ended) = channel::bounded::<()>(0);
    for _ in 0..STACKS + 10 {
        let ended = ended.clone();
        wg.go(move || _ = ended.recv());
    }
    wg.wait();
    ExitCode::SUCCESS
}

fn if_nothing_can_end_it_is_a_deadlock() {
    with_each_number_of_ps("parks_all", |ended| {
        let ended = ended.exits_with(2).prints("").says("fatal error: all goroutines are asleep - deadlock!");
        let ended = ended.says("goroutines that wait for a stack: ").says("; no other will end and free one, and ");
        ended.says("the 256 stacks that can be guarded by holes are in use").says("goroutines that have not begun: ");
    });
}

fn has_no_stack() -> ExitCode {
    limit_address_space(1 << 30);
    spawn(|| ()).join().unwrap();
    ExitCode::SUCCESS
}

fn without_any_stack_it_is_a_deadlock() {
    let ended = program("has_no_stack").env("GREENTHREAD_STACK", "2g").run().exits_with(2);
    let ended = ended.says("fatal error: all goroutines are asleep - deadlock!");
    ended.says("goroutines that wait for a stack: 1; no other will end and free one, and no address space");
}
