//! Retries: what is sent again, how often, and what an outage is spared. A service with few requests has
//! three a second: no test but the outage's asks for more.

use std::time::{Duration, Instant};

use serde_json::Value;
use tollgate_tests::{Call, Gateway, Load, Origin, Setup, Wire, eventually, get, post, proof, proving, scaled};

use crate::configs::service;

async fn with(origin: &Origin, retries: &str) -> Gateway {
    Setup::new(service("origin", &origin.url(), &format!("retries = {{ {retries} }}"))).workers(1).start().await
}

#[tokio::test]
async fn an_answer_that_may_be_better_next_time_is_asked_for_again() {
    let origin = Origin::start();
    let gateway = with(&origin, "attempts = 3").await;
    assert_eq!(gateway.send(get("/origin/a").origin("status=503 flaky=1")).await.status, 200);
    assert_eq!(origin.requests(), 2);
    let third = gateway.send(get("/origin/b").origin("status=503 flaky=3")).await;
    assert_eq!(third.status, 503, "the last answer is the client's");
    assert_eq!(origin.requests(), 5);
    assert_eq!(gateway.send(get("/origin/c").origin("status=502 flaky=1")).await.status, 502, "not asked for");
    assert_eq!(gateway.metric("tollgate_upstream_retries_total").await, Some(3.0));
}

#[tokio::test]
async fn the_default_sends_once() {
    let origin = Origin::start();
    let gateway = Setup::new(service("origin", &origin.url(), "")).start().await;
    for (target, behaviour, status) in [("/origin/a", "abort flaky=1", 502), ("/origin/b", "status=503 flaky=1", 503)] {
        assert_eq!(gateway.send(get(target).origin(behaviour)).await.status, status);
    }
    assert_eq!(origin.requests(), 2);
}

#[tokio::test]
async fn broken_requests_are_repeated_only_if_that_is_safe() {
    for wire in [Wire::default(), Wire::http2()] {
        let protocol = if wire.http2 { "protocol = \"http2\"\n" } else { "" };
        let origin = Origin::speaking(wire);
        let lines = format!("{protocol}retries = {{ attempts = 2 }}");
        let special = format!("{protocol}retries = {{ attempts = 2, methods = [\"POST\"] }}");
        let config = service("usual", &origin.url(), &lines) + &service("special", &origin.url(), &special);
        let gateway = Setup::new(config).workers(1).start().await;
        let flaky = |call: Call| gateway.send(call.origin("abort flaky=1"));
        assert_eq!(flaky(get("/usual/get")).await.status, 200);
        assert_eq!(flaky(post("/usual/post", "hello")).await.status, 502);
        let put = Call::new(http::Method::PUT, "/usual/put").body(vec![b'x'; 60_000]);
        assert_eq!(flaky(put).await.seen().body_length, 60_000, "a body that fits is sent again");
        assert_eq!(flaky(post("/special/post", "hello")).await.seen().body_length, 5);
    }
}

#[tokio::test]
async fn a_large_body_streams_and_is_not_repeated() {
    let origin = Origin::start();
    let gateway = with(&origin, "attempts = 3, body_size = \"1KiB\"").await;
    let put = |target, size| Call::new(http::Method::PUT, target).body(vec![b'x'; size]).origin("status=503 flaky=1");
    assert_eq!(gateway.send(put("/origin/small", 1000)).await.status, 200);
    assert_eq!(gateway.send(put("/origin/large", 1_000_000)).await.status, 503);
    assert_eq!(gateway.send(put("/origin/large", 1_000_000)).await.seen().body_length, 1_000_000);
}

