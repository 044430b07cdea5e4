//! The bits of the lock's word, the roles of its callers, and the queues of waiters.
//!
//! The parent module describes the protocol and its invariants.

use std::ptr::NonNull;

use crate::protocol::sync::env::Wake;
use crate::protocol::sync::wait_list::{WaitList, WaitNode};

pub(super) const WRITER: u64 = 1;
pub(super) const QUEUED: u64 = 1 << 1;
pub(super) const WRITTEN: u64 = 1 << 2;
pub(super) const UPGRADABLE: u64 = 1 << 3;
pub(super) const UPGRADABLE_QUEUED: u64 = 1 << 4;
/// One reader.
///
/// The 59 bits of the count do not overflow, even if guards are leaked as fast as possible.
pub(super) const READER: u64 = 1 << 5;

/// The waiters, linked by nodes in their own frames.
pub(super) struct Queues<K> {
    readers: WaitList<K>,
    writers: WaitList<K>,
    /// Waiters that want to be the upgradable reader.
    upgradables: WaitList<K>,
    /// The upgradable reader that waits to become the writer; at most one.
    upgrade: WaitList<K>,
    /// `true` if, since the last writer was admitted, an upgradable reader was admitted while a
    /// writer waited.
    upgradable_was_last: bool,
}

/// The role that a caller of the lock wants to have.
pub(super) trait Role {
    /// The most likely word in which a newcomer can enter.
    const GUESS: u64;
    /// The bits that say that others come first, so that checking again does not help.
    const BEHIND: u64;
    /// The part of the word that a waiter owns again when its wait is ended.
    const KEEPS: u64 = 0;

    /// Returns the word after a newcomer has entered, if it may enter.
    fn enter(state: u64) -> Option<u64>;

    /// Returns the word after a caller has entered under the lock of the queues, if it may enter.
    #[inline]
    fn enter_locked(state: u64) -> Option<u64> {
        Self::enter(state)
    }

    /// Returns the word after a caller has queued up instead of entering.
    fn queue_up(state: u64) -> u64;

    /// Returns the queue of this role.
    fn queue<K>(queues: &mut Queues<K>) -> &mut WaitList<K>;
}

pub(super) struct Reader;

impl Role for Reader {
    const GUESS: u64 = 0;
    const BEHIND: u64 = QUEUED;

    #[inline]
    fn enter(state: u64) -> Option<u64> {
        (state & (WRITER | QUEUED) == 0).then_some(state + READER)
    }

    fn queue_up(state: u64) -> u64 {
        state | QUEUED
    }

    fn queue<K>(queues: &mut Queues<K>) -> &mut WaitList<K> {
        &mut queues.readers
    }
}

pub(super) struct Writer;

impl Role for Writer {
    const GUESS: u64 = 0;
    const BEHIND: u64 = QUEUED;

    #[inline]
    fn enter(state: u64) -> Option<u64> {
        (state == 0).then_some(WRITER)
    }

    fn queue_up(state: u64) -> u64 {
        state | QUEUED
    }

    fn queue<K>(queues: &mut Queues<K>) -> &mut WaitList<K> {
        &mut queues.writers
    }
}

pub(super) struct Upgradable;

impl Role for Upgradable {
    const GUESS: u64 = 0;
    const BEHIND: u64 = QUEUED | UPGRADABLE_QUEUED;

    #[inline]
    fn enter(state: u64) -> Option<u64> {
        (state & (WRITER | QUEUED | UPGRADABLE | UPGRADABLE_QUEUED) == 0).then_some(state + UPGRADABLE)
    }

    fn queue_up(state: u64) -> u64 {
        state | UPGRADABLE_QUEUED
    }

    fn queue<K>(queues: &mut Queues<K>) -> &mut WaitList<K> {
        &mut queues.upgradables
    }
}

/// The role that the upgradable reader wants if it upgrades.
pub(super) struct Upgrade;

impl Role for Upgrade {
    const GUESS: u64 = UPGRADABLE;
    const BEHIND: u64 = QUEUED;
    const KEEPS: u64 = UPGRADABLE;

    #[inline]
    fn enter(state: u64) -> Option<u64> {
        (state & !UPGRADABLE_QUEUED == UPGRADABLE).then_some(state - UPGRADABLE + WRITER)
    }

    fn enter_locked(state: u64) -> Option<u64> {
        (state & !(UPGRADABLE_QUEUED | QUEUED) == UPGRADABLE).then_some(state - UPGRADABLE + WRITER)
    }

