//! The pure core: no clock, no I/O, no async, no randomness. Time and entropy are arguments.

pub mod codes;
pub mod ids;
pub mod job;
pub mod observed;
pub mod policy;
pub mod settings;
pub mod time;
pub mod wheel;
