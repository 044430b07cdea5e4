//! The workloads: what a figure counts, and where a peer's figure has another meaning.

mod channels;
mod fairness;
mod http;
mod memory;
mod network;
mod notes;
mod spawn;
mod sync;
mod time;

/// A row of the report.
#[derive(Debug)]
pub(crate) struct Row {
    /// A peer prints its figures under this name.
    ///
    /// The part before the dot is the workload's name, so that one workload can have several
    /// figures.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) counts: &'static str,
    /// By peer: what is different there, or why there is no figure.
    pub(crate) notes: &'static [(&'static str, &'static str)],
    /// Several workers are meant to share the work.
    ///
    /// Otherwise, a second worker can only be in the way, and the report says how much it costs.
    /// Goroutines that contend for one lock share nothing.
    pub(crate) parallel: bool,
    /// Peers that do not do this kind of work at all, as a note says.
    ///
    /// Their figures are a floor: they are shown, but never count as the best peer's.
    pub(crate) floors: &'static [&'static str],
}

impl Row {
    /// The fields that most rows have in common.
    pub(crate) const PLAIN: Row = Row { name: "", unit: "", counts: "", notes: &[], parallel: false, floors: &[] };

    pub(crate) fn workload(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(workload, _)| workload)
    }

    /// Returns `true` if a peer's figure is a floor, not a rival's.
    pub(crate) fn is_floor(&self, peer: &str) -> bool {
        self.floors.contains(&peer)
    }

    pub(crate) fn note(&self, peer: &str) -> Option<&'static str> {
        self.notes.iter().find(|&&(of, _)| of == peer).map(|&(_, note)| note)
    }
}

/// Rows that belong together, with the name of their chart.
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

/// Returns all rows, in the order of the report.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    SUBJECTS.iter().flat_map(|(_, rows)| *rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer;

    #[test]
    fn names_are_unique_and_notes_name_peers() {
        for (n, row) in rows().enumerate() {
            assert!(rows().take(n).all(|other| other.name != row.name), "{} is listed twice", row.name);
            for (of, _) in row.notes {
                assert!(peer::PEERS.iter().any(|peer| peer.name == *of), "{}: unknown peer {of} in a note", row.name);
            }
            for floor in row.floors {
                assert!(
                    row.note(floor).is_some() && *floor != peer::GREENTHREAD,
                    "{}: the floor {floor} needs a note",
                    row.name
                );
            }
        }
    }

    #[test]
    fn the_workload_is_the_part_before_the_dot() {
        let row = |name| Row { name, unit: "us", notes: &[("go", "late")], ..Row::PLAIN };
        assert_eq!(row("sleep.p99").workload(), "sleep");
        assert_eq!(row("sleep").workload(), "sleep");
        assert_eq!((row("sleep").note("go"), row("sleep").note("may")), (Some("late"), None));
    }
}
