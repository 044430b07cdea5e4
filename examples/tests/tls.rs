//! `tls`: the program's server and client against each other, and a client that disconnects early.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Returns the program, killed after a minute.
fn tls(args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", "60", env!("CARGO_BIN_EXE_tls")]).args(args);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_fails(output: &Output, status: i32, message: &str) {
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(status), String::new()));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("tls: ") && stderr.contains(message) && stderr.lines().count() == 1, "{stderr:?}");
}

struct Server {
    child: Child,
    addr: String,
    folder: TempDir,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("certificate.pem");
        // Not under `timeout`, because `timeout` would get the signals.
        let mut command = Command::new(env!("CARGO_BIN_EXE_tls"));
        command.args(["serve", "--addr", "127.0.0.1:0"]).args(options).arg(&certificate);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).trim().to_owned();
        Self { child, addr, folder }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn get(&self, url: &str) -> Output {
        tls(&["get", self.certificate().to_str().unwrap(), url]).output().unwrap()
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.addr.rsplit(':').next().unwrap())
    }

    /// Ends the server with a signal, and checks its exit status.
    fn stop(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -s $0 $1", signal, &pid]).status().unwrap().success());
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn round_trips() {
    let server = Server::start(&[]);
    for (host, path, seen) in [("localhost", "", "/"), ("127.0.0.1", "/a/b?c=d", "/a/b?c=d")] {
        let output = server.get(&server.url(host, path));
        assert_eq!((text(&output.stdout), text(&output.stderr)), (format!("{seen} over TLSv1_3\n"), String::new()));
        assert!(output.status.success());
    }
    server.stop("INT");
}

#[test]
fn many_at_once() {
    let server = Server::start(&[]);
    thread::scope(|s| {
        for n in 0..16 {
            let server = &server;
            s.spawn(move || {
                let output = server.get(&server.url("localhost", &format!("/{n}")));
                assert_eq!(text(&output.stdout), format!("/{n} over TLSv1_3\n"), "{}", text(&output.stderr));
            });
        }
    });
    server.stop("TERM");
}

#[test]
fn only_the_right_certificate_is_trusted() {
    let (server, other) = (Server::start(&[]), Server::start(&[]));
    let output = server.get(&other.url("localhost", "/"));
    assert_fails(&output, 1, "invalid peer certificate");
    let output = server.get(&server.url("127.0.0.2", "/"));
    assert_fails(&output, 1, "");
    fs::write(server.certificate(), "no certificate").unwrap();
    assert_fails(&server.get(&server.url("localhost", "/")), 1, "cannot read");
}

#[test]
fn misbehaving_clients_harm_no_other_client() {
    let server = Server::start(&["--timeout", "0.5", "--grace", "0.2"]);
    let mut silent = TcpStream::connect(&server.addr).unwrap();
    let mut babbling = TcpStream::connect(&server.addr).unwrap();
    babbling.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    drop(TcpStream::connect(&server.addr).unwrap());
    let output = server.get(&server.url("localhost", "/x"));
    assert_eq!(text(&output.stdout), "/x over TLSv1_3\n");
    // The client that sends garbage gets an alert; the silent client is eventually disconnected.
    let mut alert = Vec::new();
    let _ = babbling.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21), "{alert:?}");
    assert_eq!(silent.read(&mut [0; 10]).unwrap(), 0);
    let _open = TcpStream::connect(&server.addr).unwrap();
    server.stop("TERM");
}

#[test]
fn client_gives_up_after_its_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(&[]);
    let certificate = server.certificate();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let args = ["get", "--timeout", "0.2", certificate.to_str().unwrap(), &url];
    assert_fails(&tls(&args).output().unwrap(), 1, "context deadline exceeded");
}

#[test]
fn wrong_command_line_is_one_line_and_status_2() {
    let cases: [(&[&str], &str); 9] = [
        (&[], "neither 'serve' nor 'get' is given"),
        (&["put", "x"], "\"put\" is neither 'serve' nor 'get'"),
        (&["serve"], "wrong number of arguments"),
        (&["get", "c"], "wrong number of arguments"),
        (&["get", "c", "http://localhost"], "it must begin with 'https://'"),
        (&["get", "c", "https://localhost:99999"], "port \"99999\""),
        (&["get", "c", "https://a b"], "\"a b\""),
        (&["serve", "--addr", "here", "c"], "--addr: \"here\""),
        (&["serve", "--bogus"], "invalid option '--bogus'"),
    ];
    for (args, message) in cases {
        assert_fails(&tls(args).output().unwrap(), 2, message);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = tls(&["--help"]).output().unwrap();
    assert_eq!((help.status.code(), text(&help.stderr)), (Some(0), String::new()));
    assert!(text(&help.stdout).contains("Usage: tls serve"));
    assert!(text(&tls(&["--version"]).output().unwrap().stdout).starts_with("tls "));
}
