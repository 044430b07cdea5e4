//! Faults: stack overflow in Rust and in C, the handlers of the embedding program, alternate
//! stacks. All tests run child processes.
//!
//! They do without the usual harness: see `common::child`. `crash.rs` has the overflows of
//! goroutines that were spawned in other ways.

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::mem;
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, default_stack, named, program, program_after};
use greenthread::__private::Mechanism;
use greenthread::config::Guards;
use greenthread::{Builder, debug, go, set_gomaxprocs, spawn, stack, time};
use greenthread_scheduler::WaitReason;
use greenthread_scheduler::wait::Blocker;

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    an_overflow_in_rust,
    overflows_at_once,
    an_overflow_lists_the_calls_at_both_ends,
    an_overflow_of_a_large_frame_lists_its_calls,
    an_overflow_lists_calls_beyond_a_grown_stack,
    without_unwinding_an_overflow_is_reported,
    an_overflow_in_a_c_function,
    frames_that_skip_part_of_the_guard,
    an_overflow_of_an_ordinary_thread,
    an_overflow_of_the_schedulers_stack,
    a_stray_pointer_is_not_an_overflow,
    the_previous_handler_gets_other_faults,
    without_the_chain_the_previous_handler_gets_none,
    an_action_that_is_not_a_handler,
    a_one_shot_handler_runs_once,
    a_handlers_mask_is_respected,
    a_handler_may_repair_the_fault,
    handlers_installed_later,
    every_m_has_an_alternate_stack,
    an_overflow_without_stds_alternate_stack,
    an_overflow_of_a_grown_stack_of_a_c_thread,
];

const PROGRAMS: &[child::Main] = named![
    overflows,
    overflows_without_report,
    overflows_by_large_frames,
    overflows_a_grown_stack,
    overflows_without_unwinding,
    overflow_together,
    overflows_in_c,
    skips,
    skips_with_a_small_stack,
    overflows_main,
    overflows_a_thread,
    overflows_an_m,
    strays,
    has_three_arguments,
    has_three_arguments_and_overflows,
    has_one_argument,
    chains_nothing,
    ignores_faults,
    ignores_sent,
    defaults_faults,
    defaults_sent,
    handles_once,
    masks,
    repairs,
    comes_later_and_overflows,
    comes_later_and_faults,
    comes_later_alone,
    asks_for_alternate_stacks,
    overflows_without_alternate_stack,
    grows_on_a_thread_of_c,
    grows_without_alternate_stack,
];

/// A distance below the end of a stack: a small part of the guard of a small stack, and the whole
/// guard of others.
const SMALL_GUARD: usize = 4 << 10;
const GUARD: usize = 16 << 10;

/// Returns the signal that an access to a guard raises.
fn guard_signal() -> c_int {
    spawn(|| ()).join().unwrap();
    if debug::stats().guards == Guards::Userfault { libc::SIGBUS } else { libc::SIGSEGV }
}

/// Recurses forever.
#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(n: u64) -> u64 {
    let frame = black_box([n; 20]);
    overflow(n + 1) + black_box(frame)[3]
}

fn dig() {
    black_box(overflow(0));
}

fn in_a_goroutine(body: impl FnOnce() + Send + 'static) -> ExitCode {
    Builder::new().name("digger").spawn(body).unwrap().join().unwrap();
    ExitCode::SUCCESS
}

fn overflows() -> ExitCode {
    in_a_goroutine(dig)
}

fn overflows_without_report() -> ExitCode {
    child::without(Mechanism::OverflowReport);
    overflows()
}

#[track_caller]
fn names_the_goroutine(ended: Ended) {
    let ended = ended.aborts().prints("").says("fatal error: stack overflow");
    ended
        .says(" 'digger', spawned at runtime/tests/isolated/faults.rs:")
        .says(&format!("its stack of {}", default_stack()));
}

fn an_overflow_in_rust() {
    for procs in ["1", "2", "4"] {
        names_the_goroutine(program("overflows").env("GOMAXPROCS", procs).run());
    }
    let ended = program("overflows_without_report").run().killed_by(guard_signal());
    ended.does_not_say("goroutine").does_not_say("stack overflow");
}

