//! libFuzzer's door to [`ephemerald_fuzz::configuration`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::configuration::configuration(data));
