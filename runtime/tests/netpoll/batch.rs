//! A batch of the poller whose goroutines were all predicted to be short, but two of which are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::stream::Stream;
use crate::common::{check_from_thread, spin};
use greenthread::spawn;

const CONNECTIONS: usize = 16;

/// The message that asks for a long computation.
const LONG: u8 = 1;
const SHORT: u8 = 0;
const END: u8 = 2;

#[test]
fn a_long_goroutine_does_not_delay_its_batch() {
    check_from_thread(|| {
        let is_over = Arc::new(AtomicBool::new(false));
        let (clients, servers): (Vec<Stream>, Vec<Stream>) = (0..CONNECTIONS).map(|_| Stream::pair()).unzip();
        let serve = |server: Stream| {
            let is_over = Arc::clone(&is_over);
            spawn(move || {
                loop {
                    let what = server.get().expect("the client keeps its socket open");
                    match what {
                        END => return,
                        LONG => {
                            spin(Duration::from_millis(500));
                            is_over.store(true, Ordering::Relaxed);
                        }
                        _ => {}
                    }
                    server.put(what);
                }
            })
        };
        let servers: Vec<_> = servers.into_iter().map(serve).collect();
        // The long messages go first and last, since events may come in either order.
        let round = |outer| {
            let messages = [[outer].as_slice(), &[SHORT; CONNECTIONS - 2], &[outer]].concat();
            let answer = |at: usize| assert_eq!(clients[at].get(), Ok(messages[at]));
            clients.iter().zip(&messages).for_each(|(client, &message)| client.put(message));
            (1..CONNECTIONS - 1).for_each(answer);
            assert!(!is_over.load(Ordering::Relaxed), "the others were answered after a long computation");
            [0, CONNECTIONS - 1].into_iter().for_each(answer);
        };
        (0..1000).for_each(|_| round(SHORT));
        round(LONG);
        clients.iter().for_each(|client| client.put(END));
        servers.into_iter().for_each(|server| server.join().unwrap());
    });
}
