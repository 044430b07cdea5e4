//! What all rows together say: against the best rival, against each rival, and about a second
//! worker.

use serde_json::{Value, json};

use crate::line::{Line, times};
use crate::peer::GREENTHREAD;
use crate::text::{figure, push, push_wrapped, ratio_text, workers_text};

/// The bound for ours divided by the best rival's: a row above it is lost.
///
/// A row up to it counts as equal, because of the noise of a measurement.
const NOISE: f64 = 1.05;
/// The most that a second worker may cost in work that cannot be shared.
const SECOND_WORKER_BOUND: f64 = 1.25;

/// All rows with one number of workers.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    workers: usize,
    /// Rows that ours and a rival have, with the ratio of the two and the best rival's name; the
    /// worst first.
    compared: Vec<(&'a Line, f64, &'static str)>,
    /// The best rival's figure divided by ours.
    best: Mean,
    /// The same for each single rival.
    against: Vec<(&'static str, Mean)>,
    /// Rows that a rival has and ours lacks.
    missing: Vec<&'static str>,
}

/// A geometric mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mean {
    /// `None` if there are no ratios.
    times: Option<f64>,
    /// The number of ratios.
    rows: usize,
    /// The number of ratios that were left out, because one of the two figures is zero.
    zeros: usize,
}

impl Mean {
    fn of(ratios: impl Iterator<Item = f64>) -> Self {
        let (mut sum, mut rows, mut zeros) = (0.0, 0, 0);
        for ratio in ratios {
            if ratio.is_finite() && ratio > 0.0 {
                sum += ratio.ln();
                rows += 1;
            } else {
                zeros += 1;
            }
        }
        Self { times: (rows > 0).then(|| (sum / rows as f64).exp()), rows, zeros }
    }

    fn json(self) -> Value {
        json!({ "times": self.times, "rows": self.rows, "left_out": self.zeros })
    }

    fn table_row(self, name: &str) -> String {
        let times = self.times.map_or("-".to_owned(), ratio_text);
        format!("| {name} | {times} | {} | {} |", self.rows, self.zeros)
    }
}

impl<'a> Summary<'a> {
    pub(crate) fn of(workers: usize, all: &'a [Line], peers: &[&'static str]) -> Self {
        let lines: Vec<&Line> = all.iter().filter(|line| line.workers == workers).collect();
        let against = |rival: &dyn Fn(&Line) -> Option<f64>| {
            Mean::of(lines.iter().filter_map(|line| Some(times(rival(line)?, line.median(GREENTHREAD)?))))
        };
        let mut compared: Vec<_> = lines
            .iter()
            .filter_map(|&line| {
                let (ratio, peer) = line.ratio()?;
                Some((line, ratio, peer))
            })
            .collect();
        compared.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
        let without_ours = lines.iter().filter(|line| line.median(GREENTHREAD).is_none() && line.best().is_some());
        Self {
            workers,
            compared,
            best: against(&|line| Some(line.best()?.0)),
            against: peers
                .iter()
                .filter(|&&peer| peer != GREENTHREAD)
                .map(|&peer| (peer, against(&|line| line.rival(peer))))
                .collect(),
            missing: without_ours.map(|line| line.row.name).collect(),
        }
    }

    fn within(&self, bound: f64) -> usize {
        self.compared.iter().filter(|(_, ratio, _)| *ratio <= bound).count()
    }

    fn lost(&self) -> impl Iterator<Item = &(&'a Line, f64, &'static str)> {
        self.compared.iter().filter(|(_, ratio, _)| *ratio > NOISE)
    }

    pub(crate) fn markdown(&self, text: &mut String) {
        push(text, &format!("\n### {}\n", workers_text(self.workers)));
        let (better, near) = (self.within(1.0), self.within(NOISE));
        let counts = format!(
            "Of {} rows with a comparison, ours is at least as good as the best peer in {better}, and within 5 % of it \
             in {near}.",
            self.compared.len(),
        );
        push_wrapped(text, &counts, "");
        push(text, "\n| peer | times ours | rows | left out |\n| --- | --- | --- | --- |");
        push(text, &self.best.table_row("the best of each row"));
        for (peer, mean) in &self.against {
            push(text, &mean.table_row(peer));
        }
        if self.lost().next().is_some() {
            push(text, "\nLost by more than 5 %, the worst first, as ours / best:\n");
        }
        for (line, ratio, peer) in self.lost() {
            push(text, &format!("* `{}`: {} ({peer})", line.row.name, ratio_text(*ratio)));
        }
        if !self.missing.is_empty() {
            push(text, "");
            push_wrapped(text, &format!("Rows without a figure of ours: `{}`.", self.missing.join("`, `")), "");
        }
    }

    pub(crate) fn json(&self) -> Value {
        let against: serde_json::Map<_, _> =
            self.against.iter().map(|(peer, mean)| ((*peer).to_owned(), mean.json())).collect();
        let lost =
            self.lost().map(|(line, ratio, peer)| json!({ "workload": line.row.name, "ratio": ratio, "peer": peer }));
        json!({
            "workers": self.workers,
            "compared": self.compared.len(),
            "at_least_as_good": self.within(1.0),
            "within_5_percent": self.within(NOISE),
            "best": self.best.json(),
            "against": against,
            "lost": lost.collect::<Vec<_>>(),
            "missing": self.missing,
        })
    }
}

