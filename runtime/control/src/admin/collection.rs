//! The entities, by kind: `/services`, `/services/{name}` and so on.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use tollgate_model::entity::{Certificate, Consumer, Route, Service, Upstream};
use tollgate_model::{ConfigSet, Name};

use super::Node;
use super::answer::{EntityName, answer};
use super::paging::Paging;
use crate::refusal::Refusal;
use crate::view::{CertificateView, ConsumerView, RouteView, ServiceView, SniView, TargetView, UpstreamView};

pub(super) fn routes() -> Router<Node> {
    Router::new()
        .merge(collection::<Service>())
        .merge(collection::<Upstream>())
        .merge(collection::<Route>())
        .merge(collection::<Consumer>())
        .merge(collection::<Certificate>())
        .route("/upstreams/{name}/targets", get(targets))
        .route("/snis", get(snis))
}

/// A kind of entity that is found by its name.
trait Collected: Sized + Send + Sync + 'static {
    const PATH: &str;
    /// In messages.
    const KIND: &str;
    type View<'a>: Serialize + From<&'a Self>;

    fn all(set: &ConfigSet) -> &BTreeMap<Name, Arc<Self>>;
}

macro_rules! collected {
    ($($entity:ty, $view:ident, $field:ident, $kind:literal;)*) => {$(
        impl Collected for $entity {
            const PATH: &str = concat!("/", stringify!($field));
            const KIND: &str = $kind;
            type View<'a> = $view<'a>;

            fn all(set: &ConfigSet) -> &BTreeMap<Name, Arc<Self>> {
                &set.$field
            }
        }
    )*};
}

collected! {
    Service, ServiceView, services, "service";
    Upstream, UpstreamView, upstreams, "upstream";
    Route, RouteView, routes, "route";
    Consumer, ConsumerView, consumers, "consumer";
    Certificate, CertificateView, certificates, "certificate";
}

fn collection<T: Collected>() -> Router<Node> {
    Router::new().route(T::PATH, get(list::<T>)).route(&format!("{}/{{name}}", T::PATH), get(one::<T>))
}

async fn list<T: Collected>(State(node): State<Node>, paging: Paging) -> Result<Response, Refusal> {
    let set = node.configuration();
    let rows = T::all(&set).iter().map(|(name, entity)| (name.as_str(), T::View::from(&**entity)));
    answer(&paging.page(rows))
}

async fn one<T: Collected>(State(node): State<Node>, EntityName(name): EntityName) -> Result<Response, Refusal> {
    let set = node.configuration();
    answer(&T::View::from(find::<T>(&set, name)?))
}

fn find<T: Collected>(set: &ConfigSet, name: String) -> Result<&T, Refusal> {
    match T::all(set).get(name.as_str()) {
        Some(entity) => Ok(entity),
        None => Err(Refusal::NoEntity { kind: T::KIND, name }),
    }
}

async fn targets(State(node): State<Node>, EntityName(name): EntityName, paging: Paging) -> Result<Response, Refusal> {
    let set = node.configuration();
    let mut targets: Vec<_> = find::<Upstream>(&set, name)?.targets.iter().map(TargetView::from).collect();
    targets.sort_by(|a, b| a.address.cmp(&b.address));
    answer(&paging.page(targets.into_iter().map(|target| (target.address.clone(), target))))
}

async fn snis(State(node): State<Node>, paging: Paging) -> Result<Response, Refusal> {
    let set = node.configuration();
    let mut snis: Vec<_> = set.snis.iter().map(|sni| SniView::from(&**sni)).collect();
    snis.sort_by(|a, b| a.host.cmp(&b.host));
    answer(&paging.page(snis.into_iter().map(|sni| (sni.host.clone(), sni))))
}
