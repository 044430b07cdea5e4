//! Patterns by hand: what channels are good for, each with an example that runs as it stands.
//!
//! Where [`patterns`](super) has one as a call, it is named: that one ends with a context, and hands panics on.
//!
//! | to | see |
//! | --- | --- |
//! | stop goroutines, start them together | [Done channel](#done-channel), [Signal](#signal), [Closing as a broadcast](#closing-as-a-broadcast), [Who closes](#who-closes) |
//! | get results | [Results](#results), [Request and reply](#request-and-reply) |
//! | share work | [Worker pool](#worker-pool), [Pipeline](#pipeline), [Fan-out and fan-in](#fan-out-and-fan-in), [Semaphore](#semaphore) |
//! | mind the time | [Timeout of one receive](#timeout-of-one-receive), [Timeout of a loop](#timeout-of-a-loop), [Ticking](#ticking), [Retry with back-off](#retry-with-back-off), [Batches](#batches) |
//! | not wait | [Poll, and drop when full](#poll-and-drop-when-full), [Latest value only](#latest-value-only) |
//! | choose | [Switching an arm off](#switching-an-arm-off), [Priorities](#priorities), [Select over a list](#select-over-a-list), [The first of many signals](#the-first-of-many-signals) |
//! | find out why nothing happens | [Traps](#traps) |
//!
//! Three habits are Rust's rather than Go's:
//! * A goroutine owns its ends of a channel: it gets clones, by `move`. The last sender dropped closes the channel, so
//!   whoever has handed out clones drops the original: `drop(tx)`.
//! * The last receiver dropped closes it too. A send that fails therefore means that nobody wants the values any more:
//!   the goroutine returns, drops its own receivers, and so stops those that send to it.
//! * A channel that only ever closes is a `Receiver<Infallible>`: the type says that no value comes.
//!
//! # Done channel
//! For a goroutine that would run for ever: one arm of its `select!` receives from a channel on which nothing is ever
//! sent. Dropping the sender ends every goroutine that has such an arm, and it is dropped too when its owner panics. A
//! goroutine without the arm stays where it waits. The other direction, that a goroutine has ended, is
//! [`JoinHandle::done`](crate::JoinHandle::done). A [`Context`](crate::ctx::Context) is a done channel that knows why, may have a
//! deadline, and is handed down: use one wherever work is passed on.
//!
//! ```
//! use greenthread::{channel, select, spawn};
//! use std::convert::Infallible;
//!
//! let (tx, numbers) = channel::bounded(0);
//! let (stop, stopped) = channel::bounded::<Infallible>(0);
//! let counter = spawn(move || {
//!     let mut n = 0;
//!     loop {
//!         select! {
//!             send(tx, n) -> _ => n += 1,
//!             recv(stopped) -> _ => return n,
//!         }
//!     }
//! });
//! assert_eq!(numbers.recv(), Ok(0));
//! assert_eq!(numbers.recv(), Ok(1));
//! drop(stop);
//! assert_eq!(counter.join().unwrap(), 2);
//! ```
//!
//! # Signal
//! For news without a content: a channel of `()`. With capacity one and `try_send` nobody waits to signal, and signals
//! that have not been seen yet are one, which means "look again". So change first and signal then; receive first and look then.
//! With capacity zero a signal is a meeting: who has sent it knows that it was received. It wakes one receiver;
//! to tell all, [close](#closing-as-a-broadcast).
//!
//! ```
//! use greenthread::{channel, spawn, sync::Mutex};
//! use std::sync::Arc;
//!
//! let list = Arc::new(Mutex::new(Vec::new()));
//! let (changed, wake) = channel::bounded(1);
//! let theirs = Arc::clone(&list);
//! let reader = spawn(move || {
//!     let mut seen = Vec::new();
//!     for () in wake {
//!         seen.append(&mut theirs.lock());
//!     }
//!     seen
//! });
//! for n in 0..100 {
//!     list.lock().push(n);
//!     let _ = changed.try_send(()); // full: the reader has yet to look
//! }
//! drop(changed);
//! assert_eq!(reader.join().unwrap(), (0..100).collect::<Vec<_>>());
//! ```
//!
//! # Results
//! [`spawn`](crate::spawn) and [`join`](crate::JoinHandle::join) are simplest, and report a panic. A channel is for a
//! result that is one arm of a `select!`, or that comes from whoever is first. Give it room for all that may come: a
//! goroutine can then leave its result and end, whether or not somebody still waits for it. One that ends without a
//! result drops its sender, and the receive fails instead of waiting for ever. What may fail sends a `Result`;
//! [`parallel_map`](super::parallel_map) and [`errgroup`](crate::sync::errgroup) stop the others as well.
//!
//! ```
//! use greenthread::{channel, go};
//!
//! let (tx, answer) = channel::bounded(1);
//! go!(move || tx.send(6 * 7).unwrap());
//! assert_eq!(answer.recv(), Ok(42));
//!
//! // The first of several; the others find no room, and give up.
//! let (tx, first) = channel::bounded(1);
//! for mirror in ["a", "b", "c"] {
//!     let tx = tx.clone();
//!     go!(move || tx.try_send(mirror));
//! }
//! drop(tx);
//! assert!(["a", "b", "c"].contains(&first.recv().unwrap()));
//!
//! // All of several, or the first error.
//! let (tx, numbers) = channel::bounded(3);
//! for text in ["1", "2", "x"] {
//!     let tx = tx.clone();
//!     go!(move || tx.send(text.parse::<i32>()));
//! }
//! drop(tx);
//! assert!(numbers.iter().collect::<Result<Vec<_>, _>>().is_err());
//! ```
//!
//! # Worker pool
//! For many jobs of one kind: some goroutines receive from one queue, and its capacity is how far the jobs may run
//! ahead. Send the jobs from a goroutine of their own; who sends all of them before it receives a result waits for ever
//! once both channels are full. Dropping the receiver of the results stops the workers, and they stop who sends the
//! jobs. A job that panics takes its worker along. As a call: [`worker_pool`](super::worker_pool).
//!
//! ```
//! use greenthread::{channel, go};
//!
//! let (jobs, queue) = channel::bounded(8);
//! let (tx, squares) = channel::bounded(8);
//! for _ in 0..4 {
//!     let (queue, tx) = (queue.clone(), tx.clone());
//!     go!(move || queue.iter().try_for_each(|n| tx.send(n * n))); // until nobody wants more
//! }
//! drop((queue, tx)); // from here on the workers have the last ones
//! go!(move || (1..=100u64).try_for_each(|n| jobs.send(n)));
//! assert_eq!(squares.iter().sum::<u64>(), 338_350);
//! ```
//!
//! # Pipeline
//! A stage is a function that takes a receiver, starts a goroutine and returns a receiver. Its end closes the next
//! stage's input; dropping the last receiver stops all stages, each at its next send. A stage that seldom sends, such
//! as a strict filter, notices late: give it a done channel as well. As a call: [`Pipeline`](super::Pipeline).
//!
//! ```
//! use greenthread::channel::{Receiver, bounded};
//! use greenthread::go;
//!
//! fn count() -> Receiver<u64> {
//!     let (tx, rx) = bounded(0);
//!     go!(move || (1..).try_for_each(|n| tx.send(n)));
//!     rx
//! }
//!
//! fn square(numbers: Receiver<u64>) -> Receiver<u64> {
//!     let (tx, rx) = bounded(0);
//!     go!(move || numbers.iter().try_for_each(|n| tx.send(n * n)));
//!     rx
//! }
//!
//! let powers = square(square(count()));
//! assert_eq!(powers.iter().take(3).collect::<Vec<_>>(), [1, 16, 81]);
//! drop(powers); // stops all three
//! ```
//!
//! # Fan-out and fan-in
//! For a stage that is slower than its neighbours: several goroutines receive from clones of one receiver, and all send
//! to clones of one sender. The order is lost; number the values if it matters. The output closes when the last of them
//! has ended, as long as nobody has kept the original sender. As calls: [`fan_out`](super::fan_out), [`fan_in`](super::fan_in).
//!
//! ```
//! use greenthread::channel::{Receiver, bounded};
//! use greenthread::go;
//!
//! fn squares(numbers: Receiver<(usize, u64)>, workers: usize) -> Receiver<(usize, u64)> {
//!     let (tx, rx) = bounded(0);
//!     for _ in 0..workers {
//!         let (numbers, tx) = (numbers.clone(), tx.clone());
//!         go!(move || numbers.iter().try_for_each(|(place, n)| tx.send((place, n * n))));
//!     }
//!     rx
//! }
//!
//! let (tx, numbers) = bounded(0);
//! go!(move || [3, 1, 2].into_iter().enumerate().for_each(|numbered| tx.send(numbered).unwrap()));
//! let mut all: Vec<_> = squares(numbers, 3).into_iter().collect();
//! all.sort();
//! assert_eq!(all, [(0, 9), (1, 1), (2, 4)]);
//! ```
//!
//! # Semaphore
//! For a goroutine per item, but only so many at a time: a channel of capacity *n* is a semaphore. To send takes one of
//! its places and blocks while there is none; to receive gives one back. Give it back in a destructor, or a panic keeps
//! the place for ever. Closing the channel ends the wait of whoever wants one. Taking a place can be an arm of a
//! `select!`; if it need not be, [`sync::Semaphore`](crate::sync::Semaphore) does the same, gives back by itself, and
//! its wait can end with a context. For no more goroutines than places, [`parallel_map`](super::parallel_map).
//!
//! ```
//! use greenthread::channel::{Receiver, bounded};
//! use greenthread::ctx::Context;
//! use greenthread::sync::{Semaphore, WaitGroup};
//! use greenthread::yield_now;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! struct Place(Receiver<()>);
//!
//! impl Drop for Place {
//!     fn drop(&mut self) {
//!         self.0.recv().unwrap(); // never waits: there is one token for each `Place`
//!     }
//! }
//!
//! let (take, taken) = bounded(3);
//! let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
//! let wg = WaitGroup::new();
//! for _ in 0..20 {
//!     take.send(()).unwrap();
//!     let place = Place(taken.clone());
//!     let (running, most) = (Arc::clone(&running), Arc::clone(&most));
//!     wg.go(move || {
//!         let _place = place;
//!         most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
//!         yield_now();
//!         running.fetch_sub(1, Ordering::SeqCst);
//!     });
//! }
//! wg.wait();
//! assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
//!
//! let (ctx, semaphore) = (Context::background(), Semaphore::new(3));
//! let permit = semaphore.acquire_ctx(&ctx, 2).unwrap(); // what is heavier takes more
//! assert_eq!(semaphore.available_permits(), 1);
//! drop(permit);
//! ```
//!
//! # Timeout of one receive
//! [`recv_timeout`](crate::channel::Receiver::recv_timeout) for one channel, `default(duration)` for a `select!` over several.
//! Only the wait is over then, not the work: the goroutine that computes the answer goes on, and must be able to get
//! rid of it. Capacity one does that, and so does dropping the receiver.
//!
//! ```
//! use greenthread::channel::{RecvTimeoutError, bounded};
//! use greenthread::{select, spawn};
//! use std::time::Duration;
//!
//! let (ask, asked) = bounded::<()>(0);
//! let (tx, answer) = bounded(0);
//! let slow = spawn(move || {
//!     asked.recv().unwrap();
//!     tx.send(42)
//! });
//! assert_eq!(answer.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
//! let patient = select! {
//!     recv(answer) -> _ => true,
//!     default(Duration::from_millis(1)) => false,
//! };
//! assert!(!patient);
//! drop(answer);
//! ask.send(()).unwrap();
//! assert!(slow.join().unwrap().is_err(), "nobody wants the answer any more");
//! ```
//!
//! # Timeout of a loop
//! A limit for the whole loop is an [`after`](crate::channel::after) that is made once, **before** it. Made **in** the loop it
//! is a new one each time round, and limits the silence between two values instead. `default(duration)` does that too.
//! An `after` sends once: when its arm has been chosen, leave the loop or make a new one.
//!
//! ```
//! use greenthread::{channel, select, select_biased, spawn, time};
//! use std::time::Duration;
//!
//! let limit = Duration::from_millis(5);
//! let (tx, rx) = channel::bounded(0);
//! let busy = spawn(move || while tx.send(()).is_ok() {});
//! let end = time::after(limit);
//! loop {
//!     select! {
//!         recv(rx) -> value => value.unwrap(),
//!         recv(end) -> _ => break, // although it was never silent
//!     }
//! }
//! drop(rx);
//! busy.join().unwrap();
//!
//! let (tx, rx) = channel::bounded(3);
//! (0..3).for_each(|n| tx.send(n).unwrap());
//! let mut values = Vec::new();
//! loop {
//!     // In order: a value that is there goes before a limit that has just come.
//!     select_biased! {
//!         recv(rx) -> value => values.push(value.unwrap()),
//!         recv(time::after(limit)) -> _ => break,
//!     }
//! }
//! assert_eq!(values, [0, 1, 2]);
//! ```
//!
//! # Ticking
//! For something to do at regular times, beside other arms. A [`Ticker`](crate::time::Ticker) keeps to its multiples,
//! and who comes late gets one tick for all that were missed; [`tick`](crate::channel::tick) counts anew from the last receive.
//! Neither is ever closed, so a `for` over the ticks does not end by itself, not even after `stop`: leave by another
//! arm, or count. While nobody waits for it, and once it is dropped, a ticker costs no time. For what may happen
//! no more often than that: [`RateLimiter`](super::RateLimiter).
//!
//! ```
//! use greenthread::{channel, select, spawn, time};
//! use std::time::Duration;
//!
//! let (tx, work) = channel::bounded(0);
//! let worker = spawn(move || while tx.send(1).is_ok() {});
//! let ticker = time::Ticker::new(Duration::from_millis(1));
//! let (mut done, mut reports) = (0, Vec::new());
//! while reports.len() < 3 {
//!     select! {
//!         recv(work) -> n => done += n.unwrap(),
//!         recv(ticker.channel()) -> _ => reports.push(done),
//!     }
//! }
//! assert!(reports.is_sorted());
//! ticker.stop();
//! assert!(ticker.channel().try_recv().is_err());
//! drop(work);
//! worker.join().unwrap();
//! ```
//!
//! # Retry with back-off
//! For what may fail for a while: wait between two attempts, longer each time, and up to a limit. Never `sleep` where
//! you may have to stop: the wait is a `select!` that a done channel ends. Many clients of one server should also add
//! something random to the wait, or they all come back at once. As a call: [`retry`](super::retry()).
//!
//! ```
//! use greenthread::channel::{Receiver, bounded};
//! use greenthread::select;
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! fn retry<T>(stopped: &Receiver<Infallible>, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
//!     let mut wait = Duration::from_millis(1);
//!     loop {
//!         if let Some(success) = attempt() {
//!             return Some(success);
//!         }
//!         select! {
//!             recv(stopped) -> _ => return None,
//!             default(wait) => wait = (wait * 2).min(Duration::from_secs(1)),
//!         }
//!     }
//! }
//!
//! let (stop, stopped) = bounded(0);
//! let mut answers = [None, None, Some("connected")].into_iter();
//! assert_eq!(retry(&stopped, || answers.next().unwrap()), Some("connected"));
//! drop(stop);
//! assert_eq!(retry(&stopped, || None::<()>), None);
//! ```
//!
//! # Poll, and drop when full
//! `default` makes a `select!` that does not wait; for one channel [`try_send`](crate::channel::Sender::try_send),
//! [`try_recv`](crate::channel::Receiver::try_recv) and [`try_iter`](crate::channel::Receiver::try_iter) say the same.
//! For values that are not worth a wait, such as samples and log lines, and for a look at a done channel in the middle
//! of a computation. With capacity zero nearly all is dropped, and a loop that only polls keeps a CPU busy. A queue
//! that drops its oldest or its newest, or waits for some time: [`Queue`](super::Queue).
//!
//! ```
//! use greenthread::{channel, select};
//! use std::convert::Infallible;
//!
//! let (samples, kept) = channel::bounded(2);
//! let mut dropped = 0;
//! for n in 0..5 {
//!     select! {
//!         send(samples, n) -> sent => sent.unwrap(),
//!         default => dropped += 1,
//!     }
//! }
//! assert_eq!(kept.try_iter().collect::<Vec<_>>(), [0, 1]);
//! assert_eq!(dropped, 3);
//!
//! let (stop, stopped) = channel::bounded::<Infallible>(0);
//! let mut steps = 0;
//! while stopped.try_recv().is_err_and(|nothing| nothing.is_empty()) {
//!     steps += 1;
//!     if steps == 3 {
//!         stop.close();
//!     }
//! }
//! assert_eq!(steps, 3);
//! ```
//!
//! # Switching an arm off
//! An arm on a nil channel is never chosen, so [`never`](crate::channel::never) in the place of a receiver, or the sender of
//! [`nil`](crate::channel::nil) in that of a sender, switches it off. A merge must do that when an input closes: a closed
//! channel can always be received from, and the loop would spin. It ends when all are off; a `select!` with nothing but
//! nil channels waits for ever. A merge as a call: [`fan_in`](super::fan_in).
//!
//! ```
//! use greenthread::channel::{Receiver, bounded, never};
//! use greenthread::{go, select};
//!
//! fn merge(mut a: Receiver<u32>, mut b: Receiver<u32>) -> Receiver<u32> {
//!     let (tx, rx) = bounded(0);
//!     go!(move || {
//!         let mut open = 2;
//!         while open > 0 {
//!             let n = select! {
//!                 recv(a) -> n => n.inspect_err(|_| a = never()),
//!                 recv(b) -> n => n.inspect_err(|_| b = never()),
//!             };
//!             match n {
//!                 Ok(n) if tx.send(n).is_err() => return,
//!                 Ok(_) => {}
//!                 Err(_) => open -= 1,
//!             }
//!         }
//!     });
//!     rx
//! }
//!
//! let ((one, a), (two, b)) = (bounded(2), bounded(2));
//! one.send(1).unwrap();
//! two.send(2).unwrap();
//! two.send(3).unwrap();
//! drop((one, two));
//! assert_eq!(merge(a, b).iter().sum::<u32>(), 6);
//! ```
//!
//! # Priorities
//! [`select_biased!`](crate::select_biased) takes the first arm that is possible when it looks. It cannot promise more:
//! something more urgent may come just after the look, and when nothing is possible the first peer to come decides. So
//! look at what is urgent once more before anything else is begun. Urgent values that never cease starve all the rest;
//! put a limit on them, or use `select!`.
//!
//! ```
//! use greenthread::{channel, select_biased};
//!
//! let (urgent, urgent_rx) = channel::unbounded();
//! let (bulk, bulk_rx) = channel::unbounded();
//! (0..3).for_each(|n| bulk.send(n).unwrap());
//! urgent.send(100).unwrap();
//! let mut order = Vec::new();
//! loop {
//!     select_biased! {
//!         recv(urgent_rx) -> n => order.push(n.unwrap()),
//!         recv(bulk_rx) -> n => {
//!             if n == Ok(1) {
//!                 urgent.send(101).unwrap(); // somebody, just after the look
//!             }
//!             order.extend(urgent_rx.try_iter());
//!             order.push(n.unwrap());
//!         }
//!         default => break,
//!     }
//! }
//! assert_eq!(order, [100, 0, 101, 1, 2]);
//! ```
//!
//! # Request and reply
//! For state that one goroutine owns, without a lock: the request carries a sender for its reply. Its capacity is one,
//! so the owner never waits for a client that has gone. If the owner ends first, the reply's sender is dropped with the
//! request, and the client's receive fails. Dropping the last sender of requests ends the owner.
//!
//! ```
//! use greenthread::channel::{self, Sender};
//! use greenthread::spawn;
//!
//! struct Add {
//!     amount: u64,
//!     total: Sender<u64>,
//! }
//!
//! let (requests, inbox) = channel::bounded::<Add>(0);
//! let account = spawn(move || {
//!     let mut sum = 0;
//!     for request in inbox {
//!         sum += request.amount;
//!         let _ = request.total.send(sum);
//!     }
//!     sum
//! });
//! let add = |amount| {
//!     let (total, reply) = channel::bounded(1);
//!     requests.send(Add { amount, total }).unwrap();
//!     reply.recv()
//! };
//! assert_eq!(add(3), Ok(3));
//! assert_eq!(add(4), Ok(7));
//! drop(requests);
//! assert_eq!(account.join().unwrap(), 7);
//! ```
//!
//! # Closing as a broadcast
//! A value goes to one receiver; a close reaches all of them, also those that look later. So it is the way to start,
//! stop or tell any number of goroutines, once. For more than one event, close one channel and hand out a new one, or
//! send to each goroutine on a channel of its own, as [`Broker`](super::Broker) does.
//!
//! ```
//! use greenthread::{channel, sync::WaitGroup};
//! use std::convert::Infallible;
//!
//! let (gate, opened) = channel::bounded::<Infallible>(0);
//! let (tx, through) = channel::unbounded();
//! let wg = WaitGroup::new();
//! for n in 0..5 {
//!     let (opened, tx) = (opened.clone(), tx.clone());
//!     wg.go(move || {
//!         opened.recv().unwrap_err();
//!         tx.send(n).unwrap();
//!     });
//! }
//! assert!(through.is_empty());
//! drop(gate);
//! wg.wait();
//! assert_eq!(through.len(), 5);
//! ```
//!
//! # Who closes
//! The senders, never the receivers: those drop their end. One sender drops its handle or calls
//! [`close`](crate::channel::Sender::close); of several, each drops its clone and the last one closes, which needs no counting.
//! If a sender must stay alive elsewhere, wait for all senders with a `WaitGroup` and then `close`. A send that comes
//! too late gets its value back; the second `close` panics.
//!
//! ```
//! use greenthread::{channel, go, sync::WaitGroup};
//!
//! let (tx, rx) = channel::bounded(0);
//! for n in 1..=3 {
//!     let tx = tx.clone();
//!     go!(move || tx.send(n).unwrap());
//! }
//! drop(tx);
//! assert_eq!(rx.iter().sum::<i32>(), 6);
//!
//! let (tx, rx) = channel::bounded(0);
//! let wg = WaitGroup::new();
//! for n in 1..=3 {
//!     let tx = tx.clone();
//!     wg.go(move || tx.send(n).unwrap());
//! }
//! let closer = tx.clone();
//! go!(move || {
//!     wg.wait();
//!     closer.close();
//! });
//! assert_eq!(rx.iter().sum::<i32>(), 6);
//! assert_eq!(tx.send(7).unwrap_err().into_inner(), 7);
//! ```
//!
//! # Select over a list
//! For channels whose number is known only at run time: [`Select`](crate::channel::Select), Go's `reflect.Select`. What was
//! selected must be completed, with the very receiver or sender that was added. Remove what has closed, or it is
//! selected again and again.
//!
//! ```
//! use greenthread::channel::{Select, bounded};
//! use greenthread::go;
//!
//! let mut inputs = Vec::new();
//! for n in 1..=4 {
//!     let (tx, rx) = bounded(0);
//!     go!(move || (0..n).for_each(|_| tx.send(n).unwrap()));
//!     inputs.push(rx);
//! }
//! let mut select = Select::new();
//! for input in &inputs {
//!     select.recv(input);
//! }
//! let (mut open, mut sum) = (inputs.len(), 0);
//! while open > 0 {
//!     let operation = select.select();
//!     let index = operation.index();
//!     match operation.recv(&inputs[index]) {
//!         Ok(n) => sum += n,
//!         Err(_) => {
//!             select.remove(index);
//!             open -= 1;
//!         }
//!     }
//! }
//! assert_eq!(sum, 1 + 4 + 9 + 16);
//! ```
//!
//! # The first of many signals
//! Many done channels as one, to be an arm of a `select!`: a goroutine waits until one of them is closed and drops its
//! sender. [`ready`](crate::channel::Select::ready) is enough, as nothing is ever received. The goroutine stays until
//! the first of the signals comes, even if nobody listens any more: each signal must have an end. [`or`](super::or)
//! ends then too, and with a context.
//!
//! ```
//! use greenthread::channel::{Receiver, Select, bounded};
//! use greenthread::go;
//! use std::convert::Infallible;
//!
//! fn or(signals: Vec<Receiver<Infallible>>) -> Receiver<Infallible> {
//!     let (tx, first) = bounded(0);
//!     go!(move || {
//!         let mut select = Select::new();
//!         for signal in &signals {
//!             select.recv(signal);
//!         }
//!         select.ready();
//!         drop(tx);
//!     });
//!     first
//! }
//!
//! let (mut owners, signals): (Vec<_>, Vec<_>) = (0..100).map(|_| bounded(0)).unzip();
//! let first = or(signals);
//! assert!(first.try_recv().unwrap_err().is_empty());
//! owners.swap_remove(57);
//! assert!(first.recv().is_err());
//! ```
//!
//! # Batches
//! For what is cheaper together, such as writes to a disk: collect until there are enough, or until the first of them
//! has waited long enough. The limit is made when the first value has come, so silence costs nothing and there is no
//! empty batch. A closed input gives out what is left; dropping the receiver of the batches stops it at the next one. As a
//! stage: `Pipeline::batch`.
//!
//! ```
//! use greenthread::channel::{Receiver, bounded};
//! use greenthread::{go, select, time};
//! use std::time::Duration;
//!
//! fn batches(input: Receiver<u32>, size: usize, wait: Duration) -> Receiver<Vec<u32>> {
//!     let (tx, rx) = bounded(0);
//!     go!(move || {
//!         while let Ok(first) = input.recv() {
//!             let mut batch = vec![first];
//!             let limit = time::after(wait);
//!             while batch.len() < size {
//!                 select! {
//!                     recv(input) -> next => match next {
//!                         Ok(next) => batch.push(next),
//!                         Err(_) => break,
//!                     },
//!                     recv(limit) -> _ => break,
//!                 }
//!             }
//!             if tx.send(batch).is_err() {
//!                 return;
//!             }
//!         }
//!     });
//!     rx
//! }
//!
//! let (tx, input) = bounded(5);
//! let by_size = batches(input, 2, Duration::from_secs(3600));
//! (0..5).for_each(|n| tx.send(n).unwrap());
//! drop(tx);
//! assert_eq!(by_size.iter().collect::<Vec<_>>(), [vec![0, 1], vec![2, 3], vec![4]]);
//!
//! let (tx, input) = bounded(5);
//! let by_time = batches(input, 100, Duration::from_millis(1));
//! tx.send(7).unwrap();
//! assert_eq!(by_time.recv(), Ok(vec![7]), "although the input is still open");
//! ```
//!
//! # Latest value only
//! For a state of which only the newest counts: a channel of capacity one whose value the publisher replaces. It never
//! waits, and a reader never sees a value twice. With several publishers an older value may replace a newer one. The
//! publisher's own receiver keeps the channel open, so it does not notice when the readers have gone: stop it with a
//! done channel.
//!
//! ```
//! use greenthread::channel::{Receiver, Sender, TrySendError, bounded};
//!
//! fn publish<T>(tx: &Sender<T>, rx: &Receiver<T>, mut value: T) {
//!     while let Err(TrySendError::Full(back)) = tx.try_send(value) {
//!         let _ = rx.try_recv(); // unless a reader was faster
//!         value = back;
//!     }
//! }
//!
//! let (tx, own) = bounded(1);
//! let reader = own.clone();
//! for temperature in [20, 21] {
//!     publish(&tx, &own, temperature);
//! }
//! assert_eq!(reader.try_recv(), Ok(21));
//! assert!(reader.try_recv().is_err());
//! ```
//!
//! # Traps
//! What looks like a hang is a goroutine that waits for something only it, or nobody, could do;
//! [`debug::dump`](crate::debug::dump) says where each one waits. A send with capacity zero needs another goroutine to
//! receive. A `for` over a receiver ends with the last sender: not while a clone is left over, in a variable of this
//! frame, in a struct that has both ends, or in the goroutine that loops. So `drop` the original as soon as all clones
//! are handed out.
//!
//! ```
//! use greenthread::channel::{RecvTimeoutError, bounded};
//! use greenthread::go;
//! use std::time::Duration;
//!
//! let soon = Duration::from_millis(1);
//! let (tx, rx) = bounded(0);
//! assert!(tx.send_timeout(1, soon).is_err(), "`send` would wait for ever: the only receiver is here");
//! let clone = tx.clone();
//! go!(move || clone.send(1).unwrap()); // a goroutine, or a capacity of one
//! assert_eq!(rx.recv(), Ok(1));
//!
//! assert_eq!(rx.recv_timeout(soon), Err(RecvTimeoutError::Timeout), "a `for` would wait: `tx` is still here");
//! drop(tx);
//! assert_eq!(rx.iter().count(), 0);
//! ```
