//! The results as tables and as JSON.

use serde_json::{Map, Value, json};

use crate::chart::Chart;
use crate::line::Line;
use crate::peer::Missing;
use crate::results::Results;
use crate::summary::{SecondWorker, Summary};
use crate::text::{push, push_wrapped, ratio_text, workers_text};

const CELLS: &str = "A cell is the median of all repetitions in all rounds, with the minimum and the maximum in \
                     parentheses. Less is better. The last column is our median divided by that of the best peer. A \
                     cell with \"the floor\" belongs to a peer that does not do this kind of work at all, as its \
                     note says: it shows how much could be gained at most, and counts neither as the best peer nor in \
                     a mean.";
const MEANS: &str = "Each mean is the geometric mean of the peer's medians divided by ours: 2.00 if the peer takes \
                     twice as much. A row in which one of the two is zero is left out.";

/// Renders the results of a run.
#[derive(Debug)]
pub(crate) struct Report<'a>(pub(crate) &'a Results);

impl Report<'_> {
    fn summaries(&self) -> Vec<Summary<'_>> {
        let names = self.0.names();
        self.0.workers().into_iter().map(|workers| Summary::of(workers, &self.0.lines, &names)).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let text = |pairs: &[(&str, String)]| -> Map<String, Value> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        json!({
            "facts": text(&self.0.facts),
            "peers": text(&self.0.peers),
            "summary": self.summaries().iter().map(Summary::json).collect::<Vec<_>>(),
            "second_worker": SecondWorker::of(&self.0.lines).json(),
            "results": self.0.lines.iter().map(Line::json).collect::<Vec<_>>(),
        })
    }

    /// Returns the report, with links to the charts, which are in the same folder.
    pub(crate) fn markdown(&self, charts: &[Chart]) -> String {
        let mut text = String::from("# greenthread and its peers\n\n");
        for (name, value) in self.0.facts.iter().chain(&self.0.peers) {
            push_wrapped(&mut text, &format!("* {name}: {value}"), "  ");
        }
        push(&mut text, "");
        push_wrapped(&mut text, CELLS, "");
        push(&mut text, "\n## Summary\n");
        push_wrapped(&mut text, MEANS, "");
        for summary in self.summaries() {
            summary.markdown(&mut text);
        }
        SecondWorker::of(&self.0.lines).markdown(&mut text);
        let mut notes = Notes::default();
        for workers in self.0.workers() {
            self.table(workers, &mut notes, &mut text);
            for chart in charts.iter().filter(|chart| chart.workers == workers) {
                let (title, file) = (chart.title(), chart.file());
                push(&mut text, &format!("\n![{title}]({file})"));
            }
        }
        if !notes.0.is_empty() {
            push(&mut text, "\n## Notes\n");
            for (n, note) in notes.0.iter().enumerate() {
                push_wrapped(&mut text, &format!("{}. {note}", n + 1), "   ");
            }
        }
        push(&mut text, "\n## What a figure counts\n");
        // Each number of workers has the same rows.
        let first = self.0.workers().first().copied();
        for Line { row, .. } in self.0.lines.iter().filter(|line| Some(line.workers) == first) {
            push_wrapped(&mut text, &format!("* `{}`, {}: {}", row.name, row.unit, row.counts), "  ");
        }
        text
    }

    fn table(&self, workers: usize, notes: &mut Notes, text: &mut String) {
        let names = self.0.names();
        push(text, &format!("\n## {}\n", workers_text(workers)));
        push(text, &format!("| workload | unit | {} | ours / best |", names.join(" | ")));
        push(text, &format!("| --- | --- |{} --- |", " --- |".repeat(names.len())));
        for one in self.0.lines.iter().filter(|line| line.workers == workers) {
            let cells: Vec<String> = names.iter().map(|name| notes.cell(one, name)).collect();
            let ratio = one.ratio().map_or("-".to_owned(), |(ratio, peer)| format!("{} ({peer})", ratio_text(ratio)));
            push(text, &format!("| {} | {} | {} | {ratio} |", one.row.name, one.row.unit, cells.join(" | ")));
        }
    }
}

