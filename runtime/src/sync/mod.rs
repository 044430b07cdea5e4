//! Locks, groups and shared values for goroutines and threads: Go's `sync`, with the names of `std`
//! and `parking_lot`.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | exclude others | [`Mutex`], [`RwLock`] | `sync.Mutex`, `sync.RWMutex` |
//! | wait for a change to the data under a lock | [`Condvar`] | `sync.Cond` |
//! | wait until a number of goroutines have finished | [`WaitGroup`] | `sync.WaitGroup` |
//! | the same, if they may fail | [`errgroup`] | golang.org/x/sync/errgroup |
//! | do something once | [`Once`], [`OnceLock`], [`LazyLock`] | `sync.Once`, `sync.OnceValue` |
//! | do it once for all concurrent callers | [`singleflight`] | golang.org/x/sync/singleflight |
//! | limit how many do something at once | [`Semaphore`] | golang.org/x/sync/semaphore |
//! | meet, and continue together | [`Barrier`] | - |
//! | reuse buffers | [`Pool`] | `sync.Pool` |
//! | share a map | [`Map`] | `sync.Map` |
//! | replace a value as a whole | [`Value`] | `atomic.Value` |
//!
//! ```
//! use greenthread::scope;
//! use greenthread::sync::Mutex;
//!
//! let sum = Mutex::new(0);
//! scope(|s| {
//!     for n in 1..=10 {
//!         let sum = &sum;
//!         s.spawn(move || *sum.lock() += n);
//!     }
//! });
//! assert_eq!(sum.into_inner(), 55);
//! ```
//!
//! A caller that waits here is either a goroutine, which parks and leaves its OS thread to others,
//! or a thread that the runtime did not start, which sleeps. Both may use the same lock or group.
//!
//! Use these types instead of those of `std::sync` wherever a goroutine may wait: a goroutine that
//! blocks in a lock of `std` keeps its OS thread, and the runtime has to start another in its
//! place.
//!
//! # Waits with a limit
//! The suffix of a method names the limit of its wait: `_timeout` takes a
//! [`Duration`](std::time::Duration), `_deadline` an [`Instant`](std::time::Instant), and `_ctx` a
//! [`Context`](crate::ctx::Context) as the first argument. Locks and permits have all three
//! (`lock_timeout`, `read_deadline`, `acquire_ctx`, ...), and so does [`Condvar`]; [`WaitGroup`]
//! and [`Barrier`] have `wait_ctx`. A method with the prefix `try_` never blocks.
//!
//! # Guards
//! A guard or permit borrows its lock. Guards that move into another goroutine, or into a structure
//! that lives longer, own a handle to the lock instead: `lock_arc`, `read_arc`, `write_arc`,
//! `acquire_owned`.

mod barrier;
mod blocking_wait;
mod condvar;
mod ending;
pub mod errgroup;
mod guard;
mod lazy_lock;
#[cfg(feature = "map")]
mod map;
mod mutex;
mod once;
mod once_lock;
mod pool;
mod rwlock;
mod semaphore;
pub mod singleflight;
mod value;

mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub(crate) use blocking_wait::{BlockingWait, Reason};
pub use condvar::{Condvar, WaitTimeoutResult};
pub(crate) use ending::reporting;
pub use lazy_lock::LazyLock;
#[cfg(feature = "map")]
pub use map::Map;
pub use mutex::{ArcMutexGuard, Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use pool::Pool;
pub use rwlock::{
    ArcRwLockReadGuard, ArcRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
pub use semaphore::{OwnedPermit, Permit, Semaphore};
pub use value::Value;
pub use wait_group::WaitGroup;
