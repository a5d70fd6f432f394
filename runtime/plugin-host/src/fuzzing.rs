//! What the fuzzer throws at this crate's parsers, and what must hold whatever it throws. Exists only in builds
//! of `cargo xtask fuzz` and in tests, which run it over the seeds in `fuzz/seeds`.

use crate::masking::Masked;
use crate::module::cache::{opened, sealed};
use crate::module::form::to_core;

/// A file among the modules becomes one that can be run, or is refused with a reason.
pub fn module(data: &[u8]) {
    match to_core(data) {
        Ok(core) => assert!(wasmparser::validate(&core).is_ok()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Compiled code is taken from a file only if it is as it was written: not with any byte changed, nor cut short.
///
/// The first two bytes choose the place, the third the change.
pub fn code_cache(data: &[u8]) {
    assert!(opened(data).is_none_or(|code| sealed(code) == data));
    let [high, low, change, code @ ..] = data else { return };
    let mut file = sealed(code);
    assert_eq!(opened(&file), Some(code));
    let place = usize::from(u16::from_be_bytes([*high, *low])) % file.len();
    assert_eq!(opened(&file[..place]), None);
    file[place] ^= change;
    assert_eq!(opened(&file).is_some(), *change == 0);
}

/// No value of a masked parameter is written down, whatever way it is written; all others are.
///
/// The name, a line end, the target.
pub fn masking(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((name, target)) = text.split_once('\n') else { return };
    let query = target.split_once('?').map(|(_, query)| query);
    let mut masked = Masked::default();
    masked.add(name, query);
    let shown = masked.apply(target, &[]);
    let pairs = |target: &str| -> Vec<(String, String)> {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    };
    let (before, after) = (pairs(target), pairs(&shown));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        let expected = if before.0 == name { "***" } else { &before.1 };
        assert_eq!((&before.0, expected), (&after.0, &*after.1));
    }
}

#[cfg(test)]
mod tests {
    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn the_seeds_hold() {
        let targets: [Target; 3] =
            [("code_cache", super::code_cache), ("masking", super::masking), ("module", super::module)];
        for (target, check) in targets {
            let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
            for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
