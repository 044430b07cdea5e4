//! `Pipeline`: goroutines, and the values that come out at their end. Its stages are in `stages.rs`.

use std::fmt;
use std::iter::{self, FusedIterator};

use greenthread_channels::{Receiver, RecvError, Sender, bounded};
use greenthread_ctx::{Cause, Context};

use super::Input;
use super::stage::{Demand, Stage, Stop};

/// Goroutines in stages, and the values that come out at their end (Go's blog: "Pipelines and cancellation").
///
/// [`Pipeline::new`] starts one, methods such as [`map`](Self::map) add a stage each: a goroutine and a channel.
/// [`worker_pool`](super::worker_pool), [`fan_in`](super::fan_in) and others give pipelines too, and take them as
/// [`Input`].
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::Pipeline;
///
/// let squares = Pipeline::new(&Context::background(), 1..=100).filter(|n| n % 2 == 1).map(|n| n * n);
/// assert_eq!(squares.collect::<Vec<u32>>().unwrap()[..3], [1, 9, 25]);
/// ```
///
/// # How it stops
/// * When its values are at an end, so is each stage, one after the other.
/// * When the context ends that it was started with, or it is [cancelled](Self::cancel): every goroutine returns from
///   what it waits for.
/// * When it is dropped, or a later stage has enough ([`take`](Self::take)): nobody wants the values any more, and all
///   goroutines return. Dropping does not wait for that.
/// * When a stage panics, or gives up with an error ([`try_map`](Self::try_map)): the others return.
///
/// A function that computes or sleeps is not interrupted; its goroutine returns when that does.
///
/// # How it ends
/// The values just stop: whoever receives them by hand asks [`wait`](Self::wait) whether they were all. It waits for
/// the goroutines, gives the error or the end of the context, and goes on with the panic of a stage.
/// [`collect`](Self::collect) and [`for_each`](Self::for_each) do that too, and iterating goes on with a panic.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::Pipeline;
///
/// let numbers = Pipeline::new(&Context::background(), ["3", "4", "x"]).try_map(|text| text.parse::<i32>());
/// let mut sum = 0;
/// for n in &numbers {
///     sum += n;
/// }
/// assert_eq!(sum, 7);
/// assert_eq!(numbers.wait().unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[must_use = "a pipeline that is dropped stops"]
pub struct Pipeline<T> {
    /// What the contexts of further stages are derived from.
    pub(super) ctx: Context,
    pub(super) values: Receiver<T>,
    pub(super) demand: Demand,
    pub(super) capacity: usize,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Starts a goroutine that sends what the iterator yields.
    ///
    /// The iterator should not block for ever, as nothing ends that: for values from a channel see
    /// [`from_input`](Self::from_input).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let evens = Pipeline::new(&Context::background(), (0..).step_by(2));
    /// assert_eq!(evens.take(3).collect::<Vec<u64>>().unwrap(), [0, 2, 4]);
    /// ```
    #[track_caller]
    pub fn new<I>(ctx: &Context, items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        Self::with_capacity(ctx, 0, items)
    }

    /// As [`new`](Self::new), with channels that hold `capacity` values: the first, and those of the stages added after it unless
    /// they are [told otherwise](Self::capacity).
    ///
    /// Stages that do little for each value are several times as fast with channels of some dozens: a goroutine then does
    /// many values before the next one has its turn.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let squares = Pipeline::with_capacity(&Context::background(), 64, 1..=1000u64).map(|n| n * n);
    /// assert_eq!(squares.iter().sum::<u64>(), 333_833_500);
    /// ```
    #[track_caller]
    pub fn with_capacity<I>(ctx: &Context, capacity: usize, items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        let mut items = items.into_iter();
        Self::start(ctx, capacity, None, move |stage, tx| items.try_for_each(|item| stage.send(tx, item)))
    }

    /// Starts a goroutine that hands on what comes from a channel, or from another pipeline. In contrast to the channel
    /// it ends with the context.
    ///
    /// Its own channels have the capacity of that one, or none if that has no limit.
    ///
    /// ```
    /// use greenthread::channel;
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let (tx, words) = channel::bounded(2);
    /// let lengths = Pipeline::from_input(&Context::background(), words).map(str::len);
    /// tx.send("go").unwrap();
    /// tx.send("rust").unwrap();
    /// drop(tx);
    /// assert_eq!(lengths.collect::<Vec<_>>().unwrap(), [2, 4]);
    /// ```
    #[track_caller]
    pub fn from_input(ctx: &Context, input: impl Input<Item = T>) -> Self {
        let input = input.into_parts();
        let capacity = input.values.capacity().unwrap_or(0);
        Self::start(ctx, capacity, input.demand, move |stage, tx| stage.forward(&input.values, tx))
    }

    /// One more stage of one goroutine, behind what `input` keeps going.
    #[track_caller]
    pub(super) fn start(
        ctx: &Context,
        capacity: usize,
        input: Option<Demand>,
        body: impl FnOnce(&Stage, &Sender<T>) -> Result<(), Stop> + Send + 'static,
    ) -> Self {
        let (tx, values) = bounded(capacity);
        let demand = Demand::new(ctx, &input);
        demand.go(input, tx, |stage, tx| body(stage, tx));
        Self { ctx: ctx.clone(), values, demand, capacity }
    }

