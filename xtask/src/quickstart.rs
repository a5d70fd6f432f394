//! The copy of `examples/quickstart` that `run` serves: it is the user's to edit, while the example stays as it is
//! under version control and as the tests expect it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// Where the example expects the demo service.
pub const UPSTREAM_PORT: u16 = 9000;

/// How the node runs, and what it serves.
const NODE: &str = "tollgate.toml";
const ENTITIES: &str = "gateway.toml";

/// The copy, as it lies there now.
pub struct Quickstart {
    example: PathBuf,
    folder: PathBuf,
    root: PathBuf,
    /// Names of the files that the user has edited.
    edited: Vec<&'static str>,
    /// The demo service's port, if no file of the copy names it.
    unnamed_port: Option<u16>,
}

impl Quickstart {
    /// Lays out how the node runs. Copies what is missing, and refreshes what is as it was copied; what was edited
    /// since is kept.
    pub fn lay_out_node(workspace: &Workspace) -> Result<Self> {
        let mut quickstart = Quickstart {
            example: workspace.root.join("examples/quickstart"),
            folder: workspace.target.join("quickstart"),
            root: workspace.root.clone(),
            edited: Vec::new(),
            unnamed_port: None,
        };
        quickstart.lay_out(NODE, UPSTREAM_PORT)?;
        Ok(quickstart)
    }

    /// Lays out what the node serves, with the demo service on this port. A gateway that runs already follows the file:
    /// to be called once it is known that there is none.
    pub fn lay_out_entities(&mut self, upstream: u16) -> Result<()> {
        self.lay_out(ENTITIES, upstream)?;
        let text = read(&self.folder.join(ENTITIES))?.unwrap_or_default();
        self.unnamed_port = (!text.contains(&format!(":{upstream}"))).then_some(upstream);
        Ok(())
    }

    fn lay_out(&mut self, name: &'static str, upstream: u16) -> Result<()> {
        let (from, to) = (self.example.join(name), self.folder.join(name));
        let copied = copy(&self.example, &self.folder, name, upstream)
            .with_context(|| format!("cannot copy {} to {}: may you write there?", from.display(), to.display()))?;
        if !copied {
            self.edited.push(name);
        }
        Ok(())
    }

    /// For tests, which want its names only.
    #[cfg(test)]
    pub fn unedited(root: &Path) -> Self {
        Quickstart {
            example: root.join("examples/quickstart"),
            folder: root.join("target/quickstart"),
            root: root.to_owned(),
            edited: Vec::new(),
            unnamed_port: None,
        }
    }

    pub fn node_file(&self) -> PathBuf {
        self.folder.join(NODE)
    }

    /// A file of the copy as one would name it at the root, usually `target/quickstart/<name>`.
    pub fn shown(&self, name: &str) -> String {
        let file = self.folder.join(name);
        file.strip_prefix(&self.root).unwrap_or(&file).display().to_string()
    }

    /// A line for every edited file, and one if it does not lead to the demo service; none for a copy as it was.
    pub fn notice(&self) -> String {
        let edited = |name: &&str| format!("serving your {}; delete it for the example as it was\n", self.shown(name));
        let unnamed = |port: u16| {
            format!("the demo service is on port {port}, which your {} does not name\n", self.shown(ENTITIES))
        };
        self.edited.iter().map(edited).chain(self.unnamed_port.map(unnamed)).collect()
    }
}

/// Whether the file of the folder is a copy of the example's now, and not an edited one.
fn copy(example: &Path, folder: &Path, name: &str, upstream: u16) -> Result<bool> {
    fs::create_dir_all(folder)?;
    let text = relocated(&fs::read_to_string(example.join(name))?, upstream);
    bring_up_to_date(folder, name, &text)
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

/// The same places, told from the copy, wherever cargo's target folder is; and the demo service where it listens.
fn relocated(text: &str, upstream: u16) -> String {
    text.replace("\"../../target/", "\"../").replace(&url(UPSTREAM_PORT), &url(upstream))
}

/// Of the demo service, as it stands in the file.
fn url(port: u16) -> String {
    format!("\"http://127.0.0.1:{port}\"")
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
            for name in ["a.toml", "b.toml"] {
                fs::write(example.join(name), text).unwrap();
            }
        };
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let copied = || ["a.toml", "b.toml"].map(|name| copy(&example, &folder, name, UPSTREAM_PORT).unwrap());

        write("one");
        assert_eq!(copied(), [true, true]);
        assert_eq!(read("a.toml"), "one");

        fs::write(folder.join("b.toml"), "mine").unwrap();
        write("two");
        assert_eq!(copied(), [true, false]);
        assert_eq!((read("a.toml"), read("b.toml")), ("two".to_owned(), "mine".to_owned()));

        fs::remove_file(folder.join("b.toml")).unwrap();
        assert_eq!(copied(), [true, true]);
        assert_eq!(read("b.toml"), "two");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn the_copy_finds_plugins_data_and_the_service() {
        let node = relocated(include_str!("../../examples/quickstart/tollgate.toml"), UPSTREAM_PORT);
        assert!(node.contains("folder = \"../plugins\"") && node.contains("data = \"../quickstart\""), "{node}");
        let entities = include_str!("../../examples/quickstart/gateway.toml");
        assert_eq!(relocated(entities, UPSTREAM_PORT), entities);
        assert!(relocated(entities, 9100).contains("url = \"http://127.0.0.1:9100\""), "the example's service moved");
    }

    #[test]
    fn an_edited_file_is_named_with_the_way_back() {
        let mut quickstart = Quickstart::unedited(Path::new("/w"));
        assert_eq!(quickstart.notice(), "");
        quickstart.edited.push(ENTITIES);
        quickstart.unnamed_port = Some(9100);
        let notice = quickstart.notice();
        assert!(notice.contains("your target/quickstart/gateway.toml; delete it"), "{notice}");
        assert!(notice.contains("port 9100, which your target/quickstart/gateway.toml does not name"), "{notice}");
    }
}
