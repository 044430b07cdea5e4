//! `parallel_map`: many items, a few goroutines, and an end for all of them.
//!
//! # How it works
//! The caller is the first worker. Whoever works takes an item from the iterator, under a lock, calls `f` with it, puts
//! the value among the results, and comes again. A new worker starts the next one when it has got its first item, up to
//! the limit: so there are never many more than can run or wait, and none but the caller if `limit` is 1. A worker for
//! which there is no stack is not missed: the items are not dealt out, so the others do all of them.
//!
//! The first failure cancels the context of the call; a worker looks at that before it takes an item.
//!
//! Rejected: a caller that hands out items on a channel, and only waits. It allows iterators that are not `Send`, for
//! two switches per item.

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

/// Calls `f` with each of the items, `limit` at a time, and collects what it returns, in the order of the items.
///
/// `f` and the items may borrow from the caller's frame, as in a [`scope`](fn@crate::scope). The caller works too, with
/// up to `limit - 1` goroutines, each for as many items as it can. Blocks until all of them have ended, also after a
/// failure: parks a goroutine, blocks a thread.
///
/// The items are taken one by one as they are needed, by whoever needs one, so they may be without end. An iterator
/// that waits should not wait longer than the context lasts. The results take the memory of their values, and none if
/// `f` returns `Ok(())`; values that come before those of earlier items are kept until then.
///
/// `f` gets a context derived from `ctx`, which ends when a call of `f` fails, with the text of the error as its cause:
/// what waits in `f` should wait with this one. No item is taken any more then.
///
/// Go has `errgroup` with `SetLimit` for this, which takes a goroutine for each item.
///
/// # Errors
/// The first error that `f` has returned. If none has, and `ctx` ended before all items were done, or at a time when it
/// was not known whether there are more: that end.
///
/// # Panics
/// If `limit` is 0. If `f` or the iterator panics, with that payload, when all others have ended: even if there was an
/// error before. If `f` ends its goroutine by [`exit_goroutine`], the caller's ends in the same way.
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
///     ctx.done().recv().unwrap_err(); // would be for ever
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
    Call::new(ctx, limit, items.into_iter(), f, Results::in_order()).run()
}

/// As [`parallel_map`], with the results in the order in which they come: none waits for that of an earlier item.
///
/// # Errors
/// As [`parallel_map`].
///
/// # Panics
/// As [`parallel_map`].
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
    Call::new(ctx, limit, items.into_iter(), f, Results::as_they_come()).run()
}

/// What those who work for one call share.
struct Call<I, U, E, F> {
    /// The caller's context, by which the iterator may end. It ends a moment before those that are derived from it.
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

/// Why there will be no results.
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
        assert!(limit > 0, "patterns: with a limit of 0 nothing would ever be done; 1 is one at a time");
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

    /// Works as long as there is something to do.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        match panic::catch_unwind(AssertUnwindSafe(|| self.try_work(scope))) {
            Ok(Ok(())) => {}
            Ok(Err((error, text))) => self.fail(Failure::Error(error), text),
            Err(payload) => self.fail(Failure::Panic(payload), "patterns: another call has panicked".to_owned()),
        }
    }

    /// The error comes with its text, which is made here, as making it may panic.
    fn try_work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Result<(), (E, String)> {
        let mut new = true;
        while let Some(Taken { place, item, starts_next }) = self.take(mem::take(&mut new)) {
            if starts_next {
                let options = Options { site: Some(self.site), ..Options::default() };
                let worker = scope.spawn_with(move || self.work(scope), options);
                worker.expect("patterns: default options are possible").need_not_run();
            }
            let value = (self.f)(&self.ctx, item).map_err(|error| {
                let text = error.to_string();
                (error, text)
            })?;
            self.results.lock().put(place, value);
        }
        Ok(())
    }

    /// The next item. All that needs the lock happens at once: with an item in hand nobody waits for it, as the
    /// iterator may block.
    fn take(&self, new: bool) -> Option<Taken<I::Item>> {
        let mut items = self.items.lock();
        if self.parent.err().or(self.ctx.err()).is_some() {
            return None;
        }
        let item = items.next();
        // An iterator that ends together with the context may have ended for it.
        items.may_have_more |= self.parent.err().is_some();
        let item = item?;
        items.taken += 1;
        Some(Taken { item, place: items.taken - 1, starts_next: new && items.admit(self.limit) })
    }

    fn fail(&self, failure: Failure<E>, cause: String) {
        let mut first = self.failure.lock();
        // A panic is a mistake in the program: no error hides it.
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

/// The items, and who works on them.
struct Items<I> {
    left: I,
    /// False when the iterator has said so, and while it is asked: one that panics is not asked again.
    may_have_more: bool,
    taken: usize,
    workers: usize,
}

/// An item on its way to `f`.
struct Taken<T> {
    item: T,
    place: usize,
    /// Whether whoever took it is to start the next worker.
    starts_next: bool,
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

    /// Whether one more worker would be of use; if so it counts from now on.
    fn admit(&mut self, limit: usize) -> bool {
        let admitted = self.workers < limit && self.may_have_more();
        self.workers += usize::from(admitted);
        admitted
    }
}

/// The values that have come.
struct Results<U> {
    done: Vec<U>,
    /// What comes behind `done`, if the order is kept: values that are early, with gaps for those that they are ahead of.
    early: VecDeque<Option<U>>,
    in_order: bool,
}

impl<U> Results<U> {
    fn in_order() -> Self {
        Self { done: Vec::new(), early: VecDeque::new(), in_order: true }
    }

    fn as_they_come() -> Self {
        Self { in_order: false, ..Self::in_order() }
    }

    fn put(&mut self, place: usize, value: U) {
        let ahead = if self.in_order { place - self.done.len() } else { 0 };
        if ahead >= self.early.len() {
            self.early.resize_with(ahead + 1, || None);
        }
        self.early[ahead] = Some(value);
        while self.early.front().is_some_and(Option::is_some) {
            self.done.extend(self.early.pop_front().flatten());
        }
    }
}
