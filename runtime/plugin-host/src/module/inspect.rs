//! A module looked at before it is taken.

use serde_json::Value;

use super::cache::CodeCache;
use super::compile::Compiled;
use crate::host::Host;

/// What a module says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleAbout {
    /// BLAKE3 of its bytes, in hexadecimal digits.
    pub digest: String,
    pub size: u64,
    pub version: String,
    pub description: String,
    pub hooks: Vec<&'static str>,
    pub capabilities: Vec<&'static str>,
    pub decides_access: bool,
    /// Of a plugin's settings (JSON Schema).
    pub schema: Value,
}

impl Host {
    /// Compiles and describes a module aside, within the limits for modules, with every import trapping.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind "the module".
    pub async fn inspect(&self, bytes: Vec<u8>) -> Result<ModuleAbout, String> {
        let size = bytes.len() as u64;
        if size > self.config.module_size {
            return Err(format!(
                "has {size} bytes, over the limit of {} (`plugins.module_size` of this node)",
                self.config.module_size
            ));
        }
        let digest = blake3::hash(&bytes);
        let cache = CodeCache::new(&self.config.cache, &self.engine);
        let patience = self.config.compile_time;
        let module = match self.library.compiler.module(&self.engine, &cache, digest, bytes, patience).await {
            Compiled::Done(module) => module?,
            Compiled::Late(_) => {
                return Err(format!("is not compiled after {patience:?} (`plugins.compile_time` of this node)"));
            }
        };
        let manifest = self.described(&module).await?;
        Ok(ModuleAbout {
            digest: digest.to_hex().to_string(),
            size,
            version: manifest.version,
            description: manifest.description,
            hooks: manifest.hooks.names(),
            capabilities: manifest.capabilities,
            decides_access: manifest.decides_access,
            schema: manifest.settings_schema,
        })
    }
}
