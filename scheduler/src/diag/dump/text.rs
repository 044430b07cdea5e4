//! The dump as text, in Go's format.
//!
//! ```text
//! goroutine 18 [chan receive, 5 minutes]:
//! my_program::fetch::{{closure}}(...)
//!         src/fetch.rs:73 +0x2c
//! created by spawn at src/main.rs:12:5
//!
//! goroutine 7 [running, for 1.204 s] {name: crunch}:
//! ```
//!
//! A goroutine may have to resume on a thread on which another goroutine computes. Its state is
//! then `[runnable, behind goroutine 7 on its thread]`, a case that Go does not have. The
//! scheduler's own calls are left out at both ends, as Go's runtime leaves out its own. Arguments
//! are not known, and are written as `(...)`, as in Go. Goroutines with the same trace, state, name
//! and spawn site are written once, under the header of the first one, with a list of their ids.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use super::collect::Trace;
use super::resolve::Resolver;
use super::{Frame, GoroutineInfo, GoroutineState};

/// Other paths of calls that lead to a goroutine's closure.
const ROOT_PATHS: &[&str] = &[
    "/library/std/src/panic",
    "/library/core/src/panic",
    "/library/core/src/ops/function.rs",
    "/library/std/src/sys/backtrace.rs",
];

/// Paths of std's sources that park threads, and of std's thread scopes, which wait.
const STD_PARKS: &[&str] = &["/library/std/src/sys/sync/thread_parking/", "/library/std/src/thread/scoped.rs"];

/// The advice for a goroutine that is parked in std.
const STD_PARKED: &str = "\
blocked in std's thread parking, which wakes the thread that the goroutine was on when it began to wait or entered
\tthe scope: if it has moved since, or another goroutine on that thread took the wake-up, it never wakes.
\tUse greenthread::scope and channels, or lock_os_thread around std::thread::scope and std::thread::park.";

/// The number of a group's ids that are listed.
const MAX_LISTED_IDS: usize = 100;

/// Everything that the goroutines of a group have in common.
#[derive(PartialEq, Eq, Hash)]
struct GroupKey {
    state: GoroutineState,
    name: Option<Arc<str>>,
    site: *const Location<'static>,
    trace: *const Trace,
    locked: bool,
    behind: Option<u64>,
    /// Goroutines that are on threads are not grouped.
    thread: Option<u32>,
}

