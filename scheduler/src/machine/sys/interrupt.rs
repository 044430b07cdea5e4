//! Signals that the runtime handles for dumps: one that asks a thread for its registers, and
//! SIGQUIT.
//!
//! *Asking* uses SIGURG, as Go does: by default it has no effect, and few programs use it. The
//! first question installs the handler. A signal that is not a question goes to the handler that
//! was installed before. The kernel restarts a system call that the signal interrupts
//! (`SA_RESTART`). Calls that it never restarts (`poll`, `nanosleep`, reads with a timeout) fail
//! with `EINTR`, which callers of these must always expect.
//!
//! *SIGQUIT* is taken over if it has its default action at boot; a handler that the program has
//! already installed stays. A handler that the program installs later, with `sigaction`, replaces
//! ours. If that handler also calls ours, as the crate `signal-hook` does, ours sees that it is not
//! the installed handler. It then does nothing, since the program now handles the signal itself.
//!
//! Both handlers run on the alternate stack, and are async-signal-safe provided that the functions
//! they call are.
//!
//! A *fault* interrupts a thread as well, and its handler reads the registers here.
//!
//! On systems other than x86-64 and aarch64 Linux, no thread is asked, and SIGQUIT keeps its
//! default action.
//!
//! # Invariants
//! * I1: the function to call and the previously installed handler are stored before our handler is
//!   installed, and never afterwards.

/// Called by the handler with the registers of the interrupted code.
///
/// Returns `true` if the thread was asked.
pub(crate) type Answer = fn(super::unwind::Registers) -> bool;

pub(crate) use imp::{
    end_process, install_question, install_quit, interrupt, registers_at_fault, set_quit_heard, this_thread,
};

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]
mod imp {
    use std::ffi::{c_int, c_void};
    use std::mem;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::unwind::{AtFault, Registers};
    use super::Answer;

    const QUESTION: c_int = libc::SIGURG;

    struct Question {
        answer: Answer,
        before: libc::sigaction,
    }

    static ON_QUESTION: OnceLock<Question> = OnceLock::new();
    static ON_QUIT: OnceLock<fn()> = OnceLock::new();

    /// SIGQUIT has never had a subscriber, has one, or no longer has one.
    const NEVER: u8 = 0;
    const HEARD: u8 = 1;
    const UNHEARD: u8 = 2;
    static QUIT: AtomicU8 = AtomicU8::new(NEVER);

    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

