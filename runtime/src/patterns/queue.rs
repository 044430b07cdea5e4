//! `Queue`: a bounded channel with a policy for when it is full.
//!
//! # How it works
//! The queue is a bounded channel. When the oldest value has to make room, the channel removes it
//! and puts the new value in, in a single step under its lock (`displace`). So a push displaces at
//! most one value, and only if the queue is full at that moment.
//!
//! No code of the value's type runs under the lock: the channel only moves values, and the caller
//! drops them.

use std::error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenthread_channels::internal::displace;
use greenthread_channels::{Iter, Receiver, Sender, TrySendError, bounded, select_biased};
use greenthread_ctx::{self as ctx, Context};

use super::OverflowPolicy;
use crate::sync::Mutex;

/// The outcome of a [push](Queue::push) that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pushed<T> {
    /// The value is in the queue, or a consumer has received it.
    Queued,
    /// The value is in the queue, and this oldest value was removed to make room
    /// ([`OverflowPolicy::DropOldest`]).
    Displaced(T),
    /// There was no room for the value, so here it is ([`OverflowPolicy::DropNewest`]).
    Rejected(T),
}

impl<T> Pushed<T> {
    /// Returns the value, old or new, that no consumer will receive.
    ///
    /// ```
    /// use greenthread::patterns::Pushed;
    ///
    /// assert_eq!(Pushed::Displaced(1).lost(), Some(1));
    /// assert_eq!(Pushed::<i32>::Queued.lost(), None);
    /// ```
    pub fn lost(self) -> Option<T> {
        match self {
            Self::Queued => None,
            Self::Displaced(value) | Self::Rejected(value) => Some(value),
        }
    }
}

/// The reason that [`Queue::push`] failed, along with the value.
///
/// ```
/// use greenthread::ctx;
/// use greenthread::patterns::PushError;
/// use std::error::Error;
///
/// let ended = PushError::Ended(ctx::Error::Canceled, 5);
/// assert_eq!(ended.to_string(), "context canceled");
/// assert!(ended.source().is_some_and(|source| source.is::<ctx::Error>()));
/// assert!(PushError::Closed(5).source().is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PushError<T> {
    /// The context ended first.
    Ended(ctx::Error, T),
    /// There was no room within the time that [`OverflowPolicy::BlockTimeout`] sets.
    Timeout(T),
    /// The queue is closed.
    Closed(T),
}

impl<T> PushError<T> {
    /// Returns the value that was not pushed.
    ///
    /// ```
    /// use greenthread::patterns::PushError;
    ///
    /// assert_eq!(PushError::Closed(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Ended(_, value) | Self::Timeout(value) | Self::Closed(value) => value,
        }
    }
}

// Not derived, so that errors can be printed and unwrapped for any `T`.
impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error, _) => write!(f, "Ended({error:?}, ..)"),
            Self::Timeout(_) => f.write_str("Timeout(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
        }
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error, _) => error.fmt(f),
            Self::Timeout(_) => f.write_str("timed out waiting for room in a queue"),
            Self::Closed(_) => f.write_str("pushing to a closed queue"),
        }
    }
}

impl<T> error::Error for PushError<T> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Ended(error, _) => Some(error),
            Self::Timeout(_) | Self::Closed(_) => None,
        }
    }
}

/// A bounded first-in, first-out queue between producers and consumers, with a policy for when it
/// is full.
///
/// A clone is a handle to the same queue, and every handle can push to it, pop from it, and close
/// it. A queue closes when [`close`](Self::close) is called or the last handle is dropped. Clones
/// of its [`receiver`](Self::receiver) can still receive the values that are left in the queue.
///
/// Go programs build this from a channel, with a `select` around each send that determines what
/// else may happen. To drop the oldest value, they need a loop with two `select` statements.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::go;
/// use greenthread::patterns::{OverflowPolicy, Queue};
///
/// let ctx = Context::background();
/// let jobs = Queue::new(4, OverflowPolicy::Block);
/// let producer = jobs.clone();
/// let producer_ctx = ctx.clone();
/// go!(move || {
///     for n in 1..=100 {
///         producer.push(&producer_ctx, n).unwrap(); // waits while the queue holds four values
///     }
///     producer.close();
/// });
/// let mut sum = 0;
/// while let Ok(n) = jobs.pop(&ctx) {
///     sum += n;
/// }
/// assert_eq!(sum, 5050);
/// ```
///
/// Keep the latest three of many values:
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{OverflowPolicy, Pushed, Queue};
///
/// let lines = Queue::new(3, OverflowPolicy::DropOldest);
/// for n in 0..10 {
///     let pushed = lines.push(&Context::background(), n).unwrap();
///     assert_eq!(pushed, if n < 3 { Pushed::Queued } else { Pushed::Displaced(n - 3) });
/// }
/// lines.close();
/// assert_eq!(lines.iter().collect::<Vec<_>>(), [7, 8, 9]);
/// assert_eq!(lines.dropped(), 7);
/// ```
pub struct Queue<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    tx: Sender<T>,
    rx: Receiver<T>,
    policy: OverflowPolicy,
    /// Held during the closing of the queue, so that it is closed only once.
    closing: Mutex<()>,
    dropped: AtomicU64,
}

