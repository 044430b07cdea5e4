//! The tree behind contexts: which contexts end when one ends, and in what order.
//!
//! # Vocabulary
//! A *node* is what a context points to. It holds its parent, and so keeps all of its ancestors
//! alive. Some nodes can end by themselves: they have a [`Signal`]. The others (values) end with
//! the nearest ancestor that has a signal, their *scope*. If no such ancestor exists, as below
//! `background` and `without_cancel`, the scope is `None`. To *end* a node is to write down the
//! reason. To *cancel* a node is to end it and everything below it. A *walker* is a call to
//! [`cancel`].
//!
//! # References
//! ```text
//!   context ──► node ──parent──► node ──parent──► background
//!                 ▲                │
//!                 └──── weak ──────┘ children, by key, if the child has a signal
//! ```
//! The links down the tree are weak. So a child without any other reference is dropped, removes its
//! entry from its parent, and stops its timer. A function that waits for the end of a node
//! (`after_func`) is an entry among the node's children, and holds the node itself. This reference
//! cycle is intentional, because the function must run even if all other handles to the context are
//! dropped. Ending the node or stopping the function breaks the cycle.
//!
//! # The races
//! * *A child is derived while its parent ends.* Both happen under the parent's lock. Either the
//!   child is in the list that the walker takes, or the deriving call finds that the parent has
//!   ended, and cancels the child before it returns the child.
//! * *A child is dropped while its parent ends.* The walker can no longer upgrade its link, and
//!   skips the child. No handle is left that could observe the child.
//! * *Two walkers meet.* A node ends once, under its own lock: the first reason wins. `cancel`
//!   promises that the whole subtree has ended when it returns. The second walker has to keep this
//!   promise too, although it finds that its node has ended and that the walk below may be
//!   unfinished. So the first walker leaves the list of children in the node (the *unfinished
//!   children*) until all nodes below have ended, and the second walker walks the same list. Both
//!   finish, because a walker never waits for another walker, except for the few instructions in
//!   which the other walker closes a channel. Each node gets its parent's reason rather than the
//!   walker's, because the parent may have ended earlier, for another reason.
//! * *A deadline passes while its context is being created.* The timer is armed after the node is
//!   complete. Then the timer's handle is stored in the node. If the node has already ended, the
//!   timer is stopped instead.
//! * *A deadline passes, and there is no stack for the timer's goroutine*, because all others wait
//!   for this deadline. Goroutines that timers start may take the last stacks, which the scheduler
//!   spares for them.
//!
//! # Done and the reason
//! The reason is written first. Then `done` is closed outside the lock, because waking other
//! goroutines may run them on this thread, and nothing may park under a lock of `std`. A caller
//! that reads a reason while `done` is still open waits until it is closed, so that `err()` is
//! never ahead of `done()`. The channel is created by the first call to `done`. If the node has
//! already ended, that call returns a shared channel that is always closed.
//!
//! # No recursion
//! A walk is a list of children lists, which grows at its end while it is processed from its front.
//! A dropped node may hold the last reference to its parent, the parent may hold the last reference
//! to its own parent, and so on. So [`Node`]'s `drop` runs a loop that takes the parent out of each
//! node before it drops the node.
//!
//! Rejected: holding a node's lock while its children are canceled, as Go does. That alone orders
//! the walkers, but it nests as many locks as the tree is deep. Rejected: one lock for the whole
//! tree, or for the process: unrelated requests would contend for it.
//!
//! # Invariants
//! * I1: under a node's lock nothing parks, and no user code runs. Channels are closed, timers
//!   stopped and closures dropped after the lock is released.
//! * I2: at most one node's lock is held at a time.
//! * I3: a node's children stay in the node until all of them have ended. They are in `children`
//!   before the node ends, and in `unfinished_children` afterwards.

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, bounded, never};
use greenthread_scheduler::mutex::{Mutex, MutexGuard};
use greenthread_scheduler::{self as scheduler, AfterFunc, prefetch_value};

