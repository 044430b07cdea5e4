//! What can be set before the runtime starts, by code and by environment. Most programs need none of it.
//!
//! | setting | by code | by environment | otherwise |
//! | --- | --- | --- | --- |
//! | number of Ps | [`Config::procs`] | `GOMAXPROCS` | the CPUs that this process may use (affinity and cgroup quota) |
//! | stack reservation | [`Config::stack_size`] | `GREENTHREAD_STACK` (`256k`, `1m`) | 256 KiB |
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
//! What code says wins, setting by setting, and then the environment's value is not even looked at. A bad value
//! in code is an error of [`Config::install`]. A bad value in the environment is a warning on stderr that names the
//! variable, the value and what is used instead. An empty variable counts as unset, and keys of `GODEBUG` that are not
//! in the table are somebody else's: both are passed over in silence, as Go does.

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fmt, io, thread};

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
/// The stack reservation of a goroutine if nobody says otherwise, in bytes.
///
/// ```
/// use greenthread::config::DEFAULT_STACK_SIZE;
///
/// assert_eq!(DEFAULT_STACK_SIZE, 256 << 10);
/// ```
pub const DEFAULT_STACK_SIZE: usize = 256 << 10;
/// The limit of OS threads if nobody says otherwise (Go's).
///
/// ```
/// use greenthread::config::{Config, DEFAULT_MAX_THREADS};
///
/// let config = Config::default().max_threads(2 * DEFAULT_MAX_THREADS);
/// # assert_ne!(config, Config::default());
/// ```
pub const DEFAULT_MAX_THREADS: usize = 10_000;

/// Settings of the runtime, to be made before anything uses it: as the first statement of a plain `main`, since
/// `#[greenthread::main]` starts the runtime before the function's body. Each method sets one thing, and the rest is
/// left to the environment. Go has the environment alone.
///
/// ```
/// use greenthread::config::Config;
///
/// Config::default().procs(4).stack_size(1 << 20).install().unwrap();
/// assert!(Config::default().install().is_err(), "settled");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "settings take effect by `install`"]
pub struct Config {
    procs: Option<usize>,
    stack_size: Option<usize>,
    max_threads: Option<usize>,
    chaos: Option<Option<u64>>,
    schedtrace: Option<Duration>,
    scheddetail: Option<bool>,
    deadlock: Option<bool>,
}

impl Config {
    /// The number of Ps: how many goroutines run at the same time, from 1 to [`MAX_PROCS`]. It then does not follow the
    /// CPUs, as with `GOMAXPROCS`.
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

    /// The stack reservation of goroutines that are spawned without one of their own, in bytes, from
    /// [`MIN_STACK_SIZE`] to [`MAX_STACK_SIZE`].
    ///
    /// This is address space; memory is taken page by page as the stack is used.
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

    /// The largest number of OS threads that the runtime may have for goroutines at once. When it
    /// is reached there is a warning, once, and goroutines wait until a thread comes free: so many
    /// threads mean that something blocks without bound. If none can come free, the process ends
    /// with status 2 and Go's "thread exhaustion": when each thread is locked to a goroutine that
    /// waits, or when a pinned goroutine needs a thread and only threads are there that never end.
    /// (In Go the process ends as soon as the limit is reached.)
    ///
    /// Threads that have run goroutines do not end, but for those of pinned ones, so this also
    /// limits how many stay.
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

    /// Makes the scheduler take its rare paths all the time, by random choices that follow from the seed.
    /// `None` switches this off, whatever the environment says.
    ///
    /// For tests: goroutines lose their P when they enter the scheduler, go on elsewhere, run in other orders. All that
    /// is promised still holds, but for the speed: a program that fails in this mode has a mistake that it could meet
    /// without it. The same seed makes the same failure likely, not certain, since the system still decides when
    /// threads run.
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

    /// Prints a summary line of the scheduler on stderr at this interval; zero is off.
    ///
    /// ```
    /// use greenthread::config::Config;
    /// use std::time::Duration;
    ///
    /// // As GODEBUG=schedtrace=1000.
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
    /// // As GODEBUG=schedtrace=1000,scheddetail=1.
    /// let config = Config::default().schedtrace(Duration::from_secs(1)).scheddetail(true);
    /// # assert_ne!(config, Config::default());
    /// ```
    pub fn scheddetail(mut self, on: bool) -> Self {
        self.scheddetail = Some(on);
        self
    }

