use std::borrow::Cow;

use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Destination, Protocol, Retries, Scheme, Service, Timeouts, UpstreamTls};
use tollgate_model::units::{ByteSize, TimeSpan};

use super::{ChainEntryView, address};

#[derive(Serialize)]
pub(crate) struct ServiceView<'a> {
    name: &'a Name,
    #[serde(flatten)]
    origin: OriginView<'a>,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsView<'a>>,
    timeouts: TimeoutsView,
    retries: RetriesView<'a>,
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

/// Where the files are; never what is in them.
#[derive(Serialize)]
struct TlsView<'a> {
    verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<&'a Name>,
}

#[derive(Serialize)]
struct RetriesView<'a> {
    attempts: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_try_timeout: Option<TimeSpan>,
    on: Vec<&'static str>,
    methods: Vec<&'a str>,
    body_size: ByteSize,
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> ServiceView<'a> {
        ServiceView {
            name: &service.name,
            origin: OriginView::from(service),
            protocol: match service.protocol {
                Protocol::Http1 => "http1",
                Protocol::Http2 => "http2",
                Protocol::Auto => "auto",
            },
            tls: (service.destination.scheme() == Scheme::Https).then(|| TlsView::from(&service.tls)),
            timeouts: TimeoutsView::from(service.timeouts),
            retries: RetriesView::from(&service.retries),
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
pub(crate) fn url(scheme: Scheme, host: &str, port: u16) -> String {
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

impl<'a> From<&'a UpstreamTls> for TlsView<'a> {
    fn from(tls: &'a UpstreamTls) -> TlsView<'a> {
        TlsView {
            verify: tls.verify,
            ca_file: tls.ca_file.as_ref().map(|file| file.to_string_lossy()),
            server_name: tls.server_name.as_deref(),
            client_certificate: tls.client_certificate.as_ref(),
        }
    }
}

impl<'a> From<&'a Retries> for RetriesView<'a> {
    fn from(retries: &'a Retries) -> RetriesView<'a> {
        RetriesView {
            attempts: retries.attempts,
            per_try_timeout: retries.per_try_timeout.map(TimeSpan),
            on: retries.on.iter().map(|on| on.word()).collect(),
            methods: retries.methods.iter().map(|method| method.as_str()).collect(),
            body_size: ByteSize(retries.body_size),
        }
    }
}