/// Numbered notes, without repetitions.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    fn cell(&mut self, line: &Line, peer: &str) -> String {
        let mut cell = line.spread(peer).map_or("-".to_owned(), |spread| spread.to_string());
        if line.row.is_floor(peer) && line.spread(peer).is_some() {
            cell.push_str(", the floor");
        }
        let missing = line.missing(peer).map(Missing::to_string);
        for note in missing.into_iter().chain(line.row.note(peer).map(str::to_owned)) {
            cell.push_str(&format!(" [{}]", self.number(note)));
        }
        cell
    }

    fn number(&mut self, note: String) -> usize {
        if let Some(n) = self.0.iter().position(|known| *known == note) {
            return n + 1;
        }
        self.0.push(note);
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::tests::line;
    use crate::peer::{GREENTHREAD, PEERS};
    use crate::table::Row;

    const ROW: Row = Row {
        name: "ring",
        unit: "ns/hop",
        counts: "hops",
        notes: &[("may", "No bound."), ("threads", "A loop."), ("tokio", "No bound.")],
        floors: &["threads"],
        ..Row::PLAIN
    };

    fn results() -> Results {
        let mut line = line(&ROW, 1, &[("may", 1000.0), ("threads", 1.0)]);
        let says = |figures: &[f64]| Ok(figures.iter().map(|&figure| ("ring".to_owned(), figure)).collect());
        line.add(GREENTHREAD, &says(&[30.0, 10.0]));
        line.add(GREENTHREAD, &says(&[20.0]));
        line.add("go", &says(&[50.0, 40.0]));
        line.add("tokio", &says(&[5.0]));
        line.add("tokio", &Err(Missing::Failed("status 101".to_owned())));
        let peers = PEERS.iter().map(|peer| (peer.name, "1.0".to_owned())).collect();
        Results { facts: vec![("CPUs", "2".to_owned())], peers, lines: vec![line] }
    }

    #[test]
    fn tables_have_medians_spreads_ratios_and_notes() {
        let results = results();
        let text = Report(&results).markdown(&Chart::all(&results));
        for cell in [
            "| ring | ns/hop | 20.0 (10.0..30.0) |",
            "| 45.0 (40.0..50.0) |",
            "| - [1] [2] |",
            "| 1000 (1000..1000) [2] |",
            "| 1.00 (1.00..1.00), the floor [3] | 0.44 (go) |\n",
        ] {
            assert!(text.contains(cell), "{cell}\n{text}");
        }
        assert!(text.contains("1. Failed: status 101.\n2. No bound.\n3. A loop.\n"), "{text}");
        assert!(text.contains("\n### 1 worker\n") && text.contains("\n## 1 worker\n"), "{text}");
        assert!(text.contains("* `ring`, ns/hop: hops\n"), "{text}");
    }

    #[test]
    fn json_has_every_sample_and_the_summary() {
        let json = Report(&results()).json();
        let line = &json["results"][0];
        assert_eq!(line["peers"][GREENTHREAD]["samples"], json!([30.0, 10.0, 20.0]));
        assert_eq!(line["peers"]["go"]["median"], json!(45.0));
        assert_eq!(line["peers"]["tokio"]["failed"], json!("status 101"));
        assert_eq!((&line["against_best"]["peer"], &line["floor"]), (&json!("go"), &json!(["threads"])));
        assert_eq!((&line["workload"], &line["workers"]), (&json!("ring"), &json!(1)));
        assert_eq!(json["summary"][0]["best"]["times"], json!(2.25));
        assert_eq!(json["summary"][0]["against"]["go"]["rows"], json!(1));
        assert_eq!(json["second_worker"]["rows"], json!([]));
    }
}
