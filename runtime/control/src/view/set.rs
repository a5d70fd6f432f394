use serde::Serialize;
use tollgate_model::ConfigSet;

use super::{CertificateView, ChainEntryView, ConsumerView, PluginView, RouteView, ServiceView, SniView, UpstreamView};

/// A whole configuration, as in the file.
#[derive(Serialize)]
pub(crate) struct SetView<'a> {
    chain: Vec<ChainEntryView<'a>>,
    services: Vec<ServiceView<'a>>,
    upstreams: Vec<UpstreamView<'a>>,
    routes: Vec<RouteView<'a>>,
    consumers: Vec<ConsumerView<'a>>,
    certificates: Vec<CertificateView<'a>>,
    snis: Vec<SniView<'a>>,
    plugins: Vec<PluginView<'a>>,
}

impl<'a> From<&'a ConfigSet> for SetView<'a> {
    fn from(set: &'a ConfigSet) -> SetView<'a> {
        SetView {
            chain: ChainEntryView::list(&set.chain),
            services: set.services.values().map(|service| ServiceView::from(&**service)).collect(),
            upstreams: set.upstreams.values().map(|upstream| UpstreamView::from(&**upstream)).collect(),
            routes: set.routes.values().map(|route| RouteView::from(&**route)).collect(),
            consumers: set.consumers.values().map(|consumer| ConsumerView::from(&**consumer)).collect(),
            certificates: set.certificates.values().map(|certificate| CertificateView::from(&**certificate)).collect(),
            snis: set.snis.iter().map(|sni| SniView::from(&**sni)).collect(),
            plugins: set.plugins.values().map(|plugin| PluginView::from(&**plugin)).collect(),
        }
    }
}
