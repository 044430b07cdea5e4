//! Limits of socket operations: deadlines with Go's rules, timeouts and contexts.

use std::io::{self, ErrorKind, Read, Write};
use std::net;
use std::time::{Duration, Instant};

use crate::common::stream::{LONG, SHORT};
use crate::common::{check, check_from_thread, parked, storm, until};
use greenthread::ctx::Context;
use greenthread::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use greenthread::{debug, scope, spawn, time, yield_now};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().map(|error| error.kind()).expect("the operation fails")
}

/// Writes until the buffer is full.
fn fill(stream: &UnixStream) {
    stream.set_nonblocking(true).unwrap();
    while { stream }.write(&[0; 4096]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + SHORT)
}

fn deadlines() {
    let (near, mut far) = pair();
    far.write_all(b"abc").unwrap();
    let mut bytes = [0; 1];
    for past in [Instant::now(), Instant::now().checked_sub(Duration::from_secs(1)).unwrap()] {
        near.set_read_deadline(Some(past)).unwrap();
        let error = (&near).read(&mut bytes).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "i/o timeout"));
    }
    (&near).write_all(b"the other direction").unwrap();
    near.set_read_deadline(Some(Instant::now() + LONG)).unwrap();
    (&near).read_exact(&mut bytes).unwrap();
    near.set_deadline(Some(Instant::now())).unwrap();
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
    assert_eq!(kind((&near).write(&bytes)), ErrorKind::TimedOut);
    near.set_deadline(None).unwrap();
    (&near).write_all(&bytes).unwrap();
    (&near).read_exact(&mut bytes).unwrap();
    near.set_write_deadline(Some(Instant::now())).unwrap();
    (&near).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"c");
    let begin = Instant::now();
    near.set_deadline(soon()).unwrap();
    fill(&near);
    assert_eq!(kind((&near).write(&bytes)), ErrorKind::TimedOut);
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut, "a deadline that has passed stays");
    assert!(begin.elapsed() >= SHORT);
}

#[test]
fn deadlines_from_goroutines() {
    check(deadlines);
}

#[test]
fn deadlines_from_a_thread() {
    check_from_thread(deadlines);
}

#[test]
fn a_deadline_may_be_set_during_a_wait() {
    check(|| {
        let (near, far) = tcp_pair();
        let near = &near;
        for (first, second) in [(None, SHORT), (Some(LONG), SHORT), (Some(LONG), Duration::ZERO)] {
            near.set_read_deadline(first.map(|first| Instant::now() + first)).unwrap();
            scope(|s| {
                // One reader waits for the socket, the others for their turn. The deadline must end
                // them all.
                let readers: Vec<_> = (0..3).map(|_| s.spawn(move || kind({ near }.read(&mut [0])))).collect();
                until(|| parked("IO wait") == 1 && parked("sync.Mutex.Lock") == 2);
                near.set_read_deadline(Some(Instant::now() + second)).unwrap();
                for reader in readers {
                    assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
                }
            });
        }
        // This deadline is removed before it passes.
        near.set_read_deadline(Some(Instant::now() + LONG)).unwrap();
        scope(|s| {
            let reader = s.spawn(move || { near }.read(&mut [0]).unwrap());
            until(|| parked("IO wait") == 1);
            near.set_read_deadline(None).unwrap();
            (&far).write_all(&[1]).unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        });
        assert_eq!(debug::stats().timers, 0);
    });
}

/// After a short read, the next read waits without trying first.
///
/// A deadline must end this wait all the same, and later data must be found.
#[test]
fn a_deadline_after_a_short_read() {
    check(|| {
        let (near, mut far) = tcp_pair();
        let mut bytes = [0; 10];
        for _ in 0..3 {
            far.write_all(b"abc").unwrap();
            near.set_read_deadline(None).unwrap();
            assert_eq!((&near).read(&mut bytes).unwrap(), 3);
            near.set_read_deadline(Some(Instant::now())).unwrap();
            assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
            near.set_read_deadline(soon()).unwrap();
            assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
        }
    });
}

