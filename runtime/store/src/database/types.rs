//! What databases hold, in the words of all who use them.

use std::fmt;

use tollgate_model::Kind;

/// One state of the configuration: numbers rise by one, the id is random, so that a restored backup that
/// went on differently is told from what was there before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    pub number: u64,
    /// 32 hexadecimal digits. Empty for [`Revision::NONE`].
    pub id: String,
}

impl Revision {
    /// Before anything was written.
    pub const NONE: Revision = Revision { number: 0, id: String::new() };
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// An entity as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    /// Unique within its kind. A key's is `consumer/id`, an SNI's its host, the global chain's
    /// [`Kind::GLOBAL`].
    pub name: String,
    /// A UUID, for ever the same.
    pub id: String,
    /// The consumer of a key.
    pub owner: Option<String>,
    /// Unique within its kind: the hash of a key or token, in hexadecimal digits.
    pub fingerprint: Option<String>,
    pub tags: Vec<String>,
    /// In which it changed last.
    pub revision: u64,
    /// Milliseconds since 1970, by the clock of the node that wrote it.
    pub created_at: i64,
    pub updated_at: i64,
    /// JSON, without `name` and `tags`, secrets sealed.
    pub body: String,
}

/// A row to be written. Times, id and revision come with the writing; a row that is there keeps id and
/// `created_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    pub kind: Kind,
    pub name: String,
    pub owner: Option<String>,
    pub fingerprint: Option<String>,
    pub tags: Vec<String>,
    pub body: String,
}

/// One thing that a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Makes or replaces.
    Put(NewRow),
    /// Not there: an error.
    Delete { kind: Kind, name: String },
}

/// What became of one entity in a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    pub name: String,
    /// The image before; `None` for one that was made.
    pub before: Option<Row>,
    /// The new image; `None` for one that was deleted.
    pub after: Option<Row>,
}

/// One revision and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub revision: Revision,
    /// Milliseconds since 1970.
    pub at: i64,
    pub author: String,
    /// What was asked for, as in `PUT /routes/orders`.
    pub action: String,
    pub changes: Vec<Change>,
}

/// What a follower that is at some revision has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// In order, each revision following on the one before; empty if there is nothing new.
    Steps(Vec<Step>),
    /// Its revision is not in this history (a restored backup), or what came after is not kept any more.
    Anew,
}

/// Where a history stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub revision: Revision,
    /// Followers at this revision or later can go on by steps.
    pub oldest: u64,
}

/// What identifies a cluster, and what only its key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// A UUID: the prefix of all that it keeps elsewhere.
    pub id: String,
    /// The root of all sealing and hashing, sealed by the cluster key; `None` in a new database. Opaque here.
    pub sealed_root: Option<String>,
}

/// Who writes, and what for: a row of the audit, which is kept longer than changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of the token, or `local`.
    pub author: String,
    /// As in `PUT /routes/orders`.
    pub action: String,
    /// The node that took it.
    pub node: String,
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub revision: Revision,
    pub at: i64,
    pub origin: Origin,
    /// `created`, `updated` or `deleted`, kind and name of each; the first hundred.
    pub entities: Vec<(String, String, String)>,
    /// How many there were in all.
    pub count: u64,
}

/// What a node tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Random for each process.
    pub id: String,
    pub name: String,
    pub version: String,
    /// What it serves by.
    pub revision: u64,
}

/// A node as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub heartbeat: Heartbeat,
    /// Milliseconds since its last heartbeat, by the database's clock.
    pub age: i64,
}

/// Which rows to list, in the order of their names (bytes, whatever the database's collation).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub owner: Option<String>,
    /// All of them.
    pub tags: Vec<String>,
    /// Names behind this one only.
    pub after: Option<String>,
    pub limit: u32,
}
