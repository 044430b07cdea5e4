//! The rules of the repository that a machine can check, as data, with one test for each rule.
//!
//! `cargo test -p greenthread-tidy` checks the whole repository. Every test lists all violations
//! that it finds.

#![cfg(test)]

mod chains;
mod layers;
mod links;
mod prose;
mod source;
mod symbols;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use source::Source;

/// The maximum number of lines in a file; the next constant is the limit for a function.
const MAX_FILE: usize = 700;
const MAX_FUNCTION: usize = 80;

/// Markers of unfinished work, each in two halves so that this file does not contain them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
];

/// The folders that may contain `cfg`, because only they deal with the platform.
const PLATFORM: &[&str] = &["scheduler/src/machine/sys/"];

/// The files whose `mod` lines may depend on the features of the facade.
const FEATURES: &[&str] = &["runtime/src/lib.rs", "runtime/src/sync/mod.rs"];

/// The forms of `cfg` that are allowed everywhere: for tests, and for items that only rustdoc sees.
const CFG_ANYWHERE: &[&str] = &["cfg(test)", "cfg(not(test))", "cfg_attr(docsrs"];

/// The files and folders that may contain `unsafe`, each with the reason.
const UNSAFE: &[(&str, &str)] = &[
    ("benches/peers/golib/src/echo.rs", "a socket option that go-lib has no function for"),
    ("benches/peers/golib/src/main.rs", "go-lib takes its number of workers from the environment"),
    ("benches/benches/migration.rs", "switches the migration guard off"),
    ("benches/benches/timer_heap.rs", "calls the unsafe interface of the heap"),
    ("channels/src/", "values move straight to the stack of the waiter; the last handle frees the channel"),
    ("channels/tests/allocations.rs", "counts allocations: an allocator is unsafe to write"),
    ("runtime/src/net/async_fd.rs", "a descriptor that is replaced while its number stays the same"),
    ("runtime/src/scope.rs", "borrows that outlive the call that spawns"),
    ("runtime/src/signal.rs", "adds a handler of its own"),
    ("runtime/src/sync/", "data under a lock; wait nodes on the stack of the waiter"),
    ("runtime/src/io_wait.rs", "a node of a channel's queue on the stack of the waiter"),
    ("runtime/tests/common/child.rs", "switches mechanisms off, to show what they prevent"),
    ("runtime/tests/common/queue.rs", "waits like a channel, on the scheduler's own interface"),
    ("runtime/tests/isolated/faults.rs", "faults, and signal handlers for them"),
    ("runtime/tests/isolated/life.rs", "limits, exit handlers and children through `libc`"),
    ("runtime/tests/isolated/stacks_run_out.rs", "limits the address space through `libc`"),
    ("runtime/tests/hazards/", "the address of errno, and nice values"),
    ("runtime/tests/memory.rs", "counts allocations: an allocator is unsafe to write"),
    ("runtime/tests/sanitizers.rs", "deliberate mistakes that the sanitizers must find"),
    ("runtime/tests/ui/main_unsafe.rs", "shows the error message about it"),
    ("scheduler/models/", "data under a modeled lock"),
    ("scheduler/src/", "stacks, switches, intrusive queues"),
];

/// The documents whose back-quoted paths must exist.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "README.md",
    "CONTRIBUTING.md",
    "docs/guide/src/start.md",
    "docs/guide/src/goroutines.md",
    "docs/guide/src/patterns.md",
    "docs/guide/src/network.md",
    "docs/guide/src/tuning.md",
    "docs/guide/src/safety.md",
    "docs/guide/src/stacks.md",
    "docs/guide/src/scheduler.md",
    "docs/guide/src/from_async.md",
];

/// The functions that run a test in a process of its own.
const CHECKS: &[&str] = &["check", "everywhere", "storm", "without_chaos"];

/// The tests that use them.
const CHECKED: &[&str] = &["channels/tests/", "ctx/tests/", "runtime/tests/"];

/// The files that programs generate.
const GENERATED: &[&str] = &["benches/results/"];

/// Exceptions to the banned forms: the beginning of a path, and the form.
const PROSE_ALLOWED: &[(&str, &str)] = &[("CONTRIBUTING.md", "")];

/// The documents whose back-quoted symbols must be defined in the sources.
const DOCUMENTS_WITH_SYMBOLS: &[&str] =
    &["ARCHITECTURE.md", "SAFETY.md", "docs/guide/src/safety.md", "docs/guide/src/scheduler.md"];

/// The minimum number of call chains in ARCHITECTURE.md.
const CHAINS: usize = 8;

/// Returns the root folder of the workspace.
fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package is two folders below the workspace")
}

/// Returns the text of a file, by its path from the root.
fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}; the rules are read from it"))
}

/// Returns all Rust files of the repository, in the order of their paths from the root.
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(read_sources)
}

/// Returns the paths of all files below `folder` whose names end in one of `endings`, in order.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder that opens can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files(&path, endings));
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read_sources() -> Vec<Source> {
    let sources: Vec<Source> = files(root(), &[".rs"]).iter().map(|path| Source::read(root(), path)).collect();
    assert!(sources.iter().any(|source| source.path == "ci/tidy/src/lib.rs"), "the list of sources is incomplete");
    sources
}

