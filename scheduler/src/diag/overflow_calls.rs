//! The calls on a stack that has overflowed, for the report of the overflow.
//!
//! The report is made in a signal handler, where nothing may be allocated and no lock acquired.
//! Unwinding needs both. So the handler leaves its request for sysmon and waits. The goroutine's
//! stack stays as it is, since its thread is in the handler.
//!
//! If the overflow came while the thread held a lock that sysmon needs, the answer never comes. The
//! handler then gives up after [`PATIENCE`], and the report ends without the calls.
//!
//! # Rejected
//! * *Unwinding in the handler*, as debuggers' libraries do: the dynamic loader's lock or the
//!   allocator's may be held by the interrupted code, and then nothing would ever be printed.
//! * *Recording frame pointers*: Rust code keeps none.
//!
//! # Invariants
//! * I1: `OWNER` and `FAULT` are written by the one thread that reports an overflow, before it sets
//!   `STATE` to `ASKED`, and never again.
//!
//! # Orderings
//! * P1: `STATE`, released in `request` -> the acquire load in `write_if_requested`: what the
//!   thread asks for is visible, and so is its stack.

use std::fmt::Write as _;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::diag::dump;
use crate::gmp::scheduler::try_sched;
use crate::machine::stack::look;
use crate::machine::stack::overflow::Stderr;
use crate::machine::sys::unwind::{AtFault, Registers};

/// How long the handler waits for the calls, and how often it looks.
///
/// Reading the debug information of a large program takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// The request: none yet, made, and answered.
const NONE: u8 = 0;
const ASKED: u8 = 1;
const ANSWERED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(NONE);
static OWNER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static FAULT: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];

/// Makes sysmon print the calls on the stack of `owner`, which has overflowed, and waits until it
/// has done so.
///
/// Called in a signal handler, once, on the thread that has the stack.
pub(crate) fn request(owner: *mut (), AtFault { registers, scratch }: AtFault) {
    let Some(sched) = try_sched().filter(|sched| sched.sysmon.runs.load(Ordering::Relaxed)) else { return };
    OWNER.store(owner, Ordering::Relaxed);
    for (to, word) in FAULT.iter().zip([registers.pc, registers.sp, registers.fp, registers.lr, scratch]) {
        to.store(word, Ordering::Relaxed);
    }
    // ORDERING P1: release publishes the request.
    STATE.store(ASKED, Ordering::Release);
    sched.sysmon.wake();
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if STATE.load(Ordering::Relaxed) == ANSWERED {
            return;
        }
        // On Unix this is a system call and nothing else.
        thread::sleep(PAUSE);
    }
}

/// Prints the calls if a thread has asked for them.
///
/// Called by sysmon when it wakes.
pub(crate) fn write_if_requested() {
    // ORDERING P1: acquire pairs with the store in `request`.
    if STATE.load(Ordering::Acquire) != ASKED {
        return;
    }
    let owner = OWNER.load(Ordering::Relaxed).expose_provenance();
    let [pc, sp, fp, lr, scratch] = [0, 1, 2, 3, 4].map(|i| FAULT[i].load(Ordering::Relaxed));
    let read = move |address| look::read_stopped(ptr::with_exposed_provenance_mut(owner), address);
    let at = AtFault { registers: Registers { pc, sp, fp, lr }, scratch };
    let _ = Stderr.write_str(&dump::overflowed(at, read));
    STATE.store(ANSWERED, Ordering::Relaxed);
}
