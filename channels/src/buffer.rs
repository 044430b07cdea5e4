//! The buffer: values that were sent but not received yet.
//!
//! It has no lock of its own. The channel's lock is held around every call.
//!
//! # Layout
//! A bounded channel has a [`Ring`], which is allocated when the channel is created. An unbounded
//! one has a chain of blocks:
//!
//! ```text
//!        front                          back
//!          v                             v
//!   [..x x x x] -> [x x x x x x] -> [x x . . .]        spare: [. . . . . .]
//!    head                            tail
//! ```
//!
//! The channel's lock is a spin lock, so no code here allocates or frees under it. A push that
//! needs another block takes the spare block, which the caller allocated before it took the lock
//! ([`Buffer::supply`]). A block that was read to its end becomes the spare block, or is handed to
//! the caller. The caller frees it after releasing the lock.
//!
//! # Invariants
//! * I1: the `len` slots of a ring from `head` on hold values, and so do the slots of a chain from
//!   `front` to `back`. No other slot holds a value.
//! * I2: an empty chain has no block, or one block with `front == back`, or `back == BLOCK`.
//! * I3: `head`, `tail` and every `next` are blocks made by `Box` that only the chain points to.

use std::alloc::{self, Layout};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The number of values in one block of an unbounded channel.
///
/// It is large enough to make allocations rare, and small enough to keep an idle channel small.
const BLOCK: usize = 32;

/// A queue of values.
pub(crate) enum Buffer<T> {
    /// Of fixed capacity.
    Ring(Ring<T>),
    /// Growing.
    Chain(Chain<T>),
}

impl<T> Buffer<T> {
    /// Creates a buffer with room for `cap` values. Allocates, unless `cap` is zero.
    pub(crate) fn bounded(cap: usize) -> Self {
        Self::Ring(Ring { slots: Box::new_uninit_slice(cap), head: 0, len: 0 })
    }

    /// Creates a buffer that grows with [`supply`](Self::supply). Does not allocate.
    pub(crate) const fn unbounded() -> Self {
        Self::Chain(Chain { head: None, tail: None, front: 0, back: BLOCK, len: 0, spare: None })
    }

    /// Returns the number of values.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ring(ring) => ring.len,
            Self::Chain(chain) => chain.len,
        }
    }

    /// Returns `true` if there is room for a [`push`](Self::push).
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Ring(ring) => ring.len < ring.slots.len(),
            Self::Chain(chain) => chain.back < BLOCK || chain.spare.is_some(),
        }
    }

    /// Appends a value. The buffer must have room for it.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        debug_assert!(self.has_room());
        match self {
            Self::Ring(ring) => ring.push(value),
            Self::Chain(chain) => chain.push(value),
        }
    }

    /// Takes the oldest value. The caller drops `spent`, with whatever this leaves in it, without
    /// the lock.
    #[inline]
    pub(crate) fn pop(&mut self, spent: &mut Spent) -> Option<T> {
        match self {
            Self::Ring(ring) => ring.pop(),
            Self::Chain(chain) => chain.pop(spent),
        }
    }

    /// Adds a block of room. Returns the block if it is not needed.
    pub(crate) fn supply(&mut self, block: Box<Block<T>>) -> Option<Box<Block<T>>> {
        match self {
            Self::Ring(_) => Some(block),
            Self::Chain(chain) => chain.keep_spare(block),
        }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // If dropping a value panics, the remaining values are leaked, as in crossbeam-channel: a
        // second panic would abort.
        let mut spent = Spent::default();
        while self.pop(&mut spent).is_some() {}
    }
}

/// A circular array.
pub(crate) struct Ring<T> {
    slots: Box<[MaybeUninit<T>]>,
    head: usize,
    len: usize,
}

impl<T> Ring<T> {
    #[inline]
    fn push(&mut self, value: T) {
        // The sum wraps only with more than `isize::MAX` slots. Their values are then zero-sized,
        // so all slots are alike.
        let mut tail = self.head.wrapping_add(self.len);
        if tail >= self.slots.len() {
            tail = tail.wrapping_sub(self.slots.len());
        }
        self.slots[tail].write(value);
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: I1: there is a value at `head`. From here on, its slot is behind `head`.
        let value = unsafe { self.slots[self.head].assume_init_read() };
        self.head += 1;
        if self.head == self.slots.len() {
            self.head = 0;
        }
        self.len -= 1;
        Some(value)
    }
}

/// A part of an unbounded buffer.
pub(crate) struct Block<T> {
    slots: [MaybeUninit<T>; BLOCK],
    next: Option<NonNull<Block<T>>>,
}

impl<T> Block<T> {
    /// Creates a block without values. Allocates.
    pub(crate) fn new() -> Box<Self> {
        let mut block = Box::<Self>::new_uninit();
        // SAFETY: `next` is written, and the slots need not be initialized. The block is written in
        // place, because a block of large values does not fit on a goroutine's stack.
        unsafe {
            (&raw mut (*block.as_mut_ptr()).next).write(None);
            block.assume_init()
        }
    }
}

/// The memory of a block that was read to its end, without the type of its values.
///
/// Dropping it frees the memory.
#[derive(Default)]
pub(crate) struct Spent(Option<(NonNull<u8>, Layout)>);

