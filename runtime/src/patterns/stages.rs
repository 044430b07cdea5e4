//! The stages of a `Pipeline` that run one goroutine each.

use std::error::Error;
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, at, select};
use greenthread_ctx::Context;

use super::Pipeline;
use super::stage::{Stage, StopReason};

/// Stages that run in one goroutine each.
///
/// Each stage has a channel of the chosen [capacity](Self::capacity) and keeps the order of the
/// values. For stages that run in several goroutines, see [`map_parallel`](Self::map_parallel),
/// [`map_ordered`](Self::map_ordered), and their fallible counterparts.
impl<T: Send + 'static> Pipeline<T> {
    /// Sets the capacity of the channels of all stages added after this call.
    ///
    /// The default is zero: each stage works on one value and then waits until the next stage takes
    /// it. To also set the capacity of the first channel, use
    /// [`with_capacity`](Self::with_capacity).
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let bytes = Pipeline::new(&Context::background(), "text".bytes());
    /// let chars = bytes.capacity(16).map(char::from);
    /// assert_eq!(chars.receiver().capacity(), Some(16));
    /// # chars.wait().unwrap();
    /// ```
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Passes each value to `f` and forwards the result.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let squares = Pipeline::new(&Context::background(), [2, 3, 4]).map(|n| n * n);
    /// assert_eq!(squares.collect::<Vec<_>>().unwrap(), [4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn map<U: Send + 'static>(self, f: impl FnMut(T) -> U + Send + 'static) -> Pipeline<U> {
        self.then(move |stage, rx, tx| stage.forward_with(rx, tx, f))
    }

    /// Passes each value to `f`, which can fail, and forwards the result.
    ///
    /// The first error stops the whole pipeline, and [`wait`](Self::wait) returns it.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let positive = |n: i32| if n < 0 { Err(format!("{n} is negative")) } else { Ok(n) };
    /// let numbers = Pipeline::new(&Context::background(), [1, -2, 3]).try_map(positive);
    /// assert_eq!(numbers.collect::<Vec<_>>().unwrap_err().to_string(), "-2 is negative");
    /// ```
    #[track_caller]
    pub fn try_map<U, E>(self, mut f: impl FnMut(T) -> Result<U, E> + Send + 'static) -> Pipeline<U>
    where
        U: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.each(move |stage, tx, value| match f(value) {
            Ok(value) => stage.send(tx, value),
            Err(error) => Err(stage.fail(error)),
        })
    }

    /// Forwards only values that `f` returns `true` for.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let odd = Pipeline::new(&Context::background(), 1..=6).filter(|n| n % 2 == 1);
    /// assert_eq!(odd.collect::<Vec<_>>().unwrap(), [1, 3, 5]);
    /// ```
    #[track_caller]
    pub fn filter(self, mut f: impl FnMut(&T) -> bool + Send + 'static) -> Self {
        self.each(move |stage, tx, value| if f(&value) { stage.send(tx, value) } else { Ok(()) })
    }

    /// Passes each value to `f` and, if `f` returns `Some`, forwards the value inside.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let words = Pipeline::new(&Context::background(), ["1", "two", "3"]);
    /// let numbers = words.filter_map(|text| text.parse::<u8>().ok());
    /// assert_eq!(numbers.collect::<Vec<_>>().unwrap(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn filter_map<U: Send + 'static>(self, mut f: impl FnMut(T) -> Option<U> + Send + 'static) -> Pipeline<U> {
        self.each(move |stage, tx, value| f(value).map_or(Ok(()), |value| stage.send(tx, value)))
    }

    /// Passes each value to `f` and forwards the items that `f` returns, one by one.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let lines = Pipeline::new(&Context::background(), ["share by", "communicating"]);
    /// let words = lines.flat_map(str::split_whitespace);
    /// assert_eq!(words.collect::<Vec<_>>().unwrap(), ["share", "by", "communicating"]);
    /// ```
    #[track_caller]
    pub fn flat_map<I>(self, mut f: impl FnMut(T) -> I + Send + 'static) -> Pipeline<I::Item>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
    {
        self.each(move |stage, tx, value| f(value).into_iter().try_for_each(|value| stage.send(tx, value)))
    }

    /// Forwards the first `n` values, then stops the stages upstream.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let first = Pipeline::new(&Context::background(), 1u64..).map(|n| n * n).take(4);
    /// assert_eq!(first.collect::<Vec<_>>().unwrap(), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn take(self, n: usize) -> Self {
        self.then(move |stage, rx, tx| {
            for _ in 0..n {
                let Some(value) = stage.recv(rx)? else { break };
                stage.send(tx, value)?;
            }
            Ok(())
        })
    }

    /// Forwards the values in batches of `size`, for consumers that process batches more cheaply.
    ///
    /// A batch is smaller if it is the last one, or if `timeout` has passed since its first value
    /// arrived.
    ///
    /// # Panics
    /// If `size` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    /// use std::time::Duration;
    ///
    /// let rows = Pipeline::new(&Context::background(), 1..=5).batch(2, Duration::from_secs(10));
    /// assert_eq!(rows.collect::<Vec<_>>().unwrap(), [vec![1, 2], vec![3, 4], vec![5]]);
    /// ```
    #[track_caller]
    pub fn batch(self, size: usize, timeout: Duration) -> Pipeline<Vec<T>> {
        assert!(size > 0, "patterns: a batch of 0 values would never be sent; use a size of at least 1");
        self.then(move |stage, rx, tx| {
            stage.for_each(rx, |first| stage.send(tx, batch(stage.ctx(), rx, first, size, timeout)))
        })
    }

    /// Adds a stage that calls `f` for each value.
    #[track_caller]
    fn each<U: Send + 'static>(
        self,
        mut f: impl FnMut(&Stage, &Sender<U>, T) -> Result<(), StopReason> + Send + 'static,
    ) -> Pipeline<U> {
        self.then(move |stage, rx, tx| stage.for_each(rx, |value| f(stage, tx, value)))
    }
}

/// Returns a batch that begins with `first`: a full batch, or as much as has arrived when the time
/// is up, the values end, or the context ends.
fn batch<T>(ctx: &Context, rx: &Receiver<T>, first: T, size: usize, timeout: Duration) -> Vec<T> {
    let time_is_up = Instant::now().checked_add(timeout).map_or_else(greenthread_channels::never, at);
    let mut batch = vec![first];
    while batch.len() < size {
        select! {
            recv(rx) -> value => match value {
                Ok(value) => batch.push(value),
                Err(_) => break,
            },
            recv(time_is_up) -> _ => break,
            recv(ctx.done()) -> _ => break,
        }
    }
    batch
}
