//! Channels and select.

use super::Row;
use super::notes::{
    ASYNC_CHANNEL, CANCELLATION, CANCELLATION_1, CAPACITY_1, FEWER, FOUR_RECEIVES, NO_MILLION_OF_GO_LIB,
    NO_MILLION_OF_MAY, NOT_ON_THREADS, QUEUE_1, QUEUE_128, SEMAPHORE_1, SEMAPHORE_128, TRY_RECV_MAY, TRY_RECV_TOKIO,
    UNBOUNDED,
};
use crate::peer;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "chan_unbuf_pingpong",
        unit: "ns/round trip",
        counts: "two goroutines and two unbuffered channels: a value goes to and fro",
        notes: &[CAPACITY_1, UNBOUNDED, FEWER],
        ..Row::PLAIN
    },
    Row {
        name: "chan_buf_spsc",
        unit: "ns/value",
        counts: "one sender, one receiver, a buffer of 128",
        notes: &[SEMAPHORE_128],
        ..Row::PLAIN
    },
    Row {
        name: "chan_mpmc_4x4",
        unit: "ns/value",
        counts: "four senders, four receivers, one buffer of 128",
        notes: &[ASYNC_CHANNEL, SEMAPHORE_128],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "select2_buf128",
        unit: "ns/select",
        counts: "one receiver selects over 2 channels, each with a buffer of 128 and a sender",
        notes: &[QUEUE_128],
        ..Row::PLAIN
    },
    Row {
        name: "select8_buf128",
        unit: "ns/select",
        counts: "one receiver selects over 8 channels, each with a buffer of 128 and a sender",
        notes: &[QUEUE_128, FOUR_RECEIVES],
        ..Row::PLAIN
    },
    Row {
        name: "select2_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over 2 unbuffered channels, each with a sender",
        notes: &[CAPACITY_1, QUEUE_1, FEWER],
        ..Row::PLAIN
    },
    Row {
        name: "select8_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over 8 unbuffered channels, each with a sender",
        notes: &[CAPACITY_1, QUEUE_1, FEWER, FOUR_RECEIVES],
        ..Row::PLAIN
    },
    Row {
        name: "select_default1",
        unit: "ns/select",
        counts: "a select of one empty channel, with a default",
        notes: &[TRY_RECV_TOKIO, TRY_RECV_MAY],
        ..Row::PLAIN
    },
    Row {
        name: "select_default2",
        unit: "ns/select",
        counts: "a select of two empty channels, with a default",
        notes: &[
            (peer::TOKIO, "A biased `select!` whose last arm is always ready."),
            (peer::MAY, "Not run: a `cqueue` has no default."),
        ],
        ..Row::PLAIN
    },
    Row {
        name: "select_done_buf128",
        unit: "ns/select",
        counts: "one receiver selects over a channel with a buffer of 128 and a sender, and a channel that is only \
                 ever closed",
        notes: &[CANCELLATION, QUEUE_128],
        ..Row::PLAIN
    },
    Row {
        name: "select_done_unbuf",
        unit: "ns/select",
        counts: "one receiver selects over an unbuffered channel with a sender, and a channel that is only ever \
                 closed",
        notes: &[CANCELLATION_1, QUEUE_1, FEWER],
        ..Row::PLAIN
    },
    Row {
        name: "ring",
        unit: "ns/hop",
        counts: "1000 goroutines pass one token around a ring, through unbuffered channels",
        notes: &[CAPACITY_1, UNBOUNDED, FEWER],
        ..Row::PLAIN
    },
    Row {
        name: "sieve_2000",
        unit: "ms",
        counts: "the first 2000 primes, from a chain of as many goroutines and unbuffered channels",
        notes: &[CAPACITY_1, SEMAPHORE_1, NOT_ON_THREADS],
        ..Row::PLAIN
    },
    Row {
        name: "skynet_10k",
        unit: "ms",
        counts: "a tree of goroutines with 10 children each and 10 000 leaves, which sums the numbers that the \
                 leaves send",
        notes: &[
            CAPACITY_1,
            (peer::MAY, "Unbounded channels, and a pool for 20 000 stacks: by default may keeps 1000."),
            NOT_ON_THREADS,
        ],
        parallel: true,
        ..Row::PLAIN
    },
    Row {
        name: "skynet_1m",
        unit: "ms",
        counts: "the same with a million leaves",
        notes: &[CAPACITY_1, NO_MILLION_OF_MAY, NO_MILLION_OF_GO_LIB, NOT_ON_THREADS],
        parallel: true,
        ..Row::PLAIN
    },
];
