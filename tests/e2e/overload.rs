//! More connections than there is room for.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::net::{TcpSocket, TcpStream};
use tollgate_tests::{Connection, Gateway, Load, Origin, Setup, get, proof, scaled, until};

use crate::configs::{plain, service};

const SOON: Duration = Duration::from_secs(30);

/// Keep-alive connections that served a request each.
async fn used(gateway: &Gateway, count: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = Connection::open(gateway.proxy).await.expect("a connection");
        assert_eq!(connection.send(get("/")).await.expect("an answer").status, 200);
        connections.push(connection);
    }
    connections
}

/// Lets this long pass, as a deadline that something else is measured against.
async fn pass(time: Duration) {
    let started = Instant::now();
    until(SOON, "the time has passed", async || started.elapsed() >= time).await;
}

#[tokio::test]
async fn over_the_nodes_bound_connections_wait_and_none_fails() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).proxy("connections = 8").start().await;
    let mut open = used(&gateway, 8).await;
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(get("/").try_send(gateway.proxy))).collect();
    for connection in &mut open {
        assert_eq!(connection.send(get("/")).await.expect("who is in is served").status, 200);
    }
    let held_back = "tollgate_connections_limited_total{limit=\"node\"}";
    until(SOON, "the bound is met", async || gateway.metric(held_back).await > Some(0.0)).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "nobody beyond the bound is served");
    assert_eq!(gateway.metric("tollgate_connections").await, Some(8.0));
    let freed = Instant::now();
    drop(open.pop());
    for reply in join_all(waiting).await {
        assert_eq!(reply.expect("no panic").expect("an answer, once there is room").status, 200);
    }
    assert!(freed.elapsed() < Duration::from_secs(1), "{:?}", freed.elapsed());
}

async fn from(source: &str, gateway: &Gateway) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(source.parse().expect("an address"), 0)).expect("all of 127/8 is ours");
    socket.connect(gateway.proxy).await.expect("it listens")
}

async fn served(stream: &mut TcpStream) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut byte = [0; 1];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    asked.is_ok() && matches!(stream.read(&mut byte).await, Ok(1))
}

#[tokio::test]
async fn one_address_has_its_share_and_others_theirs() {
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy("connections_per_address = 3\ntrusted_proxies = [\"127.0.0.9\"]");
    let gateway = setup.start().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = from("127.0.0.1", &gateway).await;
        assert!(served(&mut stream).await);
        open.push(stream);
    }
    assert!(!served(&mut from("127.0.0.1", &gateway).await).await, "the fourth is closed");
    assert!(served(&mut from("127.0.0.2", &gateway).await).await);
    for _ in 0..10 {
        let mut stream = from("127.0.0.9", &gateway).await;
        assert!(served(&mut stream).await, "a trusted proxy speaks for many");
        open.push(stream);
    }
    let refused = gateway.metric("tollgate_connections_limited_total{limit=\"address\"}").await;
    assert_eq!(refused, Some(1.0));
    open.remove(0);
    until(SOON, "there is room again", async || served(&mut from("127.0.0.1", &gateway).await).await).await;
}

/// With no more than so many descriptors.
fn with_descriptors(command: Command, most: usize) -> Command {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\"")).arg(command.get_program());
    limited.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

