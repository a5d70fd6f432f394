//! `/config`: everything at once, as a file would say it.

mod apply;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;

use self::apply::{Applied, Apply};
use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, WRITING};
use super::history::{Changes, SHOWN_CHANGES};
use crate::refusal::Refusal;
use crate::view::SetView;

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/config", get(read).post(apply_tree)).route("/config/diff", post(diff))
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Toml,
}

/// What this node knows, without secrets and keys. Rendered beside the runtime: a large set takes a while.
async fn read(caller: Caller) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["format"])?;
    let format = parameters.one_of("format", &[("json", Format::Json), ("toml", Format::Toml)])?;
    let known = caller.known();
    let revision = known.revision.number;
    let rendered =
        tokio::task::spawn_blocking(move || render(&SetView::from(&*known.set), format.unwrap_or(Format::Json)));
    let (content_type, bytes) = rendered.await.map_err(|error| Refusal::internal(&error))??;
    let fields = [(CONTENT_TYPE, content_type.to_owned()), (REVISION, revision.to_string())];
    Ok((StatusCode::OK, fields, bytes).into_response())
}

/// At which the tree is.
const REVISION: HeaderName = HeaderName::from_static("x-tollgate-revision");

fn render(set: &SetView<'_>, format: Format) -> Result<(&'static str, Vec<u8>), Refusal> {
    let internal = |error: &dyn std::fmt::Display| Refusal::internal(error);
    match format {
        Format::Json => {
            let mut bytes = serde_json::to_vec(set).map_err(|error| internal(&error))?;
            bytes.push(b'\n');
            Ok(("application/json", bytes))
        }
        Format::Toml => {
            let text = toml::to_string(set).map_err(|error| internal(&error))?;
            Ok(("application/toml", text.into_bytes()))
        }
    }
}

/// Makes the configuration what the tree says, in one revision.
async fn apply_tree(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let [dry_run, wait, timeout] = WRITING;
    let parameters = caller.parameters(&["prune", dry_run, wait, timeout])?;
    let prune = parameters.flag("prune", true)?;
    let tree = Value::Object(body::table(&caller.headers, body, Also::Toml).await?);
    let done = caller.write_with(&Apply { tree, prune, with_bodies: false }, &parameters).await?;
    let Applied { changes } = &done.written.outcome;
    let shown = &changes[..changes.len().min(SHOWN_CHANGES)];
    done.answer(StatusCode::OK, &Changes { changes: shown, count: changes.len() })
}

/// What [`apply_tree`] would change, with how each entity was and would be.
async fn diff(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let prune = caller.parameters(&["prune"])?.flag("prune", true)?;
    let tree = Value::Object(body::table(&caller.headers, body, Also::Toml).await?);
    let written = caller.write_dry(&Apply { tree, prune, with_bodies: true }).await?;
    let Applied { changes } = &written.outcome;
    #[derive(serde::Serialize)]
    struct Diff<'a> {
        #[serde(flatten)]
        changes: Changes<'a>,
        revision: u64,
    }
    let changes = Changes { changes, count: changes.len() };
    super::caller::json(StatusCode::OK, &Diff { changes, revision: written.revision.number })
}