    /// Whether the process ends, with Go's "all goroutines are asleep" and status 2, when nobody is left who could wake
    /// a goroutine. On, unless this says otherwise; off on systems other than Linux. It is never false, so there is a
    /// reason to switch it off only where a process is to stay although it sleeps for ever.
    ///
    /// ```
    /// # use greenthread::config::Config;
    /// // As GODEBUG=deadlock=0.
    /// let config = Config::default().deadlock(false);
    /// # assert_ne!(config, Config::default());
    /// ```
    pub fn deadlock(mut self, report: bool) -> Self {
        self.deadlock = Some(report);
        self
    }

    /// Makes these the runtime's settings. To be called before the first use of anything else. Does not block.
    ///
    /// # Errors
    /// If a value is out of range, if the runtime has started already, or if settings were installed before.
    ///
    /// ```
    /// use greenthread::config::{Config, InstallError};
    ///
    /// assert_eq!(Config::default().procs(2).install(), Ok(()));
    /// assert_eq!(Config::default().procs(4).install(), Err(InstallError::AlreadyInstalled));
    /// ```
    pub fn install(self) -> Result<(), InstallError> {
        self.check()?;
        CODE.set(self).map_err(|_| InstallError::AlreadyInstalled)
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

/// Why [`Config::install`] refused.
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
    /// A value makes no sense.
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What it was set to.
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
            Self::AlreadyInstalled => f.write_str("config: the runtime has started, or settings were installed before"),
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

/// What code has installed; settled, at the latest, when the runtime starts.
static CODE: OnceLock<Config> = OnceLock::new();

/// Every setting, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Number of Ps at the start.
    pub(crate) procs: usize,
    /// Somebody has chosen `procs`: it does not follow the CPUs that this process may use.
    pub(crate) procs_fixed: bool,
    /// Default stack reservation, in bytes.
    pub(crate) stack_size: usize,
    /// Limit of Ms.
    pub(crate) max_threads: usize,
    /// Seed of the chaos mode, if it is on.
    pub(crate) chaos: Option<u64>,
    /// Interval of the summary lines, if they are on.
    pub(crate) schedtrace: Option<Duration>,
    /// Whether the summary goes into details.
    pub(crate) scheddetail: bool,
    /// Whether a deadlock is reported.
    pub(crate) deadlock_report: bool,
}

/// The settings of this process, decided by the first call. That call prints the warnings, and is the moment from
/// which on [`Config::install`] refuses.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let mut warnings = Vec::new();
        let code = CODE.get_or_init(Config::default);
        let settings = Settings::resolve(code, |name| env::var_os(name), default_procs(), &mut warnings);
        for warning in warnings {
            // A closed stderr is no reason to fail.
            let _ = writeln!(io::stderr(), "greenthread: {warning}");
        }
        settings
    })
}

/// The CPUs that this process may use now: affinity and cgroup quota counted, at least 1.
pub(crate) fn default_procs() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_PROCS)
}

impl Settings {
    /// Fills what `code` leaves open from the environment `get`, and the rest with defaults, `cpus` Ps among them.
    pub(crate) fn resolve(
        code: &Config,
        get: impl Fn(&str) -> Option<OsString>,
        cpus: usize,
        warnings: &mut Vec<String>,
    ) -> Self {
        let mut env = Environment { get, warnings };
        let procs = code.procs.or_else(|| env.gomaxprocs(cpus));
        let debug = env.godebug(code);
        Self {
            procs: procs.unwrap_or(cpus),
            procs_fixed: procs.is_some(),
            stack_size: code.stack_size.or_else(|| env.stack()).unwrap_or(DEFAULT_STACK_SIZE),
            max_threads: code.max_threads.or_else(|| env.max_threads()).unwrap_or(DEFAULT_MAX_THREADS),
            chaos: code.chaos.unwrap_or_else(|| env.chaos()),
            schedtrace: debug.schedtrace.filter(|interval| !interval.is_zero()),
            scheddetail: debug.scheddetail.unwrap_or(false),
            deadlock_report: debug.deadlock.unwrap_or(true),
        }
    }
}

/// The environment, and where its bad values are reported. `None` from a method means "not set, or not usable".
struct Environment<'a, F> {
    get: F,
    warnings: &'a mut Vec<String>,
}

