//! The migration guard: thread-locals before, after and around parks, in goroutines that move
//! between threads all the time.

use std::cell::Cell;
use std::env;
use std::hint::black_box;
use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, named, program};
use crate::common::{Rng, check, check_from_thread, check_on, parked, seed, spin, until, watchdog};
use greenthread::__private::Mechanism;
use greenthread::channel::{Receiver, Sender, bounded};
use greenthread::debug::GoroutineState;
use greenthread::{Builder, JoinHandle, blocking, debug, lock_os_thread, spawn, stack, time, yield_now};
use greenthread_hazards as hazards;
use greenthread_hazards::Hazard;

const HAZARDS: &[(&str, Hazard)] = named![
    hazards::closed_const,
    hazards::closed_lazy,
    hazards::closed_owned,
    hazards::open_const,
    hazards::open_lazy,
    hazards::open_owned,
    hazards::errno,
    open_below_grow,
];

/// Parks, yields, or loses the P, at random.
fn park(random: &Cell<Rng>) {
    let mut rng = random.replace(Rng::new(0));
    let n = rng.below(64);
    random.set(rng);
    match n {
        0 => spin(Duration::from_micros(200)),
        1 => blocking(|| thread::sleep(Duration::from_micros(50))),
        2..10 => time::sleep(Duration::from_micros(20)),
        10..14 => drop(spawn(|| ()).join()),
        14..18 => {
            let (tx, rx) = bounded(0);
            spawn(move || tx.send(()));
            rx.recv().unwrap();
        }
        _ => yield_now(),
    }
}

/// Keeps a reference to a thread-local in a large frame, continues on another stack, and parks
/// there.
///
/// It returns how often the reference was to another thread's variable. It is not in
/// `greenthread_hazards`, since `grow` must be compiled into this frame.
#[inline(never)]
fn open_below_grow(rounds: u32, park: &dyn Fn()) -> u32 {
    #[repr(C)]
    struct Work<'a> {
        thread: &'a Cell<i32>,
        buffer: [u8; 4096],
    }
    thread_local! {
        static THREAD: Cell<i32> = const { Cell::new(0) };
    }
    THREAD.with(|thread| {
        let mut work = Work { thread, buffer: [0; 4096] };
        let mut wrong = 0;
        for _ in 0..rounds {
            black_box(&mut work).buffer[0] += 1;
            if work.thread.get() == 0 {
                work.thread.set(hazards::thread());
            }
            stack::grow(usize::MAX, 64 << 10, park);
            wrong += u32::from(work.thread.get() != hazards::thread());
        }
        wrong + u32::from(u32::from(black_box(&work).buffer[0]) != rounds)
    })
}

