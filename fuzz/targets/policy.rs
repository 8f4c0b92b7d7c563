//! libFuzzer's door to [`ephemerald_fuzz::policy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::policy::policy(data));
