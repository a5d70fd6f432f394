//! `/chain`: the plugins of every request.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use tollgate_model::Kind;
use tollgate_model::decode::Place;
use tollgate_model::problem::Problem;

use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, json as answer, with_etag};
use super::collection::made;
use super::conditions::{Conditions, etag};
use super::entity::{Entity, Record, StoredView, told_only};
use super::plan::Made;
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/chain", get(read).put(replace))
}

/// Before it was ever written it is empty.
async fn read(caller: Caller) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let Some(row) = caller.local().row(Kind::Chain, Kind::GLOBAL).await? else {
        return answer(StatusCode::OK, &json!({ "chain": [] }));
    };
    if caller.conditions().is_fresh(&row) {
        return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), &etag(&row)));
    }
    let entity = Entity::of_row(&row, caller.vault());
    let shown = StoredView { view: entity.view(), record: Some(Record::of(&row)), revision: Some(row.revision) };
    Ok(with_etag(answer(StatusCode::OK, &shown)?, &etag(&row)))
}

async fn replace(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let done = caller.write(&PutChain { table, conditions: caller.conditions() }).await?;
    made(Kind::Chain, &caller, &done)
}

struct PutChain {
    table: Map<String, Value>,
    conditions: Conditions,
}

impl Plan for PutChain {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        let row = draft.row(Kind::Chain, Kind::GLOBAL).await?;
        self.conditions.check(row.as_ref())?;
        let mut table = self.table.clone();
        for key in told_only(Kind::Chain) {
            table.remove(*key);
        }
        if !table.contains_key("chain") {
            return Err(Problem::new(&Place::Root, "`chain` is missing").into());
        }
        let body = Value::Object(table);
        draft.put(Kind::Chain, Kind::GLOBAL, Vec::new(), body.clone(), None, None);
        // It is always there, written or not: never made.
        Ok(Made { name: Kind::GLOBAL.to_owned(), tags: Vec::new(), body, is_new: false })
    }
}
