//! libFuzzer's door to [`ephemerald_fuzz::rows`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::rows::rows(data));
