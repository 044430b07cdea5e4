//! The tree behind contexts: who is told when a context ends, and in what order.
//!
//! # Vocabulary
//! A *node* is what a context points to. It holds its parent, and so keeps all of its ancestors. Some nodes can end:
//! they have a [`Signal`]. The others (values) name the nearest ancestor that has one, their *scope*; it is none below
//! `background` and below `without_cancel`. To *end* a node is to write down why; to *cancel* it is to end it and
//! everything below it. A *walker* is a call of [`cancel`].
//!
//! # Who holds whom
//! ```text
//!   context ──► node ──parent──► node ──parent──► background
//!                 ▲                │
//!                 └──── weak ──────┘ children, by key, if the child has a signal
//! ```
//! Down the tree the links are weak, so a child that everybody has dropped goes, takes its entry out of its parent, and
//! stops its timer. A function that waits for the end of a node (`after_func`) is an entry among its children, and
//! holds the node itself: a circle on purpose, since the function shall run although everybody else has let go of the
//! context. Ending the node or stopping the function breaks it.
//!
//! # The races
//! * *A child is derived while its parent ends.* Both happen under the parent's lock. Either the child is in the list that the
//!   walker takes, or its maker finds the parent ended and cancels the child before anybody has it.
//! * *A child is dropped while its parent ends.* The walker cannot upgrade its link any more, and passes it over:
//!   nobody can ask it.
//! * *Two walkers meet.* Ending happens once, under the node's lock: the first reason wins. `cancel` promises that the
//!   whole subtree has ended when it returns, to the second walker too, which finds its node ended and the walk below
//!   it perhaps not done. So the first leaves the list of children in the node (the *unfinished_children*) until all below have
//!   ended, and the second walks the same way. Both get through: no walker waits for another, but for the few
//!   instructions in which that one closes a channel. Each node gets the reason of its parent, and not the walker's:
//!   the parent may have ended before, for another one.
//! * *A deadline comes while its context is made.* The timer is armed after the node is complete, and its handle put
//!   into the node after that; whoever puts it in and finds the node ended stops it again.
//! * *A deadline comes, and there is no stack for the timer's goroutine.* Its closure is dropped then, on a thread, and
//!   that cancels the node as the goroutine would have done ([`Deadline`]).
//!
//! # Done and the reason
//! The reason is written first, and then `done` is closed, outside of the lock: waking others may let them run here,
//! and nothing parks under a lock of `std`. Who reads a reason and sees that `done` is not closed yet waits for that,
//! so that `err()` is never ahead of `done()`. A channel is made when somebody asks for it first. If that is after the
//! end, it is one that was closed long ago.
//!
//! # No recursion
//! A walk is a list of families that grows at its end while it is worked off at its front. A node that is dropped may
//! be the last to hold its parent, and that one the last to hold the next: [`Node`]'s `drop` takes the parent out of a
//! node before it lets the node go, in a loop.
//!
//! Rejected: holding a node's lock while its children are cancelled, as Go does. It orders walkers by itself, and nests
//! as many locks as the tree is deep. Rejected: one lock for the whole tree, or for the process: requests would meet
//! there that have nothing to do with each other.
//!
//! # Invariants
//! * I1: nothing parks, and no code of the user runs, under a node's lock: channels are closed, timers stopped and
//!   closures dropped after it.
//! * I2: at most one node's lock is held at a time.
//! * I3: a node's children are all there, in `children` before its end and in `unfinished_children` after it, until all of them have ended.

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use greenthread_channels::{Receiver, Sender, bounded, never};
use greenthread_scheduler::{self as scheduler, AfterFunc, prefetch_value};

use crate::end::{End, EndCell};

/// A visit takes about as long as memory does to come; two, because it also has to come in order.
const AHEAD: usize = 2;

/// What a context is.
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
type Children = Arc<[Arc<Node>]>;

/// What can end.
pub(crate) struct Signal {
    /// Its own, or an ancestor's that is earlier.
    deadline: Option<Instant>,
    /// Set once, under the lock.
    end: EndCell,
    /// Whether `done` is closed, or needs not be.
    closed: AtomicBool,
    /// Set once, under the lock.
    done: OnceLock<Receiver<Infallible>>,
    /// Its place among the children of the scope, if that had not ended.
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

/// Who is told.
enum Child {
    Node(Weak<Node>),
    /// A function, and the node itself: see "Who holds whom".
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The channel that is closed at the end.
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

    /// Why it ended; none if it has not. If it has, `done` is closed when this returns.
    pub(crate) fn end(&self) -> Option<&EndCell> {
        if !self.end.is_set() {
            return None;
        }
        self.wait_until_closed();
        Some(&self.end)
    }

