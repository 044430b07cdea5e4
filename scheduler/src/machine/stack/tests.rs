//! Stacks as the scheduler uses them: each test has its own pool, and a clock that it moves.

use std::collections::HashSet;
use std::hint::black_box;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::arena::Guards;
use super::pool::Pool;
use super::trim::{INTERVAL, Sweeper};
use super::*;
use crate::machine::sys::fence;
use crate::machine::sys::memory::{Residency, alternate_stack_size};
use crate::machine::sys::stack_pointer::stack_pointer;

const DEFAULT: usize = 256 << 10;

fn pool() -> &'static Pool {
    fence::init();
    Box::leak(Box::new(Pool::new()))
}

fn resident(meta: &SlotMeta) -> usize {
    let mut pages = 0;
    Residency::open().scan(meta.low()..meta.top(), &mut |run| pages += run.len() / page_size());
    pages
}

/// Sweeps until `clock` has moved by `intervals` and all slices of the last round are done.
///
/// Returns the last answer.
fn sweep_for(sweeper: &mut Sweeper, clock: &mut u64, intervals: u64) -> Option<u64> {
    let end = *clock + intervals * INTERVAL;
    loop {
        let next = sweeper.sweep(*clock)?;
        assert!(next > *clock, "the next slice must be later");
        if next > end {
            *clock = end;
            return Some(next);
        }
        *clock = next;
    }
}

/// Uses `bytes` of stack in small frames.
fn dive(bytes: usize) -> usize {
    descend(stack_pointer().saturating_sub(bytes))
}

#[inline(never)]
fn descend(to: usize) -> usize {
    let frame = black_box([to; 16]);
    let below = if frame.as_ptr().addr() <= to { to } else { descend(to) };
    assert_eq!(*black_box(&frame), [below; 16], "words on a running stack were lost");
    below
}

/// A parked coroutine that was `depth` deep before and keeps a few words on its stack.
struct Parked {
    coroutine: Coroutine<usize, usize, (), Stack>,
    meta: &'static SlotMeta,
    word: u64,
}

/// Suspends, and passes out an address below which the coroutine has nothing live. This function is
/// never inlined, so below its stack pointer there are only the frame of corosensei's `suspend` and
/// the registers that its switch saves.
#[inline(never)]
fn suspend<T>(yielder: &Yielder<T, usize>) -> T {
    yielder.suspend(stack_pointer() - 1024)
}

/// Given as input, ends the coroutine.
const END: usize = usize::MAX;

impl Parked {
    fn new(stack: Stack, depth: usize, word: u64) -> Self {
        let meta = stack.meta();
        let coroutine = Coroutine::with_stack(stack, move |yielder, mut depth: usize| {
            let live = black_box([word; 32]);
            while depth != END {
                black_box(dive(depth));
                depth = suspend(yielder);
                assert_eq!(live, [word; 32], "words on a parked stack were lost");
            }
        });
        let mut parked = Self { coroutine, meta, word };
        parked.run(depth);
        parked
    }

    /// Runs one iteration: goes `depth` deep and parks again.
    fn run(&mut self, depth: usize) {
        self.meta.resume();
        match self.coroutine.resume(depth) {
            // SAFETY: `suspend` returns an address below which nothing is live.
            CoroutineResult::Yield(sp) => unsafe { self.meta.suspend(sp) },
            CoroutineResult::Return(()) => panic!("the coroutine ended"),
        }
    }

    fn end(mut self) -> Stack {
        self.meta.resume();
        assert!(matches!(self.coroutine.resume(END), CoroutineResult::Return(())), "word = {}", self.word);
        self.coroutine.into_stack()
    }
}

/// Aborts the process if the test takes longer than a minute.
struct Watchdog(std::sync::Arc<AtomicBool>);