#[test]
fn listeners_have_deadlines() {
    check(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        listener.set_deadline(soon()).unwrap();
        assert_eq!(kind(listener.accept()), ErrorKind::TimedOut);
        let _client = net::TcpStream::connect(addr).unwrap();
        assert_eq!(kind(listener.accept()), ErrorKind::TimedOut, "the deadline has passed");
        listener.set_deadline(None).unwrap();
        listener.accept().unwrap();
    });
}

fn timeouts() {
    let (near, mut far) = pair();
    assert_eq!(near.read_timeout().unwrap(), None);
    assert_eq!(kind(near.set_read_timeout(Some(Duration::ZERO))), ErrorKind::InvalidInput);
    near.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(near.read_timeout().unwrap(), Some(SHORT));
    assert_eq!(near.write_timeout().unwrap(), None);
    let mut bytes = [0; 1];
    for _ in 0..3 {
        let begin = Instant::now();
        assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= SHORT, "the timeout begins again with each operation");
        far.write_all(&[1]).unwrap();
        (&near).read_exact(&mut bytes).unwrap();
    }
    // Of the timeout and the deadline, the earlier one takes effect.
    near.set_read_timeout(Some(LONG)).unwrap();
    near.set_read_deadline(soon()).unwrap();
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
    near.set_read_timeout(Some(SHORT)).unwrap();
    near.set_read_deadline(Some(Instant::now() + LONG)).unwrap();
    assert_eq!(kind((&near).read(&mut bytes)), ErrorKind::TimedOut);
    far.write_all(&[1]).unwrap();
    (&near).read_exact(&mut bytes).unwrap();
    near.set_read_deadline(None).unwrap();
    near.set_read_timeout(None).unwrap();
    near.set_write_timeout(Some(SHORT)).unwrap();
    fill(&near);
    assert_eq!(kind((&near).write(&bytes)), ErrorKind::TimedOut);
    assert_eq!(debug::stats().timers, 0);
}

#[test]
fn timeouts_from_goroutines() {
    check(timeouts);
}

#[test]
fn timeouts_from_a_thread() {
    check_from_thread(timeouts);
}

#[test]
fn a_timeout_runs_while_another_goroutine_has_the_turn() {
    check(|| {
        let (near, far) = pair();
        let near = &near;
        scope(|s| {
            let first = s.spawn(move || { near }.read(&mut [0]).unwrap());
            until(|| parked("IO wait") == 1);
            near.set_read_timeout(Some(SHORT)).unwrap();
            assert_eq!(kind({ near }.read(&mut [0])), ErrorKind::TimedOut);
            // Of two limits, the earlier one takes effect and gives the error.
            let (ctx, cancel) = Context::background().with_timeout(LONG);
            let read = |ctx| near.with_ctx(ctx).read(&mut [0]).unwrap_err().to_string();
            assert_eq!(read(&ctx), "i/o timeout");
            near.set_read_timeout(Some(LONG)).unwrap();
            let (short, _cancel) = ctx.with_timeout(SHORT);
            assert_eq!(read(&short), "context deadline exceeded");
            let behind = s.spawn(move || near.with_ctx(&ctx).read(&mut [0]).unwrap_err().to_string());
            until(|| parked("sync.Mutex.Lock") == 1);
            cancel.cancel();
            assert_eq!(behind.join().unwrap(), "context canceled");
            assert_eq!(parked("IO wait"), 1, "the first reader began without a timeout");
            (&far).write_all(&[1]).unwrap();
            assert_eq!(first.join().unwrap(), 1);
        });
    });
}

