//! Signals of the operating system, as values on a channel: Go's `os/signal`.
//!
//! For servers that end gracefully, and daemons that read their settings again.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | receive signals | [`notify`] | `signal.Notify` |
//! | let signals have their default effect again | drop the receivers | `signal.Stop`, `signal.Reset` |
//! | end a context at a signal | [`notify_context`] | `signal.NotifyContext` |
//!
//! ```no_run
//! use greenthread::ctx::Context;
//! use greenthread::net::TcpListener;
//! use greenthread::signal::{self, Signal};
//! use std::time::Duration;
//!
//! #[greenthread::main]
//! fn main() -> std::io::Result<()> {
//!     let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGINT, Signal::SIGTERM]);
//!     let listener = TcpListener::bind("127.0.0.1:8080")?;
//!     listener.serve(&ctx, Duration::from_secs(10), |_ctx, stream| println!("{stream:?}"))
//! }
//! ```
//!
//! Nothing is installed before the first call (but what [`debug`](crate::debug) and the report of stack overflows
//! need), and a program that waits for a signal sleeps. While somebody is notified of a signal, its default effect is
//! off: a program that is notified of [`Signal::SIGTERM`] does not end by it. When the last receiver of a signal is
//! dropped, the effect comes back, be it the system's default, the runtime's dump at [`Signal::SIGQUIT`], or that the
//! signal was ignored (as with `nohup`).
//!
//! Handlers that are there already are called too. They, and those that are added with the crate `signal-hook`, stay
//! when nobody is notified any more; but what is added with `signal-hook` later does not keep the default effect of
//! such a signal off.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use greenthread_channels::closing::Closing;
use greenthread_channels::{Receiver, Sender, bounded};
use greenthread_ctx::{Cancel, Context};
use greenthread_scheduler::{
    Descriptor, Direction, Options, SIGIO_IS_FATAL, WaitReason, end_by_signal, real_time_signals, set_quit_heard, spawn,
};
use signal_hook::consts;
use signal_hook::flag;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::{self, signal_name};

/// From here on there are none, or none but real-time signals.
const FIRST_RESERVED: i32 = 32;

