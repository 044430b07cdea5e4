//! Asks the thread of a running goroutine for its stack.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::gmp::{GRef, M};
use crate::machine::stack::look;
use crate::machine::sys::interrupt;
use crate::machine::sys::unwind::Registers;
use crate::protocol::inquiry::Inquiry;
use crate::sched::current;

/// The time that one thread may take to answer.
///
/// To answer, the thread needs a CPU briefly. On a busy machine, the thread of a goroutine that
/// computes may wait hundreds of milliseconds for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time that all threads together may keep a dump waiting before [`PATIENCE`] shrinks to
/// [`PATIENCE_AFTER_BUDGET`].
const BUDGET: Duration = Duration::from_secs(3);
const PATIENCE_AFTER_BUDGET: Duration = Duration::from_millis(50);

/// The first pause between two checks for the answer; the pauses double up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// The size, in words, of the part of a stack that is copied: 64 KiB.
const WORDS: usize = 8 << 10;

/// The answer that a thread writes.
struct Answer {
    /// The goroutine.
    ///
    /// It cannot end before the thread has answered, since it runs on that thread. The asker gets
    /// its own clone of the name.
    g: Option<GRef>,
    name: Option<Arc<str>>,
    registers: Registers,
    stack: [usize; WORDS],
    len: usize,
}

static INQUIRY: Inquiry<Answer> = Inquiry::new(Answer {
    g: None,
    name: None,
    registers: Registers { pc: 0, sp: 0, fp: 0, lr: 0 },
    stack: [0; WORDS],
    len: 0,
});

/// A goroutine that was running, as its thread saw it.
pub(super) struct RunningGoroutine<'a> {
    pub(super) g: GRef,
    pub(super) name: Option<Arc<str>>,
    pub(super) registers: Registers,
    stack: &'a [usize],
}

impl RunningGoroutine<'_> {
    /// Returns the word at an address of the stack, if that word was copied.
    pub(super) fn read(&self, address: usize) -> Option<usize> {
        let at = address.checked_sub(self.registers.sp)?;
        self.stack.get(at / size_of::<usize>()).copied().filter(|_| at.is_multiple_of(size_of::<usize>()))
    }
}

/// The time that a dump may still wait for answers.
pub(super) struct Patience {
    budget: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { budget: BUDGET }
    }

    fn for_one_thread(&self) -> Duration {
        self.budget.clamp(PATIENCE_AFTER_BUDGET, PATIENCE)
    }
}

/// Interrupts the thread of `m`, and passes the goroutine that was running there to `f`.
///
/// Returns `None` if the thread does not answer in time, and `Some(None)` if it ran no goroutine.
pub(super) fn ask<R>(
    m: &'static M,
    patience: &mut Patience,
    f: impl FnOnce(RunningGoroutine<'_>) -> R,
) -> Option<Option<R>> {
    interrupt::install_question(|registers| {
        INQUIRY.answer(interrupt::this_thread(), |answer| write(answer, registers))
    });
    let (begin, limit, mut pause) = (Instant::now(), patience.for_one_thread(), SHORTEST_PAUSE);
    let wait = || {
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        begin.elapsed() < limit
    };
    let thread = m.thread().cast_unsigned();
    let answer = INQUIRY.ask(
        thread,
        || interrupt::interrupt(thread),
        wait,
        |answer| {
            let name = answer.name.take();
            let g = answer.g.take()?;
            Some(f(RunningGoroutine { g, name, registers: answer.registers, stack: &answer.stack[..answer.len] }))
        },
    );
    patience.budget = patience.budget.saturating_sub(begin.elapsed());
    answer
}

/// Writes the answer from a signal handler.
///
/// It uses only loads, stores, and the reference count of an `Arc`.
fn write(answer: &mut Answer, registers: Registers) {
    answer.registers = registers;
    let current = current::g();
    answer.len = current.map_or(0, |g| look::copy_current(g.as_ptr().cast(), registers.sp, &mut answer.stack));
    // If the M is not on the goroutine's own stack, it is about to switch, and no data of the
    // goroutine may be read.
    answer.g = current.filter(|_| answer.len > 0);
    if let Some(g) = answer.g {
        answer.name = g.name().cloned();
    }
}
