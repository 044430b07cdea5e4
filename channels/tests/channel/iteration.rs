//! Receivers as iterators.

use crate::common::{everywhere, spawn};
use greenthread_channels::{Receiver, bounded, unbounded};
use std::iter::FusedIterator;

fn filled(n: usize) -> Receiver<usize> {
    let (tx, rx) = unbounded();
    (0..n).for_each(|n| tx.send(n).unwrap());
    rx
}

#[test]
fn each_iterator_yields_all_values() {
    everywhere(|| {
        assert!(filled(10).into_iter().eq(0..10));
        assert!(filled(10).iter().eq(0..10));
        assert!(filled(10).try_iter().eq(0..10));
        let rx = filled(3);
        let mut seen = Vec::new();
        for n in &rx {
            seen.push(n);
        }
        for n in rx {
            seen.push(n);
        }
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn iter_waits_and_ends_at_close() {
    everywhere(|| {
        let (tx, rx) = bounded(0);
        let task = spawn(move || rx.iter().collect::<Vec<_>>());
        (0..100).for_each(|n| tx.send(n).unwrap());
        tx.close();
        assert!(task.join().into_iter().eq(0..100));
    });
}

#[test]
fn try_iter_continues_after_none() {
    everywhere(|| {
        let (tx, rx) = bounded(1);
        let mut values = rx.try_iter();
        assert_eq!(values.next(), None);
        tx.send(1).unwrap();
        assert_eq!((values.next(), values.next()), (Some(1), None));
    });
}

#[test]
fn blocking_iterators_are_fused() {
    everywhere(|| {
        fn fused(mut values: impl FusedIterator<Item = usize>) {
            assert_eq!((values.next(), values.next(), values.next()), (Some(0), None, None));
        }
        fused(filled(1).iter());
        fused(filled(1).into_iter());
    });
}

#[test]
fn owned_iterator_keeps_the_channel_open() {
    everywhere(|| {
        let (tx, rx) = bounded::<i32>(1);
        let values = rx.into_iter();
        assert!(!tx.is_closed());
        drop(values);
        assert!(tx.is_closed());
    });
}

#[test]
fn debug_names_the_type() {
    let rx = filled(0);
    assert_eq!(format!("{:?} {:?}", rx.iter(), rx.try_iter()), "Iter { .. } TryIter { .. }");
    assert_eq!(format!("{:?}", rx.into_iter()), "IntoIter { .. }");
}
