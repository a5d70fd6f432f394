use std::time::Duration;

use tollgate_tests::{Gateway, Origin, Setup, eventually, get};

use crate::configs::{KEYED, chained};

fn limited(origin: &Origin, limits: &str) -> String {
    chained(origin, &["limit"])
        + &format!("[[plugins]]\nname = \"limit\"\nmodule = \"rate-limiting\"\nconfig = {{ limits = [{limits}] }}\n")
}

async fn admitted(gateway: &Gateway, count: usize, field: (&str, &str)) -> usize {
    let mut admitted = 0;
    for _ in 0..count {
        let reply = gateway.send(get("/").header(field.0, field.1)).await;
        match reply.status {
            200 => admitted += 1,
            429 => {}
            other => panic!("{other}: {reply:?}"),
        }
    }
    admitted
}

#[tokio::test]
async fn every_algorithm_admits_its_limit() {
    let origin = Origin::start();
    for algorithm in ["fixed-window", "sliding-window", "token-bucket"] {
        // A window so long that none ends during the test.
        let limit = format!(r#"{{ limit = 7, window = "365d", by = "global", algorithm = "{algorithm}" }}"#);
        let gateway = Setup::new(limited(&origin, &limit)).plugins(&["rate-limiting"]).start().await;
        assert_eq!(admitted(&gateway, 12, ("x-a", "1")).await, 7, "{algorithm}");
    }
}

/// All workers count together: whichever one a connection lands on.
#[tokio::test]
async fn concurrent_clients_are_admitted_exactly_the_limit() {
    let origin = Origin::start();
    let config = limited(&origin, r#"{ limit = 200, window = "365d", by = "global", algorithm = "fixed-window" }"#);
    let gateway = Setup::new(config).plugins(&["rate-limiting"]).workers(2).start().await;
    let clients = (0..16).map(|_| admitted(&gateway, 40, ("x-a", "1")));
    let admitted: usize = futures_util::future::join_all(clients).await.into_iter().sum();
    assert_eq!(admitted, 200);
    assert_eq!(origin.requests(), 200);
}

#[tokio::test]
async fn headers_consumers_and_several_limits_count_apart() {
    let origin = Origin::start();
    let both = r#"{ limit = 3, window = "365d", by = { header = "x-tenant" }, algorithm = "fixed-window" },
                  { limit = 5, window = "365d", by = "global", algorithm = "fixed-window" }"#;
    let config = limited(&origin, &both.replace('\n', " "));
    let gateway = Setup::new(config).plugins(&["rate-limiting"]).start().await;
    assert_eq!(admitted(&gateway, 5, ("x-tenant", "a")).await, 3);
    // Had the two that tenant a was denied counted against all, nothing would be left for b.
    assert_eq!(admitted(&gateway, 5, ("x-tenant", "b")).await, 2);
}

#[tokio::test]
async fn a_change_of_the_limit_goes_on_counting() {
    let origin = Origin::start();
    let limit = |limit: u32| {
        format!(r#"{{ name = "kept", limit = {limit}, window = "365d", by = "global", algorithm = "fixed-window" }}"#)
    };
    let gateway = Setup::new(limited(&origin, &limit(5))).plugins(&["rate-limiting"]).start().await;
    assert_eq!(admitted(&gateway, 6, ("x-a", "1")).await, 5);
    gateway.write_config(&limited(&origin, &limit(9)));
    let mut more = 0;
    eventually(Duration::from_secs(20), async || {
        let reply = gateway.get("/").await;
        more += u32::from(reply.status == 200);
        if reply.header("ratelimit-limit") == "9" && reply.status == 429 { Ok(()) } else { Err(format!("{reply:?}")) }
    })
    .await;
    assert_eq!(more, 4, "five were taken before the limit became nine");
}

#[tokio::test]
async fn a_limit_by_consumer_does_not_touch_the_others() {
    let origin = Origin::start();
    let other = "[[consumers]]\nname = \"other\"\nkeys = [{ key = \"other-key\" }]\n";
    let config = limited(&origin, r#"{ limit = 2, window = "365d", by = "consumer", algorithm = "fixed-window" }"#)
        .replace(r#"["limit"]"#, r#"["key-auth", "limit"]"#);
    let gateway = Setup::new(config + KEYED + other).plugins(&["rate-limiting", "key-auth"]).start().await;
    assert_eq!(admitted(&gateway, 4, ("apikey", "demo-key")).await, 2);
    assert_eq!(admitted(&gateway, 4, ("apikey", "other-key")).await, 2);
}
