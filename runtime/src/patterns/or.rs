//! `or`: waits for the first of many signals.

use std::convert::Infallible;

use greenthread_channels::{Receiver, Select, bounded};
use greenthread_ctx::Context;

/// Returns a channel that closes as soon as one of the receivers has a value or is closed, or the
/// context ends.
///
/// The channel is an arm for a `select!` that any of many signals may end: done channels of
/// goroutines, requests to stop. `or` receives nothing, not even from the first receiver that
/// becomes ready; a clone of that receiver, or of any other, can still receive. A value that
/// another goroutine receives at the same moment may count. `or` drops the receivers just before
/// the channel closes.
///
/// Does not block. One goroutine waits, for any number of receivers. It ends when a receiver
/// becomes ready, when the context ends, or when the returned channel is dropped. No goroutine
/// starts if the answer is known at once, or if there are no receivers: then only the context
/// closes the channel. If no stack can be allocated for the goroutine, the channel closes too: a
/// spurious stop is better than a stop that never comes.
///
/// Go programs build this by hand, from `reflect.Select` or from one goroutine for every two or
/// three channels ("Concurrency in Go" calls it the or-channel).
///
/// # Panics
/// If the iterator panics.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::or;
/// use greenthread::spawn;
/// use greenthread::{channel, select};
/// use std::time::Duration;
///
/// let (ctx, _cancel) = Context::background().with_cancel();
/// let (go_on, gate) = channel::bounded::<()>(0);
/// let mut workers = vec![spawn(|| Ok(()))];
/// for _ in 0..3 {
///     let gate = gate.clone();
///     workers.push(spawn(move || gate.recv()));
/// }
/// let first = or(&ctx, workers.iter().map(|worker| worker.done().clone()));
/// select! {
///     recv(first) -> _ => {}
///     default(Duration::from_secs(10)) => panic!("one worker returns at once"),
/// }
/// # drop(go_on);
/// ```
#[must_use = "the signal is lost without the channel"]
#[track_caller]
pub fn or<T: Send + 'static>(ctx: &Context, receivers: impl IntoIterator<Item = Receiver<T>>) -> Receiver<Infallible> {
    let receivers: Vec<Receiver<T>> = receivers.into_iter().collect();
    if receivers.is_empty() {
        return ctx.done().clone();
    }
    let (closes_first, first) = bounded(0);
    let ctx = ctx.clone();
    if signals(&ctx, &receivers).try_ready().is_err() {
        greenthread_scheduler::go(move || {
            let mut signals = signals(&ctx, &receivers);
            signals.closed(&closes_first);
            signals.ready();
            drop(signals);
            // Before the channel closes, so that a goroutine that sees the close finds the
            // receivers dropped.
            drop(receivers);
            drop(closes_first);
        });
    }
    first
}

/// Returns a [`Select`] over the context and all receivers.
fn signals<'a, T>(ctx: &'a Context, receivers: &'a [Receiver<T>]) -> Select<'a> {
    let mut signals = Select::new();
    signals.recv(ctx.done());
    for receiver in receivers {
        signals.recv(receiver);
    }
    signals
}
