//! Random selects on one thread, compared with a trivially correct model. The model knows which
//! arms are ready, so one of those must be chosen, and `default` exactly if no arm is ready.

use std::collections::VecDeque;

use greenthread_channels::{Receiver, Select, SelectedOperation, Sender, bounded, nil, unbounded};
use proptest::prelude::*;

/// How a channel is created.
#[derive(Clone, Debug)]
enum Make {
    Bounded { cap: usize, filled: usize },
    Unbounded { filled: usize },
    Nil,
}

/// How a channel is closed before the selects begin.
#[derive(Clone, Copy, Debug)]
enum ClosedBy {
    No,
    Close,
    DropSender,
    DropReceiver,
}

#[derive(Clone, Copy, Debug)]
enum Arm {
    Send(usize),
    Recv(usize),
}

/// The form of a select.
#[derive(Clone, Copy, Debug)]
enum Form {
    TrySelect,
    /// With a ready arm, this does not block.
    Select,
    SelectTimeout,
    TryReady,
    Ready,
}

/// The arms, whether the select is biased, and its form.
type Choice = (Vec<Arm>, bool, Form);

fn make() -> impl Strategy<Value = Make> {
    prop_oneof![
        4 => (0..4usize).prop_flat_map(|cap| (Just(cap), 0..=cap)).prop_map(|(cap, filled)| {
            Make::Bounded { cap, filled }
        }),
        1 => (0..4usize).prop_map(|filled| Make::Unbounded { filled }),
        1 => Just(Make::Nil),
    ]
}

fn closed_by() -> impl Strategy<Value = ClosedBy> {
    prop_oneof![6 => Just(ClosedBy::No), 1 => Just(ClosedBy::Close), 1 => Just(ClosedBy::DropSender), 1 => Just(ClosedBy::DropReceiver)]
}

fn select(channels: usize) -> impl Strategy<Value = Choice> {
    let arm = prop_oneof![(0..channels).prop_map(Arm::Send), (0..channels).prop_map(Arm::Recv)];
    let form = prop_oneof![
        4 => Just(Form::TrySelect),
        2 => Just(Form::Select),
        1 => Just(Form::SelectTimeout),
        1 => Just(Form::TryReady),
        1 => Just(Form::Ready),
    ];
    (proptest::collection::vec(arm, 1..7), any::<bool>(), form)
}

fn scene() -> impl Strategy<Value = (Vec<(Make, ClosedBy)>, Vec<Choice>)> {
    proptest::collection::vec((make(), closed_by()), 1..5).prop_flat_map(|channels| {
        let selects = proptest::collection::vec(select(channels.len()), 1..25);
        (Just(channels), selects)
    })
}

/// A channel and its model.
///
/// The values sent are unique, and stored on the heap.
struct Pair {
    sender: Option<Sender<Box<usize>>>,
    receiver: Option<Receiver<Box<usize>>>,
    values: VecDeque<usize>,
    /// `None` means no limit.
    cap: Option<usize>,
    closed: bool,
    is_nil: bool,
}

impl Pair {
    fn new(make: &Make, closed_by: ClosedBy, next: &mut usize) -> Self {
        let ((sender, receiver), cap, filled) = match *make {
            Make::Bounded { cap, filled } => (bounded(cap), Some(cap), filled),
            Make::Unbounded { filled } => (unbounded(), None, filled),
            Make::Nil => (nil(), Some(0), 0),
        };
        let is_nil = matches!(make, Make::Nil);
        let mut values: VecDeque<usize> = (*next..*next + filled).collect();
        *next += filled;
        values.iter().for_each(|&value| sender.send(Box::new(value)).unwrap());
        let (mut sender, mut receiver) = (Some(sender), Some(receiver));
        match closed_by {
            ClosedBy::No => {}
            ClosedBy::Close if is_nil => {}
            ClosedBy::Close => sender.as_ref().unwrap().close(),
            ClosedBy::DropSender => sender = None,
            ClosedBy::DropReceiver => {
                receiver = None;
                values.clear();
            }
        }
        Self { sender, receiver, values, cap, closed: !is_nil && !matches!(closed_by, ClosedBy::No), is_nil }
    }

    fn is_ready(&self, arm: Arm) -> bool {
        match arm {
            _ if self.is_nil => false,
            _ if self.closed => true,
            Arm::Send(_) => self.cap != Some(self.values.len()),
            Arm::Recv(_) => !self.values.is_empty(),
        }
    }
}

impl Arm {
    fn chan(self) -> usize {
        match self {
            Self::Send(chan) | Self::Recv(chan) => chan,
        }
    }

    /// Returns `true` if there is a handle that the select can use.
    fn has_handle(self, pairs: &[Pair]) -> bool {
        match self {
            Self::Send(chan) => pairs[chan].sender.is_some(),
            Self::Recv(chan) => pairs[chan].receiver.is_some(),
        }
    }
}

/// The result of a select.
enum Chosen<'a> {
    Done(SelectedOperation<'a>),
    Ready(usize),
    Nothing,
}

