//! Stored rows as they are shown.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use tollgate_model::decode::{Decode, Place};
use tollgate_model::entity::{Certificate, ChainEntry, Consumer, Plugin, Route, Service, Sni, Upstream};
use tollgate_model::{Kind, Problems, secrets};
use tollgate_store::database::Row;

use crate::Timestamp;
use crate::configuration::Vault;
use crate::view::{
    CertificateView, ChainEntryView, ConsumerView, PluginView, RouteView, ServiceView, SniView, UpstreamView,
};

/// An entity of a row, decoded.
pub(super) enum Entity {
    Chain(Vec<ChainEntry>),
    Service(Service),
    Upstream(Upstream),
    Route(Route),
    Consumer(Consumer),
    Certificate(Certificate),
    Sni(Sni),
    Plugin(Plugin),
    /// What this version can't read.
    Unreadable {
        name: String,
        body: Value,
        problem: String,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum EntityView<'a> {
    Chain {
        chain: Vec<ChainEntryView<'a>>,
    },
    Service(ServiceView<'a>),
    Upstream(UpstreamView<'a>),
    Route(RouteView<'a>),
    Consumer(ConsumerView<'a>),
    Certificate(CertificateView<'a>),
    Sni(SniView<'a>),
    Plugin(PluginView<'a>),
    Unreadable {
        name: &'a str,
        problem: &'a str,
        #[serde(flatten)]
        body: Value,
    },
}

impl Entity {
    pub(super) fn of_row(row: &Row, vault: &Vault) -> Entity {
        let opened = vault.open(row.kind, &row.name, &row.body);
        if let Some(problem) = opened.problem {
            return Entity::Unreadable { name: row.name.clone(), body: opened.body, problem };
        }
        Entity::read(row.kind, &row.name, &row.tags, opened.body)
    }

    /// `body`: without name and tags, secrets in the clear.
    pub(super) fn read(kind: Kind, name: &str, tags: &[String], body: Value) -> Entity {
        let whole = whole(kind, name, tags, body.clone());
        let mut problems = Problems::default();
        let entity = match kind {
            Kind::Chain => decode(&whole["chain"], &mut problems).map(Entity::Chain),
            Kind::Service => decode(&whole, &mut problems).map(Entity::Service),
            Kind::Upstream => decode(&whole, &mut problems).map(Entity::Upstream),
            Kind::Route => decode(&whole, &mut problems).map(Entity::Route),
            Kind::Consumer => decode(&whole, &mut problems).map(Entity::Consumer),
            Kind::Certificate => decode(&whole, &mut problems).map(Entity::Certificate),
            Kind::Sni => decode(&whole, &mut problems).map(Entity::Sni),
            Kind::Plugin => decode(&whole, &mut problems).map(Entity::Plugin),
            Kind::Key | Kind::Token | Kind::Module => None,
        };
        entity.unwrap_or_else(|| Entity::Unreadable { name: name.to_owned(), body, problem: problems.to_string() })
    }

    pub(super) fn view(&self) -> EntityView<'_> {
        match self {
            Entity::Chain(chain) => EntityView::Chain { chain: ChainEntryView::list(chain) },
            Entity::Service(service) => EntityView::Service(ServiceView::from(service)),
            Entity::Upstream(upstream) => EntityView::Upstream(UpstreamView::from(upstream)),
            Entity::Route(route) => EntityView::Route(RouteView::from(route)),
            Entity::Consumer(consumer) => EntityView::Consumer(ConsumerView::from(consumer)),
            Entity::Certificate(certificate) => EntityView::Certificate(CertificateView::from(certificate)),
            Entity::Sni(sni) => EntityView::Sni(SniView::from(sni)),
            Entity::Plugin(plugin) => EntityView::Plugin(PluginView::from(plugin)),
            Entity::Unreadable { name, body, problem } => {
                EntityView::Unreadable { name, problem, body: secrets::hide_freely(body) }
            }
        }
    }
}

fn decode<T: Decode>(value: &Value, problems: &mut Problems) -> Option<T> {
    T::decode(value, &Place::Root, problems).filter(|_| problems.is_empty())
}

/// As in a file.
pub(super) fn whole(kind: Kind, name: &str, tags: &[String], mut body: Value) -> Value {
    if let Value::Object(table) = &mut body {
        match kind {
            Kind::Chain => {}
            Kind::Sni => drop(table.insert("host".to_owned(), name.into())),
            _ => drop(table.insert("name".to_owned(), name.into())),
        }
        if !tags.is_empty() {
            table.insert("tags".to_owned(), tags.to_vec().into());
        }
    }
    body
}

/// A view, with what the store says of the row.
#[derive(Serialize)]
pub(super) struct StoredView<V> {
    #[serde(flatten)]
    pub(super) view: V,
    /// Of a dry run nothing follows.
    #[serde(flatten)]
    pub(super) record: Option<Record>,
    /// In which it changed last; of an answer to a write, which tells it anyway, left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Record {
    id: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Record {
    pub(super) fn of(row: &Row) -> Record {
        Record { id: row.id.clone(), created_at: moment(row.created_at), updated_at: moment(row.updated_at) }
    }
}

/// `milliseconds` since 1970.
pub(super) fn moment(milliseconds: i64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))
}

/// What is told of entities but not taken: it may come back in a body that was read here.
pub(super) fn told_only(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Plugin => &[
            "id",
            "created_at",
            "updated_at",
            "revision",
            "state",
            "reason",
            "generation",
            "digest",
            "used_by",
            "used_by_count",
        ],
        _ => &["id", "created_at", "updated_at", "revision"],
    }
}
