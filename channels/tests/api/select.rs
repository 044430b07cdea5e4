//! Small programs that use selects, in the style of crossbeam-channel's documentation, examples and
//! tests, for the crate `channels`. See `programs.rs`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::channels::{
    self, Receiver, RecvError, Select, SelectedOperation, SendError, Sender, TryRecvError, after, at, bounded, never,
    select, select_biased, unbounded,
};

/// All programs of this file, with their names.
pub(crate) const PROGRAMS: &[(&str, fn())] = &[
    ("a Select before its channels", a_select_before_its_channels),
    ("a Select before a list of channels", a_select_before_a_list_of_channels),
    ("a Select in a struct, dropped last", a_select_in_a_struct_dropped_last),
    ("a Select from a function", a_select_from_a_function),
    ("a Select on another thread", a_select_on_another_thread),
    ("a Select that lives forever", a_select_that_lives_forever),
    ("a Select that changes", a_select_that_changes),
    ("an operation after its Select", an_operation_after_its_select),
    ("operations by a table", operations_by_a_table),
    ("operations of several types", operations_of_several_types),
    ("a receive from many", a_receive_from_many),
    ("at the tail of a function", at_the_tail_of_a_function),
    ("as a value", as_a_value),
    ("jumps out of arms", jumps_out_of_arms),
    ("question marks in arms", question_marks_in_arms),
    ("a value that is moved in one arm", a_value_that_is_moved_in_one_arm),
    ("self that changes in an arm", self_that_changes_in_an_arm),
    ("handles behind pointers", handles_behind_pointers),
    ("temporary channels", temporary_channels),
    ("an optional arm", an_optional_arm),
    ("patterns and punctuation", patterns_and_punctuation),
    ("within a macro", within_a_macro),
    ("beside shadowed names", beside_shadowed_names),
    ("by its path", by_its_path),
    ("an arm inside of an arm", an_arm_inside_of_an_arm),
    ("many arms", many_arms),
    ("messages that are evaluated late", messages_that_are_evaluated_late),
    ("arms that diverge", arms_that_diverge),
    ("defaults", defaults),
    ("in order", in_order),
    ("fibonacci", fibonacci),
];

fn a_select_before_its_channels() {
    let mut sel = Select::new();
    let (tx, rx) = unbounded::<i32>();
    tx.send(1).unwrap();
    sel.recv(&rx);
    assert_eq!(sel.select().recv(&rx), Ok(1));
}

fn a_select_before_a_list_of_channels() {
    let (mut sel, mut watch) = (Select::new(), Select::default());
    let channels: Vec<_> = (0..4).map(|_| bounded::<usize>(1)).collect();
    for (n, (tx, rx)) in channels.iter().enumerate() {
        assert_eq!((sel.recv(rx), watch.recv(rx)), (n, n));
        assert!(watch.try_ready().is_err());
        tx.send(n).unwrap();
        assert_eq!(watch.ready(), n);
        let operation = sel.select();
        assert_eq!(operation.index(), n);
        assert_eq!(operation.recv(&channels[n].1), Ok(n));
    }
    let clone = sel.clone();
    drop(sel);
    assert_eq!(format!("{clone:?}"), "Select { .. }");
}

fn a_select_in_a_struct_dropped_last() {
    struct Loop<'a> {
        sel: Select<'a>,
        rounds: u32,
    }
    impl<'a> Loop<'a> {
        fn next<T>(&mut self, rx: &'a Receiver<T>) -> Result<T, RecvError> {
            if self.rounds == 0 {
                self.sel.recv(rx);
            }
            self.rounds += 1;
            self.sel.select().recv(rx)
        }
    }
    let mut all = Loop { sel: Select::new(), rounds: 0 };
    let (tx, rx) = unbounded();
    tx.send("a").unwrap();
    drop(tx);
    assert_eq!((all.next(&rx), all.next(&rx)), (Ok("a"), Err(RecvError)));
    assert_eq!(all.rounds, 2);
}