    /// Adds a stage of one goroutine that receives these values.
    #[track_caller]
    pub(super) fn then<U: Send + 'static>(
        self,
        body: impl FnOnce(&Stage, &Receiver<T>, &Sender<U>) -> Result<(), Stop> + Send + 'static,
    ) -> Pipeline<U> {
        let Self { ctx, values, demand, capacity } = self;
        Pipeline::start(&ctx, capacity, Some(demand), move |stage, tx| body(stage, &values, tx))
    }

    /// Receives the next value; blocks until there is one.
    ///
    /// # Errors
    /// If there are no more, for whatever reason: [`wait`](Self::wait) says which.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let one = Pipeline::new(&Context::background(), [1]);
    /// assert_eq!(one.recv(), Ok(1));
    /// assert!(one.recv().is_err());
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        self.values.recv()
    }

    /// The channel that the values come out of, for `select!`. Clones of it do not keep the pipeline going.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    /// use greenthread::select;
    /// use std::time::Duration;
    ///
    /// let numbers = Pipeline::new(&Context::background(), 5..);
    /// select! {
    ///     recv(numbers.receiver()) -> n => assert_eq!(n, Ok(5)),
    ///     default(Duration::from_secs(10)) => panic!("there is one"),
    /// }
    /// ```
    pub fn receiver(&self) -> &Receiver<T> {
        &self.values
    }

    /// The values, as long as there are more; blocks for each.
    ///
    /// # Panics
    /// After the last value, if a stage has panicked: with its payload.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let letters = Pipeline::new(&Context::background(), ["a", "b", "c"]);
    /// assert_eq!(letters.iter().next(), Some("a"));
    /// assert_eq!(letters.iter().collect::<String>(), "bc");
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { pipeline: self }
    }

    /// Receives all values, or as many as the collection takes: a `Result` or `Option` takes none after the first
    /// failure. Blocks until the goroutines have ended.
    ///
    /// # Errors
    /// The cause, if the context has ended, or a stage has given up, before everything was done. The values are dropped.
    ///
    /// # Panics
    /// If a stage has, with its payload.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    /// use std::time::Duration;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
    /// let endless = Pipeline::new(&ctx, 0u64..).filter(|_| false);
    /// assert_eq!(endless.collect::<Vec<_>>().unwrap_err().to_string(), "context deadline exceeded");
    /// ```
    pub fn collect<C: FromIterator<T>>(self) -> Result<C, Cause> {
        let (mut values, mut at_end) = (self.iter(), false);
        let next = || {
            let value = values.next();
            at_end = value.is_none();
            value
        };
        let all = iter::from_fn(next).collect();
        let end = if at_end { self.wait() } else { self.give_up() };
        end.map(|()| all)
    }

    /// Calls `f` with each value, here; blocks until the goroutines have ended. If `f` panics, the pipeline is dropped,
    /// and stops.
    ///
    /// # Errors
    /// The cause, if the context has ended, or a stage has given up, before everything was done.
    ///
    /// # Panics
    /// If a stage has, with its payload.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let mut sum = 0;
    /// Pipeline::new(&Context::background(), 1..=4).for_each(|n| sum += n).unwrap();
    /// assert_eq!(sum, 10);
    /// ```
    pub fn for_each(self, f: impl FnMut(T)) -> Result<(), Cause> {
        self.iter().for_each(f);
        self.wait()
    }

    /// Drops what still comes; blocks until the goroutines have done their work (errgroup's `Wait`); some may be
    /// about to leave for an instant, and are counted by [`num_goroutine`](crate::num_goroutine). For those that another
    /// pipeline wants too, as those that a [`fan_out`](super::fan_out) reads, it does not wait.
    ///
    /// # Errors
    /// The cause, if the context has ended, or a stage has given up, before everything was done. If more than one stage has, that
    /// of the earliest.
    ///
    /// # Panics
    /// If a stage has, with its payload.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let squares = Pipeline::new(&Context::background(), 1..4).map(|n| n * n);
    /// assert_eq!(squares.recv(), Ok(1));
    /// squares.wait().unwrap();
    /// ```
    pub fn wait(self) -> Result<(), Cause> {
        self.values.iter().for_each(drop);
        self.demand.wait()
    }

    fn give_up(self) -> Result<(), Cause> {
        drop(self.values);
        self.demand.give_up()
    }

    /// Cancels the last stage, which stops those before it. Does not block.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let endless = Pipeline::new(&Context::background(), 0u64..);
    /// endless.cancel();
    /// assert_eq!(endless.wait().unwrap_err().to_string(), "context canceled");
    /// ```
    pub fn cancel(&self) {
        self.demand.cancel();
    }
}

/// The values of a [`Pipeline`], from [`Pipeline::iter`].
pub struct Iter<'a, T> {
    pipeline: &'a Pipeline<T>,
}

/// The values of a [`Pipeline`] that ends with it: when the iterator is dropped, the pipeline stops.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::Pipeline;
///
/// let mut sum = 0;
/// for n in Pipeline::new(&Context::background(), 1..) {
///     sum += n;
///     if n == 4 {
///         break;
///     }
/// }
/// assert_eq!(sum, 10);
/// ```
#[must_use = "iterators are lazy"]
pub struct IntoIter<T> {
    pipeline: Pipeline<T>,
}

impl<T: Send + 'static> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let value = self.pipeline.values.recv().ok();
        if value.is_none() {
            // For an error there is `wait`.
            let _ = self.pipeline.demand.outcome();
        }
        value
    }
}

impl<T: Send + 'static> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.pipeline.iter().next()
    }
}

impl<T: Send + 'static> FusedIterator for Iter<'_, T> {}

impl<T: Send + 'static> FusedIterator for IntoIter<T> {}

impl<T: Send + 'static> IntoIterator for Pipeline<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { pipeline: self }
    }
}

impl<'a, T: Send + 'static> IntoIterator for &'a Pipeline<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("values", &self.values).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("pipeline", self.pipeline).finish()
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("pipeline", &self.pipeline).finish()
    }
}
