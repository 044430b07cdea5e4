//! Settings to be made before the runtime starts, by code or by environment. Most programs need
//! none.
//!
//! | setting | by code | by environment | otherwise |
//! | --- | --- | --- | --- |
//! | number of Ps | [`Config::procs`] | `GOMAXPROCS` | the usable CPUs (affinity, cgroup quota) |
//! | guards of stacks | [`Config::guards`] | `GREENTHREAD_GUARDS` (`holes`) | the best method |
//! | stack reservation | [`Config::stack_size`] | `GREENTHREAD_STACK` (`256k`, `1m`) | 384 KiB |
//! | limit of Ms | [`Config::max_threads`] | `GREENTHREAD_MAXTHREADS` | 10000 |
//! | chaos mode, for tests | [`Config::chaos`] | `GREENTHREAD_CHAOS` (a seed; 0 is off) | off |
//! | summary lines | [`Config::schedtrace`] | `GODEBUG=schedtrace=1000` (ms) | off |
//! | a line per P, M and G | [`Config::scheddetail`] | `GODEBUG=scheddetail=1` | off |
//! | end the process at a deadlock | [`Config::deadlock`] | `GODEBUG=deadlock=0` | on |
//!
//! ```
//! use greenthread::config::Config;
//!
//! fn main() {
//!     Config::default().stack_size(1 << 20).install().unwrap();
//!     // From here on everything may use goroutines.
//! }
//! ```
//!
//! Code wins over the environment, setting by setting. The environment's value of a setting made by
//! code is not even read. A bad value in code is an error of [`Config::install`]. A bad value in
//! the environment is a warning on stderr that names the variable, the value, and the value used
//! instead. As in Go, an empty variable counts as unset, and keys of `GODEBUG` that are not in the
//! table are ignored silently.

mod env;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use env::{Settings, default_procs, settings};

use crate::machine::stack::DEFAULT_RESERVATION;
pub use crate::machine::stack::guards::Guards;

/// The largest number of Ps.
///
/// ```
/// use greenthread::config::{Config, MAX_PROCS};
///
/// assert!(Config::default().procs(MAX_PROCS + 1).install().is_err());
/// ```
pub const MAX_PROCS: usize = 1024;

/// The smallest stack reservation of a goroutine, in bytes.
///
/// ```
/// use greenthread::config::{Config, MIN_STACK_SIZE};
///
/// assert!(Config::default().stack_size(MIN_STACK_SIZE - 1).install().is_err());
/// ```
pub const MIN_STACK_SIZE: usize = 16 << 10;

/// The largest stack reservation of a goroutine, in bytes.
///
/// ```
/// use greenthread::config::{Config, MAX_STACK_SIZE};
///
/// assert!(Config::default().stack_size(MAX_STACK_SIZE + 1).install().is_err());
/// ```
pub const MAX_STACK_SIZE: usize = 64 << 30;

/// The default stack reservation of a goroutine, in bytes.
///
/// It is 384 KiB, or 2 MiB in builds with debug assertions, whose frames are larger.
///
/// ```
/// use greenthread::config::DEFAULT_STACK_SIZE;
///
/// assert_eq!(DEFAULT_STACK_SIZE, if cfg!(debug_assertions) { 2 << 20 } else { 384 << 10 });
/// ```
pub const DEFAULT_STACK_SIZE: usize = DEFAULT_RESERVATION;

/// The default limit of OS threads (Go's).
///
/// ```
/// use greenthread::config::{Config, DEFAULT_MAX_THREADS};
///
/// let config = Config::default().max_threads(2 * DEFAULT_MAX_THREADS);
/// # assert_ne!(config, Config::default());
/// ```
pub const DEFAULT_MAX_THREADS: usize = 10_000;

const _: () = assert!(MIN_STACK_SIZE == 16 << 10 && MAX_STACK_SIZE == 64 << 30);

