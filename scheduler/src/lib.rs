//! The scheduler under `greenthread`.

mod machine;
mod primitive;
pub mod protocol;
mod reason;
pub mod wait;

pub use reason::WaitReason;