impl Watchdog {
    fn new(test: &'static str) -> Self {
        let done = std::sync::Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        std::thread::spawn(move || {
            let end = Instant::now() + Duration::from_secs(60);
            while Instant::now() < end {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            eprintln!("{test}: still running after 60 s");
            std::process::abort();
        });
        Self(done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sizes_round_up_and_have_bounds() {
    let reservation = |bytes| class_for(bytes).map(Class::reservation).map_err(|e| e.kind());
    assert_eq!(reservation(64 << 10), Ok(64 << 10));
    assert_eq!(reservation((64 << 10) + 1), Ok(128 << 10));
    assert_eq!(reservation(64 << 30), Ok(64 << 30));
    for bytes in [0, 1, 4096, 16383, (64 << 30) + 1, usize::MAX] {
        assert_eq!(reservation(bytes), Err(io::ErrorKind::InvalidInput), "{bytes}");
    }
    let text = class_for(0).unwrap_err().to_string();
    assert!(text.contains("0 bytes") && text.contains("64 GiB"), "{text}");
    assert_eq!(default_reservation(), DEFAULT);
}

#[test]
fn every_class_gives_a_usable_stack() {
    let pool = pool();
    for index in 0..Class::COUNT {
        let class = Class::nth(index).unwrap();
        if class_for(class.reservation()).is_err() {
            continue; // too small for this system's pages
        }
        let stack = pool.take(class.reservation()).unwrap();
        assert_eq!(stack.meta().class().reservation(), class.reservation());
        assert_eq!(stack.limit().get() + class.reservation(), stack.meta().top());
        assert!(stack.base().get().is_multiple_of(16) && stack.meta().top() - stack.base().get() <= 1920);
        assert!(stack.base().get() - stack.low() >= page_size() - 1920);
        let parked = Parked::new(stack, 0, index as u64);
        pool.give(parked.end());
    }
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn stacks_are_reused_last_in_first_out() {
    let pool = pool();
    let (a, b) = (pool.take(DEFAULT).unwrap(), pool.take(DEFAULT).unwrap());
    let tops = [&a, &b].map(|stack| stack.base());
    assert_ne!(tops[0], tops[1]);
    pool.give(a);
    pool.give(b);
    assert_eq!([(); 2].map(|()| pool.take(DEFAULT).unwrap().base()), [tops[1], tops[0]]);

    let mut cache = StackCache::of(pool);
    let (a, b) = (cache.take().unwrap(), cache.take().unwrap());
    let tops = [&a, &b].map(|stack| stack.base());
    cache.give(a);
    cache.give(b);
    assert_eq!([(); 2].map(|()| cache.take().unwrap().base()), [tops[1], tops[0]]);
}

#[test]
fn the_cache_moves_batches_and_loses_nothing() {
    let pool = pool();
    let mut cache = StackCache::of(pool);
    let stacks: Vec<_> = (0..1000).map(|_| cache.take().unwrap()).collect();
    assert_eq!(stacks.iter().map(|stack| stack.base()).collect::<HashSet<_>>().len(), 1000);
    assert_eq!(pool.stats().in_use, 1000);
    let reserved = pool.stats().reserved;
    assert!((1000..=1000 + 64 + 32).contains(&reserved), "{reserved}");
    for stack in stacks {
        cache.give(stack);
    }
    assert_eq!((pool.stats().in_use, pool.stats().free), (0, reserved));

    let large = pool.take(1 << 20).unwrap();
    cache.give(large);
    assert_eq!(cache.take().unwrap().meta().class().reservation(), DEFAULT, "another class went past the cache");
    drop(cache);
    for _ in 0..reserved - 1 {
        // Leaked on purpose, to check that the other stacks are in the pool.
        let _ = std::mem::ManuallyDrop::new(pool.take(DEFAULT).unwrap());
    }
    assert_eq!(pool.stats().reserved, reserved + 16, "nothing new but the group of the large one");
}

#[test]
fn owners_are_those_of_stacks_in_use() {
    let pool = pool();
    let owners = || {
        let mut owners: Vec<usize> = pool.owned().map(|(_, owner)| owner.addr()).collect();
        owners.sort_unstable();
        owners
    };
    let stacks = [64, 128].map(|owner| {
        let stack = pool.take(DEFAULT).unwrap();
        stack.meta().set_owner(std::ptr::without_provenance_mut(owner));
        stack
    });
    let nobodys = pool.take(64 << 10).unwrap();
    assert_eq!(owners(), [64, 128]);
    stacks.into_iter().for_each(|stack| pool.give(stack));
    assert_eq!(owners(), []);
    pool.give(nobodys);
}

#[test]
fn without_guard_install_there_is_a_cap_and_a_reason() {
    fence::init();
    let pool: &'static Pool = Box::leak(Box::new(Pool::with_guards(Guards::protect_only(100))));
    let mut stacks: Vec<_> = (0..100).map(|_| pool.take(DEFAULT).unwrap()).collect();
    let error = pool.take(DEFAULT).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    let text = error.to_string();
    assert!(text.contains("more than 100 stacks") && text.contains("mappings"), "{text}");
    pool.give(stacks.pop().unwrap());
    let again = pool.take(DEFAULT).unwrap();
    pool.give(Parked::new(again, 24 << 10, 1).end());
}

#[test]
fn a_coroutine_may_use_all_of_its_stack() {
    let pool = pool();
    let stack = pool.take(64 << 10).unwrap();
    let parked = Parked::new(stack, 40 << 10, 7);
    assert!(resident(parked.meta) >= 10);
    pool.give(parked.end());
}

#[test]
fn a_parked_stack_falls_back_to_its_live_pages() {
    let pool = pool();
    let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
    for class in [DEFAULT, 64 << 10, 1 << 20, 64 << 20] {
        let mut parked: Vec<_> = (0..100).map(|i| Parked::new(pool.take(class).unwrap(), 24 << 10, i)).collect();
        assert!(parked.iter().all(|p| resident(p.meta) >= 6));
        sweep_for(&mut sweeper, &mut clock, 3);
        let most = parked.iter().map(|p| resident(p.meta)).max();
        assert!(most <= Some(2), "{most:?} pages are left of class {class}");
        for p in &mut parked {
            p.run(1000);
            p.run(30 << 10);
        }
        assert_eq!(sweep_for(&mut sweeper, &mut clock, 3), None);
        assert!(parked.iter().all(|p| resident(p.meta) <= 2), "trimmed again after another run");
        parked.into_iter().for_each(|p| pool.give(p.end()));
    }
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn live_words_deep_down_are_kept() {
    let pool = pool();
    let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
    let meta = {
        let stack = pool.take(DEFAULT).unwrap();
        let meta = stack.meta();
        let mut coroutine = Coroutine::with_stack(stack, |yielder, ()| {
            let mut live = black_box([7u8; 20 << 10]);
            black_box(dive(24 << 10));
            suspend(yielder);
            assert!(black_box(&mut live).iter().all(|byte| *byte == 7));
        });
        let CoroutineResult::Yield(sp) = coroutine.resume(()) else { panic!("the coroutine ended") };
        let before = resident(meta);
        // SAFETY: `sp` is at or below everything that is live.
        unsafe { meta.suspend(sp) };
        sweep_for(&mut sweeper, &mut clock, 3);
        let live = (meta.top() - sp).div_ceil(page_size());
        let after = resident(meta);
        assert!(after < before && (live..=live + 1).contains(&after), "{after} pages of {before}, {live} of them live");
        meta.resume();
        assert!(matches!(coroutine.resume(()), CoroutineResult::Return(())));
        pool.give(coroutine.into_stack());
        meta
    };
    sweep_for(&mut sweeper, &mut clock, 3);
    assert_eq!(resident(meta), 1, "a free stack keeps its top page");
}

#[test]
fn shallow_stacks_are_left_alone_and_an_idle_process_is_not_visited() {
    let pool = pool();
    let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
    assert_eq!(sweeper.sweep(clock), None);
    let parked: Vec<_> = (0..1000).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 0, i)).collect();
    assert_eq!(sweep_for(&mut sweeper, &mut clock, 10), None, "nothing is left to do");
    assert!(clock <= 5 * INTERVAL, "done after {clock} ns");
    assert_eq!(pool.stats().trims, 0);
    parked.into_iter().for_each(|p| pool.give(p.end()));
}

#[test]
fn depth_that_the_canary_misses_is_found_by_the_scan() {
    let pool = pool();
    let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
    let parked: Vec<_> = (0..640).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 0, i)).collect();
    for p in &parked {
        p.meta.resume();
        // Acts like a large buffer of which only the far end is written.
        for page in 2..6 {
            let at = std::ptr::with_exposed_provenance_mut::<u8>(p.meta.top() - page * page_size());
            // SAFETY: the address is on the stack, and not in use.
            unsafe { at.write_volatile(1) };
        }
        assert!(p.meta.canary_intact());
        // SAFETY: the pages below are not in use.
        unsafe { p.meta.suspend(p.meta.saved_sp()) };
    }
    sweep_for(&mut sweeper, &mut clock, 3);
    let deep = parked.iter().filter(|p| resident(p.meta) > 2).count();
    assert_eq!(deep, 0, "of 640 that all go deep the sample must find out");
    parked.into_iter().for_each(|p| pool.give(p.end()));
}

#[test]
fn a_burst_gives_its_pages_back() {
    let pool = pool();
    let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
    let parked: Vec<_> = (0..2000).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 8 << 10, i)).collect();
    let metas: Vec<_> = parked.iter().map(|p| p.meta).collect();
    let pages = || metas.iter().map(|meta| resident(meta)).sum::<usize>();
    parked.into_iter().for_each(|p| pool.give(p.end()));
    assert!(pages() >= 4000);
    assert_eq!(sweep_for(&mut sweeper, &mut clock, 10), None, "nothing is left to do");
    assert!((200..=256).contains(&pages()), "the hottest keep one page each: {}", pages());
    let again: Vec<_> = (0..2000).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 24 << 10, i)).collect();
    assert!(again.iter().all(|p| metas.iter().any(|meta| std::ptr::eq(*meta, p.meta))), "all are reused");
    again.into_iter().for_each(|p| pool.give(p.end()));
}

