//! All goroutines with their stacks, while everything runs: for `debug::dump`, `debug::goroutines`, SIGQUIT.
//!
//! # Vocabulary
//! A goroutine that is *away* has left its stack: it is parked, or waits for its turn. One that is *on* its stack runs,
//! computes, blocks in a system call, or is being switched to or from at this moment. A *trace* is the addresses of the
//! calls on a stack, innermost first; many goroutines share one.
//!
//! # The way
//! 1. **Collect** ([`collect`]): goroutines that are away are kept from being resumed, 64 at a time, while their stacks
//!    are unwound from the saved registers, from outside ([`crate::machine::stack::look`]). It takes some microseconds
//!    for each; nobody else is delayed.
//! 2. **Ask** ([`ask`]): the thread of each one that is on its stack is interrupted, and copies its registers and stack
//!    for us, which are unwound from the copy. A thread that does not answer in time is named without a trace.
//! 3. **Resolve** ([`resolve`]): addresses to functions, files and lines, each address once. This reads the debug
//!    information, from disk, and is what takes long the first time.
//! 4. **Write** ([`text`]): in Go's format, goroutines with one trace and one reason as one.
//!
//! All of it runs on a thread of its own, not on a goroutine's stack: reading debug information takes more than a small one has.
//!
//! # What can go wrong, and does not
//! * *A goroutine is resumed while it is unwound.* It cannot be, see step 1.
//!   [`Mechanism::StillStacks`](crate::testing::mechanism::Mechanism) off shows traces that end nowhere.
//! * *A goroutine ends, and its name is freed, while it is read.* It cannot be resumed, so it cannot end; one that is
//!   on its stack hands over its name itself, in step 2.
//! * *It is missed, or seen twice.* It may be on its stack in step 1 and away in step 2. So what is left over is looked
//!   for again, some times. What is then still not seen at rest is reported without a trace. Ids are reported once.
//! * *The thread that is interrupted holds a lock, say the allocator's.* It only copies words; the one who asks waits
//!   without any lock that it could want.
//!
//! # Rejected
//! * A goroutine that notes its own trace as it parks: microseconds, for each park.
//! * Running on the stack of a parked goroutine to unwind it from inside: it would have to be taken from its waker.
//! * Stopping the world, as Go does: nothing here can stop a goroutine that computes.
//! * Having the interrupted thread unwind itself: what reads the tables is a large library, and a signal may come in
//!   the middle of an allocation.
//!
//! # Not seen
//! Goroutines that have not begun: they are counted. Of a running goroutine's stack all beyond the innermost 64 KiB,
//! and what is below a `stack::grow`.

mod ask;
mod collect;
mod resolve;
mod text;

use std::cmp::Reverse;
use std::fmt;
use std::panic::{self, Location};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::gmp::reason::WaitReason;
use crate::gmp::scheduler::try_sched;
use collect::{Trace, collect};
use resolve::Resolver;

/// What a goroutine does.
///
/// ```
/// use greenthread::debug::{GoroutineState, WaitReason, goroutines};
///
/// let asleep = GoroutineState::Waiting(WaitReason::Sleep);
/// println!("{} asleep", goroutines().iter().filter(|goroutine| goroutine.state == asleep).count());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoroutineState {
    /// It waits for a P.
    Runnable,
    /// It computes, or is in a system call or in foreign code.
    Running,
    /// It is parked.
    Waiting(WaitReason),
}

/// As a dump has it: `running`, `chan receive`.
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
///         println!("{} {}:{}", frame.function.unwrap_or_default(), frame.file.unwrap_or_default(), frame.line.unwrap_or(0));
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Frame {
    /// An address in the code of the call.
    pub address: usize,
    /// How far from the beginning of its function that is.
    pub offset: Option<usize>,
    /// The function's path, if the program has symbols.
    pub function: Option<String>,
    /// The source file, if the program has debug information.
    pub file: Option<String>,
    /// The line in the file.
    pub line: Option<u32>,
}

/// A goroutine as it was when somebody looked.
///
/// ```
/// for goroutine in greenthread::debug::goroutines() {
///     println!("{} from {}: {}", goroutine.id, goroutine.spawned_at, goroutine.state);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GoroutineInfo {
    /// Its number.
    pub id: u64,
    /// Its name, if it has one and it could be asked.
    pub name: Option<Arc<str>>,
    /// What it does.
    pub state: GoroutineState,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// The number of the thread (M) that it runs on.
    pub thread: Option<u32>,
    /// Whether it stays on one thread.
    pub locked: bool,
    /// The goroutine that runs on the thread which this one must go back to, and waits for. See
    /// [`Stats::guarded_resumes`](crate::Stats::guarded_resumes).
    pub behind: Option<u64>,
    /// For how long it has been parked, if it is; exact to some tens of milliseconds, and rather too short.
    pub parked_for: Option<Duration>,
    /// For how long it has run without giving others a turn, if that is longer than a time slice (10 ms).
    pub busy_for: Option<Duration>,
    trace: Arc<Trace>,
}

impl GoroutineInfo {
    /// The calls on its stack, innermost first, inlined ones too. Empty if they could not be had.
    ///
    /// Blocks the OS thread while it reads the program's debug information, the first time for as long as that takes.
    ///
    /// ```
    /// for goroutine in greenthread::debug::goroutines() {
    ///     let innermost = goroutine.backtrace().into_iter().next().and_then(|frame| frame.function);
    ///     println!("{}: {}", goroutine.id, innermost.as_deref().unwrap_or("?"));
    /// }
    /// ```
    pub fn backtrace(&self) -> Vec<Frame> {
        on_new_thread(|| Resolver::new().frames(&self.trace.calls))
    }

    /// Whether the backtrace leads to the goroutine's first call.
    ///
    /// ```
    /// for goroutine in greenthread::debug::goroutines().iter().filter(|goroutine| !goroutine.is_complete()) {
    ///     println!("{}: its outermost calls are missing", goroutine.id);
    /// }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.trace.complete
    }
}

/// All goroutines that have begun, by number. See `greenthread::debug::goroutines`.
pub fn goroutines() -> Vec<GoroutineInfo> {
    on_new_thread(collect)
}

/// Goroutines that have waited for others for longer than `duration`. See `greenthread::debug::blocked_for`.
pub fn blocked_for(duration: Duration) -> Vec<GoroutineInfo> {
    let waits = |goroutine: &GoroutineInfo| matches!(goroutine.state, GoroutineState::Waiting(reason) if reason.depends_on_program());
    let mut found = goroutines();
    found.retain(|goroutine| waits(goroutine) && goroutine.parked_for >= Some(duration));
    found.sort_by_key(|goroutine| (Reverse(goroutine.parked_for), goroutine.id));
    found
}

/// All goroutines as text. See `greenthread::debug::dump`.
pub fn dump() -> String {
    let Some(sched) = try_sched() else { return "no goroutine was ever started\n".into() };
    on_new_thread(|| {
        let goroutines = collect();
        let not_begun = sched.alive().saturating_sub(goroutines.len() as u64);
        text::write(&goroutines, not_begun)
    })
}

/// Calls `f` on a thread of its own; where there can be none, in place. Blocks the thread.
fn on_new_thread<R: Send>(f: impl Fn() -> R + Sync) -> R {
    thread::scope(|scope| {
        let dumper = thread::Builder::new().name("greenthread-dump".into());
        match dumper.spawn_scoped(scope, &f) {
            Ok(handle) => handle.join().unwrap_or_else(|payload| panic::resume_unwind(payload)),
            Err(_) => f(),
        }
    })
}