fn contexts() {
    let (near, mut far) = tcp_pair();
    let (ctx, cancel) = Context::background().with_cancel();
    let mut bytes = [0; 10];
    far.write_all(b"abc").unwrap();
    assert_eq!(near.with_ctx(&ctx).read(&mut bytes).unwrap(), 3);
    assert_eq!(near.with_ctx(&ctx).write(b"there").unwrap(), 5);
    far.read_exact(&mut bytes[..5]).unwrap();
    let (short, _cancel) = ctx.with_timeout(SHORT);
    assert_eq!(kind(near.with_ctx(&short).read(&mut bytes)), ErrorKind::TimedOut);
    far.write_all(b"abc").unwrap();
    assert_eq!(kind(near.with_ctx(&short).read(&mut bytes)), ErrorKind::TimedOut, "the ended context wins over data");
    let error = near.with_ctx(&short).write(b"x").unwrap_err();
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert_eq!((&near).read(&mut bytes).unwrap(), 3, "the socket still works");
    assert_eq!(near.with_ctx(&Context::background()).write(b"x").unwrap(), 1);
    // Deadlines and timeouts also apply under a context.
    near.set_read_deadline(soon()).unwrap();
    let error = near.with_ctx(&ctx).read(&mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "i/o timeout");
    near.set_read_deadline(None).unwrap();
    near.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(near.with_ctx(&ctx).read(&mut bytes).unwrap_err().to_string(), "i/o timeout");
    near.set_read_timeout(None).unwrap();
    let waiting = {
        let near = near.try_clone().unwrap();
        let ctx = ctx.clone();
        spawn(move || near.with_ctx(&ctx).read(&mut [0]).unwrap_err().to_string())
    };
    until(|| parked("IO wait") == 1);
    // This reader waits for its turn.
    let behind = {
        let near = near.try_clone().unwrap();
        let ctx = ctx.clone();
        spawn(move || near.with_ctx(&ctx).read(&mut [0]).unwrap_err().to_string())
    };
    until(|| parked("sync.Mutex.Lock") == 1);
    cancel.cancel();
    assert_eq!(waiting.join().unwrap(), "context canceled");
    assert_eq!(behind.join().unwrap(), "context canceled");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(listener.with_ctx(&ctx).accept().unwrap_err().to_string(), "context canceled");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(udp.with_ctx(&ctx).recv_from(&mut bytes).unwrap_err().to_string(), "context canceled");
    assert_eq!(udp.with_ctx(&ctx).recv(&mut bytes).unwrap_err().to_string(), "context canceled");
}

#[test]
fn contexts_from_goroutines() {
    check(contexts);
}

#[test]
fn contexts_from_a_thread() {
    check_from_thread(contexts);
}

/// Bytes, ends of contexts, timeouts and deadlines race: no byte is lost or read twice.
#[test]
fn limits_and_data_may_race() {
    storm(|random| {
        let (near, far) = tcp_pair();
        let sent = random.below(40) as u8;
        let mut pause = random.fork();
        let writer = spawn(move || {
            for n in 0..sent {
                (&far).write_all(&[n]).unwrap();
                match pause.below(4) {
                    0 => time::sleep(Duration::from_micros(pause.below(200))),
                    1 => yield_now(),
                    _ => {}
                }
            }
        });
        let (mut next, mut bytes) = (0, [0; 7]);
        loop {
            let limit = Duration::from_micros(1 + random.below(150));
            let result = match random.below(4) {
                0 => {
                    let (ctx, _cancel) = Context::background().with_timeout(limit);
                    near.with_ctx(&ctx).read(&mut bytes)
                }
                1 => {
                    near.set_read_timeout(Some(limit)).unwrap();
                    let result = (&near).read(&mut bytes);
                    near.set_read_timeout(None).unwrap();
                    result
                }
                2 => {
                    near.set_read_deadline(Some(Instant::now() + limit)).unwrap();
                    let result = (&near).read(&mut bytes);
                    near.set_read_deadline(None).unwrap();
                    result
                }
                _ => (&near).read(&mut bytes),
            };
            match result {
                Ok(0) => break,
                Ok(n) => bytes[..n].iter().for_each(|byte| {
                    assert_eq!(*byte, next);
                    next += 1;
                }),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
        assert_eq!(next, sent);
        writer.join().unwrap();
    });
}