/// Pseudorandom numbers: Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = u64::from(std::process::id()) << 32 | u64::from(Instant::now().elapsed().subsec_nanos()) | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Runs goroutines on a few stacks, `turns` times on each before the next, until the time is up;
/// some end and are replaced.
fn run_at_random(pool: &'static Pool, mut parked: Vec<Parked>, turns: usize) {
    let mut random = Random::new();
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        for _ in 0..turns {
            let i = random.below(parked.len());
            parked[i].run(random.below(40 << 10));
        }
        if random.below(4) == 0 {
            let i = random.below(parked.len());
            pool.give(parked.swap_remove(i).end());
            parked.push(Parked::new(pool.take(DEFAULT).unwrap(), random.below(40 << 10), random.0));
        }
    }
    parked.into_iter().for_each(|p| pool.give(p.end()));
}

/// Calls `sweep` on this thread repeatedly while goroutines run on another; checks that all went
/// well.
fn stress(stacks: u64, turns: usize, mut sweep: impl FnMut(&'static Pool, &[&'static SlotMeta])) {
    let pool = pool();
    let stacks: Vec<_> = (0..stacks).map(|_| pool.take(DEFAULT).unwrap()).collect();
    let metas: Vec<_> = stacks.iter().map(Stack::meta).collect();
    stacks.into_iter().for_each(|stack| pool.give(stack));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let parked = |word: usize| Parked::new(pool.take(DEFAULT).unwrap(), 0, word as u64);
            run_at_random(pool, (0..metas.len()).map(parked).collect(), turns);
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            sweep(pool, &metas);
        }
    });
    assert!(pool.stats().trims > 0, "nothing was trimmed: the test has tested nothing");
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn running_while_being_swept_loses_no_word() {
    let _watchdog = Watchdog::new("running_while_being_swept_loses_no_word");
    let (mut sweeper, mut clock) = (None, 1);
    stress(200, 8, |pool, _| {
        clock += INTERVAL;
        sweeper.get_or_insert_with(|| Sweeper::new(pool)).sweep(clock);
    });
}

