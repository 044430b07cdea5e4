//! The workloads: what a figure counts, and where a peer's differs in meaning.

mod channels;
mod network;
mod notes;
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
}

impl Row {
    pub(crate) fn workload(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(workload, _)| workload)
    }

    pub(crate) fn note(&self, peer: &str) -> Option<&'static str> {
        self.notes.iter().find(|&&(of, _)| of == peer).map(|&(_, note)| note)
    }
}

/// All rows, in the order of the report.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [channels::ROWS, sync::ROWS, time::ROWS, network::ROWS].into_iter().flatten()
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
        }
    }

    #[test]
    fn a_row_may_be_one_of_a_workloads_figures() {
        let row = |name| Row { name, unit: "us", counts: "", notes: &[("go", "late")] };
        assert_eq!(row("sleep.p99").workload(), "sleep");
        assert_eq!(row("sleep").workload(), "sleep");
        assert_eq!((row("sleep").note("go"), row("sleep").note("may")), (Some("late"), None));
    }
}
