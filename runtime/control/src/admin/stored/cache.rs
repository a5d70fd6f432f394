//! `/cache`: what this node holds of the configuration in memory, and having it loaded anew.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use serde_json::{Value, json};
use tollgate_model::Kind;

use super::Stored;
use super::caller::{Caller, Segment, WRITING, json as answer};
use super::consumer_keys::KeyView;
use super::entity::EntityView;
use crate::configuration::Known;
use crate::refusal::Refusal;
use crate::view::{
    CertificateView, ChainEntryView, ConsumerView, PluginView, RouteView, ServiceView, SniView, UpstreamView,
};
use crate::writer::{Draft, Plan, WriteError};

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/cache/{kind}/{name}", get(held)).route("/cache", delete(drop_all))
}

async fn held(caller: Caller, Segment((section, name)): Segment<(String, String)>) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.section() == section && *kind != Kind::Token);
    let kind = kind.ok_or_else(|| Refusal::NotThere(format!("nothing is held of a kind `{section}`")))?;
    let known = caller.known();
    let held = match kind {
        Kind::Key if !name.contains(char::is_control) => {
            let row = caller.local().row(kind, &name).await?;
            row.map(|row| serde_json::to_value(KeyView::of(&row)))
        }
        Kind::Module => known.modules.get(&name).map(serde_json::to_value),
        kind => view(&known, kind, &name).map(serde_json::to_value),
    };
    let held: Value = match held {
        Some(held) => held.map_err(|error| Refusal::internal(&error))?,
        None => return Err(Refusal::no(kind, &name)),
    };
    let status = caller.writer.feed().status();
    let problem = known.set.broken.get(&(kind, name.clone()));
    answer(
        StatusCode::OK,
        &json!({
            "kind": kind.word(), "name": name, "held": held, "problem": problem,
            // Of all that is held, not of this entity alone.
            "revision": status.revision, "applied": status.applied,
        }),
    )
}

/// As decoded, whatever the database has.
fn view<'k>(known: &'k Known, kind: Kind, name: &str) -> Option<EntityView<'k>> {
    let set = &known.set;
    Some(match kind {
        Kind::Chain => {
            let chain = (name == Kind::GLOBAL).then(|| ChainEntryView::list(&set.chain))?;
            EntityView::Chain { chain }
        }
        Kind::Service => EntityView::Service(ServiceView::from(&**set.services.get(name)?)),
        Kind::Upstream => EntityView::Upstream(UpstreamView::from(&**set.upstreams.get(name)?)),
        Kind::Route => EntityView::Route(RouteView::from(&**set.routes.get(name)?)),
        Kind::Consumer => EntityView::Consumer(ConsumerView::from(&**set.consumers.get(name)?)),
        Kind::Certificate => EntityView::Certificate(CertificateView::from(&**set.certificates.get(name)?)),
        Kind::Plugin => EntityView::Plugin(PluginView::from(&**set.plugins.get(name)?)),
        Kind::Sni => EntityView::Sni(SniView::from(&**set.snis.iter().find(|sni| sni.host.to_string() == name)?)),
        Kind::Key | Kind::Token | Kind::Module => return None,
    })
}

/// `?scope=cluster`: every node's, by a revision that says so.
async fn drop_all(caller: Caller) -> Result<Response, Refusal> {
    let [dry_run, wait, timeout] = WRITING;
    let parameters = caller.parameters(&["scope", dry_run, wait, timeout])?;
    let is_cluster = parameters.one_of("scope", &[("node", false), ("cluster", true)])?.unwrap_or(false);
    if is_cluster {
        return caller.write_with(&Reload, &parameters).await?.empty();
    }
    if !parameters.flag(dry_run, false)? {
        caller.writer.feed().load_anew();
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A revision that changes nothing; feeds know it by its action.
struct Reload;

impl Plan for Reload {
    type Outcome = ();

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        draft.force_revision();
        Ok(())
    }
}
