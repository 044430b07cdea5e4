//! Goroutines that compute for a long time, and how many of them may do so without a P.
//!
//! # Vocabulary
//! A *hog* is a goroutine that has kept its P for a time slice by computing while others wait.
//! Sysmon takes the P from it. The hog continues on its thread, *without a P*, until it enters the
//! scheduler. A goroutine that blocks its thread is not a hog, since it needs no CPU.
//!
//! # The problem
//! For each P that is taken, one more thread computes. Take a hundred goroutines that compute for
//! 100 ms each, on two Ps: within a second each of them has its own thread, and all these threads
//! share two CPUs. All of them finish late and at about the same time, and the kernel switches
//! among a hundred threads. More threads than CPUs do not make anything faster. But "no more hogs
//! without a P than CPUs" alone is wrong as well: if hogs that never end had all Ps, no other
//! goroutine would ever run.
//!
//! # What is done
//! As long as fewer hogs are without a P than there are CPUs, sysmon takes Ps for good, one after
//! the other. From then on a P is *lent*. Another M gets it and runs what waits: goroutines that
//! slept, waited for I/O, or were woken. When nothing more waits, that M returns the P to the hog
//! ([`crate::protocol::lease`]). A *hogs' site* is a line whose goroutines have been hogs in the
//! last second ([`crate::sched::sites`]). The borrower does not run goroutines that were spawned at
//! such a site and have not begun, since each would be the next hog. They are *deferred*
//! ([`crate::sched::global`]). So a goroutine that does not compute waits for one time slice, and
//! hogs wait for hogs.
//!
//! Deferred goroutines must not wait forever, because the hogs on the Ps may be waiting, in a loop,
//! for goroutines that have not begun. So as long as some are deferred, one more P is taken for
//! good after [`RetakeBackoff::STEP_NS`], the next one after twice that time, and so on. The number
//! of threads then depends on how soon hogs end: 100 hogs of 100 ms each, on two Ps and two CPUs,
//! run on 4 to 7 threads.
//!
//! # Rejected
//! * *A time slice for all that grows with the number of hogs*: a goroutine that wakes from a sleep
//!   would also wait for it.
//! * *Running no new goroutine while hogs compute without a P*: a goroutine that is spawned while
//!   hogs that never end run would never begin.
//! * *Changing the priority or the affinity of hogs' threads*: this requires privileges, and
//!   changes settings that belong to the user.

use crate::gmp::{GRef, M};
use crate::sched::sites::SITES;
use crate::time::clock;

/// For how many steps of the coarse clock a site counts as a hogs' site after its last hog: about a
/// second.
const REMEMBERED: u32 = 60;

/// Notes, for sysmon, that `g`, which is running, is a hog.
pub(crate) fn note(g: GRef) {
    SITES.note_hog(g.id_and_site().1, clock::coarse());
}

/// Returns `true` if `g` has not begun and will probably be a hog.
pub(crate) fn is_likely_hog(g: GRef) -> bool {
    let last = || SITES.last_hog(g.site);
    g.stack.get().is_null() && last().is_some_and(|last| clock::coarse().wrapping_sub(last) <= REMEMBERED)
}

/// The hogs that compute without a P. Only sysmon uses this.
pub(crate) struct HogsWithoutP {
    /// Each M, with the CPU time of its thread at the last update.
    hogs: Vec<(&'static M, u64)>,
    backoff: RetakeBackoff,
}

impl HogsWithoutP {
    pub(crate) fn new() -> Self {
        Self { hogs: Vec::new(), backoff: RetakeBackoff { last: 0 } }
    }

    /// Adds `m`, whose goroutine computes and whose P has been taken.
    pub(crate) fn add(&mut self, m: &'static M) {
        // The M may still be listed from an earlier time, if it has acquired a P and lost it again
        // since the last update.
        self.hogs.retain(|(other, _)| other.id != m.id);
        self.hogs.push((m, 0));
    }

    /// Removes the Ms that have returned to the scheduler, or that now block.
    pub(crate) fn update(&mut self) {
        self.hogs.retain_mut(|(m, cpu)| {
            let before = std::mem::replace(cpu, m.cpu_time());
            m.lease.is_taken() && (*cpu != before || m.is_runnable())
        });
    }

    /// Returns `true` if another P may be taken for good, given `cpus` CPUs. `deferred` says
    /// whether deferred goroutines are waiting for a P.
    pub(crate) fn has_room(&mut self, cpus: usize, deferred: bool, now: u64) -> bool {
        match self.hogs.len().checked_sub(cpus) {
            None => true,
            Some(beyond) => deferred && self.backoff.is_over(beyond, now),
        }
    }
}

/// The time until the next P is taken for good, once there are as many hogs without a P as CPUs.
struct RetakeBackoff {
    last: u64,
}

impl RetakeBackoff {
    const STEP_NS: u64 = 100_000_000;
    /// The upper limit of the step, however many hogs there are.
    ///
    /// Even if a hundred hogs wait for each other in loops, the last of them begins within a
    /// minute.
    const LONGEST_NS: u64 = 500_000_000;

    fn is_over(&mut self, beyond: usize, now: u64) -> bool {
        let wait = (Self::STEP_NS * (beyond as u64 + 1)).min(Self::LONGEST_NS);
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
    fn wait_grows_with_the_number_of_hogs() {
        let mut backoff = RetakeBackoff { last: 0 };
        let mut now = 10 * RetakeBackoff::LONGEST_NS;
        assert!(backoff.is_over(0, now));
        for beyond in 0..20 {
            let wait = (RetakeBackoff::STEP_NS * (beyond as u64 + 1)).min(RetakeBackoff::LONGEST_NS);
            assert!(!backoff.is_over(beyond, now + wait - 1));
            assert!(backoff.is_over(beyond, now + wait));
            now += wait;
        }
    }

    #[test]
    fn there_is_room_below_the_number_of_cpus() {
        let mut hogs = HogsWithoutP::new();
        assert!(hogs.has_room(1, false, 0) && hogs.has_room(1, true, 0));
        let cpus = 0;
        assert!(!hogs.has_room(cpus, false, RetakeBackoff::LONGEST_NS), "none is deferred");
        assert!(hogs.has_room(cpus, true, RetakeBackoff::LONGEST_NS));
        assert!(!hogs.has_room(cpus, true, RetakeBackoff::LONGEST_NS));
    }
}
