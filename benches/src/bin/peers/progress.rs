//! An estimate of the remaining time.

use std::fmt;
use std::time::{Duration, Instant};

/// The number of workloads that must end before there is an estimate.
const MIN_WORKLOADS: usize = 2;

/// The progress of a run, in processes.
///
/// Each takes seconds; a workload has several peers, and takes longer.
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

    /// Counts a workload that begins.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    /// Counts a process that has ended or need not be started.
    pub(crate) fn ended(&mut self) {
        self.ended += 1;
    }

    fn remaining(&self, elapsed: Duration) -> Option<Duration> {
        let known = self.begun > MIN_WORKLOADS && self.ended > 0;
        let each = known.then(|| elapsed.as_secs_f64() / self.ended as f64)?;
        Some(Duration::from_secs_f64(each * self.processes.saturating_sub(self.ended) as f64))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}/{}", self.begun, self.workloads)?;
        match self.remaining(self.start.elapsed()).map(|left| left.as_secs()) {
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
    fn remaining_time_is_estimated_from_ended_processes() {
        let mut progress = Progress::new(10, 40);
        let quarter = Duration::from_secs(30);
        for _ in 0..MIN_WORKLOADS {
            progress.begin();
            (0..5).for_each(|_| progress.ended());
            assert_eq!(progress.remaining(quarter), None);
        }
        progress.begin();
        assert_eq!(progress.remaining(quarter), Some(Duration::from_secs(90)));
        assert!(progress.to_string().starts_with("[3/10, about "), "{progress}");
    }
}