use crate::end::{End, EndCell};

/// The number of visits between prefetching memory and using it. A visit takes about as long as a
/// load from memory. The distance is two, because the loads also have to complete in order.
const PREFETCH_DISTANCE: usize = 2;

/// The way in which a context was derived.
pub(crate) enum Kind {
    Background,
    Todo,
    Value { value: Box<dyn Any + Send + Sync>, name: &'static str },
    WithoutCancel,
    Cancel(Signal),
    Deadline(Signal),
}

/// One context. See the module's documentation.
pub(crate) struct Node {
    parent: Option<Arc<Node>>,
    /// The nearest ancestor with a signal.
    scope: Option<Arc<Node>>,
    kind: Kind,
}

/// The children of one node.
// A panic leaves nothing half done: a context ends in one step, and lends out its values and its
// cause only as shared references.
impl UnwindSafe for Node {}
impl RefUnwindSafe for Node {}

type Children = Arc<[Arc<Node>]>;

/// The part of a node that can end.
pub(crate) struct Signal {
    /// The node's own deadline, or an ancestor's earlier one.
    deadline: Option<Instant>,
    /// Set once, under the lock.
    end: EndCell,
    /// `true` if `done` is closed, or does not have to be closed.
    closed: AtomicBool,
    /// Set once, under the lock.
    done: OnceLock<Receiver<Infallible>>,
    /// The node's key among the scope's children, unless the scope had already ended.
    key: OnceLock<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sender: Option<Sender<Infallible>>,
    timer: Option<AfterFunc>,
    children: BTreeMap<u64, Child>,
    next_key: u64,
    /// The children that the node had when it ended, until all of them have ended too (I3).
    unfinished_children: Option<Children>,
}

/// An entry to notify when the node ends.
enum Child {
    Node(Weak<Node>),
    /// A function, and the node itself: see "References".
    Func(Box<dyn FnOnce() + Send>, Arc<Node>),
}

impl State {
    fn add(&mut self, child: Child) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.children.insert(key, child);
        key
    }
}

impl Signal {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            end: EndCell::new(),
            closed: AtomicBool::new(false),
            done: OnceLock::new(),
            key: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the channel that is closed when the node ends.
    pub(crate) fn done(&self) -> &Receiver<Infallible> {
        self.done.get().unwrap_or_else(|| {
            let mut state = self.lock();
            self.done.get_or_init(|| {
                if self.end.is_set() {
                    return closed_receiver();
                }
                let (sender, receiver) = bounded(0);
                state.sender = Some(sender);
                receiver
            })
        })
    }

    /// Returns the reason why the node ended, or `None` if it has not ended. If it has, `done` is
    /// closed when this returns.
    pub(crate) fn end(&self) -> Option<&EndCell> {
        if !self.end.is_set() {
            return None;
        }
        self.wait_until_closed();
        Some(&self.end)
    }

    fn wait_until_closed(&self) {
        // ORDERING P1: acquire pairs with the release in `visit`: everything that is visible to the
        // waiters that the close wakes is also visible here.
        if !self.closed.load(Ordering::Acquire) {
            let _ = self.done().recv();
        }
    }

    /// Ends the node if it has not ended yet. Returns the children, if any of them may not have
    /// ended.
    fn visit(&self, end: &End) -> Option<Children> {
        let mut state = self.lock();
        if !self.end.set(end) {
            let unfinished_children = state.unfinished_children.clone();
            drop(state);
            self.wait_until_closed();
            return unfinished_children;
        }
        let State { sender, timer, children, .. } = mem::take(&mut *state);
        let (mut nodes, mut funcs) = (Vec::new(), Vec::new());
        for child in children.into_values() {
            match child {
                Child::Node(node) => nodes.extend(node.upgrade()),
                Child::Func(f, node) => funcs.push((f, node)),
            }
        }
        let unfinished_children = (!nodes.is_empty()).then(|| Arc::from(nodes));
        state.unfinished_children.clone_from(&unfinished_children);
        drop(state);
        // This is the last sender, so the drop closes the channel.
        drop(sender);
        // ORDERING P1: release pairs with the acquire in `wait_until_closed`.
        self.closed.store(true, Ordering::Release);
        if let Some(timer) = timer {
            timer.stop();
        }
        for (f, _) in funcs {
            scheduler::go(f);
        }
        unfinished_children
    }

