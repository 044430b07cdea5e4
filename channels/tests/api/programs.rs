//! Small programs in the style of crossbeam-channel's documentation, examples and tests, for the
//! crate `channels`. See `../api.rs`.
//!
//! Each program uses the crate in a way that existing code may rely on. It must compile, and its
//! assertions must pass. It ends by itself and leaves nothing running. The programs in `select.rs`
//! use selects.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::channels::{
    IntoIter, Receiver, RecvError, RecvTimeoutError, SendError, Sender, TryRecvError, TrySendError, after, bounded,
    never, select, tick, unbounded,
};

/// All programs of this file, with their names.
pub(crate) const PROGRAMS: &[(&str, fn())] = &[
    ("values that borrow", values_that_borrow),
    ("handles that are borrowed", handles_that_are_borrowed),
    ("handles in statics", handles_in_statics),
    ("handles in messages", handles_in_messages),
    ("handles in structs", handles_in_structs),
    ("jobs that are closures", jobs_that_are_closures),
    ("requests with an answer", requests_with_an_answer),
    ("errors by question mark", errors_by_question_mark),
    ("errors of values that can do nothing", errors_of_values_that_can_do_nothing),
    ("errors that are matched", errors_that_are_matched),
    ("iterators with adapters", iterators_with_adapters),
    ("iterators that are returned", iterators_that_are_returned),
    ("loops over receivers", loops_over_receivers),
    ("types that are inferred", types_that_are_inferred),
    ("timers beside channels", timers_beside_channels),
    ("timeouts without end", timeouts_without_end),
    ("a rendezvous in a scope", a_rendezvous_in_a_scope),
    ("a semaphore of a channel", a_semaphore_of_a_channel),
    ("a pipeline", a_pipeline),
    ("a stop by dropping", a_stop_by_dropping),
    ("panics that are caught", panics_that_are_caught),
];

fn values_that_borrow() {
    let text = String::from("to be or not to be");
    let (tx, rx) = unbounded();
    thread::scope(|s| {
        s.spawn(|| text.split(' ').for_each(|word| tx.send(word).unwrap()));
    });
    drop(tx);
    let mut counts = HashMap::<&str, u32>::new();
    rx.iter().for_each(|word| *counts.entry(word).or_default() += 1);
    assert_eq!((counts["to"], counts["or"]), (2, 1));

    // A value that is not `Send` may be in a channel that stays on its thread.
    let (tx, rx) = unbounded();
    let shared = Rc::new(5);
    tx.send(Rc::clone(&shared)).unwrap();
    assert!(Rc::ptr_eq(&rx.recv().unwrap(), &shared));
}

fn handles_that_are_borrowed() {
    fn sum(numbers: &Receiver<u32>) -> u32 {
        numbers.iter().sum()
    }
    fn send_all<'a>(tx: &'a Sender<u32>, numbers: &[u32]) -> Result<&'a Sender<u32>, SendError<u32>> {
        numbers.iter().try_for_each(|&n| tx.send(n)).map(|()| tx)
    }
    let (tx, rx) = bounded(8);
    assert!(send_all(&tx, &[1, 2, 3]).unwrap().same_channel(&tx));
    let (tx, rx) = (Arc::new(tx), Box::new(rx));
    let second = Arc::clone(&tx);
    second.send(4).unwrap();
    drop((tx, second));
    assert_eq!(sum(&rx), 10);
}

fn handles_in_statics() {
    static EVENTS: OnceLock<Sender<&'static str>> = OnceLock::new();
    static BOTH: LazyLock<(Sender<u8>, Receiver<u8>)> = LazyLock::new(unbounded);
    static NOTHING: Receiver<String> = never();
    let (tx, rx) = unbounded();
    // Done once for the whole process, because the program may run again.
    if EVENTS.set(tx).is_ok() {
        EVENTS.get().unwrap().send("begin").unwrap();
        assert_eq!(rx.recv(), Ok("begin"));
    }
    BOTH.0.send(1).unwrap();
    assert_eq!(BOTH.1.recv(), Ok(1));
    assert_eq!(NOTHING.try_recv(), Err(TryRecvError::Empty));
}

fn handles_in_messages() {
    struct Visitor(Sender<Visitor>, u32);

    let (tx, rx) = unbounded::<Visitor>();
    let visitor = thread::spawn(move || {
        let Visitor(back, n) = rx.recv().unwrap();
        let (again, _rx) = unbounded();
        back.send(Visitor(again, n + 1)).is_ok()
    });
    let (back, answers) = unbounded();
    tx.send(Visitor(back, 1)).unwrap();
    assert_eq!(answers.recv().unwrap().1, 2);
    assert!(visitor.join().unwrap());

    // A channel that carries both ends of a channel.
    let (tx, rx) = bounded(1);
    tx.send(unbounded::<u8>()).unwrap();
    let (inner_tx, inner_rx) = rx.recv().unwrap();
    inner_tx.send(7).unwrap();
    assert_eq!(inner_rx.into_iter().next(), Some(7));
}

