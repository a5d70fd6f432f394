//! The entities by kind: lists, one of them, and the writes that are the same for all.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tollgate_model::Kind;
use tollgate_store::database::{Filter, Row, Step};

use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, Done, List, Segment, json, next_page, with_etag, with_location};
use super::conditions::etag;
use super::entity::{Entity, EntityView, Record, StoredView};
use super::plan::{Delete, Made, Put, Way};
use crate::admin::plugins::{PluginRow, Rows};
use crate::refusal::Refusal;

/// Kinds with a list of their own that is read and written alike.
pub(super) const KINDS: [Kind; 7] =
    [Kind::Service, Kind::Upstream, Kind::Route, Kind::Plugin, Kind::Consumer, Kind::Certificate, Kind::Sni];

pub(super) fn routes() -> Router<Stored> {
    KINDS.into_iter().fold(Router::new(), |router, kind| {
        let path = format!("/{}", kind.section());
        let all = get(async move |caller: Caller| list(kind, &caller).await)
            .post(async move |caller: Caller, body: Body| post(kind, &caller, body).await);
        let one = get(async move |caller: Caller, Segment(name): Segment<String>| one(kind, &caller, &name).await)
            .put(async move |caller: Caller, Segment(name): Segment<String>, body: Body| {
                put(kind, &caller, &name, body).await
            })
            .patch(async move |caller: Caller, Segment(name): Segment<String>, body: Body| {
                patch(kind, &caller, &name, body).await
            })
            .delete(async move |caller: Caller, Segment(name): Segment<String>| delete(kind, &caller, &name).await);
        router.route(&path, all).route(&format!("{path}/{{name}}"), one)
    })
}

async fn list(kind: Kind, caller: &Caller) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after", "tags"])?;
    let size = parameters.size()?;
    let tags = parameters.get("tags").into_iter().flat_map(|tags| tags.split(',')).map(str::to_owned).collect();
    let after = parameters.get("after").map(str::to_owned);
    let mut rows = caller.local().rows(kind, &Filter { owner: None, tags, after, limit: size + 1 }).await?;
    let is_more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next = rows.last().filter(|_| is_more).map(|row| next_page(caller, &parameters, &row.name));
    let entities: Vec<Entity> = rows.iter().map(|row| Entity::of_row(row, caller.vault())).collect();
    let known = caller.known();
    let mut faring = (kind == Kind::Plugin).then(|| Rows::new(&known.set, caller.node.plugins()));
    let shown = rows.iter().zip(&entities).map(|(row, entity)| StoredView {
        view: Shown::of(entity, faring.as_mut()),
        record: Some(Record::of(row)),
        revision: Some(row.revision),
    });
    json(StatusCode::OK, &List { data: shown.collect(), next })
}

/// Plugins are shown with how they fare.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown<'a> {
    Plugin(Box<PluginRow<'a>>),
    Other(Box<EntityView<'a>>),
}

impl<'a> Shown<'a> {
    fn of(entity: &'a Entity, faring: Option<&mut Rows<'_>>) -> Shown<'a> {
        match (entity, faring) {
            (Entity::Plugin(plugin), Some(rows)) => Shown::Plugin(Box::new(rows.join(plugin))),
            (entity, _) => Shown::Other(Box::new(entity.view())),
        }
    }
}

async fn one(kind: Kind, caller: &Caller, name: &str) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let row = find(caller, kind, name).await?;
    // How a plugin fares changes without its row.
    if kind != Kind::Plugin && caller.conditions().is_fresh(&row) {
        return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), &etag(&row)));
    }
    let entity = Entity::of_row(&row, caller.vault());
    let known = caller.known();
    let mut faring = (kind == Kind::Plugin).then(|| Rows::new(&known.set, caller.node.plugins()));
    let view = Shown::of(&entity, faring.as_mut());
    let shown = StoredView { view, record: Some(Record::of(&row)), revision: Some(row.revision) };
    Ok(with_etag(json(StatusCode::OK, &shown)?, &etag(&row)))
}

/// By name or id, as this node has it.
pub(super) async fn find(caller: &Caller, kind: Kind, name: &str) -> Result<Row, Refusal> {
    let refusal = || Refusal::no(kind, name);
    if name.contains(char::is_control) {
        return Err(refusal());
    }
    if let Some(row) = caller.local().row(kind, name).await? {
        return Ok(row);
    }
    match super::plan::is_id(name) {
        true => caller.local().row_by_id(kind, name).await?.ok_or_else(refusal),
        false => Err(refusal()),
    }
}

async fn post(kind: Kind, caller: &Caller, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let plan = Put { kind, way: Way::Create, table, conditions: caller.conditions() };
    made(kind, caller, &caller.write(&plan).await?)
}

async fn put(kind: Kind, caller: &Caller, name: &str, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let plan = Put { kind, way: Way::Replace(name.to_owned()), table, conditions: caller.conditions() };
    made(kind, caller, &caller.write(&plan).await?)
}

async fn patch(kind: Kind, caller: &Caller, name: &str, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Patch).await?;
    let plan = Put { kind, way: Way::Merge(name.to_owned()), table, conditions: caller.conditions() };
    made(kind, caller, &caller.write(&plan).await?)
}

/// An entity that was made or changed.
pub(super) fn made(kind: Kind, caller: &Caller, done: &Done<Made>) -> Result<Response, Refusal> {
    let Made { name, tags, body, is_new } = &done.written.outcome;
    let row = done.written.step.as_ref().and_then(|step| image(step, kind, name));
    let entity = match row {
        Some(row) => Entity::of_row(row, caller.vault()),
        None => Entity::read(kind, name, tags, body.clone()),
    };
    let status = if *is_new { StatusCode::CREATED } else { StatusCode::OK };
    let shown = StoredView { view: entity.view(), record: row.map(Record::of), revision: None };
    let mut response = done.answer(status, &shown)?;
    if let Some(row) = row {
        response = with_etag(response, &etag(row));
        if *is_new {
            let segment = name.replace('*', "%2A");
            response = with_location(response, &caller.link(&format!("/{}/{segment}", kind.section())));
        }
    }
    Ok(response)
}

/// What a step made of an entity.
pub(super) fn image<'s>(step: &'s Step, kind: Kind, name: &str) -> Option<&'s Row> {
    let change = step.changes.iter().find(|change| change.kind == kind && change.name == name)?;
    change.after.as_ref()
}

/// Of what is not there, too: it is not there, as was asked for.
async fn delete(kind: Kind, caller: &Caller, name: &str) -> Result<Response, Refusal> {
    let plan = Delete { kind, name: name.to_owned(), conditions: caller.conditions() };
    caller.write(&plan).await?.empty()
}
