//! The workloads: what a figure counts, and where a peer's differs in meaning.

mod channels;
mod fairness;
mod http;
mod memory;
mod network;
mod notes;
mod spawn;
mod sync;
mod time;

/// A line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    /// A peer prints its figures under this name. Up to a dot it is the workload's, so that one workload may have
    /// several figures.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) counts: &'static str,
    /// By peer: what is different there, or why nothing is there.
    pub(crate) notes: &'static [(&'static str, &'static str)],
    /// Whether the work is made to be shared by several workers. If not, a second worker can only be in the way, and the
    /// report says how much it is. Goroutines that contend for one lock share nothing.
    pub(crate) parallel: bool,
    /// Peers that do not do this kind of work at all, as a note says. Their figures are a floor: they are shown, but
    /// never the best peer's.
    pub(crate) beyond: &'static [&'static str],
}

impl Row {
    /// What most rows have in common.
    pub(crate) const PLAIN: Row = Row { name: "", unit: "", counts: "", notes: &[], parallel: false, beyond: &[] };

    pub(crate) fn workload(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(workload, _)| workload)
    }

    /// Whether a peer's figure is a floor, and not a rival's.
    pub(crate) fn is_floor(&self, peer: &str) -> bool {
        self.beyond.contains(&peer)
    }

    pub(crate) fn note(&self, peer: &str) -> Option<&'static str> {
        self.notes.iter().find(|&&(of, _)| of == peer).map(|&(_, note)| note)
    }
}

/// Rows that belong together, and the name of their chart.
pub(crate) const SUBJECTS: &[(&str, &[Row])] = &[
    ("spawn", spawn::ROWS),
    ("channels", channels::ROWS),
    ("sync", sync::ROWS),
    ("time", time::ROWS),
    ("memory", memory::ROWS),
    ("network", network::ROWS),
    ("http", http::ROWS),
    ("fairness", fairness::ROWS),
];

/// All rows, in the order of the report.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    SUBJECTS.iter().flat_map(|(_, rows)| *rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer;

    #[test]
    fn names_are_different_and_notes_are_about_peers() {
        for (n, row) in rows().enumerate() {
            assert!(rows().take(n).all(|other| other.name != row.name), "{} stands there twice", row.name);
            for (of, _) in row.notes {
                assert!(peer::PEERS.iter().any(|peer| peer.name == *of), "{}: who is {of}?", row.name);
            }
            for floor in row.beyond {
                assert!(row.note(floor).is_some() && *floor != peer::GREENTHREAD, "{}: why {floor}?", row.name);
            }
        }
    }

    #[test]
    fn a_row_may_be_one_of_a_workloads_figures() {
        let row = |name| Row { name, unit: "us", notes: &[("go", "late")], ..Row::PLAIN };
        assert_eq!(row("sleep.p99").workload(), "sleep");
        assert_eq!(row("sleep").workload(), "sleep");
        assert_eq!((row("sleep").note("go"), row("sleep").note("may")), (Some("late"), None));
    }
}
