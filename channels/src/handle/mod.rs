//! The public handles: the two ends of a channel, and the iterators over the receiving end.

mod iter;
mod receiver;
mod sender;

pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

use std::time::Instant;

use crate::chan::Chan;
use crate::counter::counted;
use crate::primitive::{Blocker, Claim, WaitReason};
use receiver::Flavor;

/// Creates a channel that holds at most `cap` values (Go's `make(chan T, cap)`).
///
/// The room for all of them is allocated up front.
///
/// With a `cap` of zero the channel holds no values: a send and a receive wait for each other (Go's
/// `make(chan T)`).
///
/// ```
/// use greenthread::channel::bounded;
///
/// let (tx, rx) = bounded(1);
/// tx.send("ping").unwrap();
/// assert!(tx.is_full());
/// assert_eq!(rx.recv(), Ok("ping"));
/// ```
///
/// ```
/// use greenthread::channel::bounded;
/// use std::thread;
///
/// let (tx, rx) = bounded(0);
/// thread::spawn(move || tx.send(42).unwrap()); // returns when the value has been received
/// assert_eq!(rx.recv(), Ok(42));
/// ```
///
/// # Panics
/// If the room for `cap` values would take more than `isize::MAX` bytes.
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    handles(Chan::bounded(cap))
}

/// Creates a channel that holds any number of values.
///
/// A send never waits. Go has no such channel.
///
/// ```
/// use greenthread::channel::unbounded;
///
/// let (tx, rx) = unbounded();
/// for n in 0..1000 {
///     tx.send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!(rx.iter().sum::<i32>(), 499_500);
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    handles(Chan::unbounded())
}

/// Creates a receiver that never receives anything, the receiving end of a nil channel.
///
/// ```
/// use greenthread::channel::{TryRecvError, never};
///
/// let rx = never::<i32>();
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// ```
pub const fn never<T>() -> Receiver<T> {
    Receiver { flavor: Flavor::Nil }
}

/// Creates the two ends of a nil channel (Go's `var ch chan T`).
///
/// Sending and receiving block forever, and closing panics. Dropping one end does not close the
/// channel. Use a nil channel to switch off an arm of a `select!`. Nothing is allocated.
///
/// ```
/// use greenthread::channel::{TryRecvError, TrySendError, nil};
///
/// let (tx, rx) = nil();
/// assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// ```
pub fn nil<T>() -> (Sender<T>, Receiver<T>) {
    (Sender { counted: None }, never())
}

fn handles<T>(chan: Chan<T>) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = counted(chan);
    (Sender { counted: Some(sender) }, Receiver { flavor: Flavor::Chan(receiver) })
}

/// Blocks an operation on a nil channel.
#[cold]
fn block_forever(reason: WaitReason) -> ! {
    loop {
        // SAFETY: the blocker is new and used for this wait only, and the commit step does nothing.
        unsafe { Blocker::new().block(reason, || ()) };
    }
}

/// Blocks an operation on a nil channel until its deadline.
#[cold]
fn block_until(reason: WaitReason, deadline: Instant) {
    let (blocker, claim) = (Blocker::new(), Claim::shut());
    // SAFETY: the claim is new and shut, and belongs to this wait. The commit step does nothing.
    unsafe { blocker.block_until(reason, deadline, &claim, 0, || ()) };
}
