//! `signal`: in child processes, which signal themselves with the system's `kill`.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::child::{self, Ended, named, program, program_after};
use crate::common::{descriptors, parked, quiescence, until};
use greenthread::ctx::{Context, Error};
use greenthread::signal::{self, Signal};
use greenthread::{channel, debug, select, set_gomaxprocs, spawn, time};

const TESTS: &[child::Test] = named![
    each_kind_arrives,
    reserved_numbers_are_refused,
    default_effect_returns,
    default_effect_returns_for_numbers,
    ignored_signal_is_ignored_again,
    every_channel_gets_it,
    kinds_are_not_lost,
    waits_in_select_and_on_threads,
    context_ends,
    context_ends_once,
    dropped_context_restores_the_default,
    leaves_nothing_behind,
    nothing_is_installed_before_use,
    no_thread_wakes_up_while_waiting,
    refuses_without_descriptors,
    channels_come_and_go_under_load,
];

const PROGRAMS: &[child::Main] = named![
    programs::each_kind,
    programs::drops,
    programs::drops_number,
    programs::drops_ignored,
    programs::two_channels,
    programs::slow_reader,
    programs::selects,
    programs::context,
    programs::context_once,
    programs::context_dropped,
    programs::leaves_nothing,
    programs::looks,
    programs::quiet,
    programs::no_descriptors,
    programs::come_and_go,
];

pub(crate) const SUITE: child::Suite = child::suite!(TESTS, PROGRAMS);

const SIGTERM: i32 = 15;

impl Ended {
    #[track_caller]
    fn dies_of(self, signal: i32) -> Self {
        assert_eq!(self.status.signal(), Some(signal), "{self:#?}");
        self
    }
}

/// Sends a signal to this process. `kill` has sent it when this returns.
fn raise(signal: Signal) {
    let kill = ["-c", "kill -$0 $1", &signal.as_raw().to_string(), &process::id().to_string()].map(String::from);
    assert!(Command::new("sh").args(kill).stdin(Stdio::null()).status().unwrap().success());
}

/// Waits until no channel is registered for a signal.
fn settle() {
    until(|| debug::stats().goroutines == 0);
}

mod programs {
    use super::*;

    pub(super) fn each_kind() -> ExitCode {
        let kinds = [
            Signal::SIGALRM,
            Signal::SIGCHLD,
            Signal::SIGCONT,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGIO,
            Signal::SIGPIPE,
            Signal::SIGQUIT,
            Signal::SIGTERM,
            Signal::SIGTSTP,
            Signal::SIGTTIN,
            Signal::SIGTTOU,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
            Signal::SIGWINCH,
            Signal::real_time(0).unwrap(),
            Signal::real_time(29).unwrap(),
            // SIGPWR, for which this crate has no name.
            Signal::from_raw(30).unwrap(),
        ];
        for procs in [1, 2, 4] {
            set_gomaxprocs(procs);
            for kind in kinds {
                let signals = signal::notify(&[kind]);
                raise(kind);
                assert_eq!(signals.recv(), Ok(kind));
            }
        }
        ExitCode::SUCCESS
    }

    /// Ends by the signal whose number is its argument, once no channel is registered for that
    /// signal.
    pub(super) fn drops_number() -> ExitCode {
        let signal = Signal::from_raw(env::var("NUMBER").unwrap().parse().unwrap()).unwrap();
        let signals = signal::notify(&[signal]);
        raise(signal);
        assert_eq!(signals.recv(), Ok(signal));
        println!("{signal}");
        drop(signals);
        settle();
        raise(signal);
        thread::sleep(Duration::from_secs(10));
        ExitCode::SUCCESS
    }

    pub(super) fn drops() -> ExitCode {
        let signals = signal::notify(&[Signal::SIGTERM, Signal::SIGUSR1]);
        let another = signal::notify(&[Signal::SIGUSR1]);
        let clone = signals.clone();
        drop(signals);
        raise(Signal::SIGTERM);
        assert_eq!(clone.recv(), Ok(Signal::SIGTERM));
        println!("received");
        drop(clone);
        until(|| debug::stats().goroutines == 1);
        raise(Signal::SIGUSR1);
        assert_eq!(another.recv(), Ok(Signal::SIGUSR1));
        println!("the other still");
        raise(Signal::SIGTERM);
        thread::sleep(Duration::from_secs(10));
        ExitCode::SUCCESS
    }

    /// Starts with SIGTERM ignored, and checks that SIGTERM is ignored again at the end.
    pub(super) fn drops_ignored() -> ExitCode {
        raise(Signal::SIGTERM);
        let signals = signal::notify(&[Signal::SIGTERM]);
        raise(Signal::SIGTERM);
        assert_eq!(signals.recv(), Ok(Signal::SIGTERM));
        drop(signals);
        settle();
        raise(Signal::SIGTERM);
        ExitCode::SUCCESS
    }

