//! The progress line on standard error.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

/// A handle to the progress line; clones share it. The line is hidden unless it was requested and
/// standard error is a terminal.
///
/// Creates the line. The walk continues while files are read, so the total is unknown, and there is
/// no percentage to show.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    files: Arc<AtomicU64>,
}

impl Progress {
    pub(crate) fn new(shown: bool) -> Progress {
        let files = Arc::new(AtomicU64::new(0));
        if !shown {
            return Progress { bar: ProgressBar::hidden(), files };
        }
        let count = files.clone();
        let style = ProgressStyle::with_template("{spinner} {files} files, {bytes} ({bytes_per_sec}), {elapsed}")
            .expect("the template is well-formed")
            .with_key("files", move |_: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}", HumanCount(count.load(Ordering::Relaxed)));
            });
        Progress { bar: ProgressBar::new_spinner().with_style(style), files }
    }

    pub(crate) fn bytes_done(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    pub(crate) fn file_done(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Hides the line while `f` writes to the terminal.
    pub(crate) fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        self.bar.suspend(f)
    }

    /// Leaves the final state on the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}
