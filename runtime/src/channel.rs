//! Channels, over which goroutines and threads talk: crossbeam-channel's interface, Go's close and fairness.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | make a channel | [`bounded`], [`unbounded`] | `make(chan T, n)` |
//! | send, receive | [`Sender::send`], [`Receiver::recv`], `for value in rx` | `ch <- v`, `<-ch`, `range ch` |
//! | not wait, or not for long | [`Sender::try_send`], [`Receiver::recv_timeout`], ... | `select` with `default`, `time.After` |
//! | say that nothing more comes | [`Sender::close`], or drop the last sender | `close(ch)` |
//! | wait for one of several | [`select!`], [`select_biased!`]; [`Select`] for a list | `select`, `reflect.Select` |
//! | receive from the clock | [`after`], [`at`], [`tick`], [`timer`] | `time.After`, `time.NewTimer`, `time.NewTicker` |
//! | switch an arm off | [`never()`], [`nil`] | a nil channel |
//! | see what they are good for | [Idioms by hand](https://github.com/greenthread-rs/greenthread/blob/main/docs/guide/src/by_hand.md) | |
//!
//! ```
//! use greenthread::{channel, go, select};
//! use std::time::Duration;
//!
//! let (tx, rx) = channel::bounded(0);
//! go!(move || tx.send("hello").unwrap());
//! select! {
//!     recv(rx) -> greeting => assert_eq!(greeting, Ok("hello")),
//!     default(Duration::from_secs(10)) => panic!("nobody greets"),
//! }
//! ```
//!
//! # What an operation does
//!
//! | operation | nil | open | closed |
//! | --- | --- | --- | --- |
//! | [`send`](Sender::send) | blocks for ever | proceeds or blocks | `Err(SendError(value))`: the value comes back (Go panics; `.unwrap()` gives that) |
//! | `send` arm of [`select!`] | never chosen | possible if there is room or a receiver waits | possible: the value comes back |
//! | [`recv`](Receiver::recv) | blocks for ever | proceeds or blocks | drains what is buffered, then `Err(RecvError)` |
//! | `recv` arm of [`select!`] | never chosen | possible if a value is buffered or a sender waits | possible: as `recv` |
//! | [`close`](Sender::close) | panics | succeeds; wakes every waiter; a blocked sender gets its value back | panics "close of closed channel" |
//!
//! [`try_send`](Sender::try_send) and [`try_recv`](Receiver::try_recv) fail where the others block. That the last
//! sender or the last receiver is dropped closes a channel as well. Without receivers, what is buffered is dropped; and
//! `close` on a channel that only lost its receivers is allowed, once.
//!
//! Waiters are served strictly first-in-first-out: an operation that finds a peer waiting completes the peer's
//! operation before anybody else gets at the channel. A value is received once or comes back to its sender.
//!
//! # Choosing
//!
//! [`select!`] does exactly one of several operations. [`Select`] does the same with a list that is made at run time.
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
//! * **At random.** Of those that are possible one is chosen, each with the same probability; by [`select_biased!`] the
//!   first. If none is possible it waits in the queues of all the channels, first-in-first-out as any other waiter, and
//!   the first peer to come decides.
//! * **`default`** is chosen only if there was an instant at which no arm was possible, and `default(timeout)` only if
//!   that was so when the time was up.
//! * **Nothing is lost.** An arm that is not chosen leaves no trace, and an arm's value is never lost or duplicated,
//!   whichever arm is chosen.
//! * **A message is evaluated only when its arm was chosen**, after that (Go evaluates all of them before). Meanwhile
//!   room in the buffer is kept for it, or a receiver, which waits until the message is there. Nothing ends that wait
//!   but the message: not the receiver's timeout or context, and not that it only tried
//!   ([`try_recv`](Receiver::try_recv), [`try_iter`](Receiver::try_iter), `default`). So compute what takes long before
//!   the `select!`. The send itself never blocks. If the channel gets closed before a message has come
//!   into the buffer, it comes back. A message that panics, or leaves by `?` or `break`, gives back what was kept; the
//!   receiver begins anew, at the end of the queue.
//!
//! The `ready` methods ([`Select::ready`], [`Select::try_ready`] and so on) wait in the same way, but do nothing and
//! keep nothing: they name an operation that is possible, to be done with `try_send` or `try_recv`, for which another
//! may be faster. Those who only watch are not seen by each other: on a channel of capacity zero, one side has to send
//! or receive.
//!
//! # Time
//!
//! * Blocking methods come with `_timeout` and `_deadline`. What is possible at once is done even if the time has
//!   passed already. A timeout too long for the clock never comes.
//! * [`after`], [`at`] and [`tick`] make receivers that the clock feeds, for an arm of a `select!`. Made before a loop,
//!   an `after` limits the loop; made in its `select!`, it is a new one each time. They receive the time at which the
//!   message was due, and are never closed.
//! * [`timer::Timer`] and [`timer::Ticker`] can be stopped and set anew, at once for all who wait; nobody receives what
//!   was due before.
//! * None of them is a thread or an entry in a timer's list. One that nobody waits for costs its memory until it is
//!   dropped.
//!
//! # Memory model
//!
//! As Go's:
//! * A send happens before the corresponding receive completes.
//! * A close happens before a receive that reports it.
//! * A receive from a channel of capacity zero happens before the corresponding send completes.
//! * The *k*th receive from a channel of capacity *C* happens before the (*k* + *C*)th send to it completes.
//!
//! The chosen arm of a `select!` is a send or a receive like any other. Nothing is promised about operations that fail
//! for want of room or of a value, nor about [`len`](Receiver::len).
//!
//! # For those who know Go
//!
//! | Go | here |
//! | --- | --- |
//! | `make(chan T)`, `make(chan T, n)` | [`bounded(0)`](bounded), [`bounded(n)`](bounded) |
//! | `var ch chan T` | [`nil()`](nil) |
//! | `chan<- T`, `<-chan T` | [`Sender<T>`], [`Receiver<T>`] |
//! | `ch <- v` | [`tx.send(v)`](Sender::send), and look at the result |
//! | `v := <-ch`, `v, ok := <-ch` | [`rx.recv()`](Receiver::recv) |
//! | `for v := range ch` | `for v in rx`, `for v in &rx` |
//! | `close(ch)` | [`tx.close()`](Sender::close), or drop the last sender |
//! | `len(ch)`, `cap(ch)` | [`rx.len()`](Receiver::len), [`rx.capacity()`](Receiver::capacity) |
//! | `ch1 == ch2` | [`same_channel`](Receiver::same_channel) |
//! | `select { case v, ok := <-ch1: .. case ch2 <- v: .. }` | [`select!`]` { recv(rx1) -> v => .., send(tx2, v) -> sent => .. }` |
//! | `case <-ch:` | `recv(rx) -> _ => ..` |
//! | `default:` | `default => ..` |
//! | `select { case ch <- v: default: }` | [`tx.try_send(v)`](Sender::try_send) |
//! | `select { case v := <-ch: default: }` | [`rx.try_recv()`](Receiver::try_recv) |
//! | `case <-time.After(d):` | `default(d) => ..`, or `recv(after(d)) -> _ => ..` |
//! | `select { case v := <-ch: case <-time.After(d): }` | [`rx.recv_timeout(d)`](Receiver::recv_timeout) |
//! | `ch = nil`, to switch a case off | `rx = `[`never()`](never()), `(tx, _) = `[`nil()`](nil) |
//! | `break` leaves the `select` | `break` leaves the loop around it |
//! | `select {}` | `never::<()>().recv()` |
//! | `reflect.Select` | [`Select`] |
//! | `time.After(d)` | [`after(d)`](after) |
//! | `time.NewTimer(d)`, `t.C`, `t.Stop()`, `t.Reset(d)` | [`Timer::new(d)`](timer::Timer::new), `t.channel()`, `t.stop()`, `t.reset(d)` |
//! | `time.NewTicker(d)`, `time.Tick(d)` | [`Ticker::new(d)`](timer::Ticker::new); [`tick(d)`](tick) counts on from a late receive |
//!
//! # For those who know crossbeam-channel
//!
//! Names, types and errors are the same: change the `use` line. A "disconnected" in a name stands for every way in
//! which a channel closes.
//!
//! | | there | here |
//! | --- | --- | --- |
//! | one who waits | blocks a thread | parks a goroutine, or blocks a thread |
//! | [`close`](Sender::close), [`is_closed`](Sender::is_closed) | drop all senders | any sender closes; a send then fails |
//! | [`nil`], [`timer::Timer`], [`timer::Ticker`] | only `never`, `after`, `at`, `tick` | both ends; can be stopped and set anew |
//! | who waits | is woken to try again; others may be faster | gets its value or its room handed over, strictly in order |
//! | `default` with several arms | each was impossible when it was looked at | all were at one instant |
//! | a `select!` message that panics | aborts the process | the send is given up, and the panic goes on |
//! | a value that is selected first and sent later | has its place from the selection on; receivers spin until it is there | comes behind those that were sent meanwhile; only a receiver that was chosen for it waits |
//! | `len`, `is_full` | count its place | count what is there: a channel that is not full may have no room |
//! | arms of a `select!` | 32 | 64 |

#[doc(inline)]
pub use greenthread_channels::timer;
pub use greenthread_channels::{
    IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select, SelectTimeoutError,
    SelectedOperation, SendError, SendTimeoutError, Sender, TryIter, TryReadyError, TryRecvError, TrySelectError,
    TrySendError, after, at, bounded, never, nil, select, select_biased, tick, unbounded,
};
