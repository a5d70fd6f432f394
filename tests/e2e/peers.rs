//! Clients and servers that are not ours: gRPC's C core, h2load, nghttp, curl, sslscan, slowhttptest.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tollgate_tests::{Authority, Load, Origin, Ran, Setup, curl, get, proof, run, scaled, until};

use crate::configs::plain;

/// gRPC's own server, by Python; ends with its owner.
struct GrpcPeer {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    port: String,
}

/// Of Debian: it has the module that was installed.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/grpc_peer.py");

impl GrpcPeer {
    fn start() -> GrpcPeer {
        let mut command = Command::new(PYTHON);
        command.args([SCRIPT, "serve"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 with its grpc module, of Debian, is installed");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        output.read_line(&mut port).expect("it says its port");
        GrpcPeer { child, output, port: port.trim().to_owned() }
    }
}

impl Drop for GrpcPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn grpcs_own_client_and_server_understand_each_other() {
    let mut server = GrpcPeer::start();
    let config = format!(
        "[[services]]\nname = \"grpc\"\nurl = \"http://127.0.0.1:{}\"\nprotocol = \"http2\"\n\
         [[routes]]\nname = \"grpc\"\nservice = \"grpc\"\npaths = [\"/\"]\n",
        server.port
    );
    let gateway = Setup::new(config).start().await;
    let ran = run(PYTHON, &[SCRIPT, "call", &gateway.proxy.to_string()]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let shown: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(shown.last(), Some(&"a deadline"), "{shown:?}");
    let mut line = String::new();
    server.output.read_line(&mut line).expect("it says what it saw");
    assert_eq!(line.trim(), "cancelled", "the client's deadline reaches the server");
    proof!(
        3,
        4,
        "gRPC client and server of gRPC's own C core (grpcio)",
        "{} checks: unary, streams either way and both, metadata, trailers, errors, deadlines",
        shown.len()
    );
}

#[tokio::test]
async fn h2load_and_nghttp_are_served() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    let count = scaled(5_000, 200_000);
    let requests = count.to_string();
    let ran = run("h2load", &["-n", &requests, "-c", "10", "-m", "20", &url]).await;
    assert!(ran.stdout.contains(&format!("{count} succeeded, 0 failed, 0 errored, 0 timeout")), "{ran:?}");
    assert!(ran.stdout.contains(&format!("{count} 2xx")), "{ran:?}");
    let told = "x-origin: size=100000 chunks=20 trailers";
    let options = ["--verbose", "--null-out", "--multiply=10", "-H", told, "-H", "te: trailers", &url];
    let ran = run("nghttp", &options).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.matches(":status: 200").count(), 10, "{ran:?}");
    assert_eq!(ran.stdout.matches("x-trailer: from-origin").count(), 10, "{ran:?}");
    proof!(
        3,
        4,
        "h2load, 10 connections of 20 streams",
        "{count} requests, 0 failed; nghttp: 10 streams with trailers"
    );
}

/// A body that breaks off at the upstream, however it was framed there, is no whole one for curl.
#[tokio::test]
async fn curl_tells_a_body_that_broke_off() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    let rounds = scaled(2, 50);
    for told in ["x-origin: size=100000 cut=50000", "x-origin: size=100000 chunks=10 cut=50000"] {
        for (version, code) in [("--http1.1", 18), ("--http2-prior-knowledge", 92)] {
            for _ in 0..rounds {
                let ran = curl(&[version, "-o", "/dev/null", "-H", told, &url]).await;
                assert_eq!(ran.code, code, "{version}, {told}: {ran:?}");
            }
        }
    }
    proof!(3, 3, "upstream breaks off in the body", "curl exits 18 (HTTP/1.1) and 92 (HTTP/2), {} of {0}", 4 * rounds);
}

#[tokio::test]
async fn curl_sees_events_as_they_come() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        // Were events held back, it would have none of them when its time is over.
        let told = "x-origin: chunks=1000 gap=100 header=content-type:text/event-stream";
        let ran = curl(&[version, "--no-buffer", "--max-time", "2", "-H", told, &url]).await;
        assert_eq!(ran.code, 28, "{ran:?}");
        let events = ran.stdout.lines().count();
        assert!(events >= 3, "{version}: {ran:?}");
        proof!(3, 4, format!("server-sent events by curl {version}"), "{events} of 20 in the 2 s that it stays");
    }
}

