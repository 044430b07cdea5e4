//! Per-thread words that are read and written without their addresses.
//!
//! An address of a thread-local must not be live across a switch. On x86-64 and aarch64 Linux no
//! address is computed in Rust: the instructions contain the distance from the thread pointer. An
//! address that the
//! compiler never sees cannot be kept in a register across a switch, cannot be shared between two
//! calls, and cannot be left on the stack. The last point also matters: unoptimized builds leave
//! addresses in many dead slots, and a goroutine with such an address on its stack is sent back to
//! its thread unnecessarily (`guard`).
//!
//! Elsewhere, each word is a `thread_local!` behind functions that are not inlined and return
//! values. (Preventing inlining alone would not be enough: of two calls that return an address,
//! LLVM keeps only one. A value that was read from memory must be read again after any call that
//! may write memory, and every switch is such a call.)

pub(crate) use imp::{current, random, set_current, set_random};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    use std::arch::{asm, global_asm};

    /// Loads the word at a distance from the thread pointer that the linker knows.
    #[cfg(target_arch = "x86_64")]
    macro_rules! load {
        ($symbol:literal, $word:ident) => {
            asm!(
                concat!("mov {word}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                "mov {word}, qword ptr fs:[{word}]",
                word = out(reg) $word,
                options(nostack, preserves_flags, readonly),
            )
        };
    }

    /// Stores the word at a distance from the thread pointer that the linker knows.
    #[cfg(target_arch = "x86_64")]
    macro_rules! store {
        ($symbol:literal, $word:ident) => {
            asm!(
                concat!("mov {distance}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
                "mov qword ptr fs:[{distance}], {word}",
                distance = out(reg) _,
                word = in(reg) $word,
                options(nostack, preserves_flags),
            )
        };
    }

    #[cfg(target_arch = "aarch64")]
    macro_rules! load {
        ($symbol:literal, $word:ident) => {
            asm!(
                concat!("adrp {word}, :gottprel:", $symbol),
                concat!("ldr {word}, [{word}, :gottprel_lo12:", $symbol, "]"),
                "mrs {thread}, tpidr_el0",
                "ldr {word}, [{thread}, {word}]",
                thread = out(reg) _,
                word = out(reg) $word,
                options(nostack, preserves_flags, readonly),
            )
        };
    }

    #[cfg(target_arch = "aarch64")]
    macro_rules! store {
        ($symbol:literal, $word:ident) => {
            asm!(
                concat!("adrp {distance}, :gottprel:", $symbol),
                concat!("ldr {distance}, [{distance}, :gottprel_lo12:", $symbol, "]"),
                "mrs {thread}, tpidr_el0",
                "str {word}, [{thread}, {distance}]",
                thread = out(reg) _,
                distance = out(reg) _,
                word = in(reg) $word,
                options(nostack, preserves_flags),
            )
        };
    }

    // A word among the static thread-locals, found by its linker name; the whole program has one
    // such word, as it has one scheduler.
    macro_rules! word {
        ($get:ident, $set:ident, $symbol:literal) => {
            global_asm!(
                ".pushsection .tbss,\"awT\",@nobits",
                ".p2align 3",
                concat!(".globl ", $symbol),
                concat!(".hidden ", $symbol),
                concat!(".type ", $symbol, ",@object"),
                concat!(".size ", $symbol, ",8"),
                concat!($symbol, ": .zero 8"),
                ".popsection",
            );

            /// Returns the calling thread's word.
            #[inline]
            pub(crate) fn $get() -> u64 {
                let word: u64;
                // SAFETY: the symbol is a word of each thread's static block, and the linker knows
                // its distance from the thread pointer.
                unsafe { load!($symbol, word) };
                word
            }

            #[inline]
            pub(crate) fn $set(word: u64) {
                // SAFETY: the symbol is a word of each thread's static block, and only this thread
                // accesses its own.
                unsafe { store!($symbol, word) };
            }
        };
    }

    word!(current, set_current, "greenthread_current_m");
    word!(random, set_random, "greenthread_random_state");
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod imp {
    use std::cell::Cell;

    macro_rules! word {
        ($get:ident, $set:ident, $name:ident) => {
            thread_local! {
                static $name: Cell<u64> = const { Cell::new(0) };
            }

            /// Returns the calling thread's word.
            #[inline(never)]
            pub(crate) fn $get() -> u64 {
                $name.get()
            }

            #[inline(never)]
            pub(crate) fn $set(word: u64) {
                $name.set(word);
            }
        };
    }

    word!(current, set_current, CURRENT);
    word!(random, set_random, RANDOM);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own() {
        let (before, seed) = (current(), random());
        set_current(7);
        set_random(8);
        std::thread::spawn(|| {
            assert_eq!((current(), random()), (0, 0));
            set_current(9);
            assert_eq!((current(), random()), (9, 0));
        })
        .join()
        .unwrap();
        assert_eq!((current(), random()), (7, 8));
        set_current(before);
        set_random(seed);
    }
}
