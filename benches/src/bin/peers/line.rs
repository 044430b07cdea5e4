//! One row of the table with one number of workers: the figures of each peer, and how ours
//! compares.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::peer::{GREENTHREAD, Missing, PEERS};
use crate::table::Row;
use crate::text::figure;

/// One row with one number of workers.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) row: &'static Row,
    pub(crate) workers: usize,
    /// By peer.
    ///
    /// Peers that do not have the workload are absent.
    pub(crate) cells: BTreeMap<&'static str, Cell>,
}

/// The results of one peer's processes.
#[derive(Debug)]
pub(crate) enum Cell {
    /// At least one figure, in the order in which they were measured.
    Samples(Vec<f64>),
    Missing(Missing),
}

/// The median and the two ends of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median: (below + above) / 2.0, min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}..{})", figure(self.median), figure(self.min), figure(self.max))
    }
}

impl Line {
    /// Adds the figures of one process.
    pub(crate) fn add(&mut self, peer: &'static str, outcome: &Result<Vec<(String, f64)>, Missing>) {
        let cell = self.cells.entry(peer).or_insert(Cell::Samples(Vec::new()));
        match outcome {
            Err(missing) => *cell = Cell::Missing(missing.clone()),
            Ok(figures) => {
                let ours = figures.iter().filter(|(name, _)| name == self.row.name).map(|&(_, value)| value);
                if let Cell::Samples(samples) = cell {
                    samples.extend(ours);
                    if samples.is_empty() {
                        *cell = Cell::Missing(Missing::Failed("its output has no such figure".to_owned()));
                    }
                }
            }
        }
    }

    /// Returns the reason why a peer that was run has no figures.
    pub(crate) fn missing(&self, peer: &str) -> Option<&Missing> {
        match self.cells.get(peer)? {
            Cell::Missing(missing) => Some(missing),
            Cell::Samples(_) => None,
        }
    }

    /// Returns the spread over all processes so far.
    pub(crate) fn spread(&self, peer: &str) -> Option<Spread> {
        match self.cells.get(peer)? {
            Cell::Samples(samples) => Some(Spread::of(samples)),
            Cell::Missing(_) => None,
        }
    }

    pub(crate) fn median(&self, peer: &str) -> Option<f64> {
        Some(self.spread(peer)?.median)
    }

    /// Returns the median of a rival that does this kind of work.
    pub(crate) fn rival(&self, peer: &str) -> Option<f64> {
        if peer == GREENTHREAD || self.row.is_floor(peer) { None } else { self.median(peer) }
    }

    /// Returns the smallest median of the rivals, and the rival's name.
    pub(crate) fn best(&self) -> Option<(f64, &'static str)> {
        let medians = PEERS.iter().filter_map(|peer| Some((self.rival(peer.name)?, peer.name)));
        medians.min_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// Returns our median divided by that of the best rival, and the rival's name.
    pub(crate) fn ratio(&self) -> Option<(f64, &'static str)> {
        let (best, name) = self.best()?;
        Some((times(self.median(GREENTHREAD)?, best), name))
    }

    pub(crate) fn json(&self) -> Value {
        let cells: Map<String, Value> =
            self.cells.iter().map(|(peer, cell)| ((*peer).to_owned(), cell.json())).collect();
        let ratio = self.ratio().map(|(ratio, peer)| json!({ "ratio": ratio, "peer": peer }));
        json!({
            "workload": self.row.name,
            "unit": self.row.unit,
            "workers": self.workers,
            "parallel": self.row.parallel,
            "peers": cells,
            "floor": self.row.floors,
            "against_best": ratio,
        })
    }
}

impl Cell {
    fn json(&self) -> Value {
        match self {
            Self::Samples(samples) => {
                let Spread { median, min, max } = Spread::of(samples);
                json!({ "median": median, "min": min, "max": max, "samples": samples })
            }
            Self::Missing(Missing::Unavailable(why)) => json!({ "not_done": why }),
            Self::Missing(Missing::Failed(why)) => json!({ "failed": why }),
        }
    }
}

/// Returns `whole` divided by `part`.
///
/// Two zeros are equal; any other number is infinitely many times zero.
pub(crate) fn times(whole: f64, part: f64) -> f64 {
    if whole == part { 1.0 } else { whole / part }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a line that has one figure of each of the given peers.
    pub(crate) fn line(row: &'static Row, workers: usize, figures: &[(&'static str, f64)]) -> Line {
        let cells = figures.iter().map(|&(peer, figure)| (peer, Cell::Samples(vec![figure]))).collect();
        Line { row, workers, cells }
    }

    const ROW: Row = Row { name: "ring", notes: &[("threads", "A loop.")], floors: &["threads"], ..Row::PLAIN };

    #[test]
    fn the_median_of_an_even_sample_is_the_mean_of_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    #[test]
    fn a_process_without_the_figure_has_failed() {
        let mut line = line(&ROW, 1, &[]);
        line.add("go", &Ok(vec![("rings".to_owned(), 1.0)]));
        assert!(line.missing("go").is_some() && line.spread("go").is_none());
    }

    #[test]
    fn a_floor_is_never_the_best() {
        let line = line(&ROW, 1, &[(GREENTHREAD, 6.0), ("go", 4.0), ("tokio", 3.0), ("threads", 1.0)]);
        assert_eq!(line.ratio(), Some((2.0, "tokio")));
        assert_eq!((line.rival("threads"), line.rival("go")), (None, Some(4.0)));
    }

    #[test]
    fn zeros_are_equal_to_each_other_only() {
        let ratio = |ours, best| line(&ROW, 1, &[(GREENTHREAD, ours), ("go", best)]).ratio().expect("both are there").0;
        assert_eq!([ratio(0.0, 0.0), ratio(0.0, 2.0), ratio(2.0, 0.0)], [1.0, 0.0, f64::INFINITY]);
        assert_eq!(line(&ROW, 1, &[("go", 1.0)]).ratio(), None);
    }
}
