//! The runtime's threads sleep while every goroutine waits for I/O.

use crate::common::child::{self, named};
use crate::common::stream::{LONG, Stream};
use crate::common::{check_on, parked, quiescence, until};
use greenthread::{debug, spawn};

const TESTS: &[child::Test] = named![no_m_wakes_up_on_1_p, no_m_wakes_up_on_2_ps, no_m_wakes_up_on_4_ps];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, &[]);

/// Lets fifty goroutines wait for I/O with no timer due, and checks that no thread wakes up.
fn no_m_wakes_up(procs: usize) {
    check_on(procs, || {
        let (ends, readers): (Vec<_>, Vec<_>) = (0..50)
            .map(|_| {
                let (a, b) = Stream::pair();
                b.deadline(LONG);
                (a, spawn(move || b.get()))
            })
            .unzip();
        until(|| parked("IO wait") == 50);
        assert!(quiescence::is_reached(), "the threads go on waking up\n{}", debug::dump());
        ends.iter().for_each(|end| end.put(1));
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), Ok(1)));
    });
}

fn no_m_wakes_up_on_1_p() {
    no_m_wakes_up(1);
}

fn no_m_wakes_up_on_2_ps() {
    no_m_wakes_up(2);
}

fn no_m_wakes_up_on_4_ps() {
    no_m_wakes_up(4);
}
