use super::{Ejection, HealthCheck};
use crate::Name;

/// A set of targets that answer alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: Name,
    pub balance: Balance,
    /// At least one.
    pub targets: Vec<Target>,
    pub ejection: Ejection,
    /// None: only requests tell how targets are.
    pub health_check: Option<HealthCheck>,
    pub tags: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted round robin.
    #[default]
    RoundRobin,
    /// The less loaded of two random targets, load divided by weight.
    LeastRequests,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Lower case; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// 0 to 65535, default 100; 0 takes the target out of the rotation.
    pub weight: u16,
}
