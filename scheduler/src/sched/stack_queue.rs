//! Goroutines that are runnable, but for which there is no stack: they wait, in order, until
//! another goroutine's end frees one.
//!
//! # Vocabulary
//! A *waiter* is a goroutine that a worker was about to run for the first time when no stack of its
//! class could be had. A *giver* is a thread that has returned a stack to the pool. To *serve* is
//! to take a free stack for the first waiter of its class, to install the waiter on it at once, and
//! to queue the waiter like any runnable goroutine.
//!
//! # The races
//! *A stack is freed while a worker is about to wait.* The worker adds the waiter to the queue,
//! counts it ([`stack::demand`]), and only then looks into the pool once more. A giver first puts
//! the stack into the pool and then reads the count. Both accesses to the pool are under its lock.
//! If the worker's is first, the giver sees the count (the worker wrote it before it took the lock)
//! and serves. If the giver's is first, the worker finds the stack and serves.
//!
//! *A free stack hides in the cache of a P.* While goroutines wait, ends of goroutines bypass the
//! caches. What is in them already comes out when the P looks around after a tick of sysmon, when
//! it goes idle, and, for Ps that are idle, when the first goroutine begins to wait. Sysmon serves
//! after each tick. So a stack in a cache delays a waiter, but does not keep it waiting.
//!
//! *All goroutines that have a stack wait for one that has none.* Nothing can be done in general,
//! and the deadlock report says so. But goroutines that timers start (the end of a context by its
//! deadline) go first, and may take the few stacks that the pool spares for them.
//!
//! *Another goroutine takes the stack that was freed for the waiter.* It cannot: the stack goes
//! from the pool to the waiter under the lock of the queue, and a goroutine that is about to run
//! for the first time joins the queue without looking into the pool if others of its class wait.
//! Nor does a new goroutine begin on the stack of one that ends while others wait.
//!
//! # Stacks that the system provides later
//! A limit may be raised, or memory freed by another process. So sysmon tries to create a stack
//! once per second while goroutines wait, and before it concludes that nothing can move anymore
//! ([`crate::diag::deadlock`]).
//!
//! # Rejected
//! * *Ending the goroutine as if it had panicked*: a server at its limit would drop connections
//!   that it could serve a moment later, and everything that waits for goroutines would need a way
//!   to report work that has not been done.
//! * *Blocking the spawner*: it may be the goroutine that the others wait for.
//! * *Queuing the goroutine behind all others and trying again*: the order would be lost, and Ps
//!   would spin.
//!
//! # Invariants
//! * I1: a goroutine in the queue is runnable, has no stack, and belongs to the queue.
//! * I2: [`stack::demand`] is the length of the queue; it changes under the queue's lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diag::fatal;
use crate::gmp::GRef;
use crate::gmp::scheduler::sched;
use crate::machine::stack::{self, Class, POOL, Stack};
use crate::machine::sys::mutex::Mutex;
use crate::sched::handoff;
use crate::task::coroutine::StackHead;
use crate::wait::ready;

/// How often sysmon tries to create a stack while goroutines wait.
const RETRY_NS: u64 = 1_000_000_000;

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());

struct Queue {
    /// The waiters of each class, the first one in front.
    waiters: [VecDeque<GRef>; Class::COUNT],
    /// Those that timers start, which go first.
    urgent: VecDeque<GRef>,
    /// Why the last one could not have a stack.
    refusal: String,
    /// When sysmon tries again.
    retry_at: u64,
}

/// How a stack for a waiter may be had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A free one.
    Free,
    /// A free one or a new one.
    FreeOrNew,
}

/// What a report says about the goroutines that wait.
pub(crate) struct Shortage {
    /// How many goroutines wait.
    pub(crate) waiters: usize,
    /// Why there is no stack for them.
    pub(crate) why: String,
}

/// Returns `true` if a goroutine that needs a stack of this class must wait behind others.
#[cold]
pub(crate) fn must_wait(class: Class) -> bool {
    !QUEUE.lock().waiters[class.index()].is_empty()
}

