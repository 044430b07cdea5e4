//! The tree behind contexts: which contexts end when one ends, and in what order.
//!
//! # Vocabulary
//! A *node* is what a context points to. It holds its parent, and so keeps all of its ancestors.
//! Some nodes can end: they have a [`Signal`]. The others (values) name the nearest ancestor that
//! has one, their *scope*; below `background` and `without_cancel` the scope is `None`. To *end* a
//! node is to write the reason down; to *cancel* it is to end it and everything below it. A
//! *walker* is a call of [`cancel`].
//!
//! # References
//! ```text
//!   context ──► node ──parent──► node ──parent──► background
//!                 ▲                │
//!                 └──── weak ──────┘ children, by key, if the child has a signal
//! ```
//! Down the tree the links are weak. So a child that has no other reference is dropped, takes its
//! entry out of its parent, and stops its timer. A function that waits for the end of a node
//! (`after_func`) is an entry among its children, and holds the node itself. This is a reference
//! cycle on purpose, since the function must run even if all other handles to the context are
//! dropped. Ending the node or stopping the function breaks the cycle.
//!
//! # The races
//! * *A child is derived while its parent ends.* Both happen under the parent's lock. Either the
//!   child is in the list that the walker takes, or the deriving call finds the parent ended and
//!   cancels the child before it hands it out.
//! * *A child is dropped while its parent ends.* The walker cannot upgrade its link any more, and
//!   skips the child, which no handle can observe.
//! * *Two walkers meet.* Ending happens once, under the node's lock: the first reason wins.
//!   `cancel` promises that the whole subtree has ended when it returns. This holds for the second
//!   walker too, which finds its node ended and the walk below it perhaps unfinished. So the first
//!   walker leaves the list of children in the node (the *unfinished children*) until all below
//!   have ended, and the second walks the same way. Both finish: a walker never waits for another,
//!   except for the few instructions in which that one closes a channel. Each node gets the reason
//!   of its parent, and not the walker's: the parent may have ended before, for another reason.
//! * *A deadline comes while its context is made.* The timer is armed after the node is complete,
//!   and its handle is put into the node after that; if the node has ended by then, the timer is
//!   stopped again.
//! * *A deadline comes, and the timer's goroutine gets no stack.* Its closure is dropped then, on a
//!   thread, and that cancels the node as the goroutine would have done ([`Deadline`]).
//!
//! # Done and the reason
//! The reason is written first, and then `done` is closed, outside the lock: waking others may run
//! them here, and nothing may park under a lock of `std`. A caller that reads a reason while `done`
//! is still open waits until it is closed, so that `err()` is never ahead of `done()`. A channel is
//! made on the first call of `done`. If that is after the end, it is a channel that was closed long
//! ago.
//!
//! # No recursion
//! A walk is a list of children lists that grows at its end while it is processed at its front. A
//! node that is dropped may be the last to hold its parent, and that one the last to hold the next:
//! [`Node`]'s `drop` takes the parent out of a node before it drops the node, in a loop.
//!
//! Rejected: holding a node's lock while its children are canceled, as Go does. That orders walkers
//! by itself, but nests as many locks as the tree is deep. Rejected: one lock for the whole tree,
//! or for the process: unrelated requests would contend for it.
//!
//! # Invariants
//! * I1: under a node's lock nothing parks, and no user code runs: channels are closed, timers
//!   stopped and closures dropped after it.
//! * I2: at most one node's lock is held at a time.
//! * I3: until all of them have ended, a node's children are in the node: in `children` before its
//!   end and in `unfinished_children` after it.

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
/// load from memory; two, because the loads also have to complete in order.
const PREFETCH_DISTANCE: usize = 2;

/// The kind of a context, which is the way in which it was derived.
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
// A panic leaves nothing half done: a context ends in one step, and lends its values and its cause
// only by shared references.
impl UnwindSafe for Node {}
impl RefUnwindSafe for Node {}

type Children = Arc<[Arc<Node>]>;

/// The part of a node that can end.
pub(crate) struct Signal {
    /// Its own deadline, or an ancestor's that is earlier.
    deadline: Option<Instant>,
    /// Set once, under the lock.
    end: EndCell,
    /// `true` if `done` is closed, or need not be.
    closed: AtomicBool,
    /// Set once, under the lock.
    done: OnceLock<Receiver<Infallible>>,
    /// Its key among the children of the scope, if the scope had not ended.
    key: OnceLock<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sender: Option<Sender<Infallible>>,
    timer: Option<AfterFunc>,
    children: BTreeMap<u64, Child>,
    next_key: u64,
    /// The children at the end, until all of them have ended too (I3).
    unfinished_children: Option<Children>,
}

