//! Resolves addresses to functions, files and lines.

use std::collections::HashMap;
use std::ptr;

use super::Frame;
use crate::machine::sys::unwind::function_start;

/// The frames of the addresses that were resolved so far.
pub(super) struct Resolver(HashMap<usize, Vec<Frame>>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Returns the frames of a trace, in which each inlined call has its own frame.
    pub(super) fn frames(&mut self, trace: &[usize]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for &address in trace {
            frames.extend_from_slice(self.0.entry(address).or_insert_with(|| resolve(address)));
        }
        frames
    }
}

fn resolve(address: usize) -> Vec<Frame> {
    let offset = function_start(address).map(|start| address - start);
    let mut frames = Vec::new();
    // `resolve` expects a return address, and looks for the call one byte before it. Here the
    // address is already inside the call.
    backtrace::resolve(ptr::without_provenance_mut(address + 1), |symbol| {
        frames.push(Frame {
            address,
            offset,
            // The name without the hash at its end.
            function: symbol.name().map(|name| format!("{name:#}")),
            file: symbol.filename().map(|file| file.display().to_string()),
            line: symbol.lineno(),
        });
    });
    if frames.is_empty() {
        frames.push(Frame { address, offset, function: None, file: None, line: None });
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_of_a_function_resolves_to_it() {
        let frames = resolve(resolve as *const () as usize);
        let innermost = frames[0].function.as_deref();
        assert!(innermost.is_some_and(|name| name.ends_with("resolve")), "{innermost:?}");
    }
}
