//! Reading stacks while their goroutines are parked.
//!
//! A parked goroutine may be readied and resumed at any moment, and then what was read of its stack
//! is a mixture of two states. So the reader takes the sweeper's place in the protocol `occupancy`:
//! for a batch of up to 64 stacks at a time, stacks on which a thread runs are left out, and the
//! rest are kept as they are until the reader is done; a worker that wants to resume one waits that
//! long. A goroutine that cannot be resumed cannot end either, so everything that it owns is there:
//! its frames, its name, and the stacks that it has grown onto.
//!
//! Its frames are still not completely quiet: peers write to the nodes with which it waits, and to
//! what it shares. The words from which the way up through the frames is read (return addresses,
//! saved registers) are its own alone.
//!
//! # Rejected
//! Copying the stack first and comparing a counter of resumes afterwards. That reads words while
//! they are written, which no language rule allows, and a goroutine that never stays parked is
//! never seen.

use std::ptr;

use super::arena;
use super::pool::Pool;
use super::slot::SlotMeta;
use crate::machine::sys::mutex::Mutex;
use crate::machine::sys::peek::peek;
use crate::protocol::occupancy::{BATCH, exclude};
use crate::testing::mechanism::Mechanism;

/// The right to keep resumers away: of the sweeper, or of a reader (I2 of `occupancy`).
pub(super) static EXCLUDES: Mutex<()> = Mutex::new(());

/// A stack that its goroutine has left and cannot return to at the moment.
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

    /// Returns the word at an address of this stack, or of another one that its goroutine has grown
    /// onto.
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

/// Copies the stack on which the calling thread runs, from `sp` up, as far as `into` is long, if it
/// is one of `owner`'s.
///
/// Returns the number of words. Async-signal-safe.
///
/// Other threads may write to some of these words at the same time; those that unwinding reads are
/// this thread's own.
pub(crate) fn copy_current(owner: *mut (), sp: usize, into: &mut [usize]) -> usize {
    let Some(meta) = arena::find(sp).filter(|meta| meta.owner() == owner) else { return 0 };
    let words = (sp..).step_by(size_of::<usize>()).map_while(|address| word(meta, address));
    into.iter_mut().zip(words).map(|(to, word)| *to = word).count()
}

impl Pool {
    /// Calls `f` with the owner of each stack that has one, and with the stack if its goroutine has
    /// left it.
    ///
    /// A worker that wants to resume that goroutine waits until `f` has seen the others of its
    /// batch, too. `f` must not panic, and must not wait for a goroutine.
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
            // Without frames it is a slot in a free list, whose owner has just been cleared.
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
