//! Models of the condition variable: notifications race with waits that begin, park, or reach their
//! deadline.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use greenthread_models::protocol::claim::{Claim, TakenFrom};
use greenthread_models::protocol::lock::RawLock;
use greenthread_models::protocol::sync::env::Wake;
use greenthread_models::protocol::sync::raw_condvar::{NOTIFIED, Node, RawCondvar, Waiter};
use greenthread_models::wait::Token;
use greenthread_models::{explore, in_threads};
use loom::sync::{Arc, Mutex, MutexGuard};

/// The case for which the deadline takes the claim.
const DEADLINE: usize = NOTIFIED + 1;

/// The data in a waiter's frame.
struct Frame {
    claim: Box<Claim>,
    token: Token,
    node: Node<Token>,
}

// SAFETY: the node is touched under the lock of the condition variable; the models check that this
// suffices.
unsafe impl Sync for Frame {}
// SAFETY: the node is touched under the lock of the condition variable.
unsafe impl Send for Frame {}

impl Frame {
    fn new() -> Self {
        let (claim, token) = (Box::new(Claim::shut()), Token::new());
        let node = Node::new(Waiter::new(NonNull::from(&*claim), token.clone()));
        Self { claim, token, node }
    }

    fn join(&self, condvar: &RawCondvar<Token>) {
        // SAFETY: the node is new and its claim is shut; both stay in place until the claim is
        // taken.
        unsafe { condvar.join(NonNull::from(&self.node)) };
    }

    /// Parks, and returns when the claim is taken.
    fn sleep(&self) {
        if self.claim.open() {
            self.token.wait();
        }
        assert!(self.claim.winner().is_some(), "nothing else ends a wait");
    }

    /// Sleeps, and leaves the queue.
    ///
    /// Returns `true` if it was notified.
    fn finish(&self, condvar: &RawCondvar<Token>) -> bool {
        self.sleep();
        if !self.is_notified() {
            // SAFETY: the deadline has taken the claim.
            unsafe { condvar.withdraw(NonNull::from(&self.node)) };
        }
        self.is_notified()
    }

    /// Makes the deadline pass.
    fn ring(&self) {
        if self.claim.take_early(DEADLINE) == Some(TakenFrom::Open) {
            // SAFETY: the claim was open, so the waiter receives no other wake-up.
            unsafe { self.token.clone().wake() };
        }
    }

    fn is_notified(&self) -> bool {
        self.claim.winner() == Some(NOTIFIED)
    }
}

/// A channel whose close also ends waits: its lock, the waiter's node in it, and whether it is
/// closed.
///
/// As in a wait under a context, the waiter takes the lock after it has joined the condition
/// variable, and keeps it until it has opened its claim.
#[derive(Default)]
struct Channel {
    lock: RawLock,
    watcher: AtomicPtr<Frame>,
    closed: AtomicBool,
}

impl Channel {
    /// The case for which the close takes the claim.
    const CLOSED: usize = DEADLINE;

    fn close(&self) {
        self.lock.lock();
        self.closed.store(true, Ordering::Relaxed);
        let watcher = self.watcher.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the watcher passes through the lock before it leaves its frame.
        let won = unsafe { watcher.as_ref() }.filter(|frame| frame.claim.take(Self::CLOSED));
        let token = won.map(|frame| frame.token.clone());
        // SAFETY: locked above.
        unsafe { self.lock.unlock() };
        if let Some(token) = token {
            // SAFETY: the claim was taken open, so the waiter receives no other wake-up.
            unsafe { token.wake() };
        }
    }