#[tokio::test]
async fn clients_do_not_get_the_last_descriptors() {
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin));
    let mut gateway = setup.start_by(|command| with_descriptors(command, 128)).await;
    // Each is in the kernel's queue at least; most of them are never accepted.
    let opened = join_all((0..200).map(|_| Connection::open(gateway.proxy))).await;
    let mut asking: Vec<_> = opened
        .into_iter()
        .map(|opened| {
            let mut connection = opened.expect("a connection");
            tokio::spawn(async move {
                let answer = connection.send(get("/")).await;
                (answer, connection)
            })
        })
        .collect();
    let limited = "tollgate_connections_limited_total{limit=\"node\"}";
    until(SOON, "the bound is met", async || gateway.metric(limited).await > Some(0.0)).await;
    let before = gateway.process().cpu_time();
    pass(Duration::from_secs(1)).await;
    let used = gateway.process().cpu_time() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of processor time in a second of waiting");
    assert_eq!(gateway.ready().await, Some(200));
    assert_eq!(get("/routes").send(gateway.admin).await.status, 200);
    assert_eq!(gateway.metric("tollgate_connections_limited_total{limit=\"descriptors\"}").await, Some(0.0));

    // As clients go, all the others are served.
    let freed = Instant::now();
    let mut answered = 0;
    while !asking.is_empty() {
        let (done, waiting): (Vec<_>, Vec<_>) = asking.into_iter().partition(|asking| asking.is_finished());
        for done in done {
            let (answer, connection) = done.await.expect("no panic");
            assert_eq!(answer.expect("an answer").status, 200);
            drop(connection);
            answered += 1;
        }
        asking = waiting;
        assert!(freed.elapsed() < SOON, "{answered} of 200 are answered");
        tokio::task::yield_now().await;
    }
    assert!(gateway.process().exited().is_none());
    proof!(
        3,
        3,
        "200 clients at a node with 128 descriptors",
        "admin and status answer, {used:?} of processor time a second while 0 can be accepted, all answered {:?} after \
         the first left",
        freed.elapsed()
    );
}

/// The number that the process's next descriptor would get.
fn lowest_free(id: Pid) -> u64 {
    let taken = |number: &u64| std::fs::symlink_metadata(format!("/proc/{}/fd/{number}", id.as_raw_nonzero())).is_ok();
    (0..).find(|number| !taken(number)).expect("there are enough numbers")
}

/// Of clients alone: the gateway answers by itself, that there is no route.
#[tokio::test]
async fn it_recovers_when_there_are_descriptors_again() {
    // One worker, one queue: who comes last is accepted last.
    let mut gateway = Setup::new("routes = []").workers(1).start().await;
    let id = Pid::from_raw(gateway.process().id() as i32).expect("a process id");
    let limit = Rlimit { current: Some(lowest_free(id)), ..getrlimit(Resource::Nofile) };
    let generous = prlimit(Some(id), Resource::Nofile, limit).expect("the process is ours");
    // Some may come free below the limit: clients take those too, and more of them wait than ever could be.
    let mut clients = Vec::new();
    until(SOON, "accepting fails", async || {
        clients.push(Connection::open(gateway.proxy).await.expect("the kernel's queue has room"));
        gateway.log().contains("accepting stops")
    })
    .await;
    for _ in 0..50 {
        clients.push(Connection::open(gateway.proxy).await.expect("the kernel's queue has room"));
    }
    let mut asking = tokio::spawn(get("/").try_send(gateway.proxy));
    let before = gateway.process().cpu_time();
    pass(Duration::from_secs(1)).await;
    let used = gateway.process().cpu_time() - before;
    assert!(used < Duration::from_millis(200), "{used:?} of processor time in a second of waiting");
    assert!(!asking.is_finished() && gateway.process().exited().is_none());

    prlimit(Some(id), Resource::Nofile, generous).expect("the process is ours");
    let freed = Instant::now();
    assert_eq!((&mut asking).await.expect("no panic").expect("an answer").status, 404);
    let recovered = freed.elapsed();
    assert!(recovered < Duration::from_secs(1), "{recovered:?}");
    let lines = gateway.log().lines().filter(|line| line.contains("accepting stops")).count();
    assert!(lines < 30, "{lines} lines for one shortage");
    proof!(
        3,
        3,
        "no descriptor left (EMFILE), then there are again",
        "{used:?} of processor time in a second of it, the client that came last is answered {recovered:?} after its end"
    );
}