fn a_select_from_a_function() {
    fn all<'a, T>(receivers: &'a [Receiver<T>]) -> Select<'a> {
        let mut sel = Select::new();
        for rx in receivers {
            sel.recv(rx);
        }
        sel
    }
    fn one<'a>(sel: &mut Select<'a>) -> Option<SelectedOperation<'a>> {
        sel.try_select().ok()
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| unbounded()).unzip();
    let mut sel = all(&receivers);
    assert!(one(&mut sel).is_none());
    senders[1].send(5u8).unwrap();
    let operation = one(&mut sel).unwrap();
    let rx = &receivers[operation.index()];
    assert_eq!(operation.recv(rx), Ok(5));
}

fn a_select_on_another_thread() {
    let mut sel = Select::new();
    let (tx, rx) = bounded(0);
    sel.recv(&rx);
    thread::scope(|s| {
        let selecting = s.spawn(|| sel.select().recv(&rx));
        tx.send(3).unwrap();
        assert_eq!(selecting.join().unwrap(), Ok(3));
    });
    // It was borrowed earlier, and is moved now.
    thread::scope(|s| {
        s.spawn(move || assert!(sel.try_select().is_err()));
    });
}

fn a_select_that_lives_forever() {
    static NOTHING: Receiver<u8> = never();

    struct Watcher(Select<'static>);

    let mut watcher = Watcher(Select::new());
    watcher.0.recv(&NOTHING);
    assert!(watcher.0.select_timeout(Duration::from_millis(1)).is_err());
    assert!(watcher.0.ready_deadline(Instant::now()).is_err());
}

fn a_select_that_changes() {
    let mut sel = Select::new();
    let (closed, rx1) = unbounded::<u8>();
    let (tx, rx2) = unbounded::<u8>();
    let (first, second) = (sel.recv(&rx1), sel.recv(&rx2));
    drop(closed);
    let mut received = Vec::new();
    tx.send(1).unwrap();
    loop {
        let operation = sel.select();
        match operation.index() {
            index if index == first => {
                assert_eq!(operation.recv(&rx1), Err(RecvError));
                sel.remove(first);
            }
            index if index == second => match operation.recv(&rx2) {
                Ok(value) if value < 5 => {
                    received.push(value);
                    tx.send(value + 1).unwrap();
                }
                _ => break,
            },
            _ => unreachable!(),
        }
    }
    assert_eq!(received, [1, 2, 3, 4]);
}

fn an_operation_after_its_select() {
    let (tx, rx) = bounded(1);
    let operation = {
        let mut sel = Select::new();
        sel.send(&tx);
        sel.select()
    };
    assert_eq!(operation.send(&tx, String::from("kept")), Ok(()));
    let operation = {
        let mut sel = Select::new();
        sel.recv(&rx);
        sel.try_select().unwrap()
    };
    assert_eq!(operation.recv(&rx).as_deref(), Ok("kept"));
}

fn operations_by_a_table() {
    enum Oper<'a> {
        Recv(&'a Receiver<u32>),
        Send(&'a Sender<u32>, u32),
    }
    let mut sel = Select::new();
    let (tx1, rx1) = bounded(1);
    let (tx2, rx2) = bounded(1);
    tx1.send(1).unwrap();
    let mut table = vec![Oper::Recv(&rx1), Oper::Send(&tx2, 2)];
    for oper in &table {
        match oper {
            Oper::Recv(rx) => sel.recv(rx),
            Oper::Send(tx, _) => sel.send(tx),
        };
    }
    for _ in 0..table.len() {
        let operation = sel.select();
        let index = operation.index();
        match table[index] {
            Oper::Recv(rx) => assert_eq!(operation.recv(rx), Ok(1)),
            Oper::Send(tx, n) => operation.send(tx, n).unwrap(),
        }
        sel.remove(index);
    }
    table.clear();
    assert_eq!(rx2.recv(), Ok(2));
}

fn operations_of_several_types() {
    let (numbers, (texts, read)) = (unbounded::<[u64; 9]>(), unbounded::<Box<str>>());
    let timeout = after(Duration::from_secs(3600));
    let mut sel = Select::new_biased();
    sel.recv(&numbers.1);
    sel.recv(&timeout);
    sel.send(&texts);
    for turn in 0..2 {
        let operation = sel.select();
        match operation.index() {
            0 => assert_eq!((turn, operation.recv(&numbers.1).unwrap()[8]), (1, 8)),
            1 => drop(operation.recv(&timeout)),
            _ => operation.send(&texts, "text".into()).unwrap(),
        }
        numbers.0.send(std::array::from_fn(|n| n as u64)).unwrap();
    }
    assert_eq!(&*read.recv().unwrap(), "text");
}

/// Follows an example from the documentation of `Select`, with `ready`.
fn a_receive_from_many() {
    fn recv_multiple<T>(rs: &[Receiver<T>]) -> Result<T, RecvError> {
        let mut sel = Select::new();
        for r in rs {
            sel.recv(r);
        }
        loop {
            let index = sel.ready();
            let res = rs[index].try_recv();
            if let Err(e) = res
                && e.is_empty()
            {
                continue;
            }
            return res.map_err(|_| RecvError);
        }
    }
    let (tx1, rx1) = unbounded();
    let (tx2, rx2) = unbounded();
    let sending = thread::spawn(move || tx1.send(10));
    assert_eq!(recv_multiple(&[rx1.clone(), rx2.clone()]), Ok(10));
    sending.join().unwrap().unwrap();
    tx2.send(20).unwrap();
    assert_eq!(recv_multiple(std::slice::from_ref(&rx2)), Ok(20));
    assert_eq!(recv_multiple(&[rx1, rx2]), Err(RecvError));
}

fn at_the_tail_of_a_function() {
    fn receive() -> Result<i32, RecvError> {
        let (tx, rx) = unbounded();
        tx.send(1).unwrap();
        select! {
            recv(rx) -> value => value,
        }
    }
    fn either() -> i32 {
        let (tx, rx) = bounded(1);
        let texts = never::<String>();
        select! {
            recv(texts) -> text => text.unwrap().len() as i32,
            send(tx, 2) -> sent => sent.map(|()| rx.recv().unwrap()).unwrap(),
        }
    }
    fn selected() -> Result<i32, RecvError> {
        let (tx, rx) = unbounded();
        tx.send(3).unwrap();
        let mut sel = Select::new();
        sel.recv(&rx);
        sel.select().recv(&rx)
    }
    assert_eq!((receive(), either(), selected()), (Ok(1), 2, Ok(3)));
}

fn as_a_value() {
    let (tx, rx) = unbounded();
    tx.send(String::from("text")).unwrap();
    let text: Result<String, RecvError> = select! { recv(rx) -> text => text };
    let length = text.map(|text| text.len()).unwrap_or_default() + select! { recv(rx) -> _ => 1, default => 2 };
    let next = move || select! { recv(rx) -> text => text.ok(), default => None };
    assert_eq!((length, next(), Some(next()).flatten()), (6, None, None));
    assert!(matches!(select! { default => Some(1) }, Some(1)));
    let by_reference = &select! { default => vec![1, 2] };
    assert_eq!(by_reference[1], 2);
}

fn jumps_out_of_arms() {
    fn first_odd(rx: &Receiver<u32>, quit: &Receiver<()>) -> Option<u32> {
        'all: loop {
            let value = select! {
                recv(rx) -> value => match value {
                    Ok(value) if value % 2 == 0 => continue,
                    Ok(value) => value,
                    Err(_) => break 'all None,
                },
                recv(quit) -> _ => return None,
            };
            break Some(value);
        }
    }
    let (tx, rx) = unbounded();
    [2, 4, 7, 8].iter().for_each(|&n| tx.send(n).unwrap());
    drop(tx);
    assert_eq!((first_odd(&rx, &never()), first_odd(&rx, &never())), (Some(7), None));
    let (tx, rx) = bounded(0);
    drop(tx);
    assert_eq!(first_odd(&never(), &rx), None);
}

fn question_marks_in_arms() {
    fn parse(rx: &Receiver<String>, tx: &Sender<u32>) -> Result<u32, Box<dyn std::error::Error>> {
        let n = select! {
            recv(rx) -> text => text?.parse::<u32>()?,
            default(Duration::from_secs(60)) => Err("late")?,
        };
        select! {
            send(tx, n) -> sent => sent?,
            default => return Err("full".into()),
        }
        Ok(n)
    }
    let ((texts, rx), (tx, numbers)) = (unbounded(), bounded(1));
    ["12", "13", "x"].iter().for_each(|&text| texts.send(text.to_owned()).unwrap());
    drop(texts);
    let outcomes: Vec<_> = (0..4).map(|_| parse(&rx, &tx).map_err(|error| error.to_string())).collect();
    assert_eq!(outcomes[..2], [Ok(12), Err("full".to_owned())]);
    assert!(outcomes[2].is_err() && outcomes[3] == Err(RecvError.to_string()));
    assert_eq!(numbers.try_recv(), Ok(12));
}

fn a_value_that_is_moved_in_one_arm() {
    let (tx, rx) = bounded::<String>(1);
    let (dead, _) = bounded::<String>(1);
    let nothing = never::<()>();
    let mut kept = Vec::new();
    for n in 0..2 {
        let text = format!("{n}");
        select! {
            send(tx, text) -> sent => sent.unwrap(),
            recv(nothing) -> _ => kept.push(text),
            default => kept.push(text),
        }
    }
    let text = String::from("back");
    select! {
        send(dead, text) -> sent => match sent {
            Err(SendError(text)) => kept.push(text),
            Ok(()) => unreachable!(),
        },
    }
    assert_eq!((rx.recv().as_deref(), &kept[..]), (Ok("0"), &["1".to_owned(), "back".to_owned()][..]));
}

fn self_that_changes_in_an_arm() {
    struct Actor {
        inbox: Receiver<u32>,
        quit: Receiver<()>,
        seen: Vec<u32>,
    }
    impl Actor {
        fn handle(&mut self, value: u32) {
            self.seen.push(value);
        }
        fn run(&mut self) -> &[u32] {
            loop {
                select! {
                    recv(self.inbox) -> value => match value {
                        Ok(value) => self.handle(value),
                        Err(RecvError) => self.inbox = never(),
                    },
                    recv(self.quit) -> _ => break,
                    default => return &self.seen,
                }
            }
            &[]
        }
    }
    let (tx, inbox) = unbounded();
    (1..=2).for_each(|n| tx.send(n).unwrap());
    drop(tx);
    assert_eq!(Actor { inbox, quit: never(), seen: Vec::new() }.run(), [1, 2]);
}

fn handles_behind_pointers() {
    let (tx, rx) = bounded(8);
    let arc = Arc::new(rx.clone());
    let boxed = Box::new(rx.clone());
    let by_rc = Rc::new((tx.clone(), rx.clone()));
    let cell = RefCell::new(rx.clone());
    let locked = Mutex::new(rx.clone());
    let list = [&rx, &rx];
    (0..7).for_each(|n| tx.send(n).unwrap());
    let received = [
        select! { recv(arc) -> n => n },
        select! { recv(boxed) -> n => n },
        select! { recv(by_rc.1) -> n => n },
        select! { recv(cell.borrow()) -> n => n },
        select! { recv(locked.lock().unwrap()) -> n => n },
        select! { recv(list[1]) -> n => n },
        select! { recv(&&rx) -> n => n },
    ];
    assert_eq!(received.map(Result::unwrap), [0, 1, 2, 3, 4, 5, 6]);
    select! { send(by_rc.0, 7) -> sent => sent.unwrap() }
    assert_eq!(rx.recv(), Ok(7));
}

fn temporary_channels() {
    let (tx, rx) = unbounded();
    tx.send(1).unwrap();
    for expected in [Ok(1), Err("late")] {
        let result = select! {
            recv(rx.clone()) -> value => value.map_err(|_| "closed"),
            recv(after(Duration::from_millis(5))) -> _ => Err("late"),
            recv(never::<u8>()) -> _ => unreachable!(),
        };
        assert_eq!(result, expected);
    }
    let due = Instant::now();
    select! {
        recv(at(due)) -> when => assert_eq!(when, Ok(due)),
        send(bounded(0).0, ()) -> sent => assert_eq!(sent, Err(SendError(()))),
    }
}

fn an_optional_arm() {
    let (tx, rx) = unbounded::<u8>();
    let (extra_tx, extra) = unbounded::<u8>();
    let nothing = never();
    extra_tx.send(1).unwrap();
    for (on, timeout) in [(true, None), (false, Some(Duration::from_millis(1)))] {
        let timeout = timeout.map(after).unwrap_or(never());
        let found = select! {
            recv(rx) -> _ => "rx",
            recv(if on { &extra } else { &nothing }) -> value => { assert_eq!(value, Ok(1)); "extra" }
            recv(timeout) -> _ => "timeout",
        };
        assert_eq!(found, if on { "extra" } else { "timeout" });
    }
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}

fn patterns_and_punctuation() {
    let (tx, rx) = unbounded();
    (1..7).for_each(|n| tx.send((n, "text")).unwrap());
    let mut sum = 0;
    select!(recv(rx) -> pair => sum += pair.unwrap().0);
    select![recv(rx) -> mut pair => { pair = pair.map(|(n, text)| (n * 10, text)); sum += pair.unwrap().0; }];
    select! { recv(rx) -> _pair => {} recv(rx) -> _ => () }
    assert_eq!(sum, 21);
}

fn within_a_macro() {
    macro_rules! receive {
        ($rx:expr, $value:ident => $body:expr, else $or:block) => {
            select! {
                recv($rx) -> $value => $body,
                default => $or
            }
        };
    }
    macro_rules! receive_all {
        ($($rx:ident)*) => {{
            let mut sum = 0;
            select! { $(recv($rx) -> n => sum += n.unwrap(),)* }
            sum
        }};
    }
    let (tx, rx) = unbounded();
    let idle = never::<i32>();
    tx.send(5).unwrap();
    assert_eq!(receive!(rx, n => n.unwrap() + 1, else { 0 }), 6);
    assert_eq!(receive!(&rx, n => n.unwrap(), else { -1 }), -1);
    tx.send(7).unwrap();
    assert_eq!(receive_all!(rx idle), 7);
}

fn beside_shadowed_names() {
    #![allow(dead_code, non_snake_case)]
    struct Option;
    struct Result;
    struct Box;
    struct Vec;
    let (tx, rx) = unbounded();
    let (sel, oper, index, len, timeout, handle, res, r, s, msg) = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    let sum = select! {
        send(tx, sel + oper + index + len + timeout) -> _ => handle + res + r + s + msg,
        default => unreachable!(),
    };
    select! { recv(rx) -> value => assert!(value.is_ok_and(|value| value == 15)) }
    assert_eq!(sum, 40);
}

fn by_its_path() {
    let (tx, rx) = unbounded();
    channels::select! { send(tx, 1) -> sent => sent.unwrap() }
    super::channels::select_biased! {
        recv(rx) -> value => assert_eq!(value, Ok(1)),
        default => unreachable!(),
    }
}

fn an_arm_inside_of_an_arm() {
    let (tx, rx) = unbounded();
    let (other_tx, other_rx) = unbounded();
    tx.send(1).unwrap();
    other_tx.send(2).unwrap();
    let sum = select! {
        recv(rx) -> n => n.unwrap() + select! {
            recv(rx) -> n => n.unwrap(),
            recv(other_rx) -> m => select! { default => m.unwrap() * 10 },
        },
    };
    assert_eq!(sum, 21);
}

fn many_arms() {
    let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..16).map(|_| bounded(1)).collect();
    let rx = |n: usize| &all[n].1;
    for (n, (tx, _)) in all.iter().enumerate() {
        tx.send(n).unwrap();
        let found = select! {
            recv(rx(0)) -> n => n, recv(rx(1)) -> n => n, recv(rx(2)) -> n => n, recv(rx(3)) -> n => n,
            recv(rx(4)) -> n => n, recv(rx(5)) -> n => n, recv(rx(6)) -> n => n, recv(rx(7)) -> n => n,
            recv(rx(8)) -> n => n, recv(rx(9)) -> n => n, recv(rx(10)) -> n => n, recv(rx(11)) -> n => n,
            recv(rx(12)) -> n => n, recv(rx(13)) -> n => n, recv(rx(14)) -> n => n, recv(rx(15)) -> n => n,
        };
        assert_eq!(found, Ok(n));
    }
}

