//! TLS from clients: certificates by host, versions, client certificates, changes while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tollgate_tests::{Authority, Gateway, Identity, Origin, Ran, Raw, Setup, curl, get, run, scaled, until};

use crate::configs::plain;

const LISTEN: &str = "[proxy.tls]\nlisten = \"127.0.0.1:0\"\n";

/// A gateway with these certificates: each named, for a host as `snis` has it.
async fn started(origin: &Origin, tls: &str, certificates: &[(&str, &str, &Identity)]) -> Gateway {
    let mut text = plain(origin);
    for (name, host, _) in certificates {
        text.push_str(&format!(
            "[[certificates]]\nname = \"{name}\"\ncertificate_file = \"{name}.pem\"\nkey_file = \"{name}.key\"\n\
             [[snis]]\nhost = \"{host}\"\ncertificate = \"{name}\"\n"
        ));
    }
    let setup = certificates.iter().fold(Setup::new(text), |setup, (name, _, issued)| {
        setup.file(&format!("{name}.pem"), &issued.certificate).file(&format!("{name}.key"), &issued.key)
    });
    setup.node(&format!("{LISTEN}{tls}")).start().await
}

fn address(gateway: &Gateway) -> String {
    gateway.tls.expect("a TLS listener").to_string()
}

/// `openssl s_client` for a host (none when empty).
async fn s_client(gateway: &Gateway, host: &str, more: &[&str]) -> Ran {
    let address = address(gateway);
    let mut arguments = vec!["s_client", "-connect", &address];
    arguments.extend(if host.is_empty() { vec!["-noservername"] } else { vec!["-servername", host] });
    arguments.extend(more);
    run("openssl", &arguments).await
}

/// curl, to a host that it finds at the gateway.
async fn curl_to(gateway: &Gateway, host: &str, more: &[&str]) -> Ran {
    let port = gateway.tls.expect("a TLS listener").port();
    let (connect, url) = (format!("{host}:{port}:127.0.0.1:{port}"), format!("https://{host}:{port}/"));
    let mut arguments = vec!["--connect-to", &connect];
    arguments.extend(more);
    arguments.push(&url);
    curl(&arguments).await
}

#[tokio::test]
async fn curl_verifies_it_and_chooses_the_protocol() {
    let origin = Origin::start();
    let authority = Authority::new("tests");
    let gateway = started(&origin, "", &[("main", "shop.example", &authority.issue("shop.example"))]).await;
    gateway.write_file("ca.pem", &authority.pem);
    let ca = gateway.path("ca.pem").display().to_string();
    for (option, version, via) in [("--http2", "HTTP/2 200", "2.0"), ("--http1.1", "HTTP/1.1 200", "1.1")] {
        let ran = curl_to(&gateway, "shop.example", &["--cacert", &ca, "--include", option]).await;
        assert!(ran.stdout.starts_with(version), "{option}: {ran:?}");
        let seen = origin.seen().pop().expect("a request");
        assert_eq!(seen.header("via"), format!("{via} tollgate"));
        assert_eq!(seen.header("x-forwarded-proto"), "https");
    }
    let ran = curl_to(&gateway, "other.example", &["--cacert", &ca]).await;
    assert_eq!(ran.code, 60, "the certificate is not for that host: {ran:?}");
    let port = gateway.tls.expect("a TLS listener").port();
    let ran = curl(&[&format!("http://127.0.0.1:{port}/")]).await;
    assert_ne!(ran.code, 0, "no plaintext: {ran:?}");
}

#[tokio::test]
async fn the_host_asked_for_decides_the_certificate() {
    let origin = Origin::start();
    let authority = Authority::new("tests");
    let issued =
        ["exact.example", "wild.example", "deep.example", "fallback.example"].map(|host| authority.issue(host));
    let certificates = [
        ("a-exact", "shop.example", &issued[0]),
        ("b-wild", "*.example", &issued[1]),
        ("c-deep", "*.deep.example", &issued[2]),
        ("default", "fallback.example", &issued[3]),
    ];
    let gateway = started(&origin, "", &certificates).await;
    for (host, shown) in [
        ("shop.example", "exact.example"),
        ("SHOP.example", "exact.example"),
        ("other.example", "wild.example"),
        ("x.deep.example", "deep.example"),
        ("nobody.test", "fallback.example"),
        ("", "fallback.example"),
    ] {
        let ran = s_client(&gateway, host, &[]).await;
        assert!(ran.stdout.contains(&format!("subject=CN = {shown}")), "{host:?}: {ran:?}");
    }
}

