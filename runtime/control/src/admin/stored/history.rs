//! `/revisions`, going back to one of them, and `/audit`.

use std::collections::HashSet;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::Value;
use tollgate_model::Kind;
use tollgate_model::secrets::{self, HIDDEN};
use tollgate_store::database::{AuditEntry, Change, Edit, Row, Step};

use super::Stored;
use super::caller::{Caller, List, Segment, json, next_page};
use super::entity::moment;
use super::parameters::revision_number;
use super::plan;
use crate::Timestamp;
use crate::refusal::Refusal;
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new()
        .route("/revisions", get(list))
        .route("/revisions/{number}", get(one))
        .route("/revisions/{number}/rollback", post(roll_back))
        .route("/audit", get(audit))
}

#[derive(Serialize)]
struct StepView {
    revision: u64,
    id: String,
    at: Timestamp,
    author: String,
    action: String,
    /// The first hundred in a list, all of one revision.
    changes: Vec<ChangeView>,
    count: usize,
}

/// What became of an entity.
#[derive(Serialize)]
pub(super) struct ChangeView {
    action: &'static str,
    kind: &'static str,
    name: String,
    /// Without secrets; only where one revision is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl ChangeView {
    pub(super) fn new(kind: Kind, name: &str, was: bool, is: bool) -> ChangeView {
        let action = match (was, is) {
            (false, _) => "created",
            (true, true) => "updated",
            (true, false) => "deleted",
        };
        ChangeView { action, kind: kind.word(), name: name.to_owned(), before: None, after: None }
    }

    pub(super) fn with_bodies(self, before: Option<Value>, after: Option<Value>) -> ChangeView {
        ChangeView { before, after, ..self }
    }

    fn of(change: &Change) -> ChangeView {
        ChangeView::new(change.kind, &change.name, change.before.is_some(), change.after.is_some())
    }

    fn whole(change: &Change) -> ChangeView {
        let body = |row: &Row| shown(row);
        ChangeView::of(change).with_bodies(change.before.as_ref().map(body), change.after.as_ref().map(body))
    }
}

/// A stored body as it is, without what is sealed.
fn shown(row: &Row) -> Value {
    let mut body = serde_json::from_str(&row.body).unwrap_or_default();
    hide_sealed(&mut body);
    let mut body = secrets::hide_freely(&body);
    if let (Value::Object(table), false) = (&mut body, row.tags.is_empty()) {
        table.insert("tags".to_owned(), row.tags.clone().into());
    }
    body
}

fn hide_sealed(value: &mut Value) {
    match value {
        Value::Object(table) if table.len() == 1 && table.contains_key("$sealed") => *value = HIDDEN.into(),
        Value::Object(table) => table.values_mut().for_each(hide_sealed),
        Value::Array(items) => items.iter_mut().for_each(hide_sealed),
        _ => {}
    }
}

impl StepView {
    fn of(step: &Step, changes: Vec<ChangeView>) -> StepView {
        let Step { revision, at, author, action, .. } = step;
        StepView {
            revision: revision.number,
            id: revision.id.clone(),
            at: moment(*at),
            author: author.clone(),
            action: action.clone(),
            changes,
            count: step.changes.len(),
        }
    }
}

/// Newest first.
async fn list(caller: Caller) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after"])?;
    let (size, after) = (parameters.size()?, parameters.number("after")?);
    let feed = caller.writer.feed();
    let steps = match feed.database().steps(after, size + 1).await {
        // This node's copy knows what it followed itself.
        Err(error) if error.is_away() => feed.local().steps(after, size + 1).await?,
        steps => steps?,
    };
    let is_more = steps.len() > size as usize;
    let changes = |step: &Step| step.changes.iter().take(SHOWN_CHANGES).map(ChangeView::of).collect();
    let data: Vec<StepView> = steps.iter().take(size as usize).map(|step| StepView::of(step, changes(step))).collect();
    let next = data.last().filter(|_| is_more).map(|step| next_page(&caller, &parameters, &step.revision.to_string()));
    json(StatusCode::OK, &List { data, next })
}

async fn one(caller: Caller, Segment(number): Segment<String>) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let no = || Refusal::NotThere(format!("there is no revision `{number}` (any more)"));
    let (feed, known) = (caller.writer.feed(), revision_number(&number).ok_or_else(no)?);
    let step = match feed.database().step(known).await {
        Err(error) if error.is_away() => feed.local().step(known).await?,
        step => step?,
    };
    let step = step.ok_or_else(no)?;
    json(StatusCode::OK, &StepView::of(&step, step.changes.iter().map(ChangeView::whole).collect()))
}

