//! Certificates that stand in the database.

use serde_json::json;
use tollgate_tests::{Authority, Gateway, Identity, Origin, Setup, curl};

const HOST: &str = "shop.example";

/// Whether a client that trusts this authority alone gets through.
async fn is_trusted(gateway: &Gateway, authority: &Authority) -> bool {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &authority.pem).expect("the file is ours");
    let port = gateway.tls.expect("a TLS listener").port();
    let (to, url) = (format!("{HOST}:{port}:127.0.0.1:{port}"), format!("https://{HOST}:{port}/"));
    let ca = file.path().to_str().expect("UTF-8");
    curl(&["-f", "--cacert", ca, "--connect-to", &to, &url]).await.code == 0
}

fn texts(identity: &Identity) -> serde_json::Value {
    json!({ "certificate": identity.certificate, "key": identity.key })
}

#[tokio::test]
async fn a_certificate_in_the_database_is_shown_at_once_and_its_key_to_nobody() {
    let origin = Origin::start();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let listen = "[proxy.tls]\nlisten = \"127.0.0.1:0\"\n";
    let gateway = Setup::database("sqlite:gateway.db").node(listen).start().await;
    let admin = gateway.admin().await;
    admin.puts("/services/shop", json!({ "url": origin.url() })).await;
    admin.puts("/routes/shop", json!({ "service": "shop", "paths": ["/"] })).await;

    let (issued, other) = (first.issue(HOST), second.issue(HOST));
    let mixed = json!({ "certificate": issued.certificate, "key": other.key });
    let refused = admin.put("/certificates/shop", mixed).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let problem = &refused.json()["problems"][0];
    assert_eq!(problem["path"], "certificates.shop");
    assert_eq!(problem["message"], "the key does not belong to the certificate");

    admin.puts("/certificates/shop", texts(&issued)).await;
    admin.puts(&format!("/snis/{HOST}"), json!({ "certificate": "shop" })).await;
    assert!(is_trusted(&gateway, &first).await);

    // Sent back as it was shown, it stays.
    let mut shown = admin.get("/certificates/shop").await.json();
    assert_eq!((&shown["certificate"], &shown["key"]), (&json!(issued.certificate), &json!("[hidden]")));
    shown["tags"] = json!(["shop"]);
    admin.puts("/certificates/shop", shown).await;
    assert!(is_trusted(&gateway, &first).await);

    admin.puts("/certificates/shop", texts(&other)).await;
    assert!(is_trusted(&gateway, &second).await && !is_trusted(&gateway, &first).await);

    let secret = other.key.lines().nth(1).expect("a line of the key");
    for file in ["gateway.db", "gateway.db-wal"] {
        let stored = std::fs::read(gateway.path(file)).unwrap_or_default();
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}
