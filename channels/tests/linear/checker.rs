//! Tests of the checker in `linear/` itself. The histories are hand-written: some that channels can
//! produce, and others that they cannot.
//!
//! A task is written as a list of calls. A call is *operation* `=` *outcome* `@` *invoked* `-`
//! *responded*:
//!
//! | written | meaning |
//! | --- | --- |
//! | `a<7=ok@1-2` | sent 7 on channel `a`; the other channel is `b` |
//! | `a<7=closed@1-2` | the same send failed, on a closed channel |
//! | `a=7@1-2`, `a=closed@1-2` | received 7; found the channel closed and drained |
//! | `a?=none@1-2` | `?` gives up at once, and did |
//! | `a~=none@1-2` | `~` gives up after a while |
//! | `a\|b<7=1:ok@1-2` | two arms, arm 1 was chosen; `%` after the arms is biased, `+` is late |
//! | `close@1-2`, `close=again@1-2` | closed channel `a`; it was closed already |
//! | `open@1-2`, `shut@1-2` | what `is_closed` returned for channel `a` |
//! | `a=7@1-9^4` | was seen parked at 4 |

use crate::history::{Arm, Call, Event, History, Outcome, Patience};
use crate::search::is_linearizable;

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn event(text: &str) -> Event {
    let (what, when) = text.split_once('@').expect("stamps");
    let (when, parked) = when.split_once('^').map_or((when, None), |(when, parked)| (when, Some(number(parked))));
    let (invoked, responded) = when.split_once('-').expect("two stamps");
    let (call, outcome) = match what {
        "close" => (Call::Close { chan: 0 }, Outcome::Closed),
        "close=again" => (Call::Close { chan: 0 }, Outcome::CloseFailed),
        "open" => (Call::IsClosed { chan: 0 }, Outcome::IsClosed(false)),
        "shut" => (Call::IsClosed { chan: 0 }, Outcome::IsClosed(true)),
        _ => select(what.split_once('=').expect("an outcome")),
    };
    Event { call, outcome, invoked: number(invoked), responded: number(responded), parked }
}

fn select((name, result): (&str, &str)) -> (Call, Outcome) {
    let patience = match name {
        _ if name.contains('?') => Patience::Never,
        _ if name.contains('~') => Patience::ForAWhile,
        _ => Patience::Forever,
    };
    let arms: Vec<Arm> = name.trim_end_matches(['?', '~', '%', '+']).split('|').map(arm).collect();
    let (chosen, result) = result.split_once(':').map_or((0, result), |(arm, result)| (number(arm) as usize, result));
    let outcome = match (arms[chosen], result) {
        (_, "none") => Outcome::GaveUp,
        (Arm::Send { .. }, "ok") => Outcome::Sent { arm: chosen },
        (Arm::Send { .. }, "closed") => Outcome::SendFailed { arm: chosen },
        (Arm::Recv { .. }, "closed") => Outcome::RecvFailed { arm: chosen },
        (Arm::Recv { .. }, value) => Outcome::Received { arm: chosen, value: number(value) as u32 },
        (Arm::Send { .. }, other) => panic!("not an outcome: {other}"),
    };
    (Call::Select { arms, patience, biased: name.contains('%'), late: name.contains('+') }, outcome)
}

fn arm(text: &str) -> Arm {
    let (chan, value) = text.split_once('<').map_or((text, None), |(chan, value)| (chan, Some(number(value) as u32)));
    let chan = ["a", "b"].iter().position(|&name| name == chan).expect("channel a or b");
    value.map_or(Arm::Recv { chan }, |value| Arm::Send { chan, value })
}

fn explains(capacity: Option<usize>, tasks: &[&str]) -> bool {
    let tasks = tasks.iter().map(|task| task.split_whitespace().map(event).collect()).collect();
    is_linearizable(&History { capacities: vec![capacity; 2], tasks })
}

#[track_caller]
fn possible(capacity: usize, tasks: &[&str]) {
    assert!(explains(Some(capacity), tasks), "capacity {capacity}: {tasks:?}");
}

#[track_caller]
fn impossible(capacity: usize, tasks: &[&str]) {
    assert!(!explains(Some(capacity), tasks), "capacity {capacity}: {tasks:?}");
}