/// Performs a select on the channels and on the model.
fn step(pairs: &mut [Pair], arms: &[Arm], biased: bool, form: Form, next: &mut usize) {
    let arms: Vec<Arm> = arms.iter().copied().filter(|arm| arm.has_handle(pairs)).collect();
    let ready: Vec<usize> = (0..arms.len()).filter(|&n| pairs[arms[n].chan()].is_ready(arms[n])).collect();
    let mut list = if biased { Select::new_biased() } else { Select::new() };
    for (n, arm) in arms.iter().enumerate() {
        let index = match *arm {
            Arm::Send(chan) => list.send(pairs[chan].sender.as_ref().unwrap()),
            Arm::Recv(chan) => list.recv(pairs[chan].receiver.as_ref().unwrap()),
        };
        assert_eq!(index, n);
    }
    let chosen = match form {
        Form::Select if !ready.is_empty() => Chosen::Done(list.select()),
        Form::Ready if !ready.is_empty() => Chosen::Ready(list.ready()),
        Form::SelectTimeout => {
            let timeout = std::time::Duration::from_micros(10);
            list.select_timeout(timeout).map_or(Chosen::Nothing, Chosen::Done)
        }
        Form::TryReady | Form::Ready => list.try_ready().map_or(Chosen::Nothing, Chosen::Ready),
        Form::TrySelect | Form::Select => list.try_select().map_or(Chosen::Nothing, Chosen::Done),
    };
    let index = match &chosen {
        Chosen::Done(operation) => Some(operation.index()),
        Chosen::Ready(index) => Some(*index),
        Chosen::Nothing => None,
    };
    match index {
        None => assert!(ready.is_empty(), "default, although {ready:?} of {arms:?} are ready"),
        Some(index) if biased => assert_eq!(Some(&index), ready.first(), "not the first of {ready:?} of {arms:?}"),
        Some(index) => assert!(ready.contains(&index), "{index}, although {ready:?} of {arms:?} are ready"),
    }
    let Chosen::Done(operation) = chosen else { return };
    let arm = arms[operation.index()];
    match arm {
        Arm::Send(chan) => {
            let value = *next;
            *next += 1;
            let sent = operation.send(pairs[chan].sender.as_ref().unwrap(), Box::new(value));
            match sent {
                Ok(()) => {
                    assert!(!pairs[chan].closed);
                    pairs[chan].values.push_back(value);
                }
                Err(error) => assert_eq!((*error.into_inner(), pairs[chan].closed), (value, true)),
            }
        }
        Arm::Recv(chan) => {
            let value = operation.recv(pairs[chan].receiver.as_ref().unwrap()).ok().map(|value| *value);
            assert_eq!(value, pairs[chan].values.pop_front());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn select_chooses_a_ready_arm((channels, selects) in scene()) {
        let mut next = 0;
        let mut pairs: Vec<Pair> = channels.iter().map(|(make, closed_by)| Pair::new(make, *closed_by, &mut next)).collect();
        for (arms, biased, form) in &selects {
            step(&mut pairs, arms, *biased, *form, &mut next);
            for pair in &pairs {
                let len = pair.values.len();
                assert!(pair.sender.as_ref().is_none_or(|tx| tx.len() == len));
                assert!(pair.receiver.as_ref().is_none_or(|rx| rx.len() == len));
            }
        }
        // Conservation: the remaining values are those that the model predicts.
        for pair in &mut pairs {
            if let Some(receiver) = &pair.receiver {
                let left: Vec<usize> = receiver.try_iter().map(|value| *value).collect();
                assert!(left.into_iter().eq(pair.values.drain(..)));
            }
        }
    }

    /// Checks that each ready arm is chosen in the long run.
    #[test]
    fn every_ready_arm_is_chosen(
        ready in proptest::collection::vec(any::<bool>(), 1..8)
            .prop_filter("none is ready", |ready| ready.contains(&true)),
    ) {
        let receivers: Vec<Receiver<()>> = ready
            .iter()
            .map(|&ready| {
                let (tx, rx) = bounded(2000);
                (0..if ready { 2000 } else { 0 }).for_each(|_| tx.send(()).unwrap());
                // The sender is kept alive, so that an empty channel is not ready.
                std::mem::forget(tx);
                rx
            })
            .collect();
        let mut counts = vec![0; ready.len()];
        let mut list = Select::new();
        for rx in &receivers {
            list.recv(rx);
        }
        for _ in 0..1000 {
            let operation = list.select();
            let index = operation.index();
            operation.recv(&receivers[index]).unwrap();
            counts[index] += 1;
        }
        let share = 1000 / ready.iter().filter(|&&ready| ready).count();
        for (index, &count) in counts.iter().enumerate() {
            // The count for a seventh of a thousand is off by half once in 10^10 runs.
            assert!(if ready[index] { count > share / 2 } else { count == 0 }, "{counts:?} for {ready:?}");
        }
    }
}
