//! A hostile plugin harms only its own requests.

use std::time::{Duration, Instant};

use tollgate_tests::{Gateway, Load, Origin, Reply, Setup, eventually, get, post, proof, proving, scaled, until};

use crate::configs::plain;
use crate::modules::module;

/// `/hostile` has the hostile plugin with these settings, everything else has none.
fn config(origin: &Origin, settings: &str, more: &str) -> String {
    plain(origin)
        + "[[routes]]\nname = \"hostile\"\nservice = \"origin\"\npaths = [\"/hostile\"]\nchain = [\"hostile\"]\n"
        + &format!("[[plugins]]\nname = \"hostile\"\nmodule = \"hostile\"\nconfig = {{ {settings} }}\n{more}\n")
}

async fn start(origin: &Origin, settings: &str) -> Gateway {
    Setup::new(config(origin, settings, "")).guests(&["hostile"]).start().await
}

async fn attack(gateway: &Gateway, name: &str) -> Reply {
    gateway.send(get("/hostile").header("x-attack", name)).await
}

async fn assert_unharmed(gateway: &Gateway) {
    assert_eq!(gateway.get("/hostile").await.status, 200, "a request without an attack, through the same plugin");
    assert_eq!(gateway.get("/other").await.status, 200);
}

#[tokio::test]
async fn each_attack_costs_its_own_request() {
    let origin = Origin::start();
    let gateway = start(&origin, "on_header = true").await;
    assert_unharmed(&gateway).await;
    for name in ["loop", "memory", "trap", "recursion", "handle", "random"] {
        let reply = attack(&gateway, name).await;
        assert_eq!(reply.status, 500, "{name}: {reply:?}");
        assert!(!reply.text().contains("hostile"), "plugins are not the client's business: {}", reply.text());
        assert_unharmed(&gateway).await;
    }
    let used = origin.requests();
    attack(&gateway, "trap").await;
    assert_eq!(origin.requests(), used, "what failed closed does not reach the upstream");
}

#[tokio::test]
async fn a_failed_hook_is_found_by_module_plugin_route_and_request() {
    let origin = Origin::start();
    let gateway = start(&origin, "on_header = true").await;
    let told = [("trap", "unreachable"), ("loop", "50ms (`cpu`)"), ("memory", "over 16MiB (`plugins.memory`)")];
    for (attack, detail) in told {
        let reply = gateway.send(get("/hostile").header("x-attack", attack)).await;
        let id = reply.json()["request_id"].as_str().expect("an error has the request's id").to_owned();
        gateway.says(&id).await;
        let log = gateway.log();
        let line = log.lines().find(|line| line.contains(&id)).expect("it was there");
        for part in ["hook failed", "plugin=\"hostile\"", "module=\"hostile\"", "route=\"hostile\"", detail] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    assert_eq!(gateway.metric("tollgate_plugin_faults_total{module=\"hostile\",kind=\"trap\"}").await, Some(1.0));
    let module = module(&gateway, "hostile").await;
    assert_eq!((&module["faults"]["trap"], &module["faults"]["cpu"]), (&1.into(), &1.into()), "{module}");
    assert!(module["last_fault"]["message"].to_string().contains("plugin hostile: memory"), "{module}");
}

#[tokio::test]
async fn a_loop_is_cut_at_its_budget() {
    let origin = Origin::start();
    let limits = "limits = { cpu = \"50ms\" }";
    let setup = Setup::new(config(&origin, "on_header = true", limits)).guests(&["hostile"]).workers(1);
    let gateway = setup.start().await;
    assert_unharmed(&gateway).await;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let started = Instant::now();
        assert_eq!(attack(&gateway, "loop").await.status, 500);
        longest = longest.max(started.elapsed());
    }
    assert!(longest < Duration::from_millis(250), "a budget of 50 ms took {longest:?}");
    proof!(2, 3, "endless loop, budget 50 ms, one worker", "cut within {longest:?}");
}

#[tokio::test]
async fn a_loop_that_sleeps_in_between_is_cut_too() {
    let origin = Origin::start();
    let limits = "limits = { cpu = \"50ms\", wall = \"60s\" }";
    let gateway = Setup::new(config(&origin, "on_header = true", limits)).guests(&["hostile"]).workers(1).start().await;
    assert_unharmed(&gateway).await;
    let started = Instant::now();
    assert_eq!(attack(&gateway, "naps").await.status, 500);
    assert!(started.elapsed() < Duration::from_secs(20), "a budget of 50 ms took {:?}", started.elapsed());
    assert_unharmed(&gateway).await;
}

