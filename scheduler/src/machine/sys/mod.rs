//! The platform contract: what the runtime requires of the operating system, one file per topic.
//!
//! `cfg` appears only here. Each topic has a Linux file and a portable one:
//!
//! | topic | promise | Linux | elsewhere |
//! | --- | --- | --- | --- |
//! | [`memory`] | address space, guards, dropping pages | `process_madvise` | `mprotect` |
//! | [`userfault`] | guards that take no mapping | `userfaultfd` (5.7) | unsupported |
//! | [`parker`] | block one thread, wake it once | futex | mutex and condition variable |
//! | [`mutex`] | a lock that blocks the thread | std's | std's |
//! | [`fence`] | a fence that only its rare side pays for | `membarrier` | full fences |
//! | [`poller`] | wait for many descriptors | `epoll` by mio, `ppoll` | `kqueue` by mio |
//! | [`peek`] | a word of any kind | by CPU: an instruction | a volatile read |
//! | [`prefetch`], [`region`] | hints; large zeroed memory | huge pages | nothing; small pages |
//! | [`sanitizer`] | tell sanitizers about stacks | x86-64 | nothing |
//! | [`stack_pointer`] | where the caller's stack ends | by CPU: an instruction | the same |
//! | [`switch`] | one stack for another | x86-64, aarch64: our own | corosensei |
//! | [`unwind`] | the calls on a stack | x86-64, aarch64: tables | nothing |
//! | [`interrupt`] | a thread's registers; SIGQUIT | x86-64, aarch64: SIGURG | nothing |
//! | [`thread`] | per-thread settings and facts | `prctl`, `/proc` | defaults |
//! | [`thread_end`] | sleep until another thread ends | `pidfd_open` (6.9) | nothing |
//! | [`pidfd`] | readable when a process or thread ends | `pidfd_open` | nothing |
//! | [`peer`] | the process behind a Unix socket | `SO_PEERCRED` | `getpeereid` |
//! | [`signals`] | list and send signals; end by a signal | real-time signals | none of those |
//! | [`tls`] | where a thread's own memory is | `dl_iterate_phdr` | nowhere |
//! | [`fallback`] | what is missing, and what replaces it | noted when missed | the same |
//! | [`word`] | thread-locals without addresses | by the thread pointer | `thread_local!` |

pub(crate) mod fallback;
pub(crate) mod fence;
pub(crate) mod interrupt;
pub(crate) mod memory;
pub mod mutex;
pub(crate) mod parker;
pub(crate) mod peek;
pub(crate) mod peer;
pub(crate) mod pidfd;
pub(crate) mod poller;
pub(crate) mod prefetch;
pub(crate) mod region;
mod sanitizer;
pub(crate) mod signals;
pub(crate) mod stack_pointer;
pub(crate) mod switch;
pub(crate) mod thread;
pub(crate) mod thread_end;
pub(crate) mod tls;
pub(crate) mod unwind;
pub(crate) mod userfault;
pub(crate) mod word;

/// `true` in a build with debug assertions, which is usually not optimized either.
pub(crate) const DEBUG_ASSERTIONS: bool = cfg!(debug_assertions);

/// `true` if a panic unwinds; `false` in a program that is built with `panic = "abort"`.
pub(crate) const UNWINDS: bool = cfg!(panic = "unwind");
