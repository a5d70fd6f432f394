//! What the admin listener's `/plugins` says of a module.

use std::time::Duration;

use serde_json::Value;
use tollgate_tests::{Gateway, eventually, get};

/// The module's object, wherever it stands in the answer.
pub async fn module(gateway: &Gateway, name: &str) -> Value {
    let plugins = get("/plugins").send(gateway.admin).await.json();
    named(&plugins, name).unwrap_or_else(|| panic!("/plugins has no module {name}: {plugins}")).clone()
}

/// Waits until the module is `serving`, `stale`, `removed`, `loading` or `broken`.
pub async fn has_state(gateway: &Gateway, name: &str, state: &str) {
    eventually(Duration::from_secs(30), async || {
        let module = module(gateway, name).await;
        if module["state"] == state { Ok(()) } else { Err(format!("{name} is not {state}: {module}")) }
    })
    .await;
}

/// Waits until only the serving generation of the module is left.
pub async fn old_generations_gone(gateway: &Gateway, name: &str) {
    eventually(Duration::from_secs(20), async || {
        let module = module(gateway, name).await;
        if module["alive"] == 1 { Ok(()) } else { Err(format!("old generations stay: {module}")) }
    })
    .await;
}

fn named<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) if map.get("name").is_some_and(|n| n == name) && map.contains_key("alive") => Some(value),
        Value::Object(map) => map.values().find_map(|inner| named(inner, name)),
        Value::Array(items) => items.iter().find_map(|inner| named(inner, name)),
        _ => None,
    }
}
