//! Stack space: how much a goroutine has left, and calls that run on a larger stack.
//!
//! This is for recursion whose depth depends on the input, and for C code that needs a large stack.
//! In Go, stacks grow by themselves.
//!
//! | to | use |
//! | --- | --- |
//! | give a goroutine a larger stack from the beginning | [`Builder::stack_size`] |
//! | give all goroutines larger stacks | `GREENTHREAD_STACK`, [`Config::stack_size`] |
//! | make a call with more stack, if there is not enough | [`grow`] |
//! | see how much is left | [`remaining`] |
//!
//! [`Builder::stack_size`]: crate::Builder::stack_size
//! [`Config::stack_size`]: crate::config::Config::stack_size
//!
//! ```
//! enum List {
//!     End,
//!     Item(Box<List>),
//! }
//!
//! fn len(list: &List) -> usize {
//!     greenthread::stack::grow(16 << 10, 1 << 20, || match list {
//!         List::End => 0,
//!         List::Item(rest) => 1 + len(rest),
//!     })
//! }
//!
//! let list = (0..3).fold(List::End, |rest, _| List::Item(Box::new(rest)));
//! assert_eq!(len(&list), 3);
//! ```

use greenthread_scheduler as scheduler;

/// Returns how many bytes of stack the calling goroutine has left.
///
/// Returns `None` on a thread that does not run a goroutine. Does not block. A stack keeps the size
/// that it was given ([`Builder::stack_size`](crate::Builder::stack_size)).
///
/// ```
/// let left = greenthread::spawn(|| greenthread::stack::remaining().unwrap()).join().unwrap();
/// assert!(left > 100 << 10 && left < 2 << 20);
/// ```
pub fn remaining() -> Option<usize> {
    scheduler::remaining()
}

/// Calls `f` with at least `min_remaining` bytes of stack.
///
/// If the current stack has that much left, `f` runs on it. Otherwise it runs on a stack that
/// reserves `new_size` bytes and that is released afterwards.
///
/// ```
/// use greenthread::stack;
///
/// fn depth(n: u32) -> u32 {
///     stack::grow(16 << 10, 1 << 20, || if n == 0 { 0 } else { 1 + depth(n - 1) })
/// }
///
/// assert_eq!(greenthread::spawn(|| depth(100_000)).join().unwrap(), 100_000);
/// ```
///
/// `f` may park. On a thread that does not run a goroutine, `f` always runs on a new stack, and
/// must not rely on the stack limits of the thread.
///
/// # Panics
/// If `new_size` is not a possible stack size (see
/// [`Builder::stack_size`](crate::Builder::stack_size)), if the system provides no memory for it,
/// or if `f` panics.
pub fn grow<R>(min_remaining: usize, new_size: usize, f: impl FnOnce() -> R) -> R {
    match scheduler::grow(min_remaining, new_size, f) {
        Ok(result) => result,
        Err(error) => panic!("stack::grow: {error}"),
    }
}
