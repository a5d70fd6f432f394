//! Targets that die, hang or move: what their clients see of it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tollgate_tests::{Gateway, Reply, Setup, get, until};

use crate::configs::service;

/// Kept connections to a target that was restarted behind something that says nothing: each of them takes
/// a request and breaks. A request must not try one after the other until it has used up its attempts.
#[tokio::test]
async fn one_dead_connection_tells_of_the_others() {
    let target = Restarted::start().await;
    let gateway = Setup::new(service("target", &target.url, "")).workers(1).start().await;
    let burst: Vec<_> = (0..KEPT).map(|_| tokio::spawn(get("/target").send(gateway.proxy))).collect();
    for reply in burst {
        assert_eq!(reply.await.expect("no panic").status, 200);
    }
    target.seen.restarted.store(true, Ordering::SeqCst);
    let reply = gateway.get("/target").await;
    assert_eq!((reply.status, target.seen.broken.load(Ordering::SeqCst)), (200, 1), "{reply:?}");
}

/// What fails again and again is left alone, tried now and then by one request, and taken back.
#[tokio::test]
async fn a_failing_target_is_ejected_and_comes_back() {
    let (ill, well) = (Target::start("ill").await, Target::start("well").await);
    ill.answer(BREAK);
    let gateway = paired(&ill, &well, "ejection = { failures = 3, time = \"200ms\", longest = \"400ms\" }").await;
    let failed = async |requests| {
        let mut failed = 0;
        for _ in 0..requests {
            failed += usize::from(gateway.get("/pair").await.status != 200);
        }
        failed
    };
    assert_eq!(failed(5).await, 3, "every second one until it is out");
    gateway.says("target ejected").await;
    let status = &gateway.status().await["upstreams"][0];
    assert_eq!((&status["serving"], &status["ejected"]), (&1.into(), &1.into()), "{status}");
    let out = &status["targets_out"][0];
    assert_eq!((&out["target"], &out["reason"]), (&ill.address.to_string().into(), &"reset".into()), "{status}");
    assert_eq!(gateway.metric("tollgate_upstream_ejections_total").await, Some(1.0));

    until(PATIENCE, "a trial fails", async || {
        drop(gateway.get("/pair").await);
        gateway.log().contains("target stays ejected")
    })
    .await;
    ill.answer(200);
    gateway.answers("/pair", "the target is taken back", |reply| reply.header("x-name") == "ill").await;
    gateway.says("target is back").await;
    assert_eq!(failed(10).await, 0);
    assert_eq!(gateway.status().await["upstreams"][0]["ejected"], 0);
}

/// Whatever fails, the last target gets its requests: an error of its own is better than none at all.
#[tokio::test]
async fn never_all_targets_are_ejected() {
    let (one, other) = (Target::start("one").await, Target::start("other").await);
    one.answer(BREAK);
    other.answer(BREAK);
    let gateway =
        paired(&one, &other, "ejection = { failures = 1, time = \"1h\", longest = \"1h\", most = 100 }").await;
    for _ in 0..10 {
        assert_eq!(gateway.get("/pair").await.status, 502);
    }
    assert_eq!(gateway.status().await["upstreams"][0]["serving"], 1);
    one.answer(200);
    other.answer(200);
    assert_eq!(gateway.get("/pair").await.status, 200);
}

/// A target that can't be connected to costs no request anything, and after a few of them no time either.
#[tokio::test]
async fn a_dead_target_is_ejected_without_an_error() {
    let well = Target::start("well").await;
    let gone = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port");
    let targets = format!("{{ address = \"{gone}\" }}, {{ address = \"{}\" }}", well.address);
    let gateway = upstream(&targets, "ejection = { time = \"1h\", longest = \"1h\" }").await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/pair").await.status, 200);
    }
    let errors = gateway.log().matches("upstream connection failed").count();
    assert!(errors <= 2, "{errors} attempts");
    assert_eq!(gateway.status().await["upstreams"][0]["targets_out"][0]["reason"], "connect-failure");
}

#[tokio::test]
async fn checks_find_what_is_ill_before_requests_do() {
    let (one, other) = (Target::start("one").await, Target::start("other").await);
    let check = "health_check = { path = \"/health?deep\", interval = \"300ms\", healthy = 1 }";
    let gateway = paired(&one, &other, check).await;
    let ill = async |count: u64| {
        let what = format!("{count} targets are unhealthy");
        until(PATIENCE, &what, async || gateway.status().await["upstreams"][0]["unhealthy"] == count).await;
    };
    one.answer(500);
    ill(1).await;
    gateway.says("it answers 500").await;
    for _ in 0..10 {
        assert_eq!(gateway.get("/pair").await.header("x-name"), "other");
    }
    other.answer(BREAK);
    ill(2).await;
    let reply = gateway.get("/pair").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
    one.answer(204);
    ill(1).await;
    let named = |name: &'static str| move |reply: &Reply| reply.header("x-name") == name;
    gateway.answers("/pair", "it serves again", named("one")).await;
    gateway.says("target is well again").await;
    other.answer(200);
    gateway.answers("/pair", "both serve", named("other")).await;
    assert!(one.asked.load(Ordering::SeqCst) > 0, "for the path of the check");
}

