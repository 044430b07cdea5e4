//! Models of one direction of a descriptor. Its owner meets events, a close, moved deadlines, late
//! wakers, and the end of a stream whose reads are skipped while it is empty.

use std::ptr::NonNull;

use greenthread_models::explore;
use greenthread_models::primitive::{AtomicBool, AtomicU32, Ordering, UnsafeCell};
use greenthread_models::protocol::poll_word::PollWord;
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

/// A single wait of the owner.
///
/// All waits last as long as the model, because the memory of goroutines is never freed.
struct Wait {
    notify: Notify,
    woken: AtomicBool,
    /// Stands for the goroutine's registers: written before the waiter is published, and read by
    /// its waker.
    saved: UnsafeCell<bool>,
}

// SAFETY: `saved` passes from the owner to the only waker, which is what the models check.
unsafe impl Sync for Wait {}
// SAFETY: `saved` passes from the owner to the only waker.
unsafe impl Send for Wait {}

#[derive(Debug, PartialEq)]
enum Outcome {
    Data,
    Ended,
}

struct World {
    word: PollWord,
    ended: AtomicBool,
    /// The data that the system has for the owner to read.
    data: AtomicU32,
    waits: Vec<Wait>,
}

impl World {
    fn new(waits: usize) -> Arc<Self> {
        let wait = |_| Wait { notify: Notify::new(), woken: AtomicBool::new(false), saved: UnsafeCell::new(false) };
        Arc::new(Self {
            word: PollWord::new(),
            ended: AtomicBool::new(false),
            data: AtomicU32::new(0),
            waits: (0..waits).map(wait).collect(),
        })
    }

    fn wake(waiter: Option<NonNull<()>>) {
        let Some(waiter) = waiter else { return };
        // SAFETY: waits last as long as the model.
        let wait = unsafe { waiter.cast::<Wait>().as_ref() };
        // SAFETY: the owner has parked.
        assert!(wait.saved.with(|saved| unsafe { *saved }));
        assert!(!wait.woken.swap(true, Ordering::Release), "woken twice");
        wait.notify.notify();
    }

    /// Delivers data, and reports the event to the poller.
    fn event(&self) {
        self.data.fetch_add(1, Ordering::Relaxed);
        Self::wake(self.word.set_ready());
    }

    /// Lets a deadline pass, or closes the descriptor.
    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.interrupt();
    }

    /// Acts like a spurious waker.
    fn interrupt(&self) {
        Self::wake(self.word.take_waiter());
    }

    fn take_data(&self) -> bool {
        self.data.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    /// Reads as `Descriptor` and its user do, taking its waits from `waits`.
    fn read(&self, waits: &mut std::slice::Iter<'_, Wait>) -> Outcome {
        if self.ended.load(Ordering::Relaxed) {
            return Outcome::Ended;
        }
        self.word.clear();
        while !self.take_data() {
            while !self.wait(waits) {
                if self.ended.load(Ordering::Relaxed) {
                    return Outcome::Ended;
                }
            }
        }
        Outcome::Data
    }

    /// Waits once.
    ///
    /// Returns `true` if an event was there.
    fn wait(&self, waits: &mut std::slice::Iter<'_, Wait>) -> bool {
        if !self.word.begin() {
            return true;
        }
        if !self.ended.load(Ordering::Relaxed) {
            let wait = waits.next().expect("no more waits than there are reasons to wake up");
            // SAFETY: no other thread knows about this wait yet.
            wait.saved.with_mut(|saved| unsafe { *saved = true });
            if self.word.park(NonNull::from(wait).cast()) {
                while !wait.woken.load(Ordering::Acquire) {
                    wait.notify.wait();
                }
            }
        }
        self.word.end()
    }
}

fn run(world: &Arc<World>, f: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || f(&world))
}

#[test]
fn an_event_meets_a_wait() {
    explore(3, || {
        let world = World::new(1);
        let poller = run(&world, World::event);
        assert_eq!(world.read(&mut world.waits.iter()), Outcome::Data);
        poller.join().unwrap();
    });
}

#[test]
fn a_close_meets_a_wait() {
    explore(3, || {
        let world = World::new(1);
        let closer = run(&world, World::end);
        assert_eq!(world.read(&mut world.waits.iter()), Outcome::Ended);
        closer.join().unwrap();
        assert!(world.word.begin(), "a close leaves nothing behind");
    });
}

