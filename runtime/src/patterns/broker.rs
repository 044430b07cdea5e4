//! `Broker`: publish-subscribe.
//!
//! # How it works
//! Each subscription has a queue of its own ([`Queue`]), whose policy is that of the subscription. A map says which
//! queues a topic has; who publishes copies that list, and has done with the map. He offers the value to all of them,
//! which never waits, and only then waits for those that block and are full, for all of them at once. So who is slow
//! delays the publisher and no other subscriber.
//!
//! Who subscribes, unsubscribes or closes changes the map, and closes queues outside of its lock. A queue that closes gives a
//! publisher that waits for it his value back.
//!
//! Under the lock of the map runs no code of the value's type, and of the key's only `Hash` and `Eq`: keys are cloned
//! before, and dropped after.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread_channels::{Iter, Receiver, Select, TrySendError};
use greenthread_ctx::{self as ctx, Context};
use smallvec::{SmallVec, smallvec};

use super::{OverflowPolicy, Pushed, Queue};
use crate::sync::Mutex;

/// Gives what is published under a topic to all who have subscribed to it: publish-subscribe. No goroutine does that
/// but the one that publishes.
///
/// Topics are made by the first who subscribes to them, and gone with the last. They are strings, or of whichever type
/// `K` can be the key of a map; `publish` and `subscribe` take them borrowed, as `HashMap::get` does.
///
/// The values of one publisher come to each subscriber in their order. Those of several may come to one subscriber in
/// another order than to the next.
///
/// A clone is a handle to the same broker. All subscriptions end, after what is in their buffers, when the last handle
/// is dropped or one is [closed](Self::close). In Go: a map of slices of channels, a mutex, and a loop of sends.
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
/// With topics of a type of one's own:
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

/// What all handles share. Closes when the last of them is gone: subscriptions have no part in it.
struct Handle<T, K>(Arc<Shared<T, K>>);

struct Shared<T, K> {
    subscribers: Mutex<Subscribers<T, K>>,
    next_id: AtomicU64,
}

struct Subscribers<T, K> {
    closed: bool,
    /// No list is empty. By number, as they came.
    of: HashMap<K, BTreeMap<u64, Queue<T>>>,
}

impl<T, K: Eq + Hash> Broker<T, K> {
    /// A broker without subscribers.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Broker;
    ///
    /// let broker = Broker::<&str>::new();
    /// assert_eq!(broker.publish(&Context::background(), "news", "to nobody"), Ok(0));
    /// ```
    pub fn new() -> Self {
        let subscribers = Mutex::new(Subscribers { closed: false, of: HashMap::new() });
        let shared = Arc::new(Shared { subscribers, next_id: AtomicU64::new(0) });
        Self { handle: Arc::new(Handle(shared)) }
    }

    /// Subscribes to what is published under `topic` from now on, with a buffer for `capacity` values, and a policy for
    /// when it is full. Never blocks.
    ///
    /// Allocates the room for all of them. With `capacity` zero there is no buffer: [`OverflowPolicy::Block`] has the publisher
    /// wait until the value is received, and with the others only who waits in a receive at that moment gets the value.
    ///
    /// If the broker is closed the subscription is one that has ended.
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