// A panic leaves nothing half done: the queue only moves values, as a channel does, and never looks
// into them.
impl<T> UnwindSafe for Shared<T> {}
impl<T> RefUnwindSafe for Shared<T> {}

impl<T> Queue<T> {
    /// Creates an empty queue for at most `capacity` values, and allocates room for all of them.
    ///
    /// With a `capacity` of zero, the queue never holds a value: a push meets a waiting consumer,
    /// waits for one, or fails.
    ///
    /// # Panics
    /// If the room for `capacity` values would take more than `isize::MAX` bytes.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::<u8>::new(10, OverflowPolicy::DropNewest);
    /// assert_eq!((queue.capacity(), queue.len()), (10, 0));
    /// ```
    pub fn new(capacity: usize, policy: OverflowPolicy) -> Self {
        let (tx, rx) = bounded(capacity);
        Self { shared: Arc::new(Shared { tx, rx, policy, closing: Mutex::new(()), dropped: AtomicU64::new(0) }) }
    }

    /// Puts a value at the end of the queue.
    ///
    /// Blocks while the queue is full, if its policy is to wait. Waiting producers are served in
    /// the order in which they began to wait.
    ///
    /// Under every policy, a context that has ended already takes precedence over a push that would
    /// succeed.
    ///
    /// # Errors
    /// If the context ends first, if there was no room within the time of
    /// [`OverflowPolicy::BlockTimeout`], or if the queue is closed before the value is in it. The
    /// error contains the value.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::patterns::{OverflowPolicy, PushError, Queue};
    /// use std::time::Duration;
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let queue = Queue::new(1, OverflowPolicy::BlockTimeout(Duration::from_millis(5)));
    /// queue.push(&ctx, 'a').unwrap();
    /// assert_eq!(queue.push(&ctx, 'b'), Err(PushError::Timeout('b')));
    /// cancel.cancel();
    /// assert_eq!(queue.push(&ctx, 'c'), Err(PushError::Ended(Error::Canceled, 'c')));
    /// queue.close();
    /// assert_eq!(queue.push(&Context::background(), 'd'), Err(PushError::Closed('d')));
    /// ```
    pub fn push(&self, ctx: &Context, value: T) -> Result<Pushed<T>, PushError<T>> {
        match self.shared.policy {
            OverflowPolicy::Block => match ctx.send(&self.shared.tx, value) {
                Ok(()) => Ok(Pushed::Queued),
                Err(ctx::SendError::Ended(error, value)) => Err(PushError::Ended(error, value)),
                Err(error) => Err(PushError::Closed(error.into_inner())),
            },
            OverflowPolicy::BlockTimeout(timeout) => select_biased! {
                recv(ctx.done()) -> end => Err(PushError::Ended(ctx.ended(end), value)),
                send(self.shared.tx, value) -> sent => match sent {
                    Ok(()) => Ok(Pushed::Queued),
                    Err(error) => Err(PushError::Closed(error.into_inner())),
                },
                default(timeout) => {
                    self.count_dropped();
                    Err(PushError::Timeout(value))
                }
            },
            OverflowPolicy::DropNewest | OverflowPolicy::DropOldest => match ctx.err() {
                Some(error) => Err(PushError::Ended(error, value)),
                None => self.try_push(value).map_err(|closed| PushError::Closed(closed.into_inner())),
            },
        }
    }

    /// Puts a value at the end of the queue without waiting for room.
    ///
    /// Like [`push`](Self::push), but where `push` would wait, this returns the value at once.
    ///
    /// # Errors
    /// If there is no room and the policy is to wait (with or without a timeout), or if the queue
    /// is closed.
    ///
    /// ```
    /// use greenthread::channel::TrySendError;
    /// use greenthread::patterns::{OverflowPolicy, Pushed, Queue};
    ///
    /// let queue = Queue::new(1, OverflowPolicy::Block);
    /// assert_eq!(queue.try_push(1), Ok(Pushed::Queued));
    /// assert_eq!(queue.try_push(2), Err(TrySendError::Full(2)));
    /// ```
    pub fn try_push(&self, value: T) -> Result<Pushed<T>, TrySendError<T>> {
        let pushed = match self.shared.policy {
            OverflowPolicy::Block | OverflowPolicy::BlockTimeout(_) => {
                return self.shared.tx.try_send(value).map(|()| Pushed::Queued);
            }
            OverflowPolicy::DropOldest => {
                displace(&self.shared.tx, value).map(|oldest| oldest.map_or(Pushed::Queued, Pushed::Displaced))
            }
            OverflowPolicy::DropNewest => self.shared.tx.try_send(value).map(|()| Pushed::Queued),
        };
        let pushed = match pushed {
            Ok(pushed) => pushed,
            Err(TrySendError::Full(value)) => Pushed::Rejected(value),
            Err(closed) => return Err(closed),
        };
        if !matches!(pushed, Pushed::Queued) {
            self.count_dropped();
        }
        Ok(pushed)
    }

