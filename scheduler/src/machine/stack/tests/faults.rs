//! Overflows and other faults, in processes that they end.

use std::hint::black_box;
use std::process::{Command, Output};

use corosensei::stack::Stack as _;
use corosensei::{Coroutine, Yielder};

use super::super::{Guards, Stack, overflow};
use super::*;
use crate::machine::sys::memory::alternate_stack_size;

/// Runs one test of this file again in its own process, which recognizes its role by an environment
/// variable that names the method of making guards.
fn in_child_with(test: &str, method: Guards) -> Output {
    let binary = std::env::current_exe().unwrap();
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    Command::new(binary).args([&name, "--exact", "--nocapture"]).env(CHILD, method.name()).output().unwrap()
}

fn in_child(test: &str) -> Output {
    in_child_with(test, Guards::Auto)
}

const CHILD: &str = "STACK_TEST_CHILD";

fn child_guards() -> Option<Guards> {
    Guards::named(&std::env::var(CHILD).ok()?)
}

/// Returns a pool with guards by the method that `in_child` has named.
fn pool() -> &'static Pool {
    pool_of(child_guards().unwrap_or_default(), 0)
}

/// Runs what a child does, which ends the process.
fn child(body: impl FnOnce()) {
    if child_guards().is_some() {
        body();
        // Going on would start children without end.
        eprintln!("the child was not killed");
        std::process::exit(99);
    }
}

/// Runs one test of this file in a process for each method of making guards, and checks that the
/// process was killed by the signal of a guard.
fn assert_faults(test: &str) {
    for method in methods() {
        let signal = if method == Guards::Userfault { libc::SIGBUS } else { libc::SIGSEGV };
        let text = assert_killed(&in_child_with(test, method), signal);
        assert!(!text.contains("stack overflow"), "{text}");
    }
}

#[track_caller]
fn assert_killed(output: &Output, signal: libc::c_int) -> String {
    use std::os::unix::process::ExitStatusExt;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.signal(), Some(signal), "{text}");
    text
}

fn touch(address: usize) {
    // SAFETY: none; this must fault, in a process that exists for it.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
}

/// Faults below `stack`, after touching its lowest usable byte.
fn fault_in_guard(stack: &Stack) {
    touch(stack.low());
    touch(stack.low() - 1);
}

#[test]
fn the_guard_faults() {
    child(|| {
        fault_in_guard(&pool().take(DEFAULT).unwrap());
    });
    assert_faults("the_guard_faults");
}

#[test]
fn the_last_guard_of_a_group_faults_at_its_lowest_byte() {
    child(|| {
        let pool = pool();
        let stacks: Vec<_> = (0..64).map(|_| pool.take(DEFAULT).unwrap()).collect();
        touch(stacks.last().unwrap().limit().get());
    });
    assert_faults("the_last_guard_of_a_group_faults_at_its_lowest_byte");
}

#[test]
fn guards_survive_the_sweep_of_their_stacks() {
    child(|| {
        let pool = pool();
        let (mut sweeper, mut clock) = (Sweeper::new(pool), 1);
        let mut parked: Vec<_> = (0..100).map(|i| Parked::new(pool.take(DEFAULT).unwrap(), 24 << 10, i)).collect();
        sweep_for(&mut sweeper, &mut clock, 3);
        assert!(pool.stats().trims > 0);
        let stack = parked.swap_remove(50).end();
        fault_in_guard(&stack);
    });
    assert_faults("guards_survive_the_sweep_of_their_stacks");
}

#[test]
fn guards_are_laid_again_after_the_program_has_closed_our_descriptor() {
    child(|| {
        let pool = pool();
        let first: Vec<_> = (0..128).map(|_| pool.take(DEFAULT).unwrap()).collect();
        for fd in 3..100 {
            // SAFETY: what a program does that closes all descriptors that it does not know.
            let _ = unsafe { libc::close(fd) };
        }
        // Some of these existed before.
        let later: Vec<_> = (0..128).map(|_| pool.take(DEFAULT).unwrap()).collect();
        assert_eq!(first.len(), later.len());
        fault_in_guard(later.last().unwrap());
    });
    assert_faults("guards_are_laid_again_after_the_program_has_closed_our_descriptor");
}

fn report(owner: *mut (), reservation: usize) {
    use std::fmt::Write;
    let _ = writeln!(overflow::Stderr, "owner {} of {reservation}", owner.addr());
}

static HOST: overflow::Host = overflow::Host { runs_here: |owner| owner.addr() == 4711, report, list_calls: |_, _| {} };

fn overflow_a_goroutine() {
    overflow::install(&HOST);
    let stack = pool().take(128 << 10).unwrap();
    stack.meta().set_owner(std::ptr::without_provenance_mut(4711));
    let mut coroutine = Coroutine::with_stack(stack, |_: &Yielder<(), ()>, ()| {
        black_box(dive(1 << 30));
    });
    coroutine.resume(());
}

