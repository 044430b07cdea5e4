//! SIGQUIT: prints a dump and ends the process with status 2, like Go.
//!
//! The handler notes that the signal arrived and wakes sysmon, which has a stack and may take
//! locks. The dump goes directly to descriptor 2, because the goroutine that holds the lock of
//! std's stderr may be the one that hangs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diag::dump::dump;
use crate::gmp::scheduler::try_sched;
use crate::machine::stack::overflow::Stderr;
use crate::machine::sys::interrupt;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler, unless the program already has one.
pub(crate) fn install() {
    interrupt::install_quit(|| {
        REQUESTED.store(true, Ordering::Relaxed);
        if let Some(sched) = try_sched() {
            sched.sysmon.wake();
        }
    });
}

/// Prints the dump and ends the process if the signal has arrived.
///
/// Called by sysmon when it wakes.
pub(crate) fn dump_if_requested() {
    if REQUESTED.load(Ordering::Relaxed) {
        // Printed before the dump. The dump allocates memory, which may have run out.
        let _ = Stderr.write_str("SIGQUIT: quit\n\n");
        let _ = Stderr.write_str(&dump());
        interrupt::end_process();
    }
}

/// Sets whether the program receives SIGQUIT through a handler that also calls the runtime's
/// handler.
///
/// If it does, the runtime prints no dump.
pub fn set_quit_heard(heard: bool) {
    interrupt::set_quit_heard(heard);
}
