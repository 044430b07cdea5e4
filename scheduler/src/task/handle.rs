//! The handle of a goroutine: waiting for its end, and taking its result.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::thread;

use super::body;
use crate::gmp::GRef;
use crate::gmp::reason::WaitReason;
use crate::protocol::join::JoinNode;
use crate::sched::affinity::ties;
use crate::wait::blocker::{Blocker, Waker};

/// An owned permission to join a goroutine.
///
/// See `greenthread::JoinHandle`.
pub struct JoinHandle<T> {
    g: GRef,
    _result: PhantomData<T>,
}

// SAFETY: only the result is accessible through the handle, and it crosses threads once, hence the
// bound.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives access to atomics and to what the spawner wrote before the
// goroutine was queued.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

// A result is only ever taken whole, and a panic of the goroutine is reported by `join`.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<T> JoinHandle<T> {
    /// Returns the handle of `g`.
    ///
    /// # Safety
    /// `g` was created with [`JoinWord::new`](crate::protocol::join::JoinWord::new), this is its
    /// only handle, and its result is a `T`.
    pub(crate) unsafe fn of(g: GRef) -> Self {
        Self { g, _result: PhantomData }
    }

    /// Ends the goroutine, which has never run, and drops its closure.
    ///
    /// If that drop panics, the panic hook has reported the panic, which does not propagate
    /// further.
    ///
    /// # Safety
    /// The caller owns the goroutine, which will not be queued.
    pub(crate) unsafe fn drop_unstarted(&self) {
        // SAFETY: the goroutine has never run, and the caller owns it. The payload is its result,
        // which is dropped unseen.
        unsafe { (self.g.vtable.drop_closure)(self.g) };
        let waiters = self.g.join.finish(false).expect("spawn: this handle is still there");
        waiters.wake_all();
    }

    /// Waits for the goroutine's end, and returns its result.
    ///
    /// # Errors
    /// The payload of the goroutine's panic.
    pub fn join(self) -> thread::Result<T> {
        self.wait();
        let this = ManuallyDrop::new(self);
        // SAFETY: the goroutine has ended, so the result is there. The handle is forgotten, so the
        // result is taken once, and no other thread knows the block.
        unsafe {
            let result = body::take_result::<T>(this.g);
            body::free(this.g);
            result
        }
    }

    /// Waits for the goroutine's end.
    pub fn wait(&self) {
        if self.g.join.is_done() {
            return;
        }
        let blocker = Blocker::new();
        // A goroutine that joins others, one after the other, would be woken by each only to wait
        // for the next. From the second time on it queues up behind everything that is runnable,
        // since all the others may have ended before it runs.
        let last = blocker.waits_again_for(WaitReason::Join);
        let joiner = Joiner { node: JoinNode::new(wake_joiner), waker: blocker.waker(), last };
        // SAFETY: the joiner is in this frame, which stays until the joiner is woken. If the push
        // is refused, the goroutine has ended since then, and wakes no waiter.
        let commit = || unsafe { self.g.join.push(&raw const joiner.node) };
        // SAFETY: the caller owns the blocker; the push is one exchange, and the last access.
        unsafe { blocker.block_if(WaitReason::Join, commit) };
    }

    /// Keeps the goroutine apart from goroutines that are tied to a thread, since it tends to
    /// block.
    pub(crate) fn expect_to_keep_its_thread(&self) {
        ties::note_kept(self.g);
    }

    /// Returns `true` if the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.g.join.is_done()
    }

    /// Returns the goroutine's id.
    pub fn id(&self) -> u64 {
        self.g.id
    }

    /// Returns the goroutine's name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.g.name().map(|name| &**name)
    }

    /// Calls `f` when the goroutine ends, or immediately if it has already ended.
    ///
    /// `f` runs in the scheduler: it may wake goroutines, and must not block.
    pub fn on_end(&self, f: impl FnOnce() + Send + 'static) {
        let hook = Box::into_raw(Box::new(Hook { node: JoinNode::new(call_hook), f: Box::new(f) }));
        // SAFETY: only the hook's own call frees it.
        if !unsafe { self.g.join.push(hook.cast()) } {
            // SAFETY: the push was refused, so this is the only call.
            unsafe { call_hook(hook.cast()) };
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.g.join.detach() {
            // SAFETY: the goroutine has ended, and this handle was the other party, so it owns the
            // result and the block.
            unsafe {
                (self.g.vtable.drop_result)(self.g);
                body::free(self.g);
            }
        }
    }
}

/// The node of [`JoinHandle::on_end`].
#[repr(C)]
struct Hook {
    node: JoinNode,
    f: Box<dyn FnOnce() + Send>,
}

unsafe fn call_hook(node: *const JoinNode) {
    // SAFETY: the node is the first field of a boxed `Hook`, and this is the only call for it.
    let hook = unsafe { Box::from_raw(node.cast::<Hook>().cast_mut()) };
    (hook.f)();
}

/// The node of [`JoinHandle::wait`].
#[repr(C)]
struct Joiner {
    node: JoinNode,
    waker: Waker,
    /// Whether the joiner queues up behind everything that is runnable.
    last: bool,
}

unsafe fn wake_joiner(node: *const JoinNode) {
    // SAFETY: the node is the first field of a `Joiner`, which stays until this wake-up. The waker
    // is copied out first.
    unsafe {
        let &Joiner { waker, last, .. } = &*node.cast::<Joiner>();
        if last { waker.wake_last() } else { waker.wake() }
    }
}
