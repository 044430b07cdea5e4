//! The small examples print what their headers say.
//!
//! A header (`//!`) ends with the exact output of the program:
//!
//! ~~~text
//! //! Prints:
//! //!
//! //! ```text
//! //! the output
//! //! ```
//! ~~~
//!
//! If the status is not 0, `//! Exit status: 2` follows. If there is output on stderr,
//! `//! On stderr:` follows, with a block like the one above. The lines of that block must appear
//! in this order. Other lines may appear between them, and `...` in a line stands for any text. To
//! add an example, add it to `Cargo.toml`, to the list below, and to `README.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// In seconds. No working program takes this long, however busy the machine is.
const LIMIT: u32 = 30;

struct Example {
    /// Relative to the folder of the examples.
    path: &'static str,
    program: &'static str,
    source: &'static str,
}

macro_rules! examples {
    ($($folder:ident: $($name:ident)+;)+) => {
        const ALL: &[Example] = &[$($(Example {
            path: concat!(stringify!($folder), "/", stringify!($name), ".rs"),
            program: env!(concat!("CARGO_BIN_EXE_", stringify!($name))),
            source: include_str!(concat!("../", stringify!($folder), "/", stringify!($name), ".rs")),
        },)+)+];

        $(mod $folder {
            $(#[test]
            fn $name() {
                super::check(concat!(stringify!($folder), "/", stringify!($name), ".rs"));
            })+
        })+
    };
}

examples! {
    goroutines: captured_variables deadlock leak;
    channels: done nil_merge prime_sieve results select_default timeout;
    context: cancel_workers deadline errgroup_fetch request_values;
    patterns: bounded_queue bridge dynamic_worker_pool fan_out_fan_in heartbeat or_channels parallel_map
        pipeline pipeline_twice publish_subscribe rate_limiter rate_limiter_bursty retry tee until_done worker_pool
        worker_pool_context;
    sync: buffer_pool compare_and_swap concurrent_map condvar_queue counters hot_reload once read_write_cache semaphore;
}

/// The actual or expected outcome of a program.
#[derive(Debug, PartialEq)]
struct Run {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

fn check(path: &str) {
    let example = ALL.iter().find(|example| example.path == path).expect("the tests are made of the list");
    let expected = expectation(example.source).unwrap_or_else(|error| panic!("{path}: {error}"));
    for procs in [1, 2, 4] {
        let found = run(LIMIT, procs, &[example.program]);
        if let Err(difference) = compare(&expected, &found) {
            let Run { stdout, stderr, .. } = found;
            panic!("{path}: GOMAXPROCS={procs}: {difference}\n--- stdout\n{stdout}--- stderr\n{stderr}---");
        }
    }
}

/// Runs a program with its arguments, and kills it after `limit` seconds.
fn run(limit: u32, procs: usize, command: &[&str]) -> Run {
    let mut timeout = Command::new("timeout");
    timeout.arg("--signal=KILL").arg(limit.to_string()).args(command).env("GOMAXPROCS", procs.to_string());
    let output = timeout.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { stdout: text(output.stdout), stderr: text(output.stderr), status: output.status.code() }
}

/// Returns the outcome that the header promises.
fn expectation(source: &str) -> Result<Run, String> {
    let header: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let header: Vec<&str> = header.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let stdout = block(&header, "Prints:")?.ok_or("the header does not say what it prints")?;
    let stderr = block(&header, "On stderr:")?.unwrap_or_default();
    let status = header.iter().find_map(|line| line.strip_prefix("Exit status: ")).unwrap_or("0");
    let status = status.parse().map_err(|_| format!("the exit status is {status:?}"))?;
    Ok(Run { stdout, stderr, status: Some(status) })
}

/// Returns the lines of the block that `title` introduces.
fn block(header: &[&str], title: &str) -> Result<Option<String>, String> {
    let Some(at) = header.iter().position(|line| *line == title) else { return Ok(None) };
    let [_, "", "```text", lines @ ..] = &header[at..] else {
        return Err(format!("no block follows {title:?}"));
    };
    let end = lines.iter().position(|line| *line == "```").ok_or_else(|| format!("{title:?}: the block has no end"))?;
    Ok(Some(lines[..end].iter().map(|line| format!("{line}\n")).collect()))
}

fn compare(expected: &Run, found: &Run) -> Result<(), String> {
    if found.status.is_none() {
        return Err("it hangs, or was killed by a signal".to_owned());
    }
    if found.stdout != expected.stdout {
        return Err(format!("it is to print\n{}", expected.stdout));
    }
    if found.status != expected.status {
        return Err(format!("its status is {:?} and not {:?}", found.status, expected.status));
    }
    if expected.stderr.is_empty() && !found.stderr.is_empty() {
        return Err("nothing is to be on stderr".to_owned());
    }
    let mut lines = found.stderr.lines();
    match expected.stderr.lines().find(|pattern| !lines.any(|line| matches(pattern, line))) {
        None => Ok(()),
        Some(missing) => Err(format!("this line is missing on stderr, or in the wrong place: {missing}")),
    }
}

/// Returns `true` if `line` matches `pattern`, where `...` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((start, rest)) = pattern.split_once("...") else { return pattern == line };
    let Some(line) = line.strip_prefix(start) else { return false };
    (0..=line.len()).filter_map(|at| line.get(at..)).any(|line| matches(rest, line))
}

