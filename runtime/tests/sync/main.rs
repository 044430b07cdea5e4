//! `greenthread::sync`, from the outside.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod barrier;
mod condvar;
mod errgroup;
mod limits;
mod mutex;
mod once;
mod rwlock;
mod semaphore;
mod shared;
mod singleflight;
mod wait_group;
