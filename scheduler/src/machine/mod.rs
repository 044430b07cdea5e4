//! Everything that touches the operating system or the CPU's stack pointer.

pub(crate) mod sys;