/// Runs goroutines that each repeat `hazard`, on `procs` Ps.
///
/// It returns how often the hazard went wrong, and how often a goroutine that needs no particular
/// thread moved to another one.
fn roam(seed: u64, procs: usize, hazard: Hazard) -> (u32, u32) {
    let (wrong, moved) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    check_on(procs, || {
        let mut rng = Rng::new(seed);
        let free = |random: Cell<Rng>, moved: Arc<AtomicU32>| {
            move || {
                for _ in 0..500 {
                    let before = hazards::thread();
                    park(&random);
                    moved.fetch_add(u32::from(hazards::thread() != before), Ordering::Relaxed);
                }
            }
        };
        let held = |random: Cell<Rng>, wrong: Arc<AtomicU32>| {
            move || {
                for _ in 0..20 {
                    wrong.fetch_add(hazard(25, &|| park(&random)), Ordering::Relaxed);
                }
            }
        };
        let mut handles = Vec::new();
        for _ in 0..8 {
            handles.push(spawn(free(Cell::new(rng.fork()), Arc::clone(&moved))));
            handles.push(spawn(held(Cell::new(rng.fork()), Arc::clone(&wrong))));
        }
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
    (wrong.load(Ordering::Relaxed), moved.load(Ordering::Relaxed))
}

fn thread_locals_belong_to_the_current_thread() {
    let seed = seed();
    let before = debug::stats().guarded_resumes;
    for procs in [2, 4] {
        for (name, hazard) in HAZARDS {
            let (wrong, moved) = roam(seed, procs, *hazard);
            assert!(moved > 0, "{name}, {procs} Ps: no goroutine moved");
            assert_eq!(wrong, 0, "{name}, {procs} Ps, of which {moved} moves");
        }
    }
    assert!(debug::stats().guarded_resumes > before, "no resume was guarded");
}

/// Does the same with the guard off, and only with hazards that touch a `Cell` and nothing else.
fn unguarded() -> ExitCode {
    let _watchdog = watchdog("unguarded");
    child::without(Mechanism::MigrationGuard);
    for (name, hazard) in HAZARDS {
        if !name.ends_with("owned") {
            let wrong = (0..20).any(|seed| roam(seed, 4, *hazard).0 > 0);
            println!("{}: {}", name.trim_start_matches("hazards :: "), if wrong { "wrong" } else { "right" });
        }
    }
    assert_eq!(debug::stats().guarded_resumes, 0);
    ExitCode::SUCCESS
}

fn without_the_guard_thread_locals_are_confused() {
    let ended = program("unguarded").run().exits_with(0);
    // The compiler chooses whether it keeps an address from one use to the next; `ci/optimized.sh`
    // varies that.
    let closed = if env::var_os("GREENTHREAD_OPTIMIZED").is_some() { &[][..] } else { &["closed_const"] };
    for variant in ["open_const", "open_lazy", "errno", "open_below_grow"].iter().chain(closed) {
        assert!(ended.stdout.contains(&format!("{variant}: wrong")), "{variant}: {ended:#?}");
    }
}

/// Runs the hazard that the guard cannot see, with the guard on.
fn unseen() -> ExitCode {
    let _watchdog = watchdog("unseen");
    let wrong = (0..20).any(|seed| roam(seed, 4, hazards::open_in_a_vector).0 > 0);
    println!("{}", if wrong { "wrong" } else { "right" });
    ExitCode::SUCCESS
}

/// Checks the limit that the documentation states: if this fails, the documentation promises too
/// little.
fn the_guard_does_not_see_addresses_in_the_heap() {
    program("unseen").run().exits_with(0).prints("wrong\n");
}

thread_local! {
    static HELD: Cell<u32> = const { Cell::new(0) };
}

fn receive(wait: &Receiver<()>) {
    wait.recv().unwrap();
}

/// Starts a goroutine that parks while it has a thread-local open.
///
/// It returns the goroutine's thread, the sender that resumes it, and its handle.
///
/// A foreign thread controls which goroutine then keeps that thread busy: any goroutine might have
/// a leftover address, be tied to that thread as well, and wait.
fn holder() -> (i32, Sender<()>, JoinHandle<()>) {
    holder_that(receive)
}

/// Does what [`holder`] does, and parks with `wait_for`.
fn holder_that(wait_for: fn(&Receiver<()>)) -> (i32, Sender<()>, JoinHandle<()>) {
    let ((here, place), (go_on, wait)) = (bounded(1), bounded(0));
    let holder = spawn(move || {
        HELD.with(|held| {
            // Without this, the compiler computes the address at each use, on the thread of that
            // use.
            let held = black_box(held);
            let thread = hazards::thread();
            here.send(thread).unwrap();
            wait_for(&wait);
            held.set(held.get() + 1);
            assert_eq!(hazards::thread(), thread, "it came back elsewhere");
        });
    });
    let thread = place.recv().unwrap();
    // A dump lists the goroutine once for each of its stacks.
    until(|| parked("chan receive") > 0);
    (thread, go_on, holder)
}

/// Runs `f` on the M of `thread`.
///
/// Candidates that start on other threads keep those threads, until only `thread` is left.
fn on_thread<T: Send + 'static>(thread: i32, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let f = Arc::new(Mutex::new(Some(f)));
    let there = Arc::new(AtomicBool::new(false));
    let (found, place) = bounded(1);
    loop {
        let (f, there, found) = (Arc::clone(&f), Arc::clone(&there), found.clone());
        let candidate = spawn(move || {
            let here = hazards::thread() == thread;
            found.send(here).unwrap();
            while !here && !there.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_micros(100));
            }
            here.then(|| {
                there.store(true, Ordering::Relaxed);
                let f = f.lock().unwrap().take().expect("one candidate is there");
                f()
            })
        });
        if place.recv().unwrap() {
            let end = move || candidate.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
            return spawn(move || end().expect("it was the one"));
        }
    }
}

