//! New goroutines: from a closure to a block on a run queue, and back.
//!
//! # Who frees what
//! The block belongs to the goroutine and to its [`JoinHandle`]; [`crate::protocol::join`] says which of them is the last. The
//! closure is consumed when the goroutine runs first. The result is taken by `join`, or dropped by the last of the two.
//!
//! # Large closures and results
//! Blocks are never given back ([`crate::gmp::block`]), and are small: a closure and its result lie behind the header only
//! if there is room for them. Else both are in boxes of their own ([`Kept`]), which go back to the allocator when the
//! closure begins to run or is dropped, and when the result is taken or dropped. So a burst of large ones leaves
//! nothing behind but headers. Rejected: large blocks from which the pages behind the header are given back when they
//! have been free for a while. It helps from two pages on, and needs somebody to look.

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crate::diag::fatal;
use crate::gmp::block;
use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::sched;
use crate::gmp::{Attributes, G, GRef, Inside, Vtable};
use crate::machine::stack::{self, POOL, Stack};
use crate::protocol::join::{JoinNode, JoinWord};
use crate::sched::affinity::ties;
use crate::sched::entry;
use crate::testing::mechanism::Mechanism;
use crate::wait::blocker::{Blocker, Waker};
use crate::wait::park;
use crate::wait::ready;

/// What may be chosen for one goroutine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A name for panics and dumps.
    pub name: Option<Arc<str>>,
    /// The stack reservation in bytes, guard area included; `None` is the default.
    pub stack_size: Option<usize>,
    /// Whether the goroutine has an OS thread to itself, from its first instruction to its last.
    pub pinned: bool,
    /// Where dumps say that it was spawned; `None` is the line of the call. For goroutines that are started on behalf
    /// of an earlier call.
    pub site: Option<&'static Location<'static>>,
}

impl Options {
    /// What the header keeps of this: nothing, most of the time.
    fn into_attributes(self) -> io::Result<Option<Box<Attributes>>> {
        let Self { name, stack_size, pinned, site: _ } = self;
        if let Some(bytes) = stack_size {
            stack::class_for(bytes)?;
        }
        let plain = name.is_none() && stack_size.is_none() && !pinned;
        Ok((!plain).then(|| Box::new(Attributes { name, stack_size, pinned })))
    }
}

/// How a closure or a result is kept in a [`Task`].
pub(crate) trait Kept {
    type Item;
    fn keep(item: Self::Item) -> Self;
    fn take(self) -> Self::Item;
}

/// Kept in the block itself.
pub(crate) struct InPlace<X>(X);

impl<X> Kept for InPlace<X> {
    type Item = X;

    #[inline]
    fn keep(item: X) -> Self {
        Self(item)
    }

    #[inline]
    fn take(self) -> X {
        self.0
    }
}

impl<X> Kept for Box<X> {
    type Item = X;

    fn keep(item: X) -> Self {
        Self::new(item)
    }

    fn take(self) -> X {
        *self
    }
}

/// The header, and behind it the closure or its result.
#[repr(C)]
pub(crate) struct Task<C, R> {
    g: G,
    body: UnsafeCell<Body<C, R>>,
}

#[repr(C)]
union Body<C, R> {
    closure: ManuallyDrop<C>,
    result: ManuallyDrop<R>,
}

/// Whether a block has room for a closure and its result in place, and `more` bytes.
pub(crate) const fn fits<F, T>(more: usize) -> bool {
    let task = Layout::new::<Task<InPlace<F>, InPlace<thread::Result<T>>>>();
    block::fits(task.size() + more, task.align())
}