    fn installed(signal: c_int) -> libc::sigaction {
        // SAFETY: all zero bytes are a valid `sigaction`.
        let mut now: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: the result goes to a local.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut now) };
        now
    }

    fn install(signal: c_int, handler: Handler) {
        // SAFETY: all zero bytes are a valid `sigaction` with an empty mask; both handlers are
        // async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }

    /// Makes interrupted threads call `answer`, which is the same function in every call.
    pub(crate) fn install_question(answer: Answer) {
        if ON_QUESTION.get().is_none() {
            let _ = ON_QUESTION.set(Question { answer, before: installed(QUESTION) });
            install(QUESTION, on_question);
        }
    }

    /// Returns the number by which this thread can be interrupted.
    pub(crate) fn this_thread() -> u32 {
        // SAFETY: the call takes no arguments and always succeeds.
        unsafe { libc::gettid() }.cast_unsigned()
    }

    /// Interrupts a thread of this process.
    ///
    /// Returns `false` if no thread has this number.
    pub(crate) fn interrupt(thread: u32) -> bool {
        // SAFETY: the arguments are numbers only. A thread that reuses the number of an ended
        // thread does nothing, since it is not asked.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, QUESTION) == 0 }
    }

    extern "C" fn on_question(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel passes the registers that it will restore.
        let from = unsafe { registers(context) };
        let Some(question) = ON_QUESTION.get() else { return };
        // SAFETY: this is the address of this thread's errno, which the calls below may change.
        let errno = unsafe { &mut *libc::__errno_location() };
        let before = *errno;
        if !(question.answer)(from) {
            chain(&question.before, signal, info, context);
        }
        *errno = before;
    }

    /// Returns an interrupted thread's registers.
    ///
    /// # Safety
    /// `context` is what the kernel has passed to the handler.
    unsafe fn registers(context: *const c_void) -> Registers {
        // SAFETY: the caller passes what the kernel has passed.
        unsafe { registers_and_scratch(context) }.0
    }

    /// Returns the registers of code that has overflowed its stack.
    ///
    /// # Safety
    /// `context` is what the kernel has passed to the handler of the fault.
    pub(crate) unsafe fn registers_at_fault(context: *const c_void) -> Option<AtFault> {
        // SAFETY: the caller passes what the kernel has passed.
        let (registers, scratch) = unsafe { registers_and_scratch(context) };
        Some(AtFault { registers, scratch })
    }

    /// # Safety
    /// As for [`registers`].
    #[cfg(target_arch = "x86_64")]
    unsafe fn registers_and_scratch(context: *const c_void) -> (Registers, usize) {
        // SAFETY: the kernel passes the registers that it will restore.
        let all = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let [pc, sp, fp, scratch] = [libc::REG_RIP, libc::REG_RSP, libc::REG_RBP, libc::REG_R11]
            .map(|index| all[index as usize].cast_unsigned() as usize);
        (Registers { pc, sp, fp, lr: 0 }, scratch)
    }

    /// # Safety
    /// As for [`registers`].
    #[cfg(target_arch = "aarch64")]
    unsafe fn registers_and_scratch(context: *const c_void) -> (Registers, usize) {
        // SAFETY: the kernel passes the registers that it will restore.
        let all = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        let [pc, sp, fp, lr] = [all.pc, all.sp, all.regs[29], all.regs[30]].map(|register| register as usize);
        (Registers { pc, sp, fp, lr }, 0)
    }

    fn chain(before: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {}
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                // SAFETY: the flag says that the handler takes three arguments.
                let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
                handler(signal, info, context);
            }
            handler => {
                // SAFETY: without the flag it takes one argument.
                let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
                handler(signal);
            }
        }
    }

    /// Makes SIGQUIT call `act`, if the signal currently has its default action.
    ///
    /// Called once.
    pub(crate) fn install_quit(act: fn()) {
        if installed(libc::SIGQUIT).sa_sigaction == libc::SIG_DFL && ON_QUIT.set(act).is_ok() {
            install(libc::SIGQUIT, on_quit);
        }
    }

    /// Records whether the program receives SIGQUIT through a handler that also calls ours.
    pub(crate) fn set_quit_heard(heard: bool) {
        QUIT.store(if heard { HEARD } else { UNHEARD }, Ordering::Relaxed);
    }

    extern "C" fn on_quit(signal: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
        let ours = || installed(signal).sa_sigaction == on_quit as *const () as usize;
        let acts = match QUIT.load(Ordering::Relaxed) {
            HEARD => false,
            UNHEARD => true,
            _ => ours(),
        };
        if let Some(act) = ON_QUIT.get().filter(|_| acts) {
            act();
        }
    }

    /// Exits the process with status 2 immediately, without running exit handlers, which might wait
    /// for whatever hangs.
    pub(crate) fn end_process() -> ! {
        // SAFETY: the call takes a number and does not return.
        unsafe { libc::_exit(2) }
    }
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
mod imp {
    use std::ffi::c_void;

    use super::super::unwind::AtFault;
    use super::Answer;

    pub(crate) fn install_question(_: Answer) {}

    pub(crate) fn this_thread() -> u32 {
        0
    }

    pub(crate) fn interrupt(_: u32) -> bool {
        false
    }

    pub(crate) fn install_quit(_: fn()) {}

    /// # Safety
    /// None is needed here.
    pub(crate) unsafe fn registers_at_fault(_: *const c_void) -> Option<AtFault> {
        None
    }

    pub(crate) fn set_quit_heard(_: bool) {}

    pub(crate) fn end_process() -> ! {
        std::process::exit(2)
    }
}
