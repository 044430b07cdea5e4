//! Models of the lock for readers and writers: the word, its queues, and the hand-over.
//!
//! Models with three threads use two preemptions. With three preemptions, an execution has more
//! steps than loom allows by default; the extra steps are rounds in the spin lock.

use std::sync::atomic::{AtomicU32, Ordering};

use greenthread_models::primitive::UnsafeCell;
use greenthread_models::protocol::sync::raw_rwlock::RawRwLock;
use greenthread_models::wait::{AtOnce, GiveUp, LoomWait, Patient, Spinning, Surroundings};
use greenthread_models::{explore, in_threads};
use loom::sync::Arc;
use loom::thread;

use Role::{
    Downgrade, DowngradeAndUpgrade, MayBeUpgradable, MayRead, MayUpgrade, MayWrite, Read, ReadUpgradable, TryUpgrade,
    UpgradableThenPlain, Upgrade, Write,
};

struct Shared<S: Surroundings> {
    lock: RawRwLock<LoomWait<S>, LoomWait<S>>,
    // Loom fails if a thread writes while others read or write, or if neither access happens before
    // the other.
    n: UnsafeCell<u32>,
    /// The number of writes.
    ///
    /// This atomic is not loom's, because it only counts and orders nothing.
    written: AtomicU32,
}

// SAFETY: `n` is touched only under `lock`; the models check that this suffices.
unsafe impl<S: Surroundings> Sync for Shared<S> {}
// SAFETY: `n` is touched only under `lock`.
unsafe impl<S: Surroundings> Send for Shared<S> {}

