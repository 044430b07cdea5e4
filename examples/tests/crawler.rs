//! `crawler` on its own site, and on servers that count the requests.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

mod common;

use common::check_command_line;

const PROGRAM: &str = env!("CARGO_BIN_EXE_crawler");

/// Returns the program, killed after a minute. With `--foreground`, `timeout` forwards a signal
/// only once, to the program and not also to its process group.
fn command(procs: usize, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", "60", PROGRAM]).args(args).env("GOMAXPROCS", procs.to_string());
    command
}

/// Returns the status, standard output, and standard error.
fn crawl(procs: usize, args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(procs, args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts a server with one thread for each connection. `page` gets the path of a page, and returns
/// the page's links.
fn serve(page: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let page = Arc::new(page);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (page, stream) = (Arc::clone(&page), stream.unwrap());
            thread::spawn(move || answer(stream, &*page));
        }
    });
    addr
}

fn answer(mut stream: TcpStream, page: &dyn Fn(&str) -> Vec<String>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let request = lines.next().unwrap();
    lines.find(String::is_empty).unwrap();
    let links = page(request.split(' ').nth(1).unwrap());
    let body: String = links.iter().map(|link| format!("<p><A href=\"{link}\">")).collect();
    // Fails if the crawler has disconnected.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Starts a server with a home page of `links` links, and a barrier at which each of the other
/// pages waits.
fn wide(links: usize, company: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let (running, most, company) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), Barrier::new(company));
    let count = Arc::clone(&most);
    let addr = serve(move |path| {
        if path == "/" {
            return (0..links).map(|n| n.to_string()).collect();
        }
        count.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        company.wait();
        running.fetch_sub(1, Ordering::Relaxed);
        vec![]
    });
    (addr, most)
}

/// Starts a server whose page never answers.
fn hangs() -> (SocketAddr, Receiver<()>) {
    let (asked, has_asked) = mpsc::channel();
    let addr = serve(move |path| {
        if path == "/" {
            return strings(["never"]);
        }
        asked.send(()).unwrap();
        thread::sleep(Duration::from_secs(3600));
        vec![]
    });
    (addr, has_asked)
}

#[test]
fn own_site_prints_the_same_each_time() {
    let mut expected = String::from("200 0 /\n");
    for n in 1..=20 {
        expected += &format!(
            "200 {} /{n}\n",
            if n <= 3 {
                1
            } else if n <= 12 {
                2
            } else {
                3
            }
        );
    }
    // The link is on page 6, after 20 others.
    expected += "404 3 /missing\n";
    for procs in [1, 2, 4] {
        for concurrency in ["1", "3", "50"] {
            let found = crawl(procs, &["-r", "1000", "-c", concurrency]);
            assert_eq!(found, (Some(0), expected.clone(), String::new()), "{procs} Ps, -c {concurrency}");
        }
    }
    let shallow: String = expected.split_inclusive('\n').take(4).collect();
    assert_eq!(crawl(2, &["--depth", "1"]), (Some(0), shallow, String::new()));
}

#[test]
fn each_page_of_the_server_is_visited_once() {
    let site = HashMap::from([
        ("/a/", strings(["/", "b", "./b", "../a/b#part", "#part", "", "?q=1&amp;r=2", "/../../c//d"])),
        (
            "/",
            strings(["a/./", "mailto:me@h", "javascript:go()", "https://127.0.0.1/", "http://127.0.0.1:1/x", "//h/y"]),
        ),
        ("/a/b", strings(["..", ".", "../c/e", "with space"])),
        ("/a/?q=1&r=2", strings(["?q=1&amp;r=2", "b?x"])),
        ("/c/e", strings(["f:g", "./f:g"])),
    ]);
    let visits = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let count = Arc::clone(&visits);
    let absolute = Arc::new(Mutex::new(None));
    let own = Arc::clone(&absolute);
    let addr = serve(move |path| {
        *count.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        let own = own.lock().unwrap().clone().unwrap();
        site.get(path).cloned().unwrap_or_default().into_iter().chain([own]).collect()
    });
    *absolute.lock().unwrap() = Some(format!("http://{addr}/absolute"));
    let (status, lines, stderr) = crawl(2, &["-r", "1000", &format!("http://{addr}/a/")]);
    assert_eq!((status, &*stderr), (Some(0), ""));
    let visited = ["/", "/a", "/a/", "/a/?q=1&r=2", "/a/b", "/a/b?x", "/absolute", "/c//d", "/c/e", "/c/f:g"];
    assert_eq!(*visits.lock().unwrap(), visited.map(|path| (path.to_owned(), 1)).into());
    assert_eq!(
        lines,
        "200 0 /a/\n200 1 /\n200 1 /a/b\n200 1 /a/?q=1&r=2\n200 1 /c//d\n200 1 /absolute\n200 2 /a\n200 2 /c/e\n\
         200 2 /a/b?x\n200 3 /c/f:g\n"
    );
}

