//! `/modules/{name}`: modules for the whole cluster, uploaded once.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use tollgate_model::decode::Place;
use tollgate_model::problem::{Complaint, Problem};
use tollgate_model::{Kind, Name, Problems};

use super::Stored;
use super::body;
use super::caller::{Caller, Segment, json, with_etag};
use super::collection::find;
use super::conditions::etag;
use super::plan::Delete;
use crate::admin::plugins;
use crate::configuration::StoredModule;
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new()
        .route("/modules", get(plugins::modules))
        .route("/modules/{name}", get(one).put(upload).delete(delete))
}

#[derive(Serialize)]
struct ModuleRow<'a> {
    name: &'a str,
    #[serde(flatten)]
    module: &'a StoredModule,
}

/// As the cluster has it; how it fares on this node, and whether a file of the plugins folder stands in front of it,
/// is in the list.
async fn one(caller: Caller, Segment(name): Segment<String>) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let row = find(&caller, Kind::Module, &name).await?;
    let module = serde_json::from_str(&row.body).map_err(|error| Refusal::internal(&error))?;
    Ok(with_etag(json(StatusCode::OK, &ModuleRow { name: &row.name, module: &module })?, &etag(&row)))
}

async fn upload(caller: Caller, Segment(name): Segment<String>, body: Body) -> Result<Response, Refusal> {
    if Name::parse(&name).is_err() {
        let complaint = Complaint::new(tollgate_model::name::InvalidName.to_string(), "name it as its file would be");
        let problem = Problem::new(&Place::Root.key("name"), complaint);
        return Err(Refusal::Problems(Problems::from(problem)));
    }
    let bytes = body::module(&caller.headers, body).await?;
    let module = caller.writer.inspect(bytes.to_vec()).await.map_err(|message| {
        Refusal::Problems(Problems::from(Problem::new(&Place::Root, format!("the module {message}"))))
    })?;
    let done = caller.write(&Upload { name, module, bytes: bytes.to_vec() }).await?;
    let Uploaded { name, module, is_new } = &done.written.outcome;
    let status = if *is_new { StatusCode::CREATED } else { StatusCode::OK };
    done.answer(status, &ModuleRow { name, module })
}

async fn delete(caller: Caller, Segment(name): Segment<String>) -> Result<Response, Refusal> {
    let done = caller.write(&Delete { kind: Kind::Module, name, conditions: caller.conditions() }).await?;
    done.empty()
}

struct Upload {
    name: String,
    module: StoredModule,
    bytes: Vec<u8>,
}

struct Uploaded {
    name: String,
    module: StoredModule,
    is_new: bool,
}

impl Plan for Upload {
    type Outcome = Uploaded;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Uploaded, WriteError> {
        let before = draft.row(Kind::Module, &self.name).await?;
        let body = serde_json::to_value(&self.module).expect("texts, numbers and JSON are JSON");
        draft.put(Kind::Module, &self.name, Vec::new(), body, None, None);
        draft.put_blob(self.module.digest.clone(), self.bytes.clone());
        Ok(Uploaded { name: self.name.clone(), module: self.module.clone(), is_new: before.is_none() })
    }
}
