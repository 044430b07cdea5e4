//! Signals of the operating system as values on a channel: Go's `os/signal`.
//!
//! For servers that end gracefully, and for daemons that reload their settings.
//!
//! | to | use | in Go |
//! | --- | --- | --- |
//! | receive signals | [`notify`] | `signal.Notify` |
//! | restore the default effect of signals | drop the receivers | `signal.Stop`, `signal.Reset` |
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
//!     let signals = [Signal::SIGINT, Signal::SIGTERM];
//!     let (ctx, _cancel) = signal::notify_context(&Context::background(), &signals);
//!     let listener = TcpListener::bind("127.0.0.1:8080")?;
//!     listener.serve(&ctx, Duration::from_secs(10), |_ctx, stream| println!("{stream:?}"))
//! }
//! ```
//!
//! No handler is installed before the first call (except the handlers of [`debug`](crate::debug)
//! and of the stack-overflow report). A program that waits for a signal sleeps. While a channel
//! receives a signal, the default effect of the signal is off: for example, [`Signal::SIGTERM`]
//! does not end a program that is notified of it. When the last receiver of a signal is dropped,
//! the former effect is restored: the system's default, the runtime's dump at [`Signal::SIGQUIT`],
//! or ignoring the signal (as with `nohup`).
//!
//! Handlers that were installed earlier are also called. Those handlers, and any that are added
//! with the crate `signal-hook`, stay installed after the last receiver is dropped. But a handler
//! that is added later with `signal-hook` does not keep the default effect of its signal off.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenthread_channels::closing::Closing;
use greenthread_channels::{Receiver, Sender, bounded};
use greenthread_ctx::{Cancel, Context};
use greenthread_scheduler::mutex::Mutex;
use greenthread_scheduler::{
    Descriptor, Direction, Options, SIGIO_IS_FATAL, WaitReason, end_by_signal, real_time_signals, set_quit_heard, spawn,
};
use signal_hook::consts;
use signal_hook::flag;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::{self, signal_name};

/// The first number that is not a standard signal; from here on there are only real-time signals,
/// if any.
const FIRST_RESERVED: i32 = 32;

/// A kind of signal.
///
/// Go's `os.Signal`. It prints as its name, such as `SIGTERM`, or as its number. The common signals
/// are constants. [`from_raw`](Self::from_raw) makes the others, and [`real_time`](Self::real_time)
/// makes the signals that a program may define for itself.
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
    /// A timer of `alarm` has expired.
    pub const SIGALRM: Self = Self(consts::SIGALRM);
    /// A child process has ended or stopped (ignored by default).
    pub const SIGCHLD: Self = Self(consts::SIGCHLD);
    /// The process continues after it was stopped.
    pub const SIGCONT: Self = Self(consts::SIGCONT);
    /// The terminal was closed, or, for daemons by convention, the settings should be reloaded.
    pub const SIGHUP: Self = Self(consts::SIGHUP);
    /// Ctrl-C in the terminal.
    pub const SIGINT: Self = Self(consts::SIGINT);
    /// A descriptor with `O_ASYNC` is ready.
    pub const SIGIO: Self = Self(consts::SIGIO);
    /// A pipe or socket has no reader (ignored in Rust programs, where the write fails instead).
    pub const SIGPIPE: Self = Self(consts::SIGPIPE);
    /// Ctrl-\ in the terminal: by default prints all goroutines and ends the process
    /// ([`debug`](crate::debug)).
    pub const SIGQUIT: Self = Self(consts::SIGQUIT);
    /// The request to end that `kill` and service managers send.
    pub const SIGTERM: Self = Self(consts::SIGTERM);
    /// Ctrl-Z in the terminal.
    pub const SIGTSTP: Self = Self(consts::SIGTSTP);
    /// The process reads from its terminal while it is in the background (stops it by default).
    pub const SIGTTIN: Self = Self(consts::SIGTTIN);
    /// The process writes to its terminal while it is in the background, and the terminal does not
    /// allow that (stops it by default).
    pub const SIGTTOU: Self = Self(consts::SIGTTOU);
    /// A signal for the program's own use.
    pub const SIGUSR1: Self = Self(consts::SIGUSR1);
    /// A signal for the program's own use.
    pub const SIGUSR2: Self = Self(consts::SIGUSR2);
    /// The size of the terminal has changed (ignored by default).
    pub const SIGWINCH: Self = Self(consts::SIGWINCH);

    /// Returns the signal with this number on this system.
    ///
    /// Go's `syscall.Signal(number)`.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if no program can be notified of the signal:
    /// `SIGKILL` and `SIGSTOP`; `SIGSEGV`, `SIGBUS`, `SIGFPE` and `SIGILL`, which concern the
    /// instruction that causes them; the signals that the C library reserves; and numbers without a
    /// signal. (`SIGURG` also arrives with each [dump](crate::debug::dump).)
    ///
    /// ```
    /// use greenthread::signal::Signal;
    ///
    /// assert_eq!(Signal::from_raw(15)?, Signal::SIGTERM);
    /// assert!(Signal::from_raw(9).is_err(), "no process can receive SIGKILL");
    /// assert!(Signal::from_raw(0).is_err() && Signal::from_raw(1000).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_raw(number: i32) -> io::Result<Self> {
        let refused =
            [consts::SIGKILL, consts::SIGSTOP, consts::SIGSEGV, consts::SIGBUS, consts::SIGFPE, consts::SIGILL];
        // Between the standard and the real-time signals are the signals that the C library
        // reserves.
        let exists = (1..FIRST_RESERVED).contains(&number) || real_time_signals().contains(&number);
        if exists && !refused.contains(&number) {
            return Ok(Self(number));
        }
        let text = format!("signal {number} does not exist or cannot be handled; use one of the constants of Signal");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// Returns the real-time signal `SIGRTMIN+n`, which is for the program's own use.
    ///
    /// As with other signals, several of one kind that arrive while the [channel is full](notify)
    /// are merged into one. In Go, real-time signals are known by their numbers.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the system does not have this signal: Linux
    /// has at least 30 (0 to 29); other systems may have none.
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

    /// Returns the number of the signal on this system.
    ///
    /// ```
    /// assert_eq!(greenthread::signal::Signal::SIGINT.as_raw(), 2);
    /// ```
    #[must_use]
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