/// The cost of a second worker in work that cannot be shared.
#[derive(Debug)]
pub(crate) struct SecondWorker<'a> {
    /// A row with its figures for one worker and for two, and the ratio of the second to the first;
    /// the worst first.
    rows: Vec<(&'a Line, f64, f64, f64)>,
}

impl<'a> SecondWorker<'a> {
    pub(crate) fn of(lines: &'a [Line]) -> Self {
        let serial = |workers| lines.iter().filter(move |line| line.workers == workers && !line.row.parallel);
        let mut rows: Vec<_> = serial(1)
            .filter_map(|line| {
                let one = line.median(GREENTHREAD)?;
                let two = serial(2).find(|other| other.row.name == line.row.name)?.median(GREENTHREAD)?;
                Some((line, one, two, times(two, one)))
            })
            .collect();
        rows.sort_by(|(.., a), (.., b)| b.total_cmp(a));
        Self { rows }
    }

    fn above(&self) -> usize {
        self.rows.iter().filter(|(.., ratio)| *ratio > SECOND_WORKER_BOUND).count()
    }

    /// Appends the section, or nothing unless both numbers of workers were measured.
    pub(crate) fn markdown(&self, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        push(text, "\n## One worker and two\n");
        push_wrapped(
            text,
            &format!(
                "Our figures in the rows whose work cannot be shared: a second worker should cost them a quarter at \
                 most. {} of {} rows are above {SECOND_WORKER_BOUND}.",
                self.above(),
                self.rows.len()
            ),
            "",
        );
        push(text, "\n| workload | unit | 1 worker | 2 workers | 2 / 1 |\n| --- | --- | --- | --- | --- |");
        for (line, one, two, ratio) in &self.rows {
            let (one, two) = (figure(*one), figure(*two));
            push(text, &format!("| {} | {} | {one} | {two} | {} |", line.row.name, line.row.unit, ratio_text(*ratio)));
        }
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(
            |(line, one, two, ratio)| json!({ "workload": line.row.name, "one": one, "two": two, "ratio": ratio }),
        );
        json!({ "bound": SECOND_WORKER_BOUND, "above": self.above(), "rows": rows.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::tests::line;
    use crate::table::Row;

    const RING: Row = Row { name: "ring", unit: "ns", ..Row::PLAIN };
    const LOCK: Row = Row { name: "lock", unit: "ns", ..Row::PLAIN };
    const TREE: Row = Row { name: "tree", unit: "ms", parallel: true, ..Row::PLAIN };
    const ECHO: Row = Row { name: "echo", unit: "us", floors: &["threads"], ..Row::PLAIN };
    const PEERS: [&str; 4] = [GREENTHREAD, "go", "tokio", "threads"];

    fn close(mean: Mean, times: f64, rows: usize, zeros: usize) -> bool {
        mean.times.is_some_and(|mean| (mean - times).abs() < 1e-9) && (mean.rows, mean.zeros) == (rows, zeros)
    }

    fn lines() -> Vec<Line> {
        vec![
            line(&RING, 1, &[(GREENTHREAD, 1.0), ("go", 8.0), ("tokio", 4.0)]),
            line(&LOCK, 1, &[(GREENTHREAD, 4.0), ("go", 2.0)]),
            line(&TREE, 1, &[(GREENTHREAD, 1.03), ("tokio", 1.0)]),
            line(&ECHO, 1, &[(GREENTHREAD, 3.0), ("threads", 1.0)]),
            line(&RING, 2, &[(GREENTHREAD, 1.25)]),
            line(&LOCK, 2, &[(GREENTHREAD, 6.0)]),
            line(&TREE, 2, &[(GREENTHREAD, 9.0)]),
        ]
    }

    #[test]
    fn means_are_geometric_and_without_zeros() {
        assert!(close(Mean::of([2.0, 8.0].into_iter()), 4.0, 2, 0));
        assert!(close(Mean::of([2.0, 0.0, 8.0, f64::INFINITY].into_iter()), 4.0, 2, 2));
        assert_eq!(Mean::of([0.0].into_iter()), Mean { times: None, rows: 0, zeros: 1 });
    }

    #[test]
    fn rows_are_counted_as_better_equal_and_lost() {
        let lines = lines();
        let summary = Summary::of(1, &lines, &PEERS);
        assert_eq!((summary.compared.len(), summary.within(1.0), summary.within(NOISE)), (3, 1, 2));
        let lost: Vec<_> = summary.lost().map(|&(line, ratio, peer)| (line.row.name, ratio, peer)).collect();
        assert_eq!(lost, [("lock", 2.0, "go")]);
        assert!(close(summary.best, (4.0 * 0.5 / 1.03_f64).cbrt(), 3, 0));
        let against: Vec<&str> = summary.against.iter().map(|(peer, _)| *peer).collect();
        assert_eq!(against, ["go", "tokio", "threads"]);
        assert!(close(summary.against[0].1, 2.0, 2, 0) && close(summary.against[1].1, (4.0_f64 / 1.03).sqrt(), 2, 0));
        assert_eq!(summary.against[2].1.times, None, "a floor is no rival");
    }

    #[test]
    fn zeros_and_failures_of_ours_are_reported() {
        let zero = |ours, go| line(&RING, 1, &[(GREENTHREAD, ours), ("go", go)]);
        let lines = [zero(0.0, 0.0), zero(1.0, 0.0), zero(0.0, 1.0), line(&LOCK, 1, &[("go", 1.0)])];
        let summary = Summary::of(1, &lines, &PEERS);
        assert!(close(summary.best, 1.0, 1, 2));
        let mut text = String::new();
        summary.markdown(&mut text);
        assert!(
            text.contains("Of 3 rows with a comparison, ours is at least as good as the best peer in 2,"),
            "{text}"
        );
        assert!(text.contains("| the best of each row | 1.00 | 1 | 2 |\n"), "{text}");
        assert!(text.contains("* `ring`: ∞ (go)\n\nRows without a figure of ours: `lock`.\n"), "{text}");
        assert_eq!(summary.json()["lost"][0]["ratio"], Value::Null);
    }

    #[test]
    fn a_second_worker_is_judged_by_work_that_it_cannot_share() {
        let lines = lines();
        let second = SecondWorker::of(&lines);
        let rows: Vec<_> =
            second.rows.iter().map(|&(line, one, two, ratio)| (line.row.name, one, two, ratio)).collect();
        assert_eq!(rows, [("lock", 4.0, 6.0, 1.5), ("ring", 1.0, 1.25, 1.25)]);
        let mut text = String::new();
        second.markdown(&mut text);
        assert!(
            text.contains("1 of 2 rows are above 1.25.") && text.contains("| lock | ns | 4.00 | 6.00 | 1.50 |"),
            "{text}"
        );
        assert_eq!(second.json()["above"], json!(1));
    }

    #[test]
    fn a_second_worker_is_left_out_if_only_one_was_measured() {
        let mut text = String::new();
        SecondWorker::of(&lines()[..4]).markdown(&mut text);
        assert_eq!(text, "");
    }
}
