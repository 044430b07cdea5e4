//! What channels are good for.
