use std::collections::HashMap;

use serde_json::Value;

use super::{Decode, Fields, Place, at_least_one, one_of, parse_authority, text};
use crate::Problems;
use crate::entity::{Balance, Target, Upstream};
use crate::problem::{Complaint, Problem};

const DEFAULT_WEIGHT: u16 = 100;

impl Decode for Upstream {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Upstream> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.required("name");
        let balance = fields.maybe("balance").unwrap_or_default();
        let targets = fields.required_with("targets", targets);
        let ejection = fields.maybe("ejection").unwrap_or_default();
        let health_check = fields.maybe("health_check");
        let tags = fields.optional("tags", Vec::new());
        fields.finish()?;
        Some(Upstream { name: name?, balance, targets: targets?, ejection, health_check, tags })
    }
}

impl Decode for Balance {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Balance> {
        let choices = [("round-robin", Balance::RoundRobin), ("least-requests", Balance::LeastRequests)];
        one_of(value, place, problems, &choices)
    }
}

fn targets(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<Target>> {
    let before = problems.len();
    let targets: Vec<Target> = at_least_one(value, place, problems)?;
    if targets.iter().all(|target| target.weight == 0) {
        problems.add(Problem::new(place, "all weights are 0, so no target would be used").at_key());
    }
    let mut seen = HashMap::new();
    for (index, target) in targets.iter().enumerate() {
        if let Some(first) = seen.insert((&target.host, target.port), index) {
            let problem = Problem::new(&place.index(index).key("address"), "this target is there already");
            let problem = problem.with_elsewhere(&place.index(first).key("address"), "first named here");
            problems.add(problem.with_hint("give one entry a higher `weight` instead"));
        }
    }
    (problems.len() == before).then_some(targets)
}

impl Decode for Target {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Target> {
        let mut fields = Fields::open(value, place, problems);
        let address = fields.required_with("address", target_address);
        let weight = fields.optional("weight", DEFAULT_WEIGHT);
        fields.finish()?;
        let (host, port) = address?;
        Some(Target { host, port, weight })
    }
}

fn target_address(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<(String, u16)> {
    text(value, place, problems, "a host and a port such as \"10.0.0.1:8080\"", |text| {
        if text.contains('/') {
            return Err(Complaint::new("a target is only a host and a port", "as in \"10.0.0.1:8080\""));
        }
        let authority = parse_authority(text)?;
        match authority.port {
            Some(port) => Ok((authority.host, port)),
            None => Err(Complaint::new("the port is missing", "as in \"10.0.0.1:8080\" or \"[::1]:8080\"")),
        }
    })
}
