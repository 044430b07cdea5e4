//! `tee`: one sequence of values, twice.

use greenthread_channels::{Receiver, Sender, bounded, select};
use greenthread_ctx::Context;

use super::stage::{Demand, Stage, Stop};
use super::{Input, Pipeline};

/// Gives each value to both pipelines (`tee` in "Concurrency in Go"): to the one first that takes it first, and the
/// next value when both have taken this one. So the slower one sets the pace, and one that nobody receives from stops
/// the other: receive in different goroutines.
///
/// When one is dropped, the other goes on. When both are, the input is stopped. They share a stage:
/// [`cancel`](Pipeline::cancel) is for both.
///
/// A value is cloned in the goroutine of the stage; a panic there ends both pipelines.
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
    let demand = Demand::new(ctx, &input.demand);
    let (a, a_values) = bounded(0);
    let (b, b_values) = bounded(0);
    demand.go(input.demand, (a, b), move |stage, (a, b)| give_both(stage, &input.values, a, b));
    let half = |values, demand| Pipeline { ctx: ctx.clone(), values, demand, capacity: 0 };
    (half(a_values, demand.clone()), half(b_values, demand))
}

/// Sends each value to both, until they are at an end; if one of the outputs is closed, then to the other alone.
fn give_both<T: Clone>(stage: &Stage, input: &Receiver<T>, a: &Sender<T>, b: &Sender<T>) -> Result<(), Stop> {
    let give = |tx, value| match stage.send(tx, value) {
        Ok(()) => Ok(true),
        Err(Stop::Unwanted) => Ok(false),
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
            recv(stage.ctx().done()) -> _ => return Err(stage.stop()),
        };
        match taken {
            (true, true) => {}
            (true, false) => return stage.forward(input, a),
            (false, true) => return stage.forward(input, b),
            (false, false) => return Err(Stop::Unwanted),
        }
    }
    Ok(())
}
