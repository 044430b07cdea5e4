//! Runs a command to which the kernel denies some system calls, as a container's filter would.
//!
//! The calls are those which the runtime likes to have and can do without, and some that only
//! programs use that run beside it (a profiler, a C library).

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

const USAGE: &str = "\
Runs a command to which the kernel denies some system calls.

usage: greenthread-deny ERROR CALLS COMMAND [ARGUMENT]...
       greenthread-deny list

ERROR is EPERM or ENOSYS, which the calls return. CALLS is a list of names with commas between
them, or `all`; `list` prints the names. `madvise` stands for the kinds of advice since Linux 4.5.";

/// What may be denied, by name.
const CALLS: [(&str, i64); 12] = [
    ("membarrier", libc::SYS_membarrier),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("process_madvise", libc::SYS_process_madvise),
    ("madvise", libc::SYS_madvise),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("epoll_pwait2", libc::SYS_epoll_pwait2),
    ("rseq", libc::SYS_rseq),
    ("sched_getaffinity", libc::SYS_sched_getaffinity),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("timer_create", libc::SYS_timer_create),
    ("prctl", libc::SYS_prctl),
    ("clone3", libc::SYS_clone3),
];

/// The kinds of advice that old kernels do not know: MADV_FREE, MADV_COLD, MADV_PAGEOUT,
/// MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED, MADV_COLLAPSE,
/// MADV_GUARD_INSTALL, and MADV_GUARD_REMOVE.
const NEW_ADVICE: [u64; 9] = [8, 20, 21, 22, 23, 24, 25, 102, 103];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &arguments[..] {
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["list"] => {
            CALLS.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
        [error, calls, command, arguments @ ..] => run(error, calls, command, arguments),
        _ => Err(USAGE.into()),
    };
    let Err(error) = done;
    eprintln!("greenthread-deny: {error}");
    ExitCode::from(2)
}

/// Installs the filter and becomes the command; returns only an error.
fn run(
    error: &str,
    calls: &str,
    command: &str,
    arguments: &[&str],
) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let errno = match error {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        _ => return Err(format!("{error} is neither EPERM nor ENOSYS").into()),
    };
    apply_filter(&filter(errno.cast_unsigned(), calls)?)?;
    Err(format!("{command}: {}", Command::new(command).args(arguments).exec()).into())
}

/// Returns the program by which the kernel denies the calls.
fn filter(errno: u32, calls: &str) -> Result<BpfProgram, Box<dyn Error>> {
    let mut rules = BTreeMap::new();
    for name in calls.split(',') {
        let chosen: Vec<_> = CALLS.iter().filter(|call| name == "all" || call.0 == name).collect();
        if chosen.is_empty() {
            return Err(format!("unknown system call {name}; `list` prints the names").into());
        }
        for &&(name, number) in &chosen {
            rules.insert(number, if name == "madvise" { new_advice()? } else { Vec::new() });
        }
    }
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// Returns the rules by which an `madvise` with an advice of a new kind is denied.
fn new_advice() -> seccompiler::Result<Vec<SeccompRule>> {
    let is = |advice| SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, advice);
    let rule = |advice| SeccompRule::new(vec![is(advice)?]).map_err(seccompiler::Error::from);
    NEW_ADVICE.into_iter().map(rule).collect()
}
