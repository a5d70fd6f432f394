use axum::extract::FromRequestParts;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::refusal::Refusal;

/// A 200 with a JSON body. Views borrow from the set, so they are rendered where it is held.
pub(super) fn answer(view: &impl Serialize) -> Result<Response, Refusal> {
    let mut body = serde_json::to_vec(view).map_err(|error| Refusal::internal(&error))?;
    // Terminals want their prompt on a line of its own.
    body.push(b'\n');
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The `{name}` of a path.
pub(super) struct EntityName(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for EntityName {
    type Rejection = Refusal;

    /// A name that is no text names nothing.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<EntityName, Refusal> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(name)| EntityName(name)).map_err(|_| Refusal::NoPath)
    }
}
