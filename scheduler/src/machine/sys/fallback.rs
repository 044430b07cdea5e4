//! What the system lacks or denies, and what the runtime uses instead.
//!
//! Old kernels lack system calls, and containers deny them. The code that misses one notes that
//! here and takes another way. Ways that cost nothing are not noted.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// Something that the system lacks or denies, named with what the runtime uses instead.
///
/// ```
/// for fallback in greenthread::debug::stats().fallbacks.iter() {
///     println!("{fallback}");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Fallback {
    /// No `membarrier` (Linux 4.14): each dispatch of a goroutine executes full memory fences.
    Membarrier,
    /// No `process_madvise` of the caller's process (Linux 6.13): unused pages of stacks are
    /// returned by one call per stack instead of one per 64.
    BatchedAdvice,
    /// No `PAGEMAP_SCAN` (Linux 6.7): `mincore` tells which pages of stacks are in use, and takes
    /// about five times as long.
    PagemapScan,
    /// No `pidfd_open` for threads (Linux 6.9): a deadlock that arises from the end of a foreign
    /// thread is found up to a minute late.
    ThreadEnd,
    /// No `pidfd_open` for processes (Linux 5.3): the end of a child process is polled for.
    ProcessEnd,
    /// No `/proc`: deadlocks are not reported, and a thread that waits for a CPU is taken for one
    /// that blocks.
    Proc,
    /// No `prctl(PR_SET_TIMERSLACK)`: timers are up to 50 us late.
    ExactTimers,
}

impl Fallback {
    const ALL: [Self; 7] = [
        Self::Membarrier,
        Self::BatchedAdvice,
        Self::PagemapScan,
        Self::ThreadEnd,
        Self::ProcessEnd,
        Self::Proc,
        Self::ExactTimers,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Notes that the runtime has had to use this fallback.
    pub(crate) fn note(self) {
        // A load is cheaper where this repeats.
        if NOTED.load(Ordering::Relaxed) & self.bit() == 0 {
            NOTED.fetch_or(self.bit(), Ordering::Relaxed);
        }
    }

    /// Returns what is missing and what is used instead, such as "no membarrier: full fences".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Membarrier => "no membarrier: full fences",
            Self::BatchedAdvice => "no process_madvise: one madvise per stack",
            Self::PagemapScan => "no PAGEMAP_SCAN: mincore",
            Self::ThreadEnd => "no pidfd_open for threads: some deadlocks are reported a minute late",
            Self::ProcessEnd => "no pidfd_open: polling for the end of child processes",
            Self::Proc => "no /proc: no deadlock report",
            Self::ExactTimers => "no PR_SET_TIMERSLACK: timers are up to 50 us late",
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

static NOTED: AtomicU8 = AtomicU8::new(0);

/// The fallbacks that the runtime has had to use so far.
///
/// Each is noted when it is first needed. How the guard areas of stacks are made is
/// `Stats::guards`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fallbacks(u8);

impl Fallbacks {
    /// Returns those that were noted by now.
    pub(crate) fn so_far() -> Self {
        Self(NOTED.load(Ordering::Relaxed))
    }

    /// Returns the fallbacks, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Fallback> {
        Fallback::ALL.into_iter().filter(move |&fallback| self.contains(fallback))
    }

    /// Returns `true` if the runtime has had to use this one.
    pub fn contains(self, fallback: Fallback) -> bool {
        self.0 & fallback.bit() != 0
    }

    /// Returns `true` if there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Fallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fallback_is_told_from_the_others() {
        assert!(Fallbacks(0).is_empty() && Fallbacks(0).iter().next().is_none());
        for (at, one) in Fallback::ALL.into_iter().enumerate() {
            let only = Fallbacks(1 << at);
            assert!(only.contains(one) && !only.is_empty());
            assert_eq!(only.iter().collect::<Vec<_>>(), [one]);
            assert_eq!(format!("{only:?}"), format!("{{{one:?}}}"));
            assert!(one.to_string().starts_with("no "), "{one}");
        }
    }
}
