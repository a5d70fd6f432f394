use proptest::prelude::*;
use serde_json::json;

use super::*;

fn edit(kind: Kind, name: &str, body: Value) -> EntityEdit {
    EntityEdit { kind, name: name.to_owned(), body: Some(body) }
}

fn delete(kind: Kind, name: &str) -> EntityEdit {
    EntityEdit { kind, name: name.to_owned(), body: None }
}

fn quickstart() -> ConfigSet {
    let edits = [
        edit(Kind::Plugin, "key-auth", json!({ "grants": { "credentials": true } })),
        edit(Kind::Chain, Kind::GLOBAL, json!({ "chain": ["key-auth"] })),
        edit(Kind::Service, "orders", json!({ "url": "http://127.0.0.1:9000" })),
        edit(Kind::Route, "orders", json!({ "service": "orders", "paths": ["/orders"], "tags": ["a"] })),
        edit(Kind::Consumer, "demo", json!({})),
    ];
    ConfigSet::default().edit(&edits).expect("valid")
}

fn problems(edits: &[EntityEdit]) -> Vec<String> {
    let problems = quickstart().edit(edits).expect_err("refused");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn one_edit_leaves_all_else_as_it_is() {
    let set = quickstart();
    let next = set.edit(&[edit(Kind::Route, "new", json!({ "service": "orders", "paths": ["/new"] }))]).expect("valid");
    assert_eq!((next.routes.len(), set.routes.len()), (2, 1));
    assert!(Arc::ptr_eq(&next.routes["orders"], &set.routes["orders"]));
    let same = edit(Kind::Route, "orders", json!({ "service": "orders", "paths": ["/orders"], "tags": ["a"] }));
    let again = next.edit(&[same]).expect("valid");
    assert!(Arc::ptr_eq(&again.routes["orders"], &set.routes["orders"]), "it is equal");
    let gone = again.edit(&[delete(Kind::Route, "new"), delete(Kind::Route, "new")]).expect("nobody names it");
    assert_eq!(gone, set);
}

#[test]
fn all_that_is_wrong_is_told_at_its_place() {
    let found = problems(&[
        edit(Kind::Route, "a", json!({ "service": "order", "pahts": ["/"], "paths": ["a"], "chain": ["key-outh"] })),
        edit(Kind::Route, "b", json!({ "service": "orders", "paths": ["/orders"] })),
        edit(Kind::Sni, "A.example.com", json!({ "certificate": "main" })),
        delete(Kind::Plugin, "key-auth"),
        delete(Kind::Service, "orders"),
    ]);
    for told in [
        "routes.a.paths[0]: ",
        "routes.a.pahts: unknown key `pahts` (did you mean `paths`?)",
        "snis.\"A.example.com\": a host is written in lower case here",
        "routes.a.service: there is no service `order`",
        "plugins.key-auth: the plugin `key-auth` is still used by the global chain",
        "services.orders: the service `orders` is still used by the route `b` and 1 more",
        "routes.b: matches the same requests as the route `orders`, with the same priority",
    ] {
        assert!(found.iter().any(|problem| problem.starts_with(told)), "{told} in {found:#?}");
    }
}

#[test]
fn edits_are_one_unit() {
    let set = quickstart();
    let edits = [
        edit(Kind::Route, "new", json!({ "service": "new", "paths": ["/new"] })),
        edit(Kind::Service, "new", json!({ "url": "http://127.0.0.1:9001" })),
        delete(Kind::Route, "orders"),
        delete(Kind::Service, "orders"),
    ];
    let next = set.edit(&edits).expect("valid together");
    assert_eq!(next.routes.keys().map(Name::as_str).collect::<Vec<_>>(), ["new"]);
}

#[test]
fn what_a_newer_version_wrote_fails_closed_and_holds_nothing_up() {
    let set = quickstart();
    let next = set.follow(&[
        edit(Kind::Route, "orders", json!({ "service": "orders", "paths": ["/v2"], "new_protection": true })),
        edit(Kind::Consumer, "other", json!({})),
        edit(Kind::Service, "odd", json!({ "address": ["far", "away"] })),
        edit(Kind::Route, "odd", json!({ "service": "odd", "paths": ["/odd"] })),
    ]);
    assert!(next.consumers.contains_key("other"));
    let route = &next.routes["orders"];
    assert_eq!(route.paths[0].to_string(), "/v2", "what is known of it counts");
    assert!(next.route_chain(route).broken.expect("closed").contains("unknown key `new_protection`"));
    assert!(next.route_chain(&next.routes["odd"]).broken.expect("closed").contains("service `odd`"));
    let mended = next.follow(&[edit(Kind::Route, "orders", json!({ "service": "orders", "paths": ["/v2"] }))]);
    assert_eq!(mended.route_chain(&mended.routes["orders"]).broken, None);
}

#[test]
fn a_plugin_that_is_broken_or_gone_closes_its_routes() {
    let set = quickstart();
    let broken = set.follow(&[edit(Kind::Plugin, "key-auth", json!({ "module": 1 }))]);
    assert!(broken.route_chain(&broken.routes["orders"]).broken.is_some());
    let gone = set.follow(&[delete(Kind::Plugin, "key-auth")]);
    assert!(gone.route_chain(&gone.routes["orders"]).broken.expect("closed").contains("no plugin `key-auth`"));
}

fn any_edit() -> impl Strategy<Value = EntityEdit> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let other = prop::sample::select(vec!["a", "b", "c", "d"]);
    let path = prop::sample::select(vec!["/x", "/y", "=/x", "x"]);
    (0..6, name, other, path, any::<bool>()).prop_map(|(kind, name, other, path, put)| {
        let (kind, body) = match kind {
            0 => (Kind::Service, json!({ "url": "http://127.0.0.1:9000", "chain": [other] })),
            1 => (Kind::Service, json!({ "upstream": other })),
            2 => (Kind::Upstream, json!({ "targets": [{ "address": "127.0.0.1:1" }] })),
            3 => (Kind::Plugin, json!({ "module": "m" })),
            4 => (Kind::Consumer, json!({ "chain": [other, "a"] })),
            _ => (Kind::Route, json!({ "service": other, "paths": [path] })),
        };
        EntityEdit { kind, name: name.to_owned(), body: put.then_some(body) }
    })
}