    pub(super) fn two_channels() -> ExitCode {
        let (a, b) = (signal::notify(&[Signal::SIGUSR1]), signal::notify(&[Signal::SIGUSR1, Signal::SIGUSR2]));
        raise(Signal::SIGUSR1);
        assert_eq!((a.recv(), b.recv()), (Ok(Signal::SIGUSR1), Ok(Signal::SIGUSR1)));
        raise(Signal::SIGUSR2);
        assert_eq!(b.recv(), Ok(Signal::SIGUSR2));
        assert!(a.is_empty());
        // The whole once more, after the runtime has removed its handlers.
        drop((a, b));
        settle();
        let again = signal::notify(&[Signal::SIGUSR1]);
        raise(Signal::SIGUSR1);
        assert_eq!(again.recv(), Ok(Signal::SIGUSR1));
        ExitCode::SUCCESS
    }

    pub(super) fn slow_reader() -> ExitCode {
        let signals = signal::notify(&[Signal::SIGUSR1, Signal::SIGUSR2]);
        (0..20).for_each(|_| raise(Signal::SIGUSR1));
        raise(Signal::SIGUSR2);
        // Signals of the first kind that came while the channel was full arrive as one.
        let mut seen = Vec::new();
        while seen.last() != Some(&Signal::SIGUSR2) && seen.len() < 21 {
            seen.push(signals.recv().unwrap());
        }
        while let Ok(signal) = signals.recv_timeout(Duration::from_millis(200)) {
            seen.push(signal);
        }
        assert_eq!(seen.iter().filter(|signal| **signal == Signal::SIGUSR2).count(), 1, "{seen:?}");
        assert!((3..8).contains(&seen.len()), "{seen:?}");
        ExitCode::SUCCESS
    }

    pub(super) fn selects() -> ExitCode {
        let signals = signal::notify(&[Signal::SIGUSR1]);
        let in_goroutine = signals.clone();
        let waiter = spawn(move || {
            select! {
                recv(in_goroutine) -> signal => signal.unwrap(),
                recv(time::after(Duration::from_secs(50))) -> _ => panic!("no signal"),
            }
        });
        until(|| parked("select") == 1);
        raise(Signal::SIGUSR1);
        assert_eq!(waiter.join().unwrap(), Signal::SIGUSR1);
        let on_thread = thread::spawn(move || signals.recv());
        raise(Signal::SIGUSR1);
        assert_eq!(on_thread.join().unwrap(), Ok(Signal::SIGUSR1));
        ExitCode::SUCCESS
    }

    pub(super) fn context() -> ExitCode {
        let (ctx, cancel) = signal::notify_context(&Context::background(), &[Signal::SIGTERM, Signal::SIGINT]);
        let (child, _keep) = ctx.with_cancel();
        assert_eq!(ctx.err(), None);
        raise(Signal::SIGINT);
        assert!(child.done().recv().is_err());
        assert_eq!((ctx.err(), child.err()), (Some(Error::Canceled), Some(Error::Canceled)));
        assert_eq!(child.cause().unwrap().to_string(), "SIGINT received");
        cancel.cancel();
        settle();
        raise(Signal::SIGTERM);
        ExitCode::SUCCESS
    }

    pub(super) fn context_once() -> ExitCode {
        let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGTERM]);
        for _ in 0..10 {
            raise(Signal::SIGTERM);
            assert!(ctx.done().recv().is_err());
        }
        ExitCode::SUCCESS
    }

    pub(super) fn context_dropped() -> ExitCode {
        let (parent, end) = Context::background().with_cancel();
        for by_parent in [false, true] {
            let (ctx, cancel) = signal::notify_context(&parent, &[Signal::SIGTERM]);
            if by_parent {
                end.cancel();
            } else {
                drop(cancel);
            }
            assert!(ctx.done().recv().is_err());
            assert_eq!(ctx.cause().unwrap().to_string(), "context canceled");
            settle();
        }
        raise(Signal::SIGTERM);
        ExitCode::SUCCESS
    }

    pub(super) fn leaves_nothing() -> ExitCode {
        drop(signal::notify(&[Signal::SIGUSR1]));
        settle();
        let before = descriptors();
        for n in 0..100 {
            let signals = signal::notify(&[Signal::SIGUSR1, Signal::SIGTERM]);
            if n % 10 == 0 {
                // The channel fills up, so the goroutine waits in a send.
                (0..4).for_each(|_| raise(Signal::SIGUSR1));
                raise(Signal::SIGTERM);
                until(|| signals.is_full());
            }
        }
        settle();
        until(|| descriptors() <= before);
        let stats = debug::stats();
        assert_eq!((stats.io_descriptors, stats.io_waiters), (0, 0));
        ExitCode::SUCCESS
    }

    pub(super) fn looks() -> ExitCode {
        spawn(|| ()).join().unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let signals = |name| {
            let set = status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
            u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff
        };
        let polls = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let polls =
            polls.filter(|fd| fs::read_link(fd.path()).is_ok_and(|path| path.ends_with("anon_inode:[eventpoll]")));
        // The runtime handles SIGBUS and SIGSEGV for stack overflows, and SIGQUIT for the dump,
        // unless the parent process has ignored SIGQUIT.
        let quit = 1 << 2 & !signals("SigIgn:");
        assert_eq!((signals("SigCgt:"), polls.count()), (quit | 1 << 6 | 1 << 10, 0));
        ExitCode::SUCCESS
    }

    pub(super) fn quiet() -> ExitCode {
        let signals = signal::notify(&[Signal::SIGUSR1]);
        let waiter = spawn(move || signals.recv());
        assert!(quiescence::is_reached(), "wake-ups while nothing happens");
        raise(Signal::SIGUSR1);
        assert_eq!(waiter.join().unwrap(), Ok(Signal::SIGUSR1));
        ExitCode::SUCCESS
    }

    pub(super) fn no_descriptors() -> ExitCode {
        drop(signal::notify(&[Signal::SIGUSR1]));
        settle();
        let mut all = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            all.push(file);
        }
        drop(all.pop());
        drop(signal::notify(&[Signal::SIGUSR1]));
        ExitCode::SUCCESS
    }

    pub(super) fn come_and_go() -> ExitCode {
        let (stop, stopped) = channel::bounded::<()>(0);
        let churn: Vec<_> = (0..4)
            .map(|_| {
                let stopped = stopped.clone();
                spawn(move || {
                    while stopped.try_recv() == Err(channel::TryRecvError::Empty) {
                        drop(signal::notify(&[Signal::SIGUSR1, Signal::SIGWINCH]));
                    }
                })
            })
            .collect();
        // A channel stays registered throughout, so the process does not die, and every signal
        // arrives.
        let signals = signal::notify(&[Signal::SIGUSR1]);
        for _ in 0..30 {
            raise(Signal::SIGUSR1);
            assert_eq!(signals.recv_timeout(Duration::from_secs(30)), Ok(Signal::SIGUSR1));
        }
        stop.close();
        churn.into_iter().for_each(|goroutine| goroutine.join().unwrap());
        drop(signals);
        settle();
        raise(Signal::SIGUSR1);
        ExitCode::SUCCESS
    }
}

