//! Scripts for a few tasks. They are generated at random, performed concurrently, and recorded.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use greenthread_scheduler::{self as scheduler, GoroutineState, WaitReason};

use super::history::{Arm, Call, Event, History, Outcome, Patience, Stamp};
use crate::common::random::Rng;
use crate::common::{Task, spawn, until, yield_now};

/// The number of times that the other tasks may run without a recorded event before they are
/// assumed to be blocked.
///
/// A wrong assumption is harmless.
const QUIET_YIELDS: usize = 60;

/// The number of times that a task checks whether another task is parked.
const CHECKS: usize = 20;

/// The time limit for both of these loops.
///
/// On a busy machine, a single yield may take as long as this.
const CHECK_LIMIT: Duration = Duration::from_millis(1);

/// Both ends of a channel.
pub(crate) type Ends = (Sender<u32>, Receiver<u32>);

/// Performs an operation on real channels.
pub(crate) type Perform = fn(&Call, &[Ends]) -> Outcome;

/// The next action of a task.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Call(Call),
    /// Lets others run.
    Yield,
    /// Checks for a while whether the given task is parked.
    Watch(usize),
}

/// The way in which the remaining calls end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// All channels are closed.
    Close,
    /// Values are sent and received until no call remains.
    Serve,
}

/// All random choices that are made before a history begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) capacities: Vec<Option<usize>>,
    pub(crate) scripts: Vec<Vec<Step>>,
    pub(crate) end: End,
}

impl Plan {
    /// Creates a plan for three or four tasks with three to six calls each.
    ///
    /// `call` makes a call for a task, from a value that was not used before.
    pub(crate) fn random(
        random: &mut Rng,
        capacities: Vec<Option<usize>>,
        mut call: impl FnMut(&mut Rng, usize, &mut u32) -> Call,
    ) -> Self {
        let mut value = 0;
        let tasks = 3 + random.index(2);
        let scripts = (0..tasks)
            .map(|task| {
                let mut script = Vec::new();
                for _ in 0..3 + random.index(4) {
                    match random.below(6) {
                        0 => script.push(Step::Yield),
                        1 | 2 => script.push(Step::Watch((task + 1 + random.index(tasks - 1)) % tasks)),
                        _ => {}
                    }
                    script.push(Step::Call(call(random, task, &mut value)));
                }
                script
            })
            .collect();
        let end = if random.one_in(2) { End::Close } else { End::Serve };
        Self { capacities, scripts, end }
    }

    /// Performs the scripts, each as a task, and records them.
    ///
    /// The caller is an additional task, which ends all calls.
    pub(crate) fn perform(&self, perform: Perform) -> History {
        silence_close_panics();
        let ends: Vec<Ends> = self.capacities.iter().map(|&cap| cap.map_or_else(unbounded, bounded)).collect();
        let tasks = self.scripts.len();
        let shared: Arc<Shared> = Arc::new(Shared::new(tasks));
        let tasks: Vec<Task<Vec<Event>>> = (0..tasks)
            .map(|task| {
                let mut writer = Recorder::new(&shared, task, ends.clone(), perform);
                let script = self.scripts[task].clone();
                spawn(move || writer.follow(&script))
            })
            .collect();
        let mut writer = Recorder::new(&shared, tasks.len(), ends, perform);
        let all_through = || tasks.iter().all(Task::is_finished);
        shared.wait_until_quiet(all_through);
        match self.end {
            End::Close => writer.close_all(),
            End::Serve => {
                while !all_through() {
                    writer.serve_all();
                    shared.wait_until_quiet(all_through);
                }
            }
        }
        let mut events: Vec<_> = tasks.into_iter().map(Task::join).collect();
        writer.drain();
        events.push(writer.events);
        for (task, events) in events.iter_mut().enumerate() {
            shared.enter_witnesses(task, events);
        }
        History { capacities: self.capacities.clone(), tasks: events }
    }
}

/// Silences the panic of a second close, which occurs thousands of times.
fn silence_close_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&"close of closed channel") {
                report(info);
            }
        }));
    });
}

