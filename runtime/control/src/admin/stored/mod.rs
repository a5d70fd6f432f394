//! The admin API of a node whose configuration is in a database: reads and writes.
//!
//! Reads come from this node's own copy, so they are answered while the database is away. A write is answered once
//! this node serves by it, so what was written is what is read next.
//!
//! Every request needs a token, whatever it asks for.

mod parameters;
mod form;
mod body;
mod merge;
mod hidden;
mod expiry;
mod conditions;
mod access;
mod caller;
mod waiting;
mod entity;
mod plan;
mod collection;
mod nested;
mod targets;
mod chain;
mod consumer_keys;
mod tokens;
mod modules;
mod nodes;
mod tree;
mod history;
mod cache;
mod openapi;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::{Node, about};
use crate::refusal::Refusal;
use crate::writer::Writer;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Stored {
    node: Node,
    /// Not there yet while the node starts.
    writer: Arc<OnceLock<Writer>>,
    /// In front of every path that is told; may be empty.
    public_url: String,
}

impl FromRef<Stored> for Node {
    fn from_ref(stored: &Stored) -> Node {
        Node::clone(&stored.node)
    }
}

pub(super) fn router(node: Node, writer: Arc<OnceLock<Writer>>, public_url: Option<String>) -> Router {
    let public_url = public_url.unwrap_or_default().trim_end_matches('/').to_owned();
    let stored = Stored { node, writer, public_url };
    Router::new()
        .route("/", get(about::stored))
        .route("/status", get(about::status))
        .route("/routes/{name}/chain", get(super::chain::of_route))
        .route("/explain", get(super::explain::request))
        .merge(collection::routes())
        .merge(nested::routes())
        .merge(targets::routes())
        .merge(chain::routes())
        .merge(consumer_keys::routes())
        .merge(tokens::routes())
        .merge(modules::routes())
        .merge(nodes::routes())
        .merge(tree::routes())
        .merge(history::routes())
        .merge(cache::routes())
        .merge(openapi::routes())
        .fallback(async || Refusal::NoPath)
        .method_not_allowed_fallback(async || Refusal::NotAllowed)
        .layer(from_fn_with_state(stored.clone(), access::admit))
        .with_state(stored)
}

#[cfg(test)]
mod tests;