#[test]
fn being_trimmed_at_every_moment_loses_no_word() {
    let _watchdog = Watchdog::new("being_trimmed_at_every_moment_loses_no_word");
    let mut sweeper = None;
    stress(3, 100, |pool, metas| {
        let sweeper = sweeper.get_or_insert_with(|| Sweeper::new(pool));
        metas.iter().for_each(|meta| sweeper.add(meta));
        sweeper.trim(false);
    });
}

/// Runs one test of this file again in its own process, which recognizes its role by an environment
/// variable.
fn in_child(test: &str) -> Output {
    let binary = std::env::current_exe().unwrap();
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    Command::new(binary).args([&name, "--exact", "--nocapture"]).env("STACK_TEST_CHILD", "1").output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os("STACK_TEST_CHILD").is_some()
}

#[track_caller]
fn assert_killed(output: &Output, signal: libc::c_int) -> String {
    use std::os::unix::process::ExitStatusExt;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(signal), "{text}");
    text
}

fn touch(address: usize) {
    // SAFETY: none; this must fault, in a process that exists for it.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
}

/// Faults below `stack`, after touching its lowest usable byte.
fn fault_in_guard(stack: &Stack) {
    touch(stack.low());
    touch(stack.low() - 1);
}

#[test]
fn the_guard_faults() {
    if is_child() {
        fault_in_guard(&pool().take(DEFAULT).unwrap());
    }
    assert_killed(&in_child("the_guard_faults"), libc::SIGSEGV);
}

