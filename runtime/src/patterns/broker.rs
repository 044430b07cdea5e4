//! `Broker`: publish-subscribe.
//!
//! # How it works
//! Each subscription has a [`Queue`] of its own, with the subscription's policy. A map lists the
//! queues of each topic. A publisher copies the list of its topic, and does not need the map after
//! that. It first offers the value to all queues without waiting. Only then does it wait for the
//! full queues whose policy is to block, and it waits for all of them at once. So a slow subscriber
//! delays the publisher, but no other subscriber.
//!
//! Subscribing, unsubscribing, and closing change the map under its lock, but close queues outside
//! of the lock. When a queue closes, a publisher that is waiting for it gets its value back.
//!
//! Under the lock of the map, no code of the value's type runs, and of the key type's code only
//! `Hash` and `Eq`. Keys are cloned before the lock is taken, and dropped after it is released.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_channels::{Iter, Receiver, Select, TrySendError};
use greenthread_ctx::{self as ctx, Context};
use smallvec::{SmallVec, smallvec};

use super::{OverflowPolicy, Pushed, Queue};
use crate::sync::Mutex;

/// Publish-subscribe: sends each published value to all subscribers of its topic.
///
/// The publishing goroutine sends the values itself; the broker has no goroutine of its own.
///
/// The first subscription to a topic creates it, and dropping the last one removes it. Topics are
/// strings by default; any type `K` that can be the key of a map will do. `publish` and `subscribe`
/// borrow the topic, as `HashMap::get` borrows a key.
///
/// Each subscriber receives the values of one publisher in the order in which they were published.
/// The values of several publishers may reach each subscriber in a different order.
///
/// A clone is a handle to the same broker. All subscriptions end, after the values in their
/// buffers, when the last handle is dropped or one is [closed](Self::close). Go programs build this
/// from a map of slices of channels, a mutex, and a loop of sends.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Broker, OverflowPolicy};
///
/// let ctx = Context::background();
/// let broker = Broker::<u32>::new();
/// let prices = broker.subscribe("prices", 8, OverflowPolicy::DropOldest);
/// let all = broker.subscribe_all(["prices", "volumes"], 8, OverflowPolicy::Block);
///
/// assert_eq!(broker.publish(&ctx, "prices", 17), Ok(2));
/// assert_eq!(broker.publish(&ctx, "volumes", 1000), Ok(1));
/// assert_eq!(broker.publish(&ctx, "weather", 3), Ok(0));
/// drop(broker);
/// assert_eq!(prices.iter().collect::<Vec<_>>(), [17]);
/// assert_eq!(all.iter().collect::<Vec<_>>(), [17, 1000]);
/// ```
///
/// With topics of another type:
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Broker, OverflowPolicy};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// enum Event {
///     Opened,
///     Closed,
/// }
///
/// let broker: Broker<String, Event> = Broker::new();
/// let opened = broker.subscribe(&Event::Opened, 1, OverflowPolicy::Block);
/// let ctx = Context::background();
/// assert_eq!(broker.publish(&ctx, &Event::Closed, "door".to_owned()), Ok(0));
/// assert_eq!(broker.publish(&ctx, &Event::Opened, "window".to_owned()), Ok(1));
/// assert_eq!(opened.recv(&ctx).unwrap(), "window");
/// ```
pub struct Broker<T, K = String> {
    handle: Arc<Handle<T, K>>,
}

/// A public handle, which closes the broker when the last clone is dropped. Subscriptions keep only
/// the shared part alive.
struct Handle<T, K>(Arc<Shared<T, K>>);

struct Shared<T, K> {
    subscribers: Mutex<Subscribers<T, K>>,
    next_id: AtomicU64,
}

struct Subscribers<T, K> {
    closed: bool,
    /// The queues of each topic by subscription ID, which is the order of subscription. No list is
    /// empty.
    by_topic: HashMap<K, BTreeMap<u64, Queue<T>>>,
}

// If `Hash` or `Eq` of the key's type panics, a subscription may be in the lists of only some of
// its topics. Unwinding then drops the subscription, which removes it from those lists.
impl<T, K: UnwindSafe + RefUnwindSafe> UnwindSafe for Shared<T, K> {}
impl<T, K: UnwindSafe + RefUnwindSafe> RefUnwindSafe for Shared<T, K> {}

