//! Models of the channels: the source files of their crate, compiled against loom.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/alarm.rs"]
mod alarm;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/buffer.rs"]
mod buffer;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/chan.rs"]
mod chan;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/closing.rs"]
mod closing;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/counter.rs"]
mod counter;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/dynamic.rs"]
mod dynamic;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/error.rs"]
mod error;
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../../../channels/src/handle/mod.rs"]
mod handle;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/head.rs"]
mod head;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/internal.rs"]
mod internal;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/locked.rs"]
mod locked;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/queue.rs"]
mod queue;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../src/gmp/reason.rs"]
mod reason;
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../../../channels/src/select/mod.rs"]
mod select;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/single_wait.rs"]
mod single_wait;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/timer.rs"]
mod timer;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../../channels/src/waiter.rs"]
mod waiter;

mod ascending;
mod closes;
mod plain;
mod primitive;
mod selects;