#[tokio::test]
async fn versions_and_protocols_are_agreed_on() {
    let origin = Origin::start();
    let issued = Authority::new("tests").issue("shop.example");
    let usual = started(&origin, "", &[("main", "shop.example", &issued)]).await;
    let strict = started(&origin, "min_version = \"1.3\"\n", &[("main", "shop.example", &issued)]).await;
    for (gateway, option, served) in [
        (&usual, "-tls1_3", true),
        (&usual, "-tls1_2", true),
        (&usual, "-tls1_1", false),
        (&strict, "-tls1_3", true),
        (&strict, "-tls1_2", false),
    ] {
        let ran = s_client(gateway, "shop.example", &[option]).await;
        assert_eq!(ran.code == 0, served, "{option}: {ran:?}");
    }
    for (offered, chosen) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
        let ran = s_client(&usual, "shop.example", &["-alpn", offered]).await;
        assert!(ran.stdout.contains(&format!("ALPN protocol: {chosen}")), "{ran:?}");
    }
    let ran = s_client(&usual, "shop.example", &["-alpn", "spdy/1"]).await;
    assert_ne!(ran.code, 0, "nothing in common: {ran:?}");
    let ran = s_client(&usual, "shop.example", &["-tls1_2", "-reconnect"]).await;
    assert_eq!(ran.stdout.matches("Reused, TLSv1.2").count(), 5, "sessions are resumed: {ran:?}");
}

#[tokio::test]
async fn client_certificates_are_verified_and_told() {
    let origin = Origin::start();
    let (authority, stranger) = (Authority::new("tests"), Authority::new("tests"));
    let issued = authority.issue("shop.example");
    for (kind, without) in [("required", false), ("optional", true)] {
        let folder = tempfile_of(&authority.pem);
        let tls = format!("client_certificates = \"{kind}\"\nclient_ca_file = \"{}\"\n", folder.1);
        let gateway = started(&origin, &tls, &[("main", "shop.example", &issued)]).await;
        for (name, client) in [("good", authority.issue("client")), ("bad", stranger.issue("client"))] {
            gateway.write_file(&format!("{name}.pem"), &client.certificate);
            gateway.write_file(&format!("{name}.key"), &client.key);
        }
        let path = |name: &str| gateway.path(name).display().to_string();
        let (good, good_key, bad, bad_key) = (path("good.pem"), path("good.key"), path("bad.pem"), path("bad.key"));
        let forged =
            ["--insecure", "-H", "Client-Cert: :Zm9yZ2Vk:", "-H", "client_cert: x", "-H", "Client-Cert-Chain: y"];
        let ran =
            curl_to(&gateway, "shop.example", &[&forged[..], &["--cert", &good, "--key", &good_key]].concat()).await;
        assert_eq!(ran.code, 0, "{kind}: {ran:?}");
        let seen = origin.seen().pop().expect("a request");
        let told: Vec<&str> = seen.header("client-cert").split(':').collect();
        let der: String =
            std::fs::read_to_string(&good).expect("ours").lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(told, ["", &der, ""], "{kind}: the certificate itself");
        assert_eq!((seen.header("client_cert"), seen.header("client-cert-chain")), ("", ""));
        let ran = curl_to(&gateway, "shop.example", &["--insecure", "--cert", &bad, "--key", &bad_key]).await;
        assert_ne!(ran.code, 0, "{kind}: of a stranger: {ran:?}");
        let ran = curl_to(&gateway, "shop.example", &forged).await;
        assert_eq!(ran.code == 0, without, "{kind}: without one: {ran:?}");
        if without {
            assert_eq!(origin.seen().pop().expect("a request").header("client-cert"), "", "nobody forges it");
        }
    }
    // Over plaintext neither.
    let gateway = Setup::new(plain(&origin)).start().await;
    let reply = gateway.send(get("/").header("client-cert", ":Zm9yZ2Vk:")).await;
    assert_eq!(reply.seen().header("client-cert"), "");
}

