//! The goroutines behind a [`Pipeline`](super::Pipeline): how they learn that they must stop, and
//! how other goroutines learn how they ended.
//!
//! # How it works
//! A *stage* is a group of goroutines with the same inputs and outputs. Its context is derived from
//! the user's context. The stage's context ends
//! * with the user's context;
//! * when one of the goroutines panics, or stops with an error (the error becomes the cause);
//! * when no receiver is left for the stage's values, because the last [`StageGuard`] is dropped.
//!
//! **Guards go upstream.** Each goroutine of a stage holds the guards of its inputs until the
//! goroutine ends for whatever reason. The user's `Pipeline` holds the guard of the last stage.
//! When the last guard of a stage is dropped, the stage is canceled. Closed channels alone would
//! not suffice: a goroutine that waits for input does not notice that its output is closed.
//!
//! **Ends go downstream**, as closed channels. A goroutine has not failed if it ends because its
//! input ended or because no receiver is left.
//!
//! **Failures stay** with their stage until a caller asks for the outcome of the pipeline, and thus
//! for the outcome of all stages upstream. A stage keeps its first failure, except that a panic
//! replaces an error. A failure is recorded before the goroutine drops its senders, so a receiver
//! that finds the channel closed also finds the failure.
//!
//! **Waiting** for a stage includes waiting for the stages upstream, except for the stages that
//! continue for another receiver. A goroutine drops its guards before it counts as ended. So once
//! the stages downstream have ended, a stage without another receiver is canceled, and ends soon.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::error::Error;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenthread_channels::{Receiver, Sender};
use greenthread_ctx::{CancelCause, Cause, Context, RecvError, SendError};
use greenthread_scheduler::mutex::{Mutex, MutexGuard};
use greenthread_scheduler::{Exited, Options};

use crate::sync::WaitGroup;

/// A group of goroutines with the same inputs and outputs.
pub(super) struct Stage {
    ctx: Context,
    cancel: CancelCause,
    goroutines: WaitGroup,
    /// Set when no guard is left, before the stage is canceled.
    abandoned: AtomicBool,
    failure: Mutex<Option<Failure>>,
    inputs: Vec<Arc<Stage>>,
    /// Greater than the depth of every input.
    depth: usize,
}

/// The reason that a goroutine of a stage ended before its work was done.
enum Failure {
    Error(Cause),
    Panic(Box<dyn Any + Send>),
}

/// The reason that a goroutine of a stage must return early.
pub(super) enum StopReason {
    /// No receiver is left for its output.
    NoReceiver,
    /// The context has ended.
    Ended(Cause),
}

/// Everything that a goroutine of a stage drops at its end, in this order.
struct Worker<O> {
    failure: Option<Failure>,
    outputs: O,
    _input: Option<StageGuard>,
    done: DoneGuard,
}

/// Counts a goroutine as ended when it is dropped.
struct DoneGuard(Arc<Stage>);

/// Keeps a stage running: when the last clone is dropped, the stage is canceled.
#[derive(Clone)]
pub(super) struct StageGuard(Arc<CancelOnDrop>);

struct CancelOnDrop(Arc<Stage>);

// A panic leaves nothing half done: a stage records only its outcome, and the outcome is set in one
// step.
impl UnwindSafe for Stage {}
impl RefUnwindSafe for Stage {}

