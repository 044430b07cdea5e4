//! The settings of the process: those that code has installed, completed from the environment.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, thread};

use super::{
    Config, DEFAULT_MAX_THREADS, DEFAULT_STACK_SIZE, Guards, INSTALLED, MAX_PROCS, MAX_STACK_SIZE, MIN_STACK_SIZE,
};

/// The value of every setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The initial number of Ps.
    pub(crate) procs: usize,
    /// Whether `procs` was chosen, so that it does not follow the CPUs that this process may use.
    pub(crate) procs_fixed: bool,
    /// The default stack reservation, in bytes.
    pub(crate) stack_size: usize,
    /// How guard areas are to be made.
    pub(crate) guards: Guards,
    /// The limit of Ms.
    pub(crate) max_threads: usize,
    /// The seed of chaos mode, if it is on.
    pub(crate) chaos: Option<u64>,
    /// The interval of the summary lines, if they are on.
    pub(crate) schedtrace: Option<Duration>,
    /// Whether the summary includes details.
    pub(crate) scheddetail: bool,
    /// Whether a deadlock is reported.
    pub(crate) deadlock_report: bool,
}

/// Returns the settings of this process, which the first call determines.
///
/// That call prints the warnings. From then on, [`Config::install`] refuses all settings.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let mut warnings = Vec::new();
        let code = INSTALLED.get_or_init(Config::default);
        let settings = Settings::resolve(code, |name| env::var_os(name), default_procs(), &mut warnings);
        for warning in warnings {
            // A closed stderr must not make the program fail.
            let _ = writeln!(io::stderr(), "greenthread: {warning}");
        }
        settings
    })
}

/// Returns the number of CPUs that this process may use now, given its affinity and the quota of
/// its cgroup: at least 1.
pub(crate) fn default_procs() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_PROCS)
}

impl Settings {
    /// Fills in what `code` leaves open, first from the environment, which `get` reads, and then
    /// with the defaults.
    ///
    /// The default number of Ps is `cpus`.
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
            guards: code.guards.or_else(|| env.guards()).unwrap_or_default(),
            max_threads: code.max_threads.or_else(|| env.max_threads()).unwrap_or(DEFAULT_MAX_THREADS),
            chaos: code.chaos.unwrap_or_else(|| env.chaos()),
            schedtrace: debug.schedtrace.filter(|interval| !interval.is_zero()),
            scheddetail: debug.scheddetail.unwrap_or(false),
            deadlock_report: debug.deadlock.unwrap_or(true),
        }
    }
}

/// The environment, and the place where its bad values are reported.
///
/// `None` from a method means "not set, or not usable".
struct Environment<'a, F> {
    get: F,
    warnings: &'a mut Vec<String>,
}

impl<F: Fn(&str) -> Option<OsString>> Environment<'_, F> {
    /// Returns the variable's value.
    ///
    /// Unset and empty variables are treated alike.
    fn read(&self, name: &str) -> Option<String> {
        let value = (self.get)(name)?;
        // A value that is not Unicode is not a number: the warning shows it as well as it can.
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
                self.warn(NAME, &value, "not a size such as 65536, 256k, 1m or 2g", "the default");
                None
            }
        }
    }

    fn guards(&mut self) -> Option<Guards> {
        const NAME: &str = "GREENTHREAD_GUARDS";
        let value = self.read(NAME)?;
        let method = Guards::named(&value);
        if method.is_none() {
            self.warn(NAME, &value, "not one of auto, install, userfault, holes and mprotect", Guards::Auto);
        }
        method
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

    /// Completes `schedtrace`, `scheddetail` and `deadlock` of `code` from
    /// `GODEBUG=key=value,key=value`.
    ///
    /// If a key occurs twice, the last occurrence counts.
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

/// Parses digits without a sign.
///
/// A number too large for the type is treated as the largest one.
fn whole_number(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

/// Parses a whole number with an optional suffix `k`, `m` or `g` for KiB, MiB or GiB, in either
/// case.
fn byte_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        b'g' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    Some(whole_number(digits)?.saturating_mul(unit))
}
