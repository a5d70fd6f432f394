use tollgate_tests::{Call, Origin, Setup, get};

/// A service for each route, so that what the upstream sees tells which one it was.
fn routes(origin: &Origin, routes: &[(&str, &str)]) -> String {
    let url = origin.url();
    let table = |(name, rules): &(&str, &str)| {
        format!(
            "[[services]]\nname = \"{name}\"\nurl = \"{url}/{name}\"\n\n\
             [[routes]]\nname = \"{name}\"\nservice = \"{name}\"\n{rules}\n\n"
        )
    };
    routes.iter().map(table).collect()
}

#[tokio::test]
async fn hosts_paths_methods_headers_and_queries_choose_the_route() {
    let origin = Origin::start();
    let config = routes(
        &origin,
        &[
            ("prefix", r#"paths = ["/shop"]"#),
            ("longer", r#"paths = ["/shop/cart"]"#),
            ("exact", r#"paths = ["=/shop/exact"]"#),
            ("parameters", r#"paths = ["/users/{id}"]"#),
            ("rest", r#"paths = ["/files/{*rest}"]"#),
            ("regex", r#"paths = ["~/v[0-9]+/.*"]"#),
            ("host", r#"hosts = ["a.example"]"#),
            ("wildcard", r#"hosts = ["*.example"]"#),
            ("method", "paths = [\"/shop\"]\nmethods = [\"DELETE\"]"),
            ("header", "paths = [\"/shop\"]\nheaders = { x-version = [\"2\"] }"),
            ("query", "paths = [\"/shop\"]\nquery = { preview = [\"yes\"] }"),
            ("urgent", "paths = [\"/shop/exact\"]\nheaders = { x-urgent = [\"1\"] }\npriority = 10"),
        ],
    );
    let gateway = Setup::new(config).start().await;
    let cases: [(&str, Call); 18] = [
        ("prefix", get("/shop")),
        ("prefix", get("/shop/x/y?z=1")),
        ("", get("/shopping")),
        ("longer", get("/shop/cart/7")),
        ("exact", get("/shop/exact")),
        ("prefix", get("/shop/exact/more")),
        ("parameters", get("/users/42")),
        ("", get("/users/42/orders")),
        ("rest", get("/files/a/b/c")),
        ("regex", get("/v12/things")),
        ("", get("/vx/things")),
        ("host", get("/any").header("host", "A.example:8080")),
        ("wildcard", get("/any").header("host", "b.c.example")),
        ("", get("/any").header("host", "example")),
        ("method", tollgate_tests::delete("/shop")),
        ("header", get("/shop").header("x-version", "2")),
        ("query", get("/shop?a=b&preview=yes")),
        ("urgent", get("/shop/exact").header("x-urgent", "1")),
    ];
    for (route, call) in cases {
        let shown = format!("{call:?}");
        let reply = gateway.send(call).await;
        if route.is_empty() {
            assert_eq!(reply.status, 404, "{shown}");
        } else {
            assert_eq!(reply.status, 200, "{shown}");
            let target = reply.seen().target;
            assert!(target.starts_with(&format!("/{route}/")), "{shown} went to {target}, not to {route}");
        }
    }
}

#[tokio::test]
async fn paths_are_stripped_and_hosts_preserved_as_configured() {
    let origin = Origin::start();
    let config = routes(
        &origin,
        &[
            ("stripped", "paths = [\"/api/v1\"]\nstrip_path = true"),
            ("kept", "paths = [\"/kept\"]\npreserve_host = true"),
        ],
    );
    let gateway = Setup::new(config).start().await;
    let stripped = gateway.get("/api/v1/things?q=a%20b").await.seen();
    assert_eq!(stripped.target, "/stripped/things?q=a%20b");
    assert_eq!(stripped.header("host"), origin.address.to_string());
    let root = gateway.get("/api/v1").await.seen().target;
    assert!(["/stripped", "/stripped/"].contains(&root.as_str()), "{root}");
    let kept = gateway.send(get("/kept/x").header("host", "shop.example")).await.seen();
    assert_eq!((kept.target.as_str(), kept.header("host")), ("/kept/kept/x", "shop.example"));
}

#[tokio::test]
async fn one_normal_form_is_matched_and_forwarded() {
    let origin = Origin::start();
    let gateway = Setup::new(routes(&origin, &[("open", r#"paths = ["/open"]"#)])).start().await;
    for same in ["/open/./a", "/open//a", "/x/../open/a", "/%6fpen/a", "/open/%61"] {
        let reply = gateway.get(same).await;
        assert_eq!(reply.status, 200, "{same}");
        assert_eq!(reply.seen().target, "/open/open/a", "{same}");
    }
    for left in ["/open/../secret", "/open/%2e%2e/secret"] {
        assert_eq!(gateway.get(left).await.status, 404, "{left} is not below /open");
    }
    for ambiguous in ["/open/a%2fb", "/open/a%5Cb", "/open/a%00", "/open/..%2fsecret", "/open/../../x"] {
        assert_eq!(gateway.get(ambiguous).await.status, 400, "{ambiguous}");
    }
    for strict in ["/open;x/a", "/open/%252e%252e/secret"] {
        assert_eq!(gateway.get(strict).await.status, 400, "{strict}");
    }
}

#[tokio::test]
async fn lenient_paths_pass_parameters_and_double_encoding() {
    let origin = Origin::start();
    let setup = Setup::new(routes(&origin, &[("open", r#"paths = ["/open"]"#)])).proxy("paths = \"lenient\"");
    let gateway = setup.start().await;
    for passed in ["/open/a;x=1/b", "/open/100%2525"] {
        assert_eq!(gateway.get(passed).await.seen().target, format!("/open{passed}"));
    }
}

/// Otherwise a dot at the end would lead past a host's own routes.
#[tokio::test]
async fn a_dot_at_a_host_s_end_changes_nothing() {
    let origin = Origin::start();
    let config = routes(&origin, &[("own", r#"hosts = ["admin.example"]"#)]);
    let gateway = Setup::new(config).start().await;
    for host in ["admin.example", "admin.example.", "ADMIN.example.:80"] {
        assert_eq!(gateway.send(get("/").header("host", host)).await.status, 200, "{host}");
    }
    assert_eq!(gateway.send(get("/").header("host", "admin..example")).await.status, 400);
}

#[tokio::test]
async fn targets_get_their_share() {
    let (heavy, light) = (Origin::named("heavy"), Origin::named("light"));
    for balance in ["round-robin", "least-requests"] {
        let config = format!(
            r#"
[[upstreams]]
name = "pair"
balance = "{balance}"
targets = [{{ address = "{}", weight = 300 }}, {{ address = "{}", weight = 100 }}]

[[services]]
name = "pair"
upstream = "pair"

[[routes]]
name = "all"
service = "pair"
paths = ["/"]
"#,
            heavy.address, light.address
        );
        let gateway = Setup::new(config).workers(1).start().await;
        let mut heavy_answers = 0;
        for _ in 0..400 {
            let reply = gateway.get("/").await;
            assert_eq!(reply.status, 200);
            heavy_answers += usize::from(reply.header("x-origin-name") == "heavy");
        }
        let wanted = if balance == "round-robin" { 300..=300 } else { 200..=399 };
        assert!(
            wanted.contains(&heavy_answers),
            "{balance}: {heavy_answers} of 400 went to three quarters of the weight"
        );
    }
}
