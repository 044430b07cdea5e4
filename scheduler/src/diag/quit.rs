//! SIGQUIT: prints a dump, and ends the process with status 2, as Go does.
//!
//! The handler notes that the signal came and wakes the monitor, which has a stack and may take locks. The dump goes
//! straight to descriptor 2: whoever holds std's lock of stderr may be what hangs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diag::dump::dump;
use crate::gmp::scheduler::try_sched;
use crate::machine::stack::overflow::Stderr;
use crate::machine::sys::interrupt;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Has SIGQUIT do so from now on, unless the program has seen to it already.
pub(crate) fn install() {
    interrupt::install_quit(|| {
        REQUESTED.store(true, Ordering::Relaxed);
        if let Some(sched) = try_sched() {
            sched.sysmon.wake();
        }
    });
}

/// What the monitor does when it wakes.
pub(crate) fn dump_if_requested() {
    if REQUESTED.load(Ordering::Relaxed) {
        // The dump takes memory, which may have run out.
        let _ = Stderr.write_str("SIGQUIT: quit\n\n");
        let _ = Stderr.write_str(&dump());
        interrupt::end_process();
    }
}

/// Says whether anybody receives SIGQUIT through a handler that calls the runtime's too; nobody: the dump is back.
pub fn set_quit_heard(heard: bool) {
    interrupt::set_quit_heard(heard);
}
