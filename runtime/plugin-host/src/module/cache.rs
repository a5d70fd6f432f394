//! Compiled code on disk, by digest of the module and of the engine that made it.
//!
//! Compiled code is native code: taking it from somebody else would be running theirs. Only files
//! that this user owns, in a folder that this user owns and nobody else can write, are read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use wasmtime::{Engine, Module};

/// The folder, and which engine it is for.
#[derive(Clone, Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    engine: u64,
}

impl CodeCache {
    pub(crate) fn new(folder: &Path, engine: &Engine) -> CodeCache {
        CodeCache { folder: folder.to_owned(), engine: fingerprint(engine) }
    }

    /// The compiled module, when the cache has it and can be trusted.
    pub(crate) fn load(&self, engine: &Engine, digest: &blake3::Hash) -> Option<Module> {
        let path = self.path(digest);
        if !ours(&self.folder).ok()? || !ours(&path).ok()? {
            return None;
        }
        let file = fs::read(&path).ok()?;
        let module = match opened(&file) {
            #[allow(unsafe_code)]
            // SAFETY: the file was written by `store` below for this very engine version and settings
            // (both are in its name, wasmtime checks them again), nobody but this user could have
            // written it since, and it is whole.
            Some(code) => unsafe { Module::deserialize(engine, code) },
            None => Err(wasmtime::Error::msg("the file is not as it was written")),
        };
        match module {
            Ok(module) => Some(module),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %format!("{error:#}"), "compiled code can't be used, compiling anew");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps compiled code for the next start. A failure costs time, nothing else.
    pub(crate) fn store(&self, digest: &blake3::Hash, module: &Module) {
        if let Err(error) = self.try_store(digest, module) {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled code can't be kept, the next start compiles again");
        }
    }

    fn try_store(&self, digest: &blake3::Hash, module: &Module) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if !ours(&self.folder)? {
            return Err(io::Error::other("the folder can be written by others; chmod 700 it"));
        }
        let code = module.serialize().map_err(|error| io::Error::other(format!("{error:#}")))?;
        let path = self.path(digest);
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&sealed(&code))?;
        drop(file);
        fs::rename(&partial, &path)?;
        self.prune()
    }

    /// Keeps the newest files only.
    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if let Ok(about) = entry.metadata()
                && about.is_file()
            {
                files.push((about.modified()?, entry.path()));
            }
        }
        files.sort_unstable();
        let surplus = files.len().saturating_sub(KEPT);
        for (_, path) in files.into_iter().take(surplus) {
            match fs::remove_file(path) {
                // Another process of this node, in an upgrade, was quicker.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, digest: &blake3::Hash) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.cwasm", digest.to_hex(), self.engine))
    }
}

/// Code as it lies on disk, with its digest in front: a file that a crash cut short or a disk garbled would be run
/// as native code.
pub(crate) fn sealed(code: &[u8]) -> Vec<u8> {
    let mut file = blake3::hash(code).as_bytes().to_vec();
    file.extend_from_slice(code);
    file
}

/// The code of a file that is as it was written.
pub(crate) fn opened(file: &[u8]) -> Option<&[u8]> {
    let (digest, code) = file.split_first_chunk::<{ blake3::OUT_LEN }>()?;
    (blake3::hash(code) == *digest).then_some(code)
}

fn ours(path: &Path) -> io::Result<bool> {
    let about = fs::symlink_metadata(path)?;
    let writable_by_others = about.mode() & 0o022 != 0;
    Ok(about.uid() == rustix::process::geteuid().as_raw() && !writable_by_others && !about.is_symlink())
}

/// Of the engine's version, target and settings, and of what is made of a module before it is compiled.
fn fingerprint(engine: &Engine) -> u64 {
    struct Fold(blake3::Hasher);
    impl Hasher for Fold {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let hash = self.0.finalize();
            u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
        }
    }
    let mut fold = Fold(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut fold);
    FORM.hash(&mut fold);
    fold.finish()
}

/// To be counted up when `form` checks files otherwise, or makes something else of them.
const FORM: u32 = 1;
/// Compiled modules kept on disk.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_changed_on_disk_is_not_run() {
        let file = sealed(b"native code");
        assert_eq!(opened(&file), Some(&b"native code"[..]));
        for place in 0..file.len() {
            let mut flipped = file.clone();
            flipped[place] ^= 1;
            assert_eq!(opened(&flipped), None, "a flip at {place}");
            assert_eq!(opened(&file[..place]), None, "cut at {place}");
        }
    }
}
