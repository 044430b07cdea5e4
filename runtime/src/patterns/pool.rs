//! Worker pools: a few goroutines for many jobs.
//!
//! # How it works
//! **A pool** is a stage whose goroutines receive from the same input and send to the same output.
//!
//! **A dynamic pool** has no goroutine that distributes the jobs. One worker always waits for the
//! next job: a worker that takes a job and leaves no worker waiting first starts another worker.
//! While there are more workers than the minimum, a worker that waits along with others waits only
//! for `idle_timeout`. The last waiting worker must stay, so it waits without a timer. When another
//! worker runs out of work, that worker ends.
//!
//! **Results in order** need no buffer. The workers form a ring, and each has a channel to the
//! next. Two tokens go around the ring: the right to receive, and the right to send. So the workers
//! take values one after the other, and a result that is ready early waits with its worker.

use std::error::Error;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use greenthread_channels::{Receiver, Sender, after, bounded, select_biased};
use greenthread_ctx::Context;
use greenthread_scheduler::mutex::{Mutex, MutexGuard};

use super::input::Parts;
use super::stage::{Stage, StageGuard, StopReason};
use super::{Input, Pipeline};

/// Runs `f` for each job in `workers` goroutines, and returns the results in the order in which
/// they are ready.
///
/// `f` gets a context that ends when the pool stops, so that a long job can end early. A worker
/// takes its next job after its previous result has been received. A panic of `f` stops the pool,
/// and resumes in the caller that waits for the pool to end. For results in the order of the jobs,
/// use [`Pipeline::map_ordered`].
///
/// Go programs write
/// `for range workers { wg.Go(func() { for job := range jobs { results <- f(ctx, job) } }) }`, and
/// start another goroutine that waits and then closes `results`.
///
/// # Panics
/// If `workers` is zero.
///
/// ```
/// use greenthread::channel;
/// use greenthread::ctx::Context;
/// use greenthread::patterns::worker_pool;
///
/// let (tx, jobs) = channel::bounded(10);
/// (1..=10).for_each(|job| tx.send(job).unwrap());
/// drop(tx);
/// let squares = worker_pool(&Context::background(), 4, jobs, |_, n: u32| n * n);
/// assert_eq!(squares.iter().sum::<u32>(), 385);
/// squares.wait().unwrap();
/// ```
#[track_caller]
pub fn worker_pool<T: Send + 'static, U: Send + 'static>(
    ctx: &Context,
    workers: usize,
    jobs: impl Input<Item = T>,
    f: impl Fn(&Context, T) -> U + Send + Sync + 'static,
) -> Pipeline<U> {
    pool(ctx, 0, workers, jobs, move |stage, job| Ok(f(stage.ctx(), job)))
}

#[track_caller]
fn pool<T: Send + 'static, U: Send + 'static>(
    ctx: &Context,
    capacity: usize,
    workers: usize,
    jobs: impl Input<Item = T>,
    f: impl Fn(&Stage, T) -> Result<U, StopReason> + Send + Sync + 'static,
) -> Pipeline<U> {
    assert_at_least_one(workers);
    let (Parts { values: jobs, upstream: input }, f) = (jobs.into_parts(), Arc::new(f));
    let stage = StageGuard::new(ctx, &input);
    let (tx, values) = bounded(capacity);
    for _ in 0..workers {
        let (jobs, f) = (jobs.clone(), Arc::clone(&f));
        stage.go(input.clone(), tx.clone(), move |stage, tx| {
            stage.for_each(&jobs, |job| stage.send(tx, f(stage, job)?))
        });
    }
    Pipeline { ctx: ctx.clone(), values, stage, capacity }
}

#[track_caller]
fn assert_at_least_one(workers: usize) {
    assert!(workers > 0, "patterns: a pool of 0 workers would never run a job; use at least 1");
}

/// Runs `f` for each job in as many goroutines as the work requires.
///
/// Like [`worker_pool`] otherwise.
///
/// The pool starts with the smaller number of `workers`. When a worker takes a job and no other
/// worker waits for the next one, another worker starts, up to the larger number. Workers above the
/// smaller number end when they have waited for a job for `idle_timeout`. One worker always keeps
/// waiting, so a smaller number of zero means the same as one.
///
/// # Panics
/// If the range of `workers` is empty, or ends with zero.
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::{Pipeline, dynamic_worker_pool};
/// use greenthread::time;
/// use std::time::Duration;
///
/// let ctx = Context::background();
/// let jobs = Pipeline::new(&ctx, 0..100);
/// let done = dynamic_worker_pool(&ctx, 1..=50, Duration::from_secs(10), jobs, |ctx, job| {
///     ctx.sleep(Duration::from_millis(1)).unwrap(); // one worker would take 100 ms
///     job
/// });
/// assert_eq!(done.collect::<Vec<_>>().unwrap().len(), 100);
/// ```
#[track_caller]
pub fn dynamic_worker_pool<T: Send + 'static, U: Send + 'static>(
    ctx: &Context,
    workers: RangeInclusive<usize>,
    idle_timeout: Duration,
    jobs: impl Input<Item = T>,
    f: impl Fn(&Context, T) -> U + Send + Sync + 'static,
) -> Pipeline<U> {
    assert!(!workers.is_empty(), "patterns: the worker range {workers:?} is empty; put the smaller number first");
    let (min, max) = ((*workers.start()).max(1), *workers.end());
    assert_at_least_one(max);
    let Parts { values: jobs, upstream: input } = jobs.into_parts();
    let stage = StageGuard::new(ctx, &input);
    let (tx, values) = bounded(0);
    let count = Mutex::new(WorkerCount { workers: min, waiting: min });
    let pool =
        Arc::new(DynamicPool { jobs, _input: input, f, min, max, idle_timeout, count, site: Location::caller() });
    for _ in 0..min {
        let pool = Arc::clone(&pool);
        stage.go(None, tx.clone(), move |stage, tx| pool.run_worker(stage, tx));
    }
    Pipeline { ctx: ctx.clone(), values, stage, capacity: 0 }
}

