//! The cost of the runtime while every goroutine is parked.
//!
//! Measured over some seconds: the CPU time of all threads, and how often one of them went to sleep
//! again (each time is a wake-up without work). `parked`: all goroutines wait on a channel, so both
//! figures should be 0. `sleeping`: all are in a long sleep, whose timers are not due, so both
//! should be 0 again. The thread that measures is not counted.
//!
//! The rival's equivalent is Go with the same goroutines, where sysmon wakes for a while before it
//! sleeps deeply.

use std::thread;
use std::time::Duration;

use greenthread::channel::{Receiver, Sender, bounded};
use greenthread_benches::{PROCS, cpu_and_sleeps_of_others, numbers, on_procs};

const HELP: &str = "idle: CPU time and wake-ups while all goroutines are parked";

fn measure(name: &str, procs: usize, time: Duration) {
    // New goroutines settle, and Ms that were spinning go to sleep.
    thread::sleep(Duration::from_millis(500));
    let (cpu_before, sleeps_before) = cpu_and_sleeps_of_others();
    thread::sleep(time);
    let (cpu, sleeps) = cpu_and_sleeps_of_others();
    let (cpu, sleeps) = (cpu.saturating_sub(cpu_before), sleeps.saturating_sub(sleeps_before));
    let share = cpu.as_secs_f64() / time.as_secs_f64() * 100.0;
    println!("procs={procs} {name:<9} {cpu:.1?} of CPU in {time:?} ({share:.3} %), {sleeps} wake-ups");
}

fn main() {
    let [count, seconds] = numbers(HELP, [("count", 10_000), ("seconds", 5)]);
    let time = Duration::from_secs(seconds);
    for procs in PROCS {
        on_procs(procs, || {});
        let old = greenthread::set_gomaxprocs(procs);
        measure("nothing", procs, time);
        let (gate, waiting): (Sender<()>, Receiver<()>) = bounded(0);
        for _ in 0..count {
            let waiting = waiting.clone();
            greenthread::spawn(move || waiting.recv());
        }
        measure("parked", procs, time);
        gate.close();
        for _ in 0..count {
            greenthread::spawn(|| greenthread::time::sleep(Duration::from_secs(3600)));
        }
        measure("sleeping", procs, time);
        greenthread::set_gomaxprocs(old);
    }
}