impl<S: Surroundings> Shared<S> {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: RawRwLock::new(), n: UnsafeCell::new(0), written: AtomicU32::new(0) })
    }

    /// Reads, for a caller that has locked for reading in some way.
    fn look(&self) -> u32 {
        // SAFETY: under the lock.
        self.n.with(|n| unsafe { *n })
    }

    /// Writes, for a caller that has locked for writing.
    fn add(&self) {
        // SAFETY: under the lock.
        self.n.with_mut(|n| unsafe { *n += 1 });
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads and unlocks, for a caller that has locked for reading.
    fn look_and_unlock(&self) -> u32 {
        let n = self.look();
        // SAFETY: locked by the caller.
        unsafe { self.lock.unlock_read() };
        n
    }

    /// Writes and unlocks, for a caller that has locked for writing.
    fn add_and_unlock(&self) {
        self.add();
        // SAFETY: locked by the caller.
        unsafe { self.lock.unlock_write() };
    }

    fn run(&self, role: Role) {
        match role {
            Read => {
                self.lock.read();
                self.look_and_unlock();
            }
            Write => {
                self.lock.write();
                self.add_and_unlock();
            }
            MayRead => {
                if self.lock.read_within(&GiveUp::default()) {
                    self.look_and_unlock();
                }
            }
            MayWrite => {
                if self.lock.write_within(&GiveUp::default()) {
                    self.add_and_unlock();
                }
            }
            ReadUpgradable | UpgradableThenPlain | Upgrade | MayUpgrade | TryUpgrade => {
                self.lock.upgradable_read();
                self.go_on(role);
            }
            MayBeUpgradable => {
                if self.lock.upgradable_read_within(&GiveUp::default()) {
                    self.go_on(ReadUpgradable);
                }
            }
            Downgrade => {
                self.lock.write();
                self.add();
                let before = self.look();
                // SAFETY: locked above.
                unsafe { self.lock.downgrade() };
                assert_eq!(self.look_and_unlock(), before, "a writer came in between");
            }
            DowngradeAndUpgrade => {
                self.lock.write();
                self.add();
                let before = self.look();
                // SAFETY: locked above.
                unsafe { self.lock.downgrade_to_upgradable() };
                assert_eq!(self.look(), before, "a writer came in between");
                self.go_on(Upgrade);
            }
        }
    }

    /// Continues as the upgradable reader according to `role`.
    fn go_on(&self, role: Role) {
        let before = self.look();
        // SAFETY: the caller holds the lock, and each arm continues with the lock state that its
        // call leaves.
        let upgraded = unsafe {
            match role {
                UpgradableThenPlain => {
                    self.lock.downgrade_upgradable();
                    assert_eq!(self.look_and_unlock(), before, "a writer came in between");
                    return;
                }
                Upgrade => {
                    self.lock.upgrade();
                    true
                }
                MayUpgrade => self.lock.upgrade_within(&GiveUp::default()),
                TryUpgrade => self.lock.try_upgrade(),
                _ => false,
            }
        };
        assert_eq!(self.look(), before, "a writer came in between");
        if upgraded {
            self.add_and_unlock();
        } else {
            // SAFETY: this thread is still the upgradable reader.
            unsafe { self.lock.unlock_upgradable() };
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Read,
    Write,
    /// Gives up if it must wait and is told to give up.
    MayRead,
    MayWrite,
    /// Could upgrade, but does not.
    ReadUpgradable,
    MayBeUpgradable,
    UpgradableThenPlain,
    Upgrade,
    /// Abandons the upgrade if it must wait and is told to give up.
    MayUpgrade,
    TryUpgrade,
    Downgrade,
    DowngradeAndUpgrade,
}

/// Runs one thread for each list of roles, and checks that all succeed and that the lock is free at
/// the end.
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
fn readers_and_writers_in_turn() {
    run::<Patient>(&[&[Read, Write], &[Write, Read], &[Write]], 2);
}

#[test]
fn readers_share() {
    // Loom would report a deadlock if the second thread had to wait for the first.
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

// The reader behind the abandoned wait must not wait for a thread that has left.
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

// The same while the first reader stays: only the thread that gives up can admit the other.
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

// A refused `try_read` leaves nothing behind that a `try_write` could mistake for a reader.
#[test]
fn trying_fails_only_because_of_another() {
    type Try = fn(&RawRwLock<LoomWait<Patient>, LoomWait<Patient>>) -> bool;
    let tries: [Try; 3] = [RawRwLock::try_read, RawRwLock::try_write, RawRwLock::try_upgradable_read];
    for theirs in tries {
        for mine in tries {
            explore(3, move || {
                let shared = Shared::<Patient>::new();
                shared.lock.write();
                let other = {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || theirs(&shared.lock))
                };
                shared.add_and_unlock();
                let got = mine(&shared.lock);
                assert!(got || other.join().unwrap(), "both were refused, and nobody has the lock or waits for it");
            });
        }
    }
}

// A writer that waits and then gives up must not make an upgrade fail, because it holds nothing.
#[test]
fn trying_to_upgrade_fails_only_because_of_readers() {
    explore(3, || {
        let shared = Shared::<Patient>::new();
        shared.lock.upgradable_read();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(MayWrite))
        };
        // SAFETY: this thread is the upgradable reader.
        assert!(unsafe { shared.lock.try_upgrade() });
        shared.add_and_unlock();
        other.join().unwrap();
        assert!(shared.lock.try_write());
    });
}

#[test]
fn upgradable_readers_exclude_each_other() {
    run::<Patient>(&[&[Upgrade, Upgrade], &[Upgrade]], 3);
    run::<Spinning>(&[&[Upgrade], &[ReadUpgradable, Upgrade]], 3);
    run::<Patient>(&[&[Upgrade], &[ReadUpgradable], &[Upgrade]], 2);
}

#[test]
fn an_upgrade_among_readers_and_writers() {
    run::<Patient>(&[&[Upgrade], &[Read, Write]], 3);
    run::<Patient>(&[&[Upgrade], &[Write, Read]], 3);
    run::<Patient>(&[&[Upgrade], &[Read], &[Write]], 2);
    run::<Patient>(&[&[Upgrade], &[Write], &[Upgrade]], 2);
    run::<Patient>(&[&[UpgradableThenPlain], &[Upgrade], &[Write]], 2);
}

