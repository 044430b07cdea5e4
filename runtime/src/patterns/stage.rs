//! The goroutines behind a [`Pipeline`](super::Pipeline): how they learn that they are to stop, and how others learn
//! how they ended.
//!
//! # How it works
//! A *stage* is some goroutines with the same inputs and outputs. It has a context, derived from the user's, which ends
//! * with that;
//! * when one of the goroutines fails: it panics, or gives up with an error, which becomes the cause;
//! * when nobody wants its values any more ([`Demand`]).
//!
//! **Demand goes up.** The goroutines of a stage keep the demand for its inputs until they end, for whatever reason;
//! the user keeps that for the last stage. When it is dropped, the stage is cancelled. Closed channels alone would not
//! do: a goroutine that waits for input does not notice that its output is closed.
//!
//! **Ends go down**, as closed channels. A goroutine that ends because of its input, or because nobody wants more, has
//! not failed.
//!
//! **Failures stay** with the stage, the first of each and a panic rather than an error, until somebody asks for the
//! end of a pipeline, and so for all stages above it. A failure is noted before the goroutine drops its senders: who
//! finds the channel closed finds the failure too.
//!
//! **Who waits** for a stage waits for those above it, except where others want their values and they go on. A
//! goroutine drops its demand before it counts as ended: so once the stages below have, a stage that is wanted by
//! nobody else is cancelled, and ends soon.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::error::Error;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenthread_channels::{Receiver, Sender};
use greenthread_ctx::{CancelCause, Cause, Context, RecvError, SendError};
use greenthread_scheduler::mutex::{Mutex, MutexGuard};
use greenthread_scheduler::{Exited, Options};

use crate::sync::WaitGroup;

/// Goroutines with the same inputs and outputs.
pub(super) struct Stage {
    ctx: Context,
    cancel: CancelCause,
    working: WaitGroup,
    /// Set before the stage is cancelled for that.
    unwanted: AtomicBool,
    failure: Mutex<Option<Failure>>,
    inputs: Vec<Arc<Stage>>,
    /// More than that of each input.
    rank: usize,
}

/// How a goroutine of a stage ended that did not come to its end.
enum Failure {
    Error(Cause),
    Panic(Box<dyn Any + Send>),
}

/// Why a goroutine of a stage is to return early.
pub(super) enum Stop {
    /// Nobody wants what it makes.
    Unwanted,
    /// The context has ended.
    Ended(Cause),
}

/// What a goroutine of a stage lets go of at its end, in this order; or without having begun, if there is no stack for it.
struct Worker<O> {
    failure: Option<Failure>,
    outputs: O,
    _input: Option<Demand>,
    working: Working,
}

/// A goroutine that is waited for.
struct Working(Arc<Stage>);

/// Keeps a stage going: when the last clone is dropped, it is cancelled.
#[derive(Clone)]
pub(super) struct Demand(Arc<Wanted>);

struct Wanted(Arc<Stage>);

impl Demand {
    /// For a new stage without goroutines yet, whose inputs are what the `inputs` keep going.
    pub(super) fn new<'a>(ctx: &Context, inputs: impl IntoIterator<Item = &'a Self>) -> Self {
        let (ctx, cancel) = ctx.with_cancel_cause();
        let inputs: Vec<_> = inputs.into_iter().map(|demand| Arc::clone(&demand.0.0)).collect();
        let rank = inputs.iter().map(|input| input.rank + 1).max().unwrap_or(0);
        let (working, unwanted, failure) = (WaitGroup::new(), AtomicBool::new(false), Mutex::new(None));
        Self(Arc::new(Wanted(Arc::new(Stage { ctx, cancel, working, unwanted, failure, inputs, rank }))))
    }

    /// Runs `body` as a goroutine of the stage. It reads what `input` keeps going, and sends to `outputs`.
    #[track_caller]
    pub(super) fn go<O: Send + 'static>(
        &self,
        input: Option<Self>,
        outputs: O,
        body: impl FnOnce(&Arc<Stage>, &O) -> Result<(), Stop> + Send + 'static,
    ) {
        self.0.0.go(input, outputs, body, Location::caller());
    }

    /// Cancels the stage.
    pub(super) fn cancel(&self) {
        self.0.0.cancel.cancel(greenthread_ctx::Error::Canceled);
    }

    /// Waits until the goroutines of the stage have ended, and those above it that nobody else wants; then as
    /// [`outcome`](Self::outcome).
    pub(super) fn wait(&self) -> Result<(), Cause> {
        self.0.0.working.wait();
        self.0.0.wait_for_unwanted()
    }

    /// As [`wait`](Self::wait), for who does not want the values any more: if somebody else does, it does not wait for
    /// the stage either.
    pub(super) fn give_up(self) -> Result<(), Cause> {
        let stage = Arc::clone(&self.0.0);
        drop(self);
        stage.wait_for_unwanted()
    }

    /// How the stage, and those above it, have ended so far. An error is that of the stage furthest up. Does not block.
    ///
    /// # Panics
    /// If one of their goroutines has, with its payload.
    pub(super) fn outcome(&self) -> Result<(), Cause> {
        self.0.0.outcome()
    }
}

