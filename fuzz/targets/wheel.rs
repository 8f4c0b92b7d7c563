//! libFuzzer's door to [`ephemerald_fuzz::wheel`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::wheel::wheel(data));
