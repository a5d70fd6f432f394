//! `[cluster]`: the key that nodes of one database share.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;
use tollgate_keys::Keyring;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place};

use super::environment;
use crate::cmd::keygen;

/// Where the cluster key is.
#[derive(Debug, Default)]
pub struct ClusterConfig {
    key_file: Option<PathBuf>,
}

#[derive(Default)]
pub(super) struct ClusterTable {
    key_file: Option<PathBuf>,
}

impl ClusterTable {
    pub(super) fn complete(self, folder: &Path) -> ClusterConfig {
        ClusterConfig { key_file: self.key_file.map(|file| folder.join(file)) }
    }
}

impl Decode for ClusterTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ClusterTable> {
        let mut fields = Fields::open(value, place, problems);
        let key_file = fields.maybe("key_file");
        fields.finish()?;
        Some(ClusterTable { key_file })
    }
}

impl ClusterConfig {
    /// Of the environment, else of the file. A database of this node's own has one in `data`, which is made where it
    /// is missing; one that is shared must be given its cluster's.
    pub fn keyring(&self, data: &Path, is_shared: bool) -> anyhow::Result<Keyring> {
        if let Some(text) = environment(VARIABLE) {
            return Keyring::parse(&text).with_context(|| format!("the variable {VARIABLE} has no cluster key"));
        }
        match &self.key_file {
            Some(file) => read(file),
            None if is_shared => bail!(
                "there is no cluster key: run `tollgate keygen --file cluster.key`, give the file to every node of the \
                 cluster, and name it as key_file under [cluster], or put its text into the variable {VARIABLE}"
            ),
            None => {
                let file = data.join("cluster.key");
                if !file.exists() {
                    keygen::write(&file)?;
                    tracing::info!(file = %file.display(), "made a cluster key; without it the database's secrets are lost");
                }
                read(&file)
            }
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Keyring> {
    let shown = file.display();
    let about = fs::metadata(file).with_context(|| format!("the cluster key {shown} can't be read"))?;
    if about.permissions().mode() & 0o077 != 0 {
        bail!("others may read the cluster key {shown}; run: chmod 600 {shown}");
    }
    let text = fs::read_to_string(file).with_context(|| format!("the cluster key {shown} can't be read"))?;
    Keyring::parse(&text).with_context(|| format!("{shown} has no cluster key"))
}

const VARIABLE: &str = "TOLLGATE_CLUSTER_KEY";
