//! A goroutine as a task: its stack, its closure and result, and its handle.

pub(crate) mod after_func;
pub(crate) mod body;
pub(crate) mod coroutine;
pub(crate) mod handle;
pub(crate) mod spawn;