/// Returns the number of calls that the report leaves out, after checking that it shows the
/// innermost and the outermost ones.
#[track_caller]
fn elided(ended: &Ended, innermost: &str) -> usize {
    let (first, rest) = ended.stderr.split_once("\n... ").unwrap_or_else(|| panic!("{ended:#?}"));
    let (count, last) = rest.split_once(" frames elided ...\n").unwrap_or_else(|| panic!("{ended:#?}"));
    for (end, least) in [(first, 10), (last, 8)] {
        assert!(end.matches(&format!("{innermost}(...)\n")).count() >= least, "{ended:#?}");
    }
    let outermost = last.split_once("dig(...)").or(last.split_once("dive(...)")).expect(last).1;
    assert!(!outermost.contains(&format!("{innermost}(...)")) && !last.contains("additional frames"), "{ended:#?}");
    count.parse().unwrap()
}

fn an_overflow_lists_the_calls_at_both_ends() {
    for guards in [Guards::Auto, Guards::Install, Guards::Userfault, Guards::Holes, Guards::Mprotect] {
        let ended = program("overflows").env("GREENTHREAD_GUARDS", &guards.to_string()).run().aborts();
        let count = elided(&ended, "overflow");
        assert!((100..10_000).contains(&count), "{ended:#?}");
    }
}

/// Recurses until the stack overflows, in frames of many pages, each of which is touched before the
/// function begins.
#[expect(unconditional_recursion, reason = "that is the point")]
fn large(n: u64) -> u64 {
    let frame = black_box([n; 12_000]);
    large(n + 1) + black_box(frame)[3]
}

fn dive(depth: u64) {
    black_box(large(depth));
}

fn overflows_by_large_frames() -> ExitCode {
    let body = || dive(0);
    Builder::new().name("digger").stack_size(32 << 20).spawn(body).unwrap().join().unwrap();
    ExitCode::SUCCESS
}

fn an_overflow_of_a_large_frame_lists_its_calls() {
    let ended = program("overflows_by_large_frames").run().aborts().says("its stack of 32768 KiB");
    // In debug builds each call copies the frame.
    let count = elided(&ended, "large");
    assert!((20..400).contains(&count), "{ended:#?}");
}

fn overflows_a_grown_stack() -> ExitCode {
    in_a_goroutine(|| stack::grow(3 << 20, 4 << 20, dig))
}

fn an_overflow_lists_calls_beyond_a_grown_stack() {
    let ended = program("overflows_a_grown_stack").run().aborts().says("its stack of 4096 KiB");
    ended.says("overflow(...)\n").says(" frames elided ...\n").says("overflows_a_grown_stack");
}

fn overflows_without_unwinding() -> ExitCode {
    child::without(Mechanism::Unwind);
    overflows()
}

fn without_unwinding_an_overflow_is_reported() {
    let ended = program("overflows_without_unwinding").run();
    names_the_goroutine(ended.does_not_say("elided").does_not_say("(...)"));
}

fn overflow_together() -> ExitCode {
    let ready = Arc::new(Barrier::new(4));
    let body = |ready: Arc<Barrier>| {
        move || {
            ready.wait();
            dig();
        }
    };
    let handles: Vec<_> = (0..4).map(|_| spawn(body(Arc::clone(&ready)))).collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    ExitCode::SUCCESS
}

fn overflows_at_once() {
    for _ in 0..20 {
        let ended = program("overflow_together").env("GOMAXPROCS", "4").run().aborts();
        assert_eq!(ended.stderr.matches("fatal error").count(), 1, "{ended:#?}");
        ended.says("goroutine ").says(&format!("its stack of {}", default_stack())).says("GREENTHREAD_STACK");
    }
}

/// Sorts two numbers, and sorts them again for each comparison.
extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
    let mut numbers = [black_box(a.addr()), black_box(b.addr())];
    // SAFETY: `numbers` holds two `usize`s, as the arguments say.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 2, size_of::<usize>(), Some(compare)) };
    black_box(numbers)[0].cmp(&1) as c_int
}

fn overflows_in_c() -> ExitCode {
    in_a_goroutine(|| _ = compare(ptr::null(), ptr::null()))
}

fn an_overflow_in_a_c_function() {
    names_the_goroutine(program("overflows_in_c").run());
}

/// Makes C touch the byte `bytes` below the end of the stack.
///
/// A C function with a large frame may do so if it does not touch each page on its way.
fn skip(bytes: usize) {
    let here = 0_u8;
    let end = (&raw const here).addr() - stack::remaining().unwrap();
    // The address is off by the frames between this function and `remaining`: it is rounded to the
    // nearest page.
    let end = (end + 2048) & !4095;
    // SAFETY: none: the write must fault.
    unsafe { libc::memset(ptr::with_exposed_provenance_mut(black_box(end) - bytes), 1, 1) };
    println!("nothing was there");
}