#[test]
fn values_pass_in_order() {
    possible(2, &["a<1=ok@1-2 a<2=ok@3-4", "a=1@5-6 a=2@7-8"]);
    impossible(2, &["a<1=ok@1-2 a<2=ok@3-4", "a=2@5-6 a=1@7-8"]);
    // Concurrent sends may take effect in any order, whatever their stamps.
    possible(2, &["a<1=ok@1-4", "a<2=ok@2-3", "a=2@5-6 a=1@7-8"]);
    possible(2, &["a<1=ok@1-2 a<2=ok@3-4", "a=2@5-8", "a=1@6-7"]);
    impossible(2, &["a<1=ok@1-2 a<2=ok@3-4", "a=2@5-6", "a=1@7-8"]);
}

#[test]
fn value_is_received_once_after_its_send() {
    impossible(1, &["a<1=ok@1-2", "a=1@3-4", "a=1@5-6"]);
    impossible(1, &["a=1@1-2", "a<1=ok@3-4"]);
    possible(1, &["a=1@1-4", "a<1=ok@2-3"]);
    impossible(1, &["a<1=ok@1-2", "a=7@3-4"]);
}

#[test]
fn lost_value_is_noticed() {
    possible(1, &["a<1=ok@1-2 close@3-4", "a?=1@5-6 a?=closed@7-8"]);
    impossible(1, &["a<1=ok@1-2 close@3-4", "a?=closed@7-8"]);
    impossible(1, &["a<1=ok@1-2", "a?=none@3-4"]);
    // The send has succeeded, but it has not met a receiver.
    impossible(0, &["a<1=ok@1-2 close@3-4", "a?=closed@7-8"]);
}

#[test]
fn capacity_limits_the_buffer() {
    impossible(1, &["a<1=ok@1-2 a<2=ok@3-4"]);
    possible(1, &["a<1=ok@1-2 a<2?=none@3-4 a=1@5-6 a<2?=ok@7-8"]);
    impossible(2, &["a<1=ok@1-2 a<2?=none@3-4"]);
    assert!(explains(None, &["a<1=ok@1-2 a<2=ok@3-4 a<3=ok@5-6"]));
    assert!(!explains(None, &["a<1=ok@1-2 a<2?=none@3-4"]));
    // A concurrent receive may or may not have made room yet.
    possible(1, &["a<1=ok@1-2 a<2?=none@3-6", "a=1@4-5"]);
    possible(1, &["a<1=ok@1-2 a<2?=ok@3-6", "a=1@4-5"]);
    impossible(1, &["a<1=ok@1-2 a<2?=none@5-6", "a=1@3-4"]);
}

#[test]
fn giving_up_needs_one_allowing_instant() {
    // A value is in the channel until the other receive takes it, and not afterwards.
    possible(1, &["a<1=ok@1-2", "a=1@3-6", "a?=none@4-5"]);
    impossible(1, &["a<1=ok@1-2", "a=1@7-8", "a?=none@4-5"]);
    // Go's TestNonblockRecvRace: the channel is buffered, then closed, and never both empty and
    // open.
    possible(1, &["a<1=ok@1-2 close@4-5 a?=1@6-7", "a?=closed@3-8"]);
    impossible(1, &["a<1=ok@1-2 close@4-5 a?=1@6-7", "a?=none@3-8"]);
    possible(1, &["a<1=ok@1-2 close@4-6 a?=closed@7-8", "a?=1@3-5"]);
}

#[test]
fn rendezvous_is_one_instant() {
    possible(0, &["a<1=ok@1-4", "a=1@2-3"]);
    impossible(0, &["a<1=ok@1-2", "a=1@3-4"]);
    impossible(0, &["a=1@1-2", "a<1=ok@3-4"]);
    // Two calls overlap two other calls, in the only order that works and in one that does not.
    possible(0, &["a<1=ok@1-4 a<2=ok@5-8", "a=1@2-6", "a=2@3-7"]);
    impossible(0, &["a<1=ok@1-4 a<2=ok@5-8", "a=2@2-3", "a=1@6-7"]);
    // Each pair overlaps, but the first sender must take effect before the second one begins.
    impossible(0, &["a<1=ok@1-2 a<2=ok@5-8", "a=1@3-6"]);
}

#[test]
fn two_non_blocking_calls_do_not_meet() {
    possible(0, &["a<1?=ok@1-4", "a=1@2-3"]);
    possible(0, &["a<1=ok@1-4", "a?=1@2-3"]);
    impossible(0, &["a<1?=ok@1-4", "a?=1@2-3"]);
    possible(0, &["a<1?=none@1-4", "a?=none@2-3"]);
    possible(0, &["a<1~=ok@1-4", "a?=1@2-3"]);
}