#[test]
fn an_upgrade_is_tried() {
    run::<Patient>(&[&[TryUpgrade], &[Read, Write]], 3);
    run::<Patient>(&[&[TryUpgrade], &[Read], &[Write]], 2);
    run::<Patient>(&[&[TryUpgrade], &[Upgrade], &[Write]], 2);
}

#[test]
fn an_upgrade_is_given_up() {
    run::<Patient>(&[&[MayUpgrade], &[Read]], 3);
    run::<Patient>(&[&[MayUpgrade], &[Read, Write]], 2);
    run::<Patient>(&[&[MayUpgrade], &[Read], &[Upgrade]], 2);
}

#[test]
fn a_wait_to_be_upgradable_is_given_up() {
    run::<Patient>(&[&[Upgrade], &[MayBeUpgradable]], 3);
    run::<Patient>(&[&[Write], &[MayBeUpgradable]], 3);
    run::<Patient>(&[&[MayWrite], &[ReadUpgradable], &[Read]], 1);
}

// A writer that gives up admits those behind it, while the earlier upgradable reader leaves or
// becomes the writer.
#[test]
fn a_writer_gives_up_beside_an_upgradable_reader() {
    for role in [ReadUpgradable, UpgradableThenPlain, Upgrade, TryUpgrade] {
        for behind in [Read, ReadUpgradable] {
            explore(2, move || {
                let shared = Shared::<Patient>::new();
                shared.lock.upgradable_read();
                let others = [MayWrite, behind].map(|role| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.run(role))
                });
                shared.go_on(role);
                others.into_iter().for_each(|other| other.join().unwrap());
                assert!(shared.lock.try_write(), "everybody is done, so the lock is free and nobody is queued");
            });
        }
    }
}

// The same while a plain reader stays: no other thread can admit the waiter for the upgradable
// place.
#[test]
fn a_writer_passes_between_two_upgradable_readers() {
    explore(2, || {
        let shared = Shared::<Patient>::new();
        shared.lock.read();
        shared.lock.upgradable_read();
        let behind = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(ReadUpgradable))
        };
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || assert!(!shared.lock.write_within(&AtOnce::default()), "a reader is there"))
        };
        shared.go_on(ReadUpgradable);
        behind.join().unwrap();
        writer.join().unwrap();
        shared.look_and_unlock();
        assert!(shared.lock.try_write());
    });
}

#[test]
fn a_writer_downgrades() {
    run::<Patient>(&[&[Downgrade], &[Write, Read]], 3);
    run::<Patient>(&[&[Downgrade], &[Upgrade]], 3);
    run::<Patient>(&[&[DowngradeAndUpgrade], &[Read, Write]], 3);
    run::<Patient>(&[&[DowngradeAndUpgrade], &[Upgrade], &[Read]], 2);
    run::<Patient>(&[&[Downgrade], &[Read], &[Write]], 2);
}

// Plain readers lock and unlock while an upgradable reader is active, even if another thread waits
// for the upgradable place.
#[test]
fn a_waiter_for_the_upgradable_place_stops_no_reader() {
    explore(3, || {
        let shared = Shared::<Patient>::new();
        shared.lock.upgradable_read();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(ReadUpgradable))
        };
        shared.run(Read);
        assert!(shared.lock.try_read());
        shared.look_and_unlock();
        shared.go_on(ReadUpgradable);
        other.join().unwrap();
        assert!(shared.lock.try_write());
    });
}

// Waiting readers are admitted when the writer downgrades, and need not wait until it unlocks.
#[test]
fn a_downgrade_lets_readers_in() {
    explore(2, || {
        let shared = Shared::<Patient>::new();
        shared.lock.write();
        let others = [Read, ReadUpgradable].map(|role| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.run(role))
        });
        // SAFETY: locked above.
        unsafe { shared.lock.downgrade() };
        others.into_iter().for_each(|other| other.join().unwrap());
        shared.look_and_unlock();
        assert!(shared.lock.try_write());
    });
}
