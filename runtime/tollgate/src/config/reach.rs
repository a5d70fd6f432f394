//! Where a node is found by those who are not it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tollgate_store::Document;

use super::{ABSENT, AdminTable, NodeTable, environment};
use crate::cmd::{Failure, Invalid};

/// What the command line has to know of a node's file. The rest is not looked at: it may be right for the node's user
/// and its environment only.
#[derive(Debug)]
pub struct Reach {
    pub admin: SocketAddr,
    /// The folder need not be there.
    pub data: PathBuf,
}

impl Reach {
    pub fn read(path: &Path) -> anyhow::Result<Reach> {
        let mut document = Document::open(path, ABSENT).map_err(Invalid)?;
        document.expand(environment);
        let stated = |pointer: &str| document.tree().pointer(pointer).and_then(Value::as_str);
        let admin = match stated("/admin/listen") {
            Some(text) => text
                .parse()
                .map_err(|_| Failure::usage(format!("`admin.listen` in {} is no address and port", path.display())))?,
            None => AdminTable::default().listen,
        };
        let data = stated("/node/data").map_or_else(|| NodeTable::default().data, PathBuf::from);
        Ok(Reach { admin, data: path.parent().unwrap_or(Path::new(".")).join(data) })
    }
}
