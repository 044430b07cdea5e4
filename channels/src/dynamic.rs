//! `Select`: a list of operations that is built at run time.
//!
//! # Where a received value lies
//! Between `select` and [`SelectedOperation::recv`] the value is neither in the channel nor in the
//! caller's frame. The `SelectedOperation` may outlive the `Select`, and does not know the type of
//! the value. A value of up to [`INLINE`] words lies in the `SelectedOperation`. A larger value
//! lies in an allocation of its own. The allocation is made when the `Select` first runs with that
//! operation, and moves into the `SelectedOperation` with the value. `select!` knows all types, and
//! needs none of this.
//!
//! # A `Select` that outlives its channels
//! A `Select` may be declared before the channels that it selects from, and so be dropped after
//! them. The compiler accepts that only if no `Drop` runs on a type that has the lifetime of the
//! handles. So the list, which must free its entries, has a type without that lifetime
//! ([`Entries`]), and freeing an entry does not touch its handle.
//!
//! # Invariants
//! * I1: only `Entries` points to its boxes, except while `select_arms` runs. In a `Select<'a>`
//!   each box is an `Entry<'a>`.
//! * I2: a slot has room for a value of the channel's type. In a `SelectedOperation` whose
//!   `completion` is `Received(true)` it holds one.

use std::alloc::{self, Layout};
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use crate::error::{ReadyTimeoutError, RecvError, SelectTimeoutError, SendError, TryReadyError, TrySelectError};
use crate::handle::{Receiver, Sender};
use crate::head::Grant;
use crate::internal::Permit;
use crate::select::{Arm, Completion, Goal, Limit, select_arms};

/// The size in words up to which a value needs no allocation.
const INLINE: usize = 4;

type Words = [MaybeUninit<usize>; INLINE];

/// Room for one value.
enum Slot {
    Inline(Words),
    Own(NonNull<u8>, Layout),
}

impl Slot {
    /// Creates room for a value with this layout. Allocates if the value is large.
    fn new(layout: Layout) -> Self {
        let words = Layout::new::<Words>();
        if layout.size() <= words.size() && layout.align() <= words.align() {
            return Self::Inline([MaybeUninit::uninit(); INLINE]);
        }
        if layout.size() == 0 {
            let nothing = NonNull::new(ptr::without_provenance_mut(layout.align())).expect("an alignment is not zero");
            return Self::Own(nothing, layout);
        }
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc::alloc(layout) };
        Self::Own(NonNull::new(memory).unwrap_or_else(|| alloc::handle_alloc_error(layout)), layout)
    }

    fn as_mut_ptr(&mut self) -> *mut () {
        match self {
            Self::Inline(words) => words.as_mut_ptr().cast(),
            Self::Own(memory, _) => memory.as_ptr().cast(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Self::Own(memory, layout) = *self
            && layout.size() > 0
        {
            // SAFETY: the memory was allocated with this layout in `new`.
            unsafe { alloc::dealloc(memory.as_ptr(), layout) };
        }
    }
}

/// One operation of a `Select`.
///
/// It lies on the heap, because it must stay in place while a select runs.
#[repr(C)]
struct Entry<'a> {
    // First, so that a pointer to an entry is also a pointer to its arm.
    arm: Arm<'a>,
    index: usize,
    /// The sender or the receiver.
    handle: *const u8,
    kind: Kind,
    slot: Option<Slot>,
}