/// A kind of signal: Go's `os.Signal`. Prints as its name, `SIGTERM`, or its number.
///
/// The common ones are constants; [`from_raw`](Self::from_raw) makes the others, and
/// [`real_time`](Self::real_time) those that a program may define.
///
/// ```
/// use greenthread::signal::Signal;
///
/// assert_eq!(Signal::SIGTERM.to_string(), "SIGTERM");
/// assert_eq!(Signal::SIGTERM.as_raw(), 15);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// A timer of `alarm` has run out.
    pub const SIGALRM: Self = Self(consts::SIGALRM);
    /// A child process has ended or stopped. Ignored by default.
    pub const SIGCHLD: Self = Self(consts::SIGCHLD);
    /// The process goes on after it was stopped.
    pub const SIGCONT: Self = Self(consts::SIGCONT);
    /// The terminal is gone; for daemons by custom: read the settings again.
    pub const SIGHUP: Self = Self(consts::SIGHUP);
    /// Ctrl-C.
    pub const SIGINT: Self = Self(consts::SIGINT);
    /// A descriptor that was set to signal (`O_ASYNC`) is ready.
    pub const SIGIO: Self = Self(consts::SIGIO);
    /// A pipe or socket has no reader. Ignored in Rust programs, where the write fails instead.
    pub const SIGPIPE: Self = Self(consts::SIGPIPE);
    /// Ctrl-\: by default prints all goroutines and ends the process ([`debug`](crate::debug)).
    pub const SIGQUIT: Self = Self(consts::SIGQUIT);
    /// Please end: what `kill` and service managers send.
    pub const SIGTERM: Self = Self(consts::SIGTERM);
    /// Ctrl-Z.
    pub const SIGTSTP: Self = Self(consts::SIGTSTP);
    /// The process reads from its terminal while it is in the background. Stops it by default.
    pub const SIGTTIN: Self = Self(consts::SIGTTIN);
    /// The process writes to its terminal while it is in the background, and the terminal is set to mind. Stops it by default.
    pub const SIGTTOU: Self = Self(consts::SIGTTOU);
    /// For the program's own use.
    pub const SIGUSR1: Self = Self(consts::SIGUSR1);
    /// For the program's own use.
    pub const SIGUSR2: Self = Self(consts::SIGUSR2);
    /// The terminal has another size. Ignored by default.
    pub const SIGWINCH: Self = Self(consts::SIGWINCH);

    /// The signal with this number on this system: Go's `syscall.Signal(number)`.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if no program can be notified of it: `SIGKILL` and `SIGSTOP`;
    /// `SIGSEGV`, `SIGBUS`, `SIGFPE` and `SIGILL`, which are about the instruction that causes them; those that the C
    /// library keeps for itself; and what is no signal. (`SIGURG` also comes with each [dump](crate::debug::dump).)
    ///
    /// ```
    /// use greenthread::signal::Signal;
    ///
    /// assert_eq!(Signal::from_raw(15)?, Signal::SIGTERM);
    /// assert!(Signal::from_raw(9).is_err(), "nobody can receive SIGKILL");
    /// assert!(Signal::from_raw(0).is_err() && Signal::from_raw(1000).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_raw(number: i32) -> io::Result<Self> {
        let own = [consts::SIGKILL, consts::SIGSTOP, consts::SIGSEGV, consts::SIGBUS, consts::SIGFPE, consts::SIGILL];
        // Beyond the standard ones there is a gap of what belongs to the C library.
        let exists = (1..FIRST_RESERVED).contains(&number) || real_time_signals().contains(&number);
        if exists && !own.contains(&number) {
            return Ok(Self(number));
        }
        let text = format!("no program can be notified of signal {number}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The real-time signal at this place, `SIGRTMIN+n`: for the program's own use. Several of one kind that are on
    /// their way to a [full channel](notify) are one here too. Go has them by their numbers.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there are not as many: Linux has at least 30 (0 to 29), other
    /// systems may have none.
    ///
    /// ```
    /// use greenthread::signal::Signal;
    ///
    /// # if cfg!(target_os = "linux") {
    /// let reload = Signal::real_time(0)?;
    /// assert_ne!(reload, Signal::real_time(1)?);
    /// # }
    /// assert!(Signal::real_time(100).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn real_time(n: u32) -> io::Result<Self> {
        let number = i32::try_from(n).ok().and_then(|n| real_time_signals().start().checked_add(n));
        number
            .filter(|number| real_time_signals().contains(number))
            .map(Self)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("there is no real-time signal {n}")))
    }

    /// The number of the signal on this system.
    ///
    /// ```
    /// assert_eq!(greenthread::signal::Signal::SIGINT.as_raw(), 2);
    /// ```
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// As `Display`.
impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Has the signals sent to the channel that it returns, instead of their default effect: Go's `signal.Notify`.
///
/// The channel keeps as many signals as `signals` names. When it is full, signals of one kind that come are one, as
/// they are for the system itself; no kind is lost (Go drops what does not fit). Each call makes a channel of its own,
/// and each channel gets every signal. Dropping the receiver and its clones ends it; that gives the default effect back
/// a moment later, if no other channel gets these signals. Without signals nothing ever comes (in Go: all signals).
///
/// Does not block; works from any thread. A goroutine named `signal` serves the channel as long as there are receivers, and
/// parks while no signal comes. It takes three descriptors.
///
/// # Panics
/// If the system has no descriptors left.
///
/// ```
/// use greenthread::signal::{self, Signal};
///
/// let signals = signal::notify(&[Signal::SIGUSR1, Signal::SIGHUP]);
/// # let pid = std::process::id().to_string();
/// # let raise = || assert!(std::process::Command::new("sh").args(["-c", "kill -USR1 $0", &pid]).status().unwrap().success());
/// raise(); // kill -USR1 PID, in a shell
/// assert_eq!(signals.recv(), Ok(Signal::SIGUSR1));
/// ```
#[track_caller]
pub fn notify(signals: &[Signal]) -> Receiver<Signal> {
    let (tx, rx) = bounded(signals.len().max(1));
    let delivery = match Delivery::begin(signals) {
        Ok(delivery) => delivery,
        Err(error) => panic!("signal::notify: {error}; call it early, while there are descriptors"),
    };
    start(move || delivery.run(&tx));
    rx
}

/// A context that ends when one of the signals comes, or with `parent`: Go's `signal.NotifyContext`.
///
/// The first signal cancels the context, and is the text of its [`cause`](Context::cause): "SIGTERM received". More of
/// them have no effect, as in Go, until the [`Cancel`] is used or dropped or the parent ends; a moment after that the
/// signals have their default effect again. Drop it as soon as the context has ended, and a second Ctrl-C ends a
/// shutdown that hangs.
///
/// Does not block; works from any thread. Costs what [`notify`] does, and one goroutine more.
///
/// # Panics
/// As [`notify`].
///
/// ```
/// use greenthread::ctx::{Context, Error};
/// use greenthread::signal::{self, Signal};
///
/// let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGUSR2]);
/// # let pid = std::process::id().to_string();
/// # let raise = || assert!(std::process::Command::new("sh").args(["-c", "kill -USR2 $0", &pid]).status().unwrap().success());
/// raise(); // kill -USR2 PID, in a shell
/// assert!(ctx.done().recv().is_err(), "it is closed");
/// assert_eq!(ctx.err(), Some(Error::Canceled));
/// assert_eq!(ctx.cause().unwrap().to_string(), "SIGUSR2 received");
/// ```
#[track_caller]
pub fn notify_context(parent: &Context, signals: &[Signal]) -> (Context, Cancel) {
    let received = notify(signals);
    // Two contexts: that the inner one was ended by a signal does not hide the end of the outer one.
    let (outer, cancel) = parent.with_cancel();
    let (inner, end) = outer.with_cancel_cause();
    start(move || {
        if let Ok(signal) = outer.recv(&received) {
            end.cancel(format!("{signal} received"));
        }
        // Closed; nothing ever comes.
        let _ = outer.done().recv();
    });
    (inner, cancel)
}

