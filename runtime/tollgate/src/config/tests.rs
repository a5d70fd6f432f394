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
    assert_eq!(raw.admin.listen.port(), 8001);
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
fn no_two_listeners_share_an_address() {
    for (text, complaint) in [
        (
            "[proxy]\nlisten = \"127.0.0.1:9\"\n[admin]\nlisten = \"127.0.0.1:9\"",
            "`admin.listen` is the same address as `proxy.listen`",
        ),
        ("[proxy]\nlisten = \"127.0.0.1:8001\"", "`proxy.listen` is the same address as `admin.listen`"),
        ("[proxy.tls]\nlisten = \"127.0.0.1:8007\"", "`status.listen` is 127.0.0.1:8007 unless it is written"),
        ("[proxy]\nlisten = [\"127.0.0.1:9\", \"127.0.0.1:9\"]", "`proxy.listen` has the same address twice"),
        (
            "[proxy]\nlisten = \"0.0.0.0:9\"\n[admin]\nlisten = \"127.0.0.1:9\"",
            "`admin.listen` is within `proxy.listen`",
        ),
        ("[proxy]\nlisten = \"0.0.0.0:8001\"", "`admin.listen` is within `proxy.listen`"),
        ("[proxy]\nlisten = \"[::]:8001\"", "`admin.listen` is 127.0.0.1:8001 unless it is written"),
        (
            "[proxy]\nlisten = \"127.0.0.1:9\"\n[status]\nlisten = \"0.0.0.0:9\"",
            "`proxy.listen` is within `status.listen`",
        ),
        (
            "[proxy]\nlisten = \"127.0.0.1:9\"\n[status]\nlisten = \"[::ffff:127.0.0.1]:9\"",
            "`status.listen` is the same address as `proxy.listen`",
        ),
        ("[proxy]\nlisten = [\"0.0.0.0:9\", \"[::]:9\"]", "`proxy.listen` has an address that is within another"),
        ("[proxy]\nlisten = \"127.0.0.1:8001\"\n[log]\nlevel = \"loud\"", "is the same address as `admin.listen`"),
    ] {
        let report = read(text).err().unwrap();
        let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(complaint), "{complaint} in\n{report}");
    }
    for text in [
        "[proxy]\nlisten = \"[::1]:8001\"",
        "[proxy]\nlisten = \"0.0.0.0:9\"\n[admin]\nlisten = \"[::1]:9\"",
        "[proxy]\nlisten = [\"0.0.0.0:0\", \"[::]:0\"]",
    ] {
        assert!(read(text).is_ok(), "{text}");
    }
    let report = read("[proxy]\nlisten = \"nowhere\"\n[admin]\nlisten = \"127.0.0.1:8000\"").err().unwrap();
    assert!(!report.contains("same address"), "the default of a table that is refused is not listened on:\n{report}");
    let chosen = "[proxy]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    assert!(read(chosen).is_ok());
    assert!(read("[proxy]\nlisten = \"127.0.0.2:8001\"").is_ok(), "another address, the same port");
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
