//! The document says what there is, and all of it.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::HttpMethod;

use super::*;
use crate::admin::stored::openapi::{document, endpoints};

fn word(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        _ => "DELETE",
    }
}

#[test]
fn every_path_takes_the_methods_that_are_documented_and_no_other() {
    let bench = Bench::start();
    let mut by_path = std::collections::BTreeMap::<String, BTreeSet<&str>>::new();
    for endpoint in endpoints() {
        by_path.entry(endpoint.path).or_default().insert(word(&endpoint.method));
    }
    for (path, methods) in &by_path {
        let refused = bench.call("TRACE", &path.replace(['{', '}'], ""), &[], None);
        assert_eq!((refused.status, refused.message().is_empty()), (405, false), "{path}");
        let allowed = refused.field("allow").expect("an Allow").split(',').filter(|method| *method != "HEAD");
        assert_eq!(&allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
    let listed = bench.get("/").json();
    let listed: BTreeSet<&str> = listed["paths"].as_array().expect("paths").iter().filter_map(Value::as_str).collect();
    let documented: BTreeSet<&str> = by_path.keys().map(String::as_str).filter(|path| *path != "/").collect();
    assert_eq!(listed, documented);
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let bench = Bench::start();
    let served = bench.get("/openapi.json").json();
    assert_eq!(served, serde_json::to_value(document(String::new())).expect("JSON"));
    let mut found = 0;
    each_reference(&served, &mut |reference| {
        found += 1;
        let pointer = reference.strip_prefix('#').expect("of this document");
        assert!(served.pointer(pointer).is_some(), "{reference}");
    });
    assert!(found > 100, "{found}");
    let ids: Vec<&str> = served["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|item| item.as_object().expect("methods").values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

fn each_reference(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(table) => table.iter().for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => visit(reference),
            (_, value) => each_reference(value, visit),
        }),
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, visit)),
        _ => {}
    }
}

/// What is refused names all keys that are known.
#[test]
fn schemas_and_decoding_know_the_same_keys() {
    let bench = Bench::start();
    let served = bench.get("/openapi.json").json();
    for (section, schema) in [
        ("services", "Service"),
        ("upstreams", "Upstream"),
        ("routes", "Route"),
        ("plugins", "Plugin"),
        ("consumers", "Consumer"),
        ("certificates", "Certificate"),
        ("snis", "Sni"),
    ] {
        let refused =
            bench.post(&format!("/{section}"), serde_json::json!({ "name": "a", "host": "a", "qqqqqqqq": 1 })).json();
        let problems = refused["problems"].as_array().expect("problems");
        let unknown =
            problems.iter().find(|problem| problem["path"].as_str().is_some_and(|path| path.ends_with("qqqqqqqq")));
        let hint = unknown.expect("it is unknown")["hint"].as_str().expect("a hint").to_owned();
        let known: BTreeSet<&str> = hint.strip_prefix("known here: ").expect("a list").split(", ").collect();
        let properties = served["components"]["schemas"][schema]["properties"].as_object().expect("properties");
        let documented: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(documented, known, "{schema}");
    }
}
