//! What belongs to another entity, made in one go: `/services/{service}/routes` and plugins of a chain.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value, json};
use tollgate_model::Kind;
use tollgate_model::decode::Place;
use tollgate_model::problem::Problem;
use tollgate_store::database::Row;

use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, Segment};
use super::collection::made;
use super::conditions::Conditions;
use super::plan::{self, Made, Put, Way};
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    let chained = |kind: Kind| {
        post(async move |caller: Caller, Segment(name): Segment<String>, body: Body| {
            add_plugin(&caller, kind, name, body).await
        })
    };
    Router::new()
        .route("/services/{name}/routes", post(add_route))
        .route("/services/{name}/plugins", chained(Kind::Service))
        .route("/routes/{name}/plugins", chained(Kind::Route))
        .route("/consumers/{name}/plugins", chained(Kind::Consumer))
        .route(
            "/chain/plugins",
            post(async |caller: Caller, body: Body| {
                add_plugin(&caller, Kind::Chain, Kind::GLOBAL.to_owned(), body).await
            }),
        )
}

/// A route to the service.
async fn add_route(caller: Caller, Segment(service): Segment<String>, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    made(Kind::Route, &caller, &caller.write(&AddRoute { service, table }).await?)
}

struct AddRoute {
    service: String,
    table: Map<String, Value>,
}

impl Plan for AddRoute {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        let service = existing(draft, Kind::Service, &self.service).await?;
        let mut table = self.table.clone();
        table.insert("service".to_owned(), service.name.into());
        create(draft, Kind::Route, table).await
    }
}

/// A plugin at the end of the entity's chain.
async fn add_plugin(caller: &Caller, kind: Kind, name: String, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    made(Kind::Plugin, caller, &caller.write(&AddPlugin { kind, name, table }).await?)
}

struct AddPlugin {
    kind: Kind,
    name: String,
    table: Map<String, Value>,
}

impl Plan for AddPlugin {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        let (name, tags, mut body) = match self.kind {
            Kind::Chain => match draft.row(Kind::Chain, Kind::GLOBAL).await? {
                Some(row) => (row.name.clone(), Vec::new(), draft.opened(&row)?),
                None => (Kind::GLOBAL.to_owned(), Vec::new(), json!({})),
            },
            kind => {
                let row = existing(draft, kind, &self.name).await?;
                let body = draft.opened(&row)?;
                (row.name, row.tags, body)
            }
        };
        let plugin = create(draft, Kind::Plugin, self.table.clone()).await?;
        if body["chain"].is_null() {
            body["chain"] = json!([]);
        }
        match body["chain"].as_array_mut() {
            Some(chain) => chain.push(plugin.name.as_str().into()),
            None => {
                return Err(Problem::new(&Place::Root.key("chain"), "what is stored is no list; put it anew").into());
            }
        }
        draft.put(self.kind, &name, tags, body, None, None);
        Ok(plugin)
    }
}

async fn create(draft: &mut Draft<'_>, kind: Kind, table: Map<String, Value>) -> Result<Made, WriteError> {
    Put { kind, way: Way::Create, table, conditions: Conditions::default() }.plan(draft).await
}

async fn existing(draft: &mut Draft<'_>, kind: Kind, name: &str) -> Result<Row, WriteError> {
    let missing = || WriteError::Missing { kind, name: name.to_owned() };
    plan::find(draft, kind, name).await?.ok_or_else(missing)
}
