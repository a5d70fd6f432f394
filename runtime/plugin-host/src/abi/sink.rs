use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use wasmtime::{AsContextMut, Caller, bail};

use super::{Interface, memory, reply};
use crate::guest::Guest;
use crate::plugin::PluginUse;
use crate::ports::sink::Target;

pub(super) fn add(sink: &mut Interface<'_>) -> wasmtime::Result<()> {
    sink.waiting("open", |mut caller: Caller<'_, Guest>, (start, length, result): (u32, u32, u32)| {
        Box::new(async move {
            let (memory, guest) = memory::of(&mut caller)?;
            let target = memory::text(memory, start, length)?.to_owned();
            let opened = open(guest, &target).await?;
            // Ticks that passed while the guest waited are not its own.
            caller.as_context_mut().set_epoch_deadline(1);
            let (memory, guest) = memory::of(&mut caller)?;
            reply::result(guest, memory, opened, result)
        })
    })?;
    sink.function("write", write)
}

fn write(mut caller: Caller<'_, Guest>, sink: u32, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let owner = guest.plugin()?.id();
    match guest.sinks.find(owner, sink) {
        Some(sink) => Ok(sink.write(memory::bytes(memory, start, length)?.to_vec()).into()),
        None => bail!("sink {sink} was not opened by this use of the plugin"),
    }
}

/// Waits for the disk only where nobody has the target open: a use keeps open what it opened when it
/// was tried.
async fn open(guest: &mut Guest, target: &str) -> wasmtime::Result<Result<u32, String>> {
    let plugin = guest.configuring()?.clone();
    if guest.sinks.count(plugin.id()) >= SINKS {
        return Ok(Err(format!("a plugin may open {SINKS} sinks")));
    }
    let resolved = match resolve(&plugin, &guest.services.data, target) {
        Ok(resolved) => resolved,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let services = Arc::clone(&guest.services);
    Ok(match services.sinks.open(resolved).await {
        Ok(sink) => Ok(guest.sinks.add(plugin.id(), sink)),
        Err(error) => Err(format!("{target} can't be opened: {error}")),
    })
}

/// What the operator granted, as an absolute target.
fn resolve(plugin: &PluginUse, data: &Path, target: &str) -> Result<Target, String> {
    if target == "stdout:" {
        return match plugin.grants().standard_output {
            true => Ok(Target::StandardOutput),
            false => Err("standard output is not granted: set grants.standard_output = true for this plugin".into()),
        };
    }
    let Some(path) = target.strip_prefix("file:").filter(|path| !path.is_empty()) else {
        return Err(format!("`{target}` is no target; write `file:PATH` or `stdout:`"));
    };
    let granted = plugin.grants().files.iter().any(|granted| granted == Path::new(path));
    if !granted {
        return Err(format!("the file is not granted: add \"{path}\" to this plugin's grants.files"));
    }
    let path = PathBuf::from(path);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("`{}` leads out of its folder", path.display()));
    }
    Ok(Target::File(data.join(path)))
}

const SINKS: usize = 16;
