//! Random histories on one thread, compared with a trivially correct model: a deque and a few
//! flags.

use greenthread_channels::{Receiver, Sender, TryRecvError, TrySendError, bounded, unbounded};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Op {
    Send,
    Receive,
    Burst(usize),
    Drain(usize),
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => Just(Op::Send),
        20 => Just(Op::Receive),
        4 => (0..100usize).prop_map(Op::Burst),
        4 => (0..100usize).prop_map(Op::Drain),
        2 => Just(Op::CloneSender),
        2 => Just(Op::CloneReceiver),
        1 => Just(Op::DropSender),
        1 => Just(Op::DropReceiver),
        1 => Just(Op::Close),
    ]
}

/// A channel and its model.
struct Pair {
    senders: Vec<Sender<String>>,
    receivers: Vec<Receiver<String>>,
    cap: Option<usize>,
    values: VecDeque<String>,
    closed: bool,
    next: usize,
}

impl Pair {
    fn new(cap: Option<usize>) -> Self {
        let (tx, rx) = cap.map_or_else(unbounded, bounded);
        Self { senders: vec![tx], receivers: vec![rx], cap, values: VecDeque::new(), closed: false, next: 0 }
    }

    fn is_closed(&self) -> bool {
        self.closed || self.senders.is_empty() || self.receivers.is_empty()
    }

    fn send(&mut self) {
        let value = self.next.to_string();
        self.next += 1;
        let Some(tx) = self.senders.last() else { return };
        let expected = if self.is_closed() {
            Err(TrySendError::Disconnected(value.clone()))
        } else if self.cap == Some(self.values.len()) {
            Err(TrySendError::Full(value.clone()))
        } else {
            Ok(())
        };
        assert_eq!(tx.try_send(value.clone()), expected);
        if expected.is_ok() {
            self.values.push_back(value);
        }
    }

    fn receive(&mut self) {
        let Some(rx) = self.receivers.first() else { return };
        let expected = match self.values.pop_front() {
            Some(value) => Ok(value),
            None if self.is_closed() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        };
        assert_eq!(rx.try_recv(), expected);
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Send => self.send(),
            Op::Receive => self.receive(),
            Op::Burst(n) => (0..n).for_each(|_| self.send()),
            Op::Drain(n) => (0..n).for_each(|_| self.receive()),
            Op::CloneSender => self.senders.extend(self.senders.first().cloned()),
            Op::CloneReceiver => self.receivers.extend(self.receivers.first().cloned()),
            Op::DropSender => drop(self.senders.pop()),
            Op::DropReceiver => {
                self.receivers.pop();
                if self.receivers.is_empty() {
                    self.values.clear();
                }
            }
            Op::Close => {
                if let Some(tx) = self.senders.first() {
                    let panics = std::panic::catch_unwind(|| tx.close()).is_err();
                    assert_eq!(panics, self.closed);
                    self.closed = true;
                }
            }
        }
    }

    fn compare(&self) {
        let expected = (self.values.len(), self.values.is_empty(), self.cap == Some(self.values.len()), self.cap);
        for tx in &self.senders {
            assert_eq!((tx.len(), tx.is_empty(), tx.is_full(), tx.capacity()), expected);
            assert_eq!(tx.is_closed(), self.is_closed());
        }
        for rx in &self.receivers {
            assert_eq!((rx.len(), rx.is_empty(), rx.is_full(), rx.capacity()), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_channel_behaves_like_a_deque(
        cap in prop_oneof![Just(None), (0..6usize).prop_map(Some), Just(Some(100))],
        ops in proptest::collection::vec(op(), 0..120),
    ) {
        let mut pair = Pair::new(cap);
        for op in &ops {
            pair.apply(op);
            pair.compare();
        }
    }
}
