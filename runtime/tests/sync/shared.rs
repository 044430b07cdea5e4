//! `sync::Pool`, `sync::Map` and `sync::Value`: sharing without a lock of the user's.

use std::hash::{Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use crate::common::drops::{Census, Counted};
use crate::common::{check, check_from_thread, storm};
use greenthread::sync::{Map, Pool, Value, WaitGroup};
use greenthread::{spawn, yield_now};

#[test]
fn a_pool_returns_values_that_were_put_back() {
    check_from_thread(|| {
        let body = || {
            let made = AtomicUsize::new(0);
            let pool = Pool::new(|| made.fetch_add(1, Ordering::Relaxed));
            assert_eq!(pool.get(), 0);
            pool.put(7);
            assert_eq!(pool.get(), 7);
            assert_eq!(pool.get(), 1);
        };
        body();
        spawn(body).join().unwrap();
    });
}

#[test]
fn a_pool_steals_from_other_shards() {
    check(|| {
        let pool = Arc::new(Pool::<u32>::new(|| 0));
        // A thread uses a different shard from all goroutines.
        let other = Arc::clone(&pool);
        thread::spawn(move || other.put(5)).join().unwrap();
        assert_eq!(pool.get(), 5);
        pool.put(6);
        let other = Arc::clone(&pool);
        assert_eq!(thread::spawn(move || other.get()).join().unwrap(), 6);
    });
}

#[test]
fn a_pool_is_bounded_and_drops_each_value_once() {
    check(|| {
        let census = Census::default();
        let pool = Pool::new(|| census.value());
        let many: Vec<Counted> = (0..100_000).map(|_| census.value()).collect();
        many.into_iter().for_each(|value| pool.put(value));
        assert!(census.alive() <= 256 * (1 + greenthread::num_cpu().max(4)), "{} are kept", census.alive());
        assert!(census.alive() >= 100);
        drop(pool);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn storm_of_a_pool() {
    storm(|random| {
        let (census, source) = (Census::default(), Census::default());
        let make = source.clone();
        let pool = Arc::new(Pool::new(move || make.value()));
        let wg = WaitGroup::new();
        let threads: Vec<_> = (0..2 + random.below(8))
            .filter_map(|n| {
                let (pool, mut random, mine) = (Arc::clone(&pool), random.fork(), census.clone());
                let work = move || {
                    let mut held = Vec::new();
                    for _ in 0..random.below(200) {
                        match random.below(4) {
                            0 => held.push(pool.get()),
                            1 => pool.put(held.pop().unwrap_or_else(|| mine.value())),
                            2 => pool.put(pool.get()),
                            _ => yield_now(),
                        }
                    }
                };
                if n % 4 == 3 {
                    return Some(thread::spawn(work));
                }
                wg.go(work);
                None
            })
            .collect();
        wg.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(pool);
        assert_eq!((census.alive(), source.alive()), (0, 0));
    });
}

#[test]
fn a_map_behaves_like_go_s() {
    let map = Map::new();
    assert_eq!(map.load(&1), None);
    assert_eq!(map.load_or_store(1, "a"), ("a", false));
    assert_eq!(map.load_or_store(1, "b"), ("a", true));
    assert_eq!(map.swap(1, "c"), Some("a"));
    assert_eq!(map.compare_and_swap(1, &"a", "d"), Err("d"));
    assert_eq!(map.compare_and_swap(2, &"a", "d"), Err("d"));
    assert_eq!(map.compare_and_swap(1, &"c", "d"), Ok(()));
    assert!(!map.compare_and_delete(&1, &"c"));
    assert!(map.compare_and_delete(&1, &"d"));
    assert!(!map.delete(&1));
    (0..1000).for_each(|n| map.store(n, "x"));
    let mut seen = 0;
    map.range(|_, _| {
        seen += 1;
        seen < 500
    });
    assert_eq!(seen, 500);
    map.clear();
    assert_eq!(format!("{map:?}"), "{}");
}

/// A key whose comparison lets others run and uses the map itself.
#[derive(Clone)]
struct Restless(u32, Arc<Map<u32, u32>>);

impl PartialEq for Restless {
    fn eq(&self, other: &Self) -> bool {
        yield_now();
        self.1.store(self.0, other.0);
        self.0 == other.0
    }
}

impl Eq for Restless {}

impl Hash for Restless {
    fn hash<H: Hasher>(&self, state: &mut H) {
        yield_now();
        (self.0 % 3).hash(state);
    }
}

#[test]
fn code_of_keys_may_park_and_use_the_map() {
    check(|| {
        let (map, inner) = (Arc::new(Map::new()), Arc::new(Map::new()));
        let wg = WaitGroup::new();
        for _ in 0..8 {
            let (map, inner) = (Arc::clone(&map), Arc::clone(&inner));
            wg.go(move || {
                for n in 0..30 {
                    let key = Restless(n, Arc::clone(&inner));
                    map.store(key.clone(), n);
                    map.range(|key, _| {
                        map.load(key);
                        yield_now();
                        key.0 < 5
                    });
                    if n % 2 == 0 {
                        map.delete(&key);
                    }
                }
            });
        }
        wg.wait();
        let mut left = 0;
        map.range(|_, _| {
            left += 1;
            true
        });
        assert_eq!(left, 15);
    });
}

#[test]
fn a_removed_value_of_a_map_is_dropped_at_once() {
    let census = Census::default();
    let map = Map::new();
    (0..10).for_each(|n| map.store(n, Arc::new(census.value())));
    map.store(0, Arc::new(census.value()));
    assert_eq!(census.alive(), 10);
    assert!(map.delete(&0));
    drop(map.load_and_delete(&1));
    assert_eq!(census.alive(), 8);
    map.clear();
    assert_eq!((census.alive(), census.made()), (0, 11));
}

/// A number, and a value to count. Equal if the numbers are.
#[derive(Clone)]
struct Tally(u64, #[expect(dead_code, reason = "lives and is dropped")] Arc<Counted>);

impl PartialEq for Tally {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Counters that are raised by exchange: no update is lost, and nothing leaks.
#[test]
fn storm_of_a_map() {
    storm(|random| {
        let (map, census, total) = (Arc::new(Map::new()), Census::default(), Arc::new(AtomicUsize::new(0)));
        let keys = 1 + random.below(4);
        let raise = {
            let (map, census) = (Arc::clone(&map), census.clone());
            move |key: u64| loop {
                let tally = |n: u64| Tally(n, Arc::new(census.value()));
                let (now, loaded) = map.load_or_store(key, tally(1));
                if !loaded || map.compare_and_swap(key, &now, tally(now.0 + 1)).is_ok() {
                    return;
                }
            }
        };
        let wg = WaitGroup::new();
        for _ in 0..2 + random.below(6) {
            let (mut random, raise, total) = (random.fork(), raise.clone(), Arc::clone(&total));
            let map = Arc::clone(&map);
            wg.go(move || {
                for _ in 0..random.below(100) {
                    let key = random.below(keys);
                    if random.one_in(5) {
                        let taken = map.load_and_delete(&key).map_or(0, |taken: Tally| taken.0);
                        total.fetch_add(taken as usize, Ordering::Relaxed);
                    }
                    raise(key);
                    total.fetch_sub(1, Ordering::Relaxed);
                    if random.one_in(7) {
                        yield_now();
                    }
                }
            });
        }
        wg.wait();
        map.range(|_, value| {
            total.fetch_add(value.0 as usize, Ordering::Relaxed);
            true
        });
        assert_eq!(total.load(Ordering::Relaxed), 0, "some increments were lost or counted twice");
        drop(raise);
        drop(map);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn a_value_starts_empty_and_compares_by_address() {
    let value = Value::new();
    assert!(value.load().is_none());
    let (one, equal) = (Arc::new(1), Arc::new(1));
    assert_eq!(value.compare_and_swap(Some(&one), 5), Err(Arc::new(5)));
    assert_eq!(value.compare_and_swap(None, Arc::clone(&one)), Ok(()));
    assert_eq!(value.compare_and_swap(None, 5), Err(Arc::new(5)));
    assert_eq!(value.compare_and_swap(Some(&equal), 5), Err(Arc::new(5)));
    assert_eq!(value.compare_and_swap(Some(&one), 2), Ok(()));
    assert_eq!(value.swap(3), Some(Arc::new(2)));
    assert_eq!(Arc::strong_count(&one), 1);
}

#[test]
fn storm_of_a_value() {
    storm(|random| {
        let census = Census::default();
        let value = Arc::new(Value::from((0_u64, census.value())));
        let (goroutines, turns) = (2 + random.below(8), random.below(100));
        let raise = {
            let (value, census) = (Arc::clone(&value), census.clone());
            move || {
                for _ in 0..turns {
                    loop {
                        let now = value.load().expect("there is a value from the start");
                        yield_now();
                        if value.compare_and_swap(Some(&now), (now.0 + 1, census.value())).is_ok() {
                            break;
                        }
                    }
                }
            }
        };
        let wg = WaitGroup::new();
        (1..goroutines).for_each(|_| wg.go(raise.clone()));
        thread::spawn(raise).join().unwrap();
        wg.wait();
        assert_eq!(value.load().unwrap().0, goroutines * turns);
        assert_eq!(census.alive(), 1);
        value.store((0, census.value()));
        drop(value);
        assert_eq!(census.alive(), 0);
    });
}

/// A value whose drop parks, uses the cell that it was in, and may panic.
struct UsesCellInDrop(Weak<Value<UsesCellInDrop>>, bool);

impl Drop for UsesCellInDrop {
    fn drop(&mut self) {
        yield_now();
        if let Some(place) = self.0.upgrade() {
            drop(place.load());
            yield_now();
        }
        assert!(!self.1, "this panic is part of the test");
    }
}

#[test]
fn the_drop_of_a_value_may_park_use_its_cell_and_panic() {
    check(|| {
        let place = Arc::new(Value::new());
        let value = |panics| UsesCellInDrop(Arc::downgrade(&place), panics);
        let wg = WaitGroup::new();
        for n in 0..4 {
            let place = Arc::clone(&place);
            wg.go(move || {
                for _ in 0..200 {
                    let now = place.load();
                    match n {
                        0 => place.store(UsesCellInDrop(Arc::downgrade(&place), false)),
                        1 => drop(place.swap(UsesCellInDrop(Arc::downgrade(&place), false))),
                        2 => drop(place.compare_and_swap(now.as_ref(), UsesCellInDrop(Arc::downgrade(&place), false))),
                        _ => yield_now(),
                    }
                }
            });
        }
        wg.wait();
        place.store(value(true));
        assert!(panic::catch_unwind(AssertUnwindSafe(|| place.store(value(false)))).is_err());
        assert!(!place.load().unwrap().1, "the store took effect in spite of the panic");
        place.swap(value(false));
    });
}
