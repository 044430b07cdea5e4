//! The location of the calling thread's own memory: its static thread-locals and its control block.
//!
//! The C library lays out one block for each thread. It contains the thread-locals of all modules
//! that were loaded at the start of the program (including `errno`) and, next to them, the control
//! block, to which the CPU's thread pointer points. The distances within the block are the same in
//! each thread. Both in glibc and in musl, `dl_iterate_phdr` tells where the calling thread's part
//! of each module is.
//!
//! Modules that were loaded later may have their part anywhere, allocated on first use. Their
//! distances differ from thread to thread, so a part counts only if it is at the same distance in
//! another thread as well ([`init`]).

pub(crate) use imp::{init, own_block};

#[cfg(all(target_os = "linux", not(greenthread_tsan)))]
mod imp {
    use std::ffi::{c_int, c_void};
    use std::ops::Range;
    use std::sync::OnceLock;

    /// How much of the control block counts as the thread's own: its head, in a size that fits the
    /// control block of any C library.
    ///
    /// Compilers keep the block's address in order to reach the thread-locals next to it. Anything
    /// farther inside belongs to the library.
    const CONTROL: usize = 128;

    /// One module's thread-locals in one thread.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Part {
        /// The distance from the control block, wrapping.
        distance: usize,
        len: usize,
    }

    /// The parts of the first thread that asked.
    static FIRST: OnceLock<Vec<Part>> = OnceLock::new();

    /// Records the parts of the calling thread; called once, by a thread other than those that will
    /// ask for their blocks.
    pub(crate) fn init() {
        FIRST.get_or_init(parts);
    }

    /// Returns the addresses of the calling thread's static thread-locals and control block.
    pub(crate) fn own_block() -> Range<usize> {
        let (control, first) = (control_block(), FIRST.get_or_init(parts));
        let is_static = |part: &Part| first.contains(part);
        parts().into_iter().filter(is_static).fold(control..control + CONTROL, |block, part| {
            let start = control.wrapping_add(part.distance);
            block.start.min(start)..block.end.max(start + part.len)
        })
    }

    fn control_block() -> usize {
        // The thread's handle is the address of its control block, both in glibc and in musl.
        // SAFETY: the call takes no arguments and always succeeds.
        unsafe { libc::pthread_self() as usize }
    }

    fn parts() -> Vec<Part> {
        let mut parts = Vec::new();
        // SAFETY: `add` gets the arguments that it expects, and does not keep them beyond the call.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut parts).cast()) };
        parts
    }

    /// # Safety
    /// Called as `dl_iterate_phdr` does, with the address of a list of parts.
    unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _size: usize, parts: *mut c_void) -> c_int {
        // SAFETY: the pointers are valid, as the caller guarantees; a module has as many headers as
        // it says.
        let (info, parts) = unsafe { (&*info, &mut *parts.cast::<Vec<Part>>()) };
        if !info.dlpi_tls_data.is_null() && !info.dlpi_phdr.is_null() {
            // SAFETY: the module's description is valid, and it has as many headers as it says.
            let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
            let distance = info.dlpi_tls_data.addr().wrapping_sub(control_block());
            let of_threads = headers.iter().filter(|header| header.p_type == libc::PT_TLS);
            parts.extend(of_threads.map(|header| Part { distance, len: header.p_memsz as usize }));
        }
        0
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::cell::Cell;

        thread_local! {
            static CONST: Cell<u64> = const { Cell::new(1) };
            static LAZY: Cell<Vec<u64>> = Cell::new(vec![1]);
        }

        /// Returns addresses of four kinds of thread-locals of the calling thread.
        fn own_addresses() -> [usize; 4] {
            // SAFETY: the call takes no arguments, and errno has an address in each thread.
            let errno = unsafe { libc::__errno_location() };
            [
                CONST.with(|cell| std::ptr::from_ref(cell).addr()),
                LAZY.with(|cell| std::ptr::from_ref(cell).addr()),
                errno.addr(),
                control_block(),
            ]
        }

        #[test]
        fn the_block_has_what_is_the_threads_and_nothing_else() {
            init();
            let block_of = || (own_block(), own_addresses(), Box::new(0u8));
            std::thread::scope(|scope| {
                let here = block_of();
                // Both threads are alive at the same time, so that no address is used twice.
                let there = scope.spawn(|| (block_of(), own_block())).join().unwrap().0;
                let local = 0u8;
                for (own, other) in [(&here, &there), (&there, &here)] {
                    assert!(own.1.iter().all(|address| own.0.contains(address)), "{:x?}", own.1);
                    assert!(
                        !own.0.contains(&(&raw const *other.2).addr()) && !own.0.contains(&(&raw const local).addr())
                    );
                    assert!(own.0.len() < 1 << 20, "{:x?}", own.0);
                }
            });
        }
    }
}

#[cfg(any(not(target_os = "linux"), greenthread_tsan))]
mod imp {
    use std::ops::Range;

    pub(crate) fn init() {}

    /// Returns an empty range, since other systems do not tell.
    ///
    /// ThreadSanitizer leaves addresses of its own thread-locals on every stack, so no goroutine
    /// would ever move.
    pub(crate) fn own_block() -> Range<usize> {
        0..0
    }
}
