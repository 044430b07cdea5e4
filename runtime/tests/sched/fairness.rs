//! Everybody gets a turn, in good time.
//!
//! Tests of who waits for how long count the turns of others meanwhile, since those do not depend on how busy the
//! machine is. They run without chaos, which would hide what they look for.

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

/// How long somebody may wait who should wait 10 ms or so.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn yield_alone_returns() {
    check(|| (0..10_000).for_each(|_| yield_now()));
    check_from_thread(yield_now);
}

/// Two goroutines that count and yield in turn; by how much one was ahead.
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
                // Where others use the machine too, one may be kept from its CPU for 10 ms: then the other one has the P alone.
                let retakes = debug::stats().retakes;
                let worst = race(2000);
                assert!(worst <= 2 || debug::stats().retakes > retakes, "one was ahead by {worst} turns");
            }
        })
    });
}

/// Two goroutines that ready each other through runnext until the flag is set; the count of their exchanges.
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
        // The spawner is on the P, so these stand in its queue.
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
fn a_crowd_all_gets_ahead() {
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
fn a_waker_that_stays_busy_does_not_keep_what_it_woke() {
    check_on(2, || {
        // The woken goroutine stands in the runnext slot of a P whose goroutine waits for it without ever leaving.
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

/// One that yields goes on after those of the queue, not after all that it has spawned.
#[test]
fn what_has_run_does_not_wait_for_a_crowd_that_has_not() {
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
    // On a busy machine it may lose its P as a hog does, and the crowd goes on without it.
    without_chaos(|| check_on(1, || assert!((0..50).any(|_| before_it() < CROWD / 10), "the whole crowd went first")));
}

/// The spawner never comes back for them: the others take its backlog too.
#[test]
fn a_backlog_is_stolen() {
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

/// Goroutines that compute for a while in each of their turns, until it is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    turns: Arc<AtomicUsize>,
}

impl Busy {
    fn none() -> Self {
        Self { stop: Arc::default(), turns: Arc::default() }
    }

    /// `count` that yield after each turn.
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

    /// `count` pairs that wake each other after each turn.
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

    /// One turn; false when it is to be the last.
    fn work(&self, turn: Duration) -> impl Fn() -> bool + Send + 'static {
        let (stop, turns) = (Arc::clone(&self.stop), Arc::clone(&self.turns));
        move || {
            spin(turn);
            turns.fetch_add(1, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed)
        }
    }

    /// How many turns the others have had during `f`.
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

/// Half of them are not more.
fn median(mut turns: Vec<usize>) -> usize {
    turns.sort_unstable();
    turns[turns.len() / 2]
}

/// By count alone it would be 30 turns on average, and 61 at worst, for each of the two.
fn what_comes_from_outside_waits_for_few_turns(busy: &Busy) {
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
    assert!(io <= 20 && spawns <= 20, "half of them waited for {io} turns for I/O, {spawns} to begin");
}

const TURN: Duration = Duration::from_millis(1);

#[test]
fn yielders_that_compute_do_not_starve_what_comes_from_outside() {
    let test = || what_comes_from_outside_waits_for_few_turns(&Busy::yielders(4, TURN));
    without_chaos(|| [1, 2].into_iter().for_each(|procs| check_on(procs, test)));
}

#[test]
fn pairs_that_compute_do_not_starve_what_comes_from_outside() {
    let test = || what_comes_from_outside_waits_for_few_turns(&Busy::pairs(3, TURN));
    without_chaos(|| [1, 2].into_iter().for_each(|procs| check_on(procs, test)));
}

/// Six sleep until the same moment, in each of eight rounds. If those whom a timer wakes queued like others, all but one
/// would wait for each of the forty.
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
            assert!(spread <= 20, "in half of the rounds the last of them woke {spread} turns after the first");
        });
    });
}

/// Arrivals go first, but not forever: those that come without end leave half of the time to the others.
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
            assert!(others > 40, "they had {others} turns during 400 of the others");
        });
    });
}
