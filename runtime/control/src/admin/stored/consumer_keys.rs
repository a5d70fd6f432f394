//! `/consumers/{consumer}/keys`: API keys, shown once and then known by their hash.

mod sent;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use tollgate_model::decode::{Decode, Place};
use tollgate_model::problem::{Complaint, Problem};
use tollgate_model::{Kind, Name, Problems};
use tollgate_store::database::{Filter, Row};

use self::sent::SentKey;
pub(super) use self::sent::replace;
use super::Stored;
use super::body::{self, Also};
use super::caller::{Caller, List, Segment, json as answer, next_page, with_etag, with_location};
use super::collection::{find, image};
use super::conditions::{Conditions, etag};
use super::entity::moment;
use super::plan;
use crate::Timestamp;
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new()
        .route("/consumers/{name}/keys", get(list).post(make))
        .route("/consumers/{name}/keys/{id}", get(one).delete(delete))
}

/// A key as it is shown from then on.
#[derive(Serialize)]
pub(super) struct KeyView {
    id: String,
    consumer: String,
    /// How it begins.
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

impl KeyView {
    pub(super) fn of(row: &Row) -> KeyView {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let (consumer, id) = row.name.split_once('/').unwrap_or(("", &row.name));
        KeyView {
            id: id.to_owned(),
            consumer: consumer.to_owned(),
            prefix: body["prefix"].as_str().unwrap_or_default().to_owned(),
            expires_at: body["expires_at"].as_i64().map(moment),
            created_at: moment(row.created_at),
            revision: Some(row.revision),
        }
    }
}

async fn list(caller: Caller, Segment(consumer): Segment<String>) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after"])?;
    let size = parameters.size()?;
    let consumer = find(&caller, Kind::Consumer, &consumer).await?.name;
    let after = parameters.get("after").map(|id| format!("{consumer}/{id}"));
    let filter = Filter { owner: Some(consumer), tags: Vec::new(), after, limit: size + 1 };
    let rows = caller.local().rows(Kind::Key, &filter).await?;
    let is_more = rows.len() > size as usize;
    let data: Vec<KeyView> = rows.iter().take(size as usize).map(KeyView::of).collect();
    let next = data.last().filter(|_| is_more).map(|key| next_page(&caller, &parameters, &key.id));
    answer(StatusCode::OK, &List { data, next })
}

async fn one(caller: Caller, Segment((consumer, id)): Segment<(String, String)>) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let consumer = find(&caller, Kind::Consumer, &consumer).await?.name;
    let no = || Refusal::no(Kind::Key, &format!("{consumer}/{id}"));
    if id.contains(char::is_control) {
        return Err(no());
    }
    let row = caller.local().row(Kind::Key, &format!("{consumer}/{id}")).await?.ok_or_else(no)?;
    Ok(with_etag(answer(StatusCode::OK, &KeyView::of(&row))?, &etag(&row)))
}

async fn make(caller: Caller, Segment(consumer): Segment<String>, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let done = caller.write(&Make { consumer, sent: Value::Object(table) }).await?;
    let Made { consumer, id, key, prefix, expires_at } = &done.written.outcome;
    let name = format!("{consumer}/{id}");
    let row = done.written.step.as_ref().and_then(|step| image(step, Kind::Key, &name));
    let body = NewKey {
        id,
        consumer,
        key,
        prefix,
        expires_at: expires_at.map(moment),
        created_at: row.map(|row| moment(row.created_at)),
    };
    let mut response = done.answer(StatusCode::CREATED, &body)?;
    if let Some(row) = row {
        let location = caller.link(&format!("/consumers/{consumer}/keys/{id}"));
        response = with_location(with_etag(response, &etag(row)), &location);
    }
    Ok(response)
}

/// A key as it is shown this once.
#[derive(Serialize)]
struct NewKey<'a> {
    id: &'a str,
    consumer: &'a str,
    key: &'a str,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

async fn delete(caller: Caller, Segment((consumer, id)): Segment<(String, String)>) -> Result<Response, Refusal> {
    let plan = DeleteKey { consumer, id, conditions: caller.conditions() };
    caller.write(&plan).await?.empty()
}

struct Make {
    consumer: String,
    sent: Value,
}

struct Made {
    consumer: String,
    id: String,
    key: String,
    prefix: String,
    expires_at: Option<i64>,
}

impl Plan for Make {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        let missing = || WriteError::Missing { kind: Kind::Consumer, name: self.consumer.clone() };
        let consumer = plan::find(draft, Kind::Consumer, &self.consumer).await?.ok_or_else(missing)?.name;
        let mut problems = Problems::default();
        let sent = SentKey::decode(&self.sent, &Place::Root, &mut problems);
        let sent = problems.into_result(sent)?.unwrap_or_default();
        let id = match sent.id {
            Some(id) => id.to_string(),
            None => free_id(draft, &consumer).await?,
        };
        let name = format!("{consumer}/{id}");
        if draft.row(Kind::Key, &name).await?.is_some() {
            return Err(WriteError::Conflict(format!("the consumer `{consumer}` has a key `{id}` already")));
        }
        let (key, prefix) = match sent.key {
            Some(key) => (key.expose().to_owned(), prefix(key.expose())),
            None => {
                let (key, prefix) = tollgate_keys::generate_key();
                (key.expose_secret().to_owned(), prefix)
            }
        };
        put(draft, &consumer, &id, &key, &prefix, sent.expires_at);
        Ok(Made { consumer, id, key, prefix, expires_at: sent.expires_at })
    }
}

/// The first of `demo-1`, `demo-2` and so on.
async fn free_id(draft: &mut Draft<'_>, consumer: &str) -> Result<String, WriteError> {
    let taken = draft.all_rows(Kind::Key, Some(consumer)).await?;
    let is_free = |id: &String| !taken.iter().any(|row| row.name.split_once('/').is_some_and(|(_, own)| own == id));
    let ids = (1..).map(|number: u32| format!("{consumer}-{number}"));
    let id = ids.into_iter().find(is_free).unwrap_or_default();
    match Name::parse(&id) {
        Ok(_) => Ok(id),
        Err(_) => {
            let complaint =
                Complaint::new("the consumer's name is too long to make an id of it", "give the key an `id`");
            Err(Problem::new(&Place::Root.key("id"), complaint).into())
        }
    }
}

fn put(draft: &mut Draft<'_>, consumer: &str, id: &str, key: &str, prefix: &str, expires_at: Option<i64>) {
    let mut body = json!({ "prefix": prefix });
    if let Some(expires_at) = expires_at {
        body["expires_at"] = expires_at.into();
    }
    let fingerprint = draft.vault().pepper().hash_key(key.as_bytes()).to_hex();
    let name = format!("{consumer}/{id}");
    draft.put(Kind::Key, &name, Vec::new(), body, Some(consumer.to_owned()), Some(fingerprint));
}

/// Of a key that somebody chose: a quarter at most, so that enough is left to guess.
fn prefix(key: &str) -> String {
    key.chars().take((key.len() / 4).min(11)).collect()
}

struct DeleteKey {
    consumer: String,
    id: String,
    conditions: Conditions,
}

impl Plan for DeleteKey {
    type Outcome = ();

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        let consumer = plan::find(draft, Kind::Consumer, &self.consumer).await?;
        let row = match consumer {
            Some(consumer) => plan::find(draft, Kind::Key, &format!("{}/{}", consumer.name, self.id)).await?,
            None => None,
        };
        self.conditions.check(row.as_ref())?;
        if let Some(row) = row {
            draft.delete(Kind::Key, &row.name);
        }
        Ok(())
    }
}