#[tokio::test]
async fn each_attempt_has_its_own_time() {
    let origin = Origin::start();
    let gateway = with(&origin, "attempts = 2, per_try_timeout = \"300ms\", on = [\"timeout\"]").await;
    let started = Instant::now();
    assert_eq!(gateway.send(get("/origin/a").origin("delay=30000 flaky=1")).await.status, 200);
    assert_eq!(gateway.send(get("/origin/b").origin("delay=30000 flaky=2")).await.status, 504);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn other_targets_come_first() {
    let (bad, good) = (Origin::named("bad"), Origin::named("good"));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let config = format!(
        "[[upstreams]]\nname = \"pair\"\ntargets = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]\n\
         [[upstreams]]\nname = \"half\"\ntargets = [{{ address = \"{gone}\" }}, {{ address = \"{}\" }}]\n",
        bad.address, good.address, good.address
    );
    let paired =
        |name: &str, lines: &str| service(name, "x", lines).replace("url = \"x\"", &format!("upstream = \"{name}\""));
    let config = config + &paired("pair", "retries = { attempts = 2 }") + &paired("half", "");
    let gateway = Setup::new(config).workers(1).start().await;
    // The targets take turns; whichever is first fails once.
    for n in 0..3 {
        let reply = gateway.send(get(&format!("/pair/{n}")).origin("status=503 flaky=1")).await;
        // Each origin counts for itself: the second one fails this target too, once.
        assert_eq!(reply.status, 503);
    }
    assert_eq!((bad.requests(), good.requests()), (3, 3), "never the same target twice");
    for _ in 0..4 {
        assert_eq!(gateway.get("/half").await.status, 200, "what was never sent moves on without any policy");
    }
}

#[tokio::test]
async fn an_outage_is_not_multiplied() {
    let origin = Origin::start();
    let gateway = with(&origin, "attempts = 5").await;
    let started = Instant::now();
    let call = |n: u64| get(&format!("/origin/{n}")).origin("status=503");
    let load = Load::start(gateway.proxy, 8, Duration::from_millis(1), call, |reply| match reply.status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    tollgate_tests::until(Duration::from_secs(60), "2,000 answers", async || load.answered() >= 2000).await;
    let tally = load.stop();
    tally.assert_clean();
    let attempts = origin.requests() as f64;
    let most = 1.2 * tally.requests as f64 + 3.0 * (started.elapsed().as_secs_f64() + 1.0);
    assert!(attempts <= most, "{attempts} attempts for {} requests", tally.requests);
    assert!(attempts >= 1.1 * tally.requests as f64, "the budget was not used: {attempts} for {}", tally.requests);
    let factor = attempts / tally.requests as f64;
    proof!(
        3,
        3,
        "an outage under a policy of 5 attempts",
        "{factor:.2} attempts a request (budget 20 % and 3 a second)"
    );
    let metrics = get("/metrics").send(gateway.status).await.text();
    assert!(metrics.contains("tollgate_upstream_retries_total{result=\"over_budget\"}"), "{metrics}");
}

#[tokio::test]
async fn the_log_tells_how_often_a_request_was_sent() {
    let origin = Origin::start();
    let config = service("origin", &origin.url(), "retries = { attempts = 4 }")
        .replace("paths =", "chain = [\"log\"]\npaths =")
        + "[[plugins]]\nname = \"log\"\nmodule = \"file-log\"\nconfig = { path = \"access.log\" }\n\
           grants = { files = [\"access.log\"] }\n";
    let gateway = Setup::new(config).plugins(&["file-log"]).workers(1).start().await;
    assert_eq!(gateway.send(get("/origin/a").origin("status=503 flaky=3")).await.status, 200);
    let line: Value = eventually(Duration::from_secs(20), async || {
        let text = gateway.data_file("access.log");
        serde_json::from_str(text.lines().next().unwrap_or_default()).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!((&line["attempts"], &line["status"]), (&4.into(), &200.into()), "{line}");
}

/// Targets that do not answer, or not even connect, cost only those who ask for them.
#[tokio::test]
async fn dead_upstreams_do_not_slow_healthy_ones() {
    let origin = Origin::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let short = "timeouts = { connect = \"1s\", response = \"1s\" }\nretries = { attempts = 3, on = [\"timeout\"] }";
    let config = service("healthy", &origin.url(), "")
        + &service("silent", &url, short)
        + &service("silent2", &url, &format!("protocol = \"http2\"\n{short}"));
    let gateway = Setup::new(config).workers(1).start().await;
    // By turns, and the best of each: what else the machine does is not to be measured.
    let (mut quiet, mut troubled) = (Duration::MAX, Duration::MAX);
    for _ in 0..scaled(1, 7) {
        quiet = quiet.min(measured(&gateway, None).await);
        troubled = troubled.min(measured(&gateway, Some(["/silent", "/silent2"])).await);
    }
    // On a machine that is busy with other tests only this is sure: nobody waits for the dead ones' second.
    let most = if proving() { quiet.mul_f64(1.2) } else { Duration::from_millis(250) };
    let ratio = troubled.as_secs_f64() / quiet.as_secs_f64();
    proof!(
        3,
        3,
        "a healthy route beside two dead upstreams",
        "p99 {troubled:?}, {quiet:?} without them: {ratio:.2} x (goal 1.2)"
    );
    assert!(troubled <= most, "p99 {troubled:?} beside dead upstreams, {quiet:?} alone");
}

/// The 99th percentile of a healthy route.
async fn measured(gateway: &Gateway, beside: Option<[&'static str; 2]>) -> Duration {
    let others: Vec<Load> = beside
        .into_iter()
        .flatten()
        .map(|target| Load::start(gateway.proxy, 16, Duration::from_millis(1), move |_| get(target), |_| Ok(())))
        .collect();
    let load = Load::steady(gateway.proxy, 2, get("/healthy"));
    let enough = scaled(1000, 10_000);
    tollgate_tests::until(Duration::from_secs(60), "enough answers", async || load.answered() >= enough).await;
    let tally = load.stop();
    tally.assert_clean();
    others.into_iter().for_each(|load| drop(load.stop()));
    tally.quantile(0.99)
}
