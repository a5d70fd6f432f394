#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_plugin_file_log::fuzzing::file_log(data));