/// An entry to notify at the end.
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

    /// Returns the channel that is closed at the end.
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

    /// Returns the reason for the end, or `None` if it has not ended. If it has, `done` is closed
    /// when this returns.
    pub(crate) fn end(&self) -> Option<&EndCell> {
        if !self.end.is_set() {
            return None;
        }
        self.wait_until_closed();
        Some(&self.end)
    }

    fn wait_until_closed(&self) {
        // ORDERING P1: acquire pairs with the release in `visit`: what is visible to the waiters
        // that the close wakes is visible here.
        if !self.closed.load(Ordering::Acquire) {
            let _ = self.done().recv();
        }
    }

    /// Ends the node, if it has not ended. Returns the children, if there are any that may not have
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
        // The last sender: this closes the channel.
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

    /// Takes the children out when all below have ended. The list may be the last to hold a node,
    /// so dropping it runs user code.
    fn take_unfinished_children(&self) -> Option<Children> {
        self.lock().unfinished_children.take()
    }

    /// Takes a child out. Returns `false` if it is absent, so that it was notified or will be.
    fn remove(&self, key: u64) -> bool {
        let child = self.lock().children.remove(&key);
        child.is_some()
    }

    /// Stores the timer of the deadline, or stops it if it is not needed any more.
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

    /// Creates a context that may end before its parent. It has ended already if its parent has.
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

    /// Cancels the node when `duration` has passed, unless it has ended or was dropped by then.
    pub(crate) fn end_after(self: &Arc<Self>, duration: Duration, end: End) {
        let Some(signal) = self.signal().filter(|signal| !signal.end.is_set()) else { return };
        if duration.is_zero() {
            return cancel(self, &end);
        }
        let deadline = Deadline { node: Arc::downgrade(self), end };
        signal.keep_timer(scheduler::after_func(duration, move || drop(deadline)));
    }

    /// Registers `f` to run as a goroutine when this node ends, and returns its key. The node has a
    /// signal. If it has ended, `f` runs now, and this returns `None`.
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

    /// Takes out a function that waits for the end. Returns `false` if it was started.
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

    /// Returns the node whose end is that of this one.
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

    /// Ends a child of a node that has ended, for the same reason. Returns its own children like
    /// [`Signal::visit`].
    fn end_with_scope(&self) -> Option<Children> {
        let (scope, signal) = (self.scope_signal()?, self.signal()?);
        signal.visit(&scope.end.get()?)
    }

    /// Takes out the entry that the scope has for this node.
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
        // This is never the last reference: the parent holds the scope, or is the scope.
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

/// The content of a deadline's timer: its drop cancels the node. Canceling is left to a destructor
/// because it must happen even if the timer's goroutine gets no stack: others may be waiting for
/// nothing but this deadline. When the timer is stopped, the node has ended or was dropped.
struct Deadline {
    node: Weak<Node>,
    end: End,
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade().filter(|node| node.signal().is_some_and(|signal| !signal.end.is_set()))
        {
            cancel(&node, &self.end);
        }
    }
}

/// Cancels `root`, which has a signal, and all below it. When it returns, all of them have ended,
/// and `root` has left the children of its scope.
pub(crate) fn cancel(root: &Arc<Node>, end: &End) {
    // The children lists that were found, each with their parent.
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

/// Begins to load the memory that the next visits will touch. Of thousands of contexts most have
/// left the cache since they were made, and waiting for memory would be half of the work.
#[inline]
fn prefetch(children: &[Arc<Node>]) {
    if let Some(node) = children.get(2 * PREFETCH_DISTANCE) {
        prefetch_value(NonNull::from(&**node));
    }
    // The node itself was prefetched by the statement above, a while ago.
    if let Some(done) = children.get(PREFETCH_DISTANCE).and_then(|node| node.signal()?.done.get()) {
        done.prefetch();
    }
}

/// Returns a channel that is never closed.
pub(crate) fn never_done() -> &'static Receiver<Infallible> {
    static NEVER: OnceLock<Receiver<Infallible>> = OnceLock::new();
    NEVER.get_or_init(never)
}

/// Returns a channel that was closed before the first call.
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
        // A first walker that stops here, so that in the end only the second one holds the child.
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

    /// Makes the second walker meet a node that has ended, while the nodes below have not.
    #[test]
    fn a_second_walk_goes_below_what_has_ended() {
        let parent = cancelable(&Node::root(Kind::Background));
        let child = cancelable(&parent);
        let grandchild = cancelable(&child);
        // A first walker that stops here.
        let unfinished_children = child.signal().expect("a node with a signal").visit(&CANCELED);
        assert_eq!(unfinished_children.map(|unfinished_children| unfinished_children.len()), Some(1));
        cancel(&parent, &End { error: Error::DeadlineExceeded, cause: None });
        let end = |node: &Node| node.signal().and_then(Signal::end).and_then(EndCell::error);
        assert_eq!(end(&parent), Some(Error::DeadlineExceeded));
        assert_eq!((end(&child), end(&grandchild)), (Some(Error::Canceled), Some(Error::Canceled)));
    }
}
