//! A deadlock, and the runtime's report.
//!
//! Two goroutines take two locks in opposite order, and each waits for the lock that the other one
//! holds. Main waits for both goroutines. When all goroutines wait for each other and nothing can
//! wake them, the runtime reports the deadlock with the stack of each goroutine, and ends the
//! process with status 2, like Go's runtime. The cure is to take locks in the same order
//! everywhere, which here means swapping two lines.
//!
//! Prints:
//!
//! ```text
//! both have their first lock
//! ```
//!
//! Exit status: 2
//!
//! On stderr:
//!
//! ```text
//! fatal error: all goroutines are asleep - deadlock!
//! goroutine ... [join] {name: main}:
//! goroutine ... [sync.Mutex.Lock] {name: ada}:
//! goroutine ... [sync.Mutex.Lock] {name: grace}:
//! ```

use std::sync::Arc;

use greenthread::Builder;
use greenthread::sync::{Barrier, Mutex};

#[greenthread::main]
fn main() {
    let (paper, pen) = (Arc::new(Mutex::new("paper")), Arc::new(Mutex::new("pen")));
    let both = Arc::new(Barrier::new(2));
    let start = |name, first: &Arc<Mutex<_>>, second: &Arc<Mutex<_>>| {
        let (first, second, both) = (Arc::clone(first), Arc::clone(second), Arc::clone(&both));
        Builder::new().name(name).spawn(move || {
            let first = first.lock();
            // Without this barrier the deadlock would happen only now and then, as in real
            // programs.
            if both.wait().is_leader() {
                println!("both have their first lock");
            }
            println!("{name}: {first} and {}", second.lock());
        })
    };
    let ada = start("ada", &paper, &pen).unwrap();
    let grace = start("grace", &pen, &paper).unwrap();
    ada.join().unwrap();
    grace.join().unwrap();
}
