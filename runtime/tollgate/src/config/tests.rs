use super::*;

fn read(text: &str) -> Result<Raw, String> {
    let document =
        Document::parse(Path::new("tollgate.toml"), text.to_owned()).map_err(|report| report.render_plain())?;
    document.read(decode::whole::<Raw>).map_err(|report| report.render_plain())
}

#[test]
fn an_empty_file_is_a_node_with_the_usual_ports() {
    let raw = read("").unwrap();
    assert_eq!(raw.proxy.listen[0].port(), 8000);
    assert_eq!(raw.admin.port(), 8001);
    assert_eq!(raw.status.port(), 8007);
}

#[test]
fn tls_may_stand_alone_and_says_whom_it_trusts() {
    let raw = read("[proxy]\nlisten = []\n[proxy.tls]\nlisten = \"127.0.0.1:8443\"\nmin_version = \"1.3\"\n").unwrap();
    assert!(raw.proxy.listen.is_empty());
    assert_eq!(raw.proxy.tls.unwrap().listen[0].port(), 8443);
    for (table, complaint) in [
        ("client_certificates = \"required\"", "whose certificates"),
        ("client_ca_file = \"ca.pem\"", "nobody asks"),
        ("min_version = \"1.1\"", "min_version"),
        ("handshake_timeout = \"0s\"", "handshake_timeout"),
    ] {
        let report = read(&format!("[proxy.tls]\nlisten = \"127.0.0.1:8443\"\n{table}\n")).err().unwrap();
        assert!(report.contains(complaint), "{complaint} in\n{report}");
    }
    assert!(read("[proxy.tls]\nlisten = []\n").is_err());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let report = read(
        "[proxy]\nlisten = \"nowhere\"\nworker = 2\n[admin]\nlisten = \"0.0.0.0:8001\"\n[store]\nurl = \"mysql://x\"\n\
         [plugins]\nmemory = \"10KiB\"\n[log]\nlevel = \"loud\"\n",
    )
    .err()
    .unwrap();
    for expected in ["listen", "worker", "loopback", "store", "between 1MiB", "level"] {
        assert!(report.contains(expected), "{expected} in\n{report}");
    }
}
