//! What was measured, as tables and as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::peer::{GREENTHREAD, PEERS};
use crate::table::Row;

/// All of it.
#[derive(Debug)]
pub(crate) struct Report {
    /// The machine, the tools, the settings.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The version of each peer that takes part, or why it does not.
    pub(crate) peers: Vec<(&'static str, String)>,
    pub(crate) lines: Vec<Line>,
}

/// One row with one number of workers.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) row: &'static Row,
    pub(crate) workers: usize,
    /// By peer; those that have nothing are not there.
    pub(crate) cells: BTreeMap<&'static str, Cell>,
}

/// What one peer's processes said.
#[derive(Debug)]
pub(crate) enum Cell {
    /// At least one figure, in the order in which they came.
    Samples(Vec<f64>),
    Failed(String),
}

/// The middle of a sample and its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    median: f64,
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
    /// Adds what a process has said.
    pub(crate) fn add(&mut self, peer: &'static str, said: &Result<Vec<(String, f64)>, String>) {
        let cell = self.cells.entry(peer).or_insert(Cell::Samples(Vec::new()));
        match said {
            Err(why) => *cell = Cell::Failed(why.clone()),
            Ok(figures) => {
                let ours = figures.iter().filter(|(name, _)| name == self.row.name).map(|&(_, value)| value);
                if let Cell::Samples(samples) = cell {
                    samples.extend(ours);
                    if samples.is_empty() {
                        *cell = Cell::Failed("it gave no such figure".to_owned());
                    }
                }
            }
        }
    }

    pub(crate) fn failure(&self, peer: &str) -> Option<&str> {
        match self.cells.get(peer)? {
            Cell::Failed(why) => Some(why),
            Cell::Samples(_) => None,
        }
    }

    /// Over all processes so far.
    pub(crate) fn spread(&self, peer: &str) -> Option<Spread> {
        match self.cells.get(peer)? {
            Cell::Samples(samples) => Some(Spread::of(samples)),
            Cell::Failed(_) => None,
        }
    }

    /// Our median by that of the best of the others, and who that is.
    fn ratio(&self) -> Option<(f64, &'static str)> {
        let others = PEERS.iter().map(|peer| peer.name).filter(|&name| name != GREENTHREAD);
        let medians = others.filter_map(|name| Some((self.spread(name)?.median, name)));
        let (best, name) = medians.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some((self.spread(GREENTHREAD)?.median / best, name))
    }

    fn cell(&self, peer: &str, notes: &mut Notes) -> String {
        let failure = self.failure(peer).map(|why| format!("It failed: {why}."));
        let figures = self.spread(peer).map_or("-".to_owned(), |spread| spread.to_string());
        match failure.or_else(|| self.row.note(peer).map(str::to_owned)) {
            Some(note) => format!("{figures} [{}]", notes.number(note)),
            None => figures,
        }
    }

    fn json(&self) -> Value {
        let cells: Map<String, Value> =
            self.cells.iter().map(|(peer, cell)| ((*peer).to_owned(), cell.json())).collect();
        let ratio = self.ratio().map(|(ratio, peer)| json!({ "ratio": ratio, "peer": peer }));
        json!({
            "workload": self.row.name,
            "unit": self.row.unit,
            "workers": self.workers,
            "peers": cells,
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
            Self::Failed(why) => json!({ "failed": why }),
        }
    }
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let text = |pairs: &[(&str, String)]| -> Map<String, Value> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        json!({
            "facts": text(&self.facts),
            "peers": text(&self.peers),
            "results": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# greenthread and its peers\n\n");
        for (name, value) in self.facts.iter().chain(&self.peers) {
            line(&mut text, &format!("* {name}: {value}"));
        }
        line(
            &mut text,
            "\nA cell is the median of all repetitions of all rounds, and in brackets the least and the most. Less is \
             better; the last column is our median by that of the best peer.",
        );
        let mut notes = Notes::default();
        let mut workers: Vec<usize> = self.lines.iter().map(|line| line.workers).collect();
        workers.dedup();
        for &workers in &workers {
            self.table(workers, &mut notes, &mut text);
        }
        if !notes.0.is_empty() {
            line(&mut text, "\n## Notes\n");
            for (n, note) in notes.0.iter().enumerate() {
                line(&mut text, &format!("{}. {note}", n + 1));
            }
        }
        line(&mut text, "\n## What a figure counts\n");
        // Each number of workers has the same rows.
        let first = workers.first().copied();
        for Line { row, .. } in self.lines.iter().filter(|line| Some(line.workers) == first) {
            line(&mut text, &format!("* `{}`, {}: {}", row.name, row.unit, row.counts));
        }
        text
    }

    fn table(&self, workers: usize, notes: &mut Notes, text: &mut String) {
        let names: Vec<&str> = self.peers.iter().map(|(name, _)| *name).collect();
        line(text, &format!("\n## {workers} {}\n", if workers == 1 { "worker" } else { "workers" }));
        line(text, &format!("| workload | unit | {} | ours / best |", names.join(" | ")));
        line(text, &format!("| --- | --- |{} --- |", " --- |".repeat(names.len())));
        for one in self.lines.iter().filter(|line| line.workers == workers) {
            let cells: Vec<String> = names.iter().map(|name| one.cell(name, notes)).collect();
            let ratio = one.ratio().map_or("-".to_owned(), |(ratio, peer)| format!("{ratio:.2} ({peer})"));
            line(text, &format!("| {} | {} | {} | {ratio} |", one.row.name, one.row.unit, cells.join(" | ")));
        }
    }
}

/// Numbered notes, each said once.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, note: String) -> usize {
        if let Some(n) = self.0.iter().position(|known| *known == note) {
            return n + 1;
        }
        self.0.push(note);
        self.0.len()
    }
}

