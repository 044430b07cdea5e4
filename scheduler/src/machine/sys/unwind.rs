//! Unwinding: from the registers of a stack that does not run to the addresses of the calls on it.
//!
//! Rust code keeps no frame pointers, so unwinding relies on the unwind tables of each loaded
//! object (`.eh_frame`), which the crate `framehop` reads. The unwinder never runs on the stack in
//! question, and reads that stack through a function that refuses every address outside it.
//! Whatever the stack contains, the worst result is a wrong address in a report.
//!
//! The tables are copied under the lock of the dynamic loader, since a library may be unloaded
//! while it is not on any stack. The copy takes a few megabytes, and is kept until the loader loads
//! or unloads something.
//!
//! | CPU, system | |
//! | --- | --- |
//! | x86-64 Linux, aarch64 Linux | as above |
//! | others | no addresses: what a stack that was left looks like is corosensei's secret there |

/// The registers from which unwinding starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    pub(crate) fp: usize,
    /// The return address, if the CPU has a register for it (aarch64's x30); otherwise 0.
    pub(crate) lr: usize,
}

/// The registers of code that has faulted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtFault {
    pub(crate) registers: Registers,
    /// The register with which the prologue of a large frame counts (x86-64: r11).
    pub(crate) scratch: usize,
}

pub(crate) use imp::{Unwinder, function_start};

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]
mod imp {
    use std::ffi::{c_int, c_void};
    use std::ops::{ControlFlow, Range};
    use std::{ptr, slice};

    #[cfg(target_arch = "aarch64")]
    use framehop::aarch64::{CacheAarch64 as Cache, UnwindRegsAarch64 as Regs, UnwinderAarch64 as Tables};
    #[cfg(target_arch = "x86_64")]
    use framehop::x86_64::{CacheX86_64 as Cache, UnwindRegsX86_64 as Regs, UnwinderX86_64 as Tables};
    use framehop::{Error, ExplicitModuleSectionInfo, FrameAddress, Module, Unwinder as _};

    use super::super::mutex::Mutex;
    use super::{AtFault, Registers};

    /// The unwind tables of the process, and what was learned from them.
    pub(crate) struct Unwinder {
        tables: Tables<Vec<u8>>,
        cache: Cache,
    }

    impl Unwinder {
        /// Creates an unwinder with the tables of all currently loaded objects.
        ///
        /// Takes the dynamic loader's lock.
        pub(crate) fn new() -> Self {
            static LATEST: Mutex<Option<Loaded>> = Mutex::new(None);
            let mut latest = LATEST.lock();
            let loaded = latest.get_or_insert_with(|| Loaded { changes: None, fresh: false, tables: Tables::new() });
            loaded.fresh = false;
            // SAFETY: `add_object` gets the address of `loaded`, which no other code uses until the
            // call returns.
            unsafe { libc::dl_iterate_phdr(Some(add_object), ptr::from_mut(loaded).cast()) };
            Self { tables: loaded.tables.clone(), cache: Cache::new() }
        }

        /// Calls `visit` with the addresses of the calls on a stack, innermost first, until it
        /// breaks.
        ///
        /// Returns `true` if the walk reaches the stack's first frame. `read` returns the word at
        /// an address if that address is on the stack.
        pub(crate) fn walk(
            &mut self,
            from: Registers,
            mut read: impl FnMut(usize) -> Option<usize>,
            mut visit: impl FnMut(usize) -> ControlFlow<()>,
        ) -> bool {
            let mut registers = unwind_from(from);
            let mut read = |address: u64| read(address as usize).map(|word| word as u64).ok_or(());
            let mut frame = FrameAddress::from_instruction_pointer(from.pc as u64);
            while visit(frame.address_for_lookup() as usize).is_continue() {
                let next = match self.tables.unwind_frame(frame, &mut registers, &mut self.cache, &mut read) {
                    // `stack::grow` stores a frame pointer where it leaves one stack for another,
                    // and the other stack may be at lower addresses.
                    Err(Error::FramepointerUnwindingMovedBackwards) => to_other_stack(&mut registers, &mut read),
                    Err(_) => None,
                    Ok(None) => return true,
                    Ok(Some(address)) => FrameAddress::from_return_address(address),
                };
                match next {
                    Some(next) => frame = next,
                    None => return false,
                }
            }
            false
        }
    }

