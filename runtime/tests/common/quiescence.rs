//! Tells whether the runtime's threads sleep while there is nothing to do.

use std::fs;
use std::thread;
use std::time::Duration;

/// Returns how often the runtime's threads have gone to sleep so far.
fn sleeps() -> u64 {
    let of_thread = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).map(str::trim);
        let ours = field("Name:")?.starts_with("greenthread");
        ours.then(|| field("voluntary_ctxt_switches:")?.parse::<u64>().ok())?
    };
    fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of_thread).sum()
}

/// Returns `true` if no thread of the runtime wakes up for 2 s, at the latest after some tries: the
/// runtime trims stacks for some seconds after goroutines have run.
pub fn is_reached() -> bool {
    let still = || {
        let before = sleeps();
        thread::sleep(Duration::from_secs(2));
        sleeps() == before
    };
    (0..12).any(|_| still())
}
