//! `tee`: sends each value to two pipelines.

use greenthread_channels::{Receiver, Sender, bounded, select};
use greenthread_ctx::Context;

use super::stage::{Stage, StageGuard, StopReason};
use super::{Input, Pipeline};

/// Sends each value to both of the returned pipelines.
///
/// Whichever pipeline is ready first gets a value first. The next value follows only when both have
/// taken the current one. So the slower reader sets the pace, and a pipeline that is not read stops
/// the other one. Receive from them in different goroutines. (The pattern has the same name in
/// "Concurrency in Go".)
///
/// When one pipeline is dropped, the other continues. When both are dropped, the input is stopped.
/// The pipelines share a stage, so calling [`cancel`](Pipeline::cancel) on one cancels both.
///
/// The goroutine of the stage clones each value; a panic in `clone` ends both pipelines.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Pipeline, tee};
/// use greenthread::spawn;
///
/// let ctx = Context::background();
/// let (sums, products) = tee(&ctx, Pipeline::new(&ctx, 1..=5u32));
/// let sum = spawn(move || sums.iter().sum::<u32>());
/// assert_eq!(products.iter().product::<u32>(), 120);
/// assert_eq!(sum.join().unwrap(), 15);
/// ```
#[track_caller]
pub fn tee<T: Clone + Send + 'static>(ctx: &Context, input: impl Input<Item = T>) -> (Pipeline<T>, Pipeline<T>) {
    let input = input.into_parts();
    let stage = StageGuard::new(ctx, &input.upstream);
    let (a, a_values) = bounded(0);
    let (b, b_values) = bounded(0);
    stage.go(input.upstream, (a, b), move |stage, (a, b)| send_to_both(stage, &input.values, a, b));
    let half = |values, stage| Pipeline { ctx: ctx.clone(), values, stage, capacity: 0 };
    (half(a_values, stage.clone()), half(b_values, stage))
}

/// Sends each value to both outputs or, once one of them is closed, to the other alone.
fn send_to_both<T: Clone>(stage: &Stage, input: &Receiver<T>, a: &Sender<T>, b: &Sender<T>) -> Result<(), StopReason> {
    let give = |tx, value| match stage.send(tx, value) {
        Ok(()) => Ok(true),
        Err(StopReason::NoReceiver) => Ok(false),
        Err(stop) => Err(stop),
    };
    while let Some(value) = stage.recv(input)? {
        let twin = value.clone();
        let taken = select! {
            send(a, value) -> sent => (sent.is_ok(), give(b, twin)?),
            send(b, twin) -> sent => {
                let sent = sent.is_ok();
                (give(a, value)?, sent)
            }
            recv(stage.ctx().done()) -> _ => return Err(stage.stop_reason()),
        };
        match taken {
            (true, true) => {}
            (true, false) => return stage.forward(input, a),
            (false, true) => return stage.forward(input, b),
            (false, false) => return Err(StopReason::NoReceiver),
        }
    }
    Ok(())
}