    /// Sleeps until a notification or the close.
    ///
    /// Returns `true` if the sleep ended with a notification.
    fn sleep(&self, frame: &Frame, condvar: &RawCondvar<Token>) -> bool {
        self.lock.lock();
        if self.closed.load(Ordering::Relaxed) {
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
            let _ = frame.claim.take_early(Self::CLOSED);
        } else {
            self.watcher.store(ptr::from_ref(frame).cast_mut(), Ordering::Relaxed);
            let opened = frame.claim.open();
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
            if opened {
                frame.token.wait();
            }
            self.lock.lock();
            self.watcher.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: locked above.
            unsafe { self.lock.unlock() };
        }
        if !frame.is_notified() {
            // SAFETY: the close has taken the claim.
            unsafe { condvar.withdraw(NonNull::from(&frame.node)) };
        }
        frame.is_notified()
    }
}

/// Things to take, each by one thread.
struct Shared {
    things: Mutex<usize>,
    condvar: RawCondvar<Token>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { things: Mutex::new(0), condvar: RawCondvar::new() })
    }

    fn wait<'a>(&'a self, things: MutexGuard<'a, usize>) -> MutexGuard<'a, usize> {
        let frame = Frame::new();
        frame.join(&self.condvar);
        drop(things);
        frame.finish(&self.condvar);
        self.things.lock().unwrap()
    }

    fn take(&self) {
        let mut things = self.things.lock().unwrap();
        while *things == 0 {
            things = self.wait(things);
        }
        *things -= 1;
    }

    fn put(&self, n: usize) {
        *self.things.lock().unwrap() += n;
    }
}

#[test]
fn notify_one_against_a_wait() {
    explore(4, || {
        let shared = Shared::new();
        in_threads(2, &shared, |shared, n| match n {
            0 => shared.take(),
            _ => {
                shared.put(1);
                shared.condvar.notify_one();
            }
        });
        assert!(!shared.condvar.notify_one(), "nobody is left");
    });
}

#[test]
fn notify_one_with_the_mutex_locked() {
    explore(3, || {
        let shared = Shared::new();
        in_threads(2, &shared, |shared, n| match n {
            0 => shared.take(),
            _ => {
                let mut things = shared.things.lock().unwrap();
                *things += 1;
                shared.condvar.notify_one();
            }
        });
    });
}

// Each thread waits for a notification, whatever the condition.
#[test]
fn a_wait_that_has_begun_is_notified_once() {
    explore(3, || {
        let shared = Shared::new();
        in_threads(2, &shared, |shared, n| match n {
            0 => {
                // Counted before the thread waits, so that the other knows that it is there.
                let mut things = shared.things.lock().unwrap();
                *things += 1;
                drop(shared.wait(things));
            }
            _ => {
                let begun = *shared.things.lock().unwrap() == 1;
                assert!(!begun || shared.condvar.notify_one());
                assert!(!begun || !shared.condvar.notify_one(), "there was one");
                if !begun {
                    while !shared.condvar.notify_one() {
                        loom::thread::yield_now();
                    }
                }
            }
        });
    });
}

#[test]
fn two_waits_and_two_notifications() {
    explore(2, || {
        let shared = Shared::new();
        in_threads(3, &shared, |shared, n| match n {
            2 => (0..2).for_each(|_| {
                shared.put(1);
                shared.condvar.notify_one();
            }),
            _ => shared.take(),
        });
    });
}

#[test]
fn two_notifiers() {
    explore(2, || {
        let shared = Shared::new();
        in_threads(3, &shared, |shared, n| match n {
            0 => (0..2).for_each(|_| shared.take()),
            _ => {
                shared.put(1);
                shared.condvar.notify_one();
            }
        });
    });
}

#[test]
fn notify_all_against_two_waits() {
    for batch in [1, 2, 3] {
        explore(2, move || {
            let shared = Shared::new();
            in_threads(3, &shared, move |shared, n| match n {
                2 => {
                    shared.put(2);
                    assert!(shared.condvar.notify_all(batch) <= 2);
                }
                _ => shared.take(),
            });
            assert_eq!(shared.condvar.notify_all(batch), 0, "nobody is left");
        });
    }
}

struct Frames<const N: usize> {
    condvar: RawCondvar<Token>,
    frames: [Frame; N],
}

