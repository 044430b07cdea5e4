//! Safety mechanisms that a test can switch off, to show that the tested behavior depends on them.
//!
//! Only tests switch mechanisms off, each in its own process. A mechanism that is off behaves as if
//! it had never been built, so the failure that it prevents occurs.

use std::sync::atomic::{AtomicU32, Ordering};

/// A mechanism that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mechanism {
    /// A goroutine whose stack points into its thread's local storage resumes on that thread.
    MigrationGuard,
    /// Goroutines that may occupy their thread are kept off threads to which others are tied.
    KeepApart,
    /// A goroutine that parks while it unwinds blocks its thread.
    ParkInPlace,
    /// A goroutine whose stack overflows is reported before the process aborts.
    OverflowReport,
    /// Faults that the runtime did not cause go to the handler that was installed before.
    SignalChain,
    /// Signal handlers have their own stack where std provides none.
    AlternateStack,
    /// A process that nothing can wake any more reports a deadlock and ends.
    DeadlockReport,
    /// Sysmon waits for a while before it checks for a deadlock.
    ///
    /// The check is right without the wait; tests check more often that way.
    Linger,
    /// Sysmon is woken by the end of a thread that alone ruled out a deadlock.
    ///
    /// Kernels before Linux 6.9 do not offer that; sysmon looks now and then instead.
    ThreadEnd,
    /// A goroutine is not resumed while a dump reads its stack.
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

    /// Switches the mechanism off for the rest of the process.
    ///
    /// # Safety
    /// Some mechanisms prevent undefined behavior, which can occur from now on. The caller runs
    /// only code that stays defined without the mechanism.
    pub unsafe fn switch_off(self) {
        OFF.fetch_or(self.bit(), Ordering::Relaxed);
    }

    /// Returns `true` if it has not been switched off.
    #[inline]
    pub(crate) fn is_on(self) -> bool {
        OFF.load(Ordering::Relaxed) & self.bit() == 0
    }
}
