//! What the fuzzer throws at the loader of files, and what must hold whatever it throws. Exists only in builds
//! of `cargo xtask fuzz` and in tests, which run it over the seeds in `fuzz/seeds`.

use std::path::Path;
use std::sync::Arc;

use tollgate_model::{ConfigSet, Router};

use crate::{ConfigReport, Document};

/// `gateway.toml` is a whole set, the same when it is read beside itself; or a report in which every finding has a
/// place and no secret shows.
pub fn gateway_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document = match Document::parse(Path::new("gateway.toml"), text.to_owned()) {
        Ok(document) => document,
        Err(report) => return check(&report, text),
    };
    let mut document = document;
    document.expand(|_| Some(SECRET.to_owned()));
    let set = match document.read(|tree| ConfigSet::assemble(tree, None)) {
        Ok(set) => set,
        Err(report) => return check(&report, text),
    };
    let again = ConfigSet::assemble(document.tree(), Some(&set)).expect("what is valid stays so");
    for (name, route) in &set.routes {
        assert!(Arc::ptr_eq(route, &again.routes[name]), "what did not change is the same");
    }
    drop(Router::build(set.routes.values().map(|route| (Arc::clone(route), ()))));
}

fn check(report: &ConfigReport, text: &str) {
    assert!(!report.findings().is_empty());
    let lines = text.lines().count().max(1);
    for finding in report.findings() {
        assert!((1..=lines + 1).contains(&finding.line) && finding.column > 0, "{finding:?} has no place");
        assert!(!finding.message.is_empty());
    }
    assert!(report.summary().contains(':'));
    let shown = report.render_plain();
    assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
}

/// What every variable of the environment holds. Names are limited to letters, digits and `_`, so that no text
/// quotes it by chance.
const SECRET: &str = "canary-7f3a.c2";

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_hold() {
        let folder = format!("{}/../../fuzz/seeds/gateway_toml", env!("CARGO_MANIFEST_DIR"));
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            super::gateway_toml(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
