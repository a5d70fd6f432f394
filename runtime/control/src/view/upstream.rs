use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Balance, Target, Upstream};

use super::address;

#[derive(Serialize)]
pub(crate) struct UpstreamView<'a> {
    name: &'a Name,
    balance: &'static str,
    targets: Vec<TargetView>,
    tags: &'a [String],
}

#[derive(Serialize)]
pub(crate) struct TargetView {
    pub(crate) address: String,
    weight: u16,
}

impl<'a> From<&'a Upstream> for UpstreamView<'a> {
    fn from(upstream: &'a Upstream) -> UpstreamView<'a> {
        UpstreamView {
            name: &upstream.name,
            balance: match upstream.balance {
                Balance::RoundRobin => "round-robin",
                Balance::LeastRequests => "least-requests",
            },
            targets: upstream.targets.iter().map(TargetView::from).collect(),
            tags: &upstream.tags,
        }
    }
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> TargetView {
        TargetView { address: address::host_and_port(&target.host, target.port), weight: target.weight }
    }
}