#[track_caller]
fn start(f: impl FnOnce() + Send + 'static) {
    let options = Options { name: Some("signal".into()), ..Options::default() };
    drop(spawn(f, options).expect("signal: default options are possible"));
}

/// Signals on their way to one channel. Handlers note what has come, and write to a socket that the goroutine waits for.
struct Delivery {
    // Dropped in this order: until the handlers are gone, a signal has its default effect already; and the socket outlives `io`.
    _kinds: Listening,
    io: Descriptor,
    signals: SignalDelivery<UnixStream, SignalOnly>,
}

impl Delivery {
    fn begin(signals: &[Signal]) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut kinds = Listening::default();
        for &signal in signals {
            prepare(signal)?;
        }
        let signals_raw = signals.iter().map(|signal| signal.0);
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, signals_raw)?;
        // After that has taken the socket, which it closes where it fails: `io` must have gone
        // before.
        let io = Descriptor::register(delivery.get_read().as_fd())?;
        // Last: what comes before has its default effect, as if it had come earlier. Nothing is lost.
        signals.iter().for_each(|&signal| kinds.add(signal));
        Ok(Self { _kinds: kinds, io, signals: delivery })
    }

    fn run(mut self, tx: &Sender<Signal>) {
        while !tx.is_closed() {
            // It empties the socket before it looks, so what it does not see makes the socket ready again.
            for number in self.signals.pending() {
                if tx.send(Signal(number)).is_err() {
                    return;
                }
            }
            let closed = Closing::of_sender(tx);
            crate::io_wait::wait_or_close(&self.io, Direction::Read, WaitReason::IoWait, closed)
                .expect("signal: nobody closes this descriptor");
        }
    }
}

/// What was done once for a kind of signal, and who listens.
struct Kind {
    listeners: usize,
    /// Read by the handler that does what the system would have done; it exists only if that was so before.
    nobody: Arc<AtomicBool>,
}

impl Kind {
    /// SIGQUIT's default effect is the runtime's own, whose handler is called too.
    fn tell_dump(&self, signal: Signal) {
        if signal == Signal::SIGQUIT {
            set_quit_heard(self.listeners > 0);
        }
    }
}

static KINDS: Mutex<BTreeMap<Signal, Kind>> = Mutex::new(BTreeMap::new());

fn with_kinds<R>(f: impl FnOnce(&mut BTreeMap<Signal, Kind>) -> R) -> R {
    f(&mut KINDS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sees to it that a signal for which nobody listens has its default effect. Handlers are never taken away again, so
/// without this it would have none.
fn prepare(signal: Signal) -> io::Result<()> {
    with_kinds(|kinds| {
        if kinds.contains_key(&signal) {
            return Ok(());
        }
        let nobody = Arc::new(AtomicBool::new(true));
        if has_default_effect(signal) {
            emulate_default(signal, Arc::clone(&nobody))?;
        }
        kinds.insert(signal, Kind { listeners: 0, nobody });
        Ok(())
    })
}

/// Adds a handler that does what the system would have done, as long as nobody listens.
fn emulate_default(signal: Signal, nobody: Arc<AtomicBool>) -> io::Result<()> {
    // It takes SIGIO for one that is ignored.
    let is_known = signal_name(signal.0).is_some() && !(signal == Signal::SIGIO && SIGIO_IS_FATAL);
    if is_known {
        flag::register_conditional_default(signal.0, nobody)?;
        return Ok(());
    }
    let handler = move || {
        if nobody.load(Ordering::Relaxed) {
            end_by_signal(signal.0);
        }
    };
    // SAFETY: a load, and what is made to be called in a handler. It neither allocates, locks nor panics.
    unsafe { low_level::register(signal.0, handler)? };
    Ok(())
}

/// Whether the process neither ignores nor handles the signal. Where that cannot be asked: yes.
fn has_default_effect(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = |field: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
        set.and_then(|set| u64::from_str_radix(set, 16).ok()).is_some_and(|set| set >> (signal.0 - 1) & 1 == 1)
    };
    !has("SigIgn:") && !has("SigCgt:")
}

/// The signals that one channel listens for.
#[derive(Default)]
struct Listening(Vec<Signal>);

impl Listening {
    fn add(&mut self, signal: Signal) {
        self.0.push(signal);
        with_kinds(|kinds| {
            let kind = kinds.get_mut(&signal).expect("signal: every signal is prepared");
            kind.listeners += 1;
            kind.nobody.store(false, Ordering::Relaxed);
            kind.tell_dump(signal);
        });
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        with_kinds(|kinds| {
            for signal in &self.0 {
                let kind = kinds.get_mut(signal).expect("signal: every signal is prepared");
                kind.listeners -= 1;
                kind.nobody.store(kind.listeners == 0, Ordering::Relaxed);
                kind.tell_dump(*signal);
            }
        });
    }
}
