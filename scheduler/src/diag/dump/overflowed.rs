//! A stack that has overflowed: only its innermost and outermost calls, since there may be
//! millions.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::Frame;
use super::resolve::Resolver;
use super::text::{is_scheduler_frame, write_frames};
use crate::machine::sys::unwind::{Registers, Unwinder};

/// How many calls are shown at each end.
const SHOWN: usize = 10;

/// How many of the outermost calls are kept while the stack is read: those that are shown, and the
/// scheduler's own, which are left out.
const KEPT: usize = SHOWN + 32;

/// The most calls that are read: as many as fit in a stack of 1 GiB if each takes 64 bytes.
const MAX_CALLS: usize = 16 << 20;

/// The calls at both ends of a stack, innermost first.
#[derive(Default)]
struct Ends {
    first: Vec<usize>,
    /// The last [`KEPT`] calls that are not among the first.
    last: VecDeque<usize>,
    count: usize,
}

impl Ends {
    fn add(&mut self, call: usize) -> ControlFlow<()> {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(call);
        } else {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(call);
        }
        if self.count < MAX_CALLS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Returns the calls on a stack, in the format of dumps, with those in the middle left out.
pub(super) fn write(from: Registers, read: impl FnMut(usize) -> Option<usize>) -> String {
    let mut ends = Ends::default();
    let complete = Unwinder::new().walk(from, read, |call| ends.add(call));
    let mut resolver = Resolver::new();
    let mut resolve = |call: &usize| resolver.frames(&[*call]);
    let first: Vec<_> = ends.first.iter().map(&mut resolve).collect();
    let last: Vec<_> = ends.last.iter().map(&mut resolve).collect();
    join(first, last, ends.count, complete)
}

/// Writes the ends of a stack of `count` calls, each of which may have several inlined frames.
fn join(first: Vec<Vec<Frame>>, mut last: Vec<Vec<Frame>>, count: usize, complete: bool) -> String {
    let mut elided = count - first.len() - last.len();
    // In a program without debug information no call is known to be another's.
    if let Some(end) = last.iter().rposition(|call| !call.iter().all(is_scheduler_frame)) {
        last.truncate(end + 1);
    }
    if last.len() > SHOWN {
        elided += last.len() - SHOWN;
        last.drain(..last.len() - SHOWN);
    }
    let mut out = String::new();
    // The text goes to a string, which does not fail.
    let _ = write_frames(&mut out, &first.concat(), true);
    if elided > 0 {
        out.push_str(&format!("... {elided} frames elided ...\n"));
    }
    let _ = write_frames(&mut out, &last.concat(), complete);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(names: impl Iterator<Item = usize>) -> Vec<Vec<Frame>> {
        let frame = |n| Frame {
            address: n,
            offset: None,
            function: Some(format!("f{n}")),
            file: Some("a.rs".into()),
            line: None,
        };
        names.map(|n| vec![frame(n)]).collect()
    }

    fn ends_of(count: usize) -> Ends {
        let mut ends = Ends::default();
        (0..count).for_each(|call| assert!(ends.add(call).is_continue()));
        ends
    }

    fn written(count: usize) -> String {
        let ends = ends_of(count);
        join(calls(ends.first.into_iter()), calls(ends.last.into_iter()), count, true)
    }

    #[test]
    fn the_middle_is_elided_and_counted() {
        for count in [0, 1, 10, 11, 20] {
            let text = written(count);
            assert_eq!(text.matches("(...)").count(), count, "{text}");
            assert!(!text.contains("elided"), "{text}");
        }
        for count in [21, 40, 52, 53, 1000] {
            let text = written(count);
            assert_eq!(text.matches("(...)").count(), 2 * SHOWN, "{text}");
            assert!(text.contains(&format!("f9(...)\n\ta.rs:0\n... {} frames elided ...\n", count - 20)), "{text}");
            assert!(text.contains(&format!("f{}(...)", count - 10)) && text.contains(&format!("f{}(...)", count - 1)));
        }
    }

    #[test]
    fn a_walk_that_ends_early_says_so() {
        assert!(join(calls(0..3), Vec::new(), 3, false).ends_with("...additional frames elided...\n"));
    }
}
