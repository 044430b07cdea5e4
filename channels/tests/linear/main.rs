//! Records the calls that a few tasks make on a few channels, and checks that channels could have
//! behaved that way.
//!
//! # Vocabulary
//! A *call* is one operation as its caller sees it: it is *invoked*, and later it *responds* with
//! an *outcome*. Both events are stamped from one counter. The first stamp is taken before the
//! operation begins, the second after it has returned. A *history* consists of the calls of all
//! tasks with their two stamps. A history is *linearizable* if every call can be assigned one
//! instant between its stamps such that a sequential *model* of channels allows the calls in the
//! order of these instants. (Herlihy and Wing, 1990. The search is Wing and Gong's, with Lowe's
//! memory of visited states.)
//!
//! Every call has the same shape: a list of *arms*, each a send or a receive on one channel, and a
//! rule for the case that no arm is *ready*. The call then waits forever, waits until a deadline,
//! or gives up immediately. So `recv` is one arm that waits, `try_send` is one arm that gives up,
//! and `select!` is several arms. `close` and `is_closed` are separate calls.
//!
//! # The model
//! A channel consists of a FIFO queue of values with a capacity, and a flag. In addition to the
//! channels, there is one list of the calls that *wait*, with the longest-waiting call first.
//! Capacity zero is not a special case.
//!
//! | arm | ready if | then |
//! | --- | --- | --- |
//! | send | the channel is closed | the value goes back |
//! | | a receive waits | the longest-waiting receive gets the value, and **both** calls are over |
//! | | there is room | the value is appended |
//! | receive | a value is there | it is taken; the first waiting send appends and is over |
//! | | a send waits (capacity zero) | its value is taken, and **both** calls are over |
//! | | the channel is closed and drained | the end is reported |
//!
//! A call with a ready arm takes effect in one step. A biased call checks its arms one after the
//! other. So each arm before the chosen arm must have been unready at some instant of the call's
//! interval, but not necessarily all at the same instant. A call without a ready arm either gives
//! up, which is its step, or joins the list. A waiting call is served by a peer, is woken by a
//! close, or times out.
//!
//! *A rendezvous* is therefore one step that ends two calls, at one instant that lies in both
//! intervals: one call was waiting, and the other one arrives. (This is concurrency-aware, or set,
//! linearizability: no order of single calls explains two calls that need each other.) So two calls
//! that both give up immediately can never meet. A call never meets itself, because an arriving
//! call does not wait.
//!
//! *A close* does two things in the real channel: it sets the flag, and then it wakes the waiters.
//! In between, a `select!` that also waits on another channel may still be served there, although
//! another task has seen the flag. Go's close behaves the same way. So in the model, being woken by
//! a close is a step of the waiting call, at any time after the close. A call with only one arm has
//! no other way to end, and the demands on it are as strict as possible.
//!
//! *A late message.* `select!` evaluates a message only after its arm was chosen. Until the message
//! is ready, a slot of the buffer is reserved for it. That slot counts as taken for other calls,
//! although it holds nothing to receive. So a *late* call may take two steps: in the first it is
//! chosen, and in the second its value arrives. If a waiting receiver has chosen it, no observer
//! can tell the two steps apart, and one step is enough.
//!
//! # What can be demanded of a call that gave up
//! `try_recv` may return *empty* if at one instant of its interval the channel contained no value,
//! no sender waited, and the channel was open. But when does a sender wait? Its stamps show that it
//! was invoked, not that it has reached the channel's queue. A `send` that has not responded may
//! always have been slow, up to the very instant before a receiver met it. So, judged from stamps
//! alone, an open channel of capacity zero may always return *empty* and *full*. That a sender
//! "must have been there by then" is not an argument, and a checker that relies on it fails as soon
//! as the machine is busy.
//!
//! A *witness* settles this. The runtime's dump shows a parked goroutine as parked, and by then the
//! goroutine is in the queues, or a peer has already served it. So a task may look for another task
//! in the dump. It stamps the moment at which it has seen that task parked in a call that had begun
//! earlier. From that stamp on, the call must have ended or be waiting. So the checker can demand,
//! without guessing about time:
//! * *empty*, *full* and `default` only if no peer was waiting, even at capacity zero;
//! * waiting calls are served first-in-first-out, as far as two witnesses, or a witness and an
//!   invocation, order them;
//! * no call barges: room that a receive makes belongs to the waiting sender.
//!
//! Without a witness, these rules exclude nothing. Any explanation in which calls join the list can
//! be changed so that each call joins it just before it is served. The list then never contains
//! more than one call, and the model is the ordinary one. Hence threads, which have no dump, go
//! through the same checker.
//!
//! # What else is left open
//! * `len`, `is_empty` and `is_full` guarantee nothing, so they are not recorded.
//! * Deadlines: the checker does not detect a call that times out too early or too late. It does
//!   detect a call that times out although an arm is ready.
//! * Liveness: the watchdog finds a lost wake-up. A history ends when all calls have responded. The
//!   recording task closes the channels, or serves them until all tasks are done. It also removes
//!   the remaining values, so that a lost value is noticed.
//!
//! # See also
//! `model` describes the steps, `search` the order in which they are tried, and `script` the
//! recording. `checker` contains histories that must pass and histories that must not.

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod checker;
mod history;
mod model;
mod script;
mod search;
mod selects;