/// The state that the workers of a dynamic pool share.
struct DynamicPool<T, F> {
    jobs: Receiver<T>,
    /// Keeps the producer of the jobs running until the last worker ends.
    _input: Option<StageGuard>,
    f: F,
    min: usize,
    max: usize,
    idle_timeout: Duration,
    count: Mutex<WorkerCount>,
    /// Where the pool was created.
    site: &'static Location<'static>,
}

struct WorkerCount {
    workers: usize,
    /// The number of workers that wait for a job, or are about to.
    waiting: usize,
}

impl<T: Send + 'static, U: Send + 'static, F: Fn(&Context, T) -> U + Send + Sync + 'static> DynamicPool<T, F> {
    /// Runs one worker, which has been counted as waiting.
    fn run_worker(self: &Arc<Self>, stage: &Arc<Stage>, results: &Sender<U>) -> Result<(), StopReason> {
        while let Some(job) = self.next_job(stage)? {
            if self.take_job_and_ask_for_worker() {
                let pool = Arc::clone(self);
                stage.go(None, results.clone(), move |stage, results| pool.run_worker(stage, results), self.site);
            }
            stage.send(results, (self.f)(stage.ctx(), job))?;
            self.count().waiting += 1;
        }
        Ok(())
    }
}

impl<T, F> DynamicPool<T, F> {
    /// Returns the next job, or `None` if there are no more or this worker should end.
    fn next_job(&self, stage: &Stage) -> Result<Option<T>, StopReason> {
        if self.count().workers == self.min {
            return stage.recv(&self.jobs);
        }
        let idle_too_long = after(self.idle_timeout);
        select_biased! {
            recv(stage.ctx().done()) -> _ => Err(stage.stop_reason()),
            recv(self.jobs) -> job => Ok(job.ok()),
            recv(idle_too_long) -> _ => if self.try_retire() { Ok(None) } else { stage.recv(&self.jobs) },
        }
    }

    /// Counts a job as taken and returns `true` if the caller must start another worker. That
    /// worker has already been counted.
    fn take_job_and_ask_for_worker(&self) -> bool {
        let mut count = self.count();
        count.waiting -= 1;
        let needs_worker = count.waiting == 0 && count.workers < self.max;
        if needs_worker {
            count.workers += 1;
            count.waiting += 1;
        }
        needs_worker
    }

    /// Removes this worker from the count and returns `true`, unless it is needed.
    fn try_retire(&self) -> bool {
        let mut count = self.count();
        let retires = count.workers > self.min && count.waiting > 1;
        if retires {
            count.workers -= 1;
            count.waiting -= 1;
        }
        retires
    }

    fn count(&self) -> MutexGuard<'_, WorkerCount> {
        self.count.lock()
    }
}

