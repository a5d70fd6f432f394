//! The read-only store: one TOML file, `gateway.toml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_model::{ConfigSet, Problems};

use crate::{ConfigReport, Document};

/// A configuration in a file. Reading is all it does; follow the file with
/// [`Watch`](crate::watch::Watch).
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    pub set: Arc<ConfigSet>,
    /// BLAKE3 of the file's bytes: which state this is.
    pub digest: [u8; 32],
    /// For reporting what turns out wrong later, where it stands in the file.
    pub document: Document,
}

/// A configuration that is refused.
#[derive(Debug)]
pub struct Draft {
    problems: Problems,
    /// The plugins that are right by themselves.
    pub plugins: ConfigSet,
    pub document: Document,
}

impl Draft {
    /// All that is wrong with it: what was found, and `more`.
    pub fn report(mut self, more: Problems) -> ConfigReport {
        more.0.into_iter().for_each(|problem| self.problems.add(problem));
        self.document.report(&self.problems)
    }
}

impl FileStore {
    /// The file need not be there yet: [`FileStore::read`] tells.
    pub fn open(path: impl Into<PathBuf>) -> FileStore {
        FileStore { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file (blocking), expands `${env:NAME}` with `env` and checks it. Entities that
    /// are equal in `previous` are taken from there.
    ///
    /// An empty file is refused: editors empty a file before they write it, and that moment must not
    /// take every route away.
    pub fn read(
        &self,
        previous: Option<&ConfigSet>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Loaded, ConfigReport> {
        let mut document = Document::open(&self.path, ABSENT)?;
        if document.text().trim().is_empty() {
            let hint = "write routes = [] for a gateway that serves nothing";
            return Err(ConfigReport::whole_file(&self.path, "the file is empty".to_owned(), Some(hint)));
        }
        let digest = *blake3::hash(document.text().as_bytes()).as_bytes();
        document.expand(env);
        let set = document.read(|tree| ConfigSet::assemble(tree, previous))?;
        Ok(Loaded { set: Arc::new(set), digest, document })
    }

    /// What there is in a file that [`FileStore::read`] refuses, so that what it can't see of the problems is looked
    /// for as well (blocking). `None` of a file that can't be parsed, or is not refused.
    pub fn draft(&self, env: impl Fn(&str) -> Option<String>) -> Option<Draft> {
        let mut document = Document::open(&self.path, ABSENT).ok()?;
        document.expand(env);
        let problems = match ConfigSet::assemble(document.tree(), None) {
            Err(problems) => problems,
            Ok(_) if document.is_sound() => return None,
            Ok(_) => Problems::default(),
        };
        Some(Draft { problems, plugins: ConfigSet::plugins_alone(document.tree()), document })
    }
}

const ABSENT: &str = "`store.url` in the node's file (tollgate.toml) names it, and is \"file:gateway.toml\" unless it is \
                      written; begin with a copy of examples/quickstart/gateway.toml, or with the line routes = [] for \
                      a gateway that serves nothing";

#[cfg(test)]
mod tests;
