//! Runs the same work in greenthread and in its peers, and compares the results.
//!
//! The peers' programs are in `benches/peers`, whose README describes the protocol between them and
//! this program; `table` lists the workloads. For each workload, the peers and the numbers of
//! workers take turns, with a new process each time. So everything that a machine does slowly, over
//! minutes, affects all of them, and the luck of a process (where its memory lies, where its
//! threads start) shows in the spread. A process runs its workload once untimed before it measures.
//!
//! Not checked: that nothing else runs on the machine. The report contains the load at the start.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

mod args;
mod chart;
mod child;
mod http;
mod line;
mod peer;
mod progress;
mod report;
mod results;
mod summary;
mod table;
mod text;

use args::Args;
use chart::Chart;
use http::Plaintext;
use line::Line;
use peer::{Built, Missing, PEERS};
use peer_harness::{GAVE_UP, echo};
use progress::Progress;
use report::Report;
use results::Results;
use table::{Row, rows};
use text::workers_text;

/// A process that runs longer has hung: the slowest take half a minute.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// A peer whose program has been built.
#[derive(Debug)]
struct Runner {
    name: &'static str,
    built: Built,
    /// Its HTTP server, if it has one and an HTTP workload is requested.
    server: Option<Result<Plaintext, Missing>>,
}

impl Runner {
    fn has(&self, workload: &str) -> bool {
        match http::depth(workload) {
            Some(_) => self.server.is_some(),
            None => self.built.workloads.iter().any(|name| name == workload),
        }
    }
}

