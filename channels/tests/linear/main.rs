//! Records what a few tasks do with a few channels, and checks that channels could have done it.
//!
//! # Vocabulary
//! A *call* is one operation as its caller sees it: it is *invoked*, and later it *responds* with an *outcome*. Both
//! moments are stamped from one counter: the first stamp is taken before the operation begins, the second after it has
//! returned. A *history* is the calls of all tasks, each with its two stamps. It is *linearizable* if every call can
//! be given one instant between its stamps so that the calls, in the order of these instants, are what a sequential
//! *model* of channels allows. (Herlihy and Wing, 1990. The search is Wing and Gong's, with Lowe's memory of the
//! states it has been in.)
//!
//! Every call is written as one shape: a list of *arms*, each a send or a receive on one channel, and what the call
//! does when no arm is *ready*: wait for ever, wait until a deadline, or give up at once. So `recv` is one arm that
//! waits, `try_send` one arm that gives up, `select!` several arms. `close` and `is_closed` stand beside it.
//!
//! # The model
//! A channel is a FIFO of values with a capacity, and a flag. Beside the channels there is one list of the calls that
//! *wait*, the longest waiting first. A channel of capacity zero is no case of its own.
//!
//! | arm | ready if | then |
//! | --- | --- | --- |
//! | send | the channel is closed | the value goes back |
//! | | a receive waits | the longest waiting receive gets the value, and **both** calls are over |
//! | | there is room | the value is appended |
//! | receive | a value is there | the oldest is taken; the longest waiting send appends its value, and is over too |
//! | | a send waits (capacity zero) | its value is taken, and **both** calls are over |
//! | | the channel is closed and drained | the end is reported |
//!
//! A call with a ready arm takes effect in one step. If it is biased, it looks at its arms one after the other, so
//! each arm before the chosen one must have been unready at some instant of its interval, not at the same one. A call
//! without one gives up, which is its step, or joins the list. Whoever waits is served by a peer, is let go by a
//! close, or times out.
//!
//! *A rendezvous* is therefore one step that ends two calls, at one instant that lies in both intervals: one of them
//! has waited, the other has come. (Concurrency-aware, or set, linearizability: no order of single calls explains two
//! calls that need each other.) So two calls that both give up at once can never meet, and a call never meets itself:
//! who comes does not wait.
//!
//! *A close* does two things in the real channel: it sets the flag, and then it lets those go who wait. In between a
//! `select!` that waits at another channel too may still be served there, although somebody has seen the flag. Go's is
//! no different. So in the model, to be let go is a step of the one who waits, at any time after the close. A call
//! with one arm has no other way to end, and the demand on it is as strict as it can be.
//!
//! *A late message.* `select!` evaluates a message only when its arm was chosen. In the meantime room in the buffer is
//! kept for it: for others it is taken, and yet nothing is there to be received. So a *late* call may take two steps,
//! one in which it is chosen and one in which its value comes. If it was chosen by a receiver that waits, no one can
//! tell the two apart, and one step will do.
//!
//! # What can be demanded of a call that gave up
//! `try_recv` may answer *empty* if at one instant of its interval no value was there, no sender waited, and the
//! channel was open. But when does a sender wait? From its stamps we know that it was invoked, not that it has got as
//! far as the channel's queue. A `send` that is still to respond can always be said to have dawdled on its way, up to
//! the very instant before a receiver met it. So from stamps alone a channel of capacity zero may always answer
//! *empty* and *full* while it is open; that a sender "must have been there by then" is no argument, and a checker
//! that makes it is wrong as soon as the machine is busy.
//!
//! It takes a *witness*. A goroutine that is parked is shown as such in the runtime's dump, and by then it is in the
//! queues, or a peer has already served it. So a task may look for another one in the dump, and stamps the moment when
//! it has seen it parked in the call that it had begun before. From that stamp on the call must be over or wait. This
//! is what lets the checker demand, with no guess about time:
//! * *empty*, *full* and `default` only if nobody was there, at capacity zero too;
//! * those who wait are served first-in-first-out, as far as two witnesses, or a witness and an invocation, put them
//!   in order;
//! * nobody barges: room that a receive makes belongs to the sender that waits.
//!
//! Without a witness these rules take nothing away. Any explanation in which calls join the list can be changed so
//! that each joins it just before it is served: then the list is never longer than one call, and the model is the
//! ordinary one. Hence threads, of which we have no dump, go through the same checker.
//!
//! # What else is left open
//! * `len`, `is_empty` and `is_full` promise nothing, so they are not recorded.
//! * A deadline: that a call times out too early or too late is not seen; that it times out with a ready arm is.
//! * Liveness: a wake-up that is lost is the watchdog's business. A history ends when all calls have responded: the
//!   one who records closes the channels, or serves them until all are through, and takes out what is left, so that a
//!   lost value is missed.
//!
//! # See also
//! `model` for the steps, `search` for the order in which they are tried, `script` for the recording;
//! `checker` for histories that must pass and histories that must not.

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod checker;
mod history;
mod model;
mod script;
mod search;
mod selects;