/// Memory that an instance gave back is used again, whatever the sizes.
#[tokio::test]
async fn blocks_that_grow_fit_into_the_memory_of_one() {
    let origin = Origin::start();
    // Of 16 MiB.
    let gateway = start(&origin, "request = \"blocks\", times = 10, bytes = 1000000").await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/hostile").await.status, 200);
    }
}

/// A loop yields at each tick, so that others on the same worker go on: with one request in a hundred
/// looping, they wait two ticks of 10 ms longer, at the 99th percentile.
#[tokio::test]
async fn loops_do_not_stop_the_others() {
    let origin = Origin::start();
    let setup = Setup::new(config(&origin, "on_header = true", "")).guests(&["hostile"]).workers(1);
    let gateway = setup.start().await;
    assert_unharmed(&gateway).await;
    let requests: u64 = scaled(600, 6000);
    let others = async || {
        let check = |reply: &Reply| if reply.status == 200 { Ok(()) } else { Err(reply.text()) };
        let load = Load::start(gateway.proxy, 4, Duration::from_millis(20), |_| get("/other"), check);
        until(Duration::from_secs(120), "enough answers", async || load.answered() >= requests).await;
        let tally = load.stop();
        tally.assert_clean();
        tally.quantile(0.99)
    };
    let alone = others().await;
    let check = |reply: &Reply| if reply.status == 500 { Ok(()) } else { Err(reply.text()) };
    let attack = |_| get("/hostile").header("x-attack", "loop");
    let loops = Load::start(gateway.proxy, 1, Duration::from_millis(440), attack, check);
    let beside = others().await;
    let loops = loops.stop();
    loops.assert_clean();
    assert!(loops.requests * 200 >= requests, "only {} loops among {requests} requests", loops.requests);
    let slowed = beside.saturating_sub(alone);
    proof!(
        2,
        3,
        format!("{} endless loops among {requests} requests, one worker", loops.requests),
        "the others' p99 {beside:?}, {alone:?} without loops"
    );
    // Two ticks, and some for a machine that does other things too: everyday, all the other tests.
    let most = Duration::from_millis(if proving() { 20 + 15 } else { 250 });
    assert!(slowed < most, "the others' p99 went from {alone:?} to {beside:?}");
}

#[tokio::test]
async fn a_memory_bomb_is_refused_at_its_cap() {
    let origin = Origin::start();
    let gateway = start(&origin, "on_header = true").await;
    assert_unharmed(&gateway).await;
    let before = gateway.memory().own;
    for _ in 0..20 {
        assert_eq!(attack(&gateway, "memory").await.status, 500);
    }
    assert_unharmed(&gateway).await;
    let grown = gateway.memory().own.saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB stay after 20 bombs", grown >> 20);
    proof!(2, 3, "20 memory bombs", "each refused, {} MiB more afterwards", grown >> 20);
}

#[tokio::test]
async fn in_a_trap_storm_exactly_the_trapping_requests_fail() {
    let origin = Origin::start();
    let gateway = start(&origin, "on_header = true").await;
    let count: u64 = scaled(1000, 20_000);
    let load = Load::start(
        gateway.proxy,
        8,
        Duration::ZERO,
        |n| {
            let call = get("/hostile").header("x-number", n.to_string());
            if n % 2 == 0 { call.header("x-attack", "trap") } else { call }
        },
        |reply| match reply.status {
            500 => Ok(()),
            200 if reply.seen().header("x-attack").is_empty() => Ok(()),
            other => Err(format!("{other}: {}", reply.text())),
        },
    );
    until(Duration::from_secs(300), "all answers", async || load.answered() >= count).await;
    let tally = load.stop();
    tally.assert_clean();
    let reached = origin.requests();
    assert_eq!(reached, tally.requests / 2, "every request without a trap reached the upstream, no other did");
    assert_unharmed(&gateway).await;
    proof!(
        2,
        3,
        "trap storm, every second request traps",
        "{} requests, {reached} of them good, all as they should be",
        tally.requests
    );
}