fn messages_that_are_evaluated_late() {
    let mut calls = 0;
    let mut message = || {
        calls += 1;
        calls
    };
    let (tx, rx) = bounded(1);
    for _ in 0..3 {
        select! {
            send(tx, message()) -> sent => sent.unwrap(),
            default => {}
        }
    }
    assert_eq!((rx.recv(), calls), (Ok(1), 1));
}

fn arms_that_diverge() {
    fn receive(rx: &Receiver<u8>) -> Result<u8, &'static str> {
        let value = select! {
            recv(rx) -> value => match value {
                Ok(value) => value,
                Err(RecvError) => panic!("nobody has dropped the sender"),
            },
            default(Duration::from_millis(1)) => return Err("late"),
        };
        Ok(value)
    }
    let (tx, rx) = bounded(1);
    tx.send(1).unwrap();
    assert_eq!((receive(&rx), receive(&rx)), (Ok(1), Err("late")));
    let forever = || -> ! {
        loop {
            select! { recv(rx) -> value => assert_eq!(value.expect("over"), 1) }
        }
    };
    drop(tx);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| forever()));
    assert!(caught.is_err());
}

fn defaults() {
    let rx = never::<u8>();
    let timeout = Duration::from_millis(1);
    let mut late = 0;
    select! { recv(rx) -> _ => {}, default => late += 1 }
    select! { recv(rx) -> _ => {} default => late += 1, }
    select! { recv(rx) -> _ => {} default() => late += 1 }
    select! { recv(rx) -> _ => {} default(timeout) => late += 1 }
    select! { recv(rx) -> _ => {} default(timeout * 2,) => { late += 1 } }
    select! { default(timeout) => late += 1, recv(rx) -> _ => {} }
    select! { default => late += 1 }
    assert_eq!(late, 7);
}

fn in_order() {
    let (high, low) = (unbounded(), unbounded());
    (1..=2).for_each(|n| low.0.send(n).unwrap());
    (3..=4).for_each(|n| high.0.send(n).unwrap());
    let mut received = Vec::new();
    loop {
        select_biased! {
            recv(high.1) -> n => received.extend(n),
            recv(low.1) -> n => received.extend(n),
            default => break,
        }
    }
    assert_eq!(received, [3, 4, 1, 2]);
}

/// crossbeam-channel's example.
fn fibonacci() {
    fn fibonacci(numbers: Sender<u64>, quit: Receiver<()>) {
        let (mut x, mut y) = (0, 1);
        loop {
            select! {
                send(numbers, x) -> sent => {
                    sent.unwrap();
                    (x, y) = (y, x + y);
                }
                recv(quit) -> _ => return,
            }
        }
    }
    let ((tx, rx), (quit_tx, quit)) = (bounded(0), bounded(0));
    let generator = thread::spawn(move || fibonacci(tx, quit));
    assert_eq!(rx.iter().take(10).last(), Some(34));
    quit_tx.send(()).unwrap();
    generator.join().unwrap();
}