/// A file that `tollgate.toml` names: it has to be there before the start.
fn tempfile_of(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, text).expect("the folder is ours");
    let path = path.display().to_string();
    (folder, path)
}

/// No session that was begun by the word of the old ones is resumed either.
#[tokio::test]
async fn authorities_of_clients_are_followed() {
    let origin = Origin::start();
    let (old, new) = (Authority::new("tests"), Authority::new("tests"));
    let (folder, path) = tempfile_of(&old.pem);
    let tls = format!("client_certificates = \"required\"\nclient_ca_file = \"{path}\"\n");
    let gateway = started(&origin, &tls, &[("main", "shop.example", &old.issue("shop.example"))]).await;
    for (name, client) in [("old", old.issue("client")), ("new", new.issue("client"))] {
        gateway.write_file(&format!("{name}.pem"), &client.certificate);
        gateway.write_file(&format!("{name}.key"), &client.key);
    }
    let accepted = async |name: &str| {
        let [certificate, key] = ["pem", "key"].map(|end| gateway.path(&format!("{name}.{end}")).display().to_string());
        curl_to(&gateway, "shop.example", &["--insecure", "--cert", &certificate, "--key", &key]).await.code == 0
    };
    assert!(accepted("old").await && !accepted("new").await);
    let write = |text: &str| std::fs::write(folder.path().join("ca.pem"), text).expect("the folder is ours");
    write(&new.pem);
    until(Duration::from_secs(30), "the new one is trusted", async || accepted("new").await).await;
    assert!(!accepted("old").await);
    write("nothing");
    gateway.says("authorities of client certificates can't be used").await;
    assert!(accepted("new").await && !accepted("old").await, "the last good ones stay");
    let degraded = &gateway.status().await["degraded_places"][0];
    assert_eq!(degraded["place"], "proxy.tls.client_ca_file", "{degraded}");
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_refused_before_the_start() {
    let (_folder, path) = tempfile_of("nothing");
    let tls = format!("{LISTEN}client_certificates = \"optional\"\nclient_ca_file = \"{path}\"\n");
    let ran = Setup::new("routes = []").node(&tls).validate();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("proxy.tls.client_ca_file: there is no certificate in it"), "{ran:?}");
}

