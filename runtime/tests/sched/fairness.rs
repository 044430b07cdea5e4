//! Fairness: every goroutine gets its turn in good time.
//!
//! Tests of waiting times count the turns of other goroutines meanwhile, since those do not depend
//! on how busy the machine is. They run without chaos, which would hide starvation.

use std::io::{self, Read, Write};
use std::os::unix;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{check, check_from_thread, check_on, spin, until, without_chaos};
use greenthread::channel::{self, Receiver, Sender};
use greenthread::net::UnixStream;
use greenthread::{debug, go, spawn, time, yield_now};

/// The limit of a wait that should take about 10 ms.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn yield_alone_returns() {
    check(|| (0..10_000).for_each(|_| yield_now()));
    check_from_thread(yield_now);
}

/// Runs two goroutines that count and yield in turn, and returns by how much one was ahead at most.
fn race(turns: usize) -> usize {
    let begun = Arc::new(AtomicUsize::new(0));
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let run = |me: usize| {
        let (begun, counts) = (Arc::clone(&begun), Arc::clone(&counts));
        move || {
            begun.fetch_add(1, Ordering::Relaxed);
            until(|| begun.load(Ordering::Relaxed) == 2);
            let mut worst = 0;
            for _ in 0..turns {
                let mine = counts[me].fetch_add(1, Ordering::Relaxed) + 1;
                worst = worst.max(mine.abs_diff(counts[1 - me].load(Ordering::Relaxed)));
                yield_now();
            }
            worst
        }
    };
    let (a, b) = (spawn(run(0)), spawn(run(1)));
    a.join().unwrap().max(b.join().unwrap())
}

#[test]
fn two_yielders_take_turns() {
    without_chaos(|| {
        check_on(1, || {
            for _ in 0..20 {
                // On a busy machine one goroutine may be kept from its CPU for 10 ms. The other one
                // then has the P alone.
                let retakes = debug::stats().retakes;
                let worst = race(2000);
                assert!(worst <= 2 || debug::stats().retakes > retakes, "one goroutine was ahead by {worst} turns");
            }
        })
    });
}

/// Starts two goroutines that ready each other through runnext until `stop` is set, and count their
/// exchanges in `turns`.
fn ping_pong(stop: &Arc<AtomicBool>, turns: &Arc<AtomicUsize>) {
    fn side(from: Receiver<()>, to: Sender<()>, stop: Arc<AtomicBool>, turns: Arc<AtomicUsize>) {
        while from.recv().is_ok() && !stop.load(Ordering::Relaxed) {
            turns.fetch_add(1, Ordering::Relaxed);
            if to.send(()).is_err() {
                break;
            }
        }
    }
    let ((ping, pinged), (pong, ponged)) = (channel::bounded(0), channel::bounded(0));
    let first = ping.clone();
    go!(side(pinged, pong, Arc::clone(stop), Arc::clone(turns)));
    go!(side(ponged, ping, Arc::clone(stop), Arc::clone(turns)));
    go!(move || first.send(()));
}

#[test]
fn a_ping_pong_does_not_starve_the_local_queue() {
    check_on(1, || {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        ping_pong(&stop, &turns);
        until(|| turns.load(Ordering::Relaxed) > 1000);
        let begin = Instant::now();
        // The spawner runs on the P, so these goroutines are in its local queue.
        let spawner = spawn(|| {
            let third: Vec<_> = (0..10).map(|_| spawn(Instant::now)).collect();
            third.into_iter().map(|third| third.join().unwrap()).max().unwrap()
        });
        let took = spawner.join().unwrap() - begin;
        stop.store(true, Ordering::Relaxed);
        assert!(took < SOON, "took {took:?}");
    });
}

