//! Parking in destructors while a panic unwinds: in I/O, selects and other waits, in many
//! goroutines at once, and in the panic hook; the effect of a second panic; and what goes wrong
//! when such a goroutine switches like any other.
//!
//! The tests do without the usual harness: some of them end the process (see `common::child`).
//! `panics.rs` has the waits one by one.

use std::io::{Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::drops::OnDrop;
use crate::common::unwinding::{Roamers, block_while_panicking, check_blocking_while_panicking};
use crate::common::{Rng, spin, storm};
use greenthread::__private::Mechanism;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::sync::{self, WaitGroup};
use greenthread::{blocking, channel, go, select, spawn, time, yield_now};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    io_in_destructors,
    selects_in_destructors,
    yields_in_destructors,
    blocking_calls_in_destructors,
    unwinding_in_every_way,
    parking_in_the_panic_hook,
    a_second_panic_aborts_as_on_a_thread,
    panic_counts_and_poisoning_are_right,
    panic_counts_and_poisoning_go_wrong_after_a_switch,
];

const PROGRAMS: &[child::Main] =
    named![parks_in_the_hook, panics_twice_on_a_thread, panics_twice, panics_twice_after_a_park, counts, counts_wrong];

/// Sends a byte to another goroutine and receives one back.
fn exchange_a_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        time::sleep(Duration::from_micros(100));
        stream.write_all(&[byte[0] + 1]).unwrap();
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&[7]).unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [8]);
    peer.join().unwrap();
}

fn choose() {
    let (tx, rx) = channel::bounded(0);
    let (back, other) = channel::bounded::<u32>(0);
    go!(move || {
        time::sleep(Duration::from_micros(50));
        tx.send(7).unwrap();
        assert_eq!(other.recv(), Ok(8));
    });
    let got = select! {
        recv(rx) -> n => n.unwrap(),
        recv(channel::never::<u32>()) -> _ => unreachable!(),
        recv(channel::after(Duration::from_secs(1000))) -> _ => unreachable!(),
    };
    assert_eq!(got, 7);
    select! {
        send(back, 8) -> sent => sent.unwrap(),
        recv(channel::after(Duration::from_secs(1000))) -> _ => unreachable!(),
    }
    select! {
        recv(channel::after(Duration::from_micros(50))) -> _ => {}
        recv(channel::never::<u32>()) -> _ => unreachable!(),
    }
}

fn yield_often() {
    (0..20).for_each(|_| yield_now());
}

fn block_the_thread() {
    blocking(|| thread::sleep(Duration::from_micros(100)));
    let inner = blocking(|| spawn(|| blocking(|| 5)).join().unwrap());
    assert_eq!(inner, 5);
}

fn lock_and_wait() {
    let (wg, lock) = (WaitGroup::new(), Arc::new(sync::Mutex::new(0)));
    for _ in 0..3 {
        let lock = Arc::clone(&lock);
        wg.go(move || {
            let mut count = lock.lock();
            yield_now();
            *count += 1;
        });
    }
    *lock.lock() += 1;
    wg.wait();
    assert_eq!(*lock.lock(), 4);
}

fn lose_the_p() {
    spin(Duration::from_millis(12));
    yield_now();
    time::sleep(Duration::from_micros(20));
}

fn panic_inside() {
    let inner = panic::catch_unwind(|| {
        let _parks = OnDrop::new(yield_often);
        let _sleeps = OnDrop::new(|| time::sleep(Duration::from_micros(30)));
        // `resume_unwind` skips the hook, which prints a backtrace for each second panic.
        panic::resume_unwind(Box::new(()));
    });
    assert!(inner.is_err() && thread::panicking());
}

fn io_in_destructors() {
    check_blocking_while_panicking(exchange_a_byte);
}

fn selects_in_destructors() {
    check_blocking_while_panicking(choose);
}

fn yields_in_destructors() {
    check_blocking_while_panicking(yield_often);
}

fn blocking_calls_in_destructors() {
    check_blocking_while_panicking(block_the_thread);
}

