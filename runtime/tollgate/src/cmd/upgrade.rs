use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::cli::UpgradeArgs;
use crate::config::NodeConfig;
use crate::upgrade::{Answer, Request, ask};

/// Asks the running node to be replaced, and says who serves now.
#[allow(clippy::print_stdout, reason = "the verb's output")]
pub fn run(args: &UpgradeArgs) -> anyhow::Result<()> {
    let data = NodeConfig::load(&args.config.config)?.data;
    let request = Request { binary: binary(args)?, timeout: args.timeout, allow_degraded: args.allow_degraded };
    match ask(&data, &request)? {
        Answer::Replaced(id) => println!("process {id} serves now; the one before it ends once its requests have"),
        Answer::Kept(reason) => bail!("the node was not replaced, it serves as before: {reason}"),
    }
    Ok(())
}

/// What is not named is this very program: it is what is on disk now, which the running node's own
/// path may not lead to any more (a moved link, a package's new folder).
fn binary(args: &UpgradeArgs) -> anyhow::Result<PathBuf> {
    let Some(path) = &args.binary else {
        return std::env::current_exe().context("this program can't tell where it is; name one with --binary");
    };
    path.canonicalize().with_context(|| format!("there is no {}", path.display()))
}