/// The entries of a `Select<'a>`, without `'a`: dropping them does not use what they borrow.
struct Entries(Vec<NonNull<Entry<'static>>>);

impl Entries {
    fn push(&mut self, entry: Entry<'_>) {
        self.0.push(NonNull::from(Box::leak(Box::new(entry))).cast());
    }

    /// Frees an entry. The last entry moves to its position.
    fn remove(&mut self, position: usize) {
        let entry = self.0.swap_remove(position);
        // SAFETY: I1: the box is no longer in the list. The entry's borrows may be dangling, but
        // dropping the entry does not touch them: an arm has no drop code, and a slot is plain
        // memory.
        drop(unsafe { Box::from_raw(entry.as_ptr()) });
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        (0..self.0.len()).rev().for_each(|position| self.remove(position));
    }
}

// `Entries::remove` relies on this.
const _: () = assert!(!mem::needs_drop::<Arm<'_>>());

/// The part of an operation that depends on its type.
#[derive(Clone, Copy)]
enum Kind {
    Recv(Layout),
    Send(unsafe fn(*const u8, Grant)),
}

/// # Safety
/// `handle` points to a `Sender<T>`, which granted the send.
unsafe fn return_grant<T>(handle: *const u8, grant: Grant) {
    // SAFETY: `handle` is a `Sender<T>`, as the contract says.
    drop(Permit::new(unsafe { (*handle.cast::<Sender<T>>()).chan() }, grant));
}

/// Waits for one of several channel operations, from a list that is built at run time.
///
/// If the list is fixed when the program is written, [`select!`](crate::select!) is simpler.
///
/// Adding an operation gives it an index. A select has two steps: first an operation is *selected*,
/// then the caller *completes* it with [`SelectedOperation`]. Between the two steps, the operation
/// belongs to the caller: no other operation gets the value, the room in the buffer, or the waiting
/// receiver.
///
/// An operation can be selected if it would not block. This includes an operation that fails
/// because the channel is closed. If several operations can be selected, one is chosen at random
/// with equal probability, unless the `Select` is [biased](Select::new_biased).
///
/// Go's counterpart is `reflect.Select`. A `Select` can be used any number of times. It shares
/// nothing with its clones.
///
/// ```
/// use greenthread::channel::{Select, unbounded};
/// use std::thread;
///
/// let (s1, r1) = unbounded();
/// let (s2, r2) = unbounded::<u32>();
/// s1.send("hello").unwrap();
///
/// let mut select = Select::new();
/// let one = select.recv(&r1);
/// let two = select.send(&s2);
/// for _ in 0..2 {
///     let operation = select.select();
///     match operation.index() {
///         i if i == one => assert_eq!(operation.recv(&r1), Ok("hello")),
///         i if i == two => assert_eq!(operation.send(&s2, 7), Ok(())),
///         _ => unreachable!(),
///     }
///     # if s2.is_empty() { s2.send(7).unwrap(); } else { s1.send("hello").unwrap(); }
/// }
/// ```
pub struct Select<'a> {
    entries: Entries,
    next_index: usize,
    biased: bool,
    _borrow: PhantomData<&'a ()>,
}

// SAFETY: entries are used only in calls with `&mut self`. A value that a select received is moved
// as plain memory until `SelectedOperation::recv`, for which the caller needs a `&Receiver` of its
// type.
unsafe impl Send for Select<'_> {}
// SAFETY: entries are used only in calls with `&mut self`. `&self` only allows cloning and
// printing.
unsafe impl Sync for Select<'_> {}

/// An operation that was selected and must be completed.
///
/// A send is completed with [`send`](Self::send), a receive with [`recv`](Self::recv).
///
/// # Panics
/// If it is dropped instead of completed. A value that it has received is then leaked. If the
/// thread or goroutine is already panicking, the drop does not panic, but only releases what was
/// reserved for the operation.
///
/// ```
/// use greenthread::channel::{Select, bounded};
///
/// let (tx, rx) = bounded(1);
/// let mut select = Select::new();
/// select.send(&tx);
/// let operation = select.select();
/// assert_eq!(operation.index(), 0);
/// assert_eq!(operation.send(&tx, 5), Ok(()));
/// assert_eq!(rx.recv(), Ok(5));
/// ```
#[must_use]
pub struct SelectedOperation<'a> {
    index: usize,
    handle: *const u8,
    kind: Kind,
    /// `None` once it is completed.
    completion: Option<Completion>,
    slot: Option<Slot>,
    _borrow: PhantomData<&'a ()>,
}

// A panic leaves nothing half done: an operation is added or removed in one step. crossbeam-channel
// implements these for `SelectedOperation` only.
impl UnwindSafe for Select<'_> {}
impl RefUnwindSafe for Select<'_> {}
impl UnwindSafe for SelectedOperation<'_> {}
impl RefUnwindSafe for SelectedOperation<'_> {}