/// Resumes the holder while its thread is busy, and waits until the guard has sent the holder back
/// to that thread.
fn resume_until_sent_back(go_on: &Sender<()>) {
    let before = debug::stats().guarded_resumes;
    go_on.send(()).unwrap();
    until(|| debug::stats().guarded_resumes > before);
}

fn a_goroutine_waits_for_its_busy_thread() {
    check_from_thread(|| wait_for_a_busy_thread(receive));
}

fn wait_for_a_busy_thread(wait_for: fn(&Receiver<()>)) {
    let (thread, go_on, holder) = holder_that(wait_for);
    let stop = Arc::new(AtomicBool::new(false));
    let hog = on_thread(thread, {
        let stop = Arc::clone(&stop);
        move || spin_until(&stop)
    });
    resume_until_sent_back(&go_on);
    let goroutine = |id| debug::goroutines().into_iter().find(|goroutine| goroutine.id == id);
    until(|| goroutine(holder.id()).is_some_and(|holder| holder.behind.is_some()));
    let ahead = goroutine(holder.id()).unwrap().behind.unwrap();
    assert_eq!(goroutine(ahead).unwrap().state, GoroutineState::Running);
    assert!(
        debug::dump().contains(&format!("[runnable, behind goroutine {ahead} on its thread]")),
        "{}",
        debug::dump()
    );
    let others: Vec<_> = (0..100).map(|n| spawn(move || (yield_now(), n).1)).collect();
    assert_eq!(others.into_iter().map(|other| other.join().unwrap()).sum::<u32>(), 4950);
    assert!(!holder.is_finished());
    stop.store(true, Ordering::Relaxed);
    holder.join().unwrap();
    hog.join().unwrap();
}