fn handles_in_structs() {
    #[derive(Clone, Debug)]
    struct Mailbox<T> {
        tx: Sender<T>,
        rx: Receiver<T>,
    }
    impl<T> Default for Mailbox<T> {
        fn default() -> Self {
            let (tx, rx) = unbounded();
            Self { tx, rx }
        }
    }
    impl<T: Ord> Mailbox<T> {
        fn sorted(&self) -> Vec<T> {
            let mut all: Vec<T> = self.rx.try_iter().collect();
            all.sort();
            all
        }
    }
    let mailbox = Mailbox::default();
    for n in [3, 1, 2] {
        mailbox.clone().tx.send(n).unwrap();
    }
    assert!(format!("{mailbox:?}").starts_with("Mailbox { tx: Sender"));
    assert_eq!(mailbox.sorted(), [1, 2, 3]);
}

fn jobs_that_are_closures() {
    type Job = Box<dyn FnOnce() -> u64 + Send>;

    let (jobs, queue) = bounded::<Job>(2);
    let (results, sums) = unbounded();
    let workers: Vec<_> = (0..3)
        .map(|_| (queue.clone(), results.clone()))
        .map(|(queue, results)| thread::spawn(move || queue.iter().for_each(|job| results.send(job()).unwrap())))
        .collect();
    drop((queue, results));
    for n in 1..=10 {
        jobs.send(Box::new(move || n * n)).unwrap();
    }
    drop(jobs);
    assert_eq!(sums.iter().sum::<u64>(), 385);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

fn requests_with_an_answer() {
    enum Request {
        Get(String, Sender<Option<u32>>),
        Set(String, u32),
    }
    let (requests, queue) = unbounded();
    let server = thread::spawn(move || {
        let mut table = HashMap::new();
        for request in queue {
            match request {
                Request::Get(key, answer) => answer.send(table.get(&key).copied()).unwrap(),
                Request::Set(key, value) => drop(table.insert(key, value)),
            }
        }
        table.len()
    });
    let get = |key: &str| {
        let (tx, rx) = bounded(1);
        requests.send(Request::Get(key.into(), tx)).ok()?;
        rx.recv().ok()?
    };
    assert_eq!(get("a"), None);
    requests.send(Request::Set("a".into(), 5)).map_err(|_| "gone").unwrap();
    assert_eq!(get("a"), Some(5));
    drop(requests);
    assert_eq!(server.join().unwrap(), 1);
}

fn errors_by_question_mark() {
    fn boxed(rx: &Receiver<u8>) -> Result<u8, Box<dyn Error + Send + Sync>> {
        let first = rx.try_recv()?;
        let second = rx.recv_timeout(Duration::from_secs(60))?;
        Ok(first + second + rx.recv()?)
    }
    fn as_io(tx: &Sender<u8>) -> io::Result<()> {
        tx.send(1).map_err(io::Error::other)?;
        tx.try_send(1).map_err(io::Error::other)
    }
    fn converted(rx: &Receiver<u8>) -> Result<u8, TryRecvError> {
        Ok(rx.recv()?)
    }
    fn converted_with_a_value(tx: &Sender<u8>) -> Result<(), TrySendError<u8>> {
        tx.send(9)?;
        Ok(())
    }
    let (tx, rx) = unbounded();
    as_io(&tx).unwrap();
    tx.send(1).unwrap();
    assert_eq!(boxed(&rx).unwrap(), 3);
    assert!(boxed(&rx).unwrap_err().downcast_ref::<TryRecvError>().is_some_and(TryRecvError::is_empty));
    drop(tx);
    assert_eq!(converted(&rx), Err(TryRecvError::Disconnected));
    let (tx, _) = bounded(1);
    assert_eq!(converted_with_a_value(&tx), Err(TrySendError::Disconnected(9)));
    assert!(as_io(&tx).unwrap_err().to_string().contains("disconnected"));
}

fn errors_of_values_that_can_do_nothing() {
    struct Opaque(u8);

    fn send<T: Send + 'static>(tx: &Sender<T>, value: T) -> Result<(), Box<dyn Error>> {
        Ok(tx.send(value)?)
    }
    let (tx, rx) = bounded(1);
    send(&tx, Opaque(1)).unwrap();
    let back = tx.try_send(Opaque(2)).expect_err("it is full");
    assert!(back.is_full() && format!("{back:?} {back}").contains("full"));
    assert_eq!(back.into_inner().0, 2);
    drop(rx);
    let SendError(value) = tx.send(Opaque(3)).unwrap_err();
    assert_eq!(value.0, 3);
    assert!(send(&tx, Opaque(4)).is_err());
}

