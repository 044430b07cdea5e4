//! Everything that touches the operating system or the CPU's stack pointer.

pub(crate) mod stack;
pub(crate) mod sys;

/// Prepares a thread to run goroutines.
///
/// The result must be kept for as long as the thread runs goroutines.
pub(crate) fn prepare_thread() -> impl Sized {
    sys::thread::set_exact_timers();
    stack::overflow::ensure_altstack(sys::memory::alternate_stack_size())
}
