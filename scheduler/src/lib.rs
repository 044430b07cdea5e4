//! The scheduler under `greenthread`: goroutines (G) on OS threads (M) that hold the right to run them (P).
//!
//! Use the crate `greenthread`: this one is its engine room, and its interface may change with any version. The map:
//!
//! | to learn | read |
//! | --- | --- |
//! | what a goroutine is | `gmp`, `coroutine`, `block`, `machine::stack` |
//! | how it gives the CPU up and gets it back | `park`, `ready`, [`wait`], [`protocol::claim`] |
//! | what an M does all day | `worker`, `attend`, `search` |
//! | whose turn it is | `turns`, `global` |
//! | when Ms sleep and wake | `protocol::idle`, `handoff` |
//! | how a P is taken from a goroutine that keeps it | [`protocol::lease`], `sysmon`, `hogs`, `blocking` |
//! | why it sometimes goes back to the thread it left | `guard`, `homeward`, `ties` |
//! | I/O | `netpoll`, [`protocol::poll_word`], [`protocol::poller`] |
//! | time | `timer`, [`deadline`], `after_func`, [`protocol::timer_heap`] |
//! | when nobody can go on | `deadlock` |
//! | seeing what they do | `dump`, [`protocol::inquiry`], `stats`, `trace`, `quit` |
//! | starting and ending goroutines | `spawn`, [`protocol::join`], `goroutine` |
//!
//! ARCHITECTURE.md in the repository tells the story in order.

mod after_func;
mod attend;
mod block;
mod blocking;
mod boot;
mod chaos;
mod clock;
pub mod config;
mod coroutine;
mod current;
pub mod deadline;
mod deadlock;
mod dump;
mod entry;
mod exhaustion;
mod fatal;
mod foreign;
mod global;
mod gmp;
mod goroutine;
mod grow;
mod guard;
mod handoff;
mod hogs;
mod homeward;
mod machine;
mod mechanism;
mod netpoll;
mod os_thread;
mod pace;
mod park;
mod primitive;
mod procs;
pub mod protocol;
mod quit;
mod random;
mod ready;
mod reason;
mod sched;
mod search;
mod sites;
mod spawn;
pub mod spinning;
mod stats;
mod sysmon;
mod threads;
mod ties;
mod timer;
mod timers;
mod trace;
mod turns;
pub mod wait;
mod worker;

pub use after_func::AfterFunc;
pub use blocking::blocking;
pub use dump::{Frame, GoroutineInfo, GoroutineState, blocked_since, dump, goroutines};
pub use goroutine::{
    Exited, Goroutine, after_func, current, exit_goroutine, go, gomaxprocs, num_goroutine, run_main, spawn,
    spawn_unchecked,
};
pub use grow::{grow, remaining};
#[doc(hidden)]
pub use machine::sys::peer::peer_credentials;
#[doc(hidden)]
pub use machine::sys::pidfd::open_process;
#[doc(hidden)]
pub use machine::sys::prefetch::{prefetch_frames, prefetch_value};
#[doc(hidden)]
pub use machine::sys::signals::{SIGIO_IS_FATAL, end_by_signal, real_time_signals, send_signal};
pub use mechanism::Mechanism;
pub use netpoll::descriptor::{Descriptor, Direction, Ended, Woken};
pub use os_thread::{OsThreadGuard, lock_os_thread};
pub use park::{checkpoint, yield_now};
pub use procs::{MAX_PROCS, current_p, num_cpu};
pub use quit::set_quit_heard;
pub use random::random;
pub use reason::WaitReason;
pub use spawn::{JoinHandle, Options};
pub use stats::{Stats, stats};
pub use timer::sleep;