/// Prints like `Display`.
impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns a channel that receives the signals, which then no longer have their default effect.
///
/// Go's `signal.Notify`. The channel has room for as many signals as `signals` contains. While it
/// is full, several signals of one kind are merged into one, as in the system itself; no kind is
/// lost (Go drops signals that do not fit). Each call makes a channel of its own, and each channel
/// receives every signal. Dropping the receiver and its clones ends the notification; a moment
/// later the default effect is restored, unless another channel receives these signals. If
/// `signals` is empty, the channel stays empty (in Go it receives all signals).
///
/// Does not block; works from any thread. A goroutine named `signal` serves the channel while there
/// are receivers, and parks until a signal arrives. The channel uses three descriptors.
///
/// # Panics
/// If no descriptors are free.
///
/// ```
/// use greenthread::signal::{self, Signal};
///
/// let signals = signal::notify(&[Signal::SIGUSR1, Signal::SIGHUP]);
/// # let pid = std::process::id().to_string();
/// # let raise = || {
/// #     let mut kill = std::process::Command::new("sh");
/// #     assert!(kill.args(["-c", "kill -USR1 $0", &pid]).status().unwrap().success());
/// # };
/// raise(); // kill -USR1 PID, in a shell
/// assert_eq!(signals.recv(), Ok(Signal::SIGUSR1));
/// ```
#[track_caller]
#[must_use = "dropping the receiver ends the notification"]
pub fn notify(signals: &[Signal]) -> Receiver<Signal> {
    let (tx, rx) = bounded(signals.len().max(1));
    let delivery = match Delivery::start(signals) {
        Ok(delivery) => delivery,
        Err(error) => panic!("signal::notify: {error}; if no descriptor is free, call it earlier"),
    };
    start(move || delivery.run(&tx));
    rx
}

/// Returns a context that ends when one of the signals arrives or `parent` ends.
///
/// Go's `signal.NotifyContext`. The first signal cancels the context, and the text of its
/// [`cause`](Context::cause) names the signal: "SIGTERM received". As in Go, later signals have no
/// effect until the [`Cancel`] is used or dropped, or the parent ends. A moment after that, the
/// signals have their default effect again. Drop the `Cancel` as soon as the context has ended, so
/// that a second Ctrl-C ends a shutdown that hangs.
///
/// Does not block; works from any thread. It costs as much as [`notify`], plus one more goroutine.
///
/// # Panics
/// If no descriptors are free, like [`notify`].
///
/// ```
/// use greenthread::ctx::{Context, Error};
/// use greenthread::signal::{self, Signal};
///
/// let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGUSR2]);
/// # let pid = std::process::id().to_string();
/// # let raise = || {
/// #     let mut kill = std::process::Command::new("sh");
/// #     assert!(kill.args(["-c", "kill -USR2 $0", &pid]).status().unwrap().success());
/// # };
/// raise(); // kill -USR2 PID, in a shell
/// assert!(ctx.done().recv().is_err(), "it is closed");
/// assert_eq!(ctx.err(), Some(Error::Canceled));
/// assert_eq!(ctx.cause().unwrap().to_string(), "SIGUSR2 received");
/// ```
#[track_caller]
#[must_use = "dropping the `Cancel` ends the context"]
pub fn notify_context(parent: &Context, signals: &[Signal]) -> (Context, Cancel) {
    let received = notify(signals);
    // Two contexts: a signal ends the inner context, and so does not hide the end of the outer
    // context.
    let (outer, cancel) = parent.with_cancel();
    let (inner, end) = outer.with_cancel_cause();
    start(move || {
        if let Ok(signal) = outer.recv(&received) {
            end.cancel(format!("{signal} received"));
        }
        // Returns when the channel closes: no message is ever sent.
        let _ = outer.done().recv();
    });
    (inner, cancel)
}

