//! Safety mechanisms that a test can switch off, to show that what it tests depends on them.
//!
//! Nothing but tests does so, each in a process of its own. A mechanism that is off is as if it had never been built:
//! what it protects from happens.

use std::sync::atomic::{AtomicU32, Ordering};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mechanism {
    /// A goroutine whose stack points into its thread's local storage resumes on that thread.
    MigrationGuard,
    /// Goroutines that may keep their thread are kept from threads that others are tied to.
    KeepApart,
    /// A goroutine that parks while it unwinds blocks its thread.
    ParkInPlace,
    /// A goroutine whose stack is full is named, before the process aborts.
    OverflowReport,
    /// Faults that are not ours go to the handler that was there before.
    SignalChain,
    /// Signal handlers have a stack of their own where std gave them none.
    AlternateStack,
    /// A goroutine for which there is no stack ends as if it had panicked.
    FailedStart,
    /// A process in which nobody can wake anybody any more says so and ends.
    DeadlockReport,
    /// The monitor waits for a while before it looks for a deadlock. (It is right without; tests look more often so.)
    Linger,
    /// A goroutine is not resumed while a dump looks at its stack.
    StillStacks,
    /// A dump asks the threads of running goroutines for their stacks.
    AskThreads,
    /// A dump unwinds stacks.
    Unwind,
}

static OFF: AtomicU32 = AtomicU32::new(0);

impl Mechanism {
    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Switches it off, for the rest of the process.
    ///
    /// # Safety
    /// What the mechanism protects from is undefined behavior for some of them, and happens from now on. The caller runs
    /// only what stays defined without it.
    pub unsafe fn switch_off(self) {
        OFF.fetch_or(self.bit(), Ordering::Relaxed);
    }

    /// Whether it is at work.
    #[inline]
    pub(crate) fn is_on(self) -> bool {
        OFF.load(Ordering::Relaxed) & self.bit() == 0
    }
}