    fn to_other_stack(registers: &mut Regs, read: &mut impl FnMut(u64) -> Result<u64, ()>) -> Option<FrameAddress> {
        let fp = frame_pointer(registers);
        let (caller, address) = (read(fp).ok()?, read(fp.checked_add(8)?).ok()?);
        registers.set_sp(fp + 16);
        return_to(registers, address, caller);
        FrameAddress::from_return_address(address)
    }

    #[cfg(target_arch = "x86_64")]
    fn unwind_from(at: Registers) -> Regs {
        Regs::new(at.pc as u64, at.sp as u64, at.fp as u64)
    }

    #[cfg(target_arch = "aarch64")]
    fn unwind_from(at: Registers) -> Regs {
        // Strips what pointer authentication adds to return addresses.
        Regs::new(at.lr as u64, at.sp as u64, at.fp as u64)
    }

    #[cfg(target_arch = "x86_64")]
    fn frame_pointer(registers: &Regs) -> u64 {
        registers.bp()
    }

    #[cfg(target_arch = "aarch64")]
    fn frame_pointer(registers: &Regs) -> u64 {
        registers.fp()
    }

    #[cfg(target_arch = "x86_64")]
    fn return_to(registers: &mut Regs, address: u64, fp: u64) {
        registers.set_ip(address);
        registers.set_bp(fp);
    }

    #[cfg(target_arch = "aarch64")]
    fn return_to(registers: &mut Regs, address: u64, fp: u64) {
        registers.set_lr(address);
        registers.set_fp(fp);
    }

    /// The tables of all objects.
    struct Loaded {
        /// The loader's count of loads and unloads, once the tables have been read. In a static
        /// program, the count may be 0.
        changes: Option<u64>,
        /// `true` while the tables are being read again.
        fresh: bool,
        tables: Tables<Vec<u8>>,
    }

    unsafe extern "C" fn add_object(info: *mut libc::dl_phdr_info, _: usize, loaded: *mut c_void) -> c_int {
        // SAFETY: `new` passes this, and the loader passes a valid description.
        let (info, loaded) = unsafe { (&*info, &mut *loaded.cast::<Loaded>()) };
        let changes = Some(info.dlpi_adds + info.dlpi_subs);
        if loaded.changes == changes && !loaded.fresh {
            return 1;
        }
        if !loaded.fresh {
            (loaded.changes, loaded.fresh, loaded.tables) = (changes, true, Tables::new());
        }
        // SAFETY: the loader's table has this many entries.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        // SAFETY: the object is loaded, and stays so while this runs.
        if let Some(module) = unsafe { module(info.dlpi_addr, headers) } {
            loaded.tables.add_module(module);
        }
        0
    }

    fn range(header: &libc::Elf64_Phdr) -> Range<u64> {
        header.p_vaddr..header.p_vaddr + header.p_memsz
    }

