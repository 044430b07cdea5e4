//! The data: keys and values in shards, each shard with its own lock, and the times at which keys
//! expire.
//!
//! A command on one key locks one shard. A command on several keys locks all of their shards in the
//! order of the shard numbers, so that two commands never wait for each other. No command sees an
//! intermediate state of another command: commands are atomic, as in Redis. Commands on different
//! shards run at the same time.
//!
//! A key that has expired is gone for every reader. Its memory is freed by the next command on the
//! key, or by the sweeper. The sweeper is a goroutine that sleeps until the first key expires, or
//! forever if no key expires. A server that is not used does nothing at all.
//!
//! # Why the sweeper misses nothing
//! `Alarm::next` is the time of the sweeper's next check. A command that gives a key an earlier
//! time wakes the sweeper. Before the sweeper goes through the shards, it sets `next` to "never",
//! and afterward to the earliest time it has seen. A time that is put into a shard is compared with
//! `next` under the lock of that shard. There are two cases. Either the sweeper locks the shard
//! later, and sees the time. Or it held the lock before, and then the time is compared with
//! "never", or with a later value of `next`. The lock makes the "never" visible, so Relaxed is
//! enough for `next` itself.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use greenthread::channel::{self, Receiver, Sender};
use greenthread::ctx::Context;
use greenthread::select;
use greenthread::sync::{Mutex, MutexGuard};
use greenthread::time;

/// Many more than there are Ps, so that two commands rarely need the same shard.
const SHARDS: usize = 64;
/// The number of expired keys that are removed before the lock of the shard is released for others.
const BATCH: usize = 256;
/// The shortest time between two sweeps. Expired keys may take memory for that long.
const PAUSE: Duration = Duration::from_millis(100);

/// The name of a value; the shard's tables share it.
pub(crate) type Key = Arc<[u8]>;

pub(crate) enum Value {
    String(Vec<u8>),
    /// Never empty: a key is removed along with the last element of its list.
    List(VecDeque<Vec<u8>>),
}

struct Entry {
    value: Value,
    expires: Option<Instant>,
}

/// A part of the data.
pub(crate) struct Shard {
    entries: HashMap<Key, Entry>,
    /// Contains exactly the entries that expire.
    expiring: BTreeSet<(Instant, Key)>,
    alarm: Arc<Alarm>,
}