fn errors_that_are_matched() {
    let (tx, rx) = bounded(1);
    let mut seen = Vec::new();
    for turn in 0..4 {
        seen.push(match rx.recv_timeout(Duration::from_millis(1)) {
            Ok(n) if n > 1 => "much",
            Ok(_) => "little",
            Err(RecvTimeoutError::Timeout) => "late",
            Err(RecvTimeoutError::Disconnected) => "over",
        });
        match tx.try_send(turn) {
            Ok(()) => {}
            Err(TrySendError::Full(n) | TrySendError::Disconnected(n)) => unreachable!("{n} comes back"),
        }
    }
    drop(tx);
    while let Ok(n) = rx.try_recv() {
        assert_eq!(n, 3);
    }
    assert!(matches!(rx.recv(), Err(RecvError)));
    assert_eq!(seen, ["late", "little", "little", "much"]);
}

fn iterators_with_adapters() {
    let (tx, rx) = unbounded();
    tx.send(1).unwrap();
    let mut again = rx.try_iter().peekable();
    assert_eq!((again.next(), again.peek()), (Some(1), None));
    (2..20).for_each(|n| tx.send(n).unwrap());
    assert_eq!(rx.iter().by_ref().take_while(|n| n % 7 != 0).sum::<i32>(), 2 + 3 + 4 + 5 + 6);
    drop(tx);
    let (even, odd): (Vec<_>, Vec<_>) = rx.into_iter().partition(|n| n % 2 == 0);
    assert_eq!((even.len(), odd.len()), (6, 6));

    let (left, right) = (unbounded(), unbounded());
    for n in 0..5 {
        left.0.send(n).unwrap();
        right.0.send(n.to_string()).unwrap();
    }
    drop((left.0, right.0));
    let zipped: Vec<(i32, String)> = left.1.into_iter().zip(right.1).collect();
    assert!(zipped.iter().all(|(n, text)| n.to_string() == *text) && zipped.len() == 5);
}

fn iterators_that_are_returned() {
    fn squares(n: u64) -> impl Iterator<Item = u64> {
        let (tx, rx) = bounded(0);
        thread::spawn(move || (1..=n).try_for_each(|n| tx.send(n * n)));
        rx.into_iter()
    }
    fn what_is_there(rx: &Receiver<u8>) -> impl Iterator<Item = u8> + '_ {
        rx.try_iter().map(|n| n + 1)
    }
    struct Lines(IntoIter<String>);
    impl Iterator for Lines {
        type Item = String;
        fn next(&mut self) -> Option<String> {
            self.0.next().map(|line| line + "\n")
        }
    }
    assert_eq!(squares(5).collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
    let (tx, rx) = unbounded();
    tx.send(1).unwrap();
    assert_eq!(what_is_there(&rx).last(), Some(2));
    let (tx, rx) = unbounded();
    tx.send("a".to_owned()).unwrap();
    drop(tx);
    assert_eq!(Lines(rx.into_iter()).collect::<String>(), "a\n");
}

fn loops_over_receivers() {
    let (tx, rx) = unbounded();
    (0..9).for_each(|n| tx.send(n).unwrap());
    drop(tx);
    let mut sum = 0;
    for n in &rx {
        sum += n;
        if n == 3 {
            break;
        }
    }
    for n in rx.iter().step_by(2) {
        sum += n;
        if n == 6 {
            break;
        }
    }
    for n in rx {
        sum += n;
    }
    assert_eq!(sum, 6 + 4 + 6 + 7 + 8);
}

fn types_that_are_inferred() {
    let (tx, rx) = unbounded();
    let (other_tx, other_rx) = unbounded();
    let numbers = rx.clone();
    let length = |text: &String| text.len();
    tx.send(1).unwrap();
    // Only the arms determine the types of the channels.
    for _ in 0..2 {
        select! {
            recv(rx) -> n => other_tx.send(format!("{}", n.unwrap() + 1u8)).unwrap(),
            recv(other_rx) -> text => assert_eq!(length(&text.unwrap()), 1),
        }
    }
    assert!(numbers.is_empty());
    let (done, wait) = bounded(0);
    drop::<Sender<()>>(done);
    assert!(wait.recv().is_err());
    let (tx, rx) = bounded(1);
    let _: Result<(), SendError<[_; 2]>> = tx.send([1.5, 2.5]);
    assert_eq!(rx.recv().map_or(0.0, |pair| pair.iter().sum::<f32>()), 4.0);
}

