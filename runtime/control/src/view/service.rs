use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Destination, Scheme, Service, Timeouts};
use tollgate_model::units::TimeSpan;

use super::{ChainEntryView, address};

#[derive(Serialize)]
pub(crate) struct ServiceView<'a> {
    name: &'a Name,
    #[serde(flatten)]
    origin: OriginView<'a>,
    timeouts: TimeoutsView,
    chain: Vec<ChainEntryView<'a>>,
    tags: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum OriginView<'a> {
    Url {
        url: String,
    },
    Upstream {
        upstream: &'a Name,
        scheme: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct TimeoutsView {
    connect: TimeSpan,
    response: TimeSpan,
    idle: TimeSpan,
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> ServiceView<'a> {
        ServiceView {
            name: &service.name,
            origin: OriginView::from(service),
            timeouts: TimeoutsView::from(service.timeouts),
            chain: ChainEntryView::list(&service.chain),
            tags: &service.tags,
        }
    }
}

impl<'a> From<&'a Service> for OriginView<'a> {
    fn from(service: &'a Service) -> OriginView<'a> {
        match &service.destination {
            Destination::Host { scheme, host, port } => {
                OriginView::Url { url: format!("{}{}", url(*scheme, host, *port), service.path) }
            }
            Destination::Upstream { scheme, upstream } => OriginView::Upstream {
                upstream,
                scheme: word(*scheme),
                path: (!service.path.is_empty()).then_some(&service.path),
            },
        }
    }
}

/// Without the port where it is the scheme's own.
fn url(scheme: Scheme, host: &str, port: u16) -> String {
    let authority = match (scheme, port) {
        (Scheme::Http, 80) | (Scheme::Https, 443) => address::host(host),
        _ => address::host_and_port(host, port),
    };
    format!("{}://{authority}", word(scheme))
}

fn word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

impl From<Timeouts> for TimeoutsView {
    fn from(timeouts: Timeouts) -> TimeoutsView {
        TimeoutsView {
            connect: TimeSpan(timeouts.connect),
            response: TimeSpan(timeouts.response),
            idle: TimeSpan(timeouts.idle),
        }
    }
}