    /// Removes the children when all nodes below have ended. The list may hold the last reference
    /// to a node, so dropping the list may run user code.
    fn take_unfinished_children(&self) -> Option<Children> {
        self.lock().unfinished_children.take()
    }

    /// Removes a child. Returns `false` if the child is absent, which means that it was or will be
    /// notified.
    fn remove(&self, key: u64) -> bool {
        let child = self.lock().children.remove(&key);
        child.is_some()
    }

    /// Stores the deadline's timer, or stops the timer if it is no longer needed.
    fn keep_timer(&self, timer: AfterFunc) {
        let mut state = self.lock();
        if !self.end.is_set() {
            state.timer = Some(timer);
        } else {
            drop(state);
            timer.stop();
        }
    }
}

impl Node {
    /// Creates a context without a parent.
    pub(crate) fn root(kind: Kind) -> Arc<Self> {
        Arc::new(Self { parent: None, scope: None, kind })
    }

    /// Creates a context that ends when its parent does, or never.
    pub(crate) fn plain(parent: &Arc<Self>, kind: Kind) -> Arc<Self> {
        let scope = if let Kind::WithoutCancel = kind { None } else { parent.ending().cloned() };
        Arc::new(Self { parent: Some(Arc::clone(parent)), scope, kind })
    }

    /// Creates a context that may end before its parent. If the parent has ended, the new context
    /// has ended too.
    pub(crate) fn with_signal(parent: &Arc<Self>, kind: Kind) -> Arc<Self> {
        let node = Self::plain(parent, kind);
        if let (Some(scope), Some(signal)) = (node.scope_signal(), node.signal()) {
            let mut state = scope.lock();
            match scope.end.get() {
                None => {
                    let key = state.add(Child::Node(Arc::downgrade(&node)));
                    signal.key.set(key).expect("tree: a node is registered once");
                }
                Some(end) => {
                    drop(state);
                    signal.visit(&end);
                }
            }
        }
        node
    }

    /// Cancels the node after `duration`, unless the node ends or is dropped first.
    pub(crate) fn end_after(self: &Arc<Self>, duration: Duration, end: End) {
        let Some(signal) = self.signal().filter(|signal| !signal.end.is_set()) else { return };
        if duration.is_zero() {
            return cancel(self, &end);
        }
        let node = Arc::downgrade(self);
        let expire = move || {
            if let Some(node) = node.upgrade() {
                cancel(&node, &end);
            }
        };
        signal.keep_timer(scheduler::after_func(duration, expire));
    }

    /// Registers `f` to run as a goroutine when this node ends, and returns the entry's key. The
    /// node has a signal. If the node has ended, `f` is started now, and this returns `None`.
    #[track_caller]
    pub(crate) fn on_end(self: &Arc<Self>, f: Box<dyn FnOnce() + Send>) -> Option<u64> {
        let signal = self.signal()?;
        let mut state = signal.lock();
        if !signal.end.is_set() {
            return Some(state.add(Child::Func(f, Arc::clone(self))));
        }
        drop(state);
        scheduler::go(f);
        None
    }