impl<F: Fn(&str) -> Option<OsString>> Environment<'_, F> {
    /// The variable's value; unset and empty are the same.
    fn read(&self, name: &str) -> Option<String> {
        let value = (self.get)(name)?;
        // What is not Unicode is no number either: the warning shows it as well as it can be shown.
        Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
    }

    fn warn(&mut self, name: &str, value: &str, why: &str, instead: impl fmt::Display) {
        self.warnings.push(format!("{name}={value:?}: {why}; using {instead}"));
    }

    fn gomaxprocs(&mut self, cpus: usize) -> Option<usize> {
        const NAME: &str = "GOMAXPROCS";
        let value = self.read(NAME)?;
        match whole_number(&value) {
            Some(n @ 1..=MAX_PROCS) => Some(n),
            Some(n) if n > MAX_PROCS => {
                self.warn(NAME, &value, "more than the largest number of Ps", MAX_PROCS);
                Some(MAX_PROCS)
            }
            _ => {
                let instead = format!("{cpus}, the number of CPUs");
                self.warn(NAME, &value, "not a whole number above 0", instead);
                None
            }
        }
    }

    fn stack(&mut self) -> Option<usize> {
        const NAME: &str = "GREENTHREAD_STACK";
        let value = self.read(NAME)?;
        match byte_size(&value) {
            Some(n @ MIN_STACK_SIZE..=MAX_STACK_SIZE) => Some(n),
            Some(n) if n < MIN_STACK_SIZE => {
                self.warn(NAME, &value, "less than the smallest stack", "16k");
                Some(MIN_STACK_SIZE)
            }
            Some(_) => {
                self.warn(NAME, &value, "more than the largest stack", "64g");
                Some(MAX_STACK_SIZE)
            }
            None => {
                self.warn(NAME, &value, "not a size such as 65536, 256k, 1m or 2g", "256k");
                None
            }
        }
    }

    fn max_threads(&mut self) -> Option<usize> {
        const NAME: &str = "GREENTHREAD_MAXTHREADS";
        let value = self.read(NAME)?;
        let limit = whole_number(&value).filter(|&n| n > 0);
        if limit.is_none() {
            self.warn(NAME, &value, "not a whole number above 0", DEFAULT_MAX_THREADS);
        }
        limit
    }

    fn chaos(&mut self) -> Option<u64> {
        const NAME: &str = "GREENTHREAD_CHAOS";
        let value = self.read(NAME)?;
        let seed = whole_number(&value).map(|seed| seed as u64);
        if seed.is_none() {
            self.warn(NAME, &value, "not a whole number", "0, which is off");
        }
        seed.filter(|&seed| seed != 0)
    }

    /// `code`, and what it leaves open of `schedtrace`, `scheddetail` and `deadlock` from
    /// `GODEBUG=key=value,key=value`. Of a key that is there twice, the last counts.
    fn godebug(&mut self, code: &Config) -> Config {
        const NAME: &str = "GODEBUG";
        let mut found = code.clone();
        let Some(all) = self.read(NAME) else { return found };
        for pair in all.split(',') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (key, whole_number(value)) {
                ("schedtrace", _) if code.schedtrace.is_some() => {}
                ("scheddetail", _) if code.scheddetail.is_some() => {}
                ("deadlock", _) if code.deadlock.is_some() => {}
                ("schedtrace", Some(n)) => found.schedtrace = Some(Duration::from_millis(n as u64)),
                ("schedtrace", None) => {
                    self.warn(NAME, pair, "schedtrace is not a whole number of milliseconds", "schedtrace=0");
                    found.schedtrace = None;
                }
                ("scheddetail", Some(n @ 0..=1)) => found.scheddetail = Some(n == 1),
                ("scheddetail", _) => {
                    self.warn(NAME, pair, "scheddetail is neither 0 nor 1", "scheddetail=0");
                    found.scheddetail = None;
                }
                ("deadlock", Some(n @ 0..=1)) => found.deadlock = Some(n == 1),
                ("deadlock", _) => {
                    self.warn(NAME, pair, "deadlock is neither 0 nor 1", "deadlock=1");
                    found.deadlock = None;
                }
                _ => {}
            }
        }
        found
    }
}

/// Digits only, without a sign; a number too large for the type counts as the largest.
fn whole_number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