/// Panics with a list of all violations, if there are any.
fn report(rule: &str, found: Vec<String>) {
    let mut list = String::new();
    for one in &found {
        write!(list, "\n  {one}").expect("writing to a string cannot fail");
    }
    assert!(found.is_empty(), "{rule}:{list}");
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

#[test]
fn files_are_short() {
    let long = sources().iter().filter(|source| source.text.lines().count() > MAX_FILE);
    report(&format!("files over {MAX_FILE} lines"), long.map(|source| source.path.clone()).collect());
}

#[test]
fn functions_are_short() {
    let mut found = Vec::new();
    for source in sources() {
        for (name, line, lines) in source.functions() {
            if lines > MAX_FUNCTION {
                found.push(format!("{}:{line}: {name}: {lines} lines", source.path));
            }
        }
    }
    report(&format!("functions over {MAX_FUNCTION} lines"), found);
}

#[test]
fn no_work_is_left_unfinished() {
    let mut found = Vec::new();
    for source in sources() {
        for (n, line) in source.text.lines().enumerate() {
            if UNFINISHED.iter().any(|word| source::has_word(line, word)) {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    report("unfinished work: finish it, or describe it in an issue", found);
}

#[test]
fn only_the_platform_module_uses_cfg() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !is_in(&source.path, PLATFORM)) {
        for (n, line) in source.code.lines().enumerate() {
            if is_in(&source.path, FEATURES) && line.contains("(feature = ") {
                continue;
            }
            let rest = CFG_ANYWHERE.iter().fold(line.to_owned(), |line, allowed| line.replace(allowed, ""));
            if ["cfg(", "cfg!(", "cfg_attr("].iter().any(|cfg| source::has_word(&rest, cfg)) {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    report(&format!("`cfg` outside of {PLATFORM:?}"), found);
}

#[test]
fn only_listed_files_use_unsafe() {
    let places: Vec<&str> = UNSAFE.iter().map(|(place, _)| *place).collect();
    let sources = sources();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !is_in(&source.path, &places)) {
        for (n, line) in source.code.lines().enumerate().filter(|(_, line)| source::has_word(line, "unsafe")) {
            found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
        }
    }
    for place in places {
        let used =
            sources.iter().any(|source| is_in(&source.path, &[place]) && source::has_word(&source.code, "unsafe"));
        if !used {
            found.push(format!("{place} has no unsafe: remove it from the list"));
        }
    }
    report("`unsafe` outside of the list in ci/tidy/src/lib.rs", found);
}

#[test]
fn imports_point_down() {
    let packages =
        layers::parse(&document("ARCHITECTURE.md")).unwrap_or_else(|error| panic!("ARCHITECTURE.md: {error}"));
    let mut found = layers::check_table(&packages);
    for package in &packages {
        let folder = format!("{}/src/", package.name);
        let sources: Vec<&Source> = sources().iter().filter(|source| source.path.starts_with(&folder)).collect();
        found.extend(layers::check_sources(package, &sources));
    }
    report("the layer table in ARCHITECTURE.md and the sources disagree", found);
}

#[test]
fn paths_in_documents_exist() {
    let mut found = Vec::new();
    for name in DOCUMENTS {
        for (line, path) in links::dead(root(), &document(name)) {
            found.push(format!("{name}:{line}: {path}"));
        }
    }
    report("paths that do not exist", found);
}

#[test]
fn symbols_in_documents_exist() {
    let sources = sources();
    let mut found = Vec::new();
    for name in DOCUMENTS_WITH_SYMBOLS {
        for (line, symbol) in symbols::dead(sources, &document(name)) {
            found.push(format!("{name}:{line}: {symbol}"));
        }
    }
    report("symbols that do not exist", found);
}

// The first check in a test runs the whole test in another process. Here its body has not run, so
// an assertion after it would check nothing.
#[test]
fn nothing_follows_a_check() {
    let is_check = |statement: &str| {
        let name = statement.split('(').next().unwrap_or_default();
        CHECKS.iter().any(|check| name == *check || name.starts_with(&format!("{check}_")))
    };
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| is_in(&source.path, CHECKED)) {
        let (mut in_test, mut after_check) = (false, false);
        for (n, line) in source.code.lines().enumerate() {
            if !line.starts_with(' ') {
                in_test = line == "#[test]" || in_test && line.starts_with("fn ");
                after_check = false;
            }
            // A statement that is in no block of its own.
            let statement = line.strip_prefix("    ").filter(|rest| rest.starts_with(char::is_alphabetic));
            let Some(statement) = statement.filter(|_| in_test) else { continue };
            if after_check && !is_check(statement) {
                found.push(format!("{}:{}: {}", source.path, n + 1, statement.trim()));
            }
            after_check |= is_check(statement);
        }
    }
    report("statements after a check", found);
}

#[test]
fn chains_of_calls_are_unbroken() {
    let (found, chains) = chains::check(sources(), &document("ARCHITECTURE.md"));
    let mut found: Vec<_> = found.into_iter().map(|(line, text)| format!("ARCHITECTURE.md:{line}: {text}")).collect();
    if !(CHAINS..).contains(&chains) {
        found.push(format!("{chains} blocks open with ```chain, and there were {CHAINS}"));
    }
    report("the call chains in ARCHITECTURE.md and the sources disagree", found);
}

#[test]
fn prose_follows_the_rules() {
    let mut found = Vec::new();
    for path in files(root(), &[".rs", ".md", ".sh", ".toml"]) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let check = match path.extension().and_then(|ending| ending.to_str()) {
            Some("rs") => prose::check_rust,
            Some("md") => prose::check_markdown,
            _ => prose::check_script,
        };
        let path = path.strip_prefix(root()).expect("found below the root").display().to_string();
        if is_in(&path, GENERATED) {
            continue;
        }
        let complaints = check(&text).into_iter().filter(|(_, complaint)| {
            !PROSE_ALLOWED.iter().any(|(place, allowed)| path.starts_with(place) && complaint.contains(allowed))
        });
        found.extend(complaints.map(|(line, complaint)| format!("{path}:{line}: {complaint}")));
    }
    report("prose, see CONTRIBUTING.md", found);
}
