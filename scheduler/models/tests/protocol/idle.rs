//! Models of the idle protocol: no interleaving leaves both a published goroutine and an idle P
//! while no M searches.

use greenthread_models::explore;
use greenthread_models::primitive::{AtomicU32, Ordering};
use greenthread_models::protocol::idle::{IdleWord, Scheduler};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A scheduler reduced to counters: published goroutines, idle Ps, and searchers that have started
/// but do not move.
struct World {
    word: IdleWord,
    published: AtomicU32,
    idle: Mutex<u32>,
    started: AtomicU32,
}

impl Scheduler for World {
    fn work_waits(&self) -> bool {
        self.published.load(Ordering::Relaxed) > 0
    }

    fn start_searcher(&self) -> bool {
        let taken = self.take_idle();
        if taken {
            self.started.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

impl World {
    fn new(idle: u32) -> Arc<Self> {
        let world = Self {
            word: IdleWord::new(),
            published: AtomicU32::new(0),
            idle: Mutex::new(idle),
            started: AtomicU32::new(0),
        };
        for _ in 0..idle {
            world.word.p_idle();
        }
        Arc::new(world)
    }

    fn take_idle(&self) -> bool {
        let mut idle = self.idle.lock().unwrap();
        let any = *idle > 0;
        if any {
            *idle -= 1;
            self.word.p_taken();
        }
        any
    }

    /// Pushes a goroutine to a queue.
    fn submit(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.word.wake_one(self);
    }

    fn take_work(&self) -> bool {
        self.published.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    /// Acts like an M with a P, searching or not, that checks once.
    ///
    /// It then goes idle, or runs what it found forever.
    fn look_then_sleep(&self, searching: bool) {
        if self.take_work() {
            if searching {
                self.word.found(self);
            }
            return;
        }
        {
            let mut idle = self.idle.lock().unwrap();
            *idle += 1;
            self.word.p_idle();
        }
        if self.word.go_idle(searching, self) {
            if self.take_idle() {
                // It searches again; the model ends here.
                self.started.fetch_add(1, Ordering::Relaxed);
            } else if self.word.abandon_search() {
                self.word.wake_one(self);
            }
        }
    }

    /// Checks W1 when nothing moves.
    fn check(&self) {
        let (idle, searching) = self.word.counts();
        assert_eq!(idle, *self.idle.lock().unwrap());
        assert_eq!(searching, self.started.load(Ordering::Relaxed));
        let waiting = self.published.load(Ordering::Relaxed);
        assert!(waiting == 0 || idle == 0 || searching > 0, "{waiting} wait beside {idle} idle Ps");
        assert!(searching <= 1, "a storm: {searching} searchers");
    }
}

fn run(world: &Arc<World>, f: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || f(&world))
}

#[test]
fn a_push_meets_the_last_searcher_on_its_way_to_sleep() {
    explore(3, || {
        let world = World::new(0);
        assert!(world.word.join_search(2));
        let searcher = run(&world, |world| world.look_then_sleep(true));
        world.submit();
        searcher.join().unwrap();
        world.check();
    });
}

#[test]
fn a_push_meets_an_m_that_sleeps_without_a_search() {
    explore(3, || {
        let world = World::new(0);
        let sleeper = run(&world, |world| world.look_then_sleep(false));
        world.submit();
        sleeper.join().unwrap();
        world.check();
    });
}

#[test]
fn two_pushes_wake_one_searcher() {
    explore(3, || {
        let world = World::new(2);
        let other = run(&world, World::submit);
        world.submit();
        other.join().unwrap();
        world.check();
        assert_eq!(world.word.counts(), (1, 1));
    });
}

// An M that returns from a long call takes the idle P.
//
// At that time, one submitter has claimed the search for that P, another submitter has relied on
// the search, and a third M makes a P idle.
#[test]
fn a_claim_without_a_p_strands_no_goroutine() {
    explore(2, || {
        let world = World::new(1);
        let back = run(&world, |world| {
            let _ = world.take_idle();
        });
        let other = run(&world, World::submit);
        let sleeper = run(&world, |world| world.look_then_sleep(false));
        world.submit();
        for thread in [back, other, sleeper] {
            thread.join().unwrap();
        }
        world.check();
    });
}

#[test]
fn a_searcher_that_found_work_passes_the_search_on() {
    explore(3, || {
        let world = World::new(1);
        world.published.fetch_add(1, Ordering::Relaxed);
        assert!(world.word.join_search(3));
        let searcher = run(&world, |world| world.look_then_sleep(true));
        // Relies on the searcher if it still counts.
        world.submit();
        searcher.join().unwrap();
        world.check();
    });
}

#[test]
fn half_of_the_busy_ps_search() {
    explore(2, || {
        let world = World::new(0);
        assert!(world.word.join_search(4));
        assert!(world.word.join_search(4));
        assert!(!world.word.join_search(4));
        assert!(world.word.counts() == (0, 2));
    });
}
