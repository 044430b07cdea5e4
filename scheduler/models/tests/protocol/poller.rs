//! Models of the poller's role. With an I/O waiter and every M idle, one M polls. A thread that
//! leaves the poller a token ends its poll.

use greenthread_models::explore;
use greenthread_models::primitive::{AtomicBool, AtomicU32, Ordering};
use greenthread_models::protocol::poller::{Doorbell, PollerRole};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A flag that a thread waits for.
///
/// Its lock provides no ordering that the protocol relies on: it is taken only to sleep and to
/// wake.
struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn new() -> Self {
        Self { set: Mutex::new(false), changed: Condvar::new() }
    }

    fn leave(&self) {
        *self.set.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut set = self.set.lock().unwrap();
        while !*set {
            set = self.changed.wait(set).unwrap();
        }
        *set = false;
    }
}

/// Ms that go idle, and the lists that contain them.
struct Rest {
    role: PollerRole,
    list: Mutex<Vec<usize>>,
    tokens: [Signal; 2],
    polls: AtomicU32,
    /// Idle Ps.
    idle: AtomicU32,
}

impl Rest {
    fn new(idle: u32) -> Arc<Self> {
        Arc::new(Self {
            idle: AtomicU32::new(idle),
            role: PollerRole::new(),
            list: Mutex::new(Vec::new()),
            tokens: [Signal::new(), Signal::new()],
            polls: AtomicU32::new(0),
        })
    }

    /// Makes M `m` idle.
    ///
    /// Returns only when the M polls, or has been told that the model is over.
    fn rest(&self, m: usize, over: &AtomicBool) {
        self.list.lock().unwrap().push(m);
        self.sleep_or_poll(m, over);
    }

    fn sleep_or_poll(&self, m: usize, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            if self.role.claim(|| self.idle.load(Ordering::Relaxed) > 0) {
                self.polls.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.tokens[m].wait();
        }
    }

    /// Waits for I/O on a thread that is not an M.
    fn wait_outside(&self) {
        self.role.add_waiter();
        self.call_poller();
    }

    fn call_poller(&self) {
        if self.role.is_wanted()
            && let Some(m) = self.list.lock().unwrap().last()
        {
            self.tokens[*m].leave();
        }
    }
}

#[test]
fn a_foreign_wait_meets_an_m_that_goes_idle() {
    explore(3, || {
        let rest = Rest::new(1);
        let m = {
            let rest = Arc::clone(&rest);
            thread::spawn(move || rest.rest(0, &AtomicBool::new(false)))
        };
        rest.wait_outside();
        // If no M polls, the thread sleeps forever, and the model reports it.
        m.join().unwrap();
        assert_eq!(rest.polls.load(Ordering::Relaxed), 1);
    });
}

// The poller has polled, goes idle again, and sees no waiter.
//
// A waiter that begins just then sees a poller.
#[test]
fn a_foreign_wait_meets_the_poller_that_leaves() {
    explore(3, || {
        let rest = Rest::new(1);
        rest.list.lock().unwrap().push(0);
        rest.role.add_waiter();
        assert!(rest.role.claim(|| true));
        rest.role.remove_waiter();
        let m = {
            let rest = Arc::clone(&rest);
            thread::spawn(move || {
                rest.role.release();
                rest.sleep_or_poll(0, &AtomicBool::new(false));
            })
        };
        rest.wait_outside();
        m.join().unwrap();
        assert_eq!(rest.polls.load(Ordering::Relaxed), 1);
    });
}

// The poller goes idle again while all Ps are in use.
//
// A P that is released just then must not be the last one that any M polls for.
#[test]
fn a_p_given_up_meets_the_poller_on_its_way_out() {
    explore(3, || {
        let rest = Rest::new(0);
        rest.list.lock().unwrap().push(0);
        rest.role.add_waiter();
        assert!(rest.role.claim(|| true));
        let m = {
            let rest = Arc::clone(&rest);
            thread::spawn(move || {
                rest.role.release();
                rest.sleep_or_poll(0, &AtomicBool::new(false));
            })
        };
        rest.idle.fetch_add(1, Ordering::Relaxed);
        rest.call_poller();
        m.join().unwrap();
        assert_eq!(rest.polls.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn one_of_two_idle_ms_polls() {
    explore(2, || {
        let (rest, over) = (Rest::new(1), Arc::new(AtomicBool::new(false)));
        let ms: Vec<_> = (0..2)
            .map(|m| {
                let (rest, over) = (Arc::clone(&rest), Arc::clone(&over));
                thread::spawn(move || {
                    rest.rest(m, &over);
                    // The other M may stay idle.
                    over.store(true, Ordering::Relaxed);
                    rest.tokens[1 - m].leave();
                })
            })
            .collect();
        rest.wait_outside();
        ms.into_iter().for_each(|m| m.join().unwrap());
        assert_eq!(rest.polls.load(Ordering::Relaxed), 1);
    });
}

/// The parker, the bell, and the system's poll of one M.
struct Sleeper {
    bell: Doorbell,
    token: AtomicBool,
    poll: Signal,
    rings: AtomicU32,
}

impl Sleeper {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bell: Doorbell::new(),
            token: AtomicBool::new(false),
            poll: Signal::new(),
            rings: AtomicU32::new(0),
        })
    }

    fn block(&self) {
        self.bell.arm();
        if !self.token.swap(false, Ordering::Acquire) {
            self.poll.wait();
        }
        self.bell.disarm();
    }

    fn wake(&self) {
        self.token.swap(true, Ordering::Release);
        if self.bell.ring() {
            self.rings.fetch_add(1, Ordering::Relaxed);
            self.poll.leave();
        }
    }
}

#[test]
fn a_token_ends_the_poll_and_one_pays() {
    explore(3, || {
        let sleeper = Sleeper::new();
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let sleeper = Arc::clone(&sleeper);
                thread::spawn(move || sleeper.wake())
            })
            .collect();
        sleeper.block();
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert!(sleeper.rings.load(Ordering::Relaxed) <= 1);
    });
}

// Sysmon creates the place where it sleeps just before it arms the bell for the first time.
//
// A ring that finds no place would disarm the bell and wake no thread.
#[test]
fn a_ring_finds_the_place_where_the_owner_sleeps() {
    explore(3, || {
        let (sleeper, place) = (Sleeper::new(), Arc::new(AtomicBool::new(false)));
        let waker = {
            let (sleeper, place) = (Arc::clone(&sleeper), Arc::clone(&place));
            thread::spawn(move || {
                sleeper.token.swap(true, Ordering::Release);
                if sleeper.bell.ring() {
                    assert!(place.load(Ordering::Relaxed), "the ring is lost");
                    sleeper.poll.leave();
                }
            })
        };
        place.store(true, Ordering::Relaxed);
        sleeper.block();
        waker.join().unwrap();
    });
}