#[test]
fn an_overflow_is_reported() {
    child(|| {
        overflow_a_goroutine();
    });
    for method in methods() {
        let text = assert_killed(&in_child_with("an_overflow_is_reported", method), libc::SIGABRT);
        for part in ["stack overflow", "owner 4711 of 131072", "128 KiB", "Builder::stack_size", "GREENTHREAD_STACK"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}

#[test]
fn a_thread_without_alternate_stack_gets_one() {
    child(|| {
        // SAFETY: all zero bytes are a `stack_t`; this takes std's alternate stack away, as if
        // another language had started the thread.
        unsafe {
            let mut none: libc::stack_t = std::mem::zeroed();
            none.ss_flags = libc::SS_DISABLE;
            none.ss_size = 64 << 10;
            assert_eq!(libc::sigaltstack(&raw const none, std::ptr::null_mut()), 0);
        }
        drop(overflow::ensure_altstack(0).unwrap());
        let _first = overflow::ensure_altstack(0).unwrap();
        let _second = overflow::ensure_altstack(0).unwrap();
        overflow_a_goroutine();
    });
    let text = assert_killed(&in_child("a_thread_without_alternate_stack_gets_one"), libc::SIGABRT);
    assert!(text.contains("owner 4711"), "{text}");
}

#[test]
fn a_small_alternate_stack_is_replaced_and_comes_back() {
    let now = || {
        // SAFETY: all zero bytes are a `stack_t`; a query changes nothing.
        unsafe {
            let mut now: libc::stack_t = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(std::ptr::null(), &raw mut now), 0);
            (now.ss_sp, now.ss_flags, now.ss_size)
        }
    };
    let before = now();
    let wanted = before.2.max(alternate_stack_size()) + 1;
    let large = overflow::ensure_altstack(wanted).unwrap();
    let (sp, flags, size) = now();
    assert!(sp != before.0 && flags == 0 && size >= wanted, "{size} of {wanted}");
    drop(overflow::ensure_altstack(wanted).unwrap());
    assert_eq!(now(), (sp, flags, size), "large enough");
    drop(large);
    assert_eq!((now().0, now().1), (before.0, before.1));
}

#[test]
fn other_faults_go_to_the_handler_before() {
    child(|| {
        overflow::install(&HOST);
        touch(8);
    });
    let text = assert_killed(&in_child("other_faults_go_to_the_handler_before"), libc::SIGSEGV);
    assert!(!text.contains("stack overflow"), "{text}");
}

#[test]
fn a_fault_in_the_guard_of_a_free_stack_is_no_overflow() {
    child(|| {
        overflow::install(&HOST);
        let pool = pool();
        let stack = pool.take(DEFAULT).unwrap();
        let guard = stack.low() - 1;
        pool.give(stack);
        touch(guard);
    });
    assert_faults("a_fault_in_the_guard_of_a_free_stack_is_no_overflow");
}

#[test]
fn a_fault_in_the_guard_of_a_stack_in_use_elsewhere_is_no_overflow() {
    child(|| {
        overflow::install(&HOST);
        let stack = pool().take(DEFAULT).unwrap();
        stack.meta().set_owner(std::ptr::without_provenance_mut(4712));
        touch(stack.low() - 1);
    });
    assert_faults("a_fault_in_the_guard_of_a_stack_in_use_elsewhere_is_no_overflow");
}

#[test]
fn std_still_reports_the_stacks_of_threads() {
    child(|| {
        overflow::install(&HOST);
        let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(|| black_box(dive(1 << 30)));
        let _ = thread.unwrap().join();
    });
    let text = assert_killed(&in_child("std_still_reports_the_stacks_of_threads"), libc::SIGABRT);
    assert!(text.contains("has overflowed its stack"), "{text}");
}

#[test]
fn a_sent_signal_still_kills() {
    child(|| {
        // SAFETY: the default action, as a program without std's handler has.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        overflow::install(&HOST);
        // SAFETY: sends a signal to this thread.
        unsafe { libc::raise(libc::SIGBUS) };
    });
    assert_killed(&in_child("a_sent_signal_still_kills"), libc::SIGBUS);
}

#[test]
fn a_handler_of_one_argument_is_called() {
    extern "C" fn exit(signal: libc::c_int) {
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(signal + 30) }
    }
    child(|| {
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::signal(libc::SIGSEGV, exit as *const () as libc::sighandler_t) };
        overflow::install(&HOST);
        touch(8);
    });
    let output = in_child("a_handler_of_one_argument_is_called");
    assert_eq!(output.status.code(), Some(libc::SIGSEGV + 30));
}
