//! The locks: what `greenthread::sync` is built on, without system calls and without data.

pub mod env;
pub mod raw_barrier;
pub mod raw_condvar;
pub mod raw_mutex;
pub mod raw_once;
pub mod raw_rwlock;
pub mod raw_semaphore;
pub mod raw_wait_group;
pub mod wait_list;
