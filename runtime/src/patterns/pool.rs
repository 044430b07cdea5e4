//! Worker pools: a few goroutines, many jobs.
//!
//! # How it works
//! **A pool** is a stage whose goroutines receive from the same input, and send to the same output.
//!
//! **A dynamic pool** has no goroutine that hands the jobs out. One worker always waits for the next job: who takes a
//! job and leaves nobody waiting starts another first. A worker that waits beside others while there are more than the
//! minimum does so for `idle` only. The last one that waits must stay, and waits without a timer then: when another has
//! nothing to do any more, it is that one that ends.
//!
//! **Results in order** take no buffer. The workers stand in a circle. The right to receive goes around in it, and so
//! does the right to send, each as a token in a channel from each worker to the next. So values are dealt in turn, and
//! a result that is ready early waits with its worker.

use std::error::Error;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use greenthread_channels::{Receiver, Sender, after, bounded, select_biased};
use greenthread_ctx::Context;
use greenthread_scheduler::mutex::{Mutex, MutexGuard};

use super::input::Parts;
use super::stage::{Demand, Stage, Stop};
use super::{Input, Pipeline};

/// Runs `f` for each job, in `workers` goroutines; the results come out as they are ready.
///
/// `f` gets a context that ends when the pool stops, so that a long job can end early. A worker takes its next job when
/// somebody has taken its result. A panic of `f` stops the pool, and goes on where its end is waited for. For results
/// in the order of the jobs see [`Pipeline::map_ordered`].
///
/// In Go: `for range workers { wg.Go(func() { for job := range jobs { results <- f(ctx, job) } }) }`, and a goroutine
/// that waits and closes.
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
    f: impl Fn(&Stage, T) -> Result<U, Stop> + Send + Sync + 'static,
) -> Pipeline<U> {
    assert_at_least_one(workers);
    let (Parts { values: jobs, demand: input }, f) = (jobs.into_parts(), Arc::new(f));
    let demand = Demand::new(ctx, &input);
    let (tx, values) = bounded(capacity);
    for _ in 0..workers {
        let (jobs, f) = (jobs.clone(), Arc::clone(&f));
        demand.go(input.clone(), tx.clone(), move |stage, tx| stage.each(&jobs, |job| stage.send(tx, f(stage, job)?)));
    }
    Pipeline { ctx: ctx.clone(), values, demand, capacity }
}

#[track_caller]
fn assert_at_least_one(workers: usize) {
    assert!(workers > 0, "patterns: a pool has at least one worker");
}

/// As [`worker_pool`], with as many workers as there is work for.
///
/// It begins with the smaller number of `workers`. When a job is taken and nobody is left to wait for the next, another
/// worker starts, up to the larger number. Those above the smaller number end when they have waited for a job for
/// `idle`, one excepted that waits for the next; so a smaller number of zero is the same as one.
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
    idle: Duration,
    jobs: impl Input<Item = T>,
    f: impl Fn(&Context, T) -> U + Send + Sync + 'static,
) -> Pipeline<U> {
    assert!(!workers.is_empty(), "patterns: a pool of {workers:?} workers; the smaller number comes first");
    let (min, max) = ((*workers.start()).max(1), *workers.end());
    assert_at_least_one(max);
    let Parts { values: jobs, demand: input } = jobs.into_parts();
    let demand = Demand::new(ctx, &input);
    let (tx, values) = bounded(0);
    let count = Mutex::new(Count { workers: min, waiting: min });
    let crew = Arc::new(Crew { jobs, _input: input, f, min, max, idle, count, site: Location::caller() });
    for _ in 0..min {
        let crew = Arc::clone(&crew);
        demand.go(None, tx.clone(), move |stage, tx| crew.work(stage, tx));
    }
    Pipeline { ctx: ctx.clone(), values, demand, capacity: 0 }
}

/// What the workers of a dynamic pool share.
struct Crew<T, F> {
    jobs: Receiver<T>,
    /// Keeps the jobs coming until the last worker ends.
    _input: Option<Demand>,
    f: F,
    min: usize,
    max: usize,
    idle: Duration,
    count: Mutex<Count>,
    /// Where the pool was asked for.
    site: &'static Location<'static>,
}

struct Count {
    workers: usize,
    /// Those of them that wait for a job, or are about to.
    waiting: usize,
}

impl<T: Send + 'static, U: Send + 'static, F: Fn(&Context, T) -> U + Send + Sync + 'static> Crew<T, F> {
    /// What a worker does. It has been counted as one that waits.
    fn work(self: &Arc<Self>, stage: &Arc<Stage>, results: &Sender<U>) -> Result<(), Stop> {
        while let Some(job) = self.next(stage)? {
            if self.take_leaves_none_waiting() {
                let crew = Arc::clone(self);
                stage.go(None, results.clone(), move |stage, results| crew.work(stage, results), self.site);
            }
            stage.send(results, (self.f)(stage.ctx(), job))?;
            self.count().waiting += 1;
        }
        Ok(())
    }
}