/// The state that the tasks of a history share.
struct Shared {
    clock: AtomicU64,
    views: Vec<TaskView>,
    begun: AtomicUsize,
}

/// The part of a task's state that other tasks may see.
#[derive(Default)]
struct TaskView {
    /// The task's goroutine id, if it is a goroutine and has begun.
    goroutine: AtomicU64,
    /// Twice the number of calls that have responded, plus one during a call.
    calls: AtomicUsize,
    /// The calls that were seen parked: the number of the call, and the time when it was seen.
    parked: Mutex<Vec<(usize, Stamp)>>,
}

impl Shared {
    fn new(tasks: usize) -> Self {
        let views = (0..=tasks).map(|_| TaskView::default()).collect();
        Self { clock: AtomicU64::new(1), views, begun: AtomicUsize::new(0) }
    }

    /// Returns a new stamp.
    fn stamp(&self) -> Stamp {
        // ORDERING: sequentially consistent, like the tasks' numbers: the task with the later stamp
        // sees everything done before the earlier stamp.
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Waits until nothing has happened for a while, or all tasks are done.
    fn wait_until_quiet(&self, all_through: impl Fn() -> bool) {
        until(|| self.begun.load(Ordering::SeqCst) == self.views.len() - 1);
        until(|| {
            let before = self.clock.load(Ordering::SeqCst);
            let end = Instant::now() + CHECK_LIMIT;
            let goes_on = |_: &usize| !all_through() && Instant::now() < end;
            (0..QUIET_YIELDS).take_while(goes_on).for_each(|_| yield_now());
            self.clock.load(Ordering::SeqCst) == before || all_through()
        });
    }

    /// Checks whether a task is parked in a call, until it is parked or the call has ended.
    fn watch(&self, task: usize) {
        let view = &self.views[task];
        let call = view.calls.load(Ordering::SeqCst);
        let id = view.goroutine.load(Ordering::SeqCst);
        let end = Instant::now() + CHECK_LIMIT;
        for _ in (0..CHECKS).take_while(|_| Instant::now() < end) {
            // The call had begun before the check and had not ended after it, so the check has seen
            // this call.
            if id == 0 || call.is_multiple_of(2) {
                return;
            }
            // The dump reads without ordering, but writing the dump takes far longer than the node
            // takes to become visible.
            let seen = is_parked(id);
            let stamp = self.stamp();
            if view.calls.load(Ordering::SeqCst) != call {
                return;
            }
            if seen {
                view.parked.lock().unwrap_or_else(PoisonError::into_inner).push((call / 2, stamp));
                return;
            }
            yield_now();
        }
    }

    fn enter_witnesses(&self, task: usize, events: &mut [Event]) {
        for &(call, stamp) in self.views[task].parked.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let parked = &mut events[call].parked;
            *parked = Some(parked.map_or(stamp, |before| before.min(stamp)));
        }
    }
}

/// Returns `true` if the runtime shows the goroutine parked in a channel operation.
fn is_parked(goroutine: u64) -> bool {
    let reasons = [WaitReason::ChanSend, WaitReason::ChanReceive, WaitReason::Select];
    let parked = reasons.map(GoroutineState::Waiting);
    scheduler::goroutines().iter().any(|one| one.id == goroutine && parked.contains(&one.state))
}

/// A task that records its calls.
struct Recorder {
    shared: Arc<Shared>,
    task: usize,
    ends: Vec<Ends>,
    perform: Perform,
    events: Vec<Event>,
}

impl Recorder {
    fn new(shared: &Arc<Shared>, task: usize, ends: Vec<Ends>, perform: Perform) -> Self {
        Self { shared: Arc::clone(shared), task, ends, perform, events: Vec::new() }
    }

