//! What the gateway takes from requests and responses, and what it adds.

use tollgate_tests::{Origin, Raw, Setup, get};

use crate::configs::{KEYED, chained, plain};

const CONSUMER_FIELDS: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-anonymous-consumer",
];

#[tokio::test]
async fn consumer_headers_can_not_be_forged() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let forged = CONSUMER_FIELDS.into_iter().fold(get("/"), |call, name| call.header(name, "admin"));
    let forged = forged.header("X-CONSUMER-USERNAME", "admin").header("x-consumer-username", "root");
    let seen = gateway.send(forged).await.seen();
    for name in CONSUMER_FIELDS {
        assert!(!seen.has(name), "{name} came through: {seen:?}");
    }
}

#[tokio::test]
async fn the_consumer_is_told_once_whatever_the_client_says() {
    let origin = Origin::start();
    let gateway = Setup::new(chained(&origin, &["key-auth"]) + KEYED).plugins(&["key-auth"]).start().await;
    let connection = format!("keep-alive, {}", CONSUMER_FIELDS.join(", "));
    let call = get("/").header("apikey", "demo-key").header("connection", connection);
    let seen = gateway.send(call.header("x-consumer-username", "admin")).await.seen();
    let values: Vec<&str> = seen.values("x-consumer-username").collect();
    assert_eq!(values, ["demo"], "`Connection` can't remove what the gateway adds");
    assert_eq!(seen.header("x-credential-identifier"), "demo-first");
    assert_eq!(seen.header("x-consumer-groups").replace(' ', ""), "gold,beta");
    assert!(seen.has("x-consumer-id"));
}

#[tokio::test]
async fn hop_by_hop_fields_stay_on_their_hop() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let call = get("/")
        .header("connection", "keep-alive, X-Private, close")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("proxy-authorization", "Basic c2VjcmV0")
        .header("te", "trailers, deflate")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQAAP__")
        .header("x-kept", "1");
    let call = call.origin("header=keep-alive:timeout=9 header=x-own:1 header=proxy-authenticate:Basic");
    let reply = gateway.send(call).await;
    let seen = reply.seen();
    for gone in ["x-private", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "http2-settings"] {
        assert!(!seen.has(gone), "{gone} came through: {seen:?}");
    }
    assert!(!seen.header("connection").to_ascii_lowercase().contains("x-private"), "{seen:?}");
    assert!(!seen.header("te").contains("deflate"), "{seen:?}");
    assert_eq!(seen.header("x-kept"), "1");
    assert_eq!(reply.header("x-own"), "1");
    for gone in ["keep-alive", "proxy-authenticate"] {
        assert!(!reply.headers.contains_key(gone), "{gone} came back: {reply:?}");
    }
}

#[tokio::test]
async fn the_route_of_a_message_is_recorded() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).proxy("latency_headers = true").start().await;
    let reply = gateway.send(get("/").header("via", "1.0 before").header("host", "shop.example:8080")).await;
    let seen = reply.seen();
    let via: Vec<&str> = seen.values("via").collect();
    assert_eq!(via.join(", "), "1.0 before, 1.1 tollgate");
    assert!(reply.header("via").ends_with("tollgate"), "{reply:?}");
    assert_eq!((seen.header("x-forwarded-proto"), seen.header("x-forwarded-host")), ("http", "shop.example:8080"));
    assert_eq!(seen.header("x-forwarded-port"), gateway.proxy.port().to_string());
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
    for latency in ["x-tollgate-upstream-latency", "x-tollgate-proxy-latency"] {
        assert!(reply.header(latency).parse::<f64>().is_ok(), "{latency} is missing: {reply:?}");
    }
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let kept = gateway.send(get("/").header("x-request-id", "abc-123")).await;
    assert_eq!((kept.seen().header("x-request-id"), kept.header("x-request-id")), ("abc-123", "abc-123"));
    let (first, second) = (gateway.get("/").await, gateway.get("/").await);
    let id = first.header("x-request-id");
    assert!(id.len() >= 16, "{first:?}");
    assert_eq!(first.seen().header("x-request-id"), id);
    assert_ne!(second.header("x-request-id"), id);
    let replaced = gateway.send(get("/").header("x-request-id", "x".repeat(500))).await;
    assert!(replaced.header("x-request-id").len() <= 128, "{replaced:?}");
}

#[tokio::test]
async fn only_listed_proxies_are_believed() {
    let origin = Origin::start();
    let claimed = || {
        get("/")
            .header("x-forwarded-for", "203.0.113.9, 198.51.100.4")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "public.example")
            .header("x-forwarded-port", "443")
    };
    let gateway = Setup::new(plain(&origin)).start().await;
    let seen = gateway.send(claimed()).await.seen();
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), ("127.0.0.1", "http"));
    assert_eq!(seen.header("x-forwarded-host"), gateway.proxy.to_string());

    let trusting = Setup::new(plain(&origin)).proxy(r#"trusted_proxies = ["127.0.0.0/8"]"#).start().await;
    let seen = trusting.send(claimed()).await.seen();
    assert_eq!(seen.header("x-forwarded-for"), "203.0.113.9, 198.51.100.4, 127.0.0.1");
    assert_eq!((seen.header("x-forwarded-proto"), seen.header("x-forwarded-host")), ("https", "public.example"));
    assert_eq!(seen.header("x-forwarded-port"), "443");
}

/// HTTP/1.0 needs no Host: then nobody says which one the client asked for.
#[tokio::test]
async fn a_client_without_a_host_can_not_claim_one() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let text = Raw::exchange(gateway.proxy, "GET / HTTP/1.0\r\nX-Forwarded-Host: evil.example\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.") && text.contains(" 200 "), "{text}");
    assert!(!origin.seen()[0].has("x-forwarded-host"), "{:?}", origin.seen()[0]);
}

#[tokio::test]
async fn trailers_can_not_say_what_a_head_may_not() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\
        Trailer: x-consumer-username, x-forwarded-for, x-sum\r\n\r\n3\r\nabc\r\n0\r\nX-Consumer-Username: admin\r\nX-Forwarded-For: 10.0.0.1\r\nx-sum: 42\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(origin.seen()[0].trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[tokio::test]
async fn fields_keep_their_number_order_and_bytes() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Many: 1\r\nX-Many: 2\r\nX-Bytes: caf\xe9\r\nCookie: a=b\r\nConnection: close\r\n\
        x-origin: header=set-cookie:a=1 header=set-cookie:b=2\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    let many: Vec<String> = origin.seen()[0].values("x-many").map(str::to_owned).collect();
    assert_eq!(many, ["1", "2"]);
    assert_eq!(origin.seen()[0].header("x-bytes"), "caf\u{fffd}");
    let cookies: Vec<&str> = text.lines().filter(|line| line.to_ascii_lowercase().starts_with("set-cookie")).collect();
    assert_eq!(cookies.len(), 2, "{text}");
    assert!(cookies[0].ends_with("a=1") && cookies[1].ends_with("b=2"), "{cookies:?}");
}
