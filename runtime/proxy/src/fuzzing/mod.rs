//! What the fuzzer throws at this crate's parsers, and what must hold whatever it throws.
//!
//! Exists only in builds of `cargo xtask fuzz` (which sets `cfg(fuzzing)`) and in tests: the checks then run
//! over the seeds in `fuzz/seeds`, so that they compile and hold every day.

mod certificate;
mod fields;
mod http1;
mod intake;
mod path;
mod preface;

pub use certificate::certificate;
pub use fields::fields;
pub use http1::http1;
pub use intake::intake;
pub use path::path;
pub use preface::preface;

pub use crate::http2::fuzzing::http2_frames;
pub use crate::upstream::http1::fuzzing::http1_response;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Lines `name: value`, as far as they are fields.
fn header_fields<'t>(lines: impl Iterator<Item = &'t [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn the_seeds_hold() {
        let targets: [Target; 8] = [
            ("certificate", super::certificate),
            ("fields", super::fields),
            ("http1", super::http1),
            ("http1_response", super::http1_response),
            ("http2_frames", super::http2_frames),
            ("intake", super::intake),
            ("path", super::path),
            ("preface", super::preface),
        ];
        for (target, check) in targets {
            let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
            for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