#[tokio::test]
async fn sslscan_finds_nothing_weak() {
    let origin = Origin::start();
    let issued = Authority::new("tests").issue("localhost");
    let config =
        plain(&origin) + "[[certificates]]\nname = \"default\"\ncertificate_file = \"a.pem\"\nkey_file = \"a.key\"\n";
    let setup = Setup::new(config).file("a.pem", &issued.certificate).file("a.key", &issued.key);
    let gateway = setup.node("[proxy.tls]\nlisten = \"127.0.0.1:0\"\n").start().await;
    let address = gateway.tls.expect("a TLS listener").to_string();
    let ran = run("sslscan", &["--no-colour", "--sni-name=localhost", &address]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim).collect();
    for (version, state) in [
        ("SSLv2", "disabled"),
        ("SSLv3", "disabled"),
        ("TLSv1.0", "disabled"),
        ("TLSv1.1", "disabled"),
        ("TLSv1.2", "enabled"),
        ("TLSv1.3", "enabled"),
    ] {
        let told = lines.iter().find(|line| line.starts_with(&format!("{version} "))).expect("it tells of each");
        assert!(told.ends_with(state), "{told}");
    }
    let ciphers: Vec<&&str> =
        lines.iter().filter(|line| line.starts_with("Accepted") || line.starts_with("Preferred")).collect();
    assert!(!ciphers.is_empty(), "{ran:?}");
    for cipher in &ciphers {
        // Authenticated encryption, and a key exchange whose secret is not kept (RFC 9325, 4.2).
        let sound = cipher.contains("GCM") || cipher.contains("CHACHA20");
        let forward = cipher.contains("ECDHE") || cipher.contains("TLSv1.3");
        assert!(sound && forward, "{cipher}");
    }
    assert!(!lines.iter().any(|line| line.contains("vulnerable to heartbleed") && !line.contains("not vulnerable")));
    assert!(!lines.iter().any(|line| line.contains("Insecure session renegotiation")), "{ran:?}");
    proof!(
        3,
        4,
        "sslscan",
        "TLS 1.2 and 1.3 only; {} ciphers, all with forward secrecy and authenticated encryption; no Heartbleed, no \
         insecure renegotiation",
        ciphers.len()
    );
}

/// What slowhttptest's probe, a client beside the slow ones, found; it asks once a second.
fn is_always_available(ran: &Ran) -> bool {
    let probes: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("service available")).collect();
    !probes.is_empty() && probes.iter().all(|line| line.contains("YES"))
}

#[tokio::test]
async fn slowhttptest_holds_up_nobody() {
    let origin = Origin::start();
    let setup = Setup::new(plain(&origin)).proxy("head_timeout = \"3s\"\nidle_timeout = \"5s\"\nconnections = 8000");
    let gateway = setup.start().await;
    let (connections, seconds) = scaled(("100", "3"), ("2000", "60"));
    let (page, large) = (format!("http://{}/", gateway.proxy), format!("http://{}/large", gateway.proxy));
    let quiet = Load::steady(gateway.proxy, 4, get("/"));
    until(Duration::from_secs(60), "some load", async || quiet.answered() >= scaled(500, 5000)).await;
    let quiet = quiet.stop();
    let usual = ["-c", connections, "-r", "500", "-l", seconds, "-p", "3", "-i", "1"];
    for (what, more) in [
        ("slow headers", vec!["-H", "-u", &page]),
        ("slow bodies", vec!["-B", "-s", "8192", "-u", &page]),
        ("slow reads", vec!["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-u", &large]),
    ] {
        let load = Load::steady(gateway.proxy, 4, get("/"));
        let ran = run("slowhttptest", &[&usual[..], &more].concat()).await;
        let beside = load.stop();
        beside.assert_clean();
        assert!(is_always_available(&ran), "{what}: {ran:?}");
        proof!(
            3,
            3,
            format!("slowhttptest, {what}, {connections} connections for {seconds} s"),
            "service always available; {} requests beside it, 0 failed, p99 {:?} (without it {:?})",
            beside.requests,
            beside.quantile(0.99),
            quiet.quantile(0.99)
        );
    }
}

/// The peak of the gateway's own memory while `work` goes on.
async fn peak<T>(gateway: &tollgate_tests::Gateway, work: impl Future<Output = T>) -> (T, u64) {
    let mut peak = 0;
    let mut work = std::pin::pin!(work);
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            done = &mut work => return (done, peak),
            _ = pace.tick() => peak = peak.max(gateway.memory().own),
        }
    }
}

#[tokio::test]
async fn bodies_of_any_size_take_no_memory() {
    let size: u64 = scaled(64 << 20, 10 << 30);
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    let url = format!("http://{}/", gateway.proxy);
    let file = gateway.path("large");
    std::fs::File::create(&file).and_then(|file| file.set_len(size)).expect("a file without content takes no room");
    let (told, file) = (format!("x-origin: size={size}"), file.display().to_string());
    // Once of each, so that what stays was taken before.
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        curl(&[version, "-o", "/dev/null", "-H", "x-origin: size=10000000", &url]).await;
    }
    let before = gateway.memory().own;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let usual = [
            version,
            "--max-time",
            "900",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download} %{size_upload} %{speed_download} %{speed_upload}",
        ];
        for (direction, more) in [("down", ["-H", &told]), ("up", ["-T", &file])] {
            let arguments = [&usual[..], &more, &[&url]].concat();
            let (ran, peak) = peak(&gateway, curl(&arguments)).await;
            let numbers: Vec<u64> = ran.stdout.split(' ').filter_map(|number| number.parse().ok()).collect();
            let [downloaded, uploaded, down_speed, up_speed] = numbers[..] else { panic!("{ran:?}") };
            let (moved, speed) = if direction == "down" { (downloaded, down_speed) } else { (uploaded, up_speed) };
            assert!(ran.code == 0 && moved == size, "{direction}: {ran:?}");
            let grown = peak.saturating_sub(before);
            // The allocator takes memory in steps; at full size they are nothing beside what would be held.
            let bound = scaled(size / 2, 8 << 20);
            assert!(grown < bound, "{direction}, {version}: {} KiB more at its peak", grown >> 10);
            proof!(
                3,
                3,
                format!("a body of {} MiB, {direction}, {}", size >> 20, version.trim_start_matches('-')),
                "at most {} KiB more of own memory; {} MiB/s",
                grown >> 10,
                speed >> 20
            );
        }
    }
    assert_eq!(origin.seen().last().map(|seen| seen.body_length), Some(size));
}
