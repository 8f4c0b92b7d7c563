//! libFuzzer's door to [`ephemerald_fuzz::trust`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::trust::trust(data));
