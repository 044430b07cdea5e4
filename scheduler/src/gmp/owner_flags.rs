//! What the owner of a P attends to before it runs the next goroutine.

/// A set of flags, which is usually empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerFlags(pub(super) u8);

impl OwnerFlags {
    /// The chain through runnext has used a whole time slice, so other goroutines get a turn.
    pub(crate) const DEMOTE: Self = Self(1);
    /// It is time to poll for I/O, and to check the global queue.
    pub(crate) const LOOK_AROUND: Self = Self(2);
    /// Arrivals wait, here or in the global queue.
    pub(crate) const ARRIVALS: Self = Self(4);
    /// The P is lent.
    pub(crate) const LENT: Self = Self(8);

    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}
