//! Uses of thread-locals around a park, each right on one thread, and each wrong on two if an address of the first stays in use.
//!
//! A package of its own, because the profile of tests optimises it (`Cargo.toml` of the workspace): the compiler keeps addresses across calls only
//! then. It knows nothing of goroutines: what parks is handed in.
//!
//! Each thread's variable holds the number of that thread, or 0. Whoever meets another number has the variable of another thread.

use std::cell::{Cell, RefCell};
use std::hint::black_box;

/// Uses a thread-local `rounds` times with a park after each; how often it was that of another thread.
pub type Hazard = fn(rounds: u32, park: &dyn Fn()) -> u32;

/// A variable that is freed with its thread.
#[derive(Default)]
struct Owned(RefCell<Vec<i32>>);

thread_local! {
    static CONST: Cell<i32> = const { Cell::new(0) };
    static LAZY: Cell<i32> = nobody();
    static CONST_OWNED: Owned = const { Owned(RefCell::new(Vec::new())) };
    static LAZY_OWNED: Owned = Owned::default();
}

fn nobody() -> Cell<i32> {
    Cell::new(black_box(0))
}

/// The number of the calling thread, from the system.
#[must_use]
pub fn thread() -> i32 {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::gettid() }
}

/// The nice value of the calling thread: something that the system keeps for each, and that new
/// threads inherit.
#[must_use]
pub fn nice() -> i32 {
    // SAFETY: it takes two numbers. It cannot fail for a thread that exists.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, thread().cast_unsigned()) }
}

/// Makes the calling thread nicer, which any user may.
pub fn set_nice(value: i32) {
    // SAFETY: it takes three numbers.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, thread().cast_unsigned(), value) }, 0);
}

/// Whether the variable is another thread's. Marks one that nobody has used.
#[inline(never)]
fn is_anothers(cell: &Cell<i32>) -> u32 {
    let thread = thread();
    if cell.get() == 0 {
        cell.set(thread);
    }
    u32::from(cell.get() != thread)
}

#[inline(never)]
fn is_anothers_owned(Owned(owners): &Owned) -> u32 {
    let mut owners = owners.borrow_mut();
    owners.push(thread());
    let wrong = u32::from(owners.first() != owners.last());
    owners.truncate(1);
    wrong
}

/// Closed before each park; the variable needs no initialisation. LLVM computes its address once.
#[must_use]
pub fn closed_const(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += CONST.with(is_anothers);
        park();
    }
    wrong
}

/// As [`closed_const`], with a variable that is initialised when it is first used.
#[must_use]
pub fn closed_lazy(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += LAZY.with(is_anothers);
        park();
    }
    wrong
}

/// As [`closed_const`], with variables that have destructors.
#[must_use]
pub fn closed_owned(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += CONST_OWNED.with(is_anothers_owned) + LAZY_OWNED.with(is_anothers_owned);
        park();
    }
    wrong
}

/// Open across the parks.
#[must_use]
pub fn open_const(rounds: u32, park: &dyn Fn()) -> u32 {
    CONST.with(|cell| uses_of(rounds, park, || is_anothers(cell)))
}

/// As [`open_const`], with a variable that is initialised when it is first used.
#[must_use]
pub fn open_lazy(rounds: u32, park: &dyn Fn()) -> u32 {
    LAZY.with(|cell| uses_of(rounds, park, || is_anothers(cell)))
}

/// As [`open_const`], with variables that have destructors.
#[must_use]
pub fn open_owned(rounds: u32, park: &dyn Fn()) -> u32 {
    CONST_OWNED.with(|a| LAZY_OWNED.with(|b| uses_of(rounds, park, || is_anothers_owned(a) + is_anothers_owned(b))))
}

/// The address of `errno`, kept as C compilers do, to whom the C library says that it is always the same.
#[must_use]
pub fn errno(rounds: u32, park: &dyn Fn()) -> u32 {
    // SAFETY: it takes nothing; each thread has an errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    uses_of(rounds, park, || u32::from(errno != unsafe { libc::__errno_location() }))
}

/// Open across the parks, with the address in a vector alone.
#[must_use]
pub fn open_in_a_vector(rounds: u32, park: &dyn Fn()) -> u32 {
    #[inline(never)]
    fn collect(cell: &Cell<i32>) -> Vec<&Cell<i32>> {
        vec![cell; 3]
    }
    #[inline(never)]
    fn first_is_anothers(cells: &[&Cell<i32>]) -> u32 {
        is_anothers(cells[0])
    }
    #[inline(never)]
    fn overwrite_what_is_left_below() {
        black_box([0_u8; 4096]);
    }
    CONST.with(|cell| {
        let cells = black_box(collect(cell));
        let uses = || {
            let wrong = first_is_anothers(&cells);
            overwrite_what_is_left_below();
            wrong
        };
        uses_of(rounds, park, uses)
    })
}

fn uses_of(rounds: u32, park: &dyn Fn(), mut use_it: impl FnMut() -> u32) -> u32 {
    (0..rounds)
        .map(|_| {
            let wrong = use_it();
            park();
            wrong
        })
        .sum()
}

/// Uses a thread-local, and closes it, before each park, for as long as there is to be more. LLVM
/// computes its address once, so that a goroutine which parks here is tied to its thread.
#[inline(never)]
pub fn closed_while(more: &dyn Fn() -> bool, park: &dyn Fn()) {
    while more() {
        CONST_OWNED.with(is_anothers_owned);
        park();
    }
}
