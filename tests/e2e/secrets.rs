//! Secrets appear in nothing that is written down.

use std::time::Duration;

use tollgate_tests::{Gateway, Origin, Raw, Setup, eventually, get};

use crate::configs::{KEYED, chained};

const CANARY: &str = "canary-key-51c7";

#[tokio::test]
async fn a_key_in_the_query_is_in_no_output() {
    for hidden in [true, false] {
        let origin = Origin::start();
        let gateway = start(&origin, hidden).await;
        let targets = [
            (200, format!("/a?b=1&apikey={CANARY}&c=%20")),
            (200, format!("/a?b=1&ap%69key={CANARY}&c=%20")),
            (401, format!("/a?b=1&apikey={CANARY}-wrong&c=%20")),
            (401, format!("/a?b=1&apikey={CANARY}&apikey={CANARY}&c=%20")),
        ];
        for (status, target) in &targets {
            assert_eq!(gateway.get(target).await.status, *status, "{target}");
        }
        let seen = origin.seen();
        assert!(seen.iter().all(|seen| seen.target.contains(CANARY) != hidden), "{seen:?}");
        let access_log = eventually(Duration::from_secs(10), async || {
            let log = gateway.data_file("access.log");
            if log.lines().count() == targets.len() {
                Ok(log)
            } else {
                Err(format!("some requests are missing:\n{log}"))
            }
        })
        .await;
        assert!(access_log.contains("/a?b=1&apikey=***&c=%20"), "nothing else is masked:\n{access_log}");
        for (name, text) in outputs(&gateway, access_log).await {
            assert!(!text.contains(CANARY), "hide_credentials = {hidden}: {name} has the key:\n{text}");
        }
    }
}

/// Who names the parameter need not have been reached by the request that has it.
#[tokio::test]
async fn a_key_that_nobody_asked_for_is_in_no_output_either() {
    let origin = Origin::start();
    let config = chained(&origin, &["key-auth"]).replace("[\"/\"]", "[\"/only\"]")
        + KEYED
        + "config = { query = [\"apikey\"] }\n\
           [[plugins]]\nname = \"access-log\"\nmodule = \"file-log\"\nconfig = { path = \"access.log\" }\n\
           grants = { files = [\"access.log\"] }\n";
    let setup = Setup::new(format!("chain = [\"access-log\"]\n{config}")).plugins(&["key-auth", "file-log"]);
    let gateway = setup.start().await;
    assert_eq!(gateway.get(&format!("/nowhere?b=1&apikey={CANARY}")).await.status, 404);
    let refused = format!("GET /only?apikey={CANARY} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let mut raw = Raw::open(gateway.proxy).await;
    raw.write(refused).await;
    assert!(raw.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let log = eventually(Duration::from_secs(10), async || {
        let log = gateway.data_file("access.log");
        if log.lines().count() == 2 { Ok(log) } else { Err(format!("some requests are missing:\n{log}")) }
    })
    .await;
    assert!(log.contains("/nowhere?b=1&apikey=***") && !log.contains(CANARY), "{log}");
}

async fn start(origin: &Origin, hidden: bool) -> Gateway {
    let config = chained(origin, &["access-log", "key-auth"])
        + &KEYED.replace("demo-key", CANARY)
        + &format!("config = {{ query = [\"apikey\"], hide_credentials = {hidden} }}\n")
        + "[[plugins]]\nname = \"access-log\"\nmodule = \"file-log\"\nconfig = { path = \"access.log\" }\n"
        + "grants = { files = [\"access.log\"] }\n";
    Setup::new(config).plugins(&["key-auth", "file-log"]).node("[log]\nlevel = \"trace\"").start().await
}

/// Everything that the gateway writes or tells.
async fn outputs(gateway: &Gateway, access_log: String) -> Vec<(String, String)> {
    let mut outputs = vec![("the access log".to_owned(), access_log), ("the gateway's log".to_owned(), gateway.log())];
    for path in ["/plugins", "/consumers", "/routes", "/status"] {
        outputs.push((path.to_owned(), get(path).send(gateway.admin).await.text().to_owned()));
    }
    for path in ["/status", "/metrics"] {
        outputs.push((path.to_owned(), get(path).send(gateway.status).await.text().to_owned()));
    }
    outputs
}
