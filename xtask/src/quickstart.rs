//! The copy of `examples/quickstart` that `run` serves: it is the user's to edit, while the example stays as it is
//! under version control and as the tests expect it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// The copy, as it lies there now.
pub struct Quickstart {
    folder: PathBuf,
    /// Names of the files that the user has edited.
    edited: Vec<String>,
    root: PathBuf,
}

impl Quickstart {
    /// For tests, which want its names only.
    #[cfg(test)]
    pub fn unedited(root: &Path) -> Self {
        Quickstart { folder: root.join("target/quickstart"), edited: Vec::new(), root: root.to_owned() }
    }

    /// Copies what is missing, and refreshes what is as it was copied; what was edited since is kept.
    pub fn lay_out(workspace: &Workspace) -> Result<Self> {
        let example = workspace.root.join("examples/quickstart");
        let folder = workspace.target.join("quickstart");
        let edited = copy(&example, &folder).with_context(|| {
            format!("cannot copy {} to {}: may you write there?", example.display(), folder.display())
        })?;
        Ok(Quickstart { folder, edited, root: workspace.root.clone() })
    }

    pub fn node_file(&self) -> PathBuf {
        self.folder.join("tollgate.toml")
    }

    /// A file of the copy as one would name it at the root, usually `target/quickstart/<name>`.
    pub fn shown(&self, name: &str) -> String {
        let file = self.folder.join(name);
        file.strip_prefix(&self.root).unwrap_or(&file).display().to_string()
    }

    /// A line for every edited file; none for a copy as it was.
    pub fn notice(&self) -> String {
        let line = |name: &String| format!("serving your {}; delete it for the example as it was\n", self.shown(name));
        self.edited.iter().map(line).collect()
    }
}

/// Returns the names of the files that were edited.
fn copy(example: &Path, folder: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut edited = Vec::new();
    for entry in fs::read_dir(example)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".toml") {
            continue;
        }
        let text = relocated(&fs::read_to_string(example.join(&name))?);
        if !bring_up_to_date(folder, &name, &text)? {
            edited.push(name);
        }
    }
    edited.sort();
    Ok(edited)
}

/// Whether the file is the example's now. What was copied last is remembered beside it: that tells an edited copy
/// from one of an older example.
fn bring_up_to_date(folder: &Path, name: &str, text: &str) -> Result<bool> {
    let (file, remembered) = (folder.join(name), folder.join(format!(".{name}.copied")));
    let there = read(&file)?;
    if there.is_some() && there.as_deref() != Some(text) && there != read(&remembered)? {
        return Ok(false);
    }
    if there.as_deref() != Some(text) {
        fs::write(&file, text)?;
    }
    fs::write(&remembered, text)?;
    Ok(true)
}

fn read(file: &Path) -> Result<Option<String>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The same places, told from the copy, wherever cargo's target folder is.
fn relocated(text: &str) -> String {
    text.replace("\"../../target/", "\"../")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_copy_is_kept_and_another_follows_the_example() {
        let base = std::env::temp_dir().join(format!("tollgate-quickstart-{}", std::process::id()));
        let (example, folder) = (base.join("example"), base.join("target/quickstart"));
        fs::create_dir_all(&example).unwrap();
        let write = |text: &str| {
            for name in ["a.toml", "b.toml", "README.md"] {
                fs::write(example.join(name), text).unwrap();
            }
        };
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();

        write("one");
        assert!(copy(&example, &folder).unwrap().is_empty());
        assert_eq!((read("a.toml"), folder.join("README.md").exists()), ("one".to_owned(), false));

        fs::write(folder.join("b.toml"), "mine").unwrap();
        write("two");
        assert_eq!(copy(&example, &folder).unwrap(), ["b.toml"]);
        assert_eq!((read("a.toml"), read("b.toml")), ("two".to_owned(), "mine".to_owned()));

        fs::remove_file(folder.join("b.toml")).unwrap();
        assert!(copy(&example, &folder).unwrap().is_empty());
        assert_eq!(read("b.toml"), "two");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn the_copy_finds_plugins_and_data_beside_it() {
        let text = relocated(include_str!("../../examples/quickstart/tollgate.toml"));
        assert!(text.contains("folder = \"../plugins\"") && text.contains("data = \"../quickstart\""), "{text}");
    }

    #[test]
    fn an_edited_file_is_named_with_the_way_back() {
        let mut quickstart = Quickstart::unedited(Path::new("/w"));
        assert_eq!(quickstart.notice(), "");
        quickstart.edited.push("gateway.toml".into());
        assert!(quickstart.notice().contains("your target/quickstart/gateway.toml; delete it"));
    }
}
