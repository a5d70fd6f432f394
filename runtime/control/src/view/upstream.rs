use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Balance, Ejection, HealthCheck, Target, Upstream};
use tollgate_model::units::TimeSpan;

use super::address;

#[derive(Serialize)]
pub(crate) struct UpstreamView<'a> {
    name: &'a Name,
    balance: &'static str,
    targets: Vec<TargetView>,
    ejection: EjectionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheckView<'a>>,
    tags: &'a [String],
}

#[derive(Serialize)]
pub(crate) struct TargetView {
    pub(crate) address: String,
    weight: u16,
}

#[derive(Serialize)]
struct EjectionView {
    failures: u32,
    connect_failures: u32,
    on: Vec<&'static str>,
    time: TimeSpan,
    longest: TimeSpan,
    most: u8,
}

#[derive(Serialize)]
struct HealthCheckView<'a> {
    path: &'a str,
    interval: TimeSpan,
    timeout: TimeSpan,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    statuses: &'a [u16],
    healthy: u32,
    unhealthy: u32,
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
            ejection: EjectionView::from(&upstream.ejection),
            health_check: upstream.health_check.as_ref().map(HealthCheckView::from),
            tags: &upstream.tags,
        }
    }
}

impl From<&Ejection> for EjectionView {
    fn from(ejection: &Ejection) -> EjectionView {
        let Ejection { failures, connect_failures, ref on, time, longest, most } = *ejection;
        let on = on.iter().map(|on| on.word()).collect();
        EjectionView { failures, connect_failures, on, time: TimeSpan(time), longest: TimeSpan(longest), most }
    }
}

impl<'a> From<&'a HealthCheck> for HealthCheckView<'a> {
    fn from(check: &'a HealthCheck) -> HealthCheckView<'a> {
        HealthCheckView {
            path: &check.path,
            interval: TimeSpan(check.interval),
            timeout: TimeSpan(check.timeout),
            statuses: &check.statuses,
            healthy: check.healthy,
            unhealthy: check.unhealthy,
        }
    }
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> TargetView {
        TargetView { address: address::host_and_port(&target.host, target.port), weight: target.weight }
    }
}
