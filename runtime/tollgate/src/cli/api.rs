//! Arguments of the verbs that ask a node's admin API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::time;

/// Which node is asked, as whom, and how its answers are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "The node that is asked")]
pub struct ApiArgs {
    /// Base of its admin API. Default: TOLLGATE_ADMIN, or `admin.listen` of the node's file, or http://127.0.0.1:8001.
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// A token of the admin API, or @FILE that holds one. Default: TOLLGATE_TOKEN, or `admin.token` in the data folder of
    /// the node's file.
    #[arg(long, value_name = "TOKEN|@FILE")]
    pub token: Option<String>,
    /// The node's file. Default: tollgate.toml, if it is in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PEM file of the authorities that an https URL is verified by. Default: those of the system.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub timeout: Duration,
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// What the node answered, lists whole.
    Json,
}

/// How a change is made.
#[derive(Debug, Args)]
pub struct WriteArgs {
    /// Does everything but the change.
    #[arg(long)]
    pub dry_run: bool,
    /// Returns once every node that is alive serves by it, if that takes no longer than `--timeout`.
    #[arg(long, value_enum, default_value = "node")]
    pub wait: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Until the node that is asked serves by it.
    Node,
    Cluster,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    pub files: FilesArgs,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    pub files: FilesArgs,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct FilesArgs {
    /// Written as gateway.toml or as its JSON, `-` for standard input. Several files make one configuration.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Keeps what no file names, instead of deleting it.
    #[arg(long)]
    pub no_prune: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Default: toml, with `--output json` json.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Toml,
    Json,
}

#[derive(Debug, Args)]
pub struct RoutesArgs {
    /// Only those with all of these, with commas between.
    #[arg(long, value_name = "TAGS")]
    pub tags: Option<String>,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    pub method: String,
    /// Of the request, or its path alone.
    pub url: String,
    /// A field of the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Of the client, for conditions that ask for it.
    #[arg(long, value_name = "IP")]
    pub address: Option<String>,
    /// Who calls, for the consumer's part of the chain.
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct ChainArgs {
    pub route: String,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// Shows what the node has of an entity in memory, and at which revision.
    Get {
        /// As in `route` or `routes`.
        kind: String,
        name: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Has the node load everything anew.
    Clear {
        /// `cluster`: all nodes.
        #[arg(long, value_enum, default_value = "node")]
        scope: Wait,
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum PluginVerb {
    /// Lists the modules on the node and the plugins that are set up.
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Uploads a module for the whole cluster.
    Push {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What plugins call it. Default: the file's name without `.wasm`.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        write: WriteArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Makes a token of the admin API and prints it, this once.
    Create {
        name: String,
        #[arg(long, value_enum, default_value = "read-only")]
        role: Role,
        /// After this time it ends, as in `30d`. Default: never.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Lists who may use the admin API.
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Revokes a token.
    Delete {
        name: String,
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Admin,
    ReadOnly,
}

#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Makes an API key of a consumer and prints it, this once.
    Create {
        consumer: String,
        /// Default: the consumer's name with a number.
        #[arg(long)]
        id: Option<String>,
        /// After this time it ends, as in `30d`. Default: never.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Lists the keys of a consumer, by id and how they begin.
    List {
        consumer: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Revokes a key.
    Delete {
        consumer: String,
        id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How many are shown, the newest first.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The revision to go back to, as `revisions` lists them.
    #[arg(value_name = "REVISION")]
    pub revision: u64,
    #[command(flatten)]
    pub write: WriteArgs,
    #[command(flatten)]
    pub api: ApiArgs,
}

#[derive(Debug, Args)]
pub struct MembersArgs {
    #[command(flatten)]
    pub api: ApiArgs,
}
