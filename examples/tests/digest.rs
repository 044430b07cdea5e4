//! `digest` against the `sha256sum`, `find` and `sort` of this machine.
//!
//! Every child runs under `timeout`, so a hang is a failure (status 137) instead of a stuck test
//! run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

mod common;

use common::check_command_line;

const PROGRAM: &str = env!("CARGO_BIN_EXE_digest");

/// Returns the program under test, in `dir`, killed after a minute.
fn digest(dir: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", "60", PROGRAM]).current_dir(dir);
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    digest(dir).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let seen = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert_eq!(seen, (Some(status), stdout.into(), stderr.into()));
}

/// Returns the output of `sha256sum` for the regular files under the paths, in the order of the
/// bytes of their names.
fn expected(dir: &Path, roots: &[&str]) -> String {
    let script = "for root; do find \"$root\" -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum; done";
    let output = Command::new("sh").args(["-c", script, "sh"]).args(roots).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Checks the lines with `sha256sum -c`.
#[track_caller]
fn assert_accepted(dir: &Path, lines: &[u8]) {
    let mut check = Command::new("sha256sum");
    check.args(["-c", "--strict", "--quiet"]).current_dir(dir).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(lines).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Creates every kind of name and file that a folder may hold.
fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    for folder in ["t/a/b/c/d", "t/a-b", "t/empty folder", "t/new\nline"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let names: [&[u8]; 17] = [
        b"t/a/b/c/d/deep",
        b"t/a/b/one",
        b"t/a/b.x",
        b"t/a-b/file",
        b"t/a.txt",
        b"t/a0",
        b"t/with space",
        b"t/ leading and trailing ",
        b"t/*star",
        b"t/-dash",
        b"t/back\\slash",
        b"t/line\nfeed",
        b"t/carriage\rreturn",
        b"t/all\\three\r\n",
        b"t/new\nline/\xff\xfe not utf-8",
        b"t/\xc3\xa9",
        b"t/empty",
    ];
    for name in names {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(root.join("t/empty"), "").unwrap();
    // Larger than one buffer, and not a multiple of it.
    fs::write(root.join("t/large"), (0..1_000_003_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>()).unwrap();

    symlink("a.txt", root.join("t/link to a file")).unwrap();
    symlink("..", root.join("t/a/link to a loop")).unwrap();
    symlink("nowhere", root.join("t/broken link")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("t/fifo")).status().unwrap().success());
    tree
}

#[test]
fn output_matches_sha256sum_for_any_number_of_ps_and_workers() {
    let tree = tree();
    let expected = expected(tree.path(), &["t"]);
    assert_eq!(expected.lines().count(), 18);
    for procs in ["1", "2", "8"] {
        for workers in ["1", "3", "64"] {
            let output =
                digest(tree.path()).args(["--workers", workers, "t"]).env("GOMAXPROCS", procs).output().unwrap();
            let seen = (output.status.code(), text(&output.stdout), text(&output.stderr));
            assert_eq!(seen, (Some(0), expected.clone(), String::new()), "GOMAXPROCS={procs} --workers {workers}");
            assert_accepted(tree.path(), &output.stdout);
        }
    }
}

#[test]
fn names_that_are_not_utf_8_pass_through_as_bytes() {
    let tree = tempfile::tempdir().unwrap();
    let name = OsString::from_vec(b"\xff\x80".to_vec());
    fs::write(tree.path().join(&name), "").unwrap();
    let output = digest(tree.path()).arg(&name).output().unwrap();
    assert!(output.stdout.ends_with(b"  \xff\x80\n"), "{:?}", text(&output.stdout));
    assert_accepted(tree.path(), &output.stdout);
}

#[test]
fn folders_and_files_come_in_the_order_named() {
    let tree = tree();
    let roots = ["t/a0", "t/a/b", "./t/a", "t/empty folder", "t/a.txt", "t/a/"];
    assert_ends(&run(tree.path(), &roots), 0, &expected(tree.path(), &roots), "");
    let roots = ["."];
    assert_ends(&run(tree.path(), &roots), 0, &expected(tree.path(), &roots), "");
}

#[test]
fn link_is_followed_only_if_named() {
    let tree = tree();
    symlink("t/a", tree.path().join("link")).unwrap();
    assert_ends(&run(tree.path(), &["link"]), 0, &expected(tree.path(), &["link/"]), "");
    let output = run(tree.path(), &["t/a"]);
    assert!(!text(&output.stdout).contains("loop"));
}

#[test]
fn missing_file_is_reported_and_the_rest_is_read() {
    let tree = tree();
    let expected = expected(tree.path(), &["t/a", "t/a0"]);
    let missing = "digest: no\\nwhere: No such file or directory (os error 2)\n";
    assert_ends(&run(tree.path(), &["t/a", "no\nwhere", "t/a0"]), 1, &expected, missing);
    let fifo = "digest: t/fifo: not a regular file or a folder\n";
    assert_ends(&run(tree.path(), &["t/fifo", "t/a", "t/a0"]), 1, &expected, fifo);
}

/// Checks files that cannot be read. Root may read anything, so these files are unreadable even to
/// root.
#[test]
fn unreadable_file_is_reported_and_the_rest_is_read() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("z"), "").unwrap();
    // Paths longer than the kernel accepts: created by moving one deep folder into another.
    let deep = |name: &str| [name; 12].join("/");
    let (upper, lower) = (deep(&"0".repeat(250)), deep(&"1".repeat(250)));
    fs::create_dir_all(tree.path().join(&upper)).unwrap();
    fs::create_dir_all(tree.path().join(&lower)).unwrap();
    fs::rename(tree.path().join("1".repeat(250)), tree.path().join(&upper).join("1")).unwrap();
    // Unreadable, because the first page of an address space is never mapped.
    let output = run(tree.path(), &["/proc/self/mem", "."]);
    let stderr = text(&output.stderr);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(lines.len(), 2, "{stderr}");
    assert_eq!(lines[0], "digest: /proc/self/mem: Input/output error (os error 5)");
    assert!(
        lines[1].starts_with("digest: ./000") && lines[1].ends_with("/: File name too long (os error 36)"),
        "{stderr}"
    );
    assert_eq!(text(&output.stdout), expected(tree.path(), &["./z"]));
}

#[test]
fn permissions_are_respected() {
    let tree = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::write(tree.path().join(name), name).unwrap();
    }
    assert!(Command::new("chmod").args(["000", "a"]).current_dir(tree.path()).status().unwrap().success());
    if fs::File::open(tree.path().join("a")).is_ok() {
        eprintln!("skipped: permissions do not stop this user");
        return;
    }
    let expected = expected(tree.path(), &["b"]);
    assert_ends(&run(tree.path(), &["a", "b"]), 1, &expected, "digest: a: Permission denied (os error 13)\n");
}