/// Stages that run in several goroutines each.
impl<T: Send + 'static> Pipeline<T> {
    /// Passes each value to `f` in `workers` goroutines, and forwards the results in the order in
    /// which they are ready.
    ///
    /// Like [`map`](Self::map) otherwise; see also [`worker_pool`].
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let words = Pipeline::new(&Context::background(), ["a", "bc", "def"]);
    /// let lengths = words.map_parallel(2, str::len);
    /// assert_eq!(lengths.iter().sum::<usize>(), 6);
    /// ```
    #[track_caller]
    pub fn map_parallel<U: Send + 'static>(
        self,
        workers: usize,
        f: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Pipeline<U> {
        let ctx = self.ctx.clone();
        pool(&ctx, self.capacity, workers, self, move |_, value| Ok(f(value)))
    }

    /// Passes each value to `f`, which can fail, in `workers` goroutines.
    ///
    /// Like [`map_parallel`](Self::map_parallel) otherwise. The first error stops the whole
    /// pipeline, and [`wait`](Self::wait) returns it; results that other workers are just about to
    /// send are lost.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let words = Pipeline::new(&Context::background(), ["1", "two", "3"]);
    /// let numbers = words.try_map_parallel(2, str::parse::<i32>);
    /// assert_eq!(numbers.wait().unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    #[track_caller]
    pub fn try_map_parallel<U, E>(
        self,
        workers: usize,
        f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static,
    ) -> Pipeline<U>
    where
        U: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let ctx = self.ctx.clone();
        pool(&ctx, self.capacity, workers, self, move |stage, value| f(value).map_err(|error| stage.fail(error)))
    }

    /// Passes each value to `f` in `workers` goroutines, and forwards the results in the order of
    /// the values.
    ///
    /// Like [`map`](Self::map) otherwise. A result that is ready before an earlier one waits with
    /// its worker. So at most `workers` results wait, and a value that takes a long time to process
    /// holds up the workers that have finished later values.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let squares = Pipeline::new(&Context::background(), 1..=5).map_ordered(3, |n| n * n);
    /// assert_eq!(squares.collect::<Vec<_>>().unwrap(), [1, 4, 9, 16, 25]);
    /// ```
    #[track_caller]
    pub fn map_ordered<U: Send + 'static>(
        self,
        workers: usize,
        f: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Pipeline<U> {
        self.ordered(workers, f, |_, result| Ok(result))
    }

    /// Passes each value to `f`, which can fail, in `workers` goroutines, and keeps the order of
    /// the values.
    ///
    /// Like [`map_ordered`](Self::map_ordered) otherwise. The results before the first failing
    /// value are forwarded. Then the error of that value stops the whole pipeline, and
    /// [`wait`](Self::wait) returns the error, as in [`try_map`](Self::try_map). By that time, `f`
    /// may already have been called for `workers - 1` values after the failing one.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let words = Pipeline::new(&Context::background(), ["1", "2", "x", "y"]);
    /// let numbers = words.try_map_ordered(4, str::parse::<i32>);
    /// assert_eq!(numbers.iter().collect::<Vec<_>>(), [1, 2]);
    /// assert_eq!(numbers.wait().unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    #[track_caller]
    pub fn try_map_ordered<U, E>(
        self,
        workers: usize,
        f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static,
    ) -> Pipeline<U>
    where
        U: Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let f = move |value| f(value).map_err(Into::<Box<dyn Error + Send + Sync>>::into);
        self.ordered(workers, f, |stage, result| result.map_err(|error| stage.fail(error)))
    }

    /// Adds a stage whose workers call `f` concurrently; `finish` turns each result into an output,
    /// in the order of the inputs.
    #[track_caller]
    fn ordered<R: 'static, U: Send + 'static>(
        self,
        workers: usize,
        f: impl Fn(T) -> R + Send + Sync + 'static,
        finish: fn(&Stage, R) -> Result<U, StopReason>,
    ) -> Pipeline<U> {
        assert_at_least_one(workers);
        let Self { ctx, values: input, stage: upstream, capacity } = self;
        let stage = StageGuard::new(&ctx, [&upstream]);
        let (tx, values) = bounded(capacity);
        let f = Arc::new(f);
        for slots in token_rings(workers) {
            let (input, f) = (input.clone(), Arc::clone(&f));
            stage.go(Some(upstream.clone()), tx.clone(), move |stage, tx| {
                while let Some(value) = slots.receive.with_token(stage, || stage.recv(&input))? {
                    let result = f(value);
                    slots.send.with_token(stage, || stage.send(tx, finish(stage, result)?))?;
                }
                Ok(())
            });
        }
        Pipeline { ctx, values, stage, capacity }
    }
}

/// A worker's slots in the two token rings.
struct TokenSlots {
    receive: TokenSlot,
    send: TokenSlot,
}

/// A worker's position in the ring that a token travels around.
struct TokenSlot {
    token: Receiver<()>,
    next: Sender<()>,
}

impl TokenSlot {
    /// Waits for the token, calls `act`, and passes the token on. Returns `NoReceiver` if the
    /// previous worker has ended.
    fn with_token<R>(&self, stage: &Stage, act: impl FnOnce() -> Result<R, StopReason>) -> Result<R, StopReason> {
        stage.recv(&self.token)?.ok_or(StopReason::NoReceiver)?;
        let done = act()?;
        stage.send(&self.next, ())?;
        Ok(done)
    }
}

/// Returns the slots of `n` workers.
fn token_rings(n: usize) -> impl Iterator<Item = TokenSlots> {
    token_ring(n).zip(token_ring(n)).map(|(receive, send)| TokenSlots { receive, send })
}

/// Returns the slots of one ring. The first slot has the token.
fn token_ring(n: usize) -> impl Iterator<Item = TokenSlot> {
    let (mut next, tokens): (Vec<_>, Vec<_>) = (0..n).map(|_| bounded(1)).unzip();
    next[0].send(()).expect("patterns: the token's receiver is alive");
    next.rotate_left(1);
    tokens.into_iter().zip(next).map(|(token, next)| TokenSlot { token, next })
}