fn main() -> ExitCode {
    // This program is the client of all servers, so that all peers have the same one.
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == echo::CLIENT) {
        peer_harness::play_client(&words.iter().map(String::as_str).collect::<Vec<_>>());
        return ExitCode::SUCCESS;
    }
    let args = Args::from_env();
    match compare(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", args.out.display());
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints the report, and writes the files.
///
/// Returns `true` if nothing has failed.
fn compare(args: &Args) -> io::Result<bool> {
    child::kill_children_on_signal().expect("signal handlers can be installed");
    // An unusable folder is reported now, not after the minutes that the measurements take.
    fs::create_dir_all(&args.out)?;
    let mut all_ok = true;
    let (runners, peers) = build(args, &mut all_ok);
    let facts = facts(args);
    let lines = measure(args, &runners, &mut all_ok);
    let results = Results { facts, peers, lines };
    let charts = Chart::all(&results);
    let report = Report(&results);
    let markdown = report.markdown(&charts);
    print!("{markdown}");
    let mut files =
        vec![("peers.md".to_owned(), markdown), ("peers.json".to_owned(), format!("{:#}\n", report.json()))];
    files.extend(charts.into_iter().map(|chart| (chart.file(), chart.svg)));
    for (name, text) in files {
        let path = args.out.join(name);
        fs::write(&path, text)?;
        eprintln!("written: {}", path.display());
    }
    Ok(all_ok)
}

fn build(args: &Args, all_ok: &mut bool) -> (Vec<Runner>, Vec<(&'static str, String)>) {
    let mut runners = Vec::new();
    let mut states = Vec::new();
    for peer in PEERS.iter().filter(|peer| args.includes(peer)) {
        eprintln!("building {}", peer.name);
        let state = match peer.build() {
            Ok(built) => {
                let unknown = built.workloads.iter().filter(|name| rows().all(|row| row.workload() != **name));
                unknown.for_each(|name| eprintln!("{}: workload {name} is not in the table", peer.name));
                let state = built.version.clone();
                let http = rows().any(|row| args.wants(row) && http::depth(row.workload()).is_some());
                let server = if http { Plaintext::build(peer.name) } else { None };
                runners.push(Runner { name: peer.name, built, server });
                state
            }
            Err(Missing::Unavailable(why)) => format!("left out: {why}"),
            Err(Missing::Failed(why)) => {
                *all_ok = false;
                format!("could not be built: {why}")
            }
        };
        eprintln!("{}: {state}", peer.name);
        states.push((peer.name, state));
    }
    (runners, states)
}

/// Returns the facts that a reader needs to judge the figures.
fn facts(args: &Args) -> Vec<(&'static str, String)> {
    let output_of = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::null());
        child::output(&mut command, RUN_LIMIT).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    vec![
        ("date", output_of("date", &["-u", "+%F"])),
        ("commit", output_of("git", &["describe", "--always", "--dirty"])),
        ("CPUs", format!("{cpus}, {}", model.map_or("of unknown model", |(_, model)| model))),
        ("load at the start", load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()),
        ("system", output_of("uname", &["-sr"])),
        ("compiler", output_of("rustc", &["--version"])),
        ("rounds", format!("{}, with a process for each peer; number of operations times {}", args.rounds, args.scale)),
    ]
}

fn measure(args: &Args, runners: &[Runner], all_ok: &mut bool) -> Vec<Line> {
    let wanted: Vec<&'static Row> = rows().filter(|row| args.wants(row)).collect();
    // The rows of one workload are adjacent, and one process gives the figures of all of them.
    let workloads: Vec<&[&'static Row]> = wanted.chunk_by(|a, b| a.workload() == b.workload()).collect();
    let turns = workloads.iter().map(|rows| runners.iter().filter(|runner| runner.has(rows[0].workload())).count());
    let processes = turns.sum::<usize>() * args.rounds * args.workers.len();
    let mut progress = Progress::new(workloads.len(), processes);
    let mut lines = Vec::new();
    for rows in workloads {
        progress.begin();
        eprintln!("{progress} {}", rows[0].workload());
        lines.extend(take_turns(args, rows, runners, &mut progress));
    }
    let failed = |line: &Line, runner: &Runner| matches!(line.missing(runner.name), Some(Missing::Failed(_)));
    *all_ok &= !lines.iter().any(|line| runners.iter().any(|runner| failed(line, runner)));
    lines
}

/// Runs one workload in all peers that have it, in turn.
///
/// A round contains all numbers of workers, since they are compared.
fn take_turns(args: &Args, rows: &[&'static Row], runners: &[Runner], progress: &mut Progress) -> Vec<Line> {
    let workload = rows[0].workload();
    let line = |workers, row| Line { row, workers, cells: BTreeMap::new() };
    let mut lines: Vec<Vec<Line>> =
        args.workers.iter().map(|&workers| rows.iter().map(|row| line(workers, row)).collect()).collect();
    for round in 1..=args.rounds {
        for (&workers, lines) in args.workers.iter().zip(&mut lines) {
            for runner in runners.iter().filter(|runner| runner.has(workload)) {
                // A peer that has failed once is not tried again.
                if lines.iter().all(|line| line.missing(runner.name).is_none()) {
                    let outcome = run(runner, workload, workers, args.scale);
                    lines.iter_mut().for_each(|line| line.add(runner.name, &outcome));
                    print_outcome(round, runner.name, lines);
                }
                progress.ended();
            }
        }
    }
    lines.into_iter().flatten().collect()
}

fn print_outcome(round: usize, peer: &str, lines: &[Line]) {
    for line in lines {
        let outcome = match line.spread(peer) {
            Some(spread) => format!("{spread} {}", line.row.unit),
            None => line.missing(peer).map(Missing::to_string).unwrap_or_default(),
        };
        eprintln!("    round {round}, {}: {peer:<12} {} {outcome}", workers_text(line.workers), line.row.name);
    }
}

/// Runs one turn and returns its figures, or the reason why there are none.
fn run(runner: &Runner, workload: &str, workers: usize, scale: f64) -> Result<Vec<(String, f64)>, Missing> {
    if let (Some(depth), Some(server)) = (http::depth(workload), &runner.server) {
        return server.as_ref().map_err(Missing::clone)?.turn(workload, depth, workers, scale);
    }
    let mut command = Command::new(&runner.built.program);
    command.args([workload, &workers.to_string(), &scale.to_string()]);
    if let Ok(this) = env::current_exe() {
        command.env(echo::CLIENT_PROGRAM, this);
    }
    let text = child::output(&mut command, RUN_LIMIT)?;
    if let Some(why) = text.lines().find_map(|line| line.strip_prefix(GAVE_UP)) {
        return Err(Missing::Unavailable(why.to_owned()));
    }
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok().filter(|value: &f64| value.is_finite())?))
    };
    text.lines()
        .map(|line| figure(line).ok_or_else(|| Missing::Failed(format!("unexpected line of output {line:?}"))))
        .collect()
}
