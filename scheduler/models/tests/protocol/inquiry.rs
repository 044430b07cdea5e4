//! Models of the inquiry: the asked thread answers in time, late, or never, and another thread
//! arrives late.

use greenthread_models::explore;
use greenthread_models::protocol::inquiry::Inquiry;
use loom::sync::Arc;
use loom::thread;

type Question = Arc<Inquiry<(u32, u32)>>;

fn question() -> Question {
    Arc::new(Inquiry::new((0, 0)))
}

/// Asks `thread`, and checks for an answer `patience` times.
///
/// Returns the answer.
fn ask(inquiry: &Question, thread: u32, patience: u32) -> Option<u32> {
    let mut looks = 0;
    let wait = || {
        thread::yield_now();
        looks += 1;
        looks <= patience
    };
    inquiry.ask(
        thread,
        || true,
        wait,
        |(who, twice)| {
            assert_eq!(who, twice, "the answer is not whole");
            *who
        },
    )
}

fn answer(inquiry: &Question, thread: u32) -> bool {
    inquiry.answer(thread, |answer| {
        answer.0 = thread;
        answer.1 = thread;
    })
}

// One thread is asked twice, and is interrupted twice, at any time.
#[test]
fn an_answer_is_whole_and_from_the_asked_thread() {
    explore(3, || {
        let inquiry = question();
        let other = {
            let inquiry = Arc::clone(&inquiry);
            thread::spawn(move || u32::from(answer(&inquiry, 5)) + u32::from(answer(&inquiry, 5)))
        };
        let got = [ask(&inquiry, 5, 1), ask(&inquiry, 5, 1)];
        assert!(got.into_iter().flatten().all(|who| who == 5));
        assert_eq!(other.join().unwrap() as usize, got.into_iter().flatten().count());
    });
}

// A thread that arrives too late for its own question meets a question to another thread.
#[test]
fn a_late_thread_does_not_answer_for_another() {
    explore(3, || {
        let inquiry = question();
        let late = {
            let inquiry = Arc::clone(&inquiry);
            thread::spawn(move || answer(&inquiry, 5))
        };
        let first = ask(&inquiry, 5, 0);
        let second = ask(&inquiry, 6, 1);
        assert_eq!((first.is_some(), second), (late.join().unwrap(), None));
    });
}

#[test]
fn an_unreachable_thread_is_not_waited_for() {
    explore(2, || {
        let inquiry = question();
        assert_eq!(inquiry.ask(7, || false, || unreachable!(), |_| ()), None);
        assert!(!answer(&inquiry, 7), "nobody is asked any more");
    });
}

#[test]
fn two_askers_take_turns() {
    explore(2, || {
        let inquiry = question();
        let other = {
            let inquiry = Arc::clone(&inquiry);
            thread::spawn(move || ask(&inquiry, 5, 0))
        };
        ask(&inquiry, 6, 0);
        answer(&inquiry, 5);
        assert!(other.join().unwrap().is_none_or(|who| who == 5));
    });
}
