//! The state kept for a registered descriptor: its poll words, the causes that end its waits, and
//! its deadlines.
//!
//! # Stale events
//! An event may be on its way to a polling thread while its descriptor is deregistered and closed,
//! and the descriptor's number is reused. So events do not name descriptors by number but by
//! *token*, which combines the index of a record and the generation of the record's use. Records
//! are never freed, and each reuse of a record gets a new generation. A stale event may still pass
//! the check of the generation if the record is reused at that very instant. The only effect is
//! that a waiter retries once too often.
//!
//! # Deadlines
//! The record has a timer for each direction. The timer fires under the lock of its heap, so it
//! takes no other lock: it notes that the deadline has passed, and takes the waiter. Deadlines
//! change under the record's lock. First the timer is disarmed, which waits for the timer to finish
//! if it is firing. Only then is the note removed or the timer armed again. So a timer that fires
//! never belongs to an earlier deadline. (Go stops a timer without waiting for it. It numbers
//! deadlines, so that late timers notice that they are out of date.)
//!
//! The wait for priority events has a poll word but no deadline of its own: the deadline for
//! reading applies.
//!
//! # Invariants
//! * I1: records are never freed or moved.
//! * I2: the timers are armed and disarmed only under `lock`, and armed only while the record is in
//!   use.
//! * I3: a record is allocated while none of its timers is armed and no waiter is in it.
//!
//! # Orderings
//! * P1: the release with which a cause is set -> the acquire in `causes`. A thread that sees that
//!   a wait has ended sees everything done before it ended. Whether the cause is seen at all
//!   depends on the fences of the poll word.
//!
//! READ_ON is not a cause and has no pair of its own. It is set before the word, so a thread that
//! has taken the event sees it (P3 of `poll_word`, whose model includes it).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::gmp::Inside;
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::poller::Readiness;
use crate::protocol::poll_word::PollWord;
use crate::time::arming;
use crate::time::p_timers::Timer;
use crate::wait::blocker::Waker;
use crate::wait::park;

/// The bits of a token that hold the index; the rest is the generation.
const INDEX_BITS: u32 = 24;

/// The number of records in the first chunk; each chunk has twice as many as the one before.
const FIRST_CHUNK_LEN: usize = 64;

/// With this many chunks, there is room for all indices that a token can hold, except for the last
/// few.
const CHUNKS: usize = 18;

/// The direction of reading.
///
/// Among the causes: the deadline for reading has passed.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;
/// The cause that the descriptor is being closed.
pub(crate) const CLOSING: u8 = 4;
/// Not a cause, but stored next to the causes: the system has reported something that a read may
/// leave unread even if the read returns less than it asked for.
pub(crate) const READ_ON: u8 = 8;
/// The third direction.
///
/// It is not a cause, because it shares the deadline of READ.
pub(crate) const PRIORITY: u8 = 16;

/// The state of one direction.
struct Side {
    word: PollWord,
    timer: Timer,
}

/// The record of a descriptor.
pub(crate) struct Record {
    read: Side,
    write: Side,
    priority: PollWord,
    /// READ, WRITE, CLOSING, READ_ON.
    ///
    /// Set before `take_waiter`, checked after `begin`.
    causes: AtomicU8,
    /// The token that events carry during this use of the record.
    token: AtomicUsize,
    lock: Mutex<()>,
}

// SAFETY: the timers are used under `lock` (I2) and fire under the lock of their heap; the other
// fields may be shared between threads.
unsafe impl Sync for Record {}
// SAFETY: a timer does not belong to a thread, and the other fields are `Send`.
unsafe impl Send for Record {}

static RECORDS: [OnceLock<Box<[Record]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

/// The unused records, and the number of records made so far.
struct Slab {
    free: Vec<usize>,
    made: usize,
}

static SLAB: Mutex<Slab> = Mutex::new(Slab { free: Vec::new(), made: 0 });

fn slab() -> MutexGuard<'static, Slab> {
    SLAB.lock()
}

