//! Guards by userfaultfd write protection: any write to a guarded page raises `SIGBUS`.
//!
//! A range of memory is registered once; then pages in it are guarded one range at a time, without
//! splitting the mapping. Linux 5.7 has it, and from 5.11 on an ordinary user may open a descriptor
//! that handles only the faults of the program itself. A system call that would write to a guard
//! fails with `EFAULT`.
//!
//! *What is weaker than an inaccessible page.* A read of a guard does not fault. Stack probes and
//! pushes write, so an overflow is noticed. A child made by `fork` has no guards. And the guards
//! last only as long as the descriptor: a program that closes descriptors that it did not open
//! removes them. When the next guard is laid, that is noticed, and a new descriptor is opened.
//!
//! Before Linux 6.4, only a page that is mapped can be write-protected. Reading it once maps the
//! shared page of zeros, which takes no memory. Four pages then cost 4 us instead of 0.8 (Linux
//! 6.18, Zen 5, 2026-12-01; `MADV_GUARD_INSTALL` costs 0.6).

pub(crate) use imp::{guard, open, register};

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::ops::Range;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr;

    use super::super::memory::{Span, page_size};
    use super::super::mutex::Mutex;

    /// From Linux 5.11 on: the descriptor handles no faults of the kernel, so any user may have it.
    const USER_MODE_ONLY: libc::c_int = 1;

    // `linux/userfaultfd.h`
    const API: u64 = 0xaa;
    const FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
    const FEATURE_SIGBUS: u64 = 1 << 7;
    const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
    const REGISTER_MODE_WP: u64 = 1 << 1;
    const WRITEPROTECT_MODE_WP: u64 = 1 << 0;
    const UFFDIO_API: u32 = 0xc018_aa3f;
    const UFFDIO_REGISTER: u32 = 0xc020_aa00;
    const UFFDIO_WRITEPROTECT: u32 = 0xc018_aa06;

    /// `struct uffdio_api`.
    #[repr(C)]
    struct Api {
        api: u64,
        features: u64,
        ioctls: u64,
    }

    /// `struct uffdio_register`.
    #[repr(C)]
    struct Register {
        start: u64,
        len: u64,
        mode: u64,
        ioctls: u64,
    }

    /// `struct uffdio_writeprotect`.
    #[repr(C)]
    struct WriteProtect {
        start: u64,
        len: u64,
        mode: u64,
    }

    /// The process's descriptor.
    static USERFAULT: Mutex<Option<Userfault>> = Mutex::new(None);

    struct Userfault {
        fd: OwnedFd,
        /// Whether a page must be mapped before it is guarded.
        populates: bool,
    }

    impl Userfault {
        fn open() -> io::Result<Self> {
            // The features can be asked for only once per descriptor.
            let unpopulated = FEATURE_SIGBUS | FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_UNPOPULATED;
            if let Ok(fd) = with_features(unpopulated) {
                return Ok(Self { fd, populates: false });
            }
            let fd = with_features(FEATURE_SIGBUS | FEATURE_PAGEFAULT_FLAG_WP)?;
            Ok(Self { fd, populates: true })
        }

        fn register(&self, range: &Range<usize>) -> io::Result<()> {
            let mut arg =
                Register { start: range.start as u64, len: range.len() as u64, mode: REGISTER_MODE_WP, ioctls: 0 };
            // SAFETY: the argument has the layout of this call. Nothing changes for pages that are
            // not guarded.
            unsafe { control(&self.fd, UFFDIO_REGISTER, &mut arg) }
        }

        /// # Safety
        /// The span is registered, and no longer in use.
        unsafe fn guard(&self, span: &Span) -> io::Result<()> {
            let range = span.range();
            if self.populates {
                for page in range.clone().step_by(page_size()) {
                    // SAFETY: a registered span is mapped.
                    unsafe { ptr::with_exposed_provenance::<u8>(page).read_volatile() };
                }
            }
            let mut arg =
                WriteProtect { start: range.start as u64, len: range.len() as u64, mode: WRITEPROTECT_MODE_WP };
            loop {
                // SAFETY: the argument has the layout of this call, and the span is no longer in
                // use.
                match unsafe { control(&self.fd, UFFDIO_WRITEPROTECT, &mut arg) } {
                    Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
                    result => return result,
                }
            }
        }
    }

    /// Opens a descriptor with these features.
    fn with_features(features: u64) -> io::Result<OwnedFd> {
        let open = |flags: libc::c_int| {
            // SAFETY: the call takes no pointer.
            let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was made a moment ago, and nothing else has it. It is small.
            Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
        };
        // Older kernels do not know the flag, and ask for a privilege instead.
        let fd = open(USER_MODE_ONLY).or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => open(0),
            _ => Err(error),
        })?;
        let mut api = Api { api: API, features, ioctls: 0 };
        // SAFETY: the argument has the layout of this call.
        unsafe { control(&fd, UFFDIO_API, &mut api) }?;
        Ok(fd)
    }

    /// # Safety
    /// `arg` has the layout of the request, whose effects the caller allows.
    unsafe fn control<T>(fd: &OwnedFd, request: u32, arg: &mut T) -> io::Result<()> {
        // SAFETY: the caller guarantees the layout, and the argument outlives the call.
        if unsafe { libc::ioctl(fd.as_raw_fd(), request as _, ptr::from_mut(arg)) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Opens the process's descriptor, which stays open.
    pub(crate) fn open() -> io::Result<()> {
        let mut userfault = USERFAULT.lock();
        if userfault.is_none() {
            *userfault = Some(Userfault::open()?);
        }
        Ok(())
    }

    /// Registers memory in which guards will be laid.
    pub(crate) fn register(range: &Range<usize>) -> io::Result<()> {
        with_open(|userfault| userfault.register(range))
    }

    /// Makes every write to the spans fault, without splitting the mapping.
    ///
    /// The spans are in `registered`, memory that was registered and is usable.
    ///
    /// # Safety
    /// The spans are no longer in use.
    pub(crate) unsafe fn guard(spans: &[Span], registered: &Range<usize>) -> io::Result<()> {
        // SAFETY: the spans are no longer in use, as this function demands.
        let lay = |userfault: &Userfault| spans.iter().try_for_each(|span| unsafe { userfault.guard(span) });
        let mut again = false;
        with_open(|userfault| {
            // A new descriptor knows of no registration.
            if std::mem::replace(&mut again, true) {
                userfault.register(registered)?;
            }
            lay(userfault)
        })
    }

    /// Calls `f` with the process's descriptor, and once more with a new one if the program has
    /// closed it.
    fn with_open(mut f: impl FnMut(&Userfault) -> io::Result<()>) -> io::Result<()> {
        let mut userfault = USERFAULT.lock();
        if let Some(open) = &*userfault {
            match f(open) {
                // The number is free, or belongs to another file, or memory is not registered with
                // that descriptor.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTTY | libc::ENOENT)) => {}
                result => return result,
            }
        }
        let new = Userfault::open()?;
        if let Some(old) = userfault.take() {
            // If the number belongs to another file by now, that file must stay open.
            std::mem::forget(old.fd);
        }
        f(userfault.insert(new))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::ops::Range;

    use super::super::memory::Span;

    /// Returns an error.
    pub(crate) fn open() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns an error.
    pub(crate) fn register(_range: &Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns an error.
    ///
    /// # Safety
    /// None needed; the signature is that of the platform contract.
    pub(crate) unsafe fn guard(_spans: &[Span], _registered: &Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