    fn follow(&mut self, script: &[Step]) -> Vec<Event> {
        let id = scheduler::current().map_or(0, |goroutine| goroutine.id());
        self.shared.views[self.task].goroutine.store(id, Ordering::SeqCst);
        // All tasks begin at the same time, as far as possible.
        self.shared.begun.fetch_add(1, Ordering::SeqCst);
        let all = self.shared.views.len() - 1;
        until(|| self.shared.begun.load(Ordering::SeqCst) == all);
        for step in script {
            match step {
                Step::Call(call) => {
                    self.call(call.clone());
                }
                Step::Yield => yield_now(),
                Step::Watch(task) => self.shared.watch(*task),
            }
        }
        std::mem::take(&mut self.events)
    }

    fn call(&mut self, call: Call) -> Outcome {
        let view = &self.shared.views[self.task].calls;
        view.fetch_add(1, Ordering::SeqCst);
        let invoked = self.shared.stamp();
        let outcome = (self.perform)(&call, &self.ends);
        let responded = self.shared.stamp();
        view.fetch_add(1, Ordering::SeqCst);
        self.events.push(Event { call, outcome, invoked, responded, parked: None });
        outcome
    }

    /// Performs a call, and does not record it if it gives up, because then it changes nothing.
    fn poll(&mut self, arm: Arm) -> Outcome {
        let outcome = self.call(Call::one(arm, Patience::Never));
        if outcome == Outcome::GaveUp {
            self.events.pop();
        }
        outcome
    }

    fn close_all(&mut self) {
        for chan in 0..self.ends.len() {
            if self.call(Call::IsClosed { chan }) == Outcome::IsClosed(false) {
                self.call(Call::Close { chan });
            }
        }
    }

    /// Sends and receives one value on each channel, in case a call waits for it.
    fn serve_all(&mut self) {
        for chan in 0..self.ends.len() {
            if self.poll(Arm::Recv { chan }) == Outcome::GaveUp {
                // These values differ from the scripts' values, which are smaller.
                let value = 1_000_000 + self.events.len() as u32;
                self.poll(Arm::Send { chan, value });
            }
        }
    }

    fn drain(&mut self) {
        for chan in 0..self.ends.len() {
            while let Outcome::Received { .. } = self.call(Call::one(Arm::Recv { chan }, Patience::Never)) {}
        }
    }
}

/// Performs the operations that a channel supports without select and deadlines.
pub(crate) fn perform_one(call: &Call, ends: &[Ends]) -> Outcome {
    match call {
        &Call::Close { chan } => match panic::catch_unwind(AssertUnwindSafe(|| ends[chan].0.close())) {
            Ok(()) => Outcome::Closed,
            Err(_) => Outcome::CloseFailed,
        },
        &Call::IsClosed { chan } => Outcome::IsClosed(ends[chan].0.is_closed()),
        Call::Select { arms, patience, .. } => match (&arms[..], patience) {
            (&[Arm::Send { chan, value }], Patience::Forever) => {
                sent(value, ends[chan].0.send(value).map_err(Into::into))
            }
            (&[Arm::Send { chan, value }], Patience::Never) => sent(value, ends[chan].0.try_send(value)),
            (&[Arm::Recv { chan }], Patience::Forever) => received(ends[chan].1.recv().map_err(Into::into)),
            (&[Arm::Recv { chan }], Patience::Never) => received(ends[chan].1.try_recv()),
            _ => panic!("no plain operation: {call}"),
        },
    }
}

fn sent(value: u32, result: Result<(), TrySendError<u32>>) -> Outcome {
    let (outcome, back) = match result {
        Ok(()) => return Outcome::Sent { arm: 0 },
        Err(TrySendError::Full(back)) => (Outcome::GaveUp, back),
        Err(TrySendError::Disconnected(back)) => (Outcome::SendFailed { arm: 0 }, back),
    };
    assert_eq!(back, value, "another value came back");
    outcome
}

fn received(result: Result<u32, TryRecvError>) -> Outcome {
    match result {
        Ok(value) => Outcome::Received { arm: 0, value },
        Err(TryRecvError::Empty) => Outcome::GaveUp,
        Err(TryRecvError::Disconnected) => Outcome::RecvFailed { arm: 0 },
    }
}
