//! `tidy`: the habits of this codebase that no compiler checks.
//!
//! Each check reads the sources and returns what is wrong, one line a problem, each with its place.

mod arrows;
mod names;
mod paths;
mod sizes;
mod sleeps;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

pub fn run(workspace: &Workspace) -> Result<()> {
    let sources = Source::all(&workspace.root)?;
    let mut problems = arrows::check(&workspace.packages);
    problems.extend(sizes::check(&sources));
    problems.extend(names::check(&sources));
    problems.extend(paths::check(&workspace.root));
    problems.extend(sleeps::check(&sources));
    if problems.is_empty() {
        println!("tidy: {} files, nothing to mend", sources.len());
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    bail!("tidy found {} problems, listed above", problems.len());
}

/// One Rust file of the workspace.
pub struct Source {
    /// Relative to the root.
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    fn all(root: &Path) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if path.is_dir() {
                    // Hidden folders and what cargo builds are not ours.
                    if !name.starts_with('.') && name != "target" {
                        folders.push(path);
                    }
                } else if name.ends_with(".rs") {
                    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                    sources.push(Source { path: path.strip_prefix(root).unwrap_or(&path).to_path_buf(), text });
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }

    #[cfg(test)]
    fn fixture(path: &str, text: impl Into<String>) -> Self {
        Source { path: path.into(), text: text.into() }
    }
}