#[test]
fn command_line_errors_are_reported() {
    let range = "the number of workers must be from 1 to 65536";
    check_command_line(
        PROGRAM,
        "digest",
        &[
            (&[], "no folder given"),
            (&["--progress"], "no folder given"),
            (&["--bogus", "."], "invalid option '--bogus'"),
            (&["-x", "."], "invalid option '-x'"),
            (&["--workers"], "missing argument for option '--workers'"),
            (&["--workers", "0", "."], &format!("{range}, not \"0\"")),
            (&["--workers=abc", "."], &format!("{range}, not \"abc\"")),
            (&["-w", "99999999999999999999", "."], &format!("{range}, not \"99999999999999999999\"")),
            (&["-"], "standard input is not read; a file of that name is './-'"),
        ],
    );
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("--bogus"), "").unwrap();
    let expected = expected(tree.path(), &["./--bogus"]).replace("./", "");
    assert_ends(&run(tree.path(), &["--", "--bogus"]), 0, &expected, "");
}

#[test]
fn progress_is_hidden_without_a_terminal() {
    let tree = tree();
    assert_ends(&run(tree.path(), &["--progress", "t"]), 0, &expected(tree.path(), &["t"]), "");
}

#[test]
fn full_disk_is_reported() {
    let tree = tree();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = digest(tree.path()).arg("t").stdout(full).output().unwrap();
    assert_ends(&output, 1, "", "digest: write error: No space left on device (os error 28)\n");
}

/// Creates twenty thousand names: several windows, and more output than a pipe holds. They are hard
/// links to a few files, which are much quicker to create than that many files.
fn many_files() -> TempDir {
    const CONTENTS: usize = 97;
    let tree = tempfile::tempdir().unwrap();
    let content = |n: usize| tree.path().join(format!("content {n}"));
    (0..CONTENTS).for_each(|n| fs::write(content(n), n.to_string()).unwrap());
    for folder in 0..20 {
        let folder = tree.path().join(format!("t/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        (0..1000).for_each(|n| fs::hard_link(content(n % CONTENTS), folder.join(n.to_string())).unwrap());
    }
    tree
}

#[test]
fn many_files_come_out_complete_and_in_order() {
    let tree = many_files();
    // A large file at the front: the window fills up behind it.
    fs::write(tree.path().join("t/0/!"), vec![1; 8 << 20]).unwrap();
    let expected = expected(tree.path(), &["t"]);
    assert_eq!(expected.lines().count(), 20_001);
    for procs in ["1", "2", "8"] {
        let output = digest(tree.path()).arg("t").env("GOMAXPROCS", procs).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "GOMAXPROCS={procs}");
        assert!(text(&output.stdout) == expected, "GOMAXPROCS={procs}: the output differs from that of sha256sum");
    }
}

#[test]
fn broken_pipe_ends_it_quietly() {
    let tree = many_files();
    for procs in ["1", "2", "8"] {
        let mut command = digest(tree.path());
        command.arg("t").env("GOMAXPROCS", procs).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.ends_with("  t/0/0\n"), "{first}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr), (Some(141), String::new()), "GOMAXPROCS={procs}");
    }
}