impl<O> Drop for Worker<O> {
    fn drop(&mut self) {
        if let Some(failure) = self.failure.take() {
            self.working.0.note(failure);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.done();
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.unwanted.store(true, Ordering::Relaxed);
        self.0.cancel.cancel("patterns: nobody wants the values");
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Self {
        Self::Error(Arc::from(Box::<dyn Error + Send + Sync>::from(text)))
    }
}

impl Stage {
    /// As [`Demand::go`], for a goroutine that was asked for at `site`.
    pub(super) fn go<O: Send + 'static>(
        self: &Arc<Self>,
        input: Option<Demand>,
        outputs: O,
        body: impl FnOnce(&Arc<Self>, &O) -> Result<(), Stop> + Send + 'static,
        site: &'static Location<'static>,
    ) {
        self.working.add(1);
        let failure = Some(Failure::from("patterns: there was no stack for a goroutine of a stage"));
        let mut worker = Worker { failure, outputs, _input: input, working: Working(Arc::clone(self)) };
        let goroutine = move || {
            let end = panic::catch_unwind(AssertUnwindSafe(|| body(&worker.working.0, &worker.outputs)));
            worker.failure = match end {
                Ok(Ok(()) | Err(Stop::Unwanted)) => None,
                Ok(Err(Stop::Ended(cause))) => Some(Failure::Error(cause)),
                Err(payload) if payload.is::<Exited>() => {
                    Some(Failure::from("patterns: a stage has called exit_goroutine"))
                }
                Err(payload) => Some(Failure::Panic(payload)),
            };
            drop(worker);
        };
        let options = Options { site: Some(site), ..Options::default() };
        greenthread_scheduler::spawn(goroutine, options).expect("patterns: default options are possible");
    }

    /// The stage's own context.
    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// Receives; none at the end of the values.
    pub(super) fn recv<T>(&self, rx: &Receiver<T>) -> Result<Option<T>, Stop> {
        match self.ctx.recv(rx) {
            Ok(value) => Ok(Some(value)),
            Err(RecvError::Disconnected) => Ok(None),
            Err(_) => Err(self.stop()),
        }
    }

    /// Sends; `Unwanted` if nobody receives any more.
    pub(super) fn send<T>(&self, tx: &Sender<T>, value: T) -> Result<(), Stop> {
        self.ctx.send(tx, value).map_err(|error| match error {
            SendError::Disconnected(_) => Stop::Unwanted,
            _ => self.stop(),
        })
    }

    /// Calls `f` with each value.
    pub(super) fn each<T>(&self, rx: &Receiver<T>, mut f: impl FnMut(T) -> Result<(), Stop>) -> Result<(), Stop> {
        while let Some(value) = self.recv(rx)? {
            f(value)?;
        }
        Ok(())
    }

    /// Hands on all values.
    pub(super) fn forward<T>(&self, rx: &Receiver<T>, tx: &Sender<T>) -> Result<(), Stop> {
        self.forward_with(rx, tx, |value| value)
    }

    /// Hands on what `f` makes of each value.
    pub(super) fn forward_with<T, U>(
        &self,
        rx: &Receiver<T>,
        tx: &Sender<U>,
        mut f: impl FnMut(T) -> U,
    ) -> Result<(), Stop> {
        self.each(rx, |value| self.send(tx, f(value)))
    }

    /// Cancels the stage with an error of the user's.
    pub(super) fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Stop {
        self.cancel.cancel(error);
        self.stop()
    }

    /// What to return now that the context has ended.
    pub(super) fn stop(&self) -> Stop {
        match self.ctx.cause() {
            Some(cause) if !self.unwanted.load(Ordering::Relaxed) => Stop::Ended(cause),
            _ => Stop::Unwanted,
        }
    }

    /// Notes how a goroutine ended, and stops the others.
    fn note(&self, failure: Failure) {
        let mut first = self.failure();
        let counts = first.is_none() || matches!((&*first, &failure), (Some(Failure::Error(_)), Failure::Panic(_)));
        let not_reported = if counts { first.replace(failure) } else { Some(failure) };
        drop(first);
        self.cancel.cancel("patterns: a goroutine of the stage has failed");
        // Last, as it may panic; and not under the lock, as it may block.
        drop(not_reported);
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock()
    }

    /// A payload is given once; who asks later gets an error instead.
    fn take_failure(&self) -> Option<Failure> {
        let mut failure = self.failure();
        match &*failure {
            None => None,
            Some(Failure::Error(cause)) => Some(Failure::Error(Arc::clone(cause))),
            Some(Failure::Panic(_)) => failure.replace(Failure::from("patterns: a stage has panicked")),
        }
    }

    /// Waits for those that have been stopped.
    fn wait_for_unwanted(self: &Arc<Self>) -> Result<(), Cause> {
        for stage in self.line() {
            if stage.ctx.err().is_some() {
                stage.working.wait();
            }
        }
        self.outcome()
    }

    fn outcome(self: &Arc<Self>) -> Result<(), Cause> {
        let mut end = Ok(());
        for stage in self.line() {
            match stage.take_failure() {
                None => {}
                Some(Failure::Error(cause)) => end = Err(cause),
                Some(Failure::Panic(payload)) => panic::resume_unwind(payload),
            }
        }
        end
    }

    /// The stage and all above it, each once, and before those that it reads.
    fn line(self: &Arc<Self>) -> Vec<&Arc<Self>> {
        let (mut seen, mut line, mut next) = (HashSet::new(), Vec::new(), vec![self]);
        while let Some(stage) = next.pop() {
            if seen.insert(Arc::as_ptr(stage)) {
                line.push(stage);
                next.extend(&stage.inputs);
            }
        }
        line.sort_by_key(|stage| Reverse(stage.rank));
        line
    }
}

/// A chain may have more stages than a stack has room for: each is taken out of the one below it before that goes.
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
