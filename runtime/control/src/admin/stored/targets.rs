//! `/upstreams/{upstream}/targets`: the targets one by one, as parts of their upstream.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get};
use serde_json::{Map, Value, json};
use tollgate_model::Kind;
use tollgate_model::decode::{Authority, Place, parse_authority};
use tollgate_model::problem::Problem;

use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, List, Segment, json as answer, next_page, with_etag, with_location};
use super::collection::{find, image};
use super::conditions::{Conditions, etag};
use super::entity::Entity;
use super::plan;
use crate::refusal::Refusal;
use crate::view::TargetView;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new()
        .route("/upstreams/{name}/targets", get(list).post(put))
        .route("/upstreams/{name}/targets/{address}", delete(remove))
}

async fn list(caller: Caller, Segment(upstream): Segment<String>) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after"])?;
    let (size, after) = (parameters.size()? as usize, parameters.get("after").unwrap_or_default());
    let row = find(&caller, Kind::Upstream, &upstream).await?;
    let Entity::Upstream(upstream) = Entity::of_row(&row, caller.vault()) else {
        return Err(Refusal::Conflict(format!("what is stored of the upstream `{upstream}` can't be read")));
    };
    let mut data: Vec<TargetView> = upstream.targets.iter().map(TargetView::from).collect();
    data.sort_by(|a, b| a.address.cmp(&b.address));
    data.retain(|target| target.address.as_str() > after);
    let is_more = data.len() > size;
    data.truncate(size);
    let next = data.last().filter(|_| is_more).map(|target| next_page(&caller, &parameters, &target.address));
    answer(StatusCode::OK, &List { data, next })
}

/// Adds a target, or gives the one of that address another weight.
async fn put(caller: Caller, Segment(upstream): Segment<String>, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let change = Change { upstream, what: What::Put(table), conditions: caller.conditions() };
    let done = caller.write(&change).await?;
    let Some(Changed { upstream, target, is_new }) = &done.written.outcome else {
        return Err(Refusal::internal(&"a target was put and is not there"));
    };
    let status = if *is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = done.answer(status, target)?;
    if let Some(row) = done.written.step.as_ref().and_then(|step| image(step, Kind::Upstream, upstream)) {
        response = with_etag(response, &etag(row));
        if *is_new {
            let address = target["address"].as_str().unwrap_or_default();
            response = with_location(response, &caller.link(&format!("/upstreams/{upstream}/targets/{address}")));
        }
    }
    Ok(response)
}

async fn remove(caller: Caller, Segment((upstream, address)): Segment<(String, String)>) -> Result<Response, Refusal> {
    let change = Change { upstream, what: What::Remove(address), conditions: caller.conditions() };
    caller.write(&change).await?.empty()
}

/// A change of an upstream's list.
struct Change {
    upstream: String,
    what: What,
    conditions: Conditions,
}

enum What {
    Put(Map<String, Value>),
    Remove(String),
}

struct Changed {
    upstream: String,
    target: Value,
    is_new: bool,
}

impl Plan for Change {
    type Outcome = Option<Changed>;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Option<Changed>, WriteError> {
        let row = plan::find(draft, Kind::Upstream, &self.upstream).await?;
        self.conditions.check(row.as_ref())?;
        let Some(row) = row else {
            return match &self.what {
                What::Remove(_) => Ok(None),
                What::Put(_) => Err(WriteError::Missing { kind: Kind::Upstream, name: self.upstream.clone() }),
            };
        };
        let mut body = draft.opened(&row)?;
        if body["targets"].is_null() {
            body["targets"] = json!([]);
        }
        let Some(targets) = body["targets"].as_array_mut() else {
            return Err(
                Problem::new(&Place::Root.key("targets"), "what is stored is no list; put the upstream anew").into()
            );
        };
        let changed = match &self.what {
            What::Put(table) => {
                let target = Value::Object(table.clone());
                let same = targets.iter_mut().find(|other| is_same(other, target["address"].as_str()));
                let is_new = same.is_none();
                match same {
                    Some(same) => *same = target.clone(),
                    None => targets.push(target.clone()),
                }
                Some(Changed { upstream: row.name.clone(), target, is_new })
            }
            What::Remove(address) => {
                let before = targets.len();
                targets.retain(|target| !is_same(target, Some(address)));
                if targets.len() == before {
                    return Ok(None);
                }
                None
            }
        };
        draft.put(Kind::Upstream, &row.name, row.tags.clone(), body, None, None);
        Ok(changed)
    }
}

/// Whether `target` is at that address, however it is written.
fn is_same(target: &Value, address: Option<&str>) -> bool {
    let read = |address: &str| -> Option<Authority> { parse_authority(address).ok() };
    match (target["address"].as_str().and_then(read), address.and_then(read)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}
