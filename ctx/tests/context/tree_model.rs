//! Random trees, compared with a model: a list in which each context knows its parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::random::Rng;
use crate::common::{everywhere, random, rounds, until};
use greenthread_channels::TryRecvError;
use greenthread_ctx::{CancelCause, Context, Error, Stop};

/// One context, until it is dropped, and the model's knowledge about it.
struct Modelled {
    ctx: Option<Context>,
    cancel: Option<CancelCause>,
    parent: Option<usize>,
    /// `true` if it ends with its parent.
    linked: bool,
    /// The number that was given as the cause of its cancellation.
    end: Option<usize>,
    deadline: Option<Instant>,
    value: Option<usize>,
}

/// A function that waits for the end of a context.
struct Waiting {
    of: usize,
    stopped: bool,
    stop: Stop,
    calls: Arc<AtomicUsize>,
}

struct Model {
    random: Rng,
    all: Vec<Modelled>,
    funcs: Vec<Waiting>,
    base: Instant,
}

impl Model {
    fn new(random: Rng) -> Self {
        let root = Modelled {
            ctx: Some(Context::background()),
            cancel: None,
            parent: None,
            linked: false,
            end: None,
            deadline: None,
            value: None,
        };
        Self { random, all: vec![root], funcs: Vec::new(), base: Instant::now() + Duration::from_secs(3600) }
    }

    /// Picks a context that was not dropped.
    fn any(&mut self) -> (usize, Context) {
        loop {
            let n = self.random.index(self.all.len());
            if let Some(ctx) = &self.all[n].ctx {
                return (n, ctx.clone());
            }
        }
    }

    fn derive(&mut self) {
        let (parent, ctx) = self.any();
        let Modelled { end, deadline, value, .. } = self.all[parent];
        let mut child = Modelled { ctx: None, cancel: None, parent: Some(parent), linked: true, end, deadline, value };
        child.ctx = Some(match self.random.below(6) {
            0 => {
                child.value = Some(self.all.len());
                ctx.with_value(self.all.len())
            }
            1 => {
                (child.linked, child.end, child.deadline) = (false, None, None);
                ctx.without_cancel()
            }
            2 => {
                let own = self.base + Duration::from_secs(self.random.below(1000));
                child.deadline = Some(deadline.map_or(own, |earlier| earlier.min(own)));
                let (timed, cancel) = ctx.with_deadline(own);
                cancel.disarm();
                timed
            }
            _ => {
                let (ctx, cancel) = ctx.with_cancel_cause();
                child.cancel = Some(cancel);
                ctx
            }
        });
        self.all.push(child);
    }

    fn cancel(&mut self, reason: usize) {
        let n = self.random.index(self.all.len());
        let Some(cancel) = &self.all[n].cancel else { return };
        cancel.cancel(reason.to_string());
        self.all[n].end.get_or_insert(reason);
        // A child comes after its parent.
        for child in n + 1..self.all.len() {
            if self.all[child].linked
                && let Some(end) = self.all[child].parent.and_then(|parent| self.all[parent].end)
            {
                self.all[child].end.get_or_insert(end);
            }
        }
    }

    /// Drops a context and its handle without canceling.
    fn disarm(&mut self) {
        let n = self.random.index(self.all.len());
        if n > 0 {
            self.all[n].ctx = None;
            if let Some(cancel) = self.all[n].cancel.take() {
                cancel.disarm();
            }
        }
    }

    fn after_func(&mut self) {
        let (of, ctx) = self.any();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let stop = ctx.after_func(move || _ = count.fetch_add(1, Ordering::Relaxed));
        self.funcs.push(Waiting { of, stopped: false, stop, calls });
    }

    fn stop(&mut self) {
        if !self.funcs.is_empty() {
            let n = self.random.index(self.funcs.len());
            let func = &mut self.funcs[n];
            let wanted = !func.stopped && self.all[func.of].end.is_none();
            assert_eq!(func.stop.stop(), wanted, "function {n}");
            func.stopped |= wanted;
        }
    }

    fn check(&self) {
        for (n, modelled) in self.all.iter().enumerate() {
            let Some(ctx) = &modelled.ctx else { continue };
            assert_eq!(ctx.err(), modelled.end.map(|_| Error::Canceled), "{n}: {ctx}");
            let cause = ctx.cause().map(|cause| cause.to_string());
            assert_eq!(cause, modelled.end.map(|end| end.to_string()), "{n}: {ctx}");
            assert_eq!(ctx.deadline(), modelled.deadline, "{n}: {ctx}");
            assert_eq!(ctx.value(), modelled.value.as_ref(), "{n}: {ctx}");
            // Calls `done` on some contexts only. The others have no channel when they end.
            if n % 2 == 0 {
                let done = if modelled.end.is_some() { TryRecvError::Disconnected } else { TryRecvError::Empty };
                assert_eq!(ctx.done().try_recv(), Err(done), "{n}: {ctx}");
            }
        }
    }

    /// Checks that every function whose context has ended was called once, and that no other
    /// function was called.
    fn finish(self) {
        for (n, func) in self.funcs.iter().enumerate() {
            let wanted = usize::from(!func.stopped && self.all[func.of].end.is_some());
            until(|| func.calls.load(Ordering::Relaxed) >= wanted);
            assert_eq!(func.calls.load(Ordering::Relaxed), wanted, "function {n}");
            // A waiting function keeps its context alive, and with it the timer.
            func.stop.stop();
        }
    }
}

#[test]
fn random_trees_behave_as_the_model() {
    everywhere(|| {
        for _ in rounds(200) {
            let mut model = Model::new(random());
            for step in 0..120 {
                match model.random.below(10) {
                    0..5 => model.derive(),
                    5 => model.cancel(step),
                    6 => model.disarm(),
                    7 => model.after_func(),
                    8 => model.stop(),
                    _ => model.check(),
                }
            }
            model.check();
            model.finish();
        }
    });
}