#[tokio::test]
async fn giant_output_is_bounded() {
    let origin = Origin::start();
    let gateway = start(&origin, "on_header = true").await;
    assert_unharmed(&gateway).await;
    let before = gateway.memory().own;
    for name in ["header", "log", "answer", "values"] {
        let started = Instant::now();
        let reply = attack(&gateway, name).await;
        assert!([200, 500].contains(&reply.status), "{name}: {reply:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{name} took {:?}", started.elapsed());
        let head: usize = reply.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(head < 256 << 10, "{name}: a head of {head} bytes");
        assert_unharmed(&gateway).await;
    }
    let grown = gateway.memory().own.saturating_sub(before);
    assert!(grown < 128 << 20, "{} MiB more", grown >> 20);
    let log = gateway.log().len();
    assert!(log < 4 << 20, "{} MiB of log", log >> 20);
    proof!(
        2,
        3,
        "giant headers, log lines, answers, values",
        "{} MiB more memory, {} KiB of log",
        grown >> 20,
        log >> 10
    );
}

#[tokio::test]
async fn endless_bodies_are_refused_at_their_cap() {
    let origin = Origin::start();
    for hook in ["request_body", "response_body"] {
        let gateway = start(&origin, &format!("{hook} = \"body\"")).await;
        let before = gateway.memory().own;
        // Refused growth is the guest's business; a body that outgrows the guest itself is a trap.
        let reply = post("/hostile", "piece").origin("size=100").try_send(gateway.proxy).await;
        match &reply {
            Ok(reply) => assert!(reply.body.len() <= 32 << 20, "{hook}: {} bytes", reply.body.len()),
            // The head was sent: cut off, because of the hook and of nothing else.
            Err(error) => {
                assert_eq!(hook, "response_body", "{error:?}");
                until(Duration::from_secs(10), "the hook's fault is counted", async || {
                    gateway.metric("tollgate_plugin_faults_total").await > Some(0.0)
                })
                .await;
            }
        }
        let grown = gateway.memory().own.saturating_sub(before);
        assert!(grown < 128 << 20, "{hook}: {} MiB more", grown >> 20);
        assert_eq!(gateway.get("/other").await.status, 200);
    }
}

/// Values of one request mean nothing to the next, whoever kept them.
#[tokio::test]
async fn a_stale_value_reads_nothing_of_another_request() {
    let origin = Origin::start();
    let gateway = Setup::new(config(&origin, "on_header = true", "")).guests(&["hostile"]).workers(1).start().await;
    for n in 0..20 {
        let path = format!("/hostile/private-{n}");
        let reply = gateway.send(get(&path).header("x-attack", "stale")).await;
        assert!([200, 500].contains(&reply.status), "{reply:?}");
        if reply.status == 200 {
            let seen = reply.seen();
            let stale = seen.header("x-stale");
            assert!(stale.is_empty() || stale == path, "request {n} saw {stale} of an earlier one");
        }
    }
    assert_unharmed(&gateway).await;
}

#[tokio::test]
async fn failing_open_is_for_those_who_ask_for_it() {
    let origin = Origin::start();
    let open = config(&origin, "request = \"trap\"", "on_error = \"open\"");
    let gateway = Setup::new(open).guests(&["hostile"]).start().await;
    assert_eq!(gateway.get("/hostile").await.status, 200, "goes on as if the hook had not been there");
    let refused = crate::configs::KEYED.replace("module = \"key-auth\"", "module = \"key-auth\"\non_error = \"open\"");
    let ran = Setup::new(crate::configs::chained(&origin, &["key-auth"]) + &refused).plugins(&["key-auth"]).validate();
    assert_ne!(ran.code, 0, "what decides access never fails open: {ran:?}");
}

/// However it fails over its settings: in bounded time and memory, and the old state serves on.
#[tokio::test]
async fn a_plugin_that_can_not_be_configured_is_refused() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).guests(&["hostile"]).start().await;
    for attack in ["trap", "loop", "memory"] {
        gateway.write_config(&config(&origin, &format!("configure = \"{attack}\""), ""));
        eventually(Duration::from_secs(20), async || {
            let status = gateway.status().await;
            let said = status["configuration"]["last_error"].to_string();
            // The source line that is shown names the attack; the reason has to be there too.
            let is_told = said.contains(attack) && said.contains("the module failed over the settings");
            if is_told { Ok(()) } else { Err(format!("/status does not say why: {status}")) }
        })
        .await;
        assert_eq!(gateway.get("/other").await.status, 200, "{attack}");
    }
}

#[tokio::test]
async fn attacks_in_the_log_hook_harm_no_request() {
    let origin = Origin::start();
    for attack in ["trap", "loop", "memory"] {
        let gateway = start(&origin, &format!("log = \"{attack}\"")).await;
        let load = Load::steady(gateway.proxy, 4, get("/hostile"));
        until(Duration::from_secs(60), "500 answers", async || load.answered() >= 500).await;
        load.stop().assert_clean();
    }
}
