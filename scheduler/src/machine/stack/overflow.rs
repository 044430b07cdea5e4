//! The report of a stack overflow: which goroutine it is, how large its stack is, how to raise the
//! size, and which calls are on the stack. Then the process aborts.
//!
//! A program cannot continue after an overflow: unwinding from the middle of a function's prologue
//! runs no destructors, so locks would stay locked. But the runtime can say more than "segmentation
//! fault".
//!
//! # Protocol
//! A handler for `SIGSEGV` and `SIGBUS` runs on the thread's alternate stack (the goroutine's is
//! full). It looks the address up in the arenas. If the address is in the guard of the slot on
//! which this thread runs, the handler reports and aborts. Otherwise the fault is not ours: a null
//! pointer, a stray pointer that hits the guard of another thread's goroutine, a page that a
//! garbage collector protects, or a full stack of an OS thread.
//!
//! # Chaining
//! Such a fault goes to the handler that was installed before (std's or the embedding program's),
//! as if ours did not exist: with one argument or three, under the mask that it asked for, and only
//! once if it asked for that. If there was no handler, the default action is taken. If a handler
//! repairs the fault and returns, the instruction runs again. A handler that is installed after
//! ours replaces ours, as it would replace any other; if it also chains, all of this works as
//! before.
//!
//! One difference remains: every handler now runs on the alternate stack, whether it asked for that
//! or not. It could not run on a goroutine's stack, which may be the full one. The Ms have their
//! own alternate stacks instead of std's. Those have 8 KiB, which is hardly enough when one handler
//! interrupts another: the registers alone take 3 KiB and more each time.
//!
//! # Rejected
//! * *Recognizing an overflow by the interrupted stack pointer*: each CPU and system stores it in a
//!   different place in the context, and C code may already have moved it past the guard.
//! * *Resetting the signal and returning* if the fault is not ours, so that the instruction faults
//!   again and invokes the previous handler: the first repaired fault would be the last one that we
//!   see.
//!
//! Everything on this path is async-signal-safe: loads of atomics, `write` to descriptor 2,
//! formatting without allocation, `abort`. Unwinding is not, so another thread does it while the
//! handler waits (`diag::overflow_calls`).
//!
//! # Invariants
//! * I1: `PREVIOUS` is written before the handler is installed, and never afterwards.
//!
//! # Orderings
//! * P1: `HOST`, released in `install` -> the acquire load in `handle`: the host is visible, and so
//!   is `PREVIOUS`, which was written before.

use std::cell::UnsafeCell;
use std::fmt::{self, Write};
use std::io;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::SlotMeta;
use super::arena;
use crate::machine::sys::interrupt;
use crate::machine::sys::memory::{self, alternate_stack_size, page_size};
use crate::machine::sys::unwind::AtFault;
use crate::testing::mechanism::Mechanism;

/// What the scheduler knows about a stack, given its owner word.
///
/// Async-signal-safe.
pub(crate) struct Host {
    /// Returns `true` if the calling thread runs the owner.
    pub(crate) runs_here: fn(owner: *mut ()) -> bool,
    /// Reports the owner, and how much its stack reserves, on descriptor 2.
    pub(crate) report: fn(owner: *mut (), reservation: usize),
    /// Reports the calls on the owner's stack, given its registers, on descriptor 2.
    pub(crate) list_calls: fn(owner: *mut (), at: AtFault),
}

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Flags of the previous handler that take effect only if ours has them.
const INHERITED: libc::c_int = libc::SA_NODEFER | libc::SA_RESTART;

/// The [`Host`], once one is installed.
static HOST: AtomicPtr<Host> = AtomicPtr::new(ptr::null_mut());

/// The handlers that were installed for `SIGNALS` before ours.
static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::zeroed()));

/// `true` once a previous handler that wanted to be called only once has been called.
static SPENT: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

struct Previous(UnsafeCell<MaybeUninit<[libc::sigaction; 2]>>);

