//! The guard areas of stacks, by the best method that the system supports.
//!
//! | method | needs | mappings for each stack | cost of a guard of 16 KiB |
//! | --- | --- | --- | --- |
//! | [`Install`](Guards::Install) | Linux 6.13 | 0 | 0.6 us |
//! | [`Userfault`](Guards::Userfault) | 5.7; 5.11 unprivileged | 0 | 0.8 us (before 6.4: 4 us) |
//! | [`Holes`](Guards::Holes) | Linux | 1 | 2 us |
//! | [`Mprotect`](Guards::Mprotect) | nothing | 2 | 3.4 us |
//!
//! The methods are tried in this order, and the first one that works is used for the whole process.
//! With the first two, neither the number of mappings nor memory grows: they mark page-table
//! entries next to the one of the stack's top page.
//!
//! # Limits
//! A process may have `vm.max_map_count` mappings, 65,530 by default. When that number is reached,
//! every `mmap` of the process fails, including the allocator's. So *holes* and *mprotect* leave an
//! eighth of the mappings to the rest of the process. A thread takes four (its stack, its alternate
//! stack, and a guard for each), so 8191 are enough for the libraries, the allocator, and almost
//! 2000 threads.
//!
//! # Holes
//! Each stack is a mapping of its own, and below it nothing is mapped. If the kernel placed a later
//! mapping into such a hole, an overflow would destroy its contents. So arenas of holes lie where
//! the kernel places nothing by itself ([`memory::find_unclaimed`]).
//!
//! # Charged memory
//! An arena is reserved without access. Its slots are made usable group by group, so a system that
//! charges for memory before it is touched charges for the stacks that exist, and for no more than
//! 63 others. If it refuses to charge for a group, smaller groups are tried.
//!
//! # Rejected
//! * *Protection keys*: they are per thread, and there are 16.
//! * *No guards, and a check in each function*: Rust code has no such checks.
//! * *Choosing a method for each arena*: what an overflow does would depend on when a stack was
//!   created.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::machine::sys::memory::{self, Span, page_size};
use crate::machine::sys::mutex::Mutex;
use crate::machine::sys::userfault;

/// The method by which the guard areas below the stacks of goroutines are made.
///
/// The methods differ in the kernel that they need, and in how many goroutines can be started. Use
/// [`Auto`](Self::Auto), except to test what a program does on an older kernel.
///
/// ```
/// use greenthread::config::{Config, Guards};
///
/// Config::default().guards(Guards::Holes).install().unwrap();
/// greenthread::spawn(|| ()).join().unwrap();
/// # #[cfg(target_os = "linux")]
/// assert_eq!(greenthread::debug::stats().guards, Guards::Holes);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Guards {
    /// The first of the other methods that the system supports.
    #[default]
    Auto,
    /// `MADV_GUARD_INSTALL`, from Linux 6.13 on.
    Install,
    /// Write protection by `userfaultfd`, from Linux 5.11 on (5.7 with privileges).
    ///
    /// Docker's default profile denies it. It takes one descriptor, which the program must not
    /// close.
    Userfault,
    /// Unmapped pages below each stack, on any Linux.
    ///
    /// Each stack takes one of the mappings that `vm.max_map_count` allows a process.
    Holes,
    /// `mprotect`, on every system.
    ///
    /// Each stack takes two of the mappings that `vm.max_map_count` allows a process.
    Mprotect,
}

impl Guards {
    /// All methods, the best one first.
    pub(crate) const METHODS: [Self; 4] = [Self::Install, Self::Userfault, Self::Holes, Self::Mprotect];

    /// Returns the name by which the environment chooses the method.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Install => "install",
            Self::Userfault => "userfault",
            Self::Holes => "holes",
            Self::Mprotect => "mprotect",
        }
    }

    /// Returns the method with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Auto].into_iter().chain(Self::METHODS).find(|method| method.name() == name)
    }

    /// Tries the method on one page.
    pub(super) fn check(self) -> io::Result<()> {
        match self {
            Self::Auto | Self::Mprotect => Ok(()),
            Self::Install => with_page(|page| {
                // SAFETY: no other code knows the page.
                unsafe { memory::guard(&[Span::new(page.clone())]).and_then(|()| expect_guard(&page)) }
            }),
            Self::Userfault => {
                userfault::open()?;
                with_page(|page| {
                    userfault::register(&page)?;
                    // SAFETY: no other code knows the page.
                    unsafe { userfault::guard(&[Span::new(page.clone())], &page).and_then(|()| expect_guard(&page)) }
                })
            }
            Self::Holes => memory::find_unclaimed(page_size()).map(|_| ()),
        }
    }
}

