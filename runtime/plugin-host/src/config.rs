use std::path::PathBuf;
use std::time::Duration;

/// How plugins are run on this node. Every field is checked by whoever reads the node's file.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Folder watched for `<module>.wasm`.
    pub folder: PathBuf,
    /// Folder for compiled code. Made with mode 0700; code in it that another user could have
    /// written is never used.
    pub cache: PathBuf,
    /// Where relative paths of sinks start.
    pub data: PathBuf,
    pub hook: HookLimits,
    /// Linear memory of one instance, in bytes. Also the most a guest can pass in one call.
    pub memory: usize,
    /// Instances of one module on one worker, busy and idle together.
    pub instances_per_worker: usize,
    /// Instances of all modules on all workers, 16,000 at most: each reserves 4 GiB of address space.
    pub instances: u32,
    /// How long a hook waits for an instance before the request is answered with 503.
    pub instance_wait: Duration,
    /// Idle instances kept per module and worker; what is over is dropped after its hook.
    pub idle_instances: usize,
    /// Largest `.wasm` taken, in bytes.
    pub module_size: u64,
    /// Longest compilation waited for.
    pub compile_time: Duration,
}

/// Limits of one call of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookLimits {
    /// Processor time inside the guest; counted in ticks of 5 ms, so the cut comes between `cpu`
    /// and `cpu` + 5 ms, or 10 ms where it is less than a tick.
    pub cpu: Duration,
    /// From call to return, waits in host calls included.
    pub wall: Duration,
}

impl HostConfig {
    /// Defaults for a node whose files live in `data`.
    pub fn new(folder: PathBuf, data: PathBuf) -> HostConfig {
        HostConfig {
            folder,
            cache: data.join("compiled"),
            data,
            hook: HookLimits { cpu: Duration::from_millis(50), wall: Duration::from_secs(5) },
            memory: 16 << 20,
            instances_per_worker: 2048,
            instances: 8192,
            instance_wait: Duration::from_millis(100),
            idle_instances: 64,
            module_size: 16 << 20,
            compile_time: Duration::from_secs(60),
        }
    }
}
