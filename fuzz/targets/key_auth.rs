#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_plugin_key_auth::fuzzing::key_auth(data));