/// Returns the chunk of a record, and the record's place in that chunk.
fn locate(index: usize) -> (usize, usize) {
    let chunk = (index / FIRST_CHUNK_LEN + 1).ilog2() as usize;
    (chunk, index - FIRST_CHUNK_LEN * ((1 << chunk) - 1))
}

fn get(index: usize) -> Option<&'static Record> {
    let (chunk, place) = locate(index);
    RECORDS.get(chunk)?.get()?.get(place)
}

/// Allocates a record, or returns `None` if there are too many records.
pub(crate) fn allocate() -> Option<&'static Record> {
    let mut slab = slab();
    let index = match slab.free.pop() {
        Some(index) => index,
        None => {
            let (chunk, place) = locate(slab.made);
            let first = slab.made - place;
            RECORDS.get(chunk)?.get_or_init(|| (first..first + (FIRST_CHUNK_LEN << chunk)).map(Record::new).collect());
            slab.made += 1;
            slab.made - 1
        }
    };
    drop(slab);
    let record = get(index)?;
    record.causes.store(0, Ordering::Relaxed);
    // A late event may have left something in the word.
    record.read.word.clear();
    record.write.word.clear();
    record.priority.clear();
    Some(record)
}

/// Returns the record of the event with this token, unless the token is out of date.
fn find(token: usize) -> Option<&'static Record> {
    get(token & ((1 << INDEX_BITS) - 1)).filter(|record| record.token() == token)
}

/// Handles an event: sets what is ready, and passes on the waiters.
pub(crate) fn report(token: usize, ready: Readiness, mut wake: impl FnMut(Waker)) {
    let Some(record) = find(token) else { return };
    if ready.read_on {
        // Set before the word, so a thread that takes the event sees it (P3 of `poll_word`).
        record.causes.fetch_or(READ_ON, Ordering::Relaxed);
    }
    for (is_ready, direction) in [(ready.read, READ), (ready.write, WRITE), (ready.priority, PRIORITY)] {
        if is_ready && let Some(waiter) = record.word(direction).set_ready() {
            wake(Waker::from_raw(waiter));
        }
    }
}

impl Record {
    fn new(index: usize) -> Self {
        let side = |fire| Side { word: PollWord::new(), timer: Timer::new(fire, std::ptr::without_provenance(index)) };
        Self {
            read: side(expire::<READ>),
            write: side(expire::<WRITE>),
            priority: PollWord::new(),
            causes: AtomicU8::new(0),
            token: AtomicUsize::new(index),
            lock: Mutex::new(()),
        }
    }

    /// Releases a record that is no longer used, and makes its token stale.
    pub(crate) fn release(&'static self) {
        debug_assert!(self.causes() & CLOSING != 0, "netpoll: a record is released before it was closed");
        let token = self.token();
        self.token.store(token.wrapping_add(1 << INDEX_BITS), Ordering::Relaxed);
        slab().free.push(token & ((1 << INDEX_BITS) - 1));
    }

    pub(crate) fn token(&self) -> usize {
        self.token.load(Ordering::Relaxed)
    }

    /// Returns the timer for a direction's deadline.
    fn timer(&self, direction: u8) -> &Timer {
        if direction == WRITE { &self.write.timer } else { &self.read.timer }
    }

    pub(crate) fn word(&self, direction: u8) -> &PollWord {
        match direction {
            READ => &self.read.word,
            WRITE => &self.write.word,
            _ => &self.priority,
        }
    }

    /// Returns the causes that currently end waits (READ, WRITE, CLOSING), and READ_ON.
    #[inline]
    pub(crate) fn causes(&self) -> u8 {
        // ORDERING P1: acquire.
        self.causes.load(Ordering::Acquire)
    }

    /// Takes the waiters affected when waits in this direction end.
    fn take_waiters(&self, direction: u8) -> impl Iterator<Item = Waker> {
        let priority = (direction == READ).then_some(&self.priority);
        // I2 of `poll_word`: each waiter published itself in its commit step, and is taken once.
        [self.word(direction)].into_iter().chain(priority).filter_map(PollWord::take_waiter).map(Waker::from_raw)
    }

