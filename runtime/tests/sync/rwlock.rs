//! `sync::RwLock` from the outside: exclusion, fairness, and what the guards may do.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::drops::OnDrop;
use crate::common::{check, check_from_thread, parked, storm, text, until};
use greenthread::ctx::{Context, Error};
use greenthread::sync::{
    ArcRwLockReadGuard, ArcRwLockWriteGuard, Mutex, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard as Upgradable,
    RwLockWriteGuard, WaitGroup,
};
use greenthread::{scope, spawn, time};

const READ: &str = "sync.RWMutex.RLock";
const WRITE: &str = "sync.RWMutex.Lock";

#[test]
fn writers_exclude_each_other_and_readers() {
    check(|| {
        // Two halves that differ only for a reader beside a writer, or a writer beside another.
        let lock = RwLock::new((0, 0));
        let work = |n: u32| {
            for turn in 0..200 {
                if (n + turn).is_multiple_of(4) {
                    let mut pair = lock.write();
                    pair.0 += 1;
                    if turn % 3 == 0 {
                        greenthread::yield_now();
                    }
                    pair.1 += 1;
                } else {
                    let pair = lock.read();
                    let first = pair.0;
                    if turn % 5 == 0 {
                        greenthread::yield_now();
                    }
                    assert_eq!((first, first), *pair);
                }
            }
        };
        let work = &work;
        thread::scope(|threads| {
            scope(|s| {
                (0..2).for_each(|n| drop(threads.spawn(move || work(n))));
                (0..20).for_each(|n| drop(s.spawn(move || work(n))));
            });
        });
        assert_eq!(lock.into_inner(), (22 * 50, 22 * 50));
    });
}

#[test]
fn readers_share() {
    check(|| {
        let lock = RwLock::new(1);
        let inside = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    let _guard = lock.read();
                    inside.fetch_add(1, Ordering::Relaxed);
                    until(|| inside.load(Ordering::Relaxed) == 10);
                });
            }
        });
    });
}

#[test]
fn a_waiting_writer_stops_new_readers() {
    check(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            let first = lock.read();
            s.spawn(|| *lock.write() = 1);
            until(|| parked(WRITE) == 1);
            assert!(lock.try_read().is_none() && lock.try_write().is_none());
            let late = s.spawn(|| *lock.read());
            until(|| parked(READ) == 1);
            assert_eq!(*first, 0);
            drop(first);
            assert_eq!(late.join().unwrap(), 1, "a reader has overtaken the writer that waited");
        });
    });
}

#[test]
fn waiting_readers_go_before_the_next_writer_and_writers_in_order() {
    check(|| {
        let lock = RwLock::new(());
        let order = Mutex::new(String::new());
        let (lock, order) = (&lock, &order);
        scope(|s| {
            let first = lock.write();
            for name in ['a', 'b'] {
                let before = parked(WRITE);
                s.spawn(move || {
                    let _guard = lock.write();
                    order.lock().push(name);
                });
                until(|| parked(WRITE) == before + 1);
            }
            for n in 0..3 {
                s.spawn(|| {
                    let _guard = lock.read();
                    order.lock().push('r');
                });
                until(|| parked(READ) == n + 1);
            }
            drop(first);
        });
        assert_eq!(*order.lock(), "rrrab");
    });
}

#[test]
fn neither_side_starves_the_other() {
    check(|| {
        let lock = RwLock::new(0);
        let stop = AtomicBool::new(false);
        scope(|s| {
            // Three readers whose turns overlap: without the rule, the lock is never free for a
            // writer.
            for n in 0..3 {
                let (lock, stop) = (&lock, &stop);
                s.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let _guard = lock.read();
                        time::sleep(Duration::from_micros(100 + 50 * n));
                    }
                });
            }
            (0..20).for_each(|_| *lock.write() += 1);
            stop.store(true, Ordering::Relaxed);
        });
        stop.store(false, Ordering::Relaxed);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _guard = lock.write();
                        time::sleep(Duration::from_micros(100));
                    }
                });
            }
            (0..20).for_each(|_| assert_eq!(*lock.read(), 20));
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn one_upgradable_reader_beside_plain_ones() {
    check(|| {
        let lock = RwLock::new(1);
        scope(|s| {
            let guard = lock.upgradable_read();
            let plain = lock.read();
            assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
            let next = s.spawn(|| *lock.upgradable_read());
            until(|| parked(READ) == 1);
            // A reader that waits to become upgradable stops no plain reader.
            assert_eq!(*lock.try_read().unwrap() + *plain, 2);
            let guard = Upgradable::try_upgrade(guard).unwrap_err();
            drop(plain);
            let mut writer = Upgradable::try_upgrade(guard).unwrap();
            *writer += 1;
            let guard = RwLockWriteGuard::downgrade_to_upgradable(writer);
            assert_eq!(*lock.try_read().unwrap(), 2);
            assert_eq!(parked(READ), 1);
            let plain = Upgradable::downgrade(guard);
            assert_eq!((next.join().unwrap(), *plain), (2, 2));
        });
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn an_upgrade_goes_before_waiting_writers() {
    check(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            let (guard, plain) = (lock.upgradable_read(), lock.read());
            s.spawn(|| *lock.write() *= 10);
            until(|| parked(WRITE) == 1);
            let upgrade = s.spawn(|| *Upgradable::upgrade(guard) += 1);
            until(|| parked(WRITE) == 2);
            assert!(lock.try_read().is_none());
            drop(plain);
            upgrade.join().unwrap();
        });
        assert_eq!(lock.into_inner(), 10, "a writer came in between");
    });
}