fn spin_until(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

/// Checks that a goroutine that only yields is not a hog: it lets the goroutine that waits for its
/// thread run, although no other goroutine is there.
fn a_yielding_goroutine_gives_way_to_a_tied_one() {
    check_from_thread(|| {
        let (thread, go_on, holder) = holder();
        let (holder, stop) = (Arc::new(holder), Arc::new(AtomicBool::new(false)));
        let yielding = on_thread(thread, {
            let (holder, stop) = (Arc::clone(&holder), Arc::clone(&stop));
            move || {
                spin_until(&stop);
                until(|| holder.is_finished());
            }
        });
        resume_until_sent_back(&go_on);
        stop.store(true, Ordering::Relaxed);
        yielding.join().unwrap();
    });
}

/// Checks the case in which the goroutine that has locked the thread waits for the one that must
/// run there.
fn a_thread_locked_by_another_causes_no_deadlock() {
    check_from_thread(|| {
        let (thread, go_on, holder) = holder();
        let locker = on_thread(thread, move || {
            let _guard = lock_os_thread();
            go_on.send(()).unwrap();
            holder.join().unwrap();
            assert_eq!(hazards::thread(), thread);
        });
        locker.join().unwrap();
    });
}

/// Checks the same with a second goroutine that locks the thread as well.
fn two_goroutines_lock_one_thread() {
    check_from_thread(|| {
        let ((here, place), (go_on, wait)) = (bounded(1), bounded::<()>(0));
        let first = spawn(move || {
            HELD.with(|held| {
                let held = black_box(held);
                let thread = hazards::thread();
                here.send(thread).unwrap();
                wait.recv().unwrap();
                let _guard = lock_os_thread();
                (0..10).for_each(|_| time::sleep(Duration::from_micros(50)));
                assert_eq!(hazards::thread(), thread);
                held.set(held.get() + 1);
            });
        });
        let thread = place.recv().unwrap();
        until(|| parked("chan receive") == 1);
        let second = on_thread(thread, move || {
            let _guard = lock_os_thread();
            go_on.send(()).unwrap();
            for _ in 0..20 {
                time::sleep(Duration::from_micros(50));
                assert_eq!(hazards::thread(), thread);
            }
            first.join().unwrap();
            time::sleep(Duration::from_micros(50));
            assert_eq!(hazards::thread(), thread);
        });
        second.join().unwrap();
    });
}

/// Checks that the goroutine waits while another one unwinds and blocks its thread.
fn a_goroutine_waits_for_its_blocked_thread() {
    struct Waits(Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }
    check_from_thread(|| {
        let (thread, go_on, holder) = holder();
        let (let_go, released) = bounded(0);
        let unwinds = on_thread(thread, move || {
            let _waits = Waits(released);
            panic::resume_unwind(Box::new("expected"));
        });
        until(|| parked("chan receive") == 2);
        resume_until_sent_back(&go_on);
        assert!(!holder.is_finished());
        let_go.send(()).unwrap();
        unwinds.join().unwrap_err();
        holder.join().unwrap();
    });
}

/// Checks that the guard finds an address on the stack that was left, not only on those to which
/// the goroutine has grown.
fn a_goroutine_on_several_stacks() {
    fn grow_and_receive(wait: &Receiver<()>) {
        let grow = |f: &dyn Fn()| stack::grow(usize::MAX, 64 << 10, f);
        grow(&|| grow(&|| receive(wait)));
    }
    check_from_thread(|| wait_for_a_busy_thread(grow_and_receive));
}

/// Checks that no goroutine starves, whether it must return to its thread or not.
fn crowds_of_both_kinds() {
    check(|| {
        let holders = (0..200).map(|_| spawn(|| hazards::open_const(50, &|| time::sleep(Duration::from_micros(10)))));
        let others = (0..200).map(|_| spawn(|| (0..50).map(|_| yield_now()).count() as u32 - 50));
        let pinned = (0..2).map(|_| Builder::new().pinned(true).spawn(|| hazards::open_lazy(50, &yield_now)).unwrap());
        let all: Vec<_> = holders.chain(others).chain(pinned).collect();
        assert_eq!(all.into_iter().map(|one| one.join().unwrap()).sum::<u32>(), 0);
    });
}

/// Runs prime sieves under chaos, and prints how often a goroutine moved to another thread and how
/// often the guard sent one back.
fn sieves() -> ExitCode {
    fn filter(rx: Receiver<u32>, prime: u32, moved: Arc<AtomicU32>) -> Receiver<u32> {
        let (tx, next) = bounded(0);
        spawn(move || {
            let mut last = hazards::thread();
            let mut count = |_: &u32| {
                moved.fetch_add(u32::from(hazards::thread() != last), Ordering::Relaxed);
                last = hazards::thread();
            };
            rx.iter().inspect(&mut count).filter(|n| n % prime != 0).try_for_each(|n| tx.send(n))
        });
        next
    }
    let _watchdog = watchdog("sieves");
    let moved = Arc::new(AtomicU32::new(0));
    for procs in [1, 2, 4] {
        check_on(procs, || {
            let (tx, mut rx) = bounded(0);
            spawn(move || (2..).try_for_each(|n| tx.send(n)));
            for _ in 0..40 {
                let prime = rx.recv().unwrap();
                rx = filter(rx, prime, Arc::clone(&moved));
            }
        });
    }
    println!("{} {}", moved.load(Ordering::Relaxed), debug::stats().guarded_resumes);
    ExitCode::SUCCESS
}

/// Checks that the runtime's own functions leave no address of a thread-local on the stack of the
/// goroutine that calls them.
///
/// The guard would take such an address for one in use. (Two operations do leave one, once in a
/// while: the start of a thread, and the growth of a run queue.)
fn the_runtime_leaves_no_addresses_behind() {
    let stdout =
        program("sieves").env("GREENTHREAD_CHAOS", &(seed() as u32 | 1).to_string()).run().exits_with(0).stdout;
    let (moved, guarded) = stdout.trim().split_once(' ').expect("two numbers");
    let (moved, guarded): (u32, u32) = (moved.parse().unwrap(), guarded.parse().unwrap());
    assert!(moved >= 1000 && guarded * 500 <= moved, "{moved} times moved, {guarded} times sent back");
}

const TESTS: &[child::Test] = named![
    thread_locals_belong_to_the_current_thread,
    without_the_guard_thread_locals_are_confused,
    the_guard_does_not_see_addresses_in_the_heap,
    a_goroutine_waits_for_its_busy_thread,
    a_yielding_goroutine_gives_way_to_a_tied_one,
    a_thread_locked_by_another_causes_no_deadlock,
    two_goroutines_lock_one_thread,
    a_goroutine_waits_for_its_blocked_thread,
    a_goroutine_on_several_stacks,
    crowds_of_both_kinds,
    the_runtime_leaves_no_addresses_behind,
];

const PROGRAMS: &[child::Main] = named![unguarded, unseen, sieves];

// These tests need goroutines that meet on threads to which others are tied.
pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS).after(|| child::without(Mechanism::KeepApart));
