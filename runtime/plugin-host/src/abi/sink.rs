use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use wasmtime::{Caller, bail};

use super::{Interface, memory, reply, waited};
use crate::guest::Guest;
use crate::plugin::PluginUse;
use crate::ports::sink::Target;

pub(super) fn add(sink: &mut Interface<'_>) -> wasmtime::Result<()> {
    sink.waiting("open", |mut caller: Caller<'_, Guest>, (start, length, result): (u32, u32, u32)| {
        Box::new(async move {
            let (memory, guest) = memory::of(&mut caller)?;
            let Some(target) = memory::text(memory, start, length, TARGET_BYTES)?.map(str::to_owned) else {
                let refusal = format!("a target has at most {TARGET_BYTES} bytes");
                return reply::result(guest, memory, Err(refusal), result);
            };
            let opened = match granted(guest, &target)? {
                Ok(granted) => {
                    let services = Arc::clone(&guest.services);
                    // Waits for the disk only where nobody has the target open: a use keeps open what it opened when
                    // it was tried.
                    let opened = waited(&mut caller, services.sinks.open(granted)).await?;
                    opened.map_err(|error| format!("{target} can't be opened: {error}"))
                }
                Err(refusal) => Err(refusal),
            };
            let (memory, guest) = memory::of(&mut caller)?;
            let owner = guest.configuring()?.id();
            let opened = opened.map(|sink| guest.sinks.add(owner, sink));
            reply::result(guest, memory, opened, result)
        })
    })?;
    sink.function("write", write)
}

fn write(mut caller: Caller<'_, Guest>, sink: u32, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let owner = guest.plugin()?.id();
    match guest.sinks.find(owner, sink) {
        Some(sink) => Ok(sink.write(memory::bytes(memory, start, length)?).into()),
        None => bail!("sink {sink} was not opened by this use of the plugin"),
    }
}

fn granted(guest: &Guest, target: &str) -> wasmtime::Result<Result<Target, String>> {
    let plugin = guest.configuring()?;
    if guest.sinks.count(plugin.id()) >= SINKS {
        return Ok(Err(format!("a plugin may open {SINKS} sinks")));
    }
    Ok(resolve(plugin, &guest.services.data, target))
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
const TARGET_BYTES: usize = 4096;
