//! How much stack is left, and how to run on another stack if too little is left.

use std::io;
use std::panic::{self, AssertUnwindSafe};

use crate::gmp::GRef;
use crate::machine::stack::overflow;
use crate::machine::stack::{POOL, Stack};
use crate::machine::sys::stack_pointer::stack_pointer;
use crate::sched::boot;
use crate::sched::current;
use crate::task::coroutine::{Grown, StackHead};

/// Returns the bytes of stack that the calling goroutine has left.
///
/// See `greenthread::stack::remaining`.
#[inline(never)]
pub fn remaining() -> Option<usize> {
    let g = current::g()?;
    // SAFETY: a running goroutine has a stack, and its head exists.
    let low = unsafe { &*g.stack.get() }.low();
    Some(stack_pointer().saturating_sub(low))
}

/// Calls `f` with at least `min_remaining` bytes of stack.
///
/// See `greenthread::stack::grow`.
///
/// # Errors
/// If `new_size` is out of range, or if the system refuses a stack of that size. In both cases `f`
/// was not called.
pub fn grow<R>(min_remaining: usize, new_size: usize, f: impl FnOnce() -> R) -> io::Result<R> {
    if remaining().is_some_and(|left| left >= min_remaining) {
        return Ok(f());
    }
    boot::ensure();
    // The Ms have alternate stacks. A foreign thread may have none, and would overflow without a
    // report.
    let _altstack = current::m().is_none().then(|| overflow::ensure_altstack(0)).transpose()?;
    let stack = POOL.take(new_size)?;
    let grown = Grown::new(corosensei::stack::Stack::base(&stack).get());
    let on = OnNewStack::begin(&stack, &grown);
    let (mut f, mut result) = (Some(f), None);
    // The panic is caught on the new stack and resumed on the old one, because it cannot unwind
    // through the switch.
    run_on(&stack, &grown, &mut || result = f.take().map(|f| panic::catch_unwind(AssertUnwindSafe(f))));
    drop(on);
    POOL.give(stack);
    let result = result.expect("grow: what is called on another stack returns, and is called once");
    result.map_or_else(|payload| panic::resume_unwind(payload), Ok)
}

/// How far below the stack pointer of [`run_on`] there may be live words.
///
/// These are its own frame, if the compiler sets it up after the register is read; the frames of
/// corosensei's `on_stack`, which calls a reference and returns nothing; and two registers.
const BELOW: usize = 1024;

/// Calls `f`, which does not panic, on another stack.
// Never inlined, and with an `f` of one size, so that `BELOW` holds regardless of the frames around
// it.
#[inline(never)]
fn run_on(stack: &Stack, grown: &Grown, f: &mut dyn FnMut()) {
    grown.set_left_at(stack_pointer() - BELOW);
    corosensei::on_stack(Borrowed(stack), f);
}

/// The period during which a goroutine runs on a stack other than its own.
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
    // SAFETY: the goroutine runs, so it has a stack. The head stays as long as the stack is in use,
    // which is longer than the callers keep this reference.
    unsafe { &*g.stack.get() }
}

/// A stack that its owner releases, not corosensei.
struct Borrowed<'a>(&'a Stack);

// SAFETY: base and limit are those of the borrowed stack.
unsafe impl corosensei::stack::Stack for Borrowed<'_> {
    fn base(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::Stack::base(self.0)
    }

    fn limit(&self) -> corosensei::stack::StackPointer {
        corosensei::stack::Stack::limit(self.0)
    }
}