impl<T> From<Box<Block<T>>> for Spent {
    fn from(block: Box<Block<T>>) -> Self {
        Self(Some((NonNull::from(Box::leak(block)).cast(), Layout::new::<Block<T>>())))
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        if let Some((block, layout)) = self.0 {
            // SAFETY: the memory came from a `Box` with this layout. A block does not drop its
            // slots.
            unsafe { alloc::dealloc(block.as_ptr(), layout) };
        }
    }
}

/// A chain of blocks.
pub(crate) struct Chain<T> {
    head: Option<NonNull<Block<T>>>,
    tail: Option<NonNull<Block<T>>>,
    /// The slot in `head` that holds the oldest value.
    front: usize,
    /// The first free slot in `tail`, or `BLOCK` if there is no free slot or no block.
    back: usize,
    len: usize,
    spare: Option<Box<Block<T>>>,
}

impl<T> Chain<T> {
    #[inline]
    fn push(&mut self, value: T) {
        if self.back == BLOCK {
            self.append_spare();
        }
        let tail = self.tail.expect("buffer: no block to push to");
        // SAFETY: I3, and the index is checked against the array's length.
        unsafe { (&mut (*tail.as_ptr()).slots)[self.back].write(value) };
        self.back += 1;
        self.len += 1;
    }

    fn append_spare(&mut self) {
        let block = self.spare.take().expect("buffer: pushed without room");
        let block = NonNull::from(Box::leak(block));
        match self.tail {
            // SAFETY: I3: the tail is a block of this chain.
            Some(tail) => unsafe { (*tail.as_ptr()).next = Some(block) },
            None => self.head = Some(block),
        }
        self.tail = Some(block);
        self.back = 0;
    }

    #[inline]
    fn pop(&mut self, spent: &mut Spent) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let head = self.head?;
        // SAFETY: I1 and I3: there is a value at `front`. From here on, its slot is behind `front`.
        let value = unsafe { (&(*head.as_ptr()).slots)[self.front].assume_init_read() };
        self.front += 1;
        self.len -= 1;
        if self.len == 0 {
            // I2: this is the only block. Reusing it keeps a channel that is usually empty in one
            // block.
            self.front = 0;
            self.back = 0;
        } else if self.front == BLOCK {
            *spent = self.retire_head().map_or_else(Spent::default, Spent::from);
        }
        Some(value)
    }

    /// Removes the head block, which was read to its end. Returns it if there is a spare block
    /// already.
    fn retire_head(&mut self) -> Option<Box<Block<T>>> {
        let head = self.head.expect("buffer: values without a block");
        // SAFETY: I3: only the chain points to the block, and the next line removes the block from
        // the chain.
        let mut block = unsafe { Box::from_raw(head.as_ptr()) };
        self.head = block.next.take();
        self.front = 0;
        self.keep_spare(block)
    }

    fn keep_spare(&mut self, block: Box<Block<T>>) -> Option<Box<Block<T>>> {
        if self.spare.is_some() {
            return Some(block);
        }
        self.spare = Some(block);
        None
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        // No values are left: `Buffer` drops them first.
        while let Some(head) = self.head {
            // SAFETY: I3: only the chain points to the block.
            self.head = unsafe { Box::from_raw(head.as_ptr()) }.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn ring_wraps_and_keeps_its_order() {
        let mut buffer = Buffer::bounded(3);
        let mut spent = Spent::default();
        let mut next = 0;
        for round in 0..20 {
            while buffer.has_room() {
                buffer.push(next);
                next += 1;
            }
            assert_eq!(buffer.len(), 3);
            for _ in 0..round % 4 {
                let oldest = next - buffer.len();
                assert_eq!(buffer.pop(&mut spent), Some(oldest));
            }
        }
        assert!(spent.0.is_none());
    }

    #[test]
    fn chain_grows_and_shrinks_like_a_deque() {
        let mut buffer = Buffer::unbounded();
        let mut model = VecDeque::new();
        let (mut supplied, mut freed) = (0, 0);
        for step in 0..5000usize {
            // The length first tends to rise and then tends to fall, across several blocks.
            let up = if step / 500 % 2 == 0 { step % 4 != 0 } else { step % 4 == 0 };
            if up {
                if !buffer.has_room() {
                    assert!(buffer.supply(Block::new()).is_none());
                    supplied += 1;
                }
                buffer.push(step.to_string());
                model.push_back(step.to_string());
            } else {
                let mut spent = Spent::default();
                assert_eq!(buffer.pop(&mut spent), model.pop_front());
                freed += usize::from(spent.0.is_some());
            }
            assert_eq!(buffer.len(), model.len());
        }
        assert!(supplied > 5 && freed > 5 && supplied < 100, "{supplied} {freed}");
    }

    #[test]
    fn mostly_empty_chain_needs_one_block() {
        let mut buffer = Buffer::unbounded();
        assert!(buffer.supply(Block::new()).is_none());
        for n in 0..10 * BLOCK {
            let mut spent = Spent::default();
            buffer.push(n);
            buffer.push(n);
            assert_eq!(buffer.pop(&mut spent), Some(n));
            assert_eq!(buffer.pop(&mut spent), Some(n));
            assert!(spent.0.is_none() && buffer.has_room());
        }
        assert!(buffer.supply(Block::new()).is_none(), "the spare block was never needed");
    }

    #[test]
    fn second_spare_block_is_refused() {
        let mut buffer = Buffer::<u8>::unbounded();
        assert!(buffer.supply(Block::new()).is_none());
        assert!(buffer.supply(Block::new()).is_some());
        assert!(Buffer::<u8>::bounded(1).supply(Block::new()).is_some());
    }
}