impl StageGuard {
    /// Creates a stage without goroutines, whose inputs are the stages of the guards `inputs`.
    pub(super) fn new<'a>(ctx: &Context, inputs: impl IntoIterator<Item = &'a Self>) -> Self {
        let (ctx, cancel) = ctx.with_cancel_cause();
        let inputs: Vec<_> = inputs.into_iter().map(|guard| Arc::clone(&guard.0.0)).collect();
        let depth = inputs.iter().map(|input| input.depth + 1).max().unwrap_or(0);
        let (goroutines, abandoned, failure) = (WaitGroup::new(), AtomicBool::new(false), Mutex::new(None));
        Self(Arc::new(CancelOnDrop(Arc::new(Stage { ctx, cancel, goroutines, abandoned, failure, inputs, depth }))))
    }

    /// Runs `body` in a goroutine of the stage. The goroutine holds the guard `input` and sends to
    /// `outputs`.
    #[track_caller]
    pub(super) fn go<O: Send + 'static>(
        &self,
        input: Option<Self>,
        outputs: O,
        body: impl FnOnce(&Arc<Stage>, &O) -> Result<(), StopReason> + Send + 'static,
    ) {
        self.0.0.go(input, outputs, body, Location::caller());
    }

    /// Cancels the stage.
    pub(super) fn cancel(&self) {
        self.0.0.cancel.cancel(greenthread_ctx::Error::Canceled);
    }

    /// Waits until the goroutines of the stage have ended, along with all goroutines upstream that
    /// have no other receiver. Then returns the [`outcome`](Self::outcome).
    pub(super) fn wait(&self) -> Result<(), Cause> {
        self.0.0.goroutines.wait();
        self.0.0.wait_for_canceled()
    }

    /// Drops the guard, then waits like [`wait`](Self::wait), but only for stages that are
    /// canceled. So if the stage has another receiver, this does not wait for the stage.
    pub(super) fn abandon(self) -> Result<(), Cause> {
        let stage = Arc::clone(&self.0.0);
        drop(self);
        stage.wait_for_canceled()
    }

    /// Returns the outcome so far of this stage and the stages upstream: the error of the failed
    /// stage that is furthest upstream, if any. Does not block.
    ///
    /// # Panics
    /// If a goroutine of one of the stages panicked, with the payload of its panic.
    pub(super) fn outcome(&self) -> Result<(), Cause> {
        self.0.0.outcome()
    }
}

impl<O> Drop for Worker<O> {
    fn drop(&mut self) {
        if let Some(failure) = self.failure.take() {
            self.done.0.record_failure(failure);
        }
    }
}

impl Drop for DoneGuard {
    fn drop(&mut self) {
        self.0.goroutines.done();
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
        self.0.cancel.cancel("patterns: the output was dropped");
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Self {
        Self::Error(Arc::from(Box::<dyn Error + Send + Sync>::from(text)))
    }
}

impl Stage {
    /// Runs `body` like [`StageGuard::go`]; dumps show `site` as the place where the goroutine was
    /// spawned.
    pub(super) fn go<O: Send + 'static>(
        self: &Arc<Self>,
        input: Option<StageGuard>,
        outputs: O,
        body: impl FnOnce(&Arc<Self>, &O) -> Result<(), StopReason> + Send + 'static,
        site: &'static Location<'static>,
    ) {
        self.goroutines.add(1);
        let mut worker = Worker { failure: None, outputs, _input: input, done: DoneGuard(Arc::clone(self)) };
        let goroutine = move || {
            let end = panic::catch_unwind(AssertUnwindSafe(|| body(&worker.done.0, &worker.outputs)));
            worker.failure = match end {
                Ok(Ok(()) | Err(StopReason::NoReceiver)) => None,
                Ok(Err(StopReason::Ended(cause))) => Some(Failure::Error(cause)),
                Err(payload) if payload.is::<Exited>() => {
                    Some(Failure::from("patterns: a stage called exit_goroutine"))
                }
                Err(payload) => Some(Failure::Panic(payload)),
            };
            drop(worker);
        };
        let options = Options { site: Some(site), ..Options::default() };
        greenthread_scheduler::spawn(goroutine, options).expect("patterns: default options are valid");
    }

    /// Returns the context of the stage.
    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// Receives a value, or returns `None` at the end of the values.
    pub(super) fn recv<T>(&self, rx: &Receiver<T>) -> Result<Option<T>, StopReason> {
        match self.ctx.recv(rx) {
            Ok(value) => Ok(Some(value)),
            Err(RecvError::Disconnected) => Ok(None),
            Err(_) => Err(self.stop_reason()),
        }
    }

    /// Sends a value, or returns `NoReceiver` if the channel is closed.
    pub(super) fn send<T>(&self, tx: &Sender<T>, value: T) -> Result<(), StopReason> {
        self.ctx.send(tx, value).map_err(|error| match error {
            SendError::Disconnected(_) => StopReason::NoReceiver,
            _ => self.stop_reason(),
        })
    }

