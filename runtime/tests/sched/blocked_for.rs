//! `debug::blocked_for`: goroutines that have waited for other goroutines for a long time.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{check_from_thread, until};
use greenthread::debug::{GoroutineInfo, GoroutineState, WaitReason, blocked_for};
use greenthread::net::TcpListener;
use greenthread::sync::{Mutex, WaitGroup};
use greenthread::{JoinHandle, channel, spawn, time};

/// The error of the clock of parks, with a margin for a busy machine.
const ROUGHLY: Duration = Duration::from_millis(100);

fn reasons(suspects: &[GoroutineInfo]) -> BTreeMap<u64, GoroutineState> {
    suspects.iter().map(|suspect| (suspect.id, suspect.state)).collect()
}

#[test]
fn goroutines_that_wait_for_others_are_reported() {
    check_from_thread(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let (lock, group) = (Arc::new(Mutex::new(())), WaitGroup::new());
        group.add(1);
        let guard = lock.lock();
        let (locks, waits, receives) = (Arc::clone(&lock), group.clone(), rx.clone());
        let suspects: [(JoinHandle<()>, WaitReason); 4] = [
            (spawn(move || assert!(receives.recv().is_err())), WaitReason::ChanReceive),
            (spawn(move || drop(locks.lock())), WaitReason::MutexLock),
            (spawn(move || waits.wait()), WaitReason::WaitGroupWait),
            (spawn(move || assert!(rx.recv_timeout(Duration::from_secs(1000)).is_err())), WaitReason::ChanReceive),
        ];
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let accepts = Arc::clone(&listener);
        let others = [
            spawn(move || drop(accepts.accept())),
            spawn(|| time::sleep(Duration::from_millis(700))),
            spawn(|| thread::sleep(Duration::from_millis(700))),
        ];
        let begun = Instant::now();
        until(|| begun.elapsed() > 2 * ROUGHLY);
        let expected: BTreeMap<u64, GoroutineState> =
            suspects.iter().map(|(handle, reason)| (handle.id(), GoroutineState::Waiting(*reason))).collect();
        until(|| reasons(&blocked_for(ROUGHLY)) == expected);
        for suspect in blocked_for(ROUGHLY) {
            assert_eq!(suspect.spawned_at.file(), file!());
            let waited = suspect.parked_for.unwrap();
            assert!(waited >= ROUGHLY && waited <= begun.elapsed() + ROUGHLY, "{suspect:?}");
        }
        assert!(blocked_for(begun.elapsed() + ROUGHLY).is_empty());
        group.done();
        drop((tx, guard));
        listener.close();
        suspects.into_iter().map(|(handle, _)| handle).chain(others).for_each(|handle| handle.join().unwrap());
        assert!(blocked_for(Duration::ZERO).is_empty());
    });
}

#[test]
fn the_longest_wait_comes_first_and_each_wait_begins_at_zero() {
    check_from_thread(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let early = rx.clone();
        let first = spawn(move || while early.recv().is_ok() {});
        thread::sleep(2 * ROUGHLY);
        let second = spawn(move || assert!(rx.recv().is_err()));
        let ids = || blocked_for(Duration::ZERO).iter().map(|suspect| suspect.id).collect::<Vec<_>>();
        until(|| ids() == [first.id(), second.id()]);
        // The first goroutine of the list has waited for a long time. Once it gets its value, its
        // next wait begins at zero.
        tx.send(()).unwrap();
        until(|| {
            ids() == [second.id(), first.id()]
                || blocked_for(Duration::ZERO).iter().all(|s| s.parked_for < Some(ROUGHLY))
        });
        drop(tx);
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn idle_time_before_a_wait_does_not_count() {
    check_from_thread(|| {
        // All Ps become idle and sysmon sleeps, so that nothing advances the clock of parks.
        spawn(|| ()).join().unwrap();
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        let (tx, rx) = channel::bounded::<()>(0);
        let waits = spawn(move || assert!(rx.recv().is_err()));
        until(|| crate::common::parked("chan receive") == 1);
        check_waits_since(begun);
        drop(tx);
        waits.join().unwrap();
    });
}

#[test]
fn a_blocking_call_before_a_wait_does_not_count() {
    check_from_thread(|| {
        let (tx, rx) = channel::bounded::<()>(0);
        let (begins, begun) = channel::bounded(1);
        let waits = spawn(move || {
            greenthread::blocking(|| thread::sleep(Duration::from_millis(500)));
            begins.send(Instant::now()).unwrap();
            assert!(rx.recv().is_err());
        });
        until(|| crate::common::parked("chan receive") == 1);
        check_waits_since(begun.recv().unwrap());
        drop(tx);
        waits.join().unwrap();
    });
}

/// Checks that no reported wait began before `begun`, with a margin for the time that the report
/// took.
fn check_waits_since(begun: Instant) {
    for suspect in blocked_for(Duration::ZERO) {
        assert!(suspect.parked_for < Some(begun.elapsed() + 3 * ROUGHLY), "{suspect:?}");
    }
}
