use std::ffi::OsString;

use crate::cli::RunArgs;
use crate::config::NodeConfig;
use crate::inherited::Inherited;
use crate::node::{self, Beginning};
use crate::upgrade::{Launch, Predecessor};

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let predecessor = args.successor.then(Predecessor::from_standard_input).transpose()?;
    let outcome = begin(args, predecessor.as_ref());
    if let (Some(predecessor), Err(error)) = (&predecessor, &outcome) {
        predecessor.complain(&super::in_plain_text(error));
    }
    outcome
}

fn begin(args: &RunArgs, predecessor: Option<&Predecessor>) -> anyhow::Result<()> {
    keep_memory_small();
    // First of all: nothing that is started later may take these descriptors for its own.
    let inherited = Inherited::from_environment()?;
    let config = NodeConfig::load(&args.config.config)?;
    let _log = config.log.start()?;
    let addresses_file = args.addresses_file.as_deref();
    node::run(config, Beginning { addresses_file, inherited, predecessor, launch: launch(args) })
}

/// The allocator asks for huge pages, and one small value in each keeps 2 MiB: a node at rest took half as much again,
/// an idle connection too. Requests are served as fast without them. A kernel that can't leave them out has more memory
/// taken, no more.
fn keep_memory_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// A successor is started as this process was.
fn launch(args: &RunArgs) -> Launch {
    let mut arguments: Vec<OsString> = vec!["run".into(), "--successor".into(), "--config".into()];
    arguments.push(args.config.config.clone().into());
    if let Some(file) = &args.addresses_file {
        arguments.push("--addresses-file".into());
        arguments.push(file.into());
    }
    Launch(arguments)
}