#[test]
fn the_last_guard_of_a_group_faults_at_its_lowest_byte() {
    if is_child() {
        let stacks: Vec<_> = (0..64).map(|_| pool().take(DEFAULT).unwrap()).collect();
        touch(stacks.last().unwrap().limit().get());
    }
    assert_killed(&in_child("the_last_guard_of_a_group_faults_at_its_lowest_byte"), libc::SIGSEGV);
}

#[test]
fn the_guard_made_by_mprotect_faults() {
    if is_child() {
        let pool: &'static Pool = Box::leak(Box::new(Pool::with_guards(Guards::protect_only(10))));
        fault_in_guard(&pool.take(DEFAULT).unwrap());
    }
    assert_killed(&in_child("the_guard_made_by_mprotect_faults"), libc::SIGSEGV);
}

fn report(owner: *mut (), reservation: usize) {
    use std::fmt::Write;
    let _ = writeln!(overflow::Stderr, "owner {} of {reservation}", owner.addr());
}

static HOST: overflow::Host = overflow::Host { runs_here: |owner| owner.addr() == 4711, report };

fn overflow_a_goroutine() {
    overflow::install(&HOST);
    let stack = pool().take(128 << 10).unwrap();
    stack.meta().set_owner(std::ptr::without_provenance_mut(4711));
    let mut coroutine = Coroutine::with_stack(stack, |_: &Yielder<(), ()>, ()| {
        black_box(dive(1 << 30));
    });
    coroutine.resume(());
}

