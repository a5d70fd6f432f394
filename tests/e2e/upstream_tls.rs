//! TLS to upstreams: who is trusted, why somebody is not, and what that costs others.

use std::time::{Duration, Instant};

use tollgate_tests::{Authority, Gateway, Identity, Nginx, Origin, Reply, Setup, WebSocket, Wire, until};

use crate::configs::service;

const ECHO: &str = "location / { return 200 \"$server_protocol $ssl_session_reused $ssl_client_s_dn\"; }";

/// One service and a route to it, both of this name; `tls` stands in its table.
fn secure(name: &str, nginx: &Nginx, tls: &str) -> String {
    service(name, &format!("https://localhost:{}", nginx.address.port()), &format!("tls = {{ {tls} }}"))
}

async fn refused(gateway: &Gateway, target: &str, why: &str) {
    let reply = gateway.get(target).await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(!reply.text().contains("localhost"), "addresses stay inside: {}", reply.text());
    gateway.says(why).await;
}

#[tokio::test]
async fn certificates_are_verified_and_the_log_says_why_not() {
    let authority = Authority::new("tests");
    let good = Nginx::tls(&authority.issue("localhost"), "", ECHO, &[]).await;
    let expired = Nginx::tls(&authority.issue_expired("localhost"), "", ECHO, &[]).await;
    let other = Nginx::tls(&authority.issue("other.example"), "", ECHO, &[]).await;
    let lonely = Nginx::tls(&Identity::self_signed("localhost"), "", ECHO, &[]).await;
    let ca = "ca_file = \"ca.pem\"";
    let config = [
        secure("good", &good, ca),
        secure("expired", &expired, ca),
        secure("other", &other, ca),
        secure("named", &other, "ca_file = \"ca.pem\", server_name = \"other.example\""),
        secure("lonely", &lonely, ca),
        secure("trusting", &lonely, "verify = false"),
        secure("system", &good, ""),
    ]
    .concat();
    let gateway = Setup::new(config).file("ca.pem", &authority.pem).start().await;
    for target in ["/good", "/named", "/trusting"] {
        let reply = gateway.get(target).await;
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        assert!(reply.text().starts_with("HTTP/1.1 "), "{target}: {reply:?}");
    }
    refused(&gateway, "/expired", "it has expired").await;
    refused(&gateway, "/other", "it is for another name: localhost was expected").await;
    refused(&gateway, "/lonely", "the target's certificate is refused").await;
    refused(&gateway, "/system", "its issuer is unknown").await;
    assert_eq!(gateway.metric("tollgate_upstream_errors_total").await, Some(4.0));
}

#[tokio::test]
async fn the_systems_authorities_are_the_default_and_missing_ones_degrade_that_service() {
    let authority = Authority::new("tests");
    let nginx = Nginx::tls(&authority.issue("localhost"), "", ECHO, &[]).await;
    let config = secure("system", &nginx, "") + &secure("own", &nginx, "ca_file = \"ca.pem\"");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let system = folder.path().join("system.pem");
    std::fs::write(&system, &authority.pem).expect("the folder is ours");
    let setup = |file: &std::path::Path| {
        let setup = Setup::new(&config).file("ca.pem", &authority.pem);
        setup.variable("SSL_CERT_FILE", file.to_str().expect("a path of ours")).variable("SSL_CERT_DIR", "")
    };
    let gateway = setup(&system).start().await;
    assert_eq!(gateway.get("/system").await.status, 200);

    let gateway = setup(&folder.path().join("nowhere.pem")).start().await;
    let reply = gateway.get("/system").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{reply:?}");
    assert_eq!(gateway.get("/own").await.status, 200, "nobody else suffers");
    let degraded = &gateway.status().await["degraded_places"];
    assert_eq!(degraded[0]["place"], "service system", "{degraded}");
    assert!(degraded[0]["reason"].as_str().is_some_and(|reason| reason.contains("ca-certificates")), "{degraded}");
}

