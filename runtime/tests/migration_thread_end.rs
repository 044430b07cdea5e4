//! A spare thread ends after ten seconds, unless a goroutine that is parked has an address of its thread-locals.

mod common;

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use common::child::{self, named, program};
use common::{parked, until, watchdog};
use greenthread::__private::Mechanism;
use greenthread::channel::{Receiver, Sender, bounded};
use greenthread::{blocking, gomaxprocs, spawn, time};
use greenthread_hazards::thread as thread_number;

/// A little longer than a spare thread stays.
const AGE: Duration = Duration::from_millis(11_000);

const HOLDERS: usize = 4;

thread_local! {
    static HELD: Cell<i32> = const { Cell::new(0) };
}

/// Parks goroutines with a thread-local open, each on a thread of its own, all but one of which are spare then; whether all live longer than
/// spare threads do, and whether all goroutines come back to theirs.
fn outlive() -> (bool, bool) {
    let barrier = Arc::new(Barrier::new(HOLDERS));
    let ((here, places), (go_on, wait)) = (bounded(HOLDERS), bounded::<()>(0));
    let hold = |here: Sender<i32>, wait: Receiver<()>, barrier: Arc<Barrier>| {
        move || {
            blocking(|| {
                HELD.with(|held| {
                    barrier.wait();
                    held.set(thread_number());
                    here.send(thread_number()).unwrap();
                    wait.recv().unwrap();
                    held.get() == thread_number()
                })
            })
        }
    };
    let holders: Vec<_> = (0..HOLDERS).map(|_| spawn(hold(here.clone(), wait.clone(), Arc::clone(&barrier)))).collect();
    let homes: HashSet<i32> = places.iter().take(HOLDERS).collect();
    assert_eq!(homes.len(), HOLDERS);
    until(|| parked("chan receive") == HOLDERS);
    time::sleep(AGE);
    let live = homes.iter().all(|home| fs::exists(format!("/proc/self/task/{home}")).unwrap());
    if !live {
        // What they hold is gone.
        return (false, false);
    }
    (0..HOLDERS).for_each(|_| go_on.send(()).unwrap());
    (live, holders.into_iter().all(|holder| holder.join().unwrap()))
}

fn run(guarded: bool) -> ExitCode {
    let _watchdog = watchdog("outlive");
    gomaxprocs(1);
    if !guarded {
        child::without(Mechanism::MigrationGuard);
    }
    println!("{:?}", spawn(outlive).join().unwrap());
    ExitCode::SUCCESS
}

fn guarded() -> ExitCode {
    run(true)
}

fn unguarded() -> ExitCode {
    run(false)
}

fn a_thread_stays_as_long_as_it_is_needed() {
    let other = thread::spawn(|| program("unguarded").run());
    program("guarded").run().exits_with(0).prints("(true, true)\n");
    other.join().unwrap().exits_with(0).prints("(false, false)\n");
}

fn main() -> ExitCode {
    child::main(named![a_thread_stays_as_long_as_it_is_needed], named![guarded, unguarded])
}
