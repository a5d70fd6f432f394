//! `/tokens`: who may use this API. For admins only.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use tollgate_model::decode::{Decode, Fields, Place, one_of};
use tollgate_model::{Kind, Name, Problems};
use tollgate_store::database::{Filter, Row};

use super::Stored;
use super::access::now;
use super::body::{self, Also};
use super::caller::{Caller, List, Segment, json, next_page, with_etag, with_location};
use super::collection::{find, image};
use super::conditions::{Conditions, etag};
use super::entity::moment;
use super::expiry::Expiry;
use super::plan;
use crate::Timestamp;
use crate::configuration::{Role, TokenBody};
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/tokens", get(list).post(make)).route("/tokens/{name}", get(one).delete(delete))
}

#[derive(Serialize)]
struct TokenView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// How it begins.
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    id: String,
    created_at: Timestamp,
    revision: u64,
}

impl TokenView {
    fn of(row: &Row) -> TokenView {
        let body = serde_json::from_str::<TokenBody>(&row.body).ok();
        TokenView {
            name: row.name.clone(),
            role: body.as_ref().map(|body| body.role),
            prefix: body.as_ref().map(|body| body.prefix.clone()).unwrap_or_default(),
            expires_at: body.and_then(|body| body.expires_at).map(moment),
            id: row.id.clone(),
            created_at: moment(row.created_at),
            revision: row.revision,
        }
    }
}

async fn list(caller: Caller) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after"])?;
    let size = parameters.size()?;
    let after = parameters.get("after").map(str::to_owned);
    let filter = Filter { after, limit: size + 1, ..Filter::default() };
    let rows = caller.local().rows(Kind::Token, &filter).await?;
    let is_more = rows.len() > size as usize;
    let data: Vec<TokenView> = rows.iter().take(size as usize).map(TokenView::of).collect();
    let next = data.last().filter(|_| is_more).map(|token| next_page(&caller, &parameters, &token.name));
    json(StatusCode::OK, &List { data, next })
}

async fn one(caller: Caller, Segment(name): Segment<String>) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let row = find(&caller, Kind::Token, &name).await?;
    Ok(with_etag(json(StatusCode::OK, &TokenView::of(&row))?, &etag(&row)))
}

async fn make(caller: Caller, body: Body) -> Result<Response, Refusal> {
    let table = body::table(&caller.headers, body, Also::Form).await?;
    let mut problems = Problems::default();
    let sent = SentToken::decode(&Value::Object(table), &Place::Root, &mut problems);
    let Some(SentToken { name, role, expires_at }) = sent else { return Err(Refusal::Problems(problems)) };
    let name = name.map_or_else(|| format!("token-{:08x}", rand::random::<u32>()), String::from);
    let done = caller.write(&MakeToken { name, role, expires_at }).await?;
    let Made { name, token, prefix } = &done.written.outcome;
    let row = done.written.step.as_ref().and_then(|step| image(step, Kind::Token, name));
    let body = NewToken { name, role, token, prefix, expires_at: expires_at.map(moment), id: row.map(|row| &*row.id) };
    let mut response = done.answer(StatusCode::CREATED, &body)?;
    if let Some(row) = row {
        response = with_location(with_etag(response, &etag(row)), &caller.link(&format!("/tokens/{name}")));
    }
    Ok(response)
}

/// A token as it is shown this once.
#[derive(Serialize)]
struct NewToken<'a> {
    name: &'a str,
    role: Role,
    token: &'a str,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

struct SentToken {
    name: Option<Name>,
    role: Role,
    expires_at: Option<i64>,
}

impl Decode for SentToken {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<SentToken> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.maybe("name");
        let role = fields.maybe_with("role", |value, place, problems| {
            one_of(value, place, problems, &[("admin", Role::Admin), ("read-only", Role::ReadOnly)])
        });
        let expires_at = fields.maybe("expires_at").map(|Expiry(at)| at);
        fields.finish()?;
        // Who says nothing gets the one that can do the least harm.
        Some(SentToken { name, role: role.unwrap_or(Role::ReadOnly), expires_at })
    }
}

/// Makes a token.
pub(super) struct MakeToken {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) expires_at: Option<i64>,
}

pub(super) struct Made {
    name: String,
    pub(super) token: String,
    prefix: String,
}

impl Plan for MakeToken {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        if draft.row(Kind::Token, &self.name).await?.is_some() {
            return Err(WriteError::Conflict(format!("there is a token `{}` already", self.name)));
        }
        let (token, prefix) = tollgate_keys::generate_token();
        let token = token.expose_secret().to_owned();
        put(
            draft,
            &self.name,
            &token,
            TokenBody { role: self.role, prefix: prefix.clone(), expires_at: self.expires_at },
        );
        Ok(Made { name: self.name.clone(), token, prefix })
    }
}

pub(super) fn put(draft: &mut Draft<'_>, name: &str, token: &str, body: TokenBody) {
    let fingerprint = draft.vault().pepper().hash_token(token.as_bytes()).to_hex();
    let body = serde_json::to_value(body).expect("a role, a text and a number are JSON");
    draft.put(Kind::Token, name, Vec::new(), body, None, Some(fingerprint));
}

async fn delete(caller: Caller, Segment(name): Segment<String>) -> Result<Response, Refusal> {
    let plan = DeleteToken { name, conditions: caller.conditions() };
    caller.write(&plan).await?.empty()
}

struct DeleteToken {
    name: String,
    conditions: Conditions,
}

impl Plan for DeleteToken {
    type Outcome = ();

    /// The last one that can write stays, or nobody could make another.
    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        let row = plan::find(draft, Kind::Token, &self.name).await?;
        self.conditions.check(row.as_ref())?;
        let Some(row) = row else { return Ok(()) };
        let stays = |other: &Row| {
            let body = serde_json::from_str::<TokenBody>(&other.body).ok();
            let lasts = |body: TokenBody| body.role == Role::Admin && body.expires_at.is_none_or(|at| at > now());
            other.name != row.name && body.is_some_and(lasts)
        };
        if !draft.all_rows(Kind::Token, None).await?.iter().any(stays) {
            return Err(WriteError::Conflict(format!(
                "`{}` is the last token that can change anything; make another one first",
                row.name
            )));
        }
        draft.delete(Kind::Token, &row.name);
        Ok(())
    }
}