fn each_kind_arrives() {
    program("programs::each_kind").run().exits_with(0).says_nothing();
}

fn default_effect_returns() {
    program("programs::drops").run().dies_of(SIGTERM).prints("received\nthe other still\n");
}

fn default_effect_returns_for_numbers() {
    let first = Signal::real_time(0).unwrap().as_raw();
    // SIGUSR1, SIGIO, SIGPWR, and two real-time signals.
    for number in [10, 29, 30, first, 64] {
        let text = format!("{}\n", Signal::from_raw(number).unwrap());
        program("programs::drops_number").env("NUMBER", &number.to_string()).run().dies_of(number).prints(&text);
    }
}

fn reserved_numbers_are_refused() {
    for number in 1..32 {
        // SIGILL, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGSTOP.
        let own = [4, 7, 8, 9, 11, 19].contains(&number);
        match Signal::from_raw(number) {
            Ok(signal) => assert!(!own && signal.as_raw() == number, "{signal}"),
            Err(error) => assert!(own, "{error}"),
        }
    }
    for number in [i32::MIN, -1, 0, 32, 33, 65, 1000, i32::MAX] {
        let error = Signal::from_raw(number).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("signal {number} does not exist or cannot be handled; use one of the constants of Signal")
        );
    }
    let first = Signal::real_time(0).unwrap();
    assert_eq!(Signal::from_raw(first.as_raw()).unwrap(), first);
    assert_eq!(Signal::real_time(3).unwrap().as_raw(), first.as_raw() + 3);
    for n in [31, 32, u32::MAX] {
        assert_eq!(Signal::real_time(n).unwrap_err().to_string(), format!("there is no real-time signal {n}"));
    }
}

fn ignored_signal_is_ignored_again() {
    // A shell's children inherit what it ignores.
    program_after("trap '' TERM", "programs::drops_ignored").run().exits_with(0);
}

fn every_channel_gets_it() {
    program("programs::two_channels").run().exits_with(0);
}

fn kinds_are_not_lost() {
    program("programs::slow_reader").run().exits_with(0);
}

fn waits_in_select_and_on_threads() {
    for procs in ["1", "2", "4"] {
        program("programs::selects").env("GOMAXPROCS", procs).run().exits_with(0);
    }
}

fn context_ends() {
    program("programs::context").run().dies_of(SIGTERM);
}

fn context_ends_once() {
    program("programs::context_once").run().exits_with(0);
}

fn dropped_context_restores_the_default() {
    program("programs::context_dropped").run().dies_of(SIGTERM);
}

fn leaves_nothing_behind() {
    program("programs::leaves_nothing").run().exits_with(0);
}

fn nothing_is_installed_before_use() {
    program("programs::looks").run().exits_with(0);
}

fn no_thread_wakes_up_while_waiting() {
    program("programs::quiet").run().exits_with(0);
}

fn refuses_without_descriptors() {
    program("programs::no_descriptors").run().exits_with(101).says("signal::notify: ").says("call it earlier");
}

fn channels_come_and_go_under_load() {
    // SIGUSR1 is 10 on Linux.
    for procs in ["1", "2", "4"] {
        program("programs::come_and_go").env("GOMAXPROCS", procs).run().dies_of(10);
    }
}
