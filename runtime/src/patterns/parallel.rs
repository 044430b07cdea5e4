//! `parallel_map`: processes many items in a few goroutines, and waits for all of them.
//!
//! # How it works
//! The caller is the first worker. A worker takes an item from the iterator, under a lock, calls
//! `f` with it, stores the value with the results, and repeats. When a new worker has its first
//! item, it starts the next worker, up to the limit. So there are never many more workers than can
//! run or wait, and if `limit` is 1, the caller is the only worker.
//!
//! The first failure cancels the context of the call; a worker checks the context before it takes
//! an item.
//!
//! Rejected: a caller that sends the items on a channel and otherwise only waits. This design would
//! allow iterators that are not `Send`, but it costs two switches per item.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe, Location};

use greenthread_ctx::{CancelCause, Context, Error};
use greenthread_scheduler::mutex::Mutex;
use greenthread_scheduler::{Exited, Options};

use crate::scope::{Scope, scope};
use crate::sync;
use crate::task::exit_goroutine;

/// Calls `f` with each of the items, `limit` at a time, and returns the results in the order of the
/// items.
///
/// `f` and the items may borrow from the caller's frame, as in a [`scope`](fn@crate::scope). The
/// caller itself processes items, along with up to `limit - 1` goroutines. Each of them processes
/// as many items as it can. Blocks until all goroutines have ended, even after a failure. A calling
/// goroutine is parked, and a calling thread is blocked.
///
/// Workers take the items one by one as they need them, so the iterator may be endless. An iterator
/// that waits should stop waiting when the context ends. The results take only the memory of their
/// values, and none if `f` returns `Ok(())`. A result that is ready before the results of earlier
/// items is kept until they are ready.
///
/// `f` gets a context derived from `ctx`. When a call to `f` fails, that context ends, with the
/// text of the error as its cause. Use it for every wait in `f`. After a failure, no further item
/// is taken.
///
/// Go programs use `errgroup` with `SetLimit` for this, with one goroutine for each item.
///
/// # Errors
/// The first error that `f` returned. If `f` returned none, the context's error, provided that
/// `ctx` ended before all items were done, or while the iterator might still have had more items.
///
/// # Panics
/// If `limit` is 0. If `f` or the iterator panics: with that payload, after all workers have ended,
/// and even if there was an error before. If `f` ends its goroutine with [`exit_goroutine`], the
/// caller's goroutine ends in the same way.
///
/// ```
/// use greenthread::ctx::{Context, Error};
/// use greenthread::patterns::parallel_map;
///
/// let (ctx, names) = (Context::background(), ["zeroth", "first", "second"]);
/// let lengths = parallel_map(&ctx, 2, &names, |_, name| Ok::<_, Error>(name.len()));
/// assert_eq!(lengths, Ok(vec![6, 5, 6]));
/// ```
///
/// The first error stops the others:
///
/// ```
/// use greenthread::ctx::Context;
/// use greenthread::patterns::parallel_map;
/// use std::io;
///
/// let failed = parallel_map(&Context::background(), 8, 0.., |ctx, n| {
///     if n == 5 {
///         return Err(io::Error::other("five"));
///     }
///     ctx.done().recv().unwrap_err(); // would wait forever
///     assert_eq!(ctx.cause().unwrap().to_string(), "five");
///     Ok(())
/// });
/// assert_eq!(failed.unwrap_err().to_string(), "five");
/// ```
#[track_caller]
pub fn parallel_map<I, U, E, F>(ctx: &Context, limit: usize, items: I, f: F) -> Result<Vec<U>, E>
where
    I: IntoIterator<IntoIter: Send>,
    U: Send,
    E: From<Error> + fmt::Display + Send,
    F: Fn(&Context, I::Item) -> Result<U, E> + Sync,
{
    Call::new(ctx, limit, items.into_iter(), f, Results::ordered()).run()
}

/// Calls `f` with each of the items, `limit` at a time, and returns the results in the order in
/// which they are ready.
///
/// Like [`parallel_map`], but no result waits for the result of an earlier item.
///
/// # Errors
/// See [`parallel_map`].
///
/// # Panics
/// See [`parallel_map`].
///
/// ```
/// use greenthread::ctx::{Context, Error};
/// use greenthread::patterns::parallel_map_unordered;
/// use greenthread::sync::WaitGroup;
///
/// let others = WaitGroup::new();
/// others.add(2);
/// let ended = parallel_map_unordered(&Context::background(), 3, [1, 2, 3], |_, n| {
///     if n == 1 { others.wait() } else { others.done() }
///     Ok::<_, Error>(n)
/// })?;
/// assert_eq!(ended.len(), 3);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn parallel_map_unordered<I, U, E, F>(ctx: &Context, limit: usize, items: I, f: F) -> Result<Vec<U>, E>
where
    I: IntoIterator<IntoIter: Send>,
    U: Send,
    E: From<Error> + fmt::Display + Send,
    F: Fn(&Context, I::Item) -> Result<U, E> + Sync,
{
    Call::new(ctx, limit, items.into_iter(), f, Results::unordered()).run()
}

/// The state that the workers of one call share.
struct Call<I, U, E, F> {
    /// The caller's context; the iterator may end when it does. It ends slightly before the
    /// contexts derived from it.
    parent: Context,
    ctx: Context,
    cancel: CancelCause,
    limit: usize,
    items: sync::Mutex<Items<I>>,
    f: F,
    results: Mutex<Results<U>>,
    failure: Mutex<Option<Failure<E>>>,
    site: &'static Location<'static>,
}

