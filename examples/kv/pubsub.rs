//! The subscriptions of all connections, and PUBLISH.
//!
//! There is one lock for all channels. So two messages reach all of their subscribers in the same
//! order, and a subscriber is sent every event (`subscribe`, `message`, `unsubscribe`) in the order
//! in which it happened. Nothing waits under the lock, because publishing only appends to outboxes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use greenthread::sync::Mutex;

use crate::glob;
use crate::outbox::Outbox;
use crate::resp::Replies;
use crate::store::Key;

/// The name of a channel, or a pattern for names of channels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
}

/// The subscribers of a name, by the ID of the connection.
type Subscribers = HashMap<u64, Arc<Outbox>>;

#[derive(Default)]
struct Topics {
    channels: HashMap<Key, Subscribers>,
    patterns: HashMap<Key, Subscribers>,
}

impl Topics {
    fn of(&mut self, kind: Kind) -> &mut HashMap<Key, Subscribers> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }
}

#[derive(Default)]
pub(crate) struct Broker {
    topics: Mutex<Topics>,
}

impl Broker {
    /// Sends the message to all of its subscribers, and returns their number.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let topics = self.topics.lock();
        let mut reached = 0;
        let mut send = |subscribers: &Subscribers, parts: &[&[u8]]| {
            let push = push(parts);
            reached += subscribers.values().filter(|outbox| outbox.publish(&push)).count();
        };
        if let Some(subscribers) = topics.channels.get(channel) {
            send(subscribers, &[b"message", channel, message]);
        }
        for (pattern, subscribers) in &topics.patterns {
            if glob::matches(pattern, channel) {
                send(subscribers, &[b"pmessage", pattern, channel, message]);
            }
        }
        reached
    }
}

fn push(parts: &[&[u8]]) -> Vec<u8> {
    let mut push = Replies::default();
    push.array(parts.len());
    for part in parts {
        push.bulk(part);
    }
    push.bytes
}

/// The subscriptions of one connection, which end when it is dropped.
pub(crate) struct Subscriptions<'a> {
    broker: &'a Broker,
    id: u64,
    outbox: Arc<Outbox>,
    channels: BTreeSet<Key>,
    patterns: BTreeSet<Key>,
}

impl<'a> Subscriptions<'a> {
    pub(crate) fn new(broker: &'a Broker, id: u64, outbox: Arc<Outbox>) -> Self {
        Self { broker, id, outbox, channels: BTreeSet::new(), patterns: BTreeSet::new() }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Returns the number of names that the connection subscribes to.
    pub(crate) fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    fn own(&mut self, kind: Kind) -> &mut BTreeSet<Key> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }

    /// Subscribes to one name, and sends the reply before the first message for it.
    pub(crate) fn add(&mut self, kind: Kind, name: &[u8]) {
        let name = Key::from(name);
        self.outbox.wait_for_room();
        let mut topics = self.broker.topics.lock();
        self.own(kind).insert(Arc::clone(&name));
        self.tell(if kind == Kind::Channel { "subscribe" } else { "psubscribe" }, Some(&name));
        topics.of(kind).entry(name).or_default().insert(self.id, Arc::clone(&self.outbox));
    }

    /// Unsubscribes from one name, and sends the reply after the last message for it.
    pub(crate) fn remove(&mut self, kind: Kind, name: &[u8]) {
        self.outbox.wait_for_room();
        let mut topics = self.broker.topics.lock();
        if self.own(kind).remove(name) {
            forget(topics.of(kind), name, self.id);
        }
        self.tell(unsubscribed(kind), Some(name));
    }

    /// Unsubscribes from all names.
    pub(crate) fn remove_all(&mut self, kind: Kind) {
        if self.own(kind).is_empty() {
            self.tell(unsubscribed(kind), None);
        }
        for name in self.own(kind).clone() {
            self.remove(kind, &name);
        }
    }

    fn tell(&self, what: &str, name: Option<&[u8]>) {
        let mut reply = Replies::default();
        answer(&mut reply, what, name, self.len());
        self.outbox.reply(&reply.bytes);
    }
}

impl Drop for Subscriptions<'_> {
    fn drop(&mut self) {
        let mut topics = self.broker.topics.lock();
        for name in &self.channels {
            forget(&mut topics.channels, name, self.id);
        }
        for name in &self.patterns {
            forget(&mut topics.patterns, name, self.id);
        }
    }
}

/// Sends the reply to UNSUBSCRIBE for a connection without subscriptions.
pub(crate) fn nothing_to_unsubscribe<'n>(kind: Kind, names: impl Iterator<Item = &'n [u8]>, replies: &mut Replies) {
    let mut names = names.peekable();
    if names.peek().is_none() {
        answer(replies, unsubscribed(kind), None, 0);
    }
    for name in names {
        answer(replies, unsubscribed(kind), Some(name), 0);
    }
}

fn unsubscribed(kind: Kind) -> &'static str {
    if kind == Kind::Channel { "unsubscribe" } else { "punsubscribe" }
}

fn answer(replies: &mut Replies, what: &str, name: Option<&[u8]>, count: usize) {
    replies.array(3);
    replies.bulk(what.as_bytes());
    replies.maybe(name);
    replies.count(count);
}

fn forget(names: &mut HashMap<Key, Subscribers>, name: &[u8], id: u64) {
    if let Some(subscribers) = names.get_mut(name) {
        subscribers.remove(&id);
        if subscribers.is_empty() {
            names.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use greenthread::net::{TcpListener, TcpStream};

    #[greenthread::test(procs = [1, 2])]
    fn who_leaves_leaves_nothing_behind() {
        let broker = Broker::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let outbox = Arc::new(Outbox::new(Arc::new(stream), 1000));
        let names = || {
            let topics = broker.topics.lock();
            (topics.channels.len(), topics.patterns.len())
        };
        let mut subscriptions = Subscriptions::new(&broker, 1, Arc::clone(&outbox));
        let mut other = Subscriptions::new(&broker, 2, outbox);
        for name in [b"a", b"b", b"b"] {
            subscriptions.add(Kind::Channel, name);
            subscriptions.add(Kind::Pattern, name);
        }
        other.add(Kind::Channel, b"a");
        assert_eq!((names(), subscriptions.len()), ((2, 2), 4));
        subscriptions.remove(Kind::Channel, b"b");
        subscriptions.remove(Kind::Pattern, b"b");
        assert_eq!((names(), subscriptions.len()), ((1, 1), 2));
        drop(subscriptions);
        assert_eq!(names(), (1, 0));
        drop(other);
        assert_eq!(names(), (0, 0));
    }
}