/// A whole number, with `k`, `m` or `g` after it for KiB, MiB, GiB, in either case.
fn byte_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        b'g' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    Some(whole_number(digits)?.saturating_mul(unit))
}

const _: () = assert!(MIN_STACK_SIZE == 16 << 10 && MAX_STACK_SIZE == 64 << 30 && DEFAULT_STACK_SIZE == 256 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(code: Config, env: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let mut warnings = Vec::new();
        let get = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        (Settings::resolve(&code, get, 2, &mut warnings), warnings)
    }

    fn defaults() -> Settings {
        Settings {
            procs: 2,
            procs_fixed: false,
            stack_size: 256 << 10,
            max_threads: 10_000,
            chaos: None,
            schedtrace: None,
            scheddetail: false,
            deadlock_report: true,
        }
    }

    #[test]
    fn nothing_set_means_defaults_and_silence() {
        assert_eq!(resolve(Config::default(), &[]), (defaults(), vec![]));
        let names = ["GOMAXPROCS", "GODEBUG", "GREENTHREAD_STACK", "GREENTHREAD_MAXTHREADS", "GREENTHREAD_CHAOS"];
        let empty = names.map(|name| (name, ""));
        assert_eq!(resolve(Config::default(), &empty), (defaults(), vec![]));
    }

    #[test]
    fn good_values() {
        let env = [
            ("GOMAXPROCS", "7"),
            ("GODEBUG", "gctrace=1,schedtrace=250,nonsense,scheddetail=1,deadlock=0,http2client=0"),
            ("GREENTHREAD_STACK", "1M"),
            ("GREENTHREAD_MAXTHREADS", "50"),
            ("GREENTHREAD_CHAOS", "7"),
        ];
        let expected = Settings {
            procs: 7,
            procs_fixed: true,
            stack_size: 1 << 20,
            max_threads: 50,
            chaos: Some(7),
            schedtrace: Some(Duration::from_millis(250)),
            scheddetail: true,
            deadlock_report: false,
        };
        assert_eq!(resolve(Config::default(), &env), (expected, vec![]));
    }

    #[test]
    fn stack_sizes() {
        let cases = [
            ("65536", 65536),
            ("16k", 16 << 10),
            ("256K", 256 << 10),
            ("1m", 1 << 20),
            ("2g", 2 << 30),
            ("64G", 64 << 30),
        ];
        for (text, bytes) in cases {
            let (settings, warnings) = resolve(Config::default(), &[("GREENTHREAD_STACK", text)]);
            assert_eq!((settings.stack_size, warnings), (bytes, vec![]), "{text}");
        }
    }

    /// Each row: variable, bad value, the warning's text.
    const BAD: &[(&str, &str, &str)] = &[
        ("GOMAXPROCS", "0", r#"GOMAXPROCS="0": not a whole number above 0; using 2, the number of CPUs"#),
        ("GOMAXPROCS", "-3", r#"GOMAXPROCS="-3": not a whole number above 0; using 2, the number of CPUs"#),
        ("GOMAXPROCS", "abc", r#"GOMAXPROCS="abc": not a whole number above 0; using 2, the number of CPUs"#),
        ("GOMAXPROCS", "+4", r#"GOMAXPROCS="+4": not a whole number above 0; using 2, the number of CPUs"#),
        ("GOMAXPROCS", " 4", r#"GOMAXPROCS=" 4": not a whole number above 0; using 2, the number of CPUs"#),
        ("GOMAXPROCS", "2.5", r#"GOMAXPROCS="2.5": not a whole number above 0; using 2, the number of CPUs"#),
        (
            "GREENTHREAD_STACK",
            "big",
            r#"GREENTHREAD_STACK="big": not a size such as 65536, 256k, 1m or 2g; using 256k"#,
        ),
        ("GREENTHREAD_STACK", "k", r#"GREENTHREAD_STACK="k": not a size such as 65536, 256k, 1m or 2g; using 256k"#),
        (
            "GREENTHREAD_STACK",
            "-1k",
            r#"GREENTHREAD_STACK="-1k": not a size such as 65536, 256k, 1m or 2g; using 256k"#,
        ),
        ("GREENTHREAD_STACK", "1µ", r#"GREENTHREAD_STACK="1µ": not a size such as 65536, 256k, 1m or 2g; using 256k"#),
        ("GREENTHREAD_MAXTHREADS", "0", r#"GREENTHREAD_MAXTHREADS="0": not a whole number above 0; using 10000"#),
        ("GREENTHREAD_CHAOS", "yes", r#"GREENTHREAD_CHAOS="yes": not a whole number; using 0, which is off"#),
        ("GREENTHREAD_MAXTHREADS", "x", r#"GREENTHREAD_MAXTHREADS="x": not a whole number above 0; using 10000"#),
        (
            "GODEBUG",
            "schedtrace=soon",
            r#"GODEBUG="schedtrace=soon": schedtrace is not a whole number of milliseconds; using schedtrace=0"#,
        ),
        (
            "GODEBUG",
            "schedtrace",
            r#"GODEBUG="schedtrace": schedtrace is not a whole number of milliseconds; using schedtrace=0"#,
        ),
        (
            "GODEBUG",
            "a=b,scheddetail=yes",
            r#"GODEBUG="scheddetail=yes": scheddetail is neither 0 nor 1; using scheddetail=0"#,
        ),
        (
            "GODEBUG",
            "deadlock=0,deadlock=off",
            r#"GODEBUG="deadlock=off": deadlock is neither 0 nor 1; using deadlock=1"#,
        ),
    ];

    #[test]
    fn a_bad_value_is_named_and_the_default_is_used() {
        for &(name, value, text) in BAD {
            assert_eq!(resolve(Config::default(), &[(name, value)]), (defaults(), vec![text.to_owned()]));
        }
    }

    #[test]
    fn a_value_out_of_range_is_named_and_the_nearest_is_used() {
        for value in ["1025", "1000000", "99999999999999999999999"] {
            let (settings, warnings) = resolve(Config::default(), &[("GOMAXPROCS", value)]);
            assert_eq!((settings.procs, settings.procs_fixed), (1024, true));
            let text = format!(r#"GOMAXPROCS="{value}": more than the largest number of Ps; using 1024"#);
            assert_eq!(warnings, [text]);
        }
        for (value, bytes, text) in [
            ("0", 16 << 10, r#"GREENTHREAD_STACK="0": less than the smallest stack; using 16k"#),
            ("15k", 16 << 10, r#"GREENTHREAD_STACK="15k": less than the smallest stack; using 16k"#),
            ("65g", 64 << 30, r#"GREENTHREAD_STACK="65g": more than the largest stack; using 64g"#),
            (
                "99999999999999999999g",
                64 << 30,
                r#"GREENTHREAD_STACK="99999999999999999999g": more than the largest stack; using 64g"#,
            ),
        ] {
            let (settings, warnings) = resolve(Config::default(), &[("GREENTHREAD_STACK", value)]);
            assert_eq!(settings.stack_size, bytes);
            assert_eq!(warnings, [text]);
        }
    }

    #[test]
    fn code_beats_the_environment_which_is_then_not_looked_at() {
        let env =
            [("GOMAXPROCS", "abc"), ("GREENTHREAD_STACK", "1m"), ("GODEBUG", "schedtrace=x,deadlock=x,scheddetail=1")];
        let code = Config::default().procs(3).schedtrace(Duration::ZERO).deadlock(true);
        let expected = Settings { procs: 3, procs_fixed: true, stack_size: 1 << 20, scheddetail: true, ..defaults() };
        assert_eq!(resolve(code, &env), (expected, vec![]));
    }

    #[test]
    fn code_switches_chaos_off() {
        let env = [("GREENTHREAD_CHAOS", "7")];
        assert_eq!(resolve(Config::default().chaos(None), &env), (defaults(), vec![]));
        assert_eq!(resolve(Config::default(), &[("GREENTHREAD_CHAOS", "0")]), (defaults(), vec![]));
    }

    #[test]
    fn bad_values_in_code_are_errors() {
        for (config, text) in [
            (Config::default().procs(0), "config: procs is 0, but must be from 1 to 1024"),
            (Config::default().procs(1025), "config: procs is 1025, but must be from 1 to 1024"),
            (Config::default().stack_size(4096), "config: stack_size is 4096, but must be from 16384 to 68719476736"),
            (Config::default().max_threads(0), "config: max_threads is 0, but must be at least 1"),
        ] {
            assert_eq!(config.install().unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn the_default_number_of_ps_is_in_range() {
        assert!((1..=MAX_PROCS).contains(&default_procs()));
    }
}