#[test]
fn call_never_meets_itself() {
    possible(0, &["a|a<1?=none@1-2"]);
    impossible(0, &["a|a<1=1:ok@1-2"]);
    impossible(0, &["a|a<1=0:1@1-2"]);
    possible(0, &["a|a<1=1:ok@1-4", "a|a<2=0:1@2-3"]);
    possible(1, &["a|a<1=1:ok@1-2 a=1@3-4"]);
}

#[test]
fn later_calls_see_the_close() {
    possible(1, &["close@1-2 a<1=closed@3-4 a=closed@5-6"]);
    impossible(1, &["close@1-2 a<1=ok@3-4"]);
    impossible(1, &["close@1-2 a?=none@3-4"]);
    impossible(1, &["close@1-2 a<1?=none@3-4"]);
    impossible(1, &["a?=closed@1-2 close@3-4"]);
    impossible(1, &["a<1=closed@1-2", "close@3-4"]);
    possible(1, &["open@1-2 close@3-4 shut@5-6 close=again@7-8"]);
    impossible(1, &["close@1-2 close@3-4"]);
    impossible(1, &["close=again@1-2 close@3-4"]);
    impossible(1, &["close@1-2 open@3-4"]);
    impossible(1, &["shut@1-2 close@3-4"]);
}

#[test]
fn close_wakes_waiting_calls() {
    possible(0, &["a<1=closed@1-4", "close@2-3"]);
    possible(0, &["a=closed@1-4", "close@2-3"]);
    possible(0, &["a=closed@1-6", "close@2-3 shut@4-5"]);
    // The buffered value can be received, but the waiting value cannot.
    possible(1, &["a<1=ok@1-2 a<2=closed@3-6", "close@4-5 a=1@7-8 a=closed@9-10"]);
    impossible(1, &["a<1=ok@1-2 a<2=closed@3-6", "close@4-5 a=1@7-8 a=2@9-10"]);
    impossible(0, &["a<1=ok@1-6", "close@2-3 a?=1@4-5"]);
    // The same is true even for a value whose sender was seen waiting.
    impossible(1, &["a<1=ok@1-2 a<2=ok@3-9^4", "close@5-6 a=1@7-8"]);
}

#[test]
fn without_a_witness_a_rendezvous_may_fail() {
    possible(0, &["a<1=ok@1-9", "a?=none@4-5", "a=1@7-8"]);
    possible(0, &["a=1@1-9", "a<2?=none@4-5", "a<1=ok@7-8"]);
    possible(0, &["a|b=0:1@1-9", "b<2?=none@4-5", "a<1=ok@7-8"]);
}

#[test]
fn with_a_witness_a_rendezvous_must_succeed() {
    impossible(0, &["a<1=ok@1-9^3", "a?=none@4-5", "a=1@7-8"]);
    impossible(0, &["a=1@1-9^3", "a<2?=none@4-5", "a<1=ok@7-8"]);
    impossible(0, &["a|b=0:1@1-9^3", "b<2?=none@4-5", "a<1=ok@7-8"]);
    // Allowed before the witness, and if a call was served in between.
    possible(0, &["a<1=ok@1-9^5", "a?=none@3-4", "a=1@7-8"]);
    possible(0, &["a<1=ok@1-9^3", "a?=none@4-8", "a=1@5-7"]);
    // A call that times out may already have done so.
    possible(0, &["a<1~=none@1-9^3", "a?=none@4-5"]);
    impossible(0, &["a<1~=ok@1-9^3", "a?=none@4-5", "a=1@7-8"]);
}

#[test]
fn waiting_calls_are_served_in_order() {
    // The second call begins when the first one is seen waiting.
    possible(0, &["a=1@1-20^2", "a=2@3-21", "a<1=ok@5-6 a<2=ok@7-8"]);
    impossible(0, &["a=2@1-20^2", "a=1@3-21", "a<1=ok@5-6 a<2=ok@7-8"]);
    possible(0, &["a=2@1-20", "a=1@3-21", "a<1=ok@5-6 a<2=ok@7-8"]);
    possible(0, &["a=2@1-20^4", "a=1@3-21", "a<1=ok@5-6 a<2=ok@7-8"]);
    // The same for senders, even with a full buffer.
    impossible(0, &["a<2=ok@1-20^2", "a<1=ok@3-21", "a=1@5-6 a=2@7-8"]);
    let full = "a<9=ok@1-2 a=9@8-9 a=1@10-11 a=2@12-13";
    possible(1, &[full, "a<1=ok@3-20^4", "a<2=ok@5-21^6"]);
    impossible(1, &[full, "a<2=ok@3-20^4", "a<1=ok@5-21^6"]);
}