    /// Removes the oldest value from the queue and returns it, blocking until there is one.
    ///
    /// # Errors
    /// If the context ends first or has ended already, or if the queue is closed and empty.
    ///
    /// ```
    /// use greenthread::ctx::{Context, RecvError};
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let (ctx, queue) = (Context::background(), Queue::new(1, OverflowPolicy::Block));
    /// queue.push(&ctx, 5).unwrap();
    /// queue.close();
    /// assert_eq!(queue.pop(&ctx), Ok(5));
    /// assert_eq!(queue.pop(&ctx), Err(RecvError::Disconnected));
    /// ```
    pub fn pop(&self, ctx: &Context) -> Result<T, ctx::RecvError> {
        ctx.recv(&self.shared.rx)
    }

    /// Returns an iterator over all further values, until the queue is closed and empty.
    ///
    /// `next` blocks. `for value in &queue` does the same.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(2, OverflowPolicy::Block);
    /// queue.try_push(1).unwrap();
    /// queue.try_push(2).unwrap();
    /// queue.close();
    /// assert_eq!(queue.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        self.shared.rx.iter()
    }

    /// Returns the receiving end, for a `recv` arm of a `select!` or for `try_recv`.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    /// use greenthread::select;
    ///
    /// let queue = Queue::new(1, OverflowPolicy::Block);
    /// queue.try_push(5).unwrap();
    /// select! {
    ///     recv(queue.receiver()) -> value => assert_eq!(value, Ok(5)),
    ///     default => unreachable!(),
    /// }
    /// ```
    pub fn receiver(&self) -> &Receiver<T> {
        &self.shared.rx
    }

    /// Returns the sending end, for a publisher that waits for room in several queues at once.
    ///
    /// Not for queues that drop their oldest value: a send does not displace.
    pub(super) fn sender(&self) -> &Sender<T> {
        &self.shared.tx
    }

    /// Closes the queue: nothing more can be pushed, but the remaining values can still be
    /// received.
    ///
    /// Waiting producers get their values back. Never blocks. A second call does nothing (in Go, a
    /// second `close` panics).
    ///
    /// ```
    /// use greenthread::channel::TrySendError;
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(1, OverflowPolicy::DropOldest);
    /// queue.close();
    /// assert!(queue.is_closed());
    /// assert_eq!(queue.try_push(1), Err(TrySendError::Disconnected(1)));
    /// ```
    pub fn close(&self) {
        let _alone = self.shared.closing.lock();
        if !self.is_closed() {
            self.shared.tx.close();
        }
    }

    /// Returns `true` if the queue is closed.
    ///
    /// A closed queue may still hold values. Never blocks.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(2, OverflowPolicy::Block);
    /// queue.try_push(1).unwrap();
    /// queue.close();
    /// assert!(queue.is_closed() && !queue.is_empty());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.tx.is_closed()
    }

    /// Returns the number of values in the queue.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(2, OverflowPolicy::Block);
    /// queue.try_push(1).unwrap();
    /// assert_eq!(queue.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.rx.len()
    }

    /// Returns `true` if the queue holds no value.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(2, OverflowPolicy::Block);
    /// assert!(queue.is_empty());
    /// queue.try_push(1).unwrap();
    /// assert!(!queue.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.shared.rx.is_empty()
    }

    /// Returns the number of values that the queue can hold.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(2, OverflowPolicy::Block);
    /// queue.try_push(1).unwrap();
    /// assert_eq!(queue.capacity(), 2);
    /// ```
    pub fn capacity(&self) -> usize {
        self.shared.rx.capacity().expect("queue: its channel is bounded")
    }

    /// Returns the number of values that the policy has dropped so far: displaced, rejected, or
    /// returned after a timeout.
    ///
    /// Never blocks.
    ///
    /// ```
    /// use greenthread::patterns::{OverflowPolicy, Queue};
    ///
    /// let queue = Queue::new(1, OverflowPolicy::DropNewest);
    /// (0..5).for_each(|n| drop(queue.try_push(n)));
    /// assert_eq!((queue.len(), queue.dropped()), (1, 4));
    /// ```
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Returns the longest time that a push waits for room, if the policy sets one.
    pub(super) fn push_timeout(&self) -> Option<Duration> {
        match self.shared.policy {
            OverflowPolicy::BlockTimeout(timeout) => Some(timeout),
            _ => None,
        }
    }

    /// Counts a value that did not get into the queue, or did not stay there.
    pub(super) fn count_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<'a, T> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Queue");
        all.field("len", &self.len()).field("capacity", &self.capacity()).field("policy", &self.shared.policy);
        all.field("dropped", &self.dropped()).field("closed", &self.is_closed()).finish()
    }
}
