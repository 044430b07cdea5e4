//! Switching from one stack to another and back.
//!
//! A [`Context`] ties a stack to its resumer. `resume` runs the code on the stack until it suspends
//! or ends; `suspend` returns to the resumer. The context keeps the resumer's position while the
//! stack runs, and the stack's position while it does not.
//!
//! # Why not corosensei
//! corosensei pairs `call` and `ret` across the switch, so that backtraces continue to the resumer
//! and the CPU's return predictor stays correct in a tight loop. In a real program the suspend is a
//! few calls deep, and each round trip then pays for mispredicted returns. By contrast, an indirect
//! jump whose target is always the same is predicted. The table shows the whole scheduler on each
//! of the two, run alternately, as medians in ns (Zen 5, 2026-11-21, `benches/benches/yield_now.rs`
//! and `channel.rs`):
//!
//! | | corosensei | this |
//! | --- | --- | --- |
//! | yield, two goroutines | 44 | 31 |
//! | yield, a thousand | 56 | 35 |
//! | unbuffered round trip | 165 | 117 |
//!
//! So x86-64 and aarch64 have switches of our own, and all other CPUs use corosensei's. All are
//! behind this interface. `stack::grow` uses corosensei's `on_stack` everywhere.

pub(crate) use imp::Context;

#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), path = "own.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "foreign.rs")]
mod imp;

/// The function that a stack runs.
///
/// When it returns, the stack has ended.
pub(crate) type Entry = fn(*mut ());

#[cfg(test)]
mod tests {
    use super::Context;
    use std::cell::RefCell;

    thread_local! {
        static TRACE: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    fn note(n: u32) {
        TRACE.with_borrow_mut(|trace| trace.push(n));
    }

    fn entry(arg: *mut ()) {
        // SAFETY: the test passes a place that already holds the context's address when this runs.
        let context = unsafe { &**arg.cast::<*const Context>() };
        for n in 0..3 {
            note(n);
            // SAFETY: this runs on the context's stack.
            unsafe { context.suspend() };
        }
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(7)));
        note(u32::from(caught.is_err()) * 100);
    }

    #[test]
    fn runs_suspends_goes_on_and_ends() {
        #[repr(align(16))]
        struct Memory([u8; 64 << 10]);
        let mut memory = Box::new(Memory([0; 64 << 10]));
        let limit = memory.0.as_mut_ptr().expose_provenance();
        let mut place = std::ptr::null::<Context>();
        let context = Context::new(limit, entry, (&raw mut place).cast());
        place = &raw const context;
        // SAFETY: the memory is ours and large enough for what `entry` does; the stack is resumed
        // until it ends.
        unsafe {
            context.lay(limit + memory.0.len());
            for n in 10..13 {
                assert!(context.resume());
                note(n);
            }
            assert!(!context.resume());
        }
        assert!(!place.is_null());
        assert_eq!(TRACE.take(), [0, 10, 1, 11, 2, 12, 100]);
    }
}
