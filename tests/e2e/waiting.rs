//! Many plugins, and many requests inside them at once.

use std::fmt::Write;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tollgate_tests::{Connection, Load, Origin, Setup, get, proof, scaled, until};

use crate::configs::chained;

#[tokio::test]
async fn requests_wait_inside_host_calls_at_once() {
    let count = scaled(300, 2000);
    let origin = Origin::start();
    let config = chained(&origin, &["sleeper"])
        + "[[plugins]]\nname = \"sleeper\"\nmodule = \"hostile\"\n\
           config = { request = \"sleep\", milliseconds = 3000 }\nlimits = { wall = \"60s\" }\n";
    let gateway = Setup::new(config).guests(&["hostile"]).workers(2).start().await;
    gateway.get("/").await;
    let before = gateway.memory().own;
    let opened = (0..count).map(|_| Connection::open(gateway.proxy));
    let connections: Vec<Connection> =
        join_all(opened).await.into_iter().map(|opened| opened.expect("a connection")).collect();
    let started = Instant::now();
    let answers = connections.into_iter().map(|mut connection| async move { connection.send(get("/")).await });
    let answers = join_all(answers).await;
    let took = started.elapsed();
    let refused = answers.iter().filter(|answer| !answer.as_ref().is_ok_and(|reply| reply.status == 200)).count();
    assert_eq!(refused, 0, "of {count} requests that wait at once; one of them: {:?}", answers.last());
    // One after another they would take hours, in threes and fours minutes.
    assert!(took < Duration::from_secs(30), "{count} waits of 3 s took {took:?}");
    let each = gateway.memory().own.saturating_sub(before) / count as u64;
    proof!(
        2,
        3,
        format!("{count} requests waiting 3 s inside a host call at once"),
        "0 refused, {took:?} in all, {} KiB each",
        each >> 10
    );
}

#[tokio::test]
async fn thousands_of_routes_have_their_own_settings() {
    let count = scaled(1000, 10_000);
    let origin = Origin::start();
    let mut config = format!("[[services]]\nname = \"origin\"\nurl = \"{}\"\n", origin.url());
    for n in 0..count {
        let written = write!(
            config,
            "[[routes]]\nname = \"route-{n}\"\nservice = \"origin\"\npaths = [\"/{n}\"]\nchain = [\"marker-{n}\"]\n\
             [[plugins]]\nname = \"marker-{n}\"\nmodule = \"marker\"\nconfig = {{ value = \"own-{n}\" }}\n"
        );
        written.expect("a string takes every write");
    }
    let gateway = Setup::new(config).guests(&["marker"]).workers(2).start().await;
    let before = gateway.memory().own;
    let mut connection = Connection::open(gateway.proxy).await.expect("a connection");
    for n in 0..count {
        let reply = connection.send(get(&format!("/{n}/x"))).await.expect("an answer");
        assert_eq!((reply.status, reply.header("x-settings")), (200, format!("own-{n}").as_str()), "route {n}");
    }
    let grown = gateway.memory().own.saturating_sub(before);
    proof!(
        2,
        3,
        format!("{count} routes, each with its own plugin settings"),
        "every one answers with its own; {} MiB resident, {} MiB more after all were used",
        gateway.memory().rss >> 20,
        grown >> 20
    );
}

/// Two workers, sixteen instances in all, forty requests that each hold one of the same module.
#[tokio::test]
async fn a_module_that_waits_leaves_instances_to_the_others() {
    let origin = Origin::start();
    let config = chained(&origin, &["marker"])
        + "[[plugins]]\nname = \"marker\"\nmodule = \"marker\"\n"
        + "[[routes]]\nname = \"slow\"\nservice = \"origin\"\npaths = [\"/slow\"]\nchain = [\"sleeper\"]\n"
        + "[[plugins]]\nname = \"sleeper\"\nmodule = \"hostile\"\nlimits = { wall = \"60s\" }\n"
        + "config = { request = \"sleep\", milliseconds = 5000 }\n";
    let setup = Setup::new(config).guests(&["hostile", "marker"]).workers(2);
    let gateway = setup.instances(16).start().await;
    let slow = Load::start(gateway.proxy, 40, Duration::from_millis(20), |_| get("/slow"), |_| Ok(()));
    until(Duration::from_secs(30), "the module has all that it may have", async || {
        gateway.metric("tollgate_plugin_faults_total").await.is_some_and(|faults| faults > 20.0)
    })
    .await;
    let others = Load::steady(gateway.proxy, 4, get("/other"));
    until(Duration::from_secs(60), "500 answers", async || others.answered() >= 500).await;
    others.stop().assert_clean();
    slow.stop();
}

/// Names belong to the use that resolved them: the thousandth use has as many as the first.
#[tokio::test]
async fn every_use_has_names_of_its_own() {
    let count = 1100;
    let origin = Origin::start();
    let mut config = format!("[[services]]\nname = \"origin\"\nurl = \"{}\"\n", origin.url());
    for n in 0..count {
        let written = write!(
            config,
            "[[routes]]\nname = \"route-{n}\"\nservice = \"origin\"\npaths = [\"/{n}\"]\nchain = [\"limit-{n}\"]\n\
             [[plugins]]\nname = \"limit-{n}\"\nmodule = \"rate-limiting\"\n\
             config = {{ limits = [{{ limit = 1, window = \"365d\", by = {{ header = \"x-tenant-{n}\" }} }}] }}\n"
        );
        written.expect("a string takes every write");
    }
    let gateway = Setup::new(config).plugins(&["rate-limiting"]).workers(1).start().await;
    let mut connection = Connection::open(gateway.proxy).await.expect("a connection");
    for n in 0..count {
        let mut status = async |tenant: &str| {
            let call = get(&format!("/{n}")).header(&format!("x-tenant-{n}"), tenant);
            connection.send(call).await.expect("an answer").status
        };
        assert_eq!((status("a").await, status("a").await, status("b").await), (200, 429, 200), "route {n}");
    }
}
