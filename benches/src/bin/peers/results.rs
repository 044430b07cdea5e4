//! All results of one run.

use std::collections::BTreeSet;

use crate::line::Line;

/// The results of one run, and what is needed to judge them.
#[derive(Debug)]
pub(crate) struct Results {
    /// The machine, the tools, the settings.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The version of each peer that takes part, or the reason why it does not.
    pub(crate) peers: Vec<(&'static str, String)>,
    pub(crate) lines: Vec<Line>,
}

impl Results {
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.peers.iter().map(|(name, _)| *name).collect()
    }

    pub(crate) fn workers(&self) -> BTreeSet<usize> {
        self.lines.iter().map(|line| line.workers).collect()
    }
}