#[test]
fn a_ping_pong_does_not_starve_the_global_queue() {
    check_on(1, || {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        ping_pong(&stop, &turns);
        until(|| turns.load(Ordering::Relaxed) > 1000);
        for _ in 0..5 {
            let begin = Instant::now();
            let third = spawn(Instant::now).join().unwrap();
            assert!(third - begin < SOON, "took {:?}", third - begin);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn yielders_do_not_starve_the_global_queue() {
    check_on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..4 {
            let stop = Arc::clone(&stop);
            go!(move || until(|| stop.load(Ordering::Relaxed)));
        }
        for _ in 0..20 {
            let begin = Instant::now();
            spawn(|| ()).join().unwrap();
            assert!(begin.elapsed() < SOON);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn busy_goroutines_do_not_starve_timers() {
    check_on(1, || {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        ping_pong(&stop, &turns);
        let yielder = Arc::clone(&stop);
        go!(move || until(|| yielder.load(Ordering::Relaxed)));
        let begin = Instant::now();
        spawn(|| (0..20).for_each(|_| time::sleep(Duration::from_millis(1)))).join().unwrap();
        assert!(begin.elapsed() < SOON, "took {:?}", begin.elapsed());
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn every_goroutine_of_a_crowd_advances() {
    check(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..50).map(|_| AtomicUsize::new(0)).collect());
        for me in 0..50 {
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            go!(move || {
                while !stop.load(Ordering::Relaxed) {
                    counts[me].fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            });
        }
        until(|| counts.iter().all(|count| count.load(Ordering::Relaxed) >= 100));
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_busy_waker_does_not_keep_its_runnext() {
    check_on(2, || {
        // The woken goroutine is in the runnext slot of a P whose goroutine waits for it without
        // entering the scheduler.
        let handle = spawn(|| {
            for _ in 0..200 {
                let ran = Arc::new(AtomicBool::new(false));
                let flag = Arc::clone(&ran);
                go!(move || flag.store(true, Ordering::Release));
                while !ran.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            }
        });
        handle.join().unwrap();
    });
}

// A goroutine that yields continues after those in the queue, not after all that it has spawned.
#[test]
fn a_yielding_spawner_does_not_wait_for_all_that_it_spawned() {
    const CROWD: usize = 20_000;
    let before_it = || {
        let ran = Arc::new(AtomicUsize::new(0));
        let spawner = spawn({
            let ran = Arc::clone(&ran);
            move || {
                for _ in 0..CROWD {
                    let ran = Arc::clone(&ran);
                    go!(move || _ = ran.fetch_add(1, Ordering::Relaxed));
                }
                yield_now();
                ran.load(Ordering::Relaxed)
            }
        });
        let before_it = spawner.join().unwrap();
        until(|| ran.load(Ordering::Relaxed) == CROWD);
        before_it
    };
    // On a busy machine the spawner may lose its P, as a hog does, and the crowd goes on without
    // it.
    without_chaos(|| check_on(1, || assert!((0..50).any(|_| before_it() < CROWD / 10), "the whole crowd went first")));
}

// The spawner does not enter the scheduler again, so others must steal its whole backlog.
#[test]
fn the_backlog_of_a_busy_spawner_is_stolen() {
    const CROWD: usize = 5000;
    check(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..CROWD {
            let ran = Arc::clone(&ran);
            go!(move || _ = ran.fetch_add(1, Ordering::Relaxed));
        }
        while ran.load(Ordering::Relaxed) < CROWD {
            std::hint::spin_loop();
        }
    });
}

/// Goroutines that compute for a while in each of their turns, until this value is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
}

impl Busy {
    fn none() -> Self {
        Self { stop: Arc::default(), turns: Arc::default() }
    }

    /// Starts `count` goroutines that yield after each turn.
    fn yielders(count: usize, turn: Duration) -> Self {
        let busy = Self::none();
        for _ in 0..count {
            let work = busy.work(turn);
            go!(move || while work() {
                yield_now();
            });
        }
        busy
    }

    /// Starts `count` pairs of goroutines that wake each other after each turn.
    fn pairs(count: usize, turn: Duration) -> Self {
        let busy = Self::none();
        for _ in 0..count {
            let ((ping, pinged), (pong, ponged)) = (channel::bounded(0), channel::bounded(0));
            let (left, right) = (busy.work(turn), busy.work(turn));
            go!(move || while ping.send(()).is_ok() && ponged.recv().is_ok() && left() {});
            go!(move || while pinged.recv().is_ok() && right() && pong.send(()).is_ok() {});
        }
        busy
    }

    /// Returns a function that computes for one turn, and returns `false` after the last one.
    fn work(&self, turn: Duration) -> impl Fn() -> bool + Send + 'static {
        let (stop, turns) = (Arc::clone(&self.stop), Arc::clone(&self.turns));
        move || {
            spin(turn);
            turns.fetch_add(1, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed)
        }
    }

    /// Returns how many turns these goroutines had during `f`.
    fn during(&self, f: impl FnOnce()) -> usize {
        let before = self.turns.load(Ordering::Relaxed);
        f();
        self.turns.load(Ordering::Relaxed) - before
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns the median.
fn median(mut turns: Vec<usize>) -> usize {
    turns.sort_unstable();
    turns[turns.len() / 2]
}

/// Checks how many turns I/O and spawns from a thread wait for.
///
/// If the scheduler checked for them only after a fixed count of turns, each would wait for 30
/// turns on average and 61 at worst.
fn io_and_spawns_from_a_thread_wait_for_few_turns(busy: &Busy) {
    let (mut near, far) = unix::net::UnixStream::pair().unwrap();
    let far = UnixStream::from_std(far).unwrap();
    let echo = spawn(move || io::copy(&mut &far, &mut &far).unwrap());
    let (mut io, mut spawns) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        thread::sleep(Duration::from_millis(3));
        io.push(busy.during(|| {
            near.write_all(b"x").unwrap();
            near.read_exact(&mut [0]).unwrap();
        }));
        spawns.push(busy.during(|| spawn(|| ()).join().unwrap()));
    }
    drop(near);
    assert_eq!(echo.join().unwrap(), 15);
    let (io, spawns) = (median(io), median(spawns));
    assert!(io <= 20 && spawns <= 20, "median wait: {io} turns for I/O, {spawns} turns for a spawn");
}

const TURN: Duration = Duration::from_millis(1);

#[test]
fn yielders_that_compute_do_not_starve_io_and_spawns_from_threads() {
    let test = || io_and_spawns_from_a_thread_wait_for_few_turns(&Busy::yielders(4, TURN));
    without_chaos(|| [1, 2].into_iter().for_each(|procs| check_on(procs, test)));
}

#[test]
fn pairs_that_compute_do_not_starve_io_and_spawns_from_threads() {
    let test = || io_and_spawns_from_a_thread_wait_for_few_turns(&Busy::pairs(3, TURN));
    without_chaos(|| [1, 2].into_iter().for_each(|procs| check_on(procs, test)));
}

/// Six goroutines sleep until the same moment, in each of eight rounds.
///
/// If woken sleepers queued like others, all but one of them would wait for each of the forty
/// yielders.
#[test]
fn yielders_that_compute_do_not_starve_sleepers() {
    const ROUND: Duration = Duration::from_millis(10);
    without_chaos(|| {
        check_on(1, || {
            let busy = Arc::new(Busy::yielders(40, TURN / 2));
            let begin = Instant::now();
            let sleepers: Vec<_> = (0..6)
                .map(|_| {
                    let busy = Arc::clone(&busy);
                    spawn(move || {
                        let awake = |round: u32| {
                            time::sleep((round * ROUND).saturating_sub(begin.elapsed()));
                            busy.turns.load(Ordering::Relaxed)
                        };
                        (1..=8).map(awake).collect::<Vec<_>>()
                    })
                })
                .collect();
            let awake: Vec<_> = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).collect();
            let all_of = |round: usize| awake.iter().map(move |turns| turns[round]);
            let spreads = (0..8).map(|round| all_of(round).max().unwrap() - all_of(round).min().unwrap());
            let spread = median(spreads.collect());
            assert!(spread <= 20, "median: the last sleeper woke {spread} turns after the first");
        });
    });
}

/// Woken sleepers run first, but not forever: even an endless supply of them leaves half of the
/// time to the other goroutines.
#[test]
fn sleepers_that_compute_do_not_starve_yielders() {
    without_chaos(|| {
        check_on(1, || {
            let (sleepers, yielders) = (Busy::none(), Busy::yielders(2, TURN / 2));
            for _ in 0..8 {
                let work = sleepers.work(TURN / 2);
                go!(move || while work() {
                    time::sleep(Duration::from_micros(10));
                });
            }
            let others = yielders.during(|| {
                until(|| {
                    thread::sleep(TURN);
                    sleepers.turns.load(Ordering::Relaxed) > 400
                });
            });
            assert!(others > 40, "the yielders had {others} turns during 400 turns of the sleepers");
        });
    });
}

/// Checks that goroutines behind a crowd that has not begun do not wait for the end of a loan.
///
/// The Ps of hogs are lent, and yielders keep each loan going.
#[test]
fn yielders_on_lent_ps_do_not_starve_the_backlog() {
    fn spawner() {
        let (stop, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..3 {
            let (hogs, yielders, turns) = (Arc::clone(&stop), Arc::clone(&stop), Arc::clone(&turns));
            go!(move || while !hogs.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            });
            go!(move || until(|| {
                turns.fetch_add(1, Ordering::Relaxed);
                yielders.load(Ordering::Relaxed)
            }));
        }
        time::sleep(Duration::from_millis(40));
        let (wait, end) = channel::bounded::<()>(0);
        for _ in 0..1000 {
            let end = end.clone();
            go!(move || assert!(end.recv().is_err()));
        }
        let before = turns.load(Ordering::Relaxed);
        (0..50).for_each(|_| spawn(yield_now).join().unwrap());
        let others = turns.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        drop(wait);
        // One of the crowd begins in 61 turns.
        assert!(others < 600_000, "the yielders had {others} turns");
    }

    without_chaos(|| check_on(2, || spawn(spawner).join().unwrap()));
}
