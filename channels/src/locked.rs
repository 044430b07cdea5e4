//! A token that proves that the lock around some data is held.

/// Proof that the lock which guards `C` is held for `'t`.
///
/// The data under a channel's lock lies in cells next to the lock, because some of the data is also
/// read without the lock. So the functions that touch the cells are methods of this token, and a
/// caller that does not hold the lock cannot call them. The token is a reference, and costs
/// nothing.
///
/// The token cannot release the lock. Only the [`Guard`](crate::head::Guard) that it is borrowed
/// from can.
///
/// # Invariants
/// * I1: the lock stays held for `'t`, and at most one usable token for the same `C` exists at a
///   time. Methods that touch a cell take `&mut self`, and no user code runs inside them.
pub(crate) struct Locked<'t, C>(&'t C);

impl<'t, C> Locked<'t, C> {
    /// Makes a token.
    ///
    /// # Safety
    /// The lock that guards `guarded` is held for `'t`, and the caller neither uses nor hands out
    /// another token for `guarded` while this one is in use (I1).
    #[inline]
    pub(crate) unsafe fn assume(guarded: &'t C) -> Self {
        Self(guarded)
    }

    /// Returns the guarded data, for access that needs no lock.
    #[inline]
    pub(crate) fn get(&self) -> &'t C {
        self.0
    }
}