impl fmt::Display for Guards {
    /// Writes the name by which `GREENTHREAD_GUARDS` chooses the method.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Fails if the page can be written.
///
/// Emulators accept advice that they do not know, and then ignore it.
///
/// # Safety
/// The page is not in use.
unsafe fn expect_guard(page: &Range<usize>) -> io::Result<()> {
    // SAFETY: the page is not in use, as the caller guarantees.
    if unsafe { memory::is_writable(page.start) } { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

fn with_page(try_it: impl FnOnce(Range<usize>) -> io::Result<()>) -> io::Result<()> {
    let start = memory::map(page_size())?;
    let page = start..start + page_size();
    let result = try_it(page.clone());
    // SAFETY: the page was mapped here, and no other code knows it.
    unsafe { memory::release(page) };
    result
}

/// Neighboring slots that are to be made usable.
pub(super) struct NewSlots {
    pub(super) range: Range<usize>,
    /// The size of a slot.
    pub(super) size: usize,
    /// The size of the guard at the lower end of each slot.
    pub(super) guard: usize,
}

impl NewSlots {
    fn count(&self) -> usize {
        self.range.len() / self.size
    }

    /// Returns the guard of each slot, and what is above the guard.
    fn parts(&self) -> impl Iterator<Item = (Span, Span)> {
        self.range.clone().step_by(self.size).map(|limit| {
            let low = limit + self.guard;
            (Span::new(limit..low), Span::new(low..limit + self.size))
        })
    }

    /// Returns the first half of the slots, at least one.
    fn first_half(&self) -> Self {
        let count = (self.count() / 2).max(1);
        Self { range: self.range.start..self.range.start + count * self.size, ..*self }
    }
}

/// The most slots that are guarded at a time.
pub(super) const BATCH: usize = 64;

/// How guards are made for one pool, and how many more may be made.
pub(super) struct Guarding {
    /// The method, as a number; `Auto` until the first stack is needed.
    method: AtomicU8,
    /// The most mappings that may be used; 0 until it is computed.
    most: AtomicUsize,
    /// The mappings used so far.
    used: AtomicUsize,
    choosing: Mutex<()>,
}

impl Guarding {
    /// Makes guards by the best method that the system supports.
    pub(super) const fn new() -> Self {
        Self::of(Guards::Auto, 0)
    }

    /// Makes guards by one method, with at most `most` mappings, or as many as the process may use
    /// if that is 0.
    pub(super) const fn of(method: Guards, most: usize) -> Self {
        Self {
            method: AtomicU8::new(method as u8),
            most: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
            choosing: Mutex::new(()),
        }
    }

    /// Returns the method, or `Auto` if no stack was needed yet.
    pub(super) fn chosen(&self) -> Guards {
        let number = self.method.load(Ordering::Relaxed);
        Guards::METHODS.into_iter().find(|method| *method as u8 == number).unwrap_or_default()
    }

    /// Chooses a method: `wanted` if it works, or the best one that does.
    ///
    /// Returns the method, and the reason why it is not the one that was wanted. Changes nothing if
    /// a method was chosen before.
    pub(super) fn choose(&self, wanted: Guards) -> (Guards, Option<io::Error>) {
        let _choosing = self.choosing.lock();
        if self.chosen() != Guards::Auto {
            return (self.chosen(), None);
        }
        let refusal = wanted.check().err();
        let method = match wanted {
            Guards::Auto => None,
            wanted => Some(wanted).filter(|_| refusal.is_none()),
        };
        let best = || Guards::METHODS.into_iter().find(|method| method.check().is_ok());
        let method = method.or_else(best).unwrap_or(Guards::Mprotect);
        self.method.store(method as u8, Ordering::Relaxed);
        (method, refusal)
    }

    fn method(&self) -> Guards {
        match self.chosen() {
            Guards::Auto => self.choose(Guards::Auto).0,
            method => method,
        }
    }

    /// Returns `true` if there are unmapped pages between the slots of an arena.
    pub(super) fn leaves_holes(&self) -> bool {
        self.method() == Guards::Holes
    }

    /// Reserves address space for an arena.
    pub(super) fn reserve(&self, len: usize) -> io::Result<usize> {
        if self.leaves_holes() { memory::find_unclaimed(len) } else { memory::reserve(len) }
    }

    /// Releases what [`reserve`](Self::reserve) has returned.
    ///
    /// # Safety
    /// The range was reserved, and nothing in it was made usable.
    pub(super) unsafe fn release(&self, range: Range<usize>) {
        if !self.leaves_holes() {
            // SAFETY: the range is a whole reservation and not in use, as this function demands.
            unsafe { memory::release(range) };
        }
    }

    /// Prepares a reservation for guards.
    pub(super) fn prepare(&self, range: &Range<usize>) -> io::Result<()> {
        if self.method() == Guards::Userfault { userfault::register(range) } else { Ok(()) }
    }

    /// Makes the first few of the slots usable above their guards, at least one.
    ///
    /// Returns the number of slots. Fails with `AlreadyExists` if the program has mapped something
    /// in an arena of holes, whose addresses the kernel does not keep free.
    ///
    /// # Safety
    /// The slots are part of a reservation that was prepared, and are not in use.
    pub(super) unsafe fn lay(&self, slots: &NewSlots) -> io::Result<usize> {
        match self.method() {
            Guards::Holes => self.lay_each(slots, |_, above| memory::map_at(above)),
            Guards::Mprotect => self.lay_each(slots, |_, above| {
                // SAFETY: the span is part of a reservation, as this function demands.
                unsafe { memory::make_usable(above) }
            }),
            // SAFETY: as this function demands.
            _ => unsafe { self.lay_all(slots) },
        }
    }

    /// Makes slots usable, and marks the page-table entries of their guards.
    ///
    /// # Safety
    /// As for [`lay`](Self::lay).
    unsafe fn lay_all(&self, slots: &NewSlots) -> io::Result<usize> {
        // SAFETY: the span is part of a reservation, as this function demands.
        if let Err(error) = unsafe { memory::make_usable(&Span::new(slots.range.clone())) } {
            // The system may charge for fewer.
            return match slots.count() {
                1 => Err(refused(&error)),
                // SAFETY: as this function demands.
                _ => unsafe { self.lay_all(&slots.first_half()) },
            };
        }
        let mut spans = [Span::EMPTY; BATCH];
        spans.iter_mut().zip(slots.parts()).for_each(|(span, (guard, _))| *span = guard);
        let spans = &spans[..slots.count()];
        let laid = if self.method() == Guards::Userfault {
            // SAFETY: the slots are usable now, registered, and not in use.
            unsafe { userfault::guard(spans, &slots.range) }
        } else {
            // SAFETY: the slots are not in use.
            unsafe { memory::guard(spans) }
        };
        match laid {
            // The memory is locked, for example.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.lay_each(slots, |guard, _| {
                // SAFETY: the guard is not in use.
                unsafe { memory::protect(guard) }
            }),
            laid => laid.map(|()| slots.count()).map_err(|error| refused(&error)),
        }
    }

    /// Calls `lay` with the guard of each slot, and with what is above it, until it fails or no
    /// more mappings may be used.
    fn lay_each(&self, slots: &NewSlots, lay: impl Fn(&Span, &Span) -> io::Result<()>) -> io::Result<usize> {
        let mappings = self.mappings();
        let mut done = 0;
        for (guard, above) in slots.parts() {
            let laid = if self.used.load(Ordering::Relaxed) + mappings > self.most() {
                Err(self.no_mapping())
            } else {
                lay(&guard, &above).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => error,
                    _ => refused(&error),
                })
            };
            match laid {
                Ok(()) => done += 1,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            self.used.fetch_add(mappings, Ordering::Relaxed);
        }
        Ok(done)
    }

