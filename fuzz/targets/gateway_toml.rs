#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_store::fuzzing::gateway_toml(data));