    /// As [`subscribe`](Self::subscribe), to several topics: their values come through one buffer, in the order in
    /// which they are published. A topic that is named twice counts once. Without any topic it is a subscription that
    /// has ended.
    ///
    /// # Panics
    /// As there.
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
        // Made before it is entered in the map: should that panic half-way, it is taken out again.
        let subscription = Subscription { shared, id, topics, queue: Queue::new(capacity, policy) };
        self.handle.0.enter(keys, id, &subscription.queue);
        subscription
    }

    /// Gives `value` to all subscribers of `topic`; how many got it. The last one gets the value itself, those before get clones.
    ///
    /// Who can take it at once gets it first, in the order in which they subscribed. Then this blocks until those that
    /// are [waited for](OverflowPolicy::Block) have taken it too, whoever is ready first. A subscriber that is gone meanwhile, or
    /// whose broker is closed, is waited for no longer.
    ///
    /// So a goroutine must not publish what only itself could receive. Without such subscribers this never blocks. Each
    /// time that one of *n* is waited for takes time in proportion to *n*: for thousands of subscribers that are slow,
    /// a buffer is better.
    ///
    /// # Errors
    /// If the context ends while subscribers are waited for: they miss the value, the others have it. If it has ended
    /// before, nobody gets it.
    ///
    /// # Panics
    /// If a clone does: those that have the value keep it, the others miss it.
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
            Delivery { values: smallvec![value], left: self.queues(topic), received: 0, wait_start: None };
        delivery.offer();
        while !delivery.left.is_empty() {
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
        subscribers.of.get(topic).map_or_else(VecDeque::new, |queues| queues.values().cloned().collect())
    }

    /// How many subscribers a topic has at the moment.
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
        self.handle.0.subscribers.lock().of.get(topic).map_or(0, BTreeMap::len)
    }
}

impl<T, K> Broker<T, K> {
    /// Ends all subscriptions, after what is in their buffers. Publishers that wait for a subscriber wait no longer,
    /// and nobody gets anything from now on. Never blocks; may be called again, to no effect.
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
        let all = mem::take(&mut subscribers.of);
        drop(subscribers);
        all.values().flat_map(BTreeMap::values).for_each(Queue::close);
    }
}

impl<T, K: Eq + Hash> Shared<T, K> {
    /// Has the topics give what is published to a queue.
    fn enter(&self, mut topics: Vec<K>, id: u64, queue: &Queue<T>) {
        let mut subscribers = self.subscribers.lock();
        if subscribers.closed || topics.is_empty() {
            drop(subscribers);
            queue.close();
            return;
        }
        // What the map has already stays in the list, which is dropped after the lock is released, also by a panic.
        let mut known = 0;
        while known < topics.len() {
            if let Some(queues) = subscribers.of.get_mut(&topics[known]) {
                queues.insert(id, queue.clone());
                known += 1;
            } else {
                subscribers.of.insert(topics.swap_remove(known), BTreeMap::from([(id, queue.clone())]));
            }
        }
    }

    /// Takes a queue out of the lists of its topics.
    fn leave(&self, topics: &[K], id: u64) {
        // Dropped after the lock is released.
        let mut deserted = Vec::new();
        let mut subscribers = self.subscribers.lock();
        for topic in topics {
            let Some(queues) = subscribers.of.get_mut(topic) else { continue };
            queues.remove(&id);
            if queues.is_empty() {
                deserted.push(subscribers.of.remove_entry(topic));
            }
        }
    }
}

/// A value on its way to its subscribers. Those who are left when it ends have missed it.
struct Delivery<T> {
    /// The value, and perhaps a clone of it that somebody could not take.
    values: SmallVec<[T; 2]>,
    left: VecDeque<Queue<T>>,
    received: usize,
    /// When the wait for subscribers began; set only if one of them limits it.
    wait_start: Option<Instant>,
}

impl<T: Clone> Delivery<T> {
    /// A value for the next one.
    fn value(&mut self) -> T {
        match &self.values[..] {
            [value] if self.left.len() > 1 => value.clone(),
            _ => self.values.pop().expect("broker: the value is there as long as somebody is left"),
        }
    }

    /// Offers the value to each who is left. Leaves those who have no room and are waited for.
    fn offer(&mut self) {
        for _ in 0..self.left.len() {
            let value = self.value();
            let queue = self.left.pop_front().expect("broker: counted before");
            match queue.try_push(value) {
                Ok(Pushed::Queued | Pushed::Displaced(_)) => self.received += 1,
                Ok(Pushed::Rejected(value)) | Err(TrySendError::Disconnected(value)) => self.values.push(value),
                Err(TrySendError::Full(value)) => {
                    self.values.push(value);
                    self.left.push_back(queue);
                }
            }
        }
    }