#[test]
fn concurrency_limits_pages_at_once() {
    // The barrier opens when three requests have arrived, which proves that three run at a time.
    let (addr, most) = wide(12, 3);
    let (status, lines, stderr) = crawl(2, &["-c", "3", "-r", "1000000", &format!("http://{addr}")]);
    assert_eq!((status, lines.lines().count(), &*stderr), (Some(0), 13, ""));
    assert_eq!(most.load(Ordering::Relaxed), 3);
}

#[test]
fn rate_limits_pages_per_second() {
    let (addr, _) = wide(10, 1);
    let begin = Instant::now();
    let (status, lines, _) = crawl(2, &["--concurrency", "20", "--rate", "20", &format!("http://{addr}")]);
    assert_eq!((status, lines.lines().count()), (Some(0), 11));
    assert!(begin.elapsed() >= Duration::from_millis(500));
}

#[test]
fn timeout_prints_the_pages_so_far() {
    let check = |procs, args: &[&str]| {
        let (status, lines, stderr) = crawl(procs, args);
        assert_eq!((status, &*lines), (Some(1), "200 0 /\n"), "{args:?}: {stderr}");
        // Possibly also for the current page, if it returns just before everything else ends.
        let says_why = |line: &str| line.starts_with("crawler: ") && line.ends_with("context deadline exceeded");
        assert!(!stderr.is_empty() && stderr.lines().all(says_why), "{args:?}: {stderr}");
    };
    for procs in [1, 4] {
        let (addr, _asked) = hangs();
        check(procs, &["--timeout", "2", &format!("http://{addr}/")]);
        // The second page would be too late, which the crawler knows at once.
        let begin = Instant::now();
        check(procs, &["-r", "0.01", "-t", "50"]);
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn only_the_beginning_of_a_long_page_is_searched() {
    let addr = serve(|path| match path {
        "/" => ["early", &"x".repeat(1 << 20), "late"].map(str::to_owned).to_vec(),
        _ => vec![],
    });
    let (status, lines, stderr) = crawl(2, &[&format!("http://{addr}/")]);
    assert_eq!((status, &*lines, &*stderr), (Some(0), "200 0 /\n200 1 /early\n", ""));
}

#[test]
fn signal_ends_the_crawl() {
    let (addr, asked) = hangs();
    let mut command = command(2, &[&format!("http://{addr}/")]);
    let crawler = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asked.recv_timeout(Duration::from_secs(30)).unwrap();
    let kill = Command::new("kill").args(["-INT", &crawler.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = crawler.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b"200 0 /\n"[..]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("crawler: "), "{stderr}");
}

#[test]
fn failed_page_is_reported_and_the_rest_is_visited() {
    let addr = serve(|path| match path {
        "/" => strings(["bad", "good"]),
        "/bad" => panic!("the server has a defect, and the connection ends"),
        _ => vec![],
    });
    let (status, lines, stderr) = crawl(2, &[&format!("http://{addr}/")]);
    assert_eq!((status, &*lines), (Some(1), "200 0 /\n200 1 /good\n"));
    assert_eq!(stderr, format!("crawler: http://{addr}/bad: the connection ended before the answer did\n"));
}

#[test]
fn command_line_errors_are_reported() {
    check_command_line(
        PROGRAM,
        "crawler",
        &[
            (&["https://h/"], "cannot parse argument \"https://h/\": not an http:// URL"),
            (&["http://h/", "http://i/"], "unexpected argument \"http://i/\""),
            (&["-c", "0"], "cannot parse argument \"0\": number would be zero for non-zero type"),
            (&["-r", "0"], "cannot parse argument \"0\": not a number above zero"),
            (&["-d", "-1"], "cannot parse argument \"-1\": invalid digit found in string"),
            (&["-t", "-1"], "cannot parse argument \"-1\": not a number of seconds"),
            (&["--bogus"], "invalid option '--bogus'"),
        ],
    );
}
