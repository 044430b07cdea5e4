//! The search for an order that explains a history.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::history::{History, Stamp};
use super::model::State;

/// Fails, showing the history, if channels could not have produced it.
pub(crate) fn check(history: &History) {
    if let Err(why) = explain(history) {
        panic!("{why}");
    }
}

/// Returns `true` if the history is linearizable.
pub(crate) fn is_linearizable(history: &History) -> bool {
    explain(history).is_ok()
}

/// Finds instants for all calls.
///
/// The error shows the history and how far the best attempt got.
fn explain(history: &History) -> Result<(), String> {
    let mut furthest = State::new(history);
    // The states from which no order leads to the end. That property does not depend on how the
    // search reached a state.
    let mut seen = HashSet::new();
    let mut ahead = vec![furthest.clone()];
    while let Some(mut state) = ahead.pop() {
        if state.is_last(history) {
            return Ok(());
        }
        let next = candidates(history, &state);
        next.iter().for_each(|&task| state.look(history, task));
        if seen.insert(state.clone()) {
            ahead.extend(successors(history, &state, &next));
            if state.progress() > furthest.progress() {
                furthest = state;
            }
        }
    }
    let stuck: Vec<String> = (0..history.tasks.len())
        .filter_map(|task| Some(format!("\n  task {task}: {}", furthest.next(history, task)?)))
        .collect();
    Err(format!(
        "not linearizable; tried {} states\n{history}The best attempt ends in {furthest:?} and cannot go on \
         with any of{}",
        seen.len(),
        stuck.concat()
    ))
}

/// Returns the tasks whose next call has begun, or may have begun, with the most urgent task last.
fn candidates(history: &History, state: &State) -> Vec<usize> {
    let next = (0..history.tasks.len()).filter_map(|task| {
        let event = state.next(history, task)?;
        Some((state.due(task, event), task, event.invoked))
    });
    let mut next: Vec<(Stamp, usize, Stamp)> = next.collect();
    next.sort_unstable_by_key(|&(due, ..)| Reverse(due));
    // A call that is invoked after another call is due cannot take effect before that other call.
    let first_due = next.last().map_or(0, |&(due, ..)| due);
    next.into_iter().filter(|&(.., invoked)| invoked < first_due).map(|(_, task, _)| task).collect()
}

/// Returns the states that may come next, with the best guess last.
fn successors(history: &History, state: &State, candidates: &[usize]) -> Vec<State> {
    let waits = candidates.iter().filter_map(|&task| state.wait(history, task));
    let choices = candidates.iter().filter_map(|&task| state.choose(history, task));
    let effects = candidates.iter().filter_map(|&task| state.take_effect(history, task));
    waits.chain(choices).chain(effects).collect()
}