/// The tree in which a file would say the same.
fn edited_tree(tree: &mut BTreeMap<(Kind, String), Value>, edits: &[EntityEdit]) -> Value {
    for edit in edits {
        let key = (edit.kind, edit.name.clone());
        match &edit.body {
            Some(body) => drop(tree.insert(key, with(body, "name", &edit.name))),
            None => drop(tree.remove(&key)),
        }
    }
    let mut whole = Map::new();
    for ((kind, _), body) in tree.iter() {
        let list = whole.entry(kind.section()).or_insert_with(|| json!([]));
        list.as_array_mut().expect("a list").push(body.clone());
    }
    Value::Object(whole)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_set_is_the_set_of_the_edited_tree(steps in prop::collection::vec(prop::collection::vec(any_edit(), 1..5), 1..6)) {
        let (mut set, mut tree) = (ConfigSet::default(), BTreeMap::new());
        for edits in steps {
            let mut next = tree.clone();
            let whole = edited_tree(&mut next, &edits);
            match (set.edit(&edits), ConfigSet::assemble(&whole, None)) {
                (Ok(edited), Ok(assembled)) => {
                    prop_assert_eq!(&edited, &assembled);
                    (set, tree) = (edited, next);
                }
                (Err(_), Err(_)) => {}
                (edited, assembled) => prop_assert!(false, "{edited:?}\n{assembled:?}\n{whole}"),
            }
        }
    }
}
