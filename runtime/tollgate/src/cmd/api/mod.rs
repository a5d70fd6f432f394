//! The client of a node's admin API. Here the verbs meet HTTP, and the environment.

mod access;
mod answer;
mod connection;
mod failure;
mod output;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use serde_json::{Value, json};

use self::access::Access;
pub use self::answer::Answer;
pub use self::failure::{Failure, Refused};
pub use self::output::{note, say, shown, table};
use crate::cli::{ApiArgs, Output, Wait, WriteArgs};
use crate::config::environment;

/// One node's admin API, asked one thing after the other.
pub struct Api {
    access: Access,
    tls: Option<Arc<ClientConfig>>,
    runtime: tokio::runtime::Runtime,
    timeout: Duration,
    output: Output,
}

impl Api {
    /// Finds out which node is meant; it is not asked yet.
    pub fn open(args: &ApiArgs) -> anyhow::Result<Api> {
        let access = Access::find(args, environment)?;
        let tls = access.base.tls.then(|| connection::tls(args.ca_file.as_deref())).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Api { access, tls, runtime, timeout: args.timeout, output: args.output })
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::GET, path, None)
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::DELETE, path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, "application/json", body.to_string().into_bytes())
    }

    pub fn send(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        self.call(method, path, Some((content_type, body)))
    }

    /// All pages of a list.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (list, mut page) = (path.split('?').next().unwrap_or_default(), path.to_owned());
        let mut rows = Vec::new();
        loop {
            let mut answer = self.get(&page)?.json()?;
            match answer["data"].take() {
                Value::Array(mut data) => rows.append(&mut data),
                _ => return Err(Failure::refused(format!("{list} is answered with no list")).into()),
            }
            // Its path may be the one that others reach this node by.
            match answer["next"].as_str().and_then(|next| next.split_once('?')) {
                Some((_, following)) => page = format!("{list}?{following}"),
                None => return Ok(rows),
            }
        }
    }

    /// Shows an answer as it was asked for.
    pub fn show(&self, answer: &Value, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.output {
            Output::Text => say(&text()),
            Output::Json => say(&format!("{answer:#}\n")),
        }
    }

    /// As [`Api::show`], of a whole list.
    pub fn show_list(&self, rows: Vec<Value>, text: impl FnOnce(&[Value]) -> String) -> anyhow::Result<()> {
        let whole = json!({ "data": rows, "next": null });
        let rows = whole["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.show(&whole, || text(rows))
    }

    pub fn output(&self) -> Output {
        self.output
    }

    /// The parameters of a write.
    pub fn writing(&self, args: &WriteArgs) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        if args.dry_run {
            parameters.push(("dry_run", "true".to_owned()));
        }
        if args.wait == Wait::Cluster {
            let timeout = self.timeout.min(LONGEST_WAIT).as_millis();
            parameters.extend([("wait", "cluster".to_owned()), ("timeout", format!("{timeout}ms"))]);
        }
        parameters
    }

    fn call(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> anyhow::Result<Answer> {
        let base = &self.access.base;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", base.prefix))
            .header(HOST, &base.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.access.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.text))
                .map_err(|_| Failure::usage(format!("the token of {} is none", token.source)))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = match body {
            Some((content_type, bytes)) => {
                request = request.header(CONTENT_TYPE, content_type);
                bytes
            }
            None => Vec::new(),
        };
        let request = request.body(Full::new(Bytes::from(body))).context("the request can't be put together")?;
        // A node that waits for others answers by itself.
        let patience = if path.contains("wait=cluster") { self.timeout + MARGIN } else { self.timeout };
        let exchange = connection::exchange(base, self.tls.as_ref(), request);
        let answered = self.runtime.block_on(async { tokio::time::timeout(patience, exchange).await });
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failure::of_connection(&self.access, error).into()),
            Err(_) => return Err(Failure::late(&self.access, patience).into()),
        };
        let answer = Answer::new(response);
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(Failure::of_answer(&self.access, &answer).into()),
        }
    }
}

/// A path of these segments.
pub fn path(segments: &[&str]) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, PLAIN))).collect()
}

/// With its parameters.
pub fn query<'p>(path: &str, parameters: impl IntoIterator<Item = (&'p str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    match query.finish() {
        empty if empty.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// When what is made now ends, in seconds since 1970.
pub fn until(time: Duration) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(time).as_secs()
}

/// The longest that a node waits for others.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_whatever_is_in_them() {
        assert_eq!(path(&["cache", "keys", "demo/demo-1"]), "/cache/keys/demo%2Fdemo-1");
        assert_eq!(path(&["snis", "*.example.com"]), "/snis/%2A.example.com");
    }

    #[test]
    fn parameters_are_encoded_and_none_leave_the_path_alone() {
        assert_eq!(query("/routes", []), "/routes");
        assert_eq!(query("/explain", [("url", "/a?b=c d".to_owned())]), "/explain?url=%2Fa%3Fb%3Dc+d");
    }
}
