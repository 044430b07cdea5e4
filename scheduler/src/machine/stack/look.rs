//! Reading stacks while their goroutines are parked.
//!
//! A parked goroutine may be readied and resumed at any moment, and then the words read from its
//! stack would be a mixture of two states. So the reader takes the sweeper's place in the protocol
//! `occupancy`. It takes batches of up to 64 stacks. Stacks on which a thread runs are skipped, and
//! the rest stay unchanged until the reader is done; a worker that wants to resume one of them
//! waits that long. A goroutine that cannot be resumed cannot end either, so everything that it
//! owns still exists: its frames, its name, and the stacks onto which it has grown.
//!
//! Even then its frames may change: peers write to its wait nodes and to data that it shares. But
//! only the goroutine itself writes the words that unwinding reads (return addresses and saved
//! registers).
//!
//! # Rejected
//! Copying the stack first and comparing a counter of resumes afterwards. This reads words while
//! they are being written, which no language rule allows, and never sees a goroutine that does not
//! stay parked.

use std::ptr;

use super::arena;
use super::pool::Pool;
use super::slot::SlotMeta;
use crate::machine::sys::mutex::Mutex;
use crate::machine::sys::peek::peek;
use crate::protocol::occupancy::{BATCH, exclude};
use crate::testing::mechanism::Mechanism;

/// The right to keep resumers away, which the sweeper or a reader holds (I2 of `occupancy`).
pub(super) static EXCLUDES: Mutex<()> = Mutex::new(());

/// A stack that its goroutine has left and currently cannot return to.
#[derive(Clone, Copy)]
pub(crate) struct Still(&'static SlotMeta);

/// The state of a stack that has an owner.
pub(crate) enum StackState {
    /// Its goroutine is not on it.
    Left(Still),
    /// A thread runs on it, or it was taken and not entered yet.
    Entered,
}

impl Still {
    /// Returns `true` if an address is on this stack.
    pub(crate) fn contains(self, address: usize) -> bool {
        (self.0.low()..self.0.top()).contains(&address)
    }

    /// Returns the word at an address of this stack, or of another stack onto which its goroutine
    /// has grown.
    pub(crate) fn read(self, address: usize) -> Option<usize> {
        let own = |meta: &SlotMeta| ptr::eq(meta, self.0) || meta.owner() == self.0.owner();
        let meta = if self.contains(address) { self.0 } else { arena::find(address).filter(|meta| own(meta))? };
        word(meta, address)
    }
}

/// Returns the word at an aligned address of a slot above its guard.
fn word(meta: &SlotMeta, address: usize) -> Option<usize> {
    let inside = address >= meta.low() && address < meta.top() && address.is_multiple_of(size_of::<usize>());
    // SAFETY: I1 of `stack`: the slot is mapped forever, and this is above its guard.
    inside.then(|| unsafe { peek(address) })
}

/// Copies the stack on which the calling thread runs, from `sp` up, until `into` is full, if the
/// stack is one of `owner`'s.
///
/// Returns the number of words. Async-signal-safe.
///
/// Other threads may write to some of these words at the same time, but only this thread writes the
/// words that unwinding reads.
pub(crate) fn copy_current(owner: *mut (), sp: usize, into: &mut [usize]) -> usize {
    let Some(meta) = arena::find(sp).filter(|meta| meta.owner() == owner) else { return 0 };
    let words = (sp..).step_by(size_of::<usize>()).map_while(|address| word(meta, address));
    into.iter_mut().zip(words).map(|(to, word)| *to = word).count()
}

/// Returns the word at an address of a stack of `owner`, whose thread waits in a signal handler.
pub(crate) fn read_stopped(owner: *mut (), address: usize) -> Option<usize> {
    word(arena::find(address).filter(|meta| meta.owner() == owner)?, address)
}

impl Pool {
    /// Calls `f` with the owner of each stack that has one, and also with the stack if its
    /// goroutine has left it.
    ///
    /// A worker that wants to resume that goroutine waits until `f` has also seen the other stacks
    /// of its batch. `f` must not panic, and must not wait for a goroutine.
    pub(crate) fn look(&'static self, mut f: impl FnMut(*mut (), StackState)) {
        let mut owned = self.owned().map(|(meta, _)| meta).peekable();
        while owned.peek().is_some() {
            let batch: Vec<&'static SlotMeta> = owned.by_ref().take(BATCH).collect();
            look_at(&batch, &mut f);
        }
    }
}

fn look_at(batch: &[&'static SlotMeta], f: &mut impl FnMut(*mut (), StackState)) {
    let mut see = |vacant: u64| {
        for (i, meta) in batch.iter().enumerate().filter(|(_, meta)| !meta.owner().is_null()) {
            // A slot without frames is in a free list, and its owner has just been cleared.
            let left = vacant >> i & 1 == 1 && meta.saved_sp() != 0;
            f(meta.owner(), if left { StackState::Left(Still(meta)) } else { StackState::Entered });
        }
    };
    if Mechanism::StillStacks.is_on() {
        let _turn = EXCLUDES.lock();
        exclude(batch.iter().map(|meta| meta.occupancy()), see);
    } else {
        let left = |(i, meta): (usize, &&SlotMeta)| u64::from(!meta.occupancy().is_entered()) << i;
        see(batch.iter().enumerate().map(left).sum());
    }
}
