//! Pure algorithms: no system calls, no goroutines, only atomics from `primitive`.
//!
//! Each file is one protocol with its essay on top, and each is checked by loom in `scheduler/models`, which compiles
//! these same files.

pub mod claim;
pub mod idle;
pub mod inquiry;
pub mod join;
pub mod lease;
pub mod lock;
pub mod occupancy;
pub mod poll_word;
pub mod poller;
pub mod raw_barrier;
pub mod raw_condvar;
pub mod raw_mutex;
pub mod raw_once;
pub mod raw_rwlock;
pub mod raw_semaphore;
pub mod raw_wait_group;
pub mod timer_heap;
pub mod wait;
pub mod wait_list;
