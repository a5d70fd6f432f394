//! What is wrong with a configuration is said all at once, before anything changes.

use std::time::{Duration, Instant};

use tollgate_tests::{Connection, Origin, Setup, eventually, get, until};

use crate::configs::{KEYED, chained, plain};

const WRONG: &str = r#"
[[services]]
name = "orders"
url = "http://127.0.0.1:9"
taggs = ["a"]

[[services]]
name = "orders"
url = "http://127.0.0.1:9"

[[routes]]
name = "dangling"
service = "nobody"
paths = ["/a"]

[[routes]]
name = "Bad Name"
service = "orders"
paths = ["no-slash"]

[[routes]]
name = "wrong-type"
service = "orders"
paths = ["/b"]
priority = "high"

[[routes]]
name = "chained"
service = "orders"
paths = ["/c"]
chain = ["no-such-plugin"]

[[consumers]]
name = "one"
keys = [{ key = "canary-secret-7f3a" }]

[[consumers]]
name = "two"
keys = [{ key = "canary-secret-7f3a" }]
"#;

#[tokio::test]
async fn validate_lists_every_problem_with_its_place_and_no_secret() {
    let ran = Setup::new(WRONG).validate();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_ne!(ran.code, 0, "{said}");
    for told in ["taggs", "orders", "nobody", "Bad Name", "no-slash", "priority", "no-such-plugin", "gateway.toml"] {
        assert!(said.contains(told), "nothing about {told}:\n{said}");
    }
    for line in [5, 8, 13, 17, 19, 25, 31, 39] {
        assert!(
            said.contains(&format!(":{line}:")) || said.contains(&format!("{line} │")),
            "line {line} is not shown:\n{said}"
        );
    }
    assert!(said.contains("did you mean"), "no hint:\n{said}");
    assert!(!said.contains("canary-secret"), "a secret was printed:\n{said}");
}

#[tokio::test]
async fn validate_accepts_what_is_right_and_checks_the_node_s_file_too() {
    let origin = Origin::start();
    let ran = Setup::new(plain(&origin)).validate();
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = Setup::new(plain(&origin)).proxy("lisen = true").validate();
    assert_ne!(ran.code, 0, "an unknown key of tollgate.toml");
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("lisen"), "{ran:?}");
}

