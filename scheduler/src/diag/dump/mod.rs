//! Dumps: all goroutines with their stacks, taken while everything keeps running.
//!
//! Dumps serve `debug::dump`, `debug::goroutines`, and SIGQUIT.
//!
//! # Vocabulary
//! A *suspended* goroutine has left its stack: it is parked or waits for its turn. A *running*
//! goroutine is on its stack: it computes, blocks in a system call, or is just being switched to or
//! from. A *trace* is the list of the addresses of the calls on a stack, innermost first. Many
//! goroutines may share one trace.
//!
//! # Steps
//! 1. **Collect** ([`mod@collect`]): suspended goroutines are kept from being resumed, 64 at a
//!    time, while their stacks are unwound from the saved registers, from outside
//!    ([`crate::machine::stack::look`]). Each goroutine takes some microseconds, and no other
//!    goroutine is delayed.
//! 2. **Ask** ([`ask`]): the thread of each running goroutine is interrupted and copies its
//!    registers and stack. The dump unwinds the copy. A goroutine whose thread does not answer in
//!    time is listed without a trace.
//! 3. **Resolve** ([`resolve`]): addresses are resolved to functions, files and lines, each address
//!    once. This step reads the debug information from disk, which takes a long time the first
//!    time.
//! 4. **Write** ([`text`]): goroutines are written in Go's format. Goroutines with the same trace
//!    and the same reason are merged.
//!
//! All of it runs on a thread of its own and not on a goroutine's stack, because reading debug
//! information needs more stack than a small goroutine stack has.
//!
//! # Hazards, and why they do not occur
//! * *A goroutine is resumed while it is unwound.* Step 1 prevents that. With
//!   [`Mechanism::StillStacks`](crate::testing::mechanism::Mechanism) off, some traces end nowhere.
//! * *A goroutine ends, and its name is freed, while it is read.* A suspended goroutine cannot be
//!   resumed, so it cannot end. A running goroutine hands over its name itself, in step 2.
//! * *A goroutine is missed, or seen twice.* It may run in step 1 and be suspended in step 2. So
//!   the dump looks for missing goroutines again, in several rounds. A goroutine that is still not
//!   seen suspended is reported without a trace. Each id is reported once.
//! * *The interrupted thread holds a lock, such as the allocator's.* The thread only copies words,
//!   and the asker waits without holding any lock that the thread could want.
//!
//! # Rejected
//! * Recording each goroutine's own trace as it parks: this would add microseconds to each park.
//! * Running on the stack of a parked goroutine to unwind it from inside: the goroutine would have
//!   to be taken from its waker.
//! * Stopping the world, like Go: nothing here can stop a goroutine that computes.
//! * Unwinding by the interrupted thread itself: the code that reads the tables is a large library,
//!   and a signal may arrive in the middle of an allocation.
//!
//! # Not included
//! Goroutines that have not begun are only counted. A running goroutine's trace lacks everything
//! beyond the innermost 64 KiB of its stack, and the calls below a `stack::grow`.

mod ask;
mod collect;
mod overflowed;
mod resolve;
mod text;

use std::cmp::Reverse;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::try_sched;
use crate::machine::sys::unwind::AtFault;
use crate::testing::mechanism::Mechanism;
use collect::{Trace, collect};
use resolve::Resolver;

/// The state of a goroutine.
///
/// ```
/// use greenthread::debug::{GoroutineState, WaitReason, goroutines};
///
/// let asleep = GoroutineState::Waiting(WaitReason::Sleep);
/// let n = goroutines().iter().filter(|goroutine| goroutine.state == asleep).count();
/// println!("{n} asleep");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoroutineState {
    /// The goroutine waits for a P.
    Runnable,
    /// The goroutine computes, or is in a system call or in foreign code.
    Running,
    /// The goroutine is parked.
    Waiting(WaitReason),
}

/// Formats the state as in a dump: `running`, `chan receive`.
impl fmt::Display for GoroutineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runnable => f.write_str("runnable"),
            Self::Running => f.write_str("running"),
            Self::Waiting(reason) => reason.fmt(f),
        }
    }
}

/// A call on a goroutine's stack.
///
/// ```
/// for goroutine in greenthread::debug::goroutines() {
///     for frame in goroutine.backtrace() {
///         let (file, line) = (frame.file.unwrap_or_default(), frame.line.unwrap_or(0));
///         println!("{} {file}:{line}", frame.function.unwrap_or_default());
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Frame {
    /// An address in the code of the call.
    pub address: usize,
    /// The distance of the address from the beginning of its function.
    pub offset: Option<usize>,
    /// The function's path, if the program has symbols.
    pub function: Option<String>,
    /// The source file, if the program has debug information.
    pub file: Option<String>,
    /// The line in the file.
    pub line: Option<u32>,
}

