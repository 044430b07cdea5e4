//! The body of a goroutine: its closure, and then its result, in the block behind its header.
//!
//! # Who frees what
//! The block belongs to the goroutine and to its [`JoinHandle`](crate::task::handle::JoinHandle);
//! [`crate::protocol::join`] decides which of them is the last. The closure is consumed when the
//! goroutine first runs. The result is taken by `join`, or dropped by the last of the two.
//!
//! # Large closures and results
//! Blocks are small and are never returned to the system ([`crate::gmp::block`]), so a closure and
//! its result lie behind the header only if there is room for them. Otherwise both are in boxes of
//! their own ([`Kept`]). The box of the closure goes back to the allocator when the closure begins
//! to run or is dropped, and the box of the result when the result is taken or dropped. So a burst
//! of large closures leaves only headers behind. Rejected: large blocks whose pages behind the
//! header are returned to the system when they have been free for a while. This helps only for
//! blocks of two pages or more, and needs a thread that searches for such pages.
//!
//! # Invariants
//! * I1: the body is the closure until the goroutine runs or fails, empty while it runs, and the
//!   result from then on, until that is taken or dropped, once.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr::{self, NonNull};
use std::thread;

use crate::gmp::block;
use crate::gmp::{Attributes, G, GRef, Vtable};
use crate::protocol::join::JoinWord;
use crate::sched::entry;

/// The way in which a [`Task`] keeps a closure or a result.
pub(crate) trait Kept {
    type Item;
    fn keep(item: Self::Item) -> Self;
    fn take(self) -> Self::Item;
}

/// A value kept in the block itself.
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

/// A block: the header, and behind it the closure or its result.
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

/// Returns `true` if a block has room for a closure and its result in place, and for `more` bytes.
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
        is_urgent: false,
        run: Self::run,
        drop_closure: Self::drop_closure,
        take_result: Self::take_result,
        drop_result: Self::drop_result,
        size: size_of::<Self>(),
        align: align_of::<Self>(),
    };

    /// Returns a goroutine that has not run.
    ///
    /// `vtable` is [`Self::VTABLE`], or the vtable of a block that begins with a task.
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
        // SAFETY: I1: before the only run, the body is the closure. It is moved out here.
        let closure = unsafe { ManuallyDrop::take(&mut (*body).closure) }.take();
        let result = panic::catch_unwind(AssertUnwindSafe(closure));
        // SAFETY: I1: the body is empty now, and is not read before `JoinWord::finish`.
        unsafe { (*body).result = ManuallyDrop::new(R::keep(result)) };
    }

    unsafe fn drop_closure(g: GRef) {
        let body = Self::body(g);
        // SAFETY: I1: the goroutine never ran, so the body is the closure. It is moved out here.
        let closure = unsafe { ManuallyDrop::take(&mut (*body).closure) };
        let dropped = panic::catch_unwind(AssertUnwindSafe(|| drop(closure)));
        let payload = dropped.err().unwrap_or_else(|| Box::new(()));
        // SAFETY: I1: the body is empty now, and is not read before `JoinWord::finish`.
        unsafe { (*body).result = ManuallyDrop::new(R::keep(Err(payload))) };
    }

    unsafe fn take_result(g: GRef, to: *mut ()) {
        // SAFETY: I1: the result is there and is not taken again, and `to` is a place for it.
        unsafe { to.cast::<thread::Result<T>>().write(ManuallyDrop::take(&mut (*Self::body(g)).result).take()) };
    }

    /// Drops a result that was not taken.
    ///
    /// If its drop panics, the panic hook has reported the panic, which does not propagate further.
    unsafe fn drop_result(g: GRef) {
        // SAFETY: I1: the closure has run, and the last party drops the result, once.
        let result = unsafe { ManuallyDrop::take(&mut (*Self::body(g)).result) };
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(result)));
    }
}

/// Moves the result out.
///
/// # Safety
/// The goroutine's result is a `T`, it is there, and it is not taken again.
pub(super) unsafe fn take_result<T>(g: GRef) -> thread::Result<T> {
    let mut result = MaybeUninit::<thread::Result<T>>::uninit();
    // SAFETY: the result is a `T` and is taken once, as the caller promises; it is written here.
    unsafe {
        (g.vtable.take_result)(g, result.as_mut_ptr().cast());
        result.assume_init()
    }
}

/// Returns the block to a cache.
///
/// # Safety
/// The goroutine has ended, its result is gone, and no other thread knows the block.
pub(super) unsafe fn free(g: GRef) {
    // SAFETY: the caller owns the block, which contains only the header.
    let (block, layout) = unsafe { take_apart(g) };
    // SAFETY: the block came from a cache with this layout, and is not in use.
    let freed = entry::with_p(|_, mut p| unsafe { p.owned_mut().blocks.free(block, layout) });
    if freed.is_err() {
        // SAFETY: the block came from a cache with this layout, and is not in use.
        unsafe { block::free_foreign(block, layout) };
    }
}

/// Drops the header and leaves the bare block.
///
/// # Safety
/// The goroutine has ended, its result is gone, and no other thread knows the block.
pub(crate) unsafe fn take_apart(g: GRef) -> (NonNull<u8>, Layout) {
    let (size, align) = (g.vtable.size, g.vtable.align);
    // SAFETY: the caller owns the block, and its header is dropped once.
    unsafe { ptr::drop_in_place(g.as_ptr()) };
    let layout = Layout::from_size_align(size, align).expect("spawn: the layout of a task");
    // SAFETY: a GRef is not null.
    (unsafe { NonNull::new_unchecked(g.as_ptr().cast()) }, layout)
}