    fn wait_until_closed(&self) {
        // ORDERING P1: acquire pairs with the release in `visit`: what is visible to those whom the close wakes is visible here.
        if !self.closed.load(Ordering::Acquire) {
            let _ = self.done().recv();
        }
    }

    /// Ends it, if it has not ended; the children, if there are any that may not have ended.
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

    /// All below have ended. The unfinished_children may be the last to hold a node, so that dropping them is the user's code.
    fn take_unfinished_children(&self) -> Option<Children> {
        self.lock().unfinished_children.take()
    }

    /// Takes a child out; false if it is not there, so that it was told or will be.
    fn remove(&self, key: u64) -> bool {
        let child = self.lock().children.remove(&key);
        child.is_some()
    }

    /// Puts the timer of the deadline in, or stops it if it is not needed any more.
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
    /// A context without a parent.
    pub(crate) fn root(kind: Kind) -> Arc<Self> {
        Arc::new(Self { parent: None, scope: None, kind })
    }

    /// A context that ends when its parent does, or never.
    pub(crate) fn plain(parent: &Arc<Self>, kind: Kind) -> Arc<Self> {
        let scope = if let Kind::WithoutCancel = kind { None } else { parent.ending().cloned() };
        Arc::new(Self { parent: Some(Arc::clone(parent)), scope, kind })
    }

