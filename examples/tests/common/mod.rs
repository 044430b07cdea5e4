//! A server as a child process, and checks that apply to the command line of every server.

// Each test file is a separate program and uses only part of this module.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../runtime/tests/common/random.rs"]
pub mod random;

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proptest::test_runner::Config as ProptestConfig;

/// No working operation takes this long, however busy the machine is.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
}

impl Server {
    /// Starts the program on a free port, with this many Ps.
    pub fn start(program: &str, procs: usize, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn(command, procs)
    }

    /// Starts the program like [`start`](Self::start), with a limit on descriptors.
    ///
    /// Its standard error is kept for [`complaints`](Self::complaints).
    pub fn start_with_descriptors(limit: usize, program: &str, procs: usize) -> Self {
        let mut command = limited(limit);
        command.arg(program).stderr(Stdio::piped());
        Self::spawn(command, procs)
    }

    fn spawn(mut command: Command, procs: usize) -> Self {
        command.args(["--addr", "127.0.0.1:0"]).env("GOMAXPROCS", procs.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { addr: addr.parse().unwrap(), child }
    }

    /// Connects to the server; no read on the connection takes forever.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Returns the number of context switches of all of its threads together.
    pub fn context_switches(&self) -> u64 {
        let field =
            |line: &str| line.split_once("ctxt_switches:").map_or(0, |(_, count)| count.trim().parse().unwrap());
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let statuses = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
        statuses.map(|status| status.lines().map(field).sum::<u64>()).sum()
    }

    /// Returns the server's standard error.
    pub fn complaints(&mut self) -> impl BufRead + use<> {
        BufReader::new(self.child.stderr.take().unwrap())
    }

    /// Returns the CPU time that the server has used, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Returns the server's resident memory, in bytes.
    pub fn resident(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Waits until the process ends.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command that runs the program given as its first argument with this many descriptors.
fn limited(descriptors: usize) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
    command
}

/// Runs this program's ignored test `name` in a separate process, with this limit on descriptors.
pub fn with_descriptors(limit: usize, name: &str) {
    let args = ["--ignored", "--exact", name, "--nocapture"];
    let output = limited(limit).arg(env::current_exe().unwrap()).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Sends all bytes, shuts down the sending side, and returns what comes back.
pub fn exchange(stream: &TcpStream, bytes: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = stream;
            writer.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let (mut reader, mut back) = (stream, Vec::new());
        reader.read_to_end(&mut back).unwrap();
        back
    })
}

/// Checks that the server has closed the connection, by a shutdown or a reset.
#[track_caller]
pub fn assert_closed(mut stream: &TcpStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("not closed: {other:?}"),
    }
}

/// Checks help and version, the message and status 2 for each wrong command line, and the status if
/// nothing can be printed.
pub fn check_command_line(program: &str, name: &str, wrong: &[(&[&str], &str)]) {
    let run_to = |stdout: Stdio, args: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "30", program]).args(args).stdout(stdout).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let run = |args: &[&str]| run_to(Stdio::piped(), args);
    let (status, help, complaint) = run(&["--help"]);
    assert_eq!((status, complaint.as_str()), (Some(0), ""));
    assert!(help.starts_with(&format!("Usage: {name} ")) && help.contains("\nOptions:\n"), "{help}");
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    assert_eq!(run(&["-V"]), (Some(0), format!("{name} {}\n", env!("CARGO_PKG_VERSION")), String::new()));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let expected = format!("{name}: write error: No space left on device (os error 28)\n");
    assert_eq!(run_to(full.into(), &["--help"]), (Some(1), String::new(), expected));
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    assert_eq!(run_to(writer.into(), &["--help"]), (Some(141), String::new(), String::new()));
    for (args, why) in wrong {
        let expected = format!("{name}: {why}, see '{name} --help'\n");
        assert_eq!(run(args), (Some(2), String::new(), expected), "{args:?}");
    }
}

/// Returns a configuration with this many cases of a random test, unless `PROPTEST_CASES` overrides
/// it.
pub fn cases(usual: u32) -> ProptestConfig {
    let cases = env::var("PROPTEST_CASES").map_or(usual, |cases| cases.parse().unwrap());
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}
