//! The goroutines behind a [`Pipeline`](super::Pipeline): how they learn that they are to stop, and how others learn how they ended.
//!
//! # How it works
//! A *stage* is some goroutines with the same inputs and outputs. It has a context, derived from the user's, which ends
//! * with that;
//! * when one of the goroutines fails: it panics, or gives up with an error, which becomes the cause;
//! * when nobody wants its values any more ([`Demand`]).
//!
//! **Demand goes up.** The goroutines of a stage keep the demand for its inputs until they end, for whatever reason; the user keeps that for
//! the last stage. When it is dropped, the stage is cancelled. Closed channels alone would not do: a goroutine that waits for input does not
//! notice that its output is closed.
//!
//! **Ends go down**, as closed channels. A goroutine that ends because of its input, or because nobody wants more, has not failed.
//!
//! **Failures stay** with the stage, the first of each, until somebody asks for the end of a pipeline, and so for all stages above it. A
//! failure is noted before the goroutine drops its senders: who finds the channel closed finds the failure too.

use std::any::Any;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenthread_channels::{Receiver, Sender};
use greenthread_ctx::{CancelCause, Cause, Context, RecvError, SendError};
use greenthread_scheduler::Exited;

use crate::sync::WaitGroup;

/// Goroutines with the same inputs and outputs.
pub(super) struct Stage {
    ctx: Context,
    cancel: CancelCause,
    working: WaitGroup,
    failure: Mutex<Option<Failure>>,
    inputs: Vec<Arc<Stage>>,
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

/// The cause with which a stage is cancelled that nobody wants anything of.
#[derive(Debug)]
struct Unwanted;

/// Keeps a stage going: when the last clone is dropped, it is cancelled.
#[derive(Clone)]
pub(super) struct Demand(Arc<Wanted>);

struct Wanted(Arc<Stage>);

impl Demand {
    /// For a new stage without goroutines yet, whose inputs are what the `inputs` keep going.
    pub(super) fn new<'a>(ctx: &Context, inputs: impl IntoIterator<Item = &'a Self>) -> Self {
        let (ctx, cancel) = ctx.with_cancel_cause();
        let inputs = inputs.into_iter().map(|demand| Arc::clone(&demand.0.0)).collect();
        let stage = Stage { ctx, cancel, working: WaitGroup::new(), failure: Mutex::new(None), inputs };
        Self(Arc::new(Wanted(Arc::new(stage))))
    }

    /// Runs `body` as a goroutine of the stage. It reads what `input` keeps going, and sends to `outputs`.
    #[track_caller]
    pub(super) fn go<O: Send + 'static>(
        &self,
        input: Option<Self>,
        outputs: O,
        body: impl FnOnce(&Stage, &O) -> Result<(), Stop> + Send + 'static,
    ) {
        let stage = Arc::clone(&self.0.0);
        stage.working.add(1);
        greenthread_scheduler::go(move || {
            match panic::catch_unwind(AssertUnwindSafe(|| body(&stage, &outputs))) {
                Ok(Ok(()) | Err(Stop::Unwanted)) => {}
                Ok(Err(Stop::Ended(cause))) => stage.note(Failure::Error(cause)),
                Err(payload) if payload.is::<Exited>() => {
                    stage.note(Failure::from("patterns: a stage has called exit_goroutine"));
                }
                Err(payload) => stage.note(Failure::Panic(payload)),
            }
            drop(outputs);
            drop(input);
            stage.working.done();
        });
    }

    /// Cancels the stage.
    pub(super) fn cancel(&self) {
        self.0.0.cancel.cancel(greenthread_ctx::Error::Canceled);
    }

    /// Waits until the goroutines of the stage, and of all above it, have ended. An error is that of the stage furthest up.
    ///
    /// # Panics
    /// If one of them has, with its payload.
    pub(super) fn wait(&self) -> Result<(), Cause> {
        let mut end = Ok(());
        self.0.0.walk(|stage| {
            stage.working.wait();
            match stage.take_failure() {
                None => {}
                Some(Failure::Error(cause)) => end = Err(cause),
                Some(Failure::Panic(payload)) => panic::resume_unwind(payload),
            }
        });
        end
    }

    /// Goes on with the panic of a goroutine of this stage, or of one above it, if there was one. Does not block.
    pub(super) fn resume_panic(&self) {
        self.0.0.walk(|stage| {
            let panicked = matches!(*stage.failure(), Some(Failure::Panic(_)));
            if panicked && let Some(Failure::Panic(payload)) = stage.take_failure() {
                panic::resume_unwind(payload);
            }
        });
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.cancel.cancel(Unwanted);
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Self {
        Self::Error(Arc::from(Box::<dyn Error + Send + Sync>::from(text)))
    }
}

impl Stage {
    /// The stage's own context.
    pub(super) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// Receives; none at the end of the values.
    pub(super) fn recv<T>(&self, rx: &Receiver<T>) -> Result<Option<T>, Stop> {
        match self.ctx.recv(rx) {
            Ok(value) => Ok(Some(value)),
            Err(RecvError::Disconnected) => Ok(None),
            Err(RecvError::Ended(_)) => Err(self.stop()),
        }
    }

    pub(super) fn send<T>(&self, tx: &Sender<T>, value: T) -> Result<(), Stop> {
        self.ctx.send(tx, value).map_err(|error| match error {
            SendError::Disconnected(_) => Stop::Unwanted,
            SendError::Ended(..) => self.stop(),
        })
    }

    /// Cancels the stage with an error of the user's.
    pub(super) fn fail(&self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Stop {
        self.cancel.cancel(error);
        self.stop()
    }

    /// What to return now that the context has ended.
    pub(super) fn stop(&self) -> Stop {
        match self.ctx.cause() {
            Some(cause) if !cause.is::<Unwanted>() => Stop::Ended(cause),
            _ => Stop::Unwanted,
        }
    }

    /// Notes how a goroutine ended, and stops the others.
    fn note(&self, failure: Failure) {
        self.failure().get_or_insert(failure);
        self.cancel.cancel("patterns: a goroutine of the stage has failed");
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Calls `f` for the stage and all above it, each once.
    fn walk(self: &Arc<Self>, mut f: impl FnMut(&Self)) {
        let mut seen = HashSet::new();
        let mut stages = vec![self];
        while let Some(stage) = stages.pop() {
            if seen.insert(Arc::as_ptr(stage)) {
                f(stage);
                stages.extend(&stage.inputs);
            }
        }
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

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("patterns: nobody wants the values")
    }
}

impl Error for Unwanted {}
