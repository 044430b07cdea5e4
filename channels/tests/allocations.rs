//! Neither an operation nor a wait allocates: nodes, claims and timers are stored in the waiters'
//! frames.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{everywhere, spawn};
use greenthread_channels::{Receiver, Sender, bounded, select};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: all memory comes from and goes to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the layout comes from the caller, and both functions have the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from the system's allocator with this layout.
        unsafe { System.dealloc(memory, layout) };
    }
}

const ROUNDS: usize = 600;

/// Performs each kind of operation.
///
/// Most operations wait for the other side.
fn play(tx: &Sender<[u64; 16]>, rx: &Receiver<[u64; 16]>, never: &Receiver<u8>) {
    for _ in 0..ROUNDS {
        tx.send([1; 16]).unwrap();
        rx.recv().unwrap();
        tx.send_timeout([2; 16], Duration::from_secs(60)).unwrap();
        rx.recv_timeout(Duration::from_secs(60)).unwrap();
        select! {
            send(tx, [3; 16]) -> sent => sent.unwrap(),
            recv(never) -> _ => unreachable!(),
        }
        select! {
            recv(rx) -> value => { value.unwrap(); }
            recv(never) -> _ => unreachable!(),
            default(Duration::from_secs(60)) => panic!("nobody sends"),
        }
        select! {
            recv(never) -> _ => unreachable!(),
            default => {}
        }
    }
}

/// Acts as the other side, and sends back every value that it receives.
fn echo(tx: &Sender<[u64; 16]>, rx: &Receiver<[u64; 16]>) {
    for value in rx {
        tx.send(value).unwrap();
    }
}

#[test]
fn operations_do_not_allocate() {
    everywhere(|| {
        for cap in [0, 1, 4] {
            let ((to, from_here), (back, here)) = (bounded(cap), bounded(cap));
            let (_quiet, never) = bounded(0);
            let other = spawn(move || echo(&back, &from_here));
            let player = spawn(move || {
                play(&to, &here, &never);
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                play(&to, &here, &never);
                ALLOCATIONS.load(Ordering::Relaxed) - before
            });
            let allocated = player.join();
            other.join();
            // The runtime may have started threads in the meantime. An operation that allocated
            // would do so in each round.
            assert!(allocated < ROUNDS / 2, "{allocated} allocations, capacity {cap}");
        }
    });
}
