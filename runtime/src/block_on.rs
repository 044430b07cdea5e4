//! `block_on`: a future, as if it were a call that blocks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use greenthread_channels::{Sender, bounded};

/// Runs a future to its end, and returns its output. Blocks meanwhile: a goroutine parks and its thread runs others, a
/// thread sleeps.
///
/// For a call here and there into a library that is `async`. The future is polled by the caller, on its stack, and
/// moves with it from thread to thread. It brings what wakes it along: timers and sockets of tokio need tokio's
/// runtime, which runs on threads of its own (`Handle::spawn` gives a future that can be waited for here).
///
/// A goroutine for each of many futures is as good as an executor. Go has no counterpart, since nothing there is `async`.
///
/// # Panics
/// If the future does.
///
/// ```
/// use greenthread::block_on;
///
/// async fn double(n: u32) -> u32 {
///     n * 2
/// }
///
/// assert_eq!(block_on(async { double(20).await + 2 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    // One place, as it makes no difference how often it is woken before it is polled again.
    let (tx, woken) = bounded(1);
    let waker = Waker::from(Arc::new(Notify(tx)));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        woken.recv().expect("block_on: the waker has a sender, and is there");
    }
}

/// What a waker refers to.
struct Notify(Sender<()>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // If there is no room it has been told already; if the channel is closed, the future has ended.
        let _ = self.0.try_send(());
    }
}
