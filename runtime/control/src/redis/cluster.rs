//! The nodes of a Redis Cluster, one of which is talked to. Messages of classic pub/sub are passed on to all nodes, so
//! any that is well will do.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::seq::SliceRandom;
use redis::Value;

use super::{Address, Connection, OnPush, RedisFailure, RedisOptions};

#[derive(Debug, Default)]
pub(super) struct Nodes {
    seeds: Vec<Address>,
    /// By the slots map that was read last.
    known: Vec<Address>,
}

impl Nodes {
    pub(super) fn new(seeds: Vec<Address>) -> Nodes {
        Nodes { seeds, known: Vec::new() }
    }

    /// To a node for which the cluster is in order, otherwise to any that answers.
    pub(super) async fn connect(
        &mut self,
        options: &Arc<RedisOptions>,
        on_push: &OnPush,
    ) -> Result<Connection, RedisFailure> {
        let mut second_best = None;
        let mut failure = None;
        for node in self.candidates() {
            match open(options, &node, on_push).await {
                Ok((connection, true)) => {
                    self.learn(&connection).await;
                    return Ok(connection);
                }
                Ok((connection, false)) => second_best = Some(connection),
                Err(error) => failure = Some(error),
            }
        }
        second_best.ok_or_else(|| failure.expect("a cluster has at least one seed"))
    }

    /// Moves on from a node that the others have left behind.
    pub(super) async fn check(
        &mut self,
        options: &Arc<RedisOptions>,
        connection: &Connection,
    ) -> Result<(), RedisFailure> {
        if is_in_order(connection).await? {
            self.learn(connection).await;
            return Ok(());
        }
        let ignore: OnPush = Arc::new(|_| {});
        for node in self.candidates().into_iter().filter(|node| node != connection.server()) {
            if let Ok((_, true)) = open(options, &node, &ignore).await {
                return Err(RedisFailure::Moved { server: connection.server().clone() });
            }
        }
        Ok(())
    }

    /// In another order each time, so that clients spread over the nodes and one that is dead is not always tried first.
    fn candidates(&self) -> Vec<Address> {
        let mut nodes = self.known.clone();
        nodes.extend(self.seeds.iter().filter(|seed| !self.known.contains(seed)).cloned());
        nodes.shuffle(&mut rand::rng());
        nodes
    }

    async fn learn(&mut self, connection: &Connection) {
        if let Ok(slots) = connection.query::<Value>(redis::cmd("CLUSTER").arg("SLOTS")).await {
            let nodes = nodes_of(&slots, connection.server());
            if !nodes.is_empty() {
                self.known = nodes;
            }
        }
    }
}

/// A connection, and whether the cluster is in order as this node sees it.
async fn open(
    options: &Arc<RedisOptions>,
    node: &Address,
    on_push: &OnPush,
) -> Result<(Connection, bool), RedisFailure> {
    let connection = Connection::open(options, node, options.login.as_ref(), 0, Some(Arc::clone(on_push))).await?;
    let is_in_order = is_in_order(&connection).await?;
    Ok((connection, is_in_order))
}

/// A node that is cut off from most others, or was thrown out, knows that it is. One that may not be asked counts as well.
async fn is_in_order(connection: &Connection) -> Result<bool, RedisFailure> {
    let asked: Result<Value, RedisFailure> = connection.query(redis::cmd("CLUSTER").arg("INFO")).await;
    match asked {
        Ok(info) => Ok(text(&info).is_none_or(|info| info.contains("cluster_state:ok"))),
        Err(RedisFailure::Refused { reason, .. }) if reason.contains("cluster support disabled") => {
            Err(RedisFailure::Refused {
                server: connection.server().clone(),
                reason: "it is no Redis Cluster".to_owned(),
            })
        }
        Err(RedisFailure::Refused { .. }) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// All nodes that the answer to CLUSTER SLOTS names: `[[first, last, [host, port, …], …], …]`. A node that names no host
/// means the one that it was asked at.
fn nodes_of(slots: &Value, asked: &Address) -> Vec<Address> {
    let Address::Tcp { host: asked, .. } = asked else { return Vec::new() };
    let Value::Array(ranges) = slots else { return Vec::new() };
    let nodes = ranges.iter().filter_map(|range| match range {
        Value::Array(range) => range.get(2..),
        _ => None,
    });
    let addresses = nodes.flatten().filter_map(|node| {
        let Value::Array(node) = node else { return None };
        let host = node.first().and_then(text).filter(|host| !host.is_empty() && host != "?");
        let Some(Value::Int(port)) = node.get(1) else { return None };
        let port = u16::try_from(*port).ok().filter(|port| *port != 0)?;
        Some((host.unwrap_or_else(|| asked.clone()), port))
    });
    let distinct: BTreeSet<(String, u16)> = addresses.collect();
    distinct.into_iter().map(|(host, port)| Address::Tcp { host, port }).take(MOST_NODES).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// A cluster has at most a thousand.
const MOST_NODES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    #[test]
    fn the_slots_map_names_the_nodes_and_odd_ones_are_left_out() {
        let host = |host: &str| Value::BulkString(host.as_bytes().to_vec());
        let range = |nodes: Vec<Value>| Value::Array([vec![Value::Int(0), Value::Int(1)], nodes].concat());
        let slots = Value::Array(vec![
            range(vec![node(host("a"), 1), node(host("b"), 2)]),
            range(vec![node(host("a"), 1), node(Value::Nil, 3), node(host(""), 4), node(host("c"), 0), Value::Nil]),
            Value::Int(7),
            Value::Array(vec![]),
        ]);
        let asked = Address::Tcp { host: "z".to_owned(), port: 9 };
        let mut nodes: Vec<String> = nodes_of(&slots, &asked).iter().map(Address::to_string).collect();
        nodes.sort();
        assert_eq!(nodes, ["a:1", "b:2", "z:3", "z:4"]);
        assert!(nodes_of(&Value::Nil, &asked).is_empty());
    }
}
