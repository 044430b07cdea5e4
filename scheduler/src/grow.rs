//! How much stack is left, and running on another one when it is too little.

use std::io;
use std::panic::{self, AssertUnwindSafe};

use crate::boot;
use crate::coroutine::{Grown, StackHead};
use crate::current;
use crate::gmp::GRef;
use crate::machine::stack::overflow;
use crate::machine::stack::{POOL, Stack};

/// Bytes of stack that the calling goroutine has left. See `greenthread::stack::remaining`.
#[inline(never)]
pub fn remaining() -> Option<usize> {
    let here = 0u8;
    let g = current::g()?;
    // SAFETY: a running goroutine has a stack, and its head is there.
    let low = unsafe { &*g.stack.get() }.low();
    Some((&raw const here).addr().saturating_sub(low))
}

/// Calls `f` with at least `min_remaining` bytes of stack. See `greenthread::stack::grow`.
///
/// # Errors
/// If a stack of `new_size` is not possible, or cannot be had; `f` was not called then.
pub fn grow<R>(min_remaining: usize, new_size: usize, f: impl FnOnce() -> R) -> io::Result<R> {
    if remaining().is_some_and(|left| left >= min_remaining) {
        return Ok(f());
    }
    boot::ensure();
    // The Ms have alternate stacks. A thread that is not ours may have none, and would overflow without a word.
    let _altstack = current::m().is_none().then(|| overflow::ensure_altstack(0)).transpose()?;
    let stack = POOL.take(new_size)?;
    let here = 0u8;
    let grown = Grown::new(corosensei::stack::Stack::base(&stack).get(), (&raw const here).addr());
    let on = OnNewStack::begin(&stack, &grown);
    // Caught on the new stack and raised again on the old one: a panic cannot unwind through the switch.
    let result = corosensei::on_stack(Borrowed(&stack), || panic::catch_unwind(AssertUnwindSafe(f)));
    drop(on);
    POOL.give(stack);
    result.map_or_else(|payload| panic::resume_unwind(payload), Ok)
}

/// The time that a goroutine spends on another stack than its own.
struct OnNewStack<'a> {
    g: Option<(GRef, usize)>,
    grown: &'a Grown,
}

impl<'a> OnNewStack<'a> {
    fn begin(stack: &Stack, grown: &'a Grown) -> Self {
        let g = current::g().map(|g| {
            stack.meta().set_owner(g.as_ptr().cast());
            (g, head_of(g).enter_grown(grown, stack.low()))
        });
        Self { g, grown }
    }
}

impl Drop for OnNewStack<'_> {
    fn drop(&mut self) {
        if let Some((g, low)) = self.g {
            head_of(g).leave_grown(self.grown, low);
        }
    }
}

fn head_of(g: GRef) -> &'static StackHead {
    // SAFETY: the goroutine runs, so it has a stack; the head stays as long as the stack is in use, which is longer than
    // the callers keep this.
    unsafe { &*g.stack.get() }
}

/// A stack that is given back by its owner, not by corosensei.
struct Borrowed<'a>(&'a Stack);

// SAFETY: the bounds are those of the stack that it borrows.
unsafe impl corosensei::stack::Stack for Borrowed<'_> {
    fn base(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::Stack::base(self.0)
    }

    fn limit(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::Stack::limit(self.0)
    }
}