impl<C, R, T> Task<C, R>
where
    C: Kept<Item: FnOnce() -> T>,
    R: Kept<Item = thread::Result<T>>,
{
    pub(crate) const VTABLE: Vtable = Vtable {
        run: Self::run,
        fail: Self::fail,
        take_result: Self::take_result,
        drop_result: Self::drop_result,
        size: size_of::<Self>(),
        align: align_of::<Self>(),
    };

    /// A goroutine that has not run. `vtable` is [`Self::VTABLE`], or that of a block that begins with a task.
    pub(crate) fn new(
        vtable: &'static Vtable,
        id: u64,
        closure: C,
        attributes: Option<Box<Attributes>>,
        join: JoinWord,
        site: &'static Location<'static>,
    ) -> Self {
        let g = G::new(vtable, id, attributes, join, site);
        Self { g, body: UnsafeCell::new(Body { closure: ManuallyDrop::new(closure) }) }
    }

    fn body(g: GRef) -> *mut Body<C, R> {
        let task = g.as_ptr().cast::<Self>();
        // SAFETY: the vtable that led here was made for this type, so the block is a `Self`.
        unsafe { &raw const (*task).body }.cast_mut().cast()
    }

    unsafe fn run(g: GRef) {
        let body = Self::body(g);
        // SAFETY: before the one run, the body is the closure; it is moved out here.
        let closure = unsafe { ManuallyDrop::take(&mut (*body).closure) }.take();
        let result = panic::catch_unwind(AssertUnwindSafe(closure));
        // SAFETY: the body is empty now, and nobody reads it before `JoinWord::finish`.
        unsafe { (*body).result = ManuallyDrop::new(R::keep(result)) };
    }

    unsafe fn fail(g: GRef, payload: Box<dyn Any + Send>) {
        let body = Self::body(g);
        // SAFETY: the goroutine never ran, so the body is the closure; the write below replaces it.
        let closure = unsafe { ManuallyDrop::take(&mut (*body).closure) };
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(closure)));
        let payload = dropped.err().unwrap_or(payload);
        // SAFETY: as above.
        unsafe { (*body).result = ManuallyDrop::new(R::keep(Err(payload))) };
    }

    unsafe fn take_result(g: GRef, to: *mut ()) {
        // SAFETY: the result is there and nobody takes it again, and `to` is a place for it.
        unsafe { to.cast::<thread::Result<T>>().write(ManuallyDrop::take(&mut (*Self::body(g)).result).take()) };
    }

    /// Drops a result that nobody takes. A panic in its drop has been reported by the panic hook, and goes no further.
    unsafe fn drop_result(g: GRef) {
        // SAFETY: the closure has run, and the last party drops the result, once.
        let result = unsafe { ManuallyDrop::take(&mut (*Self::body(g)).result) };
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(result)));
    }
}

/// Makes a goroutine of `f` and queues it.
///
/// # Safety
/// What `f` borrows, and what its result borrows, outlives the goroutine and its handle.
unsafe fn start<F, T>(
    f: F,
    attributes: Option<Box<Attributes>>,
    join: JoinWord,
    site: &'static Location<'static>,
) -> GRef
where
    F: FnOnce() -> T,
{
    // SAFETY: the caller's contract.
    unsafe {
        if fits::<F, T>(0) {
            start_kept::<InPlace<F>, InPlace<thread::Result<T>>, T>(InPlace::keep(f), attributes, join, site)
        } else {
            start_kept::<Box<F>, Box<thread::Result<T>>, T>(Box::keep(f), attributes, join, site)
        }
    }
}

/// As [`start`].
///
/// # Safety
/// As [`start`].
unsafe fn start_kept<C, R, T>(
    closure: C,
    attributes: Option<Box<Attributes>>,
    join: JoinWord,
    site: &'static Location<'static>,
) -> GRef
where
    C: Kept<Item: FnOnce() -> T>,
    R: Kept<Item = thread::Result<T>>,
{
    let layout = Layout::new::<Task<C, R>>();
    let mut parts = Some((closure, attributes, join));
    let mut make = |block: NonNull<u8>, id: u64| {
        let (closure, attributes, join) = parts.take().expect("spawn: one goroutine per call");
        let task = block.cast::<Task<C, R>>();
        // SAFETY: the block is ours, with the task's layout.
        unsafe { task.write(Task::new(&Task::<C, R>::VTABLE, id, closure, attributes, join, site)) };
        GRef::new(task.cast())
    };
    let spawned = entry::with_p(|m, mut p| {
        let owned = p.owned_mut();
        let g = make(owned.blocks.alloc(layout), owned.next_id(&sched().next_id));
        p.count_spawned();
        ready::push_fresh(&p, g, m.current());
        g
    });
    match spawned {
        Ok(g) => g,
        Err(missing) => {
            let sched = sched();
            let g = make(block::alloc_foreign(layout), sched.next_id.fetch_add(1, Ordering::Relaxed));
            sched.spawned_outside.fetch_add(1, Ordering::Release);
            ready::push_global(g);
            park::reacquire_p(missing);
            g
        }
    }
}