impl<const N: usize> Frames<N> {
    /// Creates a state in which the first `begun` waiters have begun to wait, in order.
    fn new(begun: usize) -> Arc<Self> {
        let all = Arc::new(Self { condvar: RawCondvar::new(), frames: [(); N].map(|()| Frame::new()) });
        all.frames[..begun].iter().for_each(|frame| frame.join(&all.condvar));
        all
    }
}

// A notification reaches the oldest waiter or, if that waiter's deadline came first, the next one.
#[test]
fn a_notification_against_a_deadline_is_not_lost() {
    for parked in [false, true] {
        explore(3, move || {
            let all = Frames::<2>::new(2);
            let [first, second] = &all.frames;
            if parked {
                assert!(second.claim.open());
            }
            in_threads(3, &all, |Frames { condvar, frames: [first, _] }, n| match n {
                0 => drop(first.finish(condvar)),
                1 => first.ring(),
                _ => assert!(condvar.notify_one(), "two wait"),
            });
            assert_eq!(second.is_notified(), !first.is_notified());
            if !second.is_notified() {
                assert!(all.condvar.notify_one(), "the second still waits");
            }
            if parked {
                second.token.wait();
            }
            assert!(!all.condvar.notify_one(), "nobody is left");
        });
    }
}

// Without another waiter, the notification may arrive too late, and reports that.
#[test]
fn a_notification_knows_whether_it_has_ended_a_wait() {
    explore(3, || {
        let all = Frames::<1>::new(1);
        in_threads(3, &all, |Frames { condvar, frames: [one] }, n| match n {
            0 => drop(one.finish(condvar)),
            1 => one.ring(),
            _ => {
                let woken = condvar.notify_one();
                assert_eq!(woken, one.is_notified());
            }
        });
        assert!(!all.condvar.notify_one(), "nobody is left");
    });
}

// One waiter's deadline passes while all waiters are notified.
#[test]
fn notify_all_against_a_deadline() {
    explore(2, || {
        let all = Frames::<3>::new(3);
        in_threads(3, &all, |Frames { condvar, frames }, n| match n {
            0 => drop(frames[1].finish(condvar)),
            1 => frames[1].ring(),
            _ => {
                let woken = condvar.notify_all(1);
                assert_eq!(woken, frames.iter().filter(|frame| frame.is_notified()).count());
                assert!(frames[0].is_notified() && frames[2].is_notified());
            }
        });
    });
}

// A notified waiter waits again while `notify_all` is still running.
//
// The new wait does not end.
#[test]
fn notify_all_leaves_a_wait_that_comes_later() {
    explore(3, || {
        let all = Frames::<3>::new(2);
        in_threads(2, &all, |Frames { condvar, frames: [first, _, again] }, n| match n {
            0 => {
                first.sleep();
                again.join(condvar);
            }
            _ => assert_eq!(condvar.notify_all(1), 2),
        });
        let notified = all.frames.each_ref().map(Frame::is_notified);
        assert_eq!(notified, [true, true, false]);
        assert_eq!(all.condvar.notify_all(1), 1);
    });
}

// A wait that a close may end meets both the close and a notification: the wait counts as notified
// exactly if a notifier reports that.
#[test]
fn a_close_against_a_notification() {
    explore(3, || {
        let shared = Arc::new((RawCondvar::new(), Channel::default(), AtomicU32::new(0)));
        in_threads(3, &shared, |(condvar, channel, notified), n| match n {
            0 => {
                let frame = Frame::new();
                frame.join(condvar);
                let was_notified = channel.sleep(&frame, condvar);
                notified.fetch_sub(u32::from(was_notified), Ordering::Relaxed);
            }
            1 => channel.close(),
            _ => {
                let told = condvar.notify_one();
                notified.fetch_add(u32::from(told), Ordering::Relaxed);
            }
        });
        let (condvar, _, notified) = &*shared;
        assert_eq!(notified.load(Ordering::Relaxed), 0, "a notification was lost, or made up");
        assert!(!condvar.notify_one(), "nobody is left");
    });
}
