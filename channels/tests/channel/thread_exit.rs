//! Channels while a thread ends: the thread sends, receives and selects while its thread-locals are
//! being destroyed.

use std::cell::RefCell;
use std::thread;
use std::time::Duration;

use crate::common::{everywhere, spawn};
use greenthread_channels::{Receiver, Select, Sender, after, bounded, select};

/// Communicates with the other side when its thread ends.
struct LastWords {
    tx: Sender<u32>,
    rx: Receiver<u32>,
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.tx.send(1).unwrap();
        assert_eq!(self.rx.recv(), Ok(10));
        self.tx.send_timeout(2, Duration::from_secs(60)).unwrap();
        assert_eq!(self.rx.recv_timeout(Duration::from_secs(60)), Ok(20));
        // Both arms are ready now and then, so one is picked at random, which also reads a
        // thread-local.
        select! {
            send(self.tx, 3) -> sent => sent.unwrap(),
            send(self.tx, 3) -> sent => sent.unwrap(),
            recv(after(Duration::from_secs(60))) -> _ => panic!("nobody receives"),
        }
        let mut select = Select::new();
        select.recv(&self.rx);
        assert_eq!(select.select().recv(&self.rx), Ok(30));
    }
}

thread_local! {
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

#[test]
fn channels_work_while_a_thread_ends() {
    everywhere(|| {
        for cap in [0, 1] {
            let ((to, from_thread), (back, rx)) = (bounded(cap), bounded(cap));
            let thread = thread::spawn(move || LAST_WORDS.set(Some(LastWords { tx: to, rx })));
            let other = spawn(move || {
                for n in 1..=3 {
                    assert_eq!(from_thread.recv(), Ok(n));
                    back.send(10 * n).unwrap();
                }
                assert!(from_thread.recv().is_err(), "the thread is gone");
            });
            other.join();
            thread.join().unwrap();
        }
    });
}
