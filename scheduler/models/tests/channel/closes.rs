//! A different kind of wait that the close of a channel also ends.

use std::convert::Infallible;
use std::ptr::NonNull;

use greenthread_models::explore;
use loom::sync::Arc;
use loom::thread;

use crate::closing::{CloseWaiter, Closing};
use crate::handle::{Receiver, bounded};
use crate::primitive::{Blocker, Case, Claim, RawLock, UnsafeCell, WaitList, WaitNode, WaitReason, Waker};

const GIFT: usize = 0;
const CLOSE: usize = 1;

/// A place where a thread waits for a gift.
struct Place {
    lock: RawLock,
    queue: UnsafeCell<WaitList<(Case, Waker)>>,
}

// SAFETY: the queue is touched only under the lock.
unsafe impl Send for Place {}
// SAFETY: the queue is touched only under the lock.
unsafe impl Sync for Place {}

impl Place {
    /// Ends the wait of the thread that waits here.
    ///
    /// Returns `true` if a thread was waiting.
    fn give(&self) -> bool {
        self.lock.lock();
        // SAFETY: the lock is held, and a node in the queue is alive.
        let owed = self.queue.with_mut(|queue| unsafe {
            let (case, waker) = (*queue).pop_front()?.as_ref().value;
            case.reserve().then_some(waker)
        });
        // SAFETY: the lock is held. The reserved waiter receives no other wake after that.
        unsafe {
            self.lock.unlock();
            owed.map(|waker| waker.wake()).is_some()
        }
    }

    /// Waits for a gift or for the close.
    ///
    /// Returns `true` if a gift arrived.
    fn wait(&self, done: &Receiver<Infallible>) -> bool {
        let (closing, blocker, claim) = (Closing::of(done), Blocker::new(), Claim::new());
        let case = |index| Case::of(NonNull::from(&claim), index);
        let node = WaitNode::new((case(GIFT), blocker.waker()));
        let waiter = CloseWaiter::new(case(CLOSE), blocker.waker());
        self.lock.lock();
        // SAFETY: the protocol of `closing` is followed. The model checks that this suffices.
        unsafe {
            let Some(joined) = closing.join(&waiter) else {
                self.lock.unlock();
                return false;
            };
            self.queue.with_mut(|queue| (*queue).push_back(NonNull::from(&node)));
            blocker.block(WaitReason::Select, || {
                self.lock.unlock();
                joined.unlock();
            });
            let won = claim.winner() == Some(CLOSE);
            closing.leave(&waiter, won);
            self.lock.lock();
            self.queue.with_mut(|queue| (*queue).remove(NonNull::from(&node)));
            self.lock.unlock();
            !won
        }
    }
}

#[test]
fn gift_races_with_close() {
    explore(2, || {
        let place = Arc::new(Place { lock: RawLock::new(), queue: UnsafeCell::new(WaitList::new()) });
        let (tx, done) = bounded::<Infallible>(0);
        let giver = {
            let place = Arc::clone(&place);
            thread::spawn(move || place.give())
        };
        let closer = thread::spawn(move || tx.close());
        let given = place.wait(&done);
        assert_eq!(giver.join().unwrap(), given);
        closer.join().unwrap();
        assert_eq!(done.head().unwrap().waiting(), (0, 0));
    });
}