#[track_caller]
fn start(f: impl FnOnce() + Send + 'static) {
    let options = Options { name: Some("signal".into()), ..Options::default() };
    drop(spawn(f, options).expect("signal: the default options are valid"));
}

/// The delivery of signals to one channel.
///
/// The handlers record which signals have arrived, and write to a socket that the goroutine waits
/// on.
struct Delivery {
    // The order of the drops matters: the default effect is restored before the handlers are gone,
    // and the socket outlives `io`.
    _kinds: Listening,
    io: Descriptor,
    signals: SignalDelivery<UnixStream, SignalOnly>,
}

impl Delivery {
    fn start(signals: &[Signal]) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let mut kinds = Listening::default();
        for &signal in signals {
            prepare(signal)?;
        }
        let signals_raw = signals.iter().map(|signal| signal.0);
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, signals_raw)?;
        // After `with_pipe`, which closes the socket if it fails: `io` must not outlive the socket.
        let io = Descriptor::register(delivery.get_read().as_fd())?;
        // Added last: a signal that arrives before this point has its default effect, as if it had
        // arrived earlier. No signal is lost.
        signals.iter().for_each(|&signal| kinds.add(signal));
        Ok(Self { _kinds: kinds, io, signals: delivery })
    }

    fn run(mut self, tx: &Sender<Signal>) {
        while !tx.is_closed() {
            // `pending` empties the socket before it checks for signals, so a signal that it misses
            // makes the socket ready again.
            for number in self.signals.pending() {
                if tx.send(Signal(number)).is_err() {
                    return;
                }
            }
            let closed = Closing::of_sender(tx);
            crate::io_wait::wait_or_close(&self.io, Direction::Read, WaitReason::IoWait, closed)
                .expect("signal: this descriptor is never closed while in use");
        }
    }
}

/// A record of what is installed for one kind of signal, and of how many channels receive it.
struct Kind {
    listeners: usize,
    /// `true` while there are no listeners. It is read by the handler that emulates the default
    /// effect. That handler exists only if the signal had its default effect before.
    unheard: Arc<AtomicBool>,
}

impl Kind {
    /// Turns the dump at SIGQUIT on or off: the dump is the default effect of that signal, and its
    /// handler belongs to the runtime.
    fn update_dump(&self, signal: Signal) {
        if signal == Signal::SIGQUIT {
            set_quit_heard(self.listeners > 0);
        }
    }
}

static KINDS: Mutex<BTreeMap<Signal, Kind>> = Mutex::new(BTreeMap::new());

fn with_kinds<R>(f: impl FnOnce(&mut BTreeMap<Signal, Kind>) -> R) -> R {
    f(&mut KINDS.lock())
}

/// Makes sure that a signal without listeners has its default effect.
///
/// Handlers are never removed, so without this function the signal would have no effect.
fn prepare(signal: Signal) -> io::Result<()> {
    with_kinds(|kinds| {
        if kinds.contains_key(&signal) {
            return Ok(());
        }
        let unheard = Arc::new(AtomicBool::new(true));
        if has_default_effect(signal) {
            emulate_default(signal, Arc::clone(&unheard))?;
        }
        kinds.insert(signal, Kind { listeners: 0, unheard });
        Ok(())
    })
}

/// Adds a handler that, while there are no listeners, does what the system would do.
fn emulate_default(signal: Signal, unheard: Arc<AtomicBool>) -> io::Result<()> {
    // `signal-hook` regards SIGIO as a signal that is ignored by default.
    let is_known = signal_name(signal.0).is_some() && !(signal == Signal::SIGIO && SIGIO_IS_FATAL);
    if is_known {
        flag::register_conditional_default(signal.0, unheard)?;
        return Ok(());
    }
    let handler = move || {
        if unheard.load(Ordering::Relaxed) {
            end_by_signal(signal.0);
        }
    };
    // SAFETY: the handler is async-signal-safe: it loads an atomic and calls `end_by_signal`, which
    // is made for handlers. It does not allocate, lock or panic.
    unsafe { low_level::register(signal.0, handler)? };
    Ok(())
}

/// Returns `true` if the process neither ignores nor handles the signal, or if that is unknown.
fn has_default_effect(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = |field: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
        set.and_then(|set| u64::from_str_radix(set, 16).ok()).is_some_and(|set| set >> (signal.0 - 1) & 1 == 1)
    };
    !has("SigIgn:") && !has("SigCgt:")
}

/// The signals that one channel receives.
#[derive(Default)]
struct Listening(Vec<Signal>);

impl Listening {
    fn add(&mut self, signal: Signal) {
        self.0.push(signal);
        with_kinds(|kinds| {
            let kind = kinds.get_mut(&signal).expect("signal: every signal is prepared");
            kind.listeners += 1;
            kind.unheard.store(false, Ordering::Relaxed);
            kind.update_dump(signal);
        });
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        with_kinds(|kinds| {
            for signal in &self.0 {
                let kind = kinds.get_mut(signal).expect("signal: every signal is prepared");
                kind.listeners -= 1;
                kind.unheard.store(kind.listeners == 0, Ordering::Relaxed);
                kind.update_dump(*signal);
            }
        });
    }
}