#[test]
fn a_canceled_upgrade_leaves_an_upgradable_reader() {
    check(|| {
        let lock = RwLock::new(1);
        let (ctx, cancel) = Context::background().with_cancel();
        scope(|s| {
            let (guard, plain) = (lock.upgradable_read(), lock.read());
            let guard = Upgradable::upgrade_timeout(guard, Duration::from_millis(1)).unwrap_err();
            let upgrade = s.spawn(|| {
                let (error, guard) = Upgradable::upgrade_ctx(guard, &ctx).unwrap_err();
                assert_eq!(error, Error::Canceled);
                assert!(lock.try_upgradable_read().is_none());
                *guard
            });
            until(|| parked(WRITE) == 1);
            let reader = s.spawn(|| *lock.read());
            until(|| parked(READ) == 1);
            cancel.cancel();
            assert_eq!(upgrade.join().unwrap() + reader.join().unwrap(), 2, "no writer stops the reader anymore");
            drop(plain);
        });
        assert_eq!(lock.upgradable_read_ctx(&ctx).err(), Some(Error::Canceled));
        let (error, guard) = Upgradable::upgrade_ctx(lock.upgradable_read(), &ctx).unwrap_err();
        assert_eq!((error, lock.try_write().is_none()), (Error::Canceled, true));
        assert!(Upgradable::upgrade_deadline(guard, std::time::Instant::now()).is_ok());
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    check(|| {
        let lock = RwLock::new(1);
        scope(|s| {
            let mut guard = lock.write();
            *guard = 2;
            let writer = s.spawn(|| *lock.write() = 3);
            until(|| parked(WRITE) == 1);
            let reader = s.spawn(|| *lock.read());
            until(|| parked(READ) == 1);
            let guard = RwLockWriteGuard::downgrade(guard);
            assert_eq!((reader.join().unwrap(), *guard), (2, 2));
            assert_eq!(parked(WRITE), 1);
            assert!(lock.try_read().is_none(), "the writer that waits is next");
            drop(guard);
            writer.join().unwrap();
        });
        assert_eq!(lock.into_inner(), 3);
    });
}

/// Upgradable readers that write must not starve plain writers, nor the other way round.
#[test]
fn upgrades_and_writers_take_turns() {
    check(|| {
        let lock = RwLock::new(());
        let order = Mutex::new(String::new());
        let (lock, order) = (&lock, &order);
        scope(|s| {
            let first = lock.write();
            for _ in 0..3 {
                let before = parked(READ);
                s.spawn(|| {
                    let guard = lock.upgradable_read();
                    let _writer = Upgradable::upgrade(guard);
                    order.lock().push('u');
                });
                until(|| parked(READ) == before + 1);
            }
            for _ in 0..3 {
                let before = parked(WRITE);
                s.spawn(|| {
                    let _writer = lock.write();
                    order.lock().push('w');
                });
                until(|| parked(WRITE) == before + 1);
            }
            drop(first);
        });
        assert_eq!(*order.lock(), "uwuwuw");
    });
}

#[test]
fn guards_that_own_the_lock_go_anywhere() {
    check(|| {
        let lock = Arc::new(RwLock::new(1));
        let (one, other) = (lock.read_arc(), lock.try_read_arc().unwrap());
        assert!(lock.try_write_arc().is_none());
        let reader = spawn(move || assert_eq!(*one + *other, 2));
        let mut guard = lock.write_arc();
        reader.join().unwrap();
        assert!(lock.try_read_arc().is_none());
        let (ended, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
        assert_eq!(lock.read_arc_ctx(&ended).err(), Some(Error::DeadlineExceeded));
        assert_eq!(lock.write_arc_ctx(&ended).err(), Some(Error::DeadlineExceeded));
        *guard += 1;
        let guard = ArcRwLockWriteGuard::downgrade(guard);
        assert_eq!(Arc::strong_count(&lock), 2);
        assert_eq!(*lock.read_arc_ctx(&Context::background()).unwrap(), 2);
        drop(lock);
        assert_eq!(format!("{guard} {guard:?}"), "2 2");
    });
}

/// All ways to take the lock, and all conversions between the guards. A reader finds the two halves
/// equal, and they do not change until the reader itself has written.
#[test]
fn stress_of_upgrades_and_downgrades() {
    type Pair = (u64, u64);
    fn add(
        guard: &mut RwLockWriteGuard<'_, Pair>,
        seen: Option<Pair>,
        random: &mut crate::common::Rng,
        writes: &AtomicUsize,
    ) {
        assert!(seen.is_none_or(|seen| **guard == seen), "a writer came in between");
        guard.0 += 1;
        pause(random);
        guard.1 += 1;
        writes.fetch_add(1, Ordering::Relaxed);
    }
    storm(|random| {
        let lock = Arc::new(RwLock::new((0, 0)));
        let writes = Arc::new(AtomicUsize::new(0));
        let (ctx, cancel) = Context::background().with_cancel();
        let worker = |mut random: crate::common::Rng| {
            let (lock, writes, ctx) = (Arc::clone(&lock), Arc::clone(&writes), ctx.clone());
            move || {
                for _ in 0..60 {
                    let timeout = Duration::from_micros(random.below(200));
                    let guard = match random.below(8) {
                        0 => lock.try_upgradable_read(),
                        1 => lock.upgradable_read_timeout(timeout),
                        2 => lock.upgradable_read_ctx(&ctx).ok(),
                        3 | 4 => Some(lock.upgradable_read()),
                        5 => {
                            let mut guard = lock.write();
                            add(&mut guard, None, &mut random, &writes);
                            let seen = *guard;
                            if random.one_in(2) {
                                assert_eq!(*RwLockWriteGuard::downgrade(guard), seen);
                                None
                            } else {
                                Some(RwLockWriteGuard::downgrade_to_upgradable(guard))
                            }
                        }
                        _ => {
                            let guard = lock.read();
                            let seen = *guard;
                            pause(&mut random);
                            assert_eq!((*guard, seen.0), (seen, seen.1));
                            None
                        }
                    };
                    let Some(guard) = guard else { continue };
                    let seen = *guard;
                    assert_eq!(seen.0, seen.1);
                    pause(&mut random);
                    let upgraded = match random.below(6) {
                        0 => Upgradable::try_upgrade(guard),
                        1 => Upgradable::upgrade_timeout(guard, timeout),
                        2 => Upgradable::upgrade_ctx(guard, &ctx).map_err(|(_, guard)| guard),
                        3 => Ok(Upgradable::upgrade(guard)),
                        _ => Err(guard),
                    };
                    match upgraded {
                        Ok(mut guard) => add(&mut guard, Some(seen), &mut random, &writes),
                        Err(guard) if random.one_in(2) => assert_eq!(*guard, seen),
                        Err(guard) => assert_eq!(*Upgradable::downgrade(guard), seen),
                    }
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(worker(random.fork()))).collect();
        let wg = WaitGroup::new();
        (0..6).for_each(|_| wg.go(worker(random.fork())));
        (0..random.below(50)).for_each(|_| greenthread::yield_now());
        cancel.cancel();
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let last = *lock.try_write().expect("all have finished");
        assert_eq!((last.0, last.1), (writes.load(Ordering::Relaxed) as u64, last.0));
    });
}

#[test]
fn stress_with_random_pauses_and_tries() {
    storm(|random| {
        let lock = Arc::new(RwLock::new((0u64, 0u64)));
        let writes = Arc::new(AtomicUsize::new(0));
        let worker = |mut random: crate::common::Rng| {
            let (lock, writes) = (Arc::clone(&lock), Arc::clone(&writes));
            move || {
                for _ in 0..100 {
                    let tries = random.one_in(4);
                    if random.one_in(3) {
                        let guard = if tries { lock.try_write() } else { Some(lock.write()) };
                        let Some(mut guard) = guard else { continue };
                        guard.0 += 1;
                        pause(&mut random);
                        guard.1 += 1;
                        writes.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let guard = if tries { lock.try_read() } else { Some(lock.read()) };
                        let Some(guard) = guard else { continue };
                        let before = guard.0;
                        pause(&mut random);
                        assert_eq!((guard.0, guard.1), (before, before));
                    }
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(worker(random.fork()))).collect();
        let wg = WaitGroup::new();
        (0..6).for_each(|_| wg.go(worker(random.fork())));
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(lock.read().0, writes.load(Ordering::Relaxed) as u64);
    });
}

fn pause(random: &mut crate::common::Rng) {
    match random.below(16) {
        0 => time::sleep(Duration::from_micros(random.below(100))),
        1..3 => greenthread::yield_now(),
        _ => {}
    }
}

#[test]
fn a_panic_unlocks_and_poisons_nothing() {
    check(|| {
        let lock = RwLock::new(1);
        for write in [true, false] {
            let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                let _guards = if write { (Some(lock.write()), None) } else { (None, Some(lock.read())) };
                panic!("expected");
            }));
            assert_eq!(text(&*panicked.unwrap_err()), "expected");
            assert!(lock.try_write().is_some());
        }
    });
}

#[test]
fn locking_works_in_destructors_while_unwinding() {
    check(|| {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.write();
        let all: Vec<_> = (0..4)
            .map(|n| {
                let lock = Arc::clone(&lock);
                spawn(move || {
                    let _on_drop = OnDrop::new(|| {
                        assert!(thread::panicking());
                        if n % 2 == 0 {
                            *lock.write() += 1
                        } else {
                            assert!(*lock.read() <= 2)
                        }
                        assert!(thread::panicking());
                    });
                    panic!("expected");
                })
            })
            .collect();
        until(|| parked(READ) + parked(WRITE) == 4);
        drop(guard);
        all.into_iter().for_each(|one| assert_eq!(text(&*one.join().unwrap_err()), "expected"));
        assert_eq!(*lock.read(), 2);
    });
}

#[test]
fn the_guards_may_be_dropped_on_another_thread() {
    check_from_thread(|| {
        let lock = RwLock::new(Cell::new(1));
        let guard = lock.write();
        thread::scope(|s| drop(s.spawn(move || guard.set(2))));
        assert_eq!(lock.into_inner().get(), 2);
        let lock = RwLock::new(1);
        let guard = lock.read();
        thread::scope(|s| drop(s.spawn(move || assert_eq!(*guard, 1))));
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn an_owner_needs_no_lock_and_all_types_print() {
    static IN_A_STATIC: RwLock<u32> = RwLock::new(0);

    let mut lock = RwLock::from(4);
    *lock.get_mut() += 1;
    assert_eq!(format!("{lock:?}"), "RwLock { data: 5 }");
    assert_eq!(format!("{:?} {0}", lock.read()), "5 5");
    let guard = lock.write();
    assert_eq!(format!("{lock:?} {guard:?} {guard}"), "RwLock { data: <locked> } 5 5");
    drop(guard);
    assert_eq!(lock.into_inner(), 5);
    assert_eq!(RwLock::<u8>::default().into_inner(), 0);
    *IN_A_STATIC.write() += 1;
    assert_eq!(*IN_A_STATIC.read(), 1);
    let unsized_value: Box<RwLock<[u8]>> = Box::new(RwLock::new([1, 2]));
    unsized_value.write()[0] = 7;
    assert_eq!(&*unsized_value.read(), [7, 2]);
}

#[test]
fn send_and_sync_follow_the_value() {
    type SyncOnly = std::sync::MutexGuard<'static, u8>;
    assert_eq!(asked!(RwLock<u8>), (true, true));
    assert_eq!(asked!(RwLock<Cell<u8>>), (true, false));
    assert_eq!(asked!(RwLock<*const u8>), (false, false));
    assert_eq!(asked!(RwLock<SyncOnly>), (false, false));
    assert_eq!(asked!(RwLockReadGuard<'static, u8>), (true, true));
    assert_eq!(asked!(RwLockReadGuard<'static, Cell<u8>>), (false, false));
    assert_eq!(asked!(RwLockReadGuard<'static, SyncOnly>), (true, true));
    assert_eq!(asked!(RwLockWriteGuard<'static, u8>), (true, true));
    assert_eq!(asked!(RwLockWriteGuard<'static, Cell<u8>>), (true, false));
    assert_eq!(asked!(RwLockWriteGuard<'static, *const u8>), (false, false));
    assert_eq!(asked!(RwLockWriteGuard<'static, SyncOnly>), (false, true));
    assert_eq!(asked!(Upgradable<'static, u8>), (true, true));
    assert_eq!(asked!(Upgradable<'static, Cell<u8>>), (false, false));
    assert_eq!(asked!(Upgradable<'static, SyncOnly>), (false, false));
    assert_eq!(asked!(ArcRwLockReadGuard<u8>), (true, true));
    assert_eq!(asked!(ArcRwLockReadGuard<Cell<u8>>), (false, false));
    assert_eq!(asked!(ArcRwLockReadGuard<SyncOnly>), (false, false));
    assert_eq!(asked!(ArcRwLockWriteGuard<u8>), (true, true));
    assert_eq!(asked!(ArcRwLockWriteGuard<Cell<u8>>), (false, false));
    assert_eq!(asked!(ArcRwLockWriteGuard<SyncOnly>), (false, false));
}