impl<T, K: Eq + Hash> Broker<T, K> {
    /// Creates a broker without subscribers.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Broker;
    ///
    /// let broker = Broker::<&str>::new();
    /// assert_eq!(broker.publish(&Context::background(), "news", "without subscribers"), Ok(0));
    /// ```
    pub fn new() -> Self {
        let subscribers = Mutex::new(Subscribers { closed: false, by_topic: HashMap::new() });
        let shared = Arc::new(Shared { subscribers, next_id: AtomicU64::new(0) });
        Self { handle: Arc::new(Handle(shared)) }
    }

    /// Subscribes to what is published under `topic` from now on.
    ///
    /// The subscription has a buffer for `capacity` values, which is allocated now, and a policy
    /// for when the buffer is full. Never blocks.
    ///
    /// With a `capacity` of zero, the subscription has no buffer. With [`OverflowPolicy::Block`],
    /// the publisher then waits until the value is received. With [`OverflowPolicy::DropNewest`]
    /// and [`OverflowPolicy::DropOldest`], only a subscriber that is already waiting in a receive
    /// gets the value.
    ///
    /// If the broker is closed, the returned subscription has ended already.
    ///
    /// # Panics
    /// If the room for `capacity` values would take more than `isize::MAX` bytes.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let (ctx, broker) = (Context::background(), Broker::<&str>::new());
    /// let news = broker.subscribe("news", 2, OverflowPolicy::DropNewest);
    /// for value in ["one", "two", "three"] {
    ///     broker.publish(&ctx, "news", value).unwrap();
    /// }
    /// broker.close();
    /// assert_eq!(news.iter().collect::<Vec<_>>(), ["one", "two"]);
    /// assert_eq!(news.missed(), 1);
    /// ```
    pub fn subscribe<Q>(&self, topic: &Q, capacity: usize, policy: OverflowPolicy) -> Subscription<T, K>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.subscribe_all([topic], capacity, policy)
    }

    /// Subscribes to several topics, whose values come through one buffer.
    ///
    /// Like [`subscribe`](Self::subscribe) otherwise. The values arrive in the order in which they
    /// are published. A topic that is named twice counts once. Without topics, the returned
    /// subscription has ended already.
    ///
    /// # Panics
    /// If the room for `capacity` values would take more than `isize::MAX` bytes.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let (ctx, broker) = (Context::background(), Broker::new());
    /// let both = broker.subscribe_all(["news", "sport"], 2, OverflowPolicy::Block);
    /// broker.publish(&ctx, "sport", 1).unwrap();
    /// broker.publish(&ctx, "news", 2).unwrap();
    /// broker.close();
    /// assert_eq!(both.iter().collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn subscribe_all<'a, Q>(
        &self,
        topics: impl IntoIterator<Item = &'a Q>,
        capacity: usize,
        policy: OverflowPolicy,
    ) -> Subscription<T, K>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized + 'a,
    {
        let (keys, topics) = topics.into_iter().map(|topic| (topic.to_owned(), topic.to_owned())).unzip();
        let shared = Arc::clone(&self.handle.0);
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        // Created before its queue is in the map, so that its `Drop` removes the queue if
        // `register` panics halfway.
        let (queue, unregister) = (Queue::new(capacity, policy), Shared::unregister);
        let subscription = Subscription { shared, id, topics, queue, unregister };
        self.handle.0.register(keys, id, &subscription.queue);
        subscription
    }

    /// Sends `value` to all subscribers of `topic` and returns the number of subscribers that it
    /// reached.
    ///
    /// The last subscriber gets the value itself; the others get clones.
    ///
    /// First, the subscribers that have room get the value, in the order in which they subscribed.
    /// Then this blocks until the subscribers whose policy is to [block](OverflowPolicy::Block)
    /// have also taken the value, in the order in which they get room. The publisher stops waiting
    /// for a subscription when the subscription is dropped, when the broker is closed, or when the
    /// subscription's [timeout](OverflowPolicy::BlockTimeout) has passed since the publisher began
    /// to wait.
    ///
    /// So a goroutine must not publish a value that only the goroutine itself could receive.
    /// Without subscribers that block, this never blocks. Each wait for *n* subscribers costs time
    /// proportional to *n*, so thousands of slow subscribers are better served by a buffer.
    ///
    /// # Errors
    /// If the context ends during the wait: the subscribers that the publisher was still waiting
    /// for miss the value, and the others have it. If the context had already ended, no subscriber
    /// gets the value.
    ///
    /// # Panics
    /// If a clone panics: the subscribers that have the value keep it, and the others miss it.
    ///
    /// ```
    /// use greenthread::ctx::{Context, Error};
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    /// use std::time::Duration;
    ///
    /// let broker = Broker::new();
    /// let slow = broker.subscribe("news", 1, OverflowPolicy::Block);
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
    /// assert_eq!(broker.publish(&ctx, "news", 1), Ok(1));
    /// assert_eq!(broker.publish(&ctx, "news", 2), Err(Error::DeadlineExceeded));
    /// assert_eq!(slow.missed(), 1);
    /// ```
    pub fn publish<Q>(&self, ctx: &Context, topic: &Q, value: T) -> Result<usize, ctx::Error>
    where
        T: Clone,
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(error) = ctx.err() {
            return Err(error);
        }
        let mut delivery =
            Delivery { values: smallvec![value], pending: self.queues(topic), received: 0, wait_start: None };
        delivery.offer();
        while !delivery.pending.is_empty() {
            delivery.wait_for_one(ctx)?;
            delivery.offer();
        }
        Ok(delivery.received)
    }

    fn queues<Q>(&self, topic: &Q) -> VecDeque<Queue<T>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let subscribers = self.handle.0.subscribers.lock();
        subscribers.by_topic.get(topic).map_or_else(VecDeque::new, |queues| queues.values().cloned().collect())
    }

    /// Returns the number of subscribers that a topic currently has.
    ///
    /// ```
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let broker = Broker::<u32>::new();
    /// let subscription = broker.subscribe("news", 1, OverflowPolicy::Block);
    /// assert_eq!(broker.subscribers("news"), 1);
    /// drop(subscription);
    /// assert_eq!(broker.subscribers("news"), 0);
    /// ```
    pub fn subscribers<Q>(&self, topic: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.handle.0.subscribers.lock().by_topic.get(topic).map_or(0, BTreeMap::len)
    }
}

