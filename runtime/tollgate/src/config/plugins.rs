use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime};
use tollgate_model::problem::Complaint;
use tollgate_model::units::ByteSize;
use tollgate_plugin_host::{HookLimits, HostConfig};

/// `[plugins]`: what is left out keeps the host's default.
#[derive(Default)]
pub(super) struct PluginsTable {
    folder: Option<PathBuf>,
    cpu: Option<Duration>,
    wall: Option<Duration>,
    memory: Option<u64>,
    instances_per_worker: Option<u64>,
    instances: Option<u64>,
    instance_wait: Option<Duration>,
    module_size: Option<u64>,
    compile_time: Option<Duration>,
}

impl PluginsTable {
    pub(super) fn complete(self, base: &Path, data: PathBuf) -> HostConfig {
        let folder = base.join(self.folder.unwrap_or_else(|| "plugins".into()));
        let defaults = HostConfig::new(folder, data);
        HostConfig {
            hook: HookLimits {
                cpu: self.cpu.unwrap_or(defaults.hook.cpu),
                wall: self.wall.unwrap_or(defaults.hook.wall),
            },
            memory: self.memory.map_or(defaults.memory, |bytes| bytes as usize),
            instances_per_worker: self.instances_per_worker.map_or(defaults.instances_per_worker, |n| n as usize),
            instances: self.instances.map_or(defaults.instances, |n| n as u32),
            instance_wait: self.instance_wait.unwrap_or(defaults.instance_wait),
            module_size: self.module_size.unwrap_or(defaults.module_size),
            compile_time: self.compile_time.unwrap_or(defaults.compile_time),
            ..defaults
        }
    }
}

impl Decode for PluginsTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<PluginsTable> {
        let mut fields = Fields::open(value, place, problems);
        let mut time = |key| fields.maybe::<PositiveTime>(key).map(|time| time.0);
        let (cpu, wall) = (time("cpu"), time("wall"));
        let (instance_wait, compile_time) = (time("instance_wait"), time("compile_time"));
        let memory = fields.maybe::<ByteSize>("memory").map(|size| size.0);
        if memory.is_some_and(|bytes| !(1 << 20..=1 << 30).contains(&bytes)) {
            fields.refuse(
                "memory",
                Complaint::new("an instance's memory is between 1MiB and 1GiB", "the default is 16MiB"),
            );
        }
        let instances = fields.maybe::<u64>("instances");
        if instances.is_some_and(|n| !(1..=16_000).contains(&n)) {
            fields.refuse("instances", Complaint::new("instances are between 1 and 16000", "the default is 8192"));
        }
        let instances_per_worker = fields.maybe::<u64>("instances_per_worker");
        if instances_per_worker == Some(0) {
            let hint = "the default is 2048";
            fields.refuse("instances_per_worker", Complaint::new("with no instance no plugin can run", hint));
        }
        let table = PluginsTable {
            folder: fields.maybe("folder"),
            module_size: fields.maybe::<ByteSize>("module_size").map(|size| size.0),
            cpu,
            wall,
            memory,
            instances_per_worker,
            instances,
            instance_wait,
            compile_time,
        };
        fields.finish()?;
        Some(table)
    }
}
