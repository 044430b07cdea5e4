//! Models of the join word: the end of a goroutine races with its handle, its joiner, and other
//! waiters.

use std::ptr;

use greenthread_models::explore;
use greenthread_models::primitive::{AtomicU32, Ordering, UnsafeCell};
use greenthread_models::protocol::join::{JoinNode, JoinWord};
use loom::sync::{Arc, Notify};
use loom::thread;

/// A goroutine's block: its word, its result, and the number of times it was freed.
struct Block {
    word: JoinWord,
    result: UnsafeCell<u32>,
    freed: AtomicU32,
}

// SAFETY: the word decides which thread touches the result, which is what the models check.
unsafe impl Sync for Block {}
// SAFETY: the word decides which thread touches the result.
unsafe impl Send for Block {}

impl Block {
    fn new() -> Arc<Self> {
        Arc::new(Self { word: JoinWord::new(), result: UnsafeCell::new(0), freed: AtomicU32::new(0) })
    }

    /// Runs the goroutine: leaves its result and ends.
    fn run(&self) {
        // SAFETY: no thread reads the result before the end.
        self.result.with_mut(|result| unsafe { *result = 42 });
        let mut detached = self.word.is_detached();
        loop {
            if let Some(waiters) = self.word.finish(detached) {
                waiters.wake_all();
                break;
            }
            detached = true;
        }
        if detached {
            self.freed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read_result(&self) -> u32 {
        // SAFETY: the caller knows that the goroutine has ended.
        self.result.with(|result| unsafe { *result })
    }
}

/// A waiter, with a condition variable in place of a parked goroutine.
#[repr(C)]
struct Waiter {
    node: JoinNode,
    woken: AtomicU32,
    condition: Notify,
}

unsafe fn wake(node: *const JoinNode) {
    // SAFETY: the node is the first field of a `Waiter`, which its owner keeps until it is woken.
    let waiter = unsafe { &*node.cast::<Waiter>() };
    waiter.woken.fetch_add(1, Ordering::Release);
    waiter.condition.notify();
}

impl Waiter {
    fn new() -> Arc<Self> {
        Arc::new(Self { node: JoinNode::new(wake), woken: AtomicU32::new(0), condition: Notify::new() })
    }

    /// Waits for the end of `block`'s goroutine.
    fn wait(&self, block: &Block) {
        // SAFETY: the waiter stays in place until it is woken.
        if unsafe { block.word.push(ptr::from_ref(self).cast()) } {
            // Loom lets one wait end spuriously.
            while self.woken.load(Ordering::Acquire) == 0 {
                self.condition.wait();
            }
        }
        assert!(block.word.is_done());
    }
}

fn goroutine(block: &Arc<Block>) -> thread::JoinHandle<()> {
    let block = Arc::clone(block);
    thread::spawn(move || block.run())
}

#[test]
fn join_sees_the_result_and_is_woken_once() {
    explore(3, || {
        let block = Block::new();
        let goroutine = goroutine(&block);
        let waiter = Waiter::new();
        waiter.wait(&block);
        assert_eq!(block.read_result(), 42);
        assert!(block.word.detach(), "joined, so the block is the handle's");
        goroutine.join().unwrap();
        assert!(waiter.woken.load(Ordering::Relaxed) <= 1);
        assert_eq!(block.freed.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn exactly_one_side_frees_the_block() {
    explore(3, || {
        let block = Block::new();
        let goroutine = goroutine(&block);
        if block.word.detach() {
            assert_eq!(block.read_result(), 42);
            block.freed.fetch_add(1, Ordering::Relaxed);
        }
        goroutine.join().unwrap();
        assert_eq!(block.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn all_waiters_are_woken() {
    explore(2, || {
        let block = Block::new();
        let goroutine = goroutine(&block);
        let other = {
            let block = Arc::clone(&block);
            thread::spawn(move || Waiter::new().wait(&block))
        };
        Waiter::new().wait(&block);
        other.join().unwrap();
        goroutine.join().unwrap();
    });
}

#[test]
fn waiters_stay_when_the_handle_is_dropped() {
    explore(2, || {
        let block = Block::new();
        let waiter = Waiter::new();
        // SAFETY: the waiter stays in place to the end of the model.
        let pushed = unsafe { block.word.push(Arc::as_ptr(&waiter).cast()) };
        assert!(pushed);
        let goroutine = goroutine(&block);
        let handle_frees = block.word.detach();
        goroutine.join().unwrap();
        assert_eq!(waiter.woken.load(Ordering::Relaxed), 1);
        assert_eq!(u32::from(handle_frees) + block.freed.load(Ordering::Relaxed), 1);
    });
}
