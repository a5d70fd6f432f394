//! A request, and how it is answered.

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tollgate_store::database::{Database, Origin};

use super::access::Session;
use super::conditions::Conditions;
use super::parameters::Parameters;
use super::waiting::{self, Awaited, Behind};
use super::{Node, Stored};
use crate::configuration::{Known, Vault};
use crate::refusal::Refusal;
use crate::writer::{Plan, Writer, Written};

/// A request that was let in.
pub(super) struct Caller {
    pub(super) writer: Writer,
    pub(super) node: Node,
    pub(super) headers: HeaderMap,
    /// As sent, without the query.
    pub(super) path: String,
    query: String,
    origin: Origin,
    public_url: String,
}

impl FromRequestParts<Stored> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, stored: &Stored) -> Result<Caller, Refusal> {
        let session = parts.extensions.get::<Session>();
        let Session { writer, author } = session.cloned().ok_or_else(|| Refusal::internal(&"nobody was let in"))?;
        let path = parts.uri.path().to_owned();
        let origin = writer.origin(&author, &format!("{} {path}", parts.method));
        Ok(Caller {
            writer,
            node: Node::clone(&stored.node),
            headers: std::mem::take(&mut parts.headers),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            path,
            origin,
            public_url: stored.public_url.clone(),
        })
    }
}

/// What stands in a path's braces. Bytes that are no text name nothing.
pub(super) struct Segment<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned + Send> FromRequestParts<Stored> for Segment<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, stored: &Stored) -> Result<Segment<T>, Refusal> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, stored).await;
        path.map(|axum::extract::Path(segment)| Segment(segment)).map_err(|_| Refusal::NoPath)
    }
}

/// What every write takes.
pub(super) const WRITING: [&str; 3] = ["dry_run", "wait", "timeout"];

impl Caller {
    pub(super) fn parameters(&self, known: &[&str]) -> Result<Parameters, Refusal> {
        Parameters::parse(&self.query, known)
    }

    pub(super) fn conditions(&self) -> Conditions {
        Conditions::read(&self.headers)
    }

    /// Where this node's own copy is read.
    pub(super) fn local(&self) -> &Database {
        self.writer.feed().local()
    }

    pub(super) fn vault(&self) -> &Vault {
        self.writer.feed().vault()
    }

    pub(super) fn known(&self) -> std::sync::Arc<Known> {
        self.writer.feed().known()
    }

    /// As clients reach it.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// Writes as `dry_run`, `wait` and `timeout` ask for it.
    pub(super) async fn write<P: Plan>(&self, plan: &P) -> Result<Done<P::Outcome>, Refusal> {
        self.write_with(plan, &self.parameters(&WRITING)?).await
    }

    pub(super) async fn write_with<P: Plan>(
        &self,
        plan: &P,
        parameters: &Parameters,
    ) -> Result<Done<P::Outcome>, Refusal> {
        let dry_run = parameters.flag("dry_run", false)?;
        let wait = parameters.one_of("wait", &[("node", false), ("cluster", true)])?.unwrap_or(false);
        let timeout = parameters.timeout()?;
        let written = self.writer.write(&self.origin, dry_run, plan).await?;
        let awaited = match wait && written.step.is_some() {
            true => waiting::for_cluster(self.writer.feed(), written.revision.number, timeout).await,
            false => Awaited::default(),
        };
        Ok(Done { written, dry_run, awaited })
    }

    pub(super) async fn write_dry<P: Plan>(&self, plan: &P) -> Result<Written<P::Outcome>, Refusal> {
        Ok(self.writer.write(&self.origin, true, plan).await?)
    }
}

/// A write that was done.
pub(super) struct Done<T> {
    pub(super) written: Written<T>,
    pub(super) dry_run: bool,
    awaited: Awaited,
}

/// The body of an answer to a write, with what is to be said of the write.
#[derive(Serialize)]
struct Told<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// Only where this node does not serve by it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<bool>,
    #[serde(skip_serializing_if = "<[Behind]>::is_empty")]
    behind: &'a [Behind],
}

#[derive(Serialize)]
struct Nothing {}

impl<T> Done<T> {
    /// `body` without the revision, which is told of every write.
    pub(super) fn answer(&self, status: StatusCode, body: &impl Serialize) -> Result<Response, Refusal> {
        let Done { written, dry_run, awaited } = self;
        let told = Told {
            body,
            revision: Some(written.revision.number),
            dry_run: *dry_run,
            applied: (!written.applied).then_some(false),
            behind: &awaited.behind,
        };
        let mut response = json(self.status(status), &told)?;
        self.mark(&mut response);
        Ok(response)
    }

    /// No body, unless there is something to tell after all.
    pub(super) fn empty(&self) -> Result<Response, Refusal> {
        if self.dry_run || self.awaited.is_late || !self.written.applied {
            return self.answer(StatusCode::OK, &Nothing {});
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        self.mark(&mut response);
        Ok(response)
    }

    fn status(&self, status: StatusCode) -> StatusCode {
        match (self.dry_run, self.awaited.is_late) {
            (true, _) => StatusCode::OK,
            (false, false) => status,
            (false, true) => StatusCode::ACCEPTED,
        }
    }

    fn mark(&self, response: &mut Response) {
        response.headers_mut().insert(REVISION, self.written.revision.number.into());
        if !self.written.applied {
            response.headers_mut().insert(APPLIED, HeaderValue::from_static("false"));
        }
    }
}

/// The revision that a write made; of a dry run the one that it was checked against.
const REVISION: HeaderName = HeaderName::from_static("x-tollgate-revision");
/// `false` where this node does not serve by it yet.
const APPLIED: HeaderName = HeaderName::from_static("x-tollgate-applied");

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Refusal> {
    let mut bytes = serde_json::to_vec(body).map_err(|error| Refusal::internal(&error))?;
    // Terminals want their prompt on a line of its own.
    bytes.push(b'\n');
    Ok((status, [(CONTENT_TYPE, "application/json")], bytes).into_response())
}

pub(super) fn with_etag(mut response: Response, etag: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

pub(super) fn with_location(mut response: Response, location: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// How a list is answered.
#[derive(Serialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    /// Path of the following page.
    pub(super) next: Option<String>,
}

/// The following page of this list, if there is one: `rest` are parameters that stay, `after` is the last seen.
pub(super) fn next_page(caller: &Caller, parameters: &Parameters, after: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for kept in ["size", "tags"] {
        if let Some(value) = parameters.get(kept) {
            query.append_pair(kept, value);
        }
    }
    caller.link(&format!("{}?{}", caller.path, query.append_pair("after", after).finish()))
}