impl<'a> Select<'a> {
    /// Creates an empty `Select`, which chooses at random.
    ///
    /// ```
    /// let mut select = greenthread::channel::Select::new();
    /// assert!(select.try_select().is_err());
    /// ```
    pub fn new() -> Select<'a> {
        Self { entries: Entries(Vec::with_capacity(4)), next_index: 0, biased: false, _borrow: PhantomData }
    }

    /// Creates an empty `Select`, which chooses the operation with the smallest index.
    ///
    /// Go has no such select.
    ///
    /// ```
    /// use greenthread::channel::{Select, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// tx.send(1).unwrap();
    /// let mut select = Select::new_biased();
    /// select.recv(&rx);
    /// select.send(&tx);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), 0);
    /// assert_eq!(operation.recv(&rx), Ok(1));
    /// ```
    pub fn new_biased() -> Self {
        let mut select = Self::new();
        select.biased = true;
        select
    }

    /// Adds a send, and returns its index.
    ///
    /// The message is needed only once the operation has been selected.
    ///
    /// ```
    /// let (tx, _rx) = greenthread::channel::unbounded::<u8>();
    /// let mut select = greenthread::channel::Select::new();
    /// assert_eq!(select.send(&tx), 0);
    /// assert_eq!(select.send(&tx), 1);
    /// ```
    pub fn send<T>(&mut self, s: &'a Sender<T>) -> usize {
        self.add(s.arm(), ptr::from_ref(s).cast(), Kind::Send(return_grant::<T>))
    }

    /// Adds a receive, and returns its index.
    ///
    /// ```
    /// let (_tx, rx) = greenthread::channel::unbounded::<u8>();
    /// let mut select = greenthread::channel::Select::new();
    /// assert_eq!(select.recv(&rx), 0);
    /// ```
    pub fn recv<T>(&mut self, r: &'a Receiver<T>) -> usize {
        self.add(r.arm(), ptr::from_ref(r).cast(), Kind::Recv(Layout::new::<T>()))
    }

    /// Adds the close of a sender's channel, and returns its index.
    ///
    /// Dropping the last receiver closes the channel too. There is nothing to complete: this exists
    /// for the methods that check which operation is ready.
    #[doc(hidden)]
    pub fn closed(&mut self, s: &'a Sender<Infallible>) -> usize {
        // No value is ever sent, so a receive becomes ready only because of the close.
        self.add(s.arm_for_close(), ptr::from_ref(s).cast(), Kind::Recv(Layout::new::<Infallible>()))
    }

    fn add(&mut self, arm: Arm<'a>, handle: *const u8, kind: Kind) -> usize {
        let index = self.next_index;
        self.entries.push(Entry { arm, index, handle, kind, slot: None });
        self.next_index += 1;
        index
    }

    fn entry(&self, position: usize) -> &Entry<'a> {
        // SAFETY: I1: the pointer is to an entry of this `Select`.
        unsafe { self.entries.0[position].cast().as_ref() }
    }

    /// Removes an operation.
    ///
    /// The other operations keep their indices. Removing an operation on a closed channel keeps it
    /// from being selected again and again.
    ///
    /// # Panics
    /// If no operation has this index.
    ///
    /// ```
    /// use greenthread::channel::{RecvError, Select, unbounded};
    ///
    /// let (tx, closed) = unbounded::<u8>();
    /// let (_tx, quiet) = unbounded::<u8>();
    /// drop(tx);
    /// let mut select = Select::new();
    /// let index = select.recv(&closed);
    /// select.recv(&quiet);
    /// assert_eq!(select.select().recv(&closed), Err(RecvError));
    /// select.remove(index);
    /// assert!(select.try_select().is_err());
    /// ```
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {} >= {}", index, self.next_index);
        let position = (0..self.entries.0.len()).find(|&position| self.entry(position).index == index);
        self.entries.remove(position.expect("no operation with this index"));
    }

    /// Selects an operation if that is possible now.
    ///
    /// It blocks in one case only: if another select has chosen to send to this one, it waits until
    /// that select has evaluated its message.
    ///
    /// # Errors
    /// If there was an instant at which no operation was possible.
    ///
    /// ```
    /// use greenthread::channel::{Select, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.try_select().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(select.try_select().unwrap().recv(&rx), Ok(1));
    /// ```
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.run(Limit::Now).ok_or(TrySelectError)
    }

    /// Selects an operation, blocking until one is possible.
    ///
    /// # Panics
    /// If the list is empty.
    ///
    /// ```
    /// use greenthread::channel::{Select, bounded};
    /// use std::thread;
    ///
    /// let (tx, rx) = bounded(0);
    /// thread::spawn(move || tx.send(1));
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert_eq!(select.select().recv(&rx), Ok(1));
    /// ```
    pub fn select(&mut self) -> SelectedOperation<'a> {
        self.check_not_empty();
        self.run(Limit::Never).expect("select: waits until an operation is possible")
    }

    /// Selects an operation, blocking for at most `timeout` until one is possible.
    ///
    /// If another select has chosen to send to this one, this call also waits until that select has
    /// evaluated its message.
    ///
    /// # Errors
    /// If no operation became possible in time.
    ///
    /// ```
    /// use greenthread::channel::{Select, never};
    /// use std::time::Duration;
    ///
    /// let rx = never::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.select_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn select_timeout(&mut self, timeout: Duration) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.select_deadline(deadline),
            None => Ok(self.select()),
        }
    }

    /// Selects an operation, blocking until `deadline` at the latest.
    ///
    /// It may wait past the deadline in the same case as [`select_timeout`](Self::select_timeout).
    ///
    /// # Errors
    /// If no operation became possible in time.
    ///
    /// ```
    /// use greenthread::channel::{Select, never};
    /// use std::time::Instant;
    ///
    /// let rx = never::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.select_deadline(Instant::now()).is_err());
    /// ```
    pub fn select_deadline(&mut self, deadline: Instant) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.run(Limit::At(deadline)).ok_or(SelectTimeoutError)
    }

    /// Returns the index of an operation that is possible now.
    ///
    /// Never blocks.
    ///
    /// Nothing is performed or reserved. Another thread may be faster, so the caller should perform
    /// the operation with a method that does not block.
    ///
    /// # Errors
    /// If there was an instant at which no operation was possible.
    ///
    /// ```
    /// use greenthread::channel::{Select, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&rx);
    /// assert!(select.try_ready().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(select.try_ready(), Ok(index));
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.ready_within(Limit::Now).ok_or(TryReadyError)
    }

    /// Returns the index of an operation that is possible, blocking until one is.
    ///
    /// See [`try_ready`](Self::try_ready).
    ///
    /// # Panics
    /// If the list is empty.
    ///
    /// ```
    /// use greenthread::channel::{Select, unbounded};
    ///
    /// let (tx, rx) = unbounded();
    /// let mut select = Select::new();
    /// let index = select.recv(&rx);
    /// tx.send(1).unwrap();
    /// assert_eq!(select.ready(), index);
    /// ```
    pub fn ready(&mut self) -> usize {
        self.check_not_empty();
        self.ready_within(Limit::Never).expect("select: waits until an operation is possible")
    }

    /// Returns the index of an operation that is possible, blocking for at most `timeout`.
    ///
    /// See [`try_ready`](Self::try_ready).
    ///
    /// # Errors
    /// If no operation became possible in time.
    ///
    /// ```
    /// use greenthread::channel::{Select, never};
    /// use std::time::Duration;
    ///
    /// let rx = never::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.ready_timeout(Duration::from_millis(1)).is_err());
    /// ```
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.ready_deadline(deadline),
            None => Ok(self.ready()),
        }
    }

    /// Returns the index of an operation that is possible, blocking until `deadline` at the latest.
    ///
    /// See [`try_ready`](Self::try_ready).
    ///
    /// # Errors
    /// If no operation became possible in time.
    ///
    /// ```
    /// use greenthread::channel::{Select, never};
    /// use std::time::Instant;
    ///
    /// let rx = never::<u8>();
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.ready_deadline(Instant::now()).is_err());
    /// ```
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.ready_within(Limit::At(deadline)).ok_or(ReadyTimeoutError)
    }

    fn check_not_empty(&self) {
        assert!(!self.entries.0.is_empty(), "no operations have been added to `Select`");
    }

    fn run(&mut self, limit: Limit) -> Option<SelectedOperation<'a>> {
        for &entry in &self.entries.0 {
            // SAFETY: I1: only this list points to the entry, and no select runs.
            let entry = unsafe { &mut *entry.as_ptr() };
            let slot = match entry.kind {
                Kind::Send(_) => ptr::null_mut(),
                Kind::Recv(layout) => entry.slot.get_or_insert_with(|| Slot::new(layout)).as_mut_ptr(),
            };
            entry.arm.set_slot(slot);
            entry.arm.set_index(entry.index);
        }
        let position = self.choose(Goal::Perform, limit)?;
        // SAFETY: I1: only this list points to the entry, and the select has finished.
        let entry = unsafe { &mut *self.entries.0[position].as_ptr() };
        Some(SelectedOperation {
            index: entry.index,
            handle: entry.handle,
            kind: entry.kind,
            completion: entry.arm.take_completion(),
            slot: entry.slot.take(),
            _borrow: PhantomData,
        })
    }

    fn ready_within(&mut self, limit: Limit) -> Option<usize> {
        for position in 0..self.entries.0.len() {
            let entry = self.entry(position);
            entry.arm.set_index(entry.index);
        }
        self.choose(Goal::Ready, limit).map(|position| self.entry(position).index)
    }

    fn choose(&mut self, goal: Goal, limit: Limit) -> Option<usize> {
        let entries = ptr::from_mut(self.entries.0.as_mut_slice());
        // SAFETY: a pointer to an entry is also a pointer to its arm, the first field, and by I1 it
        // is a valid reference. Each arm is in the list once, and `run` has set its slot if the
        // goal needs one.
        unsafe { select_arms(&mut *(entries as *mut [&Arm<'_>]), goal, limit, self.biased) }
    }
}

impl<'a> Clone for Select<'a> {
    fn clone(&self) -> Select<'a> {
        let entries = Entries(Vec::with_capacity(self.entries.0.len()));
        let mut clone = Self { entries, next_index: self.next_index, biased: self.biased, _borrow: PhantomData };
        for position in 0..self.entries.0.len() {
            let Entry { ref arm, index, handle, kind, .. } = *self.entry(position);
            clone.entries.push(Entry { arm: arm.fresh(), index, handle, kind, slot: None });
        }
        clone
    }
}

impl<'a> Default for Select<'a> {
    fn default() -> Select<'a> {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

impl SelectedOperation<'_> {
    /// Returns the index of the operation, as returned by [`Select::send`] or [`Select::recv`].
    ///
    /// ```
    /// use greenthread::channel::{Select, bounded};
    ///
    /// let (tx, _rx) = bounded(1);
    /// let mut select = Select::new();
    /// let index = select.send(&tx);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), index);
    /// operation.send(&tx, "hello").unwrap();
    /// ```
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the channel is closed. The error returns the value.
    ///
    /// # Panics
    /// If `s` is not the sender that was added, at the same address.
    ///
    /// ```
    /// use greenthread::channel::{Select, SendError, bounded};
    ///
    /// let (tx, rx) = bounded::<u8>(0);
    /// let mut select = Select::new();
    /// select.send(&tx);
    /// drop(rx);
    /// assert_eq!(select.select().send(&tx, 1), Err(SendError(1)));
    /// ```
    pub fn send<T>(mut self, s: &Sender<T>, msg: T) -> Result<(), SendError<T>> {
        assert!(ptr::from_ref(s).cast() == self.handle, "passed a sender that wasn't selected");
        match self.completion.take() {
            Some(Completion::Granted(grant)) => Permit::new(s.chan(), grant).send(msg),
            _ => Err(SendError(msg)),
        }
    }

    /// Completes a receive.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If the channel is closed and drained.
    ///
    /// # Panics
    /// If `r` is not the receiver that was added, at the same address.
    ///
    /// ```
    /// use greenthread::channel::{RecvError, Select, bounded};
    ///
    /// let (tx, rx) = bounded::<u8>(0);
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// drop(tx);
    /// assert_eq!(select.select().recv(&rx), Err(RecvError));
    /// ```
    pub fn recv<T>(mut self, r: &Receiver<T>) -> Result<T, RecvError> {
        assert!(ptr::from_ref(r).cast() == self.handle, "passed a receiver that wasn't selected");
        match (self.completion.take(), &mut self.slot) {
            // SAFETY: I2: the slot holds a value, which has the type of the receiver that was
            // added. `r` is that receiver, and the value is read once.
            (Some(Completion::Received(true)), Some(slot)) => Ok(unsafe { slot.as_mut_ptr().cast::<T>().read() }),
            _ => Err(RecvError),
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(completion) = self.completion.take() else { return };
        if let (Completion::Granted(grant), Kind::Send(return_grant)) = (completion, self.kind) {
            // SAFETY: `handle` is the sender of this operation, which is borrowed for `'a`.
            unsafe { return_grant(self.handle, grant) };
        }
        if !std::thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}
