//! The command line on a node's admin API: what it says, does and ends with.

use tollgate_tests::{Gateway, Origin, Ran, Setup, get, modules, tollgate};

use crate::configs::{KEYED, chained, plain, service};

async fn with_database() -> Gateway {
    Setup::database("sqlite:gateway.db").plugins(&["key-auth", "rate-limiting"]).start().await
}

/// It did what was asked; what it said.
fn done(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout
}

/// A node whose store is a file is explained and listed all the same, and can't be written.
#[tokio::test]
async fn a_node_with_a_file_is_looked_at() {
    let origin = Origin::start();
    let config = chained(&origin, &["key-auth"]) + KEYED + &service("orders", &origin.url(), "");
    let gateway = Setup::new(config).plugins(&["key-auth"]).start().await;

    let told = done(gateway.tollgate(&["explain", "GET", "https://any.test/orders/1"]).await);
    for part in ["route orders (path /orders)", &origin.url(), "`orders` names the path more exactly"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = done(gateway.tollgate(&["explain", "GET", "/elsewhere"]).await);
    assert!(told.contains("route all (path /)") && told.contains("key-auth  route  yes"), "{told}");
    assert_eq!(gateway.get("/elsewhere").await.status, 401, "as it was told, the plugin runs");
    let refused = gateway.tollgate(&["explain", "GET", "/a/%252e%252e"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("answered with 400"), "{refused:?}");

    let told = done(gateway.tollgate(&["routes"]).await);
    assert!(told.starts_with("NAME") && told.contains("orders"), "{told}");
    let told = done(gateway.tollgate(&["chain", "all", "--output", "json"]).await);
    let chain: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(chain["data"][0]["plugin"], "key-auth");
    assert!(done(gateway.tollgate(&["plugin", "list"]).await).contains("key-auth"));
    let exported = done(gateway.tollgate(&["export"]).await);
    assert!(exported.contains("[[routes]]") && !exported.contains("demo-key"), "{exported}");

    let file = gateway.path("gateway.toml").display().to_string();
    let refused = gateway.tollgate(&["apply", &file]).await;
    assert!(refused.code == 1 && refused.stderr.contains("gateway.toml"), "{refused:?}");
    let absent = gateway.tollgate(&["members"]).await;
    assert!(absent.code == 1 && absent.stderr.contains("may be a file"), "{absent:?}");
}

#[tokio::test]
async fn without_a_node_it_says_what_to_do() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let url = format!("http://{nobody}");
    let ran = tollgate(&["routes", "--admin", &url]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
    assert!(ran.stderr.contains(&url) && ran.stderr.contains("--admin"), "{ran:?}");
    for wrong in
        [&["routes", "--admin", "localhost"][..], &["routes", "--token", "@/nowhere"], &["no-such-verb"], &["explain"]]
    {
        assert_eq!(tollgate(wrong).await.code, 2, "{wrong:?}");
    }
    assert!(done(tollgate(&["completions", "bash"]).await).contains("tollgate"));
}

#[tokio::test]
async fn a_file_becomes_the_configuration() {
    let (origin, gateway) = (Origin::start(), with_database().await);
    gateway.write_file("new.toml", &(plain(&origin) + &service("orders", "${env:ORDERS_URL}", "")));
    let file = gateway.path("new.toml").display().to_string();

    let unset = gateway.tollgate(&["apply", &file]).await;
    assert!(unset.code == 1 && unset.stderr.contains("ORDERS_URL"), "{unset:?}");
    gateway.write_file("new.toml", &(plain(&origin) + &service("orders", &origin.url(), "")));

    let told = done(gateway.tollgate(&["apply", "--dry-run", &file]).await);
    assert!(told.contains("+ route orders") && told.contains("nothing was changed"), "{told}");
    assert_eq!(gateway.get("/orders").await.status, 404);
    let differs = gateway.tollgate(&["diff", &file]).await;
    assert!(differs.code == 1 && differs.stdout.contains("+ service orders"), "{differs:?}");

    let told = done(gateway.tollgate(&["apply", "--wait", "cluster", &file]).await);
    assert!(told.contains("+ route orders") && told.contains("revision "), "{told}");
    assert_eq!(gateway.get("/orders").await.status, 200);
    assert_eq!(done(gateway.tollgate(&["diff", &file]).await), "");
    assert!(done(gateway.tollgate(&["apply", &file]).await).contains("nothing to change"));

    gateway.write_file("new.toml", &plain(&origin));
    let kept = done(gateway.tollgate(&["apply", "--no-prune", &file]).await);
    assert!(kept.contains("nothing to change"), "{kept}");
    let told = done(gateway.tollgate(&["apply", &file]).await);
    assert!(told.contains("- route orders") && told.contains("- service orders"), "{told}");
}

#[tokio::test]
async fn an_export_can_be_applied_again() {
    let (origin, gateway) = (Origin::start(), with_database().await);
    gateway.write_file("new.toml", &(chained(&origin, &["key-auth"]) + KEYED));
    let file = gateway.path("new.toml").display().to_string();
    done(gateway.tollgate(&["apply", &file]).await);
    for format in ["toml", "json"] {
        let exported = done(gateway.tollgate(&["export", "--format", format]).await);
        assert!(!exported.contains("demo-key"), "{exported}");
        let name = format!("export.{format}");
        gateway.write_file(&name, &exported);
        let file = gateway.path(&name).display().to_string();
        assert!(done(gateway.tollgate(&["apply", &file]).await).contains("nothing to change"), "{exported}");
    }
    assert_eq!(gateway.send(get("/").header("apikey", "demo-key")).await.status, 200, "the key was kept");
}

#[tokio::test]
async fn what_is_refused_is_shown_in_the_files() {
    let (origin, gateway) = (Origin::start(), with_database().await);
    let good = service("orders", &origin.url(), "");
    gateway.write_file("good.toml", &good);
    gateway.write_file(
        "bad.json",
        r#"{ "routes": [
        { "name": "lost", "service": "ordres", "paths": ["/lost"] },
        { "name": "odd", "service": "orders", "paths": ["no-slash"], "pahts": [] } ] }"#,
    );
    let [good, bad] = ["good.toml", "bad.json"].map(|name| gateway.path(name).display().to_string());
    let refused = gateway.tollgate(&["apply", &good, &bad]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["bad.json:2:", "bad.json:3:", "`ordres`", "did you mean `orders`?", "no-slash", "pahts"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!refused.stderr.contains("good.toml"), "{}", refused.stderr);
    assert_eq!(gateway.tollgate(&["diff", &good, &bad]).await.code, 2);
    assert_eq!(gateway.get("/orders").await.status, 404, "nothing of it was done");
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let gateway = with_database().await;
    let stranger = gateway.tollgate_as(&["routes"], &[]).await;
    assert!(stranger.code == 4 && stranger.stderr.contains("TOLLGATE_TOKEN"), "{stranger:?}");
    let token = done(gateway.tollgate(&["token", "create", "reader", "--expires", "30d"]).await);
    let reader = [("TOLLGATE_TOKEN", token.trim())];
    assert_eq!(gateway.tollgate_as(&["routes"], &reader).await.code, 0);
    let refused = gateway.tollgate_as(&["cache", "clear"], &reader).await;
    assert!(refused.code == 4 && refused.stderr.contains("--role admin"), "{refused:?}");
    let listed = done(gateway.tollgate(&["token", "list"]).await);
    assert!(listed.contains("reader") && listed.contains("read-only") && !listed.contains(token.trim()), "{listed}");
    done(gateway.tollgate(&["token", "delete", "reader"]).await);
    assert_eq!(gateway.tollgate_as(&["routes"], &reader).await.code, 4);
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let (origin, gateway) = (Origin::start(), with_database().await);
    gateway.write_file("new.toml", &(chained(&origin, &["key-auth"]) + KEYED));
    let file = gateway.path("new.toml").display().to_string();
    done(gateway.tollgate(&["apply", &file]).await);
    let key = done(gateway.tollgate(&["key", "create", "demo", "--id", "ci"]).await);
    let call = || get("/").header("apikey", key.trim());
    assert_eq!(gateway.send(call()).await.status, 200);
    assert!(done(gateway.tollgate(&["key", "list", "demo"]).await).contains("ci"));
    assert!(done(gateway.tollgate(&["cache", "get", "key", "demo/ci"]).await).contains("\"revision\""));
    done(gateway.tollgate(&["key", "delete", "demo", "ci"]).await);
    assert_eq!(gateway.send(call()).await.status, 401);
}

#[tokio::test]
async fn history_is_listed_and_gone_back_in() {
    let (origin, gateway) = (Origin::start(), with_database().await);
    gateway.write_file("new.toml", &plain(&origin));
    let file = gateway.path("new.toml").display().to_string();
    let told = done(gateway.tollgate(&["apply", &file]).await);
    let revision = told.trim_end().rsplit(' ').next().expect("a revision").to_owned();
    gateway.write_file("new.toml", "routes = []\n");
    done(gateway.tollgate(&["apply", &file]).await);
    assert_eq!(gateway.get("/").await.status, 404);
    let listed = done(gateway.tollgate(&["revisions", "--limit", "2"]).await);
    assert!(listed.lines().count() == 3 && listed.contains("- route all"), "{listed}");
    let told = done(gateway.tollgate(&["rollback", &revision]).await);
    assert!(told.contains("+ route all"), "{told}");
    assert_eq!(gateway.get("/").await.status, 200);
    assert!(done(gateway.tollgate(&["audit"]).await).contains("rollback"));
    assert!(done(gateway.tollgate(&["members"]).await).contains("REVISION"));
    done(gateway.tollgate(&["cache", "clear", "--scope", "cluster"]).await);
}

#[tokio::test]
async fn a_module_is_pushed_and_serves() {
    let (origin, gateway) = (Origin::start(), Setup::database("sqlite:gateway.db").start().await);
    gateway.write_file("new.toml", &(chained(&origin, &["key-auth"]) + KEYED));
    let file = gateway.path("new.toml").display().to_string();
    let module = modules::plugin("key-auth").display().to_string();
    let told = done(gateway.tollgate(&["plugin", "push", &module, "--name", "key-auth"]).await);
    assert!(told.contains("module key-auth"), "{told}");
    done(gateway.tollgate(&["apply", &file]).await);
    gateway.answers("/", "the module serves", |reply| reply.status == 401).await;
    assert!(done(gateway.tollgate(&["plugin", "list"]).await).contains("cluster"));
    let broken = gateway.path("new.toml").display().to_string();
    let refused = gateway.tollgate(&["plugin", "push", &broken]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
}
