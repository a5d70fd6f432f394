use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::prelude::*;

use crate::line::{Field, Layout};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file to append to; a relative path starts at the node's data folder.
    pub path: String,
    /// Constant members of every line.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
    /// Fields to leave out.
    #[serde(default)]
    pub exclude: Vec<Field>,
}

impl Settings {
    pub fn layout(&self) -> Result<Layout, Problems> {
        let mut problems = Problems::new();
        if self.path.is_empty() {
            problems.add("path", "name the file");
        }
        let taken = |name: &str| Field::ALL.iter().any(|field| field.name() == name);
        for name in self.extra.keys().filter(|name| taken(name)) {
            problems.add(format!("extra.{name}"), "this member is the plugin's own");
        }
        problems.into_result()?;
        Ok(Layout::new(&self.exclude, &self.extra))
    }
}
