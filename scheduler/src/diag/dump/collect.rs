//! Finds all goroutines and unwinds their stacks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::ask::{Patience, ask};
use super::{GoroutineInfo, GoroutineState};
use crate::gmp::scheduler::{Sched, try_sched};
use crate::gmp::{G, GRef, M, State};
use crate::machine::stack::POOL;
use crate::machine::stack::look::{StackState, Still};
use crate::machine::sys::unwind::{Registers, Unwinder};
use crate::testing::mechanism::Mechanism;
use crate::time::clock;

/// The number of rounds.
///
/// Each round looks for goroutines that were being switched to or from in the previous one.
///
/// The pause before the second round is [`PAUSE`]. It doubles with each round, to a total of about
/// 130 ms, because on a busy machine such a goroutine may have to wait for a CPU.
const ROUNDS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(1);

/// The maximum number of frames that are read of one stack.
const MAX_FRAMES: usize = 128;

/// The number of threads that may fail to answer before no more threads are asked.
const MAX_SILENT: usize = 20;

/// The time that a goroutine must have run before the dump mentions that time; equal to a time
/// slice.
const BUSY_AFTER: Duration = Duration::from_millis(10);

/// The calls on a stack, innermost first.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trace {
    pub(super) calls: Box<[usize]>,
    /// `true` if the calls lead to the stack's first call.
    pub(super) complete: bool,
}

/// Describes `g`, which is alive or was alive a moment ago.
fn info(g: GRef, name: Option<Arc<str>>, trace: Arc<Trace>) -> GoroutineInfo {
    let (id, spawned_at) = g.id_and_site();
    let state = match g.state() {
        State::Waiting => GoroutineState::Waiting(g.reason()),
        State::Runnable => GoroutineState::Runnable,
        State::Running | State::Dead => GoroutineState::Running,
    };
    let locked = g.bound_m().is_some();
    let parked_for = matches!(state, GoroutineState::Waiting(_)).then(|| g.parked_for());
    GoroutineInfo { id, name, state, spawned_at, thread: None, locked, behind: None, parked_for, busy_for: None, trace }
}

/// Returns all goroutines that have begun and not ended, by id.
pub(super) fn collect() -> Vec<GoroutineInfo> {
    let Some(sched) = try_sched() else { return Vec::new() };
    let mut collection = Collection::new();
    for round in 0..ROUNDS {
        if round > 0 {
            thread::sleep(PAUSE * 2u32.pow(round - 1));
        }
        collection.add_suspended();
        if collection.is_complete() {
            break;
        }
        collection.ask_threads(sched);
    }
    collection.add_untraced(sched);
    collection.set_behind(sched);
    collection.seen.into_values().collect()
}

struct Collection {
    seen: BTreeMap<u64, GoroutineInfo>,
    /// Goroutines that were on a stack, or were being switched to or from, in the last round.
    on_stack: HashSet<*mut G>,
    traces: Traces,
    /// Ms that did not answer.
    silent: HashSet<u32>,
    patience: Patience,
}

impl Collection {
    fn new() -> Self {
        Self {
            seen: BTreeMap::new(),
            on_stack: HashSet::new(),
            traces: Traces::new(),
            silent: HashSet::new(),
            patience: Patience::new(),
        }
    }

    /// Adds the suspended goroutines, and notes the others.
    fn add_suspended(&mut self) {
        let Self { seen, on_stack, traces, .. } = self;
        on_stack.clear();
        POOL.look(|owner, found| {
            // SAFETY: owners are goroutines, whose memory is never unmapped.
            let Some(g) = (unsafe { GRef::from_ptr(owner.cast()) }) else { return };
            match found {
                StackState::Left(still) if is_suspended(g, still) => {
                    seen.entry(g.id).or_insert_with(|| info(g, g.name().cloned(), traces.of_left(g, still)));
                }
                StackState::Left(_) | StackState::Entered => drop(on_stack.insert(g.as_ptr())),
            }
        });
    }

    fn missing(&self) -> impl Iterator<Item = GRef> {
        let found = self.on_stack.iter().filter_map(|g| {
            // SAFETY: the pointer is from `as_ptr`, and the memory of goroutines is never unmapped.
            unsafe { GRef::from_ptr(*g) }
        });
        found.filter(|g| g.state() != State::Dead && !self.seen.contains_key(&g.id_and_site().0))
    }

    fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Adds the running goroutines, with the answers of their threads.
    fn ask_threads(&mut self, sched: &Sched) {
        for m in running(sched) {
            if !Mechanism::AskThreads.is_on() || self.silent.contains(&m.id) || self.silent.len() >= MAX_SILENT {
                continue;
            }
            let busy_for = busy_for(m);
            let Self { seen, traces, silent, patience, .. } = self;
            let answered = ask(m, patience, |asked| {
                let trace = traces.unwind(asked.registers, |address| asked.read(address));
                let found = info(asked.g, asked.name.clone(), trace);
                seen.entry(found.id).or_insert(GoroutineInfo { thread: Some(m.id), busy_for, ..found });
            });
            if answered.is_none() {
                silent.insert(m.id);
            }
        }
    }

    /// Adds the goroutines that were never suspended and whose threads did not answer.
    fn add_untraced(&mut self, sched: &Sched) {
        let ms = running(sched);
        let missing: Vec<GRef> = self.missing().collect();
        for g in missing {
            let m = ms.iter().find(|m| m.current() == Some(g));
            let found = info(g, None, Arc::default());
            let found = GoroutineInfo { thread: m.map(|m| m.id), busy_for: m.and_then(|m| busy_for(m)), ..found };
            self.seen.insert(found.id, found);
        }
    }

    /// Notes, for each goroutine in an M's inbox, which goroutine runs on that M.
    fn set_behind(&mut self, sched: &Sched) {
        for m in running(sched) {
            let Some((first, _)) = m.current().map(GRef::id_and_site) else { continue };
            for (id, _) in m.inbox.waiting().into_iter().map(GRef::id_and_site) {
                if let Some(found) = self.seen.get_mut(&id) {
                    found.behind = Some(first);
                }
            }
        }
    }
}

/// Returns `true` if the goroutine is parked or waits for its turn, and this stack is its own and
/// not one onto which it has grown.
fn is_suspended(g: GRef, still: Still) -> bool {
    still.contains(g.stack.get().addr()) && matches!(g.state(), State::Waiting | State::Runnable)
}

/// Returns the Ms that run a goroutine.
fn running(sched: &Sched) -> Vec<&'static M> {
    sched.lists().all_ms.iter().copied().filter(|m| m.current().is_some()).collect()
}

fn busy_for(m: &M) -> Option<Duration> {
    let time = m.busy_since().map(|since| Duration::from_nanos(clock::now().saturating_sub(since)));
    time.filter(|time| *time >= BUSY_AFTER)
}

/// Unwinds stacks, and stores each trace once.
struct Traces {
    unwinder: Unwinder,
    known: HashMap<Box<[usize]>, Arc<Trace>>,
    calls: Vec<usize>,
}

impl Traces {
    fn new() -> Self {
        Self { unwinder: Unwinder::new(), known: HashMap::new(), calls: Vec::new() }
    }

    fn of_left(&mut self, g: GRef, still: Still) -> Arc<Trace> {
        // SAFETY: the goroutine is kept from being resumed, and has a stack.
        match unsafe { (*g.stack.get()).saved() } {
            Some(registers) => self.unwind(registers, |address| still.read(address)),
            None => Arc::default(),
        }
    }

    /// Unwinds a stack.
    ///
    /// A panic inside the unwinder is caught, since a caller keeps the stack still.
    fn unwind(&mut self, from: Registers, read: impl FnMut(usize) -> Option<usize>) -> Arc<Trace> {
        if !Mechanism::Unwind.is_on() {
            return Arc::default();
        }
        self.calls.clear();
        let visit = |call| {
            self.calls.push(call);
            if self.calls.len() < MAX_FRAMES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let walk = || self.unwinder.walk(from, read, visit);
        let complete = panic::catch_unwind(AssertUnwindSafe(walk)).unwrap_or(false);
        if let Some(trace) = self.known.get(&self.calls[..]).filter(|trace| trace.complete == complete) {
            return Arc::clone(trace);
        }
        let trace = Arc::new(Trace { calls: self.calls.as_slice().into(), complete });
        self.known.insert(trace.calls.clone(), Arc::clone(&trace));
        trace
    }
}