/// A snapshot of a goroutine.
///
/// ```
/// for goroutine in greenthread::debug::goroutines() {
///     println!("{} from {}: {}", goroutine.id, goroutine.spawned_at, goroutine.state);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GoroutineInfo {
    /// The id.
    pub id: u64,
    /// The name, if the goroutine has one and it could be read.
    pub name: Option<Arc<str>>,
    /// The state.
    pub state: GoroutineState,
    /// The place in the source where the goroutine was spawned.
    pub spawned_at: &'static Location<'static>,
    /// The number of the thread (M) on which it runs.
    pub thread: Option<u32>,
    /// `true` if it is locked to one thread.
    pub locked: bool,
    /// The goroutine that occupies the thread to which this goroutine must return.
    ///
    /// See [`Stats::guarded_resumes`](crate::Stats::guarded_resumes).
    pub behind: Option<u64>,
    /// The time since it was parked, if it is parked.
    ///
    /// The time is accurate to some tens of milliseconds, and is too short rather than too long.
    pub parked_for: Option<Duration>,
    /// The time that it has run without a pause, if that is longer than a time slice (10 ms).
    pub busy_for: Option<Duration>,
    trace: Arc<Trace>,
}

impl GoroutineInfo {
    /// Returns the calls on its stack, innermost first, including inlined ones.
    ///
    /// The result is empty if the calls could not be read. This blocks the OS thread while it reads
    /// the program's debug information, which takes a long time the first time.
    ///
    /// ```
    /// for goroutine in greenthread::debug::goroutines() {
    ///     let frames = goroutine.backtrace();
    ///     let innermost = frames.first().and_then(|frame| frame.function.as_deref());
    ///     println!("{}: {}", goroutine.id, innermost.unwrap_or("?"));
    /// }
    /// ```
    pub fn backtrace(&self) -> Vec<Frame> {
        on_new_thread(|| Resolver::new().frames(&self.trace.calls))
    }

    /// Returns `true` if the backtrace leads to the goroutine's first call.
    ///
    /// ```
    /// let goroutines = greenthread::debug::goroutines();
    /// for goroutine in goroutines.iter().filter(|goroutine| !goroutine.is_complete()) {
    ///     println!("{}: its outermost calls are missing", goroutine.id);
    /// }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.trace.complete
    }
}

/// Returns all goroutines that have begun, by id.
///
/// See `greenthread::debug::goroutines`.
pub fn goroutines() -> Vec<GoroutineInfo> {
    on_new_thread(collect)
}

/// Returns the goroutines that have waited for other goroutines for longer than `duration`.
///
/// See `greenthread::debug::blocked_for`.
pub fn blocked_for(duration: Duration) -> Vec<GoroutineInfo> {
    let waits = |goroutine: &GoroutineInfo| matches!(goroutine.state, GoroutineState::Waiting(reason) if reason.depends_on_program());
    let mut found = goroutines();
    found.retain(|goroutine| waits(goroutine) && goroutine.parked_for >= Some(duration));
    found.sort_by_key(|goroutine| (Reverse(goroutine.parked_for), goroutine.id));
    found
}

/// Returns all goroutines as text.
///
/// See `greenthread::debug::dump`.
pub fn dump() -> String {
    let Some(sched) = try_sched() else { return "no goroutine was ever started\n".into() };
    on_new_thread(|| {
        let goroutines = collect();
        let not_begun = sched.alive().saturating_sub(goroutines.len() as u64);
        text::write(&goroutines, not_begun)
    })
}

/// Returns the calls on a stack that has overflowed, given its registers, as text.
///
/// `read` returns the word at an address of the stack.
pub(crate) fn overflowed(at: AtFault, read: impl Fn(usize) -> Option<usize> + Copy + Sync) -> String {
    if !Mechanism::Unwind.is_on() {
        return String::new();
    }
    let text = || panic::catch_unwind(AssertUnwindSafe(|| overflowed::write(at.unwindable(), read)));
    on_new_thread(text).map_or(String::new(), |text| if text.is_empty() { text } else { format!("\n{text}") })
}

/// Calls `f` on a new thread, or on the calling thread if no thread can be started.
///
/// Blocks the calling thread.
fn on_new_thread<R: Send>(f: impl Fn() -> R + Sync) -> R {
    thread::scope(|scope| {
        let dumper = thread::Builder::new().name("greenthread-dump".into());
        match dumper.spawn_scoped(scope, &f) {
            Ok(handle) => handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload)),
            Err(_) => f(),
        }
    })
}
