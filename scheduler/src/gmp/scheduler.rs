//! The state that all Ms share: the table of Ps, the global queue, and the lists of idle Ps and
//! spare Ms.
//!
//! # Lists
//! An idle P stands in `idle`, together with its *watcher*, if there is one: the M that released
//! the P last and still watches its timers. An M without any P stands in `spare`. Every M is in at
//! most one list, once, and enters and leaves a list only under the lock. **A thread that removes
//! an M from a list hands it a P** ([`M::hand_p`]), or is that M itself. So no M is handed two Ps.
//!
//! # The table
//! Thieves walk the Ps without a lock while `gomaxprocs` changes their number. The Ps in use are
//! always the first ones in the table of all Ps ever created, and none is ever freed. So each entry
//! of the table is written once, and a number says how many entries count.
//!
//! Rejected: a list that is replaced as a whole, and freed by crossbeam-epoch when its last reader
//! has left. Entering an epoch leaves the address of a thread-local on the stack, and goroutines
//! also read this list when they wake others. The migration guard
//! ([`crate::sched::affinity::guard`]) mistook hundreds of such leftovers per second for addresses
//! in use.
//!
//! # Orderings
//! * P1: the release store of `procs` in [`Sched::set_procs`] -> the acquire load in [`Sched::ps`]:
//!   the Ps in use are visible.
//! * P2: the release increments of `ended` counts -> the acquire loads in [`Sched::alive`].

use std::collections::VecDeque;
use std::iter;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::api::config::MAX_PROCS;
use crate::gmp::{GRef, M, P};
use crate::machine::sys::mutex::{Mutex, MutexGuard};
use crate::machine::sys::parker::Parker;
use crate::machine::sys::switch::Entry;
use crate::machine::sys::thread_end::ThreadEnd;
use crate::protocol::idle::IdleWord;
use crate::protocol::poller::Doorbell;
use crate::sched::global::Global;
use crate::time::clock;

/// An idle P, and the M that watches its timers.
pub(crate) struct IdleP {
    pub(crate) p: &'static P,
    pub(crate) watcher: Option<&'static M>,
}

/// The state that the scheduler's lock protects.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) idle: Vec<IdleP>,
    /// The Ms without a P.
    ///
    /// The last in the list is used first; it is roughly the one that parked last.
    pub(crate) spare: Vec<&'static M>,
    /// An M whose thread waits for its first P, or for its pinned goroutine.
    pub(crate) standby: Option<&'static M>,
    /// Whether an M is being started to stand by.
    pub(crate) refilling: bool,
    /// Whether a thread was requested in vain while that M starts.
    pub(crate) thread_wanted: bool,
    /// Ms whose threads sysmon is to start, each with a P in hand.
    pub(crate) orders: Vec<&'static M>,
    /// Pinned goroutines for which sysmon is to start threads, in order.
    pub(crate) pinned_waiting: VecDeque<GRef>,
    /// Ms without a thread: it has ended or could not be started.
    pub(crate) threadless_ms: Vec<&'static M>,
    /// Ps that are out of use and have been emptied.
    pub(crate) retired_ps: Vec<&'static P>,
    /// Every M ever created, by id.
    pub(crate) all_ms: Vec<&'static M>,
    /// The number of Ms that have a thread, or for which one was ordered.
    pub(crate) threads: usize,
    /// The largest value that `threads` has had.
    pub(crate) peak: usize,
    /// How many of `threads` belong to one pinned goroutine.
    pub(crate) pinned: usize,
    /// How many of `threads` are out of use because a goroutine has ended there while it was locked
    /// to the thread.
    pub(crate) out_of_use: usize,
    /// Set if the system has refused a thread and has not granted one since.
    pub(crate) refusal: Option<Refusal>,
}

/// A refusal by the system to start a thread.
pub(crate) struct Refusal {
    /// When the system refused for the first time, and for the last time, in ns.
    pub(crate) since: u64,
    pub(crate) last: u64,
    pub(crate) error: String,
}

impl Lists {
    /// Returns the number of Ms that sleep without a P, or as the watcher of an idle P.
    pub(crate) fn idle_ms(&self) -> usize {
        self.spare.len()
            + usize::from(self.standby.is_some())
            + self.idle.iter().filter(|idle| idle.watcher.is_some()).count()
    }
}

