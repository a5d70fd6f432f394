use serde_json::Value;

use super::{Decode, Fields, Place, PositiveTime, at_least_one, text};
use crate::Problems;
use crate::entity::{Ejection, HealthCheck};
use crate::problem::Complaint;

impl Decode for Ejection {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Ejection> {
        let defaults = Ejection::default();
        let mut fields = Fields::open(value, place, problems);
        let failures = times(&mut fields, "failures", defaults.failures);
        let connect_failures = times(&mut fields, "connect_failures", defaults.connect_failures);
        let on = fields.maybe_with("on", at_least_one).unwrap_or(defaults.on);
        let time = fields.optional("time", PositiveTime(defaults.time)).0;
        let longest = fields.optional("longest", PositiveTime(defaults.longest.max(time))).0;
        if longest < time {
            fields.refuse("longest", Complaint::new("is shorter than `time`", "the time doubles from `time` on"));
        }
        let most = fields.optional("most", u16::from(defaults.most));
        if most > 100 {
            fields.refuse("most", Complaint::new("expected per cent, 0 to 100", "0 ejects no target"));
        }
        fields.finish()?;
        Some(Ejection { failures, connect_failures, on, time, longest, most: most as u8 })
    }
}

impl Decode for HealthCheck {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<HealthCheck> {
        let mut fields = Fields::open(value, place, problems);
        let path = fields.required_with("path", |value, place, problems| {
            text(value, place, problems, "a path such as \"/health\"", |text| {
                let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
                is_path.then(|| text.to_owned()).ok_or(Complaint::new("not a path", "as in \"/health?full=1\""))
            })
        });
        let interval = fields.optional("interval", PositiveTime(INTERVAL)).0;
        let timeout = fields.optional("timeout", PositiveTime(TIMEOUT.min(interval))).0;
        if timeout > interval {
            fields.refuse("timeout", Complaint::new("is longer than `interval`", "checks of a target would overlap"));
        }
        let statuses = fields.maybe_with("statuses", at_least_one::<u16>).unwrap_or_default();
        if statuses.iter().any(|status| !(200..=599).contains(status)) {
            fields.refuse("statuses", Complaint::new("a status is 200 to 599", "as in [200, 204]"));
        }
        let healthy = times(&mut fields, "healthy", HEALTHY);
        let unhealthy = times(&mut fields, "unhealthy", UNHEALTHY);
        fields.finish()?;
        Some(HealthCheck { path: path?, interval, timeout, statuses, healthy, unhealthy })
    }
}

fn times(fields: &mut Fields<'_, '_>, key: &'static str, default: u32) -> u32 {
    let times = fields.optional(key, default);
    if times == 0 {
        fields.refuse(key, Complaint::new("must be 1 at least", "leave it out for the default"));
    }
    times
}

const INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
const HEALTHY: u32 = 2;
const UNHEALTHY: u32 = 3;
