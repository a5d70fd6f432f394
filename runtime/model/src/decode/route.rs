use serde_json::Value;

use super::{Decode, Fields, Place, at_least_one, pattern};
use crate::Problems;
use crate::entity::{PathPattern, Route};
use crate::problem::Complaint;

impl Decode for Route {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Route> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.required("name");
        let service = fields.required("service");
        let hosts = fields.maybe_with("hosts", at_least_one).unwrap_or_default();
        let paths: Vec<PathPattern> = fields.maybe_with("paths", at_least_one).unwrap_or_default();
        let methods = fields.maybe_with("methods", pattern::methods).unwrap_or_default();
        let headers = fields.maybe_with("headers", pattern::headers).unwrap_or_default();
        let query = fields.maybe_with("query", pattern::query).unwrap_or_default();
        let priority = fields.optional("priority", 0);
        let strip_path = fields.optional("strip_path", false);
        let preserve_host = fields.optional("preserve_host", false);
        let chain = fields.optional("chain", Vec::new());
        let tags = fields.optional("tags", Vec::new());
        check_conditions(&mut fields);
        if strip_path {
            check_strip(&mut fields, &paths);
        }
        fields.finish()?;
        Some(Route {
            name: name?,
            service: service?,
            hosts,
            paths,
            methods,
            headers,
            query,
            priority,
            strip_path,
            preserve_host,
            chain,
            tags,
        })
    }
}

/// A route with nothing to match on is a mistake more often than a wish, and the wish is easily said.
fn check_conditions(fields: &mut Fields<'_, '_>) {
    let any = ["hosts", "paths", "methods", "headers", "query"].into_iter().any(|key| fields.has(key));
    // A key that is unknown may be the misspelt condition: the hint would open the route to everything.
    if !any && !fields.has_unknown() {
        fields.refuse_table(Complaint::new(
            "the route has no condition: `hosts`, `paths`, `methods`, `headers` or `query`",
            "to match every request write paths = [\"/\"]",
        ));
    }
}

fn check_strip(fields: &mut Fields<'_, '_>, paths: &[PathPattern]) {
    let strips = |path: &PathPattern| matches!(path, PathPattern::Prefix(prefix) if prefix != "/");
    // A path that was refused might have been one.
    if !paths.iter().any(strips) && (!paths.is_empty() || !fields.has("paths")) {
        fields.refuse_key(
            "strip_path",
            Complaint::new("there is nothing to strip", "`paths` needs a prefix such as \"/orders\" for that"),
        );
    }
}