    /// Returns how many mappings a guard takes that does not only mark page-table entries.
    fn mappings(&self) -> usize {
        if self.leaves_holes() { 1 } else { 2 }
    }

    /// Returns how many mappings guards may take.
    fn most(&self) -> usize {
        match self.most.load(Ordering::Relaxed) {
            0 => {
                let limit = memory::mapping_limit().0;
                let most = (limit - limit / 8).max(1);
                self.most.store(most, Ordering::Relaxed);
                most
            }
            most => most,
        }
    }

    pub(super) fn limit_mappings(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn no_mapping(&self) -> io::Error {
        let (limit, setting) = memory::mapping_limit();
        let (most, method, mappings) = (self.most(), self.chosen(), self.mappings());
        let text = format!(
            "the {} stacks that can be guarded by {method} are in use: each takes {mappings} of the {limit} mappings that \
             {setting} allows, of which stacks may take {most}; raise {setting}, allow userfaultfd (Linux 5.11), or use \
             Linux 6.13",
            most / mappings
        );
        io::Error::new(io::ErrorKind::OutOfMemory, text)
    }
}

fn refused(why: &io::Error) -> io::Error {
    let text = format!(
        "the system refuses memory for another stack ({why}): use smaller stacks, or raise the limit that was reached \
         (vm.overcommit_ratio, vm.max_map_count, ulimit -v, ulimit -d)"
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
