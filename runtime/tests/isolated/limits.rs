//! Strict limits: few descriptors, threads, CPUs, or little memory, and a system that tells little.
//!
//! Under each limit a program does a bit of everything. Either it works, or it ends with status 1
//! and a sentence that says why. What the machine does not permit to set up is skipped by name.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::{self, Command, ExitCode};
use std::time::{Duration, Instant};

use crate::common::child::{self, Ended, named, program_after, program_with_descriptors};
use greenthread::channel::bounded;
use greenthread::net::{TcpListener, TcpStream};
use greenthread::{blocking, debug, gomaxprocs, spawn, time};

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const TESTS: &[child::Test] = named![
    few_descriptors,
    little_address_space,
    few_threads,
    little_memory_in_a_cgroup,
    half_a_cpu_in_a_cgroup,
    one_cpu,
    a_read_only_proc,
    no_proc,
    no_sys,
];
const PROGRAMS: &[child::Main] = named![works];

const CLIENTS: u8 = 8;

/// Parks goroutines, computes, blocks threads, sleeps, and talks over sockets.
fn works() -> ExitCode {
    let hog = spawn(|| {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(30) {}
    });
    let blocked: Vec<_> =
        (0..4).map(|_| spawn(|| blocking(|| std::thread::sleep(Duration::from_millis(20))))).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = spawn(move || {
        for _ in 0..CLIENTS {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            stream.write_all(&text).unwrap();
        }
    });
    for n in 0..CLIENTS {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(&[n]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert_eq!(back, [n]);
    }
    server.join().unwrap();
    time::sleep(Duration::from_millis(5));
    hog.join().unwrap();
    blocked.into_iter().for_each(|one| one.join().unwrap());
    // There may not be a stack for each of these, so nothing else may depend on one.
    let (end, ended) = bounded::<()>(0);
    let parked: Vec<_> = (0..2_000)
        .map(|n| {
            let ended = ended.clone();
            spawn(move || ended.recv().map_or(n, |()| 0))
        })
        .collect();
    drop(end);
    let sum: usize = parked.into_iter().map(|one| one.join().unwrap()).sum();
    println!("{sum} on {} of {} Ps", debug::stats().procs, gomaxprocs());
    ExitCode::SUCCESS
}

/// Runs the program after `setup` in a shell, which may `exec` another program that runs `"$0"`.
///
/// Returns `None`, and says so, if the setup is not possible here.
#[track_caller]
fn run_after(what: &str, setup: &str) -> Option<Ended> {
    let tried = Command::new("sh").args(["-c", &format!("{setup}; exec \"$0\""), "true"]).output().unwrap();
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr);
        println!("skipped: {what} cannot be set up here: {}", why.trim());
        return None;
    }
    Some(program_after(setup, "works").run())
}

fn has_worked(ended: Ended) -> Ended {
    let ended = ended.exits_with(0);
    assert!(ended.stdout.starts_with("1999000 on "), "{ended:?}");
    ended
}

fn few_descriptors() {
    has_worked(program_with_descriptors("works", 64).run());
}

fn little_address_space() {
    for mib in [32, 64, 128, 256, 512, 1024, 2048] {
        let ended = run_after("ulimit -v", &format!("ulimit -v {}", mib << 10)).expect("a shell has ulimit -v");
        if ended.status.success() {
            has_worked(ended);
        } else {
            // The heap takes 64 MiB at a time, so the program may abort for want of memory.
            assert!(mib < 1024 && ended.stderr.contains("memory") && ended.stdout.is_empty(), "{mib} MiB: {ended:?}");
        }
    }
}

fn few_threads() {
    // The limit does not hold for root.
    let nobody = "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all";
    for threads in [1, 2, 3, 5, 8, 20] {
        let setup = format!("ulimit -u {threads}; {nobody} \"$0\"");
        let Some(ended) = run_after("ulimit -u", &setup) else { return };
        if ended.status.success() {
            has_worked(ended);
        } else {
            assert!(threads < 5, "{threads} threads: {ended:?}");
            let ended = ended.exits_with(1).says("cannot start");
            assert!(!ended.stderr.contains("panicked") && ended.stdout.is_empty(), "{ended:?}");
        }
    }
}

/// A control group that is removed in the end.
struct Group(String);

impl Group {
    /// Makes a group with a limit, given by a controller, a file, and a value for version 1, and by
    /// a file and a value for version 2.
    fn new(controller: &str, v1: &[(&str, &str)], v2: (&str, &str)) -> Option<Self> {
        let name = format!("greenthread-{}-{}", controller, process::id());
        let (folder, settings) = [
            (format!("/sys/fs/cgroup/{controller}/{name}"), v1.to_vec()),
            (format!("/sys/fs/cgroup/{name}"), vec![v2]),
        ]
        .into_iter()
        .find(|(folder, settings)| {
            let parent = Path::new(folder).parent().unwrap();
            let usable = parent.join("cgroup.procs").exists() && fs::create_dir(folder).is_ok();
            usable && (Path::new(folder).join(settings[0].0).exists() || fs::remove_dir(folder).is_err())
        })?;
        let group = Self(folder);
        settings.iter().all(|(file, value)| fs::write(format!("{}/{file}", group.0), value).is_ok()).then_some(group)
    }

    fn run(&self) -> Ended {
        program_after(&format!("echo $$ >{}/cgroup.procs", self.0), "works").run()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn little_memory_in_a_cgroup() {
    let bytes = (64 << 20).to_string();
    let Some(group) = Group::new("memory", &[("memory.limit_in_bytes", &bytes)], ("memory.max", &bytes)) else {
        return println!("skipped: no cgroup for memory can be made here");
    };
    has_worked(group.run());
}

fn half_a_cpu_in_a_cgroup() {
    let v1 = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")];
    let Some(group) = Group::new("cpu", &v1, ("cpu.max", "50000 100000")) else {
        return println!("skipped: no cgroup for CPUs can be made here");
    };
    let ended = has_worked(group.run());
    assert!(ended.stdout.ends_with("on 1 of 1 Ps\n"), "{ended:?}");
}

fn one_cpu() {
    // The first CPU that the test may use.
    let setup = "cpu=$(taskset -cp $$ | sed 's/.*: \\([0-9]*\\).*/\\1/'); taskset -cp $cpu $$ >/dev/null";
    if let Some(ended) = run_after("one CPU", setup) {
        let ended = has_worked(ended);
        assert!(ended.stdout.ends_with("on 1 of 1 Ps\n"), "{ended:?}");
    }
}

/// Runs the program where `mount` has changed what the file system shows.
#[track_caller]
fn works_after(mount: &str) {
    let setup = format!("exec unshare --map-root-user --mount sh -c '{mount} && exec \"$0\"' \"$0\"");
    if let Some(ended) = run_after(mount, &setup) {
        has_worked(ended);
    }
}

fn a_read_only_proc() {
    works_after("mount --bind /proc /proc && mount -o remount,bind,ro /proc");
}

fn no_proc() {
    works_after("mount -t tmpfs none /proc");
}

fn no_sys() {
    works_after("mount -t tmpfs none /sys");
}
