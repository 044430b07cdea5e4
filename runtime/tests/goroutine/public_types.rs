//! Which traits the public types implement, and which they must not: checked by the compiler.
//!
//! `Cell<u8>` stands for a type that may be sent to another thread but not shared, `Rc<u8>` for a
//! type that may do neither.

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use greenthread::{channel, config, ctx, debug, net, patterns, signal, sync, time};

/// Asserts that each type has all of the bounds.
macro_rules! each_is {
    ($($bound:path),+; $($type:ty),+ $(,)?) => {
        const _: () = {
            const fn check<T: ?Sized $(+ $bound)+>() {}
            $(check::<$type>();)+
        };
    };
}

/// Asserts that no type implements the trait: if one does, `A` cannot be inferred.
macro_rules! none_is {
    ($bound:path; $($type:ty),+ $(,)?) => {
        $(const _: fn() = || {
            trait Ambiguous<A> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Implements;
            impl<T: ?Sized + $bound> Ambiguous<Implements> for T {}
            let _ = <$type as Ambiguous<_>>::check;
        };)+
    };
}

type Sendable = Cell<u8>;
type Local = Rc<u8>;

// Goroutines.
each_is!(Send, Sync, Unpin, Debug;
    greenthread::Builder,
    greenthread::Exited,
    greenthread::Goroutine,
    greenthread::JoinHandle<u8>,
    greenthread::JoinHandle<Sendable>,
    greenthread::Scope<'static, 'static>,
    greenthread::ScopedJoinHandle<'static, u8>,
    greenthread::ScopedJoinHandle<'static, Sendable>,
    config::Config,
    config::InstallError,
);
each_is!(UnwindSafe, RefUnwindSafe;
    greenthread::Builder,
    greenthread::Exited,
    greenthread::Goroutine,
    greenthread::JoinHandle<Local>,
    greenthread::OsThreadGuard,
    greenthread::ScopedJoinHandle<'static, Local>,
    config::Config,
    config::InstallError,
);
// It borrows mutably, like std's.
none_is!(UnwindSafe; greenthread::Scope<'static, 'static>);
each_is!(Clone; greenthread::Builder, greenthread::Goroutine, greenthread::Exited, config::Config);
each_is!(Default; greenthread::Builder, config::Config);
each_is!(Eq, Hash; greenthread::Goroutine, greenthread::Exited);
each_is!(Copy; greenthread::Exited);
// It unlocks the thread that it was made on.
each_is!(Debug; greenthread::OsThreadGuard);
none_is!(Send; greenthread::OsThreadGuard);
none_is!(Sync; greenthread::OsThreadGuard);
// The result may come from another thread.
none_is!(Send; greenthread::JoinHandle<Local>, greenthread::ScopedJoinHandle<'static, Local>);
none_is!(Sync; greenthread::JoinHandle<Local>, greenthread::ScopedJoinHandle<'static, Local>);

// Channels: a value goes from one thread to another, and is never shared.
each_is!(Send, Sync, Unpin, Debug, UnwindSafe, RefUnwindSafe;
    channel::Sender<u8>,
    channel::Sender<Sendable>,
    channel::Receiver<u8>,
    channel::Receiver<Sendable>,
    channel::Iter<'static, Sendable>,
    channel::TryIter<'static, Sendable>,
    channel::IntoIter<Sendable>,
);
each_is!(Send, Sync, Unpin, Debug, UnwindSafe, RefUnwindSafe;
    channel::Select<'static>,
    time::Timer,
    time::Ticker,
);
each_is!(Debug, UnwindSafe, RefUnwindSafe; channel::SelectedOperation<'static>);
each_is!(Clone;
    channel::Sender<Local>,
    channel::Receiver<Local>,
    channel::Select<'static>,
);
none_is!(Send; channel::Sender<Local>, channel::Receiver<Local>, channel::IntoIter<Local>);
none_is!(Sync; channel::Sender<Local>, channel::Receiver<Local>, channel::IntoIter<Local>);
// It belongs to the goroutine or thread that has selected.
none_is!(Send; channel::SelectedOperation<'static>);
none_is!(Sync; channel::SelectedOperation<'static>);

// Errors: they can be returned from any goroutine, and boxed.
each_is!(std::error::Error, Send, Sync, Unpin, Debug, Display, UnwindSafe, RefUnwindSafe, Clone, Eq;
    channel::SendError<u8>,
    channel::TrySendError<u8>,
    channel::SendTimeoutError<u8>,
    channel::RecvError,
    channel::TryRecvError,
    channel::RecvTimeoutError,
    channel::TrySelectError,
    channel::SelectTimeoutError,
    channel::TryReadyError,
    channel::ReadyTimeoutError,
    config::InstallError,
    ctx::Error,
    ctx::RecvError,
    ctx::SendError<u8>,
    patterns::PushError<u8>,
);
each_is!(Hash, Copy; ctx::Error, ctx::RecvError, ctx::SendError<u8>, patterns::PushError<u8>);
each_is!(std::error::Error, Send, Sync, Unpin; net::WatchError<u8>);
none_is!(Send; channel::SendError<Local>, ctx::SendError<Local>);
none_is!(Sync; channel::SendError<Local>, ctx::SendError<Local>);

// Contexts: any goroutine may cancel and wait.
each_is!(Send, Sync, Unpin, Debug;
    ctx::Context,
    ctx::Cancel,
    ctx::CancelCause,
    ctx::Stop,
    ctx::Cause,
);
each_is!(Clone, Display; ctx::Context, ctx::Cause);
each_is!(UnwindSafe, RefUnwindSafe; ctx::Context, ctx::Cancel, ctx::CancelCause, ctx::Stop);
// The error in it may be of any type, as in an `io::Error`.
none_is!(UnwindSafe; ctx::Cause, net::WatchError<u8>);
none_is!(RefUnwindSafe; ctx::Cause, net::WatchError<u8>);
// A handle that is dropped cancels, so there is one.
none_is!(Clone; ctx::Cancel, ctx::CancelCause);

// Time.
each_is!(Send, Sync, Unpin, Debug, UnwindSafe, RefUnwindSafe; time::AfterFunc, time::FuncTimer);

// Reports.
each_is!(Send, Sync, Unpin, Debug, Clone, UnwindSafe, RefUnwindSafe;
    debug::Frame,
    debug::GoroutineInfo,
    debug::GoroutineState,
    debug::Stats,
    debug::WaitReason,
);
each_is!(Eq, Hash;
    debug::Frame,
    debug::GoroutineInfo,
    debug::GoroutineState,
    debug::WaitReason,
);

// Sockets: any goroutine may use them, also while others wait.
each_is!(Send, Sync, Unpin, Debug;
    net::Async<std::fs::File>,
    net::Incoming<'static, net::TcpListener>,
    net::TcpListener,
    net::TcpStream,
    net::UCred,
    net::UdpSocket,
    net::UnixDatagram,
    net::UnixListener,
    net::UnixStream,
    net::WithCtx<'static, net::TcpStream>,
    net::WithCtxMut<'static, net::TcpStream>,
);
each_is!(UnwindSafe, RefUnwindSafe;
    net::Async<std::fs::File>,
    net::Incoming<'static, net::TcpListener>,
    net::TcpListener,
    net::TcpStream,
    net::UCred,
    net::UdpSocket,
    net::UnixDatagram,
    net::UnixListener,
    net::UnixStream,
    net::WithCtx<'static, net::TcpStream>,
);
each_is!(Copy; net::WithCtx<'static, net::TcpStream>, net::UCred);
none_is!(UnwindSafe; net::WithCtxMut<'static, net::TcpStream>);
none_is!(Clone; net::WithCtxMut<'static, net::TcpStream>);
each_is!(Send, Sync, Unpin, Debug, Display, UnwindSafe, RefUnwindSafe, Copy, Eq, Hash;
    signal::Signal,
);

// Patterns.
each_is!(Send, Sync, Unpin, Debug, UnwindSafe, RefUnwindSafe;
    patterns::Backoff,
    patterns::Broker<u8>,
    patterns::Heartbeat<u8>,
    patterns::IntoIter<u8>,
    patterns::Iter<'static, u8>,
    patterns::Jitter,
    patterns::OverflowPolicy,
    patterns::Pipeline<u8>,
    patterns::Pulse,
    patterns::Pushed<u8>,
    patterns::Queue<u8>,
    patterns::RateLimiter,
    patterns::Reservation<'static>,
    patterns::Subscription<u8>,
    patterns::UntilDone<u8>,
);
each_is!(Copy, Eq, Hash; patterns::Jitter, patterns::OverflowPolicy, patterns::Pushed<u8>);
each_is!(Copy, PartialEq; patterns::Backoff);
// What is published or queued is only moved; the topics of a subscription are shown.
each_is!(UnwindSafe, RefUnwindSafe; patterns::Queue<Sendable>, patterns::Subscription<Sendable>);
none_is!(RefUnwindSafe; patterns::Subscription<u8, Sendable>);
// Only what needs them has bounds on the topic's type: a struct may hold these for any.
struct _HoldsAny<T, K>(patterns::Broker<T, K>, patterns::Subscription<T, K>);

// Locks: what is locked is sent from one thread to the next, and what is read is shared too.
each_is!(Send, Sync, Unpin, Debug, UnwindSafe; sync::Mutex<u8>, sync::Mutex<Sendable>);
each_is!(Send, Sync, Unpin, Debug, UnwindSafe; sync::RwLock<u8>);
each_is!(Send; sync::RwLock<Sendable>);
none_is!(Sync; sync::RwLock<Sendable>);
none_is!(Send; sync::Mutex<Local>, sync::RwLock<Local>);
none_is!(Sync; sync::Mutex<Local>, sync::RwLock<Local>);
// Nothing is poisoned, so others may see what a panic has left behind.
none_is!(RefUnwindSafe; sync::Mutex<u8>, sync::RwLock<u8>, sync::Map<u8, u8>);
none_is!(UnwindSafe; sync::MutexGuard<'static, u8>, sync::RwLockWriteGuard<'static, u8>);

// Guards: they may be dropped on another thread, and give what a reference would give.
each_is!(Send, Sync, Unpin, Debug, Display;
    sync::MutexGuard<'static, u8>,
    sync::ArcMutexGuard<u8>,
    sync::RwLockReadGuard<'static, u8>,
    sync::RwLockWriteGuard<'static, u8>,
    sync::RwLockUpgradableReadGuard<'static, u8>,
    sync::ArcRwLockReadGuard<u8>,
    sync::ArcRwLockWriteGuard<u8>,
);
each_is!(Send;
    sync::MutexGuard<'static, Sendable>,
    sync::ArcMutexGuard<Sendable>,
    sync::RwLockWriteGuard<'static, Sendable>,
);
none_is!(Sync;
    sync::MutexGuard<'static, Sendable>,
    sync::ArcMutexGuard<Sendable>,
    sync::RwLockReadGuard<'static, Sendable>,
    sync::RwLockWriteGuard<'static, Sendable>,
    sync::RwLockUpgradableReadGuard<'static, Sendable>,
    sync::ArcRwLockReadGuard<Sendable>,
    sync::ArcRwLockWriteGuard<Sendable>,
);
none_is!(Send;
    sync::MutexGuard<'static, Local>,
    sync::ArcMutexGuard<Local>,
    sync::RwLockReadGuard<'static, Sendable>,
    sync::RwLockWriteGuard<'static, Local>,
    sync::RwLockUpgradableReadGuard<'static, Sendable>,
    sync::ArcRwLockReadGuard<Sendable>,
    sync::ArcRwLockWriteGuard<Sendable>,
);
none_is!(Clone;
    sync::MutexGuard<'static, u8>,
    sync::ArcMutexGuard<u8>,
    sync::RwLockReadGuard<'static, u8>,
    sync::RwLockWriteGuard<'static, u8>,
    sync::RwLockUpgradableReadGuard<'static, u8>,
    sync::ArcRwLockReadGuard<u8>,
    sync::ArcRwLockWriteGuard<u8>,
);

// Without data of the user's, a panic leaves nothing half done.
each_is!(Send, Sync, Unpin, Debug, UnwindSafe, RefUnwindSafe;
    sync::Barrier,
    sync::BarrierWaitResult,
    sync::Condvar,
    sync::Once,
    sync::OnceState,
    sync::OwnedPermit,
    sync::Permit<'static>,
    sync::Semaphore,
    sync::WaitGroup,
    sync::WaitTimeoutResult,
);
each_is!(Default; sync::Condvar, sync::Once, sync::WaitGroup);
each_is!(Clone; sync::WaitGroup);
none_is!(Clone; sync::Permit<'static>, sync::OwnedPermit);

// Cells: written on one thread, shared, and dropped on another.
each_is!(Send, Sync, Unpin, Debug, Default, UnwindSafe, RefUnwindSafe;
    sync::LazyLock<u8>,
    sync::OnceLock<u8>,
    sync::Value<u8>,
);
each_is!(Send; sync::LazyLock<Sendable>, sync::OnceLock<Sendable>);
none_is!(Sync; sync::LazyLock<Sendable>, sync::OnceLock<Sendable>, sync::Value<Sendable>);
none_is!(Send; sync::OnceLock<Local>, sync::Value<Sendable>);
none_is!(RefUnwindSafe; sync::LazyLock<Sendable>, sync::OnceLock<Sendable>);
// The function is called on the thread that comes first.
none_is!(Sync; sync::LazyLock<u8, Box<dyn FnOnce() -> u8>>);

// Maps and groups: keys and values are shared. A pool's values are sent only.
each_is!(Send, Sync, Unpin, Debug;
    sync::Map<u8, u8>,
    sync::Pool<u8>,
    sync::Pool<Sendable>,
    sync::errgroup::Group,
    sync::errgroup::Group<Sendable>,
    sync::singleflight::Group<u8, u8>,
);
each_is!(UnwindSafe, RefUnwindSafe; sync::errgroup::Group, sync::errgroup::Group<Sendable>);
each_is!(FromIterator<(u8, u8)>, Extend<(u8, u8)>, Default; sync::Map<u8, u8>);
each_is!(Copy, Eq, Hash; sync::singleflight::Outcome<u8>);
none_is!(Send;
    sync::Map<u8, Sendable>,
    sync::Pool<Local>,
    sync::errgroup::Group<Local>,
    sync::singleflight::Group<u8, Sendable>,
);
none_is!(Sync;
    sync::Map<u8, Sendable>,
    sync::Pool<Local>,
    sync::errgroup::Group<Local>,
    sync::singleflight::Group<u8, Sendable>,
);

#[test]
fn the_assertions_compile() {}
