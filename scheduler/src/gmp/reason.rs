//! Why a goroutine is parked.
//!
//! There is one variant per kind of wait, never reused for another: dumps, the deadlock report,
//! metrics and traces all read this enum, so a new kind of wait gets a new variant here. The texts
//! are Go's where Go has one.

use std::fmt;

/// The reason why a goroutine waits (Go's `waitReason`).
///
/// ```
/// use greenthread::debug::WaitReason;
///
/// assert_eq!(WaitReason::ChanReceive.to_string(), "chan receive");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum WaitReason {
    /// Not waiting: running, runnable or ended.
    None = 0,
    /// In `time::sleep`.
    Sleep,
    /// Receiving from an empty channel.
    ChanReceive,
    /// Sending to a full channel, or to an unbuffered one from which no goroutine receives.
    ChanSend,
    /// Receiving from a nil channel: forever.
    ChanReceiveNil,
    /// Sending to a nil channel: forever.
    ChanSendNil,
    /// In a `select!` in which no arm is ready.
    ///
    /// Also in a receive from a timer or ticker, and therefore in `Context::sleep`.
    Select,
    /// In a `select!` in which all channels are nil: forever, or until its `default(timeout)`.
    SelectNoCases,
    /// Acquiring a `sync::Mutex`.
    MutexLock,
    /// Reading in a `sync::RwLock`.
    RwLockRead,
    /// Writing in a `sync::RwLock`.
    RwLockWrite,
    /// In `Condvar::wait`.
    CondvarWait,
    /// In `Once::call_once`, while another caller runs the function; also in `OnceLock` and
    /// `LazyLock`.
    Once,
    /// In `Barrier::wait`.
    BarrierWait,
    /// In `WaitGroup::wait`.
    WaitGroupWait,
    /// Acquiring from a `sync::Semaphore`.
    SemaphoreAcquire,
    /// Waiting for a descriptor to become ready.
    IoWait,
    /// In `JoinHandle::join`.
    Join,
    /// At the end of a `scope`, waiting for the goroutines spawned in it.
    Scope,
    /// In `exit_goroutine` of the main goroutine: the others continue without it.
    MainExited,
}

impl WaitReason {
    const ALL: [(WaitReason, &'static str); 20] = [
        (WaitReason::None, ""),
        (WaitReason::Sleep, "sleep"),
        (WaitReason::ChanReceive, "chan receive"),
        (WaitReason::ChanSend, "chan send"),
        (WaitReason::ChanReceiveNil, "chan receive (nil chan)"),
        (WaitReason::ChanSendNil, "chan send (nil chan)"),
        (WaitReason::Select, "select"),
        (WaitReason::SelectNoCases, "select (no cases)"),
        (WaitReason::MutexLock, "sync.Mutex.Lock"),
        (WaitReason::RwLockRead, "sync.RWMutex.RLock"),
        (WaitReason::RwLockWrite, "sync.RWMutex.Lock"),
        (WaitReason::CondvarWait, "sync.Cond.Wait"),
        (WaitReason::Once, "sync.Once.Do"),
        (WaitReason::BarrierWait, "barrier"),
        (WaitReason::WaitGroupWait, "sync.WaitGroup.Wait"),
        (WaitReason::SemaphoreAcquire, "semaphore.Weighted.Acquire"),
        (WaitReason::IoWait, "IO wait"),
        (WaitReason::Join, "join"),
        (WaitReason::Scope, "scope"),
        (WaitReason::MainExited, "main exited"),
    ];

    /// Returns the text that dumps print, which is Go's where Go has one.
    ///
    /// ```
    /// assert_eq!(greenthread::debug::WaitReason::MutexLock.as_str(), "sync.Mutex.Lock");
    /// ```
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Returns `true` if only other goroutines or threads of the program can end such a wait.
    pub(crate) fn depends_on_program(self) -> bool {
        !matches!(self, Self::None | Self::Sleep | Self::IoWait | Self::MainExited)
    }

    /// Returns the reason whose number is `n`; [`WaitReason::None`] for an unknown one.
    pub(crate) fn from_u8(n: u8) -> Self {
        Self::ALL.get(usize::from(n)).map_or(WaitReason::None, |&(reason, _)| reason)
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_variants_agree() {
        for (n, &(reason, _)) in WaitReason::ALL.iter().enumerate() {
            assert_eq!(reason as usize, n);
            assert_eq!(WaitReason::from_u8(n as u8), reason);
        }
        assert_eq!(WaitReason::from_u8(255), WaitReason::None);
    }
}
