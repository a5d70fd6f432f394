use serde_json::Value;

use super::Outcome;
use super::api::{Api, query, shown, table};
use crate::cli::ExplainArgs;

/// Worked out by the node; nothing is sent through it.
pub fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let mut parameters = vec![("method", args.method.to_ascii_uppercase()), ("url", args.url.clone())];
    parameters.extend(args.headers.iter().map(|header| ("header", header.clone())));
    parameters.extend(args.address.iter().map(|address| ("address", address.clone())));
    parameters.extend(args.consumer.iter().map(|consumer| ("consumer", consumer.clone())));
    let told = api.get(&query("/explain", parameters))?.json()?;
    api.show(&told, || rendered(&told))?;
    Ok(if told["route"].is_null() { Outcome::NotSo } else { Outcome::Done })
}

fn rendered(told: &Value) -> String {
    let request = &told["request"];
    let mut text = format!("{} {}{}\n", shown(&request["method"]), plain(&request["host"]), plain(&request["path"]));
    let route = &told["route"];
    if route.is_null() {
        text += "no route: it is answered with 404\n";
    } else {
        text += &format!("route {} ({})\n", shown(&route["name"]), matched(route));
        text += &service(&told["service"]);
    }
    text += &list("answered with 503 on this node", &told["degraded"], shown);
    if let Some(links) = told["chain"].as_array().filter(|links| !links.is_empty()) {
        let rows = links.iter().map(|link| {
            let runs = match link["runs"].as_bool() {
                Some(true) => "yes".to_owned(),
                Some(false) => format!("no, only when {}", link["when"]),
                None => format!("if {}", link["when"]),
            };
            [shown(&link["plugin"]), shown(&link["level"]), runs]
        });
        text += &format!("\n{}", table(["PLUGIN", "LEVEL", "RUNS"], rows));
    }
    text += &list("warning", &told["warnings"], shown);
    let other = |route: &Value| format!("{} ({}): {}", shown(&route["name"]), matched(route), shown(&route["why"]));
    text += &list("\nroutes that match too, in the order in which they would serve", &told["others"], other);
    text + &list("\nroutes that nearly match", &told["missed"], other)
}

/// Which of its hosts and paths it was.
fn matched(route: &Value) -> String {
    let part = |name: &str| (!route[name].is_null()).then(|| format!("{name} {}", shown(&route[name])));
    let mut parts: Vec<String> = [part("host"), part("path")].into_iter().flatten().collect();
    if route["priority"] != 0 {
        parts.push(format!("priority {}", shown(&route["priority"])));
    }
    if parts.is_empty() { "any host and path".to_owned() } else { parts.join(", ") }
}

fn service(service: &Value) -> String {
    let mut text = format!("service {}", shown(&service["name"]));
    if service["upstream"].is_null() {
        text += &format!(": {}{}\n", plain(&service["url"]), plain(&service["sends"]));
    } else {
        text += &format!(", upstream {}: {}\n", shown(&service["upstream"]), plain(&service["sends"]));
    }
    for target in service["targets"].as_array().into_iter().flatten() {
        let out = &target["out"];
        let state = match out.is_null() {
            true => String::new(),
            false => format!(", {}: {}", shown(&out["state"]), shown(&out["reason"])),
        };
        text += &format!("  target {}, weight {}{state}\n", shown(&target["address"]), shown(&target["weight"]));
    }
    text
}

fn list(heading: &str, items: &Value, shown: impl Fn(&Value) -> String) -> String {
    match items.as_array().map(Vec::as_slice).unwrap_or_default() {
        [] => String::new(),
        items => items.iter().fold(format!("{heading}:\n"), |text, item| format!("{text}  {}\n", shown(item))),
    }
}

/// Nothing where there is nothing.
fn plain(value: &Value) -> String {
    if value.is_null() { String::new() } else { shown(value) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_that_is_known_of_a_request_is_told() {
        let candidate = |name: &str, why: &str| json!({ "name": name, "service": "s", "host": null, "path": "/", "priority": 7, "why": why });
        let told = json!({
            "request": { "method": "GET", "host": "a.test", "path": "/v2/x", "query": "" },
            "route": { "name": "v2", "service": "s", "host": "a.test", "path": "/v2", "priority": 0 },
            "others": [candidate("rest", "`v2` names the path more exactly")],
            "missed": [candidate("post", "the method is none of its methods")],
            "service": { "name": "s", "upstream": "u", "sends": "/x", "targets": [
                { "address": "b:80", "weight": 100 },
                { "address": "c:80", "weight": 50, "out": { "state": "ejected", "reason": "reset" } },
            ] },
            "chain": [
                { "plugin": "auth", "level": "global", "runs": true },
                { "plugin": "limit", "level": "route", "runs": false, "when": { "methods": ["POST"] } },
                { "plugin": "deny", "level": "route", "runs": null, "when": { "addresses": ["::1"] } },
            ],
            "degraded": ["route v2: no module"],
            "warnings": ["too early"],
        });
        let text = rendered(&told);
        for part in [
            "GET a.test/v2/x\nroute v2 (host a.test, path /v2)\nservice s, upstream u: /x\n",
            "target b:80, weight 100\n",
            "target c:80, weight 50, ejected: reset\n",
            "answered with 503 on this node:\n  route v2: no module",
            "auth    global  yes\n",
            "no, only when {\"methods\":[\"POST\"]}",
            "if {\"addresses\":[\"::1\"]}",
            "warning:\n  too early",
            "rest (path /, priority 7): `v2` names the path more exactly",
            "nearly match:\n  post",
        ] {
            assert!(text.contains(part), "{part}\n---\n{text}");
        }
        let none = json!({ "request": told["request"], "route": null, "missed": told["missed"], "chain": [] });
        assert!(rendered(&none).contains("no route: it is answered with 404\n\nroutes that nearly match"));
    }
}
