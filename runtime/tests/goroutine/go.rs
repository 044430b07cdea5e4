//! The forms of `go!`: what is evaluated on the caller, in which order, and what runs in the
//! goroutine.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::check;
use greenthread::channel::{Receiver, Sender, bounded, unbounded};
use greenthread::{current, debug, go};

/// Returns the id of the goroutine that runs this.
fn me() -> u64 {
    current().expect("a goroutine calls this").id()
}

/// The report of a call: the goroutine that ran it, and its arguments as text.
type Report = (u64, String);

/// Receives one report, checks that the caller has not made it, and returns its text.
fn from_another(reports: &Receiver<Report>) -> String {
    let (goroutine, text) = reports.recv().unwrap();
    assert_ne!(goroutine, me(), "the caller ran the call: {text}");
    text
}

fn report(to: Sender<Report>, text: &str) {
    to.send((me(), text.into())).unwrap();
}

/// The names of the evaluated parts, in order.
///
/// The type is not `Send`, so they are all evaluated on the caller.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn evaluated<T>(&self, what: &'static str, value: T) -> T {
        self.0.borrow_mut().push(what);
        value
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

#[derive(Clone)]
struct Runner {
    to: Sender<Report>,
    name: &'static str,
}

impl Runner {
    fn new(to: &Sender<Report>, name: &'static str) -> Self {
        Self { to: to.clone(), name }
    }

    fn run(&self, n: u32) {
        report(self.to.clone(), &format!("{} {n}", self.name));
    }

    fn rename(&mut self, name: &'static str) {
        self.name = name;
        self.run(0);
    }

    fn consume(self, n: u32) {
        self.run(n);
    }

    fn show<T: std::fmt::Debug>(&self, value: T) {
        report(self.to.clone(), &format!("{} {value:?}", self.name));
    }

    fn itself(&self) -> &Self {
        self
    }
}

/// A struct whose fields have methods and can be called.
struct Owner {
    field: Runner,
    callback: fn(Sender<Report>, &str),
    pair: (u8, (u8, Runner)),
}

impl Owner {
    fn new(to: &Sender<Report>) -> Self {
        Self { field: Runner::new(to, "field"), callback: report, pair: (0, (0, Runner::new(to, "pair"))) }
    }

    /// Uses a field of `self` as a receiver.
    fn start(self) {
        go!(self.field.run(1));
    }
}

struct Generic<T>(T);

impl<T: std::fmt::Debug + Default> Generic<T> {
    fn show(to: Sender<Report>, value: T) {
        report(to, &format!("{value:?} {:?}", T::default()));
    }
}

trait Shows {
    fn show(self, to: Sender<Report>);
}

impl Shows for u8 {
    fn show(self, to: Sender<Report>) {
        report(to, &format!("u8 {self}"));
    }
}

fn show<T: std::fmt::Debug>(to: Sender<Report>, value: T) {
    report(to, &format!("{} {value:?}", std::any::type_name::<T>()));
}

#[test]
#[allow(unused_qualifications)]
fn paths_may_have_generics_and_colons_in_front() {
    check(|| {
        let (tx, rx) = unbounded();
        go!(report(tx.clone(), "plain"));
        assert_eq!(from_another(&rx), "plain");
        go!(show::<u8>(tx.clone(), 1));
        assert_eq!(from_another(&rx), "u8 1");
        go!(show::<(u8, Option<Vec<u8>>)>(tx.clone(), (1, None)));
        assert_eq!(from_another(&rx), "(u8, core::option::Option<alloc::vec::Vec<u8>>) (1, None)");
        go!(show::<fn(u8) -> Vec<u8>>(tx.clone(), |n| vec![n]));
        assert!(from_another(&rx).starts_with("fn(u8) -> alloc::vec::Vec<u8> 0x"));
        go!(Generic::<u8>::show(tx.clone(), 2));
        assert_eq!(from_another(&rx), "2 0");
        go!(<Generic<u8>>::show(tx.clone(), 3));
        assert_eq!(from_another(&rx), "3 0");
        go!(<u8 as Shows>::show(4, tx.clone()));
        assert_eq!(from_another(&rx), "u8 4");
        go!(crate::go::report(tx.clone(), "from the root"));
        assert_eq!(from_another(&rx), "from the root");
        go!(::std::mem::drop(tx));
        rx.recv().unwrap_err();
    });
}

