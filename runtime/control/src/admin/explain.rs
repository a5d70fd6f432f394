//! `/explain`: how this node would serve a request, and why; nothing is sent.

mod answer;
mod question;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use tollgate_model::router;

use self::answer::Explanation;
use self::question::Question;
use super::Node;
use crate::refusal::Refusal;

/// `?method=&url=&header=Name: value`, the last any number of times; `address` and `consumer` are who asks. Worked out
/// beside the runtime: every route is looked at.
pub(super) async fn request(State(node): State<Node>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let question = Question::parse(query.as_deref().unwrap_or_default(), node.path_rules())?;
    let worked_out = tokio::task::spawn_blocking(move || {
        let (set, status) = (node.configuration(), node.status());
        let found = router::candidates(set.routes.values(), &question);
        let links = answer::links(found.matching.first(), &question, &set)?;
        super::answer::answer(&Explanation::new(&question, &set, &status, &found, &links))
    });
    worked_out.await.map_err(|error| Refusal::internal(&error))?
}

#[cfg(test)]
mod tests;
