//! How long it takes yet.

use std::fmt;
use std::time::{Duration, Instant};

/// Workloads that end before an estimate is worth saying.
const FIRST: usize = 2;

/// How far a run is, in processes: each takes seconds, the workloads of several peers take more.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    processes: usize,
    ended: usize,
    workloads: usize,
    begun: usize,
}

impl Progress {
    pub(crate) fn new(workloads: usize, processes: usize) -> Self {
        Self { start: Instant::now(), processes, ended: 0, workloads, begun: 0 }
    }

    /// A workload begins.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    /// A process has ended, or need not be started.
    pub(crate) fn ended(&mut self) {
        self.ended += 1;
    }

    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let known = self.begun > FIRST && self.ended > 0;
        let each = known.then(|| elapsed.as_secs_f64() / self.ended as f64)?;
        Some(Duration::from_secs_f64(each * self.processes.saturating_sub(self.ended) as f64))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}/{}", self.begun, self.workloads)?;
        match self.left(self.start.elapsed()).map(|left| left.as_secs()) {
            None => write!(f, "]"),
            Some(seconds @ 0..100) => write!(f, ", about {seconds} s left]"),
            Some(seconds) => write!(f, ", about {} min left]", seconds.div_ceil(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_estimated_from_what_has_ended() {
        let mut progress = Progress::new(10, 40);
        let quarter = Duration::from_secs(30);
        for _ in 0..FIRST {
            progress.begin();
            (0..5).for_each(|_| progress.ended());
            assert_eq!(progress.left(quarter), None);
        }
        progress.begin();
        assert_eq!(progress.left(quarter), Some(Duration::from_secs(90)));
        assert!(progress.to_string().starts_with("[3/10, about "), "{progress}");
    }
}