#[tokio::test]
async fn the_gateway_shows_its_own_certificate() {
    let authority = Authority::new("tests");
    let lines = format!("ssl_client_certificate ca.pem;\nssl_verify_client on;\n{ECHO}");
    let files = [("ca.pem", authority.pem.as_str())];
    let nginx = Nginx::tls(&authority.issue("localhost"), "", &lines, &files).await;
    let client = authority.issue("gateway.example");
    let config = secure("known", &nginx, "ca_file = \"ca.pem\", client_certificate = \"me\"")
        + &secure("unknown", &nginx, "ca_file = \"ca.pem\"")
        + "[[certificates]]\nname = \"me\"\ncertificate_file = \"me.pem\"\nkey_file = \"me.key\"\n";
    let setup = Setup::new(config).file("ca.pem", &authority.pem);
    let gateway = setup.file("me.pem", &client.certificate).file("me.key", &client.key).start().await;
    let known = gateway.get("/known").await;
    assert_eq!(known.status, 200, "{known:?}");
    assert!(known.text().contains("CN=gateway.example"), "{known:?}");
    // The same address: the connection that nginx knows must not be used.
    let unknown = gateway.get("/unknown").await;
    assert_ne!(unknown.status, 200, "{unknown:?}");
}

#[tokio::test]
async fn what_can_not_be_built_degrades_its_service_until_it_can() {
    let authority = Authority::new("tests");
    let nginx = Nginx::tls(&authority.issue("localhost"), "", ECHO, &[]).await;
    let config = secure("fine", &nginx, "ca_file = \"ca.pem\"")
        + &secure("missing", &nginx, "ca_file = \"later.pem\"")
        + &secure("nonsense", &nginx, "ca_file = \"nonsense.pem\"");
    let setup = Setup::new(&config).file("ca.pem", &authority.pem).file("nonsense.pem", "no certificate here");
    let gateway = setup.start().await;
    assert_eq!(gateway.get("/fine").await.status, 200);
    assert_eq!(gateway.get("/missing").await.status, 503);
    assert_eq!(gateway.get("/nonsense").await.status, 503);
    gateway.says("later.pem can't be read").await;
    gateway.says("no certificate in nonsense.pem").await;

    std::fs::write(gateway.path("later.pem"), &authority.pem).expect("the folder is ours");
    gateway.answers("/missing", "the file is there", |reply| reply.status == 200).await;
}

/// Files of upstream TLS are followed as those of the listeners are.
#[tokio::test]
async fn files_that_change_count_at_once_and_broken_ones_do_not() {
    let (authority, stranger) = (Authority::new("tests"), Authority::new("tests"));
    let lines = format!("ssl_client_certificate ca.pem;\nssl_verify_client on;\n{ECHO}");
    let files = [("ca.pem", authority.pem.as_str())];
    let nginx = Nginx::tls(&authority.issue("localhost"), "", &lines, &files).await;
    let (first, second) = (authority.issue("first.example"), authority.issue("second.example"));
    let config = secure("known", &nginx, "ca_file = \"ca.pem\", client_certificate = \"me\"")
        + "[[certificates]]\nname = \"me\"\ncertificate_file = \"me.pem\"\nkey_file = \"me.key\"\n";
    let setup = Setup::new(config).file("ca.pem", &stranger.pem);
    let gateway = setup.file("me.pem", &first.certificate).file("me.key", &first.key).start().await;
    assert_eq!(gateway.get("/known").await.status, 502, "of somebody else");
    gateway.write_file("ca.pem", &authority.pem);
    let shows = |name: &'static str| move |reply: &Reply| reply.text().contains(name);
    gateway.answers("/known", "the right authority", shows("CN=first.example")).await;
    gateway.write_file("me.key", &second.key);
    gateway.write_file("me.pem", &second.certificate);
    gateway.answers("/known", "the new certificate", shows("CN=second.example")).await;

    gateway.write_file("ca.pem", "no certificate here");
    gateway.says("TLS files can't be used").await;
    assert_eq!(gateway.get("/known").await.status, 200, "the last good one is used");
    let degraded = &gateway.status().await["degraded_places"];
    assert_eq!(degraded[0]["place"], "service known", "{degraded}");
    gateway.write_file("ca.pem", &authority.pem);
    let mended = async || gateway.status().await["degraded_places"].as_array().is_some_and(Vec::is_empty);
    until(Duration::from_secs(30), "nothing is degraded", mended).await;
}