impl Shard {
    fn alive(&mut self, key: &[u8], now: Instant) -> Option<&mut Entry> {
        if !self.expiring.is_empty() && self.entries.get(key)?.expires.is_some_and(|at| at <= now) {
            self.remove(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    pub(crate) fn get(&mut self, key: &[u8], now: Instant) -> Option<&mut Value> {
        self.alive(key, now).map(|entry| &mut entry.value)
    }

    /// Returns the time at which the key expires, `Some(None)` if it never expires, or `None` if
    /// the key does not exist.
    pub(crate) fn expiry(&mut self, key: &[u8], now: Instant) -> Option<Option<Instant>> {
        self.alive(key, now).map(|entry| entry.expires)
    }

    /// Sets the value and the expiry time of the key, replacing the old ones.
    pub(crate) fn insert(&mut self, key: &[u8], value: Value, expires: Option<Instant>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.value = value;
            self.set_expiry(key, expires);
            return;
        }
        let key = Key::from(key);
        self.entries.insert(Arc::clone(&key), Entry { value, expires: None });
        self.set_expiry(&key, expires);
    }

    /// Removes the key, and returns `true` if it existed.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return false };
        if let Some(at) = entry.expires {
            self.expiring.remove(&(at, key));
        }
        true
    }

    /// Sets the time at which the key expires. Does nothing if the key does not exist.
    pub(crate) fn set_expiry(&mut self, key: &[u8], expires: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let before = std::mem::replace(&mut entry.expires, expires);
        if before == expires {
            return;
        }
        let (key, _) = self.entries.get_key_value(key).expect("it was there");
        if let Some(at) = before {
            self.expiring.remove(&(at, Arc::clone(key)));
        }
        if let Some(at) = expires {
            self.expiring.insert((at, Arc::clone(key)));
            self.alarm.tell(at);
        }
    }

    pub(crate) fn keys(&self, now: Instant) -> impl Iterator<Item = &Key> {
        let alive = move |entry: &Entry| entry.expires.is_none_or(|at| at > now);
        self.entries.iter().filter(move |(_, entry)| alive(entry)).map(|(key, _)| key)
    }

    /// Returns the number of keys, and the number of keys that expire.
    pub(crate) fn len(&self, now: Instant) -> (usize, usize) {
        let dead = self.expiring.iter().take_while(|(at, _)| *at <= now).count();
        (self.entries.len() - dead, self.expiring.len() - dead)
    }

    /// Removes some of the expired keys. Returns `Err` if there may be more of them, and otherwise
    /// the first expiry time that lies ahead.
    fn sweep(&mut self, now: Instant) -> Result<Option<Instant>, ()> {
        for _ in 0..BATCH {
            match self.expiring.first() {
                Some((at, _)) if *at <= now => {
                    let (_, key) = self.expiring.pop_first().expect("it has a first one");
                    self.entries.remove(&key);
                }
                first => return Ok(first.map(|(at, _)| *at)),
            }
        }
        Err(())
    }
}

/// All data.
pub(crate) struct Store {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    alarm: Arc<Alarm>,
}

impl Store {
    /// Creates an empty store, and the channel from which the sweeper receives.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (wake, woken) = channel::bounded(1);
        let alarm = Arc::new(Alarm { next: AtomicU64::new(NEVER), start: Instant::now(), wake });
        let shard = || Shard { entries: HashMap::new(), expiring: BTreeSet::new(), alarm: Arc::clone(&alarm) };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        (Self { shards, hasher: RandomState::new(), alarm }, woken)
    }

    fn index(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize % self.shards.len()
    }

    /// Locks and returns the shard that has the key.
    pub(crate) fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        self.shards[self.index(key)].lock()
    }

    /// Locks the shards that have the keys.
    pub(crate) fn shards_of<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Several<'_> {
        let mut wanted = [false; SHARDS];
        for key in keys {
            wanted[self.index(key)] = true;
        }
        let shards = self.shards.iter().zip(wanted).map(|(shard, wanted)| wanted.then(|| shard.lock())).collect();
        Several { store: self, shards }
    }

    /// Locks all shards.
    pub(crate) fn all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(Mutex::lock).collect()
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        let mut all = self.all();
        let taken: Vec<_> = all
            .iter_mut()
            .map(|shard| (std::mem::take(&mut shard.entries), std::mem::take(&mut shard.expiring)))
            .collect();
        // Freeing everything takes time; other commands can run during that time.
        drop(all);
        drop(taken);
    }

    /// Removes the expired keys, and returns the first expiry time that lies ahead.
    fn sweep(&self, now: Instant) -> Option<Instant> {
        let sweep = |shard: &Mutex<Shard>| {
            loop {
                if let Ok(first) = shard.lock().sweep(now) {
                    return first;
                }
                greenthread::yield_now();
            }
        };
        self.shards.iter().filter_map(sweep).min()
    }

    /// Runs the sweeper until the context ends.
    pub(crate) fn keep_clean(&self, ctx: &Context, woken: &Receiver<()>) {
        loop {
            self.alarm.next.store(NEVER, Ordering::Relaxed);
            let first = self.sweep(Instant::now());
            let timer = match first {
                Some(at) => {
                    self.alarm.next.store(self.alarm.micros(at), Ordering::Relaxed);
                    time::at(at)
                }
                None => channel::never(),
            };
            select! {
                recv(timer) -> _ => {}
                recv(woken) -> _ => {}
                recv(ctx.done()) -> _ => return,
            }
            // The sweeper checks soon anyway, so it need not be woken.
            self.alarm.next.store(0, Ordering::Relaxed);
            if ctx.sleep(PAUSE).is_err() {
                return;
            }
        }
    }
}

