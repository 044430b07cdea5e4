//! Percentiles.

use std::fmt;
use std::time::Duration;

use crate::Figures;

/// A sorted sample of times.
#[derive(Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Sorts a sample, which must not be empty.
    pub fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "no times were taken");
        times.sort_unstable();
        Self(times)
    }

    /// Returns the smallest time that `percent` of the sample do not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// Returns a percentile as a figure, in microseconds.
    pub fn figure(&self, name: &'static str, percent: f64) -> (&'static str, f64) {
        (name, self.percentile(percent).as_nanos() as f64 / 1e3)
    }

    /// Returns the median and the 99th percentile, in microseconds.
    pub fn p50_and_p99(&self) -> Figures {
        vec![self.figure("p50", 50.0), self.figure("p99", 99.0)]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, percent) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0)] {
            write!(f, "{name} {:<10} ", format!("{:.1?}", self.percentile(percent)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_members_of_the_sample() {
        let times = Times::new((1..=200).rev().map(Duration::from_nanos).collect());
        assert_eq!(times.percentile(50.0), Duration::from_nanos(100));
        assert_eq!(times.percentile(99.0), Duration::from_nanos(198));
        assert_eq!(times.percentile(100.0), Duration::from_nanos(200));
        assert_eq!(times.percentile(0.0), Duration::from_nanos(1));
    }
}
