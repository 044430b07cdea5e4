//! `Pipeline`: goroutines in stages, and the channel of their results. The stages are in
//! `stages.rs`.

use std::fmt;
use std::iter::{self, FusedIterator};

use greenthread_channels::{Receiver, RecvError, Sender, bounded};
use greenthread_ctx::{Cause, Context};

use super::Input;
use super::stage::{Stage, StageGuard, StopReason};

/// A chain of goroutines in stages, and the channel that delivers its values.
///
/// [`Pipeline::new`] starts a pipeline; methods such as [`map`](Self::map) add a stage, that is, a
/// goroutine and a channel. [`worker_pool`](super::worker_pool), [`fan_in`](super::fan_in), and
/// other functions also return pipelines, and accept them as [`Input`]. (Go's blog describes the
/// pattern in "Pipelines and cancellation".)
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::Pipeline;
///
/// let numbers = Pipeline::new(&Context::background(), 1..=100);
/// let squares = numbers.filter(|n| n % 2 == 1).map(|n| n * n);
/// assert_eq!(squares.collect::<Vec<u32>>().unwrap()[..3], [1, 9, 25]);
/// ```
///
/// # When it stops
/// * When its values end: the stages end one after the other.
/// * When the context that it was started with ends, or the pipeline is [canceled](Self::cancel):
///   every goroutine stops waiting and returns.
/// * When it is dropped, or a later stage has received enough values ([`take`](Self::take)): no
///   receiver is left, and all goroutines return. Dropping does not wait for them.
/// * When a stage panics, or stops with an error ([`try_map`](Self::try_map)): the other stages
///   return.
///
/// A function that computes or sleeps is not interrupted; its goroutine returns when the function
/// does.
///
/// # How to see why it ended
/// The values just stop. After receiving the values yourself, call [`wait`](Self::wait) to learn
/// whether you got all of them. It waits for the goroutines, returns the error of a stage or of the
/// context, and resumes the panic of a stage. [`collect`](Self::collect) and
/// [`for_each`](Self::for_each) do the same, and iterators resume a panic.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::Pipeline;
///
/// let words = Pipeline::new(&Context::background(), ["3", "4", "x"]);
/// let numbers = words.try_map(str::parse::<i32>);
/// let mut sum = 0;
/// for n in &numbers {
///     sum += n;
/// }
/// assert_eq!(sum, 7);
/// assert_eq!(numbers.wait().unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[must_use = "a pipeline stops when it is dropped"]
pub struct Pipeline<T> {
    /// The parent of the contexts of further stages.
    pub(super) ctx: Context,
    pub(super) values: Receiver<T>,
    pub(super) stage: StageGuard,
    pub(super) capacity: usize,
}