    /// Removes a function that waits for the end. Returns `false` if the function was started or
    /// removed before.
    pub(crate) fn remove_func(&self, key: u64) -> bool {
        self.signal().is_some_and(|signal| signal.remove(key))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns the node and its ancestors, the nearest first.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// Returns the node whose end also ends this node: itself or its scope.
    pub(crate) fn ending(self: &Arc<Self>) -> Option<&Arc<Self>> {
        if self.signal().is_some() { Some(self) } else { self.scope.as_ref() }
    }

    /// Returns the signal that ends this node.
    pub(crate) fn nearest_signal(&self) -> Option<&Signal> {
        self.signal().or_else(|| self.scope_signal())
    }

    fn signal(&self) -> Option<&Signal> {
        match &self.kind {
            Kind::Cancel(signal) | Kind::Deadline(signal) => Some(signal),
            Kind::Background | Kind::Todo | Kind::Value { .. } | Kind::WithoutCancel => None,
        }
    }

    fn scope_signal(&self) -> Option<&Signal> {
        self.scope.as_ref().and_then(|scope| scope.signal())
    }

    /// Ends a child of a node that has ended, for the same reason. Returns the child's own
    /// children, like [`Signal::visit`].
    fn end_with_scope(&self) -> Option<Children> {
        let (scope, signal) = (self.scope_signal()?, self.signal()?);
        signal.visit(&scope.end.get()?)
    }

    /// Removes the entry that the scope has for this node.
    fn leave_scope(&self) {
        if let (Some(scope), Some(signal)) = (self.scope_signal(), self.signal())
            && let Some(&key) = signal.key.get()
        {
            scope.remove(key);
        }
    }

    /// Removes the node from the tree, and returns the parent.
    fn leave(&mut self) -> Option<Arc<Self>> {
        let parent = self.parent.take()?;
        if let Kind::Cancel(signal) | Kind::Deadline(signal) = &mut self.kind {
            let timer = signal.state.get_mut().timer.take();
            if let Some(timer) = timer {
                timer.stop();
            }
            if !signal.end.is_set() {
                self.leave_scope();
            }
        }
        // This is never the last reference, because the parent holds the scope or is the scope.
        self.scope = None;
        Some(parent)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut next = self.leave();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.leave();
        }
    }
}

/// Cancels `root`, which has a signal, and all nodes below it. When this returns, all of them have
/// ended, and `root` is no longer among its scope's children.
pub(crate) fn cancel(root: &Arc<Node>, end: &End) {
    // The children lists that were found, each with its parent.
    let mut found: Vec<(Arc<Node>, Children)> = Vec::new();
    if let Some(unfinished_children) = root.signal().and_then(|signal| signal.visit(end)) {
        found.push((Arc::clone(root), unfinished_children));
    }
    let mut at = 0;
    while let Some((_, children)) = found.get(at) {
        let children = Arc::clone(children);
        for (n, node) in children.iter().enumerate() {
            prefetch(&children[n..]);
            if let Some(unfinished_children) = node.end_with_scope() {
                found.push((Arc::clone(node), unfinished_children));
            }
        }
        at += 1;
    }
    root.leave_scope();
    // Dropped when the tree is consistent: a list may hold a user value whose drop panics.
    let _forgotten: Vec<_> =
        found.iter().filter_map(|(parent, _)| parent.signal()?.take_unfinished_children()).collect();
}

/// Begins to load the memory that the next visits will touch. With thousands of contexts, most have
/// left the cache since they were created, and waiting for memory would be half of the work.
#[inline]
fn prefetch(children: &[Arc<Node>]) {
    if let Some(node) = children.get(2 * PREFETCH_DISTANCE) {
        prefetch_value(NonNull::from(&**node));
    }
    // The statement above prefetched the node itself, some visits ago.
    if let Some(done) = children.get(PREFETCH_DISTANCE).and_then(|node| node.signal()?.done.get()) {
        done.prefetch();
    }
}

/// Returns a channel that is never closed.
pub(crate) fn never_done() -> &'static Receiver<Infallible> {
    static NEVER: OnceLock<Receiver<Infallible>> = OnceLock::new();
    NEVER.get_or_init(never)
}

