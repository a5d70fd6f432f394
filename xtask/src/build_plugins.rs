//! `build-plugins`: every plugin crate becomes a module file, swapped in whole and only if it changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::prepare::{self, Consent};
use crate::process;
use crate::toolchain::Toolchain;
use crate::workspace::{Package, Workspace};

/// The verb: gets a compiler if need be, then builds the named modules, or all.
pub fn run(workspace: &Workspace, consent: Consent, out: Option<PathBuf>, names: &[String]) -> Result<()> {
    let packages = named(workspace, names)?;
    let toolchain = prepare::prepare(workspace, consent, &[])?;
    let out = out.unwrap_or_else(|| plugin_folder(workspace));
    build(workspace, &toolchain, &packages, &out)
}

/// The plugins folder of the quickstart.
pub fn plugin_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("plugins")
}

/// Builds these plugins into `out`; those that exist for tests go to target/guests, out of reach of a newcomer's
/// gateway.
pub fn build(workspace: &Workspace, toolchain: &Toolchain, packages: &[&Package], out: &Path) -> Result<()> {
    let mut command = toolchain.cargo_build(workspace)?;
    // Libraries only: a plugin's tests and examples run on the host.
    command.arg("--lib");
    for package in packages {
        command.args(["-p", &package.name]);
    }
    process::run(&mut command)?;
    let guest_folder = workspace.target.join("guests");
    let mut guests = 0;
    for package in packages {
        let library = package.cdylib.as_deref().context("a plugin is a cdylib")?;
        let built = Toolchain::output(workspace).join(format!("{library}.wasm"));
        if package.is_guest() {
            publish(&built, &guest_folder, package.module())?;
            guests += 1;
        } else {
            eprintln!("  {}", publish(&built, out, package.module())?);
        }
    }
    if guests > 0 {
        eprintln!("  and {guests} for tests and benches only, in {}", guest_folder.display());
    }
    Ok(())
}

fn named<'a>(workspace: &'a Workspace, names: &[String]) -> Result<Vec<&'a Package>> {
    if names.is_empty() {
        return Ok(workspace.plugins().collect());
    }
    let shipped = || workspace.plugins().filter(|package| !package.is_guest());
    let known = || shipped().map(Package::module).collect::<Vec<_>>().join(", ");
    let one = |name: &String| {
        let found = workspace.plugins().find(|package| package.module() == name || package.name == *name);
        found.with_context(|| format!("no plugin is called `{name}`; there are {}", known()))
    };
    names.iter().map(one).collect()
}

/// Puts a built module into a folder that a gateway may be watching: whole or not at all, and untouched if equal.
/// Returns what to tell of it.
fn publish(built: &Path, folder: &Path, module: &str) -> Result<String> {
    let bytes = fs::read(built).with_context(|| format!("cargo left no module at {}", built.display()))?;
    if bytes.is_empty() {
        bail!("cargo left an empty module at {}", built.display());
    }
    let file = folder.join(format!("{module}.wasm"));
    let size = bytes.len().div_ceil(1024);
    if fs::read(&file).is_ok_and(|old| old == bytes) {
        return Ok(format!("{} ({size} KiB, unchanged)", file.display()));
    }
    let fresh = folder.join(format!(".{module}.new"));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&fresh, &bytes))
        .and_then(|()| fs::rename(&fresh, &file))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(format!("{} ({size} KiB)", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_replaced_only_when_its_bytes_differ() {
        let folder = std::env::temp_dir().join(format!("tollgate-publish-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let built = folder.join("built");
        let file = folder.join("out/gate.wasm");
        let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&file).unwrap());

        fs::write(&built, b"one").unwrap();
        publish(&built, &folder.join("out"), "gate").unwrap();
        let first = inode();
        publish(&built, &folder.join("out"), "gate").unwrap();
        assert_eq!(inode(), first, "equal bytes: not touched");

        fs::write(&built, b"two").unwrap();
        publish(&built, &folder.join("out"), "gate").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_ne!(inode(), first, "new bytes: a new file under the old name");
        assert_eq!(fs::read_dir(folder.join("out")).unwrap().count(), 1, "nothing half-written stays behind");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let workspace = Workspace::load().unwrap();
        let error = named(&workspace, &["no-such".into()]).unwrap_err().to_string();
        assert!(error.contains("no-such") && error.contains("key-auth") && !error.contains("hostile"), "{error}");
        assert_eq!(named(&workspace, &["hostile".into()]).unwrap()[0].module(), "hostile");
        assert_eq!(named(&workspace, &["key-auth".into()]).unwrap()[0].name, "tollgate-plugin-key-auth");
    }
}
