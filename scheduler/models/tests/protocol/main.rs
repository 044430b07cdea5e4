//! Models of the protocols in `scheduler/src/protocol`, with a module for each file there.

mod barrier;
mod claim;
mod condvar;
mod idle;
mod inquiry;
mod join;
mod lease;
mod lock;
mod mutex;
mod occupancy;
mod once;
mod poll_word;
mod poller;
mod rwlock;
mod semaphore;
mod wait_group;
