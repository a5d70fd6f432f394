use crate::cli::RunArgs;
use crate::config::NodeConfig;
use crate::node;

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = NodeConfig::load(&args.config.config)?;
    let _log = config.log.start()?;
    node::run(config, args.addresses_file.as_deref())
}
