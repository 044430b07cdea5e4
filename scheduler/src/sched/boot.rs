//! Starting the runtime: once, lazily, by the first use from any thread.

use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::Ordering;

use crate::api::config::{self, Settings};
use crate::api::procs;
use crate::diag::fatal;
use crate::diag::quit;
use crate::diag::trace::Trace;
use crate::gmp::scheduler::{self, Sched};
use crate::gmp::{GRef, M};
use crate::machine;
use crate::machine::stack;
use crate::machine::stack::overflow::{self, Host, Stderr};
use crate::sched::current;
use crate::sched::handoff;
use crate::sched::sysmon;
use crate::sched::worker;
use crate::testing::chaos;

/// Starts the runtime if nobody has.
///
/// Those that come while it starts wait: before the Ps are there, nothing can be said of their
/// number.
#[inline]
pub(crate) fn ensure() {
    static STARTED: Once = Once::new();
    if !STARTED.is_completed() {
        STARTED.call_once(start);
    }
}

#[cold]
fn start() {
    scheduler::init(|| {
        machine::sys::fence::init();
        machine::sys::tls::init();
        let settings = config::settings();
        if let Err(error) = stack::set_default_reservation(settings.stack_size) {
            fatal::warn(&format!("{error}; using {} KiB", stack::default_reservation() >> 10));
        }
        if let Some(seed) = settings.chaos {
            chaos::begin(seed, take_p);
        }
        Sched::new(settings.max_threads, worker::main)
    });
    begin(config::settings());
}

/// For chaos: whatever the goroutine on `m` does.
fn take_p(m: &'static M) {
    handoff::retake(m, &|_| true);
}

fn begin(settings: &Settings) {
    let sched = scheduler::sched();
    overflow::install(&Host { runs_here, report: report_overflow });
    install_panic_hook();
    // This wakes a searcher: so the first M is started here, by this thread.
    procs::resize(sched, settings.procs);
    if !settings.procs_fixed {
        procs::follow();
    }
    let trace = settings.schedtrace.map(|interval| Trace::new(interval, settings.scheddetail));
    let monitor = std::thread::Builder::new().name("greenthread-sysmon".into()).stack_size(256 << 10);
    let watch = move || {
        let _abort = fatal::AbortOnPanic;
        sysmon::main(trace)
    };
    match monitor.spawn::<_, ()>(watch) {
        Ok(_) => {
            sched.sysmon.runs.store(true, Ordering::Relaxed);
            quit::install();
        }
        Err(error) => {
            fatal::warn(&format!("no thread for the monitor ({error}): a goroutine that blocks will stall its P"));
        }
    }
}

/// Whether this thread runs the goroutine `owner`; without one, whether it runs none. Runs in a
/// signal handler, for any `owner` that is or was a goroutine.
fn runs_here(owner: *mut ()) -> bool {
    // SAFETY: owners are goroutines, whose memory is never unmapped.
    match unsafe { GRef::from_ptr(owner.cast()) } {
        Some(g) => current::m().is_some_and(|m| m.current() == Some(g)),
        // A thread that the runtime did not start is on a stack that it asked for.
        None => current::m().is_none(),
    }
}

/// The first line of the overflow report. Runs in a signal handler, on the thread that faulted: it
/// only reads and writes.
fn report_overflow(owner: *mut (), reservation: usize) {
    // SAFETY: owners are goroutines; this one was running, so it is alive.
    let Some(g) = (unsafe { GRef::from_ptr(owner.cast()) }) else { return };
    let _ = write!(Stderr, "goroutine {}", g.id);
    if let Some(name) = g.name() {
        let _ = write!(Stderr, " '{name}'");
    }
    let _ = writeln!(Stderr, ", spawned at {}, has overflowed its stack of {} KiB", g.site, reservation >> 10);
}

/// Has panics name the goroutine, and then do what they did before.
fn install_panic_hook() {
    if std::thread::panicking() {
        // A hook may not be changed by a thread that panics; the goroutine's number is then missing
        // from reports.
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if let Some(g) = current::g() {
            let name = g.name().map_or(String::new(), |name| format!(" '{name}'"));
            fatal::print(&format!("goroutine {}{name}, spawned at {}:\n", g.id, g.site));
        }
        before(info);
    }));
}
