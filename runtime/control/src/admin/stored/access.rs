//! Who may ask for what: tokens and their roles.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::Stored;
use crate::configuration::{Role, Token};
use crate::refusal::Refusal;
use crate::writer::Writer;

/// Whoever sent a request that was let in.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) writer: Writer,
    /// The name of the token.
    pub(super) author: String,
}

/// In front of everything, paths that are not there included.
pub(super) async fn admit(State(stored): State<Stored>, mut request: Request, next: Next) -> Result<Response, Refusal> {
    let Some(writer) = stored.writer.get() else {
        return Err(Refusal::Away("this node is starting, it does not know its configuration yet".to_owned()));
    };
    let token = token(writer, request.headers())?;
    if token.role == Role::ReadOnly {
        if request.uri().path().split('/').nth(1) == Some("tokens") {
            return Err(Refusal::Forbidden("a read-only token is told nothing of tokens"));
        }
        if !only_reads(request.method(), request.uri().path()) {
            return Err(Refusal::Forbidden("a read-only token changes nothing"));
        }
    }
    request.extensions_mut().insert(Session { writer: writer.clone(), author: token.name });
    Ok(next.run(request).await)
}

fn only_reads(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) || path == "/config/diff"
}

/// Found by its keyed hash: how long that takes tells nothing of what is stored.
fn token(writer: &Writer, headers: &HeaderMap) -> Result<Token, Refusal> {
    let mut stated = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (stated.next(), stated.next()) else { return Err(Refusal::Unauthorized) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Refusal::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Unauthorized);
    }
    let hash = writer.feed().vault().pepper().hash_token(token.trim().as_bytes());
    let known = writer.feed().known();
    known.tokens.find(&hash, now()).cloned().ok_or(Refusal::Unauthorized)
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
