//! libFuzzer's door to [`ephemerald_fuzz::connection`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::connection::connection(data));