impl<T, K> Broker<T, K> {
    /// Ends all subscriptions, after the values in their buffers.
    ///
    /// Publishers stop waiting for subscribers, and values that are published later reach no
    /// subscriber. Never blocks. A second call does nothing.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let broker = Broker::new();
    /// let news = broker.subscribe("news", 1, OverflowPolicy::Block);
    /// broker.close();
    /// assert_eq!(broker.publish(&Context::background(), "news", 1), Ok(0));
    /// assert_eq!(news.iter().next(), None);
    /// ```
    pub fn close(&self) {
        self.handle.0.close();
    }
}

impl<T, K> Shared<T, K> {
    fn close(&self) {
        let mut subscribers = self.subscribers.lock();
        subscribers.closed = true;
        let all = mem::take(&mut subscribers.by_topic);
        drop(subscribers);
        all.values().flat_map(BTreeMap::values).for_each(Queue::close);
    }
}

impl<T, K: Eq + Hash> Shared<T, K> {
    /// Adds a queue to the lists of its topics.
    fn register(&self, mut topics: Vec<K>, id: u64, queue: &Queue<T>) {
        let mut subscribers = self.subscribers.lock();
        if subscribers.closed || topics.is_empty() {
            drop(subscribers);
            queue.close();
            return;
        }
        // A key that is already in the map stays in `topics`. Even in a panic, `topics` is dropped
        // only after the lock is released.
        let mut known = 0;
        while known < topics.len() {
            if let Some(queues) = subscribers.by_topic.get_mut(&topics[known]) {
                queues.insert(id, queue.clone());
                known += 1;
            } else {
                subscribers.by_topic.insert(topics.swap_remove(known), BTreeMap::from([(id, queue.clone())]));
            }
        }
    }

    /// Removes a queue from the lists of its topics.
    fn unregister(&self, topics: &[K], id: u64) {
        // The emptied lists are dropped after the lock is released.
        let mut emptied = Vec::new();
        let mut subscribers = self.subscribers.lock();
        for topic in topics {
            let Some(queues) = subscribers.by_topic.get_mut(topic) else { continue };
            queues.remove(&id);
            if queues.is_empty() {
                emptied.push(subscribers.by_topic.remove_entry(topic));
            }
        }
    }
}

/// A value on its way to its subscribers. When it is dropped, the subscribers that are still
/// pending miss the value.
struct Delivery<T> {
    /// The value, and perhaps a clone that a queue did not take.
    values: SmallVec<[T; 2]>,
    pending: VecDeque<Queue<T>>,
    received: usize,
    /// When the publisher began to wait; set only if a pending queue has a timeout.
    wait_start: Option<Instant>,
}

