//! Kong's quick-start, line by line, with other names only: a service, a route, a plugin, a consumer, a key.

use tollgate_tests::{Origin, Setup, curl, get};

#[tokio::test]
async fn its_curl_lines_work() {
    let origin = Origin::start();
    let gateway = Setup::database("sqlite:gateway.db").plugins(&["key-auth", "rate-limiting"]).start().await;
    let token = format!("Authorization: Bearer {}", gateway.admin().await.token);
    let admin = format!("http://{}", gateway.admin);
    let send = async |path: &str, arguments: &[&str]| {
        let url = format!("{admin}{path}");
        let mut all = vec!["-i", "-H", &token, &url];
        all.extend(arguments);
        curl(&all).await.stdout
    };
    let url = format!("url={}", origin.url());

    // curl -i -s -X POST http://localhost:8001/services --data name=example_service --data url='http://httpbin.org'
    let made = send("/services", &["--data", "name=example-service", "--data", &url]).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    // curl -i -X POST http://localhost:8001/services/example_service/routes --data 'paths[]=/mock' --data name=example_route
    let data = ["--data", "paths[]=/mock", "--data", "name=example-route"];
    let made = send("/services/example-service/routes", &data).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    assert_eq!(gateway.get("/mock/anything").await.status, 200);

    // curl -i -X POST http://localhost:8001/plugins --data name=rate-limiting --data config.minute=5 ...
    let limit = [
        "--json",
        r#"{"name": "limit", "module": "rate-limiting", "config": {"limits": [{"limit": 5, "window": "1m", "by": "ip"}]}}"#,
    ];
    let made = send("/plugins", &limit).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let made = send("/plugins", &["--data", "name=key-auth", "--data", "grants.credentials=true"]).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let chain = ["-X", "PATCH", "--json", r#"{"chain": ["key-auth", "limit"]}"#];
    let changed = send("/services/example-service", &chain).await;
    assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
    assert_eq!(gateway.get("/mock/anything").await.status, 401);

    // curl -i -X POST http://localhost:8001/consumers/ --data username=luka
    let made = send("/consumers", &["--data", "name=luka"]).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    // curl -i -X POST http://localhost:8001/consumers/luka/key-auth --data key=top-secret-key
    let made = send("/consumers/luka/keys", &["--data", "key=top-secret-key"]).await;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    for n in 0..6 {
        let status = gateway.send(get("/mock/anything").header("apikey", "top-secret-key")).await.status;
        assert_eq!(status, if n < 5 { 200 } else { 429 }, "request {n}");
    }
}