/// A new revision in which everything is as it was in an old one; see [`RollBack`] for what is not.
async fn roll_back(caller: Caller, Segment(number): Segment<String>) -> Result<Response, Refusal> {
    let no = || Refusal::NotThere(format!("there is no revision `{number}` (any more)"));
    let number = revision_number(&number).ok_or_else(no)?;
    let done = caller.write(&RollBack { number }).await?;
    let Some(changes) = &done.written.outcome else { return Err(no()) };
    done.answer(
        StatusCode::OK,
        &Changes { count: changes.len(), changes: &changes[..changes.len().min(SHOWN_CHANGES)] },
    )
}

/// What a write of many entities did.
#[derive(Serialize)]
pub(super) struct Changes<'a> {
    pub(super) changes: &'a [ChangeView],
    pub(super) count: usize,
}

/// Tokens stay as they are, or going back could shut everybody out, or let somebody in again. Keys come and go with
/// their consumers only: one that was revoked stays revoked.
struct RollBack {
    number: u64,
}

impl Plan for RollBack {
    type Outcome = Option<Vec<ChangeView>>;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Option<Vec<ChangeView>>, WriteError> {
        let Some(mut edits) = draft.images_at(self.number).await? else { return Ok(None) };
        let consumers: HashSet<String> = edits.iter().filter_map(consumer).collect();
        let mut brought_back = HashSet::new();
        for name in &consumers {
            if draft.row(Kind::Consumer, name).await?.is_none() {
                brought_back.insert(name.clone());
            }
        }
        edits.retain(|edit| match edit {
            Edit::Put(row) if row.kind == Kind::Key => {
                row.owner.as_ref().is_some_and(|owner| brought_back.contains(owner))
            }
            Edit::Put(row) => row.kind != Kind::Token,
            Edit::Delete { kind, .. } => !matches!(kind, Kind::Token | Kind::Key),
        });
        let mut changes = Vec::with_capacity(edits.len());
        for edit in edits {
            match edit {
                Edit::Put(row) => {
                    let was = draft.row(row.kind, &row.name).await?.is_some();
                    changes.push(ChangeView::new(row.kind, &row.name, was, true));
                    let opened = draft.vault().open(row.kind, &row.name, &row.body);
                    if let Some(problem) = opened.problem {
                        return Err(WriteError::Conflict(format!("the {} `{}`: {problem}", row.kind, row.name)));
                    }
                    draft.put(row.kind, &row.name, row.tags, opened.body, row.owner, row.fingerprint);
                }
                Edit::Delete { kind, name } => {
                    changes.push(ChangeView::new(kind, &name, true, false));
                    // A consumer with the keys that it got since.
                    plan::delete(draft, kind, &name).await?;
                }
            }
        }
        Ok(Some(changes))
    }
}

/// Of a consumer that is put.
fn consumer(edit: &Edit) -> Option<String> {
    match edit {
        Edit::Put(row) if row.kind == Kind::Consumer => Some(row.name.clone()),
        _ => None,
    }
}

#[derive(Serialize)]
struct AuditView {
    revision: u64,
    at: Timestamp,
    author: String,
    action: String,
    node: String,
    changes: Vec<AuditedView>,
    count: u64,
}

#[derive(Serialize)]
struct AuditedView {
    action: String,
    kind: String,
    name: String,
}

/// Newest first; kept for longer than revisions are.
async fn audit(caller: Caller) -> Result<Response, Refusal> {
    let parameters = caller.parameters(&["size", "after"])?;
    let (size, after) = (parameters.size()?, parameters.number("after")?);
    let entries = caller.writer.feed().database().audit(after, size + 1).await?;
    let is_more = entries.len() > size as usize;
    let data: Vec<AuditView> = entries.into_iter().take(size as usize).map(AuditView::of).collect();
    let next =
        data.last().filter(|_| is_more).map(|entry| next_page(&caller, &parameters, &entry.revision.to_string()));
    json(StatusCode::OK, &List { data, next })
}

impl AuditView {
    fn of(entry: AuditEntry) -> AuditView {
        let AuditEntry { revision, at, origin, entities, count } = entry;
        let changes = entities.into_iter().map(|(action, kind, name)| AuditedView { action, kind, name }).collect();
        AuditView {
            revision: revision.number,
            at: moment(at),
            author: origin.author,
            action: origin.action,
            node: origin.node,
            changes,
            count,
        }
    }
}

pub(super) const SHOWN_CHANGES: usize = 100;