/// The reason that there will be no results.
enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

impl<I, U, E, F> Call<I, U, E, F>
where
    I: Iterator + Send,
    U: Send,
    E: From<Error> + fmt::Display + Send,
    F: Fn(&Context, I::Item) -> Result<U, E> + Sync,
{
    #[track_caller]
    fn new(parent: &Context, limit: usize, items: I, f: F, results: Results<U>) -> Self {
        assert!(limit > 0, "patterns: a limit of 0 would never run anything; use 1 for one item at a time");
        let (parent, (ctx, cancel)) = (parent.clone(), parent.with_cancel_cause());
        let items = sync::Mutex::new(Items { left: items, may_have_more: true, taken: 0, workers: 1 });
        let (results, failure) = (Mutex::new(results), Mutex::new(None));
        Self { parent, ctx, cancel, limit, items, f, results, failure, site: Location::caller() }
    }

    fn run(self) -> Result<Vec<U>, E> {
        scope(|scope| self.work(scope));
        match self.failure.into_inner() {
            Some(Failure::Error(error)) => return Err(error),
            Some(Failure::Panic(payload)) if payload.is::<Exited>() => exit_goroutine(),
            Some(Failure::Panic(payload)) => panic::resume_unwind(payload),
            None => {}
        }
        match self.parent.err() {
            Some(error) if self.items.into_inner().may_have_more() => Err(error.into()),
            _ => Ok(self.results.into_inner().done),
        }
    }

    /// Processes items until there are no more, or until a call fails.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        match panic::catch_unwind(AssertUnwindSafe(|| self.try_work(scope))) {
            Ok(Ok(())) => {}
            Ok(Err((error, text))) => self.fail(Failure::Error(error), text),
            Err(payload) => self.fail(Failure::Panic(payload), "patterns: another call panicked".to_owned()),
        }
    }

    /// Processes items. An error is returned with its text, which is created here because
    /// `to_string` may panic.
    fn try_work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), (E, String)> {
        let mut new = true;
        while let Some(Taken { index, item, starts_worker }) = self.take(mem::take(&mut new)) {
            if starts_worker {
                let options = Options { site: Some(self.site), ..Options::default() };
                scope.spawn_with(move || self.work(scope), options).expect("patterns: default options are valid");
            }
            let value = (self.f)(&self.ctx, item).map_err(|error| {
                let text = error.to_string();
                (error, text)
            })?;
            self.results.lock().put(index, value);
        }
        Ok(())
    }

    /// Takes the next item. Everything that needs the lock happens here, so that a worker with an
    /// item never waits for the lock while the iterator blocks.
    fn take(&self, new: bool) -> Option<Taken<I::Item>> {
        let mut items = self.items.lock();
        if self.parent.err().or(self.ctx.err()).is_some() {
            return None;
        }
        let item = items.next();
        // An iterator that ends together with the context may have ended because of it.
        items.may_have_more |= self.parent.err().is_some();
        let item = item?;
        items.taken += 1;
        Some(Taken { item, index: items.taken - 1, starts_worker: new && items.admit_worker(self.limit) })
    }

    fn fail(&self, failure: Failure<E>, cause: String) {
        let mut first = self.failure.lock();
        // A panic is a bug in the program, so no error hides it.
        let counts = match (&*first, &failure) {
            (None, _) => true,
            (Some(earlier), later) => matches!((earlier, later), (Failure::Error(_), Failure::Panic(_))),
        };
        let not_reported = if counts { first.replace(failure) } else { Some(failure) };
        drop(first);
        self.cancel.cancel(cause);
        drop(not_reported);
    }
}

/// The remaining items and the number of workers.
struct Items<I> {
    left: I,
    /// `false` once the iterator has ended, and during a call to its `next`, so that an iterator
    /// that panics is not called again.
    may_have_more: bool,
    taken: usize,
    workers: usize,
}

/// An item that a worker has taken.
struct Taken<T> {
    item: T,
    index: usize,
    /// Whether the worker that took the item is to start the next worker.
    starts_worker: bool,
}

impl<I: Iterator> Items<I> {
    fn next(&mut self) -> Option<I::Item> {
        if !mem::take(&mut self.may_have_more) {
            return None;
        }
        let item = self.left.next();
        self.may_have_more = item.is_some();
        item
    }

    fn may_have_more(&self) -> bool {
        self.may_have_more && self.left.size_hint().1 != Some(0)
    }

    /// Counts one more worker and returns `true` if another worker is allowed and there may be
    /// items for it.
    fn admit_worker(&mut self, limit: usize) -> bool {
        let admitted = self.workers < limit && self.may_have_more();
        self.workers += usize::from(admitted);
        admitted
    }
}

/// The results so far.
struct Results<U> {
    done: Vec<U>,
    /// The results after `done`, if the order is kept: early values, with gaps for the items before
    /// them.
    early: VecDeque<Option<U>>,
    ordered: bool,
}

impl<U> Results<U> {
    fn ordered() -> Self {
        Self { done: Vec::new(), early: VecDeque::new(), ordered: true }
    }

    fn unordered() -> Self {
        Self { ordered: false, ..Self::ordered() }
    }

    fn put(&mut self, index: usize, value: U) {
        let gap = if self.ordered { index - self.done.len() } else { 0 };
        if gap >= self.early.len() {
            self.early.resize_with(gap + 1, || None);
        }
        self.early[gap] = Some(value);
        while self.early.front().is_some_and(Option::is_some) {
            self.done.extend(self.early.pop_front().flatten());
        }
    }
}
