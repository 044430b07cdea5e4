//! Spawning: from a closure to a goroutine on a run queue, and to the stack that it begins on.

use std::alloc::Layout;
use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::body::{InPlace, Kept, Task, fits};
use super::handle::JoinHandle;
use crate::gmp::block;
use crate::gmp::scheduler::sched;
use crate::gmp::{Attributes, GRef, Inside};
use crate::machine::stack::{self, POOL, Stack};
use crate::protocol::join::JoinWord;
use crate::sched::entry;
use crate::sched::stack_queue;
use crate::wait::park;
use crate::wait::ready;

/// Options for one goroutine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A name for panic reports and dumps.
    pub name: Option<Arc<str>>,
    /// The stack reservation in bytes, guard area included; `None` is the default.
    pub stack_size: Option<usize>,
    /// Whether the goroutine has an OS thread to itself, from its first instruction to its last.
    pub pinned: bool,
    /// Whether the stack is taken by the spawn, which fails if there is none.
    pub reserve_stack: bool,
    /// The spawn site that dumps show; `None` is the line of the call.
    ///
    /// This serves goroutines that are started on behalf of an earlier call.
    pub site: Option<&'static Location<'static>>,
}

impl Options {
    /// Checks that a goroutine can have these options.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the stack size is not possible.
    pub fn check(&self) -> io::Result<()> {
        self.stack_size.map_or(Ok(()), |bytes| stack::class_for(bytes).map(drop))
    }

    /// Returns the options that the header keeps, which are usually none.
    fn into_attributes(self) -> io::Result<Option<Box<Attributes>>> {
        self.check()?;
        let Self { name, stack_size, pinned, reserve_stack, site: _ } = self;
        let plain = name.is_none() && stack_size.is_none() && !pinned && !reserve_stack;
        let reserve = || POOL.take(stack_size.unwrap_or_else(stack::default_reservation));
        let reserved = Cell::new(reserve_stack.then(reserve).transpose()?);
        Ok((!plain).then(|| Box::new(Attributes { name, stack_size, pinned, reserve_stack, reserved })))
    }
}

/// Spawns a goroutine without a handle.
pub(crate) fn go<F, T>(f: F, site: &'static Location<'static>)
where
    F: FnOnce() -> T + Send + 'static,
    T: 'static,
{
    // SAFETY: nothing is borrowed. The result need not be `Send`: without a handle, the goroutine
    // itself drops it.
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
    // SAFETY: the caller promises the same for what `f` borrows; this is the only handle.
    Ok(unsafe { JoinHandle::of(start(f, attributes, JoinWord::new(), site)) })
}

/// Creates a goroutine from `f` and queues it.
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
    // SAFETY: the caller promises the same for what `f` borrows.
    unsafe {
        if fits::<F, T>(0) {
            start_kept::<InPlace<F>, InPlace<thread::Result<T>>, T>(InPlace::keep(f), attributes, join, site)
        } else {
            start_kept::<Box<F>, Box<thread::Result<T>>, T>(Box::keep(f), attributes, join, site)
        }
    }
}

/// Creates a goroutine from a closure that is kept in the block or in a box, and queues it.
///
/// # Safety
/// What the closure borrows, and what its result borrows, outlives the goroutine and its handle.
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
        // SAFETY: this function owns the block, which has the task's layout.
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

/// Returns a stack for `g` to begin on.
///
/// If there is none, `g` must wait: because of the error, or behind others.
#[inline]
pub(crate) fn stack_for(p: &mut Inside<'_>, g: GRef) -> Result<Stack, Option<io::Error>> {
    if let Some(stack) = g.attributes.as_ref().and_then(|attributes| attributes.reserved.take()) {
        return Ok(stack);
    }
    if stack::demand() > 0 && stack_queue::must_wait(stack_queue::class_of(g)) {
        return Err(None);
    }
    match g.stack_size() {
        None => p.owned_mut().stacks.take().map_err(Some),
        Some(bytes) => POOL.take(bytes).map_err(Some),
    }
}
