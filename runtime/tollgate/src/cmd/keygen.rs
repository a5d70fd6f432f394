use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use tollgate_keys::Keyring;

use crate::cli::KeygenArgs;

#[allow(clippy::print_stdout, reason = "the verb's output")]
pub fn run(args: &KeygenArgs) -> anyhow::Result<()> {
    match &args.file {
        None => println!("{}", Keyring::generate().expose_secret()),
        Some(file) if args.add => add(file)?,
        Some(file) => write(file)?,
    }
    Ok(())
}

/// A new file with a new key.
pub fn write(file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        bail!("{} is there already; --add puts a key in front of those that it has", file.display());
    }
    put(file, &format!("{}\n", Keyring::generate().expose_secret()))
}

fn add(file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    Keyring::parse(&text).with_context(|| format!("{} has no cluster key", file.display()))?;
    put(file, &format!("{}\n{text}", Keyring::generate().expose_secret()))
}

/// Whole or not at all, and nobody else's to read.
fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    let aside = file.with_added_extension("new");
    let written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut new| new.write_all(text.as_bytes()).and_then(|()| new.sync_all()))
        .and_then(|()| fs::rename(&aside, file));
    written.with_context(|| format!("{} can't be written", file.display()))
}