/// Settings of the runtime.
///
/// They must be made before anything uses the runtime: in the first statement of a plain `main`,
/// since `#[greenthread::main]` starts the runtime before the function's body. Each method makes
/// one setting. A setting that is not made is left to the environment. (Go has only the
/// environment.)
///
/// ```
/// use greenthread::config::Config;
///
/// Config::default().procs(4).stack_size(1 << 20).install().unwrap();
/// assert!(Config::default().install().is_err(), "already installed");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "settings take effect by `install`"]
pub struct Config {
    procs: Option<usize>,
    stack_size: Option<usize>,
    guards: Option<Guards>,
    max_threads: Option<usize>,
    chaos: Option<Option<u64>>,
    schedtrace: Option<Duration>,
    scheddetail: Option<bool>,
    deadlock: Option<bool>,
}

impl Config {
    /// Sets the number of Ps: how many goroutines run at the same time, from 1 to [`MAX_PROCS`].
    ///
    /// As with `GOMAXPROCS`, the number then does not follow the CPUs.
    ///
    /// ```
    /// # use greenthread::config::Config;
    /// let one_at_a_time = Config::default().procs(1);
    /// assert!(one_at_a_time.procs(0).install().is_err(), "out of range");
    /// ```
    pub fn procs(mut self, n: usize) -> Self {
        self.procs = Some(n);
        self
    }

    /// Sets the default stack reservation of goroutines, in bytes, from [`MIN_STACK_SIZE`] to
    /// [`MAX_STACK_SIZE`].
    ///
    /// The reservation is address space; memory is allocated page by page as the stack is used.
    ///
    /// ```
    /// # use greenthread::config::Config;
    /// let config = Config::default().stack_size(1 << 20); // 1 MiB
    /// assert!(config.stack_size(4096).install().is_err(), "out of range");
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets the method by which the guard areas below stacks are made.
    ///
    /// If the system does not support it, a warning on stderr says so and names the method that is
    /// used instead. [`debug::stats`](crate::stats) returns the method in use.
    ///
    /// ```
    /// # use greenthread::config::{Config, Guards};
    /// Config::default().guards(Guards::Mprotect).install().unwrap();
    /// ```
    pub fn guards(mut self, method: Guards) -> Self {
        self.guards = Some(method);
        self
    }

    /// Sets the largest number of OS threads that the runtime may have for goroutines at once.
    ///
    /// When the limit is reached, the runtime prints a warning, once, and goroutines wait until a
    /// thread becomes free: that many threads indicate that something blocks without bound. If none
    /// can become free, the process ends with status 2 and Go's "thread exhaustion". This happens
    /// when each thread is locked to a goroutine that waits, or when a pinned goroutine needs a
    /// thread and none of the existing threads ever ends. (In Go the process ends as soon as the
    /// limit is reached.)
    ///
    /// Threads that have run goroutines do not end, except those of pinned goroutines, so this also
    /// limits how many threads stay.
    ///
    /// ```
    /// # use greenthread::config::Config;
    /// let config = Config::default().max_threads(100);
    /// assert!(config.max_threads(0).install().is_err(), "out of range");
    /// ```
    pub fn max_threads(mut self, n: usize) -> Self {
        self.max_threads = Some(n);
        self
    }

    /// Makes the scheduler take its rare paths all the time, by choices that depend on the seed.
    ///
    /// `None` switches this off, whatever the environment says.
    ///
    /// This is meant for tests: goroutines lose their P when they enter the scheduler, continue on
    /// other threads, and run in other orders. All guarantees except speed still hold: a program
    /// that fails in this mode has a mistake that could also show up without it. The same seed
    /// makes the same failure likely, not certain, since the system still decides when threads run.
    ///
    /// ```
    /// use greenthread::config::Config;
    ///
    /// Config::default().chaos(Some(42)).install().unwrap();
    /// ```
    pub fn chaos(mut self, seed: Option<u64>) -> Self {
        self.chaos = Some(seed);
        self
    }