/// The state that all Ms share.
pub(crate) struct Sched {
    pub(crate) idle: IdleWord,
    lists: Mutex<Lists>,
    pub(crate) global: Global<GRef>,
    /// Every P ever created, by id, followed by empty places.
    ///
    /// Filled under the lock of the lists.
    table: Box<[OnceLock<&'static P>]>,
    procs: AtomicU32,
    pub(crate) next_id: AtomicU64,
    /// The numbers of goroutines spawned and ended by threads that had no P at that time.
    pub(crate) spawned_outside: AtomicU64,
    pub(crate) ended_outside: AtomicU64,
    /// The number of Ms that sleep outside of the lists until they are handed a P for the one
    /// goroutine that they may run.
    pub(crate) blocked_ms: AtomicUsize,
    /// The number of Ms to which a goroutine was seen to be tied
    /// ([`crate::sched::affinity::ties`]).
    pub(crate) tied_ms: AtomicUsize,
    pub(crate) max_threads: usize,
    /// The loop that a new M's thread runs.
    ///
    /// Boot sets it, since the worker is in a layer above this module.
    pub(crate) worker: fn(&'static M),
    /// What runs on each stack, which boot sets for the same reason.
    pub(crate) on_stack: Entry,
    pub(crate) sysmon: Sysmon,
}

/// How sysmon sleeps and is woken.
pub(crate) struct Sysmon {
    pub(crate) parker: Parker,
    pub(crate) asleep: AtomicBool,
    /// Whether sysmon's thread could be started.
    pub(crate) runs: AtomicBool,
    /// Whether threads are to be started ([`crate::sched::threads`]).
    pub(crate) orders: AtomicBool,
    /// Where sysmon sleeps, instead of on the parker, if it is to wake up when a certain thread
    /// ends.
    pub(crate) thread_end: OnceLock<ThreadEnd>,
    /// Armed while sysmon sleeps on `thread_end`.
    pub(crate) bell: Doorbell,
}

impl Sysmon {
    fn new() -> Self {
        Self {
            parker: Parker::new(),
            asleep: AtomicBool::new(false),
            runs: AtomicBool::new(false),
            orders: AtomicBool::new(false),
            thread_end: OnceLock::new(),
            bell: Doorbell::new(),
        }
    }

    /// Ends sysmon's sleep, or its next one.
    ///
    /// Async-signal-safe.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
        if self.bell.ring()
            && let Some(place) = self.thread_end.get()
        {
            place.ring();
        }
    }
}

static SCHED: OnceLock<Sched> = OnceLock::new();

/// Returns the scheduler of the process.
///
/// Boot has run: the caller has an M, or has called `boot::ensure`.
#[inline]
pub(crate) fn sched() -> &'static Sched {
    SCHED.get().expect("sched: used before the runtime has started")
}

/// Returns the scheduler, if it has been started.
pub(crate) fn try_sched() -> Option<&'static Sched> {
    SCHED.get()
}

/// Creates the scheduler, if there is none.
pub(crate) fn init(make: impl FnOnce() -> Sched) {
    SCHED.get_or_init(make);
}

impl Sched {
    pub(crate) fn new(max_threads: usize, worker: fn(&'static M), on_stack: Entry) -> Self {
        Self {
            idle: IdleWord::new(),
            lists: Mutex::default(),
            global: Global::new(),
            table: iter::repeat_with(OnceLock::new).take(MAX_PROCS).collect(),
            procs: AtomicU32::new(0),
            next_id: AtomicU64::new(1),
            spawned_outside: AtomicU64::new(0),
            ended_outside: AtomicU64::new(0),
            tied_ms: AtomicUsize::new(0),
            blocked_ms: AtomicUsize::new(0),
            max_threads,
            worker,
            on_stack,
            sysmon: Sysmon::new(),
        }
    }

    pub(crate) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock()
    }

    /// Returns the number of Ps in use (GOMAXPROCS).
    pub(crate) fn procs(&self) -> u32 {
        self.procs.load(Ordering::Relaxed)
    }

    /// Returns the Ps that are currently in use.
    #[inline]
    pub(crate) fn ps(&self) -> impl Iterator<Item = &'static P> + Clone {
        // ORDERING P1: acquire pairs with the store in `set_procs`.
        let n = self.procs.load(Ordering::Acquire) as usize;
        made(&self.table[..n])
    }

    /// Returns the P that is always in use.
    pub(crate) fn first_p(&self) -> &'static P {
        self.table[0].get().expect("sched: asked for a P before the first was made")
    }

    /// Returns every P that was ever created.
    pub(crate) fn all_ps(&self) -> impl Iterator<Item = &'static P> + Clone {
        made(&self.table)
    }

    /// Puts the first `n` Ps into use, and creates those that are missing.
    ///
    /// The caller holds the lock of the lists.
    pub(crate) fn set_procs(&self, n: usize) {
        for (id, place) in self.table[..n].iter().enumerate() {
            place.get_or_init(|| Box::leak(Box::new(P::new(id as u32))));
        }
        // ORDERING P1: release publishes the Ps; pairs with the load in `ps`.
        self.procs.store(n as u32, Ordering::Release);
    }

    /// Wakes sysmon if it sleeps because all Ps were idle.
    ///
    /// This is called when a P has just been taken, or when a thread that has none has gone to
    /// sleep, so that sysmon must check for a deadlock.
    #[inline]
    pub(crate) fn wake_sysmon(&self) {
        if self.sysmon.asleep.load(Ordering::SeqCst) && self.sysmon.asleep.swap(false, Ordering::SeqCst) {
            // The coarse clock stood still while sysmon slept.
            clock::advance_coarse(clock::now());
            self.sysmon.wake();
        }
    }

    /// Returns the number of goroutines that were spawned and have not ended.
    pub(crate) fn alive(&self) -> u64 {
        // ORDERING P2: all ends are read first, with acquire, which pairs with the release of each
        // count (`Inside::count_ended`, `ended_outside`). So a goroutine that is counted as ended
        // is then also counted as spawned.
        let ended = self.ended_outside.load(Ordering::Acquire) + self.all_ps().map(P::ended).sum::<u64>();
        let spawned = self.all_ps().map(P::spawned).sum::<u64>() + self.spawned_outside.load(Ordering::Acquire);
        spawned.saturating_sub(ended)
    }
}

fn made(places: &[OnceLock<&'static P>]) -> impl Iterator<Item = &'static P> + Clone {
    places.iter().map_while(|place| place.get().copied())
}
