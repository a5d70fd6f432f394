//! What is only shown.

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::free_form;

pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![("Object".to_owned(), free_form()), ("Patch".to_owned(), free_form())];
    macro_rules! add {
        ($($schema:ty),*) => {$(
            schemas.push((<$schema>::name().into_owned(), <$schema as PartialSchema>::schema()));
            <$schema>::schemas(&mut schemas);
        )*};
    }
    add!(Error, Written, Changes, Revision, Audited, Key, MadeKey, Token, MadeToken, Held);
    schemas
}

/// Why something was not done.
#[derive(Deserialize, ToSchema)]
struct Error {
    message: String,
    /// All that is wrong.
    problems: Option<Vec<Problem>>,
}

#[derive(Deserialize, ToSchema)]
struct Problem {
    /// Where: `routes.orders.paths[0]`.
    path: String,
    message: String,
    /// What to do about it.
    hint: Option<String>,
}

/// What became of a write.
#[derive(Deserialize, ToSchema)]
struct Written {
    revision: u64,
    dry_run: Option<bool>,
    /// `false` where this node does not serve by it yet.
    applied: Option<bool>,
    /// The nodes that are alive and do not serve by it yet.
    behind: Option<Vec<Behind>>,
}

#[derive(Deserialize, ToSchema)]
struct Behind {
    node: String,
    id: String,
    /// By which it serves.
    revision: u64,
}

#[derive(Deserialize, ToSchema)]
struct Change {
    action: Action,
    kind: String,
    name: String,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    Created,
    Updated,
    Deleted,
}

#[derive(Deserialize, ToSchema)]
struct Changes {
    revision: u64,
    /// The first hundred.
    changes: Vec<Change>,
    count: u64,
    dry_run: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
struct Revision {
    revision: u64,
    /// Random, so that histories are told apart.
    id: String,
    at: String,
    /// The name of a token.
    author: String,
    /// As in `PUT /routes/orders`.
    action: String,
    changes: Vec<Change>,
    count: u64,
}

#[derive(Deserialize, ToSchema)]
struct Audited {
    revision: u64,
    at: String,
    author: String,
    action: String,
    /// The node that took it.
    node: String,
    changes: Vec<Change>,
    count: u64,
}

#[derive(Deserialize, ToSchema)]
struct Key {
    id: String,
    consumer: String,
    /// How it begins.
    prefix: String,
    expires_at: Option<String>,
    created_at: String,
    revision: u64,
}

#[derive(Deserialize, ToSchema)]
struct MadeKey {
    id: String,
    consumer: String,
    /// Shown this once.
    key: String,
    prefix: String,
    expires_at: Option<String>,
    revision: u64,
}

#[derive(Deserialize, ToSchema)]
struct Token {
    name: String,
    role: String,
    prefix: String,
    expires_at: Option<String>,
    id: String,
    created_at: String,
    revision: u64,
}

#[derive(Deserialize, ToSchema)]
struct MadeToken {
    name: String,
    role: String,
    /// Shown this once.
    token: String,
    prefix: String,
    expires_at: Option<String>,
    revision: u64,
}

#[derive(Deserialize, ToSchema)]
struct Held {
    kind: String,
    name: String,
    /// As this node has it in memory, without secrets.
    held: Value,
    /// Why it can't be used on this node.
    problem: Option<String>,
    /// Of all that this node holds.
    revision: u64,
    /// By which it serves.
    applied: u64,
}
