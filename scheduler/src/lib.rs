//! The scheduler of `greenthread`: goroutines (G) run on OS threads (M) that hold the right to run
//! them (P).
//!
//! Use the crate `greenthread` instead. This crate is an implementation detail, and its interface
//! may change with any version. The table lists the folders, what each contains, and where to begin
//! reading:
//!
//! | folder | contents | begin with |
//! | --- | --- | --- |
//! | `api` | what users call | `api::entry_points` |
//! | `task` | a goroutine from its closure to its handle | `task::spawn` |
//! | `sched` | how an M finds a goroutine, how a P changes hands, sysmon | `sched::worker` |
//! | `wait` | park and ready | `wait::park`, [`wait`] |
//! | `time` | clocks, timers, waits with a deadline | `time::p_timers` |
//! | `netpoll` | waiting for descriptors | `netpoll` |
//! | `gmp` | the structures G, M, P, and what all Ms share | `gmp` |
//! | [`protocol`] | algorithms between threads, checked by loom | [`protocol::lease`] |
//! | `machine` | stacks, context switches, the operating system | `machine::stack` |
//! | `diag` | dumps, deadlock reports, traces, statistics | `diag::dump` |
//! | `testing` | chaos mode, and mechanisms that tests switch off | `testing::chaos` |
//!
//! ARCHITECTURE.md in the repository describes the whole design from beginning to end.

mod api;
mod diag;
mod gmp;
mod machine;
mod netpoll;
mod primitive;
pub mod protocol;
mod sched;
mod task;
mod testing;
mod time;
pub mod wait;

pub use api::blocking::blocking;
pub use api::config;
pub use api::entry_points::{
    Exited, Goroutine, after_func, current, exit_goroutine, go, gomaxprocs, num_goroutine, run_main, set_gomaxprocs,
    spawn, spawn_unchecked,
};
pub use api::grow::{grow, remaining};
pub use api::os_thread::{OsThreadGuard, lock_os_thread};
pub use api::procs::{MAX_PROCS, current_p, num_cpu};
pub use diag::dump::{Frame, GoroutineInfo, GoroutineState, blocked_for, dump, goroutines};
pub use diag::quit::set_quit_heard;
pub use diag::stats::{Stats, stats};
pub use gmp::reason::WaitReason;
#[doc(hidden)]
pub use machine::stack::limit_guard_mappings;
pub use machine::sys::fallback::{Fallback, Fallbacks};
#[doc(hidden)]
pub use machine::sys::mutex;
#[doc(hidden)]
pub use machine::sys::peer::{MSG_NOSIGNAL, peer_credentials};
#[doc(hidden)]
pub use machine::sys::pidfd::open_process;
#[doc(hidden)]
pub use machine::sys::prefetch::{prefetch_frames, prefetch_value};
#[doc(hidden)]
pub use machine::sys::signals::{SIGIO_IS_FATAL, end_by_signal, real_time_signals, send_signal};
pub use netpoll::descriptor::{Descriptor, Direction, Ended, IoWake};
pub use sched::random::random;
pub use task::after_func::AfterFunc;
pub use task::handle::JoinHandle;
pub use task::spawn::Options;
pub use testing::mechanism::Mechanism;
pub use time::arming::sleep;
pub use time::deadline;
pub use wait::park::{checkpoint, yield_now};
pub use wait::spinning;
