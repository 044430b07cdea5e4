//! Models of stack occupancy: resumers run on their stacks while the sweeper drops dead pages.

use greenthread_models::explore;
use greenthread_models::primitive::{AtomicUsize, Ordering, UnsafeCell};
use greenthread_models::protocol::occupancy::{Occupancy, exclude};
use loom::sync::Arc;
use loom::thread;

/// A stack: its pages, which loom watches for overlapping uses, and the stack pointer at the last
/// suspend.
struct Slot {
    occupancy: Occupancy,
    sp: AtomicUsize,
    pages: UnsafeCell<usize>,
}

// SAFETY: `pages` is touched between `enter` and `leave` or inside `exclude`; the models check that
// this is safe.
unsafe impl Sync for Slot {}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { occupancy: Occupancy::new(), sp: AtomicUsize::new(0), pages: UnsafeCell::new(0) })
    }

    /// Runs a goroutine once: it leaves `depth` live words and a stack pointer that matches them.
    fn run(&self, depth: usize) {
        self.occupancy.enter();
        // SAFETY: this thread is on the stack; otherwise loom reports an error.
        self.pages.with_mut(|pages| unsafe { *pages = depth });
        self.sp.store(depth, Ordering::Relaxed);
        self.occupancy.leave();
    }

    /// Acts like the sweeper once the stack is found vacant: the pointer must describe the contents
    /// of the stack.
    fn trim(&self) {
        let sp = self.sp.load(Ordering::Relaxed);
        // SAFETY: no thread is on the stack; otherwise loom reports an error.
        self.pages.with_mut(|pages| unsafe {
            assert_eq!(*pages, sp, "the saved stack pointer is not that of the last suspend");
            *pages = sp;
        });
    }
}

fn sweep(slots: &[&Slot]) -> u32 {
    exclude(slots.iter().map(|slot| &slot.occupancy), |vacant| {
        for (i, slot) in slots.iter().enumerate() {
            if vacant >> i & 1 == 1 {
                slot.trim();
            }
        }
        vacant.count_ones()
    })
}

#[test]
fn a_resumer_and_the_sweeper_never_overlap() {
    explore(3, || {
        let slot = Slot::new();
        let resumer = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                slot.run(1);
                slot.run(2);
            })
        };
        sweep(&[&slot]);
        resumer.join().unwrap();
        assert_eq!(sweep(&[&slot]), 1, "a stack that was left is vacant");
    });
}

#[test]
fn a_batch_of_two_stacks() {
    explore(3, || {
        let slots = [Slot::new(), Slot::new()];
        let worker = {
            let slots = slots.clone();
            thread::spawn(move || slots.iter().for_each(|slot| slot.run(1)))
        };
        sweep(&[&slots[1], &slots[0]]);
        worker.join().unwrap();
    });
}

#[test]
fn the_goroutine_may_move_to_another_worker() {
    explore(2, || {
        let slot = Slot::new();
        let first = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.run(1))
        };
        let second = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                first.join().unwrap();
                slot.run(2);
            })
        };
        sweep(&[&slot]);
        second.join().unwrap();
    });
}

#[test]
fn a_stack_that_is_run_on_is_skipped() {
    explore(3, || {
        let slot = Slot::new();
        slot.occupancy.enter();
        let sweeper = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || sweep(&[&slot]))
        };
        // SAFETY: this thread is on the stack; otherwise loom reports an error.
        slot.pages.with_mut(|pages| unsafe { *pages = 7 });
        assert_eq!(sweeper.join().unwrap(), 0);
        slot.occupancy.leave();
    });
}