impl<T: Clone> Delivery<T> {
    /// Returns a value for the next queue.
    fn value(&mut self) -> T {
        match &self.values[..] {
            [value] if self.pending.len() > 1 => value.clone(),
            _ => self.values.pop().expect("broker: a value is left for every pending queue"),
        }
    }

    /// Offers the value to each pending queue. Afterward, only full queues whose policy is to block
    /// are pending.
    fn offer(&mut self) {
        for _ in 0..self.pending.len() {
            let value = self.value();
            let queue = self.pending.pop_front().expect("broker: there are as many queues as counted");
            match queue.try_push(value) {
                Ok(Pushed::Queued | Pushed::Displaced(_)) => self.received += 1,
                Ok(Pushed::Rejected(value)) | Err(TrySendError::Disconnected(value)) => self.values.push(value),
                Err(TrySendError::Full(value)) => {
                    self.values.push(value);
                    self.pending.push_back(queue);
                }
            }
        }
    }

    /// Waits until a pending queue takes the value or is closed, or until the shortest timeout of
    /// the pending queues has passed.
    fn wait_for_one(&mut self, ctx: &Context) -> Result<(), ctx::Error> {
        let shortest = self.pending.iter().filter_map(Queue::push_timeout).min();
        let deadline =
            shortest.and_then(|timeout| self.wait_start.get_or_insert_with(Instant::now).checked_add(timeout));
        let value = self.value();
        match send_to_one(ctx, &self.pending, deadline, value)? {
            Sent::Delivered(index) => {
                self.pending.remove(index);
                self.received += 1;
            }
            Sent::Closed(index, value) => {
                self.pending.remove(index);
                self.values.push(value);
            }
            Sent::TimedOut(value) => {
                self.values.push(value);
                self.drop_timed_out(shortest);
            }
        }
        Ok(())
    }

    /// Drops the pending queues whose timeout is at most `shortest`, and counts the value as
    /// missed.
    fn drop_timed_out(&mut self, shortest: Option<Duration>) {
        self.pending.retain(|queue| {
            let timed_out = queue.push_timeout().is_some_and(|timeout| Some(timeout) <= shortest);
            if timed_out {
                queue.count_dropped();
            }
            !timed_out
        });
    }
}

/// The outcome of [`send_to_one`].
enum Sent<T> {
    /// The queue at this index has the value.
    Delivered(usize),
    /// The queue at this index is closed; here is the value.
    Closed(usize, T),
    /// The deadline passed first; here is the value.
    TimedOut(T),
}

/// Sends `value` to the first queue that has room. Blocks until a queue has room or is closed, the
/// deadline passes, or the context ends.
fn send_to_one<T>(
    ctx: &Context,
    queues: &VecDeque<Queue<T>>,
    deadline: Option<Instant>,
    value: T,
) -> Result<Sent<T>, ctx::Error> {
    let mut select = Select::new_biased();
    let done = select.recv(ctx.done());
    let first = done + 1;
    for queue in queues {
        select.send(queue.sender());
    }
    let chosen = match deadline {
        None => select.select(),
        Some(deadline) => match select.select_deadline(deadline) {
            Ok(chosen) => chosen,
            Err(_) => return Ok(Sent::TimedOut(value)),
        },
    };
    if chosen.index() == done {
        return Err(ctx.ended(chosen.recv(ctx.done())));
    }
    let index = chosen.index() - first;
    Ok(match chosen.send(queues[index].sender(), value) {
        Ok(()) => Sent::Delivered(index),
        Err(closed) => Sent::Closed(index, closed.into_inner()),
    })
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        self.pending.iter().for_each(Queue::count_dropped);
    }
}

impl<T, K> Drop for Handle<T, K> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T, K> Clone for Broker<T, K> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<T, K: Eq + Hash> Default for Broker<T, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, K> fmt::Debug for Broker<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = self.handle.0.subscribers.lock();
        let (topics, closed) = (subscribers.by_topic.len(), subscribers.closed);
        drop(subscribers);
        f.debug_struct("Broker").field("topics", &topics).field("closed", &closed).finish()
    }
}

