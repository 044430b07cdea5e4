//! The command line.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::str::FromStr;

use lexopt::{Arg, Parser, ValueExt};

use crate::peer::{PEERS, Peer};
use crate::table::{Row, rows};

const HELP: &str = "\
peers: compares greenthread with Go, tokio, may, go-lib, and OS threads with crossbeam-channel and
parking_lot, by running the same work in each

cargo run --release -p greenthread-benches --bin peers -- [OPTIONS] [FILTER...]

Builds the peers and runs the workloads whose names contain one of the filters, or all workloads. The
peers take turns, with a new process each time. The report goes to stdout, and as Markdown and JSON
with charts into a directory; progress goes to stderr. Files are written only after everything is
measured, so Ctrl-C keeps the old ones. Use an otherwise idle machine.

Options:
  --rounds N        turns of each peer for each workload [3]
  --workers N,...   numbers of workers: GOMAXPROCS, or the CPUs that threads may use [1,2]
  --only PEER,...   run only these peers
  --out DIR         directory of peers.md, peers.json and the charts (SVG) [benches/results]
  --scale X         multiply the number of operations, for a quick try or a slow machine [1]
  -h, --help        print this help

Go is the `go` on PATH, or the one that the environment variable GO names. Without it, its column
stays empty. The HTTP servers are loaded by the `wrk` on PATH. Without it, their rows stay empty.

The exit status is 0 if every peer that could be built did what was asked, and 1 if one failed or could
not be built. A missing Go is not a failure.

Peers:";

/// The parsed command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) rounds: usize,
    pub(crate) workers: Vec<usize>,
    pub(crate) only: Vec<String>,
    pub(crate) out: PathBuf,
    pub(crate) scale: f64,
    filters: Vec<String>,
}

impl Args {
    /// Reads the command line.
    ///
    /// Ends the program if it asks for help or is invalid.
    pub(crate) fn from_env() -> Self {
        match Self::parse(Parser::from_env()) {
            Ok(Some(args)) => args,
            Ok(None) => {
                print!("{HELP}");
                PEERS.iter().for_each(|peer| print!(" {}", peer.name));
                println!("\n\nWorkloads:");
                rows().for_each(|row| println!("  {:<20} {}", row.name, row.counts));
                exit(0);
            }
            Err(error) => {
                eprintln!("{error}; try --help");
                exit(2);
            }
        }
    }

    /// Parses the command line.
    ///
    /// Returns `None` if it asks for help.
    fn parse(mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let mut args = Self { rounds: 3, workers: vec![1, 2], only: Vec::new(), out, scale: 1.0, filters: Vec::new() };
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Long("rounds") => args.rounds = parser.value()?.parse()?,
                Arg::Long("workers") => args.workers = list(&parser.value()?.string()?)?,
                Arg::Long("only") => args.only = list(&parser.value()?.string()?)?,
                Arg::Long("out") => args.out = parser.value()?.into(),
                Arg::Long("scale") => args.scale = parser.value()?.parse()?,
                Arg::Value(filter) => args.filters.push(filter.string()?),
                other => return Err(other.unexpected()),
            }
        }
        args.workers.sort_unstable();
        args.workers.dedup();
        args.check()?;
        Ok(Some(args))
    }

    fn check(&self) -> Result<(), lexopt::Error> {
        if self.rounds == 0 || self.workers.contains(&0) {
            return Err("--rounds and --workers take positive numbers".into());
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err("--scale takes a positive number".into());
        }
        if let Some(name) = self.only.iter().find(|name| PEERS.iter().all(|peer| peer.name != **name)) {
            return Err(format!("unknown peer '{name}'").into());
        }
        if let Some(filter) = self.filters.iter().find(|filter| rows().all(|row| !row.name.contains(*filter))) {
            return Err(format!("no workload's name contains '{filter}'").into());
        }
        Ok(())
    }

    pub(crate) fn wants(&self, row: &Row) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| row.name.contains(filter))
    }

    pub(crate) fn includes(&self, peer: &Peer) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == peer.name)
    }
}

fn list<T: FromStr<Err: Display>>(text: &str) -> Result<Vec<T>, lexopt::Error> {
    text.split(',').map(|one| one.parse().map_err(|error| format!("'{text}': {error}").into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Args>, lexopt::Error> {
        Args::parse(Parser::from_args(args))
    }

    #[test]
    fn options_and_filters_are_read() {
        let args = parse(&["ring", "--workers", "4,1,4", "--only=go,may", "select2"]).expect("good").expect("no help");
        let rows: Vec<&str> = rows().filter(|row| args.wants(row)).map(|row| row.name).collect();
        assert_eq!(rows, ["select2_buf128", "select2_unbuf", "ring"]);
        let peers: Vec<&str> = PEERS.iter().filter(|peer| args.includes(peer)).map(|peer| peer.name).collect();
        assert_eq!(peers, ["go", "may"]);
        assert_eq!((args.workers, args.rounds), (vec![1, 4], 3));
    }

    #[test]
    fn invalid_arguments_are_refused() {
        for args in [
            &["--workers", "0"][..],
            &["--workers", "one"],
            &["--rounds=0"],
            &["--scale", "nan"],
            &["--only", "rust"],
            &["no_such_workload"],
            &["--color"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
        assert!(parse(&["--help"]).expect("good").is_none());
    }
}
