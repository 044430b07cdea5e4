//! `block_on`: runs a future as if it were a blocking call.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use greenthread_channels::{Sender, bounded};

/// Runs a future to its end, and returns its output.
///
/// Blocks the caller: a goroutine parks while its thread runs other goroutines, and any other
/// thread sleeps.
///
/// This is for occasional calls into an `async` library. The caller polls the future on its own
/// stack, so the future moves with the goroutine from thread to thread. The future must bring its
/// own source of wake-ups. For example, tokio's timers and sockets need tokio's runtime, which runs
/// on its own threads. (`Handle::spawn` returns a future that can be waited for here.)
///
/// To run many futures, start a goroutine for each: that works as well as an executor. Go has no
/// counterpart, since it has no `async`.
///
/// # Panics
/// If the future panics.
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
    // The capacity is one, since it makes no difference how often the future is woken before it is
    // polled again.
    let (tx, woken) = bounded(1);
    let waker = Waker::from(Arc::new(Notify(tx)));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        woken.recv().expect("block_on: the waker holds a sender");
    }
}

/// The data of the waker.
struct Notify(Sender<()>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A full channel means that a wake-up is pending; a closed channel means that the future
        // has ended.
        let _ = self.0.try_send(());
    }
}