/// A subscription to topics of a [`Broker`].
///
/// It receives what is published under its topics until the broker is closed or its last handle is
/// dropped.
///
/// Dropping the subscription ends it, and publishers stop waiting for it. Several goroutines may
/// share it; each value goes to one of them.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Broker, OverflowPolicy};
/// use greenthread::spawn;
///
/// let broker = Broker::<u32>::new();
/// let numbers = broker.subscribe("numbers", 1, OverflowPolicy::Block);
/// let sum = spawn(move || numbers.iter().sum::<u32>());
/// for n in 1..=100 {
///     broker.publish(&Context::background(), "numbers", n).unwrap();
/// }
/// drop(broker);
/// assert_eq!(sum.join().unwrap(), 5050);
/// ```
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription<T, K = String> {
    shared: Arc<Shared<T, K>>,
    id: u64,
    topics: Vec<K>,
    queue: Queue<T>,
    /// [`Shared::unregister`]. A direct call would need bounds on `K` in `Drop`, and therefore in
    /// the struct.
    unregister: fn(&Shared<T, K>, &[K], u64),
}

impl<T, K> Subscription<T, K> {
    /// Receives the next value, blocking until one is available.
    ///
    /// # Errors
    /// If the context ends first or has ended already, or if the broker is closed and the buffer is
    /// empty.
    ///
    /// ```
    /// use greenthread::ctx::{Context, RecvError};
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let (ctx, broker) = (Context::background(), Broker::new());
    /// let news = broker.subscribe("news", 1, OverflowPolicy::Block);
    /// broker.publish(&ctx, "news", 5).unwrap();
    /// drop(broker);
    /// assert_eq!(news.recv(&ctx), Ok(5));
    /// assert_eq!(news.recv(&ctx), Err(RecvError::Disconnected));
    /// ```
    pub fn recv(&self, ctx: &Context) -> Result<T, ctx::RecvError> {
        self.queue.pop(ctx)
    }

    /// Returns an iterator over all further values, until the broker is closed and the buffer is
    /// empty.
    ///
    /// `next` blocks. `for value in &subscription` does the same.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let broker = Broker::new();
    /// let news = broker.subscribe("news", 1, OverflowPolicy::Block);
    /// broker.publish(&Context::background(), "news", 5).unwrap();
    /// assert_eq!(news.iter().next(), Some(5));
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        self.queue.iter()
    }

    /// Returns the channel of the subscription, for a `recv` arm of a `select!` or for `try_recv`.
    ///
    /// A clone of the channel does not keep the subscription alive; it receives only what is left
    /// in the buffer.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    /// use greenthread::select;
    ///
    /// let broker = Broker::new();
    /// let [news, alerts] = ["news", "alerts"]
    ///     .map(|topic| broker.subscribe(topic, 1, OverflowPolicy::Block));
    /// broker.publish(&Context::background(), "alerts", "fire").unwrap();
    /// select! {
    ///     recv(news.receiver()) -> _ => unreachable!(),
    ///     recv(alerts.receiver()) -> alert => assert_eq!(alert, Ok("fire")),
    /// }
    /// ```
    pub fn receiver(&self) -> &Receiver<T> {
        self.queue.receiver()
    }

    /// Returns the topics that the subscription was created for.
    ///
    /// ```
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let broker = Broker::<u32>::new();
    /// assert_eq!(broker.subscribe("news", 1, OverflowPolicy::Block).topics(), ["news"]);
    /// ```
    pub fn topics(&self) -> &[K] {
        &self.topics
    }

    /// Returns the number of values that the subscription has missed so far.
    ///
    /// A value is missed if it was published for the subscription but did not reach it, or was
    /// removed from its buffer to make room. Never blocks.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    ///
    /// let (ctx, broker) = (Context::background(), Broker::new());
    /// let latest = broker.subscribe("prices", 1, OverflowPolicy::DropOldest);
    /// (1..=3).for_each(|price| assert_eq!(broker.publish(&ctx, "prices", price), Ok(1)));
    /// assert_eq!((latest.recv(&ctx), latest.missed()), (Ok(3), 2));
    /// ```
    pub fn missed(&self) -> u64 {
        self.queue.dropped()
    }
}

impl<T, K> Drop for Subscription<T, K> {
    fn drop(&mut self) {
        // Done first, so that publishers stop waiting even if code of the key's type blocks or
        // panics below.
        self.queue.close();
        (self.unregister)(&self.shared, &self.topics, self.id);
    }
}

impl<'a, T, K> IntoIterator for &'a Subscription<T, K> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T, K: fmt::Debug> fmt::Debug for Subscription<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("topics", &self.topics).field("queue", &self.queue).finish_non_exhaustive()
    }
}