/// Returns a channel that is always closed.
fn closed_receiver() -> Receiver<Infallible> {
    static CLOSED: OnceLock<Receiver<Infallible>> = OnceLock::new();
    CLOSED.get_or_init(|| bounded(0).1).clone()
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};

    use super::*;
    use crate::error::Error;

    const CANCELED: End = End { error: Error::Canceled, cause: None };

    fn cancelable(parent: &Arc<Node>) -> Arc<Node> {
        Node::with_signal(parent, Kind::Cancel(Signal::new(None)))
    }

    fn children(node: &Node) -> usize {
        node.signal().expect("a node with a signal").lock().children.len()
    }

    #[test]
    fn a_canceled_or_dropped_child_leaves_no_entry() {
        let parent = cancelable(&Node::root(Kind::Background));
        let (canceled, dropped) = (cancelable(&parent), cancelable(&Node::plain(&parent, Kind::WithoutCancel)));
        let below = cancelable(&Node::plain(&parent, Kind::Value { value: Box::new(()), name: "()" }));
        let key = parent.on_end(Box::new(|| ())).expect("it has not ended");
        assert_eq!(children(&parent), 3, "not the one below `without_cancel`");
        cancel(&canceled, &CANCELED);
        assert_eq!(children(&parent), 2);
        drop((dropped, below));
        assert_eq!(children(&parent), 1);
        assert!(parent.remove_func(key));
        assert_eq!((children(&parent), Arc::strong_count(&parent)), (0, 3), "`canceled` has its parent and its scope");
    }

    #[test]
    fn a_finished_walk_leaves_no_children() {
        let parent = cancelable(&Node::root(Kind::Background));
        let child = cancelable(&parent);
        let grandchild = cancelable(&child);
        cancel(&parent, &CANCELED);
        for node in [&parent, &child, &grandchild] {
            let state = node.signal().expect("a node with a signal").lock();
            assert!(state.children.is_empty() && state.unfinished_children.is_none());
        }
    }

    #[test]
    fn a_value_whose_drop_panics_leaves_no_entry_behind() {
        struct Brittle;
        impl Drop for Brittle {
            fn drop(&mut self) {
                panic!("this panic is part of the test");
            }
        }
        let top = cancelable(&Node::root(Kind::Background));
        let parent = cancelable(&top);
        let child = cancelable(&Node::plain(&parent, Kind::Value { value: Box::new(Brittle), name: "Brittle" }));
        // The first walker stops here, so that in the end only the second walker holds the child.
        drop(parent.signal().expect("a node with a signal").visit(&CANCELED));
        drop(child);
        assert!(panic::catch_unwind(AssertUnwindSafe(|| cancel(&parent, &CANCELED))).is_err());
        assert_eq!(children(&top), 0);
        assert!(parent.signal().expect("a node with a signal").take_unfinished_children().is_none());
    }

    #[test]
    fn no_channel_is_made_unless_asked_for() {
        let parent = cancelable(&Node::root(Kind::Background));
        let child = cancelable(&parent);
        let signal = child.signal().expect("a node with a signal");
        assert!(signal.end().is_none());
        cancel(&parent, &CANCELED);
        assert!(signal.end().is_some());
        assert!(signal.done.get().is_none());
    }

    /// Makes the second walker meet a node that has ended while the nodes below it have not.
    #[test]
    fn a_second_walk_goes_below_what_has_ended() {
        let parent = cancelable(&Node::root(Kind::Background));
        let child = cancelable(&parent);
        let grandchild = cancelable(&child);
        // The first walker stops here.
        let unfinished_children = child.signal().expect("a node with a signal").visit(&CANCELED);
        assert_eq!(unfinished_children.map(|unfinished_children| unfinished_children.len()), Some(1));
        cancel(&parent, &End { error: Error::DeadlineExceeded, cause: None });
        let end = |node: &Node| node.signal().and_then(Signal::end).and_then(EndCell::error);
        assert_eq!(end(&parent), Some(Error::DeadlineExceeded));
        assert_eq!((end(&child), end(&grandchild)), (Some(Error::Canceled), Some(Error::Canceled)));
    }
}