#[test]
fn an_overflow_is_reported() {
    if is_child() {
        overflow_a_goroutine();
    }
    let text = assert_killed(&in_child("an_overflow_is_reported"), libc::SIGABRT);
    for part in ["stack overflow", "owner 4711 of 131072", "128 KiB", "Builder::stack_size", "GREENTHREAD_STACK"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_thread_without_alternate_stack_gets_one() {
    if is_child() {
        // SAFETY: all zero bytes are a `stack_t`; this takes std's alternate stack away, as if
        // another language had started the thread.
        unsafe {
            let mut none: libc::stack_t = std::mem::zeroed();
            none.ss_flags = libc::SS_DISABLE;
            none.ss_size = 64 << 10;
            assert_eq!(libc::sigaltstack(&raw const none, std::ptr::null_mut()), 0);
        }
        drop(overflow::ensure_altstack(0).unwrap());
        let _first = overflow::ensure_altstack(0).unwrap();
        let _second = overflow::ensure_altstack(0).unwrap();
        overflow_a_goroutine();
    }
    let text = assert_killed(&in_child("a_thread_without_alternate_stack_gets_one"), libc::SIGABRT);
    assert!(text.contains("owner 4711"), "{text}");
}

#[test]
fn a_small_alternate_stack_is_replaced_and_comes_back() {
    let now = || {
        // SAFETY: all zero bytes are a `stack_t`; a query changes nothing.
        unsafe {
            let mut now: libc::stack_t = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(std::ptr::null(), &raw mut now), 0);
            (now.ss_sp, now.ss_flags, now.ss_size)
        }
    };
    let before = now();
    let wanted = before.2.max(alternate_stack_size()) + 1;
    let large = overflow::ensure_altstack(wanted).unwrap();
    let (sp, flags, size) = now();
    assert!(sp != before.0 && flags == 0 && size >= wanted, "{size} of {wanted}");
    drop(overflow::ensure_altstack(wanted).unwrap());
    assert_eq!(now(), (sp, flags, size), "large enough");
    drop(large);
    assert_eq!((now().0, now().1), (before.0, before.1));
}

#[test]
fn other_faults_go_to_the_handler_before() {
    if is_child() {
        overflow::install(&HOST);
        touch(8);
    }
    let text = assert_killed(&in_child("other_faults_go_to_the_handler_before"), libc::SIGSEGV);
    assert!(!text.contains("stack overflow"), "{text}");
}

#[test]
fn a_fault_in_the_guard_of_a_free_stack_is_no_overflow() {
    if is_child() {
        overflow::install(&HOST);
        let stack = pool().take(DEFAULT).unwrap();
        let guard = stack.low() - 1;
        pool().give(stack);
        touch(guard);
    }
    let text = assert_killed(&in_child("a_fault_in_the_guard_of_a_free_stack_is_no_overflow"), libc::SIGSEGV);
    assert!(!text.contains("stack overflow"), "{text}");
}

#[test]
fn a_fault_in_the_guard_of_a_stack_in_use_elsewhere_is_no_overflow() {
    if is_child() {
        overflow::install(&HOST);
        let stack = pool().take(DEFAULT).unwrap();
        stack.meta().set_owner(std::ptr::without_provenance_mut(4712));
        touch(stack.low() - 1);
    }
    let text =
        assert_killed(&in_child("a_fault_in_the_guard_of_a_stack_in_use_elsewhere_is_no_overflow"), libc::SIGSEGV);
    assert!(!text.contains("stack overflow"), "{text}");
}

#[test]
fn std_still_reports_the_stacks_of_threads() {
    if is_child() {
        overflow::install(&HOST);
        let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(|| black_box(dive(1 << 30)));
        let _ = thread.unwrap().join();
    }
    let text = assert_killed(&in_child("std_still_reports_the_stacks_of_threads"), libc::SIGABRT);
    assert!(text.contains("has overflowed its stack"), "{text}");
}

#[test]
fn a_sent_signal_still_kills() {
    if is_child() {
        // SAFETY: the default action, as a program without std's handler has.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        overflow::install(&HOST);
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGBUS) };
    }
    assert_killed(&in_child("a_sent_signal_still_kills"), libc::SIGBUS);
}

#[test]
fn a_handler_of_one_argument_is_called() {
    extern "C" fn exit(signal: libc::c_int) {
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(signal + 30) }
    }
    if is_child() {
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::signal(libc::SIGSEGV, exit as *const () as libc::sighandler_t) };
        overflow::install(&HOST);
        touch(8);
    }
    let output = in_child("a_handler_of_one_argument_is_called");
    assert_eq!(output.status.code(), Some(libc::SIGSEGV + 30));
}