/// Some shards, locked.
pub(crate) struct Several<'a> {
    store: &'a Store,
    shards: Vec<Option<MutexGuard<'a, Shard>>>,
}

impl Several<'_> {
    /// Returns the shard that has the key. The shard must be one of the requested shards.
    pub(crate) fn shard(&mut self, key: &[u8]) -> &mut Shard {
        self.shards[self.store.index(key)].as_mut().expect("it was asked for")
    }
}

/// The alarm that wakes the sweeper.
struct Alarm {
    /// The time of the sweeper's next check, in microseconds since `start`.
    next: AtomicU64,
    start: Instant,
    wake: Sender<()>,
}

const NEVER: u64 = u64::MAX;

impl Alarm {
    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(NEVER)
    }

    /// Wakes the sweeper if `at` is before its next check. Must be called under the lock of the
    /// shard that has the new time.
    fn tell(&self, at: Instant) {
        if self.micros(at) < self.next.load(Ordering::Relaxed) {
            // If the channel is full, the sweeper is about to check; if the receiver is gone, the
            // server is shutting down.
            let _ = self.wake.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(store: &Store) -> usize {
        store.all().iter().map(|shard| shard.entries.len() + shard.expiring.len()).sum()
    }

    fn insert(store: &Store, key: &str, expires: Option<Instant>) {
        store.shard(key.as_bytes()).insert(key.as_bytes(), Value::String(Vec::new()), expires);
    }

    fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            time::sleep(Duration::from_millis(5));
        }
    }

    /// Returns a store with its sweeper, which ends with the context.
    fn swept() -> (Arc<Store>, greenthread::ctx::Cancel) {
        let (store, woken) = Store::new();
        let store = Arc::new(store);
        let (ctx, cancel) = Context::background().with_cancel();
        let own = Arc::clone(&store);
        greenthread::go!(move || own.keep_clean(&ctx, &woken));
        (store, cancel)
    }

    #[greenthread::test(procs = [1, 2, 4])]
    fn sweeper_frees_unread_keys() {
        let (store, _cancel) = swept();
        insert(&store, "stays", None);
        insert(&store, "late", Some(Instant::now() + Duration::from_secs(3600)));
        for round in 0..3 {
            for n in 0..2000 {
                insert(&store, &format!("{n}"), Some(Instant::now() + Duration::from_millis(n % 50)));
            }
            wait_until(&format!("round {round}: it does not sweep"), || held(&store) == 3);
        }
    }

    #[greenthread::test(procs = [1, 2, 4])]
    fn an_earlier_time_wakes_the_sweeper() {
        let (store, _cancel) = swept();
        insert(&store, "late", Some(Instant::now() + Duration::from_secs(3600)));
        // Waits until the sweeper sleeps for an hour.
        wait_until("it does not sleep", || !matches!(store.alarm.next.load(Ordering::Relaxed), 0 | NEVER));
        insert(&store, "soon", Some(Instant::now()));
        wait_until("it does not wake up", || held(&store) == 2);
    }

    #[test]
    fn entries_and_expiry_table_agree() {
        let (store, _woken) = Store::new();
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        for expires in [at(1), at(2), None, at(3), at(3)] {
            insert(&store, "k", expires);
            assert_eq!(held(&store), 1 + usize::from(expires.is_some()));
            assert_eq!(store.shard(b"k").expiry(b"k", now), Some(expires));
        }
        assert!(store.shard(b"k").get(b"k", now + Duration::from_secs(3)).is_none(), "it has expired");
        assert_eq!(held(&store), 0);
        insert(&store, "k", at(1));
        store.clear();
        assert_eq!(held(&store), 0);
    }
}
