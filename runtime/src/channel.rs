//! Channels through which goroutines and threads exchange values.
//!
//! The interface is crossbeam-channel's; `close` and the order of waiters are Go's.
//!
//! | to | use |
//! | --- | --- |
//! | make a channel | [`bounded`], [`unbounded`] |
//! | send, receive | [`Sender::send`], [`Receiver::recv`], `for value in rx` |
//! | try without waiting | [`Sender::try_send`], [`Receiver::try_recv`] |
//! | limit the wait | [`Sender::send_timeout`], [`Receiver::recv_timeout`], ... |
//! | signal that no more values follow | [`Sender::close`], or drop the last sender |
//! | wait for one of several operations | [`select!`], [`select_biased!`]; [`Select`] for a list |
//! | receive from the clock | [`after`], [`at`], [`tick`], [`timer`] |
//! | disable an arm | [`never()`], [`nil`] |
//!
//! The guide's chapter [From Go] gives the Go name for each of these, and its chapter [By hand]
//! shows what can be built from them.
//!
//! [From Go]: https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/from_go.md
//! [By hand]: https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md
//!
//! ```
//! use greenthread::{channel, go, select};
//! use std::time::Duration;
//!
//! let (tx, rx) = channel::bounded(0);
//! go!(move || tx.send("hello").unwrap());
//! select! {
//!     recv(rx) -> greeting => assert_eq!(greeting, Ok("hello")),
//!     default(Duration::from_secs(10)) => panic!("no greeting came"),
//! }
//! ```
//!
//! # What an operation does
//!
//! | operation | nil | open | closed |
//! | --- | --- | --- | --- |
//! | [`send`] | blocks forever | proceeds or blocks | `Err` with the value |
//! | `send` arm | never chosen | possible with room or a receiver | possible: like `send` |
//! | [`recv`] | blocks forever | proceeds or blocks | drains the buffer, then `Err(RecvError)` |
//! | `recv` arm | never chosen | possible with a value or a sender | possible: like `recv` |
//! | [`close`] | panics | succeeds, and wakes every waiter | panics "close of closed channel" |
//!
//! A `send` on a closed channel returns `Err(SendError(value))`. In Go it panics; `.unwrap()` gives
//! that. A sender that is blocked when the channel closes gets its value back in the same way.
//!
//! [`send`]: Sender::send
//! [`recv`]: Receiver::recv
//! [`close`]: Sender::close
//!
//! [`try_send`](Sender::try_send) and [`try_recv`](Receiver::try_recv) fail where [`send`] and
//! [`recv`] would block. Dropping the last sender or the last receiver also closes a channel. When
//! the last receiver is dropped, the buffered values are dropped with it; `close` is then still
//! allowed, once.
//!
//! Waiters are served strictly first-in, first-out: an operation that finds a waiting peer
//! completes the peer's operation before any other operation uses the channel. A value is received
//! once or returns to its sender.
//!
//! # Choosing
//!
//! [`select!`] performs exactly one of several operations. [`Select`] does the same with a list
//! that is built at run time.
//!
//! ```
//! use greenthread::channel::{bounded, select};
//!
//! let (tx, rx) = bounded(2);
//! let mut made = 0;
//! for _ in 0..5 {
//!     select! {
//!         send(tx, { made += 1; made }) -> sent => sent.unwrap(),
//!         default => assert!(tx.is_full()),
//!     }
//! }
//! assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2]);
//! assert_eq!(made, 2, "a message is made only to be sent");
//! ```
//!
//! * **At random.** Among the possible arms, each is chosen with the same probability;
//!   [`select_biased!`] chooses the first. If none is possible, the select queues on all its
//!   channels, in first-in, first-out order like any other waiter, and the first peer to arrive
//!   decides.
//! * **`default`** is chosen only if there was an instant at which no arm was possible.
//!   `default(timeout)` is chosen only if no arm was possible when the time was up.
//! * **Nothing is lost.** An arm that is not chosen leaves no trace. An arm's value is never lost
//!   or duplicated, whichever arm is chosen.
//! * **A message is evaluated only after its arm has been chosen.** (Go evaluates all messages
//!   first.) Until the message exists, either room in the buffer or a receiver is reserved for it.
//!   A reserved receiver waits for the message, and nothing else ends that wait. Its timeout or
//!   context does not, and even a [`try_recv`](Receiver::try_recv), a
//!   [`try_iter`](Receiver::try_iter) or a `select!` with a `default` waits. So do long
//!   computations before the `select!`. The send itself never blocks. If the channel is closed
//!   before the message is in the buffer, the message is returned. If evaluating the message
//!   panics, or exits through `?` or `break`, the room or the receiver is released; the receiver
//!   requeues at the tail.
//!
//! The `ready` methods ([`Select::ready`], [`Select::try_ready`], and so on) wait in the same way,
//! but they perform no operation and reserve nothing. They return the index of an operation that is
//! possible. Perform it with `try_send` or `try_recv`, since another goroutine may be faster.
//! Waiters in `ready` methods do not see each other: on a channel of capacity zero, one side has to
//! send or receive.
//!
//! # Time
//!
//! * Blocking methods come with `_timeout` and `_deadline`. An operation that is possible at once
//!   succeeds even if its time has already passed. A timeout too long for the clock never expires.
//! * [`after`], [`at`], and [`tick`] create receivers that the clock feeds, for use in the arms of
//!   a `select!`. An `after` that is created before a loop limits the whole loop; an `after` that
//!   is created in the `select!` starts again in each iteration. These receivers yield the time at
//!   which the message was due, and are never closed.
//! * [`timer::Timer`] and [`timer::Ticker`] can be stopped and reset. Either takes effect at once
//!   for all waiters: none of them receives a message that was due earlier.
//! * None of these uses a thread. A timer that nothing waits on has no entry in a list of timers,
//!   and costs only its memory until it is dropped.
//!
//! # Memory model
//!
//! The guarantees are Go's:
//! * A send happens before the corresponding receive completes.
//! * A close happens before a receive that reports it.
//! * A receive from a channel of capacity zero happens before the corresponding send completes.
//! * The *k*th receive from a channel of capacity *C* happens before the (*k* + *C*)th send to it
//!   completes.
//!
//! The chosen arm of a `select!` is a send or a receive like any other. There are no guarantees for
//! operations that fail because there is no room or no value, or for [`len`](Receiver::len).
//!
//! # For users of crossbeam-channel
//!
//! Names, types, and errors are the same: change the `use` line. "Disconnected" in a name stands
//! for every way in which a channel closes.
//!
//! The differences are these ("there" means crossbeam-channel):
//!
//! * A waiter may be a goroutine, which parks, or a thread, which blocks.
//! * Any sender may [`close`](Sender::close) the channel; [`is_closed`](Sender::is_closed) says
//!   whether it is closed. A send on a closed channel fails. There, the only way to close a channel
//!   is to drop all senders.
//! * [`nil`] makes both ends of a nil channel, and [`timer::Timer`] and [`timer::Ticker`] can be
//!   stopped and reset. There, only `never` exists.
//! * Values and room are handed directly to the waiters, strictly in order. There, a waiter is
//!   woken to try again, and others may be faster.
//! * With several arms, `default` means that all arms were impossible at one instant. There, it
//!   means that each arm was impossible when it was checked.
//! * If evaluating a message of a `select!` panics, the send is abandoned and the panic continues.
//!   There, the panic aborts the process.
//! * If a send is selected first and completed later, its value comes after the values that were
//!   sent in between, and the only receiver that waits for it is one that was matched with this
//!   send. There, the value has its place from the time of the selection, and receivers spin until
//!   the value arrives.
//! * `len` and `is_full` count the values in the buffer, so a channel that is not full may have no
//!   room. There, they also count the place of a selected send.
//! * A `select!` may have 64 arms. There, it may have 32.
//! * [`TryReadyError`] and [`ReadyTimeoutError`] implement `Display` and
//!   [`Error`](std::error::Error).

#[doc(inline)]
pub use greenthread_channels::timer;
pub use greenthread_channels::{
    IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select, SelectTimeoutError,
    SelectedOperation, SendError, SendTimeoutError, Sender, TryIter, TryReadyError, TryRecvError, TrySelectError,
    TrySendError, after, at, bounded, never, nil, select, select_biased, tick, unbounded,
};
