//! Which plugins a request meets.

use tollgate_tests::{Origin, Setup, get, post};

use crate::configs::{KEYED, chained};

fn marker(name: &str, value: &str) -> String {
    format!("[[plugins]]\nname = \"{name}\"\nmodule = \"marker\"\nconfig = {{ value = \"{value}\" }}\n")
}

/// The marker replaces its field, and responses pass the chain: the last one to run is seen.
#[tokio::test]
async fn entries_run_in_order_and_inner_ones_replace_outer_ones() {
    let origin = Origin::start();
    let config = format!(
        r#"
chain = ["one"]

[[services]]
name = "origin"
url = "{url}"

[[routes]]
name = "global"
service = "origin"
paths = ["/global"]

[[routes]]
name = "own"
service = "origin"
paths = ["/own"]
chain = ["two"]

[[routes]]
name = "conditional"
service = "origin"
paths = ["/conditional"]
chain = [{{ plugin = "two", when = {{ headers = {{ x-two = ["yes"] }} }} }}]

[[routes]]
name = "in-place"
service = "origin"
paths = ["/in-place"]
chain = ["two", "one"]

[[routes]]
name = "replaced"
service = "origin"
paths = ["/replaced"]
chain = [{{ plugin = "one", when = {{ headers = {{ x-one = ["yes"] }} }} }}]
"#,
        url = origin.url()
    ) + &marker("one", "one")
        + &marker("two", "two");
    let gateway = Setup::new(config).guests(&["marker"]).start().await;
    assert_eq!(gateway.get("/global").await.header("x-settings"), "one");
    assert_eq!(gateway.get("/own").await.header("x-settings"), "two", "the global entry runs first");
    assert_eq!(gateway.get("/in-place").await.header("x-settings"), "two", "it is replaced where it stood");
    assert_eq!(gateway.get("/replaced").await.header("x-settings"), "", "the condition of the inner one counts");
    let replaced = gateway.send(get("/replaced").header("x-one", "yes")).await;
    assert_eq!(replaced.header("x-settings"), "one");
    assert_eq!(gateway.get("/conditional").await.header("x-settings"), "one");
    let conditional = gateway.send(get("/conditional").header("x-two", "yes")).await;
    assert_eq!(conditional.header("x-settings"), "two");
}

#[tokio::test]
async fn a_consumer_s_own_entries_run_for_that_consumer() {
    let origin = Origin::start();
    let keyed = KEYED.replace("keys =", "chain = [\"two\"]\nkeys =");
    let other = "[[consumers]]\nname = \"other\"\nkeys = [{ key = \"other-key\" }]\n";
    let config = chained(&origin, &["key-auth"]) + &keyed + other + &marker("two", "two");
    let gateway = Setup::new(config).plugins(&["key-auth"]).guests(&["marker"]).start().await;
    let demo = gateway.send(get("/").header("apikey", "demo-key")).await;
    assert_eq!((demo.status, demo.header("x-settings")), (200, "two"));
    let other = gateway.send(get("/").header("apikey", "other-key")).await;
    assert_eq!((other.status, other.header("x-settings")), (200, ""));
}

#[tokio::test]
async fn a_plugin_rewrites_bodies_both_ways() {
    let origin = Origin::start();
    let config = chained(&origin, &["redact"])
        + "[[plugins]]\nname = \"redact\"\nmodule = \"redact\"\nconfig = { words = [\"secret\"], max_body = \"1KiB\" }\n";
    let gateway = Setup::new(config).plugins(&["redact"]).start().await;
    let echo = |body: &'static str| {
        let call = post("/", body).header("content-type", "text/plain");
        gateway.send(call.origin("echo header=content-type:text/plain"))
    };
    assert_eq!(echo("a SECRET word").await.text(), "a *** word");
    assert_eq!(echo("nothing").await.text(), "nothing");
    assert_eq!(origin.seen().len(), 2);
    let large = post("/", vec![b'x'; 2000]).header("content-type", "text/plain");
    assert_eq!(gateway.send(large).await.status, 413, "the whole body does not fit");
    let passed = gateway.send(get("/").origin("size=5000")).await;
    assert_eq!((passed.status, passed.body.len()), (200, 5000), "a large response passes untouched");
}

#[tokio::test]
async fn what_a_module_asks_for_has_to_be_granted() {
    let origin = Origin::start();
    let config = chained(&origin, &["key-auth"]) + &KEYED.replace("grants = { credentials = true }", "");
    let ran = Setup::new(config).plugins(&["key-auth"]).validate();
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("grants"), "it does not say what to write: {ran:?}");
}
