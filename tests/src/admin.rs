//! The admin API as its users have it.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::{Call, Gateway, Reply, eventually};

/// A client of one node's admin API, with a token.
#[derive(Clone, Debug)]
pub struct Admin {
    pub address: SocketAddr,
    pub token: String,
}

impl Admin {
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.call(method, path, body).send(self.address).await
    }

    /// The request, to be sent by other means.
    pub fn call(&self, method: Method, path: &str, body: Option<Value>) -> Call {
        let call = Call::new(method, path).header("authorization", format!("Bearer {}", self.token));
        match body {
            Some(body) => call.header("content-type", "application/json").body(body.to_string()),
            None => call,
        }
    }

    /// `PUT`, which has to succeed.
    pub async fn puts(&self, path: &str, body: Value) -> Reply {
        let reply = self.put(path, body).await;
        assert!(matches!(reply.status, 200 | 201), "PUT {path}: {} {}", reply.status, reply.text());
        reply
    }
}

impl Gateway {
    /// With the token that the node made at its first start.
    pub async fn admin(&self) -> Admin {
        let token = eventually(PATIENCE, async || match self.data_file("admin.token").trim() {
            "" => Err("there is no admin.token"),
            token => Ok(token.to_owned()),
        });
        Admin { address: self.admin, token: token.await }
    }

    /// With a token of another node.
    pub fn admin_with(&self, token: &str) -> Admin {
        Admin { address: self.admin, token: token.to_owned() }
    }
}

/// `X-Tollgate-Revision` of an answer.
pub fn revision(reply: &Reply) -> u64 {
    let revision = reply.header("x-tollgate-revision");
    revision.parse().unwrap_or_else(|_| panic!("no revision: {} {}", reply.status, reply.text()))
}

const PATIENCE: Duration = Duration::from_secs(30);
