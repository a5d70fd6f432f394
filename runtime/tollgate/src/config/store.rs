//! `[store]`: where the gateway's configuration is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tollgate_control::configuration::FeedOptions;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime};
use tollgate_model::problem::Complaint;
use tollgate_model::units::TimeSpan;
use tollgate_store::database::{DatabaseOptions, DatabaseUrl};

/// Where the configuration is, and how it is followed.
#[derive(Debug)]
pub enum StoreConfig {
    /// Read-only: whoever changes it changes the file.
    File(PathBuf),
    Database(DatabaseConfig),
}

#[derive(Debug)]
pub struct DatabaseConfig {
    pub options: DatabaseOptions,
    pub feed: FeedOptions,
    /// How long a node may go on serving what it has while the database is away; for ever without it.
    pub max_stale: Option<Duration>,
    /// How many revisions back the history is kept.
    pub keep_revisions: u64,
}

impl StoreConfig {
    /// What people are told; without a password.
    pub fn shown(&self) -> String {
        match self {
            StoreConfig::File(path) => format!("file:{}", path.display()),
            StoreConfig::Database(database) => database.options.url.shown(),
        }
    }

    /// Where relative paths in the configuration start; `node` is the folder of the node's own file.
    pub fn folder<'a>(&'a self, node: &'a Path) -> &'a Path {
        match self {
            StoreConfig::File(path) => path.parent().unwrap_or(Path::new(".")),
            StoreConfig::Database(_) => node,
        }
    }

    pub fn file(&self) -> Option<&Path> {
        match self {
            StoreConfig::File(path) => Some(path),
            StoreConfig::Database(_) => None,
        }
    }

    pub fn database(&self) -> Option<&DatabaseConfig> {
        match self {
            StoreConfig::File(_) => None,
            StoreConfig::Database(database) => Some(database),
        }
    }
}

/// As written.
pub(super) struct StoreTable {
    place: Location,
    read_url: Option<DatabaseUrl>,
    connections: u32,
    timeout: Duration,
    feed: FeedOptions,
    max_stale: Option<Duration>,
    keep_revisions: u64,
}

enum Location {
    File(PathBuf),
    Database(DatabaseUrl),
}

impl StoreTable {
    /// `folder` is where relative paths start.
    pub(super) fn complete(self, folder: &Path) -> StoreConfig {
        let url = match self.place {
            Location::File(path) => return StoreConfig::File(folder.join(path)),
            Location::Database(url) => url.within(folder),
        };
        let (read_url, connections, timeout) = (self.read_url, self.connections, self.timeout);
        StoreConfig::Database(DatabaseConfig {
            options: DatabaseOptions { url, read_url, connections, timeout },
            feed: self.feed,
            max_stale: self.max_stale,
            keep_revisions: self.keep_revisions,
        })
    }
}

impl Default for StoreTable {
    fn default() -> Self {
        StoreTable {
            place: Location::File("gateway.toml".into()),
            read_url: None,
            connections: CONNECTIONS,
            timeout: TIMEOUT,
            feed: FeedOptions::default(),
            max_stale: None,
            keep_revisions: REVISIONS,
        }
    }
}

impl Decode for StoreTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<StoreTable> {
        let defaults = StoreTable::default();
        let mut fields = Fields::open(value, place, problems);
        let url: Option<String> = fields.required("url");
        let location = url.as_deref().and_then(|url| match location(url) {
            Ok(location) => Some(location),
            Err(complaint) => {
                fields.refuse("url", complaint);
                None
            }
        });
        let read_url = read_url(&mut fields);
        let connections = fields.optional("connections", CONNECTIONS);
        if !(2..=1000).contains(&connections) {
            let hint = "the default is 8";
            fields.refuse("connections", Complaint::new("connections are between 2 and 1000", hint));
        }
        let timeout = fields.optional("timeout", PositiveTime(TIMEOUT)).0;
        let feed = FeedOptions {
            update_frequency: fields.optional("db_update_frequency", PositiveTime(defaults.feed.update_frequency)).0,
            update_propagation: fields.optional("db_update_propagation", TimeSpan(defaults.feed.update_propagation)).0,
            verify_interval: fields.optional("verify_interval", PositiveTime(defaults.feed.verify_interval)).0,
        };
        let max_stale = fields.maybe::<PositiveTime>("max_stale").map(|time| time.0);
        let keep_revisions = fields.optional("keep_revisions", REVISIONS);
        if keep_revisions == 0 {
            let hint = "the default is 10000";
            fields.refuse("keep_revisions", Complaint::new("nodes that fell behind need some of the history", hint));
        }
        let is_file = matches!(location, Some(Location::File(_)));
        for key in [
            "read_url",
            "connections",
            "timeout",
            "db_update_frequency",
            "db_update_propagation",
            "verify_interval",
            "max_stale",
            "keep_revisions",
        ] {
            if is_file && fields.has(key) {
                let hint = "leave it out, or name a database in `url`";
                fields.refuse(key, Complaint::new("this is for databases, and `url` names a file", hint));
            }
        }
        fields.finish()?;
        let place = location?;
        Some(StoreTable { place, read_url, connections, timeout, feed, max_stale, keep_revisions })
    }
}

fn location(url: &str) -> Result<Location, Complaint> {
    match url.strip_prefix("file:") {
        Some("") => Err(Complaint::new("the path is missing", "write it behind file:, as in \"file:gateway.toml\"")),
        Some(path) => Ok(Location::File(path.into())),
        None => DatabaseUrl::parse(url).map(Location::Database).map_err(|error| {
            Complaint::new(
                error.to_string(),
                "as in \"file:gateway.toml\", \"sqlite:gateway.db\" or \"postgres://user@host/database\"",
            )
        }),
    }
}

fn read_url(fields: &mut Fields<'_, '_>) -> Option<DatabaseUrl> {
    let text: String = fields.maybe("read_url")?;
    match DatabaseUrl::parse(&text) {
        Ok(url) if url.is_shared() => Some(url),
        Ok(_) => {
            let hint = "it is for a read-only copy that the Postgres of `url` keeps up to date";
            fields.refuse("read_url", Complaint::new("SQLite has no read replicas", hint));
            None
        }
        Err(error) => {
            fields.refuse("read_url", Complaint::new(error.to_string(), "as in \"postgres://user@replica/database\""));
            None
        }
    }
}

const CONNECTIONS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(5);
const REVISIONS: u64 = 10_000;