#[tokio::test]
async fn certificates_are_swapped_under_load() {
    let origin = Origin::start();
    let authority = Authority::new("tests");
    let gateway = started(&origin, "", &[("main", "shop.example", &authority.issue("first.example"))]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let target = address(&gateway);
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (stop, target) = (Arc::clone(&stop), target.clone());
            tokio::spawn(async move {
                let (mut made, mut failed) = (0, Vec::new());
                let url = format!("https://{target}/");
                while !stop.load(Ordering::Relaxed) {
                    let ran = curl(&["--insecure", "-o", "/dev/null", "-w", "%{http_code}", &url]).await;
                    made += 1;
                    if ran.stdout != "200" {
                        failed.push(ran);
                    }
                }
                (made, failed)
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for number in 0..scaled(10, 200) {
        let host = format!("swap-{number}.example");
        let issued = authority.issue(&host);
        gateway.write_file("main.pem", &issued.certificate);
        gateway.write_file("main.key", &issued.key);
        let written = Instant::now();
        until(Duration::from_secs(10), "the new certificate is shown", async || {
            s_client(&gateway, "shop.example", &[]).await.stdout.contains(&host)
        })
        .await;
        slowest = slowest.max(written.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for driver in load {
        let (made, failed) = driver.await.expect("no panic");
        assert!(made > 10 && failed.is_empty(), "{made} handshakes, failed: {failed:?}");
    }
    assert!(slowest < Duration::from_secs(1), "live after {slowest:?}");
    assert!(!gateway.log().contains("can't be used"), "one file after the other is no fault: {}", gateway.log());
    tollgate_tests::proof!(3, 3, "certificate swapped under load", "0 failed handshakes, live after {slowest:.0?}");
}

/// Who says nothing is not waited for.
#[tokio::test]
async fn a_handshake_has_its_time() {
    let origin = Origin::start();
    let issued = Authority::new("tests").issue("shop.example");
    let gateway = started(&origin, "handshake_timeout = \"200ms\"\n", &[("main", "shop.example", &issued)]).await;
    let silent = Raw::open(gateway.tls.expect("a TLS listener")).await;
    assert_eq!(silent.read_to_end().await, b"", "closed without a word");
    // It is counted a moment after the client was told.
    let faults = "tollgate_connection_faults_total{kind=\"tls_handshake\"}";
    until(Duration::from_secs(10), "it is counted", async || gateway.metric(faults).await == Some(1.0)).await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_pointed_out_before_the_start() {
    let text = "routes = []\n[[certificates]]\nname = \"main\"\ncertificate_file = \"no.pem\"\nkey_file = \"no.key\"\n";
    let ran = Setup::new(text).node(LISTEN).validate();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning: certificate main"), "{ran:?}");
}

#[tokio::test]
async fn a_bad_certificate_leaves_the_last_good_one() {
    let origin = Origin::start();
    let authority = Authority::new("tests");
    let (good, other) = (authority.issue("good.example"), authority.issue("other.example"));
    let expired = authority.issue_expired("old.example");
    let broken = Identity { certificate: "nonsense".to_owned(), key: good.key.clone() };
    let certificates =
        [("good", "good.example", &good), ("old", "old.example", &expired), ("broken", "broken.example", &broken)];
    let gateway = started(&origin, "", &certificates).await;
    let shown = async |host: &str| s_client(&gateway, host, &[]).await.stdout;
    assert!(shown("good.example").await.contains("subject=CN = good.example"), "what is good is shown");
    let status = gateway.status().await;
    assert_eq!(status["degraded_places"][0]["place"], "certificate broken", "{status}");
    let states: Vec<&str> = [0, 1, 2].map(|at| status["certificates"][at]["state"].as_str().unwrap_or_default()).into();
    assert_eq!(states, ["missing", "valid", "expired"], "{status}");
    let metrics = get("/metrics").send(gateway.status).await.text();
    assert!(
        metrics.contains("tollgate_certificate_expiry_timestamp_seconds{certificate=\"old\"} 1580515200"),
        "{metrics}"
    );
    gateway.says("certificate has expired").await;

    for (name, text, reason) in [
        ("good.key", other.key.as_str(), "does not belong"),
        ("good.key", "nonsense", "no private key"),
        ("good.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate"),
    ] {
        gateway.write_file(name, text);
        until(Duration::from_secs(10), "it is reported", async || gateway.status().await.to_string().contains(reason))
            .await;
        assert!(shown("good.example").await.contains("subject=CN = good.example"), "{reason}: the last good one stays");
        gateway.write_file("good.key", &good.key);
    }
    gateway.write_file("good.pem", &good.certificate);
    gateway.write_file("broken.pem", &good.certificate);
    until(Duration::from_secs(10), "all is well again", async || {
        gateway.status().await["degraded_places"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    let secret: String = good.key.lines().nth(1).expect("base64").to_owned();
    let told =
        [gateway.log(), gateway.status().await.to_string(), get("/certificates").send(gateway.admin).await.text()];
    assert!(told.iter().all(|text| !text.contains(&secret)), "a key is nowhere");
}

/// Every handshake fails then, which the operator hears of before the clients do.
#[tokio::test]
async fn a_listener_without_a_certificate_is_told() {
    let origin = Origin::start();
    let ran = Setup::new(plain(&origin)).node(LISTEN).validate();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning: proxy.tls: there is no certificate"), "{ran:?}");
    let gateway = started(&origin, "", &[]).await;
    gateway.says("TLS clients can't be served").await;
    let status = gateway.status().await;
    assert_eq!(status["degraded_places"][0]["place"], "proxy.tls", "{status}");
    assert_eq!(gateway.get("/").await.status, 200, "without TLS it serves");
}
