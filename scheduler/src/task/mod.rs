//! A goroutine as a task: its stack, its closure, its handle.

pub(crate) mod after_func;
pub(crate) mod coroutine;
pub(crate) mod spawn;