/// Spawns a goroutine whose result nobody wants.
pub(crate) fn go<F, T>(f: F, site: &'static Location<'static>)
where
    F: FnOnce() -> T + Send + 'static,
    T: 'static,
{
    // SAFETY: nothing is borrowed. The result need not be `Send`: without a handle, the goroutine itself drops it.
    unsafe { start(f, None, JoinWord::detached(), site) };
}

/// Spawns a goroutine with a handle.
///
/// # Safety
/// What `f` and its result borrow outlives the goroutine and its handle.
pub(crate) unsafe fn spawn<F, T>(f: F, options: Options, site: &'static Location<'static>) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let attributes = options.into_attributes()?;
    // SAFETY: the caller's contract.
    Ok(unsafe { JoinHandle::of(start(f, attributes, JoinWord::new(), site)) })
}

/// The other end of a goroutine. See `greenthread::JoinHandle`.
pub struct JoinHandle<T> {
    g: GRef,
    _result: PhantomData<T>,
}

// SAFETY: through the handle only the result is reached, and it crosses threads once, hence the bound.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle reaches atomics and what the spawner wrote before the goroutine was queued.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<T> JoinHandle<T> {
    /// The handle of `g`.
    ///
    /// # Safety
    /// `g` was made with [`JoinWord::new`], this is its one handle, and its result is a `T`.
    pub(crate) unsafe fn of(g: GRef) -> Self {
        Self { g, _result: PhantomData }
    }

    /// Ends the goroutine, which has never run: drops its closure. A panic in that has been reported, and goes no further.
    ///
    /// # Safety
    /// The goroutine is the caller's, and will not be queued.
    pub(crate) unsafe fn drop_unstarted(&self) {
        // SAFETY: the caller's contract. The payload is the result that nobody will look at.
        unsafe { (self.g.vtable.fail)(self.g, Box::new(())) };
        let waiters = self.g.join.finish(false).expect("spawn: this handle is still there");
        waiters.wake_all();
    }

    /// Waits for the goroutine's end; its result, or the payload of its panic.
    ///
    /// # Errors
    /// The payload of the goroutine's panic.
    pub fn join(self) -> thread::Result<T> {
        self.wait();
        let this = ManuallyDrop::new(self);
        // SAFETY: the goroutine has ended, so the result is there; the handle is forgotten, so it is taken once.
        unsafe {
            let result = result_of::<T>(this.g);
            free(this.g);
            result
        }
    }

    /// Waits for the goroutine's end.
    pub fn wait(&self) {
        if self.g.join.is_done() {
            return;
        }
        let blocker = Blocker::new();
        // Who joins one goroutine after another would be woken by each, only to wait for the next. From the second time
        // on it queues up behind what is runnable: by then they may all have ended.
        let last = blocker.waits_again_for(WaitReason::Join);
        let joiner = Joiner { node: JoinNode::new(wake_joiner), waker: blocker.waker(), last };
        // SAFETY: the joiner is in this frame, which stays until it was woken. If the push is refused, the goroutine has
        // ended meanwhile, and will wake nobody.
        let commit = || unsafe { self.g.join.push(&raw const joiner.node) };
        // SAFETY: the blocker is the caller's own; the push is one exchange, and the last access.
        unsafe { blocker.block_if(WaitReason::Join, commit) };
    }

    /// Has the goroutine kept apart from those that are tied to a thread: it tends to block.
    pub(crate) fn expect_to_keep_its_thread(&self) {
        ties::note_kept(self.g);
    }

    /// Whether the goroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.g.join.is_done()
    }

    /// The goroutine's id.
    pub fn id(&self) -> u64 {
        self.g.id
    }

    /// The goroutine's name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.g.name().map(|name| &**name)
    }

    /// Calls `f` when the goroutine ends, or now if it has. `f` runs in the scheduler: it may wake, and must not block.
    pub fn on_end(&self, f: impl FnOnce() + Send + 'static) {
        let hook = Box::into_raw(Box::new(Hook { node: JoinNode::new(call_hook), f: Box::new(f) }));
        // SAFETY: the hook is freed by its own call alone.
        if !unsafe { self.g.join.push(hook.cast()) } {
            // SAFETY: the push was refused, so this is the one call.
            unsafe { call_hook(hook.cast()) };
        }
    }
}

/// What [`JoinHandle::on_end`] leaves in the list.
#[repr(C)]
struct Hook {
    node: JoinNode,
    f: Box<dyn FnOnce() + Send>,
}