#[tokio::test]
async fn validate_opens_the_files() {
    let config = service("nonsense", "https://127.0.0.1:1", "tls = { ca_file = \"nonsense.pem\" }")
        + &service("missing", "https://127.0.0.1:1", "tls = { ca_file = \"missing.pem\" }");
    let ran = Setup::new(config).file("nonsense.pem", "no certificate here").validate();
    assert_eq!(ran.code, 0, "{ran:?}");
    for what in ["warning: service nonsense: no certificate in nonsense.pem", "missing.pem can't be read"] {
        assert!(ran.stdout.contains(what), "{what}: {ran:?}");
    }
}

#[tokio::test]
async fn services_that_trust_differently_share_no_connection() {
    let nginx = Nginx::tls(&Identity::self_signed("localhost"), "", ECHO, &[]).await;
    let config = secure("trusting", &nginx, "verify = false") + &secure("careful", &nginx, "");
    let gateway = Setup::new(config).workers(1).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/trusting").await.status, 200);
        assert_eq!(gateway.get("/careful").await.status, 502);
    }
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = Authority::new("tests");
    let lines = format!("ssl_session_cache builtin:100;\nkeepalive_timeout 0;\n{ECHO}");
    let nginx = Nginx::tls(&authority.issue("localhost"), "", &lines, &[]).await;
    let config = secure("resumed", &nginx, "ca_file = \"ca.pem\"");
    let gateway = Setup::new(config).workers(1).file("ca.pem", &authority.pem).start().await;
    assert!(gateway.get("/resumed").await.text().starts_with("HTTP/1.1 . "), "the first is new");
    gateway.answers("/resumed", "resumed", |reply| reply.text().starts_with("HTTP/1.1 r ")).await;
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_connect_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("https://{}", silent.local_addr().expect("an address"));
    let config = service("silent", &url, "timeouts = { connect = \"300ms\" }\ntls = { verify = false }");
    let gateway = Setup::new(config).start().await;
    let started = Instant::now();
    assert_eq!(gateway.get("/silent").await.status, 504);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn websockets_pass_over_tls_whatever_else_the_target_speaks() {
    let authority = Authority::new("tests");
    let origin = Origin::speaking(Wire::tls(authority.issue("127.0.0.1").server(&["h2", "http/1.1"])));
    let config = service("origin", &origin.url(), "tls = { ca_file = \"ca.pem\" }");
    let gateway = Setup::new(config).workers(1).file("ca.pem", &authority.pem).start().await;
    assert_eq!(gateway.get("/origin").await.seen().version, "HTTP/2.0");
    let mut socket = WebSocket::open(gateway.proxy, "/origin/socket", &[]).await.expect("an upgrade");
    socket.echo("hello").await.expect("an echo");
    socket.close().await.expect("a goodbye");
    assert_eq!(gateway.get("/origin").await.seen().version, "HTTP/2.0");
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn wrong_settings_are_refused_at_their_place() {
    let config = service("a", "http://127.0.0.1:1", "tls = { verify = false }")
        + &service(
            "b",
            "https://127.0.0.1:1",
            "tls = { verify = false, ca_file = \"x\", client_certificate = \"no\" }",
        )
        + &service("c", "http://127.0.0.1:1", "protocol = \"auto\"\nretries = { attempts = 11, on = [\"500\"] }");
    let ran = Setup::new(config).validate();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_ne!(ran.code, 0, "{said}");
    for problem in [
        "this service is spoken to in clear",
        "nothing is verified against it",
        "there is no certificate `no`",
        "without TLS the protocol can't be negotiated",
        "expected a whole number from 1 to 10",
        "\"connect-failure\" or",
    ] {
        assert!(said.contains(problem), "{problem} is missing in:\n{said}");
    }
}