    fn queue_up(state: u64) -> u64 {
        (state - UPGRADABLE) | QUEUED
    }

    fn queue<K>(queues: &mut Queues<K>) -> &mut WaitList<K> {
        &mut queues.upgrade
    }
}

/// Returns `true` if the lock must be handed over.
#[inline]
pub(super) fn is_orphaned(state: u64) -> bool {
    state & !(WRITTEN | UPGRADABLE_QUEUED) == QUEUED
}

impl<K> Queues<K> {
    /// Creates empty queues.
    pub(super) const fn new() -> Self {
        Self {
            readers: WaitList::new(),
            writers: WaitList::new(),
            upgradables: WaitList::new(),
            upgrade: WaitList::new(),
            upgradable_was_last: false,
        }
    }
}

impl<K: Wake> Queues<K> {
    /// Returns the bits of the word that the queues no longer justify.
    pub(super) fn bits_to_clear(&self) -> u64 {
        let readers_and_writers = self.readers.is_empty() && self.writers.is_empty() && self.upgrade.is_empty();
        match (readers_and_writers, self.upgradables.is_empty()) {
            (true, true) => QUEUED | UPGRADABLE_QUEUED | WRITTEN,
            (true, false) => QUEUED,
            (false, true) => UPGRADABLE_QUEUED,
            (false, false) => 0,
        }
    }

    /// Removes the waiters that own the lock next, and returns them with the part of the word that
    /// records this.
    pub(super) fn next_owners(&mut self, state: u64) -> (WaitList<K>, u64) {
        let (mut owners, mut held) = (WaitList::new(), 0);
        if state & WRITER != 0 {
            return (owners, held);
        }
        if state & !(QUEUED | UPGRADABLE_QUEUED | WRITTEN) == 0 {
            if state & WRITTEN != 0 {
                held = self.admit(&mut owners, self.upgradable_comes_before_writers());
                if held != 0 {
                    return (owners, held);
                }
            }
            let (writer, given_up) = self.next_writer();
            if let Some(writer) = writer {
                // SAFETY: the node is in no list now, and its owner stays until the wake-up (I5).
                unsafe { owners.push_back(writer) };
                return (owners, WRITER);
            }
            held = given_up;
        }
        if self.writers.is_empty() && self.upgrade.is_empty() {
            held += self.admit(&mut owners, (state | held) & UPGRADABLE == 0);
        }
        (owners, held)
    }

    /// Removes the next writer: an upgrade, or otherwise the oldest writer.
    ///
    /// If the wait of the upgrade has ended, there is no next writer, and the waiter is the
    /// upgradable reader again.
    fn next_writer(&mut self) -> (Option<NonNull<WaitNode<K>>>, u64) {
        let waits = !self.upgrade.is_empty();
        let upgraded = reserve_front(&mut self.upgrade);
        if waits {
            return (upgraded, if upgraded.is_none() { UPGRADABLE } else { 0 });
        }
        self.upgradable_was_last = false;
        (reserve_front(&mut self.writers), 0)
    }

    /// Removes all readers, and one waiter for the upgradable place if that place is free; returns
    /// the part of the word that records them.
    pub(super) fn admit(&mut self, owners: &mut WaitList<K>, upgradable: bool) -> u64 {
        let mut held = 0;
        let mut add = |node, part| {
            // SAFETY: the node is in no list now, and its owner stays until the wake-up (I5).
            unsafe { owners.push_back(node) };
            held += part;
        };
        while let Some(node) = reserve_front(&mut self.readers) {
            add(node, READER);
        }
        if let Some(node) = upgradable.then(|| reserve_front(&mut self.upgradables)).flatten() {
            add(node, UPGRADABLE);
            self.upgradable_was_last = !self.writers.is_empty();
        }
        held
    }

    /// Returns `true` if, after a writer, an upgradable reader is admitted even though writers may
    /// be waiting.
    pub(super) fn upgradable_comes_before_writers(&self) -> bool {
        self.writers.is_empty() || !self.upgradable_was_last
    }
}

/// Removes the oldest waiter whose wait has not ended.
fn reserve_front<K: Wake>(queue: &mut WaitList<K>) -> Option<NonNull<WaitNode<K>>> {
    // SAFETY: the queues are borrowed mutably only under their lock (I1).
    unsafe { queue.reserve_front(|waker| waker) }
}
