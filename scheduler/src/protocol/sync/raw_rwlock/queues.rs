//! The bits of the lock's word, what callers want to be, and those that wait: who is next.
//!
//! The protocol, with its invariants, is told in the parent module.

use std::ptr::NonNull;

use crate::protocol::sync::env::Wake;
use crate::protocol::sync::wait_list::{WaitList, WaitNode};

pub(super) const WRITER: u64 = 1;
pub(super) const QUEUED: u64 = 1 << 1;
pub(super) const WRITTEN: u64 = 1 << 2;
pub(super) const UPGRADABLE: u64 = 1 << 3;
pub(super) const UPGRADABLE_QUEUED: u64 = 1 << 4;
/// One reader. The 59 bits of the count do not overflow, not even by guards that are leaked as fast as possible.
pub(super) const READER: u64 = 1 << 5;

/// Those that wait, in nodes in their frames.
pub(super) struct Queues<K> {
    readers: WaitList<K>,
    writers: WaitList<K>,
    /// Those that wait to be the upgradable reader.
    upgradables: WaitList<K>,
    /// The upgradable reader that waits to be the writer, at most one.
    upgrade: WaitList<K>,
    /// Whether an upgradable reader was let in since a writer was, while one waited.
    upgradable_was_last: bool,
}

/// What a caller of the lock wants to be.
pub(super) trait Role {
    /// What the word probably is when a newcomer can enter.
    const GUESS: u64;
    /// The bits that say that others come first, so that it does not help to look again.
    const BEHIND: u64;
    /// What a waiter owns again when its wait is ended.
    const KEEPS: u64 = 0;

    /// The word after a newcomer has entered, if it may.
    fn enter(state: u64) -> Option<u64>;

    /// The same under the lock of the queues.
    #[inline]
    fn enter_locked(state: u64) -> Option<u64> {
        Self::enter(state)
    }

    /// The word after one has queued up instead.
    fn queue_up(state: u64) -> u64;

    /// Its queue.
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

/// What the upgradable reader wants to be if it upgrades.
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

/// Whether somebody is to hand the lock over.
#[inline]
pub(super) fn is_orphaned(state: u64) -> bool {
    state & !(WRITTEN | UPGRADABLE_QUEUED) == QUEUED
}

impl<K> Queues<K> {
    /// Nobody waits.
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
    /// The bits of the word that are not true any more.
    pub(super) fn bits_to_clear(&self) -> u64 {
        let readers_and_writers = self.readers.is_empty() && self.writers.is_empty() && self.upgrade.is_empty();
        match (readers_and_writers, self.upgradables.is_empty()) {
            (true, true) => QUEUED | UPGRADABLE_QUEUED | WRITTEN,
            (true, false) => QUEUED,
            (false, true) => UPGRADABLE_QUEUED,
            (false, false) => 0,
        }
    }

    /// Takes those out that are to own the lock now, with the part of the word that says so.
    pub(super) fn next_owners(&mut self, state: u64) -> (WaitList<K>, u64) {
        let (mut owners, mut held) = (WaitList::new(), 0);
        if state & WRITER != 0 {
            return (owners, held);
        }
        if state & !(QUEUED | UPGRADABLE_QUEUED | WRITTEN) == 0 {
            if state & WRITTEN != 0 {
                held = self.let_in(&mut owners, self.upgradable_comes_before_writers());
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
            held += self.let_in(&mut owners, (state | held) & UPGRADABLE == 0);
        }
        (owners, held)
    }

    /// Takes out the next writer: an upgrade, or else the oldest writer. If the wait of the upgrade has ended, there is none, but an
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

    /// Takes out all readers, and one that waits to be upgradable if that is free; returns the part of the word for them.
    pub(super) fn let_in(&mut self, owners: &mut WaitList<K>, upgradable: bool) -> u64 {
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

    /// Whether, after a writer, an upgradable reader is let in although writers may wait.
    pub(super) fn upgradable_comes_before_writers(&self) -> bool {
        self.writers.is_empty() || !self.upgradable_was_last
    }
}

/// Takes the oldest waiter out whose wait has not ended.
fn reserve_front<K: Wake>(queue: &mut WaitList<K>) -> Option<NonNull<WaitNode<K>>> {
    // SAFETY: the queues are borrowed for changes only under their lock (I1).
    unsafe { queue.reserve_front(|waker| waker) }
}