    /// Ends the waits in this direction.
    fn end_waits(&self, direction: u8) {
        for waiter in self.take_waiters(direction) {
            // SAFETY: the waiter published itself in its commit step, and was taken once (I2 of
            // `poll_word`).
            unsafe { waiter.wake() };
        }
    }

    /// Sets the deadline of a direction, and returns `false` if the descriptor is closed.
    pub(crate) fn set_deadline(&'static self, direction: u8, deadline: Deadline) -> bool {
        let guard = self.lock.lock();
        if self.causes() & CLOSING != 0 {
            return false;
        }
        self.timer(direction).disarm();
        match deadline {
            Deadline::Passed => {
                // ORDERING P1: release.
                self.causes.fetch_or(direction, Ordering::Release);
                drop(guard);
                self.end_waits(direction);
            }
            Deadline::None => {
                self.causes.fetch_and(!direction, Ordering::Relaxed);
            }
            Deadline::At(when) => {
                self.causes.fetch_and(!direction, Ordering::Relaxed);
                // SAFETY: I2: the timer was disarmed here, and stays in place (I1).
                let armed = unsafe { arming::arm(self.timer(direction), when) };
                drop(guard);
                armed.unwrap_or_else(park::reacquire_p);
            }
        }
        true
    }

    /// Ends all current and later waits, and cancels the deadlines.
    ///
    /// Only the first close calls `deregister`. That call has returned when any of the closes
    /// returns.
    pub(crate) fn close(&'static self, deregister: impl FnOnce()) {
        let guard = self.lock.lock();
        // ORDERING P1: release.
        if self.causes.fetch_or(CLOSING, Ordering::Release) & CLOSING != 0 {
            return;
        }
        self.read.timer.disarm();
        self.write.timer.disarm();
        deregister();
        drop(guard);
        self.end_waits(READ);
        self.end_waits(WRITE);
    }
}

/// The deadline of one direction.
#[derive(Clone, Copy)]
pub(crate) enum Deadline {
    None,
    Passed,
    /// A time on the runtime's clock, in nanoseconds.
    At(u64),
}

/// Ends the waits in a direction whose deadline has been reached.
///
/// # Safety
/// The contract of [`crate::time::p_timers::Fire`]; `arg` is the index of the record whose timer
/// fires.
unsafe fn expire<const DIRECTION: u8>(arg: *const (), context: *mut ()) {
    let Some(record) = get(arg.addr()) else { return };
    // ORDERING P1: release.
    record.causes.fetch_or(DIRECTION, Ordering::Release);
    for waiter in record.take_waiters(DIRECTION) {
        // SAFETY: the waiter was taken once (I2 of `poll_word`); the context is the one that `Fire`
        // passes.
        unsafe { waiter.wake_on(Inside::from_context(context)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_maps_to_a_chunk_and_a_place() {
        assert_eq!(locate(0), (0, 0));
        assert_eq!(locate(FIRST_CHUNK_LEN - 1), (0, FIRST_CHUNK_LEN - 1));
        assert_eq!(locate(FIRST_CHUNK_LEN), (1, 0));
        assert_eq!(locate(3 * FIRST_CHUNK_LEN), (2, 0));
        let last = FIRST_CHUNK_LEN * ((1 << CHUNKS) - 1) - 1;
        assert_eq!(locate(last), (CHUNKS - 1, (FIRST_CHUNK_LEN << (CHUNKS - 1)) - 1));
        assert!(last < (1 << INDEX_BITS) - 1, "the token of the waker is nobody's");
    }

    #[test]
    fn reused_record_ignores_its_old_token() {
        let ready = Readiness { read: true, write: true, priority: true, read_on: false };
        let nobody = |_| unreachable!("nobody waits");
        let record = allocate().expect("there is room");
        let old = record.token();
        record.close(|| ());
        record.release();
        report(old, ready, nobody);
        assert!(find(old).is_none() && find(record.token()).is_some());
        assert!(record.word(READ).begin() && !record.word(READ).end(), "a stale event sets nothing");
        report(record.token(), ready, nobody);
        assert!([READ, WRITE, PRIORITY].into_iter().all(|direction| !record.word(direction).begin()));
    }
}