/// Writes `goroutines`, starting with those that are running.
pub(super) fn write(goroutines: &[GoroutineInfo], not_begun: u64) -> String {
    let mut groups: Vec<Vec<&GoroutineInfo>> = Vec::new();
    let mut places: HashMap<GroupKey, usize> = HashMap::new();
    for goroutine in goroutines {
        let place = *places.entry(group_key(goroutine)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(goroutine);
    }
    groups.sort_by_key(|group| group[0].state != GoroutineState::Running);
    let (mut out, mut resolver) = (String::new(), Resolver::new());
    for group in &groups {
        let _ = write_group(&mut out, group, &mut resolver);
    }
    if not_begun > 0 {
        let _ = writeln!(out, "goroutines that have not begun: {not_begun}");
    }
    out
}

fn group_key(goroutine: &GoroutineInfo) -> GroupKey {
    GroupKey {
        state: goroutine.state,
        name: goroutine.name.clone(),
        site: ptr::from_ref(goroutine.spawned_at),
        trace: Arc::as_ptr(&goroutine.trace),
        locked: goroutine.locked,
        behind: goroutine.behind,
        thread: goroutine.thread,
    }
}

fn write_group(out: &mut String, group: &[&GoroutineInfo], resolver: &mut Resolver) -> fmt::Result {
    let first = group[0];
    write_header(out, first)?;
    match (&resolver.frames(&first.trace.calls)[..], first.thread) {
        ([], Some(thread)) => writeln!(out, "\trunning on M{thread}; backtrace unavailable")?,
        ([], None) => writeln!(out, "\tbacktrace unavailable")?,
        (frames, thread) => {
            write_frames(out, without_scheduler_frames(frames), first.is_complete())?;
            if thread.is_some() && frames.iter().any(is_std_parking) {
                writeln!(out, "\t{STD_PARKED}")?;
            }
        }
    }
    writeln!(out, "created by spawn at {}", first.spawned_at)?;
    if group.len() > 1 {
        let ids: Vec<String> = group.iter().take(MAX_LISTED_IDS).map(|goroutine| goroutine.id.to_string()).collect();
        let more = if group.len() > MAX_LISTED_IDS { ", ..." } else { "" };
        writeln!(out, "{} goroutines with this stack: {}{more}", group.len(), ids.join(", "))?;
    }
    writeln!(out)
}

fn write_header(out: &mut String, goroutine: &GoroutineInfo) -> fmt::Result {
    write!(out, "goroutine {} [{}", goroutine.id, goroutine.state)?;
    // Minutes only, as in Go.
    if let Some(minutes @ 1..) = goroutine.parked_for.map(|time| time.as_secs() / 60) {
        write!(out, ", {minutes} minutes")?;
    }
    if let Some(time) = goroutine.busy_for {
        write!(out, ", for {:.3} s", time.as_secs_f64())?;
    }
    if goroutine.locked {
        write!(out, ", locked to thread")?;
    }
    if let Some(id) = goroutine.behind {
        write!(out, ", behind goroutine {id} on its thread")?;
    }
    match &goroutine.name {
        Some(name) => writeln!(out, "] {{name: {name}}}:"),
        None => writeln!(out, "]:"),
    }
}

pub(super) fn write_frames(out: &mut String, frames: &[Frame], complete: bool) -> fmt::Result {
    for frame in frames {
        match &frame.function {
            Some(function) => writeln!(out, "{function}(...)")?,
            None => writeln!(out, "{:#x}(...)", frame.address)?,
        }
        write!(out, "\t{}:{}", frame.file.as_deref().unwrap_or("??"), frame.line.unwrap_or(0))?;
        match frame.offset {
            Some(offset) => writeln!(out, " +{offset:#x}")?,
            None => writeln!(out)?,
        }
    }
    if complete { Ok(()) } else { writeln!(out, "...additional frames elided...") }
}

fn is_std_parking(frame: &Frame) -> bool {
    frame.file.as_ref().is_some_and(|file| STD_PARKS.iter().any(|place| file.contains(place)))
}

/// Removes the scheduler's own frames at both ends, unless no frame would remain.
fn without_scheduler_frames(frames: &[Frame]) -> &[Frame] {
    let start = frames.iter().position(|frame| !is_own(frame)).unwrap_or(0);
    let end = frames.iter().rposition(|frame| !is_scheduler_frame(frame)).map_or(0, |last| last + 1);
    frames.get(start..end).filter(|rest| !rest.is_empty()).unwrap_or(frames)
}

/// Returns `true` if the call is the scheduler's, or one of those that lead from the scheduler to a
/// goroutine's closure.
pub(super) fn is_scheduler_frame(frame: &Frame) -> bool {
    // `catch_unwind` contributes a frame without a source file.
    let root = |file: &String| ROOT_PATHS.iter().any(|root| file.contains(root));
    is_own(frame) || frame.file.as_ref().is_none_or(root)
}

/// Returns `true` if the call is in a file of the scheduler.
///
/// Function names do not tell, since line tables contain them without their module paths.
fn is_own(frame: &Frame) -> bool {
    let own = file!().rsplit_once("src/").map(|(crate_folder, _)| format!("{crate_folder}src/"));
    frame.file.as_ref().zip(own).is_some_and(|(file, own)| file.contains(&own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(file: &str) -> Frame {
        Frame { address: 0x10, offset: Some(1), function: Some("f".into()), file: Some(file.into()), line: Some(3) }
    }

    fn shown(files: &[&str]) -> Vec<String> {
        let frames: Vec<Frame> = files.iter().copied().map(frame).collect();
        without_scheduler_frames(&frames).iter().filter_map(|frame| frame.file.clone()).collect()
    }

    #[test]
    fn scheduler_frames_are_removed_at_both_ends() {
        let park = file!().replace("dump/text", "park");
        let (park, mutex, user) = (park.as_str(), "greenthread/src/sync/mutex.rs", "program/src/main.rs");
        let catch = "/rustc/1/library/std/src/panicking.rs";
        assert_eq!(shown(&[park, park, mutex, user, park, user, catch, park]), [mutex, user, park, user]);
        assert_eq!(shown(&[user]), [user]);
        assert_eq!(shown(&[park, catch]), [park, catch], "rather all than none");
        assert_eq!(shown(&[]), [""; 0]);
    }

    #[test]
    fn frames_are_written_in_gos_format() {
        let mut out = String::new();
        let unknown = Frame { address: 0x20, offset: None, function: None, file: None, line: None };
        write_frames(&mut out, &[frame("a.rs"), unknown, frame("b.rs")], false).unwrap();
        assert_eq!(
            out,
            "f(...)\n\ta.rs:3 +0x1\n0x20(...)\n\t??:0\nf(...)\n\tb.rs:3 +0x1\n...additional frames elided...\n"
        );
    }
}