#[test]
fn an_event_and_a_close_wake_once() {
    explore(2, || {
        let world = World::new(1);
        let others = [run(&world, World::event), run(&world, World::end)];
        let outcome = world.read(&mut world.waits.iter());
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(outcome == Outcome::Data, world.data.load(Ordering::Relaxed) == 0);
    });
}

#[test]
fn a_deadline_and_a_close_wake_once() {
    explore(2, || {
        let world = World::new(1);
        let others = [run(&world, World::end), run(&world, World::end)];
        assert_eq!(world.read(&mut world.waits.iter()), Outcome::Ended);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

// The deadline passes and is reset immediately; then data arrives.
#[test]
fn a_deadline_that_is_moved_loses_nothing() {
    explore(3, || {
        let world = World::new(2);
        let other = run(&world, |world| {
            world.end();
            world.ended.store(false, Ordering::Relaxed);
            world.event();
        });
        let outcome = world.read(&mut world.waits.iter());
        other.join().unwrap();
        assert_eq!(outcome == Outcome::Data, world.data.load(Ordering::Relaxed) == 0);
    });
}

// Two reads run in succession, while a waker that belongs to neither may arrive at any moment.
//
// Each wait is woken once, and no event is lost.
#[test]
fn a_late_waker_causes_a_spurious_wake_up() {
    explore(2, || {
        let world = World::new(3);
        let poller = run(&world, |world| {
            world.event();
            world.event();
        });
        let late = run(&world, World::interrupt);
        let mut waits = world.waits.iter();
        assert_eq!(world.read(&mut waits), Outcome::Data);
        assert_eq!(world.read(&mut waits), Outcome::Data);
        poller.join().unwrap();
        late.join().unwrap();
    });
}

/// The part of a stream's state that the system keeps, under the system's own lock.
#[derive(Default)]
struct Kernel {
    bytes: u32,
    end: bool,
}

/// A stream whose reads are skipped when the previous read has emptied it: the word, and the flag
/// that belongs to it.
///
/// In this model, only the end of the stream is left behind without a further event. Urgent data is
/// reported in the same way.
struct Stream {
    world: Arc<World>,
    kernel: Mutex<Kernel>,
    read_on: AtomicBool,
}

impl Stream {
    fn new(waits: usize) -> Arc<Self> {
        Arc::new(Self { world: World::new(waits), kernel: Mutex::default(), read_on: AtomicBool::new(false) })
    }

    /// Delivers a byte, and, if `end` is set, the end of the stream.
    fn arrive(&self, end: bool) {
        let mut kernel = self.kernel.lock().unwrap();
        kernel.bytes += 1;
        kernel.end = end;
    }

    /// Handles an event for reading as `record::report` does.
    fn report(&self, read_on: bool) {
        if read_on {
            self.read_on.store(true, Ordering::Relaxed);
        }
        World::wake(self.world.word.set_ready());
    }

    /// Reads to the end, as a socket's reads do.
    ///
    /// Returns the number of bytes.
    fn read_to_end(&self) -> u32 {
        let mut waits = self.world.waits.iter();
        let mut emptied = false;
        let mut bytes = 0;
        loop {
            if emptied {
                while !self.world.wait(&mut waits) {}
            } else {
                self.world.word.clear();
            }
            let got = loop {
                {
                    let mut kernel = self.kernel.lock().unwrap();
                    if kernel.bytes > 0 || kernel.end {
                        break std::mem::take(&mut kernel.bytes);
                    }
                }
                while !self.world.wait(&mut waits) {}
            };
            if got == 0 {
                return bytes;
            }
            bytes += got;
            // ORDERING: relaxed, so that the model relies only on the word's P3.
            emptied = !self.read_on.load(Ordering::Relaxed);
        }
    }
}

// The end arrives with the last byte, in one event.
//
// A reader that has emptied the stream must not wait for another event.
#[test]
fn an_end_in_the_last_event_is_not_waited_for() {
    explore(3, || {
        let stream = Stream::new(2);
        let peer = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                stream.arrive(true);
                stream.report(true);
            })
        };
        assert_eq!(stream.read_to_end(), 1);
        peer.join().unwrap();
    });
}

// One byte arrives first.
//
// Another byte arrives with the end, in a separate event.
#[test]
fn an_end_after_an_event_is_seen() {
    explore(2, || {
        let stream = Stream::new(3);
        let peer = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                stream.arrive(false);
                stream.report(false);
                stream.arrive(true);
                stream.report(true);
            })
        };
        assert_eq!(stream.read_to_end(), 2);
        peer.join().unwrap();
    });
}