#[test]
fn all_examples_are_here_and_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut missing = String::new();
    let mut count = 0;
    for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        // A larger program has its own folder and tests.
        if !folder.is_dir() || ["common", "tests"].contains(&name) || folder.join("main.rs").exists() {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let path = format!("{name}/{}", file.file_name().unwrap().to_str().unwrap());
            let program = file.file_stem().unwrap().to_str().unwrap();
            if !ALL.iter().any(|example| example.path == path) {
                writeln!(missing, "{path} is not in the list of tests/prints.rs").unwrap();
            }
            if !readme.contains(&format!("\n| [{program}]({path}) | ")) {
                writeln!(missing, "{path} is in no table of README.md").unwrap();
            }
            count += 1;
        }
    }
    assert!(missing.is_empty(), "{missing}");
    assert_eq!(count, ALL.len());
}

#[test]
fn headers_are_read() {
    let header = "//! An example.\n//!\n//! Prints:\n//!\n//! ```text\n//! one\n//!   two\n//!\n//! ```\n//!\n";
    let run =
        |stderr: &str, status| Run { stdout: "one\n  two\n\n".into(), stderr: stderr.into(), status: Some(status) };
    assert_eq!(expectation(&format!("{header}\nuse std::io;\n")), Ok(run("", 0)));
    let more = "//! Exit status: 2\n//!\n//! On stderr:\n//!\n//! ```text\n//! fatal: ...\n//! ```\n";
    assert_eq!(expectation(&format!("{header}{more}\nfn main() {{}}\n")), Ok(run("fatal: ...\n", 2)));

    let refused = |source: &str, why: &str| assert!(expectation(source).unwrap_err().contains(why), "{source}");
    refused("//! An example.\n", "does not say what it prints");
    refused("//! Prints:\n//! one\n", "no block follows");
    refused("//! Prints:\n//!\n//! ```text\n//! one\n", "has no end");
    refused(&format!("{header}//! Exit status: two\n"), "\"two\"");
}

#[test]
fn differences_are_found() {
    let run = |stdout: &str, stderr: &str, status| Run { stdout: stdout.into(), stderr: stderr.into(), status };
    let expected = run("one\n", "fatal: ... asleep\ngoroutine ... [...]:\n", Some(2));
    let stderr = "warning\nfatal: all are asleep\n\ngoroutine 7 [sleep]:\n\tmain\n";
    assert_eq!(compare(&expected, &run("one\n", stderr, Some(2))), Ok(()));
    for (different, why) in [
        (run("one", stderr, Some(2)), "print"),
        (run("one\ntwo\n", stderr, Some(2)), "print"),
        (run("one\n", stderr, Some(0)), "status"),
        (run("one\n", stderr, None), "killed"),
        (run("one\n", "goroutine 7 [sleep]:\nfatal: all are asleep\n", Some(2)), "goroutine"),
        (run("one\n", "fatal: all are asleep, so\ngoroutine 7 [sleep]:\n", Some(2)), "fatal"),
    ] {
        let error = compare(&expected, &different).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    assert!(compare(&run("", "", Some(0)), &run("", "panicked\n", Some(0))).is_err());
}

#[test]
fn hanging_program_is_killed_and_shown() {
    let found = run(1, 1, &["sh", "-c", "echo started; sleep 60"]);
    assert_eq!((found.stdout.as_str(), found.status), ("started\n", None));
}