/// Adds `g`, which the calling worker owns, to the queue, because `refusal` says that there is no
/// stack for it.
///
/// `None` means that others wait already.
#[cold]
pub(crate) fn wait(g: GRef, refusal: Option<std::io::Error>) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let refusal = refusal.map(|error| error.to_string());
    if let Some(text) = refusal.as_ref().filter(|_| !WARNED.swap(true, Ordering::Relaxed)) {
        fatal::warn(&format!("goroutines wait for a stack until others end: {text}"));
    }
    let mut queue = QUEUE.lock();
    let is_first = stack::demand() == 0;
    match g.vtable.is_urgent {
        true => queue.urgent.push_back(g),
        false => queue.waiters[class_of(g).index()].push_back(g),
    }
    stack::add_demand(1);
    if let Some(text) = refusal {
        queue.refusal = text;
    }
    drop(queue);
    if is_first {
        handoff::flush_idle_stacks();
    }
    serve();
}

/// Gives free stacks to the goroutines that wait.
///
/// Called after a stack was returned to the pool while the demand was not zero.
#[cold]
pub(crate) fn serve() {
    let served = QUEUE.lock().serve(Source::Free);
    ready::push_global_all(served);
}

/// Serves, and from time to time tries to create stacks.
///
/// Sysmon calls this. Returns when it wants to be called again, if goroutines wait.
pub(crate) fn look(now: u64) -> Option<u64> {
    if stack::demand() == 0 {
        return None;
    }
    let (served, retry_at) = {
        let mut queue = QUEUE.lock();
        let is_due = now >= queue.retry_at;
        if is_due {
            queue.retry_at = now + RETRY_NS;
        }
        (queue.serve(if is_due { Source::FreeOrNew } else { Source::Free }), queue.retry_at)
    };
    ready::push_global_all(served);
    Some(retry_at)
}

/// Tries to create stacks, and returns what to report if goroutines still wait.
///
/// Sysmon calls this when it is about to conclude that nothing moves.
pub(crate) fn shortage() -> Option<Shortage> {
    if stack::demand() == 0 {
        return None;
    }
    let mut queue = QUEUE.lock();
    let served = queue.serve(Source::FreeOrNew);
    let shortage = Shortage { waiters: stack::demand(), why: queue.refusal.clone() };
    drop(queue);
    ready::push_global_all(served);
    (shortage.waiters > 0).then_some(shortage)
}

/// Returns the class of the stack that `g` needs.
pub(crate) fn class_of(g: GRef) -> Class {
    g.stack_size().and_then(|bytes| stack::class_for(bytes).ok()).unwrap_or_else(stack::default_class)
}

/// Makes `g`, which the caller owns, begin on `stack`.
pub(crate) fn install(g: GRef, stack: Stack) {
    g.stack.set(StackHead::install(stack, sched().on_stack, g.as_ptr().cast()));
}

impl Queue {
    const fn new() -> Self {
        let waiters = [const { VecDeque::new() }; Class::COUNT];
        Self { waiters, urgent: VecDeque::new(), refusal: String::new(), retry_at: 0 }
    }

    /// Installs waiters on stacks, in order, as long as there are any.
    ///
    /// Returns them; the caller queues them.
    fn serve(&mut self, source: Source) -> Vec<GRef> {
        let Self { waiters, urgent, refusal, .. } = self;
        let mut served = Vec::new();
        serve_one_class(urgent, &mut served, || POOL.take_free(stack::default_class(), true));
        for (index, waiters) in waiters.iter_mut().enumerate() {
            serve_one_class(waiters, &mut served, || {
                let class = Class::nth(index)?;
                match source {
                    Source::Free => POOL.take_free(class, false),
                    Source::FreeOrNew => {
                        let taken = POOL.take(class.reservation());
                        taken.inspect_err(|error| *refusal = error.to_string()).ok()
                    }
                }
            });
        }
        served
    }
}

fn serve_one_class(waiters: &mut VecDeque<GRef>, served: &mut Vec<GRef>, mut take: impl FnMut() -> Option<Stack>) {
    while let Some(g) = waiters.front().copied()
        && let Some(stack) = take()
    {
        waiters.pop_front();
        stack::add_demand(-1);
        install(g, stack);
        // A pinned goroutine is sent to its thread like one that has run there.
        if let Some(bound) = g.bound_m() {
            g.set_m(bound);
        }
        served.push(g);
    }
}
