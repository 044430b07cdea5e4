//! Stacks as the scheduler uses them: each test has its own pools, one for each method of making
//! guards that the system supports, and a clock that it moves.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::guards::Guarding;
use super::pool::Pool;
use super::trim::{INTERVAL, Sweeper};
use super::*;
use crate::machine::sys::fence;
use crate::machine::sys::memory::Residency;
use crate::machine::sys::stack_pointer::stack_pointer;

mod faults;
mod guards;

const DEFAULT: usize = 256 << 10;

/// Returns a pool with guards by one method, and at most `most` mappings for them if that is not 0.
fn pool_of(method: Guards, most: usize) -> &'static Pool {
    fence::init();
    Box::leak(Box::new(Pool::guarded(Guarding::of(method, most))))
}

fn pool() -> &'static Pool {
    pool_of(Guards::Auto, 0)
}

/// Returns the methods of making guards that this system supports.
fn methods() -> Vec<Guards> {
    Guards::METHODS.into_iter().filter(|method| method.check().is_ok()).collect()
}

/// Calls `test` with a pool for each method of making guards.
fn with_each(test: impl Fn(&'static Pool)) {
    for method in methods() {
        println!("guards by {method}");
        test(pool_of(method, 0));
    }
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
    assert_eq!(reservation((64 << 10) + 1), Ok(96 << 10));
    assert_eq!(reservation((96 << 10) + 1), Ok(128 << 10));
    assert_eq!(reservation((1 << 20) + 1), Ok(1536 << 10));
    assert_eq!(reservation((2 << 20) + 1), Ok(4 << 20));
    assert_eq!(reservation(64 << 30), Ok(64 << 30));
    for bytes in [0, 1, 4096, 16383, (64 << 30) + 1, usize::MAX] {
        assert_eq!(reservation(bytes), Err(io::ErrorKind::InvalidInput), "{bytes}");
    }
    let text = class_for(0).unwrap_err().to_string();
    assert!(text.contains("0 bytes") && text.contains("64 GiB"), "{text}");
    assert_eq!(default_reservation(), if DEBUG_ASSERTIONS { 2 << 20 } else { 384 << 10 });
}

#[test]
fn every_class_gives_a_usable_stack() {
    with_each(|pool| {
        for index in 0..Class::COUNT {
            let class = Class::nth(index).unwrap();
            if !class_for(class.reservation()).is_ok_and(|found| found == class) {
                continue; // too small for this system's pages, or not in use
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
    });
}

#[test]
fn stacks_are_reused_last_in_first_out() {
    with_each(|pool| {
        let (a, b) = (pool.take(DEFAULT).unwrap(), pool.take(DEFAULT).unwrap());
        let tops = [&a, &b].map(|stack| stack.base());
        assert_ne!(tops[0], tops[1]);
        pool.give(a);
        pool.give(b);
        assert_eq!([(); 2].map(|()| pool.take(DEFAULT).unwrap().base()), [tops[1], tops[0]]);

        let mut cache = StackCache::of(pool, class_for(DEFAULT).unwrap());
        let (a, b) = (cache.take().unwrap(), cache.take().unwrap());
        let tops = [&a, &b].map(|stack| stack.base());
        cache.give(a);
        cache.give(b);
        assert_eq!([(); 2].map(|()| cache.take().unwrap().base()), [tops[1], tops[0]]);
    });
}

#[test]
fn the_cache_moves_batches_and_loses_nothing() {
    with_each(|pool| {
        let mut cache = StackCache::of(pool, class_for(DEFAULT).unwrap());
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
        let more = pool.stats().reserved - reserved;
        assert!(more == 16 || more == 16 + 64, "{more}: only the group of the large one, and one with spare stacks");
    });
}

#[test]
fn owners_are_those_of_stacks_in_use() {
    with_each(|pool| {
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
    });
}

#[test]
fn a_coroutine_may_use_all_of_its_stack() {
    with_each(|pool| {
        let stack = pool.take(64 << 10).unwrap();
        let parked = Parked::new(stack, 40 << 10, 7);
        assert!(resident(parked.meta) >= 10);
        pool.give(parked.end());
    });
}

#[test]
fn a_parked_stack_falls_back_to_its_live_pages() {
    with_each(|pool| {
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
    });
}

#[test]
fn live_words_deep_down_are_kept() {
    with_each(|pool| {
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
            assert!(
                after < before && (live..=live + 1).contains(&after),
                "{after} pages of {before}, {live} of them live"
            );
            meta.resume();
            assert!(matches!(coroutine.resume(()), CoroutineResult::Return(())));
            pool.give(coroutine.into_stack());
            meta
        };
        sweep_for(&mut sweeper, &mut clock, 3);
        assert_eq!(resident(meta), 1, "a free stack keeps its top page");
    });
}

#[test]
fn shallow_stacks_are_left_alone_and_an_idle_process_is_not_visited() {
    with_each(|pool| {
        let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
        assert_eq!(sweeper.sweep(clock), None);
        let parked: Vec<_> = (0..1000).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 0, i)).collect();
        assert_eq!(sweep_for(&mut sweeper, &mut clock, 10), None, "nothing is left to do");
        assert!(clock <= 5 * INTERVAL, "done after {clock} ns");
        assert_eq!(pool.stats().trims, 0);
        parked.into_iter().for_each(|p| pool.give(p.end()));
    });
}

#[test]
fn depth_that_the_canary_misses_is_found_by_the_scan() {
    with_each(|pool| {
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
    });
}

#[test]
fn a_burst_gives_its_pages_back() {
    with_each(|pool| {
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
    });
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
