//! One command that runs the same work in greenthread and in its peers, and compares.
//!
//! The peers' programs stand in `benches/peers`, whose README describes the protocol between them and this one; what
//! the workloads are stands in `table`. For each workload the peers and numbers of workers take turns, a process
//! each time: what a machine does slowly over minutes then happens to all of them, and what a process is lucky or unlucky
//! with (where its memory lies, where its threads start) shows in the spread. A process runs its workload once
//! untimed before it measures.
//!
//! Not checked: that nothing else runs on the machine. The load at the start is in the report.

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

/// A peer whose program is there.
#[derive(Debug)]
struct Runner {
    name: &'static str,
    built: Built,
    /// Its HTTP server, if it has one and somebody asks for it.
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
    // This program is the client of all servers, so that none of the peers has another one.
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

/// Measures, prints and writes. Says whether all went well.
fn compare(args: &Args) -> io::Result<bool> {
    child::end_with_us().expect("signals can be caught");
    // Before the minutes that the rest takes.
    fs::create_dir_all(&args.out)?;
    let mut sound = true;
    let (runners, peers) = build(args, &mut sound);
    let facts = facts(args);
    let lines = measure(args, &runners, &mut sound);
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
    Ok(sound)
}

fn build(args: &Args, sound: &mut bool) -> (Vec<Runner>, Vec<(&'static str, String)>) {
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
            Err(Missing::NotHere(why)) => format!("left out: {why}"),
            Err(Missing::Broken(why)) => {
                *sound = false;
                format!("could not be built: {why}")
            }
        };
        eprintln!("{}: {state}", peer.name);
        states.push((peer.name, state));
    }
    (runners, states)
}

/// What somebody else needs in order to judge the figures.
fn facts(args: &Args) -> Vec<(&'static str, String)> {
    let says = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::null());
        child::output(&mut command, RUN_LIMIT).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    vec![
        ("date", says("date", &["-u", "+%F"])),
        ("commit", says("git", &["describe", "--always", "--dirty"])),
        ("CPUs", format!("{cpus}, {}", model.map_or("of an unknown model", |(_, model)| model))),
        ("load when it began", load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()),
        ("system", says("uname", &["-sr"])),
        ("compiler", says("rustc", &["--version"])),
        ("rounds", format!("{}, of a process for each peer; operations times {}", args.rounds, args.scale)),
    ]
}

fn measure(args: &Args, runners: &[Runner], sound: &mut bool) -> Vec<Line> {
    let wanted: Vec<&'static Row> = rows().filter(|row| args.wants(row)).collect();
    // A workload's figures stand together, and a process gives them all.
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
    let failed = |line: &Line, runner: &Runner| matches!(line.missing(runner.name), Some(Missing::Broken(_)));
    *sound &= !lines.iter().any(|line| runners.iter().any(|runner| failed(line, runner)));
    lines
}

/// Runs one workload in all peers that have it, in turn. All numbers of workers stand in one round too, since they are
/// compared.
fn take_turns(args: &Args, rows: &[&'static Row], runners: &[Runner], progress: &mut Progress) -> Vec<Line> {
    let workload = rows[0].workload();
    let line = |workers, row| Line { row, workers, cells: BTreeMap::new() };
    let mut lines: Vec<Vec<Line>> =
        args.workers.iter().map(|&workers| rows.iter().map(|row| line(workers, row)).collect()).collect();
    for round in 1..=args.rounds {
        for (&workers, lines) in args.workers.iter().zip(&mut lines) {
            for runner in runners.iter().filter(|runner| runner.has(workload)) {
                // What has failed once is not tried again.
                if lines.iter().all(|line| line.missing(runner.name).is_none()) {
                    let said = run(runner, workload, workers, args.scale);
                    lines.iter_mut().for_each(|line| line.add(runner.name, &said));
                    say_outcome(round, runner.name, lines);
                }
                progress.ended();
            }
        }
    }
    lines.into_iter().flatten().collect()
}

fn say_outcome(round: usize, peer: &str, lines: &[Line]) {
    for line in lines {
        let outcome = match line.spread(peer) {
            Some(spread) => format!("{spread} {}", line.row.unit),
            None => line.missing(peer).map(Missing::to_string).unwrap_or_default(),
        };
        eprintln!("    round {round}, {}: {peer:<12} {} {outcome}", workers_text(line.workers), line.row.name);
    }
}

/// The figures of one turn, or why there are none.
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
        return Err(Missing::NotHere(why.to_owned()));
    }
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok().filter(|value: &f64| value.is_finite())?))
    };
    text.lines().map(|line| figure(line).ok_or_else(|| Missing::Broken(format!("it said {line:?}")))).collect()
}