fn bytes_to_skip() -> usize {
    std::env::var("SKIP").unwrap().parse().unwrap()
}

fn skips() -> ExitCode {
    in_a_goroutine(|| skip(bytes_to_skip()))
}

fn skips_with_a_small_stack() -> ExitCode {
    let body = || skip(bytes_to_skip());
    Builder::new().name("digger").stack_size(32 << 10).spawn(body).unwrap().join().unwrap();
    ExitCode::SUCCESS
}

fn frames_that_skip_part_of_the_guard() {
    for bytes in [1, 4096, GUARD / 2, GUARD - 1, GUARD] {
        names_the_goroutine(program("skips").env("SKIP", &bytes.to_string()).run());
    }
    for bytes in [1, SMALL_GUARD] {
        let ended = program("skips_with_a_small_stack").env("SKIP", &bytes.to_string()).run();
        ended.aborts().says(" 'digger', spawned at").says("its stack of 32 KiB");
    }
}

fn overflows_main() -> ExitCode {
    spawn(|| ()).join().unwrap();
    dig();
    ExitCode::SUCCESS
}

fn overflows_a_thread() -> ExitCode {
    spawn(|| thread::Builder::new().name("worker".into()).spawn(|| overflow(0)).unwrap().join())
        .join()
        .unwrap()
        .unwrap();
    ExitCode::SUCCESS
}

fn an_overflow_of_an_ordinary_thread() {
    for (name, thread) in [("overflows_main", "main"), ("overflows_a_thread", "worker")] {
        let ended = program(name).run().aborts().says(&format!("thread '{thread}'")).says("has overflowed its stack");
        ended.does_not_say("goroutine").does_not_say("GREENTHREAD_STACK");
    }
}

/// Overflows the M's system stack, on which the code runs between a goroutine's last instruction
/// before it parks and the first of the next goroutine.
fn overflows_an_m() -> ExitCode {
    // SAFETY: `dig` neither panics nor blocks: it ends the process, which this test checks.
    in_a_goroutine(|| unsafe { Blocker::new().block(WaitReason::Join, dig) })
}

fn an_overflow_of_the_schedulers_stack() {
    let ended = program("overflows_an_m").run().aborts().says("thread 'greenthread-m").says("has overflowed its stack");
    ended.does_not_say("digger");
}

fn strays() -> ExitCode {
    static GUARDED: AtomicUsize = AtomicUsize::new(0);
    go!(|| {
        let here = 0_u8;
        GUARDED.store((&raw const here).addr() - stack::remaining().unwrap() - 8192, Ordering::Relaxed);
        loop {
            std::hint::spin_loop();
        }
    });
    while GUARDED.load(Ordering::Relaxed) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    in_a_goroutine(|| fault_at(GUARDED.load(Ordering::Relaxed)))
}

fn a_stray_pointer_is_not_an_overflow() {
    program("strays").run().killed_by(guard_signal()).does_not_say("overflow");
}

fn fault_at(address: usize) {
    // SAFETY: none: it must fault, or write a byte that no other code uses.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(black_box(address)).write_volatile(1) };
}

/// An address that is never mapped.
const NOWHERE: usize = 64;

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Installs a handler, and returns the previous action.
fn handle(signal: c_int, handler: usize, flags: c_int) -> libc::sigaction {
    // SAFETY: all zero bytes are a valid `sigaction`, and the handlers here are async-signal-safe.
    unsafe {
        let (mut action, mut before): (libc::sigaction, libc::sigaction) = (mem::zeroed(), mem::zeroed());
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaddset(&raw mut action.sa_mask, libc::SIGUSR1);
        assert_eq!(libc::sigaction(signal, &raw const action, &raw mut before), 0);
        before
    }
}

fn say(text: &str) {
    // SAFETY: pointer and length are those of `text`, and `write` is async-signal-safe.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

fn exit(status: c_int) -> ! {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(status) }
}

extern "C" fn with_three(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to the handler of a fault.
    let address = unsafe { (*info).si_addr() }.addr();
    exit(if signal == libc::SIGSEGV && address == NOWHERE && !context.is_null() { 33 } else { 34 })
}

extern "C" fn with_one(signal: c_int) {
    exit(signal + 40)
}