// SAFETY: I1: there is no write once it is shared.
unsafe impl Sync for Previous {}

impl Previous {
    /// Returns the handler that was installed before.
    ///
    /// Called once our handler is installed, or by the caller that is about to install it.
    fn get(&self, index: usize) -> &libc::sigaction {
        // SAFETY: I1: there is no write anymore. All zero bytes are a valid `sigaction`.
        unsafe { &(*self.0.get().cast::<[libc::sigaction; 2]>())[index] }
    }
}

/// Installs the handler, once; later calls change nothing.
pub(crate) fn install(host: &'static Host) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (i, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: I1: the handler that reads this is not installed yet. All zero bytes are a
            // valid `sigaction`.
            unsafe { libc::sigaction(signal, ptr::null(), &raw mut (*PREVIOUS.0.get().cast::<[_; 2]>())[i]) };
        }
        // ORDERING P1: release publishes `PREVIOUS`.
        HOST.store(ptr::from_ref(host).cast_mut(), Ordering::Release);
        for (i, signal) in SIGNALS.into_iter().enumerate().filter(|_| Mechanism::OverflowReport.is_on()) {
            let previous = PREVIOUS.get(i);
            // SAFETY: all zero bytes are a `sigaction`; the handler is async-signal-safe.
            unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                action.sa_sigaction = handle as *const () as usize;
                action.sa_mask = previous.sa_mask;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | previous.sa_flags & INHERITED;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
    });
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // ORDERING P1: acquire pairs with the store in `install`. SAFETY: `install` stored a reference
    // that is valid forever.
    let host = unsafe { HOST.load(Ordering::Acquire).as_ref() };
    // SAFETY: the kernel passes a valid `siginfo_t` for a fault.
    let address = unsafe { (*info).si_addr() }.addr();
    // A signal sent by `kill` has no address. SAFETY: the kernel passes a valid `siginfo_t`.
    let is_fault = unsafe { (*info).si_code } > 0;
    let guard = arena::find(address).filter(|meta| is_fault && address < meta.low());
    match guard.filter(|meta| meta.occupancy().is_entered()).zip(host) {
        Some((meta, host)) if (host.runs_here)(meta.owner()) => {
            // SAFETY: the kernel has passed the context of this fault.
            report_and_abort(meta, host, unsafe { interrupt::registers_at_fault(context) })
        }
        // SAFETY: these are the arguments that the kernel passed.
        _ => unsafe { chain(signal, info, context) },
    }
}

fn report_and_abort(meta: &SlotMeta, host: &Host, at: Option<AtFault>) -> ! {
    /// One report is enough, and two at once would be unreadable.
    static REPORTS: AtomicBool = AtomicBool::new(false);
    if REPORTS.swap(true, Ordering::Relaxed) {
        // The process will be gone before this returns, unless the report failed. SAFETY:
        // async-signal-safe.
        unsafe { libc::sleep(20) };
    }
    let reservation = meta.class().reservation();
    let mut out = Stderr;
    let _ = out.write_str("\nfatal error: stack overflow\n\n");
    (host.report)(meta.owner(), reservation);
    let _ = writeln!(
        out,
        "a stack of {} KiB was not enough: raise it with Builder::stack_size, or for all goroutines with \
         GREENTHREAD_STACK",
        reservation >> 10
    );
    if let Some(at) = at {
        (host.list_calls)(meta.owner(), at);
    }
    // SAFETY: async-signal-safe, and does not return.
    unsafe { libc::abort() }
}