#[test]
fn receivers_may_be_fields_and_calls() {
    check(|| {
        let (tx, rx) = unbounded();
        let runner = Runner::new(&tx, "variable");
        go!(runner.run(1));
        assert_eq!(from_another(&rx), "variable 1");
        let owner = Owner::new(&tx);
        go!(owner.field.run(2));
        assert_eq!(from_another(&rx), "field 2");
        go!(owner.pair.1.1.run(3));
        assert_eq!(from_another(&rx), "pair 3");
        Owner::new(&tx).start();
        assert_eq!(from_another(&rx), "field 1");
        let shared = Arc::new(Runner::new(&tx, "shared"));
        go!(Arc::clone(&shared).run(4));
        assert_eq!(from_another(&rx), "shared 4");
        go!(shared.run(5));
        assert_eq!(from_another(&rx), "shared 5");
        go!(Runner::new(&tx, "new").clone().consume(6));
        assert_eq!(from_another(&rx), "new 6");
        go!(Runner::new(&tx, "new").rename("renamed"));
        assert_eq!(from_another(&rx), "renamed 0");
        go!(Runner::new(&tx, "generic").show::<Option<u8>>(None));
        assert_eq!(from_another(&rx), "generic None");
        go!(Runner { to: tx.clone(), name: "literal" }.run(7));
        assert_eq!(from_another(&rx), "literal 7");
        go!([7_u8, 8][1].show(tx.clone()));
        assert_eq!(from_another(&rx), "u8 8");
        go!(9_u8.show(tx));
        assert_eq!(from_another(&rx), "u8 9");
    });
}

#[test]
fn a_receiver_behind_a_static_reference_is_not_moved() {
    check(|| {
        let (tx, rx) = unbounded();
        let owner: &'static Owner = Box::leak(Box::new(Owner::new(&tx)));
        go!(owner.field.run(1));
        assert_eq!(from_another(&rx), "field 1");
        go!(owner.field.itself().run(2));
        assert_eq!(from_another(&rx), "field 2");
    });
}

#[test]
fn callees_may_be_values() {
    check(|| {
        let (tx, rx) = unbounded();
        let owner = Owner::new(&tx);
        go!((owner.callback)(tx.clone(), "in a field"));
        assert_eq!(from_another(&rx), "in a field");
        let make = |prefix: &'static str| move |to, text| report(to, &format!("{prefix} {text}"));
        go!(make("made")(tx.clone(), "closure"));
        assert_eq!(from_another(&rx), "made closure");
        let callbacks = [report as fn(Sender<Report>, &str); 2];
        go!(callbacks[1](tx.clone(), "in an array"));
        assert_eq!(from_another(&rx), "in an array");
        let mut calls = 0;
        let counts = move |to| {
            calls += 1;
            report(to, &calls.to_string());
        };
        go!((counts)(tx.clone()));
        assert_eq!(from_another(&rx), "1");
        let boxed: Box<dyn FnOnce(Sender<Report>) + Send> = Box::new(|to| report(to, "boxed"));
        go!(boxed(tx));
        assert_eq!(from_another(&rx), "boxed");
    });
}

#[test]
fn closures_and_expressions_that_return_one() {
    check(|| {
        let (tx, rx) = unbounded();
        let to = tx.clone();
        go!(move || report(to, "moves"));
        assert_eq!(from_another(&rx), "moves");
        go!(|| ());
        let to = tx.clone();
        let closure = move || report(to, "variable");
        go!(closure);
        assert_eq!(from_another(&rx), "variable");
        go!({
            let to = tx.clone();
            move || report(to, "block")
        });
        assert_eq!(from_another(&rx), "block");
        let to = tx.clone();
        let closures: (Box<dyn FnOnce() + Send>, u8) = (Box::new(move || report(to, "field")), 0);
        go!(closures.0);
        assert_eq!(from_another(&rx), "field");
        macro_rules! closure {
            ($to:expr) => {{
                let to = $to;
                move || report(to, "macro")
            }};
        }
        go!(closure!(tx.clone()));
        assert_eq!(from_another(&rx), "macro");
        go!((if rx.is_empty() { report } else { unreachable!() })(tx.clone(), "chosen"),);
        assert_eq!(from_another(&rx), "chosen");
        go!((move || report(tx, "parentheses")));
        assert_eq!(from_another(&rx), "parentheses");
    });
}

#[test]
#[allow(unused_qualifications)]
fn macros_may_pass_calls_on() {
    macro_rules! start {
        ($call:expr) => {
            go!($call)
        };
    }
    macro_rules! start_method {
        ($receiver:expr, $method:ident, $($arg:expr),*) => {
            go!($receiver.$method($($arg),*))
        };
    }
    macro_rules! start_path {
        ($path:path, $($arg:expr),*) => {
            go!($path($($arg),*))
        };
    }
    check(|| {
        let (tx, rx) = unbounded();
        start!(report(tx.clone(), "expression"));
        assert_eq!(from_another(&rx), "expression");
        let owner = Owner::new(&tx);
        start_method!(owner.field, run, 1);
        assert_eq!(from_another(&rx), "field 1");
        start_method!(Runner::new(&tx, "new"), run, 2);
        assert_eq!(from_another(&rx), "new 2");
        start_path!(crate::go::show::<u8>, tx.clone(), 3);
        assert_eq!(from_another(&rx), "u8 3");
    });
}