    /// A context that may end before its parent. It has ended already if its parent has.
    pub(crate) fn ends(parent: &Arc<Self>, kind: Kind) -> Arc<Self> {
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

    /// Cancels the node when `duration` has passed, unless it has ended by then or nobody has it any more.
    pub(crate) fn end_after(self: &Arc<Self>, duration: Duration, end: End) {
        let Some(signal) = self.signal().filter(|signal| !signal.end.is_set()) else { return };
        if duration.is_zero() {
            return cancel(self, &end);
        }
        let deadline = Deadline { node: Arc::downgrade(self), end };
        signal.keep_timer(scheduler::after_func(duration, move || drop(deadline)));
    }

    /// Has `f` run as a goroutine when this node, which has a signal, ends: its key; none if it has ended, so that `f` runs now.
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

    /// Takes a function out that waits for the end; false if it was started.
    pub(crate) fn remove_func(&self, key: u64) -> bool {
        self.signal().is_some_and(|signal| signal.remove(key))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The node and its ancestors, the nearest first.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// The node whose end is that of this one.
    pub(crate) fn ending(self: &Arc<Self>) -> Option<&Arc<Self>> {
        if self.signal().is_some() { Some(self) } else { self.scope.as_ref() }
    }

    /// What ends with this node.
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

    /// Ends a child of a node that has ended, for the same reason; its own children, as [`Signal::visit`].
    fn end_with_scope(&self) -> Option<Children> {
        let (scope, signal) = (self.scope_signal()?, self.signal()?);
        signal.visit(&scope.end.get()?)
    }

    /// Takes the entry out that the parent has for this node.
    fn leave_scope(&self) {
        if let (Some(scope), Some(signal)) = (self.scope_signal(), self.signal())
            && let Some(&key) = signal.key.get()
        {
            scope.remove(key);
        }
    }

    /// Undoes what holds this node in the tree, and hands the parent out.
    fn leave(&mut self) -> Option<Arc<Self>> {
        let parent = self.parent.take()?;
        if let Kind::Cancel(signal) | Kind::Deadline(signal) = &mut self.kind {
            let timer = signal.state.get_mut().unwrap_or_else(PoisonError::into_inner).timer.take();
            if let Some(timer) = timer {
                timer.stop();
            }
            if !signal.end.is_set() {
                self.leave_scope();
            }
        }
        // Never the last to hold it: the parent does, or is it.
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

/// What a deadline's timer has: its end cancels the node. A destructor does it, so that it is done also if there is no
/// stack for the timer's goroutine: others may wait for nothing but this deadline. When the timer is stopped the node
/// has ended, or is gone.
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

/// Cancels `root`, which has a signal, and all below it. When it returns, all of them have ended, and the parent has
/// forgotten `root`.
pub(crate) fn cancel(root: &Arc<Node>, end: &End) {
    // Families that have been found, each with the node whose children they are.
    let mut families: Vec<(Arc<Node>, Children)> = Vec::new();
    if let Some(unfinished_children) = root.signal().and_then(|signal| signal.visit(end)) {
        families.push((Arc::clone(root), unfinished_children));
    }
    let mut at = 0;
    while let Some((_, family)) = families.get(at) {
        let family = Arc::clone(family);
        for (n, node) in family.iter().enumerate() {
            prefetch(&family[n..]);
            if let Some(unfinished_children) = node.end_with_scope() {
                families.push((Arc::clone(node), unfinished_children));
            }
        }
        at += 1;
    }
    root.leave_scope();
    // Dropped when the tree is as it should be: a value of the user's may be in there, whose drop may panic.
    let _forgotten: Vec<_> =
        families.iter().filter_map(|(parent, _)| parent.signal()?.take_unfinished_children()).collect();
}

/// Begins to load what the next visits of the family will touch: of thousands of contexts most have gone from the cache
/// since they were made, and waiting for memory would be half of the work.
#[inline]
fn prefetch(family: &[Arc<Node>]) {
    if let Some(node) = family.get(2 * AHEAD) {
        prefetch_value(NonNull::from(&**node));
    }
    // It was loaded by the first half, a while ago.
    if let Some(done) = family.get(AHEAD).and_then(|node| node.signal()?.done.get()) {
        done.prefetch();
    }
}

/// What nobody ever closes.
pub(crate) fn never_done() -> &'static Receiver<Infallible> {
    static NEVER: OnceLock<Receiver<Infallible>> = OnceLock::new();
    NEVER.get_or_init(never)
}

/// What was closed before anybody asked.
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

    fn cancellable(parent: &Arc<Node>) -> Arc<Node> {
        Node::ends(parent, Kind::Cancel(Signal::new(None)))
    }

    fn children(node: &Node) -> usize {
        node.signal().expect("a node with a signal").lock().children.len()
    }

    #[test]
    fn whoever_goes_leaves_no_entry() {
        let parent = cancellable(&Node::root(Kind::Background));
        let (cancelled, dropped) = (cancellable(&parent), cancellable(&Node::plain(&parent, Kind::WithoutCancel)));
        let below = cancellable(&Node::plain(&parent, Kind::Value { value: Box::new(()), name: "()" }));
        let key = parent.on_end(Box::new(|| ())).expect("it has not ended");
        assert_eq!(children(&parent), 3, "not the one that is cut off");
        cancel(&cancelled, &CANCELED);
        assert_eq!(children(&parent), 2);
        drop((dropped, below));
        assert_eq!(children(&parent), 1);
        assert!(parent.remove_func(key));
        assert_eq!((children(&parent), Arc::strong_count(&parent)), (0, 3), "`cancelled` has its parent and its scope");
    }

    #[test]
    fn an_end_leaves_nothing_to_remember() {
        let parent = cancellable(&Node::root(Kind::Background));
        let child = cancellable(&parent);
        let grandchild = cancellable(&child);
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
        let top = cancellable(&Node::root(Kind::Background));
        let parent = cancellable(&top);
        let child = cancellable(&Node::plain(&parent, Kind::Value { value: Box::new(Brittle), name: "Brittle" }));
        // A first walker that comes no further, so that nobody but the second one has the child in the end.
        drop(parent.signal().expect("a node with a signal").visit(&CANCELED));
        drop(child);
        assert!(panic::catch_unwind(AssertUnwindSafe(|| cancel(&parent, &CANCELED))).is_err());
        assert_eq!(children(&top), 0);
        assert!(parent.signal().expect("a node with a signal").take_unfinished_children().is_none());
    }

    #[test]
    fn nobody_asks_so_there_is_no_channel() {
        let parent = cancellable(&Node::root(Kind::Background));
        let child = cancellable(&parent);
        let signal = child.signal().expect("a node with a signal");
        assert!(signal.end().is_none());
        cancel(&parent, &CANCELED);
        assert!(signal.end().is_some());
        assert!(signal.done.get().is_none());
    }

    /// The second walker meets a node that has ended, while what is below has not.
    #[test]
    fn a_second_walk_goes_below_what_has_ended() {
        let parent = cancellable(&Node::root(Kind::Background));
        let child = cancellable(&parent);
        let grandchild = cancellable(&child);
        // A first walker that comes no further.
        let unfinished_children = child.signal().expect("a node with a signal").visit(&CANCELED);
        assert_eq!(unfinished_children.map(|unfinished_children| unfinished_children.len()), Some(1));
        cancel(&parent, &End { error: Error::DeadlineExceeded, cause: None });
        let end = |node: &Node| node.signal().and_then(Signal::end).and_then(EndCell::error);
        assert_eq!(end(&parent), Some(Error::DeadlineExceeded));
        assert_eq!((end(&child), end(&grandchild)), (Some(Error::Canceled), Some(Error::Canceled)));
    }
}