    /// # Safety
    /// The object with these headers is loaded at `base`.
    unsafe fn module(base: u64, headers: &[libc::Elf64_Phdr]) -> Option<Module<Vec<u8>>> {
        let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(range);
        let index = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).map(range)?;
        let copy = |range: &Range<u64>| {
            let start = ptr::with_exposed_provenance::<u8>((base + range.start) as usize);
            // SAFETY: the slice is part of a loaded segment and is not written: unwind tables are
            // constant once they are relocated.
            unsafe { slice::from_raw_parts(start, (range.end - range.start) as usize) }.to_vec()
        };
        let inside = loaded().any(|segment| segment.start <= index.start && index.end <= segment.end);
        let eh_frame_hdr = inside.then(|| copy(&index))?;
        // All linkers write version 1, and the address of the tables as a signed offset from this
        // field.
        let [1, 0x1b, _, _, a, b, c, d, ..] = eh_frame_hdr[..] else { return None };
        let start = (index.start + 4).checked_add_signed(i64::from(i32::from_le_bytes([a, b, c, d])))?;
        // The length of the tables is recorded nowhere; the index says where in them to look.
        let segment = loaded().find(|segment| segment.contains(&start))?;
        let eh_frame_svma = start..segment.end;
        let info = ExplicitModuleSectionInfo {
            eh_frame: Some(copy(&eh_frame_svma)),
            eh_frame_svma: Some(eh_frame_svma),
            eh_frame_hdr: Some(eh_frame_hdr),
            eh_frame_hdr_svma: Some(index),
            ..Default::default()
        };
        let first = loaded().map(|segment| segment.start).min()?;
        let end = loaded().map(|segment| segment.end).max()?;
        Some(Module::new(String::new(), base + first..base + end, base, info))
    }

    /// Returns the start of the function that contains `pc`.
    pub(crate) fn function_start(pc: usize) -> Option<usize> {
        unsafe extern "C" {
            /// Provided by the unwinder that std is linked with.
            fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
        }
        // SAFETY: the address is only looked up.
        let start = unsafe { _Unwind_FindEnclosingFunction(ptr::without_provenance_mut(pc)) };
        (!start.is_null()).then(|| start.addr())
    }

    #[cfg(target_arch = "x86_64")]
    /// The length of the code from the instruction before a loop of stack probes to the one that
    /// faults.
    const PROBE_LOOP: usize = 14;

    #[cfg(target_arch = "aarch64")]
    impl AtFault {
        /// Returns the registers from which to unwind.
        ///
        /// If the function has a frame of many pages, the walk ends there.
        pub(crate) fn unwindable(self) -> Registers {
            self.registers
        }
    }

    #[cfg(target_arch = "x86_64")]
    impl AtFault {
        /// Returns the registers from which to unwind.
        ///
        /// A function with a frame of many pages touches each of them in a loop before it begins.
        /// In that loop, the unwind tables find the frame by a scratch register, which the unwinder
        /// does not follow. The result is then the state before the loop, when that register was a
        /// copy of the stack pointer.
        pub(crate) fn unwindable(self) -> Registers {
            let at = self.registers;
            let code = at.pc - PROBE_LOOP.min(at.pc);
            if function_start(at.pc).is_none_or(|start| start > code) {
                return at;
            }
            // SAFETY: the bytes are code of the function that has faulted.
            match unsafe { ptr::with_exposed_provenance::<[u8; PROBE_LOOP]>(code).read_unaligned() } {
                // sub r11, size; then the loop: sub rsp, 4096; mov qword ptr [rsp], 0
                [0x49, 0x81, 0xeb, a, b, c, d, 0x48, 0x81, 0xec, 0, 0x10, 0, 0] => {
                    let size = u32::from_le_bytes([a, b, c, d]) as usize;
                    Registers { pc: code, sp: self.scratch.wrapping_add(size), fp: at.fp, lr: 0 }
                }
                _ => at,
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_stack_of_ones_own_leads_to_its_callers() {
            let mut calls = Vec::new();
            let here = a_stack_of_ones_own_leads_to_its_callers as *const () as usize;
            // These are not the registers of a frame: the walk takes a step or two, and does not
            // fault.
            let from = Registers { pc: here + 1, sp: 8, fp: 8, lr: 8 };
            let visit = |call| {
                calls.push(call);
                ControlFlow::Continue(())
            };
            assert!(!Unwinder::new().walk(from, |_| None, visit));
            assert_eq!(calls[0], here + 1);
            assert_eq!(function_start(here + 1), Some(here));
        }
    }
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
mod imp {
    use std::ops::ControlFlow;

    use super::{AtFault, Registers};

    impl AtFault {
        pub(crate) fn unwindable(self) -> Registers {
            self.registers
        }
    }

    /// An unwinder that knows nothing on this system.
    pub(crate) struct Unwinder;

    impl Unwinder {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn walk(
            &mut self,
            _: Registers,
            _: impl FnMut(usize) -> Option<usize>,
            _: impl FnMut(usize) -> ControlFlow<()>,
        ) -> bool {
            false
        }
    }

    pub(crate) fn function_start(_: usize) -> Option<usize> {
        None
    }
}