    /// Calls `f` with each value.
    pub(super) fn for_each<T>(
        &self,
        rx: &Receiver<T>,
        mut f: impl FnMut(T) -> Result<(), StopReason>,
    ) -> Result<(), StopReason> {
        while let Some(value) = self.recv(rx)? {
            f(value)?;
        }
        Ok(())
    }

    /// Forwards all values.
    pub(super) fn forward<T>(&self, rx: &Receiver<T>, tx: &Sender<T>) -> Result<(), StopReason> {
        self.forward_with(rx, tx, |value| value)
    }

    /// Forwards the result of `f` for each value.
    pub(super) fn forward_with<T, U>(
        &self,
        rx: &Receiver<T>,
        tx: &Sender<U>,
        mut f: impl FnMut(T) -> U,
    ) -> Result<(), StopReason> {
        self.for_each(rx, |value| self.send(tx, f(value)))
    }

    /// Cancels the stage with an error from the user's function.
    pub(super) fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) -> StopReason {
        self.cancel.cancel(error);
        self.stop_reason()
    }

    /// Returns the reason that a goroutine must stop, once the context has ended.
    pub(super) fn stop_reason(&self) -> StopReason {
        match self.ctx.cause() {
            Some(cause) if !self.abandoned.load(Ordering::Relaxed) => StopReason::Ended(cause),
            _ => StopReason::NoReceiver,
        }
    }

    /// Records the failure of a goroutine, and stops the other goroutines of the stage.
    fn record_failure(&self, failure: Failure) {
        let mut first = self.failure();
        let counts = first.is_none() || matches!((&*first, &failure), (Some(Failure::Error(_)), Failure::Panic(_)));
        let not_reported = if counts { first.replace(failure) } else { Some(failure) };
        drop(first);
        self.cancel.cancel("patterns: a goroutine of the stage failed");
        // Last, because this may panic, and not under the lock, because it may block.
        drop(not_reported);
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock()
    }

    /// Returns the failure. The payload of a panic is returned only once; later calls return an
    /// error instead.
    fn take_failure(&self) -> Option<Failure> {
        let mut failure = self.failure();
        match &*failure {
            None => None,
            Some(Failure::Error(cause)) => Some(Failure::Error(Arc::clone(cause))),
            Some(Failure::Panic(_)) => failure.replace(Failure::from("patterns: a stage panicked")),
        }
    }

    /// Waits for the stages that are canceled, among this stage and the stages upstream.
    fn wait_for_canceled(self: &Arc<Self>) -> Result<(), Cause> {
        for stage in self.self_and_upstream() {
            if stage.ctx.err().is_some() {
                stage.goroutines.wait();
            }
        }
        self.outcome()
    }

    fn outcome(self: &Arc<Self>) -> Result<(), Cause> {
        let mut end = Ok(());
        for stage in self.self_and_upstream() {
            match stage.take_failure() {
                None => {}
                Some(Failure::Error(cause)) => end = Err(cause),
                Some(Failure::Panic(payload)) => panic::resume_unwind(payload),
            }
        }
        end
    }

    /// Returns this stage and all stages upstream, each of them once, and each before its inputs.
    fn self_and_upstream(self: &Arc<Self>) -> Vec<&Arc<Self>> {
        let (mut seen, mut stages, mut next) = (HashSet::new(), Vec::new(), vec![self]);
        while let Some(stage) = next.pop() {
            if seen.insert(Arc::as_ptr(stage)) {
                stages.push(stage);
                next.extend(&stage.inputs);
            }
        }
        stages.sort_by_key(|stage| Reverse(stage.depth));
        stages
    }
}

/// Iterative, because a recursive drop of a long chain of stages could overflow the stack. Each
/// stage is removed from the stage downstream of it before the downstream stage is dropped.
impl Drop for Stage {
    fn drop(&mut self) {
        let mut stages = mem::take(&mut self.inputs);
        while let Some(stage) = stages.pop() {
            if let Some(mut last) = Arc::into_inner(stage) {
                stages.append(&mut last.inputs);
            }
        }
    }
}
