//! The pure core: no clock, no I/O, no async, no randomness. Time and entropy are arguments.

pub mod ids;
pub mod observed;
pub mod time;
pub mod wheel;
