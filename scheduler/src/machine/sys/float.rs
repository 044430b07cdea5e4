//! The floating-point environment: rounding mode, which exceptions trap, how denormal numbers are treated.
//!
//! It is a register of the thread, which a function that changes it leaves changed for its caller (the control bits are
//! callee-saved in all calling conventions). So it belongs to the goroutine: one that parks in another environment than
//! the one that a program begins with takes it along, and one that ends puts that one back. The scheduler itself,
//! and so each new goroutine, begins in that one.
//!
//! The bits that say which exceptions have happened are nobody's: what they are after a call is not defined.
//!
//! # Which registers are looked at
//! On x86-64 there are two, MXCSR and the control word of the x87 unit, which only `long double` of C still uses. What
//! the C library offers (`fesetround`, `feenableexcept`) changes both, so MXCSR tells for both, and both are taken along.
//! **Not noticed** is a change of the x87 word alone.
//!
//! In ns, the fastest of five runs in turn with a build without any of it (Zen 5, 2 CPUs, one P, 2026-12-01):
//!
//! | | without | MXCSR is looked at |
//! | --- | --- | --- |
//! | yield, two goroutines | 18.5 | 19.9 |
//! | unbuffered round trip | 100.2 | 100.4 |
//! | spawn and join | 52.9 | 54.9 |
//!
//! To look at the x87 word as well takes another 1 ns, and to save and compare both in [`switch`](super::switch), on
//! both sides, 4 ns in all for a yield.
//!
//! | CPU | |
//! | --- | --- |
//! | x86-64 | as above |
//! | aarch64 | FPCR |
//! | others | nothing is looked at: the environment stays with the thread |

pub(crate) use imp::Environment;

impl Environment {
    /// Calls `f` in the default environment, and has this one again afterwards, if it is another.
    #[inline(always)]
    pub(crate) fn around(f: impl FnOnce()) {
        if Self::is_default() {
            return f();
        }
        let own = Self::replace();
        f();
        own.load();
    }

    /// Makes the default environment that of the calling thread.
    #[inline(always)]
    pub(crate) fn reset() {
        if !Self::is_default() {
            Self::replace();
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::asm;

    /// All of MXCSR but what has happened.
    const CONTROL: u32 = 0xffc0;

    /// The control bits of the calling thread.
    #[derive(Clone, Copy)]
    pub(crate) struct Environment {
        mxcsr: u32,
        x87: u16,
    }

    impl Environment {
        /// What a program begins with: rounds to nearest, nothing traps.
        const DEFAULT: Self = Self { mxcsr: 0x1f80, x87: 0x037f };

        #[inline(always)]
        pub(super) fn is_default() -> bool {
            let mut mxcsr = 0_u32;
            // SAFETY: writes where it is told to, in its size.
            unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags)) };
            mxcsr & CONTROL == Self::DEFAULT.mxcsr & CONTROL
        }

        /// Makes the default one that of the calling thread; returns the one before.
        #[cold]
        pub(super) fn replace() -> Self {
            let (mut mxcsr, mut x87) = (0_u32, 0_u16);
            // SAFETY: both write where they are told to, in their size.
            unsafe {
                asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack))
            };
            Self::DEFAULT.load();
            Self { mxcsr, x87 }
        }

        #[cold]
        pub(super) fn load(self) {
            let (mxcsr, x87) = (&raw const self.mxcsr, &raw const self.x87);
            // SAFETY: control bits that the registers had before, or those that a program begins with.
            unsafe { asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) mxcsr, in(reg) x87, options(nostack, readonly)) };
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use std::arch::asm;

    /// The control register of the calling thread.
    #[derive(Clone, Copy)]
    pub(crate) struct Environment(u64);

    impl Environment {
        /// What a program begins with: rounds to nearest, nothing traps.
        const DEFAULT: Self = Self(0);

        #[inline(always)]
        fn current() -> Self {
            let bits;
            // SAFETY: a register is read.
            unsafe { asm!("mrs {}, fpcr", out(reg) bits, options(nomem, nostack, preserves_flags)) };
            Self(bits)
        }

        #[inline(always)]
        pub(super) fn is_default() -> bool {
            Self::current().0 == Self::DEFAULT.0
        }

        /// Makes the default one that of the calling thread; returns the one before.
        #[cold]
        pub(super) fn replace() -> Self {
            let before = Self::current();
            Self::DEFAULT.load();
            before
        }

        #[cold]
        pub(super) fn load(self) {
            // SAFETY: bits that the register had before, or those that a program begins with.
            unsafe { asm!("msr fpcr, {}", in(reg) self.0, options(nomem, nostack, preserves_flags)) };
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    /// Stays with the thread here.
    #[derive(Clone, Copy)]
    pub(crate) struct Environment;

    impl Environment {
        pub(super) fn is_default() -> bool {
            true
        }

        pub(super) fn replace() -> Self {
            Self
        }

        pub(super) fn load(self) {}
    }
}