fn has_three_arguments() -> ExitCode {
    handle(libc::SIGSEGV, with_three as Handler as usize, libc::SA_SIGINFO);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn has_three_arguments_and_overflows() -> ExitCode {
    handle(libc::SIGSEGV, with_three as Handler as usize, libc::SA_SIGINFO);
    overflows()
}

fn has_one_argument() -> ExitCode {
    handle(libc::SIGSEGV, with_one as extern "C" fn(c_int) as usize, 0);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn chains_nothing() -> ExitCode {
    child::without(Mechanism::SignalChain);
    has_three_arguments()
}

fn the_previous_handler_gets_other_faults() {
    program("has_three_arguments").run().exits_with(33).says_nothing();
    program("has_one_argument").run().exits_with(40 + libc::SIGSEGV).says_nothing();
    names_the_goroutine(program("has_three_arguments_and_overflows").run());
}

fn without_the_chain_the_previous_handler_gets_none() {
    program("chains_nothing").run().killed_by(libc::SIGSEGV);
}

fn send(signal: c_int) {
    // SAFETY: `raise` sends a signal to the calling thread and touches no memory.
    unsafe { libc::raise(signal) };
}

fn ignores_faults() -> ExitCode {
    handle(libc::SIGSEGV, libc::SIG_IGN, 0);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn ignores_sent() -> ExitCode {
    handle(libc::SIGSEGV, libc::SIG_IGN, 0);
    in_a_goroutine(|| (0..3).for_each(|_| send(libc::SIGSEGV)))
}

fn defaults_faults() -> ExitCode {
    handle(libc::SIGSEGV, libc::SIG_DFL, 0);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn defaults_sent() -> ExitCode {
    handle(libc::SIGBUS, libc::SIG_DFL, 0);
    in_a_goroutine(|| send(libc::SIGBUS))
}

fn an_action_that_is_not_a_handler() {
    program("ignores_faults").run().killed_by(libc::SIGSEGV).says_nothing();
    program("ignores_sent").run().exits_with(0).says_nothing();
    program("defaults_faults").run().killed_by(libc::SIGSEGV).says_nothing();
    program("defaults_sent").run().killed_by(libc::SIGBUS).says_nothing();
}

extern "C" fn says(_: c_int) {
    say("handled\n");
}

/// Installs a crash reporter for one fault: it returns, and the fault then has its default effect.
fn handles_once() -> ExitCode {
    handle(libc::SIGSEGV, says as extern "C" fn(c_int) as usize, libc::SA_RESETHAND);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn a_one_shot_handler_runs_once() {
    program("handles_once").run().killed_by(libc::SIGSEGV).prints("handled\n").says_nothing();
}

extern "C" fn looks_at_its_mask(signal: c_int) {
    // SAFETY: all zero bytes are a valid, empty signal set, which the call fills.
    let blocked = unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut set);
        [libc::SIGUSR1, libc::SIGUSR2, signal].map(|signal| libc::sigismember(&raw const set, signal))
    };
    // SIGUSR1 is in the mask of `handle`; the flag keeps the signal itself unblocked.
    exit(if blocked == [1, 0, 0] { 0 } else { 1 })
}

fn masks() -> ExitCode {
    handle(libc::SIGSEGV, looks_at_its_mask as extern "C" fn(c_int) as usize, libc::SA_NODEFER);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn a_handlers_mask_is_respected() {
    program("masks").run().exits_with(0);
}

static PAGE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn repair(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let page = PAGE.load(Ordering::Relaxed);
    // SAFETY: the kernel passes a valid `siginfo_t`, and this test owns the mapping of the page.
    unsafe {
        if (*info).si_addr().addr() & !4095 != page {
            exit(3);
        }
        libc::mprotect(ptr::with_exposed_provenance_mut(page), 4096, libc::PROT_READ | libc::PROT_WRITE);
    }
}

/// Repairs the fault in the handler, like the write barrier of a garbage collector.
fn repairs() -> ExitCode {
    handle(libc::SIGSEGV, repair as Handler as usize, libc::SA_SIGINFO);
    // SAFETY: a new anonymous mapping at an address that the kernel chooses touches no existing
    // memory.
    let page =
        unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    PAGE.store(page.expose_provenance(), Ordering::Relaxed);
    for _ in 0..50 {
        in_a_goroutine(|| {
            time::sleep(Duration::from_micros(10));
            fault_at(PAGE.load(Ordering::Relaxed) + 100);
        });
        // SAFETY: this test owns the page.
        unsafe { libc::mprotect(page, 4096, libc::PROT_NONE) };
    }
    println!("mended");
    overflows()
}

fn a_handler_may_repair_the_fault() {
    let ended = program("repairs").run().prints("mended\n").aborts();
    ended.says(" 'digger', spawned at runtime/tests/isolated/faults.rs:");
}

/// The handler that was installed before [`chains`].
static REPLACED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn chains(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    say("later\n");
    // SAFETY: the replaced handler is the runtime's, which takes three arguments.
    let replaced = unsafe { mem::transmute::<usize, Handler>(REPLACED.load(Ordering::Relaxed)) };
    replaced(signal, info, context);
}

fn come_later(signal: c_int) {
    spawn(|| ()).join().unwrap();
    let replaced = handle(signal, chains as Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
    REPLACED.store(replaced.sa_sigaction, Ordering::Relaxed);
}

fn comes_later_and_overflows() -> ExitCode {
    come_later(guard_signal());
    overflows()
}

fn comes_later_and_faults() -> ExitCode {
    handle(libc::SIGSEGV, with_three as Handler as usize, libc::SA_SIGINFO);
    come_later(libc::SIGSEGV);
    in_a_goroutine(|| fault_at(NOWHERE))
}

fn comes_later_alone() -> ExitCode {
    handle(guard_signal(), with_one as extern "C" fn(c_int) as usize, libc::SA_ONSTACK);
    overflows()
}

fn handlers_installed_later() {
    let ended = program("comes_later_and_overflows").run().aborts().prints("later\n");
    ended.says(" 'digger', spawned at");
    program("comes_later_and_faults").run().exits_with(33).prints("later\n").says_nothing();
    program("comes_later_alone").run().exits_with(40 + guard_signal()).says_nothing();
}

fn has_alternate_stack() -> bool {
    // SAFETY: the call only reads the current stack, and all zero bytes are a valid `stack_t`.
    unsafe {
        let mut now: libc::stack_t = mem::zeroed();
        libc::sigaltstack(ptr::null(), &raw mut now) == 0 && now.ss_flags & libc::SS_DISABLE == 0
    }
}

fn asks_for_alternate_stacks() -> ExitCode {
    set_gomaxprocs(4);
    let ask = || {
        // The goroutine keeps its thread, so that each of them has a different one.
        thread::sleep(Duration::from_millis(30));
        has_alternate_stack()
    };
    let handles: Vec<_> = (0..8).map(|_| spawn(ask)).collect();
    println!("{}", handles.into_iter().all(|handle| handle.join().unwrap()));
    ExitCode::SUCCESS
}

/// A shell command under which std sets up no alternate stacks.
///
/// std gives its threads alternate stacks unless the program was started with these signals
/// ignored.
const NOT_BY_STD: &str = "trap '' SEGV BUS";

fn every_m_has_an_alternate_stack() {
    program("asks_for_alternate_stacks").run().exits_with(0).prints("true\n");
    program_after(NOT_BY_STD, "asks_for_alternate_stacks").run().exits_with(0).prints("true\n");
}

fn overflows_without_alternate_stack() -> ExitCode {
    child::without(Mechanism::AlternateStack);
    overflows()
}

fn an_overflow_without_stds_alternate_stack() {
    names_the_goroutine(program_after(NOT_BY_STD, "overflows").run());
    let ended = program_after(NOT_BY_STD, "overflows_without_alternate_stack").run();
    ended.killed_by(libc::SIGSEGV).says_nothing();
}

fn grows_on_a_thread_of_c() -> ExitCode {
    extern "C" fn body(_: *mut c_void) -> *mut c_void {
        let before = has_alternate_stack();
        let during = stack::grow(0, 1 << 20, has_alternate_stack);
        println!("{before} {during} {}", has_alternate_stack());
        stack::grow(0, 1 << 20, dig);
        ptr::null_mut()
    }
    // SAFETY: the thread receives a null argument, and is joined before this returns.
    unsafe {
        let mut thread = mem::zeroed();
        assert_eq!(libc::pthread_create(&raw mut thread, ptr::null(), body, ptr::null_mut()), 0);
        libc::pthread_join(thread, ptr::null_mut());
    }
    ExitCode::SUCCESS
}

fn grows_without_alternate_stack() -> ExitCode {
    child::without(Mechanism::AlternateStack);
    grows_on_a_thread_of_c()
}

fn an_overflow_of_a_grown_stack_of_a_c_thread() {
    let ended = program("grows_on_a_thread_of_c").run().prints("false true false\n").aborts();
    ended.says("fatal error: stack overflow").says("1024 KiB").does_not_say("goroutine ");
    let ended = program("grows_without_alternate_stack").run().prints("false false false\n");
    ended.killed_by(libc::SIGSEGV).says_nothing();
}