impl<T, F> Crew<T, F> {
    /// The next job; none if there is none, or if this worker is one too many.
    fn next(&self, stage: &Stage) -> Result<Option<T>, Stop> {
        if self.count().workers == self.min {
            return stage.recv(&self.jobs);
        }
        let idle = after(self.idle);
        select_biased! {
            recv(stage.ctx().done()) -> _ => Err(stage.stop()),
            recv(self.jobs) -> job => Ok(job.ok()),
            recv(idle) -> _ => if self.leave() { Ok(None) } else { stage.recv(&self.jobs) },
        }
    }

    /// Counts a job as taken: true if another worker is to be started for the next, which is counted already.
    fn take_leaves_none_waiting(&self) -> bool {
        let mut count = self.count();
        count.waiting -= 1;
        let start = count.waiting == 0 && count.workers < self.max;
        if start {
            count.workers += 1;
            count.waiting += 1;
        }
        start
    }

    /// Counts this worker out: true if it is to end.
    fn leave(&self) -> bool {
        let mut count = self.count();
        let leave = count.workers > self.min && count.waiting > 1;
        if leave {
            count.workers -= 1;
            count.waiting -= 1;
        }
        leave
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock()
    }
}

/// Stages of several goroutines.
impl<T: Send + 'static> Pipeline<T> {
    /// As [`map`](Self::map), with `workers` goroutines; the results come as they are ready. See [`worker_pool`].
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let lengths = Pipeline::new(&Context::background(), ["a", "bc", "def"]).map_parallel(2, str::len);
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

    /// As [`map_parallel`](Self::map_parallel), with a function that can fail. The first error stops the whole pipeline, and
    /// [`wait`](Self::wait) gives it; what other workers are about to hand on then is lost.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let numbers = Pipeline::new(&Context::background(), ["1", "two", "3"]).try_map_parallel(2, str::parse::<i32>);
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

    /// As [`map`](Self::map), with `workers` goroutines; the results keep the order of the values. A result that is
    /// ready before one that comes first waits with its worker: so no more than `workers` of them wait, and a value
    /// that takes long holds the workers up that are ahead of it.
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

    /// As [`map_ordered`](Self::map_ordered), with a function that can fail. Everything before the first value that fails is handed on;
    /// then its error stops the whole pipeline, and [`wait`](Self::wait) gives it, as in [`try_map`](Self::try_map). By then `f` may have
    /// been called for `workers - 1` values after that one.
    ///
    /// # Panics
    /// If `workers` is zero.
    ///
    /// ```
    /// use greenthread::ctx::Context;
    /// use greenthread::patterns::Pipeline;
    ///
    /// let numbers = Pipeline::new(&Context::background(), ["1", "2", "x", "y"]).try_map_ordered(4, str::parse::<i32>);
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

    /// Several workers call `f`, at the same time; `finish` makes of each result what is handed on, in order.
    #[track_caller]
    fn ordered<R: 'static, U: Send + 'static>(
        self,
        workers: usize,
        f: impl Fn(T) -> R + Send + Sync + 'static,
        finish: fn(&Stage, R) -> Result<U, Stop>,
    ) -> Pipeline<U> {
        assert_at_least_one(workers);
        let Self { ctx, values: input, demand: upstream, capacity } = self;
        let demand = Demand::new(&ctx, [&upstream]);
        let (tx, values) = bounded(capacity);
        let f = Arc::new(f);
        for turns in circle(workers) {
            let (input, f) = (input.clone(), Arc::clone(&f));
            demand.go(Some(upstream.clone()), tx.clone(), move |stage, tx| {
                while let Some(value) = turns.receive.run(stage, || stage.recv(&input))? {
                    let result = f(value);
                    turns.send.run(stage, || stage.send(tx, finish(stage, result)?))?;
                }
                Ok(())
            });
        }
        Pipeline { ctx, values, demand, capacity }
    }
}

/// A worker's place in the two circles.
struct Turns {
    receive: Turn,
    send: Turn,
}

/// A place in a circle around which a right goes.
struct Turn {
    mine: Receiver<()>,
    next: Sender<()>,
}

impl Turn {
    /// Waits for the right, uses it, and hands it on; `Unwanted` if the worker before has ended.
    fn run<R>(&self, stage: &Stage, act: impl FnOnce() -> Result<R, Stop>) -> Result<R, Stop> {
        stage.recv(&self.mine)?.ok_or(Stop::Unwanted)?;
        let done = act()?;
        stage.send(&self.next, ())?;
        Ok(done)
    }
}

/// The places of `n` workers.
fn circle(n: usize) -> impl Iterator<Item = Turns> {
    places(n).zip(places(n)).map(|(receive, send)| Turns { receive, send })
}

/// The places in one circle. The first has the right.
fn places(n: usize) -> impl Iterator<Item = Turn> {
    let (mut next, mine): (Vec<_>, Vec<_>) = (0..n).map(|_| bounded(1)).unzip();
    next[0].send(()).expect("patterns: the other end is here");
    next.rotate_left(1);
    mine.into_iter().zip(next).map(|(mine, next)| Turn { mine, next })
}