/// Names are the system's: here a hosts file, which changes while the gateway runs.
#[tokio::test]
async fn a_name_that_moves_takes_its_requests_along() {
    let one = Target::at("127.0.0.1:0", "one", true).await;
    let _other = Target::at(&format!("127.0.0.2:{}", one.address.port()), "other", true).await;
    let hosts = tempfile::NamedTempFile::new().expect("a temporary file");
    let names = |lines: &str| std::fs::write(hosts.path(), lines).expect("the file is ours");
    names("127.0.0.1 moving.test\n::1 both.test\n127.0.0.1 both.test\n");
    let url = |name: &str| format!("http://{name}:{}", one.address.port());
    let config = service("moving", &url("moving.test"), "")
        + &service("both", &url("both.test"), "")
        + &service("nowhere", &url("nowhere.test"), "");
    let setup = Setup::new(config).workers(1).proxy("name_ttl = \"100ms\"");
    let gateway = setup.start_by(|command| with_hosts(command, hosts.path())).await;
    assert_eq!(gateway.get("/moving").await.header("x-name"), "one");
    assert_eq!(gateway.get("/both").await.status, 200, "another address is tried");
    assert_eq!(gateway.get("/nowhere").await.status, 502);
    gateway.says("the name can't be resolved").await;

    names("127.0.0.2 moving.test\n");
    let moved = |reply: &Reply| reply.header("x-name") == "other";
    gateway.answers("/moving", "kept connections do not hold it back", moved).await;
    names("");
    gateway.says("name can't be resolved host=\"moving.test\"").await;
    assert_eq!(gateway.get("/moving").await.header("x-name"), "other", "what was known is used");
    names("127.0.0.1 moving.test\n127.0.0.1 nowhere.test\n");
    gateway.answers("/moving", "it comes back", |reply| reply.header("x-name") == "one").await;
    gateway.answers("/nowhere", "it is somewhere now", |reply| reply.status == 200).await;
}

/// Runs the command where this file is `/etc/hosts`.
fn with_hosts(command: Command, hosts: &Path) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--map-root-user", "--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    wrapped.arg(hosts).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

async fn paired(one: &Target, other: &Target, lines: &str) -> Gateway {
    let targets = format!("{{ address = \"{}\" }}, {{ address = \"{}\" }}", one.address, other.address);
    upstream(&targets, lines).await
}

async fn upstream(targets: &str, lines: &str) -> Gateway {
    let service = service("pair", "x", "").replace("url = \"x\"", "upstream = \"pair\"");
    let config = format!("[[upstreams]]\nname = \"pair\"\ntargets = [{targets}]\n{lines}\n{service}");
    Setup::new(config).workers(1).start().await
}

/// Answers with a status that can be changed.
struct Target {
    address: std::net::SocketAddr,
    status: Arc<AtomicU16>,
    /// For the path of the check.
    asked: Arc<AtomicUsize>,
}

impl Target {
    /// One request a connection.
    async fn start(name: &'static str) -> Target {
        Target::at("127.0.0.1:0", name, false).await
    }

    async fn at(address: &str, name: &'static str, keeps: bool) -> Target {
        let listener = TcpListener::bind(address).await.expect("an address that is free");
        let address = listener.local_addr().expect("an address");
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::<AtomicUsize>::default());
        let (answers, counts) = (Arc::clone(&status), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, counts) = (Arc::clone(&answers), Arc::clone(&counts));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                        if !head.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        counts.fetch_add(usize::from(head.starts_with(b"GET /health?deep ")), Ordering::SeqCst);
                        head.clear();
                        let status = answers.load(Ordering::SeqCst);
                        if status == BREAK {
                            return;
                        }
                        let length = if status == 204 { "" } else { "content-length: 0\r\n" };
                        let close = if keeps { "" } else { "connection: close\r\n" };
                        let head = format!("HTTP/1.1 {status} As told\r\nx-name: {name}\r\n{length}{close}\r\n");
                        if stream.write_all(head.as_bytes()).await.is_err() || !keeps {
                            return;
                        }
                    }
                });
            }
        });
        Target { address, status, asked }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

/// Answers once `KEPT` requests are there, and keeps their connections; once restarted, it breaks those at
/// their next request, and serves new ones.
struct Restarted {
    url: String,
    seen: Arc<Seen>,
}

struct Seen {
    all: Barrier,
    restarted: AtomicBool,
    broken: AtomicUsize,
}

impl Restarted {
    async fn start() -> Restarted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Seen { all: Barrier::new(KEPT), restarted: false.into(), broken: 0.into() });
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Restarted { url, seen }
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Seen>) {
    let before = !seen.restarted.load(Ordering::SeqCst);
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        if before && seen.restarted.load(Ordering::SeqCst) {
            seen.broken.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if before {
            seen.all.wait().await;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    }
}

/// The status of a target that closes the connection instead.
const BREAK: u16 = 0;
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the attempts that one request has.
const KEPT: usize = 20;