    /// Waits until one of the queues takes the value or is closed, or until the shortest timeout among
    /// them has passed.
    fn wait_for_one(&mut self, ctx: &Context) -> Result<(), ctx::Error> {
        let shortest = self.left.iter().filter_map(Queue::push_timeout).min();
        let deadline =
            shortest.and_then(|timeout| self.wait_start.get_or_insert_with(Instant::now).checked_add(timeout));
        let value = self.value();
        match send_to_one(ctx, &self.left, deadline, value)? {
            Sent::Delivered(index) => {
                self.left.remove(index);
                self.received += 1;
            }
            Sent::Closed(index, value) => {
                self.left.remove(index);
                self.values.push(value);
            }
            Sent::TimedOut(value) => {
                self.values.push(value);
                self.drop_timed_out(shortest);
            }
        }
        Ok(())
    }

    /// Gives up the queues whose timeout is at most `shortest`.
    fn drop_timed_out(&mut self, shortest: Option<Duration>) {
        self.left.retain(|queue| {
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
    /// The queue at this index is closed; the value comes back.
    Closed(usize, T),
    /// The deadline passed first; the value comes back.
    TimedOut(T),
}

/// Sends `value` to the first queue that has room. Blocks until one has, one is closed, the deadline
/// passes, or the context ends.
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
        self.left.iter().for_each(Queue::count_dropped);
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
        let (topics, closed) = (subscribers.of.len(), subscribers.closed);
        drop(subscribers);
        f.debug_struct("Broker").field("topics", &topics).field("closed", &closed).finish()
    }
}

/// A subscription to topics of a [`Broker`]: what is published there, until the broker is closed or its last handle dropped.
///
/// Dropping it ends it: publishers that wait for it wait no longer. It may be shared by several goroutines; each value
/// goes to one of them.
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
#[must_use = "it ends at once if it is not kept"]
pub struct Subscription<T, K: Eq + Hash = String> {
    shared: Arc<Shared<T, K>>,
    id: u64,
    topics: Vec<K>,
    queue: Queue<T>,
}

impl<T, K: Eq + Hash> Subscription<T, K> {
    /// Receives the next value. Blocks until there is one.
    ///
    /// # Errors
    /// If the context ends first, or has ended; and if the broker is closed and nothing is left in the buffer.
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

    /// The values to come, until the broker is closed and the buffer empty. `next` blocks. So does `for value in &subscription`.
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

    /// The channel that the values come through, for a `recv` arm of a `select!`, and for `try_recv`. A clone of it does not keep
    /// the subscription; it gets what is left in the buffer.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::{Broker, OverflowPolicy};
    /// use greenthread::select;
    ///
    /// let broker = Broker::new();
    /// let (news, alerts) = (broker.subscribe("news", 1, OverflowPolicy::Block), broker.subscribe("alerts", 1, OverflowPolicy::Block));
    /// broker.publish(&Context::background(), "alerts", "fire").unwrap();
    /// select! {
    ///     recv(news.receiver()) -> _ => unreachable!(),
    ///     recv(alerts.receiver()) -> alert => assert_eq!(alert, Ok("fire")),
    /// }
    /// ```
    pub fn receiver(&self) -> &Receiver<T> {
        self.queue.receiver()
    }

    /// The topics that it was made with.
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

    /// How many values were published for it so far that it did not get, or that were taken out of its buffer. Never blocks.
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

impl<T, K: Eq + Hash> Drop for Subscription<T, K> {
    fn drop(&mut self) {
        // First, so that who waits for it is let go whatever the key's type does below.
        self.queue.close();
        self.shared.leave(&self.topics, self.id);
    }
}

impl<'a, T, K: Eq + Hash> IntoIterator for &'a Subscription<T, K> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T, K: Eq + Hash + fmt::Debug> fmt::Debug for Subscription<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("topics", &self.topics).field("queue", &self.queue).finish_non_exhaustive()
    }
}
