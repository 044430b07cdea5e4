//! The window between the walker and the printer: answers arrive in any order, and leave in the
//! order of the requests.
//!
//! # Protocol
//!
//! The window is a channel of channels, a Go idiom. A request *reserves* a slot (a channel for one
//! answer), puts its receiving end into the queue, and passes its sending end to the worker. The
//! exit takes the oldest receiving end from the queue and waits for its answer, even if other
//! answers are ready already.
//!
//! The queue is a bounded channel whose capacity determines the width of the window. When every
//! place is taken, `reserve` blocks until the oldest answer has left. This back-pressure keeps the
//! walk from filling the memory with results that wait behind one large file.
//!
//! Rejected: sequence numbers, and a map of early answers at the exit. The map needs its own limit,
//! and the counter that enforces this limit would be a second, hand-made channel.
//!
//! # Invariants
//!
//! * I1: at most `width` reserved slots are waiting for their answers to leave. This includes the
//!   slot that the exit waits for or has just handed out.
//! * I2: filling a slot never blocks: a slot has room for one answer, and `fill` consumes the slot.
//! * I3: therefore the exit always advances once the oldest slot is filled or dropped, and there is
//!   no circular wait.

use greenthread::channel::{self, Receiver, Sender};

/// Creates a window for `width` answers.
pub(crate) fn new<T>(width: usize) -> (Entrance<T>, Exit<T>) {
    // I1: the slot that the exit holds is not in the queue anymore, so the queue has one place
    // less.
    let (entrance, exit) = channel::bounded(width.checked_sub(1).expect("a window has at least one place"));
    (Entrance(entrance), Exit(exit))
}

/// The end where slots are reserved. Dropping it ends the exit, after all pending answers.
pub(crate) struct Entrance<T>(Sender<Receiver<T>>);

impl<T> Entrance<T> {
    /// Reserves the next place in the order. Blocks while the window is full; returns `None` if the
    /// exit is gone.
    pub(crate) fn reserve(&self) -> Option<Slot<T>> {
        let (slot, answer) = channel::bounded(1);
        self.0.send(answer).ok()?;
        Some(Slot(slot))
    }
}

/// A place for one answer.
pub(crate) struct Slot<T>(Sender<T>);

impl<T> Slot<T> {
    /// Sends the answer. Does not block (I2).
    pub(crate) fn fill(self, answer: T) {
        // Fails if the exit is gone; then the answer is not needed.
        let _ = self.0.send(answer);
    }
}

/// The end where the answers leave, in the order of their slots. `None` stands for a slot that was
/// dropped unfilled.
pub(crate) struct Exit<T>(Receiver<Receiver<T>>);

impl<T> Iterator for Exit<T> {
    type Item = Option<T>;

    /// Blocks until the oldest slot is filled or dropped.
    fn next(&mut self) -> Option<Option<T>> {
        let answer = self.0.recv().ok()?;
        Some(answer.recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use greenthread::go;

    /// Waits until the count is reached; fails after half a minute.
    fn wait_for(count: &AtomicUsize, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while count.load(Ordering::SeqCst) < wanted {
            assert!(Instant::now() < deadline, "waited for {wanted}, saw {}", count.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the exit's `next`, with a time limit.
    fn take(exit: Exit<usize>) -> (Option<Option<usize>>, Exit<usize>) {
        let (done, taken) = mpsc::channel();
        go!(move || {
            let mut exit = exit;
            let answer = exit.next();
            let _ = done.send((answer, exit));
        });
        taken.recv_timeout(Duration::from_secs(30)).expect("the exit is stuck")
    }

    #[test]
    fn answers_leave_in_the_order_of_their_slots() {
        let (entrance, exit) = new(8);
        let slots: Vec<_> = (0..7).map(|_| entrance.reserve().unwrap()).collect();
        for (n, slot) in slots.into_iter().enumerate().rev() {
            slot.fill(n);
        }
        drop(entrance);
        assert_eq!(exit.collect::<Vec<_>>(), (0..7).map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_window_blocks_the_next_reservation() {
        const WIDTH: usize = 5;
        let (entrance, exit) = new(WIDTH);
        let reserved = Arc::new(AtomicUsize::new(0));
        let counter = reserved.clone();
        go!(move || {
            while let Some(slot) = entrance.reserve() {
                slot.fill(counter.fetch_add(1, Ordering::SeqCst));
            }
        });

        // Tests the queue alone, without an exit. The pause gives a broken window time to reveal
        // itself.
        wait_for(&reserved, WIDTH - 1);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(reserved.load(Ordering::SeqCst), WIDTH - 1);

        let mut exit = exit;
        for taken in 0..100 {
            let answer;
            (answer, exit) = take(exit);
            assert_eq!(answer, Some(Some(taken)));
            wait_for(&reserved, taken + WIDTH);
            std::thread::sleep(Duration::from_millis(1));
            assert_eq!(reserved.load(Ordering::SeqCst), taken + WIDTH, "{taken} is in hand, the rest in the queue");
        }
    }

    #[test]
    fn many_fillers_keep_the_order_and_the_bound() {
        const WIDTH: usize = 16;
        const COUNT: usize = 20_000;
        let (entrance, exit) = new(WIDTH);
        let (jobs_tx, jobs) = channel::bounded::<(usize, Slot<usize>)>(3);
        let reserved = Arc::new(AtomicUsize::new(0));
        let counter = reserved.clone();
        go!(move || {
            for n in 0..COUNT {
                let slot = entrance.reserve().expect("the exit is open");
                counter.fetch_add(1, Ordering::SeqCst);
                jobs_tx.send((n, slot)).unwrap();
            }
        });
        for _ in 0..8 {
            let jobs = jobs.clone();
            go!(move || jobs.into_iter().for_each(|(n, slot)| slot.fill(n)));
        }
        drop(jobs);

        let (done, end) = mpsc::channel();
        go!(move || {
            let mut left = 0;
            for answer in exit {
                let ahead = reserved.load(Ordering::SeqCst) - left;
                if answer != Some(left) || ahead > WIDTH {
                    let _ = done.send(Err(format!("answer {left} is {answer:?}, {ahead} are ahead")));
                    return;
                }
                left += 1;
            }
            let _ = done.send(Ok(left));
        });
        assert_eq!(end.recv_timeout(Duration::from_secs(60)).expect("the window is stuck"), Ok(COUNT));
    }

    #[test]
    fn a_window_of_one_place_goes_step_by_step() {
        let (entrance, exit) = new(1);
        go!(move || (0..10).for_each(|n| entrance.reserve().expect("the exit is open").fill(n)));
        let mut exit = exit;
        for n in 0..10 {
            let answer;
            (answer, exit) = take(exit);
            assert_eq!(answer, Some(Some(n)));
        }
        assert_eq!(take(exit).0, None);
    }

    #[test]
    fn a_dropped_slot_does_not_hold_up_the_exit() {
        let (entrance, exit) = new(4);
        drop(entrance.reserve().unwrap());
        entrance.reserve().unwrap().fill(1);
        drop(entrance);
        assert_eq!(exit.collect::<Vec<_>>(), [None, Some(1)]);
    }

    #[test]
    fn without_an_exit_there_is_nothing_to_reserve() {
        let (entrance, exit) = new::<()>(4);
        drop(exit);
        assert!(entrance.reserve().is_none());
    }
}
