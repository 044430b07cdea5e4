//! GOMAXPROCS: the number of Ps.
//!
//! A change stops no goroutine. New Ps are published as idle. Surplus Ps are marked as retired.
//! This module empties those that are idle. A P in use is emptied by its M at its next dispatch, or
//! by sysmon if the M does not return to the scheduler ([`crate::sched::handoff::retire_p`]).

use std::sync::atomic::{AtomicBool, Ordering};

use crate::api::config;
use crate::gmp::scheduler::{IdleP, Sched};
use crate::primitive::heavy_fence;
use crate::sched::entry;
use crate::sched::handoff;

/// The largest number of Ps.
pub const MAX_PROCS: usize = config::MAX_PROCS;

/// Whether the number follows the CPUs that the process may use.
///
/// It does until a number is chosen.
static FOLLOWS: AtomicBool = AtomicBool::new(false);

/// Makes the number follow the CPUs, since no number was chosen.
pub(crate) fn follow() {
    FOLLOWS.store(true, Ordering::Relaxed);
}

/// Returns the number of CPUs that this process may use now, given its affinity and its cgroup's
/// quota.
pub fn num_cpu() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Returns the id of the P that the caller runs on, which is below [`MAX_PROCS`].
///
/// Returns `None` on a thread that the runtime did not start, or that has lost its P.
///
/// The caller may already run on another P when it uses the result. So use the id only to choose a
/// place that is probably not shared.
#[inline]
pub fn current_p() -> Option<usize> {
    entry::with_p(|_, p| p.id as usize).ok()
}

/// Sets the number of Ps by choice.
///
/// Returns the previous number.
pub(crate) fn choose(sched: &'static Sched, n: usize) -> usize {
    FOLLOWS.store(false, Ordering::Relaxed);
    resize(sched, n)
}

/// Follows the number of usable CPUs, unless a number was chosen.
pub(crate) fn follow_cpus(sched: &'static Sched) {
    if FOLLOWS.load(Ordering::Relaxed) {
        let n = config::default_procs();
        if n != sched.procs() as usize {
            resize(sched, n);
        }
    }
}

/// Sets the number of Ps in use.
///
/// Returns the previous number.
pub(crate) fn resize(sched: &'static Sched, n: usize) -> usize {
    let mut lists = sched.lists();
    let before = sched.procs() as usize;
    let first_new = sched.all_ps().count();
    sched.set_procs(n);
    // ORDERING P1: pairs with the light fence in `ready::published`: a push that did not see more
    // than one P precedes the search that is started below.
    heavy_fence();
    for p in sched.all_ps().take(n).skip(before) {
        p.set_retired(false);
        // A P that its M has not yet released, or that is being emptied, stays in use: `retire_p`
        // checks again.
        let vacant = lists.retired_ps.iter().position(|v| v.id == p.id).map(|at| lists.retired_ps.swap_remove(at));
        if vacant.is_some() || p.id as usize >= first_new {
            handoff::put_idle(&mut lists, p, None);
        }
    }
    sched.all_ps().take(before).skip(n).for_each(|p| p.set_retired(true));
    let surplus: Vec<IdleP> = lists.idle.extract_if(.., |idle| idle.p.is_retired()).collect();
    for idle in &surplus {
        sched.idle.p_taken();
        handoff::spare_watcher(&mut lists, idle.watcher);
    }
    drop(lists);
    for idle in surplus {
        handoff::retire_p(idle.p);
    }
    sched.idle.wake_one(&sched);
    before
}
