//! Plugin modules, built beforehand.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An official plugin, or an example's: `target/plugins/<name>.wasm`.
pub fn plugin(name: &str) -> PathBuf {
    built("plugins", name)
}

/// A guest that only tests know: `target/guests/<name>.wasm`.
pub fn guest(name: &str) -> PathBuf {
    built("guests", name)
}

/// The marker guest with this number in its bytes: it answers `x-marker: GENERATION-000042` for 42.
pub fn marked(generation: u32) -> Vec<u8> {
    static PLAIN: OnceLock<(Vec<u8>, usize)> = OnceLock::new();
    let (plain, at) = PLAIN.get_or_init(|| {
        let path = guest("marker");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let at = place_of(&bytes, marker(0).as_bytes(), &path);
        (bytes, at)
    });
    let mut bytes = plain.clone();
    let marker = marker(generation);
    bytes[*at..*at + marker.len()].copy_from_slice(marker.as_bytes());
    bytes
}

/// What [`marked`] answers with.
pub fn marker(generation: u32) -> String {
    format!("GENERATION-{generation:06}")
}

fn place_of(bytes: &[u8], marker: &[u8], path: &Path) -> usize {
    let mut places = bytes.windows(marker.len()).enumerate().filter(|(_, window)| *window == marker);
    match (places.next(), places.next()) {
        (Some((at, _)), None) => at,
        _ => panic!("{}: the marker does not stand there exactly once", path.display()),
    }
}

fn built(folder: &str, name: &str) -> PathBuf {
    let path = target_folder().join(folder).join(name).with_added_extension("wasm");
    assert!(path.is_file(), "{} is missing: run `cargo xtask build-plugins`", path.display());
    path
}

/// A program of others that `cargo xtask prove` installs: `target/peers/<path>`.
pub fn peer(path: &str) -> PathBuf {
    let path = target_folder().join("peers").join(path);
    assert!(path.is_file(), "{} is missing: `cargo xtask prove` installs it", path.display());
    path
}

/// The gateway of this build.
pub(crate) fn gateway_binary() -> PathBuf {
    let path = profile_folder().join("tollgate");
    assert!(path.is_file(), "{} is missing: run `cargo build -p tollgate`", path.display());
    path
}

/// `target/debug`: the tests stand in its `deps`.
fn profile_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("a running test has a path");
    exe.ancestors().nth(2).expect("tests stand in target/<profile>/deps").to_owned()
}

fn target_folder() -> PathBuf {
    profile_folder().parent().expect("profiles stand in target").to_owned()
}
