//! A token that is passed around a ring.

use std::time::{Duration, Instant};

use crate::{spawn, unbuffered};

const NODES: usize = 1000;

/// Passes a token `hops` times around a ring of a thousand nodes, with an unbuffered channel from
/// each node to the next.
pub(crate) fn ring(hops: u64) -> Duration {
    let (mut senders, receivers): (Vec<_>, Vec<_>) = (0..NODES).map(|_| unbuffered()).unzip();
    let first = senders[0].clone();
    senders.rotate_left(1);
    let (end, ended) = unbuffered();
    let nodes = receivers.into_iter().zip(senders).map(|(rx, next)| {
        let end = end.clone();
        spawn(move || {
            for left in rx {
                if left == 0 {
                    end.send(Instant::now()).expect("the starter waits");
                    // This closes the channel to the next node, which ends too, and so on around
                    // the ring.
                    return;
                }
                next.send(left - 1).expect("the next node waits");
            }
        })
    });
    let nodes: Vec<_> = nodes.collect();
    let start = Instant::now();
    first.send(hops).expect("the first node waits");
    let elapsed = ended.recv().expect("a node sees the end") - start;
    drop(first);
    for node in nodes {
        node.join().expect("a node does not panic");
    }
    elapsed
}
