//! Uses of thread-locals around a park: each is correct on one thread, and wrong on two threads if
//! an address that belongs to the first stays in use.
//!
//! This is a separate package because the workspace's profile for tests optimizes it: only then
//! does the compiler keep addresses across calls. It does not know goroutines; the caller passes
//! the function that parks.
//!
//! Each thread's variable holds the id of that thread, or 0. A use that finds another id has the
//! variable of another thread.

use std::cell::{Cell, RefCell};
use std::hint::black_box;

/// A function that uses a thread-local `rounds` times, with a park after each use.
///
/// It returns how many uses found another thread's variable.
pub type Hazard = fn(rounds: u32, park: &dyn Fn()) -> u32;

/// A variable with a destructor, which runs when its thread ends.
#[derive(Default)]
struct Owned(RefCell<Vec<i32>>);

thread_local! {
    static CONST: Cell<i32> = const { Cell::new(0) };
    static LAZY: Cell<i32> = unused();
    static CONST_OWNED: Owned = const { Owned(RefCell::new(Vec::new())) };
    static LAZY_OWNED: Owned = Owned::default();
}

fn unused() -> Cell<i32> {
    Cell::new(black_box(0))
}

/// Returns the calling thread's id, from the system.
#[must_use]
pub fn thread() -> i32 {
    // SAFETY: `gettid` has no arguments and always succeeds.
    unsafe { libc::gettid() }
}

/// Returns the calling thread's nice value, which belongs to the thread and which new threads
/// inherit.
#[must_use]
pub fn nice() -> i32 {
    // SAFETY: `getpriority` takes two numbers, and cannot fail for a thread that exists.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, thread().cast_unsigned()) }
}

/// Raises the calling thread's nice value, which any user may do.
pub fn set_nice(value: i32) {
    // SAFETY: `setpriority` takes three numbers.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, thread().cast_unsigned(), value) }, 0);
}

/// Returns 1 if the variable is another thread's, and marks one that is still unused.
#[inline(never)]
fn is_foreign(cell: &Cell<i32>) -> u32 {
    let thread = thread();
    if cell.get() == 0 {
        cell.set(thread);
    }
    u32::from(cell.get() != thread)
}

#[inline(never)]
fn is_foreign_owned(Owned(owners): &Owned) -> u32 {
    let mut owners = owners.borrow_mut();
    owners.push(thread());
    let wrong = u32::from(owners.first() != owners.last());
    owners.truncate(1);
    wrong
}

/// Closes the `with` before each park.
///
/// The variable needs no initialization, and LLVM computes its address once.
#[must_use]
pub fn closed_const(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += CONST.with(is_foreign);
        park();
    }
    wrong
}

/// Does what [`closed_const`] does, with a variable that is initialized at its first use.
#[must_use]
pub fn closed_lazy(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += LAZY.with(is_foreign);
        park();
    }
    wrong
}

/// Does what [`closed_const`] does, with variables that have destructors.
#[must_use]
pub fn closed_owned(rounds: u32, park: &dyn Fn()) -> u32 {
    let mut wrong = 0;
    for _ in 0..rounds {
        wrong += CONST_OWNED.with(is_foreign_owned) + LAZY_OWNED.with(is_foreign_owned);
        park();
    }
    wrong
}

/// Keeps the `with` open across the parks.
#[must_use]
pub fn open_const(rounds: u32, park: &dyn Fn()) -> u32 {
    CONST.with(|cell| sum_of_uses(rounds, park, || is_foreign(cell)))
}

/// Does what [`open_const`] does, with a variable that is initialized at its first use.
#[must_use]
pub fn open_lazy(rounds: u32, park: &dyn Fn()) -> u32 {
    LAZY.with(|cell| sum_of_uses(rounds, park, || is_foreign(cell)))
}

/// Does what [`open_const`] does, with variables that have destructors.
#[must_use]
pub fn open_owned(rounds: u32, park: &dyn Fn()) -> u32 {
    CONST_OWNED.with(|a| LAZY_OWNED.with(|b| sum_of_uses(rounds, park, || is_foreign_owned(a) + is_foreign_owned(b))))
}

/// Keeps the address of `errno`, as C compilers do: the C library declares that it never changes.
#[must_use]
pub fn errno(rounds: u32, park: &dyn Fn()) -> u32 {
    // SAFETY: `__errno_location` has no arguments, and each thread has an errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: `__errno_location` has no arguments, and each thread has an errno.
    sum_of_uses(rounds, park, || u32::from(errno != unsafe { libc::__errno_location() }))
}

/// Keeps the `with` open across the parks, with the address only in a vector.
#[must_use]
pub fn open_in_a_vector(rounds: u32, park: &dyn Fn()) -> u32 {
    #[inline(never)]
    fn collect(cell: &Cell<i32>) -> Vec<&Cell<i32>> {
        vec![cell; 3]
    }
    #[inline(never)]
    fn first_is_foreign(cells: &[&Cell<i32>]) -> u32 {
        is_foreign(cells[0])
    }
    #[inline(never)]
    fn overwrite_stack_below() {
        black_box([0_u8; 4096]);
    }
    CONST.with(|cell| {
        let cells = black_box(collect(cell));
        let uses = || {
            let wrong = first_is_foreign(&cells);
            overwrite_stack_below();
            wrong
        };
        sum_of_uses(rounds, park, uses)
    })
}

fn sum_of_uses(rounds: u32, park: &dyn Fn(), mut use_it: impl FnMut() -> u32) -> u32 {
    (0..rounds)
        .map(|_| {
            let wrong = use_it();
            park();
            wrong
        })
        .sum()
}

/// Uses a thread-local before each park, in a `with` that is closed again, as long as `more` is
/// true.
///
/// LLVM computes the variable's address once, so a goroutine that parks here is tied to its thread.
#[inline(never)]
pub fn closed_while(more: &dyn Fn() -> bool, park: &dyn Fn()) {
    while more() {
        CONST_OWNED.with(is_foreign_owned);
        park();
    }
}
