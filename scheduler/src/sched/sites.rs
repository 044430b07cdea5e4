//! What is known about the places in the program that spawn goroutines.
//!
//! Goroutines of one spawn site run the same closure, so they tend to behave alike. If one of them
//! has kept its thread for a long time, the others probably will too.
//! [`crate::sched::affinity::ties`] and [`crate::sched::hogs`] use this module to judge goroutines
//! that have not run yet. Everything here is a hint: no answer is wrong, but some are better than
//! others.
//!
//! The table has a fixed number of entries and takes no lock. A site for which the table has no
//! entry left is trusted.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The number of entries.
const ENTRIES: usize = 1024;

/// The number of entries among which a site is searched for.
const PROBES: usize = 4;

/// Set once a goroutine of the site has returned to the scheduler without having kept its thread.
const COMES_BACK: u32 = 1;

/// Set once a goroutine of the site was found tied to its thread.
const TIES: u32 = 2;

/// One unit of distrust, above the flags.
const ONE: u32 = 4;

/// What a kept thread adds to the distrust of a site, and also the limit of the distrust.
///
/// Each first run that is moved to another M costs some 20 us and subtracts one unit. Each kept
/// thread has cost 2 ms or more.
const DISTRUST: u32 = 64 * ONE;
const MOST_DISTRUST: u32 = 1024 * ONE;

/// What to expect from a goroutine that has not run yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Goroutines of its site return to the scheduler soon.
    Trusted,
    /// No goroutine of its site has returned yet.
    Unknown,
    /// A goroutine of its site has kept its thread recently.
    Distrusted,
}

struct Entry {
    site: AtomicPtr<Location<'static>>,
    /// [`COMES_BACK`], [`TIES`], and the distrust.
    state: AtomicU32,
    /// The value of the coarse clock when a goroutine of the site last computed for a long time; 0
    /// for never.
    hogged_at: AtomicU32,
}

/// The spawn sites of the program.
pub(crate) static SITES: Sites = Sites::new();

/// A table of spawn sites.
pub(crate) struct Sites([Entry; ENTRIES]);

impl Sites {
    const fn new() -> Self {
        Self(
            [const {
                Entry { site: AtomicPtr::new(ptr::null_mut()), state: AtomicU32::new(0), hogged_at: AtomicU32::new(0) }
            }; ENTRIES],
        )
    }

    /// Returns what to expect from a goroutine that was spawned at `site` and has not run yet.
    pub(crate) fn verdict(&self, site: &'static Location<'static>) -> Verdict {
        match self.state_of(site).map(|state| state.load(Ordering::Relaxed)) {
            Some(ONE..) => Verdict::Distrusted,
            Some(state) if state & COMES_BACK == 0 => Verdict::Unknown,
            _ => Verdict::Trusted,
        }
    }

    /// Notes that a goroutine of `site` has returned to the scheduler.
    ///
    /// Returns `true` if the goroutine may be tied to its thread: either it is the first of its
    /// site to return, or another goroutine of the site was tied.
    pub(crate) fn note_came_back(&self, site: &'static Location<'static>) -> bool {
        let Some(state) = self.state_of(site) else { return false };
        // A plain load comes first: this function is called for many goroutines, but changes
        // something for only one of them.
        let before = state.load(Ordering::Relaxed);
        if before & COMES_BACK == 0 {
            state.fetch_or(COMES_BACK, Ordering::Relaxed);
        }
        before & COMES_BACK == 0 || before & TIES != 0
    }

    /// Notes that a goroutine of `site` is tied to its thread.
    pub(crate) fn note_ties(&self, site: &'static Location<'static>) {
        if let Some(state) = self.state_of(site) {
            state.fetch_or(TIES, Ordering::Relaxed);
        }
    }

    /// Notes that a goroutine of `site` has kept its thread for so long that its P was taken.
    pub(crate) fn note_kept(&self, site: &'static Location<'static>) {
        self.change_distrust(site, |distrust| (distrust + DISTRUST).min(MOST_DISTRUST));
    }

    /// Notes that a goroutine of `site` was moved to another thread because of the distrust.
    pub(crate) fn spend_distrust(&self, site: &'static Location<'static>) {
        self.change_distrust(site, |distrust| distrust.saturating_sub(ONE));
    }