    /// Prints a summary line of the scheduler on stderr at this interval; zero switches it off.
    ///
    /// ```
    /// use greenthread::config::Config;
    /// use std::time::Duration;
    ///
    /// // Like GODEBUG=schedtrace=1000.
    /// let config = Config::default().schedtrace(Duration::from_secs(1));
    /// # assert_ne!(config, Config::default());
    /// ```
    pub fn schedtrace(mut self, interval: Duration) -> Self {
        self.schedtrace = Some(interval);
        self
    }

    /// Adds a line for each P, M and G to the summary.
    ///
    /// ```
    /// use greenthread::config::Config;
    /// use std::time::Duration;
    ///
    /// // Like GODEBUG=schedtrace=1000,scheddetail=1.
    /// let config = Config::default().schedtrace(Duration::from_secs(1)).scheddetail(true);
    /// # assert_ne!(config, Config::default());
    /// ```
    pub fn scheddetail(mut self, on: bool) -> Self {
        self.scheddetail = Some(on);
        self
    }

    /// Sets whether a deadlock ends the process, with Go's "all goroutines are asleep" and status
    /// 2.
    ///
    /// By default a deadlock ends the process when nothing is left that could wake a goroutine; on
    /// systems other than Linux it never does. The report is never wrong, so the only reason to
    /// switch it off is a process that must stay alive although it sleeps forever.
    ///
    /// ```
    /// # use greenthread::config::Config;
    /// // Like GODEBUG=deadlock=0.
    /// let config = Config::default().deadlock(false);
    /// # assert_ne!(config, Config::default());
    /// ```
    pub fn deadlock(mut self, report: bool) -> Self {
        self.deadlock = Some(report);
        self
    }

    /// Makes these the runtime's settings, before the first use of anything else.
    ///
    /// Does not block.
    ///
    /// # Errors
    /// If a value is out of range, if the runtime has already started, or if settings were
    /// installed before.
    ///
    /// ```
    /// use greenthread::config::{Config, InstallError};
    ///
    /// assert_eq!(Config::default().procs(2).install(), Ok(()));
    /// assert_eq!(Config::default().procs(4).install(), Err(InstallError::AlreadyInstalled));
    /// ```
    pub fn install(self) -> Result<(), InstallError> {
        self.check()?;
        INSTALLED.set(self).map_err(|_| InstallError::AlreadyInstalled)
    }

    fn check(&self) -> Result<(), InstallError> {
        let in_range = |name, value: Option<usize>, min, max| match value {
            Some(value) if value < min || value > max => Err(InstallError::OutOfRange { name, value, min, max }),
            _ => Ok(()),
        };
        in_range("procs", self.procs, 1, MAX_PROCS)?;
        in_range("stack_size", self.stack_size, MIN_STACK_SIZE, MAX_STACK_SIZE)?;
        in_range("max_threads", self.max_threads, 1, usize::MAX)
    }
}

/// The settings that code has installed.
///
/// They are fixed when the runtime starts, at the latest.
static INSTALLED: OnceLock<Config> = OnceLock::new();

/// The reason why [`Config::install`] refused the settings.
///
/// ```
/// use greenthread::config::Config;
///
/// let error = Config::default().procs(0).install().unwrap_err();
/// assert_eq!(error.to_string(), "config: procs is 0, but must be from 1 to 1024");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// The runtime has started, or settings were installed before.
    AlreadyInstalled,
    /// A value is out of range.
    OutOfRange {
        /// The name of the setting.
        name: &'static str,
        /// The value that it was set to.
        value: usize,
        /// The smallest value allowed.
        min: usize,
        /// The largest value allowed.
        max: usize,
    },
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInstalled => f.write_str("config: the runtime has already started, or settings are already installed; install them once, at the start of main"),
            Self::OutOfRange { name, value, min, max: usize::MAX } => {
                write!(f, "config: {name} is {value}, but must be at least {min}")
            }
            Self::OutOfRange { name, value, min, max } => {
                write!(f, "config: {name} is {value}, but must be from {min} to {max}")
            }
        }
    }
}

impl std::error::Error for InstallError {}
