//! Goroutines that compute for long, and how many of them may do so without a P.
//!
//! # Vocabulary
//! A *hog* is a goroutine that has kept its P for a time slice by computing, while others wait. The monitor takes the P
//! from it; the hog goes on on its thread, *without a P*, until it enters the scheduler. A goroutine that blocks its
//! thread is no hog, since it needs no CPU.
//!
//! # The problem
//! With each P that is taken, one more thread computes. A hundred goroutines that compute for 100 ms each, on two Ps, get a
//! thread each within a second, and the threads share two CPUs: all come to their ends at the end, and the kernel switches between
//! a hundred. More threads than CPUs make nothing faster. But "no more hogs without a P than CPUs" alone is wrong as
//! well: with all Ps at hogs that never end, nobody else would ever run.
//!
//! # What is done
//! As long as fewer hogs are without a P than there are CPUs, P after P is taken for good. From then on a P is *lent*: it goes to
//! another M, which runs what waits (who slept, who waited for I/O, whom others woke), and is given back to the hog when
//! nothing more waits ([`crate::protocol::lease`]). Goroutines that have not begun and are spawned at a *hogs' site*, a
//! line whose goroutines have been hogs in the last second ([`crate::sched::sites`]), are not run by the borrower, since that would be the next
//! hog; they are *late* ([`crate::sched::global`]). So who does not compute waits for one time slice, and hogs wait for hogs.
//!
//! They must not wait for ever: the hogs on the Ps may be waiting, in a loop, for those that have not begun. So as long as
//! some are late, one more P is taken for good after [`Stretch::STEP`], the next one after twice that, and so on.
//! The number of threads then follows from how soon hogs end: 100 of 100 ms on two Ps and two CPUs run on 4 to 7.
//!
//! # Rejected
//! * *A longer time slice for all, the more hogs there are*: who sleeps waits for it too.
//! * *To run nobody new while hogs compute without a P*: a goroutine that is spawned beside hogs that never end would
//!   never begin.
//! * *To ask for the priority or the affinity of hogs' threads*: that needs rights, and changes what is the user's.

use crate::gmp::{GRef, M};
use crate::sched::sites::SITES;
use crate::time::clock;

/// For how many steps of the coarse clock a site counts after its last hog: about a second.
const REMEMBERED: u32 = 60;

/// `g`, which runs, is a hog. For the monitor.
pub(crate) fn note(g: GRef) {
    SITES.note_hog(g.id_and_site().1, clock::coarse());
}

/// Whether `g` has not begun, and will probably be a hog.
pub(crate) fn is_likely_hog(g: GRef) -> bool {
    let last = || SITES.last_hog(g.site);
    g.stack.get().is_null() && last().is_some_and(|last| clock::coarse().wrapping_sub(last) <= REMEMBERED)
}

/// The hogs that compute without a P. The monitor's.
pub(crate) struct Away {
    hogs: Vec<(&'static M, u64)>,
    stretch: Stretch,
}

impl Away {
    pub(crate) fn new() -> Self {
        Self { hogs: Vec::new(), stretch: Stretch { last: 0 } }
    }

    /// A P has been taken from `m`, whose goroutine computes.
    pub(crate) fn add(&mut self, m: &'static M) {
        // It may have had the P back in between.
        self.hogs.retain(|(other, _)| other.id != m.id);
        self.hogs.push((m, 0));
    }

    /// Forgets those that have come back, or block now.
    pub(crate) fn update(&mut self) {
        self.hogs.retain_mut(|(m, cpu)| {
            let before = std::mem::replace(cpu, m.cpu_time());
            m.lease.is_taken() && (*cpu != before || m.is_runnable())
        });
    }

    /// Whether a P may be taken for good on `cpus` CPUs. `late` says that hogs wait for a P.
    pub(crate) fn has_room(&mut self, cpus: usize, late: bool, now: u64) -> bool {
        match self.hogs.len().checked_sub(cpus) {
            None => true,
            Some(beyond) => late && self.stretch.is_over(beyond, now),
        }
    }
}

/// Beyond the number of CPUs, how long until the next P is taken for good.
struct Stretch {
    last: u64,
}

impl Stretch {
    /// The unit, in nanoseconds.
    const STEP: u64 = 100_000_000;
    /// However many there are. So the last of a hundred that wait for each other in loops begins within a minute.
    const LONGEST: u64 = 500_000_000;

    fn is_over(&mut self, beyond: usize, now: u64) -> bool {
        let wait = (Self::STEP * (beyond as u64 + 1)).min(Self::LONGEST);
        let over = now.saturating_sub(self.last) >= wait;
        if over {
            self.last = now;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_compute_the_longer_the_next_one_waits() {
        let mut stretch = Stretch { last: 0 };
        let mut now = 10 * Stretch::LONGEST;
        assert!(stretch.is_over(0, now));
        for beyond in 0..20 {
            let wait = (Stretch::STEP * (beyond as u64 + 1)).min(Stretch::LONGEST);
            assert!(!stretch.is_over(beyond, now + wait - 1));
            assert!(stretch.is_over(beyond, now + wait));
            now += wait;
        }
    }

    #[test]
    fn below_the_number_of_cpus_there_is_room() {
        let mut away = Away::new();
        assert!(away.has_room(1, false, 0) && away.has_room(1, true, 0));
        let cpus = 0;
        assert!(!away.has_room(cpus, false, Stretch::LONGEST), "nobody is late");
        assert!(away.has_room(cpus, true, Stretch::LONGEST));
        assert!(!away.has_room(cpus, true, Stretch::LONGEST));
    }
}