impl<T: Send + 'static> Pipeline<T> {
    /// Starts a pipeline with a goroutine that sends the items of an iterator.
    ///
    /// The iterator should not block forever, because nothing could interrupt it. For values from a
    /// channel, use [`from_input`](Self::from_input).
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

    /// Starts a pipeline like [`new`](Self::new), but with channels that hold `capacity` values.
    ///
    /// This capacity applies to the first channel, and to the channels of stages added later unless
    /// [`capacity`](Self::capacity) changes it.
    ///
    /// Stages that do little work for each value are several times as fast with a capacity of a few
    /// dozen, because a goroutine then processes many values before the next goroutine runs.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let numbers = Pipeline::with_capacity(&Context::background(), 64, 1..=1000u64);
    /// let squares = numbers.map(|n| n * n);
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

    /// Starts a pipeline with a goroutine that forwards the values of a channel or of another
    /// pipeline.
    ///
    /// Unlike the channel, the pipeline ends when the context ends.
    ///
    /// The pipeline's channels have the capacity of the input's channel, or zero if that channel is
    /// unbounded.
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
        Self::start(ctx, capacity, input.upstream, move |stage, tx| stage.forward(&input.values, tx))
    }

    /// Starts a stage of one goroutine; `input` keeps the stages that it receives from running.
    #[track_caller]
    pub(super) fn start(
        ctx: &Context,
        capacity: usize,
        input: Option<StageGuard>,
        body: impl FnOnce(&Stage, &Sender<T>) -> Result<(), StopReason> + Send + 'static,
    ) -> Self {
        let (tx, values) = bounded(capacity);
        let stage = StageGuard::new(ctx, &input);
        stage.go(input, tx, |stage, tx| body(stage, tx));
        Self { ctx: ctx.clone(), values, stage, capacity }
    }

    /// Adds a stage of one goroutine that receives these values.
    #[track_caller]
    pub(super) fn then<U: Send + 'static>(
        self,
        body: impl FnOnce(&Stage, &Receiver<T>, &Sender<U>) -> Result<(), StopReason> + Send + 'static,
    ) -> Pipeline<U> {
        let Self { ctx, values, stage, capacity } = self;
        Pipeline::start(&ctx, capacity, Some(stage), move |stage, tx| body(stage, &values, tx))
    }

    /// Receives the next value, blocking until one is available.
    ///
    /// # Errors
    /// If there are no more values, for any reason; [`wait`](Self::wait) returns the reason.
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

    /// Returns the channel of the values, for `select!`.
    ///
    /// Clones of the channel do not keep the pipeline running.
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
    ///     default(Duration::from_secs(10)) => panic!("the pipeline is endless"),
    /// }
    /// ```
    pub fn receiver(&self) -> &Receiver<T> {
        &self.values
    }

    /// Returns an iterator over the remaining values that blocks for each of them.
    ///
    /// # Panics
    /// After the last value, if a stage panicked, with the payload of its panic.
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

    /// Receives all values into a collection, blocking until the goroutines have ended.
    ///
    /// Receives only as many values as the collection takes: a `Result` or `Option` takes none
    /// after the first failure.
    ///
    /// # Errors
    /// The cause, if the context ended or a stage stopped with an error before everything was done.
    /// The values are dropped.
    ///
    /// # Panics
    /// If a stage panicked, with the payload of its panic.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    /// use std::time::Duration;
    ///
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(10));
    /// let endless = Pipeline::new(&ctx, 0u64..).filter(|_| false);
    /// let cause = endless.collect::<Vec<_>>().unwrap_err();
    /// assert_eq!(cause.to_string(), "context deadline exceeded");
    /// ```
    pub fn collect<C: FromIterator<T>>(self) -> Result<C, Cause> {
        let (mut values, mut at_end) = (self.iter(), false);
        let next = || {
            let value = values.next();
            at_end = value.is_none();
            value
        };
        let all = iter::from_fn(next).collect();
        let end = if at_end { self.wait() } else { self.abandon() };
        end.map(|()| all)
    }

    /// Calls `f` with each value on the calling goroutine, blocking until the goroutines have
    /// ended.
    ///
    /// If `f` panics, the pipeline is dropped, and stops.
    ///
    /// # Errors
    /// The cause, if the context ended or a stage stopped with an error before everything was done.
    ///
    /// # Panics
    /// If a stage panicked, with the payload of its panic.
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

    /// Drops the remaining values, blocking until the goroutines have finished their work.
    ///
    /// Like `Wait` of Go's errgroup. Some of the goroutines may still be about to exit, so
    /// [`num_goroutine`](crate::num_goroutine) may still count them. This does not wait for
    /// goroutines whose values another pipeline also receives, such as the input of a
    /// [`fan_out`](super::fan_out).
    ///
    /// # Errors
    /// The cause, if the context ended or a stage stopped with an error before everything was done.
    /// If several stages failed, the cause of the first of these stages.
    ///
    /// # Panics
    /// If a stage panicked, with the payload of its panic.
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
        self.stage.wait()
    }

    fn abandon(self) -> Result<(), Cause> {
        drop(self.values);
        self.stage.abandon()
    }

    /// Cancels the last stage, which stops the stages before it.
    ///
    /// Does not block.
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
        self.stage.cancel();
    }
}

/// An iterator over the values of a [`Pipeline`]; see [`Pipeline::iter`].
pub struct Iter<'a, T> {
    pipeline: &'a Pipeline<T>,
}

/// An iterator that owns its [`Pipeline`]: when the iterator is dropped, the pipeline stops.
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
            // Panics if a stage panicked; `wait` returns an error.
            let _ = self.pipeline.stage.outcome();
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