/// Unwinds goroutines in all ways, on fewer Ps than there are goroutines and on more, while idle Ms
/// steal.
fn unwinding_in_every_way() {
    const WAYS: [fn(); 8] = [
        exchange_a_byte,
        choose,
        yield_often,
        block_the_thread,
        lock_and_wait,
        panic_inside,
        || time::sleep(Duration::from_micros(40)),
        lose_the_p,
    ];
    storm(|random: &mut Rng| {
        let roamers = Roamers::start();
        let handles: Vec<_> = (0..6)
            .map(|_| {
                let ways: Vec<fn()> = (0..3).map(|_| WAYS[random.index(WAYS.len())]).collect();
                spawn(move || block_while_panicking(|| ways.into_iter().for_each(|way| way())))
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(roamers.met(), 0, "a goroutine ran on a thread that was unwinding");
    });
}

/// Parks in the hook, which runs on the thread that panics.
fn parks_in_the_hook() -> ExitCode {
    spawn(|| ()).join().unwrap();
    panic::set_hook(Box::new(|_| {
        let (tx, rx) = channel::bounded(0);
        go!(move || tx.send(thread::panicking()).unwrap());
        let (before, peer, after) = (thread::panicking(), rx.recv().unwrap(), thread::panicking());
        assert!(before && !peer && after, "{before} {peer} {after}");
        println!("reported");
    }));
    for _ in 0..10 {
        spawn(|| panic!("expected")).join().unwrap_err();
    }
    ExitCode::SUCCESS
}

fn parking_in_the_panic_hook() {
    for procs in ["1", "2"] {
        let ended = program("parks_in_the_hook").env("GOMAXPROCS", procs).run();
        ended.exits_with(0).says_nothing().prints(&"reported\n".repeat(10));
    }
}

fn unwind_twice(before: fn()) {
    let _panics = OnDrop::new(move || {
        before();
        panic!("the second");
    });
    panic!("the first");
}

fn panics_twice_on_a_thread() -> ExitCode {
    drop(thread::spawn(|| unwind_twice(|| ())).join());
    ExitCode::SUCCESS
}

fn panics_twice() -> ExitCode {
    drop(spawn(|| unwind_twice(|| ())).join());
    ExitCode::SUCCESS
}

fn panics_twice_after_a_park() -> ExitCode {
    drop(spawn(|| unwind_twice(choose)).join());
    ExitCode::SUCCESS
}

fn a_second_panic_aborts_as_on_a_thread() {
    let words = |name: &str| {
        let ended = program(name).env("GOMAXPROCS", "2").run().aborts().says("the first").says("the second");
        // Drops the backtrace and the lines that name a thread or a goroutine.
        let differs = |line: &&str| [" ", "thread '", "goroutine "].iter().any(|start| line.starts_with(start));
        ended.stderr.lines().filter(|line| !differs(line)).collect::<Vec<_>>().join("\n")
    };
    let on_a_thread = words("panics_twice_on_a_thread");
    assert!(on_a_thread.contains("panic in a destructor during cleanup"), "{on_a_thread}");
    assert_eq!(words("panics_twice"), on_a_thread);
    assert_eq!(words("panics_twice_after_a_park"), on_a_thread);
}

/// Holds a lock of std in one goroutine, and parks in another while it unwinds.
///
/// It prints how often the first found itself panicking, and its lock poisoned.
fn counts() -> ExitCode {
    let (mut met, mut poisoned) = (0, 0);
    for _ in 0..100 {
        let (holds, held) = channel::bounded::<()>(1);
        let (parks, parked) = channel::bounded::<()>(1);
        let (released, wait) = channel::bounded::<()>(0);
        let over = Arc::new(AtomicBool::new(false));
        let lock = Arc::new(Mutex::new(()));
        let (its_lock, is_over) = (Arc::clone(&lock), Arc::clone(&over));
        let holder = spawn(move || {
            let guard = its_lock.lock().unwrap_or_else(PoisonError::into_inner);
            holds.send(()).unwrap();
            parked.recv().unwrap();
            let met = thread::panicking();
            drop(guard);
            assert!(!is_over.load(Ordering::Relaxed));
            drop(released);
            met
        });
        let unwinder = spawn(move || {
            held.recv().unwrap();
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                let _parks = OnDrop::new(|| {
                    parks.send(()).unwrap();
                    wait.recv().unwrap_err();
                    over.store(true, Ordering::Relaxed);
                });
                panic::resume_unwind(Box::new(()));
            }));
            assert!(result.is_err());
        });
        met += u32::from(holder.join().unwrap());
        unwinder.join().unwrap();
        poisoned += u32::from(lock.is_poisoned());
    }
    println!("met {} poisoned {}", met > 0, poisoned > 0);
    ExitCode::SUCCESS
}

fn counts_wrong() -> ExitCode {
    child::without(Mechanism::ParkInPlace);
    counts()
}

fn panic_counts_and_poisoning_are_right() {
    for procs in ["1", "2", "4"] {
        let ended = program("counts").env("GOMAXPROCS", procs).run();
        ended.exits_with(0).says_nothing().prints("met false poisoned false\n");
    }
}

/// Checks the failure on one P, where both goroutines nearly always run on one thread.
fn panic_counts_and_poisoning_go_wrong_after_a_switch() {
    program("counts_wrong").env("GOMAXPROCS", "1").run().prints("met true poisoned true\n");
}