/// With three digits that mean something, or all that stand before the point.
fn figure(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}")
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row {
        name: "ring",
        unit: "ns/hop",
        counts: "hops",
        notes: &[("may", "No bound."), ("threads", "Not run."), ("tokio", "No bound.")],
    };

    fn report() -> Report {
        let mut line = Line { row: &ROW, workers: 1, cells: BTreeMap::new() };
        let says = |figures: &[f64]| Ok(figures.iter().map(|&figure| ("ring".to_owned(), figure)).collect());
        line.add(GREENTHREAD, &says(&[30.0, 10.0]));
        line.add(GREENTHREAD, &says(&[20.0]));
        line.add("go", &says(&[50.0, 40.0]));
        line.add("tokio", &says(&[5.0]));
        line.add("tokio", &Err("status 101".to_owned()));
        line.add("may", &says(&[1000.0]));
        let peers = PEERS.iter().map(|peer| (peer.name, "1.0".to_owned())).collect();
        Report { facts: vec![("CPUs", "2".to_owned())], peers, lines: vec![line] }
    }

    #[test]
    fn the_median_of_an_even_sample_is_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 3.0, 2.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[7.0]), Spread { median: 7.0, min: 7.0, max: 7.0 });
    }

    #[test]
    fn tables_have_medians_spreads_ratios_and_notes() {
        let text = report().markdown();
        let row = "| ring | ns/hop | 20.0 (10.0..30.0) | 45.0 (40.0..50.0) | - [1] | 1000 (1000..1000) [2] | - [3] | 0.44 (go) |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("1. It failed: status 101.\n2. No bound.\n3. Not run.\n"), "{text}");
        assert!(text.contains("## 1 worker\n") && text.contains("* `ring`, ns/hop: hops\n"), "{text}");
    }

    #[test]
    fn json_has_every_sample() {
        let json = report().json();
        let line = &json["results"][0];
        assert_eq!(line["peers"][GREENTHREAD]["samples"], json!([30.0, 10.0, 20.0]));
        assert_eq!(line["peers"]["go"]["median"], json!(45.0));
        assert_eq!(line["peers"]["tokio"]["failed"], json!("status 101"));
        assert_eq!(line["against_best"]["peer"], json!("go"));
        assert_eq!((&line["workload"], &line["workers"]), (&json!("ring"), &json!(1)));
    }

    #[test]
    fn a_process_that_gives_another_figure_has_failed() {
        let mut line = Line { row: &ROW, workers: 1, cells: BTreeMap::new() };
        line.add("go", &Ok(vec![("rings".to_owned(), 1.0)]));
        assert!(line.failure("go").is_some() && line.spread("go").is_none());
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([4.083, 35.8, 225.84, 15530.2].map(figure), ["4.08", "35.8", "226", "15530"]);
    }
}
