//! How much stack a goroutine has left, and running on another one.
//!
//! For recursion whose depth the input decides, and for C code that needs much. In Go nobody has to ask, since stacks grow.
//!
//! | to | use |
//! | --- | --- |
//! | give a goroutine a larger stack from the beginning | [`Builder::stack_size`](crate::Builder::stack_size) |
//! | give all of them one | `GREENTHREAD_STACK`, [`Config::stack_size`](crate::config::Config::stack_size) |
//! | call something with more stack, if there is not enough | [`grow`] |
//! | see how much is left | [`remaining`] |
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

/// Bytes of stack that the calling goroutine has left; `None` on a thread that is no goroutine. Does not block.
///
/// Go's stacks grow by themselves; here a stack has the size that it was given
/// ([`Builder::stack_size`](crate::Builder::stack_size)).
///
/// ```
/// let left = greenthread::spawn(|| greenthread::stack::remaining().unwrap()).join().unwrap();
/// assert!(left > 100 << 10 && left < 256 << 10);
/// ```
pub fn remaining() -> Option<usize> {
    scheduler::remaining()
}

/// Calls `f` with at least `min_remaining` bytes of stack: on the current stack if that has as much left, else on
/// another one that reserves `new_size` bytes, which is given back afterwards. For recursion whose depth the input
/// decides:
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
/// `f` may park. On a thread that is no goroutine it always runs on a new stack, and there it must not rely on the
/// thread's own stack limits.
///
/// # Panics
/// If a stack of `new_size` bytes is not possible ([`Builder::stack_size`](crate::Builder::stack_size) says what is),
/// or the system gives none; and if `f` does.
pub fn grow<R>(min_remaining: usize, new_size: usize, f: impl FnOnce() -> R) -> R {
    match scheduler::grow(min_remaining, new_size, f) {
        Ok(result) => result,
        Err(error) => panic!("stack::grow: {error}"),
    }
}