    /// Notes that a goroutine of `site` computes for a long time, at the time `now` of the coarse
    /// clock.
    pub(crate) fn note_hog(&self, site: &'static Location<'static>, now: u32) {
        if let Some(entry) = self.entry_of(site) {
            entry.hogged_at.store(now.max(1), Ordering::Relaxed);
        }
    }

    /// Returns the value of the coarse clock when a goroutine of `site` last computed for a long
    /// time.
    pub(crate) fn last_hog(&self, site: &'static Location<'static>) -> Option<u32> {
        let last = self.entry_of(site)?.hogged_at.load(Ordering::Relaxed);
        (last != 0).then_some(last)
    }

    fn change_distrust(&self, site: &'static Location<'static>, change: impl Fn(u32) -> u32) {
        if let Some(state) = self.state_of(site) {
            let flags = COMES_BACK | TIES;
            let changed = |state: u32| Some(change(state & !flags) | (state & flags));
            let _ = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
        }
    }

    /// Returns the state of `site`, or `None` if the table has no entry left for it.
    fn state_of(&self, site: &'static Location<'static>) -> Option<&AtomicU32> {
        self.entry_of(site).map(|entry| &entry.state)
    }

    fn entry_of(&self, site: &'static Location<'static>) -> Option<&Entry> {
        let site = ptr::from_ref(site).cast_mut();
        let hash = (site.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ENTRIES.ilog2());
        (0..PROBES).find_map(|probe| {
            let entry = &self.0[(hash as usize + probe) % ENTRIES];
            let found = entry.site.load(Ordering::Relaxed);
            let claim = || entry.site.compare_exchange(found, site, Ordering::Relaxed, Ordering::Relaxed);
            let ours = found == site || (found.is_null() && claim().is_ok());
            // Another thread may just have claimed the entry for the same site.
            (ours || entry.site.load(Ordering::Relaxed) == site).then_some(entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a new location, since sites are compared by address.
    fn site() -> &'static Location<'static> {
        Box::leak(Box::new(*Location::caller()))
    }

    #[test]
    fn site_is_unknown_until_a_goroutine_comes_back() {
        let (sites, site) = (Sites::new(), site());
        assert_eq!(sites.verdict(site), Verdict::Unknown);
        assert!(sites.note_came_back(site));
        assert!(!sites.note_came_back(site), "only the first of a site is looked at");
        assert_eq!(sites.verdict(site), Verdict::Trusted);
    }

    #[test]
    fn siblings_of_a_tied_goroutine_may_be_tied() {
        let (sites, site) = (Sites::new(), site());
        sites.note_came_back(site);
        sites.note_ties(site);
        assert!(sites.note_came_back(site));
        assert_eq!(sites.verdict(site), Verdict::Trusted);
    }

    #[test]
    fn distrust_is_spent_by_runs_and_bounded() {
        let (sites, site) = (Sites::new(), site());
        sites.note_came_back(site);
        sites.note_kept(site);
        for _ in 0..64 {
            assert_eq!(sites.verdict(site), Verdict::Distrusted);
            sites.spend_distrust(site);
        }
        assert_eq!(sites.verdict(site), Verdict::Trusted);
        (0..1000).for_each(|_| sites.note_kept(site));
        (0..1024).for_each(|_| sites.spend_distrust(site));
        assert_eq!(sites.verdict(site), Verdict::Trusted);
    }

    #[test]
    fn site_of_hogs_remembers_the_last() {
        let (sites, one, other) = (Sites::new(), site(), site());
        sites.note_hog(one, 0);
        assert_eq!((sites.last_hog(one), sites.last_hog(other)), (Some(1), None));
        sites.note_hog(one, 7);
        assert_eq!(sites.last_hog(one), Some(7));
    }

    #[test]
    fn full_table_trusts() {
        let sites = Box::new(Sites::new());
        let known = (0..8 * ENTRIES).filter(|_| sites.verdict(site()) == Verdict::Unknown).count();
        assert!((ENTRIES / 2..=ENTRIES).contains(&known), "{known} sites found an entry");
        assert_eq!(sites.verdict(site()), Verdict::Trusted);
    }
}