fn timers_beside_channels() {
    let begin = Instant::now();
    let ticker = tick(Duration::from_millis(2));
    let timeout = after(Duration::from_millis(20));
    let (mut ticks, mut last) = (0, begin);
    loop {
        select! {
            recv(ticker) -> at => {
                let at = at.unwrap();
                assert!(at >= last);
                last = at;
                ticks += 1;
            }
            recv(timeout) -> _ => break,
        }
    }
    assert!(ticks >= 1 && begin.elapsed() >= Duration::from_millis(20));
    assert!(timeout.try_recv().is_err());
    assert_eq!((ticker.capacity(), timeout.capacity()), (Some(1), Some(1)));
}

fn timeouts_without_end() {
    let (tx, rx) = bounded(1);
    let task = thread::spawn(move || {
        let first = rx.recv_timeout(Duration::MAX);
        (first, rx.recv_timeout(Duration::MAX))
    });
    tx.send_timeout(1, Duration::MAX).unwrap();
    drop(tx);
    assert_eq!(task.join().unwrap(), (Ok(1), Err(RecvTimeoutError::Disconnected)));
    assert_eq!(never::<u8>().recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    assert!(after(Duration::MAX).try_recv().is_err() && tick(Duration::MAX).try_recv().is_err());
}

/// crossbeam-channel's example `matching`, with an even number of people.
fn a_rendezvous_in_a_scope() {
    let people = ["Anna", "Bob", "Cody", "Dave"];
    let (tx, rx) = bounded(1);
    let (paired, pairs) = unbounded();
    thread::scope(|s| {
        for name in people {
            let (tx, rx, paired) = (&tx, &rx, paired.clone());
            s.spawn(move || {
                select! {
                    recv(rx) -> peer => paired.send((name, peer.unwrap())).unwrap(),
                    send(tx, name) -> sent => sent.unwrap(),
                }
            });
        }
    });
    drop(paired);
    let mut all: Vec<_> = pairs.into_iter().flat_map(|(one, other)| [one, other]).collect();
    all.extend(rx.try_recv());
    all.sort_unstable();
    assert_eq!(all, people);
}

fn a_semaphore_of_a_channel() {
    struct Permits(Sender<()>, Receiver<()>);
    struct Permit<'a>(&'a Receiver<()>);
    impl Permits {
        fn acquire(&self) -> Permit<'_> {
            self.0.send(()).unwrap();
            Permit(&self.1)
        }
    }
    impl Drop for Permit<'_> {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }
    let (tx, rx) = bounded(2);
    let permits = Permits(tx, rx);
    thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                let _permit = permits.acquire();
                assert!(permits.0.len() <= 2);
            });
        }
    });
    assert!(permits.0.is_empty());
}

fn a_pipeline() {
    fn stage<I, O>(input: Receiver<I>, f: impl Fn(I) -> O + Send + 'static) -> Receiver<O>
    where
        I: Send + 'static,
        O: Send + 'static,
    {
        let (tx, rx) = bounded(1);
        thread::spawn(move || input.iter().map(f).try_for_each(|value| tx.send(value)));
        rx
    }
    let (tx, rx) = bounded(0);
    let lengths = stage(stage(rx, |n: u32| "x".repeat(n as usize)), |text| text.len());
    thread::spawn(move || (0..5).try_for_each(|n| tx.send(n)));
    assert_eq!(lengths.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

fn a_stop_by_dropping() {
    enum Never {}

    let (stop, stopped) = bounded::<Never>(0);
    let (tx, rx) = unbounded();
    let worker = thread::spawn(move || {
        let mut n = 0;
        loop {
            select! {
                recv(stopped) -> message => match message {
                    Ok(never) => match never {},
                    Err(RecvError) => break n,
                },
                recv(rx) -> value => n += value.unwrap_or(0),
            }
        }
    });
    tx.send(1).unwrap();
    drop(stop);
    assert!(worker.join().unwrap() <= 1);
}

fn panics_that_are_caught() {
    let (tx, rx) = unbounded::<u8>();
    let caught = catch_unwind(|| {
        tx.send(1).unwrap();
        rx.recv().unwrap();
        rx.try_recv().expect("there is nothing")
    });
    assert!(caught.is_err());
    // A thread that panics drops its handles.
    let worker = thread::spawn(move || {
        let _tx = tx;
        std::panic::resume_unwind(Box::new("over"));
    });
    assert_eq!(rx.recv(), Err(RecvError));
    assert!(worker.join().is_err());
}
