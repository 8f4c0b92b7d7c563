//! libFuzzer's door to [`ephemerald_fuzz::jobs`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::jobs::jobs(data));
