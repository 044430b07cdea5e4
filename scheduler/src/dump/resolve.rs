//! From addresses to functions, files and lines.

use std::collections::HashMap;
use std::ptr;

use super::Frame;
use crate::machine::sys::unwind::function_start;

/// What was found out about addresses.
pub(super) struct Resolver(HashMap<usize, Vec<Frame>>);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// The frames of a trace. Inlined calls have frames of their own.
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
    backtrace::resolve(ptr::without_provenance_mut(address), |symbol| {
        frames.push(Frame {
            address,
            offset,
            // Without the hash at its end.
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