unsafe fn call_hook(node: *const JoinNode) {
    // SAFETY: the node is the first field of a boxed `Hook`, and this is the one call for it.
    let hook = unsafe { Box::from_raw(node.cast::<Hook>().cast_mut()) };
    (hook.f)();
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.g.join.detach() {
            // SAFETY: the goroutine has ended, and this handle was the other party: result and block are ours.
            unsafe {
                (self.g.vtable.drop_result)(self.g);
                free(self.g);
            }
        }
    }
}

#[repr(C)]
struct Joiner {
    node: JoinNode,
    waker: Waker,
    last: bool,
}

unsafe fn wake_joiner(node: *const JoinNode) {
    // SAFETY: the node is the first field of a `Joiner`, which stays until this wake; the waker is copied out first.
    unsafe {
        let &Joiner { waker, last, .. } = &*node.cast::<Joiner>();
        if last { waker.wake_last() } else { waker.wake() }
    }
}

/// Moves the result out.
///
/// # Safety
/// The goroutine's result is a `T`, it is there, and nobody takes it again.
unsafe fn result_of<T>(g: GRef) -> thread::Result<T> {
    let mut result = MaybeUninit::<thread::Result<T>>::uninit();
    // SAFETY: the caller's contract.
    unsafe {
        (g.vtable.take_result)(g, result.as_mut_ptr().cast());
        result.assume_init()
    }
}

/// Gives the block back.
///
/// # Safety
/// The goroutine has ended, its result is gone, and nobody else knows the block.
unsafe fn free(g: GRef) {
    // SAFETY: the caller's contract.
    let (block, layout) = unsafe { take_apart(g) };
    // SAFETY: the block came from a cache with this layout.
    let freed = entry::with_p(|_, mut p| unsafe { p.owned_mut().blocks.free(block, layout) });
    if freed.is_err() {
        // SAFETY: as above.
        unsafe { block::free_foreign(block, layout) };
    }
}

/// Drops the header and leaves the bare block.
///
/// # Safety
/// As [`free`].
pub(crate) unsafe fn take_apart(g: GRef) -> (NonNull<u8>, Layout) {
    let (size, align) = (g.vtable.size, g.vtable.align);
    // SAFETY: the block is the caller's.
    unsafe { std::ptr::drop_in_place(g.as_ptr()) };
    let layout = Layout::from_size_align(size, align).expect("spawn: the layout of a task");
    // SAFETY: a GRef is not null.
    (unsafe { NonNull::new_unchecked(g.as_ptr().cast()) }, layout)
}

/// A stack for `g` to begin on.
#[inline]
pub(crate) fn stack_for(p: &mut Inside<'_>, g: GRef) -> io::Result<Stack> {
    match g.stack_size() {
        None => p.owned_mut().stacks.take(),
        Some(bytes) => POOL.take(bytes),
    }
}

/// What drops the closure of a goroutine that cannot begin has the stack that the goroutine would have had.
const FAIL_STACK: usize = 256 << 10;

/// Ends a goroutine that cannot begin, as if it had panicked. Dropping its closure is user code, so it gets a thread.
/// Without one the process ends: those who wait for the goroutine would wait for ever.
#[cold]
pub(crate) fn fail(g: GRef, error: io::Error) {
    let text = format!("goroutine {} could not start: {error}", g.id);
    fatal::warn(&text);
    if !Mechanism::FailedStart.is_on() {
        return;
    }
    let end = move || {
        // SAFETY: the goroutine never ran, and it is ours since it was taken from its queue.
        unsafe { (g.vtable.fail)(g, Box::new(text)) };
        end_outside(g);
    };
    if let Err(error) = thread::Builder::new().stack_size(FAIL_STACK).spawn(end) {
        fatal::fatal(&format!("a goroutine could not start, and there is no thread to end it on ({error})"));
    }
}

fn end_outside(g: GRef) {
    let mut detached = g.join.is_detached();
    loop {
        if detached {
            // SAFETY: nobody will look at the result.
            unsafe { (g.vtable.drop_result)(g) };
        }
        if let Some(waiters) = g.join.finish(detached) {
            waiters.wake_all();
            break;
        }
        detached = true;
    }
    sched().ended_outside.fetch_add(1, Ordering::Release);
    if detached {
        // SAFETY: the handle has left, so the block is this side's.
        unsafe { free(g) };
    }
}
