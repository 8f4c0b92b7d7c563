//! What is promised of every input, a file a subject: each holds one function that takes any bytes and
//! panics where a promise is broken. Called by the targets of libFuzzer and by `tests/fuzz`.
//!
//! Refuses to reach into the program: its public doors only.

pub mod answers;
pub mod configuration;
pub mod connection;
pub mod jobs;
pub mod policy;
pub mod rows;
pub mod trust;
pub mod wheel;