#[tokio::test]
async fn validate_checks_the_settings_of_plugins() {
    let origin = Origin::start();
    let config = plain(&origin).replace("chain = []", r#"chain = ["limit"]"#)
        + "[[plugins]]\nname = \"limit\"\nmodule = \"rate-limiting\"\n\
           config = { limits = [{ limit = 0, window = \"1m\", by = \"consumer\" }] }\n";
    let ran = Setup::new(config).plugins(&["rate-limiting"]).validate();
    assert_ne!(ran.code, 0, "{ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("minimum") && said.contains("gateway.toml:14:"), "not what, or not where:\n{said}");
}

/// Who mends the one should not be told of the other only then.
#[tokio::test]
async fn settings_of_plugins_are_checked_in_a_file_that_is_refused_anyway() {
    let origin = Origin::start();
    let limits = "[[plugins]]\nname = \"limit\"\nmodule = \"rate-limiting\"\n\
                  config = { limits = [{ limit = LIMIT, window = \"1m\", by = \"consumer\" }] }\n";
    let good = plain(&origin) + &limits.replace("LIMIT", "10");
    let bad = good.replace("limit = 10,", "limit = \"many\",") + "[[typo]]\n";
    let both = |said: &str| said.contains("unknown key `typo`") && said.contains("many");

    let ran = Setup::new(bad.clone()).plugins(&["rate-limiting"]).validate();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(both(&ran.stderr), "{}", ran.stderr);

    let gateway = Setup::new(good).plugins(&["rate-limiting"]).start().await;
    gateway.write_config(&bad);
    let told = async || both(&gateway.status().await["configuration"]["last_error"].to_string());
    until(Duration::from_secs(20), "both are told", told).await;
}

#[tokio::test]
async fn validate_tells_typos_in_settings_at_their_keys() {
    let origin = Origin::start();
    let config = plain(&origin)
        + "[[plugins]]\nname = \"limit\"\nmodule = \"rate-limiting\"\n\
           config = { limits = [{ limit = 1, windw = \"1m\", by = \"consumer\" }, { limit = 1, window = \"soon\", by = \"consumer\" }] }\n";
    let ran = Setup::new(config).plugins(&["rate-limiting"]).validate();
    for expected in [
        "unknown key `windw`",
        "did you mean `window`?",
        "a required key is missing: window",
        "a duration such as \"1m\"",
    ] {
        assert!(ran.stderr.contains(expected), "{expected} is not in\n{}", ran.stderr);
    }
}

#[tokio::test]
async fn validate_refuses_modules_that_are_not_there() {
    let origin = Origin::start();
    let config = plain(&origin) + "[[plugins]]\nname = \"key-auth\"\nmodule = \"key-atuh\"\n";
    let setup = Setup::new(config.clone()).plugins(&["key-auth"]);
    let ran = setup.validate();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("did you mean `key-auth`?") && ran.stderr.contains("gateway.toml:13:"), "{ran:?}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tollgate.toml");
    std::fs::write(&file, "[plugins]\nfolder = \"nowhere\"\n").expect("our folder");
    std::fs::write(folder.path().join("gateway.toml"), config).expect("our folder");
    let ran = tollgate_tests::validate_with(&file, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("nowhere is missing"), "{ran:?}");
    let ran = tollgate_tests::validate_with(&file, &["--allow-missing-modules"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning: plugin key-auth"), "{ran:?}");
}

#[tokio::test]
async fn validate_refuses_modules_that_can_not_be_used() {
    let origin = Origin::start();
    let config = plain(&origin) + "[[plugins]]\nname = \"garbage\"\n";
    let ran = Setup::new(config).module_bytes("garbage", b"no module").validate();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("plugin `garbage`: ") && ran.stderr.contains("gateway.toml:"), "{ran:?}");
}

#[tokio::test]
async fn an_upstream_that_asks_for_tls_is_not_spoken_to_in_clear() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin).replace("http://", "https://")).start().await;
    assert_eq!(gateway.get("/").await.status, 502);
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_good_change_is_live_without_closing_a_connection() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut kept = Connection::open(gateway.proxy).await.expect("a connection");
    assert_eq!(kept.send(get("/a")).await.expect("an answer").status, 200);

    gateway.write_config(&plain(&origin).replace(r#"paths = ["/"]"#, r#"paths = ["/only"]"#));
    eventually(Duration::from_secs(20), async || {
        match kept.send(get("/a")).await.expect("the connection is kept").status {
            404 => Ok(()),
            status => Err(format!("the old route still answers {status}")),
        }
    })
    .await;
    assert_eq!(kept.send(get("/only/a")).await.expect("the connection is kept").status, 200);
}

#[tokio::test]
async fn a_bad_change_leaves_the_old_state_and_says_why() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    gateway.write_config(WRONG);
    eventually(Duration::from_secs(20), async || {
        let status = gateway.status().await.to_string();
        if status.contains("no-such-plugin") { Ok(()) } else { Err(format!("/status does not say why: {status}")) }
    })
    .await;
    gateway.says("no-such-plugin").await;
    assert!(!gateway.log().contains("canary-secret"), "and no secret");
    assert_eq!(gateway.get("/a").await.status, 200, "the old state serves");

    gateway.write_config(&plain(&origin));
    eventually(Duration::from_secs(20), async || {
        let status = gateway.status().await.to_string();
        if status.contains("no-such-plugin") { Err(format!("the complaint stays: {status}")) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn a_gateway_does_not_start_on_a_wrong_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tollgate.toml");
    std::fs::write(&file, "[proxy]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"file:missing.toml\"\n")
        .expect("our folder");
    let ran = tollgate_tests::validate(&file);
    assert_ne!(ran.code, 0);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("missing.toml"), "{ran:?}");
}

/// A beginning of the file is valid and has no authentication yet.
#[tokio::test]
async fn half_of_a_file_is_never_served() {
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let origin = Origin::start();
    let whole = format!("{KEYED}{}", chained(&origin, &["key-auth"]));
    let gateway = Setup::new(&whole).plugins(&["key-auth"]).start().await;
    assert_eq!(gateway.get("/").await.status, 401);
    let (open, protection) = whole.split_once("chain =").expect("the route has a chain");
    let mut file = std::fs::File::create(gateway.path("gateway.toml")).expect("our folder");
    write!(file, "#{open}").expect("our file");
    // A writer that is never quiet for long.
    let (busy, done) = (file.try_clone().expect("our file"), Arc::new(AtomicBool::new(false)));
    let stop = Arc::clone(&done);
    let writer = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            busy.write_all_at(b"#", 0).expect("our file");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(700) {
        assert_eq!(gateway.get("/").await.status, 401, "a route without its chain is served");
    }
    done.store(true, Ordering::Relaxed);
    writer.join().expect("it only writes");
    write!(file, "chain ={}", protection.replace("[\"key-auth\"]", "[]")).expect("our file");
    drop(file);
    gateway.answers("/", "the whole file is served", |reply| reply.status == 200).await;
}

/// The way Kubernetes mounts a ConfigMap: `gateway.toml` → `..data/gateway.toml`, `..data` → a folder.
#[tokio::test]
async fn a_change_behind_swapped_symlinks_is_seen() {
    use std::os::unix::fs::symlink;

    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let put = |folder: &str, text: &str| {
        std::fs::create_dir(gateway.path(folder)).expect("a new folder");
        std::fs::write(gateway.path(folder).join("gateway.toml"), text).expect("our folder");
        symlink(folder, gateway.path("..data.new")).expect("a new link");
        std::fs::rename(gateway.path("..data.new"), gateway.path("..data")).expect("our folder");
    };
    put("..first", &plain(&origin));
    symlink("..data/gateway.toml", gateway.path("link")).expect("a new link");
    std::fs::rename(gateway.path("link"), gateway.path("gateway.toml")).expect("our folder");
    gateway.answers("/a", "the first mount serves", |reply| reply.status == 200).await;

    put("..second", &plain(&origin).replace(r#"paths = ["/"]"#, r#"paths = ["/second"]"#));
    gateway.answers("/second", "the second mount is seen", |reply| reply.status == 200).await;
    gateway.answers("/a", "the first one is gone", |reply| reply.status == 404).await;
}