#[test]
fn receiver_and_arguments_are_evaluated_on_the_caller_in_order() {
    check(|| {
        let (tx, rx) = unbounded();
        let log = Log::default();
        let add = |to, a: u32, b: u32| report(to, &(a + b).to_string());
        go!(add(log.evaluated("to", tx.clone()), log.evaluated("a", 1), log.evaluated("b", 2)));
        assert_eq!(log.take(), ["to", "a", "b"]);
        go!(log.evaluated("receiver", Runner::new(&tx, "receiver")).run(log.evaluated("n", 1)));
        assert_eq!(log.take(), ["receiver", "n"]);
        go!(log.evaluated("callee", report)(log.evaluated("to", tx), log.evaluated("text", "callee")));
        assert_eq!(log.take(), ["callee", "to", "text"]);
        let mut texts: Vec<_> = (0..3).map(|_| from_another(&rx)).collect();
        texts.sort();
        assert_eq!(texts, ["3", "callee", "receiver 1"]);
    });
}

#[test]
fn values_are_those_of_the_moment() {
    check(|| {
        let (tx, rx) = bounded(0);
        let name = String::from("before");
        let shared = AtomicUsize::new(1);
        go!(show(tx.clone(), name.clone()));
        go!(show(tx, shared.load(Ordering::Relaxed)));
        drop(name);
        shared.store(2, Ordering::Relaxed);
        let mut texts = [from_another(&rx), from_another(&rx)];
        texts.sort();
        assert_eq!(texts, ["alloc::string::String \"before\"", "usize 1"]);
    });
}

#[test]
fn a_question_mark_in_an_argument_leaves_the_caller() {
    fn start(to: Sender<Report>, number: &str) -> Result<(), std::num::ParseIntError> {
        go!(show::<u8>(to, number.parse()?));
        Ok(())
    }
    fn start_method(to: Option<Sender<Report>>) -> Option<()> {
        go!(to?.send((me(), "sent".into())));
        Some(())
    }
    check(|| {
        let (tx, rx) = unbounded();
        start(tx.clone(), "7").unwrap();
        assert_eq!(from_another(&rx), "u8 7");
        start(tx, "seven").unwrap_err();
        assert_eq!(start_method(None), None);
        rx.recv().unwrap_err();
    });
}

#[test]
#[allow(unused_qualifications)]
fn a_call_that_returns_a_closure_runs_in_the_goroutine() {
    fn makes_closure(to: Sender<Report>) -> impl FnOnce() + Send + 'static {
        report(to, "made");
        || panic!("nothing calls this")
    }
    check(|| {
        let (tx, rx) = unbounded();
        go!(makes_closure(tx.clone()));
        assert_eq!(from_another(&rx), "made");
        go!(self::closures::made::<u8>(tx));
        assert_eq!(from_another(&rx), "u8");
    });
}

mod closures {
    use super::{Report, Sender, report};

    // A path with type arguments is part of what is tested.
    #[allow(clippy::extra_unused_type_parameters)]
    pub(super) fn made<T>(to: Sender<Report>) -> Box<dyn FnOnce() + Send> {
        report(to, std::any::type_name::<T>());
        Box::new(|| panic!("nothing calls this"))
    }
}

#[test]
fn there_may_be_many_arguments() {
    #[allow(clippy::too_many_arguments)]
    fn count(to: Sender<Report>, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8) {
        report(to, &format!("{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}"));
    }
    check(|| {
        let (tx, rx) = unbounded();
        go!(count(tx, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2,));
        assert_eq!(from_another(&rx), "123456789012");
    });
}

#[test]
fn the_names_of_the_macro_are_not_those_of_the_user() {
    check(|| {
        let (tx, rx) = unbounded();
        let (argument, callee) = ("argument", "callee");
        go!(Runner::new(&tx, argument).show((callee, argument, 1)));
        assert_eq!(from_another(&rx), "argument (\"callee\", \"argument\", 1)");
    });
}

#[test]
fn goroutines_know_where_they_were_spawned() {
    check(|| {
        let line = line!();
        let (tx, rx) = bounded::<()>(0);
        let wait = |rx: Receiver<()>| rx.recv();
        go!(wait(rx.clone()));
        go!(Receiver::clone(&rx).recv());
        go!({
            let rx = rx.clone();
            move || rx.recv()
        });
        // Each P takes ids in batches, so they do not follow the order of the spawns.
        let sites = || {
            let all = debug::goroutines();
            let here = all.iter().filter(|goroutine| goroutine.spawned_at.file() == file!());
            let mut lines: Vec<u32> = here.map(|goroutine| goroutine.spawned_at.line()).collect();
            lines.sort_unstable();
            lines
        };
        crate::common::until(|| sites() == [line + 3, line + 4, line + 5]);
        drop(tx);
    });
}
