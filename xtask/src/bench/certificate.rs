//! A certificate for 127.0.0.1 that lasts as long as the bench.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process;

/// Writes `certificate.pem` and `key.pem`: ECDSA on P-256, as most sites have.
pub fn write(folder: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("certificate.pem"));
    process::output(&mut openssl).map(drop)
}
