//! Models of the lease: an owner enters and exits, against one or two retakers that want its P.

use greenthread_models::explore;
use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::lease::Lease;
use loom::sync::Arc;
use loom::thread;

/// A lease and the P that it covers.
///
/// Loom reports any two uses of the P that no ordering separates.
struct Shared {
    lease: Lease,
    uses: UnsafeCell<u32>,
}

// SAFETY: `uses` is touched only by the thread that has the P; the models check that there is only
// one such thread.
unsafe impl Sync for Shared {}

impl Shared {
    /// Creates an owner that has a P and is outside.
    fn new() -> Arc<Self> {
        let shared = Self { lease: Lease::new(), uses: UnsafeCell::new(0) };
        shared.lease.renew();
        shared.lease.exit();
        Arc::new(shared)
    }

    fn use_p(&self) {
        // SAFETY: the caller has the P; otherwise loom reports an error.
        self.uses.with_mut(|n| unsafe { *n += 1 });
    }

    fn uses(&self) -> u32 {
        // SAFETY: the caller has the P; otherwise loom reports an error. This is called in a check,
        // or after the other threads are joined.
        self.uses.with(|n| unsafe { *n })
    }

    /// Enters and exits once as the owner.
    ///
    /// Returns `true` if it had its P.
    fn visit(&self) -> bool {
        let entered = self.lease.enter();
        if entered {
            self.use_p();
            self.lease.exit();
        }
        entered
    }

    /// Tries to take the P as a retaker whose check reads the P and then returns `verdict`.
    ///
    /// Returns `true` if it took the P.
    fn take(&self, verdict: bool) -> bool {
        let taken = self.lease.try_take(|| self.uses() < u32::MAX && verdict);
        if taken {
            self.use_p();
        }
        taken
    }
}

/// Takes the P, uses it, and returns it if possible.
///
/// Returns whether it took the P, and whether it still has the P.
fn lend(shared: &Shared) -> (bool, bool) {
    if !shared.take(true) {
        return (false, false);
    }
    let returned = shared.lease.give_back(|| shared.use_p());
    if !returned {
        shared.use_p();
    }
    (true, !returned)
}

fn monitor(shared: &Arc<Shared>, check: bool) -> thread::JoinHandle<bool> {
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.take(check))
}

#[test]
fn owner_and_retaker_never_both_use_the_p() {
    explore(3, || {
        let shared = Shared::new();
        let monitor = monitor(&shared, true);
        let visits = [shared.visit(), shared.visit()];
        let taken = monitor.join().unwrap();
        assert!(visits[0] || !visits[1], "a taken P came back by itself");
        assert!(taken || visits[1], "the owner lost a P that nobody took");
        assert_eq!(shared.uses(), visits.iter().chain([&taken]).map(|&used| u32::from(used)).sum::<u32>());
    });
}

#[test]
fn a_taken_lease_is_noticed_at_the_next_enter() {
    explore(3, || {
        let shared = Shared::new();
        let monitor = monitor(&shared, true);
        shared.visit();
        let taken = monitor.join().unwrap();
        assert_eq!(shared.visit(), !taken);
    });
}

#[test]
fn a_retaker_that_backs_off_leaves_the_owner_undisturbed() {
    explore(3, || {
        let shared = Shared::new();
        let monitor = monitor(&shared, false);
        assert!(shared.visit());
        assert!(shared.visit());
        assert!(!monitor.join().unwrap());
    });
}

#[test]
fn one_of_two_retakers_takes() {
    explore(2, || {
        let shared = Shared::new();
        let monitors = [monitor(&shared, true), monitor(&shared, true)];
        let visited = shared.visit();
        let taken: Vec<bool> = monitors.into_iter().map(|m| m.join().unwrap()).collect();
        assert!(!(taken[0] && taken[1]), "taken twice");
        assert!(visited || taken[0] || taken[1], "the owner lost a P that nobody took");
        assert_eq!(shared.uses(), u32::from(visited) + u32::from(taken[0] || taken[1]));
    });
}

#[test]
fn a_check_that_refuses_does_not_undo_the_other_take() {
    explore(2, || {
        let shared = Shared::new();
        let monitors = [monitor(&shared, true), monitor(&shared, false)];
        let visited = shared.visit();
        let taken: Vec<bool> = monitors.into_iter().map(|m| m.join().unwrap()).collect();
        assert!(!taken[1]);
        assert!(visited || taken[0]);
        assert_eq!(shared.visit(), !taken[0]);
    });
}

#[test]
fn a_released_p_is_not_taken() {
    explore(3, || {
        let shared = Shared::new();
        let monitor = monitor(&shared, true);
        let released = shared.lease.enter();
        if released {
            shared.lease.release();
            shared.use_p();
        }
        assert_eq!(monitor.join().unwrap(), !released, "exactly one side has the P");
        assert!(!shared.lease.enter());
    });
}

#[test]
fn a_renewed_lease_can_be_taken_again_but_not_from_inside() {
    explore(2, || {
        let shared = Shared::new();
        assert!(shared.take(true));
        let monitor = monitor(&shared, true);
        assert!(!shared.lease.enter());
        // The retaker on the previous line has in effect returned the P, which belongs to the owner
        // from here on.
        shared.lease.renew();
        shared.use_p();
        shared.lease.exit();
        let kept = shared.visit();
        assert_eq!(monitor.join().unwrap(), !kept || !shared.visit());
    });
}

#[test]
fn a_p_released_and_got_back_is_safe_inside_at_once() {
    explore(2, || {
        let shared = Shared::new();
        assert!(shared.lease.enter());
        shared.lease.release();
        let monitor = monitor(&shared, true);
        shared.lease.renew();
        shared.use_p();
        assert!(!shared.lease.try_take(|| true), "the owner is inside");
        shared.use_p();
        shared.lease.exit();
        assert_eq!(monitor.join().unwrap(), !shared.visit());
    });
}

#[test]
fn a_p_that_is_lent_is_back_or_the_owner_knows() {
    explore(3, || {
        let shared = Shared::new();
        let lender = thread::spawn({
            let shared = Arc::clone(&shared);
            move || lend(&shared)
        });
        let visits = [shared.visit(), shared.visit()];
        let (taken, kept) = lender.join().unwrap();
        assert!(taken || (visits[0] && visits[1]), "the owner lost a P that nobody took");
        assert!(visits[0] || !visits[1], "it came back to an owner that knew");
        assert_eq!(shared.visit(), !kept, "one of the two has it");
    });
}

#[test]
fn a_p_that_is_lent_can_be_taken_by_another() {
    explore(2, || {
        let shared = Shared::new();
        let lender = thread::spawn({
            let shared = Arc::clone(&shared);
            move || lend(&shared)
        });
        let monitor = monitor(&shared, true);
        let visited = shared.visit();
        let ((_, kept), taken) = (lender.join().unwrap(), monitor.join().unwrap());
        assert!(!(kept && taken), "two have it");
        assert_eq!(shared.visit(), !kept && !taken, "one of the three has it: {visited}");
    });
}