/// Does whatever would have happened without our handler.
///
/// # Safety
/// Called from the handler, with its arguments.
unsafe fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = usize::from(signal != SIGNALS[0]);
    let previous = PREVIOUS.get(index);
    // SAFETY: `info` is the valid `siginfo_t` that the kernel passed to the handler.
    let is_fault = unsafe { (*info).si_code } > 0;
    let once = previous.sa_flags & libc::SA_RESETHAND != 0;
    let is_spent = once && SPENT[index].swap(true, Ordering::Relaxed);
    let handler = if is_spent || !Mechanism::SignalChain.is_on() { libc::SIG_DFL } else { previous.sa_sigaction };
    match handler {
        libc::SIG_IGN if !is_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // Returning runs the faulting instruction again, which is then fatal; so is a fault
            // that is ignored. A signal that was sent is sent again, and arrives when this handler
            // returns. SAFETY: all zero bytes are the default action.
            unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
                if !is_fault {
                    libc::raise(signal);
                }
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the flag says that the handler takes three arguments.
            unsafe { mem::transmute::<usize, Handler>(handler)(signal, info, context) }
        }
        handler => {
            // SAFETY: without the flag it takes one.
            unsafe { mem::transmute::<usize, unsafe extern "C" fn(libc::c_int)>(handler)(signal) }
        }
    }
}

/// Standard error without a buffer or lock, for use in signal handlers.
///
/// Errors are ignored, since they cannot be reported.
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the pointer and length are those of a slice.
            let written = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => break,
            }
        }
        Ok(())
    }
}

/// An alternate signal stack of this thread.
///
/// Dropping it, on the same thread, frees it and restores the previous alternate stack.
#[derive(Debug)]
#[must_use = "dropping it takes the stack away again"]
pub(crate) struct AltStack {
    /// `None` if the thread already had a sufficient one.
    own: Option<Own>,
    /// The stack belongs to a thread.
    not_send: PhantomData<*mut ()>,
}

#[derive(Debug)]
struct Own {
    mapping: Range<usize>,
    before: libc::stack_t,
}

/// Ensures that signal handlers have a stack of their own on this thread, of at least `size` bytes.
/// std's threads have a small alternate stack if std found the signals' default actions in place
/// when the program started. Threads that another language started may have none.
pub(crate) fn ensure_altstack(size: usize) -> io::Result<AltStack> {
    // SAFETY: all zero bytes are a `stack_t`; a query changes nothing.
    let mut before: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: a query without a new stack changes nothing.
    unsafe { libc::sigaltstack(ptr::null(), &raw mut before) };
    let will_do = before.ss_flags & libc::SS_DISABLE == 0 && before.ss_size >= size;
    if will_do || !Mechanism::AlternateStack.is_on() {
        return Ok(AltStack { own: None, not_send: PhantomData });
    }
    let guard = page_size();
    let size = size.max(alternate_stack_size()).next_multiple_of(page_size());
    let start = memory::map(guard + size)?;
    let mapping = start..start + guard + size;
    // SAFETY: no other thread knows the mapping.
    let laid = unsafe { memory::protect(&memory::Span::new(start..start + guard)) };
    let ss_sp = ptr::with_exposed_provenance_mut(start + guard);
    let new = libc::stack_t { ss_sp, ss_flags: 0, ss_size: size };
    // SAFETY: the stack is mapped until `drop` has restored the previous one.
    if laid.is_err() || unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) } != 0 {
        let error = laid.err().unwrap_or_else(io::Error::last_os_error);
        // SAFETY: the mapping is not in use.
        unsafe { memory::release(mapping) };
        return Err(error);
    }
    Ok(AltStack { own: Some(Own { mapping, before }), not_send: PhantomData })
}

impl Drop for AltStack {
    fn drop(&mut self) {
        let Some(Own { mapping, mut before }) = self.own.take() else { return };
        if before.ss_flags & libc::SS_DISABLE != 0 {
            // Some systems check the size even of a disabled stack.
            before.ss_size = mapping.len();
        }
        // SAFETY: this is the thread that the stack was set for (it is not `Send`), and the
        // previous stack still belongs to its owner. Once ours is no longer set, the mapping is not
        // in use.
        unsafe {
            if libc::sigaltstack(&raw const before, ptr::null_mut()) == 0 {
                memory::release(mapping);
            }
        }
    }
}