#[tokio::test]
async fn long_connections_are_spread_over_the_workers() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(2).start().await;
    let mut connections = used(&gateway, 200).await;
    let on = async |worker: usize| {
        gateway.metric(&format!("tollgate_worker_connections{{worker=\"{worker}\"}}")).await.expect("it is told")
    };
    for worker in 0..2 {
        let count = on(worker).await;
        assert!((80.0..=120.0).contains(&count), "{count} of 200 on worker {worker}");
    }
    for connection in &mut connections {
        assert_eq!(connection.send(get("/")).await.expect("it works wherever it is").status, 200);
    }
}

/// As many connections at once as the goal has, each with a request, beside traffic that was there before. The
/// gateway answers the burst itself: an upstream with as many connections is not what is measured.
#[tokio::test]
async fn a_burst_of_connections_is_served() {
    let count = scaled(1000, 10_000);
    let origin = Origin::start();
    let config = service("origin", &origin.url(), "");
    let gateway = Setup::new(config).proxy("connections = 12000").start().await;
    let measured = async || {
        let load = Load::steady(gateway.proxy, 4, get("/origin"));
        until(SOON, "some load", async || load.answered() >= scaled(500, 5000)).await;
        load.stop()
    };
    let alone = measured().await;
    let load = Load::steady(gateway.proxy, 4, get("/origin"));
    let (begun, proxy) = (Instant::now(), gateway.proxy);
    let burst = (0..count).map(|_| async move {
        let mut connection = Connection::open(proxy).await?;
        let reply = connection.send(get("/nowhere")).await?;
        Ok::<_, String>((reply.status, connection))
    });
    let open = join_all(burst).await;
    let (took, ended) = (begun.elapsed(), Instant::now());
    for answer in &open {
        assert_eq!(answer.as_ref().map(|(status, _)| *status), Ok(404));
    }
    assert_eq!(get("/nowhere").try_send(proxy).await.expect("an answer").status, 404);
    let recovered = ended.elapsed();
    assert!(recovered < Duration::from_secs(scaled(10, 1)), "{recovered:?}");
    let beside = load.stop();
    beside.assert_clean();
    let after = measured().await;
    proof!(
        3,
        3,
        format!("{count} connections at once, each with a request"),
        "all answered within {took:.1?}, 0 failed; who was there before: p99 {:?} during it, {:?} before, {:?} with all of \
         them still open; a new client is served {recovered:?} after it (client and gateway share the machine)",
        beside.quantile(0.99),
        alone.quantile(0.99),
        after.quantile(0.99)
    );
    drop(open);
}

/// Of an idle connection's own memory, in bytes: what was measured and a reserve. The goal is 16 KiB.
const MEASURED_BOUND: u64 = 32 << 10;

#[tokio::test]
async fn idle_connections_are_cheap() {
    let count = scaled(1000, 10_000);
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy("connections = 12000\nidle_timeout = \"300s\"");
    let gateway = setup.start().await;
    let measured = async || {
        let load = Load::steady(gateway.proxy, 8, get("/"));
        let started = Instant::now();
        until(SOON, "there was some load", async || started.elapsed() > Duration::from_secs(scaled(1, 5))).await;
        load.stop()
    };
    let alone = measured().await;
    let before = gateway.memory().own;
    let mut connections = used(&gateway, count).await;
    let each = gateway.memory().own.saturating_sub(before) / count as u64;
    let beside = measured().await;
    beside.assert_clean();
    // The allocator takes memory in steps of some MiB: of few connections they are much of each.
    assert!(each <= scaled(2 * MEASURED_BOUND, MEASURED_BOUND), "{each} bytes a connection");
    let kept = connections.last_mut().expect("there are some");
    assert_eq!(kept.send(get("/")).await.expect("it is only idle").status, 200);
    proof!(
        3,
        3,
        format!("{count} idle keep-alive connections"),
        "{:.1} KiB of own memory each (goal 16 KiB, which hyper's two buffers take alone; held to {} KiB); traffic beside them: p99 {:?}, without them {:?}",
        each as f64 / 1024.0,
        MEASURED_BOUND >> 10,
        beside.quantile(0.99),
        alone.quantile(0.99)
    );
}
