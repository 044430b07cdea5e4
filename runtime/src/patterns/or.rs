//! `or`: waits for the first of many signals.

use std::convert::Infallible;

use greenthread_channels::{Receiver, Select, bounded};
use greenthread_ctx::Context;

/// Returns a channel that closes as soon as one of the receivers has a value or is closed, or as
/// soon as the context ends.
///
/// Use the channel as an arm of a `select!` that any of many signals may end, such as the done
/// channels of goroutines or requests to stop. `or` receives nothing, not even from the first
/// receiver that becomes ready: a clone of any receiver can still receive. A receiver may count as
/// ready even if another goroutine receives its value at the same moment. `or` drops the receivers
/// just before the channel closes.
///
/// Does not block. A single goroutine waits, for any number of receivers. That goroutine ends when
/// a receiver becomes ready, when the context ends, or when the returned channel is dropped. No
/// goroutine starts if a receiver is ready or the context has ended already. None starts without
/// receivers either: then only the context closes the channel.
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
            // Dropped before the channel closes, so that a goroutine that sees the close finds the
            // receivers gone.
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
