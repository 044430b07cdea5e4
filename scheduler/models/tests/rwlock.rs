//! Models of the lock for readers and writers: the word, its queues and the hand-over.
//!
//! Two preemptions for three threads: with three of them an execution has more steps than loom takes by default, which
//! are rounds in the spin lock.

use std::sync::atomic::{AtomicU32, Ordering};

use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::raw_rwlock::RawRwLock;
use greenthread_models::wait::{GiveUp, LoomWait, Patient, Spinning, Surroundings};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;
use loom::thread;

use Role::{MayRead, MayWrite, Read, Write};

struct Shared<S: Surroundings> {
    lock: RawRwLock<LoomWait<S>, LoomWait<S>>,
    // Loom fails if somebody writes while others read or write, and if one does not happen before the other.
    n: UnsafeCell<u32>,
    /// How often somebody has written. Not loom's: it counts, and orders nothing.
    written: AtomicU32,
}

// SAFETY: `n` is touched only under `lock`; that this suffices is what the models check.
unsafe impl<S: Surroundings> Sync for Shared<S> {}
// SAFETY: as above.
unsafe impl<S: Surroundings> Send for Shared<S> {}

impl<S: Surroundings> Shared<S> {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: RawRwLock::new(), n: UnsafeCell::new(0), written: AtomicU32::new(0) })
    }

    /// The caller has locked for reading.
    fn look_and_unlock(&self) -> u32 {
        // SAFETY: under the lock.
        let n = self.n.with(|n| unsafe { *n });
        // SAFETY: locked by the caller.
        unsafe { self.lock.unlock_read() };
        n
    }

    /// The caller has locked for writing.
    fn add_and_unlock(&self) {
        // SAFETY: under the lock.
        self.n.with_mut(|n| unsafe { *n += 1 });
        self.written.fetch_add(1, Ordering::Relaxed);
        // SAFETY: locked by the caller.
        unsafe { self.lock.unlock_write() };
    }

    fn run(&self, role: Role) {
        let locked = match role {
            Read => {
                self.lock.read();
                true
            }
            Write => {
                self.lock.write();
                true
            }
            MayRead => self.lock.read_within(&GiveUp::default()),
            MayWrite => self.lock.write_within(&GiveUp::default()),
        };
        let writes = matches!(role, Write | MayWrite);
        match (locked, writes) {
            (true, true) => self.add_and_unlock(),
            (true, false) => drop(self.look_and_unlock()),
            (false, _) => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Read,
    Write,
    /// Gives up, if it has to wait and is told to.
    MayRead,
    MayWrite,
}

/// Each list is what one thread does. All get through, and the lock is free at the end.
fn run<S: Surroundings + 'static>(threads: &'static [&'static [Role]], preemptions: usize) {
    explore(preemptions, move || {
        let shared = Shared::<S>::new();
        in_threads(threads.len(), &shared, |shared, n| threads[n].iter().for_each(|role| shared.run(*role)));
        assert!(shared.lock.try_write(), "everybody is done, so the lock is free and nobody is queued");
        // SAFETY: under the lock.
        assert_eq!(shared.n.with(|n| unsafe { *n }), shared.written.load(Ordering::Relaxed));
    });
}

#[test]
fn two_writers() {
    run::<Patient>(&[&[Write, Write], &[Write, Write]], 3);
}

#[test]
fn a_reader_and_a_writer() {
    run::<Patient>(&[&[Read, Write], &[Write, Read]], 3);
}

#[test]
fn two_threads_that_spin() {
    run::<Spinning>(&[&[Read, Write], &[Write, Read]], 3);
}

#[test]
fn two_readers_and_a_writer() {
    run::<Patient>(&[&[Read], &[Read], &[Write]], 2);
}

#[test]
fn two_writers_and_a_reader() {
    run::<Patient>(&[&[Write], &[Write], &[Read]], 2);
}

#[test]
fn a_writer_among_readers_that_come_again() {
    run::<Patient>(&[&[Read, Read], &[Read], &[Write]], 2);
}

#[test]
fn everybody_in_turn() {
    run::<Patient>(&[&[Read, Write], &[Write, Read], &[Write]], 2);
}

#[test]
fn readers_share() {
    // Loom would report a deadlock if the second had to wait for the first.
    explore(3, || {
        let shared = Shared::<Patient>::new();
        shared.lock.read();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(Read))
        };
        other.join().unwrap();
        shared.look_and_unlock();
        assert!(shared.lock.try_write());
    });
}

#[test]
fn trying_never_breaks_in() {
    explore(3, || {
        let shared = Shared::<Patient>::new();
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(Write))
        };
        let tryer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if shared.lock.try_read() {
                    shared.look_and_unlock();
                }
                let got = shared.lock.try_write();
                if got {
                    shared.add_and_unlock();
                }
                u32::from(got)
            })
        };
        writer.join().unwrap();
        let tried = tryer.join().unwrap();
        shared.lock.read();
        assert_eq!(shared.look_and_unlock(), 1 + tried);
    });
}

#[test]
fn a_waiting_writer_stops_readers_and_is_next() {
    explore(2, || {
        let shared = Shared::<Patient>::new();
        shared.lock.read();
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(Write))
        };
        let stopped = if shared.lock.try_read() {
            shared.look_and_unlock();
            false
        } else {
            true
        };
        let reader = stopped.then(|| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.lock.read();
                shared.look_and_unlock()
            })
        });
        shared.look_and_unlock();
        if let Some(reader) = reader {
            assert_eq!(reader.join().unwrap(), 1, "a reader that came after the waiting writer was faster");
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_or_writer_gives_up() {
    run::<Patient>(&[&[Write], &[MayWrite]], 3);
    run::<Patient>(&[&[Write], &[MayRead]], 3);
    run::<Patient>(&[&[Read], &[MayWrite]], 3);
}

/// The reader behind it must not wait for somebody who has left.
#[test]
fn a_writer_that_gives_up_lets_readers_through() {
    explore(2, || {
        let shared = Shared::<Patient>::new();
        shared.lock.read();
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(MayWrite))
        };
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(Read))
        };
        shared.look_and_unlock();
        writer.join().unwrap();
        reader.join().unwrap();
        assert!(shared.lock.try_write(), "everybody is done, so the lock is free and nobody is queued");
        // SAFETY: under the lock.
        assert_eq!(shared.n.with(|n| unsafe { *n }), shared.written.load(Ordering::Relaxed));
    });
}

/// The same while the first reader stays: only the one who gives up can let the other in.
#[test]
fn a_writer_that_gives_up_lets_readers_join() {
    explore(3, || {
        let shared = Shared::<Patient>::new();
        shared.lock.read();
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.lock.read();
                shared.look_and_unlock()
            })
        };
        let written = shared.lock.write_within(&GiveUp::default());
        assert!(!written, "a reader is there");
        reader.join().unwrap();
        shared.look_and_unlock();
        assert!(shared.lock.try_write(), "nobody is left");
    });
}
