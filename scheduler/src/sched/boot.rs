//! Starting the runtime: once, lazily, on the first use from any thread.

use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::Ordering;

use crate::api::config::{self, Settings};
use crate::api::procs;
use crate::diag::fatal;
use crate::diag::overflow_calls;
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

/// Starts the runtime, if it does not run yet.
///
/// Threads that call this while the runtime starts wait, because the number of Ps is unknown until
/// the Ps exist.
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
        if let (method, Some(error)) = stack::choose_guards(settings.guards) {
            fatal::warn(&format!("guards by {} are not available ({error}); using {method}", settings.guards));
        }
        if let Some(seed) = settings.chaos {
            chaos::begin(seed, take_p);
        }
        Sched::new(settings.max_threads, worker::main, worker::on_stack)
    });
    begin(config::settings());
}

/// Retakes the P of `m` for chaos mode, regardless of what its goroutine does.
fn take_p(m: &'static M) {
    handoff::retake(m, &|_| true);
}

fn begin(settings: &Settings) {
    let sched = scheduler::sched();
    overflow::install(&Host { runs_here, report: report_overflow, list_calls: overflow_calls::request });
    install_panic_hook();
    // This wakes a searcher, so this thread starts the first M here.
    procs::resize(sched, settings.procs);
    if !settings.procs_fixed {
        procs::follow();
    }
    let trace = settings.schedtrace.map(|interval| Trace::new(interval, settings.scheddetail));
    let sysmon_thread = std::thread::Builder::new().name("greenthread-sysmon".into()).stack_size(256 << 10);
    let run = move || {
        let _abort = fatal::AbortOnPanic;
        sysmon::main(trace)
    };
    match sysmon_thread.spawn::<_, ()>(run) {
        Ok(_) => {
            sched.sysmon.runs.store(true, Ordering::Relaxed);
            quit::install();
        }
        Err(error) => {
            fatal::warn(&format!(
                "cannot start the sysmon thread, which retakes Ps ({error}): a goroutine that blocks will stall its P; raise the limit of threads (ulimit -u)"
            ));
        }
    }
}

/// Returns `true` if this thread runs the goroutine `owner`, or runs none if `owner` is null.
///
/// Runs in a signal handler, for any `owner` that is or was a goroutine.
fn runs_here(owner: *mut ()) -> bool {
    // SAFETY: owners are goroutines, whose memory is never unmapped (I2 of `gmp::g`).
    match unsafe { GRef::from_ptr(owner.cast()) } {
        Some(g) => current::m().is_some_and(|m| m.current() == Some(g)),
        // A thread that the runtime did not start is on a stack that it requested itself.
        None => current::m().is_none(),
    }
}

/// Writes the first line of the overflow report.
///
/// Runs in a signal handler, on the thread that faulted, so it only reads memory and writes to
/// stderr.
fn report_overflow(owner: *mut (), reservation: usize) {
    // SAFETY: owners are goroutines, whose memory is never unmapped (I2 of `gmp::g`); this one was
    // running.
    let Some(g) = (unsafe { GRef::from_ptr(owner.cast()) }) else { return };
    let _ = write!(Stderr, "goroutine {}", g.id);
    if let Some(name) = g.name() {
        let _ = write!(Stderr, " '{name}'");
    }
    let _ = writeln!(Stderr, ", spawned at {}, has overflowed its stack of {} KiB", g.site, reservation >> 10);
}

/// Installs a panic hook that prints which goroutine panics and then calls the previous hook.
fn install_panic_hook() {
    if std::thread::panicking() {
        // A thread that panics may not change the hook. Reports then lack the goroutine's id.
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
