//! What holds for connections holds for those of TLS: hand-over, passed sockets, bounds. Long sessions
//! are `openssl s_client`'s.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tollgate_tests::{Gateway, Http2, Identity, Origin, Raw, Setup, curl, get, until};

use crate::activation::{listener, passing};
use crate::configs::plain;

const SOON: Duration = Duration::from_secs(30);
const LISTEN: &str = "[proxy.tls]\nlisten = \"127.0.0.1:0\"";

fn setup(origin: &Origin) -> Setup {
    let issued = Identity::self_signed("localhost");
    let certificate = "[[certificates]]\nname = \"default\"\ncertificate_file = \"a.pem\"\nkey_file = \"a.key\"\n";
    Setup::new(plain(origin) + certificate).file("a.pem", &issued.certificate).file("a.key", &issued.key).node(LISTEN)
}

async fn answers(gateway: &Gateway) -> Result<(), String> {
    let url = format!("https://{}/", gateway.tls.expect("a TLS listener"));
    let ran = curl(&["--insecure", "--fail", &url]).await;
    if ran.code == 0 { Ok(()) } else { Err(format!("{ran:?}")) }
}

/// Ends with its owner.
struct Session(Child);

impl Session {
    /// Speaks this protocol (ALPN).
    fn open(gateway: &Gateway, protocol: &str) -> Session {
        let mut command = Command::new("openssl");
        let address = gateway.tls.expect("a TLS listener").to_string();
        command.args(["s_client", "-quiet", "-alpn", protocol, "-connect", &address]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        Session(command.spawn().expect("openssl is installed"))
    }

    async fn write(&mut self, text: &str) {
        self.0.stdin.as_mut().expect("piped").write_all(text.as_bytes()).await.expect("it runs");
    }

    /// The status of `HEAD /`.
    async fn ask(&mut self) -> String {
        // Without a body: what follows the head is the next answer.
        self.write("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut head = Vec::new();
        let stdout = self.0.stdout.as_mut().expect("piped");
        while !head.ends_with(b"\r\n\r\n") {
            let read = timeout(SOON, stdout.read_buf(&mut head)).await.expect("an answer in time");
            assert_ne!(read.expect("it runs"), 0, "closed after {}", String::from_utf8_lossy(&head));
        }
        String::from_utf8_lossy(&head[9..12]).into_owned()
    }

    /// How long the gateway bears it.
    async fn borne(mut self) -> Duration {
        let started = Instant::now();
        timeout(SOON, self.0.wait()).await.expect("the gateway closes").expect("it is ours");
        started.elapsed()
    }
}

#[tokio::test]
async fn an_upgrade_hands_the_tls_listener_on() {
    let origin = Origin::start();
    let mut gateway = setup(&origin).start().await;
    let address = gateway.tls;
    let url = format!("https://{}/", address.expect("a TLS listener"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let load = tokio::spawn(async move {
        let mut answered = 0;
        while !stopped.load(Ordering::Relaxed) {
            let ran = curl(&["--insecure", "--fail", &url]).await;
            assert_eq!(ran.code, 0, "after {answered} answers: {ran:?}");
            answered += 1;
        }
        answered
    });
    let mut kept = Session::open(&gateway, "http/1.1");
    assert_eq!(kept.ask().await, "200");
    for _ in 0..3 {
        let before = origin.requests();
        until(SOON, "requests go on", async || origin.requests() > before + 2).await;
        let mut old = gateway.upgrade().await;
        assert_eq!(gateway.tls, address);
        answers(&gateway).await.expect("an answer");
        assert!(old.ended(SOON).await.success());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(load.await.expect("no request failed") > 0);
}

#[tokio::test]
async fn a_passed_socket_is_served_by_tls_if_its_name_says_so() {
    let origin = Origin::start();
    let (socket, address) = listener();
    let gateway = setup(&origin).start_by(|command| passing(command, vec![("proxy-tls", socket)])).await;
    assert_eq!(gateway.tls, Some(address));
    assert_ne!(gateway.proxy, address);
    answers(&gateway).await.expect("an answer");

    let (socket, address) = listener();
    let ran = Setup::new(plain(&origin)).run(|command| passing(command, vec![("proxy-tls", socket)]));
    assert_ne!(ran.code, 0, "nobody listens by TLS");
    assert!(ran.stderr.contains(&address.to_string()) && ran.stderr.contains("proxy.tls.listen"), "{}", ran.stderr);
    // Plaintext is not served at a socket for TLS, whatever the address.
    let (socket, address) = listener();
    let setup = Setup::new(plain(&origin)).listen("proxy", address);
    assert_ne!(setup.run(|command| passing(command, vec![("proxy-tls", socket)])).code, 0);
}

#[tokio::test]
async fn connections_given_to_another_worker_stay_those_of_tls() {
    let origin = Origin::start();
    let gateway = setup(&origin).workers(2).start().await;
    let first = async || gateway.metric("tollgate_worker_connections{worker=\"0\"}").await;
    let mut sessions = Vec::new();
    until(Duration::from_secs(60), "a connection changes its worker", async || {
        let before = first().await;
        let mut session = Session::open(&gateway, "http/1.1");
        assert_eq!(session.ask().await, "200");
        let moved = gateway.metric("tollgate_connections_handed_over_total").await > Some(0.0);
        // The kernel spreads them evenly; a worker gives some away only once it has far more than the other.
        if moved || first().await > before {
            sessions.push(session);
        }
        moved
    })
    .await;
    for session in &mut sessions {
        assert_eq!(session.ask().await, "200");
    }
    let kept = Some(sessions.len() as f64);
    until(SOON, "nobody else is left", async || gateway.metric("tollgate_connections").await == kept).await;
}

#[tokio::test]
async fn sessions_and_http2_have_their_room_as_others_do() {
    let origin = Origin::start();
    let gateway = setup(&origin).proxy("connections = 2").start().await;
    let mut session = Session::open(&gateway, "http/1.1");
    assert_eq!(session.ask().await, "200");
    let mut multiplexed = Http2::open(gateway.proxy).await.expect("a connection");
    assert_eq!(multiplexed.send(get("/")).await.expect("an answer").status, 200);
    let waiting = tokio::spawn(get("/").try_send(gateway.proxy));
    let held_back = "tollgate_connections_limited_total{limit=\"node\"}";
    until(SOON, "the bound is met", async || gateway.metric(held_back).await > Some(0.0)).await;
    assert_eq!(multiplexed.send(get("/")).await.expect("who is in is served").status, 200);
    assert!(!waiting.is_finished(), "there is room for two");
    drop(session);
    assert_eq!(waiting.await.expect("no panic").expect("an answer, once there is room").status, 200);
    drop(multiplexed);
    until(SOON, "all is given back", async || gateway.metric("tollgate_connections").await == Some(0.0)).await;
}

#[tokio::test]
async fn heads_and_openings_have_their_time_by_tls_and_http2_too() {
    let origin = Origin::start();
    let gateway = setup(&origin).proxy("head_timeout = \"1s\"\nidle_timeout = \"300s\"").start().await;
    let mut quiet = Session::open(&gateway, "http/1.1");
    assert_eq!(quiet.ask().await, "200");
    let mut slow = Session::open(&gateway, "http/1.1");
    assert_eq!(slow.ask().await, "200");
    slow.write("GET / HTTP/1.1\r\nHost: a\r\nX-End").await;
    let borne = slow.borne().await;
    assert!(borne > Duration::from_millis(900) && borne < Duration::from_secs(10), "{borne:?}");
    // Agreed on HTTP/2, and never a word of it.
    let borne = Session::open(&gateway, "h2").borne().await;
    assert!(borne < Duration::from_secs(10), "{borne:?}");
    for opening in ["PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"] {
        let started = Instant::now();
        let mut raw = Raw::open(gateway.proxy).await;
        raw.write(opening).await;
        raw.read_to_end().await;
        let borne = started.elapsed();
        assert!(borne > Duration::from_millis(900) && borne < Duration::from_secs(10), "{opening:?}: {borne:?}");
    }
    assert_eq!(quiet.ask().await, "200", "it was only idle");
}
