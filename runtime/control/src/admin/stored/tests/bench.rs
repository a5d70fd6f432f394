//! A node with a database and its admin API, and a client with a token.

use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_keys::Keyring;
use tollgate_store::database::{DatabaseOptions, DatabaseUrl, Heartbeat};

use crate::admin::{AdminOptions, serve_admin};
use crate::configuration::{self, Feed, FeedOptions, OpenOptions};
use crate::testing::{Answer, FakeNode, Running};
use crate::writer::{SettingsUnchecked, Writer, first_token};

pub(super) struct Bench {
    running: Running,
    pub(super) feed: Feed,
    pub(super) token: String,
    folder: TempDir,
}

impl Bench {
    pub(super) fn start() -> Bench {
        Bench::with(None)
    }

    pub(super) fn with(public_url: Option<&str>) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, public_url) = (folder.path().to_owned(), public_url.map(str::to_owned));
        let (told, ready) = mpsc::channel();
        let running = Running::start(move |listener, shutdown| async move {
            let url = format!("sqlite:{}", path.join("gateway.db").display());
            let database = DatabaseOptions {
                url: DatabaseUrl::parse(&url).expect("a URL"),
                read_url: None,
                connections: 4,
                timeout: Duration::from_secs(5),
            };
            let keyring = Keyring::parse(Keyring::generate().expose_secret()).expect("a keyring");
            let options =
                OpenOptions { database, replica: path.join("replica.db"), keyring, feed: FeedOptions::default() };
            let feed = configuration::open(options).await.unwrap_or_else(|error| panic!("{error}")).feed;
            feed.database().take_over(Duration::from_secs(5)).await.expect("nobody else has it");
            let writer = Writer::new(feed.clone(), "node-1".to_owned(), Arc::new(SettingsUnchecked), Box::new(|_| ()));
            assert!(first_token(&writer, &path.join("admin.token")).await.expect("a token"));
            let slot = Arc::new(OnceLock::from(writer));
            told.send(feed.clone()).expect("the test waits");
            let options = AdminOptions { public_url, writer: Some(slot), ..AdminOptions::default() };
            let node = Arc::new(FakeNode::serving(&json!({})));
            let applying = async {
                let mut known = feed.subscribe();
                loop {
                    feed.applied(known.borrow_and_update().revision.number);
                    known.changed().await.expect("the feed lives");
                }
            };
            tokio::select! {
                served = serve_admin(listener, node, options, shutdown) => served,
                () = feed.run() => Ok(()),
                () = applying => Ok(()),
            }
        });
        let feed = ready.recv().expect("a node");
        let token = std::fs::read_to_string(folder.path().join("admin.token")).expect("a token");
        Bench { running, feed, token: token.trim().to_owned(), folder }
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub(super) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    pub(super) fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &[], Some(body))
    }

    pub(super) fn put(&self, path: &str, body: Value) -> Answer {
        self.call("PUT", path, &[], Some(body))
    }

    pub(super) fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, &[], Some(body))
    }

    /// `POST`, which has to succeed.
    pub(super) fn makes(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 201, "POST {path}: {}", answer.body);
        answer.json()
    }

    /// `PUT`, which has to succeed.
    pub(super) fn puts(&self, path: &str, body: Value) -> Answer {
        let answer = self.put(path, body);
        assert!(matches!(answer.status, 200 | 201), "PUT {path}: {}", answer.body);
        answer
    }

    pub(super) fn call(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Option<Value>) -> Answer {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method, path, fields, body.as_ref().map(|(written, body)| (*written, body.as_str())))
    }

    pub(super) fn form(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(method, path, &[], Some(("application/x-www-form-urlencoded", body)))
    }

    /// `body`: with its type.
    pub(super) fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Option<(&str, &str)>) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("Host", "localhost"), ("Authorization", authorization.as_str())];
        all.extend(fields);
        let (written, body) = body.unwrap_or_default();
        let length = body.len().to_string();
        if !written.is_empty() {
            all.extend([("Content-Type", written), ("Content-Length", length.as_str())]);
        }
        self.running.send_with(method, path, &all, body)
    }

    /// Without the token.
    pub(super) fn stranger(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("Host", "localhost")];
        all.extend(fields);
        self.running.send(method, path, &all)
    }

    /// With another token.
    pub(super) fn holding(&self, token: &str, method: &str, path: &str) -> Answer {
        self.stranger(method, path, &[("Authorization", &format!("Bearer {token}"))])
    }

    /// A node that says that it serves by that revision.
    pub(super) fn beat(&self, name: &str, revision: u64) {
        let node = Heartbeat { id: name.to_owned(), name: name.to_owned(), version: "0.1.0".to_owned(), revision };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(self.feed.database().heartbeat(&node)).expect("the database");
    }

    /// A service and a route to it, both called `orders`.
    pub(super) fn with_orders(self) -> Bench {
        self.puts("/services/orders", json!({ "url": "http://127.0.0.1:9000" }));
        self.puts("/routes/orders", json!({ "service": "orders", "paths": ["/orders"] }));
        self
    }
}

/// Of a list.
pub(super) fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().expect("rows").iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

/// Of an answer's problems.
pub(super) fn paths(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let problems = body["problems"].as_array().unwrap_or_else(|| panic!("no problems: {answer:?}"));
    problems.iter().map(|problem| problem["path"].as_str().expect("a path").to_owned()).collect()
}
