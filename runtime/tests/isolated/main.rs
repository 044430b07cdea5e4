//! Tests that end the process, change it, or need it for themselves.
//!
//! Each test runs in a process of its own (see `common::child`), and most run further programs as
//! children.

#[path = "../common/mod.rs"]
mod common;

mod chaos;
mod crash;
mod deadlock;
mod deadlock_rest;
mod dump;
mod environment;
mod faults;
mod idle;
mod life;
mod limits;
mod netpoll_alone;
mod netpoll_away;
mod no_descriptors;
mod signals;
mod stacks_run_out;
mod timers_crowd;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::child::main(&[
        // The longest tests begin first.
        timers_crowd::SUITE,
        deadlock_rest::SUITE,
        idle::SUITE,
        netpoll_away::SUITE,
        chaos::SUITE,
        crash::SUITE,
        deadlock::SUITE,
        dump::SUITE,
        environment::SUITE,
        faults::SUITE,
        life::SUITE,
        limits::SUITE,
        netpoll_alone::SUITE,
        no_descriptors::SUITE,
        signals::SUITE,
        stacks_run_out::SUITE,
    ])
}
