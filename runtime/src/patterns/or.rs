//! `or`: the first of many signals.

use std::convert::Infallible;

use greenthread_channels::{Receiver, Select, bounded};
use greenthread_ctx::Context;

/// A channel that closes as soon as one of the receivers has a value or is closed, or the context ends.
///
/// For an arm of a `select!` that any of many may end: done channels of goroutines, requests to stop. Nothing is
/// received, not even from the one that was first: it, and all others, can be received from by whoever has a clone of
/// the receiver. A value that another takes at the same moment may count. The receivers are dropped just before the
/// channel closes.
///
/// Does not block. One goroutine waits, whatever their number; it ends when one of them comes, the context ends, or the
/// channel is dropped. There is none if the answer is known at once, nor if there are no receivers: then only the
/// context closes the channel. If there is no stack for it, the channel closes too: a waiter that is told to stop for
/// nothing is better off than one that is never told.
///
/// Go programs build it by hand, from `reflect.Select` or from a goroutine for every two or three channels.
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
/// let mut workers: Vec<_> = (0..3).map(|_| spawn({ let gate = gate.clone(); move || gate.recv() })).collect();
/// workers.push(spawn(|| Ok(())));
/// let first = or(&ctx, workers.iter().map(|worker| worker.done().clone()));
/// select! {
///     recv(first) -> _ => {}
///     default(Duration::from_secs(10)) => panic!("one of them has nothing to do"),
/// }
/// # drop(go_on);
/// ```
#[must_use = "without the channel nobody learns of it"]
#[track_caller]
pub fn or<T: Send + 'static>(ctx: &Context, receivers: impl IntoIterator<Item = Receiver<T>>) -> Receiver<Infallible> {
    let receivers: Vec<Receiver<T>> = receivers.into_iter().collect();
    if receivers.is_empty() {
        return ctx.done().clone();
    }
    let (open_until_then, first) = bounded(0);
    let ctx = ctx.clone();
    if signals(&ctx, &receivers).try_ready().is_err() {
        greenthread_scheduler::go(move || {
            let mut signals = signals(&ctx, &receivers);
            signals.closed(&open_until_then);
            signals.ready();
            drop(signals);
            // Before the channel closes: who sees that finds them gone.
            drop(receivers);
            drop(open_until_then);
        });
    }
    first
}

/// All that may come, in one list.
fn signals<'a, T>(ctx: &'a Context, receivers: &'a [Receiver<T>]) -> Select<'a> {
    let mut signals = Select::new();
    signals.recv(ctx.done());
    for receiver in receivers {
        signals.recv(receiver);
    }
    signals
}
