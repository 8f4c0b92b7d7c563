//! libFuzzer's door to [`ephemerald_fuzz::answers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ephemerald_fuzz::answers::answers(data));