#[test]
fn calls_do_not_barge() {
    // The room that the receive makes belongs to the waiting sender from that instant on.
    let waits = "a<1=ok@1-2 a<2=ok@3-20^4";
    possible(1, &[waits, "a=1@5-6 a<3?=none@7-8 a=2@9-10"]);
    impossible(1, &[waits, "a=1@5-6 a<3?=ok@7-8"]);
    // Likewise, the value of the send belongs to the waiting receiver.
    let waits = "a=1@1-20^2";
    possible(1, &[waits, "a<1=ok@3-4 a?=none@5-6"]);
    impossible(1, &[waits, "a<1=ok@3-4 a?=1@5-6"]);
}

#[test]
fn default_needs_one_instant_for_all_arms() {
    possible(1, &["a|b?=none@1-2"]);
    possible(1, &["a|b?=0:1@3-4", "a<1=ok@1-2"]);
    impossible(1, &["a|b?=none@3-4", "a<1=ok@1-2"]);
    // In the first two histories, one of the channels contains a value at all times. In the last
    // one, neither contains a value when the call checks.
    let handed_on = "a<1=ok@1-2 b<2=ok@4-5 a=1@6-7";
    impossible(1, &["a|b?=none@3-8", handed_on]);
    possible(1, &["a|b?=1:2@3-8", handed_on]);
    possible(1, &["a|b?=none@3-10", "a<1=ok@1-2 a=1@4-5 b<2=ok@6-7"]);
}

#[test]
fn biased_call_takes_the_first_ready_arm() {
    let both = "a<1=ok@1-2 b<2=ok@3-4";
    possible(1, &[both, "a|b=0:1@5-6"]);
    possible(1, &[both, "a|b=1:2@5-6"]);
    possible(1, &[both, "a|b%=0:1@5-6"]);
    impossible(1, &[both, "a|b%=1:2@5-6"]);
    possible(1, &["b<2=ok@3-4", "a|b%=1:2@5-6"]);
    // A biased call checks one channel after the other.
    possible(1, &[both, "a|b%=1:2@0-6"]);
    impossible(1, &[both, "a|b%=1:2@3-6"]);
}

#[test]
fn call_with_many_arms_completes_once() {
    possible(0, &["a|b=0:1@1-9", "a<1=ok@2-3", "b<2~=none@4-5"]);
    impossible(0, &["a|b=0:1@1-9", "a<1=ok@2-3", "b<2=ok@4-5"]);
    possible(0, &["a|b=0:1@1-9 b=2@10-13", "a<1=ok@2-3", "b<2=ok@4-12"]);
    // Two calls with many arms meet.
    possible(0, &["a|b<1=1:ok@1-4", "a<2|b=1:1@2-3"]);
    impossible(0, &["a|b<1=1:ok@1-4", "a<2|b=0:ok@2-3"]);
}

#[test]
fn late_message_keeps_its_slot() {
    // A reserved slot counts as taken for other calls, and there is nothing to receive.
    let others = "a<2?=none@2-3 a?=none@4-5";
    possible(1, &["a<1+=ok@1-6", others]);
    impossible(1, &["a<1=ok@1-6", others]);
    impossible(1, &["a<1+=ok@1-6", others, "a=1@1-2"]);
    // The value arrives after those that were sent in the meantime, and before those that were sent
    // later.
    possible(2, &["a<1+=ok@1-6 a=2@7-8 a=1@9-10", "a<2=ok@2-3"]);
    possible(1, &["a<1+=closed@1-6", "a<2?=none@2-3 close@4-5"]);
    impossible(1, &["a<1+=closed@1-6", "close@7-8"]);
    // The same is true for a call that has waited for the slot.
    let waits = "a<1+=ok@3-20^4";
    possible(1, &["a<9=ok@1-2 a=9@5-6 a<2?=none@7-8 a?=none@9-10 a=1@11-12", waits]);
    impossible(1, &["a<9=ok@1-2 a=9@5-6 a<2?=ok@7-8", waits]);
}
