//! The peers: how each program is built, and what it reports about itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Failure};

/// This project.
pub(crate) const GREENTHREAD: &str = "greenthread";
pub(crate) const GO: &str = "go";
pub(crate) const TOKIO: &str = "tokio";
pub(crate) const MAY: &str = "may";
pub(crate) const GO_LIB: &str = "go-lib";
pub(crate) const THREADS: &str = "threads";

/// In the order of the columns, which is the order in which they take turns.
pub(crate) const PEERS: [Peer; 6] = [
    Peer { name: GREENTHREAD, library: "greenthread" },
    Peer { name: GO, library: "" },
    Peer { name: TOKIO, library: "tokio" },
    Peer { name: MAY, library: "may" },
    Peer { name: GO_LIB, library: "go-lib" },
    Peer { name: THREADS, library: "crossbeam-channel" },
];

/// Downloading and compiling a peer takes minutes at most.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
const ASK_LIMIT: Duration = Duration::from_secs(60);

/// One of the programs in `benches/peers`.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Also the name of its folder, without dashes.
    pub(crate) name: &'static str,
    /// The package whose version is reported.
    library: &'static str,
}

/// A program that can be run.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    pub(crate) workloads: Vec<String>,
}

/// The reason why a peer's column, or one of its cells, is empty.
#[derive(Clone, Debug)]
pub(crate) enum Missing {
    /// Nothing is wrong: this machine lacks what the peer needs, or the peer does not support the
    /// workload.
    Unavailable(String),
    Failed(String),
}

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "Not measured: {why}."),
            Self::Failed(why) => write!(f, "Failed: {why}."),
        }
    }
}

/// For a program that should exist.
impl From<Failure> for Missing {
    fn from(failure: Failure) -> Self {
        Self::Failed(match failure {
            Failure::NotStarted(error) => error.to_string(),
            Failure::Failed(why) => why,
        })
    }
}

impl Peer {
    /// Builds the program in the target folder of this program.
    pub(crate) fn build(&self) -> Result<Built, Missing> {
        let folder = peers_dir().join(self.name.replace('-', ""));
        let program = program(&format!("peer-{}", self.name))?;
        let version = if self.name == GO { build_go(&folder, &program)? } else { self.build_rust(&folder)? };
        let list = run(Command::new(&program).arg("list"), ASK_LIMIT)?;
        Ok(Built { program, version, workloads: list.lines().map(str::to_owned).collect() })
    }

    fn build_rust(&self, folder: &Path) -> Result<String, Missing> {
        build_rust(folder, &[])?;
        // greenthread's program is a member of the workspace, and has no lock file of its own.
        let lock = fs::read_to_string(folder.join("Cargo.lock"));
        let version = match &lock {
            Ok(lock) => locked_version(lock, self.library),
            Err(_) => Some(env!("CARGO_PKG_VERSION")),
        };
        Ok(format!("{} {}", self.library, version.unwrap_or("of unknown version")))
    }
}

/// Builds the package in a folder, or the part of it that `args` selects.
pub(crate) fn build_rust(folder: &Path, args: &[&str]) -> Result<(), Missing> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--locked"]).args(args).arg("--target-dir").arg(target_dir()?);
    run(command.current_dir(folder), BUILD_LIMIT)?;
    Ok(())
}

/// Builds the Go program in a folder, and returns the version of Go.
pub(crate) fn build_go(folder: &Path, program: &Path) -> Result<String, Missing> {
    let go = env::var_os("GO").unwrap_or_else(|| "go".into());
    let go_command = |args: &[&OsStr]| {
        let mut command = Command::new(&go);
        // Use the installed Go, and do not download another one.
        command.args(args).current_dir(folder).env("GOTOOLCHAIN", "local");
        command
    };
    let version = match child::output(&mut go_command(&["version".as_ref()]), ASK_LIMIT) {
        Ok(version) => version,
        Err(Failure::NotStarted(error)) => return Err(Missing::Unavailable(no_go(&go, &error.to_string()))),
        Err(Failure::Failed(why)) => return Err(Missing::Failed(why)),
    };
    run(&mut go_command(&["build".as_ref(), "-o".as_ref(), program.as_ref()]), BUILD_LIMIT)?;
    Ok(version.trim().trim_start_matches("go version ").to_owned())
}

fn no_go(go: &OsString, error: &str) -> String {
    format!("cannot start {}: {error}; put `go` on PATH, or set the environment variable GO to its path", go.display())
}

fn run(command: &mut Command, limit: Duration) -> Result<String, Missing> {
    child::output(command, limit).map_err(|failure| {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().display();
        Missing::Failed(match failure {
            Failure::NotStarted(error) => format!("{program}: {error}"),
            Failure::Failed(why) => format!("{program}: {why}"),
        })
    })
}

pub(crate) fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Returns cargo's target folder of this program: two folders up.
fn target_dir() -> Result<PathBuf, Missing> {
    let this = env::current_exe().ok();
    let target = this.as_deref().and_then(|this| this.parent()?.parent());
    target.map(Path::to_owned).ok_or_else(|| Missing::Failed("cannot determine the path of this program".to_owned()))
}

/// Returns the path that a program has when it is built.
pub(crate) fn program(name: &str) -> Result<PathBuf, Missing> {
    Ok(target_dir()?.join("release").join(name))
}

/// Returns the version of a package in a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_a_lock_file() {
        let lock = "[[package]]\nname = \"may_queue\"\nversion = \"0.1.20\"\n\n\
                    [[package]]\nname = \"may\"\nversion = \"0.3.51\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "may"), Some("0.3.51"));
        assert_eq!(locked_version(lock, "ma"), None);
    }
}
